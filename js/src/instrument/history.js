// Views worth coming back to: those at which the map has rested.

/** @typedef {import("../viewport.js").Viewport} Viewport */

import {samePlace} from "./glide.js";

/** A view counts after so many ms. */
const REST = 500;
const MOST = 100;

/** @typedef {{view: Viewport, home: boolean}} Rested  home: shown as a whole, whatever the frame's shape */

/** What one rested on, in order, and where one is among them. */
export class Views {
  /** @type {Rested[]} */
  list = [];
  at = -1;

  get canBack() {
    return this.at > 0;
  }

  get canForward() {
    return this.at < this.list.length - 1;
  }

  /** What lay ahead is cut off by a view that is another. @param {Rested} rested */
  rest(rested) {
    const last = this.list[this.at];
    const same = last && (samePlace(last.view, rested.view) || (last.home && rested.home));
    if (same) this.list[this.at] = rested;
    else {
      this.list = [...this.list.slice(0, this.at + 1), rested].slice(-MOST);
      this.at = this.list.length - 1;
    }
  }

  /** @param {-1 | 1} by @returns {Rested | null} null at the end */
  step(by) {
    const next = this.list[this.at + by];
    if (next === undefined) return null;
    this.at += by;
    return next;
  }
}

/** @param {import("../ui/host.js").Host} host @param {import("./mover.js").Mover} mover */
export function history({pane, header, area, signal}, mover) {
  const views = new Views();
  const {back, forward} = header.tools;
  /** @type {Viewport | null} */
  let seen = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let resting;
  const enable = () => {
    // Away from where it last rested there is a way back already.
    back.disabled = !views.canBack && resting === undefined;
    forward.disabled = !views.canForward;
  };
  const rest = () => {
    clearTimeout(resting);
    resting = undefined;
    if (mover.bound) views.rest({view: mover.bound, home: mover.homeward});
    enable();
  };
  /** Whether it is elsewhere than where it last rested, and not on the way there. */
  const away = () => {
    const known = views.list[views.at];
    return !known || !(samePlace(mover.bound, known.view) || (known.home && mover.homeward));
  };
  const step = (/** @type {-1 | 1} */ by) => {
    // Asked of the map: it may have moved since the last frame was drawn.
    if (away()) rest();
    const next = views.step(by);
    if (next === null) return;
    if (next.home) mover.home();
    else mover.go(next.view.resized(pane.viewport?.width ?? 1, pane.viewport?.height ?? 1));
    enable();
  };
  back.addEventListener("click", () => step(-1), {signal});
  forward.addEventListener("click", () => step(1), {signal});
  // The two buttons at the side of a mouse, which else leave the page.
  for (const name of /** @type {const} */ (["mousedown", "mouseup"]))
    area.addEventListener(
      name,
      (event) => {
        if (event.button !== 3 && event.button !== 4) return;
        event.preventDefault();
        if (name === "mouseup") step(event.button === 3 ? -1 : 1);
      },
      {signal},
    );
  signal.addEventListener("abort", () => clearTimeout(resting));
  const draw = () => {
    const {viewport} = pane;
    if (viewport === null || viewport.equals(seen)) return;
    seen = viewport;
    clearTimeout(resting);
    resting = away() ? setTimeout(rest, views.at < 0 ? 0 : REST) : undefined;
    enable();
  };
  return {draw, step};
}
