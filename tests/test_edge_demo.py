"""The command that serves the page."""

import threading
import urllib.request

import numpy as np
import pytest

from physio_mae_jax import edge_demo
from physio_mae_jax.inference.edge.web import onnxruntime_web
from tests.encoders import beats, encoder

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model, a recording and files named as those of onnxruntime-web."""
    made = tmp_path_factory.mktemp("demo")
    encoder().export_edge(made / "m.onnx", num_channels=2)
    np.savetxt(
        made / "a.csv", beats(5, 100, leads=2).T, delimiter=",", header="II,PPG", comments=""
    )
    for name in onnxruntime_web.FILES:
        (made / name).write_bytes(b"")
    return made


def test_the_page_is_served_until_it_is_interrupted(folder, capsys, monkeypatch):
    found = {}

    def ask_and_interrupt(server):
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/setup.json"
        found["setup"] = urllib.request.urlopen(address, timeout=10).read()
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", ask_and_interrupt)
    arguments = [f"--model={folder / 'm.onnx'}", f"--onnxruntime_web={folder}", "--port=0"]
    signal = [f"--signal={folder / 'a.csv'}", "--sampling_rate_hz=100", "--units=mV"]
    assert edge_demo.main([*arguments, *signal]) == 0
    assert b'"name": "a"' in found["setup"]
    assert b'"units": ["mV", "mV"]' in found["setup"]
    assert "http://localhost:" in capsys.readouterr().out


def test_errors_are_named_before_anything_is_served(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert edge_demo.main([f"--model={folder / 'm.onnx'}"]) == 2
    assert "--download" in capsys.readouterr().err
    given = [f"--model={folder / 'm.onnx'}", f"--onnxruntime_web={folder}"]
    assert edge_demo.main([*given, f"--signal={folder / 'a.csv'}"]) == 2
    assert "sampling_rate_hz" in capsys.readouterr().err
    assert edge_demo.main([*given, f"--signal={folder / 'b.csv'}"]) == 2
    assert "b.csv" in capsys.readouterr().err
    assert edge_demo.main([f"--model={folder / 'n.onnx'}"]) == 2
    assert "n.onnx.json" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        edge_demo.main([])
    assert "give --model=encoder.onnx, or --download" in capsys.readouterr().err


def test_a_graph_of_litert_is_rejected(tmp_path, capsys):
    pytest.importorskip("litert_converter")
    pytest.importorskip("ai_edge_litert.interpreter")
    path = encoder().export_edge(tmp_path / "m.tflite", num_channels=1)
    assert edge_demo.main([f"--model={path}"]) == 2
    assert "m.tflite is a graph of 'litert', which the page cannot" in capsys.readouterr().err


def test_a_download_needs_no_model(capsys, monkeypatch):
    monkeypatch.setattr(onnxruntime_web, "download", lambda: "the cache")
    assert edge_demo.main(["--download"]) == 0
    assert "the cache" in capsys.readouterr().out
