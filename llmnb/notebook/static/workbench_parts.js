// The workbench's editor and what its quiet line opens; stands after reading.js.

Object.assign(GLYPHS, {
  pen: [["path", { d: "M1.8 10.2l.6-2.6L8.2 1.8l2 2-5.8 5.8z", fill: "none", stroke: "currentColor", "stroke-width": 1.2, "stroke-linejoin": "round" }],
    ["path", { d: "M6.9 3.1l2 2", stroke: "currentColor", "stroke-width": 1.2 }]],
  dice: [["path", { d: "M1.8 1.8h8.4v8.4H1.8z", fill: "none", stroke: "currentColor", "stroke-width": 1.2 }],
    ["circle", { cx: 4.2, cy: 4.2, r: 0.9, fill: "currentColor" }], ["circle", { cx: 7.8, cy: 7.8, r: 0.9, fill: "currentColor" }],
    ["circle", { cx: 7.8, cy: 4.2, r: 0.9, fill: "currentColor" }]],
});

const COLUMNS_SHOWN = 6;
const STILL_MS = 700; // what is wrong with a field is told once nobody types

// ------------------------------------------------------------------------- fields

const FIELD = /\{\{|\}\}|\{([^{}]*)\}|[{}]/g;

/** A prompt in parts, [kind, text]: "" plain, "fld" a column, "fld no" what is none, "esc" a doubled brace. */
function promptParts(text, columns) {
  if (columns.includes(text)) return [["fld", text]];
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(FIELD)) {
    if (match.index > end) parts.push(["", text.slice(end, match.index)]);
    end = match.index + match[0].length;
    const kind = match[0] === "{{" || match[0] === "}}" ? "esc" : match[1] !== undefined && columns.includes(match[1]) ? "fld" : "fld no";
    parts.push([kind, match[0]]);
  }
  if (end < text.length) parts.push(["", text.slice(end)]);
  return parts;
}

/** The beginning of a field that the caret stands in; null where it stands in none. */
function fieldBefore(text, caret) {
  const start = text.lastIndexOf("{", caret - 1);
  if (start < 0 || text[start - 1] === "{") return null;
  const begun = text.slice(start + 1, caret);
  return /[{}\n]/.test(begun) || begun.length > 60 ? null : { start, begun };
}

// ------------------------------------------------------------------------- editor

/** Columns as chips, a textarea with a marked copy behind it, and what is wrong with a field.
 *
 *  onType: called with the text at each change that a person makes.
 */
