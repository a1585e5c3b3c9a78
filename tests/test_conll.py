"""Reading CoNLL's files: sentences, what is no sentence, and lines that are wrong."""

import gzip
import os
import tempfile
import threading
import tracemalloc
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfcli.errors import DataError
from hfcli.records import Row, _input, read

WNUT = Path(__file__).parents[2] / "shared" / "data" / "ner" / "wnut17"
CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
-DOCSTART- -X- -X- O
Blackburn NNP I-NP I-PER"""


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def rows(content, name="a.conll", **options):
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        with read(name, **options) as source:
            return list(source)

    return rows


@pytest.fixture
def fails(rows):
    def fails(content, **options):
        with pytest.raises(DataError) as caught:
            rows(content, **options)
        return caught.value

    return fails


def test_a_sentence_is_a_record_at_its_first_token(rows):
    assert rows("\n\nDenver\tB-LOC\nwon\tO\n\n\nIt\tO\r\n\t\n \nis\tO\n") == [
        Row({"tokens": ["Denver", "won"], "tags": ["B-LOC", "O"]}, "a.conll:3"),
        Row({"tokens": ["It"], "tags": ["O"]}, "a.conll:7"),
        Row({"tokens": ["is"], "tags": ["O"]}, "a.conll:10"),
    ]


def test_columns_are_named_from_the_right_and_documents_begin_sentences(rows):
    found = rows(CONLL_2003)
    assert [row.where for row in found] == ["a.conll:3", "a.conll:6", "a.conll:8"]
    assert found[0].record == {
        "tokens": ["EU", "rejects"],
        "tags": ["B-ORG", "O"],
        "tags_1": ["B-NP", "B-VP"],
        "tags_2": ["NNP", "VBZ"],
    }


@pytest.mark.parametrize("name", ["a.conll", "a.iob", "a.bio", "A.CONLL", "a.conll.gz"])
def test_suffixes(rows, name):
    content = b"a O\n"
    assert rows(gzip.compress(content) if name.endswith("gz") else content, name)[0].record["tokens"] == ["a"]


def test_by_name_of_the_format(rows):
    assert rows("a O\n", "a.txt", format="conll") == [Row({"tokens": ["a"], "tags": ["O"]}, "a.txt:1")]


def test_tokens_may_have_spaces(rows):
    content = "New York\tB-LOC\n10\u00a0000 \tO\n\u00a0\tO\n\u2028\tO\n"
    assert rows(content)[0].record["tokens"] == ["New York", "10\u00a0000", "\u00a0", "\u2028"]
    assert rows("5\u00a0000   O  \n \u3000 O\n")[0].record["tokens"] == ["5\u00a0000", "\u3000"]


def test_comments_that_say_what_they_are(rows):
    content = "# newdoc\n# sent_id = 1\n# text = # is\n#\tO\nis\tO\n#\tO\n\n# id 0ab1 domain=en\n#tag\tO\n\n#\tB-X\n"
    assert [row.record["tokens"] for row in rows(content)] == [["#", "is", "#"], ["#tag"], ["#"]]
    assert rows("# O\na O\n")[0].record["tokens"] == ["#", "a"]
    assert [row.where for row in rows(content)] == ["a.conll:4", "a.conll:9", "a.conll:11"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("won", "a.conll:3 has a token without a tag"),
        ("won O O", "a.conll:3 has 3 columns instead of 2"),
        ("won\tO\t", "a.conll:3: column 3 is empty"),
        ("\tO", "a.conll:3: column 1 is empty"),
        (b"w\xe9n O", "a.conll:3 is not UTF-8 (byte 0xe9, column 2)"),
        (b"w\0n O", "a.conll:3 has a NUL byte; is it a text file?"),
    ],
)
def test_a_bad_line_makes_a_bad_sentence(rows, fails, line, error):
    line = line if isinstance(line, bytes) else line.encode()
    content = b"\nDenver O\n" + line + b"\nso O\nx y z\n\n" + b"It O\n"
    assert str(fails(content)) == error
    bad, good = rows(content, on_error="record")
    assert (bad.record, bad.where, str(bad.error)) == (None, "a.conll:2", error)
    assert good == Row({"tokens": ["It"], "tags": ["O"]}, "a.conll:7")


def test_a_bad_line_may_be_the_first(rows):
    bad, good = rows("x\n# text = y\ny O\n\nz O\n", on_error="record")
    assert (bad.where, str(bad.error)) == ("a.conll:1", "a.conll:1 has a token without a tag")
    assert good.where == "a.conll:5"


@pytest.mark.parametrize("content", ["", "\n\n", "-DOCSTART- O\n\n", "# text = x\n"])
def test_no_sentences(fails, content):
    assert str(fails(content)) == "a.conll is empty"


def test_a_sentence_arrives_with_the_line_after_it():
    out, into = os.pipe()
    saved = os.dup(0)
    os.dup2(out, 0)
    try:
        source = read("-", format="conll")
        os.write(into, b"Denver B-LOC\nwon O\n\nIt")
        assert next(iter(source)).record == {"tokens": ["Denver", "won"], "tags": ["B-LOC", "O"]}
        thread = threading.Thread(target=lambda: (os.write(into, b" O\n"), os.close(into)))
        thread.start()
        assert list(source) == [Row({"tokens": ["It"], "tags": ["O"]}, "standard input:4")]
        thread.join()
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(out)


def test_memory_is_that_of_a_sentence(tmp_path, fails, monkeypatch):
    monkeypatch.setattr(_input, "_CHUNK_BYTES", 1 << 12)
    path = tmp_path / "long.conll"
    path.write_bytes((b"word O\n" * 10 + b"\n") * 5_000)
    tracemalloc.start()
    try:
        with read(str(path)) as source:
            assert sum(1 for _ in source) == 5_000
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    monkeypatch.setattr(_input, "MAX_LINE_BYTES", 1 << 20)
    error = fails("a O\n\n" + "word O\n" * 200_000)
    assert str(error) == "a.conll:3 begins a sentence that does not end within 1 MB"
    assert str(fails("a O\n" + "x" * (1 << 21) + " O\n")) == "a.conll:2 is longer than 1 MB"


@given(
    st.lists(st.sampled_from([b"a", b"B-X", b"-DOCSTART-", b"# id ", b"#", b" ", b"\t", b"\n", b"\r", b"\xff", b"\0"]))
)
def test_any_bytes_give_sentences_or_a_data_error(pieces):
    with tempfile.NamedTemporaryFile(suffix=".conll") as file, suppress(DataError):
        file.write(b"".join(pieces))
        file.flush()
        for row in read(file.name, on_error="record"):
            assert (row.record is None) == (row.error is not None)
            assert row.record is None or len({len(column) for column in row.record.values()}) == 1


@pytest.mark.skipif(not WNUT.is_dir(), reason="no WNUT 2017 here")
@pytest.mark.parametrize(
    ("name", "sentences", "tokens", "entities"),
    [("emerging.dev.conll", 1009, 15733, 836), ("wnut17train.conll", 3394, 62730, 1975)],
)
def test_a_file_as_people_have_it(name, sentences, tokens, entities):
    """Half of the sentences of the second end with a line that is a tab. Counts are those of awk."""
    with read(str(WNUT / name)) as source:
        found = [row.record["tags"] for row in source]
    tags = Counter(tag[0] for each in found for tag in each)
    assert (len(found), tags.total(), tags["B"]) == (sentences, tokens, entities)
