// What every widget is made of; stands before its script.
//
// Each node is made once and patched afterwards, so that focus survives every
// message. Whatever comes from outside is set as textContent: never as markup.

const SVG = "http://www.w3.org/2000/svg";

const GLYPHS = {
  box: [["path", { d: "M1.8 2.2h8.4v2.6H1.8zM2.6 4.8v5h6.8v-5M4.8 7h2.4", fill: "none", stroke: "currentColor", "stroke-width": 1.2 }]],
  lines: [["path", { d: "M2 3h8M2 6h8M2 9h5", stroke: "currentColor", "stroke-width": 1.4 }]],
  check: [["path", { d: "M1.8 6.4 4.8 9.4 10.4 2.8", fill: "none", stroke: "currentColor", "stroke-width": 1.7 }]],
  alert: [["path", { d: "M6 1.3 11.2 10.4H.8z", fill: "none", stroke: "currentColor", "stroke-width": 1.3, "stroke-linejoin": "round" }],
    ["path", { d: "M6 4.6v2.9M6 8.3v1.1", stroke: "currentColor", "stroke-width": 1.3 }]],
  arrow: [["path", { d: "M2 6h7M6.2 3 9.2 6 6.2 9", fill: "none", stroke: "currentColor", "stroke-width": 1.4 }]],
  clock: [["circle", { cx: 6, cy: 6, r: 4.7, fill: "none", stroke: "currentColor", "stroke-width": 1.4 }],
    ["path", { d: "M6 3.2V6l2 1.3", fill: "none", stroke: "currentColor", "stroke-width": 1.4 }]],
  running: [["path", { d: "M3 1.8v8.4L10.2 6z", fill: "currentColor" }]],
  pause: [["path", { d: "M3 2h2.2v8H3zM6.8 2H9v8H6.8z", fill: "currentColor" }]],
  stop: [["path", { d: "M2.5 2.5h7v7h-7z", fill: "currentColor" }]],
};
const GLYPH_TONE = { clock: "g-wait", alert: "g-bad", check: "g-good", running: "g-run" };

