"""CinC 2011: ECGs of a phone with their quality, of which some are copies of others."""

import numpy as np
import pytest
import wfdb

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.signal_copies import COPY
from physio_mae_jax.preparation.registry import get_layout
from physio_mae_jax.signals.channels import TWELVE_LEADS
from tests.layouts import debug_run, prepare, write_packed

RNG = np.random.default_rng(0)
NAME = "cinc2011_seta_250hz"


def write_record(folder, name, digital, comment="Age: 0  Sex: ?", leads=TWELVE_LEADS):
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        name,
        fs=500,
        units=["mV"] * 12,
        sig_name=list(leads),
        d_signal=digital,
        fmt=["16"] * 12,
        adc_gain=[200.0] * 12,
        baseline=[0] * 12,
        comments=[comment],
        write_dir=str(folder),
    )


def write_set_a(folder):
    """Write four records, of which the last two are copies."""
    digital = {str(1000 + i): RNG.integers(-400, 400, (5000, 12)) for i in range(3)}
    digital["1003"] = digital["1002"]
    comments = ("Age: 34  Sex: F", "Age: 0  Sex: M", "Age: 90 Sex: ?", "none")
    for (name, values), comment in zip(digital.items(), comments, strict=True):
        write_record(folder, name, values, comment)
    (folder / "RECORDS-acceptable").write_text("1000\n")
    (folder / "RECORDS-unacceptable").write_text("1002\n1003\n")
    return digital


def members(count=8, samples=2500, **changes):
    """Members that describe ``count`` recordings, of which the last two are copies."""
    groups = [str(100 + i) for i in range(count - 1)]
    return {
        "rec": np.array([str(100 + i) for i in range(count)]),
        "acceptable": (np.arange(count) % 2).astype(np.int8),
        "signal_group": np.array([*groups, groups[-1]]),
        "n_flat_leads": np.zeros(count, np.int8),
        "leads": np.array(TWELVE_LEADS),
        "uv_per_unit": np.int32(5),
        "fs": np.int32(250),
        "shape": np.array([count, 12, samples]),
    } | changes


def test_records_of_set_a(tmp_path):
    layout = get_layout("cinc2011")
    digital = write_set_a(tmp_path / "set-a")
    refs = {ref.record_id: ref for ref in layout.find(tmp_path)}
    assert [ref.subject_id for ref in refs.values()] == ["1000", "1001", "1002", "1002"]
    recordings = {name: layout.read(tmp_path, ref) for name, ref in refs.items()}
    for name, recording in recordings.items():
        independent = wfdb.rdrecord(str(tmp_path / "set-a" / name)).p_signal.T
        np.testing.assert_allclose(recording.signal, independent, atol=1e-6)
        np.testing.assert_allclose(recording.signal, digital[name].T / 200, atol=1e-6)
        assert recording.channels == TWELVE_LEADS
        assert set(recording.units) == {"mV"}
        assert recording.sampling_rate_hz == 500
    quality = {
        name: r.labels.get("quality", np.array([])).tolist() for name, r in recordings.items()
    }
    assert quality == {"1000": [0, 1], "1001": [], "1002": [1, 0], "1003": [1, 0]}
    assert [recording.conversions for recording in recordings.values()] == [
        (),
        (),
        (COPY,),
        (COPY,),
    ]
    assert [(r.attributes.get("age"), r.attributes.get("sex")) for r in recordings.values()] == [
        (34.0, "female"),
        (None, "male"),
        ("90+", None),
        (None, None),
    ]


def test_leads_of_another_order_are_put_into_order(tmp_path):
    layout = get_layout("cinc2011")
    digital = RNG.integers(-400, 400, (5000, 12))
    write_record(tmp_path, "1000", digital, leads=TWELVE_LEADS[::-1])
    (tmp_path / "RECORDS-acceptable").write_text("1000\n")
    (tmp_path / "RECORDS-unacceptable").write_text("")
    recording = layout.read(tmp_path, layout.find(tmp_path)[0])
    np.testing.assert_allclose(recording.signal, digital.T[::-1] / 200, atol=1e-6)


def test_hostile_sets(tmp_path):
    layout = get_layout("cinc2011")
    folder = tmp_path / "set-a"
    write_set_a(folder)
    (folder / "RECORDS-unacceptable").write_text("1000\n")
    with pytest.raises(DataError, match=r"lists 1000 both as acceptable and as unacceptable"):
        layout.find(tmp_path)
    (folder / "RECORDS-unacceptable").unlink()
    with pytest.raises(DataError, match=r"RECORDS-unacceptable is missing"):
        layout.find(tmp_path)
    (folder / "RECORDS-unacceptable").write_text("2000\n")
    refs = {ref.record_id: ref for ref in layout.find(tmp_path)}
    with pytest.raises(UnreadableError, match=r"2000.hea is missing"):
        layout.read(tmp_path, refs["2000"])
    data = (folder / "1000.dat").read_bytes()
    (folder / "1000.dat").write_bytes(data[:-2] + b"\x01\x01")
    with pytest.raises(UnreadableError, match=r"checksum"):
        layout.read(tmp_path, refs["1000"])
    write_record(folder, "1001", RNG.integers(-9, 9, (5000, 12)), leads=("V9", *TWELVE_LEADS[1:]))
    with pytest.raises(UnreadableError, match=r"names the signals V9, II,.*the twelve leads in mV"):
        layout.read(tmp_path, refs["1001"])
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "RECORDS-acceptable").write_text("")
    with pytest.raises(DataError, match=r"contains 2 lists RECORDS-acceptable"):
        layout.find(tmp_path)


