"""load_data: from whatever you have to train, valid and test. Read it from top to bottom; each step has its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ftkit.data.checks import add_keys, check_duplicates, check_leaks
from ftkit.data.examples import Examples, Source, Wanted
from ftkit.data.labels import check_coverage, set_targets
from ftkit.data.report import DataReport, add_summaries, measure, plural
from ftkit.data.sources import open_source
from ftkit.data.split import Data, Split
from ftkit.data.splits import make_splits
from ftkit.data.transcripts import check_transcripts, drop_unreadable, swapped
from ftkit.data.unlabelled import UNLABELLED, read_unlabelled
from ftkit.errors import DataError, check_name

if TYPE_CHECKING:
    from ftkit.tasks import Task


_BY_PAIRS = ("dpo", "ipo", "reward")  # tasks for prompts with a chosen and a rejected reply
_BY_TEXT = ("ctc", "speech-to-text", "text-to-speech")  # tasks for sounds and their texts


def load_data(
    source: Any,
    *,
    text: str | None = None,
    label: str | None = None,
    task: str | None = None,
    test: Any = None,
    valid_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = 0,
    limit: int | None = None,
    drop_leaks: bool = False,
    drop_duplicates: bool = False,
) -> Data:
    """Train, valid and test from a bundled name, a file, a folder, a table in memory or the Hugging Face Hub.

    Args:
        source: A name of `list_data` such as "reviews" or "signs"; a CSV, TSV, JSON Lines, JSON or Parquet file; a
            folder with one folder of images or sounds per class, or with train, valid and test above these; a folder of
            sounds with a metadata.csv (file_name,text) for recognition; a pandas
            DataFrame; a datasets.Dataset or DatasetDict; a name on the hub ("owner/name" or
            "owner/name:configuration"). With task="causal-lm" also a text file or a folder of them, and tables with
            the columns prompt and completion, or with a column of chats, messages. With task="dpo", "ipo" or "reward"
            tables with the columns prompt, chosen and rejected.
        text: The input's column; found by its name if left out.
        label: The label's column; found by its name if left out. Lists of labels make a multi-label task. For a
            language model the completion's column.
        task: "text-classification", "image-classification", "audio-classification", "ctc" (recognition of speech),
            "speech-to-text" (recognition by Whisper), "text-to-speech" or "causal-lm" (a text generator), if it should
            not follow from the source.
        test: A second source with the same columns, used whole as the test split.
        valid_fraction: Share for the valid split if none is given, between 0 and 1.
        test_fraction: Share for the test split if none is given, between 0 and 1.
        seed: Of the splits and of the subset; equal seeds give equal splits.
        limit: Train on a stratified subset of this size, with at most max(200, limit // 4) valid examples. The test
            split stays whole, so that scores at different limits compare.
        drop_leaks: Remove examples from train that are also in a given valid or test, rather than refuse them.
        drop_duplicates: Keep only the first of identical examples within a split.

    Returns:
        Data with train, valid, test, the task and a report; `data.describe()` prints it.

    Raises:
        DataError: The data cannot be used as they are; the message says where and what to do.
        UnknownName: A column, task or data set that is not there, with the nearest that is.

    Lesson 01.
    """
    _check_arguments(valid_fraction, test_fraction, seed, limit)
    if isinstance(source, str) and source in UNLABELLED:
        return _unlabelled(source, limit, task, {"text": text, "label": label, "test": test})
    report = DataReport()
    modality = None if task is None else _held(_tasks()[check_name("task", task, _tasks())])
    found = open_source(source, report, Wanted(text, label, modality, task == "causal-lm", task in _BY_PAIRS))
    if test is not None:
        _use_as_test(found, test, report)
    report.name, report.modality = found.name, found.modality
    if found.transcripts:
        if task == "text-to-speech":
            drop_unreadable(found.parts, report)
        found.options["letters"] = check_transcripts(found.parts, report)
    unlabelled = found.transcripts or found.passages
    labels, multilabel = ((), False) if unlabelled else set_targets(found, report)
    report.multilabel = multilabel
    chosen = _task(task, found, labels, multilabel, report)

    if not found.passages:
        add_keys(found.parts)
    check_leaks(found.parts, drop_leaks, report)
    check_duplicates(found.parts, drop_duplicates, report)
    if not unlabelled:
        check_coverage(found.parts, labels, report)
    report.lengths = measure(found.modality, [size for part in found.parts.values() for size in part.sizes])
    parts = make_splits(found.parts, labels, valid_fraction, test_fraction, seed, report)
    train, valid, held_out = (_split(name, part, labels) for name, part in parts.items())
    if limit is not None:
        train, valid = _limited(train, valid, limit, seed, multilabel, report)
    if task == "text-to-speech":
        train, valid, held_out = swapped([train, valid, held_out], report)
    for split in (train, valid, held_out):
        report.examples[split.name], report.balance[split.name] = len(split), split.counts()
    add_summaries(report)
    return Data(found.name, found.modality, train, valid, held_out, chosen, report)


def _check_arguments(valid_fraction: float, test_fraction: float, seed: int, limit: int | None) -> None:
    for name, value in (("valid_fraction", valid_fraction), ("test_fraction", test_fraction)):
        if not 0 < value < 1:
            raise DataError(f"{name}={value}: a share between 0 and 1, such as 0.15.")
    if valid_fraction + test_fraction >= 1:
        raise DataError(f"valid_fraction={valid_fraction} and test_fraction={test_fraction} leave nothing to train on.")
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise DataError(f"seed={seed}: a whole number from 0 to {2**32 - 1}.")
    if limit is not None and (not isinstance(limit, int) or limit < 2):
        raise DataError(f"limit={limit}: a whole number of training examples, at least 2.")


def _unlabelled(name: str, limit: int | None, task: str | None, given: dict[str, Any]) -> Data:
    named = [f"{key}=" for key, value in given.items() if value is not None]
    if named:
        raise DataError(f"'{name}' has no classes and splits of its own: leave {', '.join(named)} out.")
    if task is not None and check_name("task", task, _tasks()) not in UNLABELLED[name].tasks:
        raise DataError(f"'{name}' has no classes: it is for {', '.join(UNLABELLED[name].tasks)}, not for {task}.")
    return read_unlabelled(name, limit, task)


def _use_as_test(found: Source, test: Any, report: DataReport) -> None:
    """Make another source the test split of `found`."""
    text, label = found.columns or (None, None)
    more = open_source(test, report, Wanted(text, label or None, found.modality, found.passages, found.pairs))
    if more.modality != found.modality:
        raise DataError(f"test= holds {more.modality}, but {found.name} holds {found.modality}.")
    whole = Examples()
    for part in [more.parts["test"]] if "test" in more.parts else list(more.parts.values()):
        whole.extend(part)
    if not len(whole):
        raise DataError(f"test= ({more.name}) has no usable examples with a label.")
    if "test" in found.parts:
        report.notes.append(f"the test split of {found.name} is not used: test= was given")
    found.parts["test"] = whole
    found.label_order = found.label_order or more.label_order
    report.notes.append(f"test split: {more.name}")


def _task(
    name: str | None, found: Source, labels: Sequence[str], multilabel: bool, report: DataReport
) -> Task | None:
    """The task over these labels: the one that was asked for, or the classification task of the modality."""
    from ftkit.tasks import make_task  # imports torch: not before the data are known to be good

    fitting = [task for task, kind in _tasks().items() if _held(kind) == found.modality
               and (task in _BY_TEXT) == found.transcripts and (task in _BY_PAIRS) == found.pairs
               and (found.pairs or kind.generates == found.passages)]
    if name is not None and name not in fitting and _held(_tasks()[name]) == found.modality == "audio":
        needs, has = ("text", "classes") if name in _BY_TEXT else ("class", "texts")
        raise DataError(f"task='{name}' needs a {needs} for each sound, and {found.name} has {has}. For texts: "
                        "a metadata.csv with the columns file_name and text; for classes: a folder each.")
    if name is not None and name not in fitting:
        raise DataError(f"task='{name}' needs {_held(_tasks()[name])}, but {found.name} holds {found.modality}. "
                        + (f"Use {' or '.join(fitting)}." if fitting else "ftkit has no task for that yet."))
    name = name or next(iter(fitting), None)
    if name is None:
        report.notes.append(f"ftkit has no {found.modality} task yet: data.task is None")
        return None
    return replace(make_task(name, labels, multilabel), **found.options)


def _held(kind: type[Task]) -> str:
    """What data for this task hold: a voice learns from sounds."""
    return kind.holds or kind.modality


def _tasks() -> dict[str, type[Task]]:
    from ftkit.tasks import TASKS

    return TASKS


def _split(name: str, part: Examples, labels: tuple[str, ...]) -> Split:
    if len(part) < 2:
        raise DataError(f"The {name} split has {plural(len(part), 'example')}; each split needs at least 2. "
                        "Add examples, or change valid_fraction and test_fraction.")
    return Split(name, part.inputs, part.targets, labels)


def _limited(
    train: Split, valid: Split, limit: int, seed: int, multilabel: bool, report: DataReport
) -> tuple[Split, Split]:
    """Subsets of train and valid. Test was drawn before, and whole, so it is the same at every limit."""
    if limit < len(train.labels) and not multilabel:
        raise DataError(f"limit={limit} is fewer than the {len(train.labels)} labels: every label needs an example.")
    most = max(200, limit // 4)
    for split, n in ((train, limit), (valid, most)):
        if n < len(split):
            report.notes.append(f"{split.name} limited to {n:,} of {len(split):,}, stratified, seed {seed}")
    return train.take(limit, seed), valid.take(most, seed)
