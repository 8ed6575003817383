// The top of the card: what is shown, on which scale, and the way home.

import {h, say} from "./dom.js";

/** @typedef {import("../protocol.js").Scene} Scene */
/** @typedef {{scale(chosen: string): void, field(name: string): void, home(): void, zoom(factor: number): void}} Choices */

/** @param {string} text @param {string} label @param {string} title */
const button = (text, label, title) => h("button", {type: "button", "aria-label": label, title}, text);

export class Header {
  element = h("header", {class: "la-head"});
  #title = h("span", {class: "la-title"});
  #field = h("select", {"aria-label": "field"});
  #fieldBox = h("label", {class: "la-choice"}, h("span", {}, "field"), this.#field);
  #auto = h("option", {value: "auto"}, "auto");
  #scale = h(
    "select",
    {"aria-label": "scale"},
    this.#auto,
    h("option", {value: "linear"}, "linear"),
    h("option", {value: "log"}, "log"),
  );

  /** @param {Choices} choices @param {AbortSignal} signal */
  constructor(choices, signal) {
    const home = button("home", "home view", "The home view (0)");
    const out = button("\u2212", "zoom out", "Zoom out (\u2212)");
    const closer = button("+", "zoom in", "Zoom in (+)");
    const scaleBox = h("label", {class: "la-choice"}, h("span", {}, "scale"), this.#scale);
    const buttons = h("div", {class: "la-buttons"}, home, out, closer);
    this.element.append(this.#title, this.#fieldBox, scaleBox, buttons);
    this.#scale.addEventListener("change", () => choices.scale(this.#scale.value), {signal});
    this.#field.addEventListener("change", () => choices.field(this.#field.value), {signal});
    home.addEventListener("click", () => choices.home(), {signal});
    out.addEventListener("click", () => choices.zoom(0.5), {signal});
    closer.addEventListener("click", () => choices.zoom(2), {signal});
  }

  /** @param {Scene | null} scene @param {string} field @param {string} chosen scale trait @param {string} scale in use */
  draw(scene, field, chosen, scale) {
    say(this.#title, scene?.title || "loss landscape");
    const fields = scene?.fields ?? [];
    this.#fieldBox.hidden = fields.length < 2;
    const names = fields.map(({name}) => name);
    if (names.join() !== [...this.#field.options].map((option) => option.value).join())
      this.#field.replaceChildren(...fields.map(({name, label}) => h("option", {value: name}, label ?? name)));
    this.#field.value = field;
    say(this.#auto, `${scale} (auto)`);
    this.#scale.value = ["linear", "log"].includes(chosen) ? chosen : "auto";
  }
}
