"""Joins the processes of a run where a cluster is detected or requested.

Nothing else in the package starts or ends ``jax.distributed``. A failed start is an error: a
process that continued alone would train a separate run in the same work folder.
"""

import contextlib
import dataclasses
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import NoReturn

import jax

from physio_mae_jax.errors import ConfigError, LostPeer, is_peer_loss
from physio_mae_jax.printable import printable

_LOG = logging.getLogger(__name__)

CLUSTERS = ("auto", "none", "slurm", "tpu")
_SLURM_STEP = ("SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID")
# A process without a heartbeat for this long counts as dead, and the others end.
_HEARTBEAT_SECONDS = 60
_MAX_WAIT_SECONDS = 86_400
_HOST_AND_PORT = re.compile(r"[^\s/]+:\d{1,5}")
_CHECK = "Check that all processes are started and can reach that address and port."


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """How the processes of a run find each other.

    Attributes:
        kind: 'auto' joins where ``detect`` finds a cluster, 'none' never does; 'slurm' and 'tpu'
            require one.
        coordinator: HOST:PORT of process 0, for clusters that JAX does not detect; '' otherwise.
        num_processes, process_id: Size and rank, with ``coordinator``; -1 otherwise.
        timeout_seconds: Time (s) the processes wait for each other at the start.
    """

    kind: str = "auto"
    coordinator: str = ""
    num_processes: int = -1
    process_id: int = -1
    timeout_seconds: int = 300

    def __post_init__(self) -> None:
        if self.kind not in CLUSTERS:
            raise ConfigError(f"--cluster must be one of {', '.join(CLUSTERS)}; got {self.kind}.")
        by_hand = bool(self.coordinator), self.num_processes >= 0, self.process_id >= 0
        if any(by_hand) and not all(by_hand):
            raise ConfigError(
                f"--coordinator={self.coordinator!r}, --num_processes={self.num_processes} and "
                f"--process_id={self.process_id}: give all three or none."
            )
        if self.coordinator and not 0 <= self.process_id < self.num_processes:
            raise ConfigError(
                f"--process_id must be in [0, {self.num_processes - 1}] with "
                f"--num_processes={self.num_processes}; got {self.process_id}."
            )
        if self.coordinator and not _HOST_AND_PORT.fullmatch(self.coordinator):
            raise ConfigError(
                f"--coordinator={printable(self.coordinator)} is not HOST:PORT, such as "
                "node01:12345."
            )
        if not 1 <= self.timeout_seconds <= _MAX_WAIT_SECONDS:
            raise ConfigError(
                f"--cluster_timeout={self.timeout_seconds} must be from a second to "
                f"{_MAX_WAIT_SECONDS:,}."
            )


def detect(environment: Mapping[str, str]) -> str:
    """Name the cluster that started this process: 'slurm', 'tpu', or 'none'.

    Raises:
        ConfigError: A SLURM job of several tasks, but this process was not started by ``srun``.
    """
    if _num_tasks(environment) > 1:
        missing = [name for name in _SLURM_STEP if name not in environment]
        if missing:
            raise ConfigError(
                f"SLURM_NTASKS={environment['SLURM_NTASKS']}, but {', '.join(missing)} is not set: "
                "start every task with srun (launch/slurm.sbatch), or set --cluster=none to run "
                "in this process alone."
            )
        return "slurm"
    hosts = environment.get("TPU_PROCESS_ADDRESSES") or environment.get("TPU_WORKER_HOSTNAMES", "")
    return "tpu" if "," in hosts else "none"


def _num_tasks(environment: Mapping[str, str]) -> int:
    text = environment.get("SLURM_NTASKS", "1")
    if not re.fullmatch(r"\d{1,9}", text):
        raise ConfigError(
            f"SLURM_NTASKS={printable(text)!r} in the environment is not a number of tasks; unset "
            "it, or set --cluster=none."
        )
    return int(text)


def join(config: ClusterConfig, environment: Mapping[str, str] = os.environ) -> None:
    """Join the other processes, if there are any; call before any other use of JAX.

    Raises:
        ConfigError: The requested cluster does not exist.
        LostPeer: The processes did not connect in time.
    """
    kind = detect(environment) if config.kind == "auto" else config.kind
    if kind == "none" and not config.coordinator:
        _reject_a_share(config)
        return
    where = config.coordinator or f"the coordinator of {kind}"
    by_hand = bool(config.coordinator)
    # training.preemption handles signals; JAX's notifier would swallow them.
    jax.config.update("jax_enable_preemption_service", False)
    # JAX's own timeout crashes the process without a helpful message.
    patience = threading.Timer(config.timeout_seconds, _give_up, (where, config.timeout_seconds))
    patience.daemon = True
    patience.start()
    try:
        jax.distributed.initialize(
            coordinator_address=config.coordinator or None,
            num_processes=config.num_processes if by_hand else None,
            process_id=config.process_id if by_hand else None,
            # Otherwise JAX would detect a SLURM or MPI environment that happens to be present.
            cluster_detection_method="deactivate" if by_hand else None,
            initialization_timeout=config.timeout_seconds + 60,
            heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
        )
    except (ValueError, KeyError) as error:
        raise ConfigError(f"--cluster={kind}, but no such cluster was found: {error}") from error
    except RuntimeError as error:
        raise LostPeer(f"could not join {where}: {str(error)[:300]} {_CHECK}") from error
    finally:
        patience.cancel()
    _LOG.info(
        "process %d of %d, %d of %d devices",
        *(jax.process_index(), jax.process_count()),
        *(jax.local_device_count(), jax.device_count()),
    )
    _reject_missing(config, kind, environment)


def _give_up(where: str, seconds: int) -> None:
    print(
        f"error: could not join {where} within {seconds} s (--cluster_timeout). {_CHECK}",
        file=sys.stderr,
    )
    exit_process(LostPeer.status)


def is_joined() -> bool:
    """Return whether this process is part of a cluster.

    On an error it must end by ``exit_process``.
    """
    return jax.distributed.is_initialized()


def _reject_a_share(config: ClusterConfig) -> None:
    """Raise in one of several processes that have not joined, as on a TPU slice."""
    if config.kind == "auto" and jax.process_count() > 1:
        raise ConfigError(
            f"this is one of {jax.process_count()} processes of a TPU slice; start all of them "
            "with --cluster=tpu (launch/tpu_slice.sh)."
        )


def _reject_missing(config: ClusterConfig, kind: str, environment: Mapping[str, str]) -> None:
    """Raise on a cluster of another size than announced."""
    wanted = config.num_processes if config.coordinator else None
    if wanted is None and kind == "slurm":
        wanted = _num_tasks(environment)
    if wanted is not None and wanted != jax.process_count():
        raise ConfigError(
            f"{wanted} processes were started, but JAX found {jax.process_count()}; check that "
            "all see the same devices."
        )


@contextlib.contextmanager
def peer_loss_as_user_error() -> Iterator[None]:
    """Convert connection errors caused by a lost process into a ``LostPeer``."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError, RuntimeError) as error:
        if not is_joined() or not is_peer_loss(error):
            raise
        raise LostPeer(
            f"process {jax.process_index()} lost another process of the run: "
            f"{' '.join(str(error).split())[:200]} The first error in the logs of the others is "
            "the cause. Start all processes again: they resume from the newest complete checkpoint."
        ) from error


def exit_process(status: int) -> NoReturn:
    """End a failed process at once, without the wait for the others of an orderly exit.

    Peers would deadlock in a collective. Exiting at once lets the launcher, or their broken
    connection, terminate them.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
