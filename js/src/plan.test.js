import {describe, expect, test} from "vitest";
import {BLEND_MS, Plan} from "./plan.js";
import {tileOf} from "./source/memory.js";
import {valueIn} from "./stitch.js";
import {TileStore} from "./tiles.js";
import {Viewport} from "./viewport.js";

const f = (/** @type {number} */ a, /** @type {number} */ b) => 2 + a + b * b;
const home = new Viewport([0, 0], 2, 480, 480);

/** @param {Partial<import("./plan.js").Subject>} [more] @returns {import("./plan.js").Subject} */
const subject = (more = {}) => ({
  hash: "s",
  field: 0,
  scale: "linear",
  viewport: home,
  level: 0,
  allowed: null,
  ...more,
});

/** A store that holds f at these addresses, [z, x, y, nodes]. @param {number[][]} tiles */
function holding(tiles) {
  const store = new TileStore();
  for (const [z, x, y, nodes = 33] of tiles) store.put("s", tileOf(f, {z, x, y}, nodes));
  return {store, plan: new Plan(store)};
}
const quarters = [
  [0, -1, -1],
  [0, 0, -1],
  [0, -1, 0],
  [0, 0, 0],
];

/** A tile as good as its stated error. @param {number} error @param {object} [more] */
const judged = (error, more = {}) => ({...tileOf(f, {z: 0, x: 0, y: 0}, 5), error, ...more});

describe("what is good enough", () => {
  const inTile = new Viewport([0.3, 0.3], 0.2, 480, 480);
  const wanted = (/** @type {Plan} */ plan, /** @type {object} */ more) =>
    plan
      .wants(subject({viewport: inTile, level: 2, ...more}), [-20, 16])
      .tiles.filter(([z, x, y]) => z === 2 && x >= 0 && y >= 0);

  test("a tile within the allowed error is not asked for, nor what lies in it, three levels down", () => {
    const {plan, store} = holding([]);
    store.put("s", judged(0.01));
    const own = new Viewport([0.5, 0.5], 0.9, 480, 480);
    expect(plan.wants(subject({viewport: own, allowed: 0.01}), [-20, 16]).shown).toEqual([[0, 0, 0, 2]]);
    expect(wanted(plan, {allowed: 0.02})).toEqual([]);
    expect(wanted(plan, {allowed: 0.005}).length).toBeGreaterThan(0);
    expect(wanted(plan, {allowed: Number.NaN}).length).toBeGreaterThan(0);
    expect(wanted(plan, {allowed: null}).length).toBeGreaterThan(0);
    expect(plan.wants(subject({viewport: inTile, level: 4, allowed: 0.02}), [-20, 16]).tiles.length).toBeGreaterThan(0);
  });

  test("the error is that of the scale, and what is rounding noise is refined no further", () => {
    const {plan, store} = holding([]);
    store.put("s", judged(9, {error_of_log: 0.01}));
    expect(wanted(plan, {scale: "log", allowed: 0.02})).toEqual([]);
    expect(wanted(plan, {scale: "linear", allowed: 0.02}).length).toBeGreaterThan(0);
    store.put("s", judged(9, {noise: true}));
    expect(wanted(plan, {scale: "linear", allowed: 0.02})).toEqual([]);
    expect(wanted(plan, {scale: "linear", allowed: null}).length).toBeGreaterThan(0);
  });
});

/** Area of the squares in tiles of level 0, to see that they neither overlap nor leave gaps. @param {Plan} plan */
const area = (plan) => [...plan.squares.values()].reduce((sum, {address}) => sum + 4 ** -address.z, 0);

describe("what is drawn", () => {
  test("covers the view without overlap when all is there", () => {
    const {plan} = holding(quarters);
    plan.update(subject(), 0, 0);
    expect(plan.squares.size).toBe(4);
    const quads = plan.quads(home, 1, 0, 0, 0);
    const xs = quads.map(({rect}) => rect[0]).sort((p, q) => p - q);
    expect(xs).toEqual([0, 0, 240, 240]);
    expect(area(plan)).toBe(4);
  });

  test("is the parent's part where a child has not come", () => {
    const {plan, store} = holding(quarters);
    const zoomed = subject({viewport: new Viewport([0.5, 0.5], 1, 480, 480), level: 1});
    store.put("s", tileOf(f, {z: 1, x: 0, y: 0}, 33));
    plan.update(zoomed, 0, 0);
    expect(plan.squares.size).toBe(4);
    expect(plan.squares.get("1/0/0")?.to.key).toContain("/1/0/0/");
    const borrowed = plan.squares.get("1/1/1");
    expect(borrowed?.to.key).toContain("/0/0/0/");
    expect(borrowed?.to.uv).toEqual([0.5, 0.5, 1, 1]);
  });

  test("is the children after zooming out, until their parent has come", () => {
    const {plan, store} = holding(quarters);
    const out = subject({viewport: new Viewport([0, 0], 4, 480, 480), level: -1});
    plan.update(out, 0, 0);
    expect(plan.squares.size).toBe(4);
    expect(area(plan)).toBe(4);
    store.put("s", tileOf(f, {z: -1, x: 0, y: 0}, 33));
    plan.update(out, 0, 0);
    expect(plan.squares.get("-1/0/0")).toBeDefined();
    expect(plan.squares.get("0/0/0")).toBeUndefined();
  });

  test("has the numbers that were sent, wherever they come from", () => {
    const {plan} = holding(quarters);
    const zoomed = subject({viewport: new Viewport([0.3, -0.2], 0.1, 480, 480), level: 4});
    // f is a polynomial that the spline reproduces; bilinear reading between 1/128 leaves b's curvature: 2 / 8 / 128².
    expect(plan.at(zoomed, 0.31, -0.19)?.value).toBeCloseTo(f(0.31, -0.19), 4);
    expect(plan.at(zoomed, 5, 5)).toBeNull();
  });

  test("is never of another scene", () => {
    const {plan} = holding(quarters);
    expect(plan.covers(subject({hash: "t"}))).toBe(false);
    plan.update(subject({hash: "t"}), 0, 0);
    expect(plan.squares.size).toBe(0);
  });
});

