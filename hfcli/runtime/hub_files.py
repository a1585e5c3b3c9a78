"""Repositories of the Hub and what its cache keeps of them: models and data sets alike.

What the Hub told about a repository is kept beside its snapshots: which commit a revision is, what a commit holds, what
a short name stands for. So all of it is known when the Hub cannot be asked.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import HfApi, constants, get_session, hf_hub_download
from huggingface_hub.errors import OfflineModeIsEnabled
from tqdm import tqdm

from hfcli.errors import ModelError
from hfcli.events import Downloading, Tell
from hfcli.options import DEFAULT_MODEL
from hfcli.runtime.hub_errors import NotAHub, cached_names

CHUNK_BYTES = 256 * 1024
_OURS = ".hfcli"

Sizes = Mapping[str, int | None]
"""Files of a commit, with their sizes in bytes; None for an unknown one."""


@dataclass(frozen=True)
class Repository:
    """A repository of the Hub.

    Attributes:
        name: Its full name, or what was typed while that is not known.
        kind: What it holds.
        revision: The branch, tag or commit that is wanted; None is main.
    """

    name: str
    kind: Literal["model", "dataset"] = "model"
    revision: str | None = None

    @property
    def folder(self) -> Path:
        """Its place in the Hub's cache."""
        return Path(constants.HF_HUB_CACHE) / f"{self.kind}s--{self.name.replace('/', '--')}"

    def snapshot(self, commit: str) -> Path:
        return self.folder / "snapshots" / commit

    def known(self) -> "Repository":
        """Under the full name that the Hub has given for a short or former one, where it has.

        Never guessed: `gpt2` may be anybody's.
        """
        if not self.folder.is_dir():
            for name in cached_names(self.kind):
                full = replace(self, name=name)
                if (full.folder / _OURS / f"{self.name.replace('/', '--')}.name").is_file():
                    return full
        return self

    def commit(self) -> str | None:
        """The commit that the wanted revision was when it was last fetched."""
        revision = self.revision or "main"
        ref = self.folder / "refs" / revision
        commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
        return commit if re.fullmatch("[0-9a-f]{40}", commit) else None

    def listing(self, commit: str) -> dict[str, int | None] | None:
        """What a commit holds, as the Hub told when it was fetched; None where nothing kept that."""
        for folder in (_OURS, "trees"):  # the second is huggingface_hub's own
            try:
                files = json.loads((self.folder / folder / f"{commit}.json").read_text(encoding="utf-8"))["files"]
                return {str(name): about["size"] for name, about in files.items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
        return None

    def missing(self, commit: str, wanted: Iterable[str], sizes: Sizes) -> list[str]:
        """Files that are not there, or not in the size that they have on the Hub."""

        def whole(name: str) -> bool:
            path = self.snapshot(commit) / name
            return path.is_file() and sizes[name] in (None, path.stat().st_size)

        return [name for name in wanted if not whole(name)]

    def remember(self, typed: str, commit: str, sizes: Sizes) -> None:
        """Keep what the Hub told, for when it cannot be asked."""
        revision = self.revision or "main"
        listing = {"files": {file: {"size": size} for file, size in sizes.items()}}
        kept = {_OURS + f"/{commit}.json": json.dumps(listing)}
        kept |= {f"refs/{revision}": commit} if revision != commit else {}
        kept |= {_OURS + f"/{typed.replace('/', '--')}.name": self.name} if typed != self.name else {}
        for path, text in kept.items():
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            made = target.with_name(f".{target.name}.{os.getpid()}")
            made.write_text(text, encoding="utf-8")
            made.replace(target)

    def ask(self, offline: bool) -> tuple["Repository", str, dict[str, int | None]]:
        """The repository under its full name, its commit and files, from the Hub.

        Raises:
            OfflineModeIsEnabled: The Hub may not be asked.
            ModelError: It cannot be asked with the settings of this machine.
            NotAHub: It does not answer as a Hub does.
        """
        if offline or constants.HF_HUB_OFFLINE:
            raise OfflineModeIsEnabled
        try:
            get_session()
        except (ValueError, ImportError, OSError) as error:  # a proxy or a certificate file that cannot be used
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"no connection can be made with these settings ({reason})", "see HTTPS_PROXY and SSL_CERT_FILE"
            ) from error
        timeout = constants.HF_HUB_ETAG_TIMEOUT
        try:
            info: Any = HfApi().repo_info(
                self.name, repo_type=self.kind, revision=self.revision, files_metadata=True, timeout=timeout
            )
            if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", info.id) or not re.fullmatch("[0-9a-f]{40}", info.sha or ""):
                raise NotAHub("no name and commit")
            sizes = {file.rfilename: file.size for file in info.siblings or []}
            return replace(self, name=info.id), info.sha, sizes
        except UnicodeError as error:
            raise ModelError(
                "the token of this machine holds characters that no token has", "unset HF_TOKEN; hf auth login"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotAHub("not the JSON it should be") from error

    def bring(self, commit: str, wanted: Iterable[str], sizes: Sizes, tell: Tell) -> None:
        """Fetch files one after another, in the main thread, where Ctrl-C ends it at once.

        config.json, the mark of a model, comes last. Files that came before a failure are kept, and not fetched twice.
        """
        names = self.missing(commit, wanted, sizes)
        total = sum(sizes[name] or 0 for name in names)
        shown = f"{self.name}, the default model" if self.name == DEFAULT_MODEL else self.name
        if total:
            self._check_disk(total)
        # With huggingface_hub's 10 MB a bar stands still on a slow line, and so much is lost when a connection breaks.
        constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
        before = 0
        for name in sorted(names, key=lambda name: (name == "config.json", sizes[name] or 0)):
            bar = _bar(lambda done, before=before: tell(Downloading(shown, min(before + done, total), total)))
            hf_hub_download(
                self.name,
                name,
                repo_type=self.kind,
                revision=commit,
                etag_timeout=constants.HF_HUB_ETAG_TIMEOUT,
                tqdm_class=bar,
                force_download=(self.snapshot(commit) / name).exists(),  # it has another size than on the Hub
            )
            before += sizes[name] or 0

    def _check_disk(self, total: int) -> None:
        cache = Path(constants.HF_HUB_CACHE)
        cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache).free
        if free < total:
            raise ModelError(
                f"{self.name} takes {total / 1e6:,.0f} MB and {cache} has {free / 1e6:,.0f} MB left",
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
