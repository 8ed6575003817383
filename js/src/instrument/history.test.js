import {describe, expect, it} from "vitest";
import {Viewport} from "../viewport.js";
import {Views} from "./history.js";

const view = (/** @type {number} */ a) => new Viewport([a, 0], 2, 400, 300);
const rested = (/** @type {number} */ a, home = false) => ({view: view(a), home});

describe("the views that were rested on", () => {
  it("are gone through back and forward, and end at both ends", () => {
    const views = new Views();
    expect([views.canBack, views.canForward, views.step(-1)]).toEqual([false, false, null]);
    for (const a of [0, 1, 2]) views.rest(rested(a));
    expect(views.step(1)).toBe(null);
    expect(views.step(-1)?.view.center[0]).toBe(1);
    expect(views.step(-1)?.view.center[0]).toBe(0);
    expect([views.step(-1), views.canBack, views.canForward]).toEqual([null, false, true]);
    expect(views.step(1)?.view.center[0]).toBe(1);
  });

  it("lose what lay ahead once another one is rested on", () => {
    const views = new Views();
    for (const a of [0, 1, 2]) views.rest(rested(a));
    views.step(-1);
    views.rest(rested(7));
    expect(views.canForward).toBe(false);
    expect(views.list.map(({view}) => view.center[0])).toEqual([0, 1, 7]);
  });

  it("count one that is rested on again once, and home once in a frame of any shape", () => {
    const views = new Views();
    views.rest(rested(0, true));
    views.rest({view: new Viewport([0, 0], 3, 600, 300), home: true});
    views.rest(rested(1));
    views.rest(rested(1));
    expect(views.list).toHaveLength(2);
    expect(views.list[0].view.span).toBe(3);
  });

  it("are a hundred at most", () => {
    const views = new Views();
    for (let a = 0; a < 130; a++) views.rest(rested(a));
    expect(views.list).toHaveLength(100);
    expect([views.list[0].view.center[0], views.at]).toEqual([30, 99]);
  });
});
