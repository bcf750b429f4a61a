// Owns the check of a proof in the reader's own browser: hashes by WebCrypto, nothing is asked of the server (RFC 9162, C2SP).
(() => {
  const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const unbase64 = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const same = (a, b) => a.length === b.length && a.every((value, at) => value === b[at]);
  const utf8 = (text) => new TextEncoder().encode(text);

  async function sha256(prefix, ...parts) {
    const whole = [prefix, ...parts.flatMap((part) => [...part])];
    return new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(whole)));
  }
  const node = (left, right) => sha256(1, left, right);

  // The places of a node and of the last one in its row; where both are the same, there is nothing on the right.
  class Climb {
    constructor(index, size) {
      this.place = BigInt(index);
      this.last = BigInt(size) - 1n;
    }

    up() {
      this.place >>= 1n;
      this.last >>= 1n;
    }

    leftSibling() {
      if (!(this.place & 1n) && this.place !== this.last) return false;
      while (this.place && !(this.place & 1n)) this.up();
      return true;
    }
  }

  async function included(proof) {
    let found = bytes(proof.leaf);
    if (proof.body !== null && !same(await sha256(0, utf8(proof.body)), found)) return "The event's bytes do not give the leaf.";
    const climb = new Climb(proof.index, proof.size);
    for (const sibling of proof.path.map(bytes)) {
      if (!climb.last) return "The path is too long.";
      found = climb.leftSibling() ? await node(sibling, found) : await node(found, sibling);
      climb.up();
    }
    return !climb.last && same(found, bytes(proof.root)) ? "" : "The path does not lead to the root.";
  }

  async function consistent(proof) {
    const [older, newer] = [bytes(proof.older.root), bytes(proof.newer.root)];
    const wrong = "The newer tree does not begin with the older one.";
    const [old, size] = [BigInt(proof.older.size), BigInt(proof.newer.size)];
    if (old === size) return !proof.path.length && same(older, newer) ? "" : wrong;
    const path = proof.path.map(bytes);
    if (!(old & (old - 1n))) path.unshift(older);
    const climb = new Climb(old - 1n, size);
    while (climb.place & 1n) climb.up();
    let [before, after] = [path[0], path[0]];
    for (const sibling of path.slice(1)) {
      if (!climb.last) return wrong;
      if (climb.leftSibling()) [before, after] = [await node(sibling, before), await node(sibling, after)];
      else after = await node(after, sibling);
      climb.up();
    }
    return path.length && !climb.last && same(before, older) && same(after, newer) ? "" : wrong;
  }

  // The signature of one of the log's keys under a checkpoint: "" when it holds, null when this browser cannot tell.
  async function signed({ note, vkeys, size, root }) {
    const at = note.lastIndexOf("\n\n");
    const [text, lines] = [note.slice(0, at + 1), note.slice(at + 2).split("\n")];
    const [, count, hash] = text.split("\n");
    if (count !== String(size) || !same(unbase64(hash), bytes(root))) return "The checkpoint is of another tree.";
    for (const [, name, id, key] of vkeys.map((vkey) => vkey.match(/^([^+]+)\+([0-9a-f]{8})\+(.+)$/))) {
      const line = lines.find((one) => one.startsWith(`— ${name} `) && same(unbase64(one.split(" ")[2]).slice(0, 4), bytes(id)));
      if (!line) continue;
      try {
        const raw = await crypto.subtle.importKey("raw", unbase64(key).slice(1), "Ed25519", false, ["verify"]);
        const holds = await crypto.subtle.verify("Ed25519", raw, unbase64(line.split(" ")[2]).slice(4), utf8(text));
        return holds ? "" : "The signature does not hold.";
      } catch {
        return null;
      }
    }
    return vkeys.length ? "None of the log's keys has signed the checkpoint." : null;
  }

  function tell(place, kind, text) {
    for (const one of place.querySelectorAll("[data-said]")) one.hidden = one.dataset.said !== kind;
    place.querySelector(`[data-said="${kind}"] [data-text]`).textContent = text;
  }

  async function check(place) {
    const proof = JSON.parse(place.dataset.proof);
    if (!globalThis.crypto?.subtle) return tell(place, "unable", "This page came without TLS, so its script may not hash.");
    const wrong = await (proof.path && proof.older ? consistent(proof) : included(proof));
    const signature = wrong || !proof.note ? null : await signed(proof);
    if (wrong || signature) return tell(place, "broken", wrong || signature);
    const steps = `${proof.path.length} ${proof.path.length === 1 ? "hash" : "hashes"}`;
    tell(place, "sound", steps + (signature === "" ? " and the signature" : ""));
  }

  function look() {
    for (const place of document.querySelectorAll("[data-proof]")) {
      check(place).catch((error) => tell(place, "broken", String(error)));
    }
  }

  document.addEventListener("htmx:afterSettle", look);
  look();
})();
