"""`hfcli run`: what is run and what is not, what is said of it, and how it ends."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from hfcli.cli import _lock, _reached
from hfcli.cli._lock import Lock

RIGHT, NEW, OLD = "a\nb\nc\nd\n", "a\nb\nc\nx\n", "a\nb\ny\nx\n"
TWO = """
name: two
about: two systems
expects: {accuracy: 0.75, source: nowhere, takes: "3 s, 2 cores"}
variables: {right: right.txt}
steps:
  - name: old
    eval: {metric: accuracy, predictions: old.txt, references: "${right}", output: out/old.json}
  - name: new
    about: The newer one.
    eval: {metric: accuracy, predictions: new.txt, references: "${right}", output: out/new.json}
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working folder with outputs of two systems, and the recipe that measures them."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"right.txt": RIGHT, "new.txt": NEW, "old.txt": OLD, "two.yaml": TWO}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def films(path, count):
    """Records of good and bad films."""
    words = {"pos": "good", "neg": "bad"}
    rows = [
        {"text": f"a {words[label]} film {'the story ' * i}", "label": label}
        for i in range(count // 2)
        for label in words
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def begun(result):
    """The lines that say which step began, or was skipped."""
    return [line for line in result.err.split("\n") if line[:1].isdecimal()]


def scores(folder, *names):
    return [json.loads((folder / "out" / f"{name}.json").read_text())["scores"][0]["score"] for name in names]


# what is run


def test_steps_run_and_say_what_they_reach(hfcli, work):
    result = hfcli("run", "two.yaml")
    assert (result.code, result.out) == (0, "out/new.json\n")
    lines = [line.rpartition("   ")[0] if line.endswith(" s") else line for line in result.err.split("\n")]
    assert lines == [
        "two · 2 steps · expects accuracy 0.75 · 3 s, 2 cores",
        "1/2 old",
        "               accuracy 0.500 [0.000, 1.000], n 4",
        "2/2 new        The newer one.",
        "               accuracy 0.750 [0.250, 1.000], n 4",
        "reached        accuracy 0.75 lies inside the interval",
        "",
    ]
    assert scores(work, "old", "new") == [0.5, 0.75]


def test_what_is_finished_and_unchanged_is_not_run_again(hfcli, work):
    assert hfcli("run", "two.yaml").code == 0
    again = hfcli("run", "two.yaml")
    assert (again.code, again.out) == (0, "out/new.json\n")
    skipped = "unchanged, skipped (--force runs it)"
    assert begun(again) == [f"1/2 old        {skipped}", f"2/2 new        {skipped}"]
    assert "accuracy 0.750 [0.250, 1.000], n 4" in again.err
    assert "reached" in again.err
    (work / "new.txt").write_text(RIGHT)  # an input
    assert begun(hfcli("run", "two.yaml"))[0].endswith(skipped)
    assert scores(work, "old", "new") == [0.5, 1.0]
    (work / "out" / "new.json").write_text("{}")  # an output
    assert begun(hfcli("run", "two.yaml")) == [f"1/2 old        {skipped}", "2/2 new        The newer one."]
    assert scores(work, "old", "new") == [0.5, 1.0]
    (work / "two.yaml").write_text(TWO.replace("about: two", "about: 2").replace("old.json}", "old.json, seed: 3}"))
    assert begun(hfcli("run", "two.yaml")) == ["1/2 old", f"2/2 new        {skipped}"]  # a flag
    assert skipped not in hfcli("run", "two.yaml", "--force").err


def test_what_an_earlier_step_makes_is_part_of_a_later_one(hfcli, work):
    text = """
    steps:
      - eval: {metric: accuracy, predictions: new.txt, references: right.txt, details: out/d.jsonl}
      - name: again
        eval: {metric: accuracy, predictions: out/d.jsonl, output: out/again.json}
    """
    (work / "chain.yaml").write_text(text)
    assert hfcli("run", "chain.yaml").code == 0
    assert hfcli("run", "chain.yaml").err.count("skipped") == 2
    (work / "new.txt").write_text(RIGHT)
    assert "skipped" not in hfcli("run", "chain.yaml").err
    assert scores(work, "again") == [1.0]


def test_another_output_is_not_forgotten_for_the_next(hfcli, work):
    text = TWO.replace("{right: right.txt}", "{right: right.txt, to: out}").replace("out/old.json", "'${to}/old.json'")
    (work / "two.yaml").write_text(text)
    line = ("run", "two.yaml", "--only", "old")
    assert hfcli(*line).code == 0
    assert hfcli(*line, "--set", "to=other").code == 0
    for given in ((), ("--set", "to=other")):
        assert "skipped" in hfcli(*line, *given).err
    (work / "old.txt").write_text(NEW)
    assert (hfcli(*line).code, scores(work, "old")) == (0, [0.75])  # its own still
    (work / "two.yaml").write_text(text.replace("metric: accuracy", "metric: accuracy, seed: 3"))
    assert "skipped" not in hfcli(*line).err
    (work / "two.yaml").write_text(text)
    assert "skipped" not in hfcli(*line).err  # what is there was made in another way


def test_two_runs_at_once_both_keep_what_they_made(work):
    def begun(number, path):
        entry = _lock.Entry({"argv": [number]}, {}, {path: None})
        both[number].put(f"{number} eval", entry)
        return entry

    both = [Lock("file:two.yaml"), Lock("file:two.yaml")]
    entries = [begun(0, "a.json"), begun(1, "b.json")]
    both[0].revisions["model m"] = "0" * 40
    for lock in both:
        lock.save()
    entries[0].finished = True
    both[0].save()
    now = Lock("file:two.yaml")
    assert [now.before(f"{n} eval", {"argv": [n]}).finished for n in (0, 1)] == [True, False]
    assert now.owns("a.json")
    assert now.owns("./b.json")
    assert now.revision("model", "m") == "0" * 40


def test_a_damaged_memory_is_no_memory(hfcli, work):
    assert hfcli("run", "two.yaml", "--only", "old").code == 0
    (kept,) = (work / ".hfcli").glob("run-two-*.json")
    whole = kept.read_text()
    odd = json.loads(whole)
    (entry,) = odd["steps"].values()
    entry["scores"] = [{"metric": 3}]
    for text in ("", "[]", '{"steps": 3, "revisions": {}, "key": "file:two.yaml"}', whole[:99], json.dumps(odd)):
        kept.write_text(text)
        shutil.rmtree(work / "out", ignore_errors=True)
        assert begun(hfcli("run", "two.yaml", "--only", "old")) == ["1/2 old"]


def test_some_of_the_steps(hfcli, work):
    only = hfcli("run", "two.yaml", "--only", "new")
    assert (only.code, begun(only)) == (0, ["2/2 new        The newer one."])
    assert not (work / "out" / "old.json").exists()
    first = hfcli("run", "two.yaml", "--from", "2")
    assert len(begun(first)) == 1
    for flags, said in (
        (("--only", "nwe"), "did you mean new?"),
        (("--only", "eval"), "two.yaml has 2 steps eval: 1 and 2"),
        (("--from", "3"), "there is 1 old, 2 new"),
        (("--from", "1", "--only", "2"), "--from and --only both say which steps"),
    ):
        wrong = hfcli("run", "two.yaml", *flags)
        assert (wrong.code, wrong.out) == (2, "")
        assert said in wrong.err


def test_variables_from_the_command_line(hfcli, work):
    (work / "other.txt").write_text(NEW)
    assert hfcli("run", "two.yaml", "--only", "new", "--set", "right=other.txt").code == 0
    assert scores(work, "new") == [1.0]
    for given, said in (
        ("rihgt=x", "did you mean right?"),
        ("right", "is no KEY=VALUE"),
        ("right=a=b", None),
    ):
        result = hfcli("run", "two.yaml", "--dry-run", "--set", given)
        assert result.code == (2 if said else 0)
        assert (said or "") in result.err
    assert "--references a=b " in result.out


def test_dry_run_prints_lines_for_a_shell_and_runs_nothing(hfcli, shell, work):
    before = sorted(work.iterdir())
    result = hfcli("run", "two.yaml", "--dry-run")
    assert (result.code, result.err) == (0, "")
    assert (
        result.lines[0]
        == "hfcli eval --metric accuracy --predictions old.txt --references right.txt --output out/old.json"
    )
    assert sorted(work.iterdir()) == before
    (work / "out").mkdir()
    assert shell(result.lines[0]).returncode == 0
    assert scores(work, "old") == [0.5]
    assert hfcli("run", "two.yaml", "--dry-run", "--force").code == 2


def test_a_recipe_from_standard_input(hfcli, work):
    result = hfcli("run", "-", "--only", "old", stdin=TWO)
    assert (result.code, result.out) == (0, "out/old.json\n")
    assert "skipped" in hfcli("run", "-", "--only", "old", stdin=TWO).err
    assert hfcli("run", "-", "--only", "old", stdin=TWO.replace("two\n", "../../x y\n", 1)).code == 2  # another recipe
    assert hfcli("run", "-", "--only", "old", stdin=TWO + "# called the same\n").code == 2
    assert hfcli("run", "-", stdin="steps: [").err.startswith("error: standard input is not a recipe: line 1")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("demmo", "did you mean demo?"),
        ("two", "hint:  hfcli run two.yaml\n"),
        ("no/such.yaml", "no/such.yaml cannot be read (no such file or directory)"),
        (".", "no recipe '.'"),
        ("./out/", "cannot be read (is a directory)"),
    ],
)
def test_recipes_that_are_not_there(hfcli, work, name, said):
    (work / "out").mkdir()
    result = hfcli("run", name)
    assert result.code in (2, 4)
    assert said in result.err
    assert "no recipe was named" in hfcli("run").err
    assert hfcli("run", "-", stdin="steps: []").err == "error: standard input has no steps\n"


