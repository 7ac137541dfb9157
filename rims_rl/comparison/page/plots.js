// All plots. Each is a figure that is made once and drawn again when something changes.

const figures = new Map();
const AXES = {
  steps: { title: "agent steps", hover: "%{x:,.0f} agent steps", of: (arm) => arm.curve.steps },
  frames: {
    title: "frames (agent steps × frames per step)", hover: "%{x:,.0f} frames",
    of: (arm) => arm.curve.steps.map((steps) => steps * arm.frames_per_step),
  },
  hours: { title: "hours of training", hover: "%{x:.3~f} hours", of: (arm) => arm.curve.hours },
};
const SHARE = {
  title: "share of training", hover: "after %{x:.3~f}% of the training", suffix: "%",
};

/** Where the windows end in all games together; null where games do not agree on it. */
function alongGames(core, envs) {
  const along = envs.map((env) => AXES[shown.axis].of(arms.get(key(env, core))));
  if (along.some((places) => places.includes(null))) return null;
  if (shown.axis === "hours") return along[0].map((_, i) => mean(along.map((hours) => hours[i])));
  return along.every((places) => String(places) === String(along[0])) ? along[0] : null;
}

/** Draws into the figure of that name, which is made where it is missing. */
function draw(parent, name, { title, note = "", traces, layout, empty = "", label }) {
  const id = `${parent.closest("section").id} ${name}`;
  const figure = figures.get(id) ?? newFigure(id);
  figure.root.setAttribute("aria-label", label ?? title);
  figure.title.textContent = title;
  figure.note.textContent = note;
  parent.append(figure.root);
  figure.plot.classList.toggle("empty", Boolean(empty));
  if (empty) {
    Plotly.purge(figure.plot);
    figure.plot.textContent = empty;
    return;
  }
  if (!figure.plot.data) figure.plot.textContent = "";
  figure.plot.style.height = `${layout.height ?? HEIGHT}px`;
  Plotly.react(figure.plot, traces, merged(layout), CONFIG);
}

const HEIGHT = 250;
// A finger on a plot scrolls the page; a mouse zooms.
const IS_MOUSE = matchMedia("(pointer: fine)").matches;
const CONFIG = {
  displaylogo: false, displayModeBar: IS_MOUSE ? "hover" : false,
  modeBarButtons: [["toImage", "resetScale2d"]],
};

/** Plots follow the room that they have. */
const resizes = new ResizeObserver((entries) => {
  for (const { target } of entries) if (target.data) Plotly.Plots.resize(target);
});

function newFigure(id) {
  const title = element("h3"), note = element("p", { class: "faint" });
  const plot = element("div", { class: "chart" });
  const root = element("figure", {}, element("figcaption", {}, title, note), plot);
  const figure = { root, title, note, plot };
  resizes.observe(plot);
  figures.set(id, figure);
  return figure;
}

function removeFigure(id) {
  const figure = figures.get(id);
  if (!figure) return;
  resizes.unobserve(figure.plot);
  Plotly.purge(figure.plot);
  figure.root.remove();
  figures.delete(id);
}

/** A layout with what is the same in all. */
function merged({ height = HEIGHT, xaxis = {}, yaxis = {}, margin = {}, ...rest }) {
  const line = cssColour("line"), text = cssColour("text");
  const font = { color: text, size: 12, family: getComputedStyle(document.body).fontFamily };
  const axis = {
    gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true,
    spikecolor: cssColour("faint"), spikethickness: 1,
    tickfont: { size: 11 }, fixedrange: !IS_MOUSE,
  };
  return {
    height, autosize: true, dragmode: IS_MOUSE ? "zoom" : false, showlegend: false, font,
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 44, r: 12, t: 10, b: 40, ...margin },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: cssColour("faint"), activecolor: text },
    hoverlabel: { bgcolor: cssColour("background"), bordercolor: line, font: { color: text } },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, showspikes: false, ...yaxis }, ...rest,
  };
}

function axisTitle(text) {
  return { text, font: { size: 11 }, standoff: 6 };
}

