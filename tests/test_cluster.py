"""Passes on a Dask cluster: the same models, whoever computes them and whichever worker dies."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import convexgan as cg
from benchmarks._pictures import power_law
from convexgan.cli import app
from convexgan.progressive import cluster, passes, streaming
from convexgan.progressive.histogram import Quantiles
from convexgan.progressive.passes import ArrayPictures
from convexgan.progressive.sums import FirstPass, Product
from tests.test_streaming import saved

IMAGES = power_law(300, 16)
# Dask's own: sockets and loops that its shutdown leaves to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


class Slow(ArrayPictures):
    """Pictures whose blocks take a while, each of which is noted in a file."""

    def blocks(self, start: int = 0) -> Iterator[np.ndarray]:
        for i in range(start, self.parts):
            with open(os.environ["CONVEXGAN_BLOCKS"], "a") as file:
                file.write(f"{os.getpid()}\n")
            time.sleep(0.02)
            yield self.images[25 * i : 25 * i + 25]

    @property
    def parts(self) -> int:
        return len(self.images) // 25


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    with mock.patch.dict(os.environ), pytest.MonkeyPatch.context() as patched:  # Dask leaves OMP_NUM_THREADS=1 there
        patched.setenv("CONVEXGAN_BLOCKS", str(tmp_path_factory.mktemp("dask") / "blocks"))
        patched.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        options: dict[str, Any] = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
        with LocalCluster(**options) as local, Client(local) as client:
            yield client


@pytest.fixture
def iterating(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "COMPLETE", 60)
    monkeypatch.setattr(cluster, "BLOCKS", 2)


def fitted(client: Any) -> cg.ProgressiveConvexGAN:
    model = cg.ProgressiveConvexGAN(sizes=[4, 8], ranks=[8, 20], histogram=True, random_state=0)
    return model.fit(Slow(IMAGES), client=client)


def test_a_killed_worker_changes_nothing(iterating, client, tmp_path):
    noted = Path(os.environ["CONVEXGAN_BLOCKS"])
    whole = fitted(client)
    blocks = len(noted.read_text().split())
    noted.unlink()
    killed: list[int] = []

    def kill() -> None:
        while not noted.exists() or len(noted.read_text().split()) < blocks // 3:
            time.sleep(0.002)
        killed.append(int(noted.read_text().split()[-1]))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    again = saved(fitted(client), tmp_path / "killed.npz")
    thread.join(timeout=1)
    assert again == saved(whole, tmp_path / "whole.npz")
    assert killed and killed[0] != os.getpid()
    assert set(noted.read_text().split()[-5:]) != {str(killed[0])}
    local = cg.ProgressiveConvexGAN(sizes=[4, 8], ranks=[8, 20]).fit(IMAGES)  # sums in another order
    for one, other in zip(whole.stages_, local.stages_, strict=True):
        assert one.certificate.kind == "saddle" and one.beta == pytest.approx(other.beta, rel=1e-5)


def test_the_command_line_uses_a_cluster_and_says_where_none_is(client, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(IMAGES[:40]):
        Image.fromarray(picture).save(tmp_path / f"photos/{i:02}.png")
    options = ["fit", str(tmp_path / "photos"), "--size", "8", "--ranks", "3,4", "--workers", "1"]
    for name, more in (("one", []), ("other", ["--dask", client.scheduler.address])):
        done = CliRunner().invoke(app, [*options, "--out", str(tmp_path / name), *more])
        assert done.exit_code == 0, done.output
    one, other = (cg.ProgressiveConvexGAN.load(tmp_path / name / "model.npz") for name in ("one", "other"))
    assert [s.beta for s in one.stages_] == pytest.approx([s.beta for s in other.stages_], rel=1e-6)
    nobody = [*options, "--out", str(tmp_path / "third"), "--dask", "127.0.0.1:9"]
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    done = CliRunner().invoke(app, nobody)
    assert done.exit_code == 2 and "no Dask scheduler answers at '127.0.0.1:9'" in done.stderr


def test_a_local_cluster_is_one_of_processes():
    with cluster.connect("local") as client:
        assert client.submit(os.getpid).result() != os.getpid()
        assert len(client.scheduler_info(n_workers=-1)["workers"]) >= 1


@pytest.mark.parametrize("kind", ["first", "product", "quantiles"])
def test_sums_of_parts_are_those_of_the_whole(kind):
    vectors, mean = np.random.default_rng(0).standard_normal((192, 5)), np.zeros(192)
    make: Any = {
        "first": lambda: FirstPass(16, 8, 3),
        "product": lambda: Product(vectors, 8, mean, 4, 3),
        "quantiles": lambda: Quantiles(8, 3),
    }[kind]
    whole, sum_ = make(), make()
    whole.update(IMAGES)
    for rows in (IMAGES[:40], IMAGES[40:290], IMAGES[290:]):
        part = sum_.empty()
        part.update(rows)
        sum_.add(part)
    if kind == "quantiles":
        np.testing.assert_allclose(sum_.at_knots(), whole.at_knots(), atol=1e-12)
        return
    np.testing.assert_allclose(sum_.total, whole.total, rtol=1e-5, atol=1e-5)
    if kind == "first":
        assert sum_.count == whole.count == 300
        np.testing.assert_allclose(sum_.moments.second, whole.moments.second, atol=1e-5)


def test_arrays_and_caches_know_how_many_blocks_they_have(monkeypatch):
    monkeypatch.setattr(passes, "BLOCK", 64)
    assert ArrayPictures(IMAGES).parts == len(list(ArrayPictures(IMAGES).blocks())) == 5
