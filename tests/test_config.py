"""Defaults for flags: `hfcli config`, the user's file, a project's file, and which of them holds."""

import json
import stat
from pathlib import Path

import pytest

BRIEF = ("-m", "builtin/story", "Once upon a time")


@pytest.fixture
def user(tmp_path, monkeypatch):
    """`user(text)` writes the user's file; the working folder is empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def write(text=None):
        path = tmp_path / "config" / "hfcli" / "config.toml"
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return path

    return write


def project(text, folder=Path()):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hfcli.toml").write_text(text)


def tokens(result):
    """How many new tokens were allowed, as -v says."""
    assert result.code == 0, result.err
    return int(result.err.split("at most ")[1].split(" a text")[0].replace(",", ""))


# Which value holds


def test_flags_beat_the_project_which_beats_the_user(user, hfcli):
    assert tokens(hfcli("generate", *BRIEF, "-v")) == 256
    user("[generate]\nmax-new-tokens = 5\nnum-return-sequences = 1\n")
    result = hfcli("generate", *BRIEF, "-v")
    assert tokens(result) == 5
    assert f"flags   max-new-tokens 5 ({user()}), num-return-sequences 1 ({user()})\n" in result.err
    project("[generate]\nmax-new-tokens = 6\n")
    result = hfcli("generate", *BRIEF, "-v")
    assert tokens(result) == 6
    assert f"max-new-tokens 6 (hfcli.toml), num-return-sequences 1 ({user()})" in result.err
    result = hfcli("generate", *BRIEF, "-v", "--max-new-tokens", "7")
    assert tokens(result) == 7
    assert "max-new-tokens 7" not in result.err.split("flags ")[1]


def test_the_order_of_models(user, hfcli, models):
    brief = ("generate", "a", "-v", "--max-new-tokens", "2")
    user(f"model = '{models.llama()}'\n")
    assert f"llama  ({user()})" in hfcli(*brief).err
    project(f"model = '{models.chat()}'\n")
    assert "chat  (hfcli.toml)" in hfcli(*brief).err
    user(f"[generate]\nmodel = '{models.llama()}'\n")
    assert "chat  (hfcli.toml)" in hfcli(*brief).err, "the project's, for all that the user's is in a table"
    assert "gpt2  (-m)" in hfcli(*brief, "-m", models.gpt2()).err
    by_name = hfcli(*brief, env={"HFCLI_MODEL": str(models.gpt2())})
    assert "gpt2  (HFCLI_MODEL)" in by_name.err
    assert f"flags   model {models.gpt2()} (HFCLI_MODEL)\n" in by_name.err


def test_a_table_beats_what_stands_above_the_tables(user, hfcli):
    user("dtype = 'bfloat16'\n[generate]\ndtype = 'float32'\nmax-new-tokens = 2\n")
    assert "dtype float32" in hfcli("generate", *BRIEF, "-v").err


def test_the_environment_beats_files(user, hfcli):
    user("offline = true\n")
    assert f"offline ({user()})" in hfcli("generate", *BRIEF, "-v", "--max-new-tokens", "2").err
    result = hfcli("generate", *BRIEF, "-v", "--max-new-tokens", "2", env={"HF_HUB_OFFLINE": "0"})
    assert "no offline (HF_HUB_OFFLINE)" in result.err


def test_what_stands_above_the_tables_is_for_every_command_with_the_flag(user, hfcli):
    user("device = 'cuda:7'\n")
    for line in (("generate", *BRIEF), ("classify", "fine"), ("eval", "--metric", "perplexity", "-m", "builtin/story")):
        result = hfcli(*line)
        assert result.code == 6, line
        assert "cuda" in result.err
    assert hfcli("compare").code == 2, "has no such flag"


def test_the_model_above_the_tables_is_only_for_what_writes(user, hfcli, models):
    user(f"model = '{models.gpt2()}'\n")
    assert "builtin/reviews" in hfcli("classify", "-v", "A quiet, lovely film.").err
    Path("text.txt").write_text("the small fox ran\n")
    result = hfcli("eval", "--metric", "perplexity", "--file", "text.txt", "-v")
    assert "gpt2" in json.loads(result.out)["system"]
    assert f"model {models.gpt2()} ({user()})" in result.err


def test_every_kind_of_value(user, hfcli):
    user(
        "[generate]\nsample = true\nchat-template = false\nstop = ['.', '!']\ntemperature = 0.5\ntop-p = 1\n"
        "max-new-tokens = 3\nseed = 3\ndtype = 'float32'\n"
    )
    told = hfcli("generate", *BRIEF, "-v").err
    for said in ("sample (", "no chat-template (", "stop . '!' (", "temperature 0.5 (", "top-p 1.0 (", "seed 3 ("):
        assert said in told
    assert "sampled" in told
    user("[generate]\ngreedy = true\nmax-new-tokens = 3\nno-chat-template = true\nstop = '.'\n")
    told = hfcli("generate", *BRIEF, "-v").err
    assert "greedy" in told
    assert "no sample (" in told
    assert "stop . (" in told


def test_another_name_of_a_flag(user, hfcli):
    user("[eval]\nmax-eval-samples = 1\n")
    Path("data.jsonl").write_text('{"text": "fine", "label": "pos"}\n{"text": "bad", "label": "neg"}\n')
    assert json.loads(hfcli("eval", "--dataset", "data.jsonl").out)["scores"][0]["n"] == 1
    user("[eval]\nsubset = 'plain'\ndataset-config = 'other'\n")
    result = hfcli("eval", "--dataset", "data.jsonl")
    assert result.code == 4
    assert "eval.subset and eval.dataset-config are the same flag" in result.err


# A default is not meant for every line


def test_a_default_for_records_does_not_get_in_the_way_of_a_prompt(user, hfcli):
    project("[generate]\ntemplate = 'Once {text}'\non-error = 'record'\nmax-new-tokens = 3\n")
    result = hfcli("generate", *BRIEF, "-v")
    assert result.code == 0
    assert "template" not in result.err
    assert hfcli("generate", "-m", "builtin/story", stdin='{"text": "upon"}\n').records[0]["text"] == "upon"
    project("[classify]\ntext-column = 'body'\n[qa]\ncontext-column = 'body'\nquestion-column = 'q'\n")
    assert hfcli("classify", "A quiet, lovely film.").code == 0
    assert hfcli("classify", stdin='{"body": "A quiet, lovely film."}\n').code == 0
    assert hfcli("qa", "Who wrote it?", "--context", "Anna wrote it.").code == 0


def test_a_default_about_models_does_not_get_in_the_way_of_stored_outputs(user, hfcli):
    user("device = 'cpu'\ndtype = 'float32'\n[eval]\nmax-length = 99\nmodel = 'builtin/story'\n")
    Path("out.txt").write_text("a b c d\n")
    line = ("eval", "--metric", "bleu", "--predictions", "out.txt", "--references", "out.txt")
    result = hfcli(*line, "-v")
    assert result.code == 0, result.err
    assert "flags" not in result.err
    assert hfcli(*line, "--device", "cpu").code == 2, "typed, it is refused as ever"


def test_a_typed_flag_rules_out_its_rival_in_a_file(user, hfcli):
    user("quiet = true\n[generate]\nmax-new-tokens = 2\n")
    assert hfcli("generate", *BRIEF).err == ""
    assert "model   builtin/story" in hfcli("generate", *BRIEF, "-v").err
    user("[generate]\nverbose = true\nmax-new-tokens = 2\n")
    assert hfcli("generate", *BRIEF, "-q").err == ""


@pytest.mark.parametrize(
    ("text", "flags", "mode"),
    [
        ("temperature = 1.5\ntop-p = 0.9", "--greedy", "greedy"),
        ("temperature = 1.5", "--num-beams 2", "2 beams"),
        ("temperature = 1.5", "--top-p 0.9", "temperature 1.5, top_p 0.9"),
        ("greedy = true", "--temperature 0.5", "sampled"),
        ("num-beams = 2", "--sample", "sampled"),
    ],
)
def test_typed_decoding_rules_out_what_contradicts_it(user, hfcli, text, flags, mode):
    user(f"[generate]\nmax-new-tokens = 2\n{text}\n")
    result = hfcli("generate", *BRIEF, "-v", *flags.split())
    assert result.code == 0, result.err
    assert mode in result.err.split("decode ")[1].split("\n")[0]


def test_an_error_about_a_flag_says_which_file_has_set_it(user, hfcli):
    user("[generate]\nnum-return-sequences = 3\n")
    result = hfcli("generate", *BRIEF, "--num-beams", "2")
    assert result.code == 2
    assert "--num-beams 2 finds fewer than --num-return-sequences 3" in result.err
    assert f"--num-return-sequences is set in {user()}\n" in result.err


# A project's file


def test_a_project_is_found_from_its_subfolders_up_to_git(user, hfcli, monkeypatch, tmp_path):
    top = tmp_path / "work" / "project"
    project("[generate]\nmax-new-tokens = 4\n", tmp_path / "work")
    (top / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(top / "a" / "b")
    assert tokens(hfcli("generate", *BRIEF, "-v")) == 256, (
        "without .git or home above it, only the working folder counts"
    )
    (top / ".git").mkdir()
    assert tokens(hfcli("generate", *BRIEF, "-v")) == 256, "what is above .git is another's"
    project("[generate]\nmax-new-tokens = 5\n", top)
    result = hfcli("generate", *BRIEF, "-v")
    assert tokens(result) == 5
    assert "(../../hfcli.toml)" in result.err
    monkeypatch.setenv("HOME", str(top / "a"))
    assert tokens(hfcli("generate", *BRIEF, "-v")) == 256, "nothing above the home folder"
    project("[generate]\nmax-new-tokens = 6\n", top / "a")
    assert tokens(hfcli("generate", *BRIEF, "-v")) == 6


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[generate]\ntrust-remote-code = true", "runs code"),
        ("[classify]\nallow-pickle = true", "loads pickles"),
        ("[finetune]\npush-to-hub = 'me/mine'", "uploads"),
        ("[finetune]\nreport-to = ['wandb']", "sends results away"),
    ],
)
def test_a_project_cannot_allow_what_a_stranger_should_not(user, hfcli, line, why):
    command, flag = line.split("]\n")[0][1:], line.split("\n")[1].split(" ")[0]
    project(line + "\n")
    result = hfcli(command, "x")
    assert result.code == 4
    assert result.err.startswith(f"error: hfcli.toml: {command}.{flag} {why}, and a project's file may come from str")
    Path("hfcli.toml").unlink()
    user(line + "\n")
    assert "strangers" not in hfcli(command, "x").err, "one's own file may"


def test_files_can_be_left_out(user, hfcli):
    user("[generate]\nmax-new-tokens = 5\n")
    project("nonsense")
    assert tokens(hfcli("generate", *BRIEF, "-v", env={"HFCLI_CONFIG": "0"})) == 256


def test_the_steps_of_a_recipe_get_the_settings_of_the_machine_alone(user, hfcli):
    user("dtype = 'float32'\nmodel = 'builtin/reviews'\n[generate]\nmax-new-tokens = 5\n")
    result = hfcli("generate", *BRIEF, "-v", env={"HFCLI_CONFIG": "machine"})
    assert tokens(result) == 256
    assert f"flags   dtype float32 ({user()})\n" in result.err


# Mistakes

MISTAKES = {
    "model = [": "cannot be read: Invalid value",
    "model = " + "[" * 100_000: "cannot be read",
    "model = 3": "model must be text in quotes",
    "mdoel = 'x'": "no setting mdoel; there is model, device",
    "max-new-tokens = 3": "the flags of a command stand in its table: [generate]",
    "generate = 3": "generate is a command, and its flags stand in a table",
    "[genrate]\nseed = 1": "did you mean [generate]?",
    "[device]\nx = 1": "device is one value, not a table",
    "[generate]\nmax-new-token = 3": "generate has no flag --max-new-token\nhint:  did you mean max-new-tokens?",
    "[generate]\nmax_new_tokens = 3": "did you mean max-new-tokens?",
    "[generate]\nmax-new-tokens = 'hot'": "generate.max-new-tokens: 'hot' is not a whole number",
    "[generate]\nmax-new-tokens = 1.5": "'1.5' is not a whole number",
    "[generate]\nmax-new-tokens = true": "generate.max-new-tokens is true; a number, or text in quotes is wanted",
    "[generate]\nmax-new-tokens = [1]": "generate.max-new-tokens is a list; one value is wanted",
    "[generate]\nmax-new-tokens = 2026-01-01": "is 2026-01-01; a number",
    "[generate]\nsystem = 3": "generate.system is 3; text in quotes is wanted",
    "[generate]\nsample = 'yes'": "generate.sample is the text 'yes'; true or false is wanted",
    "[generate]\nstop = [{a = 1}]": "generate.stop is a table; text in quotes is wanted",
    "[generate]\ndtype = 'int8'": "'int8' is not one of 'auto', 'float32'",
    "dtype = 'int8'": "dtype: 'int8' is not one of",
    "[generate]\nprompt = 'x'": "generate.prompt is an argument, not a flag",
    "[generate]\noutput = 'x'": "generate.output belongs to one run and cannot be a default",
    "[generate]\nresume = true": "generate.resume belongs to one run",
    "[generate]\nhelp = true": "generate has no flag --help",
    "[config]\nx = 1": "config takes no defaults",
}


@pytest.mark.parametrize("text", MISTAKES)
@pytest.mark.parametrize("of", ["user", "project"])
def test_a_mistake_in_a_file_names_file_and_key(user, hfcli, text, of):
    path = user(text + "\n") if of == "user" else "hfcli.toml"
    if of == "project":
        project(text + "\n")
    result = hfcli("generate", *BRIEF)
    if text != "[config]\nx = 1":
        assert result.code == 4
        assert result.err.startswith(f"error: {path}")
        assert MISTAKES[text] in result.err
        assert result.err.count("\n") == 2, "a sentence and a hint"
    listed = hfcli("config")
    assert listed.code == 4
    assert MISTAKES[text] in listed.err
    assert listed.out == text + "\n", "is shown all the same"


def test_a_broken_file_is_in_nobodys_way_where_it_can_be_mended(user, hfcli):
    user("model = [\n")
    for line in (("--help",), ("--version",), ("generate", "--help"), ("config", "path"), ("history",)):
        assert hfcli(*line).code == 0, line
    doctor = hfcli("doctor", "--offline")
    assert doctor.code == 0
    assert "cannot be read" in doctor.err
    user("[generate]\nmax-new-token = 3\nseed = 1\n")
    assert hfcli("config", "unset", "generate.max-new-token").code == 0
    assert user().read_text() == "[generate]\nseed = 1\n"


def test_help_tells_what_is_built_in(user, hfcli):
    before = hfcli("generate", "--help").out
    user("[generate]\nmax-new-tokens = 5\n")
    assert hfcli("generate", "--help").out == before


# hfcli config


def test_set_get_unset(user, hfcli):
    assert hfcli("config", "path").out == f"{user()}\n"
    assert hfcli("config", "get", "model").out == ""
    assert "# nothing is set" in hfcli("config").out
    assert hfcli("config", "set", "model", 'my "folder"').code == 0
    assert hfcli("config", "get", "model").out == 'my "folder"\n'
    assert hfcli("config", "set", "generate.stop", ".", "!").code == 0
    assert hfcli("config", "get", "generate.stop").out == ".\n!\n"
    assert hfcli("config", "set", "generate.max-new-tokens", "100").code == 0
    assert hfcli("config", "set", "generate.sample", "true").code == 0
    assert hfcli("config", "set", "finetune.learning-rate", "2e-5").code == 0
    assert hfcli("config", "list").out == user().read_text()
    assert "max-new-tokens = 100\nsample = true\n" in user().read_text()
    assert "learning-rate = 2e-05\n" in user().read_text()
    assert hfcli("config", "unset", "finetune.learning-rate").code == 0
    assert "[finetune]" not in user().read_text()
    assert hfcli("config", "unset", "model").code == 0
    assert hfcli("config", "get", "model").out == ""


def test_another_name_of_a_flag_is_replaced(user, hfcli):
    for key, value in (
        ("finetune.epochs", "2"),
        ("finetune.num-train-epochs", "4"),
        ("generate.chat-template", "true"),
    ):
        assert hfcli("config", "set", key, value).code == 0
    assert hfcli("config", "set", "generate.no-chat-template", "true").code == 0
    assert hfcli("config", "set", "device", "cuda:1").code == 0
    text = user().read_text()
    assert "num-train-epochs = 4.0\n" in text
    assert "\nno-chat-template = true\n" in text
    assert "\nepochs" not in text
    assert "\nchat-template" not in text
    assert hfcli("config").code == 0


def test_a_wrong_key_of_a_project_is_mended_there(user, hfcli):
    for text in ("[generate]\nseed = 'x'\n", "model = 3\n", "dtype = 'int3'\n"):
        project(text)
        for line in (("config",), ("generate", *BRIEF)):
            result = hfcli(*line)
            assert result.code == 4
            assert result.err.endswith("hint:  mend it in hfcli.toml\n")


def test_a_threshold_is_not_meant_for_what_runs_nothing(user, hfcli):
    user("[run]\nfail-under = true\n")
    text = "expects: {accuracy: 1}\nsteps: [{eval: {metric: accuracy, predictions: a.txt, references: b.txt}}]"
    Path("a.txt").write_text("a\nb\n")
    Path("b.txt").write_text("c\nd\n")
    for flag in ("--dry-run", "--prefetch"):
        assert hfcli("run", "-", flag, stdin=text).code == 0
        assert hfcli("run", "-", flag, "--fail-under", stdin=text).code == 2, "typed, it is refused as ever"
    assert hfcli("run", "-", stdin=text).code == 7


def test_what_a_machine_computes_in_is_part_of_a_step(user, hfcli):
    Path("text.txt").write_text("The little fox\n")
    text = "steps: [{eval: {metric: perplexity, model: builtin/story, file: text.txt, device: cpu}}]"
    assert hfcli("run", "-", stdin=text).code == 0
    for dtype in ("float32", "bfloat16"):
        user(f"dtype = {dtype!r}\n")
        assert "skipped" not in hfcli("run", "-", stdin=text).err
        assert "skipped" in hfcli("run", "-", stdin=text).err


def test_the_rest_of_the_file_stays(user, hfcli):
    user('# mine\nmodel = "a" # why\n\n[generate] # much\n# more\nseed = 3\n')
    user().chmod(0o640)
    hfcli("config", "set", "model", "b")
    hfcli("config", "set", "generate.seed", "4")
    assert user().read_text() == '# mine\nmodel = "b" # why\n\n[generate] # much\n# more\nseed = 4\n'
    hfcli("config", "set", "device", "cpu")
    assert hfcli("config", "get", "device").out == "cpu\n", "above the tables, not in the last of them"
    hfcli("config", "unset", "generate.seed")
    for comment in ("# mine", "# why", "# much", "# more"):
        assert comment in user().read_text()
    assert stat.S_IMODE(user().stat().st_mode) == 0o640


def test_get_shows_the_value_that_holds(user, hfcli):
    user("device = 'cpu'\n[generate]\nseed = 1\n")
    project("[generate]\nseed = 2\n")
    assert hfcli("config", "get", "generate.seed").out == "2\n"
    assert hfcli("config", "get", "device").out == "cpu\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("set modell x", "no setting modell; there is model"),
        ("set model", "config set takes KEY VALUE"),
        ("get", "config get takes KEY"),
        ("list model", "config list takes nothing more"),
        ("put model", "no action put; there is list, path, get, set, unset"),
        ("set generate.max-new-tokens hot", "generate.max-new-tokens: 'hot' is not a whole number"),
        ("set generate.max-new-tokens 1 2", "takes one value, 2 were given"),
        ("set generate.sample yes", "true or false is wanted"),
        ("set generate.dtype int8", "'int8' is not one of"),
        ("set device gpu", "no device gpu; there is auto, cpu, cuda, cuda:N and mps"),
        ("set generate.device cuda:x", "generate.device: no device cuda:x"),
        ("set run.prefetch true", "belongs to one run"),
        ("set generate.seeed 1", "did you mean seed?"),
        ("set genrate.seed 1", "did you mean generate?"),
        ("set generate 1", "generate is a command"),
        ("set generate.output x", "belongs to one run"),
        ("set generate.prompt x", "is an argument"),
        ("set config.key x", "config takes no defaults"),
        ("unset generate.seed", "generate.seed is not set"),
    ],
)
def test_what_config_refuses(user, hfcli, line, said):
    result = hfcli("config", *line.split())
    assert result.code == 2
    assert said in result.err
    assert not user().exists()


def test_a_place_that_cannot_be_written(user, hfcli, tmp_path):
    (tmp_path / "config").write_text("a file\n")
    result = hfcli("config", "set", "model", "x")
    assert result.code == 4
    assert "cannot be" in result.err


# What is repeated later


def test_a_finetuning_can_be_repeated_without_the_file(user, hfcli, models):
    rows = "".join(f'{{"text": "{word} film", "label": "{word}"}}\n' for word in ("good", "bad") * 10)
    Path("data.jsonl").write_text(rows)
    user("quiet = true\n[finetune]\nmax-steps = 1\nlearning-rate = 1e-3\nmax-length = 16\nbatch-size = 4\n")
    result = hfcli("finetune", models.bert(), "--dataset", "data.jsonl", "-o", "out", "-v")
    assert result.code == 0, result.err
    assert f"flags   max-length 16 ({user()})" in result.err
    recipe = Path("out/hfcli.yaml").read_text()
    for line in ("max-steps: 1", "learning-rate: 0.001", "max-length: 16", "batch-size: 4"):
        assert line in recipe
    assert "quiet" not in recipe
    assert "verbose" not in recipe
