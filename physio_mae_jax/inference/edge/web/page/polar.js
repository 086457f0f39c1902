// ECG of a Polar chest strap by Web Bluetooth (Polar Measurement Data service).

import { DemoError } from "./errors.js";

const SERVICE = "fb005c80-02e7-f387-1cad-8acd2d8df0c8";
const CONTROL = "fb005c81-02e7-f387-1cad-8acd2d8df0c8";
const DATA = "fb005c82-02e7-f387-1cad-8acd2d8df0c8";
const START_ECG = Uint8Array.of(0x02, 0x00, 0x00, 0x01, 0x82, 0x00, 0x01, 0x01, 0x0e, 0x00); // 130 Hz, 14 bits
const ECG = 0;
const HEADER_BYTES = 10;
const SAMPLE_BYTES = 3;
const MAX_GAP_SECONDS = 60;
export const POLAR_RATE_HZ = 130;

/** Why a strap cannot be connected from this browser; "" if it can. */
export function bluetoothProblem() {
  if (!globalThis.isSecureContext) return "needs https or localhost";
  return navigator.bluetooth ? "" : "this browser has no Web Bluetooth";
}

/** Parse a notification: {seconds of the last sample, samples in µV}; null if it is no ECG. */
export function parseEcgFrame(view) {
  if (view.byteLength < HEADER_BYTES || view.getUint8(0) !== ECG || view.getUint8(9) !== 0) return null;
  const count = Math.floor((view.byteLength - HEADER_BYTES) / SAMPLE_BYTES);
  const samples = Float64Array.from({ length: count }, (_, index) => {
    const at = HEADER_BYTES + SAMPLE_BYTES * index;
    return view.getUint16(at, true) | (view.getInt8(at + 2) << 16);
  });
  return { seconds: Number(view.getBigUint64(1, true)) / 1e9, samples };
}

/** Samples of frames in order, with NaN for samples that were lost between them. */
export class FrameJoiner {
  constructor() {
    this._last = null;
  }

  join({ seconds, samples }) {
    let lost = 0;
    if (this._last !== null) {
      lost = Math.max(0, Math.round((seconds - this._last) * POLAR_RATE_HZ) - samples.length);
    }
    this._last = seconds;
    if (lost > MAX_GAP_SECONDS * POLAR_RATE_HZ) {
      throw new DemoError("Strap interrupted", `${(lost / POLAR_RATE_HZ).toFixed(0)} s of the ECG are missing.`);
    }
    const found = new Float64Array(lost + samples.length).fill(NaN);
    found.set(samples, lost);
    return found;
  }
}

/** A connected strap, as a source of samples. */
export class PolarStrap {
  /** Let the user choose a strap; must be called from a click. */
  static async choose() {
    const device = await navigator.bluetooth.requestDevice({
      filters: [{ namePrefix: "Polar" }],
      optionalServices: [SERVICE],
    });
    return new PolarStrap(device);
  }

  constructor(device) {
    this._device = device;
  }

  stop() {
    this._device.gatt.disconnect();
  }

  /** Call `push([samples])` with the ECG in µV until the strap disconnects; resolves to false. */
  async run(push) {
    const server = await this._device.gatt.connect();
    const service = await server.getPrimaryService(SERVICE);
    const control = await service.getCharacteristic(CONTROL);
    const data = await service.getCharacteristic(DATA);
    const joiner = new FrameJoiner();
    return new Promise((resolve, reject) => {
      this._device.addEventListener("gattserverdisconnected", () => resolve(false), { once: true });
      data.addEventListener("characteristicvaluechanged", ({ target }) => {
        const frame = parseEcgFrame(target.value);
        // Not awaited: a strap does not wait, and ``push`` keeps the order.
        if (frame) (async () => push([joiner.join(frame)]))().catch(reject);
      });
      control
        .startNotifications()
        .then(() => data.startNotifications())
        .then(() => control.writeValueWithResponse(START_ECG))
        .catch(reject);
    });
  }
}
