"""A step of a recipe, and how it stands on a command line."""

import re
import shlex
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")
"""One character of what a terminal obeys: it moves the cursor, or turns the direction of writing."""


class Step(NamedTuple):
    """One command of a recipe.

    Attributes:
        command: Its name.
        flags: Its flags and arguments by name: text, True, False, or a list of these.
        about: A sentence for whoever watches.
        stdin: What it reads from standard input.
        name: What it is called, None for its command's name.
        expects: The scores that it should reach.
        given: Of flags whose value begins with a variable that --set gave: what that was set to.
    """

    command: str
    flags: dict[str, Any]
    about: str | None = None
    stdin: str | None = None
    name: str | None = None
    expects: Mapping[str, float | None] = {}
    given: Mapping[str, tuple[str, ...]] = {}

    @property
    def label(self) -> str:
        return self.name or self.command

    def argv(self, positional: Collection[str]) -> list[str]:
        """The step as a command line, without the program's name; no value can pass for a flag.

        Args:
            positional: Names of the command's arguments, which stand without a flag.
        """
        arguments: list[str] = []
        flags: list[str] = []
        for name, value in self.flags.items():
            for one in value if isinstance(value, list) else [value]:
                if name in positional:
                    arguments.append(str(one))
                elif one is True:
                    flags.append(f"--{name}")
                else:
                    flags += [f"--{name}={one}"] if _like_a_flag(one) else [f"--{name}", str(one)]
        if any(map(_like_a_flag, arguments)):
            return [self.command, *flags, "--", *arguments]
        return [self.command, *arguments, *flags]

    def shell(self, positional: Collection[str]) -> str:
        """The step as a user would type it."""
        line = " ".join(map(_quoted, ["hfcli", *self.argv(positional)]))
        if self.stdin is None:
            return line
        lines = " ".join(map(_quoted, self.stdin.removesuffix("\n").split("\n")))
        return f"printf '%s\\n' {lines} | {line}"


def _quoted(word: str) -> str:
    """A word for a shell; as $'...' where it holds what a terminal would obey."""
    if not CONTROL.search(word):
        return shlex.quote(word)
    told = word.replace("\\", "\\\\").replace("'", "\\'")
    told = CONTROL.sub(lambda match: "".join(f"\\x{byte:02x}" for byte in match[0].encode()), told)
    return f"$'{told}'"


def _like_a_flag(value: Any) -> bool:
    return str(value).startswith("-") and value != "-"
