"""Rates are plausible by the kind of the channel that has the highest lower bound."""

import pytest

from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.rates import check_rate, min_plausible_rate_hz


def test_waveforms_need_higher_rates_than_slow_signals():
    assert {min_plausible_rate_hz(name) for name in ("MLII", "PLETH", "ABP", "EEG_FP1")} == {10.0}
    assert {min_plausible_rate_hz(name) for name in ("RESP", "EDA", "left")} == {1.0}


@pytest.mark.parametrize(
    ("rate_hz", "channels"), [(1.0, []), (4.0, ["EDA"]), (10.0, ["II", "EDA"]), (50_000.0, ["II"])]
)
def test_plausible_rates_are_accepted(rate_hz, channels):
    check_rate(rate_hz, channels, "a.csv")


@pytest.mark.parametrize(
    ("rate_hz", "message"),
    [
        (4.0, r"a\.csv: a sampling rate of 4 Hz of II is not plausible; 10 to 50000 Hz"),
        (0.008, "of 0.008 Hz of II, EDA .* Is it a period"),
        (1e6, r"1e\+06 Hz is not plausible"),
        (float("nan"), "nan Hz is not plausible"),
    ],
)
def test_other_rates_are_rejected_with_a_cause(rate_hz, message):
    with pytest.raises(DataError, match=message):
        check_rate(rate_hz, ["II", "EDA"], "a.csv")
