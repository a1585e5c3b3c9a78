"""`hfcli config`, and where the default model comes from."""

from pathlib import Path


def config_file() -> Path:
    from hfcli.cli.config import path

    return path()


def test_set_get_unset(hfcli):
    assert hfcli("config", "get", "model").out == ""
    assert hfcli("config", "set", "model", 'my "folder"').code == 0
    assert hfcli("config", "get", "model").out == 'my "folder"\n'
    assert hfcli("config").out == 'model = "my \\"folder\\""\n'
    assert hfcli("config", "unset", "model").code == 0
    assert "not set" in hfcli("config").out


def test_the_rest_of_the_file_stays(hfcli):
    hfcli("config", "set", "model", "a")
    config_file().write_text('# mine\nmodel = "a"\n')
    hfcli("config", "set", "model", "b")
    assert config_file().read_text() == '# mine\nmodel = "b"\n'
    hfcli("config", "unset", "model")
    assert config_file().read_text() == "# mine\n"


def test_the_order_of_defaults(hfcli, models):
    hfcli("config", "set", "model", str(models.llama()))
    try:
        assert "llama  (your config)" in hfcli("generate", "a", "-v", "--max-new-tokens", "2").err
        by_name = hfcli("generate", "a", "-v", "--max-new-tokens", "2", env={"HFCLI_MODEL": str(models.gpt2())})
        assert "gpt2  (-m or HFCLI_MODEL)" in by_name.err
        by_flag = hfcli("generate", "a", "-v", "--max-new-tokens", "2", "-m", models.chat())
        assert "chat  (-m or HFCLI_MODEL)" in by_flag.err
    finally:
        hfcli("config", "unset", "model")


def test_mistakes(hfcli):
    assert (
        hfcli("config", "set", "modell", "x").err
        == "error: no setting modell; there is model\nhint:  did you mean model?\n"
    )
    assert hfcli("config", "set", "model").code == 2
    assert hfcli("config", "put", "model").code == 2
    hfcli("config", "set", "model", "a")
    for broken, said in (
        ("model = [", "cannot be read"),
        ("model = 3", "must be text"),
        ("mdoel = 'x'", "no setting mdoel"),
    ):
        config_file().write_text(broken)
        result = hfcli("generate", "hello")
        assert result.code in (2, 4)
        assert said in result.err
    config_file().unlink()
