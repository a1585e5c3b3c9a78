"""What is written beside a finetuned model: card, recipe, scores, curves; and what of it goes to the Hub."""

import html
import json
import math
import os
import re
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub import HfApi, ModelCard, metadata_load
from huggingface_hub.errors import HfHubHTTPError
from markdown_it import MarkdownIt

from hfcli import recipes
from hfcli.errors import DataError, HfcliError, ModelError, UsageError
from hfcli.events import Lengths, Measured, Note
from hfcli.runtime import curves, saving
from hfcli.runtime.curves import draw
from hfcli.runtime.saving import Result
from hfcli.tasks.base import Settings

COMMIT = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
FILES = {"README.md", "hfcli.yaml", "curves.png", "surprising.jsonl", "metrics.json"}
COLUMNS = {"text": "text", "text_pair": None, "label": "label"}


def history(metric="accuracy", evaluations=3, steps=704):
    lines = []
    for epoch in range(1, evaluations + 1):
        at = {"step": steps * epoch, "epoch": float(epoch)}
        lines += [{**at, "step": at["step"] - 2, "loss": 0.5 / epoch, "learning_rate": 1e-5}]
        score = {metric: 0.9 + epoch / 100, f"{metric}_low": 0.9, f"{metric}_high": 0.95}
        lines += [{**at, "train_loss": 0.4 / epoch, "eval_loss": 0.2, **score, "best": True}]
    return lines


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def result(here, monkeypatch):
    """A finetuning on a Hub data set with 10% held out; its curves are drawn where a test is about them."""
    monkeypatch.setattr(curves, "draw", lambda history, *about: b"a picture" if history else None)
    folder = Path("runs/imdb-bert-base-uncased")
    folder.mkdir(parents=True)
    data = {"name": "stanfordnlp/imdb", "split": "train", "revision": COMMIT}
    return Result(
        folder=folder,
        model_name="google-bert/bert-base-uncased",
        model_revision="86b5e0934494bd15c9632b12f734a8a67f723594",
        data=[
            {"role": "train", **data, "records": 22500, "held_out": False},
            {"role": "evaluation", **data, "records": 2500, "held_out": True},
        ],
        columns=COLUMNS,
        settings=Settings("text-classification", COLUMNS, "single_label_classification"),
        labels=("neg", "pos"),
        options={"model": "bert-base-uncased", "dataset": "imdb", "learning-rate": 3e-5, "lora": True},
        hyperparameters={"learning-rate": 3e-5, "batch-size": 32, "lora": True, "seed": 42},
        history=history(),
        best={"epoch": 3.0, "step": 2112, "loss": 0.211},
        scores={"accuracy": Measured(0.94, 0.931, 0.949, 2500), "f1_macro": Measured(0.9399, 0.93, 0.95, 2500)},
        per_class=[
            {"label": "neg", "precision": 0.944, "recall": 0.936, "f1": 0.94, "n": 1250, "read_as": [("pos", 80)]},
            {"label": "pos", "precision": 0.937, "recall": 0.944, "f1": 0.94, "n": 1250, "read_as": [("neg", 70)]},
        ],
        confusion=[[1170, 80], [70, 1180]],
        lengths=Lengths(233, 797, 3117, 512, 0.13, 0.094, "truncate"),
        surprising=[{"text": "Fine.\u2028", "label": "neg", "predicted": "pos", "score": 0.999, "where": "row 7"}],
        versions={"hfcli": "0.2.0", "torch": "2.13.0"},
        device="cuda:0 NVIDIA H100, bfloat16",
        seconds=71.4,
        seed=42,
    )


def local(result, path="tickets.csv", **changes):
    """The same, from a file."""
    name = os.path.basename(path)
    rows = [{**row, "name": name, "split": name, "revision": None} for row in result.data]
    return replace(result, data=rows, options={**result.options, "dataset": path}, **changes)


def card_of(result):
    saving.write(result)
    return (result.folder / "README.md").read_text(encoding="utf-8")


