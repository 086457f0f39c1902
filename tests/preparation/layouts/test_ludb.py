"""The layout of LUDB, against wfdb."""

import csv
import itertools
import re
import tarfile

import numpy as np
import pytest
import wfdb

from physio_mae_jax.data.formats.file_facts import UnreadableError
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sample_labels import SampleLabels
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.window_transform import WindowConfig
from physio_mae_jax.data.windows import WindowReader
from physio_mae_jax.errors import DataError
from physio_mae_jax.preparation.layouts.ludb import WAVES
from physio_mae_jax.preparation.registry import get_layout
from physio_mae_jax.signals.channels import TWELVE_LEADS
from tests.layouts import debug_run, prepare
from tests.prepared import prepare_made_up

LAYOUT = get_layout("ludb")
TASKS = {task.name: task for task in LAYOUT.tasks}
COLUMNS = (
    *("ID", "Sex", "Age", "Rhythms", "Electric axis of the heart", "Conduction abnormalities"),
    *("Extrasystolies", "Hypertrophies", "Cardiac pacing", "Ischemia"),
    *("Non-specific repolarization abnormalities", "Other states"),
)
# Onset, peak and offset of a P wave, a QRS complex and a T wave.
BEAT = [
    *((100, "("), (110, "p"), (120, ")"), (160, "("), (170, "N"), (185, ")")),
    *((240, "("), (260, "t"), (290, ")")),
]


