// The wire, version 1: heads as JSON, tiles as little-endian float32. Numbers and buffers in, plain values out; the
// messages themselves are the fixtures in tests/fixtures/protocol, which the Python side reads too.

export const VERSION = 1;

/** Most tiles that one want may list (the kernel refuses more). */
export const MAX_WANTED = 256;

/** Nodes per side that a tile may come with: each set holds the one before. */
const SIDES = new Set([3, 5, 9, 17, 33]);

/**
 * @typedef {{name: string, length?: number | null, unit?: string, about?: string}} Axis
 * @typedef {{name: string, label?: string, unit?: string}} Field
 * @typedef {{
 *   turn_u: number, turn_v: number, offset: number,
 *   u_from?: string, u_to?: string, v_from?: string, v_to?: string, offset_along?: string
 * }} Position  whole degrees, whole degrees, in [−1, 1]; names of directions, "" for the usual
 * @typedef {{
 *   hash: string, title: string, axes: Axis[], fields: Field[], home: number[], tile: number, z: number[],
 *   dtype: string, samples?: number | null, turns?: {u?: string | null, v?: string | null, offset?: string | null},
 *   directions?: string[], at?: Position, notes?: string[], mode?: string, points?: {name: string, a: number, b: number}[]
 * }} Scene  axes: two, or one of a line; home: a0, a1, b0, b1, of a line b0 = b1 = 0; z: coarsest and finest level that may be asked for
 *
 * @typedef {{
 *   z: number, x: number, y: number, f: number, q: number, nodes: number, error: number | null, error_of_log: number | null,
 *   min: number | null, max: number | null, bad: number, noise: boolean, base: number,
 *   values: Float32Array, centres: Float32Array | null, sample: Sample | null
 * }} TileData  values: nodes² differences from base, row 0 at the lowest b; centres: (nodes − 1)² or null; sample: null
 *   where values rest on all data
 * @typedef {{rests_on: string, level: number, shape: number}} Sample  how many samples, or batches, the values of a preview
 *   rest on, in words, and their standard errors, infinite where they are not known
 *
 * @typedef {{k: "ready", client: string | null, boot: string, epoch: number, scene: Scene | null}} Ready
 * @typedef {{k: "scene", epoch: number, scene: Scene}} SceneMessage
 * @typedef {{k: "tiles", epoch: number, n: number, tiles: TileData[]}} Tiles
 * @typedef {{
 *   k: "probed", client: string | null, req: number, epoch: number, at: number[],
 *   value: Record<string, number | null>, se: Record<string, number | null>, bad: Record<string, string>, n: number | null
 * }} Probed
 * @typedef {{k: "captioned", client: string | null, req: number, epoch: number, text: string}} Captioned
 * @typedef {{
 *   k: "status", epoch: number, state: string, queue: number, done: number, rate: number | null, eta: number | null,
 *   model_changed: boolean, heard: Record<string, number>, making: string
 * }} Status
 * @typedef {{
 *   k: "error", client: string | null, req: number | null, tile: number[] | null, code: string, text: string, retry: boolean
 * }} ErrorMessage
 * @typedef {{k: "part", client: string | null, req: number, epoch?: number}} Part
 * @typedef {(Probed | Captioned | Part) & {buffers: readonly DataView[]}} Answer
 * @typedef {Ready | SceneMessage | Tiles | Answer | Status | ErrorMessage} Message
 *
 * @typedef {[z: number, x: number, y: number, q: number]} Wanted
 * @typedef {{center: [number, number], span: number, width: number, height: number}} View  span: width in a
 */

/**
 * @typedef {{share: number, scale: import("./colour.js").Scale, error: number | null}} Tolerance  error: what a tile may be off by on that
 *   scale; null while the range in sight, of which share is a share, is not known
 */

/**
 * `count` float32 values from element `start` of a binary buffer, copied: hosts hand out DataViews into larger
 * buffers, at offsets that need not be multiples of four, and a tile must not keep its whole message alive.
 * @param {DataView | ArrayBuffer | ArrayBufferView} buffer @param {number} start @param {number} count
 * @returns {Float32Array}
 */
export function floats(buffer, start, count) {
  const whole = buffer instanceof ArrayBuffer ? buffer : buffer.buffer;
  const first = (buffer instanceof ArrayBuffer ? 0 : buffer.byteOffset) + 4 * start;
  return new Float32Array(whole.slice(first, first + 4 * count));
}

/** @param {unknown} value @returns {value is number} */
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
/** @param {unknown} value */
const numberOrNull = (value) => (isNumber(value) ? value : null);
/** @param {any} value @returns {Record<string, any>} */
const record = (value) => (value !== null && typeof value === "object" ? value : {});

/** What a status leaves out. */
const NO_STATUS = {epoch: 0, queue: 0, rate: null, eta: null, heard: {}, making: ""};

