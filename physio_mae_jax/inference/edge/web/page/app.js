// The page: loads a model, streams a signal through it, and draws.

import { element, node, SignalControls, showError, showList } from "./controls.js";
import { DemoError } from "./errors.js";
import { decide, loadRuntime, Model, pooled, readContract } from "./model.js";
import { drawTrace, drawTrail, TraceBuffer } from "./plot.js";
import { PolarStrap } from "./polar.js";
import { Trail } from "./projection.js";
import { Replay } from "./sources.js";
import { WindowStream } from "./stream.js";
import { HopTimes } from "./timing.js";

const DEFAULT_HOP_SECONDS = 1;
const MAX_ROWS = 10_000;
const MAX_PENDING_SECONDS = 60;
const FRAME_MILLISECONDS = 50;

const page = { model: null, controls: null, vocabulary: null, ort: null, run: null };

/** One run of a signal through the model. */
class Run {
  constructor(model, chosen) {
    const { contract } = model;
    this.model = model;
    this.stream = new WindowStream(contract, chosen);
    this.titles = chosen.titles;
    this.hopSeconds = chosen.hopSeconds;
    this.trace = new TraceBuffer(chosen.channels.length, chosen.rateHz, contract.numSamples / contract.rateHz);
    this.trail = new Trail();
    this.times = new HopTimes();
    this.rows = [];
    this.count = { windows: 0, rejected: 0 };
    this.newest = null;
    this._pending = Promise.resolve();
    this._pendingWindows = 0;
  }

  /** Take samples; resolves when their windows are encoded. */
  async push(pieces) {
    this.trace.push(pieces);
    const started = performance.now();
    const found = this.stream.push(pieces);
    await this._encodeAll(found, (performance.now() - started) / Math.max(1, found.length));
  }

  async finish() {
    await this._encodeAll(this.stream.flush(), 0);
  }

  /** Encode windows in order; a source that does not wait is stopped where the model is too slow. */
  _encodeAll(windows, prepared) {
    this._pendingWindows += windows.length;
    if (this._pendingWindows * this.hopSeconds > MAX_PENDING_SECONDS) {
      throw new DemoError(
        "Model too slow",
        `${this._pendingWindows} windows wait to be encoded; give a longer hop, or an int8 model.`,
      );
    }
    this._pending = this._pending.then(async () => {
      for (const one of windows) {
        await this._encode(one, prepared);
        this._pendingWindows -= 1;
      }
    });
    return this._pending;
  }

  async _encode({ window, ...row }, prepared) {
    this.count.windows += 1;
    let output = null;
    if (window) {
      const started = performance.now();
      output = await this.model.run(window);
      this.times.add(prepared + performance.now() - started);
      this.trail.push(pooled(output, this.model.outputShape.at(-1)));
    } else {
      this.count.rejected += 1;
    }
    this.newest = { ...row, output };
    this.rows.push(this.newest);
    if (this.rows.length > MAX_ROWS) this.rows.shift();
  }

  /** The rows as JSON lines, as python -m physio_mae_jax.stream prints them. */
  toJsonLines() {
    const { decision, output: kind, width, numColumns } = this.model.contract;
    return this.rows.map(({ startSeconds, endSeconds, rejected, masked, output }) => {
      const row = { start_seconds: startSeconds, end_seconds: endSeconds, rejected, masked };
      if (decision) {
        const found = output && decide(decision, output);
        row.probabilities = found && Object.fromEntries(found.map(({ name, value }) => [name, value]));
        row.decisions = (found ?? []).filter((one) => one.isChosen).map((one) => one.name);
      } else {
        const values = output && Array.from(output);
            row.embedding = values && kind === "columns" ? columns : values;
      }
      return `${JSON.stringify(row)}\n`;
    });
  }
}

/** Fetch JSON that the server makes. */
async function fetchJson(path) {
  const response = await fetch(path);
  if (!response.ok) throw new DemoError("Server incomplete", `${path} is missing; start the server again.`);
  return response.json();
}

async function useModel(contractText, graph, name) {
  let content;
  try {
    content = JSON.parse(contractText);
  } catch {
    throw new DemoError("Foreign model", `The contract of ${name} is not JSON; give the .onnx.json of export_edge.`);
  }
  const contract = readContract(content, page.vocabulary);
  page.model = await Model.load(page.ort, graph, contract, name);
  const seconds = contract.numSamples / contract.rateHz;
  const columnSeconds = contract.columnSamples / contract.rateHz;
  showList(element("model"), [
    ["File", name],
    ["Precision", `${contract.precision}, ${(graph.byteLength / 1e6).toFixed(1)} MB`],
    ["Output", outputText(contract)],
    ["Window", `${seconds} s at ${contract.rateHz} Hz, ${contract.numChannels} channels at most`],
  ]);
  element("decision-card").hidden = !contract.decision;
  element("trail-title").textContent = `Trail of the ${contract.decision ? "logits" : "embedding"}`;
  const hop = Math.max(1, Math.round(DEFAULT_HOP_SECONDS / columnSeconds)) * columnSeconds;
  Object.assign(element("hop"), { value: hop, step: columnSeconds, min: columnSeconds });
  await page.controls.fit(contract);
}

function outputText({ decision, output, width, numColumns }) {
  if (decision) return `${decision.kind}: ${decision.classes.join(", ")}`;
  return output === "columns" ? `${numColumns} columns of ${width} numbers` : `embedding of ${width} numbers`;
}

