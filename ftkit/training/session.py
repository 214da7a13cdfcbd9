"""TrainSession: the only training loop for supervised fine-tuning. `fit` is a few lines over it.

Read `step` first: it is the loop that lesson 01 writes by hand. Everything else is what a hand-written loop forgets:
freezing that freezes, exact resuming, stopping without loss, and not computing twice what does not change.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ftkit.backbones import Model
from ftkit.errors import MemoryLimit, UserError
from ftkit.strategies import Plan, Strategy, make_strategy, scale_groups
from ftkit.training import processes
from ftkit.training.batches import epoch_batches
from ftkit.training.checkpoint import load_checkpoint, save_checkpoint
from ftkit.training.control import Control, seeded
from ftkit.training.cpu import reusing_memory, use_all_cores
from ftkit.training.diverged import check_finite
from ftkit.training.epochs import epoch_row, finish, keep_best
from ftkit.training.features import FeatureCaches
from ftkit.training.freezing import NormStatistics, apply_plan, make_optimizer, named_in, set_modes, set_rate
from ftkit.training.history import History
from ftkit.training.inference import most_tokens
from ftkit.training.memory import check_batch_fits, is_out_of_memory
from ftkit.training.precision import autocast, choose_precision
from ftkit.training.reference import add_reference
from ftkit.training.settings import Settings, augmented, check_labels, class_weight_list
from ftkit.training.snapshot import take_snapshot
from ftkit.training.weights import StartRecord, WeightFile

Observer = Callable[[dict[str, Any]], None]


class TrainSession:
    """One run: a model, data, a strategy, and where it has got to.

    Args:
        model: From `load_backbone`.
        data: From `load_data`: its `train` and `valid` splits are used, never `test`.
        strategy: A Strategy, or its written form such as "last_k:k=2". None is the task's own.
        on_step: Called with each step's row, from the thread that trains.
        on_epoch: Called with each epoch's row.
        on_gradients: Called with the step's number between backward and the optimizer's step, before clipping:
            gradients may be looked at there, not changed.
        settings: See `Settings`.

    Raises:
        UserError: The data's labels are not the model's, or a setting makes no sense.
        MemoryLimit: The batch cannot fit into the memory that is free.

    Lesson 01.
    """

    def __init__(self, model: Model, data: Any, strategy: str | Strategy | None = None, *,
                 on_step: Observer | None = None, on_epoch: Observer | None = None,
                 on_gradients: Callable[[int], None] | None = None, **settings: Any) -> None:
        use_all_cores()
        check_labels(model, data)
        self.strategy = make_strategy(model.task.strategy if strategy is None else strategy)
        self.strategy.adapt(model)
        self.model, self.net, self.layers = model, model.net, model.layers
        self.on_step, self.on_epoch, self.on_gradients, self.control = on_step, on_epoch, on_gradients, Control()
        wanted = Settings.make(**settings)
        self.plans = [self.strategy.plan(self.layers, epoch) for epoch in range(wanted.epochs)]
        self.settings = wanted.filled(model, self.plans)
        self.task = augmented(model.task, wanted.augment) if wanted.augment else model.task
        self.task.prepare(self.net)
        self.device = processes.device()
        self.net.to(self.device)
        self.precision = choose_precision(wanted.precision, self.device, self.task.mixed)
        if self.precision == "bf16" and hasattr(self.task, "pad_to"):
            self.task = replace(self.task, pad_to=4)  # type: ignore[call-arg]
        self.train = self.task.encode(data.train.inputs, data.train.targets, model.processor)
        self.valid = self.task.encode(data.valid.inputs, data.valid.targets, model.processor)
        weights = class_weight_list(wanted.class_weights, model, self.train)
        self.class_weights = None if weights is None else torch.tensor(weights, device=self.device)
        self.optimizer = make_optimizer(wanted.optimizer, self.net, wanted.weight_decay)
        self.scaler = torch.amp.GradScaler(self.device.type) if self.precision == "fp16" else None
        self.step_count, self.epoch, self.position = 0, 0, 0
        self.batches: list[list[int]] = []
        self.plan: Plan = {}
        self.override: Plan | list[Plan] | None = None  # what `apply` was given: for all epochs, or for each
        self.history = History(config={**asdict(self.settings), "strategy": repr(self.strategy), "precision":
                                       self.precision, "backbone": model.spec.name, "task": model.task.name,
                                       "labels": list(model.task.labels), "data": data.train.fingerprint(),
                                       "image_size": getattr(model.processor, "size", None),
                                       "parameters": sum(self.layers.sizes.values())})
        ever = {name for plan in self.plans for name, scale in plan.items() if scale > 0}
        self._set_plan(max(self.plans, key=lambda plan: self.trainable_parameters(plan)))
        if self.device.type == "cpu":
            longest = max(1, int(self.train.lengths.max()))
            check_batch_fits(self.net, self.task, self.train, model.processor,
                             int(max(1, min(self.batch_size, self.most_tokens // longest))),
                             self.trainable_parameters(self.plan))
        for split in (self.train, self.valid):
            add_reference(model, self.task, split, self.precision)
        self.history.start = StartRecord(self.net, ever)
        if self.task.has_reference and model.reference is None:
            model.reference = self.history.start
        self.best = WeightFile()
        self.best_names = ever | {name for name, _ in self.net.named_buffers()}
        self.features = FeatureCaches(self)

    # --- the loop -----------------------------------------------------------------------------------------------

    def step(self) -> dict[str, Any]:
        """One optimizer step, and at the end of an epoch the validation; returns the step's row.

        Raises:
            TrainingDiverged: The loss is not finite. The weights are those before this step.
            MemoryLimit: Memory ran out. The weights are those before this step.

        After either, and after Ctrl-C, BatchNorm's statistics are those before this step too: the run can go on.
        """
        if self.done:
            raise UserError("This run is finished. Start a new TrainSession to train further.")
        started = time.perf_counter()
        self._apply_pending()
        if self.position == 0:
            self._begin_epoch()
        micro = self.batches[self.position : self.position + self.settings.accumulate]
        self.statistics.keep()
        try:
            with torch.enable_grad(), seeded(self.settings.seed, self.step_count):  # gradient mode is thread-local
                loss = self._gradients(micro)
            if self.scaler:
                self.scaler.unscale_(self.optimizer)
            if self.on_gradients:
                self.on_gradients(self.step_count + 1)
        except BaseException as error:  # Ctrl-C too: half a gradient must not be added to the next one
            self.optimizer.zero_grad(set_to_none=True)
            self.statistics.put_back()
            if is_out_of_memory(error):
                raise MemoryLimit(f"Memory ran out in step {self.step_count + 1} with batches of {self.batch_size}. "
                                  "Use a smaller batch (and accumulate), or freeze more layers.") from error
            raise
        rate = self.settings.lr * self.strategy.schedule(self.step_count, self.total_steps)  # type: ignore[operator]
        set_rate(self.optimizer, rate)
        self._update()
        self.history.start.planned |= self.names  # only now: a plan may be replaced before its first step
        self.position += len(micro)
        self.step_count += 1
        row = {"step": self.step_count, "epoch": self.epoch, "loss": loss, "lr": rate,
               "examples": sum(map(len, micro)), "seconds": time.perf_counter() - started}
        self.history.steps.append(row)
        if self.on_step:
            self.on_step(row)
        if self.position >= len(self.batches):
            self._end_epoch()
        return row

    def _gradients(self, micro: list[list[int]]) -> float:
        """Forward and backward over one or more batches; returns the mean loss over all of them."""
        total, count = 0.0, 0.0
        for whole in micro:
            indices, weight = processes.shard(whole)
            batch = self.task.collate(self.train, indices, self.model.processor, train=True)
            batch = {name: tensor.to(self.device) for name, tensor in batch.items()}
            with autocast(self.precision, self.device), self.features.around("train", indices, batch) as ready:
                sums = self.task.loss(self.shared_net, ready, self.class_weights)
            loss = sums.total * weight
            if len(micro) == 1 and processes.count() == 1:
                loss = loss / sums.n  # the usual mean; the general case divides at the end, when all are counted
            (self.scaler.scale(loss) if self.scaler else loss).backward()
            total += float(sums.total.detach()) * weight
            count += sums.n * weight
        total, count = processes.total(total), processes.total(count)
        if len(micro) > 1 or processes.count() > 1:
            gradients = [p.grad for p in self.trained if p.grad is not None]
            torch._foreach_mul_(gradients, processes.count() / count)  # processes are averaged: undo that
        check_finite(total / count, self, micro)
        return total / count

    def _update(self) -> None:
        """Clip and step."""
        if self.settings.clip:
            torch.nn.utils.clip_grad_norm_(self.trained, self.settings.clip)
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def run(self, steps: int | None = None) -> History:
        """Train to the end, or for some steps; pause, stop and Ctrl-C are honoured between two steps.

        After a stop or Ctrl-C the model is usable, and a checkpoint lies at `history.checkpoint`.
        """
        last = math.inf if steps is None else self.step_count + steps
        if not self.done:
            self.history.status = "running"  # also after a stop: the same session can go on
            set_modes(self.net, self.layers, self.plan)  # a stop left the network in eval mode
        with self.control.catching_interrupts(), reusing_memory():
            while not self.done and self.step_count < last and not self._to_end():
                self.step()
        stopped = self.control.take_stop()
        if stopped and not self.done:
            self.history.status = stopped
            if processes.is_main() and self.control.saves:
                self.save(self.checkpoint_folder)
            processes.wait()
        elif self.done:
            finish(self)
        if self.done or stopped:
            self.net.eval()
        return self.history

    def _to_end(self) -> bool:
        """Whether to end before the next step. The processes agree on it, or one would wait for the others for ever."""
        ending = processes.total(float(self.control.wait())) > 0
        if ending and not self.control.stopped:
            self.control.stop("interrupted")
        return ending

    # --- steering -----------------------------------------------------------------------------------------------

    def apply(self, plan: Plan | Sequence[Plan] | None) -> None:
        """Train by another plan from the next step on, until the end; None goes back to the strategy's.

        Args:
            plan: Learning-rate scales by parameter or group name, such as {"head": 1, "block 5": 0.1}; or a list of
                such plans, one per epoch of the run, the last one repeated.

        Raises:
            UserError: A name that the model lacks, a scale that makes no sense, or nothing would train.
        """
        if plan is None:
            self.control.pending.append(None)
            return
        whole = [scale_groups(self.layers, one) for one in ([plan] if isinstance(plan, Mapping) else plan)]
        if not whole or not all(any(one.values()) for one in whole):
            raise UserError("The plan freezes everything: nothing would train.")
        self.control.pending.append(whole[0] if len(whole) == 1 else whole)

    def pause(self) -> None:
        """Hold before the next step; may be called from any thread."""
        self.control.pause()

    def resume_run(self) -> None:
        """Go on after `pause`."""
        self.control.go_on()

    def stop(self) -> None:
        """End before the next step, with a checkpoint."""
        self.control.stop("stopped")

    def save(self, folder: str | Path) -> Path:
        """Write a checkpoint that `resume` goes on from exactly; an older one is replaced in one step."""
        return save_checkpoint(self, Path(folder))

    def resume(self, folder: str | Path) -> TrainSession:
        """Go on from a checkpoint of the same model, data, strategy and settings; raises UserError if they differ."""
        load_checkpoint(self, Path(folder))
        return self

    def snapshot(self) -> dict[str, Any]:
        """Where the run is now, as plain numbers and words: JSON-able, and it no longer changes."""
        return take_snapshot(self)

    # --- facts --------------------------------------------------------------------------------------------------

    @property
    def batch_size(self) -> int:
        """Examples per batch."""
        return self.settings.batch_size or 1

    @property
    def total_steps(self) -> int:
        """Optimizer steps in the whole run. Sounds are batched by seconds: each epoch may have another number."""
        if self.most_tokens < math.inf:
            return sum(math.ceil(count / self.settings.accumulate) for count in self._batch_counts)
        return self.settings.epochs * math.ceil(math.ceil(len(self.train) / self.batch_size) / self.settings.accumulate)

    @cached_property
    def most_tokens(self) -> float:
        """Tokens that a batch may have, padding included."""
        return most_tokens(self.train, self.settings.batch_seconds)

    @cached_property
    def _batch_counts(self) -> list[int]:
        return [len(self._batches(epoch)) for epoch in range(self.settings.epochs)]

    def _batches(self, epoch: int) -> list[list[int]]:
        return epoch_batches(self.train.lengths, self.batch_size, self.settings.seed, epoch, self.most_tokens)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.epoch >= self.settings.epochs or self.history.status in ("finished", "early stop")

    @property
    def cut(self) -> int:
        """How many groups the cache steps over now."""
        return self.features.cut

    @property
    def checkpoint_folder(self) -> Path:
        """Where a stop or an interruption leaves its checkpoint."""
        return self.control.checkpoint_folder(f"{self.model.spec.name}-{self.history.config['data']}")

    def plan_of(self, epoch: int) -> Plan:
        """What trains in an epoch: by the plan that `apply` was given last, else by the strategy."""
        chosen = self.plans if self.override is None else self.override
        return chosen if isinstance(chosen, dict) else chosen[min(epoch, len(chosen) - 1)]

    def trainable_parameters(self, plan: Plan) -> int:
        """How many numbers a plan trains."""
        return sum(self.layers.sizes[name] for name, scale in plan.items() if scale > 0)

    # --- epochs -------------------------------------------------------------------------------------------------

    def _begin_epoch(self) -> None:
        plan = self.plan_of(self.epoch)
        if plan != self.plan:
            self._set_plan(plan)
        self.features.plan()
        self.batches = self._batches(self.epoch)
        self.epoch_started = time.perf_counter()

    def _end_epoch(self) -> None:
        row = epoch_row(self)
        self.history.epochs.append(row)
        self.position, self.epoch = 0, self.epoch + 1
        keep_best(self, row)
        if self.on_epoch:
            self.on_epoch(row)
        if self.control.out and not self.done and processes.is_main():
            self.save(self.checkpoint_folder)

    # --- plans and the cache ------------------------------------------------------------------------------------

    def _set_plan(self, plan: Plan) -> None:
        apply_plan(self.net, self.layers, plan, self.optimizer)
        self.plan, self.names = plan, named_in(plan)
        self.trained = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        self.shared_net = processes.share_gradients(self.net)
        self.statistics = NormStatistics(self.net)

    def _apply_pending(self) -> None:
        """Take over the last plan that `apply` was given since the last step.

        Those before it are passed over: what was frozen and thawed between two steps keeps its place in the optimizer.
        """
        if not self.control.pending:
            return
        before = self.plan if self.position else self.plan_of(self.epoch)
        while self.control.pending:
            self.override = self.control.pending[0]  # before it leaves the queue: other threads look at both
            self.control.pending.popleft()
        self._will_train(named_in(self.override))
        plan = self.plan_of(self.epoch)
        if plan != self.plan:
            self._set_plan(plan)
        if plan != before:
            self.history.note("another plan", groups=[g.name for g in self.layers
                                                      if any(plan.get(name, 0) > 0 for name in g.parameters)])
        self.features.plan()

    def _will_train(self, names: set[str]) -> None:
        """Set aside, while they are still untouched, parameters that the strategy alone would never have trained."""
        self.best.add(self.net, names - self.best_names)
        self.best_names |= names
        self.history.start.add(self.net, names)
