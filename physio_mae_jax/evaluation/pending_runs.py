"""Many runs that each write an evaluation report, in this process or in several."""

from collections.abc import Callable, Sequence
from pathlib import Path

from physio_mae_jax.errors import UserError
from physio_mae_jax.evaluation.report import has_report
from physio_mae_jax.training.trials import Trial, run_trials, run_workers

_WORKER_FLAGS = ("--config.num_workers=1", "--config.worker=True")


def run_pending(
    workdir: Path, list_trials: Callable[[], Sequence[Trial]], num_workers: int
) -> None:
    """Run trials that have no report yet, here or, several at a time, in separate processes.

    With workers, trials are not listed in this process: that could acquire the devices that the
    workers need.
    """
    if num_workers == 1:
        run_trials(workdir, list_trials(), has_report)
        return
    run_workers(
        workdir,
        num_workers,
        _WORKER_FLAGS,
        lambda: sum(has_report(path.parent) for path in workdir.rglob("calibration.json")),
    )


def check_complete(workdir: Path, names: Sequence[str]) -> None:
    """Raise a UserError where an trial is still running in another process."""
    missing = [name for name in names if not has_report(workdir / name)]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(names)} trials are not done yet, such as {missing[0]}: "
            "another process runs them. Run the same command again when it has ended."
        )
