"""Perplexity against scripts of a few lines that say what each protocol means; batches, tails, what cannot be scored."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from hfcli import metrics
from hfcli.errors import DataError, DeviceError, ModelError, UsageError
from hfcli.events import Note
from hfcli.metrics.base import Sums
from hfcli.options import ModelOptions
from hfcli.runtime import likelihood, perplexity, tail
from hfcli.runtime.perplexity import Choice, Document, Likelihoods
from hfcli.tasks import _protocols
from hfcli.tasks._protocols import Reading
from tests.tiny import TEXT, WORDS

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared data")
ODD = "Naïve café 👩‍👩‍👧, 日本語  twice.\n\nthe fox said hello to the moon\tand ran home . " * 20
LONG = TEXT + ODD + TEXT
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
WILD = {"initializer_range": 0.3}  # predictions far from uniform, so that what is amiss is seen


def value(name, sums):
    return metrics.get(name).function(Sums(sums, np.ones(len(sums)), None))[0]


@pytest.fixture(scope="module")
def make(models, tmp_path_factory):
    """`make(kind, **config)`: a model of two layers with weights that say something, and its folder."""
    made = {}

    def build(kind, bos=False, adds=False, room=64, **entries):
        key = (kind, bos, adds, room, *entries.items())
        if key not in made:
            made[key] = tmp_path_factory.mktemp(kind)
            tokenizer = models._tokenizer(**({"bos_token": "<|system|>"} if bos else {}))
            if adds:
                from tokenizers.processors import TemplateProcessing

                ends = [("<|system|>", 1), ("</s>", 0)]
                tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<|system|> $A", None, ends)
            tokenizer.save_pretrained(made[key])
            sizes = SIZES | {"num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": room}
            if kind == "gpt2":
                sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": room}
            own = {"vocab_size": len(tokenizer), "bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0}
            config = transformers.AutoConfig.for_model(kind, **own, **sizes, **WILD, **entries)
            torch.manual_seed(0)
            transformers.AutoModelForCausalLM.from_config(config).save_pretrained(made[key])
        return made[key]

    return build


@pytest.fixture(scope="module")
def masked(models, tmp_path_factory):
    """A masked model that takes 16 tokens."""
    folder = tmp_path_factory.mktemp("masked")
    tokenizer = models._words(mask_token="[MASK]")
    tokenizer.model_max_length = 16
    tokenizer.save_pretrained(folder)
    config = transformers.BertConfig(vocab_size=len(tokenizer), max_position_embeddings=16, **SIZES, **WILD)
    torch.manual_seed(0)
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    return folder


def load(folder, **options):
    return perplexity.load(ModelOptions(model=str(folder), **{"device": "cpu", "dtype": "float32"} | options), print)


def measured(loaded, *texts, tell=lambda event: None, **choice):
    documents = [Document(text, f"a.txt:{i + 1}") for i, text in enumerate(texts)]
    return list(Likelihoods(loaded, Choice(**choice), tell)(documents))


def total(found):
    return np.sum([each[:2] + each[3:5] for each in found], axis=0)[None]


def whole(folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval(), tokenizer


def costs(model, ids):
    """What each token costs but the first, seen from those before it."""
    with torch.no_grad():
        logits = model(torch.tensor([ids[:-1]])).logits[0].double()
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").tolist()


# Each protocol in a few lines, from its own definition.


def documentation(folder, text, length, stride):
    """The loop of transformers' "Perplexity of fixed-length models": as it weighs windows, and by token."""
    model, tokenizer = whole(folder)
    ids = tokenizer(text)["input_ids"]
    nll, n, scored, before = 0.0, 0, [], 0
    for begin in range(0, len(ids), stride):
        end = min(begin + length, len(ids))
        new = costs(model, ids[begin:end])[-(end - before) :]
        weight = end - before - 1
        nll, n = nll + float(np.mean(new)) * weight, n + weight
        scored += new
        before = end
        if end == len(ids):
            break
    return math.exp(nll / n), math.exp(np.mean(scored)), len(scored)


