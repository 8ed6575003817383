// The spline that fills a tile: what is drawn, probed and exported is this one function.

/** Points per side of a filled tile: 32 cells of 4 sub-points, borders included. */
export const SIZE = 129;

/**
 * Fill a tile from its n × n nodes, row 0 at the lowest b.
 *
 * On a border only the border's own nodes count, in the same order of operations on either side, so neighbours with the
 * same nodes meet bit for bit. `centres`, (n − 1)² values at the cell centres, are those of a pass sent in parts.
 * With any non-finite value the whole tile is bilinear between its nodes, for a spline would carry the hole everywhere;
 * a point is then NaN if any node that has weight there is not finite.
 * @param {ArrayLike<number>} values
 * @param {number} n
 * @param {{centres?: ArrayLike<number>}} [options]
 * @returns {Float32Array} (129, 129)
 */
export function fill(values, n, {centres} = {}) {
  return interpolate(values, n, SIZE, {centres});
}

/**
 * What `fill` does, to m × m points.
 * @param {ArrayLike<number>} values
 * @param {number} n
 * @param {number} m
 * @param {{centres?: ArrayLike<number>}} [options]
 * @returns {Float32Array} (m, m)
 */
export function interpolate(values, n, m, {centres} = {}) {
  if (values.length !== n * n)
    throw new RangeError(`A tile of ${n} × ${n} nodes has ${n * n} values, but got ${values.length}.`);
  if (centres && centres.length !== (n - 1) ** 2) {
    throw new RangeError(`A tile of ${n} × ${n} nodes has ${(n - 1) ** 2} cell centres, but got ${centres.length}.`);
  }
  const smooth = allFinite(values) && (!centres || allFinite(centres));
  const spread = smooth ? spline : bilinear;
  const out = new Float32Array(m * m);
  if (centres) spread(withCentres(values, n, centres, spread), 2 * n - 1, m, out);
  else spread(values, n, m, out);
  return out;
}

