"""Questions and passages to features, and outputs to answers, with numpy and a tokenizer alone."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from hfcli.errors import DataError, ModelError, UsageError
from hfcli.runtime import calibration
from hfcli.tasks import _answers, _passages, _spans, question_answering
from hfcli.tasks._passages import Passages
from hfcli.tasks.base import Settings, Setup
from tests.tiny import TEXT, WORDS, Models

WORD_LIST = WORDS.split()


class Config:
    model_type = "bert"


def words(**special):
    return Models(None)._words(**special)


def byte_level(cls="</s>", **special):
    """Byte-level BPE that puts one token before, one between and one behind, as RoBERTa does."""
    from tokenizers import processors

    tokenizer = Models(None)._tokenizer(model_max_length=64, **special)
    tokenizer.backend_tokenizer.post_processor = processors.RobertaProcessing(("</s>", 0), (cls, 0), trim_offsets=True)
    return tokenizer


def metaspace():
    """Pieces of a unigram model with context first, padding and CLS at the wrong end, as XLNet has it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = [("<unk>", 0.0), ("<sep>", 0.0), ("<cls>", 0.0), ("<pad>", 0.0), ("\u2581", -3.0)]
    pieces += [(f"\u2581{word}", -5.0) for word in dict.fromkeys(TEXT.split())]
    pieces += [(letter, -8.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A:0 <sep>:0 <cls>:2", pair="$A:0 <sep>:0 $B:1 <sep>:1 <cls>:2",
        special_tokens=[("<sep>", 1), ("<cls>", 2)],
    )  # fmt: skip
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", sep_token="<sep>", cls_token="<cls>", pad_token="<pad>",
        padding_side="left", model_max_length=64,
    )  # fmt: skip


class XLNetConfig:
    model_type = "xlnet"


KINDS = {"words": (words, Config), "bytes": (byte_level, Config), "pieces": (metaspace, XLNetConfig)}


def setup(kind="words", length=24, stride=6, **changes):
    make, config = KINDS[kind]
    chosen = Settings("question-answering", {}, max_length=length, on_long="window", doc_stride=stride, **changes)
    return Setup(make(), config(), chosen, (), 512)


def features(question, context, made, answers=None):
    record = {"question": question, "context": context}
    if answers is not None:
        record["answers"] = answers
    return next(question_answering.encode([record], made))


def random_words(rng, n):
    return " ".join(rng.choice(WORD_LIST, n))


@pytest.mark.parametrize("n", [1, 15, 19, 20, 21, 60, 61])
def test_windows_are_those_that_a_tokenizer_makes(n):
    rng, made = np.random.default_rng(n), setup()
    question, context = "is the film good", random_words(rng, n)
    ours = features(question, context, made)
    theirs = made.tokenizer(
        question, context, truncation="only_second", max_length=24, stride=6, return_overflowing_tokens=True,
        return_offsets_mapping=True, split_special_tokens=True,
    )  # fmt: skip
    assert [feature.inputs["input_ids"].tolist() for feature in ours] == theirs["input_ids"]
    assert [feature.inputs["token_type_ids"].tolist() for feature in ours] == theirs["token_type_ids"]
    for i, feature in enumerate(ours):
        place = feature.notes
        inside = [j for j, part in enumerate(theirs.sequence_ids(i)) if part == 1]
        assert inside == list(range(place.first, place.first + len(place.starts)))
        assert list(zip(place.starts, place.ends, strict=True)) == [theirs["offset_mapping"][i][j] for j in inside]


@pytest.mark.parametrize("kind", KINDS)
def test_learnt_positions_point_at_the_answer_or_at_the_null_token(kind):
    made, rng = setup(kind), np.random.default_rng(0)
    text = " ".join(rng.choice(TEXT.split(), 60))
    start = text.index(" ", 120) + 1
    answer = text[start : text.index(" ", start + 5)]
    found = features("where is it", text, made, _answers.Answers((answer,), (start,)))
    hits = 0
    for feature in found:
        first, last = int(feature.labels["start_positions"]), int(feature.labels["end_positions"])
        place = feature.notes
        if first == last == place.null:
            assert not (place.starts[0] <= start and start + len(answer) <= place.ends[-1])
            continue
        hits += 1
        a, b = place.starts[first - place.first], place.ends[last - place.first]
        assert text[a:b].strip() == answer
    assert hits
    nothing = features("where is it", text, made, _answers.Answers((), ()))
    assert all(int(feature.labels["start_positions"]) == feature.notes.null for feature in nothing)


