"""The tasks: a file `tasks/<name>.py` that ends in `TASK = Task(...)` is one; its name is its registration."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from hfcli.errors import UsageError, did_you_mean
from hfcli.tasks.base import Task

# By the columns that only their data sets have: for them another column is no label.
_OTHERS = {
    "question-answering": ("context", "question", "answers"),
    "token-classification": ("tokens", "ner_tags"),
    "translation": ("translation",),
    "summarization": ("document", "summary"),
}
_SHORT = {"classification": "text-classification", "generation": "text-generation"}


def names() -> list[str]:
    """Names of all tasks, as the Hub spells them."""
    files = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return [name.replace("_", "-") for name in files if name != "base"]


def get(name: str) -> Task:
    """The task of that name, `classification` and `generation` being short ones.

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

    The one of which the largest share of needed columns is there; text classification where no name says anything.

    Raises:
        UsageError: They are those of a task that there is not.
    """
    there = {column.casefold() for column in columns}
    for other, named in _OTHERS.items():
        if other not in names() and there.issuperset(named) and "label" not in there:
            said = f"the columns {', '.join(named)} are for {other}; there is {', '.join(names())}"
            raise UsageError(said, "--task text-classification --label-column NAME")

    def share(task: Task) -> float:
        needed = [field for field in (*task.fields, task.target) if field and field.required]
        return sum(not there.isdisjoint((field.name, *field.aliases)) for field in needed) / len(needed)

    trainable = [task for task in map(get, names()) if task.target]
    return max(trainable, key=lambda task: (share(task), task.name == "text-classification")).name
