"""The layout of MIT-BIH: the data set as it is shipped."""

import shutil
from pathlib import Path

import numpy as np
import wfdb

from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.preparation.builder import make_builder
from physio_mae_jax.preparation.registry import get_layout
from tests.layouts import debug_run, prepare
from tests.preparation.layouts.records import write_record


def test_mitbih_as_it_is_shipped(shared, tmp_path):
    raw = tmp_path / "mitbih"
    raw.mkdir()
    for name in ("101", "114", "201"):
        for path in (shared / "data" / "mitbih_ds1").glob(f"{name}.*"):
            shutil.copy(path, raw)
    builder = make_builder(get_layout("mitbih"))(source=raw, data_dir=tmp_path / "out")
    builder.prepare()
    prepared = PreparedSource(Path(builder.data_dir))
    classes = prepared.metadata.task("beat")["classes"]
    for index, record in enumerate(prepared.records):
        reference = wfdb.rdrecord(str(raw / record.record_id))
        ours = prepared.read(index, 0, record.num_samples)
        assert np.abs(ours.T - reference.p_signal).max() <= 0.5 / min(reference.adc_gain)
        beats = wfdb.rdann(str(raw / record.record_id), "atr")
        normal = [int(s) for s, c in zip(beats.sample, beats.symbol, strict=True) if c in "NLRej"]
        assert [m[0] for m in record.annotations["beat"] if classes[m[2]] == "N"] == normal
        assert record.attributes["set"] == "DS1"
    assert prepared.recordings[1].channel_names == ("V5", "II")


def test_a_debug_run_learns_beats(tmp_path):
    """Of the set DS1 subjects are trained and validated on, those of DS2 are tested on."""
    raw, time = tmp_path / "raw", np.arange(20 * 360) / 360
    beats = np.arange(360, 18 * 360, 360)
    for name in ("101", "106", "108", "109", "112", "100", "103"):
        signal = np.random.default_rng(int(name)).normal(size=(2, len(time))) + np.sin(time)
        write_record(raw, name, signal, ["MLII", "V1"], ["mV", "mV"], rate_hz=360.0)
        symbols = [("N", "A", "V", "F")[i % 4] for i in range(len(beats))]
        wfdb.wrann(name, "atr", beats, symbols, write_dir=str(raw))
    prepare("mitbih", raw, tmp_path / "data")
    evaluation = debug_run("mitbih", tmp_path / "data", tmp_path / "run")
    assert evaluation["title"] == "beat on mitbih"
    assert evaluation["evaluations"]["test"]["num_subjects"] == 2
