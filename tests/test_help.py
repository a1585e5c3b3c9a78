"""Help pages: what they say (golden files), and what they must not cost."""

from pathlib import Path

import pytest

from hfcli.cli import NAMES, command

GOLDEN = Path(__file__).parent / "golden"
PAGES = [(), *((name,) for name in NAMES)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page[0] if page else "hfcli")
def test_help_pages_are_as_they_were(hfcli, page, request):
    result = hfcli(*page, "--help")
    assert result.code == 0
    golden = GOLDEN / f"help-{page[0] if page else 'hfcli'}.txt"
    if request.config.getoption("--update-golden"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(result.out)
    assert result.out == golden.read_text(), "make golden writes it anew"
    assert max(map(len, result.lines)) <= 80


def test_no_arguments_show_the_help(hfcli):
    assert hfcli() == hfcli("--help")


@pytest.mark.parametrize(
    "line", ["hfcli --help", "hfcli generate --help", "hfcli generate --nonsense", "hfcli --version"]
)
def test_nothing_heavy_is_imported_for_it(shell, line):
    heavy = "torch transformers datasets accelerate evaluate peft numpy huggingface_hub pyarrow yaml rich".split()
    done = shell(line, PYTHONPROFILEIMPORTTIME="1")
    imported = {entry.rsplit("|", 1)[-1].strip().split(".")[0] for entry in done.stderr.splitlines() if "|" in entry}
    assert "typer" in imported
    assert not imported & set(heavy)


def test_version(hfcli):
    from hfcli import __version__

    assert hfcli("--version").out == f"hfcli {__version__}\n"


def test_every_option_is_described(hfcli):
    """A flag without help text would be a flag nobody can find out about."""
    import inspect

    for name in NAMES:
        for parameter in inspect.signature(command(name)).parameters.values():
            (info,) = parameter.annotation.__metadata__
            assert info.help, f"{name}: {parameter.name}"


def test_mistyped_flags_and_commands_name_the_nearest(hfcli):
    flag = hfcli("generate", "--temprature", "1", "x")
    assert (flag.code, flag.out) == (2, "")
    assert flag.err == "error: no option --temprature\nhint:  did you mean --temperature?\n"
    command = hfcli("generat", "x")
    assert command.code == 2
    assert "did you mean generate?" in command.err
