// SPDX-License-Identifier: Apache-2.0
// The portal works without this file. With it, remaining times run, clocks show the person's own zone, and the page
// follows what happens on the firewalls without being loaded anew.
"use strict";
(() => {
  const quick = 1000, calm = 20000;  // ms between looks: while something opens, and otherwise
  let skew = 0;                      // server's clock minus ours
  let last = 0, busy = false;

  const live = () => document.getElementById("live");
  const two = (n) => String(n).padStart(2, "0");

  function left(ms) {
    const s = Math.max(0, Math.ceil(ms / 1000));
    if (s < 600) return `${Math.floor(s / 60)}:${two(s % 60)}`;
    const minutes = Math.floor(s / 60), hours = Math.floor(minutes / 60);
    if (hours < 1) return `${minutes} min`;
    if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
  }

  function clock(ms) {
    const when = new Date(ms), now = new Date(Date.now() + skew);
    const day = when.toDateString() === now.toDateString() ? {} : {weekday: "short", day: "numeric", month: "short"};
    return when.toLocaleString([], {...day, hour: "2-digit", minute: "2-digit"});
  }

  function tick() {
    const now = Date.now() + skew;
    let ended = false;
    for (const element of document.querySelectorAll("time[data-until]")) {
      const rest = Number(element.dataset.until) - now;
      const text = left(rest);
      if (element.textContent !== text) element.textContent = text;
      element.classList.toggle("soon", rest < 300000);
      ended = ended || rest <= 0;
    }
    const pause = ended || Number(live().dataset.opening) > 0 ? quick : calm;
    if (!document.hidden && Date.now() - last >= pause) look();
  }

  function settle() {
    const main = live();
    skew = Number(main.dataset.now) - Date.now();
    last = Date.now();
    for (const element of document.querySelectorAll("time[data-clock]"))
      element.textContent = clock(Number(element.dataset.clock));
    const summary = document.getElementById("summary");
    if (summary.textContent !== main.dataset.summary) summary.textContent = main.dataset.summary;
  }

  async function look() {
    if (busy) return;
    busy = true;
    last = Date.now();
    try {
      const answer = await fetch("/", {credentials: "same-origin", redirect: "error", cache: "no-store"});
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("live");
      if (fresh) {
        live().replaceWith(document.adoptNode(fresh));
        document.title = page.title;
        document.body.classList.remove("away");
        settle();
        tick();
      } else if (answer.ok) {
        location.reload();  // signed out, or ended
      } else {
        document.body.classList.add("away");
      }
    } catch {
      document.body.classList.add("away");
    } finally {
      busy = false;
    }
  }

  if (!live()) return;
  settle();
  tick();
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
})();
