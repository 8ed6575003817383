// What the views of one model share: the connection, the tiles, the scene and its scales. One listener per model, one
// merged want for all its views in this page.

import {autoScale, domainOf, drawn, isDiverging, undrawn} from "./colour.js";
import {commLive, isSameView, isView} from "./model.js";
import {pageId, partOf, unbaked} from "./page.js";
import {merged} from "./plan.js";
import {isScene} from "./protocol.js";
import {CommSource} from "./source/comm.js";
import {cover, nodesIn, suffices, TileStore} from "./tiles.js";

/**
 * @typedef {import("@anywidget/types").AnyModel} Model
 * @typedef {import("./protocol.js").Scene} Scene
 * @typedef {import("./protocol.js").Position} Position
 * @typedef {import("./protocol.js").Status} Status
 * @typedef {import("./protocol.js").Wanted} Wanted
 * @typedef {import("./tiles.js").Scale} Scale
 * @typedef {import("./source/comm.js").Request} Request
 * @typedef {Omit<Request, "fields" | "tolerance"> & {waits: boolean, tolerance: import("./protocol.js").Tolerance | null}} ViewRequest
 *   waits: it still shows the plane before
 * @typedef {{
 *   request(): ViewRequest | null, homeInSight(): {rect: readonly number[], level: number} | null, onChange(what: Change): void,
 *   setView(view: {center: number[], span: number}): void
 * }} SessionView  request: null while hidden; homeInSight: what the home view shows, with what its frame has room for beside it
 * @typedef {"tiles" | "scene" | "status" | "state" | "scale" | "error" | "style" | "runs"} Change
 */

/** The domain follows the home view's later passes only where they differ by more than this share of it. */
const DOMAIN_SLACK = 0.08;
/** Another plane of the same landscape keeps the domain, unless its values leave it by this share. */
const FAMILY_SLACK = 0.6;
const SAVE_EVERY = 33;
/** After so many ms a plane whose first pass has not come, since its view was not known when it was made, is asked for it. */
const PATIENCE = 150;

/** What decides the plane, each a trait of its own. */
const CONTROLS = /** @type {const} */ ([
  ...["turn_u", "turn_v", "offset"],
  ...["u_from", "u_to", "v_from", "v_to", "offset_along"],
]);

/** Traits that decide what is drawn of a value, and those that decide the rest of the picture. */
const OF_SCALE = ["scale", "field", "tolerance", "domain", "colormap"];
const OF_STYLE = "theme renderer height bookmarks around layers levels relief".split(" ").concat(CONTROLS);

/** @param {any} at */
const placeOf = (at) => CONTROLS.map((name) => at[name] || "").join("/");

export class Session {
  store = new TileStore();
  /** @type {Set<SessionView>} */
  views = new Set();
  /** @type {Scene | null} */
  scene = null;
  /** @type {Status | null} */
  status = null;
  /** @type {string | null} */
  error = null;
  /** Whether a slider is in the user's hand: only a new view is told until it is let go. */
  dragging = false;
  /** What a tile may be off by on the scale in use, as a view said last; null: nothing. @type {number | null} */
  allowed = null;
  /** Tiles messages taken in. */
  messages = 0;
  /** What it shares with other explorers, once the part that does so is here. @type {import("./instrument/linked.js").Linked | null} */
  linked = null;

  /** What came of runs before the part that draws them. @type {[head: any, buffers: DataView[]][]} */
  told = [];
  /** All of them, once that part is here. @type {import("./runs/store.js").Runs | null} */
  runs = null;
  /** Rows of a run have come. @param {any} head @param {DataView[]} buffers */
  tellRun = (head, buffers) => {
    this.told.push([head, buffers]);
    this.#tell("runs");
  };

