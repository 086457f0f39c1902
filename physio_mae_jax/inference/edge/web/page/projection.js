// Projection of embeddings to two dimensions: the principal components of those seen so far.

const MIN_FITTED = 4;
const MAX_POINTS = 300;
const ITERATIONS = 60;

/**
 * The trail of the newest embeddings in two dimensions.
 *
 * The components are fitted again whenever the number of embeddings has doubled, and keep their
 * signs, so that the trail rarely moves.
 */
export class Trail {
  constructor() {
    this._embeddings = [];
    this._count = 0;
    this._nextFit = MIN_FITTED;
    this._fit = null;
    this.points = []; // [x, y], the newest last
  }

  /** Share of the variance of each component; null before the first fit. */
  get shares() {
    return this._fit?.shares ?? null;
  }

  push(embedding) {
    this._embeddings.push(embedding);
    this._count += 1;
    if (this._embeddings.length > MAX_POINTS) this._embeddings.shift();
    if (this._count === this._nextFit) {
      this._nextFit *= 2;
      this._fit = principalComponents(this._embeddings, this._fit);
      this.points = this._embeddings.map((one) => this._project(one));
    } else if (this._fit) {
      this.points.push(this._project(embedding));
      if (this.points.length > MAX_POINTS) this.points.shift();
    }
  }

  _project(embedding) {
    const { mean, axes } = this._fit;
    return axes.map((axis) => axis.reduce((sum, value, at) => sum + value * (embedding[at] - mean[at]), 0));
  }
}

/** Mean, two axes [D] and their shares of the variance, by power iteration. */
export function principalComponents(rows, previous) {
  const width = rows[0].length;
  const mean = new Float64Array(width);
  for (const row of rows) row.forEach((value, at) => (mean[at] += value / rows.length));
  const centered = rows.map((row) => Float64Array.from(row, (value, at) => value - mean[at]));
  const total = centered.reduce((sum, row) => sum + dot(row, row), 0) || 1;
  const axes = [];
  const shares = [];
  for (let number = 0; number < 2; number++) {
    // A fixed start that is orthogonal to no likely axis.
    let axis = unit(Float64Array.from({ length: width }, (_, at) => Math.sin(1 + at * (number + 1))));
    for (let step = 0; step < ITERATIONS; step++) {
      const next = new Float64Array(width);
      for (const row of centered) {
        const weight = dot(row, axis);
        row.forEach((value, at) => (next[at] += weight * value));
      }
      for (const other of axes) {
        const along = dot(next, other);
        other.forEach((value, at) => (next[at] -= along * value));
      }
      if (!dot(next, next)) break;
      axis = unit(next);
    }
    if (previous && dot(axis, previous.axes[number]) < 0) axis = axis.map((value) => -value);
    axes.push(axis);
    shares.push(centered.reduce((sum, row) => sum + dot(row, axis) ** 2, 0) / total);
  }
  return { mean, axes, shares };
}

const dot = (a, b) => a.reduce((sum, value, at) => sum + value * b[at], 0);

function unit(vector) {
  const length = Math.sqrt(dot(vector, vector));
  return vector.map((value) => value / length);
}
