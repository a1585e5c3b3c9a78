"""`hfcli eval --metric perplexity` against logits of transformers; what is kept and resumed, and what is refused."""

import gzip
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from hfcli.cli.console import Console
from hfcli.events import Working
from hfcli.metrics.results import Drawing, from_json, scored
from hfcli.runtime import likelihood, texts
from tests.tiny import TEXT

LINES = [f"{TEXT[: 60 + at]} number {at} ." for at in range(32)]
FEW = [TEXT * 4, "A girl found the red kite.", "hello"]
NAMES = ["perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"]
SIGNED = "protocol:stride|window:64|stride:32|bos:no|unit:{}"


@pytest.fixture(scope="module")
def lm(models, tmp_path_factory):
    """`lm(bos)`: a GPT-2 of 64 tokens whose predictions are far from uniform; its tokenizer adds nothing."""
    made = {}

    def build(bos=False):
        if bos not in made:
            made[bos] = tmp_path_factory.mktemp("lm") / ("lm-bos" if bos else "lm")
            tokenizer = models._tokenizer(**({"bos_token": "<|system|>"} if bos else {}))
            tokenizer.save_pretrained(made[bos])
            torch.manual_seed(0)
            config = transformers.GPT2Config(
                vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3
            )
            transformers.GPT2LMHeadModel(config).save_pretrained(made[bos])
        return made[bos]

    return build


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lines.txt").write_text("\n".join(LINES) + "\n")
    Path("few.txt").write_text("\n".join(FEW) + "\n")
    return tmp_path


@pytest.fixture
def measure(hfcli, folder, lm):
    def call(*flags, model=None, metric="perplexity", **how):
        named = ["-m", model or lm()] if model != "" else []
        return hfcli("eval", "--metric", metric, *named, "--dtype", "float32", *flags, **how)

    return call


def told(result, err=""):
    assert (result.code, result.err) == (0, err)
    return result.records[0]


def values(result, err=""):
    return {each["metric"]: each["score"] for each in told(result, err)["scores"]}


