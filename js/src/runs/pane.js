// The pane of runs: which there are and where they stand, the slider of time, and their curves.

import {h, say} from "../ui/dom.js";
import {panelsOf, quantities, titleOf, usual} from "./panels.js";
import {Plot, valueAt} from "./plot.js";
import {Scatter} from "./scatter.js";
import {indexAt, played} from "./scrub.js";
import {number, offText, stepText, words} from "./words.js";

/**
 * @typedef {import("./store.js").Run} Run
 * @typedef {import("./store.js").Runs} Runs
 * @typedef {{
 *   close(): void, hash(): string | undefined, mapLoss(at: [number, number]): number | null, lut(): Uint8Array, say(text: string): void,
 *   follow(names: string[]): void, canFollow(): boolean, measure(names: string[], quantity: string): void, answers(): boolean
 * }} Page  follow: turn the plane to these runs; measure: have a quantity of their parameters told
 */

/** A quantity that comes within so many ms is the one that was asked for. */
const PATIENCE = 5000;

const HEADS = ["run", "loss", "map", "off plane"];

/** @param {string} text @param {string} title @param {Record<string, string>} [more] */
const button = (text, title, more) =>
  h("button", {type: "button", title, "data-lm-suppress-shortcuts": "true", ...more}, text);

/** @param {Run} run @param {number} step @param {(at: [number, number]) => number | null} mapLoss @returns {import("./words.js").Place} */
export function placeOf(run, step, mapLoss) {
  const {path, curves} = run;
  if (!path) return {step: curves ? curves.steps[indexAt(curves.steps, step)] : step, loss: valueAt(run, "loss", step)};
  const index = indexAt(path.steps, step);
  const loss = path.loss ? path.loss[index] : valueAt(run, "loss", path.steps[index]);
  return {step: path.steps[index], loss, map: mapLoss(path.points[index]), off: path.distance?.[index]};
}