/** @param {ArrayLike<number>} values */
function allFinite(values) {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

/** @typedef {(values: ArrayLike<number>, n: number, m: number, out: Float32Array | Float64Array) => void} Spread */

/**
 * The tensor product: along a first, then along b.
 * @type {Spread}
 */
function spline(values, n, m, out) {
  const wide = new Float64Array(m * n);
  splineRows(transposed(values, n, n), n, n, m, wide);
  splineRows(transposed(wide, m, n), n, m, m, out);
}

/**
 * @param {ArrayLike<number>} values (rows, columns)
 * @param {number} rows
 * @param {number} columns
 */
function transposed(values, rows, columns) {
  const out = new Float64Array(rows * columns);
  for (let j = 0; j < rows; j++) for (let i = 0; i < columns; i++) out[i * rows + j] = values[j * columns + i];
  return out;
}

/**
 * From n rows to m equidistant ones over the same interval, every column by itself: the line through 2 nodes, the
 * parabola through 3, the cubic spline with not-a-knot ends through 4 and more. A row that falls on a node is copied, so
 * that nodes keep their bits. Solving for the second derivatives takes 8 times less time than a dense matrix at n = 33.
 * @param {Float64Array} values (n, width)
 * @param {number} n
 * @param {number} width
 * @param {number} m
 * @param {Float32Array | Float64Array} out (m, width)
 */
export function splineRows(values, n, width, m, out) {
  const bends = secondDerivatives(values, n, width);
  for (let row = 0; row < m; row++) {
    // The quotient is exact where it is whole, hence in this order.
    const x = (row * (n - 1)) / (m - 1);
    const cell = Math.floor(x);
    const here = cell * width;
    if (cell === x) {
      out.set(values.subarray(here, here + width), row * width);
      continue;
    }
    const t = x - cell;
    const s = 1 - t;
    const bendHere = (s * s * s - s) / 6;
    const bendNext = (t * t * t - t) / 6;
    for (let i = here, to = row * width; i < here + width; i++, to++) {
      out[to] = s * values[i] + t * values[i + width] + bendHere * bends[i] + bendNext * bends[i + width];
    }
  }
}

/**
 * Second derivatives at the nodes, spacing 1. Not-a-knot (M₀ = 2M₁ − M₂) turns the first of the usual equations
 * M₀ + 4M₁ + M₂ = r₁ into 6M₁ = r₁, and the last one likewise; what is left is tridiagonal. With three nodes there is one
 * equation, and M₀ = M₁ = M₂ gives the parabola.
 * @param {Float64Array} values (n, width)
 * @param {number} n
 * @param {number} width
 * @returns {Float64Array} (n, width)
 */
function secondDerivatives(values, n, width) {
  const bends = new Float64Array(n * width);
  if (n < 3) return bends;
  const upper = new Float64Array(n);
  for (let row = 1; row <= n - 2; row++) {
    const end = row === 1 || row === n - 2;
    const lower = end ? 0 : 1;
    const pivot = (end ? 6 : 4) - lower * upper[row - 1];
    upper[row] = (end ? 0 : 1) / pivot;
    for (let i = row * width; i < (row + 1) * width; i++) {
      const right = 6 * (values[i - width] - 2 * values[i] + values[i + width]);
      bends[i] = (right - lower * bends[i - width]) / pivot;
    }
  }
  for (let row = n - 3; row >= 1; row--) {
    for (let i = row * width; i < (row + 1) * width; i++) bends[i] -= upper[row] * bends[i + width];
  }
  const inner = n === 3 ? 0 : width;
  const last = (n - 1) * width;
  for (let i = 0; i < width; i++) {
    bends[i] = 2 * bends[i + width] - bends[i + width + inner];
    bends[last + i] = 2 * bends[last + i - width] - bends[last + i - width - inner];
  }
  return bends;
}

/** @type {Spread} */
function bilinear(values, n, m, out) {
  for (let row = 0; row < m; row++) {
    const y = (row * (n - 1)) / (m - 1);
    const j = Math.min(Math.floor(y), n - 2);
    for (let column = 0; column < m; column++) {
      const x = (column * (n - 1)) / (m - 1);
      const i = Math.min(Math.floor(x), n - 2);
      let sum = 0;
      for (let corner = 0; corner < 4; corner++) {
        const right = corner & 1;
        const up = corner >> 1;
        const weight = (right ? x - i : 1 - x + i) * (up ? y - j : 1 - y + j);
        if (weight === 0) continue;
        const value = values[(j + up) * n + i + right];
        sum += Number.isFinite(value) ? weight * value : Number.NaN;
      }
      out[row * m + column] = sum;
    }
  }
}

/**
 * The (2n − 1)² grid of a tile that has its knots and its cell centres, but no edge midpoints yet. A midpoint is what the
 * knots predict, plus what they were wrong by at the centres of the two cells beside it. On the tile's outer border it is
 * the prediction alone: the neighbour does not know these centres. In a tile with holes nothing is corrected.
 * @param {ArrayLike<number>} values
 * @param {number} n
 * @param {ArrayLike<number>} centres
 * @param {Spread} spread
 */
function withCentres(values, n, centres, spread) {
  const size = 2 * n - 1;
  const grid = new Float64Array(size * size);
  spread(values, n, size, grid);
  const cells = n - 1;
  const missed = new Float64Array(cells * cells);
  for (let j = 0; j < cells; j++) {
    for (let i = 0; i < cells; i++) {
      const at = (2 * j + 1) * size + 2 * i + 1;
      missed[j * cells + i] = centres[j * cells + i] - grid[at];
      grid[at] = centres[j * cells + i];
    }
  }
  for (let j = 0; j < n; j++) {
    for (let i = 0; i < n; i++) grid[2 * j * size + 2 * i] = values[j * n + i];
  }
  if (spread === bilinear) return grid;
  for (let j = 0; j < cells; j++) {
    for (let i = 0; i < cells; i++) {
      const here = missed[j * cells + i];
      if (i + 1 < cells) grid[(2 * j + 1) * size + 2 * i + 2] += (here + missed[j * cells + i + 1]) / 2;
      if (j + 1 < cells) grid[(2 * j + 2) * size + 2 * i + 1] += (here + missed[(j + 1) * cells + i]) / 2;
    }
  }
  return grid;
}
