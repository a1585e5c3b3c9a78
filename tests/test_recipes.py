"""Recipes: every shipped one parses through the real command line, and mistakes in one get a sentence."""

import json
import subprocess
import time

import pytest

from hfcli import cli, recipes
from hfcli.cli import _chosen, _steps, _written
from hfcli.errors import DataError

NAMES = cli.NAMES


def parse(text, **given):
    return recipes.parse(text, "mine.yaml", NAMES, given)


def checked(text, **given):
    return _steps.check(parse(text, **given), "mine.yaml")


@pytest.fixture
def check(hfcli, tmp_path, monkeypatch):
    """`check(text)`: hfcli recipes check, of a file in an empty working folder."""
    monkeypatch.chdir(tmp_path)

    def call(text):
        (tmp_path / "mine.yaml").write_text(text)
        return hfcli("recipes", "check", "mine.yaml")

    return call


# shipped ones


@pytest.mark.parametrize("path", sorted(recipes.folder().glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_parse(path):
    recipe, source = _chosen.find(path.stem)
    assert recipe.name == path.stem == source
    assert recipe.about
    for step in _steps.check(recipe, source):
        # Typer's parser alone, as far as `--help` before a valid line gets: an unknown flag or value would raise.
        argv = [*step.argv[:1], "--help", *step.argv[1:]]
        assert cli.application()(args=argv, standalone_mode=False) == 0


def test_they_are_listed_shown_and_copied(hfcli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listed = hfcli("recipes")
    assert (listed.code, listed.err) == (0, "")
    assert [record["name"] for record in listed.records] == recipes.names()
    text = (recipes.folder() / "demo.yaml").read_text()
    assert hfcli("recipes", "show", "demo").out == text
    copied = hfcli("recipes", "copy", "demo")
    assert (copied.code, copied.out) == (0, "demo.yaml\n")
    (tmp_path / "demo.yaml").write_text("my own")
    refused = hfcli("recipes", "copy", "demo")
    assert (refused.code, refused.out) == (2, "")
    assert "is there already" in refused.err
    assert (tmp_path / "demo.yaml").read_text() == "my own"
    assert hfcli("recipes", "copy", "demo", "--overwrite").code == 0
    assert (tmp_path / "demo.yaml").read_text() == text
    assert hfcli("recipes", "copy", "demo", "other.yaml").out == "other.yaml\n"
    assert hfcli("recipes", "check", "other.yaml").out.startswith("ok    demo: generate, ")


def test_a_terminal_gets_a_table(hfcli, terminal, tmp_path, monkeypatch):
    (tmp_path / "sst2.yaml").write_text(
        "name: sst2\ntask: text-classification\nexpects: {accuracy: 0.913, source: x, takes: 9 min}\nsteps: []"
    )
    (tmp_path / "glue.yaml").write_text("name: glue\nsteps: [{doctor: , expects: {f1: 88.5}}]")
    monkeypatch.setattr(recipes, "folder", lambda: tmp_path)
    assert hfcli("recipes").out == (
        "NAME  TASK                 EXPECTS         TAKES\n"
        "glue  -                    by step         -\n"
        "sst2  text-classification  accuracy 0.913  9 min\n"
    )
    assert [record["expects"] for record in hfcli("recipes", "list", "--json").records] == [{}, {"accuracy": 0.913}]
    (tmp_path / "sst2.yaml").unlink()
    assert hfcli("recipes").out == "NAME  TASK  EXPECTS\nglue  -     by step\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("shwo", "demo"), "did you mean show?"),
        (("show",), "recipes show needs a NAME"),
        (("show", "dmeo"), "did you mean demo?"),
        (("copy", "./demo.yaml"), "no recipe './demo.yaml'"),
        (("show", "demo", "FILE"), "takes no FILE"),
        (("check", "demo", "--json"), "takes no --json"),
        (("list", "demo"), "takes no NAME"),
        (("copy", "../recipes/demo"), "no recipe"),
    ],
)
def test_wrong_lines_get_a_sentence(hfcli, tmp_path, monkeypatch, line, said):
    monkeypatch.chdir(tmp_path)
    result = hfcli("recipes", *line)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert list(tmp_path.iterdir()) == []


def test_demo_shows_every_command_and_works_offline(shell):
    done = shell("hfcli demo", timeout=900, HF_ENDPOINT="http://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    for name in set(NAMES) - set(_steps.NOT_STEPS):
        assert f"hfcli {name}" in done.stdout
    assert "without internet" in done.stdout.splitlines()[-3]
    assert "fail" not in done.stdout


# what a recipe is


def test_a_step_is_a_command_line():
    flags = {"prompt": "Once upon", "model": "builtin/story", "sample": True, "stop": [".", "!"], "seed": 3}
    step = recipes.Step("generate", flags, stdin="a\nb c\n")
    argv = step.argv(["prompt"])
    assert argv == "generate|Once upon|--model|builtin/story|--sample|--stop|.|--stop|!|--seed|3".split("|")
    assert step.shell(["prompt"]).startswith("printf '%s\\n' a 'b c' | hfcli generate 'Once upon' --model")


def test_what_a_terminal_would_obey_is_spelt_out():
    words = ["a\x1b[2J'\\b", "\x9b", "1\n2", "it's é"]
    step = recipes.Step("hfcli", {"texts": words}, stdin="x\x1by\x0cz\n \n")
    line = step.shell(["texts"])
    assert line.isprintable()
    assert line.startswith("printf '%s\\n' $'x\\x1by\\x0cz' ' ' | hfcli hfcli $'a")
    echo = subprocess.run(
        ["bash", "-c", line.split("|")[1].replace("hfcli hfcli", "printf '%s\\0'")], capture_output=True
    )
    assert echo.stdout.decode().split("\0")[:-1] == words


def test_values_are_what_is_written():
    text = (
        "steps: [{eval: {dataset: no, revision: 8590e25, seed: 007, subset: 12:30, split: '', template: 2026-01-02}}]"
    )
    (step,) = checked(text)
    line = "eval|--dataset|no|--revision|8590e25|--seed|007|--subset|12:30|--split||--template|2026-01-02"
    assert step.argv == line.split("|")


def test_arguments_stand_in_the_commands_order():
    (step,) = checked("steps: [{data: {model: x, dataset: d.csv, action: check}}]")
    assert step.argv == ["data", "check", "d.csv", "--model", "x"]


def test_false_is_the_opposite_flag_where_there_is_one(check):
    (step,) = checked(
        "steps: [{generate: {prompt: x, sample: false, chat-template: false, no-split-special-tokens: true}}]"
    )
    assert step.argv == ["generate", "x", "--greedy", "--no-chat-template", "--no-split-special-tokens"]
    (step,) = checked("steps: [{generate: {prompt: x, greedy: false}}]")
    assert step.argv == ["generate", "x", "--sample"]
    refused = check("steps: [{generate: {json: false}}]")
    assert refused.code == 2
    assert "json cannot be false; it is off if it is left out" in refused.err


def test_variables_stand_in_values_and_input():
    text = """
    variables: {out: runs/a, who: Mia, lora: false}
    steps:
      - about: For ${who}.
        generate: {prompt: ["${who} and $${who} and $x"], output: "${out}/b.txt"}
      - finetune: {name: m, dataset: d, lora: "${lora}", output: "${out}"}
      - generate:
        stdin: |
          ${who} went
    """
    first, second, third = checked(text, who="Tom", lora="true")
    assert first.argv == ["generate", "Tom and ${who} and $x", "--output", "runs/a/b.txt"]
    assert first.step.about == "For Tom."
    assert second.argv[-3:] == ["--lora", "--output", "runs/a"]
    assert third.step.stdin == "Tom went\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [{generat: {}}]", "step 1: generat is unknown"),
        ("steps: [{generate: {}, doctor: {}}]", "one command is wanted, generate, doctor given"),
        ("steps: [{about: x}]", "one command is wanted, none given"),
        ("steps: [{generate: {}, abuot: x}]", "did you mean about"),
        ("steps: [generate]", "one command is wanted"),
        ("steps: [{generate: {}, stdin: [a]}]", "stdin is a text"),
        ("steps: [{generate: {model: }}]", "step 1 (generate), model: nothing is given"),
        ("steps: [{generate: {model: {a: b}}}]", "a value is text, true, false or a list"),
        ("steps: [{generate: {stop: [[a]]}}]", "a value is text, true, false or a list"),
        ("steps: [{generate: [a]}]", "flags are a mapping"),
        ("steps: [{doctor: , name: a}, {doctor: , name: a}]", "two steps are called a"),
        ("steps: [{doctor: , name: '2'}]", "cannot be a name"),
        ("stepps: []", "needs name, about and a list of steps"),
        ("steps: {}", "needs name, about and a list of steps"),
        ("- a", "needs name, about and a list of steps"),
        ("", "needs name, about and a list of steps"),
        ("steps: []\nextra: 1", "extra is unknown"),
        ("steps: []\nvariable: {}", "did you mean variables"),
        ("steps: []\nname: [a]", "name is a text"),
        ('steps: []\nname: "a\\nreached  all"', "name is one line"),
        ('steps: []\nname: "a\\e[2Jb"', "name holds a control character ('\\x1b')"),
        ('steps: [{doctor: , name: "a\\u202eb"}]', "name holds a control character"),
        ('steps: []\nexpects: {"a\\e[mb": 1}', "the name of a score holds a control character"),
        ('steps: []\nexpects: {takes: "a\\rb"}', "takes is one line"),
        ('steps: []\nexpects: {"a\\nb": 1}', "the name of a score is one line"),
        ("steps: [", "is not a recipe: line 1"),
        ("steps: []\n---\nsteps: []", "is not a recipe: line 2"),
        ("steps: []\nsteps: []", "line 2: steps stands there twice"),
        ("steps: [{generate: {model: a, model: b}}]", "model stands there twice"),
        ("steps: []\n? [a]\n: b", "a key is a word"),
        ("steps: []\nexpects: 0.9", "expects is a mapping"),
        ("steps: []\nexpects: {accuracy: high}", "accuracy: high is not a number"),
        ("steps: []\nexpects: {accuracy: true}", "is not a number"),
        ("steps: []\nexpects: {accuracy: nan}", "is not a number"),
        ("steps: [{doctor: , expects: {source: x}}]", "step 1 (doctor): expects source: x is not a number"),
        ("steps: []\nvariables: [a]", "variables are a mapping"),
        ("steps: []\nvariables: {a: }", "the variable a needs a text"),
        ("steps: []\nvariables: {a b: c}", "cannot be a variable"),
        ("steps: []\nvariables: {a: x, b: '${a}'}", "the variable b holds another one"),
        ("variables: {output: x}\nsteps: [{generate: {output: '${ouput}'}}]", "did you mean output"),
        ("steps: [{generate: , stdin: 'costs ${5}'}]", "no variable 5; there is none"),
    ],
)
def test_mistakes_are_sentences(text, said):
    with pytest.raises(DataError) as caught:
        parse(text)
    assert caught.value.message.startswith("mine.yaml")
    assert said in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("step", "said", "hint"),
    [
        ("finetune: {learnin-rate: 1}", "step 1 (finetune): finetune has no flag learnin-rate", "mean learning-rate?"),
        ("finetune: {learning_rate: 1}", "finetune has no flag learning_rate", "did you mean learning-rate?"),
        ("generate: {o: a.txt}", "generate has no flag o", "hfcli generate --help"),
        ("generate: {-o: a.txt}", "generate has no flag -o", ""),
        ("generate: {--model: a}", "generate has no flag --model", "did you mean model?"),
        ("generate: {help: true}", "generate has no flag help", ""),
        ("generate: {seed: x}", "step 1 (generate): invalid value for '--seed': 'x' is not a whole", "generate --help"),
        ("generate: {dtype: int3}", "'int3' is not one of", "hfcli generate --help"),
        ("generate: {seed: [1, 2]}", "seed takes one value, 2 were given", ""),
        ("generate: {model: true}", "model needs a value", ""),
        ("generate: {json: 1}", "json is true or false", ""),
        ("generate: {resume: true}", "resume is for hfcli run to decide", "leave it out"),
        ("data: {dataset: x}", "action is missing", "hfcli data --help"),
        ("generate: {greedy: true, top-k: 3}", "--greedy takes the likeliest token, --top-k samples", "leave out"),
        ("finetune: {freeze: true, lora: true}", "step 1 (finetune): --freeze and --lora decide the same", ""),
        ("run: {name: demo}", "step 1 (run): run is no step of a recipe", ""),
        ("demo: ", "demo is no step of a recipe", ""),
        ("recipes: {action: copy, name: demo}", "recipes is no step of a recipe", ""),
        ("config: {action: set, key: model, value: x}", "a recipe does not change your settings", ""),
    ],
)
def test_steps_are_checked_by_the_commands_parser(check, step, said, hint):
    result = check(f"steps:\n  - {step}")
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert hint in result.err
    assert "Traceback" not in result.err


