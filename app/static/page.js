// Owns what a page does after a swap, and keeps relative times true. Pages work without it.
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

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    tick();
    if (detail.target.id !== "main") return;
    const nav = document.getElementById("nav");
    if (nav?.matches(":popover-open")) nav.hidePopover();
    detail.target.focus({ preventScroll: true });
  });

  setInterval(tick, 15_000);
})();
