"""Labelled data of a task: opened, split, and ready for training and evaluation."""

import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from physio_mae_jax.data.contamination import (
    ContaminationReport,
    TrainingProvenance,
    check_contamination,
)
from physio_mae_jax.data.fingerprints import text_hash
from physio_mae_jax.data.instances import UnitConfig, Units, choose_fraction, find_units
from physio_mae_jax.data.opening import DataConfig, DatasetBundle, open_data, require_split
from physio_mae_jax.data.splits import PARTS, divide_leaking, is_leaking
from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.experiment.run_metadata import provenance
from physio_mae_jax.experiment.settings import data_settings, typed

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledData:
    """Units of 'train', 'validation' and 'test', and their recordings.

    Attributes:
        opened: Source, reader and split of the recordings.
        units: Labelled units of each part, by the name of the part.
        split: Content of split.json.
        unit_settings: Settings that selected the units.
    """

    opened: DatasetBundle
    units: Mapping[str, Units]
    split: Mapping[str, Any]
    unit_settings: UnitConfig

    @property
    def kind(self) -> str:
        """'multilabel', 'multiclass' or 'regression'."""
        return self.units["train"].kind

    @property
    def num_channels(self) -> int:
        """Number of channels M of a window."""
        return self.opened.reader.config.num_channels

    def as_recordings(self, part: str) -> list[int]:
        """Return the recordings that contain the units of a part."""
        return np.unique(self.units[part].recording).tolist()

    def with_fraction(self, fraction: float, seed: int) -> "LabelledData":
        """Keep a fraction of the training subjects, see ``data.instances.choose_fraction``."""
        units = self.units["train"]
        recordings = self.opened.source.recordings
        subjects = [recordings[int(index)].subject_key for index in units.recording]
        kept = choose_fraction(units, subjects, fraction, seed)
        if fraction < 1:
            _LOG.info("labels of %g %%: train %d units, %s", fraction * 100, len(kept), _say(kept))
        return dataclasses.replace(self, units={**self.units, "train": kept})

    def training_provenance(
        self, before: TrainingProvenance | None, parts: Sequence[str] = ("train",)
    ) -> TrainingProvenance:
        """Hash the training data of a model trained here on ``parts``, added to ``before``."""
        seen = [index for part in parts for index in self.as_recordings(part)]
        record = TrainingProvenance.of(self.opened.source, seen)
        return record if before is None else record.joined(before)

    def contamination(self, seen: TrainingProvenance, *, strict: bool) -> ContaminationReport:
        """Look for training data of a model among the test data, see ``data.contamination``."""
        return check_contamination(
            seen, self.opened.source, self.as_recordings("test"), strict=strict
        )

    def standard(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation [K] of the training targets; 0 and 1 for classes."""
        targets = self.units["train"].targets
        if self.kind != "regression":
            return np.zeros(targets.shape[1]), np.ones(targets.shape[1])
        return targets.mean(axis=0), np.maximum(targets.std(axis=0), 1e-6)

    def contract(self) -> dict[str, Any]:
        """Return the contract of a checkpoint's input and outputs."""
        mean, deviation = self.standard()
        return {
            "input": self.opened.contract.to_json(),
            "split": {name: self.split[name] for name in ("rule", "hash")},
            "units": dataclasses.asdict(self.unit_settings)
            | {"kind": self.kind, "names": list(self.units["train"].classes)},
            "targets": {"mean": mean.tolist(), "deviation": deviation.tolist()},
        }


def open_labelled(config: ConfigDict, sampling_rate_hz: float, num_samples: int) -> LabelledData:
    """Open the data of a task and list its units.

    Args:
        config: ConfigDict with the sections ``data`` and ``units`` of ``configs/finetune.py``.
        sampling_rate_hz, num_samples: Sampling rate (Hz) and length L (samples) of a window.

    Raises:
        UserError: Data cannot be opened; a part has no recordings or no labels; a class is in no
            training unit or in all of them; or validation has only one class.
    """
    data = data_settings(config.data)
    settings = typed(UnitConfig, "units", config.units)
    leaking = is_leaking(data.split)
    opened = open_data(
        dataclasses.replace(data, split="none") if leaking else data,
        sampling_rate_hz,
        num_samples,
        progress=jax.process_index() == 0,
    )
    if leaking:
        units, split = _leaking_units(opened, settings, data)
    else:
        units = {
            part: find_units(
                opened.source, opened.reader, require_split(opened, part, data), settings
            )
            for part in PARTS
        }
        split = opened.split.to_json()
    for part, some in units.items():
        _LOG.info(
            "%s: %d units of %d recordings; %s",
            *(part, len(some), len(np.unique(some.recording)), _say(some)),
        )
    _check_classes(units, settings.task, data.split)
    return LabelledData(opened=opened, units=units, split=split, unit_settings=settings)


def _leaking_units(
    opened: DatasetBundle, settings: UnitConfig, data: DataConfig
) -> tuple[dict[str, Units], dict[str, Any]]:
    """Split units regardless of subject, to measure the optimistic bias of a leaky split."""
    every = find_units(opened.source, opened.reader, opened.parts["train"], settings)
    divided = divide_leaking(len(every), data.split, data.split_seed)
    units = {part: every.subset(divided[part]) for part in PARTS}
    ids = {part: units[part].ids.tolist() for part in PARTS}
    _LOG.warning(
        "split %r LEAKS: training and test share subjects. It measures the optimistic bias of "
        "a leaky split and is not a valid result.",
        data.split,
    )
    return units, {"rule": data.split, "units": ids, "hash": text_hash(json.dumps(ids))}


def _check_classes(units: Mapping[str, Units], task: str, rule: str) -> None:
    """Raise where a class cannot be learned or a model chosen; log what cannot be evaluated."""
    if units["train"].kind == "regression":
        return
    for name, count in zip(units["train"].classes, _positives(units["train"]), strict=True):
        if not 0 < count < len(units["train"]):
            raise ConfigError(
                f"class {name!r} of task {task!r} is in {'every' if count else 'no'} training unit "
                f"of split {rule!r}, so it cannot be learned; exclude it with "
                "--config.units.classes=..., or use another split."
            )
    for part in PARTS[1:]:
        counts = _positives(units[part])
        undecided = [
            name
            for name, count in zip(units[part].classes, counts, strict=True)
            if not 0 < count < len(units[part])
        ]
        if part == "validation" and len(undecided) == len(counts):
            raise DataError(
                f"validation of split {rule!r} has one class only ({_say(units[part])}), so no "
                "model can be chosen on it; validate on more subjects, or use another split."
            )
        if undecided:
            _LOG.warning(
                "%s has only positives or only negatives of %s", part, ", ".join(undecided)
            )


def _positives(units: Units) -> Sequence[int]:
    return (units.targets > 0).sum(axis=0).astype(int).tolist()


def _say(units: Units) -> str:
    if units.kind == "regression":
        return f"{units.classes[0]} {units.targets.mean():.3g} ± {units.targets.std():.3g}"
    return ", ".join(f"{n} {c}" for n, c in zip(units.classes, _positives(units), strict=True))


def card_context(
    config: ConfigDict, data: LabelledData, contamination: ContaminationReport
) -> dict[str, Any]:
    """Return the context of an evaluation card, shown beside the metrics."""
    leaking = is_leaking(str(data.split["rule"]))
    return {
        "title": f"{config.units.task} on {config.data.sets}" + " (LEAKY SPLIT)" * leaking,
        **provenance(),
        "data": data.opened.content_hashes,
        "split": {name: data.split[name] for name in ("rule", "hash")},
        "contamination": contamination.line(),
        "training units": len(data.units["train"]),
    }
