// The sliders that move the plane. A slider's label is its name and its value at once.

import {h, say} from "./dom.js";

/** @typedef {import("../protocol.js").Position} Position */
/** @typedef {import("../protocol.js").Scene} Scene */

/** @typedef {{name: keyof Position, turn: "u" | "v" | "offset", verb: string, min: number, max: number, step: number}} Kind */
/** @type {Kind[]} */
const KINDS = [
  {name: "turn_u", turn: "u", verb: "turn u towards", min: -180, max: 180, step: 1},
  {name: "turn_v", turn: "v", verb: "turn v towards", min: -180, max: 180, step: 1},
  {name: "offset", turn: "offset", verb: "offset along", min: -1, max: 1, step: 1 / 128},
];

/** @param {Kind} kind @param {number} value */
const shown = ({name}, value) => {
  const text = (name === "offset" ? value.toFixed(2) : `${Math.round(value)}°`).replace("-", "\u2212");
  return /^\u22120(\.00|°)$/.test(text) ? text.slice(1) : text;
};

export class Sliders {
  element = h("div", {class: "la-sliders"});
  #rows;

  /**
   * @param {{move(change: Partial<Position>): void, drag(dragging: boolean): void}} hands @param {AbortSignal} signal
   */
  constructor(hands, signal) {
    this.#rows = KINDS.map((kind) => {
      const verb = h("span", {class: "la-verb"}, kind.verb);
      const target = h("b");
      const value = h("span");
      const label = h(
        "label",
        {class: "la-slider-label", title: "Double click: back to 0"},
        verb,
        target,
        " · ",
        value,
      );
      const {min, max, step} = kind;
      const input = h("input", {type: "range", min, max, step, value: 0, "data-name": kind.name});
      // The label's own click would focus the slider and move nothing; its double click is ours.
      const row = h("div", {class: "la-slider"}, label, input);
      const moved = () => {
        paint(input, kind);
        say(value, shown(kind, input.valueAsNumber));
        hands.move({[kind.name]: input.valueAsNumber});
      };
      // A key press is a drag of one step: without the hold, each would ask for every pass of every plane on the way.
      let holding = false;
      const hold = (/** @type {boolean} */ now) => {
        if (now === holding) return;
        holding = now;
        hands.drag(now);
      };
      input.addEventListener("pointerdown", () => hold(true), {signal});
      input.addEventListener("keydown", (event) => isStep(event.key) && hold(true), {signal});
      input.addEventListener("input", moved, {signal});
      for (const end of ["change", "pointerup", "pointercancel", "keyup", "blur"])
        input.addEventListener(end, () => hold(false), {signal});
      label.addEventListener(
        "dblclick",
        (event) => {
          event.preventDefault();
          if (input.disabled) return;
          input.value = "0";
          moved();
          hands.drag(false);
        },
        {signal},
      );
      this.element.append(row);
      return {kind, row, target, value, input};
    });
  }

  /** @param {Scene | null} scene @param {Position} position @param {boolean} enabled */
  draw(scene, position, enabled) {
    this.element.hidden = !scene?.turns;
    for (const {kind, row, target, value, input} of this.#rows) {
      const name = scene?.turns?.[kind.turn];
      row.hidden = !name;
      if (!name) continue;
      say(target, name);
      input.setAttribute("aria-label", `${kind.verb} ${name}`);
      input.disabled = !enabled;
      const now = position[kind.name];
      // While it is dragged the hand knows better than the model.
      if (input.valueAsNumber !== now && !input.matches(":active")) input.value = String(now);
      say(value, shown(kind, input.valueAsNumber));
      input.setAttribute("aria-valuetext", shown(kind, input.valueAsNumber));
      paint(input, kind);
    }
  }
}

/** @param {string} key */
const isStep = (key) => /^(Arrow|Page|Home|End)/.test(key);

/** The track is filled from zero to the thumb. @param {HTMLInputElement} input @param {Kind} kind */
function paint(input, {min, max}) {
  const share = (input.valueAsNumber - min) / (max - min);
  input.style.setProperty("--la-from", `${(100 * Math.min(share, 0.5)).toFixed(2)}%`);
  input.style.setProperty("--la-to", `${(100 * Math.max(share, 0.5)).toFixed(2)}%`);
}
