// The plan card: figures of a run that has not begun; parts.js stands before it.

const PLAN_SEGMENTS = ["reused", "merged", "send", "beyond", "failed", "skip"];

const KEPT_PLAN = "Nothing was sent from here: run the cell again for a new plan.";
const DEAF_PLAN = ["To begin without this card, run the cell again with ", "generate", " in place of ", "plan", "."];

function makePlanHero() {
  const sent = makeFigure();
  const time = makeFigure("speed");
  const money = makeFigure("money");
  const node = make("div", { class: "hero" }, sent.node, time.node, money.node);
  const patch = (hero) => {
    sent.patch(hero.count, " to send", hero.of, hero.note);
    time.patch(hero.time[0] ?? "", hero.time.length ? ` ${hero.time[1]}` : "", ...hero.pace);
    money.patch(hero.money, "", hero.budget, hero.over ? ["", hero.fits] : hero.fits);
    money.big.classList.toggle("long", hero.money.length > 10);
  };
  return { node, patch };
}

function makePlanCard(link) {
  let state = null;
  let clicked = null; // what was seen when a button was pressed, until the kernel answers
  let timer = 0;

  const heading = makeGlyph("lines");
  const title = make("span");
  const subject = make("span", { class: "subject" });
  const hero = makePlanHero();
  const progress = makeRail(PLAN_SEGMENTS);
  const ledger = makeLedger();
  const speaker = makeSpeaker();
  const send = (name) => () => {
    clicked = state;
    link.send({ do: name });
    clearTimeout(timer);
    timer = setTimeout(patch, BUSY_AFTER_MS + 50);
    patch();
  };
  const cancel = makeButton("Cancel", send("cancel"), "bare");
  const firstRows = makeButton("", send("first_rows"));
  const run = makeButton("", send("run"), "go");
  const line = makeLastLine(make("span", { class: "btns" }, cancel, firstRows, run));
  const card = make("div", { class: "card plan", role: "region" },
    make("div", { class: "head" }, make("span", { class: "state" }, heading.node, title), subject),
    hero.node, progress.node, ledger.node, line.node, speaker.node);

  function patch() {
    if (state === null) return;
    assign(card, "aria-label", state.region);
    write(title, state.title);
    write(subject, state.subject);
    assign(subject, "title", state.subject);
    hero.patch(state.hero);
    progress.patch(state.progress);
    ledger.patch(state.ledger);
    const isBusy = clicked !== null && link.waits;
    const kernel = state.buttons.cancel ? kernelLine(link, { isBusy, kept: KEPT_PLAN, again: DEAF_PLAN }) : null;
    line.patch(kernel ?? state.why);
    const isHeard = clicked === null && link.acts;
    const focused = [cancel, firstRows, run].find((button) => button === focusedBeside(button));
    for (const [button, text] of [[cancel, state.buttons.cancel], [firstRows, state.buttons.first_rows], [run, state.buttons.run]]) {
      show(button, Boolean(text));
      write(button, text ?? "");
    }
    for (const button of [firstRows, run]) enable(button, Boolean(state.buttons.acts) && isHeard);
    enable(cancel, isHeard);
    // A button that goes gives its focus to the one that costs more, never to the page.
    if (focused?.hidden && !run.hidden) run.focus();
    if (!card.hidden) speaker.announce(line.text);
  }

  return {
    node: card,
    take(newState) { if (newState !== clicked) clicked = null; state = newState; patch(); },
    patch,
    /** The button that has the focus or would be reached first. */
    get first() { return [run, firstRows, cancel].find((button) => !button.hidden); },
    end() { clearTimeout(timer); },
  };
}
