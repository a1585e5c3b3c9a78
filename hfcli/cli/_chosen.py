"""A recipe by what was typed: the name of a shipped one, a file, or standard input; and steps of it likewise."""

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from hfcli import recipes
from hfcli.cli._steps import Checked
from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.recipes import Recipe


def find(name: str, given: Mapping[str, str] | None = None) -> tuple[Recipe, str]:
    """The recipe, and what it is called in errors.

    Args:
        name: As typed.
        given: Values of its variables.

    Raises:
        UsageError: There is none of that name, or it has no such variable.
        DataError: It is not a recipe.
    """
    from hfcli.cli import NAMES

    if name == "-":
        if os.isatty(0):
            raise UsageError("standard input is a terminal, and a recipe was to come from it", "hfcli run - < FILE")
        with open(0, "rb", closefd=False) as file:
            text = recipes.decoded(file.read(recipes.LONGEST_BYTES + 1), "standard input")
        found = recipes.parse(text, "standard input", NAMES, given, "stdin")
        return found._replace(key=f"stdin:{hashlib.sha256(text.encode()).hexdigest()}"), "standard input"
    path = shipped_path(name)
    if path is None:
        path = Path(name)
        if not path.is_file() and not _is_path(name):
            there = next((each for each in (f"{name}.yaml", f"{name}.yml") if Path(each).is_file()), None)
            raise _unknown(name, f"hfcli run {shlex.quote(there)}" if there else None)
        text = recipes.text_of(path)
        return recipes.parse(text, name, NAMES, given, path.stem)._replace(key=_file_key(path)), name
    return recipes.parse(recipes.text_of(path), name, NAMES, given, name)._replace(key=f"shipped:{name}"), name


def _file_key(path: Path) -> str:
    """Which file that is: below the working folder as seen from there, so that both can be moved together."""
    real, working = os.path.realpath(path), os.path.realpath(".")
    inside = real.startswith(working.rstrip(os.sep) + os.sep)
    return f"file:{os.path.relpath(real, working) if inside else real}"


def shipped(name: str) -> Path:
    """The file of a shipped recipe.

    Raises:
        UsageError: There is none of that name.
    """
    path = shipped_path(name)
    if path is None:
        raise _unknown(name)
    return path


def shipped_path(name: str) -> Path | None:
    """The same, None where there is none."""
    return recipes.folder() / f"{name}.yaml" if name in recipes.names() else None


def _unknown(name: str, hint: str | None = None) -> UsageError:
    there = recipes.names()
    near = hint or did_you_mean(name, there) or "hfcli recipes lists them"
    return UsageError(f"no recipe {name!r}; there is {', '.join(there)}", near)


def _is_path(name: str) -> bool:
    return os.sep in name or name.endswith((".yaml", ".yml"))


def steps(checked: Sequence[Checked], first: str | None, only: str | None, source: str) -> list[Checked]:
    """Those that are to be run.

    Args:
        checked: All of them.
        first: The first one: its name, its command or its number; None for the first of all.
        only: The only one.
        source: What the recipe is called in errors.

    Raises:
        UsageError: There is no such step, or there are several.
    """
    if only is not None:
        return [_step(checked, only, "--only", source)]
    if first is not None:
        return list(checked[_step(checked, first, "--from", source).number - 1 :])
    return list(checked)


def _step(checked: Sequence[Checked], wanted: str, flag: str, source: str) -> Checked:
    named = [each for each in checked if each.step.name == wanted]
    found = named or [each for each in checked if wanted in (each.step.command, str(each.number))]
    if len(found) == 1:
        return found[0]
    if found:
        numbers = " and ".join(", ".join(str(each.number) for each in found).rsplit(", ", 1))
        raise UsageError(f"{source} has {len(found)} steps {wanted}: {numbers}", f"{flag} {found[0].number}")
    there = [each.step.label for each in checked]
    listed = ", ".join(f"{each.number} {each.step.label}" for each in checked)
    raise UsageError(f"{source} has no step {wanted}; there is {listed}", did_you_mean(wanted, there))


def missing() -> UsageError:
    """No recipe was named."""
    return UsageError("no recipe was named", f"hfcli run {recipes.names()[0]}; hfcli recipes lists them")


def written_to(path: Path, text: str, overwrite: bool) -> None:
    """Write a copy of a recipe.

    Raises:
        UsageError: There is a file already.
        DataError: It cannot be written.
    """
    try:
        with path.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already", "--overwrite replaces it, or give another FILE") from error
    except OSError as error:
        raise DataError(f"{path} cannot be written ({(error.strerror or str(error)).lower()})") from error