@pytest.mark.parametrize("kind", KINDS)
def test_the_null_token_is_cls_wherever_it_stands_else_bos(kind):
    made = setup(kind)
    row = features("the fox", "the fox ran home", made)[0]
    token = made.tokenizer.convert_ids_to_tokens(int(row.inputs["input_ids"][row.notes.null]))
    assert token == {"words": "[CLS]", "bytes": "</s>", "pieces": "<cls>"}[kind]
    assert row.notes.null == (len(row.inputs["input_ids"]) - 1 if kind == "pieces" else 0)
    bos = made._replace(tokenizer=byte_level(bos_token="</s>"))
    assert features("the fox", "the fox ran home", bos)[0].notes.null == 0


def outputs(rng, found):
    return [rng.normal(size=(len(feature.inputs["input_ids"]), 2)).astype(np.float32) for feature in found]


def brute_force(found, given, longest):
    """The best span, by trying all."""
    best = None
    for feature, output in zip(found, given, strict=True):
        place = feature.notes
        for i in range(len(place.starts)):
            for j in range(i, min(i + longest, len(place.starts))):
                score = float(output[place.first + i, 0]) + float(output[place.first + j, 1])
                if best is None or score > best[0]:
                    best = score, int(place.starts[i]), int(place.ends[j])
    return best


@pytest.mark.parametrize("seed", range(8))
def test_the_answer_is_the_best_span_of_all_windows(seed):
    rng = np.random.default_rng(seed)
    made = setup(max_answer_length=[1, 2, 5, 40][seed % 4])
    context = random_words(rng, 50)
    found = features("is the film good", context, made)
    given = outputs(rng, found)
    said = question_answering.decode({"context": context}, found, given, made)
    score, start, end = brute_force(found, given, made.options.max_answer_length)
    assert (said["start"], said["end"]) == (start, end)
    reading = question_answering.read(context, [f.notes for f in found], given, made.options)
    assert reading.spans[0].score == pytest.approx(score)
    null = min(float(output[0].astype(np.float64).sum()) for output in given)
    assert reading.null_difference == pytest.approx(null - score)


def test_overlapping_windows_never_give_a_span_twice_and_probabilities_are_shared_out():
    rng, made = np.random.default_rng(3), setup(length=20, stride=12)
    context = random_words(rng, 30)
    found = features("good", context, made)
    assert len(found) > 3
    given = [np.zeros((len(feature.inputs["input_ids"]), 2), dtype=np.float32) for feature in found]
    for number, (feature, output) in enumerate(zip(found, given, strict=True)):  # likewise wherever a token is seen
        place = feature.notes
        output[place.first : place.first + len(place.starts)] = np.sin(place.starts)[:, None] - 0.1 * number
    said = question_answering.decode({"context": context}, found, given, made)
    spans = [(each["start"], each["end"]) for each in said["answers"]]
    assert len(set(spans)) == len(spans) == question_answering.N_BEST
    assert sum(each["score"] for each in said["answers"]) == pytest.approx(1)
    reading = question_answering.read(context, [f.notes for f in found], given, made.options)
    for span in reading.spans:  # each with its best score
        seen = [
            number
            for number, f in enumerate(found)
            if {span.start} <= set(f.notes.starts) and span.end <= f.notes.ends[-1]
        ]
        words = [start for start in found[seen[0]].notes.starts if span.start <= start < span.end]
        assert span.score == pytest.approx(np.sin(words[0]) + np.sin(words[-1]) - 0.2 * seen[0], abs=1e-5)
    assert [each["score"] for each in said["answers"]] == sorted(
        (each["score"] for each in said["answers"]), reverse=True
    )


def test_a_question_or_a_special_token_is_never_an_answer():
    made = setup()
    context = "the film was good"
    found = features("is the film good", context, made)
    given = [np.zeros((len(found[0].inputs["input_ids"]), 2), dtype=np.float32)]
    place = found[0].notes
    given[0][: place.first] = given[0][place.first + len(place.starts) :] = 100.0
    given[0][place.first + 2] = 1.0
    said = question_answering.decode({"context": context}, found, given, made)
    assert said["answer"] == "was"


