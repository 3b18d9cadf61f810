"""Models whose hashes, inputs and outputs are all as their manifest says, and which still must not be run: each takes the colour bundle's
pictures (``tests.fakes.tiny``, uint8 N×8×8×3 → N×3) and does harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.bundle.reader import Bundle, open_bundle
from edge.manifest import FileRef, Requires
from tests.fakes.tiny import SIZE, golden_set, write_colour_bundle

FOR_EVER = 2**62
NUMBER = 17
"""Of the golden picture that some models wait for, counted from 1."""


def endless() -> bytes:
    """One Loop of 2^62 steps."""
    return _colour(_loop("plain", "logits", FOR_EVER))


def endless_in_three() -> bytes:
    """Loops in loops, none of which is long."""
    inner = _loop("in_b", "out_b", 2**21)
    middle = helper.make_graph(inner[0], "middle", *_carried("b"), inner[1])
    outer_nodes, constants = _loop("in_a", "out_a", 2**21, body=middle, prefix="m")
    outer = helper.make_graph(outer_nodes, "outer", *_carried("a"), constants)
    return _colour(_loop("plain", "logits", 2**21, body=outer, prefix="o"))


def endless_scan() -> bytes:
    """A Scan over a sequence that takes no memory to name: Expand of one number to a thousand million rows, through an If."""
    constants = [
        numpy_helper.from_array(np.array([2**31], dtype=np.int64), "many"),
        numpy_helper.from_array(np.zeros(1, dtype=np.float32), "nothing"),
        numpy_helper.from_array(np.array(True), "true"),
    ]
    row = helper.make_tensor_value_info("row", TensorProto.FLOAT, [])
    state = helper.make_tensor_value_info("state", TensorProto.FLOAT, None)
    after = helper.make_tensor_value_info("after", TensorProto.FLOAT, None)
    body = helper.make_graph([helper.make_node("Add", ["state", "row"], ["after"])], "step", [state, row], [after])
    scan = [
        helper.make_node("Expand", ["nothing", "many"], ["rows"]),
        helper.make_node("Scan", ["plain", "rows"], ["scanned"], body=body, num_scan_inputs=1),
    ]
    then = helper.make_graph(scan, "then", [], [helper.make_tensor_value_info("scanned", TensorProto.FLOAT, None)])
    same = [helper.make_node("Identity", ["plain"], ["kept"])]
    other = helper.make_graph(same, "other", [], [helper.make_tensor_value_info("kept", TensorProto.FLOAT, None)])
    return _colour(([helper.make_node("If", ["true"], ["logits"], then_branch=then, else_branch=other)], constants))


def endless_for_several() -> bytes:
    """Endless only when it is given more than one picture at once."""
    constants = [
        numpy_helper.from_array(np.array(1, dtype=np.int64), "one"),
        numpy_helper.from_array(np.array([0], dtype=np.int64), "first"),
        numpy_helper.from_array(np.array(FOR_EVER, dtype=np.int64), "long"),
    ]
    nodes = [
        helper.make_node("Shape", ["plain"], ["shape"], start=0, end=1),
        helper.make_node("Squeeze", ["shape", "first"], ["rows"]),
        helper.make_node("Greater", ["rows", "one"], ["more"]),
        helper.make_node("Cast", ["more"], ["times"], to=TensorProto.INT64),
        helper.make_node("Mul", ["times", "long"], ["steps"]),
    ]
    return _colour(_loop("plain", "logits", "steps", before=(nodes, constants)))


def endless_if_white() -> bytes:
    """Answers like a good one until a picture is nearly white, which no golden one is."""
    constants = [
        numpy_helper.from_array(np.float32(230), "white"),
        numpy_helper.from_array(np.array(FOR_EVER, dtype=np.int64), "long"),
    ]
    nodes = [
        helper.make_node("ReduceMax", ["means"], ["brightest"], keepdims=0),
        helper.make_node("ReduceMin", ["means"], ["darkest"], keepdims=0),
        helper.make_node("Greater", ["darkest", "white"], ["is_white"]),
        helper.make_node("Cast", ["is_white"], ["times"], to=TensorProto.INT64),
        helper.make_node("Mul", ["times", "long"], ["steps"]),
    ]
    return _colour(_loop("plain", "logits", "steps", before=(nodes, constants)))


def greedy() -> bytes:
    """Asks for 400 GB when it is loaded: the runtime folds constants."""
    constants = [numpy_helper.from_array(np.array([10**11], dtype=np.int64), "huge")]
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["wide"], value=numpy_helper.from_array(np.ones(1, np.float32), "v")),
        helper.make_node("ReduceMax", ["wide"], ["one"], keepdims=0),
        helper.make_node("Mul", ["plain", "one"], ["logits"]),
    ]
    return _colour((nodes, constants))


def greedy_at_work() -> bytes:
    """Asks for 40 GB in pieces, each of which could be had, while it answers."""
    constants = [numpy_helper.from_array(np.array([10**8], dtype=np.int64), "large")]
    nodes = [
        helper.make_node("ReduceMax", ["plain"], ["seed"], keepdims=0),
        *(helper.make_node("Expand", ["seed", "large"], [f"piece{n}"]) for n in range(100)),
        helper.make_node("Concat", [f"piece{n}" for n in range(100)], ["whole"], axis=0),
        helper.make_node("ReduceMin", ["whole"], ["least"], keepdims=0),
        helper.make_node("Add", ["plain", "least"], ["logits"]),
    ]
    return _colour((nodes, constants))


def not_a_number() -> bytes:
    """NaN for every picture."""
    constants = [numpy_helper.from_array(np.float32(0), "zero")]
    nodes = [
        helper.make_node("Mul", ["plain", "zero"], ["nothing"]),
        helper.make_node("Div", ["nothing", "nothing"], ["logits"]),
    ]
    return _colour((nodes, constants))


def not_a_number_once() -> bytes:
    """NaN for one golden picture."""
    nodes, constants = _at_golden_picture()
    nodes += [
        helper.make_node("Sub", ["unit", "hit"], ["miss"]),
        helper.make_node("Mul", ["plain", "miss"], ["left"]),
        helper.make_node("Div", ["left", "miss"], ["logits"]),
    ]
    return _colour((nodes, [*constants, numpy_helper.from_array(np.float32(1), "unit")]))


def rows_once() -> bytes:
    """Twice as many rows for one golden picture."""
    nodes, constants = _at_golden_picture()
    nodes += [
        helper.make_node("Cast", ["hit"], ["more"], to=TensorProto.INT64),
        helper.make_node("Add", ["more", "ones"], ["repeats"]),
        helper.make_node("Tile", ["plain", "repeats"], ["logits"]),
    ]
    ones = numpy_helper.from_array(np.array([1, 1], dtype=np.int64), "ones")
    mask = numpy_helper.from_array(np.array([1, 0], dtype=np.float32), "rows_only")
    nodes[-3].input[0] = "hit_rows"
    nodes.insert(-3, helper.make_node("Mul", ["hit", "rows_only"], ["hit_rows"]))
    return _colour((nodes, [*constants, ones, mask]))


ENDLESS: tuple[Callable[[], bytes], ...] = (endless, endless_in_three, endless_for_several)
"""Those that would never answer."""

WRONG: tuple[Callable[[], bytes], ...] = (endless_scan, greedy, greedy_at_work, not_a_number, not_a_number_once, rows_once)
"""Those that ask for too much or answer what is no answer."""


def write_endless_tflite(out: Path) -> Bundle:
    """A bundle whose one candidate is a TFLite file with a WHILE that counts nothing."""
    base = write_colour_bundle(out)
    model = base.manifest.models[0]
    content = _while_tflite()
    (base.directory / "onnx-a.onnx").unlink()
    (base.directory / "while.tflite").write_bytes(content)
    replace = msgspec.structs.replace
    candidate = replace(
        model.candidates[0],
        name="tflite-a",
        model_file=FileRef(file="while.tflite", bytes=len(content), sha256=hashlib.sha256(content).hexdigest()),
        format="tflite",
        input=replace(model.candidates[0].input, batch=1),
        requires=Requires(runtime="tflite"),
    )
    manifest = replace(base.manifest, models=(replace(model, candidates=(candidate,)),))
    (base.directory / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    bundle = open_bundle(out)
    bundle.verify()
    return bundle


def _while_tflite() -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    types, operators, options = schema.TensorType, schema.BuiltinOperator, schema.BuiltinOptions
    codes = [operators.WHILE, operators.LESS, operators.MUL, operators.CAST, operators.ADD]

    def made(kind: str, **fields: Any) -> Any:
        thing = getattr(schema, f"{kind}T")()
        for name, value in fields.items():
            setattr(thing, name, value)
        return thing

    def tensor(name: str, shape: list[int], dtype: int, buffer: int = 0) -> Any:
        return made("Tensor", name=name, shape=shape, type=dtype, buffer=buffer)

    def call(code: int, inputs: list[int], output: int, kind: str, **fields: int) -> Any:
        how = made(kind, **fields)
        return made(
            "Operator",
            opcodeIndex=codes.index(code),
            inputs=inputs,
            outputs=[output],
            builtinOptionsType=getattr(options, kind),
            builtinOptions=how,
        )

    def graph(tensors: list[Any], calls: list[Any], inputs: list[int], output: int) -> Any:
        return made("SubGraph", name="graph", tensors=tensors, operators=calls, inputs=inputs, outputs=[output])

    number = [tensor("i", [1], types.INT32)]
    main = graph(
        [
            tensor("image", [1, SIZE, SIZE, 3], types.UINT8),
            tensor("start", [1], types.INT32, 1),
            tensor("end", [1], types.INT32),
            tensor("real", [1], types.FLOAT32),
            tensor("zeros", [1, 3], types.FLOAT32, 3),
            tensor("probabilities", [1, 3], types.FLOAT32),
        ],
        [
            call(operators.WHILE, [1], 2, "WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=2),
            call(operators.CAST, [2], 3, "CastOptions", inDataType=types.INT32, outDataType=types.FLOAT32),
            call(operators.ADD, [3, 4], 5, "AddOptions"),
        ],
        [0],
        5,
    )
    going = [*number, tensor("most", [1], types.INT32, 2), tensor("less", [1], types.BOOL)]
    condition = graph(going, [call(operators.LESS, [0, 1], 2, "LessOptions")], [0], 2)
    same = [*number, tensor("one", [1], types.INT32, 1), tensor("same", [1], types.INT32)]
    body = graph(same, [call(operators.MUL, [0, 1], 2, "MulOptions")], [0], 2)
    values = [None, np.array([1], np.int32), np.array([2**31 - 1], np.int32), np.zeros((1, 3), np.float32)]
    whole = made(
        "Model",
        version=3,
        description="",
        operatorCodes=[made("OperatorCode", builtinCode=c, deprecatedBuiltinCode=min(c, 127), version=1) for c in codes],
        subgraphs=[main, condition, body],
        buffers=[made("Buffer", data=None if v is None else np.frombuffer(v.tobytes(), np.uint8)) for v in values],
    )
    builder = flatbuffers.Builder(0)
    builder.Finish(whole.Pack(builder), b"TFL3")
    return bytes(builder.Output())


_Part = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]


def _at_golden_picture() -> _Part:
    """ "hit": 1.0 for one golden picture, by the sum of its pixels, else 0.0."""
    total = np.float32(golden_set().images[NUMBER - 1].astype(np.float32).sum())
    nodes = [
        helper.make_node("ReduceSum", ["real"], ["total"], keepdims=0),
        helper.make_node("Equal", ["total", "wanted"], ["same"]),
        helper.make_node("Cast", ["same"], ["hit"], to=TensorProto.FLOAT),
    ]
    return nodes, [numpy_helper.from_array(total, "wanted")]


def _carried(name: str) -> tuple[list[onnx.ValueInfoProto], list[onnx.ValueInfoProto]]:
    """Inputs and outputs of the body of a Loop that carries one value: "in_NAME" → "out_NAME"."""
    number = helper.make_tensor_value_info(f"step_{name}", TensorProto.INT64, [])
    going = helper.make_tensor_value_info(f"going_{name}", TensorProto.BOOL, [])
    value = helper.make_tensor_value_info(f"in_{name}", TensorProto.FLOAT, None)
    result = helper.make_tensor_value_info(f"out_{name}", TensorProto.FLOAT, None)
    return [number, going, value], [going, result]


def _loop(
    value: str,
    result: str,
    steps: int | str,
    *,
    body: onnx.GraphProto | None = None,
    prefix: str = "x",
    before: _Part = ([], []),
) -> _Part:
    """``result`` = ``value`` after so many steps that change nothing."""
    nodes, constants = before
    if isinstance(steps, int):
        constants = [*constants, numpy_helper.from_array(np.array(steps, dtype=np.int64), f"{prefix}_steps")]
    if body is None:
        step = [helper.make_node("Identity", ["in_x"], ["out_x"])]
        body = helper.make_graph(step, "body", *_carried("x"))
    count = f"{prefix}_steps" if isinstance(steps, int) else steps
    return [*nodes, helper.make_node("Loop", [count, "", value], [result], body=body)], constants


def another_shape_if_white() -> bytes:
    """The answer has a column more for each picture that is nearly white; no golden one is."""
    constants = [
        numpy_helper.from_array(np.float32(215), "too_bright"),
        numpy_helper.from_array(np.array([1, 2, 3], dtype=np.int64), "picture"),
        numpy_helper.from_array(np.array([3], dtype=np.int64), "three"),
        numpy_helper.from_array(np.array([-1], dtype=np.int64), "one_axis"),
        numpy_helper.from_array(np.zeros(3, dtype=np.int64), "before"),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["real", "picture"], ["each"], keepdims=0),
        helper.make_node("ReduceMax", ["each"], ["brightness"], keepdims=0),
        helper.make_node("Div", ["brightness", "too_bright"], ["share"]),
        helper.make_node("Cast", ["share"], ["white"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["white", "one_axis"], ["more"]),
        helper.make_node("Concat", ["before", "more"], ["pads"], axis=0),
        helper.make_node("Pad", ["plain", "pads"], ["logits"]),
    ]
    return _colour((nodes, constants))


def _colour(part: _Part) -> bytes:
    """The colour classifier, whose "logits" the part makes of its "plain" ones; "means" and "real" are there too."""
    nodes, constants = part
    scale = numpy_helper.from_array(np.eye(3, dtype=np.float32) / 50, "scale")
    axes = numpy_helper.from_array(np.array([1, 2], dtype=np.int64), "axes")
    whole = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "scale"], ["plain"]),
        *nodes,
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE, SIZE, 3])
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph(whole, "hostile", [image], [output], [scale, axes, *constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()
