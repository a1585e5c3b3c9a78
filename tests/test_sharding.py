"""Ranks that share one model (FSDP): what they learn is what one process learns, and each has a part of everything."""

import json
import os
import re
import shutil
import signal
import socket
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.test_finetune_answers import questions
from tests.test_training import FAST, LABELS, films, losses, outcome, weights, write
from tests.test_training_ranks import LINE, _rank, alone, data, nothing, said, same_up_to_rounding, too_long

NONE = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def _set(rank, port, folder, model, flags, hook, size, env):
    """Runs in a child, as one rank, in such an environment."""
    os.environ |= env
    _rank(rank, port, folder, model, flags, hook, size)


def large(rank, count, learns, size):
    """Memory of the second rank does not hold two records, in the third step."""
    import torch

    if rank == 1 and count > 2 and size[0] > 1:
        raise torch.OutOfMemoryError("CUDA out of memory.")


def counted(rank, count, learns, size):
    """Every run of the model leaves a line."""
    with open(f"runs.{rank}", "a") as file:
        file.write(f"{'learns' if learns else 'measures'}\n")


def held(rank, count, learns, size):
    """How many numbers of weights, gradients and averages this rank has, in its third step; and how many there are."""
    import gc

    import torch
    from torch.distributed.tensor import DTensor

    if count == 3:
        kinds = {"weights": [], "averages": []}
        for optimizer in [each for each in gc.get_objects() if isinstance(each, torch.optim.AdamW)]:
            for group in optimizer.param_groups:
                kinds["weights"] += group["params"]
                states = [optimizer.state[parameter] for parameter in group["params"]]
                kinds["averages"] += [state[key] for state in states for key in ("exp_avg", "exp_avg_sq")]
        found = {}
        for kind, tensors in kinds.items():
            assert all(isinstance(tensor, DTensor) for tensor in tensors)
            found[kind] = [sum(t.to_local().numel() for t in tensors), sum(t.numel() for t in tensors)]
        with open(f"held.{rank}", "w") as file:
            json.dump(found, file)


@pytest.fixture(scope="module")
def still(models):
    """Without dropout: what it computes does not depend on how a batch is cut."""
    return models._make("still", lambda folder: models._head(folder, "bert", LABELS, **NONE))


@pytest.fixture(scope="module")
def base(models):
    return models._make("restless", lambda folder: models._head(folder, "bert", LABELS))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return data(tmp_path)


