// Preprocessing of a window, equal to physio_mae_jax/signals/preprocess.py up to float32 rounding.

import { DemoError } from "./errors.js";

const ZERO_CROSSINGS = 10; // of the low-pass filter, on each side
const KAISER_BETA = 5;
const MAX_PHASES = 2n ** 17n;
const MAX_DENOMINATOR = 20_000n;
const RATIO_TOLERANCE = 1e-7;
const MAX_CACHED_WEIGHTS = 2 ** 20;
const Z_SCORE_LIMIT = 10;
const MIN_MAGNITUDE = 2 ** -40;
const MAX_MAGNITUDE = 2 ** 50;
const MAX_OFFSET = 1e4; // above this multiple of its range, float32 does not resolve a signal
const CLOCK = { tolerance: 0.01, minSamples: 32 };

const ceilDivide = (a, b) => (a + b - 1n) / b; // a >= 0

/** Return the exact fraction [numerator, denominator] of a positive decimal number. */
function fractionOf(value) {
  const [digits, exponent = "0"] = String(value).toLowerCase().split("e");
  const [whole, decimals = ""] = digits.split(".");
  const power = decimals.length - Number(exponent);
  const number = BigInt(whole + decimals);
  return power >= 0 ? [number, 10n ** BigInt(power)] : [number * 10n ** BigInt(-power), 1n];
}

function reduced(numerator, denominator) {
  let [a, b] = [numerator, denominator];
  while (b) [a, b] = [b, a % b];
  return [numerator / a, denominator / a];
}

/** Return the nearest fraction with a denominator of at most `limit`, as Fraction.limit_denominator. */
function limited(numerator, denominator, limit) {
  if (denominator <= limit) return [numerator, denominator];
  let [p0, q0, p1, q1] = [0n, 1n, 1n, 0n];
  let [n, d] = [numerator, denominator];
  for (;;) {
    const a = n / d;
    const q2 = q0 + a * q1;
    if (q2 > limit) break;
    [p0, q0, p1, q1] = [p1, q1, p0 + a * p1, q2];
    [n, d] = [d, n - a * d];
  }
  const k = (limit - q0) / q1;
  // Of the two bounds, the one nearer to the fraction.
  return 2n * d * (q0 + k * q1) <= denominator ? [p1, q1] : [p0 + k * p1, q0 + k * q1];
}

/** Rational change of the sampling rate, up / down in lowest terms. */
export class Resampler {
  constructor(sourceHz, targetHz) {
    for (const rate of [sourceHz, targetHz]) {
      if (!(Number.isFinite(rate) && rate > 0)) {
        throw new DemoError("Wrong sampling rate", `The rate is ${rate}; a positive number of Hz is needed.`);
      }
    }
    const source = fractionOf(Math.round(sourceHz * 1e4) / 1e4);
    const target = fractionOf(targetHz);
    const exact = reduced(target[0] * source[1], target[1] * source[0]);
    let [up, down] = limited(...exact, MAX_DENOMINATOR);
    const error = up ? Number(up * exact[1]) / Number(down * exact[0]) - 1 : 1;
    if (up > MAX_PHASES || Math.abs(error) > RATIO_TOLERANCE) [up, down] = exact;
    this.up = up;
    this.down = down;
    this.isEqual = up === down;
    this.isPolyphase = up <= MAX_PHASES && down <= MAX_DENOMINATOR;
    this._weights = new Map();
  }

  /** Number of output samples of so many input samples. */
  lengthAfter(numSamples) {
    return Number((BigInt(numSamples) * this.up) / this.down);
  }

  /** Input samples {first, last} of output samples [start, start + length), and their offset. */
  sourceSpan(start, length, numSamples) {
    if (this.isEqual) return { first: start, last: Math.min(numSamples, start + length), offset: 0 };
    const [up, down] = [this.up, this.down];
    const slower = up > down ? up : down;
    const margin = this.isPolyphase
      ? ceilDivide(2n * BigInt(ZERO_CROSSINGS) * slower, up)
      : BigInt(2 * Math.ceil(ZERO_CROSSINGS * Math.max(1, Number(down) / Number(up))));
    let first = (BigInt(start) * down) / up - margin;
    if (first < 0n) first = 0n;
    if (this.isPolyphase) first = (first / down) * down; // a point common to both grids
    const last = ceilDivide(BigInt(start + length) * down, up) + margin + 1n;
    return {
      first: Number(first),
      last: Math.min(numSamples, Number(last)),
      offset: start - Number(ceilDivide(first * up, down)),
    };
  }

