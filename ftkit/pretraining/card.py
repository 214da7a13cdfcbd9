"""The card of a backbone: what it is, what it was made from, how well it does, what it is bad at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ftkit.disk import file_sha256
from ftkit.pretraining.recipe import Recipe

CARD = "README.md"


def write_card(recipe: Recipe, net: nn.Module, folder: Path, facts: dict[str, Any]) -> None:
    """Write README.md beside the weights."""
    weights = folder / "model.safetensors"
    lines = [
        f"# {recipe.name}", "", recipe.about, "",
        "| | |", "|---|---|",
        f"| architecture | {type(net).__module__.split('.')[0]}'s `{type(net).__name__}` |",
        f"| parameters | {sum(p.numel() for p in net.parameters()):,} |",
        f"| file | {weights.stat().st_size / 1e6:.1f} MB, matrices in 16 bits |",
        f"| sha256 | `{file_sha256(weights)}` |",
        f"| data | {recipe.data_about} |",
        f"| licence | {recipe.licence} |",
        f"| recipe | `python -m ftkit.pretraining {recipe.name} --data FOLDER --out FOLDER --seed {recipe.seed}` |",
        f"| training | {facts['steps']:,} steps, {facts['minutes']:g} minutes on {facts['machine']} |",
        *(f"| {name.replace('_', ' ')} | {value:.4g} |" for name, value in facts.items()
          if name not in ("steps", "minutes", "machine")),
        *(f"| {name} | {value} |" for name, value in recipe.facts().items()),
        "", "## Known weaknesses", "", recipe.weaknesses, "",
    ]
    (folder / CARD).write_text("\n".join(lines), encoding="utf8")
