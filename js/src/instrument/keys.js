// What the keys do beyond the map's own, and a list of all of them.

import {h} from "../ui/dom.js";
import {Pop} from "./pop.js";

/** @type {[keys: string, what: string][]} */
export const KEYS = [
  ["drag · ← → ↑ ↓", "pan, with Shift by a cell"],
  ["wheel · + − · double click", "zoom"],
  ["Shift drag", "zoom to a box"],
  ["0", "home"],
  ["Alt ← →", "view before, next view"],
  ["g", "go to a, b"],
  ["n", "note at the pointer"],
  ["r", "training runs and balls"],
  ["d", "drop a ball at the pointer"],
  ["Enter", "read the value in the middle"],
  ["click · c", "measure the point, in the middle"],
  ["Esc", "close, leave the map"],
  ["?", "this list"],
];

/** @param {import("../ui/host.js").Host} host */
export function help(host) {
  const list = h("dl", {}, ...KEYS.flatMap(([keys, what]) => [h("dt", {}, keys), h("dd", {}, what)]));
  const pop = new Pop(host, "Keys", h("b", {}, "Keys"), list);
  pop.element.classList.add("la-keys");
  return {pop, show: () => pop.show()};
}
