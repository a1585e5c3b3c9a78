"""Which column is which field, on the columns of data sets that exist."""

import pytest

from hfcli.errors import DataError, UsageError
from hfcli.tasks import text_classification
from hfcli.tasks._columns import find, kind_of

TEXTS = [f"This is text number {i}, and it says so." for i in range(12)]
OTHERS = [f"Another one, the {i}th." for i in range(12)]
TITLES = [f"Title {i} here" for i in range(12)]
IDS = list(range(100, 112))
TWO = [0, 1] * 6
FEW = ["billing", "login", "shipping"] * 4
SCORES = [i / 7 for i in range(12)]
DATES = [f"2024-03-{i + 1:02}" for i in range(12)]


def columns(samples, class_names=None, need_target=True, **given):
    found = find(samples, text_classification.TASK, given, class_names or {}, need_target)
    return tuple(found[name] for name in ("text", "text_pair", "label"))


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ({"text": TEXTS, "label": TWO}, ("text", None, "label")),  # imdb, ag_news, yelp, tweet_eval
        ({"idx": IDS, "sentence": TEXTS, "label": TWO}, ("sentence", None, "label")),  # sst2
        (
            {"sentence1": TEXTS, "sentence2": OTHERS, "label": TWO, "idx": IDS},
            ("sentence1", "sentence2", "label"),
        ),  # rte
        (
            {"premise": TEXTS, "hypothesis": OTHERS, "label": TWO, "idx": IDS},
            ("premise", "hypothesis", "label"),
        ),  # mnli
        (
            {"question1": TEXTS, "question2": OTHERS, "label": TWO, "idx": IDS},
            ("question1", "question2", "label"),
        ),  # qqp
        ({"question": TEXTS, "sentence": OTHERS, "label": TWO, "idx": IDS}, ("question", "sentence", "label")),  # qnli
        ({"question": TEXTS, "passage": OTHERS, "idx": IDS, "label": TWO}, ("question", "passage", "label")),  # boolq
        ({"label": TWO, "title": TITLES, "content": TEXTS}, ("content", None, "label")),  # dbpedia_14
        ({"text": TEXTS, "labels": [[0, 2], [1]] * 6, "id": DATES}, ("text", None, "labels")),  # go_emotions
        ({"sentence1": TEXTS, "sentence2": OTHERS, "score": SCORES}, ("sentence1", "sentence2", "score")),  # sts-b
        ({"text": TEXTS, "label": TWO, "label_text": FEW}, ("text", None, "label")),  # SetFit
        ({"review": TEXTS, "sentiment": FEW}, ("review", None, "sentiment")),
        ({"Message": TEXTS, "Category": FEW}, ("Message", None, "Category")),
        ({"id": IDS, "date": DATES, "body": TEXTS, "queue": FEW}, ("body", None, "queue")),
        ({"id": IDS, "date": DATES, "complaint": TEXTS, "queue": FEW}, ("complaint", None, "queue")),
        ({"": [str(i) for i in range(12)], "a": TEXTS, "b": FEW}, ("a", None, "b")),  # pandas' index
        ({"a": TEXTS, "b": SCORES}, ("a", None, "b")),
        ({"a": TEXTS, "b": ["0", "1"] * 6, "c": IDS}, ("a", None, "b")),
        ({"a": ["ok"] * 6 + ["no"] * 6, "b": TEXTS}, ("b", None, "a")),
        ({"text": TEXTS, "sentence": OTHERS, "label": TWO, "category": FEW}, ("text", None, "label")),  # exact names
        ({"TEXT": OTHERS, "text": TEXTS, "Label": FEW, "LABEL": TWO, "label": TWO}, ("text", None, "label")),
        ({"text": TEXTS, "text_pair": OTHERS, "label": TWO}, ("text", "text_pair", "label")),
        ({"text": ["a b", "c d", "e f"], "sentiment": ["pos", "neg", "mixed"]}, ("text", None, "sentiment")),  # tiny
    ],
)
def test_columns_of_known_data_sets(samples, expected):
    assert columns(samples) == expected


def test_named_classes_are_the_label():
    samples = {"a": TEXTS, "b": TWO, "c": TWO}
    assert columns(samples, {"c": ("x", "y")}) == ("a", None, "c")
    assert columns({**samples, "stars": FEW, "topic": TWO}, {"topic": ("x", "y")})[2] == "topic"


