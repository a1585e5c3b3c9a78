"""Estimates of memory: near what was measured, growing with what costs memory, and never leaving less than one row."""

import pytest
import torch
from transformers import BertConfig, GPT2Config, Qwen2Config, T5Config

from hfcli.runtime.environment import Placement
from hfcli.runtime.memory import Need, cached_bytes

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
HALF, FULL = torch.bfloat16, torch.float32
MINILM = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
GPT2 = GPT2Config(n_embd=384, n_layer=6, n_head=6)
QWEN = Qwen2Config(
    hidden_size=512, intermediate_size=1536, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=2,
    vocab_size=50000,
)  # fmt: skip

T5 = T5Config(vocab_size=32128, decoder_start_token_id=0)


def need(config=MINILM, length=512, dtype=HALF, device=CPU, millions=22.7, layers=6, learning=None, **more):
    parameters = int(millions * 1e6)
    learning = parameters if learning is None else learning
    return Need(Placement(device, dtype, ""), config, parameters, learning, layers, length, **more)


@pytest.mark.parametrize(
    ("one", "rows", "megabytes"),
    [
        (need(length=64), 32, 752),
        (need(length=512), 4, 1158),
        (need(length=512, dtype=FULL), 4, 1880),
        (need(length=64, dtype=FULL), 32, 980),
        (need(length=512, checkpointing=True), 4, 620),
        (need(length=512, lora=True, learning=1_000_000, millions=23.7), 4, 1279),
        (need(length=512, layers=2, learning=3_700_000), 4, 528),
        (need(GPT2, 512, millions=30.3), 4, 1138),
        (need(GPT2, 64, FULL, millions=30.3), 32, 1366),
        (need(QWEN, 512, millions=49.7, layers=8), 4, 1398),
        (need(QWEN, 512, FULL, millions=49.7, layers=8), 4, 1664),
        (need(T5, 128, millions=60.8, layers=12), 8, 2081),
    ],
    ids=lambda value: "" if isinstance(value, Need) else str(value),
)
def test_a_step_takes_about_what_was_measured(one, rows, megabytes):
    """How much more the resident memory of a process became over two steps, torch 2.13 on a CPU."""
    assert one.estimate(rows * one.length).total / 1e6 == pytest.approx(megabytes, rel=0.2)


def test_what_learns_costs_gradients_and_averages():
    few = need(millions=0.001, learning=10).estimate(0)
    assert few[:3] == (4000, 40, 80)
    assert few.total == 4120 + few.activations


def test_devices_that_share_a_model_have_a_part_of_it_each():
    alone, shared = need().estimate(0), need(world=4, fsdp=True).estimate(0)
    assert [part * 4 for part in shared[:3]] == list(alone[:3])
    assert need(world=4).estimate(0) == alone


def test_checkpointing_fused_attention_and_layers_that_do_not_learn_take_less():
    most = need().estimate(8192).activations
    for less in (need(checkpointing=True), need(device=CUDA), need(layers=2), need(layers=0, learning=1000)):
        assert less.estimate(8192).activations < most * 0.75
    assert need(lora=True).estimate(8192).activations > most


@pytest.mark.parametrize("free", [10**6, 10**9, 8 * 10**9, 10**12])
def test_tokens_at_once_fit_and_hold_one_row(free):
    one = need(device=CUDA)
    tokens = one.tokens_at_once(free)
    assert tokens >= 512
    assert tokens == 512 or one.estimate(tokens).total <= free


def test_keys_and_values_of_a_text_are_those_of_all_layers():
    assert cached_bytes(QWEN, HALF) == 2 * 8 * 2 * 64 * 2
    assert cached_bytes(GPT2, FULL) == 2 * 6 * 384 * 4
