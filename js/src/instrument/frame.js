/** @typedef {import("../render/shade.js").Frame} Frame */

/** A frame at another scale, as it is when its blends have ended. @param {Frame} frame @param {number} by @returns {Frame} */
export const scaled = (frame, by) => ({
  ...frame,
  width: Math.round(frame.width * by),
  height: Math.round(frame.height * by),
  pixelRatio: frame.pixelRatio * by,
  quads: frame.quads.map((quad) => ({
    ...quad,
    rect: /** @type {Frame["quads"][0]["rect"]} */ (quad.rect.map((at) => at * by)),
    from: null,
    t: 1,
  })),
  marks: frame.marks?.map((mark) => ({...mark, x: mark.x * by})),
  hurried: false,
});
