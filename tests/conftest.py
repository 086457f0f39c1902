"""Eight CPU devices, a compile cache, parsed absl flags, and the folder of real signals."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runs import typed

# Before JAX is imported, and for the processes that tests start: less optimization and the older
# code generator for fusions, as compiling takes most of the time (the newer one takes twice as long
# and twice the memory); and patience where eight virtual devices wait for each other on two cores.
if os.environ.get("JAX_PLATFORMS", "cpu") == "cpu":
    os.environ["XLA_FLAGS"] = (
        "--xla_backend_optimization_level=1 --xla_cpu_use_fusion_emitters=false "
        "--xla_cpu_collective_call_warn_stuck_timeout_seconds=120 "
        "--xla_cpu_collective_call_terminate_timeout_seconds=300 " + os.environ.get("XLA_FLAGS", "")
    )

import jax
from absl import flags

from tests.paths import REPOSITORY

# JAX_PLATFORMS=cuda runs the tests that need a GPU, which are skipped otherwise.
jax.config.update("jax_platforms", os.environ.get("JAX_PLATFORMS", "cpu"))
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update(
    "jax_compilation_cache_dir",
    os.environ.get(
        "JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "physio_mae_jax" / "tests")
    ),
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_numpy_rank_promotion", "allow")
MAX_RESIDENT_GIB = 1.8
# Grain reads a flag that only app.run would have parsed.
flags.FLAGS.mark_as_parsed()


@pytest.fixture(autouse=True)
def bounded_memory() -> Iterator[None]:
    """Forget compiled programs once a worker is large; the compile cache on disk has them still."""
    yield
    if resident_gib() > MAX_RESIDENT_GIB:
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux":  # glibc returns freed memory only on request
            ctypes.CDLL(None).malloc_trim(0)


def resident_gib() -> float:
    """Return the memory of this process in GiB; where it is unknown, more than is allowed."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return float("inf")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real signals and reference vectors, or skip with a reason."""
    folder = Path(os.environ.get("PHYSIO_MAE_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"needs real signals; {folder} is absent (set PHYSIO_MAE_SHARED)")
    return folder


@pytest.fixture(scope="session")
def waves_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the prepared data set 'waves'."""
    # What these import takes seconds, and most tests need none of it.
    from tests.prepared import waves

    root = tmp_path_factory.mktemp("waves")
    waves(root)
    return root


@pytest.fixture(scope="session")
def pretrained(waves_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work folder of two steps of pre-training on the training waves."""
    from physio_mae_jax.commands.pretrain import build_pretraining
    from physio_mae_jax.training.loop import train
    from physio_mae_jax.training.pretrain_trainable import PretrainTrainable
    from tests.runs import pretraining_config

    workdir = tmp_path_factory.mktemp("pretrained")
    with pytest.MonkeyPatch.context() as patch:
        # Nobody looks at its pictures, which take longer than its steps.
        patch.setattr(PretrainTrainable, "evaluate", lambda self, state, step: None)
        patch.setattr(PretrainTrainable, "plot_learning_curves", lambda self: None)
        train(build_pretraining(typed(pretraining_config(waves_root)), workdir))
    return workdir
