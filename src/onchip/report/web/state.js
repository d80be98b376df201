// What the reader has chosen, and its place in the address: only what differs from the page as it opens is written.

const LISTS = { columns: "column", claims: "claim", limits: "limit" };
const WORDS = ["x", "y", "scale", "words", "sort"];

function writeState(state, usual) {
  const address = new URLSearchParams();
  for (const key of WORDS) {
    if (state[key] !== usual[key]) address.set(key, state[key]);
  }
  for (const [key, name] of Object.entries(LISTS)) {
    const items = key === "limits" ? state.limits.map((limit) => limit.column + limit.sign + limit.value) : state[key];
    if (items.join("\n") === usual[key].join("\n")) continue;
    for (const item of items.length ? items : [""]) address.append(name, item);
  }
  return address.toString();
}

// Names that the page does not have are left out, and returned beside the state.
function readState(text, usual, known) {
  const address = new URLSearchParams(text);
  const unknown = [];
  const isKnown = (name, names) => names.has(name) || (unknown.push(name), false);
  const state = { ...usual };
  for (const key of WORDS) {
    if (address.has(key)) state[key] = address.get(key);
  }
  for (const axis of ["x", "y"]) {
    if (!isKnown(state[axis], known.axes)) state[axis] = usual[axis];
  }
  if (!known.scales.has(state.scale)) state.scale = usual.scale;
  if (state.sort && !isKnown(state.sort.slice(1), known.columns)) state.sort = usual.sort;
  const items = (name) => address.getAll(name).filter(Boolean);
  if (address.has("column")) state.columns = items("column").filter((name) => isKnown(name, known.columns));
  state.claims = items("claim").filter((name) => isKnown(name, known.claims));
  state.limits = items("limit").flatMap((item) => {
    const [, column, sign, number] = item.match(/^(.+)(<=|>=)(.+)$/s) ?? [];
    const value = Number(number);
    return column !== undefined && Number.isFinite(value) && isKnown(column, known.axes) ? [{ column, sign, value }] : [];
  });
  return [state, unknown];
}

// "1 MB", "1M", "2.5k", "1e6" -> a number; null if it is none.
function parseAmount(text) {
  const [, number, unit] = text.trim().match(/^([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*([kMG]?)\S*$/i) ?? [];
  return number === undefined ? null : Number(number) * { "": 1, k: 1e3, m: 1e6, g: 1e9 }[unit.toLowerCase()];
}

// Four digits, with k, M, G for 10^3, 10^6, 10^9, as in the tables.
function short(value) {
  const [unit, name] = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]].find(
    ([size]) => size === 1 || Math.abs(value) >= size * 0.99995
  );
  return Number((value / unit).toPrecision(4)) + name;
}
