import {expect, it} from "vitest";
import {fault, numberOf} from "./goto.js";

it("numbers are read as people write them", () => {
  expect(["0.25", " −0,5 ", "1e-3", "–2"].map(numberOf)).toEqual([0.25, -0.5, 0.001, -2]);
  expect(["", "x", "1.2.3"].map(numberOf)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
});

it("what is no number is said in words", () => {
  expect(fault("a", "0.1")).toBe(null);
  expect(fault("a", "left")).toBe("a is “left”. Write a number, like 0.25 or 1e-3.");
  expect(fault("b", "")).toBe("b is “”. Write a number, like 0.25 or 1e-3.");
  expect(fault("span", "-2")).toBe("span is -2. It is the width of the view in a: more than 0.");
  expect(fault("span", "1e999")).toContain("Write a number");
});