def harness(folder, text, length):
    """lm-evaluation-harness: rolling windows with one token of context, the last one as long as the others."""
    model, tokenizer = whole(folder)
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    first = min(length, len(tokens))
    pairs = [([start, *tokens[: first - 1]], tokens[:first])]
    done = len(pairs[0][1])
    while done < len(tokens):
        end = done + min(len(tokens) - done, length)
        pairs.append((tokens[end - length - 1 : end - 1], tokens[done:end]))
        done = end
    scored = []
    for context, target in pairs:
        context = context[: len(context) - len(target) + 1]
        scored += costs(model, context + target)[-len(target) :]
    return sum(scored), len(scored)


def library(folder, texts, max_length=None, add_start_token=True):
    """evaluate's measurement `perplexity`: texts side by side, padded, and the mean of their perplexities."""
    model, tokenizer = whole(folder)
    start = [tokenizer.bos_token_id] if add_start_token else []
    found = []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][: max_length and max_length - len(start)]
        found.append(math.exp(np.mean(costs(model, start + ids))))
    return found


@pytest.mark.parametrize(("length", "stride"), [(64, 32), (64, 64), (64, 15), (40, 39), (8, 4), (2, 1)])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_stride_is_the_documentations_loop(make, kind, length, stride):
    folder = make(kind)
    text = LONG if stride > 4 else TEXT * 2
    (found,) = measured(load(folder), text, protocol="stride", max_length=length, stride=stride)
    theirs, by_token, scored = documentation(folder, text, length, stride)
    assert found.tokens == scored
    assert value("perplexity", total([found])) == pytest.approx(by_token, rel=1e-6)
    if stride > 30:  # it takes one token off the weight of each window but the first
        assert value("perplexity", total([found])) == pytest.approx(theirs, rel=2e-3)
    if length == stride:
        assert value("perplexity", total([found])) == pytest.approx(theirs, rel=1e-6)
        assert measured(load(folder), text, protocol="disjoint", max_length=length)[0].nll == found.nll
    else:
        assert found.tokens == found.tokens_total - 1


def test_windows_and_strides_have_defaults(make):
    def chosen(folder, **choice):
        reading = perplexity.reading(load(folder), Choice(**choice))
        return reading.protocol, reading.length, reading.stride

    assert chosen(make("llama", room=4096)) == ("stride", 2048, 512)
    assert chosen(make("llama", room=1024)) == ("stride", 1024, 512)
    assert chosen(make("llama")) == ("stride", 64, 32)
    assert chosen(make("llama"), max_length=10, stride=3) == ("stride", 10, 3)
    assert chosen(make("llama", room=4096), protocol="disjoint") == ("disjoint", 2048, 2048)
    assert chosen(make("llama", room=4096), protocol="lm-eval") == ("lm-eval", 4096, 0)


def test_full_gives_each_token_all_that_the_model_can_hold(make):
    folder = make("llama")
    model, tokenizer = whole(folder)
    for text in (TEXT[:60], LONG[:400]):
        ids = tokenizer(text)["input_ids"]
        expected = [costs(model, ids[max(0, at - 64) : at + 1])[-1] for at in range(1, len(ids))]
        (found,) = measured(load(folder), text, protocol="full")
        assert (found.nll, found.tokens) == (pytest.approx(sum(expected), rel=1e-6), len(ids) - 1)
    assert len(ids) > 66  # more than it holds


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("length", [64, 17, 1])
def test_lm_eval_is_the_rolling_log_likelihood_of_the_harness(make, bos, length):
    folder = make("gpt2", bos=bos)
    texts = [LONG, TEXT, "the fox", ""] if length > 1 else [TEXT]
    found = measured(load(folder), *texts, protocol="lm-eval", max_length=length)
    for text, each in zip(texts, found, strict=True):
        nll, scored = harness(folder, text, length) if text else (0, 0)
        assert (each.nll, each.tokens) == (pytest.approx(nll, rel=1e-6), scored)
        assert each.tokens == each.tokens_total
        assert each.words == len(re.split(r"\s+", text))
        assert each.bytes == len(text.encode())
    sums = total(found)
    assert value("word_perplexity", sums) == pytest.approx(math.exp(sums[0, 0] / sums[0, 2]))
    assert value("byte_perplexity", sums) == pytest.approx(math.exp(sums[0, 0] / sums[0, 3]))
    assert value("bits_per_byte", sums) == pytest.approx(math.log2(value("byte_perplexity", sums)))


