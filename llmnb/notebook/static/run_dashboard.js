// The run's dashboard, its receipt, and the banner of its failed rows; parts.js stands before it.
//
// Each node is made once and patched afterwards, so that focus and open details
// survive every message. Whatever comes from outside is set as textContent, as a
// number, or as a path made by the kernel's own charts: never as markup.

const STATE_GLYPH = { running: "running", waiting: "clock", paused: "pause", stopping: "stop" };

const SPOKEN_EVERY_MS = 5000;
const GONE_AFTER_MS = 30000;

function makeChevron(controlled) {
  const node = make("button", { type: "button", class: "bare chev", "aria-expanded": "false", "aria-label": "Details", title: "Details", "aria-controls": controlled.id },
    makeSvg("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" },
      makeSvg("path", { d: "M1.5 3.2 5 6.8 8.5 3.2", fill: "none", stroke: "currentColor", "stroke-width": 1.5 })));
  return node;
}

// ------------------------------------------------------------------------- details

/** Read `500`, `1,200`, `500k` or `1.2M`; null for an empty field, NaN for anything else. */
function readAmount(text) {
  const trimmed = text.trim().replace(/[,_\s]/g, "");
  if (trimmed === "") return null;
  const match = /^(\d+(?:\.\d+)?)([kKmM]?)$/.exec(trimmed);
  if (!match) return NaN;
  const number = parseFloat(match[1]) * ({ k: 1e3, m: 1e6 }[match[2].toLowerCase()] ?? 1);
  return number > 0 ? number : NaN;
}

function makeLimit(label, name, emptyWord, send, spoken = ` of ${name}`) {
  const id = uniqueId();
  const input = make("input", { id, inputmode: "numeric", autocomplete: "off", placeholder: emptyWord, title: `Enter applies, Esc restores, empty means ${emptyWord}` });
  const bar = make("i");
  const used = make("span", { class: "now" });
  const wrong = make("span", { class: "wrong", role: "alert", id: `${id}-wrong`, hidden: "" });
  const node = make("p", { class: "limit" },
    make("label", { for: id }, label, make("span", { class: "vh" }, spoken)),
    make("span", { class: "mini", "aria-hidden": "true" }, bar), used, input, wrong);
  let known = "";
  let before = ""; // what was in force when the last was sent
  const tell = (text) => {
    if (text) known = before;
    write(wrong, text);
    show(wrong, text !== "");
    if (text) { assign(input, "aria-invalid", "true"); assign(input, "aria-describedby", wrong.id); return; }
    for (const name of ["aria-invalid", "aria-describedby"]) input.removeAttribute(name);
  };
  const restore = () => { input.value = known; input.removeAttribute("aria-invalid"); };
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { restore(); tell(""); event.stopPropagation(); return; }
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    const typed = input.value.trim();
    const amount = readAmount(typed);
    tell("");
    // What is no number the kernel reads, which says in words what is wrong with it.
    if (typed !== known) send({ do: "limit", name, amount: Number.isNaN(amount) ? typed : amount });
    [before, known] = [known, typed];
  });
  input.addEventListener("input", () => tell(""));
  input.addEventListener("blur", restore);
  const patch = (state) => {
    bar.style.width = `${state.used}%`;
    show(bar, state.used > 0);
    write(used, state.used_text);
    node.classList.toggle("binds", Boolean(state.binds));
    // While a person types, and while it is told what is wrong, the field is theirs.
    if (focusedBeside(input) !== input) {
      known = state.field;
      if (input.value !== known) input.value = known;
    }
  };
  return { node, patch, tell };
}

function makeChart(...children) {
  return makeSvg("svg", { class: "chart", viewBox: "0 0 100 46", preserveAspectRatio: "none", role: "img" }, ...children);
}

