// What is said of a picture that is taken away: what it shows, where, how wrong it may be, and how to make it again.

import {coordinate, significant} from "../ui/dom.js";

/** @typedef {import("../protocol.js").Scene} Scene */
/**
 * @typedef {{scene: Scene, field: string, scale: string, view: {center: readonly number[], span: number, width: number}, error: string, said: string}} Facts
 *   error: what the status line says; said: what the kernel says of the axes, or ""
 */

/** @param {string} text */
const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** @param {string} letter @param {import("../protocol.js").Axis} axis */
function axisWords(letter, {name, length, unit, about}) {
  const one = typeof length === "number" ? `; 1 on its axis is ${significant(length, 3)} ${unit ?? ""}`.trimEnd() : "";
  return `${letter}: ${name}${about && about !== name ? ` (${about})` : ""}${one}.`;
}

/** @param {Facts} facts */
export function captionOf({scene, field, scale, view, error, said}) {
  const {title, axes, notes = [], samples, hash} = scene;
  const [a, b] = view.center.map((value) => coordinate(value, view.span / view.width));
  const at = axes.length === 1 ? `a = ${a}` : `(${a}, ${b})`;
  const span = `${significant(view.span, 3)} wide in a`;
  const all = samples ? `, all ${samples} samples` : "";
  const known = [
    `${title || "Loss landscape"}: a slice${all}.`,
    ...axes.map((axis, i) => axisWords("uv"[i], axis)),
    ...notes.map(sentence),
    `Recipe ${hash}.`,
  ];
  return [
    ...(said ? [sentence(said)] : known),
    `Shown: ${field} on a ${scale} scale, ${span}, centred at ${at}.`,
    ...(error ? [sentence(error)] : []),
    "Made with lossatlas.",
  ].join(" ");
}

/** A name for a file that any system takes. @param {Pick<Scene, "title" | "hash">} scene @param {string} field @param {string} kind */
export function fileName({title, hash}, field, kind) {
  const parts = [title || "landscape", field, hash.slice(0, 7)].map((part) => part.replace(/[^\p{L}\p{N}]+/gu, "-"));
  const name = parts.map((part) => part.replace(/^-|-$/g, "").slice(0, 60)).filter(Boolean);
  return `${name.join("-")}.${kind}`;
}
