"""Packets that were lost here and there are reported."""

from pathlib import Path

import numpy as np
import pandas as pd

from physio_mae_jax.data.formats.folder import open_folder

RNG = np.random.default_rng(5)


def test_packets_lost_here_and_there_are_reported(tmp_path: Path, caplog) -> None:
    # 2999 packets of 12 samples, of which 19 are lost: 0.6 % slower.
    packets = np.array([p for p in range(3000) if p % 150 != 149])
    times = (packets[:, None] * 12 + np.arange(12)).ravel() / 256
    frame = pd.DataFrame(RNG.normal(size=(len(times), 4)), columns=["TP9", "AF7", "AF8", "TP10"])
    frame.insert(0, "timestamps", (1.7e9 + times).round(3))
    frame.to_csv(tmp_path / "EEG_recording.csv", index=False)
    assert open_folder(tmp_path).recordings[0].sampling_rate_hz == 256
    assert "gives 254.378 samples per second instead of 256: about 228 samples" in caplog.text
