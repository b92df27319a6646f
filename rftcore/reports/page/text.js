"use strict";
// Elements, and text that a model wrote: always text, never markup.

const TOO_LONG = 20000; // characters of a text that are shown at first
const TOO_MANY = 2000; // marks in a text that are elements of their own
const NAMES = {
  "\u200b": "zero-width space", "\u200e": "left-to-right mark", "\u200f": "right-to-left mark",
  "\u061c": "Arabic letter mark", "\u202a": "left-to-right embedding",
  "\u202b": "right-to-left embedding", "\u202c": "end of embedding or override",
  "\u202d": "left-to-right override", "\u202e": "right-to-left override",
  "\u2066": "left-to-right isolate", "\u2067": "right-to-left isolate",
  "\u2068": "first strong isolate", "\u2069": "end of isolate", "\u2028": "line separator",
  "\u2029": "paragraph separator", "\ufeff": "byte order mark", "\u00ad": "soft hyphen",
};
// Characters without a shape, or that move others: all of these but tab, line end and the two
// joiners that scripts and emoji need.
const UNSEEN = /([\p{Cc}\p{Cf}\p{Cs}\u2028\u2029])\1*/gu;
const PLAIN = new Set(["\n", "\t", "\u200c", "\u200d"]);

function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function codeOf(character) {
  return "U+" + character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
}

// The nodes of a text, in which each unseen character is a visible mark.
function shown(text) {
  const nodes = [];
  let end = 0;
  let marks = 0;
  for (const found of text.matchAll(UNSEEN)) {
    const character = found[1];
    if (PLAIN.has(character)) continue;
    nodes.push(text.slice(end, found.index));
    end = found.index + found[0].length;
    const count = found[0].length / character.length;
    const label = codeOf(character) + (count > 1 ? ` \u00d7 ${count}` : "");
    marks += 1;
    nodes.push(marks > TOO_MANY ? `[${label}]` : h("span",
      { className: "mark", title: NAMES[character] || "unseen character" }, label));
  }
  nodes.push(text.slice(end));
  return nodes;
}

function inline(text) {
  return h("span", { className: "untrusted", dir: "auto" }, shown(String(text)));
}

// A block of text; a long one is cut until a button shows the rest.
function block(text, label) {
  const whole = String(text);
  const box = h("pre", { className: "untrusted", dir: "auto", tabIndex: 0, "aria-label": label });
  if (whole === "") box.append(h("span", { className: "faint" }, "(empty)"));
  if (whole.length <= TOO_LONG) {
    box.append(...shown(whole));
    return box;
  }
  box.append(...shown(whole.slice(0, TOO_LONG)));
  const more = h("button", { type: "button", onclick: () => {
    box.replaceChildren(...shown(whole));
    more.remove();
  } }, `Show all ${whole.length.toLocaleString("en")} characters`);
  return h("div", {}, box, more);
}

function number(value, digits) {
  if (value === null || value === undefined) return "\u2014";
  if (Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(digits || 4)));
}

function percent(value) {
  return value === null || value === undefined ? "\u2014" : (100 * value).toFixed(1);
}

// wraps: whether the last column is text of any length.
function table(caption, head, rows, wraps) {
  const cells = (row) => row.map((cell, at) => at
    ? h("td", { className: at === row.length - 1 && wraps ? "wrap" : "" }, cell)
    : h("th", { scope: "row" }, cell));
  return h("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, head.map((cell) => h("th", { scope: "col" }, cell)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, cells(row))))));
}
