// What is drawn of the quantities that were recorded: which share a panel, which are shown at first, and what the panels are. Pure.

/** @typedef {import("./store.js").Run} Run */
/** @typedef {{name: string, title: string, dashed: string[], limit: string | null}} Panel  name: of its own series; dashed: others on the same axis */

/** Names under which people record the loss on other data. */
const VALIDATION = /^(val|valid|validation|test|eval)([ _./-]?loss)?$/i;
const HELD = /^(val|valid|validation|test|eval)[ _./-]+(.+)$/i;

/** Names that come first, in this order. */
const ORDER = ["loss", "validation", "lr", "grad_norm", "gradient norm", "sharpness"];

/** What the limit of the sharpness is called. */
export const LIMIT = "limit";

/** @param {string} name */
const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);

/** Every quantity that any of the runs has. @param {readonly Run[]} runs @returns {string[]} */
export function quantities(runs) {
  const names = new Set(runs.flatMap(({curves}) => Object.keys(curves?.series ?? {})));
  return [...names].sort((a, b) => rank(a) - rank(b));
}

/** How a quantity is called. @param {string} name */
export const titleOf = (name) => (name === "lr" ? "learning rate" : name.replaceAll("_", " "));

/** The panels that there can be: quantities of the same kind share one. @param {readonly string[]} names @returns {Panel[]} */
export function panelsOf(names) {
  const ownerOf = (/** @type {string} */ name) => {
    if (VALIDATION.test(name) && names.includes("loss")) return "loss";
    const held = HELD.exec(name)?.[2];
    if (held && names.includes(held)) return held;
    return name === LIMIT && names.includes("sharpness") ? "sharpness" : null;
  };
  return names
    .filter((name) => ownerOf(name) === null)
    .map((name) => ({
      name,
      title: titleOf(name),
      dashed: names.filter((other) => other !== LIMIT && ownerOf(other) === name),
      limit: name === "sharpness" && names.includes(LIMIT) ? LIMIT : null,
    }));
}

/** Shown before anybody has chosen: the loss, and beside it what says most. @param {readonly Panel[]} panels @returns {string[]} */
export function usual(panels) {
  const names = panels.map(({name}) => name);
  const wanted = ["loss", "lr", "sharpness"].filter((name) => names.includes(name));
  return wanted.length > 0 ? wanted : names.slice(0, 2);
}