@pytest.mark.parametrize(("bos", "length"), [("auto", None), ("auto", 20), ("no", 20), ("no", None)])
def test_hf_evaluate_is_the_mean_over_texts_of_their_perplexities(make, bos, length):
    folder = make("gpt2", bos=bos == "auto", room=256)
    texts = [TEXT[:200], "the small fox", ODD[:70]]
    found = measured(load(folder), *texts, protocol="hf-evaluate", bos=bos, max_length=length)
    ours = np.array([math.exp(each.nll / each.tokens) for each in found])
    theirs = library(folder, texts, length, bos == "auto")
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    means = [value("mean_perplexity", np.array([[ours.sum(), len(ours)]]))]
    assert means[0] == pytest.approx(np.mean(theirs), rel=1e-6)


def test_hf_evaluate_refuses_what_evaluate_refuses(make):
    with pytest.raises(UsageError, match="BOS token, which this model does not have") as caught:
        measured(load(make("gpt2")), "the", protocol="hf-evaluate")
    assert caught.value.hint.startswith("--bos no")
    loaded = load(make("gpt2", bos=True))
    with pytest.raises(DataError, match=r"a\.txt:2: the text has no token"):
        measured(loaded, "the fox", "", protocol="hf-evaluate")
    with pytest.raises(DataError, match=r"a\.txt:1: the text has fewer than two tokens"):
        measured(loaded, "the", protocol="hf-evaluate", bos="no")
    with pytest.raises(DataError, match="takes 64, and hf-evaluate does not cut"):
        measured(loaded, LONG, protocol="hf-evaluate")


def test_documents_begin_as_the_tokenizer_or_the_user_says(make):
    text = TEXT[:50]

    def ids(folder, **choice):
        reading = perplexity.reading(load(folder), Choice(**choice))
        return [*reading.prefix.tolist(), "text", *reading.suffix.tolist()]

    assert ids(make("gpt2")) == ["text"]
    assert ids(make("gpt2", bos=True)) == ["text"]
    assert ids(make("gpt2", bos=True, adds=True)) == [1, "text"]
    assert ids(make("gpt2", bos=True, adds=True), bos="no") == ["text"]
    assert ids(make("gpt2"), bos="yes") == [0, "text"]
    assert ids(make("gpt2", bos=True), bos="yes") == [1, "text"]
    with_bos, without = (
        measured(load(make("gpt2", bos=True)), text, bos=bos, protocol="stride")[0] for bos in ("yes", "no")
    )
    assert with_bos.tokens == without.tokens + 1 == with_bos.tokens_total == without.tokens_total
    folder = make("gpt2", bos=True, adds=True)
    _, expected, scored = documentation(folder, LONG, 64, 32)
    (found,) = measured(load(folder), LONG)
    assert (math.exp(found.nll / found.tokens), found.tokens) == (pytest.approx(expected, rel=1e-6), scored)


def test_a_tokenizer_without_bos_and_eos_has_nothing_to_begin_with(make, tmp_path):
    model, tokenizer = whole(make("gpt2"))
    tokenizer.eos_token = None
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    for choice in ({"bos": "yes"}, {"protocol": "lm-eval"}):
        with pytest.raises(UsageError, match="neither a BOS nor an EOS token") as caught:
            measured(load(tmp_path), TEXT, **choice)
        assert caught.value.hint == "--bos no"
    (found,) = measured(load(tmp_path), TEXT, protocol="lm-eval", bos="no")
    assert found.tokens == found.tokens_total - 1


