"use strict";
// Put the page together; keys; the address of a row.

function main() {
  const data = JSON.parse(document.getElementById("data").textContent);
  let images = null;
  const lazily = () => images || (images = JSON.parse(document.getElementById("images").textContent));
  const section = (id) => document.getElementById(id);
  runs(section("runs"), data);
  accuracy(section("table"), data);
  findings(section("findings"), data);
  curves(section("curves"), data.runs);
  browser(section("answers"), data, lazily);
  document.documentElement.dataset.ready = String(data.rows.length);
}

function browser(section, data, images) {
  let answers = null;
  const detail = new Detail(data, images, () => answers);
  answers = new Answers(section, data, (row, at, count) => {
    detail.show(row, at, count);
    if (row && answers && answers.settled) {
      history.replaceState(null, "", `#row=${data.rows.indexOf(row) + 1}`);
    }
  });
  section.append(
    h("p", { className: "hint" }, "Keys: ", h("kbd", {}, "j"), " or ", h("kbd", {}, "\u2192"), " next, ",
      h("kbd", {}, "k"), " or ", h("kbd", {}, "\u2190"), " previous, ", h("kbd", {}, "/"), " search, ",
      h("kbd", {}, "Esc"), " leaves a field. The address names the row that is shown."),
    h("div", { className: "browser" }, answers.list, detail.box));
  const wanted = /^#row=(\d+)$/.exec(location.hash);
  const row = wanted ? data.rows[Number(wanted[1]) - 1] : undefined;
  if (row) {
    answers.open(row);
    detail.box.scrollIntoView();
  } else answers.update();
  answers.settled = true;
  document.addEventListener("keydown", (event) => keys(event, answers));
}

function keys(event, answers) {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const scrolls = event.target.closest(".scroll");
  const step = { j: 1, k: -1, ArrowRight: scrolls ? 0 : 1, ArrowLeft: scrolls ? 0 : -1 }[event.key];
  if (step) answers.move(step);
  else if (event.key === "/") {
    answers.form.querySelector("details").open = true;
    document.getElementById("search").focus();
  }
  else return;
  event.preventDefault();
}

main();
