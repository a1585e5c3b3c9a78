"""`hfcli run`: the steps of a recipe, one after the other."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from hfcli.cli import _chosen, _origins, _reached, _reads, _steps, _written
from hfcli.cli._expand import expand
from hfcli.cli._lock import Lock
from hfcli.cli.console import Console
from hfcli.options.recipes import StepsOptions, TrustOptions

if TYPE_CHECKING:
    from hfcli.cli._steps import Checked
    from hfcli.recipes import Recipe


@expand
def run(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE", help="Name of a shipped recipe, a YAML file, or - for stdin.", show_default=False
        ),
    ] = None,
    *,
    steps: StepsOptions,
    trust: TrustOptions,
) -> None:
    """Run a recipe: a list of hfcli commands, with the scores that they should reach.

    All steps are checked before the first one runs, and what each is said to write lies in the working folder. Finished
    steps are skipped while nothing that they depend on has changed (.hfcli/ keeps what was run); an interrupted one
    goes on where it was. Standard output is what the recipe made.

    \b
    hfcli recipes
    hfcli run sst2-distilbert --dry-run
    hfcli run sst2-distilbert --set output=runs/mine
    hfcli run mine.yaml --prefetch && hfcli run mine.yaml --offline
    """
    if steps.dry_run or steps.prefetch:
        steps = _origins.left_out(steps, "fail_under")  # a default for when something is run
    steps.check()
    if not name:
        raise _chosen.missing()
    recipe, source = _chosen.find(name, steps.values())
    whole = _line(name, steps, trust)
    some = [("--from", steps.first), ("--only", steps.only)]
    line = shlex.join(
        [*shlex.split(whole), *(part for flag, step in some if step is not None for part in (flag, step))]
    )
    checked = _steps.check(recipe, source)
    _written.refuse(checked, trust, line)
    _reached.refuse_unknown(recipe, checked, source)
    _reads.refuse_no_input(checked, recipe.variables)
    chosen = _chosen.steps(checked, steps.first, steps.only, source)
    _reads.refuse_missing(checked, chosen, whole, steps.dry_run or steps.prefetch)
    console = Console(steps.quiet)
    try:
        _go(console, recipe, checked, chosen, steps, line, Lock(recipe.key))
    finally:
        console.close()


def _go(
    console: Console,
    recipe: "Recipe",
    checked: "list[Checked]",
    chosen: "list[Checked]",
    steps: StepsOptions,
    line: str,
    lock: Lock,
) -> None:
    if steps.prefetch:
        return _prefetch(console, checked, chosen, lock, line)
    from hfcli.cli import _needs

    pinned = [_needs.pinned(each, lock) for each in chosen]
    if steps.dry_run:
        shown = [each.adding(offline=True) if steps.offline else each for each in pinned]
        return console.data("".join(each.shell + "\n" for each in shown))
    from hfcli.cli._running import Running

    Running(console, recipe, checked, pinned, lock, steps, line).go()


def _prefetch(console: Console, checked: "list[Checked]", chosen: "list[Checked]", lock: "Lock", line: str) -> None:
    """Fetch what the steps need of the Hub, and keep which revisions that was."""
    from hfcli.cli import _needs

    needs = _needs.of(checked, chosen)
    found = _needs.fetch(needs, console)
    lock.revisions |= found
    lock.save()
    told = [f"{name.partition(' ')[2]}@{commit[:7]}" for name, commit in found.items()]
    console.line(f"prefetch   {', '.join(told) or 'nothing is needed from the Hub'}")
    if found:
        console.hint(f"{line} --offline")


def _line(name: str, steps: StepsOptions, trust: TrustOptions) -> str:
    """What was typed, as far as it says which recipe this is."""
    given = [part for text in steps.set for part in ("--set", text)]
    flags = {"--trust-remote-code": trust.trust_remote_code, "--allow-pickle": trust.allow_pickle}
    flags["--push-to-hub"] = trust.push_to_hub
    return shlex.join(["hfcli", "run", name, *given, *(flag for flag, used in flags.items() if used)])
