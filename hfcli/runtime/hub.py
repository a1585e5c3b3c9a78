"""From a model's name to a folder on this machine: embedded models, folders, the Hub's cache, the Hub.

What is in the cache is used without asking the Hub, so that a model that worked once works without a network, and
at once; `hf download NAME` fetches a newer revision. Everything is fetched before anything is loaded, so that every
network failure happens here, where it gets its own sentence.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from huggingface_hub import HfApi, constants, get_session, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]
from tqdm import tqdm

from hfcli.errors import ModelError, did_you_mean, nearest
from hfcli.events import Downloading, Note, Tell
from hfcli.options import DEFAULT_MODEL, ModelOptions
from hfcli.runtime.hub_errors import NotAHub, TransportError, cached_names, no_weights, sentence

BUILTIN = Path(__file__).parent.parent / "builtin"
Kind = Literal["model", "adapter"]
_SMALL_FILES = (".json", ".txt", ".model", ".jinja", ".tiktoken")
_NOT_NEEDED = ("trainer_state.json", "all_results.json", "train_results.json", "eval_results.json", "model_index.json")
_CHUNK_BYTES = 256 * 1024
_OURS = ".hfcli"  # beside a repository's snapshots: what the Hub told about it, for when it cannot be asked


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
    found = _cached(name, options, kind) or _fetch(name, options, tell, kind)
    if found.name != name:
        tell(Note(f"{name} is {found.name} on the Hub"))
    return found


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


def _repo_folder(repo: str) -> Path:
    return Path(constants.HF_HUB_CACHE) / ("models--" + repo.replace("/", "--"))


def _cached(name: str, options: ModelOptions, kind: Kind) -> Location | None:
    """The model in the Hub's cache, when every file that a load needs is there."""
    repo = _known_as(name)
    commit = _cached_commit(repo, options)
    folder = _repo_folder(repo) / "snapshots" / str(commit)
    if commit is None or not folder.is_dir():
        return None
    sizes = _cached_listing(repo, commit)
    if sizes is not None:
        wanted = _wanted(sizes, kind, options)
        whole = _complaint(repo, sizes, wanted, kind) is None and not _missing(folder, wanted, sizes)
    elif kind == "adapter":
        whole = any((folder / f"adapter_model.{suffix}").is_file() for suffix in ("safetensors", "bin"))
    else:  # another program fetched it, and did not keep what there is: the files themselves decide
        tokenizer = any(next(folder.glob(pattern), None) for pattern in ("*token*", "vocab*", "*.model"))
        whole = tokenizer and (folder / "config.json").is_file() and has_weights(folder, options.allow_pickle)
    return Location(folder, repo, commit) if whole else None


def _missing(folder: Path, wanted: Iterable[str], sizes: Mapping[str, int | None]) -> list[str]:
    """Files that are not there, or not in the size that they have on the Hub."""

    def whole(name: str) -> bool:
        path = folder / name
        return path.is_file() and sizes[name] in (None, path.stat().st_size)

    return [name for name in wanted if not whole(name)]


def _known_as(name: str) -> str:
    """The full name that the Hub has given for a short or former one. Never guessed: `gpt2` may be anybody's."""
    if not _repo_folder(name).is_dir():
        for repo in cached_names():
            if (_repo_folder(repo) / _OURS / f"{name.replace('/', '--')}.name").is_file():
                return repo
    return name


def _cached_commit(repo: str, options: ModelOptions) -> str | None:
    revision = options.revision or "main"
    ref = _repo_folder(repo) / "refs" / revision
    commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
    return commit if re.fullmatch("[0-9a-f]{40}", commit) else None


