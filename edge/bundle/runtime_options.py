"""Which options of an inference runtime a bundle may set, and to what.

A list of what is allowed, because a runtime takes keys that nobody looks for: among ONNX Runtime's are files to write
(``session.collect_node_memory_stats_to_file``, ``session.optimized_model_filepath``), folders to load weights from and libraries to run.
Those here change only how numbers are calculated. Where a model runs, on how many threads, with which delegate and cache is the site's
business (``edge.backends.base.Placement``): no bundle has a say in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.bundle.manifest import Format
from edge.errors import BundleError

_SWITCH = ("0", "1")

ALLOWED: Mapping[Format, Mapping[str, tuple[str, ...]]] = {
    "onnx": {
        "session.x64quantprecision": _SWITCH,  # 8-bit sums that cannot overflow on CPUs without VNNI
        "session.set_denormal_as_zero": _SWITCH,
        "session.qdqisint8allowed": _SWITCH,
        "session.enable_quant_qdq_cleanup": _SWITCH,
        "session.disable_quant_qdq": _SWITCH,
        "session.disable_double_qdq_remover": _SWITCH,
        "optimization.enable_gelu_approximation": _SWITCH,
    },
    "tflite": {},
}
"""Format → key → values, as they are written: no other case, no spaces."""


def check_runtime_options(options: Mapping[str, str], file_format: Format, where: str) -> None:
    """``where`` names file and candidate in errors. Raises BundleError for a key or a value that is not in ``ALLOWED``."""
    allowed = ALLOWED[file_format]
    for key, value in options.items():
        if key not in allowed:
            keys = ", ".join(allowed) or "none"
            raise BundleError(f"{where}.runtime_options: {_shown(key)} may not be set by a bundle", fix=f"allowed: {keys}")
        if value not in allowed[key]:
            raise BundleError(f"{where}.runtime_options: {key} is {_shown(value)}", fix=f"allowed: {', '.join(allowed[key])}")


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 80 else f"{text[:80]!r}… ({len(text):,} characters)"
