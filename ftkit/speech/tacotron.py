"""Tacotron 2 (Shen et al. 2018): letters to a log-mel picture, one frame after the other.

An encoder reads the letters. A decoder draws the picture from left to right; before each step it looks at the letters
through an attention that knows where it looked before, and it says when the sentence is over. A postnet sharpens the
picture.

    letters -> embedding -> 3 convolutions -> BiLSTM -> memory
    last frame -> prenet -> LSTM -> attention over memory -> LSTM -> r frames, stop? -> postnet

One file longer than most here, because it is one network: read it from `Tacotron` downwards. Sizes in comments:
B sentences, N letters, T frames, S = T / r steps of the decoder, M bands. Lesson 06.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, dropout, linear, mse_loss, relu
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ftkit.errors import DataError, UserError
from ftkit.layers import Layout
from ftkit.speech.text import SYMBOLS


@dataclass(frozen=True)
class TacotronConfig:
    """The sizes of a Tacotron 2. The defaults are the paper's (section 2.2), about 28 million parameters.

    Args:
        n_symbols: Letters and signs.
        n_mels: Bands of the picture.
        embedding: Numbers for a letter, and channels of the encoder's convolutions.
        encoder_convs: Convolutions of the encoder.
        encoder_lstm: Cells of its LSTM in each direction.
        attention: Width of the space in which attention compares.
        location_filters: Filters that look at where attention was.
        location_kernel: How many letters such a filter sees.
        prenet: Width of its two layers.
        decoder: Cells of each LSTM of the decoder.
        postnet: Channels of the postnet.
        postnet_convs: Its convolutions.
        kernel: Letters or frames that a convolution of encoder or postnet sees.
        reduction: Frames for each step of the decoder. The paper has 1. With more, as in the first Tacotron (Wang et
            al. 2017), there are fewer steps: it is faster, and attention is found sooner.
        dropout: Share of the numbers that convolutions and prenet lose.
        lstm_dropout: Share of an LSTM's outputs that are lost. The paper keeps old values instead (zoneout).
        mel_mean: Taken from each number of the picture, inside.
        mel_std: Each number of the picture is divided by it, inside.
    """

    n_symbols: int = len(SYMBOLS)
    n_mels: int = 80
    embedding: int = 512
    encoder_convs: int = 3
    encoder_lstm: int = 256
    attention: int = 128
    location_filters: int = 32
    location_kernel: int = 31
    prenet: int = 256
    decoder: int = 1024
    postnet: int = 512
    postnet_convs: int = 5
    kernel: int = 5
    reduction: int = 1
    dropout: float = 0.5
    lstm_dropout: float = 0.1
    mel_mean: float = 0.0
    mel_std: float = 1.0

    @staticmethod
    def mini() -> TacotronConfig:
        """A tenth of the paper's parameters, for a laptop's processor."""
        return TacotronConfig(embedding=192, encoder_lstm=96, attention=96, location_filters=16, location_kernel=21,
                              prenet=128, decoder=320, postnet=160, reduction=3, dropout=0.3, mel_mean=-1.5,
                              mel_std=2.0)


class Drawn(NamedTuple):
    """What a Tacotron draws with a teacher at hand.

    Args:
        before: The picture before the postnet, (B, T, M).
        after: And after it.
        stop: Logits that the sentence is over, (B, S).
        alignment: Where each step looked, (B, S, N); each row sums to 1.
    """

    before: Tensor
    after: Tensor
    stop: Tensor
    alignment: Tensor


class Spoken(NamedTuple):
    """What a Tacotron draws alone.

    Args:
        mel: The picture, (T, M).
        alignment: Where each step looked, (S, N).
        stopped: Whether it said itself that the sentence is over.
    """

    mel: Tensor
    alignment: Tensor
    stopped: bool


class Memory(NamedTuple):
    """The letters as the decoder sees them: `values` (B, N, E), `keys` (B, N, A), `mask` (B, N), true for letters."""

    values: Tensor
    keys: Tensor
    mask: Tensor


class Tacotron(nn.Module):
    """Tacotron 2 with location-sensitive attention.

    Args:
        config: Sizes; the paper's own by default.
    """

    def __init__(self, config: TacotronConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or TacotronConfig()
        width = 2 * c.encoder_lstm
        self.embedding = nn.Embedding(c.n_symbols, c.embedding, padding_idx=0)
        self.encoder_convs = ConvStack([c.embedding] * (c.encoder_convs + 1), c.kernel, c.dropout, relu)
        self.encoder_lstm = nn.LSTM(c.embedding, c.encoder_lstm, batch_first=True, bidirectional=True)
        self.prenet = Prenet(c.n_mels, c.prenet, 0.5)
        self.attention_lstm = nn.LSTM(c.prenet + width, c.decoder, batch_first=True)
        self.attention = LocationSensitiveAttention(c.decoder, width, c.attention, c.location_filters,
                                                    c.location_kernel)
        self.decoder_lstm = nn.LSTM(c.decoder + width, c.decoder, batch_first=True)
        self.projection = nn.Linear(c.decoder + width, c.n_mels * c.reduction)
        self.stop = nn.Linear(c.decoder + width, 1)
        self.postnet = ConvStack([c.n_mels, *[c.postnet] * (c.postnet_convs - 1), c.n_mels], c.kernel, c.dropout,
                                 torch.tanh, last=False)

    def encode(self, text: Tensor, text_lengths: Tensor) -> Memory:
        """Letters (B, N) to what the decoder looks at; what stands after a sentence's end changes nothing."""
        mask = until(text_lengths, text.shape[1])
        seen = self.encoder_convs(self.embedding(text), mask)
        packed = pack_padded_sequence(seen, text_lengths.cpu(), batch_first=True, enforce_sorted=False)
        values, _ = pad_packed_sequence(self.encoder_lstm(packed)[0], batch_first=True, total_length=text.shape[1])
        return Memory(values, self.attention.keys(values), mask)

    def forward(self, text: Tensor, text_lengths: Tensor, mel: Tensor, mel_lengths: Tensor) -> Drawn:
        """Draw with a teacher: each step sees the true frame before it, not its own (teacher forcing).

        Args:
            text: Numbers of letters (B, N), 0 after the end.
            text_lengths: (B,).
            mel: The true pictures (B, T, M).
            mel_lengths: (B,).

        Returns:
            Pictures as long as `mel`; frames after a sentence's end have no meaning.
        """
        c, frames = self.config, mel.shape[1]
        memory = self.encode(text, text_lengths)
        true = (mel - c.mel_mean) / c.mel_std
        true = nn.functional.pad(true, (0, 0, 0, -frames % c.reduction))  # (B, S * r, M)
        last = true[:, c.reduction - 1 :: c.reduction]  # the last frame of each step, (B, S, M)
        seen = self.prenet(torch.cat((torch.zeros_like(last[:, :1]), last[:, :-1]), 1))  # begins with a frame of zeros
        states, contexts, alignment = self._look(seen, memory)
        states = dropout(states, c.lstm_dropout, self.attention_lstm.training)  # a frozen layer drops nothing
        drawn, _ = self.decoder_lstm(torch.cat((states, contexts), -1))
        drawn = torch.cat((dropout(drawn, c.lstm_dropout, self.decoder_lstm.training), contexts), -1)  # (B, S, D + E)
        before = self.projection(drawn).reshape(len(mel), -1, c.n_mels)[:, :frames].float()
        after = self.sharpen(before, until(mel_lengths, frames))
        return Drawn(before * c.mel_std + c.mel_mean, after * c.mel_std + c.mel_mean,
                     self.stop(drawn)[..., 0].float(), alignment)

    def _look(self, seen: Tensor, memory: Memory) -> tuple[Tensor, Tensor, Tensor]:
        """The first LSTM and the attention, step by step: (B, S, D), (B, S, E), (B, S, N).

        Only these need the step before. What the prenet adds to the gates is computed for all steps at once, and so
        is the second LSTM, whose output goes nowhere but to the frames.
        """
        weight, bias = lstm_weights(self.attention_lstm)
        ahead, weight = linear(seen, weight[:, : seen.shape[-1]], bias), weight[:, seen.shape[-1] :]
        filters = self.attention.filters()
        now = Looking.start(memory, self.config.decoder)
        found = []
        for gates in ahead.unbind(1):
            state, cell = lstm_step(gates + linear(torch.cat((now.context, now.state), -1), weight), now.cell)
            context, weights = self.attention(state, memory, now, filters)
            now = Looking(state, cell, context, weights, now.cumulated + weights)
            found.append((state, context, weights))
        states, contexts, alignment = (torch.stack(each, 1) for each in zip(*found, strict=True))
        return states, contexts, alignment

    def sharpen(self, before: Tensor, mask: Tensor) -> Tensor:
        """The picture and what the postnet adds to it, (B, T, M)."""
        return before + self.postnet(before, mask)

    def generate(self, text: Tensor, max_frames: int = 1200, threshold: float = 0.5, seed: int = 0) -> Spoken:
        """Draw alone: each step sees the frame that it drew itself.

        The prenet's dropout stays on here too, as the paper does (section 2.2): `seed` decides it.

        Args:
            text: Numbers of one sentence's letters (N,).
            max_frames: It ends here at the latest: 15 seconds. A warning says so, and `stopped` is False.
            threshold: The sentence is over when the probability of it is higher.
            seed: Equal seeds give equal pictures.

        Raises:
            DataError: No letters, or more than one sentence.
        """
        spoken = self.generate_all([text], [max_frames], threshold, seed)[0]
        if not spoken.stopped:
            warnings.warn(f"The voice did not find the end of the sentence and was cut off after {max_frames} frames. "
                          "Look at the alignment: has it reached the last letter?", stacklevel=2)
        return spoken

    @torch.inference_mode()
    def generate_all(self, texts: Sequence[Tensor], max_frames: Sequence[int], threshold: float = 0.5,
                     seed: int = 0) -> list[Spoken]:
        """Several sentences at once, which takes hardly longer than one; each is drawn as `generate` draws it.

        Args:
            texts: Numbers of each sentence's letters (N,).
            max_frames: Where each of them ends at the latest; `stopped` says whether it ended by itself.
            threshold: As for `generate`.
            seed: As for `generate`: all sentences lose the same numbers in the prenet.
        """
        for text in texts:
            if text.dim() != 1 or not len(text):
                raise DataError(f"generate needs one sentence as numbers (N,), not {tuple(text.shape)}.")
        if self.training:
            raise UserError("Call .eval() before generate: BatchNorm would take this sentence for its statistics.")
        before, alignment, steps, stopped = self._draw_alone(texts, max_frames, threshold, seed)
        counts = torch.minimum(steps * self.config.reduction, torch.as_tensor(max_frames, device=steps.device))
        after = self.sharpen(before, until(counts, before.shape[1])) * self.config.mel_std + self.config.mel_mean
        return [Spoken(after[i, :count], alignment[i, :step, : len(texts[i])], end) for i, (count, step, end)
                in enumerate(zip(counts.tolist(), steps.tolist(), stopped.tolist(), strict=True))]

    def _draw_alone(self, texts: Sequence[Tensor], max_frames: Sequence[int], threshold: float,
                    seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures before the postnet (B, T, M), where was looked (B, S, N), steps (B,), whether it stopped (B,)."""
        c, device, random = self.config, texts[0].device, torch.Generator(texts[0].device).manual_seed(seed)
        lengths = torch.tensor([len(text) for text in texts], device=device)
        memory = self.encode(nn.utils.rnn.pad_sequence(list(texts), batch_first=True), lengths)
        now, filters = Looking.start(memory, c.decoder), self.attention.filters()
        first, second = lstm_weights(self.attention_lstm), lstm_weights(self.decoder_lstm)
        above, above_cell = torch.zeros_like(now.state), torch.zeros_like(now.cell)
        frame, steps = torch.zeros(len(texts), c.n_mels, device=device), torch.zeros_like(lengths)
        most = torch.tensor([-(-frames // c.reduction) for frames in max_frames], device=device)
        stopped, goes_on = torch.zeros_like(lengths, dtype=torch.bool), steps < most
        frames, alignment = [], []
        while goes_on.any():
            inside = torch.cat((self.prenet(frame, random), now.context, now.state), -1)
            state, cell = lstm_step(linear(inside, *first), now.cell)
            context, weights = self.attention(state, memory, now, filters)
            now = Looking(state, cell, context, weights, now.cumulated + weights)
            above, above_cell = lstm_step(linear(torch.cat((state, context, above), -1), *second), above_cell)
            drawn = torch.cat((above, context), -1)
            frames.append(self.projection(drawn).reshape(len(texts), c.reduction, c.n_mels))
            frame, steps = frames[-1][:, -1], steps + goes_on
            stopped = stopped | goes_on & (torch.sigmoid(self.stop(drawn)[:, 0]) > threshold)
            goes_on = ~stopped & (steps < most)
            alignment.append(weights)
        return torch.cat(frames, 1), torch.stack(alignment, 1), steps, stopped


class Looking(NamedTuple):
    """Where the decoder is.

    Args:
        state: Of its first LSTM, (B, D).
        cell: Of the same, (B, D).
        context: What it saw, (B, E).
        weights: Where it looked, (B, N).
        cumulated: The sum of all weights so far, (B, N).
    """

    state: Tensor
    cell: Tensor
    context: Tensor
    weights: Tensor
    cumulated: Tensor

    @staticmethod
    def start(memory: Memory, cells: int) -> Looking:
        """All zeros: it has looked nowhere."""
        values = memory.values
        nothing = values.new_zeros(len(values), cells)
        nowhere = values.new_zeros(values.shape[:2], dtype=torch.float32)
        return Looking(nothing, nothing.float(), values.new_zeros(len(values), values.shape[2]), nowhere, nowhere)


class LocationSensitiveAttention(nn.Module):
    """Which letters to look at, from what they are and from where it looked before (Chorowski et al. 2015).

        f = F * alpha                                 (eq. 8)
        e_n = v . tanh(W s + V h_n + U f_n + b)       (eq. 9)

    s is the decoder's state and h_n letter n. f_n comes from convolutions F over the weights alpha: over those of the
    last step, as Chorowski has it, and over the sum of all steps so far, as Tacotron 2 does. So it can go on instead of
    starting again, and see what was already spoken. The weights are the softmax of e.

    Args:
        state: Width of s.
        memory: Width of h.
        width: Width of the space in which they are compared.
        filters: Filters in F.
        kernel: Letters that a filter sees, an odd number.
    """

    def __init__(self, state: int, memory: int, width: int, filters: int, kernel: int) -> None:
        super().__init__()
        self.query = nn.Linear(state, width, bias=False)  # W
        self.keys = nn.Linear(memory, width, bias=False)  # V
        self.location_conv = nn.Conv1d(2, filters, kernel, bias=False)  # F
        self.location = nn.Linear(filters, width, bias=False)  # U
        self.score = nn.Linear(width, 1, bias=False)  # v
        self.bias = nn.Parameter(torch.zeros(width))  # b

    def filters(self) -> Tensor:
        """U F: one linear map after another is one linear map, (A, 2, kernel). Computed once for all steps."""
        return torch.einsum("af,fck->ack", self.location.weight, self.location_conv.weight)

    def forward(self, state: Tensor, memory: Memory, now: Looking, filters: Tensor) -> tuple[Tensor, Tensor]:
        """The context (B, E), a mean of the letters, and the weights of this mean (B, N)."""
        weights = torch.softmax(self.scores(state, memory, now, filters), -1)
        return torch.bmm(weights[:, None].to(memory.values.dtype), memory.values)[:, 0], weights

    def scores(self, state: Tensor, memory: Memory, now: Looking, filters: Tensor) -> Tensor:
        """e, (B, N); minus infinity after the end of a sentence."""
        looked = torch.stack((now.weights, now.cumulated), 1)  # (B, 2, N)
        location = conv1d(looked, filters, padding=filters.shape[-1] // 2).transpose(1, 2)  # (B, N, A)
        compared = torch.tanh((self.query(state) + self.bias)[:, None] + memory.keys + location)
        return self.score(compared)[..., 0].float().masked_fill(~memory.mask, -torch.inf)


class Prenet(nn.Module):
    """Two small layers that let through only half of what the last frame says.

    The dropout is never off. Else the decoder would copy the frame before and never need to look at the letters.
    """

    def __init__(self, inputs: int, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(inputs, width, bias=False), nn.Linear(width, width, bias=False)])
        self.dropout = dropout

    def forward(self, frames: Tensor, random: torch.Generator | None = None) -> Tensor:
        """Frames (..., M) to (..., width). `random` decides what is dropped, the same for all frames."""
        for layer in self.layers:
            frames = relu(layer(frames))
            shape = frames.shape if random is None else frames.shape[-1:]
            kept = torch.rand(shape, generator=random, device=frames.device) >= self.dropout
            frames = frames * kept / (1 - self.dropout)
        return frames


class ConvStack(nn.Module):
    """Convolutions over letters or frames, each with BatchNorm, an activation and dropout.

    Args:
        channels: Of the input and of each convolution's output.
        kernel: Letters or frames that a convolution sees, an odd number.
        dropout: Share of the numbers that are lost in training.
        activation: After each BatchNorm.
        last: Whether it also follows the last one: the postnet's output must be free.
    """

    def __init__(self, channels: list[int], kernel: int, dropout: float, activation: Callable[[Tensor], Tensor],
                 last: bool = True) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(a, b, kernel, padding=kernel // 2)
                                    for a, b in pairwise(channels)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for width in channels[1:]])
        self.dropout, self.activation, self.last = dropout, activation, last

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C'). Where `mask` (B, T) is false, everything is zero before each convolution."""
        x, inside = x.transpose(1, 2), mask[:, None]  # (B, C, T)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x * inside))
            if self.last or i + 1 < len(self.convs):
                x = self.activation(x)
            x = dropout(x, self.dropout, self.training)
        return (x * inside).transpose(1, 2)


def lstm_step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """State and cell (B, D) after one step of an LSTM (Hochreiter & Schmidhuber 1997), from its gates (B, 4 D)."""
    read, forget, new, write = gates.chunk(4, -1)  # in torch's order
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(read) * torch.tanh(new)
    return torch.sigmoid(write) * torch.tanh(cell), cell


def lstm_weights(lstm: nn.LSTM) -> tuple[Tensor, Tensor]:
    """The matrix (4 D, I + D) that makes gates of input and state, side by side, and its bias (4 D,)."""
    inputs, states, one, other = lstm.all_weights[0]  # torch adds two biases, where one would do
    return torch.cat((inputs, states), 1), one + other


def until(lengths: Tensor, longest: int) -> Tensor:
    """(B, longest): true up to each length."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def tacotron_loss(drawn: Drawn, mel: Tensor, mel_lengths: Tensor, text_lengths: Tensor, guide: float = 0.0,
                  silence: int = 0) -> dict[str, Tensor]:
    """What Tacotron 2 is trained to make small; their sum is the loss.

    Args:
        drawn: By `forward`.
        mel: The true pictures (B, T, M).
        mel_lengths: (B,).
        text_lengths: (B,).
        guide: Weight of guided attention (Tachibana et al. 2017), which is not in the paper: speech goes from
            the first letter to the last at a fairly even pace, so looking far from the diagonal costs something.
        silence: Frames at the end of each picture that are already "over" for the stop signal.

    Returns:
        "mel": squared error before and after the postnet, summed (section 2.2). "stop": binary cross-entropy.
        "guide": mean distance of the attention from the diagonal, times its weight, if this is not 0.
    """
    inside = until(mel_lengths, mel.shape[1])
    true = mel[inside]
    losses = {"mel": mse_loss(drawn.before[inside], true) + mse_loss(drawn.after[inside], true)}
    reduction = -(-mel.shape[1] // drawn.stop.shape[1])
    first = torch.arange(drawn.stop.shape[1], device=mel.device) * reduction  # the first frame of each step
    counts = first < mel_lengths[:, None]
    over = (first + reduction >= (mel_lengths - silence)[:, None]).float()
    losses["stop"] = nn.functional.binary_cross_entropy_with_logits(drawn.stop[counts], over[counts])
    if guide:
        losses["guide"] = guide * guided_attention(drawn.alignment, -(-mel_lengths // reduction), text_lengths)
    return losses


def guided_attention(alignment: Tensor, steps: Tensor, letters: Tensor, width: float = 0.2) -> Tensor:
    """Mean of A_sn (1 - exp(-(n/N - s/S)^2 / 2 g^2)) over the steps (Tachibana et al. 2017), g = `width`."""
    row = torch.arange(alignment.shape[1], device=alignment.device) / steps[:, None]  # (B, S)
    column = torch.arange(alignment.shape[2], device=alignment.device) / letters[:, None]  # (B, N)
    far = 1 - torch.exp(-((column[:, None] - row[:, :, None]) ** 2) / (2 * width**2))
    return (alignment * far).sum(-1)[until(steps, alignment.shape[1])].mean()


def tacotron_layout(net: Tacotron) -> Layout:
    """Where stem, blocks and head are, for a `LayerMap`: letters and their convolutions first, the picture last."""
    blocks = (["encoder_lstm"], ["attention"], ["prenet", "attention_lstm"], ["decoder_lstm"])
    return [("stem", ["embedding", "encoder_convs"]), *((f"block {i}", block) for i, block in enumerate(blocks)),
            ("head", ["projection", "stop", "postnet"])]
