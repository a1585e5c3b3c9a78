"""What once went wrong silently in `hfcli eval`: columns that look like another, orders, outputs over inputs."""

import json
import os
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        if not isinstance(content, str):
            content = "".join(json.dumps(record) + "\n" for record in content)
        Path(name).write_text(content)
        return name

    return write


@pytest.fixture
def scores(hfcli):
    def call(*argv):
        result = hfcli("eval", *argv)
        assert result.code == 0, result.err
        return {entry["metric"]: entry["score"] for entry in result.records[0]["scores"]}

    return call


def test_what_is_right_is_not_taken_for_what_was_said(scores, write):
    records = [{"text": "x", "label": "pos", "prediction": "neg"}, {"text": "y", "label": "neg", "prediction": "neg"}]
    predictions = write("p.jsonl", records)
    assert scores("--metric", "accuracy", "--predictions", predictions) == {"accuracy": 0.5}
    gold = ("--references", write("gold.txt", "pos\nneg\n"))
    assert scores("--metric", "accuracy", "--predictions", predictions, *gold) == {"accuracy": 0.5}
    asked = write("q.jsonl", [{"question": "?", "answer": "Paris", "output": "Rome"}])
    assert scores("--metric", "exact_match", "--predictions", asked) == {"exact_match": 0}


def test_a_text_in_brackets_is_no_list(scores, write):
    records = write("p.jsonl", [{"text": "[Intro] nice", "label": "pos", "reference": "pos"}] * 2)
    found = scores("--metric", "accuracy", "--metric", "f1_macro", "--predictions", records)
    assert found == {"accuracy": 1, "f1_macro": 1}
    lines = write("h.txt", '["x", "y"]\n["z"]\n')
    assert scores("--metric", "exact_match", "--predictions", lines, "--references", lines) == {"exact_match": 1}


@pytest.mark.parametrize(("said", "right"), [(True, "True"), (1, "1.0"), (2.0, "2")])
def test_a_label_is_one_however_it_is_written(scores, write, said, right):
    predictions = write("p.jsonl", [{"label": said}, {"label": "other"}])
    references = write("r.csv", f"label\n{right}\nother\n")
    assert scores("--metric", "accuracy", "--predictions", predictions, "--references", references) == {"accuracy": 1}


def test_systems_in_different_orders_are_refused(hfcli, write):
    first = write("a.jsonl", [{"prediction": "x", "gold": "x"}, {"prediction": "y", "gold": "y"}])
    second = write("b.jsonl", [{"prediction": "y", "gold": "y"}, {"prediction": "x", "gold": "x"}])
    result = hfcli("eval", "--metric", "accuracy", "--predictions", first, "--predictions", second)
    assert (result.code, result.out) == (4, "")
    assert "a.jsonl:1: what is right there is not what is right in the other files" in result.err


def test_ids_may_be_numbers_in_one_file_and_text_in_the_other(scores, write):
    predictions = write("p.jsonl", [{"id": 1, "label": "x"}, {"id": 2, "label": "y"}])
    references = write("r.csv", "id,label\n1,x\n2,x\n")
    assert scores("--metric", "accuracy", "--predictions", predictions, "--references", references) == {"accuracy": 0.5}


def test_a_folder_of_results_is_not_written_over_what_is_read(hfcli, write):
    Path("runs").mkdir(exist_ok=True)
    for name in ("a", "b"):
        write(f"runs/{name}.json", json.dumps([{"prediction": "x", "gold": "x"}]))
    before = Path("runs/a.json").read_text()
    flags = ("--predictions", "runs/a.json", "--predictions", "runs/b.json", "-o", "runs/")
    result = hfcli("eval", "--metric", "accuracy", *flags)
    assert result.code == 2
    assert "is what is read, and would be lost" in result.err
    assert json.loads(result.out)["systems"][0]["scores"][0]["score"] == 1  # nothing that was measured is lost
    assert Path("runs/a.json").read_text() == before


@pytest.fixture
def labels(write):
    write("p.txt", "x\ny\nx\n")
    return ("--metric", "accuracy", "--predictions", "p.txt", "--references", write("r.txt", "x\ny\ny\n"))


def test_results_go_through_links_and_not_to_standard_output_twice(hfcli, labels):
    Path("target.json").write_text("old")
    os.symlink("target.json", "link.json")
    assert hfcli("eval", *labels, "-o", "link.json").code == 0
    assert os.path.islink("link.json")
    assert json.loads(Path("target.json").read_text())["name"] == "p"
    refused = hfcli("eval", *labels, "-o", "-")
    assert (refused.code, "standard output has the scores already" in refused.err) == (2, True)
    assert not Path("-").exists()


