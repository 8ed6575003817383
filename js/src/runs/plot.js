// Learning curves: a panel for each quantity, one under the other along the same steps, runs over each other in their colours.

import {h, say, svg} from "../ui/dom.js";
import {domainOf, extent, scaleOf, thinned, ticksOf} from "./axis.js";
import {indexAt, nearest} from "./scrub.js";
import {number} from "./words.js";

/** @typedef {import("./store.js").Run} Run */
/** @typedef {import("./panels.js").Panel} Panel */
/** @typedef {{panel: Panel, top: number, base: number, y: (value: number) => number, log: boolean}} Placed */

const ROOM = {left: 46, right: 10, head: 22, gap: 14, foot: 20};
const FIRST = 124;
const FURTHER = 62;
/** With so few points each is seen as one. */
const FEW = 24;
/** About how wide a letter and a dot with its air are, CSS pixels. */
const LETTER = 6.6;
const DOT = 22;

/** The value of a quantity at a step: what was recorded last. @param {Run} run @param {string} name @param {number} step @returns {number | null} */
export function valueAt({curves}, name, step) {
  const values = curves?.series[name];
  if (!values || !curves || curves.steps.length === 0 || step < curves.steps[0]) return null;
  for (let i = indexAt(curves.steps, step); i >= 0; i--) if (!Number.isNaN(values[i])) return values[i];
  return null;
}

