// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {latticesOf, Nodes} from "./nodes.js";

/** @param {object} to @param {[number, number, number, number]} [rect] */
const quad = (to, rect = [0, 0, 100, 100]) => ({
  rect,
  from: null,
  t: 1,
  to: {
    grid: new Float32Array(),
    key: "",
    offset: 0,
    centres: null,
    uv: /** @type {[number, number, number, number]} */ ([0, 0, 1, 1]),
    ...to,
  },
});

test("a tile's nodes lie on its borders and between them", () => {
  const [{step, phase}, ...others] = latticesOf([quad({nodes: 5})]);
  expect([step, ...phase.map(Math.abs)]).toEqual([25, 0, 0]);
  expect(others).toEqual([]);
});

test("the centres of its cells are a second lattice, half a step away", () => {
  const [, {step, phase}] = latticesOf([quad({nodes: 5, centres: new Float32Array(16)})]);
  expect([step, ...phase]).toEqual([25, 12.5, 12.5]);
});

test("a part of a coarser tile has the nodes that fall on it, down from the upper border", () => {
  // u 0.25 … 0.5 and v 0.5 … 0.75 of three nodes a side: one of them, at (0.5, 0.5), its lower right corner.
  const [{step, phase}] = latticesOf([quad({nodes: 3, uv: [0.25, 0.5, 0.5, 0.75]}, [10, 20, 110, 120])]);
  expect([step, ...phase.map((at) => at + step)]).toEqual([200, 100, 100]);
});

test("dots are drawn when they are asked for, and not where they would hide the map", () => {
  const nodes = new Nodes();
  const quads = [quad({nodes: 3}, [0, 0, 200, 200]), quad({nodes: 33}, [200, 0, 400, 200])];
  nodes.draw(quads, 2, false);
  expect(nodes.element.childElementCount).toBe(0);
  nodes.element.hidden = false;
  nodes.draw(quads, 2, false);
  const [coarse, fine] = /** @type {HTMLElement[]} */ ([...nodes.element.children]);
  expect([coarse.hidden, fine.hidden]).toEqual([false, true]);
  expect(coarse.style.backgroundSize).toBe("50px 50px");
  expect(coarse.style.width).toBe("100px");
});
