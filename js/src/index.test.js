// @vitest-environment happy-dom
import {afterEach, beforeEach, describe, expect, test, vi} from "vitest";
import widget from "./index.js";
import * as instrument from "./instrument/index.js";
import {page} from "./page.js";
import {memoryKernel} from "./source/memory.js";

// Colouring half a million pixels per frame is what another test is about.
vi.mock("./render/cpu.js", () => ({createCpuRenderer: () => ({kind: "cpu", draw: () => true, dispose() {}})}));

/** A paraboloid with a saddle turned in. @param {{turn_u: number, turn_v: number, offset: number}} at */
const surface = (at) => (/** @type {number} */ a, /** @type {number} */ b) =>
  1 + a * a + b * b + (at.turn_u / 180) * a * b + at.offset;

const scene = {
  ...{title: "a bowl", axes: [{name: "random 1", length: 0.31, unit: "‖θ‖"}, {name: "random 2"}]},
  ...{fields: [{name: "loss"}], home: [-1, 1, -1, 1], tile: 32, z: [-20, 16], dtype: "float64"},
  turns: {u: "random 3", v: "random 4", offset: "random 5"},
};

/** A host's model with a kernel behind it. @param {Record<string, any>} [traits] */
function host(traits = {}, shown = scene) {
  /** @type {Record<string, any>} */
  const values = {
    turn_u: 0,
    turn_v: 0,
    offset: 0,
    theme: "light",
    renderer: "cpu",
    scale: "auto",
    height: 480,
    ...traits,
  };
  /** @type {Map<string, Set<Function>>} */
  const listeners = new Map();
  const tell = (/** @type {string} */ name, /** @type {any[]} */ ...args) => {
    for (const callback of [...(listeners.get(name) ?? [])]) callback(...args);
  };
  /** @type {any[]} */
  const sent = [];
  const pipe = {open: true};
  const kernel = memoryKernel({
    surface,
    scene: shown,
    delay: 5,
    reply: (head, buffers) => setTimeout(() => pipe.open && tell("msg:custom", head, buffers), 1),
  });
  const changed = new Set();
  /** Each call is another proxy of the same model, as anywidget hands them out. */
  const proxy = () =>
    /** @type {any} */ ({
      get: (/** @type {string} */ name) => (name === "layout" ? {comm_live: pipe.open} : values[name]),
      set: (/** @type {string} */ name, /** @type {any} */ value) => {
        values[name] = value;
        changed.add(name);
      },
      save_changes: () => {
        const turns = ["turn_u", "turn_v", "offset"].filter((name) => changed.delete(name));
        if (turns.length > 0) kernel.turn(Object.fromEntries(turns.map((name) => [name, values[name]])));
      },
      send: (/** @type {any} */ head) => {
        sent.push(head);
        if (pipe.open) kernel.receive(head);
      },
      on: (/** @type {string} */ name, /** @type {Function} */ callback) => {
        if (!listeners.has(name)) listeners.set(name, new Set());
        listeners.get(name)?.add(callback);
      },
      off: (/** @type {string} */ name, /** @type {Function} */ callback) => listeners.get(name)?.delete(callback),
    });
  const position = () => ({turn_u: values.turn_u, turn_v: values.turn_v, offset: values.offset});
  return {position, proxy, sent, tell, values, kernel, listeners, pipe};
}

/** @type {ReturnType<typeof vi.spyOn>[]} */
let complaints = [];
beforeEach(() => {
  vi.useFakeTimers();
  page().parts = /** @type {any} */ ({
    get: (/** @type {string} */ key) => Promise.resolve(key.endsWith("/instrument") ? instrument : null),
  });
  const context = {
    putImageData() {},
    fillRect() {},
    measureText: (/** @type {string} */ text) => ({width: 7 * text.length}),
    createImageData: (/** @type {number} */ w, /** @type {number} */ h) => ({data: new Uint8ClampedArray(4 * w * h)}),
  };
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(/** @type {any} */ (context));
  // A map of 480 × 416: four by two tiles at home.
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(480 + 72 + 86);
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(/** @type {() => void} */ callback) {
        this.observe = callback;
      }
      disconnect() {}
    },
  );
  vi.stubGlobal(
    "IntersectionObserver",
    class {
      observe() {}
      disconnect() {}
    },
  );
  complaints = [vi.spyOn(console, "error"), vi.spyOn(console, "warn")];
});
afterEach(() => {
  for (const spy of complaints) expect(spy).not.toHaveBeenCalled();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.useRealTimers();
  document.body.replaceChildren();
});

