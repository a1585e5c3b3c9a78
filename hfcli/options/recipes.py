"""The options of `hfcli run`."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from hfcli.errors import UsageError


@dataclass(frozen=True)
class StepsOptions:
    """Which steps are run, and with what."""

    set: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A variable of the recipe; may be repeated.", show_default=False
        ),
    ] = field(default_factory=list)
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands; run nothing.")] = False
    prefetch: Annotated[
        bool, typer.Option("--prefetch", help="Download what it needs and keep the revisions; run nothing.")
    ] = False
    first: Annotated[
        str | None, typer.Option("--from", metavar="STEP", help="Begin there: a name, a command or a number.")
    ] = None
    only: Annotated[str | None, typer.Option("--only", metavar="STEP", help="That step alone.")] = None
    force: Annotated[bool, typer.Option("--force", help="Run steps again, though nothing has changed.")] = False
    fail_under: Annotated[
        bool, typer.Option("--fail-under", help="Exit 7 where a score is worse than the recipe expects.")
    ] = False
    offline: Annotated[
        bool, typer.Option("--offline", envvar="HF_HUB_OFFLINE", help="Use what is on this machine, no network.")
    ] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no notes; errors only.")] = False

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is read."""
        if self.first is not None and self.only is not None:
            raise UsageError("--from and --only both say which steps", "leave one of them out")
        if self.prefetch and self.offline:
            raise UsageError("--prefetch needs the network, and --offline forbids it", "leave one of them out")
        given = {"--force": self.force, "--fail-under": self.fail_under}
        for name, runs_nothing in (("--dry-run", self.dry_run), ("--prefetch", self.prefetch)):
            for flag, used in {**given, "--prefetch": self.prefetch and name != "--prefetch"}.items():
                if runs_nothing and used:
                    raise UsageError(f"{name} runs nothing, so {flag} has no meaning", "leave one of them out")

    def values(self) -> dict[str, str]:
        """--set: by variable, its value."""
        found: dict[str, str] = {}
        for text in self.set:
            name, equals, value = text.partition("=")
            if not name or not equals:
                raise UsageError(f"--set {text} is no KEY=VALUE", "--set output=runs/other")
            if name in found:
                raise UsageError(f"--set {name} was given twice", "leave out one of them")
            found[name] = value
        return found


@dataclass(frozen=True)
class TrustOptions:
    """What a recipe may do only if whoever runs it says so, too."""

    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let steps that ask for it run code that comes with a model.")
    ] = False
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Let steps that ask for it load .bin weights.")
    ] = False
    push_to_hub: Annotated[
        bool, typer.Option("--push-to-hub", help="Let steps that ask for it upload their result.")
    ] = False
