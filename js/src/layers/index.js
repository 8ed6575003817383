// Everything that is drawn over the colours, switched by one menu, explained by one legend, and told as a table. A module of its
// own, sent by the kernel after the instrument; it shares its property names with the main one, and one build.

import {h, say, svg} from "../ui/dom.js";
import {arrows} from "./arrows.js";
import {doubt} from "./doubt.js";
import css from "./layers.css";
import {Legend} from "./legend.js";
import {critical, marks} from "./marks.js";
import {Menu} from "./menu.js";
import {notes} from "./note.js";
import {profiles} from "./profiles.js";
import {Reader} from "./reader.js";
import {extremesOf, Table} from "./table.js";

/**
 * @typedef {import("../ui/host.js").Host} Host
 * @typedef {import("../viewport.js").Viewport} Viewport
 * @typedef {[number, number]} Point
 *
 * @typedef {Host & {
 *   edit(mark: import("./marks.js").Mark, text?: string): void, tell(text: string, at: Point): void, pointer(): Point | null,
 *   taken: number[][], button: HTMLButtonElement
 * }} Ground  edit: a mark's text, "" removes it; tell: a word beside the pointer, "" none; pointer: over the map, CSS pixels; taken:
 *   boxes where labels stand in this frame; button: of the pane of runs
 *
 * @typedef {object} Layer
 * @property {string} name in the trait
 * @property {SVGSVGElement} element over the map while it is shown
 * @property {() => string} lacks why there is nothing to show, "" where there is
 * @property {(viewport: Viewport, reader: Reader) => void} draw while it is shown, after each frame of the map
 * @property {() => boolean} [off] whether it cannot be shown here
 * @property {() => void} [always] after each frame, shown or not
 * @property {() => import("./legend.js").Entry[]} [legend] what is in sight
 * @property {() => import("./table.js").Row[]} [rows]
 * @property {(event: PointerEvent) => void} [hover]
 * @property {() => void} [leave]
 * @property {() => unknown} [held] what it shows, for scripts
 */

/** What is in the place of the paths until the part that draws them is here. @returns {Layer} */
const none = () => ({
  name: "paths",
  element: svg("svg"),
  off: () => true,
  lacks: () => "There is no path: explorer.paths holds them.",
  draw() {},
});

/** From the map upwards. */
const LAYERS = [doubt, arrows, none, profiles, critical, marks];
const PATHS = LAYERS.indexOf(none);

