// Paths in the plane, such as training runs: where they go, how far off the plane they are, and at which step; on a line at their true
// loss, over where they fall. A layer of its own part: it comes with what else is known of runs, when there are some.

import {indexAt} from "../runs/scrub.js";
import {offText, words} from "../runs/words.js";
import {significant, svg} from "../ui/dom.js";
import {HALO, INK, px, sheet} from "./ink.js";

/**
 * @typedef {import("../viewport.js").Viewport} Viewport
 * @typedef {[number, number]} Point
 * @typedef {import("../runs/store.js").Path} Path
 * @typedef {{at: Point, index: number}} Corner  CSS pixels; index: of the point of the path
 */

/** Corners of a drawn path at most, and how far apart they are at least, CSS pixels. */
const MOST = 4000;
const NEAR = 0.7;
/** Beyond the view it goes on so far, that no end is seen, CSS pixels. */
const MARGIN = 16;
/** From one chevron to the next, and from one dot to the next, along the path, CSS pixels. */
const CHEVRONS = 96;
const DOTS = 34;
/** The share of NEAR on a line, where b is a loss. */
const FINER = 1 / 256;
/** How near a pointer has to be, CSS pixels. */
const REACH = 8;
/** Widths of a line in the plane, and of those ever further off it; and how much of each is seen. */
const WIDTHS = [3, 2.5, 2, 1.6];
const SEEN = [1, 0.92, 0.84, 0.76];
/** What lies after the step that is looked at. */
const FAINT = 0.3;
/** Room for a word on a step, CSS pixels. */
const WORD = 30;
/** Of an arrow downhill: as long as is seen, and as long as leaves room, CSS pixels. */
const SHORTEST = 34;
const LONGEST = 4000;

/**
 * The part of a segment that lies in a box (Liang and Barsky 1984), as shares of its length; null when none does.
 * @param {Point} p @param {Point} q @param {readonly number[]} box x0, y0, x1, y1 @returns {[number, number] | null}
 */
export function clip(p, q, [x0, y0, x1, y1]) {
  let from = 0;
  let to = 1;
  const d = [q[0] - p[0], q[1] - p[1]];
  for (const [rise, room] of [
    [-d[0], p[0] - x0],
    [d[0], x1 - p[0]],
    [-d[1], p[1] - y0],
    [d[1], y1 - p[1]],
  ]) {
    if (rise === 0 && room < 0) return null;
    if (rise < 0) from = Math.max(from, room / rise);
    if (rise > 0) to = Math.min(to, room / rise);
  }
  return from <= to ? [from, to] : null;
}

/** What was kept of paths, by how far apart. @type {WeakMap<readonly Point[], Map<number, number[]>>} */
const thinned = new WeakMap();
/** Of so many distances at once. */
const KEPT = 8;

/**
 * The points that are so far apart, by their index, with the first and the last: found once until the zoom doubles.
 * @param {readonly Point[]} points @param {number} apart in the plane, a power of two
 */
function thin(points, apart) {
  const all = thinned.get(points) ?? new Map();
  thinned.set(points, all);
  const known = all.get(apart);
  if (known) return known;
  const kept = [0];
  let [a, b] = points[0];
  for (let i = 1; i < points.length; i++) {
    const [p, q] = points[i];
    if (i < points.length - 1 && Math.abs(p - a) + Math.abs(q - b) < apart) continue;
    [a, b] = [p, q];
    kept.push(i);
  }
  if (all.size >= KEPT) all.delete(all.keys().next().value);
  all.set(apart, kept);
  return kept;
}

/**
 * What is drawn of a path: its pieces inside the view, without corners that no pixel would show. However many points it has,
 * there are at most MOST corners.
 * @param {readonly Point[]} points of the plane @param {Viewport} viewport @param {number} [near] @returns {Corner[][]}
 */
