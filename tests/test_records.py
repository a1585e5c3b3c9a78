"""Reading records: every format, every kind of broken input, and what is said about it."""

import codecs
import gzip
import json
import math
import os
import random
import stat
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfcli import records
from hfcli.errors import DataError, UsageError
from hfcli.records import Row, _input, dumps, read

# The tests run in folders of their own, where Python would not find the checkout.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(records.__file__).parents[2])}
Write = Callable[[str, bytes | str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def write(name: str, content: bytes | str) -> str:
        Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write


@contextmanager
def standard_input(fd: int) -> Iterator[None]:
    saved = os.dup(0)
    os.dup2(fd, 0)
    try:
        yield
    finally:
        os.dup2(saved, 0)
        os.close(saved)


@contextmanager
def piped(*chunks: bytes) -> Iterator[None]:
    """Standard input is a pipe into which the chunks are written, each by its own write."""
    out, into = os.pipe()

    def feed() -> None:
        for chunk in chunks:
            os.write(into, chunk)
        os.close(into)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        with standard_input(out):
            yield
    finally:
        thread.join()
        os.close(out)


def rows(path: str, **options: Any) -> list[Row]:
    with read(path, **options) as source:
        return list(source)


def all_records(path: str, **options: Any) -> list[dict[str, Any] | None]:
    return [row.record for row in rows(path, **options)]


def texts(path: str, **options: Any) -> list[str]:
    return [record["text"] for record in all_records(path, **options) if record]


def fails(path: str, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        rows(path, **options)
    return caught.value


# Formats


def test_lines_of_text_are_records_and_keep_their_number(write: Write) -> None:
    assert rows(write("a.txt", "one\r\n\n two \nthree")) == [
        Row({"text": "one"}, "a.txt:1"),
        Row({"text": ""}, "a.txt:2"),
        Row({"text": " two "}, "a.txt:3"),
        Row({"text": "three"}, "a.txt:4"),
    ]


def test_field_names_the_column_of_text(write: Write) -> None:
    assert all_records(write("a.txt", "one\n"), field="source") == [{"source": "one"}]


def test_only_newline_ends_a_line(write: Write) -> None:
    line = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g\rh"
    assert texts(write("a.txt", line + "\n" + line)) == [line, line]
    assert texts(write("a.jsonl", json.dumps({"text": line}, ensure_ascii=False) + "\n")) == [line]


def test_json_lines_skip_blank_lines_and_count_them(write: Write) -> None:
    assert rows(write("a.jsonl", '\n{"a": 1}\r\n  \n\t{"a": 2, "a": 3} \n')) == [
        Row({"a": 1}, "a.jsonl:2"),
        Row({"a": 3}, "a.jsonl:4"),
    ]


def test_json_array_knows_the_line_of_each_element(write: Write) -> None:
    path = write("a.json", '\n [ {"a": 1},\n\n{"a":\n [2, "]"]} ,{"a": 3}\n]\n')
    assert rows(path) == [Row({"a": 1}, "a.json:2"), Row({"a": [2, "]"]}, "a.json:4"), Row({"a": 3}, "a.json:5")]


def test_json_suffix_may_hold_json_lines(write: Write) -> None:
    with read(write("a.json", '\n{"a": 1}\n{"a": 2}\n')) as source:
        assert [row.record for row in source] == [{"a": 1}, {"a": 2}]
        assert source.format == "jsonl"


def test_csv_values_stay_what_they_are(write: Write) -> None:
    path = write("a.csv", 'id,text,label\r\n007,NA,\r\n1e5," x ",null\r\n,"say ""hi"", you",True\r\n')
    assert all_records(path) == [
        {"id": "007", "text": "NA", "label": ""},
        {"id": "1e5", "text": " x ", "label": "null"},
        {"id": "", "text": 'say "hi", you', "label": "True"},
    ]


def test_csv_row_with_quoted_newlines_stands_on_its_first_line(write: Write) -> None:
    path = write("a.csv", 'a,b\n\n1,"x\n\ny"\n2,"p\r\nq"\r\n3,z')
    assert rows(path) == [
        Row({"a": "1", "b": "x\n\ny"}, "a.csv:3"),
        Row({"a": "2", "b": "p\r\nq"}, "a.csv:6"),
        Row({"a": "3", "b": "z"}, "a.csv:8"),
    ]


def test_csv_with_one_column_tells_blank_from_empty(write: Write) -> None:
    assert texts(write("a.csv", 'text\n\n""\nx\n')) == ["", "x"]


def test_csv_field_may_be_longer_than_the_csv_module_allows(write: Write) -> None:
    assert texts(write("a.csv", "text\n" + "x" * 300_000 + "\n")) == ["x" * 300_000]


def test_tsv_has_no_quotes(write: Write) -> None:
    path = write("a.tsv", 'text\tlabel\n"open\t1\r\n\n say "hi" \t\n')
    assert all_records(path) == [{"text": '"open', "label": "1"}, {"text": ' say "hi" ', "label": ""}]


def test_header_is_known_with_the_first_row(write: Write) -> None:
    with read(write("a.csv", "b,a\n1,2\n")) as source:
        assert source.columns is None
        next(iter(source))
        assert source.columns == ["b", "a"]


def parquet(path: str, columns: dict[str, Any], **options: Any) -> str:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(columns), path, **options)
    return path


def test_parquet_values_are_plain_json(write: Write) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    columns = {
        "x": [1.5, math.nan, -math.inf],
        "when": [moment, None, moment],
        "day": [date(2024, 5, 6)] * 3,
        "raw": ["é".encode(), None, b""],
        "answers": [{"text": ["a"], "start": [math.nan]}] * 3,
    }
    got = rows(parquet(write("a.parquet", b""), columns))
    assert [row.where for row in got] == ["a.parquet: row 1", "a.parquet: row 2", "a.parquet: row 3"]
    assert got[0].record == {
        "x": 1.5,
        "when": "2024-05-06T07:08:09+00:00",
        "day": "2024-05-06",
        "raw": "é",
        "answers": {"text": ["a"], "start": [None]},
    }
    assert got[1].record is not None
    assert (got[1].record["x"], got[1].record["when"], got[1].record["raw"]) == (None, None, None)
    assert json.loads(dumps(got[2].record or {}))["x"] is None


def test_parquet_comes_in_batches(write: Write) -> None:
    path = parquet(write("a.parquet", b""), {"n": list(range(5000))}, row_group_size=2000)
    with read(path) as source:
        first = next(iter(source))
        assert first.record == {"n": 0}
        assert source.columns == ["n"]
        assert [row.record["n"] for row in source if row.record] == list(range(1, 5000))
        assert source.position_bytes == source.size_bytes


def test_parquet_bytes_that_are_no_text_are_an_error_of_the_row(write: Write) -> None:
    path = parquet(write("a.parquet", b""), {"image": [b"ok", b"\xff\xd8"]})
    good, bad = rows(path, on_error="record")
    assert good.record == {"image": "ok"}
    assert str(bad.error) == "a.parquet: row 2 has a column of bytes that are not UTF-8 text"
    assert str(fails(path)) == str(bad.error)


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing", b"text\n"])
def test_broken_parquet(write: Write, content: bytes) -> None:
    assert str(fails(write("a.parquet", content))) == "a.parquet is not Parquet or is damaged"


def test_parquet_not_from_standard_input_nor_packed_twice_nor_by_another_name(write: Write) -> None:
    with piped(b"PAR1"):
        assert str(fails("-", format="parquet")) == "Parquet cannot be read from a pipe"
    error = fails(write("a.parquet.gz", b"x"))
    assert (error.hint, "packed twice" in str(error)) == ("gunzip a.parquet.gz", True)
    assert str(fails(write("a.csv", b"PAR1\0"))) == "a.csv is Parquet, not text"


def test_slurp_is_one_record_with_one_newline_removed(write: Write) -> None:
    assert rows(write("a.md", "# A\n\nb\n\n"), slurp=True) == [Row({"text": "# A\n\nb\n"}, "a.md")]
    assert texts(write("a.jsonl", '{"a": 1}\r\n'), slurp=True) == ['{"a": 1}']


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.log", "\n \n {\"text\": \"x\"}\n", "jsonl"),
        ("a.log", "x\n", "text"),
        ("a", "[1]\n", "text"),
        ("a.ndjson", '{"text": "x"}', "jsonl"),
        ("A.CSV", "text\nx\n", "csv"),
        ("a.tsv.gz", "text\nx\n", "tsv"),
        ("a.txt", '{"text": 1}\n', "text"),
    ],
)  # fmt: skip
def test_format_by_suffix_then_by_first_character(write: Write, name: str, content: str, format: str) -> None:
    data = content.encode()
    with read(write(name, gzip.compress(data) if name.endswith(".gz") else data)) as source:
        assert list(source)
        assert source.format == format


