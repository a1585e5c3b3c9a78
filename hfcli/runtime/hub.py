"""From a model's name to a folder on this machine: embedded models, folders, the Hub's cache, the Hub.

What is in the cache is used without asking the Hub, so that a model that worked once works without a network, and
at once; `hf download NAME` fetches a newer revision. Everything is fetched before anything is loaded, so that every
network failure happens here, where it gets its own sentence.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from huggingface_hub.errors import EntryNotFoundError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from hfcli.errors import ModelError, UsageError, did_you_mean, nearest
from hfcli.events import Note, Tell
from hfcli.options import ModelOptions
from hfcli.runtime.hub_errors import NotAHub, TransportError, no_weights, sentence
from hfcli.runtime.hub_files import Repository

BUILTIN = Path(__file__).parent.parent / "builtin"
Kind = Literal["model", "adapter", "config"]  # the last one is a model without its weights and its tokenizer
_SMALL_FILES = (".json", ".txt", ".model", ".jinja", ".tiktoken")
_NOT_NEEDED = ("trainer_state.json", "all_results.json", "train_results.json", "eval_results.json", "model_index.json")


class Location(NamedTuple):
    """Where a model is: its folder, its full name, and the commit when it came from the Hub."""

    folder: Path
    name: str
    commit: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.commit[:7]}" if self.commit else self.name


def builtins() -> list[str]:
    """Names of the embedded models."""
    return sorted(f"builtin/{path.parent.name}" for path in BUILTIN.glob("*/config.json"))


def locate(name: str, options: ModelOptions, tell: Tell, kind: Kind = "model") -> Location:
    """Find a model on this machine, or fetch it from the Hub.

    Raises:
        ModelError: It is nowhere, or cannot be fetched; the sentence says which.
    """
    if name.startswith("builtin/"):
        if name not in builtins():
            near = did_you_mean(name, builtins())
            raise ModelError(f"no embedded model {name}; there is {', '.join(builtins())}", near)
        return Location(BUILTIN / name.removeprefix("builtin/"), name)
    if len(name) > 4096 or any(len(part) > 255 for part in name.split("/")):  # a prompt in the wrong place
        raise ModelError(f"{name[:40]!r}... is too long for a name", "-m owner/name, -m ./folder")
    path = Path(name).expanduser()
    if path.is_dir():
        return Location(path, name)
    if path.exists():
        raise ModelError(
            f"{name} is a file; a model is a folder with config.json and weights", f"-m {path.parent or '.'}"
        )
    if re.match(r"[./~]|[A-Za-z]:", name) or name.endswith("/") or name.count("/") > 1 or "\\" in name:
        raise ModelError(f"no folder {name}", _near_folder(path) or "-m ./folder; on the Hub names are owner/name")
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ModelError(f"{name!r} is neither a folder nor a name on the Hub", "-m owner/name, -m ./folder") from error
    if kind == "adapter":
        options = replace(options, revision=None)  # --revision is the model's
    elif options.revision and not re.fullmatch(r"(?!.*\.\.)[\w][^\s\\]*", options.revision):
        raise ModelError(f"{options.revision!r} cannot be a revision", "--revision takes a branch, a tag or a commit")
    repo = Repository(name, "model", options.revision).known()
    found = _cached(repo, options, kind) or _fetch(name, repo, options, tell, kind)
    if found.name != name:
        tell(Note(f"{name} is {found.name} on the Hub"))
    return found


def check_revision(location: Location, options: ModelOptions) -> None:
    """Refuse a revision of what has none.

    Raises:
        UsageError: The model is on this machine.
    """
    if options.revision and location.commit is None:
        raise UsageError(f"--revision is about the Hub, and {location.name} is on this machine", "leave out --revision")


def has_weights(folder: Path, allow_pickle: bool) -> bool:
    """Whether a folder has the weights of a model, every shard of them."""
    for index, single in _weight_files(allow_pickle):
        if (folder / index).is_file():
            text = (folder / index).read_text(encoding="utf-8", errors="replace")
            shards = set(re.findall(r'"([^"]+\.(?:safetensors|bin))"', text))
            return all((folder / shard).is_file() for shard in shards)
        if (folder / single).is_file():
            return True
    return False


def _weight_files(allow_pickle: bool) -> list[tuple[str, str]]:
    files = [("model.safetensors.index.json", "model.safetensors")]
    return [*files, ("pytorch_model.bin.index.json", "pytorch_model.bin")] if allow_pickle else files


def _near_folder(path: Path) -> str | None:
    parent = path.parent if path.parent.is_dir() else Path()
    near = nearest(path.name, [entry.name for entry in parent.iterdir() if entry.is_dir()])
    return f"did you mean {'./' * (not parent.is_absolute())}{parent / near}?" if near else None


def _wanted(names: Iterable[str], kind: Kind, options: ModelOptions) -> list[str]:
    """The files of a repository that a load reads: config, tokenizer, one set of weights; code only when trusted."""
    names = [name for name in names if not re.search(r"(^|/)\.\.?(/|$)|\\", name)]
    if kind == "adapter":
        weights = ["adapter_model.safetensors", *(["adapter_model.bin"] * options.allow_pickle)]
        chosen = [name for name in weights if name in names][:1]
        return [name for name in names if name in ("adapter_config.json", *chosen)]
    if kind == "config":
        return [name for name in names if name == "config.json" or (options.trust_remote_code and name.endswith(".py"))]
    suffixes = (*_SMALL_FILES, ".py") if options.trust_remote_code else _SMALL_FILES
    wanted = [name for name in names if "/" not in name and name.endswith(suffixes) and name not in _NOT_NEEDED]
    wanted = [name for name in wanted if not name.endswith(".index.json")]
    wanted += [name for name in names if name.startswith("additional_chat_templates/")]
    for index, single in _weight_files(options.allow_pickle):
        stem, suffix = single.rsplit(".", 1)
        if index in names:
            shards = [name for name in names if re.fullmatch(rf"{stem}-\d+-of-\d+\.{suffix}", name)]
            return [*wanted, index, *shards]
        if single in names:
            return [*wanted, single]
    return wanted


def _cached(repo: Repository, options: ModelOptions, kind: Kind) -> Location | None:
    """The model in the Hub's cache, when every file that a load needs is there."""
    commit = repo.commit()
    if commit is None or not repo.snapshot(commit).is_dir():
        return None
    folder, sizes = repo.snapshot(commit), repo.listing(commit)
    if sizes is not None:
        wanted = _wanted(sizes, kind, options)
        whole = _complaint(repo.name, sizes, wanted, kind) is None and not repo.missing(commit, wanted, sizes)
    elif kind == "config":
        whole = (folder / "config.json").is_file()
    elif kind == "adapter":
        whole = any((folder / f"adapter_model.{suffix}").is_file() for suffix in ("safetensors", "bin"))
    else:  # another program fetched it, and did not keep what there is: the files themselves decide
        tokenizer = any(next(folder.glob(pattern), None) for pattern in ("*token*", "vocab*", "*.model"))
        whole = tokenizer and (folder / "config.json").is_file() and has_weights(folder, options.allow_pickle)
    return Location(folder, repo.name, commit) if whole else None