  /** Hash of the scene that the sliders' place showed before, while the kernel's word is on its way. @type {string | null} */
  #predicted = null;
  /** @type {Map<string, string>} */
  #known = new Map();
  /** Colour domains in drawn values, by field and scale. @type {Map<string, {domain: [number, number], hash: string, settled: boolean}>} */
  #domains = new Map();
  /** @type {import("./colour.js").Kind} */
  #auto = "linear";
  /** c of a field's symmetric logarithm, chosen from its first home view: a power of ten. @type {Map<number, number>} */
  #linthresh = new Map();
  /** What its own values ask for. @type {import("./colour.js").Chosen | null} */
  #asked = null;
  /** Where the views looked when it was last said. */
  #looks = "";
  #enteredAt = 0;
  /** The scene of which not every tile can be had. @type {string | null} */
  #holed = null;
  #savedAt = Number.NEGATIVE_INFINITY;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #saving = null;
  #off;

  /** @param {Model} model the proxy given to `initialize` */
  constructor(model) {
    this.model = model;
    this.source = new CommSource({
      send: (head) => model.send(head),
      commLive: () => commLive(model),
      onMessage: (message) => this.#take(message),
      onState: () => {
        if (this.source.state === "static") this.#unbake();
        this.#tell("state");
      },
      renderer: model.get("renderer") ?? "auto",
      visible: () => document.visibilityState !== "hidden" && [...this.views].some((view) => view.request() !== null),
    });
    const saved = model.get("scene");
    if (isScene(saved)) this.#enter(saved);

    const onScale = () => {
      this.#measure();
      this.#tell("scale");
    };
    const onView = () => {
      const view = model.get("view");
      // What this page has told comes back to it, also by way of linked explorers, when it may look elsewhere by then.
      const told = model.get("_view_by") === pageId();
      if (!told && isView(view)) for (const one of this.views) one.setView(view);
    };
    const onCustom = (/** @type {any} */ head, /** @type {DataView[]} */ buffers) =>
      head?.k === "path" || head?.k === "curves" ? this.tellRun(head, buffers) : this.source.receive(head, buffers);
    /** @type {[event: string, listener: (...args: any[]) => void][]} */
    const ears = [
      ["msg:custom", onCustom],
      ["comm_live_update", () => this.source.commChanged()],
      ["change:view", onView],
    ];
    const onStyle = () => this.#tell("style");
    for (const name of OF_SCALE) ears.push([`change:${name}`, onScale]);
    for (const name of OF_STYLE) ears.push([`change:${name}`, onStyle]);
    for (const [event, listener] of ears) model.on(event, listener);
    this.#off = () => {
      for (const [event, listener] of ears) model.off(event, listener);
    };
  }

  /** Draw what was baked, where there is no kernel. */
  async #unbake() {
    const data = this.model.get("_baked");
    if (!data?.byteLength || this.source.local) return;
    const local = await unbaked(this, data).catch(() => null);
    if (local === null) this.error = "What was saved of this map cannot be read. Run the cell again.";
    if (this.source.state !== "static") return; // a kernel has come
    this.source.local = local;
    this.#tell("state");
  }

  /** Show a scene that was baked. @param {Scene} scene */
  restore(scene) {
    this.#enter(scene);
    this.#tell("scene");
  }

  /** @param {SessionView} view */
  join(view) {
    this.views.add(view);
    // A scene that came with the widget's state is a name only: the kernel must not believe that we have its tiles.
    const hash = this.scene?.hash ?? null;
    this.source.open(hash !== null && this.store.holds(hash) ? hash : null);
  }

  /** @param {SessionView} view @param {() => boolean} wasRemoved asked two seconds later, if no other view has come */
  leave(view, wasRemoved) {
    this.views.delete(view);
    if (this.views.size > 0) return this.wantsChanged();
    this.source.leave(false);
    setTimeout(() => {
      if (this.views.size === 0 && wasRemoved()) this.source.leave(true);
    }, 2000);
  }

  close() {
    this.#off();
    this.source.close();
    if (this.#saving !== null) clearTimeout(this.#saving);
  }

  /** Hash of the scene to show: where the sliders stand, if that was shown before, else what the kernel last said. */
  get hash() {
    return this.#predicted ?? this.scene?.hash ?? null;
  }

  get epoch() {
    return this.source.epoch;
  }

  get field() {
    const name = this.model.get("field");
    return Math.max(0, this.scene?.fields.findIndex((field) => field.name === name) ?? 0);
  }

  get fieldName() {
    return this.scene?.fields[this.field]?.name ?? "loss";
  }

  /** @returns {Scale} */
  get scale() {
    const chosen = this.model.get("scale");
    const auto = this.#auto === "log" && isDiverging(this.colormap) ? "linear" : this.#auto;
    const scale = ["linear", "log", "symlog"].includes(chosen) ? chosen : auto;
    return scale === "symlog" ? `symlog:${this.#linthresh.get(this.field) || 1}` : scale;
  }

  /** The share of the range in sight that the map may be off by; 0: every node is evaluated. @returns {number} */
  get tolerance() {
    return this.model.get("tolerance") || 0;
  }

  /** Names of the layers that are shown. @returns {string[]} */
  get layers() {
    return this.model.get("layers") ?? ["isolines"];
  }

  /** Values that have a line; none: round ones, as many as suit the view. @returns {number[]} */
  get levels() {
    return this.model.get("levels") ?? [];
  }

  /** How strong the relief is, 0 to 1. @returns {number} */
  get relief() {
    return this.layers.includes("relief") ? (this.model.get("relief") ?? 0) : 0;
  }

  /** @returns {string} */
  get colormap() {
    return this.model.get("colormap") ?? "viridis";
  }

  /** Whether the colour domain is that of the trait, in the field's own unit, rather than that of the home view. */
  get locked() {
    return this.model.get("domain")?.length === 2;
  }

  /** Drawn values that get the first and the last colour. @returns {[number, number] | null} */
  get domain() {
    const {scale, model} = this;
    const chosen = this.locked && model.get("domain").map((/** @type {number} */ value) => drawn(value, scale));
    if (chosen && chosen[0] < chosen[1]) return chosen;
    const own = this.#domains.get(`${this.field}/${scale}`)?.domain ?? null;
    const found = own && (this.linked?.domain(own, scale) ?? own);
    // The middle of a diverging colour map is for 0, which has no logarithm.
    if (found === null || scale === "log" || !isDiverging(this.colormap)) return found;
    const most = Math.max(-found[0], found[1]);
    return [-most, most];
  }

  /** Tell the model where a view looks. @param {{center: number[], span: number}} view */
  tell(view) {
    if (isSameView(view, this.model.get("view"))) return; // it was moved there by whoever told that
    this.model.set("_view_by", pageId());
    this.model.set("view", view);
    this.save(0);
  }

  /** Let the colours span these drawn values, and keep them; null: those of the home view again. @param {[number, number] | null} domain */
  fit(domain) {
    const {scale} = this;
    this.model.set("domain", domain === null ? [] : domain.map((w) => undrawn(w, scale)));
    this.save(0);
    this.#tell("scale");
  }

  /** The level whose tiles hold the home extent in about two by two. */
  get homeLevel() {
    const [a0, a1, b0, b1] = this.scene?.home ?? [-1, 1, -1, 1];
    return Math.round(1 - Math.log2(Math.max(a1 - a0, b1 - b0)));
  }

  /** @returns {Position} where the sliders stand */
  get position() {
    return /** @type {any} */ (
      Object.fromEntries(CONTROLS.map((name, i) => [name, this.model.get(name) ?? (i < 3 ? 0 : "")]))
    );
  }

  /** Newest wins: the traits are set at once and saved at most thirty times a second. @param {Partial<Position>} change */
  move(change) {
    for (const [name, value] of Object.entries(change)) this.model.set(name, value);
    this.#predicted = this.#known.get(placeOf(this.position)) ?? null;
    if (this.#predicted === this.scene?.hash) this.#predicted = null;
    if (this.#predicted !== null) this.#tell("scene");
    this.save(SAVE_EVERY);
  }

  /** A slider is taken into the hand, or let go. @param {boolean} dragging */
  drag(dragging) {
    this.dragging = dragging;
    if (!dragging) {
      this.save(0);
      this.wantsChanged();
    }
  }

  /** Sync what was set on the model, at most once in `every` ms. @param {number} every */
  save(every) {
    if (this.#saving !== null) {
      if (every > 0) return;
      clearTimeout(this.#saving);
    }
    const rest = every - (performance.now() - this.#savedAt);
    this.#saving = setTimeout(
      () => {
        this.#saving = null;
        this.#savedAt = performance.now();
        try {
          this.model.save_changes();
        } catch {
          // Without a comm there is nobody to tell; the page goes on by itself.
        }
      },
      Math.max(0, rest),
    );
  }

  /** @param {[number, number]} at */
  probe(at) {
    return this.#predicted === null ? this.source.probe(at) : Promise.resolve(null);
  }

  /**
   * A part of the front end: the kernel sends it when the page first asks for it, and no notebook holds it.
   * @param {"ball" | "instrument" | "layers" | "point" | "runs" | "webgl"} name @returns {Promise<any>} null when it cannot be had
   */
  part(name) {
    return partOf(this.source, name);
  }

  /** One list for all views of this model: what each wants most, in turn. */
  wantsChanged() {
    if (this.scene === null || this.#predicted !== null) return;
    const requests = [...this.views].map((view) => view.request()).filter((request) => request !== null);
    const first = requests[0];
    if (first === undefined) {
      this.source.want(null);
      return;
    }
    const tiles = merged(requests.map((request) => request.tiles));
    const shown = merged(requests.map((request) => request.shown));
    // With a slider in the hand each new plane comes with its first pass where we look, unasked: only that has to be said.
    const looks = requests.map(({view}) => [...view.center, view.span, view.width, view.height]).join();
    const late = performance.now() - this.#enteredAt > PATIENCE && requests.some((request) => request.waits);
    if (this.dragging && looks === this.#looks && !late) return;
    this.#looks = looks;
    const limits = requests.map(({tolerance}) => tolerance);
    const tolerance = limits.includes(null)
      ? null
      : limits.reduce((least, next) => ((next?.error ?? 0) < (least?.error ?? 0) ? next : least));
    this.allowed = tolerance && (tolerance.error ?? Number.NaN);
    this.source.want({view: first.view, fields: [this.fieldName], tiles, shown, tolerance});
  }

  /** @param {import("./protocol.js").Message} message */
  #take(message) {
    switch (message.k) {
      case "ready":
        if (this.source.local) {
          // What it evaluates is exact, where what was baked is rounded.
          this.source.local = null;
          this.store.clear();
        }
        if (message.scene !== null) this.#enter(message.scene);
        return this.#tell("scene");
      case "scene":
        this.#enteredAt = performance.now();
        this.error = null; // what was wrong with the plane that was asked for; what is wrong with this one is said after it
        if (this.dragging) setTimeout(() => this.wantsChanged(), PATIENCE + 1);
        this.#enter(message.scene);
        return this.#tell("scene");
      case "tiles":
        return this.put(message.tiles);
      case "status":
        this.status = message;
        return this.#tell("status");
      case "error":
        // The first one is about what is looked at; the same model may raise anew for every tile around it.
        this.error ??= message.text;
        if (message.tile !== null && this.scene !== null && this.#holed !== this.scene.hash) {
          this.#holed = this.scene.hash;
          this.#measure();
        }
        return this.#tell("error");
    }
  }

  /** @param {Scene} scene */
  #enter(scene) {
    if (scene.hash !== this.scene?.hash) this.error = null;
    this.scene = scene;
    this.store.pinned = scene.hash;
    if (this.#predicted === scene.hash) this.#predicted = null;
    if (scene.at) {
      const place = placeOf(scene.at);
      // The same place with another landscape: the model was trained on, and what was known of it is no longer true.
      if ((this.#known.get(place) ?? scene.hash) !== scene.hash) this.#known.clear();
      this.#known.set(place, scene.hash);
      if (place === placeOf(this.position)) this.#predicted = null;
    }
    this.#measure();
  }

  /** @param {import("./protocol.js").TileData[]} tiles */
  put(tiles) {
    const started = performance.now();
    const hash = this.scene?.hash;
    if (hash === undefined) return;
    for (const tile of tiles) this.store.put(hash, tile);
    this.messages++;
    this.#measure();
    this.source.decoded(performance.now() - started);
    this.#tell("tiles");
  }

  /** Choose the scale and the colour domain from the home view, as its passes come. */
  #measure() {
    if (this.scene === null) return;
    const {hash, home} = this.scene;
    const field = this.field;
    const known = this.#domains.get(`${field}/${this.scale}`);
    if (known?.settled && known.hash === hash) return;
    // A small frame draws the home view with coarser tiles, a large one with finer ones below which the coarse ones lie.
    const atHome = this.#covering(hash, field, home, this.homeLevel);
    if (atHome === null) return;
    this.#chooseScale(atHome.flatMap((tile) => nodesIn(home, tile)));
    // The colours are for all that is in sight at home, as soon as there is a first pass of it.
    const view = [...this.views].map((one) => one.homeInSight()).find((one) => one !== null);
    const inSight = view ? this.#covering(hash, field, view.rect, view.level) : atHome;
    const complete = inSight?.every((tile) => suffices(tile, this.scale, this.allowed)) ?? false;
    const values =
      inSight && view ? inSight.map((tile) => nodesIn(view.rect, tile)) : atHome.map((tile) => nodesIn(home, tile));
    const {scale} = this;
    const found = domainOf(
      values.map((list) => list.map((value) => drawn(value, scale))),
      {scale},
    );
    if (found === null) return;
    const last = this.#domains.get(`${field}/${scale}`);
    const sameScene = last?.hash === hash;
    const slack = sameScene ? DOMAIN_SLACK : FAMILY_SLACK;
    const room = last ? slack * Math.max(last.domain[1] - last.domain[0], Number.MIN_VALUE) : 0;
    const moved =
      last === undefined ||
      (sameScene
        ? complete || Math.max(Math.abs(found[0] - last.domain[0]), Math.abs(found[1] - last.domain[1])) > room
        : found[0] < last.domain[0] - room || found[1] > last.domain[1] + room);
    const domain = moved ? found : /** @type {NonNullable<typeof last>} */ (last).domain;
    // A family's domain was agreed on by the first of its scenes; the later ones have no say in small things.
    this.#domains.set(`${field}/${scale}`, {domain, hash, settled: complete || (!moved && !sameScene)});
    if (moved) this.#tell("scale");
  }

  /** The best tiles there are over a rectangle, null if some of it has none. @param {string} hash @param {number} field @param {readonly number[]} rect @param {number} level */
  #covering(hash, field, rect, level) {
    const tiles = new Set(
      cover([rect[0], rect[1], rect[2], rect[3]], level).map((at) => this.store.best(hash, field, at)),
    );
    // Where the model raises there will never be a tile: the colours span the others.
    if (hash === this.#holed && tiles.size > 1) tiles.delete(null);
    return tiles.has(null) ? null : [...tiles].map((tile) => /** @type {NonNullable<typeof tile>} */ (tile).data);
  }

  /** @param {number[]} values at the nodes of the home view */
  #chooseScale(values) {
    this.#asked = autoScale(values, {kind: this.#auto, c: this.#linthresh.get(this.field) ?? 0});
    if (this.#agree()) this.#tell("scale");
  }

  /** Take the scale that suits, with those that share it. @returns {boolean} whether it is another */
  #agree() {
    if (this.#asked === null) return false;
    const {kind, c} = this.linked?.scale(this.#asked) ?? this.#asked;
    this.#linthresh.set(this.field, c);
    if (kind === this.#auto) return false;
    this.#auto = kind;
    return true;
  }

  /** What others share with it is another. */
  joined() {
    if (this.#agree()) this.#measure();
    this.#tell("scale");
  }

  dismissError() {
    this.error = null;
    this.#tell("error");
  }

  /** @param {Change} what */
  #tell(what) {
    for (const view of this.views) view.onChange(what);
  }
}
