"""FFmpeg inside OpenCV, walled in: it opens only what it is named, in the formats that it is named, and takes no huge memory at once.

OpenCV hands options to FFmpeg through one environment variable of the whole process. What the user has set there stays, and wins
where he names the same option: his environment is as trusted as his command line.
"""

from __future__ import annotations

import ctypes
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import cv2

from edge.sources.opencv import too_large

_LOG = logging.getLogger(__name__)

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
_LOCK = threading.Lock()  # held while the variable is set for one opening

FILE_FORMATS = "mov,avi,matroska,webm,mjpeg,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,nut,gif,yuv4mpegpipe"
"""Of video files: what holds its pictures itself. No playlists (hls, dash, concat, sdp, image2 …), which name other files and hosts."""

STREAM_FORMATS = "mpegts,mpegtsraw,flv,live_flv,matroska,webm,mov,mjpeg,h264,hevc,mpeg,mpegvideo,m4v,ivf,obu,ogg,nut"
"""Of cameras over HTTP, likewise."""

_LEAST_BYTES = 64_000_000  # for what is no picture
_OPENING_BYTES_PER_PIXEL = 2  # of one plane, with 10 bits a sample: what decoders allocate at once
_BYTES_PER_PIXEL = 4  # of all planes: what OpenCV makes of it


def open_walled(what: str, options: Mapping[str, str], *, max_pixels: int, waits: Sequence[int] = ()) -> cv2.VideoCapture:
    """A capture of ``what``, opened or not.

    Args:
        what: path or address for FFmpeg.
        options: of FFmpeg; ``protocol_whitelist`` and ``format_whitelist`` are the walls.
        max_pixels: of a picture. FFmpeg gets no single piece of memory larger than one needs; once it is open, than those announced do.
        waits: further parameters for OpenCV.
    """
    with _LOCK:
        theirs = os.environ.get(_OPTIONS)
        os.environ[_OPTIONS] = merged(options, theirs or "")
        try:
            _cap_memory(max_pixels * _OPENING_BYTES_PER_PIXEL)
            capture = cv2.VideoCapture(what, cv2.CAP_FFMPEG, list(waits))
            height, width = announced_hw_px(capture)
            _cap_memory(min(height * width, max_pixels) * _BYTES_PER_PIXEL)
            return capture
        finally:
            if theirs is None:
                del os.environ[_OPTIONS]
            else:
                os.environ[_OPTIONS] = theirs


def announced_hw_px(capture: cv2.VideoCapture) -> tuple[int, int]:
    """Height and width that the pictures will have; 0 where that is not known."""
    return max(0, int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))), max(0, int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))


def check_announced(capture: cv2.VideoCapture, shown: str, max_pixels: int) -> None:
    """Raises SourceError if the pictures will have more than ``max_pixels``; the capture is released then."""
    size_hw_px = announced_hw_px(capture)
    if size_hw_px[0] * size_hw_px[1] > max_pixels:
        capture.release()
        raise too_large(shown, size_hw_px, max_pixels)


def merged(ours: Mapping[str, str], theirs: str) -> str:
    """Options as OpenCV wants them, ``name;value|name;value``: ``theirs``, written so, over ``ours``."""
    named = dict(pair.split(";", 1) for pair in theirs.split("|") if ";" in pair)
    return "|".join(f"{name};{value}" for name, value in {**ours, **named}.items())


class LoopbackListener:
    """A listening socket on loopback through which this very process, and nobody else on the machine, comes once."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=8)
        self.port: int = self._listener.getsockname()[1]

    def accept_own(self, timeout_s: float, stopped: Callable[[], bool]) -> socket.socket | None:
        """The one connection; then it stops listening. None: it did not come in time, or ``stopped``. Others are hung up on."""
        deadline_s = time.monotonic() + timeout_s
        self._listener.settimeout(0.1)
        try:
            while not stopped() and time.monotonic() < deadline_s:
                try:
                    guest, (_, port) = self._listener.accept()
                except TimeoutError:
                    continue
                except OSError:  # closed meanwhile
                    return None
                if _is_ours(port, self.port):
                    return guest
                guest.close()
        finally:
            self.close()
        return None

    def close(self) -> None:
        """Stop listening; may be called twice."""
        self._listener.close()


def _is_ours(port: int, to_port: int) -> bool:
    """Whether the connection from loopback's ``port`` to ``to_port`` was made by this process (proc(5): /proc/net/tcp, /proc/PID/fd)."""
    ends = [f"{port:04X}", f"{to_port:04X}"]
    inodes = {
        row[9]
        for row in map(str.split, Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:])
        if [row[1].rpartition(":")[2], row[2].rpartition(":")[2]] == ends
    }
    mine: set[str] = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            mine.add(str(link.readlink()))
        except OSError:
            continue  # closed meanwhile
    return any(f"socket:[{inode}]" in mine for inode in inodes)


def _cap_memory(most_bytes: int) -> None:
    """Give FFmpeg no single piece of memory larger than that (libavutil's av_max_alloc): a packet or a picture may announce 2 GB."""
    setter = _max_alloc()
    if setter is not None:
        setter(max(_LEAST_BYTES, most_bytes))


@cache
def _max_alloc() -> Callable[[int], object] | None:
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
        path = next(line.split(maxsplit=5)[5] for line in maps.splitlines() if "/libavutil" in line)
        setter = ctypes.CDLL(path).av_max_alloc
    except (OSError, StopIteration, AttributeError):
        _LOG.info("OpenCV's FFmpeg is not there as a library of its own: its memory is capped by the process alone")
        return None
    setter.argtypes, setter.restype = [ctypes.c_size_t], None
    return setter
