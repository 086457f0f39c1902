"""Checkpoints of everything a run needs to go on: the one file that knows Orbax."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from physio_mae_jax.data.contamination import TrainingProvenance
from physio_mae_jax.data.json_reader import read_json
from physio_mae_jax.data.json_types import typed
from physio_mae_jax.errors import ConfigError, DataError, UserError, is_peer_loss
from physio_mae_jax.models.config import MaeConfig
from physio_mae_jax.training import atomic_files
from physio_mae_jax.training.data_position import Progress
from physio_mae_jax.training.integrity import find_damage, step_numbers, write_checksums
from physio_mae_jax.training.sharding import fsdp_sharding
from physio_mae_jax.training.state import TrainState

WAY_OUT = "copy the run again, or name another one."
# Hashes of what was trained on take most: 8 bytes for each 10 s of a channel.
_MAX_DESCRIPTION_BYTES = 2 << 30
# Settings of a model that say how it is computed, not what.
_HOW_COMPUTED = ("attention_implementation", "remat", "unroll_layers")
# What a model was before it had a setting.
_DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(MaeConfig)
    if field.default is not dataclasses.MISSING
}


class Checkpoints:
    """Numbered checkpoints in one folder; number n holds the state after n steps.

    A checkpoint is written beside its place, with its checksums, and renamed, so one that was cut
    short is never taken for a whole one.
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
                f"{str(error)[:300]}); is a _CHECKPOINT_METADATA in it damaged? {WAY_OUT}"
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
            # The others may never come to the barriers within; this process ends without them.
            return
        try:
            self.wait()
        except UserError:
            # An error already on its way says more than this one, which it may have caused.
            if error is None:
                raise
        finally:
            self._manager.close()

    @property
    def latest_step(self) -> int | None:
        """Number of the newest whole checkpoint; None where there is none."""
        return self._manager.latest_step()

    def save(
        self,
        step: int,
        state: Any,
        contract: dict[str, Any],
        trained_on: TrainingProvenance,
        progress: Progress | None = None,
    ) -> None:
        """Begin to save; training may go on while it is written.

        Args:
            step: steps done.
            state: arrays, all that is needed to go on or to use the model.
            contract: JSON-able description of the model and its input.
            trained_on: hashes of what the state was trained on.
            progress: of the data; None where nobody will go on.

        Raises:
            UserError: this or the previous save could not be written.
        """
        if step == self.latest_step:
            return
        items = {
            "state": ocp.args.StandardSave(state),
            "contract": ocp.args.JsonSave(contract),
            "trained_on": ocp.args.JsonSave(trained_on.to_json()),
        }
        if progress is not None:
            items["progress"] = ocp.args.JsonSave(progress.to_json())
        args = ocp.args.Composite(**items)
        # The callback is told no step; the save before is over once this one begins.
        self.wait()
        # Of several processes, Orbax would let the others wait five minutes for one that cannot.
        self._reporting_failure(lambda: atomic_files.check_writable(self.directory))
        self._saving = step
        self._reporting_failure(lambda: self._manager.save(step, args=args))

    def wait(self) -> None:
        """Block until the save under way is complete; raises as ``save`` does."""
        self._reporting_failure(self._manager.wait_until_finished)

    def contract(self) -> dict[str, Any]:
        """Read the contract of the newest checkpoint."""
        return self._json("contract")

    def trained_on(self) -> TrainingProvenance:
        """Read the hashes of what the newest checkpoint was trained on."""
        return TrainingProvenance.from_json(
            self._json("trained_on"), f"trained_on of {self._newest}", WAY_OUT
        )

    def progress(self) -> Progress:
        """Read how far into the data the newest checkpoint is."""
        where = f"progress of {self._newest}"
        return typed(Progress, self._json("progress"), where, WAY_OUT)

    @property
    def _newest(self) -> Path:
        return self.directory / str(self.latest_step)

    def _json(self, name: str) -> dict[str, Any]:
        return _read_description(self._newest, name)

    def restore(self, abstract: TrainState, mesh: Mesh) -> TrainState:
        """Load the state of the newest checkpoint onto a mesh.

        Args:
            abstract: shapes and types of the state, as ``jax.eval_shape`` gives them.
            mesh: may have another number of devices than the one saved from.
        """
        target = jax.tree.map(
            lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
            abstract,
            fsdp_sharding(abstract, mesh),
        )
        return self._restored(ocp.args.StandardRestore(target))

    def refuse_damage(self) -> None:
        """Raise a UserError where the newest checkpoint is damaged or there is none."""
        if self.latest_step is None:
            raise UserError(f"{self.directory} holds no whole checkpoint; name a run that has one.")
        damage = find_damage(self._newest)
        if damage:
            raise UserError(
                f"the checkpoint {self._newest} is damaged: {damage}. Move it away to use the one "
                "before, or name another run."
            )

    def parts(self, abstract: dict[str, Any]) -> dict[str, Any]:
        """Load some entries of the newest checkpoint's state only, onto the first device.

        Args:
            abstract: entry -> shapes and types, as ``jax.eval_shape`` gives them.

        Raises:
            UserError: there is no checkpoint, it is damaged, or it has other arrays.
        """
        self.refuse_damage()
        sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), abstract
        )
        arguments = ocp.checkpoint_utils.construct_restore_args(target)
        return self._restored(
            ocp.args.PyTreeRestore(target, restore_args=arguments, partial_restore=True)
        )

    def _restored(self, wanted: Any) -> Any:
        try:
            return self._manager.restore(self.latest_step, args=ocp.args.Composite(state=wanted))[
                "state"
            ]
        except Exception as error:  # of Orbax, TensorStore and JAX: a dozen kinds
            if isinstance(error, UserError) or is_peer_loss(error):
                raise
            raise UserError(
                f"the checkpoint {self._newest} cannot be restored ({type(error).__name__}: "
                f"{str(error)[:300]}); {WAY_OUT}"
            ) from error

    def _write_checksums(self) -> None:
        """Write checksums into the checkpoint being saved, before it is renamed."""
        if jax.process_index() == 0:
            for folder in self.directory.glob(f"{self._saving}.orbax-checkpoint-tmp*"):
                write_checksums(folder)

    def _reporting_failure(self, action: Any) -> None:
        try:
            action()
        except (OSError, ValueError) as error:
            if is_peer_loss(error):
                raise
            full = "No space left on device"
            reason = full if full in str(error) else str(error)[:300]
            raise UserError(
                f"could not write a checkpoint to {self.directory}: {reason}. The last whole one "
                f"is of step {self.latest_step}. Free some space or choose another --workdir, then "
                "run the same command again: it resumes."
            ) from error


