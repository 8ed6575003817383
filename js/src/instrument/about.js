// What the axes mean, in words: at once what the page knows, then the caption that the kernel makes, to be copied.

import {h, say} from "../ui/dom.js";

/** @typedef {import("../protocol.js").Scene} Scene */

/** What is known without a kernel. @param {Scene | null} scene */
const briefly = (scene) =>
  [...(scene?.axes.map(({about, name}) => about || name) ?? []), ...(scene?.notes ?? [])].join("\n");

class About {
  #text = h("p");
  #wait = h("span", {class: "la-about-wait", role: "status"});
  #copy = h("button", {type: "button"}, "copy");
  #close = h("button", {type: "button"}, "close");
  element = h(
    "dialog",
    {class: "la-about", "aria-label": "What the axes mean"},
    h("b", {}, "What the axes mean"),
    this.#text,
    h("div", {}, this.#wait, this.#copy, this.#close),
  );

  /**
   * @param {{scene(): Scene | null, caption(): Promise<{text: string} | null>}} source @param {AbortSignal} signal
   */
  constructor(source, signal) {
    this.source = source;
    this.#copy.addEventListener("click", () => this.#take(), {signal});
    this.#close.addEventListener("click", () => this.element.close(), {signal});
    this.element.addEventListener("click", ({target}) => target === this.element && this.element.close(), {signal});
  }

  async open() {
    const scene = this.source.scene();
    say(this.#text, briefly(scene));
    say(this.#wait, "the gradient is taken …");
    this.element.showModal();
    const answer = await this.source.caption();
    if (this.source.scene()?.hash !== scene?.hash) return this.element.close(); // of a plane that has gone
    if (answer) say(this.#text, answer.text);
    say(this.#wait, answer ? "" : "The kernel did not answer: this is what the page knows.");
  }

  async #take() {
    try {
      await navigator.clipboard.writeText(this.#text.textContent ?? "");
      say(this.#wait, "copied");
    } catch {
      // A page without the right to write there: the text is marked, a key copies it.
      getSelection()?.selectAllChildren(this.#text);
      say(this.#wait, "marked: Ctrl+C copies it");
    }
  }
}

/** Pressed, the recipe says what the axes mean. @param {import("../ui/host.js").Host} host @returns {import("../ui/host.js").Piece} */
export function about({root, session, status, signal}) {
  const box = new About({scene: () => session.scene, caption: () => session.source.caption()}, signal);
  root.append(box.element);
  status.recipe.addEventListener("click", () => box.open(), {signal});
  return {};
}
