"""Figures as PNG bytes, drawn without a display and without the library's version in them."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


def png(figure: Figure, dpi: int = 90) -> bytes:
    """The figure's picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