export class Plot {
  #lines = svg("g");
  #cursor = svg("g");
  element = svg("svg", {class: "la-curves", role: "img"}, this.#lines, this.#cursor);
  note = h("p", {class: "la-quiet"});
  /** @type {Placed[]} */
  #placed = [];
  /** @type {Run[]} */
  #runs = [];
  /** Of steps, in pixels and back. */
  #x = {left: ROOM.left, right: ROOM.left, lo: 0, hi: 1};

  /** @param {readonly Run[]} runs those that are shown @param {readonly Panel[]} panels @param {number} width CSS pixels */
  draw(runs, panels, width) {
    this.#runs = runs.filter(({curves}) => curves !== null);
    const [lo, hi] = extent(this.#runs.map(({curves}) => curves?.steps ?? [])) ?? [0, 1];
    const [left, right] = [ROOM.left, width - ROOM.right];
    this.#x = {left, right, lo, hi};
    const x = scaleOf({lo, hi, log: false}, left, right);
    this.#placed = [];
    /** @type {Element[]} */
    const parts = [];
    let top = 0;
    for (const panel of panels) {
      const high = this.#placed.length === 0 ? FIRST : FURTHER;
      const names = [panel.name, ...panel.dashed, ...(panel.limit ? [panel.limit] : [])];
      const lists = this.#runs.flatMap(({curves}) => names.map((name) => curves?.series[name] ?? []));
      const domain = domainOf(lists);
      const [from, base] = [top + ROOM.head, top + ROOM.head + high];
      if (!domain) continue;
      const y = scaleOf(domain, base, from);
      this.#placed.push({panel, top, base, y, log: domain.log});
      parts.push(
        svg(
          "text",
          {x: 6, y: top + 14, class: "la-curves-name"},
          panel.title,
          svg("tspan", {class: "la-curves-scale"}, domain.log ? " · log" : ""),
        ),
      );
      for (const {at, text} of ticksOf(domain, y, high > 80 ? 4 : 2.5))
        parts.push(
          svg("path", {d: `M${left} ${at.toFixed(1)}H${right}`, class: "la-curves-grid"}),
          svg("text", {x: left - 6, y: (at + 4).toFixed(1), "text-anchor": "end"}, text),
        );
      for (const run of this.#runs) parts.push(...this.#curves(run, panel, x, y));
      top = base + ROOM.gap;
    }
    const base = top - ROOM.gap;
    const last = this.#placed.at(-1);
    if (last)
      for (const {at, text} of ticksOf({lo, hi, log: false}, x, Math.max(2, (right - left) / 70)))
        parts.push(svg("text", {x: at.toFixed(1), y: base + 16, "text-anchor": "middle"}, text));
    const height = Math.max(base + ROOM.foot, 0);
    this.#lines.replaceChildren(...parts);
    this.element.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.element.setAttribute("height", `${height}`);
    const titles = this.#placed.map(({panel}) => panel.title).join(", ");
    this.element.setAttribute("aria-label", `${titles} by step, of ${this.#runs.map(({name}) => name).join(", ")}`);
    this.#explain();
  }

  /** @param {Run} run @param {Panel} panel @param {(step: number) => number} x @param {(value: number) => number} y */
  #curves({curves, colour, name}, panel, x, y) {
    if (!curves) return [];
    const xs = curves.steps.map(x);
    const line = (/** @type {string} */ series, /** @type {string} */ kind) => {
      const values = curves.series[series];
      if (!values) return [];
      const points = thinned(xs, values.map(y));
      if (points.length === 0) return [];
      const places = points.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`);
      const title = svg("title", {}, `${series} of ${name}`);
      const lonely = this.#runs.length === 1 && kind === "la-curves-limit";
      const path = svg(
        "path",
        {
          d: `M${places.join("L")}`,
          class: `la-curve ${kind}`,
          style: lonely ? "" : `stroke:${colour}`,
          "data-series": series,
        },
        title,
      );
      const few = points.length <= FEW && kind !== "la-curves-limit";
      return [
        path,
        ...(few
          ? points.map(([cx, cy]) => svg("circle", {cx: cx.toFixed(1), cy: cy.toFixed(1), r: 1.8, fill: colour}))
          : []),
      ];
    };
    return [
      ...(panel.limit ? line(panel.limit, "la-curves-limit") : []),
      ...panel.dashed.flatMap((series) => line(series, "la-curves-dashed")),
      ...line(panel.name, ""),
    ];
  }

  #explain() {
    const dashed = new Set(this.#placed.flatMap(({panel}) => panel.dashed));
    const limit = this.#placed.some(({panel}) => panel.limit);
    const words = [
      ...(dashed.size > 0 ? [`Dashed: ${[...dashed].map((name) => name.replaceAll("_", " ")).join(", ")}.`] : []),
      ...(limit ? ["Above the dotted line steps grow."] : []),
    ];
    this.note.hidden = words.length === 0;
    say(this.note, words.join(" "));
  }

  /** Where a step is, and what the quantities are there. @param {number | null} step */
  mark(step) {
    const first = this.#placed[0];
    const last = this.#placed.at(-1);
    const {left, right, lo, hi} = this.#x;
    if (step === null || !first || !last) return this.#cursor.replaceChildren();
    const x = scaleOf({lo, hi, log: false}, left, right);
    const at = Math.min(Math.max(x(step), left), right).toFixed(1);
    /** @type {Element[]} */
    const parts = [svg("path", {d: `M${at} ${first.top + ROOM.head}V${last.base}`, class: "la-curves-cursor"})];
    for (const {panel, top, y, log} of this.#placed) {
      /** @type {(Element | string)[]} */
      const said = [];
      let wide = LETTER * (panel.title.length + (log ? 6 : 0));
      for (const run of this.#runs) {
        const value = valueAt(run, panel.name, step);
        if (value === null || !run.curves) continue;
        const own = run.curves.steps[indexAt(run.curves.steps, step)];
        const cy = y(value);
        if (Number.isFinite(cy))
          parts.push(
            svg("circle", {
              cx: x(own).toFixed(1),
              cy: cy.toFixed(1),
              r: 3.5,
              class: "la-curves-dot",
              style: `fill:${run.colour}`,
            }),
          );
        said.push(svg("tspan", {style: `fill:${run.colour}`, dx: said.length ? 8 : 0}, "● "), number(value));
        wide += DOT + LETTER * number(value).length;
      }
      if (wide < right)
        parts.push(svg("text", {x: right, y: top + 14, "text-anchor": "end", class: "la-curves-name"}, ...said));
    }
    this.#cursor.replaceChildren(...parts);
    return undefined;
  }

  /** The step of some run that is nearest to a place in the picture. @param {number} px @returns {number | null} */
  stepAt(px) {
    const {left, right, lo, hi} = this.#x;
    const wanted = lo + ((Math.min(Math.max(px, left), right) - left) / (right - left || 1)) * (hi - lo);
    const steps = this.#runs.flatMap(({curves}) =>
      curves?.steps.length ? [curves.steps[nearest(curves.steps, wanted)]] : [],
    );
    return steps.length === 0
      ? null
      : steps.reduce((best, step) => (Math.abs(step - wanted) < Math.abs(best - wanted) ? step : best));
  }
}