def test_packed_recordings(tmp_path):
    layout = get_layout("cinc2011/flac")
    values = RNG.integers(-3000, 3000, (8, 12, 2500))
    values[-1] = values[-2]
    labels = np.array([0, 1, -1, 1, 0, 1, 0, 0], np.int8)
    write_packed(tmp_path, NAME, values, **members(acceptable=labels))
    refs = layout.find(tmp_path)
    assert len({ref.subject_id for ref in refs}) == 7
    assert refs[-1].subject_id == refs[-2].subject_id
    for row, ref in enumerate(refs):
        recording = layout.read(tmp_path, ref)
        np.testing.assert_allclose(recording.signal, values[row] * 5 / 1000, rtol=1e-6)
        assert recording.sampling_rate_hz == 250
        assert recording.units == ("mV",) * 12
        quality = recording.labels.get("quality")
        assert (-1 if quality is None else quality.argmax()) == labels[row]
        assert recording.conversions == ((COPY,) if row > 5 else ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": np.array([8, 12, 2000])}, r"has 240,000 values; .* describes 192,000"),
        ({"shape": np.array([8, 8, 2500])}, r"\(8, 12, samples\) and I, II"),
        ({"leads": np.array(TWELVE_LEADS[::-1])}, r"leads V6, V5"),
        ({"acceptable": np.full(8, 2, np.int8)}, r"'acceptable' has 2; 1 \(acceptable\)"),
        ({"rec": np.array(["100"])}, r"differ in their number of rows \(rec 1, acceptable 8"),
        ({"rec": np.array(["100"] * 8)}, r"record id '100' occurs twice"),
    ],
)
def test_hostile_packed_files(tmp_path, changes, message):
    write_packed(tmp_path, NAME, np.zeros((8, 12, 2500)), **members(**changes))
    with pytest.raises(DataError, match=message):
        get_layout("cinc2011/flac").find(tmp_path)


def test_damaged_packed_files(tmp_path):
    layout = get_layout("cinc2011/flac")
    write_packed(tmp_path, NAME, RNG.integers(-99, 99, (8, 12, 2500)), **members())
    refs = layout.find(tmp_path)
    path = tmp_path / f"{NAME}.flac"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(UnreadableError, match=rf"{NAME}.flac"):
        layout.read(tmp_path, refs[-1])
    path.write_bytes(b"no audio")
    with pytest.raises(UnreadableError, match=rf"{NAME}.flac cannot be read"):
        layout.find(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=rf"{NAME}.flac is missing"):
        layout.find(tmp_path)
    table = members()
    del table["signal_group"]
    np.savez(tmp_path / f"{NAME}.npz", **table)
    with pytest.raises(DataError, match=r"lacks the members signal_group; it has rec"):
        layout.find(tmp_path)


def test_a_debug_run_learns_quality(tmp_path):
    values = RNG.integers(-300, 300, (40, 12, 2500))
    values[-1] = values[-2]
    write_packed(tmp_path / "raw", NAME, values, **members(40))
    report = prepare("cinc2011/flac", tmp_path / "raw", tmp_path / "data")
    assert report.to_json()["conversions"] == {COPY: 2}
    assert report.num_subjects == 39
    evaluation = debug_run("cinc2011/flac", tmp_path / "data", tmp_path / "run")
    assert "test" in evaluation["evaluations"]


def test_the_packed_set_as_collected(shared):
    source = shared / "data" / "cinc2011"
    if not source.is_dir():
        pytest.skip(f"needs {source}")
    layout = get_layout("cinc2011/flac")
    refs = layout.find(source)
    assert len(refs) == 1000
    assert len({ref.subject_id for ref in refs}) == 1000 - 59
    flat = np.load(source / f"{NAME}.npz")["n_flat_leads"]
    for row in range(0, 1000, 50):
        signal = layout.read(source, refs[row]).signal
        assert (np.ptp(signal, axis=1) == 0).sum() == flat[row]
        # Einthoven: of an intact recording, lead III is II minus I.
        if not flat[row] and refs[row].details["quality"] == "acceptable":
            error = signal[2] - (signal[1] - signal[0])
            assert np.abs(error - np.median(error)).mean() < 0.1 * signal[1].std() + 0.02
