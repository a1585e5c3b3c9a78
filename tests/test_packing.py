"""Rows without their padding compute what rows with it compute; a layer that cannot do without is left alone."""

import copy

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from hfcli.runtime import optimization, quick
from hfcli.runtime.packing import layout, packing_of

LENGTHS = [19, 17, 9, 9, 8, 8, 7, 5, 5, 4, 3, 1]
SHAPE = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "pad_token_id": 0}
SHAPE |= {"num_key_value_heads": 2, "intermediate_size": 64, "initializer_range": 0.3}
WITHOUT_DROPOUT = {
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "attention_dropout": 0.0, "resid_pdrop": 0.0,
    "embd_pdrop": 0.0, "attn_pdrop": 0.0, "dropout": 0.0, "embedding_dropout": 0.0, "mlp_dropout": 0.0,
    "seq_classif_dropout": 0.0, "classifier_dropout_prob": 0.0, "classifier_dropout": 0.0, "dropout_rate": 0.0,
}  # fmt: skip
PACKED = ("bert", "roberta", "distilbert", "electra", "albert", "esm", "modernbert", "llama", "mistral", "gpt2")
PADDED = ("fnet", "deberta-v2", "convbert", "t5", "bart")


def classifier(kind, **entries):
    torch.manual_seed(0)
    entries = {**SHAPE, **WITHOUT_DROPOUT, **entries}
    if kind == "esm":
        entries |= {"position_embedding_type": "rotary", "mask_token_id": 4, "token_dropout": False}
    if kind in ("t5", "bart"):
        entries |= {"d_model": 32, "eos_token_id": 2, "decoder_start_token_id": 0}
    config = transformers.AutoConfig.for_model(kind, **entries)
    return transformers.AutoModelForSequenceClassification.from_config(config).train()


def batch(lengths=LENGTHS, left=False):
    torch.manual_seed(1)
    ids, mask = torch.randint(5, 40, (len(lengths), max(lengths))), torch.zeros(len(lengths), max(lengths)).long()
    for row, length in enumerate(lengths):
        where = slice(max(lengths) - length, None) if left else slice(length)
        mask[row, where] = 1
        ids[row, where][-1] = 2
    return {"input_ids": ids * mask, "attention_mask": mask}


def quickened(model):
    other = copy.deepcopy(model)
    quick.quicken(other, list(optimization.stacks(other).values()), batch()["input_ids"][:1], autocast=False)
    return other


def is_packed(model):
    return any(packing_of(module) for module in model.modules())


