// The workbench: a prompt is written above, read below, and decided on at the foot.
//
// Figures and words come as the widget's snapshot; the prompt, the rows and their answers as
// messages. What is typed goes to the kernel at each change: the pause is counted there.

const DEAF_BENCH = ["What you type stays here. In a cell, ", "llmnb", " tells whether the kernel lives."];
const KEPT_BENCH = "What you typed stays here, to be copied; versions that were asked are kept in the project.";

// -------------------------------------------------------------------------- the quiet line

function makeQuiet({ send, onAsk }) {
  const panels = { model: makeModelPanel(send), system: makeSystemPanel(send), examples: makeExamplesPanel(send), schema: makeSchemaPanel(send) };
  let open = null;
  const buttons = {};
  for (const name of Object.keys(panels)) {
    const button = makeButton("", () => turn(open === name ? null : name));
    assign(button, "aria-expanded", false);
    buttons[name] = button;
  }
  const end = make("span", { class: "end" });
  const ask = makeButton("", onAsk, "ask");
  const node = make("div", { class: "quiet" }, ...Object.values(buttons), end, ask);
  const place = make("div");
  const turn = (name) => {
    open = name;
    for (const [own, button] of Object.entries(buttons)) assign(button, "aria-expanded", own === open);
    place.replaceChildren(...(open ? [panels[open].node] : []));
    if (open) panels[open].first.focus();
  };
  place.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !open || event.defaultPrevented) return;
    event.preventDefault();
    event.stopPropagation();
    const button = buttons[open];
    turn(null);
    button.focus();
  });
  return {
    node,
    place,
    ask,
    buttons,
    patch(state, acts) {
      for (const [name, parts] of state.quiet) writeParts(buttons[name], parts);
      write(end, state.end.text);
      show(end, state.end.text !== "");
      // A button that goes gives its focus to what stands before it, never to the page.
      const hadFocus = focusedBeside(ask) === ask;
      show(ask, state.end.button !== "");
      write(ask, state.end.button);
      enable(ask, acts);
      if (hadFocus && ask.hidden) buttons.schema.focus();
    },
    take(settings) { for (const panel of Object.values(panels)) panel.patch(settings); },
  };
}

// ------------------------------------------------------------------------ version heads

function makeHead(send) {
  const name = make("b");
  const when = make("span", { class: "mut" });
  const edit = makeButton("Edit", () => send({ do: "edit", version: number }), "bare");
  const share = document.createTextNode("");
  const of = make("small");
  const interval = make("i");
  const dot = make("b");
  const whisker = make("span", { class: "dw", role: "img" }, interval, dot);
  const scored = make("div", { class: "vscore" }, make("b", {}, share, of), whisker);
  const score = makeButton("", () => send({ do: "score" }));
  const asking = make("div", { class: "vscore ask" }, score);
  const figures = document.createTextNode("");
  const late = make("span", { class: "opt" });
  const diff = make("div", { class: "vdiff" });
  const node = make("th", { scope: "col" }, make("div", { class: "ver" }, name, when, edit), scored, asking, make("div", { class: "vfig" }, figures, late), diff);
  let number = 0;
  const patch = (version, acts) => {
    number = version.number;
    node.classList.toggle("now", Boolean(version.now));
    write(name, `v${number}`);
    write(when, version.when);
    const hadFocus = [edit, score].includes(focusedBeside(node));
    show(edit, !version.now);
    assign(edit, "aria-label", `Put v${number} into the editor`);
    enable(edit, acts);
    show(scored, version.score !== null);
    if (version.score) {
      write(share, `${version.score.share} `);
      write(of, version.score.of);
      show(whisker, version.score.at !== null);
      if (version.score.at) {
        const [at, low, wide] = version.score.at;
        dot.style.left = `${at}%`;
        interval.style.left = `${low}%`;
        interval.style.width = `${wide}%`;
        assign(whisker, "aria-label", version.score.says);
      }
    }
    show(asking, version.ask !== "");
    write(score, version.ask);
    enable(score, acts);
    write(figures, version.figures);
    write(late, version.late ? ` · ${version.late}` : "");
    return hadFocus && [edit, score].every((button) => button.hidden || button.parentNode.hidden);
  };
  return { node, patch, tell: (spans) => { writeSpans(diff, spans); show(diff, spans.length > 0); } };
}

