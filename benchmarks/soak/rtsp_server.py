"""A real RTSP server (gst-rtsp-server) with an H.264 stream at /shelf. Runs under Debian's Python, which has its bindings.

Usage: /usr/bin/python3 rtsp_server.py PORT PIPELINE [USER PASSWORD [basic|digest]]. PORT 0 takes a free one.
Prints the port when it serves.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402


def main(port: str, pipeline: str, user: str = "", password: str = "", method: str = "basic") -> None:
    """Serve until killed."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( {pipeline} ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=5 ! rtph264pay name=pay0 pt=96 )"
    )
    factory.set_shared(True)
    if user:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        if method == "digest":
            auth.add_digest(user, password, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
        auth.set_supported_methods(getattr(GstRtsp.RTSPAuthMethod, method.upper()))
    server.get_mount_points().add_factory("/shelf", factory)
    if server.attach(None) == 0:
        raise SystemExit(f"port {port} cannot be served")
    print(server.get_bound_port(), flush=True)  # noqa: T201 - to the process that asked
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
