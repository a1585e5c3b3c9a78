"""The same on CUDA as on the CPU, and what is said about devices. Skipped where there is none."""

import json

import pytest

pytestmark = pytest.mark.gpu

PROMPTS = (
    "the small fox\na girl and a boy found the red kite near the river\nmoon\n" + "then it went home . " * 3 + "\n"
)
GREEDY = ("--greedy",)
SAMPLED = ("--sample", "--seed", "5", "--num-return-sequences", "2")
FILTERED = ("--sample", "--top-k", "20", "--top-p", "0.9", "--temperature", "0.8")
BEAMS = ("--num-beams", "3")
PENALTIES = ("--repetition-penalty", "1.3", "--no-repeat-ngram-size", "3")


@pytest.fixture(autouse=True)
def exact():
    """float32 products in float32: TF32 has ten bits, and a text of a random model turns on less."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.fixture(scope="module")
def sharp(models):
    """`sharp("llama")`: a tiny model whose scores lie so far apart that rounding does not decide."""
    import shutil

    from safetensors.torch import load_file, save_file

    def call(name):
        folder = models.root / f"sharp-{name}"
        if not folder.exists():
            shutil.copytree(getattr(models, name)(), folder)
            weights = load_file(folder / "model.safetensors")
            for key in weights:
                if key.endswith(("lm_head.weight", "embed_tokens.weight", "wte.weight", "shared.weight")):
                    weights[key] = weights[key] * 4
            save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return call


@pytest.mark.parametrize("flags", [GREEDY, SAMPLED, FILTERED, BEAMS, PENALTIES], ids=lambda flags: flags[0])
@pytest.mark.parametrize("name", ["llama", "gpt2", "t5"])
def test_a_batch_gives_the_texts_of_the_cpu(hfcli, sharp, name, flags):
    line = ("generate", "-m", sharp(name), "--dtype", "float32", "--max-new-tokens", "16", "--json", *flags)
    on_gpu, on_cpu = (hfcli(*line, "--device", device, stdin=PROMPTS) for device in ("cuda", "cpu"))
    assert on_gpu.code == 0, on_gpu.err
    assert on_gpu.records == on_cpu.records
    assert len(on_gpu.records) == 4


@pytest.mark.parametrize("flags", [GREEDY, SAMPLED[:3]], ids=lambda flags: flags[0])
def test_a_streamed_text_is_that_of_the_cpu(hfcli, sharp, flags):
    line = ("generate", "-m", sharp("llama"), "--dtype", "float32", "--max-new-tokens", "24", *flags, "the small fox")
    on_gpu = hfcli(*line, "--device", "cuda")
    assert on_gpu.code == 0, on_gpu.err
    assert on_gpu.out == hfcli(*line, "--device", "cpu").out


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_whole_texts(hfcli, models, dtype):
    flags = ("--device", "cuda", "--dtype", dtype, "--max-new-tokens", "8", "--sample", "--json")
    result = hfcli("generate", "-m", models.llama(), *flags, stdin=PROMPTS)
    assert result.code == 0, result.err
    assert all(record["new_tokens"] == 8 or record["finish_reason"] == "stop" for record in result.records)


def test_a_device_number_that_is_not_there_is_a_device_error(hfcli, models):
    result = hfcli("generate", "-m", models.llama(), "--device", "cuda:99", "the fox")
    assert (result.code, result.out) == (6, "")
    assert "error: --device cuda:99: this machine has " in result.err
    assert "hint:  --device cuda:0" in result.err
    assert hfcli("generate", "-m", models.llama(), "--device", "cuda:0", "--max-new-tokens", "2", "the fox").code == 0


def test_doctor_names_the_gpu_and_lets_it_speak(hfcli):
    import torch

    result = hfcli("doctor", "--json", "--offline", "--device", "cuda")
    assert result.code == 0, result.out
    findings = json.loads(result.out)["findings"]
    (gpu,) = (finding for finding in findings if "cuda:0" in json.dumps(finding) and finding["topic"] == "gpu")
    assert torch.cuda.get_device_name(0) in json.dumps(gpu)
    assert gpu["status"] == "ok"
    (spoken,) = (finding for finding in findings if finding["topic"] == "generate")
    assert "speaks on cuda" in json.dumps(spoken)


def test_auto_picks_the_gpu_and_bfloat16_where_it_is_native(hfcli, models):
    import torch

    err = hfcli("generate", "-m", models.llama(), "-v", "--max-new-tokens", "2", "the fox").err
    native = torch.cuda.get_device_capability() >= (8, 0)
    assert f"device  cuda, {'bfloat16' if native else 'float32'}" in err


def test_a_batch_beyond_the_memory_is_halved(hfcli, models, monkeypatch):
    import torch

    from hfcli.runtime import generation

    generate, sizes = generation.generate, []

    def small(loaded, features, *rest):
        sizes.append(len(features))
        if len(features) > 2:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
        return generate(loaded, features, *rest)

    monkeypatch.setattr(generation, "generate", small)
    flags = ("--device", "cuda", "--dtype", "float32", "--max-new-tokens", "4")
    result = hfcli("generate", "-m", models.llama(), *flags, stdin=PROMPTS)
    assert result.code == 0, result.err
    assert len(result.lines) == 4
    assert sizes == [4, 2, 2]
    assert "out of memory at 4 prompts at once" in result.err


def test_finetuning_in_bfloat16_learns_and_resumes(hfcli, models, tmp_path, monkeypatch):
    from tests.test_finetune import films, metrics, write

    monkeypatch.chdir(tmp_path)
    write(tmp_path / "films.csv", films(320))
    line = ("finetune", models.classifier(), "--dataset", "films.csv", "--device", "cuda", "--dtype", "bfloat16")
    line += ("--learning-rate", "3e-3", "--batch-size", "16", "--epochs", "3", "-o", "out")
    result = hfcli(*line)
    assert result.code == 0, result.err
    assert "cuda:0" in result.err
    assert metrics(tmp_path / "out")["scores"]["accuracy"]["value"] > 0.9
    labels = [record["label"] for record in hfcli("classify", "-m", "out", "a good film", "an awful film").records]
    assert labels == ["yes", "no"]


def test_answers_are_those_of_the_cpu(hfcli, models, tmp_path, monkeypatch):
    from tests.test_qa import records

    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records(60)))
    line = ("qa", "-m", models.answerer(), "--file", "in.jsonl", "--dtype", "float32")
    on_gpu, on_cpu = (hfcli(*line, "--device", device) for device in ("cuda", "cpu"))
    assert on_gpu.code == 0, on_gpu.err
    assert [record["answer"] for record in on_gpu.records] == [record["answer"] for record in on_cpu.records]
    half = hfcli(*line[:-1], "bfloat16", "--device", "cuda")
    same = [a["answer"] == b["answer"] for a, b in zip(half.records, on_cpu.records, strict=True)]
    assert sum(same) >= 58


@pytest.fixture
def tight(monkeypatch):
    """The GPU seems to have no room for a model, so that it is spread over it and the CPU."""
    from transformers.integrations import accelerate as placing

    from hfcli.runtime import spreading

    monkeypatch.setattr(spreading, "too_large", lambda *about: True)
    monkeypatch.setattr(placing, "get_max_memory", lambda *about: {0: 350_000, "cpu": 10**9})


@pytest.mark.parametrize("command", ["generate", "perplexity"])
def test_a_model_that_is_too_large_is_spread_and_works_the_same(hfcli, sharp, tight, command):
    line = ("generate", "--max-new-tokens", "12", "--json", "--greedy")
    if command == "perplexity":
        line = ("eval", "--metric", "perplexity", "--json")
    line = (*line, "-m", sharp("llama"), "--dtype", "float32")
    spread, on_cpu = hfcli(*line, stdin=PROMPTS), hfcli(*line, "--device", "cpu", stdin=PROMPTS)
    assert spread.code == 0, spread.err
    assert "spread over cuda:0 and the CPU, which is slower" in spread.err
    if command == "generate":
        assert spread.records == on_cpu.records
    else:
        values = [result.records[0]["scores"][0]["score"] for result in (spread, on_cpu)]
        assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_a_named_gpu_is_never_left(hfcli, models, monkeypatch):
    from hfcli.runtime import spreading

    asked = []
    monkeypatch.setattr(spreading, "weight_bytes", lambda *about: asked.append(about) or 10**15)
    result = hfcli("generate", "-m", models.llama(), "--device", "cuda:0", "--max-new-tokens", "2", "the fox")
    assert result.code == 0, result.err
    assert asked
    assert "spread" not in result.err
    large = hfcli("generate", "-m", models.llama(), "--max-new-tokens", "2", "the fox")
    assert large.code == 6
    assert "GB free together" in large.err