# what comes out


def test_standard_output_is_the_last_steps_where_it_has_no_file(hfcli, work):
    text = TWO + "  - compare: {files: [out/old.json, out/new.json]}\n"
    (work / "two.yaml").write_text(text)
    (verdict,) = hfcli("run", "two.yaml").records
    assert verdict["verdicts"] == {"new": "no difference seen"}
    (verdict,) = hfcli("run", "two.yaml").records  # what makes nothing but that is run again
    assert verdict["verdicts"] == {"new": "no difference seen"}
    (work / "two.yaml").write_text(TWO.replace(", output: out/new.json", ""))
    shutil.rmtree(work / "out")
    for _ in range(2):  # the second time from what is kept
        (measured,) = hfcli("run", "two.yaml", "--only", "new").records
        assert measured["scores"][0]["score"] == 0.75


def test_earlier_steps_say_theirs_on_standard_error(hfcli, work):
    (work / "two.yaml").write_text(
        "steps: [{config: }, {eval: {metric: accuracy, predictions: new.txt, references: right.txt}}]"
    )
    result = hfcli("run", "two.yaml")
    assert "nothing is set" in result.err
    assert result.records[0]["scores"][0]["score"] == 0.75


def test_quiet_says_nothing(hfcli, work):
    result = hfcli("run", "two.yaml", "-q")
    assert (result.code, result.out, result.err) == (0, "out/new.json\n", "")


