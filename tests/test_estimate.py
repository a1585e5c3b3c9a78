"""`hfcli estimate`: verdict, table and exit code; what is fetched for it; what else would fit."""

import json
import re

import pytest
import torch

from hfcli.runtime import environment

PLAIN = ("--device", "cpu", "--no-measure")


@pytest.fixture
def free(monkeypatch):
    """`free(10**9)`: so many bytes are left."""

    def call(count):
        monkeypatch.setattr(environment, "free_bytes", lambda device: count)

    return call


@pytest.fixture
def config(tmp_path):
    """`config("BertConfig", hidden_size=64)`: a folder with a config.json and nothing else."""

    def call(kind, **values):
        import transformers

        folder = tmp_path / f"only-{len(list(tmp_path.iterdir()))}"
        getattr(transformers, kind)(**values).save_pretrained(folder)
        return folder

    return call


@pytest.fixture
def large(config):
    """A BERT whose weights take 1.34 GB."""
    return config("BertConfig", hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)


def found(hfcli, *argv):
    result = hfcli("estimate", *argv, "--json")
    assert result.code in (0, 6), result.err
    return json.loads(result.out)


# how much


def test_a_config_is_enough_and_the_verdict_comes_first(hfcli, large, free):
    free(22_100_000_000)
    result = hfcli("estimate", large, *PLAIN, "--dtype", "bfloat16", "--batch-size", "4")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r"fits   \d+\.\d of 22\.1 GB free on cpu", result.lines[0])
    assert result.lines[1:6] == [
        "",
        "                   train    predict",
        "weights          1.34 GB    0.67 GB     float32 / bfloat16",
        "gradients        1.34 GB          -",
        "optimizer        2.68 GB          -     AdamW",
    ]
    assert result.lines[6].endswith("     4 x 512 tokens, computed in bfloat16")
    assert result.lines[-1] == "model  335 M parameters · text-classification learns all of them"
    assert max(map(len, result.lines)) <= 80


def test_devices_that_share_a_model_have_a_part_of_it_each(hfcli, large, free):
    free(10**11)
    alone = found(hfcli, large, *PLAIN, "--batch-size", "4")
    shared = found(hfcli, large, *PLAIN, "--batch-size", "4", "--num-processes", "4", "--fsdp")
    for part in ("weights", "gradients", "optimizer"):
        assert shared["train"][part] == pytest.approx(alone["train"][part] / 4, rel=1e-6)
    refused = hfcli("estimate", large, *PLAIN, "--fsdp")
    assert (refused.code, refused.out) == (2, "")
    assert "--fsdp shares a model among several devices, and this is one" in refused.err


def test_json_has_bytes_that_add_up(hfcli, models, free):
    free(10**10)
    one = found(hfcli, models.classifier(), *PLAIN, "--dtype", "float32", "--batch-size", "3")
    parameters = one["parameters"]
    assert (one["fits"], one["max_length"], one["batch_size"], one["free"]) == (True, 64, 3, 10**10)
    assert one["split"] == {"pieces": 1, "records": 3}
    assert one["train"]["weights"] == one["train"]["gradients"] == one["predict"]["weights"] == 4 * parameters
    assert one["train"]["optimizer"] == 8 * parameters
    parts = ("weights", "gradients", "optimizer", "activations")
    assert one["train"]["total"] == sum(one["train"][part] for part in parts)
    assert one["learning"] == parameters
    assert one["measured"] is None


