"""Mutation fuzzing of everything that reads what others wrote: files, JSON, settings, arrays.

    python -m tests.fuzz                          every target, 2,000 inputs each
    python -m tests.fuzz --target=edf --inputs=20000 --seed=1
    python -m tests.fuzz --target=edf --case=137  one input again, with its traceback

Each input is accepted, or rejected by an error of the project's own. Anything else is a failure: a
raw exception, a wait of more than ``--seconds``, memory beyond ``--memory_mib``, a message without
end. A target runs in a process of its own, which is killed and started anew where an input hangs.
"""

import argparse
import collections
import faulthandler
import logging
import multiprocessing
import resource
import sys
import tempfile
import time
import traceback
import zlib
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from physio_mae_jax.errors import UserError
from tests.fuzz_targets import TARGETS

LONGEST_MESSAGE = 20_000


class Limits(NamedTuple):
    """What one input may take.

    Attributes:
        seconds: from its start to its end.
        memory_mib: growth of the largest resident memory of the process.
    """

    seconds: float = 10.0
    memory_mib: float = 600.0


class Outcome(NamedTuple):
    """What became of one input: kind is named, accepted, raw, hang, memory or message."""

    case: int
    kind: str
    detail: str = ""


def try_case(target: str, state: object, seed: int, case: int, limits: Limits) -> Outcome:
    """Try one input of a target; the same seed and case give the same input."""
    rng = np.random.default_rng([seed, zlib.crc32(target.encode()), case])
    before = _peak_mib()
    kind, detail = "accepted", ""
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        try:
            TARGETS[target].run(state, rng, Path(folder))
        except UserError as error:
            kind = "named" if len(str(error)) < LONGEST_MESSAGE else "message"
            detail = str(error)[:200]
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            kind, detail = "raw", "".join(traceback.format_exception(error))[-3000:]
    if (grown := _peak_mib() - before) > limits.memory_mib:
        kind, detail = "memory", f"{grown:.0f} MiB; {kind}: {detail}"
    return Outcome(case, kind, detail)


def run_target(target: str, cases: Iterable[int], seed: int, limits: Limits) -> list[Outcome]:
    """Try inputs of a target in a process of its own, one after another."""
    waiting = collections.deque(cases)
    outcomes: list[Outcome] = []
    context = multiprocessing.get_context("spawn")
    while waiting:
        ours, theirs = context.Pipe()
        worker = context.Process(
            target=_work, args=(theirs, target, list(waiting), seed, limits), daemon=True
        )
        worker.start()
        theirs.close()
        outcomes += _collect(ours, waiting, limits)
        worker.kill()
        worker.join()
    return outcomes


def _collect(pipe: Connection, waiting: "collections.deque[int]", limits: Limits) -> list[Outcome]:
    """Take outcomes until all are there, or an input hangs or ends the process."""
    found: list[Outcome] = []
    patience = 300.0  # imports and the preparation of the target
    while waiting:
        try:
            if not pipe.poll(patience):
                found.append(Outcome(waiting.popleft(), "hang"))
                return found
            outcome = pipe.recv()
        except EOFError:
            found.append(Outcome(waiting.popleft(), "raw", "the process died"))
            return found
        if outcome is not None:
            found.append(outcome)
            waiting.popleft()
        patience = limits.seconds
    return found


def _work(pipe: Connection, target: str, cases: list[int], seed: int, limits: Limits) -> None:
    faulthandler.enable()
    logging.getLogger("physio_mae_jax").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        try:
            state = TARGETS[target].make(Path(folder))
        except Exception:
            # No input can be tried, so all of them fail at once instead of a process for each.
            for case in cases:
                pipe.send(Outcome(case, "raw", traceback.format_exc()[-1000:]))
            raise
        pipe.send(None)
        for case in cases:
            pipe.send(try_case(target, state, seed, case, limits))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Run the targets that are asked for, print a table, and return 1 where an input failed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", choices=[*TARGETS, "all"], default="all")
    parser.add_argument("--inputs", type=int, default=2000, help="of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, default=-1, help="only this input, with its traceback")
    parser.add_argument("--seconds", type=float, default=Limits().seconds)
    parser.add_argument("--memory_mib", type=float, default=Limits().memory_mib)
    options = parser.parse_args()
    limits = Limits(options.seconds, options.memory_mib)
    if options.case >= 0:
        with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
            state = TARGETS[options.target].make(Path(folder))
            outcome = try_case(options.target, state, options.seed, options.case, limits)
        print(f"{outcome.kind}\n{outcome.detail}")
        return 0
    kinds = ("named", "accepted", "raw", "hang", "memory", "message")
    print(f"{'target':28s}" + "".join(f"{kind:>10s}" for kind in kinds) + f"{'seconds':>10s}")
    totals: collections.Counter[str] = collections.Counter()
    for target in TARGETS if options.target == "all" else [options.target]:
        begun = time.monotonic()
        outcomes = run_target(target, range(options.inputs), options.seed, limits)
        counts = collections.Counter(outcome.kind for outcome in outcomes)
        totals += counts
        row = "".join(f"{counts[kind]:10d}" for kind in kinds)
        print(f"{target:28s}{row}{time.monotonic() - begun:10.0f}", flush=True)
        for outcome in outcomes:
            if outcome.kind not in ("named", "accepted"):
                print(f"  case {outcome.case}: {outcome.kind}\n{outcome.detail}", file=sys.stderr)
    print(f"{'sum':28s}" + "".join(f"{totals[kind]:10d}" for kind in kinds))
    return int(any(totals[kind] for kind in kinds[2:]))


if __name__ == "__main__":
    sys.exit(main())
