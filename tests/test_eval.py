"""`hfcli eval` for stored answers: the official numbers, every form of predictions and references, and what is refused."""

import gzip
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from hfcli import __version__
from hfcli.cli.console import Console

SHARED = Path(__file__).parents[2] / "shared" / "data" / "squad"

# One question is right, one half right, one wrong; two have no answer, and one of these is right.
ANSWERS = {"a": "the Eiffel Tower", "b": "Paris France", "c": "1889", "d": None, "e": "Bonn"}
TEXTS = {"a": ["Eiffel Tower"], "b": ["Paris", "in Paris"], "c": ["1887"], "d": [], "e": []}
PREDICTIONS = [{"id": key, "answer": text} for key, text in ANSWERS.items()]
REFERENCES = [{"id": key, "answers": {"text": texts, "answer_start": [0] * len(texts)}} for key, texts in TEXTS.items()]
QUESTIONS = [
    {"id": key, "question": "?", "answers": [{"text": text, "answer_start": 0} for text in texts]}
    for key, texts in TEXTS.items()
]
DOCUMENT = {"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"context": "x", "qas": QUESTIONS}]}]}


def jsonl(records):
    return "".join(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        if name.endswith(".parquet"):
            pa.parquet.write_table(pa.Table.from_pylist(content), name)
            return name
        if not isinstance(content, str):
            content = jsonl(content) if name.endswith((".jsonl", ".jsonl.gz")) else json.dumps(content)
        data = content.encode()
        Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return name

    return write


@pytest.fixture
def measure(hfcli, write):
    def call(predictions=None, references=None, *flags, metric="squad_v2", **how):
        predictions = predictions or write("p.jsonl", PREDICTIONS)
        references = references or write("r.jsonl", REFERENCES)
        return hfcli(
            "eval", "--metric", metric, "--predictions", predictions, "--references", references, *flags, **how
        )

    return call


def values(result):
    assert (result.code, result.err) == (0, "")
    return {entry["metric"]: entry["score"] for entry in result.records[0]["scores"]}


def test_one_object_off_a_terminal(measure):
    result = measure()
    (told,) = result.records
    digest = hashlib.sha256(jsonl(REFERENCES).encode()).hexdigest()[:7]
    signature = f"exact_match|data:r.jsonl@{digest}|rules:2|n:5|ci:bs1000-12345|hfcli:{__version__}"
    exact, f1 = told["scores"]
    assert (exact["metric"], exact["score"], exact["n"], exact["signature"]) == ("exact_match", 40, 5, signature)
    assert f1["score"] == pytest.approx(100 * (1 + 2 / 3 + 0 + 1 + 0) / 5)
    assert exact["low"] < exact["score"] < exact["high"]
    assert {group: [entry["n"] for entry in scores] for group, scores in told["apart"].items()} == {
        "answerable": [3, 3],
        "unanswerable": [2, 2],
    }
    assert [entry["score"] for entry in told["apart"]["unanswerable"]] == [50, 50]
    assert (exact["better"], f1["signature"]) == ("higher", signature.replace("exact_match", "f1"))
    assert (told["missing"], told["unknown"], "best_f1" in told) == (0, 0, False)


def test_a_terminal_gets_a_table(measure, write, monkeypatch):
    def on_terminal(self, quiet=False):
        begin(self, quiet)
        self.terminal = True

    begin = Console.__init__
    monkeypatch.setattr(Console, "__init__", on_terminal)
    given = [{**record, "no_answer_probability": i / 10} for i, record in enumerate(PREDICTIONS)]
    result = measure(write("p.jsonl", given))
    *table, signature = result.lines
    assert table == [
        "                score  interval        scale",
        "exact_match    40.000  [0.00, 80.00]   0 to 100  5 questions",
        "f1             53.333  [13.33, 93.33]  0 to 100",
        "",
        "              exact_match               f1                                n",
        "answerable      33.333  [0.00, 100.00]    55.556  [0.00, 100.00]          3",
        "unanswerable    50.000  [0.00, 100.00]    50.000  [0.00, 100.00]          2",
        "",
        "best            60.000  [20.0, 100.0]  exact_match at no-answer threshold 0.05",
        "                73.333  [33.3, 100.0]  f1 at no-answer threshold 0.15",
        "",
    ]
    assert signature.startswith("score   exact_match,f1|data:r.jsonl@")
    assert measure(write("p.jsonl", given), None, "--json").records[0]["best_f1"]["threshold"] == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", PREDICTIONS),
        ("p.jsonl.gz", PREDICTIONS),
        ("p.json", PREDICTIONS),
        ("p.json", ANSWERS),
        ("p.json", json.dumps({**ANSWERS, "d": ""}, indent=4)),
        ("p.json.gz", ANSWERS),
        ("p.parquet", PREDICTIONS),
        ("p.csv", "id,answer\n" + "".join(f"{key},{text or ''}\n" for key, text in ANSWERS.items())),
        ("p.tsv", "id\tanswer\n" + "".join(f"{key}\t{text or ''}\n" for key, text in ANSWERS.items())),
    ],
)
def test_predictions_come_in_many_forms(measure, write, name, content):
    assert values(measure(write(name, content))) == pytest.approx({"exact_match": 40, "f1": 160 / 3})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.json", DOCUMENT),
        ("r.json.gz", json.dumps(DOCUMENT, indent=2)),
        ("r.json", {"data": [{**each, "context": "x"} for each in QUESTIONS], "version": "v2.0"}),
        ("r.json", REFERENCES),
        ("r.jsonl", [{"id": key, "answers": texts} for key, texts in TEXTS.items()]),
        ("r.jsonl", [{"id": key, "answers": [{"text": text} for text in texts]} for key, texts in TEXTS.items()]),
        ("r.jsonl", [{"id": key, "answers": texts[0] if len(texts) == 1 else texts or None} for key, texts in TEXTS.items()]),
        ("r.parquet", REFERENCES),
        ("r.tsv", "id\tanswers\n" + "".join(f"{key}\t{json.dumps(texts)}\n" for key, texts in TEXTS.items())),
        ("r.tsv", "id\tanswers\n" + "".join(f"{each['id']}\t{json.dumps(each['answers'])}\n" for each in REFERENCES)),
    ],
)  # fmt: skip
def test_references_come_in_many_forms(measure, write, name, content):
    assert values(measure(None, write(name, content))) == pytest.approx({"exact_match": 40, "f1": 160 / 3})


