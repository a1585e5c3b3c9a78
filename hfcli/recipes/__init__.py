"""Recipes: a YAML file is a list of hfcli commands, and nothing else.

    name: sst2
    about: what it does
    task: text-classification
    expects: {accuracy: 0.913, source: where that was published, takes: "9 min, A10G"}
    variables: {output: runs/sst2}       # ${output} in any value below; $${ is a plain ${
    steps:
      - name: train                      # else it is called as its command
        about: one sentence              # printed before the step
        finetune: {model: distilbert-base-uncased, dataset: sst2, output: "${output}"}
      - eval: {model: "${output}", dataset: sst2, split: validation}
        expects: {accuracy: 0.913}       # of this step alone
      - generate: {model: builtin/story}
        stdin: |                         # what the step reads from standard input
          One morning
          The little fox

Keys are the names of flags or arguments; a list repeats its flag; true is a flag without a value, false its opposite.
Every other value is text, exactly as it stands there: `no`, `007` and `2e-5` are what was written. What a recipe can
make of a reader is bounded: no tags, no nesting but the above, no keys twice, no more than some million characters.
"""

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.recipes._plain import plain
from hfcli.recipes._step import CONTROL, Step

__all__ = ["LONGEST_BYTES", "Recipe", "Step", "decoded", "folder", "load", "names", "parse", "text_of"]

_KEYS = ("name", "about", "task", "expects", "variables", "steps")
_STEP_KEYS = ("name", "about", "stdin", "expects")
_TEXTS = ("source", "takes")  # of what is expected, the rest are scores
_VARIABLE = re.compile(r"\$(\$\{|\{([^{}]*)\})")
LONGEST_BYTES = 1_000_000
"""Of a recipe's file."""
_MOST = 4_000_000  # characters with all that its aliases and variables stand for


class Recipe(NamedTuple):
    """A named list of steps, and what they should reach.

    Attributes:
        name: What it is called.
        about: One sentence.
        steps: Its commands.
        expects: Scores by name, and as text `source` and `takes`.
        task: What kind of work it is, "" where it does not say.
        variables: What --set may change.
        key: Which recipe this is, wherever a name is not enough: no two have the same.
    """

    name: str
    about: str
    steps: list[Step]
    expects: dict[str, Any]
    task: str = ""
    variables: Mapping[str, str] = {}
    key: str = ""

    @property
    def scores(self) -> dict[str, float]:
        """The scores that it should reach."""
        return {name: value for name, value in self.expects.items() if name not in _TEXTS and value is not None}


def folder() -> Path:
    """Where the shipped recipes are: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "_recipes"
    return packaged if packaged.is_dir() else package.parent / "recipes"


def names() -> list[str]:
    """Of the shipped recipes."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def load(path: Path, commands: Collection[str], given: Mapping[str, str] | None = None) -> Recipe:
    """Read a recipe from a file.

    Raises:
        DataError: It cannot be read, or is not a recipe; the sentence says where.
        UsageError: It has no such variable.
    """
    return parse(text_of(path), path.name, commands, given, path.stem)


