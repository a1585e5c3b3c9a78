"""ROUGE against ROUGE-1.5.5, plain dynamic programming and values by hand; the stemmer against NLTK's."""

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hfcli import metrics
from hfcli.errors import DataError, UsageError
from hfcli.metrics import base, results, rouge, words
from hfcli.metrics.porter import stem
from hfcli.metrics.rouge import ROUGE, TYPES, RougeOptions

DATA = Path(__file__).parents[2] / "shared" / "data" / "rouge"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="without the shared data")
PLAIN = RougeOptions(stemmer=False)


def shares(prediction: str, *references: str, options: RougeOptions = PLAIN) -> dict[str, list[float]]:
    """Precision, recall and F of a record, by type."""
    statistics = ROUGE.reduce([prediction], [references], options)
    return {name: rouge.shares(statistics.columns[name])[0].tolist() for name in TYPES}


def scores(predictions: list[str], references: list[list[str]], said: str = "rouge") -> dict[str, float]:
    """What `--metric` gives."""
    asked = metrics.asked(said)
    options = metrics.options(ROUGE, asked.options, "rouge")
    kinds = ROUGE.kinds(ROUGE.reduce(predictions, references, options), options)
    return {each.title: metrics.measure(each.name, kinds, resamples=20).value for each in asked.metrics}