def test_given_format_goes_before_the_suffix(write: Write) -> None:
    assert all_records(write("a.txt", "a,b\n1,2\n"), format="csv") == [{"a": "1", "b": "2"}]
    with pytest.raises(UsageError, match="no format 'cvs'") as caught:
        read("a.txt", format="cvs")
    assert caught.value.hint == "did you mean csv?"


def test_endless_blank_beginning_is_not_kept(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_input, "_SNIFF_BYTES", 10)
    monkeypatch.setattr(_input, "_CHUNK_BYTES", 4)
    assert len(texts(write("a", "\n" * 40 + "{}\n"))) == 41


def test_byte_order_mark_is_dropped(write: Write) -> None:
    mark = codecs.BOM_UTF8
    assert texts(write("a.txt", mark + b"one\n\xef\xbb\xbftwo")) == ["one", "\ufefftwo"]
    assert all_records(write("a.jsonl", mark + b'{"a": 1}')) == [{"a": 1}]
    assert all_records(write("a.csv", mark + b'"a",b\n1,2')) == [{"a": "1", "b": "2"}]
    assert all_records(write("a.json", mark + b'[{"a": 1}]')) == [{"a": 1}]
    with piped(b"\xef", b"\xbb", b'\xbf{"a"', b": 1}\n"):
        assert all_records("-") == [{"a": 1}]


