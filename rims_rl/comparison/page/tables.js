// Tables and the settings of runs. They are made once; rows that are not to be seen are hidden.

/** A cell: what is shown, what it is sorted by. */
function cell(content, value = content, isNumber = true) {
  return { content, value: value ?? null, isNumber };
}

const SCORE_COLUMNS = [
  ["Game", (arm) => cell(arm.env, arm.env, false)],
  ["Core", (arm) => cell(marked(arm.core), arm.core, false)],
  ["Seeds", (arm) => cell(number(arm.seeds.length), arm.seeds.length)],
  ["Parameters", (arm) => cell(number(arm.parameters), arm.parameters)],
  ["Steps / s", (arm) => cell(number(arm.steps_per_second), arm.steps_per_second)],
  ["Final", (arm) => estimateCell(arm.final)],
  ["Score", (arm) => cell(number(arm.score), arm.score)],
  ["Best", (arm) => estimateCell(arm.best)],
  ["Mean over training", (arm) => estimateCell(arm.area)],
  ["Steps to threshold", thresholdCell],
];

function estimateCell(numbers) {
  const value = numbers["interquartile mean"];
  const bounds = element("span", { class: "faint" }, interval(numbers.interval));
  return cell(element("span", {}, number(value), bounds), value);
}

/** How many seeds reached the threshold, and the median of when; late is never. */
function thresholdCell({ threshold }) {
  if (!threshold) return cell("–", null);
  const steps = threshold.steps.map((value) => value ?? Infinity);
  const median = quantileOrNever(steps);
  const reached = steps.filter(Number.isFinite).length;
  const when = median === null ? "never" : number(median);
  const goal = element("span", { class: "faint" }, ` ≥ ${number(threshold.return)}`);
  return cell(element("span", {}, `${reached} of ${steps.length}, ${when}`, goal), median);
}

function quantileOrNever(steps) {
  const ordered = [...steps].sort((a, b) => a - b);
  const upper = ordered[Math.floor(ordered.length / 2)];
  const lower = ordered[Math.floor((ordered.length - 1) / 2)];
  return Number.isFinite(upper) ? (lower + upper) / 2 : null;
}

/** The table of scores, without columns that nobody knows anything of. */
function buildScores() {
  const body = element("tbody");
  const columns = SCORE_COLUMNS.filter(([, of]) => data.arms.some((arm) => of(arm).value !== null));
  for (const arm of data.arms) {
    const cells = columns.map(([, of]) => of(arm));
    const row = element("tr", {}, ...cells.map(tableCell));
    row.values = cells.map((c) => c.value);
    row.arm = arm;
    body.append(row);
  }
  const heads = columns.map(([name], column) => {
    const button = element("button", { type: "button" }, name);
    const isNumber = column > 1;
    const head = element("th", { scope: "col", class: isNumber ? "number" : null }, button);
    button.addEventListener("click", () => sortBy(body, head, column, isNumber));
    return head;
  });
  document.querySelector("#scores .box").append(element("table", {},
    element("caption", { class: "unseen" }, "Scores by game and core"),
    element("thead", {}, element("tr", {}, ...heads)), body));
}

function tableCell({ content, isNumber }) {
  return element("td", { class: isNumber ? "number" : null }, content);
}

/** Sorts rows, unknown values last; the same column again turns them around. */
function sortBy(body, head, column, isNumber) {
  const before = head.getAttribute("aria-sort");
  const order = before === null ? (isNumber ? "descending" : "ascending")
    : before === "ascending" ? "descending" : "ascending";
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  body.append(...[...body.rows].sort((a, b) => {
    const [x, y] = [a.values[column], b.values[column]];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (isNumber ? x - y : x.localeCompare(y, "en", { numeric: true }));
  }));
}

