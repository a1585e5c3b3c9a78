"""Metrics against numbers of scikit-learn 1.9.1 and scipy 1.17.1; intervals against the definition of a bootstrap."""

import math
import time

import numpy as np
import pytest

from hfcli import metrics
from hfcli.errors import DataError, UsageError
from hfcli.metrics import resampling
from hfcli.metrics.base import objects


def sets(text: str) -> np.ndarray:
    return np.array([[digit == "1" for digit in row] for row in text.split()])


LABELS = (
    [0, 1, 0, 2, 1, 1, 0, 1, 1, 2, 2, 2, 1, 0, 1, 2, 0, 3, 2, 0],
    [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 0, 1, 2, 2, 3, 3, 0],
)
ABSENT = ([0, 3, 1, 3], [0, 0, 1, 1])  # 2 is nowhere, 3 is predicted and never right
STRINGS = (["a", "b", "b", "b", "c"], ["a", "a", "b", "b", "c"])
SETS = (sets("100 010 000 111 010 001 011 110 001 100"), sets("110 010 000 101 011 100 010 111 001 000"))
VALUES = ([3.0, -0.5, 2.0, 7.0, 1.5, -2.0, 4.0, 5.0, 9.0, 1.5], [2.5, 0.0, 2.0, 8.0, 1.5, -3.0, 4.25, 4.25, 7.0, 0.5])
SECOND = [0.9, 0.2, 0.65, 0.3, 0.5, 0.5, 0.8, 0.05, 0.45, 0.7, 0.35, 0.99]
BINARY = ([[1 - p, p] for p in SECOND], [1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1])
ROWS = "70 20 10|10 80 10|30 30 40|5 5 90|50 25 25|20 50 30|40 35 25|15 60 25|30 10 60|60 30 10"
THREE = ([[int(percent) / 100 for percent in row.split()] for row in ROWS.split("|")], [0, 1, 2, 2, 1, 1, 0, 2, 2, 0])
# The five records fall into two bins: sure of 0.5 and right in 1 of 2; sure of 0.9, 0.9 and 0.88 and right in 2 of 3.
CALIBRATION = (
    [[0.5, 0.3, 0.2], [0.3, 0.5, 0.2], [0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.07, 0.05, 0.88]],
    [0, 0, 0, 1, 0],
)
# By hand; F1 of the first: 1, 4/5, 2/3, 0, 2/3; of the second, by the rules of SQuAD 2.0: 1, 1, 0, 1, 2/3.
ANSWERS = (
    objects(["The Eiffel Tower", "in Paris, France", "1889", None, "blue red red"]),
    objects([["Eiffel tower!"], ["Paris", "Paris France"], ["1887", "in 1889"], ["x"], ["red red green", "red"]]),
)
NO_ANSWERS = (
    objects(["", None, "Paris", "no", "the river"]),
    objects([[], [], [], ["No."], ["Seine", "River Seine"]]),
)

TAGS = tuple(
    objects([sentence.split() for sentence in side.split("|")])
    for side in (
        "B-PER I-PER O B-LOC|O I-LOC I-LOC O|B-PER B-PER O|O O|B-ORG I-LOC O I-PER|B-LOC I-LOC I-LOC I-LOC",
        "B-PER I-PER O B-LOC|O B-LOC I-LOC O|B-PER I-PER O|O O|B-ORG I-ORG O B-PER|B-LOC I-LOC O B-MISC",
    )
)

