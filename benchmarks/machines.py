"""The whole suite on every machine this one can be: matrix kernels and threads; versions of Python and the libraries.

OpenBLAS takes its kernel from OPENBLAS_CORETYPE; each is the machine of somebody. Kernels that this processor cannot
run are left out, names of the same kernel run once. Environments are built under build/machines; results of the code
as it stands are kept there, one file a cell, so that a run that was interrupted goes on where it was.

Every environment but the first goes without torch where its Python has no wheel for the CPU alone: PyPI's brings
gigabytes of CUDA. What needs torch is then left out by name.

Examples: python -m benchmarks.machines
          python -m benchmarks.machines --numerical      (numerical files under two further kernels, as .ci/run does)
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from benchmarks import _report

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build" / "machines"
KERNELS = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX")
FURTHER = ("SkylakeX", "Haswell", "Prescott")  # as unlike as can be: 512, 256 and 128 bits a register
NEEDING_TORCH = (  # besides the files that import it; by the beginning of their names
    "test_cli.py::test_errors_are_one_line[train",
    "test_cli.py::test_errors_are_one_line[fit nowhere --out t --device",
    "test_cli.py::test_train_",
    "test_cli_mistakes.py::test_training_writes_only",
    "test_cli_mistakes.py::test_sizes_that_no_stage_has",
    "test_cli_mistakes.py::test_files_that_could_not_be_written_are_refused_before_the_work[export",
    "test_cli_mistakes.py::test_an_interrupted_training",
    "test_cli_mistakes.py::test_a_training_is_not_taken",
    "test_docs.py::test_examples_run[dynamics]",
    "test_docs.py::test_examples_run[faces]",
    "test_docs.py::test_examples_run[problems]",
    "test_docs.py::test_examples_run[start-optimizer]",
    "test_docs.py::test_examples_run[start-torch]",
    "test_docs.py::test_examples_run[torch]",
    "test_docs.py::test_examples_run[why-convex]",
    "test_faults.py::test_passes_of_a_processor_and_of_a_device",
    "test_extras.py::test_sample_and_export_say_in_json",
    "test_folders.py::test_strict_stops_every_command",
    "test_metric_nets.py::test_a_missing_package_is_named[efficientnet",
    "test_metric_nets.py::test_other_files_are_not_taken",
    "test_metric_nets.py::test_weights_that_would_run_code",
    "test_metric_nets.py::test_efficientnet_gets",
    "test_metric_nets.py::test_fid_is_called_so_only",
    "test_metric_nets.py::test_inception_without_torch_fidelity",
    "test_metrics.py::test_frechet_and_kernel_distances_agree_with_torchmetrics",
    "test_metrics.py::test_a_net_of_the_shape_of_inception",
    "test_metrics.py::test_chunks_of_pictures_are_the_same",
    "test_metrics.py::test_floats_between_0_and_1_are_warned_of",
    "test_own_activations.py::test_every_verb_takes_it",
    "test_own_generators.py::test_torch_says",
    "test_progress.py::test_in_a_pipe_each_phase_is_one_line_and_under_quiet_there_is_none[export",
    "test_progress.py::test_in_a_pipe_each_phase_is_one_line_and_under_quiet_there_is_none[train",
    "test_progress.py::test_on_a_terminal_it_moves[train",
    "test_readme.py::test_examples_run",
    "test_solve.py::test_every_room_is_there",
    "test_squared_relu.py::test_modules_audits",
    "test_squared_relu.py::test_the_loss_has_the_gradient",
    "test_streaming.py::test_torch_gives_the_same",
    "test_streaming.py::test_devices_that_are_not_there",
    "test_streaming.py::test_a_pass_on_a_device",
    "test_updates.py::test_moments_that_are_reused",
)
BESIDE = {"ruff", "mypy", "import-linter", "jupytext", "nbconvert", "ipykernel"}  # not the suite's: need newer versions
CORES = os.cpu_count() or 1
NUMERICAL = (
    "arrangements balance certify closed_forms conditional conic discriminators double_oracle estimators faults "
    "forgeries frozen games gaussian halfspaces integers krylov latents linear_bound linear_steps low_rank mean_games "
    "mixtures moments noise offsets own_activations own_backends own_games own_generators own_methods own_updates "
    "partial pathology pipeline program_constraints programs progressive real_data relu relu_generator relu_generators "
    "rigorous scales solve squared_relu streaming table two_sample updates"
)


class Version(NamedTuple):
    """An environment: its name, its interpreter, the constraints of its packages and whether it has torch."""

    name: str
    python: str
    constraints: str
    torch: bool


class Cell(NamedTuple):
    """One machine: an environment, a kernel with its names, and the number of threads."""

    version: Version
    kernel: str
    names: list[str]
    threads: int

    def results(self) -> Path:
        """The file of its results, for the code as it stands."""
        return BUILD / digest() / (re.sub(r"\W+", "-", f"{self.version.name} {self.kernel} {self.threads}") + ".xml")


def main() -> None:
    """Run what is not known yet and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numerical", action="store_true", help="numerical files only, under two further kernels")
    if parser.parse_args().numerical:
        sys.exit(further())
    versions, missing = found_versions()
    cells = matrix(versions)
    try:
        for cell in cells:
            run(cell)
    except KeyboardInterrupt:
        print("interrupted: the next call goes on from here", file=sys.stderr)
    rows = [
        [digest(), cell.version.name, " = ".join(cell.names), cell.threads, *outcome(cell.results())]
        for cell in cells
        if cell.results().exists()
    ]
    columns = [
        "code",
        "versions",
        "OPENBLAS_CORETYPE",
        "threads",
        "passed",
        "skipped",
        "failed",
        "minutes",
        "which failed",
    ]
    text = f"The test suite on every matrix kernel that the processor runs: {len(rows)} of {len(cells)} cells.{missing}"
    _report.write("machines", columns, rows, text, quick=False)
    sys.exit(any(row[6] for row in rows) or len(rows) < len(cells))