function makeEditor({ onType }) {
  let columns = [];
  let isOpen = false; // whether all columns are shown
  let typedAt = 0;
  let timer = 0;
  let told = { field: "", near: "" };

  const more = makeButton("", () => { isOpen = !isOpen; patchChips(); }, "more");
  const chips = makeChips("Columns", (chip) => insert(chip.value), more);
  const cols = make("div", { class: "cols" }, make("span", {}, "Columns"), chips.node);
  const marked = make("pre", { "aria-hidden": "true" });
  const area = make("textarea", { "aria-label": "Prompt", spellcheck: "false", dir: "auto" });
  const size = make("span", { class: "size" });
  const names = make("div", { class: "names", role: "listbox", "aria-label": "Columns", id: uniqueId(), hidden: "" });
  const ed = make("div", { class: "ed" }, marked, area, size, names);
  const alert = makeGlyph("alert");
  const said = make("span");
  const likely = makeButton("", () => replaceField(), "link");
  const after = make("span");
  const wrong = make("p", { class: "wrong", hidden: "" }, alert.node, make("span", {}, said, likely, after));
  assign(area, "aria-controls", names.id);

  const used = () => new Set(promptParts(area.value, columns).filter(([kind]) => kind === "fld").map(([, text]) => text.replace(/^\{|\}$/g, "")));

  function patchChips() {
    const shown = isOpen ? columns : columns.slice(0, COLUMNS_SHOWN);
    const has = used();
    const hidden = columns.length - Math.min(columns.length, COLUMNS_SHOWN);
    chips.patch(shown.map((name) => ({ value: `{${name}}`, text: `{${name}}`, isPressed: has.has(name), title: "put in at the cursor" })));
    show(more, hidden > 0);
    write(more, isOpen ? "fewer" : `${hidden} more…`);
    assign(more, "aria-expanded", isOpen);
  }

  function mark() {
    const parts = promptParts(area.value, columns);
    const key = JSON.stringify(parts);
    if (marked.told !== key) {
      marked.told = key;
      marked.replaceChildren(...parts.map(([kind, text]) => kind ? make("span", { class: kind }, text) : document.createTextNode(text)), " ");
    }
    const isWrong = parts.some(([kind]) => kind === "fld no");
    ed.classList.toggle("no", isWrong);
    assign(area, "aria-invalid", isWrong);
    const literal = parts.reduce((sum, [kind, text]) => sum + (kind === "fld" ? 0 : text.length), 0);
    write(size, area.value ? `≈ ${Math.ceil(literal / 4).toLocaleString("en")} tokens + fields` : "");
    const isStill = Date.now() - typedAt >= STILL_MS;
    const isTold = isWrong && isStill;
    clearTimeout(timer);
    if (isWrong && !isStill) timer = setTimeout(mark, STILL_MS);
    const hadFocus = wrong.contains(focusedBeside(wrong));
    show(wrong, isTold);
    if (isTold) {
      const isName = told.field !== "" && area.value.includes(`{${told.field}}`);
      writeParts(said, isName ? ["", `No column is called ${told.field}.`, told.near ? " Did you mean " : ""] : ["", "A brace stands alone.", ""]);
      show(likely, isName && told.near !== "");
      write(likely, `{${told.near}}`);
      writeParts(after, [`${isName && told.near ? "?" : ""} To write a brace itself, double it: `, isName ? `{{${told.field}}}` : "{{ or }}"], "code");
    } else if (hadFocus) area.focus();
    patchChips();
  }

  function changed() {
    typedAt = Date.now();
    mark();
    onType(area.value);
  }

  /** Put a text in the place of what is selected, or of the given range; it can be undone. */
  function insert(text, start = area.selectionStart, end = area.selectionEnd) {
    area.focus();
    area.setSelectionRange(start, end);
    // The one way that the browser's own undo knows of.
    if (!document.execCommand("insertText", false, text)) {
      area.setRangeText(text, start, end, "end");
      changed();
    }
    closeNames();
  }

  function replaceField() {
    const start = area.value.indexOf(`{${told.field}}`);
    if (start >= 0) insert(`{${told.near}}`, start, start + told.field.length + 2);
  }

  // --------------------------------------------------------- columns behind a brace
  let chosen = 0;
  const closeNames = () => { show(names, false); names.replaceChildren(); area.removeAttribute("aria-activedescendant"); };
  const choose = (to) => {
    const options = [...names.children];
    chosen = (to + options.length) % options.length;
    options.forEach((option, index) => assign(option, "aria-selected", index === chosen));
    assign(area, "aria-activedescendant", options[chosen].id);
    options[chosen].scrollIntoView({ block: "nearest" });
  };
  const take = (name) => {
    const begun = fieldBefore(area.value, area.selectionStart);
    if (begun === null) return;
    const isClosed = area.value[area.selectionStart] === "}";
    insert(`{${name}}`, begun.start, area.selectionStart + (isClosed ? 1 : 0));
  };
  const offerNames = () => {
    const begun = area.selectionStart === area.selectionEnd ? fieldBefore(area.value, area.selectionStart) : null;
    const fitting = begun === null ? [] : columns.filter((name) => name.toLowerCase().startsWith(begun.begun.toLowerCase())).slice(0, 12);
    if (!fitting.length || (fitting.length === 1 && fitting[0] === begun.begun)) { closeNames(); return; }
    names.replaceChildren(...fitting.map((name) => {
      const option = make("span", { role: "option", id: uniqueId() }, `{${name}}`);
      option.addEventListener("mousedown", (event) => { event.preventDefault(); take(name); });
      option.name = name;
      return option;
    }));
    show(names, true);
    choose(0);
  };
  area.addEventListener("keydown", (event) => {
    if (names.hidden || event.altKey || event.isComposing) return;
    const acts = { ArrowDown: () => choose(chosen + 1), ArrowUp: () => choose(chosen - 1), Escape: closeNames };
    acts.Enter = acts.Tab = () => take(names.children[chosen].name);
    if (!acts[event.key] || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    acts[event.key]();
  });
  area.addEventListener("input", (event) => {
    if (event.isComposing) { mark(); return; }
    changed();
    offerNames();
  });
  area.addEventListener("compositionend", changed);
  area.addEventListener("blur", closeNames);

  return {
    cols,
    ed,
    wrong,
    area,
    take(texts) {
      if (JSON.stringify(columns) !== JSON.stringify(texts.columns)) columns = texts.columns;
      told = { field: texts.field, near: texts.near };
      const [first] = columns;
      assign(area, "placeholder", first === undefined ? "Write a prompt." : `Write a prompt. {${first}} puts a column in; so does a click on it.`);
      mark();
    },
    /** Show a text that came from the kernel. */
    put(text) {
      if (area.value === text) return;
      area.value = text;
      typedAt = 0;
      closeNames();
      mark();
    },
    end() { clearTimeout(timer); },
  };
}

// ------------------------------------------------------------------ one field of a panel

/** A labelled field that is sent when it is left or Enter is pressed; Esc restores it. */
function makeSetting(label, name, send, { className = "", placeholder = "", choices = null, tag = "input" } = {}) {
  const field = choices ? make("select") : make(tag, { placeholder });
  if (choices) field.append(...choices.map(([value, text]) => make("option", { value }, text)));
  field.id = uniqueId();
  const fault = make("p", { class: "fault", id: uniqueId(), hidden: "" });
  const node = make("div", { class: className }, make("label", { for: field.id }, label), field, fault);
  let known = "";
  const patch = (value) => {
    const isUntouched = field.value === known || focusedBeside(field) !== field;
    known = value;
    if (isUntouched && field.value !== value) field.value = value;
  };
  const tell = (text) => {
    show(fault, text !== "");
    write(fault, text);
    if (text) { assign(field, "aria-invalid", true); assign(field, "aria-describedby", fault.id); } else field.removeAttribute("aria-invalid");
  };
  const apply = () => {
    if (field.value === known) { tell(""); return; }
    const wanted = field.value;
    send({ do: "set", name, text: wanted }, { done: () => tell(""), fault: (message) => tell(message.text) });
  };
  field.addEventListener("change", apply);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && tag === "input" && !event.isComposing) { event.preventDefault(); apply(); }
    if (event.key === "Escape" && tag === "input" && field.value !== known) { event.stopPropagation(); event.preventDefault(); field.value = known; tell(""); }
  });
  return { node, field, patch, apply };
}

