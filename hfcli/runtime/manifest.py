"""A folder of tensors and a state that knows whether it is whole: manifest.json, written last, has every file's hash.

No pickles: tensors are safetensors files, the state is JSON.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

_MANIFEST = "manifest.json"
_STATE = "state.json"
_FILE = re.compile(r"\w[\w.-]*", re.ASCII)  # never a path that leads elsewhere


class Unusable(Exception):
    """What a folder is instead of whole: "incomplete (...)" or "damaged (...)"."""


def write(folder: Path, step: int, tensors: Mapping[str, Mapping[str, torch.Tensor]], state: str) -> None:
    """Fill an empty folder; when this returns, its content is on disk.

    Args:
        folder: The folder.
        step: Goes into the manifest.
        tensors: By file and name: `{"model": {"bias": ...}}` becomes model.safetensors. Tied ones are stored twice.
        state: JSON.

    Raises:
        OSError: The disk is full, or the like.
    """
    (folder / _STATE).write_text(state)
    for stem, by_name in tensors.items():
        path = folder / f"{stem}.safetensors"
        _write_tensors(path, by_name)
        shutil.copymode(folder / _STATE, path)  # safetensors lets only the owner read it
    files = {}
    for path in sorted(folder.iterdir()):
        sync(path)
        files[path.name] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
    manifest = folder / _MANIFEST
    manifest.write_text(json.dumps({"step": step, "files": files}, indent=2) + "\n")
    sync(manifest)
    sync(folder)


def verify(folder: Path, step: int) -> dict[str, Any]:
    """Compare every file of a folder with the manifest; the state.

    Raises:
        Unusable: The folder is not what was written, or is of another step.
    """
    for name, (size, sha256) in _files(folder, step).items():
        path = folder / name
        try:
            if not path.is_file():
                raise Unusable(f"damaged ({name} is missing)")
            if path.stat().st_size != size or _sha256(path) != sha256:
                raise Unusable(f"damaged ({name} has other content than its manifest says)")
        except OSError as error:
            raise Unusable(f"damaged ({name} cannot be read: {reason(error)})") from error
    state: dict[str, Any] = json.loads((folder / _STATE).read_bytes())
    return state


def read_tensors(folder: Path, stem: str) -> dict[str, torch.Tensor]:
    """The tensors of one file by name, on the CPU."""
    return safetensors.torch.load_file(folder / f"{stem}.safetensors")


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def reason(error: OSError) -> str:
    """What the system says, in the style of our sentences: "no space left on device"."""
    return (error.strerror or str(error)).lower()


def _files(folder: Path, step: int) -> dict[str, tuple[int, str]]:
    """Bytes and sha256 of every file by its name, as the manifest has them."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        files = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()}
        of_step = manifest["step"]
    except FileNotFoundError:
        raise Unusable("incomplete (killed while saving)") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unusable("damaged (its manifest cannot be read)") from None
    if of_step != step:
        raise Unusable("damaged (its manifest is of another step)")
    for name in files:
        if not _FILE.fullmatch(name):
            raise Unusable(f"damaged (its manifest names {json.dumps(name)})")
    if _STATE not in files:
        raise Unusable(f"damaged (its manifest does not name {_STATE})")
    return files


def _write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    apart: dict[str, torch.Tensor] = {}
    storages = set()
    for name, tensor in tensors.items():
        packed = tensor.detach().contiguous()
        storage = packed.untyped_storage().data_ptr()
        # safetensors refuses tensors that share memory. The device may have no room for a copy.
        apart[name] = packed.to("cpu", copy=True) if storage in storages else packed
        storages.add(storage)
    try:
        safetensors.torch.save_file(apart, path, metadata={"format": "pt"})
    except SafetensorError as error:
        number = re.search(r"os error ([0-9]+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
