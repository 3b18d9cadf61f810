"""What is fuzzed: each target takes bytes and may refuse them, in words; anything else that it raises is a fault that was found."""

from __future__ import annotations

import io
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edge.errors import ShelfcamError

ROOT = Path(__file__).resolve().parents[2]
GROWTH_MAX_BYTES = 600_000_000
"""What one input may make the process grow by; more ends the fuzzer as a fault."""


@dataclass(frozen=True, slots=True)
class Target:
    """``seeds``: inputs that are accepted, to be mutated. ``run``: raises nothing for an input that is accepted or refused."""

    seeds: Callable[[], list[bytes]]
    run: Callable[[bytes], None]


@contextmanager
def _refusals(*also: type[Exception]) -> Iterator[None]:
    """An error in the project's own words is an answer; so are those that the parser's docstring names."""
    try:
        yield
    except (ShelfcamError, *also) as error:
        if not str(error):
            raise AssertionError("refused without a word") from error


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        yield Path(name)


@cache
def _bundle() -> dict[str, bytes]:
    """The files of the tiny bundle."""
    from tests.fakes.tiny import write_colour_bundle

    with _directory() as place:
        made = write_colour_bundle(place / "bundle").directory
        return {path.relative_to(made).as_posix(): path.read_bytes() for path in sorted(made.rglob("*")) if path.is_file()}


def _manifest(data: bytes) -> None:
    from edge.bundle.reader import parse_manifest

    with _refusals():
        parse_manifest(data, Path("manifest.json"))


def _embedded_manifests() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "edge" / "assets").glob("*/manifest.json"))]


def _zip_seed() -> list[bytes]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _bundle().items():
            archive.writestr(name, content)
    return [buffer.getvalue()]


def _zip(data: bytes) -> None:
    from edge.bundle.pack import unpack

    with _directory() as place:
        (place / "bundle.zip").write_bytes(data)
        (place / "canary").write_bytes(b"")
        with _refusals():
            unpack(place / "bundle.zip", place / "in" / "out")
        assert sorted(path.name for path in place.iterdir() if path.name != "in") == ["bundle.zip", "canary"]


def _labels(data: bytes) -> None:
    """A whole bundle whose labels file is ``data``, with its right hash."""
    import hashlib

    import msgspec

    from edge.bundle.reader import open_bundle

    with _directory() as place:
        files = dict(_bundle())
        manifest = msgspec.json.decode(files["manifest.json"])
        text = manifest["models"][0]["answers"][0]["labels"]["text"]
        text["bytes"], text["sha256"] = len(data), hashlib.sha256(data).hexdigest()
        files |= {"labels.txt": data, "manifest.json": msgspec.json.encode(manifest)}
        for name, content in files.items():
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(content)
        with _refusals():
            bundle = open_bundle(place)
            bundle.labels(bundle.manifest.models[0].first)


def _golden(data: bytes) -> None:
    from edge.bundle.golden import decode_golden

    with _refusals():
        decode_golden(data, "golden.npz")


def _config(data: bytes) -> None:
    from edge.config import load_config

    with _directory() as place:
        (place / "camera.toml").write_bytes(data)
        with _refusals():
            load_config(place / "camera.toml")


def _configs() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "systemd").glob("*.toml"))]


def _source(data: bytes) -> None:
    """A source's URI: made or refused, and never shown with what it hides."""
    from edge.sources import open_source

    uri = data.decode(errors="replace").replace("\x00", "")
    with _refusals(), _directory() as place, _inside(place):
        open_source(uri, timeout_ms=1000)


