"""What is known of a finetuned model, written beside its weights; and both together to the Hub.

Every file is written aside, synced and renamed. metrics.json is the last one: where it is, the run is finished.
"""

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from hfcli.errors import DataError, ModelError, UsageError
from hfcli.events import Lengths, Measured, Note, Tell
from hfcli.options import ModelOptions
from hfcli.recipes import Step
from hfcli.records import dumps
from hfcli.runtime import card, curves, manifest
from hfcli.runtime.hub_errors import TransportError, sentence
from hfcli.tasks.base import Settings

CARD, METRICS, RECIPE = "README.md", "metrics.json", "hfcli.yaml"
SURPRISING, CURVES = "surprising.jsonl", "curves.png"
_PATHS = ("model", "adapter", "dataset", "eval-dataset")  # flags whose value can be a path
_NUMBERS = re.compile(r"\[\n\s+(\d+(?:,\n\s+\d+)*)\n\s+\]")
# Of a run's folder, what is the model: neither the user's records nor how far the run was.
_PUSHED = (".safetensors", ".json", ".txt", ".model", ".jinja", ".tiktoken", ".py", CARD, RECIPE, CURVES)
_NOT_PUSHED = ("run.json",)


@dataclass(frozen=True)
class Result:
    """Everything that is told about a finished finetuning.

    Attributes:
        folder: Where the model is.
        model_name: What it began as: full name on the Hub, or a folder.
        model_revision: The commit, None for what is not from the Hub.
        data: What was learnt from and what was measured on, by `role` (train, evaluation): `name`, `split`,
            `revision` (None for what is not from the Hub), `records`, `held_out`.
        columns: The column of every field and of the label.
        settings: How records are read.
        labels: Names of the classes, () for a number.
        options: The flags that differ from their defaults, by name; with model and dataset as they were given.
        hyperparameters: All values that held.
        history: The lines of history.jsonl.
        best: Where the model is from: `epoch`, `step`, and the evaluation `loss` there.
        scores: By metric; the first one picked the best.
        per_class: Rows of `metrics.report`, None for a number.
        confusion: Records `(label, prediction)`, None where a record has no one label.
        lengths: Of the training texts.
        surprising: Records that seem to be labelled wrongly, as they are to be written.
        versions: Of hfcli and the libraries below it.
        device: What it was trained on, and in which number format.
        seconds: Training time.
        seed: Of everything.
    """

    folder: Path
    model_name: str
    model_revision: str | None
    data: list[dict[str, Any]]
    columns: Mapping[str, str | None]
    settings: Settings
    labels: tuple[str, ...]
    options: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    history: list[dict[str, Any]]
    best: Mapping[str, Any]
    scores: Mapping[str, Measured]
    per_class: list[dict[str, Any]] | None
    confusion: list[list[int]] | None
    lengths: Lengths | None
    surprising: list[dict[str, Any]]
    versions: Mapping[str, str]
    device: str
    seconds: float
    seed: int

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def rows(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Of `data`: what was learnt from, what was measured on."""
        by_role = {row["role"]: row for row in self.data}
        return by_role["train"], by_role["evaluation"]

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """Of `history`: the lines of evaluations."""
        return [line for line in self.history if "train_loss" in line]


def write(result: Result) -> None:
    """Write README.md, hfcli.yaml, curves.png, surprising.jsonl and, last, metrics.json into the result's folder.

    No file has an absolute path: names that are one are given relative to the working directory, or shortened.

    Raises:
        DataError: One of them cannot be written, such as on a full disk.
    """
    step, moved = _step(result)
    result = replace(result, model_name=_portable(result.model_name)[0])
    unit = "squared error" if result.settings.problem_type == "regression" else "nats"
    picture = curves.draw(result.history, next(iter(result.scores)), result.best["step"], unit)
    files: dict[str, str | bytes] = {
        **({CURVES: picture} if picture else {}),
        SURPRISING: "".join(dumps(record) + "\n" for record in result.surprising),
        RECIPE: yaml.safe_dump(_recipe(result, step, moved), sort_keys=False, allow_unicode=True, width=120),
        CARD: card.text(result, step, CURVES if picture else None),
        METRICS: _pretty(_metrics(result)),
    }
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
        _write(result.folder / name, data)


def _write(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.new")
    try:
        try:
            aside.write_bytes(data)
            manifest.sync(aside)
            aside.replace(path)
            manifest.sync(path.parent)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        hint = "make room; the same line with --resume writes it again"
        raise DataError(f"cannot write {path} ({manifest.reason(error)})", hint) from error


def _portable(path: str) -> tuple[str, bool]:
    """A path that says nothing of this machine, and whether it lies elsewhere than below the working directory.

    What is not absolute stays as it is.
    """
    full = os.path.expanduser(path)
    if not os.path.isabs(full):
        return path, False
    inside = os.path.relpath(full)
    outside = inside.split(os.sep)[0] == os.pardir
    return os.path.basename(full.rstrip(os.sep)) if outside else inside, outside


def _step(result: Result) -> tuple[Step, list[str]]:
    """The command that repeats the run, and the files and folders that it does not find where they were."""
    given, (train, _) = dict(result.options), result.rows
    flags = {"model": result.model_name, "dataset": given.get("dataset", train["name"])}
    if result.model_revision:
        flags["revision"] = result.model_revision
    if train["revision"]:
        flags |= {"dataset": train["name"].split(" ")[0], "dataset-revision": train["revision"]}
    if given.pop("seeds", None):
        flags["seed"] = result.seed
    flags = {**given, **flags}
    moved = []
    for name in _PATHS:
        if isinstance(flags.get(name), str):
            path, outside = _portable(flags[name])
            moved += [path] if outside else []
            flags[name] = path if path == flags[name] else f"./{path}"  # or it could be a name on the Hub
    output, outside = _portable(str(result.folder))
    flags["output"] = f"runs/{result.name}" if outside or output == os.curdir else output
    first = [name for name in ("model", "revision", "dataset", "dataset-revision") if name in flags]
    return Step("finetune", {name: flags[name] for name in dict.fromkeys([*first, *flags])}), moved


def _recipe(result: Result, step: Step, moved: Sequence[str]) -> dict[str, Any]:
    metric, score = next(iter(result.scores.items()))
    about = f"makes {result.name} again: {result.rows[0]['name']}, {metric} {card.number(score.value)}"
    about += "".join(f"; {name} was elsewhere, put it into the working directory" for name in moved)
    about += "; its data came from standard input: --set dataset=FILE" * (step.flags["dataset"] == "-")
    takes = {"takes": f"{card.duration(result.seconds)}, {result.device}"}
    expects = json.loads(dumps({metric: round(score.value, 4), **takes}))
    flags = {name: _written(value) for name, value in step.flags.items()} | {"output": "${output}"}
    variables = {"output": step.flags["output"]}
    for name in ("dataset", "eval-dataset"):
        if flags.get(name) == "-":  # a step has no standard input but what its recipe holds
            flags[name], variables[name] = f"${{{name}}}", "-"
    known = {"name": result.name, "about": about, "task": result.settings.task, "expects": expects}
    return {**known, "variables": variables, "steps": [{"finetune": flags}]}


def _written(value: Any) -> Any:
    """A flag's value in a recipe: as the command line has it, and no part of it a variable."""
    if isinstance(value, list):
        return [_written(each) for each in value]
    if isinstance(value, float) and "e" in repr(value):
        return repr(value)  # YAML would make 3.0e-05 of it
    return value.replace("${", "$${") if isinstance(value, str) else value


def _metrics(result: Result) -> dict[str, Any]:
    """The content of metrics.json."""
    train, evaluation = result.rows
    per_class = result.per_class and [{**row, "read_as": dict(row["read_as"])} for row in result.per_class]
    labels = list(result.labels)
    return {
        "metric": next(iter(result.scores)),
        "scores": {name: score._asdict() for name, score in result.scores.items()},
        "best": dict(result.best),
        "per_class": per_class,
        "confusion_matrix": result.confusion and {"labels": labels, "rows": result.confusion},
        "evaluations": result.evaluations,
        "records": {"train": train["records"], "evaluation": evaluation["records"]},
        "lengths": result.lengths and result.lengths._asdict(),
        "surprising": len(result.surprising),
        "model": {"name": result.model_name, "revision": result.model_revision},
        "data": result.data,
        "labels": labels,
        "settings": asdict(result.settings),
        "hyperparameters": dict(result.hyperparameters),
        "seed": result.seed,
        "seconds": round(result.seconds, 2),
        "device": result.device,
        "versions": dict(result.versions),
    }


def _pretty(content: Mapping[str, Any]) -> str:
    """JSON for readers, with a row of numbers on a line."""
    text = json.dumps(json.loads(dumps(content)), indent=2, ensure_ascii=False)
    return _NUMBERS.sub(lambda match: f"[{re.sub(chr(10) + ' +', ' ', match[1])}]", text) + "\n"


def check_push(repo_id: str) -> None:
    """Refuse what cannot be pushed, before hours are spent on making it.

    Raises:
        UsageError: That is no name, or the Hub is not to be used.
        ModelError: There is no token.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UsageError(f"--push-to-hub {repo_id!r} is not a name on the Hub", "--push-to-hub OWNER/NAME") from error
    if constants.HF_HUB_OFFLINE:
        raise UsageError("--push-to-hub needs the Hub, and HF_HUB_OFFLINE forbids to use it", "unset HF_HUB_OFFLINE")
    if get_token() is None:
        raise ModelError("--push-to-hub needs a token, and this machine has none", "hf auth login")


def push(folder: Path, repo_id: str, tell: Tell) -> None:
    """Upload a result: the model, its card, recipe, scores and curves. Records and checkpoints stay here.

    Args:
        folder: Of the result.
        repo_id: OWNER/NAME; made, and private, where it is not there. NAME alone is the user's own.
        tell: Gets a Note with the address.

    Raises:
        UsageError: That is no name, or the Hub is not to be used.
        ModelError: The Hub, or the way to it, or no right to write there.
    """
    check_push(repo_id)
    files = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name.endswith(_PUSHED))
    files = [name for name in files if name not in _NOT_PUSHED and not name.startswith(".")]
    try:
        made = HfApi().create_repo(repo_id, private=True, exist_ok=True)
        HfApi().upload_folder(
            repo_id=made.repo_id, folder_path=folder, allow_patterns=files, commit_message="Result of hfcli finetune"
        )
    except (TransportError, OSError, RuntimeError) as error:  # the last: huggingface_hub, around what broke an upload
        raise _not_pushed(error, folder, repo_id) from error
    tell(Note(f"{len(files)} files are at {made}"))


def _not_pushed(error: Exception, folder: Path, repo_id: str) -> ModelError:
    kept = " ".join(f"--exclude {shlex.quote(name)}" for name in (SURPRISING, *_NOT_PUSHED))
    again = f"the result is whole; hf upload {repo_id} {shlex.quote(str(folder))} . --private {kept}"
    if not isinstance(error, HfHubHTTPError):
        said = str(error.__cause__ or error).splitlines() or [type(error).__name__]
        return ModelError(f"{repo_id} was not pushed ({said[0].lower()})", again)
    code = error.response.status_code
    if code == 403:
        return ModelError(f"your token may not write {repo_id} (403)", f"what it may: hf.co/settings/tokens\n{again}")
    if error.server_message:
        return ModelError(f"{repo_id} was not pushed ({code}: {error.server_message})", again)
    return sentence(error, repo_id, ModelOptions(), None)