# Standard input, gzip, progress


def test_line_on_a_pipe_is_yielded_before_the_next_one_is_written() -> None:
    out, into = os.pipe()
    with standard_input(out):
        for content in (["{", '"n": 1}\n'], ['{"n": 2}\n{"n"'], [": 3}\n"]):
            for piece in content:
                os.write(into, piece.encode())
            if content[0] == "{":
                source = iter(read("-"))  # the first character tells the format
            assert next(source).record is not None
        os.close(into)
        assert list(source) == []
    os.close(out)


def test_packed_lines_on_a_pipe_are_yielded_as_they_come() -> None:
    out, into = os.pipe()
    packer = zlib.compressobj(wbits=31)
    with standard_input(out):
        source = iter(read("-"))
        for number in range(3):
            os.write(into, packer.compress(f"line {number}\n".encode()) + packer.flush(zlib.Z_SYNC_FLUSH))
            assert next(source) == Row({"text": f"line {number}"}, f"standard input:{number + 1}")
    os.close(into)
    os.close(out)


def test_process_ends_while_a_thread_waits_for_standard_input() -> None:
    code = (
        "import threading, time; from hfcli import records\n"
        "threading.Thread(target=lambda: list(records.read('-')), daemon=True).start(); time.sleep(0.2)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    ) as process:
        assert process.stderr is not None
        assert process.wait(20) == 0
        assert process.stderr.read() == b""


def test_standard_input_may_be_non_blocking() -> None:
    out, into = os.pipe()
    os.set_blocking(out, False)
    timer = threading.Timer(0.1, lambda: (os.write(into, b"x\n"), os.close(into)))
    timer.start()
    with standard_input(out):
        assert texts("-") == ["x"]
    timer.join()
    os.close(out)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1), st.integers(1, 9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_how_the_bytes_arrive_does_not_matter(tmp_path: Path, text: str, size: int) -> None:
    data = text.encode()
    path = tmp_path / "whole"
    for content in (data, gzip.compress(data)):
        path.write_bytes(content)
        for options in ({"format": "csv"}, {}, {"format": "text"}, {"format": "tsv"}):
            results = []
            for chunk in (1 << 18, size):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(_input, "_CHUNK_BYTES", chunk)
                    try:
                        results.append(
                            [(row.record, row.where) for row in rows(str(path), on_error="record", **options)]
                        )
                    except DataError as error:
                        results.append(str(error))
            assert results[0] == results[1]


def test_gzip_members_and_padding_are_one_file(write: Write) -> None:
    whole = gzip.compress(b"one\ntw") + gzip.compress(b"") + gzip.compress(b"o\n")
    assert texts(write("a.txt.gz", whole + b"\0" * 600)) == ["one", "two"]
    assert texts(write("named-otherwise.txt", whole)) == ["one", "two"]


def test_broken_gzip_says_how_far_it_was_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = gzip.compress(random.Random(0).randbytes(3000).hex("\n", 8).encode())
    cut = fails(write("a.txt.gz", whole[:-9]))
    assert str(cut) == "a.txt.gz is cut off after line 374; it is not whole gzip data"
    assert cut.hint == "copy or download it again; gzip -t a.txt.gz checks it"
    assert str(fails("a.txt.gz", on_error="record")) == str(cut)
    assert str(fails(write("a.txt.gz", whole[:-1]))) == str(cut)
    monkeypatch.setattr(_input, "_CHUNK_BYTES", 500)
    flipped = fails(write("a.txt.gz", whole[:2500] + b"\xff\xff\xff\xff" + whole[2504:]))
    assert "a.txt.gz is damaged after line " in str(flipped)
    assert "is damaged" in str(fails(write("a.txt.gz", whole[:-8] + b"12345678")))
    assert "is damaged" in str(fails(write("a.txt.gz", whole + b"tail")))
    assert str(fails(write("a.txt.gz", whole[:5]))) == "a.txt.gz is cut off; it is not whole gzip data"
    assert str(fails(write("a.txt.gz", b"plain\n"))) == "a.txt.gz is not gzip, its name says so"


def test_position_counts_packed_bytes(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_input, "_CHUNK_BYTES", 1000)
    data = gzip.compress(random.Random(0).randbytes(20_000).hex("\n", 8).encode())
    with read(write("a.txt.gz", data)) as source:
        assert (source.size_bytes, source.position_bytes) == (len(data), 0)
        next(iter(source))
        assert 0 < source.position_bytes < len(data) // 2
        list(source)
        assert source.position_bytes == len(data)


def test_size_of_standard_input(write: Write) -> None:
    fd = os.open(write("a.txt", "one\ntwo\n"), os.O_RDONLY)
    os.read(fd, 4)
    with standard_input(fd), read("-") as source:
        assert source.size_bytes == 4
        assert [row.where for row in source] == ["standard input:1"]
        assert stat.S_ISREG(os.fstat(0).st_mode)  # close() leaves it open
    os.close(fd)
    with piped(b"x"), read("-") as source:
        assert source.size_bytes is None
        assert source.name == "standard input"
        list(source)


def test_iterating_goes_on_where_it_stopped_until_closed(write: Write) -> None:
    with read(write("a.txt", "1\n2\n3\n")) as source:
        for row in source:
            assert row.record == {"text": "1"}
            break
        assert [row.record for row in source] == [{"text": "2"}, {"text": "3"}]
    unread = read("a.txt")
    unread.close()
    unread.close()
    with pytest.raises(ValueError, match="closed"):
        next(iter(unread))


# What cannot be opened or is empty


def test_missing_file_names_the_near_one(write: Write) -> None:
    write("reviews.jsonl", "")
    with pytest.raises(DataError) as caught:
        read("review.jsonl")
    assert (str(caught.value), caught.value.hint) == ("no file review.jsonl", "did you mean reviews.jsonl?")
    with pytest.raises(DataError, match=r"^no file no/x\.txt \(there is no folder no\)$"):
        read("no/x.txt")


def test_folder_and_what_cannot_be_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("x.txt", "x")
    os.mkdir("data.csv")
    with pytest.raises(DataError, match=r"^data\.csv is a folder, not a file$"):
        read("data.csv")
    with pytest.raises(DataError, match=r"^cannot read x\.txt/y \(not a directory\)$"):
        read("x.txt/y")

    def refuse(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DataError, match=r"^cannot read x\.txt \(permission denied\)$"):
        read("x.txt")


def test_closed_standard_input() -> None:
    code = "from hfcli import records; list(records.read('-'))"
    result = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "{code}" <&-'], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert "DataError: cannot read standard input (bad file descriptor)" in result.stderr


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.json", "a.csv", "a.tsv", "a", "a.txt.gz"])
@pytest.mark.parametrize("content", [b"", b"\n \n\r\n", codecs.BOM_UTF8, b"\n" * 100_000])
def test_empty(write: Write, name: str, content: bytes) -> None:
    path = write(name, gzip.compress(content) if name.endswith("gz") and content else content)
    assert str(fails(path)) == f"{name} is empty"
    assert str(fails(path, slurp=True)) == f"{name} is empty"


def test_empty_in_its_own_way(write: Write) -> None:
    assert str(fails(write("a.csv", "a,b\n\n"))) == "a.csv has a header but no rows"
    assert str(fails(write("a.tsv", "a\tb"))) == "a.tsv has a header but no rows"
    assert str(fails(parquet("a.parquet", {"a": []}))) == "a.parquet has a header but no rows"
    assert str(fails(write("a.json", " [ ]\n"))) == "a.json is empty"
    with piped():
        assert str(fails("-")) == "standard input is empty"


# Bad rows

JSON_ERRORS = [
    ('{"text": "x", "label": ', "a.jsonl:2 is not JSON (unexpected end, column 23)"),
    ('{"text": "x', "a.jsonl:2 is not JSON (unexpected end, column 12)"),
    ("{'text': 1}", "a.jsonl:2 is not JSON (a name in double quotes is missing, column 2)"),
    ('{"a" 1}', "a.jsonl:2 is not JSON (a colon is missing, column 6)"),
    ('{"a": 1 "b": 2}', "a.jsonl:2 is not JSON (a comma is missing, column 9)"),
    ('{"a": True}', "a.jsonl:2 is not JSON (a value is missing, column 7)"),
    ('{"a": 1} {"b": 2}', "a.jsonl:2 is not JSON (more text after the end, column 10)"),
    ('{"a": "x\ty"}', "a.jsonl:2 is not JSON (a control character inside a string, column 9)"),
    ('["a"]', "a.jsonl:2 is an array, not an object"),
    ('"a"', "a.jsonl:2 is a string, not an object"),
    ("1.5", "a.jsonl:2 is a number, not an object"),
    ("null", "a.jsonl:2 is null, not an object"),
    ("false", "a.jsonl:2 is true or false, not an object"),
    ('{"a": [NaN]}', "a.jsonl:2 has NaN, which is not JSON"),
    ('{"a": -Infinity}', "a.jsonl:2 has -Infinity, which is not JSON"),
    ('{"a": 1e999}', "a.jsonl:2 has the number 1e999, which is too large"),
    ('{"a": ' + "9" * 5000 + "}", "a.jsonl:2 has a number with too many digits"),
    ('{"a": ' + "[" * 200_000, "a.jsonl:2 is nested too deeply"),
    ("\\u0000", "a.jsonl:2 is not JSON (a value is missing, column 1)"),
]


@pytest.mark.parametrize(("line", "message"), JSON_ERRORS, ids=[message[10:50] for _, message in JSON_ERRORS])
def test_bad_json_line(write: Write, line: str, message: str) -> None:
    path = write("a.jsonl", f'{{"a": 1}}\n{line}\n{{"a": 2}}\n')
    with read(path) as source:
        assert next(iter(source)).record == {"a": 1}
        with pytest.raises(DataError) as caught:
            next(iter(source))
    assert str(caught.value) == message
    first, bad, last = rows(path, on_error="record")
    assert (first.record, bad.record, last.record) == ({"a": 1}, None, {"a": 2})
    assert (bad.where, str(bad.error)) == ("a.jsonl:2", message)


def test_hints_of_bad_json(write: Write) -> None:
    going = '--on-error record keeps going and writes {"error": ...} in its place'
    assert fails(write("a.jsonl", '{"a": ')).hint == going
    assert fails(write("a.jsonl", '[{"a": 1}]')).hint == "--input-format json reads an array of objects"
    assert fails(write("a b.json", '{\n"a": 1\n}')).hint == (
        "an object has to stand on one line: jq -c . 'a b.json' > OUT.jsonl"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"a": 1},\n {"a": }]', "a.json:2 is not JSON (a value is missing, column 8)"),
        ('[{"a": 1}\n{"a": 2}]', "a.json:2 is not JSON (a comma or ] is missing, column 1)"),
        ('[{"a": 1},\n {"a": 2}\n', "a.json:2 is not JSON (unexpected end, column 10)"),
        ('[{"a": 1},\n {"a": "', "a.json:2 is not JSON (unexpected end, column 9)"),
        ('[{"a": 1}, \n]', "a.json:1 is not JSON (a comma after the last element, column 10)"),
        ('[{"a": 1}]\n]', "a.json:2 is not JSON (more text after the array, column 1)"),
        ('[{"a": 1},\n{"a": NaN}]', "a.json:2 has NaN, which is not JSON"),
        ("[" * 200_000, "a.json:1 is nested too deeply"),
        ("[", "a.json:1 is not JSON (unexpected end, column 2)"),
    ],
)
def test_broken_json_array_ends_the_reading(write: Write, text: str, message: str) -> None:
    path = write("a.json", text)
    assert str(fails(path)) == message
    assert str(fails(path, on_error="record")) == message


