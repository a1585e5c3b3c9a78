"""`hfcli data check` without its screen: a data set found, its tokens counted, what is wrong with it."""

from collections.abc import Mapping

from hfcli.errors import DataError
from hfcli.events import Tell
from hfcli.options.checking import CheckOptions
from hfcli.options.training import Asked, LabelOptions
from hfcli.runtime import answer_checking, checking, counting, data
from hfcli.runtime.checking import Report
from hfcli.runtime.data import Data
from hfcli.runtime.goals import columns_of, task_of
from hfcli.runtime.lengths import check_stride, fit
from hfcli.runtime.span_goal import settings as answer_settings
from hfcli.runtime.splits import Split
from hfcli.tasks import _labels, question_answering
from hfcli.tasks._labels import REGRESSION, Labels
from hfcli.tasks.base import Settings, Task


def examine(dataset: str, options: CheckOptions, asked: Asked, tell: Tell) -> Report:
    """Read a data set, count its tokens and check it.

    Raises:
        DataError: It is not there, or has no column of texts or of what is to be learnt.
        UsageError: The options contradict what is there.
        ModelError: The Hub, the way to it, or the model whose tokenizer counts.
    """
    found = data.load(options.data(dataset), offline=options.offline, tell=tell, on_error="collect")
    task = task_of(found, asked)
    columns = columns_of(found.train, task, asked)
    if task.name == "question-answering":
        return _answers(found, task, columns, options, asked, tell)
    return _labelled(found, task, columns, options, asked, tell)


def _answers(
    found: Data, task: Task, columns: Mapping[str, str | None], options: CheckOptions, asked: Asked, tell: Tell
) -> Report:
    counter = counting.find(options.model, options.offline, tell)
    settings = answer_settings(task, columns, asked, None, counter.max_tokens, counter.name)
    names = [str(columns[name]) for name in ("question", "context")]
    counts = counting.count(counter, found.train, names, tell)
    long: dict[int, int] = {}
    if counter.tokenizer:
        questions = found.train.values(names[0])
        long = question_answering.long_questions(questions, counter.tokenizer, settings.max_length)
    return answer_checking.check(
        found.train, found.evaluation, columns, settings=settings, token_counts=counts, counter=counter,
        long_questions=list(long),
    )  # fmt: skip


def _labelled(
    found: Data, task: Task, columns: Mapping[str, str | None], options: CheckOptions, asked: Asked, tell: Tell
) -> Report:
    labels, wrong = _labels_of(found.train, found.evaluation, str(columns["label"]), asked.labels)
    counter, texts = counting.find(options.model, options.offline, tell), asked.texts
    length = fit(texts.max_length or min(512, counter.max_tokens), counter.max_tokens, counter.name)
    stride = min(128, length // 4) if texts.doc_stride is None else texts.doc_stride
    check_stride(stride, length, texts.on_long)
    settings = Settings(task.name, columns, labels and labels.problem_type, length, texts.on_long or "truncate", stride)
    names = [column for field, column in columns.items() if column is not None and field != "label"]
    counts = counting.count(counter, found.train, names, tell)
    return checking.check(
        found.train, found.evaluation, columns, labels, settings=settings, token_counts=counts, counter=counter,
        wrong=wrong,
    )  # fmt: skip


def _labels_of(
    train: Split, evaluation: Split | None, column: str, asked: LabelOptions
) -> tuple[Labels | None, DataError | None]:
    """What the labels are, or why that cannot be told."""
    if asked.problem_type == REGRESSION:
        return Labels(REGRESSION, ()), None
    values, class_names = checking.label_cells(train, evaluation, column)
    try:
        return _labels.infer(values, class_names, asked.problem_type, ()), None
    except DataError as error:
        return None, error
