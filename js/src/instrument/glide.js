// From one view to another without a jump, and without going on by itself: what moves is at rest soon after the hand is.

/** @typedef {import("../viewport.js").Viewport} Viewport */

/** A glide takes so many ms; a new target begins it anew from where it is. */
export const DURATION = 180;
/** It covers the same share of what is left in each ms: so many of them cover all but 1/e. */
const CONSTANT = 50;

const END = Math.exp(-DURATION / CONSTANT);

/** The share of the way that is done after so many ms: fast at first, and exactly all of it at the end. @param {number} ms */
export const eased = (ms) => (ms >= DURATION ? 1 : ms <= 0 ? 0 : (1 - Math.exp(-ms / CONSTANT)) / (1 - END));

/**
 * A view on the way. Zoomed at a pixel, every view between has that pixel's point there: the centre moves as the span does.
 * @param {Viewport} from @param {Viewport} to @param {number} share of the way
 * @returns {Viewport} on the area of `to`
 */
export function between(from, to, share) {
  if (share >= 1) return to;
  const span = from.span * (to.span / from.span) ** share;
  const zoomed = to.span - from.span;
  // Where the spans are nearly the same it is a pan: their difference would have no digits left.
  const left = Math.abs(zoomed) > 1e-6 * to.span ? (to.span - span) / zoomed : 1 - share;
  const centre = /** @type {[number, number]} */ (to.center.map((end, i) => end + (from.center[i] - end) * left));
  return to.at(centre, span);
}

/** Whether two views show the same place, on areas of whatever size. @param {Viewport | null} one @param {Viewport | null} other */
export const samePlace = (one, other) =>
  one !== null &&
  other !== null &&
  one.span === other.span &&
  one.center[0] === other.center[0] &&
  one.center[1] === other.center[1];

/** The view of an area that holds all of a rectangle of the plane. @param {Viewport} area @param {readonly number[]} rect a0, a1, b0, b1 */
export const containing = (area, [a0, a1, b0, b1]) =>
  area.at([(a0 + a1) / 2, (b0 + b1) / 2], Math.max(a1 - a0, ((b1 - b0) * area.width) / area.height));
