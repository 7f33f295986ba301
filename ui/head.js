// The search box: a combobox whose suggestions are set as text.
let wanted = 0, timer = 0, chosen = -1;
const box = () => element.querySelector("#sw-query");
const list = () => element.querySelector("#sw-suggest");
const options = () => [...list().querySelectorAll("li")];
const close = () => { list().hidden = true; chosen = -1; box().setAttribute("aria-expanded", "false"); box().removeAttribute("aria-activedescendant"); };
const pick = (index) => {
  chosen = index;
  options().forEach((li, i) => li.setAttribute("aria-selected", String(i === index)));
  if (index >= 0) box().setAttribute("aria-activedescendant", options()[index].id);
};
const show = (found) => {
  list().replaceChildren(...found.map((one, i) => {
    const li = document.createElement("li");
    li.id = `sw-option-${i}`; li.setAttribute("role", "option"); li.setAttribute("aria-selected", "false");
    const name = document.createElement("span"), typed = box().value.trim().toLowerCase();
    const at = typed ? one.text.toLowerCase().indexOf(typed) : -1; // what is new stands out
    const bold = (words) => { const b = document.createElement("b"); b.textContent = words; return b; };
    if (at < 0) name.append(one.text);
    else name.append(bold(one.text.slice(0, at)), one.text.slice(at, at + typed.length), bold(one.text.slice(at + typed.length)));
    const kind = document.createElement("em"); kind.textContent = one.kind === "query" ? "" : one.kind;
    li.append(name, kind); li.dataset.words = one.text;
    return li;
  }));
  const open = found.length > 0;
  list().hidden = !open; box().setAttribute("aria-expanded", String(open)); chosen = -1;
};
// The first shelf is drawn over the bar while one may be typing already: what was typed stays, with
// the caret, and a search sent before that shelf goes out once it is there and cannot cover it.
let draft = null, caret = 0, waiting = null, patience = 0;
const isReady = () => element.querySelector("[data-ready]") !== null;
const send = (query) => { clearTimeout(patience); waiting = null; draft = null; trigger("submit", { form: "search", query }); };
const go = (query) => {
  box().value = query; close(); wanted += 1; window.shelfwise?.view("shelf");
  if (isReady()) { send(query); return; }
  clearTimeout(patience); draft = waiting = query; caret = query.length;
  patience = setTimeout(() => send(query), 20000);
};
new MutationObserver(() => {
  if (!isReady()) return;
  if (draft !== null && box().value !== draft) {
    const hasFocus = document.activeElement === document.body || document.activeElement === box();
    box().value = draft;
    if (hasFocus) { box().focus({ preventScroll: true }); box().setSelectionRange(caret, caret); }
  }
  draft = null; // from now on the bar is drawn anew only when the visitor asks for something
  if (waiting !== null) send(waiting);
}).observe(element, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready", "value"] });
element.addEventListener("input", (event) => {
  if (event.target.id !== "sw-query") return;
  if (!isReady()) { draft = event.target.value; caret = event.target.selectionStart ?? draft.length; waiting = null; clearTimeout(patience); }
  clearTimeout(timer);
  const prefix = event.target.value; const mine = ++wanted;
  if (prefix.trim().length < 1) { close(); return; }
  timer = setTimeout(async () => {
    const found = await server.suggest({ prefix, visitor: element.querySelector("[data-visitor]")?.dataset.visitor || "" });
    if (mine === wanted && document.activeElement === box()) show(found || []);
  }, 70);
});
element.addEventListener("keydown", (event) => {
  if (event.target.id !== "sw-query") return;
  const open = !list().hidden, count = options().length;
  if (event.key === "ArrowDown" && open) { pick((chosen + 1) % count); event.preventDefault(); }
  else if (event.key === "ArrowUp" && open) { pick((chosen + count - 1) % count); event.preventDefault(); }
  else if (event.key === "Escape") close();
  else if (event.key === "Enter") { event.preventDefault(); go(open && chosen >= 0 ? options()[chosen].dataset.words : event.target.value); }
});
element.addEventListener("mousedown", (event) => {
  const li = event.target.closest("#sw-suggest li");
  if (li) { event.preventDefault(); go(li.dataset.words); }
});
element.addEventListener("focusout", (event) => { if (event.target.id === "sw-query") setTimeout(() => { if (document.activeElement !== box()) close(); }, 120); });
element.addEventListener("click", (event) => {
  if (event.target.closest("[data-go]")) { event.preventDefault(); go(box().value); return; }
  const source = event.target.closest("button[data-act]");
  if (source) trigger("click", { ...source.dataset });
});
element.addEventListener("change", (event) => {
  const source = event.target.closest("select[data-act]");
  if (source) trigger("click", { ...source.dataset, value: source.value });
});
