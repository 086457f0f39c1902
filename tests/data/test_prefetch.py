"""Items are read ahead, in order, and not further than asked."""

import threading

import pytest

from physio_mae_jax.data.prefetch import prefetch


def test_results_come_in_order_whichever_is_read_first():
    second = threading.Event()

    def read(item):
        if item == 0:
            assert second.wait(60)
        if item == 1:
            second.set()
        return item * item

    assert list(prefetch(read, range(5), 2)) == [(k, k * k) for k in range(5)]


def test_no_more_is_read_than_asked():
    asked = []

    def items():
        for item in range(100):
            asked.append(item)
            yield item

    assert next(prefetch(lambda item: item, items(), 3)) == (0, 0)
    assert len(asked) == 4


def test_an_error_is_raised_where_its_item_is_due():
    def read(item):
        if item == 1:
            raise OSError("gone")
        return item

    results = prefetch(read, range(3), 2)
    assert next(results) == (0, 0)
    with pytest.raises(OSError, match="gone"):
        next(results)
