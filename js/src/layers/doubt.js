// Where the map is less than certain, as a pattern over it: interpolated, uncertain by more than a contour step, at the noise
// floor. The patterns hang on the plane's origin, so that they move with the picture.

import {drawn, linthresh} from "../colour.js";
import {errorOf, isComplete} from "../tiles.js";
import {svg} from "../ui/dom.js";
import {HALO, INK, put, px, sheet} from "./ink.js";

/**
 * @typedef {import("../tiles.js").TileData} TileData
 * @typedef {import("../tiles.js").Scale} Scale
 * @typedef {"interpolated" | "uncertain" | "noise"} Doubt
 */

/** What each means, in the legend. @type {Record<Doubt, [name: string, title: string]>} */
export const WORDS = {
  interpolated: ["interpolated", "Not every node is evaluated here: between them it is a spline."],
  uncertain: ["uncertain", "It may be off by more than from one isoline to the next, or by how much is not known."],
  noise: ["noise floor", "Neighbouring values differ by rounding alone."],
};

/** What repeats, and how often, CSS pixels: seen on light and dark colours, and little of either covered. @type {Record<Doubt, [size: number, d: string, width: number]>} */
const PATTERNS = {
  interpolated: [16, "M4 4h.01M12 12h.01", 2],
  uncertain: [12, "M-1 13L13 -1", 1.2],
  noise: [18, "M6 9h6M9 6v6", 1.2],
};

/**
 * How a tile is in doubt, the most serious way first; null where every node is evaluated and within a contour step.
 * @param {TileData} data @param {Scale} scale @param {readonly number[]} levels of the isolines in sight, ascending, in the
 *   field's own unit
 * @returns {Doubt | null}
 */
export function doubtOf(data, scale, levels) {
  const whole = isComplete(data);
  const stated = errorOf(data, scale) ?? (whole ? 0 : Number.POSITIVE_INFINITY);
  const {sample} = data;
  const se = sample ? sample.level + sample.shape : 0;
  // Off by how much where the value is this: a standard error is in the field's own unit, the stated one on the scale.
  const off = (/** @type {number} */ value) =>
    Math.max(stated, se && se * steepness(Math.max(value, data.min ?? value), scale));
  const lo = data.min ?? Number.NaN;
  const hi = data.max ?? Number.NaN;
  for (let i = 1; i < levels.length; i++) {
    const [from, to] = [levels[i - 1], levels[i]];
    if (to < lo && i < levels.length - 1) continue;
    if (from > hi && i > 1) break;
    if (off(from) > drawn(to, scale) - drawn(from, scale)) return "uncertain";
  }
  if (data.noise) return "noise";
  return whole ? null : "interpolated";
}

/** How fast what is drawn of a value rises with it: the derivatives of `drawn`. @param {number} value @param {Scale} scale */
function steepness(value, scale) {
  if (scale === "linear") return 1;
  return 1 / (scale === "log" ? value : Math.hypot(value, 2 * linthresh(scale)));
}

/** @param {import("./index.js").Ground} ground @returns {import("./index.js").Layer} */
export function doubt({pane}) {
  const element = sheet("doubt");
  const id = `la-${Math.random().toString(36).slice(2)}-`;
  const kinds = /** @type {Doubt[]} */ (Object.keys(PATTERNS));
  const patterns = kinds.map((kind) => pattern(kind, id));
  const fills = kinds.map((kind) => svg("path", {fill: `url(#${id}${kind})`, "data-doubt": kind}));
  element.append(svg("defs", {}, ...patterns), ...fills);
  /** @type {Doubt[]} */
  let seen = [];
  return {
    name: "doubt",
    element,
    off: () => pane.onLine,
    lacks: () => (pane.onLine ? "A curve is drawn where it is known." : ""),
    legend: () => seen.map((kind) => ({kind, text: WORDS[kind][0], title: WORDS[kind][1], icon: icon(kind)})),
    draw(viewport, reader) {
      const levels = pane.levels.map(({value}) => value);
      /** @type {Partial<Record<Doubt, string>>} */
      const regions = {};
      [...reader.squares.values()].forEach((square, i) => {
        const data = reader.tile(square);
        const kind = data && doubtOf(data, reader.scale, levels);
        if (!kind || !pane.quads[i]) return;
        const [x0, y0, x1, y1] = pane.quads[i].rect.map((x) => px(x / pane.ratio));
        regions[kind] = `${regions[kind] ?? ""}M${x0} ${y0}H${x1}V${y1}H${x0}Z`;
      });
      seen = kinds.filter((kind) => regions[kind]);
      const [x, y] = viewport.toPixels([0, 0]);
      kinds.forEach((kind, i) => {
        const [size] = PATTERNS[kind];
        put(fills[i], {d: regions[kind] ?? ""});
        put(patterns[i], {patternTransform: `translate(${px(x % size)} ${px(y % size)})`});
      });
    },
  };
}

/** @param {Doubt} kind @param {string} id */
function pattern(kind, id) {
  const [size] = PATTERNS[kind];
  const box = {id: id + kind, width: size, height: size, patternUnits: "userSpaceOnUse"};
  return svg("pattern", box, ...strokes(kind));
}

/** @param {Doubt} kind */
const strokes = (kind) => {
  const [, d, width] = PATTERNS[kind];
  const line = {d, fill: "none", "stroke-linecap": "round"};
  return [
    svg("path", {...line, stroke: HALO, "stroke-opacity": 0.45, "stroke-width": width + 1.4}),
    svg("path", {...line, stroke: INK, "stroke-opacity": 0.85, "stroke-width": width}),
  ];
};

/** A piece of the pattern, for the legend. @param {Doubt} kind */
const icon = (kind) =>
  svg(
    "svg",
    {width: 18, height: 12, viewBox: `0 ${PATTERNS[kind][0] / 2 - 6} 18 12`, "aria-hidden": "true"},
    svg("rect", {y: PATTERNS[kind][0] / 2 - 6, width: 18, height: 12, rx: 2, fill: "#4a8a8c"}),
    ...strokes(kind),
  );
