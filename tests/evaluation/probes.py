"""Probes of prepared data, from their settings to predictions."""

from physio_mae_jax.commands.probe import build_probe, instance_features, run_probe
from tests.runs import evaluation_config, typed

SHORT = {"labels.window_seconds": 3.0}


def build(root, workdir, method="probe", strict=True, **changes):
    return build_probe(typed(evaluation_config(root, method, **changes)), workdir, strict=strict)


def read(root, workdir, method, **changes):
    """Read a label off wavelet features, without a card: predictions, and what was chosen."""
    run = build(root, workdir, method, encoders="wavelets", **changes)
    extract = run.extractors["wavelets"]
    return run_probe(
        run,
        {p: instance_features(run, extract, instances) for p, instances in run.instances.items()},
    )
