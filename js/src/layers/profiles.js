// Profiles: what is drawn along a and along b through the cursor, in strips that share the map's axes, like the margins of a
// joint plot. When the pointer leaves, the cross stays where it was.

import {drawn} from "../colour.js";
import {formatLevel} from "../ladder.js";
import {h, svg} from "../ui/dom.js";
import {HALO, INK, put, px, sheet} from "./ink.js";

/**
 * @typedef {import("../viewport.js").Viewport} Viewport
 * @typedef {import("./reader.js").Reader} Reader
 * @typedef {[number, number]} Point
 * @typedef {{values: Float64Array, errors: Float64Array}} Profile  drawn values, NaN where there is none, and what they may be off by
 */

/** How deep a strip is, with the gap to the map, what is left for values, and the room of its numbers, CSS pixels. */
export const DEEP = 84;
const GAP = 8;
const TALL = DEEP - GAP - 4;
const NUMBERS = 22;
/** A band of error that is thinner is not seen, CSS pixels. */
const SEEN = 0.7;
/** Steps from one end of the colour map to the other. */
const SHADES = 24;
/** Numbers on a value axis are so far apart, CSS pixels. */
const APART = [20, 34];

/**
 * The drawn values at `count` points from one to another, both included.
 * @param {Pick<Reader, "at" | "errorAt">} reader @param {Point} from @param {Point} to @param {number} count @returns {Profile}
 */
export function profileOf(reader, from, to, count) {
  const values = new Float64Array(count);
  const errors = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const t = i / (count - 1);
    const a = from[0] + t * (to[0] - from[0]);
    const b = from[1] + t * (to[1] - from[1]);
    const value = reader.at(a, b);
    values[i] = value !== null && Number.isFinite(value) ? value : Number.NaN;
    errors[i] = reader.errorAt(a, b);
  }
  return {values, errors};
}

/**
 * Levels whose numbers fit on an axis: majors before minors, the outermost first. @param {readonly {value: number, major: boolean}[]} levels
 * @param {(value: number) => number} place @param {number} apart
 */
export function ticksOf(levels, place, apart) {
  /** @type {{at: number, text: string}[]} */
  const kept = [];
  for (const major of [true, false]) {
    const some = levels.filter((level) => level.major === major);
    const ends = [some[0], some.at(-1), ...some.slice(1, -1)];
    for (const level of ends) {
      if (!level || kept.length > 2 || (!major && kept.length > 1)) continue;
      const at = place(level.value);
      if (at >= 0 && at <= 1 && kept.every((other) => Math.abs(other.at - at) >= apart))
        kept.push({at, text: formatLevel(level.value)});
    }
  }
  return kept;
}

