"""`hfcli_settings.json`: how a finetuned model reads its records, beside its weights."""

import json
import math
from dataclasses import asdict, fields
from pathlib import Path

from hfcli import __version__
from hfcli.errors import ModelError
from hfcli.tasks.base import Settings

FILE = "hfcli_settings.json"


def read(folder: Path) -> Settings | None:
    """What is stored with a model, None where nothing is.

    Raises:
        ModelError: The file is there, and is not what hfcli writes.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in fields(Settings)}
        settings = Settings(**{name: value for name, value in content.items() if name in known})
        lengths = [settings.max_length, settings.doc_stride]
        right = isinstance(settings.columns, dict) and all(type(length) is int for length in lengths)
        right = right and settings.on_long in ("truncate", "window", "error") and isinstance(settings.task, str)
        right = right and type(settings.max_answer_length) is int and settings.max_answer_length > 0
        right = right and 0 < settings.null_scale < math.inf and math.isfinite(settings.null_shift)
        shares = [settings.threshold, *([] if settings.null_threshold is None else [settings.null_threshold])]
        if not right or not all(0 <= share <= 1 for share in shares):
            raise ValueError("a value of a kind that hfcli does not write")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path} is not what hfcli finetune writes ({error})", f"rm {path} does without, or finetune again"
        ) from error
    return settings


def of(model: Path, adapter: Path | None) -> Settings | None:
    """What is stored with an adapter where it has something, else with its model."""
    return (read(adapter) if adapter else None) or read(model)


def write(folder: Path, settings: Settings) -> None:
    """Store it with a model."""
    text = json.dumps({**asdict(settings), "hfcli": __version__}, indent=2, ensure_ascii=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
