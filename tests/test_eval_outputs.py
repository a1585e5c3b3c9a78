"""`hfcli eval --predictions`: stored outputs line by line, in every form, and what is refused."""

import gzip
import json
import math
from itertools import product
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from hfcli import metrics
from hfcli.cli import _reducing
from hfcli.metrics.results import from_json

HYPOTHESES = ["the cat sat on the mat", "a dog ran over the old hill", "the fox", "bread for the red kite today"]
REFERENCES = ["the cat sat on a mat", "a dog ran over the old hill", "the small fox", "bread and a red kite"]
GOLD = ["pos", "neg", "pos", "neutral", "neg", "pos", "neg", "pos"]
SAID = ["pos", "neg", "neg", "neutral", "pos", "pos", "neg", "pos"]
LABELS = [{"label": said, "gold": gold} for said, gold in zip(SAID, GOLD, strict=True)]
NUMBERS = [{"score": x, "gold": y} for x, y in [(1.0, 1.5), (2.0, 1.0), (4.0, 4.5), (3.5, 5.0), (0.0, -1.0)]]
SURE = [{"score": p, "gold": right} for p, right in [(0.9, 1), (0.8, 0), (0.35, 1), (0.3, 0), (0.8, 1), (0.1, 0)]]
TAGS = [
    {"prediction": ["B-PER", "I-PER", "O", "B-LOC"], "tags": ["B-PER", "I-PER", "O", "B-LOC"]},
    {"prediction": ["B-PER", "O"], "tags": ["B-LOC", "O"]},
]
SETS = [{"labels": ["a", "b"], "gold": ["a"]}, {"labels": [], "gold": ["b"]}, {"labels": ["c"], "gold": ["c"]}]


def jsonl(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def lines(texts):
    return "".join(f"{text}\n" for text in texts)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        Path(name).parent.mkdir(exist_ok=True)
        if name.endswith(".parquet"):
            pa.parquet.write_table(pa.Table.from_pylist(content), name)
        else:
            data = (content if isinstance(content, str) else jsonl(content)).encode()
            Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return name

    return write


@pytest.fixture
def texts(write):
    return ("--predictions", write("hyp.txt", lines(HYPOTHESES)), "--references", write("ref.txt", lines(REFERENCES)))


@pytest.fixture
def score(hfcli, write):
    """The value of each metric; records go into a file first."""

    def score(metric, records, *flags):
        names = [metric] if isinstance(metric, str) else metric
        asked = [part for name in names for part in ("--metric", name)]
        result = hfcli("eval", *asked, "--predictions", write("p.jsonl", records), *flags)
        assert (result.code, result.err) == (0, "")
        found = {entry["metric"]: entry["score"] for entry in result.records[0]["scores"]}
        return found[names[0]] if isinstance(metric, str) else found

    return score


# Numbers, each computed here once more


def test_labels(score):
    found = score(["accuracy", "f1_macro", "precision_macro", "recall_weighted", "matthews_correlation"], LABELS)
    assert found["accuracy"] == 6 / 8
    precision, recall = (
        {label: sum(a == b == label for a, b in zip(SAID, GOLD, strict=True)) / of.count(label) for label in {*GOLD}}
        for of in (SAID, GOLD)
    )
    f1 = [2 * precision[each] * recall[each] / (precision[each] + recall[each]) for each in precision]
    assert found["f1_macro"] == pytest.approx(sum(f1) / 3)
    assert found["precision_macro"] == pytest.approx(sum(precision.values()) / 3)
    assert found["recall_weighted"] == pytest.approx(sum(recall[label] for label in GOLD) / 8)
    together = 6 * 8 - sum(SAID.count(each) * GOLD.count(each) for each in {*GOLD})
    spread = (64 - sum(of.count(each) ** 2 for each in {*GOLD}) for of in (SAID, GOLD))
    assert found["matthews_correlation"] == pytest.approx(together / math.sqrt(math.prod(spread)))


def test_each_class(hfcli, write):
    told = hfcli("eval", "--metric", "accuracy", "--predictions", write("p.jsonl", LABELS)).records[0]["classes"]
    assert [(row["label"], row["n"], row["read_as"]) for row in told] == [
        ("neg", 3, [["pos", 1]]),
        ("neutral", 1, []),
        ("pos", 4, [["neg", 1]]),
    ]
    assert [row["recall"] for row in told] == pytest.approx([2 / 3, 1, 3 / 4])


def test_numbers(score):
    found = score(["pearson", "spearman", "mse", "mae"], NUMBERS)
    x, y = ([record[name] for record in NUMBERS] for name in ("score", "gold"))

    def correlation(x, y):
        mx, my = sum(x) / len(x), sum(y) / len(y)
        xy = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
        return xy / math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))

    assert found["pearson"] == pytest.approx(correlation(x, y))
    ranks = [[sorted(some).index(each) for each in some] for some in (x, y)]
    assert found["spearman"] == pytest.approx(correlation(*ranks))
    assert found["mse"] == pytest.approx(sum((a - b) ** 2 for a, b in zip(x, y, strict=True)) / 5)
    assert found["mae"] == pytest.approx(sum(abs(a - b) for a, b in zip(x, y, strict=True)) / 5)


