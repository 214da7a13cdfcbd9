"""Folders of images or of sounds: one folder per class, with or without train, valid and test above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ftkit.data.examples import SPLIT_NAMES, Examples, Source
from ftkit.data.files import TABLE_SUFFIXES
from ftkit.data.images import check_image
from ftkit.data.labels import natural_key
from ftkit.data.report import DataReport, plural, some
from ftkit.errors import DataError

SUFFIXES = {
    "image": (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"),
    "audio": (".wav", ".flac", ".ogg", ".mp3"),
}
_MODALITY = {suffix: modality for modality, suffixes in SUFFIXES.items() for suffix in suffixes}

ClassFiles = dict[str, list[Path]]


def read_folder(root: Path, report: DataReport) -> Source:
    """Examples of a folder: `root/<class>/…`, or `root/train/<class>/…` with valid and test next to it.

    Raises:
        DataError: No class folders, no files of a known kind, or none that can be read.
    """
    trees = _trees(root, report)
    files = [file for classes in trees.values() for found in classes.values() for file in found]
    kinds = Counter(_MODALITY[file.suffix.lower()] for file in files if file.suffix.lower() in _MODALITY)
    if not kinds:
        raise DataError(_nothing(root))
    modality = kinds.most_common(1)[0][0]
    other = [file.relative_to(root).as_posix() for file in files if _MODALITY.get(file.suffix.lower()) != modality]
    if other:
        report.notes.append(f"{plural(len(other), 'file')} passed over, no {modality}: {some(other, 3)}")
    parts = {split: _check_all(root, classes, modality, report) for split, classes in trees.items()}
    if not any(len(part) for part in parts.values()):
        name, reason = report.broken[0]
        raise DataError(f"None of the {len(report.broken):,} files in {root} can be read: {name} ({reason}), …")
    if "train" in parts:
        report.notes.append("splits as given by the folders")
    return Source(root.name or str(root.resolve().name), modality, parts)


def _trees(root: Path, report: DataReport) -> dict[str, ClassFiles]:
    """Files by class, by split; the key "all" if the folders are the classes."""
    folders = _subfolders(root)
    splits = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES]
    with_classes = [folder for folder in splits if _subfolders(folder)]
    if not any(SPLIT_NAMES[folder.name.lower()] == "train" for folder in with_classes):
        if with_classes and len(with_classes) == len(folders):
            raise DataError(f"{root} has {', '.join(f.name for f in with_classes)} but no 'train' folder.")
        return {"all": _classes(_unwrapped(root, folders, report), report)}  # "train" may be a class of vehicles
    passed = [folder.name for folder in folders if folder not in with_classes]
    if passed:
        report.notes.append(f"folders passed over, not a split with class folders: {some(passed)}")
    trees: dict[str, ClassFiles] = {}
    for folder in with_classes:
        classes = trees.setdefault(SPLIT_NAMES[folder.name.lower()], {})
        for name, files in _classes(folder, report).items():
            classes.setdefault(name, []).extend(files)
    return {split: trees[split] for split in ("train", "valid", "test") if split in trees}


def _unwrapped(root: Path, folders: list[Path], report: DataReport) -> Path:
    """The folder below, if it is alone and holds the class folders: archives are often packed that way."""
    if len(folders) == 1 and len(_subfolders(folders[0])) > 1:
        report.notes.append(f"classes taken from the folder '{folders[0].name}' inside")
        return folders[0]
    return root


def _classes(root: Path, report: DataReport) -> ClassFiles:
    found = {folder.name: [file for file in sorted(folder.rglob("*")) if file.is_file() and _visible(file, folder)]
             for folder in _subfolders(root)}
    empty = [name for name, files in found.items() if not files]
    if empty:
        report.warnings.append(f"empty class folders in {root.name}: {some(empty)}")
    loose = [file for file in root.iterdir() if file.suffix.lower() in _MODALITY]
    if loose and found:
        report.warnings.append(f"{plural(len(loose), 'file')} directly in {root.name} passed over: they have no class")
    return {name: files for name, files in found.items() if files}


def _subfolders(root: Path) -> list[Path]:
    visible = [path for path in root.iterdir() if path.is_dir() and _visible(path, root)]
    return sorted(visible, key=lambda folder: natural_key(folder.name))


def _visible(path: Path, root: Path) -> bool:
    """Not hidden, as .ipynb_checkpoints and .DS_Store are, and not what an archive from a Mac leaves behind."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(root).parts)


def _check_all(root: Path, classes: ClassFiles, modality: str, report: DataReport) -> Examples:
    """Every file of the modality that can be read, with its size; the others go to the report."""
    check: Callable[[Path], tuple[Any, str]] = check_image if modality == "image" else check_sound
    pairs = [(file, label) for label, files in classes.items() for file in files
             if file.suffix.lower() in SUFFIXES[modality]]
    found = Examples()
    with ThreadPoolExecutor(4) as pool:  # decoding and reading release Python's lock, so threads are enough
        checked = pool.map(check, [file for file, _ in pairs])
        for (file, label), (size, reason) in zip(pairs, checked, strict=True):
            place = file.relative_to(root).as_posix()
            if reason:
                report.broken.append((place, reason))
            else:
                found.append(file, label, place, size)
    return found


def check_sound(path: Path) -> tuple[float, str]:
    """Seconds of a sound file and "", or why it cannot be used: its header and its last sample are read."""
    import soundfile

    if not path.stat().st_size:
        return 0.0, "empty file"
    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError):
        return 0.0, "not a sound file"
    if not info.frames:
        return 0.0, "no samples"
    try:
        soundfile.read(str(path), start=info.frames - 1)
    except (soundfile.SoundFileError, OSError):
        return 0.0, "cut off or damaged"
    return float(info.duration), ""


def _nothing(root: Path) -> str:
    """What to say about a folder without class folders."""
    files = [file for file in root.iterdir() if file.is_file() and _visible(file, root)]
    tables = sorted(file.name for file in files if file.suffix.lower() in TABLE_SUFFIXES)
    if tables:
        return f"{root} has no folders of images or sounds, but {some(tables, 3)}: pass the path of that file."
    if any(file.suffix.lower() in _MODALITY for file in files):
        return (f"{root} has files but no class folders: put the files of each class into a folder with its name, "
                "such as cat/1.jpg and dog/2.jpg.")
    if not _subfolders(root):
        return f"{root} is empty."
    known = ", ".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
    return f"{root} has no images or sounds in its folders ({known})."
