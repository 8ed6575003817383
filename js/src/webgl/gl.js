// The WebGL2 renderer. A page has one context, however many maps it shows: browsers drop the oldest beyond eight or so.
// Every widget's module is a copy of its own, so the one engine hangs on globalThis, counted by its users.
import {page} from "../page.js";
import {perSlopeOf} from "../render/relief.js";
import {pixelsOf, prepareLevels, walk} from "../render/shade.js";
import {SIZE} from "../spline.js";
import {FRAGMENT, HOLE, VERTEX} from "./program.js";

/**
 * @typedef {import("../render/shade.js").Frame} Frame
 * @typedef {import("../render/shade.js").Patch} Patch
 * @typedef {import("../render/shade.js").Quad} Quad
 * @typedef {OffscreenCanvas | HTMLCanvasElement} AnyCanvas
 * @typedef {ReturnType<typeof createEngine>} Engine
 */

/** Bytes of textures kept: some 750 tiles. */
const BUDGET = 48 << 20;
const TILE_BYTES = SIZE * SIZE * 4;

/** @returns {AnyCanvas} */
function detachedCanvas() {
  return typeof OffscreenCanvas === "undefined" ? document.createElement("canvas") : new OffscreenCanvas(1, 1);
}

/**
 * A renderer on the page's one WebGL2 context, or null where there is none. `draw` returns false while the context is
 * lost; it works again as soon as the browser gives it back.
 * @param {() => AnyCanvas} [canvasFactory] used by the first renderer of the page
 */
export function createGlRenderer(canvasFactory = detachedCanvas) {
  const shared = page();
  shared.gl ??= makeEngine(canvasFactory);
  if (!shared.gl) return null;
  /** @type {Engine} */
  const engine = shared.gl;
  const owner = engine.join();
  let open = true;
  return {
    kind: /** @type {const} */ ("webgl2"),
    /** True when the context is emulated: the CPU renderer may then be the faster one. */
    software: engine.software,
    get lost() {
      return engine.lost;
    },
    /** How long the last copy to the map's own canvas took, ms; with an emulated context also the drawing itself. */
    get copied() {
      return engine.copied;
    },

    /**
     * @param {Frame} frame
     * @param {CanvasRenderingContext2D} target its canvas has the frame's size
     * @returns {boolean} whether it was drawn
     */
    draw: (frame, target) => open && engine.draw(owner, frame, target),

    dispose() {
      if (!open) return;
      open = false;
      if (engine.leave(owner) === 0 && shared.gl === engine) shared.gl = null;
    },
  };
}

/** @param {() => AnyCanvas} canvasFactory */
function makeEngine(canvasFactory) {
  const canvas = canvasFactory();
  const options = {alpha: false, antialias: false, depth: false, stencil: false};
  const gl = /** @type {WebGL2RenderingContext | null} */ (canvas.getContext("webgl2", options));
  if (!gl) return null;
  try {
    return createEngine(canvas, gl);
  } catch (error) {
    console.warn("lossatlas: WebGL2 cannot be used, the map is drawn without it.", error);
    return null;
  }
}

/**
 * @param {AnyCanvas} canvas
 * @param {WebGL2RenderingContext} gl
 */
function createEngine(canvas, gl) {
  let users = 0;
  let joined = 0;
  let lost = false;
  let copied = 0;
  let pipeline = createPipeline(gl);
  canvas.addEventListener("webglcontextlost", (event) => {
    // Without this the browser would never give the context back.
    event.preventDefault();
    lost = true;
  });
  canvas.addEventListener("webglcontextrestored", () => {
    if (users === 0) return;
    pipeline = createPipeline(gl);
    lost = false;
  });
  return {
    software: isSoftware(gl),
    get lost() {
      return lost || gl.isContextLost();
    },
    get copied() {
      return copied;
    },
    join() {
      users++;
      return `${joined++}`;
    },
    /** @param {string} owner */
    leave(owner) {
      users--;
      pipeline.textures.forget(owner);
      if (users === 0) gl.getExtension("WEBGL_lose_context")?.loseContext();
      return users;
    },
    /**
     * @param {string} owner
     * @param {Frame} frame
     * @param {CanvasRenderingContext2D} target
     */
    draw(owner, frame, target) {
      const {width, height} = frame;
      if (lost || gl.isContextLost()) return false;
      if (!(width > 0 && height > 0)) return true;
      // Resizing costs a new drawing buffer, so it only grows: maps of several sizes share it.
      if (canvas.width < width) canvas.width = width;
      if (canvas.height < height) canvas.height = height;
      pipeline.draw(owner, frame, canvas.height);
      if (gl.isContextLost()) return false;
      const before = performance.now();
      target.save();
      target.resetTransform();
      target.drawImage(canvas, 0, 0, width, height, 0, 0, width, height);
      target.restore();
      copied = performance.now() - before;
      return true;
    },
  };
}

