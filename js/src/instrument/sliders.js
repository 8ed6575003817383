// The sliders that move the plane. A slider's label is its name and its value at once.

import {h, say} from "../ui/dom.js";

/** @typedef {import("../protocol.js").Position} Position */
/** @typedef {import("../protocol.js").Scene} Scene */

/** @typedef {{name: "turn_u" | "turn_v" | "offset", from?: "u_from" | "v_from", to: "u_to" | "v_to" | "offset_along", turn: "u" | "v" | "offset", verb: string, min: number, max: number, step: number}} Kind */
/** @type {Kind[]} */
const KINDS = [
  {name: "turn_u", from: "u_from", to: "u_to", turn: "u", verb: "u", min: -180, max: 180, step: 1},
  {name: "turn_v", from: "v_from", to: "v_to", turn: "v", verb: "v", min: -180, max: 180, step: 1},
  {name: "offset", to: "offset_along", turn: "offset", verb: "offset along", min: -1, max: 1, step: 1 / 128},
];

/** @param {Kind} kind @param {number} value */
const shown = ({name}, value) => {
  const text = (name === "offset" ? value.toFixed(2) : `${Math.round(value)}°`).replace("-", "\u2212");
  return /^\u22120(\.00|°)$/.test(text) ? text.slice(1) : text;
};

class Sliders {
  #rows;

  /**
   * @param {HTMLElement} element gets a row for each
   * @param {{move(change: Partial<Position>): void, drag(dragging: boolean): void}} hands @param {AbortSignal} signal
   */
  constructor(element, hands, signal) {
    this.#rows = KINDS.map((kind) => {
      const verb = h("span", {class: "la-verb"}, kind.verb);
      const choices = [kind.from, kind.to].flatMap((name) => (name ? [choice(name)] : []));
      const value = h("span");
      const words = choices.length > 1 ? [choices[0], "→", choices[1]] : choices;
      const label = h("div", {class: "la-slider-label", title: "Double click: back to 0"}, verb, ...words, "· ", value);
      for (const select of choices)
        select.addEventListener("change", () => hands.move({[String(select.dataset.name)]: select.value}), {signal});
      const {min, max, step} = kind;
      const input = h("input", {type: "range", min, max, step, value: 0, "data-name": kind.name});
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
      element.append(row);
      return {kind, row, choices, value, input};
    });
  }

  /** @param {Scene | null} scene @param {Position} position @param {boolean} enabled */
  draw(scene, position, enabled) {
    const names = scene?.directions ?? [];
    for (const {kind, row, choices, value, input} of this.#rows) {
      const name = position[kind.to] || scene?.turns?.[kind.turn];
      row.hidden = !name;
      if (!name) continue;
      for (const select of choices) {
        const usual = select.dataset.name === kind.to ? name : names[kind.turn === "u" ? 0 : 1];
        const chosen = position[/** @type {"u_to"} */ (select.dataset.name)] || usual;
        const all = names.includes(chosen) ? names : [chosen, ...names];
        if (all.join() !== [...select.options].map((option) => option.value).join())
          select.replaceChildren(...all.map((each) => h("option", {value: each}, each)));
        select.value = chosen;
        select.disabled = !enabled;
      }
      input.setAttribute("aria-label", kind.from ? `turn ${kind.turn} towards ${name}` : `${kind.verb} ${name}`);
      input.disabled = !enabled;
      const now = position[kind.name];
      // While it is dragged the hand knows better than the model.
      if (input.valueAsNumber !== Number(now) && !input.matches(":active")) input.value = String(Number(now));
      say(value, shown(kind, input.valueAsNumber));
      input.setAttribute("aria-valuetext", shown(kind, input.valueAsNumber));
      paint(input, kind);
    }
  }
}

/** @param {import("../ui/host.js").Host} host @returns {import("../ui/host.js").Piece} */
export function sliders({session, sliders: place, signal}) {
  const rows = new Sliders(place, session, signal);
  const changed = () => rows.draw(session.scene, session.position, session.source.answers);
  changed();
  return {changed};
}

/** A direction to turn from or towards. @param {string} name of its trait */
const choice = (name) => h("select", {"data-name": name, "aria-label": name.replace("_", " ")});

/** @param {string} key */
const isStep = (key) => /^(Arrow|Page|Home|End)/.test(key);

/** The track is filled from zero to the thumb. @param {HTMLInputElement} input @param {Kind} kind */
function paint(input, {min, max}) {
  const share = (input.valueAsNumber - min) / (max - min);
  input.style.setProperty("--la-from", `${(100 * Math.min(share, 0.5)).toFixed(2)}%`);
  input.style.setProperty("--la-to", `${(100 * Math.max(share, 0.5)).toFixed(2)}%`);
}
