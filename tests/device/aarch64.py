"""Does the embedded bundle answer on Arm as it should? The real aarch64 wheels and a Debian 12 userland, under QEMU's user emulation.

Run by ``make aarch64``; needs the package index, and qemu-user-static and mmdebstrap, which it installs when run as root; without them it
says so and ends well. For each candidate: the camera loop over two frames, then the golden pictures against the gate. Arithmetic is
Arm's, speed is not: no time is printed. Exit 1 if a candidate misses its gate.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from package import PIP, ROOT, aarch64_options, build_wheel

sys.path.insert(0, str(ROOT))

import msgspec

from edge.bundle.reader import open_bundle
from edge.choice.pick import ProbeResult, make_row
from edge.manifest import Model
from edge.models import DEFAULT_BUNDLE, bundle_directory

TOOLS = {"qemu-aarch64-static": "qemu-user-static", "mmdebstrap": "mmdebstrap"}
PACKAGES = "python3-minimal,python3,libpython3-stdlib,base-files,libc-bin,coreutils,libstdc++6,zlib1g"


def missing_tools() -> list[str]:
    """Debian packages that are not here, after an attempt to install them as root."""
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "-qq", "update"], check=False, stdout=subprocess.DEVNULL)
        subprocess.run(["apt-get", "-qq", "install", "-y", *missing], check=False, stdout=subprocess.DEVNULL)
    return [package for tool, package in TOOLS.items() if shutil.which(tool) is None]


def make_device(scratch: Path) -> Path:
    """A root directory with Debian 12 for arm64 and shelfcam with both runtimes in /opt/site."""
    root = scratch / "root"
    command = ["mmdebstrap", "--quiet", "--arch=arm64", "--variant=extract", f"--include={PACKAGES}", "bookworm", str(root)]
    subprocess.run(command, check=True)
    wheel = build_wheel(scratch)
    options = aarch64_options("3.11", root / "opt" / "site")
    # Captured: pip compares what it puts there with what is installed here, and complains about that.
    subprocess.run([sys.executable, *PIP, "install", "-qq", *options, f"{wheel}[onnx,litert]"], check=True, capture_output=True)
    return root


def on_device(root: Path, *arguments: str) -> bytes:
    """Standard output of ``python3 ARGUMENTS`` on the emulated device; no network, no /proc, no /sys of this machine."""
    shutil.copy(str(shutil.which("qemu-aarch64-static")), root / "usr" / "bin" / "qemu-aarch64-static")
    command = ["chroot", str(root), "/usr/bin/qemu-aarch64-static", "/usr/bin/python3", *arguments]
    env = {"PYTHONPATH": "/opt/site", "HOME": "/tmp", "PATH": "/usr/sbin:/usr/bin:/bin"}
    return subprocess.run(command, check=True, capture_output=True, env=env, timeout=1200).stdout


def check(root: Path, model: Model) -> int:
    """A line per candidate; how many fail."""
    bundle = f"/opt/site/{bundle_directory(DEFAULT_BUNDLE).relative_to(ROOT)}"
    failed = 0
    for candidate in model.candidates:
        run = ("-m", "edge.cli", "run", "--source", "synthetic:fps=0", "--frames", "2", "--candidate", candidate.name, "--json")
        report = json.loads(on_device(root, *run))
        probe = on_device(root, "-m", "edge.choice.probe", bundle, model.name, candidate.name, "1", "1", "judge")
        row = make_row(candidate, [msgspec.json.decode(probe, type=ProbeResult)], model)
        good = row.passes and report["frames"] == 2
        failed += not good
        figures = f"logit cosine {row.logit_cosine or 0:.4f}, top-1 agreement {row.top1_agreement or 0:.3f}"
        print(f"{'ok  ' if good else 'FAIL'} {candidate.name} on aarch64, {row.runtime}: {figures}: {row.reason}", flush=True)
    return failed


def main() -> int:
    """0 also where it cannot be tried, with the reason."""
    missing = missing_tools()
    if missing or os.geteuid() != 0:
        why = f"not installed: {', '.join(missing)}" if missing else "chroot needs root"
        print(f"–    aarch64 was not tried: {why}")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        return 1 if check(make_device(Path(scratch)), open_bundle(bundle_directory(DEFAULT_BUNDLE)).manifest.models[0]) else 0


if __name__ == "__main__":
    raise SystemExit(main())
