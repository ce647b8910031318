"""What a network from outside may compute: operations on numbers, by name, and nothing else.

torch.export files are programs over torch's operators, some of which open files (`from_file`, `save`),
call other processes, or believe what they are told about memory (`native_batch_norm` reads beyond a weight that is too
short). So operators are admitted by name: those that networks for pictures consist of and that check what they get. A
name ending in `_` is the same operation in place.
"""

from __future__ import annotations

from cloakbench.errors import InputError

LAYERS = """
    conv1d conv2d conv3d convolution _convolution conv_transpose2d linear addmm addmv bilinear embedding
    batch_norm instance_norm layer_norm native_layer_norm group_norm native_group_norm rms_norm
    dropout native_dropout feature_dropout alpha_dropout
    avg_pool1d avg_pool2d max_pool1d max_pool2d max_pool2d_with_indices adaptive_avg_pool1d adaptive_avg_pool2d
    _adaptive_avg_pool2d adaptive_max_pool2d
    scaled_dot_product_attention
    pad constant_pad_nd reflection_pad2d replication_pad2d pixel_shuffle pixel_unshuffle channel_shuffle unfold im2col
    upsample_nearest2d upsample_bilinear2d upsample_bicubic2d _upsample_nearest_exact2d _upsample_bilinear2d_aa
    _upsample_bicubic2d_aa grid_sampler grid_sampler_2d affine_grid_generator
"""
ELEMENTWISE = """
    relu relu6 leaky_relu prelu rrelu elu celu selu gelu silu mish sigmoid log_sigmoid hardsigmoid
    hardswish hardtanh tanh softplus threshold glu softmax _softmax log_softmax _log_softmax
    add sub rsub mul div true_divide floor_divide remainder fmod pow square sqrt rsqrt reciprocal neg abs sign sgn exp
    expm1 exp2 log log1p log2 log10 sin cos tan asin acos atan atan2 sinh cosh erf erfc ceil floor round trunc frac
    clamp clamp_min clamp_max clip maximum minimum fmax fmin lerp addcmul addcdiv nan_to_num isnan isinf isfinite
    where masked_fill eq ne lt le gt ge logical_and logical_or logical_not logical_xor bitwise_and bitwise_or
    bitwise_not bitwise_xor
"""
REDUCTIONS = """
    sum mean prod var std var_mean std_mean amax amin max min argmax argmin all any cumsum cumprod logsumexp norm
    frobenius_norm linalg_norm linalg_vector_norm linalg_matrix_norm topk sort argsort
    mm bmm matmul mv dot baddbmm addbmm einsum outer cosine_similarity cdist
"""
SHAPES = """
    view view_as reshape reshape_as _unsafe_view flatten unflatten squeeze unsqueeze permute transpose t
    swapaxes movedim expand expand_as repeat repeat_interleave tile contiguous clone alias as_strided numpy_T
    cat concat stack hstack vstack split split_with_sizes chunk tensor_split unbind narrow select slice index gather
    index_select take_along_dim masked_select flip roll rot90 diagonal tril triu meshgrid broadcast_to
    broadcast_tensors size sym_size numel sym_numel dim is_floating_point to _to_copy type_as lift_fresh_copy
    zeros ones full arange linspace eye scalar_tensor zeros_like ones_like full_like new_zeros new_ones new_full
"""
ADMITTED = frozenset(" ".join([LAYERS, ELEMENTWISE, REDUCTIONS, SHAPES]).split())


def admit(name: str) -> None:
    """Raise InputError unless `name`, such as aten::conv2d or aten::relu_, is an operation that a network may use."""
    namespace, _, operation = name.rpartition("::")
    if namespace != "aten" or not {operation, operation.removesuffix("_")} & ADMITTED:
        raise InputError(
            f"asks for {name}, and a network may use operations on numbers only (foreign/operations.py lists "
            "them); nothing was run"
        )
