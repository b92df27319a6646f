"use strict";
// One row in full: images, question, completion, rewards, and its group or its other stages.

const LARGE = 352; // of the longest edge of a question's images, in pixels on the screen

class Detail {
  constructor(data, images, answers) {
    this.data = data;
    this.images = images;
    this.answers = answers;
    this.pictures = new Map(data.pictures.map(([sight, sample, numbers]) => [`${sight}:${sample}`, numbers]));
    this.groups = new Map();
    this.samples = new Map();
    for (const row of data.rows) {
      if (row.group !== undefined) push(this.groups, `${row.run}:${row.group}`, row);
      else push(this.samples, row.sample, row);
    }
    this.box = h("article", { className: "detail", tabIndex: -1, "aria-label": "The chosen answer" });
    this.previous = h("button", { type: "button", onclick: () => answers().move(-1) }, "\u2190 Previous");
    this.next = h("button", { type: "button", onclick: () => answers().move(1) }, "Next \u2192");
    this.place = h("span", { className: "place" });
    this.bar = h("div", { className: "bar" }, this.previous, this.place, this.next);
    this.body = h("div", {});
    this.box.append(this.bar, this.body);
  }

  show(row, at, count) {
    this.previous.disabled = at <= 0;
    this.next.disabled = at >= count - 1;
    this.place.textContent = count ? `${at + 1} of ${count}` : "none";
    if (!row) {
      this.body.replaceChildren(h("p", {}, this.data.rows.length
        ? "No answer passes the filters." : "The run has no answers yet."));
      return;
    }
    const sample = this.data.samples[row.sample];
    this.body.replaceChildren(h("div", {},
      h("h3", {}, inline(sample.id), badges(row)),
      h("p", { className: "faint" }, this.origin(row, sample)),
      this.figures(row),
      h("h4", {}, "Question"), block(sample.question, "Question"),
      h("dl", {}, h("dt", {}, "gold"), h("dd", {}, inline(sample.gold)),
        ...answerOf(row)),
      meta(sample.meta),
      h("h4", {}, "Completion"), block(row.completion, "Completion"),
      this.rewards(row),
      this.others(row)));
  }

  origin(row, sample) {
    const parts = [sourceName(this.data, row.run, row.source)];
    if (sample.split) parts.push(`${sample.split}, row ${sample.index}`);
    if (row.step !== undefined) parts.push(`step ${row.step}, group ${row.group + 1}`);
    if (row.tokens !== undefined) parts.push(`${row.tokens} tokens`);
    return parts.join(" \u00b7 ");
  }

  figures(row) {
    const numbers = this.pictures.get(`${this.data.runs[row.run].sight}:${row.sample}`);
    if (!numbers) return h("p", { className: "faint" }, "No image of this sample is in the page.");
    // one scale for all images of a question, so that the larger one looks larger
    const longest = Math.max(...numbers.flatMap((at) => this.data.sizes[at]));
    const [width, height] = [0, 1].map((side) => (at) => Math.round(this.data.sizes[at][side] * Math.max(1, LARGE / longest)));
    return h("div", { className: "images" }, numbers.map((at, place) => h("figure", {},
      h("img", { alt: `Image ${place + 1} of the question`, width: width(at), height: height(at),
        src: `data:image/webp;base64,${this.images()[at]}` }),
      h("figcaption", {}, this.data.captions[at]))));
  }

  rewards(row) {
    const { rewards = {}, failures = {}, notes = {} } = row;
    const rows = Object.entries(rewards).map(([term, value]) => [inline(term),
      failures[term] ? h("b", {}, failures[term]) : value === null ? "does not apply" : number(value),
      notes[term] ? inline(notes[term]) : ""]);
    rows.push([h("b", {}, "total"), h("b", {}, number(row.total)), row.total === undefined ? "not scored" : "weighted sum"]);
    if (row.source === "rollouts") {
      rows.push(["advantage", number(row.advantage, 3), this.data.runs[row.run].advantage]);
    }
    return table("Rewards", ["term", "value", "note"], rows, true);
  }

  others(row) {
    if (row.group !== undefined) {
      const group = this.groups.get(`${row.run}:${row.group}`);
      const only = h("button", { type: "button", onclick: () =>
        this.answers().set({ source: `${row.run}:rollouts`, group: String(row.group + 1) }) }, "List only this group");
      return h("div", {}, h("h4", {}, `The group of ${group.length}, side by side `), only,
        h("div", { className: "cards" }, group.map((each) => this.card(each, row, `total ${number(each.total)}, advantage ${number(each.advantage, 3)}`))));
    }
    const rows = this.samples.get(row.sample);
    if (rows.length < 2) return null;
    return h("div", {}, h("h4", {}, "The same question at each stage"),
      h("div", { className: "cards" }, rows.map((each) =>
        this.card(each, row, sourceName(this.data, each.run, each.source)))));
  }

  card(row, current, label) {
    const text = cut(row.completion, 1500);
    const chosen = row === current;
    return h("section", { className: chosen ? "card chosen" : "card", "aria-label": label },
      h("p", {}, h("b", {}, label), badges(row)),
      h("p", {}, row.error === undefined ? inline(cut(row.answer ?? "", 200)) : h("i", {}, inline(cut(row.error, 200)))),
      h("pre", { className: "untrusted small", dir: "auto", tabIndex: 0, "aria-label": "Completion" }, shown(text)),
      h("p", { className: "faint" }, inline(Object.entries(row.rewards || {}).map(([term, value]) => `${term} ${number(value)}`).join(", "))),
      chosen ? h("p", { className: "faint" }, "shown above")
        : h("button", { type: "button", onclick: () => this.answers().open(row) }, "Show"));
  }
}

function push(map, name, value) {
  if (map.has(name)) map.get(name).push(value);
  else map.set(name, [value]);
}

function meta(values) {
  const facts = Object.entries(values).flatMap(([name, value]) =>
    [h("dt", {}, inline(name)), h("dd", {}, inline(cut(textOf(value), 2000)))]);
  return facts.length ? h("details", {}, h("summary", {}, "Meta of the sample"), h("dl", {}, facts)) : null;
}

function answerOf(row) {
  if (row.error !== undefined) return [h("dt", {}, "parse error"), h("dd", {}, inline(row.error))];
  return [h("dt", {}, "answer"), h("dd", {}, inline(row.answer ?? "\u2014"))];
}

function badges(row) {
  const found = [row.correct === undefined ? "not scored" : row.correct ? "right" : "wrong"];
  if (row.error !== undefined) found.push("unparsed");
  if (row.clipped) found.push("truncated");
  if (row.failures) found.push("a reward failed");
  return found.map((text) => h("span", { className: `badge ${text.replaceAll(" ", "-")}` }, text));
}
