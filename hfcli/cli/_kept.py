"""Files of `hfcli eval -o`: read, and put side by side where they measure the same thing."""

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hfcli.errors import DataError, UsageError, did_you_mean
from hfcli.records._input import Input
from hfcli.records._json import decode_json, not_json, skip_space

if TYPE_CHECKING:
    from hfcli.metrics.base import Metric
    from hfcli.metrics.results import Part, Result, Scored

_HINT = "hfcli eval ... -o FILE writes such files"
# Parts of a signature that may differ: a comparison makes its own intervals, and of the version there is a note.
_MAY_DIFFER = ("ci", "hfcli")
# What families read whose column `reference` is that of the data, whatever the system.
_REFERENCES = ("labels", "label_sets", "values", "probabilities")


class Kept(NamedTuple):
    """A file.

    Attributes:
        path: As it was typed.
        result: What it holds.
    """

    path: str
    result: "Result"


class Shared(NamedTuple):
    """A metric that all files have.

    Attributes:
        name: Of the metric, with options where several of a comparison have the same.
        metric: The metric.
        parts: The part of each file.
    """

    name: str
    metric: "Metric"
    parts: "tuple[Part, ...]"


def read(path: str) -> Kept:
    """Read a file; it may be packed with gzip.

    Raises:
        DataError: It is none of `hfcli eval -o`, or not whole.
    """
    from hfcli.metrics import results

    source = Input(path, digest=False)
    try:
        text = source.decode(b"".join(source.chunks()))
    finally:
        source.close()
    start, at = f"{source.name}:1", skip_space(text, 0)
    if at == len(text):
        raise DataError(f"{source.name} is empty", _HINT)
    item, end = decode_json(text, at, start, source.name, _HINT)
    if (after := skip_space(text, end)) != len(text):
        raise not_json(start, text, after, "more text after the end", _HINT)
    result = results.from_json(item, source.name)
    counts = {len(part.statistics) for part in result.parts} | ({len(result.ids)} if result.ids else set())
    if len(counts) > 1:
        raise DataError(f"{source.name} is not whole (it has {' and '.join(map(str, sorted(counts)))} records)", _HINT)
    return Kept(path, result)


def names(files: Sequence[Kept]) -> list[str]:
    """A name for each: that of the system, or where these are not all different the file's."""
    bare = [file.path.removesuffix(".gz").removesuffix(".json") for file in files]
    ways = ([file.result.name for file in files], [os.path.basename(path) for path in bare], bare)
    return next(
        (way for way in ways if len({*way}) == len(way)),
        [f"{name} ({at})" for at, name in enumerate(ways[0], 1)],
    )


def shared(files: Sequence[Kept], wanted: Sequence[str]) -> tuple[list[Shared], list[str]]:
    """The metrics that all files have, in the order of the first one's or of `wanted`; and notes about others.

    Args:
        files: Two or more.
        wanted: Names of metrics, [] for all.

    Raises:
        UsageError: A metric that is wanted is not in the files.
        DataError: There is none, or what was measured is not the same.
    """
    first = files[0]
    found: list[Shared] = []
    left: dict[str, str] = {}
    for scored in _wanted(first, wanted):
        parts, why = [first.result.parts[scored.part]], ""
        for other in files[1:]:
            part, why = _same(first, scored, other)
            if part is None:
                break
            parts.append(part)
        if why:
            left[scored.metric.title] = why
        else:
            found.append(Shared(scored.metric.title, scored.metric, tuple(parts)))
    if not found:
        raise DataError(*_nothing(files, left))
    for each in found:
        _check_records(files, each)
    notes = [f"{title} is not compared: {why}" for title, why in left.items()]
    return _told_apart(found), notes + _versions(files, found[0])


def signed(signature: str) -> dict[str, str]:
    """The parts of a signature by their names, `{"data": "imdb@e628166:test", "n": "25000"}`."""
    return {key: value for key, _, value in (part.partition(":") for part in signature.split("|"))}


def _wanted(first: Kept, wanted: Sequence[str]) -> "list[Scored]":
    scores = first.result.scores
    if not wanted:
        return scores
    titles = list(dict.fromkeys(scored.metric.title for scored in scores))
    for name in wanted:
        if not any(name in (scored.metric.title, scored.metric.name) for scored in scores):
            raise UsageError(
                f"no metric {name} in {first.path}; there is {', '.join(titles)}", did_you_mean(name, titles)
            )
    return [each for name in wanted for each in scores if name in (each.metric.title, each.metric.name)]


