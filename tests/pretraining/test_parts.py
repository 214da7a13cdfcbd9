"""The parts of the recipes against what can be worked out by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from ftkit.errors import DataError
from ftkit.pretraining.bert_mini import BertMini, sentence_mean, word_means
from ftkit.pretraining.gpt2_mini import encode_books, load_tokenizer, mean_loss, next_token_loss, train_tokenizer
from ftkit.pretraining.images import ImageRecipe
from ftkit.pretraining.kneser_ney import KneserNey
from ftkit.pretraining.photos import PREPROCESS, first_of_each, paste_windows, random_windows, view
from ftkit.pretraining.recipe import Recipe, half
from ftkit.pretraining.resnet_mini import ResNetMini
from ftkit.pretraining.texts import book_paragraphs, read_paragraphs, sentences
from ftkit.pretraining.vgg_mini import VGGMini
from ftkit.pretraining.wav2vec2_mini import collate, greedy, plan_utterances, spelt
from ftkit.tasks.spelling import error_rates


def test_kneser_ney_gives_probabilities() -> None:
    """After any history, over all tokens, they sum to one: known histories and unknown ones."""
    tokens = np.random.default_rng(0).integers(0, 6, 300)
    model = KneserNey(tokens, 7, order=3)
    for history in itertools.product(range(7), repeat=2):
        total = sum(model.probabilities(np.array([*history, token]))[0] for token in range(7))
        assert total == pytest.approx(1)


def test_kneser_ney_by_hand() -> None:
    """Tokens 0 1 0 1 0 2: the pairs are 01 twice, 10 twice, 02 once."""
    model = KneserNey(np.array([0, 1, 0, 1, 0, 2]), 3, order=2)
    pairs, singles = model.levels[1][-1], model.levels[0][-1]
    assert pairs == pytest.approx(1 / (1 + 2 * 2))
    assert singles == pytest.approx(0.75)  # 10, 01, 02: every token has one predecessor, so there is no pair of counts
    after_any = (1 - 0.75) / 3 + 0.75 * 3 / 3 * (1 / 3)
    assert model.probabilities(np.array([0, 1]))[0] == pytest.approx((2 - 0.2) / 3 + 0.2 * 2 / 3 * after_any)
    assert model.probabilities(np.array([2, 1]))[0] == pytest.approx(after_any)  # nothing was seen after 2


def test_kneser_ney_knows_what_follows() -> None:
    rng = np.random.default_rng(0)
    text = np.tile(np.arange(20), 50)
    assert KneserNey(text, 20, order=3).loss(text) < 0.2
    assert KneserNey(rng.permutation(text), 20, order=3).loss(rng.permutation(text)) > 2.5
    with pytest.raises(ValueError, match="63 bits"):
        KneserNey(text, 50_000, order=5)


def test_views_stay_within_the_photo_and_differ() -> None:
    images = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    views = view(images, random_windows(16, np.random.default_rng(0)), 48)
    assert views.shape == (16, 3, 48, 48)
    assert views.min() >= images.min() - 1e-6
    assert views.max() <= images.max() + 1e-6
    assert torch.equal(views, view(images, random_windows(16, np.random.default_rng(0)), 48))
    assert not torch.allclose(views, view(images, random_windows(16, np.random.default_rng(1)), 48))


def test_a_view_is_a_window_mirrored_half_the_time() -> None:
    """Of a picture that gets brighter to the right: each view does too, or exactly the other way round."""
    images = torch.linspace(0, 1, 64).expand(400, 3, 64, 64)
    rows = view(images, random_windows(400, np.random.default_rng(0)), 64)[:, 0, 32]
    rising = (rows.diff(dim=1) > -1e-4).all(1)
    falling = (rows.diff(dim=1) < 1e-4).all(1)
    assert (rising | falling).all()
    assert 150 < rising.sum() < 250
    assert (rows.max(1).values - rows.min(1).values).min() > 0.4  # no less than a third of the area


def test_a_pasted_window_is_as_large_as_is_said() -> None:
    images = torch.zeros(4, 3, 32, 32)
    images[1] = 1  # its neighbour in the batch is the one before it: photo 2 gets a window of photo 1
    share = paste_windows(images, np.random.default_rng(2))
    assert 0 < share < 1
    assert images[2].mean().item() == pytest.approx(1 - share)
    assert images[1].mean().item() == pytest.approx(share)
    assert images[0].sum() == images[3].sum() == 0


def test_photos_grow_during_the_run() -> None:
    recipe = ResNetMini(Path(), steps=1000)
    edges = [recipe._edge(step) for step in range(1000)]
    assert edges == sorted(edges)
    assert (edges[0], edges[-1]) == ImageRecipe.sizes
    assert set(edges) == {40, 48, 56, 64}
    assert edges[700 * recipe._ends[0] // 1000] == 64


def test_a_second_cycle_has_a_rise_and_a_fall_of_its_own() -> None:
    recipe = ResNetMini(Path(), steps=400)
    rates = [recipe.cycles[0].lr * recipe.rate(step) for step in range(400)]
    parts = [rates[:220], rates[220:320], rates[320:]]
    assert [max(part) for part in parts] == pytest.approx([cycle.lr for cycle in recipe.cycles])
    assert all(part[-1] < 0.01 * max(part) for part in parts)
    assert rates[220] < max(parts[1])


def test_the_mean_of_the_cycles_ends(tmp_path: Path) -> None:
    """Weights that are 1, 4 and 10 at the ends give 5, and BatchNorm's statistics are taken anew."""
    recipe = ResNetMini(Path(), steps=3)
    recipe.work, recipe.images = tmp_path, torch.full((6, 3, 64, 64), 200, dtype=torch.uint8)
    recipe.labels = torch.zeros(6, dtype=torch.long)
    net = recipe.build()
    for number, value in ((1, 1.0), (2, 4.0), (3, 10.0)):
        torch.nn.init.constant_(net.fc.weight, value)  # type: ignore[union-attr, arg-type]
        if number < 3:
            recipe._keep(net, number)
    recipe.average(net)
    assert torch.allclose(net.fc.weight, torch.tensor(5.0))  # type: ignore[union-attr, arg-type]
    seen = net.conv1(PREPROCESS.normalise(recipe.images)).mean((0, 2, 3))  # type: ignore[operator]
    assert torch.allclose(net.bn1.running_mean, seen, atol=1e-4)  # type: ignore[union-attr, arg-type]
    assert net.bn1.momentum == 0.1  # type: ignore[union-attr]
    assert not net.training


