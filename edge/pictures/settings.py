"""What a config says of pictures: ``[pictures]``. Without the table none is ever stored."""

from __future__ import annotations

from typing import Annotated

import msgspec

from edge.bundle.manifest import Strict

DIRECTORY = "pictures"
"""Within the camera's state directory, unless ``dir`` says otherwise."""


class PicturesConfig(Strict, frozen=True, kw_only=True):
    """Pictures of a slot before and after an event. ``max_mb``: of all of this camera's, in 1,000,000 bytes; the oldest go first.
    ``max_age_days``: older ones go. ``max_side_px``: larger crops are made so small; ``quality``: of the JPEGs. ``dir`` null: "pictures" in
    the camera's state directory."""

    max_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 64
    max_age_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 7
    max_side_px: Annotated[int, msgspec.Meta(ge=16, le=1_024)] = 320
    quality: Annotated[int, msgspec.Meta(ge=1, le=100)] = 85
    dir: str | None = None
