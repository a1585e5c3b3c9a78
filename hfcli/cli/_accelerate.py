"""What a configuration file of `accelerate launch` asks for: it comes as variables of the environment."""

import os
from dataclasses import replace
from typing import Literal

from hfcli.errors import UsageError
from hfcli.options import ModelOptions
from hfcli.options.training import TrainingOptions

_FSDP = "ACCELERATE_USE_FSDP"
_REFUSED = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "parallelism_config",
    "FSDP_OFFLOAD_PARAMS": "fsdp_offload_params",
}
# "no" is what it sets where nothing is asked for.
_PRECISIONS: dict[str, Literal["bfloat16", "auto"]] = {"bf16": "bfloat16", "no": "auto", "": "auto"}


def honoured(model: ModelOptions, training: TrainingOptions) -> tuple[ModelOptions, TrainingOptions]:
    """The options, with what the environment says where no flag does.

    Raises:
        UsageError: It asks for what hfcli cannot do.
    """
    for variable, name in _REFUSED.items():
        if _is_on(variable):
            raise UsageError(
                f"this accelerate configuration asks for {name}, which hfcli does not do",
                "distributed_type: FSDP in it, or hfcli finetune --num-processes N --fsdp without it",
            )
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "")
    if model.dtype == "auto":
        if precision not in _PRECISIONS:
            why = " (its range is too small)" * (precision == "fp16")
            raise UsageError(
                f"mixed_precision {precision} of this accelerate configuration cannot train{why}",
                "mixed_precision: bf16 in it, or --dtype bfloat16",
            )
        model = replace(model, dtype=_PRECISIONS[precision])
    if fsdp() and _is_on("FSDP_ACTIVATION_CHECKPOINTING"):
        training = replace(training, gradient_checkpointing=True)
    return model, training


def fsdp() -> bool:
    """Whether ranks share the model."""
    return _is_on(_FSDP)


def keep_out() -> None:
    """Ranks share the model as we do it: accelerate is not to wrap it a second time."""
    os.environ.pop(_FSDP, None)


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in ("true", "1", "yes", "on")
