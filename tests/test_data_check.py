"""`hfcli data check`: what it finds in records, how it says so, and what it makes of its exit code."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from hfcli.options.reading import DataOptions
from hfcli.runtime import checking, counting, data, findings
from hfcli.tasks._labels import Labels
from hfcli.tasks.base import Settings

WORDS = "the card was charged twice and nobody answers my letter about it since last week please help".split()


def sentence(i, words=6):
    """A text of so many words that no other number gives."""
    return " ".join([str(i), *(WORDS[(i * 7 + k) % len(WORDS)] for k in range(words - 1))])


def write(name, rows, columns=("text", "label")):
    with open(name, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return name


def even(n=30, labels=("login", "billing")):
    """Rows of which `n` have each label, with nothing to be noted."""
    return [[sentence(k * n + i), label] for k, label in enumerate(labels) for i in range(n)]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """A folder of its own, and an empty cache of the Hub."""
    from huggingface_hub import constants

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def check(hfcli):
    """`check(file, flag, ...)`: the command without a Hub, lengths in words."""
    return lambda *argv, **more: hfcli("data", "check", *argv, "--offline", **more)


@pytest.fixture
def report(check):
    """`report(file, flag, ...)`: what --json says; findings by kind."""

    def call(*argv, **more):
        (found,) = check(*argv, "--json", **more).records
        found["kinds"] = {finding["kind"]: finding for finding in found["findings"]}
        return found

    return call


@pytest.fixture
def counter():
    """A folder with a tokenizer of which every word is a token, and one stands before each text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({"?": 0, "[CLS]": 1}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A [CLS] $B", special_tokens=[("[CLS]", 1)]
    )
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?", cls_token="[CLS]", model_max_length=512)
    made.save_pretrained("counter")
    return "counter"


SCREEN = """\
fail   2 errors, 4 warnings in 206 records

columns  text <- body · label <- queue (5 labels) · not used: id
labels   billing    103  50.0%  ████████████████
         login       60  29.1%  █████████▍
         shipping    30  14.6%  ████▋
         ... 2 more, smallest Login with 2               (--all shows them)
length   median 7 tokens, 95% under 7, longest 61   counter
         --max-length 30 cuts 3 records (1.5%), 5.9% of all tokens

error  1 line with 4 fields instead of 3     tickets.csv:208
error  4 empty texts                         tickets.csv:3 :4 :5 ... 1 more
warn   labels "Login" (2) and "login" (60) differ only in case
warn   Login (2, 7 to evaluate on), refund (11, 2 to evaluate on) cannot be learnt or measured
warn   2 texts occur twice, 1 of them with different labels   tickets.csv:41 = :111 ... 1 more
warn   2 of 30 evaluation texts are also in training   test.csv:2 :3

try    hfcli finetune counter --dataset tickets.csv --eval-dataset test.csv \\
         --max-length 30 --on-error skip --on-long window \\
         --class-weight balanced
"""


def tickets():
    sizes = {"billing": 103, "login": 60, "shipping": 30, "refund": 11, "Login": 2}
    labels = [label for label, n in sizes.items() for _ in range(n)]
    rows = [[str(i), sentence(i), label] for i, label in enumerate(labels)]
    for i in (1, 2, 3, 4):
        rows[i][1] = "  "
    for i in (10, 11, 12):
        rows[i][1] = sentence(i, words=60)
    rows[109][1] = rows[39][1]  # billing and login
    rows[51][1] = rows[50][1]
    return rows


def test_screen(hfcli, counter):
    rows = tickets()
    write("tickets.csv", [*rows, ["206", "one", "field", "too many"]], ("id", "body", "queue"))
    held = [["x", rows[i][1], rows[i][2]] for i in (60, 70)]
    held += [["x", sentence(900 + i), label] for i, label in enumerate(["login", "shipping", "Login", "billing"] * 7)]
    held[2][2] = held[6][2] = "refund"
    write("test.csv", held, ("id", "body", "queue"))
    result = hfcli("data", "check", "tickets.csv", "--eval-dataset", "test.csv", "-m", counter, "--max-length", 30)
    assert result.out == SCREEN
    assert (result.code, result.err) == (4, "")


