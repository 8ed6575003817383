// Fingers on the map. One of them belongs to the page until the map has focus; two move and zoom it.

/** @typedef {[number, number]} Point */
/** @typedef {import("../viewport.js").Viewport} Viewport */

/** A finger that moves by fewer pixels has tapped. */
const STILL = 10;
const LONG = 500;
/** Two taps within so many ms and pixels are one double tap. */
const TWICE = 300;
const NEAR = 30;

/** @param {Point} p @param {Point} q @returns {{middle: Point, apart: number}} */
const spread = ([x0, y0], [x1, y1]) => ({
  middle: [(x0 + x1) / 2, (y0 + y1) / 2],
  apart: Math.max(Math.hypot(x1 - x0, y1 - y0), 1),
});

/**
 * A view held by two fingers that have moved: what was in the middle between them still is.
 * @param {Viewport} view when they were put down @param {[Point, Point]} before @param {[Point, Point]} now CSS pixels
 */
export function pinched(view, before, now) {
  const [first, last] = [spread(...before), spread(...now)];
  const zoomed = view.zoomAt(last.apart / first.apart, first.middle);
  return zoomed.panBy(last.middle[0] - first.middle[0], last.middle[1] - first.middle[1]);
}

/** @param {import("../ui/host.js").Host} host @param {import("./mover.js").Mover} mover @param {() => boolean} taken a box is drawn */
export function touch({root, map, area, pane, hands, hint, signal}, mover, taken) {
  /** Where the fingers were put down, and the view then. @type {{at: Point[], view: Viewport, when: number, moves: boolean} | null} */
  let start = null;
  /** Whether they have only tapped so far. */
  let still = true;
  let tapped = {at: /** @type {Point} */ ([0, 0]), when: Number.NEGATIVE_INFINITY};
  let greeted = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let long;
  const fingers = (/** @type {TouchEvent} */ event) => {
    const {left, top} = area.getBoundingClientRect();
    return [...event.targetTouches].map(({clientX, clientY}) => /** @type {Point} */ ([clientX - left, clientY - top]));
  };
  const isOurs = (/** @type {Event} */ {target}) =>
    !(target instanceof Element && target.closest("button, input, select")) && !taken();
  const put = (/** @type {TouchEvent} */ event) => {
    if (!isOurs(event)) return;
    const at = fingers(event);
    clearTimeout(long);
    mover.stop(true);
    const {viewport} = pane;
    if (viewport === null) return;
    const moves = at.length > 1 || root.matches(":focus-within");
    if (start === null) still = true;
    start = {at, view: viewport, when: performance.now(), moves};
    if (at.length > 1) {
      still = false;
      event.preventDefault();
      hands.gesture(true);
    } else if (still) long = setTimeout(held, LONG);
  };
  const held = () => {
    if (start === null || !still) return;
    still = false;
    hands.press(start.at[0]);
  };
  const move = (/** @type {TouchEvent} */ event) => {
    if (start === null) return;
    const at = fingers(event);
    const [[x, y], [x0, y0]] = [at[0], start.at[0]];
    if (at.length !== start.at.length) return;
    if (still && Math.hypot(x - x0, y - y0) < STILL) return;
    clearTimeout(long);
    if (!start.moves) {
      if (still) hint("Use two fingers to move the map");
      still = false;
      return;
    }
    event.preventDefault();
    if (still) hands.gesture(true);
    still = false;
    pane.look(
      at.length > 1
        ? pinched(start.view, [start.at[0], start.at[1]], [at[0], at[1]])
        : start.view.panBy(hands.whole(x - x0), hands.whole(y - y0)),
    );
  };
  const tap = (/** @type {Point} */ at) => {
    const now = performance.now();
    const twice = now - tapped.when < TWICE && Math.hypot(at[0] - tapped.at[0], at[1] - tapped.at[1]) < NEAR;
    tapped = {at, when: twice ? Number.NEGATIVE_INFINITY : now};
    root.focus(/** @type {FocusOptions} */ ({preventScroll: true, focusVisible: false}));
    if (!greeted) hint("drag or two fingers move · double tap zooms · hold measures", 3500);
    greeted = true;
    if (twice) return mover.zoom(2, at);
    hands.hover(at);
  };
  const lift = (/** @type {TouchEvent} */ event) => {
    clearTimeout(long);
    if (start === null) return;
    const [at] = start.at;
    const left = fingers(event);
    // Neither a click nor a double click is to come after it.
    if (event.cancelable && (still || start.moves)) event.preventDefault();
    if (left.length > 0 && pane.viewport) {
      start = {...start, at: left, view: pane.viewport};
      return;
    }
    start = null;
    hands.gesture(false);
    if (still && event.type === "touchend") tap(at);
  };
  area.addEventListener("touchstart", put, {signal, passive: false});
  area.addEventListener("touchmove", move, {signal, passive: false});
  area.addEventListener("touchend", lift, {signal, passive: false});
  area.addEventListener("touchcancel", lift, {signal});
  signal.addEventListener("abort", () => clearTimeout(long));
  // The map's own hands take every pointer for a mouse.
  const mine = (/** @type {PointerEvent} */ event) => {
    if (event.pointerType === "touch" && area.contains(/** @type {Node} */ (event.target)) && isOurs(event))
      event.stopPropagation();
  };
  for (const name of /** @type {const} */ ([
    "pointerdown",
    "pointermove",
    "pointerup",
    "pointercancel",
    "pointerleave",
  ]))
    map.addEventListener(name, mine, {signal, capture: true});
}
