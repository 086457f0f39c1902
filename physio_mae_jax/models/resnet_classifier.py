"""A convolutional baseline with its published head."""

import flax.linen as nn
import jax

from physio_mae_jax.models.layers import Linear
from physio_mae_jax.models.resnet import ResNetConfig, make_resnet
from physio_mae_jax.models.window_batch import Windows

_HIDDEN = 128
_DROPOUT_RATES = (0.25, 0.5)
_NORM_MOMENTUM = 0.9


class ConvolutionalClassifier(nn.Module):
    """Batch norm, dropout and a linear layer, twice, over the pooled features of a network.

    As in Strodthoff et al. 2021, with 128 features between the two linear layers. Same interface as
    ``models.heads.classifier.Classifier``; running statistics are in the collection 'batch_stats'.
    """

    config: ResNetConfig
    num_classes: int

    @nn.compact
    def __call__(
        self, windows: Windows, labels: jax.Array | None = None, train: bool = False
    ) -> jax.Array:
        """Classify windows: logits [B, Y] float32.

        Args:
            windows: As in ``models.resnet.ResNetBase``.
            labels: Unused.
            train: Apply dropout (needs a 'dropout' key) and normalize by batch statistics.
        """
        del labels
        network = make_resnet(self.config, name="network")
        values = network.features(windows, train=train)
        values = self._norm_and_drop(values, 0, train)
        values = nn.relu(Linear(_HIDDEN, name="masked")(values))
        values = self._norm_and_drop(values, 1, train)
        return Linear(self.num_classes, name="output")(values)

    def _norm_and_drop(self, values: jax.Array, index: int, train: bool) -> jax.Array:
        normed = nn.BatchNorm(
            use_running_average=not train, momentum=_NORM_MOMENTUM, name=f"norm_{index}"
        )(values)
        return nn.Dropout(_DROPOUT_RATES[index], deterministic=not train)(normed)
