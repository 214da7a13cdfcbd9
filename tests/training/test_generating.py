"""Writing: seeded, repeatable, ended by the end, and never lost."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
import torch
from nets import tiny
from writers import FAMILIES, byte_tokenizer, writer

from ftkit.errors import DataError, UnknownName, UserError
from ftkit.tasks.passages import prompt_ids
from ftkit.tasks.sampling import Sampling, next_probabilities
from ftkit.training.generating import Written, generate, stream

END = 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_best_token_every_time_is_what_the_network_says_without_a_cache(family: str) -> None:
    model = writer(family)
    found = generate(model, "fog all", max_new_tokens=8, temperature=0)
    ids = prompt_ids("fog all", model.processor)
    with torch.no_grad():
        for _ in range(8):
            ids.append(int(model.net(torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == END:
                break
    new = ids[len(prompt_ids("fog all", model.processor)):]
    assert found.text == byte_tokenizer().decode(new, skip_special_tokens=True)
    assert found.tokens == len(new)


def test_draws_are_those_of_the_readable_mathematics() -> None:
    """Many first tokens, drawn at once: none that may not be drawn, and each about as often as it should be."""
    model = writer()
    controls = {"temperature": 0.9, "top_k": 6, "top_p": 0.9, "repetition_penalty": 1.3}
    prompt = "the cook sang"
    ids = prompt_ids(prompt, model.processor)
    with torch.no_grad():
        scores = model.net(torch.tensor([ids])).logits[0, -1]
    wanted = next_probabilities(scores, Sampling(**controls), [i for i in ids if i != END])
    n = 600
    count = torch.zeros(len(wanted))
    from ftkit.training.generating import _Job

    job = _Job.prepare(model, [prompt] * n, Sampling(**controls), 1, 0)
    job.write(lambda text: None)
    for (token,) in job.new:
        count[token] += 1
    assert set(count.nonzero().flatten().tolist()) == set(wanted.nonzero().flatten().tolist())
    assert (count / n - wanted).abs().max() < 0.08


def test_seeds() -> None:
    model = writer()
    state = torch.random.get_rng_state()
    texts = [generate(model, "fog", max_new_tokens=20, seed=seed).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert torch.equal(torch.random.get_rng_state(), state), "the random numbers of others are left alone"


def test_several_prompts_of_different_lengths_as_one_by_one() -> None:
    model = writer()
    prompts = ["fog", "the goat ate the chart and", ""]
    together = generate(model, prompts, max_new_tokens=12, temperature=0, repetition_penalty=1.5)
    alone = [generate(model, prompt, max_new_tokens=12, temperature=0, repetition_penalty=1.5) for prompt in prompts]
    assert together == alone
    assert isinstance(together[0], Written)
    assert str(alone[0]) == "fog" + alone[0].text


def test_it_stops_at_the_end_of_the_text() -> None:
    model = writer()
    with torch.no_grad():  # the end is the likeliest from the first token on
        model.net.transformer.ln_f.weight.zero_()
        model.net.transformer.ln_f.bias.copy_(model.net.lm_head.weight[END] * 50)
    found = generate(model, "fog", max_new_tokens=20, temperature=0)
    assert (found.text, found.tokens, found.ended) == ("", 1, "end")
    assert generate(model, "fog", max_new_tokens=20, temperature=0, repetition_penalty=50.0).ended == "end"


def test_the_length_of_the_network_is_the_limit() -> None:
    model = writer()
    found = generate(model, "fog", max_new_tokens=1000, temperature=0)
    assert found.ended in ("room", "end")
    assert found.tokens <= 128
    with pytest.raises(DataError, match=r"The prompt has \d+ tokens, and this network reads 127 at most"):
        generate(model, "fog " * 200)


def test_a_chat_is_answered_after_the_assistants_name() -> None:
    chat = [{"role": "user", "content": "Weather?"}]
    assert byte_tokenizer().decode(prompt_ids(chat, byte_tokenizer())) == (
        "<|endoftext|>User: Weather?\nAssistant:")
    found = generate(writer(), chat, max_new_tokens=3)
    assert found.prompt == chat
    assert str(found) == found.text.strip()
    assert len(generate(writer(), [chat, chat], max_new_tokens=3)) == 2


def test_dropout_is_off_and_training_goes_on_afterwards() -> None:
    model = writer()
    model.net.train()
    generate(model, "fog", max_new_tokens=2)
    assert model.net.training


# --- live -----------------------------------------------------------------------------------------------------------


def test_a_function_gets_every_piece_as_it_comes() -> None:
    model, pieces = writer(), []
    found = generate(model, "fog", max_new_tokens=30, seed=3, stream=pieces.append)
    assert "".join(pieces) == found.text
    assert len(pieces) > 2
    assert "".join(stream(model, "fog", max_new_tokens=30, seed=3)) == found.text


def test_half_characters_wait_for_the_other_half() -> None:
    from ftkit.training.generating import _Job, _Tokens

    ids = byte_tokenizer()("aü€b")["input_ids"]
    job = _Job.prepare(writer(), ["x"], Sampling(), 9, 0)
    pieces: list[str] = []
    shown = _Tokens(job, pieces.append)
    for token in [[0], *([i] for i in ids)]:
        shown.put(torch.tensor(token))
    shown.end()
    assert pieces == ["a", "ü", "€", "b"]


def test_what_was_written_before_ctrl_c_is_returned() -> None:
    seen: list[str] = []

    def stop_after_three(piece: str) -> None:
        seen.append(piece)
        if len(seen) == 3:
            raise KeyboardInterrupt

    found = generate(writer(), "fog", max_new_tokens=50, seed=3, stream=stop_after_three)
    assert found.ended == "interrupted"
    assert found.text == "".join(seen)


def test_leaving_the_loop_ends_the_writing() -> None:
    import threading

    before = threading.active_count()
    for _ in stream(writer(), "fog", max_new_tokens=100, seed=3):
        break
    assert threading.active_count() == before


def test_an_error_reaches_the_loop() -> None:
    with pytest.raises(UserError, match="temperature must be"):
        list(stream(writer(), "fog", temperature=-1))


def test_a_terminal_shows_prompt_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    found = generate(writer(), "fog", max_new_tokens=9, stream=True)
    assert capsys.readouterr().out == f"fog{found.text}\n"


def test_a_notebook_shows_one_field_that_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, str]] = []
    handle = types.SimpleNamespace(display=lambda bundle, raw: shown.append(bundle),
                                   update=lambda bundle, raw: shown.append(bundle))
    fake = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(kernel=1),
                                 display=types.SimpleNamespace(DisplayHandle=lambda: handle))
    monkeypatch.setitem(sys.modules, "IPython", fake)
    found = generate(writer(), "<fog>", max_new_tokens=9, stream=True)
    assert shown[0]["text/plain"] == "<fog>"
    assert shown[-1]["text/plain"] == f"<fog>{found.text}"
    assert "&lt;fog&gt;" in shown[-1]["text/html"]


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "words"), [
    ({"max_new_tokens": 0}, "max_new_tokens must be"), ({"max_new_tokens": True}, "max_new_tokens must be"),
    ({"seed": -1}, "seed must be"), ({"top_p": 2}, "top_p must be"), ({"prompt": ["a", "b"], "stream": True},
                                                                       "give one prompt")])
def test_controls_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        generate(writer(), **{"prompt": "fog", **options})


@pytest.mark.parametrize(("prompt", "words"), [([], "no prompt"), ([3], "not int: 3"),
                                               ([{"role": "cook", "content": "a"}], "'system' or 'user'")])
def test_what_is_no_prompt(prompt: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        generate(writer(), prompt)


def test_a_classifier_does_not_write() -> None:
    with pytest.raises(UserError, match="this model is for text-classification"):
        generate(tiny("bert"), "fog")


def test_misspelt_controls() -> None:
    with pytest.raises((TypeError, UnknownName)):
        generate(writer(), "fog", temprature=1)
