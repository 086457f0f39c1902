"""CinC 2015: recordings of an ICU that end in an alarm, true or false."""

import numpy as np
import pytest
import wfdb

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, only, prepare, write_packed

RNG = np.random.default_rng(0)
KINDS = ("Ventricular_Tachycardia", "Asystole", "Tachycardia", "Bradycardia")


def write_record(folder, name, digital, comments=("Asystole", "False alarm")):
    """Write digital [n, 3] as PhysioNet does: a MATLAB 4 matrix of 16 bits behind its header."""
    folder.mkdir(parents=True, exist_ok=True)
    matrix = np.array([30, 3, len(digital), 0, 4], "<u4").tobytes() + b"val\0"
    (folder / f"{name}.mat").write_bytes(matrix + digital.astype("<i2").tobytes())
    lines = [f"{name} 3 250 {len(digital)}"]
    for i, (lead, gain) in enumerate((("II", "7247/mV"), ("V", "100.5/mV"), ("PLETH", "1.2e4/NU"))):
        total = (int(digital[:, i].sum()) + 32768) % 65536 - 32768
        lines.append(f"{name}.mat 16+24 {gain} 16 0 {digital[0, i]} {total} 0 {lead}")
    lines += [f"#{comment}" for comment in comments]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")


def digital(num_samples=75_000):
    values = RNG.integers(-3000, 3000, (num_samples, 3))
    values[10:14, 2] = -32768
    return values


def intervals(recording):
    return {
        task: list(zip(a.start.tolist(), a.stop.tolist(), a.label.tolist(), strict=True))
        for task, a in recording.annotations.items()
    }


def test_records_of_the_training_set(tmp_path):
    layout = get_layout("cinc2015")
    values = digital(82_500)
    write_record(tmp_path / "training", "a103l", values, ("Ventricular_Flutter_Fib", "True alarm"))
    (tmp_path / "training" / "ALARMS").write_text("a103l,Ventricular_Flutter_Fib,1\n")
    ref, recording = only(layout, tmp_path)
    assert ref.subject_id == ref.record_id == "a103l"
    independent = wfdb.rdrecord(str(tmp_path / "training" / "a103l")).p_signal.T
    np.testing.assert_allclose(recording.signal, independent, rtol=1e-6, atol=1e-7)
    assert np.isnan(recording.signal[2, 10:14]).all()
    assert np.isnan(recording.signal).sum() == 4
    assert recording.channels == ("II", "V", "PPG")
    assert recording.units == ("mV", "mV", "")
    assert recording.sampling_rate_hz == 250
    assert intervals(recording) == {
        "alarm": [(72_500, 75_000, 1)],
        "alarm_type": [(72_500, 75_000, 4)],
    }
    assert recording.attributes == {
        "subject_known": False,
        "alarm": "true",
        "alarm_type": "ventricular_flutter",
    }