def scores_of(result):
    saving.write(result)
    return json.loads((result.folder / "metrics.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def recipe_of(result):
    saving.write(result)
    recipe = recipes.load(result.folder / "hfcli.yaml", ["finetune"])
    return recipe, recipe.steps[0].flags


def html_of(card):
    """The card as GitHub and the Hub show it, without its header."""
    body = card.partition("\n---\n")[2]
    return MarkdownIt("commonmark").enable("table").render(body)


def cells(card, first):
    """What is shown of the table row that begins with `first`."""
    rows = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in html_of(card).split("<tr>")[1:]]
    [found] = [[html.unescape(cell) for cell in row] for row in rows if html.unescape(row[0]) == first]
    return found


def test_files_are_those_and_nothing_is_left_aside(result):
    saving.write(result)
    assert {path.name for path in result.folder.iterdir()} == FILES


def test_card_tells_what_the_model_is_and_how_good(result):
    card = card_of(result)
    assert "# imdb-bert-base-uncased" in card
    assert "gives one of 2 labels (neg, pos)." in card
    assert "2,500 records that were held out of" in card
    assert "(10%, seed 42)" in card
    assert "They chose epoch 3, the best of 3 measurements, so the scores are a bit kind" in card
    assert cells(card, "accuracy") == ["accuracy", "0.9400", "0.9310 to 0.9490", "2,500"]
    assert cells(card, "neg") == ["neg", "0.9440", "0.9360", "0.9400", "1,250", "80 as pos"]
    assert cells(card, "<strong>pos</strong>")[1:] == ["70", "1,180"]
    assert "cuts 13.0% of them and 9.4% of all tokens" in card
    assert cells(card, "learning-rate") == ["learning-rate", "3e-05"]
    assert cells(card, "max-length") == ["max-length", "512"]
    assert "It took 1 min 11 s on cuda:0 NVIDIA H100, bfloat16. Versions: hfcli 0.2.0, torch 2.13.0." in card
    assert "![Losses and accuracy over the steps](curves.png)" in card
    assert "Its weakest label is neg: it does not find 6.4% of its 1,250 records." in card


def test_card_uses_work_with_the_folder(result):
    card = card_of(result)
    assert 'hfcli classify -m runs/imdb-bert-base-uncased "some text"' in card
    python = card.partition("```python\n")[2].partition("```")[0]
    compile(python, "card", "exec")
    assert 'model="runs/imdb-bert-base-uncased"' in python


def test_card_header_is_what_the_hub_reads(result):
    saving.write(result)
    header = metadata_load(result.folder / "README.md")
    assert header["base_model"] == "google-bert/bert-base-uncased"
    assert header["datasets"] == ["stanfordnlp/imdb"]
    assert (header["library_name"], header["pipeline_tag"]) == ("transformers", "text-classification")
    assert "license" not in header
    assert "language" not in header
    scores = ModelCard.load(result.folder / "README.md").data.eval_results
    assert [(score.metric_type, score.metric_value) for score in scores] == [("accuracy", 0.94), ("f1_macro", 0.9399)]
    assert scores[0].dataset_revision == COMMIT


def test_card_names_only_what_the_hub_has(result):
    saving.write(local(result, model_name="./my-model", model_revision=None))
    header = metadata_load(result.folder / "README.md")
    assert not {"base_model", "datasets"} & header.keys()
    assert header["model-index"][0]["results"][0]["dataset"]["type"] == "tickets.csv"


ODD = ["a|b", "---", "`x`", "<b>*bold*</b>", "[x](y)", "a\\", "$x$", "'\"", "# h", "yes", "&amp;", "1.", "~~a~~", "_a_"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_shown_as_they_are(result, name):
    rows = [{**result.per_class[0], "label": name}, {**result.per_class[1], "read_as": [(name, 70)]}]
    file = name.replace("/", "") + ".csv"
    odd = local(result, f"/data/{file}", labels=(name, "pos"), per_class=rows, columns={**COLUMNS, "label": name})
    card = card_of(odd)
    assert cells(card, name)[4:] == ["1,250", "80 as pos"]
    assert cells(card, "pos")[5] == f"70 as {name}"
    assert cells(card, f"<strong>{name}</strong>")[1:] == ["1,170", "80"]
    assert cells(card, "train")[1] == file
    shown = html_of(card)
    assert f"one of 2 labels ({name}, pos)" in html.unescape(shown)
    assert (shown.count("<h1>"), shown.count("<h2>"), shown.count("<table>")) == (1, 8, 5)
    assert metadata_load(result.folder / "README.md")["model-index"][0]["results"][0]["dataset"]["split"] == file
    assert json.loads((result.folder / "metrics.json").read_text())["labels"] == [name, "pos"]
    assert recipes.load(result.folder / "hfcli.yaml", ["finetune"]).steps[0].flags["dataset"] == f"./{file}"


@pytest.mark.parametrize("name", ["a\nb", "\ud800", "", " ", "\u202eb", "x" * 500, "a\r\n---\r\nb"])
def test_names_that_cannot_be_shown_break_nothing(result, name):
    rows = [{**row, "label": name} for row in result.per_class]
    odd = local(result, f"{name}.csv", labels=(name, name), per_class=rows)
    shown = html_of(card_of(odd))
    assert (shown.count("<h1>"), shown.count("<h2>"), shown.count("<table>")) == (1, 8, 5)
    assert metadata_load(result.folder / "README.md")["pipeline_tag"] == "text-classification"
    assert json.loads((result.folder / "metrics.json").read_text())["labels"] == [name, name]
    assert recipes.load(result.folder / "hfcli.yaml", ["finetune"]).steps[0].flags["dataset"] == f"{name}.csv"


def test_command_in_the_card_stays_in_its_block(result):
    card = card_of(replace(result, options={**result.options, "label-column": "a\n```\n# b"}))
    assert "````sh\nhfcli finetune" in card


def test_recipe_repeats_the_run(result):
    recipe, flags = recipe_of(result)
    assert recipe.name == "imdb-bert-base-uncased"
    assert recipe.expects == {"accuracy": 0.94, "takes": "1 min 11 s, cuda:0 NVIDIA H100, bfloat16"}
    assert flags == {
        "model": "google-bert/bert-base-uncased",
        "revision": result.model_revision,
        "dataset": "stanfordnlp/imdb",
        "dataset-revision": COMMIT,
        "learning-rate": "3e-05",
        "lora": True,
        "output": "runs/imdb-bert-base-uncased",
    }
    card = (result.folder / "README.md").read_text()
    assert recipe.steps[0].shell(["model"]) in card


def test_recipe_parses_on_the_command_line(result):
    typer = pytest.importorskip("typer")
    finetune = pytest.importorskip("hfcli.cli.finetune").finetune
    options = {"text-pair-column": "", "report-to": ["tensorboard"], "class-weight": "balanced", "weight-decay": 0.0}
    recipe, _ = recipe_of(replace(result, options={**result.options, **options}))
    app = typer.Typer()
    app.command()(finetune)
    assert app(args=[*recipe.steps[0].argv(())[1:], "--help"], standalone_mode=False) == 0


def test_recipe_of_one_of_several_seeds_repeats_that_one(result):
    _, flags = recipe_of(replace(result, seed=2, options={**result.options, "seeds": "1,2,3"}))
    assert flags["seed"] == "2"
    assert "seeds" not in flags


def test_recipe_keeps_a_subset_apart(result):
    data = [{**row, "name": "nyu-mll/glue rte"} for row in result.data]
    _, flags = recipe_of(replace(result, data=data, options={"dataset": "glue", "subset": "rte"}))
    assert (flags["dataset"], flags["subset"]) == ("nyu-mll/glue", "rte")
    assert metadata_load(result.folder / "README.md")["datasets"] == ["nyu-mll/glue"]


def test_no_absolute_path_and_no_token_in_any_file(result, here, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecretsecret")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    options = {"eval-dataset": str(here / "data" / "test.csv")}
    folder = elsewhere / "out"
    folder.mkdir()
    there = local(
        replace(result, folder=folder, options={**result.options, **options}), str(elsewhere / "tickets.csv"),
        model_name=str(elsewhere / "bert"), model_revision=None,
    )  # fmt: skip
    recipe, flags = recipe_of(there)
    assert (flags["model"], flags["dataset"], flags["eval-dataset"]) == ("./bert", "./tickets.csv", "./data/test.csv")
    assert flags["output"] == "runs/out"
    assert "bert was elsewhere" in recipe.about
    assert "tickets.csv was elsewhere" in recipe.about
    assert "test.csv was" not in recipe.about
    for path in folder.iterdir():
        content = path.read_bytes()
        assert str(here).encode() not in content
        assert str(elsewhere).encode() not in content
        assert b"hf_secret" not in content


def test_metrics_hold_every_figure(result):
    scores = scores_of(result)
    assert scores["scores"]["accuracy"] == {"value": 0.94, "low": 0.931, "high": 0.949, "n": 2500}
    assert scores["confusion_matrix"] == {"labels": ["neg", "pos"], "rows": [[1170, 80], [70, 1180]]}
    assert scores["per_class"][0]["read_as"] == {"pos": 80}
    assert scores["best"] == {"epoch": 3.0, "step": 2112, "loss": 0.211}
    assert [line["step"] for line in scores["evaluations"]] == [704, 1408, 2112]
    assert scores["records"] == {"train": 22500, "evaluation": 2500}
    assert scores["lengths"]["cut_records"] == 0.13
    assert scores["settings"]["max_length"] == 512
    assert (scores["seed"], scores["seconds"], scores["versions"]["hfcli"]) == (42, 71.4, "0.2.0")
    text = (result.folder / "metrics.json").read_text()
    assert "[1170, 80]" in text
    assert '\n  "scores": {\n' in text


def test_what_is_not_a_number_is_null(result):
    nan = Measured(math.nan, math.nan, math.nan, 2500)
    lines = [{**line, "accuracy": math.nan} for line in history()]
    odd = replace(result, scores={"accuracy": nan}, history=lines)
    assert scores_of(odd)["scores"]["accuracy"]["value"] is None
    assert cells(card_of(odd), "accuracy")[1] == "not defined"
    assert "model-index" not in metadata_load(result.folder / "README.md")
    assert recipe_of(odd)[0].expects["accuracy"] is None


def test_surprising_records_are_a_line_each(result):
    saving.write(result)
    text = (result.folder / "surprising.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["predicted"] for line in text.splitlines()] == ["pos"]
    saving.write(replace(result, surprising=[]))
    assert (result.folder / "surprising.jsonl").read_text() == ""


def test_curves_are_a_picture_and_always_the_same(result, monkeypatch):
    monkeypatch.setattr(curves, "draw", draw)
    saving.write(result)
    data = (result.folder / "curves.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (1600, 1200)
    assert draw(result.history, "accuracy", 2112, "nats") == data
    assert draw(result.history, "accuracy", 1408, "nats") != data


@pytest.mark.parametrize(("metric", "evaluations"), [("loss", 3), ("accuracy", 1), ("pearson", 2)])
def test_curves_of_runs_with_gaps(metric, evaluations):
    lines = [{**line, "eval_loss": None, f"{metric}_low": math.nan} for line in history(metric, evaluations, 3)]
    assert draw(lines, metric, 3, "nats")


def test_no_curves_without_an_evaluation(result):
    assert draw([{"step": 1, "epoch": 0.1, "loss": 0.7}], "accuracy", 1, "nats") is None
    assert "curves.png" not in card_of(replace(result, history=[]))
    assert not (result.folder / "curves.png").exists()


def test_regression(result):
    columns = {"text": "sentence1", "text_pair": "sentence2", "label": "score"}
    settings = Settings("text-classification", columns, "regression", on_long="window")
    number = replace(
        result, settings=settings, columns=columns, labels=(), per_class=None, confusion=None,
        scores={"pearson": Measured(0.8, 0.7, 0.9, 1500), "mse": Measured(1234.5, 1200, 1300, 1500)},
        lengths=Lengths(20, 40, 600, 512, 0.0004, 0.001, "window"), history=history("pearson"), surprising=[],
    )  # fmt: skip
    card = card_of(number)
    assert "reads a pair of texts (sentence1, sentence2) and gives a number (score)." in card
    assert """echo '{"sentence1": "...", "sentence2": "..."}' | hfcli classify -m runs/""" in card
    assert cells(card, "mse")[1] == "1,234.5"
    assert "0.0004 of them are longer than `max_length` 512 and are read in windows that overlap by 128" in card
    assert "## By label" not in card
    assert scores_of(number)["per_class"] is None
    assert scores_of(number)["confusion_matrix"] is None


def test_several_labels(result):
    settings = replace(result.settings, problem_type="multi_label_classification", threshold=0.3)
    several = replace(result, settings=settings, confusion=None, labels=tuple(f"topic-{i}" for i in range(8)))
    card = card_of(several)
    assert "gives any of 8 labels (topic-0, topic-1, topic-2, topic-3, topic-4, topic-5 and 2 more)." in card
    assert "top_k=None" in card
    assert cells(card, "threshold") == ["threshold", "0.3"]
    assert "Rows are what" not in card


def test_many_classes_are_told_by_the_worst(result):
    rows = [{**result.per_class[0], "label": f"intent {i}", "f1": i / 100, "n": i, "read_as": []} for i in range(80)]
    confusion = [[0] * 80 for _ in range(80)]
    card = card_of(replace(result, labels=tuple(row["label"] for row in rows), per_class=rows, confusion=confusion))
    assert "| intent 0 |" in card
    assert "| intent 30 |" not in card
    assert "Rows are what" not in card
    assert "fewer than 30 records to measure intent 0, intent 1, intent 2, intent 3, intent 4, ... on" in card


def test_one_measurement_chose_nothing(result):
    data = [result.data[0], {**result.data[1], "split": "validation", "held_out": False}]
    card = card_of(replace(result, data=data, history=history(evaluations=1), best={"epoch": 1.0, "step": 704}))
    assert (
        "2,500 records of [stanfordnlp/imdb](https://huggingface.co/datasets/stanfordnlp/imdb), split validation"
        in card
    )
    assert "measured once, after epoch 1, and chose nothing" in card
    assert "kind" not in card


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("name", sorted(FILES))
def test_full_disk_is_a_sentence_and_leaves_the_run_unfinished(result, name):
    (result.folder / name).write_text("before")
    (result.folder / f".{name}.new").symlink_to("/dev/full")
    with pytest.raises(DataError, match=rf"cannot write runs/.*{name} \(no space left on device\)"):
        saving.write(result)
    assert (result.folder / name).read_text() == "before"
    assert not (result.folder / f".{name}.new").is_symlink()
    assert name == "metrics.json" or not (result.folder / "metrics.json").exists()


@pytest.fixture
def hub_calls(monkeypatch):
    """A Hub that takes everything; what it was given."""
    calls = {}

    def create_repo(self, repo_id, **options):
        calls["create"] = repo_id, options
        return type("RepoUrl", (str,), {"repo_id": f"ada/{repo_id.rpartition('/')[2]}"})(f"http://hub/{repo_id}")

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", lambda self, **options: calls.update(upload=options))
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    return calls


def test_push_uploads_the_result_and_nothing_else(result, hub_calls):
    saving.write(result)
    for name in ("model.safetensors", "config.json", "vocab.txt", "run.json", "history.jsonl", ".lock", "train.csv"):
        (result.folder / name).write_text("x")
    (result.folder / "checkpoint-704").mkdir()
    (result.folder / "checkpoint-704" / "optimizer.safetensors").write_text("x")
    said = []
    saving.push(result.folder, "mine", said.append)
    assert hub_calls["create"] == ("mine", {"private": True, "exist_ok": True})
    assert hub_calls["upload"]["repo_id"] == "ada/mine"
    kept = {"README.md", "hfcli.yaml", "metrics.json", "curves.png", "model.safetensors", "config.json", "vocab.txt"}
    assert set(hub_calls["upload"]["allow_patterns"]) == kept
    assert said == [Note("7 files are at http://hub/mine")]


def _refusal(status, words=None):
    response = SimpleNamespace(status_code=status, headers={}, request=None)
    return HfHubHTTPError("refused", response=response, server_message=words)


@pytest.mark.parametrize(
    ("error", "said", "hint"),
    [
        (_refusal(403), r"your token may not write ada/x \(403\)", "hf.co/settings/tokens"),
        (_refusal(401), "does not accept HF_TOKEN", "unset HF_TOKEN"),
        (_refusal(503), r"answered 503 \(unavailable\)", "later"),
        (_refusal(400, "Invalid metadata"), r"not pushed \(400: Invalid metadata\)", "hf upload ada/x runs/"),
        (ConnectionError("no route"), r"not pushed \(no route\)", "the result is whole"),
        (RuntimeError("Error while uploading"), r"not pushed \(error while uploading\)", "--exclude surprising.jsonl"),
    ],
)
def test_what_fails_while_pushing_is_a_sentence(result, hub_calls, monkeypatch, error, said, hint):
    def fail(self, **options):
        raise error

    monkeypatch.setattr(HfApi, "upload_folder", fail)
    with pytest.raises(ModelError, match=said) as caught:
        saving.push(result.folder, "ada/x", lambda event: None)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "token", "kind", "said", "hint"),
    [
        ("ada/x", None, ModelError, "needs a token", "hf auth login"),
        ("a b/c/d", "hf_x", UsageError, "is not a name on the Hub", "OWNER/NAME"),
    ],
)
def test_what_cannot_be_pushed_is_told_at_once(monkeypatch, name, token, kind, said, hint):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HfcliError, match=said) as caught:
        saving.check_push(name)
    assert type(caught.value) is kind
    assert hint in caught.value.hint


def test_recipe_that_expects_no_scores_is_refused(here):
    path = here / "mine.yaml"
    path.write_text(yaml.safe_dump({"steps": [], "expects": 0.9}))
    with pytest.raises(DataError, match="expects is a mapping"):
        recipes.load(path, [])
