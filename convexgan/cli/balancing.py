"""Weights that make one sample look like another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from convexgan._tools.files import check_target
from convexgan.cli.arrays import read_samples, write_rows
from convexgan.cli.console import Json, note, print_json, result, search
from convexgan.cli.games import numbers_of
from convexgan.cli.options import Discriminator


def balance(
    x: Annotated[Path, typer.Argument(metavar="X", help="Rows to look like (n, d): .npy, .csv, .parquet, or -.")],
    y: Annotated[Path, typer.Argument(metavar="Y", help="Rows to be weighted (m, d), likewise.")],
    discriminator: Discriminator = "relu",
    beta: Annotated[
        float | None, typer.Option(help="Imbalance that is allowed, for the most even weights; the least without it.")
    ] = None,
    bias: Annotated[str, typer.Option(help="Of neurons: none, penalized (part of their norm) or free.")] = "none",
    tol: Annotated[float, typer.Option(help="Relative tolerance of the certificate's kind.")] = 1e-6,
    time_limit: Annotated[float | None, typer.Option(help="Seconds; what is proved by then holds.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the weights of the rows of Y here, weights.npy.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Write the certificate here, cert.json.")] = None,
    as_json: Json = False,
) -> None:
    """Find weights on the rows of Y with which no neuron tells them from X, with a certificate.

    Bring the columns to one scale first.

    Example: convexgan balance treated.csv controls.csv --out weights.npy --certificate cert.json

    As even as an imbalance of 0.05 allows: convexgan balance X.npy Y.npy --beta 0.05 --bias free --time-limit 60
    """
    import convexgan as cg

    check_target(out, certificate)
    X, Y = read_samples(x, y)
    with search("balancing") as progress:
        found = cg.balance(X, Y, discriminator, beta=beta, bias=bias, tol=tol, time_limit=time_limit, progress=progress)
    if out is not None:
        write_rows(out, found.weights)
        note(f"weights: {out}")
    if certificate is not None:
        found.certificate.save(certificate)
        note(f"certificate: {certificate}")
    if as_json:
        seen = found.imbalance
        about = {"witness": seen.direction, "columns": seen.columns, "before": found.before.value}
        sizes = {"imbalance": seen.value, "upper_bound": seen.upper_bound, "effective_size": found.effective_size}
        print_json({"status": found.status.value, **sizes, **about, **numbers_of(found.certificate)})
    else:
        result(str(found))
