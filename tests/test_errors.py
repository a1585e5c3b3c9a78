"""`hfcli generate` under bad input: one sentence, a hint, the right exit code, and nothing lost that was done."""

import gzip
import json
import os
import re
import shutil
from pathlib import Path

import pytest

BRIEF = ("--max-new-tokens", "3")


@pytest.fixture
def broken(models, tmp_path, monkeypatch):
    """`broken("name", "file", content)`: ./name is the tiny Llama with one file changed, or removed for None."""
    monkeypatch.chdir(tmp_path)

    def make(name, file=None, content=None, base=None):
        shutil.copytree(base or models.llama(), name)
        if file is not None:
            Path(name, file).unlink()
            if content is not None:
                Path(name, file).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return f"./{name}"

    return make


@pytest.fixture
def refused(hfcli):
    """Run a command line that has to fail, look at its form, and give back what it says."""

    def call(code, *argv, **how):
        result = hfcli("generate", *argv, **how)
        assert result.code == code, (result.out, result.err)
        assert result.err.startswith("error: ")
        sentence = result.err.removeprefix("error: ").split("\nhint: ")[0].rstrip("\n")
        assert "\n" not in sentence
        assert "Traceback" not in result.err
        assert result.out == ""
        return result.err

    return call


def changed(folder, file, **fields):
    path = Path(folder, file)
    content = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in content.items() if value != "REMOVED"}))


# Models


def test_a_mistyped_folder_names_its_neighbour(broken, refused, tmp_path):
    broken("smollm")
    assert "did you mean ./smollm?" in refused(5, "-m", "./smolm", "x")
    assert f"did you mean {tmp_path}/smollm?" in refused(5, "-m", tmp_path / "smollmm", "x")
    assert "did you mean" not in refused(5, "-m", "./nothing-like-it", "x")
    assert "did you mean builtin/story?" in refused(5, "-m", "builtin/storry", "x")
    assert "is a file; a model is a folder" in refused(5, "-m", "./smollm/config.json", "x")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.safetensors", None, "has no weights (found config.json"),
        ("config.json", None, "is not a model folder: it has no config.json"),
        ("tokenizer.json", None, "has no tokenizer (found config.json"),
        ("config.json", b'{"model_type": "llama",', "config.json is not JSON"),
        ("config.json", b"\xff\xfe", "config.json is not JSON"),
        ("config.json", b"[" * 100_000, "config.json is not JSON"),
        ("config.json", ["llama"], "config.json is not a JSON object"),
        ("config.json", {"hidden_size": 1}, "config.json does not say which model_type it is"),
        ("config.json", {"model_type": ["llama"]}, "config.json does not say which model_type it is"),
        ("config.json", {"model_type": "lama"}, "is of type lama, which transformers"),
        ("config.json", {"model_type": "llama", "num_attention_heads": 0}, "the config of"),
        ("config.json", {"model_type": "llama", "hidden_size": "big"}, "the config of"),
        ("config.json", {"model_type": "llama", "hidden_act": "nonsense"}, "the model of"),
        ("generation_config.json", b"{", "generation_config.json is not JSON"),
        ("tokenizer_config.json", b"{", "tokenizer_config.json is not JSON"),
        ("tokenizer.json", b"{", "the tokenizer of"),
        ("tokenizer.json", {}, "the tokenizer of"),
        ("tokenizer.json", {"added_tokens": [], "model": {"type": "Nonsense"}}, "the tokenizer of"),
        ("model.safetensors", b"", "the weights are damaged or cut short"),
        ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "the weights are damaged or cut short"),
        ("model.safetensors", b"\xff" * 100, "the weights are damaged or cut short"),
    ],
)
def test_a_damaged_folder_is_told_by_what_is_wrong_with_it(broken, refused, file, content, said):
    assert said in refused(5, "-m", broken("model", file, content), "x")


