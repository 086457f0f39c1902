"""Executors that write the shards: this process, local processes, or Apache Beam."""

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool

from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.preparation.shards import ShardSummary, ShardTask, read_summary, write_shard

_MAX_WORKERS = 1024

Executor = Callable[[Sequence[ShardTask]], Iterator[tuple[ShardTask, ShardSummary]]]


def in_processes(num_workers: int) -> Executor:
    """Write with ``num_workers`` processes; one runs in this process.

    Raises:
        ConfigError: fewer than one, or more than a machine can run.
    """
    if not 1 <= num_workers <= _MAX_WORKERS:
        raise ConfigError(f"--workers must be from 1 to {_MAX_WORKERS:,}; got {num_workers}.")

    def run(tasks: Sequence[ShardTask]) -> Iterator[tuple[ShardTask, ShardSummary]]:
        if num_workers == 1 or len(tasks) <= 1:
            yield from ((task, write_shard(task)) for task in tasks)
            return
        # Not forked: JAX and the libraries below have threads by now.
        context = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(
            min(num_workers, len(tasks)), mp_context=context
        )
        try:
            waiting = {pool.submit(write_shard, task): task for task in tasks}
            for done in concurrent.futures.as_completed(waiting):
                yield waiting[done], done.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was ended from outside, as the system does where memory runs "
                f"out; use fewer than --workers={num_workers}, then run the same command again: "
                "it resumes where it stopped."
            ) from error
        finally:
            # Unfinished shards are dropped; the next run finds the complete ones.
            pool.shutdown(wait=True, cancel_futures=True)

    return run


def by_beam(runner: str, options: Sequence[str]) -> Executor:
    """Write with Apache Beam.

    The workers must see the source folder and the output folder under the paths given, on a
    shared file system.

    Args:
        runner: Name of a Beam runner, such as 'DirectRunner', 'FlinkRunner' or 'SparkRunner'.
        options: Flags of the runner, such as '--flink_master=host:8081'.

    Raises:
        ConfigError: Apache Beam is not installed.
    """
    try:
        import apache_beam as beam
    except ImportError as error:
        raise ConfigError(
            f"--beam_runner={runner!r} needs Apache Beam; install it with "
            "pip install apache-beam, or omit the flag to use the cores of this machine."
        ) from error

    def run(tasks: Sequence[ShardTask]) -> Iterator[tuple[ShardTask, ShardSummary]]:
        settings = beam.options.pipeline_options.PipelineOptions([f"--runner={runner}", *options])
        with beam.Pipeline(options=settings) as pipeline:
            (
                pipeline
                | "shards" >> beam.Create(list(tasks))
                # Without it a runner may keep all shards on one worker.
                | "spread" >> beam.Reshuffle()
                | "write" >> beam.Map(_write_without_result)
            )
        for task in tasks:
            summary = read_summary(task)
            if summary is None:
                raise DataError(
                    f"Beam runner {runner!r} ended without {task.path}; its workers must see the "
                    "output folder under the same path as this process."
                )
            yield task, summary

    return run


def _write_without_result(task: ShardTask) -> None:
    write_shard(task)
