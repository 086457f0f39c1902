"""Time that a new process takes to import the encoder, beyond that of JAX."""

import json
import statistics
import subprocess
import sys
from typing import NamedTuple

_MEASURE = """
import json, time
begun = time.perf_counter()
import jax
imported_jax = time.perf_counter()
from physio_mae_jax import Encoder
print(json.dumps([imported_jax - begun, time.perf_counter() - imported_jax]))
"""


class ImportSeconds(NamedTuple):
    """Durations of the imports of a new process.

    Attributes:
        jax: ``import jax``, seconds.
        encoder: ``from physio_mae_jax import Encoder`` after it, seconds.
    """

    jax: float
    encoder: float


def import_seconds(repeats: int) -> ImportSeconds:
    """Return the medians over ``repeats`` new processes, one after another."""
    # Inherits the search path, so that it works from any folder.
    code = f"import sys; sys.path[:] = {sys.path!r}\n{_MEASURE}"
    command = [sys.executable, "-c", code]
    found = [
        json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        for _ in range(repeats)
    ]
    return ImportSeconds(*(statistics.median(column) for column in zip(*found, strict=True)))
