// The layers menu: a switch for each layer, the strength of the relief, the colour map, and what can be done beside.

import colormaps from "../colormaps.json" with {type: "json"};
import {lookupTable} from "../colour.js";
import {h, say} from "../ui/dom.js";

/** What is drawn over the colours: name, what it is called, what it shows. @type {[name: string, label: string, about: string][]} */
const LAYERS = [
  ["isolines", "isolines", "equal values"],
  ["relief", "relief", "light on the slopes"],
  ["arrows", "arrows", "down the gradient, in the slice"],
  ["profiles", "profiles", "along a and b at the cursor"],
  ["marks", "marks", "notes and named points"],
  ["paths", "paths", "training runs"],
  ["critical", "critical points", "minima, saddles, maxima"],
  ["doubt", "doubt", "interpolated, uncertain, noise floor"],
];

/** @param {readonly string[]} layers in the order of the menu */
export const summary = (layers) =>
  LAYERS.flatMap(([name, label]) => (layers.includes(name) ? [label.replace(" points", "")] : [])).join(", ") || "none";

/** A colour map from left to right. @param {string} name */
function strip(name) {
  const lut = lookupTable(name);
  const stops = Array.from({length: 9}, (_, i) => 3 * Math.round((255 * i) / 8));
  return `linear-gradient(to right, ${stops.map((at) => `rgb(${lut[at]} ${lut[at + 1]} ${lut[at + 2]})`).join()})`;
}

export class Menu {
  #summary = h("b");
  button = h(
    "button",
    {type: "button", class: "la-choice la-layers", "aria-expanded": "false", "aria-haspopup": "dialog"},
    h("span", {}, "layers"),
    " ",
    this.#summary,
  );
  #switches;
  #relief = h("input", {type: "range", min: 0, max: 1, step: 0.05, "aria-label": "strength of the relief"});
  #maps;
  element;

  /**
   * @param {import("../session.js").Session} session @param {Record<string, () => string>} lacks what each has nothing to show for
   * @param {{text: string, title: string, act(): void}[]} actions @param {AbortSignal} signal
   */
  constructor(session, lacks, actions, signal) {
    this.session = session;
    this.lacks = lacks;
    const {model} = session;
    this.#switches = LAYERS.map(([name, label, about]) => {
      const input = h("input", {type: "checkbox", role: "switch", "data-layer": name});
      const row = h("label", {}, input, h("span", {}, label), h("small", {}, about));
      const put = () => {
        const others = session.layers.filter((each) => each !== name);
        model.set(
          "layers",
          LAYERS.map(([each]) => each).filter((each) => (each === name ? input.checked : others.includes(each))),
        );
        session.save(0);
      };
      input.addEventListener("change", put, {signal});
      return {name, input, row};
    });
    const light = () => {
      model.set("relief", this.#relief.valueAsNumber);
      session.save(33);
    };
    this.#relief.addEventListener("input", light, {signal});
    const group = `la-${Math.random().toString(36).slice(2)}`;
    this.#maps = Object.keys(colormaps).map((name) => {
      const input = h("input", {type: "radio", name: group, value: name});
      const put = () => {
        model.set("colormap", name);
        session.save(0);
      };
      input.addEventListener("change", put, {signal});
      const row = h(
        "label",
        {class: "la-colours"},
        input,
        h("i", {style: `background:${strip(name)}`}),
        h("span", {}, name),
      );
      return {name, input, row};
    });
    const buttons = actions.map(({text, title, act}) => {
      const button = h("button", {type: "button", title}, text);
      const press = () => {
        this.element.hidePopover();
        act();
      };
      button.addEventListener("click", press, {signal});
      return button;
    });
    const rows = this.#switches.map(({row}) => row);
    this.element = h(
      "div",
      {class: "la-shelf", role: "dialog", "aria-label": "layers", popover: "auto"},
      ...rows.slice(0, 2),
      this.#relief,
      ...rows.slice(2),
      h("div", {class: "la-maps", role: "radiogroup", "aria-label": "colour map"}, ...this.#maps.map(({row}) => row)),
      h("div", {class: "la-actions"}, ...buttons),
    );
    this.#wire(signal);
  }

  /** @param {AbortSignal} signal */
  #wire(signal) {
    const {button, element} = this;
    button.popoverTargetElement = element;
    // On opening, the first switch has the keyboard.
    this.#switches[0].input.autofocus = true;
    const place = () => {
      const box = button.getBoundingClientRect();
      const left = Math.min(box.left, innerWidth - element.offsetWidth - 8);
      const below = Math.min(box.bottom + 6, innerHeight - element.offsetHeight - 8);
      Object.assign(element.style, {left: `${Math.max(left, 8)}px`, top: `${Math.max(below, 8)}px`});
    };
    const opens = (/** @type {Event} */ event) => {
      const open = /** @type {ToggleEvent} */ (event).newState === "open";
      button.setAttribute("aria-expanded", String(open));
      this.draw();
      if (open) place();
    };
    element.addEventListener("beforetoggle", opens, {signal});
    element.addEventListener("toggle", opens, {signal});
    addEventListener("scroll", () => element.matches(":popover-open") && place(), {
      signal,
      capture: true,
      passive: true,
    });
    const down = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      element.showPopover();
    };
    button.addEventListener("keydown", down, {signal});
    const move = (/** @type {KeyboardEvent} */ event) => {
      event.stopPropagation();
      const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
      if (event.key === "Enter" && event.target instanceof HTMLInputElement) event.target.click();
      if (event.key === "Home" || event.key === "End" || step) event.preventDefault();
      else return;
      const all = /** @type {HTMLElement[]} */ ([...element.querySelectorAll("input:enabled, button")]);
      const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
      const next = step ? at + step : event.key === "End" ? -1 : 0;
      all.at(next % all.length)?.focus();
    };
    element.addEventListener("keydown", move, {signal});
  }

  /** What is switched on, and what has nothing to show. */
  draw() {
    const {session} = this;
    const {layers, model} = session;
    say(this.#summary, summary(layers));
    for (const {name, input, row} of this.#switches) {
      input.checked = layers.includes(name);
      const why = this.lacks[name]?.() ?? "";
      row.title = why;
      row.classList.toggle("la-dim", why !== "");
    }
    this.#relief.disabled = !layers.includes("relief");
    if (!this.#relief.matches(":active")) this.#relief.value = String(model.get("relief") ?? 0);
    this.#relief.style.setProperty("--la-from", "0%");
    this.#relief.style.setProperty("--la-to", `${100 * this.#relief.valueAsNumber}%`);
    for (const {name, input} of this.#maps) input.checked = name === (model.get("colormap") ?? "viridis");
  }
}
