"""The page in Chromium gives the results of ``EdgeEncoder`` and ``EdgeClassifier``.

``bash launch/test.sh --browser`` installs what this needs, and fails where it is missing.
"""

import json
import os
import re
import shutil
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from physio_mae_jax import Encoder
from physio_mae_jax.data.formats.folder import open_file
from physio_mae_jax.errors import UserError
from physio_mae_jax.inference.edge import export
from physio_mae_jax.inference.edge.runtime import EdgeEncoder
from physio_mae_jax.inference.edge.web import onnxruntime_web
from physio_mae_jax.inference.edge.web.page_files import page_files
from physio_mae_jax.inference.edge.web.server import address_of, serve
from tests.classifiers import DECISIONS, classifier
from tests.encoders import beats
from tests.javascript import skip_or_fail

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

RATE_HZ, SECONDS = 125.0, 60.0
SHOWN = 3  # recordings that the page encodes; the others calibrate
LEADS = ["II", "PPG"]
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
READY, MILLISECONDS = "#start:enabled", 60_000
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    """Start Chromium, of the path of programs or of playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        skip_or_fail("needs playwright, which is not installed")
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, CHROMIUM)), playwright.chromium.executable_path)
        if not Path(found).is_file():
            skip_or_fail("needs Chromium, which is not installed")
        # The sandbox of Chromium cannot be used by root.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        started = playwright.chromium.launch(executable_path=found, args=sandbox)
        yield started
        started.close()


def bidmc() -> Path:
    return Path(os.environ.get("PHYSIO_MAE_SHARED", "")) / "data/bidmc/bidmc_125hz.npz"


@pytest.fixture(scope="module")
def recordings() -> list[np.ndarray]:
    """Read ECG and PPG of BIDMC, or draw beats with noise where it is absent."""
    count = round(SECONDS * RATE_HZ)
    if bidmc().is_file():
        with np.load(bidmc()) as content:
            return list(content["X"][:, :count, [1, 0]].transpose(0, 2, 1).astype(np.float64))
    rng = np.random.default_rng(0)
    drawn = [beats(SECONDS, RATE_HZ, leads=2, seed=seed) for seed in range(40)]
    return [one + 0.05 * rng.normal(size=one.shape) for one in drawn]


@pytest.fixture(scope="module")
def models(recordings, tmp_path_factory):
    """Export physio-tiny in both precisions, and a classifier of each kind."""
    folder = tmp_path_factory.mktemp("models")
    encoder = Encoder.from_pretrained("physio-tiny", batch_size=1, num_devices=1)
    given = {"calibration": recordings[SHOWN:], "sampling_rate_hz": RATE_HZ, "channels": LEADS}
    with pytest.MonkeyPatch.context() as patch:
        if not bidmc().is_file():  # synthetic beats have no nearest neighbors to keep
            patch.setattr(export, "require_int8", lambda found: None)
        return {
            "float32": encoder.export_edge(folder / "float32.onnx", num_channels=2),
            "int8": encoder.export_edge(folder / "int8.onnx", precision="int8", **given),
            **{
                kind: classifier(decision).export_edge(folder / f"{kind}.onnx", num_channels=2)
                for kind, decision in DECISIONS.items()
            },
        }


@pytest.fixture(scope="module")
def served(browser, models, recordings, tmp_path_factory):
    """Serve each model with recordings in a row and a gap: precision -> address; the samples.

    Embeddings without their mean are compared, so windows of several subjects are needed.
    """
    try:
        onnxruntime_web.find(os.environ.get("ONNXRUNTIME_WEB"))
    except UserError as error:
        skip_or_fail(f"needs onnxruntime-web: {error}")
    values = np.concatenate(recordings[:SHOWN], axis=1)
    values[0, 3000:3010] = np.nan
    path = tmp_path_factory.mktemp("signal") / "a.csv"
    pd.DataFrame(values.T, columns=LEADS).to_csv(path, index=False)
    servers = {}
    for name, model in models.items():
        source = open_file(path, {"sampling_rate_hz": RATE_HZ, "subject": "a", "units": "mV"})
        answers = page_files(str(model), source, os.environ.get("ONNXRUNTIME_WEB"))
        servers[name] = serve(answers, 0)
        threading.Thread(target=servers[name].serve_forever).start()
    yield {name: address_of(server) for name, server in servers.items()}, values
    for server in servers.values():
        server.shutdown()
        server.server_close()


@pytest.fixture
def page(browser):
    """Open a tab that fails the test for any message of an error in the console."""
    context = browser.new_context(viewport=PHONE)
    opened, problems = context.new_page(), []
    opened.set_default_timeout(MILLISECONDS)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    yield opened
    context.close()
    assert problems == []


def load(page, address):
    page.goto(address)
    page.wait_for_selector(READY)
    assert not page.is_visible("#error"), page.inner_text("#error")


def run(page, **fields):
    for name, value in fields.items():
        page.fill(f"#{name}", str(value))
    page.select_option("#speed", "Infinity")
    page.click("#start")
    page.wait_for_selector(READY)


def error_of(page):
    page.wait_for_selector("#error:not([hidden])")
    return page.inner_text("#error-name"), page.inner_text("#error-message")


def rows_of(page):
    with page.expect_download() as download:
        page.click("#save")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def both_rows(page, served, models, name):
    """Encode the recording in the page and in Python: rows of the windows that both accept."""
    addresses, values = served
    load(page, addresses[name])
    run(page, hop=2)
    assert not page.is_visible("#error"), page.inner_text("#error")
    rows = rows_of(page)
    given = {"sampling_rate_hz": RATE_HZ, "channels": LEADS, "units": "mV", "hop_seconds": 2.0}
    stream = EdgeEncoder.load(models[name]).stream(**given)
    wanted = [row.to_json() for row in [*stream.push(values), *stream.flush()]]
    assert {row["rejected"] for row in wanted} == {"", "gap"}
    for key in ("start_seconds", "end_seconds", "rejected", "masked"):
        assert [row[key] for row in rows] == [row[key] for row in wanted]
    return [[row for row in some if not row["rejected"]] for some in (rows, wanted)]


@pytest.mark.parametrize("kind", sorted(DECISIONS))
def test_decisions_are_those_of_python(served, models, page, kind):
    rows, wanted = both_rows(page, served, models, kind)
    assert [row["decisions"] for row in rows] == [row["decisions"] for row in wanted]
    assert len({str(row["probabilities"]) for row in wanted}) > 1
    for row, other in zip(rows, wanted, strict=True):
        assert row["probabilities"] == pytest.approx(other["probabilities"], abs=1e-4)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_embeddings_are_those_of_python(served, models, page, precision):
    some = both_rows(page, served, models, precision)
    found, truth = (np.asarray([row["embedding"] for row in rows]) for rows in some)
    if precision == "float32":
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-4 * np.abs(truth).max())
    centered, expected = found - truth.mean(axis=0), truth - truth.mean(axis=0)
    norms = np.linalg.norm(centered, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = (centered * expected).sum(axis=1) / norms
    # In 8 bits results that are rounded at a step differ; the limits are those of the export.
    assert cosine.mean() >= 0.999
    assert cosine.min() >= 0.99


def test_the_time_of_hops_is_shown(served, page):
    load(page, served[0]["float32"])
    run(page)
    times = page.inner_text("#times")
    median, p99 = (float(one) for one in re.findall(r"([\d.]+) ms", times))
    assert 0 < median <= p99
    assert re.search(r"\b(\d+)\s+Hops|Hops\s+(\d+)", times)
    assert "% of a hop of 1 s" in page.inner_text("#times-note")


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_the_screen(served, browser, size, scheme):
    page = browser.new_page(viewport=size, color_scheme=scheme)
    load(page, served[0]["float32"])
    run(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    for canvas in ("trace", "trail"):
        drawn = page.evaluate(
            "id => { const c = document.getElementById(id); return c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data.some((value) => value > 0); }",
            canvas,
        )
        assert drawn, canvas
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        name = f"{size['width']}-{scheme}.png"
        page.screenshot(path=Path(folder) / name, full_page=True)
    page.close()


def test_the_page_works_without_the_server(served, page):
    load(page, served[0]["float32"])
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.reload()  # now through the service worker, which keeps the recording too
    page.wait_for_selector(READY)
    page.context.set_offline(True)
    load(page, served[0]["float32"])
    run(page)
    assert not page.is_visible("#error"), page.inner_text("#error")
    assert "180.0 s" in page.inner_text("#status")


def test_wrong_input_is_named(served, models, page, tmp_path):
    load(page, served[0]["float32"])
    run(page, rate=3)
    assert error_of(page)[0] == "Wrong sampling rate"
    run(page, rate=125, hop=0.33)
    assert error_of(page)[0] == "Wrong hop"
    run(page, hop=1)
    assert not page.is_visible("#error"), page.inner_text("#error")
    page.select_option("#source", "file")
    (tmp_path / "a.csv").write_text("II,PPG\n1,x\n")
    page.set_input_files("#signal-file", tmp_path / "a.csv")
    assert error_of(page) == ("Unreadable file", "Line 2 of a.csv holds “x”, not a number.")


def test_a_foreign_model_is_named(served, models, page, tmp_path):
    load(page, served[0]["float32"])
    contract = Path(f"{models['float32']}.json")
    page.set_input_files("#model-files", [models["int8"], contract])
    assert error_of(page)[0] == "Contract does not fit"
    page.set_input_files("#model-files", [models["int8"]])
    assert error_of(page)[0] == "Model files are missing"
    other = tmp_path / "other.json"
    other.write_text('{"format": "something"}')
    page.set_input_files("#model-files", [models["int8"], other])
    name, message = error_of(page)
    assert name == "Foreign model"
    assert "“something”" in message
    page.set_input_files("#model-files", [models["int8"], Path(f"{models['int8']}.json")])
    page.wait_for_selector("#model:has-text('int8.onnx')")
    assert not page.is_visible("#error"), page.inner_text("#error")


def test_a_file_of_the_user_is_encoded(served, page, recordings, tmp_path):
    load(page, served[0]["float32"])
    page.select_option("#source", "file")
    table = {"time (s)": np.arange(2500) / RATE_HZ, "ii (mV)": recordings[0][0, :2500]}
    pd.DataFrame(table).to_csv(tmp_path / "mine.csv", index=False)
    page.set_input_files("#signal-file", tmp_path / "mine.csv")
    page.wait_for_selector("#channels select")
    assert page.input_value("#rate") == "125"
    assert page.input_value("#channels select") == "II"
    run(page)
    assert not page.is_visible("#error"), page.inner_text("#error")
    assert "20.0 s, 12 windows" in page.inner_text("#status")
