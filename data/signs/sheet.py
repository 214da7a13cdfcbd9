"""Draw sheet.jpg, a look at the data set: `python sheet.py`. Clean faces with crops, then scenes with their boxes."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image, ImageDraw
from sign_faces import KINDS, face

HERE = Path(__file__).parent
COLUMNS = ("clear", "rain", "fog", "snow", "night")  # one crop each


def main() -> None:
    """Two kinds to a row, each a clean face and a crop per condition; below, ten scenes."""
    crops = [row for row in pq.read_table(HERE / "signs.parquet").to_pylist() if row["split"] == "train"]
    scenes = [row for row in pq.read_table(HERE / "scenes.parquet").to_pylist() if row["split"] == "train"]
    sheet = Image.new("RGB", (810, 10 * 66 + 2 * 122 + 4), "white")
    for i, kind in enumerate(KINDS):
        x, y = 6 + (i % 2) * 404, 2 + (i // 2) * 66
        sheet.paste(face(kind).resize((62, 62)), (x, y + 1), face(kind).resize((62, 62)))
        for k, condition in enumerate(COLUMNS):
            found = [row for row in crops if row["label"] == kind and row["condition"] == condition]
            sheet.paste(Image.open(io.BytesIO(found[0]["image"])), (x + 66 * (k + 1), y))
    for i, condition in enumerate(COLUMNS * 2):
        found = [row for row in scenes if row["condition"] == condition and len(row["labels"]) > 1]
        sheet.paste(_boxed(found[i // 5]), ((i % 5) * 162, 10 * 66 + 4 + (i // 5) * 122))
    sheet.save(HERE / "sheet.jpg", quality=70, optimize=True)


def _boxed(row: dict) -> Image.Image:
    picture = Image.open(io.BytesIO(row["image"])).convert("RGB")
    for box in row["boxes"]:
        ImageDraw.Draw(picture).rectangle(box, outline=(60, 255, 60))
    return picture


if __name__ == "__main__":
    main()
