// Light or dark: what the user chose, else what the notebook shows, else what the system prefers.

/** @typedef {"light" | "dark"} Theme */
/** @typedef {[number, number, number]} Rgb */

/** @typedef {{background: Rgb, hatch: Rgb, paper: Rgb, ink: Rgb}} Palette  paper and ink: of a curve */

/** What the renderers need of a theme; the rest is in styles.css. @type {Record<Theme, Palette>} */
export const PALETTE = {
  light: {background: [236, 239, 243], hatch: [138, 147, 162], paper: [255, 255, 255], ink: [28, 126, 214]},
  dark: {background: [29, 33, 41], hatch: [112, 121, 136], paper: [18, 21, 26], ink: [77, 171, 247]},
};

/** @param {string} chosen the trait @returns {Theme} */
function themeOf(chosen) {
  if (chosen === "light" || chosen === "dark") return chosen;
  const {dataset, classList} = document.body;
  if (dataset.jpThemeLight !== undefined) return dataset.jpThemeLight === "true" ? "light" : "dark";
  if (classList.contains("vscode-dark")) return "dark";
  if (classList.contains("vscode-light")) return "light";
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/**
 * Tell `apply` the theme now and whenever the page changes it.
 * @param {() => string} chosen @param {(theme: Theme) => void} apply @param {AbortSignal} signal
 * @returns {() => void} to call when the trait has changed
 */
export function watchTheme(chosen, apply, signal) {
  const update = () => apply(themeOf(chosen()));
  const observer = new MutationObserver(update);
  observer.observe(document.body, {attributes: true, attributeFilter: ["data-jp-theme-light", "class"]});
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update, {signal});
  signal.addEventListener("abort", () => observer.disconnect());
  update();
  return update;
}
