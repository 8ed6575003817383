// The explorer on a function of two numbers, for work on the front end without Python: `npm run dev`.
// ?theme=dark  ?renderer=cpu  ?surface=holes or signs  ?colormap=vik  ?relief=0.5  ?layers=isolines,arrows  ?doubt  ?curves  ?live  ?delay=200 ms between passes  ?busy=1 answers nothing after the first second

import widget from "../src/index.js";
import * as instrument from "../src/instrument/index.js";
import * as layers from "../src/layers/index.js";
import {page} from "../src/page.js";
import * as runs from "../src/runs/index.js";
import {memoryKernel} from "../src/source/memory.js";
import * as webgl from "../src/webgl/index.js";

// There is no kernel to send it. What a click opens cannot be had here.
const parts = /** @type {Record<string, object>} */ ({instrument, layers, runs, webgl});
page().parts = /** @type {any} */ ({
  get: (/** @type {string} */ key) => Promise.resolve(parts[key.split("/")[1]] ?? null),
});

const options = new URLSearchParams(location.search);

/** @typedef {import("../src/protocol.js").Position} Position */

/** Himmelblau's function, four minima; the sliders turn and shift its plane. @param {Position} at */
const himmelblau = (at) => {
  const phi = (at.turn_u * Math.PI) / 180;
  const psi = (at.turn_v * Math.PI) / 180;
  return (/** @type {number} */ a, /** @type {number} */ b) => {
    const x = 5 * (Math.cos(phi) * a - Math.sin(psi) * b) + at.offset;
    const y = 5 * (Math.sin(phi) * a + Math.cos(psi) * b);
    return ((x * x + y - 11) ** 2 + (x + y * y - 7) ** 2) / 100 + 0.05;
  };
};

/** A bowl that is not finite outside a disc. @param {Position} at */
const holes = (at) => (/** @type {number} */ a, /** @type {number} */ b) => {
  const r = Math.hypot(a - at.offset, b);
  return r < 0.9 ? r * r - 0.3 + 0.1 * Math.sin(9 * a) : r < 1.1 ? Number.NaN : Number.POSITIVE_INFINITY;
};

/** Of both signs, with a steep rim. @param {Position} at */
const signs = (at) => (/** @type {number} */ a, /** @type {number} */ b) =>
  Math.sinh(4 * (a - at.offset)) * Math.cos(3 * b) + 0.2 * Math.sin(7 * a * b);

/** @type {Record<string, (at: Position) => (a: number, b: number) => number>} */
const surfaces = {himmelblau, holes, signs};

const scene = {
  title: "Himmelblau's function",
  axes: [
    {name: "random 1", length: 0.31, unit: "‖θ‖"},
    {name: "random 2", length: 0.3, unit: "‖θ‖"},
  ],
  fields: [{name: "loss"}],
  home: [-1, 1, -1, 1],
  tile: 32,
  z: [-20, 16],
  dtype: "float64",
  samples: null,
  directions: ["random 1", "random 2", "random 3", "random 4", "random 5"],
  turns: {u: "random 3", v: "random 4", offset: "random 5"},
  notes: ["a function, no network"],
};

/** A spiral into a minimum, as test data. @param {number} a @param {number} b @param {number} turn @returns {[number, number][]} */
const descent = (a, b, turn) =>
  Array.from({length: 121}, (_, i) => {
    const [da, db] = [(a - 0.6) * 0.96 ** i, (b - 0.4) * 0.96 ** i];
    const phi = turn * 0.012 * i;
    return [0.6 + Math.cos(phi) * da - Math.sin(phi) * db, 0.4 + Math.sin(phi) * da + Math.cos(phi) * db];
  });

/** @param {[number, number][]} points @param {number} off @param {number} lr */
const trained = (points, off, lr) => ({
  points,
  distance: points.map((_, i) => off * 0.97 ** i),
  loss: points.map(([a, b], i) => himmelblau(STRAIGHT)(a, b) * (1 + 0.3 * off * 0.97 ** i)),
  lr,
});

const STRAIGHT = {turn_u: 0, turn_v: 0, offset: 0};
const TRAINED = {
  SGD: trained(descent(-0.85, 0.1, 1), 0.4, 0.1),
  "Adam, <b>warm</b> restarts": trained(descent(0.1, -0.9, -1), 0.12, 0.01),
  "heavy ball": trained(descent(-0.7, -0.8, 3), 0.2, 0.05),
};

/** @param {number} count @param {number[]} loss @param {number} lr */
function recorded(count, loss, lr) {
  const steps = Array.from({length: count}, (_, i) => i);
  const rates = steps.map((i) => (lr * (1 + Math.cos((Math.PI * i) / count))) / 2 + 0.02 * lr);
  return {
    steps,
    series: {
      loss: loss.map((value, i) => value * (1 + 0.08 * Math.sin(37 * i))),
      validation: loss.map((value, i) => (i % 10 ? null : 1.2 * value + 0.1)),
      lr: rates,
      grad_norm: loss.map((value, i) => Math.sqrt(value) * (1 + 0.2 * Math.sin(11 * i))),
      sharpness: steps.map((i) => (i % 4 ? null : (2 / lr) * (1 - 0.9 * Math.exp(-i / 20)) + 0.2 * Math.sin(i))),
      limit: rates.map((rate) => 2 / Math.max(rate, lr / 2)),
    },
  };
}

