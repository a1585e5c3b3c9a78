"""Where the values of a command's flags came from that were not typed: the environment, and configuration files.

A default is not meant for every line. What a typed flag contradicts, or what means nothing for this line, is left out
silently where it comes from a file, while the same flag typed is refused.
"""

import dataclasses
import re
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from hfcli.cli.console import Console
from hfcli.errors import UsageError

# Each decides the same, or the opposite: who types one does not want another from a file.
_RIVALS = (
    ("quiet", "verbose"),
    ("max_steps", "num_train_epochs"),
    ("batch_size", "per_device_train_batch_size"),
    ("freeze", "freeze_layers", "unfreeze", "lora"),
    ("no_answer_threshold", "null_score_diff_threshold"),
    ("template", "prompt_column"),
    ("seed", "seeds"),
)
_SAMPLING = ("temperature", "top_k", "top_p", "min_p")


class Taken(NamedTuple):
    """A value that was not typed and is not built in.

    Attributes:
        flag: Without dashes.
        value: What it takes.
        where: The environment variable, or the file as it is shown.
        key: Of the file; "" for an environment variable.
        usual: What is built in.
    """

    flag: str
    value: Any
    where: str
    key: str = ""
    usual: Any = None


_taken: dict[str, Taken] = {}
Group = TypeVar("Group")


def begin(taken: Mapping[str, Taken]) -> None:
    """A command begins, with these values, by parameter."""
    _taken.clear()
    _taken.update(taken)


def ruled_out(name: str, value: Any) -> set[str]:
    """The parameters whose values from files give way to one that was typed."""
    found = {rival for rivals in _RIVALS if name in rivals for rival in rivals} - {name}
    if name == "sample":
        found.update(("num_beams",) if value else _SAMPLING)
    elif name == "num_beams":
        found.update(("sample", *_SAMPLING))
    elif name in _SAMPLING:
        found.update(("sample", "num_beams"))
    return found


def add(name: str, value: Any, where: str) -> None:
    """A value was taken that was not the flag's own: the command knows when it is meant."""
    _taken[name] = Taken(name, value, where)


def forget(name: str) -> None:
    """A value was not taken after all."""
    _taken.pop(name, None)


def get(name: str) -> Taken | None:
    """What was taken for a parameter; None for what is typed or built in."""
    return _taken.get(name)


def _said(flag: str, value: Any) -> str:
    """A flag and its value: "max-new-tokens 40", "offline", "no chat-template"."""
    if isinstance(value, bool):
        return flag if value else f"no {flag}"
    values = value if isinstance(value, list | tuple) else [value]
    return " ".join([flag, *(shlex.quote(str(each)) for each in values)])


def where(name: str) -> str | None:
    """The environment variable or file that a parameter's value is from; None for what is typed or built in."""
    return _taken[name].where if name in _taken else None


def drop(name: str) -> bool:
    """Whether a parameter's value is from a file; then it counts as not taken, and the caller does without it."""
    if name not in _taken or not _taken[name].key:
        return False
    del _taken[name]
    return True


def left_out(group: Group, *names: str) -> Group:
    """Options with what is built in for these fields, where a file gave their values."""
    usual = {name: _taken[name].usual for name in names if name in _taken and hasattr(group, name)}
    return dataclasses.replace(group, **{name: value for name, value in usual.items() if drop(name)})  # type: ignore[type-var]


def tell(console: Console) -> None:
    """Say where values came from, if any did."""
    if _taken:
        told = ", ".join(f"{_said(each.flag, each.value)} ({each.where})" for each in _taken.values())
        console.line(f"flags   {told}")


def explain(error: UsageError) -> None:
    """Add to an error about flags which of them a file has set."""
    for each in _taken.values():
        flag = "--" + each.key.rpartition(".")[2]
        if each.key and re.search(rf"{re.escape(flag)}(?![\w-])", error.message):
            error.hint = "\n".join(filter(None, [error.hint, f"{flag} is set in {each.where}"]))
