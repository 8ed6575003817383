// Where a run is, in words.

import {counted, significant} from "../ui/dom.js";

/** @typedef {{step: number, loss?: number | null, map?: number | null, off?: number | null}} Place  map: its own loss there, null where it is not known; off: the plane */

/** In three digits that count. @param {number | null | undefined} value */
export const number = (value) =>
  value === null || value === undefined ? "–" : Number.isFinite(value) ? significant(value, 3) : "not finite";

/** @param {number} step */
export const stepText = (step) =>
  Number.isInteger(step) && Math.abs(step) < 1e15 ? counted(step) : significant(step, 5);

/** @param {number} off */
export const offText = (off) => `${off === 0 ? 0 : significant(off, 2)} off the plane`;

/** "step 120 · loss 0.513 · map says 0.498 · 0.12 off the plane", of what is known. @param {Place} place */
export function words({step, loss, map, off}) {
  const parts = [`step ${stepText(step)}`];
  if (loss !== undefined && loss !== null) parts.push(`loss ${number(loss)}`);
  if (map !== undefined && map !== null) parts.push(`map says ${number(map)}`);
  if (off !== undefined && off !== null) parts.push(offText(off));
  return parts.join(" · ");
}
