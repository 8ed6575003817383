// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {Viewport} from "../viewport.js";
import {clip, dotsOf, downhill, piecesOf, roundUp, shaded} from "./paths.js";

const view = new Viewport([0, 0], 2, 400, 400);
/** @typedef {[number, number]} Point */

test("a segment is cut where it leaves the box", () => {
  const box = [0, 0, 10, 10];
  expect(clip([-5, 5], [15, 5], box)).toEqual([0.25, 0.75]);
  expect(clip([1, 1], [9, 9], box)).toEqual([0, 1]);
  expect(clip([-5, 0], [0, -5.1], box)).toBeNull();
  expect(clip([12, -5], [12, 5], box)).toBeNull();
  expect(clip([5, -1e12], [5, 1e12], box)?.map((t) => t.toFixed(6))).toEqual(["0.500000", "0.500000"]);
});

test("a path far beyond the view is drawn to its rim, with its steps", () => {
  const pieces = piecesOf(
    [
      [-1e9, 0],
      [0, 0],
      [0, 1e9],
      [1e9, 1e9],
      [0.5, -1e9],
      [0.5, 0.5],
    ],
    view,
  );
  expect(pieces.length).toBe(2);
  for (const {at} of pieces.flat()) for (const x of at) expect(Math.abs(x - 200)).toBeLessThan(217);
  expect(pieces[0].map(({index}) => index)).toEqual([0, 1, 2]);
  expect(pieces[1].at(-1)?.index).toBe(5);
});

test("a hundred thousand points become as many corners as pixels can show, and end where they end", () => {
  /** @type {Point[]} */
  const spiral = Array.from({length: 100_000}, (_, i) => {
    const [r, phi] = [0.9 * (1 - i / 1e5), 1e-3 * i];
    return [r * Math.cos(phi), r * Math.sin(phi)];
  });
  const corners = piecesOf(spiral, view).flat();
  expect(corners.length).toBeLessThan(4100);
  expect(corners.at(-1)?.index).toBe(99_999);
  const wild = Array.from({length: 100_000}, (_, i) => /** @type {Point} */ ([Math.sin(i * i), Math.cos(3 * i * i)]));
  expect(piecesOf(wild, view).flat().length).toBeLessThan(8100);
});

test("a straight walk keeps its shape when it is thinned", () => {
  const walk = Array.from({length: 20_001}, (_, i) => /** @type {Point} */ ([i / 2e4 - 0.5, 0.25]));
  const [piece] = piecesOf(walk, view);
  expect(piece.length).toBeLessThan(600);
  expect(piece.every(({at: [, y]}) => Math.abs(y - 150) < 1e-9)).toBe(true);
  expect(piece[0].at[0]).toBeCloseTo(100);
  expect(piece.at(-1)?.at[0]).toBeCloseTo(300);
});

test("dots stand at round steps", () => {
  const walk = Array.from({length: 101}, (_, i) => /** @type {Point} */ ([i / 100 - 0.5, 0]));
  const steps = dotsOf(piecesOf(walk, view), (index) => 10 * index).map(({index}) => 10 * index);
  expect(steps).toEqual([0, 200, 400, 600, 800, 1000]);
  expect([0, 1, 1.1, 3, 7, 20, 21].map(roundUp)).toEqual([1, 1, 2, 5, 10, 20, 50]);
});

test("a line is thinner where it is further off the plane, and its pieces meet", () => {
  /** @type {Point[]} */
  const points = Array.from({length: 9}, (_, i) => [i / 10 - 0.4, 0]);
  const pieces = piecesOf(points, view);
  const distance = [0, 0, 0, 0.4, 0.4, 0.4, 1, 1, 1];
  const shades = shaded(pieces, {distance}, 1);
  expect(shades.map((part) => part.map((piece) => piece.map(({index}) => index)))).toEqual([
    [[0, 1, 2]],
    [[2, 3, 4, 5]],
    [],
    [[5, 6, 7, 8]],
  ]);
  expect(shaded(pieces, {distance: null}, 1)).toEqual([pieces]);
});

test("the thick part of an arrow is one plain step at the rate, to scale, and the thin part is always seen", () => {
  const path = {name: "run", colour: "#d55e00", scene: "s", points: [[0, 0]], steps: [0], distance: null, loss: null};
  const drawn = (/** @type {Point} */ arrow, /** @type {number} */ rate) =>
    downhill(/** @type {any} */ ({...path, arrows: [arrow]}), 0, view, rate).map((each) => each.getAttribute("d"));
  // 200 px are one unit; up in the plane is up on the screen.
  expect(drawn([1, 0], 0.5).slice(0, 4)).toEqual([
    "M200 200l100 0",
    "M200 200l100 0",
    "M200 200l100 0",
    "M200 200l100 0",
  ]);
  expect(drawn([0, 0.1], 0.5).slice(0, 4)).toEqual([
    "M200 200l0 -34",
    "M200 200l0 -34",
    "M200 200l0 -10",
    "M200 200l0 -10",
  ]);
  expect(drawn([0, -0.1], Number.NaN)[0]).toBe("M200 200l0 34");
  expect(drawn([0, 0], 0.5)).toEqual([]);
  expect(drawn([Number.NaN, 1], 0.5)).toEqual([]);
});
