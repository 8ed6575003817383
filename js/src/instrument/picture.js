// The view as a picture that stands alone: an SVG with its isolines, or its curve, and texts as such, and its colours as an image in
// it; or all of it as an image, at any scale.

import {h, svg} from "../ui/dom.js";
import {curveOf} from "./curve.js";
import {scaled} from "./frame.js";
import {isolines} from "./isolines.js";
import {strokesOf} from "./strokes.js";

/**
 * @typedef {import("../ui/host.js").Host} Host
 * @typedef {import("../render/shade.js").Frame} Frame
 * @typedef {{caption: string, relief: boolean}} Options  relief: as it is shown, else none
 */

/** Where the map lies in the picture, CSS pixels. */
const AT = {left: 72, top: 44};
const RIGHT = {plane: 86, line: 28};
const BOTTOM = 52;
/** Device pixels per CSS pixel of the colours in an SVG. */
const FINE = 2;
/** More pixels a side no browser draws. */
const MOST = 16384;
const STOPS = 32;
const TITLE = "600 14px sans-serif";

/** The map alone. @param {Host} host @param {number} ratio device pixels per CSS pixel @param {boolean} lines @param {boolean} relief */
function paint({pane}, ratio, lines, relief) {
  const shown = /** @type {Frame} */ (pane.picture);
  const frame = scaled(shown, ratio / shown.pixelRatio);
  const canvas = h("canvas", {width: frame.width, height: frame.height});
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", {alpha: false}));
  const wanted = {...frame, levels: lines ? frame.levels : [], relief: relief ? frame.relief : 0};
  pane.renderers.paint(wanted, context, pane.onLine);
  return canvas;
}

/** How wide a text is, CSS pixels. @param {string} text @param {string} font */
function widthOf(text, font) {
  const context = /** @type {CanvasRenderingContext2D} */ (h("canvas").getContext("2d"));
  context.font = font;
  return context.measureText(text).width;
}

/** As much of a title as fits. @param {string} text @param {number} width */
function cut(text, width) {
  let fitting = text;
  while (fitting.length > 1 && widthOf(fitting, TITLE) > width) fitting = `${fitting.slice(0, -2)}…`;
  return fitting;
}

/** What is shown, in CSS pixels. @param {Host["pane"]} pane */
const inCss = ({picture}) => scaled(/** @type {Frame} */ (picture), 1 / (picture?.pixelRatio ?? 1));

/** The isolines, each level's in a group that has its value. @param {Host} host */
function strokes({pane, lines: look}) {
  const frame = inCss(pane);
  const levels = frame.levels.filter(({opacity}) => opacity > 0).sort((one, other) => one.value - other.value);
  const found = isolines(
    frame.quads,
    levels.map(({value}) => value),
    {within: [0, 0, frame.width, frame.height]},
  );
  const group = svg("g", {fill: "none", stroke: "#fff", "stroke-linejoin": "round", "clip-path": "url(#la-map)"});
  for (const {level, strength, d} of strokesOf(found, levels, look)) {
    const {major, opacity, value} = levels[level];
    group.append(
      svg("path", {
        ...{d, "data-drawn": value + pane.origin, "stroke-width": major ? look.majorWidth : look.minorWidth},
        "stroke-opacity": +(strength * opacity * (major ? look.majorAlpha : look.minorAlpha)).toFixed(3),
      }),
    );
  }
  return group;
}

/** Presentation that comes from the card's style sheets, which a picture does not have. */
const PRESENTATION = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "font-size"];

/** What lies over the map. @param {Host} host @param {number} width @param {number} height */
function layers({area}, width, height) {
  return [...area.querySelectorAll(":scope > svg")].flatMap((layer) => {
    if (getComputedStyle(layer).display === "none") return [];
    const copy = /** @type {SVGSVGElement} */ (layer.cloneNode(true));
    if (!layer.matches(".la-layer")) {
      const styled = layer.querySelectorAll("*");
      for (const [i, element] of copy.querySelectorAll("*").entries())
        for (const name of PRESENTATION) element.setAttribute(name, getComputedStyle(styled[i]).getPropertyValue(name));
    }
    for (const leaving of copy.querySelectorAll("[hidden], .la-label:not(.la-shown)")) leaving.remove();
    for (const [name, value] of Object.entries({...AT, width, height}))
      copy.setAttribute(name === "left" ? "x" : name === "top" ? "y" : name, `${value}`);
    for (const name of ["style", "class"]) copy.removeAttribute(name);
    return [copy];
  });
}

/** The colour bar, with the numbers that stand beside it. @param {Host} host @param {number} x @param {number} height @param {string} quiet */
function barOf({pane, bar}, x, height, quiet) {
  const {lut, levels, domain} = /** @type {Frame} */ (pane.picture);
  const stops = Array.from({length: STOPS + 1}, (_, i) => {
    const entry = 3 * Math.round((255 * i) / STOPS);
    return svg("stop", {offset: i / STOPS, "stop-color": `rgb(${lut.slice(entry, entry + 3).join()})`});
  });
  const place = {x, y: AT.top, width: 14, height};
  const marks = levels.flatMap(({value, major, opacity}) => {
    const y = height * (1 - (value - domain[0]) / (domain[1] - domain[0] || 1));
    if (!(y > 0 && y < height)) return [];
    const d = `M${x} ${(AT.top + y).toFixed(2)}h14`;
    return [svg("path", {d, stroke: "#fff", "stroke-opacity": (major ? 0.9 : 0.35) * opacity})];
  });
  const numbers = [...bar.labels.children].map((label) =>
    svg(
      "text",
      {x: x + 20, y: AT.top + Number.parseFloat(/** @type {HTMLElement} */ (label).style.top) + 4},
      label.textContent ?? "",
    ),
  );
  return svg(
    "g",
    {fill: quiet},
    svg("linearGradient", {id: "la-colours", x1: 0, y1: 1, x2: 0, y2: 0}, ...stops),
    svg("rect", {...place, fill: "url(#la-colours)"}),
    ...marks,
    ...numbers,
    svg("text", {x: x + 66, y: AT.top - 4, "text-anchor": "end", "font-size": 11}, bar.shift.textContent ?? ""),
  );
}