// ------------------------------------------------------------------------------ answers

const MARK_WORDS = { right: "right: ", wrong: "wrong: ", "": "" };

function makeAnswer(send) {
  const glyph = makeGlyph();
  const said = make("span", { class: "vh" });
  let answer = null;
  const text = makeText({ onMore: () => send({ do: "unfold", version: answer.version, row: answer.row }) });
  const pending = make("span", { class: "pend" });
  const body = make("div", {}, said, text.node, pending);
  const inner = make("div", { class: "ans" }, glyph.node, body);
  const node = make("td", {}, inner);
  const patch = (newAnswer, head, hasMarks) => {
    answer = newAnswer;
    const isAsked = answer.state === "asked";
    node.classList.toggle("now", Boolean(head.now));
    assign(node, "data-v", head.now ? `v${head.number}, now` : `v${head.number}`);
    inner.classList.toggle("bare", !hasMarks);
    glyph.draw(answer.mark, answer.mark ? undefined : "");
    show(pending, isAsked);
    show(text.node, !isAsked);
    write(said, isAsked ? "asked" : answer.state === "none" ? "not asked" : MARK_WORDS[answer.mark]);
    text.text.classList.toggle("bad", answer.state === "failed");
    text.patch(answer.state === "none" ? { spans: [["", "–"]], more: 0 } : { spans: answer.spans, more: answer.more });
  };
  return { node, patch };
}

function makeRow(send) {
  const name = make("span");
  const truth = make("b");
  const known = make("span", {}, "truth ", truth);
  const text = make("span", { class: "clamp", dir: "auto" });
  const head = make("th", { scope: "row" }, make("span", { class: "no" }, name, known), text);
  const node = make("tr", {}, head);
  const answers = [];
  const patch = (row, heads, isLong) => {
    write(name, row.name);
    show(known, row.truth !== "");
    write(truth, row.truth);
    writeSpans(text, row.text);
    text.style.setProperty("--n-clamp", isLong ? 4 : 2);
    while (answers.length > row.answers.length) answers.pop().node.remove();
    const hasMarks = row.answers.some((answer) => answer.mark);
    row.answers.forEach((answer, place) => {
      if (!answers[place]) {
        answers.push(makeAnswer(send));
        node.append(answers[place].node);
      }
      answers[place].patch(answer, heads[place] ?? {}, hasMarks);
    });
  };
  return { node, patch };
}

