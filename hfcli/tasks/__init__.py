"""The tasks: a file `tasks/<name>.py` that ends in `TASK = Task(...)` is one; its name is its registration."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from hfcli.errors import UsageError, did_you_mean
from hfcli.tasks.base import Task

# By the columns that only their data sets have: for them another column is no label.
_OTHERS = {
    "token-classification": ("tokens", "ner_tags"),
    "translation": ("translation",),
    "summarization": ("document", "summary"),
}
_SHORT = {"classification": "text-classification", "generation": "text-generation", "qa": "question-answering"}


def names() -> list[str]:
    """Names of all tasks, as the Hub spells them."""
    files = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return [name.replace("_", "-") for name in files if name != "base"]


def get(name: str) -> Task:
    """The task of that name, `classification`, `generation` and `qa` being short ones.

    Raises:
        UsageError: There is no such task.
    """
    name = _SHORT.get(name, name)
    if name not in names():
        raise UsageError(f"no task {name}; there is {', '.join(names())}", did_you_mean(name, names()))
    task = import_module(f"hfcli.tasks.{name.replace('-', '_')}").TASK
    assert isinstance(task, Task)
    return task


def infer(columns: Iterable[str]) -> str:
    """The task that a data set is for, from the names of its columns.

    One of which every needed column is there; else text classification, which finds its columns by what they hold.

    Raises:
        UsageError: They are those of a task that there is not.
    """
    there = {column.casefold() for column in columns}
    for other, named in _OTHERS.items():
        if other not in names() and there.issuperset(named) and "label" not in there:
            said = f"the columns {', '.join(named)} are for {other}; there is {', '.join(names())}"
            raise UsageError(said, "--task text-classification --label-column NAME")

    def whole(task: Task) -> bool:
        needed = [field for field in (*task.fields, task.target) if field and field.required]
        return all(not there.isdisjoint((field.name, *field.aliases)) for field in needed)

    usual = "text-classification"
    trainable = [name for name in names() if get(name).target and whole(get(name))]
    return usual if usual in trainable else next(iter(trainable), usual)
