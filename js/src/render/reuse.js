// What of the last picture can stay: after a pan by whole pixels all that was in sight, and beside new tiles the others.

/** @typedef {import("./shade.js").Frame} Frame */
/** @typedef {import("./shade.js").Quad} Quad */
/** @typedef {import("./shade.js").Area} Area */

/** @param {Quad} quad */
const nameOf = ({to}) => `${to.key} ${to.uv.join(" ")}`;
/** @param {Quad} quad */
const still = ({from, t}) => from === null || t >= 1;

/**
 * How far the last picture has to be moved, and which areas of the new one are to be drawn; null where nothing can stay.
 * @param {Frame | null} last @param {Frame} next
 * @returns {{dx: number, dy: number, areas: Area[]} | null}
 */
export function reusable(last, next) {
  const alike = /** @type {const} */ (["width", "height", "pixelRatio", "lut", "desaturate", "relief", "steep"]);
  if (last === null || alike.some((name) => last[name] !== next[name])) return null;
  if (`${last.background}${last.hatch}` !== `${next.background}${next.hatch}`) return null;
  const before = new Map(last.quads.map((quad) => [nameOf(quad), quad]));
  /** @type {{dx: number, dy: number, origin: number} | null} */
  let moved = null;
  /** @type {Quad[]} */
  const fresh = [];
  for (const quad of next.quads) {
    const name = nameOf(quad);
    const old = before.get(name);
    if (old === undefined) {
      fresh.push(quad);
      continue;
    }
    const [x0, y0, x1, y1] = quad.rect.map((edge, i) => edge - old.rect[i]);
    const dx = Math.round(x0);
    const dy = Math.round(y0);
    const origin = quad.to.offset - old.to.offset;
    moved ??= {dx, dy, origin};
    if (dx !== moved.dx || dy !== moved.dy) return null;
    if (Math.max(Math.abs(x0 - dx), Math.abs(y0 - dy), Math.abs(x1 - dx), Math.abs(y1 - dy)) > 1e-5) return null;
    if (Math.abs(origin - moved.origin) > 1e-9 * Math.abs(next.domain[1] - next.domain[0])) return null;
    if (still(quad) && still(old)) before.delete(name);
    else fresh.push(quad);
  }
  if (moved === null || !sameColours(last, next, moved.origin)) return null;
  const {dx, dy} = moved;
  const {width, height} = next;
  if (Math.abs(dx) >= width || Math.abs(dy) >= height) return null;
  /** @type {number[][]} */
  const areas = fresh.map(({rect}) => rect);
  // What was drawn there and is no more, unless it is drawn over.
  for (const {rect} of before.values()) {
    const gone = [rect[0] + dx, rect[1] + dy, rect[2] + dx, rect[3] + dy];
    if (!fresh.some((quad) => quad.rect.every((edge, i) => Math.abs(edge - gone[i]) < 0.01))) areas.push(gone);
  }
  if (dx !== 0) areas.push([dx > 0 ? 0 : width + dx, 0, dx > 0 ? dx : width, height]);
  if (dy !== 0) areas.push([0, dy > 0 ? 0 : height + dy, width, dy > 0 ? dy : height]);
  const whole = areas.map(([x0, y0, x1, y1]) => ({
    x0: Math.max(0, Math.floor(x0)),
    y0: Math.max(0, Math.floor(y0)),
    x1: Math.min(width, Math.ceil(x1)),
    y1: Math.min(height, Math.ceil(y1)),
  }));
  return {dx, dy, areas: whole.filter(({x0, y0, x1, y1}) => x1 > x0 && y1 > y0)};
}

/** Whether both frames give a value the same colour and the same lines. @param {Frame} last @param {Frame} next @param {number} origin */
function sameColours(last, next, origin) {
  const near = 1e-9 * Math.abs(next.domain[1] - next.domain[0]);
  const same = (/** @type {number} */ from, /** @type {number} */ to) => Math.abs(to - from - origin) <= near;
  return (
    last.levels.length === next.levels.length &&
    last.domain.every((end, i) => same(end, next.domain[i])) &&
    last.levels.every(({value, major, opacity}, k) => {
      const level = next.levels[k];
      return major === level.major && opacity === level.opacity && same(value, level.value);
    })
  );
}

/**
 * Move a picture in its own memory; what is exposed holds anything.
 * @param {Uint32Array} pixels @param {number} width @param {number} dx to the right @param {number} dy down
 */
export function shift(pixels, width, dx, dy) {
  const by = dy * width + dx;
  if (by > 0) pixels.copyWithin(by, 0, pixels.length - by);
  else if (by < 0) pixels.copyWithin(0, -by);
}
