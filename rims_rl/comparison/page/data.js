"use strict";
// The summary of a comparison, what the reader chose to see of it, and how both become text.

const data = JSON.parse(document.getElementById("summary").textContent);
const arms = new Map(data.arms.map((arm) => [key(arm.env, arm.core), arm]));
const shown = {
  envs: new Set(data.envs), cores: new Set(data.cores),
  axis: "steps", logX: false, logY: false, seeds: false,
};
const shortNames = new Map(Object.entries(data.short_names));

function key(env, core) {
  return JSON.stringify([env, core]);
}

function shownEnvs() {
  return data.envs.filter((env) => shown.envs.has(env));
}

function shownCores() {
  return data.cores.filter((core) => shown.cores.has(core));
}

/** Arms of the games and cores that are shown. */
function shownArms() {
  return data.arms.filter((arm) => shown.envs.has(arm.env) && shown.cores.has(arm.core));
}

/** What an object has of its own under a name that may be any string; undefined if nothing. */
function own(object, name) {
  return object && Object.hasOwn(object, name) ? object[name] : undefined;
}

/** An element; strings among the children become text, never markup. */
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** Plotly reads some HTML in its texts: names are to stay as they are. */
function plotText(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function number(value) {
  if (value == null) return "–";
  if (typeof value !== "number") return String(value);
  const digits = Number.isInteger(value) || Math.abs(value) >= 1000
    ? { maximumFractionDigits: 0 } : { minimumSignificantDigits: 3, maximumSignificantDigits: 3 };
  return value.toLocaleString("en", digits).replace("-", "−");
}

function percent(value) {
  return `${value > 0 ? "+" : ""}${number(value)}%`;
}

function twoDigits(value) {
  return value.toFixed(2);
}

function interval(bounds, text = number) {
  return bounds ? ` [${text(bounds[0])}, ${text(bounds[1])}]` : "";
}

/** "a", "a and b", "a, b and c". */
function list(names) {
  return names.length < 2 ? names.join("")
    : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function count(many, noun) {
  return `${many} ${noun}${many === 1 ? "" : "s"}`;
}

const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star"];
const DASHES = ["solid", "dash", "dot", "dashdot"];
const COLOURS = 7;

function cssColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** How a core is drawn, the same everywhere; more cores than colours differ by their dashes. */
function look(core) {
  const index = data.cores.indexOf(core);
  return {
    colour: cssColour(`core-${index % COLOURS}`),
    variable: `var(--core-${index % COLOURS})`,
    symbol: SYMBOLS[index % SYMBOLS.length],
    dash: DASHES[Math.floor(index / COLOURS) % DASHES.length],
  };
}

/** A core's name beside its colour. */
function marked(core, tag = "span") {
  const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
  swatch.style.background = look(core).variable;
  return element(tag, { class: "mark" }, swatch, core);
}
