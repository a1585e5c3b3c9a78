"""The tasks: a file `tasks/<name>.py` that ends in `TASK = Task(...)` is one; its name is its registration."""

from importlib import import_module
from pathlib import Path

from hfcli.errors import UsageError, did_you_mean
from hfcli.tasks.base import Task


def names() -> list[str]:
    """Names of all tasks, as the Hub spells them."""
    files = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return [name.replace("_", "-") for name in files if name != "base"]


def get(name: str) -> Task:
    """The task of that name.

    Raises:
        UsageError: There is no such task.
    """
    if name not in names():
        raise UsageError(f"no task {name}; there is {', '.join(names())}", did_you_mean(name, names()))
    task = import_module(f"hfcli.tasks.{name.replace('-', '_')}").TASK
    assert isinstance(task, Task)
    return task