/** @param {import("./index.js").Ground} ground @returns {import("./index.js").Layer} */
export function profiles({root, map, area, pane, session, readout, reserve, pointer}) {
  const element = sheet("profiles");
  const [vertical, horizontal] = [0, 1].map(() =>
    svg("path", {stroke: INK, "stroke-opacity": 0.65, "stroke-dasharray": "3 3"}),
  );
  const point = svg("circle", {r: 4, fill: INK, stroke: HALO, "stroke-width": 1.5});
  element.append(vertical, horizontal, point);
  const canvases = ["a", "b"].map((name) =>
    h("canvas", {class: `la-strip la-strip-${name}`, "aria-hidden": "true", hidden: true}),
  );
  map.append(...canvases);
  /** The cross, in the plane. @type {Point | null} */
  let cross = null;
  /** @type {Reader | null} */
  let last = null;
  let reserved = false;
  /** What the strips hold, for scripts. @type {{at: Point, a: Profile, b: Profile} | null} */
  let held = null;
  let colours = {...coloursOf(root), theme: root.dataset.theme};

  const lacks = () => {
    if (pane.onLine) return "A curve is its own profile.";
    return root.dataset.size === "narrow" ? "There is no room here." : "";
  };

  /** Room for the strips is made, or given back, once. */
  const room = () => {
    const wanted = session.layers.includes("profiles") && lacks() === "";
    if (wanted === reserved) return;
    reserved = wanted;
    for (const canvas of canvases) canvas.hidden = !reserved;
    reserve({top: reserved ? DEEP : 0, right: reserved ? DEEP : 0});
  };

  /** @param {Viewport} viewport */
  const place = ({width, height}) => {
    const [above, beside] = canvases;
    const left = Number.parseFloat(area.style.left);
    const top = Number.parseFloat(area.style.top);
    lay(above, [0, top - DEEP, left + width, DEEP]);
    lay(beside, [left + width, top - NUMBERS, DEEP, height + NUMBERS]);
    return left;
  };

  /** @param {Viewport} viewport @param {Reader} reader */
  const draw = (viewport, reader) => {
    const [a0, a1, b0, b1] = viewport.rect;
    const {width, height} = viewport;
    // The pointer stays where it is while the map moves under it.
    const over = pointer();
    if (over) cross = viewport.toPlane(over);
    const [a, b] = cross ?? viewport.center;
    const at = /** @type {Point} */ ([Math.min(Math.max(a, a0), a1), Math.min(Math.max(b, b0), b1)]);
    const [x, y] = viewport.toPixels(at);
    const profileA = profileOf(reader, [a0, at[1]], [a1, at[1]], Math.round(width) + 1);
    const profileB = profileOf(reader, [at[0], b0], [at[0], b1], Math.round(height) + 1);
    held = {at, a: profileA, b: profileB};
    // The pointer has hairs of its own.
    element.toggleAttribute("hidden", !readout.vertical.hidden);
    put(vertical, {d: `M${px(x)} 0V${height}`});
    put(horizontal, {d: `M0 ${px(y)}H${width}`});
    put(point, {cx: px(x), cy: px(y)});
    const {theme} = root.dataset;
    if (theme !== colours.theme) colours = {...coloursOf(root), theme};
    const {domain, levels, lut, ratio} = pane;
    const common = {
      domain: domain ?? [0, 1],
      levels,
      lut,
      ratio,
      colours,
      scale: reader.scale,
      value: reader.at(...at),
    };
    const left = place(viewport);
    const [above, beside] = canvases;
    const rightwards = {basis: [1, 0, 0, -1, left, DEEP - GAP], turned: false, long: width, at: x};
    const upwards = {basis: [0, -1, 1, 0, GAP, NUMBERS + height], turned: true, long: height, at: height - y};
    paint(above, {...common, ...rightwards, profile: profileA});
    paint(beside, {...common, ...upwards, profile: profileB});
  };

  const again = () => {
    if (pane.viewport && last && reserved) draw(pane.viewport, last);
  };
  return {
    name: "profiles",
    element,
    lacks,
    off: () => lacks() !== "",
    always: room,
    hover: again,
    leave: again,
    held: () => held,
    draw(_, reader) {
      last = reader;
      again();
    },
  };
}

/** @param {HTMLElement} element @param {number[]} box left, top, width and height, CSS pixels */
function lay(element, box) {
  const [left, top, width, height] = box.map((length) => `${length}px`);
  Object.assign(element.style, {left, top, width, height});
}

/** What a theme calls its colours. @param {HTMLElement} root */
function coloursOf(root) {
  const style = getComputedStyle(root);
  const named = (/** @type {string} */ name) => style.getPropertyValue(`--la-${name}`);
  const [text, quiet, line, accent, back] = ["text", "quiet", "line", "accent", "back"].map(named);
  return {text, quiet, line, accent, back, font: style.fontFamily};
}

/**
 * @typedef {{
 *   profile: Profile, domain: readonly number[], levels: readonly import("../ladder.js").Level[], scale: import("../tiles.js").Scale,
 *   lut: Uint8Array, ratio: number, colours: ReturnType<typeof coloursOf>, value: number | null, at: number, long: number,
 *   basis: number[], turned: boolean
 * }} Strip  at: where the cross is along an axis that is so long, CSS pixels; basis: from along and up to the canvas; turned:
 *   along is up, and up is to the right
 */

