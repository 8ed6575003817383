// A small sheet over the map: it takes the focus, and gives it back.

import {h} from "../ui/dom.js";

export class Pop {
  #root;

  /** @param {import("../ui/host.js").Host} host @param {string} label @param {(Node | string)[]} children */
  constructor({root, map, signal}, label, ...children) {
    this.#root = root;
    this.element = h(
      "div",
      {class: "la-pop", role: "dialog", "aria-label": label, tabindex: -1, hidden: true},
      ...children,
    );
    map.append(this.element);
    const leave = (/** @type {FocusEvent} */ {relatedTarget}) => {
      // Focus that goes to another window comes back.
      if (document.hasFocus() && !this.element.contains(/** @type {Node | null} */ (relatedTarget)))
        this.element.hidden = true;
    };
    this.element.addEventListener("focusout", leave, {signal});
    // The notebook's own shortcuts, and the map's, are not meant.
    this.element.addEventListener("keydown", (event) => event.stopPropagation(), {signal});
  }

  get open() {
    return !this.element.hidden;
  }

  /** @param {HTMLElement} [first] gets the focus */
  show(first = this.element) {
    this.element.hidden = false;
    first.focus({preventScroll: true});
    if (first instanceof HTMLInputElement) first.select();
  }

  close() {
    const had = this.element.contains(document.activeElement);
    this.element.hidden = true;
    if (had) this.#root.focus({preventScroll: true});
  }
}
