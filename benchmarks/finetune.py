"""`hfcli finetune` against transformers' Trainer: same model, records, batch, epochs; records/s of the loop, in turns.

    python benchmarks/finetune.py [--data FILE] [--model FOLDER] [--records N] [--max-length N] [--turns N]

The peers are Trainer with bf16 and padding to the longest of a batch, and Trainer in float32 padding everything to
`--max-length`, as the example script run_glue.py does. Without --data, sentences are made up with the lengths of SST-2
(short) and of IMDB (long); without --model, a model of MiniLM's size gets random weights: speed does not depend on what
is learnt. FILE is CSV with the columns text and label.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from _alternate import tool
from _mini import made_up, mini

PEER = r"""
import csv, sys, time, torch
from transformers import (AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer,
    TrainingArguments, default_data_collator, set_seed)
model, data, length, dynamic = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "dynamic"
set_seed(42)
rows = list(csv.DictReader(open(data, newline="")))
names = sorted({row["label"] for row in rows})
tokenizer = AutoTokenizer.from_pretrained(model)
padding = {} if dynamic else {"padding": "max_length"}
encoded = tokenizer([row["text"] for row in rows], truncation=True, max_length=length, **padding)
features = [{key: encoded[key][i] for key in encoded} for i in range(len(rows))]
features = [{**feature, "label": names.index(row["label"])} for feature, row in zip(features, rows)]
trainer = Trainer(
    AutoModelForSequenceClassification.from_pretrained(model, num_labels=len(names), dtype=torch.float32),
    TrainingArguments(output_dir=sys.argv[5], per_device_train_batch_size=32, num_train_epochs=1, learning_rate=5e-5,
        bf16=dynamic, use_cpu=not torch.cuda.is_available(), save_strategy="no", logging_strategy="no", report_to=[],
        disable_tqdm=True, dataloader_pin_memory=False),
    train_dataset=features,
    data_collator=DataCollatorWithPadding(tokenizer) if dynamic else default_data_collator,
)
print("records/s", len(rows) / trainer.train().metrics["train_runtime"])
"""


def run(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{argv[:3]}: {done.stderr}")
    return done.stdout


def ours(model: str, data: str, held: str, length: int, scratch: Path) -> float:
    folder = scratch / "ours"
    flags = ["--epochs", "1", "--lr", "5e-5", "--max-length", str(length), "--overwrite", "-q", "-o", str(folder)]
    run([tool("hfcli"), "finetune", model, "--dataset", data, "--eval-dataset", held, *flags])
    steps = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    with open(data, newline="") as file:
        records = sum(1 for _ in csv.DictReader(file))
    return records / max(step["seconds"] for step in steps if "loss" in step)  # before the evaluation


def peer(model: str, data: str, length: int, how: str, scratch: Path) -> float:
    return float(run([sys.executable, "-c", PEER, model, data, str(length), how, str(scratch / "peer")]).split()[-1])


def compare(label: str, model: str, data: str, held: str, length: int, turns: int, scratch: Path) -> None:
    rows: list[tuple[float, float, float]] = []
    for turn in range(turns):
        began = time.monotonic()
        rows.append(
            (
                ours(model, data, held, length, scratch),
                peer(model, data, length, "dynamic", scratch),
                peer(model, data, length, "longest", scratch),
            )
        )
        mine, dynamic, padded = rows[-1]
        print(
            f"{label}, turn {turn + 1}: {mine:.1f} records/s; Trainer bf16, dynamic padding {dynamic:.1f};"
            f" Trainer float32 at {length} {padded:.2f} ({time.monotonic() - began:.0f} s)",
            flush=True,
        )
    for name, aim, column in (("bf16 and dynamic padding", 1.5, 1), ("float32 padded to the longest", 5, 2)):
        ratios = [row[0] / row[column] for row in rows]
        spread = f"[{min(ratios):.2f}, {max(ratios):.2f}]"
        print(f"{label}: {median(ratios):.2f} times Trainer with {name} {spread}; the aim for short texts is {aim}")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data")
parser.add_argument("--model")
parser.add_argument("--records", type=int, default=320)
parser.add_argument("--max-length", type=int, default=None)
parser.add_argument("--turns", type=int, default=2)
asked = parser.parse_args()
with tempfile.TemporaryDirectory() as temporary:
    scratch = Path(temporary)
    model = asked.model or mini(scratch / "mini")
    held = scratch / "held.csv"
    made_up(held, "short", 8, 1)
    if asked.data:
        with open(asked.data, newline="") as file:
            lines = list(csv.DictReader(file))[: asked.records]
        data = scratch / "data.csv"
        with data.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(lines)
        names = sorted({line["label"] for line in lines})
        held.write_text("text,label\n" + "".join(f"a text,{name}\n" for name in names))
        compare(Path(asked.data).stem, model, str(data), str(held), asked.max_length or 512, asked.turns, scratch)
    else:
        for kind, length, records in (("short", 128, asked.records), ("long", 512, max(asked.records // 8, 32))):
            data = scratch / f"{kind}.csv"
            made_up(data, kind, records, 0)
            compare(kind, model, str(data), str(held), asked.max_length or length, asked.turns, scratch)
