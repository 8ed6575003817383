// A page without a kernel: what a host of widgets does, for one map whose state stands in the page.

import widget from "./index.js";

/** A map that fills its page leaves so much for what stands above and below it, CSS pixels, and is at least so high. */
const BESIDE = 144;
const LEAST = 320;

/** A model as hosts hand it out: its state, and whoever listens to it. There is nobody to send to. */
export class Model {
  /** @type {Map<string, Set<(...args: any[]) => void>>} */
  #listeners = new Map();
  comm_live = false;

  /** @param {Record<string, any>} state */
  constructor(state) {
    this.state = {...state};
  }

  /** @param {string} name */
  get(name) {
    return this.state[name];
  }

  /** @param {string} name @param {any} value */
  set(name, value) {
    if (this.state[name] === value) return;
    this.state[name] = value;
    for (const listener of this.#listeners.get(`change:${name}`) ?? []) listener();
  }

  /** @param {string} event @param {(...args: any[]) => void} listener */
  on(event, listener) {
    const known = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, known.add(listener));
  }

  /** @param {string} event @param {(...args: any[]) => void} listener */
  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
  }

  save_changes() {}

  send() {}
}

/** @param {string} text base64 */
function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
  return new DataView(bytes.buffer);
}

/** Put the map whose state stands there in the place of its picture. @param {string} place an id */
export function mount(place) {
  const element = document.getElementById(place);
  const told = element?.querySelector(".la-state")?.textContent;
  const data = /** @type {HTMLElement | null} */ (element?.querySelector(".la-baked"));
  if (!element || !told || !data) return; // it was put there before
  const baked = bytesOf(data.textContent ?? "");
  // One that was cut on its way stays a picture.
  if (baked.byteLength !== Number(data.dataset.bytes)) return;
  const {_css, ...state} = JSON.parse(told);
  const model = new Model({...state, _baked: baked});
  if (element.dataset.fill !== undefined) {
    const fill = () => model.set("height", Math.max(LEAST, innerHeight - BESIDE));
    fill();
    addEventListener("resize", fill);
  }
  const style = document.createElement("style");
  style.textContent = _css;
  element.replaceChildren(style);
  const {signal} = new AbortController();
  const {initialize, render} = widget();
  const known = /** @type {any} */ (model);
  initialize({model: known, signal});
  render({model: known, el: element, signal});
}
