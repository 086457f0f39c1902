"""The wrist of WESAD as exported: archives, labels by the double tap or the pickle, and the npz."""

import pickle
import zipfile

import numpy as np
import pytest

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.empatica import E4_CHANNELS
from physio_mae_jax.preparation.layouts.wesad_wrist import (
    AMBIGUOUS,
    BY_PICKLE,
    BY_TAP,
    NOT_FOUND,
    find_part,
)
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, only, prepare

RNG = np.random.default_rng(0)
START_S = 1495437325.0
TAP_S = 20.0
# Baseline, stress and amusement, one after another, in minutes.seconds.
QUEST = "# ORDER;Base;TSST;Fun;;\n# START;0.05;1;1.55;;\n# END;0.5;1.5;2.4;;\n"
SECONDS = 200


def sensors(seconds=SECONDS, taps=(TAP_S, TAP_S + 0.4)):
    """Return what the sensors recorded, as exported: ACC in counts, at rest but for taps."""
    acc = np.array([0, 38, 51]) + RNG.integers(-1, 2, (seconds * 32, 3))
    for time_s in taps:
        acc[round(time_s * 32) :, 2][:2] += np.array([100, 60])
    return {
        "BVP": RNG.normal(scale=50, size=(seconds * 64, 1)).round(2),
        "EDA": RNG.uniform(1, 2, (seconds * 4, 1)).round(6),
        "TEMP": np.full((seconds * 4, 1), 31.5),
        "ACC": acc,
    }


def text_of(values, rate_hz):
    head = [[f"{START_S:.2f}"] * values.shape[1], [f"{rate_hz}"] * values.shape[1]]
    rows = [[f"{value:g}" for value in row] for row in values]
    return "\n".join(",".join(row) for row in [*head, *rows]) + "\n"


def write_archive(folder, values, subject="S2", inside=""):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{subject}_E4_Data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rate_hz in {"BVP": 64, "EDA": 4, "TEMP": 4, "ACC": 32}.items():
            archive.writestr(f"{inside}{name}.csv", text_of(values[name], rate_hz))
        archive.writestr("__MACOSX/BVP.csv", "not data")
        archive.writestr("tags.csv", "")


def write_subject(root, subject="S2", quest=QUEST, **options):
    values = sensors(**options)
    write_archive(root / subject, values, subject)
    if quest:
        (root / subject / f"{subject}_quest.csv").write_text(quest)
    return values


def marks_of(recording, task):
    annotations = recording.annotations[task]
    rate_hz = recording.sampling_rate_hz
    rows = zip(annotations.start, annotations.stop, annotations.label, strict=True)
    return [(start / rate_hz, stop / rate_hz, int(label)) for start, stop, label in rows]


@pytest.mark.parametrize("inside", ["", "S2_E4_Data/"])
def test_archives_are_read_without_unpacking(tmp_path, inside):
    values = sensors()
    write_archive(tmp_path / "S2", values, inside=inside)
    ref, recording = only(get_layout("wesad/e4"), tmp_path)
    assert (ref.record_id, ref.subject_id) == ("S2/S2_E4_Data", "S2")
    assert recording.channels == E4_CHANNELS
    length = recording.signal.shape[1]
    bvp = values["BVP"][:length, 0].astype(np.float32)
    np.testing.assert_array_equal(recording.signal[0], bvp)
    assert recording.annotations == {}
    assert sorted(path.name for path in (tmp_path / "S2").iterdir()) == ["S2_E4_Data.zip"]


def test_an_archive_that_was_unpacked_counts_once(tmp_path):
    write_subject(tmp_path)
    with zipfile.ZipFile(tmp_path / "S2" / "S2_E4_Data.zip") as archive:
        archive.extractall(tmp_path / "S2" / "S2_E4_Data")
    packed = get_layout("wesad/e4").read(tmp_path, get_layout("wesad/e4").find(tmp_path)[0])
    (tmp_path / "S2" / "S2_E4_Data" / "__MACOSX" / "BVP.csv").unlink()
    ref, unpacked = only(get_layout("wesad/e4"), tmp_path)
    assert ref.files[0] == "S2/S2_E4_Data/BVP.csv"
    assert ref.files[-1] == "S2/S2_quest.csv"
    np.testing.assert_array_equal(packed.signal, unpacked.signal)
    assert marks_of(unpacked, "affect")[1][2] == 1


