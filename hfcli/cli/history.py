"""`hfcli history`: the runs of this machine, and what differed between two of them."""

import shlex
import shutil
import time
from calendar import timegm
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from hfcli import history as kept
from hfcli.cli._format import cells, fit, interval, one_line, span
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError
from hfcli.options._numbers import whole

_SHOWN = 20
_NARROWEST = 16


def history(
    numbers: Annotated[
        list[int] | None,
        typer.Argument(
            metavar="RUN", parser=whole(1), help="One run, whole; or two, and what differed.", show_default=False
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help=f"All runs, not only the last {_SHOWN}.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Forget all runs.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines, on a terminal too.")] = False,
) -> None:
    """List this machine's runs, newest last, or compare two.

    What is kept is local: flags without prompts and other texts, folder, hashes, scores, seconds and exit code of
    generate, finetune, classify, qa, eval, compare and run. HFCLI_HISTORY=0 keeps nothing.

    \b
    hfcli history
    hfcli history 3 7
    """
    chosen = list(numbers or [])
    if len(chosen) > 2:
        raise UsageError(f"{len(chosen)} runs were given; two can be compared", "hfcli history 3 7")
    if len(set(chosen)) < len(chosen):
        raise UsageError(f"run {chosen[0]} was given twice", "hfcli history 3 7")
    if clear and (chosen or every or json):
        raise UsageError("--clear forgets all runs and shows none", "hfcli history --clear")
    if chosen and every:
        raise UsageError("--all lists runs, and numbers name some", "leave one of them out")
    console = Console()
    try:
        if clear:
            count = kept.clear()
            return console.line(f"{count:,} run{'s' * (count != 1)} forgotten")
        entries = kept.entries()
    except OSError as error:
        raise DataError(f"{kept.path()} cannot be read ({(error.strerror or str(error)).lower()})") from error
    table = console.terminal and not json
    runs = [_run(number, entries) for number in chosen]
    if len(runs) == 2:
        found = differences(*runs)
        _write(console, _compared(runs, found) if table else [_json(found)])
    elif runs:
        _write(console, _whole(runs[0]) if table else [_json(runs[0])])
    elif table:
        _write(console, _table(entries if every else entries[-_SHOWN:], len(entries)))
    else:
        _write(console, [_json(entry) for entry in entries])


def _write(console: Console, lines: list[str]) -> None:
    console.data("".join(f"{line}\n" for line in lines))


def _json(content: Mapping[str, Any]) -> str:
    from hfcli.records import dumps

    return dumps(content)


def _run(number: int, entries: list[dict[str, Any]]) -> dict[str, Any]:
    if not 1 <= number <= len(entries):
        there = f"there are {len(entries):,}" if entries else "there are none yet"
        raise UsageError(f"no run {number}; {there}", "hfcli history --all")
    return entries[number - 1]


def line(entry: Mapping[str, Any]) -> str:
    """A run as it was typed, without texts."""
    parts = [str(entry["command"]), *map(str, entry.get("arguments") or [])]
    for flag, value in (entry.get("flags") or {}).items():
        if isinstance(value, bool):
            parts += [f"--{flag}"] if value else [f"--no-{flag}"]
        else:
            for each in value if isinstance(value, list) else [value]:
                parts += [f"--{flag}", str(each)]
    texts = [f"({name}: {count} text{'s' * (count != 1)})" for name, count in (entry.get("texts") or {}).items()]
    return one_line(" ".join([shlex.join(parts), *texts]))


