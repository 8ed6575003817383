import {describe, expect, it} from "vitest";
import {previewWords, restWords, withinWords} from "./status.js";

describe("the words of a preview", () => {
  it("say what it rests on, and two standard errors of level and shape", () => {
    const words = previewWords({rests_on: "512 of 60\u202f000 samples", level: 0.01, shape: 0.25});
    expect(words).toBe("a preview on 512 of 60\u202f000 samples, level ± 0.020, shape ± 0.50");
  });

  it("say when a sample cannot tell its error", () => {
    const words = previewWords({rests_on: "16 of 400 batches", level: Number.POSITIVE_INFINITY, shape: 0.1});
    expect(words).toBe("a preview on 16 of 400 batches, error unknown");
  });
});

it("an error on a scale is told in the field's own terms, and holds there", () => {
  expect(withinWords(0.02, "linear")).toBe("0.020");
  expect(withinWords(0.02, "log")).toBe("2.0 %");
  expect(withinWords(0.02, "symlog:0.01")).toBe("2.0 % and 0.00040");
  const [c, error] = [0.01, 0.02];
  for (const w of [-9, -1, -0.01, 0, 0.3, 4]) {
    const moved = Math.abs(2 * c * (Math.sinh(w + error) - Math.sinh(w)));
    expect(moved).toBeLessThanOrEqual(
      Math.expm1(error) * Math.abs(2 * c * Math.sinh(w)) + 2 * c * Math.sinh(error) + 1e-12,
    );
  }
});

describe("what lies between the nodes", () => {
  it("is within its error once it gets no better", () => {
    expect(restWords({finished: true, error: 0.02, scale: "linear"})).toBe("within ± 0.020");
    expect(restWords({finished: false, error: 0.02, scale: "linear"})).toBe("interpolated");
  });

  it("has no error where nobody knows it", () => {
    for (const error of [Number.POSITIVE_INFINITY, Number.NaN])
      expect(restWords({finished: true, error, scale: "log"})).toBe("interpolated, error unknown");
  });
});
