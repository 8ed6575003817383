// What a host's model tells: whether there is a kernel behind it, and where it is asked to look.

/**
 * Whether the model has a comm, undefined where the host does not tell. anywidget hands out a proxy that hides it, but
 * the layout is a model of the same manager and is handed out as it is.
 * @param {any} model @returns {boolean | undefined}
 */
export function commLive(model) {
  const candidates = [model.comm_live, model.get("layout")?.comm_live];
  return candidates.find((live) => typeof live === "boolean");
}

/** @param {any} view @returns {view is {center: [number, number], span: number}} */
export const isView = (view) => Array.isArray(view?.center) && view.center.length === 2 && view.span > 0;

/** @param {any} one @param {any} other */
export const isSameView = (one, other) =>
  isView(one) && isView(other) && one.span === other.span && one.center.every((at, i) => at === other.center[i]);
