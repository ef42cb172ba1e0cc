// Makes the page's elements. Texts enter as text nodes alone, never as markup.

/** element('td', {class: 'number'}, 'text' or element, ..) */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

export function percent(value) {
  if (typeof value !== 'number') return '–';
  const hundredths = value * 100;
  if (hundredths >= 99.95) return '100%';
  return `${hundredths.toFixed(hundredths >= 9.95 ? 1 : 2)}%`;
}

export function milliseconds(value) {
  return Number.isFinite(value) ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : 'unknown';
}

function score(value) {
  return Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(3);
}

function textOf(value) {
  if (Array.isArray(value)) return value.map(textOf).join(', ');
  if (value === null || value === undefined || value === '') return 'missing';
  if (typeof value === 'object') return JSON.stringify(value);
  if (typeof value === 'number') return String(Math.round(value * 1e4) / 1e4);
  return String(value);
}

const kTitles = ['title', 'name', 'headline'];

/** The item's title if it has one, else its id. */
export function titleOf(id, attributes) {
  for (const name of kTitles) {
    const value = attributes && attributes[name];
    if (value && value.length) return textOf(value);
  }
  return id;
}

/** The first attributes in a line, titles left out. */
export function summaryOf(attributes, most = 3) {
  return Object.entries(attributes || {})
    .filter(([name, value]) => !kTitles.includes(name) && value !== null && textOf(value) !== '')
    .slice(0, most)
    .map(([name, value]) => `${name} ${textOf(value)}`)
    .join(' · ');
}

export function fillDefinitions(list, entries) {
  list.replaceChildren();
  for (const [name, value] of entries) {
    list.append(element('dt', {}, name), element('dd', {}, textOf(value)));
  }
}

/** [short, spoken, class] of a rank against the rank in the other list, undefined where absent. */
function against(rank, other, otherName) {
  if (other === undefined) return ['only', `only here, not in list ${otherName}`, ''];
  const steps = other - rank;
  if (steps === 0) return ['=', `same rank as in list ${otherName}`, ''];
  const higher = steps > 0;
  return [
    `${higher ? '▲' : '▼'}${Math.abs(steps)}`,
    `${Math.abs(steps)} ${higher ? 'above' : 'below'} its rank in list ${otherName}`,
    higher ? 'up' : 'down',
  ];
}

/** What the row's button shows: where the score comes from. */
function reasons(candidate, explanation) {
  const entries = [['id', candidate.id]];
  for (const [name, value] of Object.entries(candidate)) {
    if (name !== 'id' && name !== 'score') entries.push([name, value]);
  }
  if (explanation) {
    entries.push(['logistic of the score', percent(1 / (1 + Math.exp(-candidate.score)))]);
    for (const [task, value] of Object.entries(explanation.tasks || {})) {
      entries.push([`score of ${task}`, value]);
    }
    const teacher = explanation.teacher || {};
    for (const [task, value] of Object.entries(teacher.tasks || {})) {
      entries.push([`teacher: ${task}`, percent(value)]);
    }
    if (typeof teacher.seconds === 'number') entries.push(['teacher: seconds', teacher.seconds]);
    if (explanation.popularity !== undefined) {
      entries.push(['of it popularity', explanation.popularity]);
    }
    for (const near of explanation.nearest || []) {
      entries.push(['near in the history', `${near.id}, cosine ${near.cosine.toFixed(3)}`]);
    }
    entries.push(...Object.entries(explanation.attributes || {}));
  } else {
    entries.push(['why', 'the bundle does not hold this item']);
  }
  const list = element('dl');
  fillDefinitions(list, entries);
  return list;
}

function candidateRow(candidate, rank, list, id) {
  const {explanations, otherRanks, otherName, before} = list;
  const explanation = explanations.get(candidate.id);
  const teacher = (explanation && explanation.teacher) || {};
  const attributes = explanation && explanation.attributes;
  const summary = summaryOf(attributes);
  const button = element(
    'button',
    {type: 'button', class: 'item', 'aria-expanded': 'false', 'aria-controls': id},
    titleOf(candidate.id, attributes),
  );
  const cells = [
    element('td', {class: 'number'}, String(rank)),
    element('th', {scope: 'row'}, button, summary ? element('small', {}, summary) : ''),
    element('td', {class: 'number'}, score(candidate.score)),
    ...['pctr', 'pcvr', 'pctcvr'].map((name) =>
      element('td', {class: 'number teacher'}, percent(teacher[name]))),
  ];
  if (otherName) {
    const [shown, spoken, kind] = against(rank, otherRanks.get(candidate.id), otherName);
    cells.push(element('td', {class: `number ${kind}`},
      element('span', {'aria-hidden': 'true'}, shown),
      element('span', {class: 'hidden'}, spoken)));
  } else {
    cells.push(element('td', {class: 'number'}, '–'));
  }
  const row = element('tr', {}, ...cells);
  row.dataset.item = candidate.id;
  if (otherName && otherRanks.has(candidate.id)) row.classList.add('both');
  if (before && !before.has(candidate.id)) row.classList.add('fresh');
  return {row, button, explanation};
}

/**
 * Fills a list's body. list: {items, explanations: Map, otherRanks: Map, otherName or '',
 * before: Set or null, name}. `hover(id or null)` is told which item has the pointer or the focus.
 */
export function fillList(body, list, hover) {
  body.replaceChildren();
  list.items.forEach((candidate, at) => {
    const id = `why-${list.name}-${at}`;
    const {row, button, explanation} = candidateRow(candidate, at + 1, list, id);
    const why = element('tr', {id, class: 'why', hidden: true});
    button.addEventListener('click', () => {
      const open = why.hidden;
      if (open && !why.hasChildNodes()) {
        why.append(element('td', {colspan: '7'}, reasons(candidate, explanation)));
      }
      why.hidden = !open;
      button.setAttribute('aria-expanded', String(open));
    });
    for (const event of ['pointerenter', 'focusin']) {
      row.addEventListener(event, () => hover(candidate.id));
    }
    for (const event of ['pointerleave', 'focusout']) row.addEventListener(event, () => hover(null));
    body.append(row, why);
  });
}