/** @param {WebGL2RenderingContext} gl */
function isSoftware(gl) {
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

/**
 * @param {WebGL2RenderingContext} gl
 * @param {number} type
 * @param {string} source
 */
function compile(gl, type, source) {
  const shader = gl.createShader(type);
  if (!shader) throw new Error("No shader could be made.");
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

/** @param {WebGL2RenderingContext} gl */
function link(gl) {
  const program = gl.createProgram();
  const shaders = [compile(gl, gl.VERTEX_SHADER, VERTEX), compile(gl, gl.FRAGMENT_SHADER, FRAGMENT)];
  for (const shader of shaders) gl.attachShader(program, shader);
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    const log = [...shaders.map((shader) => gl.getShaderInfoLog(shader)), gl.getProgramInfoLog(program)];
    throw new Error(`The shader does not compile: ${log.filter(Boolean).join("\n")}`);
  }
  return program;
}

/**
 * Everything that dies with a context.
 * @param {WebGL2RenderingContext} gl
 */
function createPipeline(gl) {
  const program = link(gl);
  /** @type {Map<string, WebGLUniformLocation | null>} */
  const places = new Map();
  /** @param {string} name */
  const at = (name) => {
    let place = places.get(name);
    if (place === undefined) {
      place = gl.getUniformLocation(program, name);
      places.set(name, place);
    }
    return place;
  };
  const textures = createTextures(gl);
  gl.bindVertexArray(gl.createVertexArray());

  /** @param {Frame} frame */
  const setFrame = (frame) => {
    const {width, height, pixelRatio, domain, background, hatch} = frame;
    const levels = prepareLevels(frame);
    const table = new Float32Array(4 * Math.max(levels.count, 1));
    for (let k = 0; k < levels.count; k++) {
      table.set([levels.value[k], levels.half[k], levels.alpha[k], levels.major[k]], 4 * k);
    }
    const range = domain[1] - domain[0];
    gl.uniform2f(at("uSize"), width, height);
    gl.uniform1f(at("uRatio"), pixelRatio);
    gl.uniform2f(at("uDomain"), domain[0], range > 0 ? 1 / range : 0);
    gl.uniform1f(at("uDesaturate"), frame.desaturate);
    gl.uniform2f(at("uRelief"), frame.relief ?? 0, perSlopeOf(frame));
    gl.uniform3f(at("uBackground"), background[0] / 255, background[1] / 255, background[2] / 255);
    gl.uniform3f(at("uHatch"), hatch[0] / 255, hatch[1] / 255, hatch[2] / 255);
    gl.uniform1i(at("uCount"), levels.count);
    gl.uniform1f(at("uLoneGap"), levels.gap[0]);
    gl.uniform4fv(at("uLevel"), table);
  };

  /**
   * @param {string} cell the names of two uniforms, in full: the build gives them short ones
   * @param {string} rest
   * @param {Patch} patch
   * @param {Quad["rect"]} rect
   * @param {number} x
   * @param {number} y
   */
  const setWalk = (cell, rest, patch, rect, x, y) => {
    // float32 keeps its digits when what it counts from is in the first cell: a parent may be magnified a thousandfold.
    const start = walk(patch, rect, x, y);
    const cellX = Math.floor(start.x);
    const cellY = Math.floor(start.y);
    gl.uniform2i(at(cell), cellX, cellY);
    gl.uniform4f(at(rest), start.x - cellX, start.y - cellY, start.stepX, start.stepY);
  };

  return {
    textures,
    /**
     * @param {string} owner
     * @param {Frame} frame
     * @param {number} bufferHeight
     */
    draw(owner, frame, bufferHeight) {
      const {width, height, background} = frame;
      gl.useProgram(program);
      gl.viewport(0, bufferHeight - height, width, height);
      gl.clearColor(background[0] / 255, background[1] / 255, background[2] / 255, 1);
      gl.clear(gl.COLOR_BUFFER_BIT);
      setFrame(frame);
      gl.uniform1f(at("uTop"), bufferHeight);
      gl.uniform1i(at("uTo"), 0);
      gl.uniform1i(at("uFrom"), 1);
      gl.uniform1i(at("uLut"), 2);
      gl.activeTexture(gl.TEXTURE2);
      textures.bindLut(frame.lut);
      for (const quad of frame.quads) {
        const {x0, y0, x1, y1} = pixelsOf(quad.rect, width, height);
        if (x1 <= x0 || y1 <= y0) continue;
        const from = quad.t < 1 && quad.from ? quad.from : quad.to;
        gl.uniform4f(at("uRect"), x0, y0, x1, y1);
        gl.uniform1f(at("uT"), from === quad.to ? 1 : Math.max(quad.t, 0));
        gl.uniform2f(at("uOffset"), quad.to.offset, from.offset);
        gl.activeTexture(gl.TEXTURE0);
        textures.bind(owner, quad.to);
        setWalk("uToCell", "uToWalk", quad.to, quad.rect, x0, y0);
        gl.activeTexture(gl.TEXTURE1);
        textures.bind(owner, from);
        setWalk("uFromCell", "uFromWalk", from, quad.rect, x0, y0);
        gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
      }
      textures.trim();
    },
  };
}

/**
 * Grids as textures, the least recently used dropped beyond the budget. One owner's keys mean nothing to another.
 * @param {WebGL2RenderingContext} gl
 */
function createTextures(gl) {
  /** @type {Map<string, WebGLTexture>} */
  const grids = new Map();
  /** @type {Set<string>} */
  const inUse = new Set();
  const lutTexture = gl.createTexture();
  /** @type {Uint8Array | null} */
  let lutShown = null;

  /** @param {number} filter */
  const sampling = (filter) => {
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  };

  return {
    /** @param {Uint8Array} lut */
    bindLut(lut) {
      gl.bindTexture(gl.TEXTURE_2D, lutTexture);
      if (lut === lutShown) return;
      lutShown = lut;
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, lut);
      sampling(gl.LINEAR);
    },

    /**
     * @param {string} owner
     * @param {Patch} patch
     */
    bind(owner, {key, grid}) {
      const name = `${owner}/${key}`;
      const known = grids.get(name);
      const texture = known ?? gl.createTexture();
      grids.delete(name);
      grids.set(name, texture);
      inUse.add(name);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      if (known) return;
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, SIZE, SIZE, 0, gl.RED, gl.FLOAT, withHoles(grid));
      sampling(gl.NEAREST);
    },

    /** Drop the oldest beyond the budget, but none of the frame just drawn. */
    trim() {
      for (const [name, texture] of grids) {
        if (grids.size * TILE_BYTES <= BUDGET || inUse.has(name)) break;
        gl.deleteTexture(texture);
        grids.delete(name);
      }
      inUse.clear();
    },

    /** @param {string} owner */
    forget(owner) {
      for (const [name, texture] of grids) {
        if (!name.startsWith(`${owner}/`)) continue;
        gl.deleteTexture(texture);
        grids.delete(name);
      }
    },
  };
}

/**
 * The grid itself when all of it is finite, else a copy with the mark that the shader knows.
 * @param {Float32Array} grid
 */
function withHoles(grid) {
  return grid.every(Number.isFinite) ? grid : grid.map((value) => (Number.isFinite(value) ? value : HOLE));
}
