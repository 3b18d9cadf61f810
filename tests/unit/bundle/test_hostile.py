"""Bundles that fit their own manifest and are made to do more than answer: what they may set, hold, weigh and show."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

from edge.backends import load_backend
from edge.bundle.limits import CAMERA, WORKSTATION
from edge.bundle.model_file import ModelFile
from edge.bundle.pack import pack, unpack
from edge.bundle.reader import Bundle, open_bundle, parse_manifest
from edge.bundle.runtimes import RUNTIMES
from edge.bundle.writer import BundleWriter
from edge.cli import main
from edge.errors import BundleError, ExitCode
from edge.manifest import FileRef
from tests.fakes import tiny
from tests.fakes.hostile_bundles import change, put
from tests.fakes.limited import python_limited, shelfcam_limited

MODEL = "onnx-a.onnx"


@pytest.fixture
def bundle(colour_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(colour_bundle, tmp_path / "bundle"))


def with_options(bundle: Path, **options: Any) -> Path:
    return change(bundle, lambda d: d["models"][0]["candidates"][0].update(runtime_options=options))


def refused(bundle: Path) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(bundle)
    return str(caught.value)


# --- runtime options ---

FORBIDDEN = {
    "session.collect_node_memory_stats_to_file": "PATH",
    "session.model_external_initializers_file_folder_path": "/etc",
    "session.optimized_model_filepath": "PATH",
    "optimized_model_filepath": "PATH",
    "session.save_model_format": "ORT",
    "session.load_model_format": "ORT",
    "session.use_ort_model_bytes_directly": "1",
    "session.use_ort_model_bytes_for_initializers": "1",
    "session.profile_file_prefix": "PATH",
    "session.enable_profiling": "1",
    "session.custom_ops_library": "PATH",
    "session.optimized_model_external_initializers_file_name": "PATH",
    "session.moe.offload.popularity_file": "PATH",
    "session.intra_op_thread_affinities": "1;2",
    "session.intra_op.allow_spinning": "0",
    "ep.context_enable": "1",
    "ep.context_file_path": "PATH",
    "ep.dynamic.workload_type": "Efficient",
    "trt_engine_cache_path": "PATH",
    "Session.X64QuantPrecision": "1",
    "session.x64quantprecision ": "1",
    " session.x64quantprecision": "1",
    "session.x64quantprecision\0": "1",
    "session.x64quantprecision\n": "1",
    "session.x64quantprecision\u200b": "1",
    "": "1",
}


@pytest.mark.parametrize("key", FORBIDDEN)
def test_an_option_that_is_not_of_the_list_is_refused_by_name(bundle: Path, tmp_path: Path, key: str) -> None:
    message = refused(with_options(bundle, **{key: FORBIDDEN[key].replace("PATH", str(tmp_path / "written"))}))
    assert "manifest.json" in message
    assert "runtime_options" in message
    assert message.isprintable()
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("value", ["2", "", "01", "1 ", "true", "-1", "1\0", "１", "1" * 3_000_000])
def test_a_value_that_is_not_of_the_list_is_refused(bundle: Path, value: str) -> None:
    message = refused(with_options(bundle, **{"session.x64quantprecision": value}))
    assert "session.x64quantprecision" in message
    assert len(message) < 500


def test_the_key_and_the_allowed_ones_are_named(bundle: Path) -> None:
    with_options(bundle, **{"session.collect_node_memory_stats_to_file": "/tmp/x"})
    with pytest.raises(
        BundleError,
        match=r"models\[colour\]\.candidates\[onnx-a\]\.runtime_options: 'session\.collect_node_memory_stats_to_file'",
    ) as caught:
        open_bundle(bundle)
    assert "session.x64quantprecision" in str(caught.value.fix)


def test_every_option_of_the_list_can_be_set_and_one_bad_among_them_is_found(bundle: Path) -> None:
    good = {key: values[-1] for key, values in RUNTIMES["onnx", "onnxruntime"].options.items()}
    opened = open_bundle(with_options(bundle, **good))
    candidate = opened.manifest.models[0].candidates[0]
    with ThreadPoolExecutor(
        1
    ) as thread:  # of its own: one of the options makes a thread take the smallest numbers for 0 ever after
        thread.submit(lambda: load_backend(opened.model_file(candidate), candidate, 1).close()).result()
    assert "ep.context_enable" in refused(with_options(bundle, **good, **{"ep.context_enable": "1"}))


def test_tflite_has_no_options(bundle: Path) -> None:
    def as_tflite(data: dict[str, Any]) -> None:
        data["models"][0]["candidates"][0].update(format="tflite", requires={"runtime": "tflite"})
        data["models"][0]["candidates"][0]["runtime_options"] = {"session.x64quantprecision": "1"}

    assert "may not be set by a bundle" in refused(change(bundle, as_tflite))


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=5), min_size=1, max_size=3))
def test_no_other_key_passes(colour_bundle: Path, options: dict[str, str]) -> None:
    data = json.loads((colour_bundle / "manifest.json").read_text())
    data["models"][0]["candidates"][0]["runtime_options"] = options
    with pytest.raises(BundleError):
        parse_manifest(json.dumps(data).encode(), Path("manifest.json"))


def test_backends_hold_to_the_list_themselves(bundle: Path, tmp_path: Path) -> None:
    opened = open_bundle(bundle)
    candidate = opened.manifest.models[0].candidates[0]
    bad = msgspec.structs.replace(
        candidate, runtime_options={"session.collect_node_memory_stats_to_file": str(tmp_path / "written")}
    )
    with pytest.raises(BundleError, match="collect_node_memory_stats_to_file"):
        load_backend(opened.model_file(candidate), bad, 1)
    assert not (tmp_path / "written").exists()


def test_nobody_writes_such_a_bundle(bundle: Path, tmp_path: Path) -> None:
    opened = open_bundle(bundle)
    model = opened.manifest.models[0]
    bad = msgspec.structs.replace(model.candidates[0], runtime_options={"session.enable_profiling": "1"})
    manifest = msgspec.structs.replace(opened.manifest, models=(msgspec.structs.replace(model, candidates=(bad,)),))

    def write() -> None:
        with BundleWriter(tmp_path / "out") as writer:
            for name in opened.manifest.files():
                writer.add(name, bundle / name)
            writer.finish(manifest)

    with pytest.raises(BundleError, match="enable_profiling"):
        write()
    assert not (tmp_path / "out").exists()


# --- every command refuses, with 65 ---


def outside_model() -> bytes:
    model = onnx.load_from_string(tiny.colour_onnx())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return model.SerializeToString()


def site(tmp_path: Path, bundle: Path) -> Path:
    text = f"""config_version = 1