const NONE_OF_OURS = "the model’s own";

function makeModelPanel(send) {
  const own = { placeholder: NONE_OF_OURS };
  const fields = [
    ["model", makeSetting("model, then fallbacks", "model", send, { className: "half", placeholder: "the configured model" })],
    ["temperature", makeSetting("temperature", "temperature", send, own)],
    ["max_tokens", makeSetting("most tokens", "max_tokens", send, own)],
    ["top_p", makeSetting("top p", "top_p", send, own)],
    ["reasoning_effort", makeSetting("reasoning effort", "reasoning_effort", send, { choices: [["", NONE_OF_OURS], ["minimal", "minimal"], ["low", "low"], ["medium", "medium"], ["high", "high"]] })],
    ["seed", makeSetting("seed", "seed", send, { placeholder: "none" })],
    ["budget_usd", makeSetting("budget of this workbench, $", "budget_usd", send)],
  ];
  const node = make("div", { class: "set", role: "group", "aria-label": "Model and parameters" }, ...fields.map(([, field]) => field.node));
  return { node, first: fields[0][1].field, patch: (settings) => { for (const [name, field] of fields) field.patch(settings[name]); } };
}

function makeSystemPanel(send) {
  const setting = makeSetting("system text, before every prompt; columns stand in braces", "system", send, { className: "all", tag: "textarea" });
  assign(setting.field, "rows", 3);
  const later = afterPause(setting.apply, 600);
  setting.field.addEventListener("input", later.later);
  const node = make("div", { class: "set", role: "group", "aria-label": "System text" }, setting.node);
  return { node, first: setting.field, patch: (settings) => setting.patch(settings.system) };
}

