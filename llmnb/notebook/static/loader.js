// Takes the code from the model that holds it for all; it is short since each widget holds a copy.
const all = (globalThis[Symbol.for("llmnb")] ??= {});
const load = async (manager, id) => {
  const code = await manager.get_model(id);
  document.head.append(Object.assign(document.createElement("style"), { textContent: code.get("css") }));
  const url = URL.createObjectURL(new Blob([code.get("esm")], { type: "text/javascript" }));
  return (await import(url)).default;
};
const render = async ({ model, el }) => {
  const id = model.get("code").slice(10);
  try {
    return (await (all[id] ??= load(model.widget_manager, id))).render({ model, el });
  } catch (error) {
    delete all[id];
    el.textContent = model.get("snapshot").line ?? "This card cannot be drawn here.";
    throw error;
  }
};
export default { render };
