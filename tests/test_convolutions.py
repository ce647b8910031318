"""Convolutions that take over what follows them, against the network as it was and torch's own in double precision."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from cloakbench.recognisers import convolutions
from cloakbench.recognisers.architectures import build
from cloakbench.recognisers.convolutions import Convolution, merged
from cloakbench.recognisers.recogniser import Recogniser, folded

pytestmark = pytest.mark.skipif(
    not convolutions.available("cpu", torch.float32),
    reason="this torch comes without oneDNN: networks stay as they are",
)
CLOSE = 1e-5  # of the largest number

SHAPES = {
    "pointwise": {"kernel_size": 1},
    "3x3": {"kernel_size": 3, "padding": 1},
    "without padding": {"kernel_size": 3},
    "without bias": {"kernel_size": 3, "padding": 1, "bias": False},
    "oblong": {"kernel_size": (1, 7), "padding": (0, 3)},
    "even": {"kernel_size": (2, 4), "padding": (1, 2)},
    "pointwise with stride": {"kernel_size": 1, "stride": 2},
    "pointwise with two strides": {"kernel_size": 1, "stride": (2, 3)},
    "stride": {"kernel_size": 3, "stride": 2, "padding": 1},
    "two strides": {"kernel_size": 3, "stride": (2, 1), "padding": 1},
    "stride 4": {"kernel_size": 4, "stride": 4},
    "stem of ResNet": {"kernel_size": 7, "stride": 2, "padding": 3},
    "stem of FaceNet": {"kernel_size": 3, "stride": 2},
}


def gradient(function, x: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The output, and the gradients of its weighted sum with respect to every input."""
    inputs = [x.detach().clone().requires_grad_() for x in (x, *others)]
    output = function(*inputs)
    weights = torch.sin(torch.arange(output.numel(), dtype=output.dtype)).reshape(output.shape)
    return output.detach(), *torch.autograd.grad((output * weights).sum(), inputs)


def assert_close(ours: tuple[torch.Tensor, ...], exact: tuple[torch.Tensor, ...]) -> None:
    for got, wanted in zip(ours, exact, strict=True):
        assert got.shape == wanted.shape
        assert (got.double() - wanted).abs().max() <= CLOSE * wanted.abs().max()


@pytest.mark.parametrize("size", [(23, 23), (24, 24), (9, 14)])
@pytest.mark.parametrize("channels", [3, 24])
@pytest.mark.parametrize("name", SHAPES)
def test_output_and_input_gradient(name, channels, size):
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, 20, **SHAPES[name])
    x = torch.randn(2, channels, *size).contiguous(memory_format=torch.channels_last)
    ours = Convolution(plain, scale=1.0, relu=False)
    assert_close(gradient(ours, x), gradient(copy.deepcopy(plain).double(), x.double()))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("scale", [1.0, 0.17])
def test_scale_residual_and_relu(scale, relu):
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 20, 3, padding=1)
    x, residual = torch.randn(2, 8, 11, 11), torch.randn(2, 20, 11, 11)
    exact = copy.deepcopy(plain).double()

    def reference(x, residual):
        total = scale * exact(x) + residual
        return total.relu() if relu else total

    ours = gradient(Convolution(plain, scale, relu), x, residual)
    assert_close(ours, gradient(reference, x.double(), residual.double()))


