// What a click on the map opens: a point's glyph on the map and its pane beside it. A module of its own, sent by the kernel
// when it is first asked for; it shares its property names with the main one, and one build.

import {h, say, svg} from "../ui/dom.js";
import paneCss from "../ui/pane.css";
import {glyphOf, pathOf} from "./glyph.js";
import {Pane, placeOf} from "./pane.js";
import css from "./point.css";
import {decodeFinding, request} from "./wire.js";
import {progress} from "./words.js";

/**
 * @typedef {import("../session.js").Session} Session
 * @typedef {import("../panes/map.js").MapPane} MapPane
 * @typedef {import("./pane.js").Measured} Measured
 */

/** Points that are compared at most, each in a colour of its own. */
const COLOURS = ["var(--la-accent)", "#ae3ec9", "#0ca678", "#e8890c", "#e64980"];

/** A click may be the first of two for so many ms: until then nothing moves on the page. */
const DOUBLE = 200;
/** Pixels between the two clicks of one double click, at most. */
const NEAR = 8;
/** Pixels from a click within which a point is meant. */
const REACH = 16;

/** From this width of the card on there is room for a pane beside the map, CSS pixels. */
const BESIDE = 840;

/** So many ms without a word, and the kernel is asked again. */
const PATIENCE = 6000;

/** Numbers of requests go down from here: those of the map itself go up. Shared by all views of a model. */
let last = 0;

/** @param {import("../ui/host.js").Host} host */
export const open = (host) => new Point(host);

export class Point {
  #root;
  #session;
  #map;
  #pane;
  #glyphs = svg("svg", {class: "la-glyphs", "aria-hidden": "true"});
  #live;
  #hint;
  /** @type {Measured[]} */
  #points = [];
  /** @type {Measured | null} */
  #one = null;
  /** What is turned to, and is not shown yet. @type {{req: number, point: Measured, name: string} | null} */
  #turning = null;
  /** The last click. @type {{at: [number, number], when: number}} */
  #pressed = {at: [0, 0], when: Number.NEGATIVE_INFINITY};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #opening;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience;