# what was expected


def test_what_is_not_reached_is_said_and_fails_when_asked(hfcli, work):
    (work / "two.yaml").write_text(TWO.replace("accuracy: 0.75", "accuracy: 0.75, f1: 0.5"))
    (work / "right.txt").write_text("q\nq\nq\nq\n")
    below = hfcli("run", "two.yaml")
    assert (below.code, below.out) == (0, "out/new.json\n")
    assert "below          expected accuracy 0.75, interval ends at 0.000\n" in below.err
    assert "missing        expected f1 0.5, and accuracy was measured\n" in below.err
    failed = hfcli("run", "two.yaml", "--fail-under", "-q")
    assert (failed.code, failed.out) == (7, "out/new.json\n")
    assert failed.err.split("\n")[0] == "fail:  expected accuracy 0.75, interval ends at 0.000"
    # of steps that were not run nothing is expected
    assert "missing" not in hfcli("run", "two.yaml", "--only", "old").err
    (work / "right.txt").write_text(NEW)
    above = hfcli("run", "two.yaml", "--fail-under", "--only", "new")
    assert above.code == 0
    assert "above          expected accuracy 0.75, interval begins at 1.000\n" in above.err


def test_what_a_step_expects_is_about_that_step(hfcli, work):
    old, new = "old.json}\n    expects: {accuracy: 0.5}", "new.json}\n    expects: {accuracy: 0.75}"
    (work / "two.yaml").write_text(TWO.replace("old.json}", old).replace("new.json}", new))
    result = hfcli("run", "two.yaml")
    words = [line for line in result.err.split("\n") if line.startswith(("reached", "below", "above"))]
    assert words == [  # and once, though the recipe expects of the last one what the step itself does
        "reached        accuracy 0.5 (old) lies inside the interval",
        "reached        accuracy 0.75 (new) lies inside the interval",
    ]


