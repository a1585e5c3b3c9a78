"""`hfcli classify` in real shells: answers as lines arrive, going on after a crash, memory that runs out, terminals."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from hfcli.runtime import asking, batching, chunking
from tests.test_classify import films
from tests.test_pipes import Cut, wait_for

# Python 3.12 and later warn of `pty.fork` beside the threads of the Hub on loopback; the child only calls exec.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of forkpty:DeprecationWarning")

ROOT = Path(__file__).parent.parent
COUNT = 300


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    """Records of many lengths in a file, which make six chunks: of 1,000 characters, then of 2,000, and so on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(batching, "MAX_LOGIT_TOKENS", {"cpu": 256, "cuda": 256})
    texts, _ = films(COUNT)
    Path("in.jsonl").write_text("".join(json.dumps({"id": n, "text": text}) + "\n" for n, text in enumerate(texts)))
    return "in.jsonl"


@pytest.fixture
def cut(monkeypatch):
    """`cut(2)`: the next job dies after its second chunk, with nothing tidied up but file descriptors."""
    from hfcli.writing import Output

    write = Output.write

    def call(after):
        left = [after]

        def dying(self, *args):
            if not left[0]:
                raise Cut
            left[0] -= 1
            write(self, *args)

        monkeypatch.setattr(Output, "write", dying)
        return lambda: monkeypatch.setattr(Output, "write", write)

    return call


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_resumed_job_gives_the_bytes_of_one_that_was_not_interrupted(hfcli, models, reviews, cut, dtype):
    """In bfloat16 scores depend on the batch, so chunks have to be cut where the first job cut them."""
    line = ("classify", "-m", models.classifier(), "--all-scores", "--dtype", dtype, "--file", reviews)
    assert hfcli(*line, "-o", "whole.jsonl").code == 0
    done = []
    for _ in range(3):
        healed = cut(1)
        with pytest.raises(Cut):
            hfcli(*line, "-o", "cut.jsonl", *(("--resume",) if done else ()))
        healed()
        done.append(json.loads(Path("cut.jsonl.partial.json").read_text())["records"])
        with open("cut.jsonl.partial", "ab") as file:
            file.write(b'{"id": 3, "te')  # what a kill leaves in the middle of a write
    assert 0 < done[0] < done[1] < done[2] < COUNT
    result = hfcli(*line, "-o", "cut.jsonl", "--resume")
    assert result.code == 0
    assert f"{done[2]} records are done, going on from there" in result.err
    assert Path("cut.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_which_texts_share_a_batch_does_not_depend_on_where_a_job_was_cut(hfcli, models, reviews, cut, monkeypatch):
    from hfcli.runtime.forward import Network

    batches, logits = [], Network.logits

    def watched(self, features):
        batches.append([feature.inputs["input_ids"].tobytes() for feature in features])
        return logits(self, features)

    line = ("classify", "-m", models.classifier(), "--file", reviews)
    monkeypatch.setattr(Network, "logits", watched)
    monkeypatch.setattr(asking, "logits_together", lambda *given: "any")
    assert hfcli(*line, "-o", "whole.jsonl").code == 0
    whole, batches[:] = list(batches), []
    healed = cut(2)
    with pytest.raises(Cut):
        hfcli(*line, "-o", "cut.jsonl")
    healed()
    done = list(batches)
    batches.clear()
    assert hfcli(*line, "-o", "cut.jsonl", "--resume").code == 0
    assert len(batches) > 2
    assert done[: len(whole) - len(batches)] + batches == whole


def test_resume_with_other_settings_or_other_input_is_refused(hfcli, models, reviews, cut):
    line = ("classify", "-m", models.classifier(), "--file", reviews, "-o", "out.jsonl")
    healed = cut(1)
    with pytest.raises(Cut):
        hfcli(*line)
    healed()
    for flags, said in (
        (("--all-scores",), '"all_scores": true'),
        (("--max-length", "20"), '"max_length": 20'),
        (("--dtype", "bfloat16"), 'dtype ("float32", now "bfloat16")'),
    ):
        result = hfcli(*line, "--resume", *flags)
        assert (result.code, said in result.err) == (2, True), result.err
    Path(reviews).write_text('{"text": "good"}\n' * COUNT)
    changed = hfcli(*line, "--resume")
    assert (changed.code, "was made from other input" in changed.err) == (2, True)


def test_records_that_failed_before_the_cut_still_count(hfcli, models, reviews, cut):
    lines = Path(reviews).read_text().splitlines(keepends=True)
    lines[0], lines[1] = '{"text": 3}\n', "{bad\n"
    lines[2] = json.dumps({"text": "film " * 100}) + "\n"
    Path(reviews).write_text("".join(lines))
    line = ("classify", "-m", models.classifier(), "--file", reviews, "--on-error", "record", "--on-long", "error")
    assert hfcli(*line, "-o", "whole.jsonl").code == 3
    healed = cut(1)
    with pytest.raises(Cut):
        hfcli(*line, "-o", "cut.jsonl")
    healed()
    result = hfcli(*line, "-o", "cut.jsonl", "--resume")
    assert (result.code, "3 failed" in result.err) == (3, True)
    assert Path("cut.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_chunks_are_cut_by_work_and_grow(models):
    from hfcli.records import Row

    cut = chunking.ByWork(100, 1000)
    ends = [n for n in range(60) if cut(Row({"text": "x" * 50, "id": 7}, ""))]
    assert ends == [1, 5, 13, 29, 49]  # 100, 200, 400, 800, then always 1,000 characters
    cut(Row(None, "", None))
    cut.restart()
    assert [n for n in range(21) if cut(Row({"text": "x" * 50}, ""))] == [19]


def test_out_of_memory_halves_batches_and_changes_nothing(hfcli, models, reviews, monkeypatch):
    from hfcli.runtime.forward import Network

    line = ("classify", "-m", models.classifier(), "--file", reviews, "--on-error", "record")
    expected = hfcli(*line).records
    logits, most, failures = Network.logits, 160, 0

    def tight(self, features):
        nonlocal failures
        if sum(len(feature.inputs["input_ids"]) for feature in features) > most:
            failures += 1
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return logits(self, features)

    monkeypatch.setattr(Network, "logits", tight)
    result = hfcli(*line)
    assert result.code == 0
    assert result.err.count("note: out of memory; batches are smaller from here on\n") == 1
    for one, other in zip(result.records, expected, strict=True):
        assert (one["id"], one["label"]) == (other["id"], other["label"])
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)
    assert failures < 20  # later batches are smaller from the start
    most = 40
    result = hfcli(*line)
    errors = [one for one in result.records if "error" in one]
    assert result.code == 3
    assert all("out of memory at a text of" in one["error"] for one in errors)
    assert 0 < len(errors) < COUNT


def test_the_live_line_counts_records_and_what_was_long():
    from hfcli.cli.console import Console
    from hfcli.events import Working

    event = Working(3120, None, None, 5.1, 0.0, "2 longer than 512 tokens (windows, pooled)")
    expected = "3,120 records · 612/s · 2 longer than 512 tokens (windows, pooled)"
    assert Console()._describe(event, 0.0) == expected
    assert "612/s" in Console()._describe(event._replace(fraction=0.5), 0.0)


# Streams and terminals: processes of their own


def started(models, *flags, **how):
    argv = [sys.executable, "-W", "error", "-m", "hfcli", "classify", "-m", str(models.classifier()), *map(str, flags)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(argv, bufsize=0, env=environment, stderr=subprocess.DEVNULL, **how)


def test_every_line_of_a_log_is_answered_at_once(models, tmp_path):
    log = tmp_path / "app.log"
    log.write_text("a quiet film , good\n")
    tail = subprocess.Popen(["tail", "-n", "+1", "-f", str(log)], stdout=subprocess.PIPE)
    process = started(models, stdin=tail.stdout, stdout=subprocess.PIPE)
    try:
        assert select.select([process.stdout], [], [], 60)[0]
        assert json.loads(os.read(process.stdout.fileno(), 1000))["label"] == "pos"
        seconds = []
        for line in ("an awful film", "in two hours good"):
            with log.open("a") as file:
                file.write(line + "\n")
            began = time.monotonic()
            assert select.select([process.stdout], [], [], 60)[0], "no answer before the next line"
            seconds.append(time.monotonic() - began)
            assert json.loads(os.read(process.stdout.fileno(), 1000))["text"] == line
        assert min(seconds) < 0.5
    finally:
        tail.kill()
        tail.wait()
        assert process.wait(60) == 0
        process.stdout.close()
        tail.stdout.close()


def test_a_killed_job_loses_nothing(models, hfcli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts, labels = films(20_000)
    Path("in.txt").write_text("\n".join(texts) + "\n")
    process = started(models, "--file", "in.txt", "-o", "out.jsonl")
    sidecar = Path("out.jsonl.partial.json")
    wait_for(lambda: sidecar.exists() and json.loads(sidecar.read_text())["records"] > 0)
    process.kill()
    process.wait()
    kept = json.loads(sidecar.read_text())["records"]
    assert 0 < kept < 20_000
    result = hfcli("classify", "-m", models.classifier(), "--file", "in.txt", "-o", "out.jsonl", "--resume")
    assert result.code == 0
    made = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [one["text"] for one in made] == texts
    assert [one["label"] for one in made] == labels


def test_a_closed_pipe_is_silent(shell, models):
    line = (
        f"yes 'a good film' | head -20000 | hfcli classify -m {models.classifier()} | head -1; echo ${{PIPESTATUS[2]}}"
    )
    result = shell(line)
    assert (json.loads(result.stdout.splitlines()[0])["label"], result.stdout[-2:], result.stderr) == ("pos", "0\n", "")


def on_terminal(folder, *flags, columns=40):
    """Run on a pseudo terminal; the lines it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        environment.pop("COLUMNS", None)
        argv = [sys.executable, "-m", "hfcli", "classify", "-q", "-m", str(folder), *map(str, flags)]
        os.execve(sys.executable, argv, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    return shown.decode().split("\r\n")[:-1]


def test_a_terminal_gets_columns_that_fit(models, tmp_path):
    texts = [
        "a good film",
        "an awful\tfilm and more of it than a line holds",
        "映画 " * 30 + "bad",
        "\x1b[31m good",
        " ",
    ]
    file = tmp_path / "in.jsonl"
    file.write_text("".join(json.dumps({"id": 3, "text": text}) + "\n" for text in texts))
    lines = on_terminal(models.classifier(), "--file", file)
    assert [line[:3] for line in lines] == ["pos", "neg", "neg", "pos", "-  "]
    assert lines[0] == "pos  0.996  a good film"
    assert lines[1] == "neg  0.996  an awful film and more of i…"
    assert lines[2].endswith("…")
    assert len(lines[2]) < 40
    assert lines[3].endswith("  \ufffd[31m good")
    assert all(line[3:5] == "  " and line[10:12] == "  " for line in lines[:4])


def test_columns_for_several_labels_numbers_and_pairs(hfcli, models, monkeypatch, tmp_path):
    from hfcli.cli.console import Console

    init = Console.__init__

    def on_terminal(self, quiet=False):
        init(self, quiet)
        self.terminal = True

    monkeypatch.setattr(Console, "__init__", on_terminal)
    monkeypatch.setenv("COLUMNS", "60")

    def lines(model, *flags, **how):
        return hfcli("classify", "-q", "-m", model, *flags, **how).lines

    assert lines(models.classifier(), "good", "--top-k", "2") == ["pos  0.996  neg  0.004  good"]
    assert lines(models.classifier(), "good", "--all-scores") == ["pos  0.996  neg  0.004  good"]
    assert lines(models.classifier(), "good", "--min-score", "0.9999") == ["-    0.996  good"]
    several, none = lines(models.several(), "--threshold", "0", "--top-k", "2", stdin="film\n\n")
    assert (several.count(","), several[-6:], none) == (1, "  film", "-")
    (number,) = lines(models.number(), "film")
    assert number == f"{float(number.split()[0]):8.3f}  film"
    pair = json.dumps({"sentence1": "a film", "sentence2": "good " * 30})
    (line,) = lines(models.head("bert"), stdin=pair)
    assert line[:1] in "abc"
    assert "  a film | good good" in line
    assert line[-1] == "…"
    assert len(line) in (59, 60)  # no space before the ellipsis
    wrong = lines(models.classifier(), "--on-error", "record", stdin='{"text": "good"}\n{"text": 3}\n')
    assert wrong == ["pos  0.996  good", "error  standard input:2: column text holds a number, not text"]
    as_json = hfcli("classify", "-m", models.classifier(), "--json", "good")
    assert as_json.records == [{"text": "good", "label": "pos", "score": pytest.approx(0.996, abs=0.001)}]
