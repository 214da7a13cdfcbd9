"""Every recipe, made tiny: it trains, is resumed exactly, and what it writes opens again."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from PIL import Image
from safetensors.torch import load_file
from test_teacher import SeesColours

from ftkit.backbones.saving import load_weights
from ftkit.backbones.small import build_small
from ftkit.disk import file_sha256
from ftkit.errors import UserError, WeightsError
from ftkit.pretraining.__main__ import RECIPES, main, make, recipe_class
from ftkit.pretraining.bert_mini import BertMini
from ftkit.pretraining.gpt2_mini import GPT2Mini
from ftkit.pretraining.images import TRAIN, VALID, ImageRecipe
from ftkit.pretraining.loop import Run
from ftkit.pretraining.resnet_mini import ResNetMini
from ftkit.pretraining.wav2vec2_mini import VOCABULARY, Wav2Vec2Mini, collate, greedy

_WORDS = ["the", "old", "fox", "ran", "over", "a", "red", "hill", "and", "saw", "nine", "small", "boats", "on", "cold",
          "sea", "while", "gulls", "cried", "out"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the form of Tiny ImageNet, with 12 photos of 3 colours; batches of 4."""
    rng = np.random.default_rng(0)
    for name, count in ((TRAIN, 12), (VALID, 9)):
        rows = []
        for i in range(count):
            pixels = rng.integers(0, 60, (64, 64, 3))
            pixels[..., i % 3] += 180
            file = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG")
            rows.append(file.getvalue())
        table = pa.table({"image": rows, "label": [i % 3 for i in range(count)]})
        names = b"n01\tred thing, scarlet\nn02\tgreen thing\nn03\tblue thing"
        pq.write_table(table.replace_schema_metadata({b"classes": names}), tmp_path / name)
    monkeypatch.setattr(ImageRecipe, "batch_size", 4)
    return tmp_path


