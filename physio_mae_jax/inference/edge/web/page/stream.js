// Windows of a signal while it is received, as physio_mae_jax/inference/streaming makes them.

import { DemoError } from "./errors.js";
import { isClock, Resampler, toFloat32, zScore } from "./signal.js";

const FAR = 2 ** 52; // a position that no stream reaches

/** The newest samples [M, first … stop) of a signal. */
class SampleBuffer {
  constructor(numChannels) {
    this._rows = Array.from({ length: numChannels }, () => new Float64Array(0));
    this._begin = 0;
    this._end = 0;
    this.first = 0;
  }

  get stop() {
    return this.first + this._end - this._begin;
  }

  append(pieces, from, to) {
    const count = to - from;
    if (this._end + count > this._rows[0].length) this._makeRoom(count);
    this._rows.forEach((row, index) => row.set(pieces[index].subarray(from, to), this._end));
    this._end += count;
  }

  _makeRoom(count) {
    const size = this._end - this._begin;
    this._rows = this._rows.map((row) => {
      const made = new Float64Array(2 * (size + count));
      made.set(row.subarray(this._begin, this._end));
      return made;
    });
    this._begin = 0;
    this._end = size;
  }

  /** Samples [start, stop) of a row; not a copy. */
  read(row, start, stop) {
    const shift = this._begin - this.first;
    return this._rows[row].subarray(start + shift, stop + shift);
  }

  discardBefore(position) {
    const count = Math.max(0, Math.min(position, this.stop) - this.first);
    this.first += count;
    this._begin += count;
  }
}

/** Channels of the windows in the order of the model: name, id and row of each. */
export function planChannels(names, model) {
  const known = model.knownChannels
    .map((name) => ({ name, id: Math.max(0, model.vocabulary.findIndex((one) => one.name === name)) }))
    .sort((a, b) => a.id - b.id || (a.name < b.name ? -1 : 1));
  for (const [row, name] of names.entries()) {
    if (!known.some((one) => one.name === name)) {
      throw new DemoError(
        "Unknown channel",
        `Channel “${name}” is not known to the model; it knows ${model.knownChannels.join(", ")}.`,
      );
    }
    if (names.indexOf(name) !== row) {
      throw new DemoError("Channel given twice", `Two rows are called “${name}”; use each name once.`);
    }
  }
  if (!names.length || names.length > model.numChannels) {
    throw new DemoError(
      "Wrong number of channels",
      `${names.length} channels are chosen; the graph takes 1 to ${model.numChannels}. ` +
        "Choose a channel of the model for at least one row, or export with a larger num_channels.",
    );
  }
  return known
    .filter((one) => names.includes(one.name))
    .map((one) => ({ ...one, row: names.indexOf(one.name) }));
}

/** Reject a rate that is not plausible for the channels. */
export function checkRate(rateHz, names, model) {
  for (const name of names) {
    const low = model.vocabulary.find((one) => one.name === name)?.min_rate_hz ?? 1;
    if (!(rateHz >= low && rateHz <= model.maxRateHz)) {
      throw new DemoError(
        "Wrong sampling rate",
        `The sampling rate is ${rateHz} Hz; ${name} needs ${low} to ${model.maxRateHz} Hz. ` +
          "Samples a second are meant, not seconds a sample.",
      );
    }
  }
}

/** The hop in columns of the model; rejects one that is not a whole number of columns. */
function hopColumnsOf(seconds, columnSeconds) {
  const columns = Math.round(seconds / columnSeconds);
  if (!(columns >= 1 && Math.abs(columns * columnSeconds - seconds) <= 1e-6)) {
    throw new DemoError(
      "Wrong hop",
      `A hop of ${seconds} s is not a whole number of time columns of ${columnSeconds} s; ` +
        `give ${Math.max(1, columns || 1) * columnSeconds}.`,
    );
  }
  return columns;
}

/**
 * A stream of windows.
 *
 * `push` and `flush` return {startSeconds, endSeconds, rejected, masked, window}; `window` holds the
 * inputs of the graph and is null where the window is rejected as a gap or flat.
 */
export class WindowStream {
  constructor(model, { rateHz, channels, hopSeconds }) {
    checkRate(rateHz, channels, model);
    this.model = model;
    this.rateHz = rateHz;
    this.channels = channels;
    this.columnSeconds = model.columnSamples / model.rateHz;
    this.hopColumns = hopColumnsOf(hopSeconds, this.columnSeconds);
    this._plan = planChannels(channels, model);
    this._change = new Resampler(rateHz, model.rateHz);
    this._buffer = new SampleBuffer(channels.length);
    this._column = 0;
    this._ended = false;
  }

  get seconds() {
    return this._buffer.stop / this.rateHz;
  }

