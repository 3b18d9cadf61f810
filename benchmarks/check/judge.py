"""The decision of ``shelfcam bench check``: which records are slower than the baseline's, beyond the noise of both runs. Pure.

The rules and why they are these: docs/adr/0020-weight-and-latency.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.check.moderate import moderated
from benchmarks.measure import peak
from benchmarks.record.facts import picture_sides
from benchmarks.record.rounds import Change, change_between_runs, round_ms
from benchmarks.record.schema import PEAK, Missing, Record, record_id

ALPHA = 0.01
"""Probability that a comparison of a machine with itself calls anything changed, over all records together."""
FLOOR = 0.02
"""A change below this share is not called one, however sure: two starts of the same program differ by as much (memory layout)."""
BLIND = 0.25
"""A record whose rounds would not have shown a slowdown of this share is not called the same: nobody looked."""
ONE_START = ("latency-sustained",)
"""Benches whose rounds are stretches of one process. Two starts differ by FLOOR or so; within one start there is nothing of that to be
seen, and its scatter would make every difference sure."""
TOGETHER = "all together"

Verdict = Literal["slower", "faster", "same", "cannot tell", "lost", "new", "not measured", "not judged", "too few rounds"]


@dataclass(frozen=True, slots=True)
class RecordVerdict:
    """One record, or all of them together. ``change``: result ÷ baseline, null where there is nothing to compare; ``detectable``: the
    slowdown, as a share, that these rounds would have shown."""

    name: str
    verdict: Verdict
    change: Change | None = None
    detectable: float | None = None
    note: str = ""


def judge(result: Sequence[Record], baseline: Sequence[Record], missing: Sequence[Missing] = ()) -> list[RecordVerdict]:
    """Hold every record against the baseline's of the same name.

    A record is *slower* if its ratio is at least 1 + FLOOR, the bootstrap interval lies above 1, and the rounds' scatter explains it
    with so small a probability that ALPHA holds for all records together (Holm, 1979). *Faster* is the same the other way. A change
    of all records at once is looked for too, in the mean of each round, which sees what is too small to be seen in one: half of
    ALPHA is spent on it. The scatter of one record is learnt from all (``benchmarks.check.moderate``). Where a slowdown by BLIND would not
    have been seen, the verdict is *cannot tell* instead of *same*. Records of ONE_START are shown and *not judged*. Peaks are matched by
    runtime, numbers and threads, whatever shape was the best, and compared by multiply-accumulate. *Lost* is what the
    baseline has and the result tells as missing; *not measured* what it does not mention.

    Args:
        result: the new records, of a machine that may be compared with the baseline's.
        baseline: the old ones.
        missing: what the new run could not measure.

    Returns:
        A row a record, in the baseline's order, new ones after them; first "all together" where there are several.
    """
    now, then = ({name_of(r): r for r in records} for records in (result, baseline))
    changes = {name: change_between_runs(_times(now[name]), _times(old)) for name, old in then.items() if name in now}
    raw = {name: change for name, change in changes.items() if change is not None and then[name].bench not in ONE_START}
    compared = dict(zip(raw, moderated(list(raw.values())), strict=True))
    rows = []
    share = ALPHA
    if len(compared) > 1:
        share = ALPHA / 2
        rows += _together([(now[name], then[name]) for name in compared], share)
    sure = _holm({name: change.p for name, change in compared.items()}, share)
    for name, old in then.items():
        if (change := compared.get(name)) is None:
            rows.append(_uncompared(name, now.get(name), old, changes.get(name), missing))
        else:
            seen = change.detectable(share / len(compared))
            rows.append(_judged(name, change, seen, sure=name in sure, note=_other_bundle(now[name], old)))
    return rows + [RecordVerdict(name, "new") for name in now if name not in then]


def name_of(record: Record) -> str:
    """By which a record is matched with the baseline's: ``record_id``, of a peak ``peak_name``."""
    return peak.peak_name(record) if record.bench == PEAK else record_id(record)


