// The glyph of a point: what the loss does around it to second order, in the map's own coordinates. Axes are long where the
// slice is flat, whole where it rises and dashed where it falls; a bowl has an ellipse, a saddle the arms of its hyperbolas.

/** @typedef {[number, number]} Point */
/** @typedef {{rising: Point[][], falling: Point[][]}} Glyph  lines in the plane, from the point */

/** The longer arm, as a share of the view; the shorter one is never less than a tenth of it. */
export const SHARE = 0.17;
const THINNEST = 0.1;

/**
 * @param {readonly (number | null)[]} curvatures descending @param {readonly (readonly (number | null)[])[]} axes
 * @param {number} span of the view, its shorter side
 * @returns {Glyph | null} null where it is not known
 */
export function glyphOf(curvatures, axes, span) {
  const sizes = curvatures.map((value) => Math.abs(value ?? Number.NaN));
  if (curvatures.length !== 2 || sizes.some(Number.isNaN)) return null;
  const largest = Math.max(...sizes);
  const reach = sizes.map((size) => 1 / Math.sqrt(Math.max(size / (largest || 1), THINNEST ** 2)));
  const arms = axes.map((axis, i) => /** @type {Point} */ (axis.map((x) => reach[i] * (x ?? 0))));
  const longest = Math.max(...arms.map(([a, b]) => Math.hypot(a, b)));
  const [first, second] = arms.map(([a, b]) => /** @type {Point} */ ([a, b].map((x) => (SHARE * span * x) / longest)));
  /** @type {Glyph} */
  const glyph = {rising: [], falling: []};
  const of = (/** @type {number} */ i) => ((curvatures[i] ?? 0) < 0 ? glyph.falling : glyph.rising);
  of(0).push(through(first));
  of(1).push(through(second));
  if (of(0) === of(1)) of(0).push(curve(first, second, Math.cos, Math.sin, 2 * Math.PI));
  else
    for (const sign of [-1, 1]) {
      of(0).push(arm(first, second, sign));
      of(1).push(arm(second, first, sign));
    }
  return glyph;
}

/** @param {Point} arm @returns {Point[]} */
const through = ([a, b]) => [
  [-a, -b],
  [a, b],
];

/** One arm of a hyperbola. @param {Point} along @param {Point} across @param {number} sign */
const arm = (along, across, sign) =>
  curve(
    along,
    across,
    (t) => 0.55 * sign * Math.cosh(t - 0.9),
    (t) => 0.55 * Math.sinh(t - 0.9),
    1.8,
  );

/**
 * @param {Point} p @param {Point} q @param {(t: number) => number} f @param {(t: number) => number} g @param {number} end
 * @returns {Point[]}
 */
function curve(p, q, f, g, end) {
  const steps = 48;
  return Array.from({length: steps + 1}, (_, i) => {
    const t = (end * i) / steps;
    return [f(t) * p[0] + g(t) * q[0], f(t) * p[1] + g(t) * q[1]];
  });
}

/** As the d of a path. @param {readonly Point[][]} lines @param {(point: Point) => Point} toPixels */
export const pathOf = (lines, toPixels) =>
  lines
    .map(
      (line) =>
        `M${line
          .map(toPixels)
          .map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`)
          .join("L")}`,
    )
    .join("");
