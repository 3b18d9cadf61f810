"""An RTSP server of GStreamer, a process of its own that can be killed and started again."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from types import TracebackType

PYTHON = "/usr/bin/python3"
RED_VIDEO = (
    "videotestsrc is-live=true pattern=solid-color foreground-color=0xfffa0000 ! "
    "video/x-raw,width=128,height=96,framerate=25/1 ! videoconvert"
)
_NEEDS = (
    "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0'); "
    "from gi.repository import Gst, GstRtspServer; Gst.init(None); "
    "missing = [n for n in ('x264enc', 'videotestsrc', 'rtph264pay') if Gst.ElementFactory.find(n) is None]; "
    "raise SystemExit('no GStreamer element ' + ' '.join(missing) if missing else 0)"
)


@functools.cache
def why_not() -> str:
    """Why there is no RTSP server here; empty if there is."""
    if not Path(PYTHON).exists():
        return f"{PYTHON} is absent"
    tried = subprocess.run([PYTHON, "-c", _NEEDS], capture_output=True, text=True, check=False, env=_ENV)
    return f"gst-rtsp-server is not here: {tried.stderr.strip().splitlines()[-1]}" if tried.returncode else ""


_ENV = {
    "PATH": "/usr/bin:/bin",
    "GST_REGISTRY_UPDATE": os.environ.get("GST_REGISTRY_UPDATE", "yes"),
    "HOME": os.environ.get("HOME", "/"),
}


class RtspServer:
    """Serves ``pipeline`` (raw video) at ``url`` until it is killed; ``start`` again serves at the same address."""

    def __init__(self, pipeline: str, *, user: str = "", password: str = "", method: str = "basic") -> None:
        self._arguments = [pipeline, *([user, password, method] if user else [])]
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Of the stream, once it was started."""
        return f"rtsp://127.0.0.1:{self.port}/shelf"

    def start(self) -> None:
        """Serve, again."""
        script = Path(__file__).with_name("rtsp_server.py")
        command = [PYTHON, str(script), str(self.port), *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_ENV)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """With SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
