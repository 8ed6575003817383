import {describe, expect, it} from "vitest";
import {lookupTable} from "../colour.js";
import {SIZE} from "../spline.js";
import {reusable, shift} from "./reuse.js";
import {shadeFrame} from "./shade.js";

/** @typedef {import("./shade.js").Frame} Frame */

const f = (/** @type {number} */ a, /** @type {number} */ b) => Math.sin(5 * a) + a * b + 2 * b * b;

/** A grid of the tile at (x, y) of a level with so many tiles per unit. @param {number} x @param {number} y @param {number} n */
const gridOf = (x, y, n = 1) =>
  Float32Array.from({length: SIZE * SIZE}, (_, k) =>
    f((x + (k % SIZE) / 128) / n, (y + Math.floor(k / SIZE) / 128) / n),
  );
const lut = lookupTable();
const grids = new Map();
const tile = (/** @type {number} */ x, /** @type {number} */ y) => {
  const key = `${x}/${y}`;
  if (!grids.has(key)) grids.set(key, gridOf(x, y));
  return {grid: grids.get(key), key, uv: /** @type {[number, number, number, number]} */ ([0, 0, 1, 1])};
};

/** Tiles of 90.5 pixels, whose corner (0, 0) lies at (left, top). @param {number} left @param {number} top @param {Partial<Frame>} [more] @param {number} [origin] @returns {Frame} */
function view(left, top, more, origin = 0) {
  const side = 90.5;
  /** @type {Frame["quads"]} */
  const quads = [];
  for (let y = -3; y < 3; y++)
    for (let x = -3; x < 3; x++) {
      const x0 = left + x * side;
      const y1 = top - y * side;
      if (x0 >= 200 || x0 + side <= 0 || y1 <= 0 || y1 - side >= 150) continue;
      quads.push({rect: [x0, y1 - side, x0 + side, y1], from: null, t: 1, to: {...tile(x, y), offset: 0.5 - origin}});
    }
  const levels = Array.from({length: 20}, (_, k) => ({value: k / 4 - origin, major: k % 5 === 0, opacity: 1}));
  return {
    ...{width: 200, height: 150, pixelRatio: 1, quads, lut, levels, desaturate: 0},
    ...{domain: [-origin, 5 - origin], background: [240, 240, 240], hatch: [90, 90, 90]},
    ...more,
  };
}

const picture = (/** @type {Frame} */ frame) => {
  const pixels = new Uint32Array(frame.width * frame.height);
  shadeFrame(frame, pixels);
  return pixels;
};

/** Largest difference of a channel: a part of a quad has bins of its own, so that a colour may be its neighbour. @param {Uint32Array} one @param {Uint32Array} other */
const apart = (one, other) => {
  const [p, q] = [new Uint8Array(one.buffer), new Uint8Array(other.buffer)];
  return p.reduce((most, value, i) => Math.max(most, Math.abs(value - q[i])), 0);
};

describe("a picture that is kept", () => {
  for (const [dx, dy] of [
    [7, 0],
    [-13, 0],
    [0, 21],
    [0, -4],
    [30, -17],
    [-1, 1],
  ])
    it(`and moved by (${dx}, ${dy}) is the one that would be drawn anew`, () => {
      const pixels = picture(view(63.2, 80.7));
      // The values are told from another origin after a pan; nothing on screen knows.
      const next = view(63.2 + dx, 80.7 + dy, {}, 0.37);
      const kept = reusable(view(63.2, 80.7), next);
      expect(kept).toMatchObject({dx, dy});
      shift(pixels, 200, dx, dy);
      shadeFrame(next, pixels, kept?.areas);
      expect(apart(pixels, picture(next))).toBeLessThanOrEqual(1);
    });

  it("is drawn again where a tile is new or on its way", () => {
    const before = view(63.2, 80.7);
    const next = view(63.2, 80.7);
    next.quads[1] = {...next.quads[1], to: {...next.quads[1].to, key: "new", grid: gridOf(0.3, 0.3)}};
    next.quads[2] = {...next.quads[2], from: {...next.quads[0].to}, t: 0.5};
    const kept = reusable(before, next);
    expect(kept?.areas.length).toBeGreaterThan(0);
    const pixels = picture(before);
    shadeFrame(next, pixels, kept?.areas);
    expect(apart(pixels, picture(next))).toBeLessThanOrEqual(1);
  });

  it("shows the background where a tile has gone", () => {
    const before = view(63.2, 80.7);
    const next = {...before, quads: before.quads.slice(1)};
    const pixels = picture(before);
    shadeFrame(next, pixels, reusable(before, next)?.areas);
    expect(apart(pixels, picture(next))).toBeLessThanOrEqual(1);
  });

  it("is none of another size, scale, theme, domain, ladder or part of a pixel", () => {
    const before = view(63.2, 80.7);
    for (const next of [
      null,
      view(63.7, 80.7),
      view(63.2, 80.7, {width: 201}),
      view(63.2, 80.7, {background: [0, 0, 0]}),
      view(63.2, 80.7, {domain: [0, 4]}),
      view(63.2, 80.7, {levels: before.levels.slice(1)}),
      view(63.2, 80.7, {levels: before.levels.map((level) => ({...level, opacity: 0.5}))}),
      view(63.2, 80.7, {quads: before.quads.map((quad) => ({...quad, rect: [0, 0, 9, 9]}))}),
    ])
      expect(next === null ? reusable(null, before) : reusable(before, next)).toBeNull();
  });
});

describe("a quad drawn by cells", () => {
  const parent = gridOf(0, 0, 0.5);
  const from = {
    grid: parent,
    key: "parent",
    offset: 0.2,
    uv: /** @type {[number, number, number, number]} */ ([0, 0.5, 0.5, 1]),
  };
  const to = {...tile(0, 1), offset: 0.5};
  for (const [name, quad] of /** @type {const} */ ([
    ["alone", {from: null, to, t: 1}],
    ["on its way from its parent", {from, to, t: 0.3}],
    ["on its way from what was finer", {from: to, to: from, t: 0.3}],
    ["magnified a thousandfold", {from: null, to: {...to, uv: [0.25, 0.25, 0.2509765625, 0.2509765625]}, t: 1}],
  ]))
    it(`is what its pixels are: ${name}`, () => {
      const one = {...quad, rect: /** @type {const} */ ([-20.3, 11.6, 190.1, 139.9])};
      const frame = view(0, 0, {quads: [/** @type {any} */ (one)], domain: [0.8, 3]});
      const byCells = picture(frame);
      // A trace of relief sends every pixel the general way.
      expect(apart(byCells, picture({...frame, relief: 1e-9}))).toBeLessThanOrEqual(1);
    });
});
