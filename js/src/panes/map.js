// The map: what part of the plane is seen, drawn at most once per animation frame and only when something changed.

import {beyond, drawn, lookupTable, undrawn} from "../colour.js";
import {fade, ladder, rungsOf, widened} from "../ladder.js";
import {BLEND_MS, Plan} from "../plan.js";
import {Renderers} from "../render/choice.js";
import {spanOf} from "../render/curve.js";
import {steepness} from "../render/relief.js";
import {errorOf} from "../tiles.js";
import {h} from "../ui/dom.js";
import {PALETTE} from "../ui/theme.js";
import {Viewport} from "../viewport.js";

/**
 * @typedef {import("../session.js").Session} Session
 * @typedef {import("../plan.js").Subject} Subject
 * @typedef {import("../ladder.js").Ladder} Ladder
 * @typedef {[number, number]} Point
 * @typedef {{drawn(pane: MapPane): void, viewed(viewport: Viewport): void, stopped(closest: boolean): void}} Listener
 *   after each frame; after each move; when a view was asked for that is closer than the closest, or wider than the widest
 */

/** More than two device pixels per CSS pixel are not seen, but paid for. */
const MOST_RATIO = 2;
/** How grey an old scene is drawn. */
const OLD = 0.5;
/** How much smaller, each way, a picture out of sight is kept. */
const SMALLER = 8;
export class MapPane {
  canvas = h("canvas", {class: "la-canvas"});
  /** @type {Viewport | null} */
  viewport = null;
  /** The view it is on its way to, whose tiles are wanted instead of those of all the views before it. @type {Viewport | null} */
  bound = null;
  /** Whether the view is the home view, which stays fitted when the frame changes. */
  atHome = true;
  visible = true;
  /** What the last frame drew. @type {Subject | null} */
  subject = null;
  /** @type {import("../render/shade.js").Quad[]} */
  quads = [];
  /** What the renderer was given last; positions and values are relative to what is in the middle. @type {import("../render/shade.js").Frame | null} */
  picture = null;
  /** The drawn value that its values are relative to. */
  origin = 0;
  /** @type {[number, number] | null} */
  domain = null;
  /** @type {Ladder | null} */
  ladder = null;
  /** @type {import("../ui/theme.js").Palette} */
  palette = PALETTE.light;
  renderers;
  frames = 0;
  /** Own script time of the last frames, ms. @type {number[]} */
  times = [];
  #plan;
  #context;
  #colormap = "";
  /** @type {Uint8Array} */
  #lut = new Uint8Array();
  /** @type {Point} */
  #size = [0, 0];
  /** @type {number | null} */
  #frame = null;
  /** @type {number | null} */
  #level = null;
  #held = false;
  #wants = true;
  /** Lines on their way from one ladder to the next. @type {{from: Ladder, since: number} | null} */
  #fading = null;
  /** @type {{from: [number, number], to: [number, number], since: number} | null} */
  #recolouring = null;
  /** Lines are listed for a wider range than is in sight, so that a pan does not change them at each step. @type {{lo: number, hi: number} | null} */
  #listed = null;
  /** Drawn values in sight. @type {{lo: number, hi: number} | null} */
  #sight = null;
  /** Drawn values per CSS pixel. */
  #steep = 0;
  /** What a tile may be off by, and of what. */
  #limit = {of: "", error: Number.NaN};
  #still = matchMedia("(prefers-reduced-motion: reduce)");

  /** @param {Session} session @param {Listener} listener */
  constructor(session, listener) {
    this.session = session;
    this.listener = listener;
    this.renderers = new Renderers(
      () => session.part("webgl"),
      () => this.invalidate(),
    );
    this.#plan = new Plan(session.store);
    this.#context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", {alpha: false}));
  }

  get ratio() {
    return Math.min(globalThis.devicePixelRatio || 1, MOST_RATIO);
  }

  get level() {
    return this.#level;
  }

  /** Whether this is a line: one axis, and a curve. */
  get onLine() {
    return this.session.scene?.axes.length === 1;
  }

  /** Lines as drawn now. */
  get levels() {
    return this.ladder?.levels ?? [];
  }

