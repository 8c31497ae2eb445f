"""Verbs that take arrays, and kinds of arrays: a new verb, or a new kind, is one row of a table here."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

import convexgan as cg
from convexgan import gaussian, linear_gan
from convexgan.arrangements import interpolate
from convexgan.arrangements.maximum import maximize
from convexgan.dynamics import wasserstein
from convexgan.metrics import frechet_distance, kernel_distance, sliced_wasserstein
from convexgan.programs import ipm_program
from convexgan.statistics.latents import SampleLatent
from convexgan.torch import (
    ExactDiscriminatorLoss,
    LinearGenerator,
    Objective,
    PictureSource,
    TwoLayerDiscriminator,
    audit,
    train,
)

Verb = Callable[[Any], Any]
RNG = np.random.default_rng(0)
# quarters, which bfloat16 and float16 hold; counts; flags: what every dtype that is accepted holds exactly
ROWS = {
    "quarters": RNG.integers(-16, 17, (24, 3)) / 4,
    "counts": RNG.integers(0, 8, (24, 3)).astype(float),
    "flags": (RNG.random((24, 3)) > 0.4).astype(float),
}
PICTURES = {
    "quarters": RNG.integers(-4, 5, (12, 4, 4)) / 4,
    "flags": (RNG.random((12, 4, 4)) > 0.4) * 2.0 - 1,
}
OTHER = np.random.default_rng(1).standard_normal((20, 3))
GAUSS = cg.GaussianLatent(3)
CLAIM = cg.solve(OTHER, GAUSS, beta=0.1)
MODEL = cg.ConvexWGAN(beta=0.1).fit(OTHER)
CHAIN = cg.ProgressiveConvexGAN(ranks=[3]).fit(PICTURES["quarters"])
IPM = cg.ipm(OTHER, OTHER + 1, "quadratic")


def _trained(data: Any, latents: Any) -> float:
    torch.manual_seed(0)
    generator = LinearGenerator(3, 3).double()
    critic = TwoLayerDiscriminator(3, 4, "quadratic").double()
    train(generator, critic, data, latents, Objective(lam=1.0), steps=2, batch=8)
    return float(generator.weights.detach().abs().sum())


def _programmed(X: Any) -> float:
    program = cg.program(X, GAUSS, beta=0.1)
    program.solve()
    return program.recover().value


def _moments(X: Any, Z: Any = None) -> float:
    return float(np.abs(cg.Moments.from_array(X, Z).second).sum())


BETA = {"discriminator": "quadratic", "beta": 0.1}
# verb -> (what its errors call the argument, a call that takes (24, 3) rows and returns a number)
VERBS: dict[str, tuple[str, Verb]] = {
    "solve": ("X", lambda A: cg.solve(A, GAUSS, beta=0.1).value),
    "solve, Z": ("Z", lambda A: cg.solve(OTHER, A, beta=0.3).value),
    "solve, relu": ("X", lambda A: cg.solve(A, discriminator="relu", generator="mixture", beta=9.0).value),
    "solve, particles": ("particles", lambda A: cg.solve(OTHER, generator=cg.generators.Mixture(A), beta=9.0).value),
    "solve, weight decay": (
        "X",
        lambda A: cg.solve(A, GAUSS, discriminator="linear", generator="relu", regularizer="weights", beta=0.1).value,
    ),
    "path": ("X", lambda A: cg.path(A, GAUSS, [0.1, 0.2])[1].value),
    "program": ("X", lambda A: _programmed(A)),
    "certify, X": ("X", lambda A: cg.certify(A, OTHER, **BETA).value),
    "certify, Y": ("Y", lambda A: cg.certify(OTHER, A, **BETA).value),
    "certify, relu": ("Y", lambda A: cg.certify(OTHER, A, discriminator="relu", beta=20.0).value),
    "verify": ("X", lambda A: cg.verify(CLAIM.certificate, A).ipm),
    "ipm, linear": ("X", lambda A: cg.ipm(A, OTHER, "linear").value),
    "ipm, polynomial": ("Y", lambda A: cg.ipm(OTHER, A, "polynomial").value),
    "ipm, relu": ("Y", lambda A: cg.ipm(OTHER, A).value),
    "ipm, witness": ("X", lambda A: IPM.witness(A).sum()),
    "two_sample_test, X": ("X", lambda A: cg.two_sample_test(A, OTHER, "linear", permutations=9).value),
    "two_sample_test, Y": ("Y", lambda A: cg.two_sample_test(OTHER, A, "quadratic", permutations=9).value),
    "balance, X": ("X", lambda A: cg.balance(A, OTHER, "linear").before.value),
    "balance, Y": ("Y", lambda A: cg.balance(OTHER, A, "linear").before.value),
    "held_out, X": ("X", lambda A: cg.held_out(A, OTHER, resamples=2).high),
    "held_out, generated": ("generated", lambda A: cg.held_out(OTHER, A, resamples=2).value),
    "Moments": ("X", _moments),
    "Moments.update": ("rows", lambda A: np.abs(cg.Moments.from_array(OTHER).update(A).mean).sum()),
    "Moments.from_chunks": ("chunk", lambda A: np.abs(cg.Moments.from_chunks([OTHER, A]).mean).sum()),
    "SampleLatent": ("SampleLatent", lambda A: cg.solve(OTHER, SampleLatent(A), beta=0.3).value),
    "discriminator": ("X", lambda A: CLAIM.discriminator(A).sum()),
    "generator": ("Z", lambda A: CLAIM.generator(A).sum()),
    "ConvexWGAN.fit": ("X", lambda A: cg.ConvexWGAN(beta=0.1).fit(A).solution_.value),
    "ConvexWGAN.score": ("X", lambda A: MODEL.score(A)),
    "ConvexWGAN.encode": ("X", lambda A: MODEL.encode(A).sum()),
    "ConvexWGAN.decode": ("Z", lambda A: MODEL.decode(A).sum()),
    "decode": ("codes", lambda A: CHAIN.decode(A).astype(int).sum()),
    "interpolate": ("rows", lambda A: interpolate(A, np.zeros(24)).bound),
    "maximize": ("rows", lambda A: maximize(A, np.arange(24.0) - 9).value),
    "ipm_program": ("X", lambda A: ipm_program(A, OTHER).direction.size),
    "unsupervised": ("X", lambda A: np.abs(linear_gan.unsupervised(A, 2)).sum()),
    "half_step": ("W", lambda A: np.abs(linear_gan.half_step(OTHER, A)).sum()),
    "pseudo_supervised": ("Z", lambda A: np.abs(linear_gan.pseudo_supervised(ROWS["quarters"], A, 0.1)).sum()),
    "wasserstein": ("data", lambda A: wasserstein(OTHER, A)),
    "train, data": ("data", lambda A: _trained(A, 3)),
    "train, latents": ("latents", lambda A: _trained(OTHER, A)),
    "audit, data": ("data", lambda A: audit(OTHER, "quadratic", A, objective=Objective(beta=0.1)).certificate.value),
    "audit, samples": ("generator", lambda A: audit(A, "linear", OTHER, None, Objective(beta=0.1)).certificate.value),
    "ExactDiscriminatorLoss": ("X", lambda A: np.abs(ExactDiscriminatorLoss(A).data.second).sum()),
    "ExactDiscriminatorLoss.ipm": ("Y", lambda A: ExactDiscriminatorLoss(OTHER, "linear").ipm(A).value),
}
# the same for vectors, of 20 entries, and matrices
VECTORS: dict[str, tuple[str, Verb]] = {
    "weights_x": ("weights", lambda w: cg.ipm(OTHER, OTHER[:5] + 1, "quadratic", weights_x=w).value),
    "weights_y": ("weights", lambda w: cg.ipm(OTHER[:5] + 1, OTHER, weights_y=w).value),
    "Moments": ("weights", lambda w: _moments(OTHER, w)),
    "maximize": ("weights", lambda w: maximize(OTHER, w).value),
    "interpolate": ("targets", lambda w: interpolate(np.eye(20), w, gap=0.5).outer.sum()),
    "squared_wasserstein": ("mean_a", lambda m: gaussian.squared_wasserstein(np.eye(20), np.eye(20), m, None)),
}
# the same for pictures (12, 4, 4) in [-1, 1]
PICTURED: dict[str, tuple[str, Verb]] = {
    "ProgressiveConvexGAN.fit": ("images", lambda A: cg.ProgressiveConvexGAN(ranks=[3]).fit(A).stages_[0].beta),
    "ProgressiveConvexGAN.score": ("images", CHAIN.score),
    "ProgressiveConvexGAN.encode": ("images", lambda A: CHAIN.encode(A).sum()),
    "ProgressiveConvexGAN.held_out": ("images", lambda A: CHAIN.held_out(A, resamples=2)[0].value),
    "frechet_distance": ("real", lambda A: frechet_distance(A, PICTURES["quarters"], "pixels=2", resamples=2).value),
    "kernel_distance": ("fake", lambda A: kernel_distance(PICTURES["quarters"], A, resamples=2).value),
    "sliced_wasserstein": ("fake", lambda A: sliced_wasserstein(PICTURES["flags"], A, resamples=2)[0].value),
    "PictureSource": ("images", lambda A: float(PictureSource(A)[torch.arange(5)].double().sum())),
}


class Arrayed:
    """What has ``__array__`` and nothing else."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.values, dtype)