def gradients(model, inputs):
    model.zero_grad()
    logits = model(**inputs).logits
    F.cross_entropy(logits, torch.arange(len(logits)) % 2).backward()
    return logits.detach(), {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def assert_the_same(ours, expected):
    torch.testing.assert_close(ours[0], expected[0], rtol=1e-4, atol=1e-5)
    assert ours[1].keys() == expected[1].keys()
    scale = max(float(grad.abs().max()) for grad in expected[1].values())
    for name, grad in expected[1].items():
        torch.testing.assert_close(ours[1][name], grad, rtol=1e-3, atol=1e-5 * scale, msg=name)


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("lengths", [LENGTHS, LENGTHS[::-1], [6, 6, 6], [30]], ids=["mixed", "rising", "even", "one"])
def test_outputs_and_gradients_are_those_of_the_padded_batch(kind, lengths):
    model, inputs = classifier(kind), batch(lengths)
    ours = quickened(model)
    assert is_packed(ours)
    assert_the_same(gradients(ours, inputs), gradients(model, inputs))


@pytest.mark.parametrize("kind", PADDED)
def test_layers_that_need_the_padded_batch_get_it(kind):
    model = classifier(kind)
    ours = quickened(model)
    assert not is_packed(ours)
    assert_the_same(gradients(ours, batch()), gradients(model, batch()))


class Counting(torch.nn.Module):
    """Attention that adds to every token what depends on its place."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, hidden, *args, **kwargs):
        return self.attention(hidden + torch.arange(hidden.shape[1])[None, :, None] / 10, *args, **kwargs)


class Biased(torch.nn.Module):
    """Attention whose scores are the higher the farther two tokens are apart, handed on as transformers does."""

    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, hidden, *args, **kwargs):
        far = torch.arange(hidden.shape[1]).float()
        return self.attention(hidden, *args, position_bias=(far - far[:, None])[None, None], **kwargs)


@pytest.mark.parametrize("odd", [Counting, Biased])
def test_layers_that_share_a_module_and_need_the_padded_batch_get_it(odd):
    model = classifier("bert")
    for layer in model.bert.encoder.layer:
        layer.shared = model.classifier  # a module in several places
        layer.attention = odd(layer.attention)
    ours = quickened(model)
    assert not is_packed(ours)
    assert_the_same(gradients(ours, batch()), gradients(model, batch()))


def test_a_model_that_takes_no_such_rows_is_left_alone():
    model = classifier("bert", max_position_embeddings=20)
    ours = quickened(model)  # it is tried on rows of 24 tokens
    assert not is_packed(ours)
    assert_the_same(gradients(ours, batch()), gradients(model, batch()))


def test_a_model_that_leaves_out_layers_gets_the_padded_batch():
    torch.manual_seed(0)
    ours = quickened(classifier("opt", layerdrop=0.5, word_embed_proj_dim=32, ffn_dim=64))
    assert not is_packed(ours)
    for _ in range(10):
        gradients(ours, batch())


def test_what_was_restored_is_a_model_like_any_other():
    model = classifier("bert")
    ours = quickened(model)
    gradients(ours, batch())
    quick.restore(ours)
    assert_the_same(gradients(ours, batch([9, 9, 9])), gradients(model, batch([9, 9, 9])))


def test_padding_on_the_left_is_left_out_too():
    model, inputs = classifier("llama"), batch(left=True)
    ours = quickened(model)
    assert is_packed(ours)
    assert_the_same(gradients(ours, inputs), gradients(model, inputs))


def test_layers_see_tokens_and_hardly_any_padding():
    model, seen = quickened(classifier("bert")), []
    model.bert.encoder.layer[1].register_forward_pre_hook(lambda layer, args: seen.append(args[0].shape))
    model(**batch())
    assert seen == [(1, 96, 32)]  # 95 tokens, where the padded batch has 12 x 19
    model(batch()["input_ids"])  # nothing is known of its padding
    assert seen[1] == (12, 19, 32)


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
def test_gradient_checkpointing_computes_the_same():
    model = classifier("bert")
    ours = quickened(model)
    ours.gradient_checkpointing_enable({"use_reentrant": False})
    assert_the_same(gradients(ours, batch()), gradients(model, batch()))


def test_attention_with_dropout_sees_its_own_row_only(monkeypatch):
    monkeypatch.setattr(quick, "_dropped", lambda values, p: values)
    model = classifier("bert", attention_probs_dropout_prob=0.1)
    plain = copy.deepcopy(model)
    for layer in plain.bert.encoder.layer:
        layer.attention.self.dropout.p = 0.0
    assert_the_same(gradients(quickened(model), batch()), gradients(plain, batch()))


@given(st.lists(st.lists(st.booleans(), min_size=40, max_size=40), min_size=1, max_size=40))
def test_what_is_packed_comes_back_in_its_place(rows):
    mask = np.array(rows)
    mask[:, 0] |= ~mask.any(1)  # no row is empty
    there = layout(mask)
    values = torch.randn(*mask.shape, 3) * torch.from_numpy(mask)[..., None]
    row = there.pack(values)
    assert row.shape[1] == there.size >= mask.sum()
    assert torch.equal(there.unpack(row), values)
    heads = row.unflatten(2, (3, 1)).transpose(1, 2)  # of size 1
    groups = there.spread(heads)
    assert torch.equal(there.collect([group.transpose(1, 2) for group in groups])[..., 0], row)
    for group, (first, last, length, _) in zip(groups, there.groups, strict=True):
        assert torch.equal(group[:, :, :, 0].transpose(1, 2), values[first:last, :length])
        assert not values[first:last, length:].any()


def test_batches_of_many_sizes_have_few_shapes():
    rng = np.random.default_rng(0)
    sizes, shapes = set(), set()
    for _ in range(300):
        lengths = np.sort(rng.lognormal(3, 0.5, 32).astype(int).clip(3, 70))[::-1]
        there = layout(np.arange(72) < lengths[:, None])
        sizes.add(there.size)
        shapes |= {(last - first, length) for first, last, length, _ in there.groups}
        assert there.size <= lengths.sum() * 1.13 + 8
    assert len(sizes) < 16
    assert len(shapes) < 40
