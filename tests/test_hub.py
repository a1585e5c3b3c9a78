"""From a model's name to a folder: downloads, the cache, and a sentence for everything that can go wrong between."""

import json
import os
import shutil
import socket
import sys
import time

import pytest

FLAGS = ("--max-new-tokens", "2", "-q", "the fox")
NAME = "acme/tiny"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, hub):
    """An empty cache for every test, and a Hub with nothing on it."""
    from huggingface_hub import constants

    folder = tmp_path / "cache"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    yield folder
    for path in hub.root.glob("*/*"):
        path.unlink()


@pytest.fixture
def repo(tmp_path, models, hub):
    """A model that is published as acme/tiny and may be changed."""
    folder = tmp_path / "repo"
    shutil.copytree(models.llama(), folder)
    hub.add(NAME, folder)
    return folder


@pytest.fixture
def generate(hfcli):
    """`generate(name, flag, ...)`: without -q, so that everything is said."""
    return lambda name, *flags, **env: hfcli(
        "generate", "-m", name, *flags, "--max-new-tokens", "2", "the fox", env=env
    )


def weights(repo):
    return (repo / "model.safetensors").stat().st_size


def said(result):
    """What was said, without the note that tiny models always cause."""
    return [line for line in result.err.split("\n") if line and "cut at 2 new tokens" not in line]


def assert_refused(result, sentence, hint):
    lines = [line for line in said(result) if not line.startswith("downloading ")]
    assert result.code == 5, result.err
    assert lines[0] == f"error: {sentence}", result.err
    assert lines[1].startswith("hint:  "), result.err
    assert hint in result.err
    assert result.out == ""
    assert "Traceback" not in result.err


# Fetching


def test_a_model_is_fetched_once_and_then_works_without_the_hub(generate, hub, repo):
    first = generate(NAME)
    assert first.code == 0
    size = sum(path.stat().st_size for path in repo.iterdir())
    assert said(first) == [f"downloading {NAME}, {size / 1e3:.0f} kB, once"]
    assert hub.sent_bytes == size
    assert sorted({line.split("/")[-1] for line in hub.requests if "resolve" in line}) == sorted(os.listdir(repo))
    hub.requests.clear()
    hub.api_status = hub.status = 503
    for flags in [(), ("--offline",)]:
        again = generate(NAME, *flags)
        assert (again.code, again.out, said(again)) == (0, first.out, [])
    assert generate(NAME, HF_HUB_OFFLINE="1").code == 0
    assert hub.requests == []


def test_the_default_model_is_called_that(hfcli, hub, repo):
    hub.add("HuggingFaceTB/SmolLM2-135M-Instruct", repo)
    result = hfcli("generate", "--max-new-tokens", "2", "the fox")
    assert said(result)[0].startswith("downloading HuggingFaceTB/SmolLM2-135M-Instruct, the default model, ")
    assert said(result)[0].endswith("kB, once")


def test_only_what_a_load_needs_is_fetched(generate, hub, repo):
    for name in (
        "pytorch_model.bin",
        "tf_model.h5",
        "flax_model.msgpack",
        "onnx/model.onnx",
        "README.md",
        "modeling.py",
    ):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_bytes(b"x" * 100)
    (repo / "pytorch_model.bin.index.json").write_text("{}")
    (repo / "onnx" / "config.json").write_text("{}")
    assert generate(NAME).code == 0
    fetched = {
        line.split("main/")[-1].rsplit("/", 1)[-1]
        for line in hub.requests
        if line.startswith("GET") and "resolve" in line
    }
    assert fetched == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert generate(NAME, "--trust-remote-code").code == 0
    assert sum("modeling.py" in line for line in hub.requests) == 2
    assert not any("onnx" in line or ".bin" in line for line in hub.requests)


