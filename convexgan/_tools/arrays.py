"""The one door for arrays: their real numbers as numpy keeps them, or what else they hold and how to repair it."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Mapping, Set
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.tables import (
    Label,
    column_names,
    column_values,
    is_column,
    is_one_block,
    is_table,
    new_places,
    table_columns,
)

KEPT = frozenset(map(np.dtype, (np.float64, np.float32, np.uint8)))
SEQUENCES = (list, tuple, deque)
SCALARS = (bool, int, float, complex, str, bytes, type(None), np.generic)
READABLE = ("__array__", "__array_interface__", "__dlpack__", "__getitem__", "__buffer__", "nnz")
EXACT = 2**53  # integers up to here are float64
UNREADABLE = (TypeError, ValueError, RuntimeError, BufferError, AttributeError)
REPAIRS = {  # of dtypes that are no real numbers, by kind
    "c": "pass its .real if the imaginary parts mean nothing, or both parts as columns",
    "M": "subtract an origin and divide by a unit, / numpy.timedelta64(1, 's') say",
    "m": "divide by a unit, / numpy.timedelta64(1, 's') say",
    "V": "make columns of its fields, numpy.lib.recfunctions.structured_to_unstructured(...)",
}
MODES = ("L", "RGB", "I;16", "I", "F")  # of Pillow, whose numbers are brightness; of others: indices, inks, angles
ORIENTATION = 0x0112  # the EXIF tag


def read_array(values: Any, name: str) -> NDArray[Any]:
    """The numbers of anything that holds real ones, of any shape, in float64, float32 or uint8.

    Nothing is copied that numpy has in one of these already, and no number changes but the last digits of a longdouble:
    bytes stay bytes, half precision becomes float32, all else float64. Finiteness is checked where the numbers are
    used.

    Parameters
    ----------
    values : array, tensor, frame, column, list, or what has ``__array__`` or ``__dlpack__``
    name : str
        What error messages call it.

    Raises
    ------
    ValueError
        Something is masked, missing, sparse, has a unit or is no real number.
    """
    if type(values) is np.ndarray and values.dtype in KEPT:
        return values
    return as_kept(plain_array(values, name), name)


def as_rows(X: Any, name: str) -> NDArray[Any]:
    """The samples as a 2-D array of at least one row and column, read by `read_array`."""
    rows = read_array(X, name)
    if rows.ndim != 2:
        repair = "flatten each sample to a row, .reshape(len(...), -1)"
        if rows.ndim == 1:
            column = hasattr(X, "to_frame")  # of pandas and polars
            repair = f"{'.to_frame()' if column else '.reshape(-1, 1)'} makes one column of it"
        raise ValueError(f"{name} must be a 2-D array of shape (samples, features), got shape {rows.shape}: {repair}.")
    if 0 in rows.shape:
        raise ValueError(f"{name} is empty (shape {rows.shape}): pass at least one sample with one feature.")
    return rows


def as_floats(values: Any, name: str) -> NDArray[np.float64]:
    """The numbers of anything that holds real ones, of any shape, in float64; no copy where that is what it is."""
    return read_array(values, name).astype(np.float64, copy=False)


def ordered(X: Any, columns: tuple[Label, ...] | None, name: str, other: str) -> Any:
    """X itself, or with its columns in the given order where both have names; other names are refused.

    Parameters
    ----------
    X : whatever `as_rows` reads, or Moments
    columns : tuple, optional
        The names of the columns of ``other``; None if it has none.
    """
    places = new_places(column_names(X, name), columns, name, other)
    if places is None:
        return X
    return X.reordered(places) if hasattr(X, "reordered") else as_rows(X, name)[:, places]


def paired(X: Any, Y: Any, x: str = "X", y: str = "Y") -> tuple[Any, Any]:
    """Two samples of the same features, the columns of the second in the order of the first if both have names."""
    return X, ordered(Y, column_names(X, x), y, x)


def is_stream(values: Any) -> bool:
    """Whether it hands out one thing after another and is no array: an iterator, or a loader of data."""
    whole = isinstance(values, Set | Mapping | str | bytes) or any(hasattr(values, way) for way in READABLE)
    return isinstance(values, Iterable) and not whole


def is_tensor(values: Any) -> bool:
    """Whether it is a tensor of torch, which is not imported for this."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(values, torch.Tensor)


