import {describe, expect, it} from "vitest";
import {lookupTable} from "../colour.js";
import {fill, SIZE} from "../spline.js";
import {coverage, LOOK, makeRow, pixelsOf, prepareLevels, readQuadRow, shadeFrame} from "./shade.js";

/**
 * @typedef {import("./shade.js").Frame} Frame
 * @typedef {import("./shade.js").Quad} Quad
 * @typedef {import("./shade.js").Patch} Patch
 */

/** f over [0, 1]², b up. @param {(a: number, b: number) => number} f */
const gridOf = (f) =>
  Float32Array.from({length: SIZE * SIZE}, (_, at) => f((at % SIZE) / 128, Math.floor(at / SIZE) / 128));

/**
 * @param {Float32Array} grid
 * @param {Partial<Patch>} [more]
 * @returns {Patch}
 */
const patch = (grid, more) => ({grid, key: "", offset: 0, uv: [0, 0, 1, 1], ...more});

/**
 * @param {Quad["rect"]} rect
 * @param {Patch} to
 * @param {Partial<Quad>} [more]
 * @returns {Quad}
 */
const quad = (rect, to, more) => ({rect, from: null, to, t: 1, ...more});

const BLACK = new Uint8Array(768);

/**
 * @param {number} size
 * @param {Quad[]} quads
 * @param {Partial<Frame>} [more]
 * @returns {Frame}
 */
const frame = (size, quads, more) => ({
  width: size,
  height: size,
  pixelRatio: 1,
  quads,
  lut: BLACK,
  domain: [0, 1],
  levels: [],
  background: [250, 240, 230],
  hatch: [10, 20, 30],
  desaturate: 0,
  ...more,
});

/** @param {Frame} one @returns {(x: number, y: number) => [number, number, number]} */
const shaded = (one) => {
  const bytes = new Uint8ClampedArray(4 * one.width * one.height);
  shadeFrame(one, new Uint32Array(bytes.buffer));
  return (x, y) => {
    const at = 4 * (y * one.width + x);
    expect(bytes[at + 3]).toBe(255);
    return [bytes[at], bytes[at + 1], bytes[at + 2]];
  };
};

const level = (/** @type {number} */ value, major = true) => ({value, major, opacity: 1});

describe("an isoline", () => {
  const bowl = gridOf((a, b) => (2 * a - 1) ** 2 + (2 * b - 1) ** 2);
  const size = 400;

  for (const [name, pixelRatio, major] of /** @type {const} */ ([
    ["a major one", 1, true],
    ["a minor one", 1, false],
    ["a major one on a dense screen", 2, true],
  ])) {
    it(`of a quadratic is a circle of the right radius and width: ${name}`, () => {
      const levels = [level(0.25, major)];
      const at = shaded(frame(size, [quad([0, 0, size, size], patch(bowl))], {levels, pixelRatio, domain: [0, 20]}));
      const alpha = major ? LOOK.majorAlpha : LOOK.minorAlpha;
      const width = pixelRatio * (major ? LOOK.majorWidth : LOOK.minorWidth);
      for (const read of [
        (/** @type {number} */ k) => at(200 + k, 200)[0],
        (/** @type {number} */ k) => at(200, 199 - k)[0],
      ]) {
        let mass = 0;
        let moment = 0;
        for (let k = 0; k < 200; k++) {
          mass += read(k) / 255;
          moment += (read(k) / 255) * (k + 0.5);
        }
        // The grid is bilinear, so the circle is a polygon: 0.1 pixel.
        expect(moment / mass).toBeCloseTo(100, 0.7);
        expect(Math.abs(mass / alpha - width)).toBeLessThan(0.02 * width + 0.01);
      }
    });
  }

  it("is as wide on a slope as on a cliff", () => {
    for (const steep of [0.1, 1]) {
      const ramp = patch(gridOf((a) => steep * (a - 0.5)));
      const at = shaded(frame(100, [quad([0, 0, 100, 100], ramp)], {levels: [level(0)]}));
      let mass = 0;
      for (let x = 0; x < 100; x++) mass += at(x, 50)[0] / 255;
      expect(mass).toBeCloseTo(LOOK.majorWidth * LOOK.majorAlpha, 1);
    }
  });

  it("is not drawn over a plateau that has just its value", () => {
    const flat = patch(gridOf(() => 0.5));
    const at = shaded(frame(20, [quad([0, 0, 20, 20], flat)], {levels: [level(0.5)]}));
    expect(at(10, 10)).toEqual([0, 0, 0]);
  });

  it("fades where it is one of too many", () => {
    const levels = Array.from({length: 60}, (_, k) => level(k / 60, false));
    const ramp = patch(gridOf((a) => a));
    const at = shaded(frame(60, [quad([0, 0, 60, 60], ramp)], {levels}));
    for (let x = 0; x < 60; x++) expect(at(x, 30)[0]).toBe(0);
  });

  it("has the pixel's share of a line for its coverage, whatever its width", () => {
    for (const half of [0.1, 0.5, 0.575, 3]) {
      let sum = 0;
      for (let d = -10; d < 10; d += 0.01) sum += coverage(Math.abs(d), half) * 0.01;
      expect(sum).toBeCloseTo(2 * half, 3);
    }
  });
});

