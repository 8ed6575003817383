// What became of a ball, in words.

import {number, stepText} from "../runs/words.js";

/**
 * @typedef {{
 *   req: number, name: string, step: number, done: boolean, diverged: boolean, loss: number | null, message: string, error: string
 * }} Ball  name: of its run, "" until the kernel has said it; loss: at its end, of all data; error: what went wrong
 */

/** @param {Ball} ball */
export function words({step, done, diverged, loss, message, error}) {
  if (error) return error;
  if (!done) return step > 0 ? `step ${stepText(step)}` : "on its way";
  if (diverged || loss === null) return message;
  return `end loss ${number(loss)} · ${message}`;
}
