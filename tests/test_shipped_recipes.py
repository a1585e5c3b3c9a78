"""The recipes in `recipes/`: each is a list of lines that the real command line takes, and those that fit are run.

They are run as they are, against a Hub on loopback that has tiny models and data under the names they use, with the
columns, classes and splits that the real data sets have. So a name, a column or a score that does not fit is found;
the published figures themselves are not.
"""

import json
import random
import re
import string
from pathlib import Path

import pytest
import yaml

from hfcli import cli, recipes
from tests.tiny import BAD, FILLER, GOOD

SHIPPED = sorted(path for path in recipes.folder().glob("*.yaml") if path.stem != "demo")
DANGEROUS = {"trust-remote-code", "allow-pickle", "push-to-hub"}
NO_FIGURE = {"prompt-batch-generate"}  # it shows how, and reaches nothing
TEXTS = {"source", "takes"}


class Recipe:
    """A recipe, read by this file's own few lines."""

    def __init__(self, name):
        self.content = yaml.safe_load((recipes.folder() / f"{name}.yaml").read_text())
        self.expects = self.content.get("expects", {})
        self.steps = self.content["steps"]

    def command(self, step):
        (name,) = step.keys() - {"name", "about", "stdin", "expects"}
        return name

    def argv(self, step):
        """The step as a command line. Every argument that it may have is a flag, too."""
        command = self.command(step)
        line = [command]
        for key, value in step[command].items():
            for one in value if isinstance(value, list) else [value]:
                text = string.Template(str(one)).substitute(self.content["variables"])
                line += [f"--{key}"] if one is True else [f"--{key}", text]
        return line


def numbers(expects):
    return {name: value for name, value in expects.items() if name not in TEXTS}


# What they say


@pytest.fixture(params=[path.stem for path in SHIPPED])
def recipe(request):
    return Recipe(request.param)


def test_every_published_experiment_is_there():
    assert [path.stem for path in SHIPPED] == [
        *("ag_news-roberta", "cnn-dailymail-t5-rouge", "emotion-multilabel", "glue", "imdb-bert"),
        *("prompt-batch-generate", "squad-bert", "squad2-roberta", "sst2-distilbert"),
        *("wikitext-perplexity-gpt2", "wmt-translation-bleu"),
    ]


def test_every_step_is_a_line_that_the_command_line_takes(recipe):
    for step in recipe.steps:
        assert recipe.command(step) in cli.NAMES
        # What `--help` behind a valid line gives; an unknown flag or a bad value would raise.
        assert cli.application()(args=[*recipe.argv(step), "--help"], standalone_mode=False) == 0


def test_the_header_is_whole(recipe, request):
    content, name = recipe.content, request.node.callspec.params["recipe"]
    assert content.keys() <= {"name", "about", "task", "expects", "variables", "steps"}
    assert content["name"] == name
    assert content["about"].endswith((".", "?"))
    assert content["task"]
    figures = [numbers(each.get("expects", {})) for each in (content, *recipe.steps)]
    assert any(figures) != (name in NO_FIGURE)
    if any(figures):
        assert re.match(r"https://\S+ \((test|validation) split", recipe.expects["source"])
    names = [step["name"] for step in recipe.steps]
    assert len(set(names)) == len(names)


def test_the_figure_at_the_top_is_what_the_last_step_is_to_reach(recipe):
    if top := numbers(recipe.expects):
        assert recipe.steps[-1]["expects"] == top


def test_figures_are_on_the_scale_of_their_metric(recipe, hfcli):
    scales = {each["name"]: each["scale"] for each in hfcli("eval", "--list-metrics").records}
    scales |= {"f1": "0 to 100", "exact_match": "0 to 100"} if recipe.content["task"] == "question-answering" else {}
    for step in recipe.steps:
        for name, value in step.get("expects", {}).items():
            whole = scales[name] in ("0 to 100", "")
            assert (1 < value < 100) if whole else (0 < value < 1), name


def test_nothing_dangerous_is_asked_for_and_nothing_written_elsewhere(recipe):
    for step in recipe.steps:
        flags = step[recipe.command(step)]
        assert not DANGEROUS & flags.keys()
        assert re.fullmatch(r"\$\{output\}(/[\w-]+)*(\.jsonl?)?", flags["output"])
        assert recipe.command(step) == "finetune" or flags["output"].endswith((".json", ".jsonl"))
    output = recipe.content["variables"]["output"]
    assert Path(output).name == recipe.content["name"]
    assert not Path(output).is_absolute()