@pytest.mark.parametrize(
    ("flags", "part"),
    [(("--freeze",), 0.2), (("--freeze-layers", "1"), 0.75), (("--lora", "--lora-r", "4"), 0.5)],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_learns_is_what_finetune_trains(hfcli, config, flags, part):
    pytest.importorskip("peft")
    folder = config(
        "BertConfig", hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, vocab_size=50,
        max_position_embeddings=32,
    )  # fmt: skip
    one = found(hfcli, folder, *PLAIN, *flags)
    assert 0 < one["learning"] < one["parameters"] * part
    assert one["train"]["gradients"] == 4 * one["learning"]
    assert one["train"]["optimizer"] == 8 * one["learning"]


def test_it_counts_the_parameters_that_finetune_says_it_trains(hfcli, models, tmp_path, monkeypatch):
    from tests.test_finetune import films, write

    monkeypatch.chdir(tmp_path)
    write(tmp_path / "films.csv", films(40))
    plan = hfcli("finetune", models.classifier(), "--dataset", "films.csv", "--dry-run", "--json", "--freeze")
    memory = json.loads(plan.out)["memory_bytes"]
    one = found(hfcli, models.classifier(), *PLAIN, "--freeze")
    assert one["train"]["weights"] == memory["weights"]
    assert one["train"]["gradients"] == memory["gradients"]


def test_records_that_do_not_fit_together_are_split_as_finetune_does_it(hfcli, large, free):
    free(16 * 10**9)
    result = hfcli("estimate", large, *PLAIN, "--dtype", "bfloat16", "--batch-size", "64")
    assert result.code == 0
    assert result.lines[0] == "fits   split into 16 x 4 records (finetune does this itself, same result):"
    assert re.fullmatch(r" {7}\S+ of 16\.0 GB free on cpu; in one piece it would be \d+\.\d GB", result.lines[1])
    asked = found(hfcli, large, *PLAIN, "--batch-size", "64", "--tokens-per-batch", "1024")
    assert asked["split"] == {"pieces": 32, "records": 2}
    assert asked["train"]["total"] < asked["train"]["in_one_piece"]


def test_devices_share_the_records_of_a_step(hfcli, models):
    one = found(hfcli, models.classifier(), *PLAIN, "--batch-size", "16", "--num-processes", "4")
    assert one["split"] == {"pieces": 1, "records": 4}
    each = found(hfcli, models.classifier(), *PLAIN, "--per-device-train-batch-size", "4", "--num-processes", "4")
    assert (each["batch_size"], each["split"]) == (16, {"pieces": 1, "records": 4})


def test_checkpointing_takes_less(hfcli, config):
    folder = config("BertConfig", hidden_size=64, num_hidden_layers=8, num_attention_heads=2, intermediate_size=128)
    plain, sparing = (found(hfcli, folder, *PLAIN, *more) for more in ((), ("--gradient-checkpointing",)))
    assert sparing["train"]["activations"] < plain["train"]["activations"] * 0.6


# what does not fit


def test_what_does_not_fit_is_exit_6_with_what_would(hfcli, large, free):
    pytest.importorskip("peft")
    free(3 * 10**9)
    result = hfcli("estimate", large, *PLAIN, "--dtype", "bfloat16")
    assert result.code == 6
    assert re.fullmatch(
        r"does not fit   \d\.\d GB even for one record, 3\.0 GB free on cpu\. These do:", result.lines[0]
    )
    helpful = [re.split(r"\s{2,}", line.strip())[0] for line in result.lines if line.startswith("  --")]
    assert "--freeze" in helpful
    assert any(re.fullmatch(r"--freeze-layers \d+", flags) for flags in helpful)
    useless = next(line for line in result.lines if line.startswith("  not: "))
    assert "--gradient-checkpointing" in useless
    assert "a smaller --batch-size" in useless
    for flags in helpful:  # what is promised holds
        again = hfcli("estimate", large, *PLAIN, "--dtype", "bfloat16", *flags.split())
        assert again.code == 0, again.out


def test_fewer_layers_that_learn_are_as_many_as_fit(hfcli, large, free):
    free(4 * 10**9)
    ways = {way["flags"]: way for way in found(hfcli, large, *PLAIN, "--dtype", "bfloat16")["ways"]}
    number = int(next(flags for flags in ways if flags.startswith("--freeze-layers")).split()[1])
    assert number > 1
    assert not found(hfcli, large, *PLAIN, "--dtype", "bfloat16", "--freeze-layers", str(number - 1))["fits"]


def test_where_weights_alone_are_too_much_it_says_so(hfcli, large, free):
    free(10**9)
    result = hfcli("estimate", large, *PLAIN, "--dtype", "bfloat16")
    assert result.code == 6
    assert "These do" not in result.out
    assert "(weights alone: 1.3 GB)" in result.out


def test_shorter_records_are_proposed_where_they_are_what_is_too_large(hfcli, config, free):
    folder = config("BertConfig", hidden_size=64, num_hidden_layers=2, num_attention_heads=8, vocab_size=99)
    free(0)
    one = found(hfcli, folder, *PLAIN, "--dtype", "float32")
    assert (one["fits"], one["max_length"], one["split"]["records"]) == (False, 512, 1)
    free(one["train"]["total"] - 1)
    result = hfcli("estimate", folder, *PLAIN, "--dtype", "float32")
    assert result.code == 6
    assert "  --max-length 256 " in result.out


def test_fewer_tokens_at_once_are_proposed_where_they_were_asked_for(hfcli, large, free):
    free(16 * 10**9)
    result = hfcli("estimate", large, *PLAIN, "--dtype", "bfloat16", "--tokens-per-batch", "100000")
    assert result.code == 6
    assert " at once, " in result.lines[0]
    assert "  no --tokens-per-batch" in result.out


# models that write


def test_a_model_that_writes_has_keys_and_values_and_is_not_learnt(hfcli, models):
    line = ("--task", "text-generation", *PLAIN, "--dtype", "float32", "--batch-size", "2", "--max-length", "100")
    one = found(hfcli, models.llama(), *line)
    assert one["train"] is None
    assert one["predict"]["cache"] == 2 * 100 * (2 * 2 * 2 * 16 * 4)  # keys and values, layers, heads, size, bytes
    result = hfcli("estimate", models.llama(), *line)
    assert result.code == 0
    assert result.lines[0].endswith("free on cpu to use it")
    assert "gradients" not in result.out
    assert "KV cache" in result.out


def test_a_model_that_writes_and_does_not_fit(hfcli, models, free):
    free(10_000)
    result = hfcli("estimate", models.llama(), "--task", "text-generation", *PLAIN, "--batch-size", "4")
    assert result.code == 6
    assert result.lines[0].startswith("does not fit   ")
    assert "(weights alone: " in result.out


def test_a_model_that_answers_is_taken_for_that(hfcli, models):
    one = found(hfcli, models.answerer(), *PLAIN)
    assert (one["task"], one["batch_size"], one["max_length"]) == ("question-answering", 12, 64)
    assert found(hfcli, models.answerer(), *PLAIN, "--task", "classification")["task"] == "text-classification"


# what is fetched


def test_of_a_model_on_the_hub_only_the_config_is_fetched(hfcli, hub, models, free):
    free(10**10)
    commit = hub.add("acme/estimated", models.classifier())
    one = found(hfcli, "acme/estimated", *PLAIN)
    assert one["model"] == f"acme/estimated@{commit[:7]}"
    assert [request.rsplit("/", 1)[1] for request in hub.requests if "/resolve/" in request and "GET" in request] == [
        "config.json"
    ]
    hub.requests.clear()
    assert found(hfcli, "acme/estimated", *PLAIN, "--offline") == one
    assert hub.requests == []
    assert hfcli("classify", "-m", "acme/estimated", "--device", "cpu", "a good film").code == 0  # and fetches the rest


def test_a_model_that_is_not_there_or_not_open_gets_the_usual_sentence(hfcli, hub, models):
    result = hfcli("estimate", "acme/nothing-here", *PLAIN)
    assert (result.code, result.out) == (5, "")
    hub.add("acme/gated-estimate", models.classifier())
    hub.gated.add("acme/gated-estimate")
    result = hfcli("estimate", "acme/gated-estimate", *PLAIN)
    assert result.code == 5
    assert "error: " in result.err


def test_a_config_that_nobody_knows_gets_the_usual_sentence(hfcli, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bertt"}')
    result = hfcli("estimate", tmp_path, *PLAIN)
    assert result.code == 5
    assert "is of type bertt" in result.err
    assert "did you mean bert?" in result.err


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--dtype", "float16"), 2, "--dtype float16 cannot train"),
        (("--max-length", "65"), 2, "takes 64 tokens"),
        (("--freeze-layers", "2"), 2, "the model has 1 layer"),
        (("--task", "classificatio"), 2, "did you mean"),
        (("--lora-r", "4"), 2, "add --lora"),
        (("--num-processes", "0"), 2, "at least 1"),
        (("--task", "text-generation"), 5, "cannot do text-generation"),
    ],
)
def test_what_finetune_refuses_is_refused(hfcli, models, flags, code, said):
    result = hfcli("estimate", models.classifier(), *PLAIN, *flags)
    assert (result.code, result.out) == (code, "")
    assert said in result.err


