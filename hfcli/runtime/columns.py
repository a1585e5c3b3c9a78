"""Where the texts of a record are."""

from collections.abc import Mapping
from dataclasses import dataclass

from hfcli.errors import DataError, UsageError
from hfcli.tasks import _columns
from hfcli.tasks.base import Record, Task
from hfcli.tasks.text_classification import check_text

_LIKE_TEXT = "some words"


@dataclass
class Columns:
    """Which columns of a record are its texts: as flags say, else as stored with the model, else by name and content.

    Attributes:
        task: Whose fields they are.
        given: Field to column as flags say; None where there is no flag, "" to take none.
        stored: The same as stored with the model, {} where nothing is.
        model: Name of the model, for errors.
        found: What they are; None until the first record has been seen.
    """

    task: Task
    given: Mapping[str, str | None]
    stored: Mapping[str, str | None]
    model: str
    found: Mapping[str, str | None] | None = None

    def lines(self, column: str) -> None:
        """The input is lines of text, each a record with this one column.

        Raises:
            UsageError: The model reads pairs.
        """
        found = {name: column if not i else None for i, name in enumerate(self._names)}
        self._no_half_pair(found, "the input is plain text")
        self.found = found

    @property
    def _names(self) -> list[str]:
        return [field.name for field in self.task.fields]

    def canonical(self, record: Record) -> dict[str, str]:
        """The record's texts as the task reads them: `text`, and `text_pair` where there is one.

        Raises:
            DataError: A column is not there, could be several, or holds no text.
            UsageError: A flag names a column that is not there.
        """
        if self.found is None:
            self.found = self._find(record)
        texts = {}
        for name, column in self.found.items():
            if column is None:
                continue
            if column not in record:
                raise DataError(f"no column {column}; there is {', '.join(record) or 'nothing'}")
            texts[name] = check_text(record[column], column)
        return texts

    def texts(self, record: Record) -> list[str]:
        """A record's texts as they stand there, for showing."""
        columns = (self.found or {}).values()
        return [str(record[column]) for column in columns if column is not None and column in record]

    def _find(self, record: Record) -> dict[str, str | None]:
        given = dict(self.given)
        for name, column in self.stored.items():
            if (
                name in self._names
                and given.get(name) is None
                and (column in record if column else name == "text_pair")
            ):
                given[name] = column or ""
        sample = {name: [value] for name, value in record.items()}
        try:
            found = _columns.find(sample, self.task, given, {}, need_target=False)
        except DataError:  # one record may be a bad example; what is called like a text is one
            called = {name for field in self.task.fields for name in field.aliases}
            sample |= {name: [_LIKE_TEXT] for name in sample if name.casefold() in called}
            found = _columns.find(sample, self.task, given, {}, need_target=False)
        texts = {name: found[name] for name in self._names}
        self._no_half_pair(texts, f"there is {', '.join(record)}")
        return texts

    def _no_half_pair(self, texts: Mapping[str, str | None], there: str) -> None:
        pair = self.stored.get("text_pair")
        if pair and texts["text_pair"] is None and self.given.get("text_pair") is None:
            first = self.stored.get("text") or "text"
            raise UsageError(
                f"{self.model} was trained on pairs of texts ({first}, {pair}), and {there}",
                "--text-column A --text-pair-column B; or --text-pair-column '' to take one text",
            )
