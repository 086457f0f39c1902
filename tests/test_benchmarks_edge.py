"""The benchmark of graphs for devices times every program of a model."""

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from physio_mae_jax.benchmarks import edge


def test_a_window_is_timed_by_every_program(monkeypatch):
    monkeypatch.setattr(edge, "_ROUNDS", 3)
    monkeypatch.setattr(edge, "_has_litert", lambda: False)
    found = edge.measure_devices(1, models=("physio-tiny",), channels=(1, 2))
    assert [(one.channels, one.program) for one in found] == [
        (channels, program) for channels in (1, 2) for program in ("float32", "int8", "jax")
    ]
    for one in found:
        assert 0 < one.median_ms <= one.p99_ms
        assert one.real_time_factor == pytest.approx(one.median_ms / 9e3)
    table = edge.format_table(found)
    assert len(table) == 4
    assert table[0].startswith("| model | channels | float32, ms (p99) | int8, ms (p99) | jax,")
    assert table[2].startswith("| `physio-tiny` | 1 | ")
