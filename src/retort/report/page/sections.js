// The report's sections, each from its part of the data that collect.cc made.
'use strict';

const report = JSON.parse(document.getElementById('data').textContent);
const content = document.getElementById('content');
const kMostSeries = 10;
const kMostBands = 4;  // intervals drawn as bands, in one chart

function section(id, title) {
  const made = element('section', {'aria-labelledby': id}, element('h2', {id}, title));
  content.append(made);
  document.querySelector('nav ul').append(element('li', {}, element('a', {href: `#${id}`}, title)));
  return made;
}

/** {value, low, high}: over seeds where there are several, else by user. */
function spread(metric) {
  return metric && Number.isFinite(metric.low_seeds)
    ? {...metric, low: metric.low_seeds, high: metric.high_seeds} : metric;
}

function interval(given, digits) {
  const metric = spread(given);
  if (!metric || typeof metric.value !== 'number') return '–';
  const value = number(metric.value, digits);
  if (typeof metric.low !== 'number' || metric.low === metric.high) return value;
  return `${value} [${number(metric.low, digits)}, ${number(metric.high, digits)}]`;
}

function limits(low, high) {
  return Number.isFinite(low) && Number.isFinite(high) ? `[${number(low)}, ${number(high)}]` : '–';
}

function metricsOf(models) {
  const names = [];
  for (const metrics of Object.values(models)) {
    for (const name of Object.keys(metrics)) if (!names.includes(name)) names.push(name);
  }
  return names;
}

const kindNames = {model: 'model', teacher: 'ranking model', baseline: 'simple rule', extra: 'the truth'};

/** In one order, so that a kind has one colour everywhere. */
function kindsOf(rows) {
  return Object.values(kindNames).filter((kind) => rows.some((row) => row.kind === kind));
}

// ---- comparisons

/** One metric of all rows as a chart, the metric chosen by the reader. */
function metricChart(parent, comparison, title) {
  const metrics = metricsOf(comparison.models);
  let metric = ['auc_read', 'recall@20', 'recall@100'].find((name) => metrics.includes(name)) || metrics[0];
  let draw = null;
  choice(parent, 'Metric', metrics, metric, (value) => {
    metric = value;
    draw();
  });
  draw = chart(parent, () => {
    const rows = Object.entries(comparison.models)
      .filter(([, values]) => values[metric] && typeof values[metric].value === 'number')
      .map(([name, values]) => ({name, ...spread(values[metric]),
        kind: kindNames[(comparison.kinds || {})[name]] || 'model'}))
      .sort((a, b) => b.value - a.value);
    const best = rows[0];
    return {
      title: `${metric}: ${title}`,
      text: best ? `${rows.length} rows with 95% intervals; the highest is ${best.name} with ${interval(best)}` : 'no values',
      names: kindsOf(rows),
      plot: intervalPlot(rows, metric, false),
      columns: [{name: 'row', text: true}, {name: 'kind', text: true}, {name: metric}, {name: 'low'},
        {name: 'high'}, {name: 'deviation of seeds'}],
      rows: rows.map((row) => [row.name, row.kind, row.value, row.low, row.high, row.deviation ?? null]),
    };
  });
}

function differencesTable(parent, differences) {
  if (!differences.length) return;
  const seeds = differences.some((one) => Number.isFinite(one.low_seeds));
  parent.append(table(`Differences, paired, with 95% intervals and the verdict${seeds ? ' of both' : ''}`,
    ['difference', 'metric', {name: seeds ? 'value, over seeds' : 'value, by user'}, ...(seeds ? [{name: 'by user'}] : []), 'verdict'],
    differences.map((one) => [`${one.row} − ${one.other}`, one.metric, interval(one),
      ...(seeds ? [limits(one.low, one.high)] : []), verdictCell(one.verdict)])));
}

function claimsTable(parent, claims, seeds) {
  if (!claims.length) return;
  parent.append(table('What was to be shown, and what was found',
    ['claim', 'rows', 'metric', {name: seeds > 1 ? 'value, over seeds' : 'value'}, {name: 'by user'}, 'verdict'],
    claims.map((one) => [
      one.name, `${one.row} − ${one.other}`, one.metric, interval(one), limits(one.low_users, one.high_users),
      element('td', {class: 'wide'}, `${one.verdict}: ${one.text}`)])));
}