# scikit-learn 1.9.1 (zero_division=0) for classes and probabilities, scipy 1.17.1 for correlations, and for the
# calibration error, which neither has, the definition by hand: |0.5 - 1.0/2| * 2/5 + |2/3 - 2.68/3| * 3/5.
GOLDEN = {
    "accuracy": [(LABELS, 0.65), (ABSENT, 0.5), (STRINGS, 0.8)],
    "balanced_accuracy": [(LABELS, 0.620238095238), (ABSENT, 0.5), (STRINGS, 0.833333333333)],
    "matthews_correlation": [(LABELS, 0.507143219026), (ABSENT, 0.4472135955), (STRINGS, 0.734968415259)],
    "subset_accuracy": [(SETS, 0.3)],
    "f1_macro": [(LABELS, 0.648268398268), (ABSENT, 0.444444444444), (STRINGS, 0.822222222222), (SETS, 0.683333333333)],
    "f1_micro": [(LABELS, 0.65), (SETS, 0.692307692308)],
    "f1_weighted": [(LABELS, 0.65303030303), (ABSENT, 0.666666666667), (SETS, 0.692307692308)],
    "precision_macro": [(LABELS, 0.720238095238), (ABSENT, 0.666666666667), (SETS, 0.683333333333)],
    "precision_micro": [(LABELS, 0.65), (SETS, 0.692307692308)],
    "precision_weighted": [(LABELS, 0.675), (ABSENT, 1.0), (SETS, 0.692307692308)],
    "recall_macro": [(LABELS, 0.620238095238), (ABSENT, 0.333333333333), (SETS, 0.683333333333)],
    "recall_micro": [(LABELS, 0.65), (SETS, 0.692307692308)],
    "recall_weighted": [(LABELS, 0.65), (ABSENT, 0.5), (SETS, 0.692307692308)],
    "mse": [(VALUES, 0.8125)],
    "mae": [(VALUES, 0.7)],
    "pearson": [(VALUES, 0.965136446324)],
    "spearman": [(VALUES, 0.981707317073)],
    "auc": [(BINARY, 0.785714285714), (THREE, 0.876984126984)],
    "log_loss": [(BINARY, 0.531503549621), (THREE, 0.700514762499)],
    "calibration_error": [(CALIBRATION, 0.136)],
    "entity_precision": [(TAGS, 0.444444444444)],
    "entity_recall": [(TAGS, 0.5)],
    "entity_f1": [(TAGS, 0.470588235294)],
    "entity_f1_macro": [(TAGS, 0.285714285714)],
    "token_accuracy": [(TAGS, 0.714285714286)],
    "token_f1": [(TAGS, 0.592592592593)],
    "exact_match": [(ANSWERS, 20.0), (NO_ANSWERS, 60.0)],
    "f1": [(ANSWERS, 62.666666666667), (NO_ANSWERS, 73.333333333333)],
}
CASES = [(name, *data, value) for name, cases in GOLDEN.items() for data, value in cases]


def test_every_metric_has_a_golden_number():
    """Those of texts, which are reduced before they are arrays, have theirs in files of their own."""
    assert set(GOLDEN) == {name for name in metrics.names() if any(each.read for each in metrics.get(name).families)}


@pytest.mark.parametrize(("name", "predictions", "references", "value"), CASES)
def test_scores_are_those_of_the_reference(name, predictions, references, value):
    score = metrics.score(name, predictions, references)
    assert score.value == pytest.approx(value, abs=1e-11)
    assert score.low <= score.high
    assert score.n == len(references)


@pytest.mark.parametrize(("name", "predictions", "references", "_"), CASES)
def test_a_resample_scores_as_its_records_written_out(name, predictions, references, _):
    metric, predictions, references = metrics.get(name), np.array(predictions), np.array(references)
    kinds = next(found for each in metric.families if (found := each.read(predictions, references)))
    drawn = np.random.default_rng(3).integers(len(references), size=(30, len(references)))
    width = kinds.of.max() + 1
    weights = np.stack([np.bincount(kinds.of[row], minlength=width) for row in drawn]).astype(float)
    written_out = [metrics.score(name, predictions[row], references[row], resamples=1).value for row in drawn]
    np.testing.assert_allclose(metric.function(kinds.sample(weights)), written_out, atol=1e-12)


@pytest.mark.parametrize("few", [True, False], ids=["few kinds", "many kinds"])
def test_resamples_have_the_law_of_drawing_records(few):
    kinds = np.repeat([0, 1, 2], [160, 30, 10] if few else [16, 3, 1])
    n, share = len(kinds), np.array([0.8, 0.15, 0.05])
    weights = np.concatenate(list(resampling.weights(kinds, 20_000, seed=5)))
    assert (weights.sum(axis=1) == n).all()
    np.testing.assert_allclose(weights.mean(axis=0) / n, share, atol=0.005)
    np.testing.assert_allclose(np.cov(weights.T) / n, np.diag(share) - np.outer(share, share), atol=0.01)
    chance_of_none = (1 - share[2]) ** n
    assert (weights[:, 2] == 0).mean() == pytest.approx(chance_of_none, abs=0.02)


