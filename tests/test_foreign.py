"""`hfcli eval --metric evaluate:SCRIPT`: somebody else's metric, which runs only where that is allowed."""

import json
import math
from pathlib import Path

import pytest

SCRIPT = """
import datasets
import evaluate


class Measured(evaluate.Metric):
    def _info(self):
        features = datasets.Features({"predictions": KIND, "references": KIND})
        return evaluate.MetricInfo(description="", citation="", inputs_description="", features=features)

    def _compute(self, predictions, references):
        BODY
"""
SHARE = 'return {"share": sum(a == b for a, b in zip(predictions, references)) / len(references)}'
ONES, OTHERS = [i % 7 for i in range(50)], [i % 7 if i % 3 else 9 for i in range(50)]


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Write a metric's script: what it computes, and of what kind its cells are."""
    monkeypatch.chdir(tmp_path)

    def script(body, kind='datasets.Value("int64")', name="odd"):
        folder = Path("metrics")
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text(SCRIPT.replace("BODY", body).replace("KIND", kind))
        return f"evaluate:metrics/{name}.py"

    return script


@pytest.fixture
def measure(hfcli):
    def call(metric, *flags, ones=ONES, others=OTHERS):
        for name, cells in (("p.txt", ones), ("r.txt", others)):
            Path(name).write_text("".join(f"{cell}\n" for cell in cells))
        files = ("--predictions", "p.txt", "--references", "r.txt")
        return hfcli("eval", "--metric", metric, *files, *flags)

    return call


@pytest.fixture
def trusted(measure):
    return lambda metric, *flags, **cells: measure(metric, "--trust-remote-code", *flags, **cells)


def test_its_code_does_not_run_by_itself(script, measure):
    metric = script("pass", name="bad")
    Path("metrics/bad.py").write_text('from pathlib import Path\n\nPath("ran").touch()\n')
    result = measure(metric)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: evaluate:metrics/bad.py runs code that is not hfcli's\nhint:  read it, then add --trust-remote-code\n"
    )
    assert not Path("ran").exists()
    measure(metric, "--trust-remote-code")
    assert Path("ran").exists()


def test_its_numbers_have_an_interval(script, trusted):
    result = trusted(script(SHARE, name="share"))
    assert (result.code, result.err) == (0, "")
    (told,) = result.records[0]["scores"]
    right = [a == b for a, b in zip(ONES, OTHERS, strict=True)]
    assert (told["metric"], told["score"], told["n"]) == ("evaluate:share.share", sum(right) / 50, 50)
    without = [[each for i, each in enumerate(right) if i % 20 != group] for group in range(20)]
    left = [sum(some) / len(some) for some in without]
    error = math.sqrt(19 / 20 * sum((each - sum(left) / 20) ** 2 for each in left))
    assert [told["low"], told["high"]] == pytest.approx([told["score"] - 1.96 * error, told["score"] + 1.96 * error], abs=1e-4)  # fmt: skip
    assert "|n:50|ci:jackknife20|evaluate:" in told["signature"]
    (sure,) = trusted(script(SHARE, name="share"), "--confidence-level", "0.5").records[0]["scores"]
    assert sure["high"] - sure["low"] == pytest.approx(2 * 0.6745 * error, abs=1e-4)
    assert "|ci:jackknife20-50|" in sure["signature"]


def test_several_numbers_and_what_is_none(script, trusted):
    body = 'return {"n": len(references), "list": [1], "of": float(sum(predictions)), "nothing": None}'
    told = trusted(script(body, name="several")).records[0]["scores"]
    assert {entry["metric"]: entry["score"] for entry in told} == {
        "evaluate:several.n": 50,
        "evaluate:several.of": sum(ONES),
    }


