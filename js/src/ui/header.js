// The top of the card: what is shown, on which scale, and the way home.

import {kindOf, linthresh} from "../colour.js";
import {h, say} from "./dom.js";

/** @typedef {import("../protocol.js").Scene} Scene */
/**
 * @typedef {{
 *   scale(chosen: string): void, field(name: string): void, tolerance(share: number): void, home(): void, zoom(factor: number): void
 * }} Choices
 */

/** Tolerances to choose from, beside one that was set otherwise. */
const SHARES = [0, 0.001, 0.003, 0.01, 0.03, 0.1];

/**
 * The buttons at the right: what it shows, its name and, for whoever points at it, what it does. Those that a part serves wait
 * for it. @type {[name: string, text: string, label: string, title: string][]}
 */
const TOOLS = [
  ["home", "⌂", "home view", "The home view (0)"],
  ["back", "←", "view before", "The view before (Alt + ←)"],
  ["forward", "→", "next view", "The view after (Alt + →)"],
  ["out", "\u2212", "zoom out", "Zoom out (\u2212)"],
  ["in", "+", "zoom in", "Zoom in (+)"],
  ["box", "▣", "zoom to a box", "Zoom to a box that you draw (Shift + drag)"],
  ["surface", "3D", "3D surface", "The surface of this view, beside the map"],
  ["take", "⤓", "take it away", "Save the picture, copy the caption"],
];

export class Header {
  element = h("div", {class: "la-head"});
  #title = h("span", {class: "la-title"});
  #field = h("select", {"aria-label": "field"});
  #fieldBox = h("label", {class: "la-choice"}, h("span", {}, "field"), this.#field);
  #auto = h("option", {value: "auto"}, "auto");
  #scale = h(
    "select",
    {"aria-label": "scale"},
    this.#auto,
    ...["linear", "log", "symlog"].map((value) => h("option", {value}, value)),
  );

  #tolerance = h("select", {
    "aria-label": "error",
    title: "What the map may be off by, as a share of the range in sight: fewer nodes are evaluated",
  });

  /** @type {Record<string, HTMLButtonElement>} */
  tools = Object.fromEntries(
    TOOLS.map(([name, text, label, title]) => [name, h("button", {type: "button", "aria-label": label, title}, text)]),
  );
  /** Where a part puts further choices. */
  more = h("span", {class: "la-more"});

  /** @param {Choices} choices @param {AbortSignal} signal */
  constructor(choices, signal) {
    const {tools} = this;
    for (const [name] of TOOLS) tools[name].disabled = !["home", "in", "out"].includes(name);
    const scaleBox = h("label", {class: "la-choice"}, h("span", {}, "scale"), this.#scale);
    const buttons = h("div", {class: "la-buttons"}, ...Object.values(tools));
    const errorBox = h("label", {class: "la-choice"}, h("span", {}, "error"), this.#tolerance);
    this.element.append(this.#title, this.#fieldBox, scaleBox, errorBox, this.more, buttons);
    this.#tolerance.addEventListener("change", () => choices.tolerance(Number(this.#tolerance.value)), {signal});
    this.#scale.addEventListener("change", () => choices.scale(this.#scale.value), {signal});
    this.#field.addEventListener("change", () => choices.field(this.#field.value), {signal});
    tools.home.addEventListener("click", () => choices.home(), {signal});
    tools.out.addEventListener("click", () => choices.zoom(0.5), {signal});
    tools.in.addEventListener("click", () => choices.zoom(2), {signal});
  }

  /**
   * @param {Scene | null} scene @param {string} field @param {string} chosen scale trait @param {string} scale in use
   * @param {number} tolerance
   */
  draw(scene, field, chosen, scale, tolerance) {
    say(this.#title, scene?.title || "loss landscape");
    const fields = scene?.fields ?? [];
    this.#fieldBox.hidden = fields.length < 2;
    const names = fields.map(({name}) => name);
    if (names.join() !== [...this.#field.options].map((option) => option.value).join())
      this.#field.replaceChildren(...fields.map(({name, label}) => h("option", {value: name}, label ?? name)));
    this.#field.value = field;
    say(this.#auto, `${kindOf(scale)} (auto)`);
    this.#scale.value = chosen;
    const c = linthresh(scale);
    this.#scale.title = c ? `A symmetric logarithm, linear within ± ${c}` : "";
    const shares = [...new Set([...SHARES, tolerance])].sort((a, b) => a - b);
    if (this.#tolerance.length !== shares.length)
      this.#tolerance.replaceChildren(
        ...shares.map((share) => h("option", {value: share}, share ? `≤ ${100 * share} %` : "exact")),
      );
    this.#tolerance.value = `${tolerance}`;
  }
}
