"""The report's page: whole, safe, and saying what was measured."""

from __future__ import annotations

import base64
import shutil
import subprocess
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge.errors import SinkError
from edge.manifest import Quality

pytest.importorskip("onnx", reason="the models are made with onnx")
pytest.importorskip("matplotlib", reason="the plots")

from export.candidates import Draft, Plan
from export.inspect.description import Layer
from export.report import Latency, ReportContent, write_report
from export.report.figures import pair_sizes
from export.report.latency import measure_latency
from export.report.rows import candidate_rows, disagreements, float_accuracy
from tests.fakes.patience import patience_s
from tests.fakes.tiny import SIZE, colour_onnx, write_colour_bundle

HOSTILE = '<script>alert("1")</script> & $x_1$'


@dataclass(frozen=True)
class Error:
    layer: str
    sqnr_db: float
    own_sqnr_db: float
    macs: int = 9
    weight_elements: int = 9


class Page(HTMLParser):
    """Every tag, every address, and the text as a browser would show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.shown = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.shown += data


@pytest.fixture
def drafts(tmp_path: Path) -> list[Draft]:
    like = write_colour_bundle(tmp_path / "like").manifest.models[0].candidates[0]
    found = []
    for name, order, precision, share in (
        ("onnx-fp32", (0, 1, 2), "fp32", 0.0),
        (f"onnx-int8 {HOSTILE}", (0, 2, 1), "int8", 1.0),
    ):
        path = tmp_path / f"{precision}.onnx"
        path.write_bytes(colour_onnx(order))
        quality = Quality(
            answer="classify",
            images=6,
            source="held_out",
            logit_cosine=0.9,
            top1_agreement=4 / 6,
            runtime="onnxruntime",
            arithmetic="plain",
        )
        candidate = msgspec.structs.replace(like, precision=precision, int8_mac_share=share, quality=(quality,))
        found.append(Draft(Plan(name, "onnx", path.name), path, candidate, share == 0, f"top-1 agreement < 0.8 {HOSTILE}"))
    return found


@pytest.fixture
def content(drafts: list[Draft]) -> ReportContent:
    images = np.zeros((6, SIZE, SIZE, 3), dtype=np.uint8)
    for number in range(6):
        images[number, ..., number % 3] = 40 * number + 20
    float_logits = images.mean(axis=(1, 2)).astype(np.float32) / 50
    swapped = float_logits[:, [0, 2, 1]]
    return ReportContent(
        model=f"colours {HOSTILE}",
        command=f"shelfcam export {HOSTILE}",
        outcome=f"nothing written: {HOSTILE}",
        drafts=drafts,
        labels=("red", HOSTILE, "blue"),
        images=images,
        float_logits=float_logits,
        candidate_logits={drafts[0].plan.name: float_logits, drafts[1].plan.name: swapped},
        truth=np.array([0, 1, 2, 0, 1, 1]),
        sensitivity=[Error("fine", 40.0, 45.0), Error(f"worst {HOSTILE}", 3.0, 5.0)],
        latency={drafts[0].plan.name: Latency(1.25, 1.5), drafts[1].plan.name: Latency(None, None, "no runtime")},
        repairs={drafts[1].plan.name: ["percentile ranges", HOSTILE]},
        tools={"onnx": "1"},
    )


def test_the_page_is_whole_and_nothing_hostile_runs(content: ReportContent, tmp_path: Path) -> None:
    path = write_report(tmp_path / "report", content)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert {"link", "iframe", "object", "form"} & set(page.tags) == set()
    assert page.shown.count(HOSTILE) >= 8
    for address in page.addresses:
        assert address.startswith("data:image/png;base64,")
        png = base64.b64decode(address.partition(",")[2])
        assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) is not None
    beside = sorted(file.name for file in path.parent.iterdir())
    plots = ["quality-latency.png", "quality-size.png", "sensitivity.png", "sizes.png"]
    assert beside == ["index.html", *(f"picture-{n:04d}.png" for n in (1, 2, 4, 5)), *plots]
    assert len(page.addresses) == len(plots) + 4
    assert "default-src 'none'" in text


def test_the_table_says_what_was_measured(content: ReportContent, tmp_path: Path) -> None:
    fp32, int8 = candidate_rows(content)
    assert float_accuracy(content) == pytest.approx(5 / 6)
    assert fp32.accuracy == pytest.approx(5 / 6)
    assert int8.accuracy == pytest.approx(3 / 6)  # two reds, and the last one, that float gets wrong
    shown = Page(write_report(tmp_path / "report", content).read_text(encoding="utf-8")).shown
    for words in (
        "0.500 (-33.3 points)",
        "1.25",
        "cannot run here",
        "100.0%",
        "left out: top-1 agreement < 0.8",
        "percentile ranges",
    ):
        assert words in shown
    assert "4 of 6 pictures" in shown
    assert "hold photos from the held-out set" in shown


def test_repairs_come_from_the_recipe_where_nothing_else_is_said(content: ReportContent) -> None:
    from edge.manifest import Recipe

    recipe = Recipe(
        calibration="min-max",
        weight_bits=8,
        symmetric=False,
        per_channel=True,
        rounding=True,
        equalised=False,
        steps=("tried this",),
        saturates_on="none",
    )
    draft = content.drafts[0]
    told = replace(draft, candidate=msgspec.structs.replace(draft.candidate, recipe=recipe))
    assert candidate_rows(replace(content, drafts=[told]))[0].repairs == ("tried this",)


def test_the_surest_mistakes_come_first(content: ReportContent) -> None:
    found, total = disagreements(content, content.drafts[1].plan.name, most=2)
    assert total == 4
    assert [item.picture for item in found] == [5, 4]  # the brighter, the surer
    assert found[0].theirs[0][0] == "blue"
    assert found[0].ours[0][0] == HOSTILE
    assert found[0].truth == HOSTILE
    assert sum(score for _, score in found[0].theirs) == pytest.approx(1)


def test_a_report_of_little(content: ReportContent, tmp_path: Path) -> None:
    """Of an export that failed early: no answers, no sensitivity, no latency; and drawn pictures need no warning."""
    bare = replace(
        content, candidate_logits={}, truth=None, sensitivity=(), latency={}, repairs={}, tools={}, source="rendered"
    )
    shown = Page(write_report(tmp_path / "report", bare).read_text(encoding="utf-8")).shown
    assert "Latency was not measured." in shown
    assert "Not measured" in shown
    assert "no answers of an 8-bit candidate" in shown
    assert "hold photos" not in shown
    nothing = replace(content, drafts=[], labels=(), truth=None)
    assert "no classes" in Page(write_report(tmp_path / "none", nothing).read_text(encoding="utf-8")).shown


def test_an_earlier_report_stays_unless_told(content: ReportContent, tmp_path: Path) -> None:
    target = tmp_path / "report"
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(SinkError, match="already exists"):
        write_report(target, content)
    assert [file.name for file in target.iterdir()] == ["mine.txt"]
    with pytest.raises(SinkError, match=r"holds no index\.html"):
        write_report(target, content, replace=True)
    (target / "index.html").write_text("an earlier report")
    write_report(target, content, replace=True)
    assert not (target / "mine.txt").exists()
    assert (target / "index.html").exists()


def layer(name: str, macs: int, weight_bytes: int) -> Layer:
    return Layer(0, name, "Conv", (1,), weight_bytes, macs, macs > 0, None, None, None, None, None, None, None)


def test_layers_are_paired_by_order_only_where_they_are_the_same() -> None:
    ours = [layer("a_q", 10, 1), layer("add", 0, 5), layer("b_q", 20, 2)]
    theirs = [layer("a", 10, 4), layer("b", 20, 8)]
    assert [(size.name, size.bytes, size.float_bytes) for size in pair_sizes(ours, theirs)] == [("a", 1, 4), ("b", 2, 8)]
    assert [(size.name, size.float_bytes) for size in pair_sizes(ours, theirs[:1])] == [("a_q", None), ("b_q", None)]


def test_latency_is_measured_in_processes_of_its_own(drafts: list[Draft]) -> None:
    pytest.importorskip("onnxruntime")
    other_input = msgspec.structs.replace(drafts[1].candidate.input, name="no_such_input")
    broken = replace(drafts[1], candidate=msgspec.structs.replace(drafts[1].candidate, input=other_input))
    steps = []
    found = measure_latency([drafts[0], broken], threads=1, progress=lambda *_: lambda: steps.append(1), rounds=1, runs=3)
    assert len(steps) == 2
    good, bad = found[drafts[0].plan.name], found[broken.plan.name]
    assert good.failure is None
    assert good.p50_ms is not None
    assert 0 < good.p50_ms <= (good.p90_ms or 0)
    assert bad.p50_ms is None
    assert bad.failure
    assert measure_latency([], threads=1) == {}


def test_a_browser_shows_the_page(content: ReportContent, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    path, shot = write_report(tmp_path / "report", content), tmp_path / "shot.png"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}", "--window-size=1000,2600", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience_s())
    assert done.returncode == 0, done.stderr
    picture = cv2.imread(str(shot))
    dark = (picture.max(axis=2) < 100).any(axis=1)
    assert dark[:1200].any()  # the text
    assert np.flatnonzero(dark).max() > 1500  # and the plots below it, which only stand there if their data was taken
