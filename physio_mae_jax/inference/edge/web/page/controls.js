// Controls of the page: what is shown of the model, and which signal is chosen.

import { readSignal } from "./files.js";
import { bluetoothProblem, POLAR_RATE_HZ } from "./polar.js";
import { syntheticSignal } from "./sources.js";
import { DemoError } from "./errors.js";

const SYNTHETIC_CHANNELS = ["II", "PPG", "I", "V2"];

export const element = (id) => document.getElementById(id);

/** Fill a list of terms and descriptions. */
export function showList(list, entries) {
  list.replaceChildren(
    ...entries.map(([term, description]) => {
      const entry = document.createElement("div");
      entry.append(node("dt", term), node("dd", description));
      return entry;
    }),
  );
}

export function node(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

/** Show an error by its name; null removes it. */
export function showError(error) {
  element("error").hidden = !error;
  if (!error) return;
  const isOurs = error instanceof DemoError;
  element("error-name").textContent = isOurs ? error.name : "Error of the page";
  element("error-message").textContent = isOurs ? error.message : String(error);
  element("error").scrollIntoView({ block: "nearest" });
}

/** The chosen signal, its rate and the channel of each of its rows. */
export class SignalControls {
  /** handed: description of the recording that the server hands over, or null. */
  constructor(handed, onChange) {
    this._handed = handed;
    this._onChange = onChange;
    this._model = null;
    this.signal = null;
    const problem = bluetoothProblem();
    const options = [
      ["recording", handed ? `Recording: ${handed.name}` : "Recording (needs --signal)", !handed],
      ["file", "File", false],
      ["synthetic", "Synthetic beats", false],
      ["polar", `ECG strap by Bluetooth (Polar)${problem && `: ${problem}`}`, Boolean(problem)],
    ];
    element("source").replaceChildren(
      ...options.map(([value, text, disabled]) => Object.assign(node("option", text), { value, disabled })),
    );
    element("source").value = handed ? "recording" : "synthetic";
    element("source").addEventListener("change", () => this.choose());
    element("signal-file").addEventListener("change", () => this.choose());
  }

  get source() {
    return element("source").value;
  }

  /** Take over the contract of a model, and choose the signal for it again. */
  async fit(model) {
    this._model = model;
    await this.choose();
  }

  /** Load the signal of the chosen source; errors are shown. */
  async choose() {
    if (!this._model) return;
    this.signal = null;
    element("file-field").hidden = this.source !== "file";
    element("speed").disabled = this.source === "polar";
    try {
      showError(null);
      this.signal = await this._load();
      if (this.signal) this._show();
    } catch (error) {
      showError(error);
    }
    if (!this.signal) element("channels").replaceChildren();
    this._onChange();
  }

  async _load() {
    if (this.source === "recording") return handedSignal(this._handed);
    if (this.source === "polar") {
      return { name: "ECG strap", rateHz: POLAR_RATE_HZ, channels: ["ECG"], units: ["µV"], rows: null };
    }
    if (this.source === "synthetic") {
      const { knownChannels, numChannels } = this._model;
      const common = SYNTHETIC_CHANNELS.filter((name) => knownChannels.includes(name));
      return syntheticSignal((common.length ? common : knownChannels).slice(0, numChannels));
    }
    const [file] = element("signal-file").files;
    return file ? readSignal(file) : null;
  }

  /** Show the rate, and a choice of the model's channels for each row. */
  _show() {
    const { channels, rateHz } = this.signal;
    element("rate").value = rateHz ?? "";
    element("rate").readOnly = this.source === "synthetic" || this.source === "polar";
    const known = this._model.knownChannels;
    const taken = new Set();
    element("channels").replaceChildren(
      ...channels.map((name, row) => {
        const select = document.createElement("select");
        select.append(
          Object.assign(node("option", "not used"), { value: "" }),
          ...known.map((one) => Object.assign(node("option", one), { value: one })),
        );
        let match = known.find((one) => one.toLowerCase() === name.trim().toLowerCase()) ?? "";
        // A strap records about lead I; the user may choose another.
        if (this.source === "polar") match = ["I", "II"].find((one) => known.includes(one)) ?? "";
        if (taken.has(match) || taken.size >= this._model.numChannels) match = "";
        if (match) taken.add(match);
        select.value = match;
        const label = document.createElement("label");
        label.append(`${name || `Row ${row + 1}`}${unitOf(this.signal, row)}`, select);
        return label;
      }),
    );
  }

  /** What is streamed: {rows, rateHz, channels, titles, hopSeconds, speed}; rows null for a strap. */
  chosen() {
    const selects = [...element("channels").querySelectorAll("select")];
    const used = selects.map((one, row) => ({ row, name: one.value })).filter(({ name }) => name);
    if (!element("rate").value) {
      throw new DemoError("Sampling rate is missing", "Give the samples per second of the signal, such as 250.");
    }
    return {
      rows: this.signal.rows && used.map(({ row }) => this.signal.rows[row]),
      rateHz: Number(element("rate").value),
      channels: used.map(({ name }) => name),
      titles: used.map(({ row, name }) => `${name}${unitOf(this.signal, row) || ", unit not given"}`),
      hopSeconds: Number(element("hop").value),
      speed: Number(element("speed").value),
    };
  }
}

const unitOf = (signal, row) => (signal.units[row] ? ` (${signal.units[row]})` : "");

/** Fetch the recording that the server hands over, float64 [M, n]. */
async function handedSignal(handed) {
  const response = await fetch("signal.f64");
  const bytes = response.ok ? await response.arrayBuffer() : new ArrayBuffer(0);
  const { num_samples: count, channels } = handed;
  if (bytes.byteLength !== 8 * count * channels.length) {
    throw new DemoError("Recording not available", `${handed.name} is not on the server; start it again.`);
  }
  const rows = channels.map((_, row) => new Float64Array(bytes, 8 * count * row, count));
  return { name: handed.name, rateHz: handed.sampling_rate_hz, channels, units: handed.units, rows };
}