def test_probabilities_of_the_label_1_or_of_all(score):
    ones, zeros = ([each["score"] for each in SURE if each["gold"] == right] for right in (1, 0))
    pairs = [(a > b) + (a == b) / 2 for a, b in product(ones, zeros)]
    found = score(["auc", "log_loss", "calibration_error"], SURE)
    assert found["auc"] == pytest.approx(sum(pairs) / len(pairs))
    given = [each["score"] if each["gold"] else 1 - each["score"] for each in SURE]
    assert found["log_loss"] == pytest.approx(-sum(map(math.log, given)) / 6)
    # by bins of a fifteenth of the larger probability: 0.9 twice (both right); 0.8 twice and 0.65, 0.7 once each
    gaps = [abs(2 - 1.8), abs(1 - 1.6), abs(0 - 0.65), abs(1 - 0.7)]
    assert found["calibration_error"] == pytest.approx(sum(gaps) / 6)
    both = [{"scores": {"0": 1 - each["score"], "1": each["score"]}, "gold": str(each["gold"])} for each in SURE]
    listed = [{"labels": [{"label": k, "score": v} for k, v in each["scores"].items()], "gold": each["gold"]} for each in both]  # fmt: skip
    assert score("auc", both) == score("auc", listed) == found["auc"]


def test_sets_of_labels_decide_what_f1_is_about(score):
    found = score(["f1_micro", "subset_accuracy"], SETS)
    assert found == pytest.approx({"f1_micro": 2 * 2 / (3 + 3), "subset_accuracy": 1 / 3})
    as_text = [{"labels": ",".join(each["labels"]), "gold": json.dumps(each["gold"])} for each in SETS]
    assert score(["f1_micro", "subset_accuracy"], as_text) == found


def test_tags_and_texts(score):
    assert score(["entity_f1", "token_accuracy"], TAGS) == pytest.approx(
        {"entity_f1": 2 * 2 / (3 + 3), "token_accuracy": 5 / 6}
    )
    told = [{"prediction": "A b.", "references": ["a b", "c"]}, {"prediction": "x", "references": ["y"]}]
    assert score("exact_match", told) == 0
    assert score(["exact_match:ignore_case=yes,ignore_punctuation=yes"], told) == {"exact_match": 0.5}
    assert score("distinct_1", [{"text": "to be or not to be"}, {"text": "one"}]) == pytest.approx((4 / 6 + 1) / 2)


def test_labels_are_the_same_as_numbers_and_texts(score):
    pairs = [(1, "1"), ("1", 1.0), (True, "true"), (" a ", "a"), (0, False)]
    assert score("accuracy", [{"label": one, "gold": other} for one, other in pairs]) == 4 / 5


