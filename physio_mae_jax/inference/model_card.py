"""Model card of a shared model: description, training data and intended use."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from physio_mae_jax.data.fingerprints import text_hash
from physio_mae_jax.inference.trained_model import TrainedModel
from physio_mae_jax.printable import printable

_UNSPECIFIED = "Not said."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Card:
    """Texts of a model card that cannot be derived from the model.

    Attributes:
        name: Name to load the model by; '' for its folder.
        license: License of the weights, as its SPDX identifier.
        training_data: Data sets with their licenses, citations and sizes, as Markdown.
        training: Settings and cost of the training, as Markdown.
        evaluation: Evaluation results as Markdown, such as the text of an evaluation.md.
        intended_use: Intended use of the model.
        limits: Known limits of the model, as Markdown.
    """

    name: str = ""
    license: str = ""
    training_data: str = ""
    training: str = ""
    evaluation: str = ""
    intended_use: str = ""
    limits: str = ""


def render_card(trained: TrainedModel, arrays: Mapping[str, np.ndarray], card: Card) -> str:
    """Format the card as Markdown with the front matter of the Hugging Face hub."""
    given, model = trained.model_spec.input, trained.model_spec.model
    seconds = given.num_samples / given.sampling_rate_hz
    front = ["library_name: physio_mae_jax", "tags: [physiological-signals, jax]"]
    if card.license:
        front.insert(0, f"license: {card.license.lower()}")
    size = sum(array.size for array in arrays.values())
    example = ", ".join(f'"{printable(name)}"' for name in given.channels[:2])
    stored = ", ".join(sorted({array.dtype.name for array in arrays.values()}))
    newline = "\n"
    return f"""---
{newline.join(front)}
---
# {printable(card.name) or "A masked autoencoder of physiological signals"}

{size / 1e6:.2f} M parameters, stored as {stored}; embeddings of {model.width} numbers.
Loaded without running any code of this folder:

```python
from physio_mae_jax import Encoder

encoder = Encoder.from_pretrained("{card.name or "this/folder"}")
embedding = encoder.encode(signal, sampling_rate_hz=500, channels=[{example}])
```

## Input

Channels it knows: {", ".join(map(printable, given.channels))}.

Windows of {seconds:g} s at {given.sampling_rate_hz:g} Hz, {given.normalization}. Other rates,
lengths, orders and subsets of channels are brought to that, and a report says how.

{_training_data(trained, card)}

## Training

{card.training or _UNSPECIFIED}

## Evaluation

{card.evaluation or _UNSPECIFIED}

## Intended use

{card.intended_use or _UNSPECIFIED}

Not a medical device: nothing here was tested for diagnosis or care.

## Limits

{card.limits or _UNSPECIFIED}

## License

{card.license or _UNSPECIFIED}
"""


def _training_data(trained: TrainedModel, card: Card) -> str:
    """Format the section on the training data."""
    given, subjects = trained.model_spec.input, trained.trained_on
    filters = [f"* {printable(name)}: {printable(what)}" for name, what in given.filters.items()]
    more = "" if subjects.is_complete else "; more that are not known"
    hashes, newline = subjects.to_json(), "\n"
    split = trained.model_spec.split
    return f"""## Training data

{card.training_data or _UNSPECIFIED}

How each data set was filtered before:

{newline.join(filters) or _UNSPECIFIED}

Subjects: {len(subjects.subjects)}, hash {text_hash(hashes["subjects"])}{more}.
Blocks of samples: {len(subjects.blocks)}, hash {text_hash(hashes["blocks"])}.
Hashes of all subjects and of their samples are in config.json, so that an evaluation can detect
whether its data were used for training.

Split `{split.get("rule", "")}`, hash {split.get("hash", "")}."""
