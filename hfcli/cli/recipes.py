"""`hfcli recipes`: which recipes there are, what stands in one, a copy to change, and whether one can be run."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from hfcli import recipes as shipped
from hfcli.cli import _chosen
from hfcli.cli._format import cells
from hfcli.cli.console import Console
from hfcli.errors import UsageError, did_you_mean
from hfcli.recipes import Recipe


def recipes(
    action: Annotated[
        str | None, typer.Argument(help="show, copy or check; without it all are listed.", show_default=False)
    ] = None,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Its name; check takes a file or -, too.", show_default=False)
    ] = None,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Where copy writes it.", show_default="NAME.yaml")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Let copy replace a file.")] = False,
    json: Annotated[bool, typer.Option("--json", help="List them as JSON lines, on a terminal too.")] = False,
) -> None:
    """List the recipes that come with hfcli, show or copy one, or check one of your own.

    A recipe is a list of hfcli commands, with the published scores that they should reach; hfcli run runs it.

    \b
    hfcli recipes show sst2-distilbert
    hfcli recipes copy sst2-distilbert mine.yaml
    hfcli recipes check mine.yaml
    """
    actions: dict[str, Callable[[Console, str], None]] = {
        "list": lambda console, name: _list(console, json),
        "show": _show,
        "copy": lambda console, name: _copy(console, name, file, overwrite),
        "check": _check,
    }
    chosen = action or "list"
    if chosen not in actions:
        raise UsageError(f"no action {chosen}; there is {', '.join(actions)}", did_you_mean(chosen, actions))
    if chosen != "list" and not name:
        raise UsageError(f"recipes {chosen} needs a NAME", f"hfcli recipes {chosen} {shipped.names()[0]}")
    unused = {
        f"NAME {name}": name is not None and chosen == "list",
        f"FILE {file}": file is not None and chosen != "copy",
        "--overwrite": overwrite and chosen != "copy",
        "--json": json and chosen != "list",
    }
    for flag, given in unused.items():
        if given:
            raise UsageError(f"recipes {chosen} takes no {flag}", "hfcli recipes --help")
    actions[chosen](Console(), name or "")


def _list(console: Console, json: bool) -> None:
    from hfcli.cli import NAMES

    found = [shipped.load(shipped.folder() / f"{name}.yaml", NAMES) for name in shipped.names()]
    if json or not console.terminal:
        from hfcli.records import dumps

        console.data("".join(dumps(_told(each)) + "\n" for each in found))
        return
    rows = [("NAME", "TASK", "EXPECTS", "TAKES"), *map(_row, found)]
    if {row[-1] for row in rows[1:]} <= {"-"}:  # nobody has measured how long they take
        rows = [row[:-1] for row in rows]
    widths = [max(map(cells, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = (cell + " " * (width - cells(cell)) for cell, width in zip(row, widths, strict=True))
        console.data("  ".join(padded).rstrip() + "\n")


def _told(recipe: Recipe) -> dict[str, Any]:
    """A recipe for programs."""
    told = {"name": recipe.name, "about": recipe.about, "task": recipe.task or None, "expects": recipe.scores}
    texts = {name: recipe.expects.get(name) for name in ("source", "takes")}
    return {**told, **texts, "variables": dict(recipe.variables), "steps": [step.label for step in recipe.steps]}


def _row(recipe: Recipe) -> tuple[str, ...]:
    from hfcli.cli._reached import expected

    scores = expected(recipe.scores) or ("by step" if any(step.expects for step in recipe.steps) else "-")
    return recipe.name, recipe.task or "-", scores, recipe.expects.get("takes") or "-"


def _show(console: Console, name: str) -> None:
    console.data(shipped.text_of(_chosen.shipped(name)))


def _copy(console: Console, name: str, file: str | None, overwrite: bool) -> None:
    path = Path(file or f"{name}.yaml")
    _chosen.written_to(path, shipped.text_of(_chosen.shipped(name)), overwrite)
    console.data(f"{path}\n")


def _check(console: Console, name: str) -> None:
    from hfcli.cli import _reached, _reads, _steps, _written
    from hfcli.options.recipes import TrustOptions

    recipe, source = _chosen.find(name)
    checked = _steps.check(recipe, source)
    _written.refuse(checked, TrustOptions(), f"hfcli run {name}")
    _reached.refuse_unknown(recipe, checked, source)
    _reads.refuse_no_input(checked, recipe.variables)
    _reads.refuse_missing(checked, checked, f"hfcli run {name}")
    console.data(f"ok    {recipe.name}: {', '.join(each.step.label for each in checked)}\n")
