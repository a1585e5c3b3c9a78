"""`hfcli history`: what is kept of a run, what is not, and what differed between two."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "the password is swordfish"
STORY = ("-m", "builtin/story", "--max-new-tokens", "3")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The file that runs are kept in; the working folder is empty."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "state" / "hfcli" / "history.jsonl"


@pytest.fixture
def bleu(kept, hfcli):
    """Measure some lines against others."""

    def measure(predictions, *flags, references="a b c d e\nf g h i j\n"):
        Path("out.txt").write_text(predictions)
        Path("ref.txt").write_text(references)
        line = ("eval", "--metric", "bleu", "--predictions", "out.txt", "--references", "ref.txt", *flags)
        assert hfcli(*line).code == 0

    return measure


def test_a_run_is_kept_without_its_texts(kept, hfcli, models):
    assert hfcli("generate", *STORY, SECRET, "--stop", SECRET, "--stop", "b", "--seed", "3").code == 0
    assert hfcli("qa", "Where is the swordfish?", "--context", SECRET, "--question", SECRET).code == 0
    templated = ("--template", SECRET + " {text}", "--system", SECRET, "--max-new-tokens", "2")
    assert hfcli("generate", "-m", models.chat(), *templated, stdin='{"text": "x"}').code == 0
    assert hfcli("classify", SECRET, "fine").code == 0
    assert "swordfish" not in kept.read_text()
    first, second, *_, last = hfcli("history").records
    assert first["command"] == "generate"
    assert first["flags"] == {"model": "builtin/story", "max-new-tokens": 3, "seed": 3}
    assert first["texts"] == {"prompt": 1, "stop": 2}
    assert first["exit"] == 0
    assert first["seconds"] > 0
    assert first["folder"] == str(Path.cwd())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["time"])
    assert re.fullmatch("[0-9a-f]{12}", first["line_hash"])
    assert second["texts"] == {"questions": 1, "question": 1, "context": 1}
    assert last["texts"] == {"texts": 2}
    assert [first["number"], last["number"]] == [1, 4]


def test_what_a_file_or_the_environment_set_is_kept_where_it_was_meant(kept, hfcli, monkeypatch):
    Path("hfcli.toml").write_text("dtype = 'float32'\n[generate]\nmax-new-tokens = 2\ntemplate = '{a}'\n")
    hfcli("generate", "x", env={"HFCLI_MODEL": "builtin/story"})
    Path("out.txt").write_text("a b c d\n")
    hfcli("eval", "--metric", "bleu", "--predictions", "out.txt", "--references", "out.txt")
    hfcli("eval", "--metric", "perplexity", "--file", "out.txt")
    first, second, third = (run["flags"] for run in hfcli("history").records)
    assert first == {"model": "builtin/story", "dtype": "float32", "max-new-tokens": 2}
    assert second == {"metric": ["bleu"], "predictions": ["out.txt"], "references": ["out.txt"]}
    assert third == {"metric": ["perplexity"], "file": "out.txt", "dtype": "float32", "model": "builtin/story"}


def test_labels_and_variables_of_recipes_are_texts(kept, hfcli):
    hfcli("classify", "fine", "-m", "builtin/reviews", "--labels", f"{SECRET},other")
    Path("there.txt").write_text("x")
    given = (f"who={SECRET.split()[-1]}", "seed=3", "rate=2e-5", "file=there.txt", "empty=")
    text = "variables: {who: a, seed: 1, rate: 1, file: b, empty: c}\nsteps: [{config: }]"
    assert hfcli("run", "-", *(part for each in given for part in ("--set", each)), stdin=text).code == 0
    assert "swordfish" not in kept.read_text()
    (run,) = [run for run in hfcli("history").records if run["command"] == "run"]
    assert run["flags"]["set"] == ["who=...", "seed=3", "rate=2e-5", "file=there.txt", "empty=..."]


def test_the_hash_of_a_line_tells_texts_apart(kept, hfcli):
    for text in ("one", "one", "two"):
        hfcli("generate", *STORY, text)
    a, b, c = (run["line_hash"] for run in hfcli("history").records)
    assert a == b != c


def test_only_jobs_that_began_are_kept(kept, hfcli):
    for line in (
        ("--help",),
        ("generate", "--help"),
        ("generate", "--temperature", "hot", "x"),
        ("generate", "--sample", "--greedy", "--top-k", "4", "x"),
        ("genrate", "x"),
        ("eval", "--list-metrics"),
        ("config",),
        ("doctor", "--offline"),
        ("history",),
    ):
        hfcli(*line)
    assert not kept.exists()
    assert hfcli("history").out == ""
    hfcli("generate", "-m", "builtin/storry", "x")
    hfcli("generate", *STORY, "--on-error", "record", stdin='{"prompt": 3}\n')
    hfcli("classify", "--file", "nowhere.txt")
    assert [run["exit"] for run in hfcli("history").records] == [5, 3, 4]


def test_an_interrupted_run_is_kept_with_its_exit_code(kept, hfcli, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("hfcli.runtime.loading.load", interrupt)
    assert hfcli("generate", *STORY, "x").code == 130
    assert hfcli("history").records[0]["exit"] == 130


def test_it_can_be_switched_off_and_only_the_first_rank_keeps(kept, hfcli, monkeypatch):
    hfcli("generate", *STORY, "x", env={"HFCLI_HISTORY": "0"})
    assert not kept.exists()
    monkeypatch.delenv("HFCLI_HISTORY")
    hfcli("generate", *STORY, "x", env={"RANK": "1"})
    assert not kept.exists()
    hfcli("generate", *STORY, "x", env={"RANK": "0"})
    assert len(hfcli("history").records) == 1


def test_scores_of_eval(bleu, hfcli):
    bleu("a b c d e\nf g h i x\n")
    bleu("a b c d e\nf g h i x\n", references="a b c d x\nf g h i x\n")
    first, second = hfcli("history").records
    score = first["scores"]["bleu"]
    assert score["low"] <= score["value"] <= score["high"]
    assert score["n"] == 2
    assert first["score_hash"] != second["score_hash"], "other references are another measurement"


def test_scores_of_compare_and_of_several_systems(bleu, hfcli):
    bleu("a b c d e\nf g h i x\n", "-o", "a.json")
    bleu("a b c d e\nf g h i j\n", "-o", "b.json")
    assert hfcli("compare", "a.json", "b.json").code == 0
    run = hfcli("history").records[-1]
    assert run["arguments"] == ["a.json", "b.json"]
    assert run["scores"]["bleu difference"]["value"] > 0


def test_scores_of_finetune(kept, hfcli, models):
    rows = "".join(f'{{"text": "{word} film", "label": "{word}"}}\n' for word in ("good", "bad") * 10)
    Path("data.jsonl").write_text(rows)
    line = ("finetune", models.bert(), "--dataset", "data.jsonl", "--max-steps", "1", "-o", "out", "-q")
    assert hfcli(*line, "--dry-run").code == 0
    result = hfcli(*line)
    assert result.code == 0, result.err
    (run,) = hfcli("history").records
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert run["scores"] == metrics["scores"]
    assert run["arguments"] == [str(models.bert())]
    assert run["flags"]["dataset"] == "data.jsonl"


# The file


def test_processes_do_not_tear_each_others_lines(kept):
    code = (
        "from hfcli import history\n"
        "for i in range(200): history.append({'command': 'eval', 'flags': {'x': 'y' * 5000}, 'i': i})\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    from hfcli import history

    runs = history.entries()
    assert len(runs) == 800
    assert sorted(run["i"] for run in runs) == sorted([*range(200)] * 4)


def test_a_torn_or_foreign_line_is_passed_over(kept, hfcli):
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b'{"command": "eval"}\n[1]\n{}\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"command": "gen')
    assert len(hfcli("history").records) == 1
    hfcli("generate", *STORY, "x")
    assert [run["command"] for run in hfcli("history").records] == ["eval", "generate"]


def test_it_does_not_grow_without_end(kept, hfcli, monkeypatch):
    from hfcli import history

    monkeypatch.setattr("hfcli.history.MOST_BYTES", 1000)
    for number in range(100):
        history.append({"command": "eval", "at": number})
    runs = history.entries()
    assert 20 < len(runs) < 80
    assert [run["at"] for run in runs] == list(range(100 - len(runs), 100))
    assert kept.stat().st_size < 1200


def test_a_place_that_cannot_be_written_is_no_history(kept, hfcli, tmp_path):
    (tmp_path / "state").write_text("a file\n")
    result = hfcli("generate", *STORY, "x", "-q")
    assert (result.code, result.err) == (0, "")
    kept_in = hfcli("history")
    assert kept_in.code == 4
    assert "cannot be read" in kept_in.err


def test_only_its_owner_reads_it(kept, hfcli):
    hfcli("generate", *STORY, "x")
    assert kept.stat().st_mode & 0o077 == 0


def test_clear(kept, hfcli):
    hfcli("generate", *STORY, "x")
    result = hfcli("history", "--clear")
    assert result.err == "1 run forgotten\n"
    assert not kept.exists()
    assert hfcli("history").records == []


# How it looks


def test_the_table(bleu, hfcli, terminal, monkeypatch):
    assert "no runs yet" in hfcli("history").out
    hfcli("generate", *STORY, SECRET)
    bleu("a b c d e\nf g h i x\n")
    head, first, second = hfcli("history").lines
    assert head.split() == ["WHEN", "TOOK", "RESULT", "COMMAND"]
    assert re.match(r"1  \d\d-\d\d \d\d:\d\d  \d+ s +-  ", first)
    assert "generate --model builtin/story" in first
    assert "bleu " in second
    assert "[" in second
    assert all(len(line) <= 80 for line in (head, first, second))
    assert hfcli("history", "--json").records[0]["number"] == 1


def test_what_is_not_shown_is_counted(kept, hfcli, terminal):
    from hfcli import history

    for number in range(61):
        history.append({"command": "eval", "arguments": [str(number)], "time": "2026-01-01T10:00:00Z", "exit": 0})
    lines = hfcli("history").lines
    assert len(lines) == 22
    assert lines[-1] == "20 of 61 shown, --all"
    assert lines[1].startswith("42 ")
    assert len(hfcli("history", "--all").lines) == 62


def test_one_run_whole(bleu, hfcli, terminal):
    bleu("a b c d e\nf g h i x\n")
    out = hfcli("history", "1").out
    for said in (
        "run     1  20",
        "line    hfcli eval --metric bleu --predictions out.txt",
        "folder  ",
        "exit 0",
        ", n 2",
    ):
        assert said in out
    assert re.search(r"hashes  line [0-9a-f]{12} · score [0-9a-f]{12}", out)


def test_two_runs_compared(bleu, hfcli, terminal):
    bleu("a b c d e\nf g h i x\n")
    bleu("a b c d e\nf g h i j\n", "--resamples", "500")
    lines = hfcli("history", "1", "2").lines
    assert re.match(r"score   bleu [\d.]+ \[.*\] -> 100 \[.*\]: \+[\d.]+; intervals overlap$", lines[0])
    assert "differs --resamples: - -> 500" in lines
    assert lines[-1].startswith("b       2: hfcli eval")
    found = hfcli("history", "1", "2", "--json").records[0]
    assert found["differs"]["--resamples"] == [None, 500]
    assert found["scores"]["bleu"]["overlap"] is True
    assert found["scores"]["bleu"]["moved"] > 0


def test_two_runs_that_differ_in_little(kept, hfcli, terminal):
    for text in ("one", "one", "two"):
        hfcli("generate", *STORY, text)
    assert "differs in nothing that is kept" in hfcli("history", "1", "2").out
    assert "differs only in texts, which are not kept" in hfcli("history", "2", "3").out
    assert "score   none that both have" in hfcli("history", "2", "3").out


def test_intervals_that_do_not_overlap_and_other_measurements_are_named(kept, hfcli, terminal):
    from hfcli import history

    for low, signature in ((0.1, "x"), (0.7, "y")):
        score = {"value": low + 0.1, "low": low, "high": low + 0.2, "n": 9}
        history.append({"command": "eval", "scores": {"f1": score}, "score_hash": signature, "hfcli": low})
    out = hfcli("history", "1", "2").out
    assert "score   f1 0.2 [0.100, 0.300] -> 0.8 [0.700, 0.900]: +0.6; intervals do not overlap" in out
    assert "measure different things" in out
    assert "differs hfcli: 0.1 -> 0.7" in out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("3", "no run 3; there are none yet"),
        ("0", "a whole number at least 1"),
        ("1 2 3", "3 runs were given; two can be compared"),
        ("2 2", "run 2 was given twice"),
        ("x", "'x' is not a whole number"),
        ("--clear 1", "--clear forgets all runs"),
        ("--all 1", "--all lists runs"),
    ],
)
def test_what_it_refuses(kept, hfcli, line, said):
    result = hfcli("history", *line.split())
    assert result.code == 2
    assert said in result.err
