"""Text classification without a model: records to features, outputs to predictions, with real kinds of tokenizers."""

from functools import cache, partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hfcli import tasks
from hfcli.errors import DataError, ModelError, UsageError
from hfcli.tasks import text_classification
from hfcli.tasks._labels import Labels
from hfcli.tasks._windows import Window
from hfcli.tasks.base import Settings, Setup

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MERGES = [("t", "h"), ("th", "e"), ("a", "n"), ("Ġ", "the"), ("Ġ", "an")]
PIECES = ["▁", *LETTERS, *(f"▁{letter}" for letter in LETTERS), "▁the", "ing", "an"]


def wordpiece(**options):
    from transformers import BertTokenizer

    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *LETTERS,
        *(f"##{letter}" for letter in LETTERS),
        "the",
        "##ing",
    ]
    return BertTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, **options)


def byte_level(kind, special, **options):
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    pieces = [*special, *sorted(ByteLevel.alphabet()), *(a + b for a, b in MERGES)]
    return getattr(transformers, kind)(vocab={piece: i for i, piece in enumerate(pieces)}, merges=MERGES, **options)


def unigram(kind, special, **options):
    import transformers

    pieces = [(piece, 0.0) for piece in special] + [(piece, -1 - i / 10) for i, piece in enumerate(PIECES)]
    return getattr(transformers, kind)(vocab=pieces, **options)


def llama():
    from transformers import LlamaTokenizer

    return LlamaTokenizer(
        vocab={piece: i for i, piece in enumerate(["<unk>", "<s>", "</s>", "▁", *LETTERS])},
        merges=[],
        add_bos_token=True,
    )


ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
KINDS = {
    "bert": wordpiece,  # [CLS] a [SEP] b [SEP], token types 0 and 1
    "bert cut left": lambda: wordpiece(truncation_side="left"),
    "roberta": lambda: byte_level("RobertaTokenizer", ROBERTA),  # <s> a </s></s> b </s>
    "roberta, space first": lambda: byte_level("RobertaTokenizer", ROBERTA, add_prefix_space=True),
    "gpt2": lambda: byte_level("GPT2Tokenizer", ["<|endoftext|>"]),  # nothing
    "llama": llama,  # <s> a <s> b
    "t5": lambda: unigram("T5Tokenizer", ["<pad>", "</s>", "<unk>"], extra_ids=0),  # a </s> b </s>
    "albert": lambda: unigram("AlbertTokenizer", ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]),
    "xlnet": lambda: unigram("XLNetTokenizer", ["<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>"]),
}  # fmt: skip


@cache
def tokenizer(kind):
    return KINDS[kind]()


def setup(kind="bert", labels=("neg", "pos"), columns=None, model_type="bert", max_tokens=512, **options):
    stored = Settings("text-classification", columns or {"text": "text"}, **options)
    config = SimpleNamespace(problem_type=None, model_type=model_type)
    return Setup(tokenizer(kind) if isinstance(kind, str) else kind, config, stored, labels, max_tokens)


def encode(records, *args, **options):
    return list(text_classification.encode(records, setup(*args, **options)))


def ids(text, kind="bert", **options):
    return [window.inputs["input_ids"].tolist() for window in encode([{"text": text}], kind, **options)[0]]


