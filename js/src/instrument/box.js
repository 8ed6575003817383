// Zoom to a box: drawn with Shift, or after a press on its button. Both axes keep their one scale.

import {h} from "../ui/dom.js";
import {containing} from "./glide.js";

/** A hand that draws less than this many pixels has not drawn. */
const LEAST = 8;

/** @param {import("../ui/host.js").Host} host @param {import("./mover.js").Mover} mover */
export function box({root, area, map, pane, header, hint, signal}, mover) {
  const button = header.tools.box;
  const rubber = h("div", {class: "la-rubber", hidden: true});
  area.append(rubber);
  let armed = false;
  /** @type {{id: number, x: number, y: number} | null} */
  let held = null;
  const arm = (/** @type {boolean} */ now) => {
    armed = now;
    button.ariaPressed = String(now);
    area.classList.toggle("la-boxing", now);
  };
  const drop = () => {
    held = null;
    rubber.hidden = true;
  };
  /** Whole pixels inside the map. @param {PointerEvent} event @returns {[number, number]} */
  const place = (event) => {
    const frame = area.getBoundingClientRect();
    const inside = (/** @type {number} */ at, /** @type {number} */ most) =>
      Math.round(Math.min(Math.max(at, 0), most));
    return [inside(event.clientX - frame.left, frame.width), inside(event.clientY - frame.top, frame.height)];
  };
  /** @param {PointerEvent} event */
  const drawn = (event) => {
    const [x, y] = place(event);
    const {x: x0, y: y0} = /** @type {NonNullable<typeof held>} */ (held);
    // Of a line all that is above and below a stretch belongs to it.
    const [top, bottom] = pane.onLine ? [0, area.clientHeight] : [Math.min(y0, y), Math.max(y0, y)];
    return {left: Math.min(x0, x), right: Math.max(x0, x), top, bottom};
  };
  const down = (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0 || !(armed || event.shiftKey) || !area.contains(/** @type {Node} */ (event.target))) return;
    if (event.target instanceof Element && event.target.closest("button, input, select")) return;
    event.preventDefault();
    event.stopPropagation();
    mover.stop(true);
    root.focus(/** @type {FocusOptions} */ ({preventScroll: true, focusVisible: false}));
    const [x, y] = place(event);
    held = {id: event.pointerId, x, y};
    area.setPointerCapture(event.pointerId);
  };
  const move = (/** @type {PointerEvent} */ event) => {
    if (held?.id !== event.pointerId) return;
    event.stopPropagation();
    const {left, right, top, bottom} = drawn(event);
    rubber.hidden = false;
    Object.assign(rubber.style, {
      left: `${left}px`,
      top: `${top}px`,
      width: `${right - left}px`,
      height: `${bottom - top}px`,
    });
  };
  const up = (/** @type {PointerEvent} */ event) => {
    if (held?.id !== event.pointerId) return;
    event.stopPropagation();
    const {left, right, top, bottom} = drawn(event);
    const {viewport} = pane;
    drop();
    if (event.type !== "pointerup" || viewport === null || Math.min(right - left, bottom - top) < LEAST) return;
    arm(false);
    const [a0, b1] = viewport.toPlane([left, top]);
    const [a1, b0] = viewport.toPlane([right, bottom]);
    mover.go(pane.onLine ? viewport.at([(a0 + a1) / 2, 0], a1 - a0) : containing(viewport, [a0, a1, b0, b1]));
  };
  // Before the map's own hands, which would drag it.
  const early = {signal, capture: true};
  map.addEventListener("pointerdown", down, early);
  map.addEventListener("pointermove", move, early);
  for (const end of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"]))
    map.addEventListener(end, up, early);
  arm(false);
  button.disabled = false;
  const press = () => {
    arm(!armed);
    if (armed) hint("Draw a box on the map · Esc: not now", 2500);
  };
  button.addEventListener("click", press, {signal});
  /** @returns {boolean} whether there was anything to give up */
  const cancel = () => {
    const was = armed || held !== null;
    drop();
    arm(false);
    return was;
  };
  return {cancel, taken: () => armed || held !== null};
}
