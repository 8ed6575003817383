import {expect, test} from "vitest";
import {Runs} from "./store.js";

/** @param {Record<string, any>} [traits] */
function opened(traits = {}) {
  let greetings = 0;
  const session = /** @type {any} */ ({
    told: [],
    model: {get: (/** @type {string} */ name) => traits[name]},
    source: {greetAgain: () => greetings++},
  });
  return {session, traits, greeted: () => greetings, open: () => new Runs(session)};
}

/** @param {Record<string, any>} head @param {number[][]} rows @returns {[any, any[]]} */
const message = (head, rows) => [
  {v: 1, name: "SGD", from: 0, n: rows.length, ...head},
  [new DataView(Float64Array.from(rows.flat()).buffer)],
];
/** @param {number} from @param {number[][]} rows @param {string} [scene] */
const path = (from, rows, scene = "s") =>
  message({k: "path", scene, from, columns: ["a", "b", "step", "distance", "loss"]}, rows);
/** @param {number} from @param {number[][]} rows */
const curves = (from, rows) => message({k: "curves", from, columns: ["step", "loss"]}, rows);

const PATH = {
  name: "SGD",
  scene: "s",
  points: [
    [0, 0],
    [1, 1],
  ],
  steps: [0, 10],
  distance: null,
  loss: [2, null],
  color: null,
};

test("what was told before the part was here is there with it, and what comes goes on", () => {
  const page = opened();
  page.session.told.push(path(0, [[0, 0, 0, 0.5, 2]]), curves(0, [[0, 2]]));
  const runs = page.open();
  page.session.tellRun(...path(1, [[1, 1, 10, 0.25, Number.NaN]]));
  const [run] = runs.in("s").runs;
  expect(run.path).toMatchObject({
    points: [
      [0, 0],
      [1, 1],
    ],
    steps: [0, 10],
    distance: [0.5, 0.25],
    loss: [2, Number.NaN],
  });
  expect(run.curves).toEqual({steps: [0], series: {loss: [2]}});
  expect(page.greeted()).toBe(0);
});

test("a path is of its plane, its curves of every one", () => {
  const runs = opened({paths: [PATH]}).open();
  runs.take(...path(0, [[5, 5, 0, 0, 1]], "other"));
  runs.take(...curves(0, [[0, 2]]));
  expect(runs.in("s").paths[0].points).toHaveLength(2);
  expect(runs.in("other").paths[0].points).toEqual([[5, 5]]);
  expect(runs.in("third").paths).toEqual([]);
  expect(runs.in("third").runs.map(({name, path: one, curves: own}) => [name, one, own?.steps])).toEqual([
    ["SGD", null, [0]],
  ]);
  expect(runs.elsewhere).toBe(true);
});

test("told rows go on after those of the trait; a trait that holds as much takes over", () => {
  const page = opened({paths: [PATH]});
  const runs = page.open();
  expect(runs.in("s").paths[0].loss).toEqual([2, Number.NaN]);
  runs.take(...path(2, [[2, 2, 20, 0, 1]]));
  expect(runs.in("s").paths[0].steps).toEqual([0, 10, 20]);
  page.traits.paths = [
    {
      ...PATH,
      points: [
        [9, 9],
        [8, 8],
        [7, 7],
      ],
      steps: [0, 10, 20],
      loss: null,
    },
  ];
  expect(runs.in("s").paths[0].points[2]).toEqual([7, 7]);
});

test("a gap is greeted about and not drawn over", () => {
  const page = opened();
  const runs = page.open();
  runs.take(...path(0, [[0, 0, 0, 0, 1]]));
  runs.take(...path(5, [[1, 1, 5, 0, 1]]));
  expect(page.greeted()).toBe(1);
  expect(runs.in("s").paths[0].points).toHaveLength(1);
});

test("a run keeps its colour whatever comes before it, and one that says its own has it", () => {
  const page = opened({runs: [{name: "b", steps: [], series: {}}]});
  const runs = page.open();
  const colours = () => Object.fromEntries(runs.in("s").runs.map(({name, colour}) => [name, colour]));
  const before = colours().b;
  page.traits.paths = [{...PATH, name: "a"}];
  runs.take({...curves(0, [])[0], name: "c"}, []);
  expect(colours().b).toBe(before);
  expect(colours().a).not.toBe(before);
  page.traits.runs = [{name: "b", steps: [], series: {}, color: "red"}];
  expect(colours().b).toBe("red");
});

test("a run that is hidden has no path and no steps, and comes back", () => {
  const runs = opened({paths: [PATH, {...PATH, name: "Adam", steps: [0, 5]}]}).open();
  let told = 0;
  runs.watch(() => told++, new AbortController().signal);
  expect(runs.stepsIn("s")).toEqual([0, 5, 10]);
  runs.show("Adam", false);
  expect(runs.in("s").paths.map(({name}) => name)).toEqual(["SGD"]);
  expect(runs.stepsIn("s")).toEqual([0, 10]);
  runs.show("Adam", true);
  runs.scrub(5);
  runs.scrub(5);
  runs.point({step: 5, name: null});
  runs.point({step: 5, name: null});
  expect(runs.stepsIn("s")).toEqual([0, 5, 10]);
  expect(told).toBe(4);
});
