// The explorer's list of rows, its rail and its chips; parts.js, requests.js and reading.js stand before it.

const ROWS_IN_PAGE = 100;
const PAGES_KEPT = 3;
const NEAR_ROWS = 30; // so many rows before the end of what is there more are asked for

const groupOf = (number) => number.toLocaleString("en");

/** One row of the list; its nodes are made once and patched. */
function makeRowItem() {
  const small = make("small");
  const number = document.createTextNode("");
  const no = make("span", { class: "no" }, number, small);
  const asked = make("span", { class: "p", dir: "auto" });
  const glyph = makeGlyph();
  const answer = make("span");
  const truth = make("span", { class: "truth" });
  const answered = make("span", { class: "a", dir: "auto" }, glyph.node, answer, truth);
  const flag = makeGlyph("flagged");
  const mark = make("span", { class: "f", hidden: "" }, flag.node, make("span", { class: "vh" }, "marked"));
  const node = make("li", { role: "option", id: uniqueId() }, no, asked, answered, mark);
  const patch = (line, rows) => {
    write(number, line.no);
    show(small, Boolean(line.small));
    write(small, line.small);
    writeSpans(asked, line.asked);
    assign(answered, "class", `a ${line.kind}`);
    glyph.draw(line.kind === "bad" ? "alert" : "");
    writeSpans(answer, line.answered);
    write(truth, line.truth ? ` ${line.truth}` : "");
    show(mark, line.isMarked);
    assign(node, "aria-posinset", line.position + 1);
    assign(node, "aria-setsize", rows);
  };
  return { node, patch };
}

/** The list: at most three pages of a hundred rows, by their rank among those that are shown.
 *
 *  onNeed(first): a page is wanted; onOpen(position): a row was chosen.
 */
