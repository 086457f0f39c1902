"""The server of the page answers what the page loads, and nothing else."""

import hashlib
import http.client
import json
import re
import shutil
import tarfile
import threading

import numpy as np
import pytest

from physio_mae_jax.data.formats.folder import open_file
from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.inference.edge.web import onnxruntime_web
from physio_mae_jax.inference.edge.web import page_files as web_files
from physio_mae_jax.inference.edge.web.page_files import TYPES, Answer, page_files, static_files
from physio_mae_jax.inference.edge.web.server import address_of, serve
from physio_mae_jax.signals.channels import VOCABULARY
from tests.encoders import beats, encoder
from tests.paths import REPOSITORY

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return encoder().export_edge(tmp_path_factory.mktemp("edge") / "m.onnx", num_channels=2)


@pytest.fixture
def runtime(tmp_path):
    """Write files with the names of those of onnxruntime-web."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for name in onnxruntime_web.FILES:
        (folder / name).write_bytes(name.encode())
    return str(folder)


@pytest.fixture
def table(tmp_path):
    values = np.round(beats(6, 100, leads=3), 4)
    path = tmp_path / "a.csv"
    np.savetxt(path, values.T, delimiter=",", header="PLETH,MLII,RESP", comments="")
    return path, values


def opened(path, **stated):
    return open_file(path, {"sampling_rate_hz": 100, "subject": "a", **stated})


def test_the_answers_are_the_page_its_model_and_its_recording(model, runtime, table):
    path, values = table
    answers = page_files(str(model), opened(path), runtime)
    assert answers["/model/graph.onnx"].content == model.read_bytes()
    assert answers["/"] == answers["/index.html"]
    setup = json.loads(answers["/setup.json"].content)
    assert setup["model"] == "m.onnx"
    assert setup["signal"]["channels"] == ["PPG", "II", "RESP"]
    assert (setup["signal"]["sampling_rate_hz"], setup["signal"]["num_samples"]) == (100, 600)
    samples = np.frombuffer(answers["/signal.f64"].content, "<f8").reshape(3, 600)
    np.testing.assert_allclose(samples, values, rtol=1e-6, atol=1e-7)
    channels = json.loads(answers["/channels.json"].content)["channels"]
    assert [one["name"] for one in channels] == list(VOCABULARY)
    assert "/signal.f64" not in page_files(str(model), None, runtime)


def test_the_service_worker_keeps_everything_but_the_recording(model, runtime):
    text = static_files()["sw.js"].read_text(encoding="utf-8")
    kept = set(
        json.loads(re.search(r"NEEDED = (\[.*?\])", text, re.DOTALL)[1].replace(",\n]", "]"))
    )
    served = {path.removeprefix("/") for path in page_files(str(model), None, runtime)}
    assert kept == served - {"", "index.html", "sw.js"} | {"./"}


def test_the_page_is_in_the_wheel_and_loads_nothing_from_elsewhere():
    assert {path.suffix for path in static_files().values()} <= set(TYPES)
    folder = static_files()["index.html"].parent
    assert sorted(folder.iterdir()) == sorted(static_files().values())
    settings = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert '"physio_mae_jax.inference.edge.web" = ["page/*"]' in settings
    for path in static_files().values():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z]+\.[a-z]", text), path.name
        assert len(text.splitlines()) <= 350, path.name


def test_what_cannot_be_shown_is_named(model, runtime, table, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"none\.onnx\.json"):
        page_files(str(tmp_path / "none.onnx"), None, runtime)
    monkeypatch.setattr(web_files, "_MAX_SIGNAL_BYTES", 1 << 13)
    with pytest.raises(DataError, match="has 0 MiB of samples; the page takes up to"):
        page_files(str(model), opened(table[0]), runtime)
    with pytest.raises(ConfigError, match=r"lacks ort\.wasm\.min\.mjs.*--download once"):
        page_files(str(model), None, str(tmp_path))
    filtered = encoder(input={"band_hz": (1.0, 30.0)})
    path = filtered.export_edge(tmp_path / "filtered.onnx", num_channels=2)
    with pytest.raises(DataError, match="band-passes its input from 1 to 30 Hz"):
        page_files(str(path), None, runtime)


def test_the_runtime_of_the_download_is_checked(monkeypatch, tmp_path, runtime):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match="--onnxruntime_web=FOLDER"):
        onnxruntime_web.find(None)
    shutil.copytree(runtime, onnxruntime_web.cache_folder())
    with pytest.raises(DataError, match="has the SHA-256"):
        onnxruntime_web.find(None)
    assert set(onnxruntime_web.find(runtime)) == set(onnxruntime_web.FILES)
    hashes = {n: hashlib.sha256(n.encode()).hexdigest() for n in onnxruntime_web.FILES}
    monkeypatch.setattr(onnxruntime_web, "FILES", hashes)
    monkeypatch.setenv("PATH", "")  # no npm: undamaged files are not downloaded again
    assert onnxruntime_web.download() == onnxruntime_web.cache_folder()


def test_a_download_is_checked_before_anything_is_kept(monkeypatch, tmp_path):
    """A program in the position of npm packs another package."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "a").write_text("no package")
    with tarfile.open(tmp_path / "other.tgz", "w:gz") as archive:
        archive.add(tmp_path / "a", "package/dist/ort.wasm.min.mjs")
    npm = tmp_path / "bin" / "npm"
    target = f"onnxruntime-web-{onnxruntime_web.VERSION}.tgz"
    npm.write_text(f"#!/bin/sh\n/bin/cp '{tmp_path}/other.tgz' {target}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(DataError, match=r"onnxruntime-web-.*tgz has the SHA-256"):
        onnxruntime_web.download()
    npm.write_text("#!/bin/sh\necho no connection >&2\nexit 1\n")
    with pytest.raises(UserError, match=r"npm pack onnxruntime-web@.* failed: no connection"):
        onnxruntime_web.download()
    assert list(onnxruntime_web.cache_folder().iterdir()) == []
    npm.unlink()
    with pytest.raises(UserError, match="by npm, which is not installed"):
        onnxruntime_web.download()


@pytest.fixture
def server():
    answers = {"/": Answer("text/html", b"page"), "/a.wasm": Answer(TYPES[".wasm"], b"code")}
    with serve(answers, 0) as opened_server:
        thread = threading.Thread(target=opened_server.serve_forever)
        thread.start()
        yield opened_server
        opened_server.shutdown()
        thread.join()


def asked(server, path, method="GET", host="localhost"):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.request(method, path, headers={"Host": host})
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read()
    connection.close()
    return found


def test_only_known_paths_of_this_machine_are_answered(server):
    assert server.server_address[0] == "127.0.0.1"
    assert address_of(server) == f"http://localhost:{server.server_address[1]}/"
    status, headers, content = asked(server, "/a.wasm?x=1")
    assert (status, headers["Content-Type"], content) == (200, "application/wasm", b"code")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert asked(server, "/", "HEAD")[::2] == (200, b"")
    assert asked(server, "/", host="127.0.0.1:8000")[0] == 200
    for path in ("/b", "/../pyproject.toml", "//etc/passwd", "/%2e%2e/x"):
        assert asked(server, path)[0] == 404
    for host in ("example.org", "localhost.example.org", ""):
        assert asked(server, "/", host=host)[0] == 403
    assert asked(server, "/", "POST")[0] == 501


def test_a_browser_that_closes_its_connection_is_no_error(server, capsys):
    for error in (ConnectionResetError("closed"), OSError("another")):
        try:
            raise error
        except OSError:
            server.handle_error(None, ("127.0.0.1", 1))
    said = capsys.readouterr().err
    assert "another" in said
    assert "closed" not in said


def test_a_port_that_is_taken_is_named(server):
    for port in (server.server_address[1], 70_000):
        with pytest.raises(ConfigError, match=f"--port={port} is not available"):
            serve({}, port)
