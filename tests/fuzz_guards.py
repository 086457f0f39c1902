"""Guards of fuzzed reads: bounded time, and no open file."""

import contextlib
import faulthandler
import gc
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

from tests.fuzz_mutations import KINDS, VALUES

SECONDS = 10.0
# A change: what, where (share of the file), a number, some bytes.
CHANGE = st.tuples(
    st.sampled_from(KINDS),
    st.floats(0, 1),
    st.integers(0, 255),
    st.binary(min_size=1, max_size=8) | st.sampled_from(VALUES).map(str.encode),
)
CHANGES = st.lists(CHANGE, min_size=1, max_size=2)
EXAMPLES = int(os.environ.get("PHYSIO_MAE_FUZZ", "100"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES <= 200, database=None)


@contextlib.contextmanager
def guarded() -> Iterator[Path]:
    """Give a folder; fail where the block takes long or leaves a file open."""
    before, begun = open_files(), time.monotonic()
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        faulthandler.cancel_dump_traceback_later()
    assert time.monotonic() - begun < SECONDS
    if open_files() != before:
        gc.collect()
        assert open_files() == before


def open_files() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if target.startswith(tempfile.gettempdir()):
                found.append(target)
    return sorted(found)
