"use strict";

// Tables sort by the column whose head is pressed: numbers first from high to low, text from a to z; then reversed.
// What has no value stays last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const rows = [...table.tBodies[0].rows];
      const keys = new Map(rows.map((row) => [row, row.cells[column].dataset.value]));
      const numeric = head.dataset.kind === "number";
      const before = head.getAttribute("aria-sort");
      const rising = before ? before === "descending" : !numeric;
      rows.sort((a, b) => {
        const [x, y] = [keys.get(a), keys.get(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = numeric ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
        return rising ? order : -order;
      });
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      table.tBodies[0].append(...rows);
    });
  });
}

// The filter hides the rules, and their runs, that do not hold every word.
const filter = document.getElementById("filter");
const found = document.getElementById("found");
const filtered = [...document.querySelectorAll("[data-text]")];
const rules = filtered.filter((element) => element.matches("tr"));
function show() {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const element of filtered) {
    const text = element.dataset.text.toLowerCase();
    element.hidden = !words.every((word) => text.includes(word));
  }
  const left = rules.filter((row) => !row.hidden).length;
  found.textContent = words.length ? `${left} of ${rules.length} rules` : "";
}
filter.addEventListener("input", show);
show();

// On paper nothing can be opened.
const closed = [];
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    details.open = true;
    closed.push(details);
  }
});
addEventListener("afterprint", () => {
  while (closed.length) closed.pop().open = false;
});
