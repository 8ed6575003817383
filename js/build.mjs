// Builds the front end into the Python package: src/lossatlas/static/{widget.js, widget.css, page.js, baked.js, ball.js, instrument.js, layers.js, point.js, runs.js, webgl.js, colormaps.json}.
//   node build.mjs           build
//   node build.mjs --check   exit 1, saying why, when the built files are missing or older than their sources
//   node build.mjs --dev     serve dev/index.html, a page without Python
import {createHash} from "node:crypto";
import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from "node:fs";
import {dirname, join, relative, sep} from "node:path";
import {fileURLToPath} from "node:url";
import {gzipSync} from "node:zlib";
import {shortGlsl} from "./glsl.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "src", "lossatlas", "static");
// Sent by the kernel when they are needed, and stored nowhere but in what was baked: so much of each is there at once on any line.
const PARTS = /** @type {const} */ ({
  baked: {minified: 8 * 1024, gzipped: 3 * 1024},
  ball: {minified: 28 * 1024, gzipped: 9 * 1024},
  instrument: {minified: 80 * 1024, gzipped: 28 * 1024},
  layers: {minified: 44 * 1024, gzipped: 15 * 1024},
  point: {minified: 40 * 1024, gzipped: 14 * 1024},
  runs: {minified: 48 * 1024, gzipped: 16 * 1024},
  webgl: {minified: 20 * 1024, gzipped: 7 * 1024},
});
const names = /** @type {(keyof typeof PARTS)[]} */ (Object.keys(PARTS));
// page.js is widget.js with a host of its own, for pages without a kernel.
const outputs = ["widget.js", "widget.css", "page.js", ...names.map((name) => `${name}.js`), "colormaps.json"];

// The bundle is stored in every notebook that is saved with its widgets: these are gates, not hopes. KB are of 1024 bytes.
const MAX_MINIFIED = 100 * 1024;
const MAX_GZIPPED = 35 * 1024;

// Our own long property names that no browser, no message, no trait and no script outside knows: the bundle has short ones.
const SHORTENED = `
  address allowed answered asked atHome background bindLut budget choices colours commChanged commLive copied
  covers crowded crowdedFade dataBytes decades density desaturate dismissError dragging element errorAt fieldName
  filled finished gesture gridBytes grids hatch hatchPeriod hatchWidth homeInSight homeLevel horizontal hurried
  invalidate labels ladder levels listener lowest lut major majorAlpha majorEvery majors majorWidth mantissas
  minorAlpha minorWidth moving onChange onLine onMessage onState opacity origin panBy perBin perDomain perTint phase
  pill pinned pixelRatio plateau plateauEnd power preferred previous probeCentre quads reading receive reliefDepth
  reliefRise rendererKind resized rowOf rung sample session settle settled since slopeX slopeY software source squares
  stepX stepY subject sufficient texts textures toPixels toPlane verb version vertical viewed visible waits
  wantsChanged widest wiring zoomAt`;

/** Every file that decides what the bundle is: the sources without their tests, the build, and the lock of its tools. */
function sources() {
  const all = readdirSync(join(here, "src"), {recursive: true, withFileTypes: true})
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.js"))
    .map((entry) => relative(here, join(entry.parentPath, entry.name)).split(sep).join("/"));
  return [...all, "build.mjs", "glsl.mjs", "package-lock.json"].sort();
}

/** sha256 over path, NUL, contents, NUL of each source in the order of their paths. */
export function sourceHash() {
  const hash = createHash("sha256");
  for (const path of sources())
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(here, path)))
      .update("\0");
  return hash.digest("hex");
}

// Sixteen digits tell one source from another, and the rest would be the least compressible words of the bundle.
const banner = () => `/* lossatlas front end, source sha256: ${sourceHash().slice(0, 16)} */`;

/** @returns {string | null} why the built files cannot be used, or null when they can */
function staleness() {
  const missing = outputs.filter((name) => !existsSync(join(out, name)));
  if (missing.length > 0) return `${missing.join(", ")} not built yet`;
  for (const name of outputs.filter((each) => each.endsWith(".js"))) {
    const first = readFileSync(join(out, name), "utf8").split("\n", 1)[0];
    if (first !== banner()) return `${name} was built from other sources`;
  }
  return null;
}

