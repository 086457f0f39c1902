"""Lines of metrics are lost neither by two writers nor by a resume."""

from pathlib import Path

import pytest

from physio_mae_jax.errors import UserError
from physio_mae_jax.training.metric_writer import MetricWriter
from physio_mae_jax.training.metrics_file import drop_lines_after, open_metrics, read_metrics


def metric_writer(workdir: Path, first_step: int) -> MetricWriter:
    return MetricWriter(workdir, first_step=first_step, num_steps=9, batch_size=1, active=True)


class TestMetrics:
    def test_concurrent_metric_writers_lose_no_lines(self, tmp_path):
        with metric_writer(tmp_path, 0) as first:
            first.training(1, {"loss": 1.0}, "")
            with pytest.raises(UserError, match="written by another run"):
                metric_writer(tmp_path, 0)
            first.training(2, {"loss": 1.0}, "")
        with metric_writer(tmp_path, 2) as second:
            second.training(3, {"loss": 1.0}, "")
        assert [record["step"] for record in read_metrics(tmp_path)] == [1, 2, 3]

    def test_open_file_keeps_its_inode(self, tmp_path):
        path = tmp_path / "metrics.jsonl"
        with path.open("a") as held:
            held.write('{"step": 1}\n{"step": 2}\n{"step": 3}\n')
            held.flush()
            assert drop_lines_after(path, 2)
            held.write('{"step": 3}\n')
        assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'

    @pytest.mark.parametrize(
        ("content", "kept"),
        [
            (b'{"step": 1}\n{"step": 2', b'{"step": 1}\n'),
            (b'{"step": 1}\n{"step": 2}', b'{"step": 1}\n{"step": 2}\n'),
            (b'{"step": 3}\n{"step": 1}\n', b'{"step": 1}\n'),
            (
                b'{"step": 1}\n\xff\n[]\n{"step": null}\n{"step": 2}\n',
                b'{"step": 1}\n{"step": 2}\n',
            ),
            (b"", b""),
        ],
    )
    def test_complete_lines_up_to_the_step_are_kept(self, content, kept, tmp_path, caplog):
        path = tmp_path / "metrics.jsonl"
        path.write_bytes(content)
        open_metrics(path, 2).close()
        assert path.read_bytes() == kept
        assert ("3 broken lines" in caplog.text) == (b"null" in content)
