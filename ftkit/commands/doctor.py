"""`ftkit doctor`: what this machine can do, and what to mend. It must work where nothing else does.

So every check stands alone and imports what it asks about itself: a broken torchvision is a finding, not a crash.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftkit.commands.finding import OK, PROBLEM, WARNING, Finding, first_line

GIB = 2**30


def run(args: argparse.Namespace) -> int:
    """Print all findings; 1 if there is a problem."""
    findings = examine()
    failed = any(finding.status == PROBLEM for finding in findings)
    if args.json:
        print(json.dumps({"ok": not failed, "findings": [finding._asdict() for finding in findings]}))
        return int(failed)
    for finding in findings:
        print(f"{finding.status:<8} {finding.what}: {finding.found}")
        if finding.advice:
            print(f"{'':<8}   -> {finding.advice}")
    counts = {status: sum(finding.status == status for finding in findings) for status in (PROBLEM, WARNING)}
    print("\n" + ("Everything is fine." if not any(counts.values()) else
                  f"{counts[PROBLEM]} problem(s) that stop ftkit, {counts[WARNING]} warning(s)."))
    return int(failed)


def examine() -> list[Finding]:
    """All findings, packages first."""
    from ftkit.commands.packages import import_findings, pair_findings, version_findings

    checks: list[Callable[[], list[Finding]]] = [
        version_findings, pair_findings, import_findings, _devices, _precision, _limits, _disk, _files, _backbones]
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check()
        except Exception as error:  # a check that breaks is a finding too
            name = check.__name__.removeprefix("_").replace("_", " ")
            findings.append(Finding(PROBLEM, name, first_line(error), "Mend the packages above first."))
    return findings


def _devices() -> list[Finding]:
    import torch

    if torch.cuda.is_available():
        gpus = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        return [Finding(OK, "devices", ", ".join(f"{gpu.name} with {gpu.total_memory / GIB:.0f} GiB" for gpu in gpus))]
    if torch.backends.mps.is_available():
        return [Finding(OK, "devices", "Apple GPU (mps)")]
    return [Finding(OK, "devices", "CPU only; the lessons are made for that")]


def _precision() -> list[Finding]:
    import torch

    from ftkit.training.precision import choose_precision, cpu_has_bf16

    fast = cpu_has_bf16()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return [Finding(OK, "bf16", f"{'in' if fast else 'not in'} this processor's hardware; --precision auto takes "
                    f"{choose_precision('auto', device)}")]


def _limits() -> list[Finding]:
    from ftkit import machine

    total, limit, free = machine.memory_total(), machine.memory_limit(), machine.memory_available()
    inside = f" (the container's limit; the machine has {total / GIB:.1f} GiB)" if limit < total else ""
    tight = free < 2 * GIB
    cores, all_cores = machine.cpu_limit(), os.cpu_count() or 1
    share = f" (the container's limit; the machine has {all_cores})" if cores < all_cores else ""
    return [
        Finding(WARNING if tight else OK, "memory", f"{free / GIB:.1f} of {limit / GIB:.1f} GiB free{inside}",
                "Close other programs and notebooks, or use a smaller --batch-size." if tight else ""),
        Finding(OK, "CPU cores", f"{cores}{share}"),
    ]


def _disk() -> list[Finding]:
    import shutil
    import tempfile

    findings = []
    for what, folder in (("this folder", Path.cwd()), ("temporary files", _temporary(tempfile.gettempdir))):
        if folder is None:
            findings.append(Finding(PROBLEM, f"disk for {what}", "no folder can be written to",
                                    "Free some space, or set TMPDIR to a folder that can be written to."))
            continue
        free = shutil.disk_usage(folder).free
        status = PROBLEM if free < 0.05 * GIB else WARNING if free < 2 * GIB else OK
        advice = "" if status == OK else "Free some space: models take up to 0.5 GiB each."
        findings.append(Finding(status, f"disk for {what}", f"{free / GIB:.1f} GiB free in {folder}", advice))
    return findings


def _temporary(ask: Callable[[], str]) -> Path | None:
    try:
        return Path(ask())
    except OSError:  # tempfile tries to write, so a full disk shows here
        return None


def _files() -> list[Finding]:
    from ftkit.commands.lab import FIRST
    from ftkit.data import list_data

    package = Path(__file__).resolve().parents[1]
    names = ", ".join(row["name"] for row in list_data())
    there = any((folder / FIRST).is_file() for folder in (package / "_notebooks", package.parent / "notebooks"))
    return [Finding(OK, "data sets on this machine", names),
            Finding(OK, "lessons", "installed; 'ftkit lab' opens them") if there
            else Finding(WARNING, "lessons", "not installed", "Install ftkit again.")]


def _backbones() -> list[Finding]:
    from urllib.parse import urlparse

    from ftkit.backbones.sources import hub_address, hub_reachable, offline_place
    from ftkit.backbones.specs import SPECS

    host = urlparse(hub_address()).hostname or ""
    why = "HF_HUB_OFFLINE is set" if os.environ.get("HF_HUB_OFFLINE") else f"{host} cannot be reached"
    online = within(3.0, lambda: hub_reachable(host))
    usable, broken = [], {}
    for spec in SPECS.values():
        try:
            if offline_place(spec) is not None:
                usable.append(spec.name)
        except Exception as error:  # torchvision, if it is broken
            broken[spec.name] = first_line(error)
    hub = (Finding(OK, "hub", f"{host} can be reached: every backbone can be fetched") if online else
           Finding(WARNING, "hub", why, "Only the backbones of the next line, and your own folders, can be used."))
    status = OK if usable else WARNING if online else PROBLEM
    findings = [hub, Finding(status, "backbones on this machine", ", ".join(usable) or "none",
                             "" if usable else "Install ftkit again, or pass a folder that holds a model.")]
    if broken:
        findings.append(Finding(WARNING, "backbones that cannot be looked up",
                                f"{', '.join(broken)} ({next(iter(broken.values()))})",
                                "Mend the packages above first."))
    return findings


def within(seconds: float, ask: Callable[[], Any]) -> Any:
    """The answer, or None if it takes longer: looking up a name can hang beyond any timeout of a connection."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None
