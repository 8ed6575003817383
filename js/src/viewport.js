// What part of the plane is on screen: an immutable value. Both axes have one scale. Distances are kept relative to
// the centre, so that a view one millionth wide still has all its digits.

import {CELLS} from "./tiles.js";

/** A cell of the drawn level covers this many device pixels, with so many levels of hysteresis. */
const CELL_MIN = 6;
const CELL_MAX = 10;
const HYSTERESIS = 0.3;

/** @typedef {[number, number]} Point */

/** @param {number} value @param {number} lo @param {number} hi */
const clamp = (value, lo, hi) => Math.min(Math.max(value, lo), hi);

export class Viewport {
  /**
   * @param {Point} center a, b @param {number} span width in a @param {number} width @param {number} height CSS pixels
   */
  constructor(center, span, width, height) {
    this.center = center;
    this.span = span;
    this.width = width;
    this.height = height;
    Object.freeze(this);
  }

  /** The view that holds all of `home`, centred. @param {readonly number[]} home @param {number} width @param {number} height */
  static fit([a0, a1, b0, b1], width, height) {
    const span = Math.max(a1 - a0, ((b1 - b0) * width) / height);
    return new Viewport([(a0 + a1) / 2, (b0 + b1) / 2], span, width, height);
  }

  /** CSS pixels per unit of a, and of b. */
  get scale() {
    return this.width / this.span;
  }

  /** a0, a1, b0, b1 of what is seen. @returns {[number, number, number, number]} */
  get rect() {
    const [a, b] = this.center;
    const half = (this.span * this.height) / this.width / 2;
    return [a - this.span / 2, a + this.span / 2, b - half, b + half];
  }

  /** @param {Point} point a, b @returns {Point} CSS pixels from the top left */
  toPixels([a, b]) {
    const {scale} = this;
    return [(a - this.center[0]) * scale + this.width / 2, (this.center[1] - b) * scale + this.height / 2];
  }

  /** @param {Point} pixels from the top left @returns {Point} a, b */
  toPlane([x, y]) {
    const {scale} = this;
    return [this.center[0] + (x - this.width / 2) / scale, this.center[1] - (y - this.height / 2) / scale];
  }

  /** Closer by `factor`, with the plane's point under `pixels` kept there. @param {number} factor @param {Point} [pixels] */
  zoomAt(factor, pixels = [this.width / 2, this.height / 2]) {
    const dx = pixels[0] - this.width / 2;
    const dy = pixels[1] - this.height / 2;
    const move = (1 - 1 / factor) / this.scale;
    const center = /** @type {Point} */ ([this.center[0] + dx * move, this.center[1] - dy * move]);
    return this.at(center, this.span / factor);
  }

  /** Another part of the plane on the same area. @param {Point} center @param {number} span */
  at(center, span) {
    return new Viewport(center, span, this.width, this.height);
  }

  /** The picture moved by (dx, dy) CSS pixels, as by a dragging hand. @param {number} dx @param {number} dy */
  panBy(dx, dy) {
    const {scale} = this;
    return this.at([this.center[0] - dx / scale, this.center[1] + dy / scale], this.span);
  }

  /** The same place and width in a, on another area. @param {number} width @param {number} height */
  resized(width, height) {
    return new Viewport(this.center, this.span, width, height);
  }

  /** The nearest view whose level lies in [lo, hi]. @param {readonly number[]} levels @param {number} ratio device pixels */
  within([lo, hi], ratio) {
    const target = Math.sqrt(CELL_MIN * CELL_MAX);
    // One level beyond the finest may still be looked at, magnified; beyond the coarsest nothing is left to see.
    const spanOf = (/** @type {number} */ z) => (this.width * ratio) / (target * CELLS * 2 ** z);
    const span = clamp(this.span, spanOf(hi + 1), spanOf(lo));
    return span === this.span ? this : this.at(this.center, span);
  }

  /**
   * The level to draw: `previous` as long as its cells have a good size, else the nearest.
   * @param {number} ratio device pixels per CSS pixel
   * @param {number | null} previous level drawn so far
   * @param {boolean} [held] in the middle of a gesture the level stays, unless it is more than one out
   */
  level(ratio, previous, held = false) {
    const unit = (this.scale * Math.min(ratio, 2)) / CELLS; // pixels per cell at z = 0
    const ideal = Math.log2(unit / Math.sqrt(CELL_MIN * CELL_MAX));
    if (previous !== null) {
      const cell = unit * 2 ** -previous;
      const slack = 2 ** HYSTERESIS;
      if (cell >= CELL_MIN / slack && cell <= CELL_MAX * slack) return previous;
      if (held && Math.abs(ideal - previous) <= 1) return previous;
    }
    return Math.round(ideal) + 0; // never −0
  }

  /** @param {Viewport | null} other */
  equals(other) {
    return (
      other !== null &&
      this.span === other.span &&
      this.width === other.width &&
      this.height === other.height &&
      this.center[0] === other.center[0] &&
      this.center[1] === other.center[1]
    );
  }
}
