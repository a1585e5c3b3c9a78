"""Training as it should be: what every step computes, and that interruptions and full memories or disks change nothing."""

import csv
import json
import math
import pkgutil
import random
import resource
import shutil
import signal
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

from tests.tiny import BAD, FILLER, GOOD

LABELS = ("neg", "pos")
FAST = (
    "--learning-rate", "3e-3", "--batch-size", "8", "--max-steps", "7", "--eval-steps", "3", "-o", "out",
    "--dtype", "float32", "--tokens-per-batch", "200",  # a step is one piece, an evaluation two
)  # fmt: skip


def films(n, seed, words=9):
    """Sentences that one word decides."""
    rng = random.Random(seed)
    for number in range(n):
        text = [*rng.choices(FILLER, k=words), rng.choice((BAD, GOOD)[number % 2])]
        rng.shuffle(text)
        yield {"text": " ".join(text), "label": LABELS[number % 2]}


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def base(models):
    """A model with dropout and a head for two labels."""
    return models._make("restless", lambda folder: models._head(folder, "bert", LABELS))


@pytest.fixture(scope="module")
def still(models):
    """The same without dropout: what it computes does not depend on how a batch is cut."""
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return models._make("still", lambda folder: models._head(folder, "bert", LABELS, **none))


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """36 records of different lengths: 5 steps of 7 or 8 make an epoch."""
    monkeypatch.chdir(tmp_path)
    rows = [record for words in (4, 9, 15) for record in films(12, words, words=words)]
    write(tmp_path / "dev.csv", list(films(60, 99)))
    write(tmp_path / "films.csv", rows)
    return rows


@pytest.fixture
def finetune(hfcli):
    """`finetune(model, *flags)`: a line with these data."""

    def call(model, *flags):
        return hfcli("finetune", model, "--dataset", "films.csv", "--eval-dataset", "dev.csv", *flags)

    return call


@pytest.fixture
def forwards(monkeypatch):
    """What is called before every run of the model, with its number, whether it learns, and `(rows, tokens)`."""
    from hfcli.runtime.forward import Network

    logits, hooks, count = Network.logits, [], 0

    def hooked(self, features):
        nonlocal count
        count += 1
        size = len(features), max(len(feature.inputs["input_ids"]) for feature in features)
        for hook in hooks:
            hook(count, self.model.training, size)
        return logits(self, features)

    def put(*new):
        nonlocal count
        hooks[:], count = new, 0

    monkeypatch.setattr(Network, "logits", hooked)
    return put


def outcome(folder):
    """What must not depend on what happened to a run: weights, losses and scores, without times."""
    lines = [{key: value for key, value in line.items() if key != "seconds"} for line in history(folder)]
    found = json.loads((folder / "metrics.json").read_text())
    kept = {key: found[key] for key in ("scores", "best", "per_class", "confusion_matrix", "hyperparameters")}
    return (folder / "model.safetensors").read_bytes(), lines, kept


def losses(folder):
    return [line["loss"] for line in history(folder) if "loss" in line]


def weights(folder):
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def saved(folder):
    """Steps of the checkpoints."""
    return sorted(int(path.name[11:]) for path in folder.glob("checkpoint-*"))


# every step


