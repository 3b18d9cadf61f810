"""The operators that a network from a file may use: a closed list of pure functions of tensors and sizes.

Nothing in it reaches files, devices, other processes, threads or the random generator, and each holds its arguments against the tensors
that it is given: what PyTorch's own code calls only with arguments that were checked before (``_reshape_alias``, ``as_strided``) reads
and writes beyond a tensor when a file calls it, and is left out or replaced by its checked form. No size and no number may depend on
the values of a picture. A file names operators, and only what stands here is ever looked up.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from export.load.model import import_extra

if TYPE_CHECKING:
    import torch

_WORDS = """
conv1d conv2d conv3d convolution _convolution _convolution_mode conv_transpose1d conv_transpose2d conv_transpose3d
linear matmul mm bmm addmm baddbmm addmv mv dot outer einsum bilinear scaled_dot_product_attention
batch_norm _native_batch_norm_legit_no_training native_batch_norm layer_norm native_layer_norm group_norm native_group_norm
instance_norm rms_norm linalg_vector_norm norm cosine_similarity inner tensordot linalg_norm frobenius_norm embedding
relu relu6 hardtanh hardswish hardsigmoid silu gelu sigmoid tanh leaky_relu elu selu celu prelu _prelu_kernel softplus mish log_sigmoid
threshold glu softmax _softmax log_softmax _log_softmax hardshrink softshrink special_expit
dropout feature_dropout alpha_dropout native_dropout
max_pool1d max_pool2d max_pool3d max_pool2d_with_indices avg_pool1d avg_pool2d avg_pool3d
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool1d
adaptive_max_pool2d adaptive_max_pool3d max_pool1d_with_indices
view reshape _unsafe_view view_as reshape_as flatten unflatten ravel squeeze unsqueeze transpose permute t numpy_T
contiguous clone alias detach lift_fresh lift_fresh_copy expand expand_as repeat repeat_interleave tile broadcast_to movedim moveaxis
swapaxes swapdims
cat concat concatenate stack hstack vstack dstack split split_with_sizes unsafe_split chunk unsafe_chunk tensor_split unbind narrow
slice select index index_select gather slice_scatter select_scatter flip roll rot90 diagonal tril triu take_along_dim
pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle unfold im2col col2im constant_pad_nd pad
reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
_upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa
_upsample_bicubic2d_aa _upsample_lanczos2d_aa
grid_sampler grid_sampler_2d affine_grid_generator
add sub subtract rsub mul multiply div divide true_divide floor_divide remainder fmod neg negative abs pow sqrt rsqrt square reciprocal
logaddexp hypot exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh erf floor ceil round trunc frac sign sgn
clamp clamp_min clamp_max clip maximum minimum max min lerp addcmul addcdiv nan_to_num isnan isinf isfinite
eq ne lt le gt ge logical_and logical_or logical_not logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor where masked_fill
mean sum prod var std var_mean std_mean amax amin argmax argmin logsumexp cumsum cumprod any all topk sort argsort count_nonzero
zeros ones full arange linspace eye scalar_tensor zeros_like ones_like full_like new_zeros new_ones new_full fill zero copy
meshgrid to _to_copy item _local_scalar_dense type_as dim sym_size sym_numel sym_stride sym_storage_offset
"""
NAMES = frozenset(_WORDS.split())
"""Names in ATen's namespace, without overload; the form that works in place (``relu_``) counts as the same."""

_READ = {
    **{"aten.repeat_interleave.Tensor": "repeats", "aten.repeat_interleave.self_Tensor": "repeats"},
    **{"aten._local_scalar_dense.default": "self", "aten.item.default": "self", "aten.where.default": "condition"},
    **{"aten.index.Tensor": "indices", "aten.index.Tensor_hacked_twin": "indices"},  # those that are masks
    "aten.tensor_split.tensor_indices_or_sections": "tensor_indices_or_sections",
}
"""Arguments whose values become a number or decide on a size. Traced networks compute their channels so."""

SIZES = ("aten.dim.", "aten.sym_size.", "aten.sym_numel.", "aten.sym_stride.", "aten.sym_storage_offset.")
"""What depends on a tensor's shape alone."""

ASSERTIONS = frozenset(
    [
        *("aten._assert_async.default", "aten._assert_async.msg", "aten._assert_scalar.default"),
        *("aten._assert_tensor_metadata.default", "aten.sym_constrain_range.default"),
        *("aten.sym_constrain_range_for_size.default", "aten._functional_assert_async.msg"),
    ]
)
"""What the exporter checks while a program runs: left out, because a network is tried as a whole."""

_SCALE_MAX = 1024
_UNCHECKED = ("aten::native_batch_norm", "aten::_native_batch_norm_legit_no_training", "aten::native_group_norm")
_FORBIDDEN_TYPES = ("Generator", "Storage", "Stream", "Dimname", "QScheme", "__torch__")  # in an operator's schema


