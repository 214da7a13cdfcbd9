"""`signs`: what is in the files, that boxes and crops show what they say, and that the generator gives them again."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections import Counter
from itertools import chain
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ftkit.data import Data, bundled_root, list_data, load_data
from ftkit.data.scenes import SPLITS, Scene, load_scenes
from ftkit.errors import DataError, UnknownName

FOLDER = bundled_root() / "signs"
SIZES = {"train": 1600, "valid": 400, "test": 800}
CONDITIONS = ("clear", "fog", "night", "rain", "snow")


@pytest.fixture(scope="module")
def signs() -> Data:
    return load_data("signs")


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    return {split: load_scenes(split) for split in SPLITS}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """data/signs/generate.py, loaded without leaving compiled files in the data folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.syspath_prepend(str(FOLDER))
        spec = importlib.util.spec_from_file_location("signs_generate", FOLDER / "generate.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def test_counts_and_balance(signs: Data) -> None:
    for name, size in SIZES.items():
        split = getattr(signs, name)
        assert len(split) == size
        assert set(split.counts().values()) == {size // 20}
    assert len(signs.train.labels) == 20
    assert {"speed limit 30", "speed limit 50", "curve left", "curve right", "stop"} <= set(signs.train.labels)
    assert signs.task is not None
    assert signs.task.name == "image-classification"


def test_nothing_dropped_repeated_or_shared(signs: Data) -> None:
    report = signs.report
    assert not report.leaks
    assert not report.dropped
    assert not report.broken
    assert not report.warnings
    assert sum(report.duplicates.values()) == 0
    assert report.lengths == {"unit": "pixels", "common": "64x64", "min": "64x64", "max": "64x64"}


def test_crops_decode_and_are_not_blank(signs: Data) -> None:
    for split in (signs.train, signs.valid, signs.test):
        pixels = np.stack([np.asarray(item.convert("RGB")) for item in split.inputs])
        assert pixels.shape == (len(split), 64, 64, 3)
        assert pixels.std(axis=(1, 2, 3)).min() > 2


def test_the_weather_is_a_label_too() -> None:
    data = load_data("signs", label="condition")
    assert data.train.labels == CONDITIONS
    assert data.train.counts()["clear"] > 2 * data.train.counts()["fog"] > 0
    with pytest.raises(UnknownName, match=r"Did you mean 'condition'"):
        load_data("signs", label="conditions")
    with pytest.raises(DataError, match="signs holds image"):
        load_data("signs", task="text-classification")


def test_a_mirror_changes_what_a_sign_means(signs: Data) -> None:
    assert signs.task is not None
    assert signs.task.mirror is False  # type: ignore[attr-defined]
    assert load_data("digits", limit=40).task.mirror is False  # type: ignore[union-attr]


def test_list_data_has_the_row() -> None:
    row = next(row for row in list_data() if row["name"] == "signs")
    assert (row["modality"], row["examples"], len(row["labels"])) == ("image", 2800, 20)


def test_scenes(scenes: dict[str, list[Scene]], signs: Data) -> None:
    for split, size in {"train": 300, "valid": 80, "test": 120}.items():
        found = scenes[split]
        assert len(found) == size
        assert {scene.image.size for scene in found} == {(160, 120)}
        assert {scene.image.mode for scene in found} == {"RGB"}
        assert {len(scene.labels) for scene in found} == {1, 2, 3}
        assert set(Counter(label for scene in found for label in scene.labels).values()) == {size * 2 // 20}
        assert Counter(scene.condition for scene in found) == {
            name: size * (8 if name == "clear" else 3) // 20 for name in CONDITIONS}
    assert {label for scene in scenes["test"] for label in scene.labels} == set(signs.train.labels)


def test_boxes_lie_in_the_picture_and_apart(scenes: dict[str, list[Scene]]) -> None:
    for scene in chain(*scenes.values()):
        boxes = scene.boxes
        assert boxes.shape == (len(scene.labels), 4)
        assert boxes.dtype == np.float32
        assert boxes.min() >= 0
        assert boxes[:, (0, 2)].max() <= 160
        assert boxes[:, (1, 3)].max() <= 120
        assert (boxes[:, 2:] - boxes[:, :2]).min() >= 8
        for i, one in enumerate(boxes):
            for other in boxes[:i]:
                assert (np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])).min() <= 0


def share_of_colour(scene: Scene, box: np.ndarray, label: str) -> float:
    """How much of a box has the colour of its sign: blue, yellow or red, darkened or bleached as it may be."""
    x0, y0, x1, y1 = np.round(box).astype(int)
    red, green, blue = np.moveaxis(np.asarray(scene.image, dtype=int)[y0:y1, x0:x1], 2, 0)
    if label in ("bicycle path", "pedestrian crossing", "roundabout", "turn left", "turn right"):
        return float((blue > red + 25).mean())
    if label == "priority road":
        return float((np.minimum(red, green) > blue + 25).mean())
    return float((red > np.maximum(green, blue) + 25).mean())


def test_boxes_hold_the_colours_of_their_signs(scenes: dict[str, list[Scene]]) -> None:
    inside, beside = [], []
    for scene in chain(*scenes.values()):
        for box, label in zip(scene.boxes, scene.labels, strict=True):
            if scene.condition == "clear":
                inside.append(share_of_colour(scene, box, label))
                moved = (box + np.tile(np.array([80, 60]), 2)) % np.tile([160, 120], 2)
                if (moved[2:] - moved[:2]).min() > 8:  # did not wrap round an edge
                    beside.append(share_of_colour(scene, moved, label))
    assert np.median(inside) > 0.2
    assert np.mean(np.array(inside) > 0.05) > 0.9
    assert np.median(beside) < 0.1


def test_crops_belong_to_scenes_of_their_own_split(scenes: dict[str, list[Scene]]) -> None:
    crops = pq.read_table(FOLDER / "signs.parquet", columns=["label", "condition", "scene", "split"]).to_pylist()
    for split, found in scenes.items():
        by_scene: dict[int, list[dict]] = {}
        for row in crops:
            if row["split"] == split:
                by_scene.setdefault(row["scene"], []).append(row)
        for scene in found:
            assert tuple(row["label"] for row in by_scene[scene.number]) == scene.labels
            assert {row["condition"] for row in by_scene[scene.number]} == {scene.condition}


def test_no_scene_comes_again_in_another_split(scenes: dict[str, list[Scene]]) -> None:
    small = {split: np.stack([np.asarray(scene.image.resize((16, 12)), float).ravel() for scene in found])
             for split, found in scenes.items()}
    for one, other in (("train", "test"), ("train", "valid"), ("valid", "test")):
        apart = np.abs(small[one][:, None] - small[other][None]).mean(axis=2)
        assert apart.min() > 1.5  # grey levels, on average; the same picture saved twice differs by less than 0.5


def test_unknown_scenes() -> None:
    with pytest.raises(UnknownName, match=r"split 'trian'\. Did you mean 'train'"):
        load_scenes("trian")
    with pytest.raises(UnknownName, match=r"data set with scenes 'sign'\. Did you mean 'signs'"):
        load_scenes("test", "sign")


def test_missing_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftkit.data.scenes.bundled_root", lambda: tmp_path)
    with pytest.raises(DataError, match="not there"):
        load_scenes()


def test_equal_seeds_give_equal_files(generator: ModuleType, tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        generator.write(tmp_path / folder, seed=seed, limit=2)
    for name in ("signs.parquet", "scenes.parquet"):
        first, again, other = ((tmp_path / folder / name).read_bytes() for folder in "abc")
        assert first == again
        assert first != other


@pytest.mark.parametrize("split", SPLITS)
def test_the_files_are_what_the_generator_draws(
    generator: ModuleType, scenes: dict[str, list[Scene]], split: str
) -> None:
    """To within a few grey levels: another Pillow may round, and compress, differently."""
    for index in (0, 7):
        kinds, condition = generator.make_plan(generator.SEED, split)[index]
        drawn = generator.render(generator.SEED, split, index, kinds, condition)
        kept = scenes[split][index]
        assert tuple(sign.kind for sign in drawn.signs) == kept.labels
        assert np.allclose([sign.box for sign in drawn.signs], 2 * kept.boxes, atol=1)
        small = np.asarray(drawn.picture.resize((160, 120), Image.Resampling.LANCZOS), float)
        assert np.abs(small - np.asarray(kept.image, float)).mean() < 6


def test_the_card_names_these_very_files() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in ("signs.parquet", "scenes.parquet"):
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() in card


def test_sizes() -> None:
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir() if path.is_file()}
    assert sum(files.values()) < 6_000_000
    assert files["sheet.jpg"] <= 150_000
