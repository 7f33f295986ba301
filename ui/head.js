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
const go = (query) => { box().value = query; close(); wanted += 1; trigger("submit", { form: "search", query }); window.shelfwise?.view("shelf"); };
element.addEventListener("input", (event) => {
  if (event.target.id !== "sw-query") return;
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