describe("a blend", () => {
  test("begins at what was drawn and ends at what has come", () => {
    const {plan, store} = holding(quarters.map((tile) => [...tile, 3]));
    plan.update(subject(), 0, BLEND_MS);
    expect(plan.quads(home, 1, 0, 0, BLEND_MS).every((quad) => quad.from === null)).toBe(true);
    const before = plan.squares.get("0/0/0")?.to.key;
    store.put("s", tileOf(f, {z: 0, x: 0, y: 0}, 33));
    expect(plan.update(subject(), 1000, BLEND_MS).moving).toBe(true);
    expect(plan.squares.get("0/0/0")?.from?.key).toBe(before);
    const first = plan.quads(home, 1, 0, 1000, BLEND_MS).find((quad) => quad.from !== null);
    expect(first?.t).toBe(0);
    plan.update(subject(), 1000 + BLEND_MS, BLEND_MS);
    expect(plan.update(subject(), 1001 + BLEND_MS, BLEND_MS).moving).toBe(false);
  });

  test("from a parent reads the same place in it", () => {
    const {plan, store} = holding(quarters);
    const zoomed = subject({viewport: new Viewport([0.25, 0.25], 0.5, 480, 480), level: 1});
    plan.update(zoomed, 0, BLEND_MS);
    store.put("s", tileOf(f, {z: 1, x: 0, y: 0}, 33));
    plan.update(zoomed, 10, BLEND_MS);
    const square = plan.squares.get("1/0/0");
    expect(square?.from?.uv).toEqual([0, 0, 0.5, 0.5]);
    expect(square?.to.uv).toEqual([0, 0, 1, 1]);
  });

  test("that is overtaken goes on from where it was", () => {
    const {plan, store} = holding([[0, 0, 0, 3]]);
    const corner = subject({viewport: new Viewport([0.5, 0.5], 1, 480, 480)});
    plan.update(corner, 0, BLEND_MS);
    store.put("s", tileOf(f, {z: 0, x: 0, y: 0}, 5));
    plan.update(corner, 100, BLEND_MS);
    store.put("s", tileOf(f, {z: 0, x: 0, y: 0}, 9));
    plan.update(corner, 100 + BLEND_MS / 2, BLEND_MS);
    expect(plan.squares.get("0/0/0")?.from?.key).toMatch(/^snapshot/);
  });

  test("is left out where motion is not wanted", () => {
    const {plan, store} = holding([[0, 0, 0, 3]]);
    plan.update(subject(), 0, 0);
    store.put("s", tileOf(f, {z: 0, x: 0, y: 0}, 33));
    expect(plan.update(subject(), 1, 0).moving).toBe(false);
  });
});

describe("wants", () => {
  test("begin with the view from its centre outwards, then one ring", () => {
    const {plan} = holding([]);
    const {tiles} = plan.wants(subject(), [-20, 16]);
    expect(tiles).toHaveLength(16);
    expect(new Set(tiles.slice(0, 4).map((tile) => tile.join()))).toEqual(
      new Set(["0,-1,-1,2", "0,0,-1,2", "0,-1,0,2", "0,0,0,2"]),
    );
  });

  test("are content with a sketch of what lies beside the view", () => {
    const {plan} = holding([
      [0, 1, 0, 9],
      [0, 1, -1, 5],
      [0, 0, 0, 9],
    ]);
    const asked = plan.wants(subject(), [-20, 16]).tiles.map((tile) => tile.join());
    expect(asked).not.toContain("0,1,0,2");
    expect(asked).toContain("0,1,-1,2");
    expect(asked).toContain("0,0,0,2");
  });

  test("ask for a parent first where nothing at all is drawn", () => {
    const {plan} = holding([]);
    const deep = subject({viewport: new Viewport([0.3, 0.3], 0.01, 480, 480), level: 7});
    const {tiles} = plan.wants(deep, [-20, 16]);
    expect(tiles[0][0]).toBe(6);
    const {plan: known} = holding(quarters);
    expect(known.wants(deep, [-20, 16]).tiles[0][0]).toBe(7);
  });

  test("name complete tiles apart, and incomplete ones again", () => {
    const {plan} = holding([
      [0, 0, 0, 33],
      [0, -1, 0, 17],
    ]);
    const {tiles, shown} = plan.wants(subject(), [-20, 16]);
    expect(shown).toEqual([[0, 0, 0, 2]]);
    expect(tiles).toContainEqual([0, -1, 0, 2]);
    expect(tiles).not.toContainEqual([0, 0, 0, 2]);
  });

  test("stay within the levels of the scene", () => {
    const {plan} = holding([]);
    const deep = subject({viewport: new Viewport([0.3, 0.3], 1e-9, 480, 480), level: 30});
    expect(Math.max(...plan.wants(deep, [-20, 16]).tiles.map(([z]) => z))).toBe(16);
  });
});

