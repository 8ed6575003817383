import {expect, test} from "vitest";
import {commLive, isSameView, isView} from "./model.js";

test("a view has a centre of two numbers and a width", () => {
  expect(isView({center: [0.5, -1], span: 2})).toBe(true);
  for (const bad of [undefined, null, {}, {center: [1], span: 1}, {center: [0, 0], span: 0}, {center: "no", span: 1}])
    expect(isView(bad)).toBe(false);
});

test("views are the same where all their numbers are, and what is no view is like no other", () => {
  const view = {center: [0.5, -1], span: 2};
  expect(isSameView(view, {center: [0.5, -1], span: 2, more: 1})).toBe(true);
  expect(isSameView(view, {center: [0.5, -1], span: 3})).toBe(false);
  expect(isSameView(view, {center: [0.5, 1], span: 2})).toBe(false);
  expect(isSameView({}, {})).toBe(false);
});

test("a model whose host hides its comm is asked by way of its layout", () => {
  const layout = {comm_live: true};
  expect(commLive({get: () => layout})).toBe(true);
  expect(commLive({comm_live: false, get: () => layout})).toBe(false);
  expect(commLive({get: () => undefined})).toBeUndefined();
});
