import {describe, expect, test} from "vitest";
import {overlap, placed} from "./place.js";

/** @typedef {import("./isolines.js").Line} Line @typedef {import("./place.js").Box} Box */

/** @param {(t: number) => [number, number]} at t in 0..1 @param {Partial<Line>} [more] @returns {Line} */
const line = (at, more) => {
  const points = Array.from({length: 201}, (_, i) => at(i / 200)).flat();
  return {level: 0, closed: false, points, slopes: Array.from({length: 201}, () => 0.01), ...more};
};
/** @param {number} r @param {number} level */
const circle = (r, level) =>
  line((t) => [300 + r * Math.cos(2 * Math.PI * t), 200 + r * Math.sin(2 * Math.PI * t)], {level, closed: true});
/** @type {[number, number]} */
const SIZE = [600, 400];
const GIVEN = {widthOf: () => 30, gapOf: () => 1, size: SIZE};

/** @param {Partial<Box>} [more] @returns {Box} */
const box = (more) => ({x: 0, y: 0, angle: 0, width: 20, height: 10, ...more});

describe("boxes", () => {
  test("overlap by what they cover, not by what is around them", () => {
    expect(overlap(box(), box({x: 19}))).toBe(true);
    expect(overlap(box(), box({x: 21}))).toBe(false);
    expect(overlap(box(), box({x: 21}), 2)).toBe(true);
    // Side by side on a slope, their upright bounds would overlap.
    const slanted = {angle: Math.PI / 4, width: 60};
    expect(overlap(box(slanted), box({...slanted, x: 14, y: -14}))).toBe(false);
    expect(overlap(box(slanted), box({...slanted, x: 14, y: 14}))).toBe(true);
  });
});

test("a number stands on its line and is turned with it", () => {
  const [place] = placed([line((t) => [100 + 300 * t, 100 + 200 * t])], GIVEN);
  expect(place.angle).toBeCloseTo(Math.atan2(2, 3));
  expect((place.x - 100) / 300).toBeCloseTo((place.y - 100) / 200);
});

test("numbers are upright, whichever way their line runs", () => {
  for (let k = 0; k < 12; k++) {
    const [dx, dy] = [Math.cos((k * Math.PI) / 6), Math.sin((k * Math.PI) / 6)];
    const [place] = placed([line((t) => [300 + 150 * (t - 0.5) * dx, 200 + 150 * (t - 0.5) * dy])], GIVEN);
    expect(Math.abs(place.angle)).toBeLessThanOrEqual(Math.PI / 2 + 1e-9);
  }
});

test("what is too short, too bent or too small gets none", () => {
  expect(placed([line((t) => [300 + 30 * t, 200])], GIVEN)).toEqual([]);
  expect(placed([line((t) => [300 + 200 * t, 200 + 6 * Math.sin(60 * t)])], GIVEN)).toEqual([]);
  expect(placed([circle(12, 0)], GIVEN)).toEqual([]);
  expect(placed([circle(120, 0)], GIVEN).length).toBeGreaterThan(0);
});

test("numbers do not overlap each other, the border, or what is taken", () => {
  const lines = [40, 55, 70, 85, 110, 140, 190].map(circle);
  const taken = [box({x: 300, y: 100, width: 200, height: 60})];
  const places = placed(lines, {...GIVEN, taken});
  expect(new Set(places.map(({level}) => level)).size).toBeGreaterThanOrEqual(4);
  for (const [i, place] of places.entries()) {
    for (const other of [...taken, ...places.slice(0, i)]) expect(overlap(place, other)).toBe(false);
    expect(Math.min(place.x, place.y, 600 - place.x, 400 - place.y)).toBeGreaterThan(10);
  }
});

test("a level has a handful at most, far apart, and every level one before any has two", () => {
  const lines = [0, 1, 2].map((level) => line((t) => [1500 * t, 100 + 60 * level], {level}));
  const places = placed(lines, {...GIVEN, size: [1500, 400]});
  for (const level of [0, 1, 2]) {
    const at = places.filter((place) => place.level === level).map(({x}) => x);
    expect(at.length).toBeGreaterThan(1);
    expect(at.length).toBeLessThanOrEqual(4);
    at.sort((a, b) => a - b);
    for (let i = 1; i < at.length; i++) expect(at[i] - at[i - 1]).toBeGreaterThan(200);
  }
  expect(new Set(places.slice(0, 3).map(({level}) => level)).size).toBe(3);
});

test("numbers that still stand well stay where they are", () => {
  const lines = [70, 120, 170].map(circle);
  const before = placed(lines, GIVEN);
  const known = before.map(({level, x, y}) => ({level, x: x + 1, y: y - 1}));
  const after = placed(lines, {...GIVEN, known});
  expect(after.filter((place) => place.known !== null).length).toBe(before.length);
  for (const [i, {x, y}] of before.entries()) {
    const same = after.find((place) => place.known === known[i]);
    expect(Math.hypot((same?.x ?? 0) - x, (same?.y ?? 0) - y)).toBeLessThan(8);
  }
});

test("where lines are crowded a number would hide them, and there is none", () => {
  const steep = line((t) => [600 * t, 200], {slopes: Array.from({length: 201}, () => 1)});
  expect(placed([steep], GIVEN)).toEqual([]);
});