@pytest.mark.parametrize(
    ("metric", "expected", "low", "high", "word", "worse"),
    [
        ("accuracy", 0.9, 0.85, 0.95, "reached", False),
        ("accuracy", 0.9, 0.9, 0.95, "reached", False),
        ("accuracy", 0.9, 0.8, 0.85, "below", True),
        ("accuracy", 0.9, 0.91, 0.95, "above", False),
        ("perplexity", 20.0, 21.0, 23.0, "above", True),
        ("perplexity", 20.0, 17.0, 19.0, "below", False),
        ("mse", 1.0, None, None, "above", True),
        ("f1", 88.5, 88.0, 89.0, "reached", False),
    ],
)
def test_verdicts(metric, expected, low, high, word, worse):
    middle = 2.0 if low is None else (low + high) / 2
    score = {"metric": metric, "score": middle, "low": low, "high": high, "n": 9}
    (verdict,) = _reached.verdicts({metric: expected, "other": None}, [score])
    assert (verdict.word, verdict.worse) == (word, worse)


# how it ends


def test_a_step_that_fails_ends_the_run(hfcli, work):
    (work / "old.txt").write_text("a\n")
    result = hfcli("run", "two.yaml")
    assert (result.code, result.out) == (4, "")
    assert begun(result) == ["1/2 old"]
    assert "old.txt" in result.err.split("\n")[2]
    assert result.err.endswith(
        "fail:  step 1 of 2, old, failed (exit 4)\n"
        "hint:  hfcli run two.yaml     goes on there; finished steps are skipped\n"
    )
    (work / "old.txt").write_text(OLD)
    assert hfcli("run", "two.yaml").code == 0


def test_the_line_that_goes_on_runs_the_same_steps(hfcli, work):
    (work / "new.txt").write_text("a\n")
    for flag in ("--from", "--only"):
        failed = hfcli("run", "two.yaml", flag, "new")
        assert failed.code == 4
        assert f"hint:  hfcli run two.yaml {flag} new     goes on there" in failed.err


def test_files_that_will_not_be_there_are_found_before_anything_runs(hfcli, work):
    (work / "new.txt").unlink()
    for line in (("run", "two.yaml"), ("run", "two.yaml", "--dry-run"), ("recipes", "check", "two.yaml")):
        missing = hfcli(*line)
        assert (missing.code, missing.out, begun(missing)) == (4, "", [])
        assert "two.yaml, step 2 (new): no file new.txt, and no earlier step makes it" in missing.err
    assert hfcli("run", "two.yaml", "--only", "old").code == 0
    again = "  - {name: again, eval: {metric: accuracy, predictions: d/new.jsonl, output: out/again.json}}\n"
    (work / "two.yaml").write_text(TWO.replace("output: out/new.json", "details: d/new.jsonl") + again)
    (work / "new.txt").write_text(NEW)
    left = hfcli("run", "two.yaml", "--only", "again", "--set", "right=new.txt")
    assert (left.code, left.out) == (2, "")
    assert "d/new.jsonl is made by step 2, new, which has not been run" in left.err
    assert left.err.endswith("hint:  hfcli run two.yaml --set right=new.txt\n")
    assert hfcli("run", "two.yaml", "--only", "again", "--dry-run").code == 0
    assert hfcli("run", "two.yaml", "--from", "new").code == 0
    assert hfcli("run", "two.yaml", "--only", "again").code == 0


