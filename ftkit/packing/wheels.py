"""Which wheels a target needs, and getting them: ftkit's own, what it asks for, what those ask for, and so on.

pip looks for every wheel. It cannot follow requirements for another machine, because it reads their markers ("only on
Windows") as those of its own: that is done here, from what each wheel says. Versions are those of this environment,
which are known to go together, wherever the target has wheels of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from ftkit.errors import DataError, DiskError, UserError
from ftkit.packing.folder import PackFolder, Wheel
from ftkit.packing.target import Target

_AT_ONCE = 4  # pips at a time: most of the while, each waits for an answer
_NETWORK = re.compile(r"connection error|NewConnectionError|NameResolution|ConnectTimeout|ReadTimeout|ProxyError|"
                      r"SSLError|Network is unreachable|Connection (?:refused|reset|broken)|Max retries exceeded",
                      re.IGNORECASE)
_NONE_FITS = re.compile(r"No matching distribution found|ResolutionImpossible|conflicting dependencies|"
                        r"none of the wheel's tags|is not a supported wheel", re.IGNORECASE)
Asked = dict[str, list[tuple[Requirement, str]]]  # by package: each requirement, and who asks
Say = Callable[[str], None]


class _NotThere(Exception):
    """No wheel fits."""


class Gatherer:
    """Fills a folder for a target.

    Args:
        target: For whom.
        folder: Where to; what is there and fits is taken from there.
        say: Is told of every package that came.
    """

    def __init__(self, target: Target, folder: PackFolder, say: Say) -> None:
        self.target, self.folder, self.say = target, folder, say
        self.chosen: dict[str, Wheel] = {}
        self.failed: dict[str, tuple[str, str]] = {}  # by package: what was asked for, and what pip said

    def gather(self, root: Wheel, extras: set[str]) -> list[Wheel]:
        """Every wheel that `root` needs with these extras, itself included.

        Raises:
            DataError: Some are not to be had; all of them are named, and what was found is kept.
            UserError: pip cannot reach its index, or is not there.
            DiskError: The disk is full.
        """
        self.chosen[root.name] = root
        asked = self._walk(root, extras)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=self.folder.place) as fresh:
            while open_names := [name for name in asked if self._is_open(name, asked)]:
                self._choose_all(open_names, asked, Path(fresh))
                asked = self._walk(root, extras)
        missing = [name for name in asked if name in self.failed]
        if missing:
            raise DataError(self._missing(missing, asked))
        return [self.chosen[name] for name in asked]

    def _walk(self, root: Wheel, extras: set[str]) -> Asked:
        """All that the chosen wheels ask for, from the root down."""
        asked: Asked = defaultdict(list)
        asked[root.name]
        seen: dict[str, set[str]] = {}
        todo: list[tuple[str, set[str]]] = [(root.name, set(extras))]
        while todo:
            name, wanted = todo.pop()
            fresh = wanted - seen.get(name, set()) or (set() if name in seen else {""})
            if not fresh or name not in self.chosen:
                continue
            known = seen.setdefault(name, set())
            known |= wanted | {""}
            for requirement in self.chosen[name].requires:
                if self.target.needs(requirement, known):
                    child = canonicalize_name(requirement.name)
                    if (requirement, name) not in asked[child]:
                        asked[child].append((requirement, name))
                    todo.append((child, set(requirement.extras)))
        return dict(asked)

    def _is_open(self, name: str, asked: Asked) -> bool:
        specifier = _together(asked[name])
        if name in self.failed and self.failed[name][0] == str(specifier):
            return False
        return name not in self.chosen or not specifier.contains(self.chosen[name].version, prereleases=True)

    def _choose_all(self, names: list[str], asked: Asked, fresh: Path) -> None:
        """Choose several at a time; what has come is kept, also when another one breaks the work off."""
        pool = ThreadPoolExecutor(_AT_ONCE)
        jobs = {pool.submit(self._choose, name, _together(asked[name]), fresh / name): name for name in names}
        try:
            for job in as_completed(jobs):
                self._take(jobs[job], asked, job)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _take(self, name: str, asked: Asked, job: Future[Wheel | Path]) -> None:
        try:
            found = job.result()
        except _NotThere as error:
            self.failed[name] = (str(_together(asked[name])), str(error))
            self.chosen.pop(name, None)
            self.say(f"  {name}: MISSING")
            return
        wheel = self.folder.add(found) if isinstance(found, Path) else found
        self.failed.pop(name, None)
        self.chosen[name] = wheel
        self.say(f"  {wheel.name} {wheel.version}, {megabytes(wheel.bytes)}{', was there' * (found is wheel)}")

    def _choose(self, name: str, wanted: SpecifierSet, fresh: Path) -> Wheel | Path:
        """A wheel that suits all who ask for a package: one of the folder, or the place of one that was fetched."""
        own = _installed(name)
        same = own is not None and wanted.contains(own, prereleases=True)
        reason = _NotThere()
        for way in [SpecifierSet(f"=={own}"), wanted] if same else [wanted]:
            for wheel in self._there(name, way):
                return wheel
            try:
                return self._fetch(f"{name}{way}", fresh)
            except _NotThere as error:
                reason = error
        raise reason

    def _there(self, name: str, wanted: SpecifierSet) -> list[Wheel]:
        """Wheels in the folder that will do, the best first."""
        fitting = [(wheel, rank) for wheel in self.folder.held() if wheel.name == name
                   and wanted.contains(wheel.version, prereleases=True)
                   and (rank := self.target.rank(wheel.parsed[2])) is not None]
        return [wheel for wheel, _ in sorted(fitting, key=lambda pair: (pair[0].version, -pair[1]), reverse=True)]

    def _fetch(self, requirement: str, fresh: Path) -> Path:
        """Let pip fetch one wheel into a folder of its own."""
        run_pip("download", "--no-deps", "--dest", str(fresh), *self.target.pip_options(), requirement)
        (file,) = fresh.glob("*.whl")
        return file

    def _missing(self, names: list[str], asked: Asked) -> str:
        def told(name: str) -> str:
            who = ", ".join(sorted({by for _, by in asked[name]}))
            return f"{name}{_together(asked[name])} (asked for by {who}; pip: {self.failed[name][1]})"

        many = "packages have" if len(names) > 1 else "package has"
        return (f"{len(names)} {many} no wheel for {self.target.platform.name} with Python {self.target.version}: "
                f"{'; '.join(map(told, sorted(names)))}. What was found is kept in {self.folder.place}. Another "
                "--python may have more wheels; a PIP_CONSTRAINT file can ask for other versions.")


def run_pip(*words: str) -> None:
    """pip, with its own settings and without questions.

    Raises:
        _NotThere: No wheel fits.
        UserError: pip is not there, or cannot reach its index.
        DiskError: The disk is full.
    """
    command = [words[0], "--no-input", "--disable-pip-version-check", "--progress-bar=off", *words[1:]]
    code, said = _call_pip(command)
    if code == 0:
        return
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = next((line.partition("ERROR:")[2].strip() for line in reversed(lines) if "ERROR:" in line),
                lines[-1] if lines else "it said nothing")[:300]
    if "No module named pip" in said:
        raise UserError("pip is not in this environment. Install it with: python -m ensurepip")
    if "No space left" in said:
        raise DiskError(f"The disk is full: {last}")
    if _NETWORK.search(said):  # pip says so in passing, and at the end only that it found nothing
        raise UserError(f"pip cannot reach its package index: {last}. 'pip config list' shows its settings. What has "
                        "come is kept: the same command goes on there.")
    if _NONE_FITS.search(said):
        raise _NotThere(last)
    raise UserError(f"pip could not do '{' '.join(words[:1])} {words[-1]}': {last}")


def _call_pip(words: list[str]) -> tuple[int, str]:
    """Its exit code and all that it said."""
    done = subprocess.run([sys.executable, "-m", "pip", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout


def megabytes(size: float) -> str:
    """ "114 MB", "0.3 MB", "2.91 GB" """
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def _together(asked: list[tuple[Requirement, str]]) -> SpecifierSet:
    combined = SpecifierSet()
    for requirement, _ in asked:
        combined &= requirement.specifier
    return combined


def _installed(name: str) -> str | None:
    """The version in this environment, without what a build adds to it, such as "+cu130"."""
    try:
        return Version(metadata.version(name)).public
    except metadata.PackageNotFoundError:
        return None
