"""Data sets of the Hub: found or fetched by us, read by `datasets`.

`datasets` is given a folder and never the network: its own downloads say in one traceback what has five causes, and
show no progress that is ours. Which files a configuration has is asked of it with a folder in which only the cards are
real and every other file is empty; these files are then fetched and put in their place.
"""

import contextlib
import json
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from hfcli.errors import DataError, ModelError, did_you_mean
from hfcli.events import Note, Tell
from hfcli.runtime.hub_errors import NotAHub, TransportError, sentence
from hfcli.runtime.hub_files import Repository, Sizes
from hfcli.runtime.splits import Split, class_names

_CARDS = ("README.md", ".huggingface.yaml", "dataset_infos.json")
_TABLES = {"csv", "tsv", "json", "jsonl", "ndjson", "parquet", "arrow", "txt", "conll", "conllu", "xml"}
_CONVERTED = "refs/convert/parquet"  # the branch in which the Hub keeps what it has made of a data set's files


@dataclass(frozen=True)
class Found:
    """A data set that `datasets` reads.

    Attributes:
        name: Full name.
        subset: The configuration, None where there is but one and none was asked for.
        revision: The commit, None for a folder.
        splits: Split names, and how each is read.
    """

    name: str
    subset: str | None
    revision: str | None
    splits: Mapping[str, Callable[[], Split]]


def fetch(name: str, subset: str | None, revision: str | None, offline: bool, tell: Tell) -> Found:
    """A data set of the Hub, from the cache where it is there.

    Args:
        name: Full, short or former name.
        subset: The configuration that is wanted.
        revision: Branch, tag or commit; what it is now is pinned.
        offline: Whether the Hub may not be asked.
        tell: Gets Downloading, and a Note where the full name is another one.

    Raises:
        ModelError: It is nowhere, or cannot be fetched; the sentence says which.
        DataError: It is there, and is no table of texts, or has several configurations and none was chosen.
    """
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise DataError(
            f"{name!r} is neither a file, a folder nor a name on the Hub", "--dataset owner/name"
        ) from error
    if revision and not re.fullmatch(r"(?!.*\.\.)[\w][^\s\\]*", revision):
        raise DataError(f"{revision!r} cannot be a revision", "--dataset-revision takes a branch, a tag or a commit")
    repo = Repository(name, "dataset", revision).known()
    commit = _cached(repo, subset, offline or constants.HF_HUB_OFFLINE)
    if commit is None:
        repo, commit = _bring(name, repo, subset, offline, tell)
    if repo.name != name:
        tell(Note(f"{name} is {repo.name} on the Hub"))
    sizes = repo.listing(commit) or _present(repo, commit)
    return open_folder(_view(repo, commit, sizes), repo.name, subset, commit)


def open_folder(folder: Path, name: str, subset: str | None, revision: str | None = None) -> Found:
    """A folder that is laid out as a repository of the Hub."""
    builder = _builder(folder, name, subset)
    named = subset is not None or len(builder.builder_configs) > 1
    with _explained(name, folder):
        builder.download_and_prepare(verification_mode="no_checks")  # sizes in a README are often of another commit
        parts = builder.as_dataset()
    return _found(parts, name, builder.config.name if named else None, revision)