@pytest.fixture
def ranks(processes, folder):
    """`ranks(model, *flags, fsdp=..., hook=..., env=...)`: their exit codes, what they said, and standard output."""

    def call(model, *flags, fsdp=False, hook=nothing, size=2, env=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        line = (*FAST, *flags, "--device", "cpu", *["--fsdp"] * fsdp)
        all_of_them = [
            processes.Process(target=_set, args=(n, port, folder, model, line, hook, size, env or {}))
            for n in range(size)
        ]
        for each in all_of_them:
            each.start()
        for each in all_of_them[::-1]:
            each.join(60 if any(other.exitcode for other in all_of_them) else 120)
            if each.exitcode is None:  # the other one is gone
                each.kill()
                each.join()
        codes = [each.exitcode for each in all_of_them]
        return codes, [said(folder, f"2{n}") for n in range(size)], said(folder, "10")

    return call


def same_weights(one, two, without=r"key\.bias"):
    """All but those whose gradient is rounding, which AdamW makes large; for the keys see test_training.py."""
    before, after = weights(one), weights(two)
    assert before.keys() == after.keys()
    for name, value in after.items():
        if not re.search(without, name):
            np.testing.assert_allclose(value, before[name], atol=2e-5, err_msg=name)


@pytest.mark.parametrize(
    "flags",
    [
        ("--tokens-per-batch", "40"),
        ("--unfreeze", "gradual"),
        pytest.param(("--gradient-checkpointing", "--freeze-layers", "1"), marks=pytest.mark.slow),
    ],
)
def test_ranks_that_share_a_model_learn_what_one_process_learns(hfcli, ranks, still, folder, flags):
    codes, (first, second), out = ranks(still, *flags, "-o", "two", fsdp=True)
    assert (codes, out, second) == ([0, 0], "two\n", ""), (first, second)
    assert "device  2 x cpu, float32, sharded · about" in first
    alone(hfcli, still, *flags, "-o", "one")
    same_up_to_rounding(folder / "one", folder / "two")
    same_weights(folder / "one", folder / "two")
    files = [{path.name for path in (folder / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1]
    configs = [(folder / name / "config.json").read_text() for name in ("one", "two")]
    assert configs[0] == configs[1]
    assert "fsdp" not in (folder / "two" / "hfcli.yaml").read_text()


def test_they_run_the_model_equally_often(ranks, still, folder, hfcli):
    """Seven records, three a step, one at a time: a rank often has nothing to do, and gradients count once."""
    write(folder / "films.csv", list(films(7, 3)))
    write(folder / "dev.csv", list(films(5, 99)))
    flags = ("--batch-size", "3", "--max-steps", "6", "--tokens-per-batch", "10")
    codes, told, _ = ranks(still, *flags, "-o", "two", hook=counted, fsdp=True)
    assert codes == [0, 0], told
    runs = [(folder / f"runs.{rank}").read_text() for rank in range(2)]
    assert runs[0] == runs[1]
    assert "measures" in runs[0]
    alone(hfcli, still, *flags, "-o", "one")
    same_up_to_rounding(folder / "one", folder / "two")
    same_weights(folder / "one", folder / "two")


def test_each_has_half_of_everything(ranks, still, folder):
    codes, told, _ = ranks(still, hook=held, fsdp=True)
    assert codes == [0, 0], told
    for rank in range(2):
        for here, everywhere in json.loads((folder / f"held.{rank}").read_text()).values():
            assert 0.45 < here / everywhere < 0.55


def stopped(rank, count, learns, size):
    """Ctrl-C in the third step."""
    if (rank, count) == (0, 3):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"fsdp": True}, {"size": 1}),
        ({"size": 1}, {"fsdp": True}),
        ({}, {"size": 1}),
        pytest.param({"fsdp": True}, {}, marks=pytest.mark.slow),
        pytest.param({"size": 1}, {}, marks=pytest.mark.slow),
    ],
)
def test_a_checkpoint_of_any_number_of_ranks_goes_on_with_any_other(ranks, still, folder, first, second):
    assert set(ranks(still, "-o", "straight", **first)[0]) == {0}
    assert set(ranks(still, hook=stopped, **first)[0]) == {130}
    codes, told, _ = ranks(still, "--resume", **second)
    assert set(codes) == {0}, told
    assert "step 3 of 7" in told[0]
    same_up_to_rounding(folder / "straight", folder / "out")
    same_weights(folder / "straight", folder / "out")


def test_their_gradients_are_the_sum_over_ranks(ranks, still, folder):
    """AdamW hardly sees what gradients are multiplied with; its averages do."""
    kept = []
    for name, first in (("one", {"size": 1}), ("two", {"fsdp": True})):
        assert set(ranks(still, "--max-grad-norm", "0", "-o", name, hook=stopped, **first)[0]) == {130}
        kept.append(load_file(folder / name / "checkpoint-3" / "optimizer.safetensors"))
    assert kept[0].keys() == kept[1].keys()
    for name, value in kept[0].items():
        np.testing.assert_allclose(kept[1][name], value, rtol=1e-3, atol=1e-6, err_msg=name)


def stopped_late(rank, count, learns, size):
    """Ctrl-C after the best step."""
    if (rank, count) == (0, 9):
        signal.raise_signal(signal.SIGINT)


def test_they_go_on_exactly_and_keep_the_best_weights_not_the_last(hfcli, ranks, models, folder):
    """What a trained model is taught is wrong, so its best step is early, and was measured before the interruption."""
    write(folder / "films.csv", [{**film, "label": LABELS[film["label"] == "neg"]} for film in films(36, 1)])
    base, flags = models.classifier(), ("--max-steps", "6", "--eval-steps", "1")
    assert ranks(base, *flags, "-o", "straight", fsdp=True)[0] == [0, 0]
    assert ranks(base, *flags, hook=stopped_late, fsdp=True)[0] == [130, 130]
    interrupted = max(int(path.name[11:]) for path in (folder / "out").glob("checkpoint-*"))
    assert ranks(base, *flags, "--resume", fsdp=True)[0] == [0, 0]
    assert outcome(folder / "out") == outcome(folder / "straight")
    best = json.loads((folder / "out" / "metrics.json").read_text())
    assert best["best"]["step"] < interrupted < 6
    found = hfcli("eval", "-m", "out", "--dataset", "dev.csv", "--dtype", "float32").records[0]
    scores = {score["metric"]: score["score"] for score in found["scores"]}
    assert scores["accuracy"] == pytest.approx(best["scores"]["accuracy"]["value"])