[camera]
source = "synthetic:frames=3"
[model]
bundle = "{bundle}"
provider = "cpu"
[state]
dir = "{tmp_path / "state"}"
[[sink]]
kind = "jsonl"
path = "{tmp_path / "events.jsonl"}"
"""
    (tmp_path / "site.toml").write_text(text)
    return tmp_path / "site.toml"


@pytest.mark.parametrize("attack", ["options", "external data", "unlisted file"])
@pytest.mark.parametrize("command", ["verify", "inspect", "pack", "unpack", "run", "choose", "check"])
def test_every_command_refuses_with_65(
    bundle: Path, tmp_path: Path, attack: str, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "written"
    if attack == "options":
        with_options(bundle, **{"session.collect_node_memory_stats_to_file": str(written)})
    elif attack == "external data":
        put(bundle, MODEL, outside_model())
        if command == "inspect":
            return  # shows the manifest and opens nothing else
    else:
        (bundle / "weights.bin").write_bytes(b"x")
    words = {
        "verify": ["bundle", "verify", str(bundle)],
        "inspect": ["bundle", "inspect", str(bundle)],
        "pack": ["bundle", "pack", str(bundle), "--out", str(tmp_path / "out.zip")],
        "unpack": ["bundle", "unpack", str(tmp_path / "in.zip"), "--out", str(tmp_path / "out")],
        "run": ["run", "--config", str(site(tmp_path, bundle))],
        "choose": ["choose", "--config", str(site(tmp_path, bundle))],
        "check": ["check", str(site(tmp_path, bundle))],
    }[command]
    if command == "unpack":
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
            for path in sorted(bundle.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(bundle).as_posix())
    assert main(words) == ExitCode.DATA
    said = capsys.readouterr().err
    assert {"options": "collect_node", "external data": MODEL, "unlisted file": "weights.bin"}[attack] in said
    assert not written.exists()
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.zip").exists()


# --- files ---


@pytest.mark.parametrize(
    "name", [".DS_Store", "Thumbs.db", "weights.bin", "golden/more.npz", "golden/.hidden", "new/inside.bin", "new/"]
)
def test_what_the_manifest_does_not_name_is_refused_when_the_bundle_is_opened(bundle: Path, name: str) -> None:
    path = bundle / name
    path.parent.mkdir(exist_ok=True)
    if name.endswith("/"):
        path.mkdir()
    else:
        path.write_bytes(b"")
    with pytest.raises(BundleError, match="not named in the manifest") as caught:
        open_bundle(bundle)
    assert "remove it" in str(caught.value.fix)


@pytest.mark.parametrize("name", [MODEL, "labels.txt", "manifest.json", "golden/golden.npz", "golden", "more"])
def test_a_link_in_a_bundle_is_refused_and_never_followed(bundle: Path, tmp_path: Path, name: str) -> None:
    if (bundle / name).exists():
        (bundle / name).rename(tmp_path / "elsewhere")
    else:
        (tmp_path / "elsewhere").write_bytes(b"")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=name):
        open_bundle(bundle)


@pytest.mark.parametrize("name", [MODEL, "golden"])
def test_a_link_that_comes_after_opening_is_not_followed_either(bundle: Path, tmp_path: Path, name: str) -> None:
    opened = open_bundle(bundle)
    (bundle / name).rename(tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"altered: (is a symbolic link|its folder is a link)"):
        opened.verify()


def test_the_bundles_own_directory_may_be_a_link_and_a_file_may_have_two_names(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(bundle)
    (tmp_path / "second-name").hardlink_to(bundle / MODEL)
    open_bundle(tmp_path / "current").verify()


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder"])
@pytest.mark.parametrize("name", [MODEL, "labels.txt", "manifest.json"])
def test_what_is_no_file_does_not_hang(bundle: Path, kind: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (bundle / name).unlink()
    if kind == "pipe":
        os.mkfifo(bundle / name)
    elif kind == "folder":
        (bundle / name).mkdir()
    else:
        monkeypatch.chdir(bundle)  # a socket's path has at most 108 bytes
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(name)
    with pytest.raises(BundleError, match=name):
        open_bundle(bundle).verify()


def test_a_swap_between_check_and_use_changes_nothing(bundle: Path, tmp_path: Path) -> None:
    """What was hashed is what runs: the file on disk may be anything by then."""
    opened = open_bundle(bundle)
    candidate = opened.manifest.models[0].candidates[0]
    file = opened.model_file(candidate)
    (bundle / MODEL).write_bytes(tiny.colour_onnx((2, 1, 0)))
    backend = load_backend(file, candidate, 1)
    red = np.zeros((1, 8, 8, 3), np.uint8)
    red[..., 0] = 200
    assert backend.run(red)[0].argmax() == 0
    backend.close()
    with pytest.raises(BundleError, match="altered"):
        opened.model_file(candidate)


def test_no_path_reaches_a_runtime(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    given: list[object] = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, model: object, *args: object, **kwargs: object) -> None:
            given.append(model)
            super().__init__(model, *args, **kwargs)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    opened = open_bundle(bundle)
    candidate = opened.manifest.models[0].candidates[0]
    load_backend(opened.model_file(candidate), candidate, 1).close()
    assert [type(model) for model in given] == [bytes]


def test_a_model_file_outside_of_a_bundle_is_a_plain_file_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(BundleError, match="not a regular file"):
        ModelFile.read(tmp_path / "pipe.onnx")
    (tmp_path / "large.onnx").write_bytes(b"12345")
    with pytest.raises(BundleError, match="at most 4 are read"):
        ModelFile.read(tmp_path / "large.onnx", max_bytes=4)


# --- sizes ---


def test_the_manifest_itself_has_a_limit_that_holds_before_it_is_read(bundle: Path) -> None:
    with (bundle / "manifest.json").open("r+b") as file:
        file.truncate(50_000_000_000)
    assert "at most 4,000,000 are read" in refused(bundle)


@pytest.mark.parametrize(
    ("part", "most"),
    [
        (("candidates", 0, "model_file"), CAMERA.model),
        (("answers", 0, "labels", "text"), CAMERA.labels),
        (("answers", 0, "golden", "archive"), CAMERA.golden),
    ],
)
def test_each_part_has_a_limit(bundle: Path, part: tuple[Any, ...], most: int) -> None:
    def declare(data: dict[str, Any]) -> None:
        ref = data["models"][0]
        for key in part:
            ref = ref[key]
        ref["bytes"] = most + 1

    assert f"may have at most {most:,}" in refused(change(bundle, declare))


def test_all_parts_together_have_a_limit(bundle: Path) -> None:
    def declare(data: dict[str, Any]) -> None:
        first = data["models"][0]["candidates"][0]
        for index in range(3):
            file = {"file": f"{index}.onnx", "bytes": 100_000_000, "sha256": "0" * 64}
            data["models"][0]["candidates"].append(first | {"name": f"c{index}", "model_file": file})

    assert f"at most {CAMERA.total:,}" in refused(change(bundle, declare))
    with pytest.raises(BundleError, match="missing"):
        open_bundle(bundle, WORKSTATION).verify()


def test_files_have_a_number(bundle: Path) -> None:
    def declare(data: dict[str, Any]) -> None:
        first = data["models"][0]["candidates"][0]
        for index in range(1_001):
            file = {"file": f"{index}.onnx", "bytes": 1, "sha256": "0" * 64}
            data["models"][0]["candidates"].append(first | {"name": f"c{index}", "model_file": file})

    assert "at most 1,000" in refused(change(bundle, declare))


@pytest.mark.parametrize(
    "edit",
    [
        {"height_px": 2**31},
        {"height_px": 8192, "width_px": 8192},
        {"batch": 2**31},
        {"batch": 4096, "height_px": 224, "width_px": 224},
    ],
)
def test_an_input_that_would_eat_the_memory_is_refused(bundle: Path, edit: dict[str, int]) -> None:
    assert "input" in refused(change(bundle, lambda d: d["models"][0]["candidates"][0]["input"].update(edit)))


def test_a_name_may_not_be_a_file_and_a_folder(bundle: Path) -> None:
    assert "as a file and as a folder" in refused(
        change(bundle, lambda d: d["models"][0]["answers"][0]["labels"]["text"].update(file=f"{MODEL}/labels.txt"))
    )


def test_what_many_models_share_is_looked_at_once(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def multiply(data: dict[str, Any]) -> None:
        model = data["models"][0]
        others = [candidate | {"name": f"c{index}"} for index in range(20) for candidate in model["candidates"]]
        data["models"] = [model | {"name": f"m{index}", "candidates": others} for index in range(20)]

    read: list[str] = []
    before = Bundle.read

    def counted(self: Bundle, ref: FileRef) -> bytes:
        read.append(ref.file)
        return before(self, ref)

    monkeypatch.setattr(Bundle, "read", counted)
    opened = open_bundle(change(bundle, multiply))
    opened.verify()
    assert sorted(read) == sorted(opened.manifest.files())


def test_models_that_share_files_are_each_held_against_them(bundle: Path) -> None:
    def another(data: dict[str, Any]) -> None:
        model = data["models"][0]
        (answer,) = model["answers"]
        other = answer | {"golden": answer["golden"] | {"images": 65}}
        data["models"].append(model | {"name": "other", "answers": [other]})

    with pytest.raises(BundleError, match="64 images, but the manifest says 65"):
        open_bundle(change(bundle, another)).verify()


_DEEP = """
from pathlib import Path
from edge.bundle.parse import parse_manifest
from edge.errors import BundleError
deep = '{"schema":1,"a":' + 900 * ('{"' + 80 * "k" + '":') + "[" + ",".join(["0"] * NUMBER) + "]" + 901 * "}"
flat = '{"schema":1,"' + 80 * "k" + '":[' + ",".join(["{}"] * NUMBER) + "]}"
for text in (deep, flat):
    try:
        parse_manifest(text.encode(), Path("manifest.json"))
    except BundleError as error:
        print(str(error)[:100])
