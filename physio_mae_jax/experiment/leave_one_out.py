"""From a ConfigDict to as many fine-tunings as there are people."""

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from physio_mae_jax.data.instances import UnitConfig, find_units
from physio_mae_jax.data.opening import open_data
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.evaluation.finetune import EvaluationConfig, finetune
from physio_mae_jax.evaluation.leave_one_out import LeaveOneOutRun
from physio_mae_jax.experiment.classifiers import EncoderInit, resolve_init
from physio_mae_jax.experiment.finetuning import build_finetuning
from physio_mae_jax.experiment.run_metadata import provenance
from physio_mae_jax.experiment.settings import data_settings, typed
from physio_mae_jax.experiment.sweep import check_workers, keep_settings
from physio_mae_jax.setting_ranges import check_settings
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.trials import Entry

_MAY_DIFFER = ("subjects", "num_workers", "report")
_FEWEST = 3
# Others would be read by a split rule as a range, a list or a share.
_PLAIN = re.compile(r"(?!\d+-\d+$)(?!0?\.\d+$)[\w.+-]+")


def build_leave_one_out(config: ConfigDict, workdir: Path, *, strict: bool) -> LeaveOneOutRun:
    """Prepare the folds; data and encoder are opened when the first one runs.

    Args:
        config: as ``configs/loso.py`` makes it.
        workdir: made if absent; settings are written into it.
        strict: refuse to judge on what the encoder was pre-trained on.

    Raises:
        UserError: a setting is wrong, or the folder holds folds by other settings.
    """
    check_settings(config)
    check_workers(config.num_workers)
    if "+" in config.data.sets:
        raise ConfigError(
            f"data.sets={config.data.sets!r}: leave subjects out of one data set at a time."
        )
    evaluation = typed(EvaluationConfig, "evaluation", config.evaluation)
    workdir = atomic_files.prepare_workdir(workdir)
    keep_settings(config, workdir, _MAY_DIFFER)
    folds = _Folds(config, strict)
    return LeaveOneOutRun(
        workdir=workdir,
        list_folds=folds.entries,
        num_workers=config.num_workers,
        reports=config.report,
        config=evaluation,
        title=f"{config.units.task} on {config.data.sets}, each subject left out once",
        describe=lambda: {
            **provenance(),
            "split": {"rule": folds.rule("each"), "seed": config.data.split_seed},
            "seeds": {"training": config.seed},
            "checkpoint": config.start or config.weights or "from scratch",
            "model": config.architecture,
        },
    )


class _Folds:
    """The folds, and what all that this process runs have in common."""

    def __init__(self, config: ConfigDict, strict: bool) -> None:
        self.config = config
        self.strict = strict

    @functools.cached_property
    def beginning(self) -> EncoderInit:
        return resolve_init(self.config)

    def rule(self, subject: str) -> str:
        """Return the split rule of the fold that tests a subject."""
        return f"subject=|{self.config.validation_share:g}|{subject}"

    def entries(self) -> list[Entry]:
        """List the folds, one for each subject that is wanted and has a label."""
        there = self._subjects_with_labels
        wanted = [name.strip() for name in self.config.subjects.split(",") if name.strip()]
        for name in wanted or there:
            if name not in there:
                raise DataError(
                    f"subjects names {name!r}, who has no label of task "
                    f"{self.config.units.task!r}; there is {', '.join(there)}."
                )
            if not _PLAIN.fullmatch(name):
                raise DataError(
                    f"subject {name!r} cannot be named in a split rule; prepare the data with "
                    "names of letters, digits, '_', '.', '+' and '-'."
                )
        return [Entry(name, self._doing(name)) for name in wanted or there]

    @functools.cached_property
    def _subjects_with_labels(self) -> list[str]:
        data, begun = self._data("none"), self.beginning
        opened = open_data(data, begun.sampling_rate_hz, begun.num_samples, progress=False)
        settings = typed(UnitConfig, "units", self.config.units)
        units = find_units(opened.source, opened.reader, opened.parts["train"], settings)
        found = sorted({opened.source.recordings[int(i)].subject_id for i in units.recording})
        if len(found) < _FEWEST:
            raise DataError(
                f"task {self.config.units.task!r} has labels of {len(found)} subjects; to leave "
                "one out, validate on another and train takes three at least."
            )
        return found

    def _data(self, rule: str) -> Any:
        return data_settings(self.config.data.to_dict() | {"split": rule})

    def _doing(self, subject: str) -> Callable[[Path], Any]:
        """Return what does the fold of a subject in its folder."""

        def run(folder: Path) -> None:
            row = self.config.copy_and_resolve_references()
            row.unlock()
            # So that the folder is that of a fine-tuning, which configs/evaluate.py judges too.
            row.task = "finetune"
            row.data.split = self.rule(subject)
            finetune(build_finetuning(row, folder, strict=self.strict, beginning=self.beginning))

        return run
