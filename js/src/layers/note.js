// A note is written where it belongs: a line of text over the map, Enter keeps it, Escape leaves it.

import {h} from "../ui/dom.js";

/** @typedef {import("./marks.js").Mark} Mark */

/**
 * @param {import("../ui/host.js").Host} host
 * @returns {{put(pixels: [number, number] | null): void, edit(mark: Mark, text?: string): void, draw(): void}} put: a new one, without a
 *   place in the middle; edit: another text, asked for where it is not given; "" removes the mark
 */
export function notes({root, area, pane, session, signal, announce}) {
  const input = h("input", {
    type: "text",
    class: "la-note-input",
    maxlength: 200,
    placeholder: "note",
    "aria-label": "note",
    hidden: true,
    "data-lm-suppress-shortcuts": "true",
  });
  area.append(input);
  /** What is written: a new note, or another text. @type {{mark: Mark, old: Mark | null} | null} */
  let writing = null;

  /** @param {Mark | null} old @param {Mark | null} mark */
  const change = (old, mark) => {
    const all = /** @type {Mark[]} */ (session.model.get("marks") ?? []);
    const same = JSON.stringify(old);
    const at = old ? all.findIndex((each) => JSON.stringify(each) === same) : all.length;
    if (at < 0) return;
    session.model.set("marks", all.toSpliced(at, 1, ...(mark ? [mark] : [])));
    session.save(0);
    announce(mark ? "noted" : "removed");
    pane.invalidate();
  };

  const draw = () => {
    if (!writing || !pane.viewport) return;
    const [x, y] = pane.viewport.toPixels([writing.mark.a, writing.mark.b]);
    const {width, height} = pane.viewport;
    const [left, top] = [Math.min(x + 8, width - 190), Math.min(y + 8, height - 34)];
    input.style.transform = `translate(${Math.max(left, 6)}px, ${Math.max(top, 6)}px)`;
  };

  /** @param {Mark} mark @param {Mark | null} old */
  const write = (mark, old) => {
    writing = {mark, old};
    input.value = mark.text;
    input.hidden = false;
    draw();
    input.focus({preventScroll: true});
  };

  /** @param {boolean} keep @param {boolean} [back] to the map, where the keyboard was */
  const leave = (keep, back = true) => {
    if (!writing) return;
    const {mark, old} = writing;
    writing = null;
    const text = input.value.trim();
    input.hidden = true;
    if (keep && text && text !== old?.text) change(old, {...mark, text});
    if (keep && !text && old) change(old, null);
    if (back) root.focus({preventScroll: true});
  };

  const press = (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    if (event.key === "Enter") leave(true);
    if (event.key === "Escape") leave(false);
  };
  input.addEventListener("keydown", press, {signal});
  // What was written is not lost by a click elsewhere.
  input.addEventListener("blur", () => leave(input.value.trim() !== "", false), {signal});
  input.addEventListener("pointerdown", (event) => event.stopPropagation(), {signal});

  return {
    draw,
    edit(mark, text) {
      if (text === undefined) write(mark, mark);
      else change(mark, null);
    },
    put(pixels) {
      const {viewport, subject} = pane;
      if (!viewport || !subject) return;
      const [a, b] = pixels ? viewport.toPlane(pixels) : viewport.center;
      write({a, b: pane.onLine ? 0 : b, text: "", kind: "note", scene: subject.hash}, null);
    },
  };
}
