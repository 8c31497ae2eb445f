"""Every verb reads every kind of array alike: right to rounding, or an error that names argument and repair."""

from __future__ import annotations

import dataclasses
import functools
import io
import re
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import convexgan as cg
from convexgan import gaussian
from convexgan._tools.arrays import read_array
from convexgan.datasets import load
from convexgan.metrics import (
    Features,
    frechet_distance,
    kernel_distance,
    nearest_neighbours,
    precision_recall,
    sliced_wasserstein,
)
from convexgan.torch import ExactDiscriminatorLoss, Objective, audit
from tests.arrays import (
    CONTAINERS,
    DTYPES,
    LAYOUTS,
    PICTURED,
    PICTURES,
    REFUSED,
    ROWS,
    TENSORS,
    VECTORS,
    VERBS,
    Frame,
    Verb,
)

CLOSE = 1e-9
PAIRS = 2000
BASES: dict[str, dict[str, Any]] = {name: ROWS for name in VERBS} | {name: PICTURES for name in PICTURED}
# what a verb takes though others refuse it, or words in its own way
DEFAULTS = {("solve, particles", "nothing"), ("train, latents", "nothing")}
SKLEARN = {"object cells"}  # whose contract is that objects are numbers if they can be
STREAMED = {"an iterator", "a generator"}  # of which metrics take one array of pictures after the other
BYTES = {"integers beyond 2^53", "unsigned ones"}  # pictures of other integers are of no known range

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, of tensors that are read as pictures in [0, 1]


def call_of(verb: str) -> tuple[str, Verb]:
    return (VERBS | PICTURED)[verb]


@functools.cache
def reference(verb: str, base: str) -> float:
    """What the verb finds on the plain float64 array."""
    return float(call_of(verb)[1](np.array(BASES[verb][base], dtype=np.float64)))


def is_close(found: float, right: float) -> bool:
    return bool(abs(found - right) <= CLOSE * max(abs(right), 1))


# -- taken -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [*VERBS, *PICTURED])
@pytest.mark.parametrize("kind", [*CONTAINERS, *TENSORS])
def test_every_verb_takes_every_kind(verb: str, kind: str) -> None:
    A = BASES[verb]["quarters"]
    made = CONTAINERS[kind](A.copy()) if kind in CONTAINERS else TENSORS[kind](torch.tensor(A))
    assert is_close(float(call_of(verb)[1](made)), reference(verb, "quarters"))


@pytest.mark.parametrize("verb", [*VERBS, *PICTURED])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_and_left_as_it_is(verb: str, layout: str) -> None:
    made = LAYOUTS[layout](BASES[verb]["quarters"].copy())
    assert is_close(float(call_of(verb)[1](made)), reference(verb, "quarters"))
    assert np.array_equal(made, BASES[verb]["quarters"])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("base", "dtype"), [(base, dtype) for base in DTYPES for dtype in DTYPES[base]])
def test_every_dtype_is_read_exactly(verb: str, base: str, dtype: str) -> None:
    assert is_close(float(call_of(verb)[1](ROWS[base].astype(dtype))), reference(verb, base))


def test_pairs_of_verb_and_array_drawn_at_random() -> None:
    """Each of 2,000 ends as the plain array does; layouts, dtypes and containers go together as they come."""
    rng, verbs = np.random.default_rng(7), [*VERBS, *PICTURED]
    wrong = []
    for _ in range(PAIRS):
        verb = str(rng.choice(verbs))
        base = str(rng.choice([name for name in BASES[verb] if name in DTYPES]))
        if verb in PICTURED and base == "flags":
            base = "quarters"
        dtype, layout = str(rng.choice(DTYPES[base])), str(rng.choice([*LAYOUTS]))
        kinds = (
            [*CONTAINERS, *TENSORS] if dtype in ("float16", "float32", "float64", "uint8", "int64") else [*CONTAINERS]
        )
        kind = str(rng.choice(kinds))
        made = LAYOUTS[layout](BASES[verb][base].astype(dtype))
        made = CONTAINERS[kind](made) if kind in CONTAINERS else TENSORS[kind](torch.tensor(made.copy()))
        try:
            found = float(call_of(verb)[1](made))
            if not is_close(found, reference(verb, base)):
                wrong.append((verb, base, dtype, layout, kind, found))
        except Exception as error:
            wrong.append((verb, base, dtype, layout, kind, repr(error)[:200]))
    assert wrong == []


