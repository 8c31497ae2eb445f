"""Commands with many options: a record for each group of them, which the command line takes apart and puts together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, get_type_hints

import typer

from convexgan.cli.console import QUIET
from convexgan.discriminators import CLASSES


def one_of(names: Iterable[str]) -> str:
    """What there is to choose from, as help says it."""
    *most, last = names
    return f"{', '.join(most)} or {last}."


Discriminator = Annotated[str, typer.Option(help=one_of(CLASSES))]


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print no progress and no notes, only results, warnings and errors.")
]


def quietly(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the option --quiet, of which nothing that it calls need know."""

    @wraps(command)
    def run(quiet: bool, **given: Any) -> None:
        token = QUIET.set(quiet)
        try:
            command(**given)
        finally:
            QUIET.reset(token)

    hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
        for parameter in signature(command).parameters.values()
    ]
    return _described(run, [*own, Parameter("quiet", Parameter.KEYWORD_ONLY, default=False, annotation=Quiet)])


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its records as options of its own, in the records' places."""
    hints = get_type_hints(command, include_extras=True)
    records = {name: hints[name] for name in signature(command).parameters if is_dataclass(hints[name])}

    @wraps(command)
    def taken_apart(**given: Any) -> None:
        made = {name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in records.items()}
        command(**made, **given)

    parameters: list[Parameter] = []
    for parameter in signature(command).parameters.values():
        own = [parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])]
        parameters += _options(records[parameter.name]) if parameter.name in records else own
    return _described(taken_apart, parameters)


def _described(command: Callable[..., None], parameters: list[Parameter]) -> Callable[..., None]:
    """The command as one that takes these parameters."""
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _options(kind: Any) -> list[Parameter]:
    """A record's fields as parameters."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(kind)
    ]
