"""1,000 prompts through one `hfcli generate` against the same prompts one at a time in one process.

The peer is transformers' own `generate` on each prompt, in the same number format, its model loaded before the clock
starts; our time includes start and load. The peer's time for all prompts is taken from every 25th. With --memory, peak
memory of hfcli is compared between 1,000 and 10,000 prompts, which takes some minutes more.
"""

import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _alternate import tool
from _gpt2 import make

TOKENS = 32
EVERY = 25


def prompts(count: int) -> list[str]:
    """Prompts of 3 to 60 characters, which are 3 to 60 tokens."""
    rng = random.Random(0)
    return ["".join(rng.choice("abcdefgh ") for _ in range(rng.randint(3, 60))).strip() or "a" for _ in range(count)]


def one_at_a_time(folder: str, texts: list[str]) -> tuple[float, list[str]]:
    """Seconds for all texts, from every 25th, and what was generated for those."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    made = []
    began = time.perf_counter()
    for text in texts[::EVERY]:
        inputs = tokenizer(text, return_tensors="pt")
        ids = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, pad_token_id=0)
        made.append(tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :]))
    return (time.perf_counter() - began) * len(texts) / len(made), made


def ours(folder: str, texts: list[str], dtype: str = "bfloat16") -> tuple[float, int, list[str]]:
    """Seconds of the whole command, its peak memory in bytes, and the texts."""
    began = time.perf_counter()
    child = subprocess.Popen(
        [tool("hfcli"), "generate", "-m", folder, "--max-new-tokens", str(TOKENS), "--greedy", "--dtype", dtype, "-q"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = child.communicate("".join(text + "\n" for text in texts))
    assert child.returncode == 0
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024  # of the largest child so far
    return time.perf_counter() - began, peak, out.split("\n")[:-1]


with tempfile.TemporaryDirectory() as temporary:
    model = make(Path(temporary))
    texts = prompts(1000)
    ratios = []
    for turn in range(2):
        seconds, peak, made = ours(model, texts)
        alone, expected = one_at_a_time(model, texts)
        ratios.append(alone / seconds)
        print(f"turn {turn + 1}: {seconds:.1f} s against {alone:.1f} s one at a time, {ratios[-1]:.1f} times as fast")
        assert len(made) == 1000
    print(f"at least {min(ratios):.1f} times as fast (the aim is 8)")
    if "--memory" in sys.argv:
        _, more, made = ours(model, prompts(10_000))
        assert len(made) == 10_000
        print(f"peak memory {peak / 1e6:,.0f} MB for 1,000 prompts, {more / 1e6:,.0f} MB for 10,000")