/** A table whose rows can be dropped. */
function makeDropTable(label, heads, onDrop, dropLabel) {
  const body = make("tbody");
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)), make("th", {}, make("span", { class: "vh" }, "drop")));
  const node = make("div", { class: "all" }, make("table", { "aria-label": label }, make("thead", {}, head), body));
  let told = "";
  const patch = (rows) => {
    show(node, rows.length > 0);
    const key = JSON.stringify(rows);
    if (key === told) return;
    told = key;
    body.replaceChildren(...rows.map(({ id, cells }) => {
      const drop = makeButton("Drop", () => onDrop(id), "link");
      assign(drop, "aria-label", dropLabel(cells));
      return make("tr", {}, ...cells.map((text) => make("td", { class: "txt", dir: "auto" }, text)), make("td", {}, drop));
    }));
  };
  return { node, patch };
}

/** A line of plain fields that are sent together. */
function makeAddLine(fields, text, onAdd) {
  const inputs = fields.map(([label, options]) => {
    const input = options ? make("select", { "aria-label": label }) : make("input", { "aria-label": label, placeholder: label });
    return input;
  });
  const fault = make("p", { class: "fault all", hidden: "" });
  const add = makeButton(text, () => onAdd(inputs.map((input) => input.value), {
    done: () => { show(fault, false); for (const input of inputs) if (input.localName === "input") input.value = ""; inputs[0].focus(); },
    fault: (message) => { show(fault, true); write(fault, message.text); },
  }));
  const node = make("div", { class: "line adding", hidden: "" }, ...inputs, add, fault);
  node.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.localName === "input" && !event.isComposing) { event.preventDefault(); add.click(); } });
  return { node, inputs };
}

function makeExamplesPanel(send) {
  const table = makeDropTable("Examples", ["row", "in", "answer"], (which) => send({ do: "drop_example", which }), (cells) => `Drop the example of row ${cells[0]}`);
  const note = make("span");
  const fault = make("span", { class: "fault", hidden: "" });
  const fromLabels = makeButton("Add from labels", () => send({ do: "add_label" }, { done: () => show(fault, false), fault: (message) => { show(fault, true); write(fault, message.text); } }));
  const adding = makeAddLine([["an input"], ["its answer"]], "Add", ([told, answer], answers) => send({ do: "add_pair", told, answer }, answers));
  const byHand = makeButton("Add by hand", () => { show(adding.node, adding.node.hidden); if (!adding.node.hidden) adding.inputs[0].focus(); });
  const node = make("div", { class: "set", role: "group", "aria-label": "Examples" }, table.node, make("div", { class: "line" }, note, fault, fromLabels, byHand), adding.node);
  return {
    node,
    get first() { return fromLabels.hidden ? byHand : fromLabels; },
    patch(settings) {
      table.patch(settings.examples.map(([id, ...cells]) => ({ id, cells })));
      write(note, settings.note);
      show(fromLabels, Boolean(settings.labels));
      show(byHand, Boolean(settings.pairs));
      if (!settings.pairs) show(adding.node, false);
    },
  };
}

function makeSchemaPanel(send) {
  const table = makeDropTable("Schema", ["field", "type", "what it is"], (name) => send({ do: "drop_field", name }), (cells) => `Drop the field ${cells[0]}`);
  const note = make("span");
  const taking = make("span", { class: "btns" });
  const ONE_OF = "one of…";
  const adding = makeAddLine([["name"], ["type", true], ["values, with commas"], ["what it is, for the model"]], "Add", ([name, type, values, about], answers) => send({ do: "add_field", name, kind: type === ONE_OF ? values : type, about }, answers));
  const [, type, values] = adding.inputs;
  const follow = () => show(values, type.value === ONE_OF);
  type.addEventListener("change", follow);
  const add = makeButton("Add a field", () => { show(adding.node, adding.node.hidden); if (!adding.node.hidden) adding.inputs[0].focus(); });
  const node = make("div", { class: "set", role: "group", "aria-label": "Schema" }, table.node, make("div", { class: "line" }, note, taking, add), adding.node);
  let told = "";
  return {
    node,
    first: add,
    patch(settings) {
      table.patch(settings.schema.map(([name, ...cells]) => ({ id: name, cells: [name, ...cells] })));
      if (!type.options.length) { type.append(...settings.types.map((text) => make("option", { value: text }, text))); follow(); }
      write(note, settings.schema.length ? "Fields become columns." : "Answers are text. With fields each becomes a column.");
      const key = JSON.stringify(settings.classes);
      if (key !== told) {
        told = key;
        taking.replaceChildren(...settings.classes.map((name) => makeButton(`Take ${name}`, () => send({ do: "take_class", name }))));
      }
    },
  };
}
