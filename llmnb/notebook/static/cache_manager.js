// The cache manager: a list of projects, and one project's answers; parts.js and requests.js stand before it.
//
// What all pages share (the projects, what can be undone) comes as the widget's
// snapshot. What one page has asked for (a page of answers, what clearing would
// take) comes as a message that carries the turn it was asked with: so prompts
// and answers are never part of the widget's state, nor of a saved notebook.

const COLUMNS = [["answers", "answers", ""], ["size", "size", "opt3"], ["age", "age", "opt2 opt"], ["used", "last use", "opt2"], ["rate", "hit rate", "opt2"], ["saved", "saved", ""]];
const SEARCH_PAUSE_MS = 250;
const DEAF_CACHE = ["In a cell, ", "%llm_cache", " opens this list anew and ", "%llm_cache list", " prints it."];
const KEPT_CACHE = "What is listed here is kept: run the cell again to open the list anew.";

// ----------------------------------------------------------------- asked once more

/** A question in its row, with what answers it; focus goes to the answer that changes nothing. */
function makePanel({ label, isCalm = false, onKeep }) {
  const text = make("p", { id: uniqueId() });
  const keep = makeButton(isCalm ? "Cancel" : "Keep", () => onKeep(true));
  const buttons = make("span", { class: "btns" }, keep);
  const node = make("div", { class: "q", role: isCalm ? "group" : "alertdialog", "aria-label": label, "aria-describedby": text.id }, text, buttons);
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    onKeep(true);
  });
  return {
    node,
    keep,
    add(...more) { buttons.append(...more); },
    write(parts) { writeParts(text, parts); },
  };
}

/** What is asked of a project, of all or of one answer: before it goes, and how to export. */
function makeQuestions(asker, report) {
  let open = null; // { project, what, node, panel, back }
  const close = (returnsFocus) => {
    if (!open) return;
    const { node, back, row } = open;
    const hadFocus = node.contains(focusedBeside(node));
    open = null;
    node.remove();
    row?.classList.remove("asked", "calm");
    if (returnsFocus || hadFocus) back?.focus();
  };
  const insert = (spot, panel, isCalm) => {
    if (spot.row) {
      const cell = make("td", { colspan: COLUMNS.length + 2, class: "askcell" }, panel.node);
      const node = make("tr", { class: isCalm ? "ask calm" : "ask" }, cell);
      spot.row.classList.add("asked");
      spot.row.classList.toggle("calm", isCalm);
      spot.row.after(node);
      return node;
    }
    const node = make("div", { class: isCalm ? "ask bar calm" : "ask bar" }, panel.node);
    if (spot.inside) spot.inside.append(node);
    else spot.after.after(node);
    return node;
  };
  const show = (spot, label, isCalm) => {
    close(false);
    const panel = makePanel({ label, isCalm, onKeep: close });
    open = { panel, back: spot.back, row: spot.row, node: null };
    open.node = insert(spot, panel, isCalm);
    return panel;
  };
  /** Ask before something goes: `yes` does the request, and what `ended` returns takes its answers. */
  const decide = (spot, label, yesText, request, onDone) => {
    const panel = show(spot, label, false);
    const mine = open;
    const ended = (act) => (message) => { if (open === mine) close(true); act(message); };
    const fault = ended((message) => report(message.text, true));
    const yes = makeButton(yesText, () => {
      enable(yes, false);
      asker.ask(request, { done: ended(onDone), fault });
    }, "danger");
    panel.add(yes);
    panel.keep.focus();
    return { panel, yes, fault };
  };
  const clear = (project, label, spot) => {
    const { panel, yes, fault } = decide(spot, `Clear ${label}`, "Clear", { do: "clear", project }, () => spot.onCleared?.());
    enable(yes, false);
    panel.write(["", `Clear ${label}?`, " Counting what that would take away…"]);
    asker.ask({ do: "weigh", project }, {
      weighed: ({ question }) => { panel.write(question.parts); write(yes, question.yes); enable(yes, true); },
      fault,
    });
  };
  const forget = (project, { key, question }, spot, onDone) => {
    const label = "Forget this answer";
    decide(spot, label, label, { do: "forget", project, key }, onDone).panel.write(["", `${label}?`, ` ${question}`]);
  };
  const exporting = (project, label, spot) => {
    const panel = show(spot, `Export ${label}`, true);
    const mine = open;
    const to = (format) => () => {
      asker.ask({ do: "export", project, format }, {
        exported: (message) => report(message.parts, false),
        fault: (message) => report(message.text, true),
      });
      if (open === mine) close(true);
    };
    panel.add(makeButton("JSONL", to("jsonl")), makeButton("CSV", to("csv")));
    panel.write(["", `Export ${label} to a file?`, " JSONL keeps everything and can be imported again. CSV opens in a spreadsheet, its formulas made inert."]);
    panel.keep.focus();
  };
  return { clear, forget, export: exporting, close, get row() { return open?.row ?? null; }, get node() { return open?.node ?? null; } };
}

