"""How large a bundle and its parts may be. Sizes that a manifest or a zip declares are held against these before anything is read."""

from __future__ import annotations

from dataclasses import dataclass

MANIFEST_MAX_BYTES = 4_000_000
MAX_FILES = 1_000
"""Files that a manifest may name; a candidate has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleLimits:
    """In bytes. ``total``: all files of the bundle, unpacked. ``model``: one model file. ``golden``: one golden set, as the archive and
    inflated. ``labels``: one labels file."""

    total: int
    model: int
    golden: int
    labels: int = 4_000_000


CAMERA = BundleLimits(total=256_000_000, model=128_000_000, golden=128_000_000)
"""What a camera takes, whatever it is given. An export puts at most 20 MB into a model file unless it is told otherwise; 128 MB hold the
float weights of a ResNet-50, and 850 golden pictures of 224×224 pixels."""

WORKSTATION = BundleLimits(total=2_000_000_000, model=1_000_000_000, golden=1_000_000_000)
"""For bundles of one's own on a workstation, such as a benchmark's VGG-19 in float. No camera loads them."""
