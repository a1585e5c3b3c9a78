"""The options of transfer: which weights of a pretrained model learn, and how fast each."""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from hfcli.errors import UsageError
from hfcli.options._numbers import number, whole


@dataclass(frozen=True)
class TransferOptions:
    """Which weights learn, and how fast each."""

    freeze: Annotated[bool, typer.Option("--freeze", help="Train the new head alone.")] = False
    freeze_layers: Annotated[
        int | None,
        typer.Option("--freeze-layers", parser=whole(0), metavar="N", help="Keep embeddings and the lowest N layers."),
    ] = None
    unfreeze: Annotated[
        Literal["gradual"] | None,
        typer.Option("--unfreeze", metavar="gradual", help="Begin with the head, free the layers from the top."),
    ] = None
    layerwise_lr_decay: Annotated[
        float | None,
        typer.Option(
            "--layerwise-lr-decay",
            parser=number(0, 1, above=True),
            metavar="D",
            help="Each lower layer learns D times as fast.",
        ),
    ] = None
    lora: Annotated[bool, typer.Option("--lora", help="Train low-rank adapters instead (needs peft).")] = False
    lora_r: Annotated[int, typer.Option("--lora-r", parser=whole(1), metavar="R", help="Rank of the adapters.")] = 16
    lora_alpha: Annotated[
        float, typer.Option("--lora-alpha", parser=number(0, above=True), metavar="A", help="Their scale, over R.")
    ] = 32
    lora_dropout: Annotated[
        float, typer.Option("--lora-dropout", parser=number(0, 1), metavar="P", help="Their dropout.")
    ] = 0.05
    lora_target_modules: Annotated[
        str | None,
        typer.Option("--lora-target-modules", metavar="A,B", help="Where they go.", show_default="all linear layers"),
    ] = None

    def check(self) -> None:
        """Refuse combinations that contradict each other, before anything is loaded."""
        ways = {
            "--freeze": self.freeze,
            "--freeze-layers": self.freeze_layers is not None,
            "--unfreeze": self.unfreeze is not None,
            "--lora": self.lora,
        }
        given = [flag for flag, used in ways.items() if used]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} decide the same: what learns", "leave all but one out")
        if self.lora and self.layerwise_lr_decay is not None:
            raise UsageError("--layerwise-lr-decay is about the model's layers, --lora keeps them", "leave one out")
        changed = [
            flag
            for flag, used in {
                "--lora-r": self.lora_r != 16,
                "--lora-alpha": self.lora_alpha != 32,
                "--lora-dropout": self.lora_dropout != 0.05,
                "--lora-target-modules": self.lora_target_modules is not None,
            }.items()
            if used
        ]
        if changed and not self.lora:
            raise UsageError(f"{changed[0]} is about --lora, which is not given", "add --lora")
