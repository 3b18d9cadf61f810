"""Does the package, installed as on a camera with one extra and nothing else, run its embedded bundle?

Run by ``make cameras``; needs the package index. Builds the wheel once, then for each Python that is installed here and each runtime
makes a virtual environment, installs the wheel with that extra, and runs the loop. Prints a line each; exit 1 if one fails.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from package import PIP, build_wheel

EXTRAS = {
    "onnx": ("3.10", "3.11", "3.12", "3.13"),
    "litert": ("3.10", "3.11", "3.12", "3.13"),
    "tflite-runtime": ("3.10", "3.11"),
}
NEVER_ON_A_CAMERA = {"torch", "onnx", "scikit-image", "psutil"}


def find_python(version: str) -> str | None:
    """An interpreter of that version that really starts (a version manager's shim may not)."""
    places = [sys.executable, shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for place in filter(None, places):
        done = subprocess.run(
            [str(place), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and done.stdout.strip() == version:
            return str(place)
    return None


def run_camera(python: str, wheel: Path, extra: str, folder: Path) -> str:
    """Install and run; returns what ran. Raises CalledProcessError, or AssertionError if more than asked for was installed."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    own = str(folder / "bin" / "python")
    subprocess.run([own, *PIP, "install", "-qq", f"{wheel}[{extra}]"], check=True)
    listed = subprocess.run([own, *PIP, "list", "--format=json"], check=True, capture_output=True, text=True).stdout
    extraneous = {item["name"] for item in json.loads(listed)} & NEVER_ON_A_CAMERA
    assert not extraneous, f"a camera got {extraneous}"
    shelfcam = str(folder / "bin" / "shelfcam")
    subprocess.run([shelfcam, "--help"], check=True, capture_output=True)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(
        [shelfcam, "run", "--source", "synthetic:fps=0", "--frames", "20", "--json"],
        check=True,
        capture_output=True,
        text=True,
        env=env,
        cwd=folder,
    )
    report = json.loads(done.stdout)
    assert report["frames"] == 20, report
    return f"{report['candidate']}, {sum(f.stat().st_size for f in folder.rglob('*') if f.is_file()) / 1e6:.0f} MB installed"


def main() -> int:
    """A line per combination; a Python that is not installed here is said, not failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        wheel = build_wheel(Path(scratch))
        for extra, versions in EXTRAS.items():
            for version in versions:
                what = f"shelfcam[{extra}] on Python {version}"
                python = find_python(version)
                if python is None:
                    print(f"–    {what}: not installed here", flush=True)
                    continue
                try:
                    print(f"ok   {what}: {run_camera(python, wheel, extra, Path(scratch, f'{extra}-{version}'))}", flush=True)
                except (subprocess.CalledProcessError, AssertionError) as error:
                    failed += 1
                    print(f"FAIL {what}: {error} {getattr(error, 'stderr', '') or ''}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
