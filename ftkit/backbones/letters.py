"""What a speech backbone is fed with, and the letters that a recogniser writes."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.backbones.mel_sound import MelPreprocess
from ftkit.backbones.quiet import quiet_transformers
from ftkit.backbones.sound import CONFIG, SoundPreprocess
from ftkit.errors import DataError, WeightsError
from ftkit.tasks import CTC, SpeechToText, Task

if TYPE_CHECKING:
    from ftkit.backbones.opened import Opened


def sound_preprocess(opened: Opened, task: Task) -> SoundPreprocess | MelPreprocess:
    """The preprocessing of a speech backbone, with a tokenizer if the task is recognition.

    Raises:
        WeightsError: The configuration is missing, or this is no network of the Wav2Vec2 family.
        DataError: A recogniser without a tokenizer of its own, and the task names no letters.
    """
    import transformers

    options: dict[str, Any] = {"local_files_only": opened.kind != "hub", "trust_remote_code": False}
    with quiet_transformers():
        try:
            network = transformers.AutoConfig.from_pretrained(opened.path, **options)
            config, _ = transformers.FeatureExtractionMixin.get_feature_extractor_dict(
                opened.path, local_files_only=opened.kind != "hub")
        except Exception as error:
            raise WeightsError(f"No {CONFIG} for {opened.spec.name} in {opened.path}.") from error
    if isinstance(task, SpeechToText):
        return _mel(opened, network, options)
    if not hasattr(network, "conv_kernel"):
        hint = " For recognition by it: load_data(…, task='speech-to-text')." if network.model_type == "whisper" else ""
        raise WeightsError(f"'{opened.spec.name}' is no speech network of the Wav2Vec2 family (it is a "
                           f"{network.model_type}).{hint}")
    preprocess = SoundPreprocess.from_config(config, network)
    if not isinstance(task, CTC):
        return preprocess
    own = _own_tokenizer(opened, options)
    if own is not None and knows(own, task.letters):
        return replace(preprocess, tokenizer=own)
    if not task.letters:
        raise DataError(f"'{opened.spec.name}' brings no letters: load your transcripts first, and pass data.task.")
    return replace(preprocess, tokenizer=new_tokenizer(task.letters), fresh=True)


def _mel(opened: Opened, network: Any, options: dict[str, Any]) -> MelPreprocess:
    import transformers

    start = getattr(network, "decoder_start_token_id", None)
    with quiet_transformers():
        try:
            extractor = transformers.AutoFeatureExtractor.from_pretrained(opened.path, **options)
            tokenizer = transformers.AutoTokenizer.from_pretrained(opened.path, **options)
        except Exception as error:
            raise WeightsError(f"No feature extractor or tokenizer for {opened.spec.name} in {opened.path}.") from error
    if start is None or not hasattr(extractor, "n_samples"):
        raise WeightsError(f"'{opened.spec.name}' does not write texts as Whisper does (it is a {network.model_type}): "
                           "recognise with task='ctc'.")
    return MelPreprocess(extractor, tokenizer, start)


def knows(tokenizer: Any, letters: str) -> bool:
    """Whether a tokenizer has all these letters, small or capital."""
    known = set(tokenizer.get_vocab())
    return all(letter in known for letter in letters) or all(letter.upper() in known for letter in letters)


def new_tokenizer(letters: str) -> Any:
    """A tokenizer for these letters, in the files of Wav2Vec2."""
    from transformers import Wav2Vec2CTCTokenizer

    vocabulary = {"<pad>": 0, "<unk>": 1, "|": 2, **{letter: 3 + i for i, letter in enumerate(sorted(set(letters)))}}
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        file = Path(folder, "vocab.json")
        file.write_text(json.dumps(vocabulary), encoding="utf8")
        return Wav2Vec2CTCTokenizer(str(file), bos_token=None, eos_token=None)


def with_vocabulary(task: CTC, tokenizer: Any) -> CTC:
    """The task with what the head writes, by number."""
    numbers: dict[str, int] = tokenizer.get_vocab()
    gap = tokenizer.word_delimiter_token
    names = ["|" if name == gap else name for name in sorted(numbers, key=numbers.__getitem__)]
    return replace(task, vocabulary=tuple(names), blank_number=int(tokenizer.pad_token_id))


def _own_tokenizer(opened: Opened, options: dict[str, Any]) -> Any:
    import transformers

    with quiet_transformers():
        try:
            found = transformers.AutoTokenizer.from_pretrained(opened.path, **options)
        except Exception:  # a body that was pretrained without letters has none
            return None
    return found if getattr(found, "word_delimiter_token", None) and found.pad_token_id is not None else None