@pytest.mark.parametrize("argument", VECTORS)
@pytest.mark.parametrize("kind", [*CONTAINERS, *TENSORS, *LAYOUTS])
def test_weights_means_and_targets_are_read_alike(argument: str, kind: str) -> None:
    _, call = VECTORS[argument]
    v = np.arange(20) / 4
    how = CONTAINERS | LAYOUTS
    made = how[kind](v.copy()) if kind in how else TENSORS[kind](torch.tensor(v))
    assert is_close(float(call(made)), float(call(v)))


def test_flags_are_weights() -> None:
    flags = np.arange(20) > 5
    for _, call in VECTORS.values():
        assert is_close(float(call(flags)), float(call(flags.astype(float))))


def test_rows_of_stride_zero_are_rows() -> None:
    made = np.broadcast_to(ROWS["quarters"][:1], (24, 3))
    assert cg.ipm(made, ROWS["counts"], "quadratic").value == cg.ipm(made.copy(), ROWS["counts"], "quadratic").value
    assert cg.ipm(made, ROWS["counts"]).value == pytest.approx(cg.ipm(made.copy(), ROWS["counts"]).value, rel=1e-12)


def test_what_numpy_has_in_a_kept_dtype_is_not_copied() -> None:
    for dtype in (np.float64, np.float32, np.uint8):
        for A in (np.zeros((3, 2), dtype), np.zeros((3, 2), dtype)[::-1], np.asfortranarray(np.zeros((3, 2), dtype))):
            assert read_array(A, "A") is A
    A = np.zeros((3, 2))
    assert np.shares_memory(read_array(torch.from_numpy(A), "A"), A)
    assert np.shares_memory(read_array(np.ma.masked_array(A), "A"), A)


def test_the_bits_of_other_formats_are_kept() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    assert read_array(torch.tensor([1.0, 3.140625], dtype=torch.bfloat16), "t").tolist() == [1.0, 3.140625]
    assert read_array(np.array([1.0, 3.140625], dtype=ml_dtypes.bfloat16), "x").tolist() == [1.0, 3.140625]
    A = np.random.default_rng(0).standard_normal((5, 2))
    for dtype in (">f8", "<f8", "longdouble"):
        assert np.array_equal(read_array(A.astype(dtype), "x"), A)
    assert read_array([2**60, 0.5], "x").tolist() == [2.0**60, 0.5]
    assert read_array(np.array([-(2**63), 2**62]), "x").tolist() == [-(2.0**63), 2.0**62]
    assert read_array(np.array([2**63], dtype=np.uint64), "x").tolist() == [2.0**63]


# -- refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [*VERBS, *PICTURED])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_numbers_do_not_say_is_refused_by_name(verb: str, kind: str) -> None:
    make, says = REFUSED[kind]
    name, call = call_of(verb)
    made = make(BASES[verb]["quarters"].copy())
    if (verb, kind) in DEFAULTS or (verb.startswith("ConvexWGAN.") and verb != "ConvexWGAN.decode" and kind in SKLEARN):
        call(made)
        return
    if verb.endswith(("distance", "wasserstein")) and verb in PICTURED and kind in STREAMED:
        says = r"\[None\]"
    if verb in PICTURED and kind in BYTES:
        says = "uint8"
    with pytest.raises(ValueError, match=f"(?s){says}") as caught:
        call(made)
    assert name in str(caught.value)


@pytest.mark.parametrize("argument", VECTORS)
@pytest.mark.parametrize("kind", [kind for kind in REFUSED if kind != "nothing"])
def test_weights_means_and_targets_are_refused_alike(argument: str, kind: str) -> None:
    make, _ = REFUSED[kind]
    name, call = VECTORS[argument]
    with pytest.raises(ValueError, match=name):
        call(make(ROWS["quarters"]))


