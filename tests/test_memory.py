"""Estimates of memory: they grow with what costs memory, and never leave less than one row."""

import pytest
import torch
from transformers import BertConfig

from hfcli.runtime import memory

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
MINILM = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12)


def kept(length, tokens, device=CPU, checkpointing=False):
    return memory.estimate(device, 23_000_000, 23_000_000, tokens, MINILM, length, checkpointing)


@pytest.mark.parametrize(
    ("rows", "length", "megabytes"), [(4, 512, 757), (16, 512, 3001), (64, 64, 628), (128, 32, 571)]
)
def test_activations_are_what_was_measured(rows, length, megabytes):
    """Resident memory after a forward pass of MiniLM in bfloat16, torch 2.13 on a CPU."""
    assert kept(length, rows * length).activations / 1e6 == pytest.approx(megabytes, rel=0.15)


def test_what_learns_costs_gradients_and_averages():
    few = memory.estimate(CPU, 1000, 10, 0, MINILM, 64, False)
    assert few == (4000, 40, 80, 0)
    assert few.total == 4120


def test_checkpointing_and_fused_attention_take_less():
    assert kept(512, 8192, checkpointing=True).activations < kept(512, 8192).activations / 4
    assert kept(512, 8192, CUDA).activations < kept(512, 8192).activations


@pytest.mark.parametrize("free", [1e6, 1e9, 8e9, 1e12])
def test_tokens_at_once_fit_and_hold_one_row(free, monkeypatch):
    monkeypatch.setattr(memory.environment, "free_bytes", lambda device: free)
    tokens = memory.tokens_at_once(CUDA, 23_000_000, 23_000_000, MINILM, 512, False)
    assert tokens >= 512
    assert tokens == 512 or kept(512, tokens, CUDA).total <= free
