// The pane beside the map: what is known of a point, from its loss to the spectrum of the whole space.

import {coordinate, h, say} from "../ui/dom.js";
import {Plot} from "./plot.js";
import {kinks, number, progress, sentence, within} from "./words.js";

/** @typedef {import("./wire.js").Finding} Finding */
/**
 * @typedef {{
 *   at: [number, number], req: number, colour: string, finding: Finding | null, running: boolean, error: string,
 *   hash: string, span: number, pixel: number, turned: string
 * }} Measured  one point: hash: of the plane that it lies in; span: of the view it was clicked in; pixel: of that, in the
 *   plane; turned: what became of turning to one of its eigenvectors
 */
/** @typedef {{close(): void, stop(): void, select(point: Measured): void, remove(point: Measured): void, turn(index: number): void}} Hands */

/**
 * A plain button, or one with a dot before its text. JupyterLab looks from the focused element upwards, and its own selectors
 * may match before it comes to the root.
 * @param {string} text @param {string} title @param {() => void} act @param {Record<string, string>} [more]
 */
function button(text, title, act, more) {
  const element = h(
    "button",
    {type: "button", class: "la-plain", title, "data-lm-suppress-shortcuts": "true", ...more},
    text,
  );
  element.addEventListener("click", act);
  return element;
}

/** @param {string} label @param {string} title @param {Node | string} value */
const row = (label, title, value) => h("div", {class: "la-row", title}, h("span", {}, label), value);

/** How many of the smallest eigenvalues are asked for. */
const BOTTOM = 2;

/** Where a point lies. @param {Measured} point @param {boolean} onLine */
export const placeOf = ({at, pixel}, onLine) => {
  const [a, b] = at.map((value) => coordinate(value, pixel));
  return onLine ? `a ${a}` : `a ${a}, b ${b}`;
};

