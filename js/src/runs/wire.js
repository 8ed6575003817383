// The wire of runs: rows of a path or of curves, as they come while training goes on. Heads and buffers in, plain columns out; the
// messages are the fixtures in tests/fixtures/protocol, and src/lossatlas/widget/run_messages.py is the kernel's side.

import {VERSION} from "../protocol.js";

/**
 * @typedef {Record<string, number[]>} Columns  of one length each
 * @typedef {{k: "path" | "curves", name: string, scene: string, from: number, n: number, color: string | null, columns: Columns}} Rows
 *   scene: of a path, "" of curves; from: which row is the first
 */

/** What each kind cannot do without. */
const NEEDED = {path: ["a", "b", "step"], curves: ["step"]};
/** Rows of a run at most: more is no run but a mistake. */
const MOST = 1e7;

/** @param {unknown} value */
const isText = (value) => typeof value === "string";

/**
 * `count` little-endian float64 values: hosts hand out views at offsets that need not be multiples of eight.
 * @param {DataView | ArrayBuffer | ArrayBufferView} buffer @param {number} count
 */
function doubles(buffer, count) {
  const [whole, start] =
    buffer instanceof ArrayBuffer ? [buffer, 0] : [/** @type {ArrayBuffer} */ (buffer.buffer), buffer.byteOffset];
  return new Float64Array(whole.slice(start, start + 8 * count));
}

/** @param {any} head @param {readonly (DataView | ArrayBuffer)[]} [buffers] @returns {Rows | null} null for what cannot be true, and for any other message */
export function decodeRows(head, buffers = []) {
  if (head?.v !== VERSION || !Object.hasOwn(NEEDED, head.k)) return null;
  const {k, name, scene = "", from, n, columns: names, color = null} = head;
  if (!isText(name) || !isText(scene) || !(color === null || isText(color))) return null;
  if (![from, n].every((count) => Number.isInteger(count) && count >= 0) || from + n > MOST) return null;
  if (!Array.isArray(names) || !names.every(isText) || new Set(names).size < names.length) return null;
  if (!NEEDED[/** @type {keyof typeof NEEDED} */ (k)].every((column) => names.includes(column))) return null;
  const width = names.length;
  if ((buffers[0]?.byteLength ?? 0) !== 8 * n * width) return null;
  const rows = n ? doubles(buffers[0], n * width) : new Float64Array();
  const columns = Object.fromEntries(
    names.map((column, at) => [column, Array.from({length: n}, (_, i) => rows[i * width + at])]),
  );
  return {k, name, scene, from, n, color, columns};
}