def test_a_standard_input_that_the_recipe_does_not_give(hfcli, work):
    for step, flag in (
        ("finetune: {name: m, dataset: -}", "dataset"),
        ("classify: {file: -}", "file"),
        ("classify: {texts: [-]}", "texts"),
        ("eval: {metric: accuracy, predictions: [old.txt, -], references: right.txt}", "predictions"),
    ):
        refused = hfcli("run", "-", "--dry-run", stdin=f"steps:\n- {step}\n")
        assert (refused.code, refused.out) == (2, "")
        assert f"{flag} is standard input, which a step has only by stdin:" in refused.err
        assert "hint:  stdin: in the recipe" in refused.err
        assert hfcli("run", "-", "--dry-run", stdin=f"steps:\n- {step}\n  stdin: a\n").code == 0
    text = "variables: {data: -}\nsteps: [{finetune: {name: m, dataset: '${data}'}}]"
    refused = hfcli("run", "-", "--dry-run", stdin=text)
    assert "hint:  --set data=FILE\n" in refused.err
    assert hfcli("run", "-", "--dry-run", "--set", "data=old.txt", stdin=text).code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_reaches_the_step_and_ends_the_run(work, number, code):
    (work / "new.txt").unlink()
    os.mkfifo(work / "new.txt")
    line = [sys.executable, "-m", "hfcli", "run", "two.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(os.path.dirname(os.path.dirname(__file__)))}
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    with open(work / "new.txt", "w"):  # once the second step reads there
        running.send_signal(number)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (code, "")
    assert err.endswith("hint:  hfcli run two.yaml     goes on there; finished steps are skipped\n")
    assert "Traceback" not in err
    (work / "new.txt").unlink()
    (work / "new.txt").write_text(NEW)
    again = subprocess.run(line, capture_output=True, text=True, env=environment)
    assert again.returncode == 0
    assert "1/2 old        unchanged, skipped" in again.stderr


# strangers' recipes


def test_what_somebody_else_made_is_not_written_over(hfcli, work):
    (work / "out").mkdir()
    (work / "out" / "new.json").write_text("my own")
    result = hfcli("run", "two.yaml", "--force")
    assert (result.code, result.out) == (2, "")
    assert "out/new.json is there already, and this recipe has not made it" in result.err
    assert (work / "out" / "new.json").read_text() == "my own"
    assert begun(result) == []  # known before anything runs
    # nor what another recipe made
    (work / "copy.yaml").write_text(TWO)
    assert hfcli("run", "two.yaml", "--only", "old").code == 0
    assert hfcli("run", "copy.yaml", "--only", "old").code == 2


def test_recipes_that_are_called_alike_do_not_own_each_others_results(hfcli, work, tmp_path_factory):
    (work / "a").mkdir()
    outside = tmp_path_factory.mktemp("elsewhere")
    files = ["a-two.yaml", "a/two.yaml", f"{outside}/a-two.yaml"]
    for name in files:
        (work / name).write_text(TWO)
    assert hfcli("run", "a-two.yaml", "--only", "old").code == 0
    assert hfcli("run", "./a/../a-two.yaml", "--only", "old").code == 0  # the same file
    for name in files[1:]:
        assert hfcli("run", name, "--only", "old").code == 2
    (work / "link.yaml").symlink_to("a-two.yaml")
    assert "skipped" in hfcli("run", "link.yaml", "--only", "old").err
    (kept,) = (work / ".hfcli").glob("run-a-two-*.json")
    kept.write_text(kept.read_text().replace('"file:a-two.yaml"', '"file:other.yaml"'))
    assert hfcli("run", "a-two.yaml", "--only", "old").code == 2  # the file says that it is another's


def test_steps_import_nothing_from_the_working_folder(hfcli, work):
    for name in ("yaml", "json", "numpy", "typer", "hfcli", "sitecustomize"):
        (work / f"{name}.py").write_text(f"open({str(work / 'evil')!r}, 'w')\nraise SystemExit(99)\n")
    result = hfcli("run", "two.yaml", "--only", "old", env={"PYTHONPATH": ""})
    assert not (work / "evil").exists()
    assert result.code == 0


def test_links_that_appear_meanwhile_are_not_followed(hfcli, work, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    for planted in (work / ".hfcli", work / "out"):
        planted.symlink_to(outside)
        result = hfcli("run", "two.yaml")
        assert result.code in (2, 4)
        assert "Traceback" not in result.err
        assert list(outside.iterdir()) == []
        planted.unlink()


def test_planted_revisions_are_commits_or_nothing(hfcli, work):
    (work / ".hfcli").mkdir()
    (work / "two.yaml").write_text("steps: [{classify: {texts: [x], model: acme/m}}]")
    kept, key = Lock("file:two.yaml").path, "file:two.yaml"
    for commit, used in (("0" * 40, True), ("--allow-pickle", False), ("main", False)):
        kept.write_text(json.dumps({"key": key, "made": [], "revisions": {"model acme/m": commit}, "steps": {}}))
        out = hfcli("run", "two.yaml", "--dry-run").out
        assert out == "hfcli classify x --model acme/m" + f" --revision {commit}" * used + "\n"


# the Hub


@pytest.fixture
def hubbed(work, hub, models, monkeypatch):
    """A recipe of a model and data on the Hub, and empty caches."""
    from huggingface_hub import constants

    for name in ("HF_HUB_CACHE", "HF_DATASETS_CACHE"):
        monkeypatch.setenv(name, str(work / "cache" / name))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(work / "cache" / "HF_HUB_CACHE"))
    folder = work / "films"
    folder.mkdir()
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: a\n  data_files: a.jsonl\n- config_name: b\n  data_files: b.jsonl\n---\n"
    )
    for name in "ab":
        films(folder / f"{name}.jsonl", 20)
    shutil.copytree(models.classifier(), work / "published")
    (work / "published" / "pytorch_model.bin").write_bytes(b"not needed")
    commits = hub.add("acme/judge", work / "published"), hub.add("acme/films", folder, data=True)
    (work / "hub.yaml").write_text(
        """
        expects: {accuracy: 1}
        variables: {output: out}
        steps:
          - name: measure
            eval: {model: acme/judge, dataset: acme/films, subset: a, output: "${output}/e.json", dtype: float32}
          - name: train
            finetune: {name: acme/judge, dataset: acme/films, subset: a, max-steps: 1, output: "${output}/m"}
          - name: again
            eval: {model: "${output}/m", dataset: acme/films, subset: a}
          - classify: {texts: [a fine film], model: acme/judge, revision: main}
        """
    )
    yield commits
    for root in (hub.root, hub.data_root):
        for path in root.glob("acme/*"):
            path.unlink()


