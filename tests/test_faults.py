"""What a newcomer's first tries come upon: odd data, contradicting flags, models of other kinds, a second try."""

import json
import random

import pytest

from tests.test_finetune import films, metrics, write


@pytest.fixture
def train(hfcli, models, tmp_path, monkeypatch):
    """`train(data, flag, ...)`: one step on a tiny model, into the folder out."""
    monkeypatch.chdir(tmp_path)

    def call(data, *argv, model=None, **more):
        line = ("finetune", model or models.bert(), "--dataset", data, "--max-steps", "1", "-o", "out")
        return hfcli(*line, *argv, **more)

    return call


def numbers(path, *more, n=60):
    rng = random.Random(0)
    rows = [{"text": record["text"], "score": f"{rng.random():.3f}"} for record in films(n)]
    return write(path, [*rows, *more])


# data


def test_cells_that_are_no_numbers_stand_somewhere_and_can_be_left_out(train, hfcli, tmp_path):
    numbers(tmp_path / "d.csv", {"text": "a", "score": "high"}, {"text": "b", "score": "nan"})
    refused = train("d.csv")
    assert refused.code == 4
    assert "hint:  --problem-type regression --on-error skip" in refused.err
    named = train("d.csv", "--problem-type", "regression")
    assert (named.code, named.err.splitlines()[0]) == (4, "error: d.csv:62: 'high' is not a number")
    done = train("d.csv", "--problem-type", "regression", "--on-error", "skip")
    assert done.code == 0, done.err
    assert "2 records of d.csv cannot be used and were left out" in done.err


@pytest.mark.parametrize("flag", ["--text-column", "--text-pair-column"])
def test_a_column_is_one_thing(train, tmp_path, flag):
    write(tmp_path / "d.csv", films(40))
    result = train("d.csv", "--label-column", "label", flag, "label")
    assert result.code == 2
    assert "label: that column is the" in result.err


def test_a_lone_record_without_a_label_is_one_record(train, tmp_path):
    write(tmp_path / "d.csv", [*films(40), {"text": "a", "label": "-1"}])
    assert "1 record of d.csv has no label (-1 or null) and was left out" in train("d.csv").err


def test_semicolons_are_spoken_of(train, tmp_path):
    (tmp_path / "d.csv").write_text("text;label\n" + "a good film;yes\na bad one;no\n" * 9)
    result = train("d.csv")
    assert result.code == 4
    assert "commas, not by ';'" in result.err


def test_questions_with_answers_are_classified_only_where_that_is_asked_for(train, tmp_path):
    rows = [
        {"title": "ab"[i % 2], "context": f"text {i} of all", "question": f"what is {i}?", "answers": {"text": ["all"]}}
        for i in range(40)
    ]
    write(tmp_path / "d.jsonl", rows)
    assert "question + context -> answers" in train("d.jsonl", "--dry-run").err
    result = train("d.jsonl", "--task", "text-classification", "--label-column", "title", "--text-column", "context")
    assert result.code == 0
    assert "context -> title (a, b)" in result.err


def test_two_records_are_too_few_for_the_check_as_well(train, hfcli, tmp_path):
    write(tmp_path / "d.csv", films(2))
    assert "2 labelled records, too few to hold some out" in train("d.csv").err
    checked = hfcli("data", "check", "d.csv", "--offline")
    assert checked.code == 4
    assert "error  2 labelled records, too few to hold some out; --eval-dataset FILE names others" in checked.lines
    assert not any(line.startswith("try") for line in checked.lines)
    write(tmp_path / "e.csv", films(20, seed=1))
    assert train("d.csv", "--eval-dataset", "e.csv").code == 0


