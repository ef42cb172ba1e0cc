// Chromium for the tests of pages: opened with a fresh profile, watched for what a page must not do.
import assert from 'node:assert/strict';
import {chromium} from 'playwright-core';

const kArguments = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

export function openBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: kArguments,
  });
}

/** A page and what it did wrong: errors of the console, exceptions, requests to elsewhere. */
export async function watchedPage(context, origin) {
  const page = await context.newPage();
  page.setDefaultTimeout(10000);
  const errors = [];
  const foreign = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(origin)) foreign.push(request.url());
  });
  return {page, errors, foreign};
}

/**
 * Waits until `holds`, a function for the page, gives true. (page.waitForFunction evaluates a text
 * in the page, which the page's policy forbids.)
 */
export async function until(page, holds, argument) {
  const deadline = Date.now() + 10000;
  while (!(await page.evaluate(holds, argument))) {
    assert.ok(Date.now() < deadline, `not within ten seconds: ${holds}`);
    await page.waitForTimeout(30);
  }
}

/** Presses Tab around the page; what had the focus, by id or text, and whether that could be seen. */
export async function tabThrough(page, most = 600) {
  const names = [];
  await page.evaluate(() => { window.tabbed = new Set(); });
  for (let i = 0; i < most; ++i) {
    await page.keyboard.press('Tab');
    const name = await page.evaluate(() => {
      const at = document.activeElement;
      if (at === null || at === document.body) return '';
      if (window.tabbed.has(at)) return null;
      window.tabbed.add(at);
      const style = getComputedStyle(at);
      const visible = at.matches(':focus-visible') && style.outlineStyle !== 'none';
      return `${at.id || at.textContent.trim() || at.tagName}${visible ? '' : ' (focus not seen)'}`;
    });
    if (name === null) break;
    if (name !== '') names.push(name);
  }
  return names;
}

/** Every control has a name that a screen reader says, every header cell a scope, every table a caption. */
export async function assertNamed(page) {
  const nameless = await page.evaluate(() => {
    const bad = [];
    for (const control of document.querySelectorAll('input, select, button, a, summary')) {
      const labels = control.labels ? [...control.labels].map((label) => label.textContent) : [];
      const name = [control.getAttribute('aria-label'), ...labels, control.textContent].join('').trim();
      if (!name || (control.matches('input, select') && !control.getAttribute('aria-label') &&
          labels.join('').trim() === '')) bad.push(control.outerHTML);
    }
    for (const cell of document.querySelectorAll('th')) if (!cell.scope) bad.push(cell.outerHTML);
    for (const table of document.querySelectorAll('table')) {
      if (!table.caption || !table.caption.textContent.trim()) bad.push(table.outerHTML.slice(0, 200));
    }
    return bad;
  });
  assert.deepEqual(nameless, []);
}

/** Texts whose contrast with the ground behind them is below WCAG's 4.5 (3 for large ones). */
export async function assertContrast(page) {
  const faint = await page.evaluate(() => {
    const channels = (text) => {
      const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
      return {r, g, b, a};
    };
    const luminance = ({r, g, b}) => {
      const [x, y, z] = [r, g, b].map((c) => {
        const s = c / 255;
        return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const groundOf = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const ground = channels(getComputedStyle(at).backgroundColor);
        if (ground.a === 1) return ground;
      }
      return matchMedia('(prefers-color-scheme: dark)').matches
        ? {r: 18, g: 18, b: 18} : {r: 255, g: 255, b: 255};
    };
    const bad = [];
    for (const element of document.querySelectorAll('body *')) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (!own || element.getClientRects().length === 0 || element.closest('svg, noscript, .hidden')) continue;
      const style = getComputedStyle(element);
      const [light, dark] = [luminance(channels(style.color)), luminance(groundOf(element))]
        .sort((a, b) => b - a);
      const large = parseFloat(style.fontSize) >= 24;
      const contrast = (light + 0.05) / (dark + 0.05);
      if (contrast < (large ? 3 : 4.5)) {
        bad.push(`${element.tagName} '${element.textContent.trim().slice(0, 40)}': ${contrast.toFixed(2)}`);
      }
    }
    return [...new Set(bad)];
  });
  assert.deepEqual(faint, []);
}

export async function assertNoSidewaysScroll(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(content <= window, `the page is ${content} wide in a window of ${window}`);
}