def test_element_that_is_no_object_is_an_error_of_the_row(write: Write) -> None:
    path = write("a.json", '[{"a": 1},\n2,\n{"a": 3}]')
    assert str(fails(path)) == "a.json:2 is a number, not an object"
    assert [row.record for row in rows(path, on_error="record")] == [{"a": 1}, None, {"a": 3}]


@pytest.mark.parametrize("separator", [",", "\t"])
def test_ragged_rows(write: Write, separator: str) -> None:
    name = "t.csv" if separator == "," else "t.tsv"
    path = write(name, "a,b\n1,2,3\n4,5\n6\n,\n".replace(",", separator))
    error = fails(path)
    assert str(error) == f"{name}:2 has 3 fields instead of 2"
    assert error.hint is not None
    assert error.hint.startswith("--on-error record")
    got = rows(path, on_error="record")
    assert [row.record for row in got] == [None, {"a": "4", "b": "5"}, None, {"a": "", "b": ""}]
    assert str(got[2].error) == f"{name}:4 has 1 field instead of 2"


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_headers_that_cannot_be(write: Write, name: str) -> None:
    separator = "," if name == "t.csv" else "\t"
    nameless = fails(write(name, "\n,text\n0,x\n".replace(",", separator)))
    assert str(nameless) == f"{name}:2: column 1 of the header has no name"
    assert "index=False" in str(nameless.hint)
    twice = fails(write(name, "a,b,a\n1,2,3\n".replace(",", separator)), on_error="record")
    assert str(twice) == f"{name}:1: the header names 'a' twice"


