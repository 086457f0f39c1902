"""Models saved to be shared, and exported programs: exact, checked, and without code."""

import json
import sys

import numpy as np
import pytest
import safetensors.numpy

from physio_mae_jax import Encoder
from physio_mae_jax.errors import ConfigError, DataError
from tests.encoders import beats, encoder
from tests.tampering import resealed

LEADS = ["I", "II", "V1"]


@pytest.fixture(scope="module")
def made():
    return encoder()


@pytest.fixture
def saved(made, tmp_path):
    return made.save_pretrained(
        tmp_path / "shared", license="CC-BY-4.0", intended_use="Studies.", evaluation="AUROC 0.9"
    )


def test_what_is_saved_is_loaded_as_it_was(made, saved):
    loaded = Encoder.from_pretrained(saved, batch_size=16, num_devices=1)
    arguments = {"sampling_rate_hz": 250, "channels": LEADS}
    np.testing.assert_array_equal(
        loaded.encode(beats(5, 250), **arguments), made.encode(beats(5, 250), **arguments)
    )
    assert loaded.fingerprint == made.fingerprint
    assert loaded.trained.trained_on.to_json() == made.trained.trained_on.to_json()


def test_nothing_of_the_machine_is_in_the_files(saved):
    assert json.loads((saved / "config.json").read_text())["origin"] == "up"
    assert sorted(path.name for path in saved.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def damage(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change_description(folder, **changes):
    """Change the description, and its hashes with it."""
    path = folder / "config.json"
    path.write_text(json.dumps(resealed(json.loads(path.read_text()) | changes)))


def rewrite(folder, arrays):
    """Write other weights, with the hash that fits them."""
    import hashlib

    content = safetensors.numpy.save(arrays)
    (folder / "model.safetensors").write_bytes(content)
    about = {"file": "model.safetensors", "sha256": hashlib.sha256(content).hexdigest()}
    change_description(folder, weights=about)


def without_one(folder):
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    arrays.pop("encoder/stack/norm/scale")
    rewrite(folder, arrays)


def of_another_shape(folder):
    arrays = safetensors.numpy.load_file(folder / "model.safetensors")
    rewrite(folder, arrays | {"encoder/stack/norm/scale": np.ones(7, np.float32)})


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda f: damage(f / "model.safetensors"), r"model\.safetensors is damaged .* SHA-256"),
        (lambda f: (f / "model.safetensors").unlink(), r"model\.safetensors cannot be read"),
        (lambda f: (f / "config.json").unlink(), r"config\.json cannot be read"),
        (lambda f: (f / "config.json").write_text("{"), r"config\.json cannot be read"),
        (lambda f: (f / "config.json").write_text("[1]"), "its format is 'none'"),
        (lambda f: change_description(f, format="bert"), "its format is 'bert'"),
        (
            lambda f: change_description(f, model_spec={}),
            "the model_spec of .*config.json lacks 'model'",
        ),
        (without_one, "encoder/stack/norm/scale is missing"),
        (of_another_shape, r"norm/scale is float32\[7\], not float32\[32\]"),
    ],
)
def test_a_damaged_or_foreign_file_is_rejected_by_name(saved, harm, message):
    harm(saved)
    with pytest.raises(DataError, match=message):
        Encoder.from_pretrained(saved)


def test_a_pickle_is_not_run(saved, tmp_path):
    trap = tmp_path / "trap"
    pickled = f"cposix\nsystem\n(S'touch {trap}'\ntR.".encode()
    (saved / "model.safetensors").write_bytes(pickled)
    with pytest.raises(DataError, match="damaged"):
        Encoder.from_pretrained(saved)
    assert not trap.exists()


def test_the_hub_is_asked_only_if_allowed(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="allow_hub=True only"):
        Encoder.from_pretrained("owner/model")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match="pip install huggingface_hub"):
        Encoder.from_pretrained("owner/model", allow_hub=True)


def test_a_model_of_the_hub_is_loaded_like_a_folder(made, saved, monkeypatch):
    import types

    hub = types.SimpleNamespace(snapshot_download=lambda name, allow_patterns: str(saved))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    loaded = Encoder.from_pretrained("owner/model", allow_hub=True, batch_size=16, num_devices=1)
    assert loaded.fingerprint == made.fingerprint
