// Sources of samples: a recording replayed by the clock, and a synthetic signal.

const TICK_SECONDS = 0.1;
const SYNTHETIC = { rateHz: 250, seconds: 120, beatSeconds: 0.83 };
// Position in the beat, width and height of the waves of a beat, in seconds and mV.
const ECG_WAVES = [
  [0.17, 0.025, 0.12],
  [0.27, 0.01, -0.12],
  [0.3, 0.011, 1],
  [0.34, 0.012, -0.22],
  [0.53, 0.045, 0.3],
];
const PULSE_WAVES = [
  [0.48, 0.09, 1],
  [0.74, 0.08, 0.35],
];

/** Replays a recording in pieces of real time, `speed` times as fast; Infinity does not wait. */
export class Replay {
  constructor(signal, speed) {
    this._signal = signal;
    this._speed = speed;
    this._stopped = false;
  }

  stop() {
    this._stopped = true;
  }

  /** Call `push(rows)`, awaited, with all samples in turn; resolves to true at the end. */
  async run(push) {
    const { rows, rateHz } = this._signal;
    const total = rows[0].length;
    const started = performance.now();
    let position = 0;
    while (position < total && !this._stopped) {
      let target = position + Math.ceil(rateHz); // a second at a time, so that the page stays responsive
      if (Number.isFinite(this._speed)) {
        await new Promise((resolve) => setTimeout(resolve, 1e3 * TICK_SECONDS));
        const seconds = ((performance.now() - started) / 1e3) * this._speed;
        target = Math.min(target, Math.floor(seconds * rateHz));
      }
      const stop = Math.min(total, target);
      if (stop > position) await push(rows.map((row) => row.subarray(position, stop)));
      position = Math.max(position, stop);
    }
    return position >= total;
  }
}

/** Noise of a linear congruential generator, so that each visit shows the same signal. */
function noise(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Beats of a varying rate, as ECG, or as a pulse wave for channels that are no ECG. */
export function syntheticSignal(names) {
  const { rateHz, seconds, beatSeconds } = SYNTHETIC;
  const count = rateHz * seconds;
  const rows = names.map((name, row) => {
    const isPulse = /^(PPG|ABP|CVP|ICP|PAP)/.test(name);
    const random = noise(17 + row);
    const values = new Float64Array(count);
    let beat = 0;
    let length = beatSeconds;
    for (let at = 0; at < count; at++) {
      const time = at / rateHz;
      if (time - beat > length) {
        beat += length;
        length = beatSeconds * (1 + 0.12 * Math.sin(0.11 * beat));
      }
      let value = 0.05 * Math.sin(1.5 * time) + 0.02 * random();
      for (const [position, width, height] of isPulse ? PULSE_WAVES : ECG_WAVES) {
        for (const shift of [0, length]) {
          value += height * Math.exp(-0.5 * ((time - beat - position + shift) / width) ** 2);
        }
      }
      values[at] = value * (1 - 0.15 * row);
    }
    return values;
  });
  return { name: "Synthetic signal", rateHz, channels: names, units: names.map(() => "a.u."), rows };
}