function makeThroughput(title, name, send) {
  const [area, limit, hits] = ["area", "lim", "hit"].map((kind) => makeSvg("path", { class: kind }));
  const line = makeSvg("polyline", { class: "line" });
  const chart = makeChart(area, limit, line, makeSvg("path", { class: "base", d: "M0 46H100" }), hits);
  const now = make("b");
  const axis = make("span");
  const dash = make("i", { class: "dash" });
  const gauge = makeLimit("limit", name, "learned", send);
  const node = make("div", {},
    make("p", { class: "cap" }, make("span", {}, title), now), chart,
    make("p", { class: "axis", "aria-hidden": "true" }, make("span", {}, dash, axis), make("span", { class: "r" }, "now")),
    gauge.node);
  const patch = (state) => {
    write(now, state.now);
    assign(line, "points", state.line);
    assign(area, "d", state.line ? `M${state.line.split(" ", 1)[0].split(",")[0]} 46L${state.line}L100 46Z` : "");
    assign(limit, "d", state.limit ? `M0 ${state.limit}H100` : "");
    assign(hits, "d", state.hits);
    assign(chart, "aria-label", state.label);
    write(axis, state.axis);
    dash.style.display = state.limit ? "" : "none";
    gauge.patch(state);
  };
  return { node, patch, tell: gauge.tell };
}

function patchLabels(box, labels, className) {
  while (box.children.length > labels.length) box.lastChild.remove();
  labels.forEach(([where, text], index) => {
    const label = box.children[index] ?? box.appendChild(make("span", { class: className }));
    label.style.left = `${where}%`;
    write(label, text);
  });
}

function makeLatency(send) {
  const [ticks, marks] = ["tick", "pct"].map((kind) => makeSvg("path", { class: kind }));
  const chart = makeChart(ticks, marks, makeSvg("path", { class: "base", d: "M0 46H100" }));
  const now = make("b");
  const labels = make("div", { "aria-hidden": "true" });
  const axis = make("p", { class: "axis", "aria-hidden": "true" });
  const gauge = makeLimit("in flight", "requests in flight", "adaptive", send, " requests at once, at most");
  const node = make("div", {},
    make("p", { class: "cap" }, make("span", {}, "Latency"), now),
    make("div", { class: "plot" }, chart, labels), axis, gauge.node);
  const patch = (state) => {
    write(now, state.now);
    assign(ticks, "d", state.ticks);
    assign(marks, "d", state.marks);
    assign(chart, "aria-label", state.label);
    patchLabels(labels, state.labels, "lab");
    patchLabels(axis, state.axis, "m");
    gauge.patch(state);
  };
  return { node, patch, tell: gauge.tell };
}

const MODEL_COLUMNS = ["Model", "", "share", "rows", "p50", "cost"];
const ROWS_COLUMN = 3;

function makeModelTable() {
  const heads = MODEL_COLUMNS.map((name) => make("th", { scope: "col", ...(name === "p50" ? { class: "opt2" } : {}) }, name));
  const body = make("tbody");
  const node = make("table", { class: "share" }, make("thead", {}, make("tr", {}, ...heads)), body);
  const makeRow = () => {
    const row = make("tr", {}, ...MODEL_COLUMNS.map((name) => make("td", name === "p50" ? { class: "opt2" } : {})));
    row.children[1].className = "barcell";
    row.children[1].append(make("span", { class: "mini", "aria-hidden": "true" }, make("i")));
    return row;
  };
  const patch = (models, hasRows) => {
    while (body.children.length > models.length) body.lastChild.remove();
    show(heads[ROWS_COLUMN], hasRows);
    models.forEach(([name, width, ...figures], index) => {
      const row = body.children[index] ?? body.appendChild(makeRow());
      write(row.children[0], name);
      assign(row.children[0], "title", name);
      row.children[1].firstChild.firstChild.style.width = `${width}%`;
      figures.forEach((figure, column) => write(row.children[column + 2], figure));
      show(row.children[ROWS_COLUMN], hasRows);
    });
  };
  return { node, patch };
}

function makeModels() {
  const tables = [makeModelTable(), makeModelTable()];
  const halves = tables.map((table) => make("div", {}, table.node));
  const extra = make("p", { class: "extra" });
  const columns = make("div", {}, ...halves);
  const node = make("div", { class: "row" }, make("div", {}, columns, extra));
  const patch = (models, extraText) => {
    show(node, models.length > 0 || extraText !== "");
    const isWide = models.length >= 5;
    columns.className = isWide ? "two" : "";
    const half = isWide ? Math.ceil(models.length / 2) : models.length;
    show(columns, models.length > 0);
    show(halves[1], isWide);
    tables[0].patch(models.slice(0, half), !isWide);
    tables[1].patch(models.slice(half), !isWide);
    write(extra, extraText);
    show(extra, extraText !== "");
  };
  return { node, patch };
}

