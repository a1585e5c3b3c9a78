"""A report about records before anything is learnt from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hfcli.errors import DataError
from hfcli.runtime import counting, findings
from hfcli.runtime.findings import Finding
from hfcli.runtime.scanning import Scan
from hfcli.runtime.splits import Split
from hfcli.tasks._labels import MULTI, REGRESSION, Labels
from hfcli.tasks.base import Settings

# What finetune says before it begins, the worst first. The rest is for whoever asks.
_WORTH_SAYING = (
    "overlap",
    "shared-context",
    "conflicting-texts",
    "unknown-label",
    "similar-labels",
    "numbers-as-labels",
    "few-records",
    "broken-text",
)
LEFT_OUT = {"unreadable-line", "empty-text", "not-text", "not-label", "not-answer", "lost-answer", "long-question"}
_MUCH = 0.01  # share of tokens from which cutting them is worth a thought
_SPECIAL_TOKENS = 2


class TextLengths(NamedTuple):
    """How long the texts to learn from are.

    Attributes:
        unit: tokens, or words where there is no tokenizer.
        tokenizer: Whose tokens, "" where that was said elsewhere.
        counted: Of how many records; fewer than there are where the rest is estimated.
        median: Half of the records are longer.
        p95: 95% are shorter.
        longest: The longest.
        max_length: Most tokens at once, None where words were counted.
        on_long: What happens to a longer record.
        over_records: Share of records that are longer, between 0 and 1.
        over_tokens: Share of all tokens that stand beyond it.
        windows: Windows that all of these records together become, about.
    """

    unit: str
    tokenizer: str
    counted: int
    median: int
    p95: int
    longest: int
    max_length: int | None
    on_long: str
    over_records: float
    over_tokens: float
    windows: int


class Numbers(NamedTuple):
    """The numbers to be learnt."""

    low: float
    median: float
    mean: float
    high: float


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        train: What is learnt from, by its full name.
        records: How many records that are.
        evaluation: What is measured on, "" for nothing.
        evaluation_records: How many.
        columns: The column of each field and of the label.
        unused: The other columns.
        problem_type: What the labels are; None where that could not be told.
        labels: Records of each class, the largest first; {} for numbers.
        evaluation_labels: The same of the records to measure on.
        per_record: Labels a record, 1 unless there may be several.
        numbers: For regression.
        lengths: None where nothing was counted.
        findings: What is wrong or odd, errors first.
        fix: What to try for labels that could not be understood.
        flags: What finetune should be given for these records.
        task: What they are for.
    """

    train: str
    records: int
    evaluation: str
    evaluation_records: int
    columns: Mapping[str, str | None]
    unused: tuple[str, ...]
    problem_type: str | None
    labels: Mapping[str, int]
    evaluation_labels: Mapping[str, int]
    per_record: float
    numbers: Numbers | None
    lengths: TextLengths | None
    findings: tuple[Finding, ...]
    fix: str | None
    flags: tuple[str, ...]
    task: str = "text-classification"

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "error"]

    @property
    def learnable(self) -> bool:
        """Whether finetune can learn from what is left without the records that are wrong."""
        return all(finding.kind in {*LEFT_OUT, "long-text"} for finding in self.errors)

    @property
    def warnings(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "warn"]


def brief(report: Report) -> list[str]:
    """At most three lines about what finetune should not pass over in silence."""
    said = [finding for kind in _WORTH_SAYING for finding in report.findings if finding.kind == kind]
    return [finding.text + _first(finding) for finding in said[:3]]


def _first(finding: Finding) -> str:
    if not finding.places:
        return ""
    return f" ({finding.places[0][0]}{' ...' * (len(finding.places) + len(finding.places[0]) > 2)})"


def label_cells(train: Split, evaluation: Split | None, column: str) -> tuple[list[Any], tuple[str, ...]]:
    """The cells of both splits, and the names of their ids.

    Where only the evaluation data names its ids, they are ids in training, too, or stand there as names.
    """
    values, names = train.values(column), train.class_names.get(column, ())
    if evaluation is None:
        return values, names
    cells, theirs = evaluation.values(column), evaluation.class_names.get(column, ())
    if theirs and all(str(value).isdecimal() for value in values if value not in (None, "", -1, "-1")):
        return [*values, *cells], names or theirs
    if theirs and not names:
        cells = [theirs[cell] if isinstance(cell, int) and 0 <= cell < len(theirs) else cell for cell in cells]
    return [*values, *cells], names


