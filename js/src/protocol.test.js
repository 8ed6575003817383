import {readdirSync, readFileSync} from "node:fs";
import {expect, test} from "vitest";
import {decodeFinding, request} from "./point/wire.js";
import {ask, bye, decode, floats, hello, order, want} from "./protocol.js";
import {decodeRows} from "./runs/wire.js";

const folder = new URL("../../tests/fixtures/protocol/", import.meta.url);
const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
/** @param {string} name */
const fixture = (name) => JSON.parse(readFileSync(new URL(name, folder), "utf8"));
/** @param {any} fixture an unaligned view, as some hosts hand it out @returns {DataView[]} */
const buffersOf = ({buffers = []}) =>
  buffers.map((/** @type {string} */ text) => {
    const bytes = Buffer.from(text, "base64");
    const padded = new Uint8Array(bytes.length + 7);
    padded.set(bytes, 3);
    return new DataView(padded.buffer, 3, bytes.length);
  });

/** @type {Record<string, (h: any) => object>} how the page says what each fixture holds, from its parts */
const builders = {
  hello: (h) => hello(h.client, h.caps, h.have),
  want: (h) => want(h.client, h),
  probe: (h) => ask("probe", h.client, h.req, {epoch: h.epoch, at: h.at}),
  caption: (h) => ask("caption", h.client, h.req, {epoch: h.epoch}),
  part: (h) => ask("part", h.client, h.req, {name: h.name}),
  surface: ({v: _v, k: _k, client, req, ...h}) => ask("surface", client, req, h),
  spectrum: (h) => request("spectrum", h.client, h.req, {epoch: h.epoch, at: h.at, span: h.span}),
  cancel: (h) => request("cancel", h.client, h.req),
  ball: ({v: _v, k: _k, client, req, ...h}) => request("ball", client, req, h),
  sweep: ({v: _v, k: _k, client, req, ...h}) => request("sweep", client, req, h),
  towards: (h) => request("towards", h.client, h.req, {of: h.of, index: h.index}),
  follow: (h) => request("follow", h.client, h.req, {names: h.names}),
  measure: (h) => request("measure", h.client, h.req, {names: h.names, quantity: h.quantity}),
  bye: (h) => bye(h.client, h.removed),
  refresh: (h) => order("refresh", h.client),
  back: (h) => order("back", h.client),
  forward: (h) => order("forward", h.client),
  pause: (h) => order("pause", h.client),
  resume: (h) => order("resume", h.client),
};

test.each(names.filter((n) => fixture(n).direction === "to_kernel"))("the page can say %s", (name) => {
  const {head} = fixture(name);
  expect(builders[head.k](head)).toEqual(head);
});

test.each(names.filter((n) => fixture(n).direction === "to_page"))("the page understands %s", (name) => {
  const parsed = fixture(name);
  if ("rows" in (parsed.decoded ?? {})) return expectRows(parsed);
  const message = /** @type {any} */ (decode(parsed.head, buffersOf(parsed)));
  expect(message.k).toBe(parsed.head.k);
  if (parsed.decoded === undefined) {
    const {v: _, ...rest} = parsed.head;
    expect(message).toMatchObject(rest);
    return;
  }
  if ("density" in parsed.decoded) return expectFinding(parsed);
  /** @param {Float32Array} flat @param {number} side @param {number} base */
  const rows = (flat, side, base) =>
    Array.from({length: side}, (_, row) =>
      Array.from(flat.subarray(row * side, (row + 1) * side), (value) => (Number.isNaN(value) ? "nan" : value + base)),
    );
  const tiles = message.tiles.map((/** @type {import("./protocol.js").TileData} */ tile) => ({
    z: tile.z,
    x: tile.x,
    y: tile.y,
    values: rows(tile.values, tile.nodes, tile.base),
    ...(tile.centres && {centres: rows(tile.centres, tile.nodes - 1, tile.base)}),
    ...(tile.sample && {sample: {...tile.sample, level: finiteOrWord(tile.sample.level)}}),
  }));
  expect({tiles}).toEqual(parsed.decoded);
});

/** @param {any} fixture */
function expectFinding(fixture) {
  const finding = /** @type {import("./point/wire.js").Finding} */ (decodeFinding(fixture.head, buffersOf(fixture)));
  const {density, done, ...rest} = finding;
  expect(rest).toMatchObject(fixture.head);
  expect(done).toBe(fixture.head.k === "spectrum_done");
  const rows = density && Object.fromEntries(Object.entries(density).map(([name, row]) => [name, [...row]]));
  expect({density: rows}).toEqual(fixture.decoded);
}

/** @param {any} fixture */
function expectRows(fixture) {
  const rows = /** @type {import("./runs/wire.js").Rows} */ (decodeRows(fixture.head, buffersOf(fixture)));
  const {v: _, columns: names, ...head} = fixture.head;
  const {columns, ...rest} = rows;
  expect(rest).toEqual({scene: "", color: null, ...head});
  expect(Object.keys(columns)).toEqual(names);
  const word = (/** @type {number} */ value) => (Number.isNaN(value) ? "nan" : finiteOrWord(value));
  const said = Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column.map(word)]));
  expect({rows: said}).toEqual(fixture.decoded);
  // What is no answer and of no scene passes by whoever does not know of runs.
  expect(decode(fixture.head, buffersOf(fixture))).toBeNull();
}

/** JSON has no infinity. @param {number} value */
const finiteOrWord = (value) => (value === Number.POSITIVE_INFINITY ? "inf" : value);

test("a message of another version or of an unknown kind is passed over, not an error", () => {
  expect(decode({v: 2, k: "ready"})).toBeNull();
  expect(decode({v: 1, k: "sonata"})).toBeNull();
  expect(decode(null)).toBeNull();
  expect(decode([1, 2])).toBeNull();
});

test("a tile that claims more numbers than its buffer holds is dropped, its neighbours are kept", () => {
  const parsed = fixture("tiles.json");
  parsed.head.head[0].off = 9_999;
  const message = /** @type {any} */ (decode(parsed.head, buffersOf(parsed)));
  expect(message.tiles).toHaveLength(1);
});

test("an aligned array and an unaligned view give the same floats", () => {
  const values = Float32Array.of(1, 2.5, -3, Number.NaN);
  const bytes = new Uint8Array(24);
  bytes.set(new Uint8Array(values.buffer), 5);
  expect(floats(new DataView(bytes.buffer, 5, 16), 1, 3)).toEqual(floats(values.buffer, 1, 3));
});

test("a want never lists more tiles than the kernel accepts", () => {
  const tiles = Array.from({length: 300}, (_, x) => /** @type {[number, number, number, number]} */ ([0, x, 0, 2]));
  const view = {center: /** @type {[number, number]} */ ([0, 0]), span: 2, width: 8, height: 8};
  const list = {epoch: 1, rev: 1, view, fields: [], tiles, credit: 1, seen: 0, shown: [], tolerance: null};
  expect(want("c", list).tiles).toHaveLength(256);
});