def test_an_interval_is_of_resamples_and_narrower_for_less_confidence(hfcli, write):
    file = write("p.jsonl", [{"label": "a", "gold": "a" if i % 4 else "b"} for i in range(400)])

    def entry(*flags):
        return hfcli("eval", "--metric", "accuracy", "--predictions", file, *flags).records[0]["scores"][0]

    wide, narrow = entry("--resamples", "4000"), entry("--confidence-level", "0.5", "--resamples", "4000")
    error = math.sqrt(0.75 * 0.25 / 400)
    assert [wide["low"], wide["high"]] == pytest.approx([0.75 - 1.96 * error, 0.75 + 1.96 * error], abs=0.004)
    assert [narrow["low"], narrow["high"]] == pytest.approx([0.75 - 0.674 * error, 0.75 + 0.674 * error], abs=0.004)
    assert entry("--seed", "3") == entry("--seed", "3")
    assert entry("--seed", "3", "--resamples", "9")["low"] != entry("--seed", "4", "--resamples", "9")["low"]
    assert "|n:400|ci:bs4000-12345-50|" in narrow["signature"]
    assert "|ci:bs1000-3|" in entry("--seed", "3")["signature"]


SAMPLES = {
    "texts": [{"prediction": a, "reference": b} for a, b in zip(HYPOTHESES, REFERENCES, strict=True)],
    "text": [{"text": text} for text in HYPOTHESES],
    "labels": LABELS,
    "label_sets": SETS,
    "values": NUMBERS,
    "probabilities": SURE,
    "tags": TAGS,
}


def test_every_metric_of_stored_outputs_gives_a_number(hfcli, write):
    """The network is blocked in tests: none may need it."""
    for reads, records in SAMPLES.items():
        names = [row["name"] for row in metrics.listed() if row["reads"] == reads]
        asked = [part for name in names for part in ("--metric", name)]
        result = hfcli("eval", *asked, "--predictions", write("p.jsonl", records), "--resamples", "20")
        assert (result.code, result.err) == (0, "")
        for entry in result.records[0]["scores"]:
            assert entry["low"] - 1e-9 <= entry["score"] <= entry["high"] + 1e-9 or entry["metric"] in (
                "calibration_error",
                "f1_macro",
            )
            assert entry["n"] == len(records)
        assert len(result.records[0]["scores"]) >= len({*names} - {"rouge", "chrf++"})


# Forms


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "json", "csv", "tsv", "parquet"])
def test_records_in_every_form(hfcli, write, suffix):
    content = {"json": json.dumps(LABELS), "csv": "label,gold\n", "tsv": "label\tgold\n"}.get(suffix, LABELS)
    if suffix in ("csv", "tsv"):
        content += lines(("," if suffix == "csv" else "\t").join(each.values()) for each in LABELS)
    result = hfcli("eval", "--metric", "accuracy", "--predictions", write(f"p.{suffix}", content))
    assert (result.code, result.records[0]["scores"][0]["score"]) == (0, 0.75)


def test_lines_records_and_standard_input_are_the_same(hfcli, write, texts):
    apart = hfcli("eval", "--metric", "bleu", *texts).records[0]["scores"][0]["score"]
    assert 30 < apart < 80
    piped = hfcli("eval", "--metric", "bleu", "--predictions", "-", *texts[2:], stdin=lines(HYPOTHESES))
    windows = hfcli("eval", "--metric", "bleu", *texts[:2], "--references", "-", stdin="\r\n".join(REFERENCES))
    records = [{"out": a, "should": b} for a, b in zip(HYPOTHESES, REFERENCES, strict=True)]
    named = ("--prediction-column", "out", "--reference-column", "should")
    together = hfcli("eval", "--metric", "bleu", "--predictions", write("p.jsonl", records), *named)
    assert [each.records[0]["scores"][0]["score"] for each in (piped, windows, together)] == [apart] * 3
    assert together.records[0]["scores"][0]["signature"].startswith("bleu|data:should@")
    assert piped.records[0]["scores"][0]["signature"].startswith("bleu|data:ref.txt@")


def test_several_references_come_from_files_columns_or_lists(hfcli, write, texts):
    other = write("ref2.txt", lines([*HYPOTHESES[:1], "", "x", "y"]))
    apart = hfcli("eval", "--metric", "exact_match", *texts, "--references", other, "-q").records[0]["scores"][0]
    assert apart["score"] == 0.5
    assert "+ref2.txt@" in apart["signature"]
    assert "|nrefs:2|" in apart["signature"]
    rows = [{"prediction": "a", "one": "b", "two": "a"}, {"prediction": "c", "one": "c", "two": "d"}]
    flags = ("--reference-column", "one", "--reference-column", "two")
    columns = hfcli("eval", "--metric", "exact_match", "--predictions", write("c.jsonl", rows), *flags)
    assert columns.records[0]["scores"][0]["score"] == 1
    lists = [{"prediction": "a", "references": ["a", "b"]}, {"prediction": "c", "references": ["d"]}]
    mixed = hfcli("eval", "--metric", "exact_match", "--predictions", write("l.jsonl", lists)).records[0]["scores"][0]
    assert (mixed["score"], "|nrefs:1-2|" in mixed["signature"]) == (0.5, True)


