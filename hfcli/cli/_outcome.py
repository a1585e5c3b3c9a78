"""What `hfcli eval` has measured: put together, kept for comparison, compared with what was demanded."""

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.options.evaluating import ShowOptions

if TYPE_CHECKING:
    from hfcli.metrics.groups import Grouped
    from hfcli.metrics.results import Result


class Outcome(NamedTuple):
    """What was measured.

    Attributes:
        results: Of each system.
        groups: Of each system, by --group-by.
        counted: On how much: "25,000 records".
        more: What else programs are told.
        lines: What else a terminal shows.
    """

    results: "list[Result]"
    groups: "list[list[Grouped]]"
    counted: str
    more: Mapping[str, Any] = MappingProxyType({})
    lines: tuple[str, ...] = ()


def counted(count: int, what: str = "record") -> str:
    """ "1 record", "25,000 records"."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def together(outcomes: Sequence[Outcome], names: Sequence[str]) -> Outcome:
    """Several models, measured one after the other on the same records, in one table.

    Args:
        outcomes: Of each model.
        names: The models as they were asked for, whose ends they are called by where short names are the same.

    Raises:
        DataError: They give different things, and were measured by different metrics.
    """
    results = [outcome.results[0] for outcome in outcomes]
    if len({result.name for result in results}) < len(results):
        results = [result._replace(name=name) for result, name in zip(results, _apart(names), strict=True)]
    for result in results[1:]:
        if result.titles() != results[0].titles():
            ways = [", ".join(each.titles()) for each in (results[0], result)]
            raise DataError(
                f"{results[0].name} and {result.name} were not measured in the same way: {ways[0]}, and {ways[1]}",
                "--metric NAME, or measure them one after the other",
            )
    about = [each for outcome in outcomes for each in outcome.more.get("models", [])]
    models = [{**each, "name": result.name} for each, result in zip(about, results, strict=False)]
    groups = [found for outcome in outcomes for found in outcome.groups]
    more = {**outcomes[0].more, **({"models": models} if models else {})}
    counts = dict.fromkeys(outcome.counted for outcome in outcomes)
    return Outcome(results, groups, " or ".join(counts), more)


def remembered(outcome: Outcome) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The scores by name, of several systems behind the system's, and what was measured and how."""
    found, signatures = {}, []
    for result in outcome.results:
        whose = f"{result.name} " if len(outcome.results) > 1 else ""
        for title, each in zip(result.titles(), result.scores, strict=True):
            found[whose + title] = each.score._asdict()
            signatures.append(result.signature(each))
    return found, signatures


def odd(outcome: Outcome) -> list[str]:
    """What should be known of the scores, as sentences."""
    found = [part.family.odd(part.statistics) for result in outcome.results for part in result.parts]
    for result in outcome.results:
        of = f" of {result.name}" if len(outcome.results) > 1 else ""
        for title, each in zip(result.titles(), result.scores, strict=True):
            found += [f"{title}{of} is not defined for these records"] if each.score.value != each.score.value else []
    return [sentence for sentence in dict.fromkeys([*found, _differ(outcome)]) if sentence]


def _differ(outcome: Outcome) -> str:
    """Which scores cannot be compared between the systems; "" where all can."""
    titles = []
    for at, title in enumerate(outcome.results[0].titles()):
        ways = {result.signature(result.scores[at]) for result in outcome.results}
        titles += [title] if len(ways) > 1 else []
    if not titles:
        return ""
    return f"{', '.join(titles)} cannot be compared between these: the signatures say in what they differ"


def _apart(names: Sequence[str]) -> list[str]:
    """As much of the ends of different paths as tells them apart."""
    parts = [name.rstrip("/").split("/") for name in names]
    ends = (["/".join(part[-count:]) for part in parts] for count in range(2, max(map(len, parts)) + 1))
    return next((some for some in ends if len({*some}) == len(some)), [*names])


