// The planes that were seen: back and forward, and names for those worth keeping. It stands beside the sliders that move the plane.

import {h} from "../ui/dom.js";

/** @typedef {import("../protocol.js").Position} Position */

/** @param {string} text @param {string} label @param {string} title */
const button = (text, label, title) => h("button", {type: "button", "aria-label": label, title}, text);

/** @param {import("../ui/host.js").Host} host @returns {import("../ui/host.js").Piece} */
export function planes({session, sliders, signal}) {
  const back = button("‹", "plane before", "The plane before");
  const forward = button("›", "next plane", "The plane after");
  const names = h("datalist", {id: `la-${Math.random().toString(36).slice(2)}`});
  const bookmark = h("input", {
    type: "text",
    list: names.id,
    placeholder: "bookmark",
    "aria-label": "bookmark",
    title: "A new name keeps this plane, a known one shows it again",
  });
  sliders.append(h("div", {class: "la-planes"}, back, forward, bookmark, names));
  /** How many planes there are to go back and forward to, and those that have names. @returns {{around: {back?: number, forward?: number}, bookmarks: Record<string, Position>}} */
  const known = () => ({around: session.model.get("around") ?? {}, bookmarks: session.model.get("bookmarks") ?? {}});
  back.addEventListener("click", () => session.source.order("back"), {signal});
  forward.addEventListener("click", () => session.source.order("forward"), {signal});
  const named = () => {
    const name = bookmark.value.trim();
    bookmark.value = "";
    const {bookmarks} = known();
    if (Object.hasOwn(bookmarks, name)) session.move(bookmarks[name]);
    else if (name) {
      session.model.set("bookmarks", {...bookmarks, [name]: session.position});
      session.save(0);
    }
  };
  bookmark.addEventListener("change", named, {signal});
  bookmark.addEventListener("keydown", (event) => event.stopPropagation(), {signal});

  const changed = () => {
    const enabled = session.source.answers;
    const {around, bookmarks} = known();
    back.disabled = !enabled || !around.back;
    forward.disabled = !enabled || !around.forward;
    bookmark.disabled = !enabled;
    const kept = Object.keys(bookmarks);
    if (kept.join() !== [...names.options].map((option) => option.value).join())
      names.replaceChildren(...kept.map((value) => h("option", {value})));
  };
  changed();
  return {changed};
}
