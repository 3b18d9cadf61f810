"""Is an ONNX file nothing but a graph with its weights? Looked at before ONNX Runtime sees it, without the ``onnx`` package.

ONNX Runtime follows what a file says: a tensor may lie in another file (any that the user can read), an EPContext node names a binary for
a driver, and bytes with a certain mark are taken for another format altogether. So the file is walked, field by field, and refused unless
each field is known, no tensor lies outside and every operator is of a list. Sources: onnx.proto3 of ONNX 1.23 for the fields,
https://protobuf.dev/programming-guides/encoding/ for their encoding, ContribOperators.md of ONNX Runtime for the operators.

The walk has no recursion, reads no value that it does not need and ends at ``MAX_FIELDS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_FIELDS = 500_000
MAX_DEPTH = 60  # messages in messages: a graph in an attribute of a node is three
_MAX_NAME_BYTES = 200

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_FIXED = {_I64: 8, _I32: 4}
_TAG_NAMES = {3: "a group", 4: "a group"}

Fields = Mapping[int, str | None]
MESSAGES: Mapping[str, Fields] = {
    "ModelProto": dict.fromkeys((1, 2, 3, 4, 5, 6, 8, 14, 26))
    | {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "GraphProto": dict.fromkeys((2, 10, 11, 12, 13, 14, 16)) | {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": dict.fromkeys((1, 2, 3, 4, 6, 7, 8, 9, 10)) | {5: "AttributeProto"},
    "AttributeProto": dict.fromkeys((1, 2, 3, 4, 7, 8, 9, 13, 14, 15, 20, 21))
    | dict.fromkeys((5, 10), "TensorProto")
    | dict.fromkeys((6, 11), "GraphProto")
    | dict.fromkeys((22, 23), "SparseTensorProto"),
    "TensorProto": dict.fromkeys((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16)),
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto", 3: None},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto", 3: None, 4: None},
    "FunctionProto": dict.fromkeys((1, 4, 5, 6, 8, 9, 10, 12, 13, 14)) | {7: "NodeProto", 11: "AttributeProto"},
}
"""Message → number of each field that it may have → the message in it that is walked too; None: passed over. A tensor's field 13,
``external_data``, is left out on purpose."""

_DATA_LOCATION = 14  # of a TensorProto; 0 is "in this file"
_NAMES = {"NodeProto": {4: "operator", 7: "domain"}, "FunctionProto": {1: "operator", 10: "domain"}}

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
CONTRIBUTED = "com.microsoft"
_ARITHMETIC = """
    Attention BiasAdd BiasDropout BiasGelu BiasSoftmax BiasSplitGelu ConvTransposeWithDynamicPads CropAndResize
    DequantizeLinear DequantizeWithOrder DynamicQuantizeLSTM DynamicQuantizeMatMul EmbedLayerNormalization ExpandDims
    FastGelu FusedConv FusedGemm FusedMatMul FusedMatMulActivation GatherBlockQuantized GatherND Gelu GemmFloat8 GridSample
    GroupNorm GroupQueryAttention Inverse LayerNormalization MatMulBnb4 MatMulFpQ4 MatMulInteger16 MatMulIntegerToFloat
    MatMulNBits MaxpoolWithMask MulInteger MultiHeadAttention MurmurHash3 NhwcConv NhwcFusedConv NhwcMaxPool PackedAttention
    PackedMultiHeadAttention Pad QAttention QEmbedLayerNormalization QGemm QLinearAdd QLinearAveragePool QLinearConcat
    QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearReduceMean QLinearSigmoid QLinearSoftmax
    QLinearWhere QOrderedAttention QOrderedGelu QOrderedLayerNormalization QOrderedLongformerAttention QOrderedMatMul
    QuantizeBFP QuantizeLinear QuantizeWithOrder QuickGelu Range ReduceSumInteger RelativePositionBias RemovePadding
    RestorePadding RotaryEmbedding SampleOp SimplifiedLayerNormalization SkipGroupNorm SkipLayerNormalization
    SkipSimplifiedLayerNormalization SparseToDenseMatMul Tokenizer TorchEmbedding TransposeMatMul Trilu Unique
"""
CONTRIBUTED_OPERATORS = frozenset(_ARITHMETIC.split())
"""Of ONNX Runtime's own. EPContext, of the same domain, loads what a driver runs."""

