"""A referee for certificates: every number is computed again from the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from convexgan._tools.checks import check_bytes, check_count
from convexgan._tools.files import check_target
from convexgan.cli.arrays import read_labels, read_rows, read_sample, read_samples
from convexgan.cli.classes import LABELS
from convexgan.cli.console import Json, Phases, Seed, note, number, phase, print_json, print_table, result
from convexgan.cli.games import Labels, numbers_of
from convexgan.cli.options import Discriminator
from convexgan.cli.pictures import CacheFolder, Memory, Strict
from convexgan.datasets import ImageSet
from convexgan.discriminators import as_discriminator
from convexgan.discriminators.activation import needs_rows
from convexgan.distance import distance, verdict
from convexgan.games.agreement import COMPARED, TOLERANCE
from convexgan.records.certificate import Agreement, Certificate
from convexgan.statistics.moments import Moments

RELU_SECONDS = 10.0


def verify(
    certificate: Annotated[
        Path, typer.Argument(metavar="CERTIFICATE.json", help="As `convexgan solve` writes it; or a RUN folder.")
    ],
    x: Annotated[
        str, typer.Argument(metavar="X.npy", help="The real rows (or Moments) it speaks of; a RUN's pictures.")
    ],
    labels: Labels = None,
    tol: Annotated[float, typer.Option(help="The referee's relative tolerance on gap and violation.")] = TOLERANCE,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds, for searches (relu); what is found by then holds.")
    ] = None,
    rigorous: Annotated[bool, typer.Option("--rigorous", help="Without rounding, and print what encloses it.")] = False,
    cache: CacheFolder = None,
    memory: Memory = None,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Recompute certificates from the data; exit code 0 if they agree with the claims, 1 if not.

    Example: convexgan verify cert.json X.npy

    In rational arithmetic, for up to 200 columns: convexgan verify cert.json X.npy --rigorous

    Of labelled rows: convexgan verify cert.json X.npy --labels species.txt

    One stage of a fitted model: convexgan verify run/certificates/8.json run/stages/8.npz

    Every stage, from the pictures it was fitted to: convexgan verify run faces/
    """
    import convexgan as cg

    reports, given = [], None if labels is None else read_labels(labels)
    limit = None if memory is None else check_bytes(memory, "--memory")
    claims = _run_claims(certificate, x, cache, limit, strict) if certificate.is_dir() else _claims(certificate, x)
    for name, claim, data in claims:
        with phase(f"verifying {name}"):
            found = cg.verify(claim, data, labels=given, tol=tol, time_limit=time_limit, rigorous=rigorous)
        reports.append(_report(name, claim, found) | ({"enclosures": found.enclosures} if rigorous else {}))
    if as_json:
        print_json(reports[0] if certificate.is_file() else reports)
    else:
        for report in reports:
            _print(report)
    if not all(report["agrees"] for report in reports):
        raise typer.Exit(1)


