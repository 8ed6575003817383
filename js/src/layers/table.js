// The features of the view as a table: for whoever does not see the map, and for whoever wants the numbers.

import {SIZE} from "../spline.js";
import {coordinate, h, say, significant} from "../ui/dom.js";

/**
 * @typedef {[number, number]} Point
 * @typedef {{what: string, at: Point, text?: string}} Row
 * @typedef {Row & {value: number | null, error: number | null}} Feature  in the field's own unit
 */

/** Redrawn at most so often, ms. */
const EVERY = 300;
const HEADS = ["feature", "a", "b", "value", "±", "what it is"];

/**
 * Where the lowest and the highest value in sight are drawn, at the points of the fill. @param {import("./reader.js").Reader} reader
 * @param {readonly number[]} rect a0, a1, b0, b1 @returns {Row[]}
 */
export function extremesOf(reader, [a0, a1, b0, b1]) {
  let [lo, hi] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  /** @type {Point | null} */
  let lowest = null;
  /** @type {Point | null} */
  let highest = null;
  const last = SIZE - 1;
  for (const {address, to} of reader.squares.values()) {
    const {grid, offset, uv} = to;
    const side = 2 ** -address.z;
    /** The coordinate of a column or row. @param {number} i @param {number} edge @param {0 | 1} axis */
    const place = (i, edge, axis) => (edge + (i / last - uv[axis]) / (uv[axis + 2] - uv[axis])) * side;
    for (let j = Math.ceil(uv[1] * last); j <= uv[3] * last; j++) {
      const b = place(j, address.y, 1);
      if (b < b0 || b > b1) continue;
      for (let i = Math.ceil(uv[0] * last); i <= uv[2] * last; i++) {
        const value = grid[j * SIZE + i] + offset;
        if (!(value < lo || value > hi)) continue;
        const a = place(i, address.x, 0);
        if (a < a0 || a > a1) continue;
        if (value < lo) [lo, lowest] = [value, [a, b]];
        if (value > hi) [hi, highest] = [value, [a, b]];
      }
    }
  }
  return lowest && highest
    ? [
        {what: "lowest in sight", at: lowest},
        {what: "highest in sight", at: highest},
      ]
    : [];
}

/** As lines of comma-separated values. @param {Feature[]} features @param {string} field */
export const csvOf = (features, field) =>
  [
    ["feature", "a", "b", field, "error", "text"],
    ...features.map(({what, at, value, error, text}) => [what, ...at, value ?? "", error ?? "", text ?? ""]),
  ]
    .map((row) => row.map(quoted).join())
    .join("\n");

/** A text that begins like a formula is none. @param {string | number} cell */
const quoted = (cell) => {
  const text = typeof cell === "string" && /^[=+\-@]/.test(cell) ? `'${cell}` : `${cell}`;
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

export class Table {
  #caption = h("caption");
  #body = h("tbody");
  #wait = h("span", {class: "la-about-wait", role: "status"});
  #copy = h("button", {type: "button"}, "copy as CSV");
  #close = h("button", {type: "button"}, "close");
  /** Reached first by the keyboard, and seen only then. */
  button = h("button", {type: "button", class: "la-skip"}, "Table of features");
  #heads = HEADS.map((head) => h("th", {scope: "col"}, head));
  element = h(
    "dialog",
    {class: "la-about la-table", "aria-label": "Table of features"},
    h("section", {tabindex: 0}, h("table", {}, this.#caption, h("thead", {}, h("tr", {}, ...this.#heads)), this.#body)),
    h("div", {}, this.#wait, this.#copy, this.#close),
  );
  /** @type {Feature[]} */
  #features = [];
  #field = "";
  /** @type {ReturnType<typeof setTimeout> | null} */
  #due = null;

  /** @param {() => {rows: Row[], pane: import("../panes/map.js").MapPane, field: string} | null} source @param {AbortSignal} signal */
  constructor(source, signal) {
    this.source = source;
    this.button.addEventListener("click", () => this.open(), {signal});
    this.#copy.addEventListener("click", () => this.#take(), {signal});
    this.#close.addEventListener("click", () => this.element.close(), {signal});
    this.element.addEventListener("click", ({target}) => target === this.element && this.element.close(), {signal});
    this.element.addEventListener("keydown", (event) => event.stopPropagation(), {signal});
    signal.addEventListener("abort", () => clearTimeout(this.#due ?? undefined));
  }

  open() {
    say(this.#wait, "");
    this.#fill();
    this.element.showModal();
  }

  /** The map has changed. */
  draw() {
    if (!this.element.open || this.#due !== null) return;
    this.#due = setTimeout(() => {
      this.#due = null;
      this.#fill();
    }, EVERY);
  }

  #fill() {
    const known = this.source();
    if (!known?.pane.viewport) return;
    const {rows, pane, field} = known;
    const {rect, scale, center} = known.pane.viewport;
    const pixel = 1 / scale;
    const place = (/** @type {number} */ x) => coordinate(x, pixel);
    const [a0, a1, b0, b1] = rect.map(place);
    say(this.#caption, `In sight: a from ${a0} to ${a1}${pane.onLine ? "" : `, b from ${b0} to ${b1}`}`);
    say(this.#heads[3], field);
    this.#field = field;
    this.#features = [{what: "centre", at: /** @type {Point} */ ([...center])}, ...rows].map((row) => {
      const value = pane.valueAt(row.at);
      return {...row, value, error: pane.errorAt(row.at)};
    });
    const lines = this.#features.map(({what, at, value, error, text = ""}) =>
      h(
        "tr",
        {},
        h("th", {scope: "row"}, what),
        ...[place(at[0]), place(at[1]), valued(value), error === null ? "" : significant(error, 2), text].map((cell) =>
          h("td", {}, cell),
        ),
      ),
    );
    this.#body.replaceChildren(...lines);
  }

  async #take() {
    try {
      await navigator.clipboard.writeText(csvOf(this.#features, this.#field));
      say(this.#wait, "copied");
    } catch {
      // A page without the right to write there: the table is marked, a key copies it.
      getSelection()?.selectAllChildren(this.#body);
      say(this.#wait, "marked: Ctrl+C copies it");
    }
  }
}

/** @param {number | null} value */
const valued = (value) =>
  value === null ? "not here yet" : Number.isNaN(value) ? "not finite" : significant(value, 5);
