"""Contrastive loss, the division into modalities, retrieval and the probes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from configs import pretrain as pretrain_config
from configs import retrieval as retrieval_config
from physio_mae_jax.commands import pretrain
from physio_mae_jax.commands import retrieve as retrieve_command
from physio_mae_jax.errors import ConfigError
from physio_mae_jax.evaluation.delay_probe import probe_delay
from physio_mae_jax.evaluation.retrieval import rank_metrics, retrieve
from physio_mae_jax.objectives.contrastive import allowed_negatives, info_nce, split_modalities
from physio_mae_jax.training.loop import train
from tests.factories import random_batch
from tests.runs import typed


def unit(key, *shape):
    values = jax.random.normal(jax.random.key(key), shape)
    return values / jnp.linalg.norm(values, axis=-1, keepdims=True) / 0.07**0.5


def test_loss_is_cross_entropy_both_ways():
    first, second = unit(0, 6, 8), unit(1, 6, 8)
    everyone = jnp.ones(6, bool)
    loss, _ = info_nce(first, second, allowed_negatives(jnp.arange(6), everyone, False), everyone)
    logits = np.asarray(first) @ np.asarray(second).T
    expected = [-np.mean(np.diag(x) - np.log(np.exp(x).sum(axis=1))) for x in (logits, logits.T)]
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)


def test_windows_of_one_subject_are_no_negatives_unless_asked():
    subjects, everyone = jnp.array([3, 3, 5]), jnp.ones(3, bool)
    ours = allowed_negatives(subjects, everyone, False)
    assert ours.tolist() == [[False, False, True], [False, False, True], [True, True, False]]
    assert allowed_negatives(subjects, everyone, True).sum() == 6


def test_a_window_that_lacks_a_modality_changes_nothing():
    first, second, subjects = unit(0, 5, 8), unit(1, 5, 8), jnp.arange(5)
    present = jnp.array([True, True, True, True, False])
    loss, _ = info_nce(first, second, allowed_negatives(subjects, present, False), present)
    few = jnp.ones(4, bool)
    alone, _ = info_nce(first[:4], second[:4], allowed_negatives(subjects[:4], few, False), few)
    assert float(loss) == pytest.approx(float(alone), rel=1e-6)


def test_every_device_sees_the_windows_of_all():
    """Over eight devices the loss is that of the global batch, not of each device's share."""
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    first, second, everyone = unit(0, 16, 8), unit(1, 16, 8), jnp.ones(16, bool)
    negatives = allowed_negatives(jnp.arange(16), everyone, False)
    alone, _ = info_nce(first, second, negatives, everyone)
    rows = NamedSharding(mesh, PartitionSpec("data"))
    sharded = jax.jit(info_nce)(
        *(jax.device_put(x, rows) for x in (first, second)), negatives, everyone
    )
    assert float(sharded[0]) == pytest.approx(float(alone), rel=1e-5)


def test_modalities_of_a_window_stay_beside_each_other():
    batch = random_batch(3, 2) | {"subject": jnp.array([7, 8, 9])}
    split = split_modalities(batch)
    np.testing.assert_array_equal(split["signal"][2 * 1 + 1, 0], batch["signal"][1, 1])
    assert split["subject"].tolist() == [7, 7, 8, 8, 9, 9]


def test_ranks_and_chance():
    similarity = np.array(
        [[0.9, 0.1, 0.2, 0.3], [0.5, 0.4, 0.3, 0.2], [0, 0, 1, 0], [1, 1, 1, 1.0]]
    )
    subjects = np.array([0, 0, 1, 1])
    every = rank_metrics(similarity, subjects, "all")
    assert every["recall@1"] == pytest.approx(0.5)  # a tie counts at its middle, 2.5
    assert every["median_rank"] == pytest.approx(1.5)
    assert every["chance_recall@1"] == pytest.approx(0.25)
    within = rank_metrics(similarity, subjects, "within")
    assert within["candidates"] == 2
    across = rank_metrics(similarity, subjects, "across")
    assert across["recall@1"] == pytest.approx(0.75)


def test_the_probe_reads_a_delay_that_is_there_and_none_that_is_not():
    rng = np.random.default_rng(0)
    time = np.arange(50)

    def cohort(count):
        delay = rng.uniform(0, 2, count)
        phase = rng.uniform(0, 10, (count, 3))
        lag = np.stack([np.zeros(count), delay], axis=1)
        angle = (time - phase[:, :, None, None] - lag[:, None, :, None]) * 2 * np.pi / 10
        values = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        return values + 0.05 * rng.normal(size=values.shape), delay

    result = probe_delay(*cohort(60), *cohort(20))
    assert result["correlation"] > 0.95
    fitted, evaluated = cohort(60), cohort(20)
    noise = probe_delay(fitted[0], rng.permutation(fitted[1]), *evaluated)
    assert noise["mean_absolute_error_seconds"] > 0.5 * noise["baseline_error_seconds"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("contrastive")
    config = pretrain_config.get_config("variant=contrastive,preset=debug")
    config.num_devices, config.accumulation_steps = 1, 2
    train(pretrain.build_pretraining(typed(config), workdir))
    return workdir


def test_a_contrastive_run_is_evaluated_by_retrieval(trained, tmp_path):
    config = retrieval_config.get_config()
    config.init_from, config.max_windows_per_subject, config.batch_size = str(trained), 4, 8
    config.probe_recordings, config.probe_windows = 8, 2
    results = retrieve(retrieve_command.build_retrieval(typed(config), tmp_path, strict=False))
    assert results["num_windows"] > 10
    assert 0 <= results["pretrained"]["PPG to II"]["all"]["recall@10"] <= 1
    assert "correlation" in results["pretrained"]["delay"]
    assert (tmp_path / "retrieval.md").read_text(encoding="utf-8").count("| chance |") == 6
    assert (tmp_path / "plots" / "retrieval.png").stat().st_size > 1000


def test_wrong_runs_are_reported(trained, tmp_path):
    config = retrieval_config.get_config()
    config.init_from = str(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="not the work folder of a run"):
        retrieve_command.build_retrieval(typed(config), tmp_path, strict=False)
    config = pretrain_config.get_config("variant=contrastive,preset=debug")
    config.data.channels = "I,II,PPG"
    with pytest.raises(ConfigError, match="name two"):
        pretrain.build_pretraining(typed(config), tmp_path)
