"""Snapshots of made-up runs, as an Experiment gives them: what the forms and the panel are tested on.

Two models: one like BERT with 12 blocks (long), one like ResNet-18 (BatchNorm, warnings). All numbers follow from the
arguments; nothing is random.
"""

from __future__ import annotations

import math
from typing import Any

PRESETS = [{"name": "head", "label": "head only"}, {"name": "last_k", "label": "last k blocks"},
           {"name": "gradual", "label": "gradual"}, {"name": "all", "label": "everything"},
           {"name": "bn_only", "label": "BatchNorm only"}, {"name": "wrong_way", "label": "first block only"}]


def fresh(**changes: Any) -> dict[str, Any]:
    """Like BERT, head only, before the first step."""
    groups = [_group("stem", 23_837_184, False)]
    groups += [_group(f"block {i}", 7_087_872, False) for i in range(12)]
    groups.append(_group("head", 592_130, True))
    return {**_frame("bert-base-uncased", groups, step=0, status="ready"), **changes}


def running(**changes: Any) -> dict[str, Any]:
    """Like BERT, in the middle: the last two blocks and the head train, block 9 was just switched on."""
    groups = [_group("stem", 23_837_184, False)]
    groups += [_group(f"block {i}", 7_087_872, i >= 10, grad=0.02 * (i - 9), drift=1.2e-4 * (i - 9)) for i in range(12)]
    groups.append(_group("head", 592_130, True, grad=0.412, drift=0.0213, scale=1.0))
    groups[10]["pending"] = "trains"
    groups[11]["scale"] = 0.3
    snap = _frame("bert-base-uncased", groups, step=140, status="running")
    snap["curves"] = [_curve("a", "now", 140, 0.55, [(50, "blocks 10 to 11 thawed")])]
    return {**snap, **changes}


def branched(**changes: Any) -> dict[str, Any]:
    """Like ResNet-18, finished: a branch from step 100, a wrong way, an answered question, two warnings."""
    sizes = [9_536, 73_984, 73_984, 230_144, 295_424, 919_040, 1_180_672, 3_673_088, 4_720_640]
    groups = [_group("stem" if i == 0 else f"block {i - 1}", size, i == 1, grad=0.81, drift=0.0034)
              for i, size in enumerate(sizes)]
    groups.append(_group("head", 1_026, False))
    for group in groups[2:]:
        group.update(gradient="passes", activation_bytes=group["parameters"] // 2 + 524_288)
    groups[1].update(state="partly", activation_bytes=3_211_264)
    groups[4]["warnings"] = ["BatchNorm statistics move although the group is frozen: put it into eval mode"]
    groups[9]["warnings"] = ["trains, but the optimizer does not know it: it will never move"]
    snap = _frame("resnet18", groups, step=400, status="finished")
    snap["curves"] = [_curve("b", "first block only", 400, 0.3, [(100, "block 0 thawed"), (100, "head frozen")], 100),
                      _curve("a", "head only", 400, 0.8, []),
                      _curve("c", "last 2 blocks", 300, 1.0, [(100, "blocks 6 to 7 thawed")], 100)]
    snap["question"] = {"kind": "cost", "text": "How long does a step take, in per cent of full fine-tuning?",
                        "unit": "%", "guess": 20.0, "answer": 78.0, "score": 42}
    snap["checkpoints"] = [{"id": "1", "step": 100, "label": "after the head"}]
    return {**snap, **changes}


def _group(name: str, parameters: int, trains: bool, grad: float = 0.1, drift: float = 0.0,
           scale: float = 1.0) -> dict[str, Any]:
    return {"name": name, "parameters": parameters, "state": "trains" if trains else "frozen", "pending": None,
            "scale": scale, "grad_norm": grad if trains and drift else None,
            "drift": drift if trains else 0.0, "optimizer_bytes": 8 * parameters if trains and drift else 0,
            "activation_bytes": 2_621_440 if trains else 0, "gradient": "stored" if trains else "none", "warnings": []}


def _frame(name: str, groups: list[dict[str, Any]], step: int, status: str) -> dict[str, Any]:
    total = sum(group["parameters"] for group in groups)
    trainable = sum(group["parameters"] for group in groups if group["state"] != "frozen")
    frozen = next(i for i, group in enumerate(groups) if group["state"] != "frozen")
    started = step > 0
    return {
        "version": 1, "status": status, "message": "",
        "model": {"name": name, "origin": "bundled", "parameters": total},
        "data": {"train": 800, "valid": 200, "labels": ["negative", "positive"]},
        "step": step, "total_steps": 400, "epoch": step // 50, "epochs": 8, "steps_per_epoch": 50,
        "lr": 2e-4 if started else None, "loss": 0.41 if started else None, "seconds": 0.2 * step,
        "seconds_left": 0.2 * (400 - step) if started else None,
        "header": {"trainable": trainable, "share": trainable / total, "step_ms": 212.0 if started else None,
                   "full_step_ms": 340.0 if started else None, "cost": 212 / 340 if started else None,
                   "memory_mb": 812.0, "memory_limit_mb": 2048.0, "cached_groups": frozen},
        "groups": groups,
        "curves": [{"id": "a", "name": "now", "from_step": 0, "train": [], "valid": [], "events": []}],
        "presets": PRESETS, "question": None, "checkpoints": [], "recorded": list(range(0, step + 1, 20)),
        "showing": None}


def _curve(name: str, title: str, last: int, speed: float, events: list[tuple[int, str]],
           start: int = 0) -> dict[str, Any]:
    train = [[step, 0.1 + 0.6 * math.exp(-speed * step / 90) + 0.05 * math.sin(step * 1.7)]
             for step in range(start + 1, last + 1, 1 + last // 400)]
    valid = [[step, 0.15 + 0.55 * math.exp(-speed * step / 90), 0.95 - 0.42 * math.exp(-speed * step / 90)]
             for step in range(start + 50, last + 1, 50)]
    return {"id": name, "name": title, "from_step": start, "train": train, "valid": valid,
            "events": [{"step": step, "text": text} for step, text in events]}
