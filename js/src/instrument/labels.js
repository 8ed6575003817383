// The numbers of the major isolines, on the lines. While the map moves they go with it; once it rests they are placed anew, and
// those that stand well stay.

import {colourAt, drawn} from "../colour.js";
import {formatLevel} from "../ladder.js";
import {svg} from "../ui/dom.js";
import {scaled} from "./frame.js";
import {isolines} from "./isolines.js";
import {placed} from "./place.js";
import {gapsOf, through} from "./strokes.js";

/**
 * @typedef {import("../viewport.js").Viewport} Viewport
 * @typedef {import("../ladder.js").Level} Level
 * @typedef {import("./place.js").Box} Box
 * @typedef {{value: number, center: [number, number], x: number, y: number, turn: number, element: SVGGElement}} Label
 *   center: of the view that it was placed in; x, y: from there, in the plane; turn: degrees
 */

/** The map rests when it has not moved for so many ms. */
const REST = 120;
const FADE = 220;
/** So many points of the grids make a cell, 6 to 10 pixels wide: a chord is then within half a pixel of a line that may be labelled. */
const EVERY = 4;
/** A longer number is none. */
const LONGEST = 12;
/** Kept free for the scale bar, from the lower left, pixels. */
const CORNER = [160, 28];
/** What else stands on the map. */
const MARKS = ".la-scalebar > *, .la-layer:not(.la-labels) text, .la-mark, .la-glyphs circle";
const HALO = {
  stroke: "#12151a",
  "stroke-opacity": 0.6,
  "stroke-width": 3.5,
  "stroke-linejoin": "round",
  "paint-order": "stroke",
};
const TEXT = {fill: "#fff", ...HALO, "text-anchor": "middle", dy: "0.35em"};

/** Where a label stands in a view: by differences, for deep in a zoom the centre alone has all the digits. @param {Label} label @param {Viewport} view @returns {[number, number]} CSS pixels */
function toPixels({center, x, y}, view) {
  const [a, b] = [center[0] - view.center[0] + x, center[1] - view.center[1] + y];
  return [view.width / 2 + a * view.scale, view.height / 2 - b * view.scale];
}

/** The numbers of the isolines of a map. */
class Labels {
  layer = svg("svg", {
    class: "la-layer la-labels",
    "aria-hidden": "true",
    "font-family": "system-ui, sans-serif",
    "font-size": 12,
    "font-weight": 600,
  });
  /** @type {Label[]} */
  #shown = [];
  #ruler = document.createElement("canvas").getContext("2d");

  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /** @param {import("../panes/map.js").MapPane} pane */
  constructor(pane) {
    this.pane = pane;
  }

  /** They go with the map. */
  move() {
    const {viewport} = this.pane;
    if (!viewport) return;
    for (const label of this.#shown) {
      const [x, y] = toPixels(label, viewport);
      const at = `translate(${x.toFixed(2)} ${y.toFixed(2)}) rotate(${label.turn.toFixed(2)})`;
      label.element.setAttribute("transform", at);
    }
  }

  /** Those of other values go. @param {readonly number[]} values */
  keep(values) {
    const kept = this.#shown.filter(({value}) => values.includes(value));
    this.#replace(kept);
  }