def shard(folder):
    """Split a model's weights into two files with an index."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[:5], names[5:]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_shards_are_fetched_and_half_a_set_is_completed(generate, hub, repo, cache):
    whole = generate(NAME).out
    shutil.rmtree(cache)
    shard(repo)
    assert generate(NAME).out == whole
    (next(cache.glob("*/snapshots/*/model-00002-of-00002.safetensors"))).unlink()
    for blob in cache.glob("*/blobs/*"):
        if not any(link.resolve() == blob.resolve() for link in cache.glob("*/snapshots/*/*")):
            blob.unlink()
    hub.requests.clear()
    again = generate(NAME)
    assert again.out == whole
    assert [line.split("/")[-1] for line in hub.requests if line.startswith("GET") and "resolve" in line] == [
        "model-00002-of-00002.safetensors"
    ]


@pytest.mark.parametrize("lost", ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"])
def test_a_torn_snapshot_is_completed_and_not_loaded(generate, hub, repo, cache, lost):
    whole = generate(NAME).out
    blob = next(cache.glob(f"*/snapshots/*/{lost}")).resolve()
    blob.unlink()  # its name in the snapshot stays, and points nowhere
    offline = generate(NAME, "--offline")
    assert_refused(
        offline, f"{NAME} is only partly on this machine and --offline forbids to fetch it", "4 of 5 files are kept"
    )
    hub.sent_bytes = 0
    assert generate(NAME).out == whole
    assert hub.sent_bytes == (repo / lost).stat().st_size


def test_a_file_that_was_cut_in_the_cache_is_fetched_again(generate, repo, cache):
    whole = generate(NAME).out
    blob = next(cache.glob("*/snapshots/*/model.safetensors")).resolve()
    os.truncate(blob, 1000)
    again = generate(NAME)
    assert (again.code, again.out) == (0, whole)


def test_a_snapshot_of_another_program_is_used(generate, hub, repo, cache):

    folder = cache / "models--acme--tiny" / "snapshots" / ("0" * 40)
    shutil.copytree(repo, folder)
    (folder.parents[1] / "refs").mkdir()
    (folder.parents[1] / "refs" / "main").write_text("0" * 40)
    assert generate(NAME).code == 0
    assert hub.requests == []
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    assert generate(NAME).code == 0
    assert any("tokenizer.json" in line for line in hub.requests)


# Broken connections


@pytest.fixture
def small_chunks(monkeypatch):
    """A download goes on from the last whole chunk; these models are smaller than one."""
    monkeypatch.setattr("hfcli.runtime.hub_files.CHUNK_BYTES", 10_000)


def test_a_dropped_connection_goes_on_where_it_broke(generate, hub, repo, small_chunks):
    hub.drop_after = 30_000
    result = generate(NAME)
    assert result.code == 0
    assert len(said(result)) == 1
    ranges = [line for line in hub.requests if "model.safetensors bytes=" in line]
    assert len(ranges) == 1
    assert int(ranges[0].split("=")[1].rstrip("-")) in (20_000, 30_000)


def test_without_ranges_a_dropped_file_is_fetched_again(generate, hub, repo):
    hub.drop_after, hub.ranges = 30_000, False
    assert generate(NAME).code == 0


def test_files_that_came_before_it_broke_off_are_kept(generate, hub, repo, monkeypatch):
    monkeypatch.setattr("hfcli.runtime.hub_files.CHUNK_BYTES", 10_000_000)  # it never brings a whole one
    hub.drop_after, hub.drops = weights(repo) - 1000, 99
    hub.ranges = False  # so that it never gets further
    assert_refused(
        generate(NAME),
        f"the connection to {hub.address[7:]} broke off (it was cut)",
        "run it again later; 3 of 5 files are kept and will not be fetched twice",
    )
    hub.reset()
    assert generate(NAME).code == 0
    fetched = [line.rsplit("/", 1)[-1] for line in hub.requests if line.startswith("GET") and "/resolve/" in line]
    assert sorted(fetched) == ["config.json", "model.safetensors"]


# A download that is ended by a signal once it has begun.
LEAVE = f"""
"$PYTHON" -W error -m hfcli generate -m {NAME} "the fox" & pid=$!
for i in $(seq 600); do
  [ -n "$(ls $HF_HOME/hub/*/blobs/*.incomplete 2>/dev/null)" ] && break; sleep 0.05
