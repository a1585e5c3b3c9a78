"""What a column of labels means, and what of it a model learns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfcli.errors import DataError
from hfcli.tasks._labels import Labels, Targets, infer

SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"
NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "class_names", "expected"),
    [
        ([0, 1, 1], ("neg", "pos"), Labels(SINGLE, ("neg", "pos"))),
        ([0, 0, 0, -1], ("neg", "pos", "neutral"), Labels(SINGLE, ("neg", "pos", "neutral"))),
        (["pos", "neg"] * 3, (), Labels(SINGLE, ("neg", "pos"))),
        ([10, 2, 1] * 3, (), Labels(SINGLE, ("1", "2", "10"))),
        (["10", "2", "1"] * 3, (), Labels(SINGLE, ("1", "2", "10"))),
        (["grade 10", "grade 9", "Grade 2"], (), Labels(SINGLE, ("Grade 2", "grade 9", "grade 10"))),
        (["0", "1", "-1", ""], (), Labels(SINGLE, ("0", "1"))),
        ([0, 1, -1, None], (), Labels(SINGLE, ("0", "1"))),
        ([True, False, None], (), Labels(SINGLE, ("false", "true"))),
        (["True", "False"], (), Labels(SINGLE, ("False", "True"))),
        ([0.5, 1.0, -1.0, NAN], (), Labels(REGRESSION, ())),
        (["5.000", "3.800", ""], (), Labels(REGRESSION, ())),
        ([[0, 2], [], [1]], ("joy", "fear", "anger"), Labels(MULTI, ("joy", "fear", "anger"))),
        ([[10], [2, 1], None, [-1]], (), Labels(MULTI, ("1", "2", "10"))),
        ([["sports"], ["politics", "sports"]], (), Labels(MULTI, ("politics", "sports"))),
        (['["b", "a"]', "['c']", "[]"], (), Labels(MULTI, ("a", "b", "c"))),
        (list(range(30)), (), Labels(SINGLE, tuple(str(i) for i in range(30)))),
        (list(range(100)) * 5, (), Labels(SINGLE, tuple(str(i) for i in range(100)))),
    ],
)
def test_what_labels_mean(values, class_names, expected):
    assert infer(values, class_names, None, ()) == expected


@pytest.mark.parametrize(
    ("values", "problem_type", "expected"),
    [
        ([1.0, 2.0, 10.0], SINGLE, Labels(SINGLE, ("1", "2", "10"))),
        ([1.0, 2.0, -1.0], REGRESSION, Labels(REGRESSION, ())),
        (range(100), SINGLE, Labels(SINGLE, tuple(str(i) for i in range(100)))),
        (range(100), REGRESSION, Labels(REGRESSION, ())),
        (["a, b", "c", ""], MULTI, Labels(MULTI, ("a", "b", "c"))),
        ([0.5, 0.25], SINGLE, Labels(SINGLE, ("0.25", "0.5"))),
    ],
)
def test_problem_type_decides_what_is_ambiguous(values, problem_type, expected):
    assert infer(values, (), problem_type, ()) == expected


@pytest.mark.parametrize(
    ("values", "said", "hint"),
    [
        ([1.0, 2.0, 5.0], "labels such as 1.0, 2.0, 5.0 are classes or amounts", "--problem-type"),
        (["1.0", "2.0"], "labels such as '1.0', '2.0' are classes or amounts", "--problem-type"),
        (list(range(100)) * 4, "100 different whole numbers in 400 labels are classes or amounts", "--problem-type"),
        ([f"text {i}" for i in range(50)], "50 different values in 50 records are hardly labels", "--label-column"),
        ([[0, 0, 1], [1, 0, 0]], "[0, 0, 1] have a 0 or 1 for each class", "[2] in place of [0, 0, 1]"),
        (["a", ["b"]], "some labels are lists, some are not: ['b'] and 'a'", None),
        ([None, "", -1, "-1", NAN], "there is no label", None),
        ([1, 1, -1], "all labels are the same, 1: there is nothing to learn; -1 stands for unlabelled", None),
        ([{"a": 1}, {"b": 2}], "there are objects among the labels; a label is a text", None),
    ],
)
def test_what_is_ambiguous_or_wrong_lists_what_is_there(values, said, hint):
    with pytest.raises(DataError) as error:
        infer(values, (), None, ())
    assert said in error.value.message
    assert hint is None or hint in error.value.hint


def test_numbers_are_wanted_for_regression():
    """Of some that are none, whoever reads them says where they stand."""
    with pytest.raises(DataError, match="'good' is not a number"):
        infer(["good", "bad"], (), REGRESSION, ())
    labels = infer([1.5, "good"], (), REGRESSION, ())
    with pytest.raises(DataError, match="'good' is not a number"):
        Targets(labels)("good")


@pytest.mark.parametrize(
    ("values", "class_names", "names"),
    [
        (["pos", "neg"], (), ("POSITIVE", "NEGATIVE")),  # other names: those of the data
        (["Negative", "positive"], (), ("POSITIVE", "NEGATIVE")),
        ([0, 1], ("negative", "positive"), ("POSITIVE", "NEGATIVE")),
        ([1, 0], (), ("POSITIVE", "NEGATIVE")),
        (["1", "0"], (), ("POSITIVE", "NEGATIVE")),
        ([0, 1], ("0", "1"), ("POSITIVE", "NEGATIVE")),
        ([1, 2], (), ("POSITIVE", "NEGATIVE")),
        (["positive", "neutral", "negative"], (), ("POSITIVE", "NEGATIVE")),
    ],
)
def test_labels_that_the_model_knows_keep_its_order_and_spelling(values, class_names, names):
    found = infer(values, class_names, None, names).names
    known = {str(value).casefold() for value in (class_names or values)} in ({"negative", "positive"}, {"0", "1"})
    assert (found == names) == known


def test_targets_are_matched_by_name_not_by_place():
    targets = Targets(infer([0, 1], ("negative", "positive"), None, ("POSITIVE", "NEGATIVE")), ("negative", "positive"))
    assert [targets(0), targets(1), targets("positive"), targets(-1), targets(None)] == [1, 0, 0, None, None]


@pytest.mark.parametrize(
    ("labels", "value", "expected"),
    [
        (Labels(SINGLE, ("1", "2", "10")), 10, 2),
        (Labels(SINGLE, ("1", "2", "10")), "10", 2),
        (Labels(SINGLE, ("1", "2", "10")), 10.0, 2),
        (Labels(SINGLE, ("neg", "pos")), 1, 1),  # ids of a data set without names
        (Labels(SINGLE, ("neg", "pos")), "1", 1),
        (Labels(SINGLE, ("neg", "pos")), "POS", 1),
        (Labels(SINGLE, ("Login", "login")), "login", 1),
        (Labels(SINGLE, ("false", "true")), True, 1),
        (Labels(SINGLE, ("neg", "pos")), "-1", None),
        (Labels(SINGLE, ("neg", "pos")), "", None),
        (Labels(SINGLE, ("neg", "pos")), NAN, None),
        (Labels(MULTI, ("a", "b", "c")), ["c", "a"], [0, 2]),
        (Labels(MULTI, ("a", "b", "c")), "c, a", [0, 2]),
        (Labels(MULTI, ("a", "b", "c")), [2, 2], [2]),
        (Labels(MULTI, ("a", "b", "c")), [], []),
        (Labels(MULTI, ("a", "b", "c")), None, None),
        (Labels(REGRESSION, ()), -1, -1.0),
        (Labels(REGRESSION, ()), "3.8", 3.8),
        (Labels(REGRESSION, ()), "", None),
    ],
)
def test_target_of_a_cell(labels, value, expected):
    assert Targets(labels)(value) == expected


@pytest.mark.parametrize(
    ("labels", "value", "said"),
    [
        (Labels(SINGLE, ("neg", "pos")), "poss", "'poss' is not a label; there is neg, pos"),
        (Labels(SINGLE, ("neg", "pos")), 2, "2 is not a label"),
        (Labels(SINGLE, ("1", "2")), 0, "0 is not a label"),
        (Labels(SINGLE, ("Login", "login")), "LOGIN", "'LOGIN' is not a label"),
        (Labels(SINGLE, ("neg", "pos")), ["pos"], "['pos'] is not one label"),
        (Labels(SINGLE, ("neg", "pos")), {"a": 1}, "{'a': 1} is not"),
        (Labels(MULTI, ("1", "2")), [-1], "-1 is not a label"),
        (Labels(MULTI, ("a", "b")), ["z"], "'z' is not a label"),
        (Labels(MULTI, ("a", "b")), [["a"]], "['a'] is not a label"),
        (Labels(REGRESSION, ()), "high", "'high' is not a number"),
        (Labels(REGRESSION, ()), "inf", "'inf' is not a number"),
        (Labels(REGRESSION, ()), True, "True is not a number"),
    ],
)
def test_what_is_no_label_is_said(labels, value, said):
    with pytest.raises(DataError) as error:
        Targets(labels)(value)
    assert said in error.value.message


def test_class_ids_out_of_range_are_no_labels():
    with pytest.raises(DataError, match="2 is not a label"):
        Targets(Labels(SINGLE, ("neg", "pos")), ("neg", "pos"))(2)
    with pytest.raises(DataError, match="-2 is not a label"):
        Targets(Labels(SINGLE, ("neg", "pos")), ("neg", "pos"))(-2)


def test_a_near_name_is_offered():
    with pytest.raises(DataError) as error:
        Targets(Labels(SINGLE, ("shipping", "billing")))("shiping")
    assert error.value.hint == "did you mean shipping?"


@given(st.lists(st.text(max_size=5) | st.integers() | st.booleans(), min_size=1, max_size=20))
def test_every_cell_that_is_a_label_has_a_target(values):
    try:
        labels = infer(values, (), SINGLE, ())
    except DataError:
        return
    targets = Targets(labels)
    for value in values:
        target = targets(value)
        assert (target is None) == (value in (-1, "-1", ""))