def test_prefetch_brings_what_is_needed_and_keeps_which_it_was(hfcli, hub, work, hubbed):
    model, data = hubbed
    result = hfcli("run", "hub.yaml", "--prefetch")
    assert (result.code, result.out) == (0, "")
    assert f"prefetch   acme/judge@{model[:7]}, acme/films@{data[:7]}\n" in result.err
    assert result.err.endswith("hint:  hfcli run hub.yaml --offline\n")
    fetched = [line.split("/")[-1] for line in hub.requests if line.startswith("GET") and "resolve" in line]
    assert {"a.jsonl", "tokenizer.json", "model.safetensors"} <= {*fetched}
    assert not {"b.jsonl", "pytorch_model.bin"} & {*fetched}
    assert len(fetched) == len({*fetched})  # once, whichever steps need it
    assert not any("out" in line for line in hub.requests)  # what an earlier step makes is nowhere else
    assert not (work / "out").exists()
    hub.status = hub.api_status = 404
    unknown = hfcli("run", "-", "--prefetch", stdin="steps: [{config: }, {classify: {texts: [x], model: acme/jugde}}]")
    assert (unknown.code, unknown.out) == (5, "")
    assert unknown.err.startswith("error: standard input, step 2 (classify): ")
    assert hfcli("run", "hub.yaml", "--prefetch", "--offline").code == 2


def test_a_run_takes_the_revisions_that_were_prefetched(hfcli, hub, work, hubbed):
    assert hfcli("run", "hub.yaml", "--prefetch").code == 0
    model, data = hubbed
    measure, train, again, classify = hfcli("run", "hub.yaml", "--dry-run", "--offline").lines
    both = f"--revision {model} --dataset-revision {data} --offline"
    assert measure.endswith(f"--dtype float32 {both}")
    assert train.endswith(f"--output out/m {both}")
    assert again == f"hfcli eval --model out/m --dataset acme/films --subset a --dataset-revision {data} --offline"
    assert classify.endswith("--model acme/judge --revision main --offline")  # it says that itself


@pytest.mark.slow
def test_a_prefetched_recipe_runs_while_the_hub_refuses(hfcli, hub, work, hubbed):
    refused = hfcli("run", "hub.yaml", "--offline")
    assert refused.code == 5
    assert refused.err.endswith("hint:  where there is internet: hfcli run hub.yaml --prefetch\n")
    assert hfcli("run", "hub.yaml", "--prefetch").code == 0
    hub.requests.clear()
    hub.status = hub.api_status = 503
    result = hfcli("run", "hub.yaml", "--offline")
    assert result.code == 0, result.err
    assert result.records[0]["label"] in ("pos", "neg")
    assert hub.requests == []
    kept = json.loads((work / "out" / "m" / "metrics.json").read_text())
    assert (kept["model"]["revision"], kept["data"][0]["revision"]) == hubbed
    assert hfcli("run", "hub.yaml", "--offline").err.count("unchanged, skipped") == 3


