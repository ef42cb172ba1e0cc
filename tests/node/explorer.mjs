// Clicks the explorer through. Arguments: address of a server with the models `two` (tasks click
// and dwm) and `one` (with its teacher); a user; a folder for pictures; address of the same with tokens; a token.
import assert from 'node:assert/strict';
import {assertContrast, assertNamed, assertNoSidewaysScroll, openBrowser, tabThrough, until,
  watchedPage} from './browser.mjs';

const [address, user, pictures, closed, token] = process.argv.slice(2);

const list = (page, name) => page.locator(`#lists section:has(#list-${name})`);
const items = (page, name) => list(page, name).locator('tbody th .item').allTextContents();

/** Waits until the list is another than it was; returns it. */
async function changed(page, name, before) {
  const deadline = Date.now() + 8000;
  for (;;) {
    const now = await items(page, name);
    if (now.length > 0 && JSON.stringify(now) !== JSON.stringify(before)) return now;
    assert.ok(Date.now() < deadline, `list ${name} stays as it was`);
    await page.waitForTimeout(30);
  }
}

async function findUser(page) {
  await page.goto(`${address}/`);
  await until(page, () => document.querySelectorAll('#users option').length > 3);
  await page.getByLabel('User', {exact: true}).fill('u');
  await page.getByLabel('User', {exact: true}).fill(user);
  await page.keyboard.press('Enter');
  return [await changed(page, 'A', []), await changed(page, 'B', [])];
}

async function seesListsAndReasons(page, [first, second]) {
  assert.equal(first.length, 20);
  assert.equal(second.length, 20);
  assert.notDeepEqual(first, second);
  await until(page, () => document.querySelectorAll('#history li').length > 0);
  const both = first.filter((item) => second.includes(item));
  assert.match(await page.locator('#overlap').textContent(),
    new RegExp(`^${both.length} of 20 items are in both lists`));
  assert.equal(await list(page, 'A').locator('tr.both').count(), both.length);
  for (const name of ['A', 'B']) {
    assert.match(await list(page, name).locator('.latency').textContent(),
      /version 1: [\d.]+ ms in the browser, [\d.]+ ms in the server$/);
  }
  // The rank against the other list, by the lists themselves.
  const row = list(page, 'A').locator(`tr[data-item="${both[0]}"]`);
  const steps = second.indexOf(both[0]) - first.indexOf(both[0]);
  const shown = steps === 0 ? '=' : `${steps > 0 ? '▲' : '▼'}${Math.abs(steps)}`;
  assert.equal(await row.locator('td').last().locator('span').first().textContent(), shown);
  for (const cell of await row.locator('td').allTextContents()) assert.notEqual(cell, '');
  assert.deepEqual(await row.locator('.teacher').allTextContents(), ['–', '–', '–']);
  assert.match(await list(page, 'A').locator('.note').textContent(), /carries no teacher/);
  for (const ranked of await list(page, 'B').locator('tbody tr[data-item]').all()) {
    const texts = await ranked.locator('.teacher').allTextContents();
    for (const text of texts) assert.match(text, /^\d+(\.\d+)?%$/);
    const [click, readGivenClick, read] = texts.map((text) => parseFloat(text) / 100);
    assert.ok(Math.abs(click * readGivenClick - read) < 2e-3, texts.join(' '));
  }
  // Why it is there.
  const button = row.locator('.item');
  await button.focus();
  await page.keyboard.press('Enter');
  assert.equal(await button.getAttribute('aria-expanded'), 'true');
  const why = page.locator(`#${await button.getAttribute('aria-controls')}`);
  const reasons = await why.textContent();
  assert.match(reasons, /score of click/);
  assert.match(reasons, /score of dwm/);
  assert.match(reasons, /popularity/);
  assert.equal(await list(page, 'B').locator(`tr.same-item[data-item="${both[0]}"]`).count(), 1);
  await page.keyboard.press('Enter');
  assert.equal(await why.isVisible(), false);
}

async function movesTheWeight(page, before) {
  const slider = list(page, 'A').getByRole('slider');
  assert.match(await list(page, 'A').locator('.weight label').textContent(),
    /share of click against dwm/);
  assert.equal(await slider.inputValue(), '0.25'); // the model's own
  await slider.focus();
  await page.keyboard.press('End');
  const clicks = await changed(page, 'A', before);
  assert.equal(await slider.getAttribute('aria-valuetext'), '1.00 click, 0.00 dwm');
  assert.ok(await list(page, 'A').locator('tr.fresh').count() > 0);
  await page.keyboard.press('Home');
  const minutes = await changed(page, 'A', clicks);
  assert.notDeepEqual(minutes, before);
  await list(page, 'A').getByRole('button', {name: "The model's own weight (list A)"}).press('Enter');
  assert.deepEqual(await changed(page, 'A', minutes), before);
  assert.equal(await list(page, 'B').getByRole('slider').count(), 0);
}