/** A curve with its band, gaps where it is null. */
function curveTraces(core, x, { center, low, high }, what) {
  const { colour, dash, symbol } = look(core);
  const alone = center.map((value, i) =>
    value !== null && (center[i - 1] ?? null) === null && (center[i + 1] ?? null) === null);
  const half = (bound, sign) =>
    center.map((value, i) => (alone[i] && bound[i] !== null ? sign * (bound[i] - value) : 0));
  const hover = center.map((value, i) => value === null ? "" :
    plotText(`${core}: ${number(value)}${low[i] === null ? "" : interval([low[i], high[i]])}${what}`));
  return [
    { ...band(x, low, high), fillcolor: faded(colour, 0.18) },
    {
      x, y: center, mode: "lines+markers", line: { color: colour, width: 2, dash },
      // Neighbours make a line; a window between gaps would not be seen without a dot.
      marker: { color: colour, symbol, opacity: 1, size: alone.map((is) => (is ? 6 : 0)) },
      error_y: {
        type: "data", symmetric: false, array: half(high, 1), arrayminus: half(low, -1),
        color: faded(colour, 0.5), thickness: 1.5, width: 0, visible: alone.includes(true),
      },
      hoverinfo: "text", hovertext: hover,
    },
  ];
}

/** The area between two lines: a polygon for each stretch without a gap. */
function band(x, low, high) {
  const outline = { x: [], y: [] };
  let stretch = [];
  const close = () => {
    const back = [...stretch].reverse();
    outline.x.push(...stretch.map((i) => x[i]), ...back.map((i) => x[i]), null);
    outline.y.push(...stretch.map((i) => low[i]), ...back.map((i) => high[i]), null);
    stretch = [];
  };
  x.forEach((_, i) => {
    if (low[i] !== null && high[i] !== null && x[i] !== null) stretch.push(i);
    else if (stretch.length) close();
  });
  if (stretch.length) close();
  return { ...outline, mode: "none", fill: "toself", hoverinfo: "skip" };
}