def test_unclosed_quote_names_the_line_where_it_opens(write: Write) -> None:
    path = write("t.csv", 'a,b,c\n1,2,3\n"x\ny",5" wide,"open\n7,8,9\n')
    for on_error in ("fail", "record"):
        error = fails(path, on_error=on_error)
        assert str(error) == "t.csv:4 opens a quote that is never closed"
        assert error.hint == 'close it; a quote inside a quoted field is written twice: ""'
    assert str(fails(write("t.csv", 'a,b\n1,"x ""y"" z\n'))) == "t.csv:2 opens a quote that is never closed"


def test_other_broken_csv(write: Write) -> None:
    path = write("t.csv", 'a,b\n1,"x" y\n2,a\rb\n3,"c\rd"\n')
    got = rows(path, on_error="record")
    assert [row.record for row in got] == [None, None, {"a": "3", "b": "c\rd"}]
    assert str(got[0].error) == "t.csv:2 has text after a closing quote"
    assert str(got[1].error) == "t.csv:3 has a carriage return inside a field that is not quoted"
    assert got[1].error is not None
    assert got[1].error.hint == r"tr '\r' '\n' < t.csv > t.utf8.csv"


def test_bytes_that_are_not_utf8(write: Write) -> None:
    path = write("my notes.txt", "één\nnaïve caf".encode() + b"\xe9!\nok\n")
    error = fails(path)
    assert str(error) == "my notes.txt:2 is not UTF-8 (byte 0xe9, column 10)"
    assert error.hint == "iconv -f latin1 -t utf-8 < 'my notes.txt' > 'my notes.utf8.txt'"
    assert [row.record for row in rows(path, on_error="record")] == [{"text": "één"}, None, {"text": "ok"}]
    assert str(fails(path, slurp=True)) == str(error)
    packed = fails(write("n.csv.gz", gzip.compress(b"\xe9\n")))
    assert packed.hint == "gzip -dc n.csv.gz | iconv -f latin1 -t utf-8 > n.utf8.csv"
    with piped(b"\xff\xff\n"):
        assert fails("-").hint == "iconv -f latin1 -t utf-8 < IN > OUT"
    array = fails(write("a.json", b'[{"a": 1},\n{"a": "\xe9"}]'))
    assert str(array) == "a.json:2 is not UTF-8 (byte 0xe9, column 8)"


