"""Studies: questions answered by simulation beside the formulas, as tables and figures."""

from __future__ import annotations

import typer

from convexgan.cli.options import quietly
from convexgan.cli.studies import double_descent, kernel, overparameterization, predict

studies = typer.Typer(invoke_without_command=True)
studies.command("double-descent")(quietly(double_descent.run))
studies.command("overparameterization")(quietly(overparameterization.run))
studies.command("kernel")(quietly(kernel.run))
studies.command("predict")(quietly(predict.run))


@studies.callback()
def choose(context: typer.Context) -> None:
    """Questions answered by simulation beside the formulas: tables, figures and the runs behind them.

    Example: convexgan study double-descent --quick --out study
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
