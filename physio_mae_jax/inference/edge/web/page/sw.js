// Keeps the page, the model and onnxruntime-web, so that the page works without the server.

const CACHE = "physio-mae-jax";
const NEEDED = [
  "./",
  "app.js",
  "controls.js",
  "errors.js",
  "files.js",
  "model.js",
  "plot.js",
  "polar.js",
  "projection.js",
  "signal.js",
  "sources.js",
  "stream.js",
  "timing.js",
  "style.css",
  "icon.svg",
  "manifest.webmanifest",
  "setup.json",
  "channels.json",
  "model/graph.onnx",
  "model/graph.onnx.json",
  "ort/ort.wasm.min.mjs",
  "ort/ort-wasm-simd-threaded.mjs",
  "ort/ort-wasm-simd-threaded.wasm",
];

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(NEEDED)));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// The server first, so that a new model is used at once; what is kept where it does not answer.
self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || !event.request.url.startsWith(self.registration.scope)) return;
  event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
}