def saved_contract(directory: Path) -> dict[str, Any] | None:
    """Read the contract of the newest whole checkpoint of a folder; None where there is none.

    Unlike ``Checkpoints`` it neither makes the folder nor waits for other processes.
    """
    steps = step_numbers(directory)
    if not steps:
        return None
    try:
        return _read_description(directory / str(steps[-1]), "contract")
    except DataError:
        return None  # a damaged one is told by whoever loads it


def _read_description(step: Path, name: str) -> dict[str, Any]:
    """Read a JSON part of a checkpoint, an object of objects and other values."""
    path = step / name / "metadata"
    return typed(dict, read_json(path, WAY_OUT, _MAX_DESCRIPTION_BYTES), str(path), WAY_OUT)


def _differs(name: str, theirs: Any, ours: Any) -> bool:
    """Say whether a setting of two contracts differs; units only where both say one."""
    if name == "units" and isinstance(theirs, dict) and isinstance(ours, dict):
        # Units of folders were not kept once, and ones that say nothing are no units any more.
        return any(theirs[key] != ours[key] for key in theirs.keys() & ours.keys())
    return bool(theirs != ours)


def refuse_other_contract(
    directory: Path, saved: dict[str, Any], contract: Mapping[str, Any]
) -> None:
    """Refuse to go on with another model or another kind of input than a checkpoint's.

    How the model is computed may change: on what, and what the backward pass computes again.

    Raises:
        ConfigError: they differ; it names where.
    """
    # Through JSON, as the saved one went, so that tuples compare equal to lists.
    ours = json.loads(json.dumps(contract))
    theirs = {name: held if isinstance(held, dict) else {} for name, held in saved.items()}
    theirs["model"] = _DEFAULTS | theirs.get("model", {})
    different = [
        f"{section}.{name}: {theirs.get(section, {}).get(name)!r} there, {value!r} here"
        for section, values in ours.items()
        for name, value in values.items()
        if name not in _HOW_COMPUTED and _differs(name, theirs.get(section, {}).get(name), value)
    ]
    if different:
        raise ConfigError(
            f"{directory} holds a run of other settings ({'; '.join(different)}); use those, or "
            "another --workdir."
        )
