"""Does every device dependency have an aarch64 wheel? Resolves each extra for each Python as pip on a Raspberry Pi OS (64-bit) would.

Run by ``make wheels``; needs the package index, so it is no test of the suite. Prints a table; exit 1 if a combination that
pyproject.toml promises cannot be resolved from wheels alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import tomllib
from package import PIP, ROOT, aarch64_options

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
EXTRAS = {
    "": PYTHONS,
    "onnx": PYTHONS,
    "litert": PYTHONS,
    "mqtt": PYTHONS,
    "wrap": PYTHONS,
    "metrics": PYTHONS,
    "tflite-runtime": ("3.10", "3.11"),
}


def requirements(extra: str, python: str) -> list[str]:
    """What `pip install shelfcam[extra]` asks for on that Python, markers resolved."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + (project["optional-dependencies"][extra] if extra else [])
    found = [Requirement(line) for line in lines]
    env = {"python_version": python, "python_full_version": f"{python}.0", "platform_machine": "aarch64"}
    return [f"{r.name}{r.specifier}" for r in found if r.marker is None or r.marker.evaluate(env)]


def resolve(extra: str, python: str) -> tuple[bool, str]:
    """(whether wheels were found for everything, what was found or what is missing)."""
    with tempfile.TemporaryDirectory() as target:
        command = [sys.executable, *PIP, "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--report", f"{target}/report.json", *aarch64_options(python, Path(target))]
        done = subprocess.run([*command, *requirements(extra, python)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return False, next((line for line in done.stderr.splitlines() if "ERROR" in line), done.stderr)
        report = json.loads(Path(target, "report.json").read_text())
        names = {item["metadata"]["name"]: item["metadata"]["version"] for item in report["install"]}
        native = (
            "numpy",
            "opencv-python-headless",
            "msgspec",
            "onnxruntime",
            "ai-edge-litert",
            "tflite-runtime",
            "onnx",
            "paho-mqtt",
        )
        return True, ", ".join(f"{name} {names[name]}" for name in native if name in names)


def main() -> int:
    """Print a line per combination."""
    failed = 0
    for extra, pythons in EXTRAS.items():
        for python in pythons:
            fits, what = resolve(extra, python)
            failed += not fits
            print(
                f"{'ok  ' if fits else 'FAIL'} shelfcam{f'[{extra}]' if extra else ''} on aarch64, Python {python}: {what}",
                flush=True,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
