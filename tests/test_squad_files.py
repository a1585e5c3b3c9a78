"""Reading SQuAD's own JSON: a row for each question, whatever the layout, and what is said about broken documents."""

import gzip
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from hfcli.errors import DataError
from hfcli.records import _input, _squad, read
from tests.test_records import piped

SHARED = Path(__file__).parents[2] / "shared" / "data" / "squad"

PARIS = {"text": "Paris", "answer_start": 0}
QUESTIONS = [
    {"id": "q1", "question": "Where is the tower?", "answers": [PARIS, {"text": "in Paris", "answer_start": 8}]},
    {"question": "When was it built?", "answers": [], "is_impossible": True, "id": "q2"},
]
DOCUMENT = {
    "version": "v2.0",
    "data": [
        {"title": "Towers", "paragraphs": [{"context": "Paris (in Paris).", "qas": QUESTIONS}]},
        {"title": "Seas", "paragraphs": [{"qas": [{"id": "q3", "question": "Wét?"}], "context": "Salt."}]},
    ],
}
RECORDS = [
    {
        "id": "q1",
        "title": "Towers",
        "context": "Paris (in Paris).",
        "question": "Where is the tower?",
        "answers": {"text": ["Paris", "in Paris"], "answer_start": [0, 8]},
    },
    {
        "id": "q2",
        "title": "Towers",
        "context": "Paris (in Paris).",
        "question": "When was it built?",
        "answers": {"text": [], "answer_start": []},
    },
    {"id": "q3", "title": "Seas", "context": "Salt.", "question": "Wét?"},
]


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        data = content if isinstance(content, bytes | str) else json.dumps(content)
        data = data.encode() if isinstance(data, str) else data
        Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return name

    return write


def rows(path, **options):
    with read(path, **options) as source:
        return list(source)


def fails(path, **options):
    with pytest.raises(DataError) as caught:
        rows(path, **options)
    return caught.value


def question(**changed):
    """The document with the middle question of three changed; None takes a key away."""
    first = {"id": "a", "question": "A?", "answers": [PARIS]}
    middle = {key: value for key, value in {**first, "id": "b", **changed}.items() if value is not None}
    return {
        "data": [{"title": "T", "paragraphs": [{"context": "Paris", "qas": [first, middle, {**first, "id": "c"}]}]}]
    }