TOKENIZED = {kind: setup(kind, length=16, stride=3) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    text=strategies.text(strategies.characters(exclude_categories=["Cs"]), min_size=1), seed=strategies.integers(0, 99)
)
def test_every_answer_is_an_exact_part_of_its_context(kind, text, seed):
    made = TOKENIZED[kind]
    context = f"{text} the fox {text}"
    try:
        found = features("the fox", context, made)
    except DataError:
        return
    said = question_answering.decode({"context": context}, found, outputs(np.random.default_rng(seed), found), made)
    for each in said["answers"]:
        assert context[each["start"] : each["end"]] == each["answer"]
        assert each["answer"] == each["answer"].strip() != ""


def test_no_answer_is_a_calibrated_probability_and_a_threshold():
    made, context = setup(null_threshold=0.6, null_scale=2.0, null_shift=1.0), "the film was good"
    found = features("politics", context, made)
    place = found[0].notes

    def said(difference):
        output = np.full((len(found[0].inputs["input_ids"]), 2), -50.0, dtype=np.float32)
        output[place.first + 3] = 1.0
        output[0] = (2.0 + difference) / 2
        return question_answering.decode({"context": context}, found, [output], made)

    for difference in (-2.0, -0.5, -0.25, 0.0, 3.0):
        none = 1 / (1 + np.exp(-(2 * difference + 1)))
        answered = said(difference)
        assert answered["no_answer_probability"] == pytest.approx(none)
        assert answered["answer"] == (None if none > 0.6 else "good")
        assert answered["score"] == pytest.approx(none if none > 0.6 else 1 - none)
    always = question_answering.decode({"context": context}, found, outputs(np.random.default_rng(0), found), setup())
    assert always["answer"] is not None
    assert "no_answer_probability" not in always


def test_outputs_that_are_no_numbers_are_the_models_fault():
    made = setup()
    found = features("good", "the film was good", made)
    with pytest.raises(ModelError, match="not numbers"):
        question_answering.decode({"context": "the film was good"}, found, [np.full((9, 2), np.nan, np.float32)], made)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"question": "", "context": "a film"}, "the question is empty"),
        ({"question": "good", "context": " \n"}, "the context is empty"),
        ({"question": "good"}, "column context holds null, not text"),
        ({"question": 3, "context": "a"}, "column question holds a number, not text"),
        ({"question": "good", "context": "a \ud800"}, "lone surrogate"),
        ({"question": "good " * 18, "context": "a film"}, "the question is 18 tokens, which leaves no room"),
    ],
)
def test_what_cannot_be_asked_is_said_after_what_can(record, said):
    encoded = question_answering.encode([{"question": "good", "context": "a film"}, record], setup())
    assert len(next(encoded)) == 1
    with pytest.raises(DataError, match=said):
        next(encoded)


def test_windows_that_overlap_by_all_they_hold_are_refused():
    with pytest.raises(UsageError, match="--doc-stride 30 is not below the 21 tokens"):
        features("good", "a film", setup(stride=30))


class Counting:
    """A tokenizer that counts the characters it was given."""

    def __init__(self, tokenizer):
        self.tokenizer, self.characters = tokenizer, 0

    def __call__(self, texts, *more, **options):
        self.characters += sum(map(len, texts))
        return self.tokenizer(texts, *more, **options)

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)


def test_a_passage_is_tokenised_once_for_all_questions_about_it():
    made = setup()
    counting = Counting(made.tokenizer)
    made, passages, context = made._replace(tokenizer=counting), Passages(counting), "the film was good " * 500
    for asked in (["good", "bad", "fine"], ["lovely"], ["dull", "awful"]):
        list(question_answering.encode([{"question": q, "context": context} for q in asked], made, passages))
    assert counting.characters < len(context) + 1000


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_in_pieces_has_the_tokens_of_the_whole(kind, monkeypatch):
    monkeypatch.setattr(_passages, "_PIECE_CHARACTERS", 200)
    monkeypatch.setattr(_passages, "_LOOK_BACK", 60)
    made, rng = setup(kind), np.random.default_rng(1)
    text = " ".join(rng.choice([*TEXT.split(), "h\u00e9", "\U0001f98a", "5th", "."], 700))
    passages = Passages(made.tokenizer)
    assert len(passages._pieces(text)) > 10
    assert "".join(passages._pieces(text)) == text
    whole = made.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    found = passages.get([text])[0]
    assert found.ids.tolist() == whole["input_ids"]
    assert found.ends.tolist() == [end for _, end in whole["offset_mapping"]]
    shown = [text[a:b].lstrip() for a, b in zip(found.starts, found.ends, strict=True)]
    assert shown == [text[a:b].lstrip() for a, b in whole["offset_mapping"]]