  /** @param {import("../ui/host.js").Host} host */
  constructor({root, session, pane, signal, hint}) {
    this.#root = root;
    this.#session = session;
    this.#map = pane;
    this.#live = /** @type {HTMLElement} */ (root.querySelector(".la-live"));
    const hands = {
      close: () => this.#close(),
      stop: () => this.#stop(),
      select: (/** @type {Measured} */ point) => this.#select(point),
      remove: (/** @type {Measured} */ point) => this.#remove(point),
      turn: (/** @type {number} */ index) => this.#turn(index),
    };
    this.#pane = new Pane(hands, signal);
    this.#pane.element.hidden = true;
    const area = /** @type {HTMLElement} */ (root.querySelector(".la-area"));
    area.querySelector("canvas")?.after(this.#glyphs);
    root.querySelector(".la-foot")?.before(this.#pane.element);
    root.append(h("style", {}, paneCss, css));
    const sized = new ResizeObserver(() => root.classList.toggle("la-beside", root.clientWidth >= BESIDE));
    sized.observe(root);
    const {model} = session;
    const receive = (/** @type {any} */ head, /** @type {DataView[]} */ buffers) => this.#receive(head, buffers);
    model.on("msg:custom", receive);
    signal.addEventListener("abort", () => {
      sized.disconnect();
      model.off("msg:custom", receive);
      this.#stop();
      clearTimeout(this.#patience);
      clearTimeout(this.#opening);
    });
    const twice = () => {
      if (this.#one && performance.now() - this.#pressed.when < 5 * DOUBLE) this.#remove(this.#one);
    };
    area.addEventListener("dblclick", twice, {signal});
    root.addEventListener("keydown", (event) => this.#key(event), {signal, capture: true});
    this.#hint = hint;
    for (const {head, buffers} of session.source.local?.spectra ?? []) this.#keep(head, buffers);
  }

  /** A finding that was saved with the map. @param {any} head @param {DataView[]} buffers */
  #keep(head, buffers) {
    const finding = decodeFinding(head, buffers);
    if (finding === null) return;
    const colour = COLOURS[this.#points.length % COLOURS.length];
    const hash = this.#session.scene?.hash ?? "";
    const span = 16 * (finding.jet?.step ?? 0);
    const known = {finding, running: false, error: "", turned: ""};
    this.#points.push({at: finding.at, req: --last, colour, hash, span, pixel: 0, ...known});
  }

  /** Without a kernel a click opens what was saved near it. @param {[number, number]} at */
  #open([a, b]) {
    const {viewport, onLine} = this.#map;
    const away = (/** @type {Measured} */ {at}) =>
      Math.hypot(at[0] - a, onLine ? 0 : at[1] - b) * (viewport?.scale ?? 0);
    const nearest = [...this.#points].sort((one, other) => away(one) - away(other))[0];
    if (nearest && away(nearest) < REACH) this.#select(nearest);
    else this.#hint("A kernel is needed to measure a point; circles are what was saved");
  }

  /** Measure a point of the plane. @param {[number, number]} at */
  press([a, b]) {
    if (!this.#session.source.answers) return this.#open([a, b]);
    const {scene, epoch} = this.#session;
    const {viewport, onLine} = this.#map;
    if (!scene || !viewport || this.#map.subject?.hash !== scene.hash) return; // on its way to another plane
    const now = performance.now();
    const [dx, dy] = [a - this.#pressed.at[0], b - this.#pressed.at[1]];
    if (now - this.#pressed.when < 3 * DOUBLE && Math.hypot(dx, dy) * viewport.scale < NEAR) return;
    this.#pressed = {at: [a, b], when: now};
    this.#stop();
    const req = --last;
    const free = COLOURS.find((colour) => this.#points.every((point) => point.colour !== colour));
    if (!free) this.#points.shift();
    const colour = free ?? COLOURS[(-req - 1) % COLOURS.length];
    /** @type {[number, number]} */
    const at = [a, onLine ? 0 : b];
    const known = {finding: null, running: true, error: "", turned: ""};
    const span = Math.min(viewport.width, onLine ? viewport.width : viewport.height) / viewport.scale;
    this.#one = {at, req, colour, hash: scene.hash, span, pixel: 1 / viewport.scale, ...known};
    this.#points.push(this.#one);
    this.#ask(this.#one, epoch);
    clearTimeout(this.#opening);
    if (this.#pane.element.hidden) this.#opening = setTimeout(() => this.#show(), DOUBLE);
    else this.#show();
  }

  /** The kernel answers the same request again, if a message was lost on the way. @param {Measured} point @param {number} epoch */
  #ask(point, epoch) {
    const {req, at, span} = point;
    this.#send("spectrum", req, {epoch, at, span});
    this.#await(point, epoch);
  }

  /** @param {Measured} point @param {number} epoch */
  #await(point, epoch) {
    clearTimeout(this.#patience);
    const again = () => {
      if (!point.running) return;
      if (this.#session.source.state === "live") this.#ask(point, epoch);
      else this.#await(point, epoch);
    };
    this.#patience = setTimeout(again, PATIENCE);
  }

  /** After each frame of the map: the glyphs stay where their points are. */
  draw() {
    const {viewport, subject, onLine} = this.#map;
    if (!viewport || this.#glyphs.childElementCount + this.#points.length === 0) return;
    const marks = this.#points
      .filter((point) => point.hash === subject?.hash)
      .map((point) => this.#mark(point, viewport, onLine));
    this.#glyphs.replaceChildren(...marks);
  }

  /** @param {import("../session.js").Change} what */
  changed(what) {
    if (what === "scene" && this.#turning?.name && this.#session.scene?.at?.u_to === this.#turning.name) {
      this.#turning = null;
      // The plane now goes through the point, which is its origin.
      const {viewport, atHome} = this.#map;
      if (viewport && !atHome) this.#map.setView({center: [0, 0], span: viewport.span});
    }
    if (what === "scene" || what === "state") this.#update();
  }

  /** @param {Measured} point @param {import("../viewport.js").Viewport} viewport @param {boolean} onLine */
  #mark(point, viewport, onLine) {
    const jet = point.finding?.jet;
    const [a, b] = point.at;
    const lines = onLine ? this.#parabola(point) : jet && glyphOf(jet.curvatures, jet.axes, point.span);
    const group = svg("g", {"data-req": point.req});
    const toPixels = (/** @type {[number, number]} */ [da, db]) => {
      const [x, y] = viewport.toPixels([a + da, onLine ? 0 : b + db]);
      return /** @type {[number, number]} */ ([x, onLine ? this.#map.rowOf(db) : y]);
    };
    if (lines && point === this.#one)
      for (const kind of /** @type {const} */ (["rising", "falling"])) {
        const d = pathOf(lines[kind], toPixels);
        if (d) group.append(svg("path", {d, class: "la-halo"}), svg("path", {d, class: `la-glyph la-${kind}`}));
      }
    const [x, y] = toPixels([0, onLine ? (jet?.loss ?? Number.NaN) : 0]);
    if (Number.isFinite(x + y))
      group.append(svg("circle", {cx: x, cy: y, r: point === this.#one ? 5.5 : 4, style: `stroke:${point.colour}`}));
    return group;
  }

  /** On a line: the parabola of the loss, its slope and its curvature. @param {Measured} point */
  #parabola({finding, span}) {
    const jet = finding?.jet;
    const [slope] = jet?.slope ?? [];
    const curvature = jet?.hessian[0]?.[0];
    if (jet?.loss == null || slope == null || curvature == null) return null;
    const {loss} = jet;
    /** @type {[number, number][]} */
    const line = Array.from({length: 41}, (_, i) => {
      const a = (0.1 * span * (i - 20)) / 20;
      return [a, loss + slope * a + 0.5 * curvature * a * a];
    });
    return curvature < 0 ? {rising: [], falling: [line]} : {rising: [line], falling: []};
  }

  /** @param {any} head @param {DataView[]} buffers */
  #receive(head, buffers) {
    if (head?.client !== this.#session.source.client || !(head.req < 0)) return;
    if (head.req === this.#turning?.req) this.#answered(head);
    const point = this.#points.find(({req}) => req === head.req);
    if (!point) return;
    if (head.k === "error") {
      Object.assign(point, {running: false, error: String(head.text)});
      return this.#update();
    }
    const finding = decodeFinding(head, buffers);
    if (finding === null) return;
    const first = !point.finding?.jet && finding.jet;
    // A run that was stopped by hand may still have something on its way.
    Object.assign(point, {finding, running: point.running && !finding.done});
    if (point.running) this.#await(point, head.epoch);
    this.#update();
    if (first || finding.done) this.#map.invalidate();
    if (finding.done && point === this.#one) say(this.#live, `Spectrum: ${progress(finding, false)}`);
  }

  /** What became of turning to an eigenvector. @param {any} head */
  #answered(head) {
    const point = this.#turning?.point;
    if (!point) return;
    if (head.k === "error") {
      point.error = String(head.text);
      this.#turning = null;
    } else if (this.#turning) {
      this.#turning.name = head.name;
      point.turned = `u is turned to ${head.name}. The plane goes through this point, at (0, 0).`;
      say(this.#live, point.turned);
    }
    this.#update();
  }

  /** @param {number} index */
  #turn(index) {
    const point = this.#one;
    if (!point) return;
    const req = --last;
    this.#turning = {req, point, name: ""};
    this.#send("towards", req, {of: point.req, index});
  }

  #stop() {
    for (const point of this.#points) {
      if (!point.running) continue;
      point.running = false;
      this.#send("cancel", point.req);
    }
    this.#update();
  }

  #close() {
    this.#stop();
    // What was saved stays on the map: nobody could measure it again.
    if (this.#session.source.answers) this.#points = [];
    this.#one = null;
    this.#show();
    this.#root.focus({preventScroll: true});
  }

  /** @param {Measured} point */
  #select(point) {
    this.#one = point;
    this.#show();
  }

  /** @param {Measured} point */
  #remove(point) {
    if (point.running) this.#stop();
    this.#points = this.#points.filter((other) => other !== point);
    if (this.#one === point) this.#one = this.#points.at(-1) ?? null;
    this.#show();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key !== "Escape" || this.#one === null) return;
    event.preventDefault();
    event.stopPropagation();
    this.#close();
  }

  #show() {
    const {element} = this.#pane;
    const opening = element.hidden && this.#one !== null;
    element.hidden = this.#one === null;
    if (opening) void element.offsetWidth; // from nothing: the transition needs a start
    this.#root.classList.toggle("la-with-point", this.#one !== null);
    if (opening) say(this.#live, `Measuring ${placeOf(/** @type {Measured} */ (this.#one), this.#map.onLine)}`);
    this.#update();
    this.#map.invalidate();
  }

  #update() {
    const one = this.#one;
    if (one === null) return;
    const {state} = this.#session.source;
    const live = state === "live" || state === "busy";
    if (!live) for (const point of this.#points) point.running = false;
    const hash = this.#map.subject?.hash ?? null;
    this.#pane.draw(this.#points, one, {onLine: this.#map.onLine, hash, state, live});
  }

  /** @param {string} k @param {number} req @param {object} [more] */
  #send(k, req, more) {
    try {
      this.#session.model.send(request(k, this.#session.source.client, req, more));
    } catch {
      // The comm has gone: the map says so, and nothing more will come.
    }
  }
}
