"""Runs are resumed at the same example of their data."""

import pytest

from physio_mae_jax.errors import ConfigError
from physio_mae_jax.training.data_position import DataPosition, restore_iterator

HERE = DataPosition(examples=0, batch_size=8, processes=1, devices=8, fsdp=1)


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
