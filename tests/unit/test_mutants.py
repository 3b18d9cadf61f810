"""The table of ``make mutants`` is whole, and tests stand where their modules do."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from tests.conftest import ROOT
from tests.mutants import PROTOCOLS, TESTS, modules


def test_every_module_that_is_made_faulty_has_tests_and_no_other_is_named() -> None:
    assert set(TESTS) == set(modules())
    assert all((ROOT / path).exists() for path in PROTOCOLS)


@pytest.mark.parametrize("module", TESTS)
def test_the_tests_of_a_module_stand_where_it_does(module: str) -> None:
    path = PurePosixPath(module)
    package = path.parent.relative_to("edge") if path.parts[0] == "edge" else path.parent
    name = "registry" if path.stem == "__init__" else path.stem
    assert str(PurePosixPath("tests/unit", package, f"test_{name}.py")) in TESTS[module]
    assert all((ROOT / test).exists() for test in TESTS[module])
