"""The runtimes that a manifest may name for a file of a format, and which of their options a bundle may set, to what: a closed table.

Another runtime, also one for a format that has one already, is a module with a ``Runtime`` (``edge.backends.base``), a line here, and a
line in the contract suite. The table stands below the backends because a manifest is held against it before anything of it is used; it
names their modules as text, so that reading a bundle imports none. A manifest chooses among the lines and nothing else.

Of the options those are listed that are allowed, because a runtime takes keys that nobody looks for: among ONNX Runtime's are files to
write (``session.collect_node_memory_stats_to_file``, ``session.optimized_model_filepath``), folders to load weights from and libraries
to run. Those here change only how numbers are calculated. Where a model runs, on how many threads, with which delegate and cache is the
site's business (``edge.backends.base.Placement``): no bundle has a say in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.errors import BundleError
from edge.manifest import Candidate, Format, RuntimeKey

_SWITCH = ("0", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeEntry:
    """``backend``: ``module:name`` of the ``edge.backends.base.Runtime``, imported when a candidate needs it. ``options``: key → values
    that a bundle may set, as they are written: no other case, no spaces."""

    backend: str
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


RUNTIMES: dict[RuntimeKey, RuntimeEntry] = {
    ("onnx", "onnxruntime"): RuntimeEntry(
        backend="edge.backends.ort:RUNTIME",
        options={
            "session.x64quantprecision": _SWITCH,  # 8-bit sums that cannot overflow on CPUs without VNNI
            "session.set_denormal_as_zero": _SWITCH,
            "session.qdqisint8allowed": _SWITCH,
            "session.enable_quant_qdq_cleanup": _SWITCH,
            "session.disable_quant_qdq": _SWITCH,
            "session.disable_double_qdq_remover": _SWITCH,
            "optimization.enable_gelu_approximation": _SWITCH,
        },
    ),
    ("tflite", "tflite"): RuntimeEntry(backend="edge.backends.tflite:RUNTIME"),
}
"""The first line of a format is its usual runtime: the one that our own exports ask for."""


def usual_runtime(file_format: Format) -> str:
    """What ``requires.runtime`` says where nobody asks for another."""
    return next(runtime for known, runtime in RUNTIMES if known == file_format)


def runtime_entry(candidate: Candidate, where: str) -> RuntimeEntry:
    """The line that a candidate asks for. ``where`` names file and candidate in errors. Raises BundleError if there is none."""
    entry = RUNTIMES.get(candidate.runtime_key)
    if entry is None:
        known = ", ".join(runtime for file_format, runtime in RUNTIMES if file_format == candidate.format)
        raise BundleError(
            f"{where}: requires.runtime {candidate.requires.runtime!r} does not run the format {candidate.format!r}",
            fix=f"known: {known}",
        )
    return entry


def check_runtime(candidate: Candidate, where: str) -> None:
    """As ``runtime_entry``. Raises BundleError also for an option, or a value of one, that the line does not allow."""
    allowed = runtime_entry(candidate, where).options
    for key, value in candidate.runtime_options.items():
        if key not in allowed:
            keys = ", ".join(allowed) or "none"
            raise BundleError(f"{where}.runtime_options: {_shown(key)} may not be set by a bundle", fix=f"allowed: {keys}")
        if value not in allowed[key]:
            raise BundleError(f"{where}.runtime_options: {key} is {_shown(value)}", fix=f"allowed: {', '.join(allowed[key])}")


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:80]!r}… ({len(text):,} characters)"