describe("a drawn value", () => {
  /** @param {Quad} one @param {number} x @param {number} y */
  const read = (one, x, y) => {
    const row = makeRow(x + 1);
    readQuadRow(one, y, x, x + 1, row, makeRow(x + 1));
    return {value: row.value[x], slopeX: row.slopeX[x], slopeY: row.slopeY[x]};
  };
  const plane = gridOf((a, b) => 2 * a + 3 * b);

  it("is bilinear, with b upwards, and its slope is per pixel, y downwards", () => {
    const {value, slopeX, slopeY} = read(quad([0, 0, 100, 50], patch(plane, {offset: 10})), 24, 9);
    expect(value).toBeCloseTo(10 + 2 * 0.245 + 3 * (1 - 0.19), 6);
    expect(slopeX).toBeCloseTo(0.02, 6);
    expect(slopeY).toBeCloseTo(-0.06, 6);
  });

  it("comes from the part of the grid that uv names, however small", () => {
    const uv = /** @type {[number, number, number, number]} */ ([0.5, 0.25, 0.501, 0.251]);
    const {value, slopeX} = read(quad([0, 0, 10, 10], patch(plane, {uv})), 0, 9);
    expect(value).toBeCloseTo(2 * (0.5 + 0.0005 * 0.1) + 3 * (0.25 + 0.0005 * 0.1), 6);
    expect(slopeX).toBeCloseTo(0.0002, 7);
  });

  it("is a blend of values, not of colours", () => {
    const from = patch(gridOf((a) => a));
    const to = patch(gridOf((a) => 3 * a));
    const {value, slopeX} = read(quad([0, 0, 10, 10], to, {from, t: 0.25}), 4, 5);
    expect(value).toBeCloseTo(0.45 * (0.75 + 0.75), 6);
    expect(slopeX).toBeCloseTo(0.15, 6);
  });

  it("is that of the new patch where the old one has a hole", () => {
    const hole = patch(gridOf(() => Number.NaN));
    const whole = patch(gridOf(() => 1));
    expect(read(quad([0, 0, 10, 10], whole, {from: hole, t: 0.25}), 4, 5).value).toBe(1);
    expect(read(quad([0, 0, 10, 10], hole, {from: whole, t: 0.25}), 4, 5).value).toBeNaN();
  });

  it("is the same on the common border of two tiles", () => {
    const smooth = (/** @type {number} */ a, /** @type {number} */ b) => Math.sin(3 * a + b) * Math.exp(b * a);
    /** @param {number} a0 @param {number} b0 */
    const tile = (a0, b0) =>
      patch(
        fill(
          Float32Array.from({length: 1089}, (_, at) => smooth(a0 + (at % 33) / 32, b0 + Math.floor(at / 33) / 32)),
          33,
        ),
      );
    for (let y = 0; y < 77; y++) {
      // The centre of pixel 50 lies on the border. The grids agree there in every bit; the sums that interpolate them
      // run in another order.
      const here = read(quad([-50.5, 0, 50.5, 77], tile(0, 0)), 50, y);
      const there = read(quad([50.5, 0, 151.5, 77], tile(1, 0)), 50, y);
      expect(here.value).toBeCloseTo(there.value, 13);
      const below = read(quad([0, 50.5, 77, 151.5], tile(0, 0)), y, 50);
      const above = read(quad([0, -50.5, 77, 50.5], tile(0, 1)), y, 50);
      expect(below.value).toBeCloseTo(above.value, 13);
    }
  });
});

