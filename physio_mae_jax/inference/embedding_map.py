"""Two-dimensional maps of embeddings."""

import numpy as np
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.plots.embedding_map import draw_points

METHODS = ("pca", "umap")


def draw_map(
    embeddings: np.ndarray, groups: np.ndarray, *, method: str = "pca", title: str = ""
) -> Figure:
    """Draw embeddings as points coloured by group.

    Args:
        embeddings: Embeddings [n, D].
        groups: Group of each embedding [n], a name or number.
        method: 'pca', or 'umap' if umap-learn is installed.
        title: Title of the figure.
    """
    points, axes = project(embeddings, method)
    return draw_points(points, np.asarray(groups), axes, title)


def project(embeddings: np.ndarray, method: str) -> tuple[np.ndarray, tuple[str, str]]:
    """Return points [n, 2] and the labels of their axes.

    Raises:
        ConfigError: The method is unknown, or umap-learn is not installed.
        DataError: There are fewer than three embeddings, or some are not finite.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")
    if embeddings.ndim != 2 or len(embeddings) < 3 or not np.isfinite(embeddings).all():
        raise DataError(
            f"embeddings of shape {embeddings.shape} cannot be laid out; at least three finite "
            "rows [n, D] are needed (recordings that were rejected are rows of NaN)."
        )
    centred = embeddings - embeddings.mean(axis=0)
    scaled = centred / np.maximum(embeddings.std(axis=0), 1e-6)
    if method == "umap":
        return _umap(scaled), ("UMAP 1", "UMAP 2")
    found = PCA(2, random_state=0).fit(scaled)
    first, second = (
        f"component {i + 1} ({100 * share:.0f} % of variance)"
        for i, share in enumerate(found.explained_variance_ratio_)
    )
    return found.transform(scaled), (first, second)


def _umap(scaled: np.ndarray) -> np.ndarray:
    try:
        from umap import UMAP
    except ImportError as error:
        raise ConfigError(
            "method='umap' needs umap-learn; install it with pip install umap-learn, or use 'pca'."
        ) from error
    return np.asarray(UMAP(random_state=0).fit_transform(scaled))