def open_saved(folder: Path, name: str) -> Found:
    """A folder that `save_to_disk` wrote."""
    datasets = _datasets()
    with _explained(name, folder):
        saved = datasets.load_from_disk(str(folder))
        parts = saved if isinstance(saved, datasets.DatasetDict) else {str(saved.split or "train"): saved}
    return _found(parts, name, None, None)


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    one = (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    return one or (folder / "dataset_dict.json").is_file()


def _found(parts: Mapping[str, Any], name: str, subset: str | None, revision: str | None) -> Found:
    def split(part: str, data: Any) -> Split:
        rows = None if data._indices is None else data._indices.column(0).to_numpy()
        names = class_names(data.features.to_dict())
        return Split(part, data.data.table, None, [], names, name, subset, revision, (), rows)

    splits = {str(part): partial(split, str(part), data) for part, data in parts.items()}
    return Found(name, subset, revision, splits)


def _cached(repo: Repository, subset: str | None, offline: bool) -> str | None:
    """The commit in the cache, when every file of the configuration is there."""
    commit = repo.commit()
    if commit is None or not repo.snapshot(commit).is_dir():
        return None
    sizes = repo.listing(commit)
    if sizes is None:  # another program fetched some of it, and did not keep what there is
        sizes = _present(repo, commit)
        if not offline or not _shards_complete(sizes):
            return None
    if repo.missing(commit, [card for card in _CARDS if card in sizes], sizes):
        return None
    return None if repo.missing(commit, _wanted(repo, commit, sizes, subset), sizes) else commit


def _present(repo: Repository, commit: str) -> dict[str, int | None]:
    folder = repo.snapshot(commit)
    return {path.relative_to(folder).as_posix(): None for path in folder.rglob("*") if path.is_file()}


def _shards_complete(names: Iterable[str]) -> bool:
    """Whether of every train-00000-of-00005 there are five: a part must not pass for the whole."""
    shards = [re.fullmatch(r"(.*-)\d+-of-(\d+)(\..*)", name) for name in names]
    sets = Counter((shard[1], int(shard[2]), shard[3]) for shard in shards if shard)
    return all(count == there for (_, there, _), count in sets.items())


def _bring(name: str, repo: Repository, subset: str | None, offline: bool, tell: Tell) -> tuple[Repository, str]:
    """Fetch the files of a configuration."""
    wanted: list[str] = []
    commit = repo.commit()
    sizes: dict[str, int | None] = {}
    try:
        repo, commit, sizes = Repository(name, "dataset", repo.revision).ask(offline)
        repo.remember(name, commit, sizes)
        repo.bring(commit, [card for card in _CARDS if card in sizes], sizes, lambda event: None)
        wanted = _wanted(repo, commit, sizes, subset)
        repo.bring(commit, wanted, sizes, tell)
    except (OfflineModeIsEnabled, TransportError, EntryNotFoundError, OSError, NotAHub) as error:
        kept = None
        if commit is not None and (sizes or (sizes := repo.listing(commit) or {})):
            with contextlib.suppress(DataError):
                wanted = wanted or _wanted(repo, commit, sizes, subset)
            here = len(wanted) - len(repo.missing(commit, wanted, sizes))
            kept = f"{here} of {len(wanted)} files are kept" if here else None
        raise sentence(error, repo.name, repo, kept, "dataset") from error
    return repo, commit


def _wanted(repo: Repository, commit: str, sizes: Sizes, subset: str | None) -> list[str]:
    """The files of a configuration."""
    if f"{repo.name.rpartition('/')[2]}.py" in sizes and not _names_files(repo.snapshot(commit) / "README.md"):
        hint = f"--dataset-revision {_CONVERTED}, if the Hub has converted it"
        raise DataError(f"{repo.name} is made by a Python script, which is not run", hint)
    view = _view(repo, commit, sizes)
    builder = _builder(view, repo.name, subset)
    wanted = [card for card in _CARDS if card in sizes]
    for path in (path for paths in builder.config.data_files.values() for path in paths):
        inside = os.path.relpath(path, view.resolve())
        if inside not in sizes:
            raise DataError(f"{repo.name} wants a file that is not part of it ({path})")
        wanted.append(inside)
    return list(dict.fromkeys(wanted))


def _names_files(card: Path) -> bool:
    """Whether a card says which files a data set is, so that a script beside them is history."""
    return (
        card.is_file() and re.search(r"^\W*data_files:", card.read_text("utf-8", "replace"), re.MULTILINE) is not None
    )


def _view(repo: Repository, commit: str, sizes: Sizes) -> Path:
    """A folder with every file of a commit: those that are on this machine, and empty ones."""
    view = Path(_datasets().config.HF_DATASETS_CACHE) / "hfcli" / commit / repo.name.replace("/", "--")
    names = [
        name for name in sizes if not re.search(r"(^|/)\.\.?(/|$)|\\|^/", name) and (_is_table(name) or name in _CARDS)
    ]
    if not any(map(_is_table, names)):
        raise _no_table(repo, list(sizes))
    try:
        absent = set(repo.missing(commit, names, sizes))
        for name in names:
            here, there = view / name, (repo.snapshot(commit) / name).absolute()
            if name in absent:
                if here.is_symlink() or not here.exists():
                    here.parent.mkdir(parents=True, exist_ok=True)
                    _replace(here, Path.touch)
            elif not here.is_symlink() or here.readlink() != there:
                here.parent.mkdir(parents=True, exist_ok=True)
                _replace(here, partial(_link, there))
        if repo.revision == _CONVERTED:
            _replace(view / "README.md", lambda path: path.write_text(_card(names), encoding="utf-8"))
    except OSError as error:
        raise _cannot_keep(repo.name, error) from error
    return view


def _card(names: list[str]) -> str:
    """The card that the Hub's own conversion lacks; its files are SUBSET/SPLIT/0000.parquet."""
    subsets: dict[str, dict[str, None]] = {}
    for name in names:
        if name.count("/") > 1:
            subset, split, *_ = name.split("/")
            subsets.setdefault(subset, {})[split] = None
    configurations = [
        {
            "config_name": subset,
            "data_files": [
                {"split": split.removeprefix("partial-"), "path": f"{subset}/{split}/*"} for split in splits
            ],
        }
        for subset, splits in subsets.items()
    ]
    return f"---\nconfigs: {json.dumps(configurations)}\n---\n"


def _replace(path: Path, make: Callable[[Path], Any]) -> None:
    made = path.with_name(f".{path.name}.{os.getpid()}")
    make(made)
    made.replace(path)


def _link(target: Path, path: Path) -> None:
    path.symlink_to(target)


def _is_table(name: str) -> bool:
    parts = name.rpartition("/")[2].lower().split(".")[1:]
    return bool(_TABLES.intersection(parts)) and parts[-1] not in ("zip", "tar") and name not in _CARDS


def _no_table(repo: Repository, names: list[str]) -> DataError:
    """Why a repository cannot be read, from the names of its files."""
    kinds = [Path(name).suffix.lower() for name in names if name not in _CARDS and not name.startswith(".")]
    shown = ", ".join(sorted(set(kinds) - {"", ".md", ".py"}, key=lambda kind: -kinds.count(kind))[:4])
    holds = f"it holds {shown} files" if shown else "it holds no data files"
    return DataError(f"{repo.name} is not a table of texts: {holds}", "read are Parquet, CSV, TSV, JSON and JSON lines")


def _builder(folder: Path, name: str, subset: str | None) -> Any:
    """What `datasets` makes of a folder and a configuration of it."""
    datasets = _datasets()
    path = str(folder.absolute())
    with _explained(name, folder):
        configurations = datasets.get_dataset_config_names(path)
        default = datasets.get_dataset_default_config_name(path)
    there = ", ".join(configurations[:12]) + f" and {len(configurations) - 12} more" * (len(configurations) > 12)
    if subset is None and default is None:
        raise DataError(f"{name} has several subsets: {there}", f"--subset {configurations[0]}")
    if subset is not None and subset not in configurations:
        raise DataError(f"{name} has no subset {subset}; there is {there}", did_you_mean(subset, configurations))
    with _explained(name, folder):
        builder = datasets.load_dataset_builder(path, subset or default)
        config = builder.config
        if builder.name == "csv" and config.na_values is None and config.keep_default_na:
            # pandas takes the label "NA" and the text "None" for missing.
            builder = datasets.load_dataset_builder(path, subset or default, na_values=[""], keep_default_na=False)
    return builder


def _datasets() -> Any:
    """The library, which costs a second to import, without its voice."""
    import datasets

    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"datasets(\.|$)")
    return datasets


@contextlib.contextmanager
def _explained(name: str, folder: Path) -> Iterator[None]:
    """Turn what `datasets` raises into our errors: all of it, since what a folder holds decides which code runs."""
    try:
        yield
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, OSError) and cause.errno is not None and not isinstance(cause, FileNotFoundError):
            raise _cannot_keep(name, cause) from error
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        for place in (folder.absolute(), folder.resolve()):
            reason = reason.replace(f" in {place}", "").replace(f"{place}/", "")
        reason = re.sub(" with any supported extension.*", "", reason)
        raise DataError(f"{name} cannot be read ({reason})", "hfcli reads tables: Parquet, CSV, TSV, JSON") from error


def _cannot_keep(name: str, error: OSError) -> ModelError:
    reason = (error.strerror or str(error)).lower()
    cache = _datasets().config.HF_DATASETS_CACHE
    return ModelError(f"{name} cannot be kept in {cache} ({reason})", "HF_DATASETS_CACHE=FOLDER moves it")
