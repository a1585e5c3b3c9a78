"""What the steps of a recipe read, and whether that will be there when their turn comes."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hfcli.cli._steps import Checked
from hfcli.cli._written import written
from hfcli.errors import DataError, UsageError

# Parameters of any command that may name a file or a folder to read.
_READ = (
    "model", "name", "adapter", "scorer", "dataset", "eval_dataset", "file", "context_file", "predictions",
    "references", "files", "swap", "metric",
)  # fmt: skip
# A name that ends so is no name on the Hub.
_ENDS = (
    *(".json", ".jsonl", ".ndjson", ".txt", ".csv", ".tsv", ".parquet", ".arrow", ".conll", ".conllu", ".iob2"),
    *(".md", ".gz", ".bz2", ".xz", ".zst", ".zip"),
)
_BEGINS = ("./", "../", "/", "~")


def paths(checked: Checked) -> Iterator[str]:
    """What a step names to be read: files, folders, and names that may be on the Hub."""
    for name in _READ:
        value = checked.values.get(name)
        for one in value if isinstance(value, list) else [value]:
            if one and one != "-":
                yield str(one).removeprefix("evaluate:")


def within(path: str, made: Iterable[str]) -> bool:
    """Whether a path is one of those, or lies inside one."""
    path = os.path.normpath(path)
    return any(path == each or path.startswith(each + os.sep) for each in map(os.path.normpath, made))


def refuse_no_input(checked: Sequence[Checked], variables: Mapping[str, str]) -> None:
    """Refuse steps that read a standard input which the recipe does not give.

    Raises:
        UsageError: Says which, and what else can be done.
    """
    for step in checked:
        for name in (*_READ, *step.positional) if step.step.stdin is None else ():
            value = step.values.get(name)
            if "-" in (value if isinstance(value, list) else [value]):
                variable = next((key for key, text in variables.items() if text == "-"), None)
                hint = f"--set {variable}=FILE" if variable else "stdin: in the recipe, or a file instead of -"
                said = f"{step.where}: {name.replace('_', '-')} is standard input, which a step has only by stdin:"
                raise UsageError(said, hint)


def refuse_missing(checked: Sequence[Checked], chosen: Sequence[Checked], line: str, anyway: bool = False) -> None:
    """Refuse steps whose files are not there, and will not be.

    Args:
        checked: All steps.
        chosen: Those that are to be run.
        line: Runs all of them, for hints.
        anyway: Whether what a step makes that is left out may be missing: nothing is run now.

    Raises:
        DataError: No earlier step makes it.
        UsageError: A step makes it that has not been run.
    """
    numbers = {step.number for step in chosen}
    for step in checked:
        for path in paths(step) if step.number in numbers else ():
            if "://" in path or os.path.lexists(os.path.expanduser(path)):
                continue
            makers = [each for each in checked[: step.number - 1] if within(path, (one.path for one in written(each)))]
            if not makers and (path.startswith(_BEGINS) or path.lower().endswith(_ENDS)):
                raise DataError(f"{step.where}: no file {path}, and no earlier step makes it")
            if makers and not anyway and not any(each.number in numbers for each in makers):
                made = f"{path} is made by step {makers[-1].number}, {makers[-1].step.label}"
                raise UsageError(f"{step.where}: {made}, which has not been run", line)
