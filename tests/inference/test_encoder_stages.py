"""Encoding is one line of stages: each module of them is entered once for any number of signals."""

import sys
from collections import Counter
from types import FrameType
from typing import Any

import pytest

from tests.encoders import beats, encoder

PACKAGE = "physio_mae_jax.inference."
STAGES = (
    *("recording_plan", "window_batches", "compiled_encoder", "overlap_averager"),
    *("encoding_report", "clocks"),
)


def entries(call: Any) -> Counter[str]:
    """Count how often a call enters functions of a module from another module of the package."""
    found: Counter[str] = Counter()
    seen: set[FrameType] = set()

    def profile(frame: FrameType, event: str, _: Any) -> None:
        name, back = frame.f_globals.get("__name__", ""), frame.f_back
        if event != "call" or not name.startswith(PACKAGE) or frame in seen:
            return
        seen.add(frame)  # a generator that is resumed has the same frame
        while back and not back.f_globals.get("__name__", "").startswith(PACKAGE):
            back = back.f_back
        if back and back.f_globals["__name__"] != name:
            found[name.removeprefix(PACKAGE)] += 1

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


@pytest.mark.parametrize("num_recordings", [1, 5])
def test_every_stage_is_entered_once(num_recordings):
    made = encoder()
    signals = [beats(10, 250)] * num_recordings
    given = {"sampling_rate_hz": 250, "channels": ["I", "II", "V1"]}
    made.encode(signals, **given)
    found = entries(lambda: made.encode(signals, **given))
    assert {stage: found[stage] for stage in STAGES} == dict.fromkeys(STAGES, 1)
