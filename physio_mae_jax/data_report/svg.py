"""Waveforms as inline SVG, without a plotting library."""

import html
from collections.abc import Sequence

import numpy as np

_WIDTH = 500
_HEIGHT = 64


def waveform(values: np.ndarray, seconds: float, title: str) -> str:
    """Draw one channel as an envelope: minimum and maximum of the samples of each pixel.

    Args:
        values: Samples [n]; gaps are NaN.
        seconds: Duration of the samples.
        title: Accessible description.

    Returns:
        An SVG element that scales with the page.
    """
    low, high = _range(values)
    paths = "".join(
        f'<path d="{_outline(piece, first, len(values), low, high)}"/>'
        for first, piece in _finite_pieces(values)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{html.escape(title)}, {seconds:.3g} s">{paths}</svg>'
    )


def _range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low - 0.5, high + 0.5) if low == high else (low, high)


def _finite_pieces(values: np.ndarray) -> Sequence[tuple[int, np.ndarray]]:
    """Return (first sample, samples) of each run of finite values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.isfinite(values).astype(np.int8), [0]])))
    return [(int(a), values[a:b]) for a, b in edges.reshape(-1, 2)]


def _outline(piece: np.ndarray, first: int, total: int, low: float, high: float) -> str:
    """Return the path of a run: one point per sample, or an envelope if there are many."""
    x = (first + np.arange(len(piece))) * (_WIDTH / max(1, total - 1))
    y = (1 - (piece.astype(np.float64) - low) / (high - low)) * (_HEIGHT - 4) + 2
    if len(piece) > 2 * _WIDTH:
        columns = np.array_split(np.arange(len(piece)), _WIDTH)
        x = np.repeat([x[c[0]] for c in columns], 2)
        y = np.ravel([(y[c].min(), y[c].max()) for c in columns])
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return f"M{points}"
