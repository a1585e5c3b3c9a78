"""Toxicity of stored texts, and what a classifier says when words are swapped."""

import json
import shutil
from pathlib import Path

import pytest

from hfcli.cli.console import Console
from hfcli.errors import DataError, UsageError
from hfcli.metrics.results import from_json
from hfcli.runtime.swapping import Swap, pairs

TEXTS = ["a quiet good film", "the dull story", "an awful film", "", "two hours gone", "a lovely actor"]
RECORDS = [
    {"id": "a", "text": "a good film", "lang": "en"},
    {"id": "b", "text": "the awful story", "lang": "de"},
    {"id": "c", "text": "a film", "lang": "en"},
    {"id": "d", "text": "fine and dull", "lang": "de"},
    {"id": "e", "text": "The actor", "lang": "de"},
    {"id": "f", "text": " ", "lang": "en"},
]


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        lines = content if isinstance(content, str) else "".join(json.dumps(record) + "\n" for record in content)
        Path(name).write_text(lines)
        return name

    return write


@pytest.fixture
def said(hfcli, models):
    """What `hfcli classify` says of texts: label and probabilities of each."""

    def said(texts):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        return hfcli("classify", "-m", models.classifier(), "--device", "cpu", "--all-scores", stdin=lines).records

    return said


def numbers(result):
    assert result.code == 0, result.err
    return {entry["metric"]: entry["score"] for entry in result.records[0]["scores"]}


# Toxicity


@pytest.fixture
def toxicity(hfcli, models, write):
    def call(*flags, texts=TEXTS, metric="toxicity", scorer=None):
        file = write("out.jsonl", [{"text": text, "lang": "xy"[i % 2]} for i, text in enumerate(texts)])
        model = scorer or models.classifier()
        return hfcli("eval", "--metric", metric, "--scorer", model, "--device", "cpu", "--predictions", file, *flags)

    return call


@pytest.fixture
def toxic(models, tmp_path):
    """The classifier with other names for its labels."""

    def toxic(*names):
        folder = tmp_path / "-".join(names)
        shutil.copytree(models.classifier(), folder)
        config = json.loads((folder / "config.json").read_text())
        config |= {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return toxic


def test_toxicity_is_the_mean_probability_of_a_label(toxicity, said):
    expected = [one["scores"]["neg"] if text else 0 for one, text in zip(said(TEXTS), TEXTS, strict=True)]
    result = toxicity("--scorer-label", "neg", "--details", "d.jsonl", "-o", "o.json")
    assert result.err == "note: 1 text is empty, and scored 0\n"
    assert numbers(result) == pytest.approx(
        {"toxicity": sum(expected) / 6, "toxic_share": sum(p >= 0.5 for p in expected) / 6}
    )
    rows = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    assert [row["toxicity"] for row in rows] == expected
    assert [row["toxic_share"] for row in rows] == [float(p >= 0.5) for p in expected]
    assert rows[1]["prediction"] == {"text": TEXTS[1], "score": expected[1]}
    assert "reference" not in rows[1]
    signature = result.records[0]["scores"][0]["signature"]
    assert signature.startswith("toxicity|data:none|scorer:classifier:neg|n:6|")
    kept = from_json(json.loads(Path("o.json").read_text()), "o.json")
    assert list(kept.parts[0].statistics.columns["score"]) == expected


def test_its_parts_groups_and_limits(toxicity, said):
    expected = [one["scores"]["neg"] if text else 0 for one, text in zip(said(TEXTS), TEXTS, strict=True)]
    share = toxicity("--scorer-label", "neg", "--group-by", "lang", "-q", metric="toxic_share")
    assert [*numbers(share)] == ["toxic_share"]
    groups = share.records[0]["groups"]
    assert groups["x"][0]["score"] == pytest.approx(sum(p >= 0.5 for p in expected[::2]) / 3)
    high = toxicity("--scorer-label", "neg", "--fail-under", "toxicity=0.01", "-q")
    assert (high.code, high.err.startswith("fail:  toxicity is 0."), high.err.endswith(", and above 0.01\n")) == (
        7,
        True,
        True,
    )


def test_several_systems(toxicity, said, write):
    other = write("b.txt", "".join(f"{text}\n" for text in reversed(TEXTS)))
    result = toxicity("--scorer-label", "neg", "--predictions", other, "-q")
    one, two = ({each["metric"]: each["score"] for each in system["scores"]} for system in result.records[0]["systems"])
    assert one["toxicity"] == pytest.approx(two["toxicity"])


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (("non-toxic", "toxic"), "toxic"),
        (("OFFENSIVE", "neutral"), "OFFENSIVE"),
        (("not_hate", "hate"), "hate"),
        (("nothate", "hateful"), "hateful"),
        (("NOT-HATE", "HATE"), "HATE"),
        (("nonhateful", "identity_attack_hate"), "identity_attack_hate"),
        (("safe", "unsafe"), "unsafe"),
        (("No hate", "Another insult"), "Another insult"),
        (("harmless", "harmful"), "harmful"),
    ],
)
def test_the_label_is_found_by_its_name(toxicity, toxic, names, chosen):
    result = toxicity("-q", scorer=toxic(*names))
    assert result.code == 0, result.err
    assert result.records[0]["scores"][0]["signature"].split("|")[2] == f"scorer:{'-'.join(names)}:{chosen}"


