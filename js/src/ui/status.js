// The last line of the card: is it live, how much is really computed, how fast, and which recipe it is.

import {linthresh} from "../colour.js";
import {counted, h, say, significant} from "./dom.js";

/** @typedef {import("../source/comm.js").State} State */
/** @typedef {import("../protocol.js").Status} Status */
/** @typedef {import("../protocol.js").Sample} Sample */

/**
 * What the line is like, and what to do about it. @param {State} state @param {number} pending @param {Status | null} status
 * @param {boolean} closed the kernel is there, but has closed this map
 */
export function stateWords(state, pending, status, closed) {
  switch (state) {
    case "waiting":
      return "waiting for the kernel";
    case "busy":
      return `kernel busy, ${counted(pending)} ${pending === 1 ? "tile" : "tiles"} waiting`;
    case "frozen":
      return closed ? "closed: re-run the cell to open it again" : "kernel gone, map frozen: re-run the cell";
    case "static":
      return "no kernel: run the cell to see more than this";
    default:
      if (status?.making) return `live, making ${status.making}`;
      if (status?.state === "paused") return "live, paused";
      return status?.state === "slowed" ? "live, slowed while a cell runs" : "live";
  }
}

/** How normalisation layers are measured, in two words. @type {Record<string, string>} */
const MODES = {eval: "eval mode", batch_stats: "batch statistics", reestimated: "re-estimated statistics"};

/**
 * What a preview rests on, and what it may be off by: two standard errors of the level that all its values share, and of its
 * shape. @param {Sample} sample
 */
export function previewWords({rests_on, level, shape}) {
  const within = (/** @type {number} */ error) => `± ${significant(2 * error, 2)}`;
  const errors = level + shape < 1 / 0 ? `level ${within(level)}, shape ${within(shape)}` : "error unknown";
  return `a preview on ${rests_on}, ${errors}`;
}

/**
 * An error of what is drawn, in the field's own terms: of a symmetric logarithm a share of the value and what is left near 0,
 * for |sinh(w ± ε) − sinh w| ≤ (e^ε − 1) |sinh w| + sinh ε. @param {number} error @param {string} scale
 */
export function withinWords(error, scale) {
  if (scale === "linear") return significant(error, 2);
  const share = `${significant(100 * Math.expm1(error), 2)} %`;
  const c = linthresh(scale);
  return c ? `${share} and ${significant(2 * c * Math.sinh(error), 2)}` : share;
}

/**
 * How well what lies between the nodes is known. @param {{finished: boolean, error: number, scale: string}} facts finished: it gets no
 * better, since it is as good as was asked for, or saved; error: stated, on the scale, not finite where it is unknown
 */
export function restWords({finished, error, scale}) {
  if (!finished) return "interpolated";
  return error < 1 / 0 ? `within ± ${withinWords(error, scale)}` : "interpolated, error unknown";
}

export class StatusLine {
  #dot = h("span", {class: "la-dot"});
  #state = h("span", {class: "la-state", role: "status"});
  #rate = h("span");
  #queue = h("span");
  #bad = h("span", {class: "la-bad"}, h("i", {class: "la-hatch"}), h("span"));
  /** How much is computed: pressed, the map shows where. */
  nodes = h("button", {type: "button", class: "la-plain", "aria-pressed": "false"});
  /** What is measured, by mode and recipe: pressed, it says what the axes mean. */
  recipe = h("button", {type: "button", class: "la-plain la-recipe"});
  element = h(
    "div",
    {class: "la-foot"},
    h("span", {class: "la-line"}, this.#dot, this.#state),
    this.nodes,
    this.#bad,
    this.#rate,
    this.#queue,
    this.recipe,
  );

  /**
   * @param {{state: State, pending: number, status: Status | null, evaluated: number, total: number, bad: number,
   *   hash: string | null, mode: string, notes: readonly string[], closed: boolean, noise: boolean, error: number,
   *   finished: boolean, scale: string, dtype: string, sample: Sample | null, unlogged: boolean, bound?: number}} facts evaluated, total: nodes of the view; bad: not finite; unlogged: some that have no logarithm; bound: what saved values were rounded by; error: stated,
   *   on the scale, of the worst tile; noise: rounding alone is left to resolve; finished: as good as was asked for; sample: what a preview rests on
   */
  draw({
    state,
    pending,
    status,
    evaluated,
    total,
    bad,
    hash,
    mode,
    notes,
    closed,
    noise,
    error,
    finished,
    scale,
    dtype,
    sample,
    unlogged,
    bound,
  }) {
    const saved = bound !== undefined && state === "static";
    say(this.#state, saved ? `saved, values ± ${significant(bound, 2)}` : stateWords(state, pending, status, closed));
    this.#state.title = saved
      ? "There is no kernel: this is what was saved of the map, its values rounded by so much at most."
      : state === "busy"
        ? "What is waited for comes when the running cell ends."
        : "";
    const all = evaluated >= total;
    const rest = evaluated ? `, rest ${restWords({finished: finished || saved, error, scale})}` : "";
    const floor = finished && noise ? `, at the noise floor of ${dtype}` : "";
    const resolve = floor && " Neighbouring values differ by rounding alone. dtype=torch.float64 resolves more.";
    this.nodes.title = `Click: where they are. Between them the map is interpolated.${resolve}`;
    two(
      this.nodes,
      total > 0 ? counted(evaluated) : "",
      sample !== null
        ? `nodes: ${previewWords(sample)}`
        : all
          ? "nodes, every one evaluated"
          : `of ${counted(total)} nodes${rest}${floor}`,
    );
    const working = state === "live" && status !== null && status.queue > 0;
    two(this.#rate, working && status.rate ? counted(status.rate) : "", "nodes/s");
    // When all that is in sight is there, the kernel goes on with what a pan would show.
    two(this.#queue, working && !all && !finished ? counted(status.queue) : "", "to go");
    this.#bad.hidden = bad === 0 && !unlogged;
    const why = [...(bad ? [`${counted(bad)} not finite`] : []), ...(unlogged ? ["no logarithm"] : [])];
    say(/** @type {Element} */ (this.#bad.lastChild), why.join(", "));
    say(this.recipe, hash === null ? "" : `${MODES[mode] ? `${MODES[mode]} · ` : ""}recipe ${hash.slice(0, 7)}`);
    this.recipe.title = [...notes, "Click: what the axes mean."].join("\n");
  }
}

/** A number and what it counts; nothing when there is no number. @param {HTMLElement} place @param {string} number @param {string} words */
function two(place, number, words) {
  place.hidden = number === "";
  if (place.hidden) return;
  if (place.childElementCount === 0) place.append(h("b"), " ", h("span"));
  say(/** @type {Element} */ (place.firstElementChild), number);
  say(/** @type {Element} */ (place.lastElementChild), words);
}
