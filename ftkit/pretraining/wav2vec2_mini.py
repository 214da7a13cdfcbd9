"""wav2vec2-mini: hears English and spells it, letter by letter.

The targets are transcripts, but nobody says *when* each letter is spoken. CTC (Graves et al. 2006) sums over all ways
of stretching the letters along the sound, with a blank between them, and the network finds the alignment by itself.

Real speech is scarce here (42 minutes of one reader), so most of what it hears is synthetic: many voices read many
sentences, faster and slower, higher and lower, in noise and in rooms. Synthetic voices are more even than people; the
real clips, which come often, keep it honest. It is judged by real clips that it never heard.
"""

from __future__ import annotations

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ftkit.backbones.quiet import quiet_transformers
from ftkit.errors import DataError
from ftkit.machine import cpu_limit
from ftkit.pretraining.recipe import Recipe, half
from ftkit.pretraining.vary import vary
from ftkit.pretraining.voices import VOICES, speak, split_of
from ftkit.tasks.ctc import written
from ftkit.tasks.decoding import collapse
from ftkit.tasks.spelling import error_rates

RATE = 16_000
CLIPS, SENTENCES = "ljspeech-42min.parquet", "ljspeech-transcripts.txt"
SYNTHETIC = 6_000  # utterances
HELD_OUT = 10  # one real clip in so many
READERS = tuple(voice for voice in VOICES if split_of(voice) == "train")  # the others test `commands`
LETTERS = "'abcdefghijklmnopqrstuvwxyz"
VOCABULARY = {"<pad>": 0, "<unk>": 1, "|": 2, **{letter: 3 + i for i, letter in enumerate(LETTERS)}}


