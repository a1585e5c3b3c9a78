"""What can go wrong between a name on the Hub and its files: one cause, one sentence, and what to type next."""

import os
import re
import socket
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from huggingface_hub import constants, get_session, get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from hfcli.errors import ModelError, nearest
from hfcli.options import DEFAULT_MODEL

TransportError: Any = HfHubHTTPError.__bases__[0]  # httpx's HTTPError; which httpx depends on huggingface_hub's version

_STATUS = {
    429: "too many requests",
    500: "an error of its own",
    502: "bad gateway",
    503: "unavailable",
    504: "gateway timed out",
}


class NotAHub(Exception):
    """What answers at the Hub's address does not answer as the Hub does: a login page, a wrong HF_ENDPOINT."""


class Asked(Protocol):
    """How a repository was asked for; ModelOptions and others are it."""

    @property
    def revision(self) -> str | None: ...


class _Words(NamedTuple):
    """What differs in the sentences about a kind of repository."""

    noun: str
    path: str  # before the name, in the address of its page
    download: str  # arguments of `hf download`
    use: str  # the flag that takes the folder which came of it
    offline: str  # what works without


_WORDS = {
    "model": _Words("model", "", "", "-m", 'hfcli generate -m builtin/story "Once upon a time"     works offline\n'),
    "dataset": _Words("data set", "datasets/", " --repo-type dataset", "--dataset", ""),
}


def sentence(
    error: Exception, name: str, options: Asked, kept: str | None, kind: Literal["model", "dataset"] = "model"
) -> ModelError:
    """The error for a user.

    Args:
        error: What the network, the Hub or the disk said.
        name: The repository that was asked for.
        options: How it was asked for.
        kept: What of it is on this machine already, as a clause, or None.
        kind: What it is.
    """
    host = urlsplit(constants.ENDPOINT).netloc or constants.ENDPOINT
    endpoint = constants.ENDPOINT.removeprefix("https://").replace("huggingface.co", "hf.co")
    page = f"{endpoint}/{_WORDS[kind].path}{name}"
    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        return sentence(error.__cause__, name, options, kept, kind)  # a wrapper around what the Hub said
    if isinstance(error, OfflineModeIsEnabled):
        return _not_here(error, name, options, kept, f"{_who_forbids()} forbids to fetch it", kind)
    if isinstance(error, GatedRepoError):
        if get_token() is None:
            return ModelError(
                f"{name} is gated and this machine has no token", f"accept its terms at {page}, then: hf auth login"
            )
        return ModelError(f"{name} is gated and your account has no access to it", f"ask for it at {page}")
    if isinstance(error, RevisionNotFoundError):
        return ModelError(
            f"{name} has no revision {options.revision or 'main'}", f"its branches and tags: {page}/tree/main"
        )
    if isinstance(error, RepositoryNotFoundError):
        noun = _WORDS[kind].noun
        return ModelError(f"no {noun} {name} on the Hub", _near(name, kind, search=True) or _private())
    if isinstance(error, DisabledRepoError):
        return ModelError(f"{name} has been disabled on the Hub", f"why: {page}")
    if isinstance(error, HfHubHTTPError):
        return _answered(error, host, name, kept)
    if isinstance(error, (NotAHub, FileMetadataError)):
        return ModelError(
            f"{host} does not answer as a Hub does ({error})", "is HF_ENDPOINT right, or a login page in between?"
        )
    if any("Timeout" in kind.__name__ for kind in type(error).__mro__):
        return _timed_out(error, host, kept)
    if not isinstance(error, TransportError) and not isinstance(error, EntryNotFoundError):
        reason = ((error.strerror if isinstance(error, OSError) else None) or str(error)).lower()
        return ModelError(
            f"{name} cannot be kept in {constants.HF_HUB_CACHE} ({reason})", "HF_HOME=FOLDER moves the cache"
        )
    return _not_here(error, name, options, kept, f"{host} cannot be reached ({_reason(error)})", kind)


def _answered(error: HfHubHTTPError, host: str, name: str, kept: str | None) -> ModelError:
    code = error.response.status_code
    if code in (401, 403):
        token = get_token()
        if token is None:
            return ModelError(
                f"{host} refuses access to {name} ({code}) and this machine has no token", "hf auth login"
            )
        source = "HF_TOKEN" if os.environ.get("HF_TOKEN") else "the token of this machine"
        if code == 401:
            mend = "hf.co/settings/tokens makes a new one; unset HF_TOKEN goes without"
            login = "hf auth login stores a new one; hf auth logout goes without"
            return ModelError(f"{host} does not accept {source} (401)", mend if source == "HF_TOKEN" else login)
        return ModelError(f"{source} may not read {name} (403)", "what a token may read: hf.co/settings/tokens")
    if code == 404:
        return ModelError(
            f"{host} lists {name}, but not what is in it (404)", "is HF_ENDPOINT right? otherwise report it there"
        )
    seconds = error.response.headers.get("Retry-After") or ""
    later = f"in {seconds} s" if seconds.isdigit() else "later"
    words = _STATUS.get(code or 0, "not what was asked for")
    return ModelError(f"{host} answered {code} ({words})", f"run it again {later}{_kept(kept)}")


