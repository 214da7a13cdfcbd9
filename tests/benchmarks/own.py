"""ftkit itself: in fp32 with the cache off, and as it comes."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

from workloads import Job, Outcome

import ftkit as ft
from ftkit.data import Split
from ftkit.training.cache import default_budget

import_module("accelerate")  # ftkit imports it at the first fit; importing is not timed for any contender


def train(job: Job) -> Outcome:
    """Defaults: precision and cache on auto."""
    return _fit(job)


def train_fp32(job: Job) -> Outcome:
    """What the hand-written loop does, and no more."""
    return _fit(job, precision="fp32", cache="off", keep_best=False)


def _fit(job: Job, **settings: Any) -> Outcome:
    work, budget = job.workload, default_budget()
    data = replace(job.data, valid=Split("valid", [], [], job.data.valid.labels))  # nobody validates here
    if job.model.task.modality == "audio":
        settings["batch_seconds"] = 3600.0  # batches by number, like everybody's here
    history = ft.fit(job.model, data, work.strategy, epochs=work.epochs, lr=work.lr, batch_size=work.batch_size,
                     seed=job.seed, progress=False, **settings)
    cached = max(row["cached"] for row in history.epochs)
    return Outcome(len(history.steps), history.train_seconds, {
        "precision": history.config["precision"], "groups_cached": cached,
        "cache_budget_mb": budget / 2**20 if cached else 0.0, "last_loss": history.steps[-1]["loss"],
        "notes": [event["note"] for event in history.events]})
