"""Which columns of a table are channels: never a clock, a counter, a label or a subject."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import draft_manifest, open_folder
from physio_mae_jax.errors import DataError
from tests.folders import whole
from tests.tables import NUM_SAMPLES, RATE_HZ, noise, times_s, write_table

COUNT = np.arange(NUM_SAMPLES)


def signals(**columns: Any) -> dict[str, Any]:
    return {"time": times_s(), "II": noise(), **columns}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
class TestColumns:
    @pytest.mark.parametrize("name", ["sample", "index", "Unnamed: 0", "elapsed_s", "ts", "n"])
    def test_counters_and_clocks_are_excluded_with_a_warning(
        self, kind: str, name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        ramp = times_s() if name in ("elapsed_s", "ts") else COUNT
        write_table(tmp_path, kind, {"II": noise(), name: ramp, "V5": noise(1)},
                    sampling_rate_hz=RATE_HZ)  # fmt: skip
        with caplog.at_level(logging.WARNING):
            source = open_folder(tmp_path)
        assert source.recordings[0].channel_names == ("II", "V5")
        np.testing.assert_allclose(whole(source), np.float32([noise(), noise(1)]))
        used = name in ("elapsed_s", "ts")
        assert (repr(name) in caplog.text) != used

    @pytest.mark.parametrize(
        ("name", "values", "reason"),
        [
            ("rhythm_code", COUNT // 100, "label or an id"),
            ("subject", np.full(NUM_SAMPLES, 7), "label or an id"),
            ("who", COUNT // 100, "rises monotonically"),
            ("what", (COUNT // 30) % 3, "3 different whole numbers"),
            ("what", (COUNT // 30) % 3 / 4, "3 different values"),
            ("what", np.full(NUM_SAMPLES, 2.5), "one value throughout"),
            ("what", COUNT * 0.5 + 3, "changes by 0.5 from sample to sample"),
            ("what", COUNT % 256, "changes by 1 from sample to sample"),
            ("i", COUNT, "changes by 1"),
            ("what", np.cumsum(np.abs(noise(3)) + 0.1), "rises monotonically"),
            (
                "what",
                np.repeat(np.arange(200, 100, -2), 11)[:NUM_SAMPLES],
                "stays the same",
            ),
            ("remark", np.array(["ok", "bad"] * 200), "holds .*(text|string)"),
        ],
    )
    def test_what_may_be_no_signal_is_asked(
        self, kind: str, name: str, values: np.ndarray, reason: str, tmp_path: Path
    ) -> None:
        write_table(tmp_path, kind, signals(**{name: values}))
        with pytest.raises(DataError, match=rf"(?s)'channels' \('{name}' .*{reason}"):
            open_folder(tmp_path)
        assert draft_manifest(tmp_path) == {
            "recordings": [{"file": f"t.{kind}", "channels": ["II"]}]
        }

    def test_what_a_manifest_lists_is_taken(self, kind: str, tmp_path: Path) -> None:
        label = COUNT // 100
        write_table(
            tmp_path, kind, signals(label=label, sample=COUNT), channels=["label", "sample"]
        )
        source = open_folder(tmp_path)
        assert source.recordings[0].channel_names == ("label", "sample")
        np.testing.assert_array_equal(whole(source), [label, COUNT])
        write_table(tmp_path, kind, signals(label=label), channels={"II": "I"})
        assert open_folder(tmp_path).recordings[0].channel_names == ("I",)
        write_table(tmp_path, kind, signals(label=label), channels=["V1"])
        with pytest.raises(DataError, match=r"'V1' is not in .*; it has II, label"):
            open_folder(tmp_path)

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("EDA", COUNT // 50),
            ("SpO2", 97 + (COUNT // 90) % 2),
            ("ACC_X", np.round(noise(5)) % 5),
            ("V5", np.round(noise(5) * 3) / 4),
            ("PPG", np.zeros(NUM_SAMPLES)),
            ("HR", 80 + (COUNT // 60) % 4),
        ],
    )
    def test_known_channels_are_channels_whatever_they_hold(
        self, kind: str, name: str, values: np.ndarray, tmp_path: Path
    ) -> None:
        write_table(tmp_path, kind, signals(**{name: values}))
        np.testing.assert_allclose(whole(open_folder(tmp_path))[1], values)

    @pytest.mark.parametrize("name", ["foo", "channel_3", "T (degC)", "timer", "value", "S"])
    def test_unknown_names_of_signals_are_channels(
        self, kind: str, name: str, tmp_path: Path
    ) -> None:
        write_table(tmp_path, kind, signals(**{name: noise(7)}))
        np.testing.assert_allclose(whole(open_folder(tmp_path))[1], np.float32(noise(7)))

    def test_spellings_of_a_manifest_with_quotes_and_units(self, kind: str, tmp_path: Path) -> None:
        columns = {"time": times_s(), "'MLII'": noise(), "ECG (mV)": noise(1)}
        write_table(tmp_path, kind, columns)
        source = open_folder(tmp_path)
        assert source.recordings[0].channel_names == ("II", "ECG")
        for listed in (["ECG (mV)", "'MLII'"], ["ECG", "MLII"]):
            write_table(tmp_path, kind, columns, channels=listed)
            np.testing.assert_allclose(whole(open_folder(tmp_path))[1], np.float32(noise()))

    def test_numbers_of_samples_tell_lost_ones(
        self, kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for lost, numbers in ((0, COUNT), (0, COUNT % 256), (1, COUNT + 50 * (COUNT > 200))):
            caplog.clear()
            write_table(tmp_path, kind, signals(sample=numbers), channels=["II"])
            open_folder(tmp_path)
            assert ("'sample' skips numbers at 1 positions" in caplog.text) == bool(lost)

    def test_one_warning_for_a_folder(
        self, kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("a", "b", "c"):
            path = write_table(tmp_path, kind, signals(sample=COUNT, idx=COUNT))
            path.rename(tmp_path / f"{name}.{kind}")
        open_folder(tmp_path)
        said = [r.message for r in caplog.records if "not used as" in r.message]
        assert len(said) == 1
        assert "'sample', 'idx'" in said[0]

    def test_a_table_of_no_signal_says_so(self, kind: str, tmp_path: Path) -> None:
        write_table(tmp_path, kind, {"time": times_s(), "sample": COUNT})
        with pytest.raises(DataError, match="none of 'time', 'sample' is a known signal name"):
            open_folder(tmp_path)