export class Pane {
  #title = h("b");
  #chips = h("div", {class: "la-chips", role: "group", "aria-label": "points measured"});
  #loss = h("b");
  #slope = h("b");
  #curves = h("b");
  #over = h("b");
  #overName = h("span", {}, "over the view");
  #kinks = h("p", {class: "la-kinks"});
  #sentence = h("p", {class: "la-sentence"});
  #away = h("p", {class: "la-quiet"});
  #progress = h("span", {class: "la-progress"});
  #stop;
  #plot = new Plot();
  #figure = h("div", {class: "la-figure"}, this.#plot.element);
  #limit = h("p", {class: "la-quiet"});
  /** @type {HTMLElement[]} */
  #lines = [];
  #largest = h("div", {role: "group", "aria-label": "largest eigenvalues"});
  #smallest = h("div", {role: "group", "aria-label": "smallest eigenvalues"});
  #trace = h("b");
  #condition = h("b");
  #traceRow = h(
    "div",
    {class: "la-trace", title: "The sum of all eigenvalues, with one standard error"},
    h("span", {}, "trace"),
    this.#trace,
    h("span", {title: "max |λ| / min |λ|"}, "condition"),
    this.#condition,
  );
  #error = h("p", {class: "la-kinks", role: "alert"});
  #width = 0;
  /** @type {(() => void) | null} */
  #again = null;

  /** @param {Hands} hands @param {AbortSignal} signal */
  constructor(hands, signal) {
    this.hands = hands;
    const close = button("×", "Close (Escape): stops measuring", hands.close, {
      class: "la-plain la-close",
      "aria-label": "close",
    });
    this.#stop = button("stop", "Stop measuring: what is known stays", hands.stop);
    const over = h(
      "div",
      {class: "la-row", title: "The same by second differences of the map's own values: what is drawn, kinks included"},
      this.#overName,
      this.#over,
    );
    this.element = h(
      "section",
      {class: "la-point", "aria-label": "Curvature at a point"},
      h(
        "div",
        {class: "la-point-in"},
        this.#chips,
        h(
          "div",
          {class: "la-box"},
          h("header", {}, this.#title, close),
          row("loss", "The exact loss at the point, over all data", this.#loss),
          row(
            "‖gradient‖",
            "The length of the gradient in the whole space, and how much of it lies in this slice",
            this.#slope,
          ),
          row(
            "curvature at the point",
            "Principal curvatures of the slice by autograd, per unit of length in parameter space",
            this.#curves,
          ),
          over,
          this.#kinks,
          this.#sentence,
          this.#away,
        ),
        h(
          "div",
          {class: "la-box"},
          h("header", {}, h("b", {}, "Hessian spectrum"), this.#progress, this.#stop),
          this.#figure,
          this.#limit,
          h("div", {class: "la-values"}, this.#largest, this.#smallest),
          this.#error,
        ),
      ),
    );
    const resized = new ResizeObserver(() => {
      const width = this.#figure.clientWidth;
      if (width === this.#width) return;
      this.#width = width;
      this.#again?.();
    });
    resized.observe(this.#figure);
    signal.addEventListener("abort", () => resized.disconnect());
  }

  /**
   * @param {readonly Measured[]} points @param {Measured} one which of them is looked at
   * @param {{onLine: boolean, hash: string | null, state: string, live: boolean}} page hash: of what the map shows; live: a kernel answers
   */
  draw(points, one, page) {
    this.#again = () => this.draw(points, one, page);
    const {finding} = one;
    const jet = finding?.jet ?? null;
    this.element.dataset.running = String(one.running);
    say(this.#title, `At ${placeOf(one, page.onLine)}`);
    this.#drawChips(points, one, page.onLine);
    say(this.#loss, jet ? number(jet.loss, 4) : "…");
    const share = jet?.gradient_norm ? (jet.gradient_in_slice ?? Number.NaN) / jet.gradient_norm : Number.NaN;
    say(
      this.#slope,
      jet ? `${number(jet.gradient_norm)}${Number.isFinite(share) ? ` · ${percent(share)} in the slice` : ""}` : "…",
    );
    say(this.#curves, jet ? jet.curvatures.map((value) => number(value)).join(", ") : "…");
    const scale = jet?.curvatures_at_scale;
    say(this.#overName, jet ? `over ± ${number(jet.step)}` : "over the view");
    say(this.#over, scale ? scale.map((value) => number(value)).join(", ") : "…");
    this.#tell(this.#kinks, finding ? kinks(finding) : "");
    const {slice, whole, verdict} = finding ? sentence(finding) : {slice: "", whole: "", verdict: ""};
    this.#sentence.hidden = !slice;
    const said = `${slice}${whole} ${verdict}`;
    if (this.#sentence.textContent !== said) this.#sentence.replaceChildren(slice, whole, " ", h("b", {}, verdict));
    const elsewhere = one.hash !== page.hash;
    this.#tell(this.#away, one.turned || (elsewhere ? "Measured before the map was turned or refreshed." : ""));
    say(this.#progress, progress(finding, one.running, page.state));
    const {form = "", warm} = finding?.spectrum ?? {};
    const sure =
      finding?.spectrum && one.running ? "Products taken, and how many of the eigenvalues below are sure: " : "";
    this.#progress.title = `${sure}${form}${warm ? ", begun from a point nearby" : ""}`;
    this.#stop.hidden = !one.running;
    this.#drawSpectrum(points, one, page);
    this.#tell(this.#error, one.error);
  }

  /** @param {HTMLElement} element @param {string} text */
  #tell(element, text) {
    element.hidden = !text;
    say(element, text);
  }

  /** @param {readonly Measured[]} points @param {Measured} one @param {boolean} onLine */
  #drawChips(points, one, onLine) {
    this.#chips.hidden = points.length < 2;
    const chips = points.map((point) => {
      const dot = h("i", {style: `background:${point.colour}`});
      const text = placeOf(point, onLine).replace(/[ab] /g, "");
      const chip = button(text, `Look at ${text}`, () => this.hands.select(point), {
        class: "",
        "aria-pressed": String(point === one),
      });
      chip.prepend(dot);
      const remove = button("×", `Forget ${text}`, () => this.hands.remove(point), {"aria-label": `forget ${text}`});
      return h("span", {class: "la-chip"}, chip, remove);
    });
    const key = points.map((point) => `${point.req}${point === one}`).join();
    if (this.#chips.dataset.key === key) return;
    this.#chips.dataset.key = key;
    this.#chips.replaceChildren(...chips);
  }

  /** @param {readonly Measured[]} points @param {Measured} one @param {{onLine: boolean, live: boolean}} page */
  #drawSpectrum(points, one, {onLine, live}) {
    const {finding} = one;
    const spectrum = finding?.spectrum ?? null;
    const others = points
      .filter((point) => point !== one && point.finding?.density)
      .map(({finding: other, colour}) => ({finding: /** @type {Finding} */ (other), colour}));
    if (finding && this.#width > 0) this.#plot.draw(others, {finding, colour: one.colour}, this.#width, one.running);
    this.#figure.dataset.empty = String(!finding?.density);
    const stability = finding?.stability ?? null;
    this.#tell(this.#limit, stability ? stable(finding) : "");
    this.#limit.title = stability?.reason ?? "";
    if (spectrum) {
      say(this.#trace, within(spectrum.trace, spectrum.trace_error));
      say(this.#condition, conditionOf(spectrum));
    }
    this.#drawValues(spectrum, onLine || !live);
  }

  /** A line for each eigenvalue; lines stay, so that a press on a button is not lost to the next message. @param {import("./wire.js").Spectrum | null} spectrum @param {boolean} still */
  #drawValues(spectrum, still) {
    const count = spectrum?.eigenvalues.length ?? 0;
    if (count !== this.#lines.length) {
      this.#lines = Array.from({length: count}, (_, i) => this.#line(i));
      const top = this.#lines.slice(0, Math.max(count - BOTTOM, Math.min(count, 1)));
      this.#largest.replaceChildren(...(count ? [h("span", {}, "largest")] : []), ...top);
      const bottom = this.#lines.slice(top.length);
      this.#smallest.replaceChildren(...(bottom.length ? [h("span", {}, "smallest")] : []), ...bottom, this.#traceRow);
    }
    if (!spectrum) return;
    this.#lines.forEach((line, i) => {
      const [mark, value, error, turn] = /** @type {HTMLElement[]} */ ([...line.children]);
      const sure = spectrum.converged[i];
      mark.dataset.sure = String(sure);
      mark.title = sure ? "converged: an eigenvalue lies within its error" : "not converged yet";
      const [known, off = ""] = within(spectrum.eigenvalues[i], spectrum.exact ? 0 : spectrum.residuals[i]).split(
        " ± ",
      );
      say(value, known);
      say(error, off && `± ${off}`);
      turn.hidden = still || !sure;
    });
  }

  /** @param {number} i */
  #line(i) {
    const title = "Make this eigenvector a direction of the plane: u turns to it, through this point";
    const turn = button("turn u", title, () => this.hands.turn(i), {"aria-label": `turn u to eigenvector ${i + 1}`});
    return h("div", {class: "la-value"}, h("i"), h("b"), h("small"), turn);
  }
}

/** Of all eigenvalues, or at least so much. @param {import("./wire.js").Spectrum} spectrum */
const conditionOf = ({condition, exact}) => (condition === null ? "∞" : `${exact ? "" : "≥ "}${number(condition)}`);

/** @param {number} share */
const percent = (share) => `${share < 0.0995 ? number(100 * share, 2) : Math.round(100 * share)} %`;

/** Whether the steps come back, in words. @param {Finding | null} finding */
function stable(finding) {
  const stability = finding?.stability;
  if (!stability) return "";
  if (typeof stability.limit !== "number") return stability.reason;
  const largest = finding?.spectrum?.eigenvalues[0];
  const line = `${stability.label} = ${number(stability.limit)}`;
  if (typeof largest !== "number") return `Steps are stable up to ${line}.`;
  return largest > stability.limit
    ? `λ largest is beyond ${line}: steps grow.`
    : `λ largest is ${percent(largest / stability.limit)} of ${line}: steps are stable.`;
}