class Exported:
    """What has ``__dlpack__`` and nothing else."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


class Frame:
    """A table with named columns, as pandas has them."""

    def __init__(self, values: Any, columns: Any = ("a", "b", "c")) -> None:
        self.values, self.columns = np.asarray(values), list(columns)

    def __getitem__(self, label: Any) -> Any:
        return self.values[:, self.columns.index(label)]

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.values, dtype)

    def select(self, columns: list[Any]) -> Frame:
        return Frame(np.stack([self[label] for label in columns], axis=1), columns)


class Lazy:
    """What dask has: it is computed when it is asked."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def compute(self) -> Any:
        return self.values


class Settled(Arrayed):
    """What xarray has: computed it is of the same kind."""

    def compute(self) -> Any:
        return self


class Quantity(np.ndarray):
    """Numbers with a unit, as astropy and unyt have them."""

    unit = "m"


def _mapped(A: Any) -> Any:
    path = Path(tempfile.mkdtemp()) / "x.npy"
    np.save(path, A)
    return np.load(path, mmap_mode="r")


def _read_only(A: Any) -> Any:
    found = A.copy()
    found.setflags(write=False)
    return found


def _apart(A: Any) -> Any:
    wide = np.repeat(A, 2, axis=0)[::2]
    return wide if A.ndim == 1 else np.repeat(wide, 3, axis=-1)[..., ::3]


