// The values that are drawn, read fast: many points from the squares of one frame, with what is known of their tiles.

import {SIZE} from "../spline.js";
import {valueIn} from "../stitch.js";
import {errorOf, keyOf} from "../tiles.js";

/**
 * @typedef {import("../plan.js").Square} Square
 * @typedef {import("../tiles.js").TileData} TileData
 * @typedef {import("../tiles.js").Scale} Scale
 * @typedef {Pick<Square, "address" | "to">} Drawn
 */

export class Reader {
  #levels;
  /** Neighbouring points lie in one square. @type {Drawn | undefined} */
  #last;
  /** @type {Map<Drawn, TileData | null>} */
  #data = new Map();

  /**
   * @param {Map<string, Drawn>} squares of the frame, by address @param {Scale} scale that is drawn
   * @param {(square: Drawn) => TileData | null} dataOf the tile that a square is drawn from
   */
  constructor(squares, scale, dataOf) {
    this.squares = squares;
    this.scale = scale;
    this.dataOf = dataOf;
    this.#levels = [...new Set([...squares.values()].map(({address}) => address.z))].sort((y, z) => z - y);
  }

  /** @param {number} a @param {number} b */
  #find(a, b) {
    if (this.#last && holds(this.#last, a, b)) return this.#last;
    for (const z of this.#levels) {
      const n = 2 ** z;
      const found = this.squares.get(keyOf(z, Math.floor(a * n), Math.floor(b * n)));
      if (found) {
        this.#last = found;
        return found;
      }
    }
    return undefined;
  }

  /** The drawn value at a point, NaN where it is not finite, null where nothing is drawn. @param {number} a @param {number} b */
  at(a, b) {
    const square = this.#find(a, b);
    if (!square) return null;
    const {z, x, y} = square.address;
    const n = 2 ** z;
    return valueIn(square.to, (a * n - x) * (SIZE - 1), (b * n - y) * (SIZE - 1));
  }

  /** The tile that is drawn at a point. @param {number} a @param {number} b */
  tileAt(a, b) {
    const square = this.#find(a, b);
    return square ? this.tile(square) : null;
  }

  /** The tile that a square is drawn from. @param {Drawn} square */
  tile(square) {
    let data = this.#data.get(square);
    if (data === undefined) {
      data = this.dataOf(square);
      this.#data.set(square, data);
    }
    return data;
  }

  /** What the drawn value may be off by, 0 where that is not known. @param {number} a @param {number} b */
  errorAt(a, b) {
    const data = this.tileAt(a, b);
    return (data && errorOf(data, this.scale)) || 0;
  }

  /**
   * How the drawn value rises along a and b, per unit of the plane: differences over one point of the fill to each side, which of
   * a quadratic are its derivatives. null where they are not finite. @param {number} a @param {number} b
   */
  slope(a, b) {
    const square = this.#find(a, b);
    if (!square) return null;
    const {uv} = square.to;
    const step = 2 ** -square.address.z / (SIZE - 1) / (uv[2] - uv[0]);
    const rise = (/** @type {number} */ da, /** @type {number} */ db) =>
      ((this.at(a + da, b + db) ?? Number.NaN) - (this.at(a - da, b - db) ?? Number.NaN)) / (2 * step);
    const slope = /** @type {[number, number]} */ ([rise(step, 0), rise(0, step)]);
    return slope.every(Number.isFinite) ? slope : null;
  }
}

/** @param {Drawn} square @param {number} a @param {number} b */
function holds({address: {z, x, y}}, a, b) {
  const n = 2 ** z;
  return a * n >= x && a * n < x + 1 && b * n >= y && b * n < y + 1;
}
