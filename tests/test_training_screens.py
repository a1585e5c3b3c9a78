"""How a training run looks, on a terminal and in a log."""

import codecs
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path
from types import SimpleNamespace

import pytest

from hfcli.cli import console as console_module
from hfcli.cli._training import Ended, TrainingView, estimate_lines
from hfcli.cli.console import Console
from hfcli.events import Evaluated, Head, Lengths, Measured, Note, Progress, Saved, Step, Stopping
from hfcli.runtime.seeds import Seeded, Settled

RUN = "runs/imdb-bert-base-uncased"
HEAD = Head(
    "google-bert/bert-base-uncased · 109 M parameters · new head, 2 labels",
    (
        "stanfordnlp/imdb · text -> label (neg, pos)",
        "22,500 train · 2,500 held out (no validation split; 10%, seed 42)",
    ),
    Lengths(233, 797, 3117, 512, 0.1312, 0.06, "truncate"),
    "cuda:0 H100, bfloat16 · about 5.3 of 79 GB",
    f"{RUN} · batch 32 · lr 2e-05 · 3 epochs",
)
STEPS = 2112


class Terminal:
    """What is seen on a terminal: the lines, finished ones and live ones."""

    def __init__(self):
        self.lines = [""]
        self.row = 0
        self.column = 0

    def write(self, data):
        for piece in re.findall(r"\x1b\[\d*[A-Z]|[\r\n]|[^\x1b\r\n]+", data):
            if piece == "\r":
                self.column = 0
            elif piece == "\n":
                self.row += 1
                self.lines += [""] * (self.row == len(self.lines))
            elif piece == "\x1b[A":
                self.row -= 1
            elif piece == "\x1b[2K":
                self.lines[self.row] = ""
            else:
                assert "\x1b" not in piece
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + piece + line[self.column + len(piece) :]
                self.column += len(piece)

    def __str__(self):
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n")


