"""The application: its commands, and what becomes of errors."""

from __future__ import annotations

import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer
import typer.core

from convexgan import __version__
from convexgan._tools.checks import is_exhausted
from convexgan._tools.extras import install
from convexgan.cli import balancing, demo, doctor, evaluation, fitting, games, info, models, referee, testing, training
from convexgan.cli.console import warn
from convexgan.cli.options import quietly
from convexgan.cli.studies import studies
from convexgan.exceptions import ConvexGANError

FAILED, INTERRUPTED = 2, 130
EXPECTED = (ValueError, OSError, ConvexGANError, ModuleNotFoundError, MemoryError)
GO_ON = {
    "fit": "the same call with --resume goes on",
    "train": "the same call goes on",
    "study": "the same call goes on",
}
LESS = {  # what to do where memory is not enough
    "fit": "pass a lower --memory or --size; or free some, or leave --device out, and go on with --resume",
    "sample": "draw fewer with -n",
    "evaluate": "pass fewer pictures, or look at them with fewer features, --extractor pixels=16 say",
    "train": "pass a smaller --batch, with which the same call goes on from the last checkpoint, or --size",
}


class Commands(typer.core.TyperGroup):
    """Commands whose foreseen errors become one line and an exit code, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; 2 after an error of the package or the system, 130 after Ctrl-C, answered or not."""
        with _interrupts() as seen:
            try:
                answer = super().invoke(ctx)
            except BrokenPipeError:
                raise  # the reader of a pipe left: nobody is there to be told
            except typer.Exit:
                if not seen:  # a referee that was interrupted has not found that a claim is wrong
                    raise
            except (*EXPECTED, RuntimeError) as error:
                if is_exhausted(error):
                    warn(f"error: {_less(error, LESS.get(ctx.invoked_subcommand, 'pass less data'))}")
                elif isinstance(error, EXPECTED):
                    warn(f"error: {_sentence(error)}")
                else:
                    raise
                raise typer.Exit(INTERRUPTED if seen else FAILED) from None
            except KeyboardInterrupt:
                how = GO_ON.get(ctx.invoked_subcommand)
                warn(f"interrupted{f': {how}' if how else ''}")
                raise typer.Exit(INTERRUPTED) from None
        if seen:
            warn(f"interrupted: {GO_ON.get(ctx.invoked_subcommand, 'the answer is what was found by then')}")
            raise typer.Exit(INTERRUPTED)
        return answer


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Ctrl-C as it happens: searches end with it and return what they have found, as if a limit had been reached."""
    seen: list[int] = []
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # ignored, or somebody else's
        yield seen
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _sentence(error: BaseException) -> str:
    """The error in one line, of a package that is missing with the call that installs it."""
    if (
        isinstance(error, ModuleNotFoundError)
        and "pip install" not in str(error)
        and (how := install(error.name or ""))
    ):
        return f"{error.name} is not installed: {how}."
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _less(error: BaseException, repair: str) -> str:
    """That memory is not enough, how much more was asked for, and what to do."""
    asked = re.search(r"allocate (\d[\d.]* \w+)", str(error))
    return f"memory is not enough{f' for {asked[1]} more' if asked else ''}: {repair}."


app = typer.Typer(
    cls=Commands,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    demo.demo,
    fitting.fit,
    models.sample,
    evaluation.evaluate,
    models.export,
    games.solve,
    games.ipm,
    testing.test,
    balancing.balance,
    referee.audit,
    referee.verify,
    training.train,
    info.info,
    doctor.doctor,
):
    app.command(no_args_is_help=False)(quietly(command))
app.add_typer(studies, name="study")


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Wasserstein GANs with two-layer discriminators, solved to certified global optimality.

    Start with: [bold]convexgan demo[/bold]
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as a line of notes, without the line of code that met it."""
    warn(f"warning: {message}")


def main() -> None:
    """The entry point of the command ``convexgan``."""
    warnings.showwarning = _one_line  # the hook that the standard library documents
    try:
        app(prog_name="convexgan")
    except KeyboardInterrupt:
        warn("interrupted")
        sys.exit(INTERRUPTED)
    except Exception:  # a fault of ours: the code of errors, so that it is not taken for the word of a referee
        traceback.print_exc()
        sys.exit(FAILED)