@pytest.mark.parametrize("indent", [None, 1, 4, "\t"])
@pytest.mark.parametrize("last", [False, True], ids=["version first", "version last"])
@pytest.mark.parametrize("name", ["dev.json", "dev.json.gz", "dev"])
def test_a_document_is_a_row_for_each_question(write, indent, last, name):
    document = dict(reversed(DOCUMENT.items())) if last else DOCUMENT
    found = rows(write(name, json.dumps(document, indent=indent)))
    assert [row.record for row in found] == RECORDS
    assert [row.where for row in found] == [f"{name}: question {n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_document_comes_in_pieces_on_standard_input(size):
    data = b"\xef\xbb\xbf\n " + json.dumps(DOCUMENT, indent=2, ensure_ascii=False).encode()
    with piped(*(data[at : at + size] for at in range(0, len(data), size))):
        found = rows("-")
    assert [row.record for row in found] == RECORDS
    assert found[2].where == "standard input: question 3"


def test_records_of_their_own_are_read_too(write):
    flat = [{**RECORDS[0], "split": "dev"}, {**RECORDS[2], "answers": [PARIS]}]
    found = rows(write("flat.json", {"version": 2.0, "data": flat}))
    assert [row.record for row in found] == [flat[0], {**flat[1], "answers": {"text": ["Paris"], "answer_start": [0]}}]
    assert [row.where for row in found] == ["flat.json: question 1", "flat.json: question 2"]


@pytest.mark.parametrize(
    "lines",
    [
        ['{"data": [{"title": "x", "paragraphs": []}]}', '{"data": [{"title": "y", "paragraphs": []}]}'],
        ['{"version": 1, "data": [{"id": 3, "question": "Why?"}]}', '{"version": 2, "data": []}'],
        ['{"data": [{"id": 3, "name": "x"}], "label": 1}'],
        ['{"data": []}'],
        ['{"data": [1, 2]}', '{"data": {"title": "x"}}'],
        ['{"data": "x", "version": "1.1"}'],
        ['{"text": "a \\\\\\" {", "data": [{"x": 1}]}'],
    ],
)
def test_json_lines_are_never_mistaken_for_a_document(write, lines):
    text = "\n".join(lines) + "\n"
    wanted = [json.loads(line) for line in lines]
    for name in ("a.json", "a", "a.jsonl"):
        assert [row.record for row in rows(write(name, text))] == wanted
    assert [row.record for row in rows(write("a.json", json.dumps(DOCUMENT)), format="jsonl")] == [DOCUMENT]


def test_a_broken_line_of_json_lines_stays_one(write):
    text = '{"data": [{"id": "a", "question": }]}\n{"data": [{"id": "b", "question": "B?"}]}\n'
    bad, good = rows(write("a.json", text), on_error="record")
    assert str(bad.error) == "a.json:1 is not JSON (a value is missing, column 35)"
    assert good.record == {"data": [{"id": "b", "question": "B?"}]}


def test_lines_on_a_pipe_do_not_wait_for_each_other():
    lines = [b'{"version": "1", "text": "a"}\n', b'{"version": "2", "text": "b"}\n']
    out, into = os.pipe()
    saved = os.dup(0)
    os.dup2(out, 0)
    watchdog = threading.Timer(30, os.close, [into])  # ends the wait, and fails the test
    watchdog.start()
    try:
        with read("-") as source:
            os.write(into, lines[0])
            assert next(iter(source)).record["text"] == "a"
            os.write(into, lines[1])
            assert next(iter(source)).record["text"] == "b"
    finally:
        watchdog.cancel()
        os.close(into)
        os.dup2(saved, 0)
        os.close(saved)
        os.close(out)


@pytest.mark.parametrize("text", [json.dumps(DOCUMENT), json.dumps(DOCUMENT, indent=2), json.dumps(DOCUMENT["data"])])
def test_the_beginning_decides_as_soon_as_it_can(text):
    begins = text.startswith("{")
    told = [_squad._decide(text[:end].encode()) for end in range(len(text) + 1)]
    assert told[-1] is begins
    first = told.index(begins)
    assert set(told[:first]) <= {None}
    assert set(told[first:]) == {begins}


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"id": ["b"]}, "has an id that is an array, not a text"),
        ({"question": None}, "has no question (id b)"),
        ({"question": 7}, "has a question that is a number, not a text (id b)"),
        ({"answers": "Paris"}, "has answers that are a string, not an array (id b)"),
        ({"answers": [7]}, "has an answer whose text is a number (id b)"),
        ({"answers": [{"answer_start": 0}]}, "has an answer without text (id b)"),
        ({"answers": [{"text": "Paris"}]}, "has an answer without answer_start (id b)"),
        ({"answers": [{"text": "Paris", "answer_start": "0"}]}, "has an answer whose answer_start is a string, not a whole number (id b)"),
        ({"answers": {"text": ["Paris"], "answer_start": []}}, "has answers whose text and answer_start are not arrays of the same length (id b)"),
    ],
)  # fmt: skip
def test_a_broken_question_is_a_row_with_its_place_and_id(write, changed, sentence):
    path = write("dev.json", question(**changed))
    first, broken, last = rows(path, on_error="record")
    assert (first.record["id"], last.record["id"], last.where) == ("a", "c", "dev.json: question 3")
    assert (broken.record, broken.where) == (None, "dev.json: question 2")
    assert str(broken.error) == f"dev.json: question 2 {sentence}"
    assert fails(path).message == broken.error.message


@pytest.mark.parametrize(
    ("article", "sentence"),
    [
        ("x", "article 1 is a string, not an object"),
        ({"title": "T"}, "article 1 has no paragraphs"),
        ({"paragraphs": {"context": "x"}}, "article 1 has paragraphs that are an object, not an array"),
        ({"paragraphs": [7]}, "article 1, paragraph 1 is a number, not an object"),
        ({"paragraphs": [{"context": "Salt."}]}, "article 1, paragraph 1 has no qas"),
        ({"paragraphs": [{"context": "Salt.", "qas": "none"}]}, "article 1, paragraph 1 has qas that are a string, not an array"),
        ({"paragraphs": [{"qas": []}]}, "article 1, paragraph 1 has no context"),
        ({"paragraphs": [{"context": None, "qas": []}]}, "article 1, paragraph 1 has no context"),
    ],
)  # fmt: skip
def test_a_broken_article_or_paragraph_is_one_row(write, article, sentence):
    path = write("dev.json", {"version": "1.1", "data": [article, DOCUMENT["data"][1]]})
    if article == "x":
        path = write("dev.json", {"data": [DOCUMENT["data"][1], article]})
        sentence = sentence.replace("article 1", "article 2")
    found = rows(path, on_error="record")
    assert [row.record["id"] for row in found if row.record] == ["q3"]
    (broken,) = (row for row in found if row.error)
    assert str(broken.error) == f"dev.json: {sentence}"
    assert broken.where[-1].isdigit()


def test_questions_without_a_context_are_counted_all_the_same(write):
    data = [{"title": "T", "paragraphs": [{"qas": QUESTIONS}]}, DOCUMENT["data"][1]]
    assert rows(write("dev.json", {"data": data}), on_error="record")[-1].where == "dev.json: question 3"


