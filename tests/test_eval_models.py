"""`hfcli eval -m MODEL --dataset FILE`: classifiers of every kind over data, their details, and what is refused."""

import json
import re
import shutil
from pathlib import Path

import pytest

from hfcli.cli import _measure
from hfcli.cli._details import Details
from hfcli.metrics import measure as measured
from hfcli.metrics.results import from_json
from tests.tiny import BAD, GOOD

TEXTS = [*(f"a quiet {word} film" for word in GOOD), *(f"the {word} story" for word in BAD), "a film", "good bad"]
LABELS = ["pos", "pos", "neg", "neg", "neg", "pos", "neg", "pos"]
RECORDS = [
    {"id": f"r{i}", "text": text, "label": label, "lang": "de" if i % 2 else "en"}
    for i, (text, label) in enumerate(zip(TEXTS, LABELS, strict=True))
]


def jsonl(records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, records):
        Path(name).write_text(records if isinstance(records, str) else jsonl(records))
        return name

    return write


@pytest.fixture
def evaluate(hfcli, models, write):
    def call(records=RECORDS, *flags, model=None, **how):
        file = records if records == "-" else write("data.jsonl", records)
        return hfcli("eval", "-m", model or models.classifier(), "--device", "cpu", "--dataset", file, *flags, **how)

    return call


@pytest.fixture
def predicted(hfcli, models):
    """What `hfcli classify` says of the same texts."""

    def call(texts, model=None, *flags):
        named = model or models.classifier()
        lines = jsonl([{"text": text} for text in texts])
        return hfcli("classify", "-m", named, "--device", "cpu", "--all-scores", *flags, stdin=lines).records

    return call


def scores(result):
    assert result.code == 0, result.err
    return {entry["metric"]: entry["score"] for entry in result.records[0]["scores"]}


# What is measured


def test_a_classifier_is_measured_on_what_classify_says(evaluate, predicted):
    said = [one["label"] for one in predicted(TEXTS)]
    right = [one == label for one, label in zip(said, LABELS, strict=True)]
    assert 0 < sum(right) < len(right)
    result = evaluate()
    told = result.records[0]
    assert result.err == ""
    assert scores(result)["accuracy"] == sum(right) / len(right)
    f1 = []
    for label in ("neg", "pos"):
        both = sum(one == label == gold for one, gold in zip(said, LABELS, strict=True))
        f1.append(2 * both / (said.count(label) + LABELS.count(label)))
    assert scores(result)["f1_macro"] == pytest.approx(sum(f1) / 2)
    assert [row["label"] for row in told["classes"]] == ["neg", "pos"]
    assert re.sub("@[0-9a-f]{7}", "", told["system"]).startswith(
        "classifier|max_len:64|on_long:truncate|dtype:float32|transformers:"
    )
    assert told["scores"][0]["signature"].startswith("accuracy|data:data.jsonl@")
    assert told["models"][0]["name"] == "classifier"
    assert told["models"][0]["per_second"] > 0


def test_probabilities(evaluate, predicted):
    sure = [one["scores"]["pos"] for one in predicted(TEXTS)]
    pos, neg = ([p for p, gold in zip(sure, LABELS, strict=True) if gold == label] for label in ("pos", "neg"))
    pairs = [(a > b) + (a == b) / 2 for a in pos for b in neg]
    found = scores(evaluate(RECORDS, "--metric", "auc", "--metric", "accuracy", "--metric", "calibration_error"))
    assert found["auc"] == pytest.approx(sum(pairs) / len(pairs))
    assert [*found] == ["auc", "calibration_error", "accuracy"]


def test_standard_input_is_a_data_set_too(evaluate):
    assert scores(evaluate("-", stdin=jsonl(RECORDS))) == scores(evaluate())


@pytest.mark.parametrize("labels", [{"pos": 1, "neg": 0}, {"pos": "1", "neg": "0"}, {"pos": 1.0, "neg": 0.0}])
def test_labels_may_be_the_numbers_of_the_models_own(evaluate, labels):
    numbered = [{**record, "label": labels[record["label"]]} for record in RECORDS]
    assert scores(evaluate(numbered)) == scores(evaluate())