def test_models_and_data_have_their_full_names(recipe):
    for step in recipe.steps:
        flags = step[recipe.command(step)]
        for name in (flags.get("model"), flags.get("dataset")):
            filled = string.Template(name or "").substitute(recipe.content["variables"])
            assert name is None or name.startswith("${output}") or re.fullmatch(r"[\w-]+/[\w.-]+", filled)


# That they run


RANDOM = random.Random(0)


def sentence(good=None, words=6):
    """Words that the tiny models know; the label of a classifier is in one of them."""
    decides = [RANDOM.choice(GOOD if good else BAD)] if good is not None else []
    return " ".join(RANDOM.sample([*RANDOM.choices(FILLER, k=words), *decides], words + len(decides)))


@pytest.fixture
def publish(hub, models, tmp_path, monkeypatch):
    """`publish(name, splits, features)`: a data set; `publish.model(name, kind)`: a model with random weights."""
    import datasets
    from huggingface_hub import constants

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    yield Publisher(hub, models, tmp_path / "published")
    for path in (*hub.root.glob("*/*"), *hub.data_root.glob("*/*")):
        path.unlink()


class Publisher:
    def __init__(self, hub, models, root):
        self.hub, self.models, self.root = hub, models, root

    def __call__(self, name, splits, features, subset=None):
        """Put a data set on the Hub: Parquet with the features of the columns, one subset beside others or none."""
        import datasets

        folder = self.root / name
        for split, rows in splits.items():
            made = datasets.Dataset.from_list(list(rows), features=datasets.Features(features))
            (folder / (subset or "data")).mkdir(parents=True, exist_ok=True)
            made.to_parquet(folder / (subset or "data") / f"{split}-00000-of-00001.parquet")
        if subset is not None:
            files = [{"split": split, "path": f"{subset}/{split}-*"} for split in splits]
            other = {"config_name": "another", "data_files": [{"split": "train", "path": f"{subset}/*"}]}
            card = {"configs": [{"config_name": subset, "data_files": files}, other]}
            (folder / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n")
        self.hub.add(name, folder, data=True)

    def model(self, name, kind):
        folder = self.root / name
        if kind in ("t5", "chat"):
            folder = getattr(self.models, kind)()
        elif kind == "gpt2":
            self._writer(folder)
        else:
            self._reader(folder, kind)
        self.hub.add(name, folder)

    def _writer(self, folder):
        """A GPT-2 as long as the real ones."""
        from transformers import GPT2Config, GPT2LMHeadModel

        tokenizer = self.models._tokenizer(model_max_length=1024)
        config = GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2, n_positions=1024)
        GPT2LMHeadModel(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    def _reader(self, folder, kind):
        """A body without a head, which takes 512 tokens as the real ones."""
        import transformers

        tokenizer = self.models._words()
        tokenizer.model_max_length = 512
        sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 1, "n_heads": 2, "max_position_embeddings": 512}
        if kind == "distilbert":
            tokenizer.model_input_names = ["input_ids", "attention_mask"]
        else:
            sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
            sizes |= {"max_position_embeddings": 514, "type_vocab_size": 2, "pad_token_id": 0}
        config = transformers.AutoConfig.for_model(kind, vocab_size=len(tokenizer), **sizes)
        transformers.AutoModelForMaskedLM.from_config(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


@pytest.fixture
def run(hfcli):
    """Run the steps of a recipe as they are, or those of some names; the scores of each step, by its name."""

    def call(name, *only):
        recipe, found = Recipe(name), {}
        for step in recipe.steps:
            if only and step["name"] not in only:
                continue
            argv = recipe.argv(step)
            Path(argv[argv.index("--output") + 1]).parent.mkdir(parents=True, exist_ok=True)  # as `hfcli run` does
            result = hfcli(*argv, stdin=step.get("stdin"))
            assert result.code == 0, result.err
            scores = {}
            if recipe.command(step) == "finetune":
                told = json.loads((Path(result.out.strip()) / "metrics.json").read_text())
                scores = told["scores"]
            elif recipe.command(step) == "eval":
                (told,) = result.records
                scores = {each["metric"]: each for each in told["scores"]}
            assert step.get("expects", {}).keys() <= scores.keys()
            found[step["name"]] = scores
        return found

    return call


def labelled(n, **more):
    return [{"text": sentence(at % 2), "label": at % 2, **more} for at in range(n)]


def classes(*names):
    from datasets import ClassLabel

    return ClassLabel(names=list(names))


def text(*columns):
    from datasets import Value

    return {name: Value("string") for name in columns}


def test_imdb_bert(publish, run):
    splits = {"train": labelled(128), "test": labelled(40), "unsupervised": [{"text": sentence(), "label": -1}] * 9}
    publish("stanfordnlp/imdb", splits, text("text") | {"label": classes("neg", "pos")})
    publish.model("google-bert/bert-base-uncased", "bert")
    found = run("imdb-bert")
    assert found["measure"]["accuracy"]["n"] == 40
    assert found["measure"]["accuracy"]["score"] == found["train"]["accuracy"]["value"]


def test_sst2_distilbert(publish, run):
    from datasets import Value

    rows = {
        split: [
            {"idx": at, "sentence": sentence(at % 2), "label": at % 2 if split != "test" else -1} for at in range(n)
        ]
        for split, n in (("train", 64), ("validation", 24), ("test", 9))
    }
    features = {"idx": Value("int32")} | text("sentence") | {"label": classes("negative", "positive")}
    publish("stanfordnlp/sst2", rows, features)
    publish.model("distilbert/distilbert-base-uncased", "distilbert")
    found = run("sst2-distilbert")
    assert found["measure"]["accuracy"]["n"] == 24


def test_ag_news_roberta(publish, run):
    splits = {name: [{**row, "label": at % 4} for at, row in enumerate(labelled(n))] for name, n in SIZES.items()}
    splits.pop("validation")
    publish("fancyzhx/ag_news", splits, text("text") | {"label": classes("World", "Sports", "Business", "Sci/Tech")})
    publish.model("FacebookAI/roberta-base", "roberta")
    assert run("ag_news-roberta")["measure"]["accuracy"]["n"] == SIZES["test"]


SIZES = {"train": 48, "validation": 20, "test": 12}


def questions(n, unanswerable):
    for at in range(n):
        context = sentence(at % 2, words=200 if at == 3 else 9)
        answer = next(word for word in context.split() if word in GOOD + BAD)
        found = {"text": [answer], "answer_start": [re.search(rf"\b{answer}\b", context).start()]}
        none = {"text": [], "answer_start": []}
        asked = f"this is {'sports' if at % 2 else 'politics'} ?"
        answers = none if unanswerable and at % 3 == 0 else found
        yield {"id": str(at), "title": "A", "context": context, "question": asked, "answers": answers}


def squad(publish, name, unanswerable):
    from datasets import Sequence, Value

    features = text("id", "title", "context", "question")
    features["answers"] = Sequence({"text": Value("string"), "answer_start": Value("int32")})
    publish(name, {split: questions(n, unanswerable) for split, n in (("train", 36), ("validation", 15))}, features)


def test_squad_bert(publish, run):
    squad(publish, "rajpurkar/squad", unanswerable=False)
    publish.model("google-bert/bert-base-uncased", "bert")
    found = run("squad-bert")
    assert found["measure"]["f1"]["n"] == 15


def test_squad2_roberta(publish, run):
    squad(publish, "rajpurkar/squad_v2", unanswerable=True)
    publish.model("FacebookAI/roberta-base", "roberta")
    found = run("squad2-roberta")
    assert found["measure"]["f1"]["n"] == 15


def test_emotion_multilabel(publish, run):
    from datasets import Sequence

    names = [f"emotion{at}" for at in range(27)] + ["neutral"]
    rows = {
        split: [{"text": sentence(at % 2), "labels": [at % 28, 27][: 1 + at % 2], "id": str(at)} for at in range(n)]
        for split, n in {**SIZES, "train": 84}.items()
    }
    features = text("text", "id") | {"labels": Sequence(classes(*names))}
    publish("google-research-datasets/go_emotions", rows, features, "simplified")
    publish.model("FacebookAI/roberta-base", "roberta")
    found = run("emotion-multilabel")
    assert found["measure"].keys() == {"f1_micro", "f1_macro", "subset_accuracy"}
    assert found["measure"]["f1_micro"]["n"] == SIZES["test"]


def test_wikitext_perplexity_gpt2(publish, run):
    lines = ["", " = The fox = \n", *[f"{sentence(words=60)}\n" for _ in range(30)]]
    splits = {name: [{"text": line} for line in lines[:end]] for name, end in (("train", 3), ("test", None))}
    publish("Salesforce/wikitext", splits, text("text"), "wikitext-2-raw-v1")
    publish.model("openai-community/gpt2-large", "gpt2")
    found = run("wikitext-perplexity-gpt2")
    texts = [Path(f"runs/wikitext-perplexity-gpt2/{name}.json").read_text() for name in found]
    assert "protocol:disjoint|window:1024|" in texts[0]
    assert "protocol:stride|window:1024|stride:512|" in texts[1]
    assert found["stride"]["perplexity"]["score"] != found["disjoint"]["perplexity"]["score"]


def test_wmt_translation_bleu(publish, run):
    from datasets import Translation

    pairs = [{"translation": {"de": sentence(words=3), "en": sentence(words=3)}} for _ in range(6)]
    features = {"translation": Translation(languages=["de", "en"])}
    publish("wmt/wmt17", {"train": pairs[:2], "validation": pairs[2:3], "test": pairs}, features, "de-en")
    publish.model("google-t5/t5-small", "t5")
    found = run("wmt-translation-bleu")
    assert found["translate"]["bleu"]["n"] == 6


def test_cnn_dailymail_t5_rouge(publish, run):
    long = [sentence(words=80) for _ in range(3)]  # three times what the tiny model takes
    rows = [
        {"article": each, "highlights": f"{each[:40]}\n{each[40:60]}", "id": str(at)} for at, each in enumerate(long)
    ]
    publish("abisee/cnn_dailymail", {"train": rows[:1], "test": rows}, text("article", "highlights", "id"), "3.0.0")
    publish.model("google-t5/t5-small", "t5")
    found = run("cnn-dailymail-t5-rouge")
    assert found["summarise"]["rouge1"]["n"] == 3


def test_prompt_batch_generate(publish, run):
    publish.model("HuggingFaceTB/SmolLM2-135M-Instruct", "chat")
    found = run("prompt-batch-generate")
    lines = [json.loads(line) for line in Path("runs/prompt-batch-generate/answers.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines[:3]] == ["sea-1", "sea-2", "work-1"]
    assert all(line["generated_text"] for line in lines)
    assert found["look"].keys() == {"distinct_2", "distinct_3", "repetition"}


# Of every task of GLUE its columns, as they are called there, and its classes; a number without any.
GLUE = {
    "cola": (("sentence",), ("unacceptable", "acceptable")),
    "sst2": (("sentence",), ("negative", "positive")),
    "mrpc": (("sentence1", "sentence2"), ("not_equivalent", "equivalent")),
    "stsb": (("sentence1", "sentence2"), ()),
    "qqp": (("question1", "question2"), ("not_duplicate", "duplicate")),
    "mnli": (("premise", "hypothesis"), ("entailment", "neutral", "contradiction")),
    "qnli": (("question", "sentence"), ("entailment", "not_entailment")),
    "rte": (("sentence1", "sentence2"), ("entailment", "not_entailment")),
    "wnli": (("sentence1", "sentence2"), ("not_entailment", "entailment")),
}
FAST = ("rte", "stsb")


@pytest.mark.parametrize(
    "task", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in GLUE]
)
def test_glue(publish, run, task):
    from datasets import Value

    columns, names = GLUE[task]
    rows = [
        {name: sentence(at % 2) for name in columns} | {"label": at % len(names) if names else at % 11 / 2.2, "idx": at}
        for at in range(44)
    ]
    features = text(*columns) | {"label": classes(*names) if names else Value("float32"), "idx": Value("int32")}
    ends = ("_matched", "_mismatched") if task == "mnli" else ("",)
    splits = {"train": rows} | {f"{name}{end}": rows[:24] for name in ("validation", "test") for end in ends}
    publish("nyu-mll/glue", splits, features, task)
    publish.model("google-bert/bert-base-cased", "bert")
    found = run("glue", task, f"{task}-mismatched")
    assert found[task]
    head = json.loads(Path(f"runs/glue/{task}/config.json").read_text())
    assert list(head["id2label"].values()) == (list(names) or ["LABEL_0"])
    stored = json.loads(Path(f"runs/glue/{task}/hfcli_settings.json").read_text())["columns"]
    assert [stored["text"], stored["text_pair"]][: len(columns)] == list(columns)
    assert stored["text_pair"] is None or len(columns) == 2


def test_glue_has_every_task():
    assert [step["name"] for step in Recipe("glue").steps if "finetune" in step] == list(GLUE)
