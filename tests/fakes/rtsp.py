"""The RTSP server of the soak, for tests."""

from __future__ import annotations

from benchmarks.soak.rtsp import RED_VIDEO, RtspServer, why_not

__all__ = ["RED_VIDEO", "RtspServer", "why_not"]
