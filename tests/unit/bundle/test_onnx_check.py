"""An ONNX file that reaches for other files or code is refused before ONNX Runtime sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.bundle.onnx_check import MAX_DEPTH, MESSAGES, check_onnx
from tests.fakes import onnx_models, tiny

ROOT = Path(__file__).resolve().parents[3]


def base() -> onnx.ModelProto:
    return onnx.load_from_string(onnx_models.brightest())


def outside(name: str = "w") -> TensorProto:
    """A tensor whose data lies in /etc/passwd."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def graph(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    return helper.make_graph(
        list(nodes), "inner", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])], list(initializers)
    )


def sparse(values: TensorProto, indices: TensorProto) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=values, indices=indices, dims=[9])


def node(operator: str = "Identity", domain: str = "", **attributes: object) -> onnx.NodeProto:
    made = helper.make_node(operator, ["image"], ["y"], domain=domain)
    for name, value in attributes.items():
        attribute = made.attribute.add(name=name)
        for key in ("t", "g", "sparse_tensor"):
            if isinstance(value, type(getattr(attribute, key))):
                getattr(attribute, key).CopyFrom(value)
    return made


def deep(levels: int, inner: onnx.NodeProto) -> onnx.NodeProto:
    for _ in range(levels):
        inner = node("If", then_branch=graph(inner))
    return inner


PLAIN = numpy_helper.from_array(np.zeros(2, np.float32), "plain")


def in_list(attribute: str, value: object) -> Callable[[onnx.ModelProto], object]:
    def add(model: onnx.ModelProto) -> None:
        getattr(model.graph.node[0].attribute.add(name="many"), attribute).append(value)

    return add


def only_entries() -> TensorProto:
    """The words without the flag: a parser may take them all the same."""
    tensor = outside()
    tensor.ClearField("data_location")
    return tensor


def only_flag() -> TensorProto:
    tensor = outside()
    tensor.ClearField("external_data")
    return tensor


def in_memory() -> TensorProto:
    """What ONNX Runtime writes for an address of its own memory."""
    tensor = only_flag()
    tensor.external_data.add(key="location", value="*/_ORT_MEM_ADDR_/*")
    tensor.external_data.add(key="offset", value="4096")
    return tensor


FUNCTION = helper.make_function(
    "own", "F", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], [helper.make_opsetid("", 18)]
)


def function(inner: onnx.NodeProto) -> onnx.FunctionProto:
    made = onnx.FunctionProto()
    made.CopyFrom(FUNCTION)
    made.node.append(inner)
    return made


OUTSIDE: dict[str, Callable[[onnx.ModelProto], object]] = {
    "initializer": lambda m: m.graph.initializer.append(outside()),
    "the last of many": lambda m: m.graph.initializer.extend([PLAIN] * 50 + [outside()]),
    "words alone": lambda m: m.graph.initializer.append(only_entries()),
    "flag alone": lambda m: m.graph.initializer.append(only_flag()),
    "address": lambda m: m.graph.initializer.append(in_memory()),
    "sparse values": lambda m: m.graph.sparse_initializer.append(sparse(outside(), PLAIN)),
    "sparse indices": lambda m: m.graph.sparse_initializer.append(sparse(PLAIN, outside())),
    "attribute": lambda m: m.graph.node.append(node("Constant", value=outside())),
    "attribute list": in_list("tensors", outside()),
    "sparse attribute": lambda m: m.graph.node.append(node("Constant", sparse_value=sparse(outside(), PLAIN))),
    "sparse attribute list": in_list("sparse_tensors", sparse(PLAIN, outside())),
    "subgraph initializer": lambda m: m.graph.node.append(node("If", then_branch=graph(node(), initializers=(outside(),)))),
    "subgraph attribute": lambda m: m.graph.node.append(deep(5, node("Constant", value=outside()))),
    "graph list": in_list("graphs", graph(node("Constant", value=outside()))),
    "function": lambda m: m.functions.append(function(node("Constant", value=outside()))),
    "function subgraph": lambda m: m.functions.append(function(deep(2, node("Constant", value=outside())))),
    "training": lambda m: m.training_info.add().initialization.CopyFrom(graph(node(), initializers=(outside(),))),
    "training algorithm": lambda m: m.training_info.add().algorithm.CopyFrom(graph(node("Constant", value=outside()))),
}


@pytest.mark.parametrize("where", OUTSIDE)
def test_a_tensor_outside_of_the_file_is_refused_wherever_it_stands(where: str) -> None:
    model = base()
    OUTSIDE[where](model)
    with pytest.raises(ValueError, match="external data"):
        check_onnx(model.SerializeToString())


def test_a_default_attribute_of_a_function_is_looked_at_too() -> None:
    model = base()
    made = function(node())
    made.attribute_proto.add(name="a", type=onnx.AttributeProto.TENSOR).t.CopyFrom(outside())
    model.functions.append(made)
    with pytest.raises(ValueError, match="external data"):
        check_onnx(model.SerializeToString())


def test_a_second_graph_that_a_parser_would_merge_is_looked_at_too() -> None:
    second = onnx.ModelProto(graph=graph(node(), initializers=(outside(),)))
    with pytest.raises(ValueError, match="external data"):
        check_onnx(onnx_models.brightest() + second.SerializeToString())


@pytest.mark.parametrize(
    "value",
    [b"\x70\x01", b"\x70\x81\x00", b"\x70\x80\x80\x80\x80\x10", b"\x72\x01\x00", b"\x75\0\0\0\0", b"\x70\0\x70\x01"],
)
def test_the_flag_is_seen_however_it_is_encoded(value: bytes) -> None:
    """14 as a varint of any length, as another kind, and twice."""
    tensor = PLAIN.SerializeToString() + value
    content = field(7, field(5, tensor))
    with pytest.raises(ValueError, match="external data"):
        check_onnx(content)