  /** Add samples: an array of n numbers for each channel, NaN where one is missing. */
  push(pieces) {
    this._requireOpen();
    const count = pieces[0]?.length ?? 0;
    if (pieces.length !== this.channels.length || pieces.some((one) => one.length !== count)) {
      throw new DemoError(
        "Wrong samples",
        `${pieces.length} rows of ${pieces.map((one) => one.length).join(", ")} samples were ` +
          `received; ${this.channels.length} rows of equal length are expected.`,
      );
    }
    const rows = pieces.map((one) => (one instanceof Float64Array ? one : Float64Array.from(one)));
    const seconds = Math.min(this.hopColumns, this.model.numColumns) * this.columnSeconds;
    const step = Math.max(1, Math.round(seconds * this.rateHz));
    const found = [];
    for (let from = 0; from < count; from += step) {
      this._buffer.append(rows, from, Math.min(count, from + step));
      found.push(...this._complete());
    }
    return found;
  }

  /** End the stream; returns the remaining windows, the last one flush with its end. */
  flush() {
    this._requireOpen();
    const last = this._columnsReceived() - this.model.numColumns;
    if (last < 0) {
      throw new DemoError(
        "Signal too short",
        `The signal lasts ${this.seconds.toFixed(2)} s; a window needs ` +
          `${(this.model.numColumns * this.columnSeconds).toFixed(2)} s.`,
      );
    }
    this._ended = true;
    if (last <= this._column - this.hopColumns) return [];
    const found = [];
    for (; this._column < last; this._column += this.hopColumns) found.push(this._window(this._column));
    return [...found, this._window(last)];
  }

  _requireOpen() {
    if (this._ended) throw new DemoError("Stream ended", "The stream has ended; start a new one.");
  }

  _columnsReceived() {
    return Math.floor(this._change.lengthAfter(this._buffer.stop) / this.model.columnSamples);
  }

  _span(column, numSamples) {
    return this._change.sourceSpan(column * this.model.columnSamples, this.model.numSamples, numSamples);
  }

  _complete() {
    const found = [];
    while (this._buffer.stop >= this._span(this._column, FAR).last) {
      if (!this._column) this._rejectClocks();
      found.push(this._window(this._column));
      this._column += this.hopColumns;
    }
    const last = this._columnsReceived() - this.model.numColumns; // of ``flush``
    this._buffer.discardBefore(this._span(Math.max(0, Math.min(this._column, last)), FAR).first);
    return found;
  }

  _rejectClocks() {
    for (const [row, name] of this.channels.entries()) {
      if (isClock(this._buffer.read(row, this._buffer.first, this._buffer.stop))) {
        this._ended = true;
        throw new DemoError(
          "Not a signal",
          `Channel “${name}” increases by a constant step, so it is a time or a sample index.`,
        );
      }
    }
  }

  _window(column) {
    const { first, last, offset } = this._span(column, this._buffer.stop);
    const raw = this._plan.map(({ row }) => this._buffer.read(row, first, last));
    const missing = raw.map((row) => row.reduce((count, value) => count + !Number.isFinite(value), 0));
    const isAbsent = missing.map((count) => count === last - first);
    const found = {
      startSeconds: column * this.columnSeconds,
      endSeconds: (column + this.model.numColumns) * this.columnSeconds,
      rejected: "",
      masked: this._plan.filter((_, index) => isAbsent[index]).map(({ name }) => name),
      window: null,
    };
    if (isAbsent.every(Boolean) || missing.some((count, index) => count && !isAbsent[index])) {
      return { ...found, rejected: "gap" };
    }
    const window = this._blank();
    // A channel without any value in the window is absent from it.
    toFloat32(raw.map((row, index) => (isAbsent[index] ? new Float64Array(row.length) : row))).forEach(
      (row, index) => {
        const length = this.model.numSamples;
        const resampled = this._change.resample(row, first, offset, length);
        const out = window.signal.subarray(index * length, (index + 1) * length);
        window.channel_mask[index] = zScore(resampled, out);
        window.channel_ids[index] = BigInt(this._plan[index].id);
      },
    );
    found.masked = this._plan.filter((_, index) => !window.channel_mask[index]).map(({ name }) => name);
    if (found.masked.length === this._plan.length) return { ...found, rejected: "flat" };
    return { ...found, window };
  }

  /** Inputs of the graph for M absent channels. */
  _blank() {
    const { numChannels, numSamples, numColumns } = this.model;
    return {
      signal: new Float32Array(numChannels * numSamples),
      channel_mask: new Uint8Array(numChannels),
      channel_ids: new BigInt64Array(numChannels),
      column_weight: new Float32Array(numColumns).fill(1),
    };
  }
}
