import {readFileSync} from "node:fs";
import {expect, test} from "vitest";
import {decodeFinding} from "./wire.js";
import {kinks, progress, sentence, within} from "./words.js";

/** @typedef {import("./wire.js").Finding} Finding */

const folder = new URL("../../../tests/fixtures/protocol/", import.meta.url);
/** @param {string} name @returns {Finding} */
const finding = (name) => {
  const {head, buffers = []} = JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8"));
  const views = buffers.map((/** @type {string} */ text) => {
    const bytes = Uint8Array.from(Buffer.from(text, "base64"));
    return new DataView(bytes.buffer);
  });
  return /** @type {Finding} */ (decodeFinding(head, views));
};
/** @param {Partial<import("./wire.js").Spectrum>} spectrum @param {number[]} curvatures */
const known = (spectrum, curvatures = [2, 1]) => {
  const whole = finding("spectrum_done");
  const usual = {eigenvalues: [9, 8, -0.5], residuals: [0.01, 0.01, 0.01], converged: [true, true, true]};
  return /** @type {Finding} */ ({
    ...whole,
    jet: {...whole.jet, curvatures},
    spectrum: {...whole.spectrum, ...usual, ...spectrum},
  });
};

test("a message whose density is cut short is the message without it", () => {
  const {head} = JSON.parse(readFileSync(new URL("spectrum_done.json", folder), "utf8"));
  expect(decodeFinding(head, [new DataView(new ArrayBuffer(12))])?.density).toBeNull();
  expect(decodeFinding(head, [])?.density).toBeNull();
  expect(decodeFinding({...head, v: 2}, [])).toBeNull();
  expect(decodeFinding({...head, k: "status"}, [])).toBeNull();
});

test("the slice and the whole space stand in one sentence", () => {
  const {slice, whole, verdict} = sentence(known({}));
  expect(slice + whole).toBe("In this slice it curves by 1.00 to 2.00, in the whole space from −0.500 to 9.00.");
  expect(verdict).toBe("A bowl here, but at least 1 direction bends down.");
});

test("what has not converged is a bound, and nothing is made of it", () => {
  const {whole, verdict} = sentence(known({converged: [false, true, false]}));
  expect(whole).toBe(", in the whole space from at most −0.500 to at least 9.00.");
  expect(verdict).toBe("");
});

test("an eigenvalue below 0 by less than its error is no direction that bends down", () => {
  expect(sentence(known({eigenvalues: [9, 8, -0.005]})).verdict).toBe("");
  expect(sentence(known({eigenvalues: [9, 8, -0.05], noise: 0.1})).verdict).toBe("");
});

test("a slice that bends down itself is no bowl", () => {
  expect(sentence(known({}, [2, -1])).verdict).toBe("");
});

test("before the spectrum is known the slice speaks alone, and before the slice nobody", () => {
  expect(sentence(finding("spectrum_first"))).toEqual({
    slice: "In this slice it curves by −1.00 to 2.00.",
    whole: "",
    verdict: "",
  });
  expect(sentence({...finding("spectrum_first"), jet: null}).slice).toBe("");
  expect(sentence(known({}, [3])).slice).toBe("On this line it curves by 3.00");
});

test("kinks are spoken of where the two measures differ", () => {
  expect(kinks(finding("spectrum_done"))).toContain("counts kinks");
  expect(kinks(finding("spectrum_first"))).toBe("");
});

test("where rounding is all that differs nothing is said of kinks", () => {
  const done = finding("spectrum_done");
  const jet = {.../** @type {import("./wire.js").Jet} */ (done.jet), step: 0.001, kinked: false, rounded: true};
  const said = "Over ± 0.00100 differences are below the rounding of the numbers: zoom out.";
  expect(kinks({...done, jet})).toBe(said);
  expect(kinks({...done, jet: {...jet, kinked: true}})).toBe(said);
});

test.each([
  [1.23456, 0.001, "1.235 ± 0.001"],
  [1.23456, 0.4, "1.2 ± 0.4"],
  [12.3456, 0, "12.35"],
  [12.3456, 1e-5, "12.35"],
  [0.5, 3, "0.5 ± 3"],
  [null, 0.1, "not finite"],
  [-0.0202, 0.0004, "−0.0202 ± 0.0004"],
])("%s with an error of %s reads %s", (value, error, text) => {
  expect(within(value, error)).toBe(text);
});

test("the progress says how far the run is, and how it ended", () => {
  const done = finding("spectrum_done");
  const going = {...done, done: false};
  expect(progress(null, true)).toBe("measuring …");
  expect(progress(null, true, "busy")).toBe("the kernel is busy …");
  expect(progress(going, true)).toBe("23 products · 2 of 3");
  expect(progress({...going, spectrum: null, of: 2500}, true)).toBe("23 of 2\u202f500 products");
  expect(progress(done, false)).toBe("23 products");
  expect(progress({...done, cancelled: true}, false)).toBe("stopped after 23 products");
  expect(progress(going, false)).toBe("stopped after 23 products");
  const exact = {...done, spectrum: {.../** @type {any} */ (done.spectrum), exact: true}};
  expect(progress(exact, false)).toBe("exact: all 4\u202f810 eigenvalues");
});
