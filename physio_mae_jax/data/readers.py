"""Reading recordings from .npy, .npz, .csv and WFDB files: the only code that knows the formats.

A reader has three parts. ``probe`` finds out what a file says of itself, without its samples where
the format allows. ``load`` returns the whole stored array of a format that has to be read as a
whole; it is None for a format that is read in place. ``read`` takes one stretch from a file.

Nothing is ever unpickled: arrays of objects are refused.
"""

import collections
import contextlib
import functools
import math
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from physio_mae_jax.data.csv_table import read_table
from physio_mae_jax.data.layout import FileFacts, FileRecords, cut
from physio_mae_jax.data.manifest import Entry
from physio_mae_jax.errors import DataError

