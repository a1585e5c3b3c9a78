"""JSON, strictly: what Python's json takes and JSON has not is refused, and errors are said in our words."""

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, cast

from hfcli.errors import DataError
from hfcli.records._input import KEEPS_GOING


class _Refused(ValueError):
    """A number that Python's json reads and JSON does not have."""


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _Refused(f"has the number {text[:20]}, which is too large")
    return number


def _no_constant(name: str) -> NoReturn:
    raise _Refused(f"has {name}, which is not JSON")


_SPACE = re.compile(r"[ \t\r\n]*")
_WORDING = {
    "Expecting value": "a value is missing",
    "Expecting ',' delimiter": "a comma is missing",
    "Expecting ':' delimiter": "a colon is missing",
    "Expecting property name enclosed in double quotes": "a name in double quotes is missing",
    "Extra data": "more text after the end",
    "Invalid control character at": "a control character inside a string",
}
_KINDS = {
    list: "an array",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def skip_space(text: str, at: int) -> int:
    return cast("re.Match[str]", _SPACE.match(text, at)).end()


def not_json(start: str, text: str, at: int, problem: str, hint: str | None = None) -> DataError:
    """The error at a position of a text that starts at `start`, "file:line"."""
    name, _, line = start.rpartition(":")
    where = f"{name}:{int(line) + text.count(chr(10), 0, at)}"
    return DataError(f"{where} is not JSON ({problem}, column {at - text.rfind(chr(10), 0, at)})", hint)


class Object(dict[str, Any]):
    """An object that remembers a name that it has twice; then the last value counts, as for everybody."""

    twice: str | None = None


def _object(pairs: list[tuple[str, Any]]) -> Object:
    found = Object(pairs)
    if len(found) != len(pairs):
        found.twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
    return found


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)
_REMEMBERS = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant, object_pairs_hook=_object)


def decode_json(
    text: str, at: int, start: str, where: str, hint: str | None = None, *, objects: bool = False
) -> tuple[Any, int]:
    """The value at a position and where it ends; `where` is for errors of the whole value. `objects`: as Object."""
    try:
        return (_REMEMBERS if objects else _DECODER).raw_decode(text, at)
    except json.JSONDecodeError as error:
        end = len(text.rstrip())
        if error.pos >= end or error.msg.startswith("Unterminated string"):
            raise not_json(start, text, end, "unexpected end", hint) from error
        raise not_json(start, text, error.pos, _WORDING.get(error.msg, error.msg.lower().strip(": ")), hint) from error
    except _Refused as error:
        raise DataError(f"{where} {error}", "null stands for a number that is missing") from error
    except ValueError as error:
        raise DataError(f"{where} has a number with too many digits", "put it in quotes") from error
    except RecursionError as error:
        raise DataError(f"{where} is nested too deeply", hint) from error


def parse_line(text: str, where: str) -> dict[str, Any]:
    """One line of JSON lines."""
    hint = KEEPS_GOING
    path = shlex.quote(where.rpartition(":")[0])
    if text.strip() == "{":
        hint = f"an object has to stand on one line: jq -c . {path} > OUT.jsonl"
    elif text.lstrip().startswith("["):
        hint = "--input-format json reads an array of objects"
    at = skip_space(text, 0)
    item, at = decode_json(text, at, where, where, hint)
    if (at := skip_space(text, at)) != len(text):
        raise not_json(where, text, at, "more text after the end", hint)
    return as_object(item, where, hint)


Parsed = tuple[dict[str, Any] | None, str, DataError | None]
"""A record, where it stands, and why it cannot be read: the parts of a Row."""


def parse_array(text: str, name: str) -> Iterator[Parsed]:
    """The objects of an array, which is all there is in the text."""
    at = skip_space(text, 0) + 1
    line, counted, start = 1, 0, f"{name}:1"
    while not text.startswith("]", at := skip_space(text, at)):
        line, counted = line + text.count("\n", counted, at), at
        where = f"{name}:{line}"
        # What follows a broken element cannot be told from what belongs to it, so only its type is a row's error.
        item, at = decode_json(text, at, start, where)
        at = skip_space(text, at)
        if text.startswith(",", at):
            at += 1
            if text.startswith("]", skip_space(text, at)):
                raise not_json(start, text, at - 1, "a comma after the last element")
        elif at == len(text):
            raise not_json(start, text, len(text.rstrip()), "unexpected end")
        elif not text.startswith("]", at):
            raise not_json(start, text, at, "a comma or ] is missing")
        try:
            yield as_object(item, where), where, None
        except DataError as error:
            yield None, where, error
    if text[at + 1 :].strip():
        raise not_json(start, text, skip_space(text, at + 1), "more text after the array")


def kind(item: Any) -> str:
    """What a value is, as JSON calls it."""
    return "an object" if isinstance(item, dict) else _KINDS[type(item)]


def as_object(item: Any, where: str, hint: str = KEEPS_GOING) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    raise DataError(f"{where} is {kind(item)}, not an object", hint)


_ESCAPED = re.compile("[\x85\u2028\u2029\ud800-\udfff]")


def dumps(record: Mapping[str, Any]) -> str:
    r"""One line of JSON that is valid UTF-8 and a line for every reader.

    NaN and infinities become null. Lone surrogates, and the three characters besides `\n` that some readers end lines
    at, come as `\uXXXX`.
    """
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_without_nan(record), ensure_ascii=False, allow_nan=False)
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _without_nan(item: Any) -> Any:
    if isinstance(item, float):
        return item if math.isfinite(item) else None
    if isinstance(item, Mapping):
        return {key: _without_nan(inner) for key, inner in item.items()}
    return [_without_nan(inner) for inner in item] if isinstance(item, list | tuple) else item
