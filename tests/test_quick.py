"""What is faster on a CPU computes the same: dropout, attention, the residual stream, the saved model."""

import copy

import pytest
import torch
from torch.nn import functional as F
from transformers import BertConfig, BertForSequenceClassification, LlamaConfig, LlamaForSequenceClassification

from hfcli.runtime import optimization, quick

IDS = torch.tensor([[1, 5, 6, 7, 2], [1, 8, 2, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def bert(dropout=0.1):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def llama(dropout=0.1):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, pad_token_id=0, attention_dropout=dropout,
    )  # fmt: skip
    return LlamaForSequenceClassification(config)


def quickened(model):
    other = copy.deepcopy(model)
    quick.quicken(other, list(optimization.stacks(other).values()), IDS[:1], autocast=True)
    return other


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5])
def test_dropout_drops_the_share_and_keeps_the_mean(p):
    torch.manual_seed(1)
    dropout = quick.QuickDropout(p)
    values = torch.ones(1000, 1001)
    dropped = dropout(values)
    assert float((dropped == 0).float().mean()) == pytest.approx(p, abs=0.003)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.003)
    assert len(dropped.unique()) == 2
    torch.manual_seed(1)
    assert torch.equal(dropout(values), dropped)
    assert torch.equal(dropout.eval()(values), values)


@pytest.mark.parametrize("make", [bert, llama])
def test_without_dropout_outputs_are_the_same(make):
    model = make(dropout=0.0).eval()
    assert torch.equal(quickened(model)(IDS, attention_mask=MASK).logits, model(IDS, attention_mask=MASK).logits)


@pytest.mark.parametrize("make", [bert, llama])
def test_with_dropout_the_gradients_are_those_of_torch_on_average(make):
    """Over many masks both mean the same, but for the noise of the mean."""

    def mean_gradient(model):
        torch.manual_seed(3)
        for _ in range(400):
            logits = model.train()(IDS, attention_mask=MASK).logits.float()
            (F.cross_entropy(logits, torch.tensor([0, 1])) / 400).backward()
        return torch.cat(
            [p.grad.reshape(-1) for name, p in model.named_parameters() if "layers" in name or "layer." in name]
        )

    plain = mean_gradient(make())
    ours = mean_gradient(quickened(make()))
    assert float(F.cosine_similarity(ours, plain, dim=0)) > 0.9
    assert float(ours.norm() / plain.norm()) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_written_out_attention_is_attention(causal, mask, monkeypatch):
    monkeypatch.setattr(quick, "_dropped", lambda values, p: values)
    torch.manual_seed(0)
    module = torch.nn.Module()
    module.is_causal, module.num_key_value_groups = causal, 2
    query, key, value = torch.randn(2, 4, 5, 8), torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8)
    allowed = MASK[:, None, None, :].bool().expand(2, 1, 5, 5)
    added = torch.zeros(2, 1, 5, 5).masked_fill(~allowed, torch.finfo(torch.float32).min)
    given = {None: None, "bool": allowed, "float": added}[mask]
    ours, _ = quick._attention(module, query, key, value, given, dropout=0.1)
    expected, _ = quick.sdpa_attention_forward(module, query, key, value, given)
    torch.testing.assert_close(ours, expected)


def test_the_residual_stream_is_bfloat16_under_autocast_only():
    model = quickened(bert())
    seen = []
    model.bert.encoder.layer[1].register_forward_pre_hook(lambda layer, args: seen.append(args[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        model(IDS, attention_mask=MASK)
    model(IDS, attention_mask=MASK)
    assert seen == [torch.bfloat16, torch.float32]


def test_what_is_saved_is_a_model_like_any_other(tmp_path):
    model = quickened(bert())
    assert model.config._attn_implementation != "sdpa"
    quick.restore(model)
    model.save_pretrained(tmp_path)
    assert "hfcli" not in (tmp_path / "config.json").read_text()
    BertForSequenceClassification.from_pretrained(tmp_path)
