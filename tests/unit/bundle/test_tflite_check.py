"""What stands between a TFLite file and a runtime."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bundle.tflite_check import check_tflite

BUILT_IN = Path(__file__).resolve().parents[3] / "edge" / "assets" / "grocery" / "tflite-int8.tflite"


@pytest.fixture
def content(third_party: Path) -> bytes:
    return (third_party / "vww_96_int8.tflite").read_bytes()


def test_whole_files_pass(third_party: Path) -> None:
    files = sorted(third_party.glob("*.tflite"))
    assert files
    for file in files:
        check_tflite(file.read_bytes())


def test_every_cut_is_seen(content: bytes) -> None:
    """Up to three bytes at the end are padding, which nothing reads."""
    lengths = [*range(0, 2000, 7), *range(2000, len(content), 4999), *range(len(content) - 300, len(content) - 3)]
    for length in lengths:
        with pytest.raises(ValueError, match="cut: bytes"):
            check_tflite(content[:length])


# --- files that reach for more than themselves ---


def rewritten(edit: Callable[[Any], object]) -> bytes:
    """The grocery bundle's TFLite file, changed through the schema's own classes."""
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromPackedBuf(BUILT_IN.read_bytes(), 0)
    edit(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def custom(model: Any, name: bytes) -> None:
    code = model.operatorCodes[-1]
    code.customCode, code.builtinCode, code.deprecatedBuiltinCode = name, 32, 32


def external_buffer(model: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    group, buffer = schema.ExternalBufferGroupT(), schema.ExternalBufferT()
    group.name, buffer.id, buffer.length = b"/etc/passwd", 1, 4
    model.externalBufferGroups, model.externalBuffers = [group], [buffer]


def far_away(model: Any) -> None:
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 1 << 40, 16


def too_long(model: Any) -> None:
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 64, 1 << 62


def far_options(model: Any) -> None:
    operator = model.subgraphs[0].operators[0]
    operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize = 1 << 40, 16


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: custom(m, b"FlexConv2D"), "custom operator b'FlexConv2D'"),
        (lambda m: custom(m, b"edgetpu-custom-op"), "custom operator"),
        (lambda m: custom(m, b"TFLite_Detection_PostProcess\0x"), "custom operator"),
        (external_buffer, "external buffers"),
        (lambda m: setattr(m.subgraphs[0].tensors[0], "externalBuffer", 1), "external buffers"),
        (far_away, "data at bytes"),
        (too_long, "data at bytes"),
        (far_options, "data at bytes"),
    ],
)
def test_a_file_that_reaches_for_more_is_refused(edit: Callable[[Any], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_tflite(rewritten(edit))


def test_what_the_runtimes_carry_and_what_was_rewritten_passes() -> None:
    check_tflite(BUILT_IN.read_bytes())
    check_tflite(rewritten(lambda m: None))
    check_tflite(rewritten(lambda m: custom(m, b"TFLite_Detection_PostProcess")))


def test_tables_that_are_reached_along_many_ways_have_an_end() -> None:
    """One subgraph, listed a thousand times, whose one tensor is listed a thousand times."""
    content = bytearray(struct.pack("<I", 16)) + b"TFL3" + bytes(8)

    def table(fields: dict[int, int]) -> int:
        """A table with offsets to be filled in; where each field stands goes to ``fields``."""
        last = max(fields, default=0)
        vtable = struct.pack("<HH", 4 + 2 * (last + 1), 4 + 4 * len(fields))
        slots = {field: 4 + 4 * place for place, field in enumerate(fields)}
        vtable += b"".join(struct.pack("<H", slots.get(field, 0)) for field in range(last + 1))
        start = len(content)
        content.extend(struct.pack("<i", -4 - 4 * len(fields)) + bytes(4 * len(fields)) + vtable)
        for field in fields:
            fields[field] = start + slots[field]
        return start

    root, graph = {2: 0}, {0: 0}
    table(root)
    at = len(content)
    struct.pack_into("<I", content, root[2], at - root[2])
    content.extend(struct.pack("<I", 1000) + bytes(4000))
    inner = table(graph)
    for place in range(at + 4, at + 4004, 4):
        struct.pack_into("<I", content, place, inner - place)
    at = len(content)
    struct.pack_into("<I", content, graph[0], at - graph[0])
    content.extend(struct.pack("<I", 1000) + bytes(4000))
    tensor = table({})
    for place in range(at + 4, at + 4004, 4):
        struct.pack_into("<I", content, place, tensor - place)
    with pytest.raises(ValueError, match="more than 500,000 tables"):
        check_tflite(bytes(content))


@settings(max_examples=200)
@given(st.data())
def test_changed_bytes_are_accepted_or_a_value_error(data: st.DataObject) -> None:
    content = bytearray(BUILT_IN.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.one_of(st.integers(0, 400), st.integers(len(content) - 60_000, len(content) - 1)))
        content[at] = data.draw(st.integers(0, 255))
    try:
        check_tflite(bytes(content))
    except ValueError:
        return


@given(st.binary(max_size=300))
def test_any_bytes_are_accepted_or_a_value_error(content: bytes) -> None:
    try:
        check_tflite(content)
    except ValueError:
        return
