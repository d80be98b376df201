// The rules of each table with their numbers, which of them are shown, and which of these are on the front.

function readGroup(section) {
  const table = section.querySelector("table");
  const heads = new Map();
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    heads.set(cell.dataset.column, { cell, place, ...cell.dataset });
  });
  const rules = [...table.tBodies[0].rows].map((row) => {
    const { text, claims, options } = row.dataset;
    const mark = row.querySelector("path");
    const looks = { outline: mark.getAttribute("d"), color: mark.getAttribute("fill") };
    return { row, label: text, claims: claims === undefined ? null : new Set(claims.split(" ").filter(Boolean)), options, looks };
  });
  return { section, table, heads, rules };
}

// A rule's numbers in a column: mean, standard deviation (NaN for one seed), and those of the seeds; null without any.
function numbers(group, rule, column) {
  const head = group.heads.get(column);
  const cell = head && rule.row.cells[head.place];
  if (!cell?.dataset.mean) return null;
  const { mean, deviation, seeds } = cell.dataset;
  const values = seeds.split(" ").map(Number);
  return { text: cell.textContent, mean: Number(mean), deviation: deviation ? Number(deviation) : NaN, values };
}

// Why a rule is not shown: "words", "claims", "unknown" (it is not known what it claims), "limit"; null if it is.
function hiddenBy(group, rule, state) {
  const text = rule.label.toLowerCase();
  if (!state.words.toLowerCase().split(/\s+/).every((word) => text.includes(word))) return "words";
  if (state.claims.length && rule.claims === null) return "unknown";
  if (!state.claims.every((claim) => rule.claims.has(claim))) return "claims";
  const within = ({ column, sign, value }) => {
    const found = numbers(group, rule, column);
    return found !== null && (sign === "<=" ? found.mean <= value : found.mean >= value);
  };
  return state.limits.every(within) ? null : "limit";
}

// The points that no other dominates: none is as good in both and better in one. Equal points stand or fall together.
function frontOf(points, x, y) {
  const [across, up] = [x.better === "high" ? -1 : 1, y.better === "high" ? 1 : -1];
  const sorted = [...points].sort((a, b) => across * (a.x.mean - b.x.mean) || up * (b.y.mean - a.y.mean));
  const front = [];
  for (const point of sorted) {
    const last = front.at(-1);
    const equal = last && last.x.mean === point.x.mean && last.y.mean === point.y.mean;
    if (!last || equal || up * (point.y.mean - last.y.mean) > 0) front.push(point);
  }
  return front;
}

// All that follows from a choice for one group.
function choose(group, state) {
  const [x, y] = [group.heads.get(state.x), group.heads.get(state.y)];
  const reasons = group.rules.map((rule) => hiddenBy(group, rule, state));
  const shown = group.rules.filter((_, place) => reasons[place] === null);
  const points = shown
    .map((rule) => ({ rule, x: numbers(group, rule, state.x), y: numbers(group, rule, state.y) }))
    .filter((point) => point.x && point.y);
  const front = x && y ? frontOf(points, x, y) : [];
  return { x, y, shown, points, front, unknown: reasons.filter((reason) => reason === "unknown").length };
}