_ORT_FORMAT_MARK = (slice(4, 8), b"ORTM")


@dataclass(slots=True)
class _Found:
    """Operators that nodes name, and those that the file defines itself, as (domain, operator)."""

    used: set[tuple[str, str]] = field(default_factory=set)
    defined: set[tuple[str, str]] = field(default_factory=set)


def check_onnx(content: bytes) -> None:
    """Raises ValueError, saying what was found, unless ``content`` is an ONNX model that lies in this file alone."""
    place, mark = _ORT_FORMAT_MARK
    if content[place] == mark:
        raise ValueError("it is in ONNX Runtime's own format, not ONNX")
    found = _walk(content)
    for domain, operator in sorted(found.defined):
        if domain in STANDARD_DOMAINS or domain == CONTRIBUTED:
            raise ValueError(f"it defines the operator {operator!r} of the domain {domain or 'ai.onnx'!r} anew")
    for domain, operator in sorted(found.used - found.defined):
        if domain in STANDARD_DOMAINS or (domain == CONTRIBUTED and operator in CONTRIBUTED_OPERATORS):
            continue
        raise ValueError(f"the operator {operator!r} of the domain {domain!r} is not one that is run")


def _walk(content: bytes) -> _Found:
    found = _Found()
    waiting = [("ModelProto", 0, len(content), 0)]
    fields = 0
    while waiting:
        message, at, end, depth = waiting.pop()
        known, named = MESSAGES[message], _NAMES.get(message)
        names: dict[str, str] = {}
        if depth > MAX_DEPTH:
            raise ValueError(f"messages lie in each other more than {MAX_DEPTH} deep")
        while at < end:
            fields += 1
            if fields > MAX_FIELDS:
                raise ValueError(f"it has more than {MAX_FIELDS:,} fields")
            key, at = _varint(content, at, end)
            number, wire = key >> 3, key & 7
            start, at = _value(content, at, end, wire)
            if number not in known:
                raise ValueError(_unknown(message, number))
            inner = known[number]
            if inner is not None:
                _expect(wire, message, number)
                waiting.append((inner, start, at, depth + 1))
            elif message == "TensorProto" and number == _DATA_LOCATION:
                if wire != _VARINT or content[start:at] != b"\0":
                    raise ValueError("a tensor lies in another file (external data)")
            elif named is not None and number in named:
                _expect(wire, message, number)
                if named[number] in names:
                    raise ValueError(f"a {message} names its {named[number]} twice")
                names[named[number]] = _name(content[start:at])
        if named is not None:
            pair = (names.get("domain", ""), names.get("operator", ""))
            (found.used if message == "NodeProto" else found.defined).add(pair)
    return found


def _value(content: bytes, at: int, end: int, wire: int) -> tuple[int, int]:
    """(Start, end) of a value whose key has been read."""
    if wire == _LEN:
        length, at = _varint(content, at, end)
        stop = at + length
    elif wire == _VARINT:
        _, stop = _varint(content, at, end)
    elif wire in _FIXED:
        stop = at + _FIXED[wire]
    else:
        raise ValueError(f"it is no ONNX file: {_TAG_NAMES.get(wire, 'an unknown kind of value')} in it")
    if stop > end:
        raise ValueError("it is cut short, or no ONNX file")
    return at, stop


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    if at < end and content[at] < 0x80:  # nearly all of them
        return content[at], at + 1
    value = 0
    for place in range(10):
        if at >= end:
            raise ValueError("it is cut short, or no ONNX file")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at
    raise ValueError("it is no ONNX file: a number does not end")


def _name(raw: bytes) -> str:
    if len(raw) > _MAX_NAME_BYTES:
        raise ValueError(f"an operator or domain has a name of {len(raw):,} bytes")
    return raw.decode("utf-8", errors="backslashreplace")


def _expect(wire: int, message: str, number: int) -> None:
    if wire != _LEN:
        raise ValueError(f"it is no ONNX file: field {number} of a {message} is of another kind")


def _unknown(message: str, number: int) -> str:
    if message == "TensorProto" and number == 13:
        return "a tensor lies in another file (external data)"
    return f"a {message} has the unknown field {number}"
