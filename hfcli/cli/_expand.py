"""Option dataclasses as Typer flags: a command asks for a group by annotating a parameter with it."""

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any


class Only:
    """Marks a group of which a command takes some fields: `Annotated[TrainingOptions, Only("batch_size")]`.

    The others have their defaults.
    """

    def __init__(self, *names: str) -> None:
        self.names = names


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` one flag per field of its dataclass parameters, and call it with the dataclasses filled in.

    Typer reads `__signature__`, so the parameters it sees are the fields; other parameters stay as they are. `groups`
    tells which fields are which dataclass's.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, tuple[type[Any], list[str]]] = {}
    flags: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        group, chosen = _taken(parameter.annotation)
        if not dataclasses.is_dataclass(group) or not isinstance(group, type):
            flags.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        hints = typing.get_type_hints(group, include_extras=True)
        taken = [field for field in dataclasses.fields(group) if chosen is None or field.name in chosen]
        groups[parameter.name] = (group, [field.name for field in taken])
        for field in taken:
            default = field.default
            if field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
            kind = inspect.Parameter.KEYWORD_ONLY
            flags.append(inspect.Parameter(field.name, kind, default=default, annotation=hints[field.name]))

    def call(**values: Any) -> None:
        for name, (group, fields) in groups.items():
            values[name] = group(**{field: values.pop(field) for field in fields})
        command(**values)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__signature__ = signature.replace(parameters=flags)  # type: ignore[attr-defined]
    call.groups = groups  # type: ignore[attr-defined]
    call.__annotations__ = {flag.name: flag.annotation for flag in flags}
    return call


def _taken(annotation: Any) -> tuple[Any, tuple[str, ...] | None]:
    """A group of options, and the names of the fields that are taken; None for all."""
    if typing.get_origin(annotation) is Annotated:
        for note in annotation.__metadata__:
            if isinstance(note, Only):
                return annotation.__origin__, note.names
    return annotation, None