def _same(first: Kept, scored: "Scored", other: Kept) -> "tuple[Part | None, str]":
    """The part of another file that measures the same, or why there is none."""
    part = first.result.parts[scored.part]
    candidates = [
        other.result.parts[each.part]
        for each in other.result.scores
        if each.metric is scored.metric and other.result.parts[each.part].family is part.family
    ]
    if not candidates:
        return None, f"it is in {first.path} and not in {other.path}"
    differences = [_differences(first.path, part, other.path, each) for each in candidates]
    nearest = min(range(len(candidates)), key=lambda at: len(differences[at]))
    if differences[nearest]:
        return None, "; ".join(differences[nearest])
    return candidates[nearest], ""


def _differences(path: str, part: "Part", other_path: str, other: "Part") -> list[str]:
    """In what two signatures differ, as "case mixed in a.json, lower in b.json"."""
    here, there = signed(part.signature), signed(other.signature)
    told = []
    for key in {**here, **there}:
        if key in _MAY_DIFFER or here.get(key) == there.get(key):
            continue
        if key == "data" and _contents(here[key]) == _contents(there.get(key, "")):
            continue  # a copy, under another name
        values = [each.get(key, "is not said") for each in (here, there)]
        if key == "n" and here.get("data") != there.get("data"):
            continue  # told with the data
        if key == "data":
            counts = [len(each.statistics) for each in (part, other)]
            noun = "record" if counts[0] == 1 else "records"
            values = [f"{values[0]} ({counts[0]:,} {noun})", f"{values[1]} ({counts[1]:,})"]
        told.append(f"{key} {values[0]} in {path}, {values[1]} in {other_path}")
    return told


def _contents(data: str) -> str:
    """Data without the names of files, "ref.txt@59563ed:label" to "59563ed:label"; those of the Hub have a slash."""
    return re.sub(r"(?:^|(?<=\+))[^+@/]*@", "", data)


def _nothing(files: Sequence[Kept], left: dict[str, str]) -> tuple[str, str]:
    """The error where nothing can be compared, and its hint."""
    differ = [why for why in left.values() if not why.startswith("it is in ")]
    if differ:
        again = f"hfcli eval ... -o {files[0].path}"
        return f"these scores measure different things: {differ[0]}", f"measure both alike: {again}"
    lists = [", ".join(each.metric.title for each in file.result.scores) or "nothing" for file in files]
    told = "; ".join(f"{file.path} has {listed}" for file, listed in zip(files, lists, strict=True))
    return f"no metric is in all files: {told}", "hfcli eval --metric NAME ... -o FILE"


def _check_records(files: Sequence[Kept], each: Shared) -> None:
    """Refuse files of other records; record by record is how systems are compared."""
    first, part = files[0], each.parts[0]
    for file, other in zip(files[1:], each.parts[1:], strict=True):
        counts = len(part.statistics), len(other.statistics)
        if counts[0] != counts[1]:
            raise DataError(
                f"{first.path} has {counts[0]:,} records and {file.path} {counts[1]:,}; the same ones are needed"
            )
        other_columns = {*part.statistics.columns} ^ {*other.statistics.columns}
        if other_columns:
            told = ", ".join(sorted(other_columns))
            raise DataError(
                f"{first.path} and {file.path} do not keep the same statistics ({told})", "measure both with one hfcli"
            )
        for name, (here, there) in {
            "id": (first.result.ids, file.result.ids),
            "reference": (references(part), references(other)),
        }.items():
            if here and there and here != there:
                at = next((at for at, (x, y) in enumerate(zip(here, there, strict=False)) if x != y), len(here))
                said = [repr(values[at]) if at < len(values) else "nothing" for values in (here, there)]
                raise DataError(
                    f"record {at + 1:,} has the {name} {said[0]} in {first.path} and {said[1]} in {file.path}",
                    "measure both on the same records, in the same order",
                )


def references(part: "Part") -> list[Any]:
    """What each record should be, [] where that is not kept."""
    columns, known = part.statistics.columns, part.family.reads in _REFERENCES
    return columns["reference"].tolist() if known and "reference" in columns else []


def _told_apart(found: list[Shared]) -> list[Shared]:
    """With different names: metrics of the same one get what only their own signature says."""
    titles = [each.name for each in found]
    apart = []
    for each in found:
        others = [signed(one.parts[0].signature) for one in found if one.name == each.name and one is not each]
        own = signed(each.parts[0].signature)
        said = [f"{key}:{value}" for key, value in own.items() if any(other.get(key) != value for other in others)]
        apart.append(each._replace(name=" ".join([each.name, *said])) if titles.count(each.name) > 1 else each)
    return apart


def _versions(files: Sequence[Kept], each: Shared) -> list[str]:
    versions = [signed(part.signature).get("hfcli") for part in each.parts]
    if len({*versions}) == 1:
        return []
    told = ", ".join(f"{file.path} by {version}" for file, version in zip(files, versions, strict=True))
    return [f"measured by different versions of hfcli: {told}"]
