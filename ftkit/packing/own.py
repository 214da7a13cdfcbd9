"""ftkit's own wheel: built from a checkout, or put together again from the files that an installed one left."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import zipfile
from importlib import metadata
from pathlib import Path, PurePosixPath

import ftkit
from ftkit.errors import DataError
from ftkit.packing.wheels import run_pip

_NOT_PACKED = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}  # how this one copy was installed


def own_wheel(out: Path) -> Path:
    """Write ftkit's wheel, with its data, backbones and notebooks, into a folder.

    Raises:
        DataError: Files of the installed ftkit are missing.
        UserError: pip cannot build it from the checkout.
        DiskError: The disk is full.
    """
    checkout = Path(ftkit.__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        return build_wheel(checkout, out)
    return repack(metadata.distribution("ftkit"), out)


def build_wheel(checkout: Path, out: Path) -> Path:
    """The wheel of a checkout. Without hatchling in this environment pip fetches it."""
    there = importlib.util.find_spec("hatchling") is not None
    run_pip("wheel", "--no-deps", *(["--no-build-isolation"] if there else []), "--wheel-dir", str(out), str(checkout))
    (file,) = out.glob("ftkit-*.whl")
    return file


def repack(installed: metadata.Distribution, out: Path) -> Path:
    """The wheel of a pure Python package that is installed, from its files.

    Raises:
        DataError: Its list of files is missing, or a file is.
    """
    name = f"{installed.metadata['Name']}-{installed.version}-py3-none-any.whl"
    files = [PurePosixPath(file) for file in installed.files or ()]
    packed = [file for file in files if ".." not in file.parts and file.suffix != ".pyc"
              and not (file.parent.suffix == ".dist-info" and file.name in _NOT_PACKED)]
    if not packed:
        raise DataError(f"{installed.metadata['Name']} does not say which files are its own. Install it again.")
    (info,) = {file.parts[0] for file in packed if file.parts[0].endswith(".dist-info")}
    record = []
    with zipfile.ZipFile(out / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(packed):
            place = Path(str(installed.locate_file(str(file))))
            if not place.is_file():
                raise DataError(f"{place} is missing. Install {installed.metadata['Name']} again.")
            content = place.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{file},sha256={digest},{len(content)}\n")
            _put(archive, str(file), content)
        _put(archive, f"{info}/RECORD", "".join([*record, f"{info}/RECORD,,\n"]).encode())
    return out / name


def _put(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name)  # of 1980: the same files give the same wheel, whenever it is made
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    archive.writestr(entry, content)
