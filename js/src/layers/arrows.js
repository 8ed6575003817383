// Arrows down the slope: −∇ in the slice of what is drawn, the local gradient that descent follows. They stand on a lattice of
// the plane, so that they move with it; on the log scale they point the same way, since the logarithm only rises.

import {haloed, put, px, sheet} from "./ink.js";

/** @typedef {import("../viewport.js").Viewport} Viewport */
/** @typedef {{at: [number, number], by: [number, number]}} Arrow  its middle in the plane, and from tail to tip in CSS pixels */

/** Pixels from one arrow to the next, at least; at most twice as many. */
const APART = 42;
/** The longest arrow, as a share of that distance. */
const LONGEST = 0.78;
/** Shorter ones say nothing, CSS pixels. */
const SHORTEST = 3;
/** Length and half the width of a head, CSS pixels. */
const HEAD = 5;

/**
 * The arrows of a view. Half as long as the longest is one of the median slope: lengths compare within a view.
 * @param {Viewport} viewport @param {{slope(a: number, b: number): [number, number] | null}} field @returns {Arrow[]}
 */
export function arrowsOf({rect: [a0, a1, b0, b1], scale}, field) {
  const side = 2 ** Math.ceil(Math.log2(APART / scale));
  /** @type {{at: [number, number], slope: [number, number], size: number}[]} */
  const found = [];
  for (let j = Math.floor(b0 / side); j <= b1 / side; j++)
    for (let i = Math.floor(a0 / side); i <= a1 / side; i++) {
      const at = /** @type {[number, number]} */ ([(i + 0.5) * side, (j + 0.5) * side]);
      const slope = field.slope(...at);
      if (slope) found.push({at, slope, size: Math.hypot(...slope)});
    }
  const sizes = found.map(({size}) => size).sort((s, t) => s - t);
  const usual = sizes[sizes.length >> 1];
  const longest = LONGEST * side * scale;
  return found.flatMap(({at, slope: [da, db], size}) => {
    const length = (longest * size) / (size + usual || 1);
    // Pixels go down where b goes up.
    return length < SHORTEST
      ? []
      : [{at, by: /** @type {[number, number]} */ ([(-da / size) * length, (db / size) * length])}];
  });
}

/** As the d of a path. @param {readonly Arrow[]} arrows @param {Viewport} viewport */
export function pathOf(arrows, viewport) {
  let d = "";
  for (const {at, by} of arrows) {
    const [x, y] = viewport.toPixels(at);
    const length = Math.hypot(...by);
    const [ux, uy] = [by[0] / length, by[1] / length];
    const [tx, ty] = [x + by[0] / 2, y + by[1] / 2];
    const head = Math.min(HEAD, 0.4 * length);
    const [hx, hy] = [tx - head * ux, ty - head * uy];
    const side = 0.62 * head;
    d += `M${px(x - by[0] / 2)} ${px(y - by[1] / 2)}L${px(tx)} ${px(ty)}M${px(hx - side * uy)} ${px(hy + side * ux)}L${px(tx)} ${px(ty)} ${px(hx + side * uy)} ${px(hy - side * ux)}`;
  }
  return d;
}

/** @param {import("./index.js").Ground} ground @returns {import("./index.js").Layer} */
export function arrows({pane}) {
  const element = sheet("arrows");
  const lines = haloed({}, 1.3);
  element.append(...lines);
  return {
    name: "arrows",
    element,
    off: () => pane.onLine,
    lacks: () => (pane.onLine ? "A curve shows its slope itself." : ""),
    draw(viewport, reader) {
      const d = pathOf(arrowsOf(viewport, reader), viewport);
      for (const line of lines) put(line, {d});
    },
  };
}
