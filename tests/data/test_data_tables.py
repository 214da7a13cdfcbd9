"""Tables in files and in memory, and every way they can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from data_helpers import sentences

from ftkit.data import load_data
from ftkit.errors import DataError, UnknownName

WriteCSV = Callable[..., Path]


def frame(n: int = 20) -> pd.DataFrame:
    return pd.DataFrame(sentences(n), columns=["text", "label"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_every_format_gives_the_same_splits(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"notes{suffix}"
    match suffix:
        case ".csv":
            frame().to_csv(path, index=False)
        case ".tsv":
            frame().to_csv(path, index=False, sep="\t")
        case ".jsonl":
            frame().to_json(path, orient="records", lines=True)
        case ".json":
            frame().to_json(path, orient="records")
        case ".parquet":
            frame().to_parquet(path)
    data, expected = load_data(path), load_data(frame())
    assert data.name == "notes"
    assert data.modality == "text"
    assert data.train.labels == ("neg", "pos")
    assert data.task is not None
    assert data.task.name == "text-classification"
    assert data.train.fingerprint() == expected.train.fingerprint()
    assert data.test.fingerprint() == expected.test.fingerprint()
    assert load_data(str(path)).test.inputs == data.test.inputs  # a string is a path too


def test_json_of_columns_and_a_data_key(tmp_path: Path) -> None:
    columns = tmp_path / "columns.json"
    columns.write_text(json.dumps(frame().to_dict(orient="list")))
    wrapped = tmp_path / "wrapped.json"
    wrapped.write_text(json.dumps({"data": frame().to_dict(orient="records")}))
    assert load_data(columns).train.inputs == load_data(wrapped).train.inputs


def test_a_spreadsheet_with_a_byte_order_mark_and_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes(frame().to_csv(index=False, sep=";").encode("utf-8-sig"))
    data = load_data(path)
    assert len(data.train) + len(data.valid) + len(data.test) == 20
    assert any("';'" in note for note in data.report.notes)


def test_quotes_newlines_and_words_that_pandas_takes_for_missing(write_csv: WriteCSV) -> None:
    rows = [*sentences(18), ('She said "no",\nthen left', "pos"), ("NA", "neg"), ("null", "None")]
    data = load_data(write_csv("a.csv", [*rows, ("other words", "None")]))
    texts = [*data.train.inputs, *data.valid.inputs, *data.test.inputs]
    assert 'She said "no",\nthen left' in texts
    assert {"NA", "null"} <= set(texts)
    assert "None" in data.train.labels
    assert not data.report.dropped


def test_a_tsv_without_quoting(tmp_path: Path) -> None:
    rows = [f"{text}\t{label}" for text, label in sentences(18)] + ['"half a quote\tpos', 'another "one"\tneg']
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(["text\tlabel", *rows]))
    data = load_data(path)
    assert '"half a quote' in [*data.train.inputs, *data.valid.inputs, *data.test.inputs]
    assert any("quotation marks" in note for note in data.report.notes)


def test_missing_cells_are_dropped_with_their_lines(write_csv: WriteCSV) -> None:
    rows = [*sentences(20), ("", "pos"), ("   ", "neg"), ("a text without a label", "")]
    data = load_data(write_csv("a.csv", rows))
    assert len(data.train) + len(data.valid) + len(data.test) == 20
    assert data.report.dropped == [("a.csv line 22", "no 'text'"), ("a.csv line 23", "no 'text'"),
                                   ("a.csv line 24", "no 'label'")]
    assert any("2 rows dropped (no 'text'): a.csv line 22, a.csv line 23" in w for w in data.report.warnings)
    assert "warnings: 2" in repr(data)


def test_missing_cells_of_a_frame() -> None:
    table = frame(22).astype(object)
    table.loc[3, "text"] = None
    table.loc[5, "label"] = float("nan")
    data = load_data(table)
    assert data.report.dropped == [("table row 3", "no 'text'"), ("table row 5", "no 'label'")]


def test_columns_are_found_by_name_whatever_their_case(write_csv: WriteCSV) -> None:
    rows = [(i, text, label) for i, (text, label) in enumerate(sentences(20))]
    assert load_data(write_csv("a.csv", rows, ("ID", "Review", "SENTIMENT"))).train.labels == ("neg", "pos")


def test_the_text_is_the_only_long_column(write_csv: WriteCSV) -> None:
    rows = [(f"id{i}", label, text) for i, (text, label) in enumerate(sentences(20))]
    assert load_data(write_csv("a.csv", rows, ("key", "mood", "wording")), label="mood").train.labels == ("neg", "pos")


def test_named_columns(write_csv: WriteCSV) -> None:
    rows = [(text, "x", label) for text, label in sentences(20)]
    data = load_data(write_csv("a.csv", rows, ("Line", "label", "Mood")), text="line", label="mood")
    assert data.train.labels == ("neg", "pos")


def test_unknown_column_names_the_nearest(write_csv: WriteCSV) -> None:
    path = write_csv("a.csv", sentences(20), ("text", "sentiment"))
    with pytest.raises(UnknownName, match=r"label column 'sentimnt'.*Did you mean 'sentiment'.*a\.csv"):
        load_data(path, label="sentimnt")
    with pytest.raises(UnknownName, match=r"text column 'txt'.*Did you mean 'text'.*text, sentiment"):
        load_data(path, text="txt")


def test_text_that_cannot_be_decided(write_csv: WriteCSV) -> None:
    rows = [(text, text + " again", label) for text, label in sentences(20)]
    with pytest.raises(DataError, match=r"a\.csv is the text.*'left', 'right', 'label'.*several.*left, right.*text="):
        load_data(write_csv("a.csv", rows, ("left", "right", "label")))


def test_no_text_at_all(write_csv: WriteCSV) -> None:
    with pytest.raises(DataError, match="no column holds texts"):
        load_data(write_csv("a.csv", [(i, i % 2) for i in range(20)], ("size", "label")))


def test_label_that_cannot_be_decided(write_csv: WriteCSV) -> None:
    rows = [(text, label, i) for i, (text, label) in enumerate(sentences(20))]
    with pytest.raises(DataError, match=r"a\.csv is the label.*'text', 'mood', 'size'.*label="):
        load_data(write_csv("a.csv", rows, ("text", "mood", "size")))
    with pytest.raises(DataError, match=r"is the label\? It has the column 'text'"):
        load_data(write_csv("b.csv", [(text,) for text, _ in sentences(20)], ("text",)))


def test_one_column_for_both(write_csv: WriteCSV) -> None:
    with pytest.raises(DataError, match=r"'text' of a.csv cannot be both"):
        load_data(write_csv("a.csv", sentences(20)), text="text", label="Text")


def test_a_column_that_is_no_class(write_csv: WriteCSV) -> None:
    rows = [(text, i * 0.37) for i, (text, _) in enumerate(sentences(30))]
    with pytest.raises(DataError, match=r"30 different values in 30 rows.*not a class"):
        load_data(write_csv("a.csv", rows))


def test_ragged_csv_names_the_line(write_csv: WriteCSV) -> None:
    path = write_csv("a.csv", [*sentences(3), ("a text", "with a comma", "pos"), *sentences(3)])
    with pytest.raises(DataError, match=r"a\.csv line 5: 3 cells, but the header has 2.*quotation marks"):
        load_data(path)
    path.write_text('text,label\n"one\ntwo",pos\nthree\n')
    with pytest.raises(DataError, match="line 4: 1 cells"):
        load_data(path)


def test_an_open_quote_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\nfine,pos\n"never closed,neg\nmore,pos\n')
    with pytest.raises(DataError, match="line 3"):
        load_data(path)


def test_not_utf8_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\ncafé,pos\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"not UTF-8: byte 0xe9 at position 14 \(line 2\).*Save it as UTF-8"):
        load_data(path)


@pytest.mark.parametrize(("content", "message"), [
    ("", "is empty"), ("\n \n", "is empty"), ("text,label\n", "a header but no rows"),
    ("text,text\na,b\n", "two columns are called 'text'"), ("text,label\n,\n,\n", "no usable examples.*line 2"),
])
def test_empty_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        load_data(path)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.jsonl", '{"text": "x", "label": "a"}\n{"text": \n', "line 2 is not JSON"),
    ("a.jsonl", '["x"]\n', "line 1: each line must be an object"),
    ("a.json", '{"text": "x"}\n{"text": "y"}', r"not JSON.*name it \.jsonl"),
    ("a.json", '"x"', "expected a list of objects"),
    ("a.json", '{"text": ["x"], "label": []}', "different lengths"),
    ("a.parquet", "not parquet", "not a Parquet file"),
    ("a.xlsx", "x", "Save the sheet as CSV"),
    ("a.zip", "x", "Unpack it first"),
    ("a.txt", "x", r"not '\.txt'"),
])
def test_broken_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        load_data(tmp_path / name)


def test_json_lines_with_a_missing_key(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in sentences(20)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([*lines, "", json.dumps({"text": "no label here"})]))
    assert load_data(path).report.dropped == [("a.jsonl line 22", "no 'label'")]


def test_a_text_that_is_a_list() -> None:
    with pytest.raises(DataError, match="table row 0: column 'text' holds a list"):
        load_data(pd.DataFrame({"text": [["a"], ["b"]], "label": ["x", "y"]}))


def test_two_columns_of_one_name_in_a_frame() -> None:
    with pytest.raises(DataError, match="Two columns are called 'text'"):
        load_data(pd.DataFrame([["a", "b"]], columns=["text", "text"]))


def test_things_that_are_no_source() -> None:
    for wrong in ([("a", "b")], 7, {}):
        with pytest.raises(DataError, match="reads a name, a path, a pandas DataFrame"):
            load_data(wrong)
    for empty in (None, "", "  "):
        with pytest.raises(DataError, match="name a data set"):
            load_data(empty)
    with pytest.raises(DataError, match="table has no rows"):
        load_data(frame(0))


def test_frames_by_split() -> None:
    data = load_data({"train": frame(20), "Val": pd.DataFrame(sentences(6, 50), columns=["text", "label"])})
    assert len(data.valid) == 6
    with pytest.raises(UnknownName, match="Did you mean 'train'"):
        load_data({"trian": frame()})
