"""`solve` and its relatives: methods, statuses, files, names, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import convexgan as cg
from tests.generators import CELLS, EXACT, Case, assert_alike, rows, second

ROOT = Path(__file__).parents[1]
X, Z = rows([4.0, 2.0, 0.7], 2), rows([2.0, 1.0, 0.5], 4)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("method", ["auto", "closed_form", "program"])
def test_select_method_tells_what_solve_does(name, method):
    case = CELLS[name]
    options = case.options | {"beta": 0.37, "method": method}
    try:
        told, reason = cg.select_method(case.X, case.Z, **options)
    except ValueError as error:
        with pytest.raises(ValueError) as same:
            cg.solve(case.X, case.Z, **options)
        assert str(same.value) == str(error)
        return
    sol = cg.solve(case.X, case.Z, **options)
    assert (told, reason) == (sol.method, sol.stats["reason"])
    assert method in ("auto", told)
    assert told == "closed_form" or name not in EXACT or method == "program"


def test_select_method_takes_every_argument_of_solve():
    extra = {"solver_options": {}, "tol": 1e-5, "time_limit": 3.0, "rng": 0, "throw": False, "progress": False}
    assert cg.select_method(X, Z, beta=0.1, max_neurons=2, **extra)[0] == "closed_form"
    with pytest.raises(ValueError, match="closed_form"):
        cg.select_method(X, Z, beta=0.1, method="closed_from")


SMALL = X[:6, :2]
OTHERS = [
    {"discriminator": "relu", "generator": "mixture", "beta": 0.3},
    {"discriminator": "relu", "generator": cg.generators.Mixture(support="continuous"), "beta": 0.3, "gap": 0.1},
    {"discriminator": "quadratic", "generator": "mixture", "beta": 0.3},
    {"discriminator": "relu", "generator": "free", "lam": 0.5, "gap": 0.3, "rng": 0},
    {"discriminator": "relu", "Z": cg.GaussianLatent(2), "beta": 0.9},
    {"discriminator": "linear", "generator": "relu", "regularizer": "weights", "Z": SMALL, "beta": 0.1},
    {"discriminator": "relu", "generator": "mixture", "beta": 0.3, "method": "program"},
    {"discriminator": "quadratic", "generator": "relu", "regularizer": "weights", "Z": SMALL, "beta": 0.1},
    {
        "discriminator": "linear",
        "generator": "relu",
        "regularizer": "weights",
        "Z": SMALL,
        "beta": 0.1,
        "method": "program",
    },
    {"discriminator": "relu", "generator": "mixture", "beta": 0.3, "betta": 1},
]


@pytest.mark.parametrize("options", OTHERS, ids=str)
def test_select_method_knows_the_games_of_rows_and_of_weight_decay(options):
    options = {"throw": False, "time_limit": 20.0} | options
    try:
        told, reason = cg.select_method(SMALL, **options)
    except (TypeError, ValueError) as error:
        with pytest.raises(type(error)) as same:
            cg.solve(SMALL, **options)
        assert isinstance(error, TypeError) or str(same.value) == str(error)
        return
    sol = cg.solve(SMALL, **options)
    assert (told, reason) == (sol.method, sol.stats["reason"])


def test_path_is_solve_for_each_beta():
    betas = [0.1, 3.0, 0.5, 9.0]
    for beta, sol in zip(betas, cg.path(X, Z, betas, regularizer="weights"), strict=True):
        alone = cg.solve(X, Z, beta=beta, regularizer="weights")
        assert sol.value == alone.value and sol.certificate == alone.certificate
    assert cg.path(X, Z, []) == []
    assert [s.status for s in cg.path(X, Z[:, :1], [0.1, 2.0], throw=False)] == ["infeasible", "optimal"]
    with pytest.raises(cg.InfeasibleError):
        cg.path(X, Z[:, :1], [0.1, 2.0])


def test_path_decomposes_each_matrix_once(monkeypatch):
    counted = []
    for name in ("eigh", "svd"):
        true = getattr(np.linalg, name)
        monkeypatch.setattr(np.linalg, name, lambda *a, _f=true, **k: counted.append(1) or _f(*a, **k))
    big = np.random.default_rng(0).standard_normal((40, 6))
    cg.path(big, np.random.default_rng(1).standard_normal((40, 6)), np.linspace(0.1, 1, 9))
    assert len(counted) == 2  # X's and Z's
    counted.clear()
    cg.path(big, cg.GaussianLatent(6), np.linspace(0.1, 1, 9))
    assert len(counted) == 1


def test_moments_in_place_of_rows_give_the_same():
    fast = cg.solve(cg.Moments.from_array(X), cg.Moments.from_array(Z), beta=0.3)
    slow = cg.solve(X, Z, beta=0.3)
    assert fast.value == pytest.approx(slow.value, rel=1e-12) and fast.certificate.kind == slow.certificate.kind
    made = [sol.generator(Z) for sol in (fast, slow)]  # neither fixes the sign of the latents' axes
    np.testing.assert_allclose(second(made[0]), second(made[1]), atol=1e-12)
    with pytest.raises(ValueError, match="only the moments of Z"):
        fast.generator.sample(3)


def test_arguments_are_left_as_they_were():
    A, B = X.copy(), Z.copy()
    sol = cg.solve(A, B, beta=0.3)
    np.testing.assert_array_equal(A, X)
    np.testing.assert_array_equal(B, Z)
    before = sol.generator.sample(5, 0)
    B[:] = 0
    np.testing.assert_array_equal(sol.generator.sample(5, 0), before)


def seeded(name):
    """A seed for the free directions of free rows; nothing else is drawn."""
    return {"rng": 0} if name.endswith("free") else {}


@pytest.mark.parametrize("name", ["quadratic-free", "quadratic-linear", "quadratic-bias", "quadratic-polynomial"])
def test_samples_are_repeatable_and_of_the_right_law(name):
    sol = CELLS[name].solve(beta=0.3, **seeded(name))
    a, b, other = (sol.generator.sample(4000, rng) for rng in (1, np.random.default_rng(1), 2))
    np.testing.assert_array_equal(a, b)
    assert (a != other).any() and a.shape == (4000, 2)
    spread = cg.ipm(CELLS[name].X, a, "quadratic").value
    assert spread == pytest.approx(0.3, abs=0.35)
    again = CELLS[name].solve(beta=0.3, **seeded(name))
    np.testing.assert_array_equal(sol.generator.sample(3, 0), again.generator.sample(3, 0))
    with pytest.raises(ValueError, match="n must be"):
        sol.generator.sample(0)


def test_generators_refuse_other_latents():
    sol = cg.solve(X, Z, beta=0.3)
    with pytest.raises(ValueError, match="Z has shape"):
        sol.generator(Z[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        sol.generator(Z * np.nan)
    curved = CELLS["quadratic-polynomial"].solve(beta=0.3).generator
    with pytest.raises(ValueError, match="Z has shape"):
        curved(np.ones((3, 5)))


# -- statuses and printing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"discriminator": "linear"}, {}, {"discriminator": "polynomial"}])
def test_throw_false_returns_the_status(options):
    data, latents = rows([4.0, 2.0], tilt=[0.0, 0.9] if options.get("discriminator") == "linear" else None), Z[:, :1]
    latents = latents - latents.mean()
    with pytest.raises(cg.InfeasibleError) as error:
        cg.solve(data, latents, beta=0.01, **options)
    sol = cg.solve(data, latents, beta=0.01, throw=False, **options)
    assert sol.status is cg.Status.INFEASIBLE == "infeasible"
    assert (sol.value, sol.generator, sol.discriminator, sol.certificate) == (np.inf, None, None, None)
    assert sol.stats["message"] == str(error.value)
    assert f"{error.value.smallest_beta:.6g}" in sol.stats["message"]
    assert sol.status.sentence in str(sol)
    with pytest.raises(ValueError, match="nothing to save"):
        sol.save("never.npz")


def test_bad_arguments_raise_whatever_throw_says():
    with pytest.raises(ValueError, match="beta"):
        cg.solve(X, Z, beta=-1, throw=False)


def test_every_status_is_a_sentence():
    for status in cg.Status:
        assert status.sentence.endswith(".") and len(status.sentence.split()) > 5


@pytest.mark.parametrize("discriminator", ["linear", "quadratic", "polynomial"])
@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_print_warns_when_the_mean_dominates(discriminator, offset):
    biased = cg.generators.Linear(bias=True)
    sol = cg.solve(X + offset, cg.GaussianLatent(3), beta=0.5, discriminator=discriminator, generator=biased)
    warned = "the mean makes up most" in str(sol)
    assert warned == (discriminator == "quadratic" and offset > 0) == bool(sol.warnings)
    assert f"{sol.value:.10g}" in str(sol) and sol.certificate.kind in str(sol)


# -- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CELLS)
def test_save_and_load(tmp_path, name):
    case, path = CELLS[name], tmp_path / "run.npz"
    sol = case.solve(lam=0.9, **seeded(name))
    sol.save(path)
    again = cg.load(path)
    assert (again.value, again.status, again.method) == (sol.value, sol.status, sol.method)
    assert again.certificate == sol.certificate and again.warnings == sol.warnings
    assert again.stats["reason"] == sol.stats["reason"]
    for name in ("neurons", "outer", "biases"):
        np.testing.assert_array_equal(getattr(again.discriminator, name), getattr(sol.discriminator, name))
    assert_alike(again.discriminator(case.X), sol.discriminator(case.X))
    assert_alike(again.generator.sample(7, 3), sol.generator.sample(7, 3))
    if isinstance(case.Z, np.ndarray):
        assert_alike(again.generator(case.Z), sol.generator(case.Z))
    assert cg.verify(again.certificate, case.X).kind == sol.certificate.kind
    assert str(again) == str(sol)
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_save_of_moment_latents(tmp_path):
    sol = cg.solve(X, cg.Moments.from_array(Z), beta=0.3)
    sol.save(tmp_path / "a.npz")
    again = cg.load(tmp_path / "a.npz")
    assert_alike(again.generator(Z), sol.generator(Z))
    with pytest.raises(ValueError, match="only the moments"):
        again.generator.sample(2)


@pytest.mark.parametrize("array", ["settings.json", "neurons", "generator.weights"])
def test_damaged_solutions_give_a_value_error_with_the_path(tmp_path, array):
    path = tmp_path / "run.npz"
    cg.solve(X, Z, beta=0.3).save(path)
    whole = path.read_bytes()
    middle = whole.find(array.encode()) + len(array) + 120
    for damaged in (b"", whole[:100], whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"run\.npz"):
            cg.load(path)


@pytest.mark.parametrize("array", ["neurons", "outer", "biases", "generator.weights", "generator.bias"])
@pytest.mark.parametrize("change", ["drop", "shape"])
def test_solutions_with_impossible_content_are_refused(tmp_path, array, change):
    path = tmp_path / "run.npz"
    cg.solve(X, Z, beta=0.3).save(path)
    with np.load(path) as file:
        content = dict(file)
    if change == "drop":
        del content[array]
    else:
        content[array] = np.zeros((1, 2, 3))
    np.savez(path, **content)
    with pytest.raises(ValueError, match=r"run\.npz"):
        cg.load(path)


def test_other_files_are_not_solutions(tmp_path):
    path = tmp_path / "m.npz"
    cg.Moments.from_array(X).save(path)
    with pytest.raises(ValueError, match=r"m\.npz"):
        cg.load(path)
    with pytest.raises(FileNotFoundError):
        cg.load(tmp_path / "absent.npz")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    sol = cg.solve(X, Z, beta=0.3)
    sol.save(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        cg.solve(X, Z, beta=0.5).save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["run.npz"]


# -- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "nearest"),
    [
        ({"discriminator": "quadratc"}, "quadratic"),
        ({"discriminator": "Polynomial"}, "polynomial"),
        ({"generator": "liner"}, "linear"),
        ({"generator": "freee"}, "free"),
        ({"regularizer": "weight"}, "weights"),
        ({"reduction": "sums"}, "sum"),
        ({"bias": "penalised"}, "penalized"),
        ({"method": "closed-form"}, "closed_form"),
        ({"method": "program", "solver": "clarable"}, "CLARABEL"),
    ],
)
def test_unknown_names_suggest_the_nearest(options, nearest):
    with pytest.raises(ValueError, match=f"Did you mean '{nearest}'"):
        cg.solve(X, Z, beta=0.3, **options)


def test_classes_and_instances_are_accepted():
    for discriminator in ("quadratic", cg.discriminators.Quadratic, cg.discriminators.Quadratic()):
        for generator in ("linear", cg.generators.Linear, cg.generators.Linear()):
            case = Case(X, Z, {"discriminator": discriminator, "generator": generator})
            assert case.solve(beta=0.3).value == cg.solve(X, Z, beta=0.3).value
    assert cg.solve(X, Z, beta=0.3, method="program", solver="clarabel").stats["solver"] == "CLARABEL"


def test_public_names_exist_and_are_listed():
    missing = [n for n in cg.__all__ if n not in ("ConvexWGAN", "ProgressiveConvexGAN") and not hasattr(cg, n)]
    assert missing == [] and set(cg.__all__) <= set(dir(cg))
    with pytest.raises(AttributeError, match="no attribute 'slove'"):
        cg.slove  # noqa: B018


def test_every_room_is_there_without_an_import_of_its_own():
    parts = {path.parent.name for path in (ROOT / "convexgan").glob("[!_]*/__init__.py")}
    parts -= {"cli", "closed_forms", "conic", "games", "records", "rigorous", "statistics"}  # the house's own
    assert parts <= set(dir(cg))
    code = f"import convexgan as cg; print(all(getattr(cg, name).__doc__ for name in {sorted(parts)}))"
    assert python(code).strip() == "True"


# -- importing ---------------------------------------------------------------------------------------------------

HEAVY = ["cvxpy", "sklearn", "typer", "rich", "PIL", "torch", "dask", "matplotlib"]


def python(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_import_is_light():
    work = "import numpy, convexgan as cg; cg.solve(numpy.eye(3), cg.GaussianLatent(3), beta=.1); import sys;"
    assert python(f"{work} print([m for m in {HEAVY} if m in sys.modules])").strip() == "[]"


def test_import_is_fast():
    code = "import time; import convexgan; print(time.process_time())"
    assert min(float(python(code)) for _ in range(3)) < 0.5
