import {expect, test} from "vitest";
import {domainOf, scaleOf, thinned, ticksOf} from "./axis.js";

test("positive values over more than one and a half decades are drawn by their logarithm", () => {
  expect(domainOf([[1, 31]])?.log).toBe(false);
  expect(domainOf([[1, 33]])?.log).toBe(true);
  expect(domainOf([[0, 1000]])?.log).toBe(false);
  expect(domainOf([[-1, 1000]])?.log).toBe(false);
});

test("what is not finite spans nothing", () => {
  expect(domainOf([[Number.NaN, Number.POSITIVE_INFINITY]])).toBeNull();
  expect(domainOf([[], []])).toBeNull();
  const {lo, hi} = /** @type {import("./axis.js").Domain} */ (domainOf([[2, Number.NaN, 4]], 0));
  expect([lo, hi]).toEqual([2, 4]);
});

test("a constant has room on both sides", () => {
  for (const value of [0, 5, -0.001, 1e9]) {
    const {lo, hi} = /** @type {import("./axis.js").Domain} */ (domainOf([[value, value]]));
    expect(lo).toBeLessThan(value);
    expect(hi).toBeGreaterThan(value);
  }
});

test("a logarithm gives each decade the same room", () => {
  const y = scaleOf({lo: 0.01, hi: 100, log: true}, 100, 0);
  expect([0.01, 0.1, 1, 10, 100].map((value) => Math.round(1e6 * y(value)) / 1e6)).toEqual([100, 75, 50, 25, 0]);
  expect(y(0)).toBe(Number.POSITIVE_INFINITY);
});

test("ticks are round, few and inside", () => {
  const linear = {lo: 0.03, hi: 0.97, log: false};
  expect(ticksOf(linear, scaleOf(linear, 0, 1), 4).map(({text}) => text)).toEqual(["0.2", "0.4", "0.6", "0.8"]);
  const decades = {lo: 0.004, hi: 300, log: true};
  expect(ticksOf(decades, scaleOf(decades, 0, 1), 5).map(({text}) => text)).toEqual(["0.01", "0.1", "1", "10", "100"]);
  const many = {lo: 1e-9, hi: 1e9, log: true};
  expect(ticksOf(many, scaleOf(many, 0, 1), 4).length).toBeLessThanOrEqual(5);
  const two = {lo: 0.08, hi: 5, log: true};
  expect(ticksOf(two, scaleOf(two, 0, 1), 4).map(({text}) => text)).toEqual(["0.1", "0.3", "1", "3"]);
});

test("ten thousand points become as many as pixels can show, with every extreme", () => {
  const count = 10_000;
  const xs = Array.from({length: count}, (_, i) => (300 * i) / count);
  const ys = xs.map((_, i) => Math.sin(i) + (i === 7777 ? 50 : 0));
  const kept = thinned(xs, ys);
  expect(kept.length).toBeLessThanOrEqual(1200);
  expect(kept.some(([, y]) => y > 49)).toBe(true);
  expect(kept[0]).toEqual([xs[0], ys[0]]);
  expect(kept.at(-1)).toEqual([xs[count - 1], ys[count - 1]]);
  expect(kept.every(([x], i) => i === 0 || x >= kept[i - 1][0])).toBe(true);
});

test("a quantity that is recorded now and then is one line", () => {
  const {NaN: nan} = Number;
  expect(thinned([0, 1, 2, 3, 4], [1, nan, nan, 4, nan]).map(([x, y]) => [x, y])).toEqual([
    [0, 1],
    [3, 4],
  ]);
  expect(thinned([0, 1], [nan, Number.POSITIVE_INFINITY])).toEqual([]);
});