DTYPES = {
    "quarters": ("float16", "float32", "float64", "longdouble", ">f8", ">f4", ">f2"),
    "counts": ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", ">i4", ">u8"),
    "flags": ("bool",),
}
LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "mirrored": lambda A: np.ascontiguousarray(A[::-1])[::-1],
    "mirrored columns": lambda A: np.ascontiguousarray(A[..., ::-1])[..., ::-1],
    "apart": _apart,
    "read-only": _read_only,
    "mapped": _mapped,
    "a field of records": lambda A: np.rec.fromarrays([A, A], names="x,y").x,
}
CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "array": lambda A: A,
    "lists": lambda A: A.tolist(),
    "a tuple of tuples": lambda A: tuple(A.tolist() if A.ndim == 1 else map(tuple, A.tolist())),
    "a list of arrays": list,
    "a matrix": lambda A: np.asmatrix(A) if A.ndim == 2 else A,
    "masked nowhere": lambda A: np.ma.masked_array(A, np.zeros(A.shape, bool)),
    "masked by nothing": np.ma.masked_array,
    "__array__": Arrayed,
    "computed": Lazy,
    "computed before": Settled,
    "frame": lambda A: Frame(A) if A.ndim == 2 else A,
}
# of arrays that torch can hold
TENSORS: dict[str, Callable[[Any], Any]] = {
    "tensor": lambda t: t,
    "a parameter": lambda t: torch.nn.Parameter(t, requires_grad=t.is_floating_point()),
    "transposed": lambda t: t.mT.contiguous().mT if t.dim() > 1 else t,
    "strided": lambda t: torch.repeat_interleave(t, 2, dim=0)[::2],
    "requiring gradients": lambda t: (t * 1).requires_grad_() if t.is_floating_point() else t,
    "in a graph": lambda t: t.requires_grad_().clone() if t.is_floating_point() else t,
    "negated": lambda t: torch.complex(0 * t, -t).conj().imag if t.dtype in (torch.float32, torch.float64) else t,
    "a list of them": lambda t: list(t),
    "by dlpack": lambda t: Exported(t) if t.dtype not in (torch.bfloat16, torch.bool) else t,
    "bfloat16": lambda t: t.to(torch.bfloat16),
}


