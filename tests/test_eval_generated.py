"""`hfcli eval --dataset D --metric rouge`: what a model writes over data, against `model.generate` and sacrebleu."""

import itertools
import json
import re
from pathlib import Path

import pytest
import sacrebleu
import torch
import transformers

from hfcli.cli import _generated
from hfcli.cli.console import Console
from hfcli.metrics.results import Drawing, from_json, scored
from hfcli.runtime import prediction

PROMPTS = [f"the fox {word}" for word in "ran saw sang said found gave over went home to".split()]
NEW = 12


@pytest.fixture(scope="module")
def written(models):
    """What the model writes for each prompt, one at a time."""
    model = transformers.AutoModelForCausalLM.from_pretrained(models.llama()).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(models.llama())
    found = []
    for prompt in PROMPTS:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            out = model.generate(ids, max_new_tokens=NEW, do_sample=False, attention_mask=torch.ones_like(ids))
        found.append(tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))
    return found


@pytest.fixture
def records(written, tmp_path, monkeypatch):
    """Prompts, and references: of every other one what the model writes, of the others that of the one before."""
    monkeypatch.chdir(tmp_path)
    rows = [
        {"id": f"r{at}", "prompt": prompt, "reference": written[at // 2 * 2], "lang": ["en", "de"][at % 2]}
        for at, prompt in enumerate(PROMPTS)
    ]
    save("r.jsonl", rows)
    return rows


def save(name, rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def measure(hfcli, models, records):
    def call(*flags, metric=("bleu",), model=None, data="r.jsonl", **how):
        asked = [part for name in metric for part in ("--metric", name)]
        kept = ("--dataset", data, "--max-new-tokens", str(NEW), "--dtype", "float32")
        return hfcli("eval", *asked, "-m", model or models.llama(), *kept, *flags, **how)

    return call


def told(result, err=""):
    assert (result.code, result.err) == (0, err)
    return result.records[0]


def values(result, err=""):
    return {each["metric"]: each["score"] for each in told(result, err)["scores"]}


def bleu(predictions, records):
    return pytest.approx(sacrebleu.corpus_bleu(predictions, [[row["reference"] for row in records]]).score)


def distinct(texts):
    """The mean over texts of two words or more of the share of different pairs."""
    words = [re.findall(r"\w+", text.lower()) for text in texts]
    pairs = [list(itertools.pairwise(each)) for each in words if len(each) > 1]
    return sum(len(set(each)) / len(each) for each in pairs) / len(pairs)


def unsigned(system):
    """Without what the weights are."""
    return re.sub("@[0-9a-f]{7}", "@SHA", system)


def test_what_the_model_writes_is_compared(measure, records, written):
    result = measure(metric=("bleu", "exact_match", "rouge"))
    found = values(result)
    assert found["bleu"] == bleu(written, records)
    right = [text == row["reference"] for text, row in zip(written, records, strict=True)]
    assert found["exact_match"] == pytest.approx(sum(right) / len(right))
    assert 0 < found["exact_match"] < 1
    assert 0 < found["rouge2"] <= found["rouge1"] <= 1
    for each in told(result)["scores"]:
        assert each["low"] <= each["score"] <= each["high"]
        assert each["n"] == len(PROMPTS)
        assert re.search(r"\|data:r.jsonl@[0-9a-f]{7}:reference\|nrefs:1\|", each["signature"])
    system = (
        f"llama@SHA|prompt:prompt|max_new_tokens:{NEW}|greedy|dtype:float32|transformers:{transformers.__version__}"
    )
    assert unsigned(told(result)["system"]) == system


def test_metrics_of_texts_alone_need_no_references(measure, written, records):
    save("r.jsonl", [{"prompt": row["prompt"]} for row in records])
    result = measure(metric=("distinct_2",))
    assert values(result) == {"distinct_2": pytest.approx(distinct(written))}
    assert "nrefs" not in told(result)["scores"][0]["signature"]


@pytest.mark.parametrize("form", ["column", "template", "stdin", "reference"])
def test_prompts_and_references_from_other_columns(measure, records, written, form):
    if form == "column":
        save("r.jsonl", [{"asked": row["prompt"], "reference": row["reference"]} for row in records])
        result, asked = measure("--prompt-column", "asked"), "prompt:asked"
    elif form == "template":
        save("r.jsonl", [{"word": row["prompt"][8:], "reference": row["reference"]} for row in records])
        result, asked = measure("--template", "the fox {word}"), "template:the fox {word}"
    elif form == "stdin":
        result, asked = measure(data="-", stdin=Path("r.jsonl").read_text()), "prompt:prompt"
    else:
        save("r.jsonl", [{"prompt": row["prompt"], "x": row["reference"], "reference": "no"} for row in records])
        result, asked = measure("--reference-column", "x"), "prompt:prompt"
        assert ":x|" in told(result)["scores"][0]["signature"]
    assert values(result) == {"bleu": bleu(written, records)}
    assert unsigned(told(result)["system"]).startswith(f"llama@SHA|{asked}|")


def test_columns_of_objects_are_named_with_a_dot(measure, records, written):
    pairs = [{"en": row["prompt"], "de": row["reference"]} for row in records]
    save("r.jsonl", [{"translation": pair} for pair in pairs])
    flags = ("--template", "{translation.en}", "--reference-column", "translation.de")
    result = measure(*flags)
    assert values(result) == {"bleu": bleu(written, records)}
    assert ":translation.de|" in told(result)["scores"][0]["signature"]
    wrong = measure(*flags[:3], "translation.fr")
    assert (wrong.code, "no column translation.fr; there is translation.en, translation.de" in wrong.err) == (4, True)


def test_how_it_searches_is_measured_and_in_the_signature(measure, models, hfcli, records):
    found = {}
    for flags, said in [
        ((), "greedy"),
        (("--num-beams", "3"), "beams:3"),
        (("--num-beams", "3", "--min-new-tokens", "9"), "beams:3|min_new_tokens:9"),
        (("--num-beams", "3", "--length-penalty", "-9.0"), "beams:3|length_penalty:-9.0"),
        (("--no-repeat-ngram-size", "2"), "greedy|no_repeat_ngram_size:2"),
    ]:
        kept = told(measure(*flags, "--details", "d.jsonl", "--overwrite", model=models.t5()))
        assert f"|max_new_tokens:{NEW}|{said}|dtype" in kept["system"]
        lines = [json.loads(line)["prediction"] for line in Path("d.jsonl").read_text().splitlines()]
        flags = ("--dtype", "float32", "--max-new-tokens", NEW, *flags)
        asked = ("-m", models.t5(), "--file", "r.jsonl", "--json", "-q")
        assert lines == [each["generated_text"] for each in hfcli("generate", *asked, *flags).records]
        found[said] = tuple(lines)
        Path("d.jsonl").unlink()
    assert len(set(found.values())) > 2


def test_a_prompt_that_is_too_long_stops_it_or_loses_its_end(measure, models, records):
    save("r.jsonl", [{"prompt": "the fox " * n, "reference": "the fox"} for n in (2, 90)])
    error = measure(model=models.t5())
    assert (error.code, "hint:  --on-long truncate drops its end" in error.err) == (4, True)
    cut = measure("--on-long", "truncate", model=models.t5())
    assert "|on_long:truncate|" in told(cut, "note: 1 prompt lost the end (--on-long truncate)\n")["system"]
    assert measure("--on-long", "window", model=models.t5()).code == 2
    assert measure("--on-long", "truncate").code == 2


def test_several_references(measure, records, written):
    save("r.jsonl", [{"prompt": row["prompt"], "references": [row["reference"], "a fox"]} for row in records])
    result = measure()
    expected = sacrebleu.corpus_bleu(written, [[row["reference"] for row in records], ["a fox"] * len(records)])
    assert values(result) == {"bleu": pytest.approx(expected.score)}
    assert "|nrefs:2|" in told(result)["scores"][0]["signature"]


def test_what_a_chat_model_is_told_is_in_the_signature(measure, models):
    kept = [told(measure(*flags, model=models.chat()))["system"] for flags in ((), ("--system", "be brief"))]
    assert kept[1] == kept[0].replace("|max_new", "|system:be brief|max_new")
    save("m.jsonl", [{"messages": [{"role": "user", "content": "hello"}], "reference": "the fox"}])
    assert "|prompt:messages|" in told(measure(model=models.chat(), data="m.jsonl"))["system"]
    refused = measure("--system", "be brief")
    assert (refused.code, "--system needs a chat template" in refused.err) == (2, True)


def test_an_encoder_decoder_writes_too(measure, models):
    assert told(measure(model=models.t5()))["scores"][0]["n"] == len(PROMPTS)


def test_groups_are_measured_as_if_alone(measure, records, written):
    groups = told(measure("--group-by", "lang"))["groups"]
    for at, name in enumerate(("en", "de")):
        (found,) = groups[name]
        assert found["score"] == bleu(written[at::2], records[at::2])
        assert found["n"] == len(PROMPTS) // 2


def test_the_file_of_o_gives_the_scores_again(measure, records):
    result = measure("-o", "kept.json", metric=("bleu", "distinct_2"))
    kept = from_json(json.loads(Path("kept.json").read_text()), "kept.json")
    again = {each.metric.title: each.score for each in scored(kept.parts, Drawing(0.95, 1000, 12345))}
    for each in told(result)["scores"]:
        assert tuple(again[each["metric"]]) == (each["score"], each["low"], each["high"], each["n"])
    assert kept.ids == [row["id"] for row in records]


def test_models_side_by_side(measure, models, hfcli, monkeypatch):
    (found,) = measure("-m", models.gpt2(), "-o", "kept/").records
    assert [each["name"] for each in found["systems"]] == ["llama", "gpt2"]
    assert found["systems"][0]["scores"] == told(measure())["scores"]
    assert found["systems"][1]["scores"] == told(measure(model=models.gpt2()))["scores"]
    assert hfcli("compare", "kept/llama.json", "kept/gpt2.json").code == 0
    begin = Console.__init__

    def on_terminal(self, quiet=False):
        begin(self, quiet)
        self.terminal = True

    monkeypatch.setattr(Console, "__init__", on_terminal)
    head, first, *_ = measure("-m", models.gpt2()).lines
    assert head.split() == ["bleu", "parameters", "per", "second"]
    assert first.startswith("llama ")


def test_thresholds(measure):
    result = measure("--fail-under", "bleu=100")
    assert (result.code, len(result.records)) == (7, 1)
    assert re.fullmatch(r"fail:  bleu is [\d.]+, and below 100\n", result.err)
    assert measure("--fail-under", "bleu=0").code == 0


# details


def test_details_are_a_line_a_record(measure, records, written):
    told(measure("--details", "d.jsonl", metric=("exact_match",)))
    lines = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    for at, (line, row) in enumerate(zip(lines, records, strict=True)):
        assert (line["id"], line["where"]) == (row["id"], f"r.jsonl:{at + 1}")
        assert (line["prediction"], line["reference"]) == (written[at], [row["reference"]])
        assert line["exact_match"] == (row["reference"] == written[at])


@pytest.fixture
def stopped(measure, monkeypatch):
    """A run of chunks of two records that Ctrl-C ended in its third."""
    monkeypatch.setattr(_generated, "_AT_ONCE", 2)
    monkeypatch.setattr(prediction, "CHUNK_TOKENS", NEW)
    monkeypatch.setattr(prediction, "MAX_ROWS", {"cpu": 2})
    calls, plainly = [], prediction.Generator.begin

    def interrupted(self, rows, tell):
        calls.append(len(rows))
        if sum(calls) > 4:
            raise KeyboardInterrupt
        return plainly(self, rows, tell)

    with monkeypatch.context() as patch:
        patch.setattr(prediction.Generator, "begin", interrupted)
        result = measure("--details", "d.jsonl")
    return result


def test_an_unfinished_run_is_gone_on_with(measure, records, written, stopped):
    kept = Path("d.jsonl.partial").read_text().splitlines()
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err == (
        f"{len(kept)} records are kept in d.jsonl.partial\nhint:  the same line with --resume goes on from there\n"
    )
    assert 0 < len(kept) < len(PROMPTS)
    with open("d.jsonl.partial", "a") as file:
        file.write('{"id": "r9", "predic')
    result = measure("--details", "d.jsonl", "--resume")
    note = f"note: {len(kept)} records are done, going on from there\n"
    assert values(result, note) == {"bleu": bleu(written, records)}
    assert [json.loads(line)["prediction"] for line in Path("d.jsonl").read_text().splitlines()] == written


def test_what_is_not_the_same_is_not_gone_on_with(measure, records, models, stopped):
    again = ("--details", "d.jsonl", "--resume")
    assert measure(*again, model=models.gpt2()).code == 2
    assert measure(*again, metric=("rouge",)).code == 2
    result = measure(*again, "--max-samples", "2")
    assert result.code == 2
    assert "d.jsonl.partial was made from other input, with more records than there are" in result.err
    save("r.jsonl", records[1:])
    assert measure(*again).code == 2


def test_finished_details_are_not_taken_for_those_of_another_model(measure, models):
    told(measure("--details", "d.jsonl"))
    note = "note: d.jsonl is complete, and does not say with which settings; it is made anew\n"
    result = measure("--details", "d.jsonl", "--resume", model=models.gpt2())
    assert values(result, note) == values(measure(model=models.gpt2()))


# what is refused


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--template", "x"), "--template names no column"),
        (("--template", "{prompt}", "--prompt-column", "prompt"), "--template and --prompt-column both make the prompt"),
        (("--fail-under", "rouge1=1"), "--fail-under rouge1: rouge1 is not measured; there is bleu"),
        (("--file", "r.jsonl"), "--file is about perplexity, and bleu is not"),
        (("--stride", "5"), "--stride means nothing for a model that writes"),
        (("--max-length", "64"), "--max-length means nothing for a model that writes"),
        (("--text-column", "prompt"), "--text-column means nothing for a model that writes"),
        (("--reference-column", "a", "--reference-column", "b"), "a model's predictions are compared with one column"),
        (("--metric", "accuracy"), "bleu, accuracy are about different things"),
        (("--metric", "comet"), "no metric comet"),
        (("--metric", "bleu:x=1"), "bleu has no option x"),
        (("-m", "b", "--details", "d.jsonl"), "--details is about one model"),
    ],
)  # fmt: skip
def test_flags_that_contradict_what_is_measured(measure, flags, said):
    """Before a model is looked for: there is none of that name."""
    result = measure(*flags, model="./nowhere")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {said}")


@pytest.mark.parametrize(
    ("row", "flags", "said"),
    [
        ({"text": "the fox", "reference": "ran"}, (), "r.jsonl:1: no column prompt or messages; there is text, reference"),
        ({"prompt": "the fox", "reference": "ran"}, ("--template", "Say {it}"), "r.jsonl:1: no column it, which --template names"),
        ({"prompt": "the fox", "reference": "ran"}, ("--reference-column", "it"), "r.jsonl:1 has no column it; there is prompt, reference"),
        ({"prompt": "the fox", "reference": "ran"}, ("--group-by", "it"), "r.jsonl has no column it for --group-by"),
        ({"prompt": "the fox", "references": []}, (), "r.jsonl:1 has no reference"),
        ({"text": "the fox"}, ("--prompt-column", "text"), "r.jsonl:1: the column text is the prompt, and no other one is called like a reference"),
    ],
)  # fmt: skip
def test_columns_that_are_not_there(measure, row, flags, said):
    save("r.jsonl", [row])
    result = measure(*flags)
    assert (result.code, result.out) == (4, "")
    assert result.err.startswith(f"error: {said}")


def test_references_are_looked_for_before_anything_is_written(measure, monkeypatch):
    monkeypatch.setattr(prediction.Generator, "run", lambda *args, **how: pytest.fail("it writes"))
    assert measure("--reference-column", "nope").code == 4


def test_models_that_do_not_write(measure, models):
    result = measure(model=models.classifier())
    assert (result.code, result.out) == (5, "")
    assert "BertForSequenceClassification, which cannot do text-generation" in result.err