/** @type {import("esbuild").Plugin} */
const shaders = {
  name: "shaders",
  setup(build) {
    // Uniforms are known by name on both sides: uBackground is uA in either.
    const program = readFileSync(join(here, "src", "webgl", "program.js"), "utf8");
    const uniforms = [...new Set(program.match(/\bu[A-Z][A-Za-z]*\b/g))].sort();
    const shorter = (/** @type {string} */ name) => {
      const letter = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[uniforms.indexOf(name)];
      if (letter === undefined) throw new Error(`program.js has no uniform ${name}, or there are more than 26.`);
      return `u${letter}`;
    };
    build.onLoad({filter: /webgl[/\\](program|gl)\.js$/}, ({path}) => {
      const source = readFileSync(path, "utf8");
      if (source.includes("`u$")) throw new Error(`${path} puts the name of a uniform together. Write it in full.`);
      const contents = source.replace(/(#version 300 es\n)([^`]*)/g, (_, head, body) => head + shortGlsl(body));
      return {contents: contents.replace(/\bu[A-Z][A-Za-z]*\b/g, shorter), loader: "js"};
    });
  },
};

/** Style sheets that a module brings along, as short text. @type {import("esbuild").Plugin} */
const sheets = {
  name: "sheets",
  setup(build) {
    build.onLoad({filter: /(ball|instrument|layers|pane|point|runs)\.css$/}, async ({path}) => {
      const {code} = await build.esbuild.transform(readFileSync(path, "utf8"), {
        loader: "css",
        minify: true,
        charset: "utf8",
        target: "es2022",
      });
      return {contents: code.trim(), loader: "text"};
    });
  },
};

/** What the user's page may come to hold. @param {string} name @param {string[]} files @param {number} most @param {number} zipped */
function weigh(name, files, most, zipped) {
  const contents = files.map((file) => readFileSync(join(out, file)));
  const sum = (/** @type {number[]} */ sizes) => sizes.reduce((a, b) => a + b, 0);
  const minified = sum(contents.map((content) => content.length));
  const gzipped = sum(contents.map((content) => gzipSync(content, {level: 9}).length));
  console.log(`${name}: ${minified} bytes minified, ${gzipped} gzipped`);
  if (minified <= most && gzipped <= zipped) return;
  console.error(`It may hold ${most} bytes minified, ${zipped} gzipped. Find what made it grow.`);
  process.exitCode = 1;
}

async function build() {
  // Loaded here so that --check runs before npm has installed anything.
  const esbuild = await import("esbuild");
  const terser = await import("terser");
  mkdirSync(out, {recursive: true});
  // The parts are built after the widget, with the short names of the widget's properties.
  let mangleCache = {};
  for (const [name, entry] of [
    ["widget.js", "src/index.js"],
    ["page.js", "src/inline.js"],
    ...names.map((name) => [`${name}.js`, `src/${name}/index.js`]),
  ]) {
    const built = await esbuild.build({
      entryPoints: [join(here, entry)],
      write: false,
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      charset: "utf8",
      legalComments: "none",
      plugins: [shaders, sheets],
      mangleProps: new RegExp(`^(${SHORTENED.trim().split(/\s+/).join("|")})$`),
      mangleCache,
      logLevel: "warning",
    });
    mangleCache = built.mangleCache ?? {};
    // After esbuild, which inlines across modules: terser's choice of names alone is worth a kilobyte once zipped.
    // Unsafe only for a page that has put other functions in the place of the language's own.
    const {code} = await terser.minify(built.outputFiles[0].text, {
      module: true,
      ecma: 2020,
      compress: {passes: 2, unsafe: true, pure_getters: true},
    });
    writeFileSync(join(out, name), `${banner()}\n${code}\n`);
  }
  await esbuild.build({
    entryPoints: {widget: join(here, "src/styles.css")},
    outdir: out,
    minify: true,
    charset: "utf8",
    target: "es2022",
    logLevel: "warning",
  });
  const maps = join(here, "src", "colormaps.json");
  writeFileSync(join(out, "colormaps.json"), existsSync(maps) ? readFileSync(maps) : "{}\n");
  weigh("widget.js + widget.css", ["widget.js", "widget.css"], MAX_MINIFIED, MAX_GZIPPED);
  weigh("page.js + widget.css", ["page.js", "widget.css"], MAX_MINIFIED + 2048, MAX_GZIPPED + 1024);
  for (const name of names) weigh(`${name}.js`, [`${name}.js`], PARTS[name].minified, PARTS[name].gzipped);
}

async function serve() {
  const esbuild = await import("esbuild");
  const context = await esbuild.context({
    entryPoints: [join(here, "dev/main.js"), join(here, "src/styles.css")],
    outdir: join(here, "dev/built"),
    entryNames: "[name]",
    bundle: true,
    format: "esm",
    target: "es2022",
    sourcemap: "inline",
    plugins: [sheets],
    // Served from memory: nothing is left behind in dev/.
    write: false,
    logLevel: "info",
  });
  const {port} = await context.serve({servedir: join(here, "dev"), host: "127.0.0.1"});
  console.log(`http://127.0.0.1:${port}/`);
}

if (process.argv.includes("--check")) {
  const reason = staleness();
  console.log(reason === null ? "front end: up to date" : `front end: ${reason}; run \`npm run build\` in js/`);
  process.exitCode = reason === null ? 0 : 1;
} else if (process.argv.includes("--dev")) {
  await serve();
} else {
  await build();
}
