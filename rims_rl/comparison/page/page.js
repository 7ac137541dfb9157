// The page: what it says first, the controls, and drawing everything again when they change.

function buildHeadline() {
  const parent = document.getElementById("headline");
  const others = data.cores.filter((core) => own(data.improvement, core)).sort(byProbability);
  for (const core of others) {
    const sentence = element("p", {}, verdict(core));
    sentence.style.setProperty("--mark", look(core).variable);
    parent.append(sentence);
  }
  if (!others.length) parent.append(element("p", {}, nothingToCompare()));
  parent.append(element("p", { class: "faint" },
    `${count(data.arms.reduce((sum, arm) => sum + arm.seeds.length, 0), "run")}, ` +
    `${count(data.envs.length, "game")}, ${count(data.cores.length, "core")}. Intervals are 95%: ` +
    `${data.intervals}. They say what other seeds might have given in these same games.`));
}

function nothingToCompare() {
  if (!data.cores.length) return "There are no finished runs to compare.";
  return data.baseline === null ? "No baseline is among the runs, so nothing is measured by it."
    : `Only ${data.baseline} has runs: there is nothing to compare it with.`;
}

function probability(core) {
  return own(data.together?.cores, core)?.["probability of improvement"] ?? null;
}

function byProbability(a, b) {
  return (probability(b)?.value ?? 0) - (probability(a)?.value ?? 0);
}

/** Whether a core is better than the baseline, and how sure that is. */
function verdict(core) {
  const gains = Object.entries(data.improvement[core]);
  if (!gains.length) return `${core} and ${data.baseline} have no game in common that a core learned.`;
  const ahead = gains.filter(([, gain]) => gain > 0).length;
  const apart = gains.filter(([env]) => areApart(env, core)).length;
  const games = `${core} ends above ${data.baseline} in ${ahead} of ${count(gains.length, "game")} ` +
    `(their intervals do not touch in ${apart} of them).`;
  const found = probability(core);
  if (!found) return `${games} No game that a core learned has runs of all cores: there is no probability over games.`;
  const over = data.together.envs.length;
  const all = over === 1 ? "the one game that all cores have" : `the ${over} games that all cores have`;
  return `${games} Probability of improvement: ${twoDigits(found.value)}` +
    `${interval(found.interval, twoDigits)} over ${all}: ${howSure(found.interval, fewestSeeds(core))}.`;
}

/** Of a core or the baseline in the games that are counted together. */
function fewestSeeds(core) {
  const counted = data.together.envs.flatMap((env) => [core, data.baseline].map((c) => key(env, c)));
  return Math.min(...counted.map((name) => arms.get(name).seeds.length));
}

function howSure(bounds, seeds = Infinity) {
  if (!bounds) return "with a single seed in a game, nothing tells how sure that is";
  const few = seeds < data.few_seeds ? `, though with ${count(seeds, "seed")} it covers much less than 95%` : "";
  if (bounds[0] > 0.5) return `better than the baseline there, the interval lies above 0.5${few}`;
  if (bounds[1] < 0.5) return `worse than the baseline there, the interval lies below 0.5${few}`;
  return "not settled, the interval contains 0.5";
}

function areApart(env, core) {
  const [a, b] = [core, data.baseline].map((c) => arms.get(key(env, c)).final.interval);
  return Boolean(a && b && (a[0] > b[1] || a[1] < b[0]));
}

function buildProblems() {
  const parent = document.getElementById("problems");
  if (!data.problems.length) return;
  const title = `${count(data.problems.length, "thing")} to know before believing this`;
  const items = element("ul", {}, ...data.problems.map((problem) => element("li", {}, problem)));
  const isLong = data.problems.length > 6;
  parent.append(isLong
    ? element("details", {}, element("summary", {}, title), items)
    : element("div", {}, element("p", { class: "title" }, title), items));
}

/** A checkbox that keeps a set of names. */
function checkbox(name, set, content) {
  const input = element("input", { type: "checkbox", checked: true });
  input.addEventListener("change", () => {
    if (input.checked) set.add(name); else set.delete(name);
    redraw();
  });
  return element("label", {}, input, content);
}

