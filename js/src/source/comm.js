// A source fed by a kernel: the handshake, the newest want and its repetition, and the state of the line. It knows
// nothing of the document; what arrives is handed on as values.
//
//   waiting ──ready──▶ live ◀──any message──▶ busy          a late `ready` leads from anywhere to live
//      │                └──the comm is gone──▶ frozen
//      └──no comm, or 7.5 s of silence where nobody says whether there is one──▶ static

import {ask, bye, decode, hello, MAX_WANTED, order, want} from "../protocol.js";

/**
 * @typedef {import("../protocol.js").Message} Message
 * @typedef {import("../protocol.js").View} View
 * @typedef {import("../protocol.js").Wanted} Wanted
 * @typedef {import("../protocol.js").Probed} Probed
 * @typedef {import("../protocol.js").Captioned} Captioned
 * @typedef {"waiting" | "live" | "busy" | "frozen" | "static"} State
 * @typedef {import("../protocol.js").Tolerance} Tolerance
 * @typedef {{
 *   scene: string, spectra: {head: any, buffers: DataView[]}[], boundOf(field: string, rect: readonly number[]): number,
 *   ask(k: string, more: any): Promise<any>
 * }} Local  what was baked: its scene's hash, what was found at points, what values in a rectangle are off by since they were rounded, and answers
 * @typedef {{view: View, fields: string[], tiles: Wanted[], shown: Wanted[], tolerance?: Tolerance | null}} Request
 *   shown: on screen and good enough
 * @typedef {{
 *   readonly state: State, readonly pending: number, readonly epoch: number,
 *   open(have: string | null): void,
 *   want(request: Request | null): void,
 *   probe(at: [number, number]): Promise<Probed | null>,
 *   caption(): Promise<Captioned | null>,
 *   order(kind: "refresh" | "pause" | "resume" | "back" | "forward"): void,
 *   decoded(ms: number): void,
 *   leave(removed: boolean): void, close(): void
 * }} Source
 */

/** When to greet after the first time, in ms; then at the last interval. */
const HELLO_AT = [0, 500, 1000, 2000, 4000];
const HELLO_EVERY = 5000;
const KEEP_ALIVE = 5000;
const STATIC_AFTER = 7500;
const BUSY_AFTER = 1200;
const BETWEEN_WANTS = 50;
const SILENT = 1500;
const PROBE_PATIENCE = 20_000;
/** A caption takes a gradient over all data. */
const LONG_PATIENCE = 600_000;

