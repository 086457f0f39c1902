"""Two-dimensional maps of embeddings, by principal components or UMAP."""

import numpy as np
from matplotlib.figure import Figure

from physio_mae_jax.errors import ConfigError, DataError
from physio_mae_jax.plots.names import format_name

METHODS = ("pca", "umap")
_SIZE = 9
_MAX_NAMES = 20
_MAX_LETTERS = 60


def draw_map(
    embeddings: np.ndarray, groups: np.ndarray, *, method: str = "pca", title: str = ""
) -> Figure:
    """Draw embeddings as points colored by group.

    Args:
        embeddings: Embeddings [N, D].
        groups: Group of each embedding [N], a name or number.
        method: 'pca', or 'umap' if umap-learn is installed.
        title: Title of the figure.
    """
    points, axes = project(embeddings, method)
    return draw_points(points, np.asarray(groups), axes, title)


def project(embeddings: np.ndarray, method: str) -> tuple[np.ndarray, tuple[str, str]]:
    """Return points [N, 2] and the labels of their axes.

    Raises:
        ConfigError: The method is unknown, or umap-learn is not installed.
        DataError: There are fewer than three embeddings, or some are not finite.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")
    if embeddings.ndim != 2 or len(embeddings) < 3 or not np.isfinite(embeddings).all():
        raise DataError(
            f"embeddings of shape {embeddings.shape} cannot be laid out; at least three finite "
            "rows [N, D] are needed (recordings that were rejected are rows of NaN)."
        )
    centered = embeddings - embeddings.mean(axis=0)
    scaled = centered / np.maximum(embeddings.std(axis=0), 1e-6)
    if method == "umap":
        return _umap(scaled), ("UMAP 1", "UMAP 2")
    from sklearn.decomposition import PCA  # takes a second to import

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


def draw_points(
    points: np.ndarray, groups: np.ndarray, axes_names: tuple[str, str], title: str
) -> Figure:
    """Draw points [N, 2], colored by group: one color per name, a color scale for numbers."""
    figure = Figure(figsize=(7.5, 6), layout="constrained")
    axes = figure.add_subplot()
    names = np.unique(groups)
    if groups.dtype.kind in "fiu" and len(names) > _MAX_NAMES:
        drawn = axes.scatter(
            points[:, 0], points[:, 1], c=groups, s=_SIZE, cmap="viridis", alpha=0.8
        )
        figure.colorbar(drawn, ax=axes)
    else:
        # The rarest group is drawn last, so that others do not cover it.
        count = {name: int((groups == name).sum()) for name in names}
        ordered = sorted(names, key=lambda name: -count[name])
        drawn_groups = []
        for name in ordered:
            chosen = points[groups == name]
            drawn_groups.append(axes.scatter(chosen[:, 0], chosen[:, 1], s=_SIZE, alpha=0.7))
        # Passed to the legend as texts, since Matplotlib skips artists labeled '_…'.
        labels = [f"{format_name(name, longest=_MAX_LETTERS)} ({count[name]})" for name in ordered]
        axes.legend(drawn_groups, labels, fontsize=8, markerscale=2, framealpha=0.9)
    axes.set_xlabel(axes_names[0])
    axes.set_ylabel(axes_names[1])
    axes.set_title(format_name(title))
    return figure