def _fetch(name: str, repo: Repository, options: ModelOptions, tell: Tell, kind: Kind) -> Location:
    """Fetch what a load needs from the Hub."""
    wanted: list[str] = []
    try:
        repo, commit, sizes = replace(repo, name=name).ask(options.offline)
        wanted = _wanted(sizes, kind, options)
        complaint = _complaint(repo.name, sizes, wanted, kind)
        if complaint:
            raise complaint
        repo.remember(name, commit, sizes)
        repo.bring(commit, wanted, sizes, tell)
    except (OfflineModeIsEnabled, TransportError, EntryNotFoundError, OSError, NotAHub) as error:
        raise _explain(error, repo, options, kind, wanted) from error
    return Location(repo.snapshot(commit), repo.name, commit)


def _explain(error: Exception, repo: Repository, options: ModelOptions, kind: Kind, wanted: list[str]) -> ModelError:
    """The sentence for a failure, with what is on this machine in spite of it."""
    commit = repo.commit()
    sizes = repo.listing(commit) if commit else None
    if commit is None or sizes is None:
        return sentence(error, repo.name, options, None)
    wanted = wanted or _wanted(sizes, kind, options)  # where the Hub could not be asked, what it told before
    complaint = _complaint(repo.name, sizes, wanted, kind)
    if complaint:
        return complaint
    kept = len(wanted) - len(repo.missing(commit, wanted, sizes))
    return sentence(error, repo.name, options, f"{kept} of {len(wanted)} files are kept" if kept else None)


def _complaint(repo: str, sizes: Mapping[str, Any], wanted: list[str], kind: Kind) -> ModelError | None:
    """Why a repository does not have what a load needs, found before a byte is fetched."""
    page = f"what it holds: hf.co/{repo}/tree/main"
    if kind == "adapter":
        if "adapter_config.json" not in wanted:
            hint = f"-m {repo}" if "config.json" in sizes else page
            return ModelError(f"{repo} is not a PEFT adapter (it has no adapter_config.json)", hint)
        if len(wanted) > 1:
            return None
        return no_weights(repo, [name.replace("adapter_model.bin", "pytorch_model.bin") for name in sizes])
    if "config.json" not in wanted and "adapter_config.json" in sizes:
        return ModelError(f"{repo} is an adapter, not a model", f"-m BASE-MODEL --adapter {repo}")
    if "config.json" not in wanted:
        return ModelError(f"{repo} is not a transformers model (it has no config.json)", page)
    if kind != "config" and not any(name.endswith((".safetensors", ".bin")) for name in wanted):
        return no_weights(repo, list(sizes))
    return None
