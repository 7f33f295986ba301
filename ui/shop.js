// What the page does by itself: clicks that name an act go to Python, suggestions come as one types,
// tabs and theme change at once. No text from data is ever set as HTML here.
() => {
  if (window.shelfwise) return;
  const body = document.body;
  const store = {
    get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
    set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* private mode */ } },
  };
  const theme = store.get("shelfwise-theme");
  if (theme) body.classList.toggle("dark", theme === "dark");

  const mark = () => {
    const main = document.getElementById("sw-main");
    if (!main) return;
    const shown = main.dataset.view || "shelf", side = main.dataset.side || "chat";
    document.querySelectorAll("[data-view-of]").forEach((b) => {
      const set = (name, value) => { if (b.getAttribute(name) !== value) b.setAttribute(name, value); };
      if (b.getAttribute("role") === "tab") set("aria-selected", String(b.dataset.viewOf === side));
      else set("aria-current", b.dataset.viewOf === shown ? "page" : "false");
    });
  };
  const view = (name) => {
    const main = document.getElementById("sw-main");
    if (!main) return;
    main.dataset.view = name;
    if (name !== "shelf") main.dataset.side = name;
    const toast = document.getElementById("sw-toast");
    if (toast) toast.dataset.at = name;
    mark();
  };
  window.shelfwise = { view };

  document.addEventListener("click", (event) => {
    const tab = event.target.closest("[data-view-of]");
    if (tab) view(tab.dataset.viewOf);
    if (event.target.closest("#sw-basket [data-act=say]")) view("chat");
    const toggle = event.target.closest("[data-toggle=theme]");
    if (toggle) {
      const dark = body.classList.toggle("dark");
      store.set("shelfwise-theme", dark ? "dark" : "light");
      toggle.setAttribute("aria-pressed", String(dark));
    }
  });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.("[role=tab]");
    if (tab && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      const all = [...tab.parentElement.querySelectorAll("[role=tab]")];
      const next = all[(all.indexOf(tab) + (event.key === "ArrowRight" ? 1 : all.length - 1)) % all.length];
      next.focus(); next.click(); event.preventDefault();
    }
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName || "")) {
      document.getElementById("sw-query")?.focus(); event.preventDefault();
    }
  });

  // The line to write in may be drawn anew while one types: keep what was typed, and the focus.
  let draft = "", writing = false;
  document.addEventListener("input", (event) => { if (event.target.closest?.("#sw-say")) draft = event.target.value; });
  document.addEventListener("submit", (event) => { if (event.target.closest?.("#sw-say")) draft = ""; }, true);
  document.addEventListener("focusin", (event) => { writing = event.target.closest?.("#sw-say input") != null; });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest?.("#sw-say")) writing = false; });

  // On a narrow screen the facets are folded; opened, they stay so while one chooses several.
  let narrowing = false;
  document.addEventListener("click", (event) => {
    const summary = event.target.closest?.("details.sw-narrow > summary");
    if (summary) narrowing = !summary.parentElement.open;
  });

  // Blocks are drawn into what is there: a box that was clicked keeps its tick for whatever comes to
  // stand in its place, unless told. What Python drew is what holds.
  // A click holds until its answer is there, or some seconds at most.
  const named = (box) => [box.dataset.act, box.dataset.field, box.dataset.value, box.dataset.product].join(" ");
  document.addEventListener("change", (event) => {
    const box = event.target.closest?.(".sw input[type=checkbox][data-act]");
    if (box) box.asked = { of: named(box), until: Date.now() + 4000 };
  });
  let ticking = 0;
  new MutationObserver(() => {
    cancelAnimationFrame(ticking);
    ticking = requestAnimationFrame(() => {
      document.querySelectorAll(".sw input[type=checkbox][data-act]").forEach((box) => {
        if (box.checked === box.defaultChecked) { delete box.asked; return; }
        if (box.asked?.of === named(box) && Date.now() < box.asked.until) return;
        box.checked = box.defaultChecked;
      });
    });
  }).observe(body, { subtree: true, childList: true, characterData: true, attributeFilter: ["checked", "data-value", "data-product"] });

  // Newest words in sight; a message goes away by itself unless it is being read or has the focus.
  let timer;
  new MutationObserver((changes) => {
    for (const change of changes) {
      const target = change.target.nodeType === 1 ? change.target : change.target.parentElement;
      if (!target) continue;
      const bar = target.closest("#sw-head")?.querySelector("[data-lang]");
      if (bar) document.documentElement.lang = bar.dataset.lang;
      const line = target.closest("#sw-say")?.querySelector("input[name=message]");
      if (line) {
        if (draft && !line.value) line.value = draft;
        if (writing && document.activeElement === body) line.focus({ preventScroll: true });
      }
      const chat = target.closest("#sw-chat");
      if (chat) {
        chat.scrollTop = chat.scrollHeight;
        const alone = document.querySelector("#sw-main[data-view=chat]");
        if (alone && innerWidth <= 860) scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
      }
      if (target.closest("#sw-toast")) {
        clearTimeout(timer);
        const hide = () => {
          const toast = document.querySelector("#sw-toast .sw-toast");
          if (!toast) return;
          if (toast.matches(":hover, :focus-within")) timer = setTimeout(hide, 2000);
          else toast.classList.add("sw-gone");
        };
        timer = setTimeout(hide, 7000);
      }
      const narrow = target.closest("#sw-facets")?.querySelector("details.sw-narrow");
      if (narrow && innerWidth <= 1180 && !narrow.dataset.seen) { narrow.dataset.seen = "1"; narrow.open = narrowing; }
      // The tabs may have been drawn anew: say again which one is chosen.
      if (target.closest("#sw-tabs, #sw-nav")) mark();
      const title = target.closest("#sw-detail")?.querySelector("h2");
      if (title && title.dataset.seen !== "1") {
        title.dataset.seen = "1"; title.focus({ preventScroll: true });
        title.closest("section").scrollIntoView({ block: "start", behavior: "instant" });
      }
    }
  }).observe(body, { subtree: true, childList: true });
  view("shelf");
}
