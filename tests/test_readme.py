"""The README's shell lines run, in order, with the embedded model as the default."""

import re
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_readmes_shell_lines_run(shell, tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
    assert len(blocks) >= 6
    home = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_STATE_HOME": str(tmp_path / "state")}
    done = shell(f"cd {tmp_path}\nset -e\n" + "\n".join(blocks), HFCLI_MODEL="builtin/story", timeout=900, **home)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
    assert (tmp_path / "stories.txt").read_text().count("\n") == 3
    assert (tmp_path / "long.txt").read_text().count("\n") == 3
    assert "long.txt is complete already" in done.stderr
    assert (tmp_path / "report.md").read_text().startswith("```\nok    python")


def test_the_first_lines_say_what_it_is_not():
    assert "It is not Hugging Face's own" in README[:700]


def test_every_exit_code_is_explained():
    from hfcli.errors import Exit

    shown = set(re.findall(r"\| (\d+) \|", README))
    explained = {str(code.value) for code in Exit if code is not Exit.BUG}
    assert shown == explained
