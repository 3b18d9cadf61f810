"""Bundles that a stranger changed and then made to fit their own manifest again: sizes and hashes are right, the content is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def change(bundle: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Rewrite the manifest."""
    data = json.loads((bundle / "manifest.json").read_text())
    edit(data)
    (bundle / "manifest.json").write_text(json.dumps(data))
    return bundle


def put(bundle: Path, file: str, content: bytes) -> Path:
    """Replace a file of the bundle, and its size and hash wherever the manifest names it."""
    (bundle / file).write_bytes(content)

    def fit(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("file") == file:
                value |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for inner in value.values():
                fit(inner)
        elif isinstance(value, list):
            for inner in value:
                fit(inner)

    return change(bundle, fit)