def test_labels_by_the_double_tap(tmp_path):
    write_subject(tmp_path)
    _, recording = only(get_layout("wesad/e4"), tmp_path)
    length_s = recording.signal.shape[1] / 64
    assert recording.attributes["protocol_start_s"] == TAP_S
    # Ten seconds at both ends of a condition have no label.
    assert marks_of(recording, "affect") == [
        (0.0, 35.0, 0),
        (35.0, 60.0, 1),
        (60.0, 90.0, 0),
        (90.0, 120.0, 2),
        (120.0, 145.0, 0),
        (145.0, 170.0, 3),
        (170.0, length_s, 0),
    ]
    assert marks_of(recording, "stress") == [(35.0, 60.0, 0), (90.0, 120.0, 1), (145.0, 170.0, 0)]
    assert BY_TAP in recording.conversions
    assert AMBIGUOUS not in recording.conversions


def test_a_second_pair_of_taps_is_reported(tmp_path):
    write_subject(tmp_path, taps=(TAP_S, TAP_S + 0.4, 28, 28.4))
    _, recording = only(get_layout("wesad/e4"), tmp_path)
    assert AMBIGUOUS in recording.conversions
    assert recording.attributes["next_tap_contrast"] > 0.8 * recording.attributes["tap_contrast"]


def test_a_protocol_without_a_tap_is_an_error(tmp_path):
    write_subject(tmp_path, taps=())
    with pytest.raises(UnreadableError, match=r"has no double tap in the first 40 s; .* 160 s"):
        only(get_layout("wesad/e4"), tmp_path)


def write_pickle(root, values, first, subject="S2"):
    """Write what follows sample ``first`` of ACC as a pickle, with labels at 700 Hz."""
    acc = values["ACC"][first:].astype(float)
    seconds = len(acc) / 32
    label = np.zeros(round(seconds * 700), np.int32)
    label[700:7000], label[14000:21000], label[21000:] = 1, 2, 7
    content = {
        "subject": subject,
        "label": label,
        "signal": {"chest": {}, "wrist": {"ACC": acc}},
    }
    (root / subject / f"{subject}.pkl").write_bytes(pickle.dumps(content, 2))


def test_labels_of_the_pickle(tmp_path):
    values = write_subject(tmp_path)
    write_pickle(tmp_path, values, first=640)
    _, recording = only(get_layout("wesad/e4"), tmp_path)
    length_s = recording.signal.shape[1] / 64
    assert marks_of(recording, "affect") == [
        (20.0, 21.0, 0),
        (21.0, 30.0, 1),
        (30.0, 40.0, 0),
        (40.0, 50.0, 2),
        (50.0, length_s, 0),
    ]
    assert BY_PICKLE in recording.conversions
    assert BY_TAP not in recording.conversions
    assert "protocol_start_s" not in recording.attributes


def test_a_pickle_of_another_recording_is_not_used(tmp_path):
    write_subject(tmp_path)
    write_pickle(tmp_path, sensors(), first=640)
    _, recording = only(get_layout("wesad/e4"), tmp_path)
    assert recording.conversions[-2:] == (NOT_FOUND, BY_TAP)
    (tmp_path / "S2" / "S2_quest.csv").unlink()
    _, recording = only(get_layout("wesad/e4"), tmp_path)
    assert recording.conversions[-1] == NOT_FOUND
    assert recording.annotations == {}


def test_parts_that_are_there_once_only_are_found():
    whole = RNG.integers(-64, 64, (2000, 3)).astype(float)
    assert find_part(whole, whole[500:1500]) == 500
    assert find_part(whole, whole) == 0
    changed = whole[500:1500].copy()
    changed[-1] += 1
    assert find_part(whole, changed) is None
    assert find_part(np.zeros((2000, 3)), np.zeros((1000, 3))) is None
    assert find_part(whole[:100], whole) is None
    assert find_part(whole, whole[:, :2]) is None