def audit(
    samples: Annotated[
        Path,
        typer.Argument(
            metavar="SAMPLES.npy", help="Generated rows (n_f, d): .npy, .csv, .parquet, -; a generator: .onnx."
        ),
    ],
    x: Annotated[Path, typer.Argument(metavar="X.npy", help="Real rows (n_r, d), likewise; or .npz of Moments.")],
    discriminator: Discriminator = "quadratic",
    beta: Annotated[
        float | None, typer.Option(help="Penalty on the discriminator's norm: the discrepancy (ipm) is at most beta.")
    ] = None,
    lam: Annotated[float | None, typer.Option(help="Instead of beta: a bound on the discriminator's norm.")] = None,
    generator_penalty: Annotated[
        float, typer.Option(help="What multiplies E|G|^2; 0, a plain GAN, has no bound: ipm, interval and floor.")
    ] = 1.0,
    tol: Annotated[float, typer.Option(help="Relative tolerance of the certificate's kind.")] = TOLERANCE,
    time_limit: Annotated[float | None, typer.Option(help="Seconds, for relu: 10 by default.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Write the certificate here, cert.json.")] = None,
    count: Annotated[
        int | None, typer.Option("-n", "--count", help="How many samples of a generator; as many as X has rows.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Print how far anybody's samples are from the optimum of their game, with a proved bound.

    Pass one of --beta and --lam. Generators may be of any kind: the bound holds for all of them. Pictures are rows.

    Example: convexgan audit SAMPLES.npy X.npy --discriminator quadratic --beta 0.5

    Of a generator of standard normal latents: convexgan audit generator.onnx X.npy --beta 0.5 -n 5000
    """
    import convexgan as cg

    check_target(certificate)
    if needs_rows(as_discriminator(discriminator)) and time_limit is None:
        time_limit = RELU_SECONDS  # what is proved by then holds
    if samples.suffix.lower() == ".onnx":
        rows, generated = _made(x, samples, count, seed)
    elif samples.suffix.lower() in (".pt2", ".pt", ".pth"):
        raise ValueError(f"{samples} could run code when it is loaded, and is not read: export the generator as .onnx.")
    elif count is not None:
        raise ValueError(f"--count is for generators, .onnx, and {samples} holds samples: leave it out.")
    else:
        rows, generated = read_samples(x, samples, pictures=True)
    if generator_penalty == 0:
        _print_distance(rows, generated, discriminator, time_limit, certificate, as_json)
        return
    game: dict[str, Any] = {"beta": beta, "lam": lam, "generator_penalty": generator_penalty}
    with phase("certifying"):
        found = cg.certify(rows, generated, discriminator=discriminator, **game, tol=tol, time_limit=time_limit)
    if certificate is not None:
        found.save(certificate)
        note(f"certificate: {certificate}")
    if as_json:
        print_json(numbers_of(found) | {"verdict": verdict(found, discriminator)})
    else:
        result(str(found))
        result(verdict(found, discriminator))


def _made(x: Path, generator: Path, count: int | None, seed: int) -> tuple[Any, Any]:
    """The real rows, and samples of a generator, flattened alike."""
    from convexgan.cli.onnx import made_by

    (rows,) = read_samples(x, pictures=True)
    if count is None:
        if isinstance(rows, Moments):
            raise ValueError(f"{x} holds moments, of no number of rows: pass --count, how many samples to draw.")
        count = np.asarray(rows).shape[0]
    with phase("drawing"):
        made = made_by(generator, check_count(count, "--count"), seed)
    real = read_rows(x).shape[1:] if x.suffix.lower() == ".npy" else ()
    if len(real) > 1 and real != made.shape[1:]:
        raise ValueError(
            f"{generator} makes samples of shape {made.shape[1:]}, and those of {x} have {real}: bring X into the same "
            "order with np.moveaxis, and onto the same scale."
        )
    return rows, made.reshape(len(made), -1)


def _print_distance(
    rows: Any, generated: Any, discriminator: str, time_limit: float | None, certificate: Path | None, as_json: bool
) -> None:
    """Print how far samples are from data, of which no optimum is known."""
    if certificate is not None:
        raise ValueError("--certificate needs --generator-penalty above 0: without it there is nothing to certify.")
    with phase("measuring"):
        found = distance(rows, generated, discriminator, time_limit=time_limit)
    if as_json:
        print_json(asdict(found) | {"verdict": found.verdict})
    else:
        result(str(found))
        result(found.verdict)


def _claims(certificate: Path, x: str) -> Iterator[tuple[str, Certificate, Any]]:
    """The name, the claim and the data of a certificate to recompute."""
    yield certificate.name, Certificate.load(certificate), read_sample(Path(x))


def _run_claims(
    certificate: Path, x: str, cache: Path | None, memory: int | None, strict: bool
) -> Iterator[tuple[str, Certificate, Any]]:
    """The name, the claim and the data for each stage of a RUN."""
    from convexgan.cli.fitting import pixels_of
    from convexgan.cli.pictures import decoded, locate, split
    from convexgan.cli.runs import load_model, read_report, selection_of, stage_moments

    model, report = load_model(certificate), read_report(certificate)
    phases, size, chosen = Phases(), model.stages_[-1].size, selection_of(certificate)
    place = certificate / "cache" if cache is None else cache
    pictures = decoded(locate(x, size, chosen), size, chosen.crop, place, phases, strict=strict)
    images = pictures.images if isinstance(pictures, ImageSet) else pictures
    if report.get("pixels") not in (None, pixels_of(pictures)):
        note(f"{x} does not hold the pictures that {certificate} was fitted to: what differs below is for that reason")
    if "split" in report:
        note("only the pictures that the demo was fitted to are used")
        images, _ = split(images, _seed(certificate, report))
    labels = None if model.classes_ is None else read_labels(certificate / LABELS)
    for stage, data in stage_moments(model, images, memory, phases, labels):
        path = certificate / "certificates" / f"{stage.size}.json"
        yield f"{stage.size} x {stage.size}", Certificate.load(path), data


def _seed(run: Path, report: dict[str, Any]) -> int:
    """The seed of the demo's split."""
    try:
        return int(report["split"]["seed"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{run / 'report.json'} is damaged: its split has no seed.") from None


def _report(name: str, claim: Certificate, found: Certificate) -> dict[str, Any]:
    """What is claimed beside what is found, and whether they agree."""
    pairs: dict[str, Any] = {
        field: {"claimed": getattr(claim, field), "recomputed": getattr(found, field)}
        for field in (*COMPARED, "failure")  # the last of drawn vectors: nothing to agree on
    }
    verdict = found.agreement or Agreement((), ())
    lists = {"differing": list(verdict.differing), "better": list(verdict.better)}
    return {"certificate": name, "agrees": verdict.agrees, **lists, **pairs}


def _print(report: dict[str, Any]) -> None:
    """Print the claims beside what was recomputed."""
    rows = []
    for name in COMPARED:
        cells = ["unknown" if c is None else c if isinstance(c, str) else number(c, 12) for c in report[name].values()]
        verdict = "DIFFERS" if name in report["differing"] else "is better" if name in report["better"] else "agrees"
        rows.append((name, *cells, verdict))
    if any(report["failure"].values()):
        rows.append(("probability that these are wrong", *map(number, report["failure"].values()), ""))
    print_table((report["certificate"], "claimed", "recomputed", ""), rows)
    enclosed = report.get("enclosures") or {}
    if enclosed:
        lines = [(name, *(f"{end:.17g}" for end in ends)) for name, ends in enclosed.items()]
        print_table(("without rounding", "at least", "at most"), lines)
    result("agrees" if report["agrees"] else f"DOES NOT AGREE: {', '.join(report['differing'])}")
