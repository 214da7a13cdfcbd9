"""Draw the data set `signs` again: `python generate.py --out FOLDER`. Equal seeds give equal files.

Writes two tables, each with a column `split`:
    signs.parquet   one row per sign: a crop of 64 x 64 pixels around it, its kind, the weather, how much is covered
    scenes.parquet  one row per scene: a picture of 160 x 120 pixels with the boxes and kinds of its 1 to 3 signs
The crops of a split come from the scenes of that split alone. Only some scenes are kept as pictures, to stay small.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from sign_clutter import Rng
from sign_faces import KINDS
from sign_scene import Scene, Sign, draw_scene
from sign_weather import CONDITIONS

SEED = 2026
SPLITS = {"train": (300, 500), "valid": (80, 120), "test": (120, 280)}  # scenes kept as pictures, scenes for crops only
CROP, QUALITY = 64, 82
SIGNS_PER_SCENE = (1, 2, 3, 2)  # in turn

Plan = list[tuple[list[str], str]]
Row = dict[str, Any]


def make_plan(seed: int, split: str) -> Plan:
    """(kinds of signs, condition) of every scene of a split; kinds and conditions are balanced in both its parts."""
    rng = np.random.default_rng([seed, list(SPLITS).index(split)])
    plan: Plan = []
    for scenes in SPLITS[split]:
        counts = [SIGNS_PER_SCENE[i % len(SIGNS_PER_SCENE)] for i in range(scenes)]
        kinds = np.resize(KINDS, sum(counts))
        rng.shuffle(kinds)
        skies = np.resize(np.repeat(list(CONDITIONS), list(CONDITIONS.values())), scenes)
        rng.shuffle(skies)
        for group, sky in zip(np.split(kinds, np.cumsum(counts)[:-1]), skies, strict=True):
            plan.append(([str(kind) for kind in group], str(sky)))
    return plan


def render(seed: int, split: str, index: int, kinds: Sequence[str], condition: str) -> Scene:
    """Scene number `index` of a split. Each scene has a generator of its own, so that any one can be drawn alone."""
    return draw_scene(np.random.default_rng([seed, list(SPLITS).index(split), index]), kinds, condition)


def crop(rng: Rng, picture: Image.Image, sign: Sign) -> Image.Image:
    """The sign with 5 to 80 % of space around it, not quite in the middle: 64 x 64 pixels."""
    x0, y0, x1, y1 = sign.box
    longest = max(x1 - x0, y1 - y0)
    edge = min(longest * rng.uniform(1.05, 1.8), *picture.size)
    left = (x0 + x1 - edge) / 2 + rng.uniform(-0.14, 0.14) * longest
    top = (y0 + y1 - edge) / 2 + rng.uniform(-0.14, 0.14) * longest
    left, top = np.clip((left, top), 0, np.array(picture.size) - edge).tolist()
    return picture.resize((CROP, CROP), Image.Resampling.BICUBIC, box=(left, top, left + edge, top + edge))


def jpeg(picture: Image.Image) -> bytes:
    """The bytes of a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def rows(seed: int, split: str, limit: int | None = None) -> Iterator[tuple[list[Row], Row | None]]:
    """Per scene: the rows of its crops, and its own row if it is one of those that are kept."""
    kept = SPLITS[split][0]
    for index, (kinds, condition) in enumerate(make_plan(seed, split)[:limit]):
        scene = render(seed, split, index, kinds, condition)
        rng = np.random.default_rng([seed, list(SPLITS).index(split), index, 1])
        common = {"condition": condition, "split": split, "scene": index}
        crops = [{"image": jpeg(crop(rng, scene.picture, sign)), "label": sign.kind, "covered": sign.covered, **common}
                 for sign in scene.signs]
        small = {"image": jpeg(scene.picture.resize((160, 120), Image.Resampling.LANCZOS)),
                 "boxes": [[edge / 2 for edge in sign.box] for sign in scene.signs],
                 "labels": [sign.kind for sign in scene.signs], "covered": [sign.covered for sign in scene.signs]}
        yield crops, {**small, **common} if index < kept else None


CROPS = pa.schema([("image", pa.binary()), ("label", pa.string()), ("condition", pa.string()),
                   ("covered", pa.float32()), ("scene", pa.int32()), ("split", pa.string())])
SCENES = pa.schema([("image", pa.binary()), ("boxes", pa.list_(pa.list_(pa.float32()))),
                    ("labels", pa.list_(pa.string())), ("covered", pa.list_(pa.float32())),
                    ("condition", pa.string()), ("scene", pa.int32()), ("split", pa.string())])


def write(folder: Path, seed: int = SEED, limit: int | None = None) -> None:
    """Both tables.

    Args:
        folder: Where to; it is made if need be.
        seed: Of everything.
        limit: Draw only the first scenes of each split, for a try.
    """
    folder.mkdir(parents=True, exist_ok=True)
    crops: list[Row] = []
    scenes: list[Row] = []
    for split in SPLITS:
        for found, scene in rows(seed, split, limit):
            crops += found
            scenes += [scene] if scene else []
        print(f"{split}: {len(crops):,} crops and {len(scenes):,} scenes so far")
    for name, schema, table in (("signs", CROPS, crops), ("scenes", SCENES, scenes)):
        # All JPEG files begin with the same tables: zstd stores these once.
        pq.write_table(pa.Table.from_pylist(table, schema), folder / f"{name}.parquet", compression="zstd",
                       compression_level=19, use_dictionary=["label", "condition", "split"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--limit", type=int, help="draw only so many scenes per split")
    given = parser.parse_args()
    write(given.out, given.seed, given.limit)