/** Means over seeds of lists of groups, which are the same for each seed. */
function meanGroups(seeds, key) {
  const lists = seeds.map((seed) => seed[key]).filter((list) => Array.isArray(list) && list.length);
  if (!lists.length) return [];
  const same = lists.filter((list) => list.length === lists[0].length);
  return lists[0].map((group, at) => {
    const mean = {...group};
    for (const [name, value] of Object.entries(group)) {
      if (typeof value !== 'number') continue;
      const values = same.map((list) => list[at][name]).filter(Number.isFinite);
      mean[name] = values.reduce((sum, each) => sum + each, 0) / values.length;
    }
    return mean;
  });
}

/** What a chart says of series beyond its colours. */
function leftOut(names) {
  return names.length > kMostSeries
    ? `The first ${kMostSeries} of ${names.length}; not drawn: ${names.slice(kMostSeries).join(', ')}.` : '';
}

function hasManyWorlds(comparison) {
  return comparison.datasets > 1;
}

/** {name, groups} of the rows of these kinds that have the detail. */
function detailed(comparison, key, kinds) {
  return Object.entries(comparison.details || {})
    .filter(([name]) => kinds.includes((comparison.kinds || {})[name]))
    .map(([name, seeds]) => ({name, groups: meanGroups(hasManyWorlds(comparison) ? seeds.slice(0, 1) : seeds, key)}))
    .filter((row) => row.groups.length > 0);
}

/** What is to be known of a chart of groups. */
function notesOfGroups(comparison, names, crowded) {
  return [leftOut(names), crowded ? 'Intervals are in the numbers.' : '',
    hasManyWorlds(comparison) ? 'Of the first seed alone: the others have worlds, and so groups, of their own.' : '']
    .join(' ').trim();
}

function calibration(parent, comparison, title) {
  const all = detailed(comparison, 'calibration', ['model']);
  const series = all.slice(0, kMostSeries);
  if (!series.length) return;
  const points = series.flatMap(({name, groups}) => groups.map((bin) => ({name, ...bin})));
  const most = Math.max(...points.map((point) => Math.max(point.mean_predicted, point.share_positive)));
  chart(parent, {
    title: `Calibration: ${title}`,
    text: 'Share of rows that were read against the probability predicted, in bins of equal size; on the dashed line they are equal',
    note: notesOfGroups(comparison, all.map((one) => one.name), false),
    names: series.map((one) => one.name),
    plot: () => ({
      height: 380,
      x: {label: 'predicted probability', grid: true, domain: [0, most]},
      y: {label: 'share read', grid: true, domain: [0, most]},
      marks: [
        Plot.line([[0, 0], [most, most]], {stroke: 'currentColor', strokeDasharray: '4,4'}),
        Plot.line(points, {x: 'mean_predicted', y: 'share_positive', stroke: 'name'}),
        Plot.dot(points, {x: 'mean_predicted', y: 'share_positive', fill: 'name', symbol: 'name', r: 4, tip: true}),
      ],
    }),
    columns: [{name: 'model', text: true}, {name: 'predicted'}, {name: 'share read'}, {name: 'rows'}],
    rows: points.map((point) => [point.name, point.mean_predicted, point.share_positive, point.rows]),
  });
}

function groupRange(group) {
  return group.from === group.to ? `${group.from}` : `${group.from}–${group.to}`;
}