"""


def test_a_manifest_of_many_values_deep_inside_costs_no_memory() -> None:
    done = python_limited(["-c", _DEEP.replace("NUMBER", "500_000")], megabytes=400)
    assert done.returncode == 0, done.stderr[-400:]
    assert "more than 16 deep" in done.stdout
    assert "unknown key" in done.stdout


# --- zips, in a child that has little memory ---


def bomb(path: Path, bundle: Path, megabytes: int, declared: int | None = None) -> Path:
    """A packed bundle whose model is so many megabytes of zeros; the manifest and the zip's directory say ``declared`` bytes."""
    size = megabytes * 1_000_000
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    chunk, crc, digest, packed = bytes(1_000_000), 0, hashlib.sha256(), b""
    for _ in range(megabytes):
        crc = zlib.crc32(chunk, crc)
        digest.update(chunk)
        packed += deflate.compress(chunk)
    packed += deflate.flush()
    said = size if declared is None else declared

    def declare(data: dict[str, Any]) -> None:
        data["models"][0]["candidates"][0]["model_file"].update(bytes=said, sha256=digest.hexdigest())

    change(bundle, declare)
    with path.open("wb") as file:
        local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 0x21, crc, len(packed), said % 2**32, len(MODEL), 0)
        entry = struct.pack(
            "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 0x21, crc, len(packed), said % 2**32, len(MODEL), 0, 0, 0, 0, 0, 0
        )
        file.write(local + MODEL.encode() + packed)
        start = file.tell()
        rest = path.with_suffix(".rest")
        with zipfile.ZipFile(rest, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("manifest.json", "labels.txt", "golden/golden.npz"):
                archive.write(bundle / name, name)
        content = rest.read_bytes()
        end = struct.unpack("<4s4H2IH", content[-22:])
        entries = bytearray(content[end[6] : -22])
        at = 0
        for _ in range(3):
            struct.pack_into("<I", entries, at + 42, struct.unpack_from("<I", entries, at + 42)[0] + start)
            at += 46 + sum(struct.unpack_from("<3H", entries, at + 28))
        file.write(content[: end[6]])
        directory = entry + MODEL.encode() + bytes(entries)
        place = file.tell()
        file.write(directory + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 4, 4, len(directory), place, 0))
    return path


