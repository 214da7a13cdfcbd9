"""Causal language modelling: what is predicted, what is not, and that every number counts tokens."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from writers import FAMILIES, byte_tokenizer, log_data, writer

from ftkit.backbones import load_backbone
from ftkit.errors import DataError, UserError
from ftkit.strategies import Custom
from ftkit.tasks import CausalLM
from ftkit.tasks.causal_lm import HIDDEN, looks_ahead
from ftkit.training import TrainSession, evaluate, fit, predict
from ftkit.training.inference import infer

TASK = CausalLM(())
END = 0  # the end token of the byte tokenizer


def spelt(text: str) -> list[int]:
    return list(byte_tokenizer()(text)["input_ids"])


def row(inputs: list[Any], targets: list[Any] | None = None, task: CausalLM = TASK) -> list[tuple[Any, Any, int]]:
    encoded = task.encode(inputs, targets or [None] * len(inputs), byte_tokenizer())
    return [(ids.tolist(), labels.tolist(), size) for ids, labels, size in encoded.features]


# --- what is predicted ----------------------------------------------------------------------------------------------


def test_every_token_of_a_text_is_predicted_the_first_and_the_end_too() -> None:
    assert byte_tokenizer().eos_token_id == END
    text = "fog, all day"
    ((ids, labels, size),) = row([text])
    assert ids == [END, *spelt(text)]
    assert labels == [*spelt(text), END]
    assert size == 12


def test_bytes_are_those_of_utf_8() -> None:
    assert row(["Müller"])[0][2] == 7


def test_of_a_prompt_nothing_is_learned() -> None:
    ((ids, labels, size),) = row(["Weather:"], [" fog"])
    prompt, answer = spelt("Weather:"), spelt(" fog")
    assert ids == [END, *prompt, *answer]
    assert labels == [HIDDEN] * len(prompt) + [*answer, END]
    assert size == 4


def test_of_a_chat_only_what_the_assistant_says_is_learned() -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": "Fog."}, {"role": "user", "content": "And now?"},
            {"role": "assistant", "content": "Rain."}]
    ((ids, labels, size),) = row([chat], [None])
    learned = byte_tokenizer().decode([label for label in labels if label != HIDDEN])
    assert learned == " Fog.<|endoftext|> Rain.<|endoftext|>"
    whole = byte_tokenizer().decode(ids)
    assert whole.startswith("<|endoftext|>System: Be brief.\nUser: Weather?\nAssistant: Fog.<|endoftext|>\nUser: And")
    assert size == len("Fog.Rain.")


def test_a_chat_template_of_the_tokenizer_is_used() -> None:
    from copy import deepcopy

    own = deepcopy(byte_tokenizer())
    own.chat_template = ("{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
                         "{% if add_generation_prompt %}<assistant>{% endif %}")
    encoded = TASK.encode([[{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b!"}]], [None], own)
    ids, labels, _ = encoded.features[0]
    assert own.decode(ids) == "<user>a?</s><assistant>b!</s"
    assert own.decode([label for label in labels if label != HIDDEN]) == "b!</s>"


def test_a_template_that_rewrites_the_past_is_refused() -> None:
    from copy import deepcopy

    own = deepcopy(byte_tokenizer())
    own.chat_template = "{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}"
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    with pytest.raises(DataError, match="rewrites what was said before"):
        TASK.encode([[*chat, *chat]], [None], own)
    own.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(DataError, match="refuses a chat: roles must alternate"):
        TASK.encode([chat], [None], own)


@pytest.mark.parametrize(("item", "target", "words"), [
    (3, None, "not from int: 3"), ("text", {"chosen": "a"}, "not from dict"),
    ([{"role": "captain", "content": "Aye"}], None, "'system' or 'user' or 'assistant'"),
    ([{"role": "user", "content": None}], None, "a message of a chat is"),
    ([{"role": "user", "content": "Hello"}], None, "something that the assistant says")])
def test_what_is_no_text_is_named(item: Any, target: Any, words: str) -> None:
    with pytest.raises(DataError, match=f"(?i){words}"):
        TASK.encode([item], [target], byte_tokenizer())


def test_a_tokenizer_without_an_end_is_refused() -> None:
    from nets import tokenizer

    with pytest.raises(DataError, match="no end-of-text token"):
        TASK.encode(["film"], [None], tokenizer())


# --- blocks ---------------------------------------------------------------------------------------------------------


def test_long_documents_are_cut_and_no_token_is_lost_or_counted_twice() -> None:
    text = " ".join(log_data().train.inputs[:6])
    whole = [END, *spelt(text), END]
    rows = row([text], task=CausalLM((), block=16))
    assert max(len(ids) for ids, _, _ in rows) == 16
    assert [label for _, labels, _ in rows for label in labels] == whole[1:]
    assert [token for ids, _, _ in rows for token in ids] == whole[:-1]
    assert [size for _, _, size in rows] == [len(text)] + [0] * (len(rows) - 1)
    assert len(row([text], task=CausalLM((), block=10_000))[0][0]) == 128  # the network's own room


def test_pieces_inside_a_long_prompt_are_left_out() -> None:
    rows = row(["fog " * 60], ["and rain"], CausalLM((), block=16))
    assert len(rows) < 3
    assert [label for _, labels, _ in rows for label in labels if label != HIDDEN] == [*spelt("and rain"), END]


def test_scores_are_of_documents_whatever_they_were_cut_into() -> None:
    """A piece begins without context, so its loss differs: but the tokens and bytes are those of the documents."""
    data = log_data()
    model = writer(block=16)
    encoded = model.task.encode(data.valid.inputs, data.valid.targets, model.processor)
    assert len(encoded) > len(data.valid)
    scores = evaluate(model, data.valid)
    assert len(scores.losses) == len(data.valid)
    answers, losses = infer(model.net, model.task, encoded, model.processor, 4, "fp32")
    joined, each = model.task.joined(encoded, answers, losses)
    assert joined[:, 0].tolist() == [len(spelt(text)) + 1 for text in data.valid.inputs]
    assert joined[:, 2].tolist() == [len(text) for text in data.valid.inputs]
    assert (joined[:, 0] * each).sum() == pytest.approx((answers[:, 0] * losses).sum(), rel=1e-6)


# --- the loss -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_transformers(family: str) -> None:
    """Theirs shifts the labels itself and averages; ours is a sum with its count."""
    model = writer(family)
    encoded = TASK.encode(["fog all day", "the goat ate the chart"], [None, " and slept"], model.processor)
    batch = TASK.collate(encoded, [0, 1], model.processor)
    sums = TASK.loss(model.net, batch)
    whole = torch.cat([batch["input_ids"], torch.zeros(2, 1, dtype=torch.long)], 1)
    labels = torch.cat([torch.full((2, 1), HIDDEN), batch["labels"]], 1)
    theirs = model.net(input_ids=whole, labels=labels, attention_mask=torch.ones_like(whole)).loss
    assert sums.n == (batch["labels"] != HIDDEN).sum()
    assert sums.total.item() / sums.n == pytest.approx(theirs.item(), abs=1e-5)
    assert sums.total.dtype == torch.float32
    rows = TASK.losses(sums.logits, batch) * (batch["labels"] != HIDDEN).sum(-1)
    assert rows.sum().item() == pytest.approx(sums.total.item(), abs=1e-3)


def test_padding_changes_nothing() -> None:
    model = writer()
    encoded = TASK.encode(["fog", "the goat ate the chart and all the sails"], [None, None], model.processor)
    together = TASK.losses(TASK.forward(model.net, batch := TASK.collate(encoded, [0, 1], model.processor)), batch)
    for i in (0, 1):
        alone = TASK.collate(encoded, [i], model.processor)
        assert TASK.losses(TASK.forward(model.net, alone), alone).item() == pytest.approx(together[i].item(), abs=1e-5)
    wide = CausalLM((), pad_to=32).collate(encoded, [0], model.processor)
    assert wide["input_ids"].shape == (1, 32)


def test_long_rows_do_not_weigh_more_or_less_than_their_tokens() -> None:
    """Accumulating two batches of very different numbers of tokens gives the gradient of both at once."""
    data = log_data(8)
    gradients = []
    for size, accumulate in ((8, 1), (2, 4)):
        model = writer()
        session = TrainSession(model, data, "full", epochs=1, batch_size=size, accumulate=accumulate, clip=None,
                               precision="fp32", on_gradients=lambda step, model=model: gradients.append(
                                   torch.cat([p.grad.flatten() for p in model.net.parameters()]).clone()))
        session.step()
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


# --- scores ---------------------------------------------------------------------------------------------------------


def test_scores_by_hand() -> None:
    model, data = writer(), log_data()
    scores = evaluate(model, data.valid)
    nats, tokens, right = 0.0, 0, 0
    for text in data.valid.inputs:
        ids = torch.tensor([[END, *spelt(text), END]])
        logits = model.net(ids[:, :-1]).logits
        nats += F.cross_entropy(logits[0], ids[0, 1:], reduction="sum").item()
        tokens += ids.shape[1] - 1
        right += int((logits[0].argmax(-1) == ids[0, 1:]).sum())
    assert list(scores) == ["accuracy", "perplexity", "bits_per_byte", "loss"]
    assert scores["loss"] == pytest.approx(nats / tokens, abs=1e-5)
    assert scores["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-4)
    assert scores["bits_per_byte"] == pytest.approx(nats / math.log(2) / sum(map(len, data.valid.inputs)), abs=1e-5)
    assert scores["accuracy"] == pytest.approx(right / tokens)
    assert scores.probabilities.shape == (len(data.valid), 0)


def test_a_network_that_knows_nothing_needs_the_bits_of_its_vocabulary() -> None:
    model = writer("llama")
    torch.nn.init.zeros_(model.net.lm_head.weight)
    assert evaluate(model, log_data().valid)["perplexity"] == pytest.approx(len(byte_tokenizer()), rel=1e-4)


def test_a_batch_of_a_large_vocabulary_is_cut_before_its_logits_fill_the_memory(monkeypatch: Any) -> None:
    monkeypatch.setattr("ftkit.tasks.causal_lm._MOST_LOGITS", 1)
    seen = []
    data, model = log_data(), writer(block=16)
    monkeypatch.setattr(CausalLM, "forward", lambda self, net, batch, old=CausalLM.forward: (
        seen.append(batch["input_ids"].numel()), old(self, net, batch))[1])
    few = evaluate(model, data.valid)
    assert max(seen) <= 16
    monkeypatch.undo()
    assert dict(few) == pytest.approx(dict(evaluate(model, data.valid)), rel=1e-5)


# --- in the loop ----------------------------------------------------------------------------------------------------


def test_it_learns_and_keeps_the_epoch_of_the_least_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = writer(), log_data()
    before = evaluate(model, data.valid)["loss"]
    history = fit(model, data, epochs=6, lr=1e-2, batch_size=8, precision="fp32")
    losses = [row["valid_loss"] for row in history.epochs]
    assert min(losses) < 0.8 * before
    assert history.best_epoch == int(np.argmin(losses))
    assert evaluate(model, data.valid)["loss"] == pytest.approx(min(losses), abs=1e-5)
    assert {"perplexity", "bits_per_byte", "accuracy"} <= set(history.epochs[0])


def test_the_best_epoch_is_not_the_one_of_the_best_guesses() -> None:
    from ftkit.training import epochs

    session = TrainSession(writer(), log_data(), epochs=3)
    for accuracy, loss in ((0.5, 2.0), (0.4, 1.0), (0.6, 3.0)):
        session.history.epochs.append({"accuracy": accuracy, "valid_loss": loss})
        epochs.keep_best(session, session.history.epochs[-1])
    assert session.history.best_epoch == 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("cut", [1, 3, 4])
def test_cached_and_uncached_losses_agree(family: str, cut: int) -> None:
    found = []
    for cache in ("off", "auto"):
        model = writer(family)
        plan = Custom(dict.fromkeys(model.layers.names[cut:], 1))
        history = fit(model, log_data(16), plan, epochs=3, lr=3e-3, batch_size=8, cache=cache, precision="fp32",
                      keep_best=False)
        found.append([row["loss"] for row in history.steps] + [row["valid_loss"] for row in history.epochs])
        assert history.epochs[-1]["cached"] == (cut if cache == "auto" else 0)
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_the_worst_texts_as_a_table_and_no_picture_of_answers() -> None:
    from ftkit.viz import confusion, top_losses, top_losses_frame

    model, data = writer(), log_data()
    scores = evaluate(model, data.valid)
    table = top_losses_frame(scores, 3)
    assert table.columns.tolist() == ["row", "input", "loss"]
    assert table.loss.tolist() == sorted(scores.losses, reverse=True)[:3]
    assert table.input[0] == data.valid.inputs[table.row[0]]
    with pytest.raises(UserError, match="top_losses_frame lists the texts"):
        top_losses(scores)
    with pytest.raises(UserError):
        confusion(scores)
    history = fit(model, data, epochs=1, precision="fp32")
    assert f"validation perplexity {history.epochs[0]['perplexity']:.1f}" in repr(history)


def test_predict_sends_to_generate() -> None:
    with pytest.raises(UserError, match=r"ft\.generate\(model, prompt\)"):
        predict(writer(), "Day 1.")


# --- networks and files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_layers(family: str) -> None:
    """Every parameter once; the final norm and the way out are the head, unless the way out is the way in."""
    model = writer(family)
    sizes = model.layers.sizes
    assert sum(sizes.values()) == model.parameters == sum(p.numel() for p in set(model.net.parameters()))
    assert model.layers.names == ["stem", "block 0", "block 1", "block 2", "head"]
    tied = model.net.get_output_embeddings().weight is model.net.get_input_embeddings().weight
    assert tied is (family != "llama")
    assert ("lm_head.weight" in model.layers["head"].parameters) is not tied
    assert any("norm" in model.layers.kinds[name] for name in model.layers["head"].parameters)
    assert next(model.layers.kinds[name] for name in model.layers["stem"].parameters) == "embedding"
    assert not any("norm" in name.split(".")[1] for name in model.layers["block 2"].parameters)


def test_looking_ahead_is_found_out() -> None:
    from transformers import BertConfig, BertLMHeadModel

    small = {"vocab_size": 30, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
             "intermediate_size": 48}
    assert looks_ahead(BertLMHeadModel(BertConfig(**small)).eval())
    assert not any(looks_ahead(writer(family).net) for family in FAMILIES)


def test_bert_cannot_write() -> None:
    with pytest.raises(UserError, match="reads in both directions"):
        load_backbone("bert-mini", TASK)


def test_gpt2_mini_keeps_its_head_and_writes_as_it_is(tmp_path: Path) -> None:
    model = load_backbone("gpt2-mini", TASK)
    assert model.net.lm_head.weight is model.net.transformer.wte.weight
    assert model.parameters == 4_339_200
    assert load_backbone("gpt2-mini").task == TASK
    assert model.origin == "pretrained, from ftkit itself, with its own head: nothing is fresh"


def test_a_body_without_a_way_out_gets_one_and_the_loader_says_so(tmp_path: Path) -> None:
    model = writer("llama")
    model.net.model.save_pretrained(tmp_path)
    model.processor.save_pretrained(tmp_path)
    loaded = load_backbone(tmp_path, TASK)
    assert loaded.origin.endswith("but with random weights for lm_head.weight")
    assert torch.equal(loaded.net.model.norm.weight, model.net.model.norm.weight)
    writer("qwen2").net.model.save_pretrained(tmp_path)  # here the way in is the way out
    assert load_backbone(tmp_path, TASK).origin.endswith("nothing is fresh")


@pytest.mark.parametrize("family", FAMILIES)
def test_saved_as_a_plain_transformers_folder(family: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = writer(family, block=64)
    fit(model, log_data(8), epochs=1, lr=1e-2, precision="fp32")
    model.save(tmp_path)
    ids = torch.tensor([[END, *spelt("fog all day")]])
    plain = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(plain(ids).logits, model.net(ids).logits)
    assert AutoTokenizer.from_pretrained(tmp_path)("fog")["input_ids"] == spelt("fog")
    again = load_backbone(tmp_path)
    assert again.task == model.task
    (tmp_path / "ftkit.json").unlink()
    assert load_backbone(tmp_path).task == TASK
