// Steps: where runs are at one of them. Pure.

/** @param {readonly number[]} steps ascending @param {number} step @returns {number} the last index that is no later; 0 before the first */
export function indexAt(steps, step) {
  let [low, high] = [0, steps.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (steps[middle] <= step) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** @param {readonly number[]} steps ascending @param {number} step @returns {number} the index that is nearest */
export function nearest(steps, step) {
  const before = indexAt(steps, step);
  const after = Math.min(before + 1, steps.length - 1);
  return Math.abs(steps[after] - step) < Math.abs(step - steps[before]) ? after : before;
}

/** All steps of any, ascending, each once. @param {readonly (readonly number[])[]} lists @returns {number[]} */
export function union(lists) {
  const longest = lists.reduce(
    (most, list) => (list.length > most.length ? list : most),
    /** @type {readonly number[]} */ ([]),
  );
  const same = lists.every(
    (list) => list === longest || (list.length > 0 && list.every((step, i) => step === longest[i])),
  );
  // Runs that were recorded at the same steps, however far each has come, need no sorting.
  const all = same ? longest : lists.flat().sort((a, b) => a - b);
  return all.filter((step, i) => step !== all[i - 1]);
}

/** What a run lasts when it is played, ms; and how often it moves where the system asks for less motion. */
export const LASTS = 6000;
export const LESS = 12;

/**
 * Where a play is. @param {number} start index that it began at @param {number} count of steps @param {number} gone ms since then
 * @param {boolean} still in a few steps rather than smoothly @returns {number} an index, at most the last
 */
export function played(start, count, gone, still) {
  const last = count - 1;
  const part = still ? Math.floor((gone / LASTS) * LESS) / LESS : gone / LASTS;
  return Math.min(Math.floor(start + part * last), last);
}
