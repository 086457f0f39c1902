"""Channels of several rates on one grid, and exports of the Empatica E4."""

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.empatica import E4_CHANNELS, Track, align_tracks
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import only
from tests.preparation.layouts.wearables import wave

RNG = np.random.default_rng(0)


def track(name, rate_hz, num_samples, start_s=0.0, **options):
    values = wave(num_samples, rate_hz, start_s=start_s)
    return Track(
        name=name, values=values, sampling_rate_hz=rate_hz, unit="", start_s=start_s, **options
    )


def test_channels_of_several_rates_and_starts_meet_in_time():
    tracks = [track("A", 64.0, 64 * 60), track("B", 4.0, 4 * 58, 1.25), track("C", 32.0, 1900, 0.5)]
    joined = align_tracks(tracks, "x")
    assert joined.sampling_rate_hz == 64
    assert joined.start_s == 1.25
    # B ends first, at its last sample, and nothing is invented after it.
    first_end_s = min(t.start_s + (len(t.values) - 1) / t.sampling_rate_hz for t in tracks)
    assert joined.signal.shape == (3, round((first_end_s - 1.25) * 64) + 1)
    assert joined.signal.dtype == np.float32
    expected = wave(joined.signal.shape[1], 64.0, start_s=1.25)
    np.testing.assert_allclose(joined.signal[0], expected, atol=1e-6)
    inner = slice(5 * 64, -5 * 64)
    np.testing.assert_allclose(joined.signal[:, inner], np.stack([expected[inner]] * 3), atol=0.01)
    assert joined.conversions == (
        "A: cropped to the common time range",
        "B: 4 to 64 Hz by a low-pass polyphase filter",
        "C: 32 to 64 Hz by a low-pass polyphase filter",
        "C: cropped to the common time range",
    )
    assert joined.cut_s[0] == 1.25


def test_starts_off_the_grid_are_met_to_half_a_sample_and_said_so():
    joined = align_tracks([track("A", 64.0, 640), track("B", 64.0, 640, 0.1)], "x")
    assert joined.conversions == (
        "A: shifted by less than a sample onto the common grid",
        "A: cropped to the common time range",
        "B: cropped to the common time range",
    )
    assert joined.signal.shape == (2, 640 - 6)
    np.testing.assert_array_equal(joined.signal[0], wave(640, 64.0)[6:].astype(np.float32))


def test_channels_without_common_time_are_rejected():
    with pytest.raises(UnreadableError, match="A and B do not overlap in time"):
        align_tracks([track("A", 64.0, 640), track("B", 64.0, 640, 11.0)], "x")


def write_export(folder, seconds=60, start=1644226061.0, acc_start=None):
    folder.mkdir(parents=True, exist_ok=True)
    sensors = {
        "BVP": (np.round(wave(seconds * 64, 64, 1.2), 2)[:, None], 64, start),
        "EDA": (np.round(2 + 0.1 * wave(seconds * 4, 4, 0.1), 6)[:, None], 4, start),
        "TEMP": (np.full((seconds * 4, 1), 31.5), 4, start),
        "ACC": (RNG.integers(-64, 64, (seconds * 32, 3)), 32, acc_start or start),
    }
    for name, (values, rate, begin) in sensors.items():
        head = [
            ", ".join([f"{begin:.6f}"] * values.shape[1]),
            ", ".join([f"{rate:.6f}"] * values.shape[1]),
        ]
        rows = [",".join(f"{value:g}" for value in row) for row in values]
        (folder / f"{name}.csv").write_text("\n".join(head + rows) + "\n")
    return {
        name: np.loadtxt((folder / f"{name}.csv"), delimiter=",", skiprows=2) for name in sensors
    }


@pytest.mark.parametrize("name", ["wesad/e4", "stress_predict/e4"])
def test_empatica_exports(tmp_path, name):
    written = write_export(tmp_path / "S2" / "S2_E4_Data", acc_start=1644226063.5)
    write_export(tmp_path / "S10")
    layout = get_layout(name)
    refs = layout.find(tmp_path)
    assert [(r.record_id, r.subject_id) for r in refs] == [("S10", "S10"), ("S2/S2_E4_Data", "S2")]
    recording = layout.read(tmp_path, refs[1])
    assert recording.channels == E4_CHANNELS == layout.expected_channels
    assert recording.units == ("", "uS", "degC", "g", "g", "g")
    assert recording.sampling_rate_hz == 64
    length = recording.signal.shape[1]
    # The accelerometer began 2.5 s later, which is 160 samples.
    np.testing.assert_array_equal(
        recording.signal[0], written["BVP"][160 : 160 + length].astype(np.float32)
    )
    np.testing.assert_allclose(recording.signal[2], 31.5, rtol=2e-7)
    # Every sixteenth sample of a channel four times a second is its own, but for the filter.
    eda = recording.signal[1, ::16]
    np.testing.assert_allclose(eda, written["EDA"][10 : 10 + len(eda)], atol=0.01)
    np.testing.assert_allclose(
        recording.signal[3:, 320::2][:, :1000], written["ACC"][160:1160].T / 64, atol=0.1
    )
    assert "ACC_X, ACC_Y, ACC_Z: counts divided by 64 are g" in recording.conversions
    assert "PPG: cropped to the common time range" in recording.conversions
    assert recording.attributes["start_epoch_s"] == 1644226063.5
    assert recording.attributes["cut_at_start_s"] == 2.5
    # Labels need the questionnaires of WESAD, see tests/preparation/layouts/test_wesad_wrist.py.
    assert recording.annotations == {}


def test_hostile_exports(tmp_path):
    layout = get_layout("wesad/e4")
    write_export(tmp_path / "S2")
    eda, acc = tmp_path / "S2" / "EDA.csv", tmp_path / "S2" / "ACC.csv"
    content = eda.read_text()
    for text, match in (
        (content.replace("\n2", "\nbad", 1), "line 3: column 1 reads 'bad"),
        (content.replace("\n2", "\n\n2", 1), "line 3 is empty"),
        (content.replace("\n2", "\ninf\n2", 1), "line 3: column 1 reads 'inf'"),
        ("", "EDA.csv has no samples"),
        ("1644226061\n4\n", "EDA.csv has no samples"),
        ("1644226061\n0\n1\n2\n", r"begins with '1644226061' and '0'"),
        ("1\n4\n1\n2\n", r"begins with '1' and '4'"),
        ("1644226061,1\n4,4\n1,2\n", r"expected a start in seconds since 1970"),
        (content.replace("1644226061", "1644220000"), "do not overlap in time"),
    ):
        eda.write_text(text)
        with pytest.raises(UnreadableError, match=match):
            only(layout, tmp_path)
    eda.write_text(content)
    acc.write_text(acc.read_text().rstrip().rpartition(",")[0])
    with pytest.raises(UnreadableError, match=r"ACC.csv, line \d+: column 3 reads 'nan'"):
        only(layout, tmp_path)
    acc.unlink()
    with pytest.raises(DataError, match=r"ACC.csv is missing"):
        only(layout, tmp_path)
