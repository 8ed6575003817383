import {describe, expect, it} from "vitest";
import {autoScale, beyond, colourAt, domainOf, drawn, linthresh, lookupTable, undrawn} from "./colour.js";

describe("a lookup table", () => {
  const lut = lookupTable("viridis");

  it("holds viridis, from violet to yellow", () => {
    expect(lut.length).toBe(768);
    expect([...lut.slice(0, 3)]).toEqual([68, 1, 84]);
    expect([...lut.slice(-3)]).toEqual([253, 231, 37]);
  });

  // Each to one step; entries that lie between those that are kept, and the ends of the parts.
  it.each(
    Object.entries({
      viridis: {42: [68, 57, 131], 96: [44, 114, 142], 128: [33, 145, 140], 160: [40, 174, 128], 213: [144, 215, 67]},
      cividis: {0: [0, 34, 78], 20: [0, 48, 112], 42: [42, 63, 109], 127: [124, 123, 120], 252: [254, 228, 52]},
      magma: {0: [0, 0, 4], 20: [14, 11, 43], 96: [131, 38, 129], 160: [231, 82, 99], 255: [252, 253, 191]},
      batlow: {0: [1, 25, 89], 42: [20, 77, 98], 127: [129, 130, 50], 213: [253, 172, 158], 255: [250, 204, 250]},
      vik: {0: [0, 18, 97], 42: [6, 84, 139], 127: [235, 230, 226], 213: [169, 69, 18], 255: [89, 0, 8]},
    }),
  )("is %s to one step", (name, known) => {
    const table = lookupTable(name);
    for (const [entry, colour] of Object.entries(known))
      for (const [c, value] of colour.entries())
        expect(Math.abs(table[3 * Number(entry) + c] - value)).toBeLessThanOrEqual(1);
  });

  it("is linear between its entries and clamped at its ends", () => {
    expect(colourAt(lut, -1)).toEqual([68, 1, 84]);
    expect(colourAt(lut, 2)).toEqual([253, 231, 37]);
    expect(colourAt(lut, 0.5 / 255)[2]).toBeCloseTo((lut[2] + lut[5]) / 2, 9);
  });

  it("is not made up when the name is unknown", () => {
    expect(() => lookupTable("jet")).toThrow('There is no colour map "jet". Take one of: viridis, cividis');
    expect(() => lookupTable("toString")).toThrow("There is no colour map");
  });
});

describe("the colour domain", () => {
  it("keeps the minimum and leaves out the highest few", () => {
    const samples = Float32Array.from({length: 1001}, (_, i) => (i === 1000 ? 1e9 : i));
    expect(domainOf([samples])).toEqual([0, 995]);
  });

  it("goes down to the minimum of a log scale, but not to the pit of a few samples", () => {
    const samples = Float32Array.from({length: 1001}, (_, i) => (i === 0 ? -700 : i));
    expect(domainOf([samples], {scale: "log"})).toEqual([5 - 990 / 4, 995]);
    expect(domainOf([samples.slice(1)], {scale: "log"})?.[0]).toBe(1);
  });

  it("counts finite samples only, over all grids", () => {
    expect(domainOf([[Number.NaN, 1], [Number.POSITIVE_INFINITY], [3]])?.[0]).toBe(1);
    expect(domainOf([[Number.NaN], []])).toBeNull();
  });

  it("is a point where all is flat, and everything where all but a few samples are", () => {
    expect(domainOf([[2, 2, 2]])).toEqual([2, 2]);
    expect(domainOf([Float32Array.from({length: 1000}, (_, i) => (i ? 2 : 5))])).toEqual([2, 5]);
  });
});

it("a log scale draws logarithms, and what has none as a hole", () => {
  expect(undrawn(drawn(0.3, "log"), "log")).toBeCloseTo(0.3, 14);
  expect(drawn(0.3, "linear")).toBe(0.3);
  expect(Number.isFinite(drawn(0, "log"))).toBe(false);
  expect(drawn(-1, "log")).toBeNaN();
});

describe("a symmetric logarithm", () => {
  const scale = "symlog:0.01";

  it("is linear near 0, a logarithm far from it, and odd", () => {
    expect(drawn(1e-5, scale)).toBeCloseTo(1e-5 / 0.02, 9);
    expect(drawn(70, scale)).toBeCloseTo(Math.log(70 / 0.01), 7);
    expect(drawn(-70, scale)).toBe(-drawn(70, scale));
    expect(drawn(0, scale)).toBe(0);
  });

  it("goes there and back", () => {
    for (const value of [-1e6, -3, -1e-9, 0, 0.02, 5])
      expect(undrawn(drawn(value, scale), scale)).toBeCloseTo(value, 8);
  });

  it("carries its c in its name, and no other scale has one", () => {
    expect(linthresh("symlog:1e-7")).toBe(1e-7);
    expect(linthresh("log")).toBeNaN();
  });
});

describe("the scale", () => {
  const unknown = /** @type {const} */ ({kind: "linear", c: 0});

  // As in tests/test_scale.py: the kernel guesses what the page will choose.
  it.each([
    [[1, 19], "linear"],
    [[1, 21], "log"],
    [[0, 21], "linear"],
    [[-1, 0.5, 2], "linear"],
    [[-0.1, 0.05, 0.02, 300], "symlog"],
    [[-0.01, 0.005, 0.002, -0.3], "symlog"],
    [[Number.NaN, Number.POSITIVE_INFINITY], "linear"],
  ])("that suits %s is %s", (values, kind) => {
    expect(autoScale(values, unknown).kind).toBe(kind);
  });

  it("has a c between a thousandth and a hundredth of the largest value, which stays while it is not far off", () => {
    for (const most of [1, 3, 9.99, 1e-7, 2e5]) {
      const {c} = autoScale([-most, most / 2], unknown);
      expect(most / c).toBeGreaterThanOrEqual(99.99);
      expect(most / c).toBeLessThan(1000);
      expect(Math.log10(c) % 1).toBeCloseTo(0, 12);
    }
    expect(autoScale([-20, 20], {kind: "symlog", c: 0.01}).c).toBe(0.01);
    expect(autoScale([-40, 40], {kind: "symlog", c: 0.01}).c).toBe(0.1);
  });

  it("that was chosen stays while the range wavers", () => {
    expect(autoScale([1, 15], {kind: "log", c: 0}).kind).toBe("log");
    expect(autoScale([1, 9], {kind: "log", c: 0}).kind).toBe("linear");
  });
});

it("values lie beyond the colours where a bar would show it", () => {
  expect(beyond({lo: 0, hi: 1}, [0, 1])).toEqual({above: false, below: false});
  expect(beyond({lo: -0.001, hi: 1.01}, [0, 1])).toEqual({above: true, below: false});
  expect(beyond({lo: -2, hi: 0.5}, [0, 1])).toEqual({above: false, below: true});
  expect(beyond(null, [0, 1])).toEqual({above: false, below: false});
});
