"""Two single-threaded ranks against one, in turns: records a second of the work itself, without start and load.

    python benchmarks/ranks.py [--turns N] [--records N]

It needs two cores. The jobs are `classify` with a model of MiniLM's size over short sentences, `generate` with
builtin/story, and `finetune` of that model on texts as long as IMDB's: the sum over ranks takes the same time for short
ones, and is more of it.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from _alternate import tool
from _mini import made_up, mini


def run(argv: list[str], ranks: int) -> str:
    """Standard error of a line that must succeed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    flags = ["--num-processes", str(ranks), "--device", "cpu"]
    done = subprocess.run([tool("hfcli"), *argv, *flags], capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(f"{argv}: {done.stderr}")
    return done.stderr


def told(argv: list[str], ranks: int) -> float:
    """Records a second, as the command says at its end."""
    records, seconds = re.search(r"([\d,]+) records in ([\d.]+) s", run(argv, ranks)).groups()
    return int(records.replace(",", "")) / float(seconds)


def trained(argv: list[str], ranks: int, folder: Path, records: int) -> float:
    """Records a second from the first step on, without the evaluation."""
    run([*argv, "-o", str(folder), "--overwrite"], ranks)
    steps = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return records / max(step["seconds"] for step in steps if "loss" in step)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--turns", type=int, default=3)
parser.add_argument("--records", type=int, default=6000)
asked = parser.parse_args()
with tempfile.TemporaryDirectory() as temporary:
    scratch = Path(temporary)
    model = mini(scratch / "mini")
    data, some, held = scratch / "data.csv", scratch / "some.csv", scratch / "held.csv"
    made_up(data, "short", asked.records, 0)
    made_up(some, "long", asked.records // 60, 0)
    made_up(held, "short", 8, 1)
    prompts = scratch / "prompts.txt"
    with data.open(newline="") as file:
        texts = [row["text"] for row in csv.DictReader(file)]
    prompts.write_text("".join(f"{text}\n" for text in texts[: asked.records // 4]))
    classify = ["classify", "-m", model, "--file", str(data), "--text-column", "text", "-o", str(scratch / "out.jsonl")]
    generate = ["generate", "-m", "builtin/story", "--file", str(prompts), "--max-new-tokens", "64"]
    generate += ["-o", str(scratch / "out.txt")]
    learn = ["finetune", model, "--dataset", str(some), "--eval-dataset", str(held), "--epochs", "1"]
    jobs = {
        "classify": (1.7, lambda ranks: told(classify, ranks)),
        "generate": (1.7, lambda ranks: told(generate, ranks)),
        "finetune": (1.5, lambda ranks: trained(learn, ranks, scratch / "run", asked.records // 60)),
    }
    for name, (aim, job) in jobs.items():
        ratios = []
        for turn in range(asked.turns):
            one, two = job(1), job(2)
            ratios.append(two / one)
            print(f"{name}, turn {turn + 1}: {two:.1f} records/s with two ranks, {one:.1f} with one", flush=True)
        spread = f"[{min(ratios):.2f}, {max(ratios):.2f}]"
        print(f"{name}: {median(ratios):.2f} times the throughput of one {spread}; the aim is {aim}", flush=True)