async function filters(page, before) {
  await page.getByLabel('Attribute', {exact: true}).selectOption('category');
  assert.ok(await page.locator('#values option').count() > 2);
  await page.getByLabel('Value', {exact: true}).fill('news');
  await page.getByRole('button', {name: 'Add to filter'}).press('Enter');
  assert.equal(await page.getByLabel('Filter', {exact: true}).inputValue(), "category = 'news'");
  const news = await changed(page, 'A', before);
  for (const small of await list(page, 'A').locator('tbody th small').allTextContents()) {
    assert.match(small, /category news/);
  }
  assert.ok(news.length < 20);
  await page.getByLabel('Filter', {exact: true}).fill('nonsense = 1');
  await until(page, () => /nonsense/.test(document.querySelector('.error[role=alert]').textContent));
  await page.getByRole('button', {name: 'Clear filter'}).press('Enter');
  assert.deepEqual(await changed(page, 'A', []), before);
  assert.equal(await list(page, 'A').locator('.error').textContent(), '');
  await page.getByLabel('without seen items').check();
  await changed(page, 'A', before);
  await page.getByLabel('without seen items').uncheck();
  await page.getByLabel('Items', {exact: true}).selectOption('10');
  const deadline = Date.now() + 5000;
  while ((await items(page, 'A')).length !== 10) assert.ok(Date.now() < deadline);
}

async function isReachedByKeyboard(page) {
  const reached = await tabThrough(page);
  const controls = await page.evaluate(() =>
    [...document.querySelectorAll('a, input, select, button, summary')]
      .filter((each) => each.getClientRects().length > 0)
      .map((each) => each.id || each.textContent.trim()));
  for (const control of controls) assert.ok(reached.includes(control), `Tab does not reach ${control}`);
}

/** A text of the request is shown as it is, whatever it looks like. */
async function answersMistakes(page) {
  const before = await items(page, 'A');
  const hostile = '<img src=x onerror="document.title=1">';
  await page.getByLabel('User', {exact: true}).fill(hostile);
  await page.keyboard.press('Enter');
  await until(page, () =>
    [...document.querySelectorAll('.error[role=alert]')].every((each) => /knows this user/.test(each.textContent)));
  assert.equal((await items(page, 'A')).length, 0);
  assert.equal(await page.locator('main img').count(), 0);
  assert.equal(await page.title(), 'Retort explorer');
  await page.getByLabel('User', {exact: true}).fill(user);
  await page.keyboard.press('Enter');
  assert.deepEqual(await changed(page, 'A', []), before);
}

async function takesAToken(context) {
  const {page, errors, foreign} = await watchedPage(context, closed);
  await page.goto(`${closed}/`);
  await page.getByLabel('Bearer token').waitFor();
  assert.match(await page.locator('#status').textContent(), /wants a token/);
  await page.getByLabel('Bearer token').fill(token);
  await page.keyboard.press('Enter');
  await until(page, () => document.querySelectorAll('#users option').length > 3);
  await page.getByLabel('User', {exact: true}).fill(user);
  await page.keyboard.press('Enter');
  await changed(page, 'A', []);
  await page.reload(); // the tab keeps token and comparison
  await changed(page, 'A', []);
  assert.equal(await page.evaluate(() => localStorage.length + document.cookie.length), 0);
  assert.deepEqual(foreign, []);
  assert.deepEqual(errors.filter((error) => !/401/.test(error)), []);
  await page.close();
}

async function looksRight(browser) {
  const looks = [
    ['light', {colorScheme: 'light', viewport: {width: 1280, height: 900}}],
    ['dark', {colorScheme: 'dark', viewport: {width: 1280, height: 900}}],
    ['phone', {colorScheme: 'light', viewport: {width: 360, height: 740}, isMobile: true}],
    ['phone-dark', {colorScheme: 'dark', viewport: {width: 320, height: 640}, isMobile: true}],
  ];
  for (const [name, options] of looks) {
    const context = await browser.newContext({...options, reducedMotion: 'reduce'});
    const {page} = await watchedPage(context, address);
    await page.goto(`${address}/#user=${user}`);
    await changed(page, 'A', []);
    await changed(page, 'B', []);
    await until(page, () => document.querySelectorAll('#history li').length > 0);
    await assertNoSidewaysScroll(page);
    await assertContrast(page);
    await page.screenshot({path: `${pictures}/explorer-${name}.png`, fullPage: true});
    await context.close();
  }
}

const browser = await openBrowser();
try {
  const context = await browser.newContext();
  const {page, errors, foreign} = await watchedPage(context, address);
  const found = await findUser(page);
  await seesListsAndReasons(page, found);
  await movesTheWeight(page, found[0]);
  await filters(page, found[0]);
  await isReachedByKeyboard(page);
  await assertNamed(page);
  // The browser itself reports the statuses that the filter's mistake brought: nothing else.
  assert.deepEqual(errors.filter((error) => !/status of 400/.test(error)), []);
  errors.length = 0;
  await answersMistakes(page);
  assert.deepEqual(errors.filter((error) => !/status of 404/.test(error)), []);
  assert.deepEqual(foreign, []);
  await takesAToken(context);
  await looksRight(browser);
} finally {
  await browser.close();
}