/** @param {ReturnType<typeof host>} from */
function open(from, definition = widget()) {
  const el = document.createElement("div");
  document.body.append(el);
  const close = definition.render({model: from.proxy(), el});
  const root = /** @type {any} */ (el.querySelector(".lossatlas"));
  return {el, root, close, api: root.lossatlas, definition};
}
/** @param {ReturnType<typeof host>} from */
function opened(from) {
  const definition = widget();
  definition.initialize({model: from.proxy()});
  return open(from, definition);
}

/** With the instrument, which comes after the first picture. @param {ReturnType<typeof host>} from */
async function equipped(from) {
  const view = opened(from);
  vi.advanceTimersByTime(500);
  for (let i = 0; i < 4; i++) await null;
  expect(view.root.querySelector(".la-slider")).not.toBe(null);
  return view;
}

test("one click says what the axes mean: what the page knows at once, then the kernel's caption", async () => {
  const from = host();
  const {root} = await equipped(from);
  const dialog = root.querySelector("dialog");
  expect(dialog.open).toBe(false);
  root.querySelector(".la-recipe").click();
  expect(dialog.open).toBe(true);
  expect(dialog.querySelector("p").textContent).toBe("random 1\nrandom 2");
  await vi.advanceTimersByTimeAsync(100);
  expect(dialog.querySelector("p").textContent).toBe("0:0:0, in words");
  for (const button of dialog.querySelectorAll("button")) if (button.textContent === "close") button.click();
  expect(dialog.open).toBe(false);
});

test("a line is a curve: one row of tiles, no b, nothing to turn", async () => {
  const paths = {moveTo() {}, lineTo() {}, rect() {}};
  vi.stubGlobal("Path2D", function Path2D() {
    return paths;
  });
  const canvas = document.createElement("canvas").getContext("2d");
  for (const name of ["fillText", "setLineDash", "stroke", "fill", "clip", "save", "restore"])
    Object.assign(/** @type {any} */ (canvas), {[name]() {}});
  const line = {...scene, axes: [scene.axes[0]], home: [-1, 1, 0, 0], turns: {u: "", v: "", offset: ""}};
  const from = host({scene: {...line, hash: "memory0:0:0"}, view: {center: [0, 0], span: 2}}, line);
  const {root, api} = opened(from);
  vi.advanceTimersByTime(1500);
  expect(root.dataset).toMatchObject({state: "live", slice: "line", renderer: "curve"});
  // A home of 2 units on 546 pixels: level 0, whose two tiles have 65 nodes.
  expect(api.stats()).toMatchObject({complete: true, level: 0, evaluated: 65, total: 65, centre: {nodes: 33}});
  expect(Math.abs(api.valueAt(0.31, 7) - (1 + 0.31 ** 2))).toBeLessThan(4e-5);
  const asked = from.sent.filter(({k}) => k === "want").flatMap(({tiles, shown}) => [...tiles, ...shown]);
  expect(asked.every(([, , y]) => y === 0)).toBe(true);
  // The values span 1 to 2, and some room.
  expect(api.stats().domain[0]).toBeCloseTo(0.94, 3);
  expect(api.stats().domain[1]).toBeCloseTo(2.06, 3);
  const texts = [...root.querySelectorAll(".la-axis-title text")].map((title) => title.firstChild.textContent);
  expect(texts).toEqual(["a · random 1 · 1 = 0.310 ‖θ‖", "loss"]);
  api.setView({center: [0.5, 3], span: 1e-3});
  vi.advanceTimersByTime(1500);
  expect(api.view().center).toEqual([0.5, 0]);
  expect(api.stats()).toMatchObject({complete: true, centre: {nodes: 33}});
  expect(api.stats().domain[1]).toBeLessThan(1.26);
});

