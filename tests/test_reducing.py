"""Slow metrics in several processes: the same numbers, the same errors, and a quiet end."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hfcli.cli import _measure, _reducing

WORDS = "the small fox ran over an old hill and saw red kites".split()
TEXTS = [" ".join(WORDS[i % 5 : 5 + i % 7]) for i in range(24)]
REFERENCES = [" ".join(WORDS[i % 3 : 6 + i % 5]) for i in range(24)]
ROOT = Path(__file__).parents[1]


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def files(texts=TEXTS, references=REFERENCES):
        for name, some in (("p.txt", texts), ("r.txt", references)):
            Path(name).write_text("".join(f"{text}\n" for text in some))
        return "--predictions", "p.txt", "--references", "r.txt"

    return files


@pytest.fixture
def two_processes(monkeypatch):
    """Few records are many: chunks of 5 of them, and two other processes after 8."""
    made = []
    pool = _reducing._pool
    monkeypatch.setattr(_measure, "CHUNK", 5)
    monkeypatch.setattr(_reducing, "_AHEAD", 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    monkeypatch.setattr(_reducing, "_pool", lambda cores: made.append(cores) or pool(cores))
    return made


def test_two_processes_give_exactly_what_one_gives(hfcli, files, two_processes, monkeypatch):
    texts, references = TEXTS * 2, REFERENCES * 2  # more chunks than are sent ahead
    metrics = ("--metric", "bleu", "--metric", "ter", "--metric", "exact_match", "--metric", "bleu:lowercase=yes")
    flags = ("eval", *metrics, *files(texts, references), "--resamples", "50")
    several = hfcli(*flags, "--details", "two.jsonl", "-o", "two.json")
    assert (several.code, several.err, two_processes) == (0, "", [2])
    monkeypatch.setattr(_reducing, "_AHEAD", 1000)
    alone = hfcli(*flags, "--details", "one.jsonl", "-o", "one.json")
    assert (alone.out, two_processes) == (several.out, [2])
    assert Path("one.jsonl").read_bytes() == Path("two.jsonl").read_bytes()
    assert Path("one.json").read_bytes() == Path("two.json").read_bytes()
    assert [json.loads(line)["prediction"] for line in Path("two.jsonl").read_text().splitlines()] == texts


def test_quick_metrics_and_one_core_need_no_other_process(hfcli, files, two_processes, monkeypatch):
    assert hfcli("eval", "--metric", "exact_match", *files()).code == 0
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert hfcli("eval", "--metric", "ter", *files()).code == 0
    assert two_processes == []


def test_an_error_comes_out_of_another_process_as_it_is(hfcli, files, two_processes):
    """A tokenizer that is not installed is noticed where it is needed."""
    flags = ("eval", "--metric", "bleu:tokenize=ja-mecab", *files())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_reducing, "_AHEAD", 1000)
        alone = hfcli(*flags)
    assert alone.code != 0
    assert two_processes == []
    with pytest.MonkeyPatch.context() as patch:  # nothing is reduced here, all of it elsewhere
        patch.setattr(_reducing, "_AHEAD", -1)
        several = hfcli(*flags)
    assert two_processes == [2]
    assert (several.code, several.out, several.err) == (alone.code, "", alone.err)
    assert "Traceback" not in several.err


def test_records_that_end_too_early_are_an_error_in_time(hfcli, files, two_processes):
    result = hfcli("eval", "--metric", "ter", *files(references=REFERENCES[:-1]))
    assert (result.code, result.out, two_processes) == (4, "", [2])
    assert result.err.startswith("error: each prediction needs its reference")


def test_no_more_is_read_ahead_than_is_worked_on(two_processes, monkeypatch):
    """Of a long file only some chunks are in memory."""
    from hfcli import metrics

    family = metrics.family("ter")
    wanted = [_reducing.Wanted(family, family.options())]
    read, kept = itertools.count(), []

    class Late:
        def __init__(self):
            self.waiting = []

        def submit(self, call, batch, keys):
            from concurrent.futures import Future

            future = Future()
            self.waiting.append(future)
            future.set_result(_reducing._reduce_elsewhere(batch, keys))
            return future

        def shutdown(self, **how):
            pass

    monkeypatch.setattr(_reducing, "_pool", lambda cores: Late())
    most = 0

    def batches():
        nonlocal most
        for _ in range(40):
            most = max(most, next(read) - len(kept))
            yield _reducing.Batch([[["a b c"] * 5]], [[[["a b d"]] * 5][0]])

    found = _reducing.reduced(batches(), wanted, lambda batch, statistics: kept.append(batch))
    assert len(kept) == 40
    assert len(found[0][0]) == 200
    assert most <= 8


def test_ctrl_c_leaves_no_traceback_and_no_process(files):
    files(TEXTS * 800, REFERENCES * 800)
    program = (
        "import sys\nfrom hfcli.cli import _measure, _reducing\n"
        "_measure.CHUNK, _reducing._AHEAD = 16, 0\n"
        "if __name__ == '__main__':\n"
        "    import os\n    os.sched_getaffinity = lambda process: {0, 1}\n"
        "    from hfcli.cli import main\n    sys.exit(main(sys.argv[1:]))\n"
    )
    Path("slowly.py").write_text(program)
    flags = ["eval", "--metric", "ter", "--predictions", "p.txt", "--references", "r.txt", "--details", "d.jsonl"]
    command = [sys.executable, "-W", "error", "slowly.py", *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    how = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **how)
    deadline = time.monotonic() + 60
    state = Path("d.jsonl.partial.json")
    while not (state.exists() and json.loads(state.read_text())["records"] > 32):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: all of them
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.endswith("are kept in d.jsonl.partial\nhint:  the same line with --resume goes on from there\n")
    assert "Traceback" not in err
