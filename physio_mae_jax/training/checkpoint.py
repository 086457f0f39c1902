"""Checkpoints of everything a run needs to resume; the only module that uses Orbax."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from physio_mae_jax import atomic_files
from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.format_version import add_version, check_version, unreadable_version
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.data.json_types import check_types
from physio_mae_jax.errors import ConfigError, DataError, UserError, is_peer_loss
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.models.heads.base import HeadConfig
from physio_mae_jax.objectives.contrastive import ContrastiveConfig
from physio_mae_jax.objectives.pretraining import ObjectiveConfig
from physio_mae_jax.training.data_position import DataPosition
from physio_mae_jax.training.integrity import find_damage, step_numbers, write_checksums
from physio_mae_jax.training.sharding import fsdp_sharding
from physio_mae_jax.training.state import TrainState
from physio_mae_jax.types import JsonMapping, JsonObject, PyTree

HINT = "copy the run again, or name another one."
# Mostly training-data hashes: 8 bytes per 10 s of a channel.
_MAX_DESCRIPTION_BYTES = 2 << 30
_FORMER_MODEL_SPEC = "contract"  # of version 0.1
# Model settings that affect the execution, not the result.
_EXECUTION_SETTINGS = ("attention_implementation", "remat", "unroll_layers")
# Values of settings that a specification omits, by section.
_DEFAULTS = {
    section: {
        field.name: field.default
        for field in dataclasses.fields(settings)
        if field.default is not dataclasses.MISSING
    }
    for section, settings in (
        ("model", MaeConfig),
        ("objective", ObjectiveConfig),
        ("contrastive", ContrastiveConfig),
        ("head", HeadConfig),
    )
}


class Checkpoints:
    """Numbered checkpoints in one folder; checkpoint n contains the state after n steps.

    A checkpoint is written to a temporary folder with its checksums and renamed, so a truncated
    one is never mistaken for a complete one.
    """

    def __init__(self, directory: Path, keep: int | None) -> None:
        self.directory = directory.absolute()
        self._saving = -1
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            enable_async_checkpointing=True,
            async_options=ocp.AsyncOptions(post_finalization_callback=self._write_checksums),
        )
        try:
            self._manager = ocp.CheckpointManager(self.directory, options=options)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if is_peer_loss(error):
                raise
            raise UserError(
                f"{self.directory} cannot be opened as checkpoints ({type(error).__name__}: "
                f"{str(error)[:300]}); is a _CHECKPOINT_METADATA in it damaged? {HINT}"
            ) from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and jax.process_count() > 1:
            # Other processes may never reach the barriers inside, so this process does not wait.
            return
        try:
            self.wait()
        except UserError:
            # An error already being raised is more informative than this one and may be its cause.
            if error is None:
                raise
        finally:
            self._manager.close()

    @property
    def latest_step(self) -> int | None:
        """Number of the newest complete checkpoint; None if there is none."""
        return self._manager.latest_step()

    def save(
        self,
        step: int,
        state: PyTree,
        model_spec: JsonObject,
        trained_on: TrainingProvenance,
        progress: DataPosition | None = None,
    ) -> None:
        """Start an asynchronous save; training may continue during the write.

        Args:
            step: Number of completed steps.
            state: Arrays needed to resume or to use the model.
            model_spec: JSON-able description of the model and its input.
            trained_on: Hashes of the training data of the state.
            progress: Position in the training data; None if the run will not be resumed.

        Raises:
            UserError: This or the previous save could not be written.
        """
        if step == self.latest_step:
            return
        items = {
            "state": ocp.args.StandardSave(state),
            "model_spec": ocp.args.JsonSave(add_version(model_spec)),
            "trained_on": ocp.args.JsonSave(trained_on.to_json()),
        }
        if progress is not None:
            items["progress"] = ocp.args.JsonSave(progress.to_json())
        args = ocp.args.Composite(**items)
        # The callback does not receive the step, so the previous save must be complete.
        self.wait()
        # In multi-process runs, Orbax would wait five minutes for a failing process.
        self._run_or_raise_user_error(lambda: atomic_files.check_writable(self.directory))
        self._saving = step
        self._run_or_raise_user_error(lambda: self._manager.save(step, args=args))

    def wait(self) -> None:
        """Block until the current save is complete; raises as ``save`` does."""
        self._run_or_raise_user_error(self._manager.wait_until_finished)

    def model_spec(self) -> JsonObject:
        """Read the specification of the model in the newest checkpoint."""
        return _read_model_spec(self._newest)

    def trained_on(self) -> TrainingProvenance:
        """Read the training-data hashes of the newest checkpoint."""
        return TrainingProvenance.from_json(
            self._json("trained_on"), f"trained_on of {self._newest}", HINT
        )

    def progress(self) -> DataPosition:
        """Read the data position of the newest checkpoint."""
        where = f"progress of {self._newest}"
        return check_types(DataPosition, self._json("progress"), where, HINT)

    @property
    def _newest(self) -> Path:
        return self.directory / str(self.latest_step)

    def _json(self, name: str) -> JsonObject:
        return _read_description(self._newest, name)

    def restore(self, abstract: TrainState, mesh: Mesh) -> TrainState:
        """Load the state of the newest checkpoint onto a mesh.

        Args:
            abstract: Shapes and types of the state, as ``jax.eval_shape`` returns them.
            mesh: Device mesh; its number of devices may differ from that at the save.
        """
        target = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            abstract,
            fsdp_sharding(abstract, mesh),
        )
        return self._restore_state(ocp.args.StandardRestore(target))

    def reject_damage(self) -> None:
        """Raise a UserError if the newest checkpoint is damaged or there is none."""
        if self.latest_step is None:
            raise UserError(f"{self.directory} contains no complete checkpoint; name another run.")
        damage = find_damage(self._newest)
        if damage:
            raise UserError(
                f"the checkpoint {self._newest} is damaged: {damage}. Move it to use the previous "
                "one, or name another run."
            )

    def parts(self, abstract: Mapping[str, PyTree]) -> dict[str, PyTree]:
        """Load selected entries of the newest checkpoint's state onto the first device.

        Args:
            abstract: Shapes and types by entry, as ``jax.eval_shape`` returns them.

        Raises:
            UserError: There is no checkpoint, it is damaged, or it has other arrays.
        """
        self.reject_damage()
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), abstract
        )
        arguments = ocp.checkpoint_utils.construct_restore_args(target)
        return self._restore_state(
            ocp.args.PyTreeRestore(target, restore_args=arguments, partial_restore=True)
        )

    def _restore_state(self, abstract_state: ocp.args.CheckpointArgs) -> PyTree:
        try:
            return self._manager.restore(
                self.latest_step, args=ocp.args.Composite(state=abstract_state)
            )["state"]
        except Exception as error:  # Orbax, TensorStore and JAX raise many types
            if isinstance(error, UserError) or is_peer_loss(error):
                raise
            raise UserError(
                f"the checkpoint {self._newest} cannot be restored ({type(error).__name__}: "
                f"{str(error)[:300]}); {HINT}"
            ) from error

    def _write_checksums(self) -> None:
        """Write checksums into the checkpoint being saved, before it is renamed."""
        if jax.process_index() == 0:
            for folder in self.directory.glob(f"{self._saving}.orbax-checkpoint-tmp*"):
                write_checksums(folder)

    def _run_or_raise_user_error(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, ValueError) as error:
            if is_peer_loss(error):
                raise
            full = "No space left on device"
            reason = full if full in str(error) else str(error)[:300]
            raise UserError(
                f"could not write a checkpoint to {self.directory}: {reason}. The last complete "
                f"checkpoint is of step {self.latest_step}. Free some space or choose another "
                "--workdir, then run the same command again: it resumes."
            ) from error


def load_model_spec(directory: Path) -> JsonObject | None:
    """Read the model_spec of the newest complete checkpoint of a folder; None if there is none.

    Unlike ``Checkpoints`` it neither creates the folder nor waits for other processes.
    """
    steps = step_numbers(directory)
    if not steps:
        return None
    try:
        return _read_model_spec(directory / str(steps[-1]))
    except DataError:
        return None  # damage is reported when the checkpoint is loaded


def _read_model_spec(step: Path) -> JsonObject:
    if os.path.lexists(step / _FORMER_MODEL_SPEC):
        raise unreadable_version(str(step))
    return check_version(_read_description(step, "model_spec"), str(step / "model_spec"))


def _read_description(step: Path, name: str) -> JsonObject:
    """Read a JSON part of a checkpoint, an object of objects and other values."""
    path = step / name / "metadata"
    return check_types(dict, read_json(path, HINT, _MAX_DESCRIPTION_BYTES), str(path), HINT)


def _differs(name: str, theirs: object, ours: object) -> bool:
    """Return whether a setting of two specifications differs; units only if both specify one."""
    if name == "units" and isinstance(theirs, dict) and isinstance(ours, dict):
        # Units may be missing in one of them.
        return any(theirs[key] != ours[key] for key in theirs.keys() & ours.keys())
    return bool(theirs != ours)


def reject_other_model(directory: Path, saved: JsonObject, model_spec: JsonMapping) -> None:
    """Reject a model or input that differs from that of a checkpoint.

    Execution settings such as the hardware and rematerialization may change.

    Raises:
        ConfigError: The specifications differ; the message lists the settings.
    """
    # JSON round trip, so that tuples compare equal to lists.
    ours = json.loads(json.dumps(model_spec))
    theirs = {name: held if isinstance(held, dict) else {} for name, held in saved.items()}
    # Either may omit settings at their defaults.
    for section, defaults in json.loads(json.dumps(_DEFAULTS)).items():
        theirs[section] = defaults | theirs.get(section, {})
        if section in ours:
            ours[section] = defaults | ours[section]
    different = [
        f"{section}.{name}: {theirs.get(section, {}).get(name)!r} in the run, {value!r} in the "
        "config"
        for section, values in ours.items()
        for name, value in values.items()
        if name not in _EXECUTION_SETTINGS
        and _differs(name, theirs.get(section, {}).get(name), value)
    ]
    if different:
        raise ConfigError(
            f"{directory} contains a run with other settings ({'; '.join(different)}); use those, "
            "or another --workdir."
        )
