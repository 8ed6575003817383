import {afterEach, beforeEach, describe, expect, test, vi} from "vitest";
import {CommSource} from "./comm.js";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const scene = {
  ...{hash: "aaaa", title: "", axes: [], fields: [{name: "loss"}], home: [-1, 1, -1, 1], tile: 32, z: [-20, 16]},
  dtype: "float32",
};
const ready = (more = {}) => ({v: 1, k: "ready", client: null, boot: "b1", epoch: 1, scene, ...more});
const tiles = (/** @type {number[][]} */ list, more = {}) => {
  const buffer = new DataView(new Float32Array(list.length * 1089).buffer);
  const head = list.map(([z, x, y, nodes = 33], i) => ({
    ...{z, x, y, f: 0, q: 2, nodes, centres: false, error: null, min: 0, max: 0, bad: 0},
    ...{se_level: 0, se_shape: 0, noise: false, base: 0, off: 1089 * i},
  }));
  return /** @type {const} */ ([{v: 1, k: "tiles", client: null, epoch: 1, n: 1, head, ...more}, [buffer]]);
};
const status = (/** @type {object} */ more) => ({
  v: 1,
  k: "status",
  epoch: 1,
  state: "idle",
  queue: 0,
  done: 0,
  ...more,
});
const view = {center: /** @type {[number, number]} */ ([0, 0]), span: 2, width: 400, height: 400};
const request = (/** @type {number[]} */ ...xs) => ({
  view,
  fields: ["loss"],
  shown: [],
  tiles: xs.map((x) => /** @type {[number, number, number, number]} */ ([0, x, 0, 2])),
});

/** A source with a comm that writes down what it is told. @param {{commLive?: boolean | undefined}} [options] */
function line({commLive} = {commLive: true}) {
  /** @type {any[]} */
  const sent = [];
  /** @type {any[]} */
  const got = [];
  /** @type {string[]} */
  const states = [];
  const comm = {live: commLive, closed: false};
  const source = new CommSource({
    send: (head) => {
      if (comm.closed) throw new Error("Cannot send");
      sent.push(head);
    },
    commLive: () => comm.live,
    onMessage: (message) => got.push(message),
    onState: (state) => states.push(state),
    client: "me",
  });
  const of = (/** @type {string} */ kind) => sent.filter((head) => head.k === kind);
  return {source, sent, got, states, comm, of};
}

/** A source that has been greeted back. */
function live() {
  const all = line();
  all.source.open(null);
  all.source.receive(ready(), []);
  return all;
}

describe("the greeting", () => {
  test("goes out at 0, 0.5, 1, 2, 4 s and then every 5 s until the kernel is ready", () => {
    const {source, of} = line();
    source.open("aaaa");
    /** @type {number[]} */
    const at = [];
    let seen = 0;
    for (let ms = 0; ms <= 15_000; ms += 100) {
      if (ms > 0) vi.advanceTimersByTime(100);
      if (of("hello").length > seen) at.push(ms);
      seen = of("hello").length;
    }
    expect(at).toEqual([0, 500, 1000, 2000, 4000, 9000, 14_000]);
    expect(of("hello")[0]).toMatchObject({client: "me", have: "aaaa"});
    source.receive(ready(), []);
    source.want(request());
    vi.advanceTimersByTime(4000);
    expect(of("hello")).toHaveLength(7);
  });
});

