"""What a pre-training run recorded about itself: settings, data, cost and errors.

``collect_record`` reads the files of a work folder. The record travels with a released model as
``training.json``, without the paths of the machine.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from physio_mae_jax import atomic_files
from physio_mae_jax.data.data_summary import DataSetSummary
from physio_mae_jax.data.json_types import Between, check_types
from physio_mae_jax.data.sealed_json import add_seal, read_sealed
from physio_mae_jax.errors import DataError
from physio_mae_jax.experiment.run_directory import CONFIG_FILE, HINT, RECORD_FILE, read_run
from physio_mae_jax.setting_ranges import path_settings
from physio_mae_jax.training.metrics_file import read_metrics
from physio_mae_jax.types import JsonObject

DATA_FILE = "data.json"
_HOSTS_FILE = "hosts.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Record of a pre-training run.

    Attributes:
        config: Settings of the run, without paths.
        data: Training data of each data set.
        num_steps: Number of completed steps.
        device_hours: Kind of device -> hours of training, evaluations included, times devices.
        errors: Last metrics on held-out data, by name; empty if nothing was held out.
        versions: Versions of the program and its libraries.
    """

    config: JsonObject
    data: tuple[DataSetSummary, ...]
    num_steps: Annotated[int, Between(0)]
    device_hours: Mapping[str, Annotated[float, Between(0.0)]]
    errors: Mapping[str, float]
    versions: Mapping[str, str]


def write_data_summary(workdir: Path, data: Sequence[DataSetSummary]) -> None:
    """Write data.json of a run."""
    content = {"data": [dataclasses.asdict(one) for one in data]}
    atomic_files.write_json(workdir / DATA_FILE, add_seal(content))


def collect_record(run: Path) -> RunRecord:
    """Read the record of a run from its work folder.

    Raises:
        UserError: The folder is not that of a run, or a file is missing or broken.
    """
    settings = read_run(str(run))
    path = run / DATA_FILE
    if not path.is_file():
        raise DataError(
            f"{path} is absent, so the training data are not known; run the command of the "
            "training again with the same --workdir: it resumes, and writes the file."
        )
    metrics = read_metrics(run)
    errors = [line for line in metrics if line.get("phase") == "validation"]
    described = read_sealed(run / CONFIG_FILE, HINT)
    content = {
        "config": _without_paths(settings),
        "data": read_sealed(path, HINT).get("data"),
        "num_steps": max((line["step"] for line in metrics), default=0),
        "device_hours": device_hours(_read_lines(run / _HOSTS_FILE)),
        "errors": _numbers(errors[-1]) if errors else {},
        "versions": described.get("versions"),
    }
    return check_types(RunRecord, content, str(run), HINT)


def write_record(folder: Path, record: RunRecord) -> None:
    """Write training.json."""
    atomic_files.write_json(folder / RECORD_FILE, add_seal(dataclasses.asdict(record)))


def read_record(folder: Path) -> RunRecord:
    """Read training.json of a released model.

    Raises:
        DataError: It is missing, broken or was changed.
    """
    path, hint = folder / RECORD_FILE, "copy the folder again."
    return check_types(RunRecord, read_sealed(path, hint), str(path), hint)


def device_hours(lines: Sequence[JsonObject]) -> dict[str, float]:
    """Sum the time of steps, saves and evaluations of the lines of hosts.jsonl, times devices.

    Returns:
        Hours by kind of device; lines of versions that did not record the devices count as one
        device of kind 'unknown'.
    """
    hours: dict[str, float] = {}
    before = 0
    for line in lines:
        devices = line.get("devices", {"kind": "unknown", "number": 1})
        per_step = [_mean(line[name]) for name in ("step_seconds", "saving_seconds")]
        seconds = (line["step"] - before) * sum(per_step) + line.get("evaluating_seconds", 0.0)
        spent = seconds * devices["number"] / 3600
        hours[devices["kind"]] = hours.get(devices["kind"], 0.0) + spent
        before = line["step"]
    return {kind: round(value, 6) for kind, value in hours.items()}


def _without_paths(settings: JsonObject) -> JsonObject:
    """Return settings in which no path of the machine is left."""
    kept: JsonObject = json.loads(json.dumps(settings))
    for name in path_settings(kept):
        section, _, last = name.rpartition(".")
        (kept[section] if section else kept)[last] = ""
    kept["data"] |= {"root": "data", "raw_manifests": {}}
    return kept


def _read_lines(path: Path) -> list[JsonObject]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({str(error)[:200]}); {HINT}") from error


def _numbers(line: JsonObject) -> dict[str, float]:
    """Return the metrics of a line of metrics.jsonl."""
    named = {name: value for name, value in line.items() if name not in ("step", "time")}
    return {name: value for name, value in named.items() if isinstance(value, float)}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / max(1, len(values))