@pytest.fixture
def clock(monkeypatch):
    """`clock.now` is the time; the console sees no other."""
    clock = SimpleNamespace(now=1000.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(console_module, "time", clock)
    return clock


class OnTerminal:
    """Calls methods with a terminal as standard error; pytest puts its own there between fixtures and tests."""

    def __init__(self, target, terminal, read):
        self._target, self._terminal, self._read = target, terminal, read

    def __getattr__(self, name):
        def call(*args):
            saved = os.dup(2)
            os.dup2(self._terminal, 2)
            try:
                getattr(self._target, name)(*args)
            finally:
                os.dup2(saved, 2)
                os.close(saved)
            self._read()  # a terminal that nobody reads from gets full

        return call


@pytest.fixture
def terminal(clock, monkeypatch):
    """A view whose standard error is a terminal of 80 columns; `screen()` is what is seen there."""
    monkeypatch.setenv("TERM", "xterm")
    streams = SimpleNamespace(stdout=sys.stdout, stderr=SimpleNamespace(encoding="utf-8", isatty=lambda: True))
    monkeypatch.setattr(console_module, "sys", streams)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.set_blocking(ours, False)
    console, seen, rest = Console(), Terminal(), codecs.getincrementaldecoder("utf-8")()

    def screen():
        while True:
            try:
                seen.write(rest.decode(os.read(ours, 65536)))
            except BlockingIOError:
                return str(seen)

    view, console = (OnTerminal(each, theirs, screen) for each in (TrainingView(console), console))
    yield SimpleNamespace(view=view, console=console, screen=screen, streams=streams)
    os.close(ours)
    os.close(theirs)


@pytest.fixture
def log(clock, capfd):
    """A view whose standard error is a file; `read()` is what has come since."""
    return SimpleNamespace(view=TrainingView(Console()), read=lambda: capfd.readouterr().err)


def step(number, loss=0.071, left=12.0, saved=1408, rate=990.4):
    return Step(number, STEPS, loss, 3.2e-6, rate, left, 5_100_000_000, saved, 12.3)


def evaluated(epoch=1.0, number=704, score=0.9376, low=0.928, high=0.947, best=True, seconds=24.2, **other):
    measured = Measured(score, low, high, 2500)
    return Evaluated(epoch, number, 0.261, 0.171, "accuracy", measured, best, seconds)._replace(**other)


def labelled(label, precision, recall, f1, n, *read_as):
    return {"label": label, "precision": precision, "recall": recall, "f1": f1, "n": n, "read_as": list(read_as)}


TWO = [
    labelled("neg", 0.944, 0.936, 0.940, 1250, ("pos", 80)),
    labelled("pos", 0.937, 0.944, 0.940, 1250, ("neg", 70)),
]
ENDED = Ended(
    scores={"accuracy": Measured(0.94, 0.931, 0.949, 2500)},
    metric="accuracy",
    held_out=True,
    evaluation="train",
    best_epoch=3.0,
    per_class=TWO,
    surprising=12,
    surprising_path=f"{RUN}/surprising.jsonl",
    next_lines=[f"hfcli classify -m {RUN} TEXT"],
)


def lines(text):
    return text.strip("\n")


# On a terminal


def test_a_run_on_a_terminal(terminal, clock):
    view = terminal.view
    clock.now += 60  # what came before does not count
    view.head(HEAD)
    head = lines("""
model   google-bert/bert-base-uncased · 109 M parameters · new head, 2 labels
data    stanfordnlp/imdb · text -> label (neg, pos)
        22,500 train · 2,500 held out (no validation split; 10%, seed 42)
length  median 233 tokens, 95% under 797; --max-length 512 cuts 13% of records
device  cuda:0 H100, bfloat16 · about 5.3 of 79 GB
run     runs/imdb-bert-base-uncased · batch 32 · lr 2e-05 · 3 epochs
""")
    assert terminal.screen() == head
    view.event(step(1))
    clock.now += 1.9
    view.event(step(2))
    assert terminal.screen() == head  # two seconds are not over
    view.event(evaluated())
    view.event(evaluated(2.0, 1408, 0.9388, 0.929, 0.948, False, 47.0))
    table = lines("""

epoch   step   train loss   eval loss   accuracy                  time
    1    704        0.261       0.171     0.9376  [0.928, 0.947]  0:24  new best
    2  1,408        0.261       0.171     0.9388  [0.929, 0.948]  0:47
""")
    assert terminal.screen() == f"{head}\n\n{table}"
    clock.now += 0.1
    view.event(step(1790))
    live = """
step 1,790 of 2,112   ███████████████████████▊      84%   ~12 s left
loss 0.071 ▁▁▁               lr 3.2e-06   990 records/s   5.1 GB
saved 12 s ago (step 1,408) · Ctrl-C saves and stops"""
    assert terminal.screen() == f"{head}\n\n{table}\n{live}"
    clock.now += 0.2
    view.event(step(1791))
    assert "step 1,790" in terminal.screen()  # not more often than four times a second
    clock.now += 0.1
    view.event(Progress("measuring", 1250, 2500))
    assert "\nmeasuring 1,250 of 2,500   ██████████████                50%\nloss 0.071" in terminal.screen()
    view.event(evaluated(3.0, 2112, 0.94, 0.931, 0.949, True, 71.0))
    view.end(ENDED)
    end = lines("""
    3  2,112        0.261       0.171     0.9400  [0.931, 0.949]  1:11  new best

accuracy 0.940 [0.931, 0.949] on 2,500 held-out records, best epoch 3 kept

            precision  recall     f1      n
neg             0.944   0.936  0.940  1,250    80 read as pos
pos             0.937   0.944  0.940  1,250    70 read as neg

look at  12 records the model is sure (> 0.99) are labelled wrongly:
         runs/imdb-bert-base-uncased/surprising.jsonl
next     hfcli classify -m runs/imdb-bert-base-uncased TEXT
""")
    assert terminal.screen() == f"{head}\n\n{table}\n{end}"


def test_what_is_finished_scrolls_above_the_live_lines(terminal, clock):
    terminal.view.head(HEAD)
    clock.now += 5
    terminal.view.event(step(1, left=None, saved=0))
    assert terminal.screen().endswith(
        "  0%\nloss 0.071 ▁                 lr 3.2e-06   990 records/s   5.1 GB\nnothing saved yet · Ctrl-C saves and stops"
    )
    terminal.view.event(Note("out of memory at 32 x 512 tokens; now 2 x 16, same batch, step redone"))
    assert terminal.screen().splitlines()[-1].startswith("note: out of memory")
    clock.now += 1
    terminal.view.event(step(2))
    assert terminal.screen().splitlines()[-5].startswith("note: out of memory")
    assert terminal.screen().splitlines()[-4] == ""
    terminal.console.close()
    assert terminal.screen().splitlines()[-1].startswith("note: out of memory")


def test_an_interrupted_run(terminal, clock):
    terminal.view.head(HEAD)
    before = terminal.screen()
    clock.now += 5
    terminal.view.event(step(1789))
    terminal.view.event(Stopping(1408))
    terminal.view.event(Stopping(1408))
    clock.now += 5
    terminal.view.event(step(1790))
    assert terminal.screen().endswith("saved 12 s ago (step 1,408) · stopping")
    terminal.view.event(Saved(1790, STEPS, 0.4, asked=True))
    assert terminal.screen() == before + (
        "\nstopping after this step (Ctrl-C again: stop now, keep the save of step 1,408)"
        "\nsaved step 1,790 of 2,112 in 0.4 s"
        "\nhint:  the same line with --resume goes on from here"
    )


def test_a_resumed_run_says_first_what_it_goes_on_with(log):
    log.view.head(HEAD._replace(resume=(f"{RUN} · step 1,790 of 2,112, epoch 2.54, hashes ok", "same data: continues")))
    assert log.read().splitlines()[:3] == [
        f"resume  {RUN} · step 1,790 of 2,112, epoch 2.54, hashes ok",
        "        same data: continues",
        f"model   {HEAD.model}",
    ]


# In a log


def test_a_run_in_a_log(log, clock):
    view = log.view
    view.head(HEAD)
    assert log.read().splitlines()[-1] == f"run     {RUN} · batch 32 · lr 2e-05 · 3 epochs"
    for number in range(1, 1001):
        view.event(step(number, 0.694 - number / 2000, left=None if number < 9 else 52.0, rate=610 + number))
    assert (
        log.read()
        == lines("""
step     1/2112  loss 0.694  lr 3.2e-06   611 records/s
step     2/2112  loss 0.693  lr 3.2e-06   612 records/s
step     4/2112  loss 0.693  lr 3.2e-06   614 records/s
step     8/2112  loss 0.692  lr 3.2e-06   618 records/s
step    16/2112  loss 0.690  lr 3.2e-06   626 records/s  ~52 s left
step    32/2112  loss 0.683  lr 3.2e-06   642 records/s  ~52 s left
step    64/2112  loss 0.667  lr 3.2e-06   674 records/s  ~52 s left
step   128/2112  loss 0.635  lr 3.2e-06   738 records/s  ~52 s left
step   256/2112  loss 0.571  lr 3.2e-06   866 records/s  ~52 s left
step   512/2112  loss 0.443  lr 3.2e-06  1,122 records/s  ~52 s left
""")
        + "\n"
    )
    view.event(Progress("measuring", 1250, 2500))
    view.event(evaluated())
    view.event(evaluated(2.54, 1788, 0.93, best=False, eval_loss=None))
    view.event(Saved(1788, STEPS, 0.4))
    assert (
        log.read()
        == lines("""
epoch 1 step 704 train_loss 0.261 eval_loss 0.171 accuracy 0.9376 best
epoch 2.54 step 1788 train_loss 0.261 accuracy 0.9300
""")
        + "\n"
    )


def test_a_slow_run_logs_twice_a_minute(log, clock):
    log.view.head(HEAD)
    log.read()
    said = []
    for number in range(1, 200):
        clock.now += 1
        log.view.event(step(number))
        said += [number] * bool(log.read())
    assert said == [1, 2, 4, 8, 16, 32, 62, 64, 94, 124, 128, 158, 188]


def test_a_resumed_run_gives_an_early_sign_of_life(log):
    log.view.head(HEAD)
    log.read()
    for number in range(1791, 1796):
        log.view.event(step(number))
    assert [line.split("/")[0] for line in log.read().splitlines()] == ["step  1791", "step  1792", "step  1794"]


def test_nothing_is_wrapped_or_cut_in_a_log(log):
    labels = ", ".join(f"label number {number}" for number in range(20))
    log.view.head(HEAD._replace(data=(f"tickets.csv · body -> queue ({labels})",)))
    assert f"data    tickets.csv · body -> queue ({labels})\n" in log.read()
    rows = [labelled("a rather long name of a label", 1, 1, 1, 5, ("another rather long name of a label", 2))]
    log.view.end(Ended({"accuracy": Measured(1, 1, 1, 5)}, "accuracy", True, "", per_class=rows))
    assert (
        "a rather long name of a label      1.000   1.000  1.000      5    2 read as another rather long name of a label\n"
        in log.read()
    )


def test_quiet_says_nothing(clock, capfd):
    view = TrainingView(Console(quiet=True))
    view.head(HEAD)
    for event in (step(1), Progress("measuring", 1, 2), evaluated(), Saved(1, 2, 0.1, asked=True), Stopping(3)):
        clock.now += 60
        view.event(event)
    view.end(ENDED)
    view.seeds("accuracy", SETTLED)
    assert capfd.readouterr() == ("", "")
    view.dry(HEAD, ["ok     4,812 records"], {"weights": 440_000_000})
    assert capfd.readouterr().out.startswith("ok     4,812 records\n")


# The head


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        (Lengths(21, 44, 66, 512, 0.0, 0.0, "truncate"), "median 21 tokens, 95% under 44, longest 66 (--max-length 512 cuts nothing)"),
        (Lengths(1233, 2797, 9000, 512, 0.004, 0.1, "truncate"), "median 1,233 tokens, 95% under 2,797; --max-length 512 cuts 0.4% of records"),
        (Lengths(1233, 2797, 9000, 2048, 0.0004, 0.1, "window"), "median 1,233 tokens, 95% under 2,797; --max-length 2048 makes windows of under 0.1% of records"),
        (Lengths(1233, 2797, 9000, 8, 1.0, 0.9, "truncate"), "median 1,233 tokens, 95% under 2,797; --max-length 8 cuts 100% of records"),
    ],
)  # fmt: skip
def test_lengths_tell_what_max_length_does(log, lengths, said):
    log.view.head(HEAD._replace(lengths=lengths))
    assert f"length  {said}\n" in log.read()


