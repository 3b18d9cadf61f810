"""What is installed that an engine or a choice depends on: inference runtimes, and the GPU with its driver and TensorRT."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from edge.backends import every_runtime

_TENSORRT_DISTRIBUTIONS = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13")
_TENSORRT_LIBRARIES = ("usr/lib/aarch64-linux-gnu", "usr/lib/x86_64-linux-gnu")
"""Where Debian packages, JetPack's among them, put libnvinfer.so.MAJOR.MINOR.PATCH."""

_SLASH = Path("/")


def runtime_versions() -> dict[str, str]:
    """Installed inference runtimes and their versions."""
    return installed_versions(name for runtime in every_runtime().values() for name in runtime.distributions)


def installed_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Version of each of ``distributions`` that is installed, found without importing it."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def accelerator_facts(root: Path = _SLASH) -> dict[str, str]:
    """The NVIDIA GPU, its driver, the Jetson release and TensorRT, each only where there is one. ``root`` holds proc, etc and usr.

    An engine that TensorRT has built is good for one GPU and one version of TensorRT (NVIDIA, "TensorRT developer guide").
    """
    facts = {f"version of {name}": value for name, value in installed_versions(_TENSORRT_DISTRIBUTIONS).items()}
    for what, name in (("driver", "proc/driver/nvidia/version"), ("release", "etc/nv_tegra_release")):
        line = _first_line(root / name)
        if line:
            facts[what] = line
    for index, place in enumerate(sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))):
        facts[f"gpu {index}"] = _first_line(place)  # "Model: …"; the lines below it hold a serial number
    libraries = [file.name for folder in _TENSORRT_LIBRARIES for file in (root / folder).glob("libnvinfer.so.*.*.*")]
    if libraries:
        facts["tensorrt"] = " ".join(sorted(libraries))
    return facts


def _first_line(path: Path) -> str:
    try:
        return " ".join(path.read_text(encoding="utf-8", errors="replace").partition("\n")[0].split())
    except OSError:
        return ""
