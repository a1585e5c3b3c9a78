"""The embedded models: whole, small, and as good as their cards say."""

import math
import re
from pathlib import Path

import pytest

from hfcli.runtime import hub

FOLDERS = sorted(path.parent for path in hub.BUILTIN.glob("*/config.json"))
STORIES = [
    'One day, Tom lost his red ball. He looked high and low. "Can I help you?" asked the fox. They looked under the leaves.',
    "Once upon a time, in a quiet town, there lived a little girl called Mia. She was kind and brave.",
]


def test_together_they_are_small():
    size = sum(file.stat().st_size for folder in FOLDERS for file in folder.iterdir())
    assert size < 4_000_000


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_has_a_card_with_scores(folder):
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "honest toy" in card
    assert "## How it was made" in card
    assert re.search(r"\| [\d.]+ \|", card)
    assert "license: apache-2.0" in card


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_each_loads_like_any_folder(folder):
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    _, report = getattr(transformers, config.architectures[0]).from_pretrained(folder, output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    transformers.AutoTokenizer.from_pretrained(folder)


def test_story_ends_by_itself_and_never_repeats(hfcli):
    for prompt in ("Once upon a time", "The little fox", "One morning, Mia", "Tom said,"):
        record = hfcli("generate", "-m", "builtin/story", prompt, "--json").records[0]
        assert record["finish_reason"] == "stop"
        assert 40 < record["new_tokens"] < 250
        words = record["generated_text"].split()
        eights = [tuple(words[i : i + 8]) for i in range(len(words) - 7)]
        assert len(eights) == len(set(eights))


def test_story_knows_its_grammar():
    """Chance is 1,024; the card says 1.29 over its own stories, and these are only like them."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(hub.BUILTIN / "story")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    losses = []
    for story in STORIES:
        ids = tokenizer(story, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            losses.append(float(model(ids, labels=ids).loss))
    assert math.exp(sum(losses) / len(losses)) < 10


def test_unknown_names_list_what_there_is(hfcli):
    result = hfcli("generate", "-m", "builtin/storry", "Once upon a time")
    assert result.code == 5
    assert (
        result.err
        == "error: no embedded model builtin/storry; there is builtin/reader, builtin/reviews, builtin/story\nhint:  did you mean builtin/story?\n"
    )


def test_reviews_tells_praise_from_blame(hfcli):
    texts = {
        "A quiet, lovely film.": "pos",
        "Two hours gone.": "neg",
        "I loved every minute of it.": "pos",
        "The food was cold and the staff were rude.": "neg",
        "Not good at all.": "neg",
        "Not bad at all.": "pos",
    }
    found = hfcli("classify", "-m", "builtin/reviews", *texts).records
    assert [record["label"] for record in found] == list(texts.values())


def test_reviews_reads_long_texts_whole(hfcli):
    """Its own settings say so: the praise stands behind what a cut would keep."""
    text = "We arrived on a Monday. " * 120 + "I loved every minute of it, a wonderful, lovely, perfect stay. " * 25
    result = hfcli("classify", "-m", "builtin/reviews", text)
    assert result.records[0]["label"] == "pos"
    assert "1 longer than 512 tokens (windows, pooled)" in result.err


LEASE = """Lease of the flat at 12 Mill Lane

The tenant is Mr Paul Winter. The rent is 850 euros a month. The deposit is returned within 30 days after the keys
are handed back.
"""


def test_reader_finds_what_a_text_says_and_knows_what_it_does_not(hfcli, tmp_path):
    path = tmp_path / "lease.txt"
    path.write_text(LEASE)
    asked = {
        "Who is the tenant?": "Paul Winter",
        "When is the deposit returned?": "30 days",
        "How much is the rent?": "850",
    }
    result = hfcli("qa", "--context-file", path, *asked, "When was the bridge built?")
    assert result.code == 0, result.err
    *answers, none = result.records
    for (question, part), record in zip(asked.items(), answers, strict=True):
        assert record["question"] == question
        assert part in record["answer"]
        assert LEASE[record["start"] : record["end"]] == record["answer"]
    assert answers[0]["where"] == f"{path}:3"
    assert none["answer"] is None
    assert none["score"] == none["no_answer_probability"]


def test_reader_finds_a_sentence_in_a_long_text(hfcli, tmp_path):
    path = tmp_path / "long.txt"
    filler = "The ship left the harbour at noon and nobody on the pier waved. "
    path.write_text(filler * 60 + "Doctor Vera Lind opened the museum in Oslo. " + filler * 60)
    record = hfcli("qa", "--context-file", path, "Who opened the museum in Oslo?").records[0]
    assert "Vera Lind" in record["answer"]
