"""Makes Debian's python3-gi importable in a virtual environment, as ``--system-site-packages`` does on a camera, and nothing else.

The package's compiled module fits one Python only, so the environment's Python must have the version of Debian's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_DEBIAN = Path("/usr/lib/python3/dist-packages/gi")


def make_importable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Link the one package into ``folder`` and put that on the path; skips where it cannot be had."""
    if not _DEBIAN.is_dir():
        pytest.skip("Debian's python3-gi is absent")
    asked = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
    )
    if asked.stdout.split() != [str(part) for part in sys.version_info[:2]]:
        pytest.skip(f"Debian's python3-gi is for Python {'.'.join(asked.stdout.split())}")
    if not (folder / "gi").exists():
        (folder / "gi").symlink_to(_DEBIAN)
    monkeypatch.syspath_prepend(folder)
    import gi

    for name in ("Gst", "GstApp"):
        try:
            gi.require_version(name, "1.0")
        except ValueError as error:
            pytest.skip(str(error))
