// Squares of a function of two numbers, for tests: what a frame of the map would have drawn.

import {SIZE} from "../spline.js";
import {keyOf} from "../tiles.js";
import {Reader} from "./reader.js";

/**
 * @param {(a: number, b: number) => number} f drawn values @param {{z: number, x: number, y: number}[]} addresses
 * @param {{scale?: "linear" | "log", data?: any, offset?: number}} [more] data: of every tile
 */
export function readerOf(f, addresses, {scale = "linear", data = null, offset = 0} = {}) {
  const squares = new Map(
    addresses.map((address) => {
      const {z, x, y} = address;
      const place = (/** @type {number} */ i) => (i / (SIZE - 1)) * 2 ** -z;
      const grid = Float32Array.from({length: SIZE * SIZE}, (_, k) => {
        const [i, j] = [k % SIZE, Math.floor(k / SIZE)];
        return f(x * 2 ** -z + place(i), y * 2 ** -z + place(j)) - offset;
      });
      /** @type {[number, number, number, number]} */
      const uv = [0, 0, 1, 1];
      const to = {grid, key: keyOf(z, x, y), offset, uv, density: 32 * 2 ** z};
      return [keyOf(z, x, y), {address, to}];
    }),
  );
  return new Reader(squares, scale, () => data);
}

/** The four tiles of the home view. */
export const HOME = [-1, 0].flatMap((y) => [-1, 0].map((x) => ({z: 0, x, y})));
