// The surface of the view beside the map: a widget that the kernel makes, and this page shows as its host would.

import {undrawn} from "../colour.js";
import {h, say} from "../ui/dom.js";

/** So many ms a widget may take to come after the word of it: it brings a library along. */
const PATIENCE = 20_000;
const AGAIN = 250;

/**
 * A widget of the page, which may be on its way. @param {any} manager @param {string} id @param {number} [until] @returns {Promise<any>}
 */
async function modelOf(manager, id, until = performance.now() + PATIENCE) {
  try {
    return await manager.get_model(id);
  } catch (error) {
    // Hosts differ in how long they wait themselves.
    if (performance.now() > until) throw error;
    await new Promise((later) => setTimeout(later, AGAIN));
    return modelOf(manager, id, until);
  }
}

/**
 * Show a widget in an element, as hosts of widgets do: made, put into the page, and told so. @param {any} manager @param {string} id @param {HTMLElement} place
 * @returns {Promise<() => void>} takes it away
 */
export async function show(manager, id, place) {
  const view = await manager.create_view(await modelOf(manager, id));
  place.replaceChildren(view.el);
  // A view that is a Lumino widget waits to be told by it; others listen for the word itself.
  if (view.processLuminoMessage) view.processLuminoMessage({type: "after-attach"});
  else view.trigger?.("displayed");
  return () => view.remove();
}

/** The map has the room that this pane leaves it, and the view that fits there. */
const laidOut = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));

/** @param {import("../ui/host.js").Host} host @returns {import("../ui/host.js").Piece} */
export function surface({root, map, session, pane, header, signal}) {
  const button = header.tools.surface;
  const place = h("div", {class: "la-surface-place"});
  const said = h("p", {role: "status"});
  const redraw = h("button", {type: "button", class: "la-plain"}, "redraw");
  const close = h("button", {type: "button", class: "la-plain", "aria-label": "close the surface"}, "×");
  const box = h(
    "section",
    {class: "la-surface", "aria-label": "surface of the view", hidden: true},
    h("header", {}, h("b", {}, "Surface"), redraw, close),
    said,
    place,
  );
  map.after(box);
  // What a widget does with keys and wheels is its own.
  for (const kind of ["keydown", "wheel", "pointerdown"])
    box.addEventListener(kind, (event) => event.stopPropagation(), {signal});
  let remove = () => {};
  let asked = 0;

  const draw = async () => {
    const own = ++asked;
    await laidOut();
    if (own !== asked) return;
    const {viewport, subject} = pane;
    const manager = /** @type {any} */ (session.model).widget_manager;
    if (!viewport || !subject) return;
    const {scale} = subject;
    if (!manager?.create_view)
      return say(
        said,
        "This page shows no widgets inside of others. landscape.figure() in a cell draws the same surface.",
      );
    say(said, "the surface is made …");
    const {center, span, width, height} = viewport;
    const size = {width: Math.round(place.clientWidth), height: Math.round(place.clientHeight)};
    const view = {center, span, width: Math.round(width), height: Math.round(height)};
    const answer = await session.source.ask("surface", {
      view,
      field: session.fieldName,
      scale,
      size,
      theme: root.dataset.theme,
      domain: pane.domain?.map((value) => undrawn(value, scale)),
    });
    if (own !== asked) return;
    if (!answer) return say(said, session.error ?? "The kernel did not answer. Press redraw to ask again.");
    try {
      const gone = await show(manager, answer.model, place);
      if (own !== asked) return gone();
      remove();
      remove = gone;
      say(said, "");
    } catch (error) {
      say(said, `The surface cannot be shown here: ${error instanceof Error ? error.message : error}`);
    }
  };
  const toggle = () => {
    box.hidden = !box.hidden;
    root.classList.toggle("la-with-surface", !box.hidden);
    button.ariaPressed = String(!box.hidden);
    asked++;
    if (!box.hidden) draw();
    else {
      remove();
      remove = () => {};
      place.replaceChildren();
    }
  };
  for (const each of [button, close]) each.addEventListener("click", toggle, {signal});
  redraw.addEventListener("click", draw, {signal});
  signal.addEventListener("abort", () => remove());

  return {
    draw() {
      button.disabled = pane.onLine || !session.source.answers;
    },
  };
}