def test_without_a_model_it_says_how(hfcli):
    result = hfcli("estimate")
    assert result.code == 2
    assert "hint:  hfcli estimate bert-base-uncased" in result.err


# one step


def test_a_step_is_taken_and_shown_beside_the_estimate(hfcli, models, tmp_path, monkeypatch):
    from tests.test_finetune import films, write

    monkeypatch.chdir(tmp_path)
    write(tmp_path / "films.csv", films(40))
    line = ("estimate", models.classifier(), "--device", "cpu", "--batch-size", "4", "--dataset", "films.csv")
    result = hfcli(*line)
    assert result.code == 0, result.err
    assert re.search(r"\(measured on one step; estimated \d+ MB\)", result.out)
    assert re.search(r"time   [\d,.]+ records/s at 64 tokens: 40 records x 3 epochs in about \d+ s", result.lines[-1])
    one = json.loads(hfcli(*line, "--json", "--max-steps", "7").out)
    assert one["measured"]["bytes"] > one["train"]["weights"] * 4
    assert one["seconds"] == pytest.approx(7 * 4 / one["records_per_second"])


def test_a_step_that_runs_out_of_memory_does_not_fit(hfcli, models, monkeypatch):
    from hfcli.runtime import trial

    def full(taken, tell):
        raise MemoryError

    monkeypatch.setattr(trial, "measure", full)
    result = hfcli("estimate", models.classifier(), "--device", "cpu")
    assert result.code == 6
    assert "a step ran out of memory, though" in result.lines[0]