describe("the state", () => {
  test("is waiting for as long as the comm is open, and live once the kernel is ready", () => {
    const {source} = line({commLive: true});
    source.open(null);
    vi.advanceTimersByTime(60_000);
    expect(source.state).toBe("waiting");
    source.receive(ready(), []);
    expect(source.state).toBe("live");
  });

  test("is static at once without a comm, and after 7.5 s where nobody says whether there is one", () => {
    const without = line({commLive: false});
    without.source.open(null);
    expect(without.source.state).toBe("static");
    const unknown = line({commLive: undefined});
    unknown.source.open(null);
    vi.advanceTimersByTime(7000);
    expect(unknown.source.state).toBe("waiting");
    vi.advanceTimersByTime(700);
    expect(unknown.source.state).toBe("static");
  });

  test("is live after a late ready, wherever it was", () => {
    const {source, states} = line({commLive: undefined});
    source.open(null);
    vi.advanceTimersByTime(20_000);
    source.receive(ready(), []);
    expect(states).toEqual(["static", "live"]);
  });

  test("is busy when what was asked stays unanswered for 1.2 s, and live again with the next answer", () => {
    const {source} = live();
    source.want(request(0, 1));
    vi.advanceTimersByTime(1100);
    expect(source.state).toBe("live");
    vi.advanceTimersByTime(400);
    expect(source.state).toBe("busy");
    expect(source.pending).toBe(2);
    source.receive(...tiles([[0, 0, 0]]));
    expect(source.state).toBe("live");
    expect(source.pending).toBe(1);
  });

  test("is busy although an idle evaluator reports, and not busy while it samples", () => {
    const {source} = live();
    source.want(request(0));
    for (let i = 0; i < 8; i++) {
      vi.advanceTimersByTime(250);
      source.receive(status({state: "sampling", queue: 9}), []);
    }
    expect(source.state).toBe("live");
    for (let i = 0; i < 8; i++) {
      vi.advanceTimersByTime(250);
      source.receive(status({}), []);
    }
    expect(source.state).toBe("busy");
  });

  test("is busy while the kernel pushes tiles of an older list only, and live once it has read the newest", () => {
    const {source, of} = live();
    const read = () => source.receive(status({heard: {me: of("want").at(-1)?.rev ?? 0}}), []);
    source.want(request(0, 1));
    vi.advanceTimersByTime(100);
    read();
    vi.advanceTimersByTime(1400);
    expect(source.state).toBe("live"); // it was read, and evaluating may take its time
    source.want(request(5, 6));
    for (let i = 0; i < 8; i++) {
      vi.advanceTimersByTime(250);
      source.receive(...tiles([[0, 1, 0, 17]]));
      source.receive(status({state: "slowed", queue: 900, heard: {me: 1}}), []);
    }
    expect(source.state).toBe("busy");
    expect(source.pending).toBe(2);
    read();
    expect(source.state).toBe("live");
  });

  test("is not busy when nothing is asked", () => {
    const {source} = live();
    source.want(request());
    vi.advanceTimersByTime(60_000);
    expect(source.state).toBe("live");
  });

  test("is frozen when the comm goes, and stays so without throwing when sending fails", () => {
    const {source, comm} = live();
    source.want(request(0));
    comm.live = false;
    source.commChanged();
    expect(source.state).toBe("frozen");
    comm.closed = true;
    vi.advanceTimersByTime(30_000);
    expect(source.state).toBe("frozen");
    expect(source.pending).toBe(0);
  });

  test("is frozen when the kernel came back without our scene, and live when it has one", () => {
    const {source} = live();
    source.want(request(0));
    source.receive(ready({boot: "b2", scene: null}), []);
    expect(source.state).toBe("frozen");
    expect(source.pending).toBe(0);
    source.receive(ready({boot: "b2"}), []);
    expect(source.state).toBe("live");
  });
});

describe("wants", () => {
  test("two hundred changes of view in a row become a few lists, the last of them the newest", () => {
    const {source, of} = live();
    for (let i = 0; i < 200; i++) {
      source.want(request(i));
      vi.advanceTimersByTime(1);
    }
    vi.advanceTimersByTime(60);
    expect(of("want").length).toBeLessThanOrEqual(6);
    expect(of("want").at(-1).tiles).toEqual([[0, 199, 0, 2]]);
    const revs = of("want").map((head) => head.rev);
    expect(revs).toEqual([...revs].sort((a, b) => a - b));
  });

  test("the same list is said once, then every 5 s as a sign of life", () => {
    const {source, of} = live();
    source.want(request(0));
    source.receive(...tiles([[0, 0, 0]]));
    vi.advanceTimersByTime(300);
    source.want(request());
    vi.advanceTimersByTime(300);
    const said = of("want").length;
    vi.advanceTimersByTime(4000);
    expect(of("want")).toHaveLength(said);
    vi.advanceTimersByTime(6000);
    expect(of("want").length).toBe(said + 2);
  });

  test("tiles that stay silent are asked for again while the kernel answers", () => {
    const {source, of} = live();
    source.want(request(0, 1));
    vi.advanceTimersByTime(100);
    source.receive(...tiles([[0, 0, 0]]));
    vi.advanceTimersByTime(1000);
    const before = of("want").length;
    source.receive(status({state: "sampling", queue: 1}), []);
    vi.advanceTimersByTime(900);
    source.receive(status({state: "sampling", queue: 1}), []);
    vi.advanceTimersByTime(900);
    expect(of("want").length).toBeGreaterThan(before);
    expect(of("want").at(-1).tiles).toContainEqual([0, 1, 0, 2]);
  });

  test("tiles of another epoch are dropped, and a newer one is asked about", () => {
    const {source, got, of} = live();
    vi.advanceTimersByTime(600);
    const greeted = of("hello").length;
    source.receive(...tiles([[0, 0, 0]], {epoch: 0}));
    expect(of("hello")).toHaveLength(greeted);
    source.receive(...tiles([[0, 0, 0]], {epoch: 2}));
    expect(of("hello")).toHaveLength(greeted + 1);
    expect(got.filter((message) => message.k === "tiles")).toHaveLength(0);
  });

  test("a want acknowledges the last message and every pass is acknowledged soon", () => {
    const {source, of} = live();
    source.want(request(0));
    source.receive(...tiles([[0, 0, 0, 3]], {n: 41}));
    vi.advanceTimersByTime(400);
    expect(of("want").at(-1)).toMatchObject({seen: 41, credit: 64, client: "me", epoch: 1});
  });

  test("a new scene forgets what was asked of the old one", () => {
    const {source} = live();
    source.want(request(0, 1, 2));
    source.receive({v: 1, k: "scene", epoch: 2, scene: {...scene, hash: "bbbb"}}, []);
    expect(source.pending).toBe(0);
    expect(source.epoch).toBe(2);
  });

  test("slow decoding halves the credit, quick decoding lets it grow", () => {
    const {source, of} = live();
    const told = (/** @type {number} */ x) => {
      source.want(request(x));
      vi.advanceTimersByTime(100);
      return of("want").at(-1)?.credit;
    };
    source.decoded(30);
    expect(told(0)).toBe(32);
    source.decoded(2);
    expect(told(1)).toBe(36);
  });
});