def test_a_model_that_only_numbers_its_labels(evaluate, models, tmp_path):
    folder = tmp_path / "numbered"
    shutil.copytree(models.classifier(), folder)
    config = json.loads((folder / "config.json").read_text())
    names = {"0": "LABEL_0", "1": "LABEL_1"}
    config |= {"id2label": names, "label2id": {name: int(i) for i, name in names.items()}}
    (folder / "config.json").write_text(json.dumps(config))
    as_numbers = [{**record, "label": int(record["label"] == "pos")} for record in RECORDS]
    as_names = [{**record, "label": f"LABEL_{record['label']}"} for record in as_numbers]
    expected = scores(evaluate())
    assert scores(evaluate(as_numbers, model=folder)) == expected
    assert scores(evaluate(as_names, model=folder)) == expected
    unknown = evaluate(RECORDS, model=folder)
    assert (unknown.code, unknown.out) == (4, "")
    assert unknown.err.startswith("error: data.jsonl:1: 'pos' is not a label; there is LABEL_0, LABEL_1\n")


def test_records_without_label_or_text_are_left_out_and_counted(evaluate):
    some = [*RECORDS, {"text": "good", "label": None}, {"text": " ", "label": "neg"}, {"text": "bad", "label": -1}]
    result = evaluate(some, "--details", "d.jsonl")
    assert result.err == (
        "note: 1 of 11 records have no text and are left out\nnote: 2 of 11 records have no label and are left out\n"
    )
    assert scores(result) == scores(evaluate())
    assert [json.loads(line)["id"] for line in Path("d.jsonl").read_text().splitlines()] == [f"r{i}" for i in range(8)]


def test_a_model_that_gives_a_number(evaluate, models):
    numbers = [0.5, -1.0, 2.0, 1.5, 0.25]
    records = [{"text": text, "label": number} for text, number in zip(TEXTS, numbers, strict=False)]
    result = evaluate(records, "--details", "d.jsonl", model=models.number())
    rows = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    given = [row["prediction"] for row in rows]
    assert [row["reference"] for row in rows] == numbers
    assert len({*given}) > 3
    found = scores(result)
    assert [*found] == ["pearson", "spearman", "mse"]
    assert found["mse"] == pytest.approx(sum((a - b) ** 2 for a, b in zip(given, numbers, strict=True)) / 5)
    words = evaluate(RECORDS, model=models.number())
    assert (words.code, words.err) == (
        4,
        "error: data.jsonl:1: 'pos' is not a number\nhint:  --label-column NAME names another\n",
    )


def test_numbers_are_those_that_classify_gives(evaluate, models, hfcli):
    records = [{"text": text, "label": 0} for text in TEXTS]
    assert evaluate(records, "--metric", "mae", "--details", "d.jsonl", model=models.number()).code == 0
    kept = [json.loads(line)["prediction"] for line in Path("d.jsonl").read_text().splitlines()]
    told = hfcli("classify", "-m", models.number(), "--device", "cpu", stdin="".join(f"{text}\n" for text in TEXTS))
    assert kept == [one["score"] for one in told.records]


def test_a_model_that_gives_several_labels(evaluate, models, hfcli):
    right = [["joy"], [], ["anger", "fear"], ["surprise"], ["joy", "fear"]]
    records = [{"text": text, "labels": labels} for text, labels in zip(TEXTS, right, strict=False)]
    told = hfcli("classify", "-m", models.several(), "--device", "cpu", stdin="".join(f"{t}\n" for t in TEXTS[:5]))
    given = [{each["label"] for each in one["labels"]} for one in told.records]
    both = sum(len(a & {*b}) for a, b in zip(given, right, strict=True))
    result = evaluate(records, model=models.several())
    found = scores(result)
    assert found["f1_micro"] == pytest.approx(2 * both / (sum(map(len, given)) + sum(map(len, right))))
    assert found["subset_accuracy"] == sum(a == {*b} for a, b in zip(given, right, strict=True)) / 5
    assert {row["label"]: row["n"] for row in result.records[0]["classes"]}["joy"] == 2
    strange = evaluate([{"text": "a", "labels": ["joy", "envy"]}], model=models.several())
    assert (strange.code, strange.err.splitlines()[0]) == (
        4,
        "error: data.jsonl:1: 'envy' is not a label; there is joy, anger, fear, surprise",
    )


