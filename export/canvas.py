"""Drawing with matplotlib into PNG bytes: Agg, no display, no global state."""

from __future__ import annotations

import io
from typing import Any

from export.load.model import import_extra

DPI = 110


def new_figure(size_inches: tuple[float, float], **options: Any) -> Any:
    """A ``matplotlib.figure.Figure``, width × height. Not through pyplot, whose figures are global and live on.

    Raises:
        BackendError: matplotlib is not installed.
    """
    figure = import_extra("matplotlib.figure").Figure(figsize=size_inches, **options)
    import_extra("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    return figure


def png(figure: Any) -> bytes:
    """Encoded, the same bytes for the same drawing."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def plain(text: str) -> str:
    """matplotlib reads ``$…$`` as mathematics; labels and names are not."""
    return text.replace("$", r"\$")
