"""Tacotron 2: the paper's sizes, an attention that knows where it looked, an end, and nothing seen of the padding."""

from __future__ import annotations

import warnings
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from ftkit.errors import DataError, UserError
from ftkit.layers import LayerMap
from ftkit.speech.tacotron import (
    Drawn,
    LocationSensitiveAttention,
    Looking,
    Memory,
    Tacotron,
    TacotronConfig,
    guided_attention,
    lstm_step,
    lstm_weights,
    tacotron_layout,
    tacotron_loss,
)

SMALL = TacotronConfig(n_symbols=12, n_mels=6, embedding=16, encoder_lstm=8, attention=12, location_filters=4,
                       location_kernel=5, prenet=12, decoder=24, postnet=8, reduction=2, dropout=0.0, lstm_dropout=0.0)


def make(config: TacotronConfig = SMALL, seed: int = 0) -> Tacotron:
    """Random weights, and BatchNorm statistics that do something."""
    torch.manual_seed(seed)
    net = Tacotron(config).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return net


def batch(seed: int = 0) -> dict[str, Tensor]:
    """Two sentences, the second padded."""
    torch.manual_seed(seed)
    text, mel = torch.randint(2, 12, (2, 7)), torch.randn(2, 11, 6)
    text[1, 4:], mel[1, 6:] = 0, 0
    return {"text": text, "text_lengths": torch.tensor([7, 4]), "mel": mel, "mel_lengths": torch.tensor([11, 6])}


# --- the paper's sizes ------------------------------------------------------------------------------------------


def parameters(c: TacotronConfig) -> int:
    """By hand, from section 2.2 of the paper."""
    width = 2 * c.encoder_lstm
    convs = c.encoder_convs * (c.kernel * c.embedding**2 + 3 * c.embedding)  # bias, and scale and shift of BatchNorm
    encoder = c.n_symbols * c.embedding + convs + 2 * 4 * c.encoder_lstm * (c.embedding + c.encoder_lstm + 2)
    attention = (c.attention * (c.decoder + width + c.location_filters + 2)
                 + 2 * c.location_filters * c.location_kernel)
    decoder = (c.prenet * (c.n_mels + c.prenet) + 4 * c.decoder * (c.prenet + width + c.decoder + 2)
               + 4 * c.decoder * (2 * c.decoder + width + 2))
    out = (c.decoder + width + 1) * (c.n_mels * c.reduction + 1)
    sizes = [c.n_mels, *[c.postnet] * (c.postnet_convs - 1), c.n_mels]
    postnet = sum(a * b * c.kernel + 3 * b for a, b in pairwise(sizes))
    return encoder + attention + decoder + out + postnet


@pytest.mark.parametrize("config", [TacotronConfig(), TacotronConfig.mini(), SMALL])
def test_every_parameter_is_counted(config: TacotronConfig) -> None:
    assert sum(p.numel() for p in Tacotron(config).parameters()) == parameters(config)


def test_the_full_size_is_that_of_the_paper() -> None:
    """With the 148 signs of the widely used open implementations: the 28.2 million that they report."""
    assert parameters(TacotronConfig(n_symbols=148)) == pytest.approx(28.2e6, rel=0.002)
    net = Tacotron()
    assert [tuple(conv.weight.shape) for conv in net.encoder_convs.convs] == [(512, 512, 5)] * 3
    assert (net.encoder_lstm.hidden_size, net.encoder_lstm.bidirectional) == (256, True)
    assert [layer.out_features for layer in net.prenet.layers] == [256, 256]
    assert net.attention.location_conv.weight.shape[::2] == (32, 31)
    assert net.attention.score.in_features == 128
    assert net.attention_lstm.hidden_size == net.decoder_lstm.hidden_size == 1024
    assert len(net.postnet.convs) == 5
    assert net.postnet.convs[1].weight.shape == (512, 512, 5)


def test_the_small_one_fits_into_the_package() -> None:
    assert 2 * parameters(TacotronConfig.mini()) < 12e6


