"""Executors that write the shards: this process, local processes, or Apache Beam."""

import concurrent.futures
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool

from physio_mae_jax.errors import ConfigError, DataError, UserError
from physio_mae_jax.preparation.shards import ShardSummary, ShardTask, read_summary, write_shard

_MAX_WORKERS = 1024

Executor = Callable[[Sequence[ShardTask]], Iterator[tuple[ShardTask, ShardSummary]]]


def process_executor(num_workers: int) -> Executor:
    """Create an executor with ``num_workers`` processes; one worker runs in this process.

    Raises:
        ConfigError: the number of workers is out of range.
    """
    if not 1 <= num_workers <= _MAX_WORKERS:
        raise ConfigError(f"--workers must be from 1 to {_MAX_WORKERS:,}; got {num_workers}.")

    def run(tasks: Sequence[ShardTask]) -> Iterator[tuple[ShardTask, ShardSummary]]:
        if num_workers == 1 or len(tasks) <= 1:
            yield from ((task, write_shard(task)) for task in tasks)
            return
        # Not forked: JAX and other libraries have started threads.
        context = multiprocessing.get_context("spawn")
        pool = concurrent.futures.ProcessPoolExecutor(
            min(num_workers, len(tasks)), mp_context=context
        )
        try:
            pending = {pool.submit(write_shard, task): task for task in tasks}
            for future in concurrent.futures.as_completed(pending):
                yield pending[future], future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was killed, probably by the out-of-memory killer; use fewer "
                f"than --workers={num_workers}, then run the same command again: "
                "it resumes where it stopped."
            ) from error
        finally:
            # Incomplete shards are discarded; the next run reuses the complete ones.
            pool.shutdown(wait=True, cancel_futures=True)

    return run


def beam_executor(runner: str, options: Sequence[str]) -> Executor:
    """Create an executor that uses Apache Beam.

    The workers must have access to the source and output folders under the same paths, on a
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
                    f"Beam runner {runner!r} ended without writing {task.path}; its workers must "
                    "have access to the output folder under the same path as this process."
                )
            yield task, summary

    return run


def _write_without_result(task: ShardTask) -> None:
    write_shard(task)