def test_a_masked_weight_is_no_weight() -> None:
    w = np.ma.masked_array(np.ones(20), np.arange(20) == 3)
    with pytest.raises(ValueError, match=r"weights of X has 1 masked"):
        cg.ipm(np.ones((20, 1)), np.zeros((3, 1)), weights_x=w)


def test_repairs_that_are_named_repair() -> None:
    X = np.ma.masked_array(ROWS["quarters"], ROWS["quarters"] > 3)
    with pytest.raises(ValueError) as caught:
        cg.Moments.from_array(X)
    code = re.search(r"rows out, (.*\.data)", str(caught.value))
    assert code is not None
    kept = eval(code[1], {"np": np, "X": X})
    assert np.array_equal(kept, ROWS["quarters"][(ROWS["quarters"] <= 3).all(axis=1)])
    assert cg.Moments.from_array(kept).count == len(kept)


# -- columns with names ----------------------------------------------------------------------------------------

X, Y = ROWS["quarters"], ROWS["counts"][:20] + np.array([0.5, 0, 0])
TURNED = ["c", "a", "b"]


def stand_in(A: Any) -> Any:
    return Frame(A)


def of_pandas(A: Any) -> Any:
    return pytest.importorskip("pandas").DataFrame(A, columns=list("abc"))


def of_polars(A: Any) -> Any:
    return pytest.importorskip("polars").DataFrame(A, schema=list("abc"))


def of_pyarrow(A: Any) -> Any:
    return pytest.importorskip("pyarrow").table({name: A[:, i] for i, name in enumerate("abc")})


def select(frame: Any, columns: list[Any]) -> Any:
    return frame.select(columns) if hasattr(frame, "select") else frame[columns]


framed = pytest.mark.parametrize("make", [stand_in, of_pandas, of_polars, of_pyarrow], ids=lambda make: make.__name__)
QUADRATIC: dict[str, Any] = {"discriminator": "quadratic", "beta": 0.1}


def weighed(moments: cg.Moments) -> float:
    """A number that tells which column is which."""
    return float(moments.mean @ [1, 2, 4] + moments.second[0] @ [1, 3, 5])


TWO_SAMPLES: dict[str, Any] = {
    "ipm": lambda X, Y: cg.ipm(X, Y).value,
    "ipm, polynomial": lambda X, Y: cg.ipm(X, Y, "polynomial").value,
    "witness": lambda X, Y: cg.ipm(X, Y, "linear").witness(Y).sum(),
    "discriminator": lambda X, Y: cg.solve(X, cg.GaussianLatent(3), beta=0.1).discriminator(Y).sum(),
    "its mixture's": lambda X, Y: (
        cg.solve(X, discriminator="relu", generator="mixture", lam=3.0).discriminator(Y).sum()
    ),
    "witness of a test": lambda X, Y: cg.two_sample_test(X, Y, "linear", permutations=1).witness(Y).sum(),
    "two_sample_test": lambda X, Y: cg.two_sample_test(X, Y, "quadratic", permutations=9).value,
    "two_sample_test, relu": lambda X, Y: cg.two_sample_test(X, Y, permutations=1).value,
    "certify": lambda X, Y: cg.certify(X, Y, **QUADRATIC).ipm,
    "certify, relu": lambda X, Y: cg.certify(X, Y, discriminator="relu", beta=20.0).ipm,
    "held_out": lambda X, Y: cg.held_out(X, Y, resamples=2).value,
    "Moments": lambda X, Y: weighed(cg.Moments.from_array(X).update(Y)),
    "Moments from nothing": lambda X, Y: weighed(cg.Moments(3).update(X).update(Y)),
    "Moments of chunks": lambda X, Y: weighed(cg.Moments.from_chunks([X, Y])),
    "merged": lambda X, Y: weighed(cg.Moments.from_array(X) + cg.Moments.from_array(Y)),
    "ipm of Moments": lambda X, Y: cg.ipm(cg.Moments.from_array(X), cg.Moments.from_array(Y), "linear").value,
    "particles": lambda X, Y: cg.solve(X, generator=cg.generators.Mixture(Y), discriminator="linear", lam=1.0).value,
    "verify": lambda X, Y: cg.verify(cg.solve(X, cg.GaussianLatent(3), beta=0.1).certificate, Y).ipm,
    "verify, relu": lambda X, Y: cg.verify(cg.certify(X, X, discriminator="relu", beta=20.0), Y).ipm,
    "verify, weight decay": lambda X, Y: (
        cg.verify(
            cg.solve(
                X, cg.GaussianLatent(3), discriminator="linear", generator="relu", regularizer="weights", beta=0.1
            ).certificate,
            Y,
        ).ipm
    ),
    "audit": lambda X, Y: audit(Y, "linear", X, objective=Objective(beta=0.1)).certificate.ipm,
    "ExactDiscriminatorLoss": lambda X, Y: ExactDiscriminatorLoss(X, "linear").ipm(Y).value,
}


