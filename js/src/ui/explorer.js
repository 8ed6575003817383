// One view of an explorer: the card with its map, controls and status line, wired to what the views of a model share.

import {kindOf, undrawn} from "../colour.js";
import {isView} from "../model.js";
import {MapPane} from "../panes/map.js";
import {LOOK} from "../render/shade.js";
import {CELLS, cover} from "../tiles.js";
import {Axes} from "./axes.js";
import {Bar, labelsOf} from "./bar.js";
import {countNodes, NONE} from "./counts.js";
import {h, say} from "./dom.js";
import {attachGestures} from "./gestures.js";
import {Header} from "./header.js";
import {Readout} from "./readout.js";
import {StatusLine} from "./status.js";
import {PALETTE, watchTheme} from "./theme.js";

/** @typedef {import("../session.js").Session} Session */
/** @typedef {import("../session.js").Change} Change */

/** @typedef {import("./host.js").Piece} Piece */
/** @typedef {import("./host.js").Room} Room */
/** @typedef {import("../viewport.js").Viewport} Viewport */

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
  #sliders = h("div", {class: "la-sliders"});
  #readout;
  #status = new StatusLine();
  #area = h("div", {class: "la-area"});
  #map = h("div", {class: "la-map"});
  #blank = h("div", {class: "la-blank"});
  #hint = h("div", {class: "la-hint", "aria-hidden": "true"});
  #greeted = false;
  #error = h("div", {class: "la-note la-error", role: "status"});
  #stale = h("div", {class: "la-note", role: "status"});
  #room = ROOM;
  /** What parts have reserved of it. @type {Partial<Room>} */
  #reserved = {};
  #visible = true;
  #updateTheme = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #hinting;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #saving;
  /** What parts have put into this view. @type {Piece[]} */
  #pieces = [];
  /** What is beside the map once a point was clicked. @type {import("../point/index.js").Point | null} */
  #point = null;
  /** Whether the instrument is here, or on its way. */
  #equipped = false;
  #counts = NONE;
  #countsDue = true;
  /** What gestures and buttons do: parts may do it in their own way. @type {import("./gestures.js").Hands} */
  #hands = {
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
  };

  /** @param {Session} session @param {AbortSignal} signal */
  constructor(session, signal) {
    this.#session = session;
    this.#signal = signal;
    const {model} = session;
    this.#pane = new MapPane(session, {
      drawn: () => this.#afterFrame(),
      viewed: (viewport) => this.#viewed(viewport),
      stopped: (closest) => this.#hands.refuse?.(closest),
    });
    this.#header = new Header(
      {
        scale: (chosen) => this.#choose("scale", chosen),
        field: (name) => {
          // What the colours were fitted to were values of another field.
          model.set("domain", []);
          this.#choose("field", name);
        },
        tolerance: (share) => this.#choose("tolerance", share),
        home: () => this.#hands.home(),
        zoom: (factor) => this.#hands.zoomAt(factor),
      },
      signal,
    );
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
    this.element = this.#build();
    this.#pane.renderers.preferred = model.get("renderer") ?? "auto";
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

  /** @param {{center: number[], span: number}} view */
  setView(view) {
    this.#pane.setView(view);
  }

  /** @param {Change} what */
  onChange(what) {
    for (const piece of this.#pieces) piece.changed?.(what);
    if (what === "state") this.#equip();
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
    this.#area.append(canvas, vertical, horizontal, this.#blank, this.#hint, this.#error, this.#stale, pill);
    this.#map.append(this.#axes.element, this.#area, this.#bar.element);
    const refresh = h("button", {type: "button"}, "Refresh");
    refresh.addEventListener("click", () => this.#session.source.order("refresh"), {signal: this.#signal});
    this.#stale.append(h("span", {}, "The model has changed since this map."), refresh);
    const dismiss = h("button", {type: "button", "aria-label": "dismiss"}, "×");
    dismiss.addEventListener("click", () => this.#session.dismissError(), {signal: this.#signal});
    this.#error.append(h("span"), dismiss);
    this.#bar.fit.addEventListener("click", () => this.#pane.fit(), {signal: this.#signal});
    this.#bar.auto.addEventListener("click", () => this.#session.fit(null), {signal: this.#signal});
    const body = h("div", {class: "la-body"}, this.#map);
    const root = h(
      "div",
      {
        class: "lossatlas",
        dir: "ltr",
        tabindex: 0,
        role: "application",
        "aria-label": "Map of the loss",
        "aria-description": "Arrows pan, plus and minus zoom, 0 is home, Enter reads the value in the middle.",
        // JupyterLab has shortcuts for the same keys, and a menu for the same button.
        "data-lm-suppress-shortcuts": "true",
        "data-jp-suppress-context-menu": "",
      },
      this.#header.element,
      body,
      this.#sliders,
      this.#status.element,
      live,
    );
    // JupyterLab looks from the focused element upwards, and its own selectors may match before it comes to the root.
    for (const control of root.querySelectorAll("input, select, button"))
      control.setAttribute("data-lm-suppress-shortcuts", "true");
    return root;
  }

  #listen() {
    const signal = this.#signal;
    attachGestures(this.element, this.#area, this.#hands, signal);
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
    // A cell that scrolls out of sight draws nothing and wants nothing, nor does a page behind another.
    let onPage = true;
    const show = () => {
      this.#visible = onPage && !document.hidden;
      this.#pane.show(this.#visible);
    };
    const seen = new IntersectionObserver((entries) => {
      onPage = entries[entries.length - 1].isIntersecting;
      show();
    });
    seen.observe(this.element);
    document.addEventListener("visibilitychange", show, {signal});
    signal.addEventListener("abort", () => {
      resized.disconnect();
      seen.disconnect();
    });
    // Another screen leaves the map's size in CSS pixels as it is, and its pixels too few or too many.
    const sharpen = () => {
      this.#pane.changed();
      const now = matchMedia(`(resolution: ${devicePixelRatio}dppx)`);
      now.addEventListener("change", sharpen, {once: true, signal});
    };
    sharpen();
    // On paper every map is in sight.
    addEventListener("beforeprint", () => this.#pane.draw(), {signal});
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
    const {right: aside = 0, top: above = 0} = this.#reserved;
    const wanted = Number(this.#session.model.get("height") ?? HEIGHT) || HEIGHT;
    // Higher than wide, a narrow map would be mostly outside the home extent.
    const height = Math.max(160, size === "narrow" ? Math.min(wanted, width - right + bottom) : wanted) + above;
    this.#map.style.height = `${height}px`;
    const px = (/** @type {number} */ length) => `${length}px`;
    Object.assign(this.#area.style, {
      left: px(left),
      top: px(top + above),
      right: px(right + aside),
      bottom: px(bottom),
    });
    Object.assign(this.#bar.element.style, {top: px(top + above), bottom: px(bottom), right: "0", width: px(right)});
    this.#sliders.style.paddingLeft = `${left}px`;
    const before = this.#pane.viewport;
    this.#pane.resize(width - left - right - aside, height - top - bottom - above);
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
    this.#pane.renderers.preferred = model.get("renderer") ?? "auto";
    this.#layout();
  }

  /** @param {Viewport} viewport */
  #viewed({center, span}) {
    this.#countsDue = true;
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => this.#session.tell({center: [...center], span}), SAVE_VIEW_AFTER);
  }

  /** @param {(view: Viewport) => Viewport} change */
  #look(change) {
    const {viewport} = this.#pane;
    if (viewport !== null) this.#pane.look(change(viewport));
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
    const {answers, local} = this.#session.source;
    const part = (answers || local?.spectra.length) && (await this.#session.part("point"));
    if (!part) return this.#showHint("A kernel is needed to measure a point");
    this.#point ??= /** @type {import("../point/index.js").Point} */ (this.#open(part));
    // Since then it was zoomed: it was a double click. The frame may have got another size while the part was on its way.
    const now = this.#pane.viewport;
    const zoomed = now !== viewport && now?.width === viewport?.width && now?.height === viewport?.height;
    if (at && !zoomed) this.#point?.press(at);
  }

  /** What the first picture can do without comes after it. */
  async #equip() {
    const {state, local} = this.#session.source;
    if (this.#equipped || !(state === "live" || local) || this.#pane.frames === 0) return;
    this.#equipped = true;
    const part = await this.#session.part("instrument");
    this.#equipped = part !== null;
    if (part && !this.#signal.aborted) this.#open(part);
    // What was found at points stands on the map.
    const point = part && local?.spectra.length && (await this.#session.part("point"));
    if (point && !this.#signal.aborted) this.#point ??= /** @type {any} */ (this.#open(point));
  }

  /** @param {{open(host: import("./host.js").Host): Piece}} part */
  #open(part) {
    const piece = part.open({
      root: this.element,
      map: this.#map,
      area: this.#area,
      sliders: this.#sliders,
      session: this.#session,
      pane: this.#pane,
      header: this.#header,
      bar: this.#bar,
      status: this.#status,
      readout: this.#readout,
      lines: LOOK,
      axes: (at) => this.#drawAxes(new Axes(), at),
      hands: this.#hands,
      signal: this.#signal,
      look: (change) => this.#look(change),
      hint: (text, ms) => this.#showHint(text, ms),
      press: (pixels) => this.#press(pixels),
      announce: (text) => this.#readout.speak(text),
      reserve: (more) => {
        this.#reserved = {...this.#reserved, ...more};
        this.#layout();
      },
    });
    this.#pieces.push(piece);
    // JupyterLab looks from the focused element upwards, and its own selectors may match before it comes to the root.
    for (const control of this.element.querySelectorAll("input, select, button"))
      control.setAttribute("data-lm-suppress-shortcuts", "true");
    this.#pane.invalidate();
    return piece;
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
    this.#drawAxes(this.#axes, {left: this.#room.left, top: this.#room.top + (this.#reserved.top ?? 0)});
    if (domain !== null && !pane.onLine) {
      const {levels, lut, ratio} = pane;
      const {locked} = this.#session;
      this.#bar.draw({domain, scale, levels, lut, height: viewport.height, ratio, capped: pane.capped(), locked});
    }
    this.#readout.draw();
    for (const piece of this.#pieces) piece.draw?.();
    this.element.dataset.renderer = pane.rendererKind;
    this.#equip();
    if (this.#countsDue) {
      this.#countsDue = false;
      this.#counts = countNodes(this.#pane, this.#session);
      this.#describe();
    }
  }

  /** @param {Axes} axes @param {{left: number, top: number}} at where the area lies in their picture */
  #drawAxes(axes, at) {
    const {viewport, domain, subject, onLine} = this.#pane;
    if (!viewport || !subject) return axes.element;
    const values = onLine && domain ? this.#values(domain, subject.scale, viewport.height) : null;
    axes.draw(viewport, at, this.#session.scene?.axes ?? [], values);
    return axes.element;
  }

  /** The axis of a curve. @param {[number, number]} domain @param {import("../tiles.js").Scale} scale @param {number} height */
  #values(domain, scale, height) {
    const name = this.#session.fieldName + (scale === "linear" ? "" : ` · ${kindOf(scale)} scale`);
    return {name, ...labelsOf(domain, scale, height), key: `${name}${domain}`};
  }

  /** The words of the card: cheap, and only what differs is touched. */
  #describe() {
    const session = this.#session;
    const {scene, source, status, error, model} = session;
    const {state} = source;
    const slice = this.#pane.onLine ? "line" : "plane";
    Object.assign(this.element.dataset, {state, slice, epoch: String(session.epoch)});
    this.#header.draw(scene, session.fieldName, model.get("scale") ?? "auto", session.scale, session.tolerance);
    this.#sliders.hidden = !scene?.turns || !source.answers;
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
      bound: source.local?.boundOf(session.fieldName, this.#pane.viewport?.rect ?? []),
    });
    const nothing = this.#pane.tiles().length === 0;
    this.#blank.hidden = !nothing;
    const isBaked = model.get("_baked")?.byteLength > 0;
    say(this.#blank, nothing ? blankWords(isBaked ? "live" : state, closed) : "");
    this.#error.hidden = error === null;
    say(/** @type {Element} */ (this.#error.firstElementChild), error ?? "");
    this.#stale.hidden = status?.model_changed !== true || !source.answers;
  }

  /** What scripts and tests may ask. */
  #expose() {
    const session = this.#session;
    const pane = this.#pane;
    const api = {
      stats: () => ({
        frames: pane.frames,
        drawMs: pane.times.at(-1) ?? null,
        copyMs: pane.renderers.copied,
        messages: session.messages,
        pending: session.source.pending,
        centre: pane.centre(),
        level: pane.level,
        ...countNodes(pane, session),
        complete: this.#complete() && pane.bound === null,
        epoch: session.epoch,
        hash: pane.subject?.hash ?? null,
        scale: session.scale,
        domain: pane.domain?.map((value) => undrawn(value, session.scale)) ?? null,
        isolines: pane.levels.map(({value}) => value),
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

/** @param {import("../source/comm.js").State} state @param {boolean} closed */
function blankWords(state, closed) {
  if (state === "static") return "There is no kernel behind this map, and nothing was saved with it. Run the cell.";
  if (state === "frozen") return `${closed ? "This map was closed." : "The kernel has gone."} Run the cell again.`;
  if (state === "busy") return "The kernel is busy. The first picture comes when its cell ends.";
  return state === "waiting" ? "waiting for the kernel" : "the first picture is on its way";
}
