"""The wheel that a camera gets, built from the sources alone; shared by the checks in this folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PIP = ("-m", "pip", "--disable-pip-version-check")

# pip matches manylinux tags exactly, so every glibc up to Debian 12's 2.36 is named.
AARCH64 = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(36, 16, -1))]


def build_wheel(scratch: Path) -> Path:
    """A wheel below ``scratch``. Built from a copy: a build folder left over from earlier would put files into it that are gone."""
    copy = scratch / "src"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "build", "out", "tests", "*.egg-info", "__pycache__"))
    subprocess.run([sys.executable, *PIP, "wheel", "-qq", "--no-deps", "--wheel-dir", scratch, copy], check=True)
    return next(scratch.glob("*.whl"))


def aarch64_options(python: str, target: Path) -> list[str]:
    """Options of ``pip install`` for the wheels of a Raspberry Pi OS (64-bit) with that Python, and no building from source."""
    options = ["--only-binary=:all:", "--target", str(target), "--implementation", "cp", "--python-version", python]
    options += [f"--abi=cp{python.replace('.', '')}", "--abi=abi3", "--abi=none"]
    return options + [f"--platform={name}" for name in AARCH64]
