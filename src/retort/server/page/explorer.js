// The explorer: one question (user, filter, number of items), two lists of candidates.
import {ApiError, ask, explain, setToken, token} from './api.js';
import {element, fillDefinitions, fillList, milliseconds, summaryOf, titleOf} from './view.js';

const kHistoryShown = 20;
const kHistoryMost = 200;
const kTyping = 250; // ms without a key before a text counts
const kMoving = 40; // of a slider

const at = (id) => document.getElementById(id);

let models = [];
let known = null; // what the server says of the user
let asked = new AbortController(); // of the user's history
let suggesting = new AbortController();

/** Calls `act` once `wait` ms have passed without another call. */
function settled(wait, act) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(act, wait);
  };
}

/** One of the two lists, with its model and its own fusion weights. */
class Column {
  constructor(name) {
    this.name = name;
    this.items = [];
    this.explanations = new Map();
    this.before = null;
    this.shares = null; // null: the model's own
    this.request = new AbortController();
    this.section = at('column').content.firstElementChild.cloneNode(true);
    const find = (selector) => this.section.querySelector(selector);
    this.parts = {
      select: find('.model'), weights: find('.weights'), latency: find('.latency'),
      error: find('.error'), note: find('.note'), table: find('table'), body: find('tbody'),
    };
    find('h2').textContent = `List ${name}`;
    find('h2').id = `list-${name}`;
    this.section.setAttribute('aria-labelledby', `list-${name}`);
    find('caption').textContent = `Candidates of list ${name}, best first`;
    find('.model-label').textContent = `Model of list ${name}`;
    find('.model-label').htmlFor = this.parts.select.id = `model-${name}`;
    this.parts.select.addEventListener('change', () => {
      this.chooseModel();
      refreshAll();
    });
    this.moved = settled(kMoving, () => refresh(this));
    at('lists').append(this.section);
  }

  get model() {
    return models.find((model) => model.name === this.parts.select.value);
  }

  ranks() {
    return new Map(this.items.map((item, index) => [item.id, index + 1]));
  }

  chooseModel() {
    this.before = null;
    this.shares = null;
    this.makeWeights();
    remember();
  }

  /** A slider for the first of two tasks, or one for each of more. */
  makeWeights() {
    this.parts.weights.replaceChildren();
    const {model} = this;
    if (!model) return;
    const own = model.fusion || [];
    if (own.length < 2) {
      this.parts.weights.append(
        element('p', {class: 'hint'}, 'A model of one score: there is no weight to move.'));
      return;
    }
    const sliders = own.length === 2 ? own.slice(0, 1) : own;
    sliders.forEach((value, index) => this.parts.weights.append(this.slider(model, index, value)));
    const back = element('button', {type: 'button'}, `The model's own weight (list ${this.name})`);
    back.addEventListener('click', () => {
      this.shares = null;
      this.parts.weights.querySelectorAll('input').forEach((input, index) => {
        input.value = String(own[index]);
        input.dispatchEvent(new Event('show'));
      });
      refresh(this);
    });
    this.parts.weights.append(element('div', {}, back));
  }

  slider(model, index, value) {
    const id = `weight-${this.name}-${index}`;
    const [task, other] = [model.tasks[index], model.tasks[1]];
    const two = model.fusion.length === 2;
    const label = element('label', {for: id},
      two ? `Fusion weight: share of ${task} against ${other}` : `Share of ${task}`);
    const input = element('input', {id, type: 'range', min: '0', max: '1', step: '0.05'});
    const output = element('output', {for: id});
    const show = () => {
      output.textContent = Number(input.value).toFixed(2);
      input.setAttribute('aria-valuetext', two
        ? `${output.textContent} ${task}, ${(1 - input.value).toFixed(2)} ${other}`
        : output.textContent);
    };
    input.value = String(value);
    input.addEventListener('show', show);
    input.addEventListener('input', () => {
      show();
      const all = [...this.parts.weights.querySelectorAll('input')].map((each) => Number(each.value));
      this.shares = two ? all[0] : all;
      this.moved();
    });
    show();
    return element('div', {class: 'weight'}, label, input, output);
  }

  clear() {
    this.request.abort();
    this.items = [];
    this.before = null;
    this.parts.body.replaceChildren();
    this.parts.latency.textContent = this.parts.note.textContent = '';
  }
}

const columns = [];

function question(column) {
  const asks = {user: at('user').value.trim(), model: column.model.name};
  if (column.shares !== null) asks.fusion = column.shares;
  return asks;
}

