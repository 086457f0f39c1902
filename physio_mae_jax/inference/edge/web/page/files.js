// Signals from files: CSV with a header, or JSON.

import { DemoError } from "./errors.js";
import { isClock } from "./signal.js";

const MAX_BYTES = 2 ** 28;
const TIME = /^(time|t|timestamp|seconds|sec)\b/i;
const MILLISECONDS = /\bms\b|milli/i;

/** Read a file: {name, rateHz (null if unknown), channels, units, rows}. */
export async function readSignal(file) {
  if (file.size > MAX_BYTES) {
    throw new DemoError(
      "File too large",
      `${file.name} has ${(file.size / 2 ** 20).toFixed(0)} MiB; the page reads up to 256 MiB.`,
    );
  }
  const text = await file.text();
  const read = /\.json$/i.test(file.name) ? parseJson : parseCsv;
  return { name: file.name, ...read(text, file.name) };
}

/** Parse {"sampling_rate_hz", "channels", "units", "samples": a list for each channel}. */
export function parseJson(text, name) {
  let content;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new DemoError("Unreadable file", `${name} is not JSON: ${error.message}`);
  }
  const { channels, samples, sampling_rate_hz: rateHz = null, units = [] } = content ?? {};
  const length = samples?.[0]?.length;
  const isSignal =
    Array.isArray(channels) &&
    Array.isArray(samples) &&
    channels.length === samples.length &&
    samples.every((row) => Array.isArray(row) && row.length === length && row.every(isSample));
  if (!isSignal || !length) {
    throw new DemoError(
      "Unreadable file",
      `${name} needs “channels”, a list of names, and “samples”, a list of numbers (null where one is ` +
        "missing) of equal length for each channel; “sampling_rate_hz” and “units” may be given.",
    );
  }
  const rows = samples.map((row) => Float64Array.from(row, (value) => (value === null ? NaN : value)));
  return { rateHz, channels: channels.map(String), units: channels.map((_, at) => units[at] ?? ""), rows };
}

const isSample = (value) => value === null || typeof value === "number";

/** Parse columns with a header; a time column gives the rate and is not a channel. */
export function parseCsv(text, name) {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/).filter((line) => line.trim());
  const separator = [",", ";", "\t"].find((one) => lines[0]?.includes(one)) ?? ",";
  const names = (lines[0] ?? "").split(separator).map((one) => one.trim().replace(/^"(.*)"$/, "$1"));
  if (lines.length < 2 || names.every((one) => one !== "" && Number.isFinite(Number(one)))) {
    throw new DemoError("Unreadable file", `${name} needs a first line with the names of its columns.`);
  }
  const columns = names.map(() => new Float64Array(lines.length - 1));
  for (let line = 1; line < lines.length; line++) {
    const cells = lines[line].split(separator);
    if (cells.length !== names.length) {
      throw new DemoError(
        "Unreadable file",
        `Line ${line + 1} of ${name} has ${cells.length} columns; ${names.length} are expected.`,
      );
    }
    cells.forEach((cell, at) => (columns[at][line - 1] = numberOf(cell.trim(), name, line + 1)));
  }
  const time = names.findIndex((one, at) => TIME.test(one) && isClock(columns[at]));
  let rateHz = null;
  if (time >= 0) {
    const values = columns[time];
    const unit = MILLISECONDS.test(names[time]) ? 1e-3 : 1;
    const hz = (values.length - 1) / ((values[values.length - 1] - values[0]) * unit);
    rateHz = Math.abs(hz - Math.round(hz)) < 1e-3 * hz ? Math.round(hz) : Number(hz.toFixed(4));
  }
  const kept = names.map((_, at) => at).filter((at) => at !== time);
  return {
    rateHz,
    channels: kept.map((at) => names[at].replace(/\s*[([].*[)\]]$/, "")),
    units: kept.map((at) => /[([](.*)[)\]]$/.exec(names[at])?.[1] ?? ""),
    rows: kept.map((at) => columns[at]),
  };
}

function numberOf(cell, name, line) {
  if (cell === "" || /^(nan|null)$/i.test(cell)) return NaN;
  const value = Number(cell);
  if (Number.isNaN(value)) {
    throw new DemoError("Unreadable file", `Line ${line} of ${name} holds “${cell.slice(0, 40)}”, not a number.`);
  }
  return value;
}