// --------------------------------------------------------------------------- the list

function makeHead(onBack) {
  const glyph = makeGlyph("box");
  const back = makeButton("‹ Cache", onBack, "link");
  const title = make("span", { class: "title" });
  const subject = make("span", { class: "subject" });
  const exportButton = makeButton("", () => {}, "bare");
  const clearButton = makeButton("", () => {}, "bare");
  const buttons = make("span", { class: "btns" }, exportButton, clearButton);
  const node = make("div", { class: "head" }, make("span", { class: "state" }, glyph.node, back, title), subject, buttons);
  return { node, back, title, subject, exportButton, clearButton, buttons };
}

function makeHero() {
  const kept = makeFigure();
  const saved = makeFigure("money");
  const share = document.createTextNode("");
  saved.lines[1].append(makeSwatch("reused"), share);
  const rail = makeRail(["reused"]);
  const node = make("div", {}, make("div", { class: "hero" }, kept.node, make("div", { class: "fig speed" }), saved.node), rail.node);
  const patch = (hero) => {
    kept.patch(hero.answers, "", hero.kept, hero.about);
    saved.patch(hero.saved, "", "saved so far");
    write(share, hero.share);
    rail.patch({ parts: [["reused", hero.part]], says: hero.says });
  };
  return { node, patch };
}

function makeRow({ onOpen, onExport, onClear, onUndo }) {
  const name = makeButton("", () => { if (!state.gone) onOpen(state); }, "name bare");
  const cells = COLUMNS.map(([, , className]) => make("td", { class: className }));
  const exportButton = makeButton("Export", () => onExport(state, { row: node, back: exportButton }), "bare exp");
  const clearButton = makeButton("Clear…", () => onClear(state, { row: node, back: clearButton }), "bare");
  const undoButton = makeButton("Undo", () => onUndo([state.gone]), "bare");
  const node = make("tr", {}, make("td", {}, name), ...cells, make("td", {}, make("span", { class: "btns" }, exportButton, clearButton, undoButton)));
  let state = null;
  const patch = (row) => {
    state = row;
    write(name, row.label);
    assign(name, "title", row.label);
    enable(name, !row.gone);
    COLUMNS.forEach(([field], index) => write(cells[index], row[field]));
    node.classList.toggle("gone", row.gone !== "");
    for (const button of [exportButton, clearButton]) show(button, !row.gone);
    show(undoButton, row.gone !== "");
    assign(exportButton, "aria-label", `Export ${row.label}`);
    assign(clearButton, "aria-label", `Clear ${row.label}…`);
    assign(undoButton, "aria-label", `Undo clearing ${row.label}`);
  };
  return { node, patch, name, undoButton, get state() { return state; } };
}

