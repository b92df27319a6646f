"use strict";
// The filters, and the list of rows that pass them.

const MOST_VALUES = 200; // of a key of meta that is offered as a filter
const AT_ONCE = 100; // rows of the list that are made at a time
const STAGE_NAMES = { start: "zero-shot", sft: "after SFT", grpo: "after GRPO", rollouts: "GRPO rollouts" };
const OUTCOMES = {
  right: (row) => row.correct === true,
  wrong: (row) => row.correct === false,
  "not scored": (row) => row.correct === undefined,
  unparsed: (row) => row.error !== undefined,
  truncated: (row) => row.clipped === true,
  "a reward failed": (row) => row.failures !== undefined,
};
const CHANGES = {
  "wrong to right": (before, after) => before === false && after === true,
  "right to wrong": (before, after) => before === true && after === false,
  "any change": (before, after) => before !== after,
  "no change": (before, after) => before === after,
};
const ORDERS = {
  "as in the run": null,
  "lowest total": (a, b) => (a.total ?? -Infinity) - (b.total ?? -Infinity),
  "highest total": (a, b) => (b.total ?? -Infinity) - (a.total ?? -Infinity),
  "longest completion": (a, b) => b.completion.length - a.completion.length,
};

function sourceName(data, run, source) {
  const name = STAGE_NAMES[source] || source;
  return data.runs.length > 1 ? `Run ${run + 1}: ${name}` : name;
}

function select(label, options, first) {
  const box = h("select", {}, first === undefined ? null : h("option", { value: "" }, first),
    options.map(([value, name]) => h("option", { value }, name)));
  return { box, field: h("label", {}, `${label} `, box) };
}

function input(label, properties) {
  const box = h("input", { autocomplete: "off", ...properties });
  return { box, field: h("label", {}, `${label} `, box) };
}

function same(names) {
  return names.map((name) => [name, name]);
}

// The rows by source, and of each source the row of a sample.
function bySource(rows) {
  const found = new Map();
  for (const row of rows) {
    const name = `${row.run}:${row.source}`;
    if (!found.has(name)) found.set(name, { rows: [], samples: new Map() });
    found.get(name).rows.push(row);
    if (!found.get(name).samples.has(row.sample)) found.get(name).samples.set(row.sample, row);
  }
  return found;
}

class Answers {
  // show: called with the row that is chosen, its place in the list, and the length of the list
  constructor(section, data, show) {
    this.data = data;
    this.show = show;
    this.sources = bySource(data.rows);
    this.rows = [];
    this.at = -1;
    this.made = 0;
    this.list = h("ol", { className: "list", "aria-label": "Answers that pass the filters" });
    this.list.addEventListener("scroll", () => {
      if (this.list.scrollTop + this.list.clientHeight > this.list.scrollHeight - 400) this.more();
    });
    this.count = h("p", { className: "count", role: "status" });
    this.filters(section);
    section.append(this.count);
  }

