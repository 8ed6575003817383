// Which renderer draws: the curve on a line; on a map WebGL2 where a graphics card runs it, as soon as that part is here, else the
// CPU. Both draw the same picture.

import {createCpuRenderer} from "./cpu.js";
import {createCurveRenderer} from "./curve.js";

/** @typedef {typeof import("../webgl/index.js")} WebGl */

/** A lost context is asked again after this many ms. */
const LOST_FOR = 2000;

export class Renderers {
  /** "webgl2" and "cpu" force one. @type {string} */
  preferred = "auto";
  /** What the last copy to the canvas took in addition, which is no part of the script's, ms. */
  copied = 0;

  /** @type {ReturnType<WebGl["createGlRenderer"]>} */
  #gl = null;
  /** @type {WebGl | null} */
  #webgl = null;
  #asked = false;
  #tried = false;
  /** Whether the page's context is emulated on the CPU. */
  #emulated = false;
  #lostAt = Number.NEGATIVE_INFINITY;
  #cpu = createCpuRenderer();
  #curve = createCurveRenderer();

  /** @param {() => Promise<WebGl | null>} ask for the part @param {() => void} came */
  constructor(ask, came) {
    this.ask = ask;
    this.came = came;
  }

  /** @param {import("./shade.js").Frame} frame @param {CanvasRenderingContext2D} context @param {boolean} onLine */
  draw(frame, context, onLine) {
    let renderer = this.of(onLine);
    if (!renderer.draw(frame, context)) {
      this.#lostAt = performance.now();
      renderer = this.#cpu;
      renderer.draw(frame, context);
    }
    this.copied = renderer.copied;
  }

  /** A picture on another canvas, of its size: as large as one likes. @param {import("./shade.js").Frame} frame @param {CanvasRenderingContext2D} context @param {boolean} onLine */
  paint(frame, context, onLine) {
    (onLine ? this.#curve : createCpuRenderer()).draw(frame, context);
  }

  /** The one that would draw now. @param {boolean} onLine */
  of(onLine) {
    if (onLine) return this.#curve;
    if (this.preferred === "cpu") return this.#cpu;
    if (this.#webgl === null) {
      this.#fetch();
      return this.#cpu;
    }
    if (!this.#tried || (this.#emulated && this.preferred === "webgl2" && this.#gl === null)) {
      this.#tried = true;
      this.#gl = this.#webgl.createGlRenderer();
      this.#emulated = this.#gl?.software ?? false;
    }
    if (this.#emulated && this.preferred !== "webgl2") {
      // The copy out of an emulated context costs more than colouring here; the page may have its context back.
      this.#gl?.dispose();
      this.#gl = null;
    }
    const gl = this.#gl;
    return gl === null || gl.lost || performance.now() - this.#lostAt < LOST_FOR ? this.#cpu : gl;
  }

  async #fetch() {
    if (this.#asked) return;
    this.#asked = true;
    this.#webgl = await this.ask();
    this.#asked = this.#webgl !== null;
    if (this.#webgl) this.came();
  }

  /** Give back the memory that nobody looks at. */
  rest() {
    this.#cpu.dispose();
  }

  dispose() {
    this.#gl?.dispose();
    this.rest();
  }
}