def _timed_out(error: Exception, host: str, kept: str | None) -> ModelError:
    seconds, download = constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT
    longer = f"HF_HUB_ETAG_TIMEOUT={seconds * 6} HF_HUB_DOWNLOAD_TIMEOUT={download * 6} wait longer"
    connecting = "Connect" in type(error).__name__
    text = (
        f"cannot be reached (no connection within {seconds} s)" if connecting else f"did not answer within {seconds} s"
    )
    return ModelError(f"{host} {text}", f"run it again later{_kept(kept)}\n{longer}")


def _kept(kept: str | None) -> str:
    return f"; {kept} and will not be fetched twice" if kept else ""


def _not_here(error: Exception, name: str, options: Asked, kept: str | None, why: str, kind: str) -> ModelError:
    """The sentences for what is needed and cannot be fetched now."""
    asked = f"{name} at revision {options.revision}" if options.revision else name
    if kept:
        if isinstance(error, OfflineModeIsEnabled):
            return ModelError(
                f"{asked} is only partly on this machine and {why}", f"without it the rest is fetched: {kept}"
            )
        host = urlsplit(constants.ENDPOINT).netloc
        return ModelError(f"the connection to {host} broke off ({_reason(error)})", f"run it again later{_kept(kept)}")
    near = _near(name, kind, search=False)
    folder = name.rsplit("/", 1)[-1].lower()
    version = f" --revision {options.revision}" if options.revision else ""
    words = _WORDS[kind]
    by_hand = (
        f"{words.offline}where there is internet: hf download {name}{words.download}{version} --local-dir {folder},\n"
        f"copy the folder here, then use {words.use} ./{folder}"
    )
    return ModelError(f"{asked} is not on this machine and {why}", f"{near}\n{by_hand}" if near else by_hand)


def _who_forbids() -> str:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").lower() in ("1", "true", "yes", "on"):
            return f"{name}=1"
    return "--offline"


def _reason(error: BaseException) -> str:
    """Why the network failed, from the innermost exception that knows; a proxy in between is named."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    text = " ".join(f"{type(cause).__name__} {cause}" for cause in causes).lower()
    proxy = _proxy()
    where = f"the proxy {proxy}: " if proxy else ""
    if any(isinstance(cause, socket.gaierror) for cause in causes) or "name resolution" in text:
        return f"{where}name resolution failed"
    if "refused" in text:
        return f"{where}connection refused"
    if "certificate" in text:
        return "its certificate is not trusted; SSL_CERT_FILE=FILE names a company's own"
    if "ssl" in text:
        return f"{where}no secure connection"
    if "remoteprotocol" in text or "readerror" in text:
        return "it was cut"
    said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return where + said[:1].lower() + said[1:]


def _proxy() -> str | None:
    """The proxy between here and the Hub, without its password."""
    parts = urlsplit(constants.ENDPOINT)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return None if not proxy or proxy_bypass(parts.hostname or "") else proxy.rsplit("@", 1)[-1].split("://")[-1]


def _private() -> str:
    return "if it is private: hf auth login" if get_token() is None else "is it private, and yours?"


def _near(name: str, kind: str, search: bool) -> str | None:
    """Did-you-mean from the Hub's own search and from what is cached."""
    owner, _, short = name.rpartition("/")
    known = [*([DEFAULT_MODEL] if kind == "model" else []), *cached_names(kind)]
    for query in [{"search": short}, {"author": owner}] if search else []:
        try:  # not list_models, which tries for minutes; a hint is not worth waiting, nor an error of its own
            address, headers = f"{constants.ENDPOINT}/api/{kind}s", build_hf_headers()
            answer = get_session().get(address, params={**query, "limit": 50}, headers=headers, timeout=3)
            known += [found["id"] for found in answer.json()]
        except Exception:
            break
    full = {known_name.rsplit("/", 1)[-1]: known_name for known_name in known} | {full: full for full in known}
    near = nearest(name, full) or nearest(short, full)
    return f"did you mean {full[near]} ?" if near and full[near] != name else None


def no_weights(name: str, files: list[str]) -> ModelError:
    """The error for a model without loadable weights; pickles are named, with the flag that loads them."""
    if any(re.fullmatch(r"pytorch_model(-\d+-of-\d+)?\.bin", file) for file in files):
        hint = "--allow-pickle loads them (torch's weights_only mode)"
        return ModelError(f"{name} has pickled weights only (pytorch_model.bin), which could carry code", hint)
    shards = [file for file in files if re.fullmatch(r"model-\d+-of-\d+\.safetensors", file)]
    if shards or "model.safetensors.index.json" in files:
        return ModelError(
            f"{name} has only some of the shards of its weights ({len(shards)} found)", "copy all of them"
        )
    shown = ", ".join(sorted(files)[:6]) or "nothing"
    return ModelError(f"{name} has no weights (found {shown})", "weights are model.safetensors or its shards")


def cached_names(kind: str = "model") -> list[str]:
    """Every repository of a kind in the Hub's cache."""
    cache = Path(constants.HF_HUB_CACHE)
    names = sorted(os.listdir(cache)) if cache.is_dir() and os.access(cache, os.R_OK) else []
    start = f"{kind}s--"
    return [name.removeprefix(start).replace("--", "/", 1) for name in names if name.startswith(start)]
