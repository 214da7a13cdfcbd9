"""Sentences and their pictures, made ready for Tacotron; and both networks of this folder, saved and opened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.errors import DataError, UserError, WeightsError, check_name
from ftkit.speech.mel import MelSettings, log_mel
from ftkit.speech.tacotron import Tacotron, TacotronConfig
from ftkit.speech.text import SYMBOLS, encode

SILENCE = 6  # frames after each sentence: it learns to end
WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True)
class Pair:
    """One sentence to learn from.

    Args:
        text: Numbers of its letters (N,).
        mel: Its log-mel picture (T, M), with `SILENCE` frames at the end.
    """

    text: Tensor
    mel: Tensor


def make_pair(text: str, audio: np.ndarray, settings: MelSettings | None = None) -> Pair:
    """A sentence and its reading, float32 (T,), as Tacotron learns from them. Raises DataError for what it cannot read.

    Lesson 06.
    """
    return Pair(torch.tensor(encode(text)), picture_of(audio, settings or MelSettings()))


def picture_of(audio: np.ndarray, settings: MelSettings) -> Tensor:
    """The log-mel picture (T, M) of a reading, with `SILENCE` frames behind it."""
    mel = log_mel(np.asarray(audio, dtype=np.float32), settings)
    return torch.cat((mel, torch.full((SILENCE, settings.n_mels), float(np.log(settings.floor)))))


def collate(pairs: Sequence[Pair]) -> dict[str, Tensor]:
    """What `Tacotron.forward` takes: `text` (B, N), `text_lengths` (B,), `mel` (B, T, M), `mel_lengths` (B,).

    Shorter sentences are filled with 0, shorter pictures with their last frame, silence.

    Raises:
        DataError: No sentences.
    """
    if not pairs:
        raise DataError("There are no sentences to make a batch of.")
    longest = max(len(pair.mel) for pair in pairs)
    texts = nn.utils.rnn.pad_sequence([pair.text for pair in pairs], batch_first=True)
    mels = [torch.cat((pair.mel, pair.mel[-1:].expand(longest - len(pair.mel), -1))) for pair in pairs]
    return {"text": texts, "text_lengths": torch.tensor([len(pair.text) for pair in pairs]),
            "mel": torch.stack(mels).float(), "mel_lengths": torch.tensor([len(pair.mel) for pair in pairs])}


def save_synthesiser(net: nn.Module, folder: Path, settings: MelSettings,
                     state: dict[str, Tensor] | None = None) -> None:
    """Write a Tacotron or a WaveNet: weights, sizes, and the settings of its pictures. `state` replaces the weights."""
    from safetensors.torch import save_file

    weights = state or {name: tensor.contiguous().cpu() for name, tensor in net.state_dict().items()}
    save_file(weights, folder / WEIGHTS)
    told = {"model": type(net).__name__, "config": asdict(net.config), "mel": asdict(settings)}  # type: ignore
    (folder / CONFIG).write_text(json.dumps(told, indent=1), encoding="utf8")


def load_synthesiser(folder: str | Path) -> tuple[Any, MelSettings]:
    """Open what `save_synthesiser` wrote: the network, in eval mode, and the settings of its pictures.

    Raises:
        WeightsError: Files are missing, damaged, or do not fit together.

    Lesson 06.
    """
    folder = Path(folder)
    told = _told(folder)
    network, config = _kinds()[told["model"]]
    try:
        from safetensors.torch import load_file

        net = network(config(**told["config"]))
        net.load_state_dict(load_file(folder / WEIGHTS))
    except UserError:
        raise
    except Exception as error:
        raise _cannot_be_opened(folder, error) from error
    return net.eval(), told["mel"]


def build_synthesiser(folder: str | Path) -> Any:
    """The network of a folder with fresh random weights. Raises WeightsError as `load_synthesiser` does."""
    told = _told(Path(folder))
    network, config = _kinds()[told["model"]]
    return network(config(**told["config"])).eval()


def mel_settings(folder: str | Path) -> MelSettings:
    """The settings of the pictures that a folder's network draws or hears. Raises WeightsError as `load_synthesiser`.

    Lesson 06.
    """
    settings: MelSettings = _told(Path(folder))["mel"]
    return settings


def is_synthesiser(facts: dict[str, Any]) -> bool:
    """Whether these are the contents of the config.json that `save_synthesiser` writes."""
    return isinstance(facts.get("model"), str) and "mel" in facts and "config" in facts


def _told(folder: Path) -> dict[str, Any]:
    """What config.json says, checked; "mel" as MelSettings."""
    try:
        told = json.loads((folder / CONFIG).read_text(encoding="utf8"))
        check_name("synthesiser", told["model"], _kinds())
        told["mel"] = MelSettings(**told["mel"])
        if told["model"] == "Tacotron" and told["config"]["n_symbols"] != len(SYMBOLS):
            raise WeightsError(f"The Tacotron in {folder} reads {told['config']['n_symbols']} signs, this ftkit "
                               f"{len(SYMBOLS)}.")
    except UserError:
        raise
    except Exception as error:
        raise _cannot_be_opened(folder, error) from error
    return told


def _kinds() -> dict[str, tuple[Any, Any]]:
    from ftkit.speech.wavenet import WaveNet, WaveNetConfig

    return {"Tacotron": (Tacotron, TacotronConfig), "WaveNet": (WaveNet, WaveNetConfig)}


def _cannot_be_opened(folder: Path, error: Exception) -> WeightsError:
    reason = (str(error).strip().splitlines() or ["?"])[0]
    return WeightsError(f"No synthesiser can be opened in {folder}: {reason[:200]}")
