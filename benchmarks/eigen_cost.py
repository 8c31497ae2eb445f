"""`solve` with its certificate beside LAPACK on the same moments, and from rows beside scikit-learn's PCA.

Claim: with few latents (d / 64) at most .5 times eigh + eigvalsh from d = 3072 on, and from rows, with 100 latents,
below PCA(svd_solver="covariance_eigh"), which proves nothing; with as many latents as columns at most 1.5 times eigh +
eigvalsh. Predicted: .3 to .45 with few latents, for block Krylov iterations and one factorisation take d^2 (7 w + b) +
d^3 / 3 multiplications, w and b the vectors of a block and in all; .5 from rows, of which half is the second moment,
the same for both; 1.0 with many, for there one complete decomposition is needed and the certificate takes two
factorisations. At d = 768 all eigenpairs are computed.

PCA(svd_solver="randomized") is the fastest and misses eigenvalues by the share of the last column.

Example: python -m benchmarks.eigen_cost --quick
"""

from __future__ import annotations

from typing import Any

import numpy as np
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
    """100 latents, from rows, beside both PCAs."""
    n, k = 2 * d, min(100, d // 8)
    X = np.random.default_rng(d).standard_normal((n, d)) * np.arange(1, d + 1) ** -0.7
    values, rows = np.linalg.eigvalsh(X.T @ X / n)[::-1], []
    beta = float(values[k]) * (1 + 1e-9)

    def pca(solver: str) -> Any:
        return PCA(k, svd_solver=solver, random_state=0).fit(X)

    def ours() -> cg.Solution:
        return cg.solve(X, cg.GaussianLatent(k), beta=beta)

    mine, *others = fastest(repeats, ours, lambda: pca("covariance_eigh"), lambda: pca("randomized"))
    proof = ours().certificate
    centred = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1][:k]
    for solver, theirs in zip(("covariance_eigh", "randomized"), others, strict=True):
        found = pca(solver).explained_variance_ * (n - 1) / n
        error = float((np.abs(found - centred) / centred).max())
        rows.append(["rows", f"PCA {solver}", d, k, mine, theirs, mine / theirs, proof.kind, proof.gap, error])
        print(rows[-1])
    return rows


def main() -> None:
    """Measure both sizes with few and with many latents."""
    options = parse(__doc__)
    sizes = ((768, 5), (3072, 2)) if not options.quick else ((256, 3),)
    rows = [row for size in sizes for row in from_moments(*size) + from_rows(*size)]
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