@framed
@pytest.mark.parametrize("verb", TWO_SAMPLES)
def test_columns_of_two_samples_go_together_by_name(verb: str, make: Any) -> None:
    call = TWO_SAMPLES[verb]
    right = float(call(X, Y))
    assert is_close(float(call(make(X), make(Y))), right)
    assert is_close(float(call(make(X), select(make(Y), TURNED))), right)


def test_rows_that_moments_keep_are_turned_too() -> None:
    few = cg.Moments.from_array(Frame(Y[:2])), cg.Moments.from_array(Frame(X[:1]).select(TURNED))
    right = cg.Moments.from_array(np.concatenate([Y[:2], X[:1]])).second
    np.testing.assert_allclose((few[0] + few[1]).second, right, atol=1e-14)
    np.testing.assert_allclose(few[0].update(Frame(X[:1]).select(TURNED)).second, right, atol=1e-14)


@framed
@pytest.mark.parametrize("verb", TWO_SAMPLES)
def test_other_names_are_refused(verb: str, make: Any) -> None:
    renamed = Frame(Y, ["a", "b", "d"])
    with pytest.raises(ValueError, match=r"lacks 'c' and also has 'd'"):
        TWO_SAMPLES[verb](make(X), renamed)
    with pytest.raises(ValueError, match=r"column 'a' more than once"):
        TWO_SAMPLES[verb](make(X), Frame(Y, ["a", "b", "a"]))


@framed
def test_a_frame_beside_an_array_is_taken_by_position(make: Any) -> None:
    assert cg.ipm(make(X), Y, "linear").value == cg.ipm(X, make(Y), "linear").value == cg.ipm(X, Y, "linear").value
    numbered = Frame(Y, [0, 1, 2])  # as frames call columns that nobody named
    assert cg.ipm(make(X), numbered, "linear").value == cg.ipm(X, Y, "linear").value


def test_numbered_columns_are_names_once_they_are_turned() -> None:
    first, second = Frame(X, [0, 1, 2]), Frame(Y, [0, 1, 2]).select([2, 0, 1])
    assert is_close(cg.ipm(first, second, "linear").value, cg.ipm(X, Y, "linear").value)


def test_names_survive_files(tmp_path: Any) -> None:
    cg.Moments.from_array(Frame(X)).save(tmp_path / "m.npz")
    again = cg.Moments.load(tmp_path / "m.npz")
    assert again.columns == ("a", "b", "c")
    turned = again.update(Frame(Y).select(TURNED)).second
    np.testing.assert_allclose(turned, cg.Moments.from_array(X).update(Y).second, atol=1e-12)
    sol = cg.solve(Frame(X), cg.GaussianLatent(3), beta=0.1)
    sol.save(tmp_path / "s.npz")
    scores = cg.load(tmp_path / "s.npz").discriminator(Frame(Y).select(TURNED))
    np.testing.assert_allclose(scores, sol.discriminator(Y))
    claim = sol.certificate
    read = cg.Certificate.from_json(claim.to_json())
    assert is_close(cg.verify(read, Frame(X).select(TURNED)).value, claim.value)
    with pytest.raises(ValueError, match="lacks 'c'"):
        cg.verify(read, Frame(X, ["a", "b", "d"]))


