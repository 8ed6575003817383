// What to draw now: for every square of the view the best data there are, blended from what was drawn there before.
// Nothing is ever blank that was not: parents stay until their children have come, children until their parents have.

import {SIZE} from "./spline.js";
import {stitch, valueIn} from "./stitch.js";
import {ancestorOf, childrenOf, cover, keyOf, partOf, sample, suffices} from "./tiles.js";

/**
 * @typedef {import("./tiles.js").TileAddress} TileAddress
 * @typedef {import("./tiles.js").Tile} Tile
 * @typedef {import("./tiles.js").TileStore} TileStore
 * @typedef {import("./tiles.js").Scale} Scale
 * @typedef {import("./viewport.js").Viewport} Viewport
 * @typedef {import("./render/shade.js").Patch} Patch
 * @typedef {import("./render/shade.js").Quad} Quad
 * @typedef {import("./protocol.js").Wanted} Wanted
 * @typedef {[number, number, number, number]} Rect
 *
 * @typedef {Patch & {density: number}} Source  offset: absolute, in drawn values; density: nodes per unit of the plane
 *   along a border
 * @typedef {{address: TileAddress, to: Source, from: Source | null, since: number}} Square  since: start of the blend
 * @typedef {{hash: string, field: number, scale: Scale, viewport: Viewport, level: number, allowed: number | null}} Subject
 *   allowed: what a tile may be off by on that scale; null: nothing
 */

export const BLEND_MS = 180;
/** Nodes per side that are enough of a tile beside the view. */
const SKETCH = 9;
/** Levels that a tile may be drawn enlarged by, where it is good enough: further, its fill would show its facets. */
const ENLARGED = 3;
/** How far down to look for loaded children of a square that has nothing itself. */
const DEPTH = 2;

/** @param {Rect} uv @param {Rect} part @returns {Rect} part of a part */
const within = ([u0, v0, u1, v1], part) => [
  u0 + part[0] * (u1 - u0),
  v0 + part[1] * (v1 - v0),
  u0 + part[2] * (u1 - u0),
  v0 + part[3] * (v1 - v0),
];

let snapshots = 0;

/** What a square shows in the middle of its blend, so that the next one can begin there. @param {Square} square @param {number} t @returns {Source} */
function snapshot({to, from}, t) {
  if (from === null || t >= 1) return to;
  const grid = new Float32Array(SIZE * SIZE);
  for (let j = 0; j < SIZE; j++)
    for (let i = 0; i < SIZE; i++) {
      const old = valueIn(from, i, j);
      grid[j * SIZE + i] = old + t * (valueIn(to, i, j) - old) - to.offset;
    }
  return {...to, grid, key: `snapshot/${++snapshots}`, uv: [0, 0, 1, 1]};
}

/** Another scene, field or scale is another quantity. @param {Subject} subject */
const familyOf = ({hash, field, scale}) => `${hash}/${field}/${scale}`;

export class Plan {
  /** What the last frame drew, by square. @type {Map<string, Square>} */
  squares = new Map();
  #family = "";
  /** Squares with borrowed borders, by what they are made of. @type {Map<string, Source>} */
  #stitched = new Map();

  /** @param {TileStore} store */
  constructor(store) {
    this.store = store;
  }

  /**
   * The squares of this frame.
   * @param {Subject} subject @param {number} now @param {number} blend in ms; 0 where motion is not wanted
   * @returns {{moving: boolean}} moving: a blend is under way
   */
  update(subject, now, blend) {
    const family = familyOf(subject);
    // Between two quantities there is nothing to blend.
    const before = family === this.#family ? this.squares : new Map();
    this.#family = family;
    /** @type {Map<string, Square>} */
    const squares = new Map();
    let moving = false;
    /** @type {Map<string, {address: TileAddress, to: Source}>} */
    const chosen = new Map();
    for (const address of cover(subject.viewport.rect, subject.level))
      this.#choose(subject, address, null, DEPTH, (at, to) => chosen.set(keyOf(at.z, at.x, at.y), {address: at, to}));
    this.#stitched = stitch(chosen, this.#stitched);
    for (const [name, {address, to}] of chosen) {
      const square = follow(before, address, to, now, blend);
      if (square.from !== null) moving = true;
      squares.set(name, square);
    }
    this.squares = squares;
    return {moving};
  }