@pytest.mark.parametrize(
    ("megabytes", "declared", "says"),
    [
        (300, None, "may have at most 128,000,000"),
        (300, 100_000_000, "inflates beyond its declared 100,000,000"),
        (300, 600, "bytes for 600 inflated ones|inflates beyond its declared 600"),
    ],
)
def test_a_bomb_stops_at_the_limit(bundle: Path, tmp_path: Path, megabytes: int, declared: int | None, says: str) -> None:
    path = bomb(tmp_path / "bomb.zip", bundle, megabytes, declared)
    assert path.stat().st_size < 1_000_000
    done = shelfcam_limited(["bundle", "unpack", str(path), "--out", str(tmp_path / "out")], 200)
    assert done.returncode == ExitCode.DATA, done.stderr
    assert re.search(says, done.stderr), done.stderr
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def test_a_bomb_that_says_what_it_is_goes_to_disk_and_is_no_model(bundle: Path, tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.zip", bundle, 100)
    done = shelfcam_limited(["bundle", "unpack", str(path), "--out", str(tmp_path / "out")], 300)
    assert done.returncode == ExitCode.DATA, done.stderr
    assert "not a model that may be loaded" in done.stderr
    assert not (tmp_path / "out").exists()


def test_packing_reads_each_file_once_and_only_what_is_right(bundle: Path, tmp_path: Path) -> None:
    opened = open_bundle(bundle)
    data = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(BundleError, match="altered since it was opened"):
        pack(opened, tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists()
    pack(open_bundle(bundle), tmp_path / "b.zip")
    unpack(tmp_path / "b.zip", tmp_path / "out").verify()


# --- text ---

CONTROL = [
    "\x1b]52;c;aGk=\x07",
    "\x1b[2J",
    "a\rb",
    "a\nb",
    "tab\t",
    "\x7f",
    "\x9b31m",
    "\u202eevil",
    "\u2066x\u2069",
    "\u2028",
    "\0",
]


@pytest.mark.parametrize("text", CONTROL)
@pytest.mark.parametrize(
    "where",
    [("provenance", "command"), ("provenance", "notes"), ("models", 0, "candidates", 0, "outputs", 0, "name"), ("name",)],
)
def test_a_control_character_in_a_manifest_is_refused_and_shown_escaped(
    bundle: Path, text: str, where: tuple[Any, ...]
) -> None:
    def write(data: Any) -> None:
        for key in where[:-1]:
            data = data[key]
        data[where[-1]] = [text] if where[-1] == "notes" else f"ok{text}"

    message = refused(change(bundle, write))
    assert str(where[-1]) in message
    assert message.isprintable()


@pytest.mark.parametrize("text", CONTROL)
def test_a_control_character_in_a_key_is_refused(bundle: Path, text: str) -> None:
    def write(data: Any) -> None:
        data["provenance"]["tools"][f"onnx{text}"] = "1"

    message = refused(change(bundle, write))
    assert "provenance.tools" in message
    assert message.isprintable()


@pytest.mark.parametrize("text", [t for t in CONTROL if "\n" not in t] + ["a\u2029b", "a\x85b", "a\x0bb", "\x1cb"])
def test_a_control_character_in_a_label_is_refused_by_its_line(bundle: Path, text: str) -> None:
    put(bundle, "labels.txt", f"red\n{text}\nblue\n".encode())
    opened = open_bundle(bundle)
    with pytest.raises(BundleError, match=r"labels\.txt: line 2: ") as caught:
        opened.labels(opened.manifest.models[0].first)
    assert str(caught.value).isprintable()


def test_labels_of_any_script_and_of_any_system_pass(bundle: Path) -> None:
    put(bundle, "labels.txt", "Äpfel 🍎\r\nزيتون\r\n苹果".encode())
    opened = open_bundle(bundle)
    assert opened.labels(opened.manifest.models[0].first) == ("Äpfel 🍎", "زيتون", "苹果")


def test_labels_that_are_not_utf8_or_of_another_number_are_refused(bundle: Path) -> None:
    put(bundle, "labels.txt", b"red\n\xff\nblue\n")
    with pytest.raises(BundleError, match="not UTF-8"):
        open_bundle(bundle).verify()
    put(bundle, "labels.txt", b"red\ngreen\nblue\n\n")
    with pytest.raises(BundleError, match="4 labels"):
        open_bundle(bundle).verify()