export class Pane {
  #store;
  #page;
  #body = h("tbody");
  #play = button("▶", "Play the training (Space)", {class: "la-play", "aria-label": "play"});
  #time = h("input", {type: "range", min: 0, step: 1, "aria-label": "step", "data-lm-suppress-shortcuts": "true"});
  #now = h("output", {class: "la-now"});
  #plot = new Plot();
  #scatter = new Scatter();
  #chips = h("div", {class: "la-quantities", role: "group", "aria-label": "quantities shown"});
  #modes = ["curves", "scatter"].map((mode) =>
    button(mode, mode === "curves" ? "Over the steps" : "One quantity against another"),
  );
  #across = h("select", {"aria-label": "across", "data-lm-suppress-shortcuts": "true"});
  #up = h("select", {"aria-label": "up", "data-lm-suppress-shortcuts": "true"});
  #colours = h("p", {class: "la-quiet la-loss-colours"});
  #quantity = h("input", {
    ...{type: "text", placeholder: "norm:0.*, 0.weight[3, 5]", "aria-label": "another quantity of the parameters"},
    ...{title: "A norm of tensors or a parameter, then Enter", maxlength: 256, "data-lm-suppress-shortcuts": "true"},
  });
  #axes = h("div", {class: "la-scatter-axes"}, this.#up, " against ", this.#across, this.#quantity);
  #figure = h("div", {class: "la-runs-figure"}, this.#plot.element, this.#scatter.element);
  #nothing = h("p", {class: "la-quiet"}, "Nothing was recorded beside the path: explorer.runs holds learning curves.");
  #charts;
  #table;
  #steppers = [-1, 1].map((by) =>
    button(by < 0 ? "‹" : "›", by < 0 ? "A step back" : "A step on", {
      class: "la-step",
      "aria-label": by < 0 ? "step back" : "step on",
    }),
  );
  #clock = h("div", {class: "la-time"}, this.#play, this.#steppers[0], this.#time, this.#steppers[1], this.#now);
  #arrows = h(
    "p",
    {class: "la-quiet"},
    "Arrows: downhill in the plane. Thick: as far as one plain step goes at the rate of that step.",
  );
  #follow = button("turn to them", "Turn the plane to the principal components of the runs that are shown");
  /** What went wrong, beside what was asked for last: the plane, or a quantity. */
  #problems = [0, 1].map(() => h("p", {class: "la-quiet", role: "status", hidden: ""}));
  #asked = 0;
  /** Names that there were when a quantity was asked for, which takes an axis if it comes soon. @type {{names: string[], until: number} | null} */
  #before = null;
  #none = h("p", {class: "la-quiet"}, "None yet. explorer.add_run(recorder) draws one while it trains.");
  /** What is shown of the quantities; null until somebody has chosen. @type {string[] | null} */
  #chosen = null;
  #mode = "curves";
  #width = 0;
  /** The steps of the slider. @type {number[]} */
  #steps = [];
  /** @type {{since: number, start: number, frame: number} | null} */
  #playing = null;
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  /** What the curves were drawn of. @type {unknown[]} */
  #drawn = [];
  /** What is in the lists. */
  #listed = "";
  #rows = "";

  /** @param {Runs} store @param {Page} page @param {AbortSignal} signal */
  constructor(store, page, signal) {
    this.#store = store;
    this.#page = page;
    const close = button("×", "Close", {class: "la-plain la-close", "aria-label": "close the runs"});
    const head = h("tr", {}, ...HEADS.map((text) => h("th", {scope: "col"}, text)));
    this.#table = h("table", {class: "la-runs-table"}, h("thead", {}, head), this.#body);
    this.#charts = h(
      "div",
      {class: "la-card la-charts"},
      h(
        "header",
        {},
        h("b", {}, "Recorded"),
        h("div", {class: "la-modes", role: "group", "aria-label": "how"}, ...this.#modes),
      ),
      this.#chips,
      this.#axes,
      this.#problems[1],
      this.#figure,
      this.#plot.note,
      this.#colours,
      this.#nothing,
    );
    this.element = h(
      "section",
      {class: "la-runs", "aria-label": "Training runs"},
      h(
        "div",
        {class: "la-runs-in"},
        h(
          "div",
          {class: "la-card"},
          h("header", {}, h("b", {}, "Training runs"), this.#follow, close),
          this.#table,
          this.#clock,
          this.#problems[0],
          this.#none,
          this.#arrows,
        ),
        this.#charts,
      ),
    );
    close.addEventListener("click", () => page.close(), {signal});
    const turn = () => {
      this.#ask(0);
      page.follow(this.#shown());
    };
    this.#follow.addEventListener("click", turn, {signal});
    this.#listen(signal);
    const resized = new ResizeObserver(() => {
      const width = this.#figure.clientWidth;
      if (width === this.#width) return;
      this.#width = width;
      this.draw();
    });
    resized.observe(this.#figure);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      this.stop();
    });
  }

  /** @param {AbortSignal} signal */
  #listen(signal) {
    const [store, page] = [this.#store, this.#page];
    this.#play.addEventListener("click", () => (this.#playing ? this.stop() : this.play()), {signal});
    const move = () => {
      this.stop();
      const index = this.#time.valueAsNumber;
      store.scrub(index >= this.#steps.length - 1 ? null : this.#steps[index]);
    };
    this.#time.addEventListener("input", move, {signal});
    this.#steppers.forEach((stepper, i) => {
      const go = () => {
        this.stop();
        const {at} = store;
        const now = at === null ? this.#steps.length - 1 : indexAt(this.#steps, at);
        const next = now + (i === 0 ? -1 : 1);
        if (next >= 0) this.#stand(this.#steps[Math.min(next, this.#steps.length - 1)]);
      };
      stepper.addEventListener("click", go, {signal});
    });
    const keys = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        return this.#page.close();
      }
      if (event.key !== " " || event.target !== this.#time) return undefined;
      event.preventDefault();
      return this.#playing ? this.stop() : this.play();
    };
    this.element.addEventListener("keydown", keys, {signal});
    this.#modes.forEach((mode, i) => {
      const choose = () => {
        this.#mode = i === 0 ? "curves" : "scatter";
        this.#drawn = [];
        this.draw();
      };
      mode.addEventListener("click", choose, {signal});
    });
    for (const select of [this.#across, this.#up]) {
      const choose = () => {
        this.#drawn = [];
        this.draw();
      };
      select.addEventListener("change", choose, {signal});
    }
    const measure = (/** @type {KeyboardEvent} */ event) => {
      const wanted = this.#quantity.value.trim();
      if (event.key !== "Enter" || !wanted) return;
      this.#ask(1);
      this.#before = {names: JSON.parse(this.#listed || "[]"), until: performance.now() + PATIENCE};
      this.#quantity.value = "";
      page.measure(this.#shown(), wanted);
    };
    this.#quantity.addEventListener("keydown", measure, {signal});
    let held = false;
    const at = (/** @type {PointerEvent} */ event) => {
      const box = this.#figure.getBoundingClientRect();
      return /** @type {[number, number]} */ ([event.clientX - box.left, event.clientY - box.top]);
    };
    const point = (/** @type {PointerEvent} */ event) => {
      const [x, y] = at(event);
      if (this.#mode === "scatter") {
        const dot = this.#scatter.dotAt(x, y);
        return store.point(dot && {step: dot.step, name: dot.run.name});
      }
      const step = this.#plot.stepAt(x);
      store.point(step === null ? null : {step, name: null});
      if (held && step !== null) this.#stand(step);
      return undefined;
    };
    const press = (/** @type {PointerEvent} */ event) => {
      if (event.button !== 0) return;
      this.stop();
      const [x, y] = at(event);
      const step = this.#mode === "scatter" ? this.#scatter.dotAt(x, y)?.step : this.#plot.stepAt(x);
      if (step === undefined || step === null) return;
      held = this.#mode === "curves";
      if (held) this.#figure.setPointerCapture(event.pointerId);
      this.#stand(step);
    };
    this.#figure.addEventListener("pointermove", point, {signal});
    this.#figure.addEventListener("pointerdown", press, {signal});
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"])
      this.#figure.addEventListener(kind, () => (held = false), {signal});
    this.#figure.addEventListener("pointerleave", () => !held && store.point(null), {signal});
  }

  /** Names of the runs that are shown. */
  #shown() {
    const {runs} = this.#store.in(this.#page.hash());
    return runs.filter((run) => run.shown).map(({name}) => name);
  }

  /** Something is asked for: of what went wrong before nothing is said any more. @param {0 | 1} which */
  #ask(which) {
    for (const old of this.#problems) old.hidden = true;
    this.#asked = which;
  }

  /** What went wrong with what was asked for last. @param {string} text */
  problem(text) {
    this.#before = null;
    const said = this.#problems[this.#asked];
    said.hidden = false;
    say(said, text);
  }

  /** @param {number} step */
  #stand(step) {
    const last = this.#steps.at(-1);
    this.#store.scrub(last === undefined || step >= last ? null : step);
  }

  /** From where it stands to the end; from the end, all of it. */
  play() {
    const count = this.#steps.length;
    if (count < 2) return;
    const {at} = this.#store;
    const start = at === null ? 0 : indexAt(this.#steps, at);
    const since = performance.now();
    const run = () => {
      if (!this.#playing) return;
      const index = played(start, this.#steps.length, performance.now() - since, this.#still.matches);
      if (index >= this.#steps.length - 1) {
        this.#store.scrub(null);
        return this.stop();
      }
      this.#store.scrub(this.#steps[index]);
      this.#playing.frame = requestAnimationFrame(run);
    };
    this.#playing = {since, start, frame: requestAnimationFrame(run)};
    this.#drawPlay();
  }

  stop() {
    if (!this.#playing) return;
    cancelAnimationFrame(this.#playing.frame);
    this.#playing = null;
    this.#drawPlay();
  }

  #drawPlay() {
    const playing = this.#playing !== null;
    say(this.#play, playing ? "❚❚" : "▶");
    this.#play.setAttribute("aria-label", playing ? "pause" : "play");
    this.#play.title = playing ? "Pause (Space)" : "Play the training (Space)";
  }

  /** After each change of what is known, shown or looked at. */
  draw() {
    if (this.element.hidden) return;
    const store = this.#store;
    const {runs} = store.in(this.#page.hash());
    this.#none.hidden = runs.length > 0;
    for (const part of [this.#table, this.#clock, this.#charts]) part.hidden = runs.length === 0;
    this.#follow.hidden = !this.#page.canFollow() || !runs.some((run) => run.shown);
    this.#steps = store.stepsIn(this.#page.hash());
    const last = this.#steps.at(-1) ?? 0;
    const step = store.pointed?.step ?? store.at ?? last;
    this.#drawRuns(runs, step);
    this.#drawTime(runs, store.at ?? last);
    this.#arrows.hidden = store.at === null || !runs.some(({shown, path}) => shown && path?.arrows);
    const shown = runs.filter((run) => run.shown);
    this.#drawCharts(runs, shown);
    const marked = store.pointed || store.at !== null ? step : null;
    if (this.#mode === "curves") this.#plot.mark(marked);
    else this.#scatter.mark(marked, store.pointed?.name ?? null);
  }

  /** @param {readonly Run[]} runs @param {number} step */
  #drawRuns(runs, step) {
    const key = JSON.stringify(runs.map(({name, colour}) => [name, colour]));
    if (key !== this.#rows) {
      this.#rows = key;
      this.#body.replaceChildren(...runs.map((run) => this.#row(run)));
    }
    runs.forEach((run, i) => {
      const row = this.#body.rows[i];
      const place = placeOf(run, step, this.#page.mapLoss);
      row.firstElementChild?.firstElementChild?.setAttribute("aria-pressed", String(run.shown));
      row.classList.toggle("la-off", !run.shown);
      row.title = `${run.name} · ${words(place)}`;
      const off =
        place.off === undefined || place.off === null ? "–" : offText(place.off).replace(" off the plane", "");
      const [, , small] = row.querySelector("button")?.children ?? [];
      say(small, place.step === step ? "" : `step ${stepText(place.step)}`);
      const texts = [number(place.loss), number(place.map), off];
      for (const [at, text] of texts.entries()) say(row.cells[at + 1], text);
    });
  }

  /** @param {Run} run */
  #row({name, colour}) {
    const toggle = button("", "Show or hide this run", {class: "la-run"});
    toggle.append(h("i", {style: `background:${colour}`}), h("span", {}, name), h("small"));
    toggle.addEventListener("click", () => {
      const hidden = this.#store.hidden.has(name);
      this.#store.show(name, hidden);
      this.#page.say(`${name} ${hidden ? "is shown" : "is hidden"}`);
    });
    return h("tr", {"data-run": name}, h("th", {scope: "row"}, toggle), ...HEADS.slice(1).map(() => h("td")));
  }

  /** @param {readonly Run[]} runs @param {number} step */
  #drawTime(runs, step) {
    const count = this.#steps.length;
    for (const part of [this.#play, this.#time, ...this.#steppers]) part.disabled = count < 2;
    this.#time.max = `${Math.max(count - 1, 1)}`;
    const index = count === 0 ? 0 : indexAt(this.#steps, step);
    if (this.#time.valueAsNumber !== index) this.#time.value = `${index}`;
    this.#time.style.setProperty("--la-from", "0%");
    this.#time.style.setProperty("--la-to", `${(100 * index) / Math.max(count - 1, 1)}%`);
    say(this.#now, count === 0 ? "" : `step ${stepText(step)}`);
    const first = runs.find((run) => run.shown);
    const text = first ? words(placeOf(first, step, this.#page.mapLoss)) : "";
    if (this.#time.ariaValueText !== text) this.#time.ariaValueText = text;
  }

  /** @param {readonly Run[]} runs @param {readonly Run[]} shown */
  #drawCharts(runs, shown) {
    const names = quantities(runs);
    const panels = panelsOf(names);
    this.#list(names, panels);
    const curves = this.#mode === "curves";
    const some = names.length > 0;
    for (const part of [this.#figure, ...this.#modes]) part.hidden = !some;
    this.#nothing.hidden = some;
    this.#chips.hidden = !curves || panels.length < 2;
    this.#axes.hidden = curves || !some;
    this.#quantity.hidden = !this.#page.answers();
    this.#colours.hidden = curves;
    this.#plot.element.toggleAttribute("hidden", !curves);
    this.#scatter.element.toggleAttribute("hidden", curves);
    if (!curves) this.#plot.note.hidden = true;
    for (const [i, mode] of this.#modes.entries()) mode.setAttribute("aria-pressed", String((i === 0) === curves));
    const now = [runs, this.#width, this.#mode, this.#chosen, this.#page.lut()];
    if (this.#width === 0 || now.every((each, i) => each === this.#drawn[i])) return;
    this.#drawn = now;
    const wanted = this.#chosen ?? usual(panels);
    for (const chip of this.#chips.children)
      chip.setAttribute("aria-pressed", String(wanted.includes(/** @type {HTMLElement} */ (chip).dataset.name ?? "")));
    if (curves) {
      const one = panels.filter(({name}) => wanted.includes(name));
      return this.#plot.draw(shown, one, this.#width);
    }
    this.#scatter.draw(shown, this.#across.value, this.#up.value, this.#width, this.#page.lut(), titleOf);
    this.#explainColours();
    return undefined;
  }

  #explainColours() {
    const {domain} = this.#scatter;
    if (!domain) return say(this.#colours, "No loss was recorded with them, so they have no colour of it.");
    const lut = this.#page.lut();
    const stops = Array.from({length: 9}, (_, i) => 3 * Math.round((255 * i) / 8));
    const strip = `linear-gradient(to right, ${stops.map((at) => `rgb(${lut[at]} ${lut[at + 1]} ${lut[at + 2]})`).join()})`;
    this.#colours.replaceChildren(
      `loss ${number(domain.lo)}`,
      h("i", {style: `background:${strip}`}),
      `${number(domain.hi)}${domain.log ? " · log scale" : ""}`,
    );
    return undefined;
  }

  /** What can be chosen. @param {readonly string[]} names @param {readonly import("./panels.js").Panel[]} panels */
  #list(names, panels) {
    const key = JSON.stringify(names);
    if (key === this.#listed) return;
    this.#listed = key;
    const chips = panels.map(({name, title}) => {
      const chip = button(title, `Show or hide ${title}`, {class: "la-chip-toggle", "data-name": name});
      chip.addEventListener("click", () => {
        const wanted = this.#chosen ?? usual(panels);
        this.#chosen = wanted.includes(name) ? wanted.filter((other) => other !== name) : [...wanted, name];
        this.draw();
      });
      return chip;
    });
    this.#chips.replaceChildren(...chips);
    const choices = ["step", ...names];
    const fill = (/** @type {HTMLSelectElement} */ select, /** @type {string[]} */ first) => {
      const kept = select.value;
      select.replaceChildren(...choices.map((value) => h("option", {value}, titleOf(value))));
      select.value = choices.includes(kept) ? kept : (first.find((name) => choices.includes(name)) ?? "step");
    };
    fill(this.#across, ["lr", names.find((name) => name !== "loss") ?? "step"]);
    fill(this.#up, ["sharpness", "grad_norm", "gradient norm", "loss"]);
    const fresh = names.find((name) => this.#before?.names.includes(name) === false);
    if (fresh && performance.now() < (this.#before?.until ?? 0)) this.#across.value = fresh;
    if (fresh) this.#before = null;
    this.#drawn = [];
  }
}
