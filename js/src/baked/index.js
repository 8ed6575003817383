// What draws a map without its kernel: the tiles that were baked into the widget's state, and answers to what a page asks of them.
// A module of its own that comes with what it reads; it shares its property names with the main one, and one build.

import {findingOf, tilesOf, unpack} from "./unpack.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../source/comm.js").Local} Local */

/** Of the layout that this module reads. */
const FORMAT = 1;

/**
 * Put what was baked into a session; null for what this module does not know.
 * @param {Session} session @param {DataView} data @returns {Promise<Local | null>}
 */
export async function open(session, data) {
  const {head, section} = await unpack(data);
  if (head.format !== FORMAT) return null;
  const kept = await Promise.all(
    head.spectra.map(async (one, number) => findingOf(one, await section(`spectrum/${number}`))),
  );
  const hasPart = new Set(head.sections.map(([name]) => name));
  const fields = head.fields.map((field, f) => ({...field, f}));
  session.restore({...head.scene, fields: head.fields.map(({f}) => head.scene.fields[f])});
  // What is looked at comes first.
  const shown = session.fieldName;
  fields.sort((one, other) => Number(other.name === shown) - Number(one.name === shown));
  for (const field of fields) session.put(await tilesOf(head, field, section));
  return {
    scene: head.scene.hash,
    spectra: kept,
    boundOf(name, rect) {
      const bounds = head.fields.find((field) => field.name === name)?.pieces.map(({bound}) => bound) ?? [];
      const [a0, a1, b0, b1] = head.scene.home;
      const atHome = rect[0] >= a0 && rect[1] <= a1 && (b0 === b1 || (rect[2] >= b0 && rect[3] <= b1));
      return atHome ? bounds[0] : Math.max(...bounds);
    },
    /** @param {string} k @param {any} more */
    async ask(k, more) {
      if (k === "caption") return {text: head.caption};
      const name = `part/${more.name}`;
      if (k !== "part" || !hasPart.has(name)) return null;
      return {buffers: [await section(name)]};
    },
  };
}
