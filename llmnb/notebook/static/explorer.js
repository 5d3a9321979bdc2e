// The explorer: an open row beside the list, and what ties both together; explorer_list.js stands before it.

const SEARCH_PAUSE_MS = 250;
const GHOSTS_AFTER_MS = 150;

const KEYS = [
  ["j k", "next, previous row"], ["↓ ↑", "the same"], ["PgDn PgUp", "a page on, back"], ["Home End", "first, last row"], ["g", "go to a row"], ["n", "next row that failed"],
  ["/", "search"], ["f", "filters"], ["m", "mark, unmark"], ["r", "open the reasoning"], ["d", "changes side by side"], ["c", "copy the answer"], ["Esc", "one step back"], ["Tab", "from list to open row"], ["?", "these keys"],
];

// ----------------------------------------------------------------------- the open row

function makeIconButton(glyphName, label, act, className) {
  const glyph = makeGlyph();
  glyph.draw(glyphName);
  const node = makeButton("", act, className);
  node.append(glyph.node);
  assign(node, "aria-label", label);
  node.title = label;
  return node;
}

/** One row with all there is of it.
 *
 *  acts: onStep(step), onMark(), onRetry(), onMore(part, length, then), onCorrect(texts), onTakeBack().
 */
function makeOpenRow(acts) {
  const title = make("h3");
  const label = make("span", { class: "mut" });
  const flag = makeGlyph();
  const word = document.createTextNode("");
  const mark = makeButton("", () => acts.onMark(), "mark");
  mark.append(flag.node, word, makeKey("m"));
  assign(mark, "aria-keyshortcuts", "m");
  const buttons = make("span", { class: "btns" }, makeIconButton("up", "Previous row (k)", () => acts.onStep(-1), "icon bare"), makeIconButton("down", "Next row (j)", () => acts.onStep(1), "icon bare"), mark);
  const parts = make("dl", { class: "parts" });
  const foot = make("dl", { class: "foot" });
  const node = make("section", { class: "open", tabindex: "0", hidden: "" }, make("div", { class: "top" }, title, label, buttons), parts, foot);
  let state = null;
  let told = "";
  const unfolded = new Set(); // names of parts that stay open from row to row
  let isSideBySide = false;

  const makeBlock = (part, className) => {
    let length = 0;
    const text = makeText({ className, onMore: (more) => {
      acts.onMore(part.key, Math.min(100_000, (length || SHOWN_MORE) + more), (block, asked) => { length = asked; text.patch(block); });
    } });
    text.patch(part.block);
    return text.node;
  };
  const makeFold = (part) => {
    const glyph = makeGlyph("fold");
    const summary = make("summary", {}, glyph.node, part.summary);
    const details = make("details", { "data-part": part.name }, summary);
    const fill = () => { if (details.open && details.children.length === 1) details.append(makeBlock(part)); };
    details.addEventListener("toggle", () => {
      if (details.open) unfolded.add(part.name); else unfolded.delete(part.name);
      fill();
    });
    details.open = unfolded.has(part.name);
    fill();
    return details;
  };
  const makeFields = (part) => {
    const rows = part.rows.map(([name, spans, verdict]) => {
      const cell = make("td", { dir: "auto" });
      writeSpans(cell, spans);
      if (verdict) {
        const glyph = makeGlyph();
        glyph.draw(verdict === "right" ? "right" : "wrong");
        cell.append(glyph.node, make("span", { class: ["right", "wrong"].includes(verdict) ? "vh" : "mut" }, ` ${verdict}`));
      }
      return make("tr", {}, make("td", {}, name), cell);
    });
    return make("table", { class: "fields" }, make("tbody", {}, ...rows));
  };
  const makeFailure = (part) => {
    const heading = make("p", { class: "err" });
    writeSpans(heading, part.title);
    const box = make("div", {}, heading);
    for (const spans of part.texts) {
      const text = make("p", { class: "say txt", dir: "auto" });
      writeSpans(text, spans);
      box.append(text);
    }
    if (part.retry) box.append(make("div", { class: "acts" }, makeButton(part.retry, (() => acts.onRetry()))));
    return box;
  };
  const makeChanges = (part) => {
    const text = make("div", { class: "txt", dir: "auto" });
    writeSpans(text, part.inText);
    const sides = make("div", { class: "sides" }, ...part.sides.map((side) => make("div", {}, make("h4", {}, side.title), makeBlock(side))));
    const choose = (wanted) => {
      isSideBySide = wanted;
      show(text, !wanted);
      show(sides, wanted);
      assign(inText, "aria-pressed", !wanted);
      assign(beside, "aria-pressed", wanted);
    };
    const inText = makeButton("In the text", () => choose(false));
    const beside = makeButton("Side by side", () => choose(true));
    node.choose = choose;
    choose(isSideBySide);
    return make("div", {}, make("div", { class: "seg2", role: "group", "aria-label": "How changes are shown" }, inText, beside), text, sides);
  };
  /** What a person says instead of the answer, or of its fields: a line, or what to write it in. */
  const makeCorrection = ({ names, texts, said, to }) => {
    const box = make("div", { class: "correct" });
    const rest = () => {
      if (names.length > 1 && box.previousSibling) show(box.previousSibling, true);
      if (!said) return box.replaceChildren(makeButton("Correct…", change, "link"));
      box.replaceChildren(said, ...(to ? [make("span", { class: "txt", dir: "auto" }, to)] : []), makeButton("Change", change, "link"), makeButton("Take back", () => acts.onTakeBack(), "link"));
    };
    const change = () => {
      const inputs = names.map((name, i) => {
        const input = make("textarea", { "aria-label": name, maxlength: "20000", dir: "auto", rows: names.length > 1 ? "1" : "2" });
        input.value = texts[i];
        return input;
      });
      const keep = () => acts.onCorrect(inputs.map((input, i) => (input.value === texts[i] && names.length > 1 ? null : input.value)));
      const cancel = () => { rest(); box.querySelector("button")?.focus(); };
      box.onkeydown = (event) => {
        if (event.isComposing || event.target.tagName !== "TEXTAREA") return;
        if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); keep(); }
        else if (event.key === "Escape") { event.preventDefault(); event.stopPropagation(); cancel(); }
      };
      if (names.length > 1) show(box.previousSibling, false); // what it says is in the fields
      const labelled = () => make("div", { class: "inputs" }, ...inputs.map((input, i) => make("label", {}, make("span", {}, names[i]), input)));
      box.replaceChildren(names.length > 1 ? labelled() : inputs[0], makeButton("Keep", keep), makeButton("Cancel", cancel, "bare"));
      inputs[0].focus();
      inputs[0].select();
    };
    rest();
    return box;
  };
  const makePart = (part, row) => {
    const name = make("dt", {}, part.name);
    const cell = make("dd");
    if (part.note) cell.append(make("p", { class: "note" }, part.note));
    if (part.kind === "text") cell.append(makeBlock(part, part.isTemplate ? "tpl" : ""));
    else if (part.kind === "fold") cell.append(makeFold(part));
    else if (part.kind === "fields") cell.append(makeFields(part));
    else if (part.kind === "error") cell.append(makeFailure(part));
    else if (part.kind === "changes") cell.append(makeChanges(part));
    else cell.append(make("span", { class: "folded" }, part.text));
    if (part.name === row.correction?.part && row.correction.names.length) cell.append(makeCorrection(row.correction));
    return [name, cell];
  };
  const figure = (figureText, smallText) => smallText ? make("dd", {}, `${figureText} `, make("small", {}, smallText)) : make("dd", {}, figureText);
  const patch = (row) => {
    const isOther = state?.position !== row.position;
    state = row;
    show(node, true);
    assign(node, "aria-label", `Row ${row.no}`);
    write(title, `Row ${row.no}`);
    write(label, row.label);
    mark_(row.isMarked);
    // What has not changed keeps its nodes, so that focus and unfolded parts stay.
    const now = JSON.stringify([row.position, row.parts, row.foot, row.correction]);
    if (now === told) return;
    told = now;
    const hadFocus = parts.contains(focusedBeside(node));
    node.choose = null;
    parts.replaceChildren(...row.parts.flatMap((part) => makePart(part, row)));
    const hasBoth = row.foot.some((column) => column.length > 3);
    assign(foot, "class", hasBoth ? "foot both" : "foot");
    foot.replaceChildren(...row.foot.map(([name, text, small, ...before]) => make("div", {}, make("dt", {}, name), figure(text, small), ...(before.length ? [figure(...before)] : []))));
    show(foot, row.foot.length > 0);
    if (isOther) node.scrollTop = 0;
    if (hadFocus) node.focus({ preventScroll: true });
  };
  const mark_ = (isMarked) => {
    flag.draw(isMarked ? "flagged" : "flag");
    word.data = isMarked ? "Marked" : "Mark";
    assign(mark, "aria-pressed", isMarked);
  };
  return {
    node,
    patch,
    mark(isMarked) { if (state) { state.isMarked = isMarked; mark_(isMarked); } },
    clear() { state = null; told = ""; parts.replaceChildren(); foot.replaceChildren(); show(node, false); },
    toggleReasoning() {
      const details = parts.querySelector('details[data-part="Reasoning"]');
      if (!details) return false;
      details.open = !details.open;
      return true;
    },
    toggleSides() { if (!node.choose) return false; node.choose(!isSideBySide); return true; },
    get state() { return state; },
  };
}