# finetuning


@pytest.mark.slow
def test_a_finetuning_that_was_cut_off_goes_on_by_itself(work, models):
    films(work / "films.jsonl", 200)
    train = f"name: {models.classifier()}, dataset: films.jsonl, batch-size: 4, epochs: 100, save-epochs: 1"
    (work / "slow.yaml").write_text(
        f"steps:\n- finetune: {{{train}, output: runs/a}}\n- eval: {{model: runs/a, dataset: films.jsonl}}\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(os.path.dirname(os.path.dirname(__file__)))}

    def run(*flags, until=None, number=signal.SIGINT):
        line = [sys.executable, "-m", "hfcli", "run", "slow.yaml", *flags]
        said = []
        pipe = subprocess.PIPE
        with subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, env=environment) as running:
            for text in running.stderr:
                said.append(text)
                if until is not None and until in text:
                    running.send_signal(number)
                    until = None
            return running.wait(), running.stdout.read(), "".join(said)

    code, out, err = run(until="epoch 2 ")
    assert (code, out) == (130, "")
    assert "saved step" in err
    (work / "slow.yaml").write_text((work / "slow.yaml").read_text() + "# another line\n")
    code, out, err = run(until="epoch 4 ", number=signal.SIGTERM)
    assert (code, out) == (143, "")
    assert "continues exactly where it was" in err
    changed = (work / "slow.yaml").read_text().replace("epochs: 100,", "epochs: 1,")
    (work / "slow.yaml").write_text(changed)  # another run: what was begun is made anew, as it is the recipe's own
    code, out, err = run()
    assert (code, out) == (0, "runs/a\n")
    assert "continues" not in err
    before = (work / "runs/a/model.safetensors").stat().st_mtime_ns
    code, out, err = run()
    assert (code, out) == (0, "runs/a\n")
    assert err.count("unchanged, skipped") == 2
    assert run("--force", "--only", "1")[0] == 0
    assert (work / "runs/a/model.safetensors").stat().st_mtime_ns > before


@pytest.mark.slow
def test_what_finetune_leaves_is_a_recipe(hfcli, work, models):
    films(work / "films.jsonl", 40)
    line = (
        "finetune",
        models.classifier(),
        "--dataset",
        "films.jsonl",
        "--lr",
        "3e-5",
        "--max-steps",
        "2",
        "-o",
        "runs/a",
    )
    assert hfcli(*line).code == 0
    assert "no file ./classifier" in hfcli("recipes", "check", "runs/a/hfcli.yaml").err
    shutil.copytree(models.classifier(), work / "classifier")
    assert hfcli("recipes", "check", "runs/a/hfcli.yaml").out == "ok    a: finetune\n"
    again = hfcli("run", "runs/a/hfcli.yaml")  # over what it is itself a part of
    assert (again.code, again.out) == (2, "")
    assert "hfcli run runs/a/hfcli.yaml --set output=ELSEWHERE\n" in again.err
    other = hfcli("run", "runs/a/hfcli.yaml", "--set", "output=other")
    assert (other.code, other.out) == (0, "other\n"), other.err
    assert "reached        accuracy" in other.err
    runs = [(work / name / "history.jsonl").read_text().splitlines() for name in ("runs/a", "other")]
    first, second = ([json.loads(line).get("loss") for line in run] for run in runs)
    assert first == second
    piped = (work / "films.jsonl").read_text()
    line = ("finetune", models.classifier(), "--dataset", "-", "--max-steps", "2", "-o", "runs/b")
    assert hfcli(*line, stdin=piped).code == 0
    assert "hint:  --set dataset=FILE\n" in hfcli("run", "runs/b/hfcli.yaml", "--set", "output=c").err
    other = hfcli("run", "runs/b/hfcli.yaml", "--set", "output=c", "--set", "dataset=films.jsonl")
    assert (other.code, other.out) == (0, "c\n"), other.err