function aucByGroup(parent, comparison, key, title, axis, what) {
  const all = detailed(comparison, key, ['model', 'teacher']);
  const series = all.slice(0, kMostSeries);
  if (!series.length) return;
  const crowded = series.length > kMostBands;
  const points = series.flatMap(({name, groups}) => groups.map((group, at) => ({
    name, group: at + 1, range: groupRange(group), ...group})));
  chart(parent, {
    title,
    text: `AUC of reads inside each group of rows, groups by ${what}, with 95% intervals by user`,
    note: notesOfGroups(comparison, all.map((one) => one.name), crowded),
    names: series.map((one) => one.name),
    plot: () => ({
      height: 320,
      x: {label: axis, ticks: d3.range(1, 1 + Math.max(...points.map((point) => point.group))), tickFormat: (at) => String(at)},
      y: {label: 'auc_read', grid: true},
      marks: [
        crowded ? null : Plot.areaY(points, {x: 'group', y1: 'low', y2: 'high', fill: 'name', fillOpacity: 0.12}),
        Plot.line(points, {x: 'group', y: 'value', stroke: 'name', strokeWidth: 2}),
        Plot.dot(points, {x: 'group', y: 'value', fill: 'name', symbol: 'name', r: 4, tip: true,
          title: (point) => `${point.name}\n${what}: ${point.range}\n${interval(point)}`}),
      ],
    }),
    columns: [{name: 'model', text: true}, {name: 'group'}, {name: what, text: true}, {name: 'auc_read'},
      {name: 'low'}, {name: 'high'}, {name: 'rows'}],
    rows: points.map((point) => [point.name, point.group, point.range, point.value, point.low, point.high, point.rows]),
  });
}

function clickBait(parent, comparison, title) {
  const metric = metricsOf(comparison.models).find((name) => name.startsWith('click_bait@'));
  if (!metric) return;
  const rows = Object.entries(comparison.models)
    .filter(([, values]) => values[metric] && typeof values[metric].value === 'number')
    .map(([name, values]) => ({name, ...spread(values[metric]), kind: kindNames[(comparison.kinds || {})[name]] || 'model'}))
    .sort((a, b) => a.value - b.value);
  chart(parent, {
    title: `Click-bait among the best ${metric.split('@')[1]}: ${title}`,
    text: 'Share of items whose title promises more than they hold, as the simulated world knows, with 95% intervals',
    names: kindsOf(rows),
    plot: intervalPlot(rows, 'share of click-bait', false),
    columns: [{name: 'row', text: true}, {name: 'kind', text: true}, {name: 'share'}, {name: 'low'}, {name: 'high'}],
    rows: rows.map((row) => [row.name, row.kind, row.value, row.low, row.high]),
  });
}

function warnings(parent, texts) {
  if (!texts.length) return;
  parent.append(element('details', {},
    element('summary', {}, `${texts.length} warning(s): ${texts[0].split(':')[0]}${texts.length > 1 ? ' ..' : ''}`),
    ...texts.map((text) => element('p', {class: 'warning'}, `Warning: ${text}.`))));
}

function comparisons() {
  if (!report.comparisons.length) return;
  const parent = section('comparisons', 'Comparisons');
  for (const comparison of report.comparisons) {
    const title = `${comparison.title || comparison.name}, ${comparison.data}`;
    parent.append(element('h3', {}, title));
    const about = comparison.evaluation || {};
    parent.append(element('p', {class: 'soft'},
      `${comparison.name}: ${number(about.clicks)} clicks of ${number(about.users)} users of the split ` +
      `'${about.split}', ${number(about.rows)} rows${hasManyWorlds(comparison) ? ' (of the first seed; each has a world of its own)' : ''}; ` +
      (comparison.seeds > 1
        ? `${comparison.seeds} seeds; intervals: 95% over seeds (Student's t) where a row has several, else by user.`
        : `intervals: ${about.intervals || 'none'}, by user.`)));
    metricChart(parent, comparison, title);
    const metrics = metricsOf(comparison.models);
    parent.append(table(`All metrics of ${title}: value [95% interval]`,
      ['row', 'kind', ...metrics.map((name) => ({name}))],
      Object.entries(comparison.models).map(([name, values]) => [
        (comparison.titles || {})[name] ? `${name}: ${comparison.titles[name]}` : name,
        kindNames[(comparison.kinds || {})[name]] || '', ...metrics.map((metric) => interval(values[metric]))])));
    differencesTable(parent, comparison.differences || []);
    claimsTable(parent, comparison.claims || [], comparison.seeds);
    calibration(parent, comparison, title);
    aucByGroup(parent, comparison, 'auc_by_popularity', `AUC by popularity of the item: ${title}`,
      'group of rows, rarest items first', 'training clicks of the item');
    aucByGroup(parent, comparison, 'auc_by_activity', `AUC by activity of the user: ${title}`,
      'group of rows, least active users first', 'training clicks of the user');
    clickBait(parent, comparison, title);
    warnings(parent, comparison.warnings || []);
  }
}