WORDS = st.lists(st.sampled_from(["the", "an", "a", "thing", "[SEP]", "</s>", "Bé"]), max_size=12).map(" ".join)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.tuples(WORDS, st.none() | WORDS), min_size=1, max_size=4), length=st.integers(5, 40))
def test_input_is_what_the_tokenizer_gives(kind, texts, length):
    records = [{"text": one} if two is None else {"text": one, "text_pair": two} for one, two in texts]
    records = [record for record in records if kind != "gpt2" or any(record.values())]  # has no token at all
    features = encode(records, kind, model_type="xlnet", max_length=length)
    for record, (feature,) in zip(records, features, strict=True):
        pair = [[text] for text in record.values()]
        whole = tokenizer(kind)(*pair, split_special_tokens=True)["input_ids"][0]
        expected = tokenizer(kind)(
            *pair, truncation="longest_first", max_length=length, split_special_tokens=True, return_token_type_ids=True
        )
        assert feature.inputs["input_ids"].tolist() == expected["input_ids"][0]
        assert feature.inputs["token_type_ids"].tolist() == expected["token_type_ids"][0]
        assert feature.notes == Window(len(whole) - len(expected["input_ids"][0]), len(whole))
        assert all(row.dtype == np.int32 for row in feature.inputs.values())


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "t5", "xlnet"])
@settings(max_examples=40, deadline=None)
@given(one=WORDS, two=st.none() | WORDS, length=st.integers(12, 40), stride=st.integers(0, 6))
def test_windows_are_what_the_tokenizer_gives(kind, one, two, length, stride):
    record = {"text": one or "a"} if two is None else {"text": one or "a", "text_pair": two}
    own = partial(tokenizer(kind), split_special_tokens=True)
    lengths = [len(own(text, add_special_tokens=False)["input_ids"]) for text in record.values()]
    assume(two is None or length - min(lengths) - 4 > stride)  # tokenizers would panic
    which = "only_second" if two is not None and lengths[0] <= lengths[1] else "only_first"
    pair = [[text] for text in record.values()]
    expected = own(*pair, truncation=which, max_length=length, stride=stride, return_overflowing_tokens=True)
    (windows,) = encode([record], kind, max_length=length, on_long="window", doc_stride=stride)
    for name in ("input_ids", *(["token_type_ids"] if kind == "bert" else [])):
        assert [window.inputs[name].tolist() for window in windows] == expected[name]
    total = len(own(*pair)["input_ids"][0])
    assert [window.notes for window in windows] == [Window(0, total)] * len(windows)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=2),
    length=st.integers(10, 30),
    stride=st.integers(0, 5),
)
def test_every_token_is_in_a_window_and_neighbours_overlap(lengths, length, stride):
    texts = ["".join(LETTERS[i % 26] for i in range(n)) for n in lengths]  # ByT5: one token a letter
    assume(len(texts) == 1 or min(lengths) < length - 2)
    record = dict(zip(("text", "text_pair"), texts, strict=False))
    (windows,) = encode([record], byte_tokenizer(), max_length=length, on_long="window", doc_stride=stride)
    parts = [bytes(i - 3 if i > 2 else 10 for i in window.inputs["input_ids"]).decode() for window in windows]
    parts = [part.split("\n")[: len(texts)] for part in parts]
    longer = len(lengths) - 1 - lengths[::-1].index(max(lengths))
    assert all(part[1 - longer] == texts[1 - longer] for part in parts if len(texts) == 2)
    room = length - len(texts) - (sum(lengths) - max(lengths))
    overlap = stride if room > stride else room // 2
    joined = parts[0][longer]
    for part in parts[1:]:
        assert len(parts[0][longer]) == room
        assert joined[len(joined) - overlap :] == part[longer][:overlap]
        assert len(part[longer]) > overlap
        joined += part[longer][overlap:]
    assert joined == texts[longer]


def test_windows_beside_a_long_text_overlap_by_half():
    record = {"text": "x" * 14, "text_pair": "abcdefghijklmnop"}
    (windows,) = encode([record], byte_tokenizer(), max_length=20, on_long="window", doc_stride=6)
    parts = [bytes(i - 3 for i in window.inputs["input_ids"][15:-1]).decode() for window in windows]
    assert parts == ["abcd", "cdef", "efgh", "ghij", "ijkl", "klmn", "mnop"]


@cache
def byte_tokenizer():
    from transformers import ByT5Tokenizer

    return ByT5Tokenizer()


def test_special_tokens_in_a_text_are_text():
    (window,) = ids("a [SEP] b [CLS]")
    assert (window.count(3), window.count(2)) == (1, 1)  # the tokenizer's own
    (both,) = encode([{"text": "a [SEP] b", "text_pair": "</s>"}], "roberta")
    assert both[0].inputs["input_ids"].tolist().count(2) == 3