def test_a_model_without_lengths_has_no_such_line(log):
    log.view.head(HEAD._replace(lengths=None))
    assert "length" not in log.read()


def test_the_head_is_wrapped_between_its_parts(terminal):
    labels = ", ".join(f"label-{number}" for number in range(12))
    data = (f"an-organisation/a-data-set-with-a-long-name · premise + hypothesis -> label ({labels})",)
    terminal.view.head(HEAD._replace(data=data, lengths=None))
    assert terminal.screen().splitlines()[1:5] == [
        "data    an-organisation/a-data-set-with-a-long-name",
        "        premise + hypothesis -> label (label-0, label-1, label-2, label-3,",
        "        label-4, label-5, label-6, label-7, label-8, label-9, label-10,",
        "        label-11)",
    ]


def test_what_the_data_says_cannot_steer_a_terminal(terminal):
    evil = "\x1b]0;evil\x07"
    terminal.view.head(HEAD._replace(data=(f"{evil} -> label ({evil})",)))
    rows = [labelled(f"{evil}\n{evil}", 1, 1, 1, 5, ("\x07\t", 2))]
    terminal.view.end(Ended({"accuracy": Measured(1, 1, 1, 5)}, "accuracy", False, evil, per_class=rows))
    shown = terminal.screen()
    assert "\x07" not in shown
    assert r"\x1b]0;evil\x07" in shown
    assert r"2 read as \x07\t" in shown


