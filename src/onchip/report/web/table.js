// Rows and columns of a table, as they were chosen.

function showTable({ section, table, heads, rules }, { shown, front }, state) {
  const seen = new Set(state.columns);
  const best = new Set(front.map((point) => point.rule));
  const hidden = [...heads.values()].map(({ column }) => column !== "rule" && !seen.has(column));
  const rows = [table.tHead.rows[0], ...rules.map((rule) => rule.row)];
  for (const row of rows) hidden.forEach((is, place) => (row.cells[place].hidden = is));
  for (const rule of rules) {
    rule.row.hidden = !shown.includes(rule);
    rule.row.classList.toggle("best", best.has(rule));
    rule.row.cells[heads.get("front").place].textContent = best.has(rule) ? "yes" : "";
  }
  for (const line of section.querySelectorAll(".unpriced")) {
    line.hidden = ![...seen, state.x, state.y].includes(line.dataset.column);
  }
  const names = new Set(shown.map((rule) => rule.label));
  for (const run of section.querySelectorAll("details[data-text]")) run.hidden = !names.has(run.dataset.text);
  const marks = new Set(shown.map((rule) => rule.row.dataset.rule));
  for (const other of section.querySelectorAll("li[data-rule], .figures [data-rule]")) {
    other.toggleAttribute("hidden", !marks.has(other.dataset.rule));
  }
  sortRows(table, heads, rules, state.sort);
}

// Numbers from high to low first, text from a to z; then reversed. What has no value stays last.
function sortRows(table, heads, rules, sort) {
  const [rising, name] = [sort[0] === "+", sort.slice(1)];
  for (const { cell, column } of heads.values()) {
    if (column === name) cell.setAttribute("aria-sort", rising ? "ascending" : "descending");
    else cell.removeAttribute("aria-sort");
  }
  const head = heads.get(name);
  const key = ({ row }) => {
    const cell = row.cells[head.place];
    if (name === "rule") return row.dataset.text;
    return head.kind === "number" ? cell.dataset.mean ?? "" : cell.textContent;
  };
  const compare = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = head.kind === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
    return rising ? order : -order;
  };
  const sorted = head ? [...rules].sort(compare) : rules;
  table.tBodies[0].append(...sorted.map((rule) => rule.row));
}
