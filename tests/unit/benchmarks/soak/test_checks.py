"""The verdict of a soak: each kind of loss, invention and leak is reported, and a good soak is not accused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.record.schema import Check
from benchmarks.soak.checks import DoneFault, Gathered, Truth, compare, deliver, grow, skipped_numbers, soak_checks
from benchmarks.soak.service import SoakSample
from edge.scene.script import Action, Script

SCRIPT = Script(
    {"A": "milk", "B": None}, (Action(10, "take", "A"), Action(20, "restock", "B", "tea"), Action(30, "restock", "A", "x")), 60
)
STORED = [{"id": f"c-{number:012d}", "n": number} for number in range(1, 6)]


def samples(until_s: float = 60.0, *, grows: float = 0.0, pid: int = 7, from_s: float = 0.0) -> list[SoakSample]:
    """Looks twice a second at a process that sees five frames each time."""
    count = int((until_s - from_s) * 2)
    return [
        SoakSample(from_s + i / 2, pid, 5 * i, int(100e6 * (1 + grows * i / count)), 9 + int(10 * grows * i / count), 20)
        for i in range(count)
    ]


def reported(at_s: float, slot: str, type_: str) -> tuple[float, dict]:
    return at_s, {"slot": slot, "type": type_, "after": None if type_ in ("taken", "empty") else "p"}


RIGHT = [
    reported(0.9, "B", "empty"),
    reported(11.2, "A", "taken"),
    reported(21.3, "B", "replaced"),
    reported(31.1, "A", "unknown"),
]


def seen(*events: tuple[float, dict], looks: list[SoakSample] | None = None) -> Gathered:
    return Gathered("c", STORED, {"s": list(STORED)}, samples() if looks is None else looks, [], 1, list(events))


def truth(*events: tuple[float, dict], looks: list[SoakSample] | None = None, faults: tuple[DoneFault, ...] = ()) -> Truth:
    return compare(SCRIPT, seen(*events, looks=looks), faults, 0.8)


def test_what_is_right_is_right() -> None:
    found = truth(*RIGHT)
    assert (found.changes, found.due, found.reported) == (3, 3, 4)
    assert (found.missed, found.invented) == ((), ())


def test_a_change_that_is_not_told_while_the_camera_saw_is_missed() -> None:
    assert truth(*RIGHT[:2], RIGHT[3]).missed == ("20.0 s: B filled",)
    late = [*RIGHT[:2], reported(24.0, "B", "replaced"), RIGHT[3]]
    assert truth(*late).missed == ("20.0 s: B filled",), "too late"


def test_what_happens_while_the_camera_does_not_see_need_not_be_told() -> None:
    restarted = [*samples(18), *samples(60, pid=8, from_s=22)]
    found = truth(*RIGHT[:2], reported(25.0, "B", "replaced"), RIGHT[3], looks=restarted)
    assert (found.due, found.missed, found.invented) == (2, (), ())
    frozen = [replace(s, frames=90) if 18 < s.time_s < 22 else s for s in samples()]
    assert truth(*RIGHT[:2], RIGHT[3], looks=frozen).due == 2
    stalls = DoneFault(kind="stream_stalls", begun_s=18, ended_s=22, back_s=2.0)
    assert truth(*RIGHT[:2], RIGHT[3], faults=(stalls,)).missed == ()


@pytest.mark.parametrize(
    "lie",
    [
        reported(15.0, "A", "taken"),
        reported(15.0, "A", "replaced"),
        reported(40.0, "B", "empty"),
        reported(50.0, "B", "replaced"),
        reported(5.0, "A", "taken"),
    ],
)
def test_what_is_not_so_is_invented(lie: tuple[float, dict]) -> None:
    assert len(truth(*sorted([*RIGHT, lie], key=lambda one: one[0])).invented) >= 1


def test_deliveries_beside_the_outbox() -> None:
    def of(events: list[dict]) -> dict[str, int]:
        (one,) = deliver(Gathered("c", STORED, {"s": events}, [], [], 1))
        return {
            name: value for name in ("lost", "invented", "doubled", "changed", "out_of_order") if (value := getattr(one, name))
        }

    assert of(list(STORED)) == {}
    assert of(STORED[:4]) == {"lost": 1}
    assert of([*STORED, {"id": "c-000000000009", "n": 9}]) == {"invented": 1}
    assert of([*STORED, STORED[1]]) == {"doubled": 1}
    assert of([*STORED, STORED[1] | {"n": 77}]) == {"doubled": 1, "changed": 1}
    assert of([*STORED[:4], STORED[4] | {"n": 77}]) == {"changed": 1}
    assert of([STORED[1], STORED[0], *STORED[2:]]) == {"out_of_order": 2}
    assert of([]) == {"lost": 5}


def test_what_the_outbox_has_given_up_by_age_is_not_called_invented() -> None:
    (one,) = deliver(Gathered("c", STORED[2:], {"s": STORED}, [], [], 1))
    assert (one.lost, one.invented, one.events) == (0, 0, 3)


def test_a_number_that_is_missing_in_the_outbox_is_told() -> None:
    assert skipped_numbers(STORED) == 0
    assert skipped_numbers([*STORED[:2], *STORED[3:]]) == 1
    assert skipped_numbers([]) == 0


def failed(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if check.holds is False}


def verdict(*, growth: float = 0.0, good: Truth | None = None, faults: tuple[DoneFault, ...] = (), **more: int) -> list[Check]:
    found = grow("c", samples(200, grows=growth))
    return soak_checks(
        deliver(seen()), good or truth(*RIGHT), {"c": found}, faults, **({"skipped": 0, "ended_for_good": 0} | more)
    )


def test_a_good_soak_holds_and_each_fault_of_it_is_told() -> None:
    assert all(check.holds for check in verdict())
    assert failed(verdict(growth=0.6)) == {"c: resident memory", "c: threads"}
    assert failed(verdict(good=truth(*RIGHT[:3]))) == {"changes seen and not reported"}
    assert failed(verdict(good=truth(*RIGHT, reported(50.0, "B", "empty")))) == {"reported and not so"}
    never = DoneFault(kind="kill", begun_s=1, ended_s=1, back_s=None)
    assert failed(verdict(faults=(never,))) == {"not back within 90 s"}
    assert failed(verdict(skipped=1, ended_for_good=1)) == {
        "numbers missing in the outbox",
        "ends that systemd would not restart",
    }


def test_what_could_not_be_measured_is_not_called_good() -> None:
    assert grow("c", samples(60)) is None
    checks = soak_checks([], truth(looks=[]), {"c": None}, [], skipped=0, ended_for_good=0)
    unknown = {check.name for check in checks if check.holds is None}
    assert unknown == {"changes seen and not reported", "c: resident memory", "c: threads", "c: descriptors"}


def test_growth_is_of_one_process_after_its_warm_up() -> None:
    looks = [*samples(60, grows=0.5), *samples(300, pid=8, from_s=60)]
    found = grow("c", looks)
    assert found is not None
    assert found.resident_mb == (100.0, 100.0)
    assert 215 < found.seconds < 225


def test_a_connection_that_is_away_early_is_no_leak_and_descriptors_that_stay_behind_are() -> None:
    def checked(descriptors: Callable[[float], int]) -> set[str]:
        looks = [replace(look, descriptors=descriptors(look.time_s)) for look in samples(220)]
        return failed(soak_checks([], truth(*RIGHT), {"c": grow("c", looks)}, [], skipped=0, ended_for_good=0))

    assert checked(lambda s: 17 if 25 < s < 60 or 70 < s < 100 else 20) == set()
    assert checked(lambda s: 20 + 2 * int(s / 50)) == {"c: descriptors"}
    assert checked(lambda s: 20 + 2 * int(s / 50) - 3 * (s % 50 < 20)) == {"c: descriptors"}
