// How long a length is on the map: a round one in the plane's units, and what that is in the unit of its axes.

import {significant, svg} from "../ui/dom.js";

/** @typedef {import("../protocol.js").Axis} Axis */

/** The bar, CSS pixels: of a new length, and of one that stays while it suits. */
const LEAST = 60;
const HYSTERESIS = 1.25;
const MOST = 150;
/** No more of the map's width than this. */
const SHARE = 0.36;
/** Where it stands in its corner. */
const LEFT = 18;
const BOTTOM = 18;
const CAP = 5;
const PAD = 8;
const HEIGHT = 38;
const FONT = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif';

/**
 * The longest of 1, 2 and 5 times a power of ten that is drawn no longer than `most`; the one before as long as it is about right.
 * @param {number} scale CSS pixels per unit @param {number} most CSS pixels @param {number | null} [previous]
 */
export function lengthOf(scale, most, previous = null) {
  const pixels = (previous ?? 0) * scale;
  if (pixels > LEAST / HYSTERESIS && pixels <= most * HYSTERESIS && 2.5 * pixels > most / HYSTERESIS)
    return previous ?? 0;
  const longest = most / scale;
  const power = Math.floor(Math.log10(longest) + 1e-9);
  const mantissa = [5, 2, 1].find((digit) => digit * 10 ** power <= longest * (1 + 1e-9)) ?? 1;
  return Number(`${mantissa}e${power}`);
}

/** @param {number} length */
const round = (length) => (length >= 1e-4 && length < 1e5 ? String(length) : significant(length, 1));

/** What a length of the plane is along each axis, as briefly as it can be said. @param {number} length @param {readonly Axis[]} axes */
export function words(length, axes) {
  const plain = `${round(length)} in ${axes.length === 1 ? "a" : "a, b"}`;
  const known = axes.filter((axis) => typeof axis.length === "number" && axis.unit);
  if (known.length < Math.max(axes.length, 1)) return plain;
  const own = known.map((axis) => String(Number((length * Number(axis.length)).toPrecision(2))));
  const units = known.map((axis) => axis.unit);
  if (known.length === 1 || (own[0] === own[1] && units[0] === units[1])) return `${plain} · ${own[0]} ${units[0]}`;
  return units[0] === units[1]
    ? `${round(length)} · a: ${own[0]}, b: ${own[1]} ${units[0]}`
    : `${round(length)} · a: ${own[0]} ${units[0]}, b: ${own[1]} ${units[1]}`;
}

/** @param {import("../ui/host.js").Host} host */
export function scaleBar({pane, session}) {
  // Attributes alone: a picture that is taken away has no style sheet.
  const back = svg("rect", {x: LEFT - PAD, height: HEIGHT, rx: 6, fill: "#12151a", "fill-opacity": 0.66});
  const bar = svg("path", {fill: "none", stroke: "#fff", "stroke-width": 1.5});
  const text = svg("text", {x: LEFT, fill: "#fff", "font-size": 12, "font-family": FONT});
  const element = svg("svg", {class: "la-layer la-scalebar", "aria-hidden": "true"});
  element.append(back, bar, text);
  pane.canvas.after(element);
  /** @type {number | null} */
  let length = null;
  let wide = 0;
  let shown = "";
  return () => {
    const {viewport} = pane;
    element.toggleAttribute("hidden", pane.onLine);
    if (viewport === null || pane.onLine) return;
    const {width, height, scale} = viewport;
    length = lengthOf(scale, Math.min(MOST, SHARE * width), length);
    const end = LEFT + length * scale;
    const said = words(length, session.scene?.axes ?? []);
    const state = `${end.toFixed(2)}/${height}/${said}`;
    if (state === shown) return;
    shown = state;
    if (text.textContent !== said) {
      text.textContent = said;
      // Asks the browser to lay out this text: once for each, not once a frame.
      wide = text.getComputedTextLength();
    }
    const y = Math.round(height) - BOTTOM;
    back.setAttribute("y", String(y + PAD - HEIGHT));
    back.setAttribute("width", (Math.max(wide, end - LEFT) + 2 * PAD).toFixed(1));
    bar.setAttribute("d", `M${LEFT + 0.75} ${y - CAP}V${y - 0.75}H${(end - 0.75).toFixed(2)}V${y - CAP}`);
    text.setAttribute("y", String(y - CAP - 6));
  };
}
