"""What learns, and how fast: each way of transfer does what its name says."""

from itertools import pairwise

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from hfcli.errors import UsageError
from hfcli.options.training import TrainingOptions
from hfcli.options.transfer import TransferOptions
from hfcli.runtime.optimization import Learning, depths, put_adapters, schedule


def bert(layers=3):
    size = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    return BertForSequenceClassification(BertConfig(num_hidden_layers=layers, **size))


def learning(model, transfer=TransferOptions(), steps=100, **training):  # noqa: B008 - frozen
    return Learning(model, TrainingOptions(**training), transfer, 1e-3, steps)


def layers_of(names):
    return {int(name.split("layer.")[1].split(".")[0]) for name in names if "layer." in name}


def test_depth_is_counted_from_the_embeddings_to_the_head():
    depth, head = depths(bert())
    assert head == 4
    assert depth["bert.embeddings.word_embeddings.weight"] == 0
    assert depth["bert.embeddings.LayerNorm.weight"] == 0
    assert depth["bert.encoder.layer.0.output.dense.weight"] == 1
    assert depth["bert.encoder.layer.2.output.dense.weight"] == 3
    assert depth["bert.pooler.dense.weight"] == depth["classifier.bias"] == 4


def test_decoders_have_depths_too():
    model = GPT2ForSequenceClassification(GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2))
    depth, head = depths(model)
    assert head == 3
    assert (depth["transformer.wte.weight"], depth["transformer.wpe.weight"]) == (0, 0)
    assert (depth["transformer.h.1.mlp.c_fc.weight"], depth["score.weight"]) == (2, 3)


def test_freeze_trains_the_head_alone():
    parameters = learning(bert(), TransferOptions(freeze=True)).parameters
    assert set(parameters) == {
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    }


def test_freeze_layers_keeps_embeddings_and_the_lowest():
    parameters = learning(bert(), TransferOptions(freeze_layers=2)).parameters
    assert layers_of(parameters) == {2}
    assert not any("embeddings" in name for name in parameters)
    assert layers_of(learning(bert(), TransferOptions(freeze_layers=0)).parameters) == {0, 1, 2}
    with pytest.raises(UsageError, match="the model has 3 layers"):
        learning(bert(), TransferOptions(freeze_layers=4))


def test_layers_are_freed_from_the_top():
    model = bert()
    subject = learning(model, TransferOptions(unfreeze="gradual"))
    free = []
    for step in range(0, 100, 10):
        subject.prepare_step(step)
        free.append({name for name, parameter in model.named_parameters() if parameter.requires_grad})
    assert layers_of(free[0]) == set()
    assert all(before <= after for before, after in pairwise(free))
    seen = [tuple(sorted(layers_of(names))) for names in free]
    assert list(dict.fromkeys(seen)) == [(), (2,), (1, 2), (0, 1, 2)]
    assert len(free[5]) == len(list(model.parameters()))


def test_lower_layers_learn_slower_by_the_decay():
    subject = learning(bert(), TransferOptions(layerwise_lr_decay=0.5), warmup_ratio=0.0)
    subject.prepare_step(0)
    rates = {}
    names = {id(parameter): name for name, parameter in subject.parameters.items()}
    for group in subject.optimizer.param_groups:
        for parameter in group["params"]:
            rates[names[id(parameter)]] = group["lr"]
    assert rates["classifier.weight"] == pytest.approx(1e-3)
    assert rates["bert.encoder.layer.2.output.dense.weight"] == pytest.approx(5e-4)
    assert rates["bert.encoder.layer.0.output.dense.bias"] == pytest.approx(1.25e-4)
    assert rates["bert.embeddings.word_embeddings.weight"] == pytest.approx(6.25e-5)


def test_biases_and_norms_do_not_decay():
    subject = learning(bert(), weight_decay=0.3)
    names = {id(parameter): name for name, parameter in subject.parameters.items()}
    for group in subject.optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            assert group["weight_decay"] == (0.0 if "bias" in name or "LayerNorm" in name else 0.3), name


def test_adapters_learn_with_the_head_and_nothing_else():
    pytest.importorskip("peft")
    model = put_adapters(bert(), TransferOptions(lora=True, lora_r=2))
    parameters = learning(model, TransferOptions(lora=True, lora_r=2)).parameters
    assert all("lora_" in name or "classifier" in name for name in parameters)
    assert {p.shape[0] for name, p in parameters.items() if "lora_A" in name} == {2}
    only = put_adapters(bert(), TransferOptions(lora=True, lora_target_modules="query,value"))
    assert not any(part in name for name, _ in only.named_parameters() if "lora_" in name for part in ("key", "dense"))
    with pytest.raises(UsageError, match=r"the model has no quer; there is .*query") as error:
        put_adapters(bert(), TransferOptions(lora=True, lora_target_modules="quer"))
    assert error.value.hint == "did you mean query?"


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant"])
def test_the_rate_rises_then_falls_as_asked(kind):
    rates = [schedule(step, 100, 0.06, kind) for step in range(100)]
    assert rates[:6] == pytest.approx([i / 6 for i in range(1, 7)])
    assert all(0 < rate <= 1 for rate in rates)
    falling = rates[6:]
    if kind == "constant":
        assert set(falling) == {1.0}
    else:
        assert falling == sorted(falling, reverse=True)
        assert rates[53] == pytest.approx(0.5)
        assert rates[-1] < 0.02


def test_a_checkpoint_of_the_optimizer_goes_on_where_it_was():
    torch.manual_seed(0)
    model = bert()
    subject = learning(model)
    ids = torch.tensor([[1, 2, 3]])

    def step(subject, number):
        subject.prepare_step(number)
        subject_model(ids, labels=torch.tensor([1])).loss.backward()
        subject.optimizer.step()
        subject.optimizer.zero_grad()

    subject_model = model.eval()
    step(subject, 0)
    tensors = {part: {name: value.clone() for name, value in of.items()} for part, of in subject.tensors().items()}
    step(subject, 1)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    other = bert().eval()
    resumed = learning(other)
    resumed.restore(tensors["model"], tensors["optimizer"])
    subject_model = other
    step(resumed, 1)
    assert all(torch.equal(value, expected[name]) for name, value in other.state_dict().items())
