// The spectrum drawn: the density of all eigenvalues on a log axis with its band, the ones that are known each for itself, and
// where an optimizer's steps stop coming back.

import {svg} from "../ui/dom.js";
import {bulkOf, domainOf, powerOfTen, scaleOf, valueTicks} from "./scale.js";
import {number, within} from "./words.js";

/** @typedef {import("./wire.js").Finding} Finding */
/** @typedef {import("./scale.js").Domain} Domain */
/** @typedef {{finding: Finding, colour: string}} Drawn */

const HEIGHT = 160;
const ROOM = {left: 38, right: 12, top: 18, bottom: 36};
/** How high the known eigenvalues stand, and their residuals with them. */
const STEM = 22;
/** Below this share of what one eigenvalue's peak is, nothing that counts lies. */
const BELOW = 0.02;
/** A line of stability further out than this, in the widths of the spectrum, is told of at the edge. */
const FAR = 1.5;

/**
 * The lowest and the highest density that are drawn, as powers of ten: from less than one eigenvalue to above the peak.
 * @param {Finding} finding @returns {[number, number]}
 */
export function decadesOf({density, spectrum, size}) {
  const width = spectrum?.width || 1;
  const lowest = BELOW / (size * width * Math.sqrt(2 * Math.PI));
  const highest = density ? density.values.reduce((a, b) => Math.max(a, b), lowest) : 10 * lowest;
  return [Math.floor(Math.log10(lowest) + 0.3), Math.ceil(Math.log10(highest) + 0.15)];
}

/**
 * What is seen of the values: grid of the density where it counts, eigenvalues, and a line that is near enough.
 * @param {Finding} finding @param {number} floor of the density @returns {[number, number]}
 */
export function extentOf({density, spectrum, stability}, floor) {
  const inside = density ? density.grid.filter((_, i) => density.values[i] > floor) : new Float32Array();
  const known = /** @type {number[]} */ (spectrum?.eigenvalues.filter((value) => value !== null) ?? []);
  const all = [...inside, ...known, 0];
  let [lo, hi] = [Math.min(...all), Math.max(...all)];
  const limit = stability?.limit;
  if (typeof limit === "number" && limit > hi && limit < hi + FAR * (hi - lo)) hi = limit;
  if (lo === hi) [lo, hi] = [lo - 1, hi + 1];
  return [lo, hi];
}

export class Plot {
  element = svg("svg", {class: "la-plot", role: "img"});
  /** @type {Domain | null} */
  #domain = null;
  #of = "";

