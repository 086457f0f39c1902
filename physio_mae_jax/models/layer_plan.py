"""Which layer of a stack has which time mixer, and where its parameters are."""

from typing import NamedTuple

import numpy as np

# Where a stack keeps its blocks; each leaf has leading axes of layers.
ALIKE = ("blocks",)  # [layers, …]: all, or those that complete no group
GROUPED = ("groups", "blocks")  # [groups, layers, …]
GROUPED_ATTENTION = ("groups", "attention_block")  # [groups, …]


class LayerPlan(NamedTuple):
    """Order of the layers of a stack: groups that end in attention, then layers that are alike.

    Attributes:
        depth: Number of layers.
        attention_every: Layers of a group; 0 for no groups, see ``MaeConfig``.
    """

    depth: int
    attention_every: int = 0

    @property
    def num_groups(self) -> int:
        """Number of whole groups."""
        return self.depth // self.attention_every if self.attention_every else 0

    @property
    def num_alike(self) -> int:
        """Number of layers after the groups."""
        return self.depth - self.num_groups * self.attention_every

    def layers(self) -> dict[tuple[str, ...], np.ndarray]:
        """Return the numbers of the layers from 0, by path of their parameters.

        The axes are the leading axes of the parameters. Paths without layers are not listed.
        """
        numbers = np.arange(self.depth)
        split = self.depth - self.num_alike
        found: dict[tuple[str, ...], np.ndarray] = {}
        if self.num_groups:
            groups = numbers[:split].reshape(self.num_groups, -1)
            found = {GROUPED: groups[:, :-1], GROUPED_ATTENTION: groups[:, -1]}
        if self.num_alike:
            found[ALIKE] = numbers[split:]
        return found

    def mixers(self, time_mixer: str) -> list[str]:
        """Return the name of the time mixer of each layer."""
        names = [time_mixer] * self.depth
        for layer in self.layers().get(GROUPED_ATTENTION, ()):
            names[layer] = "attention"
        return names
