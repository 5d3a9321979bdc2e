// The labeller: one row at a time, a key a label; parts.js, requests.js and reading.js before it.
//
// Words come from the kernel as a view, one after everything that was done, here or anywhere else.
// A view has a step: what a page asks for names the step that it shows, so that a key which was
// pressed for one row never labels another.

Object.assign(GLYPHS, {
  tag: [["path", { d: "M1.7 1.7h4.5l4.3 4.3-4.5 4.5L1.7 6.2z", fill: "none", stroke: "currentColor", "stroke-width": 1.2, "stroke-linejoin": "round" }],
    ["circle", { cx: 4.2, cy: 4.2, r: 0.9, fill: "currentColor" }]],
  undo: [["path", { d: "M2 4.4h5.2a2.9 2.9 0 0 1 0 5.8H4.4M4.3 1.9 1.8 4.4l2.5 2.5", fill: "none", stroke: "currentColor", "stroke-width": 1.3 }]],
});

const KEYED = 9;
const PALE_AFTER_MS = 400; // a label that is saved at once makes no button flicker
const LOOK_MS = 2000; // how often a page looks whether its kernel is still there

// ------------------------------------------------------------------------------ parts

function makeLabelHead() {
  const glyph = makeGlyph("tag");
  const subject = make("span", { class: "subject" });
  const done = make("b");
  const of = document.createTextNode("");
  const count = make("span", { class: "prog" }, done, of);
  const node = make("div", { class: "head" }, make("span", { class: "state" }, glyph.node, "Label"), subject, count);
  const segments = makeSegments(["done", "skip"]);
  const progress = make("div", { class: "progress", role: "progressbar", "aria-label": "Rows labelled", "aria-valuemin": "0" }, segments.node);
  const patch = (view) => {
    write(subject, view.subject ?? "");
    assign(subject, "title", view.subject ?? "");
    show(count, Boolean(view.of));
    write(done, view.done ?? "");
    write(of, view.of ?? "");
    assign(progress, "aria-valuemax", view.max ?? 0);
    assign(progress, "aria-valuenow", view.now ?? 0);
    segments.patch(view.parts ?? []);
  };
  return { node, progress, patch };
}

/** A row: its facts, and the text that is read. */
function makeItem(onMore) {
  const facts = make("p", { class: "facts" });
  const text = makeText({ onMore });
  const body = make("div", { class: "body", role: "group", tabindex: "0" }, text.node);
  const node = make("div", { class: "item", role: "group" }, facts, body);
  const patch = (item) => {
    assign(node, "aria-label", item.name);
    assign(body, "aria-label", `Text of ${item.name}`);
    const wanted = [["", item.name], ...item.facts];
    while (facts.childNodes.length > wanted.length) facts.lastChild.remove();
    wanted.forEach(([name, value], index) => {
      const fact = facts.childNodes[index] ?? facts.appendChild(make("span", {}, "", make("b", { dir: "auto" })));
      write(fact.firstChild, name ? `${name} ` : "");
      write(fact.lastChild, value);
    });
    text.patch(item.text);
    body.scrollTop = 0;
  };
  return { node, body, patch, patchText: text.patch };
}

