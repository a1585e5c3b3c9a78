"""What is wrong with records, or odd: each check is a generator of findings over scanned splits."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from hfcli.errors import DataError
from hfcli.runtime.scanning import Scan
from hfcli.tasks._labels import SINGLE, Labels

UNEVEN = 10
"""From this ratio of the largest class to the smallest on, the small ones are hardly learnt."""
_FEW_TO_LEARN, _FEW_TO_MEASURE = 20, 5
LEAST_TO_HOLD_OUT = 4
"""From so many labelled records on, some can be set aside to measure on."""
_HELD_OUT = 0.1  # what finetune sets aside where there is nothing to measure on
_NAMES_COMPARED = 500
_SHORT_NAME = 6  # below, one letter makes another word
_SHOWN = 3


Level = Literal["error", "warn"]


class Finding(NamedTuple):
    """Something that is wrong with records, or odd.

    Attributes:
        level: An error keeps a record, or all of them, from being learnt from.
        kind: Its name for programs: "empty-text".
        text: What it is, in a few words.
        places: Every record it is about: where it stands, or where the records stand that belong together.
    """

    level: Level
    kind: str
    text: str
    places: tuple[tuple[str, ...], ...] = ()


def unreadable(lines: Iterable[DataError]) -> Iterator[Finding]:
    """Lines that are no records."""
    found: dict[str, list[tuple[str, str]]] = {}
    for error in lines:
        parts = re.fullmatch(
            r"(.*?(?::|: row |: question |: article \d+, paragraph )\d+)(?: \(id [^()]*\))?:? (.*)",
            error.message,
            re.DOTALL,
        )
        where, what = (parts[1], parts[2]) if parts else ("", error.message)
        found.setdefault(re.sub(r"\d+", "", what), []).append((where, what))
    for same in found.values():
        what = same[0][1]
        if what.startswith("has "):
            what = f"with {what.removeprefix('has ')}"
        else:
            what = "that " + (re.sub("^is ", "are ", what) if len(same) > 1 else what)
        others = ", or the like" * (len({what for _, what in same}) > 1)
        places = tuple((where,) for where, _ in same if where)
        yield Finding("error", "unreadable-line", f"{count(len(same), 'line')} {what}{others}", places)


def texts(scans: Sequence[Scan]) -> Iterator[Finding]:
    """Records without a text, with one that is no text, with one that came here damaged or marked up."""
    said: dict[str, tuple[Level, str, str]] = {
        "empty-text": ("error", "empty text", "empty texts"),
        "not-text": ("error", "record: {}", "records: {}"),
        "broken-text": ("warn", "text with broken characters", "texts with broken characters"),
        "html": ("warn", "text with HTML", "texts with HTML"),
    }
    for kind, (level, one, many) in said.items():
        yield from _faults(scans, kind, level, one, many)
    for scan in scans[:1]:
        used = scan.texts[scan.usable]
        if not len(used):
            yield Finding("error", "no-text", "no record has a text")
        elif len(used) > 1 and (used == used[0]).all():
            yield Finding("error", "one-text", f"all {len(used):,} texts are the same")


def _faults(scans: Sequence[Scan], kind: str, level: Level, one: str, many: str) -> Iterator[Finding]:
    places = [place for scan in scans for place in scan.where(scan.faults.get(kind, ()))]
    if places:
        message = next(scan.messages[kind] for scan in scans if kind in scan.messages)
        what = (one if len(places) == 1 else many).replace("{}", message)
        yield Finding(level, kind, f"{len(places):,} {what}", tuple((place,) for place in places))


def label_cells(scans: Sequence[Scan]) -> Iterator[Finding]:
    """Cells of the label column that hold no label, or none that is known."""
    yield from _faults(scans, "not-label", "error", "label: {}", "labels that are none: {}")
    yield from _faults(scans, "no-label", "warn", "record without a label", "records without a label")
    for scan in scans:
        if len(scan) and not scan.labelled.any():
            yield Finding("error", "no-labels", f"no record of {scan.split.name} has a label")


def classes(train: Scan, evaluation: Scan | None, labels: Labels, declared: bool) -> Iterator[Finding]:
    """Classes that cannot be learnt, measured or told apart.

    Args:
        train: What is learnt from.
        evaluation: What is measured on, or None.
        labels: Names and kind.
        declared: Whether the data set itself names its classes.
    """
    learnt = train.counts
    measured = np.zeros_like(learnt) if evaluation is None else evaluation.counts
    if labels.problem_type == SINGLE and (learnt > 0).sum() == 1:
        only = labels.names[int(learnt.argmax())]
        yield Finding("error", "one-label", f"all labels are the same, {only}: there is nothing to learn")
        return
    numbers = list(_numbers(labels))
    if numbers:
        yield from numbers
        return
    if not declared:
        yield from _similar(labels.names, np.where(learnt > 0, learnt, measured))
    never = [name for name, n in zip(labels.names, learnt + measured, strict=True) if not n]
    if never:
        yield Finding("warn", "unused-label", f"{_some(never)} {_is(never)} never used")
    unknown = np.flatnonzero((learnt == 0) & (measured > 0))
    if len(unknown):
        names = [f"{labels.names[i]} ({measured[i]:,})" for i in unknown]
        level: Level = "error" if (measured[learnt > 0] == 0).all() else "warn"
        yield Finding(level, "unknown-label", f"{_some(names)} {_is(names)} in the evaluation data only")
    few = list(_few(learnt, evaluation))
    if few:
        yield _too_few(few, labels.names)
    elif uneven(labels, learnt):
        big, small = int(learnt.argmax()), int(np.where(learnt > 0, learnt, learnt.max()).argmin())
        times = learnt[big] / learnt[small]
        text = f"{labels.names[big]} has {times:,.0f} times as many records as {labels.names[small]}"
        yield Finding("warn", "uneven-labels", text)


def uneven(labels: Labels, counts: np.ndarray) -> bool:
    """Whether the largest of several classes, of which a record has one, is much larger than the smallest."""
    there = counts[counts > 0]
    return labels.problem_type == SINGLE and len(there) > 1 and int(there.max()) > UNEVEN * int(there.min())


class _Few(NamedTuple):
    label: int
    learnt: int
    measured: int
    what: str


def _few(learnt: np.ndarray, evaluation: Scan | None) -> Iterator[_Few]:
    for label, n in enumerate(learnt.tolist()):
        measured = round(n * _HELD_OUT) if evaluation is None else int(evaluation.counts[label])
        hard = [
            *(["learnt"] if n < _FEW_TO_LEARN else []),
            *(["measured"] if measured < _FEW_TO_MEASURE and (evaluation is not None or n < _FEW_TO_LEARN) else []),
        ]
        if n and hard:
            yield _Few(label, n, measured, " or ".join(hard))


def _too_few(few: list[_Few], names: Sequence[str]) -> Finding:
    if len(few) == 1:
        ((label, n, measured, what),) = few
        text = f"{names[label]}: {count(n, 'record')}, {measured:,} to evaluate on: cannot be {what}"
    else:
        shown = [f"{names[label]} ({n:,}, {measured:,} to evaluate on)" for label, n, measured, _ in few]
        whats = {what for *_, what in few}
        text = f"{_some(shown)} cannot be {whats.pop() if len(whats) == 1 else 'learnt or measured'}"
    return Finding("warn", "few-records", text)


def _similar(names: Sequence[str], counts: np.ndarray) -> Iterator[Finding]:
    """Names of which one is probably the other, misspelt."""
    if len(names) > _NAMES_COMPARED:
        return
    for (a, n), (b, m) in combinations(zip(names, counts.tolist(), strict=True), 2):
        how = _difference(a, b)
        rare = UNEVEN * min(n, m) <= max(n, m)  # two words that are both used often are meant to be two
        if n and m and how and (rare or "letter" not in how):
            yield Finding(
                "warn", "similar-labels", f"labels {_quoted(a)} ({n:,}) and {_quoted(b)} ({m:,}) differ {how}"
            )


def _difference(a: str, b: str) -> str | None:
    if a.casefold() == b.casefold():
        return "only in case"
    plain, other = (re.sub(r"[\W_]+", "", name.casefold()) for name in (a, b))
    if plain == other and plain:
        return "only in spaces and signs"
    if abs(len(plain) - len(other)) > 1 or min(len(plain), len(other)) < _SHORT_NAME - 1:
        return None
    shorter, longer = sorted((plain, other), key=len)
    same = next((i for i, pair in enumerate(zip(shorter, longer, strict=False)) if pair[0] != pair[1]), len(shorter))
    changed = longer[same]
    if shorter == longer[:-1] and changed == "s":
        return "only in a plural s"
    rest = shorter[same:] if len(longer) > len(shorter) else shorter[same + 1 :]
    letters = changed.isalpha() and (len(longer) > len(shorter) or shorter[same].isalpha())
    return "in one letter" if rest == longer[same + 1 :] and letters and len(shorter) >= _SHORT_NAME else None


def _numbers(labels: Labels) -> Iterator[Finding]:
    """Numbers with a few cells among them that are none make classes of all of them."""
    decimal = re.compile(r"\s*[+-]?\d*\.\d+\s*")
    numbers = [name for name in labels.names if decimal.fullmatch(name)]
    others = [name for name in labels.names if not re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)\s*", name)]
    if others and len(numbers) > len(others) and labels.problem_type == SINGLE:
        text = f"most labels are numbers, {_some([_quoted(name) for name in others])} {_is(others)} not"
        yield Finding("warn", "numbers-as-labels", text)


def repeats(train: Scan, evaluation: Scan | None) -> Iterator[Finding]:
    """Texts that occur more than once, and those that are both learnt from and measured on."""
    repeated = _equal(train)
    conflicts = [group for group in repeated if _disagree(train, group)]
    if repeated:
        often = "twice" if max(map(len, repeated)) == 2 else "more than once"
        text = f"{count(len(repeated), 'text')} occur{'s' * (len(repeated) == 1)} {often}"
        text += f", {len(conflicts):,} of them with different labels" if conflicts else ""
        ordered = sorted(repeated, key=lambda group: (not _disagree(train, group), int(group[0])))
        places = tuple(train.where(group) for group in ordered)
        yield Finding("warn", "conflicting-texts" if conflicts else "duplicate-texts", text, places)
    if evaluation is not None:
        both = np.flatnonzero(np.isin(evaluation.texts, train.texts[train.usable]))
        if len(both):
            verb = "is" if len(both) == 1 else "are"
            text = f"{len(both):,} of {len(evaluation):,} evaluation texts {verb} also in training"
            yield Finding("warn", "overlap", text, tuple((place,) for place in evaluation.where(both)))


def _equal(scan: Scan) -> list[np.ndarray]:
    """Groups of records with the same text, each in order."""
    order = np.argsort(scan.texts, kind="stable")
    order = order[scan.usable[order]]
    ends = np.append(np.flatnonzero(np.diff(scan.texts[order])) + 1, len(order))
    starts = np.append(0, ends[:-1])
    return [order[a:b] for a, b in zip(starts, ends, strict=True) if b - a > 1]


def _disagree(scan: Scan, group: np.ndarray) -> bool:
    labels = scan.labels[group[scan.labelled[group]]]
    return len(labels) > 1 and bool((labels != labels[0]).any())


def too_long(train: Scan, token_counts: np.ndarray, max_length: int) -> Iterator[Finding]:
    """Texts that `--on-long error` refuses."""
    over = np.flatnonzero(token_counts > max_length)
    if len(over):
        text = f"{count(len(over), 'text')} over {max_length:,} tokens"
        yield Finding("error", "long-text", text, tuple((place,) for place in train.where(over)))


def header(column: str, labels: Labels) -> Iterator[Finding]:
    """A file without names of columns, whose first record was taken for them."""
    if column in labels.names:
        text = f"the column of labels is called {column}, as one of them: is the first line a record?"
        yield Finding("warn", "header", text)


def enough(train: Scan, evaluation: Scan | None) -> Iterator[Finding]:
    """So few records that none can be set aside."""
    n = int((train.usable & train.labelled).sum())
    if evaluation is None and 0 < n < LEAST_TO_HOLD_OUT:
        text = f"{count(n, 'labelled record')}, too few to hold some out; --eval-dataset FILE names others"
        yield Finding("error", "few-to-hold-out", text)


def sets(train: Scan) -> Iterator[Finding]:
    """Lists of labels that are all empty."""
    if train.without == train.labelled.sum():
        yield Finding("error", "no-labels", "every list of labels is empty")


def amounts(train: Scan) -> Iterator[Finding]:
    """Numbers from which nothing can be learnt."""
    if len(train.numbers) > 1 and min(train.numbers) == max(train.numbers):
        text = f"every number is the same, {train.numbers[0]:g}: there is nothing to learn"
        yield Finding("error", "one-label", text)


def count(n: int, noun: str) -> str:
    """`1 record`, `2 records`."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
