"""`hfcli finetune` as a user meets it: what it decides, what it learns, what it leaves behind, what it refuses."""

import csv
import json
import random

import pytest

from tests.tiny import BAD, FILLER, GOOD

FAST = ("--learning-rate", "3e-3", "--batch-size", "16", "--epochs", "2")


def films(n, seed=0, names=("no", "yes"), words=8):
    """Sentences that one word decides."""
    rng = random.Random(seed)
    for number in range(n):
        label = number % 2
        text = [*rng.choices(FILLER, k=words), rng.choice((BAD, GOOD)[label])]
        rng.shuffle(text)
        yield {"text": " ".join(text), "label": names[label]}


def write(path, records):
    records = list(records)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, records[0], delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(records)
    return path


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "films.csv", films(160))


@pytest.fixture(scope="module")
def base(models):
    """A body that knows the words, with a head for other labels (neg, pos)."""
    return models.classifier()


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_standard_output_is_the_folder_and_the_folder_is_a_model(hfcli, base, data, tmp_path):
    result = hfcli("finetune", base, "--dataset", "films.csv", *FAST)
    assert result.code == 0, result.err
    assert result.out == "runs/films-classifier\n"
    folder = tmp_path / result.out.strip()
    assert metrics(folder)["scores"]["accuracy"]["value"] > 0.9
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.config.id2label == {0: "no", 1: "yes"}
    AutoTokenizer.from_pretrained(folder)
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "hfcli_settings.json",
        "README.md",
        "hfcli.yaml",
    }
    assert names >= {"metrics.json", "history.jsonl", "curves.png"}
    assert not any(name.startswith("checkpoint") or name.endswith((".bin", ".pt", ".pkl")) for name in names)
    used = hfcli("classify", "-m", folder, "a good film", "an awful story")
    assert [record["label"] for record in used.records] == ["yes", "no"]


def test_the_head_says_what_was_decided(hfcli, base, data):
    err = hfcli("finetune", base, "--dataset", "films.csv", *FAST).err
    assert "new head, 2 labels" in err
    assert "films.csv · text -> label (no, yes)" in err
    assert "144 train · 16 held out (no validation split; 10%, seed 42)" in err
    assert "batch 16 · lr 3e-03 · 2 epochs" in err
    assert "epoch 2 step 18" in err


def test_all_forms_of_data_give_the_same_model(hfcli, base, tmp_path, monkeypatch):
    import gzip

    from datasets import Dataset, DatasetDict

    monkeypatch.chdir(tmp_path)
    train, dev = list(films(64)), list(films(32, seed=1))
    write(tmp_path / "a.csv", train), write(tmp_path / "a.tsv", train), write(tmp_path / "a.jsonl", train)
    (tmp_path / "a.json").write_text(json.dumps(train))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    Dataset.from_list(train).to_parquet(tmp_path / "a.parquet")
    write(tmp_path / "dev.csv", dev)
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "train.jsonl", train), write(tmp_path / "folder" / "validation.jsonl", dev)
    DatasetDict(train=Dataset.from_list(train), validation=Dataset.from_list(dev)).save_to_disk(tmp_path / "saved")
    found = set()
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.json", "a.jsonl.gz", "a.parquet", "folder", "saved", "-"):
        evaluation = () if name in ("folder", "saved") else ("--eval-dataset", "dev.csv")
        stdin = (tmp_path / "a.jsonl").read_text() if name == "-" else None
        line = ("finetune", base, "--dataset", name, *evaluation, "--max-steps", "4", "-o", "out", "--overwrite")
        result = hfcli(*line, stdin=stdin)
        assert result.code == 0, (name, result.err)
        found.add(json.dumps([entry.get("loss") for entry in history(tmp_path / "out")]))
    assert len(found) == 1


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_short_names_of_the_hub_work_as_typed(hfcli, hub, base, tmp_path, monkeypatch):
    from datasets import ClassLabel, Dataset, Features, Value

    monkeypatch.chdir(tmp_path)
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    for split, seed in (("train", 0), ("test", 1)):
        rows = [{**record, "label": ("no", "yes").index(record["label"])} for record in films(48, seed)]
        (tmp_path / "repo").mkdir(exist_ok=True)
        Dataset.from_list(rows, features=features).to_parquet(tmp_path / "repo" / f"{split}.parquet")
    hub.add("somebody/filmdb", tmp_path / "repo", data=True)
    hub.aliases["filmdb"] = "somebody/filmdb"
    hub.add("somebody/tinybert", base)
    hub.aliases["tinybert"] = "somebody/tinybert"
    result = hfcli("finetune", "tinybert", "--dataset", "filmdb", "--max-steps", "2")
    assert result.code == 0, result.err
    assert result.out == "runs/filmdb-tinybert\n"
    assert "note: filmdb is somebody/filmdb on the Hub" in result.err
    assert "note: tinybert is somebody/tinybert on the Hub" in result.err
    assert "held out (no validation split" in result.err  # test is for the end
    card = (tmp_path / "runs/filmdb-tinybert/README.md").read_text()
    assert "somebody/filmdb" in card


