"""The page itself: one HTML file that needs nothing from outside. Every text that comes from a file or a person is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from export.report.content import ReportContent
from export.report.rows import CandidateRow, Disagreement

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #111; background: #fff; max-width: 72rem; margin: 1.5rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin: 0 0 .3rem } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid #999 }
table { border-collapse: collapse; font-size: .88rem; width: 100% }
th, td { border-bottom: 1px solid #ccc; padding: .28rem .5rem; text-align: left; vertical-align: top }
th { border-bottom: 2px solid #111 } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
tr.out td { color: #444 } tr.out td:first-child::before { content: "\\2717\\00a0" } tr.in td:first-child::before { content: "\\2713\\00a0" }
td:first-child { white-space: nowrap }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f3f3f3; padding: .6rem; margin: .4rem 0 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .5rem 0 }
dt { font-weight: 600 } dd { margin: 0; overflow-wrap: anywhere }
figure { margin: 0 0 1rem } figure img { max-width: 100%; height: auto } figcaption { font-size: .88rem; color: #333 }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
.warn { border: 2px solid #111; padding: .5rem .7rem; font-weight: 600 } ol { margin: 0; padding-left: 1.1rem }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem }
.card { border: 1px solid #999; padding: .5rem; break-inside: avoid; font-size: .85rem } .card img { width: 100%; image-rendering: auto }
.card h3 { margin: .4rem 0 .1rem; font-size: .85rem } .card p { margin: 0; overflow-wrap: anywhere }
@media (max-width: 45rem) { .pair { grid-template-columns: 1fr } } @media print { body { margin: 0; max-width: none } }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, body: Iterable[str]) -> str:
    """A whole page. Its content policy lets a browser load nothing but what stands in it."""
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    parts = "\n".join(body)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}{view}<title>{escape(title)}</title><style>{_STYLE}</style></head>\n'
        f"<body>\n{parts}\n</body></html>\n"
    )


def header(content: ReportContent) -> str:
    """What was exported, how, with which tools, and what became of it."""
    provenance = content.manifest.provenance if content.manifest is not None else None
    facts = {"Bundle": content.bundle or "none written", "Model": content.model, "Classes": f"{len(content.labels):,}"}
    tools = dict(content.tools)
    if provenance is not None:
        tools = provenance.tools
        facts |= {
            "Made": provenance.created_utc,
            "Checkpoint": _named(provenance.checkpoint, provenance.checkpoint_sha256),
            "Calibration": f"{_named(provenance.calibration, provenance.calibration_sha256)}, {provenance.calibration_images} pictures",
            "Source tree": provenance.git_commit or "not known",
        }
    facts["Judged on"] = f"{len(content.images)} {content.source.replace('_', '-')} pictures"
    facts["Tools"] = ", ".join(f"{name} {version}" for name, version in sorted(tools.items())) or "not known"
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    outcome = f"<h2>Outcome</h2><pre>{escape(content.outcome)}</pre>"
    command = f"<h2>Command</h2><pre>{escape(content.command)}</pre>"
    return f"<h1>Export of {escape(content.model)}</h1><dl>{rows}</dl>{outcome}{command}"


def candidates(rows: Sequence[CandidateRow], too_heavy: Mapping[str, str], float_accuracy: float | None) -> str:
    """The table of everything that was tried, and what was too heavy to be made."""
    titles = ["candidate", ">bytes", "precision", ">8-bit MACs", ">cosine", ">agreement", ">accuracy", ">p50 ms", "verdict"]
    lines = []
    for row in rows:
        accuracy = _share(row.accuracy)
        if row.accuracy is not None and float_accuracy is not None:
            accuracy += f" ({100 * (row.accuracy - float_accuracy):+.1f} points)"
        cells = [row.name, f"{row.bytes:,}", row.precision, f"{row.int8_mac_share:.1%}", _share(row.logit_cosine, 4)]
        cells += [_share(row.top1_agreement), accuracy, _latency(row), "passes" if row.passes else f"left out: {row.verdict}"]
        lines.append((row.passes, cells, row.repairs))
    head = "".join(f"<th{_number(title)}>{escape(title.lstrip('>'))}</th>" for title in titles)
    for name, reason in too_heavy.items():
        lines.append((False, [name, *["–"] * (len(titles) - 2), f"not made: {reason}"], ()))
    body = "".join(_line(titles, *line) for line in lines)
    known = "" if float_accuracy is None else f"<p>Accuracy of the float network: {float_accuracy:.3f}.</p>"
    return f"<h2>Candidates tried</h2>{known}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def figure(png: bytes, caption: str) -> str:
    """A plot inside the page."""
    return f'<figure><img alt="{escape(caption)}" src="{data_uri(png)}"><figcaption>{escape(caption)}</figcaption></figure>'


def section(title: str, *parts: str) -> str:
    """A headed part of the page; the parts are HTML."""
    return f"<h2>{escape(title)}</h2>" + "".join(parts)


def pair(*parts: str) -> str:
    """Side by side where there is room."""
    return f'<div class="pair">{"".join(parts)}</div>'


def note(text: str, *, warn: bool = False) -> str:
    """A paragraph."""
    return f"<p{' class=warn' if warn else ''}>{escape(text)}</p>"


def cards(found: Sequence[Disagreement], pictures: Mapping[int, bytes], candidate: str) -> str:
    """Pictures with both answers."""
    parts = []
    for item in found:
        truth = "" if item.truth is None else f"<p>right: <b>{escape(item.truth)}</b></p>"
        answers = f"<h3>float</h3>{_answers(item.theirs)}<h3>{escape(candidate)}</h3>{_answers(item.ours)}"
        image = f'<img alt="picture {item.picture}" src="{data_uri(pictures[item.picture])}">'
        parts.append(f'<div class="card">{image}<p>picture {item.picture}</p>{truth}{answers}</div>')
    return f'<div class="cards">{"".join(parts)}</div>'


def data_uri(png: bytes) -> str:
    """The picture inside its address."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _line(titles: Sequence[str], passes: bool, cells: Sequence[str], repairs: Sequence[str]) -> str:
    columns = [f"<td{_number(title)}>{escape(cell)}" for title, cell in zip(titles, cells, strict=True)]
    if repairs:
        columns[-1] += "<ol>" + "".join(f"<li>{escape(step)}</li>" for step in repairs) + "</ol>"
    return f'<tr class="{"in" if passes else "out"}">' + "".join(f"{column}</td>" for column in columns) + "</tr>"


def _answers(best: Sequence[tuple[str, float]]) -> str:
    return "".join(f"<p>{score:.3f} {escape(label)}</p>" for label, score in best)


def _number(title: str) -> str:
    return ' class="n"' if title.startswith(">") else ""


def _share(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _latency(row: CandidateRow) -> str:
    if row.latency is None:
        return "–"
    return "cannot run here" if row.latency.p50_ms is None else f"{row.latency.p50_ms:.2f}"


def _named(name: str | None, sha256: str | None) -> str:
    return "not known" if name is None else name if sha256 is None else f"{name} (sha256 {sha256[:12]}…)"