def test_token_types_go_to_models_that_have_them():
    pair = [{"text": "a", "text_pair": "b"}]
    assert encode(pair, "bert", model_type="other")[0][0].inputs["token_type_ids"].tolist() == [0, 0, 0, 1, 1]
    albert = encode(pair, "albert", model_type="albert")[0][0].inputs["token_type_ids"].tolist()
    assert albert == [0, 0, 0, 0, 1, 1, 1]  # a word is two pieces
    assert encode(pair, "xlnet", model_type="xlnet")[0][0].inputs["token_type_ids"].tolist()[-2:] == [1, 2]
    assert list(encode(pair, "roberta", model_type="roberta")[0][0].inputs) == ["input_ids"]


def test_labels_have_the_shape_their_loss_calls_for():
    def labels(label, **options):
        ((feature,),) = encode([{"text": "a", "label": label}], **options)
        return feature.labels["labels"]

    assert (labels(1).dtype, labels(1).shape, int(labels(1))) == (np.int64, (), 1)
    number = labels(3, problem_type="regression", labels=())
    assert (number.dtype, number.shape, float(number)) == (np.float32, (), 3.0)
    several = labels([0, 2], problem_type="multi_label_classification", labels=("a", "b", "c"))
    assert (several.dtype, several.tolist()) == (np.float32, [1, 0, 1])
    assert labels([], problem_type="multi_label_classification", labels=("a", "b")).tolist() == [0, 0]
    assert encode([{"text": "a"}])[0][0].labels == {}


def test_a_window_of_a_record_carries_its_label():
    (windows,) = encode([{"text": "a " * 50, "label": 1}], max_length=12, on_long="window", doc_stride=2)
    assert len(windows) > 5
    assert {int(window.labels["labels"]) for window in windows} == {1}


def test_empty_text_has_the_special_tokens_and_without_any_is_an_error():
    assert ids("") == [[2, 3]]
    with pytest.raises(DataError, match="the text is empty"):
        ids("", "gpt2")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"text": None}, "column body holds null, not text"),
        ({"text": 7}, "column body holds a number, not text"),
        ({"text": ["a"]}, "column body holds a list, not text"),
        ({"text": "a", "text_pair": None}, "column title holds null, not text"),
        ({"text": "a \ud83d b", "text_pair": "b"}, "column body has half a character (lone surrogate \\ud83d)"),
    ],
)
def test_what_is_no_text_names_column_and_kind(record, said):
    with pytest.raises(DataError) as error:
        encode([record], columns={"text": "body", "text_pair": "title"})
    assert said in error.value.message


def test_records_before_a_bad_one_are_given_out():
    records = [{"text": "a"}, {"text": "b"}, {"text": None}, {"text": "c"}]
    encoded = text_classification.encode(records, setup())
    assert [len(next(encoded)), len(next(encoded))] == [1, 1]
    with pytest.raises(DataError, match="null"):
        next(encoded)


def test_too_long_can_be_an_error_that_counts():
    assert len(ids("a b c d", max_length=6, on_long="error")) == 1
    with pytest.raises(DataError, match="the text is 7 tokens, --max-length takes 6") as error:
        ids("a b c d e", max_length=6, on_long="error")
    assert "--on-long" in str(error.value.hint)


def test_the_model_may_take_less_than_max_length():
    ((feature,),) = encode([{"text": "a " * 90}], max_tokens=20, max_length=64)
    assert len(feature.inputs["input_ids"]) == 20
    assert feature.notes == Window(72, 92)


def test_overlap_must_be_smaller_than_a_window():
    with pytest.raises(UsageError, match="--doc-stride 126 is not below the 126 tokens of text"):
        ids("a", max_length=128, on_long="window", doc_stride=126)
    with pytest.raises(UsageError, match="leave no room for text"):
        ids("a", max_length=2)


