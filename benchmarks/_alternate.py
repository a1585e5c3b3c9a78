"""Two ways to the same result, run in turns, so that whatever else the machine does meets both."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

BIN = Path(sys.executable).parent


def tool(name: str) -> str:
    """A console script of this environment."""
    found = BIN / name
    return str(found) if found.exists() else shutil.which(name) or name


def alternate(label: str, ours: Callable[[], object], peer: Callable[[], object], times: int) -> float:
    """Run both `times` times in turns after one run of each that does not count.

    Returns:
        The median over the turns of our seconds divided by the peer's.
    """
    rows = []
    for turn in range(times + 1):
        seconds = []
        for run in (ours, peer):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        if turn:
            rows.append(seconds)
    mine, theirs = (statistics.median(row[side] for row in rows) for side in (0, 1))
    ratio = statistics.median(row[0] / row[1] for row in rows)
    low, high = min(row[0] / row[1] for row in rows), max(row[0] / row[1] for row in rows)
    print(f"{label}: {mine:.2f} s against {theirs:.2f} s, ratio {ratio:.3f} [{low:.3f}, {high:.3f}] over {times} turns")
    return ratio


def command(*argv: str, stdin: bytes = b"") -> Callable[[], bytes]:
    """A command as something to run; it must succeed."""

    def run() -> bytes:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(argv, input=stdin, capture_output=True, env=environment, check=False)
        if done.returncode != 0:
            sys.exit(f"{argv}: {done.stderr.decode()}")
        return done.stdout

    return run
