"use strict";
// Runs, table, gains, findings and failures.

function key(run) {
  return h("span", { className: `key c${run % 6}`, "aria-hidden": "true" });
}

function details(label, ...children) {
  return h("details", {}, h("summary", {}, label), ...children);
}

function runs(section, data) {
  section.append(h("p", { className: "faint" },
    `Written ${data.made} by rft ${data.version}. Steps, scores and answers are of that moment.`));
  for (const note of data.notes) section.append(h("p", { className: "note" }, inline(note)));
  data.runs.forEach((run, at) => {
    const state = [run.ended ? null : "not finished", run.smoke ? "smoke run" : null].filter(Boolean);
    const list = (facts) => h("dl", {}, facts.flatMap(([name, value]) =>
      [h("dt", {}, name), h("dd", {}, inline(value))]));
    const open = data.runs.length === 1;
    section.append(h("details", { className: "run", open },
      h("summary", {}, key(at), `Run ${at + 1}: `, inline(run.name),
        state.map((text) => h("span", { className: "badge" }, text))),
      list(run.facts),
      details("Provenance: command, versions, commit", list(run.provenance)),
      run.prompt ? details("A prompt", block(run.prompt, "A prompt")) : null,
      details("All settings", block(run.recipe, "All settings")),
      details("Manifest: versions, fingerprints of data, pixel budget", block(run.manifest, "Manifest"))));
  });
}

function interval(score) {
  const unscored = score.failed + score.not_applicable;
  return `${percent(score.accuracy)} [${percent(score.low)},\u00a0${percent(score.high)}], n=${score.n}`
    + (unscored ? `, ${unscored} not scored` : "");
}

function share(found) {
  return `${percent(found.accuracy)} [${percent(found.low)},\u00a0${percent(found.high)}], n=${found.n}`;
}

// Tables that only some runs have: accuracy by group, means of declared terms, drawn completions.
function more(section, data, label) {
  const each = (make) => data.runs.flatMap((run, at) => run.scores.flatMap((row) =>
    row.splits.flatMap((score) => make(score).map((cells) => [label(at, `${row.name}, ${score.split}`), ...cells]))));
  const groups = each((score) => Object.entries(score.groups || {}).flatMap(([name, values]) =>
    Object.entries(values).map(([value, found]) => [inline(`${name}: ${value}`), share(found)])));
  const metrics = each((score) => Object.entries(score.metrics || {}).map(([name, found]) =>
    [inline(name), `${number(found.mean)} [${number(found.low)},\u00a0${number(found.high)}], n=${found.n}`]));
  const drawn = each((score) => score.sampled ? [[`${score.sampled.k}`, share(score.sampled.accuracy),
    Object.entries(score.sampled.pass_at).map(([k, value]) => `${k}: ${percent(value)}`).join(", "),
    share(score.sampled.majority)]] : []);
  const tables = [
    ["Accuracy by group", ["stage and split", "group", "right, percent"], groups],
    ["Means of terms", ["stage and split", "term", "mean"], metrics],
    ["Drawn completions", ["stage and split", "per question", "right, percent", "pass@k, percent", "majority, percent"], drawn],
  ];
  for (const [name, head, rows] of tables) {
    if (rows.length) section.append(details(name, table(name, head, rows)));
  }
}

function change(gain) {
  const sign = (value) => (value >= 0 ? "+" : "") + percent(value);
  return gain.change === null ? "\u2014"
    : `${sign(gain.change)} [${sign(gain.low)},\u00a0${sign(gain.high)}], n=${gain.n}`;
}

function accuracy(section, data) {
  const splits = [...new Set(data.runs.flatMap((run) =>
    run.scores.flatMap((row) => row.splits.map((score) => score.split))))];
  if (!splits.length) {
    section.append(h("p", {}, "Nothing has been evaluated yet."));
    return;
  }
  const several = data.runs.length > 1;
  const label = (at, name) => h("span", {}, several ? [key(at), `Run ${at + 1}: `] : [], name);
  const cells = (found, format) => splits.map((split) => {
    const one = found.find((each) => each.split === split);
    return one ? format(one) : "-";
  });
  const scores = data.runs.flatMap((run, at) => run.scores.map((row) =>
    [label(at, row.name), ...cells(row.splits, interval)]));
  const blind = data.runs.flatMap((run, at) => run.scores
    .filter((row) => row.splits.some((score) => score.blind))
    .map((row) => [label(at, `${row.name}, images of other samples`),
      ...cells(row.splits.filter((score) => score.blind), (score) => share(score.blind))]));
  scores.push(...blind);
  section.append(table("Right answers in percent, with 95 % intervals", ["stage", ...splits], scores));
  const gains = data.runs.flatMap((run, at) => [...new Set(run.gains.map((gain) => gain.name))]
    .map((name) => [label(at, name), ...cells(run.gains.filter((g) => g.name === name), change)]));
  if (gains.length) {
    section.append(table("Gains in percentage points, on the same questions", ["from, to", ...splits], gains));
  }
  const terms = [...new Set(data.runs.flatMap((run) => run.scores.flatMap((row) =>
    row.splits.flatMap((score) => Object.keys(score.rewards)))))];
  const rows = data.runs.flatMap((run, at) => run.scores.flatMap((row) => row.splits.map((score) =>
    [label(at, `${row.name}, ${score.split}`), percent(score.unparsed), percent(score.clipped),
      number(score.tokens, 3), ...terms.map((term) => number(score.rewards[term], 3))])));
  more(section, data, label);
  section.append(details("Parse errors, lengths and rewards", table(
    "Unparsed and truncated in percent; means of tokens and reward terms",
    ["stage and split", "unparsed", "truncated", "tokens", ...terms], rows)));
}

function findings(section, data) {
  const several = data.runs.length > 1;
  data.runs.forEach((run, at) => {
    const box = several ? h("div", {}, h("h3", {}, key(at), `Run ${at + 1}: `, inline(run.name))) : section;
    const texts = [...run.findings, ...run.notes];
    if (texts.length) box.append(h("ul", {}, texts.map((text) => h("li", {}, inline(text)))));
    else box.append(h("p", {}, "No phase reports a problem, and the table has no notes."));
    box.append(h("p", {}, "Vision check: ", inline(run.vision)));
    failures(box, run.failures);
    if (several) section.append(box);
  });
}

function failures(box, found) {
  if (!found.count) {
    box.append(h("p", {}, "No reward call failed."));
    return;
  }
  const least = found.complete ? "" : "at least ";
  box.append(h("p", {}, `${least}${found.count} reward calls failed:`));
  const kinds = found.kinds.map((kind) => h("li", {},
    h("b", {}, `${kind.count} \u00d7 `), inline(`${kind.reward}: ${kind.kind}`), " ", inline(kind.note || ""),
    details("First example", h("p", {}, inline(`${kind.phase}, sample ${kind.sample}, ${kind.origin || ""}`)),
      block(kind.traceback || "", "Traceback"), block(kind.completion || "", "Completion"))));
  box.append(h("ul", {}, kinds));
  if (found.more) box.append(h("p", {}, `and ${found.more} other causes`));
}