function faded(colour, alpha) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${alpha})`;
}

function seedTraces(core, x, rows) {
  return rows.map((y) => ({
    x, y, mode: "lines", line: { color: faded(look(core).colour, 0.55), width: 0.9 },
    hoverinfo: "skip", connectgaps: true,
  }));
}

/** An axis as the reader wants it; linear where a logarithm has nothing to show. */
function scaled(isLog, values) {
  const known = values.filter((value) => value !== null);
  const possible = isLog && known.every((value) => value > 0);
  if (!possible || !known.length) return { type: "linear" };
  const span = Math.max(...known) / Math.min(...known);
  // Plotly names each digit of a power of ten, too close to read: 1, 2 and 5 of it, or 1 alone.
  return { type: "log", dtick: span > 200 ? 1 : span > 8 ? "D2" : undefined };
}

function drawCurve(env) {
  const ofEnv = shownCores().map((core) => arms.get(key(env, core))).filter(Boolean);
  const axis = AXES[shown.axis];
  const known = ofEnv.filter((arm) => axis.of(arm).some((x) => x !== null));
  const traces = known.flatMap((arm) => [
    ...curveTraces(arm.core, axis.of(arm), arm.curve, `, ${count(arm.seeds.length, "seed")}`),
    ...(shown.seeds ? seedTraces(arm.core, axis.of(arm), arm.curve.each_seed) : []),
  ]);
  const points = traces.flatMap((trace) => trace.y.filter((y) => y !== null));
  const yaxis = scaled(shown.logY, points);
  const notes = [];
  if (shown.logY && yaxis.type === "linear") notes.push("linear: has returns of 0 or less");
  const untimed = ofEnv.filter((arm) => !known.includes(arm)).map((arm) => arm.core);
  if (untimed.length && known.length) notes.push(`no hours known of ${list(untimed)}`);
  draw(document.querySelector("#curves .panels"), env, {
    title: env, note: notes.join("; "), traces,
    label: `${env}: ${ofEnv.map((arm) => `${arm.core} ends at ${scoreText(arm.final)}`).join("; ")}`,
    empty: !ofEnv.length ? "No shown core has runs here" : !known.length ? "Hours are not known" : "",
    layout: {
      hovermode: "x unified",
      xaxis: {
        ...scaled(shown.logX, traces.flatMap((trace) => trace.x)), title: axisTitle(axis.title),
        unifiedhovertitle: { text: axis.hover },
      },
      yaxis: { ...yaxis, title: axisTitle("return") },
    },
  });
}

function scoreText(numbers) {
  return `${number(numbers["interquartile mean"])}${interval(numbers.interval)}`;
}

function drawTogether(found) {
  const [curves, dots] = document.querySelectorAll("#together .panels");
  const cores = found ? shownCores().filter((core) => own(found.cores, core)) : [];
  const of = (core) => found.cores[core];
  if (cores.length) {
    drawTraining(curves, cores, of, found.envs);
    drawProfiles(curves, cores, of);
  }
  drawProbability(dots, cores, of);
  if (cores.length) drawAggregates(dots, cores, of);
}

function drawAggregates(panels, cores, of) {
  for (const name of ESTIMATES) {
    const note = name === "optimality gap"
      ? "How far runs stay below 1 on average. Less is better." : `${MEANINGS[name]} More is better.`;
    drawDots(panels, name, { note, rows: cores.map((core) => [core, of(core)[name]]) });
  }
}

function drawProbability(panels, cores, of) {
  const name = "probability of improvement";
  const rows = cores.filter((core) => of(core)[name]).map((core) => [core, of(core)[name]]);
  if (!rows.length) return removeFigure(`together ${name}`);
  drawDots(panels, name, {
    rows, line: 0.5, range: [0, 1], title: `Probability of improvement over ${data.baseline}`,
    note: "How likely a run ends above the baseline's in the same game. 0.5: neither is better.",
  });
}

const MEANINGS = {
  IQM: "Mean of the middle half of all runs.", median: "Median over games of the mean over seeds.",
  mean: "Mean over games of the mean over seeds.",
};

function drawTraining(panels, cores, of, envs) {
  const ends = cores.map((core) => alongGames(core, envs));
  const isKnown = !ends.includes(null);
  const axis = isKnown ? AXES[shown.axis] : SHARE;
  const traces = cores.flatMap((core, i) => {
    const curve = of(core).curve;
    const along = isKnown ? ends[i] : curve.share_of_training.map((share) => 100 * share);
    return curveTraces(core, along, curve, "");
  });
  const why = isKnown ? (shown.axis === "hours" ? " Hours: the mean over them." : "")
    : ` By share of training: ${shown.axis} differ from game to game or are not known.`;
  draw(panels, "curve", {
    title: "While they learn", note: `Interquartile mean of the scores in all these games.${why}`,
    traces,
    layout: {
      hovermode: "x unified", height: 300,
      xaxis: {
        title: axisTitle(axis.title), ticksuffix: axis.suffix ?? "",
        ...scaled(shown.logX, traces.flatMap((trace) => trace.x)),
        unifiedhovertitle: { text: axis.hover },
      },
      yaxis: { title: axisTitle("score") },
    },
  });
}

function drawProfiles(panels, cores, of) {
  const traces = cores.flatMap((core) => {
    const { levels, share, low, high } = of(core).profile;
    const none = share.map(() => null);
    return curveTraces(core, levels, { center: share, low: low ?? none, high: high ?? none }, "");
  });
  draw(panels, "profile", {
    title: "Performance profiles", note: "Share of runs that end above a score. Higher is better.", traces,
    layout: {
      hovermode: "x unified", height: 300,
      xaxis: {
        title: axisTitle("score"), unifiedhovertitle: { text: "runs that end above %{x}" },
      },
      yaxis: { title: axisTitle("share of runs"), range: [-0.02, 1.04] },
    },
  });
}

/** Values with intervals, a row for each core under its name. */
function drawDots(panels, name, { title = name, note, rows, line = null, range }) {
  const top = rows.length - 1;
  const traces = rows.map(([core, { value, interval: bounds }], i) => ({
    x: [value], y: [top - i], mode: "markers",
    marker: { color: look(core).colour, symbol: look(core).symbol, size: 11 },
    error_x: bounds ? {
      type: "data", symmetric: false, array: [bounds[1] - value], arrayminus: [value - bounds[0]],
      color: look(core).colour, thickness: 2.5, width: 5,
    } : undefined,
    hoverinfo: "text", hovertext: [plotText(`${core}: ${number(value)}${interval(bounds)}`)],
  }));
  draw(panels, name, {
    title: title[0].toUpperCase() + title.slice(1), note, traces,
    label: `${title}: ${rows.map(([core, e]) => `${core} ${estimateText(e)}`).join("; ")}`,
    layout: {
      hovermode: "closest", height: 60 + 44 * rows.length, margin: { l: 12, b: 30 },
      xaxis: { range, zeroline: false },
      yaxis: { visible: false, range: [-0.5, top + 0.85], fixedrange: true },
      annotations: rows.map(([core, e], i) =>
        rowName(`${core}  ${estimateText(e)}`, top - i)),
      shapes: line === null ? [] : [{
        type: "line", x0: line, x1: line, yref: "paper", y0: 0, y1: 1, layer: "below",
        line: { color: cssColour("faint"), width: 1.5, dash: "dash" },
      }],
    },
  });
}

function estimateText({ value, interval: bounds }) {
  return `${number(value)}${interval(bounds)}`;
}

/** A text at the left end above a row: long names need no margin, which a phone lacks. */
function rowName(text, row) {
  return {
    text: plotText(text), x: 0, xref: "paper", y: row, yshift: 9, xanchor: "left",
    yanchor: "bottom", showarrow: false, font: { size: 11 }, borderpad: 0,
    bgcolor: cssColour("raised"),  // No grid line strikes the text through.
  };
}

/** Bars of one core, the largest improvement on top. */
function drawImprovement(core) {
  const rows = Object.entries(data.improvement[core])
    .filter(([env]) => shown.envs.has(env)).sort((a, b) => a[1] - b[1]);
  const { colour } = look(core);
  const values = rows.map(([, value]) => value);
  const ends = [Math.min(0, ...values), Math.max(0, ...values)];
  const room = (ends[1] - ends[0] || 1) * 0.2;  // For the numbers at the ends of bars, also on a phone.
  const ahead = values.filter((value) => value > 0).length;
  draw(document.querySelector("#improvement .panels"), core, {
    title: core,
    note: `Above ${data.baseline} in ${ahead} of ${count(rows.length, "game")}.`,
    empty: rows.length ? "" : "No shown game that a core learned has runs of both",
    label: `${core}: ${rows.map(([env, value]) => `${env} ${percent(value)}`).reverse().join("; ")}`,
    traces: [{
      type: "bar", orientation: "h", x: values, y: rows.map((_, i) => i), width: 0.42,
      marker: {
        color: values.map((v) => (v < 0 ? faded(colour, 0.45) : colour)),
        line: { color: colour, width: 1 },
      },
      text: values.map(percent), textposition: "outside", cliponaxis: false,
      hoverinfo: "text", hovertext: rows.map(([env, value]) => plotText(`${env}: ${percent(value)}`)),
    }],
    layout: {
      hovermode: "closest", height: 60 + 36 * rows.length, margin: { l: 12, r: 16, t: 4 },
      xaxis: {
        title: axisTitle(`improvement over ${plotText(data.baseline)}`), ticksuffix: "%",
        range: [ends[0] - (ends[0] < 0 ? room : 0), ends[1] + room],
        zerolinecolor: cssColour("faint"), zerolinewidth: 1.5,
      },
      yaxis: { visible: false, range: [-0.6, rows.length - 0.25], fixedrange: true },
      annotations: rows.map(([env], i) => rowName(shortNames.get(env), i)),
    },
  });
}