function buildControls() {
  const form = document.getElementById("controls");
  const envBoxes = document.getElementById("env-boxes");
  document.getElementById("core-boxes").append(
    ...data.cores.map((core) => checkbox(core, shown.cores, marked(core))));
  envBoxes.append(...data.envs.map((env) => checkbox(env, shown.envs, element("span", {}, env))));
  const tickAll = (isTicked) => {
    shown.envs.clear();
    if (isTicked) data.envs.forEach((env) => shown.envs.add(env));
    for (const input of envBoxes.querySelectorAll("input")) input.checked = isTicked;
    redraw();
  };
  form.querySelector("[data-all]").addEventListener("click", () => tickAll(true));
  form.querySelector("[data-none]").addEventListener("click", () => tickAll(false));
  for (const input of form.querySelectorAll("input[name]")) {
    input.addEventListener("change", () => {
      shown[input.name] = input.type === "radio" ? input.value : input.checked;
      redraw();
    });
  }
  const isTimed = data.arms.some((arm) => arm.curve.hours.some((hours) => hours !== null));
  const hours = form.querySelector("[value=hours]");
  hours.disabled = !isTimed;
  if (!isTimed) hours.parentNode.title = "No run says how long it took";
  form.addEventListener("submit", (event) => event.preventDefault());
  closeMenuOutside(document.getElementById("games"));
}

function closeMenuOutside(menu) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

function buildTexts() {
  document.querySelector("[data-intervals]").textContent = ` (${data.intervals})`;
  document.getElementById("formula").textContent = data.baseline === null ? NO_BASELINE :
    `${data.formula}, of interquartile means at the end; the baseline is ${data.baseline}. ` +
    `Floor and top: ${data.scale_text}.`;
}

const NO_BASELINE = "There is no baseline to measure by.";

function describeTogether(found) {
  const parent = document.getElementById("counted");
  if (!found?.envs) {
    parent.textContent = "No shown game that a core learned has runs of all shown cores and of the baseline.";
    return;
  }
  const fewer = found.envs.length < shownEnvs().length
    ? ` Games that a shown core or ${data.baseline ?? "the baseline"} lacks, or that nobody learned, do not count.`
    : "";
  const ticks = found.asStored ? "" : ` Computed here for the games ticked, with ${RESAMPLES} resamples.`;
  parent.textContent =
    `Counted: ${count(found.envs.length, "game")} that all cores shown here have` +
    ` (${list(found.envs.map((env) => shortNames.get(env)))}). Their common scale: ` +
    `${data.scale_text}.${fewer}${ticks}`;
}

function drawLegends() {
  for (const legend of document.querySelectorAll(".names")) {
    legend.replaceChildren(...shownCores().map((core) => marked(core)));
  }
}

/** Work that waits, a plot each: the page answers in between, and a newer wish replaces it. */
let waiting = [];
let timer = null;

function work() {
  waiting.shift()?.();
  timer = waiting.length ? setTimeout(work) : null;
  if (timer === null) document.documentElement.dataset.drawn = "all";
}

function jobs() {
  const found = together();
  const cores = shownCores().filter((core) => own(data.improvement, core));
  document.getElementById("games-shown").textContent = `${shown.envs.size} of ${data.envs.length}`;
  filterTables();
  drawLegends();
  describeTogether(found);
  keepOnly("curves", shownEnvs());
  keepOnly("improvement", cores);
  if (!found?.envs || !shownCores().length) keepOnly("together", []);
  return [
    ...shownEnvs().map((env) => () => drawCurve(env)),
    () => drawTogether(found),
    ...cores.map((core) => () => drawImprovement(core)),
  ];
}

function keepOnly(section, names) {
  const kept = new Set(names.map((name) => `${section} ${name}`));
  for (const id of figures.keys()) {
    if (id.startsWith(`${section} `) && !kept.has(id)) removeFigure(id);
  }
}

function redraw() {
  document.documentElement.dataset.drawn = "";
  waiting = jobs();
  if (timer === null) timer = setTimeout(work);
}

function redrawAtOnce() {
  for (const job of jobs()) job();
}

buildHeadline();
buildProblems();
buildTexts();
buildControls();
buildScores();
buildPaper();
buildSettings();
document.querySelector("#settings > pre").replaceWith(
  copyable(document.querySelector("#settings > pre").textContent));
redraw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
// Paper is light, and shows what is folded away.
addEventListener("beforeprint", () => {
  document.documentElement.classList.add("printing");
  for (const node of document.querySelectorAll("#problems details")) node.open = true;
  redrawAtOnce();
});
addEventListener("afterprint", () => {
  document.documentElement.classList.remove("printing");
  redraw();
});