def test_special_tokens_in_a_text_are_read_as_by_the_peers_or_as_text(make):
    folder = make("gpt2")
    text = f"the fox</s>{TEXT}"
    (found,) = measured(load(folder), text)
    _, expected, scored = documentation(folder, text, 64, 32)
    assert (math.exp(found.nll / found.tokens), found.tokens) == (pytest.approx(expected, rel=1e-6), scored)
    (split,) = measured(load(folder), text, split_special_tokens=True)
    assert split.tokens == scored + 3  # </, s, >


@pytest.mark.parametrize("protocol", ["stride", "full", "lm-eval"])
def test_the_result_does_not_depend_on_the_batch(make, protocol):
    loaded = load(make("llama"))
    texts = [LONG[:200], *LONG[:1500].split("."), TEXT]
    together = measured(loaded, *texts, protocol=protocol)
    alone = [measured(loaded, text, protocol=protocol)[0] for text in texts]
    likelihoods = Likelihoods(loaded, Choice(protocol=protocol), print)
    likelihoods.scorer.budget, likelihoods._chunk_tokens = 100, 300
    few = list(likelihoods(Document(text, "") for text in texts))
    for a, b, c in zip(together, alone, few, strict=True):
        assert a.tokens == b.tokens == c.tokens
        assert a.nll == pytest.approx(b.nll, rel=1e-6)
        assert a.nll == pytest.approx(c.nll, rel=1e-6)
        np.testing.assert_allclose(a.blocks, c.blocks, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "entries", "way"),
    [
        ("llama", {}, "linear"),
        ("gpt2", {}, "linear"),
        ("opt", {"word_embed_proj_dim": 16, "ffn_dim": 64, "init_std": 0.3}, "linear"),
        ("gemma2", {"final_logit_softcapping": 5.0, "sliding_window": 16, "query_pre_attn_scalar": 8}, "tail"),
        ("granite", {"logits_scaling": 8.0}, "tail"),
        ("cohere", {"logit_scale": 0.06}, "tail"),
    ],
)
def test_tails_are_the_models_own(make, kind, entries, way, monkeypatch):
    folder = make(kind, **entries)
    scorer = Likelihoods(load(folder), Choice(), print).scorer
    assert scorer.parts.way == way
    _, expected, _ = documentation(folder, LONG, 64, 32)
    (found,) = measured(load(folder), LONG)
    assert math.exp(found.nll / found.tokens) == pytest.approx(expected, rel=1e-6)
    monkeypatch.setattr(tail.Parts, "_found", lambda *args: "plain")
    (plain,) = measured(load(folder), LONG)
    assert plain.nll == pytest.approx(found.nll, rel=1e-6)


def test_a_cap_is_seen_in_bfloat16_too_and_where_logits_are_small(make, tmp_path):
    folder = make("gemma2", final_logit_softcapping=30.0, sliding_window=16, query_pre_attn_scalar=8)
    model, tokenizer = whole(folder)
    model.model.norm.weight.data.fill_(-0.99)  # logits of a hundredth
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    for dtype in ("float32", "bfloat16"):
        assert Likelihoods(load(tmp_path, dtype=dtype), Choice(), print).scorer.parts.way == "tail"


