"""Samples on the command line: what files and pipes hold, and the test of two of them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import convexgan as cg
from convexgan._tools.tables import Table
from convexgan.cli.app import app
from convexgan.cli.arrays import read_sample

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((40, 2)), RNG.standard_normal((30, 2)) + 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, rows in (("X", X), ("Y", Y)):
        np.save(f"{name}.npy", rows)
        write_csv(f"{name}.csv", rows, "a,b")
        write_csv(f"{name}-plain.csv", rows, "")
    write_csv("swapped.csv", Y[:, ::-1], "b,a")
    return tmp_path


def write_csv(path: str, rows: np.ndarray, head: str) -> None:
    np.savetxt(path, rows, delimiter=",", header=head, comments="", fmt="%.17g")
    if not head:
        Path(path).write_text(Path(path).read_text().lstrip("\n"))


def run(*arguments: str, piped: bytes | None = None) -> Any:
    return CliRunner().invoke(app, list(arguments), input=piped)


def values(*arguments: str, piped: bytes | None = None) -> dict[str, Any]:
    done = run(*arguments, "--json", piped=piped)
    assert done.exit_code == 0, (done.output, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(*arguments: str, piped: bytes | None = None) -> str:
    done = run(*arguments, piped=piped)
    assert done.exit_code == 2 and done.stdout == "" and done.stderr.count("\n") == 1, (done.output, done.exception)
    return str(done.stderr)


def as_npy(rows: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


@pytest.mark.usefixtures("folder")
def test_the_test_on_the_command_line_is_that_of_the_package() -> None:
    found, other = cg.two_sample_test(X, Y, permutations=99, rng=3), values("test", "X.npy", "Y.npy", *PERMUTED)
    names = ("statistic", "p_value", "permutations", "enumerated", "stopped", "exact", "held_out", "held_out_error")
    assert {name: other[name] for name in names} == {name: getattr(found, name) for name in names}
    assert other["witness"] == found.witness.neurons[0].tolist() and other["columns"] is None
    text = run("test", "X.npy", "Y.npy", *PERMUTED).stdout
    assert text.startswith(f"p = {found.p_value:.6g} (99 random permutations)\ndiscrepancy ") and "held-out" in text
    np.save("few.npy", X[:3])
    assert "all other splits" in run("test", "few.npy", "few.npy").stdout
    assert "stopped early" in run("test", "X.npy", "Y.npy", "--time-limit", "0").stdout
    assert "Example: convexgan test X.npy Y.csv" in run("test", "--help").stdout


PERMUTED = ("--permutations", "99", "--seed", "3")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "piped"),
    [
        (("X.csv", "Y.csv"), None),
        (("X-plain.csv", "Y.npy"), None),
        (("X.csv", "swapped.csv"), None),
        (("-", "Y.npy"), as_npy(X)),
        (("X.npy", "-"), "\n".join(f"{a!r};{b!r}" for a, b in Y.tolist()).encode()),
        (("X.npy", "-"), b"\xef\xbb\xbfa\tb\r\n" + "\r\n".join(f"{a!r}\t{b!r}" for a, b in Y.tolist()).encode()),
    ],
)
@pytest.mark.parametrize("verb", ["test", "ipm"])
def test_every_file_and_pipe_with_the_same_numbers_gives_the_same(
    verb: str, arguments: tuple[str, str], piped: bytes | None
) -> None:
    options = PERMUTED if verb == "test" else ()
    one, other = values(verb, "X.npy", "Y.npy", *options), values(verb, *arguments, *options, piped=piped)
    columns = other.pop("columns")
    assert columns == (["a", "b"] if ".csv" in arguments[0] + arguments[1] and "X.csv" in arguments else columns)
    one.pop("columns")
    assert one == other


@pytest.mark.usefixtures("folder")
def test_solve_audit_and_verify_read_tables() -> None:
    for name in ("X.npy", "X.csv"):
        found = values("solve", name, "--gaussian", "2", "--beta", "0.3", "--certificate", "cert.json")
        assert found["value"] == cg.solve(X, cg.GaussianLatent(2), beta=0.3).value
        assert run("verify", "cert.json", "X.csv").exit_code == 0
    assert run("verify", "cert.json", "-", piped=as_npy(X)).exit_code == 0
    assert run("verify", "cert.json", "Y.csv").exit_code == 1
    one, other = (values("audit", *names, "--beta", "2") for names in (("swapped.csv", "X.csv"), ("Y.npy", "X.npy")))
    assert one["value"] == pytest.approx(other["value"], rel=1e-12) and one["kind"] == other["kind"]
    assert values("solve", "X.csv", "Y.csv", "--beta", "2") == values("solve", "X.npy", "Y.npy", "--beta", "2")


@pytest.mark.usefixtures("folder")
def test_one_dimension_is_one_column_and_that_is_said() -> None:
    np.save("line.npy", X[:, 0])
    np.save("column.npy", X[:, :1])
    done = run("ipm", "line.npy", "column.npy", "--json")
    assert (
        json.loads(done.stdout)["value"] == 0 and "line.npy: 40 numbers, taken as samples of one column" in done.stderr
    )
    write_csv("single.csv", X[:, :1], "")
    assert read_sample(Path("single.csv")).shape == (40, 1)


def test_a_parquet_file_is_its_columns(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")  # of the extra tables
    import pyarrow

    parquet.write_table(pyarrow.table({"a": X[:, 0], "b": X[:, 1]}), tmp_path / "X.parquet")
    found = read_sample(tmp_path / "X.parquet")
    assert isinstance(found, Table) and found.columns == ("a", "b") and (found.rows == X).all()
    for columns, says in (
        ({"a": ["x", "y"]}, r"parquet\['a'\].*real numbers"),
        ({"a": [1.0, None]}, r"parquet\['a'\] has 1 missing"),
        ({"a": [1.0], "__index_level_0__": [3]}, "index=False"),
    ):
        parquet.write_table(pyarrow.table(columns), tmp_path / "odd.parquet")
        with pytest.raises(ValueError, match=says):
            read_sample(tmp_path / "odd.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "X.parquet").read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"cut.parquet is not a readable .parquet file"):
        read_sample(tmp_path / "cut.parquet")


@pytest.mark.usefixtures("folder")
def test_parquet_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    Path("X.parquet").write_bytes(b"PAR1")
    assert refused("ipm", "X.parquet", "Y.npy") == (
        "error: X.parquet needs pyarrow: pip install 'convexgan[tables]'.\n"
    )


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "odd.csv holds no numbers"),
        (b"\n\n", "odd.csv holds no numbers"),
        (b"a,b\n", "odd.csv holds no numbers"),
        (b"a,b\n1,2\n3\n", "odd.csv, line 3: 1 cells where the first line has 2"),
        (b"1,2\n3,4,\n", "odd.csv, line 2: 3 cells where the first line has 2"),
        (b"a,b\n1,2\n\n3,red\n", "odd.csv, line 4: column 'b' holds 'red', no number"),
        (b"1,2\n3,red\n", "odd.csv, line 2: column 2 holds 'red', no number"),
        (b"a,b\n1,\n", "odd.csv, line 2: column 'b' is empty"),
        (b"a;b\n1,5;2\n", "column 'a' holds '1,5', no number: .* decimals have a point"),
        (b"a,b\n1_0,2\n", "column 'a' holds '1_0', no number"),
        (b"a,a\n1,2\n", "odd.csv has the column 'a' more than once"),
        (b",a\n0,2\n", "odd.csv: column 1 has no name, as pandas writes the index"),
        (b"a,b\n1,nan\n2,3\n", "odd.csv has NaN or infinite entries in 1 of 2 rows, first in row 1"),
        ("a,b\n1,2\n".encode("utf-16"), "odd.csv is not text in UTF-8"),
        (b'a,b\n1,"2\n', "odd.csv, line"),
    ],
)
def test_tables_that_hold_something_else(content: bytes, says: str) -> None:
    Path("odd.csv").write_bytes(content)
    import re

    assert re.search(says, refused("ipm", "odd.csv", "Y.npy"))
    piped = re.sub(r"odd\.csv", "standard input", says)
    assert re.search(piped, refused("ipm", "-", "Y.npy", piped=content))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verb", ["ipm", "test", "solve"])  # audit makes rows of pictures
def test_pictures_are_to_be_flattened(verb: str) -> None:
    np.save("odd.npy", np.ones((2, 2, 2)))
    found = refused(verb, "odd.npy", "Y.npy", *(["--beta", "1"] if verb == "solve" else []))
    assert "odd.npy" in found and "of shape (2, 2, 2), is no table of samples and features: flatten" in found


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.float64(3), "of shape (), is no table"),
        (np.ones((0, 2)), "is empty"),
        (np.array([["a"]]), "must hold real numbers"),
        (np.array([[1j]]), "must hold real numbers"),
        (np.array([[np.inf, 1]]), "has NaN or infinite entries in 1 of 1 rows"),
    ],
)
@pytest.mark.parametrize("verb", ["ipm", "test", "solve", "audit"])
def test_arrays_that_are_no_samples_are_named_by_their_file(verb: str, array: Any, says: str) -> None:
    np.save("odd.npy", array)
    options = ["--beta", "1"] if verb in ("solve", "audit") else []
    found = refused(verb, "odd.npy", "Y.npy", *options)
    assert found.startswith("error: odd.npy") and says in found


@pytest.mark.usefixtures("folder")
def test_files_that_do_not_fit_together() -> None:
    assert "once: name a file for the other sample" in refused("test", "-", "-", piped=b"1\n")
    write_csv("other.csv", Y, "a,c")
    assert "the columns of Y are not those of X: Y lacks 'b' and also has 'c'" in refused("test", "X.csv", "other.csv")
    assert "gone.csv: No such file" in refused("test", "gone.csv", "Y.npy")
    assert "standard input is not a readable .npy file" in refused("ipm", "-", "Y.npy", piped=as_npy(X)[:200])


def test_a_pipe_of_a_shell(tmp_path: Path) -> None:
    np.save(tmp_path / "Y.npy", Y)
    command = [sys.executable, "-m", "convexgan", "test", "-", str(tmp_path / "Y.npy"), "--json", *PERMUTED]
    done = subprocess.run(command, input=as_npy(X), capture_output=True, check=True)
    assert json.loads(done.stdout)["p_value"] == cg.two_sample_test(X, Y, permutations=99, rng=3).p_value


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("0,1\n0.5,1.0\n", [[0.5, 1]]),  # as pandas writes columns without names
        ("0,1\n1,0\n", [[0, 1], [1, 0]]),
        ("0,1\n0.5,1\n", [[0, 1], [0.5, 1]]),
        ("0,1\n", [[0, 1]]),
    ],
)
def test_a_numbering_of_columns_is_no_sample(text: str, rows: list[list[float]], tmp_path: Path) -> None:
    (tmp_path / "X.csv").write_text(text)
    found = read_sample(tmp_path / "X.csv")
    assert np.asarray(found).tolist() == rows
    assert not isinstance(found, Table) or found.columns == (0, 1)
