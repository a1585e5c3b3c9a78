"""What can be wrong with a machine, found by trying it."""

import os
import platform
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import huggingface_hub
import psutil
import torch
import transformers
from huggingface_hub import HfApi, constants, get_token, scan_cache_dir
from huggingface_hub.errors import RepositoryNotFoundError

from hfcli import __version__, tasks
from hfcli.errors import Exit, HfcliError
from hfcli.options import DecodingOptions, ModelOptions, PromptOptions
from hfcli.runtime import environment, hub_errors, loading, prediction
from hfcli.runtime.decoding import resolve


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        status: ok, warn (works, could be better) or fail (what was asked for does not work).
        topic: What it is about, one word.
        text: What was found. Holds no names and no tokens.
        fix: What to do about it.
        private: More of it, for the terminal only.
        exit_code: What the command exits with because of it.
    """

    status: Literal["ok", "warn", "fail"]
    topic: str
    text: str
    fix: str | None = None
    private: str = ""
    exit_code: int = Exit.OK


def examine(device: str, dtype: str, offline: bool, hub_wanted: bool) -> Iterator[Finding]:
    """Look at everything a command depends on, cheapest first.

    Args:
        device: As `--device`; one that is asked for by name and does not work is a failure.
        dtype: As `--dtype`.
        offline: Do not ask the Hub.
        hub_wanted: A Hub that does not answer is a failure.
    """
    environment.silence()
    yield _versions()
    yield _cpu()
    yield from _gpu()
    yield _memory()
    yield Finding("ok", "hub", "not asked (offline)") if offline and not hub_wanted else _hub(hub_wanted)
    yield _cache()
    yield _generation(device, dtype)


def _versions() -> Finding:
    versions = [f"python {platform.python_version()}", f"hfcli {__version__}"]
    versions += [f"transformers {transformers.__version__}", f"torch {torch.__version__}"]
    versions += [f"huggingface_hub {huggingface_hub.__version__}", f"{platform.system()} {platform.machine()}"]
    return Finding("ok", "versions", " · ".join(versions))


def _cpu() -> Finding:
    device = torch.device("cpu")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    native = environment.native_bfloat16(device)
    counted = f"{cores} core{'s' * (cores != 1)}"
    if native is None:
        return Finding("ok", "cpu", f"{counted}, no native bfloat16 -> --dtype auto is float32")
    ratio = _seconds(torch.float32) / _seconds(torch.bfloat16)
    return Finding("ok", "cpu", f"{counted}, {native} -> --dtype auto is bfloat16 ({ratio:.1f} x float32)")


def _seconds(dtype: torch.dtype) -> float:
    """The fastest of a few matrix products, which is the arithmetic of a model."""
    matrix = torch.ones(1024, 1024, dtype=dtype)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - began)
    return min(times)


def _gpu() -> Iterator[Finding]:
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            yield _cuda(torch.device("cuda", index))
    elif Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        reason = environment.why_unavailable("cuda")
        yield Finding(
            "warn", "gpu", f"an NVIDIA driver is here, but {reason}", "install torch's CUDA build (pytorch.org)"
        )
    elif torch.backends.mps.is_available():
        failure = environment.kernel_failure(torch.device("mps"))
        yield Finding("warn", "gpu", f"mps cannot run a kernel ({failure})") if failure else Finding("ok", "gpu", "mps")


def _cuda(device: torch.device) -> Finding:
    name = torch.cuda.get_device_name(device)
    failure = environment.kernel_failure(device)
    if failure:
        return Finding(
            "warn", "gpu", f"{device} {name} cannot run a kernel ({failure})", "install a torch built for it"
        )
    free, total = torch.cuda.mem_get_info(device)
    placement = environment.place(device, "auto")
    dtype = f"--dtype auto is {placement.dtype_name} ({placement.reason})"
    return Finding("ok", "gpu", f"{device} {name}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free -> {dtype}")


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    cache = Path(constants.HF_HUB_CACHE)
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    disk = shutil.disk_usage(there).free
    text = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free · cache {disk / 1e9:.0f} GB free"
    where = f" in {cache}"
    if not os.access(there, os.W_OK):
        return Finding("warn", "memory", f"{text}, but it cannot be written", "HF_HOME=FOLDER moves the cache", where)
    if disk < 5e9:
        return Finding("warn", "memory", text, "HF_HOME=FOLDER moves the cache to a larger disk", where)
    return Finding("ok", "memory", text, None, where)


def _hub(wanted: bool) -> Finding:
    began = time.monotonic()
    try:
        HfApi().model_info("openai-community/gpt2", timeout=5)
    except RepositoryNotFoundError:  # a small Hub of one's own: it answers
        pass
    except Exception as error:  # whatever it is, it is the finding
        text = "it cannot be asked; are the proxy, the token and HF_ENDPOINT right?"
        if isinstance(error, hub_errors.TransportError):
            name = "openai-community/gpt2"
            sentence = hub_errors.sentence(error, name, ModelOptions(model=name), None).message
            text = sentence.removeprefix(f"{name} is not on this machine and ")
        fix = "what is cached and builtin/... work without it; HF_ENDPOINT names a mirror"
        code = Exit.MODEL if wanted else Exit.OK
        return Finding("fail" if wanted else "warn", "hub", text, fix, exit_code=code)
    taken = (time.monotonic() - began) * 1000
    set_names = [name for name in ("HF_ENDPOINT", "HTTPS_PROXY", "https_proxy") if os.environ.get(name)]
    login = "logged in" if get_token() else "not logged in (enough for public models)"
    return Finding(
        "ok", "hub", f"answers in {taken:.0f} ms, {login} ({', '.join(set_names) or 'HF_ENDPOINT not set, no proxy'})"
    )


def _cache() -> Finding:
    cache = Path(constants.HF_HUB_CACHE)
    if not cache.is_dir():
        return Finding("ok", "cached", "nothing yet")
    info = scan_cache_dir(cache)
    kinds = [sum(repo.repo_type == kind for repo in info.repos) for kind in ("model", "dataset")]
    counted = [f"{kinds[0]} model{'s' * (kinds[0] != 1)}", f"{kinds[1]} data set{'s' * (kinds[1] != 1)}"]
    text = f"{', '.join(counted)}, {info.size_on_disk / 1e9:.1f} GB"
    torn = len(list(cache.glob("*/blobs/*.incomplete")))
    if torn:
        again = "the same command fetches the rest"
        return Finding("warn", "cached", f"{text}, {torn} file{'s' * (torn != 1)} fetched in part", again)
    return Finding("ok", "cached", f"{text}, every file whole")


def _generation(device: str, dtype: str) -> Finding:
    """Load a model on the chosen device and let it speak: what no version number proves."""
    began = time.monotonic()
    asked = ModelOptions(model="builtin/story", device=device, dtype=dtype, offline=True)  # type: ignore[arg-type]
    try:
        task = tasks.get("text-generation")
        loaded = loading.load(task, asked, lambda event: None)
        decoding = resolve(
            DecodingOptions(max_new_tokens=24, sample=False), loaded.model.generation_config, loaded.max_tokens
        )
        generator = prediction.Generator(loaded, decoding, PromptOptions())
        text = generator.stream(task.example, lambda piece: None).answers[0]["generated_text"]
    except HfcliError as error:
        return Finding("fail", "generate", error.message, error.hint, exit_code=error.exit_code)
    seconds, placement = time.monotonic() - began, loaded.placement
    where = f"on {placement.device} in {placement.dtype_name} ({placement.reason})"
    if not any(character.isalpha() for character in text):
        return Finding("fail", "generate", f"builtin/story {where} gives no words", None, exit_code=Exit.DEVICE)
    return Finding("ok", "generate", f"builtin/story speaks {where}, {seconds:.1f} s")
