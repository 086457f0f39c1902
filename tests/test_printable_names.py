"""Names of data are shown everywhere and obeyed nowhere."""

import dataclasses
import logging
import unicodedata
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from physio_mae_jax import atomic_files
from physio_mae_jax.evaluation.markdown import escape, escape_name, facts
from physio_mae_jax.evaluation.report import write_report
from physio_mae_jax.inference.encoding_report import EncodingReport
from physio_mae_jax.inference.notes import Note
from physio_mae_jax.plots import (
    attention,
    comparison,
    embedding_map,
    evaluation,
    reconstruction,
    retrieval,
)
from physio_mae_jax.plots.names import format_name
from physio_mae_jax.preparation.report import PreparationReport, format_rejections
from physio_mae_jax.preparation.shards import RejectedRecording
from physio_mae_jax.printable import (
    LONGEST_NAME,
    Lines,
    PrintableFormatter,
    printable,
    printable_lines,
)
from tests.evaluations import CONTEXT, evaluated

NASTY = (
    *(r"$\frac$", r"$\frac{", "$", "a_b^c$", r"\$x$", "_hidden", "{x:g}", "%s", "100 %"),
    *(
        "a\ud800",
        "\udfff\ud800",
        "a\0b",
        "a\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "a\nb",
        "a\r\nb",
    ),
    *("\u202egnp.exe", "\u2066x", "a\u2028b", "\x85", "\x9b31m", "\ufeffx", "\u200b", "心电图"),
    *(
        "ا\u200cب",
        "🫀",
        "é" * 3,
        "e" + "\u0301" * 2000,
        "x" * 5000,
        "",
        " ",
        "| a | b |",
        "<script>",
    ),
)
ACTING = ("Cc", "Cf", "Cs", "Zl", "Zp")


def is_harmless(text: str) -> bool:
    return not any(
        unicodedata.category(letter) in ACTING for letter in text if letter not in "\n\u200c\u200d"
    )


@given(st.text(alphabet=st.characters(), max_size=300) | st.sampled_from(NASTY))
def test_no_name_acts(name):
    text = printable(name)
    assert is_harmless(text)
    assert "\n" not in text
    assert len(text) <= 10 * LONGEST_NAME
    assert printable(text, None) == text
    text.encode("utf-8")
    if name.isprintable():
        assert printable(name, None) == name
    assert is_harmless(printable_lines(name).replace("\t", ""))
    assert all(line.startswith(("  ", "|")) for line in printable_lines(name).split("\n")[1:])


def test_names_that_spell_stay_as_they_are():
    for name in ("心电图", "ا\u200cب", "Fläche µV", "🫀", "a\u00a0b"):
        assert printable(name) == name
    assert printable("a\x1b[31m\n\ud800") == r"a\x1b[31m\n\ud800"
    assert printable("x" * 500) == "x" * (LONGEST_NAME - 1) + "…"


def formatted(message, *args):
    record = logging.LogRecord("it", logging.INFO, "it.py", 1, message, args, None)
    return PrintableFormatter("12:00:00  %(message)s").format(record)


def test_log_records_are_one_however_names_are():
    fake = "p1\n12:00:00  done; all is well\x1b[2J"
    assert formatted("subject %s", fake) == (
        r"12:00:00  subject p1\n12:00:00  done; all is well\x1b[2J"
    )
    assert formatted("%s", ValueError(fake)) == (
        "12:00:00  p1\n  12:00:00  done; all is well\\x1b[2J"
    )
    assert formatted(f"subject {fake}").count("\n12") == 0
    assert formatted("\n%s", Lines("a\nb")) == "12:00:00  \n  a\n  b"
    assert formatted("%s, %d", "a", 3) == "12:00:00  a, 3"


@pytest.mark.parametrize("name", NASTY)
def test_markdown_is_of_one_line_and_harmless(name):
    for text in (escape(name), escape_name(name), facts({name: [name, {name: 1}]})):
        assert is_harmless(text)
        assert "\n" not in text


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


@pytest.mark.parametrize("kind", ["multilabel", "multiclass", "regression"])
def test_a_card_of_hostile_classes(kind, tmp_path, monkeypatch):
    """The classes are renamed in what was evaluated, so that nothing is evaluated anew."""
    names = {
        f"class_{k}": name
        for k, name in enumerate((NASTY[0], "a\ud800", "x\x1b[31m\n# y", "心" * 400, "_"))
    }
    predictions, calibration, evaluations = evaluated(kind)

    def renamed(value):
        if isinstance(value, str):
            return names.get(value, value)
        if isinstance(value, dict):
            return {renamed(k): renamed(v) for k, v in value.items()}
        if isinstance(value, tuple | list):
            return type(value)(map(renamed, value))
        if dataclasses.is_dataclass(value):
            fields = {f.name: renamed(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return dataclasses.replace(value, **fields)
        return value

    path = write_report(
        tmp_path,
        title="x\x1b[31m\ny",
        evaluations={part: renamed(one) for part, one in evaluations.items()},
        predictions={"test": renamed(predictions["test"])},
        calibration=renamed(calibration),
        context=CONTEXT | {"command": "main --x=\x1b[2J\n# y", "seeds": {"a\ud800": "\u202e"}},
    )
    text = path.read_text(encoding="utf-8")
    assert is_harmless(text)
    assert "\n# y" not in text
    assert max(map(len, text.splitlines())) < 2000
    assert len(list((tmp_path / "plots").glob("*.png"))) == (2 if kind == "regression" else 4)


def test_reports_of_preparing_and_encoding():
    rejections = [
        RejectedRecording(record_id=n, files=(n,), reason="cannot be read", detail=n) for n in NASTY
    ]
    report = PreparationReport(
        records=(), rejections=rejections, seconds=1.0, source_bytes=0, example_bytes=0
    )
    assert is_harmless(report.table())
    assert is_harmless(format_rejections(rejections))
    assert len(format_rejections(rejections).splitlines()) <= len(NASTY)
    encoded = EncodingReport(
        recordings=("a", "b"),
        channels=(("II",), ("II",)),
        seconds=1.0,
        num_windows=1,
        window_seconds=1.0,
        notes=tuple(Note("renamed", name, name) for name in NASTY),
    )
    assert is_harmless(str(encoded))