function makeList(acts) {
  const hero = makeHero();
  const heads = ["Project", ...COLUMNS.map(([, title]) => title)];
  const head = make("tr", {}, ...heads.map((text, index) => make("th", { scope: "col", class: index ? COLUMNS[index - 1][2] : "" }, text)), make("th", {}, make("span", { class: "vh" }, "actions")));
  const body = make("tbody");
  const table = make("div", { class: "list" }, make("table", { class: "projects" }, make("thead", {}, head), body));
  const node = make("div", {}, hero.node, table);
  const rows = new Map();
  const patch = (state, questions) => {
    hero.patch(state.hero);
    const wanted = new Set();
    let last = null;
    for (const project of state.projects) {
      const id = `${project.gone}:${project.name}`;
      wanted.add(id);
      let row = rows.get(id);
      if (!row) rows.set(id, row = makeRow(acts));
      row.patch(project);
      if ((last ? last.nextSibling : body.firstChild) !== row.node) last ? last.after(row.node) : body.prepend(row.node);
      last = row.node;
      if (questions.row === row.node) { // its question stays under it
        if (row.node.nextSibling !== questions.node) row.node.after(questions.node);
        last = questions.node;
      }
    }
    for (const [id, row] of rows) {
      if (wanted.has(id)) continue;
      if (questions.row === row.node) questions.close(false);
      row.node.remove();
      rows.delete(id);
    }
  };
  const find = (test) => [...rows.values()].find((row) => test(row.state));
  return { node, patch, find, hero };
}

// ------------------------------------------------------------------------- one project

function makeHit({ asker, questions, report, project, onForgotten }) {
  let state = null;
  const asked = make("span", { class: "p" });
  const answered = make("span", { class: "a" });
  const who = make("span", { class: "m" });
  const cost = make("span", { class: "m" });
  const code = make("code");
  const copyAnswer = makeButton("Copy answer", () => {
    asker.ask({ do: "answer", project: project(), key: state.key }, {
      answer: (message) => copyBy(copyAnswer, message.text),
      fault: (message) => report(message.text, true),
    });
  }, "link");
  const copyKey = makeButton("Copy key", () => copyBy(copyKey, state.key), "link");
  const forget = makeButton("Forget this answer…", () => questions.forget(project(), state, { inside: node, back: forget }, onForgotten), "link");
  const key = make("span", { class: "key", hidden: "", id: uniqueId() }, code, copyAnswer, copyKey, forget);
  const more = make("button", { type: "button", class: "more vh", "aria-expanded": "false", "aria-controls": key.id });
  const node = make("li", { class: "hit" }, more, asked, who, answered, cost, key);
  const toggle = () => {
    const isOpen = more.getAttribute("aria-expanded") !== "true";
    assign(more, "aria-expanded", isOpen);
    node.classList.toggle("open", isOpen);
    show(key, isOpen);
    showTexts();
    if (!isOpen && node.contains(questions.node)) questions.close(false);
    label();
  };
  /** A closed row begins near the word that was found, an open one at the start. */
  const showTexts = () => {
    const isOpen = node.classList.contains("open");
    for (const [span, { parts, skip }] of [[asked, state.asked], [answered, state.answered]]) {
      writeParts(span, isOpen || !skip ? parts : [`… ${parts[0].slice(skip)}`, ...parts.slice(1)], "mark");
    }
  };
  const label = () => write(more, more.getAttribute("aria-expanded") === "true" ? "Show less of this answer" : "Show all of this answer");
  more.addEventListener("click", (event) => { event.stopPropagation(); toggle(); });
  node.addEventListener("click", (event) => {
    if (event.target.closest("button, .key, .ask") || String(getSelection())) return;
    toggle();
  });
  const patch = (hit) => {
    const isOther = state?.key !== hit.key;
    state = hit;
    if (isOther && node.classList.contains("open")) toggle();
    showTexts();
    write(who, hit.who);
    write(cost, hit.cost);
    write(code, hit.short);
    label();
  };
  return { node, patch, more };
}

