"""What the use of a trained model may load: none of the libraries of training, plots and files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.encoders import encoder
from tests.paths import REPOSITORY

HEAVY = (
    *("matplotlib", "grain", "orbax", "optax", "array_record", "tensorflow_datasets"),
    *("sklearn", "pandas", "pyarrow", "wfdb", "ml_collections", "tensorstore", "scipy"),
)


def loaded_by(statement: str, folder: Path) -> set[str]:
    """Return the top-level names that a new process loads for a statement."""
    code = (
        f"import json, sys; sys.path.insert(0, {str(REPOSITORY)!r})\n{statement}\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("package", ["physio_mae_jax", "physio_mae_jax.inference"])
def test_an_encoder_loads_no_library_that_it_does_not_need(package, tmp_path):
    loaded = loaded_by(f"from {package} import Encoder; Encoder.from_pretrained", tmp_path)
    assert "jax" in loaded
    assert not loaded & set(HEAVY)


def test_a_loaded_model_takes_no_library_of_training_and_data(tmp_path):
    encoder().save_pretrained(tmp_path / "shared")
    loaded = loaded_by(
        "from physio_mae_jax import Encoder; Encoder.from_pretrained('shared')", tmp_path
    )
    # SciPy has the transform of the wavelets.
    assert loaded & set(HEAVY) <= {"scipy"}


@pytest.mark.parametrize(
    "statement",
    [
        "import physio_mae_jax",
        "import physio_mae_jax.types",
        "from physio_mae_jax.inference.feature_store.files import read_features",
        "from physio_mae_jax.data.window_transform import make_window",
        "from physio_mae_jax.inference.edge.runtime import EdgeEncoder",
    ],
)
def test_tables_and_windows_need_no_jax(statement, tmp_path):
    assert not loaded_by(statement, tmp_path) & {*HEAVY, "jax", "flax"}


def test_a_package_has_no_other_names():
    import physio_mae_jax
    from physio_mae_jax import inference

    for package in (physio_mae_jax, inference):
        with pytest.raises(AttributeError, match="has no attribute 'Encodr'"):
            package.Encodr  # noqa: B018
