"""The verb `hfcli(...)`, tiny models, a Hub on loopback, and no other network."""

import io
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fake_hub import FakeHub
from tests.tiny import Models

# Read when huggingface_hub is imported, so set before anything imports it.
_HOME = tempfile.TemporaryDirectory(prefix="hfcli-tests-")
_HUB = FakeHub(Path(_HOME.name) / "hub")
os.environ |= {
    "HF_ENDPOINT": _HUB.address,
    "HF_HOME": f"{_HOME.name}/huggingface",
    "XDG_CONFIG_HOME": f"{_HOME.name}/config",
    "XDG_STATE_HOME": f"{_HOME.name}/state",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_ETAG_TIMEOUT": "2",
    "HF_HUB_DOWNLOAD_TIMEOUT": "2",
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "1",  # threads cost tiny models more than they give, most of all beside another job
    "COLUMNS": "80",
}
for _name in (
    "HFCLI_MODEL",
    "HFCLI_CONFIG",
    "HFCLI_HISTORY",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
):
    os.environ.pop(_name, None)

# Behind `make test &` in a script, or a CI runner that does so, SIGINT is ignored, and would be in every child.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            skip = pytest.mark.skip(reason="needs a GPU")
            for item in items:
                if item.get_closest_marker("gpu"):
                    item.add_marker(skip)


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Connections elsewhere than loopback fail the test that makes them."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    socket.socket.connect = guarded  # type: ignore[method-assign]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


class Result(NamedTuple):
    """What a command line gave."""

    code: int
    out: str
    err: str
    raw: bytes

    @property
    def lines(self) -> list[str]:
        return self.out.split("\n")[:-1]

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def hfcli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`hfcli("generate", "-m", model, "Once", stdin="...")`: a command line, run in this process.

    Standard input is a pipe with `stdin` in it (closed after it), or /dev/null without. File descriptors are exchanged,
    not only `sys.stdout`, because that is what the program and its readers use.
    """

    def call(*argv: str | Path, stdin: str | bytes | None = None, env: dict[str, str] | None = None) -> Result:
        from hfcli.cli import main

        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            saved = [os.dup(fd) for fd in (0, 1, 2)]
            streams = sys.stdin, sys.stdout, sys.stderr
            source = _feed(stdin)
            try:
                for fd, target in enumerate((source, out.fileno(), err.fileno())):
                    os.dup2(target, fd)
                sys.stdout = io.TextIOWrapper(io.FileIO(1, "wb", closefd=False), encoding="utf-8")
                sys.stderr = io.TextIOWrapper(io.FileIO(2, "wb", closefd=False), encoding="utf-8")
                code = main([str(argument) for argument in argv])
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                sys.stdin, sys.stdout, sys.stderr = streams
                for fd, original in enumerate(saved):
                    os.dup2(original, fd)
                    os.close(original)
                os.close(source)
            out.seek(0)
            err.seek(0)
            raw = out.read()
            return Result(code, raw.decode("utf-8"), err.read().decode("utf-8"), raw)

    return call


def _feed(content: str | bytes | None) -> int:
    """A file descriptor to read from: a pipe that a thread fills and closes, or /dev/null."""
    if content is None:
        return os.open(os.devnull, os.O_RDONLY)
    read, write = os.pipe()
    data = content.encode() if isinstance(content, str) else content

    def fill() -> None:
        try:
            with open(write, "wb") as pipe:
                pipe.write(data)
        except BrokenPipeError:
            pass

    if len(data) < 60_000:
        fill()  # fits into the pipe: it is waiting there before the command starts
    else:
        threading.Thread(target=fill, daemon=True).start()
    return read


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a line of bash in which `hfcli` is a process of its own, for signals, pipes and import times."""

    def call(line: str, timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
        function = f'hfcli() {{ "{sys.executable}" -W error -m hfcli "$@"; }}\nset -o pipefail\n'
        root = str(Path(__file__).parent.parent)
        environment = {**os.environ, "PYTHONPATH": root, **env}
        command = ["bash", "-c", function + line]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env=environment, stdin=subprocess.DEVNULL
        )

    return call


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """The Hub that HF_ENDPOINT names, on loopback, without faults at the start and end of a test."""
    _HUB.reset()
    yield _HUB
    _HUB.reset()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output is a terminal, for commands that run in this process."""
    from hfcli.cli.console import Console

    begin = Console.__init__

    def on_terminal(self: Console, quiet: bool = False) -> None:
        begin(self, quiet)
        self.terminal = True

    monkeypatch.setattr(Console, "__init__", on_terminal)


@pytest.fixture(scope="session")
def processes() -> Any:
    """Children that have everything imported from their first moment on."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["hfcli.cli._training", "hfcli.runtime.finetuning", "hfcli.runtime.preparing", "matplotlib.figure",
         "matplotlib.backends.backend_agg", "pandas", "transformers.models.bert.modeling_bert",
         "tests.test_training_ranks", "tests.test_ranks", "tests.test_sharding"]
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:  # it does not know where this process imports from
        patch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
        forkserver.ensure_running()
    return context