def _first_masked(A: Any) -> Any:
    found = np.ma.masked_array(np.array(A, dtype=float))
    found[(3, *(1,) * (A.ndim - 1))] = np.ma.masked
    return found


def _first(A: Any, value: Any, dtype: Any = object) -> Any:
    found = np.array(A).astype(dtype)
    found[(3, *(1,) * (A.ndim - 1))] = value
    return found


# kind -> (what makes it of float rows, what the error says beside the argument)
REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "masked": (_first_masked, r"1 masked entries.*getmaskarray"),
    "rows of which one is masked": (lambda A: list(_first_masked(A)), "masked"),
    "computed with a mask": (lambda A: Lazy(_first_masked(A)), "masked"),
    "object cells": (lambda A: A.astype(object), r"\.astype\(float\)"),
    "a missing cell": (lambda A: _first(A, None), r"missing.*\.astype\(float\)"),
    "lists with a missing cell": (lambda A: _first(A, None).tolist(), "missing"),
    "text": (lambda A: A.astype(str), r"\.astype\(float\)"),
    "bytes": (lambda A: A.astype("S8"), r"\.astype\(float\)"),
    "text among objects": (lambda A: _first(A, "1.5"), r"1\.5"),
    "complex": (lambda A: A + 1j, r"\.real|Complex data not supported"),
    "dates": (lambda A: A.astype("M8[s]"), "timedelta64"),
    "durations": (lambda A: A.astype("m8[s]"), "timedelta64"),
    "records": (lambda A: np.rec.fromarrays([A, A], names="x,y"), "structured_to_unstructured"),
    "integers beyond 2^53": (lambda A: _first(A, 2**53 + 1, np.int64), r"2\^53"),
    "unsigned ones": (lambda A: _first(A, 2**64 - 1, np.uint64), r"2\^53"),
    "such integers in a list": (lambda A: _first(A, 2**53 + 1).tolist(), r"2\^53"),
    "longdouble beyond float64": (lambda A: _first(A, np.longdouble(10) ** 400, np.longdouble), "range of float64"),
    "a unit": (lambda A: A.view(Quantity), r"unit m.*\.value"),
    "a sparse tensor": (lambda A: torch.tensor(A).to_sparse(), r"\.to_dense\(\)"),
    "a quantized tensor": (
        lambda A: torch.quantize_per_tensor(torch.tensor(A, dtype=torch.float32), 0.25, 0, torch.qint8),
        r"\.dequantize\(\)",
    ),
    "a tensor without memory": (lambda A: torch.tensor(A).to("meta"), "meta"),
    "a complex tensor": (lambda A: torch.tensor(A + 1j), r"\.real"),
    "a nested tensor": (lambda A: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]), "torch.stack"),
    "a masked tensor": (
        lambda A: torch.masked.masked_tensor(torch.tensor(A), torch.tensor(A.min() < A)),
        "mask",
    ),
    "a ragged list": (lambda A: [*A.tolist()[:-1], [1.0] * 7], "one shape"),
    "an iterator": (lambda A: iter(A), "list"),
    "a generator": (lambda A: (row for row in A), "list"),
    "a set": (lambda A: set(A.ravel().tolist()), "list"),
    "a dict": (lambda A: {"a": A}, "column_stack"),
    "a file name": (lambda A: "x.npy", r"numpy\.load|datasets\.load"),
    "a path": (lambda A: Path("x.npy"), r"numpy\.load|datasets\.load"),
    "nothing": (lambda A: None, ""),
}
SPARSE: dict[str, Callable[[Any], Any]] = {
    "csr_matrix": sparse.csr_matrix,
    "csr_array": sparse.csr_array,
    "coo_array": sparse.coo_array,
    "dia_matrix": sparse.dia_matrix,
    "dok_array": sparse.dok_array,
}
REFUSED |= {name: (lambda A, make=make: make(A.reshape(len(A), -1)), r"\.toarray\(\)") for name, make in SPARSE.items()}
