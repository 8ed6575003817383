// Isolines as strokes: where lines crowd, and where it is flat, they fade as they do on the screen. Pure.

/** @typedef {import("./isolines.js").Line} Line */
/** @typedef {typeof import("../render/shade.js").LOOK} Look */

/** Strokes are so many shades of strong. */
const SHADES = 6;

/** @param {number} x */
const clamped = (x) => Math.min(Math.max(x, 0), 1);

/**
 * How strongly a line shows that crosses a slope. @param {number} steepness lines per CSS pixel @param {boolean} major @param {Look} look
 */
function strengthOf(steepness, major, look) {
  const every = major ? look.majorEvery : 1;
  const firm = clamped((steepness - look.plateau) / (look.plateauEnd - look.plateau));
  return firm * clamped((every / steepness - look.crowded) / look.crowdedFade);
}

/** The difference to the next value, for each of an ascending list. @param {number[]} values */
export const gapsOf = (values) =>
  values.map((value, i) => Math.min(value - (values[i - 1] ?? -1 / 0), (values[i + 1] ?? 1 / 0) - value));

/**
 * The paths of lines, with how strong each is: runs of a line where that is the same.
 * @param {Line[]} lines in CSS pixels @param {{value: number, major: boolean}[]} levels @param {Look} look
 * @returns {{level: number, strength: number, d: string}[]}
 */
export function strokesOf(lines, levels, look) {
  const gaps = gapsOf(levels.map(({value}) => value));
  /** @type {Map<string, {level: number, strength: number, d: string}>} */
  const strokes = new Map();
  for (const {level, points, slopes, closed} of lines) {
    const shades = slopes.map((slope) =>
      Math.round(SHADES * strengthOf(slope / gaps[level], levels[level].major, look)),
    );
    for (let from = 0; from < shades.length - 1; ) {
      let to = from + 1;
      while (to < shades.length - 1 && shades[to] === shades[from]) to++;
      const whole = closed && to - from === shades.length - 1;
      const run = simplified(points.slice(2 * from, 2 * to + 2));
      const key = `${level}/${shades[from]}`;
      const stroke = strokes.get(key) ?? {level, strength: shades[from] / SHADES, d: ""};
      stroke.d += through(whole ? run.slice(0, -2) : run, whole);
      if (shades[from] > 0) strokes.set(key, stroke);
      from = to;
    }
  }
  return [...strokes.values()];
}

/**
 * A line with fewer points, none of those left out further from it than the tolerance (Douglas and Peucker 1973).
 * @param {number[]} points @param {number} [tolerance]
 */
export function simplified(points, tolerance = 0.02) {
  const last = points.length / 2 - 1;
  const kept = new Set([0, last]);
  const spans = [[0, last]];
  for (let span = spans.pop(); span !== undefined; span = spans.pop()) {
    const [from, to] = span;
    const [x, y] = [points[2 * from], points[2 * from + 1]];
    const [dx, dy] = [points[2 * to] - x, points[2 * to + 1] - y];
    const length = Math.hypot(dx, dy);
    let [furthest, most] = [0, tolerance];
    for (let i = from + 1; i < to; i++) {
      const [px, py] = [points[2 * i] - x, points[2 * i + 1] - y];
      // A closed line has no chord: then from its first point.
      const off = length > 0 ? Math.abs(px * dy - py * dx) / length : Math.hypot(px, py);
      if (off > most) [furthest, most] = [i, off];
    }
    if (furthest === 0) continue;
    kept.add(furthest);
    spans.push([from, furthest], [furthest, to]);
  }
  return [...kept].sort((a, b) => a - b).flatMap((i) => [points[2 * i], points[2 * i + 1]]);
}

/** Hundredths of a pixel. @param {number} value */
const short = (value) => String(Math.round(100 * value) / 100);

/** The d of a path through points, x and y of each. @param {readonly number[]} points @param {boolean} [closed] */
export function through(points, closed = false) {
  let d = "";
  for (let i = 0; i < points.length; i += 2) d += `${i === 0 ? "M" : "L"}${short(points[i])} ${short(points[i + 1])}`;
  return closed ? `${d}Z` : d;
}