test("a name is text, whatever it says", async () => {
  const evil = "<img src=x onerror=alert(1)>";
  const axes = [{name: evil, about: evil}, {name: evil}];
  const from = host({}, /** @type {any} */ ({...scene, title: evil, axes, notes: [evil]}));
  const {root} = await equipped(from);
  from.pipe.open = false;
  from.tell("comm_live_update");
  root.querySelector(".la-recipe").click();
  await vi.advanceTimersByTimeAsync(100);
  expect(root.querySelector("dialog p").textContent).toContain(evil);
  expect(root.querySelector("dialog").textContent).toContain("this is what the page knows");
  expect(root.querySelector("img")).toBeNull();
});

test("the first picture comes, is refined to all nodes, and is the function", () => {
  const from = host();
  const {root, api} = opened(from);
  expect(root.dataset.state).toBe("waiting");
  vi.advanceTimersByTime(1500);
  expect(root.dataset.state).toBe("live");
  expect(api.stats()).toMatchObject({complete: true, centre: {nodes: 33}, epoch: 1, renderer: "cpu", pending: 0});
  // Bilinear between points 1/128 apart: a² + b² leaves at most 2 · (1/128)²/4.
  for (const [a, b] of [
    [0, 0],
    [0.31, -0.7],
    [-0.99, 0.5],
  ])
    expect(Math.abs(api.valueAt(a, b) - surface(from.position())(a, b))).toBeLessThan(4e-5);
  expect(root.querySelector("canvas")).toBe(root.querySelector(".la-area canvas"));
  expect(root.querySelector(".la-foot").textContent).toContain("live");
});

test("two views with different proxies share one listener, one client and one set of tiles", () => {
  const from = host();
  const first = opened(from);
  const second = open(from, first.definition);
  vi.advanceTimersByTime(1500);
  expect(from.listeners.get("msg:custom")?.size).toBe(1);
  expect(new Set(from.sent.map((head) => head.client)).size).toBe(1);
  expect(second.api.stats().complete).toBe(true);
  first.close();
  expect(from.sent.some((head) => head.k === "bye")).toBe(false);
  expect(second.api.valueAt(0, 0)).toBeCloseTo(1, 4);
});

describe("when a view goes", () => {
  test("with its page, it only says goodbye", () => {
    const from = host();
    const {close, el} = opened(from);
    const panel = document.createElement("div");
    panel.className = "jp-NotebookPanel";
    document.body.append(panel);
    panel.append(el);
    vi.advanceTimersByTime(100);
    close();
    panel.remove();
    vi.advanceTimersByTime(5000);
    expect(from.sent.filter((head) => head.k === "bye").map((head) => head.removed)).toEqual([false]);
  });

  test("from a page that stays, the kernel hears that it was removed", () => {
    const from = host();
    const {close} = opened(from);
    vi.advanceTimersByTime(100);
    close();
    vi.advanceTimersByTime(1900);
    expect(from.sent.filter((head) => head.k === "bye").map((head) => head.removed)).toEqual([false]);
    vi.advanceTimersByTime(200);
    expect(from.sent.filter((head) => head.k === "bye").map((head) => head.removed)).toEqual([false, true]);
  });

  test("and another comes within two seconds, nothing was removed", () => {
    const from = host();
    const {close, definition} = opened(from);
    vi.advanceTimersByTime(100);
    close();
    open(from, definition);
    vi.advanceTimersByTime(5000);
    expect(from.sent.filter((head) => head.k === "bye" && head.removed)).toEqual([]);
  });
});