def test_groups(evaluate, predicted):
    said = [one["label"] == gold for one, gold in zip(predicted(TEXTS), LABELS, strict=True)]
    told = evaluate(RECORDS, "--metric", "accuracy", "--group-by", "lang").records[0]
    by_group = {name: entries[0] for name, entries in told["groups"].items()}
    assert {name: (entry["score"], entry["n"]) for name, entry in by_group.items()} == {
        "en": (sum(said[::2]) / 4, 4),
        "de": (sum(said[1::2]) / 4, 4),
    }
    assert told["gaps"][0]["score"] == abs(sum(said[::2]) - sum(said[1::2])) / 4
    odd = [{**record, "lang": cell} for record, cell in zip(RECORDS, [None, True, 3, "x"] * 2, strict=True)]
    assert [*evaluate(odd, "--group-by", "lang").records[0]["groups"]] == ["null", "true", "3", "x"]
    wrong = evaluate(RECORDS, "--group-by", "land")
    assert (wrong.code, wrong.err) == (
        4,
        "error: data.jsonl has no column land for --group-by; it has id, text, label, lang\nhint:  did you mean lang?\n",
    )


# Several models


@pytest.fixture
def other(models, tmp_path):
    """The classifier with its labels exchanged, in a folder of the same name."""
    folder = tmp_path / "other" / "classifier"
    shutil.copytree(models.classifier(), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {"0": "pos", "1": "neg"}, "label2id": {"pos": 0, "neg": 1}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_several_models_are_a_table_with_size_and_speed(evaluate, models, other, terminal):
    import transformers

    result = evaluate(RECORDS, "-m", other, "-o", "kept/")
    assert (result.code, result.err) == (0, "")
    assert max(len(line) for line in result.lines if not line.startswith(("score ", "system "))) <= 80
    first = transformers.AutoModelForSequenceClassification.from_pretrained(models.classifier())
    size = f"{sum(each.numel() for each in first.parameters()):,}"
    sizes = [line for line in result.lines if size in line]
    assert len(sizes) == 2
    assert "parameters  per second" in result.out
    assert "each on 8 records" in result.lines
    told = evaluate(RECORDS, "-m", other, "--json").records[0]
    assert [system["name"] for system in told["systems"]] == [
        f"{path.parent.name}/classifier" for path in (models.classifier(), other)
    ]
    a, b = ({entry["metric"]: entry["score"] for entry in system["scores"]} for system in told["systems"])
    assert a["accuracy"] + b["accuracy"] == 1
    assert [each["name"] for each in told["models"]] == [system["name"] for system in told["systems"]]
    kept = sorted(Path("kept").iterdir())
    assert sorted(json.loads(path.read_text())["scores"][0]["score"] for path in kept) == sorted(
        [a["accuracy"], b["accuracy"]]
    )


def test_models_that_do_different_things_are_not_compared(evaluate, models):
    records = [{"text": "good", "label": 1.0}, {"text": "bad", "label": 0.0}]
    result = evaluate(records, "-m", models.number())
    assert (result.code, result.out) == (4, "")
    assert "were not measured in the same way" in result.err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("-m", "builtin/reviews", "--details", "d.jsonl"), "--details is about one model"),
        (("-m", "builtin/reviews", "-o", "x.json"), "-o x.json is one file, and 2 systems are measured"),
        (("-m", "builtin/reviews", "-m", "builtin/reviews"), "-m builtin/reviews was given twice"),
        (("-m", "builtin/reviews", "--dataset", "-"), "standard input is read once, and 2 models were given"),
        (("--metric", "entity_f1"), "entity_f1 measures outputs that are there already"),
        (("--metric", "evaluate:x"), "metrics of evaluate measure outputs that are there already"),
        (("--metric", "accuracy", "--metric", "squad"), "accuracy, squad are about different things"),
        (("--metric", "pearson"), "pearson is not about what classifier gives, which is one label"),
        (("--metric", "subset_accuracy"), "subset_accuracy is not about what classifier gives, which is one label"),
        (("--metric", "accuracy", "--fail-under", "auc=1"), "--fail-under auc: auc is not measured; there is accuracy"),
        (("--fail-under", "auc=1"), "--fail-under auc: auc is not measured; there is accuracy, f1_macro"),
        (("-o", "data.jsonl"), "-o data.jsonl is what is read, and would be lost"),
        (("--details", "data.jsonl"), "--details data.jsonl is what is read, and would be lost"),
        (("--swap", "he=she"), "--swap means nothing for a classifier"),
        (("--scorer", "builtin/reviews"), "--scorer means nothing for a classifier"),
        (("--stride", "8"), "--stride means nothing for a classifier"),
        (("--question-column", "q"), "--question-column means nothing for a classifier"),
        (("--reference-column", "label", "--reference-column", "lang"), "a model's predictions are compared with one column"),
    ],
)  # fmt: skip
def test_lines_that_cannot_be_meant(evaluate, monkeypatch, flags, sentence):
    monkeypatch.setattr(_measure, "measure", None)  # all of it is refused before a record is read
    result = evaluate(RECORDS, *flags)
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[0] == f"error: {sentence}"