# labels


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ((0, 1), ["0", "1"]),
        (("no", "yes"), ["no", "yes"]),
        ((False, True), ["false", "true"]),
        (("10", "2"), ["2", "10"]),
        ((3, 7), ["3", "7"]),
    ],
)
def test_labels_of_all_kinds_keep_their_names(hfcli, models, tmp_path, monkeypatch, values, names):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d.jsonl", films(40, names=values))
    assert hfcli("finetune", models.bert(), "--dataset", "d.jsonl", "--max-steps", "1", "-o", "out").code == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert [config["id2label"][str(i)] for i in range(len(names))] == names


def test_unlabelled_records_are_no_class(hfcli, models, tmp_path, monkeypatch):
    """A peer keeps "-1" as a class of its own."""
    monkeypatch.chdir(tmp_path)
    rows = [*films(40, names=("0", "1")), *({**record, "label": "-1"} for record in films(10, seed=5))]
    write(tmp_path / "d.csv", rows)
    result = hfcli("finetune", models.bert(), "--dataset", "d.csv", "--max-steps", "1", "-o", "out")
    assert "10 records of d.csv have no label (-1 or null) and were left out" in result.err
    assert json.loads((tmp_path / "out" / "config.json").read_text())["id2label"] == {"0": "0", "1": "1"}


