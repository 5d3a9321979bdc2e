// What the widgets for reading and judging share; stands after parts.js and requests.js.
//
// Texts of rows come in spans, [kinds, text], as llmnb/display/spans.py makes them. Each becomes
// textContent of an element that this file names: never markup.

Object.assign(GLYPHS, {
  rows: [["path", { d: "M1.5 2.5h3M1.5 6h3M1.5 9.5h3M6 1.6h4.6v8.8H6z", fill: "none", stroke: "currentColor", "stroke-width": 1.2 }]],
  up: [["path", { d: "M2.2 7.6 6 3.8l3.8 3.8", fill: "none", stroke: "currentColor", "stroke-width": 1.5 }]],
  down: [["path", { d: "M2.2 4.4 6 8.2l3.8-3.8", fill: "none", stroke: "currentColor", "stroke-width": 1.5 }]],
  fold: [["path", { d: "M4.2 2.2 8 6 4.2 9.8", fill: "none", stroke: "currentColor", "stroke-width": 1.5 }]],
  flag: [["path", { d: "M3 11V1.6h6.6L7.8 4.3l1.8 2.6H3", fill: "none", stroke: "currentColor", "stroke-width": 1.2, "stroke-linejoin": "round" }]],
  flagged: [["path", { d: "M3 11V1.6h6.6L7.8 4.3l1.8 2.6H3z", fill: "currentColor", stroke: "currentColor", "stroke-width": 1.2, "stroke-linejoin": "round" }]],
  right: GLYPHS.check,
  wrong: [["path", { d: "M2.6 2.6 9.4 9.4M9.4 2.6 2.6 9.4", fill: "none", stroke: "currentColor", "stroke-width": 1.6 }]],
});
Object.assign(GLYPH_TONE, { up: "", down: "", fold: "", flag: "", flagged: "", right: "g-good", wrong: "g-bad" });

// -------------------------------------------------------------------------- texts

const SPAN_TAGS = { fill: ["span", "fill"], hid: ["span", "hid"], mark: ["mark", ""], ins: ["ins", ""], del: ["del", ""] };

function makeSpan([kinds, text]) {
  let node = document.createTextNode(text);
  for (const kind of kinds.split(" ").reverse()) {
    const [tag, name] = SPAN_TAGS[kind] ?? [];
    if (tag) node = make(tag, name ? { class: name } : {}, node);
  }
  return node;
}

/** Write a text that came in spans; what stands there already is left alone. */
function writeSpans(node, spans) {
  const told = JSON.stringify(spans);
  if (node.spansTold === told) return;
  node.spansTold = told;
  node.replaceChildren(...spans.map(makeSpan));
}

/** A text of a person or a model, in its own direction, with buttons for what was cut off.
 *
 *  patch: takes { spans, more } as `spans.block` makes it; null empties it.
 *  onMore: asks the kernel for the text with so many characters more (Infinity: all of it), and
 *    has it patched.
 */
function makeText({ className = "", onMore = null } = {}) {
  const text = make("div", { class: `txt ${className}`.trim(), dir: "auto" });
  const some = makeButton("", () => onMore?.(SHOWN_MORE), "link");
  const all = makeButton("Show all", () => onMore?.(Infinity), "link");
  const rest = make("div", { class: "rest", hidden: "" }, some, all);
  const node = make("div", {}, text, rest);
  const patch = (block) => {
    writeSpans(text, block?.spans ?? []);
    const more = onMore ? block?.more ?? 0 : 0;
    // Focus that stood on a button which goes stays in the text.
    const hadFocus = rest.contains(focusedBeside(node));
    show(rest, more > 0);
    show(all, more > SHOWN_MORE);
    write(some, `Show ${Math.min(more, SHOWN_MORE).toLocaleString("en")} more`);
    if (hadFocus && more <= 0) { assign(text, "tabindex", "-1"); text.focus(); }
  };
  return { node, text, patch };
}
const SHOWN_MORE = 2000;

// --------------------------------------------------------------------------- keys

const makeKey = (name) => make("kbd", { "aria-hidden": "true" }, name);

/** A line of keys with what they do: [[keys, text, className], …]; for eyes only. */
function makeHints(hints) {
  const node = make("span", { class: "hints", "aria-hidden": "true" });
  const patch = (wanted) => node.replaceChildren(...wanted.map(([keys, text, name = ""]) => make("span", { class: name }, ...keys.split(" ").map(makeKey), text)));
  patch(hints);
  return { node, patch };
}

const isField = (node) => node.matches("input:not([type=range]), textarea, select");

/** Keys that act inside of a card, and never while a field has the focus (Esc leaves that).
 *
 *  acts: functions by the key's name; one gets (event) and returns false where it does nothing.
 *  repeats: names of keys that act again while held down; any other counts once.
 *  leave: called when Esc is pressed in a field; focus what stands beside it.
 *
 *  `keepKeys` of the same root keeps JupyterLab's own keys out.
 */
function listenToKeys(card, acts, { repeats = [], leave = () => {} } = {}) {
  card.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    if (isField(event.target)) {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      leave(event.target);
      return;
    }
    if ((event.key === "Enter" || event.key === " ") && event.target.closest("button, summary")) return;
    const act = acts[event.key];
    if (!act) return;
    if ((!event.repeat || repeats.includes(event.key)) && act(event) === false) return;
    event.preventDefault();
    event.stopPropagation();
  });
}

// -------------------------------------------------------------------------- chips

/** A name with how many there are of it, which can be pressed. */
function makeChip(onPress) {
  const glyph = makeGlyph();
  const swatch = make("i", { class: "sw", "aria-hidden": "true" });
  const name = make("span", { class: "t" });
  const count = make("span", { class: "n" });
  const node = makeButton("", () => onPress(state), "chip");
  node.append(swatch, glyph.node, name, count);
  let state = null;
  /** { value, text, count, isPressed, swatch, glyph } */
  const patch = (chip) => {
    state = chip;
    assign(node, "aria-pressed", Boolean(chip.isPressed));
    assign(swatch, "class", `sw s-${chip.swatch ?? ""}`);
    show(swatch, Boolean(chip.swatch));
    glyph.draw(chip.glyph ?? "", "mut");
    write(name, chip.text);
    show(count, chip.count !== undefined);
    write(count, String(chip.count ?? ""));
    if (chip.title) assign(node, "title", chip.title);
  };
  return { node, patch };
}

/** A group of chips, each made once; `after` are nodes that stay behind them. */
function makeChips(label, onPress, ...after) {
  const node = make("dd", { class: "chips", role: "group", "aria-label": label }, ...after);
  const chips = [];
  const patch = (wanted) => {
    while (chips.length > wanted.length) chips.pop().node.remove();
    wanted.forEach((chip, index) => {
      if (!chips[index]) {
        chips.push(makeChip(onPress));
        node.insertBefore(chips[index].node, index ? chips[index - 1].node.nextSibling : node.firstChild);
      }
      chips[index].patch(chip);
    });
  };
  return { node, patch, get first() { return chips[0]?.node ?? null; } };
}
