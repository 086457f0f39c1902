"""Reports of preparing and encoding show names and do not obey them."""

from physio_mae_jax.inference.encoding_report import EncodingReport
from physio_mae_jax.inference.notes import Note
from physio_mae_jax.preparation.report import PreparationReport, format_rejections
from physio_mae_jax.preparation.shards import RejectedRecording
from tests.hostile_names import NASTY, is_harmless


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
