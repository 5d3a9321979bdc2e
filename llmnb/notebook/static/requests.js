// What a page asks of its widget, and what comes back; stands after parts.js.
//
// What all pages share comes as the widget's snapshot. What one page has asked for comes as
// messages that carry the turn it was asked with: so texts of rows are never part of the widget's
// state, nor of a saved notebook. (`RequestSurface` is the other half.)

/** The requests of one page, and who waits for their answers.
 *
 *  overtaken: what is asked for anew before it was done, such as a search: only the newest is
 *    waited for (the same names as the widget's own `overtaken`).
 *  onBusy: called with true once an answer takes so long that the kernel must be busy, and with
 *    false when one has come.
 *  onTurn: called when the kernel begins to hear, or ceases to: `link.acts`, `link.isDeaf`,
 *    `link.gone`.
 */
function makeRequests(model, { overtaken = [], onBusy = () => {}, onTurn = () => {} }) {
  const page = uniqueId();
  const link = makeLink(model, onTurn);
  let count = 0;
  const waiting = new Map();
  const settle = (turn) => {
    clearTimeout(waiting.get(turn)?.timer);
    waiting.delete(turn);
    onBusy(false);
  };
  /** Ask the kernel; `answers` are functions by the kind of a message, `done` and `fault` the last.
   *  Quiet is what nobody waits for. */
  const ask = (request, answers = {}, { isQuiet = false } = {}) => {
    const turn = `${page}#${count += 1}`;
    if (overtaken.includes(request.do)) for (const [old, pending] of waiting) if (pending.request.do === request.do) settle(old);
    const timer = isQuiet ? 0 : setTimeout(() => onBusy(true), BUSY_AFTER_MS);
    waiting.set(turn, { request, answers, timer });
    link.send({ ...request, turn });
  };
  const onMessage = (message) => {
    const pending = waiting.get(message?.turn);
    if (!pending) return;
    pending.answers[message.kind]?.(message);
    if (message.kind === "done" || message.kind === "fault") settle(message.turn);
  };
  model.on("msg:custom", onMessage);
  return {
    ask,
    link,
    end() {
      link.end();
      model.off("msg:custom", onMessage);
      for (const turn of [...waiting.keys()]) settle(turn);
    },
  };
}

// ----------------------------------------------------------------------- clipboard

const COPIED_MS = 1500;

/** Copy a text, and say on the button for a moment what came of it. */
async function copyBy(button, text) {
  const label = (button.dataset.says ??= button.textContent);
  write(button, await putOnClipboard(text) ? "Copied" : "Not copied");
  setTimeout(() => write(button, label), COPIED_MS);
}

async function putOnClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages without https have no clipboard: a field that is copied from does as well.
    const field = make("textarea", { class: "vh", "aria-hidden": "true", tabindex: "-1" });
    let focused = document.activeElement;
    while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
    field.value = text;
    document.body.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    focused?.focus();
    return isDone;
  }
}
