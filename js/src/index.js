// The widget as its hosts see it. A host calls the default export once per model and then `render` for each view; some
// hand every view another proxy of the model, so what the views share lives in this closure, not under the model.

import {Session} from "./session.js";
import {ExplorerView} from "./ui/explorer.js";

/** Where outputs live, from the inside out: if this is still there and the view is not, the output was removed. */
const PANELS = ".jp-NotebookPanel, .jp-Document, body";

/** @typedef {import("@anywidget/types").AnyModel} Model */

export default () => {
  /** @type {Session | null} */
  let session = null;
  /** @param {Model} model */
  const open = (model) => {
    session ??= new Session(model);
    return session;
  };

  return {
    /** @param {{model: Model, signal?: AbortSignal}} props */
    initialize({model, signal}) {
      const opened = open(model);
      const close = () => {
        opened.close();
        if (session === opened) session = null;
      };
      // Hosts without a signal call what is returned.
      if (signal === undefined) return close;
      signal.addEventListener("abort", close);
      return undefined;
    },

    /** @param {{model: Model, el: HTMLElement, signal?: AbortSignal}} props */
    render({model, el, signal}) {
      const shared = open(model);
      const controller = new AbortController();
      const view = new ExplorerView(shared, controller.signal);
      el.append(view.element);
      shared.join(view);
      // Hosts render into an element that is not in the page yet, and tell of its end when it no longer is.
      /** @type {Element | null} */
      let panel = null;
      const placed = new ResizeObserver(() => {
        panel = el.closest(PANELS) ?? panel;
      });
      placed.observe(el);
      let gone = false;
      const close = () => {
        if (gone) return;
        gone = true;
        placed.disconnect();
        const home = el.closest(PANELS) ?? panel;
        controller.abort();
        view.close();
        view.element.remove();
        shared.leave(view, () => home?.isConnected === true);
      };
      signal?.addEventListener("abort", close);
      return close;
    },
  };
};
