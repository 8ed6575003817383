// @vitest-environment happy-dom
import {expect, test} from "vitest";
import {h} from "../ui/dom.js";
import {show, surface} from "./surface.js";

/** A host of widgets in which one is known from the third question on. @param {object} [more] of the view */
const hostOf = (more) => {
  /** @type {string[]} */
  const told = [];
  let asked = 0;
  const manager = {
    get_model: async (/** @type {string} */ id) => {
      if (++asked < 3) throw new Error("unknown");
      return {id};
    },
    create_view: async (/** @type {any} */ model) => ({
      el: h("div", {id: model.id}),
      remove: () => told.push("removed"),
      ...more,
      ...(more === undefined ? {trigger: (/** @type {string} */ name) => told.push(name)} : {}),
    }),
  };
  return {manager, told};
};

test("a widget that comes after the word of it is waited for, put into the page, and told so", async () => {
  const {manager, told} = hostOf();
  const place = h("div");
  const remove = await show(manager, "f1", place);
  expect(place.querySelector("#f1")).not.toBeNull();
  expect(told).toEqual(["displayed"]);
  remove();
  expect(told).toEqual(["displayed", "removed"]);
});

test("a view of a Lumino host is told as Lumino tells", async () => {
  /** @type {string[]} */
  const told = [];
  const {manager} = hostOf({processLuminoMessage: (/** @type {{type: string}} */ {type}) => told.push(type)});
  await show(manager, "f1", h("div"));
  expect(told).toEqual(["after-attach"]);
});

/** The piece in a card without a browser. @param {any} manager @param {any} answer @param {string | null} [error] */
const opened = (manager, answer, error = null) => {
  const [root, map] = [h("div"), h("div")];
  root.append(h("div", {}, map));
  /** @type {any[]} */
  const asked = [];
  const tools = {surface: h("button")};
  const session = {
    model: {widget_manager: manager},
    fieldName: "loss",
    error,
    source: {
      answers: true,
      ask: async (/** @type {any[]} */ ...all) => {
        asked.push(all);
        return answer;
      },
    },
  };
  const viewport = {center: [0.25, 0], span: 2, width: 700.4, height: 400};
  const pane = {viewport, subject: {scale: "log"}, domain: [0, Math.log(8)], onLine: false};
  const signal = new AbortController().signal;
  const host = /** @type {any} */ ({root, map, session, pane, header: {tools}, signal});
  surface(host).draw?.();
  return {root, asked, button: tools.surface, said: () => root.querySelector("p")?.textContent};
};
const settled = (/** @type {() => boolean} */ done) => expect.poll(done, {timeout: 3000}).toBe(true);

test("pressed, the button asks for the view's surface and shows it; pressed again it is gone", async () => {
  const {manager, told} = hostOf();
  const {root, asked, button} = opened(manager, {model: "f1"});
  button.click();
  await settled(() => root.querySelector("#f1") !== null);
  expect(asked.map(([kind]) => kind)).toEqual(["surface"]);
  expect(asked[0][1]).toMatchObject({
    field: "loss",
    scale: "log",
    domain: [1, expect.closeTo(8)],
    view: {center: [0.25, 0], span: 2, width: 700, height: 400},
  });
  expect(button.ariaPressed).toBe("true");
  button.click();
  expect([root.querySelector("#f1"), root.querySelector("section")?.hidden, told.at(-1)]).toEqual([
    null,
    true,
    "removed",
  ]);
});

test("what cannot be is said in a sentence", async () => {
  const without = opened(undefined, null);
  without.button.click();
  await settled(() => without.said()?.includes("landscape.figure()") === true);
  const refused = opened(hostOf().manager, null, "There is no Plotly here: pip install plotly.");
  refused.button.click();
  await settled(() => refused.said() === "There is no Plotly here: pip install plotly.");
  const silent = opened(hostOf().manager, null);
  silent.button.click();
  await settled(() => silent.said()?.startsWith("The kernel did not answer") === true);
});
