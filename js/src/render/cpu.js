// The renderer for a page without WebGL2, or with one that is emulated anyway. It keeps its last picture: a pan by whole
// pixels moves it and draws only what was out of sight, and new tiles redraw only themselves.
import {reusable, shift} from "./reuse.js";
import {shadeFrame} from "./shade.js";

/** @typedef {import("./shade.js").Frame} Frame */

/** A hurried frame that would take longer than this, in ms, is drawn with half the pixels each way. */
const PATIENCE = 7;
/** What a pixel takes at first sight, ms: a fast machine's time, for the first frames are slow everywhere. */
const FIRST_PACE = 5e-6;

export function createCpuRenderer() {
  /** @type {ImageData | null} */
  let image = null;
  /** @type {{canvas: OffscreenCanvas, image: ImageData} | null} */
  let half = null;
  /** What the image shows. @type {Frame | null} */
  let last = null;
  /** Whether it has hatched pixels: stripes stand still while the map moves under them. */
  let striped = false;
  let pace = FIRST_PACE;

  /** @param {Frame} frame @param {CanvasRenderingContext2D} target */
  const drawHalf = (frame, target) => {
    const small = halved(frame);
    const {width, height} = small;
    if (half?.image.width !== width || half.image.height !== height)
      half = {canvas: new OffscreenCanvas(width, height), image: new ImageData(width, height)};
    shadeFrame(small, new Uint32Array(half.image.data.buffer));
    last = null;
    const before = performance.now();
    half.canvas.getContext("2d", {alpha: false})?.putImageData(half.image, 0, 0);
    target.drawImage(half.canvas, 0, 0, 2 * width, 2 * height);
    return performance.now() - before;
  };

  /** @param {Frame} frame @param {ImageData} into */
  const drawWhole = (frame, into) => {
    const {width, height} = frame;
    const pixels = new Uint32Array(into.data.buffer);
    const kept = reusable(last, frame);
    if (kept !== null && !(striped && (kept.dx !== 0 || kept.dy !== 0))) {
      shift(pixels, width, kept.dx, kept.dy);
      striped = shadeFrame(frame, pixels, kept.areas) || striped;
    } else {
      const started = performance.now();
      striped = shadeFrame(frame, pixels);
      // Slow frames happen to fast machines: the pace follows the better ones at once, the worse ones in time.
      const now = (performance.now() - started) / (width * height);
      pace = now < pace ? now : pace + 0.1 * (now - pace);
    }
    last = frame;
  };

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
      const {width, height} = frame;
      if (!(width > 0 && height > 0)) return true;
      if (frame.hurried && width * height * pace > PATIENCE && reusable(last, frame) === null) {
        this.copied = drawHalf(frame, target);
        return true;
      }
      if (image?.width !== width || image.height !== height) {
        image = new ImageData(width, height);
        last = null;
      }
      drawWhole(frame, image);
      const before = performance.now();
      target.putImageData(image, 0, 0);
      this.copied = performance.now() - before;
      return true;
    },

    dispose() {
      image = null;
      half = null;
      last = null;
    },
  };
}

/** The same picture with half the pixels each way. @param {Frame} frame @returns {Frame} */
const halved = (frame) => ({
  ...frame,
  width: Math.ceil(frame.width / 2),
  height: Math.ceil(frame.height / 2),
  pixelRatio: frame.pixelRatio / 2,
  quads: frame.quads.map((quad) => {
    const [x0, y0, x1, y1] = quad.rect;
    return {...quad, rect: [x0 / 2, y0 / 2, x1 / 2, y1 / 2]};
  }),
});
