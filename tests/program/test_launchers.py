"""The launch scripts, as far as they go without a cluster: syntax, flags, and when they go on."""

import os
import re
import stat
import subprocess

import pytest
import yaml

from physio_mae_jax.errors import Interrupted, UserError
from tests.paths import REPOSITORY

LAUNCH = REPOSITORY / "launch"


@pytest.mark.parametrize(
    "name",
    [
        *("slurm.sbatch", "tpu_slice.sh", "pretrain.sh", "environment.sh", "scaling.sh"),
        "release.sh",
    ],
)
def test_scripts_are_whole_bash(name):
    subprocess.run(["bash", "-n", str(LAUNCH / name)], check=True)


def _program(folder, name, body):
    path = folder / name
    path.write_text("#!/usr/bin/env bash\n" + body, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _bash(script, *flags, folder, **variables):
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"} | variables
    return subprocess.run(
        ["bash", str(script), *flags],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("status", "restarts", "queues"),
    [
        (0, "0", False),
        (UserError.status, "0", False),
        (1, "0", False),
        (Interrupted.status, "0", True),
        (137, "3", True),
        (Interrupted.status, "50", False),
    ],
)
def test_slurm_queues_again_what_was_interrupted_and_nothing_else(
    status, restarts, queues, tmp_path
):
    _program(tmp_path, "srun", f'printf "%s\\n" "$@"\nexit {status}\n')
    _program(tmp_path, "scontrol", 'echo "scontrol $*"\n')
    result = _bash(
        LAUNCH / "slurm.sbatch",
        "--config=configs/pretrain.py:preset=tiny",
        folder=tmp_path,
        SLURM_SUBMIT_DIR=str(tmp_path),
        SLURM_JOB_ID="4217",
        SLURM_RESTART_COUNT=restarts,
    )
    assert result.returncode == status, result.stderr
    assert ("scontrol requeue 4217" in result.stdout) == queues
    assert {"--cluster=slurm", "--workdir=runs/slurm_4217"} <= set(result.stdout.splitlines())


def test_slurm_asks_for_as_many_tasks_as_gpus_and_for_a_signal_before_the_end():
    directives = dict(
        re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?", (LAUNCH / "slurm.sbatch").read_text(), re.M)
    )
    assert directives["ntasks-per-node"] == directives["gpus-per-node"]
    # Without 'B:' it goes to the tasks, which save.
    assert directives["signal"].startswith("TERM@")
    assert {"requeue", "open-mode"} <= directives.keys()


def test_a_tpu_slice_gets_every_flag_whole_and_is_started_again(tmp_path):
    """The stand-in for gcloud runs the command here, where its 'python' prints what it is given."""
    (tmp_path / "repo/.venv/bin").mkdir(parents=True)
    _program(tmp_path / "repo/.venv/bin", "python", 'printf "%s|" "$@"; exit 75\n')
    gcloud = 'for word; do [[ "$word" == --command=* ]] && bash -c "${word#--command=}"; done\n'
    _program(tmp_path, "gcloud", gcloud)
    settings = {"REPOSITORY": str(tmp_path / "repo"), "MAX_RESTARTS": "1", "PAUSE_SECONDS": "0"}
    flags = [
        "--config=a.py:x=1,y=2",
        "--workdir=/mnt/a folder",
        "--config.data.split_rule=random=|0.1|",
    ]
    script = LAUNCH / "tpu_slice.sh"
    result = _bash(script, *flags, folder=tmp_path, TPU="slice", ZONE="here", **settings)
    assert result.returncode == 75
    once = "|".join(["-m", "physio_mae_jax.main", "--cluster=tpu", *flags]) + "|"
    assert result.stdout == once * 2
    assert "restarts left: 1" in result.stderr
    assert _bash(script, folder=tmp_path, TPU="slice", ZONE="here").returncode == 2


def test_the_jobset_counts_its_pods_alike_and_ends_for_good_on_a_wrong_setting():
    jobset = yaml.safe_load((LAUNCH / "jobset.yaml").read_text(encoding="utf-8"))
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    (group,) = jobset["spec"]["replicatedJobs"]
    job = group["template"]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in container["args"])
    assert job["completions"] == job["parallelism"] == int(flags["num_processes"])
    assert job["completionMode"] == "Indexed"
    # The first pod is where all look for process 0.
    name = jobset["metadata"]["name"]
    assert flags["coordinator"].split(":")[0] == f"{name}-{group['name']}-0-0.{name}"
    (variable,) = [v for v in container["env"] if f"$({v['name']})" == flags["process_id"]]
    assert "job-completion-index" in variable["valueFrom"]["fieldRef"]["fieldPath"]
    # One that fails fails all, and the set starts again, unless a setting is wrong.
    assert (job["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [UserError.status]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    (end,) = jobset["spec"]["failurePolicy"]["rules"]
    assert (end["action"], end["onJobFailureReasons"]) == ("FailJobSet", ["PodFailurePolicy"])
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_an_environment_of_ones_own_is_used_as_it_is_or_rejected(tmp_path):
    script = tmp_path / "asks.sh"
    script.write_text(
        f"source {LAUNCH / 'environment.sh'}\n"
        "prepare_environment requirements.txt && echo $PYTHON\n",
        encoding="utf-8",
    )
    _program(tmp_path, "whole", "exit 0\n")
    _program(tmp_path, "bare", "exit 1\n")
    whole, bare = (
        _bash(script, folder=tmp_path, PHYSIO_MAE_PYTHON=str(tmp_path / name))
        for name in ("whole", "bare")
    )
    assert whole.stdout.strip() == str(tmp_path / "whole")
    assert bare.returncode == 1
    assert f"PHYSIO_MAE_PYTHON={tmp_path / 'bare'} lacks" in bare.stderr


def test_a_release_trains_with_the_flags_given_and_packs_the_run(tmp_path):
    _program(tmp_path, "python", 'printf "%s " "$@"; echo\n')
    settings = {"PHYSIO_MAE_PYTHON": str(tmp_path / "python"), "LICENSE": "MIT", "OUT": "out"}
    script = LAUNCH / "release.sh"
    flags = ["physio-x", "--config=configs/pretrain.py:preset=tiny", "--config.seed=3"]
    lines = _bash(script, *flags, folder=tmp_path, **settings).stdout.splitlines()[1:]
    training = ["-m physio_mae_jax.main", *flags[1:], "--workdir=runs/physio-x"]
    packing = (
        "-m physio_mae_jax.release --run=runs/physio-x --name=physio-x --license=MIT --out=out"
    )
    assert [line.strip() for line in lines] == [" ".join(training), packing]
    packed = _bash(script, "physio-x", folder=tmp_path, **settings, EVALUATION="a.md")
    assert packed.stdout.splitlines()[1].strip() == f"{packing} --evaluation=a.md"
    assert "--upload" not in packed.stdout


def test_a_release_needs_a_name_and_a_license(tmp_path):
    script = LAUNCH / "release.sh"
    nameless = _bash(script, "--config=x", folder=tmp_path, LICENSE="MIT")
    assert (nameless.returncode, "name the model first" in nameless.stderr) == (2, True)
    unlicensed = _bash(script, "physio-x", folder=tmp_path, LICENSE="")
    assert unlicensed.returncode != 0
    assert "name the license" in unlicensed.stderr