@contextmanager
def _inside(place: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(place)
    try:
        yield
    finally:
        os.chdir(before)


def _uris() -> list[bytes]:
    return [
        *(b"synthetic:fps=10,seed=3,size=640x480,frames=100", b"v4l2:/dev/video0,size=1280x720,fps=15,fourcc=MJPG"),
        *(
            b"rtsp://user:pass@host:554/stream1?token=secret",
            b"https://host/mjpg/video.mjpg",
            b"gstreamer:videotestsrc ! appsink",
        ),
        *(b"picamera2:0,size=1280x720", b"directory:photos", b"video:clip.mp4"),
    ]


def _events(data: bytes) -> None:
    """An outbox's database that somebody else wrote."""
    from edge.sinks.store import Store

    with _directory() as place:
        (place / "outbox.db").write_bytes(data)
        with _refusals(sqlite3.Error):
            store = Store(place / "outbox.db", durable=False)
            store.close()


def _databases() -> list[bytes]:
    from edge.sinks.store import Store

    with _directory() as place:
        Store(place / "outbox.db", durable=False).close()
        return [(place / "outbox.db").read_bytes()]


def _onnx(data: bytes) -> None:
    """The walk before a runtime sees the file; never more than a refusal, and no runtime is started here."""
    from edge.bundle.model_file import ModelFile

    with _refusals():
        ModelFile("model.onnx", data).check("onnx")


def _tflite(data: bytes) -> None:
    from edge.bundle.model_file import ModelFile

    with _refusals():
        ModelFile("model.tflite", data).check("tflite")


def _tflite_seed() -> list[bytes]:
    return [(ROOT / "edge" / "assets" / "grocery" / "tflite-int8.tflite").read_bytes()]


_PICTURE_MAX_PIXELS = 1_000_000


def _picture(data: bytes) -> None:
    """An encoded picture: no larger one than allowed comes out, whatever its header says."""
    from edge.images import decode_rgb

    with _refusals():
        height, width, _ = decode_rgb(data, "picture", _PICTURE_MAX_PIXELS).shape
        assert height * width <= _PICTURE_MAX_PIXELS


def _pictures() -> list[bytes]:
    import cv2
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    progressive = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))[1].tobytes()
    return [progressive, *(cv2.imencode(s, pixels)[1].tobytes() for s in (".jpg", ".png", ".bmp", ".ppm", ".tif", ".webp"))]


def _mjpeg(data: bytes) -> None:
    """The body of an MJPEG stream over HTTP, its pictures measured but not decoded."""
    from edge.picture_size import picture_size_hw_px
    from edge.sources.http import Feed
    from edge.sources.multipart import Multipart
    from edge.sources.wire import MessageError

    with _refusals(MessageError):
        parts = Multipart(Feed(io.BytesIO(data).readinto), "multipart/x-mixed-replace; boundary=frame")
        while (part := parts.next_part()) is not None:
            with _refusals():
                picture_size_hw_px(bytes(part), "frame")


def _mjpeg_seed() -> list[bytes]:
    picture = next(seed for seed in _pictures() if seed.startswith(b"\xff\xd8"))
    head = b"--frame\r\nContent-Type: image/jpeg\r\n"
    with_length = head + b"Content-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n"
    return [with_length * 2 + head + b"\r\n" + picture + b"\r\n--frame--\r\n"]


def _rtsp(data: bytes) -> None:
    """What an RTSP camera says after it was asked for its description."""
    from edge.errors import SourceError
    from edge.sources.rtsp import Dialogue, RtspMessage, Splitter
    from edge.sources.wire import Address, Head, MessageError

    dialogue = Dialogue(Address.parse("rtsp://me:pw@camera/a"), "rtsp://127.0.0.1:9/camera", "camera", lambda: None)
    dialogue.from_ffmpeg(RtspMessage(Head("DESCRIBE rtsp://127.0.0.1:9/camera RTSP/1.0", (("cseq", "1"),)), b""))
    splitter = Splitter(dialogue.granted)
    with _refusals(MessageError, SourceError):
        for one in splitter.feed(data):
            if isinstance(one, RtspMessage):
                dialogue.from_camera(one)


def _rtsp_seed() -> list[bytes]:
    sdp = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:stream=0\r\n"
    described = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Base: rtsp://camera/a/\r\nContent-Type: application/sdp\r\n"
    asked = b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\n\r\n'
    return [described + b"Content-Length: %d\r\n\r\n" % len(sdp) + sdp, asked]


TARGETS = {
    "manifest": Target(_embedded_manifests, _manifest),
    "zip": Target(_zip_seed, _zip),
    "labels": Target(lambda: [_bundle()["labels.txt"]], _labels),
    "golden": Target(lambda: [_bundle()["golden/golden.npz"]], _golden),
    "onnx": Target(lambda: [_bundle()["onnx-a.onnx"]], _onnx),
    "tflite": Target(_tflite_seed, _tflite),
    "picture": Target(_pictures, _picture),
    "mjpeg": Target(_mjpeg_seed, _mjpeg),
    "rtsp": Target(_rtsp_seed, _rtsp),
    "config": Target(_configs, _config),
    "source": Target(_uris, _source),
    "events": Target(_databases, _events),
}
