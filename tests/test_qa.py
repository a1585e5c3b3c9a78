"""`hfcli qa` as a user meets it: answers from texts of any length, in pipes and on a terminal, and what is refused."""

import csv
import gzip
import json
import os
import pty
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import BAD, FILLER, GOOD

CONTEXT = "the film was good and the story was awful in it"
BOTH = ["sports", "politics"]


def filler(n, seed=0):
    return " ".join(random.Random(seed).choices(FILLER, k=n))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def answers(hfcli, models, here):
    """`answers(*argv, stdin=None)`: qa with the model that knows good words from bad ones."""

    def call(*argv, **more):
        return hfcli("qa", "-m", models.answerer(), *argv, **more)

    return call


def test_an_answer_is_a_part_of_the_text_with_its_place(answers):
    result = answers("--context", CONTEXT, "sports", "politics")
    assert result.code == 0
    assert [(r["question"], r["answer"]) for r in result.records] == [("sports", "good"), ("politics", "awful")]
    for record in result.records:
        assert CONTEXT[record["start"] : record["end"]] == record["answer"]
        assert 0.9 < record["score"] <= 1
        assert set(record) == {"question", "answer", "score", "start", "end"}


@pytest.mark.parametrize(
    "argv",
    [
        ("sports", "-"),
        ("--question", "sports", "-"),
        ("sports", "--context", "-"),
        ("sports", "--context-file", "-"),
    ],
)
def test_the_text_comes_on_standard_input_where_that_is_said(answers, argv):
    result = answers(*argv, stdin=f"{CONTEXT}\n")
    assert result.records[0]["answer"] == "good"
    assert result.records[0]["where"] == "standard input:1"
    assert "was not read" in answers("sports", "--context", CONTEXT, stdin="something\n").err


def test_a_file_is_read_whole_and_the_line_is_told(answers, here):
    lines = [filler(12, seed) for seed in range(40)]
    lines[29] = f"{filler(5)} lovely {filler(5)}"
    Path("film.txt").write_text("\n".join(lines) + "\n")
    with gzip.open("film.txt.gz", "wt") as packed:
        packed.write("\n".join(lines) + "\n")
    for name in ("film.txt", "film.txt.gz"):
        record = answers("--context-file", name, "sports").records[0]
        assert (record["answer"], record["where"]) == ("lovely", f"{name}:30")
        text = "\n".join(lines)
        assert text[record["start"] : record["end"]] == "lovely"


def test_many_questions_about_one_text_come_as_lines_or_records(answers, here):
    Path("film.txt").write_text(CONTEXT)
    Path("q.txt").write_text("sports\npolitics\n")
    lines = answers("--context-file", "film.txt", "--file", "q.txt")
    assert [r["answer"] for r in lines.records] == ["good", "awful"]
    assert "2 records in" in lines.err
    piped = answers("--context-file", "film.txt", stdin="sports\npolitics\n")
    assert piped.out == lines.out
    Path("q.csv").write_text("no,query\n1,politics\n2,sports\n")
    rows = answers("--context-file", "film.txt", "--file", "q.csv")
    assert [(r["no"], r["answer"]) for r in rows.records] == [("1", "awful"), ("2", "good")]


def records(n, seed=0):
    rng = random.Random(seed)
    for i in range(n):
        good, bad = rng.choice(GOOD), rng.choice(BAD)
        words = [*rng.choices(FILLER, k=rng.randrange(3, 90)), good, bad]
        rng.shuffle(words)
        question = rng.choice(BOTH)
        text = " ".join(words)
        answer = good if question == "sports" else bad
        yield {
            "id": str(i), "question": question, "context": text,
            "answers": {"text": [answer], "answer_start": [text.index(answer)]},
        }  # fmt: skip


