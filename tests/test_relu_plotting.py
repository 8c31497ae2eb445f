"""Figures of ReLU discriminators show the numbers they are given: scores, cells, bounds and weights."""

from __future__ import annotations

import numpy as np
import pytest

import convexgan as cg
from convexgan.discriminators import TwoLayerDiscriminator, as_discriminator
from convexgan.plotting import (
    SearchTrace,
    arrangement_plot,
    equilibrium_plot,
    search_plot,
    witness_plot,
)


def pair(d, n=10):
    rng = np.random.default_rng(d)
    return rng.standard_normal((n, d)) + 0.5, rng.standard_normal((n - 3, d))


def dotted(panel):
    return [line for line in panel.lines if line.get_linestyle() == ":"]


def test_the_witness_has_its_scores_the_right_way_round_and_its_bends(tmp_path):
    X, Y = pair(2)
    critic = TwoLayerDiscriminator(
        np.array([[1.0, 0], [0, 2], [0, 0]]), np.array([1.0, -3, 1]), cg.discriminators.ReLU(), np.array([0.5, 1, 0])
    )
    panel = witness_plot(critic, X, Y, tmp_path / "a.svg")
    scores, (left, right, low, high) = panel.images[0].get_array(), panel.images[0].get_extent()
    assert panel.images[0].origin == "lower"
    corners = critic(np.array([[left, low], [right, low], [left, high]]))
    assert [scores[0, 0], scores[0, -1], scores[-1, 0]] == pytest.approx(list(corners))
    assert all(left < x < right and low < y < high for x, y in np.concatenate([X, Y]))
    assert [tuple(line.get_xy1()) for line in dotted(panel)] == [(-0.5, 0), (0, -0.5)]
    assert f"difference of mean scores {critic(X).mean() - critic(Y).mean():.4g}" in (tmp_path / "a.svg").read_text()


def test_a_bend_far_from_the_points_leaves_no_part_of_the_panel_without_scores():
    X, Y = pair(2)
    critic = TwoLayerDiscriminator(np.array([[0.0, 1]]), np.ones(1), cg.discriminators.ReLU(), np.array([50.0]))
    panel = witness_plot(critic, X, Y)
    assert [*panel.get_xlim(), *panel.get_ylim()] == pytest.approx(panel.images[0].get_extent())


def test_neurons_that_do_not_bend_have_no_lines():
    critic = TwoLayerDiscriminator(np.eye(2), np.ones(2), as_discriminator("quadratic"))
    assert not dotted(witness_plot(critic, *pair(2)))


def test_the_areas_of_particles_are_their_weights(tmp_path):
    X = pair(2)[0]
    ticks = np.linspace(-2, 2, 7)
    particles = np.array([(a, b) for a in ticks for b in ticks])
    sol = cg.solve(X, discriminator="relu", generator=cg.generators.Mixture(particles), beta=0.2)
    panel = equilibrium_plot(sol, X, tmp_path / "a.svg")
    data, law = panel.collections[:2]
    assert (data.get_offsets() == X).all() and (law.get_offsets() == sol.generator.particles).all()
    shares = law.get_sizes() / law.get_sizes().sum()
    assert shares == pytest.approx(sol.generator.weights)
    assert len(dotted(panel)) == len(sol.discriminator.outer)
    assert (
        f"saddle: {len(shares)} particles, {len(sol.discriminator.outer)} neurons" in (tmp_path / "a.svg").read_text()
    )


def test_the_borders_of_planar_cells_are_where_the_rows_turn_on(tmp_path):
    X, Y = pair(2)
    panel = arrangement_plot(X, Y, tmp_path / "a.svg")
    for rows, colour in ((X, "tab:blue"), (Y, "tab:red")):
        at = np.radians(
            [line.get_xdata()[0] for line in panel.lines if line.get_color() == colour and len(line.get_xdata())]
        )
        assert len(at) == 2 * len(rows)
        products = np.abs(rows @ [np.cos(at), np.sin(at)])
        assert (products.min(axis=0) < 1e-12).all() and (np.sort(products, axis=1)[:, :2] < 1e-12).all()
    (star,) = (line for line in panel.lines if line.get_marker() == "*")
    assert abs(star.get_ydata()[0]) == pytest.approx(cg.ipm(X, Y).value)
    assert f"{2 * len(X) + 2 * len(Y)} cells" in (tmp_path / "a.svg").read_text()


