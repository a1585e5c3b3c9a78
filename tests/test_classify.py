"""`hfcli classify`: what comes out for texts, records and pairs, for every kind of model, and what is refused."""

import gzip
import importlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import BAD, EMOTIONS, FILLER, GOOD

TICKETS = Path(__file__).parents[2] / "shared" / "data" / "models" / "bert-ticket-classifier"
LONG = " ".join([*FILLER] * 8)  # 104 words, where the models take 64 tokens


def films(count):
    """Reviews of many lengths whose label one word decides, and the labels."""
    words = [BAD[n // 2 % 3] if n % 2 else GOOD[n // 2 % 3] for n in range(count)]
    texts = [" ".join([*(FILLER * 4)[: n * 7 % 40], word]) for n, word in enumerate(words)]
    return texts, ["neg" if n % 2 else "pos" for n in range(count)]


@pytest.fixture
def classify(hfcli, models):
    def call(*flags, model=None, **how):
        return hfcli("classify", "-m", model or models.classifier(), "--device", "cpu", *flags, **how)

    return call


@pytest.fixture
def stored(models, tmp_path):
    """A copy of a model with settings as finetune stores them."""

    def call(model, **settings):
        folder = tmp_path / f"stored-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(model, folder)
        known = {"task": "text-classification", "columns": {"text": "text", "text_pair": None}, "hfcli": "0.1.0"}
        (folder / "hfcli_settings.json").write_text(json.dumps(known | settings))
        return folder

    return call


def logits(folder, *texts, **tokenizer):
    """What transformers itself makes of a text or a pair, alone: float32 of shape `(labels,)`."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder)
    inputs = AutoTokenizer.from_pretrained(folder)(*texts, return_tensors="pt", **tokenizer)
    with torch.no_grad():
        return model(**inputs).logits[0].numpy()


def softmax(values):
    raised = np.exp(values - values.max())
    return raised / raised.sum()


# What comes out


def test_texts_on_the_command_line(classify):
    result = classify("A quiet, lovely film.", "two hours gone, awful")
    assert result.code == 0
    assert [(one["text"], one["label"]) for one in result.records] == [
        ("A quiet, lovely film.", "pos"),
        ("two hours gone, awful", "neg"),
    ]
    assert all(list(one) == ["text", "label", "score"] and one["score"] > 0.9 for one in result.records)
    assert result.err == ""


def test_lines_come_back_in_order_whatever_their_length(classify):
    texts, labels = films(300)
    result = classify(stdin="\n".join(texts) + "\n")
    assert [one["text"] for one in result.records] == texts
    assert [one["label"] for one in result.records] == labels
    assert re.fullmatch(r"300 records in \d+\.\d s\n", result.err)


def test_a_score_is_the_same_alone_and_in_a_batch(classify, models):
    texts, _ = films(40)
    together = classify(stdin="\n".join(texts) + "\n").records
    for text, one in zip(texts[::7], together[::7], strict=True):
        expected = softmax(logits(models.classifier(), text))
        assert one["score"] == pytest.approx(expected.max(), abs=2e-6)


def test_records_keep_their_columns_and_those_of_our_names_move_once(classify):
    record = {"id": 7, "label": "x", "text": "good", "scores": [1], "input_label": "y", "error": None}
    line = json.dumps(record) + "\n"
    result = classify(stdin=line * 3)
    assert len(result.records) == 3
    assert list(result.records[0]) == [
        *("id", "input_input_label", "text", "input_scores", "input_label", "input_error", "label", "score")
    ]
    assert result.records[0]["input_input_label"] == "x"
    assert result.records[0]["input_label"] == "y"
    assert result.err.count("moved to") == 1


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "csv.gz", "parquet"])
def test_tables_are_read_by_their_columns(classify, tmp_path, suffix):
    rows = [("1", "a quiet film , good"), ("2", "a film , bad")]
    file = tmp_path / f"films.{suffix}"
    if suffix == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(
            pyarrow.table({"id": [row[0] for row in rows], "review": [row[1] for row in rows]}), file
        )
    elif suffix == "jsonl":
        file.write_text("".join(json.dumps({"id": one, "review": text}) + "\n" for one, text in rows))
    else:
        tab = "\t" if suffix == "tsv" else ","
        lines = [
            f"id{tab}review",
            *(f'{one}{tab}"{text}"' if tab == "," else f"{one}{tab}{text}" for one, text in rows),
        ]
        file.write_text("\n".join(lines) + "\n")
        if suffix.endswith("gz"):
            file.write_bytes(gzip.compress(file.read_bytes()))
    result = classify("--file", file)
    assert result.code == 0, result.err
    assert [(one["id"], one["label"]) for one in result.records] == [("1", "pos"), ("2", "neg")]


def test_a_column_is_named_by_a_flag(classify, tmp_path):
    file = tmp_path / "films.jsonl"
    file.write_text('{"text": "bad", "body": "good"}\n')
    assert classify("--file", file).records[0]["label"] == "neg"
    assert classify("--file", file, "--text-column", "body").records[0]["label"] == "pos"
    wrong = classify("--file", file, "--text-column", "bodi")
    assert (wrong.code, wrong.out) == (4, "")
    assert "no column bodi; there is text, body" in wrong.err
    assert "did you mean body?" in wrong.err
    assert classify("--text-column", "body", stdin="good\n").records[0]["body"] == "good"
    pair = classify("--text-pair-column", "body", stdin="good\n")
    assert (pair.code, "no column body; there is text" in pair.err) == (4, True)


def test_names_decide_though_the_first_text_is_a_bad_example(classify):
    lines = [json.dumps({"id": 1, "message": text}) for text in ("", "007", "a good film")]
    result = classify(stdin="\n".join(lines) + "\n")
    assert [one["label"] for one in result.records][::2] == [None, "pos"]
    unclear = classify(stdin='{"title": "a good film", "abstract": "a bad film"}\n')
    assert (unclear.code, unclear.out) == (4, "")
    assert "--text-column title" in unclear.err


def test_all_scores_and_the_likeliest(classify, models):
    one = classify("a good film", "--all-scores", model=models.head("bert")).records[0]
    expected = dict(zip("abc", softmax(logits(models.head("bert"), "a good film")), strict=True))
    assert one["scores"] == pytest.approx(expected, abs=1e-6)
    assert list(one["scores"]) == sorted(expected, key=expected.get, reverse=True)
    assert one["label"] == next(iter(one["scores"]))
    assert one["score"] == max(one["scores"].values())
    two = classify("a good film", "--top-k", "2", model=models.head("bert")).records[0]
    assert two["labels"] == [{"label": name, "score": score} for name, score in one["scores"].items()][:2]
    assert "scores" not in two


def test_below_min_score_there_is_no_label(classify):
    (one,) = classify("good", "--min-score", "0.5").records
    (none,) = classify("good", "--min-score", "0.9999").records
    assert (one["label"], none["label"]) == ("pos", None)
    assert none["score"] == one["score"]


def test_a_blank_text_has_no_label_and_its_line_stays(classify, models):
    blank = classify(stdin="good\n\n  \nbad\n").records
    assert [one["label"] for one in blank] == ["pos", None, None, "neg"]
    assert blank[1] == {"text": "", "label": None, "score": None}
    assert classify(stdin="film\n\n", model=models.number()).records[1] == {"text": "", "score": None}
    assert classify(stdin="film\n\n", model=models.several()).records[1] == {"text": "", "labels": []}


# Kinds of models


def test_several_labels_from_the_threshold_on(classify, models):
    text = "this film is about politics"
    scores = dict(zip(EMOTIONS, 1 / (1 + np.exp(-logits(models.several(), text))), strict=True))
    order = sorted(EMOTIONS, key=scores.get, reverse=True)

    def labels(*flags):
        return [each["label"] for each in classify(text, *flags, model=models.several()).records[0]["labels"]]

    assert labels() == [name for name in order if scores[name] >= 0.5]
    assert labels("--threshold", "0") == order
    assert labels("--threshold", "0", "--top-k", "2") == order[:2]
    assert labels("--threshold", "1") == []
    every = classify(text, "--all-scores", model=models.several()).records[0]["scores"]
    assert every == pytest.approx(scores, abs=1e-6)


def test_a_number_is_the_models_output(classify, models):
    one = classify("a good film", model=models.number()).records[0]
    assert one == {"text": "a good film", "score": pytest.approx(logits(models.number(), "a good film")[0], abs=1e-5)}


@pytest.mark.parametrize(
    ("model", "flag", "said"),
    [
        ("number", ("--top-k", "2"), "number gives a number"),
        ("number", ("--min-score", "0.5"), "number gives a number"),
        ("several", ("--min-score", "0.5"), "several gives several labels"),
        ("classifier", ("--threshold", "0.5"), "classifier gives one label"),
    ],
)
def test_flags_that_mean_nothing_for_a_model_are_refused(classify, models, model, flag, said):
    result = classify("a film", *flag, model=getattr(models, model)())
    assert (result.code, result.out) == (2, "")
    assert f"{flag[0]} does nothing here" in result.err
    assert said in result.err


@pytest.mark.parametrize(
    ("kind", "special"),
    [
        ("gpt2", {}),
        ("gpt2", {"pad_token": "</s>"}),
        ("llama", {}),
        ("llama", {"padding_side": "left"}),
        ("bert", {"padding_side": "left"}),
        ("xlnet", {"padding_side": "left"}),
        ("convbert", {}),
    ],
    ids=str,
)
def test_padding_changes_nothing(classify, models, kind, special):
    """Decoders judge by the last token, XLNet pads on the left, ConvBERT reads padding: rows are kept apart for it."""
    folder = models.head(kind, **special)
    texts = ["film", "a quiet lovely film in two hours", "good story", "the scene was it story and in two hours gone"]
    result = classify("--all-scores", "--dtype", "float32", stdin="\n".join(texts) + "\n", model=folder)
    assert result.code == 0, result.err
    assert ("mixes up the texts of a batch" in result.err) == (kind == "convbert")
    for text, one in zip(texts, result.records, strict=True):
        expected = softmax(logits(folder, text))
        assert [one["scores"][name] for name in "abc"] == pytest.approx(list(expected), abs=1e-5)


def test_what_cannot_classify_is_refused(classify, models):
    for folder, said in (
        (models.llama(), "has no trained head for text-classification (not in the checkpoint: score.weight)"),
        (models.t5(), "has no trained head for text-classification"),
    ):
        result = classify("a film", model=folder)
        assert (result.code, result.out) == (5, "")
        assert said in result.err


def test_a_head_for_tokens_is_no_head_for_texts(classify, models, tmp_path):
    """Llama's have the same name."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForTokenClassification

    tokenizer = AutoTokenizer.from_pretrained(models.llama())
    LlamaForTokenClassification(LlamaConfig.from_pretrained(models.llama())).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    result = classify("a film", model=tmp_path)
    assert result.code == 5
    assert "is a LlamaForTokenClassification, which cannot do text-classification" in result.err


def test_a_model_that_cannot_compute_in_bfloat16_gets_float32(classify, models, monkeypatch):
    import torch

    from hfcli.runtime import environment

    monkeypatch.setattr(environment, "SMALL_BYTES", 0)
    monkeypatch.setattr(environment, "native_bfloat16", lambda device: "AMX")
    folder = models.head("fnet")
    result = classify("a good film", "-v", model=folder)
    assert result.code == 0, result.err
    assert "cannot compute in bfloat16; float32 is used" in result.err
    assert result.records[0]["score"] == pytest.approx(softmax(logits(folder, "a good film")).max(), abs=1e-5)
    asked = classify("a good film", "--dtype", "bfloat16", model=folder)
    assert (asked.code, "--dtype float32" in asked.err) == (5, True)
    assert torch.get_default_dtype() == torch.float32


# Pairs


def test_pairs_are_encoded_as_pairs(classify, models, tmp_path):
    file = tmp_path / "pairs.jsonl"
    pairs = [("a quiet film", "the film was good"), ("two hours", "it is about politics")]
    file.write_text("".join(json.dumps({"premise": a, "hypothesis": b}) + "\n" for a, b in pairs))
    made = classify("--file", file, "--all-scores", model=models.head("bert")).records
    for pair, one in zip(pairs, made, strict=True):
        expected = softmax(logits(models.head("bert"), *pair))
        assert [one["scores"][name] for name in "abc"] == pytest.approx(list(expected), abs=1e-6)
    alone = classify("--file", file, "--text-pair-column", "", model=models.head("bert")).records
    swapped = classify(
        "--file", file, "--text-column", "hypothesis", "--text-pair-column", "premise", model=models.head("bert")
    ).records
    assert len({made[0]["score"], alone[0]["score"], swapped[0]["score"]}) == 3


def test_a_model_of_pairs_does_not_take_half_of_one(classify, models, stored, tmp_path):
    folder = stored(models.head("bert"), columns={"text": "premise", "text_pair": "hypothesis"})
    for how in ({"stdin": "a film\n"}, {"stdin": '{"premise": "a film"}\n'}, {}):
        result = classify(*([] if how else ["a film"]), model=folder, **how)
        assert (result.code, result.out) == (2, ""), result.err
        assert "was trained on pairs of texts (premise, hypothesis)" in result.err
    named = classify(stdin='{"a": "a film", "b": "good"}\n', model=folder)
    assert named.code != 0
    flags = ("--text-column", "a", "--text-pair-column", "b")
    assert classify(*flags, stdin='{"a": "a film", "b": "good"}\n', model=folder).code == 0
    assert classify("--text-pair-column", "", stdin="a film\n", model=folder).code == 0


# Any labels


@pytest.mark.parametrize("several", [False, True])
def test_any_labels_are_what_transformers_gives(classify, models, several):
    names = ["sports", "politics", "music"]
    texts = ["a film about music", "this story is about two hours of sports"]
    flags = ("--labels", ",".join(names), *(("--multi-label",) if several else ()), "--all-scores")
    made = classify(*flags, *texts, model=models.nli()).records
    for text, one in zip(texts, made, strict=True):
        outputs = np.stack([logits(models.nli(), text, f"This example is {name}.") for name in names])
        if several:
            expected = [softmax(row[[0, 2]])[0] for row in outputs]
            above = [name for name, score in zip(names, expected, strict=True) if score >= 0.5]
            assert sorted(each["label"] for each in one["labels"]) == sorted(above)
        else:
            expected = softmax(outputs[:, 0])
            assert one["label"] == names[int(expected.argmax())]
        assert [one["scores"][name] for name in names] == pytest.approx(list(expected), abs=1e-6)


def test_the_hypothesis_is_what_the_template_says(classify, models):
    template = "this is {} , not {x}"
    one = classify("a film", "--labels", "sports,music", "--hypothesis-template", template, model=models.nli()).records[
        0
    ]
    outputs = [logits(models.nli(), "a film", template.replace("{}", name))[0] for name in ("sports", "music")]
    assert one["score"] == pytest.approx(softmax(np.array(outputs)).max(), abs=1e-6)


def test_any_labels_need_a_model_of_entailment(classify, models):
    result = classify("a film", "--labels", "sports,music")
    assert (result.code, result.out) == (5, "")
    assert "the labels of" in result.err
    assert "neg, pos" in result.err


def test_any_labels_of_a_long_text_are_those_of_its_windows(classify, models):
    flags = ("--labels", "sports,music", "--on-long", "window", "--all-scores", "--doc-stride", "8")
    result = classify(*flags, LONG, model=models.nli())
    assert sum(result.records[0]["scores"].values()) == pytest.approx(1, abs=1e-5)
    assert "1 longer than 64 tokens (windows, pooled)" in result.err


# Long texts


def test_what_is_cut_is_counted_and_windows_read_it(classify):
    text = f"{LONG} good"  # the deciding word is behind the end of what fits
    cut = classify(stdin=f"{text}\nbad\n")
    assert [one["label"] for one in cut.records][1:] == ["neg"]
    assert " · 1 longer than 64 tokens (cut)\n" in cut.err
    whole = classify("--on-long", "window", "--all-scores", stdin=f"{text}\nbad\n")
    assert " · 1 longer than 64 tokens (windows, pooled)\n" in whole.err
    assert whole.records[0]["scores"]["pos"] > cut.records[0]["score"] * (cut.records[0]["label"] == "pos")
    one = classify(text)
    assert one.err == "note: 1 longer than 64 tokens (cut); --on-long window reads them whole\n"


def test_windows_are_the_mean_of_their_probabilities(classify, models):
    folder = models.head("bert")
    words = LONG.split()[:100]
    parts = [words[start : start + 62] for start in range(0, len(words), 46) if start == 0 or start + 16 < len(words)]
    expected = np.mean([softmax(logits(folder, " ".join(part))) for part in parts], axis=0)
    flags = ("--on-long", "window", "--doc-stride", "16", "--all-scores")
    one = classify(" ".join(words), *flags, model=folder).records[0]
    assert [one["scores"][name] for name in "abc"] == pytest.approx(list(expected), abs=1e-6)


def test_a_long_text_can_be_an_error(classify):
    stdin = f"good\n{LONG}\nbad\n"
    result = classify("--on-long", "error", stdin=stdin)
    assert (result.code, [one["label"] for one in result.records]) == (4, ["pos"])
    assert "standard input:2: " in result.err
    kept = classify("--on-long", "error", "--on-error", "record", stdin=stdin + f"{LONG}\n{LONG}\ngood\n")
    assert kept.code == 3
    assert [one.get("label", "error") for one in kept.records] == ["pos", "error", "neg", "error", "error", "pos"]
    assert kept.err.endswith(" · 3 failed\n")


def test_more_tokens_than_a_model_takes_are_refused(classify):
    result = classify("good", "--max-length", "65")
    assert (result.code, result.out) == (2, "")
    assert "--max-length 65" in result.err
    assert "takes 64 tokens" in result.err


# Stored settings


def test_a_model_is_used_as_it_was_finetuned(classify, models, stored):
    folder = stored(
        models.classifier(), columns={"text": "body", "text_pair": None}, max_length=20, on_long="window", doc_stride=4
    )
    line = json.dumps({"text": "bad", "body": f"{' '.join(FILLER)} {' '.join(FILLER)} good"}) + "\n"
    result = classify("-v", stdin=line, model=folder)
    assert "1 longer than 20 tokens (windows, pooled)" in result.err
    assert "text <- body" in result.err
    flags = ("--max-length", "30", "--on-long", "truncate", "--text-column", "text")
    asked = classify("-v", *flags, stdin=line, model=folder)
    assert "longer" not in asked.err.splitlines()[0]
    assert "at most 30 tokens, a longer text: truncate" in asked.err
    assert asked.records[0]["label"] == "neg"
    assert classify(stdin="good\n", model=folder).records[0]["label"] == "pos"  # plain text has no columns
    other = classify(stdin='{"review": "a quiet film , good"}\n', model=folder)
    assert other.records[0]["label"] == "pos", other.err


def test_the_stored_threshold_and_problem_type_hold(classify, models, stored):
    folder = stored(models.several(), problem_type="multi_label_classification", threshold=0.0)
    assert len(classify("a film", model=folder).records[0]["labels"]) == len(EMOTIONS)
    assert classify("a film", "--threshold", "1", model=folder).records[0]["labels"] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_length": "long"}, "is not what hfcli finetune writes"),
        ({"task": "token-classification"}, "was finetuned for token-classification"),
    ],
)
def test_settings_that_do_not_fit_are_an_error(classify, models, stored, settings, said):
    result = classify("good", model=stored(models.classifier(), **settings))
    assert (result.code, result.out) == (5, "")
    assert said in result.err


