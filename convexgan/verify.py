"""A referee recomputes a certificate: everything is checked, nothing is taken from its author but the players."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from convexgan._tools.arrays import as_rows, ordered
from convexgan._tools.checks import check_choice, check_finite, check_flag, check_number
from convexgan._tools.tables import read_names
from convexgan.games.agreement import agreement
from convexgan.games.conditional import Labelled, LabelledMoments, verify_classes
from convexgan.games.mean.certificate import verify_means
from convexgan.games.moment import evidence as moment_evidence
from convexgan.games.moment.evidence import known_width, law_error, unproved, verify_moments
from convexgan.games.sample import certificate as sample_certificate
from convexgan.games.sample.certificate import verify_rows
from convexgan.games.sample.gaussian_certificate import verify_gaussian
from convexgan.records.certificate import FLOATS, Certificate, Evidence, reading_evidence
from convexgan.rigorous import ExactMoments, check_exact_size
from convexgan.rigorous.certificates import rigorous_certificate, rigorous_sample_certificate
from convexgan.statistics.moments import Moments


def verify(
    certificate: Certificate,
    X: Any,
    *,
    labels: Any = None,
    tol: float = 1e-6,
    time_limit: float | None = None,
    rigorous: bool = False,
) -> Certificate:
    """The certificate recomputed from the data; its ``agreement`` says whether the claim is so.

    Only the generated law's moments, the generator class and the discriminator's weights are taken from the
    file. Every number is computed again.

    Parameters
    ----------
    certificate : Certificate
        With evidence, as `Certificate.from_json` reads it.
    X : (n_r, d) array or Moments
        The real samples.
    labels : (n_r,) array, optional
        Of the rows, for certificates of games on labelled rows.
    tol : float
        The referee's own relative tolerance on gap and violation.
    time_limit : float, optional
        Seconds for searches, which only games against ReLU neurons need: what they have proved by then holds.
    rigorous : bool
        Compute without rounding, in rational arithmetic: ``enclosures`` of what comes back says between which numbers
        each lies. For moment games of up to 200 columns, and laws of points in one or two columns.

    Raises
    ------
    ValueError
        The evidence is missing, damaged, does not fit X, or describes no generator of its class; the game is too large
        to be computed without rounding.

    Examples
    --------
    >>> import numpy as np, convexgan as cg
    >>> X = np.array([[3.0, 0.0], [0.0, 1.0]])
    >>> claim = cg.solve(X, cg.GaussianLatent(2), beta=0.5).certificate
    >>> found = cg.verify(claim, X, rigorous=True)
    >>> found.agreement.agrees
    True
    >>> found.kind, found.enclosures["optimum"][0] <= 4.0 <= found.enclosures["optimum"][1]
    ('saddle', True)
    """
    check_number(tol, "tol", positive=True)
    if not isinstance(certificate, Certificate):
        raise ValueError(
            f"certificate must be a Certificate, got {type(certificate).__name__}: pass .certificate of a solution, "
            "of a file Certificate.load(path)."
        )
    if certificate.evidence is None:
        raise ValueError("the certificate carries no evidence, so it cannot be recomputed.")
    limit = None if time_limit is None else check_number(time_limit, "time_limit")
    with reading_evidence(certificate.evidence):
        columns = read_names(certificate.evidence.settings.get("columns"))
    if isinstance(X, LabelledMoments):
        rows: Any = X
    elif labels is None:
        rows = ordered(X, columns, "X", "the certificate's data")
    elif certificate.evidence.settings.get("game") != "conditional":
        raise ValueError("labels are for certificates of games on labelled rows, and this is none: leave them out.")
    else:
        rows = Labelled.read(X, labels, columns)
    with np.errstate(over="ignore", invalid="ignore"):
        if check_flag(rigorous, "rigorous"):
            found = _recompute_exactly(certificate.evidence, rows, tol)
            return replace(found, agreement=agreement(certificate, found))
        found = _referee(certificate.evidence)(certificate.evidence, rows, tol, limit)
    if any(math.isnan(getattr(found, name)) for name in FLOATS):
        raise ValueError(
            "the certificate's evidence is damaged: its numbers are so large that nothing can be computed."
        )
    return replace(found, agreement=agreement(certificate, found))


def _referee(evidence: Evidence) -> Callable[[Evidence, Any, float, float | None], Certificate]:
    """What recomputes the certificates of the game that evidence names."""
    with reading_evidence(evidence):
        return REFEREES[check_choice(evidence.settings["game"], "game", REFEREES)]


def _recompute_exactly(evidence: Evidence, X: Any, tol: float) -> Certificate:
    """The recomputation in exact arithmetic, where the game allows it."""
    if isinstance(X, Moments):
        raise ValueError("rigorous=True needs the rows themselves, Moments are rounded: pass the array as X.")
    referee = _referee(evidence)
    refused = {
        verify_gaussian: "Gaussian laws against ReLU neurons",
        verify_means: "networks with weight decay",
        _verify_classes: "labelled rows",
    }
    if referee in refused:
        law = refused[referee]
        raise ValueError(f"rigorous=True is for moment games and laws of points, not for {law}: leave it out.")
    rows = as_rows(X, "X")
    check_finite(rows, "X")
    data = rows.astype(np.float64)
    if referee is verify_rows:
        with reading_evidence(evidence):
            players = sample_certificate.read_players(evidence, data)
        return rigorous_sample_certificate(*players, tol=tol)
    with reading_evidence(evidence):
        game, factor, mean, discriminator = moment_evidence.read_players(evidence, Moments.from_array(rows))
        error, kind = law_error(evidence), unproved(evidence)
    check_exact_size(len(data), game.data.dim, game.latent.rank)
    given = ExactMoments.read(game, data, factor, mean, error, discriminator)
    return rigorous_certificate(given, evidence, tol, known_width(game), kind)


def _verify_classes(evidence: Evidence, X: Any, tol: float, limit: float | None) -> Certificate:
    """The certificate of labelled rows, each class by its own referee."""
    return verify_classes(evidence, X, tol, limit, _referee)


REFEREES: dict[str, Callable[[Evidence, Any, float, float | None], Certificate]] = {
    "moments": verify_moments,
    "rows": verify_rows,
    "gaussian": verify_gaussian,
    "means": verify_means,
    "conditional": _verify_classes,
}