/** Sample rows down, versions across. */
function makeVersions(send, onLostFocus) {
  const which = make("select", { "aria-label": "Which rows" });
  which.addEventListener("change", () => send({ do: "rows", of: which.value }));
  const die = makeGlyph();
  die.draw("dice", "");
  const other = makeButton("", () => send({ do: "rows", of: null }), "icon bare");
  other.append(die.node);
  assign(other, "aria-label", "Other rows");
  assign(other, "title", "Other rows");
  const corner = make("th", {}, make("div", { class: "samp" }, which, other));
  const columns = make("colgroup", {}, make("col", { class: "rowcol" }));
  const top = make("tr", {}, corner);
  const body = make("tbody");
  const table = make("table", { class: "grid", "aria-label": "Sample rows and versions" }, columns, make("thead", {}, top), body);
  const chips = makeChips("Versions on show", (chip) => send({ do: "pick", version: chip.value }));
  const pick = make("div", { class: "vpick", hidden: "" }, make("span", {}, "Versions"), chips.node);
  const node = make("div", {}, pick, make("div", { class: "vers" }, table));
  const heads = [];
  const rows = [];
  let state = null;
  let texts = null;
  let told = "";

  const patch = (acts) => {
    if (!state) return;
    show(pick, state.picks.length > 0);
    chips.patch(state.picks);
    const key = JSON.stringify(state.sample.options);
    if (key !== told) {
      told = key;
      which.replaceChildren(...state.sample.options.map(([value, text]) => make("option", { value }, text)));
    }
    which.value = state.sample.value;
    which.disabled = !acts;
    enable(other, acts);
    while (heads.length > state.versions.length) {
      if (heads.at(-1).node.contains(focusedBeside(node))) onLostFocus();
      heads.pop().node.remove();
      columns.lastChild.remove();
    }
    state.versions.forEach((version, place) => {
      if (!heads[place]) {
        heads.push(makeHead(send));
        top.append(heads[place].node);
        columns.append(make("col"));
      }
      if (heads[place].patch(version, acts)) onLostFocus();
    });
    table.style.setProperty("--n-v", Math.max(1, state.versions.length));
    if (!texts) return;
    table.classList.toggle("long", Boolean(texts.long));
    heads.forEach((head, place) => head.tell(texts.diffs[place] ?? []));
    while (rows.length > texts.rows.length) rows.pop().node.remove();
    texts.rows.forEach((row, place) => {
      if (!rows[place]) {
        rows.push(makeRow(send));
        body.append(rows[place].node);
      }
      rows[place].patch(row, state.versions, texts.long);
    });
  };
  return {
    node,
    patch(newState, acts) { state = newState; patch(acts); },
    take(newTexts, acts) { texts = newTexts; patch(acts); },
  };
}

// --------------------------------------------------------------------------- foot, code

const RAIL_PARTS = ["reused", "merged", "done", "send", "beyond", "failed", "skip"];

const FOOT_BUTTONS = ["allow", "code", "pause", "resume", "retry", "stop", "local", "run"];

function makeFoot(act) {
  const glyph = makeGlyph();
  const text = make("span");
  const buttons = Object.fromEntries(FOOT_BUTTONS.map((name) => [name, makeButton("", () => act(name), name === "run" ? "go" : "")]));
  const node = make("div", { class: "foot" }, make("span", { class: "why" }, glyph.node, text), make("span", { class: "btns" }, ...Object.values(buttons)));
  const patch = (line, acts) => {
    glyph.draw(line.glyph);
    assign(node, "class", `foot ${line.tone ?? ""}`.trim());
    writeParts(text, line.parts, line.tag ?? "b");
    const shown = Object.fromEntries((line.buttons ?? []).map(([name, ...rest]) => [name, rest]));
    const focused = Object.values(buttons).find((button) => button === focusedBeside(button));
    for (const [name, button] of Object.entries(buttons)) {
      show(button, name in shown);
      if (!(name in shown)) continue;
      const [label, isOn] = shown[name];
      write(button, label);
      enable(button, Boolean(isOn) && acts);
    }
    // A button that goes gives its focus to its neighbour, never to the page.
    if (focused?.hidden) Object.values(buttons).find((button) => !button.hidden)?.focus();
  };
  return { node, patch, buttons, get text() { return text.textContent; } };
}

function makeCodeBox() {
  const said = make("span");
  const again = makeButton("Copy again", () => copy());
  const close = makeButton("Close", () => { show(node, false); back?.focus(); }, "bare");
  const code = make("pre", { tabindex: "0", "aria-label": "The cell that gives the same column" });
  const node = make("div", { class: "codebox", hidden: "" }, make("div", { class: "bar" }, said, again, close), code);
  let back = null;
  let name = "";
  const copy = async () => {
    const isCopied = await putOnClipboard(code.textContent);
    write(said, isCopied ? `${name} as a cell, copied` : `${name} as a cell: select it and copy`);
  };
  return {
    node,
    said,
    async open(text, label, button) {
      back = button;
      name = label;
      write(code, text);
      show(node, true);
      await copy();
    },
  };
}

// ------------------------------------------------------------------------------- render