@pytest.fixture
def quick_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher that costs nothing, for what does not depend on its answers; one recipe asks the real one."""
    monkeypatch.setattr("ftkit.pretraining.teacher.load_teacher", SeesColours)


def smaller(monkeypatch: pytest.MonkeyPatch, kind: str, **sizes: int) -> None:
    """Let a recipe build its network with these sizes instead of its own: Muon's steps take seconds at full size."""
    import transformers

    config = getattr(transformers, kind)
    monkeypatch.setattr(transformers, kind, lambda **options: config(**options | sizes))


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Three short books of each kind."""
    rng = np.random.default_rng(0)
    for kind in ("stories", "prose"):
        paragraphs = [". ".join(" ".join(rng.choice(_WORDS, 7)).capitalize() for _ in range(4)) + "."
                      for _ in range(120)]
        text = "\n\n".join("\n".join(paragraphs[i : i + 40]) for i in (0, 40, 80))
        (tmp_path / f"{kind}.txt").write_text(text, encoding="utf8")
    return tmp_path


def test_a_recipe_writes_weights_preprocessing_and_a_card(photos: Path) -> None:
    out = photos / "out"
    assert make("resnet-mini", photos, out, steps=3, bar=False)
    card = (out / "README.md").read_text()
    assert file_sha256(out / "model.safetensors") in card
    assert "top1" in card
    assert "3 steps" in card
    assert (out / "classes.json").read_text().split('"')[1] == "red thing"
    state = load_file(out / "model.safetensors")
    assert state["conv1.weight"].dtype == torch.float16
    assert state["bn1.running_var"].dtype == torch.float32
    net = build_small("resnet_mini", 200)
    load_weights(net, out)
    assert torch.isfinite(net.eval()(torch.randn(2, 3, 64, 64))).all()


@pytest.mark.usefixtures("quick_teacher")
def test_going_on_from_a_checkpoint_gives_the_same_weights(photos: Path) -> None:
    """Stopped after every single step, or never: bit for bit the same."""
    ends = []
    for minutes, name in ((None, "whole"), (0.0, "in parts")):
        (photos / name).mkdir()
        for _ in range(5):
            recipe = ResNetMini(photos, seed=3, steps=4)  # through all three cycles
            recipe.bar = False
            recipe.prepare(photos)
            run = Run(recipe, photos / name)
            if run.train(minutes):
                break
        assert run.step == 4
        ends.append((run.net.state_dict(), run.rows))
    assert all(torch.equal(a, b) for a, b in zip(ends[0][0].values(), ends[1][0].values(), strict=True))
    assert [row["top1"] for row in ends[0][1]] == [row["top1"] for row in ends[1][1]]


@pytest.mark.usefixtures("quick_teacher")
def test_a_checkpoint_of_another_run_is_refused(photos: Path) -> None:
    assert not make("resnet-mini", photos, photos / "out", steps=4, minutes=0, bar=False)
    with pytest.raises(UserError, match="seed was 0 and is 1"):
        make("resnet-mini", photos, photos / "out", steps=4, seed=1, bar=False)


@pytest.mark.usefixtures("quick_teacher")
def test_a_damaged_checkpoint_is_refused(photos: Path) -> None:
    assert not make("resnet-mini", photos, photos / "out", steps=4, minutes=0, bar=False)
    weights = photos / "out" / "work" / "checkpoint" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged"):
        make("resnet-mini", photos, photos / "out", steps=4, bar=False)


@pytest.mark.usefixtures("quick_teacher")
def test_vgg_trains_too(photos: Path) -> None:
    assert make("vgg-mini", photos, photos / "out", steps=2, bar=False)
    load_weights(build_small("vgg_mini", 200), photos / "out")


def test_bert_begins_as_a_part_of_its_teacher_and_comes_nearer(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BertMini, "batch_size", 8)
    monkeypatch.setattr("ftkit.pretraining.bert_mini.HELD_OUT", 16)
    monkeypatch.setattr("ftkit.pretraining.loop.VALIDATIONS", 1)
    recipe = BertMini(books, steps=6)
    recipe.bar = False
    recipe.prepare(books)
    assert len(recipe.pieces) == len(set(recipe.pieces)) == 6_500
    run = Run(recipe, books)
    words = run.net.get_input_embeddings().weight  # type: ignore[operator]
    teacher = recipe.teacher.get_input_embeddings().weight
    assert torch.equal(words[recipe.pieces.index("sea")], teacher[recipe.teacher_tokenizer.get_vocab()["sea"]])
    with torch.no_grad():
        before = recipe.validate(run.net.eval())
    assert run.train()
    assert run.rows[-1]["valid_loss"] < before["valid_loss"]
    recipe.export(run.net, books / "out")
    from transformers import AutoModel, AutoTokenizer

    net, tokenizer = AutoModel.from_pretrained(books / "out"), AutoTokenizer.from_pretrained(books / "out")
    assert load_file(books / "out" / "model.safetensors")["embeddings.word_embeddings.weight"].dtype == torch.float16
    inputs = tokenizer(["A harpoon, 3 movies."], return_tensors="pt")
    assert tokenizer.unk_token_id not in inputs["input_ids"]
    with torch.no_grad():
        assert torch.allclose(net.eval().float()(**inputs)[0], run.net(**inputs)[0], atol=0.02)


def test_gpt2_learns_and_opens_again(books: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller(monkeypatch, "GPT2Config", n_embd=64, n_layer=2)
    monkeypatch.setattr(GPT2Mini, "batch_size", 4)
    monkeypatch.setattr("ftkit.pretraining.loop.VALIDATIONS", 2)
    recipe = GPT2Mini(books, steps=6)
    recipe.bar = False
    recipe.prepare(books)
    run = Run(recipe, books)
    assert run.train()
    assert run.rows[-1]["valid_loss"] < run.rows[0]["valid_loss"] < 8.5
    recipe.export(run.net, books / "out")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    net, tokenizer = (auto.from_pretrained(books / "out") for auto in (AutoModelForCausalLM, AutoTokenizer))
    assert "lm_head.weight" not in load_file(books / "out" / "model.safetensors")
    ids = tokenizer("The old fox", return_tensors="pt")["input_ids"]
    assert tokenizer.decode(ids[0]) == "The old fox"
    with torch.no_grad():
        assert torch.allclose(net.eval().float()(ids).logits, run.net(ids).logits, atol=0.02)
    assert "Kneser-Ney" in " ".join(recipe.facts())


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Twelve "clips" of noise and some sentences; the voices only hum."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(12):
        file = io.BytesIO()
        soundfile.write(file, rng.normal(0, 0.1, 16_000 + 800 * i).astype(np.float32), 16_000, format="FLAC")
        rows.append(file.getvalue())
    pq.write_table(pa.table({"audio": rows, "text": [f"The old fox, {word}!" for word in _WORDS[:12]]}),
                   tmp_path / "ljspeech-42min.parquet")
    (tmp_path / "ljspeech-transcripts.txt").write_text("\n".join(" ".join(_WORDS[i:]) for i in range(10)))
    return tmp_path


def test_wav2vec2_trains_and_opens_again(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smaller(monkeypatch, "Wav2Vec2Config", hidden_size=64, intermediate_size=128, num_hidden_layers=2)

    def hum(_: Any, text: str) -> np.ndarray:
        return (0.1 * np.sin(np.arange(1600 * len(text.split()) + 4000) / 20)).astype(np.float32)

    for name, value in (("SYNTHETIC", 30), ("speak", hum)):
        monkeypatch.setattr(f"ftkit.pretraining.wav2vec2_mini.{name}", value)
    monkeypatch.setattr(Wav2Vec2Mini, "batch_seconds", 4.0)
    assert make("wav2vec2-mini", clips, clips / "out", steps=3, bar=False)
    assert "cer" in (clips / "out" / "README.md").read_text()
    from transformers import AutoFeatureExtractor, AutoModelForCTC, AutoTokenizer

    net, tokenizer, extractor = (auto.from_pretrained(clips / "out")
                                 for auto in (AutoModelForCTC, AutoTokenizer, AutoFeatureExtractor))
    sound = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    inputs = extractor(sound, sampling_rate=16_000, return_tensors="pt")
    ours, _ = collate([(sound, "a")])
    assert torch.allclose(inputs["input_values"], ours["input_values"], atol=1e-4)
    with torch.no_grad():
        assert net.eval()(**inputs).logits.shape[-1] == len(tokenizer) == len(VOCABULARY)
    row = [VOCABULARY[letter] for letter in "aa|bb"] + [0, VOCABULARY["b"]]
    assert tokenizer.decode(row) == greedy(row) == "a bb"


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_describes_itself(name: str) -> None:
    found = recipe_class(name)
    assert found.name == name
    for words in (found.about, found.data_about, found.weaknesses):
        assert re.search(r"[\w)]\.$", words), words


@pytest.mark.parametrize("name", RECIPES)
def test_missing_data_are_a_clear_error(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: There is n")
    assert "--fetch" in said


def test_an_unknown_recipe_names_the_nearest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resnet-min", "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "'resnet-mini'" in capsys.readouterr().err