def dense_tensor(tensor: Any, name: str) -> Any:
    """The tensor without its graph, on its device; raises unless it holds real numbers, all of them."""
    kinds = (
        ("with a mask", hasattr(tensor, "get_mask"), ".to_tensor(0) fills what is masked, or leave those rows out"),
        ("nested", tensor.is_nested, "bring its parts to one shape and use torch.stack"),
        ("sparse", str(tensor.layout) != "torch.strided", ".to_dense() holds all its entries"),
        ("quantized", tensor.is_quantized, ".dequantize() makes numbers of it"),
        ("without memory", tensor.is_meta, "it is on the device 'meta': load its numbers first"),
        ("complex", tensor.is_complex(), REPAIRS["c"]),
    )
    for kind, found, repair in kinds:
        if found:
            raise ValueError(f"{name} is a {tensor.dtype} tensor {kind}, not an array of real numbers: {repair}.")
    return tensor.detach().resolve_neg()


def plain_array(values: Any, name: str) -> NDArray[Any]:
    """The array behind what was passed, of any dtype, with nothing masked or missing."""
    if is_tensor(values):
        return _of_tensor(dense_tensor(values, name))
    _refuse_what_is_no_array(values, name)
    if hasattr(values, "detach"):  # of what acts like a tensor
        return plain_array(values.detach().cpu().numpy(), name)
    if callable(getattr(values, "compute", None)):  # of dask, whose masks its __array__ drops
        computed = values.compute()
        if type(computed) is not type(values):
            return plain_array(computed, name)
        values = computed  # of xarray, which stays what it is
    if is_table(values) and hasattr(values, "__getitem__") and not is_one_block(values):
        columns = [as_kept(plain_array(column, label), label) for label, column in table_columns(values, name)]
        return np.stack(columns, axis=1) if columns else np.zeros((0, 0))
    if is_table(values):
        column_names(values, name)
    elif is_column(values):
        values = column_values(values, name)
    if isinstance(values, SEQUENCES):
        return _stacked(values, name)
    return _unmasked(_by_protocol(values, name), name)


def _of_tensor(tensor: Any) -> NDArray[Any]:
    found = tensor.cpu()
    wide = found.is_floating_point() and str(found.dtype) not in ("torch.float64", "torch.float32", "torch.float16")
    return np.asarray((found.float() if wide else found).numpy())  # bfloat16 and what has 8 bits are float32 exactly


def _refuse_what_is_no_array(values: Any, name: str) -> None:
    """Raise for what numpy would take as one object, flatten or use up."""
    if isinstance(values, str | bytes | bytearray | os.PathLike):
        raise ValueError(f"{name} must be an array, got {values!r:.80}: read a file with numpy.load.")
    kind = type(values).__name__
    if hasattr(values, "nnz"):
        repair = ".toarray()" if hasattr(values, "toarray") else ".todense()"
        raise ValueError(f"{name} is sparse ({kind}): {repair} holds all its entries.")
    if isinstance(values, Mapping) or (hasattr(values, "data_vars") and hasattr(values, "coords")):
        raise ValueError(f"{name} must be an array, got a {kind}: stack what it holds, numpy.column_stack([...]).")
    if hasattr(values, "getbands") and hasattr(values, "getexif"):
        _check_picture(values, name)
    if hasattr(values, "collect"):
        raise ValueError(f"{name} is a {kind}, not computed yet: pass {name}.collect().")
    if isinstance(values, Set) or is_stream(values):
        raise ValueError(f"{name} must be an array, got a {kind}, which has no order or is read once: pass a list.")
    unit = getattr(values, "unit", getattr(values, "units", None))
    if unit is not None and (isinstance(values, np.ndarray) or hasattr(values, "magnitude")):
        repair = ".magnitude" if hasattr(values, "magnitude") else ".value"
        raise ValueError(f"{name} has the unit {unit}, which would be lost: pass {repair} of it, in units of your own.")


def _check_picture(picture: Any, name: str) -> None:
    """Raise for an image of Pillow whose numbers are not what is seen: indices of a palette, inks, or a turned one."""
    if picture.mode not in MODES:
        grey = picture.mode in ("1", "LA", "La")
        raise ValueError(
            f"{name} is an image of mode {picture.mode!r}, whose numbers are not its brightness: pass it with "
            f".convert({'L' if grey else 'RGB'!r})."
        )
    if picture.getexif().get(ORIENTATION, 1) != 1:
        raise ValueError(f"{name} is an image that its EXIF tag turns: pass PIL.ImageOps.exif_transpose(...) of it.")


