"""A model on every rank of a job."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from hfcli.events import Tell
from hfcli.options import ModelOptions
from hfcli.runtime import dealing, hub
from hfcli.tasks.base import Task

if TYPE_CHECKING:
    from hfcli.runtime.loading import Loaded

    Load = Callable[[Task, ModelOptions, Tell], Loaded]


def everywhere(load: "Load", task: Task, options: ModelOptions, tell: Tell) -> "Loaded":
    """Load a model here and, where there are others, on all ranks.

    Args:
        load: How; a function of a module, which the others import.
        task: What for.
        options: Which.
        tell: Gets what there is to tell of this rank's.
    """
    pool = dealing.current
    if pool is None:
        return load(task, options, tell)
    assert options.model is not None
    hub.locate(options.model, options, tell)  # so that one rank fetches what all of this machine read
    number = pool.load(_quietly, load, task, options)
    loaded = load(task, options, tell)._replace(remote=dealing.Remote(pool, number))
    pool.own(number, loaded)
    return loaded


def _quietly(load: "Load", task: Task, options: ModelOptions) -> "Loaded":
    return load(task, options, lambda event: None)