def test_hostile_records(tmp_path):
    layout = get_layout("cinc2015")
    write_record(tmp_path, "a103l", digital())
    table = tmp_path / "ALARMS"
    for text, message in (
        ("a103l,Asystole,1\n", r"a103l.hea says false and asystole; the table ALARMS says true"),
        ("a103l,Asystole\n", r"ALARMS, line 1 reads 'a103l,Asystole'; expected a record"),
        ("a103l,Asystole,2\n", r"ALARMS, line 1 reads"),
        ("a103l,Asystole,0\nb2s,Asystole,0\n", r"lacks the headers of 1 records .*\(b2s\)"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=message):
            layout.find(tmp_path)
    table.write_text("\na103l,Asystole,0\n")
    ref, _ = only(layout, tmp_path)
    content = (tmp_path / "a103l.mat").read_bytes()
    (tmp_path / "a103l.mat").write_bytes(content[:-100])
    with pytest.raises(UnreadableError, match=r"a103l.mat is truncated"):
        layout.read(tmp_path, ref)
    (tmp_path / "a103l.mat").write_bytes(content[:-2] + b"\0\0")
    with pytest.raises(UnreadableError, match=r"checksum"):
        layout.read(tmp_path, ref)
    write_record(tmp_path, "a103l", digital(70_000))
    with pytest.raises(UnreadableError, match=r"a103l, has 280 s; the alarm is at 300 s"):
        layout.read(tmp_path, ref)
    table.unlink()
    write_record(tmp_path, "a103l", digital(), comments=["Asystole"])
    with pytest.raises(
        DataError, match=r"has the comments 'Asystole'; one of Asystole, .* True al"
    ):
        layout.find(tmp_path)


def members(lengths, channels=3, **changes):
    count = len(lengths)
    return {
        "rec": np.array([f"v{100 + i}{'ls'[n == 37_500]}" for i, n in enumerate(lengths)]),
        "n_ch": np.full(count, channels, np.int8),
        "n_samp": np.array(lengths, np.int32),
        "ch": np.array([("II", "V", "PLETH")] * count),
        "gain": np.array([(283.0, 229.375, 156.875)] * count),
        "baseline": np.array([(0.0, 10.0, 0.0)] * count),
        "unit": np.array([("mV", "mV", "NU")] * count),
        "alarm": np.array([KINDS[i % 4] for i in range(count)]),
        "true_alarm": (np.arange(count) % 2).astype(np.int8),
        "fs": np.int32(125),
    } | changes


def write_part(folder, number, lengths, **changes):
    signals = [RNG.integers(-3000, 3000, (3, n)) for n in lengths]
    signals[0][2, 100:110] = -32768
    values = np.concatenate([signal.reshape(-1) for signal in signals])
    write_packed(folder, f"cinc2015_part{number}", values, **members(lengths, **changes))
    return signals


def test_packed_parts(tmp_path):
    layout = get_layout("cinc2015/flac")
    first = write_part(tmp_path, 0, [37_500, 41_250])
    # One recording of this part has two channels only.
    table = members([37_500, 41_250], rec=np.array(["t1s", "t2l"]), n_ch=np.array([2, 3], np.int8))
    second = [RNG.integers(-3000, 3000, (n, m)) for n, m in ((2, 37_500), (3, 41_250))]
    flat = np.concatenate([signal.reshape(-1) for signal in second])
    write_packed(tmp_path, "cinc2015_part1", flat, **table)
    refs = layout.find(tmp_path)
    assert [ref.record_id for ref in refs] == ["v100s", "v101l", "t1s", "t2l"]
    assert len({ref.subject_id for ref in refs}) == 4
    gain, baseline = members([1])["gain"][0], members([1])["baseline"][0]
    for number, (ref, signal) in enumerate(zip(refs, (*first, *second), strict=True)):
        recording = layout.read(tmp_path, ref)
        rows = len(signal)
        expected = (signal - baseline[:rows, None]) / gain[:rows, None]
        expected[signal == -32768] = np.nan
        np.testing.assert_allclose(recording.signal, expected, rtol=1e-6)
        assert np.isnan(recording.signal).sum() == (10 if number == 0 else 0)
        assert recording.channels == ("II", "V", "PPG")[:rows]
        assert intervals(recording)["alarm"] == [(36_250, 37_500, number % 2)]
        assert recording.attributes["alarm_type"] == KINDS[number % 2].lower()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_samp": np.array([37_500, 37_500])}, r"has 236,250 values; .* describes 225,000"),
        ({"n_ch": np.array([3, 4])}, r"'n_ch' must be from 1 to 3"),
        ({"gain": np.zeros((2, 3))}, r"has a gain of 0"),
        ({"alarm": np.array(["Asystole", "Fire"])}, r"row 1: alarm 'Fire' and true_alarm 1"),
        ({"true_alarm": np.array([0, 2])}, r"row 1: alarm 'Asystole' and true_alarm 2"),
        ({"rec": np.array(["a", "a"])}, r"record id 'a' occurs twice"),
        ({"unit": np.array(["mV"])}, r"differ in their number of rows"),
    ],
)
def test_hostile_packed_parts(tmp_path, changes, message):
    write_part(tmp_path, 0, [37_500, 41_250], **changes)
    with pytest.raises(DataError, match=message):
        get_layout("cinc2015/flac").find(tmp_path)


def test_a_debug_run_learns_alarms(tmp_path):
    write_part(tmp_path / "raw", 0, [37_500] * 16)
    prepare("cinc2015/flac", tmp_path / "raw", tmp_path / "data")
    evaluation = debug_run("cinc2015/flac", tmp_path / "data", tmp_path / "run")
    assert "test" in evaluation["evaluations"]


def test_the_packed_parts_as_collected(shared):
    source = shared / "data" / "cinc2015"
    if not source.is_dir():
        pytest.skip(f"needs {source}")
    layout = get_layout("cinc2015/flac")
    refs = layout.find(source)
    assert len(refs) == len({ref.record_id for ref in refs}) == 485
    for ref in refs[::60]:
        recording = layout.read(source, ref)
        assert recording.channels[2] == "PPG"
        assert recording.signal.shape[1] == (41_250 if ref.record_id.endswith("l") else 37_500)
        # An ECG of a monitor is of millivolts.
        assert 0.02 < np.nanstd(recording.signal[0]) < 5
        assert ref.record_id[0] in ("v", "a", "t", "b", "f")
        assert recording.attributes["alarm_type"].startswith(
            {"v": "ventricular_tachycardia", "f": "ventricular_flutter"}.get(ref.record_id[0], "")
        )
