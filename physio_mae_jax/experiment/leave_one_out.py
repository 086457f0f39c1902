"""Build leave-one-subject-out fine-tuning, one run per subject, from a ConfigDict."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from physio_mae_jax.data.instances import LabelConfig, find_instances
from physio_mae_jax.data.opening import open_data
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.evaluation.finetune import EvaluationConfig, finetune
from physio_mae_jax.evaluation.leave_one_out import LeaveOneOutRun
from physio_mae_jax.experiment.classifiers import EncoderInit, resolve_init
from physio_mae_jax.experiment.finetuning import build_finetuning
from physio_mae_jax.experiment.run_metadata import provenance
from physio_mae_jax.experiment.sweep import check_workers, record_settings
from physio_mae_jax.experiment.typed_config import data_settings, to_dataclass
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.trials import Trial

_CHANGEABLE_KEYS = ("subjects", "num_workers", "worker")
_MIN_SUBJECTS = 3
# A split rule would parse other names as a range, a list or a fraction.
_PLAIN = re.compile(r"(?!\d+-\d+$)(?!0?\.\d+$)[\w.+-]+")


def build_leave_one_out(config: ConfigDict, workdir: Path, *, strict: bool) -> LeaveOneOutRun:
    """Prepare the folds; data and encoder are opened when the first one runs.

    Args:
        config: ConfigDict as returned by ``configs/loso.py``.
        workdir: Work folder, created if absent; the settings are written into it.
        strict: Whether to raise where test data was used to pre-train the encoder.

    Raises:
        UserError: A setting is wrong, or the folder holds folds with other settings.
    """
    check_settings(config)
    check_workers(config.num_workers)
    if "+" in config.data.sets:
        raise ConfigError(f"data.sets must name exactly one data set; got {config.data.sets!r}.")
    evaluation = to_dataclass(EvaluationConfig, "evaluation", config.evaluation)
    workdir = atomic_files.prepare_workdir(workdir)
    record_settings(config, workdir, _CHANGEABLE_KEYS)
    folds = _Folds(config, strict)
    return LeaveOneOutRun(
        workdir=workdir,
        list_folds=folds.entries,
        num_workers=config.num_workers,
        writes_report=not config.worker,
        config=evaluation,
        title=f"{config.labels.task} on {config.data.sets}, each subject left out once",
        describe=lambda: {
            **provenance(),
            "split": {"rule": folds.rule("each"), "seed": config.data.split_seed},
            "seeds": {"training": config.seed},
            "checkpoint": config.init_from or config.torch_weights or "from scratch",
            "model": config.architecture,
        },
    )


class _Folds:
    """The folds, and the objects shared by all folds that this process runs."""

    def __init__(self, config: ConfigDict, strict: bool) -> None:
        self.config = config
        self.strict = strict

    @functools.cached_property
    def encoder_init(self) -> EncoderInit:
        return resolve_init(self.config)

    def rule(self, subject: str) -> str:
        """Return the split rule of the fold that tests a subject."""
        return f"subject=|{self.config.validation_share:g}|{subject}"

    def entries(self) -> list[Trial]:
        """List the folds, one per requested subject with a label."""
        there = self._subjects_with_labels
        wanted = [name.strip() for name in self.config.subjects.split(",") if name.strip()]
        for name in wanted or there:
            if name not in there:
                raise DataError(
                    f"subject {name!r} has no label of task {self.config.labels.task!r}; must be "
                    f"of {', '.join(there)}."
                )
            if not _PLAIN.fullmatch(name):
                raise DataError(
                    f"subject {name!r} cannot be written in a split rule; prepare the data with "
                    "names made of letters, digits, '_', '.', '+' and '-'."
                )
        return [Trial(name, self._trial_runner(name)) for name in wanted or there]

    @functools.cached_property
    def _subjects_with_labels(self) -> list[str]:
        data, encoder_init = self._data("none"), self.encoder_init
        opened = open_data(
            data, encoder_init.sampling_rate_hz, encoder_init.num_samples, progress=False
        )
        settings = to_dataclass(LabelConfig, "labels", self.config.labels)
        instances = find_instances(opened.source, opened.reader, opened.splits["train"], settings)
        found = sorted({opened.source.recordings[int(i)].subject_id for i in instances.recording})
        if len(found) < _MIN_SUBJECTS:
            raise DataError(
                f"task {self.config.labels.task!r} must have labels of at least 3 subjects, one "
                f"each for test, validation and training; got {len(found)}."
            )
        return found

    def _data(self, rule: str) -> Any:
        return data_settings(self.config.data.to_dict() | {"split_rule": rule})

    def _trial_runner(self, subject: str) -> Callable[[Path], Any]:
        """Return the job of a subject's fold in its folder."""

        def run(folder: Path) -> None:
            row = self.config.copy_and_resolve_references()
            row.unlock()
            # Makes the folder that of a fine-tuning run, so configs/evaluate.py accepts it.
            row.command = "finetune"
            row.data.split_rule = self.rule(subject)
            finetune(
                build_finetuning(row, folder, strict=self.strict, encoder_init=self.encoder_init)
            )

        return run