/** Asks for a list and its reasons, and shows both; an older answer never follows a newer one. */
async function refresh(column) {
  column.request.abort();
  const user = at('user').value.trim();
  column.section.hidden = !column.model && columns.some((other) => other.model);
  if (!user || !column.model) {
    column.clear();
    column.parts.error.textContent = '';
    return showLists();
  }
  const request = new AbortController();
  column.request = request;
  const asks = {...question(column), k: Number(at('count').value)};
  const where = at('where').value.trim();
  if (where) asks.where = where;
  if (at('exclude-seen').checked) asks.exclude_seen = true;
  if (at('all-items').checked) asks.all_items = true;
  column.section.setAttribute('aria-busy', 'true');
  try {
    const answer = await ask('POST', '/v1/retrieve', asks, request.signal);
    await showAnswer(column, answer, request);
  } catch (error) {
    if (request.signal.aborted) return undefined;
    column.clear();
    column.parts.error.textContent = error.message;
    if (error.status === 401) askForToken(error.message);
    showLists();
  } finally {
    if (!request.signal.aborted) column.section.removeAttribute('aria-busy');
  }
  return undefined;
}

async function showAnswer(column, answer, request) {
  const before = column.items.length ? new Set(column.items.map((item) => item.id)) : null;
  column.parts.error.textContent = '';
  column.parts.latency.textContent =
    `${answer.data.model} version ${answer.data.version}: ` +
    `${milliseconds(answer.browser)} in the browser, ${milliseconds(answer.server)} in the server`;
  let explanations = new Map();
  let note = '';
  const hasTeacher = () => [...explanations.values()].some((item) => item.teacher);
  try {
    explanations = await explain(
      question(column), answer.data.items.map((item) => item.id), request.signal);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    note = `No reasons: ${error.message}`;
  }
  if (request.signal.aborted) return;
  column.before = before;
  column.items = answer.data.items;
  column.explanations = explanations;
  if (!note && column.items.length === 0) note = 'No item passes the filter.';
  column.parts.table.classList.toggle('no-teacher', !hasTeacher());
  if (!note && !hasTeacher()) {
    // null: there is a teacher, and it needs to know what the user did.
    const silent = [...explanations.values()].some((item) => item.teacher === null);
    note = silent
      ? 'The teacher counts what the user did before, which is not known.'
      : 'This bundle carries no teacher: there are no probabilities beside the score.';
  }
  column.parts.note.textContent = note;
  showLists();
}

/** Both lists, each with what the other has. */
function showLists() {
  const shown = columns.filter((column) => column.model);
  for (const column of shown) {
    const other = shown.find((each) => each !== column && each.items.length);
    fillList(column.parts.body, {
      ...column,
      otherRanks: other ? other.ranks() : new Map(),
      otherName: other ? other.name : '',
    }, highlight);
  }
  const [first, second] = shown;
  at('overlap').textContent = '';
  if (!first || !second || !first.items.length || !second.items.length) return;
  const ranks = second.ranks();
  const both = first.items.filter((item) => ranks.has(item.id));
  const moved = both.filter((item) => ranks.get(item.id) !== first.ranks().get(item.id));
  at('overlap').textContent =
    `${both.length} of ${Math.max(first.items.length, second.items.length)} items are in both ` +
    `lists (shaded), ${moved.length} of them at another rank.`;
  announce(changesOf(first) + changesOf(second) + at('overlap').textContent);
}

function changesOf(column) {
  if (!column.before) return '';
  const fresh = column.items.filter((item) => !column.before.has(item.id)).length;
  return fresh ? `List ${column.name}: ${fresh} new. ` : '';
}

const announce = (() => {
  let text = '';
  const speak = settled(400, () => { at('spoken').textContent = text; });
  return (what) => {
    text = what;
    speak();
  };
})();

function highlight(id) {
  for (const {parts} of columns) {
    for (const row of parts.body.rows) {
      row.classList.toggle('same-item', id !== null && row.dataset.item === id);
    }
  }
}

function refreshAll() {
  for (const column of columns) refresh(column);
}

/** History and features, as the first list's model knows them. */
async function showUser() {
  asked.abort();
  asked = new AbortController();
  const {signal} = asked;
  const user = at('user').value.trim();
  const column = columns.find((each) => each.model);
  at('known').hidden = true;
  known = null;
  if (!user || !column) return;
  const path = `/v1/users/${encodeURIComponent(user)}?model=${encodeURIComponent(column.model.name)}`;
  try {
    known = (await ask('GET', path, undefined, signal)).data;
  } catch (error) {
    if (signal.aborted || error.status === 404) return; // the lists say so
    at('known').hidden = false;
    at('history').replaceChildren();
    at('known-note').textContent = `No history: ${error.message}`;
    return;
  }
  const items = known.history.slice(0, kHistoryMost);
  let explanations = new Map();
  try {
    explanations = await explain({...question(column), nearest: 0}, items, signal);
  } catch {
    // ids alone, then
  }
  if (signal.aborted) return;
  at('known').hidden = false;
  at('known-note').textContent = items.length
    ? `${known.history.length} items, newest first as far as the model knows the order.`
    : 'Nothing is known of what this user did.';
  showHistory(items, explanations, kHistoryShown);
  fillDefinitions(at('features').querySelector('dl'), Object.entries(known.features));
}