def plain(folder, rows, steps, *, columns=("text",), weight=None, smoothing=0.0, lowest=0, decay=1.0, clip=1.0):
    """The same training as the few lines that everybody writes: losses, rates and weights."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).train()
    groups = []
    for name, parameter in model.named_parameters():
        depth = 0 if "embeddings" in name else int(name.split("layer.")[1][0]) + 1 if "layer." in name else 3
        parameter.requires_grad_(depth >= lowest)
        one = {"params": [parameter], "share": decay ** (3 - depth), "weight_decay": 0.01 * (parameter.ndim > 1)}
        groups += [one] if depth >= lowest else []
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    found, rates, warmup, an_epoch = [], [], math.ceil(0.3 * steps), math.ceil(len(rows) / 8)
    for step in range(steps):
        rates.append(3e-3 * ((step + 1) / warmup if step < warmup else (steps - step) / (steps - warmup)))
        epoch, within = divmod(step, an_epoch)
        first, last = (k * len(rows) // an_epoch for k in (within, within + 1))
        order = np.random.default_rng([42, epoch]).permutation(len(rows))[first:last]
        texts = [[rows[i][column] for i in order] for column in columns]
        inputs = tokenizer(*texts, padding=True, return_tensors="pt")
        labels = torch.tensor([LABELS.index(rows[i]["label"]) for i in order])
        loss = torch.nn.functional.cross_entropy(
            model(**inputs).logits, labels, weight and torch.tensor(weight), label_smoothing=smoothing, reduction="none"
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], clip)
        for group in optimizer.param_groups:
            group["lr"] = rates[-1] * group["share"]
        optimizer.step()
        found.append(loss.item())
    return found, rates, {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("flags", "same"),
    [
        ((), {}),
        (("--max-grad-norm", "0"), {"clip": math.inf}),
        (("--max-grad-norm", "0.1"), {"clip": 0.1}),
        (("--class-weight", "pos=3"), {"weight": [1.0, 3.0]}),
        (("--label-smoothing-factor", "0.2"), {"smoothing": 0.2}),
        (("--freeze-layers", "1"), {"lowest": 2}),
        (("--freeze",), {"lowest": 3}),
        (("--layerwise-lr-decay", "0.5"), {"decay": 0.5}),
        (("--tokens-per-batch", "25"), {}),
        (("--class-weight", "neg=0.5,pos=2", "--label-smoothing-factor", "0.1", "--freeze-layers", "0",
          "--layerwise-lr-decay", "0.8"),
         {"weight": [0.5, 2.0], "smoothing": 0.1, "lowest": 1, "decay": 0.8}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_every_step_is_what_a_plain_loop_computes(finetune, still, data, tmp_path, flags, same):
    flags = (*flags, "--warmup-ratio", "0.3", "--max-steps", "8", "--eval-steps", "99")
    result = finetune(still, *FAST, *flags)
    assert result.code == 0, result.err
    expected, rates, learnt = plain(still, data, 8, **same)
    assert losses(tmp_path / "out") == pytest.approx(expected, abs=1e-5)
    assert [line["learning_rate"] for line in history(tmp_path / "out") if "loss" in line] == pytest.approx(rates)
    for name, value in weights(tmp_path / "out").items():
        if name.endswith("key.bias"):
            continue  # softmax does not see it: its gradient is rounding, which AdamW makes as large as any other
        np.testing.assert_allclose(value, learnt[name], atol=2e-5, err_msg=name)


def test_how_a_step_is_cut_changes_nothing(finetune, still, tmp_path):
    found = {}
    for tokens in ("1", "40", "100000"):
        line = (*FAST, "--tokens-per-batch", tokens, "--overwrite", "--dtype", "float32")
        assert finetune(still, *line).code == 0
        found[tokens] = [entry.get("loss", entry.get("eval_loss")) for entry in history(tmp_path / "out")]
    assert len(found["1"]) == 10
    assert found["1"] == pytest.approx(found["100000"], abs=1e-5)
    assert found["40"] == pytest.approx(found["100000"], abs=1e-5)


def test_windows_of_a_record_count_as_one(finetune, still, tmp_path):
    """A step of a short record and one of six windows: its loss is the mean of two, not of seven."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    rows = [{"text": "a good film", "label": "pos"}, {"text": " ".join(["the film was dull"] * 12), "label": "neg"}]
    write(tmp_path / "films.csv", rows)
    length = ("--max-length", "12", "--on-long", "window", "--doc-stride", "2")
    assert finetune(still, *FAST, "--batch-size", "2", "--max-steps", "1", *length).code == 0
    tokenizer, model = AutoTokenizer.from_pretrained(still), AutoModelForSequenceClassification.from_pretrained(still)
    expected = []
    for row in rows:
        words = row["text"].split()
        windows = [" ".join(words[start : start + 10]) for start in range(0, max(len(words) - 2, 1), 8)]
        logits = model(**tokenizer(windows, padding=True, return_tensors="pt")).logits
        labels = torch.tensor([LABELS.index(row["label"])] * len(windows))
        expected.append(torch.nn.functional.cross_entropy(logits, labels).item())
    assert losses(tmp_path / "out") == [pytest.approx(sum(expected) / 2, abs=1e-5)]


