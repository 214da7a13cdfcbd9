"""`python -m ftkit.pretraining NAME --data FOLDER --out FOLDER`: make a bundled backbone again."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from ftkit.disk import atomic_folder
from ftkit.errors import UnknownName, UserError
from ftkit.pretraining.card import write_card
from ftkit.pretraining.recipe import Recipe

RECIPES = {"bert-mini": "bert_mini.BertMini", "resnet-mini": "resnet_mini.ResNetMini",
           "vgg-mini": "vgg_mini.VGGMini",
           "gpt2-mini": "gpt2_mini.GPT2Mini", "wav2vec2-mini": "wav2vec2_mini.Wav2Vec2Mini",
           "tacotron-mini": "tacotron_mini.TacotronMini", "wavenet-mini": "wavenet_mini.WaveNetMini"}


def recipe_class(name: str) -> type[Recipe]:
    """The class of a recipe by the name of its backbone; raises UnknownName with the nearest one."""
    if name not in RECIPES:
        raise UnknownName("recipe", name, RECIPES)
    module, _, found = RECIPES[name].partition(".")
    return getattr(import_module(f"ftkit.pretraining.{module}"), found)


def make(name: str, data: Path, out: Path, *, seed: int = 0, steps: int | None = None, minutes: float | None = None,
         fetch: bool = False, bar: bool = True) -> bool:
    """Pretrain a backbone, or go on where an earlier run stopped; True when it is complete and lies in `out`.

    Args:
        name: Of the backbone.
        data: Folder with its data.
        out: Folder for the backbone; `out`/work holds checkpoints and what was prepared.
        seed: Of everything random.
        steps: Instead of the recipe's own number.
        minutes: Stop after so long, with a checkpoint. The same command goes on from there.
        fetch: Download the public data into `data` first.
        bar: Show progress.

    Raises:
        UserError: Unknown name, missing data, a checkpoint of another run.
    """
    from ftkit.pretraining.loop import Run

    recipe = recipe_class(name)(data, seed, steps)
    recipe.bar = bar
    if fetch:
        recipe.fetch(data)
    work = out / "work"
    work.mkdir(parents=True, exist_ok=True)
    recipe.prepare(work)
    run = Run(recipe, work)
    if not run.train(minutes):
        print(f"Stopped after step {run.step} of {recipe.steps}. The same command goes on from here.")
        return False
    net = run.net.eval()
    with atomic_folder(out, last="README.md") as fresh:
        recipe.export(net, fresh)
        write_card(recipe, net, fresh, run.facts())
    print(f"{name} lies in {out}. Its checkpoints in {work} can go.")
    return True


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 if the backbone is complete, 3 if time was up first, 2 for a user's mistake, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m ftkit.pretraining", description=__doc__)
    parser.add_argument("name", help=f"one of {', '.join(RECIPES)}")
    parser.add_argument("--data", type=Path, required=True, help="folder with the data")
    parser.add_argument("--out", type=Path, required=True, help="folder for the backbone and its checkpoints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="instead of the recipe's own number")
    parser.add_argument("--minutes", type=float, help="stop after so long; the same command goes on from there")
    parser.add_argument("--fetch", action="store_true", help="download the public data into --data first")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(arguments)
    try:
        done = make(args.name, args.data, args.out, seed=args.seed, steps=args.steps, minutes=args.minutes,
                    fetch=args.fetch, bar=not args.quiet)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted. The same command goes on from the last step.", file=sys.stderr)
        return 130
    return 0 if done else 3


if __name__ == "__main__":
    sys.exit(main())
