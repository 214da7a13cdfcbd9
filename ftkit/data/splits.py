"""Making the splits that the source does not give: seeded, stratified, and never with the same example in two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ftkit.data.examples import Examples
from ftkit.data.report import DataReport, some
from ftkit.data.split import strata_of

Parts = dict[str, Examples]


def make_splits(
    parts: Parts, labels: Sequence[str], valid_fraction: float, test_fraction: float, seed: int, report: DataReport
) -> Parts:
    """Train, valid and test; those that are missing are drawn from train, test first.

    So the test split depends on the data, `test_fraction` and `seed` alone.

    Args:
        parts: The given splits, or one under "all".
        labels: Class names, for messages.
        valid_fraction: Share of the examples that are to be divided.
        test_fraction: The same for the test split.
        seed: Of the draw.
        report: Gets a note for each split that was made.
    """
    pool = parts.get("train", parts.get("all", Examples()))
    total, made = len(pool), {split: part for split, part in parts.items() if split in ("valid", "test")}
    for split, fraction in (("test", test_fraction), ("valid", valid_fraction)):
        if split in made:
            continue
        pool, made[split], stratified = _hold_out(pool, max(2, round(fraction * total)), seed)
        how = "stratified" if stratified else "not fully stratified (a class is too small)"
        how = how if labels else "at random"
        report.notes.append(f"no {split} split given: made one of {100 * fraction:g} %, {how}, seed {seed}")
    sizes = Counter(strata_of(pool.targets))
    small = [labels[j] for j in sorted(sizes) if labels and j >= 0 and sizes[j] < 3]
    if small:
        report.warnings.append(f"fewer than 3 examples in train: {some(small)}")
    return {"train": pool, "valid": made["valid"], "test": made["test"]}


def _hold_out(pool: Examples, size: int, seed: int) -> tuple[Examples, Examples, bool]:
    """The rest, about `size` examples held out, whether that was stratified. What belongs together stays together."""
    groups: dict[str, list[int]] = {}
    for row, key in enumerate(pool.groups or pool.keys):
        groups.setdefault(key, []).append(row)
    members = list(groups.values())
    strata = strata_of(pool.targets)
    share = round(size * len(members) / max(1, len(pool)))
    chosen, stratified = _draw([strata[rows[0]] for rows in members], max(2, share), seed)
    held = sorted(row for group in chosen for row in members[group])
    gone = set(held)
    rest = [row for row in range(len(pool)) if row not in gone]
    return pool.pick(rest), pool.pick(held), stratified


def _draw(strata: Sequence[int], size: int, seed: int) -> tuple[list[int], bool]:
    """`size` indices, stratified if every class allows it; a class with one member stays in train."""
    from sklearn.model_selection import train_test_split

    counts = Counter(strata)
    free = [i for i, stratum in enumerate(strata) if counts[stratum] > 1]
    try:
        _, held = train_test_split(free, test_size=size, random_state=seed, stratify=[strata[i] for i in free])
        return held, len(free) == len(strata)
    except ValueError:  # scikit-learn wants at least one held-out example per class, and as many left
        return _draw_at_random(strata, size, seed), False


def _draw_at_random(strata: Sequence[int], size: int, seed: int) -> list[int]:
    left = Counter(strata)
    held: list[int] = []
    for i in np.random.default_rng(seed).permutation(len(strata)).tolist():
        if len(held) < size and left[strata[i]] > 1:  # each class keeps one example to learn from
            left[strata[i]] -= 1
            held.append(i)
    return held