/** The labels, always at the same place; from ten on with a field for their first letters. */
function makeLabels({ onGive, onSkip }) {
  const node = make("div", { class: "labels", role: "group", "aria-label": "Labels" });
  const skip = makeButton("", onSkip, "skip");
  const skipText = make("span", {}, "Skip");
  assign(skip, "aria-keyshortcuts", "s");
  skip.append(makeKey("s"), skipText);
  const field = make("input", { type: "text", "aria-label": "Type a label", placeholder: "first letters, Enter", autocomplete: "off", spellcheck: "false" });
  const hint = make("span", {}, "or type its first letters: ", makeKey("Enter"), " gives the one that is left");
  const type = make("span", { class: "type" }, field, hint);
  let labels = [];
  let buttons = [];
  const left = () => {
    const typed = field.value.trim().toLowerCase();
    if (!typed) return [];
    const exact = labels.findIndex((label) => label.text.toLowerCase() === typed);
    if (exact >= 0) return [exact];
    return labels.flatMap((label, index) => label.text.toLowerCase().startsWith(typed) ? [index] : []);
  };
  let given = null;
  const mark = () => {
    const among = left();
    buttons.forEach((button, index) => {
      const isMarked = given === index || (among.length === 1 && among[0] === index);
      button.classList.toggle("given", isMarked);
      button.classList.toggle("other", field.value.trim() !== "" && !among.includes(index));
      if (given === index) assign(button, "aria-pressed", "true");
      else button.removeAttribute("aria-pressed");
    });
    assign(field, "aria-invalid", field.value.trim() !== "" && !among.length);
  };
  field.addEventListener("input", mark);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    const among = left();
    if (event.repeat || among.length !== 1) return;
    if (onGive(among[0])) { field.value = ""; mark(); }
  });
  const take = (wanted) => {
    labels = wanted;
    buttons = labels.map((label, index) => {
      const button = makeButton("", () => onGive(index));
      if (index < KEYED) {
        assign(button, "aria-keyshortcuts", String(index + 1));
        button.append(makeKey(String(index + 1)));
      }
      button.append(make("span", { dir: "auto" }, label.text));
      assign(button, "title", label.title || label.text);
      return button;
    });
    const isMany = labels.length > KEYED;
    node.classList.toggle("many", isMany);
    node.replaceChildren(...buttons, ...(isMany ? [type] : []), skip);
    mark();
  };
  const patch = (index, isReview, isOff) => {
    given = index ?? null;
    write(skipText, isReview ? "Leave it" : "Skip");
    for (const button of [...buttons, skip]) enable(button, !isOff);
    mark();
  };
  return { node, field, take, patch, textOf: (index) => labels[index]?.text ?? "", get count() { return labels.length; } };
}

/** What it came to: figures, where person and model part, and the next lines of code. */
function makeEnd() {
  const labelled = make("span", { class: "big" });
  const saved = make("span");
  const skipped = make("span");
  const share = document.createTextNode("");
  const agree = make("span");
  const whisker = make("i");
  const dot = make("b");
  const interval = make("span");
  const model = make("div", { class: "fig" },
    make("span", { class: "big" }, share, make("small", {}, " %")),
    make("span", { class: "sub" }, agree, make("span", { class: "dw", "aria-hidden": "true" }, whisker, dot), interval));
  const hero = make("div", { class: "hero" }, make("div", { class: "fig" }, labelled, make("span", { class: "sub" }, saved, skipped)), model);
  const rows = make("tbody");
  const pairs = make("div", { class: "pairs" }, make("table", {}, make("thead", {}, make("tr", {}, make("th"), make("th", { scope: "col" }, "you say"), make("th", { scope: "col" }, "the model says"))), rows));
  const list = make("ul");
  const ends = make("div", { class: "ends" }, pairs, make("div", { class: "next" }, make("h3", {}, "What next"), list));
  const makeNext = ([purpose, code]) => {
    const copy = makeButton("Copy", () => copyBy(copy, code), "bare");
    assign(copy, "aria-label", `Copy: ${purpose}`);
    return make("li", {}, make("span", {}, purpose), make("code", {}, code), copy);
  };
  let told = "";
  const patch = (end) => {
    write(labelled, end.labelled);
    write(saved, end.saved);
    write(skipped, end.skipped);
    show(model, Boolean(end.agree));
    if (end.agree) {
      const [at, low, high] = end.agree.dot;
      write(share, end.agree.share);
      write(agree, end.agree.text);
      write(interval, end.agree.interval);
      whisker.style.left = `${100 * low}%`;
      whisker.style.width = `${100 * (high - low)}%`;
      dot.style.left = `${100 * at}%`;
    }
    show(pairs, end.pairs.length > 0);
    ends.classList.toggle("alone", !end.pairs.length);
    const now = JSON.stringify([end.pairs, end.next]);
    if (now === told) return;
    told = now;
    rows.replaceChildren(...end.pairs.map((cells) => make("tr", {}, ...cells.map((text) => make("td", { dir: "auto", title: text }, text)))));
    list.replaceChildren(...end.next.map(makeNext));
  };
  return { hero, ends, patch };
}