# The table


@pytest.mark.parametrize(
    "event",
    [
        evaluated(0.05, 1_234_567, seconds=599.9),
        evaluated(12.54, 12_345, seconds=3599.0),
        evaluated(2.0, 99_999, seconds=360_000.0),
        evaluated(score=-0.0123, low=-0.1234, high=-0.0023, metric="matthews_correlation"),
        evaluated(score=12345.678, low=11111.1, high=13333.3, metric="mse", train_loss=12345.678, eval_loss=1e9),
        evaluated(metric="calibration_error", eval_loss=None),
        evaluated(train_loss=float("nan"), eval_loss=float("inf")),
    ],
)
def test_rows_stay_in_their_columns(terminal, event):
    terminal.view.event(event)
    header, row = terminal.screen().splitlines()[1:]
    assert len(row) <= 80
    assert row.endswith("  new best")
    assert header.startswith("epoch   step   train loss   eval loss   ")
    assert header.split()[-2:] == [event.metric, "time"]
    assert header.endswith(" time")
    assert len(header) == 70
    assert re.match(r".{5} .{9} .{9} .{11} .{10}  \[", row)
    assert row[64:70].strip() in ("0:24", "9:59", "59:59", "100h")


def test_the_header_comes_once_a_run(terminal):
    for _ in range(2):
        terminal.view.head(HEAD)
        for epoch in (1, 2):
            terminal.view.event(evaluated(epoch))
    assert terminal.screen().count("epoch   step") == 2


