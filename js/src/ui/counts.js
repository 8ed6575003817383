// How much of what is in sight is really computed, and how wrong it can be.

import {CELLS, cover, errorOf, isComplete} from "../tiles.js";

/** @typedef {import("../panes/map.js").MapPane} MapPane */
/** @typedef {import("../session.js").Session} Session */
/** @typedef {{evaluated: number, total: number, bad: number, noise: boolean, error: number, unlogged: boolean, sample: import("../protocol.js").Sample | null}} Counts */

/** @type {Counts} */
export const NONE = {evaluated: 0, total: 0, bad: 0, noise: false, unlogged: false, error: 0, sample: null};

/** How many of the view's nodes are evaluated, and how many of them are not finite. Shared borders count once. @param {MapPane} pane @param {Session} session */
export function countNodes(pane, session) {
  const {subject} = pane;
  const counts = {...NONE};
  if (subject === null) return counts;
  const {hash, field, scale, viewport, level} = subject;
  const addresses = cover(viewport.rect, level);
  const right = Math.max(...addresses.map(({x}) => x));
  const upper = Math.max(...addresses.map(({y}) => y));
  for (const address of addresses) {
    // A tile owns its left and lower border; the view's outer ones belong to the last of each row and column.
    const column = address.x === right ? 1 : 0;
    const row = address.y === upper ? 1 : 0;
    const {onLine} = pane;
    counts.total += (CELLS + column) * (onLine ? 1 : CELLS + row);
    const data = (pane.sufficient(address) ?? session.store.get(hash, field, address))?.data;
    if (data === undefined) continue;
    // Of an ancestor that is good enough, its nodes in this square.
    const share = 2 ** (data.z - address.z);
    const cells = share * (data.nodes - 1);
    const centres = share * share * (data.centres?.length ?? 0);
    counts.evaluated += Math.round((cells + column) * (onLine ? 1 : cells + row) + centres);
    counts.bad += share === 1 ? data.bad : 0;
    counts.noise ||= data.noise && !isComplete(data);
    counts.unlogged ||= scale === "log" && (data.min ?? 1) <= 0;
    // The worse of two says enough of both.
    if (data.sample && !(data.sample.shape < (counts.sample?.shape ?? 0))) counts.sample = data.sample;
    counts.error = Math.max(counts.error, errorOf(data, scale) ?? Number.POSITIVE_INFINITY);
  }
  return counts;
}