def read(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


@torch.no_grad()
def costs(model, ids):
    """What each token behind the first costs, in nats."""
    logits = model(torch.tensor([ids])).logits[0, :-1].double()
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").tolist()


def expected(nll, tokens, given):
    words = sum(len(re.split(r"\s+", text)) for text in given)
    size = sum(len(text.encode()) for text in given)
    numbers = math.exp(nll / tokens), math.exp(nll / words), math.exp(nll / size), nll / size / math.log(2)
    return pytest.approx(dict(zip(NAMES, numbers, strict=True)), rel=1e-5)


def plain(folder, given, prefix=()):
    model, tokenizer = read(folder)
    found = [costs(model, [*prefix, *tokenizer(text)["input_ids"]]) for text in given]
    return expected(sum(map(sum, found)), sum(map(len, found)), given)


def terminal(monkeypatch):
    begin = Console.__init__

    def on_terminal(self, quiet=False):
        begin(self, quiet)
        self.terminal = True

    monkeypatch.setattr(Console, "__init__", on_terminal)


# the numbers


def test_lines_of_a_file(measure, lm):
    result = measure("--file", "lines.txt")
    assert values(result) == plain(lm(), LINES)
    found = told(result)
    for each in found["scores"]:
        assert each["low"] < each["score"] < each["high"]
        assert (each["n"], each["better"]) == (32, "lower")
        assert SIGNED.format("text") in each["signature"]
        assert ("|tok:" in each["signature"]) == (each["metric"] == "perplexity")
        assert re.search(r"\|data:lines.txt@[0-9a-f]{7}\|", each["signature"])
    assert found["texts"] == 32
    assert found["models"][0]["parameters"] == sum(p.numel() for p in read(lm())[0].parameters())


@pytest.mark.parametrize("form", ["pipe", "-", ".gz", ".jsonl", "dataset", "column", "without metric"])
def test_the_same_texts_in_another_form(measure, hfcli, lm, form):
    content = "\n".join(LINES) + "\n"
    records = "".join(json.dumps({"id": f"r{i}", "text": text}) + "\n" for i, text in enumerate(LINES))
    Path("r.jsonl").write_text(records if form != "column" else records.replace('"text"', '"mail"'))
    if form == "pipe":
        result = measure(stdin=content)
        assert "|data:stdin@" in told(result)["scores"][0]["signature"]
    elif form == "-":
        result = measure("--file", "-", stdin=content)
    elif form == ".gz":
        Path("z.txt.gz").write_bytes(gzip.compress(content.encode()))
        result = measure("--file", "z.txt.gz")
    elif form == ".jsonl":
        result = measure("--file", "r.jsonl")
    elif form == "column":
        result = measure("--file", "r.jsonl", "--text-column", "mail")
    elif form == "dataset":
        result = measure("--dataset", "r.jsonl", stdin="what nobody reads")
    else:
        result = hfcli("eval", "-m", lm(), "--dtype", "float32", "--dataset", "r.jsonl")
    assert values(result) == plain(lm(), LINES)


def test_few_texts_are_drawn_in_blocks(measure, lm):
    result = measure("--file", "few.txt")
    found = [strided(lm(), text, 64, 32) for text in FEW]
    assert values(result) == expected(sum(map(sum, found)), sum(map(len, found)), FEW)
    blocks = sum(-(-len(text) // 512) for text in FEW)
    assert blocks > len(FEW)
    assert {each["n"] for each in told(result)["scores"]} == {blocks}
    assert SIGNED.format("block") in told(result)["scores"][0]["signature"]


def strided(folder, text, length, stride):
    """The loop of transformers' documentation, over token ids."""
    model, tokenizer = read(folder)
    ids, done, found = tokenizer(text)["input_ids"], 1, []
    for begin in range(0, len(ids), stride):
        end = min(begin + length, len(ids))
        found += costs(model, ids[begin:end])[-(end - max(done, begin + 1)) :] if end > done else []
        done = end
        if end == len(ids):
            break
    return found


@pytest.mark.parametrize(
    ("flags", "length", "stride"),
    [
        ((), 64, 32),
        (("--stride", "10"), 64, 10),
        (("--max-length", "20"), 20, 10),
        (("--protocol", "disjoint"), 64, 64),
        (("--protocol", "full"), 65, 1),
    ],
)
def test_slurp_takes_all_as_one_text(measure, lm, flags, length, stride):
    whole = "\n".join(FEW)
    if length == 65:  # the last token of a window is only predicted
        model, tokenizer = read(lm())
        ids = tokenizer(whole)["input_ids"]
        found = [costs(model, ids[max(0, at - 64) : at])[-1] if at - 64 <= 0 else None for at in range(2, 65)]
        found += [last(model, ids[at - 64 : at + 1]) for at in range(64, len(ids))]
    else:
        found = strided(lm(), whole, length, stride)
    result = measure("--file", "few.txt", "--slurp", *flags)
    assert values(result) == expected(sum(found), len(found), [whole])
    assert (told(result)["texts"], told(result)["tokens"]) == (1, len(found))


@torch.no_grad()
def last(model, ids):
    logits = model(torch.tensor([ids[:-1]])).logits[0, -1].double()
    return float(-logits.log_softmax(0)[ids[-1]])


def test_a_begin_token_lets_the_first_token_count(measure, lm):
    expected = plain(lm(True), LINES, prefix=[1])
    for flags in (("--bos", "yes"), ("--protocol", "lm-eval")):
        result = measure("--file", "lines.txt", *flags, model=lm(True))
        assert values(result) == expected
        assert "|bos:yes|" in told(result)["scores"][0]["signature"]
    assert values(measure("--file", "lines.txt", model=lm(True))) == plain(lm(True), LINES)


def test_hf_evaluate_is_the_mean_over_texts(measure, lm):
    model, tokenizer = read(lm(True))
    found = [costs(model, [1, *tokenizer(text)["input_ids"]]) for text in LINES]
    result = measure("--file", "lines.txt", "--protocol", "hf-evaluate", model=lm(True))
    assert values(result)["mean_perplexity"] == pytest.approx(np.mean([math.exp(np.mean(f)) for f in found]), rel=1e-5)
    assert list(values(result)) == ["mean_perplexity", *NAMES]
    cut = [math.exp(np.mean(each[:15])) for each in found]
    result = measure("--file", "lines.txt", "--protocol", "hf-evaluate", "--max-length", "16", model=lm(True))
    # Of what is cut off, words and bytes must not be counted as if they had been predicted.
    assert list(values(result)) == ["mean_perplexity", "perplexity"]
    assert values(result)["mean_perplexity"] == pytest.approx(np.mean(cut), rel=1e-5)


def test_a_mean_over_texts_is_none_over_blocks(measure, lm):
    result = measure("--file", "few.txt", metric="mean_perplexity")
    means = [math.exp(np.mean(strided(lm(), text, 64, 32))) for text in FEW if len(text) > 1]
    assert values(result) == pytest.approx({"mean_perplexity": np.mean(means)}, rel=1e-5)
    assert told(result)["scores"][0]["n"] == len(means)
    assert "|unit:text|" in told(result)["scores"][0]["signature"]


def test_the_batch_does_not_matter(measure):
    told(measure("--file", "lines.txt", "--details", "all.jsonl"))
    together = [json.loads(line)["nll"] for line in Path("all.jsonl").read_text().splitlines()]
    for at in (0, 7, 31):
        result = values(measure(stdin=LINES[at]))
        bits = together[at] / len(LINES[at].encode()) / math.log(2)
        assert result["bits_per_byte"] == pytest.approx(bits, rel=1e-6)


def test_masked_models_hide_one_token_at_a_time(measure, models, tmp_path):
    tokenizer = models._words(mask_token="[MASK]")
    tokenizer.save_pretrained(tmp_path / "masked")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.3, **sizes
    )
    torch.manual_seed(0)
    model = transformers.BertForMaskedLM(config).eval()
    model.save_pretrained(tmp_path / "masked")
    given = ["a quiet film and a lovely story", "the actor was dull"]
    nll, tokens = 0.0, 0
    for text in given:
        ids = torch.tensor(tokenizer(text)["input_ids"])
        for at in range(1, len(ids) - 1):
            hidden = ids.clone()
            hidden[at] = tokenizer.mask_token_id
            with torch.no_grad():
                nll -= float(model(hidden[None]).logits[0, at].log_softmax(0)[ids[at]])
            tokens += 1
    result = measure(model="masked", stdin="\n".join(given))
    assert values(result) == expected(nll, tokens, given)
    assert "|protocol:masked|window:64|unit:block|" in told(result)["scores"][0]["signature"]
    for flags in (("--protocol", "full"), ("--bos", "yes"), ("--stride", "4")):
        result = measure("--file", "few.txt", *flags, model="masked")
        assert result.code == 2
        assert f"{flags[0]} " in result.err


def test_groups_are_measured_as_if_alone(measure, lm):
    rows = [{"text": text, "lang": ["en", "de"][at % 2]} for at, text in enumerate(LINES)]
    Path("g.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for source in ("--file", "--dataset"):
        groups = told(measure(source, "g.jsonl", "--group-by", "lang"))["groups"]
        for at, name in enumerate(("en", "de")):
            assert {each["metric"]: each["score"] for each in groups[name]} == plain(lm(), LINES[at::2])
            assert {each["n"] for each in groups[name]} == {16}


def test_a_data_set_joined(measure, lm):
    Path("d.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in LINES[:3]))
    whole = "\n\n".join(LINES[:2])
    found = strided(lm(), whole, 64, 32)
    result = measure("--dataset", "d.jsonl", "--slurp", "--max-samples", "2")
    assert values(result) == expected(sum(found), len(found), [whole])
    assert ":first2:joined|" in told(result)["scores"][0]["signature"]


def test_wikitext_and_the_default_model(measure, lm, hub, tmp_path, monkeypatch):
    import datasets
    from huggingface_hub import constants

    from hfcli.options import DEFAULT_MODEL

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    wiki, name, rows = tmp_path / "wiki", "wikitext-2-raw-v1", ["", " = The fox = \n", LINES[0], "", LINES[1]]
    (wiki / name).mkdir(parents=True)
    datasets.Dataset.from_dict({"text": rows}).to_parquet(wiki / name / "test-00000-of-00001.parquet")
    card = f"---\nconfigs:\n- config_name: {name}\n  data_files:\n  - split: test\n    path: {name}/test-*\n---\n"
    (wiki / "README.md").write_text(card)
    hub.add(DEFAULT_MODEL, lm())
    commit = hub.add("Salesforce/wikitext", wiki, data=True)
    try:
        for source in ({}, {"env": {"HFCLI_MODEL": str(lm())}}):
            result = measure(model="", **source)
            assert result.code == 0, result.err
            found = strided(lm(), "\n\n".join(rows), 64, 32)
            numbers = {each["metric"]: each["score"] for each in result.records[0]["scores"]}
            assert numbers == expected(sum(found), len(found), ["\n\n".join(rows)])
            signature = result.records[0]["scores"][0]["signature"]
            assert f"|data:Salesforce/wikitext/{name}@{commit[:7]}:test:joined|" in signature
    finally:
        shutil.rmtree(hub.data_root)
        hub.data_root.mkdir()
        shutil.rmtree(hub.root)
        hub.root.mkdir()


# what is kept


def test_the_file_of_o_gives_the_scores_again(measure):
    result = measure("--file", "lines.txt", "-o", "kept.json")
    kept = from_json(json.loads(Path("kept.json").read_text()), "kept.json")
    again = {each.metric.title: each.score for each in scored(kept.parts, Drawing(0.95, 1000, 12345))}
    for each in told(result)["scores"]:
        assert tuple(again[each["metric"]]) == (each["score"], each["low"], each["high"], each["n"])


def test_models_with_other_tokenizers_are_compared_by_words_and_bytes(measure, hfcli):
    told(measure("--file", "lines.txt", "-o", "a.json"))
    flags = ("--bos", "no", "--max-length", "64", "-o", "b.json")
    told(measure("--file", "lines.txt", *flags, model="builtin/story"))
    result = hfcli("compare", "a.json", "b.json")
    assert result.code == 0
    assert "perplexity is not compared: tok " in result.err
    found = {each["metric"]: each for each in result.records[0]["metrics"]} if "metrics" in result.records[0] else {}
    for name in NAMES[1:]:
        assert f'"{name}"' in result.out
    assert "perplexity" not in found


def test_details_are_a_line_a_text(measure, lm):
    Path("ids.jsonl").write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(LINES)))
    told(measure("--file", "ids.jsonl", "--details", "d.jsonl"))
    lines = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    assert [(each["id"], each["where"]) for each in lines] == [(str(i), f"ids.jsonl:{i + 1}") for i in range(32)]
    model, tokenizer = read(lm())
    for line, text in zip(lines, LINES, strict=True):
        found = costs(model, tokenizer(text)["input_ids"])
        assert line["nll"] == pytest.approx(sum(found), rel=1e-5)
        assert line["perplexity"] == pytest.approx(math.exp(np.mean(found)), rel=1e-5)
        assert (line["tokens"], line["bytes"]) == (len(found), len(text.encode()))


@pytest.fixture
def stopped(measure):
    """A run that came as far as its 20th line, which was no JSON then."""
    lines = [json.dumps({"text": text}) + "\n" for text in LINES]
    Path("r.jsonl").write_text("".join([*lines[:19], "{oops\n", *lines[20:]]))
    result = measure("--file", "r.jsonl", "--details", "d.jsonl")
    assert result.code == 4
    assert result.err == (
        "19 texts are kept in d.jsonl.partial\nhint:  the same line with --resume goes on from there\n"
        "error: r.jsonl:20 is not JSON (a name in double quotes is missing, column 2)\n"
    )
    Path("r.jsonl").write_text("".join(lines))


def test_an_unfinished_run_is_gone_on_with(measure, lm, stopped, monkeypatch):
    refused = measure("--file", "r.jsonl", "--details", "d.jsonl")
    assert (refused.code, "--resume" in refused.err) == (2, True)
    seen = []
    plainly = likelihood.Scorer.nll

    def counted(self, windows, tick):
        seen.append(len(windows))
        return plainly(self, windows, tick)

    monkeypatch.setattr(likelihood.Scorer, "nll", counted)
    result = measure("--file", "r.jsonl", "--details", "d.jsonl", "--resume")
    assert values(result, "note: 19 texts are done, going on from there\n") == plain(lm(), LINES)
    assert {each["n"] for each in result.records[0]["scores"]} == {32}
    assert sum(seen) == 13
    assert len(Path("d.jsonl").read_text().splitlines()) == 32


def test_lines_that_a_crash_cut_off_are_measured_again(measure, lm, stopped):
    with open("d.jsonl.partial", "a") as file:
        file.write('{"where": "r.jsonl:20", "nll": 1')
    result = measure("--file", "r.jsonl", "--details", "d.jsonl", "--resume")
    assert values(result, "note: 19 texts are done, going on from there\n") == plain(lm(), LINES)


def test_what_is_not_the_same_is_not_gone_on_with(measure, lm, stopped):
    again = ("--details", "d.jsonl", "--resume")
    result = measure("--file", "r.jsonl", *again, model=lm(True))
    assert (result.code, "other settings" in result.err or "model" in result.err) == (2, True)
    lines = Path("r.jsonl").read_text().splitlines(keepends=True)
    Path("r.jsonl").write_text("".join([*lines[1:], lines[0]]))
    result = measure("--file", "r.jsonl", *again)
    assert (result.code, "made from other input" in result.err) == (2, True)
    Path("r.jsonl").write_text("".join(lines[:3]))
    result = measure("--file", "r.jsonl", *again)
    assert result.code == 2
    assert "d.jsonl.partial was made from other input, with more records than there are" in result.err


def test_finished_details_are_not_taken_for_those_of_another_model(measure, lm):
    told(measure("--file", "few.txt", "--details", "d.jsonl"))
    note = "note: d.jsonl is complete, and does not say with which settings; it is made anew\n"
    result = measure("--file", "lines.txt", "--details", "d.jsonl", "--resume", "--bos", "yes", model=lm(True))
    assert values(result, note) == plain(lm(True), LINES, prefix=[1])


def test_ctrl_c_keeps_what_is_measured(measure, monkeypatch):
    calls = []
    plainly = likelihood.Scorer.nll

    def interrupted(self, windows, tick):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return plainly(self, windows, tick)

    monkeypatch.setattr(likelihood.Scorer, "nll", interrupted)
    Path("long.txt").write_text("\n".join(TEXT * 40 for _ in range(4)))
    result = measure("--file", "long.txt", "--details", "d.jsonl")
    assert (result.code, result.out) == (130, "")
    assert result.err == ("1 text is kept in d.jsonl.partial\nhint:  the same line with --resume goes on from there\n")
    assert len(Path("d.jsonl.partial").read_text().splitlines()) == 1


# several models


def test_a_table_of_models(measure, models, monkeypatch):
    flags = ("-m", "builtin/story", "--file", "lines.txt", "--max-length", "64", "--bos", "no")
    (found,) = measure(*flags, "-o", "kept/").records
    assert [each["name"] for each in found["systems"]] == ["lm", "builtin/story"]
    assert [each["name"] for each in found["models"]] == ["lm", "builtin/story"]
    assert all(each["per_second"] > 0 for each in found["models"])
    assert sorted(path.name for path in Path("kept").iterdir()) == ["builtin-story.json", "lm.json"]
    alone = told(measure(*flags[2:]))["scores"]
    assert found["systems"][0]["scores"] == alone
    terminal(monkeypatch)
    result = measure(*flags)
    assert result.err == "note: perplexity cannot be compared between these: the signatures say in what they differ\n"
    heads = [line.split() for line in result.lines if line.startswith("   ")]
    assert [name for head in heads for name in head] == [*NAMES, "parameters", "per", "second"]
    assert [result.lines[at].split()[0] for at in (1, 2)] == ["lm", "builtin/story"]
    assert all(len(line) <= 80 or line.startswith(("score", "system", "each on")) for line in result.lines)


def test_a_terminal_gets_a_table(measure, monkeypatch):
    terminal(monkeypatch)
    Path("t.txt").write_text("\n".join([*LINES[:2], "", "  ", "x"]))
    result = measure("--file", "t.txt")
    assert result.err == (
        "note: 2 blank texts are left out\nnote: 1 text has fewer than two tokens, and nothing to score\n"
    )
    assert [line.split()[0] for line in result.lines[1:5]] == NAMES
    assert re.search(r" {2}\[.+\] +from 0 up, lower is better$", result.lines[1])
    assert re.fullmatch(r"\d+ tokens in 2 texts", result.lines[6])
    assert "across tokenizers compare word_perplexity, byte_perplexity or bits_per_byte" in result.lines
    assert [re.sub("@[0-9a-f]{7}", "", line.split("|")[0]) for line in result.lines[-3:]] == [
        "score   perplexity", f"score   {','.join(NAMES[1:])}", "system  lm",
    ]  # fmt: skip
    assert measure("--file", "t.txt", "-q").err == ""
    assert measure("--file", "t.txt", "--json").records[0]["texts"] == 2


# thresholds


def test_lower_is_better(measure):
    result = measure("--file", "lines.txt", "--fail-under", "perplexity=100", "-o", "kept.json")
    assert result.code == 7
    assert re.fullmatch(r"fail:  perplexity is [\d.]+, and above 100\n", result.err)
    assert result.records[0]["scores"]
    assert Path("kept.json").exists()
    assert measure("--file", "lines.txt", "--fail-under", "perplexity=1e9").code == 0


# progress


def test_progress_is_the_share_of_a_long_text_too(measure, monkeypatch):
    said = []
    monkeypatch.setattr(Console, "tell", lambda self, event: said.append(event))
    Path("one.txt").write_text(TEXT * 100)
    told(measure("--file", "one.txt"))
    shares = [event.fraction for event in said if isinstance(event, Working)]
    assert len(shares) > 4
    assert shares == sorted(shares)
    assert shares[0] < 0.3
    assert 0.9 < shares[-1] <= 1
    assert {event.what for event in said if isinstance(event, Working)} == {"texts"}


def test_a_line_that_comes_in_pieces_is_read_whole(folder):
    Path("one.txt").write_text(TEXT * 3000 + "\nend\n")
    found = texts.of_file("one.txt", None, False, None)
    next(found.rows)
    assert found.share(1) > 0.99
    assert found.share(0.5) == pytest.approx(found.share(1) / 2)


# what cannot be measured


def test_short_texts_in_front_of_others(measure, lm):
    result = measure(stdin="x\n" * 40 + "\n".join(FEW[1:2]))
    note = "note: 40 texts have fewer than two tokens, and nothing to score\n"
    assert values(result, note) == plain(lm(), FEW[1:2])
    assert told(result, note)["texts"] == 1


@pytest.mark.parametrize(
    ("content", "flags", "said"),
    [
        ("", (), "standard input is empty"),
        ("\n \n", (), "standard input is empty"),
        ("x\n", (), "standard input has nothing to score: a token is predicted from those before it"),
        (b"\x00\x01fox\n", (), "standard input:1 has a NUL byte; is it a text file?"),
        (b"fox \xff\xfe run\n", (), "standard input:1 is not UTF-8 (byte 0xff, column 5)"),
        ('{"text": "the fox"}\n{"body": "ran"}\n', (), "standard input:2 has no column text; there is body"),
        ('{"text": 5}\n', (), "standard input:1: the column text holds no text"),
        ('{"a": 1, "b": 2}\n', (), "standard input:1: no column is called like a text; there is a, b"),
        ('{"text": "the fox"}\n', ("--text-column", "txt"), "standard input:1 has no column txt; there is text"),
        ('{"text": "the fox"}\n', ("--group-by", "lang"), "standard input:1 has no column lang for --group-by"),
    ],
)
def test_what_is_wrong_with_texts_is_an_error_of_data(measure, content, flags, said):
    result = measure(*flags, stdin=content)
    assert (result.code, result.out) == (4, "")
    assert result.err.startswith(f"error: {said}")
    assert "--on-error" not in result.err


def test_files_that_are_not_there(measure):
    assert (measure("--file", "line.txt").code, measure("--file", ".").code) == (4, 4)
    assert "did you mean lines.txt?" in measure("--file", "line.txt").err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--file", "few.txt", "--dataset", "g.jsonl"), "--file and --dataset both say what to read"),
        (("--file", "few.txt", "--max-samples", "3"), "--max-samples is about a data set, and a file is read"),
        (("--file", "few.txt", "--split", "train"), "--split is about a data set, and a file is read"),
        (("--subset", "wikitext-103-raw-v1"), "--subset is about a data set, and none is named"),
        (("--group-by", "lang"), "WikiText-2 is one text, and has no groups"),
        (("--file", "few.txt", "--slurp", "--group-by", "lang"), "--slurp is one text, and has no groups"),
        (("--file", "few.txt", "--slurp", "--text-column", "t"), "--slurp takes a file as it is, without columns"),
        (("--dataset", "few.txt"), "--dataset few.txt is lines of text, without columns"),
        (("--file", "few.txt", "--fail-under", "accuracy=1"), "--fail-under accuracy: accuracy is not measured; there is perplexity, word"),
        (("--file", "few.txt", "--metric", "perplexity:how=x"), "--metric perplexity:how=x: perplexity has no options"),
        (("--file", "few.txt", "--metric", "accuracy"), "perplexity, accuracy are about different things"),
        (("--file", "few.txt", "--template", "x"), "--template means nothing for perplexity"),
        (("--file", "few.txt", "--on-long", "error"), "--on-long means nothing for perplexity"),
        (("--file", "few.txt", "--reference-column", "x"), "--reference-column means nothing for perplexity"),
        (("--file", "few.txt", "--scorer", "x"), "--scorer means nothing for perplexity"),
        (("--file", "few.txt", "-m", "b", "-o", "x.json"), "-o x.json is one file, and 2 systems are measured"),
        (("--file", "few.txt", "-m", "b", "--details", "d"), "--details is about one model"),
        (("--file", "-", "-m", "b"), "standard input is read once, and 2 models were given"),
        (("--dataset", "-", "-m", "b"), "standard input is read once, and 2 models were given"),
        (("--protocol", "hf-evaluate", "--max-length", "9", "--metric", "bits_per_byte"), "bits_per_byte is about whole texts, and --max-length"),
    ],
)  # fmt: skip
def test_flags_that_contradict_what_is_measured(measure, flags, said):
    """Before a model is looked for: there is none of that name."""
    result = measure(*flags, model="./nowhere")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {said}")


