// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {shareOf} from "./rate.js";
import {Chart, edgeOf, nearest, placesOf, sentence} from "./sweep.js";

/** @type {import("./sweep.js").Swept} */
const SWEPT = {
  of: 4,
  rates: [0.01, 0.1, 0.5, 1],
  end_loss: [0.8, 0.2, 3, null],
  diverged: [false, false, false, true],
  start_loss: 1,
  limit: 0.75,
  label: "2 / λmax",
  reason: "gradient descent on all data",
  sharpness: 2.67,
  done: true,
};

test("ends stand where the slider has their rate, from the best at the foot to the start at the top", () => {
  const places = placesOf(SWEPT);
  expect(places.map(({share}) => share)).toEqual(SWEPT.rates.map(shareOf));
  expect(places.map(({height}) => height && Number(height.toFixed(6)))).toEqual([0.75, 0, 1, null]);
});

test("losses that span much stand by their logarithm", () => {
  const places = placesOf({...SWEPT, end_loss: [0.1, 0.001, 1, null]});
  expect(places.map(({height}) => height && Number(height.toFixed(6)))).toEqual([0.666667, 0, 1, null]);
});

test("without a start, and with one end, there is a picture all the same", () => {
  expect(placesOf({...SWEPT, start_loss: null}).map(({height}) => height)).toEqual([
    expect.closeTo(0.6 / 2.8),
    0,
    1,
    null,
  ]);
  expect(placesOf({...SWEPT, start_loss: null, rates: [1], end_loss: [2], diverged: [false]})[0].height).toBe(0);
  expect(placesOf({...SWEPT, rates: [1], end_loss: [null], diverged: [true]})[0].height).toBeNull();
});

test("the edge lies between the last that came back and the first that ran away", () => {
  expect(edgeOf(SWEPT)).toEqual({stays: 0.5, leaves: 1});
  expect(edgeOf({...SWEPT, diverged: [false, false, false, false]})).toEqual({stays: 1, leaves: null});
});

test("a sentence says what was found, and how far it is while it rolls", () => {
  expect(sentence(SWEPT)).toBe("best end loss 0.200 at 0.10 · runs away from 1.0 on · 2 / λmax = 0.75");
  expect(sentence({...SWEPT, done: false, limit: null, of: 16})).toBe(
    "4 of 16 · best end loss 0.200 at 0.10 · runs away from 1.0 on",
  );
  expect(sentence({...SWEPT, rates: [], end_loss: [], diverged: [], done: false})).toBe("Rolling…");
  expect(nearest(SWEPT, 0.12)).toBe("rate 0.10 ends at 0.200");
  expect(nearest(SWEPT, 5)).toBe("rate 1.0 runs away");
});

test("the chart has a dot for each end and a line at the limit, or says what went wrong", () => {
  const chart = new Chart();
  chart.draw(SWEPT);
  chart.stand(0.12);
  expect(chart.dots.querySelectorAll("i").length).toBe(4);
  expect(chart.dots.querySelectorAll("i.la-gone").length).toBe(1);
  expect(chart.dots.querySelectorAll("u").length).toBe(1);
  expect(chart.words.textContent).toContain("rate 0.10 ends at 0.200");
  chart.draw(null, "The model raises.");
  expect(chart.words.hidden).toBe(false);
  expect(chart.words.textContent).toContain("The model raises.");
  chart.draw(null);
  expect(chart.words.hidden).toBe(true);
});
