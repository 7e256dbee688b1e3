// Sends what is edited to the server, in its order: one request at a time, and one that got no answer again, word for
// word, before anything newer. It knows no page: `page` reads, writes and draws, `send` asks the server.

export const changes = (before, after) =>
  [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key));

export class Queue {
  // What was asked for beside saving, each with the form as it was then.
  commands = [];
  // What is on its way.
  request = null;
  // What the server would not take: it is not sent again as it is.
  refused = null;
  running = false;

  constructor(page, send, pause) {
    Object.assign(this, { page, send, pause, stored: page.read() });
  }

  // Names of what is said and not stored yet.
  pending() {
    return changes(this.stored, this.page.read());
  }

  // What is on its way, then what was asked for since.
  get requests() {
    return [this.request, ...this.commands].filter(Boolean);
  }

  push(action, asPage = false) {
    this.commands.push({ action, asPage, ...this.now() });
    this.flush();
  }

  now() {
    return { state: this.page.read(), fields: this.page.fields() };
  }

  // What a later page must send if this one is left: requests in their order, the first of which has a version.
  outstanding() {
    const { requests } = this;
    const list = requests.some(({ asPage }) => asPage) ? [] : requests;
    const now = this.now();
    if (changes(list.at(-1)?.state ?? this.stored, now.state).length) list.push({ action: "save", ...now });
    return list.map(({ action, fields }) => ({ action, fields }));
  }

  flush() {
    if (this.running) return;
    this.running = true;
    this.work();
  }

  async work() {
    try {
      for (this.request ??= this.next(); this.request; this.request ??= this.next()) {
        const { request } = this;
        const reply = await this.send(request).catch(() => null);
        // Given up.
        if (this.request !== request) continue;
        if (reply) {
          this.request = null;
          this.take(request, reply);
        } else {
          request.tries = (request.tries ?? 0) + 1;
          await this.pause();
        }
      }
    } finally {
      this.running = false;
    }
    this.page.rests();
  }

  // Edits go before a command that came after them.
  next() {
    const [command] = this.commands;
    const { state, fields } = command ?? this.now();
    const { version, status, merging } = this.page;
    const isNew = changes(this.stored, state).length && (!this.refused || changes(this.refused, state).length);
    if (isNew && !merging && (command || !this.page.edited)) return { action: "save", state, fields, version, status };
    return command ? { ...this.commands.shift(), version, status } : null;
  }

  take(request, reply) {
    const { page } = this;
    if (request.asPage) return this.redraw(request, reply);
    if (reply.code === 409) {
      // Both texts come as a page. What was asked for after it was meant for another state.
      this.commands = [];
      this.request = { ...request, action: "save", asPage: true };
    } else if (reply.ok) {
      this.stored = request.state;
      this.refused = null;
      page.accepts(request, reply, !this.commands.length && !this.pending().length);
    } else {
      this.commands = [];
      this.refused = request.state;
      page.refuses(reply);
    }
  }

  // Puts a page of the server in place of this one, with every edit made since it was asked for.
  redraw(request, reply) {
    const { page } = this;
    const now = page.read();
    if (!page.replace(request, reply)) return;
    this.stored = reply.ok ? page.read() : new Map();
    this.refused = reply.ok ? null : page.read();
    if (reply.code === 409) this.commands = [];
    let seen = request.state;
    for (const command of this.commands) {
      const { state } = command;
      page.write(seen, state);
      Object.assign(command, this.now());
      seen = state;
    }
    page.write(seen, now);
    page.replaced(request, reply, now);
  }
}
