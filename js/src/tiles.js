// Tiles and where they lie: addresses with arithmetic, and the store of those that have come, of all scenes seen.
// TileAddress (z, x, y) covers a in [x, x + 1]·2⁻ᶻ, b in [y, y + 1]·2⁻ᶻ; its parent is one level coarser.

import {drawn, linthresh} from "./colour.js";
import {fill, SIZE} from "./spline.js";

/** Cells along the side of a tile. */
export const CELLS = 32;

/** @typedef {{z: number, x: number, y: number}} TileAddress */
/** @typedef {import("./colour.js").Scale} Scale */
/** @typedef {import("./protocol.js").TileData} TileData */
/**
 * @typedef {{grid: Float32Array, key: string, offset: number}} Grid  SIZE² numbers; grid + offset is the drawn value:
 *   the field itself on the linear scale, else its (symmetric) logarithm. NaN where there is none.
 * @typedef {{data: TileData, version: number, grids: Record<string, Grid>}} Tile  grids: by scale
 */

/** @param {number} z @param {number} x @param {number} y */
export const keyOf = (z, x, y) => `${z}/${x}/${y}`;

/** @param {TileAddress} address @param {number} [up] levels @returns {TileAddress} */
export const ancestorOf = ({z, x, y}, up = 1) => ({z: z - up, x: Math.floor(x / 2 ** up), y: Math.floor(y / 2 ** up)});

/** @param {TileAddress} address @returns {TileAddress[]} lower row first, as in Python */
export const childrenOf = ({z, x, y}) =>
  [0, 1, 2, 3].map((i) => ({z: z + 1, x: 2 * x + (i % 2), y: 2 * y + Math.floor(i / 2)}));

/**
 * The part of an ancestor's square that an address covers: u0, v0, u1, v1 in 0..1, v towards larger b.
 * @param {TileAddress} address @param {TileAddress} ancestor @returns {[number, number, number, number]}
 */
export function partOf(address, ancestor) {
  const side = 2 ** (ancestor.z - address.z);
  const u = address.x * side - ancestor.x;
  const v = address.y * side - ancestor.y;
  return [u, v, u + side, v + side];
}

/**
 * The tiles of one level that cover a rectangle, nearest to its centre first.
 * @param {readonly number[]} rect a0, a1, b0, b1 @param {number} z @param {number} [ring] further tiles on each side
 * @returns {TileAddress[]}
 */
export function cover([a0, a1, b0, b1], z, ring = 0) {
  const n = 2 ** z;
  const x0 = Math.floor(a0 * n) - ring;
  const x1 = Math.max(Math.ceil(a1 * n) - 1, Math.floor(a0 * n)) + ring;
  const y0 = Math.floor(b0 * n) - ring;
  const y1 = Math.max(Math.ceil(b1 * n) - 1, Math.floor(b0 * n)) + ring;
  const cx = ((a0 + a1) / 2) * n - 0.5;
  const cy = ((b0 + b1) / 2) * n - 0.5;
  /** @type {TileAddress[]} */
  const tiles = [];
  for (let y = y0; y <= y1; y++) for (let x = x0; x <= x1; x++) tiles.push({z, x, y});
  const distance = (/** @type {TileAddress} */ t) => Math.max(Math.abs(t.x - cx), Math.abs(t.y - cy));
  return tiles.sort((s, t) => distance(s) - distance(t) || s.y - t.y || s.x - t.x);
}

/** Cells per unit of the plane that a tile's data resolve: a coarse pass of a fine tile may say less than its parent. */
const density = (/** @type {TileData} */ data) => (data.nodes - 1) * 2 ** data.z * (data.centres ? Math.SQRT2 : 1);

/** @param {TileData} data */
export const isComplete = (data) => data.nodes === CELLS + 1 && data.q >= 2;

/**
 * What a tile is off by at most, on a scale; null where that is not known. On a symmetric logarithm an error of the field
 * is most where it spans 0, else at the value nearest to 0, towards it. The kernel says the same.
 * @param {TileData} data @param {Scale} scale
 */
export function errorOf({error, error_of_log, min, max}, scale) {
  if (scale === "log") return error_of_log;
  if (scale === "linear" || error === null) return error;
  const top = Math.max(min ?? 0, -(max ?? 0), error / 2);
  return drawn(top, scale) - drawn(top - error, scale);
}