function makeProject({ asker, questions, report }) {
  let project = null;
  let number = 0;
  let shown = [];
  const input = make("input", { type: "search", "aria-label": "Search prompts and answers", placeholder: "Search prompts and answers", autocomplete: "off", spellcheck: "false", maxlength: "200" });
  const count = make("span", { class: "cnt", role: "status" });
  const find = make("div", { class: "find" }, input, count);
  const hits = make("ol");
  const range = make("span", { class: "why mut" });
  const before = makeButton("Previous", () => turnTo(number - 1));
  const after = makeButton("Next", () => turnTo(number + 1));
  const pager = make("span", { class: "btns" }, before, after);
  const foot = make("div", { class: "because", hidden: "" }, range, pager);
  const node = make("div", {}, find, hits, foot);
  const load = () => {
    const wanted = project;
    asker.ask({ do: "open", project, search: input.value, page: number }, {
      page: ({ page }) => { if (wanted === project) patch(page); },
      fault: (message) => report(message.text, true),
    });
  };
  const turnTo = (wanted) => { number = wanted; load(); };
  const searching = afterPause(() => { number = 0; load(); }, SEARCH_PAUSE_MS);
  input.addEventListener("input", searching.later);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) { event.preventDefault(); searching.now(); }
  });
  const patch = (page) => {
    number = page.page;
    write(count, page.count);
    while (shown.length > page.hits.length) shown.pop().node.remove();
    page.hits.forEach((hit, index) => {
      if (!shown[index]) {
        shown.push(makeHit({ asker, questions, report, project: () => project, onForgotten: () => { input.focus(); load(); } }));
        hits.append(shown[index].node);
      }
      shown[index].patch(hit);
    });
    write(range, page.nothing || page.range);
    show(pager, !page.nothing);
    enable(before, page.before);
    enable(after, page.after);
    show(foot, true);
  };
  return {
    node,
    find,
    open(name) {
      project = name;
      number = 0;
      input.value = "";
      load();
      input.focus();
    },
    /** Prompts and answers that nobody looks at leave the page. */
    close() {
      searching.never();
      project = null;
      write(count, "");
      for (const hit of shown) hit.node.remove();
      shown = [];
      show(foot, false);
    },
  };
}

// ------------------------------------------------------------------------------- foot

function makeFoot({ link, onUndo, onClose }) {
  const close = makeButton("Close", onClose, "bare");
  const undo = makeButton("Undo", () => onUndo(state.foot.gone));
  close.title = "Deletes for good what was cleared";
  const line = makeLastLine(make("span", { class: "btns" }, close, undo));
  let latest = null; // what happened last, until something else does
  let isBusy = false;
  let state = {};
  const patch = () => {
    const { foot } = state;
    const kernel = kernelLine(link(), { isBusy, kept: KEPT_CACHE, again: DEAF_CACHE });
    const shown = kernel ?? latest ?? (foot && { glyph: "check", parts: foot.parts });
    show(line.node, Boolean(shown));
    if (!shown) return;
    line.patch(shown);
    for (const button of [undo, close]) show(button, Boolean(foot) && (kernel === null || isBusy));
    write(undo, foot?.undo ?? "Undo");
  };
  return {
    node: line.node,
    take(newState) {
      if (JSON.stringify(state.foot) !== JSON.stringify(newState.foot)) latest = null;
      state = newState;
      patch();
    },
    report(parts, isBad) {
      latest = { glyph: isBad ? "alert" : "check", tone: isBad ? "bad" : "", parts: [parts].flat() };
      patch();
    },
    busy(newBusy) { if (newBusy !== isBusy) { isBusy = newBusy; patch(); } },
    patch,
    get text() { return line.text; },
    undo,
  };
}

// ----------------------------------------------------------------------------- render