def _stacked(values: Any, name: str) -> NDArray[Any]:
    """A list of numbers, or of arrays of one shape."""
    kinds = set(map(type, values))
    if (
        kinds <= {list, tuple}
        and len(set(map(len, values))) == 1
        and set(map(type, chain.from_iterable(values))) == {float}
    ):
        return np.asarray(values)  # most lists, at once
    if all(issubclass(kind, SCALARS) for kind in kinds):
        found = np.asarray(values)
        if found.dtype.kind == "f" and any(issubclass(kind, int | np.integer) for kind in kinds):
            _check_exact([value for value in values if isinstance(value, int | np.integer)], name)
        return found
    parts = [plain_array(part, f"{name}[{i}]") for i, part in enumerate(values)]
    if len({part.dtype for part in parts}) > 1:  # which numpy would bring to one that holds some of the numbers only
        parts = [as_kept(part, name) for part in parts]
    shapes = [part.shape for part in parts]
    for i, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"{name} mixes shapes, {name}[0] has {shapes[0]} and {name}[{i}] {shape}: bring its parts to one shape."
            )
    return np.stack(parts)


def _by_protocol(values: Any, name: str) -> NDArray[Any]:
    """What numpy makes of it by ``__array__``, the buffer or ``__dlpack__``, subclasses as they are."""
    try:
        if hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
            return np.from_dlpack(values)
        return np.asanyarray(values)
    except UNREADABLE as error:
        kind = type(values).__name__
        raise ValueError(f"{name} is a {kind} that numpy cannot read ({error}): copy it to an array.") from None


def _unmasked(array: NDArray[Any], name: str) -> NDArray[Any]:
    """The plain array; raises if an entry is masked."""
    if isinstance(array, np.ma.MaskedArray) and array.dtype.names is None:
        masked = np.ma.getmaskarray(array)
        if masked.any():
            this = name if name.isidentifier() else "x"
            where = "" if array.ndim < 2 else f".any(axis={tuple(range(1, array.ndim)) if array.ndim > 2 else 1})"
            raise ValueError(
                f"{name} has {np.count_nonzero(masked)} masked entries: leave their rows out, "
                f"{this}[~np.ma.getmaskarray({this}){where}].data, or put numbers there with .filled(...)."
            )
        array = array.data
    return np.asarray(array)


def as_kept(array: NDArray[Any], name: str) -> NDArray[Any]:
    """The array in one of the dtypes that are kept."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if array.dtype in KEPT:
        return array
    if kind in "iub":
        if size == 8:
            over = array[(array > EXACT) | (array < -EXACT)] if kind == "i" else array[array > EXACT]
            _check_exact(over.tolist(), name)
        return array.astype(np.float64)
    if kind == "f" and size > 8:
        with np.errstate(over="ignore"):
            found = array.astype(np.float64)
        if not np.array_equal(np.isinf(found), np.isinf(array)):
            raise ValueError(f"{name} has {array.dtype} entries beyond the range of float64: rescale it.")
        return found
    if kind == "f" or (kind == "V" and array.dtype.names is None and np.can_cast(array.dtype, np.float32)):
        return array.astype(np.float64 if size == 8 else np.float32)  # also bfloat16, which numpy knows from others
    raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}{_repair(array)}.")


def _check_exact(integers: Iterable[Any], name: str) -> None:
    """Raise if an integer is none of float64's."""
    for value in integers:
        if int(float(value)) != int(value):
            raise ValueError(
                f"{name} has integers beyond 2^53 that float64 would change, {value} for one: subtract a common "
                f"offset while they are integers, or round them with .astype(float)."
            )


def _repair(array: NDArray[Any]) -> str:
    if array.dtype.kind != "O":
        return f": {REPAIRS.get(array.dtype.kind, 'convert it with .astype(float), or leave these columns out')}"
    odd = next((cell for cell in array.flat if not isinstance(cell, int | float | np.number)), None)
    if odd is None and not any(cell is None for cell in array.flat):
        return ": convert it with .astype(float)"
    if odd is None or type(odd).__name__ in ("NAType", "NaTType"):
        return f" with missing cells ({odd}): leave those rows out (.dropna() of a frame), then .astype(float)"
    return f" with cells like {odd!r:.60}: convert it with .astype(float), or leave these columns out"
