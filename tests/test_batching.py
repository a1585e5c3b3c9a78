"""Which records share a batch, and what must be the same whether they do: settings, ends, spaces."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hfcli.options import DecodingOptions
from hfcli.runtime import batching, environment
from hfcli.runtime.decoding import resolve
from hfcli.tasks.base import Feature
from tests.tiny import TEXT

CPU = torch.device("cpu")
PROMPTS = ("the small fox", "a girl and a boy found the red kite", "moon", "then it went home . the fox")


class Config(SimpleNamespace):
    def get_text_config(self, decoder=False):
        return self


def fake(max_tokens=256, dtype=torch.float32, **config):
    """A model to batch for: no weights, a config of two layers of four heads of 16."""
    own = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "is_encoder_decoder": False}
    placement = environment.Placement(CPU, dtype, "")
    return SimpleNamespace(
        model=SimpleNamespace(config=Config(**own | config)), placement=placement, max_tokens=max_tokens
    )


def settings(**options):
    own = SimpleNamespace(do_sample=False, temperature=None, num_beams=None, eos_token_id=0)
    return resolve(DecodingOptions(**options), own, 10_000)


def features(*lengths):
    return {i: Feature({"input_ids": np.zeros(length, dtype=np.int32)}, {}) for i, length in enumerate(lengths)}


def lengths_of(batch, given):
    return [len(given[i].inputs["input_ids"]) for i in batch]


SIZES = [(i * 37) % 101 + 1 for i in range(200)]


@pytest.mark.parametrize("seq2seq", [False, True])
@pytest.mark.parametrize("options", [{}, {"sample": True, "num_return_sequences": 3}, {"num_beams": 4}], ids=str)
@pytest.mark.parametrize("budget", [1, 300, 2000, 10**9])
def test_batches_hold_every_record_once_within_rows_and_tokens(seq2seq, options, budget):
    given, loaded = features(*SIZES), fake(is_encoder_decoder=seq2seq)
    decoding = settings(max_new_tokens=20, **options)
    copies = max(decoding.num_return_sequences, decoding.num_beams)
    made = list(batching.batches(given, decoding, loaded, 32, budget))
    assert sorted(i for batch in made for i in batch) == list(range(200))
    order = [length for batch in made for length in lengths_of(batch, given)]
    assert order == sorted(SIZES, reverse=True)
    for batch in made:
        tokens = len(batch) * copies * (max(lengths_of(batch, given)) + 20)
        assert len(batch) == 1 or (len(batch) * copies <= 32 and tokens <= budget)
    if budget == 10**9:
        assert len(made) == -(-200 // (32 // copies))  # no smaller than they have to be


def test_more_copies_than_rows_still_make_batches_of_one():
    given = features(3, 2, 1)
    decoding = settings(max_new_tokens=5, sample=True, num_return_sequences=9)
    assert list(batching.batches(given, decoding, fake(), 4, 10**9)) == [[0], [1], [2]]


def test_records_of_one_length_stay_in_their_order():
    given = features(5, 7, 5, 7, 5)
    made = batching.batches(given, settings(max_new_tokens=5), fake(), 128, 10**9)
    assert list(made) == [[1, 3, 0, 2, 4]]


def test_only_records_with_as_long_an_answer_share_a_batch_with_one_near_the_models_length():
    given, decoding = features(250, 10, 250, 9, 252), settings(max_new_tokens=20)
    assert list(batching.batches(given, decoding, fake(256), 128, 10**9)) == [[4], [0, 2], [1, 3]]
    together = batching.batches(given, decoding, fake(256, is_encoder_decoder=True), 128, 10**9)
    assert list(together) == [[4, 0, 2, 1, 3]]  # an encoder's prompt takes nothing from the answer


def test_models_that_mix_up_rows_get_them_apart():
    given, decoding = features(5, 7, 5, 7, 6), settings(max_new_tokens=5)
    call = lambda apart: list(batching.batches(given, decoding, fake(), 128, 10**9, apart))  # noqa: E731
    assert call("any") == [[1, 3, 4, 0, 2]]
    assert call("equal lengths") == [[1, 3], [4], [0, 2]]
    assert call("alone") == [[1], [3], [4], [0], [2]]


@pytest.mark.parametrize(
    ("padding_matters", "neighbours_matter", "expected"),
    [(False, False, "any"), (True, False, "equal lengths"), (False, True, "alone"), (True, True, "alone")],
)
def test_what_mixes_up_rows_is_found_by_trying(monkeypatch, padding_matters, neighbours_matter, expected):
    def scores(loaded, rows):
        lengths = [len(row.inputs["input_ids"]) for row in rows]
        made = torch.linspace(-1, 1, 50).repeat(len(rows), 1)
        if padding_matters and lengths[0] < max(lengths):
            made[0] += torch.linspace(0, 0.5, 50)
        if neighbours_matter and len(rows) > 1:
            made[0] += torch.linspace(0, 0.5, 50)
        return made + torch.linspace(0, 1e-4 * len(rows), 50)  # rounding differs with any neighbour

    monkeypatch.setattr("hfcli.runtime.generation.next_scores", scores)
    loaded = fake()
    loaded.vocabulary = 50
    assert batching.together(loaded) == expected
    loaded.model.config.is_encoder_decoder = True
    assert batching.together(loaded) == "any"


def test_no_records_make_no_batch():
    assert list(batching.batches({}, settings(), fake(), 128, 1000)) == []


# What a batch may hold


@pytest.fixture
def memory(monkeypatch):
    return lambda count: monkeypatch.setattr(environment, "free_bytes", lambda device: count)


def test_a_budget_is_what_half_the_free_memory_takes_as_keys_and_values(memory):
    per_token = 2 * 2 * 64 * 4  # keys and values, layers, width, float32
    for tokens, expected in ((1024, 1024), (2047, 1024), (2048, 2048)):
        memory(2 * per_token * tokens)
        assert batching.budget_tokens(fake()) == expected
    for free in (0, 1, per_token):
        memory(free)
        assert batching.budget_tokens(fake()) == 1
    memory(10**15)
    assert batching.budget_tokens(fake()) == batching.MAX_TOKENS["cpu"]


@pytest.mark.parametrize(
    ("config", "dtype", "factor"),
    [
        ({"num_key_value_heads": 1}, torch.float32, 4),
        ({"num_key_value_heads": 4}, torch.float32, 1),
        ({"is_encoder_decoder": True}, torch.float32, 1 / 2),
        ({"head_dim": 64}, torch.float32, 1 / 4),
        ({"num_hidden_layers": 8}, torch.float32, 1 / 4),
        ({"num_hidden_layers": None, "num_layers": 4}, torch.float32, 1 / 2),
        ({}, torch.bfloat16, 2),
    ],
    ids=str,
)
def test_a_budget_follows_the_model(memory, config, dtype, factor):
    memory(2 * 1024 * 4096)
    assert batching.budget_tokens(fake(dtype=dtype, **config)) == batching.budget_tokens(fake()) * factor


def test_a_small_memory_changes_no_text(hfcli, models, memory):
    line = ("generate", "-m", models.llama(), "--sample", "--max-new-tokens", "8", "--json")
    stdin = "\n".join(PROMPTS) + "\n"
    expected = hfcli(*line, stdin=stdin).records
    memory(1)
    assert hfcli(*line, stdin=stdin).records == expected


# A model's own generation_config


@pytest.fixture
def variant(models, tmp_path):
    """A copy of a tiny model with other entries in one of its JSON files."""

    def call(name, file="generation_config.json", **entries):
        folder = tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(getattr(models, name)(), folder)
        content = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(content | entries))
        return folder

    return call


def test_a_model_that_says_it_samples_does_and_greedy_switches_it_off(hfcli, models, variant):
    sampling = variant("llama", do_sample=True, top_k=50, temperature=2.0)
    flags = ("--max-new-tokens", "16", "--json")

    def record(model, *more):
        return hfcli("generate", "-m", model, *flags, *more, "the small fox").records[0]

    drawn = record(sampling)
    used = {"do_sample": True, "max_new_tokens": 16, "seed": 0, "temperature": 2.0, "top_k": 50}
    assert drawn["decoding"] == used
    assert drawn["generated_text"] != record(sampling, "--seed", "1")["generated_text"]
    by_flags = record(models.llama(), "--sample", "--top-k", "50", "--temperature", "2")
    assert drawn == by_flags
    greedy = record(sampling, "--greedy")
    assert greedy == record(models.llama())
    assert greedy["decoding"] == {"do_sample": False, "max_new_tokens": 16}
    assert record(sampling, "--top-k", "1")["generated_text"] == greedy["generated_text"]


def test_a_models_own_penalty_holds_unless_a_flag_says_otherwise(hfcli, models, variant):
    own = variant("llama", repetition_penalty=1.7)
    call = lambda model, *flags: hfcli("generate", "-m", model, *flags, "the small fox").out  # noqa: E731
    assert call(own) == call(models.llama(), "--repetition-penalty", "1.7") != call(models.llama())
    assert call(own, "--repetition-penalty", "1") == call(models.llama())


# Where a text ends and begins


@pytest.fixture(scope="module")
def bart(models):
    """A tiny BART: its generation_config forces the end token onto the last step, as facebook/bart-* do."""
    from transformers import BartConfig, BartForConditionalGeneration

    folder = models.root / "bart"
    torch.manual_seed(0)
    tokenizer = models._tokenizer(pad_token="</s>", model_max_length=64)
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64, bos_token_id=0,
        pad_token_id=0, eos_token_id=0, decoder_start_token_id=0, forced_eos_token_id=0,
    )  # fmt: skip
    model = BartForConditionalGeneration(config)
    model.final_logits_bias[0, 0] = -100.0  # it never ends of its own
    model.generation_config.forced_eos_token_id = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_forced_end_token_does_not_make_a_cut_text_look_finished(hfcli, bart):
    assert json.loads((bart / "generation_config.json").read_text())["forced_eos_token_id"] == 0
    for flags in ((), ("--num-beams", "2"), ("--sample",)):
        made = hfcli("generate", "-m", bart, "--max-new-tokens", "6", "--json", *flags, stdin="the fox\na girl\n")
        assert made.code == 0, made.err
        assert [(one["finish_reason"], one["new_tokens"]) for one in made.records] == [("length", 6)] * 2
        assert "2 cut at 6 new tokens" in made.err


@pytest.fixture(scope="module")
def with_bos(models):
    """A Llama whose tokenizer puts `<|user|>` before every text."""
    from tokenizers import processors
    from transformers import AutoTokenizer

    folder = models.root / "with-bos"
    shutil.copytree(models.llama(), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    bos = "<|user|>"
    tokenizer.bos_token = bos
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A $B", special_tokens=[(bos, tokenizer.convert_tokens_to_ids(bos))]
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("asked", "kept"), [(28, 228), (250, 128)])
def test_a_prompt_cut_from_the_left_keeps_its_beginning_of_text(hfcli, with_bos, monkeypatch, asked, kept):
    from transformers import AutoTokenizer

    from hfcli.runtime import generation

    seen, generate = [], generation.generate

    def watched(loaded, own, *rest):
        seen.extend(feature.inputs["input_ids"].tolist() for feature in own)
        return generate(loaded, own, *rest)

    monkeypatch.setattr(generation, "generate", watched)
    long = "the fox " * 200
    flags = ("--on-long", "truncate-left", "--max-new-tokens", asked, "--json")
    result = hfcli("generate", "-m", with_bos, *flags, stdin=f"{long}\nthe fox\n")
    assert result.code == 0, result.err
    whole = AutoTokenizer.from_pretrained(with_bos)(long)["input_ids"]
    cut = max(seen, key=len)
    assert len(cut) == kept
    assert cut == [whole[0], *whole[1 - kept :]]
    assert whole.count(whole[0]) == 1
    assert result.records[0]["new_tokens"] <= 256 - kept


@pytest.fixture(scope="module")
def sentencepiece(models):
    """A Llama with a tokenizer like Llama 2's: `▁` for a space, one put before a text, which decoding drops."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers import models as kinds
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = models.root / "sentencepiece"
    tokenizer = Tokenizer(kinds.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["</s>", "<unk>"])
    tokenizer.train_from_iterator([TEXT], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>")
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=256, eos_token_id=0, bos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def test_a_continuation_keeps_the_space_between_it_and_the_prompt(hfcli, sentencepiece):
    """Decoded alone, the first word of a continuation loses the space before it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(sentencepiece)
    flags = ("-m", sentencepiece, "--sample", "--temperature", "2", "--max-new-tokens", "12")
    spaced = 0
    for seed in range(8):
        prompts = [prompt for prompt in PROMPTS if tokenizer.decode(tokenizer(prompt)["input_ids"]) == prompt]
        batched = hfcli("generate", *flags, "--seed", seed, "--json", stdin="\n".join(prompts) + "\n").records
        for prompt, record in zip(prompts, batched, strict=True):
            text = record["generated_text"]
            assert tokenizer.decode(tokenizer(prompt + text)["input_ids"]) == prompt + text
            streamed = hfcli("generate", *flags, "--seed", seed, prompt).out
            assert streamed == text + "\n"
            spaced += text.startswith(" ")
    assert spaced > 4
    assert len(prompts) == len(PROMPTS)
