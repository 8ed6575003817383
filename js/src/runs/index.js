// What is known of training: paths over the map, and beside it where they stand, a slider of time, and what was recorded on the way.
// A module of its own, sent by the kernel when there is a run; it shares its property names with the main one, and one build.

import {paths} from "../layers/paths.js";
import {request} from "../point/wire.js";
import {h} from "../ui/dom.js";
import paneCss from "../ui/pane.css";
import {Pane} from "./pane.js";
import css from "./runs.css";
import {Runs} from "./store.js";

/** Numbers of requests go down from here: those of balls begin above. Shared by all views of a model. */
let last = -2e6;

/** From this width of the card on there is room for a pane beside the map, CSS pixels. */
const BESIDE = 840;

/**
 * @param {import("../layers/index.js").Ground} ground
 * @returns {{layer: import("../layers/index.js").Layer, piece: import("../ui/host.js").Piece, toggle(): void}}
 */
export function open(ground) {
  const {root, session, pane: map, button, announce, signal} = ground;
  const {model} = session;
  session.runs ??= new Runs(session);
  const store = session.runs;
  root.append(h("style", {}, paneCss, css));
  const isWanted = () => model.get("curves") === true;
  const want = (/** @type {boolean} */ wanted) => {
    model.set("curves", wanted);
    session.save(0);
    show();
  };
  /** What this view has asked last. */
  let mine = 0;
  const ask = (/** @type {string} */ k, /** @type {object} */ more) => {
    mine = --last;
    try {
      model.send(request(k, session.source.client, mine, more));
    } catch {
      // The comm has gone: the map says so.
    }
  };
  const pane = new Pane(
    store,
    {
      close: () => {
        want(false);
        (button.offsetParent ? button : root).focus({preventScroll: true});
      },
      hash: () => map.subject?.hash,
      mapLoss: (at) => {
        const value = session.fieldName === "loss" ? map.valueAt(at) : null;
        return value === null || Number.isNaN(value) ? null : value;
      },
      lut: () => map.lut,
      say: announce,
      answers: () => session.source.answers,
      canFollow: () => !map.onLine && session.source.answers,
      follow: (names) => ask("follow", {names}),
      measure: (names, quantity) => ask("measure", {names, quantity}),
    },
    signal,
  );
  pane.element.hidden = true;
  root.querySelector(".la-foot")?.before(pane.element);

  const sized = new ResizeObserver(() => root.classList.toggle("la-beside", root.clientWidth >= BESIDE));
  sized.observe(root);

  let frame = 0;
  const draw = () => {
    frame = 0;
    if (!pane.element.hidden && map.visible) pane.draw();
  };
  // However much comes, it is drawn once a frame.
  const later = () => {
    frame ||= requestAnimationFrame(draw);
  };
  const show = () => {
    const wanted = isWanted();
    if (wanted === pane.element.hidden) {
      if (wanted) pane.element.hidden = false;
      if (wanted) void pane.element.offsetWidth; // from nothing: the transition needs a start
      pane.element.hidden = !wanted;
      root.classList.toggle("la-with-runs", wanted);
      if (!wanted) {
        pane.stop();
        store.point(null);
      }
      map.invalidate();
    }
    button.setAttribute("aria-expanded", String(wanted));
    later();
  };
  store.watch(() => {
    show();
    later();
  }, signal);
  const receive = (/** @type {any} */ head) => {
    if (head?.client === session.source.client && head.req === mine && head.k === "error")
      pane.problem(String(head.text));
  };
  model.on("msg:custom", receive);
  const traits = ["runs", "paths", "curves"].map((name) => `change:${name}`);
  for (const name of traits) model.on(name, show);
  signal.addEventListener("abort", () => {
    sized.disconnect();
    cancelAnimationFrame(frame);
    model.off("msg:custom", receive);
    for (const name of traits) model.off(name, show);
  });
  Object.assign(/** @type {any} */ (root).lossatlas, {
    runs: () => ({
      at: store.at,
      pointed: store.pointed,
      steps: store.stepsIn(map.subject?.hash),
      runs: store.in(map.subject?.hash).runs.map(({name, colour, shown, path, curves}) => ({
        name,
        colour,
        shown,
        points: path?.points.length ?? 0,
        series: Object.keys(curves?.series ?? {}),
        rows: curves?.steps.length ?? 0,
      })),
    }),
  });
  show();
  // What the map says of a step becomes known with its tiles.
  return {layer: paths(ground, store), piece: {draw: later}, toggle: () => want(!isWanted())};
}