# Precision and recall by hand.
BY_HAND = [
    ("rouge1", "testing", "testing one two", 1, 1 / 3),
    ("rouge1", "a a a b", "a a c", 2 / 4, 2 / 3),
    ("rouge1", "The CAT, sat!", "the cat-sat", 1, 1),
    ("rouge2", "testing one", "testing one two", 1, 1 / 2),
    ("rouge2", "a b a b", "a b c a b", 2 / 3, 2 / 4),
    ("rouge2", "one", "one", 0, 0),  # has no pair
    ("rougeL", "testing two", "testing one two", 1, 2 / 3),
    ("rougeL", "police killed the gunman", "police kill the gunman", 3 / 4, 3 / 4),  # Lin 2004, section 3
    ("rougeL", "the gunman kill police", "police kill the gunman", 2 / 4, 2 / 4),
    ("rougeLsum", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", 4 / 10, 4 / 5),  # Lin 2004, section 3.2
    ("rougeLsum", "c d\na b", "a b\n\nc d\n", 1, 1),
    ("rougeL", "c d\na b", "a b\n\nc d\n", 1 / 2, 1 / 2),
    ("rougeLsum", "a b", "a b\na b", 1, 1 / 2),  # a word counts no more often than the prediction has it
    # Of the longest that `a b c` and `b a c` have, a c is taken and b c is not; with the b of the second line it is all.
    ("rougeLsum", "b a c\nb", "a b c", 3 / 4, 1),
    ("rougeLsum", "b a c\na", "a b c", 2 / 4, 2 / 3),
]


@pytest.mark.parametrize(("kind", "prediction", "reference", "precision", "recall"), BY_HAND)
def test_by_hand(kind, prediction, reference, precision, recall):
    f = 2 * precision * recall / (precision + recall) if precision else 0
    assert shares(prediction, reference)[kind] == pytest.approx([precision, recall, f], abs=1e-12)


@pytest.mark.parametrize(("prediction", "reference"), [("", "a b c"), ("a b c", ""), ("", ""), ("...", "?\n!")])
def test_nothing_is_like_nothing(prediction, reference):
    assert shares(prediction, reference) == {name: [0, 0, 0] for name in TYPES}
    assert scores([prediction], [[reference]]) == dict.fromkeys(TYPES, 0)


def table(a: list[str], b: list[str]) -> np.ndarray:
    lengths = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            same = lengths[i - 1, j - 1] + 1 if x == y else 0
            lengths[i, j] = max(same, lengths[i - 1, j], lengths[i, j - 1])
    return lengths


def path(a: list[str], b: list[str]) -> set[int]:
    """Where in `a` the words are of the longest common subsequence that rouge_score reads from the table."""
    lengths, i, j, found = table(a, b), len(a), len(b), set()
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            found.add(i)
        elif lengths[i, j - 1] > lengths[i - 1, j]:
            j -= 1
        else:
            i -= 1
    return found


def test_subsequences_are_those_of_the_whole_table():
    rng = random.Random(5)
    for _ in range(300):
        given, wanted = (
            [rng.choices("abcde", k=rng.randint(0, 9)) for _ in range(rng.randint(1, 4))] for _ in range(2)
        )
        found = shares(*("\n".join(" ".join(line) for line in text) for text in (given, wanted)))
        words_given, words_wanted = ([word for line in text for word in line] for text in (given, wanted))
        n, m = len(words_given), len(words_wanted)
        longest = table(words_wanted, words_given)[-1, -1]
        union = Counter(line[at] for line in wanted for at in set().union(*(path(line, each) for each in given)))
        together = (union & Counter(words_given)).total()
        for kind, shared in (("rougeL", longest), ("rougeLsum", together)):
            assert found[kind][:2] == pytest.approx([shared / max(n, 1), shared / max(m, 1)], abs=1e-12)


def test_the_best_reference_is_taken_for_each_type():
    found = shares("a b c d", "a x", "d c b a", "c d y z")
    assert found["rouge1"] == [1, 1, 1]
    assert found["rouge2"] == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert found["rougeL"] == [0.5, 0.5, 0.5]  # c d
    # By F, not by the measure that is asked for: recall of `a` is 1.
    found = scores(["a b c d"], [["a", "a b c x"]], "rouge1:measure=recall")
    assert found == {"rouge1": 0.75}


def test_measures():
    texts = ["a b c d"], [["a b"]]
    assert scores(*texts, "rouge1:measure=precision") == {"rouge1": 0.5}
    assert scores(*texts, "rouge1:measure=recall") == {"rouge1": 1}
    assert scores(*texts, "rouge1") == {"rouge1": pytest.approx(2 / 3)}


def test_the_mean_is_over_records():
    found = scores(["a b", "a b c", ""], [["a b"], ["a b c d"], ["x"]])
    assert found["rouge1"] == pytest.approx((1 + 6 / 7 + 0) / 3)
    assert found["rouge2"] == pytest.approx((1 + 4 / 5 + 0) / 3)


SCRIPTS = {
    "nepali": "नेपालको राजधानी काठमाडौँ हो।\nयो ठूलो सहर हो।",
    "thai": "กรุงเทพมหานครเป็นเมืองหลวง\nของประเทศไทย",
    "chinese": "北京是中国的首都。\n它是一座大城市。",
    "arabic": "القاهرة هي عاصمة مصر.\nهي مدينة كبيرة.",
    "russian": "Москва — столица России.\nЭто большой город.",
}


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_other_scripts(text):
    assert scores([text], [[text]], "rouge:tokenizer=unicode") == dict.fromkeys(TYPES, 1)
    assert scores([text], [["abc def"]], "rouge:tokenizer=unicode") == dict.fromkeys(TYPES, 0)
    assert scores([text], [[text]]) == dict.fromkeys(TYPES, 0)


def test_what_the_default_tokenizer_drops_is_known():
    texts = [*SCRIPTS.values(), "用 GPT 写的中文摘要", "Das Café öffnet um 8", "plain", "123 !", "😀 – …", ""]
    references = [[text] for text in texts]
    dropped = ROUGE.reduce(["x"] * len(texts), references, RougeOptions()).columns[rouge.DROPPED]
    assert dropped.tolist() == [True] * 6 + [False] * 5
    unicode = RougeOptions(tokenizer="unicode")
    assert not ROUGE.reduce(["x"] * len(texts), references, unicode).columns[rouge.DROPPED].any()
    assert ROUGE.reduce(["x"], [["plain", SCRIPTS["thai"]]], RougeOptions()).columns[rouge.DROPPED].tolist() == [True]


WORDS = {
    "Don't stop_now, e2e!": ["don", "t", "stop", "now", "e2e"],
    "Straße STRASSE": ["strasse", "strasse"],
    "caf\u00e9 cafe\u0301": ["café", "café"],
    "काठमाडौँ हो।": ["काठमाडौँ", "हो"],
    "น้ำ1ก่": ["น้ํ", "า", "1", "ก่"],  # a mark stays with its letter
    "東京はOK2024年": ["東", "京", "は", "ok2024", "年"],
    "안녕 세계": ["안녕", "세계"],
    "می\u200cخواهم co\u00adop": ["میخواهم", "coop"],
    "ﾊﾝ １２": ["ハ", "ン", "12"],
    "❤\ufe0f \u0301x": ["x"],
}


@pytest.mark.parametrize(("text", "expected"), WORDS.items())
def test_words(text, expected):
    assert words.words(text) == expected


# nltk 3.10.4, stem.porter.PorterStemmer: examples of the paper, of each rule, and what NLTK has besides.
STEMS = """caresses caress|ponies poni|cats cat|feed feed|agreed agre|plastered plaster|bled bled|motoring motor|sing sing
conflated conflat|troubled troubl|sized size|hopping hop|falling fall|hissing hiss|fizzed fizz|failing fail|filing file
happy happi|enjoy enjoy|they they|spy spi|day day|relational relat|conditional condit|rational ration|digitizer digit
conformably conform|radically radic|differently differ|vilely vile|analogously analog|vietnamization vietnam
operator oper|feudalism feudal|decisiveness decis|hopefulness hope|callousness callous|formality formal|sensibility sensibl
triplicate triplic|formative form|formalize formal|electricity electr|electrical electr|hopeful hope|goodness good
revival reviv|replacement replac|adjustment adjust|dependent depend|adoption adopt|opinion opinion|communism commun
probate probat|rate rate|cease ceas|controlling control|roll roll|news news|dying die|innings inning|succeed succeed
ties tie|tied tie|flies fli|used use|ecology ecolog|geology geolog|additionally addit|successfully success|possibly possibl
is is|a1b2ing a1b2|agencies agenc|syzygy syzygi|yyes yye|inged ing"""


def test_stems_are_those_of_nltk():
    pairs = [each.split() for line in STEMS.splitlines() for each in line.split("|")]
    assert [stem(word) for word, _ in pairs] == [expected for _, expected in pairs]


def test_stemming():
    assert scores(["He was testing cats"], [["he is test cat"]], "rouge1") == {"rouge1": 0.75}
    assert scores(["He was testing cats"], [["he is test cat"]], "rouge1:stemmer=false") == {"rouge1": 0.25}
    assert scores(["its"], [["it"]], "rouge1") == {"rouge1": 0}
    assert scores(["tests naïve"], [["test naïves"]], "rouge1:tokenizer=unicode") == {"rouge1": 0.5}


def test_parts_are_the_whole():
    predictions = ["a b", "", "x\ny z", "a"]
    references = [["a", "b a"], ["q"], ["z\nx y", "y", "x"], ["a"]]
    whole = ROUGE.reduce(predictions, references, RougeOptions())
    parts = [
        ROUGE.reduce(predictions[at], references[at], RougeOptions()) for at in (slice(1), slice(1, 1), slice(1, 4))
    ]
    for name, column in whole.columns.items():
        joined = np.concatenate([part.columns[name] for part in parts])
        assert joined.dtype == column.dtype
        np.testing.assert_array_equal(joined, column)


def test_names_and_signatures():
    assert [each.title for each in metrics.asked("rouge").metrics] == list(TYPES)
    assert [each.name for each in metrics.asked("rougeLsum").metrics] == ["rougelsum"]
    assert all(each.families == (ROUGE,) and each.scale == "0 to 1" for each in metrics.asked("rouge").metrics)
    assert ROUGE.signed(RougeOptions()) == ("tok:default", "stem:yes")
    assert ROUGE.signed(RougeOptions(False, "unicode", "recall")) == ("tok:unicode", "stem:no", "measure:recall")


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("tokenizer=unicod", "rouge has no tokenizer unicod; there is default, unicode", "did you mean unicode?"),
        ("measure=recal", "rouge has no measure recal; there is precision, recall, f", "did you mean recall?"),
        ("stemer=true", "rouge has no option stemer; there is stemmer, tokenizer, measure", "did you mean stemmer?"),
        ("stemmer=maybe", "--metric rouge:stemmer=maybe: true or false is wanted", None),
    ],
)
def test_options_that_cannot_be(said, message, hint):
    with pytest.raises(UsageError) as caught:
        metrics.options(ROUGE, metrics.asked(f"rouge:{said}").options, "rouge")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_record_without_references():
    with pytest.raises(DataError, match="rouge needs at least one"):
        ROUGE.reduce(["a", "b"], [["a"], []], RougeOptions())