@pytest.mark.parametrize("copies", [1, 100], ids=["many kinds", "few kinds"])
def test_resamples_do_not_depend_on_how_many_are_drawn_at_once(copies, monkeypatch):
    kinds = np.repeat(np.arange(40), copies)
    at_once = np.concatenate(list(resampling.weights(kinds, 50, seed=1)))
    monkeypatch.setattr(resampling, "BLOCK_COUNTS", 7 * 40)
    monkeypatch.setattr(resampling, "PIECE_COUNTS", 3 * 40)
    blocks = list(resampling.weights(kinds, 50, seed=1))
    assert [len(block) for block in blocks] == [7] * 7 + [1]
    np.testing.assert_array_equal(np.concatenate(blocks), at_once)


def test_the_interval_of_an_accuracy_is_the_binomial_one():
    references = np.arange(2500) % 2
    predictions = np.where(np.arange(2500) < 2350, references, 1 - references)
    score = metrics.score("accuracy", predictions, references)
    half = 1.96 * math.sqrt(0.94 * 0.06 / 2500)
    assert score.value == 0.94
    assert (score.low, score.high) == pytest.approx((0.94 - half, 0.94 + half), abs=0.001)
    assert metrics.score("accuracy", predictions, references) == score
    assert metrics.score("accuracy", predictions, references, seed=1) != score
    narrow = metrics.score("accuracy", predictions, references, confidence=0.5)
    assert score.low < narrow.low < 0.94 < narrow.high < score.high


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng, truth, inside = np.random.default_rng(8), 0.5, 0
    for seed in range(200):
        x = rng.normal(size=150)
        y = truth * x + math.sqrt(1 - truth**2) * rng.normal(size=150)
        score = metrics.score("pearson", x, y, confidence=0.9, resamples=300, seed=seed)
        inside += score.low <= truth <= score.high
    assert 165 <= inside <= 194


def test_many_records_take_little_time():
    rng = np.random.default_rng(0)
    references = rng.integers(10, size=25_000)
    predictions = np.where(rng.random(25_000) < 0.9, references, rng.integers(10, size=25_000))
    for name in ("accuracy", "f1_macro"):
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            metrics.score(name, predictions, references)
            seconds.append(time.perf_counter() - start)
        assert min(seconds) < 0.15


NAN = pytest.approx(math.nan, nan_ok=True)
ONE_SET = np.array([[False, False]])


@pytest.mark.parametrize(
    ("name", "predictions", "references", "expected"),
    [
        ("accuracy", [4], [4], (1, 1, 1, 1)),
        ("f1_macro", [1], [0], (0, 0, 0, 1)),
        ("balanced_accuracy", [0, 0, 0], [0, 0, 0], (1, 1, 1, 3)),
        ("matthews_correlation", [0, 0, 0], [0, 1, 0], (0, 0, 0, 3)),
        ("f1_micro", ONE_SET, ONE_SET, (NAN, NAN, NAN, 1)),
        ("f1_macro", ONE_SET, ONE_SET, (NAN, NAN, NAN, 1)),
        ("subset_accuracy", ONE_SET, ONE_SET, (1, 1, 1, 1)),
        ("pearson", [1.0], [2.0], (NAN, NAN, NAN, 1)),
        ("pearson", [0.1, 0.1, 0.1], [1.0, 2.0, 3.0], (NAN, NAN, NAN, 3)),
        ("pearson", [1e9 + 1, 1e9 + 2, 1e9 + 3], [1.0, 2.0, 3.0], (1, 1, 1, 3)),
        ("spearman", [7.0, 7.0, 7.0], [1.0, 2.0, 3.0], (NAN, NAN, NAN, 3)),
        ("auc", [[0.4, 0.6], [0.5, 0.5]], [1, 1], (NAN, NAN, NAN, 2)),
        ("log_loss", [[1.0, 0.0]], [1], (-math.log(2**-52),) * 3 + (1,)),
        ("calibration_error", [[1.0, 0.0]], [0], (0, 0, 0, 1)),
    ],
)
def test_extremes_have_a_defined_score(name, predictions, references, expected):
    assert tuple(metrics.score(name, predictions, references)) == expected


