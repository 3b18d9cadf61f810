"""Options that several commands share, and how they change the config."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators

from edge.config import MAX_THREADS, DeviceConfig, default_config, load_config

BundleOption = Annotated[
    Path | None,
    Parameter(name="--bundle", help="Bundle directory, builtin:grocery (the default) or builtin:imagenet."),
]
ConfigOption = Annotated[Path | None, Parameter(name="--config", help="Site configuration (TOML).")]
CandidateOption = Annotated[
    str | None, Parameter(name="--candidate", help="Candidate to run, or auto: the fastest that passes here.")
]
ModelOption = Annotated[str | None, Parameter(name="--model", help="Which model, where a bundle holds several.")]
ThreadsOption = Annotated[
    int | None,
    Parameter(
        name="--threads",
        help="Inference threads; 0: as many as CPUs, at most 4.",
        validator=validators.Number(gte=0, lte=MAX_THREADS),
    ),
]
JsonOption = Annotated[bool, Parameter(name="--json", negative="", help="JSON on standard output, for programs.")]
ForceOption = Annotated[
    bool, Parameter(name="--force", negative="", help="Replace what is there, in one step, when the new is complete.")
]


def site(
    config: Path | None,
    *,
    bundle: Path | None = None,
    candidate: str | None = None,
    model: str | None = None,
    threads: int | None = None,
) -> DeviceConfig:
    """The config file (or the defaults) with what the command line says on top."""
    loaded = load_config(config) if config is not None else default_config()
    given = {
        "bundle": str(bundle) if bundle is not None else None,
        "candidate": candidate,
        "name": model,
        "threads": threads,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    return msgspec.structs.replace(loaded, model=msgspec.structs.replace(loaded.model, **changes))
