// The wire of points: what is asked and what comes, as values. The messages are the fixtures in tests/fixtures/protocol.

import {floats, VERSION} from "../protocol.js";

/**
 * @typedef {{limit: number | null, label: string, reason: string}} Stability
 * @typedef {{
 *   loss: number | null, gradient_norm: number | null, gradient_in_slice: number | null, slope: (number | null)[],
 *   hessian: (number | null)[][], curvatures: (number | null)[], axes: (number | null)[][], step: number, kinked: boolean,
 *   rounded: boolean, differences: (number | null)[][] | null, curvatures_at_scale: (number | null)[] | null
 * }} Jet  axes: (a, b) of each principal direction, one unit of length in parameter space
 * @typedef {{grid: Float32Array, values: Float32Array, lower: Float32Array, upper: Float32Array}} Density
 * @typedef {{
 *   eigenvalues: (number | null)[], residuals: (number | null)[], converged: boolean[], width: number | null,
 *   trace: number | null, trace_error: number | null, noise: number | null, form: string, exact: boolean,
 *   condition: number | null, warm: boolean
 * }} Spectrum
 * @typedef {{
 *   k: string, req: number, at: [number, number], products: number, of: number | null, size: number, jet: Jet | null,
 *   spectrum: Spectrum | null, density: Density | null, stability: Stability | null, done: boolean, cancelled: boolean
 * }} Finding  of: products until the end, where that is known; size: P
 */

/** @param {any} head @param {readonly DataView[]} [buffers] @returns {Finding | null} null for any other message */
export function decodeFinding(head, buffers = []) {
  const done = head?.k === "spectrum_done";
  if (head?.v !== VERSION || !(done || head.k === "spectrum_progress")) return null;
  const points = head.spectrum?.points ?? 0;
  const row = (/** @type {number} */ i) => floats(buffers[0], i * points, points);
  const complete = points > 1 && buffers[0]?.byteLength >= 16 * points;
  const density = complete ? {grid: row(0), values: row(1), lower: row(2), upper: row(3)} : null;
  return {...head, density, done, cancelled: head.cancelled === true};
}

/** @param {string} k spectrum, cancel, towards @param {string} client @param {number} req @param {object} [more] */
export const request = (k, client, req, more) => ({v: VERSION, k, client, req, ...more});