describe("captions", () => {
  test("an answer of this scene arrives, an error or another scene's is none", async () => {
    const {source, of} = live();
    const answers = [source.caption(), source.caption(), source.caption()];
    const [one, two, three] = of("caption").map(({req}) => ({v: 1, client: "me", req}));
    vi.advanceTimersByTime(60_000); // a gradient over all data
    source.receive({...one, k: "captioned", epoch: 1, text: "u: random"}, []);
    source.receive({...two, k: "captioned", epoch: 2, text: "of another plane"}, []);
    source.receive({...three, k: "error", code: "eval_failed", text: "no", retry: false}, []);
    expect(await Promise.all(answers)).toMatchObject([{text: "u: random"}, null, null]);
  });
});

describe("probes", () => {
  test("get their own answer, and none when the plane has changed", async () => {
    const {source, of} = live();
    const first = source.probe([0.1, 0.2]);
    const second = source.probe([0.3, 0.4]);
    const [{req}] = of("probe");
    source.receive(
      {...{v: 1, k: "probed", client: "me", epoch: 1, at: [0.1, 0.2], n: 9}, req, value: {loss: 2}, se: {}},
      [],
    );
    expect((await first)?.value.loss).toBe(2);
    source.receive({v: 1, k: "scene", epoch: 2, scene: {...scene, hash: "bbbb"}}, []);
    expect(await second).toBeNull();
  });

  test("settle in the end when nobody answers", async () => {
    const {source} = live();
    const asked = source.probe([0, 0]);
    vi.advanceTimersByTime(25_000);
    expect(await asked).toBeNull();
    expect(source.state).toBe("busy");
  });
});

test("errors come in words, and a stale epoch is nobody's error", () => {
  const {source, got} = live();
  vi.advanceTimersByTime(600);
  source.receive({v: 1, k: "error", client: "me", code: "bad_request", text: "No.", retry: false}, []);
  source.receive({v: 1, k: "error", client: "me", code: "stale_epoch", text: "Old.", retry: true}, []);
  source.receive({v: 1, k: "error", client: "other", code: "bad_request", text: "Not ours.", retry: false}, []);
  expect(got.filter((message) => message.k === "error").map((message) => message.text)).toEqual(["No."]);
});

test("a map that the kernel closed is frozen and greets no more", () => {
  const {source, of} = live();
  source.receive({v: 1, k: "error", client: null, code: "closed", text: "Closed.", retry: false}, []);
  expect(source.state).toBe("frozen");
  const greeted = of("hello").length;
  vi.advanceTimersByTime(20_000);
  expect(of("hello")).toHaveLength(greeted);
});

test("leaving says so, and coming back greets again", () => {
  const {source, of} = live();
  source.leave(false);
  expect(of("bye")).toEqual([{v: 1, k: "bye", client: "me", removed: false}]);
  const greeted = of("hello").length;
  source.receive(status({state: "sampling", queue: 9}), []); // it crossed our goodbye
  vi.advanceTimersByTime(10_000);
  expect(of("hello")).toHaveLength(greeted);
  source.open("aaaa");
  expect(of("hello")).toHaveLength(greeted + 1);
});
