import {describe, expect, it} from "vitest";
import {fade, formatLevel, ladder, MAX_LEVELS, rungsOf, tickStep, ticks} from "./ladder.js";

/** @param {import("./ladder.js").Ladder} one */
const values = (one) => one.levels.map((level) => level.value);
/** @param {import("./ladder.js").Ladder} one */
const majors = (one) => one.levels.filter((level) => level.major).map((level) => level.value);

/** A fixed sequence in [0, 1), so that a failure can be repeated. */
function numbers(seed = 1) {
  let state = seed;
  return () => {
    state = (state * 16807) % 2147483647;
    return state / 2147483647;
  };
}

describe("a linear ladder", () => {
  it("has 8 to 20 lines in any range", () => {
    const draw = numbers();
    for (let i = 0; i < 2000; i++) {
      const lo = (draw() - 0.5) * 10 ** (6 * draw());
      const {levels} = ladder({lo, hi: lo + 10 ** (12 * draw() - 6), scale: "linear"});
      expect(levels.length).toBeGreaterThanOrEqual(8);
      expect(levels.length).toBeLessThanOrEqual(20);
    }
  });

  it("has majors among round minors", () => {
    const one = ladder({lo: -0.3, hi: 2.3, scale: "linear"});
    expect(values(one)).toEqual([-0.2, 0, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.2]);
    expect(majors(one)).toEqual([0, 1, 2]);
  });

  it("keeps its lines while the range drifts", () => {
    const first = ladder({lo: 0, hi: 1, scale: "linear"});
    const kept = new Set(values(first));
    let previous = first;
    for (let i = 0; i <= 50; i++) {
      previous = ladder({lo: 0, hi: 1 + i / 100, scale: "linear", previous});
      expect(previous.step).toBe(first.step);
      for (const value of kept) expect(values(previous)).toContain(value);
    }
  });

  it("does not flicker at a threshold: going there and back changes its step once each way at most", () => {
    let previous = ladder({lo: 0, hi: 1.7, scale: "linear"});
    let changes = 0;
    for (let i = 0; i < 400; i++) {
      const next = ladder({lo: 0, hi: 2 + 0.08 * Math.sin(i), scale: "linear", previous});
      if (next.step !== previous.step) changes++;
      previous = next;
    }
    expect(changes).toBeLessThanOrEqual(1);
  });

  it("has the same lines wherever the range is panned to", () => {
    const here = new Set(values(ladder({lo: 0.13, hi: 1.13, scale: "linear"})));
    const there = values(ladder({lo: 0.57, hi: 1.57, scale: "linear"}));
    for (const value of there) if (value < 1.13) expect(here).toContain(value);
  });

  it("tells levels apart deep in a zoom", () => {
    const {levels, step} = ladder({lo: 0.0909012, hi: 0.0909013, scale: "linear"});
    expect(levels.length).toBeGreaterThanOrEqual(8);
    expect(new Set(levels.map(({value}) => formatLevel(value, step))).size).toBe(levels.length);
  });
});