def write_record(folder, name, marks=BEAT, seconds=10, seed=0):
    """Write a record and the same annotations for each lead; return its samples [12, n]."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    samples = rng.integers(-900, 900, (12, seconds * 500))
    leads = [lead.lower() for lead in TWELVE_LEADS]
    wfdb.wrsamp(
        name,
        fs=500,
        units=["mV"] * 12,
        sig_name=leads,
        d_signal=samples.T,
        fmt=["16"] * 12,
        adc_gain=[1000.0] * 12,
        baseline=list(range(12)),
        write_dir=str(folder / "data"),
    )
    positions, symbols = (np.array(column) for column in zip(*marks, strict=True))
    # wfdb writes no files that end in a digit.
    wfdb.wrann(name, "all", positions, list(symbols), write_dir=str(folder / "data"))
    written = folder / "data" / f"{name}.all"
    for lead in leads:
        written.with_suffix(f".{lead}").write_bytes(written.read_bytes())
    return samples


def write_table(folder, *rows):
    folder.mkdir(exist_ok=True)
    with (folder / "ludb.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for number, row in enumerate(rows, start=1):
            usual = {"ID": number, "Sex": "F\n", "Age": "51\n", "Rhythms": "Sinus rhythm"}
            axis = {"Electric axis of the heart": "Electric axis of the heart: normal"}
            writer.writerow(usual | axis | row)


def names(recording, task):
    return {TASKS[task].classes[i] for i in recording.labels[task].nonzero()[0]}


def marks_of(recording, task):
    found = recording.annotations[task]
    rows = zip(found.start.tolist(), found.stop.tolist(), found.label.tolist(), strict=True)
    return [(start, stop, TASKS[task].classes[label]) for start, stop, label in rows]


def test_statements_become_classes(tmp_path):
    write_table(
        tmp_path,
        {
            "Rhythms": "Sinus bradycardia\nWandering atrial pacemaker",
            "Conduction abnormalities": "I degree av block\nIncomplete right bundle branch block",
            "Extrasystolies": "Atrial extrasystole: undefined\nAtrial extrasystole, type: bigemini",
            "Hypertrophies": "Left atrial hypertrophy\nLeft ventricular overload",
            "Ischemia": "Scar formation: septal\nUndefined ischemia/scar/supp.nstemi: septal",
        },
        {
            "Sex": "M",
            "Age": ">89\n",
            "Electric axis of the heart": "",
            "Cardiac pacing": "Biventricular pacing",
            "Non-specific repolarization abnormalities": "Non-specific repolarization "
            "abnormalities: apical",
        },
    )
    samples = [write_record(tmp_path, name, seed=int(name)) for name in ("1", "2")]
    first, second = (LAYOUT.read(tmp_path, ref) for ref in LAYOUT.find(tmp_path))
    np.testing.assert_allclose(
        first.signal, (samples[0] - np.arange(12)[:, None]) / 1000, rtol=1e-6
    )
    assert first.channels == TWELVE_LEADS
    assert first.units == ("mV",) * 12
    assert first.sampling_rate_hz == 500
    assert names(first, "rhythm") == {"sinus_bradycardia"}
    assert names(first, "axis") == {"normal"}
    assert names(first, "conduction") == {"1AVB", "IRBBB"}
    assert names(first, "extrasystole") == {"atrial"}
    assert names(first, "hypertrophy") == {"left_atrial_hypertrophy", "left_ventricular_overload"}
    assert names(first, "ischemia") == {"scar", "undefined"}
    assert names(first, "pacemaker") == {"no"}
    assert (first.attributes["sex"], first.attributes["age"]) == ("female", 51.0)
    assert first.attributes["statements"].startswith("Sinus bradycardia; Wandering atrial")
    assert "axis" not in second.labels
    assert names(second, "pacemaker") == {"yes"}
    assert names(second, "repolarization_abnormality") == {"yes"}
    assert names(second, "conduction") == set()
    assert (second.attributes["sex"], second.attributes["age"]) == ("male", ">89")


def test_waves_are_intervals_that_include_onset_and_offset(tmp_path):
    write_table(tmp_path, {})
    # Then a QRS complex without an onset, and a T wave without an offset.
    write_record(tmp_path, "1", [*BEAT, (400, "N"), (420, ")"), (450, "("), (470, "t")])
    (ref,) = LAYOUT.find(tmp_path)
    recording = LAYOUT.read(tmp_path, ref)
    for lead in TWELVE_LEADS:
        waves = marks_of(recording, f"wave_{lead}")
        assert waves == [(100, 121, "P"), (160, 186, "QRS"), (240, 291, "T")]
    peaks = [(110, "P"), (170, "QRS"), (260, "T"), (400, "QRS"), (470, "T")]
    assert marks_of(recording, "peak") == [(p, p + 1, name) for p, name in peaks]
    assert recording.attributes["incomplete_waves"] == 2 * 12
    # What follows the last complete wave is not annotated.
    assert recording.annotated == {f"wave_{lead}": [(100, 291)] for lead in TWELVE_LEADS}


@pytest.mark.parametrize("marks", [[(400, "N"), (420, ")")], [(400, "("), (420, ")")]])
def test_nothing_is_known_between_waves_around_an_incomplete_one(tmp_path, marks):
    write_table(tmp_path, {})
    later = [(sample + 1000, symbol) for sample, symbol in BEAT]
    write_record(tmp_path, "1", [*BEAT, *marks, *later])
    (ref,) = LAYOUT.find(tmp_path)
    assert LAYOUT.read(tmp_path, ref).annotated["wave_V1"] == [(100, 291), (1100, 1291)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"Rhythms": "Sinus rhythm\nAtrial fibrillation"}, r"2 classes of 'rhythm' where one"),
        ({"Rhythms": ""}, r"ID 1: Rhythms reads '', 0 classes of 'rhythm'"),
        ({"Ischemia": "Nothing"}, r"Ischemia reads 'Nothing', which is not known"),
    ],
)
def test_tables_of_other_content_are_rejected(tmp_path, row, message):
    write_table(tmp_path, row)
    with pytest.raises(DataError, match=message):
        LAYOUT.find(tmp_path)


def test_broken_records_are_rejected(tmp_path):
    write_table(tmp_path, {}, {"ID": 1})
    with pytest.raises(DataError, match=r"record id '1' occurs twice"):
        LAYOUT.find(tmp_path)
    write_table(tmp_path, {})
    (ref,) = LAYOUT.find(tmp_path)
    with pytest.raises(DataError, match=r"1\.hea is missing"):
        LAYOUT.read(tmp_path, ref)
    write_record(tmp_path, "1", [*BEAT, (6000, "N")])
    with pytest.raises(UnreadableError, match=r"1\.i has 'N' at sample 6000 of 5000"):
        LAYOUT.read(tmp_path, ref)
    write_record(tmp_path, "1", [*BEAT, (400, "V")])
    with pytest.raises(UnreadableError, match=r"1\.i has 'V' at sample 400"):
        LAYOUT.read(tmp_path, ref)
    write_record(tmp_path, "1")
    (tmp_path / "data" / "1.v6").unlink()
    with pytest.raises(UnreadableError, match=r"1\.v6 is missing"):
        LAYOUT.read(tmp_path, ref)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    rhythms = ("Sinus rhythm", "Sinus bradycardia", "Atrial fibrillation")
    write_table(root / "raw", *({"Rhythms": rhythms[i % 3]} for i in range(18)))
    beats = [(m + 1000 * i, s) for i in range(5) for m, s in BEAT]
    for i in range(18):
        write_record(root / "raw", str(i + 1), beats, seed=i)
    prepare("ludb", root / "raw", root / "data")
    return root / "data"


@pytest.mark.parametrize("task", ["rhythm", "peak", "waves"])
def test_a_few_steps_of_the_tasks(prepared, tmp_path, task):
    changes = {"labels.window_seconds": 3.0} if task == "peak" else {}
    evaluation = debug_run("ludb", prepared, tmp_path / "run", task=task, **changes)
    assert evaluation["title"] == f"{task} on ludb"
    classes = evaluation["evaluations"]["test"]["classes"]
    assert len(classes) == 3 + (task == "waves")


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ludb")
    archive = shared / "data" / "ludb" / "ludb_1.0.1_native.tar.xz"
    if not archive.is_file():
        pytest.skip(f"needs {archive}")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (inner,) = folder.iterdir()
    return inner


def test_real_files_equal_those_of_wfdb(real):
    refs = LAYOUT.find(real)
    assert len(refs) == 200
    # Records 7, 104 and 116 have waves without an onset or an offset.
    for ref in [refs[i] for i in (0, 6, 7, 103, 115, 199)]:
        recording = LAYOUT.read(real, ref)
        path = str(real / "data" / ref.record_id)
        expected = wfdb.rdrecord(path)
        np.testing.assert_allclose(recording.signal, expected.p_signal.T, rtol=1e-5, atol=1e-6)
        num_peaks = num_waves = 0
        for lead in TWELVE_LEADS:
            found = wfdb.rdann(path, lead.lower())
            num_peaks += sum(symbol in "pNt" for symbol in found.symbol)
            waves = marks_of(recording, f"wave_{lead}")
            num_waves += len(waves)
            onsets = {s for s, c in zip(found.sample, found.symbol, strict=True) if c == "("}
            offsets = {s for s, c in zip(found.sample, found.symbol, strict=True) if c == ")"}
            assert {start for start, _, _ in waves} <= onsets
            assert {stop - 1 for _, stop, _ in waves} <= offsets
            # One class a sample.
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(waves))
        assert num_peaks - num_waves == recording.attributes["incomplete_waves"]


def test_real_labels_of_samples_equal_those_of_wfdb(real, tmp_path):
    """Value by value at 500 Hz, in records with complete and with incomplete waves."""
    refs = {ref.record_id: ref for ref in LAYOUT.find(real)}
    names = ("1", "7", "8", "95", "116", "200")
    recordings = [(name, name, LAYOUT.read(real, refs[name])) for name in names]
    source = PreparedSource(prepare_made_up(tmp_path, "few", LAYOUT.tasks, recordings))
    joined = ConcatSource([source], [range(len(names))])
    window = WindowConfig(
        channels="12_lead", num_channels=12, sampling_rate_hz=500.0, num_samples=2500
    )
    labels = SampleLabels(joined, WindowReader(joined, window), "waves", WAVES)
    for index, info in enumerate(source.recordings):
        (first, second) = labels.of_windows([(index, 0), (index, 2500)])
        found = np.concatenate([first, second], axis=1)
        for row, lead in enumerate(TWELVE_LEADS):
            path = str(real / "data" / info.record_id)
            expected = labels_by_wfdb(wfdb.rdann(path, lead.lower()), 5000)
            np.testing.assert_array_equal(found[row], expected)


def labels_by_wfdb(marks, num_samples):
    """Label samples by the marks of a lead, read as text: '(p)' is a P wave."""
    text = "".join(marks.symbol)
    labels, end = np.full(num_samples, -1), None
    for match in re.finditer(r"\((p|N|t)\)", text):
        onset, _, offset = marks.sample[match.start() : match.end()].tolist()
        if end is not None and match.start() == end[0]:
            labels[end[1] : onset] = 0  # directly after the wave before
        labels[onset : offset + 1] = 1 + "pNt".index(match[1])
        end = (match.end(), offset + 1)
    return labels


def test_real_diagnoses_are_as_many_as_the_readme_counts(real):
    counts = {}
    for ref in LAYOUT.find(real):
        for task, classes in ref.details["labels"].items():
            for name in classes:
                counts[task, name] = counts.get((task, name), 0) + 1
    assert counts["rhythm", "sinus_rhythm"] == 143
    assert counts["rhythm", "atrial_fibrillation"] == 15
    assert counts["axis", "left"] == 66
    assert counts["conduction", "IRBBB"] == 29
    assert counts["hypertrophy", "left_ventricular_hypertrophy"] == 108
    assert counts["pacemaker", "yes"] == 10