class Wav2Vec2Mini(Recipe):
    """Wav2Vec2ForCTC (Baevski et al. 2020) with 6 layers, 192 wide: 3 million parameters."""

    name = "wav2vec2-mini"
    about = "A small Wav2Vec2 with a letter head, trained by CTC on synthetic voices and 38 minutes of a real one."
    data_about = ("42 minutes of LJSpeech (public domain), and synthetic voices (espeak-ng, flite, festival) reading "
                  "sentences of the same kind.")
    licence = "MIT, as ftkit's code."
    weaknesses = ("It has heard one real person, a woman reading in American English. Other people, other accents and "
                  "noisy rooms are hard for it until it is fine-tuned. It knows no words, only letters: no language "
                  "model corrects its spelling.")
    own_steps = 8_400
    batch_seconds = 30.0
    real_share = 0.35  # of the batches
    short_steps = 0.15  # in this share of the run, only short clips: with few letters, CTC finds the alignment sooner
    lr = 1e-3
    warmup = 0.1

    def prepare(self, work: Path) -> None:
        """Decode the real clips, and let the voices read."""
        clips = read_clips(self.data / CLIPS)
        self.held_out = clips[::HELD_OUT]
        self.real = [clip for i, clip in enumerate(clips) if i % HELD_OUT]
        unheard = {text for _, text in self.held_out}
        lines = read_sentences(self.data / SENTENCES)
        plan = plan_utterances([line for line in lines if spelt(line) not in unheard], SYNTHETIC, self.rng(5))
        self.synthetic = synthesise(plan, work / "synthetic", self.bar)
        for pool in (self.real, self.synthetic):
            pool.sort(key=lambda clip: len(clip[0]))

    def build(self) -> nn.Module:
        """Random weights."""
        from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

        return Wav2Vec2ForCTC(Wav2Vec2Config(
            vocab_size=len(VOCABULARY), do_stable_layer_norm=True, hidden_size=192, num_hidden_layers=6,
            num_attention_heads=4, intermediate_size=768, num_conv_pos_embeddings=64, num_conv_pos_embedding_groups=16,
            # Half the channels where the sound still has 3,200 and 1,600 frames a second, and ReLU instead of GELU:
            # half the time of a step goes there.
            conv_dim=(64, 64, 128, 128, 128, 128, 128), feat_extract_activation="relu",
            feat_extract_norm="layer",  # unlike "group", it does not see the padding of a shorter clip
            layerdrop=0.0, hidden_dropout=0.1, attention_dropout=0.1, activation_dropout=0.0, feat_proj_dropout=0.0,
            final_dropout=0.0, mask_time_prob=0.05, mask_time_length=10, mask_feature_prob=0.02,
            mask_feature_length=16, ctc_loss_reduction="mean", ctc_zero_infinity=True, pad_token_id=0,
            bos_token_id=None, eos_token_id=None))

    def optimizers(self, net: nn.Module) -> list[torch.optim.Optimizer]:
        """Muon for the matrices of the transformer, AdamW for the convolutions and all else: see gpt2-mini."""
        matrices = [p for p in net.get_submodule("wav2vec2.encoder.layers").parameters() if p.dim() == 2]
        others = [p for p in net.parameters() if all(p is not matrix for matrix in matrices)]
        return [torch.optim.Muon(matrices, lr=self.lr, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
                torch.optim.AdamW(others, lr=self.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)]

    def loss(self, net: nn.Module, step: int) -> Tensor:
        """CTC loss on half a minute of varied sound: all real or all synthetic."""
        rng = self.rng(step, 1)
        np.random.seed(int(rng.integers(2**31)))  # transformers masks stretches of sound by NumPy's global numbers
        short = step < self.short_steps * self.steps
        pool = self.real if not short and rng.random() < self.real_share else self.synthetic
        clips = of_like_length(pool[: max(1, len(pool) // 2)] if short else pool, self.batch_seconds, rng)
        inputs, labels = collate([(vary(np.asarray(audio, dtype=np.float32), rng), text) for audio, text in clips])
        return net(**{name: tensor.to(self.device) for name, tensor in inputs.items()},
                   labels=labels.to(self.device)).loss

    def validate(self, net: nn.Module) -> dict[str, float]:
        """Character error rate on the real clips that were held out: wrong, missing and superfluous letters."""
        heard: list[str] = []
        for start in range(0, len(self.held_out), 4):
            part = self.held_out[start : start + 4]
            inputs, _ = collate(part)
            best = net(**{name: tensor.to(self.device) for name, tensor in inputs.items()}).logits.argmax(-1).cpu()
            frames = net._get_feat_extract_output_lengths(inputs["attention_mask"].sum(1)).tolist()  # type: ignore
            heard += [greedy(row[:count]) for row, count in zip(best.tolist(), frames, strict=True)]
        return {"cer": error_rates(heard, [text for _, text in self.held_out])["cer"]}

    def export(self, net: nn.Module, folder: Path) -> None:
        """A transformers folder with tokenizer and feature extractor."""
        from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor

        with quiet_transformers():
            net.save_pretrained(folder, state_dict=half(net.state_dict()))  # type: ignore[operator]
            (folder / "vocab.json").write_text(json.dumps(VOCABULARY), encoding="utf8")
            Wav2Vec2CTCTokenizer(str(folder / "vocab.json"), bos_token=None, eos_token=None).save_pretrained(folder)
            Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)

    def fetch(self, folder: Path) -> None:
        """The first 385 clips of LJSpeech from the hub, and the sentences of all."""
        from datasets import Audio, load_dataset

        loaded: Any = load_dataset("keithito/lj_speech", split="train")
        texts = loaded["normalized_text"]
        (folder / SENTENCES).write_text("\n".join(texts), encoding="utf8")
        few = loaded.select(range(385)).cast_column("audio", Audio(decode=False))
        few.rename_column("normalized_text", "text").to_parquet(folder / CLIPS)


def spelt(text: str) -> str:
    """Lower case, letters and apostrophes only."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def read_clips(file: Path) -> list[tuple[np.ndarray, str]]:
    """Sound as float32 (T,) at 16 kHz, and its spelt text; raises DataError if the file is missing."""
    import pyarrow.parquet as pq
    import soundfile
    from scipy.signal import resample_poly

    if not file.is_file():
        raise DataError(f"There is no {file.name} in {file.parent}. Pass the folder that holds it, or --fetch.")
    found = []
    for row in pq.read_table(file, columns=["audio", "text"]).to_pylist():
        data = row["audio"]["bytes"] if isinstance(row["audio"], dict) else row["audio"]
        audio, rate = soundfile.read(io.BytesIO(data), dtype="float32")
        audio = audio if rate == RATE else resample_poly(audio, RATE, rate).astype(np.float32)
        found.append((audio, spelt(row["text"])))
    return found


def read_sentences(file: Path) -> list[str]:
    """One sentence a line; raises DataError if the file is missing."""
    if not file.is_file():
        raise DataError(f"There is no {file.name} in {file.parent}. Pass the folder that holds it, or --fetch.")
    return [line for line in file.read_text(encoding="utf8").splitlines() if spelt(line)]


def plan_utterances(lines: list[str], count: int, rng: np.random.Generator) -> list[tuple[int, str]]:
    """(number of the voice, text): stretches of 1 to 14 words out of the sentences, every voice as often."""
    plan = []
    for i in range(count):
        words = spelt(lines[int(rng.integers(len(lines)))]).split()
        length = int(rng.integers(1, 4)) if rng.random() < 0.25 else int(rng.integers(4, 15))
        start = int(rng.integers(0, max(1, len(words) - length + 1)))
        plan.append((i % len(READERS), " ".join(words[start : start + length])))
    return plan


def synthesise(plan: list[tuple[int, str]], kept: Path, bar: bool) -> list[tuple[np.ndarray, str]]:
    """Each text read by its voice; kept as 16-bit sound in one file, so that it is done once."""
    if not kept.with_suffix(".npz").is_file():
        def read(item: tuple[int, str]) -> np.ndarray:
            return (speak(READERS[item[0]], item[1]) * 32767).astype(np.int16)

        with ThreadPoolExecutor(cpu_limit()) as pool:
            sounds = list(tqdm(pool.map(read, plan), total=len(plan), desc="voices", disable=not bar))
        np.savez(kept.with_suffix(".new.npz"), sound=np.concatenate(sounds), ends=np.cumsum([len(s) for s in sounds]))
        kept.with_suffix(".new.npz").replace(kept.with_suffix(".npz"))
    with np.load(kept.with_suffix(".npz")) as arrays:
        parts = np.split(arrays["sound"].astype(np.float16) / 32768, arrays["ends"][:-1])
    return [(part, text) for part, (_, text) in zip(parts, plan, strict=True) if len(part) > RATE // 5]


def of_like_length(pool: list[tuple[np.ndarray, str]], seconds: float, rng: np.random.Generator,
                   spread: int = 10) -> list[tuple[np.ndarray, str]]:
    """Clips from one place of a pool that is sorted by length, about so many seconds of them: little padding.

    One clip in `spread` of that place is taken, so that the same clips do not always meet.
    """
    at = int(rng.integers(len(pool)))
    count = max(1, min(64, round(seconds * RATE / len(pool[at][0]))))
    first = max(0, min(at - count * spread // 2, len(pool) - count * spread))
    place = range(first, min(len(pool), first + count * spread))
    return [pool[i] for i in rng.choice(place, min(count, len(place)), replace=False)]


def collate(clips: list[tuple[np.ndarray, str]]) -> tuple[dict[str, Tensor], Tensor]:
    """`input_values` (B, T), each with mean 0 and deviation 1, `attention_mask` (B, T); labels (B, L), -100 padded."""
    longest = max(len(audio) for audio, _ in clips)
    values, mask = torch.zeros(len(clips), longest), torch.zeros(len(clips), longest, dtype=torch.long)
    labels = torch.full((len(clips), max(len(text) for _, text in clips)), -100)
    for i, (audio, text) in enumerate(clips):
        sound = torch.from_numpy(np.asarray(audio, dtype=np.float32))
        values[i, : len(sound)] = (sound - sound.mean()) / torch.sqrt(sound.var(correction=0) + 1e-7)
        mask[i, : len(sound)] = 1
        labels[i, : len(text)] = torch.tensor([VOCABULARY["|" if letter == " " else letter] for letter in text])
    return {"input_values": values, "attention_mask": mask}, labels


def greedy(row: list[int]) -> str:
    """The best letter of each frame; repeats and blanks fall out."""
    return written(collapse(row, 0), tuple(VOCABULARY))
