"""`hfcli doctor`: what it reports, and what its exit code means."""

import json

import pytest
import torch


def test_everything_is_fine_here(hfcli, hub):
    result = hfcli("doctor")
    assert result.code == 0
    assert result.err == ""
    assert result.lines[0].startswith(("ok    everything is fine", "warn  "))
    assert "builtin/story speaks on" in result.out
    assert f"torch {torch.__version__}" in result.out
    assert "Hub: answers in" in result.out


def test_json_and_markdown(hfcli, hub):
    report = json.loads(hfcli("doctor", "--json", "--offline").out)
    assert report["ok"] is True
    assert {finding["topic"] for finding in report["findings"]} >= {
        "versions",
        "cpu",
        "memory",
        "hub",
        "cached",
        "generate",
    }
    markdown = hfcli("doctor", "--markdown", "--offline").out
    assert markdown.startswith("```\nok")
    assert markdown.endswith("```\n")
    assert "/" not in markdown.replace("builtin/story", "")  # no paths: they hold names
    assert hfcli("doctor", "--json", "--markdown").code == 2


def test_a_dead_hub_is_a_warning_unless_it_was_asked_for(hfcli, hub):
    hub.api_status = 503
    result = hfcli("doctor")
    assert result.code == 0
    assert result.lines[0].startswith("warn  1 thing to look at")
    assert "503" in result.out
    assert hfcli("doctor", "--hub").code == 5


def test_a_device_that_is_not_there_is_a_failure(hfcli):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    result = hfcli("doctor", "--device", "cuda", "--offline")
    assert result.code == 6
    assert result.lines[0] == "fail  generate does not work"
    assert "--device cuda" in result.out


def test_a_device_that_cannot_run_a_kernel_is_found_out(hfcli, monkeypatch):
    """`torch.cuda.is_available()` is true on builds that carry no code for the card."""
    from hfcli.runtime import environment

    monkeypatch.setattr(environment, "kernel_failure", lambda device: "no kernel image is available")
    result = hfcli("generate", "-m", "builtin/story", "--device", "cpu", "Once")
    assert result.code == 6
    assert "cannot run a kernel (no kernel image is available)" in result.err