  filters(section) {
    const { data } = this;
    const sources = [...this.sources.keys()].map((value) => {
      const [run, source] = value.split(":");
      return [value, sourceName(data, Number(run), source)];
    });
    const splits = [...new Set(data.samples.map((sample) => sample.split).filter(Boolean))];
    const terms = [...new Set(data.rows.flatMap((row) => Object.keys(row.rewards || {})))];
    this.controls = {
      source: select("Show", sources),
      split: select("Split", same(splits), "all"),
      outcome: select("Outcome", same(Object.keys(OUTCOMES)), "all"),
      before: select("Compared with", sources, "nothing"),
      change: select("Change", same(Object.keys(CHANGES))),
      order: select("Order", same(Object.keys(ORDERS))),
      reward: select("Reward", same(["total", "advantage", ...terms])),
      least: input("from", { type: "number", step: "any", "aria-label": "Reward from" }),
      most: input("to", { type: "number", step: "any", "aria-label": "Reward to" }),
      first: input("Step from", { type: "number", min: 1 }),
      last: input("to", { type: "number", min: 1, "aria-label": "Step to" }),
      group: input("Group", { type: "number", min: 1 }),
      meta: select("Meta", same([...this.metaValues().keys()]), "any"),
      value: select("is", []),
      id: input("Sample id", { type: "search", size: 14 }),
      text: input("Text", { type: "search", size: 18, id: "search" }),
    };
    const fields = Object.fromEntries(Object.entries(this.controls).map(([name, each]) => [name, each.field]));
    const range = (...names) => h("span", { className: "range" }, names.map((name) => fields[name]));
    this.onlyMeta = range("meta", "value");
    this.onlyMeta.hidden = !this.metaValues().size;
    this.controls.meta.box.addEventListener("input", () => this.fillValues());
    this.fillValues();
    this.onlyRollouts = [range("first", "last"), fields.group];
    const reset = h("button", { type: "button", onclick: () => this.set({}) }, "Clear filters");
    this.form = h("form", { className: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
      h("div", { className: "fields" }, fields.source, fields.split, fields.outcome),
      h("details", { open: matchMedia("(min-width: 48.01rem)").matches }, h("summary", {}, "More filters"),
        h("div", { className: "fields" }, fields.text, fields.id, range("before", "change"),
          range("reward", "least", "most"), this.onlyMeta, this.onlyRollouts, fields.order, reset)));
    let timer = 0;
    this.form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.update(), 120);
    });
    section.append(this.form);
    const last = sources.filter(([value]) => !value.endsWith(":rollouts")).pop() || sources[0];
    if (last) this.controls.source.box.value = last[0];
  }

  // The values of each key of the samples' meta, as text, in order.
  metaValues() {
    if (this.metas) return this.metas;
    const found = new Map();
    for (const sample of this.data.samples) {
      for (const [name, value] of Object.entries(sample.meta)) {
        if (!found.has(name)) found.set(name, new Set());
        found.get(name).add(textOf(value));
      }
    }
    this.metas = new Map([...found].filter(([, values]) => values.size <= MOST_VALUES)
      .map(([name, values]) => [name, [...values].sort((a, b) => a.localeCompare(b, "en", { numeric: true }))]));
    return this.metas;
  }

  fillValues() {
    const values = this.metaValues().get(this.controls.meta.box.value) || [];
    this.controls.value.box.replaceChildren(...values.map((value) => h("option", { value }, cut(value, 60))));
    this.controls.value.field.hidden = !values.length;
  }

  value(name) {
    return this.controls[name].box.value.trim();
  }

  // Set some controls, and the others but the source to their first value.
  set(values) {
    for (const [name, { box }] of Object.entries(this.controls)) {
      if (values[name] !== undefined) box.value = values[name];
      else if (name === "source") continue;
      else if (box.tagName === "SELECT") box.selectedIndex = 0;
      else box.value = "";
    }
    this.fillValues();
    if (values.value !== undefined) this.controls.value.box.value = values.value;
    this.update();
  }

  // Whether a row passes, for the values that the controls have now.
  test() {
    const split = this.value("split"), outcome = this.value("outcome"), group = this.value("group");
    const text = this.value("text").toLowerCase(), id = this.value("id").toLowerCase();
    const before = this.sources.get(this.value("before")), reward = this.value("reward");
    const meta = this.value("meta"), wanted = this.controls.value.box.value;
    const change = CHANGES[this.value("change")];
    const bound = (name, otherwise) => this.value(name) === "" ? otherwise : Number(this.value(name));
    const [least, most] = [bound("least", -Infinity), bound("most", Infinity)];
    const [first, last] = [bound("first", -Infinity), bound("last", Infinity)];
    const ranged = least !== -Infinity || most !== Infinity;
    const stepped = first !== -Infinity || last !== Infinity;
    return (row) => {
      const sample = this.data.samples[row.sample];
      if (split && sample.split !== split) return false;
      if (outcome && !OUTCOMES[outcome](row)) return false;
      if (group && row.group !== Number(group) - 1) return false;
      if (stepped && !(row.step >= first && row.step <= last)) return false;
      if (meta && !(meta in sample.meta && textOf(sample.meta[meta]) === wanted)) return false;
      if (id && !sample.id.toLowerCase().includes(id)) return false;
      if (ranged) {
        const value = reward in row ? row[reward] : (row.rewards || {})[reward];
        if (typeof value !== "number" || value < least || value > most) return false;
      }
      if (before) {
        const other = before.samples.get(row.sample);
        if (!other || !change(other.correct, row.correct)) return false;
      }
      if (text) {
        const whole = [sample.question, sample.gold, row.completion, row.answer, row.error];
        if (!whole.some((each) => each && each.toLowerCase().includes(text))) return false;
      }
      return true;
    };
  }

  update(keep) {
    const source = this.sources.get(this.value("source"));
    const rollouts = this.value("source").endsWith(":rollouts");
    for (const field of this.onlyRollouts) field.hidden = !rollouts;
    this.controls.change.field.hidden = !this.value("before");
    this.rows = source ? source.rows.filter(this.test()) : [];
    const order = ORDERS[this.value("order")];
    if (order) this.rows.sort(order);
    const scored = this.rows.filter((row) => row.correct !== undefined);
    const right = scored.filter((row) => row.correct).length;
    const total = source ? source.rows.length : 0;
    const share = scored.length ? `; right: ${right} of ${scored.length} scored, ${percent(right / scored.length)} %` : "";
    this.count.textContent = `${this.rows.length} of ${total}${share}`;
    this.made = 0;
    this.list.replaceChildren();
    this.list.scrollTop = 0;
    this.more();
    const at = keep ? this.rows.indexOf(keep) : 0;
    this.choose(this.rows.length ? Math.max(0, at) : -1);
  }

  more() {
    const end = Math.min(this.rows.length, this.made + AT_ONCE);
    for (; this.made < end; this.made += 1) this.list.append(this.entry(this.made));
  }

  entry(at) {
    const row = this.rows[at];
    const sample = this.data.samples[row.sample];
    const outcome = row.correct === undefined ? "not scored" : row.correct ? "right" : "wrong";
    const place = row.step === undefined ? "" : `step ${row.step}, group ${row.group + 1}: `;
    return h("li", {}, h("button", { type: "button", className: "entry", onclick: () => this.choose(at) },
      h("span", { className: `dot ${outcome.replace(" ", "-")}`, role: "img", "aria-label": outcome, title: outcome }),
      h("span", {}, place, inline(cut(sample.question, 110))),
      h("span", { className: "faint" }, row.error === undefined ? inline(cut(row.answer ?? "", 40)) : "unparsed")));
  }

  choose(at) {
    const old = this.list.children[this.at];
    if (old) old.firstChild.removeAttribute("aria-current");
    this.at = at;
    while (this.made <= at && this.made < this.rows.length) this.more();
    const now = this.list.children[at];
    if (now) {
      now.firstChild.setAttribute("aria-current", "true");
      const box = this.list;
      if (now.offsetTop < box.scrollTop) box.scrollTop = now.offsetTop;
      const below = now.offsetTop + now.offsetHeight - box.clientHeight;
      if (below > box.scrollTop) box.scrollTop = below;
    }
    this.show(this.rows[at], at, this.rows.length);
  }

  move(by) {
    if (this.rows.length) this.choose(Math.min(this.rows.length - 1, Math.max(0, this.at + by)));
  }

  // Show a row of any source, whatever the filters are.
  open(row) {
    this.controls.source.box.value = `${row.run}:${row.source}`;
    if (!this.test()(row)) this.set({});
    this.update(row);
  }
}

function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function cut(text, most) {
  return text.length > most ? `${text.slice(0, most)}\u2026` : text;
}
