"""The command line of the benchmarks says in one line what it cannot measure."""

import subprocess
import sys

from tests.paths import REPOSITORY


def test_an_unknown_benchmark_is_rejected_with_the_choices():
    result = subprocess.run(
        [
            *(sys.executable, "-m", "physio_mae_jax.benchmark"),
            *("--config=configs/pretrain.py:preset=debug", "--benchmarks=train,sleep"),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 2
    assert "benchmarks must be of train, features" in result.stderr
    assert "got 'sleep'" in result.stderr
    assert "Traceback" not in result.stderr
