"""Sentences of tagged tokens, as CoNLL's shared tasks have them: a token a line, a blank line after each sentence.

    -DOCSTART- -X- O          left out; it ends a sentence, too

    Denver     NNP B-LOC      {"tokens": ["Denver", "won"], "tags": ["B-LOC", "O"], "tags_1": ["NNP", "VBD"]}
    won        VBD O

Columns are what tabs separate, or in a line without a tab, spaces. The first is `tokens`, the last `tags`, the one
before it `tags_1`, and so on to the left: in what conlleval reads, `tags` are predicted and `tags_1` are right. Before
a sentence, comments are left out that say what they are: `# text = ...`, `# newdoc`, `# newpar`, `# id ...`.

Source: Tjong Kim Sang and De Meulder, Introduction to the CoNLL-2003 Shared Task, 2003; universaldependencies.org,
CoNLL-U, for comments; MultiCoNER, 2022, for `# id`.
"""

import re
from collections.abc import Iterator

from hfcli.errors import DataError
from hfcli.records import _input
from hfcli.records._input import KEEPS_GOING, Input, Line
from hfcli.records._json import Parsed

_DOCUMENT = "-DOCSTART-"
_COMMENT = re.compile(r"# ?(?:\S+ = |(?:newdoc|newpar)\b|id )")


def sentences(source: Input, lines: Iterator[Line]) -> Iterator[Parsed]:
    """The sentences of an input, each as soon as the line after it is there.

    Args:
        source: Decodes, and knows its name.
        lines: Its lines.

    Yields:
        A record and the place of its first token; None where it has a line that cannot be read, with the first error.

    Raises:
        DataError: A sentence is too long to be one.
    """
    sentence = _Sentence(source)
    for line in lines:
        blank = line.raw is not None and not line.raw.strip(b" \t\r")
        if blank or sentence.add(line):
            yield from sentence.end()
    yield from sentence.end()


class _Sentence:
    """The sentence that is being read."""

    def __init__(self, source: Input) -> None:
        self._source = source
        self._width = 0  # columns, once a line has told
        self._clear()

    def _clear(self) -> None:
        self._rows: list[list[str]] = []
        self._where = ""
        self._error: DataError | None = None
        self._size_bytes = 0

    def add(self, line: Line) -> bool:
        """Take a line; true where it begins a document, so that the sentence ended before it."""
        where = f"{self._source.name}:{line.number}"
        self._size_bytes += len(line.raw or b"")
        if self._size_bytes > _input.MAX_LINE_BYTES:
            message = f"{self._where} begins a sentence that does not end within {_input.MAX_LINE_BYTES >> 20} MB"
            raise DataError(message, "put a blank line after each sentence")
        try:
            text = self._source.decode_line(line).strip(" \r")
            if not self._where and _COMMENT.match(text):
                self._size_bytes = 0
                return False
            cells = _cells(text)
            if cells[0] == _DOCUMENT:
                return True
            self._check(cells, where)
            self._rows.append(cells)
        except DataError as error:
            self._error = self._error or error
        self._where = self._where or where
        return False

    def _check(self, cells: list[str], where: str) -> None:
        if len(cells) == 1:
            hint = "in a line stand a token, a tab or spaces, and its tag"
            raise DataError(f"{where} has a token without a tag", hint)
        if "" in cells:
            raise DataError(f"{where}: column {cells.index('') + 1} is empty", KEEPS_GOING)
        self._width = self._width or len(cells)
        if len(cells) != self._width:
            raise DataError(f"{where} has {len(cells)} columns instead of {self._width}", KEEPS_GOING)

    def end(self) -> Iterator[Parsed]:
        """The sentence, if there is one; then the next begins."""
        rows, where, error = self._rows, self._where, self._error
        self._clear()
        if error:
            yield None, where, error
        elif rows:
            tokens, *others, tags = map(list, zip(*rows, strict=True))
            record = {"tokens": tokens, "tags": tags}
            record |= {f"tags_{i}": column for i, column in enumerate(reversed(others), 1)}
            yield record, where, None


def _cells(text: str) -> list[str]:
    # Not str.split(): there are tokens that are, or have, a space of another kind, such as U+00A0.
    if "\t" in text:
        return [cell.strip(" ") for cell in text.split("\t")]
    return [cell for cell in text.split(" ") if cell]
