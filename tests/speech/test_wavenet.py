"""WaveNet: it never sees what comes, it sees as far back as the papers say, and the fast way gives the same samples."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from ftkit.errors import DataError, UserError
from ftkit.layers import LayerMap
from ftkit.speech.cached import LayerMemory, generate_levels
from ftkit.speech.wavenet import (
    WaveNet,
    WaveNetConfig,
    WaveNetLayer,
    draw,
    mu_law_decode,
    mu_law_encode,
    wavenet_layout,
)

SMALL = WaveNetConfig(stacks=2, layers=3, kernel=2, residual=6, gate=5, skip=12, n_mels=4, hop=20, local=3)


def make(config: WaveNetConfig = SMALL, seed: int = 0) -> WaveNet:
    """Random weights, larger than at birth, so that samples matter."""
    torch.manual_seed(seed)
    net = WaveNet(config).eval().double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(2)
    return net


@pytest.mark.parametrize("kernel", [2, 3])
@torch.no_grad()
def test_a_sample_changes_nothing_before_the_next_one(kernel: int) -> None:
    net = make(replace(SMALL, kernel=kernel))
    mel = torch.randn(1, 4, 4, dtype=torch.float64)
    levels = torch.randint(0, 256, (1, 60))
    before = net(levels, mel)
    for t in (0, 7, 30, 58):
        other = levels.clone()
        other[0, t] = (other[0, t] + 99) % 256
        after = net(other, mel)
        assert torch.equal(after[:, : t + 1], before[:, : t + 1])
        assert not torch.allclose(after[:, t + 1], before[:, t + 1])


@pytest.mark.parametrize(("stacks", "layers", "kernel", "expected"), [
    (1, 10, 2, 1024),  # van den Oord et al. 2016, section 2.1: "1, 2, 4, ..., 512" sees 1,024
    (3, 10, 3, 6139), (4, 6, 3, 505), (2, 6, 3, 253), (30, 1, 3, 61),  # Shen et al. 2018, table 4
])
def test_the_receptive_field_is_that_of_the_papers(stacks: int, layers: int, kernel: int, expected: int) -> None:
    assert WaveNetConfig(stacks=stacks, layers=layers, kernel=kernel).receptive_field == expected
    net = make(WaveNetConfig(stacks, layers, kernel, residual=4, gate=4, skip=16, n_mels=2, hop=10, local=2))
    samples = (expected // 10 + 2) * 10
    before = torch.full((1, samples), 128.0, dtype=torch.float64, requires_grad=True)
    net.predict(before, torch.zeros(1, samples, 2, dtype=torch.float64))[0, -1].sum().backward()
    assert before.grad is not None
    seen = before.grad[0].nonzero()[:, 0]
    assert samples - seen.min() == len(seen) == expected


def test_the_full_size_is_that_of_the_papers() -> None:
    config = WaveNetConfig()
    assert len(config.dilations) == 30  # Shen et al. 2018, section 2.3: 30 layers in 3 cycles
    assert config.dilations[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert config.receptive_field / 24_000 == pytest.approx(0.2558, abs=1e-4)  # table 4: 255.8 ms


@pytest.mark.parametrize("c", [WaveNetConfig(), WaveNetConfig.mini(), SMALL])
def test_every_parameter_is_counted(c: WaveNetConfig) -> None:
    layer = 2 * c.gate * (c.kernel * c.residual + 1 + c.local) + c.gate * (c.residual + c.skip)
    ends = (3 * c.n_mels + 1) * c.local + 2 * c.residual + (c.skip + 1) * (c.skip + c.levels)
    assert sum(p.numel() for p in WaveNet(c).parameters()) == c.stacks * c.layers * layer + ends


def test_the_small_one_fits_into_the_package() -> None:
    assert 2 * sum(p.numel() for p in WaveNet(WaveNetConfig.mini()).parameters()) < 12e6


@torch.no_grad()
def test_a_layer_computes_equation_2() -> None:
    torch.manual_seed(0)
    layer = WaveNetLayer(SMALL, 4).double()
    x, local = torch.randn(1, 20, 6, dtype=torch.float64), torch.randn(1, 10, 3, dtype=torch.float64)
    following, skip = layer(x, local)
    w_past, w_now = layer.past.weight.numpy(), layer.present.weight.numpy()
    for t in (2, 4, 19):
        now, past = x[0, t].numpy(), x[0, t - 4].numpy() if t >= 4 else np.zeros(6)
        heard = layer.condition.weight.numpy() @ local[0, t // 2].numpy()
        both = w_past @ past + w_now @ now + layer.present.bias.numpy() + heard
        z = np.tanh(both[:5]) / (1 + np.exp(-both[5:]))
        assert np.allclose(following[0, t], now + layer.residual.weight.numpy() @ z)
        assert np.allclose(skip[0, t], layer.skip.weight.numpy() @ z)


def test_the_picture_is_drawn_in_straight_lines_between_frames() -> None:
    net = make()
    with torch.no_grad():
        net.local.weight.zero_()
        net.local.bias.zero_()
        net.local.weight[:, 0, 1] = 1  # the first band, as it is
        mel = torch.zeros(1, 3, 4, dtype=torch.float64)
        mel[0, :, 0] = torch.tensor([0.0, 0.01, 0.0])
        pieces = net.upsample(mel)[0, :, 0]
    rising = 0.01 * (torch.arange(10) + 0.5) / 10
    assert torch.allclose(pieces, torch.cat((rising, rising.flip(0))).double(), atol=1e-5)


def test_mu_law_is_the_formula_and_comes_back() -> None:
    x = np.linspace(-1, 1, 2001)
    numbers = mu_law_encode(x)
    assert numbers.min() == 0
    assert numbers.max() == 255
    assert (np.diff(numbers) >= 0).all()
    assert mu_law_encode(np.array(0.1)) == int((np.log(1 + 255 * 0.1) / np.log(256) + 1) / 2 * 256)
    step = np.log(256) / 128 * (1 / 255 + np.abs(x))  # width of the level at x: fine where it is quiet
    assert (np.abs(mu_law_decode(numbers) - x) < 0.52 * step + 1e-4).all()
    assert np.array_equal(mu_law_encode(mu_law_decode(np.arange(256))), np.arange(256))
    assert mu_law_encode(np.array([-7.0, 7.0])).tolist() == [0, 255]


@pytest.mark.parametrize("preemphasis", [0.0, 0.85])
def test_sound_becomes_levels_and_comes_back(preemphasis: float) -> None:
    net = make(replace(SMALL, preemphasis=preemphasis))
    sound = 0.3 * np.sin(np.arange(4_000) / 9)
    again = net.to_audio(net.to_levels(sound))
    assert again.dtype == np.float32
    assert np.square(again - sound).mean() < 1e-3 * np.square(sound).mean()  # 30 dB below


@pytest.mark.parametrize("kernel", [2, 3])
def test_the_fast_way_gives_the_same_samples(kernel: int) -> None:
    """In 64 bits: in 32, rounding can move one sample in many thousands by one level."""
    net = make(replace(SMALL, kernel=kernel))
    mel = torch.randn(7, 4, dtype=torch.float64)
    for seed, temperature in ((1, 1.0), (2, 0.7)):
        fast = generate_levels(net, mel, temperature, seed)
        assert np.array_equal(fast, net.generate_naively(mel, temperature, seed))
        assert len(set(fast.tolist())) > 20
    assert not np.array_equal(fast, generate_levels(net, mel, 0.7, seed=3))
    assert np.array_equal(net.generate(mel, 0.7, seed=2), net.to_audio(fast))


@torch.no_grad()
def test_the_fast_way_computes_the_same_in_32_bits() -> None:
    net = make(WaveNetConfig.mini()).float()
    levels, mel = torch.randint(0, 256, (1, 600)), torch.randn(1, 4, 80)
    memory, before = LayerMemory(net, mel[0]), [128, *levels[0].tolist()]
    fast = np.stack([memory.step(t, before[t]) for t in range(600)])
    assert fast.dtype == np.float32
    assert np.allclose(fast, net(levels, mel)[0].numpy(), atol=1e-3 * np.abs(fast).max())


def test_the_fast_way_is_twenty_times_as_fast() -> None:
    net = WaveNet(WaveNetConfig.mini()).eval()
    mel = torch.randn(3, 80)
    generate_levels(net, mel)
    seconds = []
    for generate in (generate_levels, WaveNet.generate_naively):
        began = time.process_time()
        generate(net, mel)  # 400 samples: the naive one has not even its whole receptive field to compute
        seconds.append(time.process_time() - began)
    assert seconds[1] > 20 * seconds[0]


def test_it_learns_to_say_what_a_picture_shows() -> None:
    """Two pictures, two tones: after training each picture gives its own."""
    torch.manual_seed(0)
    net = WaveNet(replace(SMALL, residual=16, gate=16, skip=32))
    tones = torch.tensor([[100, 156] * 30, [60, 60, 196, 196] * 15])
    mel = torch.zeros(2, 4, 4)
    mel[1] = 1
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(80):
        optimizer.zero_grad()
        loss = net.loss(tones, mel)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 < np.log(256)
    for tone, picture in zip(tones, mel, strict=True):
        made = generate_levels(net.eval(), picture, temperature=0.1)
        assert set(made[20:].tolist()) == set(tone.tolist())


def test_drawing_follows_the_probabilities() -> None:
    logits = np.log(np.array([0.2, 0.5, 0.3]))
    assert [draw(logits, number) for number in (0.0, 0.19, 0.21, 0.69, 0.71, 0.999)] == [0, 0, 1, 1, 2, 2]
    assert draw(logits, 0.05, temperature=0.1) == 1


def test_every_gated_layer_is_a_block() -> None:
    net = make()
    layers = LayerMap(net, wavenet_layout(net))
    assert layers.names == ["stem", *(f"block {i}" for i in range(6)), "head"]
    assert layers.group_of("layers.3.condition.weight") == "block 3"


def test_mistakes_are_named() -> None:
    net = make()
    with pytest.raises(DataError, match="3 frames belong to 40 samples, not to 41"):
        net(torch.zeros(1, 41, dtype=torch.long), torch.zeros(1, 3, 4))
    with pytest.raises(DataError, match=r"\(frames, 4\)"):
        generate_levels(net, torch.zeros(3, 80))
    with pytest.raises(UserError, match="temperature=0 "):
        generate_levels(net, torch.zeros(3, 4), temperature=0)
    with pytest.raises(UserError, match="hop=256"):
        WaveNetConfig(hop=256)
