// The value under the pointer: at once from the map, marked as interpolated; after a moment of rest the exact one.

import {coordinate, h, say, significant} from "./dom.js";

/** @typedef {import("../protocol.js").Probed} Probed */
/** @typedef {[number, number]} Point */

const DWELL_MS = 150;
/** Nothing is spoken sooner after the last thing than this. */
const SPEAK_EVERY = 1000;
/** The height of the pill and its distance from the pointer. */
const ROOM_ABOVE = 46;

/**
 * @typedef {{
 *   toPlane(pixels: Point): Point, pixel(): number, size(): Point,
 *   row(at: Point): number | null, read(at: Point): number | null, error(at: Point): number | null, probe(at: Point): Promise<Probed | null>, field(): string, scene(): string
 * }} Reading  pixel: width of one in the plane; row: where a curve runs there, in pixels; NaN
 *   where it does not, null on a map; read: the drawn value as the field's own, NaN where it is not finite; error: what it may be off by;
 *   scene: what is drawn, by name
 */

export class Readout {
  vertical = h("div", {class: "la-hair la-hair-v"});
  horizontal = h("div", {class: "la-hair la-hair-h"});
  pill = h("div", {class: "la-pill"});
  live = h("div", {class: "la-live", "aria-live": "polite"});
  /** @type {Point | null} */
  #at = null;
  /** What the pill is about: the point of the plane, the scene and the field. An exact value is of nothing else. */
  #about = "";
  /** @type {string | null} */
  #exact = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #dwell;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #speaking;
  #spoke = 0;

  /** @param {Reading} reading */
  constructor(reading) {
    this.reading = reading;
    this.#show(false);
  }

  /** @param {Point | null} pixels */
  hover(pixels) {
    this.#at = pixels;
    this.draw();
  }

  /** Probe where the keyboard is: the middle of the view. */
  probeCentre() {
    const [width, height] = this.reading.size();
    this.hover([width / 2, height / 2]);
    clearTimeout(this.#dwell);
    this.#ask();
  }

  /** Again, after the pointer has moved or the map has changed under it. */
  draw() {
    const at = this.#at;
    const [width, height] = this.reading.size();
    const inside = at !== null && at[0] >= 0 && at[1] >= 0 && at[0] <= width && at[1] <= height;
    this.#show(inside);
    const point = inside ? this.reading.toPlane(at) : null;
    const about = point ? `${point}/${this.reading.scene()}/${this.reading.field()}` : "";
    if (about !== this.#about) {
      this.#about = about;
      this.#exact = null;
      clearTimeout(this.#dwell);
      if (point) this.#dwell = setTimeout(() => this.#ask(), DWELL_MS);
    }
    if (!inside || !point) return;
    this.vertical.style.transform = `translateX(${at[0]}px)`;
    const row = this.reading.row(point);
    this.horizontal.hidden = Number.isNaN(row);
    this.horizontal.style.transform = `translateY(${row ?? at[1]}px)`;
    const pixel = this.reading.pixel();
    const [a, b] = point.map((value) => coordinate(value, pixel));
    const where = row === null ? `a ${a}\u2002b ${b}` : `a ${a}`;
    say(this.pill, `${where}\u2003${this.#exact ?? this.#interpolated(point)}`);
    // Above or below the pointer, never over it, and inside the map. Percentages are of the pill itself: asking for its
    // size here would have the browser lay out the page in the middle of a frame.
    const x = `max(6px, min(${(at[0] - 14).toFixed(0)}px - 100%, ${(width - 6).toFixed(0)}px - 100%))`;
    const y = at[1] > ROOM_ABOVE ? `calc(${(at[1] - 12).toFixed(0)}px - 100%)` : `${(at[1] + 14).toFixed(0)}px`;
    this.pill.style.transform = `translate(${x}, ${y})`;
  }

  /** To whoever listens: the newest, and never in a rush. @param {string} text */
  speak(text) {
    clearTimeout(this.#speaking);
    const spoken = () => {
      this.#spoke = performance.now();
      say(this.live, text);
    };
    this.#speaking = setTimeout(spoken, Math.max(0, this.#spoke + SPEAK_EVERY - performance.now()));
  }

  close() {
    clearTimeout(this.#dwell);
    clearTimeout(this.#speaking);
  }

  /** @param {Point} point */
  #interpolated(point) {
    const value = this.reading.read(point);
    const field = this.reading.field();
    if (value === null) return `${field} not here yet`;
    if (Number.isNaN(value)) return `${field} not finite`;
    const error = this.reading.error(point);
    return `${field} ${significant(value)} ${error === null ? "interpolated" : `± ${significant(error, 2)}`}`;
  }

  async #ask() {
    const about = this.#about;
    if (this.#at === null || about === "") return;
    const answer = await this.reading.probe(this.reading.toPlane(this.#at));
    // The pointer or the map may have moved on; then the answer is about somewhere else.
    if (this.#about !== about) return;
    if (answer !== null) this.#exact = exactText(this.reading.field(), answer);
    this.draw();
    this.speak(this.pill.textContent ?? "");
  }

  /** @param {boolean} shown */
  #show(shown) {
    for (const part of [this.vertical, this.horizontal, this.pill]) part.hidden = !shown;
  }
}

/** @param {string} field @param {Probed} answer */
function exactText(field, {value, se, bad}) {
  const exact = value[field];
  if (typeof exact !== "number") {
    const names = /** @type {Record<string, string>} */ ({nan: "NaN", inf: "∞", "-inf": "−∞"});
    return `${field} ${names[bad[field]] ?? "not finite"} exact`;
  }
  const error = se[field];
  return error ? `${field} ${significant(exact)} ± ${significant(error, 2)}` : `${field} ${significant(exact)} exact`;
}