def test_a_model_whose_tail_reads_more_than_its_body_says_is_run_whole(make, monkeypatch):
    loaded = load(make("llama"))
    expected = measured(loaded, LONG)[0].nll
    plain = loaded.model.forward

    def forward(input_ids, use_cache=True):
        found = plain(input_ids=input_ids, use_cache=use_cache)
        found.logits = found.logits + (input_ids[..., None] % 7) * torch.arange(found.logits.shape[-1]) / 100
        return found

    loaded.model.forward = forward
    likelihoods = Likelihoods(loaded, Choice(), print)
    assert likelihoods.scorer.parts.way == "plain"
    (found,) = likelihoods([Document(LONG, "")])
    ids = loaded.tokenizer(LONG)["input_ids"]
    assert found.nll != pytest.approx(expected, rel=1e-3)
    by_token = []
    for begin in range(0, len(ids), 32):
        costs_ = costs(loaded.model, ids[begin : begin + 64])
        by_token += costs_[31:] if begin else costs_
        if begin + 64 >= len(ids):
            break
    assert found.nll == pytest.approx(sum(by_token), rel=1e-6)


def test_a_model_that_sees_what_it_predicts_is_refused(models, tmp_path):
    tokenizer = models._tokenizer()
    config = transformers.XLNetConfig(vocab_size=len(tokenizer), d_model=32, n_layer=2, n_head=4, d_inner=64, **WILD)
    torch.manual_seed(0)
    for part in (transformers.XLNetLMHeadModel(config), tokenizer):
        part.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="looks at the tokens that it is to predict"):
        measured(load(tmp_path), TEXT)


def test_rows_that_a_model_mixes_up_are_run_alone(make):
    loaded = load(make("llama"))
    expected = measured(loaded, *LONG[:800].split("."))
    plain = loaded.model.model.forward

    def mixing(**inputs):
        found = plain(**inputs)
        found.last_hidden_state = found.last_hidden_state - found.last_hidden_state.mean(dim=0) * (
            len(found.last_hidden_state) > 1
        )
        return found

    loaded.model.model.forward = mixing
    notes = []
    found = measured(loaded, *LONG[:800].split("."), tell=notes.append)
    assert any("alone is right" in note.text for note in notes if isinstance(note, Note))
    assert [each.nll for each in found] == pytest.approx([each.nll for each in expected], rel=1e-6)