describe("the sliders", () => {
  /** @param {any} root @param {number} value */
  const drag = (root, value) => {
    const input = root.querySelector("input[data-name=turn_u]");
    input.value = String(value);
    input.dispatchEvent(new Event("input"));
  };

  test("turn between the directions that are chosen, and go back and forward", async () => {
    const from = host();
    const {root} = await equipped(from);
    vi.advanceTimersByTime(1500);
    const select = root.querySelector("select[data-name=u_to]");
    expect(select.value).toBe("random 3");
    const gradient = document.createElement("option");
    gradient.value = "gradient";
    select.append(gradient);
    select.value = "gradient";
    select.dispatchEvent(new Event("change"));
    vi.advanceTimersByTime(100);
    expect(from.values.u_to).toBe("gradient");
    const back = root.querySelector("[aria-label='plane before']");
    expect(back.disabled).toBe(true);
    from.values.around = {back: 1, forward: 0};
    from.tell("change:around");
    expect(back.disabled).toBe(false);
    back.click();
    expect(from.sent.at(-1).k).toBe("back");
    const bookmark = root.querySelector("[aria-label=bookmark]");
    bookmark.value = "valley";
    bookmark.dispatchEvent(new Event("change"));
    vi.advanceTimersByTime(100);
    expect(from.values.bookmarks.valley.u_to).toBe("gradient");
    drag(root, 40);
    bookmark.value = "valley";
    bookmark.dispatchEvent(new Event("change"));
    expect(from.values.turn_u).toBe(0);
  });

  test("send no list while they are dragged, and one when they are let go", async () => {
    const from = host();
    const {root, api} = await equipped(from);
    vi.advanceTimersByTime(1500);
    const input = root.querySelector("input[data-name=turn_u]");
    input.dispatchEvent(new Event("pointerdown"));
    vi.advanceTimersByTime(100);
    const before = from.sent.filter((head) => head.k === "want").length;
    expect(from.sent.filter((head) => head.k === "want").at(-1).shown).toContainEqual([0, 0, 0, 2]);
    for (let degrees = 1; degrees <= 20; degrees++) {
      drag(root, degrees);
      vi.advanceTimersByTime(20);
    }
    vi.advanceTimersByTime(100);
    expect(from.sent.filter((head) => head.k === "want")).toHaveLength(before);
    expect(from.values.turn_u).toBe(20);
    // But where we look is said, for this plane and those to come.
    api.setView({center: [6, 0], span: 2});
    vi.advanceTimersByTime(200);
    const looked = from.sent.filter((head) => head.k === "want").at(-1);
    expect(looked.view.center).toEqual([6, 0]);
    expect(looked.tiles.length).toBeGreaterThan(0);
    api.setView({center: [0, 0], span: 2});
    input.dispatchEvent(new Event("change"));
    vi.advanceTimersByTime(1500);
    const wants = from.sent.filter((head) => head.k === "want");
    expect(wants.length).toBeGreaterThan(before);
    expect(wants.at(-1).epoch).toBe(api.stats().epoch);
    expect(api.stats().complete).toBe(true);
    expect(api.valueAt(0.5, 0.5)).toBeCloseTo(surface(from.position())(0.5, 0.5), 4);
  });

  test("back at an earlier place show its tiles before the kernel has said a word", async () => {
    const from = host();
    const {root, api} = await equipped(from);
    vi.advanceTimersByTime(1500);
    drag(root, 40);
    vi.advanceTimersByTime(1500);
    expect(api.stats().hash).toBe("memory40:0:0");
    from.pipe.open = false;
    drag(root, 0);
    vi.advanceTimersByTime(40);
    expect(api.stats()).toMatchObject({hash: "memory0:0:0", centre: {nodes: 33}});
    expect(api.valueAt(0.5, 0.5)).toBeCloseTo(1.5, 4);
  });
});

test("a scene that has not come yet leaves the old one on screen", () => {
  const from = host();
  const {api} = opened(from);
  vi.advanceTimersByTime(1500);
  const next = {...scene, hash: "new", at: {turn_u: 90, turn_v: 0, offset: 0}};
  from.tell("msg:custom", {v: 1, k: "scene", epoch: 2, scene: next}, []);
  vi.advanceTimersByTime(40);
  expect(api.stats()).toMatchObject({hash: "memory0:0:0", epoch: 2, complete: false});
  expect(api.tiles().length).toBe(8);
});

test("a kernel that goes freezes the map, with words, and the picture stays", () => {
  const from = host();
  const {root, api} = opened(from);
  vi.advanceTimersByTime(1500);
  from.pipe.open = false;
  from.tell("comm_live_update");
  expect(root.dataset.state).toBe("frozen");
  expect(root.querySelector(".la-state").textContent).toContain("re-run the cell");
  expect(api.valueAt(0, 0)).toBeCloseTo(1, 4);
});

