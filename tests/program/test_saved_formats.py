"""What each version from 0.2 on wrote, read by this one: archives made by ``saved_formats``."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax import Encoder
from physio_mae_jax.data.prepared import PreparedSource, find_prepared
from physio_mae_jax.evaluation.calibration import load_calibration
from physio_mae_jax.inference.feature_store.files import read_features
from physio_mae_jax.training.checkpoint import Checkpoints
from tests.saved_formats import DATA, FORMATS, embedding, execute, inside, run_configs

VERSIONS = sorted(path.name for path in FORMATS.iterdir())
# The results of a command, which a repetition of the finished command leaves as they are.
RESULTS = {
    "pretrain": "checkpoints/1/checksums.json",
    "contrastive": "checkpoints/1/checksums.json",
    "finetune": "checkpoints/1/checksums.json",
    "features": "index.json",
    "compare": "probe/labels_1/seed_0/evaluation.json",
    "leave_one_out": "p0/evaluation.json",
}


@pytest.fixture(scope="module", params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture(scope="module")
def written(version, tmp_path_factory):
    """All folders that a version wrote."""
    root = tmp_path_factory.mktemp("written")
    for archive in (FORMATS / version).glob("*.zip"):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(root)
    return root


@pytest.fixture(scope="module")
def expected(version):
    """What that version read from them."""
    with np.load(FORMATS / version / "expected.npz") as content:
        return dict(content)


def test_a_prepared_set_of_each_version_is_read(written):
    folder = find_prepared(written / DATA, "waves")
    source = PreparedSource(folder)
    assert len(source.recordings) == 16
    assert source.recordings[0].channel_names == ("II", "PPG")
    assert source.recordings[0].attributes["fold"] == 1
    assert {task["name"] for task in source.metadata.tasks} == {"wave", "flags", "beat", "state"}
    signal = source.read(0, 0, 1000)
    assert signal.shape == (2, 1000)
    assert signal.std() > 0.5


def test_an_encoder_of_each_version_gives_the_same_embedding(written, expected):
    for encoder in (
        Encoder.from_pretrained(written / "saved"),
        Encoder.from_checkpoint(written / "pretrain"),
    ):
        np.testing.assert_allclose(embedding(encoder), expected["embedding"], atol=2e-4)


def test_features_of_each_version_are_read(written):
    table = read_features(written / "features")
    assert len(table.embedding) == 16
    assert np.isfinite(table.embedding).all()


def test_a_calibration_of_each_version_is_read(written):
    (path,) = (written / "finetune").rglob("calibration.json")
    assert load_calibration(path).kind == "multiclass"


@pytest.mark.parametrize("name", RESULTS)
def test_a_finished_command_of_each_version_is_finished(written, name):
    with inside(written):
        before = Path(name, RESULTS[name]).read_bytes()
        execute(run_configs()[name], Path(name))
        assert Path(name, RESULTS[name]).read_bytes() == before


@pytest.mark.parametrize("name", ["evaluate", "probe", "retrieve"])
def test_a_run_of_each_version_is_evaluated(written, name, tmp_path):
    with inside(written):
        execute(run_configs()[name], tmp_path)
        (report,) = [path for path in tmp_path.glob("*.json") if path.name != "config.json"][:1]
        known = json.loads(Path(name, report.name).read_text(encoding="utf-8"))
    # A newer version may add entries, such as a baseline.
    assert json.loads(report.read_text(encoding="utf-8")).keys() >= known.keys()


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
def test_a_run_of_each_version_resumes(written, name, tmp_path):
    shutil.copytree(written / name, tmp_path / name)
    config = run_configs()[name]
    config.loop.num_steps = 2
    with inside(written):
        execute(config, tmp_path / name)
    with Checkpoints(tmp_path / name / "checkpoints", keep=1) as checkpoints:
        assert checkpoints.latest_step == 2
