// The picture taken away: as a file, on the clipboard, with its caption.

import {h} from "../ui/dom.js";
import {captionOf, fileName} from "./caption.js";
import {Menu} from "./menu.js";
import {imageOf, pictureOf, serialised} from "./picture.js";

/** So many ms the kernel has for its caption before what the page knows is taken: a click's leave to copy does not last longer. */
const PATIENCE = 3000;
/** A file is saved from its address for so many ms. */
const KEPT = 20_000;

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const href = URL.createObjectURL(blob);
  h("a", {href, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(href), KEPT);
}

/** @param {import("../ui/host.js").Host} host @returns {import("../ui/host.js").Piece} */
export function take(host) {
  const {root, pane, session, header, status, signal} = host;
  /** What the kernel says of the axes of a plane, by its hash. @type {Map<string, string>} */
  const captions = new Map();
  const hash = () => pane.subject?.hash ?? "";
  const caption = () => {
    const {scene, fieldName} = session;
    const {viewport, subject} = pane;
    if (!scene || !viewport || !subject) return "";
    const said = captions.get(hash()) ?? "";
    return captionOf({
      scene,
      field: fieldName,
      scale: subject.scale.split(":")[0],
      view: viewport,
      error: status.nodes.textContent ?? "",
      said,
    });
  };
  const asked = async () => {
    const of = hash();
    if (captions.has(of)) return;
    const answer = session.source.caption().then((found) => found && captions.set(of, found.text));
    await Promise.race([answer, new Promise((late) => setTimeout(late, PATIENCE))]);
  };

  const relief = h("input", {type: "checkbox"});
  const reliefBox = h("label", {class: "la-take-row"}, relief, "with relief");
  const options = () => ({caption: caption(), relief: relief.checked && !reliefBox.hidden});
  const png = (/** @type {number} */ scale) => imageOf(host, scale, options());
  const text = () => serialised(pictureOf(host, options()));
  const named = (/** @type {string} */ kind) =>
    fileName(session.scene ?? {hash: "", title: ""}, session.fieldName, kind);

  /** An item that says how it went. @param {string} name @param {string} label @param {() => Promise<string> | string} act */
  const item = (name, label, act) => {
    const button = h("button", {type: "button", "aria-label": label}, name);
    const pressed = async () => {
      menu.say("…");
      try {
        menu.say(await act());
      } catch (error) {
        menu.say(error instanceof Error ? error.message : String(error));
      }
    };
    button.addEventListener("click", pressed, {signal});
    return button;
  };
  const asImage = (/** @type {number} */ scale) =>
    item(`×${scale}`, `save as PNG, ${scale} times as fine`, async () => {
      const name = named("png");
      save(await png(scale), name);
      return `saved as ${name}`;
    });
  const asText = item("SVG", "save as SVG", () => {
    const name = named("svg");
    save(new Blob([text()], {type: "image/svg+xml"}), name);
    return `saved as ${name}`;
  });
  const copyImage = item("copy image", "copy image", async () => {
    if (!globalThis.ClipboardItem) return "This page may not copy images. Save the PNG instead.";
    // The promise, not what it holds: a browser gives leave to the click, not to what comes later.
    await navigator.clipboard.write([new ClipboardItem({"image/png": png(2)})]);
    return "copied";
  });
  const copyCaption = item("copy caption", "copy caption", async () => {
    menu.say("the gradient is taken …");
    await asked();
    await navigator.clipboard.writeText(caption());
    return captions.has(hash()) ? "copied" : "copied: what the page knows, for the kernel did not answer";
  });

  const images = h("div", {class: "la-take-row"}, h("span", {}, "PNG"), ...[1, 2, 4].map(asImage));
  const menu = new Menu(root, header.tools.take, [images, asText, reliefBox, copyImage, copyCaption], signal);
  Object.assign(/** @type {any} */ (root).lossatlas, {svg: text, png});

  return {
    draw() {
      header.tools.take.disabled = pane.picture === null;
      reliefBox.hidden = !session.relief;
    },
  };
}