@pytest.mark.parametrize(
    ("records", "flags", "code", "sentence"),
    [
        ([{**RECORDS[0], "label": "good"}], (), 4, "data.jsonl:1: 'good' is not a label; there is neg, pos"),
        ([RECORDS[0], {**RECORDS[1], "label": 2}], (), 4, "data.jsonl:2: 2 is not a label; there is neg, pos"),
        ([{"text": "a", "label": None}], (), 4, "data.jsonl has no labels: every one is empty, null or -1"),
        ([{"text": "", "label": "pos"}], (), 4, "data.jsonl has no record with both a text and a label"),
        ([{"text": "a"}], (), 4, "no column looks like the label; there is text (text)"),
        (RECORDS, ("-o", "nowhere/x.json"), 4, "cannot write nowhere/x.json (no such file or directory)"),
        (RECORDS, ("--dataset", "dat.jsonl"), 4, "no file dat.jsonl"),
    ],
)
def test_data_that_cannot_be_measured(evaluate, records, flags, code, sentence):
    result = evaluate(records, *flags)
    assert (result.code, result.out) == (code, "")
    assert next(line for line in result.err.splitlines() if not line.startswith("note:")) == f"error: {sentence}"


def test_models_that_cannot_be_measured(evaluate, models):
    words = evaluate(RECORDS, "--metric", "accuracy", model=models.gpt2())
    assert (words.code, "has no trained head for text-classification" in words.err) == (5, True)
    missing = evaluate(RECORDS, model="builtin/review")
    assert (missing.code, missing.err.splitlines()[1]) == (5, "hint:  did you mean builtin/reviews?")


# What is kept


def test_what_is_kept_gives_the_same_numbers_again(evaluate):
    told = evaluate(RECORDS, "--metric", "f1_macro", "--metric", "log_loss", "-o", "o.json").records[0]
    kept = from_json(json.loads(Path("o.json").read_text()), "o.json")
    assert (kept.name, kept.system, kept.ids) == ("classifier", told["system"], [f"r{i}" for i in range(8)])
    for each, entry in zip(kept.scores, told["scores"], strict=True):
        part = kept.parts[each.part]
        again = measured(each.metric.name, part.family.kinds(part.statistics, part.options))
        assert tuple(again) == (entry["score"], entry["low"], entry["high"], entry["n"]) == tuple(each.score)
        assert kept.signature(each) == entry["signature"]
    assert list(kept.parts[0].statistics.columns["reference"]) == LABELS