def test_truncated_weights(broken, refused, models):
    whole = (models.llama() / "model.safetensors").read_bytes()
    for number, size in enumerate((100, len(whole) // 2, len(whole) - 1)):
        err = refused(5, "-m", broken(f"cut{number}", "model.safetensors", whole[:size]), "x")
        assert "the weights are damaged or cut short" in err


def test_weights_that_do_not_fit_their_config(broken, refused):
    from safetensors.torch import load_file, save_file

    folder = broken("gaps")
    weights = load_file("gaps/model.safetensors")
    some = {name: weight for name, weight in weights.items() if "layers.1.mlp" not in name}
    save_file(some, "gaps/model.safetensors", metadata={"format": "pt"})
    assert "do not fit its config.json (not in the checkpoint: model.layers.1.mlp" in refused(5, "-m", folder, "x")
    folder = broken("wide")
    changed(folder, "config.json", intermediate_size=256)
    assert "do not fit its config.json (of another size: model.layers.0.mlp" in refused(5, "-m", folder, "x")


def test_weights_that_are_not_numbers_do_not_look_like_an_empty_answer(broken, refused):
    from safetensors.torch import load_file, save_file

    folder = broken("nan")
    weights = {name: weight.clone() for name, weight in load_file("nan/model.safetensors").items()}
    weights["lm_head.weight"][7, 7] = float("nan")
    save_file(weights, "nan/model.safetensors", metadata={"format": "pt"})
    for flags in ((), ("--sample",), ("--num-beams", "2")):
        assert "scores that are not numbers (NaN or infinity)" in refused(5, "-m", folder, *flags, "x")


def test_sharded_weights_with_a_missing_shard(broken, refused, hfcli, models):
    from transformers import AutoModelForCausalLM

    folder = broken("shards", "model.safetensors")
    AutoModelForCausalLM.from_pretrained(models.llama()).save_pretrained(folder, max_shard_size="100KB")
    whole = hfcli("generate", "-m", folder, *BRIEF, "x")
    assert whole.out == hfcli("generate", "-m", models.llama(), *BRIEF, "x").out
    shards = sorted(Path(folder).glob("model-*.safetensors"))
    shards[1].unlink()
    assert f"only some of the shards of its weights ({len(shards) - 1} found)" in refused(5, "-m", folder, "x")
    Path(folder, "model.safetensors.index.json").unlink()
    assert "only some of the shards" in refused(5, "-m", folder, "x")


def test_pickles_are_loaded_when_allowed_and_never_run(broken, refused, hfcli, models, tmp_path):
    import torch
    from safetensors.torch import load_file

    folder = broken("pickle", "model.safetensors")
    torch.save(load_file(models.llama() / "model.safetensors"), "pickle/pytorch_model.bin")
    assert "hint:  --allow-pickle" in refused(5, "-m", folder, "x")
    allowed = hfcli("generate", "-m", folder, "--allow-pickle", *BRIEF, "x")
    assert allowed.out == hfcli("generate", "-m", models.llama(), *BRIEF, "x").out

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"lm_head.weight": Evil()}, "pickle/pytorch_model.bin")
    assert "holds more than weights" in refused(5, "-m", folder, "--allow-pickle", "x")
    assert not (tmp_path / "owned").exists()
    Path("pickle/pytorch_model.bin").write_bytes(b"abc")
    assert "damaged" in refused(5, "-m", folder, "--allow-pickle", "x")


def test_a_checkpoint_with_another_head_does_not_speak(refused, models, tmp_path):
    from transformers import BertConfig, BertForMaskedLM, BertModel, GPT2ForSequenceClassification

    assert "is a BertForSequenceClassification, which cannot do text-generation" in refused(5, "-m", models.bert(), "x")
    config = BertConfig.from_pretrained(models.bert())
    BertForMaskedLM(config).save_pretrained(tmp_path / "masked")
    BertModel(config).save_pretrained(tmp_path / "body")
    GPT2ForSequenceClassification.from_pretrained(models.gpt2(), pad_token_id=0).save_pretrained(tmp_path / "tied")
    for name, said in (
        ("masked", "is a BertForMaskedLM"),
        ("body", "is a bert encoder"),
        ("tied", "is a GPT2ForSequenceClassification"),
    ):
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(models.bert() / file, tmp_path / name)
        assert said in refused(5, "-m", tmp_path / name, "x")


