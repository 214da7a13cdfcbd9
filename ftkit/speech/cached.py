"""Fast generation with a WaveNet: nothing is computed twice (Le Paine et al. 2016).

A layer needs its input of now and those of one or two moments ago. So each layer keeps its last inputs in a ring, and a
new sample costs one step of each layer instead of the whole receptive field.

The vectors are so small that calling torch would take longer than computing. NumPy's calls cost less, and three tricks
save most of them. What the past and the picture add to the gates is known before the sample is: all layers at once.
sigmoid(x) = (1 + tanh(x / 2)) / 2, so one tanh does for filter and gate. The skips of all layers are one product.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ftkit.errors import DataError, UserError
from ftkit.speech.wavenet import PIECES, WaveNet, draw


def generate_levels(net: WaveNet, mel: Tensor, temperature: float = 1.0, seed: int = 0) -> np.ndarray:
    """Levels (T,) of a picture (F, M), T = (F - 1) * hop: the same as `WaveNet.generate_naively` gives.

    Raises:
        DataError: Another shape, or fewer than two frames.
        UserError: The temperature is not above 0.

    Lesson 06.
    """
    if mel.dim() != 2 or len(mel) < 2 or mel.shape[1] != net.config.n_mels:
        raise DataError(f"WaveNet needs a picture (frames, {net.config.n_mels}) of two frames at least, not "
                        f"{tuple(mel.shape)}.")
    if temperature <= 0:
        raise UserError(f"temperature={temperature:g} must be above 0. 1 takes the probabilities as they are.")
    samples = (len(mel) - 1) * net.config.hop
    uniform = np.random.default_rng(seed).random(samples)
    memory, levels = LayerMemory(net, mel), np.empty(samples, dtype=np.int64)
    level = net.config.levels // 2  # silence
    for t, number in enumerate(uniform.tolist()):
        levels[t] = level = draw(memory.step(t, level), number, temperature)
    return levels


class LayerMemory:
    """The last inputs of every layer, and its weights as NumPy arrays in the number format of the network.

    Args:
        net: A WaveNet.
        mel: The picture (F, M).
    """

    def __init__(self, net: WaveNet, mel: Tensor) -> None:
        c, layers = net.config, net.gated()
        halves = np.repeat([1.0, 0.5], c.gate)[:, None]  # the gate's half of each matrix, for the one tanh
        self.piece, self.middle = c.hop // PIECES, c.levels / 2
        past = np.stack([_array(layer.past.weight) for layer in layers])
        self.past = past * halves.astype(past.dtype)  # (L, 2 G, (kernel - 1) C)
        kind = self.past.dtype
        self.present = [np.ascontiguousarray(_array(layer.present.weight) * halves, kind) for layer in layers]
        self.residual = [np.ascontiguousarray(_array(layer.residual.weight) / 2, kind) for layer in layers]
        self.skip = np.concatenate([_array(layer.skip.weight) / 2 for layer in layers], 1)  # (S, L * G)
        self.condition = self._conditions(net, mel) * halves[:, 0].astype(kind)  # (pieces, L, 2 G)
        self.first = _array(net.first.weight)[:, 0], _array(net.first.bias)
        self.hidden = _array(net.hidden.weight), _array(net.hidden.bias)
        self.logits = _array(net.logits.weight), _array(net.logits.bias)
        self.lags = np.array([layer.lags for layer in layers])  # (L, kernel - 1), oldest first
        self.rows, self.spans = np.arange(len(layers))[:, None], self.lags[:, :1]
        self.ring = np.zeros((len(layers), int(self.spans.max()), c.residual), kind)  # input t lies at t modulo span
        # What a step writes into, and views of its rows, made once.
        self.inputs = np.zeros((len(layers) + 1, c.residual), kind)
        self.z = np.zeros((len(layers), c.gate), kind)
        self.ahead, self.gates = np.zeros((len(layers), 2 * c.gate), kind), np.zeros(2 * c.gate, kind)
        self.half, self.added = (self.gates[: c.gate], self.gates[c.gate :]), np.zeros(c.residual, kind)
        self.walk = list(zip(self.present, self.residual, list(self.ahead), list(self.z), list(self.inputs[:-1]),
                             list(self.inputs[1:]), strict=True))

    def step(self, t: int, level: int) -> np.ndarray:
        """The logits of sample t, (levels,), given the level of the sample before it."""
        if t % self.piece == 0:
            self.local = self.condition[t // self.piece]
        before = self.ring[self.rows, (t - self.lags) % self.spans].reshape(len(self.ring), -1, 1)
        np.matmul(self.past, before, out=self.ahead[..., None])
        self.ahead += self.local
        np.add(self.first[0] * self.inputs.dtype.type((level + 0.5 - self.middle) / self.middle), self.first[1],
               out=self.inputs[0])
        (filtered, gate), gates, added = self.half, self.gates, self.added
        for present, residual, ahead, z, x, following in self.walk:
            np.dot(present, x, out=gates)
            np.add(gates, ahead, out=gates)
            np.tanh(gates, out=gates)
            np.add(gate, 1, out=gate)
            np.multiply(filtered, gate, out=z)  # twice the z of the paper: R and S are halved
            np.dot(residual, z, out=added)
            np.add(x, added, out=following)
        self.ring[self.rows, t % self.spans] = self.inputs[:-1, None]
        total = np.maximum(self.skip @ self.z.ravel(), 0)
        hidden = np.maximum(self.hidden[0] @ total + self.hidden[1], 0)
        return self.logits[0] @ hidden + self.logits[1]

    @staticmethod
    @torch.inference_mode()
    def _conditions(net: WaveNet, mel: Tensor) -> np.ndarray:
        """V h and the bias of each layer, for each piece of the picture: (pieces, L, 2 G)."""
        weight = net.first.weight
        with torch.autocast(weight.device.type, enabled=False):
            local = net.upsample(mel[None].to(weight))[0]
            return np.stack([_array(layer.condition(local) + layer.present.bias) for layer in net.gated()], 1)


def _array(parameter: Tensor) -> np.ndarray:
    return parameter.detach().cpu().numpy()
