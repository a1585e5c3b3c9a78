"""JSON as SQuAD has it: a document of articles, paragraphs and questions, and answers by the question's id.

    {"version": "1.1", "data": [{"title": ..., "paragraphs": [{"context": ..., "qas": [{"id": ..., "question": ...,
        "answers": [{"text": ..., "answer_start": 7}]}]}]}]}

`data` may hold a record for each question instead. Source: rajpurkar.github.io/SQuAD-explorer.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from hfcli.errors import DataError
from hfcli.records import _input
from hfcli.records._input import KEEPS_GOING, Input
from hfcli.records._json import Parsed, as_object, decode_json, kind, not_json, skip_space

_HEAD_BYTES = 1 << 16  # where the beginning of a document has to be decided
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_KEYS = rb"title|paragraphs|context|qas|question|id|answers|is_impossible"
# The steps through the beginning, and how the beginning of each looks while the rest has not arrived.
_OPEN = re.compile(rb"\s*+\{\s*+")
_KEY = re.compile(rb"(" + _STRING + rb")\s*+:\s*+(?=\S)", re.DOTALL)
_KEY_PART = re.compile(rb'(?:"(?:[^"\\]++|\\.)*+(?:\\|"\s*+(?::\s*+)?)?)?', re.DOTALL)
_SCALAR = re.compile(rb"(?:" + _STRING + rb"|[-+.\w]++)\s*+,\s*+", re.DOTALL)
_SCALAR_PART = re.compile(rb'(?:"(?:[^"\\]++|\\.)*+(?:\\|"\s*+)?|[-+.\w]*+\s*+)', re.DOTALL)
_DATA = re.compile(rb'\[\s*+(?:\]|\{\s*+"(?:' + _KEYS + rb')"\s*+:)')
_DATA_PART = re.compile(rb'(?:\[\s*+(?:\{\s*+(?:"\w*+(?:"\s*+)?)?)?)?')


def document(
    source: Input, chunks: Iterator[bytes], pairs: tuple[str, str] | None
) -> tuple[Iterator[Parsed] | None, Iterator[bytes]]:
    """The rows of an input that is such a document, else None; and the input, to be read as JSON lines.

    Only what begins like such a document is read whole, so that lines on a pipe do not wait for each other.

    Args:
        source: Decodes, and knows its name.
        chunks: The input, whose first character is `{`.
        pairs: Two columns; any object of texts by name is then such a document, too.

    Raises:
        DataError: It is no JSON, or too long.
    """
    if pairs is None:
        begins, chunks = _begins(chunks)
        if not begins:
            return None, chunks
    hint = "--input-format jsonl reads line by line, without a limit"
    raw = source.document(chunks, _input.MAX_ARRAY_BYTES, hint)
    text = source.decode(raw)
    start = f"{source.name}:1"
    first, _, rest = text.partition("\n")
    try:
        item, end = decode_json(text, skip_space(text, 0), start, source.name, objects=pairs is not None)
    except DataError:
        if first.rstrip().endswith("}") and rest.strip():
            return None, iter((raw,))  # a broken line of JSON lines
        raise
    if (after := skip_space(text, end)) != len(text):
        if "\n" not in text[:end].lstrip():
            return None, iter((raw,))
        raise not_json(start, text, after, "more text after the end")
    if _is_squad(item):
        return _questions(item["data"], source.name), iter(())
    if pairs is not None and pairs[0] not in item:
        if item.twice is not None:
            raise DataError(f"{source.name} has {item.twice!r} twice", "each name stands for one text")
        return _texts(item, pairs, source.name), iter(())
    return None, iter((raw,))


def _begins(chunks: Iterator[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Whether the input begins like a document of questions, and the input; no more of it is waited for than needed."""
    head = b""
    for chunk in chunks:
        head += chunk
        if (found := _decide(head)) is not None or len(head) > _HEAD_BYTES:
            return bool(found), chain((head,), chunks)
    return False, iter((head,))


def _decide(head: bytes) -> bool | None:
    """Whether `data`, after nothing but plain values, is an array as in SQuAD; None where that cannot be told yet."""
    opened = _OPEN.match(head)
    if not opened:
        return None if not head.strip() else False
    at = opened.end()
    while key := _KEY.match(head, at):
        at = key.end()
        if key[1] == b'"data"':
            return True if _DATA.match(head, at) else None if _DATA_PART.fullmatch(head, at) else False
        scalar = _SCALAR.match(head, at)
        if not scalar:
            return None if _SCALAR_PART.fullmatch(head, at) else False
        at = scalar.end()
    return None if _KEY_PART.fullmatch(head, at) else False


