"""Activation ranges from calibration pictures: what min-max, percentile, entropy and squared error each make of the same values.

Values stream through, picture by picture: first their least and greatest, then, for the methods that clip, a histogram between the
two. Memory does not grow with the number of pictures. Every range holds zero, because padding and ReLU must be exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from export.convert.options import Calibration

Values = Mapping[str, npt.NDArray[np.float32]]
"""Tensor name → its values for one picture."""
Run = Callable[[], Iterable[Values]]
"""Starts over from the first picture whenever it is called."""
Range = tuple[float, float]

PERCENTILES: dict[Calibration, float] = {"percentile": 99.99, "percentile-99.9": 99.9}
BINS = 2048
_LEVELS = 256
_MAX_VALUES = 200_000  # of one tensor and picture that a histogram counts: a quarter of a million neighbours tell little more
_FRACTIONS = np.linspace(1.0, 0.3, 36)  # of the full range that the searching methods try
_ENTROPY_FLOOR = 1e-9


@dataclass(frozen=True, slots=True)
class ValueHistogram:
    """``counts`` of values in equal bins between ``low`` (≤ 0) and ``high`` (≥ 0)."""

    low: float
    high: float
    counts: npt.NDArray[np.float64]

    def centres(self) -> npt.NDArray[np.float64]:
        """The middle of each bin."""
        width = (self.high - self.low) / len(self.counts)
        return np.asarray(self.low + width * (np.arange(len(self.counts)) + 0.5), dtype=np.float64)


def passes(method: Calibration) -> int:
    """How often ``ranges`` goes through the pictures."""
    return 1 if method == "min-max" else 2


def ranges(run: Run, method: Calibration) -> dict[str, Range]:
    """(low, high) of every tensor that ``run`` gives; low ≤ 0 ≤ high."""
    limits: dict[str, Range] = {}
    for values in run():
        for name, array in values.items():
            low, high = limits.get(name, (0.0, 0.0))
            limits[name] = (min(low, float(array.min())), max(high, float(array.max())))
    if method == "min-max":
        return limits
    counts = {name: np.zeros(BINS) for name in limits}
    for values in run():
        for name, array in values.items():
            counts[name] += _binned(array, *limits[name])
    return {name: clip(ValueHistogram(*limits[name], counts[name]), method) for name in limits}


def clip(histogram: ValueHistogram, method: Calibration) -> Range:
    """The range that ``method`` takes of a tensor whose values spread like that."""
    if method == "min-max" or histogram.high <= histogram.low or not histogram.counts.any():
        return histogram.low, histogram.high
    if method in PERCENTILES:
        return _percentile(histogram, PERCENTILES[method])
    return _least_error(histogram) if method == "mse" else _least_divergence(histogram)


def _binned(array: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.float64]:
    values = array.reshape(-1)
    values = values[:: max(1, -(-values.size // _MAX_VALUES))]
    if high <= low:
        return np.zeros(BINS)
    # in float64, for float32 cannot tell the edges of 2,048 bins between its smallest numbers apart
    return np.histogram(values.astype(np.float64), bins=BINS, range=(low, high))[0].astype(np.float64)


def _percentile(histogram: ValueHistogram, percent: float) -> Range:
    """Leaves half of the rest out on either side; a side that ends at zero loses nothing."""
    share = (100.0 - percent) / 200.0
    reached = np.cumsum(histogram.counts) / histogram.counts.sum()
    edges = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    low = edges[np.searchsorted(reached, share, side="right")]
    high = edges[np.searchsorted(reached, 1.0 - share, side="left") + 1]
    return min(0.0, float(low)), max(0.0, float(high))


def _least_error(histogram: ValueHistogram) -> Range:
    """The two ends, each tried at every fraction, with the least squared error: steps of s give s²/12 inside, and outside the
    distance to the end, squared."""
    x, n = histogram.centres(), _without_zeros(histogram)
    lows, highs = (_FRACTIONS * end if end else np.zeros(1) for end in (histogram.low, histogram.high))
    below = np.array([(n * np.clip(low - x, 0, None) ** 2).sum() for low in lows])
    above = np.array([(n * np.clip(x - high, 0, None) ** 2).sum() for high in highs])
    steps = (highs[None, :] - lows[:, None]) / (_LEVELS - 1)
    error = below[:, None] + above[None, :] + n.sum() * steps**2 / 12.0
    i, j = np.unravel_index(int(error.argmin()), error.shape)
    return float(lows[i]), float(highs[j])


def _least_divergence(histogram: ValueHistogram) -> Range:
    """Both ends shrunk together, as far as the values' distribution on 256 steps stays closest to their own: the rule of
    https://on-demand.gputechconf.com/gtc/2017/presentation/s7310-8-bit-inference-with-tensorrt.pdf."""
    x, n = histogram.centres(), _without_zeros(histogram)
    best, least = 1.0, np.inf
    for fraction in _FRACTIONS:
        inside = (x >= fraction * histogram.low) & (x <= fraction * histogram.high)
        if not n[inside].any():
            break
        divergence = _divergence(n, inside)
        if divergence < least:
            best, least = float(fraction), divergence
    return best * histogram.low, best * histogram.high


def _without_zeros(histogram: ValueHistogram) -> npt.NDArray[np.float64]:
    """Counts without the bin that holds zero: behind a ReLU it would outweigh all others, and zero is always exact."""
    counts = histogram.counts.copy()
    place = -histogram.low / (histogram.high - histogram.low) * len(counts)
    counts[min(len(counts) - 1, int(place))] = 0.0
    return np.asarray(counts, dtype=np.float64)


def _divergence(counts: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_]) -> float:
    """Kullback-Leibler, of the clipped values (the outer ones put on the edges) from what 256 steps keep of the inner ones."""
    kept = counts[inside]
    first, last = (int(i) for i in np.flatnonzero(inside)[[0, -1]])
    real = kept.copy()
    real[0] += counts[:first].sum()
    real[-1] += counts[last + 1 :].sum()
    step = np.minimum(np.arange(len(kept)) * _LEVELS // len(kept), _LEVELS - 1)
    full = kept > 0
    mass, bins = np.bincount(step, kept, _LEVELS), np.bincount(step, full, _LEVELS)
    coarse = np.where(full, (mass / np.maximum(bins, 1))[step], 0.0)
    p, q = real / real.sum(), coarse / coarse.sum()
    use = p > 0
    return float((p[use] * np.log(p[use] / np.maximum(q[use], _ENTROPY_FLOOR))).sum())
