"""`solve` with its certificate beside LAPACK on the same moments, and from rows beside scikit-learn's PCA.

Claim: with few latents (d / 64) at most .5 times eigh + eigvalsh from d = 3072 on, and from rows, with 100 latents,
below PCA(svd_solver="covariance_eigh"), which proves nothing; with as many latents as columns at most 1.5 times eigh +
eigvalsh. Predicted: .3 to .45 with few latents, for block Krylov iterations and one factorisation take d^2 (7 w + b) +
d^3 / 3 multiplications, w and b the vectors of a block and in all; .5 from rows, of which half is the second moment,
the same for both; 1.0 with many, for there one complete decomposition is needed and the certificate takes two
factorisations. At d = 768 all eigenpairs are computed.

PCA(svd_solver="randomized") is the fastest and misses eigenvalues by the share of the last column. "eigsh" is the
second moment and scipy's Lanczos iterations, whose answer is complete but proves it of nothing; the last column is
relative to it. Predicted at d = 12288: .4 of covariance_eigh, for what grows as d^3 is its decomposition, four times
the second moment, and of ours one Cholesky factor. Seen: .25, and 1.1 times eigsh, which proves nothing.

Example: python -m benchmarks.eigen_cost --quick
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import eigsh
from sklearn.decomposition import PCA

import convexgan as cg
from benchmarks._report import fastest, parse, write


def fresh(moments: cg.Moments) -> cg.Moments:
    """The same moments without cached results."""
    return cg.Moments(moments.dim) + moments


def from_moments(d: int, repeats: int) -> list[list[Any]]:
    """Few and many latents, from moments."""
    scale = np.arange(1, d + 1) ** -0.7
    moments = cg.Moments.from_array(np.random.default_rng(d).standard_normal((2 * d, d)) * scale)
    matrix, rows = moments.second, []
    values = np.linalg.eigvalsh(matrix)[::-1]
    for k in (d // 64, d):
        beta = float(values[min(k, d // 2)]) * (1 + 1e-9)

        def ours(k: int = k, beta: float = beta) -> cg.Solution:
            return cg.solve(fresh(moments), cg.GaussianLatent(k), beta=beta)

        def lapack() -> None:
            np.linalg.eigh(matrix)
            np.linalg.eigvalsh(matrix)

        mine, theirs = fastest(repeats, ours, lapack)
        proof = ours().certificate
        rows.append(["moments", "eigh + eigvalsh", d, k, mine, theirs, mine / theirs, proof.kind, proof.gap, ""])
        print(rows[-1])
    return rows


def from_rows(d: int, repeats: int) -> list[list[Any]]:
    """100 latents, from centred rows, beside what computes as many eigenpairs of the same matrix."""
    n, k = 2 * d, min(100, d // 8)
    X = np.random.default_rng(d).standard_normal((n, d)) * np.arange(1, d + 1) ** -0.7
    X -= X.mean(axis=0)

    def lanczos(count: int = k) -> NDArray[Any]:
        return np.asarray(eigsh(X.T @ X / n, count)[0])[::-1]

    def pca(solver: str) -> NDArray[Any]:
        return np.asarray(PCA(k, svd_solver=solver, random_state=0).fit(X).explained_variance_) * (n - 1) / n

    def ours() -> cg.Solution:
        return cg.solve(X, cg.GaussianLatent(k), beta=beta)

    answers: dict[str, Any] = {}
    truth = lanczos(k + 1)
    beta = float(truth[k]) * (1 + 1e-9)
    sides: dict[str, Callable[[], Any]] = {"solve": ours, "PCA covariance_eigh": partial(pca, "covariance_eigh")}
    sides |= {"PCA randomized": partial(pca, "randomized"), "eigsh": lanczos}

    def measured(name: str) -> None:
        answers[name] = sides[name]()

    mine, *others = fastest(repeats, *(partial(measured, name) for name in sides))
    proof, rows = answers.pop("solve").certificate, []
    for (name, values), theirs in zip(answers.items(), others, strict=True):
        error = float((np.abs(values - truth[:k]) / truth[:k]).max())
        rows.append(["rows", name, d, k, mine, theirs, mine / theirs, proof.kind, proof.gap, error])
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Measure each size with few and with many latents, and the largest from rows."""
    options = parse(__doc__)
    sizes = ((768, 5), (3072, 2)) if not options.quick else ((256, 3),)
    rows = [row for size in sizes for row in from_moments(*size) + from_rows(*size)]
    rows += [] if options.quick else from_rows(12_288, 1)
    columns = [
        "from",
        "beside",
        "d",
        "latents",
        "solve s",
        "theirs s",
        "ratio",
        "kind",
        "gap",
        "their worst eigenvalue",
    ]
    write("eigen_cost", columns, rows, __doc__ or "", options.quick)


if __name__ == "__main__":
    main()