@pytest.mark.parametrize("names", [["a", "a", "b"], ["a", "b"], "abc", [["a"], "b", "c"], 3])
def test_damaged_names_are_damage(names: Any) -> None:
    claim = cg.solve(Frame(X), cg.GaussianLatent(3), beta=0.1).certificate
    claim.evidence.settings["columns"] = names
    with pytest.raises(ValueError, match="columns"):
        cg.verify(claim, Frame(X))


def test_features_of_frames_go_together_by_name() -> None:
    A, B = Frame(X), Frame(Y)
    for metric in (frechet_distance, kernel_distance, precision_recall, nearest_neighbours):
        found = [
            metric(*(Features(rows, "pixels", (1, 3)) for rows in pair), resamples=2)
            for pair in ((X, Y), (A, B.select(TURNED)))
        ]
        assert repr(found[0]) == repr(found[1])
        with pytest.raises(ValueError, match="lacks 'c'"):
            metric(Features(A, "pixels", (1, 3)), Features(Frame(Y, ["a", "b", "d"]), "pixels", (1, 3)), resamples=2)


def test_covariances_of_frames_are_turned_on_both_sides() -> None:
    A, B = np.cov(X.T), np.cov(Y.T)
    order = [2, 0, 1]
    turned = Frame(B[np.ix_(order, order)], TURNED)
    right = gaussian.squared_wasserstein(A, B)
    assert is_close(gaussian.squared_wasserstein(Frame(A), turned), right)
    assert is_close(float(gaussian.transport_map(Frame(A), turned).sum()), float(gaussian.transport_map(A, B).sum()))


def test_the_estimator_keeps_to_names_as_scikit_learn_does() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abc"))
    model = cg.ConvexWGAN(beta=0.1).fit(frame)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    assert is_close(model.score(frame), cg.ConvexWGAN(beta=0.1).fit(X).score(X))
    with pytest.raises(ValueError, match="order"):
        model.score(frame[TURNED])


def test_weights_go_with_the_labels_of_their_rows() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abc"), index=np.arange(100, 124))
    w = pandas.Series(np.arange(24.0), index=frame.index)
    right = cg.ipm(X, Y, "linear", weights_x=np.arange(24.0)).value
    for neurons in ("linear", "relu"):
        assert is_close(cg.ipm(frame, Y, "linear", weights_x=w).value, right)
        assert is_close(cg.ipm(frame, Y, "linear", weights_x=w.reset_index(drop=True)).value, right)
        with pytest.raises(ValueError, match=r"weights of X have the labels of X in another order.*\.loc\[X\.index\]"):
            cg.ipm(frame, Y, neurons, weights_x=w[::-1])
        with pytest.raises(ValueError, match="weights of Y"):
            cg.ipm(Y, frame, neurons, weights_y=w[::-1])


def test_columns_of_frames_that_are_no_numbers() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abc"))
    whole = pandas.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "c": [True, False, True]})
    nullable = whole.astype({"a": "Int64", "b": "Float64", "c": "boolean"})
    for made in (whole, nullable):
        assert cg.Moments.from_array(made).mean.tolist() == pytest.approx([2, 1.5, 2 / 3])
    for column, says in (
        (frame["a"].astype("category"), r"X\['a'\].*categories.*get_dummies"),
        (frame["a"].astype("Float64").mask(frame["b"] > 0), r"X\['a'\].*missing.*dropna"),
        (frame["a"].astype(object).mask(frame["b"] > 0, None), r"X\['a'\].*missing.*dropna"),
        (frame["a"].astype(str), r"X\['a'\].*astype"),
        (pandas.to_datetime(frame["a"]), r"X\['a'\].*timedelta64"),
        (pandas.Series(2**53 + 1 + np.arange(24)), r"X\['a'\].*2\^53"),
    ):
        for call in (cg.Moments.from_array, cg.ConvexWGAN().fit):
            with pytest.raises(ValueError, match=says):
                call(frame.assign(a=column))


