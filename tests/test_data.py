"""From what `--dataset` names to the records that are learnt from: files, folders, data sets of the Hub, splits."""

import contextlib
import gzip
import json
import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from hfcli.errors import DataError, HfcliError, ModelError, UsageError
from hfcli.events import Downloading, Note
from hfcli.options.reading import DataOptions
from hfcli.runtime import data
from hfcli.runtime.data import Split, hold_out

NAME = "acme/mail"
ROWS = [{"text": "A quiet, lovely film.", "label": "pos"}, {"text": 'She said "no".', "label": "neg"}]


@pytest.fixture
def load(tmp_path, monkeypatch):
    """`load(dataset, flag=..., offline=...)`: what a command gets; the notes are in `.said`, all events in `.events`."""
    monkeypatch.chdir(tmp_path)

    def call(dataset, *, offline=False, on_error="fail", seed=42, skip=False, **flags):
        events = []
        options = DataOptions(dataset=str(dataset), on_error="skip" if skip else "fail", **flags)
        found = data.load(options, offline=offline, tell=events.append, on_error=on_error, seed=seed)
        said = [event.text for event in events if isinstance(event, Note)]
        return SimpleNamespace(**vars(found), said=said, events=events)

    return call


@contextlib.contextmanager
def refused(kind, sentence, hint=""):
    with pytest.raises(HfcliError) as raised:
        yield
    assert (type(raised.value), raised.value.message) == (kind, sentence)
    assert hint in (raised.value.hint or "")


