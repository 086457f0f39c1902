"""Cross-modal retrieval: the ECG recorded with a PPG, and the PPG recorded with an ECG.

Every window of every held-out subject is a query once in each direction. Its candidates are its
own match and the windows of all subjects ('all'), of other subjects only ('across'), or of the same
subject only ('within', where only the timing of beats helps). The untrained encoder and chance
are evaluated as baselines.

On synthetic data with known delays, ``evaluation.delay_probe`` predicts the pulse transit time from
the same encoders.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import jax
import numpy as np

from physio_mae_jax import atomic_files
from physio_mae_jax.data.format_version import add_version
from physio_mae_jax.data.windows import WindowReader, spread_windows
from physio_mae_jax.evaluation.batched_map import map_windows
from physio_mae_jax.evaluation.beat_retrieval import (
    PEAKS_NOTE,
    beat_similarity,
    is_pulse_and_ecg,
)
from physio_mae_jax.evaluation.delay_probe import probe_delay
from physio_mae_jax.evaluation.lag_error import beat_lags, lag_error, window_lags
from physio_mae_jax.models.contrastive import AlignedEmbedding, ContrastiveAutoencoder
from physio_mae_jax.models.window_batch import Windows
from physio_mae_jax.objectives.contrastive import NUM_MODALITIES, split_modalities
from physio_mae_jax.objectives.pretraining import Batch
from physio_mae_jax.plots.retrieval import draw_retrieval
from physio_mae_jax.printable import Lines, printable
from physio_mae_jax.signals.lagged_similarity import best_pairwise
from physio_mae_jax.training.pretrain_step import MODEL_INPUTS
from physio_mae_jax.types import JsonObject, Params

_LOG = logging.getLogger(__name__)

POOLS = ("all", "across", "within")
PEAKS = "peaks"  # the baseline without learning, among the encoders of the results
_RECALLS = (1, 5, 10)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrievalConfig:
    """Sizes of a retrieval.

    Attributes:
        max_windows_per_subject: Maximum number of queries per subject.
        batch_size: Windows encoded at a time.
        probe_recordings, probe_windows: Number of training recordings that the pulse transit time
            probe is fitted to, and windows of each.
    """

    max_windows_per_subject: int
    batch_size: int
    probe_recordings: int
    probe_windows: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrievalRun:
    """Components of a retrieval.

    Attributes:
        workdir: Absolute path of the output folder.
        config: Sizes of the retrieval.
        model: Model of the run.
        lags: Lags at which the time steps of an aligned model are compared, in steps.
        step_seconds: Length of a time step.
        encoders: Parameters by name, 'trained' and 'untrained'.
        reader: Reader of windows with two channels.
        training: Indices of the training recordings.
        held_out: Indices of the recordings of held-out subjects.
        true_delay_seconds: Delay from ECG to PPG per recording, seconds; None if unknown.
        description: Description of the run and its data, for the report.
    """

    workdir: Path
    config: RetrievalConfig
    model: ContrastiveAutoencoder
    lags: tuple[int, ...]
    step_seconds: float
    encoders: dict[str, Params]
    reader: WindowReader
    training: Sequence[int]
    held_out: Sequence[int]
    true_delay_seconds: Callable[[int], float] | None
    description: JsonObject


def retrieve(run: RetrievalRun) -> JsonObject:
    """Measure retrieval and delays, write the results, and return them."""
    positions = spread_windows(run.reader, run.held_out, run.config.max_windows_per_subject)
    read = [(position[0], run.reader.read(*position)) for position in positions]
    complete = [(recording, window) for recording, window in read if window["channel_mask"].all()]
    recordings, windows = [one[0] for one in complete], [one[1] for one in complete]
    subjects = np.asarray([int(window["subject"]) for window in windows])
    _LOG.info("%d windows of %d subjects never trained on", len(windows), len(set(subjects)))
    names = run.reader.plan(run.held_out[0]).channels
    results: JsonObject = {
        "num_windows": len(windows),
        "num_subjects": len(set(subjects.tolist())),
        "channels": list(names),
        **run.description,
    }
    signals = np.stack([window["signal"] for window in windows])
    reference = _lag_reference(run, recordings, signals, names)
    embed = jax.jit(lambda params, batch: _embed(run.model, params, batch))
    for encoder, params in run.encoders.items():
        embedded = map_windows(
            functools.partial(embed, params), windows, MODEL_INPUTS, run.config.batch_size
        )
        results[encoder] = _both_directions(_similarity(embedded, run.lags), subjects, names)
        if reference is not None:
            lags = window_lags(embedded, run.lags, run.step_seconds)
            results[encoder]["lag"] = lag_error(lags, reference)
        if run.true_delay_seconds is not None:
            results[encoder]["delay"] = delay_probe(run, params)
    beats = beat_similarity(signals, names, run.model.config.sampling_rate_hz)
    if beats is not None:
        results[PEAKS] = _both_directions(beats, subjects, names)
    atomic_files.write_json(run.workdir / "retrieval.json", add_version(results))
    text = retrieval_table(results)
    atomic_files.write_text(run.workdir / "retrieval.md", text)
    plot_file = run.workdir / "plots" / "retrieval.png"
    atomic_files.write_figure(plot_file, lambda: draw_retrieval(results))
    _LOG.info("\n%s", Lines(text))
    return results


def _lag_reference(
    run: RetrievalRun, recordings: Sequence[int], signals: np.ndarray, names: Sequence[str]
) -> np.ndarray | None:
    """Return the lag of each window [n] in seconds: the known one, or that of its beats.

    None if the model has no time steps, or the channels are not a pulse and an ECG.
    """
    if not run.model.column_steps:
        return None
    if run.true_delay_seconds is not None:
        return np.asarray([run.true_delay_seconds(recording) for recording in recordings])
    if not is_pulse_and_ecg(names):
        return None
    return beat_lags(signals, run.model.config.sampling_rate_hz)


def _both_directions(
    similarity: np.ndarray, subjects: np.ndarray, names: Sequence[str]
) -> JsonObject:
    """Rank the windows in both directions by similarities [n, n] of channel 0 to channel 1."""
    return {
        f"{names[i]} to {names[1 - i]}": {
            pool: rank_metrics(values, subjects, pool) for pool in POOLS
        }
        for i, values in enumerate((similarity, similarity.T))
    }


def delay_probe(run: RetrievalRun, params: Params) -> JsonObject:
    """Predict the delays of held-out recordings, see ``evaluation.delay_probe``."""
    assert run.true_delay_seconds is not None
    columns = jax.jit(lambda params, batch: _column_latents(run.model, params, batch))
    stride = max(1, len(run.training) // run.config.probe_recordings)
    sets = []
    for recordings in (run.training[::stride], run.held_out):
        latents = []
        for recording in recordings:
            starts = run.reader.starts(recording)
            chosen = np.linspace(0, len(starts) - 1, run.config.probe_windows).astype(int)
            read = run.reader.read_batch([(recording, starts[int(i)], 1.0) for i in chosen])
            batch = {name: read[name] for name in MODEL_INPUTS}
            latents.append(np.asarray(columns(params, batch)))
        delays = np.asarray([run.true_delay_seconds(recording) for recording in recordings])
        sets += [np.stack(latents), delays]
    return dict(probe_delay(sets[0], sets[1], sets[2], sets[3]))


def _column_latents(model: ContrastiveAutoencoder, params: Params, batch: Batch) -> jax.Array:
    """Encode both modalities, the mean of the rows of each column: [B, 2, W, D] float32."""
    one = split_modalities(batch)
    latents = cast(jax.Array, model.apply({"params": params}, Windows.of(one), method="grid"))
    rows = latents.astype(jax.numpy.float32).mean(axis=3)
    return rows.reshape(-1, NUM_MODALITIES, *rows.shape[2:])


def rank_metrics(similarity: np.ndarray, subjects: np.ndarray, pool: str) -> dict[str, float]:
    """Rank the match of each query among its candidates.

    Args:
        similarity: Similarities [n, n], row i of query i, whose match is candidate i.
        subjects: Subject of each window [n].
        pool: Candidate pool, one of ``POOLS``.

    Returns:
        'recall@1', 'recall@5', 'recall@10', 'median_rank', the same four prefixed with 'chance_',
        and 'candidates', their mean number. A match in a tie has the middle rank of the tie.
    """
    same = subjects[:, None] == subjects[None, :]
    candidates = {"all": np.ones_like(same), "across": ~same, "within": same}[pool].copy()
    np.fill_diagonal(candidates, True)
    right = np.diagonal(similarity)[:, None]
    better = (candidates & (similarity > right)).sum(axis=1)
    equal = (candidates & (similarity == right)).sum(axis=1) - 1
    rank = better + equal / 2 + 1
    count = candidates.sum(axis=1)
    metrics = {f"recall@{k}": float((rank <= k).mean()) for k in _RECALLS}
    metrics |= {"median_rank": float(np.median(rank))}
    metrics |= {f"chance_recall@{k}": float(np.minimum(k / count, 1).mean()) for k in _RECALLS}
    metrics |= {"chance_median_rank": float(np.median((count + 1) / 2))}
    return metrics | {"candidates": float(count.mean())}


def _embed(model: ContrastiveAutoencoder, params: Params, batch: Batch) -> jax.Array:
    """Embed both modalities as the model was trained to compare them: [2B, E] or [2B, T, e]."""
    windows = Windows.of(split_modalities(batch))
    if model.column_steps:
        both = model.apply({"params": params}, windows, method="embed_steps")
        return cast(AlignedEmbedding, both).steps
    return cast(jax.Array, model.apply({"params": params}, windows, method="embed"))


def _similarity(embedded: np.ndarray, lags: tuple[int, ...]) -> np.ndarray:
    """Compare embeddings [n, 2, E], or time steps [n, 2, T, e] at their best lag: [n, n]."""
    if embedded.ndim == 4:
        return best_pairwise(embedded[:, 0], embedded[:, 1], lags)
    unit = embedded / np.linalg.norm(embedded, axis=-1, keepdims=True)
    return unit[:, 0] @ unit[:, 1].T


def retrieval_table(results: JsonObject) -> str:
    """Format the results as a Markdown table."""
    lines = [
        f"{results['num_windows']} windows of {results['num_subjects']} subjects never trained on.",
        "",
        "| direction | candidates | encoder | recall@1 | @5 | @10 | median rank |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    directions = [name for name in results["pretrained"] if " to " in name]
    for direction in directions:
        for pool in POOLS:
            known = [e for e in ("pretrained", "random", PEAKS) if e in results]
            rows = {e: results[e][direction][pool] for e in known}
            rows["chance"] = {
                name.removeprefix("chance_"): value
                for name, value in rows["pretrained"].items()
                if name.startswith("chance_")
            }
            count = results["pretrained"][direction][pool]["candidates"]
            for encoder, row in rows.items():
                recalls = " | ".join(f"{row[f'recall@{k}']:.3f}" for k in _RECALLS)
                rank = f"{row['median_rank']:.1f}"
                lines.append(
                    f"| {_cell(direction)} | {pool}, {count:.0f} | {encoder} | {recalls} | {rank} |"
                )
    for encoder in ("pretrained", "random"):
        if delay := results[encoder].get("delay"):
            lines.append(
                f"\nPulse transit time of held-out recordings, {encoder}: correlation with the "
                f"truth {delay['correlation']:.2f}, mean absolute error "
                f"{1e3 * delay['mean_absolute_error_seconds']:.0f} ms where guessing the mean "
                f"gives {1e3 * delay['baseline_error_seconds']:.0f} ms."
            )
    for encoder in ("pretrained", "random"):
        if lag := results[encoder].get("lag"):
            lines.append("\n" + _lag_sentence(encoder, lag))
    if PEAKS in results:
        lines.append(f"\n{PEAKS}: {PEAKS_NOTE}")
    return "\n".join(lines) + "\n"


def _lag_sentence(encoder: str, lag: JsonObject) -> str:
    ms = {name: 1e3 * value for name, value in lag.items() if name != "windows"}
    return (
        f"Lag of the first channel in {lag['windows']} windows, {encoder}: median absolute error "
        f"{ms['median']:.0f} ms (80 % of the windows {ms['p10']:.0f} to {ms['p90']:.0f}); without "
        f"its constant of {ms['constant']:.0f} ms: {ms['median_without_constant']:.0f} ms, 90 % "
        f"within {ms['p90_without_constant']:.0f}."
    )


def _cell(text: str) -> str:
    return printable(text).replace("|", r"\|")
