"""Reading of a pickle of plain data."""

import io

from physio_mae_jax.data.pickle_reader import PickleReader


def read(content: bytes) -> object:
    return PickleReader(io.BytesIO(content), len(content), {}).read()
