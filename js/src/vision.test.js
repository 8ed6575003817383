// What people see of the colour maps that are drawn: also those who lack a kind of cones.
import {describe, expect, it} from "vitest";
import {lookupTable} from "./colour.js";
import {COLOURS} from "./runs/store.js";

/**
 * What each sees of linear red, green and blue: Machado, Oliveira and Fernandes 2009, severity 1.
 * @type {Record<string, number[][]>}
 */
const VISION = {
  "normal vision": [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

/** To CIE XYZ over the white of D65: IEC 61966-2-1. */
const XYZ = [
  [0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505],
  [0.2126, 0.7152, 0.0722],
  [0.0193 / 1.089, 0.1192 / 1.089, 0.9505 / 1.089],
];

/** @param {number[][]} matrix @param {number[]} vector */
const times = (matrix, vector) => matrix.map((row) => row.reduce((sum, factor, i) => sum + factor * vector[i], 0));

/** CIELAB. @param {Uint8Array} lut @param {number} entry @param {number[][]} seen @returns {number[]} */
function lab(lut, entry, seen) {
  const linear = [...lut.slice(3 * entry, 3 * entry + 3)].map((byte) =>
    byte <= 0.04045 * 255 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4,
  );
  const inGamut = times(seen, linear).map((x) => Math.min(Math.max(x, 0), 1));
  const [x, y, z] = times(XYZ, inGamut).map((t) => (t > (6 / 29) ** 3 ? Math.cbrt(t) : (t * 841) / 108 + 4 / 29));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** CIE76. @param {number[]} one @param {number[]} other */
const difference = (one, other) => Math.hypot(...one.map((part, i) => part - other[i]));

const STEPS = Array.from({length: 16}, (_, k) => 17 * k);

describe.each(Object.entries(VISION))("to %s", (_, seen) => {
  it.each(["viridis", "cividis", "magma", "batlow"])("%s only gets lighter, and its steps differ", (name) => {
    const lut = lookupTable(name);
    const steps = STEPS.map((entry) => lab(lut, entry, seen));
    for (const [k, step] of steps.slice(1).entries()) {
      expect(step[0]).toBeGreaterThan(steps[k][0] + 1);
      // 2.3 is the difference that is just noticed: Mahy, Van Eycken and Oosterlinck 1994.
      expect(difference(step, steps[k])).toBeGreaterThan(1.5 * 2.3);
    }
  });

  it("vik gets lighter to its middle and darker from there, and its halves are not taken for each other", () => {
    const lut = lookupTable("vik");
    const steps = STEPS.map((entry) => lab(lut, entry, seen));
    for (let k = 0; k < 7; k++) {
      expect(steps[k + 1][0]).toBeGreaterThan(steps[k][0] + 1);
      expect(steps[8 + k][0]).toBeGreaterThan(steps[9 + k][0] + 1);
      expect(difference(steps[k], steps[k + 1])).toBeGreaterThan(1.5 * 2.3);
      expect(difference(steps[8 + k], steps[9 + k])).toBeGreaterThan(1.5 * 2.3);
    }
    for (let k = 0; k < 8; k++) expect(difference(steps[k], steps[15 - k])).toBeGreaterThan(1.5 * 2.3);
  });
});

/** @param {string} hex */
const bytes = (hex) => Uint8Array.from([1, 3, 5], (at) => Number.parseInt(hex.slice(at, at + 2), 16));

it.each(Object.entries(VISION))("no run is taken for another to %s", (_, seen) => {
  const labs = COLOURS.map((colour) => lab(bytes(colour), 0, seen));
  for (let i = 0; i < labs.length; i++)
    for (let j = 0; j < i; j++) expect(difference(labs[i], labs[j])).toBeGreaterThan(7 * 2.3);
});

it("a run's line is seen on the panels of both themes", () => {
  const light = (/** @type {string} */ hex) => ((lab(bytes(hex), 0, VISION["normal vision"])[0] + 16) / 116) ** 3;
  for (const colour of COLOURS)
    for (const panel of ["#f6f7f9", "#ffffff", "#1a1e26"]) {
      const [low, high] = [light(colour), light(panel)].sort((a, b) => a - b);
      // What WCAG 2.2 asks of graphics, 1.4.11.
      expect((high + 0.05) / (low + 0.05)).toBeGreaterThan(3);
    }
});

it("no sequential map has an entry that is darker than the one before by more than its rounding", () => {
  for (const name of ["viridis", "cividis", "magma", "batlow"]) {
    const lut = lookupTable(name);
    for (let i = 1; i < 256; i++) {
      const [before, here] = [i - 1, i].map((entry) => lab(lut, entry, VISION["normal vision"])[0]);
      expect(here).toBeGreaterThan(before - 0.15);
    }
  }
});

it("vik is lightest in the middle, and about as light on one side of it as on the other", () => {
  const lut = lookupTable("vik");
  const lightness = (/** @type {number} */ entry) => lab(lut, entry, VISION["normal vision"])[0];
  // Of 80 from its ends to the middle; the table of its author differs by 8.8 at most.
  for (let k = 0; k < 128; k++) expect(Math.abs(lightness(127 - k) - lightness(128 + k))).toBeLessThan(10);
  expect(Math.max(...Array.from({length: 256}, (_, i) => lightness(i)))).toBeLessThan(lightness(127) + 0.5);
});
