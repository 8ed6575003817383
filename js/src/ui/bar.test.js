// @vitest-environment happy-dom
import {expect, test, vi} from "vitest";
import {lookupTable} from "../colour.js";
import {ladder} from "../ladder.js";
import {Bar} from "./bar.js";

vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(null);

/** @param {object} more */
function drawnBar(more) {
  const bar = new Bar();
  const what = {
    ...{domain: /** @type {[number, number]} */ ([0, 5.234]), scale: /** @type {const} */ ("linear"), locked: false},
    ...{levels: ladder({lo: 0, hi: 5, scale: "linear"}).levels, lut: lookupTable(), height: 400, ratio: 1},
    ...{capped: {above: false, below: false}, ...more},
  };
  bar.draw(what);
  return {bar, texts: [...bar.labels.children].map((label) => label.textContent)};
}

test("where values lie beyond the ends of the bar, the ends say so, and push no label aside but the one they stand on", () => {
  const free = drawnBar({}).texts;
  expect(free).not.toContain("≥ 5.23");
  const {texts} = drawnBar({capped: {above: true, below: true}});
  expect(texts.slice(-2)).toEqual(["≥ 5.23", "≤ 0"]);
  for (const text of free) expect(texts).toContain(text);
});

test("an end is named in the field's own unit", () => {
  const capped = {above: true, below: true};
  const {texts} = drawnBar({domain: [Math.log(0.01), Math.log(50)], scale: "log", capped});
  expect(texts.slice(-2)).toEqual(["≥ 50", "≤ 0.01"]);
  const signs = drawnBar({domain: [-Math.asinh(50), Math.asinh(50)], scale: "symlog:0.01", capped});
  expect(signs.texts.slice(-2)).toEqual(["≥ 1", "≤ −1"]);
});

test("a bar that is locked can be let go, and says that it is", () => {
  expect(drawnBar({}).bar.auto.hidden).toBe(true);
  const {bar} = drawnBar({locked: true});
  expect(bar.auto.hidden).toBe(false);
  expect(bar.fit.getAttribute("aria-pressed")).toBe("true");
});
