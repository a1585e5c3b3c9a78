"""`hfcli compare`: whether one system is better than another, from what `hfcli eval -o` kept of each."""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hfcli.cli import _compared, _kept, _remembered
from hfcli.cli._expand import expand
from hfcli.cli._format import blocks, left
from hfcli.cli._refuse import no_empty_text
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError
from hfcli.options.comparing import CompareOptions

if TYPE_CHECKING:
    from hfcli.metrics.comparing import Difference
    from hfcli.metrics.mcnemar import Flips

_EXAMPLE = "hfcli compare minilm.json bert.json"


@expand
def compare(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="Two files of hfcli eval -o or more, the baseline's first; - is stdin.",
            show_default=False,
        ),
    ] = None,
    *,
    options: CompareOptions,
) -> None:
    """Say whether a system is better or worse than another, on the same records.

    Neither model nor data is needed again. Better or worse is a system whose difference has an interval without 0, and
    a p that is small enough; equivalent one that is surely within --margin. Of three files or more, all are compared
    with the first, and p is corrected for that. On a terminal a table, else one JSON object.

    \b
    hfcli eval -m MODEL --dataset squad -o new.json
    hfcli compare old.json new.json --flips flips.jsonl
    """
    paths = list(files or [])
    no_empty_text(options)
    options.check()
    _check(paths, options)
    console = Console(options.quiet)
    try:
        comparison = _compare(paths, options, console)
    finally:
        console.close()
    _remembered.scores(*_compared.remembered(comparison))
    if options.json or not console.terminal:
        from hfcli.records import dumps

        console.data(dumps(_compared.as_json(comparison)) + "\n")
    else:
        console.data("".join(line + "\n" for line in _compared.lines(comparison)))


def _check(paths: list[str], options: CompareOptions) -> None:
    """Refuse files that cannot be meant, before any is read."""
    if len(paths) < 2:
        given = f"one file was given ({paths[0]})" if paths else "no files were given"
        raise UsageError(f"{given}, and two are compared", _EXAMPLE)
    if "" in paths:
        raise UsageError("the name of a file is empty", _EXAMPLE)
    if paths.count("-") > 1:
        raise UsageError("standard input cannot be two files", "put one into a file")
    for path in paths if options.flips else ():
        with contextlib.suppress(OSError):
            if os.path.samefile(str(options.flips), path):
                raise UsageError(f"--flips {path} is what is read, and would be lost", "--flips another file")


def _compare(paths: list[str], options: CompareOptions, console: Console) -> _compared.Comparison:
    files = [_kept.read(path) for path in paths]
    baseline, *systems = _kept.names(files)
    metrics, notes = _kept.shared(files, options.metric)
    for note in notes:
        console.note(note)
    flips = _flips(metrics, len(systems))
    if options.flips:
        _write_flips(options.flips, metrics, flips, systems, files[0].result.ids)
    progress = _Progress(console, len(systems))
    found = [_differences(metrics, at, options, progress) for at in range(1, len(files))]
    ps = list(zip(*(_corrected([each[at] for each in found], options) for at in range(len(metrics))), strict=True))
    compared = []
    for name, differences, own, flipped in zip(systems, found, ps, flips, strict=True):
        verdict = differences[0].verdict(own[0], options.confidence_level, options.margin)
        compared.append(_compared.Compared(name, differences, list(own), verdict, flipped))
    return _compared.Comparison(files, baseline, metrics, compared, options)


class _Progress:
    """A live line where a comparison takes long."""

    def __init__(self, console: Console, systems: int) -> None:
        self._console, self._systems = console, systems
        self._began = time.monotonic()

    def show(self, system: int, share: float) -> None:
        """So much of the comparison with a system, from 1, is done."""
        if self._console.due():
            done = (system - 1 + share) / self._systems
            rest = left((time.monotonic() - self._began) * (1 - done) / done)
            self._console.show([f"{done:4.0%}  {blocks(done)}  comparing · {rest}"])


def _differences(
    metrics: list[_kept.Shared], at: int, options: CompareOptions, progress: _Progress
) -> "list[Difference]":
    """Of one system, in every metric; those of the same records and family are drawn together."""
    from hfcli.metrics import comparing
    from hfcli.metrics.results import Drawing

    groups: dict[tuple[int, int], list[int]] = {}
    for place, shared in enumerate(metrics):
        groups.setdefault((id(shared.parts[0]), id(shared.parts[at])), []).append(place)
    drawing = Drawing(options.confidence_level, options.resamples, options.seed)
    trials = options.trials if options.test == "ar" else 0
    found: dict[int, Difference] = {}
    for number, places in enumerate(groups.values()):
        parts = metrics[places[0]].parts
        chosen = [metrics[place].metric for place in places]

        def tell(share: float, before: int = number) -> None:
            progress.show(at, (before + share) / len(groups))

        differences = comparing.compare(parts[0], parts[at], chosen, drawing, trials, tell)
        found.update(zip(places, differences, strict=True))
    return [found[place] for place in range(len(metrics))]


def _corrected(differences: "list[Difference]", options: CompareOptions) -> list[float]:
    """The p of all systems in one metric."""
    from hfcli.metrics.comparing import holm

    return holm([each.p_randomised if options.test == "ar" else each.p_bootstrap for each in differences])


def _flips(metrics: list[_kept.Shared], systems: int) -> "list[Flips | None]":
    """Of each system, by the first metric whose records are right or wrong."""
    from hfcli.metrics import mcnemar

    shared = next((each for each in metrics if each.parts[0].family.right), metrics[0])
    return [mcnemar.flips(shared.parts[0], shared.parts[at]) for at in range(1, systems + 1)]


def _write_flips(
    path: str, metrics: list[_kept.Shared], flips: "list[Flips | None]", systems: list[str], ids: list[str]
) -> None:
    """Write the records that are right in one system only.

    Raises:
        DataError: No record is right or wrong in these metrics, or the file cannot be written.
    """
    from hfcli.records import dumps
    from hfcli.writing import Output

    if flips[0] is None:
        names = ", ".join(each.name for each in metrics)
        raise DataError(f"--flips: no record is right or wrong in {names}", "leave out --flips")
    shared = next(each for each in metrics if each.parts[0].family.right)
    lines = []
    for at, (name, found) in enumerate(zip(systems, flips, strict=True), 1):
        assert found is not None
        for record in _flipped(shared, at, found, ids):
            lines.append(dumps({**record, "system": name}).encode())
    with Output(path, settings={}, resume=False, overwrite=True) as output:
        output.write(lines, "", len(lines))
        output.finish()


def _flipped(shared: _kept.Shared, at: int, flips: "Flips", ids: list[str]) -> Iterator[dict[str, Any]]:
    """What is known of each, in the order of the records."""
    right = _kept.references(shared.parts[0])
    before, now = (shared.parts[place].statistics.columns.get("prediction") for place in (0, at))
    which = sorted([(int(i), "now right") for i in flips.now_right] + [(int(i), "now wrong") for i in flips.now_wrong])
    for i, flip in which:
        record: dict[str, Any] = {"index": i}
        if ids:
            record["id"] = ids[i]
        if right:
            record["reference"] = right[i]
        if before is not None and now is not None:
            record |= {"before": before[i], "now": now[i]}
        yield {**record, "flip": flip}
