import {describe, expect, it} from "vitest";
import {colourAt, domainOf, drawn, lookupTable, undrawn} from "./colour.js";

describe("a lookup table", () => {
  const lut = lookupTable("viridis");

  it("holds viridis, from violet to yellow", () => {
    expect(lut.length).toBe(768);
    expect([...lut.slice(0, 3)]).toEqual([68, 1, 84]);
    expect([...lut.slice(-3)]).toEqual([253, 231, 37]);
  });

  it("is viridis to one step between the entries that are kept", () => {
    const known = {
      42: [68, 57, 131],
      96: [44, 114, 142],
      128: [33, 145, 140],
      160: [40, 174, 128],
      213: [144, 215, 67],
    };
    for (const [entry, colour] of Object.entries(known))
      for (const [c, value] of colour.entries())
        expect(Math.abs(lut[3 * Number(entry) + c] - value)).toBeLessThanOrEqual(1);
  });

  it("only gets lighter", () => {
    const luma = Array.from(
      {length: 256},
      (_, i) => 0.2126 * lut[3 * i] + 0.7152 * lut[3 * i + 1] + 0.0722 * lut[3 * i + 2],
    );
    for (let i = 1; i < 256; i++) expect(luma[i]).toBeGreaterThan(luma[i - 1] - 0.5);
  });

  it("is linear between its entries and clamped at its ends", () => {
    expect(colourAt(lut, -1)).toEqual([68, 1, 84]);
    expect(colourAt(lut, 2)).toEqual([253, 231, 37]);
    expect(colourAt(lut, 0.5 / 255)[2]).toBeCloseTo((lut[2] + lut[5]) / 2, 9);
  });

  it("is not made up when the name is unknown", () => {
    expect(() => lookupTable("jet")).toThrow('There is no colour map "jet". Take one of: viridis.');
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