export function piecesOf(points, viewport, near = NEAR) {
  const {width, height, scale} = viewport;
  const box = [-MARGIN, -MARGIN, width + MARGIN, height + MARGIN];
  /** @type {Corner[][]} */
  const pieces = [];
  /** @type {Corner[]} */
  let piece = [];
  let last = viewport.toPixels(points[0]);
  let before = 0;
  let count = 0;
  for (const index of thin(points, 2 ** Math.floor(Math.log2(near / scale)))) {
    if (index === 0) continue;
    const [p, q] = [last, viewport.toPixels(points[index])];
    const inside = clip(p, q, box);
    if (!inside) piece = [];
    else {
      const along = (/** @type {number} */ t) =>
        /** @type {Point} */ ([p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])]);
      if (inside[0] > 0 || piece.length === 0) {
        piece = [{at: along(inside[0]), index: before}];
        pieces.push(piece);
      }
      piece.push({at: along(inside[1]), index});
      if (inside[1] < 1) piece = [];
      if (++count > MOST) return piecesOf(points, viewport, 2 * near);
    }
    [last, before] = [q, index];
  }
  return pieces;
}

/** Places along the pieces, so far apart. @param {Corner[][]} pieces @param {number} apart */
function milestones(pieces, apart) {
  /** @type {{at: Point, turn: number}[]} */
  const found = [];
  for (const piece of pieces) {
    let gone = -apart / 2;
    for (let i = 1; i < piece.length; i++) {
      const [p, q] = [piece[i - 1].at, piece[i].at];
      const length = Math.hypot(q[0] - p[0], q[1] - p[1]);
      for (gone += length; gone > 0; gone -= apart) {
        const t = 1 - gone / length;
        if (t < 0) break;
        found.push({
          at: [p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])],
          turn: (180 / Math.PI) * Math.atan2(q[1] - p[1], q[0] - p[0]),
        });
      }
    }
  }
  return found;
}

/** Round: 1, 2 or 5 times a power of ten, not below x. @param {number} x */
export function roundUp(x) {
  const power = 10 ** Math.floor(Math.log10(Math.max(x, 1)));
  return power * ([1, 2, 5].find((digit) => digit * power >= x) ?? 10);
}

/** The corners at round steps, about so far apart in pixels. @param {Corner[][]} pieces @param {(index: number) => number} stepOf */
export function dotsOf(pieces, stepOf) {
  const corners = pieces.flat();
  if (corners.length === 0) return [];
  let length = 0;
  for (const piece of pieces)
    for (let i = 1; i < piece.length; i++)
      length += Math.hypot(piece[i].at[0] - piece[i - 1].at[0], piece[i].at[1] - piece[i - 1].at[1]);
  const steps = stepOf(corners[corners.length - 1].index) - stepOf(corners[0].index);
  const every = roundUp((steps * DOTS) / Math.max(length, DOTS));
  return corners.filter(({index}) => stepOf(index) % every === 0);
}

/** @param {Corner[]} piece */
const pathOf = (piece) => `M${piece.map(({at}) => `${px(at[0])} ${px(at[1])}`).join("L")}`;

/** Pieces by how far off the plane they are: shade 0 lies in it. @param {Corner[][]} pieces @param {Pick<Path, "distance">} path @param {number} farthest */
export function shaded(pieces, {distance}, farthest) {
  if (!distance || !farthest) return [pieces];
  /** @type {Corner[][][]} */
  const shades = Array.from({length: WIDTHS.length}, () => []);
  for (const piece of pieces) {
    let [start, last] = [0, -1];
    for (let i = 1; i <= piece.length; i++) {
      const shade =
        i < piece.length
          ? Math.min(Math.floor((WIDTHS.length * distance[piece[i].index]) / farthest), WIDTHS.length - 1)
          : -1;
      if (shade !== last && last >= 0) {
        shades[last].push(piece.slice(start, i));
        start = i - 1;
      }
      last = shade;
    }
  }
  return shades;
}

/** How far off the plane the farthest of them goes. @param {readonly Path[]} all */
const farthestOf = (all) =>
  all.reduce((most, {distance}) => (distance ?? []).reduce((far, off) => (off > far ? off : far), most), 0);

/** A line with a white rim in a dark haze, so that it is seen on every colour map. @param {Corner[][]} pieces @param {Path} path @param {number} farthest */
function line(pieces, path, farthest) {
  const whole = pieces.map(pathOf).join("");
  const shades = shaded(pieces, path, farthest).map((part) => part.map(pathOf).join(""));
  const rim = shades.map((d, i) => (d ? svg("path", {d, stroke: INK, "stroke-width": WIDTHS[i] + 1.6}) : null));
  const core = shades.map((d, i) =>
    d ? svg("path", {d, stroke: path.colour, "stroke-width": WIDTHS[i], "stroke-opacity": SEEN[i]}) : null,
  );
  return [
    svg("path", {d: whole, stroke: HALO, "stroke-opacity": 0.35, "stroke-width": 6}),
    ...rim.filter((each) => each !== null),
    ...core.filter((each) => each !== null),
  ];
}

