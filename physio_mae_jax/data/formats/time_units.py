"""Units of time in seconds, and plausible units of a column without one."""

from collections.abc import Sequence

from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name
from physio_mae_jax.signals.rates import check_rate

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "d": 86400.0}
NAMES = {
    **{"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"},
    **{"min": "minutes", "h": "hours", "d": "days"},
}
# Rates outside this range are listed only if no other rate is inside.
_TOLERATED_HZ = (0.01, 1e5)
# In this range (1979 to 2128) seconds, milliseconds etc. since 1970 do not overlap.
_EPOCH_S = (3.0e8, 5.0e9)
_TOLERANCE = 1e-3
_SLOW = ("EDA", "TEMP", "SPO2")
# Common recording rates. A column without a unit is in seconds if that gives one of them; it is
# ambiguous if only another unit does.
_COMMON_HZ = (
    *(1, 2, 4, 5, 8, 10, 15, 16, 20, 25, 30, 31.25, 32, 40, 50, 51.2, 52, 60, 62.4725, 62.5, 64),
    *(75, 80, 100, 120, 125, 128, 130, 135, 150, 160, 173.61, 176, 180, 200, 204.8, 240, 250),
    *(256, 300, 320, 333.333333, 360, 400, 480, 496, 500, 512, 600, 700, 720, 750, 800, 960, 977),
    *(1000, 1024, 1200, 1250, 2000, 2048, 2400, 2500, 4000, 4096, 4800, 5000, 8000, 8192, 9600),
    *(10_000, 10_240, 16_000, 16_384, 20_000, 20_480, 25_000, 32_000, 40_000, 50_000),
)


def infer_epoch_unit(value: float) -> str | None:
    """Return the unit in which a value is a plausible time since 1970; None if there is none."""
    for unit in ("s", "ms", "us", "ns"):
        if _EPOCH_S[0] <= value * SECONDS[unit] < _EPOCH_S[1]:
            return unit
    return None


def is_common_rate(rate_hz: float, channels: Sequence[str]) -> bool:
    """Return whether this is a common recording rate of such channels."""
    common_hz: Sequence[float] = _COMMON_HZ
    if channels and all(canonical_name(name) in _SLOW for name in channels):
        # 1 Hz in minutes would read as 60 Hz, 4 Hz as 240 Hz.
        common_hz = [rate for rate in _COMMON_HZ if rate % 60]
    return any(abs(rate_hz - rate) <= _TOLERANCE * rate for rate in common_hz)


def plausible_rates(
    step: float, channels: Sequence[str], units: Sequence[str] = tuple(SECONDS)
) -> dict[str, float]:
    """Return the rate in Hz for each unit in which a time step gives a plausible rate."""
    rates = {unit: 1.0 / (step * SECONDS[unit]) for unit in units}
    return {unit: rate for unit, rate in rates.items() if is_plausible(rate, channels)}


def is_plausible(rate_hz: float, channels: Sequence[str]) -> bool:
    """Return whether this rate is plausible for such channels."""
    try:
        check_rate(rate_hz, channels, "")
    except DataError:
        return False
    return True


def format_rate_candidates(step: float, units: Sequence[str] = tuple(SECONDS)) -> str:
    """Format the rate of a time step in each unit, such as '1 Hz as seconds'."""
    rates = [(1.0 / (step * SECONDS[unit]), NAMES[unit]) for unit in units]
    shown = [rate for rate in rates if _TOLERATED_HZ[0] <= rate[0] <= _TOLERATED_HZ[1]] or rates
    return ", ".join(f"{rate:g} Hz as {name}" for rate, name in shown)