/** The failed rows by cause, one example each; `retry` asks a cause's rows again. */
function makeFails(retry) {
  const list = make("ul");
  const node = make("div", { class: "fails" }, make("h3", { class: "vh" }, "Failed rows by cause"), list);
  const makeItem = () => {
    const item = make("li", {}, make("span", { class: "n" }), make("span", { class: "nw" }), make("span", { class: "ex" }));
    item.append(makeButton("", () => retry(item.cause), "link"));
    return item;
  };
  const patch = (fails, acts) => {
    show(node, fails.length > 0);
    while (list.children.length > fails.length) list.lastChild.remove();
    fails.forEach(({ texts, cause, label, says, chosen }, index) => {
      const item = list.children[index] ?? list.appendChild(makeItem());
      const button = item.lastChild;
      item.cause = cause;
      texts.forEach((text, column) => write(item.children[column], text));
      assign(item.children[2], "title", texts[2]);
      write(button, label);
      show(button, label !== "");
      assign(button, "aria-label", says);
      if (chosen >= 0) assign(button, "aria-pressed", chosen > 0);
      enable(button, acts);
    });
  };
  return { node, patch };
}

// ---------------------------------------------------------------------------- card

/** What was reused and what was merged, with their patterns. */
function makeLegend() {
  const nodes = ["reused", "merged"].map((kind) => make("span", {}, makeSwatch(kind), document.createTextNode("")));
  const patch = (texts) => texts.forEach((text, index) => write(nodes[index].lastChild, text));
  return { nodes, patch };
}

function makeHero() {
  const far = makeFigure();
  const speed = makeFigure("speed");
  const spent = makeFigure("money");
  const legend = makeLegend();
  far.node.append(make("span", { class: "sub legend" }, ...legend.nodes));
  const node = make("div", { class: "hero" }, far.node, speed.node, spent.node);
  const patch = (hero, legendTexts) => {
    far.patch(hero.far, hero.unit, hero.of, hero.left);
    speed.patch(hero.speed[0], "", ...hero.speed.slice(1));
    spent.patch(hero.money[0], "", ...hero.money.slice(1));
    legend.patch(legendTexts);
    spent.big.classList.toggle("long", hero.money[0].length > 6 || !hero.money[0].includes("$"));
  };
  return { node, patch };
}

const RUN_SEGMENTS = ["reused", "merged", "done", "failed"];

function makeProgress() {
  const launched = make("progress", { class: "launched", "aria-label": "Launched" });
  const completed = make("progress", { class: "completed", "aria-label": "Completed" });
  const segments = makeSegments(RUN_SEGMENTS);
  const node = make("div", { class: "progress" }, launched, completed, segments.node);
  const patch = (progress) => {
    for (const [bar, value] of [[launched, progress.launched], [completed, progress.completed]]) {
      assign(bar, "max", progress.whole);
      assign(bar, "value", value);
      write(bar, `${value} of ${progress.whole}`);
    }
    segments.patch(progress.parts.map((percent, index) => [RUN_SEGMENTS[index], percent / 100]));
  };
  return { node, patch };
}

const COUNTERS = [["started", ""], ["in progress", "flight"], ["succeeded", "done"], ["failed", "failed"], ["rate limit errors", ""], ["API errors", ""], ["other errors", ""]];

function makeBecause() {
  const wide = make("span", { class: "saved wide" });
  const saved = make("span");
  const legend = makeLegend();
  const tight = make("span", { class: "saved tight" }, saved, ...legend.nodes);
  const line = makeLastLine(wide, tight);
  const patch = (because, legendTexts, hasLegend) => {
    line.patch(because);
    for (const node of [wide, saved]) write(node, because.saved ?? "");
    show(wide, Boolean(because.saved));
    legend.patch(legendTexts);
    show(tight, Boolean(because.saved) || hasLegend);
  };
  return { node: line.node, patch };
}

