"""Images or sounds of one's own: a folder per class, a file per example."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import ImageOps

from ftkit.data.folders import SUFFIXES, check_sound
from ftkit.data.images import image_from_cell
from ftkit.data.labels import natural_key
from ftkit.disk import disk_errors, write_whole
from ftkit.errors import DataError
from ftkit.widgets.collection import Collection, Item
from ftkit.widgets.inputs import check_suffix
from ftkit.widgets.naming import digest, safe_stem

_ORIENTATION = 0x0112  # of the tags that a camera writes into a photo


class FileCollection(Collection):
    """Images or sounds: folder/class/file."""

    @property
    def source(self) -> Path:
        """The folder of the classes."""
        return self.folder

    @property
    def labels(self) -> list[str]:
        """The folders."""
        folders = self.folder.iterdir() if self.folder.is_dir() else []
        names = [path.name for path in folders if path.is_dir() and not path.name.startswith((".", "__"))]
        return sorted(names, key=natural_key)

    def items(self, label: str) -> list[Item]:
        """The files of the right kind."""
        files = [path for path in (self.folder / label).iterdir()
                 if path.suffix.lower() in SUFFIXES[self.kind] and not path.name.startswith(".")]
        return [Item(path.name, path) for path in sorted(files, key=lambda path: (-path.stat().st_mtime_ns, path.name))]

    def _make_label(self, label: str) -> None:
        with disk_errors(self.folder):
            (self.folder / label).mkdir(parents=True)

    def _drop_label(self, label: str) -> None:
        with disk_errors(self.folder):
            (self.folder / label).rmdir()

    def _delete(self, label: str, name: str) -> None:
        with disk_errors(self.folder):
            (self.folder / label / name).unlink()

    def add(self, label: str, name: str, content: bytes) -> str:
        """Store a file; returns the name that it got: safe on every system, with a checksum by which twins are known.

        Raises:
            DataError: Not of this kind, broken, or there already. The message names the file.
            DiskError: It could not be written; nothing is left behind then.
        """
        self.check(label)
        check_suffix(name, self.kind)
        suffix = Path(name).suffix.lower()
        if not suffix:
            raise DataError(f"{name} has no suffix that says what it is. Known: {', '.join(SUFFIXES[self.kind])}.")
        mark = digest(content)
        twin = next(self.folder.glob(f"*/*-{mark}.*"), None)
        if twin is not None:
            raise DataError(f"{name} is there already, in the class '{twin.parent.name}'.")
        content, suffix = self._checked(name, suffix, content)
        place = self.folder / label / f"{safe_stem(name)}-{mark}{suffix}"
        write_whole(place, content)
        return place.name

    def _checked(self, name: str, suffix: str, content: bytes) -> tuple[bytes, str]:
        """The content if it can be read, upright, and the suffix that it then has."""
        if self.kind == "audio":
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, f"sound{suffix}")
                file.write_bytes(content)
                reason = check_sound(file)[1]
        else:
            picture, _, reason = image_from_cell(content)
        if reason:
            raise DataError(f"{name} cannot be used: {reason}.")
        if self.kind == "image" and picture.getexif().get(_ORIENTATION, 1) != 1:
            upright = io.BytesIO()  # phones store photos lying on their side; a data set shows what one sees
            ImageOps.exif_transpose(picture).convert("RGB").save(upright, "JPEG", quality=95)
            return upright.getvalue(), ".jpg"
        return content, suffix
