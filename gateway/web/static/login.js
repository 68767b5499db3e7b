// Shows how far the login is. It only reads the state: the session is opened by the callback alone,
// in the tab that the agent sends back.
"use strict";

(() => {
  const POLL_MS = 1000;
  const MISSING_AGENT_MS = 5000;
  const DOUBLE_CLICK_MS = 2000;
  const CODE_MS = 60000; // A login verified in its last second still has its code to bring back.
  const FINAL = new Set(["used", "failed", "expired", "no_cookie"]);
  const ENDED = {
    rid_expired: "expired",
    rid_unknown: "expired",
    browser_mismatch: "expired",
    cookie_missing: "no_cookie",
  };

  const login = document.getElementById("login");
  const help = document.getElementById("help");
  const ends = performance.now() + 1000 * Number(login.dataset.seconds);
  let clicked = null;
  let helped = false;

  function show(state) {
    for (const part of login.querySelectorAll("[data-states]")) {
      part.hidden = !part.dataset.states.split(" ").includes(state);
    }
  }

  async function askState() {
    const answer = await fetch(login.dataset.status, {
      cache: "no-store", redirect: "error", headers: { Accept: "application/json" },
    });
    const said = await answer.json();
    return answer.ok ? said.state : (ENDED[said.error] ?? null);
  }

  // A login that nobody has claimed yet looks different once the person has gone to the agent.
  function shownFor(state) {
    if (state !== "new" || clicked === null) return state;
    if (performance.now() - clicked < MISSING_AGENT_MS) return "clicked";
    if (!helped) help.open = helped = true;
    return "missing";
  }

  async function poll() {
    let state = null;
    try {
      state = await askState();
    } catch {
      // The network may come back before the login ends: ask again.
    }
    if (performance.now() > ends + CODE_MS && state !== "used") state = "expired";
    if (state !== null) show(shownFor(state));
    if (!FINAL.has(state)) setTimeout(poll, POLL_MS);
  }

  for (const link of login.querySelectorAll("[data-agent]")) {
    link.addEventListener("click", (event) => {
      // A double click would open two tabs for one login, and only one of them can end it.
      if (clicked !== null && performance.now() - clicked < DOUBLE_CLICK_MS) {
        event.preventDefault();
        return;
      }
      clicked = performance.now();
      show("clicked");
    });
  }
  poll();
})();
