"""The layout of Sleep-EDF: nights and their stages."""

import datetime
import shutil

import edfio
import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, only, prepare
from tests.preparation.layouts.records import marks_of

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")


def write_night(folder, night="SC4001", emg_rate=1, stages=None, letter="E", start=(16, 13, 0)):
    folder.mkdir(parents=True, exist_ok=True)
    seconds = 120
    signals = []
    for label, rate in (
        ("EEG Fpz-Cz", 100),
        ("EEG Pz-Oz", 100),
        ("EOG horizontal", 100),
        ("EMG submental", emg_rate),
        ("Temp rectal", 1),
    ):
        data = RNG.uniform(-190, 190, seconds * rate)
        signals.append(
            edfio.EdfSignal(
                data,
                rate,
                label=label,
                physical_dimension="uV",
                physical_range=(-200, 200),
                digital_range=(-2048, 2047),
            )
        )
    begin = datetime.time(16, 13, 0)
    patient = edfio.Patient(sex="F", name="X", additional=["Female_33yr"])
    edfio.Edf(signals, patient=patient, starttime=begin, data_record_duration=30).write(
        folder / f"{night}{letter}0-PSG.edf"
    )
    stages = stages or [(0, 30, "W"), (30, 30, "3"), (60, 30, "4"), (90, 60, "R"), (150, 30, "?")]
    annotations = [
        edfio.EdfAnnotation(onset, length, name if " " in name else f"Sleep stage {name}")
        for onset, length, name in stages
    ]
    edfio.Edf([], annotations=annotations, starttime=datetime.time(*start)).write(
        folder / f"{night}{letter}C-Hypnogram.edf"
    )
    return [signal.data for signal in signals]


def test_sleep_edf(tmp_path):
    written = write_night(tmp_path / "sleep-cassette", "SC4001")
    write_night(tmp_path / "sleep-cassette", "SC4002")
    write_night(tmp_path / "sleep-telemetry", "ST7011", emg_rate=100, letter="J")
    layout = get_layout("sleep_edf")
    refs = layout.find(tmp_path)
    assert [(r.record_id, r.subject_id) for r in refs] == [
        ("SC4001", "SC400"),
        ("SC4002", "SC400"),
        ("ST7011", "ST701"),
    ]
    recording = layout.read(tmp_path, refs[0])
    np.testing.assert_allclose(recording.signal, np.stack(written[:3]), atol=1e-4)
    assert recording.channels == ("EEG_FPZ_CZ", "EEG_PZ_OZ", "EOG")
    assert recording.units == ("uV", "uV", "uV")
    assert recording.sampling_rate_hz == 100
    assert recording.conversions == (
        "EMG submental: excluded, 1 Hz",
        "Temp rectal: excluded, 1 Hz",
    )
    assert recording.attributes == {"study": "cassette", "night": 1, "sex": "female", "age": 33.0}
    assert marks_of(recording, "stage") == [
        (0, 3000, 0),
        (3000, 6000, 3),
        (6000, 9000, 3),
        (9000, 12000, 4),
    ]
    telemetry = layout.read(tmp_path, refs[2])
    assert telemetry.channels == ("EEG_FPZ_CZ", "EEG_PZ_OZ", "EOG", "EMG")
    assert telemetry.conversions == ("Temp rectal: excluded, 1 Hz",)


def test_sleep_edf_stages_after_the_end_are_excluded_and_counted(tmp_path):
    stages = [(0, 90, "1"), (90, 30, "Movement time"), (120, 30, "W")]
    write_night(tmp_path, stages=stages)
    _, recording = only(get_layout("sleep_edf"), tmp_path)
    assert marks_of(recording, "stage") == [(0, 9000, 1)]
    assert recording.attributes["stages_after_the_end"] == 1


def test_sleep_edf_hostile_files(tmp_path):
    layout = get_layout("sleep_edf")
    write_night(tmp_path, stages=[(0, 30, "5")])
    with pytest.raises(UnreadableError, match=r"'Sleep stage 5' at 0 s"):
        only(layout, tmp_path)
    write_night(tmp_path, start=(17, 0, 0))
    with pytest.raises(UnreadableError, match=r"begins at 17:00:00.* not from the same night"):
        only(layout, tmp_path)
    write_night(tmp_path)
    night = tmp_path / "SC4001E0-PSG.edf"
    content = night.read_bytes()
    for kept in (len(content) - 1000, 300, 100, 0):
        night.write_bytes(content[:kept])
        with pytest.raises(UnreadableError, match=r"SC4001E0-PSG.edf cannot be read"):
            only(layout, tmp_path)
    night.write_bytes(content)
    shutil.copy(tmp_path / "SC4001EC-Hypnogram.edf", tmp_path / "SC4001EH-Hypnogram.edf")
    with pytest.raises(DataError, match=r"needs one SC4001E.-Hypnogram.edf beside it; found: SC"):
        layout.find(tmp_path)
    for path in tmp_path.glob("*Hypnogram.edf"):
        path.unlink()
    with pytest.raises(DataError, match=r"found: none"):
        layout.find(tmp_path)
    write_night(tmp_path)
    write_night(tmp_path / "again")
    with pytest.raises(DataError, match=r"record id 'SC4001' occurs twice"):
        layout.find(tmp_path)


def test_a_debug_run_learns_stages(tmp_path):
    stages = [(24 * i, 24, stage) for i, stage in enumerate("W123R")]
    for subject in range(8):
        write_night(tmp_path / "raw", f"SC4{subject:02d}1", stages=stages)
    prepare("sleep_edf", tmp_path / "raw", tmp_path / "data")
    evaluation = debug_run("sleep_edf", tmp_path / "data", tmp_path / "run")
    assert evaluation["title"] == "stage on sleep_edf"
