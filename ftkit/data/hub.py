"""Hugging Face data sets: objects that the caller has, and names that are fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ftkit.data.bundled import NAMES
from ftkit.data.examples import SPLIT_NAMES
from ftkit.data.report import DataReport, some
from ftkit.data.table import Table, declared
from ftkit.errors import DataError, nearest


def tables_of(dataset: Any, where: str, report: DataReport) -> dict[str, Table]:
    """Tables by split of a Dataset or DatasetDict, or one under "all" if there is nothing to honour.

    Raises:
        DataError: A streamed data set, or splits without "train".
    """
    if type(dataset).__name__.startswith("Iterable"):
        raise DataError("A streamed data set has no length: load it with streaming=False.")
    if not isinstance(dataset, Mapping):
        return {"all": _table(dataset, where)}
    by_split = {SPLIT_NAMES[name.lower()]: part for name, part in dataset.items() if name.lower() in SPLIT_NAMES}
    if len(dataset) == 1 and by_split.keys() <= {"train"}:
        return {"all": _table(next(iter(dataset.values())), where)}
    if "train" not in by_split:
        raise DataError(f"{where} has the splits {', '.join(dataset)}, but no 'train'. Pass one split: dataset['…'].")
    unused = [name for name in dataset if name.lower() not in SPLIT_NAMES]
    report.notes.append("splits as given" + (f"; not used: {some(unused)}" if unused else ""))
    return {split: _table(by_split[split], f"{where} {split}") for split in ("train", "valid", "test")
            if split in by_split}


def fetch(name: str) -> Any:
    """The data set called `name` (or `name:configuration`) from the Hugging Face Hub or its cache.

    Raises:
        DataError: Out of reach, unknown, or not loadable; without a network it names what is bundled.
    """
    import datasets

    path, _, configuration = name.partition(":")
    offline = not _reachable(path)
    try:
        with _offline(offline):
            return datasets.load_dataset(path, configuration or None)
    except datasets.exceptions.DatasetNotFoundError:
        raise DataError(f"The Hugging Face Hub has no data set '{path}', or it is private. There is no file or folder "
                        f"of that name either. {_bundled(name)}") from None
    except (ConnectionError, TimeoutError):
        raise DataError(f"Cannot reach the Hugging Face Hub to load '{name}', and it is not in the cache. There is no "
                        f"file or folder of that name either. {_bundled(name)}") from None
    except Exception as error:  # builders of many formats raise what they like; the reader needs the cause
        if offline:
            raise DataError(f"Cannot reach the Hugging Face Hub to load '{name}'. {_bundled(name)}") from error
        hint = " Write the configuration after a colon, such as 'glue:sst2'." if "onfig" in str(error) else ""
        raise DataError(f"The Hugging Face Hub's data set '{name}' could not be loaded: {error}{hint}") from error


def _bundled(name: str) -> str:
    match = nearest(name, NAMES)
    return f"Bundled, without a network: {', '.join(NAMES)}." + (f" Did you mean '{match}'?" if match else "")


def _reachable(name: str) -> bool:
    """Ask the hub once: `load_dataset` itself retries for half a minute without a network."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        if os.environ.get(variable, "").upper() in ("1", "ON", "YES", "TRUE"):
            return False
    try:
        HfApi().dataset_info(name, timeout=5)
    except HfHubHTTPError:
        return True  # it answered, if only to refuse
    except Exception:  # name resolution, proxies, time-outs, certificates: each layer has errors of its own
        return False
    return True


@contextmanager
def _offline(offline: bool) -> Iterator[None]:
    """Have the libraries look into their cache only. They read HF_HUB_OFFLINE when imported, which may be past."""
    import datasets
    from huggingface_hub import constants

    before = datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    if offline:
        datasets.config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before


def _table(dataset: Any, where: str) -> Table:
    import datasets

    names, images = declared(dataset.features.to_dict())
    dataset = dataset.with_format(None)
    for column in images:
        dataset = dataset.cast_column(column, datasets.Image(decode=False))  # bytes: decoded when used
    for column, feature in dataset.features.items():
        if isinstance(feature, datasets.Audio):
            raise DataError(f"{where} holds sounds in the column '{column}': save them as files, one folder per class.")
    columns = {column: dataset[column] for column in dataset.column_names}
    return Table(where, columns, range(len(dataset)), class_names=names, images=images)