  /**
   * Give `emit` what to draw in a square: its own tile or an ancestor's part; or, where there is only something finer, that.
   * @param {Subject} subject @param {TileAddress} address @param {Tile | null} inherited @param {number} depth
   * @param {(at: TileAddress, to: Source) => void} emit
   */
  #choose(subject, address, inherited, depth, emit) {
    const {hash, field, scale} = subject;
    const tile = inherited ?? this.store.best(hash, field, address);
    if (tile?.data.z !== address.z && depth > 0 && this.#hasBelow(subject, address, depth)) {
      for (const child of childrenOf(address)) {
        const own = this.store.get(hash, field, child);
        const finer = own !== null && (tile === null || own.data.nodes > 2 ** (tile.data.z - child.z) * 32);
        this.#choose(subject, child, finer ? own : tile, depth - 1, emit);
      }
      return;
    }
    if (tile === null) return;
    const {grid, key, offset} = this.store.grid(hash, tile, scale);
    const {nodes, centres, z} = tile.data;
    const density = (nodes - 1) * 2 ** z;
    emit(address, {grid, key, offset, uv: partOf(address, tile.data), density, nodes, centres});
  }

  /** @param {Subject} subject @param {TileAddress} address @param {number} depth @returns {boolean} */
  #hasBelow(subject, address, depth) {
    return childrenOf(address).some(
      (child) =>
        this.store.get(subject.hash, subject.field, child) !== null ||
        (depth > 1 && this.#hasBelow(subject, child, depth - 1)),
    );
  }

  /**
   * The squares as the renderer wants them: device pixels, and values relative to `origin`.
   * @param {Viewport} viewport @param {number} ratio @param {number} origin @param {number} now @param {number} blend
   * @returns {Quad[]}
   */
  quads(viewport, ratio, origin, now, blend) {
    const scale = viewport.scale * ratio;
    const [ca, cb] = viewport.center;
    const cx = (viewport.width * ratio) / 2;
    const cy = (viewport.height * ratio) / 2;
    /** @type {Quad[]} */
    const quads = [];
    for (const {address, to, from, since} of this.squares.values()) {
      const side = 2 ** -address.z;
      const x0 = (address.x * side - ca) * scale + cx;
      const x1 = ((address.x + 1) * side - ca) * scale + cx;
      const y0 = cy - ((address.y + 1) * side - cb) * scale;
      const y1 = cy - (address.y * side - cb) * scale;
      const t = from === null ? 1 : eased((now - since) / blend);
      quads.push({rect: [x0, y0, x1, y1], from: from && shifted(from, origin), to: shifted(to, origin), t});
    }
    return quads;
  }

  /** Whether each tile of the view has data of its own or of an ancestor. @param {Subject} subject */
  covers({hash, field, viewport, level}) {
    return cover(viewport.rect, level).every((address) => this.store.best(hash, field, address) !== null);
  }

  /**
   * The tile that an address need not be refined beyond: its own, or an ancestor's that is as good where it lies.
   * @param {Subject} subject @param {TileAddress} address
   */
  sufficient({hash, field, scale, allowed}, address) {
    for (let up = 0; up <= (allowed === null ? 0 : ENLARGED); up++) {
      const tile = this.store.get(hash, field, ancestorOf(address, up));
      if (tile && suffices(tile.data, scale, allowed)) return tile;
    }
    return null;
  }

  /** Lowest and highest drawn value in sight, and one near the middle. @param {Viewport} viewport */
  range(viewport) {
    let lo = Number.POSITIVE_INFINITY;
    let hi = Number.NEGATIVE_INFINITY;
    const [a0, a1, b0, b1] = viewport.rect;
    const points = Math.max(6, Math.ceil(48 / Math.sqrt(this.squares.size || 1)));
    for (const {address, to} of this.squares.values()) {
      const n = 2 ** address.z;
      const clip = (/** @type {number} */ edge) => Math.min(Math.max(edge, 0), 1);
      const [s0, s1] = [clip(a0 * n - address.x), clip(a1 * n - address.x)];
      const [t0, t1] = [clip(b0 * n - address.y), clip(b1 * n - address.y)];
      const seen = within(to.uv, [s0, t0, s1, t1]);
      for (let j = 0; j <= points; j++)
        for (let i = 0; i <= points; i++) {
          const u = seen[0] + (i / points) * (seen[2] - seen[0]);
          const v = seen[1] + (j / points) * (seen[3] - seen[1]);
          const value = sample(to.grid, u, v) + to.offset;
          if (value < lo) lo = value;
          if (value > hi) hi = value;
        }
    }
    return Number.isFinite(lo) && Number.isFinite(hi) ? {lo, hi} : null;
  }

  /**
   * What is drawn at a point, unblended, and the tile it is read from; null where nothing is.
   * @param {Subject} subject @param {number} a @param {number} b
   */
  at(subject, a, b) {
    for (let z = subject.level + DEPTH; z >= subject.level; z--) {
      const n = 2 ** z;
      const address = {z, x: Math.floor(a * n), y: Math.floor(b * n)};
      const own = z > subject.level ? this.store.get(subject.hash, subject.field, address) : null;
      const best = this.store.best(subject.hash, subject.field, address);
      if (z > subject.level && (own === null || best !== own)) continue;
      if (best === null) return null;
      const side = 2 ** best.data.z;
      const {grid, offset} = this.store.grid(subject.hash, best, subject.scale);
      // A border that was borrowed is read as it is drawn.
      const square = this.#family === familyOf(subject) ? this.squares.get(keyOf(z, address.x, address.y)) : undefined;
      const value =
        square !== undefined && this.#stitched.has(square.to.key)
          ? valueIn(square.to, (a * n - address.x) * (SIZE - 1), (b * n - address.y) * (SIZE - 1))
          : sample(grid, a * side - best.data.x, b * side - best.data.y) + offset;
      return {value, tile: best};
    }
    return null;
  }

  /**
   * What this view would like, best first: ancestors where nothing is drawn at all, the view from its centre outwards,
   * one ring ahead. @param {Subject} subject @param {readonly number[]} levels that may be asked for
   * @returns {{tiles: Wanted[], shown: Wanted[]}} shown: on screen and good enough
   */
  wants(subject, [lowest, highest]) {
    const {hash, field, viewport, level} = subject;
    const z = Math.min(Math.max(level, lowest), highest);
    /** @type {Map<string, Wanted>} */
    const tiles = new Map();
    /** @type {Wanted[]} */
    const shown = [];
    const ask = (/** @type {TileAddress} */ address) => {
      const wanted = /** @type {Wanted} */ ([address.z, address.x, address.y, 2]);
      if (this.sufficient(subject, address)) return wanted;
      tiles.set(keyOf(address.z, address.x, address.y), wanted);
      return null;
    };
    const inView = cover(viewport.rect, z);
    // At and below level 0 a tile is its own first picture; deeper, its parent covers four times the ground as soon.
    if (z > Math.max(lowest, 0))
      for (const address of inView) if (this.store.best(hash, field, address) === null) ask(ancestorOf(address));
    for (const address of inView) {
      const complete = ask(address);
      if (complete !== null) shown.push(complete);
    }
    // A sketch of the ground beside the view is enough to arrive on; its finer passes come when it is looked at.
    for (const address of cover(viewport.rect, z, 1))
      if ((this.store.get(hash, field, address)?.data.nodes ?? 0) < SKETCH) ask(address);
    return {tiles: [...tiles.values()], shown};
  }
}