// ----------------------------------------------------------------------------- render

function render({ model, el }) {
  let state = null;
  let version = 0; // of the rows that the list has
  let current = null; // the position of the open row
  let coming = null; // the rank of a row that is to be opened once its page is there
  let isBusy = false;
  let latest = null; // what was said last, until something else is
  const asked = new Set(); // first ranks of pages under way

  const requests = makeRequests(model, {
    overtaken: ["search", "around", "row", "values"],
    onBusy: (now) => { if (now !== isBusy) { isBusy = now; patchLine(); } },
    onTurn: () => {
      if (requests.link.acts && !state) hello();
      patchLine();
      patchInert();
    },
  });
  const fault = (message) => report(message.text, true);
  const ask = (request, answers = {}) => requests.ask(request, { fault, ...answers });
  const hello = () => ask({ do: "hello" });

  // ------------------------------------------------------------------ its parts
  const glyph = makeGlyph("rows");
  const subject = make("span", { class: "subject" });
  const head = make("div", { class: "head" }, make("span", { class: "state" }, glyph.node, "Rows"), subject);
  const input = make("input", { type: "search", "aria-label": "Search prompts and answers", placeholder: "Search prompts and answers", autocomplete: "off", spellcheck: "false", maxlength: "200", "aria-keyshortcuts": "/" });
  const goTo = make("input", { class: "goto", type: "text", inputmode: "numeric", "aria-label": "Go to row", placeholder: "row", hidden: "", maxlength: "15" });
  const count = make("span", { class: "cnt", role: "status" });
  const find = make("div", { class: "find", role: "search" }, make("span", { class: "box" }, input, makeKey("/")), goTo, count);
  const facets = makeFacets({
    onOutcome: (value) => ask(value === "marked" ? { do: "marked" } : { do: "outcome", value }),
    onValue: (facet, value) => ask({ do: "choose", facet, value }),
    onFacet: (name) => ask({ do: "facet", name }),
    onSearch: (name, text, then) => ask({ do: "values", name, text }, { values: (message) => then(message.values) }),
  });
  const map = makeMap((position) => go(position));
  const list = makeRowList({
    onNeed: (first) => {
      if (asked.has(first)) return;
      asked.add(first);
      ask({ do: "rows", first }, { rows: takeRows, done: () => asked.delete(first), fault: (message) => { asked.delete(first); fault(message); } });
    },
    onOpen: (position) => { open(position); list.node.focus({ preventScroll: true }); },
  });
  const openRow = makeOpenRow({
    onStep: step,
    onMark: mark,
    onRetry: () => ask({ do: "retry", position: current }),
    onMore: (part, length, then) => ask({ do: "text", position: current, part, length }, { text: (message) => then(message.block, length) }),
    onCorrect: (texts) => ask({ do: "correct", position: current, texts }, { row: ({ row }) => { openRow.patch(row); report("Kept as a label: .corrections"); openRow.node.focus(); } }),
    onTakeBack: () => ask({ do: "take_back", position: current }, { row: ({ row }) => { openRow.patch(row); openRow.node.focus(); } }),
  });
  const panes = make("div", { class: "panes" }, list.node, openRow.node);
  const keys = make("ul", { class: "keys", hidden: "", "aria-label": "Keys" }, ...KEYS.map(([names, text]) => make("li", {}, make("span", {}, ...names.split(" ").map((name) => make("kbd", {}, name))), text)));
  const hints = makeHints([]);
  const help = makeButton("", () => toggleKeys(), "bare vh");
  write(help, "Keys");
  assign(help, "aria-keyshortcuts", "?");
  const last = makeLastLine(hints.node, help);
  const showAll = makeButton("Show all rows", () => ask({ do: "clear" }), "link");
  const stopSearch = makeButton("Stop here", () => ask({ do: "stop" }));
  last.node.insertBefore(stopSearch, hints.node);
  const blank = makeBlank();
  const speaker = makeSpeaker();
  const card = make("div", { class: "card explore", role: "region", "aria-label": "Rows" }, head, find, facets.node, facets.values.node, map.node, panes, blank.node, keys, last.node, speaker.node);

  // ------------------------------------------------------------------- what is shown
  function report(text, isBad = false) {
    latest = { glyph: isBad ? "alert" : "check", parts: [text], tone: isBad ? "bad" : "" };
    patchLine();
    speaker.announce(text);
  }
  function patchLine() {
    const kernel = kernelLine(requests.link, { isBusy, seen: requests.link.seen, kept: "What was read stays on show; run the cell again to read on.", again: ["In a cell, ", ".row(position)", " reads on."] });
    const line = kernel ?? latest ?? state?.line ?? { glyph: "clock", parts: ["Reading…"] };
    last.patch({ ...line, buttons: !kernel && !latest && state?.line.showAll ? [showAll] : [] });
    show(stopSearch, !kernel && Boolean(state?.isSearching));
    show(hints.node, !requests.link.gone);
  }
  function patchInert() {
    for (const part of [find, facets.node, facets.values.node]) part.inert = Boolean(requests.link.gone);
  }
  function patch() {
    const isEmpty = state.blank !== null;
    write(subject, state.subject);
    assign(subject, "title", state.subject);
    assign(card, "aria-label", state.isPair ? `Rows of two runs of project ${state.project}` : state.project ? `Rows of project ${state.project}` : "Rows");
    writeParts(count, state.count);
    for (const part of [find, facets.node, map.node, panes, last.node]) show(part, !isEmpty);
    blank.patch(state.blank);
    facets.patch(state);
    map.patch(state);
    list.size(state.shown, state.rows);
    assign(list.node, "style", `--n-gut:${Math.max(44, 12 + 7 * groupOf(state.rows).length) + (state.isPair ? 8 : 0)}px`);
    hints.patch([["j k", "next, previous"], state.isPair ? ["d", "side by side", "far"] : ["m", "mark", "far"], ["/", "search", "far"], ["?", "keys"]]);
    const isShown = !isEmpty && (state.shown > 0 || state.isSearching);
    if (!isShown && panes.contains(focusedBeside(card))) input.focus();
    show(panes, isShown);
    if (focusedBeside(card) !== input && input.value.trim() !== state.search) input.value = state.search;
    if (version !== state.version) {
      latest = null;
      if (state.shown) ask({ do: "around", position: current ?? 0 }, { place: takePlace, rows: (message) => takeRows(message, true) });
      else { list.clear(); openRow.clear(); }
      version = state.version;
    }
    patchLine();
  }
  function takeRows(message, isFresh = false) {
    asked.delete(message.first);
    list.take(message.first, message.lines, isFresh);
    list.choose(current);
    const position = coming === null ? null : list.positionAt(coming);
    if (position !== null) { coming = null; open(position); }
  }
  function takePlace({ position }) {
    if (position !== current || !openRow.state) open(position);
    else readRow();
  }
  function readRow() {
    const position = current;
    ask({ do: "row", position }, { row: ({ row }) => {
      if (row.position !== current) return;
      const isOther = openRow.state?.position !== row.position;
      openRow.patch(row);
      if (isOther) speaker.announce(row.says);
    } });
  }
  function open(position) {
    if (position === null || position === undefined) return;
    current = position;
    coming = null;
    list.choose(position);
    map.place(position);
    readRow();
  }
  /** Go to a row wherever it is, or to the one after it that is shown. */
  function go(position, request = "around") {
    const isFar = list.positionAt(list.first) === null || request === "around";
    const bars = isFar && !state.isNarrowed ? setTimeout(() => list.ghosts(position), GHOSTS_AFTER_MS) : 0;
    ask({ do: request, position }, {
      place: (message) => { current = message.position; },
      rows: (message) => { clearTimeout(bars); takeRows(message, true); open(current); },
      fault: (message) => { clearTimeout(bars); fault(message); },
    });
  }
  function step(by) {
    latest = null;
    const rank = coming ?? list.rank; // keys that are faster than the kernel add up
    if (rank === null) return;
    goToRank(Math.max(0, Math.min(state.shown - 1, rank + by)), rank);
  }
  function goToRank(wanted, from = Infinity) {
    const there = list.positionAt(wanted);
    if (there !== null) { coming = null; open(there); return; }
    const isUnderWay = coming !== null && Math.floor(coming / ROWS_IN_PAGE) === Math.floor(wanted / ROWS_IN_PAGE);
    coming = wanted;
    if (!isUnderWay) ask({ do: "rows", first: wanted }, { rows: (message) => takeRows(message, Math.abs(wanted - from) > ROWS_IN_PAGE) });
  }
  function mark() {
    if (!openRow.state) return;
    const on = !openRow.state.isMarked;
    openRow.mark(on);
    ask({ do: "mark", position: current, on });
    speaker.announce(on ? "Marked" : "Mark taken away");
  }
  function copy() {
    if (current === null) return;
    ask({ do: "answer", position: current }, { answer: ({ text }) => { void putOnClipboard(text).then((isDone) => report(isDone ? "The answer is copied." : "Copying is not allowed here.")); } });
  }
  function toggleKeys(isShown = keys.hidden) {
    show(keys, isShown);
    assign(help, "aria-expanded", isShown);
  }
  function back() {
    if (!keys.hidden) { toggleKeys(false); return true; }
    if (facets.values.shut(true)) return true;
    if (latest) { latest = null; patchLine(); return true; }
    if (openRow.node.contains(focusedBeside(card)) || facets.node.contains(focusedBeside(card))) { list.node.focus(); return true; }
    if (state?.search) { input.value = ""; search.now(); return true; }
    if (state?.isNarrowed) { ask({ do: "clear" }); return true; }
    return false;
  }

  // ------------------------------------------------------------------------ its keys
  const search = afterPause(() => ask({ do: "search", text: input.value }), SEARCH_PAUSE_MS);
  input.addEventListener("input", search.later);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    search.now();
    list.node.focus();
  });
  goTo.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    const wanted = Number(goTo.value.replace(/[,.\s_]/g, ""));
    leave(goTo);
    if (Number.isInteger(wanted) && wanted >= 0 && wanted < state.rows) go(wanted);
    else report(`There is no row ${goTo.value.slice(0, 20)}: they go from 0 to ${groupOf(state.rows - 1)}.`, true);
  });
  goTo.addEventListener("blur", () => show(goTo, false));
  const leave = (field) => {
    if (field === goTo) show(goTo, false);
    if (facets.values.node.contains(field)) { facets.values.shut(true); return; }
    list.node.focus();
  };
  const isRail = (event) => event.target.type === "range";
  const pageBy = (way) => (event) => { if (isRail(event)) return false; step(way * list.visible); return true; };
  const moveBy = (by) => (event) => {
    if (event.key.startsWith("Arrow") && (isRail(event) || openRow.node === event.target)) return false;
    step(by);
    return true;
  };
  const inList = (act) => (event) => { if (isRail(event) || openRow.node.contains(event.target)) return false; act(); return true; };
  const always = (act) => () => act() !== false;
  listenToKeys(card, {
    j: moveBy(1), k: moveBy(-1), ArrowDown: moveBy(1), ArrowUp: moveBy(-1),
    PageDown: pageBy(1), PageUp: pageBy(-1),
    Home: inList(() => goToRank(0)), End: inList(() => goToRank(state.shown - 1)),
    g: always(() => { goTo.value = ""; show(goTo, true); goTo.focus(); }),
    n: always(() => go(current ?? 0, "failed")),
    "/": always(() => { input.focus(); input.select(); }),
    f: always(() => facets.first?.focus()),
    m: always(mark),
    r: always(() => openRow.toggleReasoning()),
    d: always(() => openRow.toggleSides()),
    c: always(copy),
    "?": always(() => toggleKeys()),
    Escape: () => back(),
  }, { repeats: ["j", "k", "ArrowDown", "ArrowUp", "PageDown", "PageUp", "n"], leave });

  // --------------------------------------------------------------------------- life
  const onMessage = (message) => {
    if (message?.kind !== "state") return;
    state = message.state;
    patch();
  };
  const onEnd = () => {
    search.never();
    map.end();
    requests.end();
  };
  const unmount = mount({ model, el }, make("div", { class: "llmnb" }, card), { onMessage, onEnd });
  for (const part of [find, facets.node, map.node, panes]) show(part, false);
  patchLine();
  hello();
  return unmount;
}

export default { render };