def test_a_body_whose_output_is_tied_to_its_embedding_is_a_language_model(hfcli, models, broken):
    folder = broken("tied", base=models.gpt2())
    changed(folder, "config.json", architectures=["GPT2Model"])
    assert hfcli("generate", "-m", folder, *BRIEF, "x").out == hfcli("generate", "-m", models.gpt2(), *BRIEF, "x").out


def test_a_tokenizer_of_another_model(broken, hfcli):
    from safetensors.torch import load_file, save_file

    folder = broken("small")
    weights = load_file("small/model.safetensors")
    cut = {name: weight[:300].contiguous() if weight.shape[0] > 300 else weight for name, weight in weights.items()}
    save_file(cut, "small/model.safetensors", metadata={"format": "pt"})
    changed(folder, "config.json", vocab_size=300)
    for flags in ((), ("--on-error", "record")):
        result = hfcli("generate", "-m", folder, *BRIEF, *flags, stdin="a\nthe small fox ran\nb\n")
        assert result.code == 5
        assert len(result.lines) == 1
        assert re.search(r"error: standard input:2: the tokenizer gives token id \d+, the model has 300", result.err)


def test_code_of_a_model_is_not_run_and_not_asked_about(broken, refused, hfcli, monkeypatch, tmp_path):
    monkeypatch.setattr("builtins.input", lambda *args: pytest.fail("asked on standard input"))
    folder = broken("own")
    code = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnModel"}
    changed(folder, "config.json", model_type="own", auto_map=code)
    Path("own/configuration_own.py").write_text(
        "from transformers import LlamaConfig\nclass OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
    )
    Path("own/modeling_own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n1 / 0\n")
    for stdin in (None, "y\n", ""):
        err = refused(5, "-m", folder, "x", stdin=stdin)
        assert "comes with Python code of its own\nhint:  --trust-remote-code runs it" in err
    assert not (tmp_path / "ran").exists()
    err = refused(5, "-m", folder, "--trust-remote-code", "x")
    assert "division by zero" in err
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"temperature": "hot", "do_sample": True}, "temperature 'hot'"),
        ({"temperature": -1, "do_sample": True}, "temperature -1"),
        ({"top_p": 7}, "top_p 7"),
        ({"eos_token_id": "end"}, "eos_token_id 'end'"),
    ],
)
def test_nonsense_in_a_generation_config(broken, refused, fields, said):
    folder = broken("odd")
    changed(folder, "generation_config.json", **fields)
    assert f"the model's generation_config has {said}" in refused(5, "-m", folder, "x")


def test_a_models_own_settings_are_used_once_and_flags_override_them(broken, hfcli, models):
    def text(folder, *flags):
        return hfcli("generate", "-m", folder, "--max-new-tokens", "20", *flags, "the small fox").out

    folder = broken("own")
    changed(folder, "generation_config.json", repetition_penalty=1.3, no_repeat_ngram_size=2)
    flags = ("--repetition-penalty", "1.3", "--no-repeat-ngram-size", "2")
    assert text(folder) == text(models.llama(), *flags) != text(models.llama())
    changed(folder, "generation_config.json", no_repeat_ngram_size=0)
    assert text(folder, "--repetition-penalty", "1") == text(models.llama())


def test_decoding_that_is_not_ours_is_left_out(broken, hfcli, models):
    folder = broken("odd")
    fields = {"penalty_alpha": 0.6, "top_k": 4, "return_dict_in_generate": True, "output_scores": True}
    changed(folder, "generation_config.json", **fields, prompt_lookup_num_tokens=3, stop_strings=["\0never"])
    result = hfcli("generate", "-m", folder, *BRIEF, "x")
    assert result.code == 0, result.err
    assert result.out == hfcli("generate", "-m", models.llama(), *BRIEF, "x").out


def test_a_revision_of_what_is_no_repository(refused, models):
    assert "--revision is about the Hub" in refused(2, "-m", models.llama(), "--revision", "main", "x")


# Records

