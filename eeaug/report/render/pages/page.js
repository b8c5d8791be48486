(() => {
"use strict";
const all = (query, from = document) => [...from.querySelectorAll(query)];
const make = (name, kind, words) => Object.assign(document.createElement(name), { className: kind, textContent: words });

// a box with the value of a mark or the meaning of a word
const tip = make("div", "tip", "");
tip.setAttribute("role", "status");
document.querySelector("main").append(tip);
let of = null; // the mark or word that it belongs to
const hide = () => { of = null; tip.textContent = ""; };
const place = () => {
  const box = of.getBoundingClientRect(), left = box.left + box.width / 2 - tip.offsetWidth / 2;
  tip.style.left = `${Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${box.top - tip.offsetHeight - 8 < 0 ? box.bottom + 8 : box.top - tip.offsetHeight - 8}px`;
};
const show = (words, what) => {
  of = what;
  tip.textContent = words;
  place();
};
// a word that is reached by keys is scrolled to: what is shown moves with it
addEventListener("scroll", () => { if (of) place(); }, { passive: true, capture: true });
addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

// charts: the nearest mark under a pointer, or one after the other by arrow keys
for (const chart of all("svg.chart, svg.bar")) {
  const marks = all("title", chart).map((title) => {
    const mark = title.parentNode, words = title.textContent;
    title.remove();
    return { mark, words };
  });
  if (!marks.length) continue;
  let at = -1;
  const go = (k) => {
    if (at >= 0) marks[at].mark.classList.remove("on");
    at = k;
    if (k < 0) return hide();
    marks[k].mark.classList.add("on");
    show(marks[k].words, marks[k].mark);
  };
  const near = (event) => {
    let best = -1, least = 20;
    marks.forEach(({ mark }, k) => {
      const box = mark.getBoundingClientRect();
      const away = Math.hypot(Math.max(box.left - event.clientX, 0, event.clientX - box.right),
        Math.max(box.top - event.clientY, 0, event.clientY - box.bottom));
      if (away <= least) { least = away; best = k; }
    });
    go(best);
  };
  chart.tabIndex = 0;
  chart.setAttribute("aria-description", "Arrow keys go through the values.");
  for (const kind of ["pointermove", "pointerdown"]) chart.addEventListener(kind, near);
  for (const kind of ["pointerleave", "blur"]) chart.addEventListener(kind, () => go(-1));
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { event.preventDefault(); go((at + step + marks.length + (at < 0 && step < 0)) % marks.length); }
  });
}

// words: what the glossary says
for (const word of all("a.term")) {
  const text = document.getElementById(word.hash.slice(1)).nextElementSibling.textContent;
  for (const kind of ["pointerenter", "focus"]) word.addEventListener(kind, () => show(text, word));
  for (const kind of ["pointerleave", "blur"]) word.addEventListener(kind, hide);
}

// tables: sorted by their heads; long ones are folded
for (const table of all("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells], most = Number(table.dataset.most || Infinity);
  let open = false;
  const fold = () => [...body.rows].forEach((row, k) => { row.hidden = !open && k >= most; });
  const value = (row, k) => {
    const data = row.cells[k].querySelector("data");
    return data ? data.hasAttribute("value") ? Number(data.value) : Infinity : row.cells[k].textContent;
  };
  heads.forEach((head, k) => {
    const button = make("button", "", "");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = (a, b) => (typeof a === "number" ? a - b || 0 : a.localeCompare(b, "en", { numeric: true }));
      body.append(...[...body.rows].sort((one, two) => (up ? 1 : -1) * order(value(one, k), value(two, k))));
      fold();
    });
  });
  if (body.rows.length > most) {
    const words = () => (open ? "Show fewer" : `Show all ${body.rows.length}`);
    const button = make("button", "more", words());
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      open = !open;
      button.textContent = words();
      button.setAttribute("aria-expanded", String(open));
      fold();
    });
    table.parentNode.after(button);
    fold();
  }
}

// what is wider than the page can be scrolled by keys
const wide = () => all(".wide").forEach((box) => {
  if (box.scrollWidth > box.clientWidth) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", `Table: ${box.closest("section").querySelector("h2").textContent}`);
  } else ["tabindex", "role", "aria-label"].forEach((name) => box.removeAttribute(name));
});
addEventListener("resize", wide);
wide();
})();