function render({ model, el }) {
  const state = () => model.get("snapshot") ?? {};
  let opened = null; // the name of the project that is looked into
  let focusNext = null; // what shall have the focus once the list is new

  const speaker = makeSpeaker();
  const foot = makeFoot({ link: () => asker.link, onUndo: (gone) => undo(gone), onClose: () => asker.ask({ do: "close" }) });
  const report = (parts, isBad) => { foot.report(parts, isBad); speaker.announce(foot.text); };
  const asker = makeRequests(model, {
    overtaken: ["open"],
    onBusy: (isBusy) => { foot.busy(isBusy); if (isBusy) speaker.announce(foot.text); },
    onTurn: () => {
      foot.patch();
      if (asker.link.isDeaf || asker.link.gone) speaker.announce(foot.text);
      listen();
    },
  });
  const listen = () => { for (const part of [head.buttons, list.node, project.node]) part.inert = !asker.link.acts; };
  const questions = makeQuestions(asker, report);
  const look = () => asker.ask({ do: "look" }, {}, { isQuiet: true });

  const open = (row) => { questions.close(false); opened = row.name; patch(); project.open(row.name); };
  const back = () => {
    const name = opened;
    questions.close(false);
    opened = null;
    project.close();
    look();
    patch();
    list.find((row) => row.name === name && !row.gone)?.name.focus();
  };
  const undo = (gone) => {
    const names = state().projects.filter((row) => gone.includes(row.gone)).map((row) => row.name);
    focusNext = () => list.find((row) => row.name === names[0] && !row.gone)?.name;
    asker.ask({ do: "undo", gone }, { fault: (message) => report(message.text, true) });
  };
  const countOf = (row) => `the ${row.answers} ${row.answers === "1" ? "answer" : "answers"} of ${row.label}`;
  const cleared = (name) => () => {
    if (opened !== null) { opened = null; project.close(); patch(); }
    const target = () => list.find((row) => row.gone !== "" && (name === null || row.name === name))?.undoButton;
    focusNext = target;
    settleFocus();
  };
  const settleFocus = () => {
    const target = focusNext?.();
    if (target) { focusNext = null; target.focus(); }
  };

  const head = makeHead(back);
  const list = makeList({
    onOpen: open,
    onExport: (row, spot) => questions.export(row.name, countOf(row), spot),
    onClear: (row, spot) => questions.clear(row.name, countOf(row), { ...spot, onCleared: cleared(row.name) }),
    onUndo: undo,
  });
  const project = makeProject({ asker, questions, report });
  const blank = makeBlank();
  const card = make("div", { class: "card cache", role: "region" }, head.node, list.node, project.node, blank.node, foot.node, speaker.node);

  // Both buttons of the head speak of what is looked at: one project, or all.
  const here = () => state().projects?.find((row) => row.name === opened && !row.gone);
  const spot = (button) => opened === null ? { after: list.hero.node, back: button } : { after: project.find, back: button };
  head.exportButton.addEventListener("click", () => {
    const row = here();
    if (row) questions.export(row.name, countOf(row), spot(head.exportButton));
    else questions.export(null, "all answers, one file for each project,", spot(head.exportButton));
  });
  head.clearButton.addEventListener("click", () => {
    const row = here();
    const name = row ? row.name : null;
    questions.clear(name, row ? countOf(row) : "all answers", { ...spot(head.clearButton), onCleared: cleared(name) });
  });

  function patch() {
    const now = state();
    const isList = now.view === "list";
    const row = here();
    if (opened !== null && !row) { opened = null; project.close(); }
    const isInside = opened !== null;
    show(head.back, isInside);
    write(head.title, isInside ? `/ ${row.label}` : "Cache");
    write(head.subject, isInside ? row.about : now.where ?? "");
    assign(head.subject, "title", head.subject.textContent);
    assign(card, "aria-label", isInside ? `Cache manager, project ${row.label}` : "Cache manager");
    const live = isList && now.projects.some((project) => !project.gone);
    show(head.buttons, live);
    write(head.exportButton, isInside ? "Export" : "Export all");
    write(head.clearButton, isInside ? "Clear…" : "Clear all…");
    show(list.node, isList && !isInside);
    show(project.node, isInside);
    blank.patch({ empty: now.blank, looking: ["Adding up what is kept…"] }[now.view]);
    if (isList) list.patch(now, questions);
    const before = foot.text;
    foot.take(now);
    if (now.foot && foot.text !== before) speaker.announce(foot.text);
    settleFocus();
  }

  const onVisible = () => { if (!document.hidden) look(); };
  document.addEventListener("visibilitychange", onVisible);
  const onEnd = () => {
    document.removeEventListener("visibilitychange", onVisible);
    project.close();
    asker.end();
  };
  const unmount = mount({ model, el }, make("div", { class: "llmnb" }, card), { onState: patch, onEnd });
  patch();
  listen();
  look();
  return unmount;
}

export default { render };