def matrix(versions: list[Version]) -> list[Cell]:
    """All cells: every kernel with one and two threads on the first version, the default one on the others."""
    found = {version: kernels(interpreter(version)) for version in versions}
    cells = [
        Cell(versions[0], kernel, names, threads)
        for kernel, names in found.pop(versions[0]).items()
        for threads in (1, 2)
    ]
    defaults = ((version, *item) for version, known in found.items() for item in known.items())
    return cells + [Cell(version, kernel, names, 1) for version, kernel, names in defaults if "default" in names]


@cache
def digest() -> str:
    """A name for the code as it stands."""
    files = [path for folder in ("convexgan", "tests", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
    content = b"".join(path.read_bytes() for path in [*files, ROOT / "pyproject.toml", ROOT / "constraints.txt"])
    return hashlib.sha256(content).hexdigest()[:12]


# -- versions ------------------------------------------------------------------------------------------------------


def found_versions() -> tuple[list[Version], str]:
    """The environments to test, this very one first, and a sentence on the interpreters that are missing."""
    tested = (ROOT / "constraints.txt").read_text()
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    versions = [Version(f"tested, Python {own}", sys.executable, tested, True)]
    versions.append(Version(f"lowest, Python {own}", sys.executable, lowest(tested), True))
    missing = []
    for other in ("3.11", "3.12", "3.13"):
        if other == own:
            continue
        if python := working(f"python{other}"):
            versions.append(Version(f"tested, Python {other}, without torch", python, tested, False))
        else:
            missing.append(other)
    return versions, f" Not found here: Python {', '.join(missing)}." if missing else ""


def working(name: str) -> str | None:
    """The path of an interpreter on the PATH that runs (pyenv's are shims that may not), or among pyenv's own."""
    own = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in [shutil.which(name), *sorted(own.glob(f"{name.removeprefix('python')}*/bin/{name}"))]:
        if path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return str(path)
    return None


def lowest(tested: str) -> str:
    """The tested constraints with every lower bound of pyproject.toml in place of the tested version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    given = [project["dependencies"], *project["optional-dependencies"].values()]
    bounds = dict(line.split(">=") for lines in given for line in lines if ">=" in line)
    for name, least in bounds.items():
        tested = re.sub(rf"^{re.escape(name)}==.*$", f"{name}=={least}", tested, flags=re.MULTILINE | re.IGNORECASE)
    return tested


def interpreter(version: Version) -> str:
    """The environment's own Python, built on first use."""
    if version.python == sys.executable and version.constraints == (ROOT / "constraints.txt").read_text():
        return sys.executable
    slug = re.sub(r"\W+", "-", version.name).lower()
    home, constraints = BUILD / slug, BUILD / f"{slug}.txt"
    made, wanted = home / ".made", requirements(version.torch)
    asked = "\n".join([version.constraints, *wanted])
    if not made.exists() or made.read_text() != asked:
        BUILD.mkdir(parents=True, exist_ok=True)
        constraints.write_text(version.constraints)
        subprocess.run([version.python, "-m", "venv", "--clear", home], check=True)
        install = [home / "bin/python", "-m", "pip", "install", "-qq", "-c", constraints, "-e", ROOT, *wanted]
        subprocess.run(install, check=True)
        made.write_text(asked)
    return str(home / "bin" / "python")


def requirements(torch: bool) -> list[str]:
    """What the extras bring that the suite uses, without what brings torch unless it is wanted."""
    given = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    every = re.findall(r"\w+", given["all"][0].partition("[")[2])
    wanted = [line for name in ("dev", *every) for line in given[name] if line not in BESIDE]
    return [line for line in wanted if torch or "torch" not in line]


# -- kernels and runs ----------------------------------------------------------------------------------------------


def kernels(python: str) -> dict[str, list[str]]:
    """OPENBLAS_CORETYPE of every kernel that numpy and scipy run here, each with all its names; the default first."""
    names: dict[str, list[str]] = {}
    for kernel in ("", *KERNELS):
        run = subprocess.run([python, "-c", PROBE], env=environment(kernel, 1), capture_output=True, text=True)
        if run.returncode == 0:  # otherwise an instruction the processor does not have
            names.setdefault(run.stdout, []).append(kernel)
    return {same[-1 if "" in same else 0]: [name or "default" for name in same] for same in names.values()}


PROBE = """
import numpy, scipy.linalg, threadpoolctl
rows = numpy.random.default_rng(0).standard_normal((300, 200))
scipy.linalg.eigh(rows.T @ rows)
print(sorted({str(pool.get("architecture")) for pool in threadpoolctl.threadpool_info()}), end="")
"""


def environment(kernel: str, threads: int) -> dict[str, str]:
    """The environment of a run on a kernel ("" for the default one)."""
    given = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT), "OPENBLAS_CORETYPE": kernel}
    return {name: value for name, value in given.items() if value}


