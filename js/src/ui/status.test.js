import {describe, expect, it} from "vitest";
import {previewWords} from "./status.js";

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
