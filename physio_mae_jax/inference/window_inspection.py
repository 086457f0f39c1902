"""What an encoder sees in a window: reconstructions, attention, and the lag of a pulse."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from physio_mae_jax.inference.compiled_encoder import CompiledEncoder
from physio_mae_jax.inference.recording_plan import ModelInput
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.inspected_windows import AttendedWindow, ReconstructedWindow

if TYPE_CHECKING:
    from physio_mae_jax.signals.pulse_alignment import PulseAlignment


class WindowInspection:
    """Methods of an ``Encoder`` that look into windows.

    Attributes:
        trained: Trained model.
        programs: Its encoder, compiled.
    """

    trained: TrainedModel
    programs: CompiledEncoder

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the known channels."""
        return self.trained.model_spec.input.channels

    @functools.cached_property
    def input(self) -> ModelInput:
        """Windows that the model takes, for any channels of a recording."""
        window = self.trained.model_spec.input.window
        samples = self.programs.config.patch_samples
        return ModelInput(channels=self.channels, window=window, column_samples=samples)

    def reconstruct(
        self,
        signal: object,
        *,
        masked_seconds: Sequence[tuple[float, float]] | None = None,
        mask_ratio: float = 0.75,
        seed: int = 0,
        start_seconds: float = 0.0,
        **description: object,
    ) -> ReconstructedWindow:
        """Mask intervals of a window on all channels alike and reconstruct them with the model.

        Args:
            signal: One recording, as for ``encode_with_report``.
            masked_seconds: Masked intervals (start, stop) in seconds from the window start, widened
                to whole columns; None for random columns.
            mask_ratio, seed: Ratio of columns masked at random, and its random seed.
            start_seconds: Start of the window in the recording, seconds.
            **description: sampling_rate_hz, channels, units, gain, names, as in ``encode``.

        Returns:
            Arrays for ``plots.reconstruction.draw_reconstruction``.

        Raises:
            UserError: As for ``encode``, or there is no such window.
        """
        from physio_mae_jax.inference import inspection  # takes Optax, which encoding does not

        inspected = inspection.one_window(
            self.trained, self.input.window, signal, description, start_seconds
        )
        masked = inspection.masked_columns(self.programs.config, masked_seconds, mask_ratio, seed)
        return inspection.reconstruct_window(self.trained, inspected, masked)

    def attention(
        self,
        signal: object,
        *,
        layer: int | None = None,
        start_seconds: float = 0.0,
        **description: object,
    ) -> AttendedWindow:
        """Return the attention of the encoder in a window, over time, bands and channels.

        Args:
            signal: One recording, as for ``encode_with_report``.
            layer: Encoder layer, negative ones from the last; None for the mean of all.
            start_seconds: Start of the window in the recording, seconds.
            **description: As for ``reconstruct``.

        Returns:
            Arrays for ``plots.attention.draw_attention``.

        Raises:
            UserError: As for ``encode``, or there is no such window or layer.
        """
        from physio_mae_jax.inference import inspection

        inspected = inspection.one_window(
            self.trained, self.input.window, signal, description, start_seconds
        )
        return inspection.attend_window(self.trained, inspected, layer)

    def align(
        self,
        ppg: np.ndarray,
        ecg: np.ndarray,
        *,
        sampling_rate_hz: float,
        method: str = "model",
        step_seconds: float = 5.0,
        offset_seconds: float = 0.0,
    ) -> "PulseAlignment":
        """Measure the lag of a pulse after its ECG over time: pulse arrival times.

        Args:
            ppg: [n] pulse, higher with more blood; NaN where samples are missing.
            ecg: [n] ECG lead, recorded at the same time; the lead the model was trained on.
            sampling_rate_hz: Rate of both in Hz.
            method: 'model', by the time steps of a model with contrastive.readout='aligned'; or
                'peaks', from R peaks to the steepest rises of the pulse, which needs no model.
            step_seconds: Time between the starts of two windows.
            offset_seconds: Added to the lags of a model. Its loss only compares lags, so they
                differ from arrival times by a constant, which ``configs/retrieval.py`` reports.

        Returns:
            Lags, their confidence and the matched beats, for ``plots.alignment.draw_alignment``.

        Raises:
            UserError: The signals are invalid, or the model was not trained to align.
        """
        from physio_mae_jax.inference import alignment  # takes SciPy, which encoding does not

        return alignment.align(
            self.trained,
            self.input.window,
            (ppg, ecg),
            sampling_rate_hz,
            method,
            step_seconds,
            offset_seconds,
        )