def test_a_check_proposes_only_what_it_has(hfcli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_bytes(b"text,label\n" + b"caf\xe9,yes\n" * 9)
    result = hfcli("data", "check", "d.csv", "--offline")
    assert result.code == 4
    assert "iconv -f latin1" in result.err
    assert "--on-error" not in result.err


def test_a_text_that_is_too_long_is_named_by_its_line(train, tmp_path):
    write(tmp_path / "d.csv", [*films(20, words=4), {"text": "very " * 30, "label": "yes"}])
    write(tmp_path / "e.csv", films(10, words=4))
    result = train("d.csv", "--eval-dataset", "e.csv", "--on-long", "error", "--max-length", "64")
    assert result.code == 4
    assert result.err.startswith("error: d.csv:22: the text is ")


@pytest.mark.parametrize("values", [("neg", "pos"), ("0", "1")])
def test_evaluation_data_may_name_its_ids_where_training_data_does_not(train, tmp_path, values):
    from datasets import ClassLabel, Dataset, Features, Value

    write(tmp_path / "d.csv", films(40, names=values))
    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    rows = [{**record, "label": i % 2} for i, record in enumerate(films(20, seed=1))]
    Dataset.from_list(rows, features=features).to_parquet(tmp_path / "e.parquet")
    result = train("d.csv", "--eval-dataset", "e.parquet")
    assert result.code == 0, result.err
    assert json.loads((tmp_path / "out" / "config.json").read_text())["id2label"] == {"0": "neg", "1": "pos"}
    assert metrics(tmp_path / "out")["scores"]["accuracy"]["n"] == 20


# flags


@pytest.mark.parametrize(
    ("flags", "said", "hint"),
    [
        (("--class-weight", "yes=0,no=0"), "nothing is learnt where every class weighs 0", "--class-weight balanced"),
        (
            ("--report-to", "tensorbord"),
            "--report-to tensorbord is no tracker; there is aim",
            "did you mean tensorboard",
        ),
        (("--push-to-hub", "a/b", "--offline"), "needs the network, and --offline forbids it", "leave one of them out"),
    ],
)
def test_flags_that_cannot_work_leave_nothing_that_is_in_the_way(train, tmp_path, flags, said, hint):
    write(tmp_path / "d.csv", films(40))
    result = train("d.csv", *flags)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert hint in result.err
    assert train("d.csv").code == 0


@pytest.mark.parametrize("flags", [("--class-weight", "balanced"), ("--label-smoothing-factor", "0.1")])
def test_numbers_have_no_classes(train, tmp_path, flags):
    numbers(tmp_path / "d.csv")
    result = train("d.csv", *flags)
    assert result.code == 2
    assert f"{flags[0]} is about classes, and these labels are numbers" in result.err


def test_a_run_that_never_began_is_not_in_the_way(train, tmp_path):
    write(tmp_path / "d.csv", films(40))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text("{}")  # of a process that was killed at once
    assert train("d.csv").code == 0


def test_a_run_goes_on_with_its_own_records_only(train, tmp_path):
    write(tmp_path / "d.csv", films(40)), write(tmp_path / "e.csv", films(40, seed=1))
    assert train("d.csv").code == 0
    (tmp_path / "out" / "metrics.json").unlink()
    result = train("e.csv", "--resume")
    assert result.code == 2
    assert "was begun with other settings: evaluation (other records), train (other records)" in result.err


def test_the_head_shows_the_learning_rate_that_was_given(train, tmp_path):
    write(tmp_path / "d.csv", films(40))
    assert "lr 1.5e-05 · 1 step\n" in train("d.csv", "--lr", "1.5e-5").err


def test_seeds_whose_score_is_not_defined(hfcli, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"text": "x", "score": f"{i / 7:.3f}"} for i in range(12)]  # every prediction is the same
    write(tmp_path / "d.csv", rows), write(tmp_path / "e.csv", rows)
    line = ("finetune", models.bert(), "--dataset", "d.csv", "--eval-dataset", "e.csv", "--max-steps", "1")
    result = hfcli(*line, "--seeds", "1,2", "-o", "out")
    assert (result.code, result.out) == (0, "out\n"), result.err
    assert json.loads((tmp_path / "out" / "seeds.json").read_text())["mean"] is None


def test_the_card_of_several_seeds_is_about_its_own_folder(hfcli, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d.csv", films(40))
    line = ("finetune", models.bert(), "--dataset", "d.csv", "--max-steps", "1")
    assert hfcli(*line, "--seeds", "1,2", "-o", "out").code == 0
    for name in ("README.md", "hfcli.yaml"):
        assert "seed-" not in (tmp_path / "out" / name).read_text()
    assert 'hfcli classify -m out "some text"' in (tmp_path / "out" / "README.md").read_text()


def test_a_check_refuses_windows_that_finetune_refuses(hfcli, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d.csv", films(40))
    flags = ("--max-length", "16", "--on-long", "window", "--doc-stride", "16")
    result = hfcli("data", "check", "d.csv", "-m", models.bert(), *flags)
    assert result.code == 2
    assert "--doc-stride 16 is how much windows of --max-length 16 overlap" in result.err


# models


def test_encoder_decoders_learn_where_the_tokenizer_ends_texts(train, hfcli, models, tmp_path):
    from tokenizers.processors import TemplateProcessing
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    write(tmp_path / "d.csv", films(40))
    refused = train("d.csv", model=models.t5())
    assert refused.code == 5
    assert "does not add the end token, by which the model classifies" in refused.err
    tokenizer = AutoTokenizer.from_pretrained(models.t5(), pad_token="<|end|>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 0)]
    )
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=1, num_heads=4, eos_token_id=0,
        pad_token_id=tokenizer.pad_token_id, decoder_start_token_id=0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    tokenizer.save_pretrained(tmp_path / "t5")
    result = train("d.csv", model=tmp_path / "t5")
    assert result.code == 0, result.err
    used = hfcli("classify", "-m", "out", "a good film", "one that is bad and longer than the other")
    assert {record["label"] for record in used.records} <= {"no", "yes"}
