"""``python sizes.py``: every distribution of this environment with its version and the bytes of its files, as one JSON object.

Bytes are those of the files that the distribution's RECORD lists and that are there, compiled modules among them.
"""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path


def sizes() -> dict[str, dict[str, object]]:
    """By name, in lower case with dashes (PEP 503)."""
    found: dict[str, dict[str, object]] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        places = [Path(entry.locate()) for entry in distribution.files or ()]
        total = sum(place.stat().st_size for place in places if place.is_file())
        found.setdefault(name.lower().replace("_", "-"), {"version": distribution.version, "bytes": total})
    return found


if __name__ == "__main__":
    print(json.dumps(sizes()))  # noqa: T201 - to the process that asked