def test_pair_without_room_for_windows_is_an_error():
    record = {"text": "a " * 17, "text_pair": "b " * 30}
    with pytest.raises(DataError, match=r"texts of 17 and 30 tokens: .* leaves no room for windows"):
        encode([record], max_length=20, on_long="window", doc_stride=2)


def test_a_tokenizer_that_changes_texts_is_refused():
    class Odd:
        model_input_names = ("input_ids",)
        truncation_side = "right"

        def __call__(self, texts, add_special_tokens, **options):
            ids = [[1, 5, 6, 2] if add_special_tokens else [5, 7] for _ in texts]
            return {"input_ids": ids, "special_tokens_mask": [[1, 0, 0, 1]], "token_type_ids": [[0] * 4]}

    with pytest.raises(ModelError, match="changes a text's tokens"):
        encode([{"text": "a"}], Odd())


def test_probabilities_are_safe_and_sum_to_one():
    logits = np.array([[1e4, -1e4, 0], [-800, -801, -802], [0, 0, 0]], dtype=np.float32)
    probabilities = text_classification.probabilities(logits, "single_label_classification")
    assert probabilities.dtype == np.float32
    assert probabilities.sum(axis=1) == pytest.approx([1, 1, 1])
    assert probabilities[1] == pytest.approx([0.66524, 0.24473, 0.09003], abs=1e-5)
    each = text_classification.probabilities(logits, "multi_label_classification")
    assert each[0].tolist() == [1, 0, 0.5]
    assert text_classification.probabilities(logits, "regression").tolist() == logits.tolist()


def test_one_output_is_a_probability_as_in_transformers():
    assert text_classification.probabilities(np.array([[0.0], [2.0]]), None) == pytest.approx(
        np.array([[0.5], [0.8808]]), abs=1e-4
    )
    one = text_classification.decode({}, [], np.array([[2.0]]), setup(labels=("relevant",)))
    assert one == {
        "label": "relevant",
        "score": pytest.approx(0.8808, abs=1e-4),
        "scores": {"relevant": pytest.approx(0.8808, abs=1e-4)},
    }


def test_windows_are_pooled_by_their_mean():
    logits = np.log([[0.9, 0.1], [0.5, 0.5], [0.4, 0.6]], dtype=np.float32)
    assert text_classification.pool(logits, None) == pytest.approx([0.6, 0.4])
    answer = text_classification.decode({}, [], logits, setup())
    assert (answer["label"], answer["score"]) == ("neg", pytest.approx(0.6))
    numbers = np.array([[1.0], [4.0]], dtype=np.float32)
    assert text_classification.decode({}, [], numbers, setup(labels=(), problem_type="regression")) == {"score": 2.5}


def test_several_labels_are_those_from_the_threshold_on_by_score():
    logits = np.array([[0.0, 3.0, -1.0]], dtype=np.float32)
    several = setup(labels=("a", "b", "c"), problem_type="multi_label_classification", threshold=0.5)
    answer = text_classification.decode({}, [], logits, several)
    assert answer["labels"] == ["b", "a"]
    assert list(answer["scores"]) == ["b", "a", "c"]
    assert text_classification.decode({}, [], logits - 9, several)["labels"] == []


def test_outputs_that_are_no_numbers_are_an_error():
    with pytest.raises(ModelError, match="nan"):
        text_classification.decode({}, [], np.array([[np.nan, 1.0]], dtype=np.float32), setup())


def test_prepare_names_the_head():
    assert text_classification.prepare(Labels("single_label_classification", ("b", "a"))) == {
        "num_labels": 2,
        "id2label": {0: "b", 1: "a"},
        "label2id": {"b": 0, "a": 1},
        "problem_type": "single_label_classification",
    }
    assert text_classification.prepare(Labels("regression", ()))["num_labels"] == 1


def test_task_is_found_by_its_columns_and_short_name():
    assert tasks.get("classification") is text_classification.TASK
    assert tasks.infer(["idx", "Sentence", "label"]) == "text-classification"
    assert tasks.infer(["ticket", "queue"]) == "text-classification"
    assert not any(name.startswith("_") for name in tasks.names())