def pseudo(folder, text, room):
    """Salazar et al.: each token hidden once, the others seen."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
    scored = []
    for begin in range(0, len(tokens), room):
        ids = [tokenizer.cls_token_id, *tokens[begin : begin + room], tokenizer.sep_token_id]
        for at in range(1, len(ids) - 1):
            hidden = [*ids[:at], tokenizer.mask_token_id, *ids[at + 1 :]]
            with torch.no_grad():
                scores = model(torch.tensor([hidden])).logits[0, at].double()
            scored.append(-float(scores.log_softmax(0)[ids[at]]))
    return scored


def test_masked_models_hide_each_token_once(masked):
    texts = [WORDS, "good film", "", "sports and music"]
    loaded = load(masked)
    found = measured(loaded, *texts)
    for text, each in zip(texts, found, strict=True):
        expected = pseudo(masked, text, 14)
        assert (each.nll, each.tokens) == (pytest.approx(sum(expected), rel=1e-6), len(expected))
        assert each.tokens == each.tokens_total
        np.testing.assert_allclose(each.blocks.sum(axis=0), total([each])[0])
    assert Likelihoods(loaded, Choice(), print).scorer.parts.way == "tail"
    for choice in ({"protocol": "full"}, {"bos": "yes"}, {"stride": 3}):
        with pytest.raises(UsageError, match="masked"):
            measured(loaded, WORDS, **choice)


def test_encoder_decoders_are_refused(models):
    with pytest.raises(ModelError, match="encoder-decoder"):
        load(models.t5())
    with pytest.raises(ModelError, match="no trained head for perplexity"):
        load(models.classifier())


@pytest.mark.parametrize("text", ["", "a"])
def test_a_text_that_is_too_short_has_no_scored_token(make, text):
    first, found, last = measured(load(make("llama")), TEXT, text, TEXT)
    assert (found.nll, found.tokens, found.tokens_total) == (0.0, 0, len(text))
    assert first.nll == pytest.approx(last.nll, rel=1e-6)
    assert np.isnan(value("perplexity", total([found])))


@pytest.mark.parametrize("text", [TEXT, LONG, ODD * 10, "x" * 2000, "  \n " * 700])
@pytest.mark.parametrize("protocol", ["stride", "disjoint", "lm-eval"])
def test_blocks_sum_to_the_document(make, text, protocol):
    (found,) = measured(load(make("gpt2", bos=True, adds=True, room=128)), text, protocol=protocol)
    assert found.blocks.shape == (-(-len(text) // 512), 4)
    np.testing.assert_allclose(found.blocks.sum(axis=0), total([found])[0], rtol=1e-12)
    assert found.words == len(re.split(r"\s+", text))
    assert found.blocks[0, 3] == len(text[:512].encode())


def test_blocks_depend_on_the_text_only(make, masked):
    text = WORDS * 20
    found = [measured(load(folder), text)[0].blocks for folder in (make("gpt2"), masked)]
    np.testing.assert_array_equal(found[0][:, 2:], found[1][:, 2:])


def test_a_slow_tokenizer_makes_one_block(make):
    loaded = load(make("gpt2"))
    fast = measured(loaded, LONG)[0]

    class Slow:
        is_fast = False

        def __getattr__(self, name):
            return getattr(loaded.tokenizer, name)

        def __call__(self, texts, return_offsets_mapping=False, **options):
            assert not return_offsets_mapping
            return loaded.tokenizer(texts, **options)

    (slow,) = measured(loaded._replace(tokenizer=Slow()), LONG)
    assert slow.nll == pytest.approx(fast.nll, rel=1e-12)
    assert slow.blocks.shape == (1, 4)
    np.testing.assert_allclose(slow.blocks, fast.blocks.sum(axis=0)[None])


def test_no_likelihood_is_an_error_with_its_place(make):
    loaded = load(make("llama", tie_word_embeddings=False))
    rare = loaded.tokenizer("日", add_special_tokens=False)["input_ids"][0]
    documents = [Document(TEXT, "a.txt:1"), Document(TEXT + "日", "a.txt:2"), Document(TEXT, "a.txt:3")]
    likelihoods = Likelihoods(loaded, Choice(), print)
    with torch.no_grad():
        loaded.model.lm_head.weight[rare] = math.nan
    found = likelihoods(documents)
    with pytest.raises(ModelError, match=r"a\.txt:1: the model gives no likelihood to token 2,.* in float32") as caught:
        next(found)
    assert "damaged" in caught.value.hint
    with torch.no_grad():
        loaded.model.lm_head.weight[rare] = 0
    plain, likelihoods.scorer.parts._last = likelihoods.scorer.parts._last, None
    likelihoods.scorer.parts._last = lambda hidden: plain(hidden).index_fill(1, torch.tensor([rare]), -math.inf)
    found = likelihoods(documents)
    assert next(found).tokens
    with pytest.raises(ModelError, match=r"a\.txt:2: "):
        next(found)
    half = Likelihoods(loaded._replace(placement=loaded.placement._replace(dtype=torch.bfloat16)), Choice(), print)
    half.scorer.parts._last = likelihoods.scorer.parts._last
    with pytest.raises(ModelError) as caught:
        list(half(documents))
    assert caught.value.hint == "--dtype float32"


def test_half_a_character_is_an_error_behind_the_documents_before_it(make):
    found = Likelihoods(load(make("llama")), Choice(), print)([Document(TEXT, "a:1"), Document("\ud800", "a:2")])
    assert next(found).tokens
    with pytest.raises(DataError, match="a:2 has half a character"):
        next(found)


def test_ids_that_the_model_does_not_have(make):
    loaded = load(make("llama"))
    loaded.tokenizer.add_tokens(["zzz"])
    with pytest.raises(ModelError, match="the tokenizer gives token id"):
        measured(loaded, f"{TEXT} zzz")


def test_out_of_memory_halves_a_batch(make):
    loaded = load(make("llama"))
    texts = LONG[:1500].split(".")
    expected = measured(loaded, *texts)
    plain, most = loaded.model.model.forward, [4]

    def small(**inputs):
        if len(inputs["input_ids"]) > most[0] or most[0] == 0:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return plain(**inputs)

    notes = []
    likelihoods = Likelihoods(loaded, Choice(), notes.append)
    loaded.model.model.forward = small
    found = list(likelihoods(Document(text, "") for text in texts))
    assert [each.nll for each in found] == pytest.approx([each.nll for each in expected], rel=1e-6)
    assert "out of memory" in notes[0].text
    most[0] = 0
    with pytest.raises(DeviceError, match="a window of"):
        list(likelihoods([Document(TEXT, "")]))


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"max_length": 65}, "--max-length 65"),
        ({"max_length": 1}, "nothing can be scored"),
        ({"stride": 0}, "--stride 0 is not between 1"),
        ({"max_length": 32, "stride": 33}, "--stride 33 is not between 1"),
        ({"protocol": "lm-eval", "stride": 3}, "--stride means nothing with --protocol lm-eval"),
    ],
)
def test_what_does_not_fit_is_refused(make, choice, said):
    with pytest.raises(UsageError, match=said):
        perplexity.reading(load(make("llama")), Choice(**choice))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 65, 129, 200])
def test_every_token_is_scored_once_and_in_order(n, length):
    ids = np.arange(n, dtype=np.int32)
    readings = [Reading("full", length), Reading("lm-eval", length)]
    readings += [Reading("stride", length + 1, stride) for stride in range(1, length + 1)]
    for reading in readings:
        places = []
        for window in _protocols.windows(ids, reading):
            assert window.scored.tolist() == list(range(window.at, window.at + window.end - window.first))
            assert len(window.ids) <= length + 1
            places += window.scored.tolist()
        assert places == list(range(1, n))


def test_a_long_document_is_read_window_by_window(make, monkeypatch):
    loaded = load(make("gpt2"))
    most = []
    plain = likelihood.Scorer.nll

    def counted(self, windows, tick):
        most.append(sum(len(window.ids) for window in windows))
        return plain(self, windows, tick)

    monkeypatch.setattr(likelihood.Scorer, "nll", counted)
    likelihoods = Likelihoods(loaded, Choice(stride=64), print)
    likelihoods._chunk_tokens = 1000
    read = []
    (found,) = likelihoods([Document(LONG * 2, "")], read.append)
    assert max(most) < 1000 + 64
    assert len(most) > 2
    assert sum(most) == found.tokens_total
    assert sum(read) == found.tokens


@needs_shared
@pytest.mark.parametrize("lines", [60, pytest.param(None, marks=pytest.mark.slow)])
def test_wikitext_as_the_peers_measure_it(lines):
    folder = SHARED / "models" / "stories260K"
    text = (SHARED / "lm" / "wikitext-2-valid.txt").read_text(encoding="utf-8")
    text = "\n".join(text.split("\n")[:lines])
    loaded = load(folder)
    theirs, by_token, scored = documentation(folder, text, 512, 256)
    (found,) = measured(loaded, text)
    ours = value("perplexity", total([found]))
    assert (ours, found.tokens) == (pytest.approx(by_token, rel=1e-6), scored)
    assert ours == pytest.approx(theirs, rel=1e-4)
    nll, scored = harness(folder, text, 512)
    (found,) = measured(loaded, text, protocol="lm-eval")
    assert (found.nll, found.tokens) == (pytest.approx(nll, rel=1e-6), scored)
    texts = [line for line in text.split("\n") if line.strip()][:50]
    found = measured(loaded, *texts, protocol="hf-evaluate", max_length=512)
    ours = np.array([math.exp(each.nll / each.tokens) for each in found])
    np.testing.assert_allclose(ours, library(folder, texts, 512), rtol=1e-5)