/** The stripes of what is not finite, and what they mean. @param {number} x its right end @param {string} quiet */
const legendOf = (x, quiet) =>
  svg(
    "g",
    {fill: quiet},
    svg(
      "pattern",
      {id: "la-hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)"},
      svg("path", {d: "M0 0v5", stroke: quiet, "stroke-width": 3}),
    ),
    svg("rect", {x: x - 80, y: 18, width: 14, height: 10, fill: "url(#la-hatch)"}),
    svg("text", {x: x - 60, y: 27}, "not finite"),
  );

/**
 * The picture as an element. @param {Host} host @param {Options & {fill?: boolean}} options fill: with what is under the texts
 */
export function pictureOf(host, {caption, relief, fill = true}) {
  const {root, pane, session, axes} = host;
  const {width, height} = /** @type {import("../viewport.js").Viewport} */ (pane.viewport);
  const {onLine} = pane;
  const style = getComputedStyle(root);
  const [back, text, quiet] = ["back", "text", "quiet"].map((name) => style.getPropertyValue(`--la-${name}`).trim());
  const [wide, high] = [AT.left + width + RIGHT[onLine ? "line" : "plane"], AT.top + height + BOTTOM];
  const holes = /** @type {any} */ (root).lossatlas.stats().bad > 0;
  const title = session.scene?.title || "loss landscape";
  const about = ` · ${session.fieldName} · ${pane.subject?.scale.split(":")[0]} scale`;
  const place = {x: AT.left, y: AT.top, width, height};

  const frame = axes(AT);
  frame.querySelector(".la-tick")?.setAttribute("stroke", quiet);
  for (const part of frame.children) part.setAttribute("fill", part.matches(".la-axis-title") ? text : quiet);
  const image = fill && !onLine && svg("image", {...place, preserveAspectRatio: "none"});
  if (image) image.setAttribute("href", paint(host, FINE, false, relief).toDataURL("image/png"));
  const vectors = () =>
    onLine ? curveOf(/** @type {import("../render/curve.js").CurveFrame} */ (inCss(pane))) : strokes(host);
  return svg(
    "svg",
    {
      width: wide,
      height: high,
      viewBox: `0 0 ${wide} ${high}`,
      "font-family": "sans-serif",
      "font-size": 12,
    },
    svg("title", {}, title),
    svg("desc", {}, caption),
    svg("clipPath", {id: "la-map"}, svg("rect", {width, height})),
    ...(fill ? [svg("rect", {width: wide, height: high, fill: back})] : []),
    ...(image ? [image] : []),
    ...(fill ? [svg("g", {transform: `translate(${AT.left} ${AT.top})`}, vectors())] : []),
    ...layers(host, width, height),
    svg("g", {}, ...frame.children),
    ...(onLine ? [] : [barOf(host, AT.left + width + 20, height, quiet)]),
    svg(
      "text",
      {x: AT.left, y: 27, fill: text, "font-size": 14, "font-weight": 600},
      cut(title, width - widthOf(about, "12px sans-serif") - (holes ? 90 : 0)),
      svg("tspan", {fill: quiet, "font-size": 12, "font-weight": 400}, about),
    ),
    ...(holes ? [legendOf(AT.left + width, quiet)] : []),
  );
}

/** As the text of a file; what XML cannot hold is left out. @param {Element} picture */
export const serialised = (picture) => new XMLSerializer().serializeToString(picture).replace(/[^\t\n\P{Cc}]/gu, "");

/**
 * The picture as an image, crisp at any scale: all but the colours and their lines is drawn from the SVG.
 * @param {Host} host @param {number} scale times the pixels of the screen @param {Options} options
 * @returns {Promise<Blob>} Throws with a sentence where it cannot be drawn.
 */
export async function imageOf(host, scale, options) {
  const over = pictureOf(host, {...options, fill: false});
  const ratio = scale * host.pane.ratio;
  const [width, height] = ["width", "height"].map((name) => Math.round(Number(over.getAttribute(name)) * ratio));
  if (Math.max(width, height) > MOST)
    throw new RangeError(`${width} × ${height} pixels are too many. Take a smaller scale, or SVG.`);
  // Drawn from what it would be at its size, not enlarged from a smaller one.
  over.setAttribute("width", `${width}`);
  over.setAttribute("height", `${height}`);
  const image = h("img", {src: `data:image/svg+xml,${encodeURIComponent(serialised(over))}`});
  await image.decode();
  const canvas = h("canvas", {width, height});
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = getComputedStyle(host.root).getPropertyValue("--la-back");
  context.fillRect(0, 0, width, height);
  context.drawImage(paint(host, ratio, true, options.relief), Math.round(AT.left * ratio), Math.round(AT.top * ratio));
  context.drawImage(image, 0, 0, width, height);
  const blob = await new Promise((/** @type {BlobCallback} */ done) => canvas.toBlob(done, "image/png"));
  if (blob === null)
    throw new RangeError(`${width} × ${height} pixels do not fit into memory here. Take a smaller scale, or SVG.`);
  return blob;
}