def test_what_is_no_json_is_said_with_line_and_column(write):
    pretty = json.dumps(DOCUMENT, indent=2)
    cut = pretty[:700].rstrip()
    line, column = cut.count("\n") + 1, len(cut) - cut.rfind("\n")
    error = fails(write("cut.json", cut))
    assert error.message == f"cut.json:{line} is not JSON (unexpected end, column {column})"
    one_line = json.dumps(DOCUMENT)
    assert str(fails(write("cut.json", one_line[:300]))) == "cut.json:1 is not JSON (unexpected end, column 301)"
    broken = pretty.replace('"title": "Seas",', '"title": "Seas"')
    line = pretty[: pretty.index('"title": "Seas"')].count("\n") + 2
    assert str(fails(write("comma.json", broken))).startswith(
        f"comma.json:{line} is not JSON (a comma is missing, column"
    )
    assert "more text after the end" in str(fails(write("more.json", pretty + "\n{}")))
    Path("half.json.gz").write_bytes(gzip.compress(pretty.encode())[:-20])
    assert "half.json.gz is cut off" in str(fails("half.json.gz"))
    assert "is not UTF-8" in str(fails(write("latin.json", json.dumps(DOCUMENT, ensure_ascii=False).encode("latin1"))))
    assert str(fails(write("none.json", {"version": "1.1", "data": []}))) == "none.json is empty"


def test_a_document_has_the_limit_of_whole_documents(write, monkeypatch):
    monkeypatch.setattr(_input, "MAX_ARRAY_BYTES", 1 << 20)
    found = fails(write("long.json", {**DOCUMENT, "more": "x" * (1 << 20)}))
    assert found.message == "long.json is longer than 1 MB"
    assert "--input-format jsonl" in found.hint


def test_answers_by_id_are_read_where_they_are_asked_for(write):
    for text in ('{"q1": "Paris", "q2": null, "q3": ""}', '{\n  "q1": "Paris",\n  "q2": null,\n  "q3": ""\n}'):
        for name in ("p.json", "p.json.gz", "p"):
            found = rows(write(name, text), pairs=("id", "answer"))
            assert [row.record for row in found] == [
                {"id": key, "answer": value} for key, value in (("q1", "Paris"), ("q2", None), ("q3", ""))
            ]
            assert found[1].where == f"{name}: answer 2"
    lines = '{"id": "q1", "answer": "Paris"}\n{"id": "q2", "answer": null}\n'
    for text in (lines, lines.split("\n")[0]):
        assert rows(write("p.json", text), pairs=("id", "answer"))[0].record == {"id": "q1", "answer": "Paris"}
    assert str(fails(write("p.json", '{"q1": "a", "q2": [{"text": "b"}]}'), pairs=("id", "answer"))) == (
        "p.json: answer 2 is an array, not a text or null (id q2)"
    )
    assert str(fails(write("p.json", '{"q1": "a", "q1": "b"}'), pairs=("id", "answer"))) == "p.json has 'q1' twice"
    assert rows(write("dev.json", DOCUMENT), pairs=("id", "answer"))[0].record == RECORDS[0]


def test_the_digest_is_that_of_the_unpacked_content(write):
    data = json.dumps(DOCUMENT).encode()
    for name in ("dev.json", "dev.json.gz"):
        with read(write(name, data), digest=True) as source:
            list(source)
        assert source.sha256 == hashlib.sha256(data).hexdigest()


def test_a_document_is_data_to_learn_from(write):
    from hfcli.runtime.local_data import read as read_split

    broken = question(question=None)
    split = read_split([write("dev.json", DOCUMENT)], "train", "dev.json", "fail", lambda event: None)
    assert split.table.column_names == ["id", "title", "context", "question", "answers"]
    assert [split.where(i) for i in range(3)] == [f"dev.json: question {n}" for n in (1, 2, 3)]
    split = read_split([write("bad.json", broken)], "train", "bad.json", "collect", lambda event: None)
    assert [split.where(i) for i in range(2)] == ["bad.json: question 1", "bad.json: question 3"]
    assert [str(error) for error in split.bad] == ["bad.json: question 2 has no question (id b)"]


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_the_published_files_are_read_whole():
    sizes = {
        "dev-v1.1.json.gz": 10570,
        "xquad.en.json": 1190,
        "squad_v2_fixture_hfstyle.json": 14,
        "squad_v2_fixture_original_format.json": 14,
    }
    found = {name: rows(str(SHARED / name)) for name in sizes}
    assert {name: len(each) for name, each in found.items()} == sizes
    for row in (row.record for each in found.values() for row in each):
        for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert row["context"][start : start + len(text)] == text