# --- drawing ----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_shapes_with_a_length_that_the_reduction_does_not_divide() -> None:
    drawn = make()(**batch())
    assert drawn.before.shape == drawn.after.shape == (2, 11, 6)
    assert drawn.stop.shape == (2, 6)
    assert drawn.alignment.shape == (2, 6, 7)
    assert torch.allclose(drawn.alignment.sum(-1), torch.ones(2, 6))
    assert (drawn.alignment[1, :, 4:] == 0).all()


@torch.no_grad()
def test_a_sentence_alone_and_in_a_padded_batch_is_drawn_alike() -> None:
    net, both = make(), batch()
    net.prenet.dropout = 0.0  # it is random also in eval mode
    padded = net(**both)
    alone = net(both["text"][1:, :4], torch.tensor([4]), both["mel"][1:, :6], torch.tensor([6]))
    assert torch.allclose(padded.after[1, :6], alone.after[0], atol=1e-5)
    assert torch.allclose(padded.stop[1, :3], alone.stop[0], atol=1e-5)
    assert torch.allclose(padded.alignment[1, :3, :4], alone.alignment[0], atol=1e-6)
    net.embedding.weight[0] = 9.0  # what stands for "nothing" must not matter either
    both["mel"][1, 6:] = 99.0
    assert torch.allclose(net(**both).after[1, :5], alone.after[0, :5], atol=1e-5)


