// Shows how far the login is. It only reads the state: the session is opened by the callback alone,
// in the tab that the agent sends back.
"use strict";

(() => {
  const POLL_MS = 700;
  const MISSING_AGENT_MS = 5000;
  const DOUBLE_CLICK_MS = 2000;
  const CLOSED_MS = 250; // Longer than the other tab waits to see whether it could close itself.
  const CODE_MS = 60000; // A login verified in its last second still has its code to bring back.
  const FINAL = new Set(["used", "failed", "expired", "no_cookie"]);
  const ENDED = {
    rid_expired: "expired",
    rid_unknown: "expired",
    browser_mismatch: "expired",
    cookie_missing: "no_cookie",
  };
  const STEPS = { clicked: 0, missing: 0, claimed: 2, taken: 3, verified: 4 };

  const login = document.getElementById("login");
  const help = document.getElementById("help");
  const ends = performance.now() + 1000 * Number(login.dataset.seconds);
  let clicked = null;
  let shown = "new";
  // Another login took this browser over, such as one that began in the agent: it may yet end well.
  let overtaken = false;

  function show(state) {
    if (state === shown) return;
    shown = state;
    for (const part of login.querySelectorAll("[data-states]")) {
      part.hidden = !part.dataset.states.split(" ").includes(state);
    }
    const reached = STEPS[state] ?? 0;
    login.querySelectorAll("[data-step]").forEach((step, place) => {
      step.classList.toggle("done", place < reached);
      step.lastElementChild.hidden = place >= reached;
      if (place === reached) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
    if (state === "missing") help.open = true;
  }

  function explain(said) {
    if (!said.code) return;
    document.getElementById("failure-title").textContent = said.title;
    document.getElementById("failure-sentence").textContent = said.sentence;
    document.getElementById("failure-code").textContent = said.support;
  }

  // For the diagnostics page, which the help desk asks for; nothing in it is secret.
  function remember(facts) {
    try {
      const before = JSON.parse(localStorage.getItem("cps-login") ?? "{}");
      localStorage.setItem("cps-login", JSON.stringify({ ...before, ...facts }));
    } catch {
      // Storage is blocked: the page then has less to tell.
    }
  }

  async function askState() {
    const answer = await fetch(login.dataset.status, {
      cache: "no-store", redirect: "error", headers: { Accept: "application/json" },
    });
    const said = await answer.json();
    overtaken = said.error === "browser_mismatch";
    if (!answer.ok) return ENDED[said.error] ?? null;
    if (said.state === "failed") {
      explain(said);
      remember({ error: said.code ?? "failed", errorAt: new Date().toISOString() });
    }
    if (said.state === "claimed") remember({ agentAt: new Date().toISOString() });
    return said.state;
  }

  // A login that nobody has claimed yet looks different once the person has gone to the agent.
  function shownFor(state) {
    if (state !== "new" || clicked === null) return state;
    return performance.now() - clicked < MISSING_AGENT_MS ? "clicked" : "missing";
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
    const mayChange = overtaken && performance.now() < ends;
    if (!FINAL.has(state) || mayChange) setTimeout(poll, POLL_MS);
  }

  // The tab that the agent sends back offers this one to go on in its place; see arrived.js. The
  // cookie, of no other use, tells the callback that there is such a tab.
  function waitHere() {
    let channel;
    try {
      channel = new BroadcastChannel("cps-login");
    } catch {
      return;
    }
    const target = new URL(login.dataset.target, location.href).href;
    let goOn = null;
    channel.onmessage = ({ data }) => {
      if (data?.arrived === target) channel.postMessage({ waiting: target });
      if (data?.closing === target) goOn = setTimeout(() => location.replace(target), CLOSED_MS);
      if (data?.staying === target) clearTimeout(goOn);
    };
    document.cookie = "cps-waiting=1; Path=/_cps/callback; Max-Age=300; SameSite=Lax";
  }

  for (const link of login.querySelectorAll("[data-agent]")) {
    link.addEventListener("click", (event) => {
      // A double click would open two tabs for one login, and only one of them can end it.
      if (clicked !== null && performance.now() - clicked < DOUBLE_CLICK_MS) {
        event.preventDefault();
        return;
      }
      if (clicked === null) waitHere();
      clicked = performance.now();
      // Only after this event: a link that is hidden while it is clicked opens nothing.
      setTimeout(() => show("clicked"));
    });
  }
  // A page that comes back out of the browser's history may show a login that is long over.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  poll();
})();
