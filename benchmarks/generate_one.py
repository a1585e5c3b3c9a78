"""`hfcli generate` of one text against the barest script that loads the same model and makes as many tokens.

A GPT-2-sized model with random weights, in the number format that hfcli picks here; start, load and text together.
"""

import sys
import tempfile
from pathlib import Path

from _alternate import alternate, command, tool
from _gpt2 import make

BAREST = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=getattr(torch, sys.argv[2]))
inputs = tokenizer("Once upon a time", return_tensors="pt")
ids = model.generate(**inputs, max_new_tokens=int(sys.argv[3]), do_sample=False, pad_token_id=0)
print(tokenizer.decode(ids[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
"""

with tempfile.TemporaryDirectory() as folder:
    model = make(Path(folder))
    for tokens in ("64", "256"):
        flags = ("-m", model, "--max-new-tokens", tokens, "--greedy")
        ours = command(tool("hfcli"), "generate", *flags, "Once upon a time")
        dtype = "bfloat16" if "bfloat16" in command(tool("hfcli"), "doctor", "--offline")().decode() else "float32"
        barest = command(sys.executable, "-c", BAREST, model, dtype, tokens)
        assert ours() == barest(), "the texts differ"
        ratio = alternate(f"hfcli generate, {tokens} tokens", ours, barest, times=5)
        print(f"{100 * (ratio - 1):+.1f}% (the aim is at most +15%)")