def test_clean_records_are_ok(check):
    result = check(write("clean.csv", even()), "--strict")
    assert result.code == 0
    assert result.lines[0] == "ok     60 records, nothing to note"
    assert result.lines[-1] == "try    hfcli finetune bert-base-uncased --dataset clean.csv"
    assert not any(line.startswith(("error", "warn")) for line in result.lines)


def test_warnings_fail_only_where_that_is_asked_for(check):
    write("twice.csv", [*even(), [sentence(0), "login"]])
    result = check("twice.csv")
    assert (result.code, result.lines[0]) == (0, "warn   1 warning in 61 records")
    assert check("twice.csv", "--strict").code == 4


def test_json_tells_every_place(report, check):
    rows = [*even(), *([" ", "login"] for _ in range(9))]
    write("rows.csv", rows)
    found = report("rows.csv")
    empty = found["kinds"]["empty-text"]
    assert (empty["level"], empty["text"]) == ("error", "9 empty texts")
    assert empty["places"] == [f"rows.csv:{line}" for line in range(62, 71)]
    assert (found["verdict"], found["records"], found["labels"]) == ("fail", 69, {"login": 39, "billing": 30})
    assert found["columns"] == {"text": "text", "text_pair": None, "label": "label"}
    assert found["try"].endswith("--dataset rows.csv --on-error skip")
    assert check("rows.csv", "--json").code == 4


def test_all_shows_every_label_and_place(check):
    write("rows.csv", [*even(20, "abcdefg"), *([" ", "a"] for _ in range(5))])
    few, every = check("rows.csv"), check("rows.csv", "--all")
    assert "... 4 more, smallest g with 20" in few.out
    assert "rows.csv:142 :143 :144 ... 2 more" in few.out
    assert "more" not in every.out
    assert "rows.csv:142 :143 :144 :145 :146\n" in every.out
    assert [line for line in every.lines if "  g   20  13.8%" in line]


def test_standard_input(check):
    text = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in [*even(), ["", "login"]])
    result = check("-", stdin=text)
    assert result.code == 4
    assert "error  1 empty text                          standard input:61" in result.lines
    assert result.lines[-1].startswith("try    ... | hfcli finetune bert-base-uncased --dataset -")


def test_lines_that_cannot_be_read_do_not_end_the_check(report):
    good = "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in even())
    Path("rows.jsonl").write_text('{"text": "a"\n{"text": "a", "label"\n' + good)
    finding = report("rows.jsonl")["kinds"]["unreadable-line"]
    assert finding["places"] == ["rows.jsonl:1", "rows.jsonl:2"]
    assert finding["text"].startswith("2 lines that are not JSON (")


@pytest.mark.parametrize("cell", ["3", "null", "[1]"])
def test_cells_that_are_no_text(report, cell):
    lines = [json.dumps({"text": text, "label": label}) for text, label in even()]
    Path("rows.jsonl").write_text("\n".join([*lines, f'{{"text": {cell}, "label": "login"}}']) + "\n")
    finding = report("rows.jsonl")["kinds"]["not-text"]
    assert finding["places"] == ["rows.jsonl:61"]
    assert "not text" in finding["text"]


def test_texts_that_came_here_damaged_or_marked_up(report):
    odd = ["un cafÃ© noir", "lost \ufffd letters", "one<br />two", "fish &amp; chips"]
    fine = ["if a < b and b > c then", "R&D; Q&A", "<3 this", "naïve café — “quoted”"]
    found = report(write("odd.csv", [*even(), *([text, "login"] for text in [*odd, *fine])]))["kinds"]
    assert found["broken-text"]["places"] == ["odd.csv:62", "odd.csv:63"]
    assert found["html"]["places"] == ["odd.csv:64", "odd.csv:65"]


def test_splits_that_were_found_are_named(check, report):
    Path("mail").mkdir()
    write("mail/train.csv", [*even(), ["", "login"], ["", "login"]])
    write("mail/validation.csv", [[sentence(700 + i), ("login", "billing")[i % 2]] for i in range(20)])
    result = check("mail")
    assert result.lines[2] == "data     mail train · mail validation (20) to evaluate on"
    assert "error  2 empty texts                         mail/train.csv:62 :63" in result.lines
    found = report("mail", "--train-split", "validation", "--eval-split", "train")
    assert (found["train"], found["records"]) == ("mail validation", 20)
    assert (found["evaluation"], found["evaluation_records"]) == ("mail train", 62)