BAD_LINES = {
    "cut": (b'{"prompt": ', "is not JSON (unexpected end, column 11)"),
    "an array": (b'["x"]', "is an array, not an object"),
    "no column": (b'{"text": "x"}', "no column prompt or messages; there is text"),
    "empty": (b'{"prompt": ""}', "column prompt is empty"),
    "null": (b'{"prompt": null}', "column prompt holds null, not text"),
    "a number": (b'{"prompt": 3}', "column prompt holds a number, not text"),
    "an object": (b'{"prompt": {"a": 1}}', "column prompt holds an object, not text"),
    "no conversation": (b'{"messages": ["x"]}', "column messages is not a conversation"),
    "no messages": (b'{"messages": []}', "column messages is empty"),
    "half a message": (b'{"messages": [{"role": "user"}]}', "column messages is not a conversation"),
    "bad role": (
        b'{"messages": [{"role": "boss", "content": "x"}]}',
        "a message of role 'boss'; there is system, user",
    ),
    "empty content": (b'{"messages": [{"role": "user", "content": ""}]}', "a message in column messages is empty"),
    "no text": (b'{"messages": [{"role": "user", "content": 3}]}', "a message in column messages holds a number"),
    "latin1": (b'{"prompt": "caf\xe9"}', "is not UTF-8 (byte 0xe9, column 16)"),
    "NUL": (b'{"prompt": "a\0b"}', "has a NUL byte"),
    "surrogate": (b'{"prompt": "\\ud800"}', "half a character (lone surrogate \\ud800)"),
    "nested": (b'{"prompt": "x", "y": ' + b"[" * 100_000, "is nested too deeply"),
    "digits": (b'{"prompt": "x", "y": ' + b"9" * 5_000 + b"}", "has a number with too many digits"),
    "huge": (b'{"prompt": "x", "y": 1e999}', "has the number 1e999, which is too large"),
    "NaN": (b'{"prompt": "x", "y": NaN}', "has NaN, which is not JSON"),
    "too long": (b'{"prompt": "' + b"fox " * 300 + b'"}', "the prompt is"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_says_where_and_what_came_before_it_is_written(hfcli, models, name):
    line, said = BAD_LINES[name]
    stdin = b'{"prompt": "the fox"}\n{"prompt": "a"}\n' + line + b'\n{"prompt": "moon"}\n'
    model = ("-m", models.chat(), *BRIEF)
    stopped = hfcli("generate", *model, stdin=stdin)
    assert stopped.code == 4
    assert [record["prompt"] for record in stopped.records] == ["the fox", "a"]
    where, sentence = "error: standard input:3", stopped.err.split("\n")[0]
    assert sentence.startswith(where)
    assert said in sentence
    kept_going = hfcli("generate", *model, "--on-error", "record", stdin=stdin)
    assert kept_going.code == 3
    assert "1 failed" in kept_going.err
    first, second, third, fourth = kept_going.records
    assert [first, second] == stopped.records
    assert "generated_text" not in third
    assert said in third["error"]
    assert third["error"].startswith("standard input:3")
    assert fourth["prompt"] == "moon"


def test_surrogates_elsewhere_than_in_the_prompt_go_through(hfcli, models):
    result = hfcli("generate", "-m", models.llama(), *BRIEF, stdin='{"prompt": "a", "\\ud800": "\\udfff"}\n')
    assert result.code == 0
    assert result.records[0]["\ud800"] == "\udfff"


def test_a_byte_order_mark_is_no_text(hfcli, models):
    plain = hfcli("generate", "-m", models.llama(), *BRIEF, "--json", stdin=b"the fox\n").records
    assert hfcli("generate", "-m", models.llama(), *BRIEF, "--json", stdin=b"\xef\xbb\xbfthe fox\n").records == plain


def test_a_column_that_is_not_there_is_found_before_the_model_is_loaded(refused, models, tmp_path, monkeypatch):
    monkeypatch.setattr("hfcli.runtime.loading.load_here", lambda *args: pytest.fail("loaded a model"))
    (tmp_path / "a.csv").write_text("id,text\n1,fox\n")
    (tmp_path / "a.jsonl").write_text('{"id": 1, "text": "fox"}\n')
    for name in ("a.csv", "a.jsonl"):
        file = ("--file", tmp_path / name)
        err = refused(4, *file, "--prompt-column", "tex")
        assert f"{name}" in err
        assert "no column tex; there is id, text\nhint:  did you mean text?" in err
        assert "no column prompt or messages; there is id, text\nhint:  --prompt-column" in refused(4, *file)
        assert "no column txet, which --template names" in refused(4, *file, "--template", "{txet}")
    assert "did you mean a.csv?" in refused(4, "--file", tmp_path / "a.cvs")


def test_nothing_to_read(refused, models, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "header.csv").write_text("a,b\n")
    assert "standard input is empty" in refused(4, "-m", models.llama(), stdin="")
    assert "standard input is empty" in refused(4, "-m", models.llama())
    assert "standard input is empty" in refused(4, "-m", models.llama(), "--slurp", stdin="")
    assert "standard input is empty" in refused(4, "-m", models.llama(), "the fox", "-", stdin="")
    assert "empty.jsonl is empty" in refused(4, "--file", tmp_path / "empty.jsonl")
    assert "header.csv has a header but no rows" in refused(4, "--file", tmp_path / "header.csv")
    assert "is a folder" in refused(4, "--file", tmp_path)
    assert "standard input:1: column prompt is empty" in refused(4, "-m", models.llama(), stdin="\nfox\n")
    assert "the prompt is empty" in refused(2, "-m", models.llama(), "")


@pytest.fixture
def small_lines(monkeypatch):
    """The limit of a line, lowered from 64 MB: what lies behind it is the same."""
    import hfcli.records._input

    for module in (hfcli.records, hfcli.records._input, hfcli.records._csv):
        if hasattr(module, "MAX_LINE_BYTES"):
            monkeypatch.setattr(module, "MAX_LINE_BYTES", 1 << 20)


def test_an_endless_line_does_not_fill_the_memory(small_lines, hfcli, models):
    stdin = b"the fox\n" + b"x" * (3 << 20) + b"\na\n"
    stopped = hfcli("generate", "-m", models.llama(), *BRIEF, stdin=stdin)
    assert stopped.code == 4
    assert "standard input:2 is longer than 1 MB" in stopped.err
    assert len(stopped.lines) == 1
    kept_going = hfcli("generate", "-m", models.llama(), *BRIEF, "--on-error", "record", stdin=stdin)
    assert kept_going.code == 3
    assert len(kept_going.lines) == 3


def test_a_gzip_bomb_is_one_line_too_long(small_lines, refused, models, tmp_path):
    (tmp_path / "bomb.txt.gz").write_bytes(gzip.compress(b"x" * (40 << 20)))
    assert "bomb.txt.gz:1 is longer than 1 MB" in refused(4, "--file", tmp_path / "bomb.txt.gz")
    assert "is longer than 1 MB" in refused(4, "--slurp", "--file", tmp_path / "bomb.txt.gz")


@pytest.mark.slow
def test_a_line_of_256_mb(shell, tmp_path):
    line = "{ echo the fox; head -c 268435456 /dev/zero | tr '\\0' x; echo; } | "
    result = shell(line + "( ulimit -v 12000000; hfcli generate -m builtin/story --max-new-tokens 3 )")
    assert result.returncode == 4
    assert "standard input:2 is longer than 64 MB" in result.stderr
    assert result.stdout.count("\n") == 1


# Command lines

USAGE = {
    "--temperature -1": "'--temperature': -1 is out of range; a finite number at least 0 is wanted",
    "--temperature nan": "nan is out of range",
    "--temperature inf": "inf is out of range",
    "--temperature hot": "'hot' is not a number",
    "--top-p 0": "a finite number above 0 and at most 1 is wanted",
    "--top-p 1.1": "a finite number above 0 and at most 1 is wanted",
    "--min-p -0.1": "out of range",
    "--repetition-penalty 0": "a finite number above 0 is wanted",
    "--top-k 0": "0 is out of range; a whole number at least 1 is wanted",
    "--top-k 1.5": "'1.5' is not a whole number",
    "--max-new-tokens -5": "-5 is out of range; a whole number at least 1 is wanted",
    "--num-beams 0": "a whole number at least 1",
    "--num-return-sequences 0": "a whole number at least 1",
    "--no-repeat-ngram-size 0": "a whole number at least 1",
    "--seed -1": "a whole number from 0 to 2^63 - 1",
    "--seed 9223372036854775808": "a whole number from 0 to 2^63 - 1",
    "--dtype int8": "'int8' is not one of 'auto', 'float32'",
    "--device gpu": "no device gpu; there is auto",
    "--temperatur 1": "did you mean --temperature?",
    "--nonsense": "no option --nonsense",
    "--stop=": "--stop needs some text",
    "--model=": "--model is empty",
    "--output=": "--output is empty",
    "--file=": "--file is empty",
    "--system=": "--system is empty",
    "--sample --temperature 0": "--temperature 0 is greedy",
    "--greedy --top-k 4": "--greedy takes the likeliest token, --top-k samples",
    "--num-beams 2 --sample": "cannot be combined",
    "--length-penalty 2": "--length-penalty is about beams",
    "--min-new-tokens 9 --max-new-tokens 4": "--min-new-tokens 9 is more than --max-new-tokens 4",
    "--on-long truncate": "drops the end of a prompt, which is where",
    "--num-return-sequences 2": "greedy decoding gives one text",
    "--num-beams 2 --num-return-sequences 3": "--num-beams 2 finds fewer than --num-return-sequences 3",
    "--json --print0": "--print0 ends texts with NUL bytes, --json writes lines",
    "--print0 -o x": "--print0 ends texts with NUL bytes, --output writes lines",
    "--quiet --verbose": "--quiet says nothing",
    "--resume": "--resume needs --output",
    "--overwrite": "--overwrite needs --output",
    "--resume --overwrite -o x": "leave one of them out",
    "--resume -o x": "--resume is about many records, and PROMPT makes one text",
    "--on-error record": "--on-error record is about many records",
    "--input-format csv": "--input-format is about many records",
    "--file x": "PROMPT and --file were both given",
    "--slurp": "--slurp is about records, and a PROMPT was given",
    "--template {text}": "--template is about records",
    "--prompt-column x": "--prompt-column is about records",
    "b": "2 prompts were given, one is wanted\nhint:  quote it: hfcli generate 'a prompt b'",
}


@pytest.mark.parametrize("flags", USAGE)
def test_a_flag_that_makes_no_sense_or_does_nothing_is_refused(refused, models, flags, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert USAGE[flags] in refused(2, "-m", models.llama(), "a prompt", *flags.split(" "))
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{", "Single '{'"),
        ("x {text", "expected '}'"),
        ("{text}}", "Single '}'"),
        ("{}", "is not a column name"),
        ("{text!r}", "is not a column name"),
        ("{text:>9}", "is not a column name"),
        ("{text[0]}", "is not a column name"),
        ("plain", "names no column"),
        ("{{text}}", "names no column"),
    ],
)
def test_bad_templates_are_refused_before_anything_is_read(refused, template, said, monkeypatch):
    monkeypatch.setattr("hfcli.runtime.loading.load_here", lambda *args: pytest.fail("loaded a model"))
    assert said in refused(2, "--template", template, stdin="fox\n")


def test_extreme_settings_are_settings(hfcli, models):
    greedy = hfcli("generate", "-m", models.llama(), *BRIEF, "the fox").out
    for flags in (("--temperature", "1e-300"), ("--top-p", "1e-320"), ("--min-p", "1"), ("--top-k", "1")):
        assert hfcli("generate", "-m", models.llama(), *BRIEF, *flags, "the fox").out == greedy
    for flags in (("--temperature", "1e300"), ("--top-k", "9" * 30), ("--repetition-penalty", "1e300")):
        assert hfcli("generate", "-m", models.llama(), *BRIEF, *flags, "the fox").code == 0


def test_commands_that_are_not_there(hfcli):
    result = hfcli("genrate", "x")
    assert result.code == 2
    assert (
        result.err
        == "error: no command genrate; there is generate, finetune, classify, qa, eval, compare, estimate, data, run, recipes, demo, doctor, config, history\nhint:  did you mean generate?\n"
    )
