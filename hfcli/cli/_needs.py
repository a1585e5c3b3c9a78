"""What the steps of a recipe need from the Hub, and the revisions of it that were fetched for them."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from hfcli.cli._lock import Lock
from hfcli.cli._reads import within
from hfcli.cli._steps import Checked
from hfcli.cli._written import written
from hfcli.cli.console import Console
from hfcli.errors import HfcliError
from hfcli.options import DEFAULT_MODEL, ModelOptions
from hfcli.options.evaluating import LIKELIHOODS
from hfcli.options.reading import DataOptions

Need = tuple[str, ModelOptions | DataOptions | str | None]
"""The step, and a model with how it is loaded, data, or a tokenizer by its name (None is the usual one)."""


def pinned(step: Checked, lock: Lock) -> Checked:
    """A step that takes the revisions that were prefetched, where it says nothing else."""
    values = step.values
    models, dataset = _models(step), _dataset(values)
    revisions = {}
    if len(models) == 1 and values.get("revision") is None and "revision" in values:
        revisions["revision"] = lock.revision("model", models[0])
    if values.get("dataset_revision") is None and "dataset_revision" in values:
        revisions["dataset_revision"] = lock.revision("dataset", dataset)
    return step.adding(**{name: commit for name, commit in revisions.items() if commit is not None})


def of(checked: Sequence[Checked], chosen: Sequence[Checked]) -> list[Need]:
    """What some of the steps need, each once; what an earlier step makes is not needed from anywhere.

    Args:
        checked: All steps.
        chosen: Those that are to be run.
    """
    made: list[str] = []
    found: list[Need] = []
    for step in checked:
        if any(step.number == each.number for each in chosen):
            found += [need for need in _of(step, made) if need[1:] not in [other[1:] for other in found]]
        made += [os.path.normpath(each.path) for each in written(step)]
    return found


def _of(step: Checked, made: Sequence[str]) -> Iterator[Need]:
    values, where = step.values, step.where
    if step.step.command == "data":
        yield where, values["model"]
    elif "trust_remote_code" in values:
        shared = {name: values[name] for name in ("adapter", "revision", "trust_remote_code", "allow_pickle")}
        if shared["adapter"] is not None and within(shared["adapter"], made):
            shared["adapter"] = None
        for name in [*_models(step), *filter(None, [values.get("scorer")])]:
            if not within(name, made):
                yield where, ModelOptions(model=name, **shared)
    dataset = _dataset(values)
    if dataset is not None and dataset != "-" and not within(dataset, made):
        other = values.get("eval_dataset")
        other = None if other is None or other == "-" or within(other, made) else other
        yield where, DataOptions(dataset, values.get("subset"), values.get("dataset_revision"), eval_dataset=other)
    elif dataset is None and _likelihood(values) and values.get("file") is None and step.step.stdin is None:
        yield where, DataOptions()


def _dataset(values: dict[str, Any]) -> str | None:
    found = values.get("dataset")
    return found if isinstance(found, str) else None


def _likelihood(values: dict[str, Any]) -> bool:
    return any(name.partition(":")[0] in LIKELIHOODS for name in values.get("metric") or [])


def _models(step: Checked) -> list[str]:
    """The models of a step; what it takes by itself, too."""
    values, command = step.values, step.step.command
    named = values.get("name") or values.get("model")
    if named:
        return list(named) if isinstance(named, list) else [str(named)]
    reads = command == "eval" and not values["predictions"]
    if command == "generate" or (reads and (_likelihood(values) or values["file"] is not None)):
        own = os.environ.get("HFCLI_MODEL") if command == "eval" else None
        return [own or DEFAULT_MODEL]
    return []


def fetch(needs: Sequence[Need], console: Console) -> dict[str, str]:
    """Bring all of it to this machine.

    Returns:
        By "model NAME" and "dataset NAME": the commit of what is from the Hub.

    Raises:
        HfcliError: Something is nowhere, or cannot be fetched; the sentence begins with the step.
    """
    from hfcli.runtime import prefetching

    found: dict[str, str] = {}
    for where, need in needs:
        try:
            if isinstance(need, ModelOptions):
                commit = prefetching.model(need, console.tell)
                found |= {f"model {need.model}": commit} if commit and need.revision is None else {}
            elif isinstance(need, DataOptions):
                commits = prefetching.datasets(need, console.tell)
                if need.dataset is not None and need.dataset_revision is None and need.dataset in commits:
                    found[f"dataset {need.dataset}"] = commits[need.dataset]
            else:
                prefetching.tokenizer(need, console.tell)
        except HfcliError as error:
            raise type(error)(f"{where}: {error.message}", error.hint) from error
    return found