def test_adapters_learn_in_a_shared_model(hfcli, ranks, still, folder):
    flags = ("--lora", "--lora-r", "4", "--lora-dropout", "0")
    assert ranks(still, *flags, "-o", "two", fsdp=True)[0] == [0, 0], said(folder, "20")
    alone(hfcli, still, *flags, "-o", "one")
    same_up_to_rounding(folder / "one", folder / "two")
    same_weights(folder / "one", folder / "two")
    assert (folder / "two" / "adapter" / "adapter_model.safetensors").is_file()


def test_a_shared_model_learns_to_answer(hfcli, ranks, models, folder):
    for name, count, seed in (("train", 40, 0), ("dev", 21, 1)):
        rows = questions(count, seed=seed)
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = shutil.copytree(models.spans("bert"), folder / "still-answers")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | NONE))
    flags = ("--dataset", "train.jsonl", "--eval-dataset", "dev.jsonl", "--max-steps", "4")
    codes, told, _ = ranks(model, *flags, "-o", "two", fsdp=True)
    assert codes == [0, 0], told
    alone(hfcli, model, *flags, "-o", "one")
    assert losses(folder / "one") == pytest.approx(losses(folder / "two"), abs=1e-5)
    scores = [json.loads((folder / name / "metrics.json").read_text())["scores"] for name in ("one", "two")]
    assert scores[0] == scores[1]
    # What moves all tokens alike, in the end, makes none of them more of a start than it was.
    same_weights(
        folder / "one", folder / "two", without=r"key\.bias|layer\.1\.output\.LayerNorm\.bias|qa_outputs\.bias"
    )


def test_layers_in_bfloat16_learn_about_the_same(ranks, still, folder):
    for name, fsdp in (("whole", False), ("shared", True)):
        assert ranks(still, "--dtype", "bfloat16", "-o", name, fsdp=fsdp)[0] == [0, 0], said(folder, "20")
    assert losses(folder / "shared") == pytest.approx(losses(folder / "whole"), abs=0.1)
    assert weights(folder / "shared").keys() == weights(folder / "whole").keys()
    assert {str(value.dtype) for value in weights(folder / "shared").values()} == {"float32"}


@pytest.mark.slow
def test_several_seeds_of_a_shared_model(ranks, base, folder):
    codes, told, out = ranks(base, "--seeds", "1,2", "--max-steps", "2", fsdp=True)
    assert (codes, out) == ([0, 0], "out\n"), told
    assert len(json.loads((folder / "out" / "seeds.json").read_text())["scores"]) == 2


@pytest.mark.parametrize(
    ("hook", "sentence", "hint"),
    [
        (large, r"(\d+) x (\d+) tokens at once do not fit into memory, and with --fsdp no rank", "--tokens-per-batch "),
        (too_long, "one record of 18 tokens does not fit into memory", "--gradient-checkpointing"),
    ],
)
def test_memory_that_runs_out_ends_it_with_what_to_do(ranks, still, folder, hook, sentence, hint):
    flags = ("--tokens-per-batch", "18") if hook is too_long else ()
    codes, told, out = ranks(still, *flags, "--save-steps", "1", hook=hook, fsdp=True)
    assert codes[1] == 6
    assert codes[0] != 0
    assert out == ""
    both = "".join(told)
    assert len(re.findall(f"error: {sentence}", both)) == both.count("error: ") == 1
    assert hint in both
    if hook is large:
        smaller = re.search("--tokens-per-batch [0-9]+", both)[0].split()
        assert ranks(still, *smaller, "--resume", fsdp=True)[0] == [0, 0], said(folder, "20")


def test_a_model_that_leaves_out_layers_is_refused(ranks, models, folder):
    model = models._make("drops", lambda path: models._head(path, "bert", LABELS, layerdrop=0.5))
    codes, told, _ = ranks(model, fsdp=True)
    assert 5 in codes
    assert "".join(told).count("leaves out layers at random (layerdrop), each rank others\n") == 1