function makeRunCard(link, speaker) {
  const { send } = link;
  const glyph = makeGlyph();
  const title = make("span");
  const tag = make("span", { class: "tag" }, "simulated");
  const subject = make("span", { class: "subject" });
  let view = null;
  let asked = null; // what a click has asked for, until the run's state answers it
  let state = null;
  let heardAt = Date.now();

  const details = make("div", { id: uniqueId(), hidden: "" });
  const act = (name) => {
    asked = { view };
    send({ do: name });
    setTimeout(() => patch(), BUSY_AFTER_MS + 50);
  };
  const first = makeButton("Pause", () => act(first.dataset.do));
  const stop = makeButton("Stop", () => act("stop"));
  const chevron = makeChevron(details);
  const hero = makeHero();
  const progress = makeProgress();
  const ledger = makeLedger("parted");
  const because = makeBecause();
  const charts = {
    requests: makeThroughput("Requests/min", "requests per minute", send),
    tokens: makeThroughput("Tokens/min", "tokens per minute", send),
    latency: makeLatency(send),
  };
  const models = makeModels();
  const fails = makeFails((cause) => send({ do: "retry", cause }));
  details.append(make("div", { class: "row c3" }, ...Object.values(charts).map((chart) => chart.node)), models.node, fails.node);

  const code = makeCode(first, stop);
  const buttons = make("span", { class: "btns" }, first, stop, code.node, chevron);
  const card = make("div", { class: "card", role: "region" },
    make("div", { class: "head" }, make("span", { class: "state" }, glyph.node, title), tag, subject, buttons),
    hero.node, progress.node, ledger.node, because.node, details);

  chevron.addEventListener("click", () => {
    const isOpen = chevron.getAttribute("aria-expanded") !== "true";
    assign(chevron, "aria-expanded", isOpen);
    show(details, isOpen);
    patch();
  });

  const whyGone = () => link.gone || (Date.now() - heardAt > GONE_AFTER_MS ? "gone" : "");

  const patchButtons = (gone) => {
    const firstDoes = state.buttons.first;
    const acts = Boolean(state.buttons.acts);
    for (const button of [first, stop]) {
      show(button, true);
      enable(button, acts && link.acts && !gone);
    }
    code.patch(state.code, acts && link.isDeaf && !gone);
    first.dataset.do = firstDoes;
    write(first, firstDoes === "resume" ? "Resume" : "Pause");
  };

  /** What the card itself knows better than the last word it heard. */
  const ownBecause = (gone) => kernelLine(
    { gone, isDeaf: link.isDeaf && Boolean(state.buttons.acts) && Boolean(state.code) },
    { isBusy: asked?.view === state.view && link.waits, seen: state.seen, kept: state.kept, again: ["The line above does in a cell what the buttons would."] },
  ) ?? state.because;

  function patch() {
    if (state === null) return;
    const gone = whyGone();
    const heading = gone === "restarted" ? "Kernel restarted" : gone ? "Kernel gone" : state.title;
    if (state.view !== view) asked = null;
    view = state.view;
    card.classList.toggle("paused", view === "paused");
    assign(card, "aria-label", state.region);
    const shape = gone ? "alert" : STATE_GLYPH[view];
    glyph.draw(shape, GLYPH_TONE[shape] ?? "");
    write(title, heading);
    write(subject, state.subject);
    assign(subject, "title", state.subject);
    show(tag, Boolean(state.simulated));
    patchButtons(gone);
    because.patch(ownBecause(gone), state.legend, state.progress.parts[0] + state.progress.parts[1] > 0);
    hero.patch(state.hero, state.legend);
    progress.patch(state.progress);
    const { counts, last, ago } = state.ledger;
    ledger.patch([...COUNTERS.map((counter, index) => [...counter, counts[index]]), ["last rate limit error", "", last, ago]]);
    if (!details.hidden) {
      for (const [name, chart] of Object.entries(charts)) chart.patch(state[name]);
      models.patch(state.models, state.extra);
      fails.patch(state.fails, Boolean(state.buttons.acts) && link.acts && !gone);
    }
    speaker.announce(state.says, heading);
  }

  const clock = setInterval(patch, 2000); // it is here that a silent kernel is noticed
  return {
    node: card,
    take(newState) { state = newState; heardAt = Date.now(); patch(); },
    patch,
    /** Say what is wrong with a limit that was typed. */
    tell({ name, wrong }) { charts[{ "requests per minute": "requests", "tokens per minute": "tokens" }[name] ?? "latency"].tell(wrong); },
    /** The button that would be reached first. */
    get first() { return [first, stop].find((button) => !button.hidden); },
    end() { clearInterval(clock); },
  };
}

// --------------------------------------------------------------------------- banner