def test_either_comes_on_standard_input(measure, write):
    assert values(measure("-", stdin=json.dumps(ANSWERS, indent=1)))["exact_match"] == 40
    assert values(measure("-", stdin=jsonl(PREDICTIONS)))["exact_match"] == 40
    (told,) = measure(None, "-", stdin=json.dumps(DOCUMENT)).records
    assert told["scores"][0]["score"] == 40
    digest = hashlib.sha256(json.dumps(DOCUMENT).encode()).hexdigest()[:7]
    assert told["scores"][0]["signature"].startswith(f"exact_match|data:stdin@{digest}|rules:2|n:5|")


def test_the_signature_is_that_of_the_unpacked_content(measure, write):
    plain = measure(None, write("r.json", DOCUMENT)).records
    assert measure(None, write("r.json.gz", DOCUMENT)).records == plain


def test_numbers_are_ids_and_another_column_the_prediction(measure, write):
    references = write("r.csv", 'id,answers\n1,"[""Paris""]"\n2,Rome\n')
    predictions = write("p.jsonl", [{"id": 1, "reply": "paris"}, {"id": 2, "reply": "Rome"}])
    assert values(measure(predictions, references, "--prediction-column", "reply", metric="squad"))["f1"] == 100


def test_ids_that_are_not_on_both_sides_count_as_in_the_official_scripts(measure, write):
    references = write("r.jsonl", REFERENCES[:3])
    predictions = write("p.jsonl", [PREDICTIONS[0], {"id": "z", "answer": "x"}])
    first = measure(predictions, references, metric="squad")
    assert first.err == (
        "note: 2 of 3 questions have no prediction and score 0, as in the official script\n"
        "note: 1 prediction belongs to no question of r.jsonl and is ignored\n"
    )
    assert first.records[0]["scores"][0]["score"] == pytest.approx(100 / 3)
    assert (first.records[0]["missing"], first.records[0]["unknown"]) == (2, 1)
    second = measure(predictions, references, metric="squad_v2")
    assert "2 of 3 questions have no prediction and are left out, as in the official script" in second.err
    assert [second.records[0]["scores"][0][key] for key in ("score", "n")] == [100, 1]
    assert measure(predictions, references, "-q", metric="squad").err == ""


