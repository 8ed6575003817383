import {describe, expect, it} from "vitest";
import fixture from "../../tests/fixtures/spline.json" with {type: "json"};
import {fill, interpolate, SIZE} from "./spline.js";

/** @typedef {{n: number, m: number, values: (number | null)[][], centres?: number[][], filled?: (number | null)[][], samples?: number[][]}} Case */

/** @param {(number | null)[][]} rows */
const flat = (rows) => rows.flat().map((v) => v ?? Number.NaN);

describe("against scipy", () => {
  for (const one of /** @type {Case[]} */ (/** @type {unknown} */ (fixture.cases))) {
    const {n, m} = one;
    const kind = one.centres ? "with centres" : flat(one.values).some(Number.isNaN) ? "with a hole" : "whole";
    it(`${n} nodes fill ${m} points, ${kind}`, () => {
      const centres = one.centres && flat(one.centres);
      const filled = interpolate(flat(one.values), n, m, {centres});
      const truth = one.filled
        ? flat(one.filled).map((value, at) => [Math.floor(at / m), at % m, value])
        : /** @type {number[][]} */ (one.samples);
      // The result is float32, and no value of the fixture exceeds 16.
      for (const [row, column, value] of truth) {
        if (Number.isNaN(value)) expect(filled[row * m + column]).toBeNaN();
        else expect(Math.abs(filled[row * m + column] - value)).toBeLessThan(1e-6);
      }
    });
  }
});

/**
 * @param {number} n
 * @param {(a: number, b: number) => number} f
 * @param {[number, number]} corner
 */
const sampled = (n, f, [a0, b0] = [0, 0]) =>
  Float32Array.from({length: n * n}, (_, at) => f(a0 + (at % n) / (n - 1), b0 + Math.floor(at / n) / (n - 1)));

const wavy = (/** @type {number} */ a, /** @type {number} */ b) => Math.sin(3 * a + b * b) + Math.cos(7 * b - a);

describe("the spline", () => {
  it("is the line through 2 nodes, the parabola through 3, and reproduces cubics from 4 on", () => {
    for (const n of [2, 3, 4, 5, 9, 33]) {
      const degree = Math.min(3, n - 1);
      /** @type {(a: number, b: number) => number} */
      const power = (a, b) => a ** degree * (1 - b ** degree);
      const filled = interpolate(Float64Array.from(sampled(n, power)), n, 50);
      const truth = sampled(50, power);
      for (let at = 0; at < 2500; at++) expect(filled[at]).toBeCloseTo(truth[at], 6);
    }
  });
});

describe("a filled tile", () => {
  it("keeps the bits of its nodes", () => {
    const values = sampled(33, wavy);
    const filled = fill(values, 33);
    for (let j = 0; j < 33; j++)
      for (let i = 0; i < 33; i++) expect(filled[4 * j * SIZE + 4 * i]).toBe(values[j * 33 + i]);
  });

  it("meets its neighbours bit for bit, with and without centres", () => {
    for (const n of [3, 5, 9, 17, 33]) {
      for (const parts of [false, true]) {
        /** @param {[number, number]} corner */
        const tile = (corner) => {
          const half = 0.5 / (n - 1);
          const all = sampled(n, (a, b) => wavy(a + half, b + half), corner);
          const centres = parts
            ? Float32Array.from({length: (n - 1) ** 2}, (_, at) => all[Math.floor(at / (n - 1)) * n + (at % (n - 1))])
            : undefined;
          return fill(sampled(n, wavy, corner), n, {centres});
        };
        const [here, right, above] = [tile([0, 0]), tile([1, 0]), tile([0, 1])];
        for (let k = 0; k < SIZE; k++) {
          expect(here[k * SIZE + SIZE - 1]).toBe(right[k * SIZE]);
          expect(here[(SIZE - 1) * SIZE + k]).toBe(above[k]);
        }
      }
    }
  });

  it("is nearer to the truth with the cell centres than without", () => {
    const fine = sampled(33, wavy);
    const knots = Float32Array.from({length: 17 * 17}, (_, at) => fine[2 * Math.floor(at / 17) * 33 + 2 * (at % 17)]);
    const centres = Float32Array.from(
      {length: 256},
      (_, at) => fine[(2 * Math.floor(at / 16) + 1) * 33 + 2 * (at % 16) + 1],
    );
    const truth = sampled(SIZE, wavy);
    /** @param {Float32Array} filled */
    const error = (filled) => filled.reduce((sum, v, at) => sum + (v - truth[at]) ** 2, 0);
    expect(error(fill(knots, 17, {centres}))).toBeLessThan(error(fill(knots, 17)));
  });

  it("has a hole only where a non-finite node has weight", () => {
    const values = sampled(5, wavy);
    values[2 * 5 + 2] = Number.POSITIVE_INFINITY;
    const filled = fill(values, 5);
    for (let j = 0; j < SIZE; j++) {
      for (let i = 0; i < SIZE; i++) {
        const inside = Math.abs(i - 64) < 32 && Math.abs(j - 64) < 32;
        expect(Number.isFinite(filled[j * SIZE + i])).toBe(!inside);
      }
    }
  });

  it("keeps the hole of a centre inside its cell", () => {
    const centres = new Float32Array(16);
    centres[5] = Number.NaN;
    const filled = fill(new Float32Array(25), 5, {centres});
    expect(filled[48 * SIZE + 48]).toBeNaN();
    expect(filled[48 * SIZE + 32]).toBe(0);
    expect(filled.filter(Number.isNaN).length).toBe(31 * 31);
  });

  it("refuses values of another size, in words", () => {
    expect(() => fill(new Float32Array(8), 3)).toThrow("A tile of 3 × 3 nodes has 9 values, but got 8.");
    expect(() => fill(new Float32Array(9), 3, {centres: [1]})).toThrow("has 4 cell centres, but got 1");
  });
});
