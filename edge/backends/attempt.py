"""Can a provider be had? Tried in a process of its own, ``python -m edge.backends.attempt PROVIDER``, because a driver that is not in
order may take the process with it. Prints the reason why not, or nothing.

The session is of the smallest model there is, one Identity: nothing is built and nothing is kept.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

from edge.backends import providers
from edge.backends.base import Placement
from edge.data import Provider
from edge.errors import ProviderError
from edge.sandbox import HOME

TIMEOUT_S = 25
"""Less than the watchdog of the unit: a service that reads its configuration again waits for the answer."""

_IDENTITY = bytes.fromhex(
    "08073a370a100a017812017922084964656e746974791201695a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)
"""ONNX, IR version 7, opset 13: y = Identity(x), one float."""


def available_providers() -> tuple[str, ...]:
    """What the installed ONNX Runtime was built with, best first; empty without one."""
    try:
        import onnxruntime
    except ImportError:
        return ()
    return tuple(onnxruntime.get_available_providers())


def fault(placement: Placement) -> str | None:
    """Why a session of the installed ONNX Runtime cannot have the placement's provider, found in another process; None if it can."""
    command = [sys.executable, "-m", "edge.backends.attempt", placement.provider]
    try:
        done = subprocess.run(
            command, cwd=HOME, capture_output=True, text=True, errors="replace", check=False, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {TIMEOUT_S} s"
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return f"the process that tried it ended with {done.returncode}: {last}"
    return done.stdout.strip() or None


def attempt(ort: Any, provider: Provider) -> str | None:
    """Why a session of ``ort`` cannot have ``provider``; None if it can."""
    name = providers.EXECUTION_PROVIDERS[provider]
    if name not in ort.get_available_providers():
        return f"the installed onnxruntime has no {name}"
    options = {"trt_min_subgraph_size": 1000} if name == providers.TENSORRT else {}
    try:
        following: list[tuple[str, dict[str, Any]]] = [] if name == providers.CPU else [(providers.CPU, {})]
        session = ort.InferenceSession(_IDENTITY, providers=[(name, options), *following], enable_fallback=0)
        providers.check_there(ort, name, session.get_providers())
    except ProviderError as error:
        return str(error)
    except (RuntimeError, ValueError) as error:
        return providers.fault_words(ort, name, error)
    return None


def main(argv: list[str]) -> int:
    """Entry point of the child process."""
    import onnxruntime

    print(attempt(onnxruntime, cast(Provider, argv[0])) or "")  # noqa: T201 - to the process that asked
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
