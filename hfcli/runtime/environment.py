"""Devices, number formats, and keeping other libraries' voices off the terminal."""

import logging
import os
import warnings
from typing import NamedTuple

import torch

from hfcli import launch
from hfcli.errors import DeviceError, UsageError
from hfcli.events import Note, Tell

SMALL_BYTES = 4_000_000
"""Models with smaller files run faster in float32 on a CPU (869 against 558 tokens/s at 0.3 M parameters)."""


class Placement(NamedTuple):
    """Where and in what number format a model runs, and why."""

    device: torch.device
    dtype: torch.dtype
    reason: str

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def silence() -> None:
    """Turn off the bars, warnings and load reports of the libraries below us; what matters in them we say ourselves."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    import huggingface_hub
    import transformers
    from huggingface_hub.utils.tqdm import disable_progress_bars

    transformers.utils.logging.set_verbosity(logging.CRITICAL)
    transformers.utils.logging.disable_progress_bar()
    disable_progress_bars()
    huggingface_hub.utils.logging.set_verbosity(logging.CRITICAL)
    for name in ("torch", "peft", "accelerate", "httpx", "httpx2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"(torch|transformers|huggingface_hub|peft|accelerate)(\.|$)")


def pick_device(name: str, tell: Tell = lambda event: None) -> torch.device:
    """The device of `--device`: auto takes the first GPU that can run something, else the CPU.

    Raises:
        UsageError: The name means nothing.
        DeviceError: The device is not there or cannot run a kernel.
    """
    if launch.world().local_size > 1:
        name = _of_rank(name)
    if name == "auto":
        for candidate in ("cuda", "mps"):
            if available(candidate):
                failure = kernel_failure(torch.device(candidate))
                if failure is None:
                    return torch.device(candidate)
                tell(Note(f"{candidate} cannot run a kernel ({failure}); the CPU is used"))
        return torch.device("cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and not index.isdecimal()) or (index and kind != "cuda"):
        raise UsageError(f"no device {name}; there is auto, cpu, cuda, cuda:N and mps", "--device auto")
    if not available(kind):
        raise DeviceError(f"--device {name}: {why_unavailable(kind)}", "--device cpu works everywhere; hfcli doctor")
    if index and int(index) >= torch.cuda.device_count():
        raise DeviceError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s)", "--device cuda:0"
        )
    device = torch.device(name)
    failure = kernel_failure(device)
    if failure:
        raise DeviceError(f"--device {name} cannot run a kernel ({failure})", "hfcli doctor says what is wrong with it")
    return device


def _of_rank(name: str) -> str:
    """The device of one of several ranks of this machine: each has a GPU of its own.

    Raises:
        UsageError: It is one device for all.
        DeviceError: There are fewer than ranks.
    """
    world = launch.world()
    if ":" in name or name == "mps":
        raise UsageError(
            f"--device {name} is one device, and {world.local_size} processes share this job",
            "leave out --device, or --device cpu",
        )
    if name != "cuda" and (name != "auto" or not torch.cuda.is_available()):
        return "cpu"
    if world.local_rank >= max(torch.cuda.device_count(), 1):
        there = f"{torch.cuda.device_count()} GPU{'s' * (torch.cuda.device_count() != 1)}"
        raise DeviceError(
            f"{world.local_size} processes, and this machine has {there}",
            f"--num-processes {torch.cuda.device_count()}, or --device cpu",
        )
    return f"cuda:{world.local_rank}"


def accelerators() -> int:
    """How many accelerators are visible here, one process each."""
    return torch.cuda.device_count() if torch.cuda.is_available() else int(torch.backends.mps.is_available())


def available(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return kind == "cpu" or torch.backends.mps.is_available()


def why_unavailable(kind: str) -> str:
    """One clause that says why torch has no such device."""
    if kind == "mps":
        built = torch.backends.mps.is_built()
        return "this machine has no Apple GPU that torch can use" if built else "this torch was built without MPS"
    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        return "this torch was built without CUDA"
    return "torch sees no CUDA device (driver missing or too old?)"


def kernel_failure(device: torch.device) -> str | None:
    """Run a small matrix product; None when it worked. Builds without code for a card still call it available."""
    try:
        ones = torch.ones(8, 8, device=device)
        total = float((ones @ ones).sum())
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None if total == 512 else f"8 x 8 ones times ones gave {total}"


def native_bfloat16(device: torch.device) -> str | None:
    """What gives this device native bfloat16 arithmetic, or None."""
    if device.type == "cuda":
        return "compute capability 8 or later" if torch.cuda.get_device_capability(device) >= (8, 0) else None
    if device.type == "cpu":
        if not hasattr(torch.cpu, "get_capabilities"):  # an older torch
            return "AVX512-BF16" if torch.cpu._is_avx512_bf16_supported() else None
        capabilities = torch.cpu.get_capabilities()
        names = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "bf16": "ARM BF16", "arm_bf16": "ARM BF16"}
        return next((label for key, label in names.items() if capabilities.get(key)), None)
    return None


def place(device: torch.device, dtype: str, weight_bytes: int | None = None) -> Placement:
    """The number format for `--dtype`.

    Args:
        device: Where the model will run.
        dtype: As the flag says; auto is bfloat16 where the hardware computes in it, else float32.
        weight_bytes: Size of the model's files, None where it is unknown.
    """
    if dtype != "auto":
        return Placement(device, getattr(torch, dtype), "--dtype")
    native = native_bfloat16(device)
    if native is None:
        return Placement(device, torch.float32, "no native bfloat16 here")
    if device.type == "cpu" and weight_bytes is not None and weight_bytes < SMALL_BYTES:
        return Placement(device, torch.float32, "small models run faster so")
    return Placement(device, torch.bfloat16, native)


def name_of(device: torch.device) -> str:
    """A device as people call it: cuda:0, also where torch leaves out the number."""
    return f"cuda:{device.index or 0}" if device.type == "cuda" else str(device)


def free_bytes(device: torch.device) -> int:
    """Memory that can still be taken on `device`."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    import psutil

    return int(psutil.virtual_memory().available)


def empty_cache() -> None:
    """Give memory that torch keeps for later back to the GPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of memory: CUDA raises its own type, the others a RuntimeError with a sentence."""
    signs = ("can't allocate memory", "out of memory", "alloc_failed")  # CPU, MPS, cuBLAS
    return isinstance(error, torch.OutOfMemoryError) or any(sign in str(error).lower() for sign in signs)


def versions() -> dict[str, str]:
    """What results depend on besides data and settings."""
    import platform
    from importlib.metadata import version

    from hfcli import __version__

    names = ("torch", "transformers", "tokenizers", "accelerate", "numpy")
    found = {"hfcli": __version__, "python": platform.python_version(), **{name: version(name) for name in names}}
    return {**found, "threads": str(torch.get_num_threads())}


def total_bytes(device: torch.device) -> int:
    """Memory of `device`, used or not."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    import psutil

    return int(psutil.virtual_memory().total)