describe("a picture", () => {
  it("hatches what is not finite, and only that", () => {
    const half = patch(gridOf((a) => (a < 0.5 ? 0 : Number.NaN)));
    const at = shaded(frame(64, [quad([0, 0, 64, 64], half)]));
    const seen = new Set();
    for (let x = 0; x < 64; x++) {
      const colour = at(x, 20);
      if (x < 31) expect(colour).toEqual([0, 0, 0]);
      if (x > 33) seen.add(colour.join());
    }
    expect(seen).toContain("250,240,230");
    expect(seen).toContain("10,20,30");
    // Stripes at 45 degrees.
    for (let k = 0; k < 20; k++) expect(at(40 + k, 40 - k)).toEqual(at(40, 40));
  });

  it("has neither a gap nor a double pixel between quads with fractional borders", () => {
    for (let shift = 0; shift < 1; shift += 0.05) {
      const left = pixelsOf([0.2, 0, 10 + shift, 9], 30, 9);
      const right = pixelsOf([10 + shift, 0, 40, 9], 30, 9);
      expect(left.x1).toBe(right.x0);
      expect(right.x1).toBe(30);
    }
  });

  it("shows the background where there is no tile, also for an empty frame", () => {
    expect(shaded(frame(5, []))(2, 2)).toEqual([250, 240, 230]);
    expect(shaded(frame(5, [quad([-10, -10, -2, -2], patch(gridOf(() => 0)))]))(2, 2)).toEqual([250, 240, 230]);
  });

  it("takes its colours from the table, clamped at the ends", () => {
    const lut = lookupTable();
    const ramp = patch(gridOf((a) => 3 * a - 1));
    const at = shaded(frame(300, [quad([0, 0, 300, 300], ramp)], {lut}));
    expect(at(20, 0)).toEqual([...lut.slice(0, 3)]);
    expect(at(280, 0)).toEqual([...lut.slice(-3)]);
    for (let c = 0; c < 3; c++) expect(Math.abs(at(149, 0)[c] - lut[3 * 127 + c])).toBeLessThanOrEqual(2);
  });

  it("has one colour where the domain is a point", () => {
    const at = shaded(frame(9, [quad([0, 0, 9, 9], patch(gridOf(() => 2)))], {lut: lookupTable(), domain: [2, 2]}));
    expect(at(4, 4)).toEqual([68, 1, 84]);
  });

  it("is grey when it is desaturated", () => {
    const at = shaded(frame(30, [quad([0, 0, 30, 30], patch(gridOf((a) => a)))], {lut: lookupTable(), desaturate: 1}));
    for (let x = 0; x < 30; x++) expect(new Set(at(x, 3)).size).toBe(1);
  });

  it("is lighter on slopes that face the upper left", () => {
    const lut = new Uint8Array(768).fill(128);
    /** @param {number} sign */
    const light = (sign) =>
      shaded(frame(30, [quad([0, 0, 30, 30], patch(gridOf((a) => sign * a)))], {lut, relief: 1}))(15, 15)[0];
    expect(light(1)).toBeGreaterThan(132);
    expect(light(-1)).toBeLessThan(124);
  });
});

it("levels are sorted, finite, visible and at most 64", () => {
  const levels = [level(3), level(1), level(Number.NaN), {...level(2), opacity: 0}];
  expect([...prepareLevels(frame(1, [], {levels})).value]).toEqual([1, 3]);
  const many = Array.from({length: 100}, (_, k) => level(k));
  expect(prepareLevels(frame(1, [], {levels: many})).count).toBe(64);
});