  /**
   * Resample a row whose first sample is `first` of the signal.
   *
   * Returns output samples [offset, offset + length) after that sample, float32. The ends are
   * continued by their edge values.
   */
  resample(row, first, offset, length) {
    if (this.isEqual) return Float32Array.from(row.subarray(offset, offset + length));
    const { up, down } = this;
    const begin = ceilDivide(BigInt(first) * up, down) + BigInt(offset);
    let position = begin * down - BigInt(first) * up; // in steps of 1 / up of a source sample
    const result = new Float32Array(length);
    const edge = row.length - 1;
    for (let index = 0; index < length; index++, position += down) {
      const { reach, weights } = this._phase(position % up);
      const base = Number(position / up) + 1 - reach;
      let sum = 0;
      for (let tap = 0; tap < weights.length; tap++) {
        const at = base + tap;
        sum += weights[tap] * (row[at < 0 ? 0 : at > edge ? edge : at] - row[0]);
      }
      result[index] = sum + row[0];
    }
    return result;
  }

  /** Weights of the samples around a position, which is a phase / up after one of them. */
  _phase(phase) {
    const known = this._weights.get(phase);
    if (known) return known;
    const scale = Math.max(1, Number(this.down) / Number(this.up));
    const reach = Math.ceil(ZERO_CROSSINGS * scale);
    const fraction = Number(phase) / Number(this.up);
    const weights = new Float64Array(2 * reach);
    let total = 0;
    for (let tap = 0; tap < weights.length; tap++) {
      weights[tap] = lowPass(Math.abs(fraction - (tap + 1 - reach)) / scale);
      total += weights[tap];
    }
    for (let tap = 0; tap < weights.length; tap++) weights[tap] /= total;
    const made = { reach, weights };
    if (this._weights.size * weights.length < MAX_CACHED_WEIGHTS) this._weights.set(phase, made);
    return made;
  }
}

/** Kaiser-windowed sinc at a distance in zero crossings. */
function lowPass(distance) {
  if (distance > ZERO_CROSSINGS) return 0;
  const inside = Math.sqrt(Math.max(0, 1 - (distance / ZERO_CROSSINGS) ** 2));
  const sinc = distance < 1e-12 ? 1 : Math.sin(Math.PI * distance) / (Math.PI * distance);
  return sinc * besselI0(KAISER_BETA * inside);
}

function besselI0(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-17 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function boundsOf(row) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of row) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high, largest: Math.max(high, -low) };
}

const isOutside = (largest) => largest > 0 && (largest < MIN_MAGNITUDE || largest > MAX_MAGNITUDE);

/**
 * Round rows to float32; rows that float32 cannot represent or resolve are shifted and scaled.
 *
 * A z-score does not depend on the offset and the scale.
 */
export function toFloat32(rows) {
  const bounds = rows.map(boundsOf);
  const fits = bounds.map(
    ({ low, high, largest }) =>
      !(high > low && largest > MAX_OFFSET * (high - low)) && !isOutside(largest),
  );
  if (fits.every(Boolean)) return rows.map((row) => Float64Array.from(row, Math.fround));
  return rows.map((row, index) => {
    if (fits[index]) return Float64Array.from(row, Math.fround);
    const { low, high, largest } = bounds[index];
    if (high - low <= 1e-12 * largest) return new Float64Array(row.length);
    const center = low / 2 + high / 2;
    const scale = 2 ** -(Math.floor(Math.log2(high / 2 - low / 2)) + 1);
    return Float64Array.from(row, (value) => Math.fround((value - center) * scale));
  });
}

/** Z-score of a row, clipped to ±10, into `out`; returns false and writes zeros if it is flat. */
export function zScore(row, out) {
  const length = row.length;
  let mean = 0;
  for (const value of row) mean += value;
  mean /= length;
  let squares = 0;
  for (const value of row) squares += (value - mean) ** 2;
  const std = Math.sqrt(squares / (length - 1));
  const varies = std > 1e-6 * boundsOf(row).largest;
  for (let at = 0; at < length; at++) {
    const value = varies ? (row[at] - mean) / std : 0;
    out[at] = Math.max(-Z_SCORE_LIMIT, Math.min(Z_SCORE_LIMIT, value));
  }
  return varies;
}

/** Whether a row only counts: a time or a sample index instead of a signal. */
export function isClock(row) {
  if (row.length < CLOCK.minSamples) return false;
  const mean = (row[row.length - 1] - row[0]) / (row.length - 1);
  const rounding = 4 * Number.EPSILON * Math.abs(row[row.length - 1]);
  for (let at = 1; at < row.length; at++) {
    const step = row[at] - row[at - 1];
    if (!(step > 0 && Math.abs(step - mean) <= CLOCK.tolerance * mean + rounding)) return false;
  }
  return true;
}
