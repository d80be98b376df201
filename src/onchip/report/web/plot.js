// One mark a rule: a ring at the mean, bars of one standard deviation, a dot for each seed, and the front.

let onPaper = false;
const PAPER = 640; // pixels across a printed plot, at the size of the text around it
const MARGIN = { left: 58, right: 22, top: 14, bottom: 30 };
const [RING, WIDER, NEAR, WIDE] = [7, 3, 24, 30]; // pixels; WIDE: costs so many times apart get a logarithmic axis

function scaleOf(found, percent, choice, range) {
  const ends = found.flatMap(({ mean, deviation, values }) => {
    const spread = Number.isNaN(deviation) ? 0 : deviation;
    return [...values, mean - (percent ? spread : 0), mean + spread];
  });
  const [least, most] = d3.extent(ends);
  const positive = d3.min(ends.filter((value) => value > 0)) ?? 1;
  const far = !percent && most > WIDE * positive;
  if (least >= 0 && (choice === "log" || (choice === "" && far))) {
    const decade = 10 ** Math.floor(Math.log10(positive));
    const decades = d3.range(Math.floor(Math.log10(positive)), Math.log10(most || 1) + 1e-9);
    const ticks = decades.map((power) => Number(`1e${power}`)).filter((_, n) => n % Math.ceil(decades.length / 6) === 0);
    if (least > 0) return [d3.scaleLog([positive / 1.6, most * 1.6], range), most < 12 * positive ? null : ticks];
    return [d3.scaleSymlog([-0.25 * decade, (most || 1) * 1.6], range).constant(decade), [0, ...ticks]];
  }
  const room = 0.08 * (most - least) || Math.abs(most) * 0.05 || 1;
  const from = percent || least < 0 ? least - room : -0.04 * (most || 1);
  return [d3.scaleLinear([from, most + room], range), null];
}

function drawAxes(svg, [x, xTicks], [y, yTicks], { width, height }) {
  const few = Math.max(2, Math.round(width / 110));
  const axes = [
    ["across", d3.axisBottom(x), xTicks, few, -(height - MARGIN.top - MARGIN.bottom), [0, height - MARGIN.bottom]],
    ["up", d3.axisLeft(y), yTicks, 6, -(width - MARGIN.left - MARGIN.right), [MARGIN.left, 0]],
  ];
  for (const [name, axis, ticks, number, grid, place] of axes) {
    axis.tickFormat(short).tickSizeInner(grid).tickSizeOuter(0).tickPadding(8);
    if (ticks) axis.tickValues(ticks);
    else axis.ticks(number);
    const drawn = svg.selectAll(`g.${name}`).data([0]).join("g").attr("class", `axis ${name}`);
    drawn.attr("aria-hidden", "true").attr("transform", `translate(${place})`).call(axis);
    drawn.attr("font-size", null).attr("font-family", null);
  }
}

function drawPlot(group, state, chosen, width, onShow) {
  const figure = group.section.querySelector(".plot");
  const { x, y, points, front } = chosen;
  figure.hidden = !points.length;
  group.section.querySelector(".tip").hidden = true;
  if (!points.length) return;
  const height = Math.round(Math.max(260, Math.min(440, 0.6 * width)));
  figure.querySelector(".up-label").textContent = `↑ ${y.noun}${y.unit && ` [${y.unit.trim()}]`}`;
  figure.querySelector(".across-label").textContent = `${x.noun}${x.unit && ` [${x.unit.trim()}]`} →`;
  const svg = d3.select(figure).select("svg").attr("viewBox", [0, 0, width, height]);
  svg.attr("aria-label", `${y.noun} against ${x.noun}, ${plural(points.length, "rule")}. Arrow keys go from rule to rule.`);
  const across = scaleOf(points.map((p) => p.x), "percent" in x, state.scale, [MARGIN.left, width - MARGIN.right]);
  const up = scaleOf(points.map((p) => p.y), "percent" in y, state.scale, [height - MARGIN.bottom, MARGIN.top]);
  drawAxes(svg, across, up, { width, height });
  const placed = [];
  for (const point of d3.sort(points, (p) => p.x.mean, (p) => -p.y.mean)) {
    const [left, top] = [across[0](point.x.mean), up[0](point.y.mean)];
    const taken = placed.filter((other) => Math.hypot(other.left - left, other.top - top) < RING);
    const ring = RING + WIDER * taken.length; // nothing is moved from its place: a ring around another one is wider
    placed.push({ ...point, left, top, ring, isBest: front.includes(point) });
  }
  const step = d3.line((p) => across[0](p.x.mean), (p) => up[0](p.y.mean));
  step.curve(x.better === "high" ? d3.curveStepBefore : d3.curveStepAfter);
  const line = svg.selectAll("path.front").data([d3.sort(front, (p) => p.x.mean)]).join("path");
  line.attr("class", "front").attr("aria-hidden", "true").attr("d", step);
  const marks = svg.selectAll("g.mark").data(placed, (p) => p.rule.label).join("g").order();
  marks.attr("class", (p) => `mark${p.isBest ? " best" : ""}`).attr("role", "img");
  marks.attr("aria-label", (p) => describe(p, x, y)).each(function (point) {
    drawMark(d3.select(this), point, across[0], up[0]);
  });
  nameBest(svg, placed.filter((p) => p.isBest), width);
  const nodes = marks.nodes();
  const current = nodes.includes(document.activeElement) ? document.activeElement : nodes[0];
  marks.attr("tabindex", (_, place) => (nodes[place] === current ? 0 : -1));
  listen(svg, nodes, placed, width, onShow);
}