/** @param {Host} host @returns {import("../ui/host.js").Piece} */
export function open(host) {
  const {root, map, area, pane, session, header, signal} = host;
  root.append(h("style", {}, css));
  const note = notes(host);
  /** @type {Point | null} */
  let pointer = null;
  /** @type {number[][]} */
  const taken = [];
  const tip = h("div", {class: "la-pill la-tip", hidden: true});
  const tell = (/** @type {string} */ text, /** @type {Point} */ [x, y]) => {
    tip.hidden = text === "";
    say(tip, text);
    tip.style.transform = `translate(${Math.round(x + 14)}px, ${Math.round(y + 16)}px)`;
  };
  const button = h(
    "button",
    {type: "button", class: "la-runs-button", title: "Training runs, and balls to drop (r)", "aria-expanded": "false"},
    "runs",
  );
  const ground = {...host, edit: note.edit, tell, pointer: () => pointer, taken, button};
  const all = LAYERS.map((layer) => layer(ground));
  const slots = all.map(() => document.createComment(""));
  pane.canvas.after(...slots);
  area.append(tip);

  const isShown = (/** @type {string} */ name) => session.layers.includes(name);
  const table = new Table(() => {
    const reader = read();
    if (!reader || !pane.viewport) return null;
    const rows = [
      ...extremesOf(reader, pane.onLine ? [...pane.viewport.rect.slice(0, 2), 0, 0] : pane.viewport.rect),
      ...all.flatMap((layer) => layer.rows?.() ?? []),
    ];
    return {rows, pane, field: session.fieldName};
  }, signal);
  root.prepend(table.button);
  root.append(table.element);

  const actions = [
    {text: "note here", title: "A note at the cursor (n)", act: () => note.put(pointer)},
    {text: "table", title: "What is in sight, as a table", act: () => table.open()},
  ];
  const lacks = Object.fromEntries(all.map(({name}, i) => [name, () => all[i].lacks()]));
  const menu = new Menu(session, lacks, actions, signal);
  header.more.append(menu.button, menu.element, button);
  const legend = new Legend();
  map.after(legend.element);

  const move = (/** @type {PointerEvent} */ event) => {
    const box = area.getBoundingClientRect();
    pointer = [event.clientX - box.left, event.clientY - box.top];
    for (const layer of all) if (isShown(layer.name)) layer.hover?.(event);
  };
  const gone = () => {
    pointer = null;
    tell("", [0, 0]);
    for (const layer of all) if (isShown(layer.name)) layer.leave?.();
  };
  area.addEventListener("pointermove", move, {signal});
  area.addEventListener("pointerleave", gone, {signal});
  const press = (/** @type {KeyboardEvent} */ event) => {
    const action = {n: () => note.put(pointer), r: toggle, d: drop}[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target !== root && event.target !== area) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  };
  root.addEventListener("keydown", press, {signal});
  const redraw = () => pane.invalidate();
  const traits = ["marks", "paths", "runs", "curves"].map((name) => `change:${name}`);
  for (const name of traits) session.model.on(name, redraw);
  signal.addEventListener("abort", () => {
    for (const name of traits) session.model.off(name, redraw);
  });
  Object.assign(/** @type {any} */ (root).lossatlas, {
    profiles: () => all.find(({name}) => name === "profiles")?.held?.() ?? null,
  });

  const read = () => {
    const {subject} = pane;
    if (!subject) return null;
    const {hash, field, scale} = subject;
    return new Reader(pane.squares, scale, ({address}) => session.store.best(hash, field, address)?.data ?? null);
  };

  /** @type {import("../ui/host.js").Piece[]} */
  const opened = [];
  /** What a part opens, once; asked for again where it could not be had. @param {"runs" | "ball"} name @param {() => Promise<any>} [first] */
  const once = (name, first) => {
    /** @type {Promise<any> | null} */
    let here = null;
    return () => {
      here ??= (async () => {
        if (first && !(await first())) return null;
        const part = await session.part(name);
        return part && !signal.aborted ? part.open(ground) : null;
      })().then((made) => {
        if (!made) here = null;
        return made;
      });
      return here;
    };
  };
  /** What is known of training: once there is any, or somebody asks. */
  const training = once("runs", undefined);
  const rolling = once("ball", () => train());
  const train = async () => {
    const made = await training();
    if (made && !opened.includes(made.piece)) {
      opened.push(made.piece);
      all[PATHS] = made.layer;
      menu.draw();
      pane.invalidate();
    }
    return made;
  };
  const roll = async () => {
    const made = await rolling();
    if (made && !opened.includes(made)) opened.push(made);
    return made;
  };
  const toggle = async () => (await train())?.toggle();
  const drop = async () => {
    const at = pointer;
    (await roll())?.drop(at);
  };
  button.addEventListener("click", toggle, {signal});
  /** Parts come when there is something for them to show. */
  const fetch = () => {
    const {model, told} = session;
    const wanted = model.get("curves") === true;
    if (wanted || session.runs || model.get("paths")?.length || model.get("runs")?.length || told.length) train();
    if (wanted) roll();
  };

  const draw = () => {
    fetch();
    for (const piece of opened) piece.draw?.();
    const reader = read();
    const {viewport} = pane;
    if (!reader || !viewport) return;
    taken.length = 0;
    all.forEach((layer, i) => {
      layer.always?.();
      const on = isShown(layer.name) && !layer.off?.();
      if (on && !layer.element.isConnected) slots[i].replaceWith(layer.element);
      if (!on && layer.element.isConnected) layer.element.replaceWith(slots[i]);
      if (!on) return;
      layer.element.setAttribute("width", `${viewport.width}`);
      layer.element.setAttribute("height", `${viewport.height}`);
      layer.draw(viewport, reader);
    });
    note.draw();
    table.draw();
    const spoken = all.filter((layer) => layer.element.isConnected && layer.legend);
    const kept = spoken.some(({lacks}) => lacks() === "");
    legend.draw(
      spoken.flatMap((layer) => layer.legend?.() ?? []),
      kept,
    );
  };
  /** @param {import("../session.js").Change} what */
  const changed = (what) => {
    menu.draw();
    fetch();
    for (const piece of opened) piece.changed?.(what);
  };
  changed("style");
  return {draw, changed};
}