def check_files(show: ShowOptions, inputs: Sequence[str | None], systems: int) -> None:
    """Refuse outputs that would be lost or could not be written, before anything is measured.

    Args:
        show: -o and --details.
        inputs: What is read.
        systems: How many are measured.

    Raises:
        UsageError: An output is what is read, or the other one, or one file for several systems.
        DataError: -o is in no folder.
    """
    for flag, path in (("-o", show.output), ("--details", show.details)):
        if path is not None:
            _not_over(flag, path, inputs)
    if show.output is None:
        return
    if show.output == "-":
        raise UsageError("-o - : standard output has the scores already", "--json, or -o FILE")
    if show.output.endswith("/") and os.path.isfile(show.output.rstrip("/")):
        raise UsageError(f"-o {show.output} is a file, not a folder", f"-o {show.output.rstrip('/')}")
    if show.details is not None and os.path.realpath(show.output) == os.path.realpath(show.details):
        raise UsageError("-o and --details are one file", "-o another file")
    if _is_folder(show.output):
        return
    if systems > 1:
        raise UsageError(f"-o {show.output} is one file, and {systems} systems are measured", f"-o {show.output}/")
    if not os.path.isdir(os.path.dirname(show.output) or "."):
        raise DataError(
            f"cannot write {show.output} (no such file or directory)", f"mkdir -p {os.path.dirname(show.output)}"
        )


def _is_folder(path: str) -> bool:
    return path.endswith("/") or os.path.isdir(path)


def keep(outcome: Outcome, path: str, inputs: Sequence[str | None]) -> None:
    """Write results as files that `hfcli compare` reads: one system's into a file, several into a folder.

    Args:
        outcome: The results.
        path: The file, or the folder.
        inputs: What was read, and is not written over.

    Raises:
        UsageError: A file would be written over what was read.
        DataError: It cannot be written.
    """
    from hfcli.metrics.results import to_json
    from hfcli.records import dumps
    from hfcli.writing import Output

    folder = _is_folder(path)
    names = [re.sub(r"[^\w.-]+", "-", result.name) for result in outcome.results]
    if len(set(names)) < len(names):
        names = [f"{at}-{name}" for at, name in enumerate(names, 1)]
    for result, short in zip(outcome.results, names, strict=True):
        name = os.path.join(path, f"{short}.json") if folder else path
        _not_over("-o", name, inputs)
        if folder:
            try:
                os.makedirs(path, exist_ok=True)
            except OSError as error:
                raise DataError(f"cannot write {name} ({(error.strerror or str(error)).lower()})") from error
        with Output(name, settings={}, resume=False, overwrite=True) as file:
            file.write([dumps(to_json(result)).encode("utf-8", "replace")], "", 1)
            file.finish()


def _not_over(flag: str, path: str, inputs: Sequence[str | None]) -> None:
    """Refuse to write over what is read.

    Raises:
        UsageError: It would be.
    """
    for given in filter(None, inputs):
        with contextlib.suppress(OSError):
            if os.path.samefile(path, given):
                raise UsageError(f"{flag} {path} is what is read, and would be lost", f"{flag} another file")


def check_limits(show: ShowOptions, metrics: Sequence[str]) -> None:
    """Refuse --fail-under for what will not be measured, before anything is.

    Args:
        show: --fail-under.
        metrics: What --metric says, or what is measured without it.

    Raises:
        UsageError: It names another metric.
    """
    from hfcli.metrics import asked

    there = [metric.title for text in metrics for metric in asked(text).metrics]
    for name in show.limits():
        if name.partition(":")[0] not in there:
            raise _not_measured(name, there)


def _not_measured(name: str, there: Sequence[str]) -> UsageError:
    return UsageError(
        f"--fail-under {name}: {name} is not measured; there is {', '.join(there)}", did_you_mean(name, there)
    )


def fails(outcome: Outcome, show: ShowOptions) -> list[str]:
    """Which scores are worse than --fail-under allows, as sentences.

    Raises:
        UsageError: It names a metric that was not measured.
    """
    from hfcli.metrics.results import said

    limits, sentences = show.limits(), []
    for result in outcome.results:
        titles = result.titles()
        for name, limit in limits.items():
            meant = [
                (title, each)
                for title, each in zip(titles, result.scores, strict=True)
                if name in (title, each.metric.title, each.metric.title + said(result.parts[each.part].options))
            ]
            if not meant:
                raise _not_measured(name, titles)
            of = f" of {result.name}" if len(outcome.results) > 1 else ""
            for title, each in meant:
                value, side = each.score.value, "above" if each.metric.better == "lower" else "below"
                if value != value:
                    sentences.append(f"{title}{of} is not defined, and has to be {limit:g}")
                elif value > limit if side == "above" else value < limit:
                    sentences.append(f"{title}{of} is {value:.6g}, and {side} {limit:g}")
    return sentences
