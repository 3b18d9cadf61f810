"""What a choice depends on besides the bundle: this CPU and GPU, the installed runtimes, the threads, what the site wants."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

from edge import __version__
from edge.backends.installed import accelerator_facts, installed_versions, runtime_versions
from edge.choice.places import Wanted

__all__ = ["cpu_facts", "cpu_identity", "installed_versions", "machine_key", "runtime_versions", "trial_key"]


def machine_key(bundle_sha256: str, model: str, threads: int, wanted: Wanted) -> str:
    """A hash under which a choice made here may be used again; anything in it that changes asks for a new measurement."""
    found = {**runtime_versions(), **accelerator_facts()}
    parts = [bundle_sha256, model, f"threads={threads}", *(f"{k}={v}" for k, v in found.items()), cpu_identity()]
    return hashlib.sha256("\n".join([*parts, *wanted.facts()]).encode()).hexdigest()


def trial_key(bundle_sha256: str, model: str, candidate: str, place: str) -> str:
    """A hash under which a trial made here holds: the bundle's bytes, what of it ran where, this version, the runtimes and the CPU."""
    found = {"shelfcam": __version__, **runtime_versions(), **accelerator_facts()}
    parts = ["trial", bundle_sha256, model, candidate, place, *(f"{k}={v}" for k, v in found.items()), cpu_identity()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def cpu_identity() -> str:
    """Model name and feature flags of the first CPU (x86 "flags", Arm "Features"), or what the platform module knows."""
    return "\n".join(f"{key}: {value}" for key, value in sorted(cpu_facts().items())) or platform.processor()


def cpu_facts() -> dict[str, str]:
    """The lines of /proc/cpuinfo that say what the first CPU can do; clock speeds and the like are left out."""
    wanted = {"model name", "flags", "Features", "CPU implementer", "CPU part", "CPU architecture"}
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {"machine": platform.machine()}
    facts = {"machine": platform.machine()}
    for line in text.split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        if key.strip() in wanted:
            facts[key.strip()] = " ".join(sorted(value.split())) if key.strip() in {"flags", "Features"} else value.strip()
    return facts
