"""From records to results: what every form of `hfcli eval` does once it has predictions and what is right."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from hfcli import __version__
from hfcli.cli._details import Details
from hfcli.cli._outcome import Outcome, counted
from hfcli.cli._reducing import CHUNK, Batch, Wanted, reduced
from hfcli.errors import DataError, did_you_mean
from hfcli.options.evaluating import MetricOptions

if TYPE_CHECKING:
    from hfcli.metrics.base import Metric, Statistics
    from hfcli.metrics.groups import Grouped
    from hfcli.metrics.results import Drawing, Result


class Asked(NamedTuple):
    """Metrics of one family.

    Attributes:
        wanted: The family, with its options.
        metrics: Which of its metrics.
    """

    wanted: Wanted
    metrics: "tuple[Metric, ...]"


class Taken(NamedTuple):
    """One record, as the families read it.

    Attributes:
        where: Its place, for errors.
        id: Its id, None where it has none.
        group: Its group, "" without --group-by.
        predictions: Of each system, of each family.
        references: Of each family.
        input: What tells whether it is still the same when a run is resumed.
    """

    where: str
    id: str | None
    group: str
    predictions: list[list[Any]]
    references: list[Any]
    input: Mapping[str, Any]


def families(texts: Sequence[str], lists: Callable[[], bool]) -> list[Asked]:
    """The families of the metrics that were asked for, each once for the same options.

    Args:
        texts: What --metric says.
        lists: Whether records have lists of labels, asked only where metrics are there for both.

    Raises:
        UsageError: There is no such metric, or not with such options.
    """
    from hfcli import metrics

    found: dict[tuple[str, Any], Asked] = {}
    for text in texts:
        asked = metrics.asked(text)
        for metric in asked.metrics:
            family = metric.families[-1 if len(metric.families) > 1 and lists() else 0]
            wanted = Wanted(family, metrics.options(family, asked.options, text.partition(":")[0]))
            before = found.get((family.name, wanted.options), Asked(wanted, ()))
            if metric not in before.metrics:
                found[family.name, wanted.options] = Asked(wanted, (*before.metrics, metric))
    return list(found.values())


def measure(
    taken: Iterator[Taken],
    asked: Sequence[Asked],
    systems: Sequence[tuple[str, str]],
    data: Callable[[Asked], str],
    details: Details,
    options: MetricOptions,
    chunk: int | None = None,
) -> Outcome:
    """Reduce records, and score what is left of them.

    Args:
        taken: The records, in order.
        asked: What is measured.
        systems: Name and signature of each.
        data: What was measured on, for signatures; asked at the end, with the family it is for.
        details: Gets a line for each record.
        options: Groups and resamples.
        chunk: Records whose details are written at once, where they take long to come.

    Raises:
        DataError: There are no records, or some that cannot be measured.
    """
    from hfcli.metrics.results import Drawing, Part, Result, scored

    drawing = Drawing(options.confidence_level, options.resamples, options.seed)
    collector = _Collector(asked, [name for name, _ in systems], details, chunk or CHUNK)
    wanted = [each.wanted for each in asked]
    statistics = reduced(collector.batches(taken), wanted, collector.seen)
    details.finish()
    count = len(collector.groups)
    results = []
    for (name, system), found in zip(systems, statistics, strict=True):
        parts = [
            Part(
                each.wanted.family,
                each.wanted.options,
                each.metrics,
                some,
                _signature(each, data(each), collector.references[at], count, drawing),
            )
            for at, (each, some) in enumerate(zip(asked, found, strict=True))
        ]
        results.append(Result(name, system, parts, scored(parts, drawing), collector.ids()))
    return Outcome(results, _groups(results, collector.groups, options, drawing), counted(count))


def _groups(
    results: "list[Result]", groups: list[str], options: MetricOptions, drawing: "Drawing"
) -> "list[list[Grouped]]":
    if options.group_by is None:
        return []
    from hfcli.metrics.groups import by_group

    if len(set(groups)) > 1000:
        raise DataError(
            f"the column {options.group_by} has {len(set(groups)):,} different values; groups are wanted",
            "--group-by names a column such as language",
        )
    return [[each for part in result.parts for each in by_group(part, groups, drawing)] for result in results]


def _signature(asked: Asked, data: str, references: tuple[int, int], count: int, drawing: "Drawing") -> str:
    family, options = asked.wanted
    low, high = references
    counted = [f"nrefs:{low if low == high else f'{low}-{high}'}"] if family.reads == "texts" else []
    parts = [f"data:{data}", *counted, *family.signed(options), f"n:{count}", f"ci:{drawing}", f"hfcli:{__version__}"]
    return "|".join(parts)


class _Collector:
    """Cuts records into chunks, and keeps of them what statistics do not: groups, ids, numbers of references."""

    def __init__(self, asked: Sequence[Asked], systems: Sequence[str], details: Details, chunk: int) -> None:
        self._asked, self._systems, self._details, self._chunk = asked, systems, details, chunk
        self.groups: list[str] = []
        self.references = [(0, 0)] * len(asked)
        self._ids: list[str | None] = []
        self._waiting: list[list[Taken]] = []
        self._titles: list[list[str]] = []
        if details:
            from hfcli.metrics.results import titles

            left = iter(titles([(each.wanted.options, each.metrics) for each in asked]))
            self._titles = [[next(left) for _ in each.metrics] for each in asked]

    def batches(self, taken: Iterator[Taken]) -> Iterator[Batch]:
        """Chunks of records, as long as there are some.

        Raises:
            DataError: There are none.
        """
        while chunk := list(islice(taken, self._chunk)):
            self.groups += [each.group for each in chunk]
            self._ids += [each.id for each in chunk]
            references = [list(of) for of in zip(*(each.references for each in chunk), strict=True)]
            for at, (each, some) in enumerate(zip(self._asked, references, strict=True)):
                if each.wanted.family.reads == "texts":
                    self._count(at, [len(texts) for texts in some], chunk)
            if self._details:
                self._waiting.append(chunk)
            predictions = [
                [list(of) for of in zip(*(each.predictions[s] for each in chunk), strict=True)]
                for s in range(len(self._systems))
            ]
            yield Batch(predictions, references)
        if not self.groups:
            raise DataError("no records to measure; at least one is needed")

    def _count(self, at: int, numbers: list[int], chunk: list[Taken]) -> None:
        if not all(numbers):
            where = chunk[numbers.index(0)].where
            raise DataError(f"{where} has no reference", "every record needs one at least")
        low, high = self.references[at]
        self.references[at] = (min(low or numbers[0], *numbers), max(high, *numbers))

    def ids(self) -> list[str]:
        """Of all records; [] where some have none."""
        return [each for each in self._ids if each is not None] if None not in self._ids else []

    def seen(self, batch: Batch, found: "list[list[Statistics]]") -> None:
        """Write the details of the next chunk."""
        if not self._details:
            return
        chunk = self._waiting.pop(0)
        lines = [self._begun(each, s) for each in chunk for s in range(len(self._systems))]
        for s in range(len(self._systems)):
            for asked, titles, statistics in zip(self._asked, self._titles, found[s], strict=True):
                self._score(asked, titles, statistics, lines[s :: len(self._systems)])
        inputs = [each.input for each in chunk for _ in self._systems]
        self._details.write(inputs, lines)

    def _begun(self, taken: Taken, system: int) -> dict[str, Any]:
        line: dict[str, Any] = {} if taken.id is None else {"id": taken.id}
        line |= {"where": taken.where} if taken.where else {}
        line |= {"system": self._systems[system]} if len(self._systems) > 1 else {}
        values = zip(self._asked, taken.predictions[system], taken.references, strict=True)
        for asked, prediction, reference in values:
            reads = asked.wanted.family.reads
            end = f"_{reads}" if reads != self._asked[0].wanted.family.reads else ""
            alone = reads in ("text", "scored")
            line |= {f"prediction{end}": prediction} | ({} if alone else {f"reference{end}": reference})
        return line

    @staticmethod
    def _score(asked: Asked, titles: list[str], statistics: "Statistics", lines: list[dict[str, Any]]) -> None:
        from hfcli import metrics

        for metric, title in zip(asked.metrics, titles, strict=True):
            values = metrics.each(metric, asked.wanted.family, statistics, asked.wanted.options)
            for line, value in zip(lines, values.tolist(), strict=True):
                line[title] = value if value == value else None


_ENDS = (".gz", ".txt", ".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".conll")


def system_names(paths: Sequence[str]) -> list[str]:
    """Short and different names of systems: of their files, else the paths."""
    names = []
    for path in paths:
        name = "stdin" if path == "-" else os.path.basename(path)
        for end in _ENDS:
            name = name.removesuffix(end)
        names.append(name or path)
    return names if len(set(names)) == len(names) else list(paths)


def group_of(column: str | None, records: Sequence[Mapping[str, Any]], where: str) -> str:
    """The group of a record, by the first of its parts that has the column; "" without one.

    Raises:
        DataError: None has it.
    """
    if column is None:
        return ""
    record = next((record for record in records if column in record), None)
    if record is None:
        there = list(dict.fromkeys(name for record in records for name in record))
        raise DataError(
            f"{where} has no column {column} for --group-by; there is {', '.join(there)}", did_you_mean(column, there)
        )
    from hfcli.metrics.groups import name

    return name(record[column])
