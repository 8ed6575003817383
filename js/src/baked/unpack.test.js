import {readFileSync} from "node:fs";
import {join} from "node:path";
import {describe, expect, it} from "vitest";
import {codesOf, tilesOf, unpack, valuesOf} from "./unpack.js";

const folder = join(import.meta.dirname, "../../../tests/fixtures/baked");
const fixture = () => {
  const bytes = readFileSync(join(folder, "small.bin"));
  // At an odd offset in a larger buffer, as hosts hand out what they received.
  const copy = new Uint8Array(bytes.length + 3);
  copy.set(bytes, 3);
  const start = 4 + bytes.readUInt32LE(0);
  return new DataView(copy.buffer, 3 + start, bytes.length - start);
};
const said = (/** @type {number | string} */ value) =>
  typeof value === "number" ? value : value === "nan" ? Number.NaN : Number.POSITIVE_INFINITY;

describe("what was baked", () => {
  it("has a head that says what it is", async () => {
    const {head} = await unpack(fixture());
    expect(head).toMatchObject({format: 1, depth: 2, caption: "a bowl", spectra: []});
    expect(head.frames).toEqual([{z: 1, column: -64, row: -64, shape: [129, 129]}]);
  });

  it("holds the values that the kernel's side wrote down, within the bound", async () => {
    const {head, section} = await unpack(fixture());
    const [field] = head.fields;
    const [{bound, base}] = field.pieces;
    const tiles = await tilesOf(head, field, section);
    expect(tiles).toHaveLength(20);
    const expected = JSON.parse(readFileSync(join(folder, "small.json"), "utf8"));
    expect(expected.length).toBeGreaterThan(5);
    let finite = 0;
    for (const {z, x, y, nodes, values, centres} of expected) {
      const tile = tiles.find((one) => one.z === z && one.x === x && one.y === y);
      if (!tile) throw new Error(`There is no tile ${z}/${x}/${y}.`);
      expect([tile.nodes, tile.base, tile.q, tile.f]).toEqual([nodes, base, 2, 0]);
      for (const [found, wanted] of [
        [tile.values, values],
        [tile.centres, centres],
      ]) {
        expect(found?.length).toBe(wanted?.length);
        for (const [i, value] of (wanted ?? []).map(said).entries()) {
          if (Number.isFinite(value)) {
            expect(Math.abs(found[i] + base - value)).toBeLessThanOrEqual(bound);
            finite++;
          } else expect(found[i]).toBe(value);
        }
      }
    }
    expect(finite).toBeGreaterThan(300);
  });

  it("says of each tile its range, its holes and its errors", async () => {
    const {head, section} = await unpack(fixture());
    const tiles = await tilesOf(head, head.fields[0], section);
    const corner = tiles.find(({z, x, y}) => z === 1 && x === 1 && y === 1);
    expect(corner?.bad).toBeGreaterThan(0);
    expect(corner?.error).toBeNull();
    const far = tiles.find(({z, x, y}) => z === 1 && x === -2 && y === -2);
    expect(far).toMatchObject({bad: 0, noise: false, sample: null});
    expect(far?.min).toBeGreaterThan(0.3);
    expect(far?.max).toBeLessThan(1.6);
    expect(far?.error).toBeGreaterThan(0);
    expect(far?.error_of_log).toBeGreaterThan(0);
  });
});

describe("codes", () => {
  it("are the sums of their differences along both axes, modulo 2¹⁶", () => {
    // 5 7 / 4 65535: differences 5 2 / −1 −3 − … by hand.
    const codes = [5, 7, 4, 65535];
    const along = [5, 2, 4, 65531];
    const both = [5, 2, -1, 65529].map((d) => (d << 16) >> 16);
    expect(along[3] - along[1]).toBe(65529);
    const small = both.map((d) => ((d << 1) ^ (d >> 15)) & 0xffff);
    const bytes = new Uint8Array([...small.map((s) => s & 255), ...small.map((s) => s >> 8)]);
    expect([...codesOf(bytes, [2, 2])]).toEqual(codes);
  });

  it("become values by the base and the step of their block", () => {
    const codes = new Uint16Array(33).fill(10);
    codes[32] = 65535;
    const values = valuesOf(codes, new Float64Array([100, 7]), new Float64Array([0.5, 1]), [1, 33], 100);
    expect(values[0]).toBe(5);
    expect(values[31]).toBe(5);
    expect(values[32]).toBeNaN();
  });
});

describe("a line", () => {
  it("has one row, which is the same for every b", async () => {
    const {tileOf} = await import("./unpack.js");
    const values = Float32Array.from({length: 33}, (_, i) => i);
    const grid = {z: 0, column: 0, row: 0, shape: /** @type {[number, number]} */ ([1, 33])};
    const tile = tileOf([0, 0, 0, 3, 0, 0.1, null, 0], values, grid, {f: 0, base: 2});
    expect([...tile.values]).toEqual([0, 16, 32, 0, 16, 32, 0, 16, 32]);
    expect([tile.min, tile.max, tile.bad]).toEqual([2, 34, 0]);
  });
});
