// The card "Drop a ball": which optimizer, and those that roll.

import {h, say, significant} from "../ui/dom.js";
import {ENDS, limitOf, rateAt, shareOf} from "./rate.js";
import {words} from "./words.js";

/**
 * @typedef {import("./words.js").Ball} Ball
 * @typedef {{optimizer: string, lr: number, steps: number, confined: boolean}} Choice
 * @typedef {{arm(): void, stop(ball: Ball): void}} Hands
 * @typedef {{sharpness: number, at: string}} Known  of the point that was measured last
 */

/** @type {[value: string, text: string][]} */
const OPTIMIZERS = [
  ["sgd", "SGD"],
  ["momentum", "SGD, momentum 0.9"],
  ["nesterov", "SGD, Nesterov 0.9"],
  ["adam", "Adam"],
  ["adamw", "AdamW"],
  ["rmsprop", "RMSprop"],
];

const MOST_STEPS = 10_000;

/** Steps as the slider of the rate goes, in powers of ten. */
const FINE = 0.05;

const quiet = {"data-lm-suppress-shortcuts": "true"};

export class Card {
  #optimizer = h(
    "select",
    {"aria-label": "optimizer", ...quiet},
    ...OPTIMIZERS.map(([value, text]) => h("option", {value}, text)),
  );
  #steps = h("input", {type: "number", min: 1, max: MOST_STEPS, step: 1, value: 200, "aria-label": "steps", ...quiet});
  #slide = h("input", {
    ...{type: "range", min: ENDS[0], max: ENDS[1], step: FINE, value: -1},
    ...{"aria-label": "learning rate, powers of ten", ...quiet},
  });
  #rate = h("input", {type: "number", min: 0, step: "any", value: 0.1, "aria-label": "learning rate", ...quiet});
  #mark = h("i", {class: "la-rate-limit", "aria-hidden": "true"});
  #limit = h("p", {class: "la-quiet"});
  #confined = h("input", {type: "checkbox", "aria-label": "in the plane only", ...quiet});
  #drop = h("button", {type: "button", title: "Then click on the map (d drops at the pointer)", ...quiet}, "drop");
  #note = h("p", {class: "la-quiet la-ball-note", role: "status"});
  #list = h("ul", {class: "la-balls"});
  #hands;
  /** @type {Known | null} */
  #known = null;

  /** @param {Hands} hands @param {AbortSignal} signal */
  constructor(hands, signal) {
    this.#hands = hands;
    this.element = h(
      "div",
      {class: "la-card la-ball", role: "group", "aria-label": "Drop a ball"},
      h("header", {}, h("b", {}, "Drop a ball"), this.#drop),
      h("div", {class: "la-ball-row"}, this.#optimizer, h("label", {}, this.#steps, " steps")),
      h(
        "div",
        {class: "la-ball-row"},
        h("span", {}, "rate"),
        h("span", {class: "la-rate"}, this.#slide, this.#mark),
        this.#rate,
      ),
      this.#limit,
      h("label", {class: "la-ball-row"}, this.#confined, "in the plane only"),
      this.#note,
      this.#list,
    );
    this.#drop.addEventListener("click", () => hands.arm(), {signal});
    const slid = () => {
      this.#rate.value = `${rateAt(this.#slide.valueAsNumber)}`;
      this.#place();
    };
    const typed = () => {
      if (this.#rate.valueAsNumber > 0) this.#slide.value = `${Math.log10(this.#rate.valueAsNumber)}`;
      this.#place();
    };
    this.#slide.addEventListener("input", slid, {signal});
    this.#rate.addEventListener("input", typed, {signal});
    this.#optimizer.addEventListener("change", () => this.#place(), {signal});
    typed();
  }

  /** What is chosen; what was typed and cannot be is put right. @returns {Choice} */
  get choice() {
    const steps = Math.round(Math.min(Math.max(this.#steps.valueAsNumber || 200, 1), MOST_STEPS));
    const typed = this.#rate.valueAsNumber;
    const lr = typed > 0 && Number.isFinite(typed) ? typed : rateAt(this.#slide.valueAsNumber);
    this.#steps.value = `${steps}`;
    this.#rate.value = `${lr}`;
    return {optimizer: this.#optimizer.value, lr, steps, confined: this.#confined.checked};
  }

  /** A point was measured. @param {Known} known */
  measured(known) {
    this.#known = known;
    this.#place();
  }

  /** Where the rate stands, and where its limit. */
  #place() {
    const {style} = this.#slide;
    style.setProperty("--la-from", "0%");
    style.setProperty("--la-to", `${100 * shareOf(rateAt(this.#slide.valueAsNumber))}%`);
    const limit = limitOf(this.#optimizer.value, this.#known?.sharpness ?? null);
    this.#mark.hidden = this.#limit.hidden = limit === null;
    if (!limit) return;
    const beyond = (this.#rate.valueAsNumber || 0) > limit.rate;
    this.#mark.style.setProperty("--la-share", `${shareOf(limit.rate)}`);
    this.#limit.classList.toggle("la-beyond", beyond);
    const text = `${limit.label} = ${significant(limit.rate, 2)} at ${this.#known?.at}`;
    this.#limit.title = "Of the quadratic at the point that was measured last";
    say(this.#limit, `${text}: ${beyond ? "steps grow from there" : "steps come back below it"}`);
  }

  /**
   * @param {readonly Ball[]} balls @param {boolean} armed @param {boolean} live whether the kernel answers
   * @param {(name: string) => string} colourOf
   */
  draw(balls, armed, live, colourOf) {
    this.#drop.disabled = !live;
    this.#drop.setAttribute("aria-pressed", String(armed));
    const ask = "Click on the map where it is to start. Esc: not now.";
    say(this.#note, live ? (armed ? ask : "") : "A kernel is needed to roll a ball.");
    this.#note.hidden = live && !armed;
    for (const old of [...this.#list.children])
      if (!balls.some(({req}) => `${req}` === /** @type {HTMLElement} */ (old).dataset.req)) old.remove();
    for (const ball of balls) {
      const row = /** @type {HTMLElement} */ (
        this.#list.querySelector(`[data-req="${ball.req}"]`) ?? this.#list.appendChild(this.#row(ball))
      );
      const [swatch, name, text, stop] = /** @type {HTMLElement[]} */ ([...row.children]);
      // A method: an assignment to what is used nowhere else is left out of the bundle.
      swatch.style.setProperty("background", colourOf(ball.name));
      say(name, ball.name || "a ball");
      say(text, words(ball));
      row.title = `${ball.name} · ${words(ball)}`;
      row.classList.toggle("la-gone", ball.diverged || ball.error !== "");
      stop.hidden = ball.done;
    }
    this.#list.hidden = balls.length === 0;
  }

  /** @param {Ball} ball */
  #row(ball) {
    const stop = h("button", {type: "button", title: "Stop this ball: what it has stays", ...quiet}, "stop");
    stop.addEventListener("click", () => this.#hands.stop(ball));
    return h("li", {"data-req": ball.req}, h("i"), h("span"), h("small"), stop);
  }
}