def _cached_listing(repo: str, commit: str) -> dict[str, int | None] | None:
    """What the repository holds, with sizes, as the Hub told when it was fetched; None where nothing kept that."""
    for folder in (_OURS, "trees"):  # the second is huggingface_hub's own
        try:
            files = json.loads((_repo_folder(repo) / folder / f"{commit}.json").read_text(encoding="utf-8"))["files"]
            return {str(name): about["size"] for name, about in files.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def _fetch(name: str, options: ModelOptions, tell: Tell, kind: Kind) -> Location:
    """Fetch what a load needs from the Hub. Files that came before a failure are kept, and not fetched twice."""
    wanted: list[str] = []
    repo = _known_as(name)
    try:
        if options.offline or constants.HF_HUB_OFFLINE:
            raise OfflineModeIsEnabled
        repo, commit, sizes = _ask(name, options)
        wanted = _wanted(sizes, kind, options)
        complaint = _complaint(repo, sizes, wanted, kind)
        if complaint:
            raise complaint
        _remember(name, repo, commit, sizes, options)
        snapshot = _repo_folder(repo) / "snapshots" / commit
        _bring(repo, commit, snapshot, _missing(snapshot, wanted, sizes), sizes, tell)
    except (OfflineModeIsEnabled, TransportError, EntryNotFoundError, OSError, NotAHub) as error:
        raise _explain(error, repo, options, kind, wanted) from error
    return Location(snapshot, repo, commit)


def _ask(name: str, options: ModelOptions) -> tuple[str, str, dict[str, int | None]]:
    """Full name, commit and files (with sizes in bytes) of a repository."""
    try:
        get_session()
    except (ValueError, ImportError, OSError) as error:  # a proxy or a certificate file that cannot be used
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"no connection can be made with these settings ({reason})", "see HTTPS_PROXY and SSL_CERT_FILE"
        ) from error

    def ask() -> Any:
        timeout = constants.HF_HUB_ETAG_TIMEOUT
        return HfApi().model_info(name, revision=options.revision, files_metadata=True, timeout=timeout)

    try:
        info = ask()
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", info.id) or not re.fullmatch("[0-9a-f]{40}", info.sha or ""):
            raise NotAHub("no name and commit")
        return info.id, info.sha, {file.rfilename: file.size for file in info.siblings or []}
    except UnicodeError as error:
        raise ModelError(
            "the token of this machine holds characters that no token has", "unset HF_TOKEN; hf auth login"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAHub("not the JSON it should be") from error


def _bring(
    repo: str, commit: str, snapshot: Path, names: list[str], sizes: Mapping[str, int | None], tell: Tell
) -> None:
    """Fetch files one after another: in the main thread, where Ctrl-C ends it at once; config.json, the mark of a
    model, last."""
    total = sum(sizes[name] or 0 for name in names)
    shown = f"{repo}, the default model" if repo == DEFAULT_MODEL else repo
    if total:
        _check_disk(repo, total)
    # With huggingface_hub's 10 MB a bar stands still on a slow line, and so much is lost when a connection breaks.
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK_BYTES
    before = 0
    for name in sorted(names, key=lambda name: (name == "config.json", sizes[name] or 0)):
        bar = _bar(lambda done, before=before: tell(Downloading(shown, min(before + done, total), total)))
        torn = (snapshot / name).exists()  # it has another size than on the Hub
        timeout = constants.HF_HUB_ETAG_TIMEOUT
        hf_hub_download(repo, name, revision=commit, etag_timeout=timeout, tqdm_class=bar, force_download=torn)
        before += sizes[name] or 0


def _check_disk(repo: str, total: int) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < total:
        raise ModelError(
            f"{repo} takes {total / 1e6:,.0f} MB and {cache} has {free / 1e6:,.0f} MB left",
            "HF_HOME=FOLDER moves the cache",
        )


def _bar(report: Callable[..., None]) -> type[tqdm]:
    """A tqdm class that shows nothing and reports the bytes of one file that have arrived."""

    class Bar(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.arrived = int(kwargs.get("initial") or 0)
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self.arrived += int(n or 0)
            report(self.arrived)
            return None

    return Bar


def _remember(name: str, repo: str, commit: str, sizes: Mapping[str, int | None], options: ModelOptions) -> None:
    """Keep what the Hub told: which commit a revision is, what the commit holds, what a short name stands for."""
    folder, revision = _repo_folder(repo), options.revision or "main"
    kept = {_OURS + f"/{commit}.json": json.dumps({"files": {file: {"size": size} for file, size in sizes.items()}})}
    kept |= {f"refs/{revision}": commit} if revision != commit else {}
    kept |= {_OURS + f"/{name.replace('/', '--')}.name": repo} if name != repo else {}
    for path, text in kept.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        made = target.with_name(f".{target.name}.{os.getpid()}")
        made.write_text(text, encoding="utf-8")
        made.replace(target)


def _explain(error: Exception, repo: str, options: ModelOptions, kind: Kind, wanted: list[str]) -> ModelError:
    """The sentence for a failure, with what is on this machine in spite of it."""
    commit = _cached_commit(repo, options)
    sizes = _cached_listing(repo, commit) if commit else None
    if commit is None or sizes is None:
        return sentence(error, repo, options, None)
    wanted = wanted or _wanted(sizes, kind, options)  # where the Hub could not be asked, what it told before
    complaint = _complaint(repo, sizes, wanted, kind)
    if complaint:
        return complaint
    kept = len(wanted) - len(_missing(_repo_folder(repo) / "snapshots" / commit, wanted, sizes))
    return sentence(error, repo, options, f"{kept} of {len(wanted)} files are kept" if kept else None)


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
    if not any(name.endswith((".safetensors", ".bin")) for name in wanted):
        return no_weights(repo, list(sizes))
    return None
