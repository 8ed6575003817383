// Go to a place by its numbers.

import {coordinate, h, say, significant} from "../ui/dom.js";
import {Pop} from "./pop.js";

/** @typedef {{name: string, text: string}} Typed */

/** A number as people write it: with a true minus, or a comma. @param {string} text @returns {number} NaN if it is none */
export const numberOf = (text) =>
  text.trim() === ""
    ? Number.NaN
    : Number(
        text
          .trim()
          .replace(/[\u2212–]/, "-")
          .replace(",", "."),
      );

/** What is wrong with what was typed, null if nothing is. @param {string} name @param {string} text */
export function fault(name, text) {
  const value = numberOf(text);
  if (!Number.isFinite(value)) return `${name} is “${text.trim()}”. Write a number, like 0.25 or 1e-3.`;
  if (name === "span" && value <= 0) return `span is ${text.trim()}. It is the width of the view in a: more than 0.`;
  return null;
}

/** @param {import("../ui/host.js").Host} host @param {import("./mover.js").Mover} mover */
export function goTo(host, mover) {
  const {pane, signal} = host;
  const wrong = h("p", {class: "la-wrong", role: "alert"});
  const fields = ["a", "b", "span"].map((name) => {
    const input = h("input", {type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false"});
    return {name, input, label: h("label", {}, h("span", {}, name), input), was: {text: "", value: 0}};
  });
  const inputs = fields.map(({label}) => label);
  const go = h("button", {type: "submit"}, "Go");
  const form = h("form", {class: "la-goto", novalidate: true}, h("b", {}, "Go to"), ...inputs, go, wrong);
  const pop = new Pop(host, "Go to", form);
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const bad = fields.find(({name, input, label}) => !label.hidden && fault(name, input.value));
    for (const {input} of fields) input.removeAttribute("aria-invalid");
    say(wrong, bad ? String(fault(bad.name, bad.input.value)) : "");
    if (bad) {
      bad.input.ariaInvalid = "true";
      return bad.input.focus();
    }
    // What was not touched keeps all its digits.
    const [a, b, span] = fields.map(({input, was}) => (input.value === was.text ? was.value : numberOf(input.value)));
    pop.close();
    if (pane.viewport) mover.go(pane.viewport.at([a, b], span));
  };
  form.addEventListener("submit", submit, {signal});
  const show = () => {
    const view = mover.bound;
    if (view === null) return;
    const values = [...view.center, view.span];
    fields.forEach((field, i) => {
      const text = i < 2 ? coordinate(values[i], 1 / view.scale) : significant(values[i]);
      field.was = {text, value: values[i]};
      field.input.value = text;
      field.input.removeAttribute("aria-invalid");
    });
    fields[1].label.hidden = pane.onLine;
    say(wrong, "");
    pop.show(fields[0].input);
  };
  return {pop, show};
}
