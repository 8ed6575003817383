import {afterEach, expect, it, vi} from "vitest";
import {lookupTable} from "../colour.js";
import {SIZE} from "../spline.js";
import {createCpuRenderer} from "./cpu.js";

afterEach(() => vi.unstubAllGlobals());

it("puts a whole picture on the canvas, reusing its memory while the size stays", () => {
  let made = 0;
  vi.stubGlobal(
    "ImageData",
    class {
      /** @param {number} width @param {number} height */
      constructor(width, height) {
        made++;
        Object.assign(this, {width, height, data: new Uint8ClampedArray(4 * width * height)});
      }
    },
  );
  /** @type {ImageData[]} */
  const put = [];
  const target = /** @type {CanvasRenderingContext2D} */ (
    /** @type {unknown} */ ({putImageData: (/** @type {ImageData} */ image) => put.push(image)})
  );
  /** @type {import("./shade.js").Frame} */
  const frame = {
    width: 8,
    height: 6,
    pixelRatio: 1,
    quads: [
      {
        rect: [0, 0, 4, 6],
        from: null,
        t: 1,
        to: {grid: new Float32Array(SIZE * SIZE), key: "", offset: 0, uv: [0, 0, 1, 1]},
      },
    ],
    lut: lookupTable(),
    domain: [0, 1],
    levels: [],
    background: [1, 2, 3],
    hatch: [0, 0, 0],
    desaturate: 0,
  };
  const renderer = createCpuRenderer();
  expect(renderer.draw(frame, target)).toBe(true);
  expect(renderer.draw({...frame}, target)).toBe(true);
  expect(made).toBe(1);
  expect([...put[0].data.slice(0, 4)]).toEqual([68, 1, 84, 255]);
  expect([...put[0].data.slice(-4)]).toEqual([1, 2, 3, 255]);
  renderer.draw({...frame, width: 9}, target);
  expect(made).toBe(2);
  expect(renderer.draw({...frame, width: 0}, target)).toBe(true);
  expect(made).toBe(2);
});
