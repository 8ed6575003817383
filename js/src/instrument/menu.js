// A menu that a button opens: arrows walk through it, Escape and a click elsewhere close it.

import {h, say} from "../ui/dom.js";

export class Menu {
  #button;
  #items;
  #said = h("div", {class: "la-take-said", role: "status"});

  /**
   * @param {HTMLElement} root @param {HTMLButtonElement} button @param {(HTMLElement | string)[]} children items are buttons and
   *   inputs @param {AbortSignal} signal
   */
  constructor(root, button, children, signal) {
    this.#button = button;
    const label = button.getAttribute("aria-label") ?? "";
    this.element = h(
      "div",
      {class: "la-take", role: "group", "aria-label": label, hidden: true},
      ...children,
      this.#said,
    );
    this.#items = /** @type {HTMLElement[]} */ ([...this.element.querySelectorAll("button, input")]);
    button.ariaHasPopup = "true";
    button.ariaExpanded = "false";
    root.append(this.element);
    button.addEventListener("click", () => (this.element.hidden ? this.#open() : this.close()), {signal});
    this.element.addEventListener("keydown", (event) => this.#key(event), {signal});
    const outside = (/** @type {Event} */ {target}) => {
      const within = [this.element, button].some((part) => part.contains(/** @type {Node} */ (target)));
      if (!within) this.close(false);
    };
    for (const kind of ["pointerdown", "focusin"]) document.addEventListener(kind, outside, {signal});
  }

  /** @param {string} text */
  say(text) {
    say(this.#said, text);
  }

  #open() {
    const root = /** @type {HTMLElement} */ (this.element.parentElement);
    const [card, button] = [root, this.#button].map((part) => part.getBoundingClientRect());
    Object.assign(this.element.style, {
      top: `${button.bottom - card.top + 6}px`,
      right: `${card.right - button.right}px`,
    });
    this.say("");
    this.#show(true);
    this.#items[0]?.focus();
  }

  /** @param {boolean} [back] the button gets the focus */
  close(back = true) {
    if (this.element.hidden) return;
    this.#show(false);
    if (back) this.#button.focus();
  }

  /** @param {boolean} shown */
  #show(shown) {
    this.element.hidden = !shown;
    this.#button.ariaExpanded = String(shown);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    // Neither the map's keys nor the notebook's.
    event.stopPropagation();
    const items = this.#items.filter((item) => !item.closest("[hidden]"));
    const at = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    /** @type {Record<string, number>} */
    const places = {ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: -1};
    if (event.key === "Escape") this.close();
    else if (event.key in places) items.at(places[event.key] % items.length)?.focus();
    else return;
    event.preventDefault();
  }
}
