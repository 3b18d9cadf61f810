"""The directory that bench report writes: whole, safe, true to the records, and readable in a browser."""

from __future__ import annotations

import base64
import csv
import json
import shutil
import subprocess
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the plots")


from benchmarks.record.schema import Report, percentiles_of
from benchmarks.report.write import write_report
from edge.errors import DataError, SinkError
from tests.conftest import ROOT
from tests.fakes.pages import read_page
from tests.fakes.patience import patience_s
from tests.fakes.zoo_reports import NETS, board, make_record, zoo_report

HOSTILE = '<script>alert("1")</script> & $x_1$'
ARTIFACTS = ROOT / "out" / "artifacts"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    report = zoo_report()
    out = tmp_path_factory.mktemp("report") / "page"
    write_report(report, out, name="zoo.json")
    return report, out


def test_the_directory_is_whole_and_true_to_the_records(written: tuple[Report, Path]) -> None:
    report, out = written
    plots = {f"{key}-1t.png" for key in ("weight", "macs", "activations", "front")}
    assert {path.name for path in out.iterdir()} == {"index.html", "records.csv", "findings.json"} | plots
    measured = [r for r in report.records if r.bench != "peak"]
    with (out / "records.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(measured) == 4 * len(NETS)
    some = measured[17]
    row = rows[f"zoo/{some.model.model}/{some.model.candidate}/{some.model.input.split()[0]}/{some.runtime.name}/1t"]
    assert (float(row["p50_ms"]), int(row["bytes"]), int(row["macs"])) == (some.p50_ms, some.model.bytes, some.model.macs)
    assert row["accuracy"] == ""
    found = json.loads((out / "findings.json").read_bytes())
    assert len(found["points"]) == len(rows)
    assert {f["call"] for f in found["findings"] if f["scope"] == "overall"} == {"goes along"}
    assert found["missing"][0]["reason"] == report.missing[0].reason
    vgg = next(row for row in found["seed"] if row["network"] == "VGG-19")
    assert vgg["seed_mb"] == 549
    assert vgg["fp32_mb"] == pytest.approx(586.3, abs=0.1)
    assert len([row for row in found["seed"] if row["network"] == "MobileNet v1"]) == 4


def test_the_page_says_it_all_and_loads_nothing(written: tuple[Report, Path]) -> None:
    report, out = written
    page = read_page(out)
    assert {"script", "link", "iframe", "object", "form"} & set(page.tags) == set()
    assert len(page.addresses) == 4  # weight, multiply-accumulates, activations, front
    for address in page.addresses:
        png = base64.b64decode(address.removeprefix("data:image/png;base64,"))
        assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) is not None
    for words in (
        "Nowhere in these measurements does the number of weights decide speed.",
        "explain clearly more in",
        report.missing[0].reason,
        "Raspberry Pi 5 Model B Rev 1.0, Cortex-A76",
        "onnxruntime 1.32.0",
        "The front of size, latency and accuracy",
        "family mobilenetv2",
        "÷ peak: the share",
        "77.5%",
    ):
        assert words in page.shown
    assert "A quick measurement" not in page.shown


def test_hostile_names_stay_text_and_warnings_are_told(tmp_path: Path) -> None:
    report = zoo_report(candidates=("onnx-int8",), nets=NETS[4:12])
    first = report.records[0]
    facts = msgspec.structs.replace(first.model, network=HOSTILE, family=HOSTILE)
    first = msgspec.structs.replace(first, model=facts, simulated_device=HOSTILE)
    disturbed = msgspec.structs.replace(report.conditions, others_share=0.4)
    report = msgspec.structs.replace(report, records=(first, *report.records[1:]), quick=True, conditions=disturbed)
    write_report(report, tmp_path / "page", name=HOSTILE)
    page = read_page(tmp_path / "page")
    assert "script" not in page.tags
    assert page.shown.count(HOSTILE) >= 4
    assert "A quick measurement" in page.shown
    assert "The machine was busy" in page.shown
    assert "stood in for it" in page.shown


def test_little_data_makes_a_page_and_none_is_refused(tmp_path: Path) -> None:
    write_report(zoo_report(candidates=("tflite-int8",), nets=NETS[:2]), tmp_path / "page", name="few.json")
    assert "Too few networks" in read_page(tmp_path / "page").shown
    only_digits = zoo_report(candidates=("tflite-int8",), nets=NETS[:1])
    write_report(only_digits, tmp_path / "digits", name="digits.json")  # nothing to draw, and still a table
    assert "lenet" in read_page(tmp_path / "digits").shown
    empty = msgspec.structs.replace(zoo_report(candidates=("tflite-int8",), nets=NETS[:1]), records=())
    with pytest.raises(DataError, match=r"none\.json: holds no record"):
        write_report(empty, tmp_path / "none", name="none.json")
    with pytest.raises(SinkError, match="already exists"):
        write_report(only_digits, tmp_path / "digits", name="digits.json")


def test_a_browser_shows_the_page(written: tuple[Report, Path], tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    shot = ARTIFACTS / "bench-report.png"
    shot.unlink(missing_ok=True)
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}", "--window-size=1200,12000"]
    done = subprocess.run(
        [*command, (written[1] / "index.html").as_uri()], capture_output=True, text=True, check=False, timeout=patience_s()
    )
    assert done.returncode == 0, done.stderr
    picture = cv2.imread(str(shot))
    spread = picture.max(axis=2).astype(int) - picture.min(axis=2)
    assert (spread[600:6000] > 80).sum() > 2000  # the coloured marks, which only stand there if the plots' data was taken
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    cv2.imwrite(str(ARTIFACTS / "bench-report-grey.png"), grey)
    dark = (grey < 100).any(axis=1)
    assert dark[:600].any()  # the verdict
    assert np.flatnonzero(dark).max() > 8000  # the tables below the plots


def test_a_latency_report_shows_its_loop_its_stages_and_its_heat(tmp_path: Path) -> None:
    bare = make_record(NETS[4], "onnx-int8", 4.0, host=board(), bench="latency")
    bare = msgspec.structs.replace(bare, stages={"cold_start": percentiles_of([321.0])})
    loop = make_record(NETS[4], "onnx-int8", 5.0, host=board(), bench="latency-camera")
    loop = msgspec.structs.replace(
        loop,
        stages={"preprocess": percentiles_of([0.625])},
        thermal={"temperature_c_max": 71.5},
        energy_j={"SOC": 12.25},
        notes=("a note",),
    )
    report = msgspec.structs.replace(zoo_report(nets=NETS[:1]), bench="latency", records=(bare, loop), missing=())
    made = write_report(report, tmp_path / "page", name="latency.json")
    assert [record.bench for record in made.measured] == ["latency", "latency-camera"]
    assert made.missing == []
    page = (tmp_path / "page" / "index.html").read_text()
    section = page[page.index("Measured, not plotted") : page.index("All records")]
    for words in (
        "latency-camera",
        "preprocess",
        "0.62",
        "cold_start",
        "321.0",
        "temperature c max",
        "71.5",
        "SOC, J",
        "12.25",
        "a note",
    ):
        assert words in section, words


def test_a_zoos_page_has_no_such_section(tmp_path: Path) -> None:
    write_report(zoo_report(candidates=("onnx-int8",), nets=NETS[4:6]), tmp_path / "page", name="zoo.json")
    assert "Measured, not plotted" not in (tmp_path / "page" / "index.html").read_text()
