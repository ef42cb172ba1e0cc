// The section of A/B tests: of the platform by section, of a feed by ranker, one or summed up. Uses
// charts.js, and of sections.js the data and how intervals are written.
'use strict';

/** 0.0865142 as 8.65. */
function percentOf(share) {
  return Number.isFinite(share) ? Math.round(1e4 * share) / 1e2 : null;
}

/** A relative difference with its interval, in per cent. */
function percent(one) {
  const {value, low, high} = one.relative || {};
  return interval({value: percentOf(value), low: percentOf(low), high: percentOf(high)}, 2);
}

/** Relative differences of one metric, which the reader chooses. */
function armsChart(parent, section, differences) {
  const relative = differences.filter((one) => one.relative && Number.isFinite(one.relative.value));
  if (!relative.length) return;
  const metrics = [...new Set(relative.map((one) => one.metric))];
  let metric = metrics.find((name) => name === 'expected_seconds') || metrics[0];
  let draw = null;
  choice(parent, `Metric of ${section}`, metrics, metric, (value) => {
    metric = value;
    draw();
  });
  draw = chart(parent, () => {
    const rows = relative.filter((one) => one.metric === metric).map((one) => ({name: one.arm,
      kind: one.verdict, value: 100 * one.relative.value, low: 100 * one.relative.low, high: 100 * one.relative.high}));
    return {
      title: `${section}, ${metric}: arms against the control`,
      text: `Relative differences in per cent with 95% intervals, paired by user: ${rows.map((row) => `${row.name} ${number(row.value, 1)}, ${row.kind}`).join('; ')}`,
      names: [...new Set(rows.map((row) => row.kind))],
      plot: intervalPlot(rows, 'difference, %', true),
      columns: [{name: 'arm', text: true}, {name: '%'}, {name: 'low'}, {name: 'high'}, {name: 'verdict', text: true}],
      rows: rows.map((row) => [row.name, row.value, row.low, row.high, row.kind]),
    };
  });
}

function differencesOfArms(parent, section, differences) {
  if (!differences.length) return;
  const everyLook = differences.some((one) => one.sequential);
  const absolute = differences.some((one) => Number.isFinite(one.value));  // not in a sum of tests
  parent.append(table(`${section}: arms against the control`,
    ['arm', 'metric', ...(absolute ? [{name: 'difference'}] : []), {name: 'relative, %'}, 'verdict', {name: 'published, %'}, 'claim',
      ...(everyLook ? [{name: 'difference at every look'}] : [])],
    differences.map((one) => [one.arm, one.metric, ...(absolute ? [interval(one)] : []), percent(one), verdictCell(one.verdict),
      percentOf(one.published), verdictCell(one.claim),
      ...(everyLook ? [one.sequential
        ? `[${number(one.sequential.low)}, ${number(one.sequential.high)}]` +
          (one.sequential.decided_after ? `, decided after ${number(one.sequential.decided_after)} users` : '') : '–'] : [])])));
}

function publishedOrder(parent, section, order) {
  if (!order.length) return;
  parent.append(table(`${section}: neighbours in the published order`,
    ['pair', 'metric', {name: 'relative, %'}, {name: 'published, %'}, 'claim'],
    order.map((one) => [`${one.arm} above ${one.below}`, one.metric, percent(one),
      percentOf(one.published), verdictCell(one.claim)])));
}

const estimators = {ips: 'IPS', snips: 'SNIPS', doubly_robust: 'doubly robust', direct: 'the ranker alone'};

/** What the log's propensities say of each arm, beside what the replay found. */
function counterfactual(parent, section, arms) {
  const all = Object.entries(arms).flatMap(([arm, metrics]) =>
    Object.entries(metrics).map(([metric, found]) => ({arm, metric, found})));
  if (!all.length) return;
  const first = all[0].metric;
  let chosen = 'doubly_robust';
  let draw = null;
  choice(parent, `Estimate ${section}`, Object.values(estimators), estimators[chosen], (name) => {
    chosen = Object.keys(estimators).find((key) => estimators[key] === name);
    draw();
  });
  draw = chart(parent, () => {
    const rows = all.filter((one) => one.metric === first).flatMap(({arm, found}) => [
      {name: arm, kind: estimators[chosen], ...found[chosen]},
      ...(typeof found.replayed === 'number' ? [{name: arm, kind: 'replayed', value: found.replayed}] : [])]);
    return {
      title: `${section}, ${first}: what the log alone says of the arms`,
      text: `${estimators[chosen]} with 95% intervals, beside what was replayed`,
      names: [...new Set(rows.map((row) => row.kind))],
      plot: intervalPlot(rows, first, false),
    };
  });
  parent.append(table(`${section}: estimates from the log alone, value [95% interval]`,
    ['arm', 'metric', {name: 'replayed'}, ...Object.values(estimators).map((name) => ({name})),
      {name: 'effective impressions'}, {name: 'rewarded'}],
    all.map(({arm, metric, found}) => [arm, metric, found.replayed ?? null,
      ...Object.keys(estimators).map((key) => interval(found[key])), Math.floor(found.effective), found.rewarded ?? null])));
  for (const {arm, metric, found} of all.filter((one) => one.metric === first)) {
    for (const text of found.warnings || []) {
      parent.append(element('p', {class: 'warning'}, `Do not rely on the estimate of ${metric} for ${arm}: ${text}.`));
    }
  }
}

function armCell(metric) {
  if (typeof metric === 'number') return number(metric);
  return metric && Number.isFinite(metric.deviation) ? `${number(metric.value)} (${number(metric.deviation)})` : interval(metric);
}

function abtests() {
  if (!report.abtests.length) return;
  const parent = section('abtests', 'A/B tests');
  for (const test of report.abtests) {
    parent.append(element('h3', {}, `${test.name}`));
    parent.append(element('p', {class: 'soft'}, (test.tests
      ? `${test.tests.length} tests, each with its own world or models; intervals over the tests`
      : `${test.world || test.source || ''}, ${test.date || test.from || ''}: ${number(test.users)} users`) +
      '; the first arm is the control.'));
    for (const [name, part] of Object.entries(test.sections)) {
      armsChart(parent, name, part.differences || []);
      differencesOfArms(parent, name, part.differences || []);
      publishedOrder(parent, name, part.order || []);
      const metrics = metricsOf(part.models || {});
      if (metrics.length) {
        parent.append(table(`${name}: all arms, ${test.tests ? 'mean (deviation over tests)' : 'value [95% interval]'}`,
          ['arm', ...metrics.map((metric) => ({name: metric}))],
          Object.entries(part.models).map(([arm, values]) => [arm, ...metrics.map((metric) => armCell(values[metric]))])));
      }
      counterfactual(parent, name, part.counterfactual || {});
    }
    for (const note of test.notes || []) parent.append(element('p', {class: 'soft'}, note));
  }
}
