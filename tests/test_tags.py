"""Metrics of tags: conlleval's rules by hand, another way of writing them, and numbers of seqeval and scikit-learn."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfcli import metrics
from hfcli.errors import DataError, UsageError
from hfcli.metrics import results
from hfcli.metrics.base import Statistics, objects
from hfcli.metrics.results import Drawing, Part, Result
from hfcli.metrics.tags import TAGS, TagOptions, chunks, entities

NAMES = ["entity_precision", "entity_recall", "entity_f1", "entity_f1_macro", "token_accuracy", "token_f1"]


def sentences(text):
    return [sentence.split() for sentence in text.split("|")]


IOB = (
    "B-PER I-PER O B-LOC | O I-LOC I-LOC O | B-PER B-PER O | O O | B-ORG I-LOC O I-PER | B-LOC I-LOC I-LOC I-LOC",
    "B-PER I-PER O B-LOC | O B-LOC I-LOC O | B-PER I-PER O | O O | B-ORG I-ORG O B-PER | B-LOC I-LOC O B-MISC",
)
BIOES = (
    "B-PER E-PER O S-LOC | O I-LOC E-LOC O | S-PER S-PER O | O O | B-ORG E-LOC O S-PER | B-LOC I-LOC I-LOC O",
    "B-PER E-PER O S-LOC | O B-LOC E-LOC O | B-PER E-PER O | O O | B-ORG E-ORG O S-PER | B-LOC I-LOC E-LOC O",
)
# seqeval 1.2.2 (precision_score, recall_score, f1_score, f1_score(average="macro"), accuracy_score; for all but conll
# with mode="strict" and its IOB1, IOB2 or IOBES), and for token_f1 scikit-learn 1.9.1, f1_score(average="micro") with
# labels=all but O.
GOLDEN = [
    (IOB, "conll", [0.444444444444, 0.5, 0.470588235294, 0.285714285714, 0.714285714286, 0.592592592593]),
    (IOB, "iob1", [0.333333333333, 0.4, 0.363636363636, 0.266666666667, 0.714285714286, 0.592592592593]),
    (IOB, "iob2", [0.333333333333, 0.25, 0.285714285714, 0.183333333333, 0.714285714286, 0.592592592593]),
    (BIOES, "conll", [0.555555555556, 0.714285714286, 0.625, 0.476190476190, 0.761904761905, 0.615384615385]),
    (BIOES, "bioes", [0.6, 0.428571428571, 0.5, 0.357142857143, 0.761904761905, 0.615384615385]),
]


def reduced(data, scheme="auto"):
    return TAGS.reduce(*map(sentences, data), TagOptions(scheme))


def values(statistics, names=NAMES):
    kinds = TAGS.kinds(statistics, TagOptions())
    return [metrics.measure(name, kinds, resamples=1).value for name in names]


@pytest.mark.parametrize(("data", "scheme", "golden"), GOLDEN)
def test_scores_are_those_of_seqeval_and_scikit_learn(data, scheme, golden):
    assert values(reduced(data, scheme)) == pytest.approx(golden, abs=1e-11)


def test_scores_of_arrays():
    predictions, references = (objects(sentences(side)) for side in IOB)
    found = [metrics.score(name, predictions, references).value for name in NAMES]
    assert found == pytest.approx(GOLDEN[0][2], abs=1e-11)
    alike = np.array([["B-PER", "O"], ["O", "O"]])
    assert metrics.score("entity_f1", alike, alike).value == 1.0
    for other in (np.array(["B-PER", "O"]), np.array([[1, 0], [0, 0]]), objects([[1], [0]])):
        with pytest.raises(DataError, match="entity_f1 reads tags"):
            metrics.score("entity_f1", other, other)


# Entities, by conlleval's rules

LENIENT = {
    "I-PER I-PER O": "PER 0 2",  # IOB1
    "I-PER B-PER I-PER": "PER 0 1, PER 1 3",  # its B between two of a type that touch
    "I-PER I-LOC": "PER 0 1, LOC 1 2",
    "B-PER I-PER B-PER O": "PER 0 2, PER 2 3",  # IOB2
    "O I-PER I-PER": "PER 1 3",  # I begins an entity after O
    "B-PER I-LOC I-LOC": "PER 0 1, LOC 1 3",  # and where the type changes
    "S-PER B-LOC I-LOC E-LOC": "PER 0 1, LOC 1 4",  # BIOES
    "S-PER S-PER": "PER 0 1, PER 1 2",
    "B-PER E-PER E-PER I-PER": "PER 0 2, PER 2 3, PER 3 4",  # nothing goes on after E
    "S-PER I-PER": "PER 0 1, PER 1 2",
    "B-PER B-PER E-PER": "PER 0 1, PER 1 3",  # an entity does not need its E
    "B-PER E-LOC": "PER 0 1, LOC 1 2",
    "U-PER U-PER B-LOC I-LOC L-LOC": "PER 0 1, PER 1 2, LOC 2 5",  # BILOU
    "L-PER I-PER": "PER 0 1, PER 1 2",
    "PER PER LOC O PER": "PER 0 2, LOC 2 3, PER 4 5",  # types alone
    "B I O B": "_ 0 2, _ 3 4",  # prefixes alone
    "B-creative-work I-creative-work": "creative-work 0 2",
    "B-O I-O O": "O 0 2",
    "O O": "",
    "": "",
}
STRICT = [
    ("iob1", "I-PER I-PER B-PER I-PER I-LOC", "PER 0 2, PER 2 4, LOC 4 5"),
    ("iob1", "O B-PER O", ""),
    ("iob1", "I-PER B-LOC O", "PER 0 1"),
    ("iob2", "B-PER I-PER B-PER O B-LOC", "PER 0 2, PER 2 3, LOC 4 5"),
    ("iob2", "O I-PER I-PER", ""),
    ("iob2", "B-PER I-LOC I-LOC", "PER 0 1"),
    ("iob2", "B-PER O I-PER", "PER 0 1"),
    ("bioes", "B-PER I-PER E-PER S-LOC S-LOC", "PER 0 3, LOC 3 4, LOC 4 5"),
    ("bioes", "B-PER I-PER O S-LOC", "LOC 3 4"),
    ("bioes", "B-PER E-LOC I-LOC E-LOC", ""),
    ("bioes", "B-PER B-PER E-PER", "PER 1 3"),
    ("bilou", "B-PER I-PER L-PER U-LOC L-LOC", "PER 0 3, LOC 3 4"),
]


@pytest.mark.parametrize(("tags", "wanted"), LENIENT.items())
def test_entities_by_conlleval(tags, wanted):
    for scheme in ("auto", "conll"):
        assert ", ".join(f"{type} {start} {end}" for type, start, end in chunks(tags.split(), scheme)) == wanted


@pytest.mark.parametrize(("scheme", "tags", "wanted"), STRICT)
def test_entities_by_a_strict_scheme(scheme, tags, wanted):
    assert ", ".join(f"{type} {start} {end}" for type, start, end in chunks(tags.split(), scheme)) == wanted


def conlleval(tags):
    """Its rules as it has them: whether an entity ends, and one begins, between a tag and the next."""
    found, start, last, before = [], 0, "O", ""
    for at, tag in enumerate([*tags, "O"]):
        letter, type = tag[0], tag[2:]
        other = type != before
        if last != "O" and (last in "ES" or letter in "BSO" or other):
            found.append((before, start, at))
        if letter in "BS" or (letter in "IE" and (last in "OES" or other)):
            start = at
        last, before = letter, type
    return found


@given(st.lists(st.sampled_from(["O", *(f"{letter}-{type}" for letter in "BIES" for type in ("X", "Y"))]), max_size=12))
def test_entities_of_any_tags_are_those_of_conlleval(tags):
    assert chunks(tags) == conlleval(tags)
    assert chunks([{"E": "L", "S": "U"}.get(tag[0], tag[0]) + tag[1:] for tag in tags]) == conlleval(tags)


@given(st.lists(st.tuples(st.sampled_from("XY"), st.integers(1, 3), st.integers(0, 2)), max_size=5))
def test_a_well_formed_sentence_has_the_same_entities_in_all_schemes(parts):
    written = {scheme: [] for scheme in ("iob1", "iob2", "bioes", "bilou")}
    wanted, at, before = [], 0, None
    for type, length, outside in parts:
        for scheme, tags in written.items():
            single, last = {"bioes": "SE", "bilou": "UL"}.get(scheme, "BI")
            first = "I" if scheme == "iob1" and before != type else "B"
            letters = first + "I" * (length - 2) + last if length > 1 else (single if scheme[0] == "b" else first)
            tags += [f"{letter}-{type}" for letter in letters] + ["O"] * outside
        wanted.append((type, at, at + length))
        at, before = at + length + outside, None if outside else type
    for scheme, tags in written.items():
        assert chunks(tags, scheme) == wanted == chunks(tags)


# Scores


def test_by_hand():
    # Of 3 entities (PER, PER, LOC) 2 are found (PER, LOC), and 4 are predicted; 5 of 7 tags are right; of those that
    # are not O 3 are right, 5 are predicted and 4 there.
    statistics = reduced(("B-PER O B-LOC O | B-PER B-MISC B-LOC", "B-PER I-PER O O | B-PER O B-LOC"))
    precision, recall, f1, macro, accuracy, tokens = values(statistics)
    assert (precision, recall, f1) == pytest.approx((2 / 5, 2 / 3, 4 / 8))
    assert macro == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert (accuracy, tokens) == pytest.approx((4 / 7, 6 / 9))
    assert TAGS.right(statistics).tolist() == [False, False]
    assert entities(statistics) == [
        {"label": "LOC", "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "n": 1},
        {"label": "MISC", "precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 0},
        {"label": "PER", "precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2},
    ]


def test_right_are_records_whose_tags_are():
    assert TAGS.right(reduced(IOB)).tolist() == [True, False, False, True, False, False]


def test_tags_of_words_have_an_accuracy():
    assert values(reduced(("DET NOUN VERB X", "DET NOUN NOUN X")), ["token_accuracy"]) == [0.75]


@pytest.mark.parametrize(
    ("predicted", "actual", "wanted"),
    [
        ("O O", "O O", [None, None, None, None, 1, None]),
        ("O O", "B-X O", [0, 0, 0, 0, 0.5, 0]),
        ("B-X O", "O O", [0, 0, 0, 0, 0.5, 0]),
        ("", "", [None] * 6),
    ],
)
def test_nothing_to_find(predicted, actual, wanted):
    found = values(reduced((predicted, actual)))
    assert [None if np.isnan(value) else value for value in found] == wanted


def test_statistics_of_parts_are_those_of_the_whole():
    predictions, references = map(sentences, IOB)
    parts = [TAGS.reduce(predictions[some], references[some], TagOptions()) for some in (slice(0, 2), slice(2, 6))]
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns}
    assert values(Statistics(columns)) == values(reduced(IOB))
    assert entities(Statistics(columns)) == entities(reduced(IOB))
    assert TAGS.reduce([], [], TagOptions()).columns["tokens"].shape == (0, 5)


def test_a_resample_scores_as_its_records_written_out():
    statistics = reduced(IOB)
    kinds = TAGS.kinds(statistics, TagOptions())
    drawn = np.random.default_rng(3).integers(6, size=(30, 6))
    weights = np.stack([np.bincount(kinds.of[row], minlength=6) for row in drawn]).astype(float)
    for name in NAMES:
        written_out = [values(statistics.some(row), [name])[0] for row in drawn]
        np.testing.assert_allclose(metrics.get(name).function(kinds.sample(weights)), written_out, atol=1e-12)


def test_a_file_keeps_them():
    found = tuple(metrics.get(name) for name in NAMES)
    part = Part(TAGS, TagOptions("iob2"), found, reduced(IOB, "iob2"), "x")
    result = Result("a", "", [part], results.scored([part], Drawing()), [])
    kept = results.from_json(json.loads(json.dumps(results.to_json(result))), "a.json")
    assert kept.scores == result.scores
    assert kept.parts[0].options == TagOptions("iob2")
    assert results.scored(kept.parts, Drawing()) == result.scores
    assert entities(kept.parts[0].statistics) == entities(part.statistics)


# Options and errors


def test_the_scheme_is_an_option():
    asked = metrics.asked("entity_f1:scheme=iob2")
    options = metrics.options(TAGS, asked.options, "entity_f1")
    assert options == TagOptions("iob2")
    assert TAGS.signed(options) == ("scheme:iob2",)
    assert TAGS.signed(TagOptions("auto")) == TAGS.signed(TagOptions("conll")) == ("scheme:conll",)
    with pytest.raises(UsageError, match="no scheme iob3 of tags; there is auto, conll, iob1, iob2, bioes, bilou"):
        metrics.options(TAGS, {"scheme": "iob3"}, "entity_f1")


def test_a_tag_too_many():
    with pytest.raises(DataError, match=r"^record 3 has 2 predicted tags and 3 right ones$"):
        TAGS.reduce([["O"], [], ["O", "O"]], [["O"], [], ["O", "O", "O"]], TagOptions())


@pytest.mark.parametrize(("scheme", "tag"), [("iob2", "E-PER"), ("iob1", "PER"), ("bioes", "U-PER"), ("bilou", "")])
def test_a_tag_that_the_scheme_has_not(scheme, tag):
    with pytest.raises(
        DataError, match=f"^record 2: {scheme} has no tag '{tag}'; there is O, B-TYPE, I-TYPE"
    ) as caught:
        TAGS.reduce([["O"], [tag]], [["O"], ["O"]], TagOptions(scheme))
    assert caught.value.hint.startswith("--metric entity_f1:scheme=conll")
