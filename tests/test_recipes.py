"""Recipes: every shipped one parses through the real command line, and mistakes in one get a sentence."""

import pytest

from hfcli import cli, recipes
from hfcli.cli.demo import positional
from hfcli.errors import HfcliError

NAMES = {name: cli.command(name) for name in cli.NAMES}


@pytest.mark.parametrize("path", sorted(recipes.folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_parse(path, monkeypatch):
    recipe = recipes.load(path, NAMES)
    assert recipe.name == path.stem
    assert recipe.about
    for step in recipe.steps:
        argv = step.argv(positional(NAMES[step.command]))
        # Typer's parser alone, as far as `--help` behind a valid line gets: an unknown flag or value would raise.
        assert cli.application()(args=[*argv, "--help"], standalone_mode=False) == 0


def test_a_step_is_a_command_line():
    flags = {"prompt": "Once upon", "model": "builtin/story", "sample": True, "stop": [".", "!"], "seed": 3}
    step = recipes.Step("generate", flags, stdin="a\nb c\n")
    argv = step.argv(["prompt"])
    assert argv == "generate|Once upon|--model|builtin/story|--sample|--stop|.|--stop|!|--seed|3".split("|")
    assert step.shell(["prompt"]).startswith("printf '%s\\n' a 'b c' | hfcli generate 'Once upon' --model")


def test_positional_arguments_are_known():
    assert positional(NAMES["generate"]) == ["prompt"]
    assert positional(NAMES["config"]) == ["action", "key", "value"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [{generat: {}}]", "generat is unknown"),
        ("steps: [{generate: {}, doctor: {}}]", "one command is wanted"),
        ("steps: [{generate: {json: false}}]", "leave out what is off"),
        ("stepps: []", "needs name, about and a list of steps"),
        ("steps: []\nextra: 1", "extra is unknown"),
        ("steps: [", "is not a recipe"),
    ],
)
def test_mistakes_are_sentences(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(HfcliError, match=said):
        recipes.load(path, NAMES)


def test_demo_shows_every_command_and_works_offline(shell):
    done = shell("hfcli demo", timeout=480, HF_ENDPOINT="http://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert f"hfcli {name}" in done.stdout or name == "demo"
    assert "without internet" in done.stdout.splitlines()[-3]
    assert "fail" not in done.stdout
