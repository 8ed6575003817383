import {describe, expect, test} from "vitest";
import {SIZE} from "./spline.js";
import {ancestorOf, childrenOf, cover, errorOf, partOf, sample, suffices, TileStore} from "./tiles.js";

/**
 * A tile of f, as the kernel would send it. @param {import("./tiles.js").TileAddress} address @param {number} nodes
 * @param {(a: number, b: number) => number} f @param {Partial<import("./protocol.js").TileData>} [more]
 * @returns {import("./protocol.js").TileData}
 */
function tileOf({z, x, y}, nodes, f, more = {}) {
  const base = more.base ?? f(x / 2 ** z, y / 2 ** z);
  const values = new Float32Array(nodes * nodes);
  for (let j = 0; j < nodes; j++)
    for (let i = 0; i < nodes; i++) {
      const a = (x + i / (nodes - 1)) / 2 ** z;
      const b = (y + j / (nodes - 1)) / 2 ** z;
      values[j * nodes + i] = f(a, b) - base;
    }
  return {
    ...{
      z,
      x,
      y,
      f: 0,
      q: 2,
      nodes,
      error: null,
      error_of_log: null,
      min: 0,
      max: 1,
      bad: 0,
      noise: false,
      base,
      values,
      centres: null,
      sample: null,
    },
    ...more,
  };
}
const plane = (/** @type {number} */ a, /** @type {number} */ b) => 3 + a + 2 * b;

test("a tile is among the children of its parent, also left of zero", () => {
  for (const address of [
    {z: 3, x: 5, y: 2},
    {z: 0, x: -1, y: -1},
    {z: -2, x: -7, y: 3},
  ])
    expect(childrenOf(ancestorOf(address))).toContainEqual(address);
});

test("the four children are the four quarters of their parent, lower row first", () => {
  const parent = {z: -1, x: -3, y: 4};
  expect(childrenOf(parent).map((child) => partOf(child, parent))).toEqual([
    [0, 0, 0.5, 0.5],
    [0.5, 0, 1, 0.5],
    [0, 0.5, 0.5, 1],
    [0.5, 0.5, 1, 1],
  ]);
});

describe("cover", () => {
  test("of the home extent at level 0 are the four home tiles", () => {
    const tiles = cover([-1, 1, -1, 1], 0);
    expect(tiles).toHaveLength(4);
    expect(tiles).toContainEqual({z: 0, x: -1, y: -1});
    expect(tiles).toContainEqual({z: 0, x: 0, y: 0});
  });

  test("holds every point of its rectangle and begins at the centre", () => {
    const rect = [-0.31, 1.27, 0.02, 0.9];
    const tiles = cover(rect, 3);
    const has = (/** @type {number} */ a, /** @type {number} */ b) =>
      tiles.some((t) => t.x <= a * 8 && a * 8 <= t.x + 1 && t.y <= b * 8 && b * 8 <= t.y + 1);
    for (let i = 0; i <= 20; i++)
      for (let j = 0; j <= 20; j++)
        expect(has(rect[0] + (i / 20) * (rect[1] - rect[0]), rect[2] + (j / 20) * (rect[3] - rect[2]))).toBe(true);
    expect(tiles[0]).toEqual({z: 3, x: 3, y: 3});
  });

  test("one ring more surrounds it", () => {
    expect(cover([-1, 1, -1, 1], 0, 1)).toHaveLength(16);
  });
});

describe("the store", () => {
  const home = {z: 0, x: 0, y: 0};

  test("keeps what says more: a later pass replaces, an earlier one does not", () => {
    const store = new TileStore();
    expect(store.put("s", tileOf(home, 9, plane))).toBe(true);
    expect(store.put("s", tileOf(home, 5, plane))).toBe(false);
    expect(store.put("s", tileOf(home, 17, plane))).toBe(true);
    expect(store.put("s", tileOf(home, 33, plane, {q: 1}))).toBe(false);
    expect(store.get("s", 0, home)?.data.nodes).toBe(17);
    expect(store.size).toBe(1);
  });

  test("keeps scenes apart", () => {
    const store = new TileStore();
    store.put("s", tileOf(home, 3, plane));
    expect(store.get("t", 0, home)).toBeNull();
  });

  test("draws a parent rather than a coarser pass of the child, and the child when it knows as much", () => {
    const store = new TileStore();
    const child = {z: 1, x: 1, y: 0};
    store.put("s", tileOf(home, 33, plane));
    store.put("s", tileOf(child, 9, plane));
    expect(store.best("s", 0, child)?.data.z).toBe(0);
    store.put("s", tileOf(child, 17, plane));
    expect(store.best("s", 0, child)?.data.z).toBe(1);
  });

  test("finds the nearest ancestor of a tile that has not come", () => {
    const store = new TileStore();
    store.put("s", tileOf(home, 33, plane));
    expect(store.best("s", 0, {z: 5, x: 20, y: 3})?.data.z).toBe(0);
    expect(store.best("s", 0, {z: 5, x: -1, y: 3})).toBeNull();
  });

  test("lets the least recently used tile go, but no home tile of the scene shown", () => {
    const store = new TileStore({dataBytes: 3 * (4 * 81 + 200)});
    store.pinned = "s";
    store.put("s", tileOf(home, 9, plane));
    for (let x = 0; x < 3; x++) store.put("s", tileOf({z: 4, x, y: 0}, 9, plane));
    expect(store.get("s", 0, home)).not.toBeNull();
    expect(store.get("s", 0, {z: 4, x: 0, y: 0})).toBeNull();
    expect(store.get("s", 0, {z: 4, x: 2, y: 0})).not.toBeNull();
  });

  test("lets grids go before tiles, and fills them again", () => {
    const store = new TileStore({gridBytes: 2 * 4 * SIZE * SIZE});
    for (let x = 0; x < 3; x++) store.put("s", tileOf({z: 0, x, y: 0}, 9, plane));
    for (let x = 0; x < 3; x++) store.grid("s", /** @type {any} */ (store.get("s", 0, {z: 0, x, y: 0})), "linear");
    expect(store.size).toBe(3);
    expect(store.bytes.grids).toBe(2 * 4 * SIZE * SIZE);
    const first = /** @type {any} */ (store.get("s", 0, home));
    expect(first.grids.linear).toBeUndefined();
    expect(sample(store.grid("s", first, "linear").grid, 0, 0)).toBe(0);
  });
});

