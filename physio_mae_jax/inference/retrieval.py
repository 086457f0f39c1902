"""Does a contrastive model find the ECG that was recorded with a PPG, and back?

Every window of every held-out subject is a query once in each direction. Its candidates are, with
its own match, the windows of all subjects ('all'), of other subjects only ('across'), or of the
same subject only ('within', where only the timing of beats helps). The encoder before training
and chance are measured beside it.

Sliding the PPG against the ECG until they agree best also tells the delay between them. It is
relative to the delay that the model learned as usual; where the truth is known, on synthetic
data, both are compared.
"""

import dataclasses
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np

from physio_mae_jax.data.windows import WindowReader, spread_windows
from physio_mae_jax.figures.retrieval import draw_retrieval
from physio_mae_jax.models.contrastive import ContrastiveAutoencoder
from physio_mae_jax.objectives.contrastive import NUM_MODALITIES, split_modalities
from physio_mae_jax.training import artifacts
from physio_mae_jax.training.step import MODEL_INPUTS

_LOG = logging.getLogger(__name__)

Params = Any
POOLS = ("all", "across", "within")
_RECALLS = (1, 5, 10)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrievalConfig:
    """What is retrieved.

    Attributes:
        max_windows_per_subject: queries, at most.
        batch_size: windows encoded at a time.
        shift_seconds, shift_step_seconds: range to either side, and step, of sliding the PPG.
        shift_windows: windows of each recording that are slid.
    """

    max_windows_per_subject: int
    batch_size: int
    shift_seconds: float
    shift_step_seconds: float
    shift_windows: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class RetrievalRun:
    """Everything built that a retrieval is made of.

    Attributes:
        workdir: absolute folder of what is written.
        config: sizes.
        model: of the run.
        encoders: parameters by name, 'trained' and 'untrained'.
        reader: of windows with two channels.
        held_out: recordings of subjects never trained on.
        true_delay_seconds: of a recording, from ECG to PPG; None where it is not known.
        description: of the run and its data, for the report.
    """

    workdir: Path
    config: RetrievalConfig
    model: ContrastiveAutoencoder
    encoders: dict[str, Params]
    reader: WindowReader
    held_out: Sequence[int]
    true_delay_seconds: Callable[[int], float] | None
    description: dict[str, Any]


def retrieve(run: RetrievalRun) -> dict[str, Any]:
    """Measure retrieval and delays, write them, and return them."""
    places = spread_windows(run.reader, run.held_out, run.config.max_windows_per_subject)
    windows = [run.reader.read(*place) for place in places]
    windows = [window for window in windows if window["channel_mask"].all()]
    subjects = np.asarray([int(window["subject"]) for window in windows])
    _LOG.info("%d windows of %d subjects never trained on", len(windows), len(set(subjects)))
    names = run.reader.config.channels
    results: dict[str, Any] = {
        "num_windows": len(windows),
        "num_subjects": len(set(subjects.tolist())),
        "channels": list(names),
        **run.description,
    }
    embed = jax.jit(lambda params, batch: _embed(run.model, params, batch))
    for encoder, params in run.encoders.items():
        embedded = _embed_all(embed, params, windows, run.config.batch_size)
        results[encoder] = {
            f"{names[i]} to {names[1 - i]}": {
                pool: rank_metrics(embedded[:, i] @ embedded[:, 1 - i].T, subjects, pool)
                for pool in POOLS
            }
            for i in range(NUM_MODALITIES)
        }
        results[encoder]["delay"] = _delays(run, embed, params)
    artifacts.write_json(run.workdir / "retrieval.json", results)
    text = retrieval_table(results)
    artifacts.write_text(run.workdir / "retrieval.md", text)
    artifacts.write_figure(run.workdir / "figures" / "retrieval.png", draw_retrieval(results))
    _LOG.info("\n%s", text)
    return results