def test_several_systems(hfcli, write, texts, terminal):
    better = write("b/hyp2.txt", lines(REFERENCES))
    flags = ("--metric", "bleu", "--metric", "ter", *texts, "--predictions", better)
    shown = hfcli("eval", *flags, "-o", "kept/")
    assert (shown.code, shown.err) == (0, "")
    assert shown.lines[0].split() == ["bleu", "ter"]
    assert [line.split()[0] for line in shown.lines[1:3]] == ["hyp", "hyp2"]
    assert shown.lines[2].split()[1] == "100.000"
    assert shown.lines[4] == "each on 4 records; lower is better: ter"
    assert sorted(path.name for path in Path("kept").iterdir()) == ["hyp.json", "hyp2.json"]
    told = hfcli("eval", *flags, "--json").records[0]["systems"]
    assert [system["name"] for system in told] == ["hyp", "hyp2"]
    kept = from_json(json.loads(Path("kept/hyp.json").read_text()), "hyp.json")
    assert [each.score.value for each in kept.scores] == [entry["score"] for entry in told[0]["scores"]]
    same_name = write("b/hyp.txt", lines(REFERENCES))
    both = hfcli("eval", "--metric", "bleu", *texts, "--predictions", same_name, "--json").records[0]["systems"]
    assert [system["name"] for system in both] == ["hyp.txt", "b/hyp.txt"]


def test_one_metric_with_different_options_keeps_its_scores_apart(hfcli, write):
    records = [{"prediction": "A", "reference": "a"}, {"prediction": "b", "reference": "b"}]
    names = ("exact_match", "exact_match:ignore_case=true")
    flags = ("--metric", names[0], "--metric", names[1], "--predictions", write("p.jsonl", records))
    result = hfcli("eval", *flags, "--details", "d.jsonl", "-o", "o.json")
    assert {entry["metric"]: entry["score"] for entry in result.records[0]["scores"]} == dict(
        zip(names, (0.5, 1), strict=True)
    )
    first = json.loads(Path("d.jsonl").read_text().splitlines()[0])
    assert first == {"where": "p.jsonl:1", "prediction": "A", "reference": ["a"], names[0]: 0, names[1]: 1}
    kept = from_json(json.loads(Path("o.json").read_text()), "o.json")
    assert (kept.titles(), [each.score.value for each in kept.scores]) == ([*names], [0.5, 1])
    assert hfcli("eval", *flags, "--fail-under", f"{names[1]}=0.9").code == 0
    assert hfcli("eval", *flags, "--fail-under", "exact_match=0.9").err == "fail:  exact_match is 0.5, and below 0.9\n"


def test_what_is_kept_gives_the_same_numbers_again(hfcli, write):
    records = [{**each, "id": i, "scores": {"pos": 0.2, "neg": 0.5, "neutral": 0.3}} for i, each in enumerate(LABELS)]
    told = hfcli("eval", "--metric", "accuracy", "--metric", "auc", "--predictions", write("p.jsonl", records), "-o", "o.json")  # fmt: skip
    kept = from_json(json.loads(Path("o.json").read_text()), "o.json")
    assert kept.ids == [str(i) for i in range(8)]
    for each, entry in zip(kept.scores, told.records[0]["scores"], strict=True):
        part = kept.parts[each.part]
        again = metrics.measure(each.metric.name, part.family.kinds(part.statistics, part.options))
        assert (again.value, again.low, again.high, again.n) == (entry["score"], entry["low"], entry["high"], entry["n"])  # fmt: skip
        assert kept.signature(each) == entry["signature"]
    assert list(kept.parts[0].statistics.columns["prediction"]) == SAID