def test_glyphs_are_plain_where_the_locale_is(shell):
    write("rows.csv", even())
    line = "hfcli data check rows.csv --offline"
    done = shell(f"cd {Path.cwd()} && {line}", PYTHONIOENCODING="ascii")
    assert "login     30  50.0%  ################\n" in done.stdout
    assert done.stdout.isascii()


# Labels


@pytest.mark.parametrize(
    ("a", "b", "difference"),
    [
        ("Login", "login", "only in case"),
        ("sign up", "sign-up", "only in spaces and signs"),
        ("refund", "refunds", "only in a plural s"),
        ("shipping", "shiping", "in one letter"),
        ("category", "catagory", "in one letter"),
        ("refund-1", "refund-2", None),
        ("refund-1", "refund-11", None),
        ("pos", "neg", None),
        ("cat", "car", None),
        ("billing", "shipping", None),
        ("+", "-", None),
    ],
)
def test_labels_that_are_nearly_the_same(report, a, b, difference):
    rows = [*even(300, [a]), *([sentence(9000 + i), b] for i in range(25))]
    found = report(write("rows.csv", rows))["kinds"]
    first, second = sorted([(a, 300), (b, 25)], key=lambda label: label[0].casefold())
    expected = difference and f'labels "{first[0]}" ({first[1]}) and "{second[0]}" ({second[1]}) differ {difference}'
    assert found.get("similar-labels", {}).get("text") == expected


def test_two_words_that_are_both_used_often_are_meant_to_be_two(report):
    assert report(write("rows.csv", even(40, ["typical", "atypical"])))["findings"] == []


def test_uneven_labels_are_weighed(report):
    found = report(write("rows.csv", [*even(300, ["spam"]), *([sentence(9000 + i), "ham"] for i in range(25))]))
    assert found["kinds"]["uneven-labels"]["text"] == "spam has 12 times as many records as ham"
    assert found["flags"] == ["--class-weight balanced"]


def test_labels_of_too_few_records(report):
    write("rows.csv", [*even(40), *([sentence(9000 + i), "rare"] for i in range(11))])
    found = report("rows.csv")["kinds"]
    assert found["few-records"]["text"] == "rare: 11 records, 1 to evaluate on: cannot be learnt or measured"
    write("test.csv", [[sentence(700 + i), label] for i, label in enumerate(["login", "billing"] * 5 + ["rare"] * 9)])
    found = report("rows.csv", "--eval-dataset", "test.csv")["kinds"]
    assert found["few-records"]["text"] == "rare: 11 records, 9 to evaluate on: cannot be learnt"


def test_labels_that_are_measured_and_not_learnt(report):
    write("rows.csv", even(40))
    write("test.csv", [[sentence(700 + i), label] for i, label in enumerate(["login", "billing", "other"] * 6)])
    finding = report("rows.csv", "--eval-dataset", "test.csv")["kinds"]["unknown-label"]
    assert (finding["level"], finding["text"]) == ("warn", "other (6) is in the evaluation data only")
    write("test.csv", [[sentence(700 + i), label] for i, label in enumerate(["yes", "no"] * 6)])
    finding = report("rows.csv", "--eval-dataset", "test.csv")["kinds"]["unknown-label"]
    assert (finding["level"], finding["text"]) == ("error", "no (6), yes (6) are in the evaluation data only")


def test_records_without_labels(report):
    write("rows.csv", [*even(), [sentence(900), "-1"], [sentence(901), ""]])
    found = report("rows.csv")
    assert found["kinds"]["no-label"]["places"] == ["rows.csv:62", "rows.csv:63"]
    assert found["verdict"] == "warn"
    write("test.csv", [[sentence(910 + i), "-1"] for i in range(3)])
    found = report("rows.csv", "--eval-dataset", "test.csv")
    assert found["kinds"]["no-labels"]["text"] == "no record of test.csv has a label"


def test_labels_cannot_break_lines_or_steer_a_terminal(check):
    result = check(write("rows.csv", even(30, ["good", "bad\nerror  \x1b[2J"])))
    assert "labels   bad\\nerror  \\x1b[2J" in result.out
    assert "\x1b" not in result.out