RTE = {"sentence1": TEXTS, "sentence2": OTHERS, "label": TWO, "other": FEW}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"text_pair": ""}, ("sentence1", None, "label")),
        ({"text": "sentence2"}, ("sentence2", None, "label")),
        ({"text": "SENTENCE1"}, ("sentence1", "sentence2", "label")),
        ({"text": "sentence2", "text_pair": "sentence1"}, ("sentence2", "sentence1", "label")),
        ({"text_pair": "sentence2"}, ("sentence1", "sentence2", "label")),
        ({"label": "other"}, ("sentence1", "sentence2", "other")),
    ],
)
def test_flags_decide(given, expected):
    assert columns(RTE, **given) == expected


def test_the_second_text_goes_with_the_first_that_a_flag_names():
    samples = {**RTE, "premise": TITLES, "hypothesis": DATES}
    assert columns(samples, text="premise") == ("premise", "hypothesis", "label")
    assert columns(samples, text_pair="hypothesis") == ("premise", "hypothesis", "label")


def test_a_column_is_one_field_only():
    samples = {"question": TEXTS, "answer": ["yes", "no"] * 6}
    assert columns(samples, label="answer") == ("question", None, "answer")


@pytest.mark.parametrize(
    ("given", "said", "hint"),
    [
        (
            {"text": "sentense1"},
            "--text-column: no column sentense1; there is sentence1 (text)",
            "did you mean sentence1?",
        ),
        ({"label": "klass"}, "--label-column: no column klass; there is", None),
        ({"text": ""}, "--text-column '' names no column", None),
    ],
)
def test_flags_name_columns_that_are_there(given, said, hint):
    with pytest.raises(UsageError) as error:
        columns(RTE, **given)
    assert said in error.value.message
    assert error.value.hint == hint


@pytest.mark.parametrize(
    ("samples", "said", "hint"),
    [
        (
            {"a": TEXTS, "b": OTHERS, "label": TWO},
            "several columns could be the text: a (text), b (text)",
            "--text-column a, or --text-column b",
        ),
        (
            {"text": TEXTS, "coarse_label": TWO, "fine_label": FEW},
            "several columns could be the label: coarse_label (2 different whole numbers), fine_label (3 different texts)",
            "--label-column coarse_label, or --label-column fine_label",
        ),
        (
            {"text": TEXTS, "idx": TWO},
            "no column looks like the label; there is text (text), idx (2 different",
            "--label-column NAME",
        ),
        ({"n": IDS, "label": TWO}, "no column looks like the text; there is n (whole numbers)", "--text-column NAME"),
        ({}, "no column looks like the text; there is none", "--text-column NAME"),
    ],
)
def test_what_is_ambiguous_or_missing_lists_the_columns(samples, said, hint):
    with pytest.raises(DataError) as error:
        columns(samples)
    assert said in error.value.message
    assert error.value.hint == hint


def test_without_need_the_target_may_be_missing_or_ambiguous():
    assert columns({"text": ["one"]}, need_target=False) == ("text", None, None)
    assert columns({"line": ["one"]}, need_target=False) == ("line", None, None)
    assert columns({"text": TEXTS, "stars": TWO, "topic": FEW}, need_target=False) == ("text", None, None)
    assert columns({"text": TEXTS, "Label": TWO, "LABEL": TWO}, need_target=False) == ("text", None, None)
    assert columns({"text": TEXTS, "label": TWO}, need_target=False) == ("text", None, "label")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (TEXTS, "text"),
        (FEW, "3 different texts"),
        (DATES, "codes"),
        (IDS, "whole numbers"),
        (["1", "2", "3"], "whole numbers"),
        (["1.5", "2"], "numbers"),
        (TWO, "2 different whole numbers"),
        ([True, False] * 2, "2 different truth values"),
        ([["a"], ["b", "c"]], "lists"),
        ([{"a": 1}], "objects"),
        ([None, ""], "nothing"),
        (["a b", 1], "a mixture"),
        (["good, 3 of 5", "4", "bad"], "text"),
        (["日本語のテキスト", "短い"], "text"),
    ],
)
def test_kinds_in_words(values, kind):
    assert kind_of(values) == kind
    assert kind_of(["a"], ("x", "y")) == "2 classes"