done
sleep 0.3; kill -{{signal}} $pid; wait $pid
"""


@pytest.mark.parametrize(("signal", "code"), [("KILL", 137), ("TERM", 143), ("INT", 130)])
def test_an_ended_download_is_taken_up_by_the_next_call(shell, hub, repo, tmp_path, signal, code):
    hub.chunk_seconds = 0.02
    env = {"HF_HOME": str(tmp_path / "home"), "PYTHON": sys.executable}
    began = time.monotonic()
    # A shell without job control starts background jobs deaf to SIGINT; `set -m` gives them their ears.
    result = shell("set -m\n" + LEAVE.format(signal=signal), **env)
    assert result.returncode == code, result.stderr
    assert time.monotonic() - began < 60
    assert "Traceback" not in result.stderr
    hub.chunk_seconds, hub.requests = 0.0, []
    result = shell(f'hfcli generate -m {NAME} --max-new-tokens 2 "the fox"', **env)
    assert result.returncode == 0, result.stderr
    fetched = [line for line in hub.requests if line.startswith("GET") and "/resolve/" in line]
    assert 0 < len(fetched) <= 5


def test_progress_counts_every_byte_once(hub, repo, cache):
    from hfcli.events import Downloading
    from hfcli.options import ModelOptions
    from hfcli.runtime.hub import locate

    hub.drop_after, hub.chunk_seconds = 30_000, 0.002
    events = []
    locate(NAME, ModelOptions(), events.append)
    size = sum(path.stat().st_size for path in repo.iterdir())
    done = [event.done_bytes for event in events if isinstance(event, Downloading)]
    assert done[0] < 1000
    assert done[-1] == size
    assert done == sorted(done)
    assert {event.total_bytes for event in events} == {size}
    assert len(done) > 3
    blob = next(cache.glob("*/snapshots/*/model.safetensors")).resolve()
    blob.unlink()
    events.clear()
    locate(NAME, ModelOptions(), events.append)
    assert (events[-1].done_bytes, events[-1].total_bytes) == (weights(repo), weights(repo))


# Names and revisions


def test_a_short_name_is_resolved_and_said_also_later(generate, hub, repo):
    hub.aliases = {"tiny": NAME}
    assert said(generate("tiny"))[-1] == f"note: tiny is {NAME} on the Hub"
    hub.requests.clear()
    later = generate("tiny", "--offline")
    assert (later.code, said(later)) == (0, [f"note: tiny is {NAME} on the Hub"])
    assert said(generate(NAME)) == []
    assert hub.requests == []


def test_a_short_name_never_means_whatever_is_cached(generate, hub, repo):
    assert generate(NAME).code == 0
    assert_refused(
        generate("tiny", "--offline"),
        "tiny is not on this machine and --offline forbids to fetch it",
        f"did you mean {NAME} ?",
    )
    assert_refused(generate("tiny"), "no model tiny on the Hub", f"did you mean {NAME} ?")


def test_revisions_are_cached_apart(generate, hub, repo, models, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(repo, other)
    (other / "generation_config.json").write_text('{"suppress_tokens": [1, 2, 3], "eos_token_id": 0}')
    hub.revisions = {NAME: {"v1": other, "refs/pr/1": other}}
    assert generate(NAME).code == 0
    hub.sent_bytes = 0
    assert generate(NAME, "--revision", "v1").code == 0
    assert hub.sent_bytes == (other / "generation_config.json").stat().st_size  # equal contents are not fetched twice
    commit = hub.commit(other)
    hub.requests.clear()
    for revision in ("v1", commit):
        result = generate(NAME, "--revision", revision, "--offline", "-v")
        assert result.code == 0
        assert f"{NAME}@{commit[:6]}" in result.err
    assert hub.requests == []
    assert generate(NAME, "--revision", "refs/pr/1").code == 0
    missing = generate(NAME, "--revision", "v2")
    assert_refused(missing, f"{NAME} has no revision v2", f"{NAME}/tree/main")
    offline = generate(NAME, "--revision", "v2", "--offline")
    assert_refused(
        offline, f"{NAME} at revision v2 is not on this machine and --offline forbids to fetch it", "--revision v2"
    )
    assert_refused(
        generate(NAME, "--revision", "../../x"), "'../../x' cannot be a revision", "a branch, a tag or a commit"
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a b", "'a b' is neither a folder nor a name on the Hub"),
        ("a--b", "'a--b' is neither a folder nor a name on the Hub"),
        ("acme/" + "x" * 99, f"'acme/{'x' * 99}' is neither a folder nor a name on the Hub"),
        ("a/b/c", "no folder a/b/c"),
        ("./nothing", "no folder ./nothing"),
    ],
)
def test_names_that_cannot_be(generate, hub, name, sentence):
    assert_refused(generate(name), sentence, "./folder")
    assert hub.requests == []


# What is not there


def test_a_typo_names_the_nearest(generate, hub, repo):
    assert_refused(generate("acme/tinny"), "no model acme/tinny on the Hub", f"did you mean {NAME} ?")
    generate(NAME)
    assert_refused(
        generate("acme/tinny", "--offline"),
        "acme/tinny is not on this machine and --offline forbids to fetch it",
        f"did you mean {NAME} ?",
    )
    assert_refused(generate("other/zzzz"), "no model other/zzzz on the Hub", "if it is private: hf auth login")


def test_offline_by_environment_is_said_so(generate, hub):
    assert_refused(
        generate(NAME, HF_HUB_OFFLINE="1"),
        f"{NAME} is not on this machine and HF_HUB_OFFLINE=1 forbids to fetch it",
        "hf download acme/tiny",
    )
    assert hub.requests == []


def test_a_folder_for_another_purpose(generate, hub, repo, tmp_path):
    (repo / "config.json").unlink()
    assert_refused(generate(NAME), f"{NAME} is not a transformers model (it has no config.json)", "hf.co/acme/tiny")
    (repo / "adapter_config.json").write_text("{}")
    assert_refused(generate(NAME), f"{NAME} is an adapter, not a model", f"-m BASE-MODEL --adapter {NAME}")
    shutil.copy(repo / "generation_config.json", repo / "config.json")
    (repo / "adapter_config.json").unlink()
    (repo / "model.safetensors").unlink()
    assert_refused(
        generate(NAME),
        f"{NAME} has no weights (found config.json, generation_config.json, tokenizer.json, tokenizer_config.json)",
        "model.safetensors",
    )


def test_a_model_given_as_an_adapter(generate, models, hub, repo):
    result = generate(models.llama(), "--adapter", NAME)
    assert_refused(result, f"{NAME} is not a PEFT adapter (it has no adapter_config.json)", f"-m {NAME}")


def test_pickles_need_a_flag(generate, hub, repo):
    import torch
    from safetensors.torch import load_file

    expected = generate(str(repo)).out
    torch.save(load_file(repo / "model.safetensors"), repo / "pytorch_model.bin")
    (repo / "model.safetensors").unlink()
    refused = generate(NAME)
    assert_refused(
        refused, f"{NAME} has pickled weights only (pytorch_model.bin), which could carry code", "--allow-pickle"
    )
    assert not any("resolve" in line for line in hub.requests)
    assert generate(NAME, "--allow-pickle").out == expected
    assert generate(NAME, "--allow-pickle", "--offline").out == expected
    assert generate(NAME, "--offline").code == 5


# A Hub that refuses or is not there


@pytest.mark.parametrize("where", ["api", "files"])
@pytest.mark.parametrize(
    ("status", "words"),
    [(429, "too many requests"), (500, "an error of its own"), (503, "unavailable"), (504, "gateway timed out")],
)
def test_a_hub_that_is_not_well(generate, hub, repo, where, status, words, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between huggingface_hub's tries
    setattr(hub, "api_status" if where == "api" else "status", status)
    host = hub.address.removeprefix("http://")
    assert_refused(generate(NAME), f"{host} answered {status} ({words})", "run it again later")


def test_a_hub_that_names_a_long_wait_is_not_waited_for(generate, hub, repo):
    hub.api_status, hub.headers = 429, {"Retry-After": "300"}
    began = time.monotonic()
    result = generate(NAME)
    assert time.monotonic() - began < 60
    assert_refused(result, f"{hub.address[7:]} answered 429 (too many requests)", "run it again in 300 s")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("where", ["api_status", "status"])
def test_a_hub_that_refuses(generate, hub, repo, status, where):
    setattr(hub, where, status)
    host = hub.address.removeprefix("http://")
    assert_refused(
        generate(NAME), f"{host} refuses access to {NAME} ({status}) and this machine has no token", "hf auth login"
    )
    with_token = generate(NAME, HF_TOKEN="hf_wrong")
    sentence = f"{host} does not accept HF_TOKEN (401)" if status == 401 else f"HF_TOKEN may not read {NAME} (403)"
    assert_refused(with_token, sentence, "hf.co/settings/tokens")


def test_a_wrong_token(generate, hub, repo):
    hub.token = "hf_right"
    assert_refused(
        generate(NAME, HF_TOKEN="hf_wrong"), f"{hub.address[7:]} does not accept HF_TOKEN (401)", "unset HF_TOKEN"
    )
    assert_refused(
        generate(NAME, HF_TOKEN="hf_tök"),
        "the token of this machine holds characters that no token has",
        "unset HF_TOKEN",
    )
    assert generate(NAME, HF_TOKEN="hf_right").code == 0


def test_gated(generate, hub, repo, cache):
    hub.gated = {NAME}
    assert_refused(generate(NAME), f"{NAME} is gated and this machine has no token", "hf auth login")
    assert_refused(
        generate(NAME, HF_TOKEN="hf_some"), f"{NAME} is gated and your account has no access to it", "ask for it at"
    )
    assert "downloading" not in generate(NAME).err


def test_a_slow_hub(generate, hub, repo):
    hub.slow_seconds = 120
    began = time.monotonic()
    result = generate(NAME)
    assert time.monotonic() - began < 60
    assert_refused(
        result,
        f"{hub.address[7:]} did not answer within 2 s",
        "HF_HUB_ETAG_TIMEOUT=12 HF_HUB_DOWNLOAD_TIMEOUT=12 wait longer",
    )


@pytest.mark.slow
def test_a_hub_that_stops_in_the_middle(generate, hub, repo):
    hub.chunk_seconds = 9
    result = generate(NAME)
    assert_refused(result, f"{hub.address[7:]} did not answer within 2 s", "run it again later")


def test_a_login_page_in_between(generate, hub, repo):
    hub.html = True
    assert_refused(
        generate(NAME), f"{hub.address[7:]} does not answer as a Hub does (not the JSON it should be)", "HF_ENDPOINT"
    )


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_nobody_there(shell, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    result = shell(f'hfcli generate -m {NAME} "the fox"', HF_ENDPOINT=f"http://{address}", HF_HOME=str(tmp_path))
    assert result.returncode == 5
    assert result.stderr.split("\n") == [
        f"error: {NAME} is not on this machine and {address} cannot be reached (connection refused)",
        'hint:  hfcli generate -m builtin/story "Once upon a time"     works offline',
        "       where there is internet: hf download acme/tiny --local-dir tiny,",
        "       copy the folder here, then use -m ./tiny",
        "",
    ]


def test_why_nobody_is_there(monkeypatch):
    from huggingface_hub.errors import HfHubHTTPError

    from hfcli.options import ModelOptions
    from hfcli.runtime.hub_errors import sentence

    httpx = sys.modules[HfHubHTTPError.__bases__[0].__module__.split(".")[0]]  # httpx or httpx2, by version

    def why(error, cause=None, **env):
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        error.__cause__ = cause
        return sentence(error, NAME, ModelOptions(), None).message.split("reached ")[1]

    resolution = socket.gaierror(-2, "Name or service not known")
    assert why(httpx.ConnectError("x"), resolution) == "(name resolution failed)"
    assert why(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")).startswith(
        "(its certificate is not trusted"
    )
    assert why(httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER]")) == "(no secure connection)"
    proxy = {"http_proxy": "http://me:secret@proxy.example:3128", "no_proxy": ""}
    assert (
        why(httpx.ConnectError("Connection refused"), **proxy) == "(the proxy proxy.example:3128: connection refused)"
    )
    assert (
        why(httpx.ProxyError("407 Proxy Authentication Required"), **proxy)
        == "(the proxy proxy.example:3128: 407 Proxy Authentication Required)"
    )


# The disk


def test_a_cache_that_cannot_be_written(generate, hub, repo, tmp_path, monkeypatch):
    from huggingface_hub import constants

    (tmp_path / "file").write_text("")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    result = generate(NAME)
    assert_refused(result, f"{NAME} cannot be kept in {tmp_path}/file/hub (not a directory)", "HF_HOME=FOLDER")


def test_a_disk_that_is_too_small_is_seen_before_a_byte_is_fetched(generate, hub, repo, monkeypatch, cache):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10))
    result = generate(NAME)
    assert result.code == 5
    assert f"{cache} has 0 MB left" in result.err
    assert not any(line.startswith("GET") and "resolve" in line for line in hub.requests)


def test_a_disk_that_fills_up(generate, hub, repo, monkeypatch, cache):
    import errno

    from huggingface_hub import file_download

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_download, "http_get", full)
    assert_refused(generate(NAME), f"{NAME} cannot be kept in {cache} (no space left on device)", "HF_HOME=FOLDER")


def test_files_outside_their_folder_are_not_fetched():
    from hfcli.options import ModelOptions
    from hfcli.runtime.hub import _wanted

    names = [
        "config.json",
        "additional_chat_templates/../../../x.jinja",
        "../y.json",
        "additional_chat_templates/rag.jinja",
    ]
    assert _wanted(names, "model", ModelOptions()) == ["config.json", "additional_chat_templates/rag.jinja"]