/** @param {HTMLCanvasElement} canvas @param {Strip} strip */
function paint(canvas, strip) {
  const {profile, domain, levels, scale, lut, ratio, colours, value, at, long, basis, turned} = strip;
  const {values, errors} = profile;
  const context = canvas.getContext("2d");
  if (!context) return;
  const [wide, high] = [canvas.style.width, canvas.style.height].map((length) =>
    Math.round(Number.parseFloat(length) * ratio),
  );
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, wide, high);
  const [xx, xy, yx, yy, x0, y0] = basis.map((x) => x * ratio);
  context.setTransform(xx, xy, yx, yy, x0, y0);
  const [lo, hi] = domain;
  const share = (/** @type {number} */ w) => (w - lo) / (hi - lo || 1);
  const up = (/** @type {number} */ w) => TALL * Math.min(Math.max(share(w), -0.02), 1.04);
  const step = long / (values.length - 1);
  const pen = (/** @type {string} */ colour, /** @type {number} */ width, /** @type {Point[]} */ points, alpha = 1) => {
    context.globalAlpha = alpha;
    context.strokeStyle = colour;
    context.lineWidth = width;
    trace(context, points);
    context.stroke();
    context.globalAlpha = 1;
  };
  const hairs = (/** @type {string} */ colour, /** @type {number} */ alpha) => {
    for (const {value: level, major, opacity} of levels) {
      const height = TALL * share(drawn(level, scale));
      const line = /** @type {Point[]} */ ([
        [0, height],
        [long, height],
      ]);
      if (height >= 0 && height <= TALL) pen(colour, 1 / ratio, line, alpha * (major ? 1 : 0.4) * opacity);
    }
  };
  hairs(colours.line, 1);
  for (const [from, to] of runs(values)) {
    const edge = (/** @type {number} */ sign) =>
      Array.from(
        {length: to - from},
        (_, i) => /** @type {Point} */ ([(from + i) * step, up(values[from + i] + sign * errors[from + i])]),
      );
    // Under the line the colours of the map: height is value, as on the bar.
    context.save();
    trace(context, [[from * step, 0], ...edge(0), [(to - 1) * step, 0]]);
    context.clip();
    context.fillStyle = shades(context, lut);
    context.fillRect(0, 0, long, 1.04 * TALL);
    hairs(INK, 0.4);
    context.restore();
    if (errors.subarray(from, to).some((error) => TALL * share(lo + error) > SEEN)) {
      context.fillStyle = colours.text;
      context.globalAlpha = 0.25;
      trace(context, [...edge(1), ...edge(-1).reverse()]);
      context.fill();
    }
    pen(colours.text, 1.5, edge(0));
  }
  const ground = /** @type {Point[]} */ ([
    [0, 0],
    [long, 0],
  ]);
  pen(colours.quiet, 1 / ratio, ground);
  if (value !== null && Number.isFinite(value)) {
    trace(context, [], [at, up(value), 4]);
    context.fillStyle = colours.back;
    context.fill();
    context.strokeStyle = colours.accent;
    context.lineWidth = 2;
    context.stroke();
  }
  // Words stand upright in either strip.
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = `12px ${colours.font}`;
  context.fillStyle = colours.quiet;
  context.textBaseline = "middle";
  context.textAlign = turned ? "center" : "right";
  const numbers = ticksOf(levels, (level) => share(drawn(level, scale)), APART[turned ? 1 : 0] / TALL);
  for (const {at: t, text} of numbers)
    if (turned) context.fillText(text, GAP + TALL * t, NUMBERS - 9);
    else context.fillText(text, basis[4] - 10, DEEP - GAP - TALL * t);
}

/** The colours of the map, from the ground up. @param {CanvasRenderingContext2D} context @param {Uint8Array} lut */
function shades(context, lut) {
  const gradient = context.createLinearGradient(0, 0, 0, TALL);
  for (let i = 0; i <= SHADES; i++) {
    const entry = 3 * Math.round((255 * i) / SHADES);
    gradient.addColorStop(i / SHADES, `rgb(${lut[entry]},${lut[entry + 1]},${lut[entry + 2]})`);
  }
  return gradient;
}

/** Stretches of finite values, each with its end. @param {Float64Array} values */
export function runs(values) {
  /** @type {[number, number][]} */
  const found = [];
  let from = -1;
  for (let i = 0; i <= values.length; i++) {
    const finite = i < values.length && !Number.isNaN(values[i]);
    if (finite && from < 0) from = i;
    if (!finite && from >= 0) {
      found.push([from, i]);
      from = -1;
    }
  }
  return found;
}

/** A line, or a circle. @param {CanvasRenderingContext2D} context @param {Point[]} points @param {[number, number, number]} [circle] */
function trace(context, points, circle) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  if (circle) context.arc(...circle, 0, 2 * Math.PI);
}
