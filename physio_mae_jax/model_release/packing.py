"""A model folder from a run: weights, card, settings and learning curves."""

import dataclasses
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from physio_mae_jax import atomic_files
from physio_mae_jax.data.regular_file import read_regular
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.run_record import collect_record, write_record
from physio_mae_jax.inference.saved_model import WEIGHTS, save_model
from physio_mae_jax.inference.trained_model import load_checkpoint
from physio_mae_jax.model_release.archive import write_archive
from physio_mae_jax.model_release.card_text import compose_card
from physio_mae_jax.model_release.checks import (
    check_finished,
    check_pretraining,
    check_release,
)
from physio_mae_jax.training.metrics_file import METRICS

CURVES, PICTURE = "learning_curves.jsonl", "learning_curves.png"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MAX_REPORT_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReleaseConfig:
    """Settings of a release.

    Attributes:
        workdir: Work folder of a finished pre-training run.
        name: Name of the model and of its folder, such as 'physio-small'.
        out: Folder that the model folder and the archive are written into.
        license: License of the weights, as its SPDX identifier.
        evaluations: Markdown files with results.
        limits: Limits of the model beside those that every model has.
        dtype: Type of the stored weights, 'float16' or 'float32'.
    """

    workdir: Path
    name: str
    out: Path
    license: str
    evaluations: tuple[Path, ...] = ()
    limits: str = ""
    dtype: str = "float16"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > 100:
            raise ConfigError(
                f"--name={self.name!r} must be words of lower-case letters and digits joined by "
                "'-', such as physio-small."
            )
        if not self.license.strip():
            raise ConfigError(
                "--license is empty; name the license of the weights, such as CC-BY-4.0, which the "
                "licenses of the training data must permit."
            )


class Release(NamedTuple):
    """A written release.

    Attributes:
        folder: Model folder, which ``Encoder.from_pretrained`` loads.
        archive: The folder as .tar.gz; its SHA-256 lies beside it.
        cosine: Smallest cosine between embeddings of the folder and of the run.
    """

    folder: Path
    archive: Path
    cosine: float


def pack_release(config: ReleaseConfig) -> Release:
    """Write, check and pack the model of a run.

    The folder appears, or replaces an earlier release, only after all checks.

    Raises:
        UserError: The run is absent or unfinished, a check fails, or the folder cannot be written.
    """
    target = atomic_files.prepare_workdir(config.out, "--out") / config.name
    if target.exists() and not (target / WEIGHTS).is_file():
        raise ConfigError(f"{target} exists and is no model folder; choose another --out.")
    staged = target.with_name(f".partial-{config.name}")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        with atomic_files.disk_full_as_user_error(config.out):
            cosine = _write(config, staged)
            if target.exists():
                shutil.rmtree(target)
            staged.rename(target)
            return Release(target, write_archive(target), cosine)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _write(config: ReleaseConfig, folder: Path) -> float:
    """Write and check the model folder; return the cosine of ``check_release``."""
    check_pretraining(config.workdir)
    record = collect_record(config.workdir)
    check_finished(record.num_steps, record.config, config.workdir)
    trained = load_checkpoint(config.workdir)
    picture = config.workdir / "plots" / PICTURE
    card = compose_card(
        record,
        name=config.name,
        license=config.license,
        evaluations=[_read_report(path) for path in config.evaluations],
        limits=config.limits,
        has_curves=picture.is_file(),
    )
    save_model(trained._replace(origin=config.name), folder, card, dtype=config.dtype)
    write_record(folder, record)
    shutil.copyfile(config.workdir / METRICS, folder / CURVES)
    if picture.is_file():
        shutil.copyfile(picture, folder / PICTURE)
    return check_release(folder, trained)


def _read_report(path: Path) -> str:
    hint = "give a Markdown file such as evaluation.md or comparison.md with --evaluation."
    return read_regular(path, hint, _MAX_REPORT_BYTES).decode("utf-8", errors="replace")
