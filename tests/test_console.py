"""What is said while one waits, when, and how it looks where the terminal can do less."""

import re
from types import SimpleNamespace

import pytest

from hfcli.cli import _format
from hfcli.cli import console as module
from hfcli.cli.console import Console
from hfcli.errors import HfcliError
from hfcli.events import Downloading, Note, Progress, Stopping, Working

ESCAPE = "\x1b"


@pytest.fixture
def clock(monkeypatch):
    """`clock.now` is the time; the console sees no other."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def off_terminal(clock):
    return Console()


@pytest.fixture
def on_terminal(clock, monkeypatch):
    """A console that takes standard error for a terminal; `shown` has its live lines and when they came."""
    monkeypatch.setenv("TERM", "xterm")
    console = Console()
    console._talk_terminal = True
    console.shown = []
    monkeypatch.setattr(console, "live", lambda lines: console.shown.append((clock.now, *lines)))
    return console


def working(records=10, tokens=1000, fraction=0.5, seconds=10.0):
    return Working(records, tokens, fraction, seconds)


def described(console, event, seconds=10.0):
    """The text of a progress line, `seconds` after the wait began."""
    console._began = 1000.0
    return console._describe(event, 1000.0 + seconds)


# When


def test_off_a_terminal_a_line_comes_every_thirty_seconds(off_terminal, clock, capfd):
    said = []
    for tick in range(1000):  # a step every tenth of a second
        clock.now = 1000.0 + tick / 10
        off_terminal.tell(working())
        if capfd.readouterr().err:
            said.append(tick / 10)
    assert said == [30.0, 60.0, 90.0]


def test_on_a_terminal_the_live_line_waits_two_seconds_and_is_not_redrawn_too_often(on_terminal, clock, capfd):
    for tick in range(161):
        clock.now = 1000.0 + tick / 32
        on_terminal.tell(working())
    times = [when - 1000.0 for when, _ in on_terminal.shown]
    assert times == [2.0 + n / 4 for n in range(13)]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("where", ["off_terminal", "on_terminal"])
def test_a_new_wait_starts_the_patience_anew(where, request, clock, capfd):
    console = request.getfixturevalue(where)
    limit = 2 if where == "on_terminal" else 30
    shown = getattr(console, "shown", [])
    clock.now += limit - 1
    console.begin()
    clock.now += limit - 1
    console.tell(working())
    assert (capfd.readouterr().err, shown) == ("", [])
    clock.now += 1
    console.tell(working())
    assert capfd.readouterr().err or shown


def test_a_download_is_announced_at_once_and_its_progress_later(off_terminal, clock, capfd):
    clock.now += 500  # what came before does not count
    for _ in range(3):
        off_terminal.tell(Downloading("acme/tiny", 0, 269_000_000))
    assert capfd.readouterr().err == "downloading acme/tiny, 269 MB, once\n"
    clock.now += 29
    off_terminal.tell(Downloading("acme/tiny", 1_000_000, 269_000_000))
    assert capfd.readouterr().err == ""
    clock.now += 1
    off_terminal.tell(Downloading("acme/tiny", 30_000_000, 269_000_000))
    assert "30 of 269 MB" in capfd.readouterr().err
    off_terminal.tell(Downloading("acme/adapter", 0, 1_500_000))
    assert capfd.readouterr().err == "downloading acme/adapter, 1.5 MB, once\n"


# What


@pytest.mark.parametrize(
    ("done", "total", "seconds", "words"),
    [
        (67_250_000, 269_000_000, 10, (" 25%", "67 of 269 MB", "6.7 MB/s", "~30 s left")),
        (500_000, 2_000_000_000, 1, ("  0%", "0.0 of 2.0 GB", "500 kB/s", "~67 min left")),
        (5_000, 10_000, 10, (" 50%", "5 of 10 kB", "500 bytes/s", "~10 s left")),
        (3_000_000_000, 30_000_000_000, 60, (" 10%", "3 of 30 GB", "50 MB/s", "~9 min left")),
        (400, 800, 1, (" 50%", "400 of 800 bytes", "400 bytes/s", "~1 s left")),
        (269_000_000, 269_000_000, 10, ("100%", "269 of 269 MB")),
    ],
)
def test_a_download_tells_share_sizes_speed_and_the_time_that_is_left(off_terminal, done, total, seconds, words):
    text = described(off_terminal, Downloading("acme/tiny", done, total), seconds)
    for word in words:
        assert word in text
    assert text.startswith(words[0])


def test_a_download_that_has_nothing_yet_promises_nothing(off_terminal):
    assert "left" not in described(off_terminal, Downloading("acme/tiny", 0, 1_000_000), 0)
    described(off_terminal, Downloading("acme/tiny", 0, 0), 0)  # a repository of empty files


def test_work_tells_share_records_speed_and_the_time_that_is_left(off_terminal):
    text = described(off_terminal, working(records=1234, tokens=50_000, fraction=0.25, seconds=20))
    assert text == f" 25%  {'█' * 6}{' ' * 18}  1,234 records · 2,500 tokens/s · ~60 s left"
    assert described(off_terminal, working(fraction=0.01, seconds=60)).endswith(" · ~1.6 h left")


def test_the_time_left_of_a_resumed_job_counts_what_this_run_did(off_terminal):
    resumed = working(fraction=0.75, seconds=10)._replace(fraction_before=0.5)
    assert described(off_terminal, resumed).endswith(" · ~10 s left")


@pytest.mark.parametrize("fraction", [None, 0.0])
def test_work_of_unknown_size_has_no_bar(off_terminal, fraction):
    assert described(off_terminal, working(fraction=fraction)) == "10 records · 100 tokens/s"


def test_work_that_has_just_begun_has_a_speed(off_terminal):
    assert described(off_terminal, working(records=0, tokens=0, fraction=None, seconds=0.0)) == "0 records · 0 tokens/s"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999, 1.0])
def test_a_bar_is_as_wide_at_any_share_and_grows(share):
    bar = _format.blocks(share)
    assert len(bar) == 24
    assert bar.rstrip().count("█") == int(round(share * 24 * 8) / 8)
    assert (bar.strip() == "") == (share == 0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "~1 s left"), (89, "~89 s left"), (90, "~2 min left"), (5399, "~90 min left"), (7200, "~2.0 h left")],
)
def test_the_time_left_is_in_the_unit_one_thinks_in(seconds, words):
    assert _format.left(seconds) == words


# Where less can be shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", None])
@pytest.mark.parametrize("where", ["off_terminal", "live"])
def test_glyphs_are_replaced_where_standard_error_is_not_utf8(where, request, monkeypatch, capfd, encoding):
    console = request.getfixturevalue(where)
    monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=SimpleNamespace(encoding=encoding)))
    console.show([f"{_format.blocks(0.23, 10)} · loss ▁▂▃▄▅▆▇ ± 1"])
    assert capfd.readouterr().err.rstrip() == "###        - loss _.:-=+* +/- 1"


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
    ids=str,
)
def test_colour_is_for_terminals_that_want_it(on_terminal, monkeypatch, capfd, environment, coloured):
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    on_terminal.error(HfcliError("it broke", "mend it"))
    on_terminal.note("something")
    text = capfd.readouterr().err
    assert (ESCAPE in text) == coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert plain == "error: it broke\nhint:  mend it\nnote: something\n"


def test_no_colour_goes_into_a_file(off_terminal, monkeypatch, capfd):
    monkeypatch.delenv("NO_COLOR")
    off_terminal.error(HfcliError("it broke", "mend it"))
    assert capfd.readouterr().err == "error: it broke\nhint:  mend it\n"


def test_sentences_are_wrapped_on_a_terminal_and_hints_are_not(on_terminal, monkeypatch, capfd):
    monkeypatch.setenv("COLUMNS", "50")
    long = "a sentence of many words " * 6
    command = "hfcli generate -m some/model --max-new-tokens 100 --template 'Summarise: {text}' --file in.jsonl"
    on_terminal.error(HfcliError(long.strip(), f"{command}\n{command}"))
    lines = capfd.readouterr().err.splitlines()
    assert lines[-2:] == [f"hint:  {command}", f"       {command}"]
    assert len(lines) > 4
    assert max(map(len, lines[:-2])) <= 50
    assert all(line.startswith("       a ") or line.startswith("       ") for line in lines[1:-2])
    assert " ".join(line.strip() for line in lines[:-2]) == f"error: {long.strip()}"


def test_sentences_are_whole_lines_in_a_file(off_terminal, capfd):
    long = "a sentence of many words " * 20
    off_terminal.note(long)
    assert capfd.readouterr().err == f"note: {long}\n"


# How often, and to whom


def test_a_note_is_said_once(off_terminal, capfd):
    for text in ("one", "two", "one"):
        off_terminal.note(text)
        off_terminal.tell(Note(text))
    assert capfd.readouterr().err == "note: one\nnote: two\n"


def test_quiet_is_errors_and_data_only(clock, capfd):
    console = Console(quiet=True)
    console.note("a note")
    console.line("a line")
    console.hint("a hint")
    console.tell(Stopping(0))
    console.tell(Note("another"))
    for seconds in (0, 40, 80):
        clock.now = 1000.0 + seconds
        console.tell(Downloading("acme/tiny", 1, 2))
        console.tell(working())
        console.tell(Progress("encoding", 1, 2))
    console.data("data\n")
    console.error(HfcliError("it broke", "mend it"))
    assert capfd.readouterr() == ("data\n", "error: it broke\nhint:  mend it\n")


def test_what_a_file_or_a_model_says_cannot_steer_a_terminal(off_terminal, capfd):
    evil = f"{ESCAPE}]0;evil\x07 \x9b31m \x00 \r \x7f tab\there"
    shown = r"\x1b]0;evil\x07 \x9b31m \x00 \x0d \x7f tab" + "\there"
    off_terminal.error(HfcliError(evil, evil))
    off_terminal.note(evil)
    assert capfd.readouterr().err == f"error: {shown}\nhint:  {shown}\nnote: {shown}\n"
    off_terminal.data(evil + "\n")
    assert capfd.readouterr().out.encode() == (evil + "\n").encode()  # a pipe gets what there is
    off_terminal.terminal = True
    off_terminal.data(evil + "\n")
    assert capfd.readouterr().out == shown + "\n"


def test_data_is_utf8_whatever_the_locale_and_talk_never_fails(off_terminal, monkeypatch, capfdbinary):
    monkeypatch.setattr(module.sys, "stdout", SimpleNamespace(encoding="ascii", isatty=lambda: False))
    off_terminal.data("žluťoučký 狐 🦊 \ud83d\n")
    off_terminal.note("žluťoučký \ud83d")
    out, err = capfdbinary.readouterr()
    assert out == "žluťoučký 狐 🦊 ?\n".encode()
    assert err == "note: žluťoučký \\ud83d\n".encode()


@pytest.fixture
def live(clock, monkeypatch):
    """A console that takes standard error for a terminal of 80 columns."""
    monkeypatch.setenv("TERM", "xterm")
    console = Console()
    console._talk_terminal = True
    return console


CLEARED = f"\r{ESCAPE}[2K"
UP = f"{ESCAPE}[A{ESCAPE}[2K"


def test_live_lines_are_taken_away_before_anything_else_is_written(live, capfd):
    for action, said in (
        (lambda: live.data("x\n"), ""),
        (lambda: live.line("x"), "x\n"),
        (live.close, ""),
        (live.begin, ""),
        (lambda: live.live(["c"]), "c"),
    ):
        live.live(["a", "", "b"])
        assert capfd.readouterr().err == "a\n\nb"
        action()
        assert capfd.readouterr().err == CLEARED + UP * 2 + said
        live.close()
        capfd.readouterr()


def test_live_lines_fit_the_terminal_also_after_it_became_smaller(live, monkeypatch, capfd):
    live.live(["x" * 100, "y" * 79])
    assert capfd.readouterr().err == f"{'x' * 79}\n{'y' * 79}"
    monkeypatch.setattr(live, "_screen", lambda: (30, 3))  # both take three rows now
    live.live(["1" * 40, "2", "3"])
    assert capfd.readouterr().err == CLEARED + UP * 5 + "2\n3"


def test_live_lines_stay_in_view_until_the_wait_is_over(live, clock, capfd):
    live.begin()
    assert not live.due()
    clock.now += 2
    assert live.due()
    live.live(["x"])
    live.tell(Progress("measuring", 0, 10))  # another wait, but the lines are there already
    clock.now += 0.25
    live.tell(Progress("measuring", 5, 10))
    assert "measuring 5 of 10 records" in capfd.readouterr().err


def test_a_dumb_terminal_has_no_live_lines(live, clock, monkeypatch, capfd):
    monkeypatch.setenv("TERM", "dumb")
    clock.now += 3
    live.tell(working())
    assert capfd.readouterr().err == ""
    clock.now += 27
    live.tell(working())
    assert capfd.readouterr().err.endswith("left\n")


def test_progress_tells_share_what_and_the_time_that_is_left(off_terminal, clock):
    text = described(off_terminal, Progress("encoding", 12_000, 24_000), 10)
    assert text == f" 50%  {'█' * 12}{' ' * 12}  encoding 12,000 of 24,000 records · ~10 s left"
    assert "left" not in described(off_terminal, Progress("encoding", 0, 24_000), 10)
    assert described(off_terminal, Progress("encoding", 0, 0), 10).endswith("encoding 0 of 0 records")


@pytest.mark.parametrize("again", [Progress("encoding", 1, 10), Progress("measuring", 9, 10)])
def test_another_progress_is_another_wait(on_terminal, clock, again):
    on_terminal.tell(Progress("encoding", 8, 10))
    clock.now += 1.5
    on_terminal.tell(again)
    clock.now += 1.5
    on_terminal.tell(again)
    assert on_terminal.shown == []
    clock.now += 0.5
    on_terminal.tell(again)
    assert len(on_terminal.shown) == 1


def test_stopping_is_said_once_and_tells_what_a_second_control_c_leaves(off_terminal, capfd):
    for step in (1408, 1408, 0):
        off_terminal.tell(Stopping(step))
    assert capfd.readouterr().err.splitlines() == [
        "stopping after this step (Ctrl-C again: stop now, keep the save of step 1,408)",
        "stopping after this step (Ctrl-C again: stop now, nothing is saved yet)",
    ]


@pytest.mark.parametrize("fraction", [0.3, 0.29, 0.301])
def test_a_resumed_job_that_has_hardly_begun_promises_nothing(off_terminal, fraction):
    event = working(fraction=fraction, seconds=10)._replace(fraction_before=0.3)
    text = described(off_terminal, event)
    assert "left" not in text
    assert text.startswith(f"{fraction:4.0%}")


def test_no_progress_is_above_the_whole_and_the_whole_has_nothing_left(off_terminal):
    for event in (Downloading("acme/tiny", 2_690_000, 2_600_000), working(fraction=1.02)):
        assert described(off_terminal, event).startswith("100%")
        assert "left" not in described(off_terminal, event)