def text_of(path: Path) -> str:
    """What stands in a file, if that can be a recipe.

    Raises:
        DataError: It cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            return decoded(file.read(LONGEST_BYTES + 1), path.name)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({(error.strerror or str(error)).lower()})") from error


def decoded(data: bytes, source: str) -> str:
    """Bytes as text, if that can be a recipe.

    Raises:
        DataError: They are no text, or too long.
    """
    if len(data) > LONGEST_BYTES:
        raise DataError(f"{source} is not a recipe: it is longer than {LONGEST_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{source} is not a recipe: it is not UTF-8") from error


def parse(
    text: str, source: str, commands: Collection[str], given: Mapping[str, str] | None = None, name: str = "recipe"
) -> Recipe:
    """Read a recipe.

    Args:
        text: The YAML.
        source: Where it is from, for errors.
        commands: Names of the commands that a step may be.
        given: Values of variables instead of the recipe's own.
        name: What it is called if it does not say.

    Raises:
        DataError: It is not YAML, or not a recipe; the sentence says where.
        UsageError: It has no such variable.
    """
    content = plain(text, source)
    if not isinstance(content, dict) or not isinstance(content.get("steps"), list):
        raise DataError(f"{source} is not a recipe: it needs name, about and a list of steps")
    for key in content:
        _known(key, _KEYS, source)
    values = _Values(source, content.get("variables"), given or {})
    steps = [
        _step(step, f"{source}, step {number}", commands, values) for number, step in enumerate(content["steps"], 1)
    ]
    labels = [step.name for step in steps if step.name is not None]
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise DataError(f"{source}: two steps are called {twice}")
    return Recipe(
        _line(content.get("name"), f"{source}: name") or name,
        _text(content.get("about"), f"{source}: about") or "",
        steps,
        _expects(content.get("expects"), source, texts=True),
        _line(content.get("task"), f"{source}: task") or "",
        values.variables,
    )


class _Values:
    """What ${name} stands for, and how much may still be made of it."""

    def __init__(self, source: str, declared: Any, given: Mapping[str, str]) -> None:
        self._left = _MOST
        self.given = given
        if declared is not None and not isinstance(declared, dict):
            raise DataError(f"{source}: variables are a mapping of names to values")
        self.variables: dict[str, str] = {}
        for name, value in (declared or {}).items():
            if not re.fullmatch(r"[A-Za-z_][\w-]*", name):
                raise DataError(f"{source}: {name!r} cannot be a variable; letters, digits, _ and - can")
            if not isinstance(value, str | bool):
                raise DataError(f"{source}: the variable {name} needs a text")
            if isinstance(value, str) and _VARIABLE.search(value):
                raise DataError(f"{source}: the variable {name} holds another one; they stand in steps only")
            self.variables[name] = str(value).lower() if isinstance(value, bool) else value
        for name in given:
            if name not in self.variables:
                there = ", ".join(self.variables) or "none"
                raise UsageError(
                    f"{source} has no variable {name}; there is {there}", did_you_mean(name, self.variables)
                )
        self.variables |= given

    def filled(self, text: str, where: str) -> tuple[str, str | None]:
        """A text with the variables' values, and what --set gave of its beginning, None for nothing.

        Raises:
            DataError: There is no such variable, or too much comes of it.
        """
        found = [match[2] for match in _VARIABLE.finditer(text) if match[2] is not None]
        for name in found:
            if name not in self.variables:
                near = did_you_mean(name, self.variables) or f"$${{{name}}} is the text ${{{name}}}"
                raise DataError(f"{where}: no variable {name}; there is {', '.join(self.variables) or 'none'}", near)
        self._left -= len(text) + sum(len(self.variables[name]) for name in found)
        if self._left < 0:
            raise DataError(f"{where}: the recipe comes to more than {_MOST:,} characters")
        first = re.match(r"\$\{([^{}]*)\}", text)
        root = self.given.get(first[1]) if first else None
        return _VARIABLE.sub(lambda match: "${" if match[2] is None else self.variables[match[2]], text), root


def _step(content: Any, where: str, commands: Collection[str], values: _Values) -> Step:
    names = [key for key in content if key not in _STEP_KEYS] if isinstance(content, dict) else []
    for key in names:
        _known(key, [*commands, *_STEP_KEYS], where)
    if len(names) != 1:
        raise DataError(f"{where}: one command is wanted, {', '.join(names) or 'none'} given")
    command = names[0]
    name = _line(content.get("name"), f"{where}: name")
    if name is not None and (not name or name.isdecimal()):
        raise DataError(f"{where}: {name!r} cannot be a name; a number is another step's number already")
    where = f"{where} ({name or command})"
    given = content[command] if content[command] is not None else {}
    if not isinstance(given, dict):
        raise DataError(f"{where}: flags are a mapping of names to values")
    flags: dict[str, Any] = {}
    roots: dict[str, tuple[str, ...]] = {}
    for flag, value in given.items():
        several = value if isinstance(value, list) else [value]
        filled = [_flag(one, f"{where}, {flag}", values) for one in several]
        flags[flag] = [one for one, _ in filled] if isinstance(value, list) else filled[0][0]
        if found := tuple(root for _, root in filled if root is not None):
            roots[flag] = found
    about, stdin = (_text(content.get(key), f"{where}: {key}") for key in ("about", "stdin"))
    about, stdin = (text and values.filled(text, where)[0] for text in (about, stdin))
    return Step(command, flags, about, stdin, name, _expects(content.get("expects"), where), roots)


def _flag(value: Any, where: str, values: _Values) -> tuple[Any, str | None]:
    if isinstance(value, str):
        return values.filled(value, where)
    if isinstance(value, bool):
        return value, None
    said = "nothing is given; leave it out" if value is None else "a value is text, true, false or a list of these"
    raise DataError(f"{where}: {said}")


def _expects(content: Any, where: str, texts: bool = False) -> dict[str, Any]:
    if content is not None and not isinstance(content, dict):
        raise DataError(f"{where}: expects is a mapping of scores to numbers")
    found: dict[str, Any] = {}
    for name, value in (content or {}).items():
        _line(name, f"{where}: the name of a score")
        if texts and name in _TEXTS:
            found[name] = _line(value, f"{where}: {name}")
            continue
        try:
            found[name] = None if value is None else float(value if isinstance(value, str) else "nan")
        except ValueError:
            found[name] = math.nan
        if found[name] is not None and not math.isfinite(found[name]):
            raise DataError(f"{where}: expects {name}: {value} is not a number")
    return found


def _text(value: Any, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise DataError(f"{where} is a text")


def _line(value: Any, where: str) -> str | None:
    """A text that cannot look like several lines of output."""
    text = _text(value, where)
    if text is not None and len(text.splitlines()) > 1:
        raise DataError(f"{where} is one line")
    if text is not None and (found := CONTROL.search(text)):
        raise DataError(f"{where} holds a control character ({found[0]!a})")
    return text


def _known(key: str, known: Collection[str], where: str) -> None:
    if key not in known:
        raise DataError(f"{where}: {key} is unknown; there is {', '.join(known)}", did_you_mean(key, known))