@pytest.mark.parametrize(("recipe", "steps"), [
    (VGGMini(Path(), steps=320), range(200)), (VGGMini(Path(), steps=320), range(200, 320)),
    (BertMini(Path(), steps=200), range(200))], ids=["vgg, first cycle", "vgg, second cycle", "bert"])
def test_the_rate_rises_and_falls_to_nothing(recipe: Recipe, steps: range) -> None:
    rates = [recipe.rate(step) for step in steps]
    top = rates.index(max(rates))
    assert max(rates) == 1.0
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top + 1 :] == sorted(rates[top + 1 :], reverse=True)
    assert 0 < rates[0] < 0.2
    assert rates[-1] < 0.001


def test_vgg_learns_from_whole_photos_after_its_first_cycle_and_only_then_counts() -> None:
    """Five halvings leave one place of a photo under 64 pixels: what is learnt there is a start, and not averaged."""
    recipe = VGGMini(Path(), steps=320)
    edges = [recipe._edge(step) for step in range(320)]
    assert set(edges[:200]) == {40, 48, 56}
    assert set(edges[200:]) == {64}
    net = recipe.build()
    recipe.images, recipe.labels = torch.randint(0, 255, (8, 3, 64, 64), dtype=torch.uint8), torch.zeros(8)
    before = net.features[0].weight.clone()  # type: ignore[index, union-attr]
    recipe.average(net)  # the end of the first cycle is not even looked for
    assert torch.equal(net.features[0].weight, before)  # type: ignore[index, union-attr]


def test_an_epoch_goes_through_all_examples_once() -> None:
    recipe = ResNetMini(Path(), seed=1)
    first = np.concatenate([recipe.shuffled(40, 8, step) for step in range(5)])
    second = np.concatenate([recipe.shuffled(40, 8, step) for step in range(5, 10)])
    assert sorted(first) == sorted(second) == list(range(40))
    assert list(first) != list(second)
    assert list(recipe.shuffled(40, 8, 3)) == list(first[24:32])  # also when asked out of order


def test_word_means_by_hand() -> None:
    states = torch.tensor([[1.0, 0], [3, 0], [5, 2], [0, 0], [7, 7], [9, 9]])
    rows = {(0, -1): [0], (0, 0): [1, 2], (1, 0): [4, 5]}
    assert word_means(states, rows, [(0, 0), (1, 0)]).tolist() == [[4, 1], [8, 8]]
    assert sentence_mean(states, rows, 2).tolist() == [[3, pytest.approx(2 / 3)], [8, 8]]