def test_details_have_a_line_for_each_record_and_system(hfcli, write):
    other = [{**each, "label": each["gold"]} for each in LABELS]
    flags = ("--predictions", write("one.jsonl", LABELS), "--predictions", write("two.jsonl", other))
    assert hfcli("eval", "--metric", "accuracy", *flags, "--details", "d.jsonl").code == 0
    rows = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    assert [row["system"] for row in rows] == ["one", "two"] * 8
    assert [row["accuracy"] for row in rows[::2]] == [float(a == b) for a, b in zip(SAID, GOLD, strict=True)]
    assert rows[4] == {
        "where": "one.jsonl:3",
        "system": "one",
        "prediction": "neg",
        "reference": "pos",
        "accuracy": 0,
    }


def test_nothing_loads_what_is_slow(shell, write):
    heavy = "torch transformers datasets accelerate evaluate peft huggingface_hub pyarrow yaml rich sacrebleu".split()
    line = f"hfcli eval --metric accuracy --predictions {write('p.jsonl', LABELS)}"
    done = shell(line, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {entry.rsplit("|", 1)[-1].strip() for entry in done.stderr.splitlines() if "|" in entry}
    assert "numpy" in imported
    assert not {name.split(".")[0] for name in imported} & {*heavy}
    assert not {name for name in imported if name.startswith(("hfcli.runtime", "hfcli.tasks", "concurrent.futures"))}


# Screens


def test_no_line_of_a_table_is_wider_than_80_columns(hfcli, write, terminal):
    records = [{**each, "lang": "de" if i % 2 else "en"} for i, each in enumerate(LABELS)]
    names = "accuracy balanced_accuracy f1_macro f1_micro matthews_correlation".split()
    asked = [part for name in names for part in ("--metric", name)]
    two = ("--predictions", write("one.jsonl", records), "--predictions", write("two.jsonl", records[:8]))
    for flags in (two[:2], two):
        result = hfcli("eval", *asked, *flags, "--group-by", "lang")
        assert max(len(line) for line in result.lines if not line.startswith("score ")) <= 80
        for name in names:
            assert result.out.count(name) >= 2


def test_a_table(hfcli, write, terminal):
    result = hfcli("eval", "--metric", "accuracy", "--metric", "f1_micro", "--predictions", write("p.jsonl", LABELS))
    *table, signature = result.lines
    assert table == [
        "             score  interval        scale",
        "accuracy    0.7500  [0.375, 1.000]  0 to 1  8 records",
        "f1_micro    0.7500  [0.375, 1.000]  0 to 1",
        "",
        "         precision  recall     f1         n",
        "neg          0.667   0.667  0.667         3    1 read as pos",
        "neutral      1.000   1.000  1.000         1",
        "pos          0.750   0.750  0.750         4    1 read as neg",
        "",
    ]
    assert signature.startswith("score   accuracy,f1_micro|data:gold@")


def test_names_from_files_cannot_steer_a_terminal_or_break_a_table(hfcli, write, terminal):
    records = [{"label": "\x1b[31mred", "gold": "a\nb"}, {"label": "日本語", "gold": "日本語"}]
    result = hfcli("eval", "--metric", "accuracy", "--predictions", write("p.jsonl", records), "--group-by", "gold")
    assert "\x1b" not in result.out
    assert "\\x1b[31mred      0.000" in result.out
    assert "日本語           1.000" in result.out
    assert "a\\nb  " in result.out


def test_a_score_that_is_not_defined_is_said(hfcli, write, terminal):
    file = write("p.jsonl", [{"score": 1, "gold": 2}, {"score": 1, "gold": 3}])
    flags = ("eval", "--metric", "pearson", "--metric", "mse", "--predictions", file)
    result = hfcli(*flags)
    assert (result.code, result.err) == (0, "note: pearson is not defined for these records\n")
    assert result.lines[1].startswith("pearson         -  not defined     -1 to 1")
    assert "nan" not in result.out
    told = hfcli(*flags, "--json").records[0]["scores"][0]
    assert (told["score"], told["low"], told["high"], told["n"]) == (None, None, None, 2)
    missed = hfcli(*flags, "-q", "--fail-under", "pearson=0")
    assert (missed.code, missed.err) == (7, "fail:  pearson is not defined, and has to be 0\n")


def test_what_can_be_measured_is_listed(hfcli, terminal):
    plain, told = hfcli("eval", "--list-metrics"), hfcli("eval", "--list-metrics", "--json")
    assert [line.split()[0] for line in plain.lines[1:]] == [row["name"] for row in told.records]
    assert {"accuracy", "bleu", "squad_v2", "entity_f1", "toxicity", "pearson"} <= {row["name"] for row in told.records}
    assert "mse                   values         from 0 up, lower is better" in plain.lines


def test_notes_are_said_once_whatever_the_number_of_metrics(hfcli, write):
    flags = ("--predictions", write("h.txt", "a b\n\nc\n"), "--references", write("r.txt", "a b\nx\n\n"))
    result = hfcli("eval", "--metric", "bleu", "--metric", "chrf", "--metric", "exact_match", *flags)
    assert result.err == (
        "note: 1 prediction is empty, and scored as any other text\n"
        "note: 1 reference is empty, and compared as any other text\n"
    )
    assert hfcli("eval", "--metric", "bleu", *flags, "-q").err == ""
    strange = write("s.jsonl", [{"label": "LABEL_1", "gold": "pos"}, {"label": "LABEL_0", "gold": "neg"}])
    assert hfcli("eval", "--metric", "accuracy", "--predictions", strange).err == (
        "note: no prediction is one of the labels that are right: LABEL_0, LABEL_1, and right are neg, pos\n"
    )


# Limits


@pytest.mark.parametrize(
    ("metric", "limit", "code", "err"),
    [
        ("accuracy", "accuracy=0.75", 0, ""),
        ("accuracy", "accuracy=0.76", 7, "fail:  accuracy is 0.75, and below 0.76\n"),
        ("mae", "mae=1", 0, ""),
        ("mae", "mae=0.1", 7, "fail:  mae is 0.9, and above 0.1\n"),
    ],
)
def test_a_limit(hfcli, write, metric, limit, code, err):
    records = LABELS if metric == "accuracy" else NUMBERS
    flags = ("--predictions", write("p.jsonl", records), "--fail-under", limit, "-o", "o.json")
    result = hfcli("eval", "--metric", metric, *flags)
    assert (result.code, result.err) == (code, err)
    assert result.records[0]["scores"][0]["metric"] == metric
    assert Path("o.json").exists()


# What is refused


def refused(result, code, sentence, hint=None):
    assert (result.code, result.out) == (code, "")
    assert result.err.splitlines()[0] == f"error: {sentence}"
    if hint is not None:
        assert result.err.splitlines()[1:] == [f"hint:  {hint}"]


@pytest.mark.parametrize(
    ("metric", "record", "sentence"),
    [
        ("accuracy", {"label": None, "gold": "a"}, "has no label as its prediction"),
        ("accuracy", {"label": "a", "gold": ""}, "has no label as its reference"),
        ("accuracy", {"label": ["a"], "gold": "a"}, "has a prediction that is an array, not a label"),
        ("f1_micro", {"label": "a"}, "has no column gold; there is label"),
        ("subset_accuracy", {"labels": {"a": 1}, "gold": []}, "has a prediction that is an object, not a list of labels"),
        ("mse", {"score": "high", "gold": 1}, "has a prediction that is a string, not a number"),
        ("mse", {"score": None, "gold": 1}, "has a prediction that is null, not a number"),
        ("mse", {"score": "nan", "gold": 1}, "has a prediction that is nan; only finite numbers can be measured"),
        ("mse", {"score": 1, "gold": "-inf"}, "has a reference that is -inf; only finite numbers can be measured"),
        ("auc", {"score": 1.5, "gold": 1}, "has 1.5 for a probability"),
        ("auc", {"score": [0.5, 0.5], "gold": 1}, "has a prediction that is an array, not a number"),
        ("auc", {"score": {"0": 0.5, "1": 0.2}, "gold": 1}, "has probabilities that sum to 0.7; they are to sum to 1"),
        ("auc", {"score": {"0": -0.5, "1": 1.5}, "gold": 1}, "has -0.5 for a probability"),
        ("auc", {"score": {"0": 0.5, "2": 0.5}, "gold": 0}, "has probabilities of other labels than the records before (1, 2)"),
        ("auc", {"score": {}, "gold": 0}, "has probabilities of other labels than the records before (0, 1)"),
        ("auc", {"score": 0.5, "gold": "pos"}, "has the label pos, and no probability of it; there are those of 0, 1"),
        ("entity_f1", {"prediction": ["O"], "tags": ["O", "O"]}, "has 1 predicted tags and 2 right ones"),
        ("entity_f1", {"prediction": [1], "tags": ["O"]}, "has a prediction that is an array, not a list of tags"),
        ("bleu", {"prediction": "a", "reference": []}, "has no reference"),
        ("bleu", {"prediction": 1, "reference": "a"}, "has a prediction that is a number, not a text"),
        ("bleu", {"prediction": "a", "reference": {"x": 1}}, "has a reference that is an object, not a text"),
    ],
)  # fmt: skip
def test_a_bad_record_is_named_by_its_place(hfcli, write, metric, record, sentence):
    """Far enough inside that it is not in the first chunk."""
    good = {
        "accuracy": LABELS[0],
        "f1_micro": LABELS[0],
        "subset_accuracy": SETS[0],
        "mse": NUMBERS[0],
        "auc": SURE[0],
        "entity_f1": TAGS[0],
        "bleu": SAMPLES["texts"][0],
    }[metric]
    records = [good] * (_reducing.CHUNK + 3) + [record]
    result = hfcli("eval", "--metric", metric, "--predictions", write("p.jsonl", records))
    refused(result, 4, f"p.jsonl:{len(records)} {sentence}")


def test_files_of_different_lengths(hfcli, write, texts):
    longer = write("long.txt", lines([*HYPOTHESES, "one more"]))
    result = hfcli("eval", "--metric", "bleu", *texts, "--predictions", longer)
    counts = "hyp.txt has 4, long.txt has 5, ref.txt has 4 lines"
    refused(
        result,
        4,
        f"each prediction needs its reference, and the files are of different lengths: {counts}",
        "an output that is missing has to stand there as an empty line",
    )


def test_files_in_different_orders(hfcli, write):
    first = write("p.jsonl", [{"id": 1, "label": "a"}, {"id": 2, "label": "a"}])
    second = write("r.jsonl", [{"id": 1, "gold": "a"}, {"id": 3, "gold": "a"}])
    result = hfcli("eval", "--metric", "accuracy", "--predictions", first, "--references", second)
    refused(
        result,
        4,
        "p.jsonl:2 has the id 2, and r.jsonl:2 the id 3: the files are in different orders",
        "sort both by id",
    )


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        (("--metric", "blue"), 2, "no metric blue"),
        (("--metric", "f1"), 2, "no metric f1"),
        (("--metric", "bleu:order=2"), 2, "bleu has no option order; there is tokenize, smooth_method, smooth_value, lowercase, effective_order, max_ngram_order"),
        (("--metric", "bleu:lowercase=2"), 2, "--metric bleu:lowercase=2: true or false is wanted"),
        (("--metric", "bleu:lowercase"), 2, "--metric bleu:lowercase: 'lowercase' is no option"),
        ((), 2, "no --metric says what to measure"),
        (("--metric", "perplexity"), 2, "perplexity is about a model, and --predictions are there already"),
        (("--metric", "flip_rate"), 2, "counterfactual asks a model about --dataset, not about --predictions"),
        (("--metric", "toxicity"), 2, "toxicity needs --scorer MODEL, a classifier that knows it"),
        (("--metric", "toxic_share", "--metric", "bleu"), 2, "toxic_share, bleu are about different things"),
        (("--metric", "squad", "--metric", "bleu"), 2, "squad is measured by ids, the others line by line"),
        (("--metric", "bleu", "--swap", "he=she"), 2, "--swap is for --metric counterfactual"),
        (("--metric", "bleu", "--scorer", "builtin/reviews"), 2, "--scorer is for --metric toxicity"),
        (("--metric", "bleu", "-m", "builtin/reviews"), 2, "--model is about a model, and --predictions are there already"),
        (("--metric", "bleu", "--dataset", "x.csv"), 2, "--dataset is about a model, and --predictions are there already"),
        (("--metric", "bleu", "--max-length", "9"), 2, "--max-length is about a model, and --predictions are there already"),
        (("--metric", "distinct_1"), 2, "distinct_1 needs no references"),
        (("--metric", "bleu", "--predictions", "hyp.txt"), 2, "--predictions hyp.txt was given twice"),
        (("--metric", "bleu", "--fail-under", "ter=3"), 2, "--fail-under ter: ter is not measured; there is bleu"),
        (("--metric", "bleu", "--fail-under", "bleu=nan"), 2, "--fail-under bleu=nan is no METRIC=NUMBER"),
        (("--metric", "bleu", "--fail-under", "=3"), 2, "--fail-under =3 is no METRIC=NUMBER"),
        (("--metric", "bleu", "--fail-under", "bleu"), 2, "--fail-under bleu is no METRIC=NUMBER"),
        (("--metric", "bleu", "-o", "hyp.txt"), 2, "-o hyp.txt is what is read, and would be lost"),
        (("--metric", "bleu", "--details", "./ref.txt"), 2, "--details ./ref.txt is what is read, and would be lost"),
        (("--metric", "bleu", "-o", "x", "--details", "./x"), 2, "-o and --details are one file"),
        (("--metric", "bleu", "-o", "nowhere/x.json"), 4, "cannot write nowhere/x.json (no such file or directory)"),
        (("--metric", "bleu", "--predictions", "more.txt", "-o", "x.json"), 2, "-o x.json is one file, and 2 systems are measured"),
        (("--metric", "bleu", "--confidence-level", "1"), 2, "--confidence-level 1 would take in everything"),
        (("--metric", "bleu", "--group-by", "lang"), 4, "hyp.txt:1 has no column lang for --group-by; there is text"),
        (("--metric", "bleu", "--resume"), 2, "--resume needs --details FILE"),
        (("--metric", "accuracy", "--references", "ref.txt"), 2, "accuracy compares with one reference, and 2 were given"),
    ],
)  # fmt: skip
def test_lines_that_cannot_be_meant(hfcli, texts, write, flags, code, sentence):
    write("more.txt", "x\n")
    refused(hfcli("eval", *texts, *flags), code, sentence)
    assert Path("hyp.txt").read_text() == lines(HYPOTHESES)


