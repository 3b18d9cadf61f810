"""``shelfcam bench`` as an entry point."""

from __future__ import annotations

import subprocess
import sys

import msgspec


def test_registering_imports_nothing_heavy() -> None:
    code = "import sys, benchmarks.cli; print([m for m in ('numpy', 'cv2', 'onnxruntime', 'msgspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert msgspec.json.decode(done.stdout) == []
