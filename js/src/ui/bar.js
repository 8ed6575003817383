// The colour bar: which colour is which value, with the same isolines as the map.

import {drawn, undrawn} from "../colour.js";
import {formatLevel, ladder} from "../ladder.js";
import {h, labelled, say} from "./dom.js";

/** @typedef {import("../tiles.js").Scale} Scale */
/** @typedef {import("../ladder.js").Level} Level */

const BETWEEN_LABELS = 15;

/**
 * The numbers beside an axis of values of this height, lowest first, and where they stand.
 * @param {readonly number[]} domain in drawn values, at the bottom and at the top @param {Scale} scale @param {number} height
 */
export function labelsOf([lo, hi], scale, height) {
  const y = (/** @type {number} */ value) => height * (1 - (drawn(value, scale) - lo) / (hi - lo || 1));
  const own = ladder({lo: undrawn(lo, scale), hi: undrawn(hi, scale), scale});
  const majors = own.levels.filter((level) => level.major);
  // Minor levels are named where the majors alone would leave the bar almost without numbers.
  const named = majors.length >= 3 ? majors : own.levels;
  let last = Number.POSITIVE_INFINITY;
  const kept = named.filter(({value}) => {
    const at = y(value);
    if (last - at < BETWEEN_LABELS || at < 4 || at > height - 4) return false;
    last = at;
    return true;
  });
  // An even ladder has one step; on the others every number has its own digits, and few of them.
  const values = kept.map(({value}) => value);
  const {texts, shift} = own.rung.startsWith("even")
    ? labelled(values, own.step, formatLevel)
    : {texts: kept.map(({value, step}) => formatLevel(value, step)), shift: null};
  return {labels: texts.map((text, i) => ({at: y(values[i]), text})), shift};
}

export class Bar {
  canvas = h("canvas", {class: "la-bar-canvas", "aria-hidden": "true"});
  labels = h("div", {class: "la-bar-labels"});
  shift = h("div", {class: "la-bar-shift"});
  fit = h(
    "button",
    {type: "button", class: "la-plain", title: "Let the colours span the values in sight, and stay"},
    "fit",
  );
  auto = h("button", {type: "button", class: "la-plain", title: "Let the colours span the home view"}, "auto");
  element = h(
    "div",
    {class: "la-bar"},
    ...[this.canvas, this.shift, this.labels, h("div", {class: "la-fit"}, this.fit, this.auto)],
  );
  #drawn = "";
  /** @type {Uint8Array | null} */
  #lut = null;

  /**
   * @param {{domain: [number, number], scale: Scale, levels: readonly Level[], lut: Uint8Array, height: number,
   *   ratio: number, capped: {above: boolean, below: boolean}, locked: boolean}} what domain in drawn values; capped: whether
   *   there are values beyond its ends; locked: it is not that of the home view
   */
  draw({domain, scale, levels, lut, height, ratio, capped, locked}) {
    const {above, below} = capped;
    const lines = levels.map((level) => `${level.value}${level.major}`);
    const state = [...domain, scale, height, ratio, above, below, locked, ...lines].join();
    if ((state === this.#drawn && lut === this.#lut) || height < 20) return;
    this.#drawn = state;
    this.#lut = lut;
    this.auto.hidden = !locked;
    this.fit.setAttribute("aria-pressed", String(locked));
    const [lo, hi] = domain;
    const y = (/** @type {number} */ value) => height * (1 - (drawn(value, scale) - lo) / (hi - lo || 1));
    this.#paint(levels, y, lut, height, ratio);

    const {labels, shift} = labelsOf(domain, scale, height);
    say(this.shift, shift === null ? "" : `${shift.from} + ${shift.unit} ×`);
    // The colours at the ends stand for all values beyond them, and say so.
    const end = (/** @type {string} */ sign, /** @type {number} */ w, /** @type {number} */ at) => ({
      at,
      text: `${sign} ${formatLevel(Number(undrawn(w, scale).toPrecision(3)))}`,
    });
    const ends = [...(above ? [end("≥", hi, 0)] : []), ...(below ? [end("≤", lo, height)] : [])];
    const free = labels.filter(({at}) => ends.every((one) => Math.abs(one.at - at) >= BETWEEN_LABELS));
    this.labels.replaceChildren(
      ...[...free, ...ends].map(({at, text}) => h("span", {style: `top:${at.toFixed(1)}px`}, text)),
    );
  }

  /**
   * @param {readonly Level[]} levels @param {(value: number) => number} y @param {Uint8Array} lut
   * @param {number} height @param {number} ratio
   */
  #paint(levels, y, lut, height, ratio) {
    const {canvas} = this;
    canvas.width = 1;
    canvas.height = Math.max(1, Math.round(height * ratio));
    const context = canvas.getContext("2d");
    if (context === null) return;
    const rows = canvas.height;
    const image = context.createImageData(1, rows);
    for (let row = 0; row < rows; row++) {
      const entry = Math.round(255 * (1 - (row + 0.5) / rows));
      image.data.set([lut[3 * entry], lut[3 * entry + 1], lut[3 * entry + 2], 255], 4 * row);
    }
    context.putImageData(image, 0, 0);
    for (const {value, major, opacity} of levels) {
      const at = y(value);
      if (!(at > 0 && at < height)) continue;
      context.fillStyle = `rgba(255, 255, 255, ${(major ? 0.9 : 0.35) * opacity})`;
      context.fillRect(0, at * ratio - ratio / 2, 1, ratio);
    }
  }
}
