"""Lightning: its Trainer without logger, checkpoints and progress bar, on the batches that ftkit makes."""

from __future__ import annotations

import logging
import time
import warnings
from typing import Any

import lightning.pytorch as pl
import torch
from plain import CLIP, WEIGHT_DECAY, Examples, FtkitBatches, freeze, schedule, train_mode, with_loss
from torch.utils.data import DataLoader
from workloads import Job, Outcome


class Classifier(pl.LightningModule):
    """A network that gives its own loss."""

    def __init__(self, job: Job, parameters: list[torch.nn.Parameter]) -> None:
        super().__init__()
        self.net, self.job, self.trained = with_loss(job), job, parameters

    def training_step(self, batch: dict[str, torch.Tensor], _: int) -> torch.Tensor:
        return self.net(**batch)["loss"]

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.trained, lr=self.job.workload.lr, weight_decay=WEIGHT_DECAY, fused=True)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(self.job))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_start(self) -> None:
        train_mode(self.job)
        self.started = time.perf_counter()

    def on_train_end(self) -> None:
        self.seconds = time.perf_counter() - self.started


def train(job: Job) -> Outcome:
    """fp32, one device."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.manual_seed(job.seed)
    examples = Examples(job)
    module = Classifier(job, freeze(job))
    # Indices go through the loader, so that a whole batch is padded at once.
    indices: Any = range(len(examples))
    loader: Any = DataLoader(indices, batch_sampler=FtkitBatches(job, examples.lengths()), collate_fn=examples.batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises loader processes, which only slow such small batches down
        trainer = pl.Trainer(max_epochs=job.workload.epochs, accelerator="cpu", devices=1, gradient_clip_val=CLIP,
                             logger=False, enable_checkpointing=False, enable_progress_bar=False,
                             enable_model_summary=False)
        trainer.fit(module, loader)
    return Outcome(trainer.global_step, module.seconds)
