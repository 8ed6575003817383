// A source fed by a function: for tests, for the page of the developers, and as the plainest example of what a source is.

/** @typedef {import("../protocol.js").TileData} TileData */
/** @typedef {import("../protocol.js").Scene} Scene */
/** @typedef {import("../protocol.js").Position} Position */
/** @typedef {(a: number, b: number) => number} Surface */

/** Each pass holds the nodes of the one before. */
const PASSES = [3, 5, 9, 17, 33];

/**
 * A tile of a function with n × n nodes. The base is that of its block of 64 × 64 tiles, as on the wire; the blocks of
 * coarse levels reach far beyond the home view, where values may be so large that differences from them lose all digits.
 * @param {Surface} f @param {{z: number, x: number, y: number}} address @param {number} n @returns {TileData}
 */
export function tileOf(f, {z, x, y}, n) {
  const block = (/** @type {number} */ i) => (64 * Math.floor(i / 64) + 32) / 2 ** z;
  const middle = z < 6 ? f(0, 0) : f(block(x), block(y));
  const base = Number.isFinite(middle) ? middle : 0;
  const values = new Float32Array(n * n);
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let bad = 0;
  for (let j = 0; j < n; j++)
    for (let i = 0; i < n; i++) {
      const value = f((x + i / (n - 1)) / 2 ** z, (y + j / (n - 1)) / 2 ** z);
      values[j * n + i] = value - base;
      if (!Number.isFinite(value)) bad++;
      else {
        min = Math.min(min, value);
        max = Math.max(max, value);
      }
    }
  const range = {min: min <= max ? min : null, max: min <= max ? max : null};
  return {
    z,
    x,
    y,
    f: 0,
    q: 2,
    nodes: n,
    error: null,
    error_of_log: null,
    ...range,
    bad,
    noise: false,
    base,
    values,
    centres: null,
    sample: null,
  };
}

/**
 * A kernel in a dozen lines: it answers the page's heads with the messages that a kernel would send, tile by tile and
 * pass by pass, `delay` ms apart.
 * @param {{
 *   surface: (position: Position) => Surface, scene: Omit<Scene, "hash" | "at">, delay?: number,
 *   reply: (head: object, buffers: DataView[]) => void
 * }} options
 */
export function memoryKernel({surface, scene, delay = 20, reply}) {
  /** @type {Position} */
  let at = {turn_u: 0, turn_v: 0, offset: 0};
  let epoch = 1;
  let n = 0;
  let done = 0;
  /** @type {{z: number, x: number, y: number}[]} */
  let wanted = [];
  /** @type {typeof wanted} */
  let shown = [];
  /** @type {ReturnType<typeof setInterval> | null} */
  let clock = null;
  /** Nodes per side that have been sent. @type {Map<string, number>} */
  let sent = new Map();
  const name = () => `${at.turn_u}:${at.turn_v}:${at.offset}`;
  const current = () => ({...scene, hash: `memory${name()}`, at: {...at}});

  /** @param {TileData[]} tiles */
  const send = (tiles) => {
    const buffer = new Float32Array(tiles.reduce((sum, tile) => sum + tile.values.length, 0));
    let off = 0;
    const onLine = scene.axes.length === 1;
    const head = tiles.map(({values: all, centres: _, ...rest}) => {
      const values = onLine ? all.subarray(0, rest.nodes) : all;
      buffer.set(values, off);
      off += values.length;
      const rows = onLine ? {rows: 1} : {};
      return {...rest, ...rows, centres: false, se_level: 0, se_shape: 0, off: off - values.length};
    });
    reply({v: 1, k: "tiles", epoch, n: ++n, client: null, head}, [new DataView(buffer.buffer)]);
  };

  const step = () => {
    const f = surface(at);
    const key = (/** @type {{z: number, x: number, y: number}} */ t) => `${t.z}/${t.x}/${t.y}`;
    const behind = wanted.filter((tile) => (sent.get(key(tile)) ?? 0) < 33);
    const least = Math.min(...behind.map((tile) => sent.get(key(tile)) ?? 0));
    const next = behind.filter((tile) => (sent.get(key(tile)) ?? 0) === least).slice(0, 4);
    const nodes = PASSES.find((pass) => pass > least) ?? 33;
    for (const tile of next) sent.set(key(tile), nodes);
    if (next.length > 0) send(next.map((tile) => tileOf(f, tile, nodes)));
    else if (clock !== null) {
      clearInterval(clock);
      clock = null;
    }
    done += next.length * nodes * nodes;
    const state = clock === null ? "idle" : "sampling";
    const queue = behind.length * 1089;
    reply({v: 1, k: "status", epoch, state, queue, done, rate: 4100, eta: null, model_changed: false}, []);
  };

  return {
    /** @param {any} head */
    receive(head) {
      if (head.k === "hello")
        reply({v: 1, k: "ready", client: head.client, boot: "memory", epoch, scene: current()}, []);
      if (head.k === "want") {
        const addresses = (/** @type {number[][]} */ list) => list.map(([z, x, y]) => ({z, x, y}));
        wanted = addresses(head.tiles);
        shown = addresses(head.shown);
        clock ??= setInterval(step, delay);
      }
      if (head.k === "caption") {
        const {client, req} = head;
        setTimeout(() => reply({v: 1, k: "captioned", client, req, epoch, text: `${name()}, in words`}, []), 30);
      }
      if (head.k === "probe") {
        const [a, b] = head.at;
        const value = {loss: surface(at)(a, b)};
        const {client, req} = head;
        setTimeout(
          () => reply({v: 1, k: "probed", client, req, epoch, at: head.at, value, se: {loss: 0}, n: 1797}, []),
          30,
        );
      }
    },
    /** @param {Partial<Position>} next */
    turn(next) {
      at = {...at, ...next};
      epoch++;
      sent = new Map();
      done = 0;
      reply({v: 1, k: "scene", epoch, scene: current()}, []);
      send([...wanted, ...shown].slice(0, 64).map((tile) => tileOf(surface(at), tile, 3)));
    },
    stop() {
      if (clock !== null) clearInterval(clock);
    },
  };
}