# Live lines


def test_live_lines_fit_80_columns_whatever_the_numbers(terminal, clock):
    terminal.view.head(HEAD)
    for number in range(1, 200):
        clock.now += 10
        event = Step(
            10**6 + number,
            2 * 10**6,
            10.0**number if number < 50 else 0.5,
            1e-12,
            123_456.7,
            5300.0,
            10**12,
            10**6,
            5e5,
        )
        terminal.view.event(event)
    for line in terminal.screen().splitlines()[-3:]:
        assert len(line) < 80
    assert "left" in terminal.screen()
    assert "~88 min left" in terminal.screen()


def test_the_curve_shows_the_course_and_not_the_noise(terminal, clock):
    terminal.view.head(HEAD)
    for number in range(1, 2000):
        clock.now += 0.01
        terminal.view.event(step(number, loss=2 - number / 1000 + 0.5 * (-1) ** number))
    drawn = re.search(r"loss (\S+) ([▁▂▃▄▅▆▇]+)  ", terminal.screen())
    assert len(drawn[2]) == 15
    assert list(drawn[2]) == sorted(drawn[2], reverse=True)
    assert drawn[2][0] == "▇"
    assert drawn[2][-1] == "▁"
    assert float(drawn[1]) < 0.05


def test_steps_cost_next_to_nothing(terminal, clock):
    import time

    event = step(5)
    terminal.view.head(HEAD)
    began = time.perf_counter()
    for _ in range(10_000):
        terminal.view.event(event)
    assert (time.perf_counter() - began) / 10_000 < 100e-6
    assert "records/s" not in terminal.screen()


# The end


def test_regression_has_scores_and_no_classes(log):
    scores = {
        "pearson": Measured(0.861, 0.84, 0.88, 1500),
        "spearman": Measured(0.855, 0.83, 0.87, 1500),
        "mse": Measured(1234.5, 1100.0, 1300.0, 1500),
    }
    log.view.end(Ended(scores, "pearson", False, "validation", 2.54))
    assert (
        log.read()
        == """
pearson 0.861 [0.840, 0.880] on 1,500 records (validation), best epoch 2.54 kept
spearman 0.855 [0.830, 0.870] · mse 1234.5 [1100, 1300]
"""
    )


def test_one_surprising_record_is_one(log):
    log.view.end(Ended({"accuracy": Measured(1, 1, 1, 5)}, "accuracy", True, "", surprising=1, surprising_path="x/y"))
    assert log.read().splitlines()[-2:] == [
        "look at  1 record the model is sure (> 0.99) is labelled wrongly:",
        "         x/y",
    ]