// ------------------------------------------------------------------------- nodes

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function makeSvg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function assign(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function show(node, isShown) {
  if (node.hidden === isShown) node.hidden = !isShown;
}

/** Write a sentence of plain and stressed parts, in turn. */
function writeParts(node, parts, tag = "b") {
  while (node.childNodes.length > parts.length) node.lastChild.remove();
  parts.forEach((part, index) => {
    const old = node.childNodes[index];
    if (old === undefined) {
      node.append(index % 2 ? make(tag) : document.createTextNode(""));
    } else if (index % 2 && old.localName !== tag) old.replaceWith(make(tag));
    write(node.childNodes[index], part);
  });
}

function makeGlyph(shape) {
  const node = makeSvg("svg", { class: "glyph", viewBox: "0 0 12 12", "aria-hidden": "true" });
  let drawn = null;
  const draw = (name, tone = GLYPH_TONE[name] ?? "mut") => {
    const wanted = `${name} ${tone}`;
    if (drawn === wanted) return;
    drawn = wanted;
    assign(node, "class", `glyph ${tone}`);
    node.replaceChildren(...(GLYPHS[name] ?? []).map(([tag, attributes]) => makeSvg(tag, attributes)));
    node.style.display = GLYPHS[name] ? "" : "none";
  };
  if (shape) draw(shape);
  return { node, draw };
}

function makeSwatch(kind) {
  return make("i", { class: `sw s-${kind}`, "aria-hidden": "true" });
}

/** A large figure with a small unit, and two lines beside it, of plain and stressed parts. */
function makeFigure(className = "") {
  const number = make("span");
  const unit = make("small");
  const big = make("span", { class: "big" }, number, unit);
  const lines = [make("span"), make("span")];
  const node = make("div", { class: `fig ${className}`.trim() }, big, make("span", { class: "sub" }, ...lines));
  const patch = (figure, small, ...texts) => {
    write(number, figure);
    write(unit, small);
    texts.forEach((text, index) => writeParts(lines[index], [text].flat()));
  };
  return { node, big, lines, patch };
}

/** The segments of a bar, each a pattern; `patch` takes pairs of a kind and its share of the whole. */
function makeSegments(kinds) {
  const segments = kinds.map((kind) => make("i", { class: `s-${kind}` }));
  const node = make("span", { class: "seg", "aria-hidden": "true" }, ...segments);
  const patch = (parts) => {
    const shares = Object.fromEntries(parts);
    segments.forEach((segment, index) => {
      const share = shares[kinds[index]] ?? 0;
      segment.style.width = `${100 * share}%`;
      show(segment, share > 0);
    });
  };
  return { node, patch };
}

/** A bar that stands for itself; `patch` takes its parts, and what a screen reader says of it. */
function makeRail(kinds) {
  const segments = makeSegments(kinds);
  const node = make("div", { class: "progress", role: "img" }, segments.node);
  const patch = ({ parts, says }) => {
    assign(node, "aria-label", says);
    segments.patch(parts);
  };
  return { node, patch };
}

/** Eight counters; `patch` takes of each its name, its pattern, its figure, and a small text behind that. */
function makeLedger(className = "") {
  const counters = Array.from({ length: 8 }, () => {
    const [swatch, name, figure, small] = [make("i", { class: "sw", "aria-hidden": "true" }), document.createTextNode(""), document.createTextNode(""), make("small", { class: "opt" })];
    const value = make("dd", {}, figure, small);
    return { swatch, name, figure, small, value, node: make("div", {}, make("dt", {}, swatch, name), value) };
  });
  const node = make("dl", { class: `ledger ${className}`.trim() }, ...counters.map((counter) => counter.node));
  const patch = (rows) => counters.forEach((counter, index) => {
    const [name, pattern, text, small = ""] = rows[index];
    write(counter.name, name);
    show(counter.swatch, pattern !== "");
    assign(counter.swatch, "class", `sw s-${pattern}`);
    write(counter.figure, text);
    write(counter.small, small);
    show(counter.small, small !== "");
    assign(counter.value, "class", ["0", "none"].includes(text) ? "zero" : pattern === "failed" ? "bad" : "");
  });
  return { node, patch };
}

function makeButton(text, act, className = "") {
  const node = make("button", { type: "button", class: className }, text);
  node.addEventListener("click", () => {
    if (node.getAttribute("aria-disabled") !== "true") act();
  });
  return node;
}

/** A button that may not act keeps its focus; so it is marked, not taken away. */
function enable(button, isEnabled) {
  assign(button, "aria-disabled", isEnabled ? "false" : "true");
}

const uniqueId = () => `llmnb-${Math.random().toString(36).slice(2, 10)}`;

// ------------------------------------------------------------------ light and dark

/** The host's own ink where it has one; the fallback is a colour that no host uses. */
const HOST_INK = "var(--vscode-foreground, var(--colab-primary-text-color, var(--jp-ui-font-color1, rgba(1, 2, 3, 0.04))))";

function rgba(text) {
  const numbers = (text.match(/-?[\d.]+(?:e-?\d+)?%?/g) ?? []).map((part) => part.endsWith("%") ? parseFloat(part) / 100 : parseFloat(part));
  if (numbers.length < 3) return null;
  const scale = text.startsWith("color(") ? 255 : 1;
  const [red, green, blue] = numbers.slice(0, 3).map((part) => part * scale);
  return { red, green, blue, alpha: numbers[3] ?? 1 };
}

const luminance = ({ red, green, blue }) => (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;

function isDark(root, probe) {
  const ink = rgba(getComputedStyle(probe).color);
  if (ink && !(ink.red === 1 && ink.green === 2 && ink.blue === 3)) return luminance(ink) > 0.5;
  for (let node = root.parentElement; node; node = node.parentElement) {
    const ground = rgba(getComputedStyle(node).backgroundColor);
    if (ground && ground.alpha > 0.5) return luminance(ground) < 0.5;
  }
  return false;
}

/** Keep `data-scheme` true to the host's theme; returns what ends it. */
function followScheme(root) {
  const probe = make("span", { hidden: "" });
  probe.style.color = HOST_INK;
  root.append(probe);
  const look = () => assign(root, "data-scheme", isDark(root, probe) ? "dark" : "light");
  // A theme's style sheet may arrive a little after the attribute that names it.
  let later = 0;
  const lookTwice = () => { look(); clearTimeout(later); later = setTimeout(look, 400); };
  const observer = new MutationObserver(lookTwice);
  for (const node of [document.documentElement, document.body]) observer.observe(node, { attributes: true });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", lookTwice);
  lookTwice();
  requestAnimationFrame(look); // the root stands in the page only now
  return () => { observer.disconnect(); system.removeEventListener("change", lookTwice); clearTimeout(later); };
}

/** Keep the notebook's own keys, such as D D, away from our buttons and fields. */
function keepKeys(root) {
  // JupyterLab looks for this on the focused element itself. Ctrl+S and its like
  // still belong to the notebook, so the mark is gone while such a key is held.
  const mark = (event) => event.target.toggleAttribute("data-lm-suppress-shortcuts", !event.ctrlKey && !event.metaKey);
  for (const name of ["focusin", "keydown", "keyup"]) root.addEventListener(name, mark);
}

/** One polite line for who listens instead of looking; what was said last is not said again.
 *
 *  Another topic is said at once, with its name; more of the same no sooner than `everyMs` later.
 */
function makeSpeaker(everyMs = 0) {
  const node = make("span", { class: "vh", role: "status", "aria-live": "polite" });
  let spokenAt = -Infinity;
  let topic = "";
  const announce = (text, newTopic = "") => {
    const isNews = newTopic !== topic;
    if (!isNews && Date.now() - spokenAt < everyMs) return;
    [topic, spokenAt] = [newTopic, Date.now()];
    write(node, [isNews && topic, text].filter(Boolean).join(". "));
  };
  return { node, announce };
}

/** Call `act` once nothing has been asked for a moment; `at once` skips the wait. */
function afterPause(act, pauseMs) {
  let timer = 0;
  const later = () => { clearTimeout(timer); timer = setTimeout(act, pauseMs); };
  const now = () => { clearTimeout(timer); act(); };
  const never = () => clearTimeout(timer);
  return { later, now, never };
}

/** Say so when the kernel does not answer: it is busy with a cell, and does it afterwards. */
const BUSY_AFTER_MS = 1500;
const BUSY_TEXT = "The kernel is busy with a cell: it does this as soon as that is done.";

// -------------------------------------------------------------------- the kernel's ear

const DEAF_AFTER_MS = 3000;
const ASKED_AGAIN_WITHIN_MS = 60_000;
const DEAF_TEXT = "The kernel does not answer.";
const GONE_TEXT = { gone: "The kernel is gone.", restarted: "The kernel was restarted." };

/** What a page knows of the kernel's own life, where it lets a widget know.
 *
 *  A widget outlives its kernel in the page: nothing that it sends arrives any more.
 */
function makeLife(model, onChange) {
  const manager = model.widget_manager;
  const born = manager?.kernel ?? null;
  let isCut = false;
  const onCut = () => { isCut = true; onChange(); }; // JupyterLab cuts all widgets of a kernel that restarts
  model.on("comm_live_update", onCut);
  return {
    get gone() {
      if (isCut) return "restarted";
      if (born === null) return "";
      const isOther = manager.kernel !== born || born.isDisposed;
      return isOther || ["dead", "terminating"].includes(born.status) ? "gone" : "";
    },
    end() { model.off("comm_live_update", onCut); },
  };
}

/** The line to the kernel, which answers whatever it hears with `heard`.
 *
 *  Buttons act only once it has answered, and where it stays silent a line of code stands in
 *  their place; an answer that comes later brings them back. `onChange` is called at each turn.
 *  A page that was just loaded can lose a message, so a silent kernel is greeted again: after
 *  three seconds, and then after twice as long each time, up to once a minute.
 */
function makeLink(model, onChange) {
  let isHeard = false;
  let isDeaf = false;
  let timer = 0;
  let sentAt = 0; // when the first was sent that is not answered yet
  let patienceMs = DEAF_AFTER_MS;
  let seen = "";
  const life = makeLife(model, onChange);
  const turn = (heard, deaf) => {
    if (heard === isHeard && deaf === isDeaf) return;
    [isHeard, isDeaf] = [heard, deaf];
    onChange();
  };
  const onMessage = (message) => {
    seen = new Date().toTimeString().slice(0, 8);
    if (message?.kind !== "heard") return;
    clearTimeout(timer);
    timer = sentAt = 0;
    patienceMs = DEAF_AFTER_MS;
    turn(true, false);
  };
  const onSilence = () => {
    timer = 0;
    turn(isHeard, true);
    patienceMs = Math.min(2 * patienceMs, ASKED_AGAIN_WITHIN_MS);
    link.send({ do: "hello" });
  };
  model.on("msg:custom", onMessage);
  const link = {
    send(message) {
      if (link.gone) return;
      sentAt ||= Date.now();
      timer ||= setTimeout(onSilence, patienceMs);
      model.send(message);
    },
    /** Why the kernel can never answer: empty, "gone" or "restarted". */
    get gone() { return life.gone; },
    /** When something came from the kernel last, such as "14:52:07". */
    get seen() { return seen; },
    /** Whether a button would act. */
    get acts() { return isHeard && !isDeaf && !life.gone; },
    get isDeaf() { return isDeaf && !life.gone; },
    /** Whether an answer takes so long that the kernel must be busy. */
    get waits() { return sentAt > 0 && Date.now() - sentAt > BUSY_AFTER_MS && !life.gone; },
    end() { model.off("msg:custom", onMessage); clearTimeout(timer); life.end(); },
  };
  return link;
}

/** What has the focus in the document, or in the shadow root, that a node stands in. */
const focusedBeside = (node) => node.getRootNode().activeElement;

/** A line of code that stands where buttons would, as long as nobody hears those. */
function makeCode(...buttons) {
  const node = make("code", { class: "line", tabindex: "0", hidden: "" });
  const patch = (text, isDeaf) => {
    const isShown = isDeaf && Boolean(text);
    write(node, text ?? "");
    show(node, isShown);
    if (!isShown) return false;
    const hadFocus = buttons.includes(focusedBeside(node));
    for (const button of buttons) show(button, false);
    if (hadFocus) node.focus();
    return true;
  };
  return { node, patch };
}

/** Put a widget into the page, in the host's light, and keep it true to its kernel; returns what ends that.
 *
 *  onState is called when the snapshot has changed, onMessage with what the kernel sends, onEnd at the end.
 */
function mount({ model, el }, root, { onState = () => {}, onMessage = () => {}, onEnd }) {
  keepKeys(root);
  el.append(root);
  const unfollow = followScheme(root);
  model.on("change:snapshot", onState);
  model.on("msg:custom", onMessage);
  return () => {
    model.off("change:snapshot", onState);
    model.off("msg:custom", onMessage);
    onEnd();
    unfollow();
    root.remove();
  };
}

// ----------------------------------------------------------------------- last line

/** The line that is always there: what is shown, or what happens next, or why nothing does. */
function makeLastLine(...after) {
  const glyph = makeGlyph();
  const text = make("span");
  const slot = make("span");
  const node = make("div", { class: "because" }, make("span", { class: "why" }, glyph.node, make("span", {}, text, slot)), ...after);
  /** { glyph, parts, tone, tag, buttons }: plain and stressed parts in turn; tone "", "bad" or "wait". */
  const patch = ({ glyph: shape = "arrow", parts, tone = "", tag = "b", buttons = [] }) => {
    glyph.draw(shape, shape === "clock" && !tone ? "mut" : undefined);
    assign(node, "class", `because ${tone}`.trim());
    writeParts(text, parts, tag);
    for (const old of [...slot.children]) if (!buttons.includes(old)) old.remove();
    for (const button of buttons) if (button.parentNode !== slot) slot.append(" ", button);
    if (!buttons.length) slot.replaceChildren();
  };
  return { node, patch, get text() { return text.textContent; } };
}

/** What stands where there is nothing yet: a title, and how it fills; null hides it. */
function makeBlank() {
  const [title, text] = [make("p", { class: "t" }), make("p")];
  const node = make("div", { class: "blank", hidden: "" }, title, text);
  const patch = (texts) => {
    show(node, Boolean(texts));
    [title, text].forEach((part, index) => write(part, texts?.[index] ?? ""));
  };
  return { node, patch };
}

/** What the last line says when the kernel does not hear; null while it does.
 *
 *  seen: when it was last heard of, as "14:52:07"; kept: what became of what was done here;
 *  again: how to go on, a sentence of plain and code parts in turn.
 */
function kernelLine(link, { isBusy = false, seen = "", kept = "", again = [""] } = {}) {
  if (link.gone === "gone") return { glyph: "alert", tone: "bad", parts: [`The kernel is gone${seen ? `, last seen ${seen}` : ""}. ${kept}`] };
  if (link.gone) return { glyph: "alert", tone: "bad", parts: [`${GONE_TEXT[link.gone]} ${kept}`] };
  if (link.isDeaf) return { glyph: "alert", parts: [`${DEAF_TEXT} ${again[0]}`, ...again.slice(1)], tag: "code" };
  if (isBusy) return { glyph: "clock", parts: [BUSY_TEXT] };
  return null;
}
