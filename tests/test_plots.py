"""Pictures show names as they are, and one that fails ends nothing."""

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from physio_mae_jax import atomic_files
from physio_mae_jax.plots import (
    attention,
    comparison,
    embedding_map,
    evaluation,
    reconstruction,
    retrieval,
    segmentation,
)
from physio_mae_jax.plots.names import format_name
from tests.hostile_names import NASTY


class TestPictures:
    """Whatever a name is, its picture is made, without a warning."""

    @pytest.fixture(params=range(0, len(NASTY), 7))
    def names(self, request):
        return [name[:300] for name in NASTY[request.param : request.param + 7]]

    def save(self, tmp_path, draw):
        assert atomic_files.write_figure(tmp_path / "it.png", draw)
        assert (tmp_path / "it.png").stat().st_size > 1000

    def test_of_windows(self, names, tmp_path):
        rng = np.random.default_rng(0)
        common = {
            "title": " ".join(names[:2]),
            "channels": tuple(names[:3]),
            "sampling_rate_hz": 10.0,
            "frequencies_hz": np.array([4.0, 2.0, 1.0, 0.5]),
            "signal": rng.normal(size=(3, 40)),
        }
        scalogram = rng.normal(size=(3, 4, 40))
        window = reconstruction.ReconstructedWindow(
            **common,
            predicted=rng.normal(size=(3, 40)),
            masked=np.array([True, False] * 2),
            scalogram=scalogram,
            visible_scalogram=scalogram,
            predicted_scalogram=scalogram,
        )
        self.save(tmp_path, lambda: reconstruction.draw_reconstruction(window))
        attended = attention.AttendedWindow(
            **common, scalogram=scalogram, received=rng.random((3, 4, 2)), between=np.eye(3)
        )
        self.save(tmp_path, lambda: attention.draw_attention(attended))

    def test_of_a_long_window_is_of_its_middle(self):
        ramp = np.arange(9000.0)
        window = reconstruction.ReconstructedWindow(
            title="long",
            channels=("II",),
            sampling_rate_hz=10.0,
            frequencies_hz=np.array([4.0, 2.0]),
            signal=ramp[None],
            predicted=ramp[None] + 0.5,
            masked=np.arange(300) % 3 == 0,
            scalogram=np.stack([ramp, ramp])[None],
            visible_scalogram=np.stack([ramp, ramp])[None],
            predicted_scalogram=np.stack([ramp, ramp])[None],
        )
        found = window.excerpt(60.0)
        assert found.title == "long: 420 to 480 s of 900 s"
        np.testing.assert_array_equal(found.signal[0], ramp[4200:4800])
        np.testing.assert_array_equal(found.masked, window.masked[140:160])
        np.testing.assert_array_equal(found.scalogram[0, 1], found.signal[0])
        assert found.seconds == 60
        assert found.excerpt(60.0) is found
        figure = reconstruction.draw_reconstruction(window)
        assert figure.axes[0].get_xlim() == (0, 60)
        assert figure.get_suptitle() == found.title

    def test_of_segmentations(self, names, tmp_path):
        rng = np.random.default_rng(0)
        classes = ("none", *dict.fromkeys(names))
        labels = rng.integers(-1, len(classes), (2, 40)).repeat(5, axis=1)
        channel = segmentation.SegmentedChannel(
            " ".join(names[:2]), rng.normal(size=200), labels[0], labels[1]
        )
        flat = channel._replace(signal=np.zeros(200))
        self.save(tmp_path, lambda: segmentation.draw_segmentation([channel, flat], classes, 100.0))

    def test_of_evaluations(self, names, tmp_path):
        grid = np.linspace(0, 1, 5)
        curves = [evaluation.Curve(label=name, x=grid, y=grid) for name in names]
        title = " ".join(names)
        self.save(tmp_path, lambda: evaluation.draw_roc(curves, None, title))
        table = np.full((len(names), len(names)), 0.5)
        self.save(
            tmp_path,
            lambda: evaluation.draw_confusion(table, table, names, names, ("", ""), title),
        )
        points = np.arange(4.0)
        agreements = [
            evaluation.Agreement(
                name=name, true=points, predicted=points, note="", bias=0.0, low=-1.0, high=1.0
            )
            for name in names
        ]
        self.save(tmp_path, lambda: evaluation.draw_scatter(agreements, title))

    def test_of_embeddings_and_comparisons(self, names, tmp_path):
        points = np.random.default_rng(0).normal(size=(len(names) * 2, 2))
        groups = np.array(names * 2, dtype=object).astype(str)
        self.save(tmp_path, lambda: embedding_map.draw_points(points, groups, ("x", "y"), names[0]))
        series = [
            comparison.Series(
                label=name, fractions=np.array([0.1, 1.0]), values=[np.ones(2), np.ones(2)]
            )
            for name in names
        ]
        self.save(tmp_path, lambda: comparison.draw_comparison(series, "AUROC", names[0]))
        pool = {"recall@1": 0.5, "chance_recall@1": 0.1}
        results = {e: {f"{names[0]} to x": {"all": pool}} for e in ("pretrained", "random")}
        self.save(tmp_path, lambda: retrieval.draw_retrieval(results))

    def test_a_name_that_begins_with_an_underscore_is_in_the_legend(self):
        figure = embedding_map.draw_points(
            np.zeros((2, 2)), np.array(["_a", "_b"]), ("x", "y"), "t"
        )
        legend = figure.axes[0].get_legend()
        assert [text.get_text() for text in legend.get_texts()] == ["_a (1)", "_b (1)"]

    def test_dollars_are_shown_as_they_are(self):
        assert format_name("$5") == r"\$5"
        assert format_name("x" * 500).endswith("…")
        assert format_name("a\nb", 10) == "a\nb"
        assert format_name("a\nb") == r"a\nb"

    def test_one_that_fails_is_told_and_ends_nothing(self, tmp_path, caplog):
        def fail():
            raise ValueError("no such color\x1b[0m")

        path = tmp_path / "plots" / "it.png"
        assert not atomic_files.write_figure(path, fail)
        assert "it.png could not be drawn (ValueError: no such color" in caplog.text
        assert not list(path.parent.iterdir())

    def test_a_full_disk_is_no_fault_of_a_picture(self, tmp_path):
        def fail():
            raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space"):
            atomic_files.write_figure(tmp_path / "it.png", fail)

    def test_letters_without_a_font_warn_nobody(self, tmp_path):
        def draw():
            figure = Figure()
            figure.suptitle("心电图")
            return figure

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert atomic_files.write_figure(tmp_path / "it.png", draw)
