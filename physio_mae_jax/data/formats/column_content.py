"""Classification of a column by its samples: a ramp and a code of few values are no signal.

Counts piece by piece, so that a column of any length takes no memory.
"""

import numpy as np

_FEW_WHOLE = 32
_FEW = 8
# With fewer samples nothing is concluded.
_MIN_COUNT = 8
_RAMP_SHARE = 0.9
_HELD_WHOLE = 0.9
_HELD = 0.95


class ColumnContent:
    """Running statistics of a column."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._step: float | None = None
        self._values: set[float] | None = set()
        self._count = self._steps = self._rises = self._falls = self._equal = 0
        self._whole = True

    def add(self, values: np.ndarray) -> None:
        """Add the next samples [n]; non-finite values are ignored."""
        values = values[np.isfinite(values)].astype(np.float64)
        if not len(values):
            return
        self._count += len(values)
        self._whole = self._whole and bool((values == np.round(values)).all())
        self._collect(values)
        if self._last is not None:
            values = np.concatenate([[self._last], values])
        self._last = float(values[-1])
        with np.errstate(over="ignore", invalid="ignore"):
            steps = np.diff(values)
        if not len(steps):
            return
        if self._step is None:
            self._step = float(np.median(steps))
        self._steps += len(steps)
        self._rises += int((steps > 0).sum())
        self._falls += int((steps < 0).sum())
        # Times printed with three or more digits a step.
        self._equal += int((np.abs(steps - self._step) <= 1e-2 * abs(self._step)).sum())

    @property
    def is_empty(self) -> bool:
        """No sample at all."""
        return self._count == 0

    def ramp(self) -> str:
        """Return a text if the column counts or always rises; empty where it does not."""
        if self._count < _MIN_COUNT:
            return ""
        if self._step and self._equal >= _RAMP_SHARE * self._steps:
            return f"changes by {self._step:g} from sample to sample"
        if self._falls == 0 and self._rises >= (1 if self._whole else 0.5 * self._steps):
            return "rises all the time"
        return ""

    def gaps(self) -> int:
        """Return how often a column that counts samples skips numbers."""
        counts = self._whole and self._equal >= _RAMP_SHARE * self._steps and (self._step or 0) > 0
        return self._rises - self._equal if counts else 0

    def few(self) -> str:
        """Return a text if there are too few distinct values for a signal; else empty."""
        if self._count < _MIN_COUNT:
            return ""
        held = self._steps - self._rises - self._falls
        if self._values is not None:
            different = len(self._values)
            if different == 1:
                return "has one value throughout"
            most = _FEW_WHOLE if self._whole else _FEW
            if different <= min(most, self._count / 4):
                kind = "whole numbers" if self._whole else "values"
                return f"has only {different} different {kind}"
        if held >= (_HELD_WHOLE if self._whole else _HELD) * self._steps:
            return "stays the same for long intervals"
        return ""

    def _collect(self, values: np.ndarray) -> None:
        # A short piece first: what has many values has them there.
        for piece in (values[:1000], values[1000:]):
            if self._values is not None:
                self._values.update(np.unique(piece).tolist())
                if len(self._values) > _FEW_WHOLE:
                    self._values = None
