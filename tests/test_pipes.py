"""`hfcli generate` in real shells: pipes, signals, full disks, closed streams, and going on after all of them."""

import array
import fcntl
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

# Python 3.12 and later warn of `pty.fork` beside the threads of the Hub on loopback; the child only calls exec.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of forkpty:DeprecationWarning")

ROOT = Path(__file__).parent.parent
COUNT = 400  # three chunks and a part of a fourth
SMALL_CHUNKS = """
from hfcli.__main__ import run
from hfcli.runtime import prediction

prediction.CHUNK_TOKENS = 0
run()
"""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of 128 records, as when texts are long; `start` does it for processes of their own."""
    monkeypatch.setattr("hfcli.runtime.prediction.CHUNK_TOKENS", 0)


@pytest.fixture
def prompts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [{"id": n, "prompt": ("the fox", "a girl and a boy", "moon")[n % 3] * (n % 5 + 1)} for n in range(COUNT)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return "in.jsonl"


@pytest.fixture
def start(models):
    """Start `hfcli generate` with a tiny model in a process of its own."""
    started = []

    def call(*flags, **how):
        program = [sys.executable, "-W", "error", "-c", SMALL_CHUNKS]
        argv = [*program, "generate", "-m", str(models.llama()), *map(str, flags)]
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
        how |= {"bufsize": 0, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
        started.append(subprocess.Popen(argv, **how))
        return started[-1]

    yield call
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


# Resume, in this process: a job is cut at a chunk as a kill would cut it


class Cut(BaseException):
    pass


@pytest.fixture
def cut(monkeypatch):
    """`cut(2)`: the next job dies after its second chunk, with nothing tidied up but file descriptors."""
    from hfcli.writing import Output

    write = Output.write

    def call(after, how=Cut):
        left = [after]

        def dying(self, *args):
            if not left[0]:
                raise how
            left[0] -= 1
            write(self, *args)

        monkeypatch.setattr(Output, "write", dying)
        return lambda: monkeypatch.setattr(Output, "write", write)

    return call


@pytest.mark.parametrize("flags", [("--sample", "--seed", "7"), ("--greedy",)], ids=str)
def test_a_resumed_job_gives_the_bytes_of_one_that_was_not_interrupted(hfcli, models, prompts, cut, flags):
    line = ("generate", "-m", models.llama(), "--max-new-tokens", "12", "--file", prompts, *flags)
    assert hfcli(*line, "-o", "whole.jsonl").code == 0
    for chunk in range(3):
        healed = cut(1)
        with pytest.raises(Cut):
            hfcli(*line, "-o", "cut.jsonl", *(("--resume",) if chunk else ()))
        healed()
        with open("cut.jsonl.partial", "ab") as file:
            file.write(b'{"id": 3, "prom')  # what a kill leaves in the middle of a write
        if chunk == 0:
            assert "add --resume to finish it" in hfcli(*line, "-o", "cut.jsonl").err
    result = hfcli(*line, "-o", "cut.jsonl", "--resume")
    assert result.code == 0
    assert re.search(r"note: cut.jsonl: 384 records are done, going on from there\n16 records in", result.err)
    assert Path("cut.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert sorted(os.listdir()) == ["cut.jsonl", "in.jsonl", "whole.jsonl"]
    again = hfcli(*line, "-o", "cut.jsonl", "--resume")
    assert (again.code, again.out) == (0, "")
    assert "cut.jsonl is complete already" in again.err


def test_which_prompts_share_a_batch_does_not_depend_on_where_a_job_was_cut(hfcli, models, prompts, cut, monkeypatch):
    """Rounding depends on the batch: texts of several thousand records differ now and then when the batches do."""
    from hfcli.runtime import generation

    batches, generate = [], generation.generate

    def watched(loaded, features, *rest):
        batches.append([feature.inputs["input_ids"].tobytes() for feature in features])
        return generate(loaded, features, *rest)

    monkeypatch.setattr(generation, "generate", watched)
    line = ("generate", "-m", models.llama(), "--max-new-tokens", "2", "--file", prompts)
    assert hfcli(*line, "-o", "whole.jsonl").code == 0
    whole, batches[:] = list(batches), []
    healed = cut(2)
    with pytest.raises(Cut):
        hfcli(*line, "-o", "cut.jsonl")
    healed()
    done = list(batches[:-1])
    batches.clear()
    assert hfcli(*line, "-o", "cut.jsonl", "--resume").code == 0
    assert done[: len(whole) - len(batches)] + batches == whole


def test_resume_with_other_settings_or_other_input_is_refused(hfcli, models, prompts, cut):
    line = ("generate", "-m", models.llama(), "--max-new-tokens", "2", "-o", "out.jsonl")
    healed = cut(1)
    with pytest.raises(Cut):
        hfcli(*line, "--file", prompts)
    healed()
    before = Path("out.jsonl.partial").read_bytes()
    lines = Path(prompts).read_text().splitlines(keepends=True)
    Path("other.jsonl").write_text("".join(lines[1:]))
    Path("short.jsonl").write_text("".join(lines[:5]))
    for flags, said in (
        (("--file", prompts, "--top-k", "3"), "do_sample (false, now true)"),
        (("--file", prompts, "--max-new-tokens", "3"), "max_new_tokens (2, now 3)"),
        (("--file", prompts, "--stop", "x"), 'stop (null, now ["x"])'),
        (("--file", prompts, "--dtype", "bfloat16"), 'dtype ("float32", now "bfloat16")'),
        (("--file", prompts, "-m", models.gpt2()), "model ("),
        (("--file", prompts, "--template", "{prompt}!"), '"template": "{prompt}!"'),
        (("--file", "other.jsonl"), "was made from other input: the first 128 records are not the same"),
        (("--file", "short.jsonl"), "was made from other input"),
    ):
        result = hfcli(*line, "--resume", *flags)
        assert result.code == 2, result.err
        assert said in result.err
        assert Path("out.jsonl.partial").read_bytes() == before


def test_records_that_failed_before_the_cut_still_count(hfcli, models, prompts, cut):
    with open(prompts) as file:
        lines = file.readlines()
    lines[5], lines[7] = "{bad\n", json.dumps({"prompt": "fox " * 400}) + "\n"
    Path(prompts).write_text("".join(lines))
    line = (
        "generate",
        "-m",
        models.llama(),
        "--sample",
        "--max-new-tokens",
        "2",
        "--file",
        prompts,
        "--on-error",
        "record",
    )
    assert hfcli(*line, "-o", "whole.jsonl").code == 3
    healed = cut(1)
    with pytest.raises(Cut):
        hfcli(*line, "-o", "cut.jsonl")
    healed()
    result = hfcli(*line, "-o", "cut.jsonl", "--resume")
    assert result.code == 3
    assert "2 failed" in result.err
    assert Path("cut.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


@pytest.mark.parametrize("how", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_stops_a_job_says_how_to_go_on(hfcli, models, prompts, cut, how):
    from hfcli import writing

    line = ("generate", "-m", models.llama(), "--max-new-tokens", "2", "--file", prompts, "-o", "out.jsonl")
    if how is KeyboardInterrupt:
        healed, code = cut(2, how), 130
    else:
        write_all, left = writing._write_all, [2 * 2 + 1]  # each chunk writes data and a sidecar, the start a sidecar

        def full(fd, data):
            if not left[0]:
                raise how
            left[0] -= 1
            write_all(fd, data)

        writing._write_all, code = full, 4
        healed = lambda: setattr(writing, "_write_all", write_all)  # noqa: E731
    try:
        result = hfcli(*line)
    finally:
        healed()
    assert result.code == code
    assert "--resume" in result.err
    assert "Traceback" not in result.err
    assert Path("out.jsonl.partial").read_bytes().count(b"\n") == 256
    assert hfcli(*line, "--resume").code == 0
    assert Path("out.jsonl").read_bytes().count(b"\n") == COUNT


def test_a_bad_line_in_a_long_job_keeps_what_was_done(hfcli, models, prompts):
    lines = Path(prompts).read_text().splitlines(keepends=True)
    Path(prompts).write_text("".join([*lines[:200], "{bad\n", *lines[201:]]))
    line = ("generate", "-m", models.llama(), "--max-new-tokens", "2", "--file", prompts, "-o", "out.jsonl")
    stopped = hfcli(*line)
    assert stopped.code == 4
    assert "error: in.jsonl:201 is not JSON" in stopped.err
    assert "200 records are kept in out.jsonl.partial" in stopped.err
    assert Path("out.jsonl.partial").read_bytes().count(b"\n") == 200
    assert hfcli(*line, "--resume", "--on-error", "record").code == 3
    assert len(Path("out.jsonl").read_text().splitlines()) == COUNT


def test_one_text_does_not_take_the_place_of_an_unfinished_job(hfcli, models, prompts, cut):
    line = ("generate", "-m", models.llama(), "--max-new-tokens", "2", "-o", "out.jsonl")
    healed = cut(1)
    with pytest.raises(Cut):
        hfcli(*line, "--file", prompts)
    healed()
    before = Path("out.jsonl.partial").read_bytes()
    result = hfcli(*line, "the fox")
    assert result.code == 2
    assert "holds an unfinished run (128 records)" in result.err
    assert Path("out.jsonl.partial").read_bytes() == before


# Where output cannot go


def test_outputs_that_cannot_be_written_are_refused_before_a_model_is_loaded(hfcli, models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hfcli.runtime.loading.load_here", lambda *args: pytest.fail("loaded a model"))
    for prompt in (("the fox",), ()):
        result = hfcli("generate", *prompt, "-o", "no/such/out.txt", stdin="fox\n")
        assert (result.code, "mkdir -p no/such" in result.err) == (4, True)
        result = hfcli("generate", *prompt, "-o", ".", stdin="fox\n")
        assert (result.code, "it is a folder" in result.err) == (4, True)
    assert os.listdir() == []


def test_full_devices_are_one_sentence(shell, models):
    line = f"hfcli generate -m {models.llama()} --max-new-tokens 2"
    result = shell(f"printf 'a\\nb\\n' | {line} > /dev/full; echo $? >&2; hfcli --version > /dev/full; echo $? >&2")
    sentence = (
        "error: standard output cannot be written (no space left on device)\nhint:  -o FILE writes elsewhere\n4\n"
    )
    assert result.stderr == sentence * 2


def test_a_closed_pipe_is_silent(shell, models):
    line = f"hfcli generate -m {models.llama()}"
    many = shell(f"yes 'the fox' | head -3000 | {line} --max-new-tokens 2 | head -1; echo ${{PIPESTATUS[2]}}")
    assert (many.stdout.count("\n"), many.stdout[-2:], many.stderr) == (2, "0\n", "")
    one = shell(f"{line} --sample --max-new-tokens 200 'the fox' | head -c 5 | wc -c; echo ${{PIPESTATUS[0]}}")
    assert (one.stdout.split(), one.stderr) == (["5", "0"], "")
    assert shell("hfcli generate --help | true; echo ${PIPESTATUS[0]}").stdout == "0\n"


def test_closed_streams(shell, models, tmp_path):
    line = f"hfcli generate -m {models.llama()} --max-new-tokens 2"
    result = shell(f"{line} <&-; echo $?; {line} 'the fox' >&-; echo $? ")
    assert result.stdout == "4\n4\n"
    assert "error: standard input is empty\n" in result.stderr
    assert "error: standard output cannot be written (bad file descriptor)\n" in result.stderr
    result = shell(f"{line} 'the fox' -o {tmp_path}/out <&- >&- 2>&-; echo $?")
    assert result.stdout == "0\n"
    assert (tmp_path / "out").read_bytes().endswith(b"\n")


# Signals, streams and terminals: processes of their own


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_whole_lines(start, prompts, number, code):
    process = start("--max-new-tokens", "200", "--file", prompts, "--sample")

    def waiting():
        count = array.array("i", [0])
        fcntl.ioctl(process.stdout, termios.FIONREAD, count)
        return count[0]

    wait_for(lambda: waiting() > 60_000)  # the first chunk fills the pipe, and is in the middle of a line
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == code
    assert [json.loads(line)["id"] for line in out.splitlines()] == list(range(128))
    assert out.endswith(b"\n")
    assert err == b""


def test_control_c_ends_it_though_nobody_reads(start, prompts):
    process = start("--max-new-tokens", "200", "--file", prompts, "--sample")
    wait_for(lambda: select.select([process.stdout], [], [], 0)[0])
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130


def test_a_signal_and_a_kill_lose_nothing_of_an_output(start, hfcli, models, prompts):
    flags = ("--max-new-tokens", "60", "--file", prompts, "--sample", "--seed", "3")
    assert hfcli("generate", "-m", models.llama(), *flags, "-o", "whole.jsonl").code == 0
    process = start(*flags, "-o", "cut.jsonl")
    sidecar = Path("cut.jsonl.partial.json")
    wait_for(lambda: sidecar.exists() and json.loads(sidecar.read_text())["records"] == 128)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert (process.returncode, out) == (143, b"")
    kept = json.loads(sidecar.read_text())["records"]
    assert f"{kept} records are kept in cut.jsonl.partial\nhint:  the same line with --resume".encode() in err
    process = start(*flags, "-o", "cut.jsonl", "--resume")
    wait_for(lambda: json.loads(sidecar.read_text())["records"] > kept)
    process.kill()
    process.wait()
    assert hfcli("generate", "-m", models.llama(), *flags, "-o", "cut.jsonl", "--resume").code == 0
    assert Path("cut.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_a_slow_writer_is_answered_line_by_line_and_a_prompt_does_not_wait(start):
    process = start("--max-new-tokens", "2", stdin=subprocess.PIPE)
    for line in (b"the fox\n", b"a girl\n", b"moon\n"):
        process.stdin.write(line)
        process.stdin.flush()
        assert select.select([process.stdout], [], [], 60)[0], "no answer before the next line"
        assert os.read(process.stdout.fileno(), 1000).endswith(b"\n")
    process.stdin.close()
    assert process.wait() == 0
    silent = start("--max-new-tokens", "2", "the fox", stdin=subprocess.PIPE)  # nobody writes, nobody closes
    assert wait_for(lambda: silent.poll() is not None)
    assert silent.returncode == 0


def on_terminal(models, *flags, until=b"", send=b"", columns=60):
    """Run on a pseudo terminal; what it showed, and the exit code. `send` is typed once `until` is seen."""
    import struct

    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        environment.pop("COLUMNS", None)
        argv = [sys.executable, "-m", "hfcli", "generate", "-m", str(models.llama()), *map(str, flags)]
        os.execve(sys.executable, argv, environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            break
        shown += piece
        if not piece:
            break
        if send and until in shown:
            os.write(terminal, send)
            send = b""
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_on_a_terminal_a_text_cannot_steer_it(models, tmp_path):
    (tmp_path / "in.jsonl").write_text(
        '{"prompt": "the fox", "evil": "x"}\n{"prompt": 3, "\\u001b]0;evil\\u0007": 1}\n'
    )
    flags = ("--file", tmp_path / "in.jsonl", "--sample", "--temperature", "3", "--max-new-tokens", "40")
    shown, code = on_terminal(models, *flags, "--template", "{prompt}", "--on-error", "record", columns=30)
    assert code == 0
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
    assert b"[[" not in shown
    missing = on_terminal(models, "--file", tmp_path / "in.jsonl", "--prompt-column", "\x1b[31mred")
    assert missing[1] == 4
    assert b"\x1b" not in missing[0]


def test_control_c_in_a_streamed_text_leaves_a_fresh_line(models):
    flags = ("--sample", "--max-new-tokens", "250", "the small fox ran over the old hill")
    shown, code = on_terminal(models, *flags, until=b"e", send=b"\x03")
    assert code in (130, 0)
    assert shown.endswith(b"\n")
    assert b"Traceback" not in shown


@pytest.mark.parametrize("flags", [(), ("-q",), ("-v",)], ids=str)
def test_standard_output_is_only_data(hfcli, models, flags):
    line = ("generate", "-m", models.llama(), "--max-new-tokens", "2")
    plain = hfcli(*line, stdin="the fox\na girl\n")
    assert hfcli(*line, *flags, stdin="the fox\na girl\n").out == plain.out
    one = hfcli(*line, *flags, "the fox")
    assert one.out == hfcli(*line, "the fox").out
    assert (one.err == "") == (flags == ("-q",))


def test_nothing_of_the_libraries_is_heard(shell, models):
    result = shell(f"{sys.executable} -W default -m hfcli generate -m {models.t5()} -q --max-new-tokens 4 'the fox'")
    assert (result.returncode, result.stderr) == (0, "")
