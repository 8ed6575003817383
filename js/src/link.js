// Links: explorers of one page that look at the same part of the plane, in the same colours and along the same isolines.
// Whoever moves says so, and the others have moved before it draws: no kernel and no trait lies between.

import {page} from "./page.js";

/** @typedef {[number, number]} Span */
/** @typedef {{of: Map<Link, Span>, span: Span, [more: string]: any}} Topic what each has of it, what that is together, and what they remember of it */
/** @typedef {{members: Set<Link>, topics: Map<string, Topic>, view?: any, telling?: boolean}} Group view: what was told last, for those who come later */

export class Link {
  /** @type {Group | null} */
  #group = null;
  #name = "";
  /** @type {readonly string[]} */
  #shared = [];
  /** Its topics by kind. @type {Map<string, Topic>} */
  #topics = new Map();

  /** @param {(kind: string, value?: any) => void} hear what another one tells; of a topic, that its span has changed */
  constructor(hear) {
    this.hear = hear;
  }

  /**
   * Be a member of this group, "" for none, that shares so much. Returns whether that is news.
   * @param {string} name @param {readonly string[]} shared some of view, domain, levels and field
   */
  join(name, shared) {
    if (name === this.#name) return false;
    this.leave();
    if (!name) return true;
    const shelf = page();
    shelf.links ??= new Map();
    /** @type {Group} */
    const group = shelf.links.get(name) ?? {members: new Set(), topics: new Map()};
    shelf.links.set(name, group);
    group.members.add(this);
    this.#group = group;
    this.#name = name;
    this.#shared = shared;
    if (this.view) this.hear("view", this.view);
    return true;
  }

  leave() {
    const group = this.#group;
    if (group === null) return;
    for (const kind of this.#topics.keys()) this.#withdraw(kind);
    group.members.delete(this);
    if (group.members.size === 0) page().links?.delete(this.#name);
    this.#group = null;
    this.#name = "";
  }

  /** Whether this is shared with others. @param {string} what */
  shares(what) {
    return this.#group !== null && this.#shared.includes(what);
  }

  /** What the group looks at; undefined where that is not known or not shared. */
  get view() {
    return this.shares("view") ? this.#group?.view : undefined;
  }

  /** Tell those that share `what`; they are not to tell it again. @param {string} what @param {string} kind @param {any} [value] */
  tell(what, kind, value) {
    const group = this.#group;
    if (group === null || group.telling || !this.shares(what)) return;
    if (kind === "view") group.view = value;
    group.telling = true;
    try {
      for (const other of group.members) if (other !== this && other.shares(what)) other.hear(kind, value);
    } finally {
      group.telling = false;
    }
  }

  /**
   * The topic with the span of all whose topic it is, this one's included: the same array until it changes, which the others
   * hear of. A member has one topic of a kind. Null where it shares no such thing.
   * @param {string} what @param {string} kind @param {string} name @param {Span} span @returns {Topic | null}
   */
  topic(what, kind, name, span) {
    const group = this.#group;
    if (group === null || !this.shares(what)) return null;
    const key = `${kind} ${name}`;
    const topic = group.topics.get(key) ?? {of: new Map(), span};
    group.topics.set(key, topic);
    if (this.#topics.get(kind) !== topic) this.#withdraw(kind);
    this.#topics.set(kind, topic);
    topic.of.set(this, span);
    this.#settle(kind, topic);
    return topic;
  }

  /** @param {string} kind */
  #withdraw(kind) {
    const topic = this.#topics.get(kind);
    if (topic?.of.delete(this)) this.#settle(kind, topic);
    this.#topics.delete(kind);
  }

  /** @param {string} kind @param {Topic} topic */
  #settle(kind, topic) {
    const spans = [...topic.of.values()];
    const lo = Math.min(...spans.map(([low]) => low));
    const hi = Math.max(...spans.map(([, high]) => high));
    if (spans.length === 0 || (lo === topic.span[0] && hi === topic.span[1])) return;
    topic.span = [lo, hi];
    for (const other of topic.of.keys()) if (other !== this) other.hear(kind);
  }
}
