"""Classification of a column by its samples: ramps and codes with few values are not signals.

Statistics are accumulated chunk by chunk, so memory use does not depend on the column length.
"""

import numpy as np

_MAX_CODES_INTEGER = 32
_MAX_CODES = 8
# Columns with fewer samples are not classified.
_MIN_COUNT = 8
_RAMP_FRACTION = 0.9
_CONSTANT_FRACTION_INTEGER = 0.9
_CONSTANT_FRACTION = 0.95


class ColumnContent:
    """Running statistics of a column."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._step: float | None = None
        self._values: set[float] | None = set()
        self._count = self._steps = self._rises = self._falls = self._equal = 0
        self._is_integer = True

    def add(self, values: np.ndarray) -> None:
        """Add the next samples [n]; non-finite values are ignored."""
        values = values[np.isfinite(values)].astype(np.float64)
        if not len(values):
            return
        self._count += len(values)
        self._is_integer = self._is_integer and bool((values == np.round(values)).all())
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
        # Tolerates rounding of times that are printed with three or more digits per step.
        self._equal += int((np.abs(steps - self._step) <= 1e-2 * abs(self._step)).sum())

    @property
    def is_empty(self) -> bool:
        """Whether no finite sample was seen."""
        return self._count == 0

    def describe_ramp(self) -> str:
        """Describe a column that counts or always rises; '' for any other column."""
        if self._count < _MIN_COUNT:
            return ""
        if self._step and self._equal >= _RAMP_FRACTION * self._steps:
            return f"changes by {self._step:g} from sample to sample"
        if self._falls == 0 and self._rises >= (1 if self._is_integer else 0.5 * self._steps):
            return "rises monotonically"
        return ""

    def count_gaps(self) -> int:
        """Return how many gaps a sample counter has; 0 for any other column."""
        counts = (
            self._is_integer
            and self._equal >= _RAMP_FRACTION * self._steps
            and (self._step or 0) > 0
        )
        return self._rises - self._equal if counts else 0

    def describe_few_values(self) -> str:
        """Describe a column with too few distinct values for a signal; '' for any other column."""
        if self._count < _MIN_COUNT:
            return ""
        num_unchanged = self._steps - self._rises - self._falls
        if self._values is not None:
            num_distinct = len(self._values)
            if num_distinct == 1:
                return "has one value throughout"
            max_codes = _MAX_CODES_INTEGER if self._is_integer else _MAX_CODES
            if num_distinct <= min(max_codes, self._count / 4):
                kind = "whole numbers" if self._is_integer else "values"
                return f"has only {num_distinct} different {kind}"
        if (
            num_unchanged
            >= (_CONSTANT_FRACTION_INTEGER if self._is_integer else _CONSTANT_FRACTION)
            * self._steps
        ):
            return "stays the same for long intervals"
        return ""

    def _collect(self, values: np.ndarray) -> None:
        # A short chunk first: columns with many distinct values already show them there.
        for chunk in (values[:1000], values[1000:]):
            if self._values is not None:
                self._values.update(np.unique(chunk).tolist())
                if len(self._values) > _MAX_CODES_INTEGER:
                    self._values = None
