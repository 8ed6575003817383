// What the signs over the map mean: an entry for what is in sight, and no more. Where nothing that is shown needs one, there
// is no line; what comes and goes within it moves nothing.

import {h} from "../ui/dom.js";

/** @typedef {{kind: string, text: string, title: string, icon: Element}} Entry */

export class Legend {
  element = h("div", {class: "la-legend", role: "note", "aria-label": "legend", hidden: true});
  #shown = "";

  /** @param {Entry[]} entries @param {boolean} kept whether its line stays while it is empty */
  draw(entries, kept) {
    this.element.hidden = !kept && entries.length === 0;
    const now = JSON.stringify(entries.map(({kind, text, icon}) => [kind, text, icon.outerHTML]));
    if (now === this.#shown) return;
    this.#shown = now;
    this.element.replaceChildren(...entries.map(({text, title, icon}) => h("span", {title}, icon, h("i", {}, text))));
  }
}
