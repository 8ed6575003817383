// Shaders as short as compilers take them: no comments, no layout, and names of one or two letters.

/** What declares a name that only the shader knows; uniforms, built-ins and main keep theirs. */
const DECLARED = /\b(?:float|int|vec[234]|ivec[234]|sampler2D) (?!u[A-Z]|gl_|main\b)(\w+)/g;

const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/**
 * @param {string} source GLSL, in which `${…}` may stand for what is filled in later
 * @returns {string}
 */
export function shortGlsl(source) {
  const plain = source.replace(/\/\/.*/g, "").replace(/\s+/g, " ");
  const names = [...new Set([...plain.matchAll(DECLARED)].map(([, name]) => name))];
  const short = new Map(names.map((name, i) => [name, `${LETTERS[i % 52]}${Math.floor(i / 52) || ""}`]));
  return plain
    .replace(/(?<![.$\w])[a-zA-Z]\w*/g, (word) => short.get(word) ?? word)
    .replace(/ ?([-+*/=<>(){},;?:&|[\]]+) ?/g, "$1");
}