def write(path, content=ROWS):
    """A file in the format that its name says."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet":
        pyarrow.parquet.write_table(pa.Table.from_pylist(content), path)
        return path
    if isinstance(content, str):
        text = content
    elif kind == "json":
        text = json.dumps(content)
    elif kind in ("jsonl", "ndjson"):
        text = "".join(json.dumps(row) + "\n" for row in content)
    else:
        cell = (lambda value: value) if kind == "tsv" else (lambda value: '"' + value.replace('"', '""') + '"')
        lines = [content[0].keys(), *([cell(value) for value in row.values()] for row in content)]
        text = "".join(("\t" if kind == "tsv" else ",").join(line) + "\n" for line in lines)
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if path.name.endswith(".gz") else raw)
    return path


def rows(split):
    return split.records(range(len(split)), {name: name for name in split.columns})


# Files


@pytest.mark.parametrize(
    "suffix", ["csv", "tsv", "jsonl", "ndjson", "json", "parquet", "csv.gz", "tsv.gz", "jsonl.gz", "json.gz"]
)
def test_a_file_is_a_data_set_of_one_split(load, suffix):
    found = load(write(Path(f"my tickets.{suffix}")))
    assert (found.name, found.short, found.revision) == (f"my tickets.{suffix}", "my-tickets", None)
    assert found.splits == (found.train.name,) == (f"my tickets.{suffix}",)
    assert found.evaluation is None
    assert rows(found.train) == ROWS
    assert found.train.digest(["text", "label"]) == load(write(Path("same.csv"))).train.digest(["text", "label"])


def test_a_record_is_found_again_by_where_it_stands(load):
    write("a/x.csv", 'text,label\n"two\nlines",a\n\nthree,b\n')
    train = load("a/x.csv").train
    assert [train.where(i) for i in range(2)] == ["a/x.csv:2", "a/x.csv:5"]
    assert train.select([1]).where(0) == "a/x.csv:5"
    assert load(write("y.parquet")).train.where(1) == "y.parquet: row 2"


def test_cells_of_csv_stay_what_they_are(load):
    write("x.csv", "text,label\nNA,007\n, 1.0\nnull,true\n")
    train = load("x.csv").train
    assert train.values("text") == ["NA", "", "null"]
    assert train.values("label") == ["007", " 1.0", "true"]


def test_cells_of_json_keep_their_types_and_columns_come_from_all_records(load, monkeypatch):
    monkeypatch.setattr("hfcli.runtime.local_data._BLOCK_ROWS", 2)
    cells = [1, "1", True, 1.0, None, ["a", 2], {"b": None}, "\ud800é\u2028"]
    write("x.jsonl", [{}, {}, {}, *({"label": cell} for cell in cells), {"text": "last"}])
    train = load("x.jsonl").train
    assert train.columns == ("label", "text")
    values = train.values("label")
    assert [(type(value), value) for value in values[3:-1]] == [(type(cell), cell) for cell in cells]
    assert values[:3] == [None] * 3
    assert train.values("text") == [None] * 11 + ["last"]
    write("y.jsonl", [{"\ud800": 1}])
    assert load("y.jsonl").train.columns == ("\\ud800",)


def test_cells_of_parquet_are_plain(load):
    import datetime

    table = pa.table(
        {
            "day": [datetime.date(2026, 1, 2), None],
            "raw": [b"text", b"\xff\xd8"],
            "number": [float("nan"), 0.5],
            "labels": [[1, 0], []],
        }
    )
    pyarrow.parquet.write_table(table, "x.parquet")
    train = load("x.parquet").train
    assert train.values("day") == ["2026-01-02", None]
    assert train.values("raw") == ["text", b"\xff\xd8"]  # a picture is no text, and no reason to refuse its neighbours
    assert train.values("number") == [None, 0.5]
    assert train.values("labels") == [[1, 0], []]


def test_parquet_that_datasets_wrote_keeps_its_class_names(load):
    import datasets

    classes = datasets.ClassLabel(names=["no", "yes"])
    features = datasets.Features({"text": datasets.Value("string"), "label": classes, "tags": datasets.List(classes)})
    rows = {"text": ["a"], "label": [1], "tags": [[0, 1]]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet("x.parquet")
    assert load("x.parquet").train.class_names == {"label": ("no", "yes"), "tags": ("no", "yes")}


@contextlib.contextmanager
def standard_input(text):
    saved, (read, write) = os.dup(0), os.pipe()
    os.write(write, text.encode())
    os.close(write)
    os.dup2(read, 0)
    try:
        yield
    finally:
        os.dup2(saved, 0)
        os.close(read)
        os.close(saved)


def test_standard_input(load):
    with standard_input('{"text": "a", "label": 1}\n'):
        found = load("-")
    assert (found.name, found.short, found.train.where(0)) == ("standard input", "stdin", "standard input:1")
    assert rows(found.train) == [{"text": "a", "label": 1}]
    with standard_input("a,1\n"), refused(DataError, "standard input is lines of text, without labels", "JSON lines"):
        load("-")
    with refused(UsageError, "standard input can be read once, for --dataset or for --eval-dataset"):
        load("-", eval_dataset="-")


def test_files_that_are_no_data(load):
    write("x.txt", "some text\nmore\n")
    with refused(DataError, "x.txt is lines of text, without labels", "CSV, TSV, JSON, JSONL or Parquet"):
        load("x.txt")
    write("tickets.csv")
    with refused(DataError, "no file tikets.csv", "did you mean tickets.csv?"):
        load("tikets.csv")
    with refused(DataError, "no file ./ticket", "did you mean tickets.csv?"):
        load("./ticket")
    with refused(DataError, "no file data/x/y (there is no folder data/x)"):
        load("data/x/y")
    with refused(DataError, f"'{'x' * 40}'... is too long for a name"):
        load("x" * 300)
    write("empty.jsonl", "")
    with refused(DataError, "empty.jsonl is empty"):
        load("empty.jsonl")
    write("nothing.jsonl", "{}\n{}\n")
    with refused(DataError, "nothing.jsonl has no columns: its records are all {}"):
        load("nothing.jsonl")
    write("broken.parquet.csv").rename("broken.parquet")
    with refused(DataError, "broken.parquet is not Parquet or is damaged"):
        load("broken.parquet")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"train_split": "train"}, "--train-split train: x.csv is one file, without splits"),
        ({"eval_split": "dev"}, "--eval-split dev: x.csv is one file, without splits"),
        ({"eval_split": "dev", "eval_dataset": "x.csv"}, "--eval-split dev: x.csv is one file, without splits"),
        ({"subset": "rte"}, "--subset is about data sets of the Hub, x.csv is a file"),
        ({"dataset_revision": "v1"}, "--dataset-revision is about the Hub, x.csv is a file"),
    ],
)
def test_flags_that_a_file_has_no_use_for(load, flags, sentence):
    write("x.csv")
    with refused(UsageError, sentence):
        load("x.csv", **flags)


# Lines that cannot be read

RAGGED = "text,label\na,1\nb\nc,2\nd,3,4\n"


def test_the_first_bad_line_ends_it_and_says_how_to_go_on(load):
    write("x.csv", RAGGED)
    with refused(DataError, "x.csv:3 has 1 field instead of 2", "--on-error skip leaves such records out"):
        load("x.csv")
    Path("y.csv").write_bytes(b"text,label\n\xe9t\xe9,1\n")
    mend = "iconv -f latin1 -t utf-8 < y.csv > y.utf8.csv\n--on-error skip leaves such records out"
    with refused(DataError, "y.csv:2 is not UTF-8 (byte 0xe9, column 1)", mend):
        load("y.csv")


def test_bad_lines_are_left_out_and_counted(load):
    write("x.csv", RAGGED)
    found = load("x.csv", skip=True)
    assert rows(found.train) == [{"text": "a", "label": "1"}, {"text": "c", "label": "2"}]
    assert [found.train.where(i) for i in range(2)] == ["x.csv:2", "x.csv:4"]
    assert found.said == ["2 lines of x.csv cannot be read and were left out; hfcli data check x.csv lists them"]
    write("y.jsonl", '{"text": "a"}\n{"text\n')
    assert load("y.jsonl", skip=True).said[0].startswith("1 line of y.jsonl cannot be read and was left out")


def test_bad_lines_are_kept_for_the_check(load):
    write("x.csv", RAGGED)
    found = load("x.csv", on_error="collect")
    assert [error.message for error in found.train.bad] == [
        "x.csv:3 has 1 field instead of 2",
        "x.csv:5 has 3 fields instead of 2",
    ]
    assert (len(found.train), found.said) == (2, [])
    write("y.csv", "text,label\na\n")
    with refused(DataError, "y.csv:2 has 1 field instead of 2"):
        load("y.csv", on_error="collect")


# Folders


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("train.csv", "train"),
        ("validation.jsonl", "validation"),
        ("dev.tsv.gz", "dev"),
        ("test.parquet", "test"),
        ("train-00000-of-00002.parquet", "train"),
        ("validation_matched-00000-of-00001.parquet", "validation_matched"),
        ("tickets_dev.json", "dev"),
        ("train_3.csv", "train"),
        ("my-test-set.csv", "test"),
        ("training.csv", "train"),
        ("train/part.csv", "train"),
        ("data/rte/test/0000.parquet", "test"),
        ("contest.csv", None),
        (".hidden/train.csv", None),
    ],
)
def test_files_of_a_folder_are_splits_by_their_names(load, file, split):
    write(f"d/{file}")
    write("d/eval.csv")
    assert load("d", train_split="eval").splits == tuple(
        sorted({"eval", split} - {None}, key=lambda name: (name != "train", name))
    )


def test_a_folder_of_files(load):
    write("my data/train_0.csv", "text,label\na,1\n")
    write("my data/train_1.csv", "text,label\nb,2\nc,3\n")
    write("my data/dev.jsonl", [{"text": "d", "label": 4}])
    write("my data/names.csv")
    write("my data/dataset_info.json", "{}")
    found = load("my data")
    assert (found.name, found.short, found.splits) == ("my data", "my-data", ("train", "dev"))
    assert found.train.values("text") == ["a", "b", "c"]
    assert [found.train.where(i) for i in range(3)] == [
        "my data/train_0.csv:2",
        "my data/train_1.csv:2",
        "my data/train_1.csv:3",
    ]
    assert (found.evaluation.name, found.evaluation.values("label")) == ("dev", [4])
    assert found.said == ["of my data is not used, since no split is in the name: names.csv"]


def test_shards_in_several_formats_are_one_split(load):
    write("d/train_0.csv", "text,label\na,1\n")
    write("d/train_1.jsonl", [{"text": "b", "label": 1}])
    write("d/train_2.parquet", [{"text": "c", "label": 1.5}])
    train = load("d").train
    assert train.values("label") == ["1", 1, 1.5]
    assert [train.where(i) for i in range(3)] == ["d/train_0.csv:2", "d/train_1.jsonl:1", "d/train_2.parquet: row 1"]


def test_files_without_a_split_in_their_names_are_learnt_from(load):
    write("d/a.jsonl", [{"text": "a"}])
    write("d/b.jsonl", [{"text": "b"}])
    found = load("d")
    assert (found.splits, found.train.values("text"), found.said) == (("train",), ["a", "b"], [])


def test_shards_of_parquet_must_fit(load):
    write("d/train-0.parquet", [{"label": 1}])
    write("d/train-1.parquet", [{"label": 2.5, "text": "b"}])
    assert rows(load("d").train) == [{"label": 1.0, "text": None}, {"label": 2.5, "text": "b"}]
    write("d/train-2.parquet", [{"label": "x"}])
    with pytest.raises(DataError, match=r"^the files of train have columns of different types"):
        load("d")


def test_folders_that_hold_no_data(load, models):
    Path("empty").mkdir()
    with refused(DataError, "empty holds no data files (found nothing)", "train.csv"):
        load("empty")
    Path("d").mkdir()
    Path("d/model.safetensors").touch()
    write("d/config.json", "{}")
    with refused(DataError, "d holds no data files (found config.json, model.safetensors)"):
        load("d")
    with refused(UsageError, "--subset is about data sets of the Hub, d is a folder"):
        load("d", subset="rte")


def test_folders_of_save_to_disk(load):
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["n", "p"])})
    whole = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 1]}, features=features)
    whole.save_to_disk("one")
    datasets.DatasetDict({"train": whole, "validation": whole.select([2, 0])}).save_to_disk("several")
    one, several = load("one"), load("several")
    assert (one.splits, one.train.where(1), one.train.class_names) == (
        ("train",),
        "one train row 2",
        {"label": ("n", "p")},
    )
    assert several.evaluation.values("text") == ["c", "a"]
    with refused(UsageError, "--subset is about data sets of the Hub, one is a folder"):
        load("one", subset="rte")
    shutil.rmtree("several/validation")
    with pytest.raises(DataError, match=r"^several cannot be read"):
        load("several")


def test_a_data_set_with_its_rows_in_another_order(load, monkeypatch):
    import datasets

    whole = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 2]})
    whole.save_to_disk("d")
    monkeypatch.setattr(datasets, "load_from_disk", lambda path: whole.select([2, 0]))
    train = load("d").train
    assert (train.values("text"), train.where(0), len(train)) == (["c", "a"], "d train row 3", 2)


CARD = """---
license: mit
configs:
- config_name: short
  data_files:
  - split: train
    path: files/a-*
  - split: validation
    path: files/b-*
