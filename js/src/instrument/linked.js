// Linked explorers: what one shares with others of its page, as its traits `group` and `linked` say.

import {Link} from "../link.js";
import {h, say} from "../ui/dom.js";

/** @typedef {import("../colour.js").Chosen} Chosen */
/** @typedef {import("../tiles.js").Scale} Scale */
/** @typedef {[number, number]} Span */
/** @typedef {{look(view: {center: number[], span: number}): void, draw(): void, lead(): void}} Follower  one view of an explorer */

/** The traits that go along, and with what: those about values where the same field is drawn. */
const TRAITS = /** @type {const} */ ([
  ["field", "field"],
  ["scale", "domain"],
  ["colormap", "domain"],
  ["domain", "domain"],
  ["levels", "levels"],
]);

/** Of several automatic scales all take the last in this order; the third is one of values that have no logarithm. */
const KINDS = /** @type {const} */ (["linear", "log", "linear", "symlog"]);

/** Height of the name over a small map, CSS pixels: those that stand beside each other are to be told apart. */
const NAME = 22;
/** Followed views come with every frame: after so many ms without one the hand has let go. */
const HELD = 150;

/** What the views of one explorer have in common of its links. */
export class Linked {
  /** @type {Set<Follower>} */
  followers = new Set();
  #session;
  #link = new Link((kind, value) => this.#hear(kind, value));
  #connect = () => this.connect();
  #passing;

  /** @param {import("../session.js").Session} session */
  constructor(session) {
    const {model} = session;
    this.#session = session;
    this.#passing = TRAITS.map(([name, what]) => ({
      on: `change:${name}`,
      pass: () => this.#link.tell(what, "trait", [name, model.get(name), session.fieldName]),
    }));
    model.on("change:group", this.#connect);
    for (const {on, pass} of this.#passing) model.on(on, pass);
  }

  close() {
    const {model} = this.#session;
    model.off("change:group", this.#connect);
    for (const {on, pass} of this.#passing) model.off(on, pass);
    this.#link.leave();
  }

  /** Be linked with whom the traits say. */
  connect() {
    const {model} = this.#session;
    if (!this.#link.join(model.get("group") ?? "", model.get("linked") ?? [])) return;
    if (!this.#link.view) for (const follower of this.followers) follower.lead();
    this.#session.joined();
  }

  /** Whether it is linked. */
  get together() {
    return Boolean(this.#session.model.get("group"));
  }

  /** What the group looks at. */
  get view() {
    return this.#link.view;
  }

  /** Let the others look there. @param {{center: number[], span: number}} view */
  lead({center, span}) {
    this.#link.tell("view", "view", {center, span});
  }

  /** The colour domain of all, in drawn values; undefined where it is nobody else's affair. @param {Span} own @param {Scale} scale */
  domain(own, scale) {
    return this.#link.topic("domain", "domain", `${this.#session.fieldName}/${scale}`, own)?.span;
  }

  /** The values that all have lines for, and what is remembered of these lines. @param {Span} own @param {Scale} scale */
  levels(own, scale) {
    return this.#link.topic("levels", "levels", `${this.#session.fieldName}/${scale}`, own);
  }

  /** The scale that suits all. @param {Chosen} asked */
  scale({kind, c, positive}) {
    const place = kind === "linear" && !positive ? 2 : KINDS.indexOf(kind);
    const all = this.#link.topic("domain", "kind", this.#session.fieldName, [-c, place])?.span;
    return all && {kind: KINDS[all[1]], c: -all[0]};
  }

  /** What another one says. @param {string} kind @param {any} value */
  #hear(kind, value) {
    const session = this.#session;
    if (kind === "trait") {
      const [name, chosen, field] = value;
      if (name === "field" || field === session.fieldName) session.model.set(name, chosen);
    } else if (kind === "view") for (const follower of this.followers) follower.look(value);
    else if (kind === "levels") for (const follower of this.followers) follower.draw();
    else session.joined();
  }
}

/** @param {import("../ui/host.js").Host} host @returns {import("../ui/host.js").Piece} */
export function linked({session, pane, root, map, reserve, signal}) {
  session.linked ??= new Linked(session);
  const {linked: mine} = session;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let holding;
  /** @type {Follower} */
  const follower = {
    look(view) {
      pane.hold(true);
      clearTimeout(holding);
      holding = setTimeout(() => pane.hold(false), HELD);
      pane.setView(view);
    },
    draw: () => pane.invalidate(),
    lead: () => pane.viewport && mine.lead(pane.viewport),
  };
  mine.followers.add(follower);
  const {listener} = pane;
  const {viewed} = listener;
  listener.viewed = (view) => {
    viewed(view);
    mine.lead(view);
  };
  const name = h("div", {class: "la-name"});
  map.append(name);
  let above = 0;
  const draw = () => {
    root.toggleAttribute("data-linked", mine.together);
    say(name, session.scene?.title ?? "");
    const height = mine.together && root.dataset.size === "narrow" ? NAME : 0;
    if (height === above) return;
    above = height;
    reserve({top: height});
  };
  mine.connect();
  if (mine.view) pane.setView(mine.view);
  signal.addEventListener("abort", () => {
    clearTimeout(holding);
    mine.followers.delete(follower);
    if (mine.followers.size > 0) return;
    mine.close();
    session.linked = null;
  });
  return {draw, changed: draw};
}
