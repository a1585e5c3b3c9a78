"""`hfcli eval -m MODEL --dataset D --metric rouge`: what a model writes, compared with what it should have written."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hfcli.cli import _measure, _outcome, _resuming
from hfcli.cli._cells import Cells
from hfcli.cli._details import Details
from hfcli.cli._measure import Asked, Taken
from hfcli.cli._outcome import Outcome
from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError
from hfcli.options import ModelOptions, PromptOptions
from hfcli.options.evaluating import MeasuredData, MetricOptions, PromptedOptions, ShowOptions, StoredOptions

if TYPE_CHECKING:
    from hfcli.runtime.decoding import Decoding
    from hfcli.runtime.prediction import Generator
    from hfcli.runtime.splits import Split

_AT_ONCE = 16  # texts are dear: no more than so many are lost when a run with --details stops


def of_model(
    console: Console,
    data: MeasuredData,
    model: ModelOptions,
    prompted: PromptedOptions,
    on_long: str | None,
    stored: StoredOptions,
    options: MetricOptions,
    show: ShowOptions,
) -> Outcome:
    """Let a model write, and score that.

    Raises:
        UsageError: The options contradict what is there.
        DataError: The data cannot be used.
        ModelError: The model cannot.
    """
    from hfcli import tasks
    from hfcli.runtime import loading, measured, prediction
    from hfcli.runtime.data import one_split
    from hfcli.runtime.decoding import resolve

    _check(prompted, on_long)
    asked = _measure.families(options.metric, lambda: False)
    _outcome.check_limits(show, options.metric)
    split = one_split(data.data(), offline=model.offline, tell=console.tell)
    prompt = prompted.prompt_column or ("prompt" if "prompt" in split.columns else "messages")
    loaded = loading.load(tasks.get("text-generation"), model, console.tell)
    prompts = _prompts(prompted, on_long)
    resolved = resolve(prompted.decoding(), loaded.model.generation_config, loaded.max_tokens)
    generator = prediction.Generator(loaded, resolved, prompts)
    console.begin()
    system = measured.system(loaded, _how(prompted, on_long, prompt, resolved))
    name = measured.name_of_data(data.data(), split, split.columns)
    settings = {"model": system, "data": name, "metric": options.metric}
    with _resuming.details(console, show, settings, "record") as details:
        taken = _Taken(console, generator, split, asked, stored, details, options.group_by, show)
        taken.check(None if prompted.template else prompt)
        begun = time.monotonic()
        outcome = _measure.measure(
            iter(taken),
            asked,
            [(measured.short_name(loaded), system)],
            lambda each: taken.data(each, name),
            details,
            options,
            _AT_ONCE if details else None,
        )
        seconds = time.monotonic() - begun
    if taken.cut:
        console.note(f"{_outcome.counted(taken.cut, 'prompt')} lost the end (--on-long truncate)")
    speed = (len(split) - taken.kept) / max(seconds, 1e-9)
    about = {"name": measured.short_name(loaded), "parameters": measured.parameters(loaded)}
    return outcome._replace(more={"models": [{**about, "per_second": round(speed, 4)}]})


def _check(prompted: PromptedOptions, on_long: str | None) -> None:
    """Refuse what contradicts itself, before a model is loaded."""
    from hfcli.tasks.text_generation import check_template

    if on_long == "window":
        said = "--on-long window reads a text in parts, and an answer is written to all of it"
        raise UsageError(said, "--on-long truncate")
    prompted.decoding().check()
    if prompted.template is not None:
        check_template(prompted.template)
    if prompted.template is not None and prompted.prompt_column is not None:
        raise UsageError("--template and --prompt-column both make the prompt", "leave one of them out")


def _prompts(prompted: PromptedOptions, on_long: str | None) -> PromptOptions:
    options = PromptOptions(prompted.prompt_column, prompted.template, prompted.system)
    return replace(options, on_long="truncate") if on_long == "truncate" else options


def _how(prompted: PromptedOptions, on_long: str | None, prompt: str, resolved: "Decoding") -> list[str]:
    """What a model was asked and how it wrote, for its signature."""
    how = "sampled" if resolved.do_sample else f"beams:{resolved.num_beams}" if resolved.num_beams > 1 else "greedy"
    asks = [f"template:{prompted.template}" if prompted.template else f"prompt:{prompt}"]
    asks += [f"system:{prompted.system}"] if prompted.system else []
    flags = {name: getattr(prompted, name) for name in ("min_new_tokens", "length_penalty", "no_repeat_ngram_size")}
    flags["on_long"] = "truncate" if on_long == "truncate" else None
    given = [f"{name}:{value}" for name, value in flags.items() if value is not None]
    return [*(each.replace("|", "/") for each in asks), f"max_new_tokens:{prompted.max_new_tokens}", how, *given]


class _Taken:
    """Records with what the model writes; those that an earlier run has finished come from its details."""

    def __init__(
        self,
        console: Console,
        generator: "Generator",
        split: "Split",
        asked: Sequence[Asked],
        stored: StoredOptions,
        details: Details,
        group_by: str | None,
        show: ShowOptions,
    ) -> None:
        from hfcli.runtime import measured

        self._console, self._generator, self._split, self._details = console, generator, split, details
        self._show, self._named = show, bool(stored.reference_column)
        columns = [stored.reference_column[:1] for _ in asked]
        self._asked = list(asked)
        self._cells = [
            Cells(each.wanted.family.reads, each.metrics[0].title, None, column)
            for each, column in zip(asked, columns, strict=True)
        ]
        self._groups, self._ids = measured.groups(split, group_by), measured.ids(split)
        self.kept = self.cut = 0

    def check(self, prompt: str | None) -> None:
        """Look for the references before anything is written, and not where the prompt is.

        Args:
            prompt: The column of prompts, None where they are made of several.
        """
        for _, record in self._records():
            where = self._split.where(0)
            for cells in self._cells:
                cells.references([record], True, where)
                if prompt in cells.reference_columns and not self._named:
                    raise DataError(
                        f"{where}: the column {prompt} is the prompt, and no other one is called like a reference; "
                        f"there is {', '.join(record)}",
                        "--reference-column NAME names it",
                    )
            return

    def data(self, asked: Asked, name: str) -> str:
        """What it is measured on, with the column of the references."""
        columns = self._cells[self._asked.index(asked)].reference_columns
        return f"{name}:{'+'.join(columns)}" if columns else name

    def __iter__(self) -> Iterator[Taken]:
        from hfcli.records import Row

        records = self._records()
        for line in self._details.kept():
            self.kept += 1
            row = next(records, None)
            if row is None:
                raise _resuming.other_input(self._show)
            self._generator.skip(Row(row[1], self._split.where(row[0])))
            yield self._one(*row, line["prediction"])
        _resuming.going_on(self._console, self.kept, "record")
        waiting: list[tuple[int, Mapping[str, Any]]] = []

        def rows() -> "Iterator[Row]":
            for index, record in records:
                waiting.append((index, record))
                yield Row(dict(record), self._split.where(index))

        total = len(self._split)
        run = self._generator.run(rows(), self._console.tell, lambda done: done / total, done=self.kept, patient=True)
        for some in run:
            for one in some:
                self.cut += one.over_tokens > 0
                yield self._one(*waiting.pop(0), one.answers[0]["generated_text"])

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        columns: dict[str, str | None] = {name: name for name in self._split.columns}
        for start in range(0, len(self._split), 512):
            indices = range(start, min(start + 512, len(self._split)))
            yield from zip(indices, self._split.records(indices, columns), strict=True)

    def _one(self, index: int, record: Mapping[str, Any], text: str) -> Taken:
        where = self._split.where(index)
        references = [cells.references([record], True, where) for cells in self._cells]
        predictions = [[text] * len(self._cells)]
        return Taken(where, self._ids[index], self._groups[index], predictions, references, record)
