"""Values with intervals on a common axis, as inline SVG that fits any width."""

import dataclasses
import html
from collections.abc import Sequence

_PADDING = 0.06
_HEIGHT = 22


@dataclasses.dataclass(frozen=True)
class Axis:
    """Range of the values that a plot shows."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Axis":
        """Return the range of all finite values, with a margin."""
        finite = [value for value in values if value == value]
        low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
        margin = max(_PADDING * (high - low), 0.005)
        return cls(low - margin, high + margin)

    def position(self, value: float) -> str:
        """Return where a value is, in percent of the width."""
        return f"{100 * (value - self.low) / (self.high - self.low):.2f}%"

    def ticks(self) -> list[float]:
        """Return round values within the range, some five."""
        span = self.high - self.low
        step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 10, 100, 1e9) if span / s <= 6)
        first = int(self.low / step)
        found = [round((first + k) * step, 6) for k in range(9)]
        return [tick for tick in found if self.low <= tick <= self.high]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mark:
    """A value with its interval.

    Attributes:
        value, low, high: Value and ends of its interval; NaN if undefined.
        dots: Values of the seeds.
        title: Text shown when pointed at.
        highlighted: Whether it is drawn in the accent color.
    """

    value: float
    low: float
    high: float
    dots: Sequence[float]
    title: str
    highlighted: bool


def track(axis: Axis, mark: Mark) -> str:
    """Draw a mark on a line of its own; an SVG element as wide as its container."""
    middle = _HEIGHT / 2
    grid = "".join(
        f'<line class="grid" x1="{x}" x2="{x}" y1="0" y2="{_HEIGHT}"/>'
        for x in map(axis.position, axis.ticks())
    )
    shapes = ""
    if mark.low == mark.low:
        ends = axis.position(mark.low), axis.position(mark.high)
        shapes += f'<line x1="{ends[0]}" x2="{ends[1]}" y1="{middle:g}" y2="{middle:g}"/>'
    shapes += "".join(
        f'<circle class="seed" cx="{axis.position(dot)}" cy="{middle:g}" r="2"/>'
        for dot in mark.dots
        if dot == dot
    )
    if mark.value == mark.value:
        shapes += f'<circle cx="{axis.position(mark.value)}" cy="{middle:g}" r="5"/>'
    title = html.escape(mark.title)
    # The transparent rectangle can be pointed at all along the line.
    return (
        f'<svg class="track{" first" * mark.highlighted}" height="{_HEIGHT}" role="img" '
        f'aria-label="{title}">{grid}<g><title>{title}</title>'
        f'<rect width="100%" height="{_HEIGHT}" fill="transparent"/>{shapes}</g></svg>'
    )


def axis_labels(axis: Axis) -> str:
    """Draw the numbers below the lines."""
    labels = "".join(
        f'<text x="{axis.position(tick)}" y="12" text-anchor="middle">{tick:g}</text>'
        for tick in axis.ticks()
    )
    return f'<svg class="track" height="16" aria-hidden="true">{labels}</svg>'