/** @param {Point} at @param {number} r @param {string} fill @param {string} stroke @param {number} [width] */
const dot = ([cx, cy], r, fill, stroke, width = 1.6) =>
  svg("circle", {cx: px(cx), cy: px(cy), r, fill, stroke, "stroke-width": width});

/** Which way it goes, at places along it. @param {Corner[][]} pieces @param {string} colour */
const heads = (pieces, colour) =>
  milestones(pieces, CHEVRONS).flatMap(({at, turn}) => {
    const transform = `translate(${px(at[0])} ${px(at[1])}) rotate(${px(turn)})`;
    return [
      svg("path", {d: "M-3.5 -4.5L2 0L-3.5 4.5", transform, stroke: INK, "stroke-width": 4.2}),
      svg("path", {d: "M-3.5 -4.5L2 0L-3.5 4.5", transform, stroke: colour, "stroke-width": 2.2}),
    ];
  });

/** A few of the round steps say which they are, where there is room. @param {{at: Point, index: number}[]} dots @param {Path} path @param {number[][]} taken */
function numbers(dots, {steps}, taken) {
  return dots.flatMap(({at: [x, y], index}) => {
    const box = [x + 5, y - 15, x + 5 + WORD, y - 3];
    if (taken.some(([x0, y0, x1, y1]) => box[0] < x1 + 14 && box[2] > x0 - 14 && box[1] < y1 + 12 && box[3] > y0 - 12))
      return [];
    taken.push(box);
    return [
      svg(
        "text",
        {
          x: px(x + 6),
          y: px(y - 5),
          "font-size": 11,
          fill: INK,
          stroke: HALO,
          "stroke-width": 3,
          "stroke-opacity": 0.75,
          "paint-order": "stroke",
        },
        `${steps[index]}`,
      ),
    ];
  });
}

/**
 * A path as it is drawn: all of it, or strong up to a step and faint after it.
 * @param {Path} path @param {Viewport} viewport @param {number | null} step @param {number} farthest @param {number[][]} taken
 * @param {number} [apart] corners at least, CSS pixels
 */