const described = (found, head) => `${head.noun} ${found.text}${head.unit}`;

function describe(point, x, y) {
  const best = point.isBest ? ", on the Pareto front" : "";
  return `${point.rule.label}: ${described(point.y, y)}, ${described(point.x, x)}${best}`;
}

function drawMark(mark, { rule, x, y, left, top, ring }, across, up) {
  mark.selectAll("*").remove();
  mark.style("color", rule.looks.color);
  mark.append("circle").attr("class", "halo").attr("cx", left).attr("cy", top).attr("r", ring + 6);
  if (y.deviation > 0) {
    const [from, to] = [up(y.mean - y.deviation), up(y.mean + y.deviation)];
    mark.append("path").attr("class", "bar").attr("d", `M${left} ${from}V${to}M${left - 4} ${from}h8M${left - 4} ${to}h8`);
  }
  if (x.deviation > 0) {
    const ends = [x.mean - x.deviation, x.mean + x.deviation].map((end) => Math.max(MARGIN.left, across(end) || 0));
    mark.append("path").attr("class", "bar").attr("d", `M${ends[0]} ${top}H${ends[1]}`);
  }
  if (x.values.length === y.values.length) {
    const dots = mark.selectAll("circle.seed").data(d3.zip(x.values, y.values)).join("circle").attr("class", "seed");
    dots.attr("cx", (p) => across(p[0])).attr("cy", (p) => up(p[1])).attr("r", 1.8);
  }
  const shape = mark.append("path").attr("class", "ring").attr("d", rule.looks.outline);
  shape.attr("transform", `translate(${left} ${top}) scale(${2 * ring})`).attr("stroke-width", 1.6 / (2 * ring));
}

// Names beside the marks of the front, those at one place together, as far as they do not cover one another.
function nameBest(svg, best, width) {
  const places = [];
  for (const point of best) {
    const same = places.find((other) => Math.hypot(other.left - point.left, other.top - point.top) < RING);
    if (same) Object.assign(same, { text: `${same.text}, ${point.rule.label}`, ring: Math.max(same.ring, point.ring) });
    else places.push({ left: point.left, top: point.top, ring: point.ring, text: point.rule.label });
  }
  const boxes = [];
  const names = places.flatMap(({ text: whole, left, top, ring }) => {
    const text = whole.length > 26 ? `${whole.slice(0, 25)}…` : whole;
    const long = 7 * text.length;
    const onRight = left + ring + 4 + long < width - 4;
    const from = onRight ? left + ring + 4 : left - ring - 4 - long;
    const covers = (box) => Math.abs(box.top - top) < 14 && box.from < from + long && from < box.to;
    if (from < 0 || boxes.some(covers)) return [];
    boxes.push({ from, to: from + long, top });
    return [{ text, top: top + 4, left: onRight ? from : from + long, anchor: onRight ? "start" : "end" }];
  });
  const drawn = svg.selectAll("text.name").data(names).join("text").attr("class", "name").attr("aria-hidden", "true");
  drawn.attr("x", (n) => n.left).attr("y", (n) => n.top).attr("text-anchor", (n) => n.anchor).text((n) => n.text).raise();
}

// The nearest mark to a pointer, or the one with the focus, is shown in words; arrow keys go from mark to mark.
function listen(svg, nodes, placed, width, onShow) {
  const show = (place) => onShow(place === null ? null : placed[place], placed, width);
  svg.on("pointermove pointerdown", (event) => {
    const [left, top] = d3.pointer(event);
    const distance = (p) => Math.hypot(p.left - left, p.top - top);
    const place = d3.minIndex(placed, distance);
    show(distance(placed[place]) < NEAR ? place : null);
  });
  svg.on("pointerleave", () => show(nodes.includes(document.activeElement) ? nodes.indexOf(document.activeElement) : null));
  d3.selectAll(nodes).on("focus", function () {
    nodes.forEach((node) => node.setAttribute("tabindex", node === this ? 0 : -1));
    show(nodes.indexOf(this));
  }).on("blur", () => show(null)).on("keydown", function (event) {
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -nodes.length, End: nodes.length };
    if (event.key === "Escape") show(null);
    if (!(event.key in steps)) return;
    event.preventDefault();
    const place = Math.max(0, Math.min(nodes.length - 1, nodes.indexOf(this) + steps[event.key]));
    nodes[place].focus();
  });
}