def test_columns_of_polars_that_are_no_numbers() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(X, schema=list("abc"))
    assert cg.Moments.from_array(frame.with_columns(a=polars.lit(1, dtype=polars.Int8))).mean[0] == 1
    for column, says in (
        (polars.lit(None, dtype=polars.Float64), r"X\['a'\].*24 missing.*drop_nulls"),
        (polars.lit("x", dtype=polars.Categorical), r"X\['a'\].*categories.*to_dummies"),
        (polars.lit("x"), r"X\['a'\].*astype"),
    ):
        with pytest.raises(ValueError, match=says):
            cg.Moments.from_array(frame.with_columns(a=column))
    with warnings.catch_warnings(), pytest.raises(ValueError, match=r"X\.collect\(\)"):
        warnings.simplefilter("error")
        cg.Moments.from_array(frame.lazy())


# -- pictures --------------------------------------------------------------------------------------------------

COLOUR = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]
OPAQUE = np.concatenate([COLOUR, np.full((20, 8, 8, 1), 255, np.uint8)], axis=-1)
# what is handed in, and the pictures that the advice, done as it says, must give
AXES: dict[str, tuple[Any, Any]] = {
    "(n, 3, h, w)": (np.moveaxis(COLOUR, -1, 1), COLOUR),
    "(n, 4, h, w)": (np.moveaxis(OPAQUE, -1, 1), COLOUR),
    "(n, 1, h, w)": (GREY[:, None], GREY),
    "(n, 2, h, w)": (np.stack([GREY, GREY // 2], axis=1), GREY),
    "(n, h, w, 4)": (OPAQUE, COLOUR),
    "(n, h, w, 2)": (np.stack([GREY, GREY // 2], axis=-1), GREY),
    "(h, w, n)": (np.moveaxis(GREY, 0, -1), GREY),
    "(h, w, 3, n)": (np.moveaxis(COLOUR, 0, -1), COLOUR),
    "(h, w, 1, n)": (np.moveaxis(GREY, 0, -1)[:, :, None], GREY),
    "(3, h, w, n)": (np.transpose(COLOUR, (3, 1, 2, 0)), COLOUR),
    "(h, w, 3)": (COLOUR[0], COLOUR[:1]),
    "(h, w, 4)": (OPAQUE[0], COLOUR[:1]),
    "(h, w, 1)": (GREY[0][..., None], GREY[:1]),
}
TORCHED = {"(n, 3, h, w)", "(n, 4, h, w)", "(h, w, n)"}


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("verb", [verb for verb in PICTURED if not verb.endswith(("score", "encode", "held_out"))])
def test_the_advice_moves_axes_and_mixes_no_pixels(axes: str, verb: str) -> None:
    images, right = AXES[axes]
    with pytest.raises(ValueError) as caught:
        call_of(verb)[1](images)
    assert "reshape" not in str(caught.value)
    code = re.search(
        r"np\.\w+\(images.*?, .*?\)(?:\[[^]]*\])?(?= |$|\.)|images\[[^]]*\]", str(caught.value).split(": ", 1)[-1]
    )
    assert code is not None, str(caught.value)
    assert np.array_equal(eval(code[0], {"np": np, "images": images}), right), str(caught.value)


@pytest.mark.parametrize("axes", sorted(TORCHED))
def test_tensors_are_told_how_torch_moves_axes(axes: str) -> None:
    images, right = AXES[axes]
    with pytest.raises(ValueError) as caught:
        cg.ProgressiveConvexGAN().fit(torch.tensor(images.copy()))
    code = re.search(r"images\.movedim\(.*?\)(?:\[[^]]*\])?", str(caught.value))
    assert code is not None, str(caught.value)
    assert np.array_equal(eval(code[0], {"images": torch.tensor(images.copy())}).numpy(), right)


def test_lists_of_colour_pictures_are_told_the_same() -> None:
    parts = list(np.moveaxis(COLOUR, -1, 1))
    for verb in ("ProgressiveConvexGAN.fit", "sliced_wasserstein", "PictureSource"):
        for made in (parts, [torch.tensor(part.copy()) for part in parts]):
            with pytest.raises(ValueError, match=r"moveaxis\(images, 1, -1\)"):
                call_of(verb)[1](made)


ORIENTED = Image.new("RGB", (8, 8)).getexif()
ORIENTED[0x0112] = 6
MODES = {
    "P": (lambda picture: picture.convert("P"), r"is an image of mode 'P', .*\.convert\('RGB'\)"),
    "1": (lambda picture: picture.convert("1"), r"mode '1', .*\.convert\('L'\)"),
    "LA": (lambda picture: picture.convert("LA"), r"mode 'LA', .*\.convert\('L'\)"),
    "RGBA": (lambda picture: picture.convert("RGBA"), r"mode 'RGBA', .*\.convert\('RGB'\)"),
    "CMYK": (lambda picture: picture.convert("CMYK"), r"mode 'CMYK', .*\.convert\('RGB'\)"),
    "HSV": (lambda picture: picture.convert("HSV"), r"mode 'HSV', .*\.convert\('RGB'\)"),
    "turned": (lambda picture: opened(picture, exif=ORIENTED), r"that its EXIF tag turns: .*exif_transpose"),
}


def opened(picture: Image.Image, **options: Any) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "png", **options)
    return Image.open(file)


@pytest.mark.parametrize("mode", MODES)
def test_images_of_pillow_are_what_is_seen(mode: str) -> None:
    pictures, (change, says) = [Image.fromarray(picture) for picture in COLOUR], MODES[mode]
    for call in (
        lambda made: cg.ProgressiveConvexGAN(ranks=[2, 3]).fit(made),
        lambda made: sliced_wasserstein(made, made, resamples=2),
        lambda made: read_array(made, "X"),
    ):
        call([opened(picture) for picture in pictures])
        call([picture.convert("L") for picture in pictures])
        with pytest.raises(ValueError, match=says):
            call([change(picture) for picture in pictures])


def test_chunks_are_the_pictures_they_are_cut_from() -> None:
    # Products of other shapes round otherwise: of 64 pixels in [-1, 1] with unit directions by 64 eps x 8 at most.
    chunks = sliced_wasserstein([GREY[:5], GREY[5:]], GREY, resamples=2)
    for cut, whole in zip(chunks, sliced_wasserstein(GREY, GREY, resamples=2), strict=True):
        for name, number in dataclasses.asdict(whole).items():
            wanted = pytest.approx(number, abs=2e-13) if isinstance(number, float) else number
            assert getattr(cut, name) == wanted


def test_flattened_pictures_get_their_edges_back() -> None:
    with pytest.raises(ValueError, match=r"reshape\(-1, 8, 8\)"):
        cg.ProgressiveConvexGAN().fit(GREY.reshape(20, -1))
    channels = np.moveaxis(COLOUR, -1, 1).reshape(20, -1)
    with pytest.raises(ValueError) as caught:
        cg.ProgressiveConvexGAN().fit(channels)
    code = re.search(r"flattened channels (np\.moveaxis\(.*\))\.", str(caught.value))
    assert code is not None
    assert np.array_equal(eval(code[1], {"np": np, "images": channels}), COLOUR)


def test_files_are_told_the_same(tmp_path: Any) -> None:
    for axes in ("(n, 3, h, w)", "(n, 4, h, w)", "(3, h, w, n)"):
        np.save(tmp_path / "x.npy", AXES[axes][0])
        with pytest.raises(ValueError, match=r"moveaxis|transpose") as caught:
            load(tmp_path / "x.npy")
        assert "reshape" not in str(caught.value)


def test_lists_of_pictures_are_pictures_everywhere() -> None:
    for verb in PICTURED:
        A = PICTURES["quarters"]
        for made in (list(A), [torch.tensor(a) for a in A], A.tolist()):
            assert is_close(float(call_of(verb)[1](made)), reference(verb, "quarters")), verb


# -- the house -------------------------------------------------------------------------------------------------


def test_reading_imports_nothing_that_was_not_there() -> None:
    code = (
        "import sys, numpy as np, convexgan as cg; from convexgan._tools.arrays import read_array;"
        "read_array([[1.0, 2.0]], 'X'); read_array(np.ma.masked_array([1.0]), 'X');"
        "print(*(m for m in ('torch', 'pandas', 'polars', 'pyarrow', 'sklearn', 'cvxpy') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