@pytest.mark.parametrize("reduction", [1, 3])
@torch.no_grad()
def test_alone_it_draws_what_it_draws_with_itself_as_teacher(reduction: int) -> None:
    """Two ways through the decoder, one answer."""
    net = make(replace(SMALL, reduction=reduction, mel_mean=-1.0, mel_std=2.0))
    net.prenet.dropout = 0.0
    net.stop.bias.fill_(-50.0)
    text = torch.randint(2, 12, (6,))
    with pytest.warns(UserWarning, match="cut off after 12 frames"):
        spoken = net.generate(text, max_frames=12)
    # The decoder is fed what stands before the postnet: take this from a forward pass, frame by frame.
    mel = torch.zeros(1, 12, 6)
    for _ in range(12 // reduction):
        mel = net(text[None], torch.tensor([6]), mel, torch.tensor([12])).before
    drawn = net(text[None], torch.tensor([6]), mel, torch.tensor([12]))
    assert torch.allclose(spoken.mel, drawn.after[0], atol=1e-4)
    assert torch.allclose(spoken.alignment, drawn.alignment[0], atol=1e-5)


@torch.no_grad()
def test_one_step_is_that_of_torchs_own_lstm() -> None:
    lstm, inputs = nn.LSTM(5, 3, batch_first=True), torch.randn(2, 4, 5)
    state = cell = torch.zeros(2, 3)
    weight, bias = lstm_weights(lstm)
    for t in range(4):
        state, cell = lstm_step(torch.cat((inputs[:, t], state), 1) @ weight.T + bias, cell)
    assert torch.allclose(state, lstm(inputs)[0][:, -1], atol=1e-6)


# --- the attention ----------------------------------------------------------------------------------------------


def attend(attention: LocationSensitiveAttention, weights: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Memory]:
    """Scores over nine equal letters: only where it looked before can make a difference."""
    values = torch.ones(1, 9, 8)
    memory = Memory(values, attention.keys(values), torch.ones(1, 9, dtype=torch.bool) if mask is None else mask)
    now = Looking(torch.ones(1, 5), torch.ones(1, 5), torch.ones(1, 8), weights, weights)
    return attention.scores(now.state, memory, now, attention.filters())[0], memory


@torch.no_grad()
def test_scores_move_with_the_place_that_was_looked_at() -> None:
    torch.manual_seed(0)
    attention = LocationSensitiveAttention(state=5, memory=8, width=6, filters=4, kernel=3)
    eye = torch.eye(9)
    third, fourth = (attend(attention, eye[None, place])[0] for place in (3, 4))
    assert third.std() > 0.01
    assert torch.allclose(third[2:5], fourth[3:6], atol=1e-6)
    assert not torch.allclose(third, fourth, atol=1e-3)
    attention.location.weight.zero_()  # without these features the letters cannot be told apart
    assert attend(attention, eye[None, 3])[0].std() < 1e-6


@torch.no_grad()
def test_a_filter_that_looks_one_letter_back_walks_through_the_sentence() -> None:
    attention = LocationSensitiveAttention(state=5, memory=8, width=6, filters=4, kernel=3)
    for parameter in attention.parameters():
        parameter.zero_()
    attention.location_conv.weight[0, 0, 0] = 1  # of the last step's weights, the letter before
    attention.location.weight[:, 0] = 1
    attention.score.weight.fill_(5)
    weights, seen = torch.eye(9)[None, 0], [0]
    for _ in range(8):
        scores, _ = attend(attention, weights)
        weights = torch.softmax(scores, -1)[None]
        seen.append(int(weights.argmax()))
    assert seen == list(range(9))


@torch.no_grad()
def test_what_lies_behind_the_end_is_never_looked_at() -> None:
    attention = LocationSensitiveAttention(state=5, memory=8, width=6, filters=4, kernel=3)
    scores, _ = attend(attention, torch.eye(9)[None, 3], torch.arange(9)[None] < 5)
    assert (torch.softmax(scores, -1)[5:] == 0).all()


def test_the_guide_likes_the_diagonal() -> None:
    steps, letters = torch.tensor([8, 4]), torch.tensor([8, 4])
    straight = torch.zeros(2, 8, 8)
    straight[0], straight[1, :4, :4] = torch.eye(8), torch.eye(4)
    assert guided_attention(straight, steps, letters) == 0
    first = torch.zeros(1, 2, 2)
    first[0, :, 0] = 1  # the second of two steps looks at the first of two letters: half a sentence away
    expected = (0 + 1 - torch.exp(torch.tensor(-(0.5**2) / (2 * 0.2**2)))) / 2
    assert torch.allclose(guided_attention(first, torch.tensor([2]), torch.tensor([2])), expected)


# --- the end ----------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_it_stops_when_it_says_so_and_else_at_the_greatest_length() -> None:
    net, text = make(), torch.randint(2, 12, (5,))
    net.stop.weight.zero_()
    net.stop.bias.fill_(3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spoken = net.generate(text)
    assert spoken.stopped
    assert spoken.mel.shape == (2, 6)  # one step of two frames
    net.stop.bias.fill_(-3.0)
    with pytest.warns(UserWarning, match="did not find the end of the sentence and was cut off after 15 frames"):
        spoken = net.generate(text, max_frames=15)
    assert not spoken.stopped
    assert spoken.mel.shape == (15, 6)
    assert net.generate(text, max_frames=15, threshold=0.01).stopped


def test_the_stop_signal_is_due_at_the_last_step() -> None:
    """Two frames a step, 11 and 6 frames: steps 0 ... 5 and 0 ... 2; the last says stop."""
    given = batch()
    stop = torch.full((2, 6), -20.0)
    stop[0, 5], stop[1, 2] = 20.0, 20.0
    drawn = Drawn(given["mel"], given["mel"], stop, torch.zeros(2, 6, 7))
    losses = tacotron_loss(drawn, given["mel"], given["mel_lengths"], given["text_lengths"])
    assert losses["mel"] == 0
    assert losses["stop"] < 1e-6
    earlier = tacotron_loss(drawn, given["mel"], given["mel_lengths"], given["text_lengths"], silence=4)
    assert earlier["stop"] > 1
    stop[1, 3:] = 20.0  # behind the end nothing counts
    assert tacotron_loss(drawn, given["mel"], given["mel_lengths"], given["text_lengths"])["stop"] < 1e-6


@torch.no_grad()
def test_equal_seeds_speak_alike_and_dropout_is_on() -> None:
    net, text = make(), torch.randint(2, 12, (5,))
    net.stop.bias.fill_(-9.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(1)
        before = torch.get_rng_state()
        one, same, other = (net.generate(text, 10, seed=seed).mel for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)
    assert torch.equal(torch.get_rng_state(), before)


class Ends(nn.Module):
    """A stop signal that comes after so many steps of each sentence, and no others count."""

    def __init__(self, *steps: int) -> None:
        super().__init__()
        self.steps, self.now = torch.tensor(steps), 0

    def forward(self, drawn: Tensor) -> Tensor:
        self.now += 1
        return torch.where(self.steps == self.now, 9.0, -9.0)[:, None]


@pytest.mark.parametrize("reduction", [1, 3])
@torch.no_grad()
def test_several_sentences_at_once_are_drawn_as_each_alone(reduction: int) -> None:
    net, ends, most = make(replace(SMALL, reduction=reduction)), (5, 99, 2), [40, 7, 23]
    texts = [torch.randint(2, 12, (length,)) for length in (7, 3, 5)]
    net.stop = Ends(*ends)
    together = net.generate_all(texts, most, seed=5)
    assert [len(one.mel) for one in together] == [5 * reduction, 7, 2 * reduction]
    assert [one.stopped for one in together] == [True, False, True]
    for i, one in enumerate(together):
        net.stop = Ends(ends[i])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            alone = net.generate(texts[i], most[i], seed=5)
        assert torch.allclose(one.mel, alone.mel, atol=1e-4)
        assert torch.allclose(one.alignment, alone.alignment, atol=1e-5)
        assert one.stopped == alone.stopped


def test_it_learns_to_read_and_to_stop() -> None:
    """Each letter is two frames of its own pattern. After a few seconds it reads words that it never saw."""
    torch.manual_seed(0)
    patterns = torch.randn(12, 6)

    def words(seed: int, count: int = 24) -> dict[str, Tensor]:
        random = torch.Generator().manual_seed(seed)
        text = torch.stack([torch.randperm(10, generator=random)[:5] + 2 for _ in range(count)])
        text = torch.cat((text, torch.ones(count, 1, dtype=torch.long)), 1)
        mel = patterns[text].repeat_interleave(2, 1)
        return {"text": text, "text_lengths": torch.full((count,), 6), "mel": mel,
                "mel_lengths": torch.full((count,), 12)}

    net = Tacotron(SMALL)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for step in range(150):
        given = words(step)
        losses = tacotron_loss(net.train()(**given), given["mel"], given["mel_lengths"], given["text_lengths"], 5.0)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    unseen, errors = words(10_000, 8), []
    net.eval()
    for text, mel in zip(unseen["text"], unseen["mel"], strict=True):
        spoken = net.generate(text, max_frames=40)
        assert spoken.stopped
        assert abs(len(spoken.mel) - 12) <= 2
        looked = spoken.alignment.argmax(-1)
        assert (looked.diff() >= 0).all()
        frames = min(12, len(spoken.mel))
        errors.append((spoken.mel[:frames] - mel[:frames]).square().mean())
    assert torch.stack(errors).mean() < 0.5 * patterns.var()


# --- freezing, mistakes -----------------------------------------------------------------------------------------


def test_the_map_goes_from_letters_to_picture() -> None:
    layers = LayerMap(make(), tacotron_layout(make()))
    assert layers.names == ["stem", "block 0", "block 1", "block 2", "block 3", "head"]
    assert layers.group_of("attention.location_conv.weight") == "block 1"
    assert layers.group_of("postnet.convs.0.weight") == layers.group_of("stop.bias") == "head"


def test_a_frozen_layer_drops_nothing() -> None:
    net = make(replace(SMALL, dropout=0.0, lstm_dropout=0.5)).train()
    net.prenet.dropout = 0.0
    net.attention_lstm.eval()
    net.decoder_lstm.eval()
    one, other = (net(**batch()).before for _ in range(2))
    assert torch.equal(one, other)
    net.decoder_lstm.train()
    assert not torch.equal(net(**batch()).before, one)


def test_mistakes_are_named() -> None:
    net = make()
    with pytest.raises(DataError, match=r"not \(1, 3\)"):
        net.generate(torch.ones(1, 3, dtype=torch.long))
    with pytest.raises(UserError, match=r"\.eval\(\)"):
        net.train().generate(torch.ones(3, dtype=torch.long))
