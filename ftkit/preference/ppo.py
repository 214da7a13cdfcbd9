"""PPO: try replies, let a reward judge them, and make the tokens that did better than expected more probable.

Read `PPO.step` first: it is the whole algorithm (Schulman et al. 2017) as it is used on language models (Ziegler et al.
2019, Ouyang et al. 2022). The formulas are in ftkit.preference.advantages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ftkit.backbones import Model
from ftkit.errors import TrainingDiverged, UserError, check_name
from ftkit.preference.advantages import gae, mean_of, next_beta, policy_loss, token_rewards, value_loss, whiten
from ftkit.preference.reference import Reference
from ftkit.preference.resuming import check_network, read_run, restore_run, save_run
from ftkit.preference.rewards import RewardFunction, reward_function
from ftkit.preference.sampling import Written, look, write
from ftkit.preference.settings import PPOSettings
from ftkit.strategies import Strategy, make_strategy
from ftkit.training import History, processes
from ftkit.training.control import Control, seeded
from ftkit.training.cpu import reusing_memory, use_all_cores
from ftkit.training.fitting import forget_checkpoint, save_with_history, say_if_stopped
from ftkit.training.freezing import apply_plan, make_optimizer, set_rate
from ftkit.training.progress import counting
from ftkit.training.weights import StartRecord, fill, tensors_of

SAVE_SECONDS = 60.0  # between two checkpoints


@dataclass
class _Batch:
    """Replies, and what was known of them when they were written."""

    written: Written
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor


class PPO:
    """One run of PPO.

    Args:
        model: A model that writes texts, such as one that `fit` has trained on the preferred replies. It is trained in
            place; the reference is what it is now.
        prompts: What it is to reply to: `data.train.inputs`.
        reward: A function of prompts and replies that gives a number for each, or a trained reward model.
        strategy: What trains, as in `fit`: None is everything, "lora:r=8" only adapters.
        on_step: Called with each step's row.
        out: Folder for checkpoints, one a minute; None keeps only that of a run that was stopped, in ftkit's cache.
        resume: Go on from the checkpoint there. The reference is then what it was when the run began.
        settings: See PPOSettings.

    Raises:
        UserError: The model does not write texts, no prompts, a setting that makes no sense, or nothing to resume.
    """

    def __init__(self, model: Model, prompts: Sequence[Any], reward: RewardFunction | Model, *,
                 strategy: str | Strategy | None = None, on_step: Callable[[dict[str, Any]], None] | None = None,
                 out: str | Path | None = None, resume: bool = False, **settings: Any) -> None:
        use_all_cores()
        check_writes(model)
        if not len(prompts):
            raise UserError("There are no prompts to reply to.")
        for name in settings:
            check_name("setting", name, [field.name for field in fields(PPOSettings)])
        self.settings = s = PPOSettings(**settings)
        self.model, self.prompts, self.reward, self.on_step = model, list(prompts), reward_function(reward), on_step
        self.strategy = make_strategy(strategy or "full")
        self.beta, self.count, self.control, self.saved = s.beta, 0, Control(), time.perf_counter()
        self.control.out = None if out is None else Path(out)
        saved = read_run(self, self.checkpoint_folder) if resume else None
        self.strategy.adapt(model)
        self.net = model.net.to(processes.device())
        config: Any = self.net.config
        self.head = nn.Linear(int(config.hidden_size), 1).to(processes.device())  # how much reward is still to come
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        plan = self.strategy.plan(model.layers, 0)
        trains = [name for name, scale in plan.items() if scale > 0]
        if saved:  # back to what the run began with: the reference is that
            check_network(self.net, saved, self.checkpoint_folder)
            fill(tensors_of(self.net), saved["first"])
        self.reference = Reference(self.net, trains)
        self.optimizer = make_optimizer("adamw", self.net, weight_decay=0.0)
        apply_plan(self.net, model.layers, plan, self.optimizer)
        self.optimizer.add_param_group({"params": list(self.head.parameters()), "lr_scale": s.value_lr / s.lr})
        self.trained = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        self.net.eval()  # no dropout: a token's probability must be the one that it was drawn by
        self.history = History(config={**asdict(s), "strategy": repr(self.strategy), "backbone": model.spec.name,
                                       "task": "ppo", "prompts": len(self.prompts)})
        self.history.start = StartRecord(self.net, trains)
        self.history.start.planned = set(trains)
        if saved:
            restore_run(self, saved)

    @property
    def checkpoint_folder(self) -> Path:
        """Where checkpoints go."""
        return self.control.checkpoint_folder(f"ppo-{self.model.spec.name}")

    def step(self) -> dict[str, Any]:
        """Write replies, have them judged, and learn from them; returns the step's row.

        Raises:
            TrainingDiverged: A loss is not finite. The weights are those before it.
        """
        started, s = time.perf_counter(), self.settings
        set_rate(self.optimizer, s.lr * self.strategy.schedule(self.count, s.steps))
        with seeded(s.seed, self.count):
            prompts = self._next_prompts()
            batch, row = self._experience(prompts)
            learned = [self._learn(batch, chosen) for _ in range(s.epochs)
                       for chosen in torch.randperm(len(batch.written)).split(s.minibatch)]
        if s.target_kl is not None:
            self.beta = next_beta(self.beta, row["kl"], s.target_kl)
        self.count += 1
        means = {name: float(np.mean([part[name] for part in learned])) for name in learned[0]}
        row = {"step": self.count, **row, **means, "seconds": time.perf_counter() - started}
        self.history.steps.append(row)
        if self.on_step:
            self.on_step(row)
        return row

    def run(self, progress: bool | None = None) -> History:
        """All steps; Ctrl-C and `stop` end it between two of them: the model is usable, and there is a checkpoint."""
        with (self.control.catching_interrupts(), reusing_memory(),
              counting(self.settings.steps, "PPO", progress, done=self.count) as bar):
            while self.count < self.settings.steps and not self.control.wait():
                row = self.step()
                bar(reward=row["reward"], kl=row["kl"])
                if self.control.out and time.perf_counter() - self.saved > SAVE_SECONDS:
                    self.save()
        self.history.status = self.control.take_stop() or "finished"
        if self.history.status != "finished":
            self.save()
        return self.history

    def save(self) -> None:
        """Write a checkpoint; the older one stays whole until the new one is complete."""
        save_run(self, self.checkpoint_folder)
        self.saved = time.perf_counter()

    def stop(self) -> None:
        """End before the next step; may be called from any thread."""
        self.control.stop("stopped")

    def _next_prompts(self) -> list[Any]:
        """Each prompt once, in an order of its own, before any comes again."""
        n, size = len(self.prompts), self.settings.batch_size
        places = range(self.count * size, (self.count + 1) * size)
        orders = {epoch: np.random.default_rng((self.settings.seed, epoch)).permutation(n)
                  for epoch in {place // n for place in places}}
        return [self.prompts[orders[place // n][place % n]] for place in places]

    @torch.no_grad()
    def _experience(self, prompts: list[Any]) -> tuple[_Batch, dict[str, Any]]:
        """Replies with their advantages, and what is to be told of them."""
        s = self.settings
        written = write(self.net, self.model.processor, prompts, s.max_new_tokens)
        judged = np.asarray(self.reward(prompts, written.texts), dtype=np.float32)
        if judged.shape != (len(written),):
            raise UserError(f"The reward must give one number for each of {len(written)} replies, not an array of the "
                            f"shape {judged.shape}.")
        raw = torch.as_tensor(judged, device=self.head.weight.device)
        scores = raw - s.unfinished * (~written.ended).float()
        seen = look(self.net, written, hidden=True, entropy=True)
        with self.reference.ready() as net:
            reference = look(net, written).logprobs
        assert seen.hidden is not None
        mask, values = written.mask, self.head(seen.hidden).squeeze(-1) * written.mask
        rewards = token_rewards(scores, seen.logprobs, reference, mask, self.beta)
        advantages, returns = gae(rewards, values, mask, s.gamma, s.lam)
        row = {"reward": float(raw.mean()), "kl": float(((seen.logprobs - reference) * mask).sum(1).mean()),
               "length": float(mask.sum(1).mean()), "entropy": float(mean_of(seen.entropy, mask)),
               "ended": float(written.ended.float().mean()), "beta": self.beta}
        return _Batch(written, seen.logprobs, values, whiten(advantages, mask), returns), row

    def _learn(self, batch: _Batch, chosen: Tensor) -> dict[str, float]:
        """One optimizer step on some of the replies."""
        s, part = self.settings, batch.written.rows(chosen)
        with torch.enable_grad():
            seen = look(self.net, part, hidden=True, entropy=s.entropy_weight > 0)
            values = self.head(seen.hidden).squeeze(-1)
            policy, clipped = policy_loss(seen.logprobs, batch.logprobs[chosen], batch.advantages[chosen], part.mask,
                                          s.clip)
            value = value_loss(values, batch.values[chosen], batch.returns[chosen], part.mask, s.value_clip)
            loss = policy + s.value_weight * value - s.entropy_weight * mean_of(seen.entropy, part.mask)
        if not torch.isfinite(loss):
            self.optimizer.zero_grad(set_to_none=True)
            raise TrainingDiverged(f"The loss became {loss.item()} in step {self.count + 1} of PPO. Likely cause: the "
                                   f"learning rate {s.lr:g} is too high, or the reward is not finite.")
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {"policy_loss": float(policy.detach()), "value_loss": float(value.detach()),
                "clip_fraction": float(clipped)}


def ppo(model: Model, prompts: Sequence[Any], reward: RewardFunction | Model, *,
        strategy: str | Strategy | None = None, progress: bool | None = None,
        on_step: Callable[[dict[str, Any]], None] | None = None, out: str | Path | None = None,
        resume: bool = False, **settings: Any) -> History:
    """Train a text generator by a reward, in place.

    Args:
        model: A model that writes texts.
        prompts: What it replies to.
        reward: A function of prompts and replies, or a trained reward model.
        strategy: What trains; None is everything.
        progress: Show a bar: None on a terminal and in a notebook.
        on_step: Called with each step's row.
        out: A folder: a checkpoint once a minute, and the model at the end.
        resume: Go on from the checkpoint that an interrupted run left (in `out`, if given). A reward model and the
            prompts must be those of before.
        settings: See PPOSettings: steps, beta, lr, …

    Returns:
        A History with one row per step: reward, kl, length, entropy, clip_fraction, value_loss and others. KL is an
        estimate of KL(policy || reference) in nats per reply. `ft.viz.ppo_curves` draws it.

    Raises:
        UserError: A setting that makes no sense, a model that does not write, or nothing to resume from.
        TrainingDiverged: A loss is not finite.

    Lesson 09.
    """
    run = PPO(model, prompts, reward, strategy=strategy, on_step=on_step, out=out, resume=resume, **settings)
    history = run.run(progress)
    own = out is not None or resume or history.checkpoint is not None
    if say_if_stopped(history, run.settings.steps):
        return history
    if out is not None:
        save_with_history(model, history, out)
    if own:  # what another, interrupted run left is kept
        forget_checkpoint(history, run.checkpoint_folder)
    return history


def check_writes(model: Model) -> None:
    """Raise UserError unless the model is one that writes texts."""
    if not getattr(model.task, "generates", False):
        raise UserError(f"PPO trains a model that writes texts, and this one is for {model.task.name}. Load the "
                        "backbone for causal-lm or dpo.")