# stopped and gone on with


@pytest.fixture
def straight(request, finetune, base, tmp_path):
    """A line, and what comes of it when nothing happens."""
    line = (base, *FAST, "--dtype", getattr(request, "param", "float32"))
    assert finetune(*line, "-o", "straight").code == 0
    return line, outcome(tmp_path / "straight")


def stop(at, number):
    """A hook that sends this process a signal when the model is run for that time."""
    return lambda count, learns, size: signal.raise_signal(number) if count == at else None


def test_stopped_at_any_moment_it_ends_as_if_nothing_had_happened(finetune, straight, forwards, tmp_path):
    line, expected = straight
    count = []
    forwards(lambda number, learns, size: count.append(learns))
    assert finetune(*line, "--overwrite").code == 0
    assert outcome(tmp_path / "out") == expected
    assert count.count(False) == 6
    for at, learns in enumerate(count, 1):
        forwards(stop(at, number := (signal.SIGINT, signal.SIGTERM)[at % 2]))
        stopped = finetune(*line, "--overwrite")
        assert (stopped.code, stopped.out) == (128 + number, "")
        done = count[:at].count(True)
        assert f"saved step {done} of 7 in " in stopped.err
        assert stopped.err.endswith("hint:  the same line with --resume goes on from here\n")
        assert ("stopping after this step (Ctrl-C again: stop now, " in stopped.err) == learns
        assert max(saved(tmp_path / "out")) == done
        forwards()
        resumed = finetune(*line, "--resume")
        assert (resumed.code, resumed.out) == (0, "out\n"), resumed.err
        assert f"resume  out · step {done} of 7, epoch {done / 5:.2f}, hashes ok\n" in resumed.err
        assert "        same data, settings and versions: continues exactly where it was\n" in resumed.err
        assert outcome(tmp_path / "out") == expected


@pytest.mark.parametrize("straight", ["float32", "bfloat16"], indirect=True)
def test_stopped_again_and_again_it_ends_as_if_nothing_had_happened(finetune, straight, forwards, tmp_path):
    line, expected = straight
    steps = []

    def first_step(count, learns, size):
        if learns and not steps:
            steps.append(count)
            signal.raise_signal(signal.SIGINT)

    forwards(first_step)
    for _ in range(7):
        steps.clear()
        assert finetune(*line, "--resume").code == 130
    assert finetune(*line, "--resume").code == 0
    assert outcome(tmp_path / "out") == expected


@pytest.mark.parametrize(
    "flags",
    [
        ("--unfreeze", "gradual"),
        ("--lora", "--lora-r", "4", "--lora-dropout", "0.1"),
        ("--gradient-checkpointing",),
        ("--max-length", "8", "--on-long", "window", "--doc-stride", "2", "--tokens-per-batch", "30"),
        ("--max-steps", "30", "--eval-steps", "2", "--early-stopping-patience", "2", "--metric", "loss"),
    ],
    ids=lambda flags: flags[0],
)
def test_every_way_of_learning_goes_on_where_it_was(finetune, base, forwards, tmp_path, flags):
    if "--lora" in flags:
        pytest.importorskip("peft")
    assert finetune(base, *FAST, *flags, "-o", "straight").code == 0
    forwards(stop(9, signal.SIGINT))
    assert finetune(base, *FAST, *flags).code == 130
    forwards()
    result = finetune(base, *FAST, *flags, "--resume")
    assert result.code == 0, result.err
    assert outcome(tmp_path / "out") == outcome(tmp_path / "straight")


