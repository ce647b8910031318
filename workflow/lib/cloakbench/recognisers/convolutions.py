"""Convolutions of a frozen network on a CPU, with the passes over memory that their neighbours cost left out.

oneDNN adds the residual and clips at zero (ReLU) while it writes a convolution's output, and reads weights that were
laid out for it once instead of at every call. Nothing but the input gets a gradient, and the input gradient of a
convolution is again a convolution: of the output gradient with the kernel turned round.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import fx, nn

LANES = 16  # float32 numbers in the widest vector: up to here further output channels cost nothing
KEPT = 4  # copies of a layer's weights, laid out anew for each shape: forward and back, a whole batch and the last
RELU = (F.relu, torch.relu)
ADD = (operator.add, torch.add)  # torch.fx writes += as + too


class Convolution(nn.Module):
    """relu(scale * conv(x) + residual) of frozen weights; scale, residual and ReLU where there are any.

    (B, C, H, W) -> (B, O, H', W').
    """

    def __init__(self, convolution: nn.Conv2d, scale: float, relu: bool):
        super().__init__()
        bias = torch.zeros(convolution.out_channels) if convolution.bias is None else convolution.bias
        self.weight = nn.Parameter(scale * convolution.weight, requires_grad=False)
        self.bias = nn.Parameter(scale * bias, requires_grad=False)
        self.stride, self.padding, self.relu = convolution.stride, convolution.padding, relu
        self.laid_out: dict[tuple, torch.Tensor] = {}  # by what for and the input's shape, the latest last

    def forward(self, x: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        if residual is None or residual.shape == self.output_shape(x):
            return _Differentiable.apply(x, residual, self, self.relu)
        total = _Differentiable.apply(x, None, self, False) + residual  # one of both is broadcast
        return total.relu() if self.relu else total

    def output_shape(self, x: torch.Tensor) -> tuple[int, ...]:
        outputs, _, *kernel = self.weight.shape
        sizes = zip(x.shape[2:], kernel, self.padding, self.stride, strict=True)
        return x.shape[0], outputs, *((size + 2 * pad - length) // step + 1 for size, length, pad, step in sizes)

    def output(self, x: torch.Tensor, residual: torch.Tensor | None, relu: bool) -> torch.Tensor:
        weight = self._once("output", lambda: self.weight, self.padding, self.stride, x)
        return _convolve(x, weight, self.bias, self.padding, self.stride, residual, relu)

    def input_gradient(self, gradient: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Of an input of `shape`, from the gradient at the convolution's output (B, O, H', W')."""
        stride, (height, width), (top, left) = self.stride[0], self.weight.shape[2:], self.padding
        if self.stride == (1, 1) or (height, width, top, left) == (1, 1, 0, 0):
            padding = (height - 1 - top, width - 1 - left)
            weight = self._once("input", self._turned, padding, (1, 1), gradient)
            seen = _convolve(gradient, weight, None, padding)
            if self.stride == (1, 1):
                return seen
            full = gradient.new_zeros(shape).contiguous(memory_format=torch.channels_last)
            full[:, :, :: self.stride[0], :: self.stride[1]] = seen
            return full
        if self.stride == (stride, stride) and self.weight.shape[1] * stride**2 <= LANES:
            padding = (-(-height // stride) - 1, -(-width // stride) - 1)
            weight = self._once("input", self._turned_phases, padding, (1, 1), gradient)
            full = F.pixel_shuffle(_convolve(gradient, weight, None, padding), stride)
            bottom, right = (shape[2] + top - full.shape[2], shape[3] + left - full.shape[3])
            return F.pad(full, (-left, right, -top, bottom))
        return nn.grad.conv2d_input(shape, self.weight, gradient, self.stride, self.padding)

    def _turned(self) -> torch.Tensor:
        return self.weight.flip(2, 3).transpose(0, 1)

    def _turned_phases(self) -> torch.Tensor:
        """A kernel for each of the stride^2 places that an input pixel can have under the stride, as output channels
        in the order of `pixel_shuffle`: a first layer has so few channels that they all fit one vector."""
        stride, (outputs, channels, height, width) = self.stride[0], self.weight.shape
        whole = F.pad(self.weight, (0, -width % stride, 0, -height % stride))
        rows, columns = whole.shape[2] // stride, whole.shape[3] // stride
        phases = whole.reshape(outputs, channels, rows, stride, columns, stride).permute(1, 3, 5, 0, 2, 4)
        return phases.reshape(channels * stride**2, outputs, rows, columns).flip(2, 3)

    def _once(self, name: str, weight: Callable[[], torch.Tensor], padding, stride, x: torch.Tensor) -> torch.Tensor:
        """The weight as oneDNN wants it for an input like x."""
        laid_out = self.laid_out.pop((name, x.shape), None)
        if laid_out is None:
            if len(self.laid_out) == KEPT:
                del self.laid_out[next(iter(self.laid_out))]
            channels_last = weight().contiguous(memory_format=torch.channels_last)
            laid_out = torch.ops.mkldnn._reorder_convolution_weight(channels_last, padding, stride, (1, 1), 1, x.shape)
        self.laid_out[name, x.shape] = laid_out
        return laid_out


def _convolve(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    padding: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    residual: torch.Tensor | None = None,
    relu: bool = False,
) -> torch.Tensor:
    convolve, settings = torch.ops.mkldnn._convolution_pointwise, (bias, padding, stride, (1, 1), 1)
    if residual is None:
        return convolve(x, weight, *settings, "relu" if relu else "none", [], "")
    return convolve.binary(x, residual, weight, *settings, "add", 1.0, "relu" if relu else None, [], "")


class _Differentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, residual, layer, relu):
        output = layer.output(x, residual, relu)
        ctx.layer, ctx.shape, ctx.adds, ctx.relu = layer, x.shape, residual is not None, relu
        if relu:
            ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, gradient):
        if ctx.relu:
            gradient = torch.ops.aten.threshold_backward(gradient, *ctx.saved_tensors, 0)
        return ctx.layer.input_gradient(gradient, ctx.shape), gradient if ctx.adds else None, None, None


