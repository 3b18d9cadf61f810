"""Where baselines lie."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.check.baseline import default_path, slug
from tests.fakes.zoo_reports import NETS, zoo_report

FEW = {"candidates": ("onnx-int8",), "nets": NETS[4:10]}


def test_each_board_has_its_own_baseline() -> None:
    assert slug("Raspberry Pi 5 Model B Rev 1.0") == "raspberry-pi-5-model-b-rev-1-0"
    assert slug("???") == "unknown"
    path = default_path(zoo_report(**FEW), name="x")
    assert path == Path("baselines/raspberry-pi-5-model-b-rev-1-0.json"), "where the user works"
    nameless = zoo_report(**FEW)
    hosts = [
        msgspec.structs.replace(r, host=msgspec.structs.replace(r.host, board="unknown", cpu="AMD EPYC"))
        for r in nameless.records
    ]
    assert default_path(msgspec.structs.replace(nameless, records=tuple(hosts)), name="x").name == "amd-epyc.json"