def test_the_sphere_shows_each_direction_where_it_lies(tmp_path):
    X, Y = pair(3, 6)
    panel = arrangement_plot(X, Y, tmp_path / "a.svg")
    (star,) = (line for line in panel.lines if line.get_marker() == "*")
    lon, lat = star.get_xdata()[0], star.get_ydata()[0]
    assert [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)] == pytest.approx(cg.ipm(X, Y).direction)
    mesh, *borders = panel.collections
    assert 0.99 < np.abs(mesh.get_array()).max() / cg.ipm(X, Y).value <= 1
    assert len(borders) == len(X) + len(Y)
    for row, border in zip(np.concatenate([X, Y]), borders, strict=True):
        lon, lat = np.concatenate([path.vertices for path in border.get_paths()]).T
        u = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
        assert np.abs(u @ row).max() < 1e-3 * np.linalg.norm(row)
    assert "74 cells" in (tmp_path / "a.svg").read_text()  # 2 (1 + 8 + 28), Cover


def test_a_zero_row_has_no_border():
    for d in (2, 3):
        X, Y = pair(d, 5)
        with_zero, without = arrangement_plot(np.vstack([X, np.zeros(d)]), Y), arrangement_plot(X, Y)
        assert (len(with_zero.lines), len(with_zero.collections)) == (len(without.lines), len(without.collections))


def test_bounds_are_drawn_as_the_search_reported_them(tmp_path):
    trace = SearchTrace()
    found = cg.ipm(*pair(4, 20), progress=trace)
    assert trace.seconds == sorted(trace.seconds) and 0 < trace.seconds[0] <= trace.seconds[-1]
    assert trace.values[-1] == pytest.approx(found.value) and trace.bounds[-1] == pytest.approx(found.upper_bound)
    assert trace.cones[-1] == found.stats["nodes"]
    panels = search_plot({"four columns": trace}, tmp_path / "a.svg")
    for panel, x in zip(panels, (trace.seconds, trace.cones), strict=True):
        bound, value = panel.lines
        assert list(bound.get_xdata()) == list(value.get_xdata()) == list(x)
        assert list(bound.get_ydata()) == trace.bounds and list(value.get_ydata()) == trace.values
    words = (tmp_path / "a.svg").read_text()
    for text in ("four columns", "seconds", "cones", "proved bound (solid), value found (dashed)"):
        assert f"<!-- {text} -->" in words


def test_what_is_refused(tmp_path):
    path, (X, Y) = tmp_path / "a.svg", pair(2)
    critic = cg.ipm(X, Y).critic
    with pytest.raises(ValueError, match="Y has 3 columns"):
        witness_plot(critic, X, pair(3)[1], path)
    with pytest.raises(ValueError, match="the discriminator has 3"):
        witness_plot(cg.ipm(*pair(3)).critic, X, Y, path)
    with pytest.raises(ValueError, match=r"X .* has NaN"):
        witness_plot(critic, X * np.nan, Y, path)
    with pytest.raises(ValueError, match="holds no mixture"):
        equilibrium_plot(cg.solve(X, cg.GaussianLatent(2), beta=0.1), X, path)
    with pytest.raises(ValueError, match="4 columns"):
        arrangement_plot(*pair(4), path)
    with pytest.raises(ValueError, match="traces is empty"):
        search_plot({}, path)
    with pytest.raises(ValueError, match="trace 'planar' is empty"):
        search_plot({"planar": SearchTrace()}, path)
    for plot in (lambda p: witness_plot(critic, X, Y, p), lambda p: arrangement_plot(X, Y, p)):
        with pytest.raises(ValueError, match="no figure suffix"):
            plot(tmp_path / "a.doc")
    assert not list(tmp_path.iterdir())
