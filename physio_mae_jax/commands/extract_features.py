"""Embed every recording of data sets, of a folder or of files, as tables."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from physio_mae_jax import atomic_files
from physio_mae_jax.data.labels import recording_labels
from physio_mae_jax.data.prepared import PreparedSource
from physio_mae_jax.data.sets import ConcatSource
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.data.splits import make_split
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.experiment.recording_sets import RecordingSets
from physio_mae_jax.experiment.typed_config import ExperimentConfig, read_config
from physio_mae_jax.inference.encoder import Encoder
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.feature_store.extraction import (
    FeatureConfig,
    FeatureRun,
    extract_features,
    process_share,
)
from physio_mae_jax.inference.saved_model import is_saved_model
from physio_mae_jax.types import JsonObject, Settings

_LOG = logging.getLogger(__name__)
SAME_AS_RUN = "run"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureDataConfig(RecordingSets):
    """Recordings to embed, and their split.

    Attributes:
        split_rule, split_seed: As in ``DataConfig``.
    """

    split_rule: str
    split_seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExtractFeaturesConfig(ExperimentConfig):
    """Settings of a feature extraction; ``configs/features.py`` explains each."""

    init_from: str
    num_devices: int
    batch_size: int
    process_index: int
    process_count: int
    tasks: str
    data: FeatureDataConfig
    format: str
    recordings_per_shard: int
    encoding: EncodingConfig


def lock_arguments(config: ExtractFeaturesConfig) -> JsonObject:
    """Return how processes share the work folder: each locks its own part of the recordings."""
    index, count = process_share(config.process_index, config.process_count)
    return {"partition": f"process_{index}_of_{count}" if count > 1 else ""}


def read(config: Settings) -> ExtractFeaturesConfig:
    """Parse a config; raise a ConfigError if a setting is invalid."""
    return read_config(ExtractFeaturesConfig, config)


def run(config: ExtractFeaturesConfig, workdir: Path, *, strict: bool) -> None:
    """Embed the recordings; ``strict`` has no effect, as nothing is evaluated."""
    del strict
    extract_features(build_features(config, workdir))


def build_features(config: ExtractFeaturesConfig, workdir: Path) -> FeatureRun:
    """Load an encoder and open the recordings to encode.

    Args:
        config: Settings.
        workdir: Work folder, created if absent.

    Raises:
        UserError: An error that the user can fix.
    """
    encoder = _encoder(config)
    sources = config.data.open(skip_unreadable=config.encoding.on_invalid == "skip")
    combined = ConcatSource(sources, [range(len(source.recordings)) for source in sources])
    process_index, process_count = process_share(config.process_index, config.process_count)
    labels = [
        recording_labels(combined, range(len(combined.recordings)), task)
        for task in _tasks(config.tasks, sources)
    ]
    for task in labels:
        _LOG.info("labels of task %s: %s", task.task, ", ".join(task.classes))
    return FeatureRun(
        workdir=atomic_files.prepare_workdir(workdir),
        config=FeatureConfig(
            format=config.format,
            recordings_per_shard=config.recordings_per_shard,
            encoding=config.encoding,
        ),
        encoder=encoder,
        source=combined,
        splits=_splits(config, combined),
        labels=labels,
        content_hashes={
            source.metadata.name: source.metadata.content_hash
            for source in sources
            if isinstance(source, PreparedSource)
        },
        process_index=process_index,
        process_count=process_count,
    )


def _encoder(config: ExtractFeaturesConfig) -> Encoder:
    if not config.init_from:
        raise ConfigError(
            "init_from is empty; give the work folder of a pre-training run, a folder of "
            "Encoder.save_pretrained, or the name of a shipped model such as physio-small, with "
            "--config.init_from=…"
        )
    load = Encoder.from_pretrained if is_saved_model(config.init_from) else Encoder.from_checkpoint
    return load(
        config.init_from, batch_size=config.batch_size, num_devices=config.num_devices or None
    )


def _tasks(labels: str, sources: Sequence[SignalSource]) -> list[str]:
    """Return the named tasks, or all recording-level tasks that every data set defines alike."""
    if labels:
        return [name.strip() for name in labels.split(",") if name.strip()]
    classes_by_task: list[dict[str, tuple[str, ...]]] = []
    for source in sources:
        tasks = source.metadata.tasks if isinstance(source, PreparedSource) else ()
        classes_by_task.append(
            {task["name"]: tuple(task["classes"]) for task in tasks if task["level"] == "recording"}
        )
    return [
        name
        for name in classes_by_task[0]
        if all(f.get(name) == classes_by_task[0][name] for f in classes_by_task)
    ]


def _splits(config: ExtractFeaturesConfig, source: ConcatSource) -> dict[int, str]:
    """Return the split of each recording, by a split rule or by the split of the encoder's run."""
    rule = config.data.split_rule
    if not rule:
        return {}
    if rule == SAME_AS_RUN:
        rule = str(Path(config.init_from) / "split.json")
        if not Path(rule).is_file():
            raise ConfigError(
                f"data.split_rule={SAME_AS_RUN!r} reads {rule}, which does not exist; give a run "
                "with --config.init_from=DIR, or another rule."
            )
    all_recordings = range(len(source.recordings))
    split = make_split(source.recordings, all_recordings, rule, config.data.split_seed)
    divided = split.divide(source.recordings, all_recordings)
    return {index: split for split, indices in divided.items() for index in indices}