/** @param {any} scene @returns {scene is Scene} */
export function isScene(scene) {
  return (
    record(scene).hash !== undefined &&
    typeof scene.hash === "string" &&
    Array.isArray(scene.axes) &&
    Array.isArray(scene.fields) &&
    scene.fields.length > 0 &&
    Array.isArray(scene.home) &&
    scene.home.length === 4 &&
    scene.home.every(isNumber) &&
    Array.isArray(scene.z)
  );
}

/** The row of a line's tile as a tile: the same for every b. @param {Float32Array} row */
function repeated(row) {
  const values = new Float32Array(row.length ** 2);
  for (let at = 0; at < values.length; at += row.length) values.set(row, at);
  return values;
}

/** @param {any} head @returns {Sample} */
const sampleOf = ({rests_on, se_level, se_shape}) => ({
  rests_on,
  level: se_level ?? Number.POSITIVE_INFINITY,
  shape: se_shape ?? Number.POSITIVE_INFINITY,
});

/** @param {any} head @param {DataView | undefined} buffer @returns {TileData | null} null when it cannot be true */
function tileOf(head, buffer) {
  const {z, x, y, f, nodes, off, base} = head;
  const integers = [z, x, y, f, nodes, off].every(Number.isInteger);
  if (!integers || !SIDES.has(nodes) || !isNumber(base) || buffer === undefined) return null;
  const row = head.rows === 1;
  const count = row ? nodes : nodes * nodes;
  const inner = head.centres === true ? (nodes - 1) * (nodes - 1) : 0;
  if (off < 0 || 4 * (off + count + inner) > buffer.byteLength) return null;
  return {
    ...head,
    error: numberOrNull(head.error),
    error_of_log: numberOrNull(head.error_of_log),
    values: row ? repeated(floats(buffer, off, count)) : floats(buffer, off, count),
    centres: inner > 0 ? floats(buffer, off + count, inner) : null,
    sample: head.rests_on ? sampleOf(head) : null,
  };
}

/**
 * A message from the kernel as a value, or null for one that this version does not know: a newer kernel may speak of
 * things that we cannot draw, and that is no error.
 * @param {any} head @param {readonly DataView[]} [buffers] @returns {Message | null}
 */
export function decode(head, buffers = []) {
  const h = record(head);
  if (h.v !== VERSION) return null;
  const client = typeof h.client === "string" ? h.client : null;
  switch (h.k) {
    case "ready":
      if (!isNumber(h.epoch)) return null;
      return /** @type {Ready} */ ({...h, client, scene: isScene(h.scene) ? h.scene : null});
    case "scene":
      if (!isNumber(h.epoch) || !isScene(h.scene)) return null;
      return /** @type {SceneMessage} */ (h);
    case "tiles": {
      if (!isNumber(h.epoch) || !isNumber(h.n) || !Array.isArray(h.head)) return null;
      const tiles = h.head.map((entry) => tileOf(record(entry), buffers[0]));
      return {k: "tiles", epoch: h.epoch, n: h.n, tiles: tiles.filter((tile) => tile !== null)};
    }
    case "status":
      return /** @type {Status} */ ({...NO_STATUS, ...h});
    case "error":
      return /** @type {ErrorMessage} */ ({req: null, tile: null, retry: false, ...h, client, text: `${h.text}`});
    default:
      // An answer to a request: whoever asked knows what it holds.
      return isNumber(h.req) ? /** @type {Answer} */ (/** @type {any} */ ({bad: {}, ...h, buffers})) : null;
  }
}

/** @param {string} client @param {{renderer: string}} caps @param {string | null} have hash of the scene on screen */
export const hello = (client, caps, have) => ({v: VERSION, k: "hello", client, caps, have});

/**
 * @param {string} client
 * @param {{
 *   epoch: number, rev: number, view: View, fields: string[], tiles: Wanted[], credit: number, seen: number,
 *   shown: Wanted[], tolerance: Tolerance | null
 * }} list shown: on screen and good enough; when the plane changes, the kernel begins with these too; tolerance: null for every
 *   node
 */
export const want = (client, {epoch, rev, view, fields, tiles, credit, seen, shown, tolerance}) => ({
  v: VERSION,
  k: "want",
  client,
  epoch,
  rev,
  view,
  fields,
  tiles: tiles.slice(0, MAX_WANTED),
  credit,
  seen,
  shown: shown.slice(0, MAX_WANTED),
  tolerance,
});

/**
 * A request that is answered: probe, with a point `at`; caption: what the axes mean, in words; part: what a click opens.
 * @param {string} k @param {string} client @param {number} req @param {object} more
 */
export const ask = (k, client, req, more) => ({v: VERSION, k, client, req, ...more});

/** @param {string} client @param {boolean} removed the output is gone for good, not merely out of sight */
export const bye = (client, removed) => ({v: VERSION, k: "bye", client, removed});

/** @param {"refresh" | "pause" | "resume" | "back" | "forward"} k @param {string} client */
export const order = (k, client) => ({v: VERSION, k, client});
