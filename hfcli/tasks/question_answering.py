"""Extractive question answering: a question and a passage in; the part of the passage that answers it, or none, out."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from hfcli.errors import DataError, ModelError, UsageError
from hfcli.tasks import _answers, _spans, _text, _windows
from hfcli.tasks._passages import Passage, Passages
from hfcli.tasks._spans import Place
from hfcli.tasks.base import Feature, Field, Record, Settings, Setup, Task

N_BEST = 20
"""Spans that share out the probability."""
_AT_ONCE = 1024
_LEAST_ROOM = 16  # tokens of the passage in a window


def encode(records: Sequence[Record], setup: Setup, passages: Passages | None = None) -> Iterator[list[Feature]]:
    """Each record's windows: special tokens, the question, a part of the passage; int32 `(seq,)` each.

    What a text says stays text. A record that cannot be encoded raises in its turn, after those before it were given
    out.

    Args:
        records: `question` and `context`; `answers`, an Answers with places, where there is something to learn.
        setup: Its options are Settings.
        passages: Remembers passages from call to call.

    Yields:
        Features with a Place as notes, and where there are answers with `start_positions` and `end_positions`, int64
        `()`: the tokens of the first answer, or the null token twice.

    Raises:
        DataError: A text is no text, or empty, or the question leaves no room for the passage.
        UsageError: The settings leave no room for text.
        ModelError: The tokenizer does not say where a token stands in the text.
    """
    texts: list[tuple[str, str]] = []
    wrong: DataError | None = None
    for record in records:
        try:
            texts.append(_texts(record, setup))
        except DataError as error:
            wrong = error
            break
    if texts:
        yield from _encoded(records, texts, setup, passages or Passages(setup.tokenizer))
    if wrong is not None:
        raise wrong


def _texts(record: Record, setup: Setup) -> tuple[str, str]:
    """Question and passage.

    Raises:
        DataError: One of them is no text, or empty.
    """
    columns = setup.options.columns
    question, context = (
        _text.check(record.get(name), f"column {columns.get(name) or name}") for name in ("question", "context")
    )
    for name, text in (("question", question), ("context", context)):
        if not text.strip():
            raise DataError(f"the {name} is empty")
    return question.strip(), context


def _encoded(
    records: Sequence[Record], texts: list[tuple[str, str]], setup: Setup, passages: Passages
) -> Iterator[list[Feature]]:
    rows = _Rows(setup)
    found = passages.get(context for _, context in texts)
    distinct = list(dict.fromkeys(question for question, _ in texts))
    ids = dict(zip(distinct, _windows.tokenise(setup.tokenizer, distinct)["input_ids"], strict=True))
    for record, (question, _), passage in zip(records, texts, found, strict=False):
        if not len(passage.ids):
            raise DataError("the context has no tokens")
        features = rows.windows(np.array(ids[question], dtype=np.int32), passage)
        yield _labelled(features, record.get("answers"))


def _labelled(features: list[Feature], answers: "_answers.Answers | None") -> list[Feature]:
    if answers is None:
        return features
    start = answers.starts[0] if answers.texts else None
    where = None if start is None else (start, start + len(answers.texts[0]))
    labelled = []
    for feature in features:
        place = feature.notes
        first, last = place.find(*where) if where else (place.null, place.null)
        positions = {"start_positions": np.array(first), "end_positions": np.array(last)}
        labelled.append(feature._replace(labels=positions))
    return labelled


def too_long(tokens: int, limit: int) -> DataError:
    """The error for a question of so many tokens."""
    return DataError(
        f"the question is {tokens:,} tokens, which leaves no room for the context in --max-length {limit:,}",
        "a shorter question, or a larger --max-length where the model takes it",
    )


def long_questions(questions: Sequence[Any], tokenizer: Any, limit: int) -> dict[int, int]:
    """The questions that leave no room for a passage in so many tokens, by their numbers: their tokens."""
    most = limit - len(_windows.template(tokenizer, 2).ids) - min(_LEAST_ROOM, limit // 4)
    # No token is less than a character, but of a character there may be several.
    doubtful = [i for i, text in enumerate(questions) if isinstance(text, str) and 4 * len(text) > most]
    found: dict[int, int] = {}
    for start in range(0, len(doubtful), _AT_ONCE):
        some = doubtful[start : start + _AT_ONCE]
        texts = [questions[i].encode("utf-8", "replace").decode() for i in some]
        ids = _windows.tokenise(tokenizer, texts)["input_ids"]
        found |= {i: len(tokens) for i, tokens in zip(some, ids, strict=True) if len(tokens) > most}
    return found


class _Rows:
    """Puts questions and passages together, as the model was trained to read them.

    Args:
        setup: Tokenizer and settings.

    Raises:
        UsageError: The settings leave no room for text.
    """

    def __init__(self, setup: Setup) -> None:
        settings = setup.options
        self.around = _windows.template(setup.tokenizer, 2)
        self.limit = min(settings.max_length, setup.max_tokens)
        self.stride = settings.doc_stride
        room = self.limit - len(self.around.ids)
        if self.stride >= room:
            raise UsageError(
                f"--doc-stride {self.stride} is not below the {max(room, 0)} tokens of text that a window of "
                f"{self.limit} holds",
                f"--doc-stride {max(room, 0) // 4}" if room > 0 else "--max-length 384",
            )
        self.types = _windows.has_types(setup)
        self.passage_first = _windows.pads_left(setup.tokenizer, setup.config)
        self.null = [setup.tokenizer.cls_token_id, setup.tokenizer.bos_token_id]

    def windows(self, question: np.ndarray, passage: Passage) -> list[Feature]:
        """The rows of a question, which overlap by `doc_stride` tokens of the passage.

        Where the question leaves less room than the overlap, they overlap by half of the room.

        Raises:
            DataError: It leaves next to none.
        """
        room = self.limit - len(self.around.ids) - len(question)
        if room < min(_LEAST_ROOM, self.limit // 4):
            raise too_long(len(question), self.limit)
        step = room - self.stride if room > self.stride else (room + 1) // 2
        count = 1 + max(0, -(-(len(passage.ids) - room) // step))
        total = len(self.around.ids) + len(question) + len(passage.ids)
        return [self._row(question, passage, i * step, room, total) for i in range(count)]

    def _row(self, question: np.ndarray, passage: Passage, start: int, room: int, total: int) -> Feature:
        around = self.around
        inside = slice(start, start + room)
        texts = [question, passage.ids[inside]]
        if self.passage_first:
            texts.reverse()
        before, between, behind = np.split(around.ids, np.cumsum(around.sizes)[:-1])
        ids = np.concatenate([before, texts[0], between, texts[1], behind])
        first = len(before) + (0 if self.passage_first else len(question) + len(between))
        inputs = {"input_ids": ids}
        if self.types:
            kinds = np.split(around.types, np.cumsum(around.sizes)[:-1])
            lone = [np.full(len(text), kind) for text, kind in zip(texts, around.text_types, strict=True)]
            parts = [kinds[0], lone[0], kinds[1], lone[1], kinds[2]]
            inputs["token_type_ids"] = np.concatenate(parts).astype(np.int32)
        special = np.concatenate([np.arange(len(before)), len(ids) - len(behind) + np.arange(len(behind))])
        place = Place(total, 0, self._null(ids, special), first, passage.starts[inside], passage.ends[inside])
        return Feature(inputs, {}, place)

    def _null(self, ids: np.ndarray, special: np.ndarray) -> int:
        """The place of the CLS token, else of BOS, else of the first one; texts cannot contain them.

        Source: `prepare_train_features` of run_qa.py, transformers 4.57.
        """
        for token in self.null:
            there = special[ids[special] == token] if token is not None else []
            if len(there):
                return int(there[0])
        return 0


class Reading(NamedTuple):
    """What outputs say of a question.

    Attributes:
        spans: The best ones, best first.
        null_difference: The score of no answer, in the window where it is least, minus that of the best span.
    """

    spans: list[_spans.Span]
    null_difference: float


def read(context: str, places: Sequence[Place], outputs: Sequence[np.ndarray], settings: Settings) -> Reading:
    """The best spans of a passage, and how they stand against no answer.

    Args:
        context: The passage.
        places: The notes of its features.
        outputs: Logits of start and end for every token of each feature, float32 `(seq, 2)`.
        settings: `max_answer_length` is read.

    Raises:
        ModelError: The outputs are no numbers.

    Source: the null score is `min_null_score` of utils_qa.py, transformers 4.57.
    """
    if any(np.isnan(output).any() for output in outputs):
        raise ModelError("the model's outputs are not numbers (nan) for this text", "--dtype float32")
    null = min(float(output[place.null].sum(dtype=np.float64)) for place, output in zip(places, outputs, strict=True))
    spans = _spans.best(context, places, outputs, settings.max_answer_length, N_BEST)
    return Reading(spans, null - spans[0].score if spans else float("inf"))


def no_answer(difference: float | np.ndarray, settings: Settings) -> Any:
    """The probability that the passage has no answer, from `null_difference`: calibrated where the model was.

    Source: Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """
    x = np.clip(settings.null_scale * np.asarray(difference, dtype=np.float64) + settings.null_shift, -700, 700)
    return 1 / (1 + np.exp(-x))


def answer(context: str, reading: Reading, settings: Settings) -> dict[str, Any]:
    """The prediction from what was read.

    Returns:
        `answer` (None for no answer), `score`, `start` and `end` (characters), and `answers`: the best spans with
        the same four. Where no answer is a possible answer `no_answer_probability`; scores of spans share the rest.
    """
    spans, settled = reading.spans, settings.null_threshold is not None
    none = float(no_answer(reading.null_difference, settings)) if settled else 0.0
    shares = np.exp([span.score - spans[0].score for span in spans]) if spans else np.ones(0)
    shares = (1 - none) * shares / max(float(shares.sum()), 1.0)
    answers = [
        {"answer": context[span.start : span.end], "score": float(share), "start": span.start, "end": span.end}
        for span, share in zip(spans, shares, strict=True)
    ]
    if not answers or (settings.null_threshold is not None and none > settings.null_threshold):
        first: dict[str, Any] = {"answer": None, "score": none if answers else 1.0, "start": None, "end": None}
    else:
        first = answers[0]
    return {**first, "answers": answers, **({"no_answer_probability": none} if settled else {})}


def decode(record: Record, features: list[Feature], outputs: Sequence[np.ndarray], setup: Setup) -> dict[str, Any]:
    """The prediction for a record: see `answer`.

    Args:
        record: Its `context` is read.
        features: Its windows; their notes are read.
        outputs: Logits of start and end for every token of each, float32 `(seq, 2)`.
        setup: Its options are Settings.

    Raises:
        ModelError: The outputs are no numbers.
    """
    reading = read(record["context"], [feature.notes for feature in features], outputs, setup.options)
    return answer(record["context"], reading, setup.options)


def reference(record: Record) -> tuple[str, ...]:
    """The texts of the right answers, () where there is none."""
    return _answers.read(record["answers"]).texts


TASK = Task(
    name="question-answering",
    auto_model="AutoModelForQuestionAnswering",
    fields=(
        Field("question", ("query",), by_content=False),
        Field("context", ("passage", "paragraph", "document"), by_content=False),
    ),
    target=Field("answers", ("answer", "answer_text"), by_content=False),
    encode=encode,
    decode=decode,
    kind="logits",
    outputs=("start_logits", "end_logits"),
    reference=reference,
    metrics=("f1", "exact_match"),
    defaults={"learning_rate": 3e-5, "batch_size": 12, "num_train_epochs": 2, "max_length": 384},
    example={
        "question": "When is the deposit returned?",
        "context": "The deposit is returned within 30 days after the keys are handed back.",
        "answers": {"text": ["within 30 days after the keys are handed back"], "answer_start": [24]},
    },
)