  /** The colours, the same array while they stay. */
  get lut() {
    const {colormap} = this.session;
    if (colormap !== this.#colormap) this.#lut = lookupTable(colormap);
    this.#colormap = colormap;
    return this.#lut;
  }

  /** What the last frame drew, unblended. */
  get squares() {
    return this.#plan.squares;
  }

  get rendererKind() {
    return this.renderers.of(this.onLine).kind;
  }

  /** @param {number} width @param {number} height CSS pixels */
  resize(width, height) {
    if (width < 1 || height < 1) return;
    this.#size = [width, height];
    if (this.viewport === null || this.atHome) this.home();
    else this.look(this.viewport.resized(width, height), false);
  }

  /** The view that was chosen elsewhere: the trait, a script. @param {{center: readonly number[], span: number}} view */
  setView({center, span}) {
    const [width, height] = this.#size;
    if (width < 1 || ![center[0], center[1], span].every(Number.isFinite) || !(span > 0)) return;
    this.bound = null; // whoever glides elsewhere ends there, also when it has not yet moved
    this.look(new Viewport([center[0], center[1]], span, width, height));
  }

  home() {
    const [width, height] = this.#size;
    if (width < 1) return;
    this.atHome = true;
    this.#see(Viewport.fit(this.session.scene?.home ?? [-1, 1, -1, 1], width, height));
  }

  /** What the home view shows in this frame, and at which level; null before there is a frame. */
  homeInSight() {
    const [width, height] = this.#size;
    if (width < 1) return null;
    const viewport = Viewport.fit(this.session.scene?.home ?? [-1, 1, -1, 1], width, height);
    return {rect: this.#seen(viewport).rect, level: viewport.level(this.ratio, null)};
  }

  /** @param {Viewport} viewport @param {boolean} [byHand] */
  look(viewport, byHand = true) {
    const possible = viewport.within(this.session.scene?.z ?? [-20, 16], this.ratio);
    if (byHand && !possible.equals(this.viewport)) this.atHome = false;
    if (byHand && possible !== viewport) this.listener.stopped(possible.span > viewport.span);
    this.#see(possible);
  }

  /** @param {Viewport} viewport */
  #see({center, span, width, height}) {
    const viewport = new Viewport([center[0], this.onLine ? 0 : center[1]], span, width, height);
    if (viewport.equals(this.viewport)) return;
    this.viewport = viewport;
    this.listener.viewed(viewport);
    this.changed();
  }

  /** What is seen of the plane; of a line, where b is 0, its height is none. @param {Viewport} viewport @returns {Viewport} */
  #seen(viewport) {
    const [a0, a1] = viewport.rect;
    return this.onLine ? Object.create(viewport, {rect: {value: [a0, a1, 0, 0]}}) : viewport;
  }

  /** Something that decides what is wanted has changed. */
  changed() {
    this.#wants = true;
    this.invalidate();
  }

