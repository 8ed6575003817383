// Where the map is evaluated, on request: a dot at every node of what is drawn. Between them it is interpolated.

import {h} from "../ui/dom.js";

/** Closer together, CSS pixels, dots would hide the map. */
const CROWDED = 4;

/** @typedef {{rect: number[], step: number, phase: [number, number]}} Lattice  rect: x0, y0, x1, y1; phase: of its first node, from x0, y0 */

/**
 * Where the nodes lie that quads are drawn from; those half-way to the next pass are a lattice of their own.
 * @param {import("../render/shade.js").Quad[]} quads @returns {Lattice[]} device pixels
 */
export const latticesOf = (quads) =>
  quads.flatMap(({rect, to}) => {
    const {uv, nodes, centres} = /** @type {Required<import("../render/shade.js").Patch>} */ (to);
    const step = (rect[2] - rect[0]) / (uv[2] - uv[0]) / (nodes - 1);
    // How far the quad's corner is from the grid's, in steps.
    const phase = (/** @type {number} */ from, /** @type {number} */ shift) =>
      ((shift - from * (nodes - 1)) % 1) * step;
    return (centres ? [0, 0.5] : [0]).map((shift) => ({
      rect,
      step,
      phase: [phase(uv[0], shift), phase(1 - uv[3], shift)],
    }));
  });

export class Nodes {
  element = h("div", {class: "la-dots", hidden: true});

  /** @param {import("../render/shade.js").Quad[]} quads @param {number} ratio @param {boolean} onLine then a row of them, at the bottom */
  draw(quads, ratio, onLine) {
    if (this.element.hidden) return;
    const dots = latticesOf(quads).map(({rect, step, phase}) => {
      const [left, top, right, bottom, side, x, y] = [...rect, step, ...phase].map((length) => length / ratio);
      // A dot stands in the middle of the piece that a background repeats.
      const lying = onLine
        ? `bottom:0;height:9px;background-size:${side}px 9px`
        : `top:${top}px;height:${bottom - top}px;background-size:${side}px ${side}px;background-position-y:${y - side / 2}px`;
      const style = `left:${left}px;width:${right - left}px;background-position-x:${x - side / 2}px;${lying}`;
      return h("i", {style, hidden: side < CROWDED});
    });
    this.element.replaceChildren(...dots);
  }
}

/** Pressed, the count of nodes puts a dot at each. @param {import("../ui/host.js").Host} host @returns {import("../ui/host.js").Piece} */
export function nodes({pane, status, signal}) {
  const dots = new Nodes();
  pane.canvas.after(dots.element);
  const toggle = () => {
    status.nodes.ariaPressed = String(!dots.element.toggleAttribute("hidden"));
    pane.invalidate();
  };
  status.nodes.addEventListener("click", toggle, {signal});
  return {draw: () => dots.draw(pane.quads, pane.ratio, pane.onLine)};
}