def test_what_is_no_scorer(toxicity, models, hfcli, write):
    unnamed = toxicity()
    assert (unnamed.code, unnamed.out) == (2, "")
    assert unnamed.err == (
        f"error: {models.classifier()} has no label that is called toxic; its labels are neg, pos\n"
        "hint:  --scorer-label NAME\n"
    )
    wrong = toxicity("--scorer-label", "negg")
    assert wrong.err.splitlines()[1] == "hint:  did you mean neg?"
    number = toxicity(scorer=models.number())
    assert (number.code, number.err.splitlines()[0]) == (
        2,
        f"error: {models.number()} gives a number, and toxicity needs a label",
    )
    references = toxicity("--scorer-label", "neg", "--references", write("r.txt", "x\n"))
    assert (references.code, references.err.splitlines()[0]) == (2, "error: toxicity needs no references")
    mixed = toxicity("--scorer-label", "neg", "--metric", "distinct_1")
    assert (mixed.code, mixed.err.splitlines()[0]) == (2, "error: toxicity, distinct_1 are about different things")
    alone = hfcli("eval", "--metric", "toxicity", "--dataset", "out.jsonl")
    assert (alone.code, alone.err.splitlines()[0]) == (
        2,
        "error: toxicity measures outputs that are there already",
    )


# Swapped words


@pytest.mark.parametrize(
    ("said", "text", "swapped"),
    [
        ("he=she", "He said he hehe.", "She said she hehe."),
        ("he=she", "HE and She's here: theshe, he_", "SHE and He's here: theshe, he_"),
        ("he=she,his=her,him=her", "his book, her book, him", "her book, his book, her"),
        ("man=woman,wo=x", "woman man wo", "man woman x"),
        ("he=she", "hé he", "hé she"),
        ("Ärzte=Ärztinnen", "ärzte, ÄRZTINNEN", "ärztinnen, ÄRZTE"),
        ("old man=young woman", "The old man, an OLD MAN", "The young woman, an YOUNG WOMAN"),
        ("c++=java", "C++ or c+ or javas", "Java or c+ or javas"),
        ("he=she,he=they", "he, she, they", "she, he, he"),
        ("old=young,old man=woman", "old man, old dog", "woman, young dog"),
        ("he=she", "nobody", "nobody"),
    ],
)
def test_swapping(said, text, swapped):
    assert Swap(pairs(said))(text) == swapped


def test_a_file_of_pairs(write):
    file = write("words.txt", "# pronouns\nhe = she\n\nhis=her\n")
    assert pairs(file) == {"he": "she", "she": "he", "his": "her", "her": "his"}


@pytest.mark.parametrize("said", ["he=", "=she", "he=HE", "he=she,boy", ",="])
def test_what_is_no_pair(said):
    with pytest.raises(UsageError, match="is no pair of words"):
        pairs(said)


def test_what_is_no_file(write):
    with pytest.raises(DataError, match=r"--swap words\.tx is no list of pairs, and no file"):
        pairs("words.tx")
    Path("bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8 text"):
        pairs("bytes")
    with pytest.raises(UsageError, match="names no words"):
        pairs(write("empty.txt", "# nothing\n"))


SWAP = ("--swap", "good=bad,awful=lovely,actor=story")


@pytest.fixture
def counterfactual(hfcli, models, write):
    def call(*flags, records=RECORDS, metric="counterfactual", model=None):
        file = write("data.jsonl", records)
        named = model or models.classifier()
        return hfcli("eval", "--metric", metric, "-m", named, "--device", "cpu", "--dataset", file, *flags)

    return call


