// What the layers draw with. Colours and strokes are attributes, not classes: a copy of a layer looks the same by itself.

import {svg} from "../ui/dom.js";

/** White and its halo, that are seen on every colour map in both themes. */
export const INK = "#fff";
export const HALO = "#12151a";

/** @param {Element} element @param {Record<string, string | number>} attributes */
export function put(element, attributes) {
  for (const [name, value] of Object.entries(attributes))
    if (element.getAttribute(name) !== `${value}`) element.setAttribute(name, `${value}`);
}

/** One over the other: the same line in white and, wider, its halo. @param {Record<string, string | number>} attributes @param {number} width */
export const haloed = (attributes, width) => [
  svg("path", {
    fill: "none",
    stroke: HALO,
    "stroke-opacity": 0.5,
    "stroke-width": width + 2,
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    ...attributes,
  }),
  svg("path", {
    fill: "none",
    stroke: INK,
    "stroke-width": width,
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
    ...attributes,
  }),
];

/** Tenths of a pixel are enough of a place. @param {number} x */
export const px = (x) => Math.round(10 * x) / 10;

/** A layer over the map, of its size. @param {string} name */
export const sheet = (name) => svg("svg", {class: `la-layer la-${name}`, "font-family": "system-ui, sans-serif"});

/** @type {CanvasRenderingContext2D | null} */
let ruler = null;
/** @type {Map<string, number>} */
const widths = new Map();

/** How wide a text is at 12 px, CSS pixels. @param {string} text */
export function widthOf(text) {
  ruler ??= document.createElement("canvas").getContext("2d");
  if (widths.size > 500) widths.clear();
  let width = widths.get(text);
  if (width === undefined) {
    if (ruler) ruler.font = "12px system-ui, sans-serif";
    width = ruler?.measureText(text).width ?? 7 * text.length;
    widths.set(text, width);
  }
  return width;
}
