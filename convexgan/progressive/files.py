"""A progressive model as settings and arrays, for one file without pickles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_count, check_number
from convexgan.progressive.conditional import JointStage
from convexgan.progressive.histogram import check_map
from convexgan.progressive.ranks import Variance
from convexgan.progressive.stages import Stage
from convexgan.records.certificate import Certificate, Evidence
from convexgan.records.encoding import EVIDENCE

Arrays = Mapping[str, NDArray[Any]]
STAGE_ARRAYS = ("mean", "factor", "carry", "fresh", "eigenvalues")
DETAIL = {"detail": "factor", "detail_mean": "mean"}  # equal to what is written already, but for skip connections


def state(model: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Settings and arrays of a fitted model."""
    arrays: dict[str, NDArray[Any]] = {} if model.histogram_ is None else {"histogram": model.histogram_}
    stages = []
    for i, stage in enumerate(model.stages_):
        joint = isinstance(stage, JointStage)
        facts = []
        for j, part in enumerate(stage.parts if joint else [stage]):
            described, own = _described(part)
            facts.append(described)
            arrays |= {f"{i}.{j}.{name}" if joint else f"{i}.{name}": array for name, array in own.items()}
        stages.append({"beta": stage.beta, "parts": facts} if joint else facts[0])
    params = {name: _plain(value) for name, value in model.get_params().items()}
    settings = {"params": params, "stages": stages, "color": model.color_}
    if model.classes_ is not None:
        settings |= {"classes": list(model.classes_), "counts": list(model.counts_)}
    return settings, arrays


def _described(stage: Stage) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Settings and arrays of a stage."""
    arrays = {name: getattr(stage, name) for name in STAGE_ARRAYS}
    details = {name: getattr(stage, name) for name in DETAIL}
    arrays |= {name: array for name, array in details.items() if not np.array_equal(array, arrays[DETAIL[name]])}
    proof, large = stage.certificate.parts()
    facts = {"size": stage.size, "channels": stage.channels, "beta": stage.beta, "certificate": proof}
    facts["variance"] = stage.variance._asdict()
    return facts, arrays | {EVIDENCE + name: array for name, array in large.items()}


def restore(model: Any, settings: dict[str, Any], arrays: Arrays) -> None:
    """Make the model what was written; KeyError, TypeError or ValueError for settings that are damaged."""
    model.color_ = bool(settings["color"])
    model.channels_ = 3 if model.color_ else 1
    model.histogram_ = arrays.get("histogram")
    if model.histogram_ is not None:
        check_map(model.histogram_, model.channels_)
    model.classes_ = model.counts_ = None
    if "classes" not in settings:
        model.stages_ = [_stage(s, _under(arrays, f"{i}."), model.channels_) for i, s in enumerate(settings["stages"])]
        _check_chain(model.stages_)
        return
    classes, counts = tuple(settings["classes"]), tuple(check_count(n, "counts", 2) for n in settings["counts"])
    if not len(set(classes)) == len(classes) == len(counts) > 0:
        raise ValueError("its classes and counts contradict each other")
    model.classes_, model.counts_, model.stages_ = classes, counts, []
    for i, joint in enumerate(settings["stages"]):
        parts = [_stage(s, _under(arrays, f"{i}.{j}."), model.channels_) for j, s in enumerate(joint["parts"])]
        if len(parts) != len(classes):
            raise ValueError("it has not one stage for each of its classes")
        model.stages_.append(JointStage(tuple(parts), counts, classes, check_number(joint["beta"], "beta")))
    for j in range(len(classes)):
        _check_chain([stage.parts[j] for stage in model.stages_])


def _check_chain(stages: Sequence[Stage]) -> None:
    widths = [len(stage.factor) for stage in stages]
    if not widths or [len(s.carry) for s in stages] != [0, *widths[:-1]]:
        raise ValueError("its stages do not fit together")


def _under(arrays: Arrays, prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names begin so, by what follows."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _stage(settings: dict[str, Any], arrays: Arrays, channels: int) -> Stage:
    size, d = check_count(settings["size"], "size"), settings["size"] ** 2 * channels
    arrays = {name: arrays[same] for name, same in DETAIL.items()} | dict(arrays)
    found = {name: np.asarray(arrays[name], dtype=np.float64) for name in (*STAGE_ARRAYS, *DETAIL)}
    k = len(found["factor"])
    fits = found["factor"].shape == (k, d) and found["mean"].shape == found["detail_mean"].shape == (d,)
    fits = fits and found["carry"].shape[1:] == found["fresh"].shape[1:] == (k,) and found["detail"].shape[1:] == (d,)
    if not fits or not all(np.isfinite(array).all() for array in found.values()):
        raise ValueError("the arrays of a stage have wrong shapes or entries that are not finite")
    proof = Certificate.from_json(settings["certificate"], apart=lambda name: arrays[EVIDENCE + name])
    if "evidence" in settings:  # of version 0.2 and earlier, whose evidence is in arrays, the small ones too
        proof = replace(proof, evidence=Evidence(dict(settings["evidence"]), _under(arrays, EVIDENCE)))
    described = settings.get("variance", {"game": math.nan, "pictures": math.nan})  # models of version 0.1 do not say
    variance = Variance(float(described["game"]), float(described["pictures"]))
    beta = check_number(settings["beta"], "beta")
    return Stage(size, channels, beta, variance=variance, certificate=proof, **found)


def _plain(value: Any) -> Any:
    """A JSON value for a parameter."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value
