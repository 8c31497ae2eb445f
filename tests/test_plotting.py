"""Sheets hold the right pixels in the right place; files appear whole or not at all."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import convexgan as cg
from convexgan.dynamics import GaussianKernel, phase_diagram
from convexgan.plotting import (
    SearchTrace,
    arrangement_plot,
    band_plot,
    contact_sheet,
    equilibrium_plot,
    phase_plot,
    rate_plot,
    save_animation,
    save_image,
    search_plot,
    spectrum_plot,
    stage_sheet,
    witness_plot,
)
from convexgan.plotting.sheets import GAP


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def tile(sheet: Image.Image, row: int, column: int, height: int, width: int, margin: int = 0) -> np.ndarray:
    top, left = GAP + row * (height + GAP), margin + GAP + column * (width + GAP)
    return np.asarray(sheet)[top : top + height, left : left + width]


@pytest.mark.parametrize("shape", [(5, 6, 4), (5, 6, 4, 3)])
def test_contact_sheet_is_in_reading_order(shape):
    images = noise(*shape)
    sheet = contact_sheet(images, columns=3)
    assert sheet.size == (GAP + 3 * (4 + GAP), GAP + 2 * (6 + GAP))
    assert sheet.mode == ("RGB" if len(shape) == 4 else "L")
    for index, image in enumerate(images):
        assert (tile(sheet, *divmod(index, 3), 6, 4) == image).all()
    assert (tile(sheet, 1, 2, 6, 4) == 255).all()
    assert (np.asarray(sheet)[:GAP] == 255).all()


def test_scale_makes_squares_of_pixels():
    images = noise(1, 2, 2)
    assert (tile(contact_sheet(images, 1, scale=3), 0, 0, 6, 6) == images[0].repeat(3, 0).repeat(3, 1)).all()


def test_fewer_pictures_than_columns_make_a_narrow_sheet():
    assert contact_sheet(noise(2, 4, 4), columns=10).width == GAP + 2 * (4 + GAP)


def test_labels_are_written_in_a_margin_and_move_the_pictures_only():
    images = noise(4, 16, 16)
    plain, labelled = contact_sheet(images, 2), contact_sheet(images, 2, labels=["real", ""])
    margin = labelled.width - plain.width
    assert margin > 0
    assert labelled.height == plain.height
    pixels = np.asarray(labelled)
    assert (pixels[:, margin:] == np.asarray(plain)).all()
    assert (pixels[:18, :margin] < 128).any()
    assert (pixels[20:, :margin] == 255).all()


def test_stage_sheet_enlarges_every_stage_to_the_finest():
    stages = [noise(3, 2, 2), noise(3, 4, 4), noise(3, 8, 8, 3)]
    sheet = stage_sheet(stages, scale=2)
    assert sheet.size == (GAP + 3 * (16 + GAP), GAP + 3 * (16 + GAP))
    for row, stage in enumerate(stages):
        factor = 16 // stage.shape[1]
        for column, image in enumerate(stage):
            expected = image.repeat(factor, 0).repeat(factor, 1)
            expected = expected if expected.ndim == 3 else expected[..., None]
            assert (tile(sheet, row, column, 16, 16) == expected).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: contact_sheet(np.zeros((2, 4, 4)), 2), "dtype float64"),
        (lambda: contact_sheet(noise(4, 4), 2), r"shape \(4, 4\)"),
        (lambda: contact_sheet(noise(2, 4, 4), 0), "columns must be an integer >= 1"),
        (lambda: contact_sheet(noise(2, 4, 4), 2, scale=0), "scale must be an integer >= 1"),
        (lambda: contact_sheet(noise(2, 4, 4), 2, labels=["a", "b"]), "labels has 2 entries for 1 rows"),
        (lambda: stage_sheet([]), "stages is empty"),
        (lambda: stage_sheet([noise(2, 4, 4), noise(3, 8, 8)]), r"\[2, 3\] pictures"),
        (lambda: stage_sheet([noise(2, 3, 3), noise(2, 8, 8)]), "divide the finest"),
        (lambda: stage_sheet([noise(2, 4, 8), noise(2, 8, 8)]), "divide the finest"),
    ],
)
def test_senseless_sheets_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_saved_picture_comes_back(tmp_path):
    sheet = contact_sheet(noise(4, 4, 4, 3), 2)
    for name in ("sheet.png", "SHEET.PNG"):
        save_image(sheet, tmp_path / name)
        with Image.open(tmp_path / name) as saved:
            assert (np.asarray(saved) == np.asarray(sheet)).all()


def test_failed_save_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail_halfway(image, file, name):
        file.write(b"half a pic")
        raise OSError("no space left")

    sheet = contact_sheet(noise(1, 4, 4), 1)
    monkeypatch.setitem(Image.SAVE, "PNG", fail_halfway)
    path = tmp_path / "old.png"
    path.write_text("old")
    with pytest.raises(OSError, match="no space left"):
        save_image(sheet, path)
    assert [file.name for file in tmp_path.iterdir()] == ["old.png"]
    assert path.read_text() == "old"


def test_animations_go_forward_and_backward(tmp_path):
    frames = [contact_sheet(np.full((1, 4, 4), level, np.uint8), 1) for level in (0, 100, 200)]
    save_animation(frames, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as moving:
        seen = []
        for i in range(moving.n_frames):
            moving.seek(i)
            seen.append(int(np.asarray(moving.convert("L"))[3, 3]))
    assert seen == [0, 100, 200, 100]
    with pytest.raises(ValueError, match=r"is not a \.gif"):
        save_animation(frames, tmp_path / "a.png")


def test_save_names_a_wrong_suffix_or_folder(tmp_path):
    sheet = contact_sheet(noise(1, 4, 4), 1)
    with pytest.raises(ValueError, match=r"sheet\.txt has no picture suffix"):
        save_image(sheet, tmp_path / "sheet.txt")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save_image(sheet, tmp_path / "nowhere" / "sheet.png")


SPECTRA = [[9.0, 6, 4, 1.5, 0.4], np.geomspace(100, 1e-3, 50)]


def test_spectrum_figure_shows_counts_and_betas(tmp_path):
    path = tmp_path / "spectrum.svg"
    spectrum_plot(SPECTRA, [1.0, 0.25], ["4 px", "8 px"], path)
    words = path.read_text()
    for text in ("4 px: 4 above beta", "8 px: 26 above beta", "beta = 0.25", "eigenvalue", "index"):
        assert f"<!-- {text} -->" in words


def test_spectrum_figure_has_a_panel_a_stage_and_no_global_state(tmp_path):
    for stages in (1, 2):
        spectrum_plot(SPECTRA[:stages], [1.0, 0.0][:stages], ["a", "b"][:stages], tmp_path / f"{stages}.png")
    with Image.open(tmp_path / "1.png") as one, Image.open(tmp_path / "2.png") as two:
        assert two.width > one.width
        assert two.height == one.height
    pyplot = sys.modules.get("matplotlib.pyplot")  # other libraries load it
    assert pyplot is None or not pyplot.get_fignums()


def test_spectrum_ignores_rounding_and_refuses_emptiness(tmp_path):
    path = tmp_path / "a.svg"
    spectrum_plot([[1.0, 0.0, 1e-18, -1e-18]], [0.0], ["a"], path)
    assert "a: 1 above beta" in path.read_text()
    with pytest.raises(ValueError, match="no positive eigenvalue at stage 'a'"):
        spectrum_plot([[0.0]], [1.0], ["a"], path)
    with pytest.raises(ValueError, match=r"betas \(1\) and labels \(2\) must match the 2 stages"):
        spectrum_plot(SPECTRA, [1.0], ["a", "b"], path)
    with pytest.raises(ValueError, match="no figure suffix"):
        spectrum_plot([[1.0]], [1.0], ["a"], tmp_path / "a.doc")


def test_bands_are_drawn_with_their_names_and_gaps(tmp_path):
    path, x = tmp_path / "bands.svg", [4.0, 1.0, 2.0]
    bands = {"learner": np.array([[3.0, 2, 4], [5, 4, 6], [9, 8, 20]])}
    dashed, marks = {"formula": [3.0, 5, np.inf]}, {"here": 2.0}
    band_plot(x, bands, path, dashed=dashed, marks=marks, labels=("k", "error"), title="title", closer=6.0)
    words = path.read_text()
    for text in ("learner", "formula", "here", "k", "error", "title"):
        assert f"<!-- {text} -->" in words
    assert words.count("<!-- error -->") == 2  # the closer panel
    with pytest.raises(ValueError, match=r"band 'learner' must have shape \(2, 3\), got \(3, 3\)"):
        band_plot([1, 2], bands, path)
    with pytest.raises(ValueError, match="no figure suffix"):
        band_plot(x, bands, tmp_path / "a.doc")


def test_phase_figure_has_axes_a_legend_and_refuses_what_does_not_fit(tmp_path):
    x, y = np.linspace(0.05, 1.5, 8), np.linspace(0.05, 4, 7)
    diagram = phase_diagram(GaussianKernel(1.0), y[:, None], (x, 0.4), method="simultaneous", steps=50)
    path = tmp_path / "a.svg"
    phase_plot(diagram, x, y, path, xlabel="step size", ylabel="lam")
    words = path.read_text()
    for text in ("border of: damped oscillation", "border of: diverge", "step size", "lam", "measured factor per step"):
        assert f"<!-- {text} -->" in words
    with pytest.raises(ValueError, match=r"x \(\(7,\)\) and y \(\(8,\)\) do not fit"):
        phase_plot(diagram, y, x, path)


def test_rate_figure_has_a_panel_for_each_game(tmp_path):
    path, curves = tmp_path / "a.svg", {"alternating": ([0.9, 1.0, 1.2], [0.9, np.nan, 1.2])}
    rate_plot([0.1, 0.2, 0.3], {"linear": curves, "quadratic": curves}, path)
    words = path.read_text()
    for text in ("linear", "quadratic", "alternating", "factor per step (lines predicted, points measured)"):
        assert f"<!-- {text} -->" in words
    assert words.count("<!-- step size -->") == 2
    with pytest.raises(ValueError, match="curves of 'alternating' must have shape"):
        rate_plot([0.1, 0.2], {"linear": curves}, path)
    with pytest.raises(ValueError, match="panels is empty"):
        rate_plot([0.1], {}, path)


X, Y = np.random.default_rng(1).standard_normal((2, 9, 2))
CURVES = {"a": ([0.9, 1.0], [0.9, 1.0])}
TRACE = SearchTrace()
TRACE(1.0, 2.0, 3)
SOLVED = cg.solve(X, discriminator="relu", generator="mixture", beta=0.3)
PHASES = phase_diagram(GaussianKernel(1.0), np.array([[1.0], [2.0]]), (np.array([0.1, 0.2]), 0.4), steps=5)
FIGURES = {  # each with the number of its panels
    "arrangement": (1, lambda **given: arrangement_plot(X[:4], Y[:4], **given)),
    "band": (1, lambda **given: band_plot([1.0, 2.0], {"a": np.ones((2, 3))}, **given)),
    "band, closer": (2, lambda **given: band_plot([1.0, 2.0], {"a": np.ones((2, 3))}, closer=2.0, **given)),
    "equilibrium": (1, lambda **given: equilibrium_plot(SOLVED, X, **given)),
    "phase": (1, lambda **given: phase_plot(PHASES, [0.1, 0.2], [1.0, 2.0], **given)),
    "rate": (2, lambda **given: rate_plot([0.1, 0.2], {"one": CURVES, "two": CURVES}, **given)),
    "search": (2, lambda **given: search_plot({"a": TRACE}, **given)),
    "spectrum": (2, lambda **given: spectrum_plot(SPECTRA, [1.0, 0.5], ["a", "b"], **given)),
    "witness": (1, lambda **given: witness_plot(cg.ipm(X, Y).critic, X, Y, **given)),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_handed_back_and_drawn_where_they_are_asked_for(name, tmp_path):
    from matplotlib.figure import Figure

    count, draw = FIGURES[name]
    panels = np.ravel(draw())
    assert len(panels) == count
    upper, lower = Figure(figsize=(9, 6)).subfigures(2, 1)  # of a figure of the user's own
    lower.subplots().plot([1, 2])
    own = upper.subplots(1, count, squeeze=False)[0]
    drawn = np.ravel(draw(ax=own if count > 1 else own[0], path=tmp_path / "all.svg"))
    for panel, mine, asked in zip(panels, drawn, own, strict=True):
        assert mine is asked and mine.has_data()
        assert (len(panel.lines), len(panel.collections)) == (len(mine.lines), len(mine.collections))
    assert (tmp_path / "all.svg").read_text().count('id="axes_') == len(upper.figure.axes)
    for wrong in ([*own, *own], "a", upper, [None] * count):
        with pytest.raises(ValueError, match=f"ax must be {count} matplotlib Axes"):
            draw(ax=wrong)
    with pytest.raises(ValueError, match="no figure suffix"):
        draw(path=tmp_path / "a.doc")


def test_a_sphere_is_drawn_on_a_sphere_only():
    from matplotlib.figure import Figure

    rows = np.random.default_rng(0).standard_normal((2, 4, 3))
    with pytest.raises(ValueError, match="ax has projection 'rectilinear': 3 columns need 'mollweide'"):
        arrangement_plot(*rows, ax=Figure().subplots())
    sphere = Figure().subplots(subplot_kw={"projection": "mollweide"})
    assert arrangement_plot(*rows, ax=sphere) is sphere


def test_black_lines_are_told_apart_and_short_axes_have_labels():
    x = np.array([600.0, 1000, 3000])
    lines = {name: k * x for k, name in enumerate(["n", "2 n", "3 n"], 1)}
    (panel,) = band_plot(x, {"a": np.ones((3, 3))}, dashed=lines)
    assert len({line.get_linestyle() for line in panel.lines}) == 4
    panel.figure.canvas.draw()
    words = [tick.get_text() for tick in panel.get_xticklabels(which="both") if tick.get_text()]
    assert {"1000", "2000"} <= set(words) and len(words) == len(set(words)) < 8


def test_without_matplotlib_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'convexgan\[plot\]'"):
        spectrum_plot(SPECTRA, [1.0, 1.0], ["a", "b"], tmp_path / "a.png")


def test_importing_the_room_loads_no_drawing_library():
    script = "import convexgan.plotting, sys; print({'PIL', 'matplotlib'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