def test_limits_may_name_options(hfcli, write):
    texts = ("--predictions", write("h.txt", "The cat\n"), "--references", write("r.txt", "the cat\n"))
    result = hfcli("eval", "--metric", "chrf:lowercase=true", *texts, "--fail-under", "chrf:lowercase=true=99")
    assert result.code == 0, result.err
    assert hfcli("eval", "--metric", "chrf", *texts, "--fail-under", "chrf=99").code == 7


def test_copies_are_the_same_data_and_spellings_the_same_options(hfcli, labels, write):
    assert hfcli("eval", *labels, "-o", "one.json").code == 0
    write("copy.txt", Path("r.txt").read_text())
    assert hfcli("eval", *labels[:5], "copy.txt", "-o", "two.json").code == 0
    assert hfcli("compare", "one.json", "two.json").code == 0
    tags = ("--predictions", write("t.jsonl", [{"prediction": ["B-X", "O"], "tags": ["B-X", "O"]}]))
    for scheme in ("", ":scheme=conll"):
        assert hfcli("eval", "--metric", f"entity_f1{scheme}", *tags, "-o", f"tags{len(scheme)}.json").code == 0
    assert hfcli("compare", "tags0.json", "tags13.json").code == 0


def test_a_score_that_is_not_defined_is_no_verdict(hfcli, write):
    constant = write("c.jsonl", [{"score": 1, "gold": x} for x in (1, 2, 3)])
    better = write("b.jsonl", [{"score": x, "gold": x} for x in (1, 2, 3)])
    for name in (constant, better):
        assert hfcli("eval", "--metric", "pearson", "--predictions", name, "-o", f"{name}.json").code == 0
    (told,) = hfcli("compare", f"{constant}.json", f"{better}.json").records
    assert list(told["verdicts"].values()) == ["not defined"]


def test_two_folders_of_one_name_are_two_systems(hfcli, models, tmp_path, monkeypatch):
    import shutil

    monkeypatch.chdir(tmp_path)
    signed = []
    for name in ("one", "two"):
        shutil.copytree(models.classifier(), tmp_path / name / "best")
        if name == "two":
            config = json.loads((tmp_path / name / "best" / "config.json").read_text())
            (tmp_path / name / "best" / "config.json").write_text(json.dumps(config | {"seen": 1}))
        (tmp_path / "d.jsonl").write_text('{"text": "good", "label": "pos"}\n{"text": "bad", "label": "neg"}\n')
        signed.append(hfcli("eval", "-m", f"{name}/best", "--dataset", "d.jsonl").records[0]["system"])
    assert signed[0] != signed[1]
    assert all(each.startswith("best@") for each in signed)


def test_another_column_is_another_measurement(hfcli, write):
    records = [{"id": "a", "question": "Who?", "context": "Ann came.", "answers": ["Ann"], "other": ["Bob"]}]
    data = write("d.jsonl", records)
    signed = [
        hfcli("eval", "-m", "builtin/reader", "--dataset", data, *flags).records[0]["scores"][0]["signature"]
        for flags in ((), ("--answers-column", "other"))
    ]
    assert signed[0] != signed[1]
    given = write("p.jsonl", [{"id": "a", "answer": "Bob"}])
    flags = ("--predictions", given, "--references", data, "--answers-column", "other")
    assert hfcli("eval", "--metric", "squad", *flags).records[0]["scores"][0]["score"] == 100


def test_fewer_records_than_were_done_are_other_input(hfcli, labels, write):
    from hfcli.writing import InputDigest, Output

    digest = InputDigest()
    settings = {"predictions": ["p.txt"], "metric": ["accuracy"], "columns": []}
    with Output("d.jsonl", settings=settings, resume=False, overwrite=False) as output:
        output.write([b"{}"] * 9, digest.hexdigest(), 9)
    result = hfcli("eval", *labels, "--details", "d.jsonl", "--resume")
    assert result.code == 2
    assert "d.jsonl.partial was made from other input" in result.err


def test_a_bad_line_of_a_data_set_names_no_flag_that_eval_has_not(hfcli, write):
    data = write("d.jsonl", '{"text": "good", "label": "pos"}\n{"text": \n')
    result = hfcli("eval", "-m", "builtin/reviews", "--dataset", data)
    assert (result.code, result.out) == (4, "")
    assert result.err.startswith("error: d.jsonl:2 is not JSON")
    assert "--on-error" not in result.err