def test_a_second_signal_does_not_wait(finetune, straight, forwards, tmp_path):
    line, expected = straight
    forwards(stop(7, signal.SIGINT), stop(7, signal.SIGINT))  # the third step is saved, since it was the best so far
    stopped = finetune(*line)
    assert stopped.code == 130
    assert "saved step" not in stopped.err
    assert saved(tmp_path / "out") == [3]
    forwards()
    assert finetune(*line, "--resume").code == 0
    assert outcome(tmp_path / "out") == expected


def test_a_signal_that_is_ignored_stays_ignored(finetune, base, forwards):
    """As behind nohup, or `&` in a script: Ctrl-C there is about something else."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forwards(stop(2, signal.SIGINT))
        assert finetune(base, *FAST).code == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_score_is_in_the_history_once_also_when_it_is_killed_after_it_was_stopped(
    finetune, straight, forwards, tmp_path
):
    """Step 6 is saved without its score, which comes after the resume; then a kill leaves that save the newest one."""
    line, expected = straight
    forwards(stop(9, signal.SIGTERM))
    assert finetune(*line).code == 143
    assert (saved(tmp_path / "out"), history(tmp_path / "out")[-1].get("eval_loss")) == ([3, 6], None)
    forwards(stop(3, signal.SIGINT), stop(3, signal.SIGINT))
    assert finetune(*line, "--resume").code == 130
    forwards()
    assert finetune(*line, "--resume").code == 0
    assert outcome(tmp_path / "out") == expected


# what is saved


@pytest.fixture
def saves(monkeypatch):
    """Steps of all checkpoints that were written."""
    from hfcli.runtime import checkpoints

    steps, save = [], checkpoints.save

    def noted(run, step, *rest):
        steps.append(step)
        return save(run, step, *rest)

    monkeypatch.setattr(checkpoints, "save", noted)
    return steps


@pytest.mark.parametrize(
    ("flags", "steps"),
    [
        ((), [5, 10, 12]),
        (("--save-epochs", "2"), [10, 12]),
        (("--save-steps", "4"), [4, 5, 8, 10, 12]),
        (("--save-minutes", "1e-9", "--save-epochs", "9"), list(range(1, 13))),
        (("--eval-steps", "6", "--metric", "loss", "--save-epochs", "9"), [6, 12]),  # where it was the best so far
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_it_saves_when_it_was_told_to(finetune, base, saves, tmp_path, flags, steps):
    assert finetune(base, *FAST, "--max-steps", "12", "--eval-steps", "99", *flags).code == 0
    assert saves == steps
    assert saved(tmp_path / "out") == []


def test_the_newest_and_the_best_are_kept(finetune, base, forwards, tmp_path):
    line = (base, *FAST, "--max-steps", "20", "--save-steps", "1", "--metric", "loss", "--learning-rate", "1e-9")
    forwards(stop(20, signal.SIGINT))
    assert finetune(*line, "--save-total-limit", "3").code == 130
    best = min((entry for entry in history(tmp_path / "out") if "eval_loss" in entry), key=lambda e: e["eval_loss"])
    assert saved(tmp_path / "out") == sorted({best["step"], 10, 11, 12})


def test_a_score_that_is_no_number_is_not_the_best(finetune, base, monkeypatch, tmp_path):
    """The correlation with a model that says the same of everything, as it does at first."""
    from hfcli.runtime.judging import LabelJudge

    scores, calls = LabelJudge.scores, []

    def undefined_at_first(self, *arguments):
        found = scores(self, *arguments)
        calls.append(found)
        nothing = dict.fromkeys(("value", "low", "high"), math.nan)
        return found if len(calls) > 1 else {name: one._replace(**nothing) for name, one in found.items()}

    monkeypatch.setattr(LabelJudge, "scores", undefined_at_first)
    assert finetune(base, *FAST).code == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["best"]["step"] > 3


def test_nothing_in_a_run_is_a_pickle(finetune, base, forwards, tmp_path):
    forwards(stop(3, signal.SIGINT))
    assert finetune(base, *FAST).code == 130
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json", ".jsonl"}
    assert not [path for path in files if path.read_bytes()[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04")]


# memory runs out


CUDA = "CUDA out of memory. Tried to allocate 20.00 MiB."
CPU = (
    "[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
)


def room(tokens, message=CUDA, learning=True, after=0):
    """A hook that lets memory run out with more tokens than that, in training or in evaluations."""
    import torch

    kind = torch.OutOfMemoryError if message == CUDA else RuntimeError

    def hook(count, learns, size):
        if learns == learning and count > after and math.prod(size) > tokens:
            raise kind(message)

    return hook


@pytest.fixture
def even(tmp_path):
    """40 records of 11 tokens: a step of 8 has 88."""
    write(tmp_path / "films.csv", list(films(40, 1, words=8)))


@pytest.mark.usefixtures("even")
@pytest.mark.parametrize("message", [CUDA, CPU], ids=["cuda", "cpu"])
def test_out_of_memory_redoes_the_step_in_smaller_pieces(finetune, base, forwards, tmp_path, message):
    line = (base, *FAST, "--tokens-per-batch")
    assert finetune(*line, "44", "-o", "small").code == 0
    forwards(room(50, message))
    result = finetune(*line, "1000")
    assert result.code == 0, result.err
    assert result.err.count("out of memory") == 1
    assert "note: out of memory at 8 x 11 tokens; now 2 x 4, same batch, step redone\n" in result.err
    assert weights_of(tmp_path / "out") == weights_of(tmp_path / "small")
    assert losses(tmp_path / "out") == losses(tmp_path / "small")


def weights_of(folder):
    return (folder / "model.safetensors").read_bytes()


@pytest.mark.usefixtures("even")
def test_out_of_memory_in_the_backward_pass_leaves_no_half_of_a_gradient(
    finetune, base, monkeypatch, forwards, tmp_path
):
    import accelerate
    import torch

    line = (base, *FAST, "--tokens-per-batch")
    assert finetune(*line, "22", "-o", "small").code == 0
    sizes, backward = [], accelerate.Accelerator.backward
    forwards(lambda count, learns, size: sizes.append(size))

    def scarce(self, loss):
        backward(self, loss)
        if math.prod(sizes[-1]) > 30 and len(sizes) > 1:
            raise torch.OutOfMemoryError(CUDA)

    monkeypatch.setattr(accelerate.Accelerator, "backward", scarce)
    result = finetune(*line, "44")  # the first piece passes, the second does not
    assert "out of memory at 4 x 11 tokens; now 2 x 2" in result.err
    assert weights_of(tmp_path / "out") == weights_of(tmp_path / "small")


def test_out_of_memory_in_the_middle_changes_nothing_but_rounding(finetune, still, forwards, tmp_path):
    line = (still, *FAST, "--dtype", "float32")
    assert finetune(*line, "-o", "straight").code == 0
    forwards(room(30, after=4))
    result = finetune(*line)
    assert result.code == 0, result.err
    notes = [text for text in result.err.splitlines() if "out of memory" in text]
    assert 1 < len(notes) == len(set(notes))
    assert losses(tmp_path / "out") == pytest.approx(losses(tmp_path / "straight"), abs=1e-5)


@pytest.mark.usefixtures("even")
def test_what_memory_holds_is_known_after_a_resume(finetune, base, forwards, tmp_path):
    line = (base, *FAST, "--tokens-per-batch")
    assert finetune(*line, "44", "-o", "small").code == 0
    forwards(room(50), room(500, learning=False), stop(13, signal.SIGINT))
    assert finetune(*line, "1000").code == 130
    sizes, measured = set(), set()
    forwards(lambda count, learns, size: (sizes if learns else measured).add(size))
    assert finetune(*line, "1000", "--resume").code == 0
    assert sizes == {(4, 11)}
    assert max(math.prod(size) for size in measured) <= 500
    assert weights_of(tmp_path / "out") == weights_of(tmp_path / "small")


def test_one_record_that_does_not_fit_ends_it_and_what_was_learnt_is_saved(finetune, base, forwards, tmp_path):
    assert finetune(base, *FAST, "-o", "straight").code == 0
    forwards(room(5, after=2))
    result = finetune(base, *FAST)
    assert (result.code, result.out) == (6, "")
    lines = result.err.splitlines()
    assert "error: one record of " in lines[-2]
    assert lines[-2].endswith(" tokens does not fit into memory")
    assert lines[-1].startswith("hint:  --gradient-checkpointing, ")
    assert saved(tmp_path / "out") == [2]
    forwards()
    resumed = finetune(base, *FAST, "--resume", "--gradient-checkpointing", "--tokens-per-batch", "200")
    assert resumed.code == 0, resumed.err
    assert "gradient-checkpointing false -> true: goes on, not bit for bit" in resumed.err
    assert losses(tmp_path / "out") == pytest.approx(losses(tmp_path / "straight"), abs=1e-5)


def test_out_of_memory_while_measuring_leaves_the_training_as_it_was(finetune, straight, forwards, tmp_path):
    line, expected = straight
    sizes = []
    forwards(lambda count, learns, size: sizes.append((learns, math.prod(size))), room(120, learning=False))
    result = finetune(*line)
    assert result.code == 0
    assert "note: out of memory while measuring, at 33 x 12 tokens; now 16 x 12 at most\n" in result.err, result.err
    assert weights_of(tmp_path / "out") == expected[0]
    assert losses(tmp_path / "out") == [line["loss"] for line in expected[1] if "loss" in line]
    found = [entry["eval_loss"] for entry in history(tmp_path / "out") if "eval_loss" in entry]
    assert found == pytest.approx([line["eval_loss"] for line in expected[1] if "eval_loss" in line], abs=1e-6)
    measured = [size for learns, size in sizes if not learns]
    assert sum(size > 120 for size in measured) <= 2, measured  # 400, 200: tried once a size, not once a batch
    assert min(measured[-4:]) > 30


# the disk is full


@pytest.fixture
def full():
    """`with full(bytes)`: no file can become larger than that."""

    @contextmanager
    def limited(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


def test_a_full_disk_keeps_what_was_saved(finetune, straight, forwards, full, tmp_path):
    line, expected = straight
    forwards(stop(2, signal.SIGINT))
    assert finetune(*line).code == 130
    forwards()
    with full(100_000):
        result = finetune(*line, "--resume")
    assert (result.code, result.out) == (4, "")
    assert "error: cannot save out/checkpoint-3 (file too large)\n" in result.err
    assert result.err.endswith("hint:  out/checkpoint-2 is kept: the same line with --resume goes on from there\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["checkpoint-2", "history.jsonl", "run.json"]
    assert finetune(*line, "--resume").code == 0
    assert outcome(tmp_path / "out") == expected


@pytest.mark.parametrize(
    ("place", "size"),
    [
        ("transformers.PreTrainedModel.save_pretrained", 50_000),  # config.json fits
        ("transformers.PreTrainedTokenizerBase.save_pretrained", 1_000),  # tokenizer_config.json fits
        ("hfcli.runtime.settings.write", 200),
        ("hfcli.runtime.curves.draw", 1_000),
    ],
)
def test_a_full_disk_at_the_end_loses_nothing(finetune, straight, full, monkeypatch, tmp_path, place, size):
    """All steps are done; whatever file it is that does not fit, it is said, and written when there is room."""
    line, expected = straight
    with monkeypatch.context() as patch, ExitStack() as stack:
        write = pkgutil.resolve_name(place)

        def scarce(*arguments, **flags):
            stack.enter_context(full(size))
            return write(*arguments, **flags)

        patch.setattr(place, scarce)
        result = finetune(*line, "-q")
    assert (result.code, result.out) == (4, ""), result.err
    assert "(file too large)" in result.err
    assert not (tmp_path / "out" / "metrics.json").exists()
    assert finetune(*line, "--resume").code == 0
    assert outcome(tmp_path / "out") == expected
    assert {path.name for path in (tmp_path / "out").iterdir()} == {p.name for p in (tmp_path / "straight").iterdir()}


# gone on with something else


def test_other_settings_and_other_data_are_refused_by_name(finetune, base, data, forwards, tmp_path):
    forwards(stop(2, signal.SIGINT))
    assert finetune(base, *FAST).code == 130
    forwards()
    for flags, said in (
        (("--learning-rate", "1e-3"), "learning-rate (0.003, now 0.001)"),
        (("--batch-size", "4"), "batch-size (8, now 4)"),
        (("--seed", "7"), "seed (42, now 7)"),
        (("--max-steps", "9"), "steps (7, now 9)"),
        (("--freeze",), "freeze (false, now true)"),
        (("--max-length", "12"), "settings ("),
        (("--dtype", "bfloat16"), "dtype ("),
    ):
        result = finetune(base, *FAST, *flags, "--resume")
        assert (result.code, result.out) == (2, ""), result.err
        assert "error: the run in out was begun with other settings: " in result.err
        assert said in result.err
        assert "hint:  use the same ones, or --overwrite starts again\n" in result.err
    write(tmp_path / "films.csv", [*data[:-1], {**data[-1], "text": "another film"}])
    result = finetune(base, *FAST, "--resume")
    assert result.code == 2
    assert "train (" in result.err
    assert saved(tmp_path / "out") == [2]


def test_the_same_settings_may_be_said_in_another_way(finetune, still, forwards, tmp_path):
    line = ("--batch-size", "32", "--eval-steps", "9", "-o", "out")
    forwards(stop(2, signal.SIGINT))
    assert finetune(still, *line).code == 130
    forwards()
    again = ("--epochs", "3", "--learning-rate", "2e-5", "--per-device-train-batch-size", "8")
    again = (*again, "--gradient-accumulation-steps", "4", "--eval-steps", "9", "-o", "out", "--resume")
    result = finetune(still, *again)
    assert result.code == 0, result.err


def test_fewer_tokens_at_once_can_be_asked_for_on_the_way(finetune, still, straight, forwards, tmp_path):
    """The kernel killed it, since memory was short."""
    forwards(stop(2, signal.SIGINT))
    assert finetune(still, *FAST).code == 130
    sizes = []
    forwards(lambda count, learns, size: learns and sizes.append(math.prod(size)))
    assert finetune(still, *FAST, "--resume", "--tokens-per-batch", "50").code == 0
    assert max(sizes) <= 50


@pytest.mark.parametrize(("name", "value"), [("torch", "2.0.0"), ("threads", "64")])
def test_other_versions_go_on_and_say_that_it_is_not_bit_for_bit(
    finetune, base, forwards, monkeypatch, tmp_path, name, value
):
    from hfcli.runtime import environment

    now = environment.versions()
    forwards(stop(2, signal.SIGINT))
    with monkeypatch.context() as patch:
        patch.setattr(environment, "versions", lambda: {**now, name: value})
        assert finetune(base, *FAST).code == 130
    forwards()
    result = finetune(base, *FAST, "--resume")
    assert result.code == 0
    assert f"        {name} {value} -> {now[name]}: goes on, not bit for bit\n" in result.err
    assert "continues exactly" not in result.err


def test_an_unfinished_run_is_neither_gone_on_with_nor_lost_unasked(finetune, straight, forwards, tmp_path):
    line, expected = straight
    forwards(stop(5, signal.SIGINT))
    assert finetune(*line).code == 130
    forwards()
    refused = finetune(*line)
    assert (refused.code, refused.out) == (2, "")
    assert "error: out holds an unfinished run (step 3 of 7)\n" in refused.err
    assert "hint:  add --resume to finish it, or --overwrite to start again\n" in refused.err
    assert saved(tmp_path / "out") == [3]
    again = finetune(*line, "--overwrite")
    assert again.code == 0
    assert "resume" not in again.err
    assert outcome(tmp_path / "out") == expected


def test_nothing_to_resume_begins_at_the_beginning(finetune, straight, forwards, tmp_path):
    line, expected = straight
    forwards(stop(1, signal.SIGINT), stop(1, signal.SIGINT))
    assert finetune(*line).code == 130
    assert saved(tmp_path / "out") == []
    forwards()
    result = finetune(*line, "--resume")
    assert "nothing was saved yet: begins at the beginning" in result.err
    assert outcome(tmp_path / "out") == expected


def test_killed_just_before_its_checkpoints_are_removed_it_is_finished_and_they_go(
    finetune, straight, forwards, tmp_path
):
    line, expected = straight
    forwards(stop(2, signal.SIGINT))
    assert finetune(*line).code == 130
    forwards()
    finished = tmp_path / "straight"
    for name in ("checkpoint-2", ".checkpoint-1.gone-99999"):
        shutil.copytree(tmp_path / "out" / "checkpoint-2", finished / name)
    result = finetune(*line, "-o", "straight", "--resume")
    assert (result.code, result.out) == (0, "straight\n")
    assert "straight is finished already; --overwrite makes it anew" in result.err
    assert not [path for path in finished.iterdir() if "checkpoint" in path.name]
    assert outcome(finished) == expected


def test_two_runs_do_not_write_one_folder(finetune, straight, tmp_path):
    from hfcli.runtime import checkpoints

    line, expected = straight
    with checkpoints.lock(tmp_path / "out"):
        for flags in ((), ("--resume",), ("--overwrite",)):
            result = finetune(*line, *flags)
            assert (result.code, result.out) == (2, "")
            assert "error: out is being written by another run\n" in result.err
    assert finetune(*line).code == 0
    assert outcome(tmp_path / "out") == expected


def test_a_run_that_another_process_finishes_meanwhile_is_not_overwritten(finetune, straight, monkeypatch, tmp_path):
    """Both saw an empty folder when they began; the second one gets the lock when the first one is done."""
    from hfcli.runtime import preparing

    line, expected = straight
    prepare = preparing.prepare

    def slow(*arguments):
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        assert finetune(*line, "--seed", "3").code == 0
        return prepare(*arguments)

    monkeypatch.setattr(preparing, "prepare", slow)
    result = finetune(*line)
    assert result.code == 2
    assert "out holds a finished run" in result.err
    assert outcome(tmp_path / "out") != expected


# damage


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_checkpoint_is_passed_over(finetune, straight, forwards, tmp_path):
    line, expected = straight
    line = (*line, "--save-steps", "1", "--save-total-limit", "2")
    forwards(stop(8, signal.SIGINT))
    assert finetune(*line).code == 130
    assert saved(tmp_path / "out") == [3, 5, 6]
    damage(tmp_path / "out" / "checkpoint-6" / "model.safetensors")
    forwards()
    result = finetune(*line, "--resume")
    assert "checkpoint-6 is damaged (model.safetensors has other content than its manifest says) and was not used" in (
        result.err
    )
    assert "resume  out · step 5 of 7" in result.err
    assert outcome(tmp_path / "out") == expected


def test_when_the_best_checkpoint_is_damaged_the_best_of_the_rest_is_taken(finetune, straight, forwards, tmp_path):
    line, _ = straight
    forwards(stop(9, signal.SIGINT))
    line = (*line, "--metric", "loss", "--learning-rate", "3e-2", "--warmup-ratio", "0")
    assert finetune(*line).code == 130
    assert saved(tmp_path / "out")[0] == 3
    damage(tmp_path / "out" / "checkpoint-3" / "model.safetensors")
    forwards()
    result = finetune(*line, "--resume")
    assert result.code == 0, result.err
    assert "checkpoint-3" in result.err
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["best"]["step"] in (6, 7)