// ------------------------------------------------------------------------------- card

function render({ model, el }) {
  const speaker = makeSpeaker();
  let view = null; // what the kernel has said last
  let sent = null; // what is asked for and not answered yet: { what, label, name }
  let fault = "";
  let isBusy = false;
  let paleTimer = 0;
  let isPale = false;

  const requests = makeRequests(model, {
    overtaken: ["text"],
    onBusy: (busy) => { isBusy = busy; patch(); },
    onTurn: () => patch(),
  });
  const { link } = requests;
  const settle = () => { clearTimeout(paleTimer); sent = null; isPale = false; };

  /** Ask for what changes something, unless something is under way; returns whether it was sent. */
  const act = (what, more = {}, label = null) => {
    if (sent || !view || !link.acts) return false;
    const mayAct = view.view === "row" || !["give", "skip"].includes(what);
    if (!mayAct || (view.last?.again && what !== "save")) return false;
    fault = "";
    sent = { what, label, name: view.item?.name ?? "" };
    paleTimer = setTimeout(() => { isPale = true; patch(); }, PALE_AFTER_MS);
    requests.ask({ do: what, step: view.step, ...more }, {
      done: () => { settle(); patch(); },
      fault: (message) => { settle(); fault = message.text; patch(); },
    });
    patch();
    return true;
  };
  const give = (index) => index < labels.count && act("give", { label: index }, index);
  const skip = () => act("skip");
  const undo = () => act("undo");

  const head = makeLabelHead();
  const item = makeItem((more) => {
    shown = more === Infinity ? 100_000 : shown + more;
    requests.ask({ do: "text", shown }, { text: (message) => item.patchText(message.text) });
  });
  let shown = SHOWN_MORE;
  const labels = makeLabels({ onGive: give, onSkip: skip });
  const end = makeEnd();
  const blank = makeBlank();
  const agree = make("span");
  const saved = make("span", { class: "saved" }, agree);
  const button = (what, name = "") => makeButton("", () => act(what), name);
  const more = { again: button("save"), foreign: button("foreign"), differ: button("differ"), skipped: button("skipped"), more: button("more") };
  const hide = makeButton("Hide the model", () => requests.ask({ do: "hide", on: hide.getAttribute("aria-pressed") !== "true" }), "bare");
  assign(hide, "title", "Show its answers only when all rows are done");
  const back = makeButton("Undo", undo);
  assign(back, "aria-keyshortcuts", "u");
  back.append(makeKey("u"));
  const buttons = make("span", { class: "btns" }, ...Object.values(more), hide, back);
  const last = makeLastLine(saved, buttons);
  const card = make("div", { class: "card labeller", role: "region", tabindex: "-1" }, head.node, end.hero, head.progress, item.node, labels.node, end.ends, blank.node, last.node, speaker.node);

  const safe = () => {
    const now = view ?? model.get("snapshot") ?? {};
    const count = now.now ?? 0;
    const rows = count === 1 ? "1 label is" : `${now.done ?? "0"} labels are`;
    const doubt = sent && sent.label !== null ? ` “${labels.textOf(sent.label)}” was not confirmed.` : "";
    return `${rows} on the disk; run the cell again to go on.${doubt}`;
  };
  /** What the last line says: of the kernel where that does not hear, else what was done. */
  const lastLine = () => {
    // Also long after: whatever keeps the kernel ends once, and what was pressed waits for it.
    if (isBusy && !view && !link.gone) return { glyph: "clock", parts: ["The kernel is busy with a cell: rows show as soon as that is done."] };
    if (isBusy && sent && !link.gone) {
      const what = sent.label === null ? "this is done" : `“${labels.textOf(sent.label)}” for ${sent.name.replace(/^R/, "r")} is saved`;
      return { glyph: "clock", parts: [`The kernel is busy with a cell: ${what} as soon as that is done.`] };
    }
    const kernel = kernelLine(link, { isBusy: isBusy && !sent, seen: link.seen, kept: safe(), again: ["Run the cell again to go on: what is labelled is kept."] });
    if (kernel) return kernel;
    if (fault) return { glyph: "alert", tone: "bad", parts: [fault] };
    return view?.last ? { ...view.last, buttons: [] } : null;
  };

  function patch() {
    const now = view ?? model.get("snapshot") ?? {};
    const focused = focusedBeside(card);
    const hadFocus = card.contains(focused);
    const isRow = now.view === "row" && Boolean(view);
    const isDone = now.view === "done" && Boolean(view);
    assign(card, "aria-label", now.region ?? "Label");
    head.patch(now);
    show(head.progress, (now.max ?? 0) > 0);
    show(item.node, isRow);
    show(labels.node, isRow);
    show(end.hero, isDone);
    show(end.ends, isDone);
    blank.patch(view?.blank);
    if (isDone) end.patch(view.end);
    const isOff = !link.acts || isPale || Boolean(view?.last?.again);
    if (isRow) labels.patch(sent && sent.label !== null ? sent.label : view.given, view.review, isOff);
    const line = lastLine();
    show(last.node, line !== null);
    if (line) last.patch(line);
    const state = view?.last ?? {};
    for (const [name, one] of Object.entries(more)) {
      show(one, Boolean(state[name]));
      write(one, state[name] || "");
      enable(one, link.acts && !isPale);
    }
    writeParts(agree, state.agree ?? []);
    show(saved, Boolean(state.agree?.length));
    show(hide, (state.hide ?? null) !== null);
    assign(hide, "aria-pressed", state.hide === 1);
    enable(hide, link.acts);
    show(back, Boolean(state.undo));
    enable(back, link.acts && !isPale);
    show(buttons, [...buttons.children].some((one) => !one.hidden));
    // Focus that stood on what has gone stays in the card, where keys act.
    if (hadFocus && !(focused.isConnected && focused.checkVisibility())) card.focus({ preventScroll: true });
  }

  const takeView = (next) => {
    const isOther = next.step !== view?.step;
    view = next;
    if (isOther) { fault = ""; shown = SHOWN_MORE; }
    if (view.item && isOther) item.patch(view.item);
    patch();
    if (isOther && view.says) speaker.announce(view.says);
  };
  const onMessage = (message) => {
    if (message?.kind === "view") { if (sent && message.view.step !== view?.step) settle(); takeView(message.view); }
    if (message?.kind === "labels") labels.take(message.labels);
  };

  // A held key makes its button act once.
  card.addEventListener("keydown", (event) => { if (event.repeat && event.target.closest("button")) event.preventDefault(); });
  const keys = { s: skip, u: undo, "/": () => { if (labels.count <= KEYED) return false; labels.field.focus(); return true; } };
  for (let number = 1; number <= KEYED; number += 1) keys[number] = () => give(number - 1);
  for (const name of ["s", "u"]) keys[name.toUpperCase()] = keys[name];
  // A key that does nothing now is still the card's: it must not reach the notebook.
  const deafened = Object.fromEntries(Object.entries(keys).map(([name, press]) => [name, (event) => { press(event); }]));
  listenToKeys(card, deafened, { leave: () => card.focus({ preventScroll: true }) });

  const timer = setInterval(() => { if (link.gone) patch(); }, LOOK_MS);
  const onEnd = () => {
    clearInterval(timer);
    settle();
    requests.end();
  };
  const unmount = mount({ model, el }, make("div", { class: "llmnb" }, card), { onState: patch, onMessage, onEnd });
  patch();
  requests.ask({ do: "look" });
  return unmount;
}

export default { render };
