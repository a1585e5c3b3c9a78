"""The options of `hfcli estimate`, beside finetune's own."""

from dataclasses import dataclass
from typing import Annotated

import typer

from hfcli.errors import UsageError
from hfcli.options.ranks import process_count


@dataclass(frozen=True)
class EstimateOptions:
    """On how many devices, whether a step is taken, and how it is told."""

    num_processes: Annotated[
        str,
        typer.Option(
            "--num-processes",
            parser=process_count,
            metavar="N",
            help="Devices that share a step's records, or auto: all that are here.",
        ),
    ] = "1"
    fsdp: Annotated[bool, typer.Option("--fsdp", help="... and the model, too.")] = False
    measure: Annotated[
        bool | None,
        typer.Option(
            "--measure/--no-measure",
            help="Take a real step with random weights, where it fits.",
            show_default="where that takes under a minute",
        ),
    ] = None
    json: Annotated[bool, typer.Option("--json", help="One JSON object, sizes in bytes.")] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no notes; errors only.")] = False

    def check_with(self, task: str | None) -> None:
        """Refuse combinations that contradict each other, before anything is loaded.

        Args:
            task: What --task says.
        """
        if self.fsdp and self.num_processes == "1":
            raise UsageError("--fsdp shares a model among several devices, and this is one", "--num-processes N")
        if self.measure and self.fsdp:
            raise UsageError("--measure takes a step on one device, and --fsdp shares it", "leave one of them out")
        if self.measure and task in ("text-generation", "generation"):
            raise UsageError("--measure takes a step of finetune, which cannot learn text-generation", "--no-measure")
