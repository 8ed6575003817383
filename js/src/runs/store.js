// The runs of a model: what its traits hold and what was told since, as paths in planes and as curves; which are shown, and at which
// step. One for all views of a model, whichever of them has opened it.

import {extended, finite, merged} from "./rows.js";
import {union} from "./scrub.js";
import {decodeRows} from "./wire.js";

/**
 * @typedef {[number, number]} Point
 * @typedef {import("./rows.js").Block} Block
 * @typedef {{
 *   name: string, colour: string, scene: string, points: Point[], steps: number[], distance: number[] | null,
 *   loss: number[] | null, arrows: Point[] | null
 * }} Path  loss: NaN where it is not finite or not known; arrows: moves downhill in the plane, of plain descent at a rate of 1
 * @typedef {{steps: number[], series: Record<string, number[]>}} Curves  series: NaN where a step has no value
 * @typedef {{name: string, colour: string, shown: boolean, path: Path | null, curves: Curves | null}} Run  path: in the plane that is shown
 * @typedef {{step: number, name: string | null}} Pointed  what the pointer is at, of one run or of all
 */

/** Told from each other by every kind of colour vision, and from both themes (three of them: Okabe and Ito 2008). */
export const COLOURS = ["#d55e00", "#0072b2", "#009e73", "#9435e2", "#e30a48"];

/** Planes whose paths are kept, of each run. */
const PLANES = 8;

/** @param {(number | null)[]} values */
const orNaN = (values) => values.map((value) => value ?? Number.NaN);

/** @param {any} path of the trait @returns {Block} */
function blockOf({points, steps, distance, loss, arrows}) {
  const n = points.length;
  /** @type {import("./wire.js").Columns} */
  const columns = {
    a: points.map((/** @type {Point} */ [a]) => a),
    b: points.map((/** @type {Point} */ [, b]) => b),
    step: steps ?? points.map((/** @type {Point} */ _, /** @type {number} */ i) => i),
  };
  if (distance) columns.distance = distance;
  if (loss) columns.loss = orNaN(loss);
  if (arrows)
    ["down_a", "down_b"].forEach((name, i) => {
      columns[name] = orNaN(arrows.map((/** @type {(number | null)[]} */ arrow) => arrow[i]));
    });
  return {from: 0, n, columns};
}

/** @param {any} run of the trait @returns {Block} */
const curvesBlock = ({steps, series}) => ({
  from: 0,
  n: steps.length,
  columns: {
    ...Object.fromEntries(Object.entries(series).map(([name, values]) => [name, orNaN(/** @type {any} */ (values))])),
    step: steps,
  },
});

/** @param {number[] | undefined} values */
const orNull = (values) => (values?.some((value) => !Number.isNaN(value)) ? values : null);

export class Runs {
  /** The step that is looked at; null: the last of each. @type {number | null} */
  at = null;
  /** @type {Pointed | null} */
  pointed = null;
  /** Names that are not shown. @type {Set<string>} */
  hidden = new Set();
  /** Counts what has come. */
  version = 0;
  #session;
  /** What was told, by kind, name and plane. @type {Map<string, Block>} */
  #told = new Map();
  /** Colours that were told. @type {Map<string, string>} */
  #coloured = new Map();
  /** Which colour is whose: it stays. @type {string[]} */
  #names = [];
  /** Of the traits. @type {{paths: any[] | null, runs: any[] | null}} */
  #traits = {paths: null, runs: null};
  /** Made of what, and what. @type {{key: string, runs: Run[], paths: Path[]}} */
  #made = {key: "", runs: [], paths: []};
  /** @type {{of: Run[], steps: number[]}} */
  #steps = {of: [], steps: []};
  /** @type {Set<() => void>} */
  #watchers = new Set();

  /** @param {import("../session.js").Session} session */
  constructor(session) {
    this.#session = session;
    for (const [head, buffers] of session.told.splice(0)) this.take(head, buffers);
    session.tellRun = (head, buffers) => this.take(head, buffers);
  }

  /** @param {() => void} watcher called after each change @param {AbortSignal} signal */
  watch(watcher, signal) {
    this.#watchers.add(watcher);
    signal.addEventListener("abort", () => this.#watchers.delete(watcher));
  }

  #tell() {
    for (const watcher of this.#watchers) watcher();
  }

  /** Rows of a run have come. @param {any} head @param {readonly DataView[]} buffers */
  take(head, buffers) {
    const rows = decodeRows(head, buffers);
    if (!rows) return;
    const {k, name, scene, color} = rows;
    const key = `${k}/${scene}/${name}`;
    const known = (k === "path" ? this.#paths : this.#runs).find(
      (one) => one.name === name && (one.scene ?? "") === scene,
    );
    const next = extended(this.#told.get(key) ?? null, (known?.points ?? known?.steps)?.length ?? 0, rows);
    if (next === undefined) return this.#session.source.greetAgain();
    this.#told.delete(key); // what was told last stands last
    if (next) this.#told.set(key, next);
    if (color) this.#coloured.set(name, color);
    const planes = [...this.#told.keys()].filter((other) => other.startsWith("path/") && other.endsWith(`/${name}`));
    for (const old of planes.slice(0, -PLANES)) this.#told.delete(old);
    this.version++;
    this.#tell();
  }

  /** @returns {any[]} */
  get #paths() {
    return this.#trait("paths", "path");
  }

  /** @returns {any[]} */
  get #runs() {
    return this.#trait("runs", "curves");
  }

  /** A trait; one that has come to hold as many rows as were told takes over. @param {"paths" | "runs"} name @param {string} kind */
  #trait(name, kind) {
    const now = this.#session.model.get(name) ?? [];
    const before = this.#traits[name];
    if (now === before) return now;
    this.#traits[name] = now;
    this.version++;
    if (before !== null)
      for (const one of now) {
        const key = `${kind}/${one.scene ?? ""}/${one.name}`;
        const told = this.#told.get(key);
        if (told && (one.points ?? one.steps).length >= told.from + told.n) this.#told.delete(key);
      }
    return now;
  }

