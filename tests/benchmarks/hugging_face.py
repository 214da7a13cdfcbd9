"""The Hugging Face Trainer with its defaults; only the recipe (rate, batch size, epochs, warm-up, decay) is given.

Its warm-up begins at a rate of 0, so its first step changes nothing. That is its way, and stays.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from typing import Any

import numpy as np
from plain import CLIP, MAX_LENGTH, WARMUP, WEIGHT_DECAY, Examples, FtkitBatches, freeze, with_loss
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments, default_data_collator
from workloads import Job, Outcome


def train(job: Job) -> Outcome:
    """As its documentation shows it: batches drawn at random."""
    features, collator = _features(job)
    return _run(job, Trainer, features, collator)


def train_same_batches(job: Job) -> Outcome:
    """The same trainer on the very batches that ftkit makes."""
    features, collator = _features(job)
    lengths = np.array([len(row.get("input_ids", row.get("input_values", "1"))) for row in features])
    if job.model.task.modality == "audio" or job.model.task.generates:
        lengths = Examples(job).lengths()

    class SameBatches(Trainer):
        def get_train_dataloader(self) -> Any:
            rows: Any = features  # a list will do: DataLoader only asks for its length and items
            loader: Any = DataLoader(rows, batch_sampler=FtkitBatches(job, lengths), collate_fn=self.data_collator)
            return self.accelerator.prepare(loader)

    return _run(job, SameBatches, features, collator)


def _features(job: Job) -> tuple[list[dict[str, Any]], Any]:
    """A list of examples, tokenized once: no slower than a datasets.Dataset, and without its cache on disk."""
    split, tokenizer = job.data.train, job.model.processor
    if job.model.task.generates:
        return _texts(job)
    if job.model.task.modality == "text":
        encoded = tokenizer(list(split.inputs), truncation=True, max_length=MAX_LENGTH)
        rows = zip(encoded["input_ids"], encoded["attention_mask"], split.targets, strict=True)
        features = [{"input_ids": ids, "attention_mask": mask, "labels": label} for ids, mask, label in rows]
        return features, DataCollatorWithPadding(tokenizer)
    examples = Examples(job)
    if job.model.task.modality == "audio":
        return _sounds(job, examples)
    return [{"pixel_values": image, "labels": label} for image, label in
            zip(examples.images, split.targets, strict=True)], default_data_collator


def _texts(job: Job) -> tuple[list[dict[str, Any]], Any]:
    """Texts between end tokens. transformers' own collator would hide these with the padding, as both are one token."""
    examples = Examples(job)

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        ids = [row["input_ids"] for row in rows]
        return {"input_ids": pad_sequence(ids, batch_first=True, padding_value=examples.pad),
                "labels": pad_sequence(ids, batch_first=True, padding_value=-100)}

    return [{"input_ids": row} for row in examples.rows], collate


def _sounds(job: Job, examples: Examples) -> tuple[list[dict[str, Any]], Any]:
    """Sounds normalised once, and the collator of transformers' own lesson on CTC: each batch is padded anew."""
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    features = [{"input_values": extractor(sound, sampling_rate=16_000).input_values[0], "labels": letters}
                for sound, letters in zip(examples.sounds, examples.letters, strict=True)]

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = extractor.pad([{"input_values": row["input_values"]} for row in rows], return_tensors="pt")
        labels = pad_sequence([row["labels"] for row in rows], batch_first=True, padding_value=-100)
        return {**batch, "labels": labels}

    return features, collate


class _Clock(TrainerCallback):
    """Reads the time where training begins and ends."""

    seconds = 0.0

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self.started = time.perf_counter()

    def on_train_end(self, *args: Any, **kwargs: Any) -> None:
        self.seconds = time.perf_counter() - self.started


def _run(job: Job, trainer_class: type[Trainer], features: list[dict[str, Any]], collator: Any) -> Outcome:
    freeze(job)
    clock, work = _Clock(), job.workload
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pinned memory without a GPU: its default, and it says so in every run
        arguments = TrainingArguments(
            folder, learning_rate=work.lr, per_device_train_batch_size=work.batch_size, num_train_epochs=work.epochs,
            warmup_steps=round(WARMUP * job.steps), weight_decay=WEIGHT_DECAY, max_grad_norm=CLIP, seed=job.seed,
            use_cpu=True, save_strategy="no", report_to=[], disable_tqdm=True)
        trainer = trainer_class(with_loss(job), arguments, train_dataset=features, data_collator=collator,
                                callbacks=[clock])
        trainer.train()
    return Outcome(trainer.state.global_step, clock.seconds, {"mean_loss": trainer.state.log_history[-1]["train_loss"]})
