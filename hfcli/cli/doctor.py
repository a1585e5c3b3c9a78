"""`hfcli doctor`: what this machine can do, and what is wrong with it."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hfcli import launch
from hfcli.cli import _origins, _ranks
from hfcli.cli.console import Console
from hfcli.errors import UsageError
from hfcli.options.ranks import RankOptions, process_count

if TYPE_CHECKING:
    from hfcli.runtime.diagnosis import Finding


def doctor(
    device: Annotated[str, typer.Option("--device", help="Device to try: auto, cpu, cuda, cuda:N or mps.")] = "auto",
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"], typer.Option("--dtype", help="Number format to try.")
    ] = "auto",
    hub: Annotated[bool, typer.Option("--hub", help="Exit 5 when the Hub does not answer.")] = False,
    offline: Annotated[bool, typer.Option("--offline", envvar="HF_HUB_OFFLINE", help="Do not ask the Hub.")] = False,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Only try whether processes see each other, and how fast.")
    ] = False,
    num_processes: Annotated[
        str | None,
        typer.Option(
            "--num-processes",
            parser=process_count,
            metavar="N",
            help="... so many, with --distributed.",
            show_default="one a GPU, else 2",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="For a bug report; holds no names and no tokens.")
    ] = False,
) -> None:
    """Check versions, devices, memory, cache and Hub, and let a small model speak."""
    if json and markdown:
        raise UsageError("--json and --markdown are two forms of output", "leave one of them out")
    if num_processes is not None and not distributed and not _origins.drop("num_processes"):
        raise UsageError("--num-processes is about --distributed", "hfcli doctor --distributed")
    about_one = {"--hub": hub, "--dtype": dtype != "auto" and not _origins.drop("dtype")}
    for flag in filter(about_one.get, about_one):
        if distributed:
            raise UsageError(f"{flag} is about this machine, and --distributed tries connections", f"leave out {flag}")
    console = Console()
    if distributed:
        _start(num_processes)
    from hfcli.runtime import diagnosis

    if distributed:
        from hfcli.runtime import meeting

        findings = list(meeting.examine(device))
        if launch.world().rank > 0:
            return
    elif launch.world().rank > 0:
        return
    else:
        findings = list(diagnosis.examine(device, dtype, offline, hub))
    if json:
        _json(console, findings)
    elif markdown:
        console.data("```\n" + "".join(_lines(findings, private=False)) + "```\n")
    else:
        console.data(_verdict(findings) + "\n\n" + "".join(_lines(findings, private=True)))
        console.data("\nhfcli doctor --markdown  prints this for a bug report (no names, no token)\n")
    raise typer.Exit(max((finding.exit_code for finding in findings), default=0))


def _start(asked: str | None) -> None:
    """Start the ranks, unless another launcher has."""
    if launch.world().size == 1 and asked in (None, "auto"):
        from hfcli.runtime import environment

        asked = str(max(environment.accelerators(), 2))
    _ranks.start(RankOptions(asked))
    if launch.world().size == 1:
        raise UsageError("one process has nobody to see", "--num-processes 2")


def _verdict(findings: "list[Finding]") -> str:
    failed = [finding for finding in findings if finding.status == "fail"]
    odd = [finding for finding in findings if finding.status == "warn"]
    if failed:
        return f"fail  {failed[0].topic} does not work"
    if odd:
        return f"warn  {len(odd)} thing{'s' * (len(odd) != 1)} to look at, everything else is fine"
    return "ok    everything is fine"


def _lines(findings: "list[Finding]", private: bool) -> list[str]:
    lines = []
    for status, topic, text, fix, more, _ in findings:
        name = "" if topic == "versions" else "Hub: " if topic == "hub" else f"{topic}: "
        lines.append(f"{status:<5} {name}{text}{more if private else ''}\n")
        if fix:
            lines.append(f"      fix: {fix}\n")
    return lines


def _json(console: Console, findings: "list[Finding]") -> None:
    from hfcli.records import dumps

    found = [{"status": f.status, "topic": f.topic, "text": f.text, "fix": f.fix} for f in findings]
    console.data(dumps({"ok": all(f.status != "fail" for f in findings), "findings": found}) + "\n")