def check(
    train: Split,
    evaluation: Split | None,
    columns: Mapping[str, str | None],
    labels: Labels | None,
    *,
    settings: Settings,
    token_counts: np.ndarray | None = None,
    counter: counting.Counter | None = None,
    wrong: DataError | None = None,
) -> Report:
    """Check records.

    Args:
        train: What is learnt from.
        evaluation: What is measured on; None where some of the others will be held out.
        columns: The column of each field and of the label.
        labels: What they are, None where that is `wrong`.
        settings: `max_length`, `on_long` and `doc_stride` are read.
        token_counts: Tokens of each record of `train`, 0 for one that was not counted: `(records,)`.
        counter: What they were counted with; None for the tokens of a model that is known.
        wrong: Why the labels could not be understood.
    """
    scans = [Scan(split, columns, labels) for split in (train, evaluation) if split is not None]
    first, second = scans[0], scans[1] if len(scans) > 1 else None
    lengths = text_lengths(token_counts, settings, counter)
    found = [
        *findings.unreadable([error for scan in scans for error in scan.split.bad]),
        *findings.texts(scans),
        *([Finding("error", "labels", wrong.message)] if wrong else []),
        *(findings.header(str(columns["label"]), labels) if labels else []),
        *(_about_labels(first, second, labels, bool(train.class_names.get(columns["label"] or ""))) if labels else []),
        *findings.repeats(first, second),
    ]
    if lengths and lengths.max_length and settings.on_long == "error" and token_counts is not None:
        found += findings.too_long(first, token_counts, lengths.max_length)
    found.sort(key=lambda finding: finding.level != "error")
    used = set(columns.values())
    return Report(
        train=train.title,
        records=len(train),
        evaluation=evaluation.title if evaluation is not None else "",
        evaluation_records=len(evaluation) if evaluation is not None else 0,
        columns=columns,
        unused=tuple(name for name in train.columns if name not in used),
        problem_type=labels.problem_type if labels else None,
        labels=_counts(first, labels),
        evaluation_labels=_counts(second, labels),
        per_record=float(first.counts.sum() / max(first.labelled.sum(), 1)) if first.counts.any() else 1.0,
        numbers=_numbers(first),
        lengths=lengths,
        findings=tuple(found),
        fix=wrong.hint if wrong else None,
        flags=_flags(found, lengths, labels, first.counts),
    )


def _about_labels(train: Scan, evaluation: Scan | None, labels: Labels, declared: bool) -> list[Finding]:
    scans = [train] if evaluation is None else [train, evaluation]
    found = [*findings.label_cells(scans), *findings.enough(train, evaluation)]
    if any(finding.kind == "no-labels" for finding in found):
        return found
    if labels.problem_type == REGRESSION:
        return [*found, *findings.amounts(train)]
    if labels.problem_type == MULTI:
        found += findings.sets(train)
    return [*found, *findings.classes(train, evaluation, labels, declared)]


def _counts(scan: Scan | None, labels: Labels | None) -> dict[str, int]:
    if scan is None or labels is None:
        return {}
    return {labels.names[i]: int(scan.counts[i]) for i in np.argsort(-scan.counts, kind="stable")}


def _numbers(scan: Scan) -> Numbers | None:
    if not scan.numbers:
        return None
    values = np.array(scan.numbers)
    return Numbers(float(values.min()), float(np.median(values)), float(values.mean()), float(values.max()))


def text_lengths(
    token_counts: np.ndarray | None, settings: Settings, counter: counting.Counter | None
) -> TextLengths | None:
    counts = np.zeros(0) if token_counts is None else token_counts[token_counts > 0].astype(np.int64)
    if not len(counts):
        return None
    median, p95 = np.percentile(counts, [50, 95])
    words = counter is not None and counter.unit == "words"
    room = settings.max_length
    over = np.maximum(counts - room, 0)
    step = max(room - _SPECIAL_TOKENS - settings.doc_stride, 1)
    windows = int(((over > 0) + -(-over // step)).sum())
    return TextLengths(
        counter.unit if counter else "tokens", counter.name if counter else "", len(counts), int(median), int(p95),
        int(counts.max()), None if words else room, settings.on_long, float((over > 0).mean()),
        float(over.sum() / counts.sum()), windows,
    )  # fmt: skip


def _flags(
    found: list[Finding], lengths: TextLengths | None, labels: Labels | None, counts: np.ndarray
) -> tuple[str, ...]:
    """What finetune should be given."""
    kinds = {finding.kind for finding in found}
    much = lengths is not None and lengths.max_length is not None and lengths.over_tokens >= _MUCH
    return (
        *(["--problem-type regression"] if "numbers-as-labels" in kinds else []),
        *(["--on-error skip"] if kinds & {*LEFT_OUT, "numbers-as-labels"} else []),
        *(["--on-long window"] if lengths and (much or "long-text" in kinds) and lengths.on_long != "window" else []),
        *(["--class-weight balanced"] if labels and findings.uneven(labels, counts) else []),
    )