- config_name: long
  data_files: files/c.csv
---
"""


def card_folder(folder):
    for letter in "ab":
        write(folder / "files" / f"{letter}-0.csv", f"text,label\n{letter},1\n")
    write(folder / "files" / "c.csv", "text,label\nNA,None\n,2\n")
    (folder / "README.md").write_text(CARD)
    return folder


def test_a_folder_with_a_card_is_read_as_on_the_hub(load, tmp_path):
    card_folder(tmp_path / "d")
    found = load("d", subset="short")
    assert (found.name, found.short, found.splits) == ("d short", "d-short", ("train", "validation"))
    assert (found.train.values("text"), found.evaluation.where(0)) == (["a"], "d short validation row 1")
    assert load("d", subset="long").train.values("text") == ["NA", None]
    with refused(DataError, "d has several subsets: short, long", "--subset short"):
        load("d")
    with refused(DataError, "d has no subset shor; there is short, long", "did you mean short?"):
        load("d", subset="shor")


# Which split is what


def splits(*names):
    for name in names:
        write(f"d/{name}.csv", f"text,label\n{name},1\n")


@pytest.mark.parametrize(
    ("there", "flags", "train", "evaluation"),
    [
        (["train", "test"], {}, "train", None),
        (["train", "dev", "validation", "test"], {}, "train", "validation"),
        (["train", "dev", "valid"], {}, "train", "valid"),
        (["train", "dev", "test"], {}, "train", "dev"),
        (["train", "validation_mismatched", "validation_matched"], {}, "train", "validation_matched"),
        (["train", "val", "test"], {"eval_split": "test"}, "train", "test"),
        (["train", "test"], {"train_split": "test"}, "test", None),
        (["test"], {}, "test", None),
        (["validation"], {}, "validation", None),
        (["test", "dev"], {"train_split": "dev", "eval_split": "test"}, "dev", "test"),
    ],
)
def test_splits_are_chosen_and_test_only_when_asked_for(load, there, flags, train, evaluation):
    splits(*there)
    found = load("d", **flags)
    assert found.train.name == train
    assert (found.evaluation and found.evaluation.name) == evaluation


def test_splits_that_are_not_there(load):
    splits("test", "dev")
    with refused(DataError, "d has no split train; there is dev, test", "--train-split dev"):
        load("d")
    with refused(DataError, "d has no split tset; there is dev, test", "did you mean test?"):
        load("d", train_split="tset")
    with refused(DataError, "d has no split validation; there is dev, test", "--eval-split dev"):
        load("d", train_split="test", eval_split="validation")
    with refused(UsageError, "--eval-split dev is what is learnt from", "10% are held out"):
        load("d", train_split="dev", eval_split="dev")


def test_another_data_set_to_measure_on(load):
    splits("train", "validation", "test")
    write("x.csv")
    assert load("x.csv", eval_dataset="d").evaluation.name == "test"
    assert load("x.csv", eval_dataset="d", eval_split="train").evaluation.name == "train"
    found = load("d", eval_dataset="x.csv")
    assert (found.evaluation.name, found.evaluation.source, found.evaluation.where(1)) == ("x.csv", "x.csv", "x.csv:3")
    os.rename("d/test.csv", "d/validation_mismatched.csv")
    assert load("x.csv", eval_dataset="d").evaluation.name == "validation"
    with refused(DataError, "no file y.csv", "did you mean x.csv?"):
        load("x.csv", eval_dataset="y.csv")


def test_fewer_records_are_drawn_at_random_by_the_seed(load):
    write("d/train.jsonl", [{"text": str(i)} for i in range(100)])
    write("d/dev.jsonl", [{"text": str(i)} for i in range(30)])
    found = load("d", max_train_samples=10, max_eval_samples=5)
    texts = found.train.values("text")
    assert (len(found.train), len(found.evaluation)) == (10, 5)
    assert texts == sorted(texts, key=int) != [str(i) for i in range(10)]
    assert found.train.where(0) == f"d/train.jsonl:{int(texts[0]) + 1}"
    assert load("d", max_train_samples=10).train.values("text") == texts
    assert load("d", max_train_samples=10, seed=43).train.values("text") != texts
    assert len(load("d", max_train_samples=1000).train) == 100


# A split


def test_records_are_picked_from_all_chunks_in_the_order_asked_for():
    chunks = [pa.table({"text": pa.array([f"{c}{i}" for i in range(c)], pa.string())}) for c in (3, 0, 1, 4)]
    split = Split("train", pa.concat_tables(chunks))
    whole = split.values("text")
    order = [7, 0, 3, 3, 5, 1]
    assert split.records(order, {"a": "text", "b": None}) == [{"a": whole[i]} for i in order]
    part = split.select(order)
    assert (part.values("text"), len(part)) == ([whole[i] for i in order], 6)
    assert part.select([5, 0]).values("text") == [whole[1], whole[7]]
    assert part.digest(["text"]) == Split("x", pa.table({"text": part.values("text")})).digest(["text"])
    assert part.digest(["text"]) != split.digest(["text"])
    with refused(DataError, "train has no column txt; it has text", "did you mean text?"):
        split.values("txt")


def test_a_sample_is_spread_over_data_that_are_sorted():
    split = Split("train", pa.table({"label": [0] * 5000 + [1] * 5000}))
    assert sorted(set(split.sample("label", 100))) == [0, 1]
    assert len(split.sample("label", 100)) == 100
    assert len(split.select(range(50)).sample("label", 100)) == 50


# Holding out


def classes(*counts):
    return [f"c{i}" for i, count in enumerate(counts) for _ in range(count)]


def test_of_every_class_as_large_a_share_is_held_out():
    keys = classes(905, 72, 23)
    train, held = hold_out(keys, 1000, 0.1, 42)
    assert len(held) == 100
    assert sorted([*train, *held]) == list(range(1000))
    assert list(held) == sorted(held)
    assert [sum(keys[i] == f"c{k}" for i in held) for k in range(3)] == [91, 7, 2]
    assert np.array_equal(held, hold_out(keys, 1000, 0.1, 42)[1])
    assert not np.array_equal(held, hold_out(keys, 1000, 0.1, 43)[1])


@pytest.mark.parametrize("counts", [(1, 1, 98), (2, 3, 5), (1, 1, 1, 7), (30,), (1, 2)])
@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_something_of_every_class_is_learnt_from(counts, fraction):
    keys = classes(*counts)
    train, held = hold_out(keys, len(keys), fraction, 0)
    assert len(held) in {max(1, round(len(keys) * fraction)), len(keys) - len(counts)}
    assert {keys[i] for i in train} == set(keys)


def test_classes_that_are_all_different_do_not_prevent_it():
    train, held = hold_out(range(50), 50, 0.1, 0)
    assert (len(train), len(held)) == (45, 5)
    assert [len(part) for part in hold_out(None, 1, 0.1, 0)] == [1, 0]


def test_equal_texts_stay_on_one_side():
    texts = [f"t{i % 300}" for i in range(1000)]
    keys = ["a" if i % 300 < 100 else "b" for i in range(1000)]
    keys[:50] = ["b"] * 50  # t0 to t49 are of both classes: nothing to measure on
    train, held = hold_out(keys, 1000, 0.1, 7, groups=texts)
    assert not {texts[i] for i in train} & {texts[i] for i in held}
    assert 90 <= len(held) <= 100
    assert not {texts[i] for i in held} & set(texts[:50])


# The Hub


@pytest.fixture
def cache(tmp_path, monkeypatch, hub):
    """An empty cache, and a Hub with nothing on it."""
    import datasets
    from huggingface_hub import constants

    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    yield folder
    shutil.rmtree(hub.data_root)
    hub.data_root.mkdir()


@pytest.fixture
def repo(tmp_path, cache, hub):
    """A data set that is published as acme/mail and may be changed: Parquet with class names, as on the Hub."""
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["ham", "spam"])}
    )
    folder = tmp_path / "repo"
    for split, count in (("train", 40), ("test", 20)):
        content = {"text": [f"{split} {i}" for i in range(count)], "label": [i % 2 for i in range(count)]}
        made = datasets.Dataset.from_dict(content, features=features)
        (folder / "data").mkdir(parents=True, exist_ok=True)
        made.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text("---\nlicense: mit\n---\nMail.\n")
    hub.add(NAME, folder, data=True)
    return folder


def test_a_data_set_is_fetched_once_and_then_works_without_the_hub(load, hub, repo, capfd):
    first = load(NAME)
    commit = hub.commit(repo)
    assert (first.name, first.short, first.revision, first.splits) == (NAME, "mail", commit, ("train", "test"))
    assert (first.train.values("text")[3], first.train.class_names) == ("train 3", {"label": ("ham", "spam")})
    assert first.train.where(3) == f"{NAME} train row 4"
    assert first.evaluation is None
    sizes = sum(path.stat().st_size for path in repo.glob("data/*"))
    assert first.events[-1] == Downloading(NAME, sizes, sizes)
    assert first.said == []
    hub.requests.clear()
    hub.api_status = hub.status = 503
    for offline in (False, True):
        again = load(NAME, offline=offline, eval_split="test")
        assert (again.train.digest(["text", "label"]), again.events) == (first.train.digest(["text", "label"]), [])
        assert len(again.evaluation) == 20
    assert hub.requests == []
    assert capfd.readouterr() == ("", "")


def test_the_hub_s_tables_are_not_read_into_memory(load, hub, repo):
    before = pa.total_allocated_bytes()
    train = load(NAME).train
    assert pa.total_allocated_bytes() - before < 100 < train.table.nbytes


def test_a_short_name_is_resolved_and_said_also_later(load, hub, repo):
    hub.aliases = {"mail": NAME}
    assert load("mail").said == [f"mail is {NAME} on the Hub"]
    hub.requests.clear()
    later = load("mail", offline=True)
    assert (later.name, later.said) == (NAME, [f"mail is {NAME} on the Hub"])
    assert load(NAME).said == []
    assert hub.requests == []


def test_only_the_files_of_a_subset_are_fetched(load, hub, cache, tmp_path):
    hub.add("acme/two", card_folder(tmp_path / "two"), data=True)
    with refused(DataError, "acme/two has several subsets: short, long", "--subset short"):
        load("acme/two")
    with refused(DataError, "acme/two has no subset lng; there is short, long", "did you mean long?"):
        load("acme/two", subset="lng")
    found = load("acme/two", subset="long")
    assert (found.name, found.short) == ("acme/two long", "two-long")
    assert (found.train.source, found.train.subset, found.train.revision) == ("acme/two", "long", found.revision)
    assert found.train.where(0) == "acme/two long train row 1"
    names = [line.rsplit("/", 1)[-1] for line in hub.requests if line.startswith("GET") and "/resolve/" in line]
    assert sorted(names) == ["README.md", "c.csv"]
    hub.requests.clear()
    assert load("acme/two", subset="long", offline=True).train.values("label") == ["None", "2"]
    with refused(
        ModelError,
        "acme/two is only partly on this machine and --offline forbids to fetch it",
        "without it the rest is fetched: 1 of 3 files are kept",
    ):
        load("acme/two", subset="short", offline=True)
    with refused(DataError, "acme/two has several subsets: short, long"):
        load("acme/two", offline=True)
    assert hub.requests == []
    assert load("acme/two", subset="short").evaluation.values("text") == ["b"]


def test_labels_of_csv_on_the_hub_stay_what_they_are(load, hub, cache, tmp_path):
    """pandas, which `datasets` reads CSV with, takes NA, None and null for missing."""
    write(tmp_path / "r" / "train.csv", "text,country\na,NA\nNone,DE\n,FR\n")
    hub.add("acme/countries", tmp_path / "r", data=True)
    train = load("acme/countries").train
    assert (train.values("country"), train.values("text")) == (["NA", "DE", "FR"], ["a", "None", None])


def test_class_names_of_a_card_are_used(load, hub, cache, tmp_path):
    write(tmp_path / "r" / "train.csv", "text,label\na,1\nb,0\n")
    (tmp_path / "r" / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n    dtype:\n"
        "      class_label:\n        names:\n          '0': ham\n          '1': spam\n---\n"
    )
    hub.add("acme/card", tmp_path / "r", data=True)
    assert load("acme/card").train.class_names == {"label": ("ham", "spam")}


def test_revisions_are_pinned_and_cached_apart(load, hub, repo, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(repo, other)
    (other / "data" / "test-00000-of-00001.parquet").unlink()
    hub.revisions = {NAME: {"v1": other}}
    assert load(NAME).splits == ("train", "test")
    old = load(NAME, dataset_revision="v1")
    assert (old.splits, old.revision) == (("train",), hub.commit(other))
    shutil.rmtree(repo / "data")
    write(repo / "train.jsonl", [{"text": "new"}])
    hub.requests.clear()
    for revision in ("v1", hub.commit(other), None):
        assert len(load(NAME, dataset_revision=revision, offline=True).train) == 40
    assert hub.requests == []
    assert load(NAME, dataset_revision=hub.commit(repo)).train.values("text") == ["new"]
    with refused(ModelError, f"{NAME} has no revision v2", f"/datasets/{NAME}/tree/main"):
        load(NAME, dataset_revision="v2")
    with refused(DataError, "'../x' cannot be a revision"):
        load(NAME, dataset_revision="../x")


def test_what_another_program_has_fetched_is_used_offline_when_it_is_whole(load, hub, repo, cache):
    folder = cache / "datasets--acme--mail"
    shutil.copytree(repo, folder / "snapshots" / ("0" * 40))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)
    assert len(load(NAME, offline=True).train) == 40
    assert hub.requests == []
    train = next(folder.glob("snapshots/*/data/train*"))
    train.rename(train.with_name("train-00000-of-00002.parquet"))
    with refused(ModelError, f"{NAME} is not on this machine and --offline forbids to fetch it"):
        load(NAME, offline=True)
    assert load(NAME).revision == hub.commit(repo)


def test_a_torn_snapshot_is_completed_and_not_read(load, hub, repo, cache):
    whole = load(NAME).train.digest(["text"])
    blob = next(cache.glob("*/snapshots/*/data/train*")).resolve()
    os.truncate(blob, 100)
    with refused(
        ModelError, f"{NAME} is only partly on this machine and --offline forbids to fetch it", "2 of 3 files"
    ):
        load(NAME, offline=True)
    assert load(NAME).train.digest(["text"]) == whole


def test_names_that_are_nowhere(load, hub, repo):
    with refused(ModelError, "no data set acme/mial on the Hub", f"did you mean {NAME} ?"):
        load("acme/mial")
    with refused(ModelError, "no data set other/zzzz on the Hub", "if it is private: hf auth login"):
        load("other/zzzz")
    with refused(DataError, "'a b' is neither a file, a folder nor a name on the Hub"):
        load("a b")
    load(NAME)
    with refused(ModelError, "mail is not on this machine and --offline forbids to fetch it", f"did you mean {NAME} ?"):
        load("mail", offline=True)


def test_without_the_hub_the_hint_says_how_to_carry_the_files(load, hub, cache, monkeypatch):
    carry = (
        f"where there is internet: hf download {NAME} --repo-type dataset --local-dir mail,\n"
        "copy the folder here, then use --dataset ./mail"
    )
    with refused(ModelError, f"{NAME} is not on this machine and --offline forbids to fetch it", carry):
        load(NAME, offline=True)
    assert hub.requests == []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://{nobody}")
    with refused(
        ModelError, f"{NAME} is not on this machine and {nobody} cannot be reached (connection refused)", carry
    ):
        load(NAME)


def test_a_folder_that_was_carried_here_works(load, hub, repo, tmp_path):
    shutil.copytree(repo, tmp_path / "mail")
    found = load("./mail", offline=True)
    assert (found.splits, len(found.train), found.train.class_names) == (
        ("train", "test"),
        40,
        {"label": ("ham", "spam")},
    )
    assert hub.requests == []


@pytest.mark.parametrize("where", ["api_status", "status"])
@pytest.mark.parametrize(("status", "words"), [(429, "too many requests"), (503, "unavailable")])
def test_a_hub_that_is_not_well(load, hub, repo, where, status, words, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between huggingface_hub's tries
    setattr(hub, where, status)
    with refused(ModelError, f"{hub.address[7:]} answered {status} ({words})", "run it again later"):
        load(NAME)


def test_a_connection_that_breaks_keeps_what_came(load, hub, repo, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.drop_after, hub.drops, hub.ranges = 900, 99, False
    with pytest.raises(ModelError, match=r"broke off \(it was cut\)") as raised:
        load(NAME)
    assert "1 of 3 files are kept and will not be fetched twice" in raised.value.hint
    hub.drop_after = 0
    assert len(load(NAME).train) == 40


def test_gated(load, hub, repo, monkeypatch):
    hub.gated = {NAME}
    with refused(
        ModelError, f"{NAME} is gated and this machine has no token", f"/datasets/{NAME}, then: hf auth login"
    ):
        load(NAME)


def test_a_login_page_in_between(load, hub, repo):
    hub.html = True
    with refused(ModelError, f"{hub.address[7:]} does not answer as a Hub does (not the JSON it should be)"):
        load(NAME)


def test_a_data_set_that_is_made_by_a_script(load, hub, cache, tmp_path):
    write(tmp_path / "old" / "mail.py", "import datasets")
    write(tmp_path / "old" / "raw.jsonl", [{"text": "of train and test"}])
    converted = tmp_path / "converted"
    for subset in ("en", "fr"):
        for split in ("train", "partial-test"):
            write(converted / subset / split / "0000.parquet", [{"text": subset}])
    hub.add(NAME, tmp_path / "old", data=True)
    hub.revisions = {NAME: {"refs/convert/parquet": converted}}
    hint = "--dataset-revision refs/convert/parquet"
    (converted / "README.md").write_text("made by the Hub")
    with refused(DataError, f"{NAME} is made by a Python script, which is not run", hint):
        load(NAME)
    with refused(DataError, f"{NAME} has several subsets: en, fr"):
        load(NAME, dataset_revision="refs/convert/parquet")
    found = load(NAME, dataset_revision="refs/convert/parquet", subset="fr")
    assert (found.splits, found.train.values("text")) == (("test", "train"), ["fr"])
    card = "---\nconfigs:\n- config_name: default\n  data_files: raw.jsonl\n---\n"
    (tmp_path / "old" / "README.md").write_text(card)
    assert load(NAME).train.values("text") == ["of train and test"]


@pytest.mark.parametrize(
    ("files", "holds"),
    [
        (["a.jpg", "b/c.jpg", "d.png"], "it holds .jpg, .png files"),
        (["train.zip"], "it holds .zip files"),
        (["README.md"], "it holds no data files"),
    ],
)
def test_data_sets_that_are_no_tables(load, hub, cache, tmp_path, files, holds):
    for name in files:
        write(tmp_path / "r" / name, "x")
    hub.add("acme/pictures", tmp_path / "r", data=True)
    with refused(DataError, f"acme/pictures is not a table of texts: {holds}"):
        load("acme/pictures")
    assert not any("/resolve/" in line and "README" not in line for line in hub.requests)


def test_a_card_cannot_name_files_outside_of_its_data_set(load, hub, repo, tmp_path):
    write(tmp_path / "secret.csv")
    (repo / "README.md").write_text(f"---\nconfigs:\n- config_name: a\n  data_files: {tmp_path}/secret.csv\n---\n")
    with refused(DataError, f"{NAME} wants a file that is not part of it ({tmp_path}/secret.csv)"):
        load(NAME)


def test_packed_files_of_the_hub(load, hub, cache, tmp_path):
    write(tmp_path / "r" / "train.jsonl.gz")
    write(tmp_path / "r" / "test.jsonl.gz")
    hub.add("acme/packed", tmp_path / "r", data=True)
    assert rows(load("acme/packed").train) == ROWS


def test_a_card_that_is_broken(load, hub, repo):
    (repo / "README.md").write_text("---\nconfigs:\n- config_name: a\n  data_files: nothing-*\n---\n")
    with refused(DataError, f"{NAME} cannot be read (No (supported) data files found)"):
        load(NAME)
    shutil.rmtree(Path("cache"))
    (repo / "README.md").write_text("---\nconfigs: [\n---\n")
    with pytest.raises(DataError, match=f"^{NAME} cannot be read"):
        load(NAME)


def test_a_disk_that_fills_up_while_it_is_converted(load, hub, repo, monkeypatch):
    import errno

    import datasets

    def full(*args, **kwargs):
        raise datasets.exceptions.DatasetGenerationError("x") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(datasets.DatasetBuilder, "download_and_prepare", full)
    arrow = datasets.config.HF_DATASETS_CACHE
    with refused(ModelError, f"{NAME} cannot be kept in {arrow} (no space left on device)", "HF_DATASETS_CACHE=FOLDER"):
        load(NAME)


def test_the_subset_is_that_of_the_other_data_set_too_where_it_has_it(load, hub, repo, cache, tmp_path):
    hub.add("acme/two", card_folder(tmp_path / "two"), data=True)
    assert load("acme/two", subset="short", eval_dataset=NAME).evaluation.where(0) == f"{NAME} test row 1"
    write("x.csv")
    assert load("acme/two", subset="short", eval_dataset="x.csv").evaluation.name == "x.csv"
    shutil.copytree(tmp_path / "two", tmp_path / "three")
    hub.add("acme/three", tmp_path / "three", data=True)
    assert load("acme/two", subset="short", eval_dataset="acme/three").evaluation.source == "acme/three"
