"""Scores by group: numbers, gaps and their intervals, and how they look."""

import json
from pathlib import Path

import numpy as np
import pytest

from hfcli import metrics
from hfcli.cli.console import Console
from hfcli.metrics.groups import by_group, name
from hfcli.metrics.results import Drawing, Part

LABELS = metrics.family("labels")


def part(rights, *names):
    """Records that are right (1) or wrong (0)."""
    chosen = tuple(metrics.get(each) for each in names or ["accuracy"])
    said = ["a" if right else "b" for right in rights]
    return Part(LABELS, LABELS.options(), chosen, LABELS.reduce(said, ["a"] * len(said), LABELS.options()), "")


def test_each_group_is_measured_by_itself():
    rights, groups = [1, 0, 1, 1, 0, 1, 1], ["x", "y", "x", "z", "y", "y", "x"]
    (found,) = by_group(part(rights), groups, Drawing())
    assert [*found.scores] == ["x", "y", "z"]
    assert {group: (score.value, score.n) for group, score in found.scores.items()} == {
        "x": (1.0, 3),
        "y": (pytest.approx(1 / 3), 3),
        "z": (1.0, 1),
    }
    assert (found.gap.value, found.gap.n) == (pytest.approx(2 / 3), 7)


def test_intervals_are_those_of_the_group_alone():
    rng = np.random.default_rng(0)
    rights = rng.random(600) < np.repeat([0.9, 0.6], 300)
    (found,) = by_group(part(rights), ["x"] * 300 + ["y"] * 300, Drawing(resamples=2000))
    ends = []
    for some in (rights[:300], rights[300:]):
        drawn = some[rng.integers(300, size=(4000, 300))].mean(axis=1)
        ends.append(np.quantile(drawn, [0.025, 0.975]))
    for score, (low, high) in zip(found.scores.values(), ends, strict=True):
        assert [score.low, score.high] == pytest.approx([low, high], abs=0.008)
    drawn = [some[rng.integers(300, size=(4000, 300))].mean(axis=1) for some in (rights[:300], rights[300:])]
    assert [found.gap.low, found.gap.high] == pytest.approx(np.quantile(drawn[0] - drawn[1], [0.025, 0.975]), abs=0.012)
    (less,) = by_group(part(rights), ["x"] * 300 + ["y"] * 300, Drawing(confidence=0.5, resamples=2000))
    assert found.gap.low < less.gap.low < less.gap.high < found.gap.high


def test_equal_groups_are_drawn_apart():
    """With the same draws for both, the gap would be 0 in all resamples."""
    rights = [1, 1, 1, 0] * 10
    (found,) = by_group(part(rights + rights), ["x"] * 40 + ["y"] * 40, Drawing())
    assert (found.gap.value, found.gap.high > 0.05) == (0, True)


def test_one_group_has_no_gap():
    (found,) = by_group(part([1, 0]), ["x", "x"], Drawing())
    assert (found.gap.value, found.gap.low, found.gap.high) == (0, 0, 0)


@pytest.mark.parametrize(
    ("cell", "called"),
    [("en", "en"), ("", ""), (None, "null"), (True, "true"), (3, "3"), (0.5, "0.5"), (["a", "é"], '["a", "é"]')],
)
def test_what_a_group_is_called(cell, called):
    assert name(cell) == called


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, records):
        Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))
        return name

    return write


RECORDS = [
    {"label": said, "gold": gold, "lang": lang}
    for said, gold, lang in [("a", "a", "en"), ("b", "a", "de"), ("b", "b", "en"), ("b", "b", "de"), ("a", "b", None)]
]


def test_the_column_may_be_in_either_file(hfcli, write):
    predictions = write("p.jsonl", [{"label": record["label"]} for record in RECORDS])
    references = write("r.jsonl", RECORDS)
    flags = ("--metric", "accuracy", "--group-by", "lang", "--reference-column", "gold")
    apart = hfcli("eval", *flags, "--predictions", predictions, "--references", references)
    together = hfcli("eval", *flags, "--predictions", references)
    for result in (apart, together):
        assert (result.code, result.err) == (0, "")
        told = result.records[0]
        assert {group: (each["score"], each["n"]) for group, (each,) in told["groups"].items()} == {
            "en": (1, 2),
            "de": (0.5, 2),
            "null": (0, 1),
        }
        (gap,) = told["gaps"]
        assert (gap["metric"], gap["score"], gap["n"]) == ("accuracy", 1, 5)
    missing = hfcli("eval", *flags[:2], "--group-by", "lang", "--predictions", write("q.jsonl", [RECORDS[0], {"label": "a", "gold": "a"}]))  # fmt: skip
    assert (missing.code, missing.err) == (
        4,
        "error: q.jsonl:2 has no column lang for --group-by; there is label, gold\n",
    )


def test_a_group_where_a_score_is_not_defined(hfcli, write, monkeypatch):
    def on_terminal(self, quiet=False):
        begin(self, quiet)
        self.terminal = True

    begin = Console.__init__
    monkeypatch.setattr(Console, "__init__", on_terminal)
    numbers = [(1, 1, "x"), (2, 3, "x"), (3, 2, "x"), (1, 2, "y")]
    file = write("p.jsonl", [{"score": one, "gold": other, "lang": lang} for one, other, lang in numbers])
    flags = ("eval", "--metric", "pearson", "--metric", "mae", "--predictions", file, "--group-by", "lang")
    result = hfcli(*flags)
    assert result.code == 0
    rows = {line.split()[0]: line for line in result.lines[4:] if line}
    assert rows["pearson"].split() == ["pearson", "mae", "n"]
    assert rows["y"].split() == ["y", "-", "not", "defined", "1.0000", "[1.000,", "1.000]", "1"]
    assert rows["gap"].split()[:4] == ["gap", "-", "not", "defined"]
    told = hfcli(*flags, "--json").records[0]
    assert told["groups"]["y"][0] == {"metric": "pearson", "score": None, "low": None, "high": None, "n": 1}


def test_a_column_of_ids_is_no_column_of_groups(hfcli, write):
    records = [{"label": "a", "gold": "a", "id": i} for i in range(1001)]
    result = hfcli("eval", "--metric", "accuracy", "--group-by", "id", "--predictions", write("p.jsonl", records))
    assert (result.code, result.out) == (4, "")
    assert result.err == (
        "error: the column id has 1,001 different values; groups are wanted\n"
        "hint:  --group-by names a column such as language\n"
    )