def test_a_limit_that_is_missed_is_exit_7_and_all_is_kept(evaluate):
    result = evaluate(RECORDS, "--fail-under", "accuracy=0.99", "-o", "o.json", "--details", "d.jsonl", "-q")
    assert result.code == 7
    assert result.err == f"fail:  accuracy is {result.records[0]['scores'][0]['score']:.6g}, and below 0.99\n"
    assert Path("o.json").exists()
    assert len(Path("d.jsonl").read_text().splitlines()) == 8


@pytest.fixture
def crashed(evaluate, monkeypatch):
    """A run that was killed after two chunks of 3 records, and in the middle of writing the third."""
    from hfcli.cli import _measure

    monkeypatch.setattr(_measure, "CHUNK", 3)
    flags = ("--metric", "accuracy", "--metric", "log_loss")
    full = evaluate(RECORDS, *flags, "--details", "full.jsonl")
    write = Details.write

    def dies(self, inputs, lines):
        if len(lines) < 3:
            raise KeyboardInterrupt
        write(self, inputs, lines)

    with monkeypatch.context() as patch:
        patch.setattr(Details, "write", dies)
        stopped = evaluate(RECORDS, *flags, "--details", "d.jsonl")
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.endswith("are kept in d.jsonl.partial\nhint:  the same line with --resume goes on from there\n")
    with open("d.jsonl.partial", "a") as file:
        file.write('{"id": "r6", "whe')
    return flags, full


def test_details_go_on_after_a_crash(evaluate, crashed, monkeypatch):
    from hfcli.runtime.classification import Classifier

    flags, full = crashed
    again = evaluate(RECORDS, *flags, "--details", "d.jsonl")
    assert (again.code, again.err.splitlines()) == (
        2,
        [
            "error: d.jsonl.partial holds an unfinished run (6 records)",
            "hint:  add --resume to finish it, or --overwrite to start again",
        ],
    )
    asked = []
    ask = Classifier.ask
    monkeypatch.setattr(Classifier, "ask", lambda self, record: asked.append(record["text"]) or ask(self, record))
    result = evaluate(RECORDS, *flags, "--details", "d.jsonl", "--resume")
    assert result.err == "note: 6 records are done, going on from there\n"
    assert asked == TEXTS[6:]
    assert result.records[0]["scores"] == full.records[0]["scores"]
    assert Path("d.jsonl").read_bytes() == Path("full.jsonl").read_bytes()
    assert not list(Path().glob("*.partial*"))


def test_details_do_not_go_on_with_something_else(evaluate, crashed, models, other):
    flags, _ = crashed
    for changed in (
        evaluate(RECORDS, *flags[:2], "--details", "d.jsonl", "--resume"),
        evaluate(RECORDS[::-1], *flags, "--details", "d.jsonl", "--resume"),
        evaluate(RECORDS, *flags, "--details", "d.jsonl", "--resume", model="builtin/reviews"),
    ):
        assert (changed.code, changed.out) == (2, "")
        assert "d.jsonl.partial was written with other settings" in changed.err
    assert evaluate(RECORDS, *flags, "--details", "d.jsonl", "--overwrite").code == 0


def test_details_that_are_complete_say_nothing_of_another_model(evaluate, other):
    first = evaluate(RECORDS, "--metric", "accuracy", "--details", "d.jsonl")
    second = evaluate(RECORDS, "--metric", "accuracy", "--details", "d.jsonl", "--resume", model=other)
    assert scores(first)["accuracy"] + scores(second)["accuracy"] == 1
    rows = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    assert sum(row["accuracy"] for row in rows) / 8 == scores(second)["accuracy"]


def test_details_behind_a_link_go_on_too(evaluate, crashed):
    flags, full = crashed
    Path("d.jsonl.partial").rename("real.jsonl.partial")
    Path("d.jsonl.partial.json").rename("real.jsonl.partial.json")
    Path("d.jsonl").symlink_to("real.jsonl")
    result = evaluate(RECORDS, *flags, "--details", "d.jsonl", "--resume")
    assert result.records[0]["scores"] == full.records[0]["scores"]
    assert Path("real.jsonl").read_bytes() == Path("full.jsonl").read_bytes()