@pytest.mark.parametrize("raw", [b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x82"])
def test_utf8_is_strict(write: Write, raw: bytes) -> None:
    assert f"(byte 0x{raw[0]:02x}, column 1)" in str(fails(write("a.txt", raw)))


def test_bad_bytes_inside_quotes_do_not_break_the_rows_after_them(write: Write) -> None:
    path = write("t.csv", b'a,b\n1,"x\n\xe9,"",\n\0"\n2,y\n')
    bad, good = rows(path, on_error="record")
    assert str(bad.error) == "t.csv:3 is not UTF-8 (byte 0xe9, column 1)"
    assert bad.where == "t.csv:2"
    assert good == Row({"a": "2", "b": "y"}, "t.csv:5")


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.tsv"])
def test_nul_bytes(write: Write, name: str) -> None:
    path = write(name, b'{"a":1}\n{"a":\0}\n{"a":2}\n')
    assert str(fails(path)) == f"{name}:2 has a NUL byte; is it a text file?"
    assert [row.error is None for row in rows(path, on_error="record")][-2:] == [False, True]
    assert str(fails(path, slurp=True)) == f"{name}:2 has a NUL byte; is it a text file?"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_wide_encodings_are_named(write: Write, encoding: str) -> None:
    data = ("" if encoding in ("utf-16", "utf-32") else "\ufeff").encode(encoding) + "a,b\n1,2\n".encode(encoding)
    for on_error in ("fail", "record"):
        error = fails(write("a.csv", data), on_error=on_error)
        assert str(error) == f"a.csv is {encoding[:6].upper()}, not UTF-8"
        assert error.hint == f"iconv -f {encoding[:6]} -t utf-8 < a.csv > a.utf8.csv"


def test_other_packings_are_named(write: Write) -> None:
    error = fails(write("a.jsonl.zst", b"\x28\xb5\x2f\xfd...."))
    assert (str(error), error.hint) == ("a.jsonl.zst is packed with zstd", "zstd -dc < a.jsonl.zst > a.utf8.jsonl")
    assert str(fails(write("a.xlsx", b"PK\x03\x04...."))) == "a.xlsx is a zip archive or an office document, not text"


# Limits


def test_long_line(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_input, "MAX_LINE_BYTES", 5 << 20)
    monkeypatch.setattr(_input, "_CHUNK_BYTES", 1 << 20)
    path = write("a.txt", "one\n" + "x" * (12 << 20) + "\nthree\n" + "y" * (5 << 20) + "\n" + "z" * (6 << 20))
    error = fails(path)
    assert str(error) == "a.txt:2 is longer than 5 MB"
    assert "newline" in str(error.hint)
    assert [len(row.record["text"]) if row.record else None for row in rows(path, on_error="record")] == [
        3, None, 5, 5 << 20, None,
    ]  # fmt: skip
    assert "a.txt is longer than 5 MB" in str(fails(path, slurp=True))


def test_long_line_in_other_formats(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_input, "MAX_LINE_BYTES", 1 << 20)
    monkeypatch.setattr(_input, "MAX_ARRAY_BYTES", 1 << 20)
    long = "x" * ((1 << 20) + 1)
    path = write("a.csv", f'text\n{long}\nshort\n"{long}"\n"a\nb"\n')
    assert texts(path, on_error="record") == ["short", "a\nb"]
    assert str(fails(path)) == "a.csv:2 is longer than 1 MB"
    open_quote = fails(write("a.csv", 'text\nx\n"open\n' + "y\n" * (1 << 20)), on_error="record")
    assert str(open_quote) == "a.csv:3 opens a quote that is not closed within 1 MB"
    array = fails(write("a.json", '[{"text": "' + long))
    assert (str(array), "jq -c" in str(array.hint)) == ("a.json is longer than 1 MB", True)


@pytest.mark.parametrize("options", [{}, {"slurp": True}, {"format": "csv"}, {"on_error": "record"}])
def test_gzip_bomb_ends_early_in_bounded_memory(write: Write, monkeypatch: pytest.MonkeyPatch, options: Any) -> None:
    monkeypatch.setattr(_input, "MAX_LINE_BYTES", 1 << 20)
    path = write("a.txt.gz", gzip.compress(b"x" * (200 << 20), 1))
    tracemalloc.start()
    try:
        with read(path, **options) as source:
            if options.get("on_error"):
                assert [row.error is None for row in source] == [False]
            else:
                with pytest.raises(DataError, match="is longer than 1 MB"):
                    list(source)
                assert source.position_bytes <= 2 * _input._CHUNK_BYTES
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# Round trips

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_records = st.lists(st.dictionaries(st.text(), json_values, max_size=4), min_size=1, max_size=5)


@given(json_records)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_records_survive_dumps_and_read(tmp_path: Path, given_records: list[dict[str, Any]]) -> None:
    lines = [dumps(record) for record in given_records]
    assert all(line.splitlines() == [line] for line in lines)
    path = tmp_path / "a.jsonl"
    path.write_bytes("\n".join(lines).encode())
    assert all_records(str(path)) == given_records
    array = tmp_path / "a.json"
    array.write_bytes(f"[{','.join(lines)}]".encode())
    assert all_records(str(array)) == given_records


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n")), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_lines_of_any_text_survive(tmp_path: Path, lines: list[str]) -> None:
    lines = ["first", *[line.rstrip("\r") for line in lines], "last"]
    path = tmp_path / "a.txt"
    path.write_bytes("\n".join(lines).encode())
    assert texts(str(path)) == lines


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=2),
        min_size=1,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_quoted_csv_of_any_text_survives(tmp_path: Path, table: list[list[str]]) -> None:
    def quoted(row: list[str]) -> str:
        return ",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n"

    path = tmp_path / "a.csv"
    path.write_bytes(("a,b\n" + "".join(map(quoted, table))).encode())
    assert all_records(str(path)) == [{"a": a, "b": b} for a, b in table]


@given(st.binary(max_size=60), st.sampled_from(["text", "jsonl", "json", "csv", "tsv", "auto"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_give_rows_or_a_data_error(tmp_path: Path, data: bytes, format: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with suppress(DataError):
        for row in read(str(path), format=format, on_error="record"):
            assert (row.record is None) == (row.error is not None)


def test_dumps_is_one_readable_line_of_valid_utf8() -> None:
    record = {"t": "é\u2028\x85\ud800", "x": [1.0, math.nan, (math.inf, {"y": -math.inf})], "n": None}
    line = dumps(record)
    assert line == '{"t": "é\\u2028\\u0085\\ud800", "x": [1.0, null, [null, {"y": null}]], "n": null}'
    assert json.loads(line.encode())["t"] == record["t"]


def test_import_is_light() -> None:
    code = "import sys, hfcli.records, hfcli.writing; print([m for m in ('numpy', 'pyarrow', 'torch') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT).stdout == "[]\n"
    )


@pytest.mark.parametrize("suffix", ["txt", "txt.gz", "jsonl", "csv"])
def test_the_share_follows_the_rows_and_not_what_was_read_ahead(tmp_path, suffix):
    """A progress bar over a file smaller than what one read brings must not be full with the first row."""
    lines = [f'{{"a": {i:04}}}' if suffix == "jsonl" else f"line {i:04}" for i in range(1, 1001)]
    lines = [line.replace(": 0", ": 1") for line in lines]  # no leading zeros in JSON
    data = "".join(line + "\n" for line in (["head"] * (suffix == "csv") + lines)).encode()
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(gzip.compress(data) if suffix.endswith("gz") else data)
    with read(str(path)) as source:
        for count, _ in enumerate(source, 1):
            assert source.rows == count
            assert source.share == pytest.approx(count / 1000, abs=0.01)
