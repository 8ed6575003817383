// The curve of a line as vectors: what render/curve.js paints, for a picture that is taken away.

import {pointsOf} from "../render/curve.js";
import {svg} from "../ui/dom.js";

/** @typedef {import("../render/curve.js").CurveFrame} CurveFrame */

const rgb = (/** @type {number[]} */ colour) => `rgb(${colour.map(Math.round).join()})`;
const at = (/** @type {number} */ value) => Math.round(100 * value) / 100;

/**
 * Runs of points that have a number, and the stretches between them that have none; a place that nothing is known of is neither.
 * @param {ReturnType<typeof pointsOf>} points
 */
export function partsOf(points) {
  /** @type {{x: number, y: number}[][]} */
  const runs = [];
  /** @type {[number, number][]} */
  const holes = [];
  /** @type {{x: number, y: number} | null} */
  let last = null;
  for (const point of points) {
    const joined = last !== null && Number.isFinite(last.y);
    if (point && Number.isFinite(point.y)) {
      if (joined) runs[runs.length - 1].push(point);
      else runs.push([point]);
    }
    if (point && last && !(joined && Number.isFinite(point.y))) holes.push([last.x, point.x]);
    last = point;
  }
  return {runs, holes};
}

/** A frame in CSS pixels as a group, to be clipped to it. @param {CurveFrame} frame */
export function curveOf(frame) {
  const {width, height, domain, levels, hatch, paper, ink, marks} = frame;
  const {runs, holes} = partsOf(pointsOf(frame));
  const row = (/** @type {number} */ value) => at((height * (domain[1] - value)) / (domain[1] - domain[0] || 1));
  const through = (/** @type {{x: number, y: number}[]} */ run) => run.map(({x, y}) => `${at(x)} ${at(y)}`).join("L");
  const stroke = rgb(hatch);
  return svg(
    "g",
    {"clip-path": "url(#la-map)", fill: "none"},
    svg("rect", {width, height, fill: rgb(paper)}),
    ...levels
      .filter(({opacity}) => opacity > 0)
      .map(({value, major, opacity}) =>
        svg("path", {
          d: `M0 ${row(value)}H${width}`,
          stroke,
          "stroke-opacity": +((major ? 0.35 : 0.15) * opacity).toFixed(3),
        }),
      ),
    ...(marks ?? []).flatMap(({name, x}) => [
      svg("path", {d: `M${at(x)} 0V${height}`, stroke, "stroke-dasharray": "3 3"}),
      svg("text", {x: at(x + 5), y: 15, fill: stroke}, name),
    ]),
    ...holes.map(([x, end]) => svg("rect", {x: at(x), width: at(end - x), height, fill: "url(#la-hatch)"})),
    ...runs.map((run) =>
      svg("path", {
        d: `M${at(run[0].x)} ${height}L${through(run)}L${at(run[run.length - 1].x)} ${height}Z`,
        ...{fill: rgb(ink), "fill-opacity": 0.07},
      }),
    ),
    svg("path", {
      d: runs.map((run) => `M${through(run)}`).join(""),
      ...{stroke: rgb(ink), "stroke-width": 2, "stroke-linejoin": "round", "data-curve": ""},
    }),
  );
}
