"""The encoder of a pre-trained model, for signals of one's own."""

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from physio_mae_jax.data.channel_plan import KnownChannels
from physio_mae_jax.data.source import SignalSource
from physio_mae_jax.data.windows import WindowConfig
from physio_mae_jax.inference import recording_plan
from physio_mae_jax.inference.arguments import made_of
from physio_mae_jax.inference.compiled_encoder import CompiledEncoder, mesh_for
from physio_mae_jax.inference.encoding_config import EncodingConfig
from physio_mae_jax.inference.engine import Engine, EngineConfig
from physio_mae_jax.inference.export import PLATFORMS, export_encoder
from physio_mae_jax.inference.inputs import SignalMetadata, given_recordings, is_empty_batch
from physio_mae_jax.inference.inspection import (
    attend_window,
    hidden_columns,
    one_window,
    reconstruct_window,
)
from physio_mae_jax.inference.model_card import Card
from physio_mae_jax.inference.pretrained import load_model, save_model
from physio_mae_jax.inference.report import EncodingReport, no_report
from physio_mae_jax.inference.restoring import CHECKPOINT, PRETRAINED, Origin, of_plain, to_plain
from physio_mae_jax.inference.trained_model import TrainedModel, fingerprint_of, load_checkpoint
from physio_mae_jax.local_paths import local_path
from physio_mae_jax.plots.attention import AttendedWindow
from physio_mae_jax.plots.reconstruction import ReconstructedWindow


class Encoded(NamedTuple):
    """Embeddings of some recordings.

    Attributes:
        embeddings: as ``Encoder.encode`` returns them.
        report: what was done to the recordings before.
    """

    embeddings: Any
    report: EncodingReport