def _functions() -> dict[str, Callable[..., Any]]:
    """Functions of sizes, by their name in a file. None grows faster than a product: no power, no shift."""
    torch = import_extra("torch")
    plain = (
        *("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos", "getitem"),
        *("eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "not_"),
    )
    found: dict[str, Callable[..., Any]] = {f"_operator.{name}": getattr(operator, name) for name in plain}
    found |= {f"math.{name}": getattr(math, name) for name in ("ceil", "floor", "trunc")}
    symbolic = ("sym_int", "sym_float", "sym_max", "sym_min", "sym_not", "sym_ite", "sym_sqrt", "sym_sum")
    return found | {f"torch.{name}": getattr(torch, name) for name in symbolic if hasattr(torch, name)}


def resolve(name: str) -> Callable[..., Any] | None:
    """``aten.relu.default``, ``_operator.mul``… → the function; None for everything that is not in the list."""
    words = name.split(".")
    if words[0] != "aten" or len(words) != 3:
        return _functions().get(name)
    packet = getattr(import_extra("torch").ops.aten, words[1], None) if words[1].removesuffix("_") in NAMES else None
    if packet is None or words[2] not in packet.overloads():
        return None
    found: torch._ops.OpOverload[..., Any] = getattr(packet, words[2])
    if "Tensor" not in str(found._schema):  # TorchScript's own functions of numbers, texts and lists
        return None
    return None if any(argument.is_out for argument in found._schema.arguments) else found


def name_of(target: Any) -> str:
    """The inverse of ``resolve``; a text that ``resolve`` refuses for what is not in the list."""
    if isinstance(target, import_extra("torch")._ops.OpOverload):
        return str(target)
    return next((name for name, function in _functions().items() if function is target), f"{target!r:.80}")


def allowed_arguments(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether no argument reaches further than the list of operators does: no generator, no pinned memory, no named dimension."""
    schema = getattr(function, "_schema", None)
    if schema is None:  # a function of sizes; a text or a list times a number would grow without bound
        listed = function is operator.getitem or function is getattr(import_extra("torch"), "sym_sum", None)
        return not kwargs and not any(isinstance(value, str) or (isinstance(value, list) and not listed) for value in args)
    given = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)} | kwargs
    types = {argument.name: str(argument.type) for argument in schema.arguments}
    if len(args) > len(types) or not set(given) <= set(types):
        return False
    if given.get("pin_memory") or given.get("non_blocking"):
        return False
    if "grid_sampler" in schema.name and not all(
        given.get(mode) in (0, 1, 2) for mode in ("interpolation_mode", "padding_mode")
    ):
        return False  # the kernel knows no others, and then answers with memory that it has not written
    if not all(_is_scale(value) for name, value in given.items() if name.startswith("scale") and "upsample" in schema.name):
        return False
    return all(value is None or not any(word in types[name] for word in _FORBIDDEN_TYPES) for name, value in given.items())


def _is_scale(value: Any) -> bool:
    """Whether a resize may be asked for it: the kernels count the pixels that one is made of in 32 bits."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_scale, value))
    return value is None or (isinstance(value, (int, float)) and 1 / _SCALE_MAX <= value <= _SCALE_MAX)


def checked(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...]] | None:
    """Normalisation in the forms that decompositions write, which read beyond statistics that are too short and weights that are
    views: the operator that holds them against the channels, and its arguments; it answers with what they answer with first. None for
    everything else."""
    schema = getattr(function, "_schema", None)
    if schema is None or schema.name not in _UNCHECKED:
        return None
    given = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)} | kwargs
    image, weight, bias, eps = (given.get(name) for name in ("input", "weight", "bias", "eps"))
    aten = import_extra("torch").ops.aten
    if schema.name == "aten::native_group_norm":
        return aten.group_norm.default, (image, given.get("group"), weight, bias, eps, False)
    mean, var, training, momentum = (given.get(name) for name in ("running_mean", "running_var", "training", "momentum"))
    return aten.batch_norm.default, (image, weight, bias, mean, var, bool(training), momentum, eps, False)


def read_by_value(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments whose values become a number or decide on a size: all that the operator does not take as tensors, too, because
    PyTorch makes a number of a tensor that stands in the place of one."""
    schema = getattr(function, "_schema", None)
    if schema is None:
        return list(args[1:] if function is operator.getitem else args)
    given = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)} | kwargs
    types = {argument.name: str(argument.type) for argument in schema.arguments}
    read = _READ.get(str(function))
    return [value for name, value in given.items() if name == read or "Tensor" not in types[name]]


def trains(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the operator runs as it does in training: with dropped values, or statistics of the batch."""
    schema = getattr(function, "_schema", None)
    if schema is None:
        return False
    given = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)} | kwargs
    if function._schema.name.endswith("native_dropout"):
        return given.get("train") is not False
    asked = any(given.get(name) not in (None, False) for name in ("training", "train"))
    # without statistics of its own, a normalisation of each picture by itself takes the picture's
    asked = asked or (given.get("use_input_stats") is True and given.get("running_mean") is not None)
    return asked or given.get("dropout_p") not in (None, 0, 0.0)
