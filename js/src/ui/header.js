// The top of the card: what is shown, on which scale, and the way home.

import {h, say} from "./dom.js";

/** @typedef {import("../protocol.js").Scene} Scene */
/**
 * @typedef {{
 *   scale(chosen: string): void, field(name: string): void, tolerance(share: number): void, home(): void, zoom(factor: number): void,
 *   step(kind: "back" | "forward"): void, bookmark(name: string): void
 * }} Choices
 */

/** Tolerances to choose from, beside one that was set otherwise. */
const SHARES = [0, 0.001, 0.003, 0.01, 0.03, 0.1];

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

  #tolerance = h("select", {
    "aria-label": "error",
    title: "What the map may be off by, as a share of the range in sight: fewer nodes are evaluated",
  });

  #back = button("‹", "plane before", "The plane before");
  #forward = button("›", "next plane", "The plane after");
  #names = h("datalist", {id: `la-${Math.random().toString(36).slice(2)}`});
  #bookmark = h("input", {
    type: "text",
    list: this.#names.id,
    placeholder: "bookmark",
    "aria-label": "bookmark",
    title: "A new name keeps this plane, a known one shows it again",
  });

  /** @param {Choices} choices @param {AbortSignal} signal */
  constructor(choices, signal) {
    const home = button("home", "home view", "The home view (0)");
    const out = button("\u2212", "zoom out", "Zoom out (\u2212)");
    const closer = button("+", "zoom in", "Zoom in (+)");
    const scaleBox = h("label", {class: "la-choice"}, h("span", {}, "scale"), this.#scale);
    const buttons = h(
      "div",
      {class: "la-buttons"},
      ...[this.#back, this.#forward, this.#bookmark, this.#names, home, out, closer],
    );
    const errorBox = h("label", {class: "la-choice"}, h("span", {}, "error"), this.#tolerance);
    this.element.append(this.#title, this.#fieldBox, scaleBox, errorBox, buttons);
    this.#tolerance.addEventListener("change", () => choices.tolerance(Number(this.#tolerance.value)), {signal});
    this.#scale.addEventListener("change", () => choices.scale(this.#scale.value), {signal});
    this.#field.addEventListener("change", () => choices.field(this.#field.value), {signal});
    home.addEventListener("click", () => choices.home(), {signal});
    this.#back.addEventListener("click", () => choices.step("back"), {signal});
    this.#forward.addEventListener("click", () => choices.step("forward"), {signal});
    const named = () => {
      const name = this.#bookmark.value.trim();
      this.#bookmark.value = "";
      if (name) choices.bookmark(name);
    };
    this.#bookmark.addEventListener("change", named, {signal});
    this.#bookmark.addEventListener("keydown", (event) => event.stopPropagation(), {signal});
    out.addEventListener("click", () => choices.zoom(0.5), {signal});
    closer.addEventListener("click", () => choices.zoom(2), {signal});
  }

  /**
   * The planes that were seen. @param {{back?: number, forward?: number}} around @param {string[]} bookmarks
   * @param {boolean} enabled
   */
  planes({back, forward}, bookmarks, enabled) {
    this.#back.disabled = !enabled || !back;
    this.#forward.disabled = !enabled || !forward;
    this.#bookmark.disabled = !enabled;
    if (bookmarks.join() !== [...this.#names.options].map((option) => option.value).join())
      this.#names.replaceChildren(...bookmarks.map((value) => h("option", {value})));
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
    say(this.#auto, `${scale} (auto)`);
    this.#scale.value = ["linear", "log"].includes(chosen) ? chosen : "auto";
    const shares = [...new Set([...SHARES, tolerance])].sort((a, b) => a - b);
    if (this.#tolerance.length !== shares.length)
      this.#tolerance.replaceChildren(
        ...shares.map((share) => h("option", {value: share}, share ? `≤ ${100 * share} %` : "exact")),
      );
    this.#tolerance.value = `${tolerance}`;
  }
}
