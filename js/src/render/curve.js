// The renderer of a line: its tiles as one curve, with the map's levels as hairlines and the marked points as verticals.
// A tile of a line is the same in every row, so that the squares of the map serve here too: their lowest row is read.

import {SIZE} from "../spline.js";
import {valueIn} from "../stitch.js";

/** @typedef {import("./shade.js").Frame} Frame */
/** @typedef {import("../plan.js").Square} Square */
/** @typedef {Frame & {paper: number[], ink: number[]}} CurveFrame */

const LAST = SIZE - 1;
/** What is free above and below the curve, as a share of its height. */
const MARGIN = 0.06;

/**
 * What the axis of values spans: what is drawn between a0 and a1, and some room. null where nothing is.
 * @param {Iterable<Square>} squares @param {readonly number[]} rect @returns {[number, number] | null}
 */
export function spanOf(squares, [a0, a1]) {
  let lo = Number.POSITIVE_INFINITY;
  let hi = Number.NEGATIVE_INFINITY;
  for (const {address, to} of squares) {
    const n = 2 ** address.z;
    // With the neighbours of those in sight: between points the curve is a straight line.
    const from = Math.max(0, Math.floor((a0 * n - address.x) * LAST));
    const end = Math.min(LAST, Math.ceil((a1 * n - address.x) * LAST));
    for (let i = from; i <= end; i++) {
      const value = valueIn(to, i, 0);
      if (value < lo) lo = value;
      if (value > hi) hi = value;
    }
  }
  if (!(Number.isFinite(lo) && Number.isFinite(hi))) return null;
  const room = MARGIN * (hi - lo) || 0.05 * Math.abs(hi) || 1;
  return [lo - room, hi + room];
}

/**
 * Points of the curve in device pixels, from left to right, y NaN where there is no number; null stands for a place that
 * nothing is known of.
 * @param {Pick<Frame, "quads" | "domain" | "height">} frame @returns {({x: number, y: number} | null)[]}
 */
export function pointsOf({quads, domain: [lo, hi], height}) {
  const points = [];
  let end = Number.NaN;
  for (const {rect, from, to, t} of [...quads].sort((one, other) => one.rect[0] - other.rect[0])) {
    if (!(Math.abs(rect[0] - end) < 1)) points.push(null);
    for (let i = 0; i <= LAST; i++) {
      const next = valueIn(to, i, 0);
      const value = from === null || t >= 1 ? next : valueIn(from, i, 0) * (1 - t) + next * t;
      points.push({x: rect[0] + (i / LAST) * (rect[2] - rect[0]), y: (height * (hi - value)) / (hi - lo || 1)});
    }
    end = rect[2];
  }
  return points;
}

/** @param {number[]} colour @param {number} [alpha] */
const css = (colour, alpha = 1) => `rgb(${colour.join(" ")} / ${alpha})`;

export function createCurveRenderer() {
  return {
    kind: /** @type {const} */ ("curve"),
    software: true,
    lost: false,
    copied: 0,

    /** @param {Frame} frame a CurveFrame @param {CanvasRenderingContext2D} to @returns {boolean} always true: drawn */
    draw(frame, to) {
      const {width, height, pixelRatio, domain, levels, hatch, desaturate, paper, ink, marks} =
        /** @type {CurveFrame} */ (frame);
      to.fillStyle = css(paper);
      to.fillRect(0, 0, width, height);
      const row = (/** @type {number} */ value) => (height * (domain[1] - value)) / (domain[1] - domain[0] || 1);
      for (const {value, major, opacity} of levels) {
        to.fillStyle = css(hatch, (major ? 0.35 : 0.15) * opacity);
        to.fillRect(0, Math.round(row(value)), width, 1);
      }
      to.lineWidth = pixelRatio;
      to.strokeStyle = to.fillStyle = css(hatch);
      to.font = `${12 * pixelRatio}px system-ui, sans-serif`;
      for (const {name, x} of marks ?? []) {
        line(to, [3 * pixelRatio, 3 * pixelRatio], (path) => {
          path.moveTo(x, 0);
          path.lineTo(x, height);
        });
        to.fillText(name, x + 5 * pixelRatio, 15 * pixelRatio);
      }
      const curve = new Path2D();
      const area = new Path2D();
      const holes = new Path2D();
      /** @type {{x: number, y: number} | null} */
      let last = null;
      for (const point of pointsOf(frame)) {
        if (point && last) {
          if (Number.isFinite(point.y) && Number.isFinite(last.y)) {
            curve.lineTo(point.x, point.y);
            // Trapezia, so that a gap needs no thought; overlapping by nothing, in one fill.
            area.moveTo(last.x, height);
            for (const {x, y} of [last, point]) area.lineTo(x, y);
            area.lineTo(point.x, height);
          } else holes.rect(last.x, 0, point.x - last.x, height);
        }
        if (point && !(last && Number.isFinite(last.y))) curve.moveTo(point.x, point.y);
        last = point;
      }
      to.save();
      to.clip(holes);
      line(to, [], (path) => {
        for (let x = -height; x < width; x += 7 * pixelRatio) {
          path.moveTo(x, height);
          path.lineTo(x + height, 0);
        }
      });
      to.restore();
      to.fillStyle = css(ink, 0.07);
      to.fill(area);
      to.lineWidth = 2 * pixelRatio;
      to.lineJoin = "round";
      to.strokeStyle = css(ink, 1 - desaturate);
      to.stroke(curve);
      return true;
    },

    dispose() {},
  };
}

/** @param {CanvasRenderingContext2D} to @param {number[]} dashes @param {(path: Path2D) => void} along */
function line(to, dashes, along) {
  const path = new Path2D();
  along(path);
  to.setLineDash(dashes);
  to.stroke(path);
  to.setLineDash([]);
}