def test_the_models_own_labels_keep_their_order_by_name(hfcli, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d.csv", films(40, names=("Pos", "Neg")))  # the model says neg, pos
    result = hfcli("finetune", base, "--dataset", "d.csv", "--max-steps", "1", "-o", "out")
    assert "its own head, 2 labels" in result.err
    assert json.loads((tmp_path / "out" / "config.json").read_text())["id2label"] == {"0": "neg", "1": "pos"}


def test_numbers_are_regression(hfcli, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d.csv", films(120, names=("1.25", "4.5")))
    result = hfcli("finetune", base, "--dataset", "d.csv", *FAST, "--epochs", "12", "-o", "out")
    assert result.code == 0, result.err
    assert "(a number)" in result.err
    assert set(metrics(tmp_path / "out")["scores"]) >= {"pearson", "spearman", "mse"}
    scores = [record["score"] for record in hfcli("classify", "-m", "out", "a good film", "an awful film").records]
    assert scores[0] > scores[1] + 0.5


def test_lists_are_several_labels(hfcli, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    rows = []
    for _ in range(320):
        labels = [name for name in ("good", "dull") if rng.random() < 0.5]
        words = [*rng.choices(FILLER, k=6), *labels]
        rng.shuffle(words)
        rows.append({"text": " ".join(words), "labels": labels})
    write(tmp_path / "d.jsonl", rows)
    result = hfcli("finetune", base, "--dataset", "d.jsonl", *FAST, "--epochs", "10", "-o", "out")
    assert result.code == 0, result.err
    assert metrics(tmp_path / "out")["scores"]["f1_micro"]["value"] > 0.8
    used = hfcli("classify", "-m", "out", "a good dull film", "a dull story of two")
    assert [
        sorted(label if isinstance(label, str) else label["label"] for label in record["labels"])
        for record in used.records
    ] == [
        ["dull", "good"],
        ["dull"],
    ]


def test_pairs_are_pairs(hfcli, base, tmp_path, monkeypatch):
    """Joined with a space, the two texts of a pair could not be told apart."""
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    rows = []
    for number in range(240):
        words = [rng.choice(GOOD), rng.choice(BAD)]
        same = number % 2
        pair = [words[0], rng.choice(GOOD)] if same else words
        rows.append({"sentence1": pair[0], "sentence2": pair[1], "label": "same" if same else "other"})
    write(tmp_path / "d.csv", rows)
    result = hfcli("finetune", base, "--dataset", "d.csv", *FAST, "-o", "out")
    assert "d.csv · sentence1 + sentence2 -> label (other, same)" in result.err
    columns = json.loads((tmp_path / "out" / "hfcli_settings.json").read_text())["columns"]
    assert (columns["text"], columns["text_pair"]) == ("sentence1", "sentence2")
    used = hfcli("classify", "-m", "out", stdin='{"sentence1": "good", "sentence2": "fine"}\n')
    assert used.records[0]["label"] == "same"


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_decoders_without_a_pad_token_learn(hfcli, models, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    rows = [
        {"text": " ".join(["fox"] * (1 + i % 5) if i % 2 else ["bear"] * (1 + i % 3)), "label": "ab"[i % 2]}
        for i in range(80)
    ]
    write(tmp_path / "d.csv", rows)
    result = hfcli("finetune", models.head(kind), "--dataset", "d.csv", *FAST, "--epochs", "15", "-o", "out")
    assert result.code == 0, result.err
    used = hfcli("classify", "-m", "out", "fox fox", "bear", "fox fox fox fox")
    assert [record["label"] for record in used.records] == ["b", "a", "b"]


# long texts


def test_windows_see_what_a_cut_loses(hfcli, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)
    longer = (*FAST[:4], "--epochs", "6")
    rows = []
    for number in range(160):
        filler = rng.choices(FILLER, k=40)
        rows.append({"text": " ".join([*filler, (BAD, GOOD)[number % 2][0]]), "label": ("neg", "pos")[number % 2]})
    write(tmp_path / "d.csv", rows[:96]), write(tmp_path / "dev.csv", rows[96:])
    length = ("--eval-dataset", "dev.csv", "--max-length", "16", "--doc-stride", "4")
    cut = hfcli("finetune", base, "--dataset", "d.csv", *longer, *length, "-o", "cut")
    assert "--max-length 16 cuts 100% of records" in cut.err
    windows = hfcli("finetune", base, "--dataset", "d.csv", *longer, *length, "--on-long", "window", "-o", "windows")
    assert "makes windows of 100% of records" in windows.err
    accuracy = [metrics(tmp_path / name)["scores"]["accuracy"]["value"] for name in ("cut", "windows")]
    assert accuracy[0] < 0.7 < 0.85 < accuracy[1]
    stored = json.loads((tmp_path / "windows" / "hfcli_settings.json").read_text())
    assert (stored["max_length"], stored["on_long"], stored["doc_stride"]) == (16, "window", 4)
    used = hfcli("classify", "-m", "windows", rows[1]["text"], rows[0]["text"])
    assert [record["label"] for record in used.records] == ["pos", "neg"]
    refused = hfcli("finetune", base, "--dataset", "d.csv", *length, "--on-long", "error", "-o", "no")
    assert refused.code == 4
    assert "d.csv" in refused.err or "tokens" in refused.err


# what is refused


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        (["--dataset", "films.csv", "--text-column", "txt"], 2, "txt"),
        (["--dataset", "fims.csv"], 4, "no file fims.csv"),
        (["--dataset", "films.csv", "--max-length", "9999"], 2, "takes 64"),
        (["--dataset", "films.csv", "--freeze", "--lora"], 2, "decide the same"),
        (["--dataset", "films.csv", "--lora-r", "4"], 2, "--lora, which is not given"),
        (["--dataset", "films.csv", "--class-weight", "good=2"], 2, "no label 'good'; there is no, yes"),
        (["--dataset", "films.csv", "--metric-for-best-model", "acuracy"], 2, "did you mean accuracy?"),
        (["--dataset", "films.csv", "--report-to", "nothing"], 2, "--report-to nothing"),
        (["--dataset", "films.csv", "--seeds", "1"], 2, "not a list of different whole numbers"),
        (["--dataset", "films.csv", "--on-long", "window", "--max-length", "16", "--doc-stride", "16"], 2, "smaller"),
        (["--dataset", "films.csv", "--dtype", "float16"], 2, "float16 cannot train"),
        ([], 2, "no data to learn from"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(hfcli, base, data, argv, code, said):
    result = hfcli("finetune", base, *argv)
    assert (result.code, result.out) == (code, "")
    assert result.err.splitlines()[-1].startswith(("error:", "hint:", "      "))
    assert said in result.err
    assert "Traceback" not in result.err


def test_a_bad_line_stops_it_or_is_left_out(hfcli, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "d.csv", films(40))
    with path.open("a") as file:
        file.write("one,two,three\n")
    result = hfcli("finetune", base, "--dataset", "d.csv", "--max-steps", "1")
    assert result.code == 4
    assert "d.csv:42 has 3 fields instead of 2" in result.err
    assert "--on-error skip" in result.err
    assert not (tmp_path / "runs").exists()
    assert hfcli("finetune", base, "--dataset", "d.csv", "--max-steps", "1", "--on-error", "skip").code == 0


def test_an_empty_text_is_named_by_its_line(hfcli, base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d.csv", [*films(20), {"text": "", "label": "pos"}])
    result = hfcli("finetune", base, "--dataset", "d.csv", "--max-steps", "1")
    assert result.code == 4
    assert "d.csv:22: column text is empty" in result.err


def test_a_dry_run_trains_nothing_and_leaves_nothing(hfcli, base, data, tmp_path):
    result = hfcli("finetune", base, "--dataset", "films.csv", "--dry-run")
    assert result.code == 0, result.err
    assert "144 train" in result.err
    for word in ("labels", "length", "weights", "gradients", "optimizer", "activations", "total"):
        assert word in result.out, word
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_is_there_is_not_overwritten_unasked(hfcli, base, data, tmp_path):
    line = ("finetune", base, "--dataset", "films.csv", "--max-steps", "1", "-o", "out")
    assert hfcli(*line).code == 0
    before = (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns
    refused = hfcli(*line)
    assert refused.code == 2
    assert "out holds a finished run" in refused.err
    done = hfcli(*line, "--resume")
    assert (done.code, done.out) == (0, "out\n")
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns == before
    assert hfcli(*line, "--overwrite").code == 0
    assert (tmp_path / "out" / "model.safetensors").stat().st_mtime_ns != before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    for flags in ((), ("--overwrite",), ("--resume",)):
        assert hfcli(*line[:-1], "mine", *flags).code == 2
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"


def test_json_gives_the_metrics_instead_of_the_folder(hfcli, base, data):
    result = hfcli("finetune", base, "--dataset", "films.csv", "--max-steps", "1", "--json", "-q")
    assert json.loads(result.out)["scores"]["accuracy"]["n"] == 16
    assert result.err == ""


def test_the_recipe_it_leaves_repeats_the_run(hfcli, base, data, tmp_path):
    from hfcli.cli import _chosen, _steps

    line = ("finetune", base, "--dataset", "films.csv", *FAST, "--label-smoothing-factor", "0.1", "-o", "out")
    assert hfcli(*line).code == 0
    first = history(tmp_path / "out")
    text = (tmp_path / "out" / "hfcli.yaml").read_text()
    (step,) = _steps.check(*_chosen.find("out/hfcli.yaml"))
    argv = step.argv
    assert "--label-smoothing-factor" in argv
    assert str(tmp_path) not in text
    argv = [str(base) if part.endswith("classifier") and "runs" not in part else part for part in argv]
    assert hfcli(*argv, "--overwrite").code == 0

    def losses(entries):
        return [entry.get("loss") for entry in entries]

    assert losses(history(tmp_path / "out")) == losses(first)


# ways to learn


@pytest.mark.parametrize(
    "flags",
    [
        ("--freeze",),
        ("--freeze-layers", "1"),
        ("--unfreeze", "gradual"),
        ("--layerwise-lr-decay", "0.8"),
        ("--lora", "--lora-r", "4"),
        ("--gradient-checkpointing",),
        ("--class-weight", "balanced"),
        ("--class-weight", "yes=3"),
        ("--label-smoothing-factor", "0.1"),
        ("--lr-scheduler-type", "cosine"),
        ("--per-device-train-batch-size", "8", "--gradient-accumulation-steps", "2"),
    ],
    ids=lambda flags: flags[0],
)
def test_every_way_of_learning_runs_and_leaves_a_plain_model(hfcli, base, data, tmp_path, flags):
    if "--lora" in flags:
        pytest.importorskip("peft")
    batch = () if "--per-device-train-batch-size" in flags else ("--batch-size", "16")
    result = hfcli(
        "finetune", base, "--dataset", "films.csv", "--lr", "3e-3", "--epochs", "1", *batch, *flags, "-o", "out"
    )
    assert result.code == 0, result.err
    from transformers import AutoModelForSequenceClassification

    _, report = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))


def test_frozen_weights_stay(hfcli, base, data, tmp_path):
    from safetensors.torch import load_file

    assert hfcli("finetune", base, "--dataset", "films.csv", *FAST, "--freeze-layers", "1", "-o", "out").code == 0
    before, after = load_file(base / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    same = {
        name for name in before if before[name].shape == after[name].shape and bool((before[name] == after[name]).all())
    }
    assert all(name in same for name in before if "embeddings" in name or "layer.0." in name)
    assert not any("layer.1." in name and name.endswith("dense.weight") for name in same)


def test_it_stops_when_nothing_becomes_better_and_keeps_the_best(hfcli, base, data, tmp_path):
    line = ("finetune", base, "--dataset", "films.csv", "--lr", "3e-3", "--batch-size", "16", "--epochs", "30")
    assert hfcli(*line, "--early-stopping-patience", "2", "-o", "out").code == 0
    evaluations = [entry for entry in history(tmp_path / "out") if "eval_loss" in entry]
    assert len(evaluations) < 30
    scores = [entry["accuracy"] for entry in evaluations]
    assert len(evaluations) == scores.index(max(scores)) + 3
    best = max(range(len(evaluations)), key=lambda i: (scores[i], -evaluations[i]["eval_loss"]))
    found = metrics(tmp_path / "out")
    assert found["best"]["step"] == evaluations[best]["step"]
    assert found["scores"]["accuracy"]["value"] == pytest.approx(evaluations[best]["accuracy"])


def test_several_seeds_give_mean_and_deviation(hfcli, base, data, tmp_path):
    result = hfcli("finetune", base, "--dataset", "films.csv", *FAST, "--epochs", "1", "--seeds", "1,2,3", "-o", "out")
    assert (result.code, result.out) == (0, "out\n"), result.err
    assert "over seeds 1, 2, 3" in result.err
    about = json.loads((tmp_path / "out" / "seeds.json").read_text())
    values = list(about["scores"].values())
    assert len(values) == 3
    assert about["mean"] == pytest.approx(sum(values) / 3)
    assert metrics(tmp_path / "out")["scores"]["accuracy"]["value"] == max(values)
    assert hfcli("classify", "-m", "out", "a good film").code == 0


def test_a_loss_that_is_no_number_stops_it_after_saving(hfcli, base, data, tmp_path):
    result = hfcli(
        "finetune", base, "--dataset", "films.csv", "--lr", "1e30", "--max-grad-norm", "0", "--epochs", "3", "-o", "out"
    )
    assert result.code == 5
    assert "is not a number; what was learnt before it is saved" in result.err
    assert "--learning-rate" in result.err
    assert list((tmp_path / "out").glob("checkpoint-*"))


def test_trackers_get_the_numbers(hfcli, base, data, tmp_path):
    pytest.importorskip("tensorboard")
    line = ("finetune", base, "--dataset", "films.csv", *FAST, "--report-to", "tensorboard", "-o", "out")
    assert hfcli(*line).code == 0
    assert list((tmp_path / "out").rglob("events.out.tfevents.*"))
