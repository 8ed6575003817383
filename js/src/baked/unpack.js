// What was baked, as values: the layout is written down in widget/baked.py, which packs it.

import {floats} from "../protocol.js";

/** @typedef {import("../protocol.js").TileData} TileData */
/** @typedef {import("../protocol.js").Scene} Scene */
/**
 * @typedef {{base: number, bound: number, tiles: (number | null)[][]}} Piece  of one grid; base: of the differences that tiles hold;
 *   bound: what a value is off by at most since it was rounded; tiles: z, x, y, nodes, centres, error, error of its logarithm, noise
 * @typedef {{f: number, name: string, pieces: Piece[]}} Field  its first piece is the home view, the others lie around it
 * @typedef {{z: number, column: number, row: number, shape: [rows: number, columns: number]}} Grid  the finest nodes of a piece
 * @typedef {{
 *   format: number, scene: Scene, caption: string, depth: number, tolerance: number, fields: Field[], spectra: any[],
 *   frames: Grid[], sections: [string, number][]
 * }} Head
 */

const BLOCK = 32;
const CELLS = 32;

/** Codes from here on are no numbers: minus infinity, infinity, NaN. */
const NO_NUMBERS = 65533;
const STAND_FOR = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NaN];

/** @param {Uint8Array} bytes compressed by zlib @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function inflated(bytes) {
  const stream = new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * The head, and how to read what else there is. @param {DataView} data after the module
 * @returns {Promise<{head: Head, section(name: string): Promise<Uint8Array<ArrayBuffer>>}>}
 */
export async function unpack(data) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const start = 4 + data.getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(await inflated(bytes.subarray(4, start))));
  /** @type {Map<string, Uint8Array>} */
  const sections = new Map();
  let from = start;
  for (const [name, length] of head.sections) {
    sections.set(name, bytes.subarray(from, from + length));
    from += length;
  }
  return {head, section: (name) => inflated(sections.get(name) ?? new Uint8Array())};
}

/**
 * Codes from their differences along both axes, small ones first, low bytes before high ones.
 * @param {Uint8Array} bytes @param {[number, number]} shape
 */
export function codesOf(bytes, [rows, columns]) {
  const count = rows * columns;
  const codes = new Uint16Array(count);
  for (let at = 0; at < count; at++) {
    const small = bytes[at] | (bytes[count + at] << 8);
    codes[at] = (small >> 1) ^ -(small & 1);
  }
  for (let at = columns; at < count; at++) codes[at] += codes[at - columns];
  for (let row = 0; row < count; row += columns)
    for (let at = row + 1; at < row + columns; at++) codes[at] += codes[at - 1];
  return codes;
}

/**
 * Values of the finest grid, as differences from `base`.
 * @param {Uint16Array} codes @param {Float64Array} bases @param {Float64Array} steps of its blocks @param {[number, number]} shape
 * @param {number} base
 */
export function valuesOf(codes, bases, steps, [rows, columns], base) {
  const values = new Float32Array(codes.length);
  const across = Math.ceil(columns / BLOCK);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const at = row * columns + column;
      const block = Math.floor(row / BLOCK) * across + Math.floor(column / BLOCK);
      const code = codes[at];
      values[at] = code < NO_NUMBERS ? bases[block] - base + steps[block] * code : STAND_FOR[code - NO_NUMBERS];
    }
  return values;
}

/**
 * A tile as the kernel would send it, read from the finest grid.
 * @param {(number | null)[]} row of the head @param {Float32Array} values @param {Grid} grid @param {{f: number, base: number}} field
 * @returns {TileData}
 */
export function tileOf(row, values, {z: finest, column, row: first, shape}, {f, base}) {
  const [z, x, y, nodes, centred, error, error_of_log, noise] = /** @type {number[]} */ (row);
  const [rows, columns] = shape;
  const side = CELLS * 2 ** (finest - z);
  // A line has one row, which is the same for every b.
  const from = (rows === 1 ? 0 : y * side - first) * columns + x * side - column;
  const across = rows === 1 ? 0 : columns;
  /** @param {number} count @param {number} step @param {number} offset */
  const read = (count, step, offset) =>
    Float32Array.from({length: count * count}, (_, i) => {
      const [j, k] = [Math.floor(i / count), i % count];
      return values[from + (offset + step * j) * across + offset + step * k];
    });
  const step = side / (nodes - 1);
  const found = read(nodes, step, 0);
  const finite = found.filter(Number.isFinite);
  const bad = (found.length - finite.length) / (rows === 1 ? nodes : 1);
  const range = finite.length
    ? {min: finite.reduce((m, v) => Math.min(m, v)) + base, max: finite.reduce((m, v) => Math.max(m, v)) + base}
    : {min: null, max: null};
  const centres = centred ? read(nodes - 1, step, step / 2) : null;
  const about = {z, x, y, f, q: 2, nodes, error, error_of_log, noise: noise === 1, base, bad, sample: null};
  return {...about, ...range, values: found, centres};
}

/**
 * The tiles of a field, the coarsest first. @param {Head} head @param {Field} field
 * @param {(name: string) => Promise<Uint8Array<ArrayBuffer>>} section @returns {Promise<TileData[]>}
 */
export async function tilesOf({frames}, {f, name, pieces}, section) {
  const found = pieces.map(async ({base, tiles}, number) => {
    const grid = frames[number];
    const part = async (/** @type {string} */ what) => (await section(`${name}/${number}/${what}`)).buffer;
    const [codes, bases, steps] = await Promise.all(["codes", "base", "step"].map(part));
    const known = codesOf(new Uint8Array(codes), grid.shape);
    const values = valuesOf(known, new Float64Array(bases), new Float64Array(steps), grid.shape, base);
    return tiles.map((row) => tileOf(row, values, grid, {f, base}));
  });
  return (await Promise.all(found)).flat();
}

/** A finding that was kept, as the kernel told it: its head and one buffer. @param {any} head @param {Uint8Array<ArrayBuffer>} bytes */
export const findingOf = (head, bytes) => ({
  head,
  buffers: [new DataView(floats(bytes.buffer, 0, bytes.byteLength >> 2).buffer)],
});
