"""Numbers of workers, and workers that are killed."""

import os

import pytest

from physio_mae_jax.errors import ConfigError, UserError
from physio_mae_jax.preparation import executors
from physio_mae_jax.preparation.executors import process_executor


class TestWorkers:
    def test_no_idle_workers_are_started(self, monkeypatch):
        monkeypatch.setattr(executors.concurrent.futures, "ProcessPoolExecutor", None)
        assert list(process_executor(8)([])) == []

    @pytest.mark.parametrize("count", [0, -3, 10**9])
    def test_impossible_numbers(self, count):
        with pytest.raises(ConfigError, match=rf"--workers must be from 1 to 1,024; got {count}"):
            process_executor(count)

    def test_killed_worker_is_reported(self):
        with pytest.raises(
            UserError,
            match=r"was killed, probably by the out-of-memory killer.*fewer than --workers=2",
        ):
            list(process_executor(2)([_Deadly(), _Deadly()]))


class _Deadly:
    """Stands for a task whose worker runs out of memory."""

    @property
    def summary_path(self):
        os._exit(137)