  invalidate() {
    if (this.#frame !== null || !this.visible) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = null;
      this.draw();
    });
  }

  /** @param {boolean} held whether a gesture is under way */
  hold(held) {
    this.#held = held;
    if (!held) this.changed();
  }

  /** @param {boolean} visible */
  show(visible) {
    if (visible === this.visible) return;
    this.visible = visible;
    if (visible) {
      // At once: the next picture of the page is to be the whole one.
      this.#wants = true;
      this.draw();
    } else {
      if (this.#frame !== null) cancelAnimationFrame(this.#frame);
      this.#frame = null;
      this.#shrink();
      this.session.wantsChanged();
    }
  }

  /** Out of sight the pixels are given back, all but a small picture: a page that jumps here shows it for a frame. */
  #shrink() {
    this.renderers.rest();
    const {canvas} = this;
    const [width, height] = [canvas.width, canvas.height].map((side) => Math.ceil(side / SMALLER));
    const small = new OffscreenCanvas(width, height);
    small.getContext("2d")?.drawImage(canvas, 0, 0, width, height);
    canvas.width = width;
    canvas.height = height;
    this.#context.drawImage(small, 0, 0);
  }

  close() {
    this.visible = false;
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.renderers.dispose();
  }

  /** What is drawn at a point of the plane, in the field's own unit; null where nothing is. @param {Point} point */
  valueAt([a, across]) {
    const b = this.onLine ? 0 : across;
    const target = this.#target();
    const subject = target && this.#ready(target);
    const found = subject && this.#plan.at(subject, a, b);
    return found ? undrawn(found.value, subject.scale) : null;
  }

  /** What the value there may be off by, in the field's own unit; null where that is not known. @param {Point} point */
  errorAt([a, across]) {
    const subject = this.subject;
    const found = subject && this.#plan.at(subject, a, this.onLine ? 0 : across);
    const error = found ? errorOf(found.tile.data, subject.scale) : null;
    return error !== null && subject?.scale === "log" && found ? Math.exp(found.value) * Math.expm1(error) : error;
  }

  /** Nodes per side of the tile drawn in the middle (0: none), whether its cells' centres came too, and its level. */
  centre() {
    const tile = this.subject && this.viewport && this.#plan.at(this.subject, ...this.viewport.center)?.tile;
    return {nodes: tile?.data.nodes ?? 0, centres: tile?.data.centres != null, z: tile?.data.z ?? null};
  }

  /** The tile that stands for an address as it is, good enough; null where a better one is to come. @param {import("../tiles.js").TileAddress} address */
  sufficient(address) {
    const subject = this.subject;
    return subject && this.#plan.sufficient(subject, address);
  }

  /** Tiles on screen, with the nodes per side that are known of each. */
  tiles() {
    const {hash, field} = this.subject ?? {hash: "", field: 0};
    return [...this.#plan.squares.values()].map(({address, to}) => {
      const nodes = this.session.store.get(hash, field, address)?.data.nodes ?? 0;
      return {...address, nodes, key: to.key};
    });
  }

  /** What this view wants, best first; null while nobody sees it. @returns {import("../session.js").ViewRequest | null} */
  request() {
    const subject = this.#target(this.bound);
    if (!this.visible || subject === null || this.session.scene === null) return null;
    const {center, span, width, height} = subject.viewport;
    const {tiles, shown} = this.#plan.wants(subject, this.session.scene.z);
    const waits = this.subject !== null && this.subject.hash !== subject.hash;
    const wanted = this.onLine ? tiles.filter(([, , y]) => y === 0) : tiles;
    const {allowed, scale} = subject;
    const error = Number.isNaN(allowed) ? null : allowed;
    const tolerance = allowed === null ? null : {share: this.session.tolerance, scale, error};
    const size = {width: Math.round(width), height: Math.round(height)};
    return {view: {center, span, ...size}, tiles: wanted, shown, waits, tolerance};
  }

  /** The colours span what is in sight. */
  fit() {
    const range = this.viewport && this.#plan.range(this.viewport);
    if (range && range.hi > range.lo) this.session.fit([range.lo, range.hi]);
  }

  capped = () => beyond(this.#sight, this.domain);

  /** What should be on screen, or soon. @param {Viewport | null} [bound] @returns {Subject | null} */
  #target(bound) {
    const {hash, field, scale} = this.session;
    const viewport = bound ?? this.viewport;
    if (hash === null || viewport === null) return null;
    const [lowest, highest] = this.session.scene?.z ?? [-20, 16];
    const level = Math.min(Math.max(viewport.level(this.ratio, this.#level, this.#held && !bound), lowest), highest);
    return {hash, field, scale, viewport: this.#seen(viewport), level, allowed: this.#allowed(field, scale)};
  }

  /** The old scene stays until the new one has a first pass everywhere in sight, also for whoever reads. @param {Subject} target */
  #ready(target) {
    const old = this.subject;
    const stays = old !== null && old.hash !== target.hash && this.#plan.squares.size > 0 && !this.#plan.covers(target);
    return stays ? {...target, hash: old.hash} : target;
  }

  /**
   * What a tile may be off by on this scale: a share of the range in sight, in steps, so that it does not change with every
   * pass; NaN while that is not known, null where every node is wanted.
   * @param {number} field @param {import("../tiles.js").Scale} scale
   */
  #allowed(field, scale) {
    const share = this.session.tolerance;
    if (!share) return null;
    const range = this.#sight ? this.#sight.hi - this.#sight.lo : Number.NaN;
    const most = share * range;
    const of = `${share}/${field}/${scale}`;
    const {of: last, error} = this.#limit;
    if (of !== last || !(error <= most && most < 2 * error))
      this.#limit = {of, error: 2 ** (Math.floor(2 * Math.log2(most)) / 2)};
    return this.#limit.error;
  }

  draw() {
    const target = this.#target();
    const {viewport} = this;
    if (target === null || viewport === null) return;
    const started = performance.now();
    const blend = this.#still.matches ? 0 : BLEND_MS;
    this.#level = target.level;
    const subject = this.#ready(target);
    this.subject = subject;
    const {moving} = this.#plan.update(subject, started, blend);
    const colours = this.onLine ? this.#values(viewport) : this.#colours(started, blend);
    const fading = this.#lines(subject, started, blend);

    const [width, height] = this.#fitCanvas(viewport);
    const origin = this.#origin(subject, viewport);
    this.origin = origin;
    const {scale} = subject;
    this.quads = this.#plan.quads(viewport, this.ratio, origin, started, blend);
    this.picture = {
      width,
      height,
      pixelRatio: this.ratio,
      quads: this.quads,
      lut: this.lut,
      domain: [colours[0] - origin, colours[1] - origin],
      relief: this.session.relief,
      steep: this.#steep,
      levels: this.#isolines(fading).map((level) => ({...level, value: drawn(level.value, scale) - origin})),
      ...this.palette,
      marks: this.#marks(viewport),
      desaturate: subject === target ? 0 : OLD,
      hurried: this.#held,
    };
    this.renderers.draw(this.picture, this.#context, this.onLine);
    this.frames++;
    this.listener.drawn(this);
    if (this.#wants) {
      this.#wants = false;
      this.session.wantsChanged();
    }
    if (moving || this.#fading !== null || this.#recolouring !== null) this.invalidate();
    this.times.push(performance.now() - started - this.renderers.copied);
    if (this.times.length > 120) this.times.shift();
  }

  /** @param {Ladder["levels"]} levels */
  #isolines(levels) {
    return this.onLine || this.session.layers.includes("isolines") ? levels : [];
  }

  /** Positions and values are sent to the renderer relative to what is in the middle. @param {Subject} subject @param {Viewport} viewport */
  #origin(subject, viewport) {
    const value = this.#plan.at(subject, ...viewport.center)?.value;
    if (value !== undefined && Number.isFinite(value)) return value;
    const [first] = this.#plan.squares.values();
    return first?.to.offset ?? 0;
  }

  /** The drawn values that a curve spans. @param {Viewport} viewport */
  #values(viewport) {
    this.domain = spanOf(this.#plan.squares.values(), viewport.rect) ?? this.domain ?? [0, 1];
    return this.domain;
  }

  /** Where marked points of a line lie, in device pixels. @param {Viewport} viewport */
  #marks(viewport) {
    const points = (this.onLine && this.session.scene?.points) || [];
    return points.map(({name, a}) => ({name, x: viewport.toPixels([a, 0])[0] * this.ratio}));
  }

  /** The row of a value on the axis of a curve, CSS pixels. @param {number} value */
  rowOf(value) {
    const [lo, hi] = this.domain ?? [0, 1];
    return ((this.viewport?.height ?? 0) * (hi - drawn(value, this.session.scale))) / (hi - lo || 1);
  }

  /** The colour domain, on its way to a new one. @param {number} now @param {number} blend @returns {[number, number]} */
  #colours(now, blend) {
    const wanted = this.session.domain ?? this.domain ?? [0, 1];
    const shown = this.domain;
    const going = this.#recolouring;
    const sameScale = this.#domainScale === `${this.session.field}/${this.session.scale}`;
    this.#domainScale = `${this.session.field}/${this.session.scale}`;
    if (!sameScale) this.#steep = 0;
    if (shown === null || !sameScale || blend === 0) {
      this.#recolouring = null;
      this.domain = wanted;
    } else if (`${wanted}` !== `${going?.to ?? shown}`) {
      this.#recolouring = {from: shown, to: wanted, since: now};
    } else if (going !== null) {
      const t = Math.min((now - going.since) / blend, 1);
      if (t >= 1) this.#recolouring = null;
      const mix = (/** @type {0 | 1} */ end) => going.from[end] + t * (going.to[end] - going.from[end]);
      this.domain = t >= 1 ? going.to : [mix(0), mix(1)];
    }
    return this.domain ?? wanted;
  }
  #domainScale = "";

  /** The isolines of what is in sight, new ones fading in. @param {Subject} subject @param {number} now @param {number} blend */
  #lines({scale, viewport}, now, blend) {
    const [from0, to0] = this.domain ?? [0, 0];
    const own = this.onLine ? {lo: from0, hi: to0} : (this.#plan.range(viewport) ?? {lo: 0, hi: 0});
    this.#sight = this.onLine && this.domain === null ? null : own.hi > own.lo ? own : null;
    if (this.#sight) this.#steep = steepness(this.#steep, this.#sight, viewport);
    const last = this.ladder;
    const span = /** @type {[number, number]} */ ([own.lo, own.hi]);
    const {levels, linked} = this.session;
    // Linked maps have the lines of all that they show, and one memory of those before.
    const all = (this.#sight && linked?.levels(span, scale)) ?? {span, ladder: last, listed: this.#listed};
    const [low, high] = all.span;
    const listed = widened({lo: low, hi: high}, all.ladder?.scale === scale ? all.listed : null);
    const [lo, hi, from, to] = [low, high, listed.lo, listed.hi].map((value) => undrawn(value, scale));
    const next = levels.length > 0 ? rungsOf(levels, scale) : ladder({lo, hi, scale, previous: all.ladder, from, to});
    this.#listed = all.listed = listed;
    all.ladder = next;
    if (last !== null && last.scale === scale && last.rung !== next.rung && blend > 0)
      this.#fading = {from: last, since: now};
    if (last?.scale !== scale) this.#fading = null;
    this.ladder = next;
    if (this.#fading === null) return next.levels;
    const t = (now - this.#fading.since) / blend;
    const before = this.#fading.from;
    if (t >= 1) this.#fading = null;
    return fade(before.levels, next.levels, Math.min(t, 1));
  }

  /** @param {Viewport} viewport @returns {Point} device pixels */
  #fitCanvas(viewport) {
    const width = Math.round(viewport.width * this.ratio);
    const height = Math.round(viewport.height * this.ratio);
    // Assigning either clears the canvas, so only when it is another.
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    return [width, height];
  }
}
