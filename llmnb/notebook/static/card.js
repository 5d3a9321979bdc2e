// The one card of a plan and of its run, from the first look to the last answer.
//
// It stays where it stands: what it shows is exchanged inside of it, and the focus goes along.

function render({ model, el }) {
  const root = make("div", { class: "llmnb" });
  const parts = new Map(); // by name, in the order in which they stand; made when there is something to show
  const receipts = {};
  const link = makeLink(model, () => { for (const part of parts.values()) part.patch(); });
  const makers = {
    plan: () => makePlanCard(link),
    "": () => makeRunPart(link, ""),
    first: () => makeRunPart(link, "first"),
  };
  const take = (name, state) => {
    if (!state) {
      parts.get(name)?.end();
      parts.get(name)?.node.remove();
      parts.delete(name);
      return;
    }
    if (!parts.has(name)) {
      const part = makers[name]();
      parts.set(name, part);
      if (name === "first") root.append(part.node);
      else root.prepend(part.node);
      part.receive?.(receipts[name]);
    }
    parts.get(name).take(state);
  };

  const onChange = () => {
    const state = model.get("snapshot") ?? {};
    const focused = focusedBeside(root);
    const hadFocus = root.contains(focused);
    const isPlan = state.kind === "plan";
    if (Object.keys(state).length) take(isPlan ? "plan" : "", state);
    take("first", state.first);
    if (!isPlan) take("plan", null);
    // What goes gives its focus to what has come in its place, never to the page.
    if (hadFocus && !(focused.isConnected && focused.checkVisibility())) parts.get(isPlan ? "plan" : "")?.first?.focus();
  };
  const onMessage = (message) => {
    if (message?.kind === "limit") parts.get(message.at)?.tell(message);
    if (message?.kind !== "receipt") return;
    receipts[message.at] = message.html;
    parts.get(message.at)?.receive(message.html);
  };
  const onEnd = () => {
    link.end();
    for (const part of parts.values()) part.end();
  };
  const unmount = mount({ model, el }, root, { onState: onChange, onMessage, onEnd });
  onChange();
  // The kernel learns that it can be heard, and the page that the buttons will act.
  link.send({ do: "hello" });
  return unmount;
}

export default { render };