def _scores(entry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = entry.get("scores")
    return found if isinstance(found, dict) else {}


def _score(score: Mapping[str, Any]) -> str:
    """0.913 [0.901, 0.925]"""
    value, low, high = (score.get(name) for name in ("value", "low", "high"))
    if value is None:
        return "not defined"
    return f"{value:.4g}" + (f" {interval(low, high)}" if low is not None and high is not None else "")


def _when(entry: Mapping[str, Any], form: str) -> str:
    """In the time of this machine."""
    try:
        seconds = timegm(time.strptime(str(entry.get("time")), "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return "?"
    return time.strftime(form, time.localtime(seconds))


def _table(entries: list[dict[str, Any]], total: int) -> list[str]:
    """A row a run; the command, which may be cut, comes last."""
    if not entries:
        return [f"no runs yet; they will be kept in {kept.path()}"]
    rows = [("", "WHEN", "TOOK", "RESULT", "COMMAND")]
    for entry in entries:
        year = _when(entry, "%Y") == time.strftime("%Y")
        when, took = _when(entry, "%m-%d %H:%M" if year else "%Y-%m-%d"), span(float(entry.get("seconds") or 0))
        rows.append((str(entry["number"]), when, took, _result(entry), line(entry)))
    widths = [max(cells(row[at]) for row in rows) for at in range(4)]
    room = shutil.get_terminal_size().columns - sum(widths) - 2 * len(widths)
    shown = []
    for row in rows:
        start = "  ".join(fit(text, width) for text, width in zip(row, widths, strict=False))
        shown.append(f"{start}  {fit(row[4], max(room, _NARROWEST))}".rstrip())
    if len(entries) < total:
        shown.append(f"{len(entries):,} of {total:,} shown, --all")
    return shown


def _result(entry: Mapping[str, Any]) -> str:
    """The first score, or the exit code of a run that went wrong."""
    if entry.get("exit"):
        return f"exit {entry['exit']}"
    first = next(iter(_scores(entry).items()), None)
    return f"{one_line(first[0])} {_score(first[1])}" if first else "-"


def _whole(entry: Mapping[str, Any]) -> list[str]:
    shown = [
        f"run     {entry['number']}  {_when(entry, '%Y-%m-%d %H:%M:%S')}",
        f"line    hfcli {line(entry)}",
        f"folder  {one_line(str(entry.get('folder')))}",
        f"ended   exit {entry.get('exit')} after {span(float(entry.get('seconds') or 0))}, hfcli {entry.get('hfcli')}",
    ]
    for name, score in _scores(entry).items():
        shown.append(f"score   {one_line(name)} {_score(score)}, n {score.get('n')}")
    hashes = {"line": entry.get("line_hash"), "score": entry.get("score_hash")}
    told = " · ".join(f"{name} {value}" for name, value in hashes.items() if value)
    return [*shown, f"hashes  {told}"]


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """What differed between two runs, and which scores moved.

    Returns:
        `differs`: by what it is, the two values, None where there was none. `scores`: by name the two scores, the
        difference `moved` and whether the intervals `overlap`; None for what cannot be said. `same_score`: whether the
        scores measure the same; None where one run has none.
    """
    differs: dict[str, Any] = {}
    for name in ("command", "arguments", "texts", "folder", "hfcli", "line_hash", "exit"):
        if a.get(name) != b.get(name):
            differs[name] = [a.get(name), b.get(name)]
    flags = a.get("flags") or {}, b.get("flags") or {}
    for flag in dict.fromkeys([*flags[0], *flags[1]]):
        if flags[0].get(flag) != flags[1].get(flag):
            differs[f"--{flag}"] = [each.get(flag) for each in flags]
    scores: dict[str, Any] = {}
    for name, one in _scores(a).items():
        if name in _scores(b):
            scores[name] = {"a": one, "b": _scores(b)[name], **_moved(one, _scores(b)[name])}
    hashes = a.get("score_hash"), b.get("score_hash")
    same = hashes[0] == hashes[1] if all(hashes) else None
    return {"a": a["number"], "b": b["number"], "differs": differs, "scores": scores, "same_score": same}


def _moved(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    values: list[Any] = [a.get("value"), b.get("value")]
    ends: list[Any] = [each.get(end) for each in (a, b) for end in ("low", "high")]
    moved = values[1] - values[0] if None not in values else None
    overlap = ends[0] <= ends[3] and ends[2] <= ends[1] if None not in ends else None
    return {"moved": moved, "overlap": overlap}


def _compared(runs: list[dict[str, Any]], found: dict[str, Any]) -> list[str]:
    """The scores that moved first, then what may be why."""
    shown = []
    for name, score in found["scores"].items():
        moved, overlap = score["moved"], score["overlap"]
        change = "cannot be compared" if moved is None else "the same" if not moved else f"{moved:+.4g}"
        said = "" if overlap is None else "; intervals overlap" if overlap else "; intervals do not overlap"
        shown.append(f"score   {one_line(name)} {_score(score['a'])} -> {_score(score['b'])}: {change}{said}")
    if found["scores"] and found["same_score"] is False:
        shown.append("        the two measure different things: other data or settings of the metric")
    if not found["scores"]:
        shown.append("score   none that both have")
    texts = found["differs"].get("texts") is None and len(found["differs"]) == 1 and "line_hash" in found["differs"]
    for name, (a, b) in found["differs"].items():
        if name != "line_hash":
            shown.append(f"differs {name}: {_told(a)} -> {_told(b)}")
    if texts:
        shown.append("differs only in texts, which are not kept")
    if not found["differs"]:
        shown.append("differs in nothing that is kept")
    return [*shown, *(f"{'ab'[at]}       {each['number']}: hfcli {line(each)}" for at, each in enumerate(runs))]


def _told(value: Any) -> str:
    if value is None or value in ([], {}):
        return "-"
    if isinstance(value, list):
        return one_line(shlex.join(map(str, value)))
    if isinstance(value, dict):
        return one_line(", ".join(f"{count} {name}" for name, count in value.items()))
    return one_line(str(value))
