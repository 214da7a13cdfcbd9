"""WaveNet (van den Oord et al. 2016): sound, one sample after the other.

The probability of a sound is the product of those of its samples, each given all before it (eq. 1, with h eq. 3):

    p(x) = prod_t p(x_t | x_1, ..., x_{t-1}, h)

h is the log-mel picture of what is said. A stack of *causal* convolutions sees the samples before t and never t itself.
The distance between the samples that a convolution looks at doubles from layer to layer: 10 layers see 1,024.

Everything here has the shape (B, T, C), samples before channels. A convolution that looks at two samples is then a
linear map of two vectors, side by side. Sizes in comments: B sounds, T samples, C residual and G gate channels, F
frames, M bands. Lesson 06.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, pad, relu

from ftkit.errors import DataError, UserError
from ftkit.layers import Layout

PIECES = 10  # of a frame: so often the picture is asked anew


@dataclass(frozen=True)
class WaveNetConfig:
    """The sizes of a WaveNet.

    The defaults are the WaveNet of Tacotron 2: three stacks of ten layers that look at three samples each (Shen et al.
    2018, section 2.3 and table 4). Neither paper says how many channels there are; these are those of Deep Voice (Arik
    et al. 2017), 64 and 256.

    Args:
        stacks: How often the distances start again at 1.
        layers: Of one stack: they look 1, 2, 4, ... samples back.
        kernel: Samples that a layer looks at: 2 in the first WaveNet's figures, 3 in Tacotron 2.
        residual: Channels C between the layers.
        gate: Channels G inside a layer.
        skip: Channels of what all layers add up to.
        levels: Loudnesses that a sample can have.
        n_mels: Bands of the picture.
        hop: Samples of a frame, a multiple of 10.
        local: Channels to which the picture is brought.
        preemphasis: Share of the sample before that is taken off each sample and given back at the end. It makes high
            pitches as loud as low ones, so that the noise of 256 levels is less heard (Valin & Skoglund 2019). 0 is
            the paper's.
        mel_mean: Taken from each number of the picture.
        mel_std: Each number of the picture is divided by it.

    Raises:
        UserError: hop is no multiple of 10.
    """

    stacks: int = 3
    layers: int = 10
    kernel: int = 3
    residual: int = 64
    gate: int = 64
    skip: int = 256
    levels: int = 256
    n_mels: int = 80
    hop: int = 200
    local: int = 80
    preemphasis: float = 0.0
    mel_mean: float = 0.0
    mel_std: float = 1.0

    def __post_init__(self) -> None:
        if self.hop % PIECES:
            raise UserError(f"hop={self.hop} must be a multiple of {PIECES}: the picture is laid out in pieces.")

    @staticmethod
    def mini() -> WaveNetConfig:
        """Two stacks of eight layers, which see 511 samples: 32 ms, three turns of a man's vocal cords."""
        return WaveNetConfig(stacks=2, layers=8, kernel=2, skip=64, local=64, preemphasis=0.85, mel_mean=-1.5,
                             mel_std=2.0)

    @property
    def dilations(self) -> list[int]:
        """How far back each layer looks."""
        return [2**i for i in range(self.layers)] * self.stacks

    @property
    def receptive_field(self) -> int:
        """Samples that one prediction depends on: 1,024 for one stack of ten layers that look at two samples."""
        return 1 + (self.kernel - 1) * sum(self.dilations)


