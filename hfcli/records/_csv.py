"""Lines for csv.reader, and its errors in our words."""

import csv
import re
from collections.abc import Iterator

from hfcli.errors import DataError
from hfcli.records import _input
from hfcli.records._input import KEEPS_GOING, Input, Line


class CsvFeed(Iterator[str]):
    """Hands lines to csv.reader and remembers those of the row it is in.

    An error in a line must not reach the reader: it would forget that it stands inside quotes, and what is left of the
    row would be read as rows. So the line goes through as well as it can, and its error is laid aside for the row.
    """

    def __init__(self, source: Input, lines: Iterator[Line]) -> None:
        self._source, self._lines = source, lines
        self.start_row()

    def start_row(self) -> None:
        self.number = 0  # line on which the row starts
        self.error: DataError | None = None
        self._texts: list[str] = []
        self._size_bytes = 0

    @property
    def where(self) -> str:
        return f"{self._source.name}:{self.number}"

    @property
    def blank(self) -> bool:
        return len(self._texts) == 1 and not self._texts[0].strip(" \t\r\n")

    def __next__(self) -> str:
        line = next(self._lines)
        self.number = self.number or line.number
        self._size_bytes += len(line.raw or b"")
        if self._size_bytes > _input.MAX_LINE_BYTES:
            message = f"{self._quote_line()} opens a quote that is not closed within {_input.MAX_LINE_BYTES >> 20} MB"
            raise DataError(message, 'close it; a quote inside a quoted field is written twice: ""')
        try:
            text = self._source.decode_line(line) + "\n"
        except DataError as error:
            self.error = self.error or error
            text = (line.raw or b"").replace(b"\0", b"?").decode(errors="replace") + "\n"
        self._texts.append(text)
        return text

    def _quote_line(self) -> str:
        """Where the field starts that the row stops in: after as many whole fields as there are."""
        text = "".join(self._texts)
        whole = re.match(r'(?:(?:"[^"]*+(?:""[^"]*+)*+"|[^",\n][^,\n]*+)?+,)*+', text)
        lines = text.count("\n", 0, whole.end()) if whole else 0
        return f"{self._source.name}:{self.number + lines}"

    def explain(self, error: csv.Error) -> DataError:
        """The csv module's error in our words; an unclosed quote is raised, since it swallowed all that follows it."""
        problem = str(error)
        if "unexpected end" in problem:
            hint = 'close it; a quote inside a quoted field is written twice: ""'
            raise DataError(f"{self._quote_line()} opens a quote that is never closed", hint) from error
        if "expected after" in problem:
            hint = 'a quote inside a quoted field is written twice: ""'
            return DataError(f"{self.where} has text after a closing quote", hint)
        if "new-line" in problem:
            hint = self._source.convert(r"tr '\r' '\n'")
            return DataError(f"{self.where} has a carriage return inside a field that is not quoted", hint)
        return DataError(f"{self.where} is not CSV ({problem})", KEEPS_GOING)
