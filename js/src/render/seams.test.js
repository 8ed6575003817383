// Where four squares meet that were made from tiles of two levels, nothing shows it: values, colours and light run through.
import {describe, expect, test} from "vitest";
import {Plan} from "../plan.js";
import {tileOf} from "../source/memory.js";
import {TileStore} from "../tiles.js";
import {Viewport} from "../viewport.js";
import {steepness} from "./relief.js";
import {makeRow, readQuadRow, shadeFrame} from "./shade.js";

const f = (/** @type {number} */ a, /** @type {number} */ b) =>
  Math.sin(2.3 * a + 0.4) * Math.cos(1.7 * b) + 0.3 * a * b;
const SIDE = 400;

/** The map of four squares at the origin. @param {number[][]} tiles z, x, y, nodes */
function mapOf(tiles) {
  const store = new TileStore();
  for (const [z, x, y, nodes] of tiles) store.put("s", tileOf(f, {z, x, y}, nodes));
  const plan = new Plan(store);
  // Both borders run through the centres of pixels.
  const viewport = new Viewport([-1 / SIDE, 1 / SIDE], 2, SIDE, SIDE);
  plan.update({hash: "s", field: 0, scale: "linear", viewport, level: 0, allowed: null}, 0, 0);
  return {viewport, quads: plan.quads(viewport, 1, 0, 0, 0)};
}

const COARSE = [
  [-1, -1, -1, 33],
  [-1, 0, -1, 33],
  [-1, -1, 0, 33],
  [-1, 0, 0, 33],
];
const LAYOUTS = {
  "one fine and three coarse": [...COARSE, [0, 0, 0, 33]],
  "two beside two": [...COARSE, [0, 0, 0, 33], [0, 0, -1, 33]],
  "two across": [...COARSE, [0, 0, 0, 33], [0, -1, -1, 33]],
  "four passes of one level": [
    [0, -1, -1, 9],
    [0, 0, -1, 17],
    [0, -1, 0, 17],
    [0, 0, 0, 33],
  ],
};

describe.each(Object.entries(LAYOUTS))("at a corner of %s", (_, tiles) => {
  const {viewport, quads} = mapOf(tiles);
  const middle = SIDE / 2;

  test("squares agree on every value of the borders that they share", () => {
    const read = (/** @type {number} */ k, /** @type {number} */ x, /** @type {number} */ y) => {
      const row = makeRow(x + 1);
      readQuadRow(quads[k], y, x, x + 1, row, makeRow(x + 1));
      return row.value[x];
    };
    const holds = ([x0, y0, x1, y1] = [0, 0, 0, 0], x = 0, y = 0) =>
      x0 - 1e-9 <= x && x <= x1 + 1e-9 && y0 - 1e-9 <= y && y <= y1 + 1e-9;
    for (let t = 0; t < SIDE; t += 3)
      for (const [x, y] of [
        [t, middle],
        [middle, t],
      ]) {
        const at = quads.flatMap(({rect}, k) => (holds(rect, x + 0.5, y + 0.5) ? [read(k, x, y)] : []));
        expect(at.length).toBeGreaterThanOrEqual(2);
        // Two float32 grids.
        for (const value of at) expect(Math.abs(value - at[0])).toBeLessThan(4 * 2 ** -24);
      }
  });

  for (const relief of [0, 1])
    test(`no border shows in the picture${relief ? ", nor in the light on it" : ""}`, () => {
      const lut = Uint8Array.from({length: 768}, (_, i) => 64 + Math.floor(i / 6));
      const range = {lo: -1.3, hi: 1.3};
      const frame = {
        ...{width: SIDE, height: SIDE, pixelRatio: 1, quads, lut, levels: [], desaturate: 0, relief},
        ...{domain: /** @type {[number, number]} */ ([range.lo, range.hi]), steep: steepness(0, range, viewport)},
        ...{background: /** @type {const} */ ([0, 0, 0]), hatch: /** @type {const} */ ([0, 0, 0])},
      };
      const pixels = new Uint8Array(4 * SIDE * SIDE);
      shadeFrame(/** @type {any} */ (frame), new Uint32Array(pixels.buffer));
      const at = (/** @type {number} */ x, /** @type {number} */ y) => pixels[4 * (y * SIDE + x)];
      // From pixel to pixel a smooth picture changes by a step or two of 255, across a border as anywhere.
      let worst = 0;
      for (let t = 0; t < SIDE; t++)
        for (let k = middle - 6; k < middle + 6; k++) {
          worst = Math.max(worst, Math.abs(at(k + 1, t) - at(k, t)), Math.abs(at(t, k + 1) - at(t, k)));
        }
      expect(worst).toBeLessThanOrEqual(3);
    });
});
