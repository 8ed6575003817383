// What all explorers of a page share, though each of them runs a copy of its own of these modules.

const PAGE = Symbol.for("lossatlas/1");

/**
 * @typedef {{id?: string, gl?: any, parts?: Map<string, Promise<any>>, links?: Map<string, any>}} Page
 *   id: what tells it from other pages; gl: the one WebGL engine; parts: modules by kernel and name; links: groups of explorers by name
 */

/** @returns {Page} */
export function page() {
  const globals = /** @type {Record<symbol, Page | undefined>} */ (/** @type {unknown} */ (globalThis));
  const shared = globals[PAGE] ?? {};
  globals[PAGE] = shared;
  return shared;
}

/** What tells this page from others that show the same explorers. */
export function pageId() {
  const shared = page();
  shared.id ??= Math.random().toString(36).slice(2);
  return shared.id;
}

/** A module from its text. @param {BlobPart[]} parts @returns {Promise<any>} */
const moduleOf = (parts) => import(URL.createObjectURL(new Blob(parts, {type: "text/javascript"})));

/**
 * What was baked into a model, which begins with the module that reads it.
 * @param {import("./session.js").Session} session @param {DataView} data @returns {Promise<import("./source/comm.js").Local | null>}
 */
export async function unbaked(session, data) {
  const {buffer, byteOffset, byteLength} = data;
  const start = 4 + data.getUint32(0, true);
  const part = (/** @type {number} */ from, /** @type {number} */ to) =>
    new DataView(buffer, byteOffset + from, to - from);
  return (await moduleOf([/** @type {BlobPart} */ (part(4, start))])).open(session, part(start, byteLength));
}

/**
 * A part of the front end, of the kernel that is asked for it: one for all explorers, as long as that kernel lives.
 * @param {import("./source/comm.js").CommSource} source @param {string} name @returns {Promise<any>} null when it cannot be had
 */
export function partOf(source, name) {
  const shared = page();
  shared.parts ??= new Map();
  const {parts} = shared;
  const key = `${source.boot}/${name}`;
  const known = parts.get(key);
  if (known) return known;
  const asked = source.ask("part", {name}).then((answer) => {
    if (!answer) parts.delete(key);
    return answer && moduleOf(answer.buffers);
  });
  parts.set(key, asked);
  return asked;
}
