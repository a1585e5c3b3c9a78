"""Text classification: a text, or a pair of them, in; a label, several labels or a number out."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hfcli.errors import DataError, ModelError
from hfcli.tasks import _text, _windows
from hfcli.tasks._labels import MULTI, REGRESSION
from hfcli.tasks.base import Feature, Field, Record, Setup, Task

# A second text is looked for beside the first that stands before it here.
_PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("question", "passage"),
    ("question", "context"),
    ("question", "answer"),
    ("query", "passage"),
    ("query", "document"),
    ("claim", "evidence"),
    ("text1", "text2"),
    ("text_a", "text_b"),
)
_TEXTS = "sentence review review_text review_body content body message comment tweet document description".split()
_LABELS = "labels class category target sentiment intent topic emotion rating stars score similarity_score".split()


def prepare(labels: Sequence[Any], options: Any = None) -> dict[str, Any]:
    """What the config of a model says that has this head.

    Args:
        labels: Labels: the problem type and the names.
        options: Not read.
    """
    problem_type, names = labels
    names = names or ("LABEL_0",)
    return {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
        "problem_type": problem_type,
    }


def encode(records: Sequence[Record], setup: Setup) -> Iterator[list[Feature]]:
    """Each record's windows: `input_ids` and, where the model has them, `token_type_ids`, int32 of shape `(seq,)`.

    What a text says stays text: `[SEP]` in it is no separator. A record that cannot be encoded raises in its turn,
    after those before it were given out.

    Args:
        records: `text`, and where there is one `text_pair`; `label` as a class id, a number or a list of class ids.
        setup: Its options are Settings.

    Yields:
        Features with `labels` int64 `()` for a class, float32 `()` for a number, float32 `(labels,)` for several
        classes, and a Window as notes.

    Raises:
        DataError: A text is no text, has no tokens, or is too long where that is an error.
        UsageError: The settings leave no room for text.
    """
    texts: list[tuple[str, ...] | DataError] = []
    for record in records:
        try:
            texts.append(_texts(record, setup))
        except DataError as error:
            texts.append(error)
            break
    typed = _windows.has_types(setup)
    encoded: dict[int, _windows.Windows | DataError] = {}
    for count in (1, 2):
        chosen = {i: text for i, text in enumerate(texts) if not isinstance(text, DataError) and len(text) == count}
        if chosen:
            windows = _windows.encode(
                setup.tokenizer, list(chosen.values()), setup.options, setup.max_tokens, types=typed
            )
            encoded.update(zip(chosen, windows, strict=True))
    for i, (record, text) in enumerate(zip(records, texts, strict=False)):
        result = text if isinstance(text, DataError) else encoded[i]
        if isinstance(result, DataError):
            raise result
        labels = _target(record.get("label"), setup)
        yield [Feature(inputs, labels, result.note) for inputs in result.inputs]


def _texts(record: Record, setup: Setup) -> tuple[str, ...]:
    columns = setup.options.columns
    text = check_text(record.get("text"), columns.get("text") or "text")
    pair, column = record.get("text_pair"), columns.get("text_pair")
    return (text,) if pair is None and not column else (text, check_text(pair, column or "text_pair"))


def check_text(value: Any, column: str) -> str:
    """A cell that is text, and may be empty.

    Raises:
        DataError: It is something else, or no Unicode.
    """
    return _text.check(value, f"column {column}")


def _target(label: Any, setup: Setup) -> dict[str, np.ndarray]:
    if label is None:
        return {}
    if isinstance(label, list):
        several = np.zeros(len(setup.labels), dtype=np.float32)
        several[label] = 1
        return {"labels": several}
    return {"labels": np.array(label, dtype=np.float32 if problem_type(setup) == REGRESSION else np.int64)}


def problem_type(setup: Setup) -> str | None:
    """One class, several, or a number: as stored with the model, else as its config says; None where neither does."""
    stored: str | None = setup.options.problem_type or getattr(setup.config, "problem_type", None)
    return stored


def probabilities(logits: np.ndarray, problem_type: str | None) -> np.ndarray:
    """What a model's outputs say.

    Args:
        logits: `(n, k)`.
        problem_type: As in the config; None means one class of k.

    Returns:
        float32 `(n, k)`: probabilities that sum to 1; with several classes, or a single output, each for itself between
        0 and 1; for regression the values as they are.

    Source: `TextClassificationPipeline.postprocess` of transformers 5.23.
    """
    x = logits.astype(np.float64)
    if problem_type != REGRESSION:
        if problem_type == MULTI or x.shape[1] == 1:
            x = 1 / (1 + np.exp(-np.clip(x, -700, 700)))  # exp(710) is too large for a float64
        else:
            x = np.exp(x - x.max(axis=1, keepdims=True))
            x /= x.sum(axis=1, keepdims=True)
    result: np.ndarray = x.astype(np.float32)
    return result


def pool(logits: np.ndarray, problem_type: str | None) -> np.ndarray:
    """One record from its windows: the mean of what each says.

    Args:
        logits: `(windows, k)`.
        problem_type: As in the config.

    Returns:
        float32 `(k,)`.
    """
    mean: np.ndarray = probabilities(logits, problem_type).mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean


def decode(record: Record, features: list[Feature], outputs: np.ndarray, setup: Setup) -> dict[str, Any]:
    """The prediction for a record.

    Args:
        record: Not read.
        features: Not read.
        outputs: Logits, float32 `(windows, k)`.
        setup: Its options are Settings.

    Returns:
        `label`, `score` and `scores` (every label's, likeliest first); with several classes `labels`, those from the
        threshold on, and `scores`; for regression `score`, the number.

    Raises:
        ModelError: The outputs are no numbers.
    """
    kind = problem_type(setup)
    pooled = pool(outputs, kind)
    if np.isnan(pooled).any():
        raise ModelError("the model's outputs are not numbers (nan) for this text", "--dtype float32")
    if kind == REGRESSION:
        return {"score": float(pooled[0])}
    order = np.argsort(-pooled, kind="stable")
    names = setup.labels or tuple(f"LABEL_{i}" for i in range(len(pooled)))
    scores = {names[i]: float(pooled[i]) for i in order}
    if kind == MULTI:
        threshold = setup.options.threshold
        return {"labels": [name for name, score in scores.items() if score >= threshold], "scores": scores}
    best = names[order[0]]
    return {"label": best, "score": scores[best], "scores": scores}


def reference(record: Record) -> Any:
    """A record's class id, class ids or number."""
    return record["label"]


TASK = Task(
    name="text-classification",
    auto_model="AutoModelForSequenceClassification",
    fields=(
        Field("text", (*(first for first, _ in _PAIRS), *_TEXTS)),
        Field("text_pair", tuple(second for _, second in _PAIRS), required=False),
    ),
    target=Field("label", tuple(_LABELS)),
    prepare=prepare,
    encode=encode,
    decode=decode,
    kind="logits",
    outputs=("logits",),
    reference=reference,
    metrics=("accuracy", "f1_macro"),
    defaults={"learning_rate": 2e-5, "batch_size": 32, "num_train_epochs": 3},
    example={"text": "A quiet, lovely film.", "label": "pos"},
)