async function useModelFiles(files) {
  const graph = files.find((one) => one.name.endsWith(".onnx"));
  const contract = files.find((one) => one.name.endsWith(".json"));
  if (!graph || !contract || files.length !== 2) {
    throw new DemoError(
      "Model files are missing",
      "Choose two files together: the .onnx of the model and its contract, .onnx.json.",
    );
  }
  await useModel(await contract.text(), await graph.arrayBuffer(), graph.name);
}

/** Stream the chosen signal until it ends or is stopped. */
async function start() {
  showError(null);
  let run = null;
  try {
    const chosen = page.controls.chosen();
    run = new Run(page.model, chosen);
    page.run = run;
    run.source = chosen.rows ? new Replay(chosen, chosen.speed) : await PolarStrap.choose();
    run.isActive = true;
    showControls();
    if (matchMedia("(max-width: 899px)").matches) element("trace-title").scrollIntoView();
    const ended = await run.source.run((pieces) => run.push(pieces));
    if (ended) await run.finish();
  } catch (error) {
    run?.source?.stop();
    showError(error);
  }
  if (run) run.isActive = false;
  showControls();
  draw();
}

function showControls() {
  const isActive = Boolean(page.run?.isActive);
  const isReady = Boolean(page.model && page.controls?.signal);
  element("start").disabled = isActive || !isReady;
  element("stop").disabled = !isActive;
  element("save").disabled = !page.run?.rows.length;
  for (const id of ["source", "rate", "hop", "model-files", "signal-file"]) element(id).disabled = isActive;
  if (!page.run) element("status").textContent = isReady ? "Ready." : "Choose a signal.";
}

function draw() {
  const { run } = page;
  if (!run) return;
  drawTrace(element("trace"), run.trace, run.titles);
  drawTrail(element("trail"), run.trail);
  showTimes(run);
  if (run.model.contract.decision) showDecision(run);
  const state = run.isActive ? "Running" : "Stopped";
  const { windows, rejected } = run.count;
  const count = rejected ? `${windows} windows, ${rejected} of them rejected` : `${windows} windows`;
  const newest = run.newest?.rejected ? ` The newest is rejected (${run.newest.rejected}).` : "";
  element("status").textContent = `${state}: ${run.stream.seconds.toFixed(1)} s, ${count}.${newest}`;
  element("save").disabled = !run.rows.length;
}

function showTimes({ times, hopSeconds }) {
  const [median, p99] = [times.quantile(0.5), times.quantile(0.99)];
  if (median === null) return;
  showList(element("times"), [
    ["Median", `${median.toFixed(1)} ms`],
    ["99 % below", `${p99.toFixed(1)} ms`],
    ["Hops", String(times.count)],
  ]);
  const share = (100 * median) / (1e3 * hopSeconds);
  element("times-note").textContent =
    `Preprocessing and model; the median is ${share.toFixed(1)} % of a hop of ${hopSeconds} s.`;
}

function showDecision({ model, newest }) {
  const { decision } = model.contract;
  const isRegression = decision.kind === "regression";
  if (newest?.output) {
    element("decision").replaceChildren(
      ...decide(decision, newest.output).map(({ name, value, isChosen }) => {
        const line = node("div", "", isChosen ? "class chosen" : "class");
        const bar = isRegression ? node("span", "") : Object.assign(document.createElement("meter"), { value });
        line.append(node("span", isChosen ? `✓ ${name}` : name), bar);
        line.append(node("span", isRegression ? value.toPrecision(4) : `${(100 * value).toFixed(0)} %`));
        return line;
      }),
    );
  }
  const time = newest ? `Window from ${newest.startSeconds.toFixed(1)} to ${newest.endSeconds.toFixed(1)} s` : "";
  element("decision-note").textContent = newest?.rejected ? `${time}: rejected (${newest.rejected}).` : time;
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(page.run.toJsonLines(), { type: "application/x-ndjson" }));
  link.download = "results.jsonl";
  link.click();
  URL.revokeObjectURL(link.href);
}

function drawAgain() {
  let last = 0;
  const frame = (now) => {
    if (page.run?.isActive && now - last >= FRAME_MILLISECONDS) {
      last = now;
      draw();
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

/** Run an action of the user; an error is shown. */
function guarded(action) {
  return async (...given) => {
    try {
      showError(null);
      await action(...given);
    } catch (error) {
      showError(error);
    }
    showControls();
  };
}

async function main() {
  element("start").addEventListener("click", start);
  element("stop").addEventListener("click", () => page.run?.source?.stop());
  element("save").addEventListener("click", guarded(save));
  element("model-files").addEventListener(
    "change",
    guarded(({ target }) => useModelFiles([...target.files])),
  );
  drawAgain();
  const setup = await fetchJson("setup.json");
  page.vocabulary = await fetchJson("channels.json");
  page.controls = new SignalControls(setup.signal, showControls);
  page.ort = await loadRuntime(document.baseURI);
  const [contract, graph] = await Promise.all([fetch("model/graph.onnx.json"), fetch("model/graph.onnx")]);
  if (!contract.ok || !graph.ok) {
    throw new DemoError("Server incomplete", "The model is missing; start the server again.");
  }
  await useModel(await contract.text(), await graph.arrayBuffer(), setup.model);
  if (navigator.serviceWorker) await navigator.serviceWorker.register("sw.js");
}

await guarded(main)();