function buildPaper() {
  const envs = Object.keys(data.paper);
  document.getElementById("paper").hidden = !envs.length;
  document.getElementById("to-paper").hidden = !envs.length;
  const heads = ["Game", "Paper: LSTM", "Paper: RIMs", ...data.cores, "Paper and ours"];
  const body = element("tbody");
  for (const env of envs) {
    const found = data.paper[env];
    const theirs = ["lstm", "rims"].map((core) =>
      cell(`${number(found[`${core}_ppo`])} ± ${number(found[`${core}_pm`])}`));
    const ours = data.cores.map((core) => cell(number(own(found.ours, core))));
    const cells = [cell(found.game, found.game, false), ...theirs, ...ours,
      cell(found.agreement ?? "–", null, false)];
    const row = element("tr", {}, ...cells.map(tableCell));
    row.env = env;
    body.append(row);
  }
  const row = element("tr", {}, ...heads.map((name, i) => element("th",
    { scope: "col", class: i && i < heads.length - 1 ? "number" : null },
    i > 2 && i < heads.length - 1 ? marked(name) : name)));
  document.querySelector("#paper .box").append(element("table", {},
    element("caption", { class: "unseen" }, "Final returns, the paper's and ours"),
    element("thead", {}, row), body));
}

function buildSettings() {
  const parent = document.querySelector("#settings .games");
  for (const env of data.envs) {
    const ofEnv = data.arms.filter((arm) => arm.env === env);
    const node = element("details", {}, element("summary", {}, env),
      ...differences(ofEnv), ...ofEnv.map(armDetails));
    node.env = env;
    parent.append(node);
  }
}

/** Settings that differ from run to run, whatever is compared. */
const OF_A_RUN = new Set(["seed", "run_dir"]);

/** The settings in which cores of a game differ, side by side. */
function differences(ofEnv) {
  const names = settingNames(ofEnv);
  const text = (arm, name) => settingText(own(arm.settings, name));
  const differing = names.filter((name) =>
    !OF_A_RUN.has(name) && new Set(ofEnv.map((arm) => text(arm, name))).size > 1);
  if (ofEnv.length < 2) return [];
  if (!differing.length) return [element("p", {}, "The cores have the same settings.")];
  const head = element("tr", {}, element("th", { scope: "col" }, "Differs"),
    ...ofEnv.map((arm) => ofCoreCell(element("th", { scope: "col" }, marked(arm.core)), arm)));
  const rows = differing.map((name) => element("tr", {}, element("th", { scope: "row" }, name),
    ...ofEnv.map((arm) => ofCoreCell(element("td", {}, text(arm, name)), arm))));
  return [element("div", { class: "box" }, element("table", {},
    element("thead", {}, head), element("tbody", {}, ...rows)))];
}

function ofCoreCell(node, arm) {
  node.core = arm.core;
  return node;
}

function settingNames(ofEnv) {
  return [...new Set(ofEnv.flatMap((arm) => Object.keys(arm.settings)))].sort();
}

function settingText(value) {
  return value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value);
}

/** All settings of a core in a game, and for each seed its source and command. */
function armDetails(arm) {
  const rows = settingNames([arm]).map((name) => element("tr", {},
    element("th", { scope: "row" }, name), element("td", {}, settingText(arm.settings[name]))));
  const runs = arm.runs.map((run) => element("li", {},
    `Seed ${run.seed ?? "unknown"}, from ${run.source}`, ofItsOwn(run.settings),
    run.command ? copyable(run.command) : element("span", { class: "faint" }, " (no command stored)")));
  const node = element("details", {},
    element("summary", {}, marked(arm.core), ` ${count(arm.seeds.length, "seed")}`),
    element("ul", {}, ...runs),
    element("div", { class: "box" }, element("table", {}, element("tbody", {}, ...rows))));
  node.core = arm.core;
  return node;
}

/** Settings in which a run differs from the first of its core. */
function ofItsOwn(settings) {
  const said = Object.entries(settings).map(([name, value]) => `${name} ${settingText(value)}`);
  return said.length ? `; here ${said.join(", ")}` : "";
}

/** A command with a button that copies it; where that is not allowed, it is selected. */
function copyable(command) {
  const text = element("pre", {}, command);
  const button = element("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
  return element("div", { class: "command" }, text, button);
}

/** Hides what the reader did not choose. */
function filterTables() {
  for (const node of document.querySelectorAll("#scores tbody tr")) {
    node.hidden = !(shown.envs.has(node.arm.env) && shown.cores.has(node.arm.core));
  }
  for (const node of document.querySelectorAll("#paper tbody tr, .games > details")) {
    node.hidden = !shown.envs.has(node.env);
  }
  for (const node of document.querySelectorAll(".games details details, .games th, .games td")) {
    if (node.core !== undefined) node.hidden = !shown.cores.has(node.core);
  }
}
