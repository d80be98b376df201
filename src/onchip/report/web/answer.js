// The choice and its result in a sentence.

const listed = (items, last = "and") =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} ${last} ${items.at(-1)}`;
const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function conditions(group, state, phrases) {
  const claims = state.claims.map((claim) => phrases.get(claim));
  const limits = state.limits.map(({ column, sign, value }) => {
    const head = group.heads.get(column);
    return `with ${head?.noun ?? column} of at ${sign === "<=" ? "most" : "least"} ${short(value)}${head?.unit ?? ""}`;
  });
  const words = state.words.trim() ? [`named “${state.words.trim()}”`] : [];
  return listed([...claims, ...limits, ...words]);
}

function answer(group, state, chosen, phrases) {
  const { x, y, shown, points, front, unknown } = chosen;
  const which = conditions(group, state, phrases);
  const all = plural(group.rules.length, "rule");
  const say = [];
  const strong = (text) => Object.assign(document.createElement("strong"), { textContent: text });
  if (!shown.length) {
    say.push(`There are no rules ${which} among these ${all}.`);
  } else if (!x || !y) {
    say.push(`No run here has a number for ${!y ? "the upward" : "the other"} axis.`);
  } else if (!points.length) {
    say.push(`${plural(shown.length, "rule")} ${which}: none has both numbers.`);
  } else {
    const up = y.better === "high" ? 1 : -1;
    const ranked = [...points].sort((a, b) => up * (b.y.mean - a.y.mean));
    const [best] = ranked;
    const equal = ranked.filter((point) => point.y.mean === best.y.mean);
    const names = listed(equal.map((point) => point.rule.label));
    if (points.length === 1) {
      say.push(`The only rule ${which || "with both numbers"}`, " is ", strong(names), `: ${y.noun} `);
    } else {
      const have = equal.length > 1 ? "have" : "has";
      say.push(`Of the ${plural(points.length, "rule")} ${which}`.trim(), ", ", strong(names));
      say.push(` ${have} the ${y.better}est ${y.noun}: `);
    }
    const texts = new Set(equal.map((point) => `${point.y.text}${y.unit}`)); // equal means may spread differently
    say.push(strong(listed([...texts])), ` over ${plural(best.y.values.length, "seed")}.`);
    const near = ranked.filter(
      (point) => !equal.includes(point) && Math.abs(point.y.mean - best.y.mean) <= best.y.deviation
    );
    if (near.length) {
      say.push(` Within its standard deviation: ${listed(near.map(({ rule, y }) => `${rule.label} (${y.text})`))}.`);
    }
    say.push(` On the Pareto front of ${y.noun} and ${x.noun}: `, strong(listed(front.map((point) => point.rule.label))), ".");
    if (points.length < shown.length) {
      say.push(` ${plural(shown.length - points.length, "rule")} without both numbers left out.`);
    }
  }
  if (unknown) say.push(` What ${plural(unknown, "rule")} claim${unknown === 1 ? "s" : ""} is not known.`);
  const place = group.section.querySelector(".answer");
  const text = say.map((piece) => piece.textContent ?? piece).join("");
  if (place.textContent !== text) place.replaceChildren(...say);
}
