// For every block that Python renders: a click, a choice or a form becomes one event for Python.
const send = (data, source) => {
  if (source) { source.setAttribute("aria-busy", "true"); setTimeout(() => source.removeAttribute("aria-busy"), 4000); }
  trigger("click", data);
};
element.addEventListener("click", (event) => {
  const source = event.target.closest("button[data-act]");
  if (!source || source.getAttribute("aria-busy") === "true") return;
  event.preventDefault();
  send({ ...source.dataset }, source);
});
element.addEventListener("change", (event) => {
  const source = event.target.closest("select[data-act], input[data-act]");
  if (source) send({ ...source.dataset, ...(source.tagName === "SELECT" ? { value: source.value } : {}) });
});
element.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-form]");
  if (!form) return;
  event.preventDefault();
  const data = Object.fromEntries(new FormData(form));
  trigger("submit", { ...data, form: form.dataset.form });
  if (form.dataset.form !== "search") form.reset();
});