@needs_data
def test_google_has_the_numbers_of_rouge_155():
    folder = DATA / "google-rouge"
    expected = json.loads((folder / "EXPECTED.json").read_text())
    texts = {name: (folder / f"{name}.txt").read_text() for name in ("prediction", "target")}
    multi = [(folder / f"{name}_multi.0.txt").read_text() for name in ("prediction", "target")]
    pairs = {f"line{at}": [text.splitlines()[at] for text in texts.values()] for at in (0, 1)} | {"multi0": multi}
    for name, (prediction, target) in pairs.items():
        for key, values in expected[name].items():
            kind, stemmer = key.split("_")
            found = shares(prediction, target, options=RougeOptions(stemmer == "stem"))[kind]
            assert found == pytest.approx([values[each] for each in ("precision", "recall", "fmeasure")], abs=1e-5)
    for each in expected["literal"]:
        found = shares(each["prediction"], each["target"])[each["type"]]
        assert found == pytest.approx([each[name] for name in ("precision", "recall", "fmeasure")], abs=1e-5)


# What ROUGE-1.5.5 finds in WordNet's lists of irregular forms; these suffice for the texts below.
IRREGULAR = dict(
    each.split() for each in "made make|wrote write|been be|were be|shown show|froze freeze|frozen freeze".split("|")
)


