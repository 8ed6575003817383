import {afterEach, beforeEach, describe, expect, it, vi} from "vitest";
import {lookupTable} from "../colour.js";
import {SIZE} from "../spline.js";
import {createGlRenderer} from "./gl.js";

// What a driver makes of the shader is tested in a browser; here a context that does nothing but remember its calls.

const PAGE = Symbol.for("lossatlas/1");
const globals = /** @type {Record<symbol, unknown>} */ (/** @type {unknown} */ (globalThis));

function fakeCanvas(rendererName = "A graphics card") {
  /** @type {Record<string, unknown[][]>} */
  const calls = {};
  let lost = false;
  const answers = {
    getExtension: (/** @type {string} */ name) =>
      name === "WEBGL_lose_context"
        ? {loseContext: () => canvas.lose()}
        : {UNMASKED_RENDERER_WEBGL: "UNMASKED_RENDERER_WEBGL"},
    getParameter: () => rendererName,
    isContextLost: () => lost,
    getProgramParameter: () => true,
  };
  const gl = new Proxy(
    {},
    {
      get: (_, /** @type {string} */ name) => {
        if (/^[A-Z0-9_]+$/.test(name)) return name;
        return (/** @type {unknown[]} */ ...args) => {
          calls[name] = [...(calls[name] ?? []), args];
          const answer = /** @type {Record<string, Function>} */ (answers)[name];
          return answer ? answer(...args) : {made: name};
        };
      },
    },
  );
  const canvas = Object.assign(new EventTarget(), {
    width: 1,
    height: 1,
    getContext: () => gl,
    lose() {
      lost = true;
      canvas.dispatchEvent(new Event("webglcontextlost", {cancelable: true}));
    },
    restore() {
      lost = false;
      canvas.dispatchEvent(new Event("webglcontextrestored"));
    },
  });
  /** @returns {unknown[][]} uploads of grids, the table of colours left out */
  const uploads = () => (calls.texImage2D ?? []).filter((args) => args[2] === "R32F");
  return {canvas, calls, uploads, factory: () => /** @type {OffscreenCanvas} */ (/** @type {unknown} */ (canvas))};
}

const lut = lookupTable();
const grid = new Float32Array(SIZE * SIZE);

/**
 * @param {string[]} keys
 * @param {Float32Array} [values]
 * @returns {import("../render/shade.js").Frame}
 */
const frame = (keys, values = grid) => ({
  width: 40,
  height: 30,
  pixelRatio: 1,
  quads: keys.map((key) => ({
    rect: [0, 0, 40, 30],
    from: null,
    t: 1,
    to: {grid: values, key, offset: 0, uv: [0, 0, 1, 1]},
  })),
  lut,
  domain: [0, 1],
  levels: [{value: 0.5, major: true, opacity: 1}],
  background: [0, 0, 0],
  hatch: [0, 0, 0],
  desaturate: 0,
});

const target = /** @type {CanvasRenderingContext2D} */ (
  /** @type {unknown} */ ({save: vi.fn(), restore: vi.fn(), resetTransform: vi.fn(), drawImage: vi.fn()})
);

const forget = () => {
  delete globals[PAGE];
};
beforeEach(forget);
afterEach(forget);

/** @param {ReturnType<typeof fakeCanvas>} fake */
const opened = (fake) => {
  const renderer = createGlRenderer(fake.factory);
  if (!renderer) throw new Error("no renderer");
  return renderer;
};

it("there is none without WebGL2", () => {
  const canvas = /** @type {OffscreenCanvas} */ (/** @type {unknown} */ ({getContext: () => null}));
  expect(createGlRenderer(() => canvas)).toBeNull();
});

it("an emulated context says so", () => {
  expect(opened(fakeCanvas("ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device), SwiftShader driver)")).software).toBe(
    true,
  );
  forget();
  expect(opened(fakeCanvas("llvmpipe (LLVM 15.0.6, 256 bits)")).software).toBe(true);
  forget();
  expect(opened(fakeCanvas("ANGLE (NVIDIA GeForce RTX 3060)")).software).toBe(false);
});

describe("the one context of a page", () => {
  it("serves every renderer and goes with the last one", () => {
    const fake = fakeCanvas();
    const other = vi.fn();
    const first = opened(fake);
    const second = createGlRenderer(other);
    expect(other).not.toHaveBeenCalled();
    first.dispose();
    first.dispose();
    expect(first.draw(frame(["a"]), target)).toBe(false);
    expect(second?.draw(frame(["a"]), target)).toBe(true);
    second?.dispose();
    expect(second?.lost).toBe(true);
    expect(opened(fakeCanvas()).lost).toBe(false);
  });

  it("falls away and comes back", () => {
    const fake = fakeCanvas();
    const renderer = opened(fake);
    expect(renderer.draw(frame(["a"]), target)).toBe(true);
    fake.canvas.lose();
    expect(renderer.lost).toBe(true);
    expect(renderer.draw(frame(["a"]), target)).toBe(false);
    fake.canvas.restore();
    expect(renderer.lost).toBe(false);
    expect(renderer.draw(frame(["a"]), target)).toBe(true);
    expect(fake.uploads().length).toBe(2);
  });

  it("only grows its buffer", () => {
    const fake = fakeCanvas();
    const renderer = opened(fake);
    renderer.draw({...frame([]), width: 100, height: 20}, target);
    renderer.draw({...frame([]), width: 30, height: 50}, target);
    expect([fake.canvas.width, fake.canvas.height]).toEqual([100, 50]);
    expect(target.drawImage).toHaveBeenLastCalledWith(fake.canvas, 0, 0, 30, 50, 0, 0, 30, 50);
  });
});

describe("textures", () => {
  it("are uploaded once for each key", () => {
    const fake = fakeCanvas();
    const renderer = opened(fake);
    for (let i = 0; i < 5; i++) renderer.draw(frame(["a", "b"]), target);
    expect(fake.uploads().length).toBe(2);
  });

  it("of two widgets are not mixed up by equal keys", () => {
    const fake = fakeCanvas();
    opened(fake).draw(frame(["a"]), target);
    opened(fake).draw(frame(["a"]), target);
    expect(fake.uploads().length).toBe(2);
  });

  it("that were not used for longest go first, once there are too many", () => {
    const fake = fakeCanvas();
    const renderer = opened(fake);
    renderer.draw(frame(["kept"]), target);
    for (let i = 0; i < 1000; i++) renderer.draw(frame(["kept", `${i}`]), target);
    expect(fake.calls.deleteTexture.length).toBeGreaterThan(200);
    const before = fake.uploads().length;
    renderer.draw(frame(["kept", "999"]), target);
    expect(fake.uploads().length).toBe(before);
    renderer.draw(frame(["0"]), target);
    expect(fake.uploads().length).toBe(before + 1);
  });

  it("hold a mark where a value is not finite, and the caller's grid is left alone", () => {
    const fake = fakeCanvas();
    const holey = grid.slice();
    holey[7] = Number.NaN;
    holey[8] = Number.NEGATIVE_INFINITY;
    opened(fake).draw(frame(["a"], holey), target);
    const sent = /** @type {Float32Array} */ (fake.uploads()[0][8]);
    expect([sent[6], sent[7] > 1e38, sent[8] > 1e38]).toEqual([0, true, true]);
    expect(holey[7]).toBeNaN();
  });
});