  /** @param {readonly Level[]} levels ascending @param {Box[]} taken */
  place(levels, taken) {
    const {viewport, picture, subject} = this.pane;
    if (!viewport || !picture || !subject) return;
    const {width, height, center, scale} = viewport;
    const {quads} = scaled(picture, 1 / picture.pixelRatio);
    const values = levels.map(({value}) => drawn(value, subject.scale) - this.pane.origin);
    const gaps = gapsOf(values);
    const majors = [...levels.keys()].filter((i) => levels[i].major);
    const texts = majors.map((i) => formatLevel(levels[i].value));
    const lines = isolines(
      quads,
      majors.map((i) => values[i]),
      {every: EVERY, within: [0, 0, width, height]},
    );
    const found = placed(lines, {
      widthOf: (level) => this.#widthOf(texts[level]),
      gapOf: (level) => gaps[majors[level]] ?? 1 / 0,
      size: [width, height],
      taken,
      known: this.#shown.map((label) => {
        const [x, y] = toPixels(label, viewport);
        return {level: majors.findIndex((i) => levels[i].value === label.value), x, y, label};
      }),
    });
    const next = found.map((place) => {
      const {value} = levels[majors[place.level]];
      const element = place.known?.label.element ?? svg("g", {class: "la-label", "data-level": value});
      const turn = (place.angle * 180) / Math.PI;
      const share = (values[majors[place.level]] - picture.domain[0]) / (picture.domain[1] - picture.domain[0] || 1);
      draw(element, place, texts[place.level], colourAt(picture.lut, share));
      return {value, center, x: (place.x - width / 2) / scale, y: (height / 2 - place.y) / scale, turn, element};
    });
    this.#replace(next);
    this.move();
  }

  /** @param {Label[]} next */
  #replace(next) {
    const kept = new Set(next.map(({element}) => element));
    const still = this.#still.matches;
    for (const {element} of this.#shown) {
      if (kept.has(element)) continue;
      element.classList.remove("la-shown");
      if (still) element.remove();
      else setTimeout(() => element.remove(), FADE);
    }
    this.#shown = next;
    const fresh = next.map(({element}) => element).filter((element) => element.parentNode === null);
    this.layer.append(...fresh);
    // Each frame of a page costs it as much as the map's own: without motion they are there at once.
    if (still) for (const element of fresh) element.classList.add("la-shown");
    if (still || fresh.length === 0) return;
    // In the frame after the one that they come in, for that fades them in.
    requestAnimationFrame(() => {
      for (const element of fresh)
        if (this.#shown.some((label) => label.element === element)) element.classList.add("la-shown");
    });
  }

  /** @param {string} text */
  #widthOf(text) {
    if (text.length > LONGEST) return Number.NaN;
    if (this.#ruler) this.#ruler.font = `600 12px ${getComputedStyle(this.layer).fontFamily}`;
    return this.#ruler?.measureText(text).width ?? 7 * text.length;
  }
}

/**
 * A text, and under it the line in its own colour of the map: it seems to make room.
 * @param {SVGGElement} element @param {import("./place.js").Place} place @param {string} text @param {number[]} colour
 */
function draw(element, {x, y, angle, piece}, text, colour) {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const own = piece.map((_, i) => {
    const [dx, dy] = [piece[i - (i % 2)] - x, piece[i - (i % 2) + 1] - y];
    return i % 2 === 0 ? dx * cos + dy * sin : dy * cos - dx * sin;
  });
  const stroke = `rgb(${colour.map(Math.round).join()})`;
  element.replaceChildren(
    svg("path", {d: through(own), fill: "none", stroke, "stroke-width": 4}),
    svg("text", TEXT, text),
  );
}

/** @param {import("../ui/host.js").Host} host @returns {import("../ui/host.js").Piece} */
export function labels({area, pane, session, signal}) {
  const own = new Labels(pane);
  pane.canvas.after(own.layer);
  /** What the labels stand on, and where it is seen. */
  let ground = "";
  let view = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let resting;
  signal.addEventListener("abort", () => clearTimeout(resting));

  const levels = () => (pane.onLine || !session.layers.includes("isolines") ? [] : pane.levels);
  /** What stands on the map already. @returns {Box[]} */
  const taken = () => {
    const {left, top, height} = area.getBoundingClientRect();
    const corner = {x: CORNER[0] / 2, y: height - CORNER[1] / 2, angle: 0, width: CORNER[0], height: CORNER[1]};
    const marks = [...area.querySelectorAll(MARKS)].map((mark) => {
      const box = mark.getBoundingClientRect();
      const [x, y] = [box.left + box.width / 2 - left, box.top + box.height / 2 - top];
      return {x, y, angle: 0, width: box.width, height: box.height};
    });
    return [corner, ...marks.filter(({width}) => width > 0)];
  };
  const place = () => {
    resting = undefined;
    own.place(levels(), taken());
  };
  const rest = () => {
    clearTimeout(resting);
    resting = setTimeout(place, REST);
  };

  return {
    changed(what) {
      // Marks come and go with it.
      if (what === "style") rest();
    },
    draw() {
      const {viewport, subject, domain} = pane;
      if (!viewport || !subject) return;
      own.move();
      const {center, span, width, height} = viewport;
      const now = levels();
      const plane = `${subject.hash}/${subject.field}/${subject.scale}`;
      const before = ground;
      ground = [
        plane,
        domain,
        ...now.map(({value, major}) => `${value}${major}`),
        ...pane.quads.map(({to}) => to.key),
      ].join();
      const moved = [...center, span, width, height].join();
      if (!ground.startsWith(`${plane},`) || !before.startsWith(`${plane},`)) own.keep([]);
      else if (before !== ground) own.keep(now.filter(({major}) => major).map(({value}) => value));
      // A map that moves on is waited for, one that becomes finer is not.
      if (moved !== view) rest();
      else if (before !== ground && resting === undefined) rest();
      view = moved;
    },
  };
}