/** @param {number} t */
function eased(t) {
  const s = Math.min(Math.max(t, 0), 1);
  return s * s * (3 - 2 * s);
}

/** @param {Source} source @param {number} origin @returns {Patch} */
const shifted = (source, origin) => ({...source, offset: source.offset - origin});

/**
 * The square as it was, or on its way to something new from what was seen there.
 * @param {Map<string, Square>} before @param {TileAddress} address @param {Source} to @param {number} now @param {number} blend
 * @returns {Square}
 */
function follow(before, address, to, now, blend) {
  const last = before.get(keyOf(address.z, address.x, address.y));
  if (last !== undefined) {
    const t = last.from === null ? 1 : eased((now - last.since) / blend);
    if (last.to.key === to.key) return t >= 1 && last.from !== null ? {...last, from: null} : last;
    if (blend === 0) return {address, to, from: null, since: now};
    return {address, to, from: snapshot(last, t), since: now};
  }
  if (blend > 0)
    for (let up = 1; up <= 6; up++) {
      const above = ancestorOf(address, up);
      const seen = before.get(keyOf(above.z, above.x, above.y));
      if (seen === undefined) continue;
      // The same data, cut out of a larger square: nothing changes.
      if (seen.to.key === to.key) break;
      return {address, to, from: {...seen.to, uv: within(seen.to.uv, partOf(address, above))}, since: now};
    }
  return {address, to, from: null, since: now};
}

/** Lists taken in turn, without repetition. @param {Wanted[][]} lists @returns {Wanted[]} */
export function merged(lists) {
  if (lists.length === 1) return lists[0];
  const seen = new Set();
  /** @type {Wanted[]} */
  const all = [];
  for (let i = 0; lists.some((list) => i < list.length); i++)
    for (const list of lists) {
      const key = list[i]?.join("/");
      if (key === undefined || seen.has(key)) continue;
      seen.add(key);
      all.push(list[i]);
    }
  return all;
}
