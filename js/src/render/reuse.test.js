import {describe, expect, it} from "vitest";
import {lookupTable} from "../colour.js";
import {SIZE} from "../spline.js";
import {RELIEF, steepness} from "./relief.js";
import {reusable, shift} from "./reuse.js";
import {paintOf, paintPixels, shadeFrame} from "./shade.js";

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
    for (const relief of [0, 1])
      it(`is what its pixels are: ${name}${relief ? ", under light" : ""}`, () => {
        const one = /** @type {any} */ ({...quad, rect: [-20.3, 11.6, 190.1, 139.9]});
        const frame = view(0, 0, {quads: [one], domain: [0.8, 3], relief});
        const byCells = picture(frame);
        const byPixels = picture({...frame, quads: []});
        paintPixels(one, {x0: 0, y0: 12, x1: 190, y1: 140}, paintOf(frame), byPixels);
        // A shade is rounded on its way: the next one is at most a step away.
        expect(apart(byCells, byPixels)).toBeLessThanOrEqual(relief ? 2 : 1);
      });
});

it("light shows no facets: it changes from pixel to pixel as the slope does, in a tile magnified sixteen times", () => {
  const bowl = Float32Array.from({length: SIZE * SIZE}, (_, k) => {
    const [a, b] = [(k % SIZE) / 128 - 0.5, Math.floor(k / SIZE) / 128 - 0.5];
    return a * a + b * b;
  });
  /** @type {[number, number, number, number]} */
  const uv = [0.46875, 0.46875, 0.53125, 0.53125];
  const quads = [
    {rect: /** @type {const} */ ([0, 0, 400, 400]), from: null, t: 1, to: {grid: bowl, key: "", offset: 0, uv}},
  ];
  const grey = new Uint8Array(768).fill(128);
  const steep = 0.002 / 400;
  const frame = {...view(0, 0), ...{width: 400, height: 400, quads, lut: grey, levels: [], relief: 1, steep}};
  const bytes = new Uint8Array(picture(/** @type {any} */ (frame)).buffer);
  for (let x = 1; x < 400; x++)
    expect(Math.abs(bytes[4 * (200 * 400 + x)] - bytes[4 * (200 * 400 + x - 1)])).toBeLessThanOrEqual(1);
  // From shade on one side of the bottom to light on the other, by the formula of the light.
  const light = (/** @type {number} */ x) => {
    const slope = (2 * (x / 400 - 0.5) * 0.0625 * 0.0625) / 400 / steep;
    const at = (slope * Math.SQRT1_2) / Math.sqrt(1 + slope * slope);
    return at > 0 ? 128 + at * RELIEF.light * 127 : 128 + at * RELIEF.shade * 128;
  };
  for (let x = 5; x < 400; x += 30) expect(Math.abs(bytes[4 * (200 * 400 + x)] - light(x + 0.5))).toBeLessThan(1.5);
});

it("the light stands still while the range in sight wavers, and follows a zoom without a jump", () => {
  const view = {width: 800, height: 500};
  const home = steepness(0, {lo: 0, hi: 10}, view);
  for (const hi of [7, 10, 14]) expect(steepness(home, {lo: 0, hi}, view)).toBe(home);
  let last = home;
  for (let hi = 10; hi > 1e-6; hi *= 0.97) {
    const next = steepness(last, {lo: 0, hi}, view);
    expect(next).toBeLessThanOrEqual(last);
    expect(next).toBeGreaterThanOrEqual(0.969 * last);
    last = next;
  }
  expect(last / home).toBeLessThan(2e-7);
});
