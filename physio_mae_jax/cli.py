"""Shared parts of the command lines with a ``--config``."""

import logging
import os
import re
import sys
import threading
import traceback
from pathlib import Path

import jax
from absl import flags
from absl import logging as absl_logging

from physio_mae_jax.errors import UserError
from physio_mae_jax.printable import PrintableFormatter, printable_lines

_LOG = logging.getLogger("physio_mae_jax")
_MAX_REASON = 500
# Out-of-memory messages of XLA, the system, its loader and threads, and Python extensions.
_OUT_OF_MEMORY = re.compile(
    r"RESOURCE_EXHAUSTED|[Oo]ut of memory|Cannot allocate memory|failed to map segment|"
    r"can't start new thread|error return without exception set|std::bad_alloc"
)
_UNREAD = "because of an earlier failure to load: "
_ORBAX_FILES = ("future.py", "async_checkpointer.py", "checkpoint_manager.py")


def set_up_logging() -> None:
    """Log this package at INFO and above, and the libraries at WARNING and above."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    # Errors of Orbax threads reach us and are logged once; Orbax would print them repeatedly.
    absl_logging.get_absl_handler().addFilter(lambda record: record.filename not in _ORBAX_FILES)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False
    threading.excepthook = _log_thread_error


def _log_thread_error(ended: threading.ExceptHookArgs) -> None:
    """Log in one line that a thread failed, such as that of TensorBoard on a full disk."""
    name = "a thread" if ended.thread is None else ended.thread.name
    kind = ended.exc_type.__name__
    _LOG.warning("%s ended: %s: %s", name, kind, " ".join(str(ended.exc_value).split())[:300])


def set_gpu_memory_fraction() -> None:
    """Let JAX use 0.92 of a GPU's memory instead of 0.75, unless configured otherwise.

    ``benchmark --fit_memory_gib`` counts on this fraction. Call before a device is used.
    """
    # The old name of the fraction; JAX rejects setting both.
    if "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ:
        os.environ.setdefault("XLA_CLIENT_MEM_FRACTION", "0.92")


def enable_compilation_cache() -> None:
    """Enable the compilation cache, which reuses programs that an earlier run compiled.

    It is in ``~/.cache/physio_mae_jax/programs``; ``JAX_COMPILATION_CACHE_DIR`` selects another
    folder, ``JAX_ENABLE_COMPILATION_CACHE=false`` disables it. Several processes of a run use it
    together: process 0 writes, all read. Call after they have joined, and before any device is
    used.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        programs = Path(caches) / "physio_mae_jax" / "programs"
        jax.config.update("jax_compilation_cache_dir", str(programs))
    if jax.distributed.is_initialized():
        # Otherwise each process would tune its share of the kernels and wait for the others, of
        # which one that finds the program in the cache tunes nothing.
        flags_of_xla = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags_of_xla} --xla_gpu_shard_autotuning=false".strip()


def parse_flags(argv: list[str], config: flags.FlagHolder[object]) -> list[str]:
    """Parse the flags; invalid flags and errors of a config file raise a ``UserError``."""
    try:
        rest = flags.FLAGS(argv)
        # A config file that could not be read raises only on use.
        if not hasattr(config.value, "items"):
            raise UserError("get_config of the config file must return a ConfigDict; see configs/.")
        return rest
    except UserError:
        raise
    # A config file is a program and can raise anything.
    except Exception as error:
        raise UserError(_reason(error, argv)) from error


def _reason(error: Exception, argv: list[str]) -> str:
    """Format an error of the config flags ``argv`` without the tracebacks in its text."""
    if isinstance(error, SyntaxError):
        where = f"{error.filename}, line {error.lineno}," if error.filename else "it"
        return f"--config is not a config: {where} is not valid Python ({error.msg}); see configs/."
    text = str(error.args[0] if error.args else error)
    said = text.rsplit("Error: ", 1)[-1].replace("\\n", " ").replace("\\'", "'").split()
    short = " ".join(said)[:_MAX_REASON] or type(error).__name__
    if _UNREAD in short:
        return f"--config cannot be read: {short.partition(_UNREAD)[2]}; give one as in configs/."
    if "get_config" in short and isinstance(error, AttributeError):
        return f"--config is not a config file: it has no get_config ({short}); see configs/."
    if isinstance(error, flags.Error | OSError | ValueError | TypeError):
        return short
    if isinstance(error, KeyError | AttributeError):
        return _unknown_setting(short, argv)
    return f"the config cannot be read: {type(error).__name__}: {short}"


def _unknown_setting(text: str, argv: list[str]) -> str:
    """Name the flag of ``argv`` that no setting belongs to, and the nearest setting.

    Args:
        text: ml_collections' message; it has the unknown name first, then perhaps the nearest.
        argv: Arguments of the command line.
    """
    names = re.findall(r"[\'\"](\w+)[\'\"]", text)
    unknown, nearest = names[0] if names else "", names[1] if len(names) > 1 else ""
    paths = [argument.partition("=")[0] for argument in argv if argument.startswith("--config.")]
    named = [path for path in paths if unknown in path.split(".")]
    hint = f"did you mean {nearest!r}?" if nearest else "the config file lists the settings."
    return f"{(named or ['a --config.… flag'])[0]} is not a setting of this config; {hint}"


def report_error(error: Exception) -> int:
    """Print an error, without a traceback where the user can fix it; return the exit status."""
    for handler in (*_LOG.handlers, *logging.getLogger().handlers):
        # The stream may be gone, such as that of a terminal that was closed.
        if not getattr(getattr(handler, "stream", None), "closed", False):
            handler.flush()
    # At exit the interpreter would print leftovers of a failed save below our line.
    sys.unraisablehook = lambda unraisable: None
    threading.excepthook = lambda ended: None
    message, status = _format_error(error)
    if message:
        print(f"error: {printable_lines(message)}", file=sys.stderr)
    else:
        traceback.print_exception(error)
    return status


def _format_error(error: Exception) -> tuple[str, int]:
    """Return the message of an error ('' for a bug of the program) and the exit status."""
    if isinstance(error, UserError):
        return str(error), error.status
    text = " ".join(str(error).split())[:_MAX_REASON]
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
        return (
            f"there is not enough memory ({text or 'MemoryError'}). Lower batch_size, raise "
            "accumulation_steps, choose a smaller preset or shorter window_seconds, or use fewer "
            "workers; for long windows, set model.remat to 'full' and "
            "model.attention_block_seconds to 12.",
            UserError.status,
        )
    if isinstance(error, OSError) and error.errno is not None:
        return f"{text}. Fix that and run the same command again.", UserError.status
    if isinstance(error, KeyError | AttributeError) and _raised_in(error, "ml_collections"):
        return f"the config lacks a setting: {text}", UserError.status
    return "", 1


def _raised_in(error: Exception, package: str) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith(package)
