// Asks the server: saves, steps and pages of the form; and the drafts of what is not stored yet, kept in this browser.
import { address, form, recordPath, stored } from "./elements.js";

// A page that still tries renews its draft every second.
const SENT_AFTER = 30000;
const page = `${Date.now()} ${Math.random()}`;
const whose = () => `draft ${form().dataset.annotator} `;
const mine = () => `${whose()}${recordPath()} ${page}`;

export function keep(version, status, requests, left = false) {
  if (!requests.length) return stored((place) => place.removeItem(mine()));
  const draft = { version, status, requests, left, at: Date.now() };
  stored((place) => place.setItem(mine(), JSON.stringify(draft)));
}

export const forget = (key) => stored((place) => place.removeItem(key));

// Drafts of pages that were left, of this head (`here`) or of any: [key, address, draft].
export function abandoned() {
  const keys = stored((place) => Object.keys(place).filter((key) => key.startsWith(whose()) && key !== mine())) ?? [];
  return keys.flatMap((key) => {
    const draft = stored((place) => JSON.parse(place.getItem(key)));
    if (!draft) return [];
    // Of an earlier version.
    const requests = draft.requests ?? [{ action: "save", fields: draft.fields }];
    const to = key.slice(whose().length).split(" ")[0];
    // Of somebody whose name begins alike.
    if (!to.startsWith("/")) return [];
    const live = draft.requests && !draft.left && Date.now() - draft.at < SENT_AFTER;
    return live ? [] : [{ key, to, here: to === recordPath(), draft: { ...draft, requests } }];
  });
}

// The newest version that the server told this tab of: a page that was asked for before it was stored shows less.
const newest = () => `version ${form().dataset.annotator} ${recordPath()}`;
export const learn = (version) => stored(() => sessionStorage.setItem(newest(), version));

// Whether the page shows less than was stored; it is said once, for the store may have been replaced.
export function isBehind(version) {
  const known = Number(stored(() => sessionStorage.getItem(newest())));
  stored(() => sessionStorage.removeItem(newest()));
  return version < known;
}

const PATIENCE = 10000;

// `to`: the address of the form, this one's or that of another head. No answer is an error.
export async function post({ action, fields, version, status, asPage }, to = address()) {
  const body = new URLSearchParams(fields);
  for (const [name, value] of Object.entries({ base_version: version, status, action })) body.set(name, value);
  const headers = asPage ? {} : { Accept: "application/json", "HX-Request": "true" };
  const signal = AbortSignal.timeout(PATIENCE);
  const keepalive = `${body}`.length < 60000;
  const reply = await fetch(to, { method: "POST", body, headers, signal, keepalive });
  if (reply.status >= 500) throw new Error("no answer");
  const answer = { code: reply.status, ok: reply.ok, login: reply.status === 401 && reply.headers.get("HX-Redirect") };
  if (asPage) return { ...answer, html: await reply.text() };
  const content = await reply.json().catch(() => ({ error: "Not saved: the server refused it." }));
  return { ...content, ...answer };
}

// The requests of a draft in their order. What is refused comes as it is, or as the page that shows both texts.
async function resend({ version, status = "draft", requests }, to, asPage) {
  let base = version;
  for (const { action, fields } of requests) {
    const reply = await post({ action, fields, version: base, status }, to);
    if (!reply.ok) {
      const { fields: newest } = requests.at(-1);
      return asPage ? post({ action: "save", fields: newest, version: base, status, asPage }, to) : reply;
    }
    base = reply.version;
  }
  return null;
}

// This page as the server has it now, once the drafts of its head are there.
async function refresh() {
  for (const { key, draft } of abandoned().filter(({ here }) => here)) {
    const refusal = await resend(draft, address(), true);
    forget(key);
    if (refusal) return refusal;
  }
  const reply = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (reply.status >= 500) throw new Error("no answer");
  return { code: reply.status, ok: reply.ok, html: await reply.text() };
}

export const send = (request) => (request.action === "refresh" ? refresh() : post(request));

// Sends the drafts of other heads, and gives the heads whose drafts must be looked at.
export async function sendOthers() {
  const heads = [];
  for (const { key, to, draft } of abandoned().filter(({ here }) => !here)) {
    const refusal = await resend(draft, to, false).catch(() => ({ code: 0 }));
    if (!refusal) forget(key);
    else if (refusal.code) heads.push(to.split("/").at(-2));
  }
  return heads;
}
