// An exported graph and its contract, computed by onnxruntime-web.

import { DemoError } from "./errors.js";

const FORMAT = "edge model";
const OUTPUTS = ["embedding", "columns", "logits"];
const SIZES = ["num_channels", "width", "num_columns", "column_samples"];
const AGAIN = "Export the encoder again with Encoder.export_edge.";

/** Load onnxruntime-web from the folder that the server was given. */
export async function loadRuntime(base) {
  const path = new URL("ort/", base);
  try {
    const ort = await import(new URL("ort.wasm.min.mjs", path).href);
    ort.env.wasm.numThreads = 1; // more would need headers of a cross-origin isolated page
    ort.env.wasm.wasmPaths = path.href;
    return ort;
  } catch (error) {
    throw new DemoError(
      "onnxruntime-web is missing",
      `It could not be loaded from ${path.pathname} (${error.message}). Start the server again with ` +
        "--download or --onnxruntime_web=FOLDER.",
    );
  }
}

/** Check a contract (parsed JSON) and return what the page needs of it. */
export function readContract(content, vocabulary) {
  if (content?.format !== FORMAT) {
    throw new DemoError(
      "Foreign model",
      `The contract has format “${content?.format}”; “${FORMAT}” is expected. ` +
        "Give the .onnx and the .onnx.json that Encoder.export_edge wrote.",
    );
  }
  const spec = content.input_spec;
  const isComplete =
    SIZES.every((name) => Number.isInteger(content[name]) && content[name] > 0) &&
    OUTPUTS.includes(content.output) &&
    Array.isArray(spec?.channels) &&
    spec.channels.length > 0 &&
    spec.sampling_rate_hz > 0 &&
    spec.num_samples === content.num_columns * content.column_samples &&
    typeof content.graph_sha256 === "string";
  if (!isComplete) {
    throw new DemoError(
      "Contract does not fit",
      `The contract lacks its sizes, output or input_spec, or they contradict each other. ${AGAIN}`,
    );
  }
  if (spec.band_hz) {
    throw new DemoError(
      "Band-pass not available",
      `The model band-passes its input from ${spec.band_hz.join(" to ")} Hz, which this page cannot; ` +
        "use python -m physio_mae_jax.stream.",
    );
  }
  if (content.output === "logits" && !isDecision(content.decision)) {
    throw new DemoError("Contract does not fit", `The contract gives logits, but no classes. ${AGAIN}`);
  }
  return {
    output: content.output,
    precision: content.precision,
    numChannels: content.num_channels,
    numColumns: content.num_columns,
    columnSamples: content.column_samples,
    numSamples: spec.num_samples,
    rateHz: spec.sampling_rate_hz,
    width: content.width,
    knownChannels: spec.channels,
    units: spec.units ?? {},
    graphSha256: content.graph_sha256,
    decision: content.output === "logits" ? content.decision : null,
    vocabulary: vocabulary.channels,
    maxRateHz: vocabulary.max_rate_hz,
  };
}

function isDecision(decision) {
  const count = decision?.classes?.length;
  const hasOneEach = (name) => decision[name]?.length === count;
  return (
    count > 0 &&
    (decision.kind === "multilabel"
      ? ["slopes", "intercepts", "thresholds"].every(hasOneEach)
      : ["multiclass", "regression"].includes(decision.kind))
  );
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (value) => value.toString(16).padStart(2, "0")).join("");
}

/** A graph ready to compute. */
export class Model {
  /**
   * Load a graph, check that it is that of the contract, and compute one blank window.
   *
   * graph: ArrayBuffer; contract: of readContract.
   */
  static async load(ort, graph, contract, name) {
    if ((await sha256(graph)) !== contract.graphSha256) {
      throw new DemoError(
        "Contract does not fit",
        `${name} is damaged, or is not the graph of this contract. Use both files of one export.`,
      );
    }
    let session;
    try {
      session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
    } catch (error) {
      throw new DemoError("Foreign model", `onnxruntime-web cannot compute ${name}: ${error.message}`);
    }
    const model = new Model(ort, session, contract, name);
    await model._probe();
    return model;
  }