@needs_data
@pytest.mark.parametrize(("irregular", "points"), [({}, 1.0), (IRREGULAR, 0.25)])
def test_rouge_155_of_summaries(monkeypatch, irregular, points):
    """The Perl script sums over the references of a record, and stems irregular forms by WordNet, which is what remains:
    0.94 of 100 points at most. rouge_score, and so this, takes the best reference and has only Porter's rules.
    """
    monkeypatch.setattr(rouge, "stem", lambda word: irregular.get(word) or stem(word))
    folder = DATA / "multiling2011"
    records = json.loads((folder / "data.json").read_text())
    expected = json.loads((folder / "expected_ROUGE-1.5.5.json").read_text())["micro"]
    for record, values in zip(records, expected, strict=True):
        references = [["\n".join(lines)] for lines in record["references"]]
        predictions = ["\n".join(record["candidate"])] * len(references)
        columns = ROUGE.reduce(predictions, references, RougeOptions()).columns
        for kind, perl in (("rouge1", "rouge-1"), ("rouge2", "rouge-2"), ("rougeLsum", "rouge-l")):
            found = 100 * rouge.shares(columns[kind].sum(axis=0))
            wanted = [values[perl][each] for each in ("precision", "recall", "f1")]
            assert found == pytest.approx(wanted, abs=points)


def test_statistics_survive_a_file():
    asked = metrics.asked("rouge")
    statistics = ROUGE.reduce(["a b", "c"], [["a"], ["c"]], RougeOptions(measure="recall"))
    part = results.Part(ROUGE, RougeOptions(measure="recall"), asked.metrics, statistics, "tok:default")
    drawing = results.Drawing(resamples=20)
    kept = results.Result("x", "", [part], results.scored([part], drawing), [])
    read = results.from_json(json.loads(json.dumps(results.to_json(kept))), "x.json")
    assert read.scores == kept.scores
    assert isinstance(read.parts[0].statistics, base.Statistics)
    assert results.scored(read.parts, drawing) == kept.scores
