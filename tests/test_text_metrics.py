"""Texts that should be equal, and texts that repeat themselves: values by hand."""

import math

import numpy as np
import pytest

from hfcli import metrics
from hfcli.errors import DataError, UsageError
from hfcli.metrics.diversity import DIVERSITY
from hfcli.metrics.spans import ANSWERS
from hfcli.metrics.texts import EXACT, EqualOptions


def exact(said: str, predictions: list[str], references: list[list[str]]) -> list[bool]:
    """Which texts are right."""
    options = metrics.options(EXACT, metrics.asked(said).options, "exact_match")
    return EXACT.right(EXACT.reduce(predictions, references, options)).tolist()


def diversity(name: str, texts: list[str]) -> metrics.Score:
    kinds = DIVERSITY.kinds(DIVERSITY.reduce(texts, [[]] * len(texts), DIVERSITY.options()), DIVERSITY.options())
    return metrics.measure(name, kinds, resamples=50)


PAIRS = [
    ("Paris", "Paris"), ("Paris", "paris"), ("Paris.", "Paris"), (" in  Paris\n", "in Paris"), ("STRASSE", "straße"),
    ("«नमस्ते»।", "नमस्ते"), ("$5", "5"), ("a - b", "a b"), ("", ""), ("", "x"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("exact_match", {0, 8}),
        ("exact_match:ignore_case=true", {0, 1, 4, 8}),
        ("exact_match:ignore_punctuation=true", {0, 2, 5, 6, 8}),
        ("exact_match:ignore_space=true", {0, 3, 8}),
        ("exact_match:ignore_case=yes,ignore_punctuation=yes,ignore_space=yes", set(range(9))),
    ],
)
def test_what_may_differ(said, right):
    predictions, references = [given for given, _ in PAIRS], [[wanted] for _, wanted in PAIRS]
    assert exact(said, predictions, references) == [at in right for at in range(len(PAIRS))]


def test_any_of_the_references():
    assert exact("exact_match", ["b", "c"], [["a", "b"], ["a", "b"]]) == [True, False]
    with pytest.raises(DataError, match="exact_match needs at least one"):
        exact("exact_match", ["b"], [[]])


def test_exact_match_is_a_share():
    options = EqualOptions()
    statistics = EXACT.reduce(["a", "b", "c", "d"], [["a"], ["x"], ["x"], ["x", "d"]], options)
    score = metrics.measure("equal_texts", EXACT.kinds(statistics, options))
    assert (score.value, score.n) == (0.5, 4)
    assert 0 <= score.low < 0.5 < score.high <= 1
    parts = [EXACT.reduce(["a"], [["a"]], options), EXACT.reduce([], [], options)]
    assert [part.columns["right"].dtype for part in parts] == [np.bool_, np.bool_]
    assert [len(part) for part in parts] == [1, 0]


def test_exact_match_alone_is_that_of_texts():
    (plain,) = metrics.asked("exact_match").metrics
    assert (plain.title, plain.families, plain.scale) == ("exact_match", (EXACT,), "0 to 1")
    squad = metrics.asked("squad").metrics[0]
    assert (squad.title, squad.families, squad.scale) == ("exact_match", (ANSWERS,), "0 to 100")


def test_exact_match_says_how():
    assert EXACT.signed(EqualOptions()) == ()
    assert EXACT.signed(EqualOptions(ignore_case=True, ignore_space=True)) == ("ignore_case:yes", "ignore_space:yes")
    with pytest.raises(UsageError) as caught:
        exact("exact_match:ignore_cas=true", ["a"], [["a"]])
    assert caught.value.hint == "did you mean ignore_case?"


TEXTS = [
    "the cat the cat the cat the cat",  # 2 of 8, 2 of 7, 2 of 6, 2 of 5
    "One two, three four!",  # all
    "no no",  # 1 of 2, 1 of 1
    "",
]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("distinct_1", (2 / 8 + 1 + 1 / 2) / 3),
        ("distinct_2", (2 / 7 + 1 + 1) / 3),
        ("distinct_3", (2 / 6 + 1) / 2),
        ("repetition", (3 / 5 + 0) / 2),
    ],
)
def test_diversity(name, value):
    score = diversity(name, TEXTS)
    assert score.value == pytest.approx(value, abs=1e-12)
    assert score.low <= score.value <= score.high
    assert metrics.get(name).better == ("lower" if name == "repetition" else "higher")


def test_short_texts_have_no_diversity():
    assert diversity("distinct_1", ["a", "b"]).value == 1
    assert math.isnan(diversity("distinct_2", ["a", "b", ""]).value)
    assert math.isnan(diversity("repetition", ["a b c", "?"]).value)


def test_diversity_is_of_any_script():
    assert diversity("distinct_1", ["हो हो।", "好好"]).value == 0.5


def test_parts_are_the_whole():
    whole = DIVERSITY.reduce(TEXTS, [[]] * 4, DIVERSITY.options())
    parts = [DIVERSITY.reduce(TEXTS[at], [[]] * 4, DIVERSITY.options()) for at in (slice(1), slice(1, 1), slice(1, 4))]
    for name, column in whole.columns.items():
        np.testing.assert_array_equal(np.concatenate([part.columns[name] for part in parts]), column)
    assert whole.columns["words"].tolist() == [8, 4, 2, 0]
