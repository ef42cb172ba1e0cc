// Charts by Observable Plot, each with a title, a text that a screen reader gets, and its numbers as
// a table; redrawn as the window's width or the colour scheme changes. Tables with captions and
// scopes. Texts of the data enter the page as text nodes alone.
'use strict';

const dark = matchMedia('(prefers-color-scheme: dark)');
const kLightColours = ['#1f5fae', '#b45309', '#15803d', '#a21caf', '#b91c1c', '#0e7490', '#6d5b00',
  '#6b21a8', '#4b5563', '#be185d'];
const kDarkColours = ['#8cbcf5', '#f5b35c', '#6fd08c', '#e59cf5', '#ff9a9a', '#5fd0e4', '#d9c74a',
  '#c4a5ff', '#b7c0cc', '#ff9fcb'];
const kSymbols = ['circle', 'square', 'triangle', 'diamond', 'star', 'wye', 'cross', 'hexagon'];

/** What means the same everywhere has one colour and shape: places in the lists above. */
const kPlaces = {
  model: 0, 'ranking model': 1, 'simple rule': 2, 'the truth': 3,
  better: 2, worse: 4, 'not distinguishable': 8, equal: 8, replayed: 1, others: 8,
};
const placeOfName = new Map();

/** A place for each name, its own on the whole page as far as there are enough. */
function placesOf(names) {
  const taken = new Set();
  return names.map((name) => {
    if (!(name in kPlaces) && !placeOfName.has(name)) placeOfName.set(name, placeOfName.size);
    let place = (kPlaces[name] ?? placeOfName.get(name)) % kLightColours.length;
    while (taken.has(place) && taken.size < kLightColours.length) place = (place + 1) % kLightColours.length;
    taken.add(place);
    return place;
  });
}

/** element('td', {class: 'number'}, 'text' or element, ..) */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

function number(value, digits = 4) {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
  if (Number.isInteger(value)) return value.toLocaleString('en');
  const size = Math.abs(value);
  return size >= 1000 ? Math.round(value).toLocaleString('en') : value.toFixed(size >= 100 ? 1 : digits);
}

/** {text, class} of a verdict: what it says, never the colour alone. */
function verdictCell(verdict) {
  const kind = ['better', 'reproduced'].includes(verdict) ? 'good'
    : ['worse', 'reversed'].includes(verdict) ? 'bad' : '';
  return element('td', {class: kind}, verdict || '–');
}

/**
 * A table that scrolls sideways by itself. columns: ['name', ..] or [{name, number: bool}]; rows:
 * lists of texts, numbers or elements; the first cell names the row.
 */
function table(caption, columns, rows) {
  const heads = columns.map((column) => {
    const {name, text} = typeof column === 'string' ? {name: column, text: true} : column;
    return element('th', {scope: 'col', class: text ? undefined : 'number'}, name);
  });
  const body = rows.map((cells) => element('tr', {}, ...cells.map((cell, at) => {
    if (cell instanceof Element) return cell;
    if (at === 0) return element('th', {scope: 'row'}, typeof cell === 'number' ? number(cell) : String(cell));
    if (typeof cell === 'number') return element('td', {class: 'number'}, number(cell));
    const text = typeof columns[at] === 'string' || columns[at].text;
    return element('td', {class: text ? undefined : 'number'}, cell === null || cell === undefined ? '–' : String(cell));
  })));
  return element('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption},
    element('table', {}, element('caption', {}, caption),
      element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...body)));
}

const redraws = [];

/** The label of the x axis below its numbers. */
function withRoom(options) {
  return {...options, x: {labelOffset: 44, ...options.x}};
}

/**
 * Adds a chart. what: {title, text (what it says, for who does not see it), names (of series, for
 * colours and the legend), note (shown below), plot(width) -> options of Plot.plot, columns, rows (the
 * same as a table)}; `what` may be a function, called at every drawing.
 */
