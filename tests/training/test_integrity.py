"""What a run does when something around it fails: damage, other machines, waiting, stragglers."""

import logging
import signal
import time

import jax
import numpy as np
import pytest

from physio_mae_jax import atomic_files
from physio_mae_jax.errors import ConfigError, Interrupted, UserError
from physio_mae_jax.training import integrity
from physio_mae_jax.training.data_position import DataPosition, restore_iterator
from physio_mae_jax.training.host_metrics import find_straggler, order_hash
from physio_mae_jax.training.profiling import Profiler
from physio_mae_jax.training.watchdog import Watchdog

HERE = DataPosition(examples=0, batch_size=8, processes=1, devices=8, fsdp=1)


@pytest.fixture
def said(caplog):
    """What the package logs, though it does not propagate once main has set it up."""
    logger = logging.getLogger("physio_mae_jax")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def _checkpoint(folder, content=b"0123456789"):
    (folder / "state" / "d").mkdir(parents=True)
    (folder / "state" / "d" / "array").write_bytes(content)
    (folder / "_CHECKPOINT_METADATA").write_text("{}")
    integrity.write_checksums(folder)
    (folder / "_CHECKPOINT_METADATA").write_text('{"committed": 1}')  # as Orbax does, later


def _remove(path):
    path.unlink()


def _cut(path):
    path.write_bytes(path.read_bytes()[:4])


def _flip(path):
    path.write_bytes(b"0123456780")


@pytest.mark.parametrize(
    ("damage", "words"),
    [(_remove, "is missing"), (_cut, "4 bytes instead of 10"), (_flip, "checksum")],
)
def test_damaged_checkpoint_is_replaced_by_the_previous(damage, words, tmp_path, said):
    folder = tmp_path / "checkpoints"
    for step in (9, 10, 11):
        _checkpoint(folder / str(step))
    for step in (10, 11):
        damage(folder / str(step) / "state" / "d" / "array")
    (folder / "12.orbax-checkpoint-tmp").mkdir()
    integrity.quarantine_damaged(folder)
    assert [path.name for path in folder.iterdir()] == ["9"]
    assert {p.name for p in (tmp_path / integrity.DAMAGED).iterdir()} == {"10", "11"}
    assert "the checkpoint of step 11 is damaged: state/d/array" in said.text
    assert words in said.text


def test_checkpoint_without_checksums_is_replaced_by_the_previous(tmp_path, said):
    _checkpoint(tmp_path / "checkpoints" / "3")
    _checkpoint(tmp_path / "checkpoints" / "4")
    (tmp_path / "checkpoints" / "4" / integrity.CHECKSUMS).unlink()
    integrity.quarantine_damaged(tmp_path / "checkpoints")
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"3"}
    assert "it has no checksums.json, so the copy is incomplete" in said.text


def test_modified_checksums_are_rejected(tmp_path):
    _checkpoint(tmp_path / "3")
    path = tmp_path / "3" / integrity.CHECKSUMS
    path.write_text(path.read_text().replace("state/d/array", "state/d/other"))
    assert "was changed after it was written" in integrity.find_damage(tmp_path / "3")


class _Placed:
    """Stands in for an iterator of training batches."""

    def set_state(self, state):
        self.state = state


def test_resume_on_other_devices_continues_at_the_same_example(said):
    saved = DataPosition(examples=96, batch_size=8, processes=2, devices=4, fsdp=2)
    iterator = _Placed()
    resumed = restore_iterator(iterator, saved, HERE)
    assert iterator.state == {"next_index": 12}
    assert resumed.after(2).examples == 112
    assert "saved with 2 process(es), 4 device(s), fsdp 2" in said.text
    assert "from example 96, using each example exactly once" in said.text


def test_another_batch_size_goes_on_where_one_of_its_batches_begins(said):
    saved = DataPosition(examples=96, batch_size=4, processes=1, devices=8, fsdp=1)
    iterator = _Placed()
    restore_iterator(iterator, saved, HERE)
    assert iterator.state == {"next_index": 12}
    with pytest.raises(ConfigError, match=r"batch_size=8, but 92 examples .* divides 92"):
        restore_iterator(iterator, saved.after(-1), HERE)


def test_resume_on_same_devices_logs_nothing(said):
    restore_iterator(_Placed(), HERE.after(3), HERE)
    assert not said.records


def test_watchdog_ends_and_names_a_hanging_operation(said, capfd):
    ended = []
    with Watchdog(0.2, ended.append) as watchdog:
        for _ in range(4):  # slow, but it moves
            watchdog.begin_operation("step 1")
            time.sleep(0.1)
        assert not ended
        watchdog.begin_operation("the wait for the data of step 2")
        time.sleep(0.6)
    assert ended == [Interrupted.status]
    assert "stuck in the wait for the data of step 2" in said.text
    assert "test_faults.py" in capfd.readouterr().err  # where the main thread was


def test_process_with_late_data_is_reported():
    assert not find_straggler([0.5, 0.5, 0.5], [0.01, 0.01, 0.02])
    assert not find_straggler([0.5, 0.5, 0.5], [0.4, 0.41, 0.42])  # all wait: no one's fault
    assert not find_straggler([0.5], [0.4])
    assert "process 1 lags: 0.400 s of a step of 0.500 s" in find_straggler(
        [0.5] * 3, [0.01, 0.4, 0.02]
    )


def test_the_order_of_the_data_has_one_hash_however_it_is_divided():
    rng = np.random.default_rng(0)
    batch = {name: rng.integers(0, 50, 8) for name in ("recording", "start")}
    parts = [{name: values[i : i + 4] for name, values in batch.items()} for i in (0, 4)]
    whole = order_hash(batch, 0)
    assert (order_hash(parts[0], 0) + order_hash(parts[1], 4)) % 2**64 == whole
    swapped = {name: values[::-1] for name, values in batch.items()}
    assert order_hash(swapped, 0) != whole


def test_a_profile_is_recorded_when_a_signal_comes(tmp_path):
    multiply = jax.jit(lambda x: x * 2)
    with Profiler(tmp_path, 0, 2) as profiler:
        for step in range(1, 7):
            if step == 3:
                signal.raise_signal(signal.SIGUSR1)
            with profiler.step(step):
                multiply(np.float32(step)).block_until_ready()
    (trace,) = tmp_path.rglob("*.xplane.pb")
    assert "profile/process_0/plugins/profile" in trace.as_posix()


def test_unwritable_folder_is_reported_immediately(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to the work folder .*choose another"):
        atomic_files.prepare_workdir(tmp_path / "file" / "run")