function showHistory(items, explanations, most) {
  at('history').replaceChildren(...items.slice(0, most).map((id) => {
    const attributes = (explanations.get(id) || {}).attributes;
    const summary = summaryOf(attributes, 1);
    return element('li', {}, titleOf(id, attributes), summary ? ' ' : '',
      summary ? element('small', {}, summary) : '');
  }));
  const more = at('more-history');
  more.hidden = items.length <= most;
  more.textContent = `Show ${items.length - most} more`;
  more.onclick = () => {
    showHistory(items, explanations, items.length);
    at('features').querySelector('summary').focus();
  };
}

async function suggest() {
  suggesting.abort();
  suggesting = new AbortController();
  const prefix = encodeURIComponent(at('user').value.trim());
  try {
    const {data} = await ask('GET', `/v1/users?prefix=${prefix}`, undefined, suggesting.signal);
    at('users').replaceChildren(...data.users.map((user) => element('option', {value: user})));
  } catch {
    at('users').replaceChildren(); // without them an id can still be typed
  }
}

function userChanged() {
  for (const column of columns) column.clear();
  at('status').textContent = '';
  remember();
  showUser();
  refreshAll();
}

/** The part of the address behind #, so that a comparison can be bookmarked. */
function remember() {
  const parts = new URLSearchParams();
  if (at('user').value.trim()) parts.set('user', at('user').value.trim());
  for (const column of columns) if (column.model) parts.set(column.name, column.model.name);
  history.replaceState(null, '', `#${parts}`);
}

function fillAttributes() {
  const all = new Map();
  for (const model of models) {
    for (const entry of Object.entries(model.attributes || {})) all.set(...entry);
  }
  at('builder').hidden = all.size === 0;
  at('attribute').replaceChildren(...[...all.keys()].sort().map((name) => element('option', {}, name)));
  const fillValues = () => {
    const {values = []} = all.get(at('attribute').value) || {};
    at('values').replaceChildren(...values.map((value) => element('option', {value})));
  };
  at('attribute').onchange = fillValues;
  fillValues();
}

function addFilter() {
  const [name, value] = [at('attribute').value, at('value').value.trim()];
  if (!value) {
    at('value').focus();
    return;
  }
  const plain = value !== '' && Number.isFinite(Number(value));
  const operand = plain ? value : `'${value.replaceAll("'", "''")}'`;
  const term = `${/^\w+$/.test(name) ? name : `\`${name}\``} ${at('operator').value} ${operand}`;
  const before = at('where').value.trim();
  at('where').value = before ? `(${before}) and ${term}` : term;
  refreshAll();
}

function askForToken(message) {
  at('access').hidden = false;
  at('status').textContent = message;
}

async function start() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  try {
    models = (await ask('GET', '/v1/models')).data.models;
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) {
      askForToken('This server wants a token before it answers.');
      at('token').focus();
    } else {
      at('status').textContent = error.message;
    }
    return;
  }
  at('access').hidden = !token();
  at('status').textContent = '';
  columns.forEach((column, index) => {
    const options = models.map((model) =>
      element('option', {value: model.name}, `${model.name} (version ${model.version})`));
    if (index > 0) options.push(element('option', {value: ''}, 'none'));
    column.parts.select.replaceChildren(...options);
    const named = models.find((model) => model.name === wanted.get(column.name));
    const first = models[Math.min(index, models.length - 1)];
    column.parts.select.value = (named || first).name;
    column.shares = null;
    column.makeWeights();
  });
  if (wanted.get('user')) at('user').value = wanted.get('user');
  fillAttributes();
  suggest();
  userChanged();
}

columns.push(new Column('A'), new Column('B'));
at('controls').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!at('access').hidden && at('token').value) {
    setToken(at('token').value.trim());
    at('token').value = '';
    start();
    return;
  }
  userChanged();
});
const typed = settled(kTyping, suggest);
at('user').addEventListener('input', typed);
at('user').addEventListener('change', userChanged);
at('where').addEventListener('input', settled(kTyping, refreshAll));
for (const id of ['count', 'exclude-seen', 'all-items']) at(id).addEventListener('change', refreshAll);
at('add-filter').addEventListener('click', addFilter);
at('clear-filter').addEventListener('click', () => {
  at('where').value = '';
  refreshAll();
});
start();