function chart(parent, what) {
  const space = element('div', {class: 'chart'});
  const legend = element('ul', {class: 'legend'});
  const caption = element('figcaption');
  const numbers = element('details', {}, element('summary', {}, 'The numbers'));
  const remark = element('p', {class: 'soft'});
  const figure = element('figure', {}, caption, legend, space, remark, numbers);
  parent.append(figure);
  const draw = () => {
    const {title, text, note, names = [], plot, columns, rows} = typeof what === 'function' ? what() : what;
    const palette = dark.matches ? kDarkColours : kLightColours;
    const places = placesOf(names);
    const colour = {type: 'ordinal', domain: names, range: places.map((place) => palette[place])};
    const symbol = {domain: names, range: places.map((place) => kSymbols[place % kSymbols.length])};
    const width = Math.max(280, Math.floor(space.clientWidth || parent.clientWidth || 640));
    caption.textContent = title;
    remark.textContent = note || '';
    remark.hidden = !note;
    const svg = Plot.plot({
      width,
      style: {background: 'transparent', fontSize: '13px', overflow: 'visible'},
      ariaLabel: title,
      ariaDescription: text,
      marginBottom: 50,
      ...withRoom(plot(width)),
      ...(names.length ? {color: colour, symbol} : {}),
    });
    svg.setAttribute('role', 'img');
    space.replaceChildren(svg);
    legend.hidden = names.length < 2;
    legend.replaceChildren(...names.map((name, at) => {
      const mark = Plot.plot({width: 14, height: 14, margin: 0, axis: null,
        marks: [Plot.dot([[7, 7]], {r: 5, frameAnchor: 'middle', symbol: symbol.range[at], fill: colour.range[at]})]});
      mark.setAttribute('aria-hidden', 'true');
      return element('li', {}, mark, name);
    }));
    const open = numbers.querySelector('.scroll');
    if (open) open.remove();
    if (rows) numbers.append(table(title, columns, rows));
    numbers.hidden = !rows;
  };
  redraws.push(draw);
  draw();
  return draw;
}

function redrawAll() {
  for (const draw of redraws) draw();
}

let drawnWidth = innerWidth;
addEventListener('resize', () => {
  if (innerWidth === drawnWidth) return;
  drawnWidth = innerWidth;
  redrawAll();
});
dark.addEventListener('change', redrawAll);

/** A labelled select; `chosen(value)` when it changes. */
function choice(parent, label, values, first, chosen) {
  const id = `choice-${document.querySelectorAll('select').length}`;
  const select = element('select', {id}, ...values.map((value) => element('option', {}, value)));
  select.value = first;
  select.addEventListener('change', () => chosen(select.value));
  parent.append(element('div', {class: 'controls'}, element('label', {for: id}, label), select));
}

/** Left margin for names on the y axis, at most two fifths of the width. */
function marginFor(names, width) {
  const longest = Math.max(0, ...names.map((name) => String(name).length));
  return Math.min(Math.ceil(longest * 7.2) + 14, Math.floor(width * 0.42));
}

/** Values with intervals, a line each: rows of {name, value, low, high, kind}. */
function intervalPlot(rows, label, zero) {
  const names = rows.map((row) => row.name);
  return (width) => {
    const left = marginFor(names, width);
    const most = Math.floor((left - 14) / 7.2);
    return {
      marginLeft: left,
      marginRight: 16,
      height: 80 + 24 * rows.length,
      x: {label, grid: true, ticks: Math.max(3, Math.floor((width - left) / 90))},
      y: {domain: names, label: null,
        tickFormat: (name) => (name.length > most ? `${name.slice(0, most - 1)}…` : name)},
      marks: [
        zero ? Plot.ruleX([0], {stroke: 'currentColor', strokeDasharray: '3,3'}) : null,
        Plot.ruleY(rows.filter((row) => Number.isFinite(row.low)),
          {x1: 'low', x2: 'high', y: 'name', stroke: 'kind', strokeWidth: 2}),
        Plot.dot(rows, {x: 'value', y: 'name', fill: 'kind', symbol: 'kind', r: 4.5,
          tip: true, title: (row) => `${row.name}\n${number(row.value)} [${number(row.low)}, ${number(row.high)}]`}),
      ],
    };
  };
}