function makeRowList({ onNeed, onOpen }) {
  const node = make("ul", { class: "rows", role: "listbox", tabindex: "0", "aria-label": "Rows" });
  const pages = new Map(); // rank of the first row: lines
  const items = new Map(); // position: item
  let lines = [];
  let first = 0;
  let total = 0;
  let rows = 0;
  let current = null;

  const layOut = () => {
    const firsts = [...pages.keys()].sort((a, b) => a - b);
    first = firsts[0] ?? 0;
    lines = firsts.flatMap((rank) => pages.get(rank));
    const wanted = new Set(lines.map((line) => line.position));
    for (const [position, item] of items) if (!wanted.has(position)) { item.node.remove(); items.delete(position); }
    let last = null;
    for (const line of lines) {
      let item = items.get(line.position);
      if (!item) items.set(line.position, item = makeRowItem());
      item.patch(line, rows);
      const next = last ? last.nextSibling : node.firstChild;
      if (next !== item.node) node.insertBefore(item.node, next);
      last = item.node;
    }
    // What is not a row, such as bars that stood in their place, goes.
    while (last ? last.nextSibling : node.firstChild) (last ? last.nextSibling : node.firstChild).remove();
    patchChosen();
  };
  const patchChosen = () => {
    for (const [position, item] of items) assign(item.node, "aria-selected", position === current);
    const chosen = items.get(current);
    if (chosen) assign(node, "aria-activedescendant", chosen.node.id);
    else node.removeAttribute("aria-activedescendant");
  };
  /** Keep what is seen where it is while rows come above it, or go. */
  const steady = (act) => {
    const top = node.getBoundingClientRect().top;
    const anchor = [...node.children].find((child) => child.getBoundingClientRect().bottom > top);
    const before = anchor?.getBoundingClientRect().top;
    act();
    if (anchor?.isConnected) node.scrollTop += anchor.getBoundingClientRect().top - before;
  };
  const look = () => {
    if (!lines.length) return;
    const height = node.firstElementChild?.offsetHeight || 47;
    const end = first + lines.length;
    if (end < total && node.scrollTop + node.clientHeight > node.scrollHeight - NEAR_ROWS * height) onNeed(end - end % ROWS_IN_PAGE);
    else if (first > 0 && node.scrollTop < NEAR_ROWS * height) onNeed(first - ROWS_IN_PAGE);
  };
  node.addEventListener("scroll", look, { passive: true });
  node.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    const index = [...node.children].indexOf(item);
    if (lines[index] && !String(getSelection())) onOpen(lines[index].position);
  });
  return {
    node,
    /** Take a page; `isFresh`: the others are of other filters. */
    take(rank, page, isFresh) {
      if (isFresh) pages.clear();
      pages.set(rank, page);
      // Pages that do not touch this one, or are too many, go: the farthest first.
      for (const other of [...pages.keys()]) if (Math.abs(other - rank) > (PAGES_KEPT - 1) * ROWS_IN_PAGE) pages.delete(other);
      for (const step of [-1, 1]) {
        for (let far = rank + step * ROWS_IN_PAGE, isLinked = true; pages.size && Math.abs(far - rank) <= PAGES_KEPT * ROWS_IN_PAGE; far += step * ROWS_IN_PAGE) {
          isLinked &&= pages.has(far);
          if (!isLinked) pages.delete(far);
        }
      }
      while (pages.size > PAGES_KEPT) {
        const firsts = [...pages.keys()].sort((a, b) => Math.abs(b - rank) - Math.abs(a - rank));
        pages.delete(firsts[0]);
      }
      steady(layOut);
      look();
    },
    size(newTotal, newRows) { total = newTotal; rows = newRows; },
    clear() { pages.clear(); layOut(); },
    /** Bars in the place of rows that are being read. */
    ghosts(position) {
      if (!rows) return;
      pages.clear();
      lines = [];
      items.clear();
      node.replaceChildren(...Array.from({ length: Math.min(12, rows - position) }, (_, index) => make("li", { "aria-hidden": "true" },
        make("span", { class: "no" }, groupOf(position + index)), make("span", { class: "ghost" }), make("span", { class: "ghost" }))));
      node.scrollTop = 0;
    },
    choose(position) {
      current = position;
      patchChosen();
      items.get(position)?.node.scrollIntoView({ block: "nearest" });
    },
    /** The position so many rows after the chosen one; null where its page is not there. */
    beside(step) {
      const index = lines.findIndex((line) => line.position === current);
      return lines[index + step]?.position ?? null;
    },
    get rank() {
      const index = lines.findIndex((line) => line.position === current);
      return index < 0 ? null : first + index;
    },
    positionAt(rank) { return lines[rank - first]?.position ?? null; },
    get first() { return first; },
    get end() { return first + lines.length; },
    get visible() { return Math.max(1, Math.floor(node.clientHeight / (node.firstElementChild?.offsetHeight || 47)) - 1); },
    get current() { return current; },
  };
}

// --------------------------------------------------------------------------- the rail

/** The table from left to right: where rows are shown, where they failed, and where one is. */
function makeMap(onSeek) {
  const all = make("span", { class: "all" });
  const paths = ["d1", "d2", "d3", "bad"].map((name) => makeSvg("path", { class: name }));
  const svg = makeSvg("svg", { viewBox: "0 0 240 9", preserveAspectRatio: "none", "aria-hidden": "true" }, ...paths);
  const read = make("span", { class: "read" });
  const here = make("span", { class: "here" });
  const input = make("input", { type: "range", min: "0", value: "0" });
  const node = make("div", { class: "map" }, all, svg, read, here, input);
  let rows = 0;
  const seek = afterPause(() => onSeek(Number(input.value)), 60);
  input.addEventListener("input", () => { place(Number(input.value)); seek.later(); });
  const place = (position) => {
    here.style.left = `${rows > 1 ? (100 * position) / (rows - 1) : 0}%`;
    assign(input, "aria-valuetext", `Row ${groupOf(position)} of ${groupOf(rows)}`);
  };
  const trace = (marks, wanted, width) => [...marks].map((mark, index) => mark === wanted ? `M${(index * width).toFixed(2)} 0h${width.toFixed(2)}v9h-${width.toFixed(2)}z` : "").join("");
  return {
    node,
    patch(state) {
      rows = state.rows;
      const { levels, bad, parts } = state.rail;
      const width = 240 / Math.max(1, parts);
      show(all, state.rail.all);
      ["1", "2", "3"].forEach((level, index) => assign(paths[index], "d", state.rail.all ? "" : trace(levels, level, width)));
      assign(paths[3], "d", trace(bad, "1", Math.max(width, 0.8)));
      show(read, state.read > 0 && state.read < 1);
      read.style.width = `${100 * state.read}%`;
      assign(input, "max", Math.max(0, rows - 1));
      assign(input, "step", Math.max(1, Math.floor(rows / 240)));
      assign(input, "aria-label", `Place in the table, ${groupOf(rows)} rows`);
      show(here, rows > 0);
    },
    /** Show where one is. */
    place(position) { input.value = position; place(position); },
    end() { seek.never(); },
  };
}

