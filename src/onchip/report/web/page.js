// Controls, tables and plots follow one choice; tooltips show a rule's numbers and options.

const form = document.getElementById("choice");
const field = (name) => document.getElementById(name);
const boxes = (name) => [...form.querySelectorAll(`input[name="${name}"]`)];
const valuesOf = (options) => new Set([...options].map((option) => option.value));
const groups = [...document.querySelectorAll("section.group")].map(readGroup);
const phrases = new Map(boxes("claim").map((box) => [box.value, box.dataset.phrase]));
const titles = new Map(boxes("claim").map((box) => [box.value, box.dataset.title]));
const checked = (name) => boxes(name).filter((box) => box.checked).map((box) => box.value);
const known = {
  axes: valuesOf(field("x").options),
  scales: valuesOf(field("scale").options),
  columns: new Set(["rule", ...boxes("column").map((box) => box.value)]),
  claims: new Set(phrases.keys()),
};
const usual = {
  x: field("x").value, y: field("y").value, scale: "", words: "", sort: "",
  columns: checked("column"), claims: [], limits: [],
};
let state = usual;

function show(unknown = []) {
  for (const name of ["x", "y", "scale"]) field(name).value = state[name];
  if (field("words").value !== state.words) field("words").value = state.words;
  for (const box of boxes("column")) box.checked = state.columns.includes(box.value);
  for (const box of boxes("claim")) box.checked = state.claims.includes(box.value);
  showLimits();
  const width = onPaper ? PAPER : groups[0].section.clientWidth; // of all plots, asked for before anything changes
  let [rules, left] = [0, 0];
  for (const group of groups) {
    const chosen = choose(group, state);
    rules += group.rules.length;
    left += chosen.shown.length;
    showTable(group, chosen, state);
    answer(group, state, chosen, phrases);
    drawPlot(group, state, chosen, width, (...where) => showTip(group, state, titles, ...where));
  }
  const missing = unknown.length ? ` The address names what this page does not have: ${unknown.join(", ")}.` : "";
  field("found").textContent = (left < rules ? `${left} of ${rules} rules are shown.` : "") + missing;
  const address = writeState(state, usual);
  field("link").href = `#${address}`;
  return address;
}

function change(part) {
  state = { ...state, ...part };
  const address = show();
  history.replaceState(null, "", address ? `#${address}` : location.pathname + location.search);
}

function showLimits() {
  const items = state.limits.map((limit) => {
    const option = [...field("limited").options].find(({ value }) => value === limit.column);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `${option.text} ${limit.sign === "<=" ? "≤" : "≥"} ${short(limit.value)} ×`;
    button.setAttribute("aria-label", `Remove the limit ${button.textContent.slice(0, -2)}`);
    button.addEventListener("click", () => {
      change({ limits: state.limits.filter((other) => other !== limit) });
      field("amount").focus();
    });
    const item = document.createElement("li");
    item.append(button);
    return item;
  });
  field("limits").replaceChildren(...items);
}

function addLimit() {
  const [amount, column, sign] = [field("amount"), field("limited").value, field("sign").value];
  const value = parseAmount(amount.value);
  amount.setAttribute("aria-invalid", value === null);
  field("wrong").textContent = value === null ? `“${amount.value}” is no amount; expected one such as 500k or 1 MB.` : "";
  if (value === null) return amount.focus();
  amount.value = "";
  const others = state.limits.filter((limit) => limit.column !== column || limit.sign !== sign);
  change({ limits: [...others, { column, sign, value }] });
}

form.hidden = false;
form.addEventListener("submit", (event) => (event.preventDefault(), addLimit()));
form.addEventListener("reset", (event) => (event.preventDefault(), change(usual)));
for (const name of ["x", "y", "scale"]) field(name).addEventListener("change", (event) => change({ [name]: event.target.value }));
field("words").addEventListener("input", (event) => change({ words: event.target.value }));
for (const [name, key] of [["column", "columns"], ["claim", "claims"]]) {
  for (const box of boxes(name)) box.addEventListener("change", () => change({ [key]: checked(name) }));
}
for (const { heads } of groups) {
  for (const { cell, column, kind } of heads.values()) {
    cell.querySelector("button").addEventListener("click", () => {
      const first = kind === "number" ? "-" : "+";
      const other = first === "-" ? "+" : "-";
      change({ sort: state.sort === first + column ? other + column : first + column });
    });
  }
}
// A link to a group is followed without losing the choice, which is in the address, too.
for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    document.querySelector(link.getAttribute("href")).scrollIntoView();
  });
}
const fromAddress = () => {
  const [read, unknown] = readState(location.hash.slice(1), usual, known);
  state = read;
  show(unknown);
};
addEventListener("hashchange", fromAddress);
fromAddress();
let wide = innerWidth;
addEventListener("resize", () => wide !== innerWidth && ((wide = innerWidth), show()));
for (const [event, is] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(event, () => ((onPaper = is), show()));
}