def test_next_token_loss_is_the_usual_one(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    net = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=32, n_embd=16, n_layer=1, n_head=2)).eval()
    rows = torch.randint(0, 50, (3, 17))
    theirs = net(input_ids=rows, labels=rows).loss
    assert next_token_loss(net, rows).mean().item() == pytest.approx(theirs.item(), abs=1e-5)
    with torch.no_grad():
        assert mean_loss(net, rows.flatten(), 16) == pytest.approx(np.log(50), rel=0.05)


def test_books_are_held_out_whole(tmp_path: Path) -> None:
    lines = ["One two three.", "Four five.", "", "Six seven.", "", "Eight nine ten."]
    train_tokenizer(lines * 20, tmp_path / "tokenizer.json")
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json")
    train, valid = encode_books(tokenizer, lines)
    assert tokenizer.decode(train) == "One two three.\nFour five.\n<|endoftext|>Six seven.\n<|endoftext|>"
    assert tokenizer.decode(valid) == "Eight nine ten.\n<|endoftext|>"


def test_texts_are_read_packed_or_plain(tmp_path: Path) -> None:
    import lzma

    (tmp_path / "stories.txt").write_text("A tale.\n\nAnother.", encoding="utf8")
    (tmp_path / "prose.txt.xz").write_bytes(lzma.compress("Ein Käse.".encode()))
    assert read_paragraphs(tmp_path) == ["A tale.", "", "Another.", "Ein Käse."]
    with pytest.raises(DataError, match=r"prose\.txt"):
        read_paragraphs(Path("nowhere"), ("prose",))


def test_sentences_are_cut_at_their_ends() -> None:
    text = 'He came home at last. "Where were you?" she asked. Mr. Fox said nothing at all! Go.'
    assert sentences([text]) == ["He came home at last.", '"Where were you?" she asked.', "Fox said nothing at all!"]


def test_a_gutenberg_file_loses_its_licence() -> None:
    text = ("Produced by volunteers\r\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\r\n\r\nCHAPTER I\r\n\r\n"
            "It was a cold day, and the\r\nwind blew hard from the sea.\r\n\r\n"
            "*** END OF THE PROJECT GUTENBERG EBOOK X ***\r\nLicence, and much more text that nobody reads at all.")
    assert book_paragraphs(text) == ["It was a cold day, and the wind blew hard from the sea."]


def test_the_first_of_each_class() -> None:
    assert first_of_each([0, 0, 1, 0, 1, 1], 2) == [0, 1, 2, 4]


def test_storage_in_16_bits_spares_vectors_and_counters() -> None:
    state = half({"w": torch.randn(2, 2), "b": torch.tensor([1e-7]), "n": torch.tensor(3)})
    assert state["w"].dtype == torch.float16
    assert state["b"].dtype == torch.float32
    assert state["n"].dtype == torch.int64


@pytest.mark.parametrize(("one", "other", "distance"), [("kitten", "sitting", 3), ("flaw", "lawn", 2),
                                                        ("same", "same", 0), ("", "abc", 3)])
def test_the_error_rate_counts_edits(one: str, other: str, distance: int) -> None:
    assert error_rates([one], [other])["cer"] == pytest.approx(distance / len(other))


def test_repeats_and_blanks_fall_out() -> None:
    a, b = 4, 5
    assert greedy([0, a, a, 0, a, b, b, 2, 2, b, 0]) == "aab b"
    assert greedy([0, 0, 2]) == ""


def test_only_letters_are_spelt() -> None:
    assert spelt("Mr. O'Neil's 2nd -- CAKE!") == "mr o'neil's nd cake"


def test_every_voice_reads_as_often_and_what_stands_in_the_sentences() -> None:
    lines = ["the old fox ran over a red hill", "nine small boats lay on the cold sea while gulls cried out again"]
    plan = plan_utterances(lines, 160, np.random.default_rng(0))
    counts = np.bincount([voice for voice, _ in plan])
    assert counts.max() - counts.min() <= 1
    assert all(any(text in line for line in lines) for _, text in plan)
    assert {1, 2, 3, 8} <= {len(text.split()) for _, text in plan}


def test_clips_are_padded_and_even() -> None:
    inputs, labels = collate([(np.array([0.0, 2, 4], dtype=np.float32), "a b"),
                              (np.array([5.0, 7], dtype=np.float32), "c")])
    assert inputs["input_values"].tolist() == [[pytest.approx(-1.2247, abs=1e-3), 0, pytest.approx(1.2247, abs=1e-3)],
                                               [-1, 1, 0]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert labels.tolist() == [[4, 2, 5], [6, -100, -100]]