// -------------------------------------------------------------------------- the chips

/** Chips of outcomes and of fields, and the searchable list of a field with many values. */
function makeFacets({ onOutcome, onValue, onFacet, onSearch }) {
  const node = make("dl", { class: "facets" });
  const groups = new Map(); // by name, "" for outcomes
  const makeGroup = (name) => {
    const title = make("dt", {}, name || "Outcome");
    if (name) title.title = name;
    const more = makeButton("", () => values.open(name), "more");
    const others = make("span", { class: "chips" });
    const chips = makeChips(name || "Outcome", (chip) => name && chip.value !== "marked" ? onValue(name, chip.value) : onOutcome(chip.value), more, others);
    node.append(title, chips.node);
    return { title, chips, more, others };
  };
  const values = makeValues(onSearch, onValue);
  const patch = (state) => {
    const wanted = [...(state.outcomes.length ? [{ name: "", chips: state.outcomes, more: 0 }] : []), ...state.facets];
    for (const [name, group] of groups) {
      if (wanted.some((facet) => facet.name === name)) continue;
      group.title.remove();
      group.chips.node.remove();
      groups.delete(name);
    }
    wanted.forEach((facet, index) => {
      if (!groups.has(facet.name)) groups.set(facet.name, makeGroup(facet.name));
      const group = groups.get(facet.name);
      if (node.children[2 * index] !== group.title) node.append(group.title, group.chips.node);
      group.chips.patch(facet.chips);
      show(group.more, facet.more > 0);
      write(group.more, `${facet.more} more…`);
      const isLast = index === wanted.length - 1;
      const names = isLast ? state.others : [];
      show(group.others, names.length > 0);
      if (group.others.told !== names.join("\n")) {
        group.others.told = names.join("\n");
        group.others.replaceChildren(...names.map((name) => makeButton(`${name}…`, () => onFacet(name), "more")));
      }
    });
    values.renew();
  };
  return { node, values, patch, get first() { return node.querySelector("button"); } };
}

function makeValues(onSearch, onValue) {
  const input = make("input", { type: "search", autocomplete: "off", spellcheck: "false", maxlength: "200" });
  const count = make("span", { class: "cnt", role: "status" });
  const close = makeButton("Close", () => shut(true), "bare");
  let name = null;
  let back = null;
  const chips = makeChips("Values", (chip) => onValue(name, chip.value));
  const node = make("div", { class: "values", hidden: "" }, make("div", { class: "find" }, make("span", { class: "box" }, input), count, make("span", { class: "btns" }, close)), chips.node);
  const ask = () => { if (name !== null) onSearch(name, input.value, patch); };
  const typing = afterPause(ask, 150);
  input.addEventListener("input", typing.later);
  const patch = ({ chips: wanted, total }) => {
    chips.patch(wanted);
    write(count, total > wanted.length ? `${wanted.length} of ${groupOf(total)}` : `${groupOf(total)} values`);
  };
  const shut = (returnsFocus) => {
    if (name === null) return false;
    name = null;
    typing.never();
    show(node, false);
    if (returnsFocus) back?.focus();
    return true;
  };
  return {
    node,
    open(wanted) {
      back = focusedBeside(node);
      name = wanted;
      input.value = "";
      assign(input, "aria-label", `Search the values of ${wanted}`);
      assign(input, "placeholder", `Search the values of ${wanted}`);
      show(node, true);
      input.focus();
      ask();
    },
    renew: ask,
    shut,
  };
}
