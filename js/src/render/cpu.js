// The renderer for a page without WebGL2, or with one that is emulated anyway.
import {shadeFrame} from "./shade.js";

/** @typedef {import("./shade.js").Frame} Frame */

export function createCpuRenderer() {
  /** @type {ImageData | null} */
  let image = null;
  return {
    kind: /** @type {const} */ ("cpu"),
    software: true,
    lost: false,

    /**
     * @param {Frame} frame
     * @param {CanvasRenderingContext2D} target its canvas has the frame's size
     * @returns {boolean} always true: drawn
     */
    draw(frame, target) {
      if (!(frame.width > 0 && frame.height > 0)) return true;
      if (image?.width !== frame.width || image.height !== frame.height)
        image = new ImageData(frame.width, frame.height);
      shadeFrame(frame, new Uint32Array(image.data.buffer));
      target.putImageData(image, 0, 0);
      return true;
    },

    dispose() {
      image = null;
    },
  };
}