def test_without_a_model_the_builtin_one_is_used_and_v_says_so(hfcli, models, monkeypatch):
    command = importlib.import_module("hfcli.cli.classify")  # the package has a function of that name
    monkeypatch.setattr(command, "DEFAULT_MODEL", str(models.classifier()))
    result = hfcli("classify", "-v", "good")
    assert result.records[0]["label"] == "pos"
    assert "(default; -m or HFCLI_MODEL change it)" in result.err
    assert "labels  neg, pos" in result.err


# What is refused


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("good", "--file", "x"), "--file is about an input, and texts were given"),
        (("good", "--slurp"), "--slurp is about an input"),
        (("good", "--resume", "-o", "x"), "--resume is about an input"),
        (("good", "--text-column", "x"), "--text-column is about an input"),
        (("good", "-"), "- is standard input"),
        (("",), "a text is empty"),
        (("good", "--labels", "one"), "--labels needs two labels at least"),
        (("good", "--labels", "a,b", "--hypothesis-template", "x"), "needs {} where the label goes"),
        (("good", "--multi-label"), "--multi-label is about --labels"),
        (("--labels", "a,b", "--text-pair-column", "x"), "--labels puts a second text to each"),
        (("--model", ""), "--model is empty"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_loaded(hfcli, models, monkeypatch, flags, said):
    monkeypatch.setattr("hfcli.runtime.loading.load_here", lambda *args: pytest.fail("loaded a model"))
    result = hfcli("classify", "-m", models.classifier(), *flags)
    assert (result.code, result.out) == (2, "")
    assert said in result.err


def test_a_bad_record_names_its_place_and_can_get_an_error_in_it(classify, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "good"}\n{"text": 3}\n{bad\n{"other": "x"}\n{"text": "bad"}\n')
    stopped = classify("--file", file)
    assert (stopped.code, len(stopped.records)) == (4, 1)
    assert f"{file}:2: column text holds a number, not text" in stopped.err
    kept = classify("--file", file, "--on-error", "record")
    assert kept.code == 3
    assert [one.get("label") for one in kept.records] == ["pos", None, None, None, "neg"]
    assert "no column text; there is other" in kept.records[3]["error"]
    assert "3 failed" in kept.err


def test_standard_input_that_is_not_read_is_reported(classify):
    assert "standard input was not read" in classify("good", stdin="bad\n").err
    assert classify("good", "-q", stdin="bad\n").err == ""
    assert classify("-", stdin="bad\n").records[0]["label"] == "neg"


def test_slurp_takes_everything_as_one_text(classify):
    result = classify("--slurp", stdin="a film\nin two hours\ngood\n")
    assert [one["label"] for one in result.records] == ["pos"]
    assert result.records[0]["text"] == "a film\nin two hours\ngood"


def test_special_tokens_in_a_text_are_text(classify, models):
    plain, odd = classify("film film", "film [SEP] film", model=models.head("bert")).records
    assert odd["score"] != plain["score"]
    expected = softmax(logits(models.head("bert"), "film [SEP] film", split_special_tokens=True)).max()
    assert odd["score"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.gpu
def test_a_gpu_says_the_same(classify):
    texts, _ = films(100)
    on_cpu, on_gpu = (
        classify("--device", device, "--dtype", "float32", stdin="\n".join(texts) + "\n").records
        for device in ("cpu", "cuda")
    )
    for one, other in zip(on_cpu, on_gpu, strict=True):
        assert (one["text"], one["label"]) == (other["text"], other["label"])
        assert one["score"] == pytest.approx(other["score"], abs=1e-3)


@pytest.mark.skipif(not TICKETS.is_dir(), reason="the ticket classifier is not here")
def test_the_ticket_classifier_has_its_recorded_accuracy(hfcli):
    result = hfcli("classify", "-m", TICKETS, "--file", TICKETS / "data" / "validation.jsonl")
    right = [one["label"] == one["input_label"] for one in result.records]
    assert sum(right) / len(right) == pytest.approx(json.loads((TICKETS / "eval_metrics.json").read_text())["accuracy"])
