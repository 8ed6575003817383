import {afterEach, describe, expect, test} from "vitest";
import {Link} from "./link.js";
import {page} from "./page.js";

const ALL = ["view", "domain", "levels"];

/** A member that notes what it hears. @param {string} [group] @param {string[]} [shared] */
function member(group = "one", shared = ALL) {
  /** @type {[string, any][]} */
  const heard = [];
  const link = new Link((kind, value) => heard.push([kind, value]));
  link.join(group, shared);
  return {link, heard};
}

afterEach(() => {
  page().links = new Map();
});

describe("a view", () => {
  test("is heard by the others of the group before tell returns, and by nobody else", () => {
    const [a, b, c, other] = [member(), member(), member(), member("another")];
    a.link.tell("view", "view", {center: [1, 2], span: 3});
    expect(b.heard).toEqual([["view", {center: [1, 2], span: 3}]]);
    expect(c.heard).toEqual(b.heard);
    expect(a.heard).toEqual([]);
    expect(other.heard).toEqual([]);
  });

  test("that a follower tells again is not passed on: there are no echoes", () => {
    const a = member();
    let echoes = 0;
    /** @type {Link} */
    const follower = new Link((kind, {span}) => {
      echoes++;
      follower.tell("view", kind, {span: span / 2}); // its own limits have changed it
    });
    follower.join("one", ALL);
    a.link.tell("view", "view", {span: 4});
    expect(echoes).toBe(1);
    expect(a.heard).toEqual([]);
    expect(follower.view).toEqual({span: 4});
  });

  test("can be told again after a member has failed to follow", () => {
    const a = member();
    const bad = new Link(() => {
      throw new Error("gone");
    });
    bad.join("one", ALL);
    expect(() => a.link.tell("view", "view", 1)).toThrow("gone");
    bad.leave();
    const b = member();
    a.link.tell("view", "view", 2);
    expect(b.heard.at(-1)).toEqual(["view", 2]);
  });

  test("of the group is what a new member gets", () => {
    const a = member();
    a.link.tell("view", "view", {center: [0, 0], span: 1});
    expect(member().heard).toEqual([["view", {center: [0, 0], span: 1}]]);
    expect(member("one", ["domain"]).heard).toEqual([]);
  });

  test("goes with a hold of the hand, and only to those that share it", () => {
    const [a, b, c] = [member(), member("one", ["view"]), member("one", ["domain"])];
    a.link.tell("view", "hold", true);
    a.link.tell("domain", "fit");
    expect(b.heard).toEqual([["hold", true]]);
    expect(c.heard).toEqual([["fit", undefined]]);
  });
});

describe("a span", () => {
  test("is the union of what the members have, one array until it changes", () => {
    const [a, b] = [member(), member()];
    expect(a.link.topic("domain", "domain", "loss/linear", [1, 2])?.span).toEqual([1, 2]);
    const both = b.link.topic("domain", "domain", "loss/linear", [0, 1.5])?.span;
    expect(both).toEqual([0, 2]);
    expect(a.link.topic("domain", "domain", "loss/linear", [1, 2])?.span).toBe(both);
    expect(a.heard).toEqual([["domain", undefined]]);
    expect(b.heard).toEqual([]);
  });

  test("of another topic, or not shared, is nobody else's", () => {
    const [a, b, c] = [member(), member(), member("one", ["view"])];
    a.link.topic("domain", "domain", "loss/linear", [1, 2]);
    expect(b.link.topic("domain", "domain", "loss/log", [0, 1])?.span).toEqual([0, 1]);
    expect(b.link.topic("levels", "levels", "loss/linear", [0, 1])?.span).toEqual([0, 1]);
    expect(c.link.topic("domain", "domain", "loss/linear", [5, 6])).toBeNull();
    expect(a.link.topic("domain", "domain", "loss/linear", [1, 2])?.span).toEqual([1, 2]);
  });

  test("of a topic that a member has turned from is without it", () => {
    const [a, b] = [member(), member()];
    a.link.topic("levels", "levels", "loss of a user", [0, 10]);
    expect(b.link.topic("levels", "levels", "loss of a user", [2, 3])?.span).toEqual([0, 10]);
    a.link.topic("levels", "levels", "accuracy", [0, 1]);
    expect(b.heard).toEqual([["levels", undefined]]);
    expect(b.link.topic("levels", "levels", "loss of a user", [2, 3])?.span).toEqual([2, 3]);
  });

  test("shrinks when a member narrows its own, or leaves", () => {
    const [a, b] = [member(), member()];
    a.link.topic("levels", "levels", "loss", [0, 10]);
    b.link.topic("levels", "levels", "loss", [2, 3]);
    expect(a.link.topic("levels", "levels", "loss", [1, 2])?.span).toEqual([1, 3]);
    a.link.leave();
    expect(b.heard.filter(([kind]) => kind === "levels")).toHaveLength(2);
    expect(b.link.topic("levels", "levels", "loss", [2, 3])?.span).toEqual([2, 3]);
  });

  test("of one that is in no group is its own affair", () => {
    const alone = new Link(() => {});
    expect(alone.topic("domain", "domain", "loss", [1, 2])).toBeNull();
    expect(alone.view).toBeUndefined();
  });
});

describe("a group", () => {
  test("remembers things of a topic for all", () => {
    const [a, b, c] = [member(), member(), member("one", ["view"])];
    Object.assign(a.link.topic("levels", "levels", "loss", [0, 1]) ?? {}, {ladder: "even 1 0"});
    expect(b.link.topic("levels", "levels", "loss", [0, 1])?.ladder).toBe("even 1 0");
    expect(b.link.topic("levels", "levels", "accuracy", [0, 1])?.ladder).toBeUndefined();
    expect(c.link.topic("levels", "levels", "loss", [0, 1])).toBeNull();
  });

  test("is left by joining another or none, and is gone with its last member", () => {
    const [a, b] = [member(), member()];
    a.link.join("two", ALL);
    b.link.tell("view", "view", 1);
    expect(a.heard).toEqual([]);
    expect([...(page().links?.keys() ?? [])]).toEqual(["one", "two"]);
    b.link.join("", ALL);
    a.link.leave();
    expect(page().links?.size).toBe(0);
    expect(b.link.shares("view")).toBe(false);
  });

  test("joined again as it is keeps what it has", () => {
    const [a, b] = [member(), member()];
    b.link.topic("domain", "domain", "loss", [0, 1]);
    expect(b.link.join("one", [...ALL])).toBe(false);
    expect(a.link.topic("domain", "domain", "loss", [0.5, 2])?.span).toEqual([0, 2]);
  });
});
