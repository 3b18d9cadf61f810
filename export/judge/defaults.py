"""What a candidate must reach by default to be written into a bundle and later to run on a device, and how much is done for one that
fails. Apart, so that the command line need not load what judges and repairs."""

from __future__ import annotations

from typing import Literal

from edge.manifest import Gate

Strategy = Literal["fast", "balanced", "thorough"]
DEFAULT_STRATEGY: Strategy = "balanced"
"""Of the repair."""

LOGIT_COSINE_MIN = 0.98
"""EfficientNet-Lite0, 100 pictures: all candidates of ``export.candidates`` reach .995 on photos, on crops of photos and on drawn scenes,
on CPUs with VNNI and without. What must not pass: 8-bit weights in sums that saturate (.90–.96 on x86 without VNNI), symmetric
activations in such sums (.66), weights rounded to 7 bits one by one (.97–.98)."""

TOP1_AGREEMENT_MIN = 0.80
"""The same candidates reach .92–1.0 on photos and .86–.98 on drawn scenes, where the float network itself is unsure. What must not pass:
sums that saturate .67–.83, symmetric activations in them .44, ranges that a moving average clipped .74. Over 64 pictures a share of
.90 comes out below .80 once in a hundred times: closer would refuse good bundles."""

ACCURACY_DROP_MAX = 0.01
"""One point of top-1, where labels are known."""

ACCURACY_SHARE_MIN = 0.98
"""At least this share of the float network's accuracy, MLPerf Tiny's and Mobile's rule for quantized image classification
(https://github.com/mlcommons/mobile_app_open/blob/master/docs/submission-guide.md); stricter than a point below 50 % accuracy."""

DEFAULT_GATE = Gate(
    logit_cosine_min=LOGIT_COSINE_MIN,
    top1_agreement_min=TOP1_AGREEMENT_MIN,
    accuracy_drop_max=ACCURACY_DROP_MAX,
    accuracy_share_min=ACCURACY_SHARE_MIN,
)
"""As asked for; ``export.judge.verdict.settle`` works out what it means for one network and its pictures."""
