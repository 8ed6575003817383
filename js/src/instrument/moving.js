// Moving about the map: everything that is not needed for a first drag or zoom.

import {h} from "../ui/dom.js";
import {box} from "./box.js";
import {goTo} from "./goto.js";
import {history} from "./history.js";
import {help} from "./keys.js";
import {Mover} from "./mover.js";
import {scaleBar} from "./scalebar.js";
import {touch} from "./touch.js";

/** @param {import("../ui/host.js").Host} host @returns {import("../ui/host.js").Piece} */
export function moving(host) {
  const {root, area, map, signal} = host;
  const mover = new Mover(host);
  const views = history(host, mover);
  const rubber = box(host, mover);
  const place = goTo(host, mover);
  const keys = help(host);
  const bar = scaleBar(host);
  touch(host, mover, rubber.taken);
  // A hand stops what moves, whatever it does then.
  const grab = (/** @type {Event} */ {target}) => area.contains(/** @type {Node} */ (target)) && mover.stop(true);
  map.addEventListener("pointerdown", grab, {signal, capture: true});

  /** @type {Record<string, () => void>} */
  const actions = {g: place.show, "?": keys.show};
  /** @type {Record<string, () => void>} */
  const withAlt = {ArrowLeft: () => views.step(-1), ArrowRight: () => views.step(1)};
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (event.target !== root || event.ctrlKey || event.metaKey) return;
    const action = (event.altKey ? withAlt : actions)[event.key];
    if (action === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  };
  root.addEventListener("keydown", press, {signal});
  // What was opened last is closed first: before a point's pane, before the map is left.
  const giveUp = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape") return;
    const pop = [place.pop, keys.pop].find(({open}) => open);
    if (!pop && !rubber.cancel()) return;
    pop?.close();
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  root.addEventListener("keydown", giveUp, {signal, capture: true});

  const about = h(
    "p",
    {class: "la-live", id: `la-${Math.random().toString(36).slice(2)}`},
    "Arrows pan, plus and minus zoom, 0 is home. Enter reads the value in the middle, c measures there. Question mark lists all keys.",
  );
  root.append(about);
  root.setAttribute("aria-describedby", about.id);
  return {
    draw() {
      views.draw();
      bar();
    },
  };
}
