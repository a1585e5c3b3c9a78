"""Parts of the runtime that no command line shows by itself."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hfcli.errors import DataError, DeviceError, UsageError
from hfcli.records import Row
from hfcli.runtime import chunking, environment, loading, prediction
from hfcli.runtime.chunking import SILENCE_SECONDS, ByNumber
from hfcli.runtime.padding import pad, pad_id
from hfcli.runtime.sampling import uniform
from hfcli.tasks.base import Feature

CPU = torch.device("cpu")


def feature(*ids):
    return Feature({"input_ids": np.array(ids, dtype=np.int32)}, {})


@pytest.mark.parametrize(("side", "expected"), [("left", [[1, 2, 3], [9, 9, 4]]), ("right", [[1, 2, 3], [4, 9, 9]])])
def test_pad(side, expected):
    tokenizer = SimpleNamespace(pad_token_id=9, eos_token_id=2, pad_token_type_id=0)
    batch = pad([feature(1, 2, 3), feature(4)], tokenizer, 10, side, CPU)
    assert batch["input_ids"].tolist() == expected
    assert batch["attention_mask"].tolist() == [[int(i != 9) for i in row] for row in expected]


@pytest.mark.parametrize(
    ("pad_token", "end", "expected"), [(5, 2, 5), (None, 2, 2), (None, None, 0), (-1, 3, 3), (10, 3, 3)]
)
def test_any_tokenizer_gives_something_to_pad_with(pad_token, end, expected):
    assert pad_id(SimpleNamespace(pad_token_id=pad_token, eos_token_id=end), 10) == expected


class Config(SimpleNamespace):
    def get_text_config(self, decoder=False):
        return self


@pytest.mark.parametrize(
    ("config", "tokenizer_length", "expected"),
    [
        ({"max_position_embeddings": 512}, 1e30, 512),  # GPT-2's tokenizer knows no end
        ({"max_position_embeddings": -1}, 1024, 1024),  # XLNet says -1
        ({"max_position_embeddings": 514, "model_type": "roberta"}, 1e30, 512),  # two positions fewer than it says
        ({"n_positions": 1024}, 512, 512),
        ({}, 1e30, 1_000_000_000),
    ],
)
def test_the_longest_input_is_the_least_value_that_means_something(config, tokenizer_length, expected):
    config = Config(**{"model_type": "other", **config})
    assert loading.longest(config, SimpleNamespace(model_max_length=tokenizer_length)) == expected


def test_number_format(monkeypatch):
    monkeypatch.setattr(environment, "native_bfloat16", lambda device: "AMX")
    assert environment.place(CPU, "auto")[1:] == (torch.bfloat16, "AMX")
    assert environment.place(CPU, "auto", 1_000_000)[1:] == (torch.float32, "small models run faster so")
    assert environment.place(CPU, "float16")[1:] == (torch.float16, "--dtype")
    monkeypatch.setattr(environment, "native_bfloat16", lambda device: None)
    assert environment.place(CPU, "auto").dtype_name == "float32"


def test_devices():
    assert environment.pick_device("cpu") == CPU
    for name in ("cuda:x", "tpu", "cpu:0", "", "cuda:-1"):
        with pytest.raises(UsageError):
            environment.pick_device(name)
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="--device cuda: "):
            environment.pick_device("cuda")


def test_uniform_numbers_are_uniform_and_fixed():
    numbers = np.array([uniform(b"key", step) for step in range(20_000)])
    assert 0 <= numbers.min() < 0.001
    assert 0.999 < numbers.max() < 1
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    assert np.abs(counts - 1000).max() < 150  # about five standard deviations
    assert uniform(b"key", 3) == numbers[3] != uniform(b"other", 3)
    assert uniform(b"key", 0) == pytest.approx(0.67380, abs=1e-5)  # samples of earlier versions stay what they were


def test_rows_come_at_once_when_the_input_is_slow():
    answered = threading.Event()

    def slow():
        for i in range(3):
            yield Row({"prompt": str(i)}, str(i))
            assert answered.wait(60), "it waited for the next row"
            answered.clear()

    sizes = []
    for chunk in chunking.chunks(slow(), ByNumber(100, 100), SILENCE_SECONDS):
        sizes.append(len(chunk))
        if chunk:
            answered.set()
    assert [size for size in sizes if size] == [1, 1, 1]


def test_rows_come_in_chunks_when_the_input_is_fast():
    rows = [Row({"prompt": str(i)}, str(i)) for i in range(250)]
    chunks = list(chunking.chunks(iter(rows), ByNumber(100, 60), None))
    assert [row for chunk in chunks for row in chunk] == rows
    assert [len(chunk) for chunk in chunks] == [60, 100, 90]


def test_an_error_comes_after_the_rows_before_it():
    def broken():
        yield Row({"prompt": "a"}, "1")
        raise DataError("line 2 is bad")

    chunks = chunking.chunks(broken(), ByNumber(100, 100), SILENCE_SECONDS)
    assert len(next(chunks)) == 1
    with pytest.raises(DataError, match="line 2"):
        next(chunks)


def test_reading_ahead_is_bounded():
    """A reader that runs ahead of the model would hold the whole input in memory."""
    read = 0

    def rows():
        nonlocal read
        for i in range(10_000):
            read += 1
            yield Row({"prompt": "a"}, str(i))

    chunks = chunking.chunks(rows(), ByNumber(10, 10), SILENCE_SECONDS)
    next(chunks)
    time.sleep(0.3)
    assert read < 100
    chunks.close()


def test_progress_moves_within_a_chunk(models):
    """128 records may take a minute; the bar must not stand still for it, nor go back."""
    from hfcli import tasks
    from hfcli.options import DecodingOptions, ModelOptions, PromptOptions
    from hfcli.runtime.decoding import resolve

    loaded = loading.load(tasks.get("text-generation"), ModelOptions(model=str(models.llama())), lambda event: None)
    decoding = resolve(DecodingOptions(max_new_tokens=10), loaded.model.generation_config, loaded.max_tokens)
    rows = [Row({"prompt": "the fox"}, str(i)) for i in range(300)]
    events = []
    for _ in prediction.Generator(loaded, decoding, PromptOptions()).run(rows, events.append, lambda n: n / 300):
        pass
    shares = [event.fraction for event in events]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len({round(share, 3) for share in shares}) > 20
    assert events[-1].records == 300
    assert events[-1].tokens == 3000
