import {describe, expect, it} from "vitest";
import {previewWords} from "./status.js";

describe("the words of a preview", () => {
  it("say how many samples it rests on, and two standard errors of level and shape", () => {
    const words = previewWords({size: 512, level: 0.01, shape: 0.25}, 60_000);
    expect(words).toBe("a preview on 512 of 60\u202f000 samples, level ± 0.020, shape ± 0.50");
  });

  it("say when a sample cannot tell its error", () => {
    const words = previewWords({size: 512, level: Number.POSITIVE_INFINITY, shape: 0.1}, null);
    expect(words).toBe("a preview on 512 samples, error unknown");
  });
});
