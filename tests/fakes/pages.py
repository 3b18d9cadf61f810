"""Pages that ``shelfcam bench report`` and ``bench merge`` wrote, as a browser would read them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import msgspec

from benchmarks.report.pages import PAGE
from tests.fakes.zoo_reports import NETS, board, zoo_report


class Page(HTMLParser):
    """Tags, addresses, and the text as a browser would show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.shown = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]

    def handle_data(self, data: str) -> None:
        self.shown += data


def read_page(directory: Path) -> Page:
    """``index.html`` of a page's directory."""
    return Page((directory / "index.html").read_text(encoding="utf-8"))


def measured_directory(directory: Path, *names: str) -> list[Path]:
    """A directory with an old page and measurements of one board each."""
    directory.mkdir(parents=True)
    (directory / PAGE).write_text("old")
    for name in names:
        (directory / name).parent.mkdir(exist_ok=True)
        report = zoo_report(candidates=("onnx-int8",), nets=NETS[4:6], host=board(name))
        (directory / name).write_bytes(msgspec.json.encode(report))
    return [directory / name for name in names]
