"""Names of shipped models, and the models that ship."""

import fnmatch
import logging
import pickle
import socket
import tomllib
from pathlib import Path

import numpy as np
import pytest

from physio_mae_jax import Encoder
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.inference.saved_model import is_saved_model, load_model
from physio_mae_jax.inference.shipped_models import SHIPPED, find_model, shipped_names
from physio_mae_jax.inference.sklearn_transformer import opened
from tests.encoders import beats, cosine, encoder, untrained
from tests.paths import PACKAGE, REPOSITORY
from tests.shipped import shipped_from, write_shipped

LEADS = ["I", "II", "V1"]
MAX_TOTAL_BYTES = 30_000_000
MODELS = [pytest.param(SHIPPED / name, id=name) for name in shipped_names()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two shipped models: of 32 and of 16 numbers an embedding."""
    root = tmp_path_factory.mktemp("pretrained")
    write_shipped(root, "physio-small")
    write_shipped(root, "physio-tiny", untrained(width=16))
    with shipped_from(root):
        yield root


@pytest.fixture(params=["made here", *MODELS])
def model(request, folder):
    """The folder of every model that ships, and of one that this module wrote."""
    return folder / "physio-small" if request.param == "made here" else request.param


def test_a_name_means_the_model_of_the_package(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_model("physio-small", "init_from") == folder / "physio-small"
    assert is_saved_model("physio-small")
    assert load_model("physio-small").origin == "physio-small"


def test_without_a_network(folder, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("opened a socket"))
    loaded = Encoder.from_pretrained("physio-tiny", num_devices=1)
    assert loaded.encode(beats(5, 250), sampling_rate_hz=250, channels=LEADS).shape[-1] == 16


def test_a_folder_of_that_name_is_used_only_as_a_path(folder, tmp_path, monkeypatch, caplog):
    write_shipped(tmp_path, "physio-small", untrained(width=16))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("physio_mae_jax"), "propagate", True)
    assert load_model("physio-small").model_spec.model.width == 32
    assert "write ./physio-small to use the folder" in caplog.text
    for path in ("./physio-small", Path("physio-small"), str(tmp_path / "physio-small")):
        assert load_model(path).model_spec.model.width == 16
    assert opened(Path("physio-small")).programs.config.width == 16


def test_any_other_name_is_a_path(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "physio-mine").mkdir()
    for name in ("physio-mine", "runs/first", "runs/physio-large"):
        assert find_model(name, "init_from") == tmp_path / name


def test_an_unknown_name_has_the_nearest_and_where_larger_ones_are(folder):
    with pytest.raises(ConfigError, match=r"'physio-smal' .*choose physio-small or .*do not ship"):
        find_model("physio-smal", "init_from")
    with pytest.raises(ConfigError, match=r"Encoder\.available\(\) lists all"):
        Encoder.from_pretrained("physio-large")


def test_a_copy_without_models_says_so(tmp_path):
    with shipped_from(tmp_path):
        assert "no models ship" in str(Encoder.available())
        with pytest.raises(ConfigError, match="this copy of the package has none"):
            find_model("physio-small", "init_from")


def test_a_pickle_keeps_the_name_and_not_the_folder_of_this_machine(folder):
    loaded = Encoder.from_pretrained("physio-tiny", num_devices=1)
    content = pickle.dumps(loaded)
    assert b"physio-tiny" in content
    assert str(folder).encode() not in content
    assert pickle.loads(content).fingerprint == loaded.fingerprint


def test_the_weights_of_half_the_size_give_the_same_embeddings(folder):
    loaded = Encoder.from_pretrained("physio-small", batch_size=16, num_devices=1)
    arguments = {"sampling_rate_hz": 250, "channels": LEADS}
    wanted = encoder().encode(beats(5, 250), **arguments)
    assert cosine(loaded.encode(beats(5, 250), **arguments), wanted) > 0.9999


def test_a_model_is_whole_and_encodes(model):
    loaded = Encoder.from_pretrained(model, num_devices=1)
    window = loaded.input.window
    signal = np.random.default_rng(0).normal(size=(1, window.num_samples))
    rate = window.sampling_rate_hz
    embedding = loaded.encode(signal, sampling_rate_hz=rate, channels=list(loaded.channels[:1]))
    assert np.isfinite(embedding).all()
    assert loaded.trained.trained_on.is_complete
    card = (model / "README.md").read_text(encoding="utf-8")
    assert f'Encoder.from_pretrained("{model.name}")' in card


def test_a_damaged_model_is_rejected_by_file(folder, tmp_path):
    damaged = write_shipped(tmp_path, "physio-small") / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with shipped_from(tmp_path), pytest.raises(DataError, match=r"model\.safetensors is damaged"):
        Encoder.from_pretrained("physio-small")


def test_all_models_fit_in_the_wheel_and_are_part_of_it():
    files = [path for path in SHIPPED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MAX_TOTAL_BYTES
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    data = project["tool"]["setuptools"]["package-data"]
    for path in files:
        relative = path.relative_to(PACKAGE)
        patterns = data.get(".".join(["physio_mae_jax", *relative.parts[:1]]), [])
        inside = Path(*relative.parts[1:]).as_posix()
        assert any(fnmatch.fnmatch(inside, pattern) for pattern in patterns), path
