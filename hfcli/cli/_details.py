"""`hfcli eval --details FILE`: a line of JSON for each record, with its own scores, crash-safe and resumable."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Self

from hfcli.errors import UsageError
from hfcli.options.evaluating import ShowOptions
from hfcli.records import dumps


class Details:
    """The file of --details; nothing is written without one.

    Args:
        show: Whether there is one, and whether an unfinished one is gone on with.
        settings: What its lines depend on besides the input.

    Attributes:
        anew: An earlier run has finished it. It does not say with which settings, and so is made anew.

    Raises:
        UsageError: There is an unfinished one, and neither --resume nor --overwrite.
        DataError: It cannot be written.
    """

    def __init__(self, show: ShowOptions, settings: Mapping[str, Any]) -> None:
        self._path, self._output, self.anew = show.details, None, False
        if self._path is not None:
            from hfcli.writing import InputDigest, Output

            self._digest = InputDigest()
            self._output = Output(self._path, settings=settings, resume=show.resume, overwrite=show.overwrite)
            if self._output.complete:
                self.anew = True
                self._output = Output(self._path, settings=settings, resume=False, overwrite=False)
        self._skip = self.done

    def __bool__(self) -> bool:
        return self._output is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._output is not None:
            self._output.close()

    @property
    def done(self) -> int:
        """Records that an earlier run has written, where it did not come to its end."""
        return self._output.done if self._output is not None else 0

    def kept(self) -> Iterator[dict[str, Any]]:
        """What an earlier run has written of these."""
        if self._path is None or not self.done:
            return
        with open(f"{os.path.realpath(self._path)}.partial", encoding="utf-8") as file:
            for line in islice(file, self.done):
                yield json.loads(line)

    def write(self, inputs: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]) -> None:
        """Take in the next records, and write those that are new.

        Args:
            inputs: What came in for each; on resume it has to be the same.
            lines: What is written of each.
        """
        if self._output is None:
            return
        skipped = min(self._skip, len(lines))
        for at, record in enumerate(inputs, 1):
            self._digest.update(record)
            if at == self._skip:
                self._output.check_input(self._digest.hexdigest())
        self._skip -= skipped
        new = [dumps(line).encode("utf-8", "replace") for line in lines[skipped:]]
        if new:
            self._output.write(new, self._digest.hexdigest(), len(new))

    def finish(self) -> None:
        """All records are written.

        Raises:
            UsageError: There were fewer than an earlier run has written.
        """
        if self._skip:
            raise UsageError(
                f"{self._path}.partial was made from other input, with more records than there are",
                "--overwrite starts again",
            )
        if self._output is not None:
            self._output.finish()