function drawPath(path, viewport, step, farthest, taken, apart = NEAR) {
  const {points, steps, colour, name} = path;
  const group = svg("g", {fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round", "data-path": name});
  const whole = piecesOf(points, viewport, apart);
  const last = step === null ? points.length - 1 : indexAt(steps, step);
  const all = last === points.length - 1;
  const pieces = all ? whole : piecesOf(points.slice(0, last + 1), viewport, apart);
  if (!all) group.append(svg("g", {style: `opacity:${FAINT}`}, ...line(whole, path, farthest)));
  group.append(svg("g", {"data-until": steps[last]}, ...line(pieces, path, farthest), ...heads(pieces, colour)));
  const dots = dotsOf(pieces, (index) => steps[index]);
  group.append(...dots.map(({at}) => dot(at, 3, colour, INK)));
  group.append(svg("g", {}, ...numbers(dots.slice(1), path, taken)));
  const end = dot(viewport.toPixels(points[points.length - 1]), 5, colour, INK);
  if (!all) end.setAttribute("style", `opacity:${2 * FAINT}`);
  group.append(end, dot(viewport.toPixels(points[0]), 4.5, INK, colour, 2));
  return {group, pieces: whole};
}

/**
 * Downhill in the plane from a point of a path: as far as one plain step at this rate goes, and thin as far as is seen.
 * @param {Path} path @param {number} index @param {Viewport} viewport @param {number} rate
 */
export function downhill({points, arrows, colour}, index, viewport, rate) {
  const arrow = arrows?.[index];
  if (!arrow?.every(Number.isFinite) || !arrow.some(Boolean)) return [];
  const [x, y] = viewport.toPixels(points[index]);
  const [dx, dy] = [arrow[0] * viewport.scale, -arrow[1] * viewport.scale];
  const length = Math.hypot(dx, dy);
  const step = Number.isFinite(rate) ? Math.min(rate * length, LONGEST) : 0;
  const along = (/** @type {number} */ far) =>
    `M${px(x)} ${px(y)}l${px((far * dx) / length)} ${px((far * dy) / length)}`;
  const tip = Math.max(step, SHORTEST);
  const turn = `translate(${px(x + (tip * dx) / length)} ${px(y + (tip * dy) / length)}) rotate(${px((180 / Math.PI) * Math.atan2(dy, dx))})`;
  const strokes = (
    /** @type {string} */ d,
    /** @type {number} */ width,
    /** @type {Record<string, string>} */ more = {},
  ) => [
    svg("path", {d, fill: "none", stroke: INK, "stroke-width": width + 2, ...more}),
    svg("path", {d, fill: "none", stroke: colour, "stroke-width": width, ...more}),
  ];
  const head = {"stroke-linecap": "round", "stroke-linejoin": "round", transform: turn};
  return [
    ...strokes(along(tip), 1.4),
    ...(step > 0 ? strokes(along(step), 3.4) : []),
    ...strokes("M-6 -5L0 0L-6 5", 2, head),
  ];
}

/**
 * @param {import("./index.js").Ground} ground @param {import("../runs/store.js").Runs} store
 * @returns {import("./index.js").Layer}
 */
export function paths({pane, area, session, tell, signal}, store) {
  const element = sheet("paths");
  const lines = svg("g");
  const marks = svg("g", {"data-marks": ""});
  element.append(lines, marks);
  /** @type {{path: Path, pieces: Corner[][]}[]} */
  let shown = [];
  let farthest = 0;
  /** What it was drawn for. */
  let drawn = /** @type {unknown[]} */ ([]);
  const here = () => store.in(pane.subject?.hash).paths;
  const mapLoss = (/** @type {Point} */ at) => {
    const value = session.fieldName === "loss" ? pane.valueAt(at) : null;
    return value === null || Number.isNaN(value) ? null : value;
  };
  const placeOf = (/** @type {Path} */ path, /** @type {number} */ index) => ({
    step: path.steps[index],
    loss: path.loss?.[index],
    map: mapLoss(path.points[index]),
    off: path.distance?.[index],
  });
  /** What a path is seen in: of a line, points (a, loss), at their rows. @param {Viewport} viewport @returns {Viewport} */
  const seenIn = (viewport) => {
    if (!pane.onLine) return viewport;
    const toPixels = (/** @type {Point} */ [a, loss]) => {
      const row = pane.rowOf(loss);
      return [viewport.toPixels([a, 0])[0], Number.isFinite(row) ? row : viewport.height];
    };
    return Object.create(viewport, {toPixels: {value: toPixels}});
  };
  /**
   * On a line, the path at its true loss, or on the curve where that is not known; without the points where neither is.
   * @param {Path} path @returns {Path}
   */
  const raised = (path) => {
    if (!pane.onLine) return path;
    const known = session.fieldName === "loss" ? path.loss : null;
    const lossAt = (/** @type {number} */ i) =>
      known && Number.isFinite(known[i]) ? known[i] : (pane.valueAt(path.points[i]) ?? Number.NaN);
    const points = path.points.map(([a], i) => /** @type {Point} */ ([a, lossAt(i)]));
    const kept = [...points.keys()].filter((i) => Number.isFinite(points[i][1]));
    const of = (/** @type {any[] | null} */ values) => values && kept.map((i) => values[i]);
    const {steps, distance, loss} = path;
    return {
      ...{...path, points: kept.map((i) => points[i]), arrows: null},
      ...{steps: kept.map((i) => steps[i]), distance: of(distance), loss: of(loss)},
    };
  };
  const near = (/** @type {PointerEvent} */ event) => {
    const box = area.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = REACH;
    let text = "";
    /** @type {import("../runs/store.js").Pointed | null} */
    let pointed = null;
    for (const {path, pieces} of element.isConnected ? shown : [])
      for (const piece of pieces)
        for (const {at, index} of piece) {
          const away = Math.hypot(at[0] - x, at[1] - y);
          if (away >= best) continue;
          best = away;
          text = `${path.name} · ${words(placeOf(path, index))}`;
          pointed = {step: path.steps[index], name: path.name};
        }
    tell(text, [x, y]);
    store.point(pointed);
  };
  const mark = () => {
    const viewport = pane.viewport && seenIn(pane.viewport);
    if (!viewport) return;
    const at = (/** @type {Path} */ path, /** @type {number} */ step) =>
      viewport.toPixels(path.points[indexAt(path.steps, step)]);
    const {pointed} = store;
    const stood = store.at;
    const {runs} = store.in(pane.subject?.hash);
    const rateAt = (/** @type {Path} */ {name}, /** @type {number} */ step) => {
      const curves = runs.find((run) => run.name === name)?.curves;
      return curves?.series.lr?.[indexAt(curves.steps, step)] ?? Number.NaN;
    };
    const arrowOf = (/** @type {Path} */ path, /** @type {number} */ step) => {
      const index = indexAt(path.steps, step);
      return downhill(path, index, viewport, rateAt(path, path.steps[index]));
    };
    marks.replaceChildren(
      ...shown.flatMap(({path}) => [
        ...(stood === null ? [] : arrowOf(path, stood)),
        ...(stood === null ? [] : [dot(at(path, stood), 6.5, path.colour, INK, 2.4)]),
        ...(pointed
          ? [dot(at(path, pointed.step), 9, "none", HALO, 3.6), dot(at(path, pointed.step), 9, "none", INK, 1.8)]
          : []),
      ]),
    );
  };
  /** @param {Viewport} viewport */
  const draw = (viewport) => {
    // The map has more frames than views: tiles come, colours change.
    const all = here();
    const rows = pane.onLine ? `${pane.domain}/${session.scale}/${session.fieldName}` : "";
    const now = [viewport, all, store.at, rows];
    if (now.some((each, i) => each !== drawn[i])) {
      drawn = now;
      farthest = farthestOf(all);
      /** @type {number[][]} */
      const taken = [];
      const [seen, apart] = [seenIn(viewport), pane.onLine ? FINER * NEAR : NEAR];
      const some = all.map(raised).filter(({points}) => points.length > 0);
      const made = some.map((path) => ({path, ...drawPath(path, seen, store.at, farthest, taken, apart)}));
      lines.replaceChildren(...made.map(({group}) => group));
      shown = made;
    }
    mark();
  };
  // A step more is no other map: what stands over it is drawn by itself.
  let frame = 0;
  const changed = () => {
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      if (element.isConnected && pane.viewport && pane.visible) draw(pane.viewport);
      else pane.invalidate();
    });
  };
  store.watch(changed, signal);
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));
  return {
    name: "paths",
    element,
    hover: near,
    leave: () => store.point(null),
    lacks: () => {
      if (here().length > 0) return "";
      return store.elsewhere ? "The paths are in other planes." : NONE;
    },
    legend: () => [
      ...shown
        .filter(({pieces}) => pieces.length > 0)
        .map(({path: {name, colour}}) => ({kind: name, text: name, title: "A path", icon: icon(colour)})),
      ...(farthest > 0 && shown.some(({pieces}) => pieces.length > 0)
        ? [
            {
              kind: "off",
              text: `thinner: off the plane, up to ${farthest < 1e4 ? Number(farthest.toPrecision(2)) : significant(farthest, 2)}`,
              title: "How far a path lies off this plane, in parameter space",
              icon: wedge(),
            },
          ]
        : []),
    ],
    rows: () =>
      here().flatMap(({name, points, steps, distance}) =>
        [0, points.length - 1].map((i, end) => ({
          what: `path, ${end ? "end" : "start"}`,
          text: `${name}, step ${steps[i]}${distance ? `, ${offText(distance[i])}` : ""}`,
          at: points[i],
        })),
      ),
    draw,
  };
}

/** Why there is nothing to show. */
export const NONE = "There is no path: explorer.paths holds them.";

/** @param {string} colour */
const icon = (colour) =>
  svg(
    "svg",
    {width: 18, height: 12, viewBox: "0 0 18 12", "aria-hidden": "true"},
    svg("path", {d: "M2 6H16", stroke: colour, "stroke-width": 3, "stroke-linecap": "round"}),
  );

const wedge = () =>
  svg(
    "svg",
    {width: 22, height: 12, viewBox: "0 0 22 12", "aria-hidden": "true"},
    svg("path", {d: "M1 2.5L21 5.4V6.6L1 9.5Z", fill: "currentColor"}),
  );