describe("a log ladder", () => {
  it("has majors at 1, 2 and 5", () => {
    expect(majors(ladder({lo: 0.09, hi: 6, scale: "log"}))).toEqual([0.1, 0.2, 0.5, 1, 2, 5]);
  });

  it("has majors at powers of ten alone over many decades", () => {
    expect(majors(ladder({lo: 0.9e-5, hi: 20, scale: "log"}))).toEqual([1e-5, 1e-4, 0.001, 0.01, 0.1, 1, 10]);
  });

  it("falls back to even steps within half a decade", () => {
    expect(majors(ladder({lo: 1, hi: 2.5, scale: "log"}))).toEqual([1, 1.5, 2, 2.5]);
  });

  it("keeps to a readable number of lines from half a decade to all of them", () => {
    for (let decades = 0.1; decades < 600; decades *= 1.07) {
      const {levels} = ladder({lo: 10 ** (-decades / 2), hi: 10 ** (decades / 2), scale: "log"});
      expect(levels.length).toBeGreaterThanOrEqual(6);
      // Five decades of seven; three in seven are majors.
      expect(levels.length).toBeLessThanOrEqual(36);
      expect(levels.some((level) => level.major)).toBe(true);
    }
  });

  it("never flickers on its way through all its sets", () => {
    /** @type {import("./ladder.js").Ladder | null} */
    let previous = null;
    /** @type {string[]} */
    const rungs = [];
    for (let i = 0; i < 4000; i++) {
      const decades = 0.2 * 1.002 ** i * (1 + 0.03 * Math.sin(i));
      const next = ladder({lo: 1, hi: 10 ** Math.min(decades, 300), scale: "log", previous});
      if (next.rung !== previous?.rung) rungs.push(next.rung);
      previous = next;
    }
    expect(new Set(rungs).size).toBe(rungs.length);
  });

  it("lists lines of its set beyond the range, and no others", () => {
    for (const scale of /** @type {const} */ (["linear", "log"]))
      for (const [lo, hi] of [
        [0.3, 0.5],
        [0.2, 9],
        [1e-3, 30],
        [1e-7, 1e5],
      ]) {
        const own = ladder({lo, hi, scale});
        const more = ladder({lo, hi, scale, from: lo / 2, to: hi * 20});
        expect(more.rung).toBe(own.rung);
        expect(more.levels.filter(({value}) => value >= lo && value <= hi)).toEqual(own.levels);
        expect(more.levels.length).toBeGreaterThan(own.levels.length);
      }
  });

  it("forgets the set of another scale", () => {
    const previous = ladder({lo: 1, hi: 1000, scale: "log"});
    expect(ladder({lo: 0, hi: 1, scale: "linear", previous})).toEqual(ladder({lo: 0, hi: 1, scale: "linear"}));
  });

  it("has no lines where there is no logarithm", () => {
    expect(ladder({lo: 0, hi: 1, scale: "log"}).levels).toEqual([]);
    expect(ladder({lo: -1, hi: 1, scale: "log"}).levels).toEqual([]);
  });
});

describe("a ladder of both signs", () => {
  const scale = "symlog:0.01";

  it("has 0 in the middle, and the same levels below it as above", () => {
    const one = ladder({lo: -1, hi: 1, scale});
    expect(majors(one)).toEqual([-1, -0.5, -0.2, -0.1, -0.05, -0.02, -0.01, 0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]);
    expect(
      values(one)
        .map((value) => -value || 0)
        .reverse(),
    ).toEqual(values(one));
  });

  it("is that of a logarithm far from 0, and even within ± c", () => {
    expect(values(ladder({lo: 0.3, hi: 8, scale}))).toEqual(values(ladder({lo: 0.3, hi: 8, scale: "log"})));
    expect(values(ladder({lo: -0.004, hi: 0.006, scale}))).toEqual(
      values(ladder({lo: -0.004, hi: 0.006, scale: "linear"})),
    );
  });

  it("keeps to a readable number of lines whatever it spans", () => {
    const draw = numbers(3);
    for (let i = 0; i < 400; i++) {
      const end = () => (draw() < 0.5 ? -1 : 1) * 10 ** (7 * draw() - 4);
      const [lo, hi] = [end(), end()].sort((a, b) => a - b);
      const {levels} = ladder({lo, hi, scale});
      expect(levels.length).toBeGreaterThanOrEqual(5);
      expect(levels.length).toBeLessThanOrEqual(45);
      expect(levels.some((level) => level.major)).toBe(true);
      for (let k = 1; k < levels.length; k++) expect(levels[k].value).toBeGreaterThan(levels[k - 1].value);
    }
  });

  it("has the same lines wherever the range is panned to, and keeps them while it drifts", () => {
    const here = ladder({lo: -3, hi: 5, scale});
    const there = values(ladder({lo: -2, hi: 7, scale}));
    for (const value of there) if (value <= 5) expect(values(here)).toContain(value);
    let previous = here;
    for (let i = 0; i < 100; i++) {
      previous = ladder({lo: -3 - 0.4 * Math.sin(i), hi: 5 + 0.6 * Math.sin(1.3 * i), scale, previous});
      expect(previous.rung).toBe(here.rung);
    }
  });

  it("names every decade on both sides of 0 while neither side alone has seven of them", () => {
    expect(majors(ladder({lo: -1500, hi: 1500, scale})).filter((value) => value >= 0)).toEqual([
      0, 0.01, 0.1, 1, 10, 100, 1000,
    ]);
  });

  it("never flickers on its way from ± c / 10 to ± 10⁶ c", () => {
    /** @type {import("./ladder.js").Ladder | null} */
    let previous = null;
    /** @type {string[]} */
    const rungs = [];
    for (let i = 0; i < 4000; i++) {
      const hi = 1e-3 * 1.004 ** i * (1 + 0.02 * Math.sin(i));
      const next = ladder({lo: -hi, hi, scale, previous});
      if (next.rung !== previous?.rung) rungs.push(next.rung);
      previous = next;
    }
    expect(new Set(rungs).size).toBe(rungs.length);
    expect(rungs.length).toBeGreaterThan(5);
  });
});