def test_weights_are_laid_out_for_the_latest_shapes_only():
    """Faces of any size, as random resizing makes them, keep no copy of the weights each, and change no answer."""
    layer = Convolution(nn.Conv2d(3, 8, 3), 1.0, True)
    first = torch.rand(1, 3, 20, 20)
    expected = gradient(layer, first)
    for size in range(21, 40):
        gradient(layer, torch.rand(1, 3, size, size))
        assert len(layer.laid_out) <= convolutions.KEPT
    for found, wanted in zip(gradient(layer, first), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_another_batch_size_gets_weights_of_its_own():
    torch.manual_seed(0)
    layer = Convolution(nn.Conv2d(8, 8, 3, padding=1), 1.0, relu=True)
    x = torch.randn(5, 8, 12, 12)
    whole = gradient(layer, x)[0]
    for count in (1, 2, 5):
        assert (layer(x[:count]) - whole[:count]).abs().max() <= CLOSE * whole.abs().max()


class Tricky(nn.Module):
    """What must not be taken over: an output read twice, an input changed in between, a sum of other shapes."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third, self.shared, self.narrow = (
            nn.Conv2d(4, 4, 3, padding=1) for _ in range(5)
        )
        self.pooled = nn.Conv2d(4, 4, 1)
        self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.dilated = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.reflecting = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.same = nn.Conv2d(4, 4, 3, padding="same")
        self.far = nn.Conv2d(4, 4, 1, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        first = self.first(x)
        y = first + self.relu(first)  # the ReLU changes `first` where it stands
        second = self.second(y)
        y.mul_(2)  # after the convolution that read it, before the sum
        y += second
        doubled = self.third(y)
        y = doubled + doubled
        y = self.shared(self.shared(y).relu())
        y = self.narrow(y) + y.mean(dim=(2, 3), keepdim=True)
        y = self.pooled(y.mean(dim=(2, 3), keepdim=True)) + y
        y = self.reflecting(self.dilated(self.grouped(y))).relu()
        return self.far(self.same(y).clamp(min=0)).flatten(1)


def test_nothing_is_taken_over_that_others_see():
    torch.manual_seed(0)
    network = Tricky().eval().requires_grad_(False)
    exact, ours = copy.deepcopy(network).double(), merged(folded(network))
    x = torch.randn(2, 4, 12, 12)
    with torch.no_grad():
        assert_close((ours(x.clone()),), (exact(x.double()),))
    kept = {"grouped", "dilated", "reflecting", "same", "far", "shared"}
    assert {name for name, module in ours.named_children() if type(module) is nn.Conv2d} == kept


# architecture, side of its input, convolutions, of them with ReLU and with a residual
NETWORKS = [
    ("inception_resnet_v1", 96, 132, 131, 21),
    ("resnet50", 64, 53, 49, 16),
    ("senet50", 64, 85, 49, 0),
    ("dlib_resnet", 110, 29, 25, 10),
    ("small_inception_resnet", 48, None, None, None),
    ("small_resnet", 48, None, None, None),
    ("small_seresnet", 48, None, None, None),
    ("timm/resnet10t", 64, None, None, None),
    ("timm/mobilenetv3_small_050", 64, None, None, None),
]


@pytest.mark.parametrize(("arch", "size", "count", "relus", "residuals"), NETWORKS)
def test_a_network_stays_the_same_function(arch, size, count, relus, residuals):
    torch.manual_seed(0)
    network = build(arch, 16).requires_grad_(False)
    exact = copy.deepcopy(network).double()
    ours = Recogniser(merged(folded(network)).to(memory_format=torch.channels_last), [127.5] * 3, [128] * 3)
    x = torch.randint(0, 256, (2, 3, size, size)).float()
    output, slope = gradient(ours, x)
    wanted, wanted_slope = gradient(lambda x: exact((x - 127.5) / 128), x.double())
    assert (output - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    # at a kink of a ReLU or a tie in a pooling window a rounding decides which way the gradient goes
    assert (slope - wanted_slope).norm() <= 0.02 * wanted_slope.norm()
    layers = [module for module in ours.modules() if isinstance(module, Convolution)]
    assert layers and count in (len(layers), None) and relus in (sum(layer.relu for layer in layers), None)
    assert residuals in (sum(len(node.args) == 2 for node in calls(ours.network)), None)


def calls(network):
    nodes = (node for node in network.graph.nodes if node.op == "call_module")
    return [node for node in nodes if isinstance(network.get_submodule(node.target), Convolution)]
