// Marks: the user's notes, critical points and the plane's own named points, each where it lies and with its words. A mark is
// of one plane: on another its coordinates are another point, so it is not drawn there, and comes back with its plane.

import {svg} from "../ui/dom.js";
import {HALO, INK, put, px, sheet, widthOf} from "./ink.js";

/**
 * @typedef {[number, number]} Point
 * @typedef {{a: number, b: number, text: string, kind: string, scene?: string}} Mark
 * @typedef {{mark: Mark, own: boolean, group: SVGGElement, label: SVGGElement, width: number}} Pin  own: in the trait
 */

/** Letters that are shown at most, and those of a label that is not looked at. */
const LONGEST = 200;
const BRIEF = 32;
const HIGH = 20;
/** Half of a glyph: labels cover none. */
const GLYPH = 7;

/** Glyphs about (0, 0), each kind another shape. @type {Record<string, string>} */
const GLYPHS = {
  note: "M0 0L-5 -7.5A6 6 0 1 1 5 -7.5Z",
  point: "M0 -4.5A4.5 4.5 0 1 1 0 4.5A4.5 4.5 0 1 1 0 -4.5Z",
  minimum: "M0 -5A5 5 0 1 1 0 5A5 5 0 1 1 0 -5Z",
  maximum: "M0 -6.5L6.5 5H-6.5Z",
  saddle: "M-5.5 -6H5.5L-5.5 6H5.5Z",
  degenerate: "M0 -6.5L6.5 0L0 6.5L-6.5 0Z",
};

/** @param {string} text @param {number} most */
const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** @param {string} kind */
const glyph = (kind) =>
  svg("path", {
    d: GLYPHS[kind] ?? GLYPHS.point,
    fill: kind === "degenerate" ? HALO : INK,
    stroke: kind === "degenerate" ? INK : HALO,
    "stroke-width": 1.6,
    "stroke-linejoin": "round",
  });

/** @param {string} text */
function pill(text) {
  const width = widthOf(text) + 14;
  const element = svg(
    "g",
    {},
    svg("rect", {width: px(width), height: HIGH, rx: 5, fill: HALO, "fill-opacity": 0.86}),
    svg("text", {x: 7, y: 14, "font-size": 12, fill: INK}, text),
  );
  return {element, width};
}

/**
 * Where labels stand beside their places without covering each other: right below, left below, right above, left above, or
 * nowhere. @param {{at: Point, width: number, kept: boolean}[]} labels kept: shown in any case @param {number} right of the view
 * @param {number[][]} taken boxes that are to stay free, to which theirs are added
 * @returns {(Point | null)[]} upper left corners, relative to the place
 */
export function spread(labels, right, taken) {
  for (const {
    at: [x, y],
  } of labels)
    taken.push([x - GLYPH, y - GLYPH, x + GLYPH, y + GLYPH]);
  return labels.map(({at: [x, y], width, kept}) => {
    if (!width) return null;
    const corners = /** @type {Point[]} */ ([
      [9, 6],
      [-9 - width, 6],
      [9, -6 - HIGH],
      [-9 - width, -6 - HIGH],
    ]);
    const box = ([dx, dy] = corners[0]) => [x + dx, y + dy, x + dx + width, y + dy + HIGH];
    const free = corners.find((corner) => {
      const [x0, y0, x1, y1] = box(corner);
      return x0 >= 0 && x1 <= right && taken.every(([s0, t0, s1, t1]) => x1 < s0 || x0 > s1 || y1 < t0 || y0 > t1);
    });
    const chosen = free ?? (kept ? corners[x + 9 + width > right ? 1 : 0] : null);
    if (chosen) taken.push(box(chosen));
    return chosen;
  });
}

/** Kinds that were found rather than put. @param {string} kind */
const isCritical = (kind) => ["minimum", "maximum", "saddle", "degenerate"].includes(kind);

/**
 * The marks of one layer, notes and points or critical points. @param {import("./index.js").Ground} ground @param {boolean} critical
 * @returns {import("./index.js").Layer}
 */
