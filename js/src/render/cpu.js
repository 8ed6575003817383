// The renderer for a page without WebGL2, or with one that is emulated anyway. It keeps its last picture: a pan by whole
// pixels moves it and draws only what was out of sight, and new tiles redraw only themselves.
import {reusable, shift} from "./reuse.js";
import {shadeFrame} from "./shade.js";

/** @typedef {import("./shade.js").Frame} Frame */

export function createCpuRenderer() {
  /** @type {ImageData | null} */
  let image = null;
  /** What the image shows. @type {Frame | null} */
  let last = null;
  /** Whether it has hatched pixels: stripes stand still while the map moves under them. */
  let striped = false;
  return {
    kind: /** @type {const} */ ("cpu"),
    software: true,
    lost: false,
    /** How long the last copy to the canvas took, ms. */
    copied: 0,

    /**
     * @param {Frame} frame
     * @param {CanvasRenderingContext2D} target its canvas has the frame's size
     * @returns {boolean} always true: drawn
     */
    draw(frame, target) {
      if (!(frame.width > 0 && frame.height > 0)) return true;
      if (image?.width !== frame.width || image.height !== frame.height) {
        image = new ImageData(frame.width, frame.height);
        last = null;
      }
      const pixels = new Uint32Array(image.data.buffer);
      const kept = reusable(last, frame);
      if (kept === null || (striped && (kept.dx !== 0 || kept.dy !== 0))) striped = shadeFrame(frame, pixels);
      else {
        shift(pixels, frame.width, kept.dx, kept.dy);
        striped = shadeFrame(frame, pixels, kept.areas) || striped;
      }
      last = frame;
      const before = performance.now();
      target.putImageData(image, 0, 0);
      this.copied = performance.now() - before;
      return true;
    },

    dispose() {
      image = null;
      last = null;
    },
  };
}