class WaveNet(nn.Module):
    """A WaveNet that hears a log-mel picture.

    Args:
        config: Sizes.
    """

    def __init__(self, config: WaveNetConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or WaveNetConfig()
        self.local = nn.Conv1d(c.n_mels, c.local, 3, padding=1)
        self.first = nn.Linear(1, c.residual)
        self.layers = nn.ModuleList([WaveNetLayer(c, dilation) for dilation in c.dilations])
        self.hidden = nn.Linear(c.skip, c.skip)
        self.logits = nn.Linear(c.skip, c.levels)

    def forward(self, levels: Tensor, mel: Tensor) -> Tensor:
        """What each sample may be, given those before it.

        Args:
            levels: Samples as whole numbers (B, T), see `mu_law_encode`; T = (F - 1) * hop.
            mel: Log-mel picture (B, F, M); frame i belongs to sample i * hop.

        Returns:
            Logits (B, T, levels). Those at t depend on the samples before t only.

        Raises:
            DataError: Sound and picture differ in length.
        """
        c = self.config
        if levels.shape[1] != (mel.shape[1] - 1) * c.hop:
            raise DataError(f"{mel.shape[1]} frames belong to {(mel.shape[1] - 1) * c.hop:,} samples, not to "
                            f"{levels.shape[1]:,}.")
        before = pad(levels, (1, 0), value=c.levels // 2)[:, :-1]  # silence, then all samples but the last
        return self.predict(before, self.upsample(mel))

    def upsample(self, mel: Tensor) -> Tensor:
        """h, the picture in 10 pieces a frame, each between its two neighbours: (B, F, M) to (B, (F - 1) * 10, local).

        The paper learns this map ("upsampling", section 2.5) or repeats frames; straight lines need no parameters.
        """
        c = self.config
        seen = torch.tanh(self.local(((mel - c.mel_mean) / c.mel_std).transpose(1, 2)).transpose(1, 2))
        share = (torch.arange(PIECES, device=mel.device)[:, None] + 0.5) / PIECES  # of the frame that comes next
        lines = torch.lerp(seen[:, :-1, None], seen[:, 1:, None], share.to(seen.dtype))  # (B, F - 1, 10, local)
        return lines.flatten(1, 2)

    def predict(self, before: Tensor, local: Tensor) -> Tensor:
        """Logits (B, T, levels) from the sample before each, (B, T), and h, (B, T / (hop / 10), local)."""
        middle = self.config.levels / 2
        x = self.first((before.to(self.first.weight.dtype)[..., None] + 0.5 - middle) / middle)  # (B, T, C)
        total = torch.zeros(1, device=x.device, dtype=x.dtype)
        for layer in self.gated():
            x, skip = layer(x, local)
            total = total + skip
        return self.logits(relu(self.hidden(relu(total))))  # two 1x1 convolutions (figure 4)

    def gated(self) -> list[WaveNetLayer]:
        """The gated layers, input first."""
        return list(self.layers)  # type: ignore[arg-type]

    def loss(self, levels: Tensor, mel: Tensor) -> Tensor:
        """Mean of -log p(x_t | x_1 ... x_{t-1}, h) in nats: what training makes small (eq. 1)."""
        logits = self(levels, mel).float()
        return cross_entropy(logits.flatten(0, 1), levels.flatten().long())

    def generate(self, mel: Tensor, temperature: float = 1.0, seed: int = 0) -> np.ndarray:
        """Sound of a picture, sample by sample, with everything kept that is needed again (see cached.py).

        Args:
            mel: (F, M).
            temperature: Below 1 makes likely levels likelier: less noise, and less life.
            seed: Equal seeds give equal sounds.

        Returns:
            float32 (T,) in [-1, 1], T = (F - 1) * hop.
        """
        from ftkit.speech.cached import generate_levels

        return self.to_audio(generate_levels(self, mel, temperature, seed))

    @torch.inference_mode()
    def generate_naively(self, mel: Tensor, temperature: float = 1.0, seed: int = 0) -> np.ndarray:
        """The same levels (T,) as `generate_levels` by the definition: the whole receptive field for every sample."""
        c, local = self.config, self.upsample(mel[None])
        piece, reach = c.hop // PIECES, c.receptive_field
        uniform = np.random.default_rng(seed).random((len(mel) - 1) * c.hop)
        before = torch.full((1, len(uniform) + 1), c.levels // 2)  # one longer: sample t is the input of t + 1
        for t, number in enumerate(uniform):
            first, last = max(0, t - reach + 1) // piece, t // piece + 1
            logits = self.predict(before[:, first * piece : last * piece], local[:, first:last])
            before[0, t + 1] = draw(logits[0, t - first * piece].numpy(), number, temperature)
        return before[0, 1:].numpy()

    def to_levels(self, audio: np.ndarray) -> np.ndarray:
        """Sound in [-1, 1] as levels, after pre-emphasis; the inverse of `to_audio` but for rounding."""
        before = np.concatenate((np.zeros_like(audio[..., :1]), audio[..., :-1]), -1)
        return mu_law_encode(audio - self.config.preemphasis * before, self.config.levels)

    def to_audio(self, levels: np.ndarray) -> np.ndarray:
        """Levels (..., T) as float32 sound in [-1, 1]."""
        from scipy.signal import lfilter

        sound = mu_law_decode(levels, self.config.levels)
        return lfilter([1.0], [1.0, -self.config.preemphasis], sound).clip(-1, 1).astype(np.float32)


class WaveNetLayer(nn.Module):
    """One gated layer (eq. 2) that hears the picture beside the samples (section 2.5; figure 4):

        z = tanh(W_f * x + V_f h) . sigmoid(W_g * x + V_g h)

    A layer passes on x + R z, and adds S z to what all layers say together.

    Args:
        config: Sizes.
        dilation: How many samples lie between those that it looks at.
    """

    def __init__(self, config: WaveNetConfig, dilation: int) -> None:
        super().__init__()
        c = config
        self.lags, self.piece = [dilation * i for i in range(c.kernel - 1, 0, -1)], c.hop // PIECES
        self.past = nn.Linear(len(self.lags) * c.residual, 2 * c.gate, bias=False)  # W of those before: filter, gate
        self.present = nn.Linear(c.residual, 2 * c.gate)  # W for the sample itself
        self.condition = nn.Linear(c.local, 2 * c.gate, bias=False)  # V
        self.residual = nn.Linear(c.gate, c.residual, bias=False)  # R
        self.skip = nn.Linear(c.gate, c.skip, bias=False)  # S

    def forward(self, x: Tensor, local: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, C) and h (B, T / piece, local) to the next x and this layer's skip (B, T, skip)."""
        past = [pad(x, (0, 0, lag, 0))[:, : x.shape[1]] for lag in self.lags]  # oldest first
        weight = torch.cat((self.past.weight, self.present.weight), 1)
        gates = linear(torch.cat((*past, x), -1), weight, self.present.bias)
        gates = gates.unflatten(1, (-1, self.piece)) + self.condition(local)[:, :, None]  # h is the same in a piece
        filtered, gate = gates.flatten(1, 2).chunk(2, -1)
        z = torch.tanh(filtered) * torch.sigmoid(gate)
        return x + self.residual(z), self.skip(z)


def mu_law_encode(audio: np.ndarray, levels: int = 256) -> np.ndarray:
    """Sound in [-1, 1] as whole numbers from 0 to levels - 1, finer where it is quiet.

    f(x) = sign(x) ln(1 + mu |x|) / ln(1 + mu) with mu = levels - 1 (section 2.2; ITU-T G.711). Lesson 06.
    """
    mu = levels - 1
    bent = np.sign(audio) * np.log1p(mu * np.minimum(np.abs(audio), 1)) / np.log1p(mu)
    return np.minimum((bent + 1) / 2 * levels, mu).astype(np.int64)


def mu_law_decode(numbers: np.ndarray, levels: int = 256) -> np.ndarray:
    """The middle of each level, in [-1, 1]: the inverse of `mu_law_encode` but for rounding."""
    mu = levels - 1
    bent = 2 * (np.asarray(numbers) + 0.5) / levels - 1
    return np.sign(bent) * np.expm1(np.abs(bent) * np.log1p(mu)) / mu


def draw(logits: np.ndarray, number: float, temperature: float = 1.0) -> int:
    """The level at which the probabilities, added up, pass a random number in [0, 1)."""
    weight = np.exp((logits - logits.max()) / temperature)
    total = np.cumsum(weight)
    return min(int(np.searchsorted(total, number * total[-1], "right")), len(logits) - 1)


def wavenet_layout(net: WaveNet) -> Layout:
    """Where stem, blocks and head are, for a `LayerMap`: every gated layer is a block."""
    return [("stem", ["local", "first"]), *((f"block {i}", [f"layers.{i}"]) for i in range(len(net.layers))),
            ("head", ["hidden", "logits"])]
