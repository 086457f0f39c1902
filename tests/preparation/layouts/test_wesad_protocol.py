"""The protocol of WESAD: its times, its conditions, and the double tap with which it begins."""

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.wesad_protocol import (
    Condition,
    affect_annotations,
    find_double_tap,
    read_protocol,
    stress_annotations,
)

RNG = np.random.default_rng(0)
RATE_HZ = 32.0
QUEST = """# Subj;S2;;;;
# ORDER;Base;TSST;Medi 1;Fun;sRead;;
# START;7.08;39.55;70.19;81.25;54.42;;
# END;26.32;50.3;77.1;88;56.07;;
;;;;;;
# PANAS;1;1;3;2;1;3
"""


def write(tmp_path, text):
    path = tmp_path / "S2_quest.csv"
    path.write_text(text)
    return path


def test_times_are_minutes_and_seconds(tmp_path):
    conditions = read_protocol(write(tmp_path, QUEST))
    found = [(c.label, c.start_s, c.stop_s) for c in conditions]
    assert found == [
        (1, 7 * 60 + 8, 26 * 60 + 32),
        (2, 39 * 60 + 55, 50 * 60 + 30),
        (0, 54 * 60 + 42, 56 * 60 + 7),
        (4, 70 * 60 + 19, 77 * 60 + 10),
        (3, 81 * 60 + 25, 88 * 60),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# START", "# BEGIN", "lacks the lines # START"),
        ("Medi 1", "Nap", "names the condition 'Nap'; Base, TSST"),
        (";54.42", "", "5 conditions with 4 starts and 5 ends"),
        ("39.55", "39.75", "has the time '39.75'; minutes and seconds such as 7.08"),
        ("39.55", "39,55", "has the time '39,55'"),
        ("26.32", "6.32", "Base ends at 6.32, before its start at 7.08"),
        ("39.55", "26.3", "begins at 1590 s, before the one from 428 s ends at 1592 s"),
    ],
)
def test_hostile_questionnaires(tmp_path, old, new, message):
    with pytest.raises(DataError, match=message):
        read_protocol(write(tmp_path, QUEST.replace(old, new)))


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "S2_quest.csv"
    with pytest.raises(DataError, match=r"S2_quest.csv is missing"):
        read_protocol(path)
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UnreadableError, match=r"S2_quest.csv cannot be read"):
        read_protocol(path)


def marks_of(annotations):
    return list(
        zip(
            annotations.start.tolist(),
            annotations.stop.tolist(),
            annotations.label.tolist(),
            strict=True,
        )
    )


def test_conditions_without_their_margins_and_within_the_recording():
    conditions = (
        Condition(label=1, start_s=0, stop_s=100),
        Condition(label=0, start_s=100, stop_s=150),
        Condition(label=2, start_s=200, stop_s=300),
        Condition(label=4, start_s=300, stop_s=315),
        Condition(label=3, start_s=400, stop_s=500),
    )
    affect = affect_annotations(conditions, start_s=5, rate_hz=2.0, num_samples=900)
    # The fourth is shorter than its margins, and the last is cut by the end of the recording.
    assert marks_of(affect) == [
        (0, 30, 0),
        (30, 190, 1),
        (190, 430, 0),
        (430, 590, 2),
        (590, 830, 0),
        (830, 900, 3),
    ]
    assert marks_of(stress_annotations(affect)) == [(30, 190, 0), (430, 590, 1), (830, 900, 0)]
    early = affect_annotations(conditions[:1], start_s=-50, rate_hz=2.0, num_samples=400)
    assert marks_of(early) == [(0, 80, 1), (80, 400, 0)]


def resting(seconds=600):
    """Return acceleration [n, 3] of a wrist at rest, in g."""
    noise = RNG.integers(-1, 2, (round(seconds * RATE_HZ), 3)) / 64
    return np.array([0.0, 0.6, 0.8]) + noise


def jolt(acceleration, time_s, strength):
    acceleration[round(time_s * RATE_HZ), 1] += strength


def test_the_double_tap_is_distinguished_from_movement():
    acceleration = resting()
    # A single knock, a walk of strong steps, and the taps, weaker than either.
    jolt(acceleration, 50, 4)
    for step in np.arange(100, 160, 0.55):
        jolt(acceleration, step, 2 + RNG.random())
    jolt(acceleration, 300, 1.5)
    jolt(acceleration, 300.4, 1.4)
    tap = find_double_tap(acceleration, RATE_HZ, latest_s=500)
    assert tap.time_s == pytest.approx(300, abs=1.5 / RATE_HZ)
    assert tap.contrast > 15
    assert tap.next_contrast < 0.5 * tap.contrast


def test_a_third_tap_belongs_to_the_same():
    acceleration = resting()
    for time_s, strength in ((300, 1.1), (300.5, 1.5), (301.1, 1.6)):
        jolt(acceleration, time_s, strength)
    tap = find_double_tap(acceleration, RATE_HZ, latest_s=500)
    assert tap.time_s == pytest.approx(300, abs=1.5 / RATE_HZ)


def test_taps_after_the_latest_time_are_not_taken():
    acceleration = resting()
    for time_s in (200, 200.4):
        jolt(acceleration, time_s, 1.2)
    for time_s in (400, 400.3):
        jolt(acceleration, time_s, 3)
    both = find_double_tap(acceleration, RATE_HZ, latest_s=600)
    assert both.time_s == pytest.approx(400, abs=1.5 / RATE_HZ)
    assert both.next_contrast > 0
    early = find_double_tap(acceleration, RATE_HZ, latest_s=300)
    assert early.time_s == pytest.approx(200, abs=1.5 / RATE_HZ)


@pytest.mark.parametrize("seconds", [0.1, 3, 600])
def test_no_tap_is_found_at_rest(seconds):
    assert find_double_tap(resting(seconds), RATE_HZ, latest_s=seconds) is None


def test_the_double_tap_of_every_subject(shared):
    path = shared / "data" / "wesad_e4" / "wesad_e4.npz"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    with np.load(path) as collected:
        subjects = [name.removesuffix("_ACC") for name in collected if name.endswith("_ACC")]
        assert len(subjects) == 10
        for subject in subjects:
            acceleration = collected[f"{subject}_ACC"] / 64
            last_s = max(float(event.split(";")[2]) for event in collected[f"{subject}_events"])
            latest_s = len(acceleration) / RATE_HZ - last_s
            tap = find_double_tap(acceleration, RATE_HZ, latest_s)
            offset_s = float(collected[f"{subject}_protocol_offset_s"])
            assert tap.time_s == pytest.approx(offset_s, abs=0.1), subject
            if subject == "S2":
                assert tap.time_s == offset_s
