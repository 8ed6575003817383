import {expect, test} from "vitest";
import {limitOf, rateAt, shareOf, sharpnessOf} from "./rate.js";
import {words} from "./words.js";

test("a rate stands on the slider where its logarithm does, at its ends beyond them", () => {
  expect(shareOf(1e-4)).toBe(0);
  expect(shareOf(10)).toBe(1);
  expect(shareOf(10 ** -1.5)).toBeCloseTo(0.5);
  expect(shareOf(1e-9)).toBe(0);
  expect(shareOf(1e9)).toBe(1);
});

test("the slider gives rates in two digits, powers of ten among them", () => {
  expect(rateAt(-1)).toBe(0.1);
  expect(rateAt(-0.5)).toBe(0.32);
  expect(rateAt(-4)).toBe(0.0001);
  expect(rateAt(1)).toBe(10);
});

test("the limit of descent is 2 / λmax, that of a heavy ball (2 + 2β) / λmax, of Nesterov (2 + 2β) / (1 + 2β) / λmax", () => {
  expect(limitOf("sgd", 4)).toEqual({rate: 0.5, label: "2 / λmax"});
  expect(limitOf("momentum", 4)?.rate).toBeCloseTo(0.95);
  expect(limitOf("nesterov", 4)?.rate).toBeCloseTo(3.8 / 2.8 / 4);
});

test("there is no limit for steps that are scaled, for no curvature, and before a point was measured", () => {
  for (const [optimizer, sharpness] of /** @type {[string, number | null][]} */ ([
    ["adam", 4],
    ["sgd", 0],
    ["sgd", -1],
    ["sgd", null],
  ]))
    expect(limitOf(optimizer, sharpness)).toBeNull();
});

test("the sharpness is the largest eigenvalue that has converged", () => {
  const spectrum = {eigenvalues: [9, 4, null, -2], converged: [false, true, true, true]};
  expect(sharpnessOf({spectrum})).toBe(4);
  expect(sharpnessOf({spectrum: null})).toBeNull();
  expect(sharpnessOf({spectrum: {eigenvalues: [9], converged: [false]}})).toBeNull();
});

test("a ball says its step, then its end or what went wrong", () => {
  const ball = {req: -1, name: "SGD", step: 0, done: false, diverged: false, loss: null, message: "", error: ""};
  expect(words(ball)).toBe("on its way");
  expect(words({...ball, step: 1200})).toBe("step 1\u202f200");
  expect(words({...ball, done: true, loss: 0.1234, message: "200 steps"})).toBe("end loss 0.123 · 200 steps");
  expect(words({...ball, done: true, message: "not finished, 7 steps"})).toBe("not finished, 7 steps");
  const message = "diverged after 9 steps: the loss is inf";
  expect(words({...ball, done: true, diverged: true, loss: 1e9, message})).toBe(message);
  expect(words({...ball, done: true, error: "The model raises."})).toBe("The model raises.");
});
