"""Models that are larger than their device: when they are spread, what is said, and that they still work."""

from types import SimpleNamespace

import pytest
import torch

from hfcli.errors import DeviceError
from hfcli.runtime import environment, spreading

GB = 10**9
FREE = {"cuda:0": 22 * GB, "cuda:1": 24 * GB, "cpu": 60 * GB}


@pytest.mark.parametrize(
    ("needed", "asked", "free", "spread"),
    [
        (15 * GB, "auto", FREE, False),
        (21 * GB, "auto", FREE, True),  # nothing would be left to work with
        (30 * GB, "auto", FREE, True),
        (30 * GB, "cuda", FREE, True),
        (30 * GB, "cuda:0", FREE, False),
        (30 * GB, "cpu", {"cpu": 8 * GB}, False),
        (30 * GB, "auto", {"cpu": 8 * GB}, False),
        (30 * GB, "auto", {"mps": 8 * GB, "cpu": 8 * GB}, False),
        (90 * GB, "auto", FREE, True),
    ],
)
def test_a_model_is_spread_where_its_device_is_too_small_and_was_not_named(needed, asked, free, spread):
    assert spreading.too_large("a/b", asked, needed, free) is spread


def test_what_all_devices_together_do_not_hold_is_an_error():
    with pytest.raises(DeviceError, match="a/b takes 104 GB, and cuda:0, cuda:1 and the CPU have 106 GB free together"):
        spreading.too_large("a/b", "auto", 104 * GB, FREE)


def test_ranks_keep_to_their_devices(monkeypatch):
    placement = environment.Placement(torch.device("cuda"), torch.bfloat16, "")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert spreading.device_map("a/b", "auto", placement, 10**15) == {"": placement.device}


def test_the_weights_are_counted_in_the_format_they_are_loaded_in(tmp_path):
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"0" * 1000)
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"0" * 500)
    half = SimpleNamespace(dtype=torch.bfloat16)
    assert spreading.weight_bytes(tmp_path, half, torch.bfloat16) == 1500
    assert spreading.weight_bytes(tmp_path, half, torch.float32) == 3000
    assert spreading.weight_bytes(tmp_path, SimpleNamespace(), torch.float32) == 1500


# on this machine's devices: the CPU and the disk, from which accelerate fetches weights as they are needed


@pytest.fixture
def spread(monkeypatch):
    """`spread({"": "cpu", "lm_head": "disk"})`: models are put there from now on."""

    def call(places):
        monkeypatch.setattr(spreading, "device_map", lambda *about: places)

    return call


def note(name):
    return f"{name} takes 0.0 GB and cpu has "


def test_a_spread_model_writes_the_same(hfcli, models, spread):
    line = (
        "generate",
        "-m",
        models.llama(),
        "--device",
        "cpu",
        "--dtype",
        "float32",
        "--max-new-tokens",
        "8",
        "--json",
    )
    texts = "the small fox\na girl and a boy\n"
    whole = hfcli(*line, stdin=texts)
    spread(
        {
            "model.embed_tokens": "cpu",
            "model.layers.0": "cpu",
            "model.layers.1": "disk",
            "model.norm": "disk",
            "model.rotary_emb": "cpu",
            "lm_head": "disk",
        }
    )
    parts = hfcli(*line, stdin=texts)
    assert parts.code == 0, parts.err
    assert parts.out == whole.out
    assert parts.err.count(note(models.llama())) == 1
    assert "spread over the CPU and disk, which is slower" in parts.err
    assert "spread" not in whole.err


def test_a_spread_classifier_says_the_same(hfcli, models, spread):
    line = ("classify", "-m", models.classifier(), "--device", "cpu", "--dtype", "float32", "a good film", "a bad film")
    whole = hfcli(*line)
    spread({"bert": "cpu", "classifier": "disk"})
    assert hfcli(*line).records == whole.records


def test_a_spread_model_answers_the_same_though_its_last_layer_is_elsewhere(hfcli, models, spread):
    line = ("qa", "-m", models.answerer(), "--device", "cpu", "--dtype", "float32", "--question", "sports")
    line = (*line, "--context", "the film was good and quiet")
    whole = hfcli(*line)
    assert whole.code == 0, whole.err
    spread({"bert": "cpu", "qa_outputs": "disk"})
    parts = hfcli(*line)
    assert parts.code == 0, parts.err
    assert parts.records == whole.records


def test_the_perplexity_of_a_spread_model_is_the_same(hfcli, models, spread):
    line = ("eval", "--metric", "perplexity", "-m", models.llama(), "--device", "cpu", "--dtype", "float32", "--json")
    texts = "the small fox ran over the old hill\na girl and a boy found the red kite\n"
    whole = hfcli(*line, stdin=texts)
    assert whole.code == 0, whole.err
    spread({"model": "cpu", "lm_head": "disk"})
    parts = hfcli(*line, stdin=texts)
    assert parts.code == 0, parts.err
    value = [result.records[0]["scores"][0]["score"] for result in (whole, parts)]
    assert value[0] == pytest.approx(value[1], rel=1e-5)


def test_a_spread_model_is_not_taken_apart(models, spread):
    from hfcli.options import ModelOptions
    from hfcli.runtime import perplexity
    from hfcli.runtime.tail import Parts

    options = ModelOptions(str(models.llama()), device="cpu", dtype="float32")
    ways = []
    for places in ({"": "cpu"}, {"model": "cpu", "lm_head": "disk"}):
        spread(places)
        with torch.inference_mode():
            ways.append(Parts(perplexity.load(options, lambda event: None), causal=True).way)
    assert ways == ["linear", "plain"]
