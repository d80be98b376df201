// What is shown of the rule under the pointer or with the focus: its numbers, its options and claims.

const made = (tag, textContent) => Object.assign(document.createElement(tag), { textContent });

function showTip({ section, heads, rules }, state, titles, point, placed, width) {
  const tip = section.querySelector(".tip");
  tip.hidden = point === null;
  for (const rule of rules) rule.row.classList.toggle("lit", rule === point?.rule);
  if (point === null) return;
  const { row, label, options, claims } = point.rule;
  const list = document.createElement("dl");
  for (const column of new Set([state.y, state.x, ...state.columns])) {
    const head = heads.get(column);
    const text = head && row.cells[head.place].textContent;
    if (text && text !== "-") list.append(made("dt", head.cell.textContent), made("dd", text));
  }
  const here = placed.filter((p) => p !== point && Math.hypot(p.left - point.left, p.top - point.top) < RING);
  const lines = [
    options ? `Options: ${options}.` : "",
    claims === null ? "What it claims is not known." : "",
    claims?.size ? `Claims: ${listed([...claims].map((claim) => titles.get(claim) ?? claim))}.` : "",
    here.length ? `At the same place: ${listed(here.map((p) => p.rule.label))}.` : "",
  ];
  tip.replaceChildren(made("strong", label), list, ...lines.filter(Boolean).map((line) => made("p", line)));
  const room = Math.max(0, width - tip.offsetWidth);
  const left = point.left > width / 2 ? point.left - 16 - tip.offsetWidth : point.left + 16;
  tip.style.left = `${Math.max(0, Math.min(left, room))}px`;
  const plot = section.querySelector(".plot svg").getBoundingClientRect();
  const top = plot.top - section.querySelector(".stage").getBoundingClientRect().top + point.top;
  tip.style.top = `${point.top < plot.height / 2 ? top + 12 : top - 12 - tip.offsetHeight}px`;
}
