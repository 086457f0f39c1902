"""Choosing the channels of a file: those listed, wanted and usable, and the rate they share.

A channel that cannot be used (no name, two of one name, no physical range, a rate that is none)
makes the file unusable only where it is wanted; else it is left out.
"""

import dataclasses
from collections.abc import Sequence

from physio_mae_jax.data.formats.layout import FileFacts, pick_channels
from physio_mae_jax.data.formats.manifest import Entry
from physio_mae_jax.errors import DataError
from physio_mae_jax.signals.channels import canonical_name, wanted_channels
from physio_mae_jax.signals.montage import plan_montage
from physio_mae_jax.signals.rates import check_rate
