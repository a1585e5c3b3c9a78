"""What `hfcli eval` has measured: put together, kept for comparison, compared with what was demanded."""

import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from hfcli.errors import DataError, UsageError
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


def together(outcomes: Sequence[Outcome]) -> Outcome:
    """Several models, measured one after the other on the same records, in one table."""
    results = [result for outcome in outcomes for result in outcome.results]
    models = [each for outcome in outcomes for each in outcome.more.get("models", [])]
    groups = [found for outcome in outcomes for found in outcome.groups]
    counted = list(dict.fromkeys(outcome.counted for outcome in outcomes))
    return Outcome(results, groups, " or ".join(counted), {"models": models} if models else {})


def odd(outcome: Outcome) -> list[str]:
    """What should be known of the scores, as sentences."""
    found = [part.family.odd(part.statistics) for result in outcome.results for part in result.parts]
    return [sentence for sentence in dict.fromkeys([*found, _differ(outcome)]) if sentence]


def _differ(outcome: Outcome) -> str:
    """Which scores cannot be compared between the systems; "" where all can."""
    first = outcome.results[0]
    titles = []
    for at, each in enumerate(first.scores):
        ways = {result.signature(result.scores[at]) for result in outcome.results}
        titles += [each.metric.title] if len(ways) > 1 else []
    if not titles:
        return ""
    return f"{', '.join(titles)} cannot be compared between these: the signatures say in what they differ"


def keep(outcome: Outcome, path: str) -> None:
    """Write results as files that `hfcli compare` reads: one system's into a file, several into a folder.

    Raises:
        UsageError: There are several systems, and the path is no folder.
        DataError: It cannot be written.
    """
    from hfcli.metrics.results import to_json
    from hfcli.records import dumps

    several = len(outcome.results) > 1
    if several and not (path.endswith("/") or os.path.isdir(path)):
        raise UsageError(f"-o {path} is one file, and {len(outcome.results)} systems were measured", f"-o {path}/")
    for result in outcome.results:
        name = os.path.join(path, re.sub(r"[^\w.-]+", "-", result.name) + ".json") if several else path
        try:
            if several:
                os.makedirs(path, exist_ok=True)
            with open(name + ".partial", "w", encoding="utf-8") as file:
                file.write(dumps(to_json(result)) + "\n")
            os.replace(name + ".partial", name)
        except OSError as error:
            raise DataError(f"cannot write {name} ({(error.strerror or str(error)).lower()})") from error


def fails(outcome: Outcome, show: ShowOptions) -> list[str]:
    """Which scores are worse than --fail-under allows, as sentences.

    Raises:
        UsageError: It names a metric that was not measured.
    """
    limits, said = show.limits(), []
    for result in outcome.results:
        by_title = {each.metric.title: each for each in result.scores}
        for name, limit in limits.items():
            if name not in by_title:
                raise UsageError(f"--fail-under {name}: {name} is not measured; there is {', '.join(by_title)}")
            value, better = by_title[name].score.value, by_title[name].metric.better
            worse = value < limit if better == "higher" else value > limit
            if worse or value != value:
                of = f" of {result.name}" if len(outcome.results) > 1 else ""
                said.append(f"{name}{of} is {value:.6g}, and {'above' if better == 'lower' else 'below'} {limit:g}")
    return said