def field(number: int, value: bytes) -> bytes:
    def varint(n: int) -> bytes:
        out = b""
        while n > 0x7F:
            out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
        return out + bytes([n])

    return varint(number << 3 | 2) + varint(len(value)) + value


# --- operators ---


@pytest.mark.parametrize(
    ("domain", "operator"),
    [
        ("com.microsoft", "EPContext"),
        ("com.microsoft", "BeamSearch"),
        ("com.microsoft", "PythonOp"),
        ("com.microsoft ", "QGemm"),
        ("Com.Microsoft", "QGemm"),
        ("com.microsoft.extensions", "BertTokenizer"),
        ("ai.onnx.contrib", "PyOp"),
        ("ai.onnx.training", "Gradient"),
        ("my.domain", "Conv"),
    ],
)
@pytest.mark.parametrize("place", ["graph", "subgraph", "function"])
def test_an_operator_that_is_not_of_the_list_is_refused(domain: str, operator: str, place: str) -> None:
    model = base()
    bad = node(operator, domain)
    if place == "function":
        model.functions.append(function(bad))
    else:
        model.graph.node.append(bad if place == "graph" else deep(3, bad))
    with pytest.raises(ValueError, match=f"'{operator}' of the domain '{domain}'"):
        check_onnx(model.SerializeToString())


def test_operators_of_the_list_and_the_files_own_functions_pass() -> None:
    model = base()
    model.graph.node.extend([node("QLinearAdd", "com.microsoft"), node("F", "own"), node("LabelEncoder", "ai.onnx.ml")])
    model.functions.append(FUNCTION)
    check_onnx(model.SerializeToString())


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"])
def test_a_function_may_not_take_the_name_of_a_standard_operator(domain: str) -> None:
    model = base()
    model.functions.append(FUNCTION)
    model.functions[0].domain = domain
    with pytest.raises(ValueError, match="anew"):
        check_onnx(model.SerializeToString())


def test_a_name_that_is_written_twice_is_refused() -> None:
    twice = node("Identity").SerializeToString() + field(7, b"my.domain")
    with pytest.raises(ValueError, match="domain twice"):
        check_onnx(field(7, field(1, twice + field(7, b""))))


# --- other formats, depth, amount ---


def test_ort_format_is_refused_even_where_it_is_valid_onnx_too() -> None:
    with pytest.raises(ValueError, match="own format"):
        check_onnx(b"\x08\x08\x12\x05ORTMx" + onnx_models.brightest())


def test_depth_and_amount_have_an_end() -> None:
    content = b""
    for _ in range(MAX_DEPTH + 2):  # graph → node → attribute → graph …
        content = field(1, field(5, field(6, content)))
    with pytest.raises(ValueError, match="deep"):
        check_onnx(field(7, content))
    with pytest.raises(ValueError, match="more than 500,000 fields"):
        check_onnx(field(7, b"\x2a\x00" * 600_000))


def test_a_field_that_no_onnx_has_is_refused() -> None:
    with pytest.raises(ValueError, match="a GraphProto has the unknown field 17"):
        check_onnx(field(7, field(17, b"")))


def test_the_tables_are_those_of_onnx() -> None:
    """Every field of every message that can lead to a tensor or an operator, but for the one that names another file."""
    for name, known in MESSAGES.items():
        fields = {f.number: f for f in getattr(onnx, name).DESCRIPTOR.fields}
        left_out = {13} if name == "TensorProto" else set()
        assert set(known) == set(fields) - left_out, name
        for number, inner in known.items():
            message = fields[number].message_type
            assert inner == (message.name if message is not None and message.name in MESSAGES else None), (name, number)


# --- what is a model stays one ---


def test_real_models_pass(tmp_path: Path) -> None:
    for content in (
        onnx_models.brightest(),
        onnx_models.two_outputs(),
        onnx_models.quantized_io(),
        tiny.colour_onnx(fragile=True),
    ):
        check_onnx(content)
    pytest.importorskip("onnxruntime")
    check_onnx(onnx_models.quantized_static(tmp_path).read_bytes())
    for path in (ROOT / "edge" / "assets").glob("*/*.onnx"):
        check_onnx(path.read_bytes())


@settings(max_examples=300)
@given(st.data())
def test_a_changed_model_is_refused_or_lies_in_one_file(data: st.DataObject) -> None:
    """If the parser of onnx takes it, it finds no tensor outside either."""
    content = bytearray(onnx_models.brightest())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        check_onnx(bytes(content))
    except ValueError:
        return
    try:
        model = onnx.load_from_string(bytes(content))
    except Exception:  # noqa: BLE001 - the parser's own; what it refuses, ONNX Runtime does
        return
    assert not any(tensor.external_data or tensor.data_location for tensor in model.graph.initializer)


@given(st.binary(max_size=400))
def test_any_bytes_are_accepted_or_a_value_error(content: bytes) -> None:
    try:
        check_onnx(content)
    except ValueError:
        return


@settings(max_examples=150)
@given(st.integers(0, 3), st.sampled_from(sorted(OUTSIDE)), st.integers(0, 30))
def test_no_nesting_hides_a_tensor_outside(levels: int, where: str, padding: int) -> None:
    model = base()
    OUTSIDE[where](model)
    for _ in range(levels):
        inner = onnx.GraphProto()
        inner.CopyFrom(model.graph)
        model.graph.CopyFrom(graph(node("If", then_branch=inner)))
    model.producer_name = "x" * padding
    with pytest.raises(ValueError, match="external data"):
        check_onnx(model.SerializeToString())
