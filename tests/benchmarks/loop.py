"""The loop that a careful person writes by hand: plain PyTorch, fp32.

The data lie ready in memory and the optimizer is the fused one: it leaves out what would only slow it down.
"""

from __future__ import annotations

import time

import torch
from plain import CLIP, WEIGHT_DECAY, Examples, FtkitBatches, freeze, schedule, train_mode, with_loss
from workloads import Job, Outcome


def train(job: Job) -> Outcome:
    """Batches drawn at random."""
    return _train(job, same_batches=False)


def train_same_batches(job: Job) -> Outcome:
    """The very batches that ftkit makes: what is left to compare is the loop alone."""
    return _train(job, same_batches=True)


def _train(job: Job, same_batches: bool) -> Outcome:
    torch.manual_seed(job.seed)
    examples, net = Examples(job), with_loss(job)
    parameters = freeze(job)
    optimizer = torch.optim.AdamW(parameters, lr=job.workload.lr, weight_decay=WEIGHT_DECAY, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(job))
    ours = FtkitBatches(job, examples.lengths())
    losses = []
    train_mode(job)
    started = time.perf_counter()
    for _ in range(job.workload.epochs):
        shuffled = torch.randperm(len(examples)).split(job.workload.batch_size)
        for indices in ours if same_batches else (part.tolist() for part in shuffled):
            loss = net(**examples.batch(indices))["loss"]
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
    return Outcome(len(losses), time.perf_counter() - started, {"last_loss": losses[-1]})