def run(cell: Cell) -> None:
    """Run the suite, unless its results are known."""
    results = cell.results()
    if results.exists():
        return
    print(f"== {cell.version.name}, {' = '.join(cell.names)}, {cell.threads} threads", file=sys.stderr, flush=True)
    results.parent.mkdir(parents=True, exist_ok=True)
    part, workers = results.with_suffix(".part"), max(CORES // cell.threads, 1)
    command = [interpreter(cell.version), "-m", "pytest", "-q", "-n", str(workers), f"--junitxml={part}"]
    without = [] if cell.version.torch else needing_torch()
    found = subprocess.run([*command, *without], cwd=ROOT, env=environment(cell.kernel, cell.threads), stdout=2)
    if found.returncode not in (0, 1):
        sys.exit(f"pytest ended with {found.returncode}: it passes with 0 and fails with 1")
    part.rename(results)


def needing_torch() -> list[str]:
    """pytest's options that leave out what needs torch, by name."""
    needing = re.compile(r"^(import torch|from torch|from convexgan\.torch|from tests\.test_torch)", re.MULTILINE)
    files = [path for path in sorted((ROOT / "tests").glob("test_*.py")) if needing.search(path.read_text())]
    ignored = [f"--ignore={path.relative_to(ROOT)}" for path in files]
    return ignored + [f"--deselect=tests/{name}" for name in NEEDING_TORCH]


OUTCOME = ("passed", "skipped", "failed", "minutes", "which failed")


def outcome(path: Path) -> list[str | int]:
    """What a file of results says: numbers that passed, were skipped and failed, minutes, and names of the failed."""
    suite = ElementTree.parse(path).getroot().find("testsuite")
    if suite is None:
        raise ValueError(f"{path} holds no results: remove it.")
    failed = [
        f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        for case in suite.iter("testcase")
        if case.find("failure") is not None or case.find("error") is not None
    ]
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    minutes = round(float(suite.get("time", 0)) / 60)
    return [total - skipped - len(failed), skipped, len(failed), minutes, "; ".join(failed) or "none"]


def further() -> int:
    """Run the numerical files under two kernels that are not the default one; 0 if all pass."""
    found, files = kernels(sys.executable), [f"tests/test_{name}.py" for name in NUMERICAL.split()]
    others = [name for names in found.values() if "default" not in names for name in names]
    chosen = [kernel for kernel in FURTHER if kernel in others]
    for kernel in chosen[:2]:
        print(f"== OPENBLAS_CORETYPE={kernel}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", *files]
        if code := subprocess.run(command, cwd=ROOT, env=environment(kernel, 1)).returncode:
            return code
    return 0


if __name__ == "__main__":
    main()
