// Balls: an optimizer started with a click, whose way is drawn as that of a run. A module of its own, sent by the kernel when the
// pane of runs is first opened or the first ball is dropped; it shares its property names with the main one, and one build.

import {request} from "../point/wire.js";
import {h} from "../ui/dom.js";
import css from "./ball.css";
import {Card} from "./card.js";
import {sharpnessOf} from "./rate.js";
import {sentence} from "./sweep.js";
import {words} from "./words.js";

/** @typedef {import("./words.js").Ball} Ball */

/** Numbers of requests go down from here: those of points begin at 0. Shared by all views of a model. */
let last = -1e6;

/** Balls that the list holds. */
const LISTED = 6;

/** So many ms without a word of one, and the kernel is asked again. */
const PATIENCE = 6000;

/** @param {import("../layers/index.js").Ground} ground with the pane of runs open or closed @returns {import("../ui/host.js").Piece & {drop(): void}} */
export function open({root, session, pane: map, hands, announce, signal, pointer}) {
  const {model} = session;
  const store = /** @type {import("../runs/store.js").Runs} */ (session.runs);
  /** @type {(Ball & {asked: object, epoch: number, heard: number})[]} */
  let balls = [];
  /** What the next click starts. @type {import("./card.js").Kind | null} */
  let armed = null;
  /** The last sweep. @type {{req: number, asked: {confined: boolean}, epoch: number, heard: number, at: string, done: boolean} | null} */
  let sweep = null;

  const send = (/** @type {string} */ k, /** @type {number} */ req, /** @type {object} */ more = {}) => {
    try {
      model.send(request(k, session.source.client, req, more));
    } catch {
      // The comm has gone: the map says so.
    }
  };
  const isLive = () => session.source.state === "live" || session.source.state === "busy";

  const arm = (/** @type {import("./card.js").Kind | null} */ wanted) => {
    if (wanted === armed) return;
    armed = wanted;
    root.classList.toggle("la-armed", armed !== null);
    if (armed) root.focus(/** @type {FocusOptions} */ ({preventScroll: true, focusVisible: false}));
    draw();
  };

  const textOf = (/** @type {number[]} */ at) =>
    `(${at.map((value) => `${Number(value.toPrecision(2))}`.replace("-", "−")).join(", ")})`;

  /** @param {[number, number] | null | undefined} pixels none: in the middle @param {import("./card.js").Kind} kind */
  const start = (pixels, kind) => {
    arm(null);
    const {viewport, subject, onLine} = map;
    const {scene, epoch} = session;
    if (!viewport || !scene || subject?.hash !== scene.hash || !isLive()) return; // on its way to another plane
    const [a, b] = pixels ? viewport.toPlane(pixels) : viewport.center;
    const {lr, ...choice} = card.choice;
    const asked = {at: [a, onLine ? 0 : b], ...choice, ...(kind === "ball" && {lr})};
    if (kind === "sweep") {
      if (sweep && !sweep.done) send("cancel", sweep.req);
      sweep = {req: --last, asked, epoch, heard: performance.now(), at: textOf(onLine ? [a] : [a, b]), done: false};
      card.swept(null, true, "Rolling…");
      announce("A sweep of learning rates begins");
      return send("sweep", last, {epoch, ...asked});
    }
    const ball = {req: --last, name: "", step: 0, done: false, diverged: false, loss: null, message: "", error: ""};
    balls = [...balls, {...ball, asked, epoch, heard: performance.now()}];
    const ended = balls.filter(({done}) => done);
    for (const old of ended.slice(0, Math.max(0, balls.length - LISTED))) balls.splice(balls.indexOf(old), 1);
    send("ball", last, {epoch, ...asked});
    announce("A ball is dropped");
    draw();
  };

  const stop = (/** @type {Ball} */ ball) => send("cancel", ball.req);
  // It is over at once, whatever becomes of the message.
  const stopSweep = () => {
    if (!sweep) return;
    sweep.done = true;
    card.stopped();
    send("cancel", sweep.req);
  };
  const card = new Card({arm: (kind) => arm(armed === kind ? null : kind), stop, stopSweep}, signal);
  root.append(h("style", {}, css));
  root.querySelector(".la-runs-in")?.firstElementChild?.after(card.element);

  const colourOf = (/** @type {string} */ name) =>
    store.in(map.subject?.hash).runs.find((run) => run.name === name)?.colour ?? "transparent";

  let frame = 0;
  const draw = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      const {runs} = store.in(map.subject?.hash);
      for (const ball of balls) {
        const step = runs.find(({name}) => name === ball.name)?.curves?.steps.at(-1);
        if (step === undefined || ball.done || step <= ball.step) continue;
        Object.assign(ball, {step, heard: performance.now()});
      }
      card.draw(balls, armed, isLive(), colourOf);
    });
  };

  const receive = (/** @type {any} */ head) => {
    if (head?.client !== session.source.client) return;
    if (head.k === "spectrum_done" || head.k === "spectrum_progress") {
      const sharpness = sharpnessOf(head);
      const [a, b] = head.at ?? [];
      if (sharpness !== null) card.measured({sharpness, at: textOf(map.onLine ? [a] : [a, b])});
    }
    if (sweep && head.req === sweep.req && (head.k === "sweep" || head.k === "error")) {
      Object.assign(sweep, {heard: performance.now(), done: head.k === "error" || head.done});
      if (head.k === "error") return card.swept(null, false, String(head.text));
      card.swept(head, !head.done);
      // In the slice it is another than in all parameters, of which the limit below is.
      if (head.sharpness !== null && !sweep.asked.confined) card.measured({sharpness: head.sharpness, at: sweep.at});
      if (sweep.done) announce(sentence(head));
      return undefined;
    }
    const ball = balls.find(({req}) => req === head.req);
    if (!ball) return;
    const heard = performance.now();
    if (head.k === "error") Object.assign(ball, {done: true, error: String(head.text), heard});
    if (head.k === "ball") {
      const {name, steps: step, done, diverged, end_loss: loss, message} = head;
      Object.assign(ball, {name, step, done, diverged, loss, message, heard});
    }
    if (ball.done) announce(`${ball.name}: ${words(ball)}`);
    draw();
  };
  model.on("msg:custom", receive);
  store.watch(draw, signal);

  // A message may be lost on the way; the kernel tells again of a request that it knows.
  const clock = setInterval(() => {
    if (sweep && !sweep.done && sweep.epoch === session.epoch && session.source.state === "live")
      if (performance.now() - sweep.heard > PATIENCE) {
        sweep.heard = performance.now();
        send("sweep", sweep.req, {epoch: sweep.epoch, ...sweep.asked});
      }
    for (const ball of balls) {
      if (ball.done || performance.now() - ball.heard < PATIENCE || session.source.state !== "live") continue;
      if (!ball.name && ball.epoch !== session.epoch) continue; // it would be another place
      ball.heard = performance.now();
      send("ball", ball.req, {epoch: session.epoch, ...ball.asked});
    }
  }, PATIENCE / 4);

  // A click drops where it would have measured.
  const {press} = hands;
  hands.press = (pixels) => (armed ? start(pixels, armed) : press(pixels));
  const disarm = (/** @type {KeyboardEvent} */ event) => {
    if (!armed || event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    arm(null);
  };
  // Before the root hears of it, where the same key closes what was measured.
  document.addEventListener("keydown", disarm, {signal, capture: true});
  signal.addEventListener("abort", () => {
    model.off("msg:custom", receive);
    clearInterval(clock);
    cancelAnimationFrame(frame);
  });
  Object.assign(/** @type {any} */ (root).lossatlas, {
    balls: () =>
      balls.map(({req, name, step, done, diverged, loss, error}) => ({req, name, step, done, diverged, loss, error})),
  });
  draw();
  return {draw, changed: draw, drop: () => start(pointer(), "ball")};
}
