"""The loop of all recipes: bf16 where the machine has it, a checkpoint every two minutes, Ctrl-C at any time.

Why not TrainSession? It fine-tunes on labelled examples, epoch by epoch, and freezes. Pretraining counts in steps,
makes its own targets (the next token, a teacher's answer), and nothing is frozen.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm.auto import tqdm

from ftkit.disk import atomic_folder
from ftkit.errors import TrainingDiverged, UserError, WeightsError
from ftkit.pretraining.recipe import Recipe
from ftkit.training.cpu import reusing_memory, use_all_cores
from ftkit.training.precision import autocast, choose_precision
from ftkit.training.weights import fill, tensors_of

CHECKPOINT_SECONDS = 120.0
VALIDATIONS = 10  # in a whole run
_STATE = "state.json"


class Run:
    """One run of a recipe: where it has got to, and its folder.

    Args:
        recipe: Ready to train: its `prepare` was called.
        work: Folder for checkpoints and the log; a run that it holds is gone on with.
    """

    def __init__(self, recipe: Recipe, work: Path) -> None:
        use_all_cores()
        self.recipe, self.work, self.folder = recipe, work, work / "checkpoint"
        torch.manual_seed(recipe.seed)
        self.net = recipe.build().to(recipe.device)
        self.optimizers = recipe.optimizers(self.net)
        self.groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        self.highest = [group["lr"] for group in self.groups]
        wanted = choose_precision("auto", recipe.device)
        self.precision = "bf16" if wanted == "bf16" else "fp32"  # fp16 would need its losses scaled
        self.step, self.seconds, self.rows = 0, 0.0, []  # type: ignore[var-annotated]
        if (self.folder / _STATE).is_file():
            self._load()

    def train(self, minutes: float | None = None) -> bool:
        """Train to the end, or for some minutes; True if the run is complete. Ctrl-C leaves a checkpoint."""
        recipe, began, saved = self.recipe, time.perf_counter(), time.perf_counter()
        before, mean = self.seconds, 0.0
        every = max(1, recipe.steps // VALIDATIONS)
        try:
            with reusing_memory(), tqdm(total=recipe.steps, initial=self.step, desc=recipe.name, smoothing=0.02,
                                        disable=not recipe.bar, mininterval=1.0) as bar:
                while self.step < recipe.steps:
                    loss = self._one_step()
                    mean = loss if not mean else 0.98 * mean + 0.02 * loss
                    now = time.perf_counter()
                    self.seconds = before + now - began
                    bar.update()
                    bar.set_postfix(loss=f"{mean:.3f}", refresh=False)
                    if self.step % every == 0 or self.step == recipe.steps:
                        self._validate(mean)
                    if now - saved > CHECKPOINT_SECONDS:
                        self.save()
                        saved = now
                    if minutes is not None and now - began > 60 * minutes:
                        break
        finally:
            self.save()
        return self.step >= recipe.steps

    def _one_step(self) -> float:
        share = self.recipe.rate(self.step)
        for group, highest in zip(self.groups, self.highest, strict=True):
            group["lr"] = share * highest
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.step)  # dropout by seed and step: resuming needs no state
        self.net.train()
        with autocast(self.precision, self.recipe.device):
            loss = self.recipe.loss(self.net, self.step)
        loss.backward()
        value = float(loss.detach())
        if value != value or value in (float("inf"), float("-inf")):
            self.net.zero_grad(set_to_none=True)
            raise TrainingDiverged(f"The loss became {value} in step {self.step + 1} of {self.recipe.name}. The "
                                   "checkpoint holds the weights before it: try a lower learning rate.")
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.net.zero_grad(set_to_none=True)
        self.step += 1
        return value

    def _validate(self, loss: float) -> None:
        self.net.eval()
        with torch.inference_mode(), autocast(self.precision, self.recipe.device):
            scores = self.recipe.validate(self.net)
        self.rows.append({"step": self.step, "seconds": round(self.seconds, 1), "loss": loss, **scores})
        tqdm.write(" · ".join(f"{key} {value:.4g}" for key, value in self.rows[-1].items()))

    # --- checkpoints --------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint; the older one stays whole until the new one is complete."""
        state = {"recipe": self.recipe.name, "seed": self.recipe.seed, "steps": self.recipe.steps, "step": self.step,
                 "seconds": self.seconds, "rows": self.rows}
        with atomic_folder(self.folder, last=_STATE) as fresh:
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors_of(self.net).items()}
            save_file(tensors, fresh / "weights.safetensors")
            torch.save({"step": self.step, "states": [optimizer.state_dict() for optimizer in self.optimizers]},
                       fresh / "optimizers.pt")
            (fresh / _STATE).write_text(json.dumps(state, indent=1), encoding="utf8")

    def _load(self) -> None:
        try:
            state = json.loads((self.folder / _STATE).read_text(encoding="utf8"))
            weights = load_file(self.folder / "weights.safetensors")
            memory = torch.load(self.folder / "optimizers.pt", weights_only=True)
        except Exception as error:
            raise WeightsError(f"The checkpoint in {self.folder} is damaged: {error}. Delete the folder to start "
                               "again.") from error
        wanted = {"recipe": self.recipe.name, "seed": self.recipe.seed, "steps": self.recipe.steps}
        differ = [f"{key} was {state[key]!r} and is {value!r}" for key, value in wanted.items() if state[key] != value]
        if differ:
            raise UserError(f"The checkpoint in {self.folder} is of another run: {'; '.join(differ)}. Use the same "
                            "settings, or another --out.")
        if memory["step"] != state["step"]:
            raise WeightsError(f"The checkpoint in {self.folder} is half of one and half of another: delete the folder "
                               "to start again.")
        now = tensors_of(self.net)
        fill(now, {name: weights[name] for name in now})
        for optimizer, state_of_one in zip(self.optimizers, memory["states"], strict=True):
            optimizer.load_state_dict(state_of_one)
        # Loading puts new dictionaries in place of the old groups: look at those from now on.
        self.groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        self.step, self.seconds, self.rows = state["step"], state["seconds"], state["rows"]

    def facts(self) -> dict[str, Any]:
        """What the card says of the run."""
        cores = torch.get_num_threads()
        machine = torch.cuda.get_device_name() if self.recipe.device.type == "cuda" else \
            f"{cores} CPU core{'s' * (cores > 1)}, {self.precision}"
        return {"steps": self.step, "minutes": round(self.seconds / 60, 1), "machine": machine,
                **{key: value for key, value in (self.rows[-1] if self.rows else {}).items()
                   if key not in ("step", "seconds")}}