def test_a_pipe_is_not_read_for_several_models(measure):
    result = measure("-m", "b", model="./nowhere", stdin="the fox")
    assert (result.code, "standard input is read once" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--stride", "100"), "--stride 100 is not between 1 and the window of 64 tokens"),
        (("--stride", "4", "--protocol", "full"), "--stride means nothing with --protocol full"),
        (("--max-length", "100"), "--max-length 100: "),
        (("--protocol", "hf-evaluate"), "hf-evaluate begins each text with a BOS token, which this model does not have"),
    ],
)  # fmt: skip
def test_what_the_model_does_not_have(measure, flags, said):
    result = measure("--file", "few.txt", *flags)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {said}")


def test_models_that_are_none_of_language(measure, models):
    for model, said in ((models.classifier(), "has no trained head"), (models.t5(), "is an encoder-decoder (t5)")):
        result = measure("--file", "few.txt", model=model)
        assert (result.code, result.out) == (5, "")
        assert said in result.err


def test_no_likelihood_is_an_error_of_the_model(measure, lm, tmp_path):
    model, tokenizer = read(lm())
    with torch.no_grad():
        model.transformer.wte.weight[tokenizer("fox")["input_ids"][0]] = math.nan
    model.save_pretrained(tmp_path / "nan")
    tokenizer.save_pretrained(tmp_path / "nan")
    result = measure("--file", "lines.txt", model=tmp_path / "nan")
    assert (result.code, result.out) == (5, "")
    assert re.match(r"error: .*(gives no likelihood|cannot score text|looks at the tokens)", result.err), result.err


def test_only_perplexity_reads_files_and_slurps(measure):
    for flags, flag in ((("--file", "few.txt"), "--file"), (("--dataset", "g.jsonl", "--slurp"), "--slurp")):
        result = measure(*flags, metric="bleu", model="./nowhere")
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"error: {flag} is about perplexity, and bleu is not")