  /** Whether there is anything, in whatever plane. */
  get some() {
    return this.#told.size + this.#paths.length + this.#runs.length > 0;
  }

  /** Whether there are paths in other planes. */
  get elsewhere() {
    return this.#paths.length > 0 || [...this.#told.keys()].some((key) => key.startsWith("path/"));
  }

  /** What is known in the plane of this scene. @param {string | undefined} hash */
  in(hash) {
    const [paths, runs] = [this.#paths, this.#runs];
    const key = `${this.version}/${hash}/${[...this.hidden].join()}`;
    if (key !== this.#made.key) this.#made = {key, ...this.#make(paths, runs, hash ?? "")};
    return this.#made;
  }

  /** @param {any[]} known paths @param {any[]} runs @param {string} hash */
  #make(known, runs, hash) {
    const told = (/** @type {string} */ kind, /** @type {string} */ scene) =>
      [...this.#told.keys()]
        .filter((key) => key.startsWith(`${kind}/${scene}/`))
        .map((key) => key.slice(kind.length + scene.length + 2));
    const here = known.filter(({scene}) => !scene || scene === hash);
    const names = [
      ...new Set([
        ...known.map(({name}) => name),
        ...runs.map(({name}) => name),
        ...[...this.#told.keys()].map((key) => key.split("/").slice(2).join("/")),
      ]),
    ];
    for (const name of names) if (!this.#names.includes(name)) this.#names.push(name);
    const colourOf = (/** @type {string} */ name) =>
      here.find((path) => path.name === name && path.color)?.color ??
      runs.find((run) => run.name === name && run.color)?.color ??
      this.#coloured.get(name) ??
      COLOURS[this.#names.indexOf(name) % COLOURS.length];
    /** @type {Path[]} */
    const paths = [];
    const add = (/** @type {string} */ name, /** @type {Block} */ block, /** @type {Block | null} */ more) => {
      const {columns, n} = finite(merged(block, more), ["a", "b", "step"]);
      if (n === 0) return;
      const {a, b, step, distance, loss, down_a: down, down_b: across} = columns;
      const points = a.map((x, i) => /** @type {Point} */ ([x, b[i]]));
      paths.push({
        name,
        colour: colourOf(name),
        scene: hash,
        points,
        steps: step,
        distance: orNull(distance),
        loss: orNull(loss),
        arrows: down && across ? down.map((x, i) => /** @type {Point} */ ([x, across[i]])) : null,
      });
    };
    for (const path of here) add(path.name, blockOf(path), this.#told.get(`path/${hash}/${path.name}`) ?? null);
    for (const name of told("path", hash))
      if (!here.some((path) => path.name === name))
        add(name, {from: 0, n: 0, columns: {}}, this.#told.get(`path/${hash}/${name}`) ?? null);
    /** @param {string} name @returns {Curves | null} */
    const curvesOf = (name) => {
      const run = runs.find((one) => one.name === name);
      const more = this.#told.get(`curves//${name}`) ?? null;
      if (!run && !more) return null;
      const {columns} = finite(merged(run ? curvesBlock(run) : {from: 0, n: 0, columns: {}}, more), ["step"]);
      const {step, ...series} = columns;
      return {steps: step ?? [], series};
    };
    const all = names
      .map((name) => ({
        name,
        colour: colourOf(name),
        shown: !this.hidden.has(name),
        path: paths.find((path) => path.name === name) ?? null,
        curves: curvesOf(name),
      }))
      .filter(({path, curves}) => path || curves);
    return {runs: all, paths: paths.filter(({name}) => !this.hidden.has(name))};
  }

  /** Steps to go through: those of the paths that are shown, else those of the curves. @param {string | undefined} hash */
  stepsIn(hash) {
    const {runs} = this.in(hash);
    if (runs === this.#steps.of) return this.#steps.steps;
    const shown = runs.filter((run) => run.shown);
    const paths = shown.flatMap(({path}) => (path ? [path.steps] : []));
    const lists = paths.length > 0 ? paths : shown.flatMap(({curves}) => (curves ? [curves.steps] : []));
    this.#steps = {of: runs, steps: union(lists)};
    return this.#steps.steps;
  }

  /** @param {number | null} step */
  scrub(step) {
    if (step === this.at) return;
    this.at = step;
    this.#tell();
  }

  /** @param {Pointed | null} pointed */
  point(pointed) {
    if (pointed?.step === this.pointed?.step && pointed?.name === this.pointed?.name) return;
    this.pointed = pointed;
    this.#tell();
  }

  /** @param {string} name @param {boolean} shown */
  show(name, shown) {
    if (shown) this.hidden.delete(name);
    else this.hidden.add(name);
    this.#tell();
  }
}
