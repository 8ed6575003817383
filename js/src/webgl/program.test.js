import {expect, test} from "vitest";
import {shortGlsl} from "../../glsl.mjs";
import {FRAGMENT, VERTEX} from "./program.js";

test("a short shader keeps what the page and the language call by name, and swizzles", () => {
  const source = `
    uniform vec4 uRect; // where
    out vec4 colour;
    float cover(float distance, vec2 at) { return max(distance - 0.5, at.y); }
    void main() { colour = vec4(cover(uRect.x, uRect.yz) + 1e38); }`;
  expect(shortGlsl(source).trim()).toBe(
    "uniform vec4 uRect;out vec4 a;float b(float c,vec2 d){return max(c-0.5,d.y);}" +
      "void main(){a=vec4(b(uRect.x,uRect.yz)+1e38);}",
  );
});

test.each([VERTEX, FRAGMENT])("no two names of a shader become one", (source) => {
  const words = (/** @type {string} */ text) => text.replace(/\/\/.*/g, "").match(/\.?\b[a-zA-Z]\w*/g) ?? [];
  const [before, after] = [words(source), words(shortGlsl(source))];
  expect(after.length).toBe(before.length);
  expect(new Set(before.map((word, i) => `${word} ${after[i]}`)).size).toBe(new Set(before).size);
  expect(new Set(after).size).toBe(new Set(before).size);
});
