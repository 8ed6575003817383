import {expect, test} from "vitest";
import {LOOK} from "../render/shade.js";
import {gapsOf, simplified, strokesOf} from "./strokes.js";

const LEVELS = [0, 1, 2, 3].map((value) => ({value, major: value === 2}));

/** A straight line whose slope grows from one end to the other. @param {number} level @param {number} most */
const line = (level, most) => ({
  level,
  closed: false,
  points: Array.from({length: 101}, (_, i) => [i, 10]).flat(),
  slopes: Array.from({length: 101}, (_, i) => (most * i) / 100),
});

test("where lines crowd they fade, majors last", () => {
  const strengths = (/** @type {number} */ level) =>
    strokesOf([line(level, 1)], LEVELS, LOOK).map((stroke) => stroke.strength);
  // On the plateau at its flat end there is none; then it fades from full strength to nothing, which is left out.
  expect(strengths(1)[0]).toBe(1);
  expect(strengths(1).length).toBe(6);
  expect(strengths(1).at(-1)).toBeCloseTo(1 / 6);
  const reach = (/** @type {number} */ level) => {
    const ends = strokesOf([line(level, 1)], LEVELS, LOOK).flatMap(({d}) =>
      [...d.matchAll(/[ML]([\d.]+)/g)].map(([, x]) => Number(x)),
    );
    return Math.max(...ends);
  };
  // A minor line ends where half a shade of it is left, near two pixels between lines; a major one is four times as far from its next.
  expect(reach(1)).toBe(Math.ceil(100 / (LOOK.crowded + LOOK.crowdedFade / 12)));
  expect(reach(2)).toBe(100);
});

test("a closed line of one strength is closed, and one of several is in pieces that meet", () => {
  const circle = {...line(1, 0), closed: true, slopes: Array.from({length: 101}, () => 0.05)};
  circle.points = Array.from({length: 101}, (_, i) => [
    50 + 40 * Math.cos((i % 100) * 0.0628318530718),
    50 + 40 * Math.sin((i % 100) * 0.0628318530718),
  ]).flat();
  const [{d}, ...others] = strokesOf([circle], LEVELS, LOOK);
  expect(others).toEqual([]);
  expect(d.match(/Z/g)).toEqual(["Z"]);
  const half = {...circle, slopes: circle.slopes.map((slope, i) => (i < 50 ? slope : 0.25))};
  const [one, other] = strokesOf([half], LEVELS, LOOK).map((stroke) => stroke.d.match(/[-\d.]+ [-\d.]+/g) ?? []);
  expect(one.at(-1)).toBe(other[0]);
  expect(other.at(-1)).toBe(one[0]);
});

test("a simplified line is nowhere further from the points than was asked for", () => {
  const points = Array.from({length: 400}, (_, i) => [i / 4, 30 * Math.sin(i / 40)]).flat();
  const fewer = simplified(points, 0.05);
  expect(fewer.length).toBeLessThan(points.length / 4);
  for (let i = 0; i < points.length; i += 2) {
    let nearest = Number.POSITIVE_INFINITY;
    for (let k = 2; k < fewer.length; k += 2) {
      const [x, y, u, v] = [fewer[k - 2], fewer[k - 1], fewer[k] - fewer[k - 2], fewer[k + 1] - fewer[k - 1]];
      const t = Math.min(Math.max(((points[i] - x) * u + (points[i + 1] - y) * v) / (u * u + v * v), 0), 1);
      nearest = Math.min(nearest, Math.hypot(points[i] - x - t * u, points[i + 1] - y - t * v));
    }
    expect(nearest).toBeLessThanOrEqual(0.05 + 1e-12);
  }
  expect(simplified([0, 0, 1, 0, 2, 0, 5, 0])).toEqual([0, 0, 5, 0]);
});

test("the gap of a level is the one to its nearer neighbour", () => {
  expect(gapsOf([1, 2, 4, 5])).toEqual([1, 1, 1, 1]);
  expect(gapsOf([1, 3, 4])).toEqual([2, 1, 1]);
  expect(gapsOf([7])).toEqual([Number.POSITIVE_INFINITY]);
});
