"""The measuring loop on a clock that only the query moves: what is planted is what is found, and measuring costs what is said."""

from __future__ import annotations

import random

import pytest

from benchmarks.measure.single_stream import CLOCK_READINGS, RunLength, single_stream, warm_up
from benchmarks.record.schema import percentiles_of


class PlannedQueries:
    """A clock, and queries that move it by the times of a plan, over and over."""

    def __init__(self, *plan_ns: int) -> None:
        self.plan_ns = plan_ns
        self.ns = 1_000
        self.readings = 0
        self.asked: list[int] = []

    def now(self) -> int:
        self.readings += 1
        return self.ns

    def query(self, index: int) -> None:
        self.asked.append(index)
        self.ns += self.plan_ns[index % len(self.plan_ns)]


def test_percentiles_of_a_known_distribution_are_exact() -> None:
    plan = [1_000_000 * value for value in range(1, 1002)]
    random.Random(1).shuffle(plan)
    fake = PlannedQueries(*plan)
    times = single_stream(fake.query, RunLength(1001, 0.0), fake.now)
    stage = percentiles_of(times)
    assert (stage.p50_ms, stage.p90_ms, stage.p99_ms, max(times), stage.laps) == (501.0, 901.0, 991.0, 1001.0, 1001)
    assert times == [value / 1e6 for value in plan], "in the order in which they were asked"


def test_one_spike_in_a_hundred_is_seen_in_p99_and_not_in_p50() -> None:
    fake = PlannedQueries(80_000_000, *[5_000_000] * 99)
    times = single_stream(fake.query, RunLength(1024, 0.0), fake.now)
    stage = percentiles_of(times)
    assert times.count(80.0) == 11  # of 1,024: the last 24 begin with one
    assert (stage.p50_ms, stage.p90_ms) == (5.0, 5.0)
    # the 0.99-quantile of 1,024 values stands 0.77 of the way from the last of 1,013 quick ones to the first slow one
    assert stage.p99_ms == pytest.approx(5.0 + 0.77 * 75.0)
    calm = PlannedQueries(5_000_000)
    assert percentiles_of(single_stream(calm.query, RunLength(1024, 0.0), calm.now)).p99_ms == 5.0


@pytest.mark.parametrize(("queries", "seconds", "asked"), [(10, 0.0, 10), (10, 0.05, 10), (10, 0.2, 40), (0, 0.0, 0)])
def test_it_goes_on_until_it_had_both(queries: int, seconds: float, asked: int) -> None:
    fake = PlannedQueries(5_000_000)
    assert len(single_stream(fake.query, RunLength(queries, seconds), fake.now)) == asked
    assert fake.asked == list(range(asked))


def test_warming_up_lasts_as_long_as_said_and_is_not_counted() -> None:
    slow, quick = PlannedQueries(1_000_000_000), PlannedQueries(1_000_000)
    length = RunLength(5, 0.0, warm_up_queries=3, warm_up_s=0.3)
    assert warm_up(slow.query, length, slow.now) == 3
    assert warm_up(quick.query, length, quick.now) == 300
    assert len(single_stream(quick.query, length, quick.now)) == 5


def test_measuring_a_query_costs_two_readings_of_the_clock() -> None:
    fake = PlannedQueries(5_000_000)
    single_stream(fake.query, RunLength(1000, 0.0), fake.now)
    assert fake.readings == CLOCK_READINGS * 1000 + 1