// ---- indexes

function indexes() {
  if (!report.indexes.length) return;
  const parent = section('indexes', 'Recall against latency');
  for (const index of report.indexes) {
    const points = index.points.map((point) => ({...point,
      chosen: JSON.stringify(point) === JSON.stringify(index.chosen)}));
    chart(parent, {
      title: `recall@${index.k} against the median latency: ${index.name}`,
      text: `${number(index.items)} items of width ${index.dim}, ${number(index.queries)} queries, ${index.threads} thread(s); the ring is the choice for recall ${index.target.recall}`,
      names: [...new Set(points.map((point) => point.index))],
      plot: () => ({
        height: 340,
        x: {label: 'median milliseconds of a query', type: 'log', grid: true},
        y: {label: `recall@${index.k}`, grid: true},
        marks: [
          Plot.ruleY([index.target.recall], {stroke: 'currentColor', strokeDasharray: '4,4'}),
          Plot.line(points, {x: 'median_ms', y: 'recall', z: 'index', stroke: 'index', sort: 'median_ms'}),
          Plot.dot(points, {x: 'median_ms', y: 'recall', fill: 'index', symbol: 'index', r: 5, tip: true,
            title: (point) => `${point.index} ${JSON.stringify(point.options)}\nrecall ${number(point.recall)}\n${number(point.median_ms, 3)} ms`}),
          Plot.dot(points.filter((point) => point.chosen), {x: 'median_ms', y: 'recall', r: 10, stroke: 'currentColor', strokeWidth: 2}),
        ],
      }),
    });
    parent.append(table(`Indexes of ${index.name}; publish with ${index.publish || ''}`,
      ['index', 'options', {name: 'recall'}, {name: 'median ms'}, {name: 'p99 ms'}, {name: 'queries/s'}, {name: 'MB more'}, 'choice'],
      points.map((point) => [point.index, JSON.stringify(point.options), point.recall, point.median_ms,
        point.p99_ms, Math.round(point.queries_per_second), point.bytes / 1e6, point.chosen ? 'chosen' : ''])));
  }
}

// ---- training

function curve(parent, runs, split, value, title, label) {
  const points = runs.flatMap((run) => {
    const columns = run[split];
    return (columns.step || []).map((step, at) => ({name: run.group, run: run.name, step, value: columns[value][at]}))
      .filter((point) => typeof point.value === 'number' && typeof point.step === 'number');
  });
  if (!points.length) return;
  const all = [...new Set(points.map((point) => point.name))];
  const names = all.slice(0, kMostSeries);
  const shown = points.filter((point) => names.includes(point.name));
  chart(parent, {
    title,
    text: `${new Set(shown.map((point) => point.run)).size} runs; seeds of a recipe have its colour`,
    note: leftOut(all),
    names,
    plot: () => ({
      height: 320,
      x: {label: 'steps', grid: true},
      y: {label, grid: true},
      marks: [
        Plot.line(shown, {x: 'step', y: 'value', z: 'run', stroke: 'name', strokeWidth: 1.6}),
        Plot.dot(shown, {x: 'step', y: 'value', fill: 'name', symbol: 'name', r: shown.length > 200 ? 1.5 : 3.5, tip: true,
          title: (point) => `${point.run}\nstep ${point.step}: ${number(point.value)}`}),
      ],
    }),
    columns: [{name: 'run', text: true}, {name: 'first'}, {name: 'last'}, {name: 'lowest'}, {name: 'highest'}],
    rows: [...new Set(shown.map((point) => point.run))].map((run) => {
      const values = shown.filter((point) => point.run === run).map((point) => point.value);
      return [run, values[0], values[values.length - 1], Math.min(...values), Math.max(...values)];
    }),
  });
}

/** The folder that runs were made for: of COMPARISON/LABEL/seedK the comparison. */
function studyOf(run) {
  const parts = run.name.split('/');
  return parts.slice(0, parts[parts.length - 1].startsWith('seed') ? -2 : -1).join('/');
}

