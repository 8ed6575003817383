// The card "Drop a ball": which optimizer, and those that roll.

import {h, say, significant} from "../ui/dom.js";
import {ENDS, limitOf, rateAt, shareOf} from "./rate.js";
import {Chart} from "./sweep.js";
import {words} from "./words.js";

/**
 * @typedef {import("./words.js").Ball} Ball
 * @typedef {{
 *   optimizer: string, lr: number, steps: number, batch_size: number | null, schedule: string | null, confined: boolean, seed: number
 * }} Choice
 * @typedef {"ball" | "sweep"} Kind  what a click starts
 * @typedef {{arm(kind: Kind): void, stop(ball: Ball): void, stopSweep(): void}} Hands
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
  ["adagrad", "Adagrad"],
  ["adadelta", "Adadelta"],
  ["adamax", "Adamax"],
  ["asgd", "ASGD"],
  ["lbfgs", "LBFGS"],
  ["nadam", "NAdam"],
  ["radam", "RAdam"],
  ["rprop", "Rprop"],
];

/** How the rate goes over the steps. @type {[value: string, text: string][]} */
const SCHEDULES = [
  ["", "constant rate"],
  ["cosine", "cosine to 0"],
  ["linear", "linear to 0"],
];

const MOST_STEPS = 10_000;
const SWEEP = "Roll it at many rates from a point of the map";

/** Steps as the slider of the rate goes, in powers of ten. */
const FINE = 0.05;

const quiet = {"data-lm-suppress-shortcuts": "true"};

/** @param {string} name @param {[value: string, text: string][]} choices */
const select = (name, choices) =>
  h("select", {"aria-label": name, ...quiet}, ...choices.map(([value, text]) => h("option", {value}, text)));

export class Card {
  #optimizer = select("optimizer", OPTIMIZERS);
  #schedule = select("schedule", SCHEDULES);
  #batch = h("input", {type: "number", min: 1, step: 1, placeholder: "all data", "aria-label": "batch size", ...quiet});
  #seed = h("input", {type: "number", min: 0, step: 1, value: 0, "aria-label": "seed of the batches", ...quiet});
  #seeded = h("label", {}, "seed ", this.#seed);
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
  #sweep = h("button", {type: "button", title: SWEEP, ...quiet}, "sweep rates");
  #chart = new Chart();
  #rolling = false;
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
      h("header", {}, h("b", {}, "Drop a ball"), this.#sweep, this.#drop),
      h("div", {class: "la-ball-row"}, this.#optimizer, h("label", {}, this.#steps, " steps")),
      h(
        "div",
        {class: "la-ball-row la-rate-row"},
        h("span", {}, "rate"),
        h("span", {class: "la-rates"}, this.#chart.dots, h("span", {class: "la-rate"}, this.#slide, this.#mark)),
        this.#rate,
      ),
      this.#limit,
      this.#chart.words,
      h("div", {class: "la-ball-row"}, this.#schedule, h("label", {}, "batch ", this.#batch)),
      h("div", {class: "la-ball-row"}, h("label", {}, this.#confined, " in the plane only"), this.#seeded),
      this.#note,
      this.#list,
    );
    this.#drop.addEventListener("click", () => hands.arm("ball"), {signal});
    this.#sweep.addEventListener("click", () => (this.#rolling ? hands.stopSweep() : hands.arm("sweep")), {signal});
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
    for (const part of [this.#optimizer, this.#schedule, this.#batch, this.#confined])
      part.addEventListener("change", () => this.#place(), {signal});
    typed();
  }

  /** What is chosen; what was typed and cannot be is put right. @returns {Choice} */
  get choice() {
    const steps = Math.round(Math.min(Math.max(this.#steps.valueAsNumber || 200, 1), MOST_STEPS));
    const typed = this.#rate.valueAsNumber;
    const lr = typed > 0 && Number.isFinite(typed) ? typed : rateAt(this.#slide.valueAsNumber);
    this.#steps.value = `${steps}`;
    this.#rate.value = `${lr}`;
    const batch = Math.round(this.#batch.valueAsNumber);
    const seed = Math.round(this.#seed.valueAsNumber);
    this.#batch.value = batch >= 1 ? `${batch}` : "";
    this.#seed.value = `${seed >= 0 ? seed : 0}`;
    return {
      optimizer: this.#optimizer.value,
      lr,
      steps,
      batch_size: batch >= 1 ? batch : null,
      schedule: this.#schedule.disabled ? null : this.#schedule.value || null,
      confined: this.#confined.checked,
      seed: seed >= 0 ? seed : 0,
    };
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
    this.#chart.stand(this.#rate.valueAsNumber || rateAt(this.#slide.valueAsNumber));
    // It chooses its own steps.
    this.#schedule.disabled = this.#optimizer.value === "lbfgs";
    const batched = this.#batch.valueAsNumber >= 1;
    this.#seeded.hidden = !batched;
    // The noise of batches and a rate that falls have no line; in the plane λmax is another.
    const plain = !batched && !this.#confined.checked && (this.#schedule.disabled || !this.#schedule.value);
    const limit = plain ? limitOf(this.#optimizer.value, this.#known?.sharpness ?? null) : null;
    this.#mark.hidden = this.#limit.hidden = limit === null;
    if (!limit) return;
    const beyond = (this.#rate.valueAsNumber || 0) > limit.rate;
    this.#mark.style.setProperty("--la-share", `${shareOf(limit.rate)}`);
    this.#limit.classList.toggle("la-beyond", beyond);
    const text = `${limit.label} = ${significant(limit.rate, 2)} at ${this.#known?.at}`;
    this.#limit.title = "Of the quadratic at the point that was measured last";
    say(this.#limit, `${text}: ${beyond ? "steps grow from there" : "steps come back below it"}`);
  }

  /** The sweep is over: what has come of it stays. */
  stopped() {
    this.swept(this.#chart.swept, false, this.#chart.swept ? "" : "Stopped.");
  }

  /**
   * What is known of the last sweep; null: none.
   * @param {import("./sweep.js").Swept | null} swept @param {boolean} rolling @param {string} [said] in its place
   */
  swept(swept, rolling, said) {
    this.#rolling = rolling;
    say(this.#sweep, rolling ? "stop" : "sweep rates");
    this.#sweep.title = rolling ? "Stop the sweep: the rates that have ended stay" : SWEEP;
    this.#chart.draw(swept, said);
    this.#place();
  }

  /**
   * @param {readonly Ball[]} balls @param {Kind | null} armed @param {boolean} live whether the kernel answers
   * @param {(name: string) => string} colourOf
   */
  draw(balls, armed, live, colourOf) {
    for (const [part, kind] of /** @type {[HTMLButtonElement, Kind][]} */ ([
      [this.#drop, "ball"],
      [this.#sweep, "sweep"],
    ])) {
      part.disabled = !live;
      part.setAttribute("aria-pressed", String(armed === kind));
    }
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