  constructor(ort, session, contract, name) {
    this._ort = ort;
    this._session = session;
    this.contract = contract;
    this.name = name;
  }

  /** Shape of the output of one window. */
  get outputShape() {
    const { output, width, numColumns, decision } = this.contract;
    if (decision) return [1, decision.classes.length];
    return output === "columns" ? [1, numColumns, width] : [1, width];
  }

  async _probe() {
    const { numChannels, numSamples, numColumns, output, rateHz } = this.contract;
    const wanted = ["channel_ids", "channel_mask", "signal"];
    if (output === "embedding") wanted.push("column_weight");
    const found = [...this._session.inputNames].sort();
    if (found.join() !== wanted.sort().join()) {
      throw new DemoError(
        "Contract does not fit",
        `${this.name} takes ${found.join(", ")}; ${wanted.join(", ")} is expected.`,
      );
    }
    const signal = Float32Array.from({ length: numChannels * numSamples }, (_, at) =>
      Math.sin((2 * Math.PI * at) / rateHz),
    );
    await this.run({
      signal,
      channel_mask: new Uint8Array(numChannels).fill(1),
      channel_ids: new BigInt64Array(numChannels),
      column_weight: new Float32Array(numColumns).fill(1),
    });
  }

  /** Compute one window of WindowStream; returns the output as Float32Array. */
  async run(window) {
    const { numChannels, numSamples, numColumns } = this.contract;
    const inputs = {
      signal: ["float32", window.signal, [1, numChannels, numSamples]],
      channel_mask: ["bool", window.channel_mask, [1, numChannels]],
      channel_ids: ["int64", window.channel_ids, [1, numChannels]],
      column_weight: ["float32", window.column_weight, [1, numColumns]],
    };
    const feeds = {};
    for (const name of this._session.inputNames) feeds[name] = new this._ort.Tensor(...inputs[name]);
    let output;
    try {
      output = (await this._session.run(feeds))[this._session.outputNames[0]];
    } catch (error) {
      throw new DemoError("Contract does not fit", `${this.name} could not be computed: ${error.message}`);
    }
    if (output.dims.join() !== this.outputShape.join()) {
      throw new DemoError(
        "Contract does not fit",
        `${this.name} gives an output [${output.dims}]; [${this.outputShape}] is expected.`,
      );
    }
    return Float32Array.from(output.data);
  }
}

/** Average of the time columns [W, D] of an output; an output [D] is returned as it is. */
export function pooled(values, width) {
  const count = values.length / width;
  const mean = new Float64Array(width);
  values.forEach((value, at) => (mean[at % width] += value / count));
  return mean;
}

/** Probability (or prediction) and decision of each class: [{name, value, isChosen}]. */
export function decide(decision, logits) {
  const { kind, classes, thresholds = [] } = decision;
  if (kind === "regression") {
    return classes.map((name, at) => ({ name, value: logits[at], isChosen: false }));
  }
  let values;
  if (kind === "multilabel") {
    values = Array.from(logits, (logit, at) => {
      return 1 / (1 + Math.exp(-(logit * decision.slopes[at] + decision.intercepts[at])));
    });
    return classes.map((name, at) => ({ name, value: values[at], isChosen: values[at] >= thresholds[at] }));
  }
  const scaled = Array.from(logits, (logit) => logit / (decision.temperature ?? 1));
  const largest = Math.max(...scaled);
  const raised = scaled.map((value) => Math.exp(value - largest));
  const total = raised.reduce((sum, value) => sum + value, 0);
  values = raised.map((value) => value / total);
  let chosen = values.indexOf(Math.max(...values));
  if (thresholds.length) chosen = values[1] >= thresholds[1] ? 1 : 0;
  return classes.map((name, at) => ({ name, value: values[at], isChosen: at === chosen }));
}
