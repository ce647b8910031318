"""The recognisers' definitions: how each network is built, and how files of other origins name its layers."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

import torch
from torch import nn

from cloakbench.errors import InputError
from cloakbench.files import seals

TIMM = "timm/"


@dataclass(frozen=True)
class Architecture:
    """What must be known of a network to read its weights and run it.

    build: `outputs` (width of the final linear layer, or None for a network without it) -> network
    head: module name of the final linear layer
    stem: first convolution, where files for BGR input are accepted: its input axis is what is turned round
    layers: module names in other people's files -> module names of `build`
    embeds: whether the final linear layer gives the embedding; else it gives class logits, and a gallery goes without
    """

    build: Callable[[int | None], nn.Module]
    head: str
    stem: str | None = None
    layers: Mapping[str, str] = field(default_factory=dict)
    embeds: bool = False


def build(arch: str, outputs: int | None) -> nn.Module:
    """The network in eval mode, float32, with random weights: (B, 3, H, W) normalised RGB -> (B, outputs).

    outputs: width of the final linear layer, which gives class logits or, in a network that ends in its
    embedding (EdgeFace, dlib's), the embedding. None leaves the layer out: the features before it (FaceNet: 512, of
    length 1; ResNet-50 and SENet-50: 2048) are the embedding.
    Raises InputError for an architecture that does not exist.
    """
    return find(arch).build(outputs).eval()


def outputs_of(arch: str, state: Mapping[str, torch.Tensor]) -> int | None:
    """Width of the final linear layer in a state dict of this architecture, None where there is none."""
    head = find(arch).head
    for tensor in (state.get(f"{head}.weight"), state.get(f"{head}.bias")):
        if tensor is not None and tensor.ndim:
            return tensor.shape[0]
    return None


@functools.cache
def find(arch: str) -> Architecture:
    """The record of an architecture: of ARCHITECTURES, of the small networks, or any `timm/<name>`.

    Raises InputError that lists the known ones, or for timm the names most like it.
    """
    if arch in ARCHITECTURES:
        return ARCHITECTURES[arch]
    from cloakbench.synthetic.small import HEAD, SMALL

    if arch in SMALL:
        return Architecture(functools.partial(_small, arch), HEAD)
    if arch.startswith(TIMM):
        name = _timm_name(arch)
        return Architecture(functools.partial(_timm, name), _timm_head(name))
    known = ", ".join(sorted({*ARCHITECTURES, *SMALL}))
    raise InputError(f"arch: {arch!r} is not known, accepted: {known}, or {TIMM}<name> for any name in timm")


def _small(name: str, outputs: int | None) -> nn.Module:
    from cloakbench.synthetic.small import SMALL

    if outputs is None:
        raise InputError(f"{name} ends in its class head and the weights have none; accepted: weights with it")
    return SMALL[name](outputs)


def _timm_head(name: str) -> str:
    """The final linear layer: as timm says, or else the one whose shape follows the number of outputs."""
    import timm

    said = getattr(timm.get_pretrained_cfg(name), "classifier", None)
    if isinstance(said, str):
        return said
    with torch.device("meta"):
        two, three = _timm(name, 2).state_dict(), _timm(name, 3).state_dict()
    return next((layer for layer in two if two[layer].shape != three[layer].shape), "").rpartition(".")[0]


def _timm_name(arch: str) -> str:
    import timm

    name = arch.removeprefix(TIMM)
    if not timm.is_model(name):  # also keeps out `hf-hub:` and `local-dir:`, which fetch or read something
        close = difflib.get_close_matches(name, timm.list_models(), n=5)
        advice = f"close to it: {', '.join(close)}" if close else "timm.list_models() lists them"
        raise InputError(f"arch: timm has no architecture {name!r}; {advice}")
    return name


def _timm(name: str, outputs: int | None) -> nn.Module:
    import timm

    seals.note(timm=timm.__version__)
    return timm.create_model(name, num_classes=outputs or 0)


def _inception_resnet_v1(outputs: int | None) -> nn.Module:
    from facenet_pytorch import InceptionResnetV1

    seals.note(**{"facenet-pytorch": version("facenet-pytorch")})
    return InceptionResnetV1(classify=outputs is not None, num_classes=outputs)


def _resnet50(outputs: int | None) -> nn.Module:
    """torchvision's ResNet-50 as Caffe had it; without the two changes the weights load and mean nothing."""
    from torchvision.models import resnet50

    seals.note(torchvision=version("torchvision"))
    network = resnet50(num_classes=outputs or 1)
    network.maxpool = nn.MaxPool2d(3, stride=2, padding=0, ceil_mode=True)
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    if outputs is None:
        network.fc = nn.Identity()
    return network


def _senet50(outputs: int | None) -> nn.Module:
    return _timm("legacy_seresnet50", outputs)  # Caffe's strides and pooling are its own


def _dlib_resnet(outputs: int | None) -> nn.Module:
    from cloakbench.recognisers.networks import DlibResNet

    if outputs is None:
        raise InputError("dlib_resnet ends in its embedding, the layer fc; accepted: weights with it")
    return DlibResNet(outputs)


BLOCKS = (3, 4, 6, 3)  # of the four stages of both 50-layer networks


def _dag_layers(stem: str, head: str, squeeze: Mapping[str, str]) -> dict[str, str]:
    """Names of the Caffe prototxt, which Albanie's files keep. squeeze: its layers of the SE blocks."""
    parts = {
        "1x1_reduce": "conv1", "1x1_reduce_bn": "bn1", "3x3": "conv2", "3x3_bn": "bn2",
        "1x1_increase": "conv3", "1x1_increase_bn": "bn3", "1x1_proj": "downsample.0",
        "1x1_proj_bn": "downsample.1", **squeeze,
    }  # fmt: skip
    layers = {"conv1_7x7_s2": f"{stem}conv1", "conv1_7x7_s2_bn": f"{stem}bn1", "classifier": head}
    for stage, block in _stages():
        for theirs, ours in parts.items():
            layers[f"conv{stage + 1}_{block + 1}_{theirs}"] = f"layer{stage}.{block}.{ours}"
    return layers


def _senet_pickle_layers() -> dict[str, str]:
    """Names of cydonia999's SENet-50; those of its ResNet-50 are torchvision's."""
    layers = {"conv1": "layer0.conv1", "bn1": "layer0.bn1", "fc": "last_linear"}
    for stage, block in _stages():
        layers[f"layer{stage}.{block}.conv4"] = f"layer{stage}.{block}.se_module.fc1"
        layers[f"layer{stage}.{block}.conv5"] = f"layer{stage}.{block}.se_module.fc2"
    return layers


def _stages() -> list[tuple[int, int]]:
    return [(stage, block) for stage, count in enumerate(BLOCKS, start=1) for block in range(count)]


SQUEEZE = {"1x1_down": "se_module.fc1", "1x1_up": "se_module.fc2"}

ARCHITECTURES: dict[str, Architecture] = {
    "inception_resnet_v1": Architecture(_inception_resnet_v1, head="logits"),
    "resnet50": Architecture(_resnet50, head="fc", stem="conv1", layers=_dag_layers(stem="", head="fc", squeeze={})),
    "senet50": Architecture(
        _senet50,
        head="last_linear",
        stem="layer0.conv1",
        layers=_dag_layers(stem="layer0.", head="last_linear", squeeze=SQUEEZE) | _senet_pickle_layers(),
    ),
    "dlib_resnet": Architecture(_dlib_resnet, head="fc", embeds=True),
}