@dataclass
class _Chain:
    """A convolution and the operations that it can take over: each the only reader of the one before and the next in
    the graph's order, so that nothing happens in between."""

    nodes: list[fx.Node]
    scale: float = 1.0
    residual: fx.Node | None = None
    relu: bool = False

    @property
    def last(self) -> fx.Node:
        return self.nodes[-1]

    def take(self, suits: Callable[[fx.Node], bool]) -> fx.Node | None:
        """The operation that follows, now part of the chain; None if it cannot be or does not suit."""
        following = self.last.next
        if list(self.last.users) != [following] or not suits(following):
            return None
        self.nodes.append(following)
        return following


def available(device: torch.device | str, dtype: torch.dtype) -> bool:
    """Whether this computer's torch has these convolutions for a network of `dtype` on `device`."""
    if torch.device(device).type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    return dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def merged(network: fx.GraphModule) -> fx.GraphModule:
    """The network with each convolution as a `Convolution`, together with the scale, sum and ReLU that follow it."""
    calls = Counter(node.target for node in network.graph.nodes)
    for node in list(network.graph.nodes):
        if node.op == "call_module" and calls[node.target] == 1 and _suits(network.get_submodule(node.target)):
            chain = _chain(node, network)
            convolution = Convolution(network.get_submodule(node.target), chain.scale, chain.relu)
            network.set_submodule(node.target, convolution)
            with network.graph.inserting_after(chain.last):
                inputs = node.args if chain.residual is None else (*node.args, chain.residual)
                chain.last.replace_all_uses_with(network.graph.call_module(node.target, inputs))
            for done in reversed(chain.nodes):
                network.graph.erase_node(done)
    network.recompile()
    return network


def _suits(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and (module.groups, module.dilation, module.padding_mode) == (1, (1, 1), "zeros")
        and isinstance(module.padding, tuple)
        and all(padding < size for padding, size in zip(module.padding, module.kernel_size, strict=True))
    )


def _chain(convolution: fx.Node, network: fx.GraphModule) -> _Chain:
    chain = _Chain([convolution])
    if scaled := chain.take(_scales):
        chain.scale = scaled.args[1]
    summand = chain.last
    if total := chain.take(_adds):
        first, second = total.args
        chain.residual = second if first is summand else first
    chain.relu = chain.take(lambda node: _is_relu(node, network)) is not None
    return chain


def _scales(node: fx.Node) -> bool:
    return node.target is operator.mul and isinstance(node.args[1], int | float)


def _adds(node: fx.Node) -> bool:
    return node.target in ADD and not node.kwargs and len(node.all_input_nodes) == len(node.args) == 2


def _is_relu(node: fx.Node, network: fx.GraphModule) -> bool:
    if node.op == "call_module":
        return type(network.get_submodule(node.target)) is nn.ReLU
    return node.op == "call_function" and node.target in RELU
