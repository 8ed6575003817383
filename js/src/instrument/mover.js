// Moves the map: zooms glide, small steps are followed as they come, and whoever takes the map in the hand stops it.

import {between, containing, eased, samePlace} from "./glide.js";

/** @typedef {import("../viewport.js").Viewport} Viewport */

/** Zooms by less than this many doublings are a trackpad's: they are smooth already. */
const SMALL = 1 / 6;
/** What a hand has stopped may still be the first half of a double click for so many ms. */
const CUT_FOR = 500;

export class Mover {
  #host;
  #still = matchMedia("(prefers-reduced-motion: reduce)");
  /** @type {Viewport | null} */
  #from = null;
  #since = 0;
  #toHome = false;
  /** What it showed last: whoever shows something else has taken over. @type {Viewport | null} */
  #shown = null;
  /** @type {number | null} */
  #frame = null;
  /** Whether a hand is on the map, or a wheel under it. */
  #held = false;
  /** Where it was going when it was stopped. @type {{at: Viewport, to: Viewport, when: number} | null} */
  #cut = null;

  /** @param {import("../ui/host.js").Host} host */
  constructor(host) {
    this.#host = host;
    const {hands, signal} = host;
    hands.zoomAt = (factor, at) => this.zoom(factor, at);
    hands.home = () => this.home();
    hands.refuse = (closer) => this.#refuse(closer);
    hands.gesture = (active) => {
      this.#held = active;
      this.#hold();
    };
    signal.addEventListener("abort", () => this.stop());
  }

  /** Where it is going, else where it is. @returns {Viewport | null} */
  get bound() {
    return this.#host.pane.bound ?? this.#host.pane.viewport;
  }

  get gliding() {
    return this.#frame !== null;
  }

  /** Whether that is the home view, whatever the frame's shape. */
  get homeward() {
    return this.gliding ? this.#toHome : this.#host.pane.atHome;
  }

  /** @param {Viewport} to @param {boolean} [atOnce] */
  go(to, atOnce = false) {
    const possible = this.#within(to);
    if (possible !== to) this.#refuse(possible.span > to.span);
    this.#go(possible, false, atOnce);
  }

  home() {
    const {pane, session} = this.#host;
    if (pane.viewport === null) return;
    this.#go(containing(pane.viewport, session.scene?.home ?? [-1, 1, -1, 1]), true, false);
  }

  /** Closer by `factor` than where it is going. @param {number} factor @param {[number, number]} [at] CSS pixels */
  zoom(factor, at) {
    const {pane} = this.#host;
    const cut = this.#cut;
    const goesOn = cut && samePlace(cut.at, pane.viewport) && performance.now() - cut.when < CUT_FOR;
    const base = goesOn ? cut.to : this.bound;
    if (base === null) return;
    // At the end of what there is, a zoom must not become a pan.
    const {span} = this.#within(base.at(base.center, base.span / factor));
    if (span === base.span) return this.#refuse(factor > 1);
    const atOnce = Math.abs(Math.log2(factor)) < SMALL && !this.gliding;
    this.#go(base.zoomAt(base.span / span, at), false, atOnce);
  }

  /** Stay where it is. @param {boolean} [byHand] which may be about to click twice */
  stop(byHand = false) {
    const {pane} = this.#host;
    if (this.#frame === null) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
    if (byHand && pane.bound && pane.viewport) this.#cut = {at: pane.viewport, to: pane.bound, when: performance.now()};
    pane.bound = null;
    this.#hold();
  }

  /** @param {Viewport} to @param {boolean} toHome @param {boolean} atOnce */
  #go(to, toHome, atOnce) {
    const {pane} = this.#host;
    this.#cut = null;
    this.#toHome = toHome;
    this.#from = this.#shown = pane.viewport;
    this.#since = performance.now();
    const still = atOnce || this.#still.matches || !pane.visible || samePlace(to, pane.viewport);
    pane.bound = pane.onLine ? to.at([to.center[0], 0], to.span) : to;
    if (still) return this.#land();
    this.#frame ??= requestAnimationFrame(this.#step);
    pane.hold(true);
    pane.changed();
  }

  #step = () => {
    const {pane} = this.#host;
    const {viewport, bound} = pane;
    if (bound === null || this.#from === null || !samePlace(viewport, this.#shown)) return this.stop();
    // Before the map asks for the same frame, so that what it draws there is where we are then.
    this.#frame = requestAnimationFrame(this.#step);
    const share = eased(performance.now() - this.#since);
    if (share >= 1) return this.#land();
    const {width, height} = /** @type {Viewport} */ (viewport);
    pane.look(between(this.#from, bound, share).resized(width, height));
    this.#shown = pane.viewport;
  };

  #land() {
    const {pane} = this.#host;
    const {viewport, bound} = pane;
    this.stop();
    pane.bound = null;
    if (this.#toHome) pane.home();
    else if (bound && viewport) pane.look(bound.resized(viewport.width, viewport.height));
  }

  /** In the middle of a move the map keeps its level, and asks for what is at its end. */
  #hold() {
    this.#host.pane.hold(this.#held || this.gliding);
  }

  /** @param {Viewport} view */
  #within(view) {
    const {pane, session} = this.#host;
    return view.within(session.scene?.z ?? [-20, 16], pane.ratio);
  }

  /** @param {boolean} closer */
  #refuse(closer) {
    const {hint, session} = this.#host;
    const dtype = session.scene?.dtype || "a number";
    if (closer) hint(`No closer: here ${dtype} can hardly tell neighbouring points apart`, 2500);
    else hint("No farther: this is all that can be shown", 2500);
  }
}