@pytest.mark.parametrize(
    ("predictions", "references", "sentence", "hint"),
    [
        ([*PREDICTIONS, PREDICTIONS[1]], None, "p.jsonl:6 has the id b again, after p.jsonl:2", "keep one of the two"),
        (None, [*REFERENCES, REFERENCES[0]], "r.jsonl:6 has the id a again, after r.jsonl:1", "keep one of the two"),
        ([{"id": "a", "answer": 7}], None, "p.jsonl:1 has a prediction that is a number, not a text or null (id a)", "--prediction-column NAME names another column; there is id, answer"),
        ([{"id": "a", "answr": "x"}], None, "p.jsonl:1 has no column answer; there is id, answr", "did you mean answr?"),
        ([{"id": "a", "text": "x"}], None, "p.jsonl:1 has no column answer; there is id, text", "--prediction-column NAME names another"),
        (REFERENCES, None, "p.jsonl:1 has no column answer; there is id, answers", "are --predictions and --references the other way round?"),
        (None, PREDICTIONS, "r.jsonl:1 has no column answers; there is id, answer", "are --predictions and --references the other way round?"),
        ([{"answer": "x"}], None, "p.jsonl:1 has no column id; there is answer", None),
        ([{"id": None, "answer": "x"}], None, "p.jsonl:1 has an empty id; a text or a whole number is wanted", "each question has its own id"),
        ([{"id": [1], "answer": "x"}], None, "p.jsonl:1 has an id that is an array; a text or a whole number is wanted", "each question has its own id"),
        (None, [{"id": "a", "answers": 7}], "r.jsonl:1 has an answer that is a number, not a text (id a)", 'for example ["Denver Broncos"], or [] where there is no answer'),
        (None, [{"id": "a", "answers": [["x"]]}], "r.jsonl:1 has an answer that is an array, not a text (id a)", 'for example ["Denver Broncos"], or [] where there is no answer'),
        ([{"id": "z", "answer": "x"}], None, "no id of p.jsonl is in r.jsonl", "the ids have to be the same: p.jsonl begins with z, r.jsonl with a"),
        ([{**PREDICTIONS[0], "no_answer_probability": "high"}], None, "p.jsonl:1 has a no_answer_probability that is no number (id a)", "a number from 0 to 1 is wanted"),
        ([{**PREDICTIONS[0], "no_answer_probability": 0.5}, PREDICTIONS[1]], None, "1 of 2 predictions of p.jsonl have no no_answer_probability (id b)", "give it to all of them, or to none"),
        ("{}x", None, "p.jsonl:1 is not JSON (more text after the end, column 3)", None),
        ("", None, "p.jsonl is empty", None),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_said(measure, write, predictions, references, sentence, hint):
    given = None if predictions is None else write("p.jsonl", predictions)
    right = None if references is None else write("r.jsonl", references)
    result = measure(given, right)
    assert (result.code, result.out) == (4, "")
    assert result.err == f"error: {sentence}\n" + (f"hint:  {hint}\n" if hint else "")


def test_files_of_another_kind_are_refused(measure, write):
    text = measure(write("p.txt", "Paris\nRome\n"))
    assert (text.code, text.err.splitlines()[0]) == (4, "error: p.txt is lines of text, without ids")
    best = measure(write("nbest.json", {"a": [{"text": "Paris"}]}))
    assert (best.code, best.err) == (4, "error: nbest.json: answer 1 is an array, not a text or null (id a)\n")
    twice = measure(write("p.json", '{"a": "x", "a": "y"}'))
    assert (twice.code, twice.err.splitlines()[0]) == (4, "error: p.json has 'a' twice")
    swapped = measure(write("dev.json", DOCUMENT))
    assert swapped.err.splitlines()[1] == "hint:  are --predictions and --references the other way round?"
    other_way = measure(None, write("p.json", json.dumps(ANSWERS, indent=1)))
    assert other_way.err.splitlines()[1] == "hint:  are --predictions and --references the other way round?"


def test_questions_without_an_answer_need_the_second_version(measure):
    result = measure(metric="squad")
    assert result.code == 4
    assert result.err == (
        "error: 2 of 5 questions of r.jsonl have no answer, and squad needs one\nhint:  --metric squad_v2\n"
    )


NOTHING = "--dataset NAME measures a model, --predictions FILE stored outputs, --metric perplexity a language model"
EXAMPLE = "hfcli eval --metric squad --predictions answers.jsonl --references dev-v1.1.json"


@pytest.mark.parametrize(
    ("flags", "sentence", "hint"),
    [
        ((), "nothing to measure", NOTHING),
        (
            ("--predictions", "p.jsonl"),
            "no --metric says what to measure",
            "hfcli eval --list-metrics shows what there is",
        ),
        (("--metric", "squad2", "--predictions", "p.jsonl"), "no metric squad2", "did you mean squad?"),
        (("--metric", "squad"), "nothing to measure", NOTHING),
        (
            ("--metric", "squad", "--references", "r.jsonl"),
            "--references needs --predictions FILE",
            "hfcli eval --metric bleu --predictions out.txt --references ref.txt",
        ),
        (("--metric", "squad", "--predictions", "p.jsonl"), "--metric squad needs one --references FILE", EXAMPLE),
        (
            ("--metric", "squad", "--predictions", "-", "--references", "-"),
            "standard input cannot be both --predictions and --references",
            "put one into a file",
        ),
        (
            ("--metric", "squad", "--predictions", ""),
            "--predictions is empty",
            "give it a value, or leave out --predictions",
        ),
    ],
)
def test_lines_that_are_not_whole_are_refused(hfcli, flags, sentence, hint):
    result = hfcli("eval", *flags)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: {sentence}\nhint:  {hint}\n"


def test_no_model_is_loaded_for_it(shell, write):
    heavy = "torch transformers datasets accelerate evaluate peft huggingface_hub pyarrow yaml rich".split()
    line = f"hfcli eval --metric squad_v2 --predictions {write('p.jsonl', PREDICTIONS)} --references {write('r.jsonl', REFERENCES)}"
    done = shell(line, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {entry.rsplit("|", 1)[-1].strip().split(".")[0] for entry in done.stderr.splitlines() if "|" in entry}
    assert "numpy" in imported
    assert not imported & set(heavy)


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_stored_predictions_have_their_published_scores(measure):
    predictions = SHARED / "predictions-v1.1" / "bert_ensemble.json.gz"
    wanted = json.loads((SHARED / "EXPECTED.json").read_text())["measured"]["bert_ensemble"]
    found = values(measure(predictions, SHARED / "dev-v1.1.json.gz", metric="squad"))
    assert {name: round(value, 3) for name, value in found.items()} == {
        "exact_match": wanted["exact"],
        "f1": wanted["f1"],
    }
