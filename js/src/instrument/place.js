// Where the numbers of isolines stand: on the line, upright, where it is straight for long enough, and never over one another.
// Pure: lines and sizes in CSS pixels in, places out.

/**
 * @typedef {import("./isolines.js").Line} Line
 * @typedef {{x: number, y: number, angle: number, width: number, height: number}} Box  its middle; angle: radians, clockwise
 *   as y points down
 * @typedef {Box & {level: number, cost: number, piece: number[]}} Place  piece: of the line under the text, x, y of each point
 * @typedef {{level: number, x: number, y: number}} Known  where a number of a level stands
 */

/** Pixels of line that stay free on either side of a text. */
const EITHER = 5;
export const HEIGHT = 14;
/** How far a line may be from its chord under a text: further, the text would not follow it. */
const BENT = 2.5;
/** Between two places that are tried, along the line. */
const STEP = 9;
/** Between two numbers of one level, and between any two. */
const APART = 230;
const GAP = 5;
/** Numbers of one level, and of all. */
const MOST = 4;
const MOST_OF_ALL = 28;
/** Between the map's border and a text. */
const MARGIN = 5;
/** A text that stood this near to its line stays with it. */
const NEAR = 14;
/** Between lines that a text would hide, in pixels. */
const CROWDED = 6;

/** @param {Box} box @returns {[number, number][]} */
const cornersOf = ({x, y, angle, width, height}) => {
  const [cos, sin] = [Math.cos(angle) / 2, Math.sin(angle) / 2];
  return [-1, 1].flatMap((i) =>
    [-1, 1].map(
      (j) =>
        /** @type {[number, number]} */ ([
          x + i * width * cos - j * height * sin,
          y + i * width * sin + j * height * cos,
        ]),
    ),
  );
};

/** Whether two boxes are nearer than a gap: along the sides of one of them they would else be apart. @param {Box} one @param {Box} other @param {number} gap */
export function overlap(one, other, gap = 0) {
  const corners = [cornersOf(one), cornersOf(other)];
  for (const {angle} of [one, other])
    for (const turn of [0, Math.PI / 2]) {
      const [cos, sin] = [Math.cos(angle + turn), Math.sin(angle + turn)];
      const [a, b] = corners.map((all) => all.map(([x, y]) => x * cos + y * sin));
      if (Math.min(...a) > Math.max(...b) + gap || Math.min(...b) > Math.max(...a) + gap) return false;
    }
  return true;
}

/** A line by the length along it. @param {Line} line */
function measured({points, closed}) {
  const along = [0];
  for (let i = 2; i < points.length; i += 2)
    along.push(along[along.length - 1] + Math.hypot(points[i] - points[i - 2], points[i + 1] - points[i - 1]));
  const length = along[along.length - 1];
  /** The last vertex at or before a length. @param {number} s */
  const before = (s) => {
    let [lo, hi] = [0, along.length - 2];
    while (lo < hi) {
      const middle = (lo + hi + 1) >> 1;
      if (along[middle] <= s) lo = middle;
      else hi = middle - 1;
    }
    return lo;
  };
  /** @param {number} s @returns {[number, number]} */
  const at = (s) => {
    const here = closed ? ((s % length) + length) % length : Math.min(Math.max(s, 0), length);
    const i = before(here);
    const share = (here - along[i]) / (along[i + 1] - along[i] || 1);
    const mix = (/** @type {0 | 1} */ k) => points[2 * i + k] + share * (points[2 * i + 2 + k] - points[2 * i + k]);
    return [mix(0), mix(1)];
  };
  return {length, at, before};
}

/**
 * The place of a text at a length along a line; null where the line is too short or too bent there, or other lines too near.
 * @param {Line} line @param {ReturnType<typeof measured>} along @param {number} s @param {number} width @param {number} gap between levels
 * @returns {Place | null}
 */
