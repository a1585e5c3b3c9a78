"""`hfcli_settings.json`: what is stored with a model comes back, and what is no such file is said."""

import json

import pytest

from hfcli.errors import ModelError
from hfcli.runtime import settings
from hfcli.tasks.base import Settings

STORED = Settings("text-classification", {"text": "body", "text_pair": None}, "regression", 64, "window", 8, 0.3)


def test_what_is_written_is_read(tmp_path):
    settings.write(tmp_path, STORED)
    assert settings.read(tmp_path) == STORED
    assert settings.read(tmp_path / "nowhere") is None


def test_a_newer_hfclis_settings_are_read_as_far_as_they_are_known(tmp_path):
    settings.write(tmp_path, STORED)
    path = tmp_path / settings.FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "invented_later": 1}))
    assert settings.read(tmp_path) == STORED


@pytest.mark.parametrize(
    "change",
    [
        {"max_length": "64"}, {"on_long": "guess"}, {"threshold": 2}, {"columns": []}, {"task": None}, None, [], "{"
    ],
)  # fmt: skip
def test_what_is_no_settings_is_said(tmp_path, change):
    settings.write(tmp_path, STORED)
    path = tmp_path / settings.FILE
    whole = json.loads(path.read_text())
    path.write_text(
        change if isinstance(change, str) else json.dumps({**whole, **change} if isinstance(change, dict) else change)
    )
    with pytest.raises(ModelError, match=r"hfcli_settings.json is not what hfcli finetune writes"):
        settings.read(tmp_path)