describe("where finer and coarser squares meet", () => {
  /** Something that no pass before the last resolves. @type {import("./source/memory.js").Surface} */
  const rough = (a, b) => Math.sin(9 * a + 2) * Math.cos(7 * b) + 0.3 * Math.sin(23 * a * b);
  /** What is drawn at a point of a square, u and v in 0 … 1. @param {Plan} plan @param {string} name @param {number} u @param {number} v */
  const drawn = (plan, name, u, v) => {
    const to = /** @type {import("./plan.js").Square} */ (plan.squares.get(name)).to;
    return valueIn(to, 128 * u, 128 * v);
  };

  /** @param {number[][]} tiles @param {Partial<import("./plan.js").Subject>} [more] */
  const drawing = (tiles, more) => {
    const store = new TileStore();
    for (const [z, x, y, nodes] of tiles) store.put("s", tileOf(rough, {z, x, y}, nodes));
    const plan = new Plan(store);
    plan.update(subject(more), 0, 0);
    return {plan, store};
  };

  test("the borders of four tiles with four passes are one", () => {
    const {plan} = drawing([
      [0, -1, -1, 33],
      [0, 0, -1, 5],
      [0, -1, 0, 9],
      [0, 0, 0, 17],
    ]);
    for (let k = 0; k <= 128; k++) {
      const t = k / 128;
      expect(drawn(plan, "0/-1/-1", 1, t)).toBeCloseTo(drawn(plan, "0/0/-1", 0, t), 5);
      expect(drawn(plan, "0/-1/0", 1, t)).toBeCloseTo(drawn(plan, "0/0/0", 0, t), 5);
      expect(drawn(plan, "0/-1/-1", t, 1)).toBeCloseTo(drawn(plan, "0/-1/0", t, 0), 5);
      expect(drawn(plan, "0/0/-1", t, 1)).toBeCloseTo(drawn(plan, "0/0/0", t, 0), 5);
    }
  });

  test("a tile beside its undivided parent ends as the parent does, and is itself a cell further in", () => {
    const view = new Viewport([0.5, 0.5], 1, 480, 480);
    const {plan, store} = drawing(
      [
        [0, 0, 0, 9],
        [1, 0, 0, 33],
      ],
      {viewport: view, level: 1},
    );
    const tile = store.get("s", 0, {z: 1, x: 0, y: 0});
    const own = tile && store.grid("s", tile, "linear");
    for (let k = 0; k <= 128; k++) {
      const t = k / 128;
      expect(drawn(plan, "1/0/0", 1, t)).toBeCloseTo(drawn(plan, "1/1/0", 0, t), 5);
      expect(drawn(plan, "1/0/0", t, 1)).toBeCloseTo(drawn(plan, "1/0/1", t, 0), 5);
    }
    for (let j = 0; j <= 124; j += 4)
      for (let i = 0; i <= 124; i += 4)
        expect(drawn(plan, "1/0/0", i / 128, j / 128)).toBeCloseTo(
          (own?.grid[j * 129 + i] ?? 0) + (own?.offset ?? 0),
          5,
        );
  });

  test("tiles with the same nodes are drawn as they came, and nothing is made twice", () => {
    const {plan} = drawing(quarters.map((tile) => [...tile, 9]));
    for (const {to} of plan.squares.values()) expect(to.key).not.toContain("beside");
    const mixed = drawing([
      [0, -1, 0, 33],
      [0, 0, 0, 9],
    ]).plan;
    const grid = mixed.squares.get("0/-1/0")?.to.grid;
    mixed.update(subject(), 1, 0);
    expect(mixed.squares.get("0/-1/0")?.to.grid).toBe(grid);
  });
});

test("the range in sight is that of the visible part", () => {
  const {plan} = holding(quarters);
  const part = new Viewport([0.5, 0], 0.5, 480, 480);
  plan.update(subject({viewport: part}), 0, 0);
  const range = plan.range(part);
  expect(range?.lo).toBeCloseTo(2.25, 2);
  expect(range?.hi).toBeCloseTo(2.75 + 0.0625, 2);
});
