"""Finding the other processes of a run, with the variables that clusters set; a failed start."""

import os
import socket
import subprocess
import sys

import pytest

from physio_mae_jax.distributed import ClusterConfig, detect
from physio_mae_jax.errors import ConfigError
from tests.paths import REPOSITORY

SLURM = {
    "SLURM_JOB_ID": "4217",
    "SLURM_NTASKS": "2",
    "SLURM_STEP_NODELIST": "localhost",
    "SLURM_LOCALID": "0",
    "SLURM_PROCID": "0",
}
JOIN = """
from physio_mae_jax import distributed
import jax
distributed.join(distributed.ClusterConfig(timeout_seconds=60))
print(jax.process_index(), jax.process_count(), distributed.is_joined())
"""


def test_a_plain_machine_is_no_cluster():
    assert detect({}) == "none"
    # A job of one task, and a TPU of one host.
    assert detect(SLURM | {"SLURM_NTASKS": "1"}) == "none"
    assert detect({"TPU_WORKER_HOSTNAMES": "localhost"}) == "none"


def test_slurm_and_tpu_are_found_by_their_variables():
    assert detect(SLURM) == "slurm"
    assert detect({"TPU_WORKER_HOSTNAMES": "10.0.0.1,10.0.0.2"}) == "tpu"


def test_a_slurm_job_without_srun_is_rejected_rather_than_run_alone():
    with pytest.raises(ConfigError, match=r"SLURM_NTASKS=2, but SLURM_STEP_NODELIST.*srun"):
        detect({"SLURM_JOB_ID": "4217", "SLURM_NTASKS": "2"})


@pytest.mark.parametrize("number", ["", "two", "1e3", "-1", "9" * 5000])
def test_a_broken_environment_is_reported(number):
    with pytest.raises(ConfigError, match=r"^SLURM_NTASKS=.* is not a number of tasks; unset it"):
        detect({"SLURM_NTASKS": number})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "pbs"}, r"--cluster must be one of auto, none.*; got pbs"),
        ({"coordinator": "host:1"}, "give all three or none"),
        ({"coordinator": "host:1", "num_processes": 2, "process_id": 2}, r"--process_id must .* 2"),
        ({"timeout_seconds": 0}, "--cluster_timeout=0"),
        ({"timeout_seconds": 10**12}, "from a second to 86,400"),
        *(
            ({"coordinator": c, "num_processes": 2, "process_id": 0}, "is not HOST:PORT")
            for c in ("host", "host:", ":1", "http://host:1", "host:port", "a\nb:1", "host:123456")
        ),
    ],
)
def test_wrong_settings_of_a_cluster_are_rejected(settings, message):
    with pytest.raises(ConfigError, match=message):
        ClusterConfig(**settings)


def _python(code, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM")}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=environment | {"JAX_PLATFORMS": "cpu"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_two_tasks_with_the_variables_of_slurm_join():
    port = free_port()
    tasks = [
        _python(
            JOIN,
            **(SLURM | {"SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)}),
            JAX_COORDINATOR_PORT=port,
        )
        for i in range(2)
    ]
    printed = [task.communicate(timeout=120) for task in tasks]
    assert [out.split()[:3] for out, _ in printed] == [["0", "2", "True"], ["1", "2", "True"]]


@pytest.mark.parametrize("process", [0, 1])
def test_a_start_without_the_others_ends_in_an_error_and_writes_nothing(process, tmp_path):
    result = subprocess.run(
        [
            *(sys.executable, "-m", "physio_mae_jax.main"),
            "--config=configs/pretrain.py:preset=debug",
            f"--workdir={tmp_path / 'run'}",
            f"--coordinator=127.0.0.1:{free_port()}",
            *("--num_processes=2", f"--process_id={process}", "--cluster_timeout=2"),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 75
    assert "could not join 127.0.0.1:" in result.stderr
    assert "within 2 s" in result.stderr
    assert not (tmp_path / "run").exists()