function pins({pane, session, edit, taken}, critical) {
  const element = sheet(critical ? "critical" : "marks");
  /** @type {Pin[]} */
  let shown = [];
  let made = "";
  /** Kinds in sight. @type {string[]} */
  let seen = [];
  const mine = () =>
    /** @type {Mark[]} */ (session.model.get("marks") ?? []).filter((mark) => isCritical(mark.kind) === critical);
  const isHere = (/** @type {Mark} */ {scene}) => !scene || scene === pane.subject?.hash;
  const named = () =>
    critical || pane.onLine || session.scene?.hash !== pane.subject?.hash ? [] : (session.scene?.points ?? []);
  const here = () => [
    ...mine()
      .filter(isHere)
      .map((mark) => ({mark, own: true})),
    ...named().map(({name, a, b}) => ({mark: {a, b, text: name, kind: "point"}, own: false})),
  ];

  /** @param {{mark: Mark, own: boolean}} pin @returns {Pin} */
  const make = ({mark, own}) => {
    const text = cut(mark.text, BRIEF);
    const {element: label, width} = pill(text);
    const about = `${mark.kind}${mark.text ? `: ${cut(mark.text, LONGEST)}` : ""}`;
    const keys = own ? ". Enter edits, Delete removes." : "";
    const group = svg(
      "g",
      {tabindex: 0, role: "button", "aria-label": about + keys, class: "la-mark", "pointer-events": "all"},
      svg("title", {}, about),
      svg("circle", {r: 13, cy: mark.kind === "note" ? -8 : 0, fill: "none", class: "la-ring"}),
      glyph(mark.kind),
      label,
    );
    if (own) hands(group, mark);
    // A press is about the mark, not about the map under it.
    group.addEventListener("pointerdown", (event) => event.stopPropagation());
    for (const type of ["focus", "blur", "pointerenter", "pointerleave"])
      group.addEventListener(type, () => pane.invalidate());
    return {mark, own, group, label, width: text ? width : 0};
  };

  /** @param {SVGGElement} group @param {Mark} mark */
  const hands = (group, mark) => {
    const press = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter") edit(mark);
      else if (event.key === "Delete" || event.key === "Backspace") edit(mark, "");
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    group.addEventListener("keydown", press);
    const twice = (/** @type {Event} */ event) => {
      event.stopPropagation();
      edit(mark);
    };
    group.addEventListener("dblclick", twice);
  };

  return {
    name: critical ? "critical" : "marks",
    element,
    lacks() {
      if (here().length > 0) return "";
      if (mine().length > 0) return "They are on other planes, and come back with them.";
      return critical
        ? "No critical point is marked: explorer.mark(landscape.critical_point(near))."
        : "There is no mark: n puts a note.";
    },
    legend: critical ? () => seen.map(entry) : undefined,
    rows: () => here().map(({mark: {a, b, kind, text}}) => ({what: kind, text: cut(text, LONGEST), at: [a, b]})),
    draw(viewport) {
      const wanted = here();
      const key = JSON.stringify(wanted);
      if (key !== made) {
        made = key;
        shown = wanted.map(make);
        element.replaceChildren(...shown.map(({group}) => group));
      }
      const places = shown.map(({mark: {a, b}}) => {
        const [x, y] = viewport.toPixels([a, b]);
        return /** @type {Point} */ ([x, pane.onLine ? pane.rowOf(pane.valueAt([a, 0]) ?? Number.NaN) : y]);
      });
      const inside = places.map(([x, y]) => x > -20 && x < viewport.width + 20 && y > -20 && y < viewport.height + 20);
      seen = [...new Set(shown.filter((_, i) => inside[i]).map(({mark}) => mark.kind))];
      const corners = spread(
        shown.map(({width, group}, i) => ({
          at: places[i],
          width: inside[i] ? width : 0,
          kept: group.matches(":focus, :hover"),
        })),
        viewport.width,
        taken,
      );
      shown.forEach(({group, label}, i) => {
        group.toggleAttribute("hidden", !inside[i]);
        if (!inside[i]) return;
        put(group, {transform: `translate(${px(places[i][0])} ${px(places[i][1])})`});
        const corner = corners[i];
        label.toggleAttribute("hidden", !corner);
        if (corner) put(label, {transform: `translate(${px(corner[0])} ${px(corner[1])})`});
      });
    },
  };
}

/** Its line in the legend. @param {string} kind */
const entry = (kind) => {
  const icon = svg("svg", {width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true"}, glyph(kind));
  return {kind, text: kind, title: "A critical point", icon};
};

/** @param {import("./index.js").Ground} ground */
export const marks = (ground) => pins(ground, false);

/** @param {import("./index.js").Ground} ground */
export const critical = (ground) => pins(ground, true);
