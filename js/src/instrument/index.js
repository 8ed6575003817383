// What makes the map an instrument and is not needed for its first picture. A module of its own, sent by the kernel as soon as
// there is a picture; it shares its property names with the main one, and one build. What is drawn over the colours follows it.

import {h} from "../ui/dom.js";
import {about} from "./about.js";
import css from "./instrument.css";
import {labels} from "./labels.js";
import {linked} from "./linked.js";
import {moving} from "./moving.js";
import {nodes} from "./nodes.js";
import {planes} from "./planes.js";
import {sliders} from "./sliders.js";
import {surface} from "./surface.js";
import {take} from "./take.js";

/** @typedef {import("../ui/host.js").Host} Host */
/** @typedef {import("../ui/host.js").Piece} Piece */

/** Each is given the view, and may have a say after each of its frames and changes. @type {((host: Host) => Piece)[]} */
const PIECES = [nodes, about, sliders, planes, labels, take, moving, surface, linked];

/** @param {Host} host @returns {Piece} */
export function open(host) {
  host.root.append(h("style", {}, css));
  const pieces = PIECES.map((piece) => piece(host));
  const more = async () => {
    const part = await host.session.part("layers");
    if (!part || host.signal.aborted) return;
    pieces.push(part.open(host));
    host.pane.invalidate();
  };
  more();
  return {
    draw() {
      for (const piece of pieces) piece.draw?.();
    },
    changed(what) {
      for (const piece of pieces) piece.changed?.(what);
    },
  };
}
