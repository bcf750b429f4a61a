// Owns the making of a bundle in the page: it is received piece by piece, told while it comes, and saved when it is whole.
// It goes on while its reader looks at other pages. Without it the form downloads.
(() => {
  const MOST = 500e6; // bytes: what is received stays in memory until it is saved; the browser keeps more than this on disk
  const END = [0x50, 0x4b, 0x05, 0x06]; // a zip's last record; it has 22 bytes, as a bundle has no comment
  const AGAIN = "Make the bundle again";
  const ADVICE = {
    401: "Sign in, then make the bundle.",
    403: "Making a bundle takes a role that exports and one that reads the audit trail: ask an administrator.",
    409: "",
    422: "Change what you asked for.",
    429: "Wait a minute, then make the bundle again.",
  };
  const FAILED = "Nothing was saved. Try again in a minute; if it stays like this, tell whoever runs Handrail";

  let making = null; // { aborter, began, received, about, events, quarter }
  let ended = null; // { kind, text, saved: { url, name, size, seconds } }

  class Problem extends Error {}

  const part = (name) => document.querySelector(`[data-making] [data-${name}]`);

  function size(bytes) {
    if (bytes < 999_950) return `${(bytes / 1e3).toFixed(1)} kB`;
    return bytes < 999.95e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
  }

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds) % 60).padStart(2, "0")}`;
  const spent = () => (performance.now() - making.began) / 1000;

  // --- What is asked of the server, and what is wrong with its answer ---

  async function asked(url, matters = () => true) {
    let answer;
    try {
      answer = await fetch(url, { signal: making.aborter.signal, redirect: "manual" });
    } catch (error) {
      if (making.aborter.signal.aborted) throw error;
      throw new Problem(`Handrail does not answer, so nothing was saved. See whether you are connected, then ${AGAIN.toLowerCase()}.`);
    }
    // A page that needs a session sends whoever has none to the sign-in page.
    if (answer.type === "opaqueredirect") throw new Problem(`Your session has ended, so nothing was saved. ${ADVICE[401]}`);
    if (!answer.ok && matters(answer.status)) throw new Problem(await sentence(answer));
    return answer;
  }

  // A size that the server cannot tell just now keeps nobody from the bundle.
  async function expected(url) {
    const answer = await asked(url, (status) => status < 500);
    return answer.ok ? answer.json() : { bytes: 0, events: 0 };
  }

  async function sentence(answer) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const said = [".fault h1", ".fault [data-detail]"].map((place) => page.querySelector(place)?.textContent.trim());
    const why = said.filter(Boolean).join(": ") || `The server answered with status ${answer.status}`;
    const id = answer.headers.get("X-Request-ID");
    const advice = ADVICE[answer.status] ?? `${FAILED}${id ? ` (request ${id})` : ""}.`;
    return `${why.replace(/[^.?!]$/, "$&.")} ${advice}`.trim();
  }

  async function received(answer) {
    const pieces = [];
    const reader = answer.body.getReader();
    const brokenOff = () => new Problem(
      `The bundle broke off after ${size(making.received)}. It is not whole, so nothing was saved. ${AGAIN}; ` +
      "if it breaks off there too, whoever runs Handrail can make it with handrail export bundle.",
    );
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        throw making.aborter.signal.aborted ? error : brokenOff();
      });
      if (done) break;
      pieces.push(value);
      making.received += value.length;
    }
    const whole = new Blob(pieces, { type: "application/zip" });
    const last = new Uint8Array(await whole.slice(-22).arrayBuffer());
    if (last.length < 22 || END.some((byte, at) => last[at] !== byte)) throw brokenOff();
    return whole;
  }

  function save(whole, answer) {
    const [, name] = answer.headers.get("Content-Disposition")?.match(/filename="([^"]+)"/) ?? [null, "handrail-bundle.zip"];
    const saved = { url: URL.createObjectURL(whole), name, size: whole.size, seconds: spent() };
    Object.assign(document.createElement("a"), { href: saved.url, download: name }).click();
    return saved;
  }

  // --- Making one ---

  async function make(form) {
    const query = new URLSearchParams(new FormData(form));
    making = { aborter: new AbortController(), began: performance.now(), received: 0, about: 0, events: 0, quarter: 0 };
    announce("Making the bundle.");
    const ticking = setInterval(show, 250);
    show();
    if (document.activeElement?.form === form) part("cancel")?.focus();
    try {
      const about = await expected(`${form.dataset.size}?${query}`);
      if (about.bytes > MOST) {
        end("left", `This bundle is about ${size(about.bytes)}. Your browser downloads it by itself, and shows how far it is.`);
        form.submit();
        return;
      }
      Object.assign(making, { about: about.bytes, events: about.events });
      const answer = await asked(`${form.action}?${query}`);
      const saved = save(await received(answer), answer);
      end("saved", `${saved.name}, ${size(saved.size)}, made in ${clock(saved.seconds)}.`, saved);
    } catch (error) {
      const stopped = making.aborter.signal.aborted;
      const text = error instanceof Problem ? error.message : `${FAILED}: ${error}`;
      end(stopped ? "left" : "failed", stopped ? "Cancelled: nothing was saved." : text);
    } finally {
      clearInterval(ticking);
    }
  }

  function end(kind, text, saved = null) {
    const here = document.activeElement === part("cancel");
    if (ended?.saved) URL.revokeObjectURL(ended.saved.url);
    making = null;
    ended = { kind, text, saved };
    announce({ saved: `Saved: ${text}`, left: text }[kind] ?? ""); // a failure is an alert of its own
    show();
    if (here) document.querySelector("[data-bundle] button")?.focus();
  }

  // --- What the page shows of it ---

  function announce(text) {
    const place = part("heard");
    if (place) place.textContent = text;
  }

  function show() {
    const place = document.querySelector("[data-making]");
    if (!place) return;
    document.querySelector("[data-bundle] button").disabled = Boolean(making);
    part("coming").hidden = !making;
    for (const one of place.querySelectorAll("[data-ended]")) {
      one.hidden = Boolean(making) || one.dataset.ended !== ended?.kind;
      if (!one.hidden) one.querySelector("[data-text]").textContent = ended.text;
    }
    if (making) return tell();
    if (ended?.saved) Object.assign(part("again"), { href: ended.saved.url, download: ended.saved.name });
  }

  function tell() {
    const { about, events, received: bytes } = making;
    const [bar, known] = [part("bar"), about > bytes];
    if (known && bytes) bar.value = bytes / about;
    else bar.removeAttribute("value");
    const count = `about ${events.toLocaleString("en")} ${events === 1 ? "event" : "events"}`;
    const more = about ? `, more than the ${size(about)} that were expected` : "";
    part("so-far").textContent = bytes ? size(bytes) + (known ? ` of about ${size(about)}` : more) : "The server gets it ready";
    part("spent").textContent = about ? `${count}, ${clock(spent())}` : clock(spent());
    const quarter = known ? Math.floor((4 * bytes) / about) : making.quarter;
    if (quarter <= making.quarter) return;
    making.quarter = quarter;
    announce(`About ${25 * quarter} % of the bundle is here.`);
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-bundle]")) return;
    event.preventDefault();
    if (!making) make(event.target);
  });

  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-making] [data-cancel]")) making?.aborter.abort();
  });

  addEventListener("beforeunload", (event) => {
    if (making) event.preventDefault();
  });

  document.addEventListener("htmx:afterSettle", show);
})();