@pytest.mark.parametrize(("count", "shown"), [(2, 2), (12, 12), (13, 9), (61, 9)])
def test_many_classes_are_counted_and_the_weakest_shown(log, count, shown):
    rows = [labelled(f"class-{n}", 0.5, 0.5, (n * 7 % count) / count, n % 5) for n in range(count)]
    log.view.end(Ended({"accuracy": Measured(1, 1, 1, 5)}, "accuracy", True, "", per_class=rows))
    _, _, _, header, *table = log.read().splitlines()
    assert header == "            precision  recall     f1      n"
    if shown == count:
        assert [line.split()[0] for line in table] == [row["label"] for row in rows]
        return
    assert table.pop() == f"9 of {count} shown, the lowest f1 first; metrics.json has all"
    scores = [float(line.split()[3]) for line in table]
    assert len(scores) == 9
    assert scores == sorted(scores)
    assert all(line.split()[4] != "0" for line in table)  # what was not measured is not weak


def test_wide_and_long_labels_stay_in_their_columns(terminal):
    rows = [
        labelled("請求に関する問い合わせ", 0.9, 0.9, 0.9, 1234, ("a label with a name that is much too long", 80)),
        labelled("a label with a name that is much too long", 0.9, 0.9, 0.9, 7),
        labelled("café", 0.9, 0.9, 0.9, 7, ("x", 1)),
    ]
    terminal.view.end(Ended({"accuracy": Measured(1, 1, 1, 5)}, "accuracy", True, "", per_class=rows))
    assert "\n".join(terminal.screen().splitlines()[3:]) == lines("""
                      precision  recall     f1      n
請求に関する問い合…       0.900   0.900  0.900  1,234    80 read as a label wit…
a label with a name…      0.900   0.900  0.900      7
café                      0.900   0.900  0.900      7    1 read as x
""")


SETTLED = Settled(
    [Seeded(seed, Path(f"seed-{seed}"), Measured(score, score - 0.01, score + 0.01, 2500)) for seed, score in ((1, 0.91), (2, 0.916), (42, 0.911))],
    0.9123,
    0.0032,
    Seeded(2, Path("seed-2"), Measured(0.916, 0.906, 0.926, 2500)),
)  # fmt: skip


def test_several_seeds_have_a_mean_and_a_deviation(log):
    log.view.seeds("accuracy", SETTLED)
    assert (
        log.read()
        == """
accuracy 0.912 ± 0.003 over seeds 1, 2, 42 · best seed 2 kept

      seed   accuracy
         1     0.9100  [0.900, 0.920]
         2     0.9160  [0.906, 0.926]  kept
        42     0.9110  [0.901, 0.921]
"""
    )


# A dry run


def test_a_dry_run_gives_the_report_and_the_memory_as_its_result(clock, capfd):
    memory = {"weights": 440e6, "gradients": 440e6, "optimizer": 880e6, "activations": 8740e6}
    TrainingView(Console()).dry(HEAD, ["ok     22,500 records", "length ..."], memory)
    out, err = capfd.readouterr()
    assert err.startswith(f"model   {HEAD.model}\n")
    assert (
        out
        == lines("""
ok     22,500 records
length ...

                train
weights          0.44 GB
gradients        0.44 GB
optimizer        0.88 GB
activations      8.74 GB
total           10.50 GB
""")
        + "\n"
    )


@pytest.mark.parametrize(
    ("count", "total"), [(5_000_000, "5.00 MB"), (999, "1.00 kB"), (0, "0.00 kB"), (10**12, "1000.00 GB")]
)
def test_memory_is_in_the_unit_of_the_total(count, total):
    assert estimate_lines({"weights": count})[-1] == f"total       {total:>12}"


# Where less can be shown


def test_without_utf8_everything_is_ascii(terminal, clock):
    terminal.streams.stderr.encoding = "ascii"
    terminal.view.head(HEAD)
    for number in range(1, 20):
        clock.now += 1
        terminal.view.event(step(number, loss=1 / number))
    terminal.view.event(evaluated())
    terminal.view.seeds("accuracy", SETTLED)
    assert terminal.screen().isascii()
    assert "0.912 +/- 0.003 over" in terminal.screen()
