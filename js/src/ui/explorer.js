// One view of an explorer: the card with its map, controls and status line, wired to what the views of a model share.

import {undrawn} from "../colour.js";
import {MapPane} from "../panes/map.js";
import {CELLS, cover, errorOf, isComplete} from "../tiles.js";
import {About} from "./about.js";
import {Axes} from "./axes.js";
import {Bar, labelsOf} from "./bar.js";
import {h, say} from "./dom.js";
import {attachGestures} from "./gestures.js";
import {Header} from "./header.js";
import {Nodes} from "./nodes.js";
import {Readout} from "./readout.js";
import {Sliders} from "./sliders.js";
import {StatusLine} from "./status.js";
import {PALETTE, watchTheme} from "./theme.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../session.js").Change} Change */
/** @typedef {import("../protocol.js").Sample} Sample */

/** Room around the map, CSS pixels: wide cards, and those where only map, bar and sliders remain. */
const ROOM = {left: 72, top: 14, right: 86, bottom: 50};
const LINE_ROOM = {...ROOM, right: 28};
const NARROW_ROOM = {left: 12, top: 12, right: 66, bottom: 12};
const COMPACT = 760;
const NARROW = 480;
const HEIGHT = 480;
const HINT_MS = 1400;
const FIRST_HINT_MS = 3500;
const SAVE_VIEW_AFTER = 300;

export class ExplorerView {
  #session;
  #signal;
  #pane;
  #axes = new Axes();
  #bar = new Bar();
  #header;
  #sliders;
  #readout;
  #status = new StatusLine();
  #nodes = new Nodes();
  #about;
  #area = h("div", {class: "la-area"});
  #map = h("div", {class: "la-map"});
  #blank = h("div", {class: "la-blank"});
  #hint = h("div", {class: "la-hint", "aria-hidden": "true"});
  #greeted = false;
  #error = h("div", {class: "la-note la-error", role: "status"});
  #stale = h("div", {class: "la-note", role: "status"});
  #room = ROOM;
  #visible = true;
  #updateTheme = () => {};
  /** Views that this page has told the model: their echoes are no news. @type {string[]} */
  #told = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #hinting;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #saving;
  /** What is beside the map once a point was clicked (point/index.js). @type {import("../point/index.js").Point | null} */
  #point = null;
  #counts = this.#none();
  #countsDue = true;

