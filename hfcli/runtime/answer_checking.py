"""The data check of questions with their answers."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hfcli.errors import DataError
from hfcli.runtime import counting, findings
from hfcli.runtime.checking import LEFT_OUT, Report, text_lengths
from hfcli.runtime.findings import LEAST_TO_HOLD_OUT, Finding, count
from hfcli.runtime.scanning import Scan
from hfcli.runtime.splits import Split
from hfcli.tasks import _answers
from hfcli.tasks.base import Settings

_AT_ONCE = 4096
_ID, _START = "id", "answer_start"


class _Answered:
    """What a pass over the answers of a split found.

    Attributes:
        split: The records.
        with_answer: How many questions have one.
        without: How many have none.
        contexts: The different contexts, hashed.
        faults: Records with something wrong, by kind, each with what was said of it.
    """

    def __init__(self, split: Split, columns: Mapping[str, str | None]) -> None:
        self.split = split
        self.contexts: set[int] = set()
        self.with_answer = self.without = 0
        self.faults: dict[str, list[tuple[str, str]]] = {}
        ids: set[str] = set()
        column = str(columns["answers"])
        fields = {"context": columns["context"], "answers": column}
        fields |= {name: name for name in (_ID, _START) if name in split.columns}
        for start in range(0, len(split), _AT_ONCE):
            indices = range(start, min(start + _AT_ONCE, len(split)))
            for index, record in zip(indices, split.records(indices, fields), strict=True):
                where = split.where(index) + (f" (id {record[_ID]})" if _ID in record else "")
                if record.get(_ID) is not None and str(record[_ID]) in ids:
                    self.faults.setdefault("repeated-id", []).append((where, ""))
                ids.add(str(record.get(_ID)))
                if isinstance(record["context"], str):
                    self._read(record["context"], record["answers"], record.get(_START), column, where)

    def _read(self, context: str, cell: object, start: object, column: str, where: str) -> None:
        self.contexts.add(hash(" ".join(context.split())))
        kind = "not-answer"
        try:
            answers = _answers.read(cell, start, column)
            self.with_answer, self.without = self.with_answer + bool(answers.texts), self.without + (not answers.texts)
            kind = "lost-answer"
            _, repaired = _answers.located(answers, context)
        except DataError as error:
            self.faults.setdefault(kind, []).append((where, error.message))
            return
        if repaired:
            self.faults.setdefault("moved-answer", []).append((where, ""))


def check(
    train: Split,
    evaluation: Split | None,
    columns: Mapping[str, str | None],
    *,
    settings: Settings,
    token_counts: np.ndarray | None = None,
    counter: counting.Counter | None = None,
    long_questions: Sequence[int] = (),
) -> Report:
    """Check records.

    Args:
        train: What is learnt from.
        evaluation: What is measured on; None where some of the others will be held out.
        columns: The columns of question, context and answers.
        settings: `max_length`, `on_long` and `doc_stride` are read.
        token_counts: Tokens of each record of `train`, 0 for one that was not counted: `(records,)`.
        counter: What they were counted with; None for the tokens of a model that is known.
        long_questions: Records of `train` whose question leaves no room for the context.
    """
    splits = [split for split in (train, evaluation) if split is not None]
    texts = {name: columns[name] for name in ("question", "context")}
    scans, answered = [Scan(split, texts, None) for split in splits], [_Answered(split, columns) for split in splits]
    found = [
        *findings.unreadable([error for split in splits for error in split.bad]),
        *findings.texts(scans),
        *_wrong(answered),
        *_long(train, long_questions, settings.max_length),
        *_few(answered),
        *findings.repeats(scans[0], scans[1] if len(scans) > 1 else None),
        *_shared(answered),
    ]
    found.sort(key=lambda finding: finding.level != "error")
    used = set(columns.values()) | {_ID, _START}
    kinds = {finding.kind for finding in found}
    return Report(
        train=train.title,
        records=len(train),
        evaluation=evaluation.title if evaluation is not None else "",
        evaluation_records=len(evaluation) if evaluation is not None else 0,
        columns=columns,
        unused=tuple(name for name in train.columns if name not in used),
        problem_type=None,
        labels=_counts(answered[0]),
        evaluation_labels=_counts(answered[1]) if len(answered) > 1 else {},
        per_record=1.0,
        numbers=None,
        lengths=text_lengths(token_counts, settings, counter),
        findings=tuple(found),
        fix=None,
        flags=("--on-error skip",) if kinds & LEFT_OUT else (),
        task=settings.task,
    )


def _counts(answered: _Answered) -> dict[str, int]:
    """Of a data set in which some questions have no answer, how many."""
    return {"an answer": answered.with_answer, "none": answered.without} if answered.without else {}


def _wrong(answered: Sequence[_Answered]) -> Iterator[Finding]:
    said = {
        "not-answer": ("error", "record: {}", "records: {}"),
        "lost-answer": ("error", "record: {}", "records, the first: {}"),
        "repeated-id": ("warn", "id stands there before", "ids stand there before"),
        "moved-answer": (
            "warn",
            "answer stands elsewhere than its answer_start says; it is taken from there",
            "answers stand elsewhere than their answer_start says; they are taken from there",
        ),
    }
    for kind, (level, one, many) in said.items():
        faults = [fault for each in answered for fault in each.faults.get(kind, ())]
        if faults:
            text = (one if len(faults) == 1 else many).replace("{}", faults[0][1])
            places = tuple((where,) for where, _ in faults)
            yield Finding("error" if level == "error" else "warn", kind, f"{len(faults):,} {text}", places)


def _long(train: Split, records: Sequence[int], max_length: int) -> Iterator[Finding]:
    if records:
        text = (
            f"{count(len(records), 'question')} that leave{'s' * (len(records) == 1)} no room in {max_length:,} tokens"
        )
        yield Finding("error", "long-question", text, tuple((train.where(index),) for index in records))


def _few(answered: Sequence[_Answered]) -> Iterator[Finding]:
    train = answered[0]
    if not train.with_answer and len(train.split):
        yield Finding("error", "no-labels", f"no question of {train.split.name} has an answer")
    elif len(answered) == 1 and len(train.split) < LEAST_TO_HOLD_OUT:
        text = f"{count(len(train.split), 'record')}, too few to hold some out; --eval-dataset FILE names others"
        yield Finding("error", "few-to-hold-out", text)


def _shared(answered: Sequence[_Answered]) -> Iterator[Finding]:
    if len(answered) < 2:
        return
    both = len(answered[0].contexts & answered[1].contexts)
    if both:
        verb = "is" if both == 1 else "are"
        text = f"{both:,} of {count(len(answered[1].contexts), 'evaluation context')} {verb} also in training"
        yield Finding("warn", "shared-context", text)
