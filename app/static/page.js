// Owns what a page does after a swap, keeps relative times true, and keeps what a reviewer writes until this tab is closed.
// Pages work without it.
(() => {
  const DAY = 86400;
  const UNITS = [[DAY, "d"], [3600, "h"], [60, "min"]];

  function relative(then, now) {
    const seconds = (then - now) / 1000;
    const size = Math.abs(seconds);
    if (size < 60) return seconds > 0 ? "in less than 1 min" : "just now";
    const [unit, name] = UNITS.find(([length]) => size >= length);
    const count = Math.floor(size / unit);
    return seconds > 0 ? `in ${count} ${name}` : `${count} ${name} ago`;
  }

  function tick() {
    const now = Date.now();
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const then = Date.parse(time.dateTime);
      if (Math.abs(then - now) < 30 * DAY * 1000) time.textContent = relative(then, now);
    }
  }

  // A session that ends or a lease that is lost while somebody writes must not cost them their words.
  const draftOf = (area) => `draft ${location.pathname} ${area.id}`;

  function restore() {
    for (const area of document.querySelectorAll(".actions textarea")) {
      const draft = !area.value && sessionStorage.getItem(draftOf(area));
      if (!draft) continue;
      area.value = draft;
      area.closest("details")?.setAttribute("open", "");
    }
  }

  document.addEventListener("input", ({ target }) => {
    if (target.matches(".actions textarea")) sessionStorage.setItem(draftOf(target), target.value);
  });

  document.addEventListener("submit", ({ target }) => {
    if (target.getAttribute("action") === "/sign-out") sessionStorage.clear();
  });

  // The new part is put in before the old one goes; an open <details> of the same name there would close the new one.
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    for (const old of detail.target.querySelectorAll("details[open][name]")) old.removeAttribute("name");
  });

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    tick();
    restore();
    if (detail.target.id !== "main") return;
    const nav = document.getElementById("nav");
    if (nav?.matches(":popover-open")) nav.hidePopover();
    detail.target.focus({ preventScroll: true });
  });

  restore();
  setInterval(tick, 15_000);
})();
