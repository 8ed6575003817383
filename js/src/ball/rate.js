// Learning rates: where they stand on a logarithmic slider, and up to which one an optimizer's steps come back. Pure.

/** Powers of ten at the ends of the slider. */
export const ENDS = /** @type {const} */ ([-4, 1]);

const MOMENTUM = 0.9;

/** λmax times the largest rate whose steps come back on a quadratic (Polyak 1964), and how that is called. @type {Record<string, [number, string]>} */
const LINES = {
  sgd: [2, "2 / λmax"],
  momentum: [2 + 2 * MOMENTUM, "3.8 / λmax"],
  nesterov: [(2 + 2 * MOMENTUM) / (1 + 2 * MOMENTUM), "1.36 / λmax"],
};

/** In two digits. @param {number} power of ten */
export const rateAt = (power) => Number((10 ** power).toPrecision(2));

/** The share of the slider that lies before a rate, 0 to 1. @param {number} rate */
export function shareOf(rate) {
  const [least, most] = ENDS;
  return Math.min(Math.max((Math.log10(rate) - least) / (most - least), 0), 1);
}

/** The largest eigenvalue that has converged, of a message about a point. @param {any} head @returns {number | null} */
export function sharpnessOf(head) {
  const {eigenvalues = [], converged = []} = head?.spectrum ?? {};
  const found = eigenvalues.filter(
    (/** @type {unknown} */ value, /** @type {number} */ i) => converged[i] && value !== null,
  );
  return found.length > 0 ? Math.max(...found) : null;
}

/**
 * Beyond which rate steps grow on the quadratic of that sharpness.
 * @param {string} optimizer @param {number | null} sharpness @returns {{rate: number, label: string} | null} null where there is no such line
 */
export function limitOf(optimizer, sharpness) {
  const line = LINES[optimizer];
  return line && sharpness !== null && sharpness > 0 ? {rate: line[0] / sharpness, label: line[1]} : null;
}
