"use strict";
// Curves as SVG: one chart per number, one line per run.

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 340, HIGH = 190, LEFT = 48, LETTER = 6.5, BELOW = 24, ABOVE = 8, RIGHT = 8;
const SMOOTH_FROM = 40; // points; above, a running mean is drawn over the points
const FIRST = ["loss", "mean_token_accuracy", "reward", "accuracy", "unparsed",
  "completions/mean_length", "completions/clipped_ratio", "groups/no_signal", "entropy", "kl"];

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Round values between low and high, each with its text.
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((by) => by * power).find((by) => by >= raw * 0.999);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) {
    const value = Number((at * step).toPrecision(12));
    found.push([value, places > 5 ? value.toExponential(2) : value.toFixed(places)]);
  }
  return found;
}

function running(points) {
  const half = Math.max(2, Math.round(points.length / 40));
  return points.map(([x], at) => {
    const part = points.slice(Math.max(0, at - half), at + half + 1);
    return [x, part.reduce((sum, [, y]) => sum + y, 0) / part.length];
  });
}

function path(points, x, y) {
  return points.map(([a, b], at) => `${at ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
}

// lines: [{ run, points }]
function chart(title, lines) {
  const all = lines.flatMap((line) => line.points);
  const xs = all.map(([x]) => x), ys = all.map(([, y]) => y);
  let [low, high] = [Math.min(...ys), Math.max(...ys)];
  const flat = high - low < 1e-9 * Math.max(1, Math.abs(high)), only = low;
  if (flat) [low, high] = [low - 0.5, high + 0.5];
  const [from, to] = [Math.min(...xs), Math.max(...xs)];
  // one value needs one label: a share has no values below 0 or above 1 to name
  const rows = flat ? [[only, number(only)]] : ticks(low, high, 5);
  const left = Math.max(LEFT, 8 + LETTER * Math.max(...rows.map(([, text]) => text.length)));
  const x = (v) => left + (v - from) / (to - from || 1) * (WIDE - left - RIGHT);
  const y = (v) => HIGH - BELOW - (v - low) / (high - low) * (HIGH - BELOW - ABOVE);
  const ends = lines.map(({ run, points }) =>
    `run ${run + 1}: ${number(points[0][1])} to ${number(points[points.length - 1][1])}`);
  const svg = s("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img",
    "aria-label": `${title} over steps ${from} to ${to}; ${ends.join("; ")}` });
  for (const [v, text] of rows) {
    svg.append(s("line", { class: "grid", x1: left, x2: WIDE - RIGHT, y1: y(v), y2: y(v) }),
      s("text", { x: left - 5, y: y(v) + 4, "text-anchor": "end" }, text));
  }
  for (const [v] of ticks(from, to === from ? from + 1 : to, 5)) {
    if (!Number.isInteger(v)) continue;
    svg.append(s("text", { x: x(v), y: HIGH - 6, "text-anchor": x(v) > WIDE - 20 ? "end" : "middle" }, String(v)));
  }
  for (const { run, points } of lines) {
    const smooth = points.length > SMOOTH_FROM;
    svg.append(s("path", { class: `line c${run % 6}${smooth ? " faint" : ""}`, d: path(points, x, y) }));
    if (smooth) svg.append(s("path", { class: `line c${run % 6}`, d: path(running(points), x, y) }));
  }
  return h("figure", { className: "chart" }, h("figcaption", {}, title), svg);
}

function linesOf(runs, phase, name) {
  return runs.map((each, run) => ({ run, points: each.curves[phase][name] }))
    .filter((line) => line.points);
}

function curves(section, runs) {
  let any = false;
  for (const phase of ["sft", "grpo"]) {
    const names = [...new Set(runs.flatMap((each) => Object.keys(each.curves[phase])))].sort();
    if (!names.length) continue;
    any = true;
    const first = [...FIRST, ...names.filter((name) => name.startsWith("reward/"))]
      .filter((name) => names.includes(name));
    const charts = h("div", { className: "charts" },
      first.map((name) => chart(name, linesOf(runs, phase, name))));
    const others = names.filter((name) => !first.includes(name));
    const more = h("select", { id: `more-${phase}`, onchange: () => {
      if (more.value) charts.append(chart(more.value, linesOf(runs, phase, more.value)));
      more.selectedOptions[0].remove();
    } }, h("option", { value: "" }, `${others.length} more`),
    others.map((name) => h("option", { value: name }, name)));
    section.append(h("h3", {}, phase.toUpperCase()), charts,
      h("p", {}, h("label", { htmlFor: more.id }, "Add a curve "), more));
  }
  section.append(h("p", { className: "faint" }, any
    ? "x: optimizer step. Above 40 points, the strong line is a running mean of the faint one."
    : "No phase has logged two steps yet."));
}