  /** @param {Session} session @param {AbortSignal} signal */
  constructor(session, signal) {
    this.#session = session;
    this.#signal = signal;
    const {model} = session;
    this.#pane = new MapPane(session, {
      drawn: () => this.#afterFrame(),
      viewed: (viewport) => this.#viewed(viewport),
    });
    this.#header = new Header(
      {
        scale: (chosen) => this.#choose("scale", chosen),
        field: (name) => this.#choose("field", name),
        tolerance: (share) => this.#choose("tolerance", share),
        home: () => this.#pane.home(),
        zoom: (factor) => this.#zoom(factor),
        step: (kind) => session.source.order(kind),
        bookmark: (name) => session.bookmark(name),
      },
      signal,
    );
    this.#sliders = new Sliders(session, signal);
    this.#readout = new Readout({
      toPlane: (pixels) => {
        const [a, b] = this.#pane.viewport?.toPlane(pixels) ?? [0, 0];
        return [a, this.#pane.onLine ? 0 : b];
      },
      row: (at) => (this.#pane.onLine ? this.#pane.rowOf(this.#pane.valueAt(at) ?? Number.NaN) : null),
      pixel: () => 1 / (this.#pane.viewport?.scale ?? 1),
      size: () => [this.#pane.viewport?.width ?? 0, this.#pane.viewport?.height ?? 0],
      read: (at) => this.#pane.valueAt(at),
      error: (at) => this.#pane.errorAt(at),
      probe: (at) => session.probe(at),
      field: () => session.fieldName,
      scene: () => `${session.epoch}/${session.hash}`,
    });
    this.#about = new About({scene: () => session.scene, caption: () => session.source.caption()}, signal);
    this.element = this.#build();
    this.#pane.preferred = model.get("renderer") ?? "auto";
    this.#listen();
    this.#expose();
  }

  /** @returns {import("../session.js").ViewRequest | null} */
  request() {
    return this.#visible ? this.#pane.request() : null;
  }

  homeInSight() {
    return this.#pane.homeInSight();
  }

  /** @param {Change} what */
  onChange(what) {
    this.#point?.changed(what);
    if (what === "scene" && this.#pane.atHome) this.#pane.home();
    if (what === "style") this.#restyle();
    if (what === "tiles" || what === "scene" || what === "scale") {
      this.#countsDue = true;
      this.#pane.changed();
    }
    this.#describe();
  }

  close() {
    clearTimeout(this.#hinting);
    clearTimeout(this.#saving);
    this.#readout.close();
    this.#pane.close();
  }

  #build() {
    const {canvas} = this.#pane;
    const {vertical, horizontal, pill, live} = this.#readout;
    this.#area.append(
      canvas,
      this.#nodes.element,
      vertical,
      horizontal,
      this.#blank,
      this.#hint,
      this.#error,
      this.#stale,
      pill,
    );
    this.#map.append(this.#axes.element, this.#area, this.#bar.element);
    const refresh = h("button", {type: "button"}, "Refresh");
    refresh.addEventListener("click", () => this.#session.source.order("refresh"), {signal: this.#signal});
    this.#stale.append(h("span", {}, "The model has changed since this map."), refresh);
    this.#status.recipe.addEventListener("click", () => this.#about.open(), {signal: this.#signal});
    const {nodes} = this.#status;
    const toggle = () => {
      nodes.ariaPressed = String(!this.#nodes.element.toggleAttribute("hidden"));
      this.#pane.invalidate();
    };
    nodes.addEventListener("click", toggle, {signal: this.#signal});
    const dismiss = h("button", {type: "button", "aria-label": "dismiss"}, "×");
    dismiss.addEventListener("click", () => this.#session.dismissError(), {signal: this.#signal});
    this.#error.append(h("span"), dismiss);
    this.#bar.fit.addEventListener("click", () => this.#pane.fit(), {signal: this.#signal});
    const body = h("div", {class: "la-body"}, this.#map);
    const root = h(
      "div",
      {
        class: "lossatlas",
        tabindex: 0,
        role: "application",
        "aria-label":
          "Map of the loss. Arrows pan, plus and minus zoom, 0 is home, Enter reads the value in the middle, c its curvature.",
        // JupyterLab has shortcuts for the same keys, and a menu for the same button.
        "data-lm-suppress-shortcuts": "true",
        "data-jp-suppress-context-menu": "",
      },
      this.#header.element,
      body,
      this.#sliders.element,
      this.#status.element,
      this.#about.element,
      live,
    );
    // JupyterLab looks from the focused element upwards, and its own selectors may match before it comes to the root.
    for (const control of root.querySelectorAll("input, select, button"))
      control.setAttribute("data-lm-suppress-shortcuts", "true");
    return root;
  }

  #listen() {
    const signal = this.#signal;
    attachGestures(
      this.element,
      this.#area,
      {
        panBy: (dx, dy) => this.#look((view) => view.panBy(dx, dy)),
        whole: (distance) => Math.round(distance * this.#pane.ratio) / this.#pane.ratio,
        zoomAt: (factor, at) => this.#look((view) => view.zoomAt(factor, at)),
        cell: () => ((this.#pane.viewport?.scale ?? 1) * 2 ** -(this.#pane.level ?? 0)) / CELLS,
        size: () => [this.#pane.viewport?.width ?? 0, this.#pane.viewport?.height ?? 0],
        home: () => this.#pane.home(),
        probe: () => this.#readout.probeCentre(),
        press: (at) => this.#press(at),
        hover: (at) => this.#readout.hover(at),
        gesture: (active) => this.#pane.hold(active),
        hint: () => this.#showHint("Click the map, or hold Ctrl, to zoom with the wheel"),
      },
      signal,
    );
    const greet = () => {
      if (this.#greeted) return;
      this.#greeted = true;
      this.#showHint("wheel or + − zooms · drag or arrows pan · click measures", FIRST_HINT_MS);
    };
    this.element.addEventListener("focusin", (event) => event.target === this.element && greet(), {signal});
    const {model} = this.#session;
    this.#updateTheme = watchTheme(
      () => model.get("theme") ?? "auto",
      (theme) => {
        this.element.dataset.theme = theme;
        this.#pane.palette = PALETTE[theme];
        this.#pane.invalidate();
      },
      signal,
    );
    const resized = new ResizeObserver(() => this.#layout());
    resized.observe(this.#map);
    // A cell that scrolls out of sight draws nothing and wants nothing.
    const seen = new IntersectionObserver((entries) => {
      this.#visible = entries[entries.length - 1].isIntersecting;
      this.#pane.show(this.#visible);
    });
    seen.observe(this.element);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      seen.disconnect();
    });
    document.addEventListener("visibilitychange", () => this.#pane.invalidate(), {signal});
    this.#describe();
  }

  #layout() {
    const whole = this.element.clientWidth;
    const width = this.#map.clientWidth;
    if (width === 0) return;
    const size = whole < NARROW ? "narrow" : whole < COMPACT ? "compact" : "wide";
    this.element.dataset.size = size;
    const {onLine} = this.#pane;
    this.#room = onLine ? LINE_ROOM : size === "narrow" ? NARROW_ROOM : ROOM;
    const {left, top, right, bottom} = this.#room;
    const wanted = Number(this.#session.model.get("height") ?? HEIGHT) || HEIGHT;
    // Higher than wide, a narrow map would be mostly outside the home extent.
    const height = Math.max(160, size === "narrow" ? Math.min(wanted, width - right + bottom) : wanted);
    this.#map.style.height = `${height}px`;
    Object.assign(this.#area.style, {left: `${left}px`, top: `${top}px`, right: `${right}px`, bottom: `${bottom}px`});
    Object.assign(this.#bar.element.style, {top: `${top}px`, bottom: `${bottom}px`, right: "0", width: `${right}px`});
    this.#sliders.element.style.paddingLeft = `${left}px`;
    const before = this.#pane.viewport;
    this.#pane.resize(width - left - right, height - top - bottom);
    if (before === null) this.#firstView();
    this.#pane.changed();
  }

  /** The view that the model was made or saved with; the default one means home, whatever the frame's shape. */
  #firstView() {
    const view = this.#session.model.get("view");
    const [a0, a1, b0, b1] = this.#session.scene?.home ?? [-1, 1, -1, 1];
    if (!isView(view)) return;
    const isHome = view.span === a1 - a0 && view.center[0] === (a0 + a1) / 2 && view.center[1] === (b0 + b1) / 2;
    if (!isHome) this.#pane.setView(view);
  }

  #restyle() {
    const {model} = this.#session;
    this.#updateTheme();
    this.#pane.preferred = model.get("renderer") ?? "auto";
    const view = model.get("view");
    if (isView(view) && !this.#told.includes(JSON.stringify([view.center, view.span]))) this.#pane.setView(view);
    this.#layout();
  }

  /** @param {import("../viewport.js").Viewport} viewport */
  #viewed({center, span}) {
    this.#countsDue = true;
    const {model} = this.#session;
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => {
      const view = {center: [...center], span};
      const text = JSON.stringify([view.center, span]);
      if (this.#told.at(-1) === text) return;
      this.#told = [...this.#told.slice(-15), text];
      model.set("view", view);
      this.#session.save(0);
    }, SAVE_VIEW_AFTER);
  }

  /** @param {(view: import("../viewport.js").Viewport) => import("../viewport.js").Viewport} change */
  #look(change) {
    const {viewport} = this.#pane;
    if (viewport !== null) this.#pane.look(change(viewport));
  }

  /** @param {number} factor */
  #zoom(factor) {
    this.#look((view) => view.zoomAt(factor));
  }

  /** @param {"scale" | "field" | "tolerance"} trait @param {string | number} value */
  #choose(trait, value) {
    this.#session.model.set(trait, value);
    this.#session.save(0);
    this.onChange("scale");
  }

  /** @param {[number, number]} [pixels] */
  async #press(pixels) {
    const {viewport} = this.#pane;
    const at = viewport && (pixels ? viewport.toPlane(pixels) : viewport.center);
    const part = await this.#session.part();
    if (!part) return this.#showHint("A kernel is needed to measure a point");
    this.#point ??= part.open(this.element, this.#session, this.#pane, this.#signal);
    // Since then it was zoomed: it was a double click.
    if (at && viewport === this.#pane.viewport) this.#point?.press(at);
  }

  /** @param {string} text @param {number} [ms] */
  #showHint(text, ms = HINT_MS) {
    say(this.#hint, text);
    this.#hint.classList.add("la-shown");
    clearTimeout(this.#hinting);
    this.#hinting = setTimeout(() => this.#hint.classList.remove("la-shown"), ms);
  }

  /** What stands around the map, after each of its frames. */
  #afterFrame() {
    const pane = this.#pane;
    const {viewport, domain, subject} = pane;
    if (viewport === null || subject === null) return;
    const {scale} = subject;
    const values = pane.onLine && domain ? this.#values(domain, scale, viewport.height) : null;
    this.#axes.draw(viewport, this.#room, this.#session.scene?.axes ?? [], values);
    if (domain !== null && values === null) {
      const {levels, lut, ratio} = pane;
      this.#bar.draw({domain, scale, levels, lut, height: viewport.height, ratio});
    }
    this.#nodes.draw(pane.quads, pane.ratio, pane.onLine);
    this.#readout.draw();
    this.#point?.draw();
    this.element.dataset.renderer = pane.rendererKind;
    if (this.#countsDue) {
      this.#countsDue = false;
      this.#counts = this.#count();
      this.#describe();
    }
  }

  /** The axis of a curve. @param {[number, number]} domain @param {import("../tiles.js").Scale} scale @param {number} height */
  #values(domain, scale, height) {
    const name = this.#session.fieldName + (scale === "log" ? " · log scale" : "");
    return {name, ...labelsOf(domain, scale, height), key: `${name}${domain}`};
  }

  /** How many of the view's nodes are evaluated, and how many of them are not finite. Shared borders count once. */
  #count() {
    const {subject} = this.#pane;
    const counts = this.#none();
    if (subject === null) return counts;
    const {hash, field, scale, viewport, level} = subject;
    const addresses = cover(viewport.rect, level);
    const right = Math.max(...addresses.map(({x}) => x));
    const upper = Math.max(...addresses.map(({y}) => y));
    for (const address of addresses) {
      // A tile owns its left and lower border; the view's outer ones belong to the last of each row and column.
      const column = address.x === right ? 1 : 0;
      const row = address.y === upper ? 1 : 0;
      const {onLine} = this.#pane;
      counts.total += (CELLS + column) * (onLine ? 1 : CELLS + row);
      const data = (this.#pane.sufficient(address) ?? this.#session.store.get(hash, field, address))?.data;
      if (data === undefined) continue;
      // Of an ancestor that is good enough, its nodes in this square.
      const share = 2 ** (data.z - address.z);
      const cells = share * (data.nodes - 1);
      const centres = share * share * (data.centres?.length ?? 0);
      counts.evaluated += Math.round((cells + column) * (onLine ? 1 : cells + row) + centres);
      counts.bad += share === 1 ? data.bad : 0;
      counts.noise ||= data.noise && !isComplete(data);
      // The worse of two says enough of both.
      if (data.sample && !(data.sample.shape < (counts.sample?.shape ?? 0))) counts.sample = data.sample;
      counts.error = Math.max(counts.error, errorOf(data, scale) ?? Number.POSITIVE_INFINITY);
    }
    return counts;
  }

  /** @returns {{evaluated: number, total: number, bad: number, noise: boolean, error: number, sample: Sample | null}} */
  #none() {
    return {evaluated: 0, total: 0, bad: 0, noise: false, error: 0, sample: null};
  }

  /** The words of the card: cheap, and only what differs is touched. */
  #describe() {
    const session = this.#session;
    const {scene, source, status, error, model} = session;
    const {state} = source;
    const slice = this.#pane.onLine ? "line" : "plane";
    Object.assign(this.element.dataset, {state, slice, epoch: String(session.epoch)});
    this.#header.draw(scene, session.fieldName, model.get("scale") ?? "auto", session.scale, session.tolerance);
    const enabled = state !== "static" && state !== "frozen";
    this.#sliders.draw(scene, session.position, enabled);
    this.#header.planes(session.around, Object.keys(session.bookmarks), enabled);
    const {pending} = source;
    const hash = this.#pane.subject?.hash ?? session.hash;
    const {closed} = source;
    this.#status.draw({
      state,
      pending,
      status,
      ...this.#counts,
      finished: this.#complete(),
      scale: session.scale,
      dtype: scene?.dtype ?? "",
      hash,
      mode: scene?.mode ?? "",
      notes: scene?.notes ?? [],
      closed,
    });
    const nothing = this.#pane.tiles().length === 0;
    this.#blank.hidden = !nothing;
    say(this.#blank, nothing ? blankWords(state, closed) : "");
    this.#error.hidden = error === null;
    say(/** @type {Element} */ (this.#error.firstElementChild), error ?? "");
    this.#stale.hidden = status?.model_changed !== true || state === "frozen" || state === "static";
  }

  /** What scripts and tests may ask. */
  #expose() {
    const session = this.#session;
    const pane = this.#pane;
    const api = {
      stats: () => ({
        frames: pane.frames,
        drawMs: pane.times.at(-1) ?? null,
        copyMs: pane.copyTime,
        messages: session.messages,
        pending: session.source.pending,
        centre: pane.centre(),
        level: pane.level,
        ...this.#count(),
        complete: this.#complete(),
        epoch: session.epoch,
        hash: pane.subject?.hash ?? null,
        scale: session.scale,
        domain: pane.domain?.map((value) => undrawn(value, session.scale)) ?? null,
        renderer: pane.rendererKind,
      }),
      valueAt: (/** @type {number} */ a, /** @type {number} */ b) => pane.valueAt([a, b]),
      view: () => ({center: [...(pane.viewport?.center ?? [0, 0])], span: pane.viewport?.span ?? 0}),
      setView: (/** @type {{center: number[], span: number}} */ view) => pane.setView(view),
      tiles: () => pane.tiles(),
    };
    Object.assign(this.element, {lossatlas: api});
  }

  /** Whether every tile in sight is as good as is wanted, of the scene that is wanted. */
  #complete() {
    const {subject} = this.#pane;
    if (subject === null || subject.hash !== this.#session.hash) return false;
    return cover(subject.viewport.rect, subject.level).every((address) => this.#pane.sufficient(address) !== null);
  }
}

/** @param {any} view @returns {view is {center: [number, number], span: number}} */
const isView = (view) => Array.isArray(view?.center) && view.center.length === 2 && view.span > 0;

/** @param {import("../source/comm.js").State} state @param {boolean} closed */
function blankWords(state, closed) {
  if (state === "static") return "There is no kernel behind this map, and nothing was saved with it. Run the cell.";
  if (state === "frozen") return `${closed ? "This map was closed." : "The kernel has gone."} Run the cell again.`;
  if (state === "busy") return "The kernel is busy. The first picture comes when its cell ends.";
  return state === "waiting" ? "waiting for the kernel" : "the first picture is on its way";
}
