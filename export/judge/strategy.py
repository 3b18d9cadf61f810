"""How much an export does for a candidate that fails; apart, so that the command line need not load the repair."""

from __future__ import annotations

from typing import Literal

Strategy = Literal["fast", "balanced", "thorough"]
DEFAULT_STRATEGY: Strategy = "balanced"
