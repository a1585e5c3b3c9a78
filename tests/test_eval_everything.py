"""Every metric that is listed is measured, on a few records, without a network: connections fail the test."""

import json
import math

import pytest

from hfcli import metrics

RECORDS = {
    "texts": [("the cat sat on the mat", ["the cat sat on a mat", "a cat sat"]), ("a dog barked", ["the dog barked", "x"])],
    "text": [("to be or not to be that is", None), ("once upon a time there was a fox", None)],
    "labels": [("pos", "pos"), ("neg", "pos"), ("neg", "neg"), ("pos", "pos")],
    "label_sets": [(["a", "b"], ["a"]), ([], ["b"]), (["b"], ["b"])],
    "values": [(1.0, 1.5), (2.0, 1.75), (0.5, 0.25)],
    "probabilities": [({"neg": 0.25, "pos": 0.75}, "pos"), ({"neg": 0.5, "pos": 0.5}, "neg"), ({"neg": 0.9, "pos": 0.1}, "neg")],
    "tags": [(["B-PER", "I-PER", "O"], ["B-PER", "I-PER", "O"]), (["O", "B-LOC"], ["B-LOC", "O"])],
    "answers": [("the Eiffel Tower", ["Eiffel Tower"]), ("in Rome", ["Rome"])],
}  # fmt: skip
TEXTS = "the fox ran over the old hill .\nthe bear sang to the moon , then it went home .\n"
LISTED = {row["name"]: row["reads"] for row in metrics.listed()}


def test_every_kind_is_there():
    assert set(LISTED.values()) == {*RECORDS, "likelihoods", "scored", "swapped"}


@pytest.mark.parametrize("name", sorted(LISTED))
def test_it_is_measured(hfcli, tmp_path, monkeypatch, models, name):
    monkeypatch.chdir(tmp_path)
    reads = LISTED[name]
    if reads in RECORDS:
        records = [
            {"id": str(at), "answer" if reads == "answers" else "prediction": given, "answers" if reads == "answers" else "reference": right}
            for at, (given, right) in enumerate(RECORDS[reads])
        ]  # fmt: skip
        (tmp_path / "r.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        references = ("--references", "r.jsonl") if reads == "answers" else ()
        flags = ("--predictions", "r.jsonl", *references)
    elif reads == "likelihoods":
        (tmp_path / "t.txt").write_text(TEXTS)
        flags = ("-m", str(models.gpt2()), "--file", "t.txt")
    elif reads == "scored":
        (tmp_path / "t.txt").write_text(TEXTS)
        flags = ("--predictions", "t.txt", "--scorer", str(models.classifier()), "--scorer-label", "neg")
    else:
        (tmp_path / "t.jsonl").write_text('{"text": "a good film"}\n{"text": "a bad film"}\n')
        flags = ("-m", str(models.classifier()), "--dataset", "t.jsonl", "--swap", "good=bad")
    result = hfcli("eval", "--metric", name, *flags, "--resamples", "50")
    assert result.code == 0, result.err
    for score in result.records[0]["scores"]:
        assert math.isfinite(score["score"]), score
        assert score["n"] > 0
        assert score["signature"].startswith(f"{score['metric']}|data:")
        assert "|ci:bs50-12345|" in score["signature"]
