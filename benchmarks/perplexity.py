"""Perplexity of texts at GPT-2's size against `evaluate`'s script: tokens/s and peak memory, each run its own process.

    python benchmarks/perplexity.py [--peer-script PATH] [--model FOLDER] [--data FILE] [--texts N] [--turns N]

The peer is what huggingface/evaluate's measurements/perplexity does, by default written out below: all texts padded to
the longest, batches of 16, logits of everything, CrossEntropyLoss(reduction="none"). --peer-script runs the script
itself, a perplexity.py fetched from there. The model has random weights unless --model names one. The script computes
in float32, ours in what hfcli takes on this machine, or in --dtype. FILE has a text on each line; without it texts of
wikitext's lengths are made up. Each side loads the model first, which is not timed (the script does so again, in its
time); memory is the process's peak, loading included.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import _gpt2

PEER = r"""
import json, resource, sys, time, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, data, threads, length, script, dtype = sys.argv[1:]
torch.set_num_threads(int(threads))
texts, length = json.load(open(data)), int(length)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
count = sum(min(len(ids) + 1, length) - 1 for ids in tokenizer(texts)["input_ids"])
if script:
    import evaluate
    measure = evaluate.load(script, module_type="measurement")
    def run():
        return measure.compute(model_id=folder, data=texts, device="cpu", max_length=length)["perplexities"]
else:
    def run():
        padded = tokenizer(texts, add_special_tokens=False, padding=True, truncation=True, max_length=length - 1,
            return_tensors="pt", return_attention_mask=True)
        found = []
        loss = torch.nn.CrossEntropyLoss(reduction="none")
        for at in range(0, len(texts), 16):
            ids, mask = padded["input_ids"][at : at + 16], padded["attention_mask"][at : at + 16]
            ids = torch.cat([torch.full((len(ids), 1), tokenizer.bos_token_id), ids], dim=1)
            mask = torch.cat([torch.ones((len(mask), 1), dtype=torch.int64), mask], dim=1)
            with torch.no_grad():
                logits = model(ids, attention_mask=mask).logits
            logits, labels, mask = logits[:, :-1].contiguous(), ids[:, 1:].contiguous(), mask[:, 1:].contiguous()
            found += torch.exp((loss(logits.transpose(1, 2), labels) * mask).sum(1) / mask.sum(1)).tolist()
        return found
began = time.perf_counter()
found = run()
seconds = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"speed": count / seconds, "gigabytes": peak, "mean": sum(found) / len(found)}))
"""
OURS = r"""
import json, math, resource, sys, time, torch
from hfcli.options import ModelOptions
from hfcli.runtime.perplexity import Choice, Document, Likelihoods, load
folder, data, threads, length, script, dtype = sys.argv[1:]
torch.set_num_threads(int(threads))
documents = [Document(text, "") for text in json.load(open(data))]
loaded = load(ModelOptions(model=folder, device="cpu", dtype=dtype), lambda event: None)
began = time.perf_counter()
choice = Choice(protocol="hf-evaluate", max_length=int(length))
found = list(Likelihoods(loaded, choice, lambda event: None)(documents))
seconds = time.perf_counter() - began
count = sum(each.tokens for each in found)
mean = sum(math.exp(each.nll / each.tokens) for each in found) / len(found)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({"speed": count / seconds, "gigabytes": peak, "mean": mean}))
"""


def made_up(count: int) -> list[str]:
    """Texts with the lengths of wikitext's paragraphs, in bytes, which are the tokens of the tokenizer here."""
    rng = random.Random(0)
    letters = "etaoin shrdlu "
    return ["".join(rng.choices(letters, k=int(min(1500, rng.lognormvariate(5.5, 1.1))) + 2)) for _ in range(count)]


def begins(folder: str) -> None:
    """Give the tokenizer what the peer needs: a token to begin and to pad with."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.bos_token = tokenizer.pad_token = tokenizer.convert_ids_to_tokens(50256)
    tokenizer.save_pretrained(folder)


def run(program: str, *argv: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", program, *argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--peer-script", default="")
parser.add_argument("--model")
parser.add_argument("--data")
parser.add_argument("--texts", type=int, default=32)
parser.add_argument("--turns", type=int, default=3)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--dtype", default="auto")
parser.add_argument("--max-length", type=int, default=1024)
asked = parser.parse_args()
with tempfile.TemporaryDirectory() as temporary:
    scratch = Path(temporary)
    if asked.data:
        lines = Path(asked.data).read_text(encoding="utf-8").splitlines()
        texts = [line for line in lines if line.strip()][: asked.texts]
    else:
        texts = made_up(asked.texts)
    (scratch / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    model = asked.model or _gpt2.make(scratch / "gpt2")
    if not asked.model:
        begins(model)
    argv = (
        model,
        str(scratch / "texts.json"),
        str(asked.threads),
        str(asked.max_length),
        asked.peer_script,
        asked.dtype,
    )
    ratios, memories = [], []
    for turn in range(asked.turns):
        mine, theirs = run(OURS, *argv), run(PEER, *argv)
        ratios.append(mine["speed"] / theirs["speed"])
        memories.append(theirs["gigabytes"] / mine["gigabytes"])
        print(
            f"turn {turn + 1}: {mine['speed']:.0f} tokens/s, {mine['gigabytes']:.2f} GB, mean {mine['mean']:.4f}; "
            f"evaluate {theirs['speed']:.0f} tokens/s, {theirs['gigabytes']:.2f} GB, mean {theirs['mean']:.4f}",
            flush=True,
        )
    print(
        f"{median(ratios):.2f} times evaluate's speed [{min(ratios):.2f}, {max(ratios):.2f}], its memory "
        f"{median(memories):.1f} times ours; the aims are 3 and 6"
    )