def test_columns_that_are_not_there(hfcli, write):
    flags = ("eval", "--predictions", write("p.jsonl", LABELS))
    refused(
        hfcli(*flags, "--metric", "bleu"),
        4,
        "p.jsonl:1: no column is called like a prediction for bleu; there is label, gold",
        "--prediction-column NAME names it",
    )
    wrong = hfcli(*flags, "--metric", "accuracy", "--reference-column", "golt")
    refused(wrong, 4, "p.jsonl:1 has no column golt; there is label, gold", "did you mean gold?")
    both = hfcli(*flags, "--metric", "accuracy", "--metric", "subset_accuracy", "--prediction-column", "labl")
    refused(both, 4, "p.jsonl:1 has no column labl; there is label, gold", "did you mean label?")


def test_files_that_cannot_be_read(hfcli, write, texts):
    refused(hfcli("eval", "--metric", "bleu", "--predictions", "hyp.tx", *texts[2:]), 4, "no file hyp.tx", "did you mean hyp.txt?")  # fmt: skip
    empty = write("empty.txt", "")
    refused(hfcli("eval", "--metric", "bleu", "--predictions", empty, "--references", empty), 4, "empty.txt is empty")
    bad = write("bad.jsonl", '{"label": "a", "gold": "a"}\n{"label": NaN, "gold": 1}\n')
    refused(hfcli("eval", "--metric", "mse", "--predictions", bad), 4, "bad.jsonl:1: no column is called like a prediction for mse; there is label, gold")  # fmt: skip
    refused(hfcli("eval", "--metric", "accuracy", "--predictions", bad), 4, "bad.jsonl:2 has NaN, which is not JSON")


def test_a_second_file_of_references_has_its_own_column(hfcli, write):
    flags = (
        "--metric",
        "exact_match",
        "--predictions",
        write("p.txt", "a\nb\n"),
        "--references",
        write("r.txt", "x\nx\n"),
    )
    second = write("s.jsonl", [{"target": "a"}, {"target": "y"}])
    assert hfcli("eval", *flags, "--references", second).records[0]["scores"][0]["score"] == 0.5
    third = write("t.jsonl", [{"target": "a"}, {"reference": "b"}])
    refused(hfcli("eval", *flags, "--references", third), 4, "p.txt:2 has no column target; there is reference")
