// Owns the keyboard. A key clicks what carries `data-key`, so it can do nothing that a pointer cannot.
// Off when the person says so (WCAG 2.1.4), while typing, with modifiers, and while a dialog is open.
(() => {
  const PLACES = { q: "/queue", d: "/decisions", f: "/flow", p: "/policies" };
  const TYPING = "input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]";
  let going = 0;

  const visible = (element) => element.checkVisibility?.() ?? element.offsetParent !== null;
  const first = (selector) => [...document.querySelectorAll(selector)].find(visible);

  function move(step) {
    const rows = [...document.querySelectorAll("[data-row]")].filter(visible);
    if (!rows.length) return;
    const here = rows.indexOf(document.activeElement);
    const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(here + step, 0), rows.length - 1);
    rows[next].focus();
    rows[next].scrollIntoView({ block: "nearest" });
  }

  function choose(digit) {
    const groups = [...document.querySelectorAll("[data-digits]")].filter(visible);
    const group = groups.find((each) => !each.querySelector(":checked")) ?? groups.at(-1);
    const radio = group?.querySelectorAll("[type=radio]")[digit - 1];
    if (!radio) return;
    radio.click();
    radio.focus();
  }

  function act(key) {
    const target = first(`[data-key="${key}"]`);
    if (!target) return;
    target.click();
    const details = target.closest("details");
    if (details?.open) details.querySelector(":checked, [type=radio], textarea, input:not([type=hidden]), select, button")?.focus();
  }

  function press(key) {
    if (going && Date.now() - going < 1500 && PLACES[key]) {
      going = 0;
      first(`a[href="${PLACES[key]}"]`)?.click();
      return true;
    }
    going = 0;
    if (key === "g") going = Date.now();
    else if (key === "?") document.getElementById("shortcuts")?.showModal();
    else if (key === "j") move(1);
    else if (key === "k") move(-1);
    else if (/^[1-9]$/.test(key)) choose(Number(key));
    else if (/^[adehnosz]$/.test(key)) act(key);
    else return false;
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (document.body.dataset.shortcuts === "off" || event.defaultPrevented || event.isComposing) return;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.(TYPING)) return;
    if (event.repeat && !/^[jk]$/.test(event.key)) return;
    if (press(event.key) !== false) event.preventDefault();
  });
})();