class Encoder:
    """Turns signals of any rate, length and choice of known channels into embeddings.

    An encoder never changes, so one may be shared by threads, and its copies are itself. Saved by
    pickle or joblib, or sent to another process, it is the place of its folder and the hash of its
    weights, by which it is loaded again; one of no folder is its weights.
    """

    _origin: Origin | None = None

    def __init__(
        self, trained: TrainedModel, *, batch_size: int = 32, num_devices: int | None = None
    ) -> None:
        """Put the encoder of a model on the devices of this process.

        Args:
            trained: the model.
            batch_size: windows encoded at a time, over all devices.
            num_devices: how many to use; None for all.

        Raises:
            ConfigError: the batch cannot be divided among the devices.
        """
        mesh = mesh_for(batch_size, num_devices)
        self.trained = trained
        self.batch_size = int(batch_size)
        self._num_devices = num_devices
        self.programs = CompiledEncoder.of(
            trained.contract.model,
            trained.autoencoder_params["encoder"],
            mesh,
            channel_independent=trained.contract.channel_independent,
        )

    @classmethod
    def from_checkpoint(cls, path: str | Path, **settings: Any) -> "Encoder":
        """Load the encoder of a pre-training run.

        Args:
            path: work folder of the run.
            **settings: of the constructor.

        Raises:
            UserError: there is no whole checkpoint of a pre-training.
        """
        local_path(path, "path")
        made = cls(load_checkpoint(path), **settings)
        made._origin = Origin.of(CHECKPOINT, path)
        return made

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, allow_hub: bool = False, **settings: Any
    ) -> "Encoder":
        """Load what ``save_pretrained`` wrote; no code of the files is run.

        Args:
            name: a folder, or, with ``allow_hub``, an 'owner/name' of the Hugging Face hub.
            allow_hub: fetch it from there if there is no such folder.
            **settings: of the constructor.

        Raises:
            UserError: a file is missing, damaged or of something else.
        """
        local_path(name, "name")
        made = cls(load_model(name, allow_hub=allow_hub), **settings)
        made._origin = Origin.of(PRETRAINED, name, allow_hub)
        return made

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        licence: str = "",
        intended_use: str = "",
        evaluation: str = "",
    ) -> Path:
        """Write weights, contract and a card into a folder, to be shared.

        Args:
            folder: made if absent.
            licence, intended_use, evaluation: for the card, see ``model_card.Card``.
        """
        card = Card(licence=licence, intended_use=intended_use, evaluation=evaluation)
        return save_model(self.trained, folder, card)

    def export(
        self,
        path: str | Path,
        *,
        num_channels: int | None = None,
        platforms: Sequence[str] = PLATFORMS,
    ) -> Path:
        """Write a program that JAX alone can run; arguments as of ``export.export_encoder``."""
        return export_encoder(self.trained, path, num_channels=num_channels, platforms=platforms)

    def __copy__(self) -> "Encoder":
        return self

    def __deepcopy__(self, memo: Any) -> "Encoder":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        settings = {"batch_size": self.batch_size, "num_devices": self._num_devices}
        if self._origin is None:
            return _of_weights, (to_plain(self.trained), settings)
        return _of_folder, (dataclasses.asdict(self._origin), self.fingerprint, settings)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels it knows."""
        return self.trained.contract.input.channels

    @property
    def num_compilations(self) -> int:
        """Programs compiled so far, one for each shape of batch."""
        return len(self.programs.compiled)

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of its weights and contract."""
        return fingerprint_of(self.trained)

    @functools.cached_property
    def window(self) -> WindowConfig:
        """The windows it takes, of whatever channels a recording has."""
        given = self.trained.contract.input
        return WindowConfig(
            channels="",
            num_channels=given.num_channels,
            units=given.units,
            sampling_rate_hz=given.sampling_rate_hz,
            num_samples=given.num_samples,
            band_hz=given.band_hz,
        )

    def rows_of(self, names: Sequence[str], *, derive_leads: bool = False) -> tuple[str, ...]:
        """Return the rows of output='channels' of a recording with such channels."""
        planner = KnownChannels(self.channels, self.window.units, derive=derive_leads)
        return recording_plan.rows_of(names, planner)

    def describe(self) -> str:
        """Say in words what it takes, what it does with it, and what comes out."""
        return recording_plan.describe(self.trained, self.programs.config)

    def encode(self, signal: Any, **settings: Any) -> Any:
        """Return embeddings; arguments as of ``encode_with_report``."""
        return self.encode_with_report(signal, **settings).embeddings

    def encode_with_report(
        self,
        signal: Any,
        *,
        sampling_rate_hz: float | Sequence[float] | None = None,
        channels: Any = None,
        units: str | Sequence[str] = "",
        gain: Any = None,
        names: Sequence[str] | None = None,
        **settings: Any,
    ) -> Encoded:
        """Encode recordings, and say what was done to them.

        Each channel is resampled, cut into windows and normalised as in training. In the mean of
        overlapping windows every stretch of time counts the same; padding is masked.

        Args:
            signal: numbers [M, n] of one recording, [B, M, n] of several, [n] of one channel, a
                frame with a column for each channel, or a list of recordings of any lengths.
            sampling_rate_hz: samples a second; of a list, one for all or one each.
            channels: a name for each row, in any order and spelling known to
                ``signals.channels``; of a list, one list of names for all or one each.
            units: of the channels, or one for all; '' where not known.
            gain: counts in one unit, where samples are a converter's counts.
            names: of the recordings, for the report.
            **settings: of ``settings.EncodingConfig``: output='pooled', overlap=0.5,
                derive_leads=False, unknown_channels='error', on_invalid='error'.

        Returns:
            Float32 embeddings: 'pooled' [B, D]; 'channels' [B, M, D], rows as in
            ``report.channels``, NaN where a channel is never present; 'columns' [B, W, D] for each
            column of time; 'tokens' [B, M, W, H, D]. The last three of a list of recordings are
            lists of arrays without B.

        Raises:
            UserError: something is missing, unknown or broken; the message says the way out.
        """
        choices = made_of(EncodingConfig, settings)
        if choices.output == "pooled" and is_empty_batch(signal):
            # Pipelines may be given one.
            none = np.zeros((0, self.programs.config.width), np.float32)
            return Encoded(none, no_report(self.window))
        description = SignalMetadata(
            sampling_rate_hz=sampling_rate_hz,
            channels=channels,
            units=units,
            gain=gain,
            names=names,
        )
        given = given_recordings(signal, description)
        recording_plan.refuse_clocks(given.recordings, self.channels)
        rows, report = self.encode_source(given.recordings, choices)
        report = dataclasses.replace(report, notes=(*given.notes, *report.notes))
        stacked = choices.output == "pooled" or not isinstance(signal, list | tuple)
        return Encoded(np.stack(rows) if stacked else rows, report)

    def encode_source(
        self, source: SignalSource, settings: EncodingConfig
    ) -> tuple[list[np.ndarray], EncodingReport]:
        """Encode every recording of a source whose gaps are known, each as ``encode`` does."""
        known = self.channels
        if settings.unknown_channels == "error":
            recording_plan.check_known(source, known)
        columns = self.programs.config.num_columns
        config = EngineConfig(
            window=self.window,
            output=settings.output,
            hop_columns=max(1, round(columns * (1 - settings.overlap))),
            batch_size=self.batch_size,
            num_threads=settings.num_threads or min(8, os.cpu_count() or 1),
        )
        planner = KnownChannels(known, self.window.units, derive=settings.derive_leads)
        engine = Engine(source, planner, self.programs, config)
        prepared = recording_plan.prepare(engine, source, self.window, settings.on_invalid)
        collected = engine.encode(prepared.plans)
        return recording_plan.finish(prepared, collected, self.programs.config, settings.output)

    def reconstruct(
        self,
        signal: Any,
        *,
        hidden_seconds: Sequence[tuple[float, float]] | None = None,
        hidden_ratio: float = 0.75,
        seed: int = 0,
        start_seconds: float = 0.0,
        **description: Any,
    ) -> ReconstructedWindow:
        """Hide stretches of a window on all channels alike, and let the model redraw them.

        Args:
            signal: one recording, as of ``encode_with_report``.
            hidden_seconds: (start, stop) of what is hidden, from the start of the window, widened
                to whole columns; None for columns at random.
            hidden_ratio, seed: the share of columns hidden at random.
            start_seconds: of the window in the recording.
            **description: sampling_rate_hz, channels, units, gain, names, as there.

        Returns:
            Arrays, which ``figures.reconstruction.draw_reconstruction`` draws.

        Raises:
            UserError: as there, or there is no such window.
        """
        given = made_of(SignalMetadata, description)
        inspected = one_window(self.trained, self.window, signal, given, start_seconds)
        hidden = hidden_columns(self.programs.config, hidden_seconds, hidden_ratio, seed)
        return reconstruct_window(self.trained, inspected, hidden)

    def attention(
        self,
        signal: Any,
        *,
        layer: int | None = None,
        start_seconds: float = 0.0,
        **description: Any,
    ) -> AttendedWindow:
        """Say what the encoder attends to in a window, over time, bands and channels.

        Args:
            signal: one recording, as of ``encode_with_report``.
            layer: of the encoder, negative ones from the last; None for the mean of all.
            start_seconds: of the window in the recording.
            **description: sampling_rate_hz, channels, units, gain, names, as there.

        Returns:
            Arrays, which ``figures.attention.draw_attention`` draws.

        Raises:
            UserError: as there, or there is no such window or layer.
        """
        given = made_of(SignalMetadata, description)
        inspected = one_window(self.trained, self.window, signal, given, start_seconds)
        return attend_window(self.trained, inspected, layer)


def _of_weights(content: dict[str, Any], settings: dict[str, Any]) -> Encoder:
    """Make an encoder of what a pickle holds of one without a folder."""
    return Encoder(of_plain(content), **settings)


def _of_folder(place: dict[str, Any], fingerprint: str, settings: dict[str, Any]) -> Encoder:
    """Load an encoder again whose pickle holds its place; each process does so once."""
    return _loaded_again(Origin(**place), fingerprint, **settings)


@functools.lru_cache(maxsize=4)
def _loaded_again(origin: Origin, fingerprint: str, **settings: Any) -> Encoder:
    made = Encoder(origin.load_again(), **settings)
    if made.fingerprint != fingerprint:
        raise origin.other_weights()
    made._origin = origin
    return made