function makeBanner(link, speaker) {
  const { send } = link;
  const glyph = makeGlyph();
  const headline = make("b");
  const rest = make("span", { class: "mut" });
  const fails = makeFails((cause) => send({ do: "retry", cause }));
  fails.node.id = uniqueId();
  fails.node.hidden = true;
  const reveal = makeButton("Show", () => {
    const isOpen = reveal.getAttribute("aria-expanded") !== "true";
    assign(reveal, "aria-expanded", isOpen);
    patch();
  });
  reveal.setAttribute("aria-expanded", "false");
  reveal.setAttribute("aria-controls", fails.node.id);
  const retry = makeButton("Retry these", () => send({ do: retry.dataset.do }));
  const code = makeCode(retry);
  const line = make("div", { class: "banner" }, glyph.node, make("span", { class: "why" }, headline, " ", rest), make("span", { class: "btns" }, reveal, retry, code.node));
  const box = make("div", { class: "bannerbox", role: "region", "aria-label": "Failed rows" }, line, fails.node);
  let state = null;
  const silence = () => {
    if (!state.action || link.acts) return null;
    if (link.gone) return `${GONE_TEXT[link.gone]} Run the cell again: only what failed is asked.`;
    return link.isDeaf ? DEAF_TEXT : null;
  };
  function patch() {
    show(box, Boolean(state?.headline));
    if (!state?.headline) return;
    glyph.draw(state.glyph);
    write(headline, state.headline);
    const isOpen = reveal.getAttribute("aria-expanded") === "true";
    write(reveal, isOpen ? "Hide" : "Show");
    show(reveal, state.fails.length > 0);
    fails.patch(state.fails, Boolean(state.can_retry) && link.acts);
    show(fails.node, isOpen && state.fails.length > 0);
    show(retry, state.action !== "" && !link.gone);
    enable(retry, link.acts);
    if (state.action) { retry.dataset.do = state.action; write(retry, state.label); }
    const isCode = code.patch(state.code, link.isDeaf && state.action !== "");
    const todo = link.isDeaf ? isCode ? " Run in a cell:" : " Run the cell again: only what failed is asked." : "";
    write(rest, silence() === null ? state.rest : silence() + todo);
    speaker.announce(rest.textContent, state.headline.replace(/\.$/, ""));
  }
  return {
    node: box,
    take(newState) { state = newState; patch(); },
    patch,
    get first() { return [retry, code.node, reveal].find((node) => !node.hidden); },
  };
}

// ------------------------------------------------------------------------------ part

/** A run: its dashboard until it is over, then its receipt with the banner of its failed rows. */
function makeRunPart(link, at) {
  const own = {
    send: (message) => link.send(at ? { ...message, at } : message),
    get acts() { return link.acts; },
    get isDeaf() { return link.isDeaf; },
    get waits() { return link.waits; },
    get gone() { return link.gone; },
  };
  const line = make("p", { class: "line" });
  const receipt = make("div", { class: "receipt", role: "region" }, line);
  // Its own styles are written into it; those of a card or of a page would disturb them.
  const inside = receipt.attachShadow({ mode: "open" });
  inside.append(make("slot"));
  // It stays while the parts around it come and go: what it says at an end would be lost otherwise.
  const speaker = makeSpeaker(SPOKEN_EVERY_MS);
  const node = make("div", { class: "part" }, speaker.node);
  let card = null;
  let banner = null;
  let html = null;
  const receive = (text) => {
    if (text === undefined || text === html) return;
    html = text;
    // Written by the kernel's own writer, which escapes whatever comes from elsewhere.
    inside.innerHTML = html;
  };
  const end = () => { card?.end(); };
  const clear = () => {
    end();
    for (const old of [card?.node, banner?.node, receipt]) old?.remove();
    card = banner = null;
  };
  const begin = () => {
    clear();
    card = makeRunCard(own, speaker);
    node.prepend(card.node);
  };
  const finish = (state) => {
    if (card !== null) speaker.announce("", state.line);
    clear();
    node.prepend(receipt);
  };
  return {
    node,
    receive,
    take(state) {
      if (!state.over) {
        if (card === null) begin();
        card.take(state);
        return;
      }
      if (!receipt.isConnected) finish(state);
      assign(receipt, "aria-label", state.region);
      write(line, state.line);
      receive(state.html);
      if (!state.banner) {
        banner?.node.remove();
        banner = null;
        return;
      }
      if (banner === null) receipt.after((banner = makeBanner(own, speaker)).node);
      banner.take(state.banner);
    },
    patch() { (card ?? banner)?.patch(); },
    tell(message) { card?.tell(message); },
    get first() { return (card ?? banner)?.first; },
    end,
  };
}
