// A sweep of learning rates: where balls from one point end, drawn above the slider of the rate and to its scale. Pure but for Chart.

import {number} from "../runs/words.js";
import {h, say, significant} from "../ui/dom.js";
import {shareOf} from "./rate.js";

/**
 * @typedef {{
 *   of: number, rates: number[], end_loss: (number | null)[], diverged: boolean[], start_loss: number | null,
 *   limit: number | null, label: string, reason: string, sharpness: number | null, done: boolean
 * }} Swept  of: how many rates there are; rates: of those that have ended; end_loss: of all data, null where it is not finite
 */

/** Losses that span so much are drawn by their logarithm. */
const SPAN = 20;

/**
 * Where the ends are drawn: as shares of the width, which is the slider's, and of the height; null: it ran away.
 * @param {Swept} swept @returns {{share: number, height: number | null}[]}
 */
export function placesOf({rates, end_loss: ends, diverged, start_loss: start}) {
  const stayed = ends.filter((loss, i) => loss !== null && !diverged[i]);
  const low = Math.min(...stayed.map(Number));
  // Above the start all is worse: one line is enough for it.
  const high = Math.max(low, start ?? Number.NEGATIVE_INFINITY, ...(start === null ? stayed.map(Number) : []));
  const log = low > 0 && high > SPAN * low;
  const along = (/** @type {number} */ loss) => (log ? Math.log(loss) : loss);
  const range = along(high) - along(low);
  return rates.map((rate, i) => {
    const loss = ends[i];
    if (diverged[i] || loss === null) return {share: shareOf(rate), height: null};
    const height = range > 0 ? (along(Math.min(Math.max(loss, low), high)) - along(low)) / range : 0;
    return {share: shareOf(rate), height};
  });
}

/** The largest rate that came back, and the smallest that ran away; null where there is none. @param {Swept} swept */
export function edgeOf({rates, diverged}) {
  const stayed = rates.filter((_, i) => !diverged[i]);
  const left = rates.filter((_, i) => diverged[i]);
  return {stays: stayed.length ? Math.max(...stayed) : null, leaves: left.length ? Math.min(...left) : null};
}

/** What was found, in a sentence. @param {Swept} swept */
export function sentence(swept) {
  const {of, rates, end_loss: ends, diverged, limit, label, done} = swept;
  if (rates.length === 0) return done ? "Stopped before a rate had come to its end." : "Rolling…";
  const stayed = ends.flatMap((loss, i) => (loss === null || diverged[i] ? [] : [{loss, rate: rates[i]}]));
  const [best] = stayed.sort((one, other) => one.loss - other.loss);
  const {leaves} = edgeOf(swept);
  const parts = [done ? "" : `${rates.length} of ${of}`];
  if (best) parts.push(`best end loss ${number(best.loss)} at ${significant(best.rate, 2)}`);
  parts.push(leaves === null ? "none runs away" : `runs away from ${significant(leaves, 2)} on`);
  if (limit !== null) parts.push(`${label} = ${significant(limit, 2)}`);
  return parts.filter(Boolean).join(" · ");
}

/** The end at the rate that is nearest to one, in words. @param {Swept} swept @param {number} rate */
export function nearest({rates, end_loss: ends, diverged}, rate) {
  if (rates.length === 0) return "";
  const off = (/** @type {number} */ i) => Math.abs(Math.log(rates[i] / rate));
  const at = rates.reduce((least, _, i) => (off(i) < off(least) ? i : least), 0);
  const end = diverged[at] ? "runs away" : `ends at ${number(ends[at])}`;
  return `rate ${significant(rates[at], 2)} ${end}`;
}

export class Chart {
  /** To stand over the slider, as wide. */
  dots = h("span", {class: "la-sweep-dots", role: "img", hidden: ""});
  #near = h("p", {class: "la-quiet"});
  #text = h("p", {class: "la-quiet", role: "status"});
  /** To stand below it. */
  words = h("div", {class: "la-sweep", hidden: ""}, this.#near, this.#text);
  /** What is drawn. @type {Swept | null} */
  swept = null;

  /** @param {Swept | null} swept null: none @param {string} [problem] what went wrong */
  draw(swept, problem = "") {
    this.swept = swept;
    this.words.hidden = swept === null && !problem;
    this.dots.hidden = this.#near.hidden = swept === null;
    say(this.#text, problem || (swept ? sentence(swept) : ""));
    if (!swept) return;
    this.#text.title = swept.reason;
    this.dots.setAttribute("aria-label", `Loss at the end by learning rate: ${sentence(swept)}`);
    const limit = swept.limit === null ? [] : [h("u", {style: `--la-share:${shareOf(swept.limit)}`})];
    const dots = placesOf(swept).map(({share, height}) =>
      height === null
        ? h("i", {class: "la-gone", style: `--la-share:${share}`})
        : h("i", {style: `--la-share:${share};--la-height:${height}`}),
    );
    this.dots.replaceChildren(...limit, ...dots);
  }

  /** The slider stands here. @param {number} rate */
  stand(rate) {
    say(this.#near, this.swept ? nearest(this.swept, rate) : "");
  }
}