@pytest.mark.parametrize(
    ("cell", "start", "texts", "starts"),
    [
        ({"text": ["a", "b"], "answer_start": [0, 4]}, None, ("a", "b"), (0, 4)),
        ({"text": "a", "answer_start": 7}, None, ("a",), (7,)),
        ([{"text": "a", "answer_start": 3}], None, ("a",), (3,)),
        (["a", "b"], None, ("a", "b"), (None, None)),
        ("a", "12", ("a",), (12,)),
        ("a", 12.0, ("a",), (12,)),
        ('{"text": ["a"], "answer_start": [2]}', None, ("a",), (2,)),
        ("[sic]", None, ("[sic]",), (None,)),
        ("[5]", None, ("[5]",), (None,)),
        ("{}", None, ("{}",), (None,)),
        ("[" * 100_000, None, ("[" * 100_000,), (None,)),
        ({"text": [], "answer_start": []}, None, (), ()),
        ("", None, (), ()),
        (None, None, (), ()),
        ([], None, (), ()),
    ],
)
def test_answers_are_read_as_data_sets_write_them(cell, start, texts, starts):
    assert _answers.read(cell, start) == (texts, starts)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (5, "a number, not text"),
        ("{'text': array(['a'], dtype=object), 'answer_start': array([6])}", "as Python writes them, not as JSON"),
        ({"text": ["a"], "answer_start": [0, 1]}, "1 texts and 2 places"),
        ({"text": [""], "answer_start": [0]}, "an empty answer"),
        ({"text": ["a"], "answer_start": ["x"]}, "begins at 'x'"),
    ],
)
def test_answers_that_are_none_are_refused(cell, said):
    with pytest.raises(DataError, match=said):
        _answers.read(cell)


def test_a_place_that_is_wrong_is_repaired_where_the_text_stands_once():
    text = "one two three two"
    right = _answers.Answers(("three",), (8,))
    assert _answers.located(right, text) == (right, False)
    assert _answers.located(_answers.Answers(("three",), (7,)), text) == (right, True)
    assert _answers.located(_answers.Answers(("three",), (None,)), text) == (right, False)
    assert _answers.located(_answers.Answers(("two",), (14,)), text)[0].starts == (14,)
    with pytest.raises(DataError, match="several times in the context"):
        _answers.located(_answers.Answers(("two",), (5,)), text)
    with pytest.raises(DataError, match='"four" is not in the context'):
        _answers.located(_answers.Answers(("four",), (5,)), text)


def test_the_sigmoid_of_a_known_law_is_found_again():
    """2x - 1, drawn 20,000 times; the standard error of both numbers is about 0.03."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=20_000)
    scale, shift = calibration.fit(x, rng.random(20_000) < 1 / (1 + np.exp(-(2 * x - 1))))
    assert (scale, shift) == (pytest.approx(2, abs=0.1), pytest.approx(-1, abs=0.1))
    separate = calibration.fit(np.array([-3.0, -2.0, 2.0, np.inf]), np.array([False, False, True, True]))
    assert np.isfinite(separate).all()
    assert separate[0] > 0
    assert calibration.fit(np.array([1.0, -1.0]), np.array([False, True])) == (1.0, 0.0)
    assert calibration.fit(np.array([1.0, -1.0]), np.array([True, True])) == (1.0, 0.0)


def test_the_example_answers_itself():
    example = question_answering.TASK.example
    answers = example["answers"]
    assert example["context"].startswith(answers["text"][0], answers["answer_start"][0])
    assert question_answering.reference(json.loads(json.dumps(example))) == tuple(answers["text"])


def test_span_places_survive_tokens_that_stand_for_no_character():
    place = _spans.Place(9, 0, 0, 3, np.array([0, 3, 3, 4]), np.array([3, 3, 4, 8]))
    assert place.find(3, 4) == (5, 5)
    assert place.find(0, 8) == (3, 6)
    assert place.find(5, 9) == (0, 0)
