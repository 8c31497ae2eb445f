"""Real tables: classes against each other, halves against halves, two routes to what the best neuron sees."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets

import convexgan as cg

SETS = {
    "iris": (datasets.load_iris, (1, 2)),
    "wine": (datasets.load_wine, (0, 1)),
    "breast cancer": (datasets.load_breast_cancer, (0, 1)),
    "digits": (datasets.load_digits, (3, 8)),
}


def principal(rows, columns):
    """The rows' leading principal components, of unit variance together."""
    centred = rows - rows.mean(axis=0)
    scores = centred @ np.linalg.svd(centred, full_matrices=False)[2][:columns].T
    return scores / np.sqrt(np.mean(np.sum(scores**2, axis=1)))


def classes(name, columns, most=60):
    """Some rows of each of two classes, and the rest of the first."""
    load, (one, other) = SETS[name]
    data = load()
    scaled = data.data / np.where(data.data.std(axis=0) > 0, data.data.std(axis=0), 1.0)
    rows, labels = principal(scaled, columns), data.target
    first, second = rows[labels == one], rows[labels == other]
    return first[::2][:most], second[:most], first[1::2][:most]


@pytest.mark.parametrize("name", SETS)
def test_classes_differ_and_halves_of_one_do_not(name):
    X, other, half = classes(name, 2)
    between, within = cg.ipm(X, other, bias="free"), cg.ipm(X, half, bias="free")
    assert between.exact and within.exact and between.value > 2 * within.value
    assert between.witness(X).mean() - between.witness(other).mean() == pytest.approx(between.value, rel=1e-9)
    tests = [cg.two_sample_test(X, Y, bias="free", permutations=199) for Y in (other, half)]
    assert tests[0].p_value == 0.005 and tests[1].p_value > 0.02


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("bias", ["none", "free"])
def test_all_patterns_give_what_the_search_does(name, bias):
    X, other, _ = classes(name, 2, most=12)
    found = cg.ipm(X, other, bias=bias)
    assert found.value == pytest.approx(cg.ipm(X, other, bias=bias, method="enumerate").value, rel=1e-9)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("columns", [4, 8])
def test_ascents_do_not_beat_the_bound_on_more_columns(name, columns):
    X, other, _ = classes(name, columns)
    found = cg.ipm(X, other, gap=0.05, time_limit=3.0)
    U = np.random.default_rng(0).standard_normal((2000, X.shape[1]))
    U = np.vstack([U, found.direction]) / np.linalg.norm(np.vstack([U, found.direction]), axis=1)[:, None]
    seen = np.abs(np.maximum(X @ U.T, 0).mean(axis=0) - np.maximum(other @ U.T, 0).mean(axis=0))
    assert seen[-1] == pytest.approx(found.value, rel=1e-9) and seen.max() <= found.upper_bound
    assert columns > 4 or found.upper_bound - found.value <= 0.05 * found.upper_bound


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_half_of_a_class_is_weighted_to_look_like_the_other_half(name):
    """A saddle, and better than what two rival weightings give: nearest rows, and those of moments."""
    X, _, Y = classes(name, 2, most=25)
    found = cg.balance(X, Y)
    assert found.certificate.kind == "saddle" and found.imbalance.upper_bound < 0.5 * found.before.value
    nearest = np.argmin(np.linalg.norm(X[:, None] - Y[None], axis=2), axis=1)
    matched = np.bincount(nearest, minlength=len(Y)) / len(X)
    moments = cg.balance(X, Y, "quadratic").weights
    for weights in (matched, moments):
        assert cg.ipm(X, Y, weights_y=weights).value >= found.certificate.bound
    assert cg.verify(found.certificate, X).agreement.agrees


def test_columns_of_frames_name_what_the_witness_looks_at():
    frame = datasets.load_diabetes(as_frame=True).data[["age", "bmi", "bp"]]
    frame = (frame - frame.mean()) / frame.std()
    old, young = frame[frame["age"] > 0.5], frame[frame["age"] < -0.5]
    found = cg.ipm(old[["bmi", "bp"]], young[["bp", "bmi"]], bias="free")
    assert found.critic.columns == ("bmi", "bp") and abs(found.direction[1]) > 0.8  # blood pressure rises with age
    even = cg.balance(old[["bmi", "bp"]], young[["bp", "bmi"]], "polynomial", beta=found.value / 20)
    assert even.certificate.kind == "saddle" and even.effective_size > 0.3 * len(young)
    assert even.imbalance.upper_bound <= found.value / 20 * (1 + 1e-6)
