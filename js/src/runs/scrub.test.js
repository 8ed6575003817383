// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {panelsOf, quantities, usual} from "./panels.js";
import {Plot, valueAt} from "./plot.js";
import {dots, Scatter} from "./scatter.js";
import {indexAt, LASTS, nearest, played, union} from "./scrub.js";
import {words} from "./words.js";

test("at a step stands what was recorded last, before the first the first", () => {
  const steps = [0, 10, 20, 20, 40];
  expect([-5, 0, 9, 10, 20, 39, 40, 99].map((step) => indexAt(steps, step))).toEqual([0, 0, 0, 1, 3, 3, 4, 4]);
  expect([4, 6, 16, 31, 99].map((step) => nearest(steps, step))).toEqual([0, 1, 2, 4, 4]);
  expect(indexAt([7], 100)).toBe(0);
});

test("the slider goes through every step of any run once", () => {
  expect(union([[0, 10, 20], [5, 10], []])).toEqual([0, 5, 10, 20]);
  expect(
    union([
      [0, 1, 2],
      [0, 1],
    ]),
  ).toEqual([0, 1, 2]);
  expect(union([])).toEqual([]);
});

test("a play begins where it stood and ends at the end, in a few steps where less motion is asked for", () => {
  expect(played(0, 101, 0, false)).toBe(0);
  expect(played(0, 101, LASTS / 2, false)).toBe(50);
  expect(played(40, 101, LASTS, false)).toBe(100);
  const places = new Set(Array.from({length: 1000}, (_, i) => played(0, 1001, (LASTS * i) / 1000, true)));
  expect(places.size).toBeLessThanOrEqual(12);
});

test("a place is told in one line, of what is known", () => {
  expect(words({step: 120, loss: 0.5134, map: 0.4979, off: 0.1234})).toBe(
    "step 120 · loss 0.513 · map says 0.498 · 0.12 off the plane",
  );
  expect(words({step: 12_000, loss: Number.NaN})).toBe("step 12\u202f000 · loss not finite");
  expect(words({step: 0, loss: null, map: null, off: 0})).toBe("step 0 · 0 off the plane");
});

/** @param {string} name @param {number[]} steps @param {Record<string, number[]>} series */
const run = (name, steps, series) => ({name, colour: "#d55e00", shown: true, path: null, curves: {steps, series}});

test("losses share a panel, sharpness has its limit, and the order is that of use", () => {
  const one = run("SGD", [0], {
    limit: [1],
    foo: [1],
    sharpness: [1],
    lr: [1],
    val_loss: [1],
    loss: [1],
    accuracy: [1],
    val_accuracy: [1],
  });
  const names = quantities([one, run("Adam", [0], {grad_norm: [1]})]);
  expect(names.slice(0, 4)).toEqual(["loss", "lr", "grad_norm", "sharpness"]);
  const panels = panelsOf(names);
  expect(panels.map(({name}) => name)).toEqual(["loss", "lr", "grad_norm", "sharpness", "foo", "accuracy"]);
  expect(panels[0].dashed).toEqual(["val_loss"]);
  expect(panels[3].limit).toBe("limit");
  expect(panels[5].dashed).toEqual(["val_accuracy"]);
  expect(usual(panels)).toEqual(["loss", "lr", "sharpness"]);
  expect(usual(panelsOf(["foo", "bar", "baz"]))).toEqual(["foo", "bar"]);
  expect(panelsOf(["validation", "limit"]).map(({name}) => name)).toEqual(["validation", "limit"]);
});

test("a quantity that is recorded now and then has at each step the value that was recorded last", () => {
  const {NaN: nan} = Number;
  const one = run("SGD", [0, 1, 2, 3], {loss: [nan, 5, nan, 7]});
  expect([0, 1, 2, 3, 9].map((step) => valueAt(one, "loss", step))).toEqual([null, 5, 5, 7, 7]);
  expect(valueAt(one, "lr", 2)).toBeNull();
  expect(valueAt(run("late", [10], {loss: [1]}), "loss", 5)).toBeNull();
});

test("the step under the pointer is one that was recorded, and its values stand beside the names", () => {
  const plot = new Plot();
  const runs = [run("<b>SGD</b>", [0, 50, 100], {loss: [100, 10, 1]}), run("Adam", [0, 90], {loss: [50, 2]})];
  plot.draw(runs, panelsOf(["loss"]), 356);
  // Steps lie between 46 and 346.
  expect([0, 46, 190, 310, 999].map((px) => plot.stepAt(px))).toEqual([0, 0, 50, 90, 100]);
  plot.mark(60);
  expect(plot.element.querySelectorAll(".la-curves-dot")).toHaveLength(2);
  expect([...plot.element.querySelectorAll("text")].at(-1)?.textContent).toBe("● 10.0● 50.0");
  expect(plot.element.querySelector("b")).toBeNull();
  plot.mark(null);
  expect(plot.element.querySelectorAll(".la-curves-dot")).toHaveLength(0);
  plot.draw([], [], 356);
  expect(plot.stepAt(100)).toBeNull();
});

test("a scatter holds what was recorded together, at most so many points, and finds the one under the pointer", () => {
  const {NaN: nan} = Number;
  const steps = Array.from({length: 1000}, (_, i) => i);
  const one = run("SGD", steps, {loss: steps.map((i) => 1000 - i), lr: steps.map((i) => (i % 2 ? nan : i))});
  const all = dots([one], "lr", "loss");
  expect(all).toHaveLength(500);
  expect(all[1]).toMatchObject({x: 2, y: 998, step: 2, loss: 998});
  expect(dots([one], "step", "loss", 100)).toHaveLength(100);
  expect(dots([one], "lr", "none")).toEqual([]);
  const scatter = new Scatter();
  scatter.draw([one], "lr", "loss", 356, new Uint8Array(768), (name) => name);
  const circle = scatter.element.querySelectorAll("circle")[10];
  const [x, y] = ["cx", "cy"].map((side) => Number(circle.getAttribute(side)));
  expect(scatter.dotAt(x, y)?.step).toBe(20);
  expect(scatter.dotAt(-100, -100)).toBeNull();
  scatter.mark(20, null);
  expect(Number(scatter.element.querySelector(".la-scatter-at")?.getAttribute("cx"))).toBeCloseTo(x, 0);
});
