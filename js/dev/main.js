// The explorer on a function of two numbers, for work on the front end without Python: `npm run dev`.
// ?theme=dark  ?renderer=cpu  ?surface=holes  ?delay=200 ms between passes  ?busy=1 answers nothing after the first second

import widget from "../src/index.js";
import {memoryKernel} from "../src/source/memory.js";

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
  turns: {u: "random 3", v: "random 4", offset: "random 5"},
  notes: ["a function, no network"],
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
      scene: null,
    }),
  );
  /** @type {Map<string, Set<(...args: any[]) => void>>} */
  listeners = new Map();
  started = performance.now();
  kernel = memoryKernel({
    surface: options.get("surface") === "holes" ? holes : himmelblau,
    scene,
    delay: Number(options.get("delay") ?? 20),
    reply: (head, buffers) => setTimeout(() => this.tell("msg:custom", head, buffers), 5),
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