/** With ?doubt, tiles say of themselves that they are less than exact, each in its way. @param {any} message */
const doubted = (message) => {
  if (message.k !== "tiles" || !options.has("doubt")) return message;
  const ways = [{q: 1, error: 0, error_of_log: 0}, {q: 1}, {noise: true, error: 0, error_of_log: 0}, {}];
  const head = message.head.map((/** @type {any} */ tile) => ({...tile, ...ways[(tile.x & 1) + 2 * (tile.y & 1)]}));
  return {...message, head};
};

/** A model with as much of a host's behaviour as the widget needs. */
class Model {
  comm_live = true;
  /** @type {Map<string, any>} */
  values = new Map(
    Object.entries({
      view: {center: [0, 0], span: 2},
      turn_u: 0,
      turn_v: 0,
      offset: 0,
      theme: options.get("theme") ?? "auto",
      renderer: options.get("renderer") ?? "auto",
      scale: options.get("scale") ?? "auto",
      height: Number(options.get("height") ?? 520),
      field: "loss",
      relief: Number(options.get("relief") ?? 0.5),
      domain: [],
      scene: null,
      layers: (options.get("layers") ?? "isolines,relief,marks,paths,critical").split(","),
      colormap: options.get("colormap") ?? "viridis",
      marks: [
        {a: 0.6, b: 0.4, text: "minimum, loss 0.05", kind: "minimum"},
        {a: -0.054, b: -0.185, text: "maximum, loss 1.87, 0.21 off the plane", kind: "maximum"},
        {a: 0.017, b: 0.577, text: "saddle, index 14, loss 0.09", kind: "saddle"},
        {a: 0.677, b: 0.015, text: "", kind: "degenerate"},
        {a: -0.3, b: 0.62, text: "<b>flat here</b>, and the learning rate was 0.1", kind: "note"},
      ],
      paths: [...Object.entries(TRAINED).map(([name, {points, distance, loss}]) => ({name, points, distance, loss}))],
      runs: Object.entries(TRAINED).map(([name, {points, loss, lr}]) => ({name, ...recorded(points.length, loss, lr)})),
      curves: options.has("curves"),
    }),
  );
  /** @type {Map<string, Set<(...args: any[]) => void>>} */
  listeners = new Map();
  started = performance.now();
  kernel = memoryKernel({
    surface: surfaces[options.get("surface") ?? "himmelblau"],
    scene,
    delay: Number(options.get("delay") ?? 20),
    reply: (head, buffers) => setTimeout(() => this.tell("msg:custom", doubted(head), buffers), 5),
  });
  /** @type {any} */
  widget_manager = null;
  /** @type {Set<string>} */
  changed = new Set();

  /** @param {string} name */
  get(name) {
    return this.values.get(name);
  }
  /** @param {string} name @param {any} value */
  set(name, value) {
    if (JSON.stringify(this.values.get(name)) === JSON.stringify(value)) return;
    this.values.set(name, value);
    this.changed.add(name);
    this.tell(`change:${name}`);
  }
  save_changes() {
    const turns = ["turn_u", "turn_v", "offset"].filter((name) => this.changed.has(name));
    this.changed.clear();
    if (turns.length > 0) this.kernel.turn(Object.fromEntries(turns.map((name) => [name, this.get(name)])));
  }
  /** @param {object} head */
  send(head) {
    if (options.get("busy") === "1" && performance.now() - this.started > 1000) return;
    this.kernel.receive(head);
  }
  /** @param {string} name @param {(...args: any[]) => void} callback */
  on(name, callback) {
    if (!this.listeners.has(name)) this.listeners.set(name, new Set());
    this.listeners.get(name)?.add(callback);
  }
  /** @param {string} name @param {(...args: any[]) => void} callback */
  off(name, callback) {
    this.listeners.get(name)?.delete(callback);
  }
  /** @param {string} name @param {any[]} args */
  tell(name, ...args) {
    for (const callback of this.listeners.get(name) ?? []) callback(...args);
  }
}

document.body.classList.toggle("dark", options.get("theme") === "dark");
const model = new Model();
const {initialize, render} = widget();
initialize({model: /** @type {any} */ (model)});
render({model: /** @type {any} */ (model), el: /** @type {HTMLElement} */ (document.getElementById("explorer"))});
Object.assign(globalThis, {model});

// A run that goes on: rows of a path and of its curves, ten times a second.
if (options.has("live")) {
  const points = descent(0.8, 0.9, 2);
  let from = 0;
  /** @param {any} head @param {number[][]} rows */
  const tell = (head, rows) => {
    const buffer = new DataView(Float64Array.from(rows.flat()).buffer);
    model.tell("msg:custom", {v: 1, name: "live", from, n: rows.length, ...head}, [buffer]);
  };
  const clock = setInterval(() => {
    const rows = points
      .slice(from, from + 2)
      .map(([a, b], i) => [a, b, from + i, 0.3 * 0.98 ** (from + i), himmelblau(STRAIGHT)(a, b)]);
    if (rows.length === 0) return clearInterval(clock);
    tell({k: "path", scene: "memory0:0:0", columns: ["a", "b", "step", "distance", "loss"]}, rows);
    tell(
      {k: "curves", columns: ["step", "loss"]},
      rows.map(([, , step, , loss]) => [step, loss]),
    );
    from += rows.length;
    return undefined;
  }, 100);
}