def rank_metrics(similarity: np.ndarray, subjects: np.ndarray, pool: str) -> dict[str, float]:
    """Rank the match of each query among its candidates.

    Args:
        similarity: [N, N], row i of query i, whose match is candidate i.
        subjects: [N].
        pool: one of ``POOLS``.

    Returns:
        'recall@1', 'recall@5', 'recall@10', 'median_rank', the same four with 'chance_' in front,
        and 'candidates', the mean number of them. A tie counts as found at its middle.
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


def _embed(model: ContrastiveAutoencoder, params: Params, batch: Any) -> jax.Array:
    one = split_modalities(batch)
    inputs = one["signal"], one["channel_mask"], one["channel_ids"]
    return cast(jax.Array, model.apply({"params": params}, *inputs, method="embed"))


def _embed_all(
    embed: Callable[[Params, Any], jax.Array], params: Params, windows: Sequence[Any], size: int
) -> np.ndarray:
    """Embed both modalities of windows: [N, 2, E] unit vectors."""
    parts = []
    for start in range(0, len(windows), size):
        chunk = list(windows[start : start + size])
        chunk += [chunk[-1]] * (size - len(chunk))  # one shape, compiled once
        batch = {name: np.stack([window[name] for window in chunk]) for name in MODEL_INPUTS}
        parts.append(np.asarray(embed(params, batch)).reshape(size, NUM_MODALITIES, -1))
    embedded = np.concatenate(parts)[: len(windows)]
    return embedded / np.linalg.norm(embedded, axis=-1, keepdims=True)


def _delays(
    run: RetrievalRun, embed: Callable[[Params, Any], jax.Array], params: Params
) -> dict[str, Any]:
    """Slide the PPG of each held-out recording against its ECG until they agree best."""
    cfg, rate = run.config, run.reader.config.sampling_rate_hz
    step = max(1, round(cfg.shift_step_seconds * rate))
    reach = int(cfg.shift_seconds * rate) // step * step
    shifts = np.arange(-reach, reach + 1, step)
    found, truth, curves = [], [], []
    for recording in run.held_out:
        places = spread_windows(run.reader, [recording], cfg.shift_windows, margin=reach)
        if not places:
            continue
        profile = np.mean(
            [_agreement(run, embed, params, recording, start, shifts) for _, start in places], 0
        )
        curves.append(profile.tolist())
        found.append(float(peak_position(profile) * step - reach) / rate)
        if run.true_delay_seconds is not None:
            truth.append(float(run.true_delay_seconds(recording)))
    result: dict[str, Any] = {
        "shift_seconds": (shifts / rate).tolist(),
        "profiles": curves,
        "delay_seconds": found,
    }
    if truth:
        error = np.asarray(found) - np.mean(found) - (np.asarray(truth) - np.mean(truth))
        varies = len(set(found)) > 1 and len(set(truth)) > 1
        result |= {
            "true_delay_seconds": truth,
            "correlation": float(np.corrcoef(found, truth)[0, 1]) if varies else 0.0,
            "mean_absolute_error_seconds": float(np.abs(error).mean()),
            "spread_of_truth_seconds": float(np.abs(np.asarray(truth) - np.mean(truth)).mean()),
        }
    return result


def _agreement(
    run: RetrievalRun,
    embed: Callable[[Params, Any], jax.Array],
    params: Params,
    recording: int,
    start: int,
    shifts: np.ndarray,
) -> np.ndarray:
    """Compare the ECG at ``start`` with the PPG at each shift from it: cosines [n]."""
    ppg = run.reader.config.channels.index("PPG")
    windows = [run.reader.read(recording, start + int(shift)) for shift in shifts]
    embedded = _embed_all(embed, params, windows, len(windows))
    here = embedded[len(shifts) // 2, 1 - ppg]
    return embedded[:, ppg] @ here


def peak_position(profile: np.ndarray) -> float:
    """Return where a sampled curve is highest, refined by a parabola through its neighbours."""
    top = int(np.argmax(profile))
    if not 0 < top < len(profile) - 1:
        return float(top)
    before, here, after = profile[top - 1 : top + 2]
    curvature = before - 2 * here + after
    return top if curvature == 0 else top + 0.5 * (before - after) / curvature


def retrieval_table(results: dict[str, Any]) -> str:
    """Write results as a Markdown table."""
    lines = [
        f"{results['num_windows']} windows of {results['num_subjects']} subjects never trained on.",
        "",
        "| direction | candidates | encoder | recall@1 | @5 | @10 | median rank |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    directions = [name for name in results["trained"] if " to " in name]
    for direction in directions:
        for pool in POOLS:
            rows = {e: results[e][direction][pool] for e in ("trained", "untrained")}
            rows["chance"] = {
                name.removeprefix("chance_"): value
                for name, value in rows["trained"].items()
                if name.startswith("chance_")
            }
            count = results["trained"][direction][pool]["candidates"]
            for encoder, row in rows.items():
                recalls = " | ".join(f"{row[f'recall@{k}']:.3f}" for k in _RECALLS)
                rank = f"{row['median_rank']:.1f}"
                lines.append(
                    f"| {direction} | {pool}, {count:.0f} | {encoder} | {recalls} | {rank} |"
                )
    for encoder in ("trained", "untrained"):
        delay = results[encoder]["delay"]
        if "correlation" in delay:
            lines.append(
                f"\nDelay of the pulse, {encoder}: correlation with the truth "
                f"{delay['correlation']:.2f}, mean absolute error "
                f"{1e3 * delay['mean_absolute_error_seconds']:.0f} ms where guessing the mean "
                f"gives {1e3 * delay['spread_of_truth_seconds']:.0f} ms."
            )
    return "\n".join(lines) + "\n"
