// Hands on the map: pointer, wheel and keyboard become pans and zooms. It knows the area's pixels, not the plane.

/** A wheel notch of 120 px zooms by √2. */
const NOTCH_EXPONENT = 1 / 240;
/** No single event zooms by more than 2. */
const MOST_PER_EVENT = 240;
/** A wheel has come to rest after this many ms. */
const REST = 160;
const LINE = 40;
/** A hand that moves by fewer pixels has clicked. */
const STILL = 4;

/**
 * @typedef {{
 *   panBy(dx: number, dy: number): void,
 *   zoomAt(factor: number, at?: [number, number]): void,
 *   whole(distance: number): number, cell(): number, size(): [number, number],
 *   home(): void, probe(): void, press(at?: [number, number]): void,
 *   hover(at: [number, number] | null): void,
 *   gesture(active: boolean): void,
 *   hint(): void, refuse?(closer: boolean): void
 * }} Hands  whole: the nearest distance that is whole device pixels, by which a picture can be moved as it is; cell: pixels
 *   of a cell of the drawn level; press: without a drag, or by key in the middle; gesture: one begins or ends; hint: the wheel was left to the page;
 *   refuse: there is no closer view, or no wider one
 */

/**
 * @param {HTMLElement} root gets the keyboard @param {HTMLElement} area gets the pointer @param {Hands} hands
 * @param {AbortSignal} signal
 */
export function attachGestures(root, area, hands, signal) {
  pointer(root, area, hands, signal);
  wheel(root, area, hands, signal);
  keyboard(root, area, hands, signal);
}

/** @param {HTMLElement} area @param {MouseEvent} event @returns {[number, number]} */
function place(area, event) {
  const box = area.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

/** Whether an event is about a control that lies over the map. @param {Event} event */
const onControl = (event) => event.target instanceof Element && event.target.closest("button, input, select") !== null;

/** @param {HTMLElement} root @param {HTMLElement} area @param {Hands} hands @param {AbortSignal} signal */
function pointer(root, area, hands, signal) {
  /** @type {{id: number, x: number, y: number} | null} */
  let held = null;
  let pressed = [0, 0];
  const down = (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0 || onControl(event)) return;
    // The browser's own reaction would select text; focus is then ours to give.
    event.preventDefault();
    // Somebody who uses the pointer knows where they are: the ring is for the keyboard.
    root.focus(/** @type {FocusOptions} */ ({preventScroll: true, focusVisible: false}));
    held = {id: event.pointerId, x: event.clientX, y: event.clientY};
    pressed = place(area, event);
    area.setPointerCapture(event.pointerId);
    area.classList.add("la-held");
    hands.gesture(true);
    hands.hover(null);
  };
  const move = (/** @type {PointerEvent} */ event) => {
    if (held === null) return hands.hover(onControl(event) ? null : place(area, event));
    if (event.pointerId !== held.id) return;
    const dx = hands.whole(event.clientX - held.x);
    const dy = hands.whole(event.clientY - held.y);
    hands.panBy(dx, dy);
    held = {id: held.id, x: held.x + dx, y: held.y + dy};
  };
  const up = (/** @type {PointerEvent} */ event) => {
    if (held === null || event.pointerId !== held.id) return;
    held = null;
    area.classList.remove("la-held");
    hands.gesture(false);
    const at = event.type === "pointerup" ? place(area, event) : null;
    if (at && Math.hypot(at[0] - pressed[0], at[1] - pressed[1]) < STILL) hands.press(at);
    hands.hover(at);
  };
  area.addEventListener("pointerdown", down, {signal});
  area.addEventListener("pointermove", move, {signal});
  area.addEventListener("pointerup", up, {signal});
  area.addEventListener("pointercancel", up, {signal});
  area.addEventListener("lostpointercapture", up, {signal});
  area.addEventListener("pointerleave", () => held === null && hands.hover(null), {signal});
  const twice = (/** @type {MouseEvent} */ event) => {
    if (onControl(event)) return;
    event.preventDefault();
    hands.zoomAt(event.shiftKey ? 0.5 : 2, place(area, event));
  };
  area.addEventListener("dblclick", twice, {signal});
}

/** @param {HTMLElement} root @param {HTMLElement} area @param {Hands} hands @param {AbortSignal} signal */
function wheel(root, area, hands, signal) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let resting;
  const rest = () => {
    resting = undefined;
    hands.gesture(false);
  };
  const turn = (/** @type {WheelEvent} */ event) => {
    if (!event.ctrlKey && !event.metaKey && !root.matches(":focus-within")) return hands.hint();
    event.preventDefault();
    const unit = event.deltaMode === 1 ? LINE : event.deltaMode === 2 ? 10 * LINE : 1;
    const delta = Math.min(Math.max(event.deltaY * unit, -MOST_PER_EVENT), MOST_PER_EVENT);
    if (delta === 0) return;
    if (resting === undefined) hands.gesture(true);
    clearTimeout(resting);
    resting = setTimeout(rest, REST);
    hands.zoomAt(2 ** (-delta * NOTCH_EXPONENT), place(area, event));
  };
  area.addEventListener("wheel", turn, {signal, passive: false});
  signal.addEventListener("abort", () => clearTimeout(resting));
}

/** @param {HTMLElement} root @param {HTMLElement} area @param {Hands} hands @param {AbortSignal} signal */
function keyboard(root, area, hands, signal) {
  const step = (/** @type {KeyboardEvent} */ event, /** @type {number} */ side) =>
    event.shiftKey ? hands.cell() : hands.whole(0.1 * side);
  /** @type {Record<string, (event: KeyboardEvent) => void>} */
  const keys = {
    ArrowLeft: (event) => hands.panBy(step(event, hands.size()[0]), 0),
    ArrowRight: (event) => hands.panBy(-step(event, hands.size()[0]), 0),
    ArrowUp: (event) => hands.panBy(0, step(event, hands.size()[1])),
    ArrowDown: (event) => hands.panBy(0, -step(event, hands.size()[1])),
    "+": () => hands.zoomAt(Math.SQRT2),
    "=": () => hands.zoomAt(Math.SQRT2),
    "-": () => hands.zoomAt(Math.SQRT1_2),
    _: () => hands.zoomAt(Math.SQRT1_2),
    0: () => hands.home(),
    Enter: () => hands.probe(),
    c: () => hands.press(),
    Escape: () => root.blur(),
  };
  const press = (/** @type {KeyboardEvent} */ event) => {
    // The sliders, lists and buttons inside have keys of their own.
    if (event.target !== root && event.target !== area) return;
    const action = keys[event.key];
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    action(event);
  };
  root.addEventListener("keydown", press, {signal});
}
