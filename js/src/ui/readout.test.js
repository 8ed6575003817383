// @vitest-environment happy-dom
import {afterEach, beforeEach, expect, test, vi} from "vitest";
import {Readout} from "./readout.js";

/** @typedef {import("../protocol.js").Probed} Probed */

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A map of 100 × 100 pixels whose origin and scene a test can move; a probe answers 10 a + b. */
function readoutOn() {
  const map = {shift: 0, scene: "one", probes: 0, error: /** @type {number | null} */ (null)};
  const readout = new Readout({
    toPlane: ([x, y]) => [x + map.shift, y],
    row: () => null,
    pixel: () => 1,
    size: () => [100, 100],
    read: () => 7,
    error: () => map.error,
    probe: async (at) => {
      map.probes++;
      const value = {loss: 10 * at[0] + at[1]};
      return /** @type {Probed} */ (/** @type {unknown} */ ({value, se: {loss: 0}, bad: {}}));
    },
    field: () => "loss",
    scene: () => map.scene,
  });
  return {map, readout};
}

const rest = () => vi.advanceTimersByTimeAsync(200);

test("a pointer at rest reads the exact value of its point", async () => {
  const {readout} = readoutOn();
  readout.hover([50, 20]);
  expect(readout.pill.textContent).toContain("interpolated");
  await rest();
  expect(readout.pill.textContent).toContain("520.0 exact");
});

test("a value between nodes has its stated error", () => {
  const {map, readout} = readoutOn();
  map.error = 0.0123;
  readout.hover([50, 20]);
  expect(readout.pill.textContent).toContain("7.000 ± 0.012");
});

test("an exact value is not kept for another point when the map moves under a resting pointer", async () => {
  const {map, readout} = readoutOn();
  readout.hover([50, 20]);
  await rest();
  map.shift = 1;
  readout.draw();
  expect(readout.pill.textContent).toContain("interpolated");
  await rest();
  expect(readout.pill.textContent).toContain("530.0 exact");
});

test("an exact value is not kept for another plane", async () => {
  const {map, readout} = readoutOn();
  readout.hover([50, 20]);
  await rest();
  map.scene = "two";
  readout.draw();
  expect(readout.pill.textContent).toContain("interpolated");
});

test("an answer that comes after the map has moved on is not shown", async () => {
  const {map, readout} = readoutOn();
  readout.hover([50, 20]);
  vi.advanceTimersByTime(200); // asked, not yet answered
  map.shift = 30;
  readout.draw();
  await Promise.resolve();
  expect(readout.pill.textContent).toContain("interpolated");
});

test("a map that is drawn again unchanged asks nothing again", async () => {
  const {map, readout} = readoutOn();
  readout.hover([50, 20]);
  await rest();
  for (let i = 0; i < 10; i++) readout.draw();
  await rest();
  expect(map.probes).toBe(1);
});

test("Enter reads the middle at once, a pointer that leaves takes the pill along", async () => {
  const {readout} = readoutOn();
  readout.probeCentre();
  await Promise.resolve();
  await Promise.resolve();
  expect(readout.pill.textContent).toContain("550.0 exact");
  readout.hover(null);
  expect(readout.pill.hidden).toBe(true);
});
