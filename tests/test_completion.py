"""The Tab key, by the protocol of each shell, and in a real bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hfcli.cli import NAMES


@pytest.fixture
def tab(hfcli, tmp_path, monkeypatch):
    """`tab("hfcli generate --max")`: what bash is told fits there."""
    monkeypatch.chdir(tmp_path)

    def offered(line):
        words = line.split(" ")
        env = {"_HFCLI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
        result = hfcli(env=env)
        for name in env:
            monkeypatch.delenv(name)
        assert (result.code, result.err) == (0, "")
        return result.out.split()

    return offered


def test_commands(tab):
    assert tab("hfcli ge") == ["generate"]
    assert sorted(tab("hfcli ")) == sorted(NAMES)
    assert tab("hfcli --vers") == ["--version"]


def test_flags(tab):
    assert tab("hfcli generate --max") == ["--max-new-tokens"]
    assert {"--greedy", "--sample"} <= {*tab("hfcli generate -")}
    assert "--learning-rate" not in tab("hfcli generate --")
    assert tab("hfcli generate --max-new-tokens 3 --max") == [], "was given already"
    assert tab("hfcli generate --stop . --sto") == ["--stop"], "may be repeated"


def test_values(tab):
    assert tab("hfcli generate --dtype int") == []
    assert tab("hfcli generate --dtype b") == ["bfloat16"]
    assert tab("hfcli generate -m builtin/s") == ["builtin/story"]
    assert tab("hfcli finetune builtin/rea") == ["builtin/reader"]
    assert tab("hfcli classify --device c") == ["cpu", "cuda"]
    assert tab("hfcli data ") == ["check"]


def test_metrics(tab):
    assert "squad_v2" in tab("hfcli eval --metric squad")
    assert "accuracy" in tab("hfcli compare --metric ")
    assert tab("hfcli finetune x --metric-for-best-model accur") == ["accuracy"]


def test_columns_of_a_local_file(tab):
    Path("t.csv").write_text("id,body,queue\n1,2,3\n")
    Path("t.jsonl").write_text('{"body": "x", "topic": "y"}\n{"other": 1}\n')
    Path("t.json").write_text('[{"body": "x", "kind": "y"}]')
    assert tab("hfcli classify --file t.csv --text-column ") == ["body", "id", "queue"]
    assert tab("hfcli finetune x --dataset t.jsonl --label-column t") == ["topic"]
    assert tab("hfcli eval --predictions t.json --reference-column ki") == ["kind"]
    assert tab("hfcli data check t.csv --text-column b") == ["body"]
    assert tab("hfcli eval --dataset t.csv --group-by q") == ["queue"]


def test_what_cannot_be_read_is_no_offer(tab, monkeypatch):
    Path("bad.jsonl").write_bytes(b"{broken\xff\n")
    Path("bad.parquet").write_bytes(b"PAR1")
    Path("empty.csv").write_text("")
    os.mkdir("folder")
    for name in ("bad.jsonl", "bad.parquet", "empty.csv", "folder", "nowhere", "-"):
        assert tab(f"hfcli classify --file {name} --text-column ") == []
    assert tab("hfcli classify --text-column ") == []
    Path("big.json").write_text('[{"body": "x"}]')
    monkeypatch.setattr("hfcli.cli._completion._MOST_BYTES", 3)
    assert tab("hfcli classify --file big.json --text-column ") == []


def test_keys_of_the_configuration(tab):
    assert {"list", "path", "get", "set", "unset"} == {*tab("hfcli config ")}
    assert "generate." in tab("hfcli config set gen")
    assert tab("hfcli config get generate.max") == ["generate.max-new-tokens"]
    assert tab("hfcli config set generate.outp") == [], "cannot be a default"
    assert tab("hfcli config set nonsense.x") == []
    assert "model" in tab("hfcli config set mo")


def test_files_are_left_to_the_shell(tab):
    assert tab("hfcli generate --file ") == []
    assert tab("hfcli classify -m ./") == []


def test_a_broken_configuration_is_in_nobodys_way(tab, tmp_path, monkeypatch):
    Path("hfcli.toml").write_text("nonsense")
    assert tab("hfcli generate --max") == ["--max-new-tokens"]


def test_recipes():
    from hfcli.cli._completion import recipe_names

    assert recipe_names("dem") == ["demo"]
    assert recipe_names("./dem") == []


def test_zsh_and_fish(hfcli):
    line = {"_TYPER_COMPLETE_ARGS": "hfcli generate --dtype b"}
    zsh = hfcli(env={**line, "_HFCLI_COMPLETE": "complete_zsh"})
    assert zsh.out == "_arguments '*: :((\"bfloat16\"))'\n"
    fish = {**line, "_HFCLI_COMPLETE": "complete_fish"}
    assert hfcli(env={**fish, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}).out == "bfloat16\n"
    assert hfcli(env={**fish, "_TYPER_COMPLETE_FISH_ACTION": "is-args"}).code == 0
    files = {**fish, "_TYPER_COMPLETE_ARGS": "hfcli generate --file ", "_TYPER_COMPLETE_FISH_ACTION": "is-args"}
    assert hfcli(env=files).code == 1, "then fish offers files"
    flag = {"_TYPER_COMPLETE_ARGS": "hfcli generate --dev", "_HFCLI_COMPLETE": "complete_zsh"}
    assert "--device" in hfcli(env=flag).out


@pytest.mark.parametrize("line", ["hfcli generate --max", "hfcli classify -m b", "hfcli ge"])
def test_nothing_heavy_is_imported_and_of_the_commands_only_one(line):
    words = line.split()
    env = {**os.environ, "_HFCLI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    env |= {"PYTHONPATH": str(Path(__file__).parents[1])}
    code = "import sys; from hfcli.cli import main; main([]); sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    names = {*done.stderr.split()}
    heavy = "torch transformers datasets accelerate evaluate peft numpy huggingface_hub pyarrow yaml rich".split()
    assert not {name.split(".")[0] for name in names} & {*heavy}
    if len(words) > 2:
        own = {f"hfcli.cli.{name}" for name in NAMES}
        assert own & names == {f"hfcli.cli.{words[1]}"}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_after_the_one_command(shell, tmp_path):
    program = tmp_path / "bin" / "hfcli"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hfcli "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    done = shell("command hfcli --install-completion; exit $?", HOME=str(tmp_path), PATH=path)
    assert done.returncode == 0, done.stderr
    assert "completion installed" in done.stdout
    press = (
        f"source {tmp_path}/.bash_completions/hfcli.sh\n"
        "unset -f hfcli\n"
        "COMP_WORDS=(hfcli generate --max); COMP_CWORD=2\n"
        "_hfcli_completion hfcli --max generate\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
        "COMP_WORDS=(hfcli generate --dtype b); COMP_CWORD=3\n"
        "_hfcli_completion hfcli b --dtype\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
        "complete -p hfcli\n"
    )
    done = shell(press, HOME=str(tmp_path), PATH=path)
    assert done.stdout.splitlines()[:2] == ["--max-new-tokens", "bfloat16"]
    assert "-o default -F _hfcli_completion hfcli" in done.stdout