def test_a_step_that_takes_long_is_only_taken_when_asked_for(hfcli, models, monkeypatch):
    from hfcli.runtime import estimating, trial

    taken = []
    monkeypatch.setattr(trial, "measure", lambda one, tell: taken.append(one) or trial.Measured(10**6, 2.0))
    monkeypatch.setattr(estimating, "_PATIENCE_SECONDS", 0)
    result = hfcli("estimate", models.classifier(), "--device", "cpu")
    assert "note: not measured" in result.err
    assert "--measure" in result.err
    assert not taken
    assert hfcli("estimate", models.classifier(), "--device", "cpu", "--measure").code == 0
    assert len(taken) == 1


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("answerer", ()),
        ("gpt2", ("--task", "classification", "--gradient-checkpointing")),
        (
            "t5",
            (
                "--task",
                "classification",
            ),
        ),
        ("classifier", ("--lora",)),
    ],
)
def test_every_kind_of_model_takes_its_step(models, kind, flags):
    """In this process, where it is measured wrongly and fails visibly."""
    from hfcli.options import ModelOptions
    from hfcli.options.training import TrainingOptions
    from hfcli.options.transfer import TransferOptions
    from hfcli.runtime import hub, trial

    if "--lora" in flags:
        pytest.importorskip("peft")
    environment.silence()
    folder = str(getattr(models, kind)())
    options = ModelOptions(folder)
    one = trial.Trial(
        hub.locate(folder, options, print), "question-answering" if kind == "answerer" else "text-classification",
        options, TrainingOptions(gradient_checkpointing="--gradient-checkpointing" in flags),
        TransferOptions(lora="--lora" in flags), "cpu", "bfloat16", 2, 3, 32,
    )  # fmt: skip
    told = []
    measured = trial._measured(one, told.append)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert measured.seconds > 0


def test_what_cannot_be_tried_is_a_note(hfcli, models, monkeypatch):
    from hfcli.errors import HfcliError
    from hfcli.runtime import trial

    def odd(taken, tell):
        raise HfcliError("its code is odd")

    monkeypatch.setattr(trial, "measure", odd)
    result = hfcli("estimate", models.classifier(), "--device", "cpu")
    assert result.code == 0
    assert "note: a step could not be taken to measure it: its code is odd" in result.err


@pytest.mark.gpu
def test_on_a_gpu_the_estimate_is_near_what_a_step_takes(hfcli, config):
    torch.cuda.empty_cache()
    folder = config("BertConfig", num_hidden_layers=6)
    for flags in (("--dtype", "bfloat16"), ("--dtype", "float32"), ("--gradient-checkpointing",)):
        one = found(hfcli, folder, "--device", "cuda", "--batch-size", "16", *flags)
        assert one["measured"]["bytes"] == pytest.approx(one["train"]["total"], rel=0.35)
