"""`hfcli qa` against the question-answering pipeline that transformers 5 removed; questions/s after loading, in turns.

    python benchmarks/qa.py [--peer PYTHON] [--model FOLDER] [--data FILE] [--questions N] [--turns N] [--megabyte]

PYTHON is that of an environment with transformers 4, the last one to have the pipeline: `python3 -m venv peer` and
`peer/bin/pip install 'transformers<5' torch`. Without it the peer is what people write since: one question after the
other through AutoModelForQuestionAnswering, in float32.

FILE is SQuAD's JSON; without it questions about texts of SQuAD's lengths are made up. Without --model a BERT of base
size gets random weights: speed does not depend on what it knows, but whether bfloat16 gives the same answers as float32
does, and is told for a model that was trained. --megabyte adds a text of 1,000,000 characters with 20 questions.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from _alternate import tool

PEER = r"""
import json, sys, time, torch
model, data, how = sys.argv[1:4]
torch.set_num_threads(int(sys.argv[4]))
records = [json.loads(line) for line in open(data)]
if how == "pipeline":
    from transformers import pipeline
    answer = pipeline("question-answering", model=model, device="cpu", torch_dtype=torch.float32)
    ask = lambda record: answer(question=record["question"], context=record["context"])["answer"]
else:
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(model)
    net = AutoModelForQuestionAnswering.from_pretrained(model, dtype=torch.float32).eval()
    def ask(record):
        inputs = tokenizer(record["question"], record["context"], truncation="only_second", max_length=384,
            return_tensors="pt")
        with torch.no_grad():
            found = net(**inputs)
        start, end = found.start_logits.argmax(), found.end_logits.argmax()
        return tokenizer.decode(inputs["input_ids"][0, start : end + 1])
ask(records[0])
began = time.perf_counter()
answers = [ask(record) for record in records]
print(json.dumps({"seconds": time.perf_counter() - began, "answers": answers}))
"""
WORDS = "the film was a slow quiet story of two people who never meet again in town near the river".split()
CHARACTERS = 1_000_000


def made_up(count: int) -> list[dict[str, str]]:
    """Questions about texts with the lengths of SQuAD's."""
    rng = random.Random(0)
    records = []
    for number in range(count):
        words = rng.choices(WORDS, k=round(min(400, max(40, 120 * rng.lognormvariate(0, 0.45)))))
        question = " ".join(rng.choices(WORDS, k=10))
        records.append({"id": str(number), "question": question, "context": " ".join(words)})
    return records


def read(path: str, count: int) -> list[dict[str, str]]:
    """The first questions of a file in SQuAD's form."""
    articles = json.loads(Path(path).read_text(encoding="utf-8"))["data"]
    records = [
        {"id": qa["id"], "question": qa["question"], "context": paragraph["context"]}
        for article in articles
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]
    return records[:count]


def base(folder: Path) -> str:
    """A BERT of base size with random weights, and a WordPiece of the words above."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {word: i for i, word in enumerate([*special, *dict.fromkeys(WORDS)])}
    tokenizer = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **names)
    made.save_pretrained(folder)
    transformers.BertForQuestionAnswering(transformers.BertConfig()).save_pretrained(folder)
    return str(folder)


def ours(model: str, *argv: str, count: int) -> tuple[float, list[dict[str, object]]]:
    """Seconds and answers."""
    command = [tool("hfcli"), "qa", "-m", model, *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    found = re.search(r"([\d,]+) records? in ([\d.]+) s", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"{command}: {done.stderr}")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == count
    return float(found[2]), answers


def peer(python: str, model: str, data: str, how: str, threads: int) -> float:
    done = subprocess.run(
        [python, "-c", PEER, model, data, how, str(threads)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{python}: {done.stderr}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def megabyte(model: str, records: list[dict[str, str]], scratch: Path) -> None:
    texts = list(dict.fromkeys(record["context"] for record in records))
    whole = "\n".join(texts)
    whole = (whole + "\n") * (CHARACTERS // len(whole) + 1)
    (scratch / "book.txt").write_text(whole[:CHARACTERS], encoding="utf-8")
    asked = [record["question"] for record in records[:: max(1, len(records) // 20)]][:20]
    (scratch / "questions.txt").write_text("".join(f"{question}\n" for question in asked), encoding="utf-8")
    files = ("--context-file", str(scratch / "book.txt"), "--file", str(scratch / "questions.txt"))
    began = time.perf_counter()
    seconds, _ = ours(model, *files, count=len(asked))
    print(
        f"{len(asked)} questions about one text of {CHARACTERS:,} characters: {seconds:.0f} s, "
        f"{time.perf_counter() - began:.0f} s with start and load"
    )


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--peer")
parser.add_argument("--model")
parser.add_argument("--data")
parser.add_argument("--questions", type=int, default=100)
parser.add_argument("--turns", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--megabyte", action="store_true")
asked = parser.parse_args()
with tempfile.TemporaryDirectory() as temporary:
    scratch = Path(temporary)
    records = read(asked.data, asked.questions) if asked.data else made_up(asked.questions)
    file = scratch / "questions.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    model = asked.model or base(scratch / "base")
    how, python = ("pipeline", asked.peer) if asked.peer else ("loop", sys.executable)
    count = len(records)
    ratios = []
    for turn in range(asked.turns):
        mine, answers = ours(model, "--file", str(file), count=count)
        theirs = peer(python, model, str(file), how, asked.threads)
        ratios.append(theirs / mine)
        print(f"turn {turn + 1}: {count / mine:.1f} questions/s; {how} {count / theirs:.2f}", flush=True)
    spread = f"[{min(ratios):.2f}, {max(ratios):.2f}]"
    print(f"{median(ratios):.2f} times the {how} {spread} on {count} questions; the aim against the pipeline is 2.3")
    _, exact = ours(model, "--file", str(file), "--dtype", "float32", count=count)
    same = sum((a["start"], a["end"]) == (b["start"], b["end"]) for a, b in zip(answers, exact, strict=True))
    print(f"answers as in float32: {same} of {count} ({same / count:.1%})")
    if asked.megabyte:
        megabyte(model, records, scratch)