  /** @param {Drawn[]} others drawn thin @param {Drawn} one @param {number} width CSS pixels @param {boolean} running */
  draw(others, one, width, running) {
    const {finding, colour} = one;
    const shown = [...others.map((other) => other.finding), finding].filter(({density}) => density !== null);
    const low = decadesOf(finding)[0];
    const high = Math.max(...[finding, ...shown].map((each) => decadesOf(each)[1]));
    const extents = (shown.length ? shown : [finding]).map((each) => extentOf(each, 10 ** low));
    const lo = Math.min(...extents.map(([from]) => from));
    const hi = Math.max(...extents.map(([, to]) => to));
    const bulk = finding.density ? bulkOf(finding.density.grid, finding.density.values) : [lo, hi];
    const of = `${finding.req}/${others.map((other) => other.finding.req)}`;
    const last = running && of === this.#of ? this.#domain : null;
    this.#of = of;
    this.#domain = domainOf(lo, hi, /** @type {[number, number]} */ (bulk), last);

    const {left, right, top, bottom} = ROOM;
    const inner = width - left - right;
    const base = HEIGHT - bottom;
    const x = scaleOf(this.#domain, left, inner);
    const y = (/** @type {number} */ value) => {
      const share = (Math.log10(Math.max(value, 1e-300)) - low) / (high - low);
      return base - (base - top) * Math.min(Math.max(share, 0), 1.05);
    };
    const parts = [this.#axes(x, y, [low, high], width, base)];
    for (const other of others) parts.push(line(other, x, y));
    if (finding.density) parts.push(...filled(finding.density, x, y, base, colour), line(one, x, y));
    parts.push(...stems(finding, x, base), ...limit(finding, x, left + inner, top, base));
    this.element.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.element.setAttribute("height", String(HEIGHT));
    this.element.setAttribute("aria-label", described(finding));
    this.element.dataset.bent = String(this.#domain.bend !== null);
    this.element.replaceChildren(...parts);
  }

  /**
   * @param {(x: number) => number} x @param {(y: number) => number} y @param {[number, number]} decades
   * @param {number} width @param {number} base
   */
  #axes(x, y, [low, high], width, base) {
    const {left, right, top} = ROOM;
    const domain = /** @type {Domain} */ (this.#domain);
    const group = svg("g", {class: "la-plot-axes"});
    group.append(svg("path", {d: `M${left} ${base}H${width - right}`}));
    for (const {at, text} of valueTicks(domain, left, width - left - right))
      group.append(
        svg("path", {d: `M${at.toFixed(1)} ${base}v4`}),
        svg("text", {x: at.toFixed(1), y: base + 16, "text-anchor": "middle"}, text),
      );
    const every = Math.max(1, Math.ceil((high - low) / 4));
    for (let power = Math.ceil(low / every) * every; power <= high; power += every) {
      const at = y(10 ** power).toFixed(1);
      group.append(
        svg("path", {d: `M${left} ${at}H${width - right}`, class: "la-plot-grid"}),
        svg("text", {x: left - 6, y: Number(at) + 4, "text-anchor": "end"}, powerOfTen(power)),
      );
    }
    if (domain.lo < 0 && domain.hi > 0)
      group.append(svg("path", {d: `M${x(0).toFixed(1)} ${top}V${base}`, class: "la-plot-zero"}));
    const bent = domain.bend === null ? "" : " · axis bent near 0";
    group.append(svg("text", {x: width - right, y: base + 31, "text-anchor": "end"}, `eigenvalue λ${bent}`));
    group.append(svg("text", {x: left, y: 10}, "density of all eigenvalues, log"));
    return group;
  }
}

/** @param {ArrayLike<number>} grid @param {ArrayLike<number>} values @param {(x: number) => number} x @param {(y: number) => number} y */
function points(grid, values, x, y) {
  const all = [];
  for (let i = 0; i < grid.length; i++) all.push(`${x(grid[i]).toFixed(1)} ${y(values[i]).toFixed(1)}`);
  return all;
}

/** @param {Drawn} drawn @param {(x: number) => number} x @param {(y: number) => number} y */
function line({finding: {density}, colour}, x, y) {
  const d = density ? `M${points(density.grid, density.values, x, y).join("L")}` : "";
  return svg("path", {d, class: "la-plot-line", stroke: colour});
}

/**
 * The area under a density, and its band.
 * @param {import("./wire.js").Density} density @param {(x: number) => number} x @param {(y: number) => number} y
 * @param {number} base @param {string} colour
 */
function filled({grid, values, lower, upper}, x, y, base, colour) {
  const curve = points(grid, values, x, y);
  const ends = [x(grid[0]), x(grid[grid.length - 1])].map((at) => at.toFixed(1));
  const around = [...points(grid, upper, x, y), ...points(grid, lower, x, y).reverse()];
  return [
    svg("path", {d: `M${ends[0]} ${base}L${curve.join("L")}L${ends[1]} ${base}Z`, class: "la-plot-area", fill: colour}),
    svg("path", {d: `M${around.join("L")}Z`, class: "la-plot-band", fill: colour}, titled("two standard errors")),
  ];
}

/** @param {string} text */
const titled = (text) => svg("title", {}, text);

/** The eigenvalues that are known each for itself. @param {Finding} finding @param {(x: number) => number} x @param {number} base */
function stems({spectrum}, x, base) {
  return (spectrum?.eigenvalues ?? []).flatMap((value, i) => {
    if (value === null || !spectrum) return [];
    const at = x(value).toFixed(1);
    const residual = spectrum.residuals[i] ?? 0;
    const sure = spectrum.converged[i];
    const stem = svg("g", {class: sure ? "la-stem" : "la-stem la-unsure"});
    stem.append(svg("path", {d: `M${at} ${base}v${-STEM}`}));
    const [from, to] = [x(value - residual), x(value + residual)];
    if (to - from > 4) stem.append(svg("path", {d: `M${from.toFixed(1)} ${base - STEM}H${to.toFixed(1)}`}));
    stem.append(svg("circle", {cx: at, cy: base - STEM, r: 3}));
    stem.append(titled(`λ = ${within(value, residual)}${sure ? "" : ", not converged"}`));
    return [stem];
  });
}

/**
 * Where steps stop coming back: a dashed line, or an arrow to it at the edge.
 * @param {Finding} finding @param {(x: number) => number} x @param {number} right @param {number} top @param {number} base
 */
function limit({stability}, x, right, top, base) {
  if (typeof stability?.limit !== "number") return [];
  const at = x(stability.limit);
  const group = svg("g", {class: "la-limit"}, titled(stability.reason));
  if (at > right + 0.5 || at < ROOM.left) {
    const beyond = `${stability.label} = ${number(stability.limit)}`;
    group.append(
      svg("text", {x: right, y: top + 12, "text-anchor": "end"}, at > right ? `${beyond} →` : `← ${beyond}`),
    );
  } else
    group.append(
      svg("path", {d: `M${at.toFixed(1)} ${top}V${base}`}),
      svg("text", {x: (at - 5).toFixed(1), y: top + 12, "text-anchor": "end"}, stability.label),
    );
  return [group];
}

/** @param {Finding} finding */
function described({spectrum}) {
  const known = spectrum?.eigenvalues ?? [];
  return known.length
    ? `Spectrum of the Hessian, eigenvalues ${known.map((value) => number(value)).join(", ")}`
    : "Spectrum of the Hessian";
}