def _is_squad(item: dict[str, Any]) -> bool:
    data = item.get("data")
    if not isinstance(data, list):
        return False
    if not data:
        return "version" in item
    return any(isinstance(each, dict) and ("paragraphs" in each or "question" in each) for each in data)


def _texts(item: dict[str, Any], pairs: tuple[str, str], name: str) -> Iterator[Parsed]:
    for n, (key, text) in enumerate(item.items(), 1):
        where = f"{name}: answer {n}"
        if isinstance(text, str | None):
            yield {pairs[0]: key, pairs[1]: text}, where, None
        else:
            yield None, where, DataError(f"{where} is {kind(text)}, not a text or null (id {key})", KEEPS_GOING)


def _questions(data: list[Any], name: str) -> Iterator[Parsed]:
    """A record for each question. What cannot be read is one row: a question, a paragraph or an article."""
    count = 0
    for i, article in enumerate(data, 1):
        if isinstance(article, dict) and "paragraphs" not in article and not {"question", "id"}.isdisjoint(article):
            count += 1
            yield _question(article, article, f"{name}: question {count}")
            continue
        where = f"{name}: article {i}"
        try:
            paragraphs = _entries(article, "paragraphs", where)
        except DataError as error:
            yield None, where, error
            continue
        for j, paragraph in enumerate(paragraphs, 1):
            place = f"{where}, paragraph {j}"
            try:
                questions = _entries(paragraph, "qas", place)
                first, count = count + 1, count + len(questions)
                shared = {"title": article.get("title"), "context": _text(paragraph, "context", place)}
            except DataError as error:
                yield None, place, error
                continue
            for n, question in enumerate(questions, first):
                yield _question(question, shared, f"{name}: question {n}")


def _question(question: Any, shared: dict[str, Any], where: str) -> Parsed:
    """A record; of one that stands for itself (`shared` is the question) all columns stay."""
    try:
        own = as_object(question, where)
        key = {"id": own["id"]} if own.get("id") is not None else {}  # whoever asks by hand gives none
        if key and (isinstance(key["id"], bool) or not isinstance(key["id"], str | int)):
            raise DataError(f"{where} has an id that is {kind(key['id'])}, not a text", KEEPS_GOING)
        named = f" (id {key['id']})" if key else ""
        record = {**key, **({} if own is shared else {"title": shared["title"]})}
        record |= {"context": _text(shared, "context", where, named), "question": _text(own, "question", where, named)}
        answers = _answers(own, where, named)
    except DataError as error:
        return None, where, error
    rest = own if own is shared else {}
    return (
        {**record, **{name: rest[name] for name in rest if name not in record and name != "answers"}, **answers},
        where,
        None,
    )


def _entries(item: Any, key: str, where: str) -> list[Any]:
    entries = as_object(item, where).get(key)
    if isinstance(entries, list):
        return entries
    wrong = f"has {key} that are {kind(entries)}, not an array" if entries is not None else f"has no {key}"
    raise DataError(f"{where} {wrong}", KEEPS_GOING)


def _text(item: dict[str, Any], key: str, where: str, named: str = "") -> str:
    text = item.get(key)
    if isinstance(text, str):
        return text
    wrong = f"has a {key} that is {kind(text)}, not a text" if text is not None else f"has no {key}"
    raise DataError(f"{where} {wrong}{named}", KEEPS_GOING)


def _answers(question: dict[str, Any], where: str, named: str) -> dict[str, dict[str, list[Any]]]:
    """The column of answers; none where nothing is said about them, as in questions that are still to be answered."""
    answers = question.get("answers")
    if answers is None:
        return {"answers": {"text": [], "answer_start": []}} if question.get("is_impossible") is True else {}
    if isinstance(answers, dict):
        texts, starts = (answers.get(key) for key in ("text", "answer_start"))
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            wrong = "has answers whose text and answer_start are not arrays of the same length"
            raise DataError(f"{where} {wrong}{named}", KEEPS_GOING)
    elif isinstance(answers, list):
        entries = [each if isinstance(each, dict) else {"text": each} for each in answers]
        texts, starts = ([each.get(key) for each in entries] for key in ("text", "answer_start"))
    else:
        raise DataError(f"{where} has answers that are {kind(answers)}, not an array{named}", KEEPS_GOING)
    for text, at in zip(texts, starts, strict=True):
        if not isinstance(text, str):
            wrong = "without text" if text is None else f"whose text is {kind(text)}"
            raise DataError(f"{where} has an answer {wrong}{named}", KEEPS_GOING)
        if isinstance(at, bool) or not isinstance(at, int):
            wrong = "without answer_start" if at is None else f"whose answer_start is {kind(at)}, not a whole number"
            raise DataError(f"{where} has an answer {wrong}{named}", KEEPS_GOING)
    return {"answers": {"text": texts, "answer_start": starts}}
