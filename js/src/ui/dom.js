// The few things that every part of the page needs of the document.

/**
 * An element with attributes, properties of style excepted, and children; text is set as text, never parsed.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag @param {Record<string, string | number | boolean>} [attributes] @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * The same of an SVG.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag @param {Record<string, string | number>} [attributes] @param {(Element | string)[]} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Set the text only when it changes: an aria-live region speaks at each assignment. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Thin spaces between thousands, as in 4 225. @param {number} count */
export const counted = (count) => String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, "\u202f");

/** A coordinate with the digits that a pixel tells apart, and a true minus. @param {number} value @param {number} pixel */
export function coordinate(value, pixel) {
  const digits = Math.min(Math.max(Math.ceil(-Math.log10(pixel)), 0), 15);
  const text = value.toFixed(digits);
  return Number(text) === 0 ? (0).toFixed(digits) : text.replace("-", "\u2212");
}

/** Four digits that count, or more where asked. @param {number} value @param {number} [digits] */
export function significant(value, digits = 4) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) {
    const [mantissa, power] = value.toExponential(digits - 1).split("e");
    return `${mantissa}e${Number(power)}`.replaceAll("-", "\u2212");
  }
  const decimals = size === 0 ? digits - 1 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(decimals, 12)).replace("-", "\u2212");
}

/** Labels longer than this do not fit beside an axis. */
const LONGEST = 7;

/**
 * Labels for round numbers. Deep in a zoom they differ in their last digits only: then each is given as its distance
 * from one of them, in a unit, and `shift` says both once.
 * @param {readonly number[]} values ascending multiples of step @param {number} step
 * @param {(value: number, step?: number) => string} format
 * @returns {{texts: string[], shift: {from: string, unit: string} | null}}
 */
export function labelled(values, step, format) {
  const texts = values.map((value) => format(value, step));
  if (values.length < 2 || texts.every((text) => text.length <= LONGEST)) return {texts, shift: null};
  const middle = values[values.length >> 1];
  const power = Math.floor(Math.log10(step) + 1e-9);
  const whole = Math.round(step / 10 ** power);
  const apart = values.map((value) => whole * Math.round((value - middle) / step));
  const raised = String(power)
    .replace("-", "⁻")
    .replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]);
  return {
    texts: apart.map((count) => (count > 0 ? `+${count}` : format(count, 1))),
    shift: {from: format(middle), unit: `10${raised}`},
  };
}
