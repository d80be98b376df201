// Boxes to tick above a table of rules: it then shows the rows that say "yes" in every column that is ticked.
for (const part of document.querySelectorAll(".filterable")) {
  const table = part.querySelector("table");
  if (!table) continue;
  const rows = [...table.tBodies[0].rows];
  const heads = [...table.tHead.rows[0].cells];
  const box = document.createElement("fieldset");
  box.className = "filters";
  const legend = document.createElement("legend");
  legend.textContent = "Show rules with all of";
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  const ticked = new Set();
  const update = () => {
    let shown = 0;
    for (const row of rows) {
      row.hidden = [...ticked].some((column) => row.cells[column].textContent.trim() !== "yes");
      shown += row.hidden ? 0 : 1;
    }
    said.textContent = `${shown} of ${rows.length} rules`;
  };
  box.append(legend);
  heads.forEach((head, column) => {
    if (!rows.some((row) => ["yes", "no"].includes(row.cells[column].textContent.trim()))) return;
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "checkbox";
    input.addEventListener("change", () => {
      if (input.checked) ticked.add(column);
      else ticked.delete(column);
      update();
    });
    label.append(input, head.textContent);
    box.append(label);
  });
  part.prepend(box, said);
  update();
}
