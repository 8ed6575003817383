import {describe, expect, it} from "vitest";
import {lengthOf, words} from "./scalebar.js";

describe("the length of the scale bar", () => {
  it("is 1, 2 or 5 times a power of ten, and as long as fits", () => {
    for (let k = -60; k < 60; k++) {
      const scale = 10 ** (k / 7);
      const length = lengthOf(scale, 150);
      expect(["1", "2", "5"]).toContain(length.toExponential().split("e")[0]);
      expect(length * scale).toBeLessThanOrEqual(150 * (1 + 1e-9));
      expect(length * scale).toBeGreaterThan(150 / 2.5 - 1e-6);
    }
  });

  it("does not flicker while the map is zoomed to and fro about a threshold", () => {
    const threshold = 150 / 0.5;
    let length = lengthOf(0.99 * threshold, 150);
    expect(length).toBe(0.5);
    for (const wobble of [1.02, 0.98, 1.1, 0.9, 1.2]) {
      length = lengthOf(wobble * threshold, 150, length);
      expect(length).toBe(0.5);
    }
    length = lengthOf(1.4 * threshold, 150, length);
    expect(length).toBe(0.2);
    expect(lengthOf(0.9 * threshold, 150, length)).toBe(0.2);
  });
});

describe("the words of the scale bar", () => {
  const axis = (/** @type {number | null} */ length, unit = "‖θ‖") => ({name: "random", length, unit});

  it("say the length in the plane, and what it is of the parameters", () => {
    expect(words(0.2, [axis(0.3), axis(0.3)])).toBe("0.2 in a, b · 0.06 ‖θ‖");
    expect(words(0.2, [axis(0.3)])).toBe("0.2 in a · 0.06 ‖θ‖");
  });

  it("say it of each axis where they differ", () => {
    expect(words(0.5, [axis(0.32), axis(0.2)])).toBe("0.5 · a: 0.16, b: 0.1 ‖θ‖");
    expect(words(1, [axis(2, "of w"), axis(3, "of c")])).toBe("1 · a: 2 of w, b: 3 of c");
  });

  it("say no more than is known", () => {
    expect(words(1e-7, [axis(null), axis(0.3)])).toBe("1e−7 in a, b");
    expect(words(5000, [])).toBe("5000 in a, b");
  });
});