def test_records_keep_their_columns_and_their_order(answers, here):
    given = list(records(60))
    Path("in.jsonl").write_text("".join(json.dumps(r) + "\n" for r in given))
    result = answers("--file", "in.jsonl")
    assert [{k: r[k] for k in given[0]} for r in result.records] == given
    right = [r["answer"] == r["answers"]["text"][0] for r in result.records]
    assert sum(right) >= 58
    assert "longer than 64 tokens (windows)" in result.err
    with open("in.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "question", "context"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(given)
    assert [r["answer"] for r in answers("--file", "in.csv").records] == [r["answer"] for r in result.records]


def test_squads_own_json_is_read(answers, here):
    qas = [{"id": "a", "question": "sports", "answers": [{"text": "good", "answer_start": 13}]}]
    qas.append({"id": "b", "question": "politics", "answers": [{"text": "awful", "answer_start": 36}]})
    article = {"title": "films", "paragraphs": [{"context": CONTEXT, "qas": qas}]}
    Path("dev.json").write_text(json.dumps({"version": "1.1", "data": [article]}))
    result = answers("--file", "dev.json")
    assert [(r["id"], r["title"], r["answer"]) for r in result.records] == [
        ("a", "films", "good"),
        ("b", "films", "awful"),
    ]
    Path("out.jsonl").write_text(result.out)


def test_squads_json_is_asked_without_ids_too(answers, here):
    paragraph = {"context": CONTEXT, "qas": [{"question": "sports"}, {"question": "politics"}]}
    Path("mine.json").write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    assert [r["answer"] for r in answers("--file", "mine.json").records] == ["good", "awful"]


def test_answers_do_not_depend_on_the_batch(answers, here):
    given = list(records(24))
    Path("in.jsonl").write_text("".join(json.dumps(r) + "\n" for r in given))
    together = answers("--file", "in.jsonl", "--dtype", "float32").records
    for record, batched in zip(given[:6], together, strict=False):
        alone = answers("--context", record["context"], record["question"], "--dtype", "float32").records[0]
        assert (alone["start"], alone["end"]) == (batched["start"], batched["end"])
        assert alone["score"] == pytest.approx(batched["score"], rel=1e-4)


@pytest.mark.parametrize("kind", ["xlnet", "distilbert", "roberta"])
def test_other_architectures_are_padded_and_asked_as_they_were_trained(hfcli, models, here, kind):
    special = {"xlnet": {"padding_side": "left"}, "distilbert": {}, "roberta": {"pad_token": "</s>"}}[kind]
    model = models.spans(kind, **special)
    given = list(records(12, seed=5))
    Path("in.jsonl").write_text("".join(json.dumps(r) + "\n" for r in given))
    line = ("qa", "-m", model, "--dtype", "float32", "--max-length", "40", "--doc-stride", "8")
    together = hfcli(*line, "--file", "in.jsonl")
    assert together.code == 0, together.err
    for record, batched in zip(given, together.records, strict=True):
        assert record["context"][batched["start"] : batched["end"]] == batched["answer"]
    for record, batched in zip(given[:3], together.records, strict=False):
        alone = hfcli(*line, "--context", record["context"], record["question"]).records[0]
        assert alone["answer"] == batched["answer"]
        assert alone["score"] == pytest.approx(batched["score"], rel=1e-3)


def test_no_answer_is_an_answer_where_the_threshold_says_so(answers):
    none = ("--context", "the film was and the story was in it", "sports")
    assert answers(*none).records[0]["answer"] is not None
    record = answers(*none, "--no-answer-threshold", "0.5").records[0]
    assert (record["answer"], record["start"], record["end"]) == (None, None, None)
    assert record["score"] == record["no_answer_probability"] > 0.5
    there = answers("--context", CONTEXT, "sports", "--no-answer-threshold", "0.5").records[0]
    assert there["answer"] == "good"
    assert there["no_answer_probability"] < 0.1
    assert answers(*none, "--null-score-diff-threshold", "0").records[0]["answer"] is None
    assert answers(*none, "--null-score-diff-threshold", "1000").records[0]["answer"] is not None
    assert answers(*none, "--no-answer-threshold", "1").records[0]["answer"] is not None
    unknown = answers(*none, "--no-answer-threshold", "auto")
    assert unknown.code == 2
    assert "hint:  --no-answer-threshold 0.5" in unknown.err


def test_a_model_that_is_named_after_squad_2_may_say_that_there_is_none(hfcli, models, here):
    shutil.copytree(models.answerer(), "tiny-squad2")
    none = ("--context", "the film was and the story was in it", "sports")
    assert hfcli("qa", "-m", "./tiny-squad2", *none).records[0]["answer"] is None
    assert hfcli("qa", "-m", "./tiny-squad2", *none, "--no-answer-threshold", "1").records[0]["answer"] is not None


def test_a_file_that_was_meant_as_the_text_is_named_in_the_hint(answers, here):
    Path("film.txt").write_text(CONTEXT)
    result = answers("film.txt", "sports")
    assert result.code == 2
    assert "hint:  --context-file film.txt," in result.err


def test_what_is_read_is_never_written_over(answers, hfcli, here):
    Path("film.txt").write_text(CONTEXT)
    result = answers("--context-file", "film.txt", "sports", "-o", "./film.txt")
    assert result.code == 2
    assert "is what is read, and would be lost" in result.err
    assert Path("film.txt").read_text() == CONTEXT
    for command in ("classify", "generate"):
        assert hfcli(command, "--file", "film.txt", "-o", "film.txt").code == 2
    assert Path("film.txt").read_text() == CONTEXT


def test_a_context_of_the_records_own_is_spoken_of(answers, here):
    Path("in.jsonl").write_text(json.dumps({"question": "sports", "context": "so lovely"}) + "\n")
    result = answers("--context", CONTEXT, "--file", "in.jsonl")
    assert "note: column context is not read" in result.err


def test_settings_that_hfcli_does_not_write_are_the_models_fault(hfcli, models, here):
    shutil.copytree(models.answerer(), "model")
    for name, value in (("null_threshold", "x"), ("max_answer_length", 0), ("null_scale", -1)):
        kept = {"task": "question-answering", "columns": {}, name: value}
        Path("model/hfcli_settings.json").write_text(json.dumps(kept))
        result = hfcli("qa", "-m", "./model", "--context", CONTEXT, "sports")
        assert result.code == 5, result.err
        assert "is not what hfcli finetune writes" in result.err


def test_a_model_of_another_kind_has_no_head_for_it(hfcli, models, here):
    result = hfcli("qa", "-m", models.llama(), "--context", CONTEXT, "sports")
    assert result.code == 5
    assert "has no trained head for question-answering" in result.err


def test_several_answers_come_best_first(answers):
    record = answers("--context", CONTEXT, "sports", "--top-k", "3").records[0]
    assert [each["score"] for each in record["answers"]] == sorted(
        (a["score"] for a in record["answers"]), reverse=True
    )
    assert record["answers"][0]["answer"] == record["answer"] == "good"
    assert len({(each["start"], each["end"]) for each in record["answers"]}) == 3
    none = ("--context", "the film was and it", "sports", "--no-answer-threshold", "0.5")
    record = answers(*none, "--top-k", "2").records[0]
    assert [each["answer"] is None for each in record["answers"]] == [True, False]


def test_long_answers_are_cut_off_by_the_limit(answers):
    record = answers("--context", CONTEXT, "sports", "--top-k", "20", "--max-answer-length", "2").records[0]
    assert max(len(each["answer"].split()) for each in record["answers"]) <= 2


def test_an_input_column_of_our_name_moves(answers, here):
    Path("in.jsonl").write_text(
        json.dumps({"question": "sports", "context": CONTEXT, "answer": "mine", "score": 3}) + "\n"
    )
    result = answers("--file", "in.jsonl")
    assert result.records[0]["input_answer"] == "mine"
    assert result.records[0]["answer"] == "good"
    assert "moved to input_answer, input_score" in result.err


def test_a_stopped_job_goes_on(answers, here, monkeypatch):
    from tests.test_pipes import Cut

    given = list(records(30, seed=2))
    Path("in.jsonl").write_text("".join(json.dumps(r) + "\n" for r in given))
    whole = answers("--file", "in.jsonl", "-o", "whole.jsonl")
    assert whole.code == 0, whole.err
    from hfcli.runtime import chunking
    from hfcli.runtime.answering import Answerer

    monkeypatch.setattr(chunking, "CHUNK_RECORDS", 8)
    done, begin = [], Answerer.begin

    def cut(self, *arguments):
        if len(done) == 2:
            raise Cut
        done.append(1)
        return begin(self, *arguments)

    monkeypatch.setattr(Answerer, "begin", cut)
    with pytest.raises(Cut):
        answers("--file", "in.jsonl", "-o", "cut.jsonl")
    monkeypatch.setattr(Answerer, "begin", begin)
    again = answers("--file", "in.jsonl", "-o", "cut.jsonl", "--resume")
    assert "16 records are done, going on from there" in again.err
    assert [r["answer"] for r in map(json.loads, Path("cut.jsonl").read_text().splitlines())] == [
        r["answer"] for r in map(json.loads, Path("whole.jsonl").read_text().splitlines())
    ]


BAD_LINES = [
    ({"question": "", "context": CONTEXT}, "the question is empty"),
    ({"question": "sports", "context": ""}, "the context is empty"),
    ({"question": "sports"}, "no column context; there is question"),
    ({"question": "sports", "context": None}, "column context holds null, not text"),
    (
        {"question": "sports " * 80, "context": CONTEXT},
        "the question is 80 tokens, which leaves no room for the context",
    ),
]


@pytest.mark.parametrize(("record", "said"), BAD_LINES)
def test_a_bad_record_is_named_by_its_line(answers, here, record, said):
    good = {"question": "sports", "context": CONTEXT}
    Path("in.jsonl").write_text("".join(json.dumps(r) + "\n" for r in (good, record, good)))
    result = answers("--file", "in.jsonl")
    assert result.code == 4
    assert f"error: in.jsonl:2: {said}" in result.err
    assert [r["answer"] for r in result.records] == ["good"]
    kept = answers("--file", "in.jsonl", "--on-error", "record")
    assert kept.code == 3
    assert [r.get("answer") for r in kept.records] == ["good", None, "good"]
    assert said in kept.records[1]["error"]


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (("sports",), 2, "no text to find the answer in"),
        (("sports", "--context", ""), 2, "--context is empty"),
        (("sports", "--context", " "), 4, "--context is empty"),
        (("", "--context", CONTEXT), 2, "a question is empty"),
        (("sports", "--context", "a", "--context-file", "b"), 2, "--context and --context-file both say where to look"),
        (("sports", "-", "--context", "a"), 2, "- is the text on standard input"),
        (("sports", "--context", "a", "--file", "q.txt"), 2, "--file is about an input, and a question was given"),
        (("sports", "--context-file", "nothing.txt"), 4, "no file nothing.txt"),
        (
            ("sports", "--context", "a", "--doc-stride", "64"),
            2,
            "--doc-stride 64 is how much windows of --max-length 64",
        ),
        (("sports", "--context", "a", "--doc-stride", "62"), 2, "--doc-stride 62 is not below the 61 tokens"),
        (("sports", "--context", "a", "--max-length", "65"), 2, "answerer takes 64 tokens"),
        (("sports", "--context", "a", "--top-k", "21"), 2, "--top-k 21: 20 answers are looked for"),
        (("sports", "--context", "a", "--no-answer-threshold", "2"), 2, "out of range"),
        (
            ("sports", "--context", "a", "--no-answer-threshold", "0.5", "--null-score-diff-threshold", "0"),
            2,
            "two ways",
        ),
        (("--context", "-"), 2, "standard input is the text, and there is no question"),
        (("--file", "q.txt"), 4, "q.txt:1: questions alone, and no text to find the answers in"),
        (("--file", "rows.csv"), 4, "no column looks like the context"),
        (("--file", "rows.csv", "--context-column", "txt"), 4, "did you mean text?"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(answers, here, argv, code, said):
    Path("q.txt").write_text("sports\n")
    Path("rows.csv").write_text("question,text\nsports,a film\n")
    result = answers(*argv)
    assert (result.code, result.out) == (code, "")
    assert said in result.err


def test_a_classifier_cannot_answer(hfcli, models, here):
    result = hfcli("qa", "-m", models.classifier(), "--context", CONTEXT, "sports")
    assert result.code == 5
    assert "no trained head for question-answering" in result.err


def test_naughty_texts_are_texts(answers, here):
    texts = [
        "\u202e\u2066",
        "\U0001f469\u200d\U0001f467",
        "\x1b[31m",
        "\ufeff",
        "[SEP] [CLS]",
        "{}",
        "\u0645\u0631\u062d\u0628\u0627",
        "\x00".join("ab"),
    ]
    with open("in.jsonl", "w") as file:
        for text in texts:
            file.write(json.dumps({"question": f"{text} sports", "context": f"{text} the film was good {text}"}) + "\n")
    result = answers("--file", "in.jsonl")
    assert result.code == 0, result.err
    for record in result.records:
        assert record["context"][record["start"] : record["end"]] == record["answer"]


def terminal(model, *argv, columns=80, env=None):
    """What a terminal shows of a command: standard output and error on one."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", **(env or {})}
    with subprocess.Popen(
        [sys.executable, "-m", "hfcli", "qa", "-m", str(model), *argv],
        stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, env=environment,
        cwd=Path(__file__).parent.parent,
    ) as process:  # fmt: skip
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
    os.close(leader)
    assert process.returncode == 0, shown
    return shown.decode().replace("\r\n", "\n")


def test_a_terminal_shows_the_answer_in_its_surroundings(models, tmp_path):
    model, path = models.answerer(), tmp_path / "film.txt"
    path.write_text(f"{filler(30)}\n{filler(4)} lovely {filler(30, 1)}\n")
    shown = terminal(model, "--context-file", str(path), "sports").split("\n")
    assert shown[0].startswith("lovely    ")
    assert shown[0].endswith(f"   {path}:2")
    assert shown[1] == ""
    assert shown[2].startswith("  ... ")
    around = " ".join(line.strip() for line in shown[2:])
    assert "[lovely]" in around
    assert max(map(len, shown[2:])) <= 80
    assert len(around.split()) == 12 + 1 + 12 + 2
    plain = terminal(model, "--context-file", str(path), "sports", "--show-context", "0")
    assert plain.count("\n") == 1
    coloured = terminal(model, "--context-file", str(path), "sports", env={"NO_COLOR": ""})
    assert "\x1b[1m[lovely]\x1b[0m" in coloured
    assert terminal(model, "--context-file", str(path), "sports", "-q") == "lovely\n"


def test_a_terminal_says_no_answer_with_the_best_guess(models, tmp_path):
    line = ("--context", "the film was and it", "--no-answer-threshold", "0.5", "sports")
    shown = terminal(models.answerer(), *line)
    assert shown.startswith("no answer  ")
    assert 'note: best guess "' in shown
    assert "--top-k 3 for more" in shown
    several = terminal(models.answerer(), *line, "politics").split("\n")
    assert several[0] == "sports"
    assert several[3] == "politics"
    evil = terminal(models.answerer(), "--context", "good \x1b[31m film", "sports")
    assert "\x1b[31m" not in evil
