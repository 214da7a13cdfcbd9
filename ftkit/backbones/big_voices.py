"""Synthesisers of transformers that `ftkit.speak` can use: VITS (with MMS) and SpeechT5. ftkit trains neither.

Their code is tested here on tiny networks with random weights. Whether the published weights sound as they should was
not tried: there was no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ftkit.backbones.quiet import quiet_transformers
from ftkit.errors import DataError, UserError, WeightsError
from ftkit.layers import Layout, blocks_of
from ftkit.speech.spoken import Speech

KINDS = ("vits", "speecht5")
VOCODER = "microsoft/speecht5_hifigan"


@dataclass(frozen=True)
class BigVoice:
    """What feeds one of these networks.

    Args:
        kind: "vits" or "speecht5".
        tokenizer: Its own.
        rate: Samples a second.

    Lesson 06.
    """

    kind: str
    tokenizer: Any = field(compare=False, repr=False)
    rate: int = 16_000

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the tokenizer's files."""
        self.tokenizer.save_pretrained(folder)

    def speak(self, net: Any, task: Any, texts: Sequence[str], vocoder: Any = None, seed: int = 0,
              speaker: Any = None) -> list[Speech]:
        """Texts to speech, one after the other. See `ftkit.speak`."""
        numbers = [self._read(text) for text in texts]
        say = self._vits(net, vocoder, speaker) if self.kind == "vits" else self._speecht5(net, vocoder, speaker)
        found, device = [], next(net.parameters()).device
        for text, ids in zip(texts, numbers, strict=True):
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)  # chance is part of both voices
                samples = say(ids.to(device))
            found.append(Speech(text, samples.float().cpu().numpy().clip(-1, 1).astype(np.float32), self.rate))
        return found

    def _read(self, text: Any) -> torch.Tensor:
        """The numbers of a text, (1, N)."""
        if not isinstance(text, str) or not text.strip():
            raise DataError(f"There is nothing to read aloud in {text!r:.60}.")
        ids = self.tokenizer(text, return_tensors="pt")["input_ids"]
        special = {self.tokenizer.pad_token_id, self.tokenizer.unk_token_id, self.tokenizer.eos_token_id}
        if not ids.numel() or set(ids.flatten().tolist()) <= special:
            raise DataError(f"The tokenizer of this voice knows none of the signs in {text[:60]!r}.")
        return ids

    def _vits(self, net: Any, vocoder: Any, speaker: Any) -> Any:
        if vocoder is not None:
            raise UserError("VITS draws no picture: it makes the sound itself, so there is no use for a vocoder.")
        most = int(net.config.num_speakers)
        if speaker is not None and (most < 2 or isinstance(speaker, bool) or not isinstance(speaker, int)
                                    or not 0 <= speaker < most):
            raise UserError(f"This VITS knows {most} speaker{'s' * (most > 1)}: speaker is " + (
                f"a number from 0 to {most - 1}" if most > 1 else "left out") + f", not {speaker!r:.40}.")
        chosen = {} if most < 2 else {"speaker_id": speaker or 0}
        return lambda ids: net(input_ids=ids, **chosen).waveform[0]

    def _speecht5(self, net: Any, vocoder: Any, speaker: Any) -> Any:
        size = int(net.config.speaker_embedding_dim)
        given = np.asarray([] if speaker is None else speaker, dtype=np.float32)
        if given.shape != (size,):
            raise UserError(f"SpeechT5 needs speaker=, {size} numbers that say whose voice it is (an x-vector, from a "
                            f"network for speaker recognition), not {'nothing' if speaker is None else given.shape}.")
        who = torch.from_numpy(given)[None].to(next(net.parameters()).device)
        made = vocoder if isinstance(vocoder, nn.Module) else open_hifigan(VOCODER if vocoder is None else vocoder)
        return lambda ids: net.generate_speech(ids, who, vocoder=made)


def open_hifigan(name: str | Path) -> Any:
    """The vocoder of SpeechT5, from a folder, the cache or the hub; raises WeightsError if it cannot be had."""
    import transformers

    with quiet_transformers():
        try:
            return transformers.SpeechT5HifiGan.from_pretrained(name, use_safetensors=True).eval()
        except Exception as error:
            raise WeightsError(f"SpeechT5 draws a picture, and the vocoder '{name}' that makes sound of it cannot be "
                               f"loaded. Pass vocoder=, a folder with a SpeechT5HifiGan.") from error


def big_voice(opened: Any) -> BigVoice:
    """The tokenizer and the rate of a synthesiser of transformers; raises WeightsError for any other network."""
    import transformers

    options: dict[str, Any] = {"local_files_only": opened.kind != "hub", "trust_remote_code": False}
    with quiet_transformers():
        try:
            config: Any = transformers.AutoConfig.from_pretrained(opened.path, **options)
        except Exception as error:
            raise WeightsError(f"No configuration for {opened.spec.name} in {opened.path}.") from error
        if config.model_type not in KINDS:
            raise WeightsError(f"'{opened.spec.name}' is no synthesiser that ftkit knows (it is a "
                               f"{config.model_type}). Known: Tacotron, VITS, SpeechT5.")
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(opened.path, **options)
        except Exception as error:
            raise WeightsError(f"No tokenizer for {opened.spec.name} in {opened.path}: "
                               f"{str(error).splitlines()[0][:200]}") from error
    return BigVoice(config.model_type, tokenizer, int(getattr(config, "sampling_rate", 16_000)))


def vits_layout(net: nn.Module) -> Layout:
    """The layout of VITS (Kim et al. 2021): the blocks that read; then how long, what it sounds like, and the sound.

    "durations" says how long each letter lasts. "flow" turns what was read into what is heard, and holds the encoder of
    recordings, which only training uses. The head is a HiFi-GAN, which makes the samples.
    """
    blocks = [[name] for name in blocks_of(net, "text_encoder.encoder.layers.*")]
    blocks[-1].append("text_encoder.project")
    names = dict(net.named_children())
    speakers = ["embed_speaker"] if "embed_speaker" in names else []
    return [("stem", ["text_encoder.embed_tokens", *speakers]),
            *((f"block {i}", block) for i, block in enumerate(blocks)),
            ("durations", ["duration_predictor"]), ("flow", ["flow", "posterior_encoder"]), ("head", ["decoder"])]


def speecht5_layout(net: nn.Module) -> Layout:
    """The layout of SpeechT5 (Ao et al. 2022): the blocks of the encoder, then those of the decoder, in one row."""
    encoder, decoder = "speecht5.encoder.wrapped_encoder", "speecht5.decoder.wrapped_decoder"
    blocks = [[name] for part in (encoder, decoder) for name in blocks_of(net, f"{part}.layers.*")]
    first = len(blocks_of(net, f"{decoder}.layers.*"))
    blocks[len(blocks) - first].insert(0, "speecht5.decoder.prenet")
    return [("stem", ["speecht5.encoder.prenet", f"{encoder}.layer_norm", f"{encoder}.embed_positions"]),
            *((f"block {i}", block) for i, block in enumerate(blocks)), ("head", ["speech_decoder_postnet"])]


def layout_of(net: nn.Module) -> Any:
    """The layout of one of these networks, or None."""
    kind = str(getattr(getattr(net, "config", None), "model_type", ""))
    return {"vits": vits_layout, "speecht5": speecht5_layout}.get(kind)