def test_one_process_has_nobody_to_share_with(hfcli, still, folder):
    refused = hfcli("finetune", still, "--dataset", "films.csv", "--fsdp")
    assert (refused.code, refused.out) == (2, "")
    assert "--fsdp shares a model among several processes, and this is one\n" in refused.err
    assert "--num-processes N" in refused.err


# what accelerate launch sets


def test_accelerates_configuration_is_honoured(ranks, still, folder):
    env = {"ACCELERATE_USE_FSDP": "true", "ACCELERATE_MIXED_PRECISION": "bf16", "FSDP_ACTIVATION_CHECKPOINTING": "true"}
    codes, (first, _), _ = ranks(still, "--dtype", "auto", env=env)
    assert codes == [0, 0], first
    assert "device  2 x cpu, bfloat16, sharded" in first
    recipe = (folder / "out" / "hfcli.yaml").read_text()
    assert "gradient-checkpointing: true" in recipe
    assert "dtype: bfloat16" in recipe


def test_a_flag_beats_accelerates_configuration(ranks, still, folder):
    env = {"ACCELERATE_USE_FSDP": "false", "ACCELERATE_MIXED_PRECISION": "bf16"}
    codes, (first, _), _ = ranks(still, "--dtype", "float32", env=env)
    assert codes == [0, 0], first
    assert "device  2 x cpu, float32 · about" in first


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (
            "ACCELERATE_MIXED_PRECISION",
            "fp16",
            "mixed_precision fp16 of this accelerate configuration cannot train (its",
        ),
        ("ACCELERATE_MIXED_PRECISION", "fp8", "mixed_precision fp8 of this accelerate configuration cannot train\n"),
        ("ACCELERATE_USE_DEEPSPEED", "true", "asks for DeepSpeed, which hfcli does not do\n"),
        ("ACCELERATE_USE_MEGATRON_LM", "true", "asks for Megatron-LM, which hfcli does not do\n"),
        ("ACCELERATE_USE_PARALLELISM_CONFIG", "true", "asks for parallelism_config, which"),
        ("FSDP_OFFLOAD_PARAMS", "true", "asks for fsdp_offload_params, which"),
    ],
)
def test_what_cannot_be_honoured_is_refused(hfcli, still, folder, monkeypatch, variable, value, sentence):
    monkeypatch.setenv(variable, value)
    refused = hfcli("finetune", still, "--dataset", "films.csv")
    assert (refused.code, refused.out) == (2, "")
    assert sentence in refused.err
    assert not (folder / "runs").exists()


CONFIG = """
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
mixed_precision: "no"
num_machines: 1
num_processes: 2
machine_rank: 0
main_training_function: main
rdzv_backend: static
same_network: true
use_cpu: false
fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_reshard_after_forward: true
  fsdp_offload_params: false
  fsdp_state_dict_type: FULL_STATE_DICT
"""


@pytest.mark.slow
def test_accelerate_launch_starts_it_with_its_configuration(shell, hfcli, still, folder):
    (folder / "fsdp.yaml").write_text(CONFIG)
    start = f'"{sys.executable}" -m accelerate.commands.launch --config_file fsdp.yaml -m hfcli finetune'
    ran = shell(f"{start} {still} {LINE} -o two")
    assert (ran.returncode, ran.stdout) == (0, "two\n"), ran.stderr
    assert "device  2 x cpu, float32, sharded" in ran.stderr
    alone(hfcli, still, "-o", "one")
    same_up_to_rounding(folder / "one", folder / "two")


# the Hub


def test_what_is_on_the_hub_is_fetched_once_for_all_ranks_of_a_machine(ranks, hub, still, folder):
    (folder / "set").mkdir()
    shutil.move(folder / "films.csv", folder / "set" / "train.csv")
    shutil.move(folder / "dev.csv", folder / "set" / "test.csv")
    hub.add("who/still-shared", still)
    hub.add("who/films-shared", folder / "set", data=True)
    codes, (first, second), _ = ranks(
        "who/still-shared", "--dataset", "who/films-shared", "--eval-dataset", "who/films-shared", "--max-steps", "1"
    )
    assert (codes, second) == ([0, 0], ""), first
    files = [request for request in hub.requests if request.startswith("GET") and "/resolve/" in request]
    assert len(files) == len(set(files)), files
    assert any("train.csv" in file for file in files)
    questions = [request for request in hub.requests if "/api/" in request]
    assert len(questions) == len(set(questions)), questions
