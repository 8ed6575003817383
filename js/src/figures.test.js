// What Python's figures must agree with, and what the page says now: one fixture, read by both.
import {expect, test} from "vitest";
import fixture from "../../tests/fixtures/figures.json" with {type: "json"};
import {domainOf, drawn, lookupTable} from "./colour.js";
import {formatLevel, ladder, tickStep, ticks} from "./ladder.js";
import {axisTitle} from "./ui/axes.js";
import {labelled} from "./ui/dom.js";

/** @typedef {import("./colour.js").Scale} Scale */

test.each(fixture.ladders)("the ladder from $lo to $hi, $scale", ({lo, hi, scale, rung, step, levels}) => {
  const found = ladder({lo, hi, scale: /** @type {Scale} */ (scale)});
  expect({rung: found.rung, step: found.step}).toEqual({rung, step});
  // JSON has no −0.
  expect(found.levels.map((one) => [one.value + 0, one.major, one.step, formatLevel(one.value, one.step)])).toEqual(
    levels,
  );
});

test.each(fixture.numbers)("%f, %f away from its neighbours, is %s", (value, step, text) => {
  expect(formatLevel(/** @type {number} */ (value), /** @type {number} */ (step))).toBe(text);
});

test.each(fixture.axes)("the ticks from $lo to $hi", ({lo, hi, count, step, texts, shift, ...one}) => {
  expect(ticks(lo, hi, count)).toEqual(one.ticks);
  expect(tickStep(lo, hi, count)).toBe(step);
  const found = labelled(one.ticks, step, formatLevel);
  expect(found.texts).toEqual(texts);
  expect(found.shift === null ? "" : `${found.shift.from}, in ${found.shift.unit}`).toBe(shift);
});

test("axes have the same titles", () => {
  for (const [axis, title] of fixture.titles) expect(axisTitle("a", /** @type {any} */ (axis))).toBe(title);
});

test("colours span the same values", () => {
  for (const one of fixture.domains) {
    const scale = /** @type {Scale} */ (one.scale);
    expect(domainOf([one.values.map((value) => drawn(value, scale))], {scale})).toEqual(one.domain);
  }
});

test("colour maps have the same entries", () => {
  for (const [name, text] of fixture.tables) expect(Buffer.from(lookupTable(name)).toString("hex")).toBe(text);
});
