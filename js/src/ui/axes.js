// Ticks and titles along the two axes: what each direction is, and how long 1 is.

import {formatLevel, tickStep, ticks} from "../ladder.js";
import {labelled, significant, svg} from "./dom.js";

/** @typedef {import("../viewport.js").Viewport} Viewport */
/** @typedef {import("../protocol.js").Axis} Axis */

const TICK = 5;
/** Base line of the title of b, from the left. */
const TITLE = 20;
/** Pixels that a letter of a title takes at most, nearly always. */
const LETTER = 7.5;

/** @param {string} text @param {number} pixels */
const cut = (text, pixels) => {
  const most = Math.max(1, Math.floor(pixels / LETTER));
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
};

/** What the ticks of an axis count. @param {string} letter @param {ReturnType<typeof labelled>["shift"]} shift */
const counting = (letter, shift) =>
  shift === null ? letter : `${letter} − ${shift.from}, in ${shift.unit}`.replace("− −", "+ ");

/** @param {string} letter @param {Axis | undefined} axis */
export function axisTitle(letter, axis) {
  if (axis === undefined) return letter;
  const {name, length, unit = ""} = axis;
  if (name === letter && !unit) return letter; // of values from elsewhere nothing more is known
  const one = typeof length === "number" ? ` · 1 = ${significant(length, 3)} ${unit}`.trimEnd() : "";
  return `${letter} · ${name}${one}`;
}

/** @typedef {{name: string, labels: {at: number, text: string}[], shift: ReturnType<typeof labelled>["shift"]}} Values  at: from the top */

/** The ticks of b. @param {Viewport} viewport @returns {Values} */
function acrossOf(viewport) {
  const {height, rect} = viewport;
  const [b0, b1] = [rect[2], rect[3]];
  const count = Math.max(2, height / 56);
  const places = ticks(b0, b1, count);
  const {texts, shift} = labelled(places, tickStep(b0, b1, count), formatLevel);
  return {name: "b", labels: texts.map((text, i) => ({at: viewport.toPixels([0, places[i]])[1], text})), shift};
}

/** The axes of a map, drawn around an area that lies at (left, top) in the picture. */
export class Axes {
  element = svg("svg", {class: "la-axes", "aria-hidden": "true"});
  #lines = svg("path", {class: "la-tick"});
  #labels = svg("g", {});
  #titles = svg("g", {class: "la-axis-title"});
  /** @type {Element[]} */
  #pool = [];
  #drawn = "";

  constructor() {
    this.element.append(this.#lines, this.#labels, this.#titles);
  }

  /**
   * @param {Viewport} viewport @param {{left: number, top: number}} at @param {readonly Axis[]} axes
   * @param {(Values & {key: string}) | null} [values] of a curve, instead of b
   */
  draw(viewport, {left, top}, axes, values = null) {
    const {width, height} = viewport;
    const [a0, a1, b0, b1] = viewport.rect;
    const state = [a0, a1, b0, b1, width, height, left, top, axes.map((axis) => axis.name), values?.key].join();
    if (state === this.#drawn) return;
    this.#drawn = state;
    const bottom = top + height;
    let path = "";
    let used = 0;
    const label = (
      /** @type {number} */ x,
      /** @type {number} */ y,
      /** @type {string} */ text,
      /** @type {string} */ anchor,
    ) => {
      let node = this.#pool[used++];
      if (node === undefined) {
        node = svg("text", {class: "la-tick-label"});
        this.#pool.push(node);
        this.#labels.append(node);
      }
      node.setAttribute("x", x.toFixed(1));
      node.setAttribute("y", y.toFixed(1));
      node.setAttribute("text-anchor", anchor);
      if (node.textContent !== text) node.textContent = text;
    };
    const countA = Math.max(2, width / 90);
    const stepA = tickStep(a0, a1, countA);
    const ticksA = ticks(a0, a1, countA);
    const labelsA = labelled(ticksA, stepA, formatLevel);
    ticksA.forEach((a, i) => {
      const x = left + viewport.toPixels([a, 0])[0];
      path += `M${x.toFixed(1)} ${bottom}v${TICK}`;
      label(x, bottom + TICK + 15, labelsA.texts[i], "middle");
    });
    const up = values ?? acrossOf(viewport);
    for (const {at, text} of up.labels) {
      path += `M${left} ${(top + at).toFixed(1)}h${-TICK}`;
      label(left - TICK - 5, top + at + 4, text, "end");
    }
    this.#lines.setAttribute("d", path);
    for (const unused of this.#pool.splice(used)) unused.remove();

    const middle = top + height / 2;
    const titleA = svg("text", {x: left + width / 2, y: bottom + 39, "text-anchor": "middle"});
    titleA.textContent = cut(axisTitle(counting("a", labelsA.shift), axes[0]), width);
    const turned = {"text-anchor": "middle", transform: `rotate(-90 ${TITLE} ${middle})`};
    const titleB = svg("text", {x: TITLE, y: middle, ...turned});
    titleB.textContent = cut(axisTitle(counting(up.name, up.shift), axes[1]), height);
    [titleA, titleB].forEach((title, i) => {
      const about = svg("title", {});
      about.textContent = axes[i]?.about ?? "";
      title.append(about);
    });
    this.#titles.replaceChildren(titleA, titleB);
  }
}
