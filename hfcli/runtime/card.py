"""The model card: what a finetuned model is, how good, on what, and how it was made, as README.md.

Names of labels, columns and data sets are whatever their owners wrote; they are escaped wherever they are shown.
"""

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from hfcli.recipes import Step
from hfcli.runtime.curves import LOSS

if TYPE_CHECKING:
    from hfcli.runtime.saving import Result

_MARKUP = re.compile(r"([\\`*_\[\]<>|~&$#])")
# Control characters, line ends that only some readers know, changes of direction, halves of surrogate pairs.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_MATRIX_CLASSES = 20
_TABLE_CLASSES = 50
_ANSWERS = "question-answering"
_SHORT_TEXTS = (
    "`hfcli qa` reads texts of any length in windows, and finds the best answer whose end is not before its start; the "
    "lines of Python take one window, and the likeliest start and end for themselves."
)
_FEW_RECORDS = 30  # a share of so many is known to 18 points only


def text(result: "Result", step: Step, picture: str | None) -> str:
    """The card.

    Args:
        result: What is told. Its model's name is one that may be shown to others.
        step: The command that repeats the run; its `output` is what the folder is called.
        picture: Name of the file with the curves, None without.
    """
    folder = str(step.flags["output"])
    parts = [
        f"---\n{yaml.safe_dump(_header(result), sort_keys=False, allow_unicode=True)}---",
        f"# {shown(result.name)}",
        _what(result),
        _use(result, folder),
        _scores(result, picture),
        _classes(result.per_class or []),
        _matrix(result),
        _data(result),
        _lengths(result),
        _made(result),
        f"## How to repeat it\n\n{_block('sh', step.shell(('model',)))}\n\n`hfcli.yaml` says the same as a recipe.",
        f"## Limits\n\n{_limits(result)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(name: Any, characters: int = 60) -> str:
    """A name as text of one line in which nothing is markup."""
    plain = _UNSEEN.sub(" ", str(name)).strip()
    plain = plain if len(plain) <= characters else plain[: characters - 1] + "…"
    return _MARKUP.sub(r"\\\1", plain) or "(empty)"


def number(value: float) -> str:
    """A score, with as many digits as its interval makes use of."""
    if not math.isfinite(value):
        return "not defined"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def duration(seconds: float) -> str:
    """`41 s`, `8 min 41 s`, `3 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _header(result: "Result") -> dict[str, Any]:
    """What the Hub reads; it refuses a base model or a data set that it does not have."""
    train, evaluation = result.rows
    metrics = [
        {"type": name, "name": name, "value": score.value}
        for name, score in result.scores.items()
        if math.isfinite(score.value)
    ]
    hub = _hub_name(evaluation)
    data = {
        "name": evaluation["name"] + (" (held out)" if evaluation["held_out"] else ""),
        "type": hub or evaluation["name"],
        "split": evaluation["split"],
        **({"revision": evaluation["revision"]} if hub else {}),
    }
    measured = {"task": {"type": result.settings.task}, "dataset": data, "metrics": metrics}
    return {
        "library_name": "transformers",
        "pipeline_tag": result.settings.task,
        **({"base_model": result.model_name} if result.model_revision else {}),
        **({"datasets": [_hub_name(train)]} if _hub_name(train) else {}),
        "tags": ["hfcli"],
        **({"model-index": [{"name": result.name, "results": [measured]}]} if metrics else {}),
    }


def _hub_name(row: Mapping[str, Any]) -> str | None:
    return str(row["name"]).split(" ")[0] if row["revision"] else None


def _link(name: str, hub: str | None, kind: str = "") -> str:
    return f"[{shown(name)}](https://huggingface.co/{kind}{hub})" if hub else shown(name)


def _what(result: "Result") -> str:
    train, _ = result.rows
    base = _link(result.model_name, result.model_name if result.model_revision else None)
    data = _link(train["name"], _hub_name(train), "datasets/")
    if result.settings.task == _ANSWERS:
        none = ", or says that it has none" if result.settings.null_threshold is not None else ""
        reads = "a question and a text and gives the part of the text that answers it"
        return f"{base}, finetuned on {data}: it reads {reads}{none}."
    kind, names = result.settings.problem_type, result.labels
    listed = ", ".join(map(shown, names[:6])) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    gives = f"one of {len(names)} labels ({listed})"
    if kind == "regression":
        gives = f"a number ({shown(result.columns['label'])})"
    elif kind == "multi_label_classification":
        gives = f"any of {len(names)} labels ({listed})"
    pair = result.columns.get("text_pair")
    reads = f"a pair of texts ({shown(result.columns['text'])}, {shown(pair)})" if pair else "a text"
    return f"{base}, finetuned on {data}: it reads {reads} and gives {gives}."


def _use(result: "Result", folder: str) -> str:
    columns, settings = result.columns, result.settings
    if settings.task == _ANSWERS:
        shell = f'hfcli qa -m {shlex.quote(folder)} --context-file FILE --question "..."'
        return f"## How to use it\n\n{_block('sh', shell)}\n\n{_block('python', _python(folder))}\n\n{_SHORT_TEXTS}"
    if columns.get("text_pair"):
        record = json.dumps({columns["text"]: "...", columns["text_pair"]: "..."}, ensure_ascii=False)
        shell = f"echo {shlex.quote(record)} | hfcli classify -m {shlex.quote(folder)}"
        given = '{"text": "...", "text_pair": "..."}'
    else:
        shell, given = f'hfcli classify -m {shlex.quote(folder)} "some text"', '"some text"'
    every = ", top_k=None" if settings.problem_type == "multi_label_classification" else ""
    python = (
        "from transformers import pipeline\n"
        f'classify = pipeline("{settings.task}", model={json.dumps(folder, ensure_ascii=False)})\n'
        f"classify({given}{every}, truncation=True, max_length={settings.max_length})"
    )
    windows = (
        "\n\n`hfcli classify` reads a longer text in windows and averages what it thinks of them; the three lines read "
        "its beginning."
        if settings.on_long == "window"
        else ""
    )
    return f"## How to use it\n\n{_block('sh', shell)}\n\n{_block('python', python)}{windows}"


def _python(folder: str) -> str:
    """Without hfcli: the best span of a text that fits at once. transformers has no pipeline for it any more."""
    name = json.dumps(folder, ensure_ascii=False)
    return f"""import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({name})
model = AutoModelForQuestionAnswering.from_pretrained({name})
inputs = tokenizer("the question", "the text", return_tensors="pt")
with torch.no_grad():
    found = model(**inputs)
start, end = found.start_logits.argmax(), found.end_logits.argmax()
print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))"""


def _block(language: str, code: str) -> str:
    """A code block that nothing in it ends."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
    return f"{fence}{language}\n{code}\n{fence}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are Markdown already; columns of numbers are set to the right."""
    numbers = [all(cell[:1].isdigit() or cell[:1] == "-" for cell in column) for column in zip(*rows, strict=True)]
    lines = [head, ["---:" if right else "---" for right in numbers], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _scores(result: "Result", picture: str | None) -> str:
    train, evaluation = result.rows
    rows = [
        [name, number(one.value), "" if name == LOSS else f"{number(one.low)} to {number(one.high)}", f"{one.n:,}"]
        for name, one in result.scores.items()
    ]
    n = evaluation["records"]
    where = f"{n:,} records of {_place(evaluation)}"
    if evaluation["held_out"]:
        share = n / (n + train["records"])
        where = f"{n:,} records that were held out of {_place(train)} ({share:.0%}, seed {result.seed})"
    times, epoch = len(result.evaluations), f"epoch {round(result.best['epoch'], 2):g}"
    kind = (
        f"They chose {epoch}, the best of {times} measurements, so the scores are a bit kind: records that had no part "
        "in the choice would give the fair ones."
    )
    chosen = kind if times > 1 else f"They were measured once, after {epoch}, and chose nothing."
    image = f"\n\n![Losses and {next(iter(result.scores))} over the steps]({picture})" if picture else ""
    return (
        f"## Scores\n\nMeasured on {where}. {chosen}\n\n"
        f"{_table(['metric', 'score', '95% interval', 'n'], rows)}\n\n"
        f"The intervals are bootstrapped over the records.{image}"
    )


def _place(row: Mapping[str, Any]) -> str:
    name = _link(row["name"], _hub_name(row), "datasets/")
    return name if row["split"] in (None, row["name"]) else f"{name}, split {shown(row['split'])}"


def _classes(per_class: Sequence[Mapping[str, Any]]) -> str:
    if not per_class:
        return ""
    chosen, note = per_class, ""
    if len(per_class) > _TABLE_CLASSES:
        chosen = sorted(per_class, key=lambda row: row["f1"])[:_MATRIX_CLASSES]
        note = f"The {_MATRIX_CLASSES} of {len(per_class)} labels with the lowest F1; metrics.json has all.\n\n"
    rows = [
        [
            shown(row["label"]), number(row["precision"]), number(row["recall"]), number(row["f1"]), f"{row['n']:,}",
            ", ".join(f"{count:,} as {shown(other)}" for other, count in row["read_as"][:3]),
        ]
        for row in chosen
    ]  # fmt: skip
    return f"## By label\n\n{note}{_table(['label', 'precision', 'recall', 'f1', 'n', 'read as another'], rows)}"


def _matrix(result: "Result") -> str:
    if not result.confusion or len(result.labels) > _MATRIX_CLASSES:
        return ""
    names = [shown(name) for name in result.labels]
    rows = [
        [f"**{name}**", *(f"{count:,}" for count in row)] for name, row in zip(names, result.confusion, strict=True)
    ]
    return f"Rows are what the records are labelled, columns what the model says:\n\n{_table(['', *names], rows)}"


def _data(result: "Result") -> str:
    rows = []
    for row in result.rows:
        held = ", held out" if row["held_out"] else ""
        made = row["revision"][:12] if row["revision"] else ""
        rows.append([row["role"] + held, _place(row), f"{row['records']:,}", made])
    columns = [f"{field} ← {shown(column)}" for field, column in result.columns.items() if column]
    table = _table(["part", "data", "records", "revision"], rows)
    return f"## Training data\n\n{table}\n\nColumns: {' · '.join(columns)}"


def _lengths(result: "Result") -> str:
    lengths, settings = result.lengths, result.settings
    if lengths is None:
        return ""
    counts = f"median {lengths.median:,} tokens, 95% under {lengths.p95:,}, longest {lengths.longest:,}"
    limit = f"`max_length` {lengths.max_length:,}"
    if not lengths.cut_records:
        what = f"None is longer than {limit}."
    elif lengths.on_long == "window":
        overlap = f"windows that overlap by {settings.doc_stride} tokens"
        what = (
            f"{_share(lengths.cut_records)} of them are longer than {limit} and are read in {overlap}; nothing is cut."
        )
    else:
        cut = f"{_share(lengths.cut_records)} of them and {_share(lengths.cut_tokens)} of all tokens"
        what = f"`on_long` {lengths.on_long} at {limit} cuts {cut}."
    return f"## Long texts\n\nTraining texts: {counts}. {what}"


def _share(part: float) -> str:
    return f"{part:.1%}" if part >= 0.001 else f"{part:.2g}"


def _made(result: "Result") -> str:
    settings = result.settings
    values = {**result.hyperparameters, "max-length": settings.max_length, "on-long": settings.on_long}
    values |= {"doc-stride": settings.doc_stride} if settings.on_long == "window" else {}
    values |= {"threshold": settings.threshold} if settings.problem_type == "multi_label_classification" else {}
    if settings.task == _ANSWERS:
        values |= {"max-answer-length": settings.max_answer_length}
        if settings.null_threshold is not None:
            values |= {"no answer above (probability)": number(settings.null_threshold)}
    rows = [[name, shown("yes" if value is True else value, 200)] for name, value in values.items()]
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    return (
        f"## How it was made\n\n{_table(['setting', 'value'], rows)}\n\n"
        f"It took {duration(result.seconds)} on {result.device}. Versions: {versions}."
    )


def _limits(result: "Result") -> str:
    """What the figures do not promise, in two sentences at most."""
    if result.settings.task == _ANSWERS:
        if result.settings.null_threshold is None:
            return "It gives an answer to every question, also to one that the text does not answer."
        return "It knows only what the text says, in words of the text; sums, counts and yes or no it cannot give."
    if result.settings.problem_type == "regression":
        return "It gives a number for any text, also for one unlike all that it was trained on."
    first = f"It knows {len(result.labels)} labels and gives one of them also to a text that fits none."
    if result.settings.problem_type == "multi_label_classification":
        first = f"It knows {len(result.labels)} labels, and whatever else a text is about it cannot say."
    rows = result.per_class or []
    few = [row for row in rows if row["n"] < _FEW_RECORDS]
    if few:
        listed = ", ".join(shown(row["label"]) for row in few[:5]) + (", ..." if len(few) > 5 else "")
        return f"{first} There were fewer than {_FEW_RECORDS} records to measure {listed} on, too few to rely on."
    worst = min(rows, key=lambda row: row["recall"], default=None)
    if worst is None or worst["recall"] == 1:
        return first
    missed = f"{1 - worst['recall']:.1%} of its {worst['n']:,} records"
    return f"{first} Its weakest label is {shown(worst['label'])}: it does not find {missed}."
