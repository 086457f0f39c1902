"""Variables of MATLAB files: which one is the signal."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import io

from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.errors import DataError
from tests.vendor_files import open_one, read_all

X = np.random.default_rng(7).normal(size=(2, 1500))
NAMES = np.array(["II", "PPG"], dtype=object)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ({"X": X, "channels": NAMES, "fs": 125.0}, X),
        ({"data": X.T, "labels": NAMES, "Fs": np.uint16(125)}, X),
        ({"signal": (X * 1000).astype("int16"), "leads": NAMES, "sampling_rate": 125}, X),
        ({"ecg": X.astype("float32"), "ch_names": ["II ", "PPG"], "srate": 125.0}, X),
        ({"rec7": X, "names": NAMES, "freq": 125.0, "units": "mV"}, X),
    ],
)
def test_files_that_describe_themselves(content, wanted, compressed, tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", content, do_compression=compressed)
    source = open_one(tmp_path)
    info = source.recordings[0]
    assert (info.channel_names, info.sampling_rate_hz) == (("II", "PPG"), 125)
    assert info.units == ("mV" if "units" in content else "",) * 2
    scale = 1000 if "signal" in content else 1
    wanted = (wanted * scale).astype("int16") if scale > 1 else wanted
    np.testing.assert_allclose(read_all(source), wanted.astype(np.float32), rtol=1e-6)


def test_a_manifest_states_the_rest(tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", {"a": X[0], "b": X, "note": "text", "n": 3.0})
    entry = {"file": "a.mat", "array": "?", "sampling_rate_hz": "?", "channels": ["?"]}
    assert draft_manifest(tmp_path) == {"recordings": [entry]}
    entry = {"file": "a.mat", "array": "b", "sampling_rate_hz": 100, "channels": ["I", "PPG"]}
    manifest = {"recordings": [entry | {"axes": ["channel", "sample"]}]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    np.testing.assert_allclose(read_all(open_folder(tmp_path)), X, rtol=1e-6)
    manifest["recordings"][0] |= {"array": "a", "channels": ["I"], "axes": ["sample"]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    np.testing.assert_allclose(read_all(open_folder(tmp_path)), X[:1], rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "array", "message"),
    [
        ({"EEG": {"data": X, "srate": 100}}, None, r"no array of numbers .*EEG \(struct 1x1\)"),
        ({"X": X}, "Y", "variable 'Y' of .* is absent"),
        ({"X": X, "s": "text"}, "s", "variable 's' of .* is text"),
        ({"X": X + 1j}, "X", "variable 'X' of .* is complex"),
        ({"fs": 100.0}, None, "no array of numbers"),
    ],
)
def test_files_without_a_signal(content, array, message: str, tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", content)
    entry = {"file": "a.mat", "sampling_rate_hz": 100, "channels": ["I", "II"]}
    entry |= {"array": array} if array else {}
    (tmp_path / "manifest.json").write_text(json.dumps({"recordings": [entry]}))
    with pytest.raises(DataError, match=message):
        read_all(open_folder(tmp_path))