def test_two_steps_do_not_write_the_same_file(check):
    result = check(
        "steps: [{generate: {prompt: x, output: a.txt}}, {generate: {prompt: y, output: ./a.txt}, name: other}]"
    )
    assert (result.code, result.out) == (2, "")
    assert "mine.yaml, step 2 (other): step 1, generate, writes ./a.txt, too" in result.err


def test_scores_that_nothing_measures(check):
    for where in ("expects: {acuracy: 1}\nsteps: [{%s}]", "steps: [{%s, expects: {acuracy: 1}}]"):
        result = check(where % "eval: {model: builtin/story}")
        assert (result.code, result.out) == (4, "")
        assert "expects acuracy: no score is called so" in result.err
        assert "did you mean accuracy?" in result.err
        # what a metric of somebody else's reports is its own
        foreign = "eval: {predictions: mine.yaml, references: mine.yaml, metric: evaluate:x}"
        assert check(where % foreign).code == 0


@pytest.mark.parametrize("name", recipes.names())
def test_shipped_recipes_are_checked_whole(hfcli, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    result = hfcli("recipes", "check", name)
    assert (result.code, result.err) == (0, "")


def test_all_steps_are_checked_before_the_first_one_runs(hfcli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("steps: [{config: }, {generate: {seed: x}}]")
    result = hfcli("run", "mine.yaml")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: mine.yaml, step 2 (generate): invalid value for '--seed'")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


# strangers' recipes


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("generate: {prompt: x, trust-remote-code: true}", "runs the code that comes with a model"),
        ("generate: {prompt: x, allow-pickle: true}", "loads weights in a format"),
        ("finetune: {name: m, dataset: d, push-to-hub: me/mine}", "uploads the result"),
        ("finetune: {name: m, dataset: d, report-to: [tensorboard, wandb]}", "report-to wandb sends"),
        ("generate: {prompt: x, output: ../a.txt}", "is outside the working folder"),
        ("generate: {prompt: x, output: /tmp/a.txt}", "is outside the working folder"),
        ("generate: {prompt: x, output: a/../../b.txt}", "is outside the working folder"),
        ("generate: {prompt: x, output: /dev/null}", "is outside the working folder"),
        ("generate: {prompt: x, output: linked/a.txt}", "is outside the working folder"),
        ("generate: {prompt: x, output: link.txt}", "is outside the working folder"),
        ("finetune: {name: m, dataset: d, output: linked}", "is outside the working folder"),
        ("finetune: {name: m, dataset: d, output: .}", "is the working folder itself"),
        ("eval: {dataset: d, details: ../a.jsonl}", "is outside the working folder"),
        ("compare: {files: [a, b], flips: /tmp/a.jsonl}", "is outside the working folder"),
        ("generate: {prompt: x, output: .git/hooks/pre-commit}", ".git is hidden"),
        ("generate: {prompt: x, output: .envrc.txt}", "is hidden"),
        ("finetune: {name: m, dataset: d, output: .hfcli}", "is hidden"),
        ("generate: {prompt: x, output: yaml.py}", "is no data file"),
        ("generate: {prompt: x, output: Makefile}", "is no data file"),
        ("generate: {prompt: x, output: '${mine}'}", "is no data file"),
        ("generate: {prompt: x, output: half.txt}", "leads elsewhere"),
        ("finetune: {name: m, dataset: d, output: holds}", "leads elsewhere"),
    ],
)
def test_a_recipe_may_not_do_that_by_itself(check, tmp_path, tmp_path_factory, step, said):
    outside = tmp_path_factory.mktemp("outside")
    (tmp_path / "linked").symlink_to(outside)
    (tmp_path / "link.txt").symlink_to(outside / "x.txt")
    (tmp_path / "half.txt.partial").symlink_to(outside / "x.txt")
    (tmp_path / "holds").mkdir()
    (tmp_path / "holds" / "run.json").symlink_to(outside / "x.txt")
    result = check(f"variables: {{mine: setup.cfg}}\nsteps:\n  - doctor:\n  - {step}")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: mine.yaml, step 2 (")
    assert said in result.err


@pytest.mark.parametrize(
    ("flag", "value"), [("trust-remote-code", "true"), ("allow-pickle", "true"), ("push-to-hub", "me/mine")]
)
def test_it_may_if_whoever_runs_it_says_so_too(hfcli, tmp_path, monkeypatch, flag, value):
    monkeypatch.chdir(tmp_path)
    line = ("run", "-", "--dry-run")
    text = f"steps: [{{finetune: {{name: m, dataset: d, {flag}: {value}}}}}]"
    refused = hfcli(*line, stdin=text)
    assert refused.code == 2
    assert f"hint:  hfcli run - --{flag}\n" in refused.err
    allowed = hfcli(*line, f"--{flag}", stdin=text)
    assert allowed.code == 0
    assert f"--{flag}" in allowed.out
    # and the flag allows, it does not ask for it
    assert flag not in hfcli(*line, f"--{flag}", stdin="steps: [{finetune: {name: m, dataset: d}}]").out


def test_an_outside_folder_is_allowed_where_the_command_line_names_it(hfcli, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    step = "steps: [{generate: {prompt: x, output: '${output}%s'}}]"
    line = ("run", "-", "--dry-run", "--set", f"output={tmp_path}/there")
    head = "variables: {output: out}\n"
    assert hfcli(*line, stdin=head + step % "/a.txt").code == 0
    assert hfcli(*line, stdin=head + step % "/../b.txt").code == 2
    assert hfcli(*line, stdin=head + step % "rc.txt").code == 2  # beside it is not in it
    assert hfcli(*line, stdin=head + step.replace("${output}", "/tmp/${output}") % "/a.txt").code == 2
    # what lies below is still the recipe's word
    for rest in ("/.git/hooks/x.txt", "/yaml.py"):
        for output in (".", "work", f"{tmp_path}/there"):
            assert hfcli("run", "-", "--dry-run", "--set", f"output={output}", stdin=head + step % rest).code == 2
    assert hfcli("run", "-", "--dry-run", "--set", "output=./.mine.py", stdin=head + step % "").code == 0
    own = f"variables: {{output: {tmp_path}/there}}\n"
    assert hfcli("run", "-", "--dry-run", stdin=own + step % "/a.txt").code == 2


def test_no_value_can_pass_for_a_flag(check):
    text = """
    variables: {a: --trust-remote-code, b: -o}
    steps:
      - generate: {prompt: ["${a}", "${b}", evil.txt], model: "${a}", stop: [--allow-pickle, "-"]}
    """
    (step,) = checked(text)
    argv = ["generate", "--model=--trust-remote-code", "--stop=--allow-pickle", "--stop", "-"]
    assert step.argv == [*argv, "--", "--trust-remote-code", "-o", "evil.txt"]
    assert step.values["prompt"] == ["--trust-remote-code", "-o", "evil.txt"]
    assert not step.values["trust_remote_code"]
    assert (step.values["output"], step.values["model"]) == (None, "--trust-remote-code")
    assert check("steps: [{generate: {output: true, prompt: evil.txt}}]").code == 2
    assert check('steps: [{generate: {"trust-remote-code=1": x}}]').code == 2
    assert check('steps: [{generate: {"model x --allow-pickle": true}}]').code == 2
    assert check("variables: {k: allow-pickle}\nsteps: [{generate: {'${k}': true}}]").code == 2


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "steps: &s [*s]",
        "steps: [{generate: &f {model: *f}}]",
        "steps: [" * 5000,
        "{" * 100_000,
        "steps: [{generate: {stop: &s [" + "a, " * 30_000 + "]}}, " + "{generate: {stop: *s}}, " * 1000 + "]",
        "s: &s '" + "x" * 100_000 + "'\nsteps: [" + "{generate: , stdin: *s}, " * 900 + "]",
        "variables: {v: '" + "x" * 10_000 + "'}\nsteps: [{generate: , stdin: '" + "${v}" * 100_000 + "'}]",
        "steps: []\nabout: '" + "x" * 1_000_000 + "'",
        "steps: [{generate: {prompt: '" + "x" * 200_000 + "'}}]",
        'steps: [{generate: {prompt: "a\\0b"}}]',
        'steps: [{generate: {prompt: "a\\ud800b"}}]',
        "steps: !!python/object/apply:os.system ['touch evil']",
        "steps: [{generate: {prompt: !!python/name:os.system }}]",
        "steps: [{generate: {prompt: !!binary aGVsbG8=}}]",
        "steps: [{generate: {seed: !!int 3}}]",
        "x: &x {trust-remote-code: true}\nsteps: [{generate: {<<: *x}}]",
        "steps: [{generate: {prompt: x, <<: {allow-pickle: true}}}]",
    ],
    ids=range(18),
)
def test_bombs_and_tricks_are_refused_at_once(check, tmp_path, text):
    began = time.process_time()
    result = check(text)
    assert result.code in (2, 4)
    assert result.out == ""
    assert result.err.startswith("error: mine.yaml")
    assert len(result.err) < 2000
    assert "Traceback" not in result.err
    assert time.process_time() - began < 60  # not minutes, and not all memory
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_every_flag_that_names_a_file_to_write_is_looked_at():
    """A new flag that writes belongs in `_written.FLAGS`; one that reads, in the list here."""
    from typer.main import get_command

    reads = {"file", "context_file", "predictions", "references", "swap", "files"}
    for name, parser in get_command(cli.application()).commands.items():
        for each in parser.params:
            told = f"{each.metavar} {getattr(each, 'help', '')}"
            if name not in _steps.NOT_STEPS and any(word in told for word in ("FILE", "DIR", "Write", "file")):
                known = each.name in {*_written.FLAGS, *reads} or "dataset" in each.name or not takes_a_path(each)
                assert known, f"{name} --{each.name}: {told}"


def takes_a_path(parameter):
    """Not a switch, and not a format or a number."""
    return not getattr(parameter, "is_flag", False) and parameter.name not in ("resume", "input_format", "metric")


def test_the_list_for_programs_is_json(hfcli):
    (demo,) = [record for record in hfcli("recipes", "--json").records if record["name"] == "demo"]
    assert demo["about"].startswith("every command")
    assert json.dumps(demo["steps"][0]) == '"generate"'
