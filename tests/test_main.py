"""The command line says in one line what is wrong."""

import os
import subprocess
import sys

import pytest

from tests.paths import REPOSITORY


def run_main(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "physio_mae_jax.main", *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False,
        env=os.environ | variables,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=configs/pretrain.py:preset=huge"], "preset='huge' is unknown"),
        (
            ["--config=configs/pretrain.py:data=folder", "--config.data.path=/no/such/folder"],
            "/no/such/folder",
        ),
        (
            ["--config=configs/pretrain.py", "--config.optimizer.peak_learning_rat=1"],
            "--config.optimizer.peak_learning_rat is not a setting of this config; "
            "did you mean 'peak_learning_rate'?",
        ),
        (
            ["--config=configs/pretrain.py", "--config.patience=1"],
            "--config.patience is not a setting of this config",
        ),
        (["--config=configs/none.py"], "configs/none.py"),
        (
            ["--config=configs/compare.py:data=ptbxl_subset", "--config.init_from=no/such/run"],
            "no/such/run is not there",
        ),
    ],
)
def test_the_command_line_tells_what_is_wrong_in_one_line(arguments, message, tmp_path):
    result = run_main(*arguments, f"--workdir={tmp_path / 'run'}")
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run" / "config.json").exists()


def test_a_home_folder_is_found_behind_an_equals_sign(tmp_path):
    """No shell expands '~' there, and a folder of that name is nobody's wish."""
    result = run_main(
        "--config=configs/evaluate.py:method=head",
        "--config.init_from=~/absent",
        "--workdir=~/evaluated",
        HOME=str(tmp_path),
    )
    assert result.returncode == 2
    assert f"{tmp_path}/absent" in result.stderr
    assert not (REPOSITORY / "~").exists()


@pytest.mark.parametrize("named", [False, True])
def test_what_a_run_compiles_is_kept_where_jax_was_told_or_among_caches(named, tmp_path):
    caches, own = tmp_path / "caches", tmp_path / "own"
    environment = os.environ | {"XDG_CACHE_HOME": str(caches), "JAX_PLATFORMS": "cpu"}
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    if named:
        environment["JAX_COMPILATION_CACHE_DIR"] = str(own)
    program = (
        "import jax; from physio_mae_jax.cli import enable_compilation_cache as keep\n"
        "keep(); jax.jit(lambda x: x @ x)(jax.numpy.ones((4, 4)))"
    )
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)
    assert any(own.rglob("*")) == named
    assert any((caches / "physio_mae_jax/programs").rglob("*")) != named