function placeAt(line, {length, at, before}, s, width, gap) {
  const half = width / 2 + EITHER;
  if (line.closed ? length < 4 * half : s < half || s > length - half) return null;
  const piece = [-1, -0.5, 0, 0.5, 1].map((share) => at(s + share * half));
  const [[x0, y0], , middle, , [x1, y1]] = piece;
  const chord = Math.hypot(x1 - x0, y1 - y0) || 1;
  const [dx, dy] = [(x1 - x0) / chord, (y1 - y0) / chord];
  const off = piece.map(([x, y]) => (x - x0) * dy - (y - y0) * dx);
  const bend = Math.max(...off) - Math.min(...off);
  if (bend > BENT || chord < 1.9 * half) return null;
  const apart =
    gap / (line.slopes[Math.min(before(Math.min(Math.max(s, 0), length)), line.slopes.length - 1)] || 1e-300);
  if (apart < CROWDED / 2) return null;
  // Upright, and on the middle of what bends.
  const upright = dx < 0 || (dx === 0 && dy < 0) ? -1 : 1;
  const angle = Math.atan2(upright * dy, upright * dx);
  const x = (2 * middle[0] + (x0 + x1) / 2) / 3;
  const y = (2 * middle[1] + (y0 + y1) / 2) / 3;
  const cost = bend / BENT + Math.abs(angle) + Math.max(0, CROWDED - apart) / 2;
  return {x, y, angle, width, height: HEIGHT, level: line.level, cost, piece: piece.flat()};
}

/** @param {Place} place @param {[number, number]} size of the map */
const isInside = (place, [width, height]) =>
  cornersOf({...place, width: place.width + 2 * MARGIN, height: place.height + 2 * MARGIN}).every(
    ([x, y]) => x >= 0 && y >= 0 && x <= width && y <= height,
  );

/**
 * Places for the numbers of lines: those that stand well stay, at most a handful for each level, spread out.
 * @template {Known} K
 * @param {Line[]} lines @param {object} given
 * @param {(level: number) => number} given.widthOf of a level's text; not a number for one that has none
 * @param {(level: number) => number} given.gapOf how far the value of the next line is
 * @param {[number, number]} given.size of the map
 * @param {Box[]} [given.taken] where none may be
 * @param {K[]} [given.known] where numbers stand
 * @returns {(Place & {known: K | null})[]} known: which of those it was
 */
export function placed(lines, {widthOf, gapOf, size, taken = [], known = []}) {
  /** @type {(Place & {known: K | null})[]} */
  const chosen = [];
  const isFree = (/** @type {Place} */ place) =>
    isInside(place, size) &&
    !taken.some((box) => overlap(place, box, GAP)) &&
    !chosen.some((other) => overlap(place, other, GAP));
  const isApart = (/** @type {Place} */ place) =>
    !chosen.some(({level, x, y}) => level === place.level && Math.hypot(x - place.x, y - place.y) < APART);
  const far = Math.hypot(...size);
  const all = lines.flatMap((line) => {
    const [width, gap] = [widthOf(line.level), gapOf(line.level)];
    const along = measured(line);
    const steps = Math.floor(along.length / STEP);
    return Array.from({length: steps}, (_, i) => placeAt(line, along, (i + 0.5) * STEP, width, gap)).filter(
      (place) => place !== null,
    );
  });
  for (const old of known) {
    const near = all.filter(({level, x, y}) => level === old.level && Math.hypot(x - old.x, y - old.y) < NEAR);
    near.sort((one, other) => Math.hypot(one.x - old.x, one.y - old.y) - Math.hypot(other.x - old.x, other.y - old.y));
    const place = near.find(isFree);
    if (place && isApart(place)) chosen.push({...place, known: old});
  }
  const middle = (/** @type {Place} */ {x, y}) => Math.hypot(x - size[0] / 2, y - size[1] / 2) / far;
  all.sort((one, other) => one.cost + middle(one) - other.cost - middle(other));
  // A first number for each level before a second for any.
  for (let round = 1; round <= MOST; round++)
    for (const place of all) {
      if (chosen.length >= MOST_OF_ALL) return chosen;
      const count = chosen.filter(({level}) => level === place.level).length;
      if (count < round && isFree(place) && isApart(place)) chosen.push({...place, known: null});
    }
  return chosen;
}