function render({ model, el }) {
  const state = () => model.get("snapshot") ?? {};
  let isBusy = false;
  let fault = null; // what went wrong with the last wish, until another
  let typing = 0; // texts on their way to the kernel
  let known = -1; // the kernel's count of changes when it took what was typed last

  const speaker = makeSpeaker();
  const requests = makeRequests(model, {
    overtaken: ["type"],
    onBusy: (busy) => { isBusy = busy; patch(); },
    onTurn: () => patch(),
  });
  const acts = () => requests.link.acts;
  const send = (request, answers = {}) => {
    fault = null;
    requests.ask(request, { fault: (message) => { fault = message.text; patch(); }, ...answers });
  };
  const type = (prompt) => {
    const mine = typing += 1;
    const taken = () => { if (mine === typing) typing = 0; };
    send({ do: "type", prompt }, { typed: (message) => { known = Math.max(known, message.rev); }, done: taken, fault: taken });
  };

  const heading = makeGlyph("pen");
  const subject = make("span", { class: "subject" });
  const spent = make("span");
  const bar = make("i");
  const editor = makeEditor({ onType: type });
  const quiet = makeQuiet({ send, onAsk: () => send({ do: "ask" }) });
  const versions = makeVersions(send, () => editor.area.focus());
  const rail = makeRail(RAIL_PARTS);
  const foot = makeFoot((name) => {
    if (name === "code") send({ do: "code" }, { code: (message) => box.open(message.code, `v${nowNumber()}`, foot.buttons.code).then(() => speaker.announce(box.said.textContent)) });
    else send({ do: name });
  });
  const box = makeCodeBox();
  const nowNumber = () => state().versions?.find((version) => version.now)?.number ?? " now";
  const card = make("div", { class: "card bench", role: "region", "aria-label": "Workbench" },
    make("div", { class: "head" }, make("span", { class: "state" }, heading.node, "Workbench"), subject, make("span", { class: "spent" }, spent, make("span", { class: "mini", "aria-hidden": "true" }, bar))),
    make("div", { class: "write" }, editor.cols, editor.ed, editor.wrong, quiet.node),
    quiet.place, versions.node, rail.node, foot.node, box.node, speaker.node);

  card.addEventListener("keydown", (event) => {
    if (!event.altKey || event.ctrlKey || event.metaKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (acts()) send({ do: "step", by: event.key === "ArrowUp" ? -1 : 1 });
  });
  assign(editor.area, "aria-keyshortcuts", "Alt+ArrowUp Alt+ArrowDown");

  /** What the page knows better than the last word it heard. */
  const ownLine = () => {
    const line = kernelLine(requests.link, { isBusy, kept: KEPT_BENCH, again: DEAF_BENCH });
    if (line !== null) return isBusy && line.glyph === "clock" ? { ...line, parts: ["The kernel is busy with a cell: what you type is asked as soon as that is done."] } : line;
    return fault === null ? null : { glyph: "alert", tone: "bad", parts: ["", "Not done.", ` ${fault}`], buttons: state().foot.buttons };
  };
  let announced = "";
  function patch() {
    const now = state();
    if (!now.foot) return;
    write(subject, now.subject);
    assign(subject, "title", now.subject);
    writeParts(spent, now.spent);
    bar.style.width = `${100 * now.share}%`;
    quiet.patch(now, acts());
    versions.patch(now, acts());
    rail.patch(now.rail);
    const own = ownLine();
    foot.patch(own ?? now.foot, acts());
    const says = own ? foot.text : now.says;
    if (says !== announced) { announced = says; speaker.announce(says); }
  }

  const onTexts = (texts) => {
    if (!typing && texts.rev >= known) editor.put(texts.prompt);
    editor.take(texts);
    quiet.take(texts.settings);
    versions.take(texts, acts());
  };
  const onMessage = (message) => { if (message?.kind === "texts") onTexts(message.texts); };
  const onEnd = () => { requests.end(); editor.end(); };
  const unmount = mount({ model, el }, make("div", { class: "llmnb" }, card), { onState: patch, onMessage, onEnd });
  patch();
  requests.ask({ do: "look" });
  return unmount;
}

export default { render };
