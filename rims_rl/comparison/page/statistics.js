// Scores over the games that the reader chose: aggregate.py and summary.py in small, with fewer
// resamples. A test holds both equal. Scores are lists of games, each a list of seeds.

const RESAMPLES = 500;
const ESTIMATES = ["IQM", "median", "mean", "optimality gap"];

/** Games that count: those that every shown core and the baseline have and somebody learned. */
function countedEnvs() {
  const cores = [...shownCores(), ...(data.baseline === null ? [] : [data.baseline])];
  return shownEnvs().filter((env) => {
    const { floor, top } = data.anchors[env];
    return top > floor && cores.every((core) => arms.has(key(env, core)));
  });
}

/** Aggregates of the shown cores as `summary.together` has them, computed here if need be. */
function together() {
  const envs = countedEnvs();
  if (!envs.length) return null;
  if (data.together && String(envs) === String(data.together.envs)) {
    return { ...data.together, asStored: true };
  }
  const cores = shownCores().map((core) => [core, ofCore(core, envs)]);
  return { envs, cores: Object.fromEntries(cores), asStored: false };
}

/** Scores from the lowest to the highest of the shown cores, 0 and 1 among them in any case. */
function profileLevels(envs) {
  const runs = sorted(shownCores().flatMap((core) => finalScores(core, envs).flat()));
  const [from, to] = data.profiled.map((share) => quantile(runs, share));
  const [low, high] = [Math.min(0, from), Math.max(1, to)];
  const count = data.profile_levels;
  return Array.from({ length: count }, (_, i) => low + (high - low) * i / (count - 1));
}

function ofCore(core, envs) {
  const draw = generator(1);
  const scores = finalScores(core, envs);
  const levels = profileLevels(envs);
  const statistic = (games) => [...aggregates(games), ...profile(games, levels)];
  const values = statistic(scores);
  const bounds = bootstrap(statistic, [scores], draw);
  const estimates = ESTIMATES.map((name, i) => [name, estimate(values[i], bounds?.[i])]);
  const rest = bounds?.slice(ESTIMATES.length);
  return {
    ...Object.fromEntries(estimates),
    "probability of improvement": improvementProbability(core, scores, envs, draw),
    profile: {
      levels, share: values.slice(ESTIMATES.length),
      low: rest ? rest.map((b) => b[0]) : null, high: rest ? rest.map((b) => b[1]) : null,
    },
    curve: trainingCurve(core, envs, draw),
  };
}

function estimate(value, bounds) {
  return { value, interval: bounds ?? null };
}

function finalScores(core, envs) {
  const seeds = seedsCounted(core, envs);
  return envs.map((env) =>
    normalised(env, arms.get(key(env, core)).final["each seed"].slice(0, seeds)));
}

/** A game counts as much as any other: each has as many seeds as all have. */
function seedsCounted(core, envs) {
  return Math.min(...envs.map((env) => arms.get(key(env, core)).seeds.length));
}

function normalised(env, returns) {
  const { floor, top } = data.anchors[env];
  return returns.map((value) => (value - floor) / (top - floor));
}

function improvementProbability(core, scores, envs, draw) {
  if (data.baseline === null || core === data.baseline) return null;
  const statistic = (own, base) => [mean(own.map((game, i) => better(game, base[i])))];
  const groups = [scores, finalScores(data.baseline, envs)];
  return estimate(statistic(...groups)[0], bootstrap(statistic, groups, draw)?.[0]);
}

/** How often a value of one list is above one of the other; ties count half. */
function better(own, others) {
  const wins = own.flatMap((a) => others.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
  return mean(wins);
}

function trainingCurve(core, envs, draw) {
  const seeds = seedsCounted(core, envs);
  const games = envs.map((env) => arms.get(key(env, core)).curve.each_seed.slice(0, seeds)
    .map((seed) => normalisedOrNull(env, seed)));
  const windows = games[0][0].length;
  const curve = { share_of_training: [], center: [], low: [], high: [] };
  for (let window = 0; window < windows; window++) {
    const scores = games.map((seeds) => seeds.map((s) => s[window]).filter((v) => v !== null));
    const known = scores.every((game) => game.length);
    const statistic = (resampled) => [interquartileMean(resampled.flat())];
    const bounds = known ? bootstrap(statistic, [scores], draw)?.[0] : undefined;
    curve.share_of_training.push((window + 1) / windows);
    curve.center.push(known ? statistic(scores)[0] : null);
    curve.low.push(bounds?.[0] ?? null);
    curve.high.push(bounds?.[1] ?? null);
  }
  return curve;
}

function normalisedOrNull(env, returns) {
  return returns.map((value) => (value === null ? null : normalised(env, [value])[0]));
}

/** In the order of `ESTIMATES`. */
function aggregates(games) {
  const runs = games.flat();
  const means = games.map(mean);
  return [
    interquartileMean(runs), quantile(sorted(means), 0.5), mean(means),
    1 - mean(runs.map((run) => Math.min(run, 1))),
  ];
}

function profile(games, levels) {
  const runs = games.flat();
  return levels.map((level) => runs.filter((run) => run > level).length / runs.length);
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function sorted(values) {
  return Float64Array.from(values).sort();
}

function interquartileMean(values) {
  const cut = Math.floor(values.length / 4);
  return mean(Array.from(sorted(values).subarray(cut, values.length - cut)));
}

/** Between the nearest two of sorted values, as NumPy does it. */
function quantile(values, share) {
  const position = share * (values.length - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, values.length - 1);
  return values[below] + (position - below) * (values[above] - values[below]);
}

/** 95% intervals of a list of statistics, seeds drawn anew in each game; null if one has one seed. */
function bootstrap(statistic, groups, draw) {
  if (groups.some((games) => games.some((game) => game.length < 2))) return null;
  const pick = (game) => game.map(() => game[Math.floor(draw() * game.length)]);
  const drawn = Array.from({ length: RESAMPLES }, () =>
    statistic(...groups.map((games) => games.map(pick))));
  return drawn[0].map((_, i) => {
    const values = sorted(drawn.map((row) => row[i]));
    return [quantile(values, 0.025), quantile(values, 0.975)];
  });
}

/** Random numbers that are the same each time (mulberry32): an interval shall not flicker. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
