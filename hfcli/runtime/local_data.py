"""Data sets from files of this machine: CSV, TSV, JSON, JSON lines and Parquet, and folders of them."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from hfcli import records
from hfcli.errors import DataError
from hfcli.events import Note, Tell
from hfcli.records._input import where_nothing_goes_on
from hfcli.runtime.splits import Split, class_names

OnError = Literal["fail", "stop", "skip", "collect"]
"""A line that cannot be read: its error, with a hint at --on-error; its error; left out; kept for a report."""
_SUFFIX = re.compile(r"\.(csv|tsv|jsonl|ndjson|json|parquet)(\.gz)?$", re.IGNORECASE)
_SPLIT_WORDS = "train training validation valid val dev eval evaluation test testing".split()
_NOT_DATA = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json")
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode
_BLOCK_ROWS, _BLOCK_CHARACTERS = 8192, 1 << 25
_LEAVES_OUT = "--on-error skip leaves such records out"
_FORMATS = "labels need columns: CSV, TSV, JSON, JSONL or Parquet"


def is_data_file(path: str | Path) -> bool:
    """Whether a file's name is that of a format with columns."""
    return _SUFFIX.search(str(path)) is not None


def stem(name: str) -> str:
    """A file's name without what says its format."""
    return _SUFFIX.sub("", name)


def split_files(folder: Path, tell: Tell) -> dict[str, list[Path]]:
    """The data files of a folder by the split that their names (else those of their folders) say.

    Where no name says one, all files are "train"; where some do, the others are left out.

    Raises:
        DataError: There is no data file.
    """
    found: dict[str, list[Path]] = {}
    rest = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.name in _NOT_DATA or any(part[0] == "." for part in inside.parts) or not is_data_file(path):
            continue
        split = next(filter(None, map(_split_of, (stem(path.name), *reversed(inside.parts[:-1])))), None)
        if path.is_file():
            found.setdefault(split, []).append(path) if split else rest.append(path)
    if found and rest:
        names = ", ".join(str(path.relative_to(folder)) for path in rest[:3]) + ", ..." * (len(rest) > 3)
        tell(Note(f"of {folder} is not used, since no split is in the name: {names}"))
    if not found and not rest:
        there = ", ".join(sorted(entry.name for entry in folder.iterdir())[:4]) or "nothing"
        raise DataError(
            f"{folder} holds no data files (found {there})", "train.csv, validation.jsonl, test.parquet ..."
        )
    return dict(sorted(found.items(), key=lambda item: (item[0] != "train", item[0]))) or {"train": rest}


def _split_of(name: str) -> str | None:
    """`validation_matched` for validation_matched-00000-of-00002, `dev` for tickets_dev, None for tickets."""
    words = re.split(r"[-_. ]+", re.sub(r"-\d+-of-\d+$", "", name.lower()))
    start = next((i for i, word in enumerate(words) if word in _SPLIT_WORDS), None)
    if start is None:
        return None
    words = words[start:]
    while words[-1].isdecimal() or words[-1] in ("set", "data", "split"):  # train_0 and train_1 are shards
        words.pop()
    return {"training": "train", "testing": "test"}.get(words[0], "_".join(words))


def read(paths: list[str], name: str, source: str, on_error: OnError, tell: Tell) -> Split:
    """Read files as one split.

    Args:
        paths: Files, or "-" for standard input.
        name: Of the split.
        source: Of the data set; of a single file the same.
        on_error: What a line does that cannot be read: end it, be left out, or be left out and not spoken of.
        tell: Gets a Note about lines that were left out.

    Raises:
        DataError: A file is not there, cannot be read, or has no columns.
    """
    formats = {path.lower().removesuffix(".gz").rpartition(".")[2] for path in paths}
    split = _parquet(paths, name) if formats == {"parquet"} else _lines(paths, name, on_error, len(formats) > 1)
    split = replace(split, source=source)
    if split.bad and on_error == "skip":
        many = f"{len(split.bad):,} lines of {split.title} cannot be read and were" if len(split.bad) > 1 else ""
        one = f"1 line of {split.title} cannot be read and was"
        tell(Note(f"{many or one} left out; hfcli data check {paths[0]} lists them"))
    return split