def test_a_class_without_records_is_left_out_of_macro_averages():
    """Also of resamples: three records, of two classes, are often drawn without one of them."""
    score = metrics.score("f1_macro", [0, 0, 7], [0, 0, 7])
    assert score == (1, 1, 1, 3)
    assert metrics.score("f1_macro", sets("1000 0010"), sets("1000 0010")).value == 1


@pytest.mark.parametrize(
    ("name", "predictions", "references", "sentence"),
    [
        ("accuracy", [0, 1], [0, 1, 1], "2 predictions for 3 references; accuracy needs one for each"),
        ("mse", [], [], "no records to measure mse on; at least one is needed"),
        ("accuracy", [0, 1], [0, -1], "a label is -1; records without a label cannot be measured"),
        ("mse", [0.5, math.nan], [0, 1], "prediction 2 is nan; only finite numbers can be measured"),
        ("pearson", [0.5, 1], [math.inf, 1], "reference 1 is inf; only finite numbers can be measured"),
        ("auc", [[0.5, 0.7]], [0], r"the probabilities of record 1 are \[0.5, 0.7\]; they are to sum to 1"),
        ("auc", [[0.5, 0.5], [1.5, -0.5]], [0, 0], r"the probabilities of record 2 are \[1.5, -0.5\]"),
        ("log_loss", [[0.5, 0.5]], [2], "the label of record 1 is 2; there are probabilities of 0 to 1"),
        ("accuracy", ["a"], [1], "accuracy reads labels; the predictions are <U1 .* and references int64"),
        ("f1_macro", [0.5], [1], "f1_macro reads labels or label_sets; the predictions are float64"),
    ],
)
def test_what_cannot_be_measured_is_said(name, predictions, references, sentence):
    with pytest.raises(DataError, match=f"^{sentence}"):
        metrics.score(name, predictions, references)


def test_names_are_found_by_what_they_read():
    assert "mse" in metrics.names("values")
    assert "f1_macro" in set(metrics.names("labels")) & set(metrics.names("label_sets"))
    assert metrics.names("probabilities") == ["auc", "log_loss", "calibration_error"]
    assert metrics.get("mse").better == "lower"
    assert metrics.get("f1_micro").reads == ("labels", "label_sets")
    with pytest.raises(UsageError, match="no metric f1-macro; there is accuracy") as error:
        metrics.get("f1-macro")
    assert error.value.hint == "did you mean f1_macro?"


def test_the_report_says_what_each_class_is_read_as():
    references = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    predictions = np.array([0, 0, 3, 1, 3, 3, 1, 0])
    neg, pos, _, other = metrics.report(predictions, references, ["neg", "pos", "never", "other"])
    assert neg["read_as"] == [("other", 3), ("pos", 1)]
    assert (neg["n"], neg["precision"], neg["recall"], neg["f1"]) == (6, 2 / 3, 1 / 3, 4 / 9)
    assert pos == {"label": "pos", "precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2, "read_as": [("neg", 1)]}
    assert other == {"label": "other", "precision": 0, "recall": 0, "f1": 0, "n": 0, "read_as": []}
    assert metrics.confusion(predictions, references, 4).tolist() == [[2, 1, 0, 3], [1, 1, 0, 0], [0] * 4, [0] * 4]


def test_the_report_of_sets_counts_each_class_by_itself():
    rows = metrics.report(*SETS, ["x", "y", "z"])
    assert [row["n"] for row in rows] == [4, 5, 4]
    assert np.mean([row["f1"] for row in rows]) == pytest.approx(metrics.score("f1_macro", *SETS).value)
    assert all(row["read_as"] == [] for row in rows)