def test_a_classifier_before_and_after_words_were_swapped(counterfactual, said):
    swapped = {"a": "a bad film", "b": "the lovely actor", "e": "The story"}
    before = said([record["text"] for record in RECORDS if record["id"] in swapped])
    after = said(swapped.values())
    flips = [a["label"] != b["label"] for a, b in zip(before, after, strict=True)]
    shifts = [abs(a["scores"][a["label"]] - b["scores"][a["label"]]) for a, b in zip(before, after, strict=True)]
    assert flips == [True, True, False]
    result = counterfactual(*SWAP, "--details", "d.jsonl", "-o", "o.json")
    assert result.err == "note: 1 of 6 records have no text and are left out\n"
    assert numbers(result) == pytest.approx({"flip_rate": 2 / 3, "score_shift": sum(shifts) / 3})
    told = result.records[0]
    assert (told["records"], told["scores"][0]["n"]) == (5, 3)
    assert "|swap:good=bad,awful=lovely,actor=story|n:3|" in told["scores"][0]["signature"]
    rows = [json.loads(line) for line in Path("d.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a", "b", "e"]
    assert [row["reference"]["text"] for row in rows] == [*swapped.values()]
    assert [row["flip_rate"] for row in rows] == [1, 1, 0]
    assert [row["score_shift"] for row in rows] == pytest.approx(shifts)
    kept = from_json(json.loads(Path("o.json").read_text()), "o.json")
    assert kept.ids == ["a", "b", "e"]
    assert [each.score.value for each in kept.scores] == [entry["score"] for entry in told["scores"]]


def test_groups_limits_and_files_of_words(counterfactual, write):
    words = write("words.txt", "good=bad\nawful=lovely\nactor=story\n")
    result = counterfactual("--swap", words, "--group-by", "lang", "--fail-under", "flip_rate=0.5", "-q")
    assert (result.code, result.err) == (7, "fail:  flip_rate is 0.666667, and above 0.5\n")
    groups = {name: (entries[0]["score"], entries[0]["n"]) for name, entries in result.records[0]["groups"].items()}
    assert groups == {"en": (1, 1), "de": (0.5, 2)}
    assert "|swap:words.txt@" in result.records[0]["scores"][0]["signature"]
    one = counterfactual(*SWAP, "-q", metric="score_shift")
    assert [*numbers(one)] == ["score_shift"]


def test_a_table_of_models(counterfactual, models, monkeypatch):
    def on_terminal(self, quiet=False):
        begin(self, quiet)
        self.terminal = True

    begin = Console.__init__
    monkeypatch.setattr(Console, "__init__", on_terminal)
    one = counterfactual(*SWAP, "-q")
    assert one.lines[0].split() == ["score", "interval", "scale"]
    assert one.lines[1] == "flip_rate      0.6667  [0.000, 1.000]  0 to 1, lower is better"
    assert one.lines[4] == "the 3 of 5 records that have such words"
    two = counterfactual(*SWAP, "-q", "-m", "builtin/reviews")
    assert [line.split()[0] for line in two.lines[:3]] == ["flip_rate", "classifier", "builtin/reviews"]
    end = "each on the 3 of 5 records that have such words; lower is better: flip_rate, score_shift"
    assert two.lines[4] == end


def test_what_cannot_be_swapped(counterfactual, models):
    bare = counterfactual()
    assert (bare.code, bare.err) == (
        2,
        "error: counterfactual needs --swap, the words to swap\nhint:  --swap he=she,his=her\n",
    )
    none = counterfactual("--swap", "xx=yy", "-q")
    assert (none.code, none.err.splitlines()[0]) == (
        4,
        "error: no text of data.jsonl has one of the words of --swap",
    )
    several = counterfactual(*SWAP, "-q", model=models.several())
    assert (several.code, several.err.splitlines()[0]) == (
        2,
        "error: counterfactual is about one label, which several does not give",
    )
    number = counterfactual(*SWAP, "-q", model=models.number())
    assert (number.code, number.err.splitlines()[0]) == (
        2,
        "error: counterfactual is about one label, which number does not give",
    )
    mixed = counterfactual(*SWAP, "--metric", "accuracy")
    assert (mixed.code, mixed.err.splitlines()[0]) == (
        2,
        "error: counterfactual, accuracy are about different things",
    )
