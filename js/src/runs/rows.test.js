import {expect, test} from "vitest";
import {extended, finite, merged, overlaid} from "./rows.js";
import {decodeRows} from "./wire.js";

/** @param {number} from @param {number[]} a @param {Record<string, number[]>} [more] */
const block = (from, a, more = {}) => ({from, n: a.length, columns: {a, ...more}});

test("rows that come later lie over those that were there, and go on after them", () => {
  expect(overlaid(block(0, [1, 2, 3]), block(2, [30, 40]))).toEqual(block(0, [1, 2, 30, 40]));
  expect(overlaid(block(0, [1, 2, 3, 4]), block(1, [20]))).toEqual(block(0, [1, 20, 3, 4]));
  expect(overlaid(block(3, [4, 5]), block(1, [2, 3]))).toEqual(block(1, [2, 3, 4, 5]));
});

test("a quantity that one of them lacks is not known there", () => {
  const both = overlaid(block(0, [1, 2]), block(2, [3], {loss: [0.5]}));
  expect(both.columns.loss).toEqual([Number.NaN, Number.NaN, 0.5]);
});

test("what is told in pieces is what would be told at once", () => {
  const rows = Array.from({length: 50}, (_, i) => i * i);
  for (const size of [1, 3, 7, 50]) {
    /** @type {import("./rows.js").Block | null} */
    let told = null;
    for (let from = 0; from < rows.length; from += size)
      told = extended(told, 0, block(from, rows.slice(from, from + size))) ?? null;
    expect(told).toEqual(block(0, rows));
  }
});

test("a message that comes twice, or overlaps the one before it, changes nothing", () => {
  const told = extended(null, 0, block(0, [1, 2, 3, 4]));
  expect(extended(told ?? null, 0, block(1, [2, 3]))).toEqual(told);
});

test("rows from 0 begin anew, none of them forgets the run", () => {
  const told = block(0, [1, 2, 3]);
  expect(extended(told, 9, block(0, [7]))).toEqual(block(0, [7]));
  expect(extended(told, 9, block(0, []))).toBeNull();
});

test("rows before these that were lost on the way are noticed", () => {
  expect(extended(null, 0, block(3, [1]))).toBeUndefined();
  expect(extended(block(0, [1, 2]), 0, block(3, [1]))).toBeUndefined();
  expect(extended(block(0, [1, 2]), 0, block(2, [3]))).toEqual(block(0, [1, 2, 3]));
  // The trait has them.
  expect(extended(null, 3, block(3, [4]))).toEqual(block(3, [4]));
});

test("told rows lie over those of the trait of the same name", () => {
  const trait = block(0, [1, 2, 3]);
  expect(merged(trait, null)).toBe(trait);
  expect(merged(trait, block(2, [30, 40]))).toEqual(block(0, [1, 2, 30, 40]));
  // Told from the first row on, the trait's are of an earlier run.
  expect(merged(trait, block(0, [9]))).toEqual(block(0, [9]));
});

test("a row without a place is not drawn, one without a loss is", () => {
  const some = block(0, [1, Number.NaN, 3], {loss: [Number.NaN, 2, 3]});
  expect(finite(some, ["a"])).toEqual(block(0, [1, 3], {loss: [Number.NaN, 3]}));
  expect(finite(block(0, [1]), ["a", "b"]).n).toBe(0);
});

const HEAD = {v: 1, k: "path", name: "run", scene: "s", from: 0, n: 1, columns: ["a", "b", "step"]};
const buffer = (/** @type {number} */ count) => new DataView(new Float64Array(count).buffer);

test("what is no row of a run is passed over", () => {
  expect(decodeRows(HEAD, [buffer(3)])).toMatchObject({name: "run", n: 1, columns: {a: [0], b: [0], step: [0]}});
  for (const wrong of [
    {v: 2},
    {k: "tiles"},
    {name: 3},
    {scene: null},
    {from: -1},
    {from: 0.5},
    {n: 2},
    {n: 1e9},
    {columns: ["a", "b"]},
    {columns: ["a", "a", "step"]},
    {columns: "abstep"},
    {color: 7},
  ])
    expect(decodeRows({...HEAD, ...wrong}, [buffer(3)])).toBeNull();
  expect(decodeRows(HEAD, [])).toBeNull();
  expect(decodeRows(HEAD, [buffer(4)])).toBeNull();
  expect(decodeRows(null)).toBeNull();
  expect(decodeRows({...HEAD, n: 0}, [])?.n).toBe(0);
});
