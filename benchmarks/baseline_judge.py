"""The decision of ``shelfcam bench check``: which records are slower than the baseline's, beyond the noise of both runs. Pure.

The rules and why they are these: docs/adr/0020-weight-and-latency.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.report.points import picture_sides
from benchmarks.rounds import Change, change_of, round_ms
from benchmarks.spec import Missing, Record, record_id

ALPHA = 0.01
"""Probability that a comparison of a machine with itself calls anything changed, over all records together."""
FLOOR = 0.02
"""A change below this share is not called one, however sure: two starts of the same program differ by as much (memory layout)."""
TOGETHER = "all together"

Verdict = Literal["slower", "faster", "same", "lost", "new", "not measured", "too few rounds"]


@dataclass(frozen=True, slots=True)
class Judged:
    """One record, or all of them together. ``change``: result ÷ baseline, null where there is nothing to compare; ``detectable``: the
    slowdown, as a share, that these rounds would have shown."""

    name: str
    verdict: Verdict
    change: Change | None = None
    detectable: float | None = None
    note: str = ""


def judge(result: Sequence[Record], baseline: Sequence[Record], missing: Sequence[Missing] = ()) -> list[Judged]:
    """Hold every record against the baseline's of the same name.

    A record is *slower* if its ratio is at least 1 + FLOOR, the bootstrap interval lies above 1, and the rounds' scatter explains it
    with so small a probability that ALPHA holds for all records together (Holm, 1979). *Faster* is the same the other way. A change
    of all records at once is looked for too, in the mean of each round, which sees what is too small to be seen in one: half of
    ALPHA is spent on it. *Lost* is what the baseline has and the result tells as missing; *not measured* what it does not mention.

    Args:
        result: the new records, of a machine that may be compared with the baseline's.
        baseline: the old ones.
        missing: what the new run could not measure.

    Returns:
        A row a record, in the baseline's order, new ones after them; first "all together" where there are several.
    """
    now, then = ({record_id(r): r for r in records} for records in (result, baseline))
    changes = {name: change_of(round_ms(now[name].rounds), round_ms(old.rounds)) for name, old in then.items() if name in now}
    compared = {name: change for name, change in changes.items() if change is not None}
    rows = []
    share = ALPHA
    if len(compared) > 1:
        share = ALPHA / 2
        rows += _together([(now[name], then[name]) for name in compared], share)
    sure = _holm({name: change.p for name, change in compared.items()}, share)
    for name, old in then.items():
        if (change := compared.get(name)) is None:
            rows.append(_uncompared(name, now.get(name), old, missing))
        else:
            seen = change.detectable(share / len(compared))
            note = _other_bundle(now[name], old)
            rows.append(Judged(name, _verdict(change, sure=name in sure), change, seen, note))
    return rows + [Judged(name, "new") for name in now if name not in then]


def regressions(rows: Sequence[Judged]) -> list[Judged]:
    """What makes a check fail."""
    return [row for row in rows if row.verdict in ("slower", "lost")]


def _uncompared(name: str, new: Record | None, old: Record, missing: Sequence[Missing]) -> Judged:
    if new is not None:
        return Judged(name, "too few rounds", note=f"{len(old.rounds)} then, {len(new.rounds)} now")
    reason = next((m.reason for m in missing if m.name in _names(old)), None)
    return Judged(name, "not measured") if reason is None else Judged(name, "lost", note=reason)


def _other_bundle(new: Record, old: Record) -> str:
    return "" if new.model.bundle == old.model.bundle else f"another bundle: {old.model.bundle} then, {new.model.bundle} now"


def _verdict(change: Change, *, sure: bool) -> Verdict:
    if sure and change.low > 1 and change.value >= 1 + FLOOR:
        return "slower"
    return "faster" if sure and change.high < 1 and change.value <= 1 / (1 + FLOOR) else "same"


def _together(pairs: Sequence[tuple[Record, Record]], alpha: float) -> list[Judged]:
    """Of the geometric mean over the records, round by round."""
    series = [[round_ms(record.rounds) for record in side] for side in zip(*pairs, strict=True)]
    count = min(len(times) for side in series for times in side)
    ours, theirs = ([math.exp(sum(math.log(times[k]) for times in side) / len(side)) for k in range(count)] for side in series)
    change = change_of(ours, theirs)
    if change is None:
        return []
    return [Judged(TOGETHER, _verdict(change, sure=change.p <= alpha), change, change.detectable(alpha))]


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
    candidate, with the threads; of one bundle the bench in the network's place."""
    model = record.model
    network, side = model.network or model.model, max(picture_sides(model.input), default=0)
    names = {record_id(record), f"{record.bench}/{model.candidate}/{record.runtime.threads}t"}
    for name in (network, f"{network}@{side}"):
        names |= {name, f"{name}/{model.candidate}", f"{name}/{model.candidate}/{record.runtime.threads}t"}
    return names
