// Requests to the server that this page came from, with the token that the tab keeps.

const kToken = 'retort.token';

export function token() {
  return sessionStorage.getItem(kToken) || '';
}

export function setToken(value) {
  if (value) sessionStorage.setItem(kToken, value);
  else sessionStorage.removeItem(kToken);
}

/** What the server answered instead of what was asked for. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Milliseconds that the server says it took; NaN if it does not. */
function serverTime(response) {
  const found = /total;dur=([\d.]+)/.exec(response.headers.get('Server-Timing') || '');
  return found ? Number(found[1]) : NaN;
}

/**
 * {data, browser, server}: the answer and milliseconds, as the browser saw them and as the server
 * did. Throws ApiError, or AbortError when `signal` fires.
 */
export async function ask(method, path, body, signal) {
  const headers = {};
  if (token()) headers.Authorization = `Bearer ${token()}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const start = performance.now();
  let response;
  try {
    response = await fetch(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'omit',
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, 'The server cannot be reached.');
  }
  const text = await response.text();
  const browser = performance.now() - start;
  let data = null;
  try {
    data = JSON.parse(text);
  } catch {
    // an answer of something in front of the server
  }
  if (!response.ok) {
    const message = data && data.error ? data.error.message : response.statusText;
    throw new ApiError(response.status, message || `status ${response.status}`);
  }
  if (data === null) throw new ApiError(response.status, 'The answer is no JSON.');
  return {data, browser, server: serverTime(response)};
}

/**
 * Explanations by item id. An item that the bundle does not hold (it came since) fails the request
 * that names it: such a list is halved until the others are explained.
 */
export async function explain(question, items, signal) {
  if (items.length === 0) return new Map();
  try {
    const {data} = await ask('POST', '/v1/explain', {...question, items}, signal);
    return new Map(data.items.map((item) => [item.id, item]));
  } catch (error) {
    const unknown = error instanceof ApiError && error.status === 404 && /knows the item/.test(error.message);
    if (!unknown) throw error;
    if (items.length === 1) return new Map();
    const middle = Math.ceil(items.length / 2);
    const [first, second] = await Promise.all([
      explain(question, items.slice(0, middle), signal),
      explain(question, items.slice(middle), signal),
    ]);
    return new Map([...first, ...second]);
  }
}
