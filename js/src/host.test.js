import {describe, expect, it} from "vitest";
import {Model} from "./host.js";

describe("the model of a page without a kernel", () => {
  it("has the state that stands in the page, and tells of what changes", () => {
    const model = new Model({field: "loss", height: 480});
    /** @type {string[]} */
    const told = [];
    const listener = () => told.push(model.get("field"));
    model.on("change:field", listener);
    model.set("field", "accuracy");
    model.set("field", "accuracy"); // no change
    model.off("change:field", listener);
    model.set("field", "loss");
    expect(told).toEqual(["accuracy"]);
    expect(model.get("height")).toBe(480);
  });

  it("has no comm, and takes what is said to nobody", () => {
    const model = new Model({});
    expect(model.comm_live).toBe(false);
    model.send();
    model.save_changes();
  });
});