def _lines(paths: list[str], name: str, on_error: OnError, mixed: bool) -> Split:
    table = _Growing(coded=mixed)
    origins: list[tuple[int, str]] = []
    lines: list[int] = []
    bad: list[DataError] = []
    for path in paths:
        with records.read(path, on_error="record") as source:
            for row in source:
                if source.format == "text":
                    hint = f"{_FORMATS}; on standard input JSON lines" if path == "-" else _FORMATS
                    raise DataError(f"{source.name} is lines of text, without labels", hint)
                if row.record is None:
                    assert row.error is not None
                    if on_error in ("fail", "stop"):
                        raise _hinted(row.error, skip=on_error == "fail")
                    bad.append(row.error)
                    continue
                before = row.where.rstrip("0123456789")
                if not origins or origins[-1][1] != before:
                    origins.append((len(lines), before))
                lines.append(int(row.where[len(before) :]))
                table.add(row.record, source.format)
    if not lines:
        raise _hinted(bad[0], skip=False)
    if not table.columns:
        raise DataError(f"{name} has no columns: its records are all {{}}")
    return Split(name, table.finish(), np.array(lines), bad, origins=tuple(origins), coded=table.coded)


def _hinted(error: DataError, *, skip: bool = True) -> DataError:
    """The error of a line, with how to go on; what repairs the file is said first."""
    plain = where_nothing_goes_on(error)
    hints = [*([plain.hint] if plain.hint else []), *([_LEAVES_OUT] if skip else [])]
    plain.hint = "\n".join(hints) or None
    return plain


class _Growing:
    """A table of strings that grows by records: a Python object for every cell would take several times as much."""

    def __init__(self, coded: bool) -> None:
        self.coded = coded
        self._tables: list[pa.Table] = []
        self.columns: dict[str, None] = {}
        self._block: list[Mapping[str, str | bytes]] = []
        self._characters = 0

    def add(self, record: Mapping[str, Any], format: str) -> None:
        if not self.columns and format not in ("csv", "tsv"):
            self.coded = True
        cells: Mapping[str, str | bytes] = record
        if self.coded:
            cells = {name: _json(cell) for name, cell in record.items()}
        self.columns.update(dict.fromkeys(cells))
        self._block.append(cells)
        self._characters += sum(map(len, cells.values()))
        if self.columns and (len(self._block) >= _BLOCK_ROWS or self._characters >= _BLOCK_CHARACTERS):
            self._flush()

    def _flush(self) -> None:
        columns = {
            name.encode("utf-8", "backslashreplace").decode(): pa.array(
                [cells.get(name) for cells in self._block], pa.string()
            )
            for name in self.columns
        }
        self._tables.append(pa.table(columns))
        self._block, self._characters = [], 0

    def finish(self) -> pa.Table:
        if self._block:
            self._flush()
        return pa.concat_tables(self._tables, promote_options="default")


def _json(cell: Any) -> bytes:
    """JSON text in UTF-8, which has no lone surrogates: they are written as JSON's own escapes."""
    return _ENCODE(cell).encode("utf-8", "backslashreplace")


def _parquet(paths: list[str], name: str) -> Split:
    tables, origins, rows = [], [], 0
    features: dict[str, Any] = {}
    for path in paths:
        with records.read(path, on_error="record") as source:
            next(iter(source))  # for its sentences about what is not there, not Parquet or empty
        try:
            table = pyarrow.parquet.read_table(path, memory_map=True, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path} is not Parquet or is damaged") from error
        features |= _features(table.schema.metadata or {})
        origins.append((rows, f"{path}: row "))
        rows += len(table)
        tables.append(table.replace_schema_metadata(None))
    try:
        whole = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"the files of {name} have columns of different types ({error})") from error
    return Split(name, whole, class_names=class_names(features), origins=tuple(origins))


def _features(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The types of a data set's columns that `datasets` stores with them."""
    try:
        return dict(json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"])
    except (ValueError, KeyError, TypeError):
        return {}


def has_hub_card(folder: Path) -> bool:
    """Whether a README.md says, as on the Hub, which files are which configuration and split."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    head = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    return head is not None and re.search(r"^(configs|dataset_info):", head[1], re.MULTILINE) is not None