/**
 * Whether a tile need not be refined: it has all its nodes, is off by no more than allowed (null: nothing is), or has nothing
 * but rounding left to resolve. The kernel judges by the same.
 * @param {TileData} data @param {Scale} scale @param {number | null} allowed
 */
export const suffices = (data, scale, allowed) =>
  isComplete(data) ||
  (allowed !== null && (data.noise || (errorOf(data, scale) ?? Number.POSITIVE_INFINITY) <= allowed));

/**
 * Values at the nodes of a tile that lie in a rectangle.
 * @param {readonly number[]} rect @param {TileData} tile @returns {number[]}
 */
export function nodesIn([a0, a1, b0, b1], {z, x, y, nodes, values, base}) {
  const found = [];
  for (let j = 0; j < nodes; j++) {
    const b = (y + j / (nodes - 1)) / 2 ** z;
    if (b < b0 || b > b1) continue;
    for (let i = 0; i < nodes; i++) {
      const a = (x + i / (nodes - 1)) / 2 ** z;
      if (a >= a0 && a <= a1) found.push(values[j * nodes + i] + base);
    }
  }
  return found;
}

/** Whether `next` says more than `last` about the same square. @param {TileData} last @param {TileData} next */
const saysMore = (last, next) => next.q > last.q || (next.q === last.q && density(next) >= density(last));

let versions = 0;

/** Drawn values on the log scale, from differences: digits that the differences hold are not lost. @param {Float32Array} from @param {number} base */
function logarithms(from, base) {
  // Differences below the largest float32 add to the base in float64; what is not positive has no logarithm.
  return Float32Array.from(from, (difference) => {
    const value = base + difference;
    if (!(value > 0) || value === Number.POSITIVE_INFINITY) return Number.NaN;
    return base > 0 ? Math.log1p(difference / base) : Math.log(value);
  });
}

/** @param {TileData} data @param {Scale} scale @returns {{grid: Float32Array, offset: number}} */
function filled({nodes, values, centres, base}, scale) {
  if (scale !== "log") {
    const grid = fill(values, nodes, {centres: centres ?? undefined});
    if (scale === "linear") return {grid, offset: base};
    // A field of both signs is smooth where it is 0 and its symmetric logarithm is steep: a spline through that would swing.
    const twice = 2 * linthresh(scale);
    const offset = drawn(base, scale);
    return {grid: grid.map((difference) => Math.asinh((base + difference) / twice) - offset), offset};
  }
  const inner = centres ? logarithms(centres, base) : undefined;
  const grid = fill(logarithms(values, base), nodes, {centres: inner});
  return {grid, offset: base > 0 ? Math.log(base) : 0};
}

/** Bytes of one scene's data, and of one filled grid. */
const bytesOf = (/** @type {TileData} */ data) => data.values.byteLength + (data.centres?.byteLength ?? 0) + 200;
const GRID_BYTES = 4 * SIZE * SIZE;

/**
 * What has come from the kernel, by scene hash, field and address. The least recently used goes first: filled grids
 * before the nodes they were made from, and never a tile at or below the level of the home view of the scene shown.
 */
export class TileStore {
  /** @param {{dataBytes?: number, gridBytes?: number}} [budget] */
  constructor({dataBytes = 48e6, gridBytes = 96e6} = {}) {
    this.budget = {data: dataBytes, grids: gridBytes};
    this.bytes = {data: 0, grids: 0};
    /** Insertion order is order of use, oldest first. @type {Map<string, Tile>} */
    this.tiles = new Map();
    /** @type {Map<string, Tile>} */
    this.filled = new Map();
    /** The scene whose coarse tiles stay. @type {string | null} */
    this.pinned = null;
  }

  get size() {
    return this.tiles.size;
  }

  /** @param {string} hash @param {number} field @param {TileAddress} address @returns {Tile | null} */
  get(hash, field, {z, x, y}) {
    return this.tiles.get(`${hash}/${field}/${z}/${x}/${y}`) ?? null;
  }

