// The WebGL2 renderer, sent where a page can use it: until it is there, and where there is none, the CPU draws the same picture.

export {createGlRenderer} from "./gl.js";
