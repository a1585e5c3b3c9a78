"""The contract, over every task: names, examples, and encode and decode without torch."""

import numpy as np
import pytest

from hfcli import tasks
from hfcli.errors import DataError, UsageError
from hfcli.tasks import text_generation
from hfcli.tasks.text_generation import Answer, TextStream, ask, check_template, fill


def test_names_are_those_of_files():
    assert "text-generation" in tasks.names()
    for name in tasks.names():
        task = tasks.get(name)
        assert task.name == name
        assert any(field.name in task.example for field in task.fields)
    with pytest.raises(UsageError, match="no task text-genration"):
        tasks.get("text-genration")


class Bytes:
    """A tokenizer whose tokens are bytes; id 256 is special."""

    chat_template = None
    all_special_ids = (256,)

    def decode(self, ids, skip_special_tokens=True):
        return bytes(i for i in ids if i < 256).decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["plain", "naïve café", "日本語のテキスト", "👩‍👩‍👧 family", "a\n\nb", "\U0010ffff"])
def test_streamed_pieces_are_whole_characters_and_the_whole_text(text):
    stream = TextStream(Bytes(), tail=b"before ")
    pieces = [stream.push([byte]) for byte in text.encode()] + [stream.finish()]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_bytes_that_are_no_text_come_out_at_the_end():
    stream = TextStream(Bytes())
    assert stream.push([0xE6]) + stream.push([0x97]) == ""
    assert stream.finish() == "\ufffd"


@pytest.mark.parametrize(
    ("text", "stops", "shown"),
    [
        ("one. two", ["."], "one"),
        ("one END two", ["END"], "one "),
        ("aab", ["ab"], "a"),
        ("ababac", ["abac"], "ab"),
        ("xyz", ["yz!"], "xyz"),
        ("first\nsecond", ["\n", "s"], "fir"),
        ("日本語", ["語"], "日本"),
    ],
)
def test_stop_texts_never_show_not_even_in_part(text, stops, shown):
    stream, pieces = TextStream(Bytes(), stop=stops), []
    for byte in text.encode():
        pieces.append(stream.push([byte]))
        assert shown.startswith("".join(pieces))
        if stream.stopped:
            break
    if not stream.stopped:
        pieces.append(stream.finish())
    assert "".join(pieces) == shown


def test_decode_counts_tokens_and_says_why_it_ended():
    feature = text_generation.Feature({"input_ids": np.array([1])}, {}, text_generation.Prompt(0, ()))
    setup = text_generation.Setup(Bytes(), None, None, (), 9)

    def decode(ids, stop=()):
        return text_generation.decode({}, [feature], Answer(ids, frozenset([256]), stop), setup)

    assert decode([*b"ab", 256, *b"pad"]) == {"generated_text": "ab", "new_tokens": 3, "finish_reason": "stop"}
    assert decode([*b"abc"]) == {"generated_text": "abc", "new_tokens": 3, "finish_reason": "length"}
    assert decode([*b"a.c"], (".",)) == {"generated_text": "a", "new_tokens": 2, "finish_reason": "stop"}


def test_templates_take_columns_and_nothing_else():
    assert fill("{a} and {b c}: {{x}}", {"a": 1, "b c": "two"}) == "1 and two: {x}"
    for bad in ("{a[0]}", "{", "no column", "{}", "{a!r}", "{a:>9}"):
        with pytest.raises(UsageError):
            check_template(bad)
    with pytest.raises(DataError, match=r"no column a\.__class__"):
        fill("{a.__class__}", {"a": 1})
    with pytest.raises(DataError, match="no column txt") as error:
        fill("{txt}", {"text": "a"})
    assert error.value.hint == "did you mean text?"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"prompt": ""}, "column prompt is empty"),
        ({"prompt": 3}, "a number, not text"),
        ({"prompt": None}, "null, not text"),
        ({"prompt": "a\ud800"}, "lone surrogate"),
        ({"messages": []}, "empty"),
        ({"messages": [{"role": "user"}]}, "not a conversation"),
        ({"messages": [{"role": "usr", "content": "a"}]}, "role 'usr'"),
        ({"text": "a"}, "no column prompt or messages; there is text"),
    ],
)
def test_what_is_no_prompt_is_said(record, said):
    from hfcli.options import PromptOptions

    with pytest.raises(DataError, match=said):
        ask(record, PromptOptions())
