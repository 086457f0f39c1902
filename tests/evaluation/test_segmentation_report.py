"""Reports of classes of samples, also with hostile names."""

import dataclasses

import numpy as np

from physio_mae_jax.data.sealed_json import read_sealed
from physio_mae_jax.evaluation.segmentation_report import report_segmentation
from tests.evaluation.evaluations import CONTEXT
from tests.evaluation.segmentations import segmentation
from tests.hostile_names import NASTY, is_harmless


class Signals:
    """Names and signals of the recordings of ``segmentation``."""

    recordings = (None,) * 6

    def name(self, index):
        return f"p{index}_0"

    def read(self, recording, start):
        return {"signal": np.zeros((2, 300), np.float32) + np.arange(300) % 7}


def report(folder, predictions, **context):
    found = report_segmentation(
        folder,
        {"validation": predictions, "test": predictions},
        Signals(),
        Signals(),
        CONTEXT | context,
        num_resamples=20,
    )
    return found, (folder / "evaluation.md").read_text(encoding="utf-8")


def test_results_predictions_and_a_plot_are_written(tmp_path):
    found, text = report(tmp_path, segmentation(shift=3), title="pulses on x")
    assert text.startswith("# pulses on x\n")
    assert "Only 6 subjects: intervals are too narrow" in text
    assert "| up onset | 18 | 1.000 [1.000, 1.000] |" in text
    assert "+30.0 ± 0.0 |" in text
    content = read_sealed(tmp_path / "evaluation.json", "")
    assert content["evaluations"]["test"] == found.to_json()
    assert (tmp_path / "plots" / "segmentation.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in (tmp_path / "predictions").iterdir()} == {
        "test.npz",
        "validation.npz",
    }


def test_hostile_names_are_shown_harmlessly(tmp_path):
    predictions = dataclasses.replace(
        segmentation(), classes=("none", NASTY[0], "x\x1b[31m\n# y"), channels=_channels(NASTY[1])
    )
    _, text = report(tmp_path, predictions, title="x\x1b[31m\ny", command="main --x=\x1b[2J\n# y")
    assert is_harmless(text)
    assert "\n# y" not in text
    assert (tmp_path / "plots" / "segmentation.png").is_file()


def _channels(name):
    return np.full((12, 2), name, dtype=object).astype(str)


def test_contamination_is_a_caveat(tmp_path):
    _, text = report(tmp_path, segmentation(), contamination="CONTAMINATION: 2 of 6 subjects")
    assert "> **CONTAMINATION: 2 of 6 subjects**" in text
