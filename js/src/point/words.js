// What is known of a point, in words: no more than is known.

import {counted, significant} from "../ui/dom.js";

/** @typedef {import("./wire.js").Finding} Finding */

/** A number in three digits, or what stands for one. @param {number | null | undefined} value @param {number} [digits] */
export const number = (value, digits = 3) =>
  typeof value === "number" && Number.isFinite(value) ? significant(value, digits) : "not finite";

/** A value with what it may be off by: no digits that are not known. @param {number | null} value @param {number | null} error */
export function within(value, error) {
  if (typeof value !== "number" || typeof error !== "number") return number(value);
  if (!(error > 1e-4 * Math.abs(value))) return number(value, 4); // it is rounded to no less
  const power = (/** @type {number} */ x) => Math.floor(Math.log10(Math.abs(x)));
  const digits = power(value) - power(error) + 1;
  return `${number(value, Math.min(Math.max(digits, 1), 5))} ± ${number(error, 1)}`;
}

/** How far the run is. @param {Finding | null} finding @param {boolean} running @param {string} [state] of the line to the kernel */
export function progress(finding, running, state = "live") {
  if (finding === null) return running ? (state === "busy" ? "the kernel is busy …" : "measuring …") : "not measured";
  const {products, of, spectrum, size} = finding;
  if (spectrum?.exact) return `exact: all ${counted(size)} eigenvalues`;
  const taken = `${counted(products)}${of ? ` of ${counted(of)}` : ""} products`;
  if (!running) return finding.done && !finding.cancelled ? taken : `stopped after ${taken}`;
  const known = spectrum?.converged.filter(Boolean).length ?? 0;
  return known && spectrum ? `${taken} · ${known} of ${spectrum.converged.length}` : taken;
}

/** The extremes that are known, and their sides. @param {Finding} finding */
function extremes({spectrum}) {
  const values = spectrum?.eigenvalues ?? [];
  const high = values[0];
  const low = values.at(-1);
  return typeof high === "number" && typeof low === "number" && values.length > 1 ? {low, high} : null;
}

/**
 * The truth in a sentence or two: how the slice curves, how the whole space does, and whether a bowl here is one there.
 * @param {Finding} finding @returns {{slice: string, whole: string, verdict: string}}
 */
export function sentence(finding) {
  const {jet, spectrum} = finding;
  const curves = (jet?.curvatures ?? []).filter((value) => typeof value === "number");
  if (!jet || curves.length === 0) return {slice: "", whole: "", verdict: ""};
  const [most, least] = [curves[0], curves[curves.length - 1]];
  const slice =
    curves.length > 1
      ? `In this slice it curves by ${number(least)} to ${number(most)}`
      : `On this line it curves by ${number(most)}`;
  const ends = extremes(finding);
  if (!ends || !spectrum) return {slice: `${slice}.`, whole: "", verdict: ""};
  const {converged, residuals} = spectrum;
  const sure = converged[0] && converged[converged.length - 1];
  const whole = `, in the whole space from ${sure ? "" : "at most "}${number(ends.low)} to ${sure ? "" : "at least "}${number(ends.high)}.`;
  // What falls is counted only where its residual leaves no doubt.
  const falling = spectrum.eigenvalues.filter(
    (value, i) => value !== null && converged[i] && value < -Math.max(residuals[i] ?? 0, 2 * (spectrum.noise ?? 0)),
  ).length;
  if (least > 0 && falling > 0)
    return {
      slice,
      whole,
      verdict: `A bowl here, but at least ${falling} ${falling === 1 ? "direction bends" : "directions bend"} down.`,
    };
  return {slice, whole, verdict: ""};
}

/** What the two measures of the slice disagree about, and why, or why they cannot; "" where they agree. @param {Finding} finding */
export function kinks({jet}) {
  if (jet?.rounded) return `Over ± ${number(jet.step)} differences are below the rounding of the numbers: zoom out.`;
  if (!jet?.kinked) return "";
  return `Over ± ${number(jet.step)} it curves otherwise: the map counts kinks (of ReLU) and higher orders.`;
}