def regressions(rows: Sequence[RecordVerdict]) -> list[RecordVerdict]:
    """What makes a check fail."""
    return [row for row in rows if row.verdict in ("slower", "lost")]


def blind(rows: Sequence[RecordVerdict]) -> list[RecordVerdict]:
    """Records of which a slowdown by BLIND would not have been seen."""
    return [row for row in rows if row.verdict in ("cannot tell", "too few rounds") and row.name != TOGETHER]


def saw_nothing(rows: Sequence[RecordVerdict]) -> bool:
    """Whether no record at all was held against the baseline in a way that could have shown a slowdown by BLIND."""
    return not any(row.verdict in ("slower", "faster", "same") for row in rows)


def _times(record: Record) -> list[float]:
    return peak.ms_per_gmac(record) if record.bench == PEAK else round_ms(record.rounds)


def _uncompared(name: str, new: Record | None, old: Record, change: Change | None, missing: Sequence[Missing]) -> RecordVerdict:
    if new is not None and old.bench in ONE_START:
        return RecordVerdict(
            name, "not judged", change, note="its rounds are of one start, and how much starts differ is not known from one"
        )
    if new is not None:
        return RecordVerdict(name, "too few rounds", note=f"{len(old.rounds)} then, {len(new.rounds)} now")
    reason = next((m.reason for m in missing if m.name in _names(old)), None)
    return RecordVerdict(name, "not measured") if reason is None else RecordVerdict(name, "lost", note=reason)


def _other_bundle(new: Record, old: Record) -> str:
    return "" if new.model.bundle == old.model.bundle else f"another bundle: {old.model.bundle} then, {new.model.bundle} now"


def _judged(name: str, change: Change, seen: float, *, sure: bool, note: str = "") -> RecordVerdict:
    verdict: Verdict = "same" if seen <= BLIND else "cannot tell"
    if sure and change.low > 1 and change.value >= 1 + FLOOR:
        verdict = "slower"
    elif sure and change.high < 1 and change.value <= 1 / (1 + FLOOR):
        verdict = "faster"
    return RecordVerdict(name, verdict, change, seen, note)


def _together(pairs: Sequence[tuple[Record, Record]], alpha: float) -> list[RecordVerdict]:
    """Of the geometric mean over the records, round by round."""
    series = [[_times(record) for record in side] for side in zip(*pairs, strict=True)]
    count = min(len(times) for side in series for times in side)
    ours, theirs = ([math.exp(sum(math.log(times[k]) for times in side) / len(side)) for k in range(count)] for side in series)
    change = change_between_runs(ours, theirs)
    if change is None:
        return []
    return [_judged(TOGETHER, change, change.detectable(alpha), sure=change.p <= alpha)]


def _holm(probabilities: dict[str, float], alpha: float) -> set[str]:
    """Names that stay significant at ``alpha`` over all together: S. Holm, A simple sequentially rejective multiple test
    procedure (1979)."""
    kept: set[str] = set()
    for place, name in enumerate(sorted(probabilities, key=lambda name: probabilities[name])):
        if probabilities[name] > alpha / (len(probabilities) - place):
            break
        kept.add(name)
    return kept


def _names(record: Record) -> set[str]:
    """By which a report may call a record that it lacks: the network (with "@side" where it was asked for at another size), with the
    candidate, with the threads; of one bundle the bench in the network's place; a peak as its shapes are called."""
    model = record.model
    if record.bench == PEAK:
        return peak.lost_names(record)
    network, side = model.network or model.model, max(picture_sides(model.input), default=0)
    names = {record_id(record), f"{record.bench}/{model.candidate}/{record.runtime.threads}t"}
    for name in (network, f"{network}@{side}"):
        names |= {name, f"{name}/{model.candidate}", f"{name}/{model.candidate}/{record.runtime.threads}t"}
    return names
