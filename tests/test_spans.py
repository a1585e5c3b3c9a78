"""Exact match and F1 of answers: the official rules of SQuAD, written out anew here, and cases by hand."""

import random
import re

import numpy as np
import pytest

from hfcli import metrics
from hfcli.errors import DataError
from hfcli.metrics import spans, squad
from hfcli.metrics.base import objects
from hfcli.metrics.results import Drawing, Part, scored


def expected(prediction, references, v2):
    """Exact match and F1, as the papers put them."""

    def words(text):
        kept = "".join(character for character in text.lower() if not re.match(r"[!-/:-@\[-`{-~]", character))
        return re.sub(r"\b(?:a|an|the)\b", " ", kept).split()

    def f1(given, right):
        if v2 and (not given or not right):
            return float(given == right)
        rest, shared = list(right), 0
        for word in given:
            if word in rest:
                rest.remove(word)
                shared += 1
        if not shared:
            return 0.0
        precision, recall = shared / len(given), shared / len(right)
        return 2 * precision * recall / (precision + recall)

    rights = [words(text) for text in references]
    if v2:
        rights = [right for right in rights if right] or [[]]
    given = words(prediction)
    return float(given in rights), max(f1(given, right) for right in rights)


@pytest.mark.parametrize("v2", [False, True])
def test_scores_are_those_of_the_rules(v2):
    rng = random.Random(4)
    pieces = [*"the A an Paris paris, red-brown 1,889 the-x ... 's ÉTÉ été —".split(), "\u3000", ""]

    def text():
        return rng.choice(["", " ", "\n"]).join(["", " ".join(rng.choices(pieces, k=rng.randrange(5)))])

    predictions = [text() for _ in range(3000)]
    references = [[text() for _ in range(rng.randrange(not v2, 4))] for _ in predictions]
    exact, f1 = spans.scores(predictions, references, v2)
    wanted = [expected(p, r, v2) for p, r in zip(predictions, references, strict=True)]
    np.testing.assert_allclose(np.stack([exact, f1], axis=1), wanted, atol=1e-12)
    assert 0.1 < f1.mean() < 0.9


@pytest.mark.parametrize(
    ("prediction", "references", "first", "second"),
    [
        ("The  Broncos.", ["broncos"], (1, 1), (1, 1)),
        ("theatre", ["atre"], (0, 0), (0, 0)),  # an article is a word, not a part of one
        ("the", ["a"], (1, 0), (1, 1)),  # nothing is left of either
        ("x", ["the", "x y"], (0, 2 / 3), (0, 2 / 3)),
        ("", ["the", "x"], (1, 0), (0, 0)),  # by 2.0, references of which nothing is left do not count
        (None, ["the"], (0, 0), (1, 1)),
        (None, ["x"], (0, 0), (0, 0)),
        ("—", ["–"], (0, 0), (0, 0)),  # dashes beyond ASCII stay
        ("x x x", ["x"], (0, 0.5), (0, 0.5)),  # a word is shared as often as both have it
    ],
)
def test_the_two_versions_differ_where_nothing_is_left(prediction, references, first, second):
    for v2, wanted in ((False, first), (True, second)):
        assert tuple(float(each[0]) for each in spans.scores([prediction], [references], v2)) == pytest.approx(wanted)


def test_no_answer_is_right_where_there_is_none_to_find():
    exact, f1 = spans.scores([None, "", "the", "x"], [[], [], [], []], v2=True)
    assert exact.tolist() == f1.tolist() == [1, 1, 1, 0]
    with pytest.raises(DataError, match="question 2 has no answers; squad_v2"):
        spans.scores(["x", "x"], [["x"], []], v2=False)


def test_the_version_follows_from_the_references():
    predictions = objects(["the", "x"])
    assert metrics.score("f1", predictions, objects([["a"], ["x"]])).value == 50
    assert metrics.score("f1", predictions, objects([["a"], []])).value == 50
    assert metrics.score("f1", np.array(["the", ""]), objects([["a"], []])).value == 100
    with pytest.raises(DataError, match="f1 reads answers; the predictions are"):
        metrics.score("f1", predictions, objects([["a"], "x"]))
    with pytest.raises(DataError, match="f1 reads answers"):
        metrics.score("f1", objects([1, 2]), objects([["a"], ["b"]]))


@pytest.mark.parametrize("seed", range(40))
def test_no_threshold_is_better_than_the_best(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    answerable = rng.random(n) < rng.choice([0.0, 0.3, 0.7, 1.0])
    score = np.where(answerable, rng.integers(0, 4, n) / 3, 0.0)
    null = rng.integers(-3, 4, n) / 2 if seed % 2 else rng.random(n)

    def mean(threshold):
        return 100 * np.where(null > threshold, ~answerable, score).mean()

    threshold, best = spans.best_threshold(score, answerable, null)
    assert best == pytest.approx(mean(threshold))
    assert best == pytest.approx(max(mean(each) for each in (-10.0, *null)))


def test_the_best_threshold_is_the_official_one_where_nothing_is_tied():
    """evaluate-v2.0.py gives these scores: after 3 of 5 questions the sum is highest, at the third one's probability;
    anything below the fourth one's separates the same."""
    score, answerable = np.array([1.0, 0.0, 0.5, 0.0, 0.2]), np.array([True, False, True, False, True])
    assert spans.best_threshold(score, answerable, np.array([0.1, 0.8, 0.3, 0.4, 0.2])) == (
        pytest.approx(0.35),
        pytest.approx(74.0),
    )
    nothing = spans.best_threshold(np.zeros(2), np.array([False, False]), np.array([0.2, 0.1]))
    assert nothing == (0.0, 100.0)
    threshold, value = spans.best_threshold(np.zeros(2), np.array([False, False]), np.array([-3.0, 2.0]))
    assert (threshold < -3, value) == (True, 100.0)


def test_an_evaluation_tells_apart_what_has_an_answer():
    predictions, references = ["Paris", "", "x", "Rome", None], [["Paris"], ["Oslo"], [], [], []]
    rules, drawing = spans.AnswerOptions(version=2), Drawing()
    statistics = spans.ANSWERS.reduce(predictions, references, rules)
    measured = tuple(map(metrics.get, ("exact_match", "f1")))
    part = Part(spans.ANSWERS, rules, measured, statistics, "data:x")
    assert [each.score.value for each in scored([part], drawing)] == [40, 40]
    _, f1 = squad.apart(part, references, drawing)
    assert {group: (score.value, score.n) for group, score in f1.scores.items()} == {
        "answerable": (50, 2),
        "unanswerable": (pytest.approx(100 / 3), 3),
    }
    null = np.array([0.1, 0.2, 0.9, 0.8, 0.7])
    best = squad.best(predictions, references, null, drawing)
    assert {name: (each.score.value, each.threshold) for name, each in best.items()} == {
        "exact_match": (80, pytest.approx(0.15)),
        "f1": (80, pytest.approx(0.15)),
    }
    guessed = squad.best(["Paris", "Oslo", "x", "Rome", "Bonn"], references, null, drawing)
    assert guessed["f1"].threshold == pytest.approx(0.45)
    assert guessed["f1"].score.value == 100
