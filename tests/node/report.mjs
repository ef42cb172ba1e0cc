// Opens a report. Arguments: the file, a folder for pictures, a text of its data that is markup.
import assert from 'node:assert/strict';
import {assertContrast, assertNamed, assertNoSidewaysScroll, openBrowser, tabThrough, until,
  watchedPage} from './browser.mjs';

const [file, pictures, hostile] = process.argv.slice(2);
const address = `file://${file}`;
const kCharts = ['auc_read: ', 'Calibration: ', 'AUC by popularity', 'AUC by activity', 'Click-bait among',
  'tv, dwm', 'behind ctr, expected_seconds', 'behind ctr, seconds: what the log alone', 'behind none, expected_seconds',
  'Loss on training', 'Loss on validation', 'auc_read on validation', 'recall@100 against', 'Items of'];

/** How many different bytes a picture of the element has: a blank one has few. */
async function coloursOf(page, locator) {
  const png = (await locator.screenshot()).toString('base64');
  return page.evaluate(async (data) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
    const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
    canvas.drawImage(image, 0, 0);
    const pixels = new Uint32Array(canvas.getImageData(0, 0, image.width, image.height).data.buffer);
    return new Set(pixels).size;
  }, png);
}

async function drawsEveryChart(page) {
  const captions = await page.locator('figcaption').allTextContents();
  for (const chart of kCharts) {
    assert.ok(captions.some((caption) => caption.startsWith(chart)), `no chart '${chart}' in ${captions}`);
  }
  const charts = page.locator('main figure .chart > svg, main figure .chart > figure');
  assert.equal(await charts.count(), captions.length);
  for (const svg of await page.locator('main .chart svg[aria-label]').all()) {
    assert.equal(await svg.getAttribute('role'), 'img');
    assert.ok((await svg.getAttribute('aria-description')).length > 10);
    assert.ok(await coloursOf(page, svg) > 8, `${await svg.getAttribute('aria-label')} is blank`);
  }
  assert.equal(await page.locator('main .chart svg[aria-label]').count(), captions.length);
}

async function choosesAMetric(page) {
  const metric = page.getByLabel('Metric', {exact: true});
  await metric.focus();
  await page.keyboard.press('ArrowDown');
  assert.equal(await metric.inputValue(), 'recall@20');
  await until(page, () => document.querySelector('figcaption').textContent.startsWith('recall@20: '));
}

async function readsTables(page) {
  await assertNamed(page);
  const differences = page.getByRole('table', {name: /^Differences, paired/});
  assert.deepEqual(await differences.locator('tbody tr').nth(0).locator('th, td').allTextContents(),
    ['first − second', 'auc_read', '-0.0500 [-0.0700, -0.0300]', '[-0.0700, -0.0300]', 'worse']);
  assert.deepEqual(await differences.locator('tbody tr').nth(1).locator('th, td').allTextContents(),
    ['first − second', 'recall@20', '0.0100 [-0.0200, 0.0400]', '[0.0020, 0.0180]', 'not distinguishable']);
  const arms = page.getByRole('table', {name: 'behind ctr: arms against the control'});
  assert.deepEqual(await arms.locator('tbody tr').nth(0).locator('th, td').allTextContents(),
    ['other', 'expected_seconds', '2 [1, 3]', '20 [10, 30]', 'better', '10', 'reproduced', '[-1, 5], decided after 254 users']);
  await page.getByText('The numbers').first().press('Enter');
  const numbers = page.locator('figure').first().getByRole('table');
  assert.equal(await numbers.getByRole('rowheader', {name: 'first'}).count(), 1);
  assert.equal(await page.getByRole('rowheader', {name: hostile}).count() > 0, true); // as a text
  assert.equal(await page.locator('main img').count(), 0);
}

const browser = await openBrowser();
try {
  const context = await browser.newContext({viewport: {width: 1200, height: 900}, offline: true});
  const {page, errors, foreign} = await watchedPage(context, address);
  await page.goto(address);
  await drawsEveryChart(page);
  await choosesAMetric(page);
  await readsTables(page);
  const reached = await tabThrough(page);
  for (const control of ['choice-0', 'Comparisons', 'Item vectors', 'The numbers']) {
    assert.ok(reached.includes(control), `Tab does not reach ${control}: ${reached}`);
  }
  const controls = await page.evaluate(() =>
    [...document.querySelectorAll('select, summary, a, .scroll')].filter((each) => each.checkVisibility()).length);
  assert.equal(reached.length, controls);
  assert.deepEqual(reached.filter((name) => name.includes('focus not seen')), []);
  assert.deepEqual(errors, []);
  assert.deepEqual(foreign.filter((url) => url !== 'data:,'), []);
  for (const [name, options] of [
    ['light', {colorScheme: 'light', viewport: {width: 1200, height: 900}}],
    ['dark', {colorScheme: 'dark', viewport: {width: 1200, height: 900}}],
    ['phone', {colorScheme: 'dark', viewport: {width: 360, height: 740}, isMobile: true}],
  ]) {
    const other = await browser.newContext(options);
    const look = await watchedPage(other, address);
    await look.page.goto(address);
    await assertNoSidewaysScroll(look.page);
    await assertContrast(look.page);
    await look.page.screenshot({path: `${pictures}/report-${name}.png`, fullPage: true});
    assert.deepEqual(look.errors, []);
    await other.close();
  }
} finally {
  await browser.close();
}
