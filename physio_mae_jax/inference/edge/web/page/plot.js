// Plots on canvases: the trace of a signal and the trail of its embeddings.

const MARGIN = { left: 54, right: 10, top: 8, bottom: 22 };
const LANE_GAP = 10;
const MAX_LINES = 20; // of the trail; older points are not joined

/** The newest seconds of a signal, for drawing. */
export class TraceBuffer {
  constructor(numChannels, rateHz, seconds) {
    this.rateHz = rateHz;
    this.seconds = seconds;
    this._size = Math.ceil(rateHz * seconds);
    this._rows = Array.from({ length: numChannels }, () => new Float64Array(this._size).fill(NaN));
    this.stop = 0;
  }

  push(pieces) {
    const count = pieces[0].length;
    pieces.forEach((piece, row) => {
      for (let at = Math.max(0, count - this._size); at < count; at++) {
        this._rows[row][(this.stop + at) % this._size] = piece[at];
      }
    });
    this.stop += count;
  }

  /** Sample at a position of the signal; NaN outside of what is held. */
  at(row, position) {
    if (position < 0 || position >= this.stop || position < this.stop - this._size) return NaN;
    return this._rows[row][position % this._size];
  }
}

/** Fit a canvas to the screen; returns its context and size in CSS pixels. */
function prepared(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  const [pixelWidth, pixelHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) {
    canvas.width = pixelWidth;
    canvas.height = pixelHeight;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "12px system-ui, sans-serif";
  return { context, width, height };
}

function colors(canvas) {
  const style = getComputedStyle(canvas);
  const of = (name) => style.getPropertyValue(name).trim();
  const lines = [1, 2, 3].map((number) => of(`--series-${number}`));
  return { text: of("--muted"), grid: of("--line"), lines };
}

function label(value) {
  const isPlain = !value || (Math.abs(value) >= 0.01 && Math.abs(value) < 1e4);
  return isPlain ? String(Number(value.toPrecision(3))) : value.toExponential(1);
}

/** Draw the trace, a lane for each channel; `titles` name them with their units. */
export function drawTrace(canvas, trace, titles) {
  const { context, width, height } = prepared(canvas);
  const { text, grid, lines } = colors(canvas);
  const plotWidth = width - MARGIN.left - MARGIN.right;
  const lane = (height - MARGIN.top - MARGIN.bottom) / titles.length;
  const stop = trace.stop / trace.rateHz;
  const start = Math.max(0, stop - trace.seconds);
  const xOf = (seconds) => MARGIN.left + ((seconds - start) / trace.seconds) * plotWidth;
  drawTimeAxis(context, { start, trace, xOf, height, text, grid });
  titles.forEach((title, row) => {
    const top = MARGIN.top + row * lane;
    const box = { top: top + 16, bottom: top + lane - LANE_GAP, row, start, plotWidth };
    drawLane(context, trace, box, { text, line: lines[row % lines.length] });
    context.fillStyle = text;
    context.textAlign = "left";
    context.fillText(title, MARGIN.left + 4, top + 11);
  });
}

function drawTimeAxis(context, { start, trace, xOf, height, text, grid }) {
  const step = trace.seconds > 20 ? 10 : trace.seconds > 8 ? 2 : 1;
  context.textAlign = "center";
  for (let tick = Math.ceil(start / step) * step; tick <= start + trace.seconds; tick += step) {
    const x = xOf(tick);
    context.strokeStyle = grid;
    context.beginPath();
    context.moveTo(x, MARGIN.top);
    context.lineTo(x, height - MARGIN.bottom);
    context.stroke();
    context.fillStyle = text;
    if (x < xOf(start + trace.seconds) - 8) context.fillText(`${tick} s`, x, height - 6);
  }
}

function drawLane(context, trace, { top, bottom, row, start, plotWidth }, { text, line }) {
  const first = Math.floor(start * trace.rateHz);
  const perPixel = (trace.seconds * trace.rateHz) / plotWidth;
  const spans = [];
  let [low, high] = [Infinity, -Infinity];
  for (let pixel = 0; pixel < plotWidth; pixel++) {
    // At least one sample a pixel; a missing one breaks the line.
    const from = first + Math.floor(pixel * perPixel);
    const to = Math.max(from + 1, first + Math.floor((pixel + 1) * perPixel));
    let [least, most] = [Infinity, -Infinity];
    for (let at = from; at < to; at++) {
      const value = trace.at(row, at);
      if (value < least) least = value;
      if (value > most) most = value;
    }
    spans.push([least, most]);
    if (least < low) low = least;
    if (most > high) high = most;
  }
  if (high < low) return;
  const range = high - low || 1;
  const yOf = (value) => bottom - ((value - low) / range) * (bottom - top);
  context.strokeStyle = line;
  context.lineWidth = 1.25;
  context.lineJoin = "round";
  context.beginPath();
  let isOpen = false;
  spans.forEach(([least, most], pixel) => {
    if (most < least) {
      isOpen = false;
      return;
    }
    const x = MARGIN.left + pixel;
    if (isOpen) context.lineTo(x, yOf(most));
    else context.moveTo(x, yOf(most));
    if (most > least) context.lineTo(x, yOf(least));
    isOpen = true;
  });
  context.stroke();
  context.fillStyle = text;
  context.textAlign = "right";
  context.fillText(label(high), MARGIN.left - 6, top + 8);
  context.fillText(label(low), MARGIN.left - 6, bottom);
}

/** Draw the trail of projected embeddings; older ones are paler. */
export function drawTrail(canvas, trail) {
  const { context, width, height } = prepared(canvas);
  const { text, grid, lines } = colors(canvas);
  context.fillStyle = text;
  context.textAlign = "center";
  if (!trail.points.length) {
    context.fillText("The trail begins with the fourth window.", width / 2, height / 2);
    return;
  }
  const [left, top, right, bottom] = [24, 12, width - 14, height - 26];
  context.strokeStyle = grid;
  context.strokeRect(left, top, right - left, bottom - top);
  const scaled = [0, 1].map((axis) => {
    const values = trail.points.map((point) => point[axis]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const range = high - low || 1;
    return values.map((value) => 0.06 + (0.88 * (value - low)) / range);
  });
  const points = trail.points.map((_, at) => [
    left + scaled[0][at] * (right - left),
    bottom - scaled[1][at] * (bottom - top),
  ]);
  points.forEach(([x, y], at) => {
    context.globalAlpha = 0.15 + 0.85 * ((at + 1) / points.length) ** 2;
    context.strokeStyle = context.fillStyle = lines[0];
    if (at && at >= points.length - MAX_LINES) {
      context.beginPath();
      context.moveTo(...points[at - 1]);
      context.lineTo(x, y);
      context.stroke();
    }
    context.beginPath();
    context.arc(x, y, at === points.length - 1 ? 6 : 2.5, 0, 2 * Math.PI);
    context.fill();
  });
  context.globalAlpha = 1;
  context.fillStyle = text;
  const shares = trail.shares.map((share) => `${Math.round(100 * share)} %`);
  context.fillText(`Component 1 (${shares[0]} of variance)`, (left + right) / 2, height - 8);
  context.save();
  context.translate(14, (top + bottom) / 2);
  context.rotate(-Math.PI / 2);
  context.fillText(`Component 2 (${shares[1]})`, 0, 0);
  context.restore();
}
