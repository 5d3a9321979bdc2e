// The plan card: figures of a run that has not begun; parts.js stands before it.

const SEGMENTS = ["reused", "merged", "send", "beyond", "failed", "skip"];

const DEAF_PLAN = [`${DEAF_TEXT} To begin without this card, run the cell again with `, "generate", " in place of ", "plan", "."];

function makeFigure(className = "") {
  const number = document.createTextNode("");
  const unit = make("small");
  const big = make("span", { class: "big" }, number, unit);
  const first = make("span");
  const second = make("span");
  const node = make("div", { class: `fig ${className}` }, big, make("span", { class: "sub" }, first, second));
  const patch = (figure, small, above, below) => {
    write(number, figure);
    write(unit, small && ` ${small}`);
    show(unit, small !== "");
    write(first, above);
    write(second, below);
  };
  return { node, second, patch };
}

function makeHero() {
  const sent = makeFigure();
  const time = makeFigure("speed");
  const money = makeFigure("money");
  const node = make("div", { class: "hero" }, sent.node, time.node, money.node);
  const patch = (hero) => {
    sent.patch(hero.count, "to send", hero.of, hero.note);
    time.patch(hero.time[0] ?? "", hero.time[1] ?? "", hero.pace[0], hero.pace[1]);
    money.patch(hero.money, "", hero.budget, "");
    writeParts(money.second, hero.over ? ["", hero.fits] : [hero.fits]);
  };
  return { node, patch };
}

function makeProgress() {
  const segments = SEGMENTS.map((name) => make("i", { class: `s-${name}` }));
  const node = make("div", { class: "progress", role: "img" }, make("span", { class: "seg", "aria-hidden": "true" }, ...segments));
  const patch = ({ parts, says }) => {
    assign(node, "aria-label", says);
    segments.forEach((segment, index) => {
      const part = parts[index][1];
      segment.style.width = `${100 * part}%`;
      show(segment, part > 0);
    });
  };
  return { node, patch };
}

function makeLedger() {
  const counters = Array.from({ length: 8 }, () => {
    const swatch = make("i", { class: "sw", "aria-hidden": "true" });
    const name = document.createTextNode("");
    const figure = make("dd");
    return { swatch, name, figure, node: make("div", {}, make("dt", {}, swatch, name), figure) };
  });
  const node = make("dl", { class: "ledger" }, ...counters.map((counter) => counter.node));
  const patch = (ledger) => counters.forEach(({ swatch, name, figure }, index) => {
    const [label, pattern, text] = ledger[index];
    write(name, label);
    show(swatch, pattern !== "");
    assign(swatch, "class", pattern ? `sw s-${pattern}` : "sw");
    write(figure, text);
    assign(figure, "class", text === "0" ? "zero" : pattern === "failed" ? "bad" : "");
  });
  return { node, patch };
}

function render({ model, el }) {
  const root = make("div", { class: "llmnb" });
  const state = () => model.get("snapshot") ?? {};
  let clicked = null; // what was seen when a button was pressed, until the kernel answers
  let timer = 0;

  const heading = makeGlyph();
  heading.draw("lines");
  const title = make("span");
  const subject = make("span", { class: "subject" });
  const hero = makeHero();
  const progress = makeProgress();
  const ledger = makeLedger();
  const glyph = makeGlyph();
  const why = make("span");
  const speaker = makeSpeaker();
  const send = (name) => () => {
    clicked = state();
    link.send({ do: name });
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (clicked === null) return;
      glyph.draw("clock");
      writeParts(why, [BUSY_TEXT]);
      speaker.announce(BUSY_TEXT);
    }, BUSY_AFTER_MS);
    patch();
  };
  const link = makeLink(model, () => { patch(); if (link.isDeaf) speaker.announce(why.textContent); });
  const cancel = makeButton("Cancel", send("cancel"), "bare");
  const firstRows = makeButton("", send("first_rows"));
  const run = makeButton("", send("run"), "go");
  const foot = make("div", { class: "foot" }, make("span", { class: "why" }, glyph.node, why), make("span", { class: "btns" }, cancel, firstRows, run));
  const card = make("div", { class: "card plan", role: "region" },
    make("div", { class: "head" }, make("span", { class: "state" }, heading.node, title), subject),
    hero.node, progress.node, ledger.node, foot, speaker.node);
  root.append(card);

  function patch() {
    const now = state();
    if (!now.hero) return;
    if (clicked !== null && now !== clicked) clicked = null;
    assign(card, "aria-label", now.region);
    write(title, now.title);
    write(subject, now.subject);
    assign(subject, "title", now.subject);
    hero.patch(now.hero);
    progress.patch(now.progress);
    ledger.patch(now.ledger);
    foot.classList.toggle("bad", now.why.tone === "bad");
    glyph.draw(now.why.glyph);
    writeParts(why, now.why.parts);
    if (link.isDeaf && now.buttons.cancel) {
      glyph.draw("alert");
      writeParts(why, DEAF_PLAN, "code");
    }
    const acts = Boolean(now.buttons.acts) && clicked === null && link.acts;
    const focused = [cancel, firstRows, run].find((button) => button === document.activeElement);
    for (const [button, text] of [[cancel, now.buttons.cancel], [firstRows, now.buttons.first_rows], [run, now.buttons.run]]) {
      show(button, Boolean(text));
      write(button, text ?? "");
    }
    for (const button of [firstRows, run]) enable(button, acts);
    enable(cancel, clicked === null && link.acts);
    // A button that goes gives its focus to the one that costs more, never to the page.
    if (focused?.hidden && !run.hidden) run.focus();
  }

  keepKeys(root);
  const unfollow = followScheme(root);
  el.append(root);
  const onChange = () => { patch(); speaker.announce(why.textContent); };
  model.on("change:snapshot", onChange);
  patch();
  link.send({ do: "hello" });
  return () => {
    model.off("change:snapshot", onChange);
    link.end();
    clearTimeout(timer);
    unfollow();
    root.remove();
  };
}

export default { render };