def test_hostile_archives(tmp_path):
    layout = get_layout("wesad/e4")
    path = tmp_path / "S2_E4_Data.zip"
    write_archive(tmp_path, sensors(60))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableError, match=r"S2_E4_Data.zip cannot be read .*BadZipFile"):
        only(layout, tmp_path)
    path.write_bytes(content[:2000] + bytes(50) + content[2050:])
    with pytest.raises(UnreadableError, match=r"S2_E4_Data.zip, member 'BVP.csv' cannot be read"):
        only(layout, tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("BVP.csv", "1495437325\n64\n0\n")
    with pytest.raises(DataError, match=r"lacks ACC.csv, EDA.csv, TEMP.csv; it has BVP.csv"):
        only(layout, tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("BVP", "EDA", "TEMP", "ACC"):
            archive.writestr(f"{name}.csv", "1495437325\n64\nx\n")
    with pytest.raises(UnreadableError, match=r"member 'BVP.csv', line 3: column 1 reads 'x'"):
        only(layout, tmp_path)
    write_archive(tmp_path, sensors(60))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/BVP.csv", "1495437325\n64\n0\n")
    with pytest.raises(DataError, match=r"contains BVP.csv twice"):
        only(layout, tmp_path)


def members(subject="S7", **changes):
    values = sensors()
    labels = np.repeat([0, 1, 5, 2, 3, 7], [30, 40, 10, 50, 40, 30]).astype(np.int8)
    return {
        f"{subject}_{name}": value
        for name, value in (
            {
                "BVP": np.round(values["BVP"][:, 0] * 100).astype(np.int32),
                "EDA": values["EDA"][:, 0].astype(np.float32),
                "TEMP": values["TEMP"][:, 0].astype(np.float32),
                "ACC": values["ACC"].astype(np.int16),
                "label1hz": labels,
                "t0_unix": np.float64(START_S),
                "protocol_offset_s": np.float64(TAP_S),
            }
            | changes
        ).items()
    }


def test_the_collected_file(tmp_path):
    content = members()
    np.savez(tmp_path / "wesad_e4.npz", **content)
    ref, recording = only(get_layout("wesad/npz"), tmp_path)
    assert ref.subject_id == "S7"
    length = recording.signal.shape[1]
    np.testing.assert_allclose(recording.signal[0], content["S7_BVP"][:length] / 100, rtol=1e-6)
    np.testing.assert_allclose(
        recording.signal[5, ::2][500:600], content["S7_ACC"][500:600, 2] / 64, atol=0.05
    )
    assert marks_of(recording, "affect") == [
        (0.0, 30.0, 0),
        (30.0, 70.0, 1),
        (70.0, 80.0, 0),
        (80.0, 130.0, 2),
        (130.0, 170.0, 3),
        (170.0, length / 64, 0),
    ]
    assert recording.attributes["protocol_start_s"] == TAP_S


def test_hostile_collected_files(tmp_path):
    layout = get_layout("wesad/npz")
    path = tmp_path / "wesad_e4.npz"
    np.savez(path, **members(label1hz=np.array([0, 8])))
    with pytest.raises(
        UnreadableError, match="subject S7: 'label1hz' must have one label per second, from 0 to 7"
    ):
        only(layout, tmp_path)
    np.savez(path, **members(ACC=np.zeros((10, 2))))
    with pytest.raises(UnreadableError, match=r"ACC has shape \(10, 2\)"):
        only(layout, tmp_path)
    np.savez(path, **{k: v for k, v in members().items() if k != "S7_t0_unix"})
    with pytest.raises(DataError, match="lacks the member 'S7_t0_unix'"):
        only(layout, tmp_path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(DataError, match="no member such as 'S2_BVP'; it has other"):
        layout.find(tmp_path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    for number in range(2, 8):
        write_subject(root / "raw", f"S{number}")
    report = prepare("wesad/e4", root / "raw", root / "data")
    assert report.to_json()["conversions"][BY_TAP] == report.num_subjects == 6
    return root / "data"


@pytest.mark.parametrize(
    ("task", "classes"), [("affect", "baseline,stress,amusement"), ("stress", "")]
)
def test_debug_runs_learn_affect_and_stress(prepared, tmp_path, task, classes):
    changes = {"labels.task": task, "labels.classes": classes}
    evaluation = debug_run("wesad/e4", prepared, tmp_path / "run", **changes)
    assert "test" in evaluation["evaluations"]


def test_exports_agree_with_the_collected_file(shared):
    source = shared / "data" / "wesad_e4"
    if not source.is_dir():
        pytest.skip(f"needs {source}")
    collected_layout, layout = get_layout("wesad/npz"), get_layout("wesad/e4")
    collected = {ref.record_id: ref for ref in collected_layout.find(source)}
    assert len(collected) == 10
    for ref in layout.find(source / "native"):
        exported = layout.read(source / "native", ref)
        other = collected_layout.read(source, collected[ref.subject_id])
        np.testing.assert_allclose(exported.signal, other.signal, rtol=1e-5, atol=2e-4)
        start_s = exported.attributes["protocol_start_s"]
        assert start_s == other.attributes["protocol_start_s"]
        for task in ("affect", "stress"):
            found, wanted = marks_of(exported, task), marks_of(other, task)
            # The file has whole seconds.
            assert [mark[2] for mark in found] == [mark[2] for mark in wanted]
            np.testing.assert_allclose(found, wanted, atol=1)