def test_cells_come_as_the_kind_it_wants(script, trusted, hfcli):
    body = 'return {"kinds": float(all(isinstance(each, str) for each in [*predictions, *references]))}'
    assert trusted(script(body, 'datasets.Value("string")', "texts")).records[0]["scores"][0]["score"] == 1
    mean = 'return {"mean": sum(predictions) / len(predictions)}'
    floats = trusted(script(mean, 'datasets.Value("float32")', "mean"), ones=["0.5", "1.5"], others=["1", "2"])
    assert floats.records[0]["scores"][0]["score"] == 1
    records = [{"label": one, "gold": other} for one, other in zip(ONES, OTHERS, strict=True)]
    Path("p.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    files = ("--predictions", "p.jsonl", "--references", "p.jsonl", "--trust-remote-code")
    flags = ("--metric", script(SHARE, name="share"), "--prediction-column", "label", "--reference-column", "gold")
    right = sum(a == b for a, b in zip(ONES, OTHERS, strict=True)) / 50
    assert hfcli("eval", *flags, *files).records[0]["scores"][0]["score"] == right


def test_one_record_has_no_interval(script, trusted):
    (told,) = trusted(script(SHARE, name="share"), ones=[1], others=[1]).records[0]["scores"]
    assert (told["score"], told["low"], told["high"], told["n"]) == (1, None, None, 1)


def test_a_limit_needs_a_direction(script, trusted):
    refused = trusted(script(SHARE, name="share"), "--fail-under", "evaluate:share.share=0.1")
    assert (refused.code, refused.out) == (2, "")
    assert "whether more is better is not known of metrics of evaluate" in refused.err


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('raise ValueError("these are\\nodd")', "evaluate:metrics/odd.py cannot measure these: these are"),
        ("raise KeyError", "evaluate:metrics/odd.py cannot measure these: KeyError"),
        ("return {}", "evaluate:metrics/odd.py gives no number"),
        ("return None", "evaluate:metrics/odd.py gives no number"),
        ('return {"text": "high"}', "evaluate:metrics/odd.py gives no number"),
    ],
)
def test_odd_scripts(script, trusted, body, sentence):
    result = trusted(script(body))
    assert (result.code, result.out) == (4, "")
    assert result.err.splitlines()[0] == f"error: {sentence}"


def test_scripts_that_cannot_be_loaded(script, trusted):
    script("pass")
    missing = trusted("evaluate:metrics/nothing.py")
    assert (missing.code, missing.out) == (5, "")
    assert missing.err.startswith("error: the metric metrics/nothing.py cannot be loaded: ")
    assert missing.err.endswith("hint:  evaluate:./folder/metric.py loads a script from here\n")
    Path("metrics/broken.py").write_text("import datasets\nimport evaluate\nraise RuntimeError('no')\n")
    broken = trusted("evaluate:metrics/broken.py")
    assert (broken.code, broken.err.splitlines()[0]) == (
        5,
        "error: the metric metrics/broken.py cannot be loaded: no",
    )


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (("--metric", "bleu"), 2, "metrics of evaluate and of hfcli are measured apart"),
        (("-o", "x.json"), 2, "-o needs statistics of every record, which evaluate does not give"),
        (("--details", "x.jsonl"), 2, "--details needs statistics of every record, which evaluate does not give"),
        (("--group-by", "x"), 2, "--group-by needs statistics of every record, which evaluate does not give"),
        (("--resamples", "9"), 2, "--resamples is about hfcli's own metrics; intervals of others are jackknives"),
        (("--seed", "9"), 2, "--seed is about hfcli's own metrics; intervals of others are jackknives"),
        (("--references", "p.txt"), 2, "evaluate:metrics/odd.py needs one --references FILE"),
        (("--prediction-column", "x"), 4, "p.txt:1 has no column x; there is text"),
        (("-m", "builtin/reviews"), 2, "--model is about a model, and --predictions are there already"),
    ],
)
def test_lines_that_cannot_be_meant(script, trusted, flags, code, sentence):
    result = trusted(script(SHARE), *flags)
    assert (result.code, result.out) == (code, "")
    assert result.err.splitlines()[0] == f"error: {sentence}"


def test_a_name_is_needed_and_numbers_where_it_wants_numbers(script, trusted):
    metric = script(SHARE)
    assert trusted("evaluate:").err.splitlines()[0] == "error: --metric evaluate: names no metric"
    words = trusted(metric, ones=["a"] * 50)
    assert (words.code, words.err) == (4, "error: evaluate:metrics/odd.py wants numbers, and 'a' is none\n")