def test_one_class_cannot_be_learnt(check):
    result = check(write("rows.csv", even(30, ["login"])))
    assert result.code == 4
    assert "error  all labels are the same, login: there is nothing to learn" in result.lines
    assert "try" not in result.out


def test_one_text_cannot_be_learnt_from(report):
    finding = report(write("rows.csv", [["same  text", "a"], ["same text", "b"]] * 30), "--text-column", "text")
    assert finding["kinds"]["one-text"]["text"] == "all 60 texts are the same"


def test_labels_that_could_be_two_things_say_how_to_decide(check):
    result = check(write("rows.csv", [[sentence(i), f"{i % 5}.0"] for i in range(60)]))
    assert result.code == 4
    assert "are classes or amounts" in result.out
    assert result.lines[-1].startswith("try    --problem-type single_label_classification")


def parquet(name, rows, feature):
    schema = pa.schema({"text": pa.string(), "label": pa.array(rows["label"]).type})
    info = {"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "label": feature}}}
    table = pa.table(rows, schema=schema.with_metadata({"huggingface": json.dumps(info)}))
    pyarrow.parquet.write_table(table, name)
    return name


def test_classes_that_the_data_set_names(report, check):
    feature = {"names": ["neg", "pos", "Pos", "mixed"], "_type": "ClassLabel"}
    rows = {"text": [sentence(i) for i in range(106)], "label": [*[0, 1] * 40, *[2] * 25, 7]}
    found = report(parquet("rows.parquet", rows, feature))
    assert found["labels"] == {"neg": 40, "pos": 40, "Pos": 25, "mixed": 0}
    assert found["kinds"]["unused-label"]["text"] == "mixed is never used"
    assert found["kinds"]["not-label"]["places"] == ["rows.parquet: row 106"]
    assert "similar-labels" not in found["kinds"]
    rows["text"][2] = rows["text"][4] = ""
    parquet("rows.parquet", rows, feature)
    assert "error  2 empty texts                         rows.parquet: row 3 5" in check("rows.parquet").lines


def test_several_labels_a_record(report, check):
    tags = [["a", "b"], ["b"], ["c"], []]
    lines = [json.dumps({"text": sentence(i), "tags": tags[i % 4]}) for i in range(120)]
    Path("rows.jsonl").write_text("\n".join(lines) + "\n")
    found = report("rows.jsonl")
    assert found["problem_type"] == "multi_label_classification"
    assert (found["labels"], found["labels_per_record"], found["findings"]) == ({"b": 60, "a": 30, "c": 30}, 1.0, [])
    assert "label <- tags (3 labels, several each)" in check("rows.jsonl").out


# Numbers and pairs


def test_numbers_and_what_is_none(report, check):
    rows = [[sentence(i), f"{i / 10}"] for i in range(40)]
    write("rows.csv", [*rows, ["a b", "nan"], ["c d", "many"]])
    found = report("rows.csv", "--problem-type", "regression")
    assert found["kinds"]["not-label"]["places"] == ["rows.csv:42", "rows.csv:43"]
    assert (found["numbers"]["low"], found["numbers"]["high"]) == (0.0, 3.9)
    assert "labels   0 to 3.9, median 1.95, mean 1.95" in check("rows.csv", "--problem-type", "regression").out
    write("same.csv", [[sentence(i), "2.5"] for i in range(40)])
    assert report("same.csv", "--problem-type", "regression")["kinds"]["one-label"]["level"] == "error"


def test_a_word_among_numbers_does_not_make_classes_of_them_unsaid(report):
    found = report(write("rows.csv", [[sentence(i), f"{i % 9}.5"] for i in range(90)] + [["a b", "n/a"]]))
    assert found["kinds"]["numbers-as-labels"]["text"] == 'most labels are numbers, "n/a" is not'
    assert found["flags"][0] == "--problem-type regression"


def test_pairs_are_the_same_where_both_texts_are(report, counter, hfcli):
    rows = [["a premise", sentence(i), "yes" if i % 2 else "no"] for i in range(60)]
    write("pairs.csv", [*rows, rows[7]], ("premise", "hypothesis", "label"))
    found = report("pairs.csv")
    assert found["columns"] == {"text": "premise", "text_pair": "hypothesis", "label": "label"}
    assert [finding["kind"] for finding in found["findings"]] == ["duplicate-texts"]
    assert found["kinds"]["duplicate-texts"]["places"] == [["pairs.csv:9", "pairs.csv:62"]]
    assert "median 10 tokens" in hfcli("data", "check", "pairs.csv", "-m", counter).out  # 2 + 6 + 2 special ones


def test_a_record_where_names_of_columns_should_be(report):
    rows = even(30, ["0", "1"])
    found = report(write("rows.csv", rows, (sentence(999), "1")))
    assert "is the first line a record?" in found["kinds"]["header"]["text"]


# Repeats


def test_repeated_texts_and_their_labels(report, check):
    rows = even()
    rows += [[rows[0][0], "login"], [rows[5][0].replace(" ", "  "), "billing"], [rows[5][0], "login"]]
    finding = report(write("rows.csv", rows))["kinds"]["conflicting-texts"]
    assert finding["text"] == "2 texts occur more than once, 1 of them with different labels"
    first, second = finding["places"]
    assert first == ["rows.csv:7", "rows.csv:63", "rows.csv:64"]
    assert second == ["rows.csv:2", "rows.csv:62"]
    assert "rows.csv:7 = :63 = :64 ... 1 more" in check("rows.csv").out


def test_texts_on_both_sides(report):
    write("rows.csv", even())
    write("test.csv", [[sentence(5), "login"], *([sentence(700 + i), ("login", "billing")[i % 2]] for i in range(20))])
    finding = report("rows.csv", "--eval-dataset", "test.csv")["kinds"]["overlap"]
    assert finding["text"] == "1 of 21 evaluation texts is also in training"
    assert finding["places"] == ["test.csv:2"]


# Lengths


def test_what_a_length_limit_does(hfcli, counter):
    rows = even()
    rows[3][0] = sentence(3, words=99)  # 100 tokens, the others have 7
    write("rows.csv", rows)

    def length(*argv):
        result = hfcli("data", "check", "rows.csv", "-m", counter, "--max-length", 40, *argv)
        return result, next(line.strip() for line in result.lines if "--max-length 40" in line)

    assert length()[1] == "--max-length 40 cuts 1 record (1.7%), 12% of all tokens"
    assert (
        length("--on-long", "window", "--doc-stride", 9)[1]
        == "--max-length 40 reads 1 record (1.7%) in about 4 windows"
    )
    refused, said = length("--on-long", "error")
    assert said == "--max-length 40 refuses 1 record (1.7%), 12% of all tokens"
    assert refused.code == 4
    assert "error  1 text over 40 tokens                 rows.csv:5" in refused.lines
    assert "--on-long window" in refused.lines[-1]
    assert "--max-length 512 cuts nothing" in hfcli("data", "check", "rows.csv", "-m", counter).out
    longer = hfcli("data", "check", "rows.csv", "-m", counter, "--max-length", 1000)
    assert (longer.code, longer.out) == (2, "")
    assert "--max-length 512" in longer.err


def test_lengths_of_many_records_are_estimated_and_called_so(hfcli, counter, monkeypatch):
    monkeypatch.setattr(counting, "EXACT", 50)
    monkeypatch.setattr(counting, "_DRAWN", 20)
    write("rows.csv", even())
    (found,) = hfcli("data", "check", "rows.csv", "-m", counter, "--json").records
    assert (found["lengths"]["counted"], found["lengths"]["median"]) == (20, 7)
    assert "longest 7   of 20 records   counter" in hfcli("data", "check", "rows.csv", "-m", counter).out


def test_lengths_are_in_words_where_there_is_no_tokenizer(hfcli, hub):
    write("rows.csv", even())
    result = hfcli("data", "check", "rows.csv")
    assert "length   median 6 words, 95% under 6, longest 6\n" in result.out
    assert "--max-length" not in result.out
    assert result.err.startswith("note: lengths are in words")
    assert result.code == 0


def test_of_a_model_on_the_hub_its_weights_are_not_fetched(hfcli, hub, counter):
    folder = Path(counter)
    (folder / "model.safetensors").write_bytes(b"0" * 1000)
    hub.add("acme/counter", folder.resolve())
    write("rows.csv", even())
    result = hfcli("data", "check", "rows.csv", "-m", "acme/counter")
    assert "longest 7   acme/counter" in result.out
    assert not any("safetensors" in request for request in hub.requests)
    hub.requests.clear()
    assert hfcli("data", "check", "rows.csv", "-m", "acme/counter").out == result.out
    assert hub.requests == []


def test_the_usual_tokenizer_is_fetched_where_the_hub_can_be_asked(hfcli, hub, counter):
    hub.add("google/usual", Path(counter).resolve())
    hub.aliases = {"bert-base-uncased": "google/usual"}
    result = hfcli("data", "check", write("rows.csv", even()))
    assert "longest 7   bert-base-uncased" in result.out
    assert result.err == ""


def test_a_model_that_was_asked_for_and_is_nowhere_is_an_error(hfcli, hub):
    result = hfcli("data", "check", write("rows.csv", even()), "-m", "acme/nothing")
    assert (result.code, result.out) == (5, "")


# For finetune


def test_finetune_gets_three_lines_at_most_the_worst_first():
    write("tickets.csv", tickets(), ("id", "body", "queue"))
    train = data.load(DataOptions("tickets.csv"), offline=True, tell=lambda event: None).train
    evaluation = train.select(np.arange(0, len(train), 3))
    columns = {"text": "body", "text_pair": None, "label": "queue"}
    labels = Labels("single_label_classification", ("Login", "billing", "login", "refund", "shipping"))
    settings = Settings("text-classification", columns, max_length=30)
    counts = np.full(len(train), 10)
    counts[:50] = 40
    report = checking.check(train, evaluation, columns, labels, settings=settings, token_counts=counts)
    assert [finding.kind for finding in report.errors] == ["empty-text"]
    assert {"overlap", "conflicting-texts", "similar-labels", "few-records"} <= {f.kind for f in report.warnings}
    overlap, conflicting, similar = checking.brief(report)
    assert "evaluation texts are also in training (tickets.csv:2 ...)" in overlap
    assert "with different labels" in conflicting
    assert '"Login"' in similar
    assert (report.lengths.median, report.lengths.longest) == (10, 40)
    assert report.lengths.over_records == pytest.approx(50 / 206)
    assert report.lengths.over_tokens == pytest.approx(500 / (50 * 40 + 156 * 10))


def test_nothing_is_said_of_clean_records():
    write("clean.csv", even())
    train = data.load(DataOptions("clean.csv"), offline=True, tell=lambda event: None).train
    columns = {"text": "text", "text_pair": None, "label": "label"}
    labels = Labels("single_label_classification", ("billing", "login"))
    report = checking.check(train, None, columns, labels, settings=Settings("text-classification", columns))
    assert checking.brief(report) == []
    assert report.lengths is None


# The command line


@pytest.mark.parametrize(
    ("argv", "code", "said"),
    [
        ((), 2, "data needs an action; there is check"),
        (("chek", "rows.csv"), 2, "did you mean check?"),
        (("check",), 2, "no data to check"),
        (("check", "nothing.csv"), 4, "no file nothing.csv"),
        (
            ("check", "imdb", "--eval-dataset", "imdb", "--eval-split", "test"),
            2,
            "--eval-dataset is the same as --dataset",
        ),
        (("check", "rows.csv", "--label-column", "lable"), 2, "did you mean label?"),
        (("check", "rows.csv", "--eval-dataset", ""), 2, "--eval-dataset is empty"),
        (("check", "rows.csv", "--task", "generation"), 2, "text-generation cannot be finetuned"),
    ],
)
def test_what_is_refused(hfcli, argv, code, said):
    write("rows.csv", even())
    result = hfcli("data", *argv)
    assert (result.code, result.out) == (code, "")
    assert said in result.err


def test_many_names_are_not_compared_with_each_other(monkeypatch):
    monkeypatch.setattr(findings, "_difference", pytest.fail)
    names = [f"label {i}" for i in range(findings._NAMES_COMPARED + 1)]
    assert list(findings._similar(names, np.ones(len(names), dtype=int))) == []