/** @param {number[]} values */
function median(values) {
  if (values.length === 0) return 0;
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** A name for this page, drawn once: two pages on one kernel must not cancel each other. */
export const newClient = () => `c${Math.floor(Math.random() * 2 ** 48).toString(36)}`;

/** @implements {Source} */
export class CommSource {
  /** @type {State} */
  state = "waiting";
  epoch = 0;
  /** What answers where there is no kernel. @type {Local | null} */
  local = null;
  /** @type {string | null} */
  #boot = null;
  /** @type {string | null} */
  #have = null;
  #open = false;
  /** The kernel has closed this map: it will not answer a greeting otherwise than before. */
  #closed = false;

  // The newest list, what was last said of it, and the tiles in it that have not come.
  /** @type {Request | null} */
  #request = null;
  /** @type {string[]} */
  #said = [];
  #limit = "";
  #rev = 0;
  #req = 0;
  #seen = 0;
  #credit = 64;
  #unacknowledged = 0;
  /** Whether the kernel says which list it has read. */
  #numbered = false;
  /** @type {Map<string, {asked: number, heard: number, answered: boolean}>} */
  #missing = new Map();
  /** @type {number[]} */
  #latencies = [];

  // Times in ms; null means that nothing is due.
  /** @type {number | null} */
  #waitingSince = null;
  #wantedAt = Number.NEGATIVE_INFINITY;
  #toldAt = Number.NEGATIVE_INFINITY;
  #openedAt = 0;
  #greeted = 0;

  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  /** @type {ReturnType<typeof setInterval> | null} */
  #clock = null;
  /** What was asked and is not answered. @type {Map<number, {settle: (answer: any) => void, until: number}>} */
  #asked = new Map();

  /**
   * @param {{
   *   send: (head: object) => void,
   *   commLive: () => boolean | undefined,
   *   onMessage: (message: Message) => void,
   *   onState: (state: State) => void,
   *   client?: string, renderer?: string, visible?: () => boolean
   * }} wiring send may throw when the comm is closed; commLive: undefined where the host does not tell
   */
  constructor({send, commLive, onMessage, onState, client = newClient(), renderer = "auto", visible = () => true}) {
    this.client = client;
    this.wiring = {send, commLive, onMessage, onState, visible};
    this.renderer = renderer;
  }

  /** Tiles that were asked for and have not come, complete. */
  get pending() {
    return this.#missing.size;
  }

  /** Whether the kernel is there, but has closed this map. */
  get closed() {
    return this.#closed;
  }

  /** Greet the kernel and keep greeting until it answers. @param {string | null} have hash of the scene on screen */
  open(have) {
    if (this.#open) return;
    this.#open = true;
    this.#have = have;
    this.#openedAt = performance.now();
    this.#greeted = 0;
    if (this.wiring.commLive() === false) this.#become("static");
    this.#clock ??= setInterval(() => this.#tick(), 100);
    this.#tick();
  }

  /** The comm opened or closed, as far as the host tells. */
  commChanged() {
    if (this.wiring.commLive() === true) {
      this.#openedAt = performance.now();
      this.#greeted = 0;
      return;
    }
    this.#forget();
    this.#become(this.#boot === null && this.state !== "waiting" ? this.state : "frozen");
  }

  /** The list replaces the one before; null: nothing is wanted for now, and nothing is said. @param {Request | null} request */
  want(request) {
    this.#request = request;
    const now = performance.now();
    const keys = new Set(request?.tiles.map((tile) => tile.join("/")));
    for (const key of this.#missing.keys()) if (!keys.has(key)) this.#missing.delete(key);
    for (const key of keys)
      if (!this.#missing.has(key)) this.#missing.set(key, {asked: now, heard: now, answered: false});
    this.#schedule();
  }

  /** @param {[number, number]} at @returns {Promise<Probed | null>} null when no answer can be had */
  probe(at) {
    return this.ask("probe", {at}, PROBE_PATIENCE);
  }

  /** Whether what is asked for may still be answered. */
  get answers() {
    return this.state !== "static" && this.state !== "frozen";
  }

  /** Which kernel this is: a new one has a new name. */
  get boot() {
    return this.#boot ?? this.local?.scene ?? null;
  }

  /** What the axes mean. @returns {Promise<Captioned | null>} null when no answer can be had */
  caption() {
    return this.ask("caption");
  }

  /** @param {string} k @param {object} [more] @param {number} [patience] @returns {Promise<any>} null when no answer can be had */
  ask(k, more, patience = LONG_PATIENCE) {
    if (!this.#isOpen()) return Promise.resolve(this.local?.ask(k, more) ?? null);
    const req = ++this.#req;
    return new Promise((settle) => {
      this.#asked.set(req, {settle, until: performance.now() + patience});
      this.#waitingSince ??= performance.now();
      this.#send(ask(k, this.client, req, {epoch: this.epoch, ...more}));
    });
  }

  /** @param {"refresh" | "pause" | "resume" | "back" | "forward"} kind */
  order(kind) {
    this.#send(order(kind, this.client));
  }

  /** How long the last tiles took to take in: the credit grows slowly and is cut in half. @param {number} ms */
  decoded(ms) {
    this.#credit = ms > 12 ? Math.max(16, this.#credit >> 1) : Math.min(256, this.#credit + 4);
  }

  /** The last view of this page has gone. @param {boolean} removed for good */
  leave(removed) {
    this.#send(bye(this.client, removed));
    this.close();
    // Whoever comes back greets anew.
    if (this.#isOpen()) this.state = "waiting";
  }

  close() {
    this.#open = false;
    this.#forget();
    this.#stop();
  }

  /** @param {any} head @param {readonly DataView[]} buffers */
  receive(head, buffers) {
    const message = decode(head, buffers);
    if (message === null) return;
    const forOther = "client" in message && message.client !== null && message.client !== this.client;
    // What another page of this kernel was answered still shows that the kernel is there.
    if (!forOther || message.k === "ready") this.#take(message);
    if (this.#acknowledges(message)) this.#answered();
    else if (!this.#isOpen()) this.greetAgain();
  }

  /** Whether a message shows that the kernel has read what was last asked. @param {Message} message */
  #acknowledges(message) {
    if (message.k === "status") {
      const rev = message.heard[this.client];
      this.#numbered ||= rev !== undefined;
      if (this.#numbered) return rev >= this.#rev;
      // A kernel whose evaluator has nothing to do, and says so, has not read what we asked for meanwhile.
      return message.queue > 0;
    }
    // Tiles of an older list are pushed even while a cell keeps the kernel from reading the newest.
    return message.k !== "tiles" || !this.#numbered;
  }

  /** @param {Message} message */
  #take(message) {
    if (message.k === "ready") this.#ready(message);
    else if (message.k === "scene") this.#enter(message.epoch, message.scene.hash);
    else if (message.k === "tiles") {
      this.#seen = Math.max(this.#seen, message.n);
      this.#unacknowledged += message.tiles.length;
      // A scene message was lost on the way: ask what is shown now, rather than draw it under another name.
      if (message.epoch > this.epoch) this.greetAgain();
      if (message.epoch !== this.epoch) return;
      for (const tile of message.tiles) this.#arrived(tile);
    } else if (message.k !== "status") {
      const req = Number(message.req);
      // Below 0 it is about a point, and said beside the map.
      if (req < 0) return;
      const waiting = this.#asked.get(req);
      if (waiting) {
        this.#asked.delete(req);
        const {epoch = this.epoch} = /** @type {{epoch?: number}} */ (message);
        waiting.settle(message.k !== "error" && epoch === this.epoch ? message : null);
        // One that asks about a plane which has gone is nobody's mistake.
        if (message.k === "error" && message.code === "stale_epoch") return;
      }
      if (message.k === "error" && message.code === "stale_epoch") return this.greetAgain();
      if (message.k === "error" && message.code === "closed") {
        this.#forget();
        this.#closed = true;
        this.#become("frozen");
      }
    }
    this.wiring.onMessage(message);
    this.#schedule();
  }

  /** @param {import("../protocol.js").Ready} message */
  #ready(message) {
    if (this.#boot !== null && this.#boot !== message.boot) {
      this.#forget();
      this.#seen = 0;
    }
    this.#boot = message.boot;
    this.#closed = false;
    if (message.scene === null) return this.#become("frozen");
    this.#enter(message.epoch, message.scene.hash);
    this.#become("live");
  }

  /** @param {number} epoch @param {string} hash */
  #enter(epoch, hash) {
    if (epoch !== this.epoch || hash !== this.#have) {
      this.#missing.clear();
      this.#request = null;
      this.#said = [];
      for (const {settle} of this.#asked.values()) settle(null);
      this.#asked.clear();
    }
    this.epoch = epoch;
    this.#have = hash;
  }

  /** @param {import("../protocol.js").TileData} tile */
  #arrived(tile) {
    const key = `${tile.z}/${tile.x}/${tile.y}/2`;
    const entry = this.#missing.get(key);
    if (entry === undefined) return;
    const now = performance.now();
    if (!entry.answered) {
      this.#latencies.push(now - entry.asked);
      if (this.#latencies.length > 64) this.#latencies.shift();
    }
    entry.answered = true;
    entry.heard = now;
    if (tile.nodes === 33 && tile.q >= 2) this.#missing.delete(key);
  }

  /** The kernel speaks: whatever it is, it is alive. */
  #answered() {
    const waits = this.#asked.size > 0 || (this.#missing.size > 0 && !this.#numbered);
    this.#waitingSince = waits ? performance.now() : null;
    if (this.state === "busy") this.#become("live");
    else if (!this.#isOpen()) this.greetAgain();
  }

  #isOpen() {
    return this.state === "live" || this.state === "busy";
  }

  #tick() {
    const now = performance.now();
    if (!this.#open) return;
    if (!this.#isOpen()) {
      if (this.#closed) return;
      const due = this.#greeted < HELLO_AT.length ? HELLO_AT[this.#greeted] : Number.POSITIVE_INFINITY;
      const age = now - this.#openedAt;
      if (age >= due || (this.wiring.visible() && now - this.#toldAt >= HELLO_EVERY)) this.#greet();
      if (this.state === "waiting" && age >= STATIC_AFTER && this.wiring.commLive() !== true) this.#become("static");
      return;
    }
    for (const [req, {settle, until}] of this.#asked) {
      if (now < until) continue;
      this.#asked.delete(req);
      settle(null);
    }
    if (this.#waitingSince !== null && now - this.#waitingSince > BUSY_AFTER) this.#become("busy");
    // With nothing to want (a slider is being dragged) this is the sign of life.
    const silent = now - Math.max(this.#wantedAt, this.#toldAt) >= KEEP_ALIVE;
    if (this.#request === null && silent && this.wiring.visible()) this.#greet();
    this.#schedule();
  }

  /** A greeting out of turn, for something that came: not one for each of a flood. */
  greetAgain() {
    if (this.#open && !this.#closed && performance.now() - this.#toldAt >= HELLO_AT[1]) this.#greet();
  }

  #greet() {
    this.#greeted++;
    this.#toldAt = performance.now();
    this.#send(hello(this.client, {renderer: this.renderer}, this.#have));
  }

  /** Say the list within 50 ms of the last time, if there is something to say. */
  #schedule() {
    if (this.#timer !== null || !this.#open || !this.#isOpen()) return;
    const rest = BETWEEN_WANTS - (performance.now() - this.#wantedAt);
    if (rest <= 0) this.#say();
    else
      this.#timer = setTimeout(() => {
        this.#timer = null;
        this.#say();
      }, rest);
  }

  #say() {
    const request = this.#request;
    if (request === null || !this.#open || !this.#isOpen()) return;
    const now = performance.now();
    const {view, fields, shown, tolerance = null} = request;
    const tiles = request.tiles.slice(0, MAX_WANTED);
    const keys = [...tiles, ...shown].map((tile) => tile.join("/"));
    const limit = JSON.stringify(tolerance);
    if (limit === this.#limit && !this.#isNews(keys, now)) return;
    this.#limit = limit;
    this.#said = keys;
    this.#wantedAt = now;
    this.#unacknowledged = 0;
    if (this.#missing.size > 0) this.#waitingSince ??= now;
    for (const entry of this.#missing.values()) entry.heard = now;
    const answer = {credit: this.#credit, seen: this.#seen};
    this.#send(
      want(this.client, {epoch: this.epoch, rev: ++this.#rev, view, fields, tiles, ...answer, shown, tolerance}),
    );
  }

  /** @param {string[]} keys @param {number} now */
  #isNews(keys, now) {
    const quiet = now - this.#wantedAt;
    if (this.wiring.visible() && quiet >= KEEP_ALIVE) return true;
    // A list that only lost what has come says nothing new, but the kernel waits for its tiles to be acknowledged.
    if (this.#unacknowledged >= this.#credit / 4) return true;
    if (this.#unacknowledged > 0 && quiet >= 200) return true;
    const said = new Set(this.#said);
    if (keys.some((key) => !said.has(key)) || (keys.length === 0 && said.size > 0)) return true;
    const order = this.#said.filter((key) => this.#missing.has(key));
    const asked = keys.filter((key) => this.#missing.has(key));
    if (asked.some((key, i) => key !== order[i])) return true;
    // Asked again only of a kernel that answers: a busy one has the list.
    if (this.state === "busy" || quiet < SILENT) return false;
    const patience = Math.max(SILENT, 4 * median(this.#latencies));
    for (const {heard} of this.#missing.values()) if (now - heard > patience) return true;
    return false;
  }

  /** @param {object} head */
  #send(head) {
    try {
      this.wiring.send(head);
    } catch {
      // The host closed the comm under us: nothing that we say arrives any more.
      this.#forget();
      this.#become("frozen");
    }
  }

  /** Everything in flight is lost. */
  #forget() {
    this.#missing.clear();
    this.#request = null;
    this.#said = [];
    this.#waitingSince = null;
    for (const {settle} of this.#asked.values()) settle(null);
    this.#asked.clear();
  }

  #stop() {
    if (this.#clock !== null) clearInterval(this.#clock);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#clock = null;
    this.#timer = null;
  }

  /** @param {State} state */
  #become(state) {
    if (state === this.state) return;
    this.state = state;
    if (state === "live" || state === "frozen") this.#waitingSince = null;
    this.wiring.onState(state);
  }
}
