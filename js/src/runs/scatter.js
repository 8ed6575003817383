// One recorded quantity against another, each point in the colour of its loss, each run as a thin line through its own.

import {svg} from "../ui/dom.js";
import {domainOf, scaleOf, ticksOf} from "./axis.js";
import {indexAt} from "./scrub.js";

/** @typedef {import("./store.js").Run} Run */
/** @typedef {{x: number, y: number, step: number, loss: number, run: Run}} Dot */

const ROOM = {left: 46, right: 10, top: 12, bottom: 36};
const HEIGHT = 250;
/** Points that are drawn at most. */
const MOST = 800;
/** How near a pointer has to be, CSS pixels. */
const REACH = 12;

/** A quantity of a run; the step is one too. @param {Run} run @param {string} name @returns {readonly number[]} */
const column = ({curves}, name) => (name === "step" ? curves?.steps : curves?.series[name]) ?? [];

/** Where both quantities are known: at most so many points, evenly taken. @param {readonly Run[]} runs @param {string} across @param {string} up @param {number} [most] @returns {Dot[]} */
export function dots(runs, across, up, most = MOST) {
  const all = runs.flatMap((run) => {
    const [xs, ys, losses] = [across, up, "loss"].map((name) => column(run, name));
    return xs.flatMap((x, i) =>
      Number.isFinite(x) && Number.isFinite(ys[i])
        ? [{x, y: ys[i], step: run.curves?.steps[i] ?? i, loss: losses[i] ?? Number.NaN, run}]
        : [],
    );
  });
  const every = Math.ceil(all.length / most);
  return all.filter((_, i) => i % every === 0);
}

export class Scatter {
  #points = svg("g");
  #cursor = svg("g");
  element = svg("svg", {class: "la-curves", role: "img"}, this.#points, this.#cursor);
  /** What the colours span: nothing where no loss is known. @type {import("./axis.js").Domain | null} */
  domain = null;
  /** @type {{dot: Dot, at: [number, number]}[]} */
  #placed = [];

  /**
   * @param {readonly Run[]} runs those that are shown @param {string} across @param {string} up @param {number} width CSS pixels
   * @param {Uint8Array} lut 256 colours @param {(name: string) => string} title
   */
  draw(runs, across, up, width, lut, title) {
    const all = dots(runs, across, up);
    const [xs, ys] = [domainOf([all.map(({x}) => x)]), domainOf([all.map(({y}) => y)])];
    this.domain = domainOf([all.map(({loss}) => loss)], 0);
    this.element.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.element.setAttribute("height", `${HEIGHT}`);
    this.element.setAttribute("aria-label", `${title(up)} against ${title(across)}, coloured by loss`);
    this.#placed = [];
    this.#cursor.replaceChildren();
    const [left, right, base] = [ROOM.left, width - ROOM.right, HEIGHT - ROOM.bottom];
    if (!xs || !ys)
      return this.#points.replaceChildren(svg("text", {x: left, y: 30}, "They were never recorded together."));
    const x = scaleOf(xs, left, right);
    const y = scaleOf(ys, base, ROOM.top);
    const tint = this.domain ? scaleOf(this.domain, 0, 255) : () => Number.NaN;
    /** @type {Element[]} */
    const parts = [];
    for (const {at, text} of ticksOf(ys, y, 5))
      parts.push(
        svg("path", {d: `M${left} ${at.toFixed(1)}H${right}`, class: "la-curves-grid"}),
        svg("text", {x: left - 6, y: (at + 4).toFixed(1), "text-anchor": "end"}, text),
      );
    for (const {at, text} of ticksOf(xs, x, Math.max(2, (right - left) / 70)))
      parts.push(svg("text", {x: at.toFixed(1), y: base + 16, "text-anchor": "middle"}, text));
    const scale = (/** @type {boolean} */ log) => (log ? " · log scale" : "");
    parts.push(
      svg(
        "text",
        {x: right, y: HEIGHT - 4, "text-anchor": "end", class: "la-curves-name"},
        `${title(across)}${scale(xs.log)}`,
      ),
    );
    for (const run of runs) {
      const own = all.filter((dot) => dot.run === run);
      const d = own.map((dot) => `${x(dot.x).toFixed(1)} ${y(dot.y).toFixed(1)}`).join("L");
      if (d) parts.push(svg("path", {d: `M${d}`, class: "la-curve la-thread", style: `stroke:${run.colour}`}));
    }
    for (const dot of all) {
      const at = /** @type {[number, number]} */ ([x(dot.x), y(dot.y)]);
      const entry = 3 * Math.round(Math.min(Math.max(tint(dot.loss), 0), 255));
      const fill = Number.isNaN(entry) ? "none" : `rgb(${lut[entry]} ${lut[entry + 1]} ${lut[entry + 2]})`;
      this.#placed.push({dot, at});
      parts.push(
        svg("circle", {
          cx: at[0].toFixed(1),
          cy: at[1].toFixed(1),
          r: 3.2,
          style: `fill:${fill};stroke:${dot.run.colour}`,
          class: "la-scatter-dot",
        }),
      );
    }
    this.#points.replaceChildren(...parts);
    return undefined;
  }

  /** @param {number | null} step @param {string | null} name of the run, or all */
  mark(step, name) {
    const runs = [...new Set(this.#placed.map(({dot}) => dot.run))];
    this.#cursor.replaceChildren(
      ...runs.flatMap((run) => {
        if (step === null || (name !== null && run.name !== name)) return [];
        const own = this.#placed.filter(({dot}) => dot.run === run);
        const one =
          own[
            indexAt(
              own.map(({dot}) => dot.step),
              step,
            )
          ];
        return one
          ? [svg("circle", {cx: one.at[0].toFixed(1), cy: one.at[1].toFixed(1), r: 6.5, class: "la-scatter-at"})]
          : [];
      }),
    );
  }

  /** The point under the pointer. @param {number} px @param {number} py @returns {Dot | null} */
  dotAt(px, py) {
    let best = REACH;
    /** @type {Dot | null} */
    let found = null;
    for (const {dot, at} of this.#placed) {
      const away = Math.hypot(at[0] - px, at[1] - py);
      if (away < best) [best, found] = [away, dot];
    }
    return found;
  }
}