function training() {
  if (!report.runs.length) return;
  const parent = section('training', 'Training');
  const studies = [...new Set(report.runs.map(studyOf))];
  for (const study of studies) {
    const runs = report.runs.filter((run) => studyOf(run) === study);
    const title = studies.length > 1 ? `: ${study}` : '';
    if (title) parent.append(element('h3', {}, `Runs of ${study || 'this folder'}`));
    curve(parent, runs, 'train', 'loss', `Loss on training rows${title}`, 'loss');
    curve(parent, runs, 'valid', 'loss', `Loss on validation rows${title}`, 'loss');
    for (const metric of [...new Set(runs.map((run) => run.metric).filter(Boolean))]) {
      curve(parent, runs.filter((run) => run.metric === metric), 'valid', 'metric',
        `${metric} on validation rows${title}`, metric);
    }
    parent.append(table(`Runs${title}`, ['run', 'recipe', 'status', {name: 'epochs'}, {name: 'steps'}, 'metric',
      {name: 'best'}, {name: 'training s'}, {name: 'rows/s'}],
    runs.map((run) => [run.name, run.recipe, run.status, run.result.epochs ?? null, run.result.steps ?? null,
      run.metric, run.result.best_metric ?? null, run.result.train_seconds ?? null,
      typeof run.result.rows_per_second === 'number' ? Math.round(run.result.rows_per_second) : null])));
  }
}

// ---- item vectors

/** The topics with the most items by name; all others are one. */
function commonTopics(bundle) {
  const counts = new Map();
  for (const [, , topic] of bundle.points) counts.set(topic, (counts.get(topic) || 0) + 1);
  const common = [...counts].sort((a, b) => b[1] - a[1]).slice(0, kMostSeries - 1).map(([topic]) => topic);
  return {counts, nameOf: (topic) => (common.includes(topic) ? bundle.topics[topic] || 'none' : 'others')};
}

function bundles() {
  if (!report.bundles.length) return;
  const parent = section('items', 'Item vectors');
  for (const bundle of report.bundles) {
    const {nameOf} = commonTopics(bundle);
    const points = bundle.points.map(([x, y, topic, id]) => ({x, y, id, topic: nameOf(topic), own: bundle.topics[topic]}));
    const names = [...new Set(points.map((point) => point.topic))].sort((a, b) => (a === 'others') - (b === 'others'));
    const share = bundle.explained.map((part) => `${Math.round(100 * part)}%`);
    const topics = names.map((name) => {
      const own = points.filter((point) => point.topic === name);
      const mean = (key) => own.reduce((sum, point) => sum + point[key], 0) / own.length;
      return [name, own.length, mean('x'), mean('y')];
    });
    chart(parent, {
      title: `Items of ${bundle.name}: ${bundle.model}, version ${bundle.version}${bundle.topic ? `, by ${bundle.topic}` : ''}`,
      text: `${points.length} of ${bundle.items} item vectors on their two principal axes, which hold ${share.join(' and ')} of the variance`,
      names: bundle.topic ? names : [],
      plot: (width) => ({
        height: Math.min(560, Math.max(320, Math.round(width * 0.62))),
        x: {label: `first axis (${share[0]} of the variance)`, grid: true},
        y: {label: `second axis (${share[1]})`, grid: true},
        marks: [Plot.dot(points, {x: 'x', y: 'y', r: 3, tip: true, fillOpacity: 0.75,
          ...(bundle.topic ? {fill: 'topic', symbol: 'topic'} : {fill: 'currentColor'}),
          title: (point) => `${point.id}\n${bundle.topic} ${point.own}`})],
      }),
      columns: [{name: bundle.topic || 'topic', text: true}, {name: 'items'}, {name: 'mean on the first axis'}, {name: 'on the second'}],
      rows: topics,
    });
    parent.append(element('p', {class: 'soft'},
      `${bundle.name}: ${number(bundle.items)} items and ${number(bundle.users)} users, vectors of width ${bundle.dim}.`));
  }
}

document.querySelector('h1').textContent = report.title;
comparisons();
abtests();
training();
indexes();
bundles();
