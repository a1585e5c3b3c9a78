"""What the steps of a recipe write, and what a stranger's recipe may not do by itself.

A recipe is a file from somewhere. Without a word of whoever runs it, it runs no code of a model, uploads nothing, and
writes only inside the working folder: data and models, no hidden files and nothing that another program would run.
"""

import os
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from hfcli.cli._steps import Checked
from hfcli.errors import UsageError
from hfcli.options.recipes import TrustOptions

FLAGS = ("output", "details", "flips")
"""Flags of any command that name what it writes."""
_DATA = (".json", ".jsonl", ".ndjson", ".txt", ".csv", ".tsv", ".md", ".log", ".out")
_BESIDE = (".partial", ".partial.json", ".partial.json.new")  # what a command writes beside a file until it is whole
_TRACKERS = {"tensorboard"}  # those that stay on this machine


class Written(NamedTuple):
    """What a step writes.

    Attributes:
        flag: That names it.
        path: As it stands there.
        folder: Whether it is a folder.
    """

    flag: str
    path: str
    folder: bool


def written(checked: Checked) -> list[Written]:
    """What a step writes: files and folders, in the order of its flags."""
    values, command = checked.values, checked.step.command
    if values.get("dry_run"):
        return []
    several = command == "eval" and len(values.get("model") or []) > 1
    several = several or (command == "eval" and len(values.get("predictions") or []) > 1)
    found = [
        Written(flag, values[flag], command == "finetune" or (several and flag == "output"))
        for flag in FLAGS
        if isinstance(values.get(flag), str)
    ]
    if command == "finetune" and not found:
        from hfcli.cli.finetune import default_folder
        from hfcli.options.reading import DataOptions

        model, dataset = values["name"] or values["model"], values["dataset"]
        if model and dataset:
            found.append(Written("output", default_folder(model, DataOptions(dataset, values["subset"])), True))
    return found


def refuse(steps: list[Checked], trust: TrustOptions, line: str) -> None:
    """Refuse what a recipe may not do by itself.

    Args:
        steps: Of the recipe.
        trust: What it may do after all.
        line: The command that runs it, for hints.

    Raises:
        UsageError: Says which step would, and how to allow it.
    """
    seen: dict[str, Checked] = {}
    for step in steps:
        _refuse_flags(step, trust, line)
        refuse_outputs(step)
        for each in written(step):
            before = seen.setdefault(os.path.realpath(each.path), step)
            if before is not step:
                said = f"{step.where}: step {before.number}, {before.step.label}, writes {each.path}, too"
                raise UsageError(said, "give each its own output")


def _refuse_flags(checked: Checked, trust: TrustOptions, line: str) -> None:
    values, where = checked.values, checked.where
    asks = {
        "trust-remote-code": "runs the code that comes with a model",
        "allow-pickle": "loads weights in a format that can be unsafe",
        "push-to-hub": "uploads the result",
    }
    for flag, does in asks.items():
        name = flag.replace("-", "_")
        if values.get(name) and not getattr(trust, name):
            raise UsageError(f"{where}: {flag} {does}, which a recipe may not do by itself", f"{line} --{flag}")
    trackers = set(values.get("report_to") or ()) - _TRACKERS
    if trackers and "report-to" not in checked.step.given:
        told = ", ".join(sorted(trackers))
        raise UsageError(f"{where}: report-to {told} sends what is measured elsewhere", "leave it out, or use --set")
    if checked.step.command == "history" and values.get("clear"):
        raise UsageError(f"{where}: a recipe does not forget your runs", "leave out clear")
    if checked.step.command == "config" and values.get("action"):
        raise UsageError(f"{where}: a recipe does not change your settings", "config without an action shows them")


def refuse_outputs(checked: Checked) -> None:
    """Refuse to write where a recipe may not; looked at again before the step begins.

    Raises:
        UsageError: Says which output.
    """
    for each in written(checked):
        where = f"{checked.where}: {each.flag} {each.path}"
        working, real = os.path.realpath("."), os.path.realpath(each.path)
        roots = [os.path.realpath(root) for root in checked.step.given.get(each.flag, ()) if root]
        base = next((root for root in roots if _inside(real, root)), working)  # a root was named by whoever runs it
        if not _inside(real, base):
            raise UsageError(f"{where} is outside the working folder", _elsewhere(each.path))
        if real == base and base not in roots:
            raise UsageError(f"{where} is the working folder itself", _elsewhere("runs/..."))
        parts = os.path.relpath(real, base).split(os.sep)
        hidden = next((part for part in parts if part.startswith(".") and part != "."), None)
        if hidden is not None:
            raise UsageError(f"{where}: {hidden} is hidden, and a recipe writes nothing hidden", _elsewhere(each.path))
        if not each.folder and real != base and not each.path.lower().endswith(_DATA):
            raise UsageError(f"{where} is no data file; it may end in {', '.join(_DATA)}", _elsewhere(each.path))
        if link := next(_links_outside(each, real, base), None):
            raise UsageError(f"{where}: {link} leads elsewhere", f"rm {shlex.quote(link)}")


def _links_outside(each: Written, real: str, base: str) -> Iterator[str]:
    """Links that were there before, through which something else would be written."""
    if not each.folder:
        yield from (real + end for end in _BESIDE if os.path.islink(real + end))
    for folder, folders, files in os.walk(real):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            if os.path.islink(path) and not _inside(os.path.realpath(path), base):
                yield path


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _elsewhere(path: str) -> str:
    return f"make it a variable of the recipe, and give that on the command line: --set output={shlex.quote(path)}"