test("an error is a line that can be dismissed, and names are text, not markup", () => {
  const from = host();
  const {root} = opened(from);
  vi.advanceTimersByTime(1500);
  from.tell(
    "msg:custom",
    {v: 1, k: "error", client: null, code: "eval_failed", text: "<b>shapes</b>", retry: false},
    [],
  );
  const line = root.querySelector(".la-error");
  expect(line.hidden).toBe(false);
  expect(line.querySelector("span").innerHTML).toBe("&lt;b&gt;shapes&lt;/b&gt;");
  line.querySelector("button").click();
  expect(line.hidden).toBe(true);
  expect(root.dataset.state).toBe("live");
});

test("what was wrong with a plane is forgotten with the next one, and a direction that is made is said", () => {
  const from = host();
  const {root} = opened(from);
  vi.advanceTimersByTime(1500);
  const words = () => root.querySelector(".la-state").textContent;
  const status = {v: 1, k: "status", epoch: 1, state: "idle", queue: 0, done: 0, rate: null, eta: null};
  from.tell("msg:custom", {...status, making: "gradient"}, []);
  expect(words()).toBe("live, making gradient");
  const text = "Plane directions must not be parallel.";
  from.tell("msg:custom", {v: 1, k: "error", client: null, code: "eval_failed", text, retry: false}, []);
  expect(root.querySelector(".la-error").hidden).toBe(false);
  // Back where it was: the same scene, in a new epoch.
  from.kernel.turn({});
  vi.advanceTimersByTime(10);
  expect(root.querySelector(".la-error").hidden).toBe(true);
  from.tell("msg:custom", {...status, making: ""}, []);
  expect(words()).toBe("live");
});

test("a model that has changed gets a badge whose button asks for a new scene", () => {
  const from = host();
  const {root} = opened(from);
  vi.advanceTimersByTime(1500);
  const status = {v: 1, k: "status", epoch: 1, state: "idle", queue: 0, done: 0, rate: null, eta: null};
  from.tell("msg:custom", {...status, model_changed: true}, []);
  const badge = [...root.querySelectorAll(".la-note")].find((note) => note.textContent.includes("has changed"));
  expect(badge.hidden).toBe(false);
  badge.querySelector("button").click();
  expect(from.sent.at(-1).k).toBe("refresh");
});

test("without a kernel the saved scene's name is shown and the map says why it is empty", () => {
  const from = host({scene: {...scene, hash: "saved"}});
  from.pipe.open = false;
  const {root} = opened(from);
  vi.advanceTimersByTime(200);
  expect(root.dataset.state).toBe("static");
  expect(root.querySelector(".la-title").textContent).toBe("a bowl");
  expect(root.querySelector(".la-blank").textContent).toContain("no kernel");
});

test("a colour domain that is set is kept, fitting sets it, and auto gives back that of the home view", async () => {
  const from = host({domain: [0.5, 2]});
  const {root, api} = opened(from);
  await vi.advanceTimersByTimeAsync(1500);
  expect(api.stats().domain[0]).toBeCloseTo(0.5, 12);
  expect(api.stats().domain[1]).toBeCloseTo(2, 12);
  const [fit, auto] = root.querySelectorAll(".la-fit button");
  auto.click();
  await vi.advanceTimersByTimeAsync(500);
  expect(from.values.domain).toEqual([]);
  const home = api.stats().domain;
  expect(home).not.toEqual([0.5, 2]);
  expect(auto.hidden).toBe(true);
  api.setView({center: [0, 0], span: 0.2});
  await vi.advanceTimersByTimeAsync(1000);
  fit.click();
  await vi.advanceTimersByTimeAsync(500);
  expect(from.values.domain).toHaveLength(2);
  const [lo, hi] = api.stats().domain;
  expect(hi - lo).toBeLessThan(0.5 * (home[1] - home[0]));
});

test("keys on the map pan and zoom, keys on its controls do not", () => {
  const from = host();
  const {root, api} = opened(from);
  vi.advanceTimersByTime(1500);
  const press = (/** @type {Element} */ target, /** @type {string} */ key) =>
    target.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  const before = api.view();
  press(root, "ArrowRight");
  expect(api.view().center[0]).toBeCloseTo(before.center[0] + 0.1 * before.span, 12);
  press(root, "+");
  expect(api.view().span).toBeCloseTo(before.span / Math.SQRT2, 12);
  press(root.querySelector("button"), "ArrowRight");
  press(root, "0");
  expect(api.view()).toEqual(before);
});
