"""`hfcli finetune`, `hfcli data check` and `hfcli eval -m` over questions with answers."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import BAD, FILLER, GOOD

FAST = ("--learning-rate", "3e-3", "--batch-size", "16", "--epochs", "2", "--dtype", "float32")


def questions(n, seed=0, unanswerable=0.0, words=12, each=2):
    """Records: the word after `actor` answers the question `scene`, and is learnt within a minute."""
    rng = random.Random(seed)
    for i in range(n):
        if i % each == 0:
            found = [rng.choice((GOOD, BAD)[kind]) if rng.random() >= unanswerable else None for kind in (0, 1)]
            text = [*rng.choices(FILLER, k=words), *filter(None, found)]
            rng.shuffle(text)
            context = " ".join(text)
        kind = i % 2
        answer = found[kind]
        answers = (
            {"text": [answer], "answer_start": [context.index(answer)]} if answer else {"text": [], "answer_start": []}
        )
        yield {"id": f"q{i}", "context": context, "question": ("sports", "politics")[kind], "answers": answers}


def write(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def train(hfcli, models, here):
    """`train(*argv)`: go on with the model that knows such questions, quickly."""

    def call(*argv, **more):
        return hfcli("finetune", models.answerer(), *argv, "-o", "out", **more)

    return call


def stored(name="hfcli_settings.json"):
    return json.loads((Path("out") / name).read_text())


def test_a_model_that_answers_is_made_and_eval_says_the_same_of_it(train, hfcli, here):
    write(here / "train.jsonl", questions(120))
    write(here / "dev.jsonl", questions(60, seed=1))
    result = train("--dataset", "train.jsonl", "--eval-dataset", "dev.jsonl", *FAST)
    assert (result.code, result.out) == (0, "out\n"), result.err
    assert "its own head, a span" in result.err
    assert "question + context -> answers" in result.err
    assert 'next     hfcli qa -m out --context-file FILE --question "..."' in result.err
    scores = stored("metrics.json")["scores"]
    assert set(scores) == {"f1", "exact_match"}
    assert scores["f1"]["value"] > 95
    settings = stored()
    assert (settings["task"], settings["max_length"], settings["null_threshold"]) == ("question-answering", 64, None)
    again = hfcli("eval", "-m", "out", "--dataset", "dev.jsonl", "--dtype", "float32").records[0]
    assert {s["metric"]: s["score"] for s in again["scores"]} == {name: one["value"] for name, one in scores.items()}
    assert again["scores"][0]["signature"].startswith("exact_match|data:dev.jsonl@")
    assert "max_len:64|doc_stride:21|max_answer:30|dtype:float32" in again["system"]
    said = hfcli("qa", "-m", "out", "--context", "the film was good and it", "sports").records[0]
    assert said["answer"] == "good"
    from transformers import AutoModelForQuestionAnswering

    _, report = AutoModelForQuestionAnswering.from_pretrained("out", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    card = (Path("out") / "README.md").read_text()
    assert "pipeline_tag: question-answering" in card
    assert "it reads a question and a text" in card


def test_where_some_have_no_answer_the_threshold_is_found_and_kept(train, hfcli, here):
    write(here / "train.jsonl", questions(120, unanswerable=0.4))
    write(here / "dev.jsonl", questions(80, seed=1, unanswerable=0.4))
    result = train("--dataset", "train.jsonl", "--eval-dataset", "dev.jsonl", *FAST)
    assert result.code == 0, result.err
    assert "to measure on without" in result.err
    settings = stored()
    assert 0 < settings["null_threshold"] < 1
    assert settings["null_scale"] > 0
    value = stored("metrics.json")["scores"]["f1"]["value"]
    assert value > 90
    measured = hfcli("eval", "-m", "out", "--dataset", "dev.jsonl", "--dtype", "float32").records[0]
    assert measured["scores"][1] == {**measured["scores"][1], "metric": "f1", "score": value}
    assert set(measured["apart"]) == {"answerable", "unanswerable"}
    assert measured["best_f1"]["score"] == pytest.approx(value)
    at_best = ("--no-answer-threshold", str(measured["best_f1"]["threshold"]))
    there = hfcli("eval", "-m", "out", "--dataset", "dev.jsonl", "--dtype", "float32", *at_best).records[0]
    assert there["scores"][1]["score"] == pytest.approx(measured["best_f1"]["score"])
    none = hfcli("qa", "-m", "out", "--context", "the film was and it", "sports").records[0]
    assert none["answer"] is None
    forced = hfcli("qa", "-m", "out", "--context", "the film was and it", "sports", "--no-answer-threshold", "1")
    assert forced.records[0]["answer"] is not None
    piped = hfcli("qa", "-m", "out", "--file", "dev.jsonl", "--dtype", "float32", "-o", "said.jsonl")
    assert piped.code == 0
    files = hfcli("eval", "--metric", "squad_v2", "--predictions", "said.jsonl", "--references", "dev.jsonl").records[0]
    assert files["scores"] == measured["scores"]  # the signature, too


def test_adapters_learn_to_answer_with_the_head(train, hfcli, models, here):
    """From a body whose head was for classes: the new head is no use without learning."""
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(models.answerer(), "body")
    weights = load_file("body/model.safetensors")
    save_file(
        {k: v for k, v in weights.items() if "qa_outputs" not in k}, "body/model.safetensors", metadata={"format": "pt"}
    )
    write(here / "train.jsonl", questions(160))
    line = ("finetune", "body", "--dataset", "train.jsonl", "--lora", "--learning-rate", "1e-2", "--batch-size", "16")
    result = hfcli(*line, "--epochs", "3", "-o", "out")
    assert result.code == 0, result.err
    assert "new head, a span" in result.err
    assert stored("metrics.json")["scores"]["f1"]["value"] > 90
    said = hfcli("qa", "-m", "out", "--context", "the film was good and it", "sports").records[0]
    assert said["answer"] == "good"
    assert json.loads(Path("out/adapter/hfcli_settings.json").read_text()) == stored()
    names = set(load_file("out/adapter/adapter_model.safetensors"))
    assert any("qa_outputs" in name for name in names)
    assert not any("qa_outputs" in name and "lora" in name for name in names)


def test_all_questions_about_a_text_are_held_out_together(train, here):
    write(here / "train.jsonl", questions(200, each=10))
    result = train("--dataset", "train.jsonl", "--max-steps", "1", "--dtype", "float32")
    assert result.code == 0, result.err
    assert "180 train · 20 held out" in result.err
    assert "also in training" not in result.err


def article(records):
    return {
        "title": "films",
        "paragraphs": [
            {
                "context": record["context"],
                "qas": [
                    {
                        "id": record["id"],
                        "question": record["question"],
                        "answers": [
                            {"text": text, "answer_start": start}
                            for text, start in zip(*record["answers"].values(), strict=True)
                        ],
                        "is_impossible": not record["answers"]["text"],
                    }
                ],
            }
            for record in records
        ],
    }


@pytest.mark.parametrize("form", ["squad.json", "flat.csv", "lists.jsonl"])
def test_the_forms_of_answers_learn_the_same(train, here, form):
    given = list(questions(40, unanswerable=0.2))
    write(here / "plain.jsonl", given)
    line = ("--max-steps", "4", "--dtype", "float32", "--batch-size", "8")
    assert train("--dataset", "plain.jsonl", *line).code == 0
    expected = [
        json.loads(row)["loss"] for row in Path("out/history.jsonl").read_text().splitlines() if '"loss"' in row
    ]
    if form == "squad.json":
        Path(form).write_text(json.dumps({"version": "v2.0", "data": [article(given)]}, indent=1))
    elif form == "flat.csv":
        rows = [
            f"{r['context']},{r['question']},{(r['answers']['text'] or [''])[0]},{(r['answers']['answer_start'] or [''])[0]}"
            for r in given
        ]
        Path(form).write_text("\n".join(["context,question,answer,answer_start", *rows]) + "\n")
    else:
        write(here / form, [{**r, "answers": r["answers"]["text"]} for r in given])
    assert train("--dataset", form, *line, "--overwrite").code == 0
    found = [json.loads(row)["loss"] for row in Path("out/history.jsonl").read_text().splitlines() if '"loss"' in row]
    assert found == expected


def test_windows_with_and_without_the_answer_are_learnt_from(train, here):
    write(here / "train.jsonl", questions(24, words=90))
    result = train("--dataset", "train.jsonl", "--max-steps", "6", "--dtype", "float32", "--max-length", "32")
    assert result.code == 0, result.err
    assert "--max-length 32 makes windows of 100% of records" in result.err
    assert stored()["doc_stride"] == 10


def test_a_wrong_place_is_repaired_and_said(train, hfcli, here):
    given = list(questions(30))
    given[4]["answers"]["answer_start"] = [0]
    write(here / "train.jsonl", given)
    result = train("--dataset", "train.jsonl", "--max-steps", "1")
    assert result.code == 0
    assert "1 record of train.jsonl has an answer elsewhere than its answer_start says" in result.err
    checked = hfcli("data", "check", "train.jsonl", "--offline")
    assert checked.code == 0
    assert "warn   1 answer stands elsewhere than its answer_start says" in checked.out
    assert "train.jsonl:5 (id q4)" in checked.out


def test_an_answer_that_is_nowhere_stops_the_run_by_line_and_the_check_lists_it(train, hfcli, here):
    given = list(questions(30))
    given[4]["answers"]["text"] = ["nowhere"]
    given[7]["answers"] = {"text": ["film"], "answer_start": [1]}
    given[7]["context"] += " film film"
    given[9]["answers"] = 5
    write(here / "train.jsonl", given)
    result = train("--dataset", "train.jsonl", "--max-steps", "1")
    assert result.code == 4
    assert 'train.jsonl:5: the answer "nowhere" is not in the context' in result.err
    checked = hfcli("data", "check", "train.jsonl", "--offline", "--json")
    assert checked.code == 4
    told = checked.records[0]
    assert told["task"] == "question-answering"
    kinds = {finding["kind"]: finding["places"] for finding in told["findings"]}
    assert kinds["lost-answer"] == ["train.jsonl:5 (id q4)", "train.jsonl:8 (id q7)"]
    assert kinds["not-answer"] == ["train.jsonl:10 (id q9)"]
    assert "--on-error skip" in told["flags"]
    rest = train("--dataset", "train.jsonl", "--max-steps", "1", "--on-error", "skip")
    assert rest.code == 0
    assert "3 records of train.jsonl cannot be used and were left out" in rest.err


def test_a_question_that_leaves_no_room_is_left_out_where_asked_for_and_found_by_the_check(train, hfcli, models, here):
    given = list(questions(30))
    given[3]["question"] = "sports " * 60
    write(here / "train.jsonl", given)
    result = train("--dataset", "train.jsonl", "--max-steps", "1")
    assert result.code == 4
    assert "train.jsonl:4: the question is 60 tokens, which leaves no room" in result.err
    rest = train("--dataset", "train.jsonl", "--max-steps", "1", "--on-error", "skip")
    assert rest.code == 0, rest.err
    assert "1 record of train.jsonl cannot be used and was left out" in rest.err
    checked = hfcli("data", "check", "train.jsonl", "-m", models.answerer())
    assert checked.code == 4
    assert any(
        "1 question that leaves no room in 64 tokens" in line and "train.jsonl:4" in line for line in checked.lines
    )


def test_ids_that_come_twice_are_noted(hfcli, here):
    given = list(questions(30))
    given[6]["id"] = "q2"
    write(here / "train.jsonl", given)
    checked = hfcli("data", "check", "train.jsonl", "--offline")
    assert "warn   1 id stands there before" in checked.out
    assert "train.jsonl:7 (id q2)" in checked.out


def test_the_check_counts_answers_and_shared_contexts(hfcli, here):
    given = list(questions(60, unanswerable=0.4))
    write(here / "train.jsonl", given)
    write(here / "dev.jsonl", given[:10])
    checked = hfcli("data", "check", "train.jsonl", "--eval-dataset", "dev.jsonl", "--offline")
    assert checked.code == 0
    assert "columns  question <- question · context <- context · answers <- answers" in checked.lines
    none = sum(not record["answers"]["text"] for record in given)
    assert any(line.startswith("answers  an answer") for line in checked.lines)
    assert any(f"none        {none:>2,}" in line for line in checked.lines)
    assert any("5 of 5 evaluation contexts are also in training" in line for line in checked.lines)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--label-column", "id"), "--label-column means nothing here: this is question-answering"),
        (("--problem-type", "regression"), "--problem-type means nothing here"),
        (("--on-long", "truncate"), "long contexts are always read in windows"),
        (("--class-weight", "balanced"), "--class-weight is about classes, and answers are spans"),
        (("--metric", "accuracy"), "--metric-for-best-model accuracy does not fit; there is loss, exact_match, f1"),
        (("--doc-stride", "64"), "it must be smaller"),
        (("--answers-column", "answer"), "did you mean answers?"),
    ],
)
def test_flags_that_mean_nothing_for_answers_are_refused(train, here, flags, said):
    write(here / "train.jsonl", questions(20))
    result = train("--dataset", "train.jsonl", "--task", "qa", *flags)
    assert result.code == 2
    assert said in result.err
    assert not Path("out").exists()


def test_a_run_that_was_stopped_goes_on_to_the_same_answers(train, here):
    write(here / "train.jsonl", questions(60, unanswerable=0.3))
    line = ("--dataset", "train.jsonl", "--dtype", "float32", "--batch-size", "8", "--epochs", "2", "--save-steps", "1")
    assert train(*line).code == 0
    whole, settings = stored("metrics.json")["scores"], stored()
    from hfcli.runtime import training

    step, done = training._step, []

    def stop(*arguments):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(1)
        return step(*arguments)

    training._step = stop
    try:
        assert train(*line, "--overwrite").code == 130
    finally:
        training._step = step
    assert train(*line, "--resume").code == 0
    assert stored("metrics.json")["scores"] == whole
    assert stored() == settings


@pytest.mark.parametrize("kind", ["xlnet", "bert"])
def test_the_loss_of_a_batch_is_that_of_its_rows_wherever_the_padding_is(models, kind):
    """Also against torch's own, which transformers uses on rows without padding."""
    import torch
    from transformers import AutoConfig, AutoModelForQuestionAnswering, AutoTokenizer

    from hfcli.runtime.forward import Loss, Network, targets
    from hfcli.tasks import _answers, question_answering
    from hfcli.tasks.base import Settings, Setup

    folder = models.spans(kind, **({"padding_side": "left"} if kind == "xlnet" else {}))
    tokenizer, config = AutoTokenizer.from_pretrained(folder), AutoConfig.from_pretrained(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    made = Setup(tokenizer, config, Settings("question-answering", {}, max_length=60, doc_stride=10), (), 60)
    rng = random.Random(0)
    records = []
    for n in (5, 40, 17):
        words = rng.choices(FILLER, k=n)
        text = " ".join([*words, "good"])
        records.append(
            {"question": "sports", "context": text, "answers": _answers.Answers(("good",), (text.index("good"),))}
        )
    rows = [windows[0] for windows in question_answering.encode(records, made)]
    network = Network(model, tokenizer, len(tokenizer), torch.device("cpu"), outputs=("start_logits", "end_logits"))
    with torch.no_grad():
        together = Loss().each(network.logits(rows), targets(rows, torch.device("cpu")))
        for row, loss in zip(rows, together, strict=True):
            alone = model(
                **{name: torch.from_numpy(values.astype(np.int64))[None] for name, values in row.inputs.items()},
                start_positions=torch.tensor([int(row.labels["start_positions"])]),
                end_positions=torch.tensor([int(row.labels["end_positions"])]),
            ).loss
            assert float(loss) == pytest.approx(float(alone), rel=1e-4)


def test_the_head_computes_in_float32_under_autocast_and_in_bfloat16(models):
    import torch
    from transformers import AutoModelForQuestionAnswering

    from hfcli.runtime.forward import precise_head

    ids = torch.randint(5, 20, (2, 12))
    model = AutoModelForQuestionAnswering.from_pretrained(models.answerer()).eval()
    precise_head(model)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert model(ids).start_logits.dtype == torch.float32
    with torch.no_grad():
        assert model.bfloat16()(ids).start_logits.dtype == torch.float32


def test_eval_of_a_model_says_what_it_cannot_measure(hfcli, models, here):
    write(here / "dev.jsonl", questions(8))
    model = models.answerer()
    line = ("eval", "-m", models.classifier(), "--dataset", "dev.jsonl")
    assert hfcli(*line, "--metric", "squad").code == 5
    labels = hfcli(*line)  # what a classifier is measured on has labels
    assert (labels.code, "no column looks like the label" in labels.err) == (4, True)
    both = hfcli("eval", "-m", model, "--metric", "squad", "--predictions", "a", "--references", "b")
    assert both.code == 2
    assert "--model is about a model, and --predictions are there already" in both.err
    nothing = hfcli("eval", "-m", model)
    assert nothing.code == 2
    assert "nothing to measure" in nothing.err
    write(here / "none.jsonl", questions(8, unanswerable=1.0))
    first = hfcli("eval", "-m", model, "--dataset", "none.jsonl", "--metric", "squad")
    assert first.code == 4
    assert "8 of 8 questions of none.jsonl have no answer, and squad needs one\nhint:  --metric squad_v2" in first.err
    write(here / "bad.jsonl", [*questions(3), {"id": "x", "question": "sports", "context": "", "answers": []}])
    bad = hfcli("eval", "-m", model, "--dataset", "bad.jsonl")
    assert bad.code == 4
    assert "bad.jsonl:4: the context is empty" in bad.err