  /** Keep a tile, unless what we have says more. @param {string} hash @param {TileData} data @returns {boolean} kept */
  put(hash, data) {
    const key = `${hash}/${data.f}/${data.z}/${data.x}/${data.y}`;
    const last = this.tiles.get(key);
    if (last && !saysMore(last.data, data)) return false;
    if (last) this.#drop(key, last);
    this.tiles.set(key, {data, version: ++versions, grids: {}});
    this.bytes.data += bytesOf(data);
    this.#evict();
    return true;
  }

  /** The grid to draw, filled when first asked for. @param {string} hash @param {Tile} tile @param {Scale} scale @returns {Grid} */
  grid(hash, tile, scale) {
    const {f, z, x, y} = tile.data;
    const place = `${hash}/${f}/${z}/${x}/${y}`;
    const key = `${place}/${tile.version}/${scale}`;
    const known = tile.grids[scale];
    const grid = known ?? {...filled(tile.data, scale), key};
    tile.grids[scale] = grid;
    if (known === undefined) this.bytes.grids += GRID_BYTES;
    // To the young end of both orders.
    this.filled.delete(key);
    this.filled.set(key, tile);
    if (this.tiles.delete(place)) this.tiles.set(place, tile);
    this.#evict(tile);
    return grid;
  }

  /**
   * The loaded tile that resolves an address best: itself or an ancestor.
   * @param {string} hash @param {number} field @param {TileAddress} address @param {number} [levels] how far up to look
   */
  best(hash, field, address, levels = 24) {
    /** @type {Tile | null} */
    let found = null;
    let finest = 0;
    for (let up = 0; up <= levels; up++) {
      const tile = this.get(hash, field, ancestorOf(address, up));
      if (tile && density(tile.data) > finest) {
        found = tile;
        finest = density(tile.data);
      }
      // No ancestor further up can resolve more than its 32 cells.
      if (found && finest >= CELLS * 2 ** (address.z - up - 1)) break;
    }
    return found;
  }

  /** Whether there is anything of a scene. @param {string} hash */
  holds(hash) {
    for (const key of this.tiles.keys()) if (key.startsWith(`${hash}/`)) return true;
    return false;
  }

  /** Forget everything. */
  clear() {
    for (const [key, tile] of this.tiles) this.#drop(key, tile);
  }

  /** @param {string} key @param {Tile} tile */
  #drop(key, tile) {
    this.tiles.delete(key);
    this.bytes.data -= bytesOf(tile.data);
    for (const grid of Object.values(tile.grids)) this.#dropGrid(grid.key, tile);
  }

  /** @param {string} key @param {Tile} tile */
  #dropGrid(key, tile) {
    this.filled.delete(key);
    this.bytes.grids -= GRID_BYTES;
    const scale = /** @type {Scale} */ (key.slice(key.lastIndexOf("/") + 1));
    delete tile.grids[scale];
  }

  /** @param {Tile} [kept] the tile in use */
  #evict(kept) {
    for (const [key, tile] of this.filled) {
      if (this.bytes.grids <= this.budget.grids) break;
      if (tile !== kept) this.#dropGrid(key, tile);
    }
    for (const [key, tile] of this.tiles) {
      if (this.bytes.data <= this.budget.data) break;
      const coarse = tile.data.z <= 0 && this.pinned !== null && key.startsWith(`${this.pinned}/`);
      if (tile !== kept && !coarse) this.#drop(key, tile);
    }
  }
}

/**
 * A grid read between its points, as it is drawn: bilinearly. u, v in 0..1.
 * @param {Float32Array} grid @param {number} u @param {number} v
 */
export function sample(grid, u, v) {
  const last = SIZE - 1;
  const x = Math.min(Math.max(u, 0), 1) * last;
  const y = Math.min(Math.max(v, 0), 1) * last;
  const i = Math.min(Math.floor(x), last - 1);
  const j = Math.min(Math.floor(y), last - 1);
  const s = x - i;
  const t = y - j;
  const at = j * SIZE + i;
  // A corner of weight zero must not spoil its neighbour: 0 · NaN is NaN.
  const row = (/** @type {number} */ k) =>
    s === 0 ? grid[k] : s === 1 ? grid[k + 1] : (1 - s) * grid[k] + s * grid[k + 1];
  if (t === 0) return row(at);
  if (t === 1) return row(at + SIZE);
  return (1 - t) * row(at) + t * row(at + SIZE);
}