describe("the grid that is drawn", () => {
  test("is the field itself, read between its points", () => {
    const store = new TileStore();
    store.put("s", tileOf({z: 0, x: 0, y: 0}, 5, plane));
    const {grid, offset} = store.grid("s", /** @type {any} */ (store.get("s", 0, {z: 0, x: 0, y: 0})), "linear");
    // Differences travel as float32: 2⁻²⁴ of 3.
    for (const [u, v] of [
      [0, 0],
      [1, 1],
      [0.37, 0.81],
    ])
      expect(sample(grid, u, v) + offset).toBeCloseTo(plane(u, v), 5);
  });

  test("is the logarithm on the log scale, and nothing where there is none", () => {
    const store = new TileStore();
    const data = tileOf({z: 0, x: 0, y: 0}, 3, (a, b) => Math.exp(a - b), {base: 1});
    store.put("s", data);
    const {grid, offset} = store.grid("s", /** @type {any} */ (store.get("s", 0, data)), "log");
    expect(sample(grid, 0.5, 0.25) + offset).toBeCloseTo(0.25, 6);

    store.put(
      "n",
      tileOf({z: 0, x: 0, y: 0}, 3, (a) => a - 0.5, {base: -0.5}),
    );
    const negative = store.grid("n", /** @type {any} */ (store.get("n", 0, data)), "log");
    expect(sample(negative.grid, 0, 0)).toBeNaN();
    expect(sample(negative.grid, 1, 0) + negative.offset).toBeCloseTo(Math.log(0.5), 6);
  });

  test("keeps the digits of a deep zoom: differences of 1e-9 around 1", () => {
    const store = new TileStore();
    const data = tileOf({z: 0, x: 0, y: 0}, 3, (a) => 1 + 1e-9 * a, {base: 1});
    data.values.set([0, 0.5e-9, 1e-9, 0, 0.5e-9, 1e-9, 0, 0.5e-9, 1e-9]);
    store.put("s", data);
    for (const scale of /** @type {const} */ (["linear", "log"])) {
      const {grid} = store.grid("s", /** @type {any} */ (store.get("s", 0, data)), scale);
      expect(sample(grid, 0.5, 0.5) / 0.5e-9).toBeCloseTo(1, 5);
    }
  });

  test("a missing value does not spread to the grid point beside it", () => {
    const grid = new Float32Array(SIZE * SIZE);
    grid[1] = Number.NaN;
    expect(sample(grid, 0, 0)).toBe(0);
    expect(sample(grid, 0.5 / (SIZE - 1), 0)).toBeNaN();
    expect(sample(grid, 2 / (SIZE - 1), 0)).toBe(0);
  });
});

describe("on a symmetric logarithm", () => {
  const scale = "symlog:0.001";
  const crossing = (/** @type {number} */ a, /** @type {number} */ b) => a - 0.37 + 0.1 * b;

  test("a tile that spans 0 is interpolated before the logarithm is taken, and keeps its digits", () => {
    const store = new TileStore();
    store.put("s", tileOf({z: 0, x: 0, y: 0}, 9, crossing));
    const tile = /** @type {import("./tiles.js").Tile} */ (store.get("s", 0, {z: 0, x: 0, y: 0}));
    const {grid, offset} = store.grid("s", tile, scale);
    for (let i = 0; i < SIZE; i++)
      expect(grid[i] + offset).toBeCloseTo(Math.asinh(crossing(i / (SIZE - 1), 0) / 0.002), 3);
  });

  test("an error of the field is most where it is 0, and a share of a value far from it", () => {
    const here = tileOf({z: 0, x: 0, y: 0}, 9, crossing, {error: 1e-4, min: -0.37, max: 0.73});
    expect(errorOf(here, scale)).toBeCloseTo(2 * Math.asinh(1e-4 / 0.004), 12);
    expect(errorOf({...here, min: 0.5}, scale)).toBeCloseTo(1e-4 / 0.5, 6);
    expect(errorOf({...here, min: -3, max: -0.5}, scale)).toBeCloseTo(1e-4 / 0.5, 6);
    expect(errorOf({...here, error: null}, scale)).toBe(null);
    expect(errorOf(here, "linear")).toBe(1e-4);
    expect(suffices(here, scale, 0.04)).toBe(false);
    expect(suffices({...here, min: 0.5}, scale, 0.04)).toBe(true);
  });
});
