"""Recipes: a YAML file is a list of hfcli commands, and nothing else.

    name: demo
    about: what it shows
    expects: {accuracy: 0.913, takes: 9 min}   # scores that the steps should reach, and what it takes
    steps:
      - about: one prompt                # printed before the step
        generate: {prompt: Once upon a time, model: builtin/story}
      - generate: {model: builtin/story}
        stdin: |                         # what the step reads from standard input
          One morning
          The little fox

Keys are the names of flags; a list repeats its flag; true is a flag without a value.
"""

import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from hfcli.errors import DataError, did_you_mean

_KEYS = ("name", "about", "expects", "steps")
_STEP_KEYS = ("about", "stdin")


class Step(NamedTuple):
    """One command of a recipe: its name, its flags, and what it reads from standard input."""

    command: str
    flags: dict[str, Any]
    about: str | None = None
    stdin: str | None = None

    def argv(self, positional: Collection[str]) -> list[str]:
        """The step as a command line, without the program's name.

        Args:
            positional: Names of the command's arguments, which stand without a flag.
        """
        arguments, flags = [self.command], []
        for name, value in self.flags.items():
            for one in value if isinstance(value, list) else [value]:
                if name in positional:
                    arguments.append(str(one))
                else:
                    flags += [f"--{name}"] if one is True else [f"--{name}", str(one)]
        return arguments + flags

    def shell(self, positional: Collection[str]) -> str:
        """The step as a user would type it."""
        line = shlex.join(["hfcli", *self.argv(positional)])
        if self.stdin is None:
            return line
        lines = " ".join(shlex.quote(line) for line in self.stdin.splitlines())
        return f"printf '%s\\n' {lines} | {line}"


class Recipe(NamedTuple):
    """A named list of steps, and what they should reach."""

    name: str
    about: str
    steps: list[Step]
    expects: dict[str, Any]


def folder() -> Path:
    """Where the shipped recipes are: inside the wheel, or beside the package in a checkout."""
    packaged = Path(__file__).parent / "_recipes"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "recipes"


def load(path: Path, commands: Collection[str]) -> Recipe:
    """Read a recipe.

    Args:
        path: The YAML file.
        commands: Names of the commands that exist.

    Raises:
        DataError: It is not YAML, or not a recipe; the sentence says where.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path.name} is not a recipe: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("steps"), list):
        raise DataError(f"{path.name} is not a recipe: it needs name, about and a list of steps")
    for key in content:
        _known(str(key), _KEYS, path.name)
    steps = [_step(step, f"{path.name}, step {number}", commands) for number, step in enumerate(content["steps"], 1)]
    expects = content.get("expects") or {}
    if not isinstance(expects, dict):
        raise DataError(f"{path.name}: expects is a mapping of scores to numbers")
    return Recipe(str(content.get("name", path.stem)), str(content.get("about", "")), steps, expects)


def _step(content: Any, where: str, commands: Collection[str]) -> Step:
    names = [str(key) for key in content if key not in _STEP_KEYS] if isinstance(content, dict) else []
    if len(names) != 1:
        raise DataError(f"{where}: one command is wanted, {', '.join(names) or 'none'} given")
    _known(names[0], commands, where)
    flags = content[names[0]] or {}
    if not isinstance(flags, dict) or any(value is False or value is None for value in flags.values()):
        raise DataError(f"{where}: flags are a mapping of names to values; leave out what is off")
    return Step(
        names[0], {str(name): value for name, value in flags.items()}, content.get("about"), content.get("stdin")
    )


def _known(key: str, known: Collection[str], where: str) -> None:
    if key not in known:
        raise DataError(f"{where}: {key} is unknown; there is {', '.join(known)}", did_you_mean(key, known))