it("levels ascend, lie in the range, and are never more than 64", () => {
  const draw = numbers(7);
  for (let i = 0; i < 1000; i++) {
    const scale = i % 2 ? "log" : "linear";
    const lo = 10 ** (40 * draw() - 20);
    const hi = lo * (1 + 10 ** (30 * draw() - 10));
    const all = values(ladder({lo, hi, scale}));
    expect(all.length).toBeLessThanOrEqual(MAX_LEVELS);
    for (let k = 0; k < all.length; k++) {
      expect(all[k] >= lo && all[k] <= hi).toBe(true);
      if (k) expect(all[k]).toBeGreaterThan(all[k - 1]);
    }
  }
});

it("a range that is none has no lines", () => {
  for (const scale of /** @type {const} */ (["linear", "log"])) {
    for (const [lo, hi] of [
      [1, 1],
      [2, 1],
      [Number.NaN, 1],
      [0.5, Number.POSITIVE_INFINITY],
      [1, 1 + 1e-15],
      [-1e308, 1e308],
    ]) {
      expect(ladder({lo, hi, scale})).toEqual({levels: [], scale, rung: "", step: 0});
    }
  }
});

it("a fade keeps the lines of both ladders and mixes the others", () => {
  const from = ladder({lo: 0, hi: 1, scale: "linear"}).levels;
  const to = ladder({lo: 0, hi: 2, scale: "linear"}).levels;
  const half = fade(from, to, 0.25);
  /** @param {number} value */
  const at = (value) => half.find((level) => level.value === value)?.opacity;
  expect(at(0.2)).toBe(1);
  expect(at(0.1)).toBe(0.75);
  expect(at(1.8)).toBe(0.25);
  expect(half.map((level) => level.value)).toEqual([...half.map((level) => level.value)].sort((a, b) => a - b));
  expect(fade(from, to, 1)).toBe(to);
  expect(values({levels: fade(from, to, 0), scale: "linear", rung: "", step: 0})).toEqual(
    expect.arrayContaining(from.map((level) => level.value)),
  );
});

describe("a number", () => {
  it("has the digits that its step deserves", () => {
    expect(formatLevel(0.30000000000000004, 0.1)).toBe("0.3");
    expect(formatLevel(0.5, 0.25)).toBe("0.50");
    expect(formatLevel(-1.5, 0.5)).toBe("−1.5");
    expect(formatLevel(1200, 200)).toBe("1200");
    expect(formatLevel(0.09090123, 1e-8)).toBe("0.09090123");
    expect(formatLevel(-1e-17, 0.2)).toBe("0");
    expect(formatLevel(0.1)).toBe("0.1");
  });

  it("is a power of ten where it is very small or large", () => {
    expect(formatLevel(2e-7, 1e-7)).toBe("2×10⁻⁷");
    expect(formatLevel(-2.5e-7, 5e-8)).toBe("−2.5×10⁻⁷");
    expect(formatLevel(1e12, 1e12)).toBe("1×10¹²");
    expect(formatLevel(1500000, 100000)).toBe("1.5×10⁶");
  });

  it("says what is not finite", () => {
    expect([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map((v) => formatLevel(v, 1))).toEqual([
      "NaN",
      "∞",
      "−∞",
    ]);
  });
});

describe("ticks", () => {
  it("are round and inside", () => {
    expect(ticks(-1.15, 1.15, 12)).toEqual([-1, -0.8, -0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks(1, 0, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(tickStep(-1.15, 1.15, 12)).toBe(0.2);
  });

  it("are none where there is no room", () => {
    expect(ticks(1, 1, 5)).toEqual([]);
    expect(ticks(0, Number.NaN, 5)).toEqual([]);
    expect(ticks(0, 1, 0)).toEqual([]);
  });
});

describe("levels that somebody chose", () => {
  it("are the lines, all of them major, and another choice is another rung", () => {
    const chosen = rungsOf([0.1, 0.25, 4], "log");
    expect(chosen.levels.map(({value, major}) => [value, major])).toEqual([
      [0.1, true],
      [0.25, true],
      [4, true],
    ]);
    expect(rungsOf([0.1, 0.25], "log").rung).not.toBe(chosen.rung);
  });
});
