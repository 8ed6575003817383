// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {HOME, readerOf} from "./ground.js";
import {summary} from "./menu.js";
import {csvOf, extremesOf} from "./table.js";

test("the lowest and the highest value are found at their places, and only in sight", () => {
  const reader = readerOf((a, b) => (a - 0.25) ** 2 + (b + 0.5) ** 2, HOME);
  const [lowest, highest] = extremesOf(reader, [-1, 1, -1, 1]);
  expect(lowest).toEqual({what: "lowest in sight", at: [0.25, -0.5]});
  expect(highest.at[0]).toBe(-1);
  expect(highest.at[1]).toBe(1);
  const [low] = extremesOf(reader, [0.5, 0.75, 0, 0.5]);
  expect(low.at).toEqual([0.5, 0]);
});

test("where nothing is finite there is neither", () => {
  expect(
    extremesOf(
      readerOf(() => Number.NaN, HOME),
      [-1, 1, -1, 1],
    ),
  ).toEqual([]);
});

test("a table is copied as text that is no formula", () => {
  const features = [
    {what: "note", at: /** @type {[number, number]} */ ([0.5, -1]), value: 1.25, error: null, text: 'say "a, b"'},
    {what: "note", at: /** @type {[number, number]} */ ([0, 0]), value: null, error: 0.1, text: "=1+1"},
  ];
  expect(csvOf(features, "loss").split("\n")).toEqual([
    "feature,a,b,loss,error,text",
    'note,0.5,-1,1.25,,"say ""a, b"""',
    "note,0,0,,0.1,'=1+1",
  ]);
});

test("the button names what is shown, in the menu's order", () => {
  expect(summary(["critical", "isolines"])).toBe("isolines, critical");
  expect(summary([])).toBe("none");
});
